/* Who is called, as metrics name them, and how calls to them are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/client_internal.h"

struct fixture {
    uv_loop_t loop;
    struct client *client;
    struct metrics *metrics;
};

static int setup(void **state)
{
    static struct fixture f;
    struct error err;
    *state = &f;
    f.metrics = metrics_create(NULL, "switch");
    return uv_loop_init(&f.loop) == 0 && client_create(&f.loop, &f.client, &err) == 0 &&
                   client_set_metrics(f.client, f.metrics) == 0
               ? 0
               : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    client_close(f->client, NULL, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    metrics_destroy(f->metrics);
    return uv_loop_close(&f->loop);
}

static void shown(struct fixture *f, const char *line)
{
    struct buf out = BUF_INIT;
    assert_int_equal(metrics_render(f->metrics, &out), 0);
    if (!strstr(out.data, line))
        fail_msg("%s is not in\n%s", line, out.data);
    buf_free(&out);
}

static void call(struct fixture *f, const struct client_target *t, int status, int result)
{
    struct client_call c = {.client = f->client, .status = status, .started = 1, .first_byte = 2000001};
    c.edge = client_edge_of(f->client, t);
    assert_non_null(c.edge);
    client_edge_count(&c, result);
}

static void test_names(void **state)
{
    struct fixture *f = *state;
    call(f, &(struct client_target){.socket = "/h/run/hermes.sock"}, 200, 0);
    call(f, &(struct client_target){.socket = "/h/run/hermes.sock"}, 404, 0);
    call(f, &(struct client_target){.socket = "/h/run/hermes.sock"}, 503, 0);
    call(f, &(struct client_target){.socket = "/h/run/hermes.sock"}, 0, VX11_EUNAVAILABLE);
    call(f, &(struct client_target){.socket = "/h/run/hermes.sock"}, 0, VX11_ECANCELLED);
    shown(f, "vx11_calls_total{module=\"switch\",peer=\"hermes\",outcome=\"ok\"} 2\n");
    shown(f, "vx11_calls_total{module=\"switch\",peer=\"hermes\",outcome=\"failed\"} 2\n");
    shown(f, "vx11_calls_total{module=\"switch\",peer=\"hermes\",outcome=\"cancelled\"} 1\n");
    shown(f, "vx11_call_seconds_bucket{module=\"switch\",peer=\"hermes\",le=\"0.0025\"} 5\n");
    call(f, &(struct client_target){.socket = "/h/run/engine-a.b.sock"}, 200, 0);
    call(f, &(struct client_target){.socket = "/x", .peer_kind = "engine", .peer = "a.b"}, 200, 0);
    shown(f, "vx11_calls_total{module=\"switch\",peer=\"engine/a.b\",outcome=\"ok\"} 2\n");
    call(f, &(struct client_target){.peer = "sidecar/\"x\""}, 200, 0);
    shown(f, "vx11_calls_total{module=\"switch\",peer=\"sidecar/\\\"x\\\"\",outcome=\"ok\"} 1\n");
    call(f, &(struct client_target){.base_url = "https://example.com"}, 200, 0);
    shown(f, "vx11_calls_total{module=\"switch\",peer=\"outside\",outcome=\"ok\"} 1\n");
}

static void test_bound(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100; i++) {
        char name[300];
        memset(name, 'n', sizeof name);
        snprintf(name, sizeof name, "model-%d", i);
        call(f, &(struct client_target){.peer_kind = "engine", .peer = name}, 200, 0);
    }
    shown(f, "peer=\"engine/model-10\",outcome=\"ok\"} 1\n");
    shown(f, "peer=\"other\",outcome=\"ok\"} ");
    char long_name[300];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    call(f, &(struct client_target){.peer_kind = "a-kind-that-is-too-long", .peer = long_name}, 200, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
