/* Metrics: series, histograms, the text, counting from threads, the loop's lag. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/metrics.h"

static void test_series(void **state)
{
    struct metrics *m = metrics_create(NULL, "link");
    struct buf out = BUF_INIT;
    (void)state;
    assert_non_null(m);
    struct metric *a = metrics_get(m, METRIC_COUNTER, "vx11_a_total", "x=\"1\"", "Things.");
    assert_ptr_equal(metrics_get(m, METRIC_COUNTER, "vx11_a_total", "x=\"1\"", NULL), a);
    struct metric *b = metrics_get(m, METRIC_COUNTER, "vx11_a_total", "x=\"2\"", NULL);
    assert_ptr_not_equal(a, b);
    assert_null(metrics_get(m, METRIC_GAUGE, "vx11_a_total", NULL, NULL)); /* another kind by the same name */
    struct metric *g = metrics_get(m, METRIC_GAUGE, "vx11_g", NULL, "A gauge.");
    metric_add(a, 2);
    metric_add(a, 1);
    metric_set(g, 0.25);
    metric_add(g, -1);
    metric_set(metrics_get(m, METRIC_GAUGE, "vx11_nan", NULL, ""), (double)NAN);
    metric_set(metrics_get(m, METRIC_GAUGE, "vx11_inf", NULL, ""), (double)INFINITY);
    assert_true(metric_value(a) == 3);
    assert_true(metric_value(g) == -0.75);
    assert_int_equal(metrics_render(m, &out), 0);
    assert_non_null(strstr(
        out.data, "# HELP vx11_a_total Things.\n# TYPE vx11_a_total counter\n"
                  "vx11_a_total{module=\"link\",x=\"1\"} 3\nvx11_a_total{module=\"link\",x=\"2\"} 0\n"));
    assert_non_null(strstr(out.data, "# TYPE vx11_g gauge\nvx11_g{module=\"link\"} -0.75\n"));
    assert_non_null(strstr(out.data, "vx11_nan{module=\"link\"} NaN\n"));
    assert_non_null(strstr(out.data, "vx11_inf{module=\"link\"} +Inf\n"));
    assert_non_null(strstr(out.data, "vx11_process_resident_bytes{module=\"link\"} "));
    assert_null(strstr(out.data, "vx11_process_resident_bytes{module=\"link\"} 0\n"));
    assert_true(metrics_loop_lag(m) < 0);
    buf_free(&out);
    metrics_destroy(m);
}

static void test_histogram(void **state)
{
    struct metrics *m = metrics_create(NULL, "link");
    struct metric *h = metrics_get(m, METRIC_HISTOGRAM, "vx11_h_seconds", NULL, "Times.");
    struct buf out = BUF_INIT;
    (void)state;
    assert_true(isnan(metric_quantile(h, 0.5)));
    for (int i = 0; i < 100; i++)
        metric_observe(h, 0.03);
    assert_true(metric_quantile(h, 0.5) > 0.025 && metric_quantile(h, 0.5) <= 0.05);
    metric_observe(h, 0.00001);
    metric_observe(h, 10000);
    assert_true(metric_quantile(h, 0) <= 0.0001);
    assert_true(metric_quantile(h, 1) == 600);
    assert_int_equal(metrics_render(m, &out), 0);
    assert_non_null(strstr(out.data, "vx11_h_seconds_bucket{module=\"link\",le=\"0.0001\"} 1\n"));
    assert_non_null(strstr(out.data, "vx11_h_seconds_bucket{module=\"link\",le=\"0.025\"} 1\n"));
    assert_non_null(strstr(out.data, "vx11_h_seconds_bucket{module=\"link\",le=\"0.05\"} 101\n"));
    assert_non_null(strstr(out.data, "vx11_h_seconds_bucket{module=\"link\",le=\"600\"} 101\n"));
    assert_non_null(strstr(out.data, "vx11_h_seconds_bucket{module=\"link\",le=\"+Inf\"} 102\n"));
    assert_non_null(strstr(out.data, "vx11_h_seconds_count{module=\"link\"} 102\n"));
    buf_free(&out);
    metrics_destroy(m);
}

static void *bump(void *arg)
{
    for (int i = 0; i < 20000; i++)
        metric_add(arg, 1);
    return NULL;
}

static void test_threads(void **state)
{
    struct metrics *m = metrics_create(NULL, "link");
    struct metric *c = metrics_get(m, METRIC_COUNTER, "vx11_c_total", NULL, "");
    pthread_t t[3];
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, bump, c), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    assert_true(metric_value(c) == 60000);
    metrics_destroy(m);
}

static void block(uv_timer_t *t)
{
    uv_unref((uv_handle_t *)t);
    usleep(900000); /* what a handler must not do */
}

static void finish(uv_timer_t *t)
{
    uv_close((uv_handle_t *)t, NULL);
}

static int refreshed;
static void on_render(void *ctx)
{
    refreshed++;
    metric_set(ctx, 7);
}

static void test_loop_lag(void **state)
{
    uv_loop_t loop;
    uv_timer_t busy, end;
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    struct metrics *m = metrics_create(&loop, "link");
    uv_timer_init(&loop, &busy);
    uv_timer_init(&loop, &end);
    uv_timer_start(&busy, block, 10, 0);
    uv_timer_start(&end, finish, 1000, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(metrics_loop_lag(m) > 0.3);
    assert_true(metrics_loop_lag(m) < 2);
    struct metric *g = metrics_get(m, METRIC_GAUGE, "vx11_g", NULL, "");
    struct buf out = BUF_INIT;
    assert_int_equal(metrics_on_render(m, on_render, g), 0);
    assert_int_equal(metrics_render(m, &out), 0);
    assert_int_equal(refreshed, 1);
    assert_non_null(strstr(out.data, "vx11_g{module=\"link\"} 7\n"));
    buf_free(&out);
    uv_close((uv_handle_t *)&busy, NULL);
    metrics_destroy(m); /* stops it too */
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_series),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_loop_lag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
