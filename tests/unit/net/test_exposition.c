/* Exposition: what metrics_render writes is read as it was meant; what is no sample is told by its line. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "net/exposition.h"
#include "net/metrics.h"

struct seen {
    size_t count;
    double value;
    const char *want; /* name */
    char label[64];
};

static int look(void *ctx, const struct exposition_sample *s)
{
    struct seen *seen = ctx;
    seen->count++;
    if (strcmp(s->name, seen->want) != 0)
        return 0;
    const char *label = exposition_label(s, "x");
    seen->value = s->value;
    snprintf(seen->label, sizeof seen->label, "%s", label ? label : "-");
    return 0;
}

static int read_text(const char *text, struct seen *seen, size_t *line)
{
    char copy[1000];
    snprintf(copy, sizeof copy, "%s", text);
    return exposition_read(copy, strlen(copy), look, seen, line);
}

static void test_rendered(void **state)
{
    struct metrics *m = metrics_create(NULL, "link");
    struct buf out = BUF_INIT;
    size_t line;
    (void)state;
    metric_add(metrics_get(m, METRIC_COUNTER, "vx11_a_total", "x=\"a\\\"b\\\\c\"", "Things."), 3);
    metric_observe(metrics_get(m, METRIC_HISTOGRAM, "vx11_h", NULL, "Times."), 0.3);
    assert_int_equal(metrics_render(m, &out), 0);
    struct seen seen = {.want = "vx11_a_total"};
    assert_int_equal(exposition_read(out.data, out.len, look, &seen, &line), 0);
    assert_true(seen.value == 3);
    assert_string_equal(seen.label, "a\"b\\c");
    assert_int_equal(seen.count, 1 + 1 + 22 + 2); /* rss, the counter, the histogram */
    buf_free(&out);
    metrics_destroy(m);
}

static void test_forms(void **state)
{
    struct seen seen = {.want = "a"};
    size_t line;
    (void)state;
    assert_int_equal(read_text("\n# x\n a {x = \"1\" , y=\"2\",}  -1.5e3 1700000000000\r\n", &seen, &line),
                     0);
    assert_true(seen.value == -1500 && seen.count == 1);
    assert_string_equal(seen.label, "1");
    assert_int_equal(read_text("a +Inf", &seen, &line), 0);
    assert_true(isinf(seen.value));
    assert_int_equal(read_text("a NaN\n", &seen, &line), 0);
    assert_true(isnan(seen.value));
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "a",        "a x",  "{x=\"1\"} 1", "a{x=1} 1", "a{x=\"1} 1",          "a{x=\"1\"",
        "a{} 0x10", "1a 1", "a 1 x",       "a 1,5",    "a{x=\"1\" y=\"2\"} 1"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct seen seen = {.want = "a"};
        char text[100];
        size_t line = 0;
        snprintf(text, sizeof text, "a 1\n%s", bad[i]);
        if (read_text(text, &seen, &line) != VX11_ESYNTAX || line != 2)
            fail_msg("%s was taken", bad[i]);
    }
}

static void test_bounds(void **state)
{
    static char text[EXPOSITION_LINE + 100];
    struct seen seen = {.want = "a"};
    (void)state;
    memset(text, 'a', sizeof text);
    assert_int_equal(exposition_read(text, sizeof text, look, &seen, NULL), VX11_ETOO_LARGE);
    text[0] = '#';
    assert_int_equal(exposition_read(text, sizeof text, look, &seen, NULL), 0);
    memcpy(text, "a{", 2);
    size_t at = 2;
    for (int i = 0; i <= EXPOSITION_LABELS; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "l%d=\"\",", i);
    at += (size_t)snprintf(text + at, sizeof text - at, "} 1");
    assert_int_equal(exposition_read(text, at, look, &seen, NULL), VX11_ESYNTAX);
    char with_nul[] = "a\0b 1";
    assert_int_equal(exposition_read(with_nul, sizeof with_nul - 1, look, &seen, NULL), VX11_ESYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rendered),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
