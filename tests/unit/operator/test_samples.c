/* Samples: what is read of metrics, what two readings differ by, the calls of a window, and how samples are
 * added up to minutes and hours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "operator/samples/samples_internal.h"

/* ---- readings ---- */

static const char text[] =
    "# TYPE vx11_http_requests_total counter\n"
    "vx11_http_requests_total{module=\"switch\",route=\"chat\",code=\"200\"} 10\n"
    "vx11_http_requests_total{module=\"switch\",route=\"chat\",code=\"503\"} 2\n"
    "vx11_http_requests_total{module=\"switch\",route=\"health\",code=\"200\"} 1000\n"
    "vx11_http_requests_in_flight{module=\"switch\"} 3\n"
    "vx11_http_request_seconds_bucket{module=\"switch\",route=\"chat\",le=\"0.1\"} 6\n"
    "vx11_http_request_seconds_bucket{module=\"switch\",route=\"chat\",le=\"1\"} 12\n"
    "vx11_http_request_seconds_bucket{module=\"switch\",route=\"chat\",le=\"+Inf\"} 12\n"
    "vx11_http_request_seconds_bucket{module=\"switch\",route=\"other\",le=\"0.1\"} 6\n"
    "vx11_http_request_seconds_bucket{module=\"switch\",route=\"other\",le=\"1\"} 6\n"
    "vx11_http_request_seconds_bucket{module=\"switch\",route=\"other\",le=\"+Inf\"} 6\n"
    "vx11_http_request_seconds_bucket{module=\"switch\",route=\"metrics\",le=\"0.1\"} 99\n"
    "vx11_http_callers_total{module=\"switch\",caller=\"people\",outcome=\"ok\"} 4\n"
    "vx11_http_caller_seconds_bucket{module=\"switch\",caller=\"people\",le=\"+Inf\"} 4\n"
    "vx11_calls_total{module=\"switch\",peer=\"hermes\",outcome=\"ok\"} 7\n"
    "vx11_calls_total{module=\"switch\",peer=\"hermes\",outcome=\"failed\"} 1\n"
    "vx11_calls_total{module=\"switch\",peer=\"engine/a\",outcome=\"cancelled\"} 2\n"
    "vx11_call_seconds_bucket{module=\"switch\",peer=\"hermes\",le=\"0.5\"} 8\n"
    "vx11_call_seconds_bucket{module=\"switch\",peer=\"hermes\",le=\"+Inf\"} 8\n"
    "vx11_loop_lag_seconds_sum{module=\"switch\"} 0.5\n"
    "vx11_loop_lag_seconds_count{module=\"switch\"} 100\n"
    "vx11_llm_requests_total{provider=\"local\",model=\"a\",outcome=\"ok\"} 5\n"
    "vx11_llm_requests_total{provider=\"x\",model=\"b\",outcome=\"failed\"} 2\n"
    "vx11_llm_tokens_total{provider=\"local\",model=\"a\",kind=\"completion\"} 300\n"
    "vx11_llm_tokens_total{provider=\"local\",model=\"a\",kind=\"prompt\"} 100\n"
    "vx11_queue_depth{priority=\"1\"} 2\n"
    "vx11_queue_depth{priority=\"4\"} 3\n"
    "foreign_metric 1\n";

static void read_it(struct reading *out, const char *from)
{
    char copy[sizeof text + 100];
    size_t line;
    snprintf(copy, sizeof copy, "%s", from);
    assert_int_equal(reading_parse(copy, strlen(copy), out, &line), 0);
}

static void test_reading(void **state)
{
    static struct reading r;
    double q;
    (void)state;
    read_it(&r, text);
    assert_true(r.requests == 12 && r.errors == 2 && r.in_flight == 3);
    assert_true(times_quantile(&r.latency, 0.5, &q) && q > 0.05 && q < 0.1); /* 12 of 18 below 0.1 */
    assert_true(times_quantile(&r.latency, 0.95, &q) && q > 0.8 && q <= 1);
    const struct calls *hermes = calls_find(r.to, r.to_count, "hermes");
    assert_non_null(hermes);
    assert_true(hermes->ok == 7 && hermes->failed == 1);
    assert_true(calls_find(r.to, r.to_count, "engine/a")->cancelled == 2);
    assert_null(calls_find(r.to, r.to_count, "link"));
    assert_true(calls_find(r.from, r.from_count, "people")->ok == 4);
    assert_true(r.llm_requests == 7 && r.llm_failures == 2);
    assert_true(r.completion_tokens == 300 && r.prompt_tokens == 100);
    assert_true(r.has_queue && r.queue_depth == 5);
    assert_true(r.has_lag && r.lag_count == 100);
    assert_false(r.has_tension); /* nobody has measured it */
    read_it(&r, "vx11_switch_tension 0\n");
    assert_true(r.has_tension && r.tension == 0);
    /* An engine. */
    assert_false(r.has_queue || r.has_writer);
    read_it(&r, "vx11_engine_prompt_tokens 10\nvx11_engine_embedding_tokens 4\n"
                "vx11_engine_prompt_tokens_per_second 99\nvx11_engine_completion_tokens 7\n"
                "vx11_engine_queue_length 2\nvx11_writer_queued 5\n");
    assert_true(r.prompt_tokens == 14 && r.completion_tokens == 7);
    assert_true(r.has_queue && r.queue_depth == 2);
    assert_true(r.has_writer && r.writer_queue == 5);
}

static void test_broken(void **state)
{
    static struct reading r;
    char broken[] = "vx11_queue_depth 1\nnot a metric at all\n";
    size_t line = 0;
    (void)state;
    assert_int_equal(reading_parse(broken, strlen(broken), &r, &line), VX11_ESYNTAX);
    assert_int_equal(line, 2);
}

static void test_many_peers(void **state)
{
    static struct reading r;
    struct buf b = BUF_INIT;
    size_t line;
    (void)state;
    for (int i = 0; i < 200; i++)
        buf_printf(&b, "vx11_calls_total{peer=\"engine/%d\",outcome=\"ok\"} 1\n", i);
    for (int i = 0; i < 100; i++)
        buf_printf(&b, "vx11_call_seconds_bucket{peer=\"engine/1\",le=\"%d\"} 1\n", i);
    assert_int_equal(reading_parse(b.data, b.len, &r, &line), 0);
    assert_int_equal(r.to_count, READING_CALLS);
    assert_int_equal(calls_find(r.to, r.to_count, "engine/1")->times.count, READING_STEPS);
    buf_free(&b);
}

static void test_difference(void **state)
{
    struct times before = {.bounds = {0.1, 1}, .steps = {5, 1}, .count = 2};
    struct times now = {.bounds = {0.1, 1, 10}, .steps = {5, 4, 2}, .count = 3}, d;
    double q;
    (void)state;
    times_since(&now, &before, &d);
    assert_true(d.steps[0] == 0 && d.steps[1] == 3 && d.steps[2] == 2);
    assert_true(times_quantile(&d, 0.5, &q) && q > 0.1 && q <= 1);
    times_since(&before, &now, &d); /* a counter never goes back */
    assert_true(d.steps[0] == 0 && d.steps[1] == 0);
    assert_false(times_quantile(&d, 0.5, &q));
    times_since(&now, NULL, &d);
    assert_true(d.steps[0] == 5);
}

/* ---- calls ---- */

static void push(struct calls_log *l, int64_t from, int64_t to, const char *who, double ok)
{
    struct edge *e = calloc(1, sizeof *e);
    snprintf(e->from, sizeof e->from, "%s", who);
    snprintf(e->to, sizeof e->to, "switch");
    e->ok = ok;
    e->times = (struct times){.bounds = {1}, .steps = {ok}, .count = 1};
    calls_push(l, from, to, e, 1);
}

static void test_window(void **state)
{
    static struct calls_log l;
    struct edge *edges;
    size_t count;
    int64_t window;
    (void)state;
    assert_int_equal(calls_sum(&l, 0, &edges, &count, &window), 0);
    assert_int_equal(count, 0);
    free(edges);
    for (int i = 0; i < 200; i++) /* more than are kept */
        push(&l, i * 10000, (i + 1) * 10000, i % 2 ? "link" : "operator", 1);
    assert_int_equal(calls_sum(&l, 2000000 - 60000, &edges, &count, &window), 0);
    assert_int_equal(count, 2);
    assert_int_equal(window, 60000);
    assert_true(edges[0].ok == 3 && edges[1].ok == 3 && edges[0].times.steps[0] == 3);
    free(edges);
    /* One tick longer than the window counts all the same. */
    push(&l, 2000000, 2100000, "link", 8);
    assert_int_equal(calls_sum(&l, 2100000 - 60000, &edges, &count, &window), 0);
    assert_int_equal(window, 100000);
    assert_true(count == 1 && edges[0].ok == 8);
    free(edges);
    calls_clear(&l);
}

/* ---- roll-up ---- */

static int on_number(void *ctx, const struct store_row *row)
{
    *(double *)ctx = row_is_null(row, 0) ? -1 : row_real(row, 0);
    return 0;
}

static double number(struct store *s, const char *sql)
{
    struct error err = {0};
    double out = -2;
    assert_int_equal(store_query(s, sql, NULL, 0, on_number, &out, &err), 0);
    return out;
}

static void sample(struct store *s, int64_t at, double value)
{
    struct error err = {0};
    const struct store_value values[] = {STORE_I(at), STORE_D(value)};
    assert_int_equal(store_exec(s, "INSERT INTO metric_sample (series, at, value) VALUES (1, ?1, ?2)", values,
                                2, NULL, &err),
                     0);
}

static void test_rollup(void **state)
{
    char dir[] = "/tmp/vx11-samples-XXXXXX", path[64];
    const int64_t hour = 3600000, begin = 1000 * hour;
    int64_t minutes = 0, hours = 0;
    struct store *s;
    struct error err = {0};
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/vx11.db", dir);
    assert_int_equal(store_open(&(struct store_options){.path = path, .migrate = true}, &s, &err), 0);
    assert_int_equal(store_exec(s,
                                "INSERT INTO metric_series (id, module, name, kind, unit, seen_at) VALUES "
                                "(1, 'link', 'cpu', 'gauge', '%', 0)",
                                NULL, 0, NULL, &err),
                     0);
    /* Nothing there: nothing to do. */
    assert_int_equal(rollup_work(s, begin, &minutes, &hours, &err), 0);
    assert_int_equal(minutes, begin - 60000); /* five seconds are left for the writer */
    for (int i = 0; i < 6; i++)
        sample(s, begin + i * 10000, i);
    sample(s, begin + 3 * 60000, 100); /* two minutes of nothing */
    sample(s, begin + hour + 1000, 7);
    assert_int_equal(rollup_work(s, begin + 64999, &minutes, &hours, &err), 0);
    assert_true(number(s, "SELECT count(*) FROM metric_minute") == 0); /* not settled yet */
    assert_int_equal(rollup_work(s, begin + 65000, &minutes, &hours, &err), 0);
    assert_true(number(s, "SELECT count(*) FROM metric_minute") == 1);
    assert_true(number(s, "SELECT mean FROM metric_minute") == 2.5);
    assert_true(number(s, "SELECT most FROM metric_minute") == 5);
    assert_true(number(s, "SELECT n FROM metric_minute") == 6);
    assert_int_equal(minutes, begin + 60000);
    assert_int_equal(rollup_work(s, begin + hour + 70000, &minutes, &hours, &err), 0);
    assert_true(number(s, "SELECT count(*) FROM metric_minute") == 3); /* none for what was not measured */
    assert_true(number(s, "SELECT count(*) FROM metric_hour") == 1);
    const double mean = number(s, "SELECT mean FROM metric_hour"); /* of all samples, not of minutes */
    assert_true(mean > 16.42 && mean < 16.43);
    assert_true(number(s, "SELECT most FROM metric_hour") == 100);
    assert_int_equal(minutes, begin + hour + 60000);
    assert_int_equal(hours, begin + hour);
    /* Once more changes nothing. */
    assert_int_equal(rollup_work(s, begin + hour + 70000, &minutes, &hours, &err), 0);
    assert_true(number(s, "SELECT count(*) FROM metric_minute") == 3);
    store_close(s);
    snprintf(path, sizeof path, "%s/vx11.db-wal", dir);
    (void)unlink(path);
    snprintf(path, sizeof path, "%s/vx11.db-shm", dir);
    (void)unlink(path);
    snprintf(path, sizeof path, "%s/vx11.db", dir);
    (void)unlink(path);
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),    cmocka_unit_test(test_broken), cmocka_unit_test(test_many_peers),
        cmocka_unit_test(test_difference), cmocka_unit_test(test_window), cmocka_unit_test(test_rollup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
