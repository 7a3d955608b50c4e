/* What Switch does about providers that fail for a moment, ask to be left alone, are slow to begin, or are
 * not there: a second try, a rest, a second provider beside the first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "system.h"
#include "upstream.h"

static struct system sys;
static struct upstream *up;

static int start(void **state)
{
    struct buf yaml = BUF_INIT;
    (void)state;
    up = upstream_start();
    buf_puts(&yaml,
             "switch:\n  breaker_threshold: 1000\n  retries: 1\n  retry_base_ms: 1500\n  retry_most_ms: "
             "1500\n  rest_most_ms: 2000\n  hedge_ms: 400\n  strategy: chain\n  providers:\n");
    upstream_yaml(up, &yaml, "flaky", "flaky-model", NULL);
    upstream_yaml(up, &yaml, "wrong", "wrong-model", NULL);
    upstream_yaml(up, &yaml, "late", "late-model", "first_token_timeout_ms: 600");
    upstream_yaml(up, &yaml, "busy", "busy-model", NULL);
    upstream_yaml(up, &yaml, "slow", "duo", NULL);
    upstream_yaml(up, &yaml, "quick", "duo", NULL);
    buf_puts(&yaml, "    - {name: ears, kind: module, module: shub}\n");
    system_init(&sys);
    system_config(&sys, yaml.data);
    buf_free(&yaml);
    system_up(&sys);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    upstream_stop(up);
    return 0;
}

static int requests(const char *name)
{
    struct upstream_seen seen;
    upstream_seen(up, name, &seen);
    return seen.requests;
}

/* A failure that passes is not seen by the caller, streamed or not. */
static void tries_again(void **state)
{
    struct http_at at = system_link(&sys);
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        struct http_reply r;
        int before = requests("flaky");
        upstream_behave(up, "flaky", stream ? UP_HALF_EARLY : UP_503);
        int fd = http_open(&at, "POST", "/v1/chat/completions", chat_body("flaky-model", stream));
        eventually(5000, requests("flaky") == before + 1);
        upstream_behave(up, "flaky", UP_GOOD);
        http_read(fd, &r);
        assert_status(&r, 200);
        assert_int_equal(requests("flaky"), before + 2);
        assert_true(str_starts(system_account(&sys, http_header(&r, "X-Request-Id")),
                               "ok|200|flaky|flaky-model|2|7|5|3|"));
        http_free(&r);
    }
}

/* Once more, not for ever; and not when it cannot help. */
static void gives_up(void **state)
{
    struct http_reply r;
    int before = requests("flaky");
    (void)state;
    upstream_behave(up, "flaky", UP_500);
    system_chat(&sys, &r, "flaky-model", false);
    assert_error(&r, 502, "upstream_error");
    http_free(&r);
    assert_int_equal(requests("flaky"), before + 2);
    upstream_behave(up, "wrong", UP_400);
    system_chat(&sys, &r, "wrong-model", false);
    assert_error(&r, 400, "too_something");
    http_free(&r);
    assert_int_equal(requests("wrong"), 1);
    upstream_behave(up, "wrong", UP_401);
    system_chat(&sys, &r, "wrong-model", false);
    assert_error(&r, 502, "provider_refused_key");
    http_free(&r);
    assert_int_equal(requests("wrong"), 2);
    upstream_behave(up, "late", UP_SILENT);
    system_chat(&sys, &r, "late-model", true);
    assert_error(&r, 504, "upstream_timeout");
    http_free(&r);
    assert_int_equal(requests("late"), 1);
}

/* After Retry-After: 7 it is left alone, here for the two seconds that are the most. */
static void heeds_retry_after(void **state)
{
    struct http_reply r;
    (void)state;
    upstream_behave(up, "busy", UP_429);
    system_chat(&sys, &r, "busy-model", false);
    assert_error(&r, 429, "rate_limited");
    assert_string_equal(http_header(&r, "Retry-After"), "7");
    http_free(&r);
    assert_int_equal(requests("busy"), 1);
    upstream_behave(up, "busy", UP_GOOD);
    system_chat(&sys, &r, "busy-model", false);
    assert_error(&r, 429, "rate_limited");
    assert_non_null(http_header(&r, "Retry-After"));
    http_free(&r);
    assert_int_equal(requests("busy"), 1);
    sleep_ms(2100);
    system_chat(&sys, &r, "busy-model", false);
    assert_status(&r, 200);
    http_free(&r);
}

/* The first is silent: the second is asked beside it, answers, and the first is dropped. */
static void hedges(void **state)
{
    (void)state;
    upstream_behave(up, "slow", UP_SILENT);
    for (int stream = 0; stream < 2; stream++) {
        struct http_reply r;
        struct upstream_seen seen;
        int slow = requests("slow"), quick = requests("quick");
        system_chat(&sys, &r, "duo", stream);
        assert_status(&r, 200);
        assert_string_equal(http_header(&r, "X-VX11-Provider"), "quick");
        const char *row = system_account(&sys, http_header(&r, "X-Request-Id"));
        assert_true(str_starts(row, "ok|200|quick|duo|2|7|5|3|"));
        http_free(&r);
        assert_int_equal(requests("slow"), slow + 1);
        assert_int_equal(requests("quick"), quick + 1);
        eventually(5000, (upstream_seen(up, "slow", &seen), seen.running == 0));
    }
    upstream_behave(up, "slow", UP_GOOD);
}

/* Both are slow; the first one is still the first. And when the second fails, the first goes on. */
static void the_first_may_still_win(void **state)
{
    struct http_reply r;
    (void)state;
    upstream_behave(up, "slow", UP_SLOW_HEADERS);
    upstream_behave(up, "quick", UP_500);
    system_chat(&sys, &r, "duo", true);
    assert_status(&r, 200);
    assert_string_equal(http_header(&r, "X-VX11-Provider"), "slow");
    assert_true(sse_done(r.raw.body.data));
    http_free(&r);
    upstream_behave(up, "quick", UP_SILENT);
    system_chat(&sys, &r, "duo", false);
    assert_status(&r, 200);
    assert_string_equal(http_header(&r, "X-VX11-Provider"), "slow");
    http_free(&r);
}

static void caller_leaves_both(void **state)
{
    struct http_at at = system_link(&sys);
    struct upstream_seen slow, quick;
    int before = requests("quick");
    (void)state;
    upstream_behave(up, "slow", UP_SILENT);
    upstream_behave(up, "quick", UP_SILENT);
    int fd = http_open(&at, "POST", "/v1/chat/completions", chat_body("duo", true));
    eventually(5000, requests("quick") == before + 1);
    raw_close(fd);
    eventually(5000, (upstream_seen(up, "slow", &slow), upstream_seen(up, "quick", &quick),
                      slow.running == 0 && quick.running == 0));
}

static void module_that_is_not_there(void **state)
{
    struct http_reply r;
    (void)state;
    system_chat(&sys, &r, "ears/shub", false);
    assert_error(&r, 503, "module_not_there");
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
        cmocka_unit_test(tries_again),
        cmocka_unit_test(gives_up),
        cmocka_unit_test(heeds_retry_after),
        cmocka_unit_test(hedges),
        cmocka_unit_test(the_first_may_still_win),
        cmocka_unit_test(caller_leaves_both),
        cmocka_unit_test(module_that_is_not_there),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
