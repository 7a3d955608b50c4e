/* Buf: growth, the terminating NUL, JSON strings, and failing allocations (the source is included with
 * realloc replaced). */
#include "test.h"

static int realloc_left = -1;

static void *test_realloc_or_fail(void *p, size_t size)
{
    if (realloc_left == 0)
        return NULL;
    if (realloc_left > 0)
        realloc_left--;
    return realloc(p, size);
}

#define realloc(p, size) test_realloc_or_fail(p, size)
#include "base/buf.c" // NOLINT(bugprone-suspicious-include)
#undef realloc

static void append(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    assert_int_equal(buf_append(&b, NULL, 0), 0);
    assert_string_equal(b.data, "");
    assert_int_equal(buf_puts(&b, "ab"), 0);
    assert_int_equal(buf_putc(&b, 'c'), 0);
    assert_int_equal(buf_printf(&b, "-%d-%s", 7, "x"), 0);
    assert_string_equal(b.data, "abc-7-x");
    assert_int_equal(buf_printf(&b, "%1000d", 5), 0);
    assert_int_equal(b.len, 1007);
    assert_int_equal(strlen(b.data), 1007);
    buf_consume(&b, 1005);
    assert_string_equal(b.data, " 5");
    buf_consume(&b, 99); /* more than there is: all */
    assert_string_equal(b.data, "");
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf_putc(&b, 'z'), 0);
    assert_int_equal(strlen(b.data), 100000);
    buf_clear(&b);
    assert_int_equal(b.len, 0);
    size_t len = 1;
    buf_puts(&b, "mine");
    char *text = buf_detach(&b, &len);
    assert_string_equal(text, "mine");
    assert_int_equal(len, 4);
    assert_null(b.data);
    free(text);
    assert_null(buf_detach(&b, NULL));
    buf_free(&b);
}

static void json(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t len;
        const char *want;
    } cases[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\""},
        {"é€😀", 9, "\"é€😀\""},
        {"a\xff"
         "b",
         3,
         "\"a\xEF\xBF\xBD"
         "b\""},
        {"\xC0\xAF", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},                 /* overlong */
        {"\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""}, /* surrogate */
        {"\xE2\x82", 2, "\"\xEF\xBF\xBD\""},                             /* cut: one replacement */
        {"\xF0\x9F\x98z", 4, "\"\xEF\xBF\xBDz\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf b = BUF_INIT;
        assert_int_equal(buf_put_json_string(&b, cases[i].in, cases[i].len), 0);
        assert_string_equal(b.data, cases[i].want);
        buf_free(&b);
    }
}

static void out_of_memory(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    assert_int_equal(buf_reserve(&b, SIZE_MAX - 10), VX11_ENOMEM);
    assert_true(b.failed);
    buf_clear(&b);
    for (int left = 0; left < 4; left++) {
        realloc_left = left;
        buf_puts(&b, "start ");
        buf_put_json_string(&b, "0123456789", 10);
        buf_printf(&b, "%100d", 1);
        buf_printf(&b, "%1000d", 1);
        buf_append(&b, "0123456789", 10);
        assert_true(b.failed);
        size_t len = b.len;
        realloc_left = -1;
        assert_int_equal(buf_putc(&b, 'x'), VX11_ENOMEM); /* sticky: no text with a hole */
        assert_int_equal(b.len, len);
        assert_true(!b.data || b.data[len] == '\0');
        buf_clear(&b);
        assert_int_equal(buf_putc(&b, 'x'), 0);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append),
        cmocka_unit_test(json),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
