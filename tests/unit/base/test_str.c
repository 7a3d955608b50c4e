/* Strings: numbers, sizes, durations, UTF-8, nearest names. */
#include "test.h"

#include <float.h>
#include <locale.h>

#include "base/error.h"
#include "base/str.h"

static void comparisons(void **state)
{
    (void)state;
    assert_true(str_eq(NULL, NULL));
    assert_false(str_eq("", NULL));
    assert_true(str_eq("a", "a"));
    assert_true(str_starts("abc", "ab"));
    assert_true(str_starts("abc", ""));
    assert_false(str_starts("a", "ab"));
    assert_true(str_ends("abc", "bc"));
    assert_false(str_ends("c", "bc"));
    assert_false(str_ends(NULL, ""));
}

static void integers(void **state)
{
    (void)state;
    int64_t v = 0;
    assert_int_equal(str_to_i64("0", 0, 10, &v), 0);
    assert_int_equal(str_to_i64("-5", -10, 10, &v), 0);
    assert_int_equal(v, -5);
    assert_int_equal(str_to_i64("007", 0, 10, &v), 0);
    assert_int_equal(v, 7);
    assert_int_equal(str_to_i64("9223372036854775807", INT64_MIN, INT64_MAX, &v), 0);
    assert_true(v == INT64_MAX);
    assert_int_equal(str_to_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &v), 0);
    assert_true(v == INT64_MIN);
    assert_int_equal(str_to_i64("9223372036854775808", INT64_MIN, INT64_MAX, &v), VX11_ERANGE);
    assert_int_equal(str_to_i64("-9223372036854775809", INT64_MIN, INT64_MAX, &v), VX11_ERANGE);
    assert_int_equal(str_to_i64("99999999999999999999999999", INT64_MIN, INT64_MAX, &v), VX11_ERANGE);
    assert_int_equal(str_to_i64("11", 0, 10, &v), VX11_ERANGE);
    static const char *const bad[] = {
        "", " 1", "1 ", "+1", "-", "--1", "0x10", "1.0", "1e3", "one", "99999999999999999999999999x"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(str_to_i64(bad[i], INT64_MIN, INT64_MAX, &v), VX11_ESYNTAX);
    assert_int_equal(str_to_i64(NULL, 0, 1, &v), VX11_ESYNTAX);
}

static void reals(void **state)
{
    (void)state;
    /* Where the machine has one, a locale that writes 1,5. */
    (void)(setlocale(LC_NUMERIC, "de_DE.UTF-8") || setlocale(LC_NUMERIC, "es_ES.UTF-8"));
    static const struct {
        const char *text;
        double want;
    } good[] = {{"0", 0},      {"1.5", 1.5},     {"-0.25", -0.25}, {".5", .5},
                {"1e3", 1000}, {"2.5E-2", .025}, {"1e+2", 100},    {"1e-999", 0}};
    double v;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_int_equal(str_to_f64(good[i].text, &v), 0);
        assert_true(v >= good[i].want && v <= good[i].want);
    }
    static const char *const bad[] = {"",    ".",    "-",     "5.", "1,5", "1e", "1e+",  "inf",
                                      "nan", "-inf", "0x1p3", " 1", "1 ",  "+1", "1.5.2"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(str_to_f64(bad[i], &v), VX11_ESYNTAX);
    assert_int_equal(str_to_f64("1e999", &v), VX11_ERANGE);
    assert_int_equal(str_to_f64(NULL, &v), VX11_ESYNTAX);
    setlocale(LC_NUMERIC, "C");
}

static void truths(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "TRUE", "1", "yes", "On"}, *const no[] = {"false", "0", "No",
                                                                                        "off"};
    bool v;
    for (size_t i = 0; i < COUNT_OF(yes); i++)
        assert_true(str_to_bool(yes[i], &v) == 0 && v);
    for (size_t i = 0; i < COUNT_OF(no); i++)
        assert_true(str_to_bool(no[i], &v) == 0 && !v);
    assert_int_equal(str_to_bool("", &v), VX11_ESYNTAX);
    assert_int_equal(str_to_bool("y", &v), VX11_ESYNTAX);
    assert_int_equal(str_to_bool("true ", &v), VX11_ESYNTAX);
    assert_int_equal(str_to_bool(NULL, &v), VX11_ESYNTAX);
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t want;
    } good[] = {{"0", 0},
                {"4096", 4096},
                {"1b", 1},
                {"64k", 65536},
                {"64K", 65536},
                {"64kb", 65536},
                {"64 KiB", 65536},
                {"8 MiB", 8388608},
                {"1.5GB", 1610612736},
                {"0.5k", 512},
                {"2t", 2199023255552},
                {"15e", 17293822569102704640u},
                {"1.0001k", 1024},
                {"1.9999999999999999k", 2047},
                {"18446744073709551615", UINT64_MAX}};
    uint64_t v;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_int_equal(str_to_bytes(good[i].text, &v), 0);
        assert_true(v == good[i].want);
    }
    static const char *const bad[] = {"",       "k",  "-1", "+1", "1.5", "1.5b", "1.k", "1kk",
                                      "1 kbit", "1x", " 1", "1 ", "1k ", "0x10", "1e3k"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(str_to_bytes(bad[i], &v), VX11_ESYNTAX);
    static const char *const large[] = {"18446744073709551616", "16e", "99999999999999999999999k",
                                        "18446744073709551615k"};
    for (size_t i = 0; i < COUNT_OF(large); i++)
        assert_int_equal(str_to_bytes(large[i], &v), VX11_ERANGE);
    assert_int_equal(str_to_bytes(NULL, &v), VX11_ESYNTAX);
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want;
    } good[] = {{"250ms", 250}, {"30s", 30000}, {"5m", 300000}, {"2h", 7200000}, {"7d", 604800000},
                {"1.5s", 1500}, {"0", 0},       {"0s", 0},      {"5 m", 300000}, {"0.0004s", 0}};
    int64_t v;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_int_equal(str_to_duration_ms(good[i].text, &v), 0);
        assert_int_equal(v, good[i].want);
    }
    static const char *const bad[] = {"", "5", "5M", "5min", "-5s", "5s ", "m", "1h30m", "1.s", "0.0"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(str_to_duration_ms(bad[i], &v), VX11_ESYNTAX);
    assert_int_equal(str_to_duration_ms("9223372036854775808ms", &v), VX11_ERANGE);
    assert_int_equal(str_to_duration_ms("9223372036854775807d", &v), VX11_ERANGE);
    assert_int_equal(str_to_duration_ms("99999999999999999999s", &v), VX11_ERANGE);
}

/* A slow decoder by the definition: decode, then check for overlong, surrogate, too large. */
static size_t reference_next(const unsigned char *s, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80             ? 1
               : (s[0] & 0xE0) == 0xC0 ? 2
               : (s[0] & 0xF0) == 0xE0 ? 3
               : (s[0] & 0xF8) == 0xF0 ? 4
                                       : 0;
    if (n == 0 || n > len)
        return 0;
    uint32_t c = n == 1 ? s[0] : s[0] & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3F);
    }
    return c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) ? 0 : n;
}

static void utf8_all_short_sequences(void **state)
{
    (void)state;
    static const unsigned char edges[] = {0,    0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                          0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
                                          0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};
    enum { N = sizeof edges };
    for (size_t i = 0; i < (size_t)N * N * N * N; i++) {
        unsigned char s[4] = {edges[i % N], edges[i / N % N], edges[i / N / N % N], edges[i / N / N / N]};
        for (size_t len = 1; len <= 4; len++) {
            int got = utf8_next((const char *)s, len);
            size_t want = reference_next(s, len);
            if (want > 0 ? got != (int)want : got >= 0 || (size_t)-got > len || got < -3)
                fail_msg("%02x %02x %02x %02x, %zu bytes: %d", s[0], s[1], s[2], s[3], len, got);
        }
    }
}

static void utf8(void **state)
{
    (void)state;
    assert_true(utf8_valid("", 0));
    assert_true(utf8_valid("a long run of ASCII, then é, €, 😀 and more",
                           strlen("a long run of ASCII, then é, €, 😀 and more")));
    assert_int_equal(utf8_valid_prefix("abcdefghijk\xff", 12), 11);
    assert_int_equal(utf8_valid_prefix("ab\xE2\x82", 4), 2);
    assert_int_equal(utf8_count("aé€😀", 10), 4);
    assert_int_equal(utf8_incomplete_tail("abc", 3), 0);
    assert_int_equal(utf8_incomplete_tail("", 0), 0);
    assert_int_equal(utf8_incomplete_tail("\xE2", 1), 1);
    assert_int_equal(utf8_incomplete_tail("a\xE2\x82", 3), 2);
    assert_int_equal(utf8_incomplete_tail("a\xE2\x82\xAC", 4), 0);
    assert_int_equal(utf8_incomplete_tail("\xF0\x9F\x98", 3), 3);
    assert_int_equal(utf8_incomplete_tail("\xF0\x9F\x98\x80", 4), 0);
    assert_int_equal(utf8_incomplete_tail("a\xED\xA0", 3), 0); /* half a surrogate will never be complete */
    assert_int_equal(utf8_incomplete_tail("\x80\x80\x80\x80", 4), 0);
    /* Byte by byte, whole characters come out whatever the cut. */
    const char *text = "aé€😀z";
    size_t done = 0;
    for (size_t len = 1; len <= strlen(text); len++) {
        size_t whole = len - utf8_incomplete_tail(text, len);
        assert_true(utf8_valid(text, whole));
        assert_true(whole >= done);
        done = whole;
    }
    assert_int_equal(done, strlen(text));
}

static void distance(void **state)
{
    (void)state;
    assert_int_equal(str_distance("kitten", "sitting", 10), 3);
    assert_int_equal(str_distance("", "abc", 10), 3);
    assert_int_equal(str_distance("ABC", "abc", 10), 0);
    assert_int_equal(str_distance("kitten", "sitting", 2), 3);
    assert_int_equal(str_distance("a", "abcdef", 2), 3);
    char *x = malloc(2001), *y = malloc(2001);
    memset(x, 'x', 2000);
    memset(y, 'x', 2000);
    x[2000] = y[2000] = '\0';
    assert_int_equal(str_distance(x, y, 5), 0);
    y[1000] = 'y';
    assert_int_equal(str_distance(x, y, 5), 6);
    free(x);
    free(y);
}

static void nearest(void **state)
{
    (void)state;
    const char *const names[] = {"temperature",           "top_p",     "top_k", NULL, "min_p",
                                 "qwen2.5-0.5b-instruct", "max_tokens"};
    size_t out[20];
    assert_int_equal(str_nearest("temprature", names, COUNT_OF(names), out, 3), 1);
    assert_int_equal(out[0], 0);
    assert_int_equal(str_nearest("top_n", names, COUNT_OF(names), out, 3), 2);
    assert_true(out[0] == 1 && out[1] == 2);
    assert_int_equal(str_nearest("top_n", names, COUNT_OF(names), out, 1), 1);
    assert_int_equal(out[0], 1);
    assert_int_equal(str_nearest("qwen", names, COUNT_OF(names), out, 3), 1);
    assert_int_equal(out[0], 5);
    assert_int_equal(str_nearest("zzzzzz", names, COUNT_OF(names), out, 3), 0);
    assert_int_equal(str_nearest("", names, COUNT_OF(names), out, 3), 0);
    assert_int_equal(str_nearest(NULL, names, COUNT_OF(names), out, 3), 0);
    assert_int_equal(str_nearest("top_p", names, COUNT_OF(names), out, 0), 0);
    assert_true(str_nearest("max_tokens", names, COUNT_OF(names), out, 20) >= 1);
    assert_int_equal(out[0], 6);
}

static void formats(void **state)
{
    (void)state;
    static const struct {
        uint64_t n;
        const char *want;
    } bytes[] = {
        {0, "0 B"},          {1023, "1023 B"},       {1024, "1.0 KB"},       {3879731, "3.7 MB"},
        {1048575, "1.0 MB"}, {1048000, "1023.4 KB"}, {1073741824, "1.0 GB"}, {UINT64_MAX, "16.0 EB"}};
    static const struct {
        int64_t ms;
        const char *want;
    } times[] = {{0, "0 ms"},         {999, "999 ms"},
                 {1200, "1.2 s"},     {59949, "59.9 s"},
                 {59960, "1m 00s"},   {61000, "1m 01s"},
                 {7260000, "2h 01m"}, {90000000, "1d 01h"},
                 {-1500, "-1.5 s"},   {INT64_MIN, "-106751991167d 07h"}};
    char out[24];
    for (size_t i = 0; i < COUNT_OF(bytes); i++)
        assert_string_equal(str_format_bytes(bytes[i].n, out), bytes[i].want);
    for (size_t i = 0; i < COUNT_OF(times); i++)
        assert_string_equal(str_format_duration(times[i].ms, out), times[i].want);
}

static void hex(void **state)
{
    (void)state;
    unsigned char in[256], back[256];
    char text[513];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (unsigned char)i;
    hex_encode(in, sizeof in, text);
    assert_int_equal(strlen(text), 512);
    assert_int_equal(hex_decode(text, back, sizeof back), 0);
    assert_memory_equal(in, back, sizeof in);
    assert_int_equal(hex_decode("aBcD", back, 2), 0);
    assert_int_equal(back[1], 0xCD);
    assert_int_equal(hex_decode("abc", back, 2), VX11_ESYNTAX);
    assert_int_equal(hex_decode("abcde", back, 2), VX11_ESYNTAX);
    assert_int_equal(hex_decode("zz", back, 1), VX11_ESYNTAX);
    assert_int_equal(hex_decode("", back, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparisons),
        cmocka_unit_test(integers),
        cmocka_unit_test(reals),
        cmocka_unit_test(truths),
        cmocka_unit_test(sizes),
        cmocka_unit_test(durations),
        cmocka_unit_test(utf8_all_short_sequences),
        cmocka_unit_test(utf8),
        cmocka_unit_test(distance),
        cmocka_unit_test(nearest),
        cmocka_unit_test(formats),
        cmocka_unit_test(hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
