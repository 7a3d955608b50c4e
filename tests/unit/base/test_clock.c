/* Clock: the one text format both ways. */
#include "test.h"

#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"

static void known(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "1970-01-01T00:00:00.000Z"},
                 {-1, "1969-12-31T23:59:59.999Z"},
                 {1795358704123, "2026-11-22T14:45:04.123Z"},
                 {951782400000, "2000-02-29T00:00:00.000Z"},
                 {-62135596800000, "0001-01-01T00:00:00.000Z"},
                 {253402300799999, "9999-12-31T23:59:59.999Z"}};
    char out[32];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t back;
        assert_string_equal(clock_format(cases[i].ms, out), cases[i].text);
        assert_int_equal(clock_parse(out, -1, &back), 0);
        assert_int_equal(back, cases[i].ms);
    }
    assert_true(strlen(clock_format(INT64_MAX, out)) < sizeof out);
    assert_true(strlen(clock_format(INT64_MIN, out)) < sizeof out);
}

/* Against the C library, a day and an odd time at a step. */
static void same_as_libc(void **state)
{
    (void)state;
    for (int64_t s = -5000000000; s < 20000000000; s += 86400 * 37 + 4321) {
        char want[32], got[32];
        struct tm tm;
        time_t t = (time_t)s;
        assert_non_null(gmtime_r(&t, &tm));
        strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S.000Z", &tm);
        assert_string_equal(clock_format(s * 1000, got), want);
    }
}

static void accepted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"1970-01-01T00:00:01Z", 1000},          {"1970-01-01t00:00:01z", 1000},
                 {"1970-01-01 00:00:01Z", 1000},          {"1970-01-01T01:00:00+01:00", 0},
                 {"1969-12-31T23:30:00-00:30", 0},        {"1970-01-01T00:00:00.1Z", 100},
                 {"1970-01-01T00:00:00.1239999Z", 123},   {"1970-01-01T00:00:00.000000000001Z", 0},
                 {"2016-12-31T23:59:60Z", 1483228800000}, {"2024-02-29T00:00:00Z", 1709164800000}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t got = -7;
        assert_int_equal(clock_parse(cases[i].text, -1, &got), 0);
        assert_int_equal(got, cases[i].ms);
    }
    int64_t got;
    assert_int_equal(clock_parse("15m", 1000000000, &got), 0);
    assert_int_equal(got, 1000000000 - 900000);
    assert_int_equal(clock_parse("7d", 1000000000, &got), 0);
    assert_int_equal(got, 1000000000 - 604800000);
}

static void refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"",
                                        "now",
                                        "2026-11-22",
                                        "2026-11-22T14:45:04",
                                        "2026-11-22T14:45Z",
                                        "2026-13-01T00:00:00Z",
                                        "2026-00-01T00:00:00Z",
                                        "2026-02-29T00:00:00Z",
                                        "1900-02-29T00:00:00Z",
                                        "2026-04-31T00:00:00Z",
                                        "2026-01-01T24:00:00Z",
                                        "2026-01-01T00:60:00Z",
                                        "2026-01-01T00:00:61Z",
                                        "2026-01-01T00:00:00.Z",
                                        "2026-01-01T00:00:00Zx",
                                        "2026-01-01T00:00:00+1:00",
                                        "2026-01-01T00:00:00+24:00",
                                        " 2026-01-01T00:00:00Z",
                                        "15m",
                                        "+2026-01-01T00:00:00Z"};
    int64_t out;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(clock_parse(cases[i], -1, &out), VX11_ESYNTAX);
    assert_int_equal(clock_parse(NULL, -1, &out), VX11_ESYNTAX);
    assert_int_equal(clock_parse("15x", 1000, &out), VX11_ESYNTAX);
}

static void running(void **state)
{
    (void)state;
    uint64_t a = clock_mono_ns(), b = clock_mono_ns();
    assert_true(b >= a);
    assert_true(clock_mono_ms() >= (int64_t)(a / 1000000));
    int64_t wall = clock_wall_ms(), libc = (int64_t)time(NULL) * 1000;
    assert_true(wall - libc > -2000 && wall - libc < 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known),   cmocka_unit_test(same_as_libc), cmocka_unit_test(accepted),
        cmocka_unit_test(refused), cmocka_unit_test(running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
