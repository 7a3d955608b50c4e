/* Numbers, digit by digit.
 *
 * A bound is kept by comparing from the first digit on: as long as the digits are those of the bound, the
 * next one must not pass it; once they differ, the rest is free.
 *
 *   at least 250, three digits:   2 (5 any | [6-9] any) | [3-9] any any
 *
 * "Divisible by m" is kept by what is left over so far, which is one of m numbers. Each state of that (digits
 * left, at a bound or not, remainder) is a rule, written once; those from which no number can be completed
 * are left out. */
#include "engine/schema_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DIGITS_FREE = 15, /* before the point, when no bound says more; and after it */
    DIGITS_MOST = 20, /* of a bound, on either side of the point */
    DIVISOR_MOST = 256,
    STATES = 1 << 14,
};
#define DEAD UINT32_MAX

struct decimal { /* without leading or trailing zeros; 0 is "0", "" */
    bool negative;
    char whole[DIGITS_MOST + 2], part[DIGITS_MOST + 2];
};

struct bounds {
    bool has_low, low_open, has_high, high_open; /* open: the bound itself is not allowed */
    struct decimal low, high;
};

struct memo {
    uint64_t key; /* plus one; 0: free */
    uint32_t rule;
};

struct digits { /* numbers of one sign, without it */
    struct schema *s;
    struct bounds b;
    size_t part_most; /* digits after the point */
    uint32_t divisor; /* of the number with scale digits of its part; 1: none */
    size_t scale;
    struct memo *memo;
    size_t states;
    bool failed;
};

/* ---- decimals ---- */

static void trim(struct decimal *d)
{
    size_t zeros = strspn(d->whole, "0"), len = strlen(d->whole);
    if (zeros == len && len > 0)
        zeros = len - 1;
    memmove(d->whole, d->whole + zeros, len - zeros + 1);
    for (len = strlen(d->part); len > 0 && d->part[len - 1] == '0'; len--)
        d->part[len - 1] = '\0';
    if (strcmp(d->whole, "0") == 0 && !*d->part)
        d->negative = false;
}

/* "1234" with the point after 2 digits is 12.34. False: too many digits. */
static bool place_point(const char *digits, int point, struct decimal *out)
{
    const int n = (int)strlen(digits);
    if (point > DIGITS_MOST || point < -DIGITS_MOST || n - point > DIGITS_MOST)
        return false;
    memset(out->whole, 0, sizeof out->whole);
    memset(out->part, 0, sizeof out->part);
    out->whole[0] = '0';
    for (int i = 0; i < point; i++)
        out->whole[i] = i < n ? digits[i] : '0';
    for (int i = 0; i < -point; i++)
        out->part[i] = '0';
    for (int i = point > 0 ? point : 0; i < n; i++)
        out->part[i - point] = digits[i];
    trim(out);
    return true;
}

/* The shortest decimal that reads back as the same number. False: it has too many digits. */
static bool decimal_of(yyjson_val *value, struct decimal *out)
{
    char text[40], digits[40];
    size_t n = 0;
    int exponent = 0;
    *out = (struct decimal){.negative = yyjson_is_sint(value) ? yyjson_get_sint(value) < 0 : false};
    if (yyjson_is_int(value)) {
        if (yyjson_is_uint(value))
            (void)snprintf(digits, sizeof digits, "%" PRIu64, yyjson_get_uint(value));
        else
            (void)snprintf(digits, sizeof digits, "%" PRIu64, UINT64_C(0) - (uint64_t)yyjson_get_sint(value));
        return place_point(digits, (int)strlen(digits), out);
    }
    const double number = yyjson_get_real(value);
    out->negative = number < 0;
    for (int precision = 0; precision < 17; precision++) {
        (void)snprintf(text, sizeof text, "%.*e", precision, fabs(number));
        if (strtod(text, NULL) == fabs(number))
            break;
    }
    for (const char *p = text; *p && *p != 'e'; p++) {
        if (*p != '.')
            digits[n++] = *p;
    }
    digits[n] = '\0';
    exponent = atoi(strchr(text, 'e') + 1);
    const bool negative = out->negative;
    if (exponent < -DIGITS_MOST || !place_point(digits, exponent + 1, out))
        return false;
    out->negative = negative && (strcmp(out->whole, "0") != 0 || *out->part);
    return true;
}

static int magnitude_order(const struct decimal *a, const struct decimal *b)
{
    const size_t x = strlen(a->whole), y = strlen(b->whole);
    if (x != y)
        return x < y ? -1 : 1;
    const int whole = strcmp(a->whole, b->whole);
    return whole != 0 ? whole : strcmp(a->part, b->part);
}

static int decimal_order(const struct decimal *a, const struct decimal *b)
{
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    return a->negative ? magnitude_order(b, a) : magnitude_order(a, b);
}

/* ---- states ---- */

/* Digits before the point (left: how many) or after it (left: how many there were); low, high: they are those
 * of the bound so far. */
struct place {
    bool after;
    size_t left;
    bool low, high;
    uint32_t rest;
};

static uint32_t state(struct digits *d, struct place p);

static uint64_t key_of(struct place p)
{
    return ((uint64_t)p.rest << 16 | (uint64_t)p.left << 4 | (uint64_t)p.after << 2 | (uint64_t)p.low << 1 |
            (uint64_t)p.high) +
           1;
}

static struct memo *memo_of(struct digits *d, struct place p)
{
    const uint64_t key = key_of(p);
    size_t at = (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 40) & (STATES - 1);
    while (d->memo[at].key != 0 && d->memo[at].key != key)
        at = (at + 1) & (STATES - 1);
    return &d->memo[at];
}

/* Digit i of a bound, which goes on with zeros. */
static char bound_digit(const struct decimal *b, struct place p)
{
    const size_t n = strlen(p.after ? b->part : b->whole);
    if (p.after)
        return p.left < n ? b->part[p.left] : '0';
    return b->whole[n - p.left];
}

/* Whether a number may end after `written` digits of its part. */
static bool may_end(const struct digits *d, struct place p, size_t written)
{
    uint64_t rest = p.rest;
    if (p.low && (strlen(d->b.low.part) > written || d->b.low_open))
        return false;
    if (p.high && strlen(d->b.high.part) <= written && d->b.high_open)
        return false;
    for (size_t i = written; i < d->scale; i++)
        rest = rest * 10 % d->divisor;
    return rest == 0;
}

static bool is_free(const struct digits *d, struct place p)
{
    return !p.low && !p.high && d->divisor == 1;
}

static void free_write(const struct digits *d, struct place p, struct buf *out)
{
    if (p.after) {
        (void)buf_printf(out, "[0-9]{0,%zu}", d->part_most - p.left);
        return;
    }
    (void)buf_printf(out, "[0-9]{%zu}", p.left);
    if (d->part_most > 0)
        (void)buf_printf(out, " (\".\" [0-9]{1,%zu})?", d->part_most);
}

/* The digits from `from` on that the place allows, those that lead to the same state together. */
static bool digits_write(struct digits *d, struct place p, char from, bool any, struct buf *out)
{
    const char least = p.low && bound_digit(&d->b.low, p) > from ? bound_digit(&d->b.low, p) : from;
    const char most = p.high ? bound_digit(&d->b.high, p) : '9';
    uint32_t next[10];
    for (int at = 0; at < 10; at++) {
        const char c = (char)('0' + at);
        struct place to = p;
        next[at] = DEAD;
        if (c < least || c > most)
            continue;
        to.left = p.after ? p.left + 1 : p.left - 1;
        to.low = p.low && c == bound_digit(&d->b.low, p);
        to.high = p.high && c == bound_digit(&d->b.high, p);
        to.rest = (p.rest * 10 + (uint32_t)(c - '0')) % d->divisor;
        next[at] = state(d, to);
    }
    for (int i = 0; i < 10; i++) {
        if (next[i] == DEAD)
            continue;
        const uint32_t rule = next[i];
        (void)buf_puts(out, any ? " | [" : "[");
        for (int k = i; k < 10; k++) {
            if (next[k] == rule) {
                (void)buf_putc(out, (char)('0' + k));
                next[k] = DEAD;
            }
        }
        (void)buf_printf(out, "] s%u", rule);
        any = true;
    }
    return any;
}

static bool place_write(struct digits *d, struct place p, struct buf *out)
{
    if (!p.after && p.left > 0)
        return digits_write(d, p, '0', false, out);
    if (p.after) {
        const bool end = p.left > 0 && may_end(d, p, p.left);
        (void)buf_puts(out, end ? "\"\"" : "");
        return p.left < d->part_most ? digits_write(d, p, '0', end, out) : end;
    }
    const bool end = may_end(d, p, 0);
    (void)buf_puts(out, end ? "\"\"" : "");
    if (d->part_most == 0)
        return end;
    struct place after = p;
    after.after = true;
    after.left = 0;
    const uint32_t rule = state(d, after);
    if (rule != DEAD)
        (void)buf_printf(out, "%s\".\" s%u", end ? " | " : "", rule);
    return end || rule != DEAD;
}

/* The rule of what may follow; DEAD: nothing completes a number from there. */
static uint32_t state(struct digits *d, struct place p)
{
    struct buf e = BUF_INIT;
    struct memo *m = memo_of(d, p);
    if (m->key != 0 || d->failed)
        return m->key != 0 ? m->rule : DEAD;
    if (++d->states > STATES / 2) {
        d->failed = true;
        return DEAD;
    }
    bool alive = true;
    if (is_free(d, p) && !(p.after && p.left == 0))
        free_write(d, p, &e);
    else
        alive = place_write(d, p, &e);
    m = memo_of(d, p);
    *m = (struct memo){key_of(p), DEAD};
    if (alive && !d->failed) {
        m->rule = schema_rule_new(d->s);
        d->failed = !schema_rule_write(d->s, m->rule, &e);
    }
    buf_free(&e);
    return m->rule;
}

/* ---- numbers of one sign ---- */

static bool length_write(struct digits *d, size_t length, bool any, struct buf *out)
{
    const struct place p = {.left = length,
                            .low = d->b.has_low && strlen(d->b.low.whole) == length,
                            .high = d->b.has_high && strlen(d->b.high.whole) == length};
    return digits_write(d, p, length > 1 ? '1' : '0', any, out);
}

/* Appends the alternatives of numbers between the bounds, neither of which is negative. */
static bool sign_write(struct digits *d, bool *any, const char *sign, struct buf *out)
{
    const size_t least = d->b.has_low ? strlen(d->b.low.whole) : 1;
    const size_t most = d->b.has_high         ? strlen(d->b.high.whole)
                        : least < DIGITS_FREE ? DIGITS_FREE
                                              : least + 1;
    struct buf e = BUF_INIT;
    bool some = false;
    d->memo = calloc(STATES, sizeof *d->memo);
    if (!d->memo)
        return schema_no_memory(d->s);
    d->states = 0;
    for (size_t length = least; length <= most; length++)
        some = length_write(d, length, some, &e);
    free(d->memo);
    if (some) {
        (void)buf_printf(out, "%s%s(", *any ? " | " : "", sign);
        (void)buf_append(out, e.data, e.len);
        (void)buf_putc(out, ')');
        *any = true;
    }
    out->failed |= e.failed;
    buf_free(&e);
    return true;
}

static struct decimal opposite(struct decimal d)
{
    d.negative = false;
    return d;
}

static bool both_signs(struct digits *d, const struct bounds *b, struct buf *out)
{
    static const struct decimal zero = {.whole = "0"};
    bool any = false;
    if (!b->has_high || !b->high.negative) {
        d->b = *b;
        if (!b->has_low || b->low.negative) {
            d->b.has_low = false;
            d->b.low_open = false;
        }
        if (!sign_write(d, &any, "", out))
            return false;
    }
    if (!b->has_low || b->low.negative) {
        d->b = (struct bounds){.has_low = true, .low = zero, .low_open = true, .has_high = b->has_low};
        if (b->has_high && b->high.negative) {
            d->b.low = opposite(b->high);
            d->b.low_open = b->high_open;
        }
        if (b->has_low) {
            d->b.high = opposite(b->low);
            d->b.high_open = b->low_open;
        }
        if (!sign_write(d, &any, "\"-\" ", out))
            return false;
    }
    if (d->failed)
        return schema_refuse(d->s, "multipleOf", "its grammar is too large");
    return any || schema_refuse(d->s, NULL, "no number is within the bounds");
}

/* ---- keywords ---- */

/* Takes a bound over when it is tighter than what is there. */
static bool bound(struct schema *s, yyjson_val *node, const char *keyword, bool low, bool open,
                  struct bounds *b)
{
    yyjson_val *value = yyjson_obj_get(node, keyword);
    struct decimal d;
    if (!value)
        return true;
    if (!yyjson_is_num(value))
        return schema_refuse(s, keyword, "must be a number");
    if (!decimal_of(value, &d))
        return schema_refuse(s, keyword, "can be enforced with up to %d digits on each side of the point",
                             DIGITS_MOST);
    bool *has = low ? &b->has_low : &b->has_high, *is_open = low ? &b->low_open : &b->high_open;
    struct decimal *at = low ? &b->low : &b->high;
    const int order = *has ? decimal_order(&d, at) : 0;
    if (*has && (low ? order < 0 : order > 0))
        return true;
    *is_open = *has && order == 0 ? *is_open || open : open;
    *has = true;
    *at = d;
    return true;
}

static bool divisor(struct schema *s, yyjson_val *node, struct digits *d)
{
    yyjson_val *value = yyjson_obj_get(node, "multipleOf");
    struct decimal m;
    char all[2 * DIGITS_MOST + 4];
    if (!value)
        return true;
    if (!yyjson_is_num(value) || !(yyjson_get_num(value) > 0))
        return schema_refuse(s, "multipleOf", "must be a number above 0");
    if (!decimal_of(value, &m))
        return schema_refuse(s, "multipleOf", "has too many digits");
    (void)snprintf(all, sizeof all, "%s%s", m.whole, m.part);
    const unsigned long long scaled = strtoull(all, NULL, 10);
    if (strlen(all) > 18 || scaled > DIVISOR_MOST)
        return schema_refuse(s, "multipleOf", "can be enforced up to %d, counted in its last digit",
                             DIVISOR_MOST);
    d->divisor = (uint32_t)scaled;
    d->scale = strlen(m.part);
    if (d->part_most > d->scale)
        d->part_most = d->scale;
    return true;
}

bool schema_number(struct schema *s, yyjson_val *node, bool integer, struct buf *out)
{
    struct digits d = {.s = s, .divisor = 1, .part_most = integer ? 0 : DIGITS_FREE};
    struct bounds b = {0};
    if (!bound(s, node, "minimum", true, false, &b) || !bound(s, node, "exclusiveMinimum", true, true, &b) ||
        !bound(s, node, "maximum", false, false, &b) ||
        !bound(s, node, "exclusiveMaximum", false, true, &b) || !divisor(s, node, &d))
        return false;
    if (!b.has_low && !b.has_high && !yyjson_obj_get(node, "multipleOf")) {
        (void)buf_puts(out, integer ? "integer" : "number");
        return true;
    }
    if (b.has_low && b.has_high && decimal_order(&b.low, &b.high) > 0)
        return schema_refuse(s, b.low_open ? "exclusiveMinimum" : "minimum", "is above the maximum");
    if (!integer && d.divisor == 1 && !yyjson_obj_get(node, "multipleOf") &&
        (strlen(b.low.part) > d.part_most || strlen(b.high.part) > d.part_most))
        d.part_most = DIGITS_MOST;
    return both_signs(&d, &b, out);
}
