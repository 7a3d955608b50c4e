/* Providers that answer well, badly, late, partly or not at all: what the caller of Link gets, and what the
 * two rows say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "system.h"
#include "upstream.h"

static struct system sys;

/* "hi": 1 token and 4 for its message; the answer "hello": 2; five pieces of 3 bytes: 4. */
#define ESTIMATED        "5|2|null|null"
#define ESTIMATED_STREAM "5|4|null|null"
static struct upstream *up;

#define LIMITS "first_token_timeout_ms: 1200, idle_timeout_ms: 1200, connect_timeout_ms: 1000"

/* One provider for each, of the same name, so that no breaker hears of another's failures. */
static const struct fault {
    const char *name;
    enum behaviour behaviour;
    bool stream;
    int status;
    const char *code; /* of the error; "": none */
    const char *outcome,
        *tokens; /* of the rows: prompt|completion|cached, and the error when there is none */
} faults[] = {
    {"good", UP_GOOD, false, 200, "", "ok", "7|5|3|null"},
    {"good-stream", UP_GOOD, true, 200, "", "ok", "7|5|3|null"},
    {"no-usage", UP_NO_USAGE, false, 200, "", "ok", ESTIMATED},
    {"no-usage-stream", UP_NO_USAGE, true, 200, "", "ok", ESTIMATED_STREAM},
    {"slow", UP_SLOW_HEADERS, false, 200, "", "ok", "7|5|3|null"},
    {"slow-stream", UP_SLOW_HEADERS, true, 200, "", "ok", "7|5|3|null"},
    {"drip", UP_DRIP_SHORT, true, 200, "", "ok", "7|5|3|null"},
    {"reasoning", UP_REASONING, true, 200, "", "ok", "7|5|3|null"},
    {"finish-no-done", UP_FINISH_NO_DONE, true, 200, "", "ok", "7|5|3|null"},
    {"stall", UP_STALL, true, 200, "upstream_timeout", "failed", "5|1|null|"},
    {"garbage", UP_GARBAGE, false, 502, "upstream_broken", "failed", "null|null|null|"},
    {"garbage-stream", UP_GARBAGE, true, 502, "upstream_broken", "failed", "null|null|null|"},
    {"no-http", UP_NO_HTTP, false, 502, "upstream_broken", "failed", "null|null|null|"},
    {"no-http-stream", UP_NO_HTTP, true, 502, "upstream_broken", "failed", "null|null|null|"},
    {"half-early", UP_HALF_EARLY, true, 502, "upstream_broken", "failed", "null|null|null|"},
    {"half-late", UP_HALF_LATE, true, 200, "upstream_broken", "failed", "5|2|null|"},
    {"no-done", UP_NO_DONE, true, 200, "upstream_broken", "failed", "5|3|null|"},
    {"busy", UP_429, false, 429, "rate_limited", "failed", "null|null|null|"},
    {"busy-stream", UP_429, true, 429, "rate_limited", "failed", "null|null|null|"},
    {"down", UP_500, false, 502, "upstream_error", "failed", "null|null|null|"},
    {"away", UP_503, false, 503, "upstream_unavailable", "failed", "null|null|null|"},
    {"key", UP_401, false, 502, "provider_refused_key", "failed", "null|null|null|"},
    {"unknown", UP_404, true, 404, "model_not_found", "failed", "null|null|null|"},
    {"caller", UP_400, false, 400, "too_something", "failed", "null|null|null|"},
    {"caller-stream", UP_400, true, 400, "too_something", "failed", "null|null|null|"},
    {"bad-json", UP_BAD_JSON, false, 502, "upstream_broken", "failed", "null|null|null|"},
    {"no-choices", UP_NO_CHOICES, false, 502, "upstream_broken", "failed", "null|null|null|"},
    {"error-early", UP_ERROR_EARLY, true, 502, "upstream_broken", "failed", "null|null|null|"},
    {"error-late", UP_ERROR_LATE, true, 200, "fire", "failed", "5|2|null|"},
    {"silent", UP_SILENT, true, 504, "upstream_timeout", "failed", "null|null|null|"},
    {"close", UP_CLOSE, false, 502, "upstream_broken", "failed", "null|null|null|"},
    {"huge", UP_HUGE, false, 502, "upstream_broken", "failed", "null|null|null|"},
    {"big-event", UP_BIG_EVENT, true, 502, "upstream_broken", "failed", "null|null|null|"},
};

static int start(void **state)
{
    struct buf yaml = BUF_INIT;
    (void)state;
    up = upstream_start();
    buf_puts(&yaml, "switch:\n  breaker_open_ms: 500\n  retries: 0\n  rest_most_ms: 0\n  strategy: chain\n  "
                    "providers:\n");
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        upstream_yaml(up, &yaml, faults[i].name, "m", LIMITS);
        upstream_behave(up, faults[i].name, faults[i].behaviour);
    }
    upstream_yaml(up, &yaml, "first", "duo", LIMITS);
    upstream_yaml(up, &yaml, "second", "duo", LIMITS);
    upstream_yaml(up, &yaml, "brk", "brk-model", LIMITS);
    upstream_yaml(up, &yaml, "one", "one-model", "max_concurrency: 1");
    upstream_yaml(up, &yaml, "secret", "secret-model", "key_env: ITEST_KEY");
    upstream_yaml(up, &yaml, "keyless", "keyless-model", "key_env: ITEST_NO_SUCH_KEY");
    upstream_yaml(up, &yaml, "asked", "", NULL);
    buf_puts(&yaml,
             "    - {name: gone, kind: openai, base_url: \"http://127.0.0.1:1/v1\", models: [gone-model]}\n");
    system_init(&sys);
    system_env(&sys, "ITEST_KEY=sk-test-4711");
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

static void stops_clean(void **state)
{
    (void)state;
    system_stop(&sys);
}

/* ---- one provider ---- */

static void check_stream(const struct fault *f, const struct http_reply *r)
{
    const char *text = r->raw.body.data;
    bool whole = f->code[0] == '\0';
    assert_true(r->raw.complete);
    assert_string_equal(sse_error(text), f->code);
    if (sse_done(text) != whole) {
        print_error("%s: %s\n", f->name, text);
        fail();
    }
    assert_true(whole || strstr(text, "t0 ")); /* what came before is not lost */
    assert_false(whole && !strstr(text, "t4 "));
}

static void check_account(const struct fault *f, const struct http_reply *r)
{
    char want[200];
    const char *row = system_account(&sys, http_header(r, "X-Request-Id"));
    snprintf(want, sizeof want, "%s|%d|%s|m|1|%s", f->outcome, f->status, f->name, f->tokens);
    if (!str_starts(row, want)) {
        print_error("%s: row %s instead of %s\n", f->name, row, want);
        fail();
    }
}

static void every_fault(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        const struct fault *f = &faults[i];
        struct http_reply r;
        char model[80];
        snprintf(model, sizeof model, "%s/m", f->name);
        system_chat(&sys, &r, model, f->stream);
        if (r.status != f->status)
            print_error("%s\n", f->name);
        assert_status(&r, f->status);
        if (f->status == 200 && f->stream)
            check_stream(f, &r);
        else if (f->status == 200)
            assert_string_equal(http_text(&r, "/choices/0/message/content"), "hello");
        else
            assert_error(&r, f->status, f->code);
        if (f->status == 429)
            assert_string_equal(http_header(&r, "Retry-After"), "7");
        if (f->status == 400)
            assert_string_equal(http_text(&r, "/error/param"), "/messages");
        check_account(f, &r);
        http_free(&r);
    }
}

/* The usage that Switch asks for on its own is not shown to those who did not ask. */
static void usage_only_when_asked(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    (void)state;
    system_chat(&sys, &r, "good-stream/m", true);
    assert_null(strstr(r.raw.body.data, "prompt_tokens"));
    assert_int_equal(sse_count(r.raw.body.data), 7);
    http_free(&r);
    http(&r, &at, "POST", "/v1/chat/completions",
         "{\"model\":\"good-stream/"
         "m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"messages\":[{\"role\":"
         "\"user\",\"content\":\"hi\"}]}");
    assert_non_null(strstr(r.raw.body.data, "\"prompt_tokens\":7"));
    assert_int_equal(sse_count(r.raw.body.data), 8);
    http_free(&r);
}

static void own_chat(void **state)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    (void)state;
    http(&r, &at, "POST", "/switch/chat",
         "{\"model\":\"good/m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/content"), "hello");
    assert_string_equal(http_text(&r, "/provider"), "good");
    assert_int_equal(http_int(&r, "/usage/completion_tokens"), 5);
    http_free(&r);
    http(&r, &at, "POST", "/switch/chat",
         "{\"provider\":\"second\",\"model\":\"duo\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/provider"), "second");
    http_free(&r);
    http(&r, &at, "POST", "/switch/chat",
         "{\"provider_hint\":\"second\",\"model\":\"duo\",\"messages\":[{\"role\":\"user\",\"content\":"
         "\"hi\"}]}");
    assert_string_equal(http_text(&r, "/provider"), "second");
    http_free(&r);
    http(&r, &at, "POST", "/switch/chat",
         "{\"provider\":\"asked\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_status(&r, 200); /* its own first model */
    assert_string_equal(http_text(&r, "/provider"), "asked");
    http_free(&r);
    http(&r, &at, "POST", "/switch/chat",
         "{\"provider\":\"nobody\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_error(&r, 404, "model_not_found");
    http_free(&r);
}

static void text_completions(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    struct upstream_seen seen;
    (void)state;
    http(&r, &at, "POST", "/v1/completions", "{\"model\":\"good/m\",\"prompt\":\"hi\"}");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/choices/0/text"), "hello");
    http_free(&r);
    upstream_seen(up, "good", &seen);
    assert_non_null(strstr(seen.head, "POST /good/v1/completions "));
    assert_non_null(strstr(seen.body, "\"model\":\"m\"")); /* its own name of it */
}

/* ---- names ---- */

static void models_are_listed(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    (void)state;
    http(&r, &at, "GET", "/v1/models", NULL);
    assert_status(&r, 200);
    assert_non_null(strstr(r.raw.body.data, "\"asked/listed-one\""));
    assert_non_null(strstr(r.raw.body.data, "\"listed-two\""));
    assert_non_null(strstr(r.raw.body.data, "\"second/duo\""));
    assert_null(strstr(r.raw.body.data, "\"id\":\"duo\"")); /* two offer it */
    http_free(&r);
    http(&r, &at, "GET", "/v1/models/asked/listed-one", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/id"), "asked/listed-one");
    http_free(&r);
    system_chat(&sys, &r, "listed-one", false);
    assert_status(&r, 200);
    assert_string_equal(http_header(&r, "X-VX11-Provider"), "asked");
    assert_string_equal(http_header(&r, "X-VX11-Model"), "listed-one");
    http_free(&r);
}

static void unknown_models_get_names(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    (void)state;
    system_chat(&sys, &r, "listed-onn", false);
    assert_error(&r, 404, "model_not_found");
    assert_string_equal(http_text(&r, "/error/param"), "model");
    assert_non_null(strstr(http_text(&r, "/error/message"), "listed-one"));
    /* Nobody was asked. */
    assert_true(str_starts(system_account(&sys, http_header(&r, "X-Request-Id")),
                           "refused|404|null|null|0|null|null|null|there is"));
    http_free(&r);
    http(&r, &at, "GET", "/v1/models/brk-modle", NULL);
    assert_error(&r, 404, "model_not_found");
    assert_non_null(strstr(http_text(&r, "/error/message"), "brk-model"));
    http_free(&r);
}

static void odd_names(void **state)
{
    static const char *const paths[] = {"/v1/models/a%20b", "/v1/models/a%3Fb%23c%25",
                                        "/v1/models/%C3%A9%E2%82%AC", "/v1/models/a/b/c"};
    struct http_at at = system_link(&sys);
    struct http_reply r;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        http(&r, &at, "GET", paths[i], NULL);
        assert_error(&r, 404, "model_not_found");
        http_free(&r);
    }
    assert_int_equal(http_status(&at, "GET", "/v1/models/a%0d%0aX:b", NULL), 400);
    system_chat(&sys, &r, "\\u0000\\u001b[2J", false);
    assert_true(r.status == 404 || r.status == 422);
    http_free(&r);
}

/* Many who come before the models are known wait for one and the same listing. */
static void many_at_the_start(void **state)
{
    enum { N = 150 };
    static int fds[N];
    struct http_at at = system_link(&sys);
    struct http_reply r;
    struct upstream_seen before, after;
    (void)state;
    system_control(&sys, &r, "/supervisor/modules/switch/restart", "{}");
    assert_status(&r, 200);
    http_free(&r);
    upstream_seen(up, "asked", &before);
    for (int i = 0; i < N; i++)
        fds[i] = http_open(&at, "POST", "/v1/chat/completions", chat_body("listed-two", false));
    for (int i = 0; i < N; i++) {
        http_read(fds[i], &r);
        assert_status(&r, 200);
        http_free(&r);
        raw_close(fds[i]);
    }
    upstream_seen(up, "asked", &after);
    assert_int_equal(after.requests - before.requests, N);
    assert_true(after.listings - before.listings <= 5);
}

/* ---- keys ---- */

static void keys(void **state)
{
    struct http_reply r;
    struct upstream_seen seen;
    (void)state;
    system_chat(&sys, &r, "secret-model", false);
    assert_status(&r, 200);
    http_free(&r);
    upstream_seen(up, "secret", &seen);
    assert_non_null(strstr(seen.head, "Bearer sk-test-4711\r\n"));
    assert_null(strstr(seen.head, sys.token)); /* who asks is nobody's business outside */
    assert_null(strcasestr(seen.head, "x-vx11-principal"));
    assert_null(strstr(seen.head, "owner"));
    system_chat(&sys, &r, "keyless-model", false);
    assert_error(&r, 503, "provider_key_missing");
    http_free(&r);
    assert_false(system_has_text(&sys, "log/switch.log", "sk-test-4711"));
}

static void gone(void **state)
{
    struct http_reply r;
    (void)state;
    system_chat(&sys, &r, "gone-model", false);
    assert_error(&r, 502, "upstream_broken");
    http_free(&r);
}

/* ---- two providers ---- */

static void falls_back(void **state)
{
    static const enum behaviour failing[] = {UP_500,         UP_503,    UP_401,     UP_404,
                                             UP_429,         UP_SILENT, UP_GARBAGE, UP_HALF_EARLY,
                                             UP_ERROR_EARLY, UP_CLOSE,  UP_NO_HTTP};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(failing); i++) {
        struct http_reply r;
        char sql[300];
        upstream_behave(up, "first", failing[i]);
        system_chat(&sys, &r, "duo", true);
        if (r.status != 200)
            print_error("behaviour %d\n", (int)failing[i]);
        assert_status(&r, 200);
        assert_true(sse_done(r.raw.body.data));
        assert_string_equal(http_header(&r, "X-VX11-Provider"), "second");
        assert_string_equal(system_account(&sys, http_header(&r, "X-Request-Id")),
                            "ok|200|second|duo|2|7|5|3|null");
        snprintf(sql, sizeof sql,
                 "SELECT json_array_length(alternatives), json_extract(alternatives, '$[0].provider'), "
                 "json_extract(alternatives, "
                 "'$[0].result') <> '' FROM decision WHERE request_id = '%s'",
                 http_header(&r, "X-Request-Id"));
        assert_string_equal(system_row(&sys, sql), "1|first|1");
        http_free(&r);
        upstream_behave(up, "first", UP_GOOD); /* its breaker forgets */
        system_chat(&sys, &r, "duo", false);
        assert_status(&r, 200);
        assert_string_equal(http_header(&r, "X-VX11-Provider"), "first");
        http_free(&r);
    }
}

static void does_not_fall_back_after_the_first_token(void **state)
{
    struct http_reply r;
    (void)state;
    upstream_behave(up, "first", UP_HALF_LATE);
    system_chat(&sys, &r, "duo", true);
    assert_status(&r, 200);
    assert_string_equal(http_header(&r, "X-VX11-Provider"), "first");
    assert_string_equal(sse_error(r.raw.body.data), "upstream_broken");
    assert_false(sse_done(r.raw.body.data));
    http_free(&r);
    upstream_behave(up, "first", UP_GOOD);
    /* A request that is wrong is wrong everywhere. */
    upstream_behave(up, "first", UP_400);
    system_chat(&sys, &r, "duo", false);
    assert_error(&r, 400, "too_something");
    http_free(&r);
    upstream_behave(up, "first", UP_GOOD);
}

static void all_fail(void **state)
{
    struct http_reply r;
    (void)state;
    upstream_behave(up, "first", UP_500);
    upstream_behave(up, "second", UP_429);
    system_chat(&sys, &r, "duo", false);
    assert_error(&r, 429, "rate_limited");
    assert_string_equal(http_header(&r, "Retry-After"), "7");
    assert_true(str_starts(system_account(&sys, http_header(&r, "X-Request-Id")),
                           "failed|429|second|duo|2|null|null|null|"));
    http_free(&r);
    upstream_behave(up, "first", UP_GOOD);
    upstream_behave(up, "second", UP_GOOD);
    system_chat(&sys, &r, "duo", false);
    assert_status(&r, 200);
    http_free(&r);
}

static void concurrency_is_bounded(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    (void)state;
    upstream_behave(up, "one", UP_DRIP_SHORT);
    int fd = http_open(&at, "POST", "/v1/chat/completions", chat_body("one-model", true));
    assert_true(raw_wait_for(fd, "t0 ", NULL));
    system_chat(&sys, &r, "one-model", false);
    assert_error(&r, 429, "provider_busy");
    assert_non_null(http_header(&r, "Retry-After"));
    assert_true(str_starts(system_account(&sys, http_header(&r, "X-Request-Id")),
                           "refused|429|null|null|0|null|null|null|"));
    http_free(&r);
    assert_true(raw_wait_for(fd, "[DONE]", NULL));
    raw_close(fd);
    upstream_behave(up, "one", UP_GOOD);
    system_chat(&sys, &r, "one-model", false);
    assert_status(&r, 200);
    http_free(&r);
}

/* ---- the breaker ---- */

/* "state|failures" of provider brk as this route says. */
static const char *breaker_of(struct http_at at, const char *path, const char *name)
{
    static char out[100];
    struct http_reply r;
    out[0] = '\0';
    http(&r, &at, "GET", path, NULL);
    assert_status(&r, 200);
    for (int i = 0; i < 60; i++) {
        char p[80];
        snprintf(p, sizeof p, "/providers/%d/%s", i, name);
        if (strcmp(http_text(&r, p), "brk") != 0)
            continue;
        snprintf(p, sizeof p, "/providers/%d/breaker/state", i);
        size_t n = (size_t)snprintf(out, sizeof out, "%s", http_text(&r, p));
        snprintf(p, sizeof p, "/providers/%d/breaker/failures", i);
        n += (size_t)snprintf(out + n, sizeof out - n, "|%d", (int)http_int(&r, p));
        snprintf(p, sizeof p, "/providers/%d/status", i);
        snprintf(out + n, sizeof out - n, "|%s", http_text(&r, p));
    }
    http_free(&r);
    return out;
}

static void breaker(void **state)
{
    struct http_at link = system_link(&sys), sw = system_switch(&sys);
    struct http_reply r;
    struct upstream_seen seen;
    (void)state;
    int events = http_open(&link, "GET", "/events?type=system.alert", NULL);
    assert_true(raw_wait_for(events, "\r\n\r\n", NULL));
    upstream_behave(up, "brk", UP_500);
    for (int i = 0; i < 3; i++) {
        system_chat(&sys, &r, "brk-model", false);
        assert_error(&r, 502, "upstream_error");
        http_free(&r);
    }
    system_chat(&sys, &r, "brk-model", false);
    assert_error(&r, 503, "circuit_open");
    assert_string_equal(http_header(&r, "Retry-After"), "1");
    assert_true(str_starts(system_account(&sys, http_header(&r, "X-Request-Id")),
                           "refused|503|null|null|0|null|null|null|"));
    http_free(&r);
    upstream_seen(up, "brk", &seen);
    assert_int_equal(seen.requests, 3);
    /* It is said in every place. The 500 ms may be over by now: then a probe is due, but it is not closed. */
    assert_true(str_starts(breaker_of(link, "/vx11/circuit-breaker/status", "provider"), "open|3") ||
                str_starts(breaker_of(link, "/vx11/circuit-breaker/status", "provider"), "half_open|3"));
    assert_non_null(strstr(breaker_of(sw, "/switch/providers", "name"), "open|3|unavailable"));
    assert_true(raw_wait_for(events, "the breaker of provider brk is open", NULL));
    eventually(
        5000,
        system_count(&sys, "SELECT count(*) FROM event WHERE type = 'system.alert' AND source = 'switch' AND "
                           "payload LIKE '%provider brk is open%'") == 1);
    /* Still broken: the probe opens it again, and one only is let through. */
    sleep_ms(700);
    system_chat(&sys, &r, "brk-model", false);
    assert_error(&r, 502, "upstream_error");
    http_free(&r);
    system_chat(&sys, &r, "brk-model", false);
    assert_error(&r, 503, "circuit_open");
    http_free(&r);
    /* Mended: the probe closes it. While it runs, others are still refused. */
    sleep_ms(700);
    upstream_behave(up, "brk", UP_SLOW_HEADERS);
    int probe = http_open(&link, "POST", "/v1/chat/completions", chat_body("brk-model", false));
    eventually(8000, (upstream_seen(up, "brk", &seen), seen.running == 1));
    system_chat(&sys, &r, "brk-model", false);
    assert_error(&r, 503, "circuit_open");
    http_free(&r);
    http_read(probe, &r);
    assert_status(&r, 200);
    http_free(&r);
    raw_close(probe);
    assert_true(raw_wait_for(events, "the breaker of provider brk is closed", NULL));
    assert_string_equal(breaker_of(sw, "/switch/providers", "name"), "closed|0|ready");
    raw_close(events);
    upstream_behave(up, "brk", UP_GOOD);
    system_chat(&sys, &r, "brk-model", true);
    assert_status(&r, 200);
    http_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault),
        cmocka_unit_test(usage_only_when_asked),
        cmocka_unit_test(own_chat),
        cmocka_unit_test(text_completions),
        cmocka_unit_test(models_are_listed),
        cmocka_unit_test(unknown_models_get_names),
        cmocka_unit_test(odd_names),
        cmocka_unit_test(many_at_the_start),
        cmocka_unit_test(keys),
        cmocka_unit_test(gone),
        cmocka_unit_test(falls_back),
        cmocka_unit_test(does_not_fall_back_after_the_first_token),
        cmocka_unit_test(all_fail),
        cmocka_unit_test(concurrency_is_bounded),
        cmocka_unit_test(breaker),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
