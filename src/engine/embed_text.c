/* Vectors as JSON. Thousands of numbers make up a reply, so they are written by hand: the fewest digits that
 * read back as the same float.
 *
 * A float has at most 9 significant digits. value * 10^k as a double is off by less than 2^-52 of itself,
 * which is far below the last of 9 digits; whether n digits suffice is then tried: digits / 10^k is the
 * double that every correct parser reads, since both are exact as doubles, and it must round to the value. */
#include "engine/embed.h"

#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "vectors are sent as they lie in memory");

enum { DIGITS_FIRST = 7, DIGITS_MOST = 9, POWER_MOST = 22 /* 10^22 is exact in a double */ };

static const double powers[POWER_MOST + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* Digits of value (positive) as a whole number of `places` decimals; false when that range is left. */
static bool digits_find(float value, uint64_t *digits, int *places)
{
    const double wide = (double)value;
    const int order = (int)floor(log10(wide)); /* value = d.ddd * 10^order, or one off: tried anyway */
    for (int n = DIGITS_FIRST; n <= DIGITS_MOST + 1; n++) {
        const int k = n - 1 - order;
        if (k < 0 || k > POWER_MOST)
            return false;
        const double whole = nearbyint(wide * powers[k]);
        if ((float)(whole / powers[k]) == value) {
            *digits = (uint64_t)whole;
            *places = k;
            return true;
        }
    }
    return false;
}

/* digits * 10^-places, written out or with an exponent, whichever is shorter. Returns the length. */
static size_t number_write(char *out, uint64_t digits, int places)
{
    char text[24];
    size_t at = sizeof text, len = 0;
    while (places > 0 && digits % 10 == 0) {
        digits /= 10;
        places--;
    }
    for (; digits > 0; digits /= 10)
        text[--at] = (char)('0' + digits % 10);
    const char *d = text + at;
    const int n = (int)(sizeof text - at), zeros = places - n; /* after "0." */
    if (zeros > 4) {                                           /* 0.00000123 is 1.23e-6 */
        out[len++] = d[0];
        if (n > 1) {
            out[len++] = '.';
            memcpy(out + len, d + 1, (size_t)n - 1);
            len += (size_t)n - 1;
        }
        return len + (size_t)snprintf(out + len, 8, "e-%d", zeros + 1);
    }
    if (zeros >= 0) {
        out[len++] = '0';
        out[len++] = '.';
        memset(out + len, '0', (size_t)zeros);
        len += (size_t)zeros;
        memcpy(out + len, d, (size_t)n);
        return len + (size_t)n;
    }
    memcpy(out, d, (size_t)(n - places));
    len = (size_t)(n - places);
    if (places > 0) {
        out[len++] = '.';
        memcpy(out + len, d + n - places, (size_t)places);
        len += (size_t)places;
    }
    return len;
}

int embed_put_float(struct buf *out, float value)
{
    uint64_t digits;
    int places;
    if (buf_reserve(out, 48) != 0)
        return VX11_ENOMEM;
    if (value == 0)
        return buf_putc(out, '0');
    if (!digits_find(fabsf(value), &digits, &places)) /* so small or large that it is rare */
        return buf_printf(out, "%.9g", (double)value);
    if (value < 0)
        out->data[out->len++] = '-';
    out->len += number_write(out->data + out->len, digits, places);
    out->data[out->len] = '\0';
    return 0;
}

int embed_put_floats(struct buf *out, const float *values, size_t n)
{
    (void)buf_putc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            (void)buf_putc(out, ',');
        (void)embed_put_float(out, values[i]);
    }
    return buf_putc(out, ']');
}

int embed_put_base64(struct buf *out, const float *values, size_t n)
{
    const size_t bytes = n * sizeof *values;
    const size_t room = sodium_base64_ENCODED_LEN(bytes, sodium_base64_VARIANT_ORIGINAL);
    if (buf_putc(out, '"') != 0 || buf_reserve(out, room) != 0)
        return VX11_ENOMEM;
    sodium_bin2base64(out->data + out->len, room, (const unsigned char *)values, bytes,
                      sodium_base64_VARIANT_ORIGINAL);
    out->len += room - 1; /* without its NUL */
    return buf_putc(out, '"');
}
