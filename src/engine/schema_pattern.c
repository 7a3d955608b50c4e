/* Patterns: from a regular expression of ECMA-262 to the inside of a JSON string.
 *
 * A character that JSON must escape is written as its escape, any other as itself. What is not anchored may
 * have anything before or after it, as a search finds it. What no grammar has (looking around, back
 * references, word boundaries) is refused. */
#include "engine/schema_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { RANGES_MOST = 256, NESTING_MOST = 40, REPEAT_MOST = 4096, LAST = 0x10FFFF };

struct range {
    uint32_t low, high;
};

struct set {
    struct range ranges[RANGES_MOST];
    size_t count;
};

struct regex {
    const char *at, *end;
    struct buf *out;
    const char *why;
    unsigned depth;
};

static bool wrong(struct regex *r, const char *why)
{
    if (!r->why)
        r->why = why;
    return false;
}

/* ---- sets of characters ---- */

static bool set_add(struct regex *r, struct set *s, uint32_t low, uint32_t high)
{
    if (s->count == RANGES_MOST)
        return wrong(r, "its character class is too large");
    s->ranges[s->count++] = (struct range){low, high};
    return true;
}

static int range_order(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low;
}

static void set_settle(struct set *s)
{
    size_t kept = 0;
    qsort(s->ranges, s->count, sizeof *s->ranges, range_order);
    for (size_t i = 0; i < s->count; i++) {
        const struct range here = s->ranges[i];
        if (kept > 0 && here.low <= s->ranges[kept - 1].high + 1) {
            if (here.high > s->ranges[kept - 1].high)
                s->ranges[kept - 1].high = here.high;
        } else {
            s->ranges[kept++] = here;
        }
    }
    s->count = kept;
}

/* The settled set's opposite; it has one range more at most, and RANGES_MOST are never quite filled. */
static bool set_negate(struct regex *r, struct set *s)
{
    struct set opposite = {.count = 0};
    uint32_t low = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (s->ranges[i].low > low && !set_add(r, &opposite, low, s->ranges[i].low - 1))
            return false;
        low = s->ranges[i].high + 1;
    }
    if (low <= LAST && !set_add(r, &opposite, low, LAST))
        return false;
    *s = opposite;
    return true;
}

static bool set_has(const struct set *s, uint32_t c)
{
    for (size_t i = 0; i < s->count; i++) {
        if (c >= s->ranges[i].low && c <= s->ranges[i].high)
            return true;
    }
    return false;
}

/* ---- writing a set ---- */

static bool is_bare(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ' || c == '_';
}

static void put_code_point(struct buf *out, uint32_t c)
{
    if (is_bare(c))
        (void)buf_putc(out, (char)c);
    else
        (void)buf_printf(out, "\\U%08X", (unsigned)c);
}

/* The characters of a settled set that stand for themselves in a JSON string, as a class. */
static bool put_plain(const struct set *s, struct buf *out)
{
    static const struct range plain[] = {
        {0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0x7E}, {0x80, 0xD7FF}, {0xE000, LAST}};
    bool any = false;
    for (size_t i = 0; i < s->count; i++) {
        for (size_t k = 0; k < COUNT_OF(plain); k++) {
            const uint32_t low = s->ranges[i].low > plain[k].low ? s->ranges[i].low : plain[k].low;
            const uint32_t high = s->ranges[i].high < plain[k].high ? s->ranges[i].high : plain[k].high;
            if (low > high)
                continue;
            (void)buf_puts(out, any ? "" : "[");
            put_code_point(out, low);
            if (high > low) {
                (void)buf_putc(out, '-');
                put_code_point(out, high);
            }
            any = true;
        }
    }
    (void)buf_puts(out, any ? "]" : "");
    return any;
}

/* all: the control characters without an escape of their own too, which a broad set does without. */
static bool put_set(struct regex *r, struct set *s, bool all)
{
    static const char escapes[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const size_t start = r->out->len;
    size_t parts = 0;
    set_settle(s);
    (void)buf_putc(r->out, '(');
    parts += put_plain(s, r->out);
    for (size_t i = 0; escapes[i]; i++) {
        if (!set_has(s, (unsigned char)escapes[i]))
            continue;
        const char text[] = {'\\', letters[i]};
        (void)buf_puts(r->out, parts++ > 0 ? " | " : "");
        schema_put_literal(r->out, text, sizeof text);
    }
    for (uint32_t c = 1; all && c < 0x80; c++) {
        if ((c >= 0x20 && c < 0x7F) || strchr(escapes, (int)c) || !set_has(s, c))
            continue;
        (void)buf_printf(r->out, "%s\"\\\\u00%02x\"", parts++ > 0 ? " | " : "", (unsigned)c);
    }
    if (parts == 1 && !r->out->failed)
        r->out->data[start] = ' '; /* a group would be a rule of its own */
    else
        (void)buf_putc(r->out, ')');
    return parts > 0 || wrong(r, "a part of it matches no character");
}

/* ---- characters and escapes ---- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static char peek(const struct regex *r)
{
    return r->at < r->end ? *r->at : '\0';
}

static bool hex(struct regex *r, int digits, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++, r->at++) {
        const char c = peek(r);
        const char *at = c ? strchr("0123456789abcdef0123456789ABCDEF", c) : NULL;
        if (!at)
            return wrong(r, "a hexadecimal escape is incomplete");
        *out = *out << 4 | (uint32_t)((at - "0123456789abcdef0123456789ABCDEF") % 16);
    }
    return true;
}

static bool hex_braced(struct regex *r, uint32_t *out)
{
    size_t n = 0;
    while (r->at + 1 + n < r->end && r->at[1 + n] != '}')
        n++;
    if (n == 0 || n > 6 || r->at + 1 + n >= r->end)
        return wrong(r, "a hexadecimal escape is incomplete");
    r->at++;
    if (!hex(r, (int)n, out) || peek(r) != '}')
        return wrong(r, "a hexadecimal escape is incomplete");
    r->at++;
    return *out <= LAST || wrong(r, "there is no such code point");
}

static bool unicode_escape(struct regex *r, uint32_t *out)
{
    uint32_t low = 0;
    if (peek(r) == '{')
        return hex_braced(r, out);
    if (!hex(r, 4, out))
        return false;
    if (*out < 0xD800 || *out > 0xDFFF)
        return true;
    if (*out > 0xDBFF || r->end - r->at < 6 || r->at[0] != '\\' || r->at[1] != 'u')
        return wrong(r, "half a surrogate pair matches no character");
    r->at += 2;
    if (!hex(r, 4, &low) || low < 0xDC00 || low > 0xDFFF)
        return wrong(r, "half a surrogate pair matches no character");
    *out = 0x10000 + ((*out - 0xD800) << 10 | (low - 0xDC00));
    return true;
}

/* \d \w \s and their opposites, added to a set. A positive \s is narrower than a negated one excludes:
 * readers do not agree on what white space is. */
static bool class_escape(struct regex *r, char c, bool negated, struct set *s)
{
    static const struct range digit[] = {{'0', '9'}};
    static const struct range word[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    static const struct range narrow[] = {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}};
    static const struct range broad[] = {{'\t', '\r'},     {0x1C, 0x20},     {0x85, 0x85},
                                         {0xA0, 0xA0},     {0x1680, 0x1680}, {0x180E, 0x180E},
                                         {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F},
                                         {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
    const bool opposite = c == 'D' || c == 'W' || c == 'S';
    const struct range *ranges = c == 'd' || c == 'D' ? digit : c == 'w' || c == 'W' ? word : NULL;
    size_t n = ranges == digit ? COUNT_OF(digit) : COUNT_OF(word);
    struct set one = {.count = 0};
    if (!ranges) {
        const bool wide = opposite != negated;
        ranges = wide ? broad : narrow;
        n = wide ? COUNT_OF(broad) : COUNT_OF(narrow);
    }
    for (size_t i = 0; i < n; i++)
        one.ranges[one.count++] = ranges[i];
    if (opposite && !set_negate(r, &one))
        return false;
    for (size_t i = 0; i < one.count; i++) {
        if (!set_add(r, s, one.ranges[i].low, one.ranges[i].high))
            return false;
    }
    return true;
}

/* After a backslash, when it is one character. */
static bool escape(struct regex *r, bool in_class, uint32_t *out)
{
    static const char names[] = "tnrfv0", values[] = "\t\n\r\f\v";
    const char c = peek(r);
    if (r->at >= r->end)
        return wrong(r, "it ends with a backslash");
    r->at++;
    const char *name = strchr(names, c);
    if (c == '0' && peek(r) >= '0' && peek(r) <= '9')
        return wrong(r, "octal escapes are not supported");
    if (c == '0')
        return wrong(r, "a NUL cannot be enforced");
    if (c && name) {
        *out = (unsigned char)values[name - names];
        return true;
    }
    if (c == 'x')
        return hex(r, 2, out);
    if (c == 'u')
        return unicode_escape(r, out);
    if (c == 'b' && in_class) {
        *out = '\b';
        return true;
    }
    if (is_word(c) || (unsigned char)c >= 0x80)
        return wrong(r, c == 'b' || c == 'B'                 ? "word boundaries cannot be enforced"
                        : c == 'p' || c == 'P'               ? "Unicode properties are not supported"
                        : (c >= '1' && c <= '9') || c == 'k' ? "back references cannot be enforced"
                                                             : "has an escape that is not known");
    *out = (unsigned char)c;
    return true;
}

static bool plain(struct regex *r, uint32_t *out)
{
    const int n = utf8_next(r->at, (size_t)(r->end - r->at));
    if (n <= 0)
        return wrong(r, "it is not UTF-8");
    uint32_t c = (unsigned char)*r->at;
    if (n > 1)
        c &= 0x7Fu >> n;
    for (int i = 1; i < n; i++)
        c = c << 6 | ((unsigned char)r->at[i] & 0x3Fu);
    r->at += n;
    *out = c;
    return c != 0 || wrong(r, "a NUL cannot be enforced");
}

/* ---- classes ---- */

/* One end of a range. *many: it was \d or its like, which is added at once. */
static bool class_end(struct regex *r, bool negated, struct set *s, uint32_t *out, bool *many)
{
    *many = false;
    if (peek(r) != '\\')
        return plain(r, out);
    r->at++;
    const char c = peek(r);
    if (c && strchr("dDwWsS", c)) {
        *many = true;
        r->at++;
        return class_escape(r, c, negated, s);
    }
    return escape(r, true, out);
}

static bool class_read(struct regex *r)
{
    struct set s = {.count = 0};
    r->at++;
    const bool negated = peek(r) == '^';
    r->at += negated;
    while (peek(r) != ']') {
        uint32_t low = 0, high = 0;
        bool many = false, many_high = false;
        if (r->at >= r->end)
            return wrong(r, "a character class is not closed");
        if (!class_end(r, negated, &s, &low, &many))
            return false;
        high = low;
        if (peek(r) == '-' && r->at + 1 < r->end && r->at[1] != ']') {
            r->at++;
            if (many || !class_end(r, negated, &s, &high, &many_high) || many_high)
                return wrong(r, "a range needs a character at both ends");
        }
        if (high < low)
            return wrong(r, "a range ends before it begins");
        if (!many && !set_add(r, &s, low, high))
            return false;
    }
    r->at++;
    set_settle(&s);
    return (!negated || set_negate(r, &s)) && put_set(r, &s, !negated);
}

/* ---- structure ---- */

static bool alternatives(struct regex *r, bool top, struct pattern_length *length);

static bool group(struct regex *r, struct pattern_length *length)
{
    r->at++;
    if (peek(r) == '?') {
        const char *colon = r->at + 1;
        if (colon < r->end && *colon == '<' && colon + 1 < r->end && is_word(colon[1])) {
            while (colon < r->end && *colon != '>')
                colon++;
        } else if (colon >= r->end || *colon != ':') {
            return wrong(r, "looking ahead or behind cannot be enforced");
        }
        r->at = colon < r->end ? colon + 1 : r->end;
    }
    if (r->depth == NESTING_MOST)
        return wrong(r, "its groups are nested too deep");
    r->depth++;
    (void)buf_putc(r->out, '(');
    if (!alternatives(r, false, length))
        return false;
    r->depth--;
    if (peek(r) != ')')
        return wrong(r, "a group is not closed");
    r->at++;
    (void)buf_putc(r->out, ')');
    return true;
}

static bool dot(struct regex *r)
{
    struct set s = {.ranges = {{'\n', '\n'}, {'\r', '\r'}, {0x85, 0x85}, {0x2028, 0x2029}}, .count = 4};
    r->at++;
    return set_negate(r, &s) && put_set(r, &s, false);
}

static bool one_character(struct regex *r)
{
    struct set s = {.count = 0};
    uint32_t c = 0;
    if (peek(r) == '\\') {
        r->at++;
        const char name = peek(r);
        if (name && strchr("dDwWsS", name)) {
            r->at++;
            return class_escape(r, name, false, &s) && put_set(r, &s, false);
        }
        if (!escape(r, false, &c))
            return false;
    } else if (!plain(r, &c)) {
        return false;
    }
    return set_add(r, &s, c, c) && put_set(r, &s, true);
}

static bool atom(struct regex *r, struct pattern_length *length)
{
    *length = (struct pattern_length){1, 1};
    switch (peek(r)) {
    case '(':
        return group(r, length);
    case '[':
        return class_read(r);
    case '.':
        return dot(r);
    case '^':
    case '$':
        return wrong(r, "an anchor inside it cannot be enforced");
    case '*':
    case '+':
    case '?':
    case '{':
        return wrong(r, "there is nothing to repeat");
    default:
        return one_character(r);
    }
}

static bool count(struct regex *r, uint64_t *out)
{
    if (peek(r) < '0' || peek(r) > '9')
        return wrong(r, "a number of repetitions is missing");
    for (*out = 0; peek(r) >= '0' && peek(r) <= '9'; r->at++) {
        *out = *out * 10 + (uint64_t)(*r->at - '0');
        if (*out > REPEAT_MOST)
            return wrong(r, "has too many repetitions");
    }
    return true;
}

static uint64_t times(uint64_t length, uint64_t n)
{
    if (length == 0 || n == 0)
        return 0;
    return length == UINT64_MAX || n == UINT64_MAX || length > UINT32_MAX ? UINT64_MAX : length * n;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static bool braces(struct regex *r, uint64_t *least, uint64_t *most)
{
    r->at++;
    if (!count(r, least))
        return false;
    *most = *least;
    if (peek(r) == ',') {
        r->at++;
        *most = UINT64_MAX;
        if (peek(r) != '}' && !count(r, most))
            return false;
    }
    if (peek(r) != '}' || *most < *least)
        return wrong(r, "a repetition in braces is wrong");
    r->at++;
    return true;
}

static bool repetition(struct regex *r, struct pattern_length *length)
{
    uint64_t least = 0, most = UINT64_MAX;
    const char c = peek(r);
    if (!c || !strchr("*+?{", c))
        return true;
    if (c == '{') {
        if (!braces(r, &least, &most))
            return false;
        (void)buf_printf(r->out, "{%u,", (unsigned)least);
        if (most != UINT64_MAX)
            (void)buf_printf(r->out, "%u", (unsigned)most);
        (void)buf_putc(r->out, '}');
    } else {
        least = c == '+';
        most = c == '?' ? 1 : UINT64_MAX;
        (void)buf_putc(r->out, c);
        r->at++;
    }
    if (peek(r) == '?') /* lazy: it matches the same texts */
        r->at++;
    if (peek(r) && strchr("*+?{", peek(r)))
        return wrong(r, "a repetition is repeated");
    *length = (struct pattern_length){times(length->least, least), times(length->most, most)};
    return true;
}

static bool ends_here(const struct regex *r, const char *at)
{
    return at >= r->end || *at == '|';
}

static bool sequence(struct regex *r, bool top, struct pattern_length *length)
{
    *length = (struct pattern_length){0, 0};
    bool closed = false;
    if (top && peek(r) == '^') {
        r->at++;
    } else if (top) {
        (void)buf_puts(r->out, "char* ");
        length->most = UINT64_MAX;
    }
    (void)buf_puts(r->out, "\"\" ");
    while (r->at < r->end && *r->at != '|' && (*r->at != ')' || top)) {
        struct pattern_length one;
        if (*r->at == ')')
            return wrong(r, "a ) has no (");
        if (top && *r->at == '$' && ends_here(r, r->at + 1)) {
            r->at++;
            closed = true;
            break;
        }
        if (!atom(r, &one) || !repetition(r, &one))
            return false;
        (void)buf_putc(r->out, ' ');
        length->least = plus(length->least, one.least);
        length->most = plus(length->most, one.most);
    }
    if (top && !closed) {
        (void)buf_puts(r->out, "char*");
        length->most = UINT64_MAX;
    }
    return true;
}

static bool alternatives(struct regex *r, bool top, struct pattern_length *length)
{
    if (!sequence(r, top, length))
        return false;
    while (peek(r) == '|') {
        struct pattern_length one;
        r->at++;
        (void)buf_puts(r->out, " | ");
        if (!sequence(r, top, &one))
            return false;
        length->least = one.least < length->least ? one.least : length->least;
        length->most = one.most > length->most ? one.most : length->most;
    }
    return true;
}

bool pattern_write(const char *pattern, size_t len, struct buf *out, struct pattern_length *length,
                   const char **why)
{
    struct regex r = {.at = pattern, .end = pattern + len, .out = out};
    (void)buf_putc(out, '(');
    const bool ok = alternatives(&r, true, length) && (r.at == r.end || wrong(&r, "a ) has no ("));
    (void)buf_putc(out, ')');
    *why = r.why;
    return ok && !out->failed;
}
