/* UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing past U+10FFFF. The table of Unicode 15,
 * section 3.9, "Well-Formed UTF-8 Byte Sequences" is in lead(): for each first byte the length and the range
 * of the second. */
#include <string.h>

#include "base/str.h"

struct lead {
    unsigned char length, low, high; /* length 0: cannot start a character */
};

static struct lead lead_of(unsigned char c)
{
    if (c < 0x80)
        return (struct lead){1, 0, 0};
    if (c < 0xC2)
        return (struct lead){0, 0, 0};
    if (c < 0xE0)
        return (struct lead){2, 0x80, 0xBF};
    if (c < 0xF0)
        return (struct lead){3, c == 0xE0 ? 0xA0 : 0x80, c == 0xED ? 0x9F : 0xBF};
    if (c < 0xF5)
        return (struct lead){4, c == 0xF0 ? 0x90 : 0x80, c == 0xF4 ? 0x8F : 0xBF};
    return (struct lead){0, 0, 0};
}

/* How many of the character's bytes are there and sound (>= 1 for a sound first byte, else 0); *length is how
 * many it needs. */
static size_t sound_bytes(const unsigned char *s, size_t len, size_t *length)
{
    struct lead lead = lead_of(s[0]);
    *length = lead.length;
    if (lead.length < 2)
        return lead.length;
    size_t n = 1;
    while (n < lead.length && n < len) {
        unsigned char low = n == 1 ? lead.low : 0x80, high = n == 1 ? lead.high : 0xBF;
        if (s[n] < low || s[n] > high)
            break;
        n++;
    }
    return n;
}

int utf8_next(const char *s, size_t len)
{
    size_t length, n = sound_bytes((const unsigned char *)s, len, &length);
    if (n == length && n > 0)
        return (int)n;
    return n > 1 ? -(int)n : -1;
}

/* Length of the ASCII run at the start, eight bytes at a time. */
static size_t ascii_run(const char *s, size_t len)
{
    size_t n = 0;
    uint64_t word;
    for (; len - n >= sizeof word; n += sizeof word) {
        memcpy(&word, s + n, sizeof word);
        if (word & 0x8080808080808080u)
            break;
    }
    while (n < len && (unsigned char)s[n] < 0x80)
        n++;
    return n;
}

size_t utf8_valid_prefix(const char *s, size_t len)
{
    size_t at = 0;
    while (at < len) {
        at += ascii_run(s + at, len - at);
        if (at == len)
            break;
        int step = utf8_next(s + at, len - at);
        if (step < 0)
            break;
        at += (size_t)step;
    }
    return at;
}

bool utf8_valid(const char *s, size_t len)
{
    return utf8_valid_prefix(s, len) == len;
}

size_t utf8_incomplete_tail(const char *s, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        const unsigned char *p = (const unsigned char *)s + len - back;
        if ((*p & 0xC0) == 0x80)
            continue;
        size_t length, n = sound_bytes(p, back, &length);
        return n == back && n < length ? back : 0;
    }
    return 0;
}

size_t utf8_count(const char *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)s[i] & 0xC0) != 0x80;
    return n;
}
