/* Everything at once: providers of every kind of badness, clients that leave at any moment, an engine that is
 * killed now and then. Whatever happens to one request, each gets its answer and its row, and nothing stays
 * behind. The order is drawn from a fixed seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <signal.h>

#include "base/str.h"
#include "system.h"
#include "upstream.h"

enum { ROUNDS = 16, AT_ONCE = 24 };

static struct system sys;
static struct upstream *up;

static const struct {
    const char *name;
    enum behaviour behaviour;
} kinds[] = {
    {"good", UP_GOOD},
    {"no-usage", UP_NO_USAGE},
    {"drip", UP_DRIP_SHORT},
    {"stall", UP_STALL},
    {"garbage", UP_GARBAGE},
    {"no-http", UP_NO_HTTP},
    {"half-early", UP_HALF_EARLY},
    {"half-late", UP_HALF_LATE},
    {"no-done", UP_NO_DONE},
    {"busy", UP_429},
    {"down", UP_500},
    {"caller", UP_400},
    {"bad-json", UP_BAD_JSON},
    {"error-early", UP_ERROR_EARLY},
    {"error-late", UP_ERROR_LATE},
    {"silent", UP_SILENT},
    {"close", UP_CLOSE},
    {"wide", UP_WIDE},
};

static int start(void **state)
{
    struct buf yaml = BUF_INIT;
    (void)state;
    up = upstream_start();
    buf_puts(&yaml, "switch:\n  breaker_threshold: 1000\n  rest_most_ms: 0\n  providers:\n    - {name: "
                    "local, kind: local}\n");
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        upstream_yaml(up, &yaml, kinds[i].name, "m, shared",
                      "first_token_timeout_ms: 400, idle_timeout_ms: 400");
        upstream_behave(up, kinds[i].name, kinds[i].behaviour);
    }
    system_start(&sys, yaml.data);
    buf_free(&yaml);
    sys.rough = true;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    upstream_stop(up);
    return 0;
}

static unsigned random_below(unsigned n)
{
    static uint64_t x = 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (unsigned)(x % n);
}

/* Any model of any kind, in a stream or not; what is silent only streams, where its time is short. */
static const char *any_body(void)
{
    static char body[400];
    unsigned k = random_below(COUNT_OF(kinds) + 4);
    bool stream = random_below(3) > 0;
    char model[64];
    if (k < COUNT_OF(kinds)) {
        bool silent = kinds[k].behaviour == UP_SILENT || kinds[k].behaviour == UP_STALL;
        stream = stream || silent || kinds[k].behaviour == UP_WIDE;
        snprintf(model, sizeof model, "%s/m", kinds[k].name);
    } else if (k == COUNT_OF(kinds)) {
        snprintf(model, sizeof model, "shared"); /* one after the other */
        stream = true;
    } else if (k == COUNT_OF(kinds) + 1) {
        snprintf(model, sizeof model, "unknown");
    } else {
        snprintf(model, sizeof model, "vx11-guide");
    }
    snprintf(body, sizeof body,
             "{\"model\":\"%s\",\"stream\":%s,\"max_tokens\":200,\"messages\":[{\"role\":\"user\","
             "\"content\":\"hi\"}]}",
             model, stream ? "true" : "false");
    return body;
}

static void one_round(int *asked, int *stayed)
{
    struct http_at at = system_link(&sys);
    int fds[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++)
        fds[i] = http_open(&at, "POST", "/v1/chat/completions", any_body());
    sleep_ms((int)random_below(40));
    if (random_below(3) == 0) {
        pid_t engine = system_engine_pid(&sys, "vx11-guide");
        if (engine > 0)
            process_kill(engine, SIGKILL);
    }
    for (int i = 0; i < AT_ONCE; i++) {
        if (random_below(3) > 0)
            continue;
        if (random_below(2) == 0)
            raw_wait_for(fds[i], "\r\n\r\n", NULL); /* in the middle of its body */
        raw_close(fds[i]);
        fds[i] = -1;
    }
    for (int i = 0; i < AT_ONCE; i++) {
        struct http_reply r;
        ++*asked;
        if (fds[i] < 0)
            continue;
        ++*stayed;
        http_read(fds[i], &r);
        if (r.status < 200 || r.status > 599 || !r.raw.complete) {
            print_error("status %d, %s: %.300s\n", r.status, r.raw.complete ? "whole" : "cut",
                        r.raw.body.data);
            fail();
        }
        if (r.status != 200)
            assert_true(http_text(&r, "/error/code")[0]);
        http_free(&r);
        raw_close(fds[i]);
    }
}

static int64_t in_flight(void)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    http(&r, &at, "GET", "/switch/context", NULL);
    int64_t n = http_int(&r, "/in_flight");
    http_free(&r);
    return n;
}

static int64_t metric(const char *module, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "run/%s.sock", module);
    struct http_at at = {.socket = system_path(&sys, path)};
    struct http_reply r;
    http(&r, &at, "GET", "/metrics", NULL);
    const char *line = strstr(r.raw.body.data, name);
    const char *value = line ? strchr(line, ' ') : NULL;
    int64_t n = value ? atoll(value) : -1;
    http_free(&r);
    return n;
}

static void everything_at_once(void **state)
{
    int asked = 0, stayed = 0;
    pid_t link = system_module_pid(&sys, "link"), sw = system_module_pid(&sys, "switch");
    (void)state;
    one_round(&asked, &stayed);
    int link_fds = process_fds(link), sw_fds = process_fds(sw);
    for (int i = 1; i < ROUNDS; i++)
        one_round(&asked, &stayed);
    eventually(10000, in_flight() == 0);
    eventually(15000, metric("link", "\nvx11_http_requests_in_flight{") == 1); /* the question itself */
    eventually(15000, metric("switch", "\nvx11_http_requests_in_flight{") == 1);
    eventually(10000, system_count(&sys, "SELECT count(*) FROM decision") >= stayed);
    /* One that left before Switch had heard of it has no row. */
    int64_t rows = system_count(&sys, "SELECT count(*) FROM decision");
    assert_true(rows <= asked);
    assert_int_equal(
        system_count(&sys, "SELECT (SELECT count(*) FROM usage) - (SELECT count(*) FROM decision)"), 0);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM decision d LEFT JOIN usage u ON u.decision_id "
                                        "= d.id WHERE u.decision_id IS NULL"),
                     0);
    /* Kept connections may come and go; a leak would grow with the requests. */
    eventually(15000, process_fds(link) <= link_fds + AT_ONCE && process_fds(sw) <= sw_fds + AT_ONCE);
    assert_int_equal(system_module_pid(&sys, "link"), link);
    assert_int_equal(system_module_pid(&sys, "switch"), sw);
    struct http_reply r;
    system_chat(&sys, &r, "good/m", true);
    assert_status(&r, 200);
    assert_true(sse_done(r.raw.body.data));
    http_free(&r);
}

static void stops_clean(void **state)
{
    (void)state;
    system_stop(&sys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_at_once),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
