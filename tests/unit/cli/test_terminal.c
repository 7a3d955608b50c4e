/* Terminal: no byte that a terminal obeys comes through, and everything else does. */
#include "cli_test.h"

#include "cli/cli_internal.h"

static void check(const char *in, bool one_line, const char *expected)
{
    struct buf out = BUF_INIT;
    assert_int_equal(terminal_clean(in, strlen(in), one_line, &out), 0);
    assert_string_equal(out.data, expected);
    assert_int_equal(out.len, strlen(expected));
    buf_free(&out);
}

static void test_plain(void **state)
{
    (void)state;
    check("", false, "");
    check("plain", false, "plain");
    check("a\tb\nc", false, "a\tb\nc");
    check("a\tb\nc", true, "a b c");
    check("¿Qué? 漢字 🙂", false, "¿Qué? 漢字 🙂");
    check(" ¡", false, " ¡"); /* U+00A0 and U+00A1: just past C1 */
}

static void test_escapes(void **state)
{
    (void)state;
    check("\033[31mred\033[0m", false, "[31mred[0m");
    check("\033]52;c;aGk=\a", false, "]52;c;aGk=");
    check("a\xC2\x9B"
          "31mb",
          false, "a31mb"); /* C1's CSI */
    check("over\rwritten\b\b", false, "overwritten");
    check("\x7F\x01\x1F\x0E", false, "");
    check("\r\n", false, "\n");
}

static void test_malformed(void **state)
{
    (void)state;
    check("a\xFFz", false, "a\xEF\xBF\xBDz");
    check("\xC2", false, "\xEF\xBF\xBD");
    check("\x9B"
          "31m",
          false,
          "\xEF\xBF\xBD"
          "31m"); /* C1 as a lone byte */
    check("\xED\xA0\x80", true, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

static void test_every_control(void **state)
{
    (void)state;
    for (unsigned c = 1; c < 0xA0; c++) {
        char in[8];
        if (c >= 0x20 && c < 0x7F)
            continue;
        int n =
            c < 0x80 ? snprintf(in, sizeof in, "%c", (char)c) : snprintf(in, sizeof in, "\xC2%c", (char)c);
        struct buf out = BUF_INIT;
        assert_int_equal(terminal_clean(in, (size_t)n, false, &out), 0);
        assert_int_equal(out.len, c == '\n' || c == '\t' ? 1 : 0);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_every_control),
    };
    return cmocka_run_group_tests_name("cli terminal", tests, NULL, NULL);
}
