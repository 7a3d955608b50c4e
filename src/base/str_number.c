/* Numbers, sizes, durations and truth values from text. Strict on purpose: the whole string must match, no
 * leading white space, no '+', no locale, and what does not fit is an error and never a clamp. */
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/str.h"

__extension__ typedef unsigned __int128 u128;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *out)
{
    if (!s)
        return VX11_ESYNTAX;
    bool negative = *s == '-', overflow = false;
    const char *p = negative ? s + 1 : s;
    if (!is_digit(*p))
        return VX11_ESYNTAX;
    int64_t value = 0; /* counted below zero, where there is one number more */
    for (; is_digit(*p); p++) {
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, *p - '0', &value))
            overflow = true;
    }
    if (*p)
        return VX11_ESYNTAX;
    if (overflow || (!negative && value == INT64_MIN))
        return VX11_ERANGE;
    if (!negative)
        value = -value;
    if (value < min || value > max)
        return VX11_ERANGE;
    *out = value;
    return 0;
}

static struct {
    pthread_once_t once;
    locale_t c;
} number_locale = {.once = PTHREAD_ONCE_INIT};

static void make_locale(void)
{
    number_locale.c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* -?(digits(.digits)?|.digits)([eE][+-]?digits)? : strtod alone would also take hex, "inf", "nan" and blanks.
 */
static bool looks_like_number(const char *s)
{
    if (*s == '-')
        s++;
    const char *whole = s;
    while (is_digit(*s))
        s++;
    bool any = s > whole;
    if (*s == '.') {
        s++;
        if (!is_digit(*s))
            return false;
        while (is_digit(*s))
            s++;
        any = true;
    }
    if (!any)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '+' || *s == '-')
            s++;
        if (!is_digit(*s))
            return false;
        while (is_digit(*s))
            s++;
    }
    return *s == '\0';
}

int str_to_f64(const char *s, double *out)
{
    if (!s || !looks_like_number(s))
        return VX11_ESYNTAX;
    pthread_once(&number_locale.once, make_locale);
    if (!number_locale.c)
        return VX11_ENOMEM;
    double value = strtod_l(s, NULL, number_locale.c);
    if (!isfinite(value))
        return VX11_ERANGE;
    *out = value;
    return 0;
}

int str_to_bool(const char *s, bool *out)
{
    static const char *const yes[] = {"true", "1", "yes", "on"};
    static const char *const no[] = {"false", "0", "no", "off"};
    if (!s)
        return VX11_ESYNTAX;
    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        bool is_yes = strcasecmp(s, yes[i]) == 0;
        if (is_yes || strcasecmp(s, no[i]) == 0) {
            *out = is_yes;
            return 0;
        }
    }
    return VX11_ESYNTAX;
}

/* A decimal number without sign as whole + part / scale, exactly; digits after the ninth of the fraction are
 * dropped. */
struct quantity {
    uint64_t whole, part, scale;
    bool fraction;
    const char *unit; /* what follows, after blanks */
};

static int quantity_parse(const char *s, struct quantity *q)
{
    *q = (struct quantity){.scale = 1};
    bool overflow = false;
    if (!s || !is_digit(*s))
        return VX11_ESYNTAX;
    for (; is_digit(*s); s++) {
        if (__builtin_mul_overflow(q->whole, 10u, &q->whole) ||
            __builtin_add_overflow(q->whole, (uint64_t)(*s - '0'), &q->whole))
            overflow = true;
    }
    if (*s == '.') {
        s++;
        if (!is_digit(*s))
            return VX11_ESYNTAX;
        q->fraction = true;
        for (; is_digit(*s); s++) {
            if (q->scale == 1000000000u)
                continue;
            q->part = q->part * 10 + (uint64_t)(*s - '0');
            q->scale *= 10;
        }
    }
    const char *blank = s;
    while (*s == ' ')
        s++;
    if (*s == '\0' && s != blank)
        return VX11_ESYNTAX;
    q->unit = s;
    return overflow ? VX11_ERANGE : 0;
}

/* whole.part * factor, rounded down. */
static int quantity_scale(const struct quantity *q, uint64_t factor, uint64_t max, uint64_t *out)
{
    u128 value = (u128)q->whole * factor + (u128)q->part * factor / q->scale;
    if (value > max)
        return VX11_ERANGE;
    *out = (uint64_t)value;
    return 0;
}

int str_to_bytes(const char *s, uint64_t *out)
{
    static const char letters[] = "kmgtpe";
    struct quantity q;
    int rc = quantity_parse(s, &q);
    if (rc == VX11_ESYNTAX)
        return rc;
    uint64_t factor = 1;
    const char *u = q.unit;
    if (*u == '\0' || strcasecmp(u, "b") == 0) {
        if (q.fraction)
            return VX11_ESYNTAX; /* there is no half byte */
    } else {
        const char *at = strchr(letters, *u | 0x20);
        if (!at)
            return VX11_ESYNTAX;
        factor = (uint64_t)1 << (10 * (at - letters + 1));
        if (u[1] != '\0' && strcasecmp(u + 1, "b") != 0 && strcasecmp(u + 1, "ib") != 0)
            return VX11_ESYNTAX;
    }
    return rc ? rc : quantity_scale(&q, factor, UINT64_MAX, out);
}

int str_to_duration_ms(const char *s, int64_t *out)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    struct quantity q;
    int rc = quantity_parse(s, &q);
    if (rc == VX11_ESYNTAX)
        return rc;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (strcmp(q.unit, units[i].name) != 0)
            continue;
        uint64_t value;
        if (!rc)
            rc = quantity_scale(&q, units[i].ms, INT64_MAX, &value);
        if (!rc)
            *out = (int64_t)value;
        return rc;
    }
    if (*q.unit == '\0' && !rc && q.whole == 0 && !q.fraction) { /* "0" needs no unit */
        *out = 0;
        return 0;
    }
    return VX11_ESYNTAX;
}
