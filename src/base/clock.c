/* Time. The calendar is computed here (days from the civil date, H. Hinnant, "chrono-Compatible Low-Level
 * Date Algorithms") and not by gmtime/timegm, because those cost a lock and a time zone lookup in every log
 * record. */
#include "base/clock.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/str.h"

enum { MS_PER_DAY = 86400000 };

int64_t clock_wall_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

uint64_t clock_mono_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int64_t clock_mono_ms(void)
{
    return (int64_t)(clock_mono_ns() / 1000000u);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b < 0 ? q - 1 : q;
}

/* Days since 1970-01-01 of a proleptic Gregorian date. */
static int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
    if (m <= 2)
        y--;
    int64_t era = floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * ((int64_t)m + (m > 2 ? -3 : 9)) + 2) / 5 + (int64_t)d - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, int64_t *y, unsigned *m, unsigned *d)
{
    days += 719468;
    int64_t era = floor_div(days, 146097);
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t mp = (5 * day_of_year + 2) / 153;
    *d = (unsigned)(day_of_year - (153 * mp + 2) / 5 + 1);
    *m = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    *y = year_of_era + era * 400 + (*m <= 2);
}

/* value in decimal, with zeros in front up to `width` digits. */
static char *put_digits(char *p, uint64_t value, int width)
{
    char text[20];
    int n = 0;
    do {
        text[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (width-- > n)
        *p++ = '0';
    while (n > 0)
        *p++ = text[--n];
    return p;
}

/* By hand and not by snprintf: the crash handler needs it to be async-signal-safe, the log to be fast. */
char *clock_format(int64_t epoch_ms, char out[32])
{
    int64_t y;
    unsigned m, d;
    civil_from_days(floor_div(epoch_ms, MS_PER_DAY), &y, &m, &d);
    int64_t rest = epoch_ms % MS_PER_DAY;
    uint64_t ms = (uint64_t)(rest < 0 ? rest + MS_PER_DAY : rest);
    char *p = out;
    if (y < 0)
        *p++ = '-';
    p = put_digits(p, (uint64_t)(y < 0 ? -y : y), 4);
    *p++ = '-';
    p = put_digits(p, m, 2);
    *p++ = '-';
    p = put_digits(p, d, 2);
    *p++ = 'T';
    p = put_digits(p, ms / 3600000, 2);
    *p++ = ':';
    p = put_digits(p, ms / 60000 % 60, 2);
    *p++ = ':';
    p = put_digits(p, ms / 1000 % 60, 2);
    *p++ = '.';
    p = put_digits(p, ms % 1000, 3);
    *p++ = 'Z';
    *p = '\0';
    return out;
}

/* Reads exactly n digits; -1 when there are not as many. */
static int digits(const char **s, int n)
{
    int value = 0;
    for (int i = 0; i < n; i++) {
        char c = (*s)[i];
        if (c < '0' || c > '9')
            return -1;
        value = value * 10 + (c - '0');
    }
    *s += n;
    return value;
}

static bool literal(const char **s, char c)
{
    if (**s != c)
        return false;
    (*s)++;
    return true;
}

static int month_days(int y, int m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return m == 2 && leap ? 29 : days[m - 1];
}

/* ".123456" -> 123; any number of digits, cut and not rounded. -1 when malformed, 0 when absent. */
static int fraction_ms(const char **s)
{
    if (**s != '.')
        return 0;
    const char *p = *s + 1;
    int ms = 0, scale = 100, n = 0;
    for (; *p >= '0' && *p <= '9'; p++, n++) {
        ms += (*p - '0') * scale;
        scale /= 10;
    }
    *s = p;
    return n > 0 ? ms : -1;
}

/* "Z", "+02:00": minutes east of UTC. */
static bool offset_minutes(const char **s, int *out)
{
    *out = 0;
    if (**s == 'Z' || **s == 'z') {
        (*s)++;
        return true;
    }
    if (**s != '+' && **s != '-')
        return false;
    int sign = **s == '-' ? -1 : 1;
    (*s)++;
    int h = digits(s, 2);
    if (h < 0 || h > 23 || !literal(s, ':'))
        return false;
    int m = digits(s, 2);
    if (m < 0 || m > 59)
        return false;
    *out = sign * (h * 60 + m);
    return true;
}

static bool parse_rfc3339(const char *s, int64_t *out)
{
    int y = digits(&s, 4);
    if (y < 0 || !literal(&s, '-'))
        return false;
    int mo = digits(&s, 2);
    if (mo < 1 || mo > 12 || !literal(&s, '-'))
        return false;
    int d = digits(&s, 2);
    if (d < 1 || d > month_days(y, mo))
        return false;
    if (*s != 'T' && *s != 't' && *s != ' ')
        return false;
    s++;
    int h = digits(&s, 2);
    if (h < 0 || h > 23 || !literal(&s, ':'))
        return false;
    int mi = digits(&s, 2);
    if (mi < 0 || mi > 59 || !literal(&s, ':'))
        return false;
    int sec = digits(&s, 2); /* 60 is a leap second: it reads as the first of the next minute */
    if (sec < 0 || sec > 60)
        return false;
    int ms = fraction_ms(&s);
    int east;
    if (ms < 0 || !offset_minutes(&s, &east) || *s)
        return false;
    int64_t minutes = days_from_civil(y, (unsigned)mo, (unsigned)d) * 1440 + h * 60 + mi - east;
    *out = (minutes * 60 + sec) * 1000 + ms;
    return true;
}

int clock_parse(const char *s, int64_t relative_to, int64_t *out)
{
    if (!s)
        return VX11_ESYNTAX;
    if (parse_rfc3339(s, out))
        return 0;
    int64_t ago;
    if (relative_to < 0 || str_to_duration_ms(s, &ago) != 0)
        return VX11_ESYNTAX;
    *out = relative_to - ago;
    return 0;
}
