/* Two models, and a memory budget that holds one: both are asked for by several clients, and each gets its
 * answers. The engine that is in the way finishes what it does, goes, and only then the other one is loaded.
 *
 * The models have the 32 layers of a 7B llama and its proportions, at an eighth of its width: two of full
 * size are 8 GB of files, and more than half a minute for each turn on two cores. VX11_ROTATION_FULL=1 runs
 * the same test with those; docs/hermes.md has what that gave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "swarm.h"

#define MB (INT64_C(1) << 20)

static struct system sys;
static int64_t budget;
static bool full;
static const char *const names[] = {"seven-a", "seven-b"};

static void config(void)
{
    char yaml[600];
    (void)snprintf(
        yaml, sizeof yaml,
        "hermes:\n  max_loaded: 4\n  memory_budget_bytes: %lld\n"
        "engine:\n  max_ctx: %d\n  parallel: 4\n  batch: 128\n"
        "switch:\n  providers:\n    - {name: local, kind: local, first_token_timeout_ms: 600000}\n",
        (long long)budget, full ? 2048 : 1024);
    system_config(&sys, yaml);
}

static int64_t need_of(const char *model)
{
    char body[64];
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    (void)snprintf(body, sizeof body, "{\"model\":\"%s\"}", model);
    eventually(60000,
               (http(&r, &at, "POST", "/hermes/plan", body), r.status == 200 || (http_free(&r), false)));
    assert_string_equal(http_text(&r, "/verdict"), "start");
    const int64_t need = http_int(&r, "/need_bytes");
    http_free(&r);
    assert_true(need > 50 * MB);
    return need;
}

static void make(const char *name, const char *seed)
{
    const char *const large[] = {"--preset", "7b", "--type", "q4_0", "--seed", seed, NULL};
    const char *const small[] = {"--preset",   "7b", "--type", "q4_0", "--embd", "512", "--heads", "8",
                                 "--kv-heads", "2",  "--ff",   "1792", "--seed", seed,  NULL};
    swarm_model(&sys, name, full ? large : small);
}

static int start(void **state)
{
    (void)state;
    full = getenv("VX11_ROTATION_FULL") != NULL;
    system_init(&sys);
    make(names[0], "1");
    make(names[1], "2");
    config();
    system_up(&sys);
    budget = need_of(names[0]) * 3 / 2; /* one, and half of another */
    if (test_sanitized())
        budget = budget * 5 / 3; /* a worker's shadow memory counts as what it holds: one of them, not two */
    system_stop(&sys);
    config();
    system_up(&sys);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    return 0;
}

/* Registered by lying there; the first token of each, one after the other. */
static void warmed_and_rotated(void **state)
{
    struct swarm_worker w[4];
    (void)state;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT_OF(names); i++) {
            struct http_at at = system_link(&sys);
            struct http_reply r;
            char body[200];
            const int64_t began = clock_mono_ms();
            (void)snprintf(
                body, sizeof body,
                "{\"model\":\"%s\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
                names[i]);
            http(&r, &at, "POST", "/v1/chat/completions", body);
            assert_status(&r, 200);
            http_free(&r);
            assert_int_equal(swarm_workers(&sys, w, COUNT_OF(w)), 1);
            assert_string_equal(w[0].model, names[i]);
            print_message("%s: first token after %.2f s, %.0f MB held of %.0f\n", names[i],
                          (double)(clock_mono_ms() - began) / 1000, (double)swarm_workers_rss(w, 1) / MB,
                          (double)budget / MB);
        }
    }
}

static const char *either(void *ctx, int client, int request)
{
    (void)ctx;
    return names[(client + request) % 2];
}

static void both_at_once(void **state)
{
    const int64_t before = system_count(&sys, "SELECT sum(usage_count) FROM model");
    struct swarm s = {.system = &sys,
                      .clients = 6,
                      .requests = full ? 24 : 60,
                      .max_tokens = full ? 4 : 8,
                      .limit_ms = full ? 600000 : 60000,
                      .model = either};
    (void)state;
    swarm_run(&s);
    print_message(
        "%d requests in %.1f s, longest %.1f s, in %d runs of one model; budget %.0f MB, most held %.0f "
        "MB by %d processes in %d samples\n",
        s.requests, (double)s.took_ms / 1000, (double)s.longest_ms / 1000, s.runs, (double)budget / MB,
        (double)s.most_rss / MB, s.most_processes, s.samples);
    if (s.failed > 0)
        fail_msg("%d requests failed, the first: %s", s.failed, s.failure);
    assert_int_equal(s.served, s.requests);
    assert_int_equal(s.most_of_one, 1);
    assert_true(s.runs >= 2); /* rotated */
    if (!test_sanitized()) {
        assert_int_equal(s.most_processes, 1);
        assert_true(s.most_rss <= budget);
    }
    eventually(5000, system_count(&sys, "SELECT sum(usage_count) FROM model") - before >= s.served);
    assert_int_equal(system_count(&sys, "SELECT sum(usage_count) FROM model") - before, s.served);
}

/* keep_alive, from the front: 0 and it is unloaded when the answer is out. */
static void goes_when_told(void **state)
{
    struct swarm_worker w[4];
    struct http_at at = system_link(&sys);
    struct http_reply r;
    char body[200];
    (void)state;
    (void)snprintf(
        body, sizeof body,
        "{\"model\":\"%s\",\"max_tokens\":1,\"keep_alive\":\"0s\",\"messages\":[{\"role\":\"user\","
        "\"content\":\"hi\"}]}",
        names[0]);
    http(&r, &at, "POST", "/v1/chat/completions", body);
    assert_status(&r, 200);
    http_free(&r);
    eventually(20000, swarm_workers(&sys, w, COUNT_OF(w)) == 0);
    at = system_hermes(&sys);
    http(&r, &at, "GET", "/metrics", NULL);
    const char *line = strstr(r.raw.body.data, "reason=\"keep_alive\"");
    assert_non_null(line);
    assert_int_equal(atoi(strchr(line, ' ')), 1);
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
        cmocka_unit_test(warmed_and_rotated),
        cmocka_unit_test(both_at_once),
        cmocka_unit_test(goes_when_told),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
