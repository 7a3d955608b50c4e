/* The story of a request whose first providers fail, are slow or ask to be left alone; what the map and the
 * tension say of that; and the decision log when it is long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "store/store.h"
#include "system.h"
#include "upstream.h"

enum { MANY = 12000 };

static struct system sys;
static struct upstream *up;

static int start(void **state)
{
    struct buf yaml = BUF_INIT;
    (void)state;
    up = upstream_start();
    buf_puts(&yaml, "operator:\n  samples:\n    interval_ms: 1000\nswitch:\n  tension_interval_ms: 1000\n"
                    "  breaker_threshold: 1000\n  retries: 1\n  retry_base_ms: 100\n  retry_most_ms: 100\n"
                    "  hedge_ms: 200\n  strategy: chain\n  providers:\n");
    upstream_yaml(up, &yaml, "first", "both", NULL);
    upstream_yaml(up, &yaml, "second", "both", NULL);
    upstream_yaml(up, &yaml, "alone", "solo", NULL);
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

static void stops_clean(void **state)
{
    (void)state;
    system_stop(&sys);
}

/* Asks, and reads what the log says of it. */
static void story(const char *model, int want, struct http_reply *out)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    char sql[200], path[200];
    system_chat(&sys, &r, model, true);
    assert_status(&r, want);
    const char *id = http_header(&r, "X-Request-Id");
    (void)system_account(&sys, id); /* waits for the row */
    snprintf(sql, sizeof sql, "SELECT id FROM decision WHERE request_id = '%s'", id);
    snprintf(path, sizeof path, "/switch/decisions/%s", system_row(&sys, sql));
    http_free(&r);
    http(out, &at, "GET", path, NULL);
    assert_status(out, 200);
}

static void attempt_is(const struct http_reply *r, int i, const char *provider, const char *kind,
                       const char *outcome, int64_t status)
{
    char path[100];
    snprintf(path, sizeof path, "/story/attempts/%d", i);
    yyjson_val *a = yyjson_ptr_get(yyjson_doc_get_root(r->json), path);
    const char *p = yyjson_get_str(yyjson_obj_get(a, "provider")),
               *k = yyjson_get_str(yyjson_obj_get(a, "kind")),
               *o = yyjson_get_str(yyjson_obj_get(a, "outcome"));
    yyjson_val *s = yyjson_obj_get(a, "status");
    if (!p || !k || !o || strcmp(p, provider) != 0 || strcmp(k, kind) != 0 || strcmp(o, outcome) != 0 ||
        (status ? yyjson_get_sint(s) != status : !yyjson_is_null(s)))
        fail_msg("attempt %d is not %s, %s, %s: %s", i, provider, kind, outcome, r->raw.body.data);
}

static double moment(const struct http_reply *r, int i, const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "/story/attempts/%d/%s", i, name);
    yyjson_val *v = yyjson_ptr_get(yyjson_doc_get_root(r->json), path);
    return yyjson_is_num(v) ? yyjson_get_num(v) : -1;
}

static bool measured(void)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    http(&r, &at, "GET", "/operator/map", NULL);
    const bool yes = http_int(&r, "/measured_at") > 0;
    http_free(&r);
    return yes;
}

static void falls_back(void **state)
{
    struct http_reply r;
    (void)state;
    eventually(10000, measured()); /* what was before the first look is not counted */
    upstream_behave(up, "first", UP_500);
    story("both", 200, &r);
    attempt_is(&r, 0, "first", "first", "failed", 500);
    attempt_is(&r, 1, "second", "fallback", "ok", 200);
    assert_true(strlen(http_text(&r, "/story/attempts/0/error")) > 5);
    assert_true(moment(&r, 1, "start_ms") >= moment(&r, 0, "end_ms"));
    assert_true(moment(&r, 0, "first_token_ms") < 0);
    assert_true(moment(&r, 1, "first_token_ms") >= moment(&r, 1, "headers_ms"));
    assert_true(moment(&r, 1, "end_ms") >= moment(&r, 1, "first_token_ms"));
    http_free(&r);
}

static void hedges(void **state)
{
    struct http_reply r;
    (void)state;
    upstream_behave(up, "first", UP_SLOW_HEADERS);
    story("both", 200, &r);
    attempt_is(&r, 0, "first", "first", "dropped", 0);
    attempt_is(&r, 1, "second", "hedge", "ok", 200);
    assert_true(moment(&r, 1, "start_ms") >= 150 && moment(&r, 0, "headers_ms") < 0);
    http_free(&r);
    upstream_behave(up, "first", UP_GOOD);
}

static void retries(void **state)
{
    struct http_reply r;
    (void)state;
    upstream_behave(up, "alone", UP_CLOSE);
    story("solo", 502, &r);
    attempt_is(&r, 0, "alone", "first", "failed", 0);
    attempt_is(&r, 1, "alone", "retry", "failed", 0);
    assert_int_equal(yyjson_arr_size(yyjson_ptr_get(yyjson_doc_get_root(r.json), "/story/attempts")), 2);
    http_free(&r);
    /* One that nobody was asked for has a story too. */
    struct http_at at = system_link(&sys);
    system_chat(&sys, &r, "no-such-model", false);
    char sql[200], path[200];
    const char *id = http_header(&r, "X-Request-Id");
    (void)system_account(&sys, id);
    snprintf(sql, sizeof sql, "SELECT id FROM decision WHERE request_id = '%s'", id);
    snprintf(path, sizeof path, "/switch/decisions/%s", system_row(&sys, sql));
    http_free(&r);
    http(&r, &at, "GET", path, NULL);
    assert_int_equal(yyjson_arr_size(yyjson_ptr_get(yyjson_doc_get_root(r.json), "/story/attempts")), 0);
    http_free(&r);
}

/* ---- the map, the tension ---- */

static int64_t edge(const char *to, const char *field)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    int64_t n = -1;
    yyjson_val *e;
    yyjson_arr_iter iter;
    http(&r, &at, "GET", "/operator/map", NULL);
    assert_status(&r, 200);
    yyjson_arr_iter_init(yyjson_ptr_get(yyjson_doc_get_root(r.json), "/edges"), &iter);
    while ((e = yyjson_arr_iter_next(&iter)))
        if (str_eq(yyjson_get_str(yyjson_obj_get(e, "from")), "switch") &&
            str_eq(yyjson_get_str(yyjson_obj_get(e, "to")), to))
            n = yyjson_get_sint(yyjson_obj_get(e, field));
    http_free(&r);
    return n;
}

static void providers_on_the_map(void **state)
{
    (void)state;
    eventually(10000, edge("provider/alone", "failures") == 2);
    assert_int_equal(edge("provider/alone", "calls"), 2);
    assert_int_equal(edge("provider/first", "failures"), 1);
    assert_int_equal(edge("provider/first", "cancelled"), 1);
    assert_int_equal(edge("provider/second", "failures"), 0);
}

static int64_t tension(void)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    http(&r, &at, "GET", "/switch/tension", NULL);
    const int64_t value = http_int(&r, "/value");
    http_free(&r);
    return value;
}

static void tension_is_told(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    (void)state;
    /* Attempts have failed within the last minute. */
    eventually(10000,
               system_count(&sys, "SELECT count(*) FROM event WHERE type = 'switch.tension.updated' AND "
                                  "source = 'switch'") > 0);
    eventually(5000, tension() > 0);
    http(&r, &at, "GET", "/switch/tension", NULL);
    assert_status(&r, 200);
    yyjson_val *errors = yyjson_ptr_get(yyjson_doc_get_root(r.json), "/components/errors");
    assert_true(yyjson_get_num(errors) > 0);
    http_free(&r);
    http(&r, &at, "GET", "/vx11/events?type=switch.tension.updated&limit=1", NULL);
    assert_true(http_int(&r, "/events/0/payload/value") >= 0);
    assert_non_null(yyjson_ptr_get(yyjson_doc_get_root(r.json), "/events/0/payload/components/errors"));
    http_free(&r);
    eventually(5000,
               system_count(&sys, "SELECT count(*) FROM metric_sample WHERE value > 0 AND series = (SELECT "
                                  "id FROM metric_series WHERE name = 'tension')") > 0);
}

/* ---- a long log ---- */

static void a_long_log(void **state)
{
    static const char sql[] =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) "
        "INSERT INTO decision (id, request_id, at, route, requested_model, provider, model, reason, "
        "attempts, "
        "stream, outcome, status, prompt_tokens, completion_tokens, first_token_ms, total_ms, "
        "principal_name) "
        "SELECT printf('00000000000000000000%06d', i), 'old-' || i, 1700000000000 + i * 1000, 'chat', 'm', "
        "'old', 'm' || (i % 7), 'by hand', 1, 1, iif(i % 100, 'ok', 'failed'), 200, 10, 20, i % 100, i % "
        "1000, "
        "'somebody' FROM n";
    struct store_options options = {.path = system_path(&sys, "vx11.db")};
    struct http_at at = system_link(&sys);
    struct http_reply r;
    struct store *s;
    struct error err = {0};
    char cursor[64] = "", path[300];
    int rows = 0, pages = 0;
    (void)state;
    assert_int_equal(store_open(&options, &s, &err), 0);
    assert_int_equal(store_exec(s, sql, NULL, 0, NULL, &err), 0);
    store_close(s);
    do { /* rare ones, through all of it: short pages, and an end */
        snprintf(path, sizeof path, "/switch/decisions?principal=somebody&outcome=failed&limit=50%s%s",
                 cursor[0] ? "&cursor=" : "", cursor);
        int64_t began = clock_mono_ms();
        http(&r, &at, "GET", path, NULL);
        assert_status(&r, 200);
        if (!test_sanitized())
            assert_true(clock_mono_ms() - began < 500);
        rows += (int)yyjson_arr_size(yyjson_ptr_get(yyjson_doc_get_root(r.json), "/decisions"));
        snprintf(cursor, sizeof cursor, "%s", http_text(&r, "/next_cursor"));
        http_free(&r);
    } while (cursor[0] && ++pages < 100);
    assert_int_equal(rows, MANY / 100);
    http(&r, &at, "GET",
         "/switch/stats?by=day&group=model&provider=old&since=1699900000000&until=1700100000000", NULL);
    assert_status(&r, 200);
    int64_t requests = 0, failed = 0;
    yyjson_val *v;
    yyjson_arr_iter iter;
    yyjson_arr_iter_init(yyjson_ptr_get(yyjson_doc_get_root(r.json), "/rows"), &iter);
    while ((v = yyjson_arr_iter_next(&iter))) {
        requests += yyjson_get_sint(yyjson_obj_get(v, "requests"));
        failed += yyjson_get_sint(yyjson_obj_get(v, "failed"));
        const double half = yyjson_get_num(yyjson_obj_get(v, "first_token_p50_ms"));
        assert_true(half > 40 && half < 60);
        const double most = yyjson_get_num(yyjson_obj_get(v, "total_p95_ms"));
        assert_true(most > 850 && most < 1050);
    }
    assert_int_equal(requests, MANY);
    assert_int_equal(failed, MANY / 100);
    http_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(falls_back),      cmocka_unit_test(hedges),
        cmocka_unit_test(retries),         cmocka_unit_test(providers_on_the_map),
        cmocka_unit_test(tension_is_told), cmocka_unit_test(a_long_log),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
