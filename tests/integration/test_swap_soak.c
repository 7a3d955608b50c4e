/* A soak of the swaps: requests that alternate among four models under a memory budget for two, while workers
 * are killed. Nobody is refused, nothing is loaded twice, the budget holds at every moment that is looked at,
 * and nobody waits for long.
 *
 * The models are as small as they get, so that a swap takes a tenth of a second and 2,000 requests a minute.
 * With sanitizers it is a quarter of them; VX11_SOAK_REQUESTS sets another number. */
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

enum { MODELS = 4, REQUESTS = 2000, CLIENTS = 32, LIMIT_MS = 30000 };
#define MB (INT64_C(1) << 20)

static struct system sys;
static int64_t budget;
static char names[MODELS][16];

static void config(char *out, size_t size)
{
    (void)snprintf(out, size,
                   "hermes:\n  max_loaded: 4\n  memory_budget_bytes: %lld\n  min_resident_ms: 100\n"
                   "  swap_after_ms: 500\n"
                   "engine:\n  max_ctx: 512\n  parallel: 4\n  batch: 64\n  saved_bytes: 0\n"
                   "log:\n  level: warn\n",
                   (long long)budget);
}

/* What one of them takes, as its worker says. */
static int64_t need_of_one(void)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    eventually(20000, system_count(&sys, "SELECT count(*) FROM model WHERE name LIKE 'm_'") == MODELS);
    http(&r, &at, "POST", "/hermes/engines/acquire", "{\"model\":\"m0\"}");
    assert_status(&r, 200);
    http_free(&r);
    http(&r, &at, "DELETE", "/hermes/engines/m0", NULL);
    assert_status(&r, 204);
    http_free(&r);
    http(&r, &at, "POST", "/hermes/plan", "{\"model\":\"m0\"}");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/verdict"), "start");
    const int64_t need = http_int(&r, "/need_bytes");
    http_free(&r);
    assert_true(need > 8 * MB && need < 200 * MB);
    return need;
}

static int start(void **state)
{
    char yaml[600];
    (void)state;
    system_init(&sys);
    for (int i = 0; i < MODELS; i++) {
        char seed[8];
        (void)snprintf(names[i], sizeof names[i], "m%d", i);
        (void)snprintf(seed, sizeof seed, "%d", i + 1);
        const char *const options[] = {"--preset", "tiny", "--layers",   "2",  "--embd", "128",
                                       "--heads",  "4",    "--kv-heads", "2",  "--ff",   "256",
                                       "--vocab",  "2048", "--seed",     seed, NULL};
        swarm_model(&sys, names[i], options);
    }
    config(yaml, sizeof yaml);
    system_config(&sys, yaml);
    system_up(&sys);
    budget = need_of_one() * 5 / 2; /* two and a half: a third one does not fit */
    system_stop(&sys);
    config(yaml, sizeof yaml);
    system_config(&sys, yaml);
    system_up(&sys);
    sys.rough = true;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    return 0;
}

static const char *any_model(void *ctx, int client, int request)
{
    (void)ctx;
    return names[(client * 7 + request * 5 + request / 3) % MODELS];
}

static int64_t uses(void)
{
    return system_count(&sys, "SELECT sum(usage_count) FROM model WHERE name LIKE 'm_'");
}

static void told(const struct swarm *s)
{
    print_message(
        "%d requests in %.1f s by %d clients, %d kills: %d served, longest %.1f s, in %d runs; budget "
        "%.1f MB, most held %.1f MB by %d processes in %d samples\n",
        s->requests, (double)s->took_ms / 1000, s->clients, s->kills, s->served, (double)s->longest_ms / 1000,
        s->runs, (double)budget / MB, (double)s->most_rss / MB, s->most_processes, s->samples);
}

static void check(const struct swarm *s)
{
    told(s);
    if (s->failed > 0)
        fail_msg("%d requests failed, the first: %s", s->failed, s->failure);
    assert_int_equal(s->served, s->requests);
    assert_int_equal(s->most_of_one, 1);
    assert_true(s->longest_ms < LIMIT_MS);
    if (!test_sanitized()) {
        assert_true(s->most_processes >= 2); /* and it is used */
        assert_true(s->most_rss <= budget);
    }
}

/* Without kills first: then every use is counted, neither more nor fewer. */
static void uses_are_exact(void **state)
{
    struct swarm s = {.system = &sys,
                      .clients = 8,
                      .requests = 120,
                      .max_tokens = 3,
                      .limit_ms = LIMIT_MS,
                      .model = any_model};
    (void)state;
    const int64_t before = uses();
    swarm_run(&s);
    check(&s);
    eventually(5000, uses() - before >= s.served);
    sleep_ms(300);
    assert_int_equal(uses() - before, s.served);
}

static void soak(void **state)
{
    const char *given = getenv("VX11_SOAK_REQUESTS");
    struct swarm s = {.system = &sys,
                      .clients = CLIENTS,
                      .requests = given              ? atoi(given)
                                  : test_sanitized() ? REQUESTS / 4
                                                     : REQUESTS,
                      .max_tokens = 3,
                      .limit_ms = LIMIT_MS,
                      .kill_ms = 120,
                      .model = any_model};
    (void)state;
    assert_true(s.requests > 0);
    const int64_t before = uses();
    swarm_run(&s);
    check(&s);
    assert_true(s.kills > 0);
    eventually(5000, uses() - before >= s.served);
    sleep_ms(300); /* one that lost its engine was taken twice */
    assert_true(uses() - before <= s.served + s.struck);
}

static void stops_clean(void **state)
{
    (void)state;
    system_stop(&sys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uses_are_exact),
        cmocka_unit_test(soak),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
