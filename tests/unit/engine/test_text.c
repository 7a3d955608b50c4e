/* Characters and stop strings, cut at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "engine/text.h"

/* Feeds bytes cut after `first` and then every `step`; checks that each piece that comes out is whole
 * characters. */
static void feed(const char *bytes, size_t len, const char *const *stops, size_t stop_count, size_t first,
                 size_t step, struct buf *out, bool *stopped)
{
    struct text t;
    text_init(&t, stops, stop_count);
    for (size_t at = 0; at < len;) {
        const size_t n = at == 0 && first > 0 ? first : step;
        const size_t piece = n < len - at ? n : len - at;
        const size_t before = out->len;
        assert_int_equal(text_feed(&t, bytes + at, piece, out), 0);
        assert_true(utf8_valid(out->data ? out->data + before : "", out->len - before));
        if (!t.stopped)
            assert_int_equal(text_shown(&t), out->len);
        at += piece;
    }
    assert_int_equal(text_finish(&t, out), 0);
    *stopped = t.stopped;
    text_free(&t);
}

static void check_cuts(const char *bytes, size_t len, const char *const *stops, size_t stop_count,
                       const char *want, bool stop)
{
    for (size_t first = 0; first <= len; first++) {
        for (size_t step = 1; step <= len; step += step > 8 ? 7 : 1) {
            struct buf out = BUF_INIT;
            bool stopped = false;
            feed(bytes, len, stops, stop_count, first, step, &out, &stopped);
            assert_string_equal(out.data ? out.data : "", want);
            assert_int_equal(stopped, stop);
            buf_free(&out);
        }
    }
}

static void test_characters(void **state)
{
    (void)state;
    static const char text[] = "a é ñ € 漢字 🐜 z";
    check_cuts(text, sizeof text - 1, NULL, 0, text, false);
}

static void test_wrong_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *want;
    } cases[] = {
        {"a\xFFz", 3, "a\xEF\xBF\xBDz"},
        {"\xC0\xAF", 2, "\xEF\xBF\xBD\xEF\xBF\xBD"},                 /* overlong */
        {"\xED\xA0\x80", 3, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}, /* surrogate */
        {"\xE2\x82", 2, "\xEF\xBF\xBD"},                             /* cut at the end */
        {"\xF0\x9F\x90", 3, "\xEF\xBF\xBD"},
        {"\xE2\x82z", 3, "\xEF\xBF\xBDz"}, /* broken off */
        {"a\0b", 3,
         "a\xEF\xBF\xBD"
         "b"},
        {"\xE2\xE2\x82\xAC", 4, "\xEF\xBF\xBD€"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check_cuts(cases[i].bytes, cases[i].len, NULL, 0, cases[i].want, false);
}

static void test_stops(void **state)
{
    (void)state;
    static const char *const stops[] = {"</end>", "STOP", "ñandú"};
    static const struct {
        const char *text, *want;
        bool stop;
    } cases[] = {
        {"one two </end> three", "one two ", true},
        {"one two </en", "one two </en", false},
        {"one STO STOP x", "one STO ", true},
        {"un ñandú corre", "un ", true},
        {"un ñandu corre", "un ñandu corre", false},
        {"SSTOP", "S", true},
        {"STSTOP", "ST", true},
        {"</en</end>", "</en", true},
        {"x STOP y </end>", "x ", true},
        {"x </end> y STOP", "x ", true},
        {"STOP", "", true},
        {"", "", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check_cuts(cases[i].text, strlen(cases[i].text), stops, COUNT_OF(stops), cases[i].want,
                   cases[i].stop);
}

static void test_overlapping_stops(void **state)
{
    (void)state;
    static const char *const stops[] = {"aab", "ab"};
    check_cuts("xaaab", 5, stops, 2, "xa", true);
    check_cuts("xaaa", 4, stops, 2, "xaaa", false);
}

/* Nothing of what may still become a stop string is shown, and all else at once. */
static void test_held(void **state)
{
    (void)state;
    static const char *const stops[] = {"END"};
    struct buf out = BUF_INIT;
    struct text t;
    text_init(&t, stops, 1);
    assert_int_equal(text_feed(&t, "abE", 3, &out), 0);
    assert_string_equal(out.data, "ab");
    assert_int_equal(text_feed(&t, "N", 1, &out), 0);
    assert_string_equal(out.data, "ab");
    assert_int_equal(text_feed(&t, "x", 1, &out), 0);
    assert_string_equal(out.data, "abENx");
    assert_int_equal(text_shown(&t), 5);
    assert_null(t.met);
    assert_int_equal(text_feed(&t, "END", 3, &out), 0);
    assert_true(t.stopped);
    assert_ptr_equal(t.met, stops[0]);
    text_free(&t);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_characters), cmocka_unit_test(test_wrong_bytes),
        cmocka_unit_test(test_stops),      cmocka_unit_test(test_overlapping_stops),
        cmocka_unit_test(test_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
