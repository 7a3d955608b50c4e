/* Series of providers and models: what they count, and that there are never too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "switch/observe/provider_metrics.h"

static struct metrics *m;
static struct provider_metrics *p;

static int setup(void **state)
{
    (void)state;
    m = metrics_create(NULL, "test");
    p = provider_metrics_create(m);
    return m && p ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    provider_metrics_destroy(p);
    metrics_destroy(m);
    return 0;
}

static void assert_says(const char *line)
{
    struct buf out = BUF_INIT;
    assert_int_equal(metrics_render(m, &out), 0);
    if (!strstr(out.data, line))
        fail_msg("no line %s in\n%s", line, out.data);
    buf_free(&out);
}

static size_t lines_with(const char *part)
{
    struct buf out = BUF_INIT;
    size_t n = 0;
    assert_int_equal(metrics_render(m, &out), 0);
    for (const char *at = out.data; (at = strstr(at, part)); at++)
        n++;
    buf_free(&out);
    return n;
}

static struct provider_sample sample(const char *provider, const char *model)
{
    return (struct provider_sample){.provider = provider,
                                    .model = model,
                                    .outcome = "ok",
                                    .prompt_tokens = 7,
                                    .completion_tokens = 101,
                                    .cached_tokens = -1,
                                    .cost_micro = 2500000,
                                    .retries = 1,
                                    .first_token_s = 0.25,
                                    .queue_s = 0.01,
                                    .answer_s = 2};
}

static void counts(void **state)
{
    struct provider_sample x = sample("a", "m\"1");
    (void)state;
    provider_metrics_observe(p, &x);
    x.outcome = "failed";
    x.completion_tokens = x.prompt_tokens = x.cost_micro = -1;
    x.first_token_s = x.answer_s = -1;
    provider_metrics_observe(p, &x);
    x.outcome = "ok";
    x.from_cache = true;
    x.completion_tokens = 50;
    provider_metrics_observe(p, &x);
    provider_metrics_failed(p, "a", "m\"1", "upstream_timeout");
    provider_metrics_state(p, "a", 3, 2);
#define L "module=\"test\",provider=\"a\",model=\"m\\\"1\""
    assert_says("vx11_llm_requests_total{" L ",outcome=\"ok\"} 2");
    assert_says("vx11_llm_requests_total{" L ",outcome=\"failed\"} 1");
    assert_says("vx11_llm_tokens_total{" L ",kind=\"prompt\"} 7");
    assert_says("vx11_llm_tokens_total{" L
                ",kind=\"completion\"} 101"); /* those of the cache are no new ones */
    assert_says("vx11_llm_cost_total{" L "} 2.5");
    assert_says("vx11_llm_retries_total{" L "} 3");
    assert_says("vx11_llm_cache_hits_total{" L "} 1");
    assert_says("vx11_llm_first_token_seconds_count{" L "} 1");
    assert_says("vx11_llm_tokens_per_second{" L "} 50.5");
    assert_says("vx11_llm_errors_total{" L ",class=\"upstream_timeout\"} 1");
    assert_says("vx11_llm_in_flight{module=\"test\",provider=\"a\"} 3");
    assert_says("vx11_llm_breaker_state{module=\"test\",provider=\"a\"} 2");
}

static void never_too_many(void **state)
{
    (void)state;
    for (int i = 0; i < 5000; i++) {
        char model[40], class[40], provider[40];
        snprintf(model, sizeof model, "model-%d", i);
        snprintf(class, sizeof class, "class-%d", i);
        snprintf(provider, sizeof provider, "p%d", i % 50);
        struct provider_sample x = sample(provider, model);
        provider_metrics_observe(p, &x);
        provider_metrics_failed(p, provider, model, class);
        provider_metrics_state(p, model, 1, 0);
    }
    assert_in_range(lines_with("vx11_llm_cost_total{"), 90, 128);
    assert_in_range(lines_with("vx11_llm_errors_total{"), 150, 256);
    assert_true(lines_with("vx11_llm_in_flight{") <= 128);
    assert_true(lines_with("model=\"other\"") > 0);
    assert_true(lines_with("class=\"other\"") > 0);
    provider_metrics_observe(NULL, &(struct provider_sample){.provider = "a", .model = "b"});
    provider_metrics_observe(p, &(struct provider_sample){.outcome = "refused"}); /* nobody was asked */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts, setup, teardown),
        cmocka_unit_test_setup_teardown(never_too_many, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
