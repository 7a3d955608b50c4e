/* Strings: comparisons, nearest names, human formats, hex. Numbers are in str_number.c, UTF-8 in str_utf8.c.
 */
#include "base/str.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

bool str_eq(const char *a, const char *b)
{
    if (!a || !b)
        return a == b;
    return strcmp(a, b) == 0;
}

bool str_starts(const char *s, const char *prefix)
{
    return s && prefix && strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    if (!s || !suffix)
        return false;
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Names longer than this are compared for equality only; nothing a person mistypes is as long. */
enum { DISTANCE_MAX = 255 };

unsigned str_distance(const char *a, const char *b, unsigned limit)
{
    size_t n = strlen(a), m = strlen(b);
    size_t apart = n > m ? n - m : m - n;
    if (apart > limit)
        return limit + 1;
    if (n > DISTANCE_MAX || m > DISTANCE_MAX)
        return strcasecmp(a, b) == 0 ? 0 : limit + 1;

    unsigned row[DISTANCE_MAX + 1]; /* of the matrix, for the characters of a seen so far */
    for (size_t j = 0; j <= m; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned diagonal = row[0], best = (unsigned)i;
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned replace = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
            unsigned insert = (row[j - 1] < row[j] ? row[j - 1] : row[j]) + 1;
            diagonal = row[j];
            row[j] = replace < insert ? replace : insert;
            if (row[j] < best)
                best = row[j];
        }
        if (best > limit)
            return limit + 1; /* rows never get smaller than their predecessor's minimum */
    }
    return row[m] > limit ? limit + 1 : row[m];
}

size_t str_nearest(const char *want, const char *const *names, size_t n, size_t *out, size_t max)
{
    enum { NEAREST_MAX = 16 };
    unsigned scores[NEAREST_MAX];
    size_t found = 0, length = want ? strlen(want) : 0;
    if (length == 0)
        return 0;
    if (max > NEAREST_MAX)
        max = NEAREST_MAX;

    unsigned limit = length < 4 ? 1 : length < 7 ? 2 : (unsigned)(length > 60 ? 20 : length / 3);
    for (size_t i = 0; i < n; i++) {
        if (!names[i])
            continue;
        unsigned score = str_distance(want, names[i], limit);
        /* A part of the name is near too, but an equally near misspelling goes first. */
        if (score > limit && length >= 2 &&
            (strcasestr(names[i], want) || (strlen(names[i]) >= 3 && strcasestr(want, names[i]))))
            score = limit;
        if (score > limit)
            continue;
        size_t at = found < max ? found : max;
        while (at > 0 && scores[at - 1] > score)
            at--;
        if (at >= max)
            continue;
        if (found < max)
            found++;
        for (size_t k = found - 1; k > at; k--) {
            scores[k] = scores[k - 1];
            out[k] = out[k - 1];
        }
        scores[at] = score;
        out[at] = i;
    }
    return found;
}

char *str_format_bytes(uint64_t bytes, char out[24])
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    if (bytes < 1024) {
        snprintf(out, 24, "%u B", (unsigned)bytes);
        return out;
    }
    double value = (double)bytes;
    size_t unit = 0;
    /* 1023.95 would print as 1024.0 */
    while (value >= 1023.95 && unit + 1 < COUNT_OF(units)) {
        value /= 1024;
        unit++;
    }
    unsigned tenths = (unsigned)(value * 10 + 0.5); /* not %f: its decimal point follows the locale */
    snprintf(out, 24, "%u.%u %s", tenths / 10, tenths % 10, units[unit]);
    return out;
}

char *str_format_duration(int64_t ms, char out[24])
{
    const char *sign = ms < 0 ? "-" : "";
    uint64_t t = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    uint64_t s = t / 1000;
    if (t < 1000) {
        snprintf(out, 24, "%s%u ms", sign, (unsigned)t);
    } else if (t < 59950) {
        uint64_t tenths = (t + 50) / 100;
        snprintf(out, 24, "%s%u.%u s", sign, (unsigned)(tenths / 10), (unsigned)(tenths % 10));
    } else if (t < 60000) {
        snprintf(out, 24, "%s1m 00s", sign);
    } else if (s < 3600) {
        snprintf(out, 24, "%s%um %02us", sign, (unsigned)(s / 60), (unsigned)(s % 60));
    } else if (s < 86400) {
        snprintf(out, 24, "%s%uh %02um", sign, (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
    } else {
        snprintf(out, 24, "%s%llud %02uh", sign, (unsigned long long)(s / 86400), (unsigned)(s / 3600 % 24));
    }
    return out;
}

void hex_encode(const void *data, size_t len, char *out)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *p = data;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = hex[p[i] >> 4];
        out[2 * i + 1] = hex[p[i] & 15];
    }
    out[2 * len] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_decode(const char *hex, void *out, size_t out_len)
{
    unsigned char *p = out;
    for (size_t i = 0; i < out_len; i++) {
        int high = hex_value(hex[2 * i]);
        int low = high < 0 ? -1 : hex_value(hex[2 * i + 1]);
        if (low < 0)
            return VX11_ESYNTAX;
        p[i] = (unsigned char)(high << 4 | low);
    }
    return hex[2 * out_len] == '\0' ? 0 : VX11_ESYNTAX;
}
