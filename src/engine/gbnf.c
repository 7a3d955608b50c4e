/* Reading GBNF: a descent over the text that writes each rule's alternatives as flat runs of elements, so
 * that a place in a grammar is one number.
 *
 * Repetitions are written out as llama.cpp does:
 *
 *   S{2,4}  becomes  S S A     A ::= S B |     B ::= S |
 *   S*      becomes  A         A ::= S A |
 */
#include "engine/gbnf_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "engine/tokenize.h"

enum { CODE_POINT_MOST = 0x10FFFF };
#define NO_LIMIT UINT64_MAX

struct body { /* of a rule that is being read: alternatives with GBNF_ALT between them */
    struct gbnf_element *data;
    size_t len, cap;
};

struct parse {
    struct gbnf *g;
    const struct model *m;
    const char *at, *end;
    struct gbnf_fault *fault;
    int rc;
    unsigned depth;
    size_t line;         /* of the rule that is being read */
    const char *line_at; /* where that was counted */
    uint32_t *names;     /* hash table of rules by name, plus one */
    size_t name_slots, name_count;
    size_t expanded; /* elements in bodies and rules so far */
};

/* ---- failing ---- */

static void place(const char *text, const char *at, struct gbnf_fault *f)
{
    f->line = f->column = 1;
    for (const char *p = text; p < at; p++) {
        const bool newline = *p == '\n';
        f->line += newline;
        f->column = newline ? 1 : f->column + (((unsigned char)*p & 0xC0) != 0x80);
    }
}

static bool fail_at(struct parse *p, const char *at, int rc, const char *what)
{
    if (p->rc == 0) {
        p->rc = rc;
        place(p->g->text, at, p->fault);
        (void)snprintf(p->fault->text, sizeof p->fault->text, "%s", what);
    }
    return false;
}

static bool fail(struct parse *p, const char *what)
{
    return fail_at(p, p->at, VX11_ESYNTAX, what);
}

static bool no_memory(struct parse *p)
{
    return fail_at(p, p->at, VX11_ENOMEM, "out of memory");
}

/* ---- growing ---- */

static bool grow(struct parse *p, void **data, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 32;
    while (more < need)
        more *= 2;
    void *bigger = realloc(*data, more * size);
    if (!bigger)
        return no_memory(p);
    *data = bigger;
    *cap = more;
    return true;
}

#define GROW(p, array, count, cap, n) grow((p), (void **)&(array), &(cap), (count) + (n), sizeof *(array))

static bool body_add(struct parse *p, struct body *b, enum gbnf_kind kind, uint32_t value)
{
    if (++p->expanded > GBNF_ELEMENTS_MOST)
        return fail_at(p, p->at, VX11_ETOO_LARGE,
                       "the grammar is too large once its repetitions are written out");
    if (!GROW(p, b->data, b->len, b->cap, 1))
        return false;
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): GROW has made room
    b->data[b->len++] = (struct gbnf_element){kind, value};
    return true;
}

static bool body_copy(struct parse *p, struct body *b, const struct gbnf_element *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!body_add(p, b, from[i].kind, from[i].value))
            return false;
    }
    return true;
}

/* ---- rules ---- */

static bool rule_new(struct parse *p, const char *name, size_t len, uint32_t *out)
{
    struct gbnf *g = p->g;
    if (!GROW(p, g->rules, g->rule_count, g->rule_cap, 1))
        return false;
    *out = (uint32_t)g->rule_count;
    g->rules[g->rule_count++] =
        (struct gbnf_rule){.line = (uint32_t)p->line, .name = name, .name_len = (uint32_t)len};
    return true;
}

static bool rule_define(struct parse *p, uint32_t rule, const struct body *b)
{
    struct gbnf *g = p->g;
    g->rules[rule].first = (uint32_t)g->alternative_count;
    for (size_t from = 0; from <= b->len;) {
        size_t to = from;
        while (to < b->len && b->data[to].kind != GBNF_ALT)
            to++;
        const size_t n = to - from;
        if (!GROW(p, g->alternatives, g->alternative_count, g->alternative_cap, 1) ||
            !GROW(p, g->elements, g->element_count, g->element_cap, n + 1))
            return false;
        g->alternatives[g->alternative_count++] = (uint32_t)g->element_count;
        if (n > 0)
            memcpy(g->elements + g->element_count, b->data + from, n * sizeof *b->data);
        g->element_count += n;
        g->elements[g->element_count++] = (struct gbnf_element){GBNF_END, 0};
        from = to + 1;
    }
    g->rules[rule].count = (uint32_t)g->alternative_count - g->rules[rule].first;
    g->rules[rule].defined = true;
    return true;
}

static size_t name_hash(const char *name, size_t len)
{
    size_t h = 14695981039346656037u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)name[i]) * 1099511628211u;
    return h;
}

static uint32_t *name_slot(struct parse *p, const char *name, size_t len)
{
    size_t at = name_hash(name, len) & (p->name_slots - 1);
    while (p->names[at]) {
        const struct gbnf_rule *r = &p->g->rules[p->names[at] - 1];
        if (r->name_len == len && memcmp(r->name, name, len) == 0)
            break;
        at = (at + 1) & (p->name_slots - 1);
    }
    return &p->names[at];
}

static bool names_grow(struct parse *p)
{
    uint32_t *old = p->names;
    const size_t slots = p->name_slots;
    p->name_slots = slots ? slots * 2 : 256;
    p->names = calloc(p->name_slots, sizeof *p->names);
    if (!p->names) {
        free(old);
        p->name_slots = 0;
        return no_memory(p);
    }
    for (size_t i = 0; i < slots; i++) {
        if (old[i])
            *name_slot(p, p->g->rules[old[i] - 1].name, p->g->rules[old[i] - 1].name_len) = old[i];
    }
    free(old);
    return true;
}

static bool rule_named(struct parse *p, const char *name, size_t len, uint32_t *out)
{
    if (p->name_count * 2 >= p->name_slots && !names_grow(p))
        return false;
    uint32_t *slot = name_slot(p, name, len);
    if (!*slot) {
        if (!rule_new(p, name, len, out))
            return false;
        *slot = *out + 1;
        p->name_count++;
    }
    *out = *slot - 1;
    return true;
}

/* ---- characters ---- */

static char peek(const struct parse *p)
{
    return p->at < p->end ? *p->at : '\0';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

static void space(struct parse *p, bool newlines)
{
    for (; p->at < p->end; p->at++) {
        if (*p->at == '#') {
            while (p->at < p->end && *p->at != '\n' && *p->at != '\r')
                p->at++;
            if (p->at == p->end)
                return;
        }
        const char c = *p->at;
        if (c != ' ' && c != '\t' && !(newlines && (c == '\n' || c == '\r')))
            return;
    }
}

static bool hex(struct parse *p, int digits, uint32_t *out)
{
    const char *start = p->at;
    uint32_t value = 0;
    for (int i = 0; i < digits; i++, p->at++) {
        const char c = peek(p);
        const int d = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
        if (d < 0)
            return fail(p, "a hexadecimal digit is missing here");
        value = value << 4 | (uint32_t)d;
    }
    if (value > CODE_POINT_MOST)
        return fail_at(p, start, VX11_ESYNTAX, "there is no such code point");
    *out = value;
    return true;
}

static bool escape(struct parse *p, uint32_t *out)
{
    const char *start = p->at++;
    const char c = peek(p);
    p->at++;
    switch (c) {
    case 'x':
        return hex(p, 2, out);
    case 'u':
        return hex(p, 4, out);
    case 'U':
        return hex(p, 8, out);
    case 't':
        *out = '\t';
        return true;
    case 'r':
        *out = '\r';
        return true;
    case 'n':
        *out = '\n';
        return true;
    case '\\':
    case '"':
    case '[':
    case ']':
    case '-':
        *out = (unsigned char)c;
        return true;
    default:
        return fail_at(p, start, VX11_ESYNTAX,
                       "unknown escape: \\x \\u \\U \\t \\r \\n \\\\ \\\" \\[ \\] \\- are known");
    }
}

/* One character of a literal or a class; the text is valid UTF-8. */
static bool character(struct parse *p, uint32_t *out)
{
    if (p->at >= p->end)
        return fail(p, "the grammar ends inside a literal or a class");
    if (*p->at == '\\')
        return escape(p, out);
    const int n = utf8_next(p->at, (size_t)(p->end - p->at));
    const unsigned char first = (unsigned char)*p->at;
    uint32_t value = n == 1 ? first : first & (0x7Fu >> n);
    for (int i = 1; i < n; i++)
        value = value << 6 | ((unsigned char)p->at[i] & 0x3Fu);
    p->at += n > 0 ? n : 1;
    *out = value;
    return true;
}

/* ---- sets ---- */

static int range_order(const void *a, const void *b)
{
    const struct gbnf_range *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low;
}

static bool range_add(struct parse *p, uint32_t low, uint32_t high)
{
    struct gbnf *g = p->g;
    if (g->range_count >= GBNF_ELEMENTS_MOST)
        return fail_at(p, p->at, VX11_ETOO_LARGE, "the grammar's classes are too large");
    if (!GROW(p, g->ranges, g->range_count, g->range_cap, 2))
        return false;
    g->ranges[g->range_count++] = (struct gbnf_range){low, high};
    return true;
}

/* Sorts and joins the ranges from `first` on, and turns them round when asked. */
static void ranges_settle(struct gbnf *g, size_t first, bool negate)
{
    struct gbnf_range *r = g->ranges + first;
    const size_t n = g->range_count - first;
    qsort(r, n, sizeof *r, range_order);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && r[i].low <= r[kept - 1].high + 1) {
            if (r[i].high > r[kept - 1].high)
                r[kept - 1].high = r[i].high;
        } else {
            r[kept++] = r[i];
        }
    }
    if (!negate) {
        g->range_count = first + kept;
        return;
    }
    uint32_t low = 0;
    size_t out = 0;
    for (size_t i = 0; i < kept; i++) {
        const struct gbnf_range here = r[i];
        if (here.low > low)
            r[out++] = (struct gbnf_range){low, here.low - 1};
        low = here.high + 1;
    }
    if (low <= CODE_POINT_MOST)
        r[out++] = (struct gbnf_range){low, CODE_POINT_MOST};
    g->range_count = first + out;
}

static bool set_end(struct parse *p, size_t first, bool negate, struct body *b)
{
    struct gbnf *g = p->g;
    if (!GROW(p, g->ranges, g->range_count, g->range_cap, 1) ||
        !GROW(p, g->sets, g->set_count, g->set_cap, 1))
        return false;
    ranges_settle(g, first, negate);
    struct gbnf_set set = {.first = (uint32_t)first, .count = (uint32_t)(g->range_count - first)};
    for (size_t i = first; i < g->range_count; i++) {
        for (uint32_t c = g->ranges[i].low; c <= g->ranges[i].high && c < 128; c++)
            set.ascii[c / 64] |= UINT64_C(1) << (c % 64);
    }
    g->sets[g->set_count++] = set;
    return body_add(p, b, GBNF_SET, (uint32_t)g->set_count - 1);
}

static bool class_read(struct parse *p, struct body *b)
{
    const size_t first = p->g->range_count;
    const char *start = p->at++;
    const bool negate = peek(p) == '^';
    p->at += negate;
    if (peek(p) == ']')
        return fail_at(p, start, VX11_ESYNTAX, "an empty class");
    while (peek(p) != ']') {
        uint32_t low = 0, high = 0;
        if (!character(p, &low))
            return false;
        high = low;
        if (peek(p) == '-' && p->at + 1 < p->end && p->at[1] != ']') {
            p->at++;
            if (!character(p, &high))
                return false;
        }
        if (high < low)
            return fail(p, "a range that ends before it begins");
        if (!range_add(p, low, high))
            return false;
    }
    p->at++;
    return set_end(p, first, negate, b);
}

bool gbnf_set_has(const struct gbnf *g, uint32_t set, uint32_t code_point)
{
    const struct gbnf_set *s = &g->sets[set];
    if (code_point < 128)
        return s->ascii[code_point / 64] >> (code_point % 64) & 1;
    return gbnf_set_meets(g, set, code_point, code_point);
}

bool gbnf_set_meets(const struct gbnf *g, uint32_t set, uint32_t low, uint32_t high)
{
    const struct gbnf_set *s = &g->sets[set];
    const struct gbnf_range *r = g->ranges + s->first;
    size_t from = 0, to = s->count;
    while (from < to) { /* the first range that does not end before low */
        const size_t middle = (from + to) / 2;
        if (r[middle].high < low)
            from = middle + 1;
        else
            to = middle;
    }
    return from < s->count && r[from].low <= high;
}

/* ---- tokens ---- */

static bool token_by_text(struct parse *p, const char *text, size_t len, uint32_t *out)
{
    struct tokens tokens = TOKENS_INIT;
    const int rc = tokenize(p->m, text, len, false, true, &tokens, NULL);
    const bool one = rc == 0 && tokens.len == 1;
    if (one)
        *out = (uint32_t)tokens.data[0];
    tokens_free(&tokens);
    return one ||
           fail_at(p, text, rc == VX11_ENOMEM ? rc : VX11_ESYNTAX, "this is not one token of the model");
}

/* <[123]> or <text>, from its "<". */
static bool token_read(struct parse *p, enum gbnf_kind kind, struct body *b)
{
    const char *start = p->at;
    uint32_t token = 0;
    if (peek(p) != '<')
        return fail(p, "a token in < > is missing here");
    if (!p->m)
        return fail(p, "tokens cannot be named here");
    const char *close = memchr(start, '>', (size_t)(p->end - start));
    if (!close)
        return fail(p, "the token's > is missing");
    if (start + 1 < p->end && start[1] == '[') {
        int64_t number = 0;
        char digits[16] = "";
        const ptrdiff_t n = close - start - 3;
        if (n > 0 && n < (ptrdiff_t)sizeof digits && close[-1] == ']')
            memcpy(digits, start + 2, (size_t)n);
        if (str_to_i64(digits, 0, p->m->vocabulary - 1, &number) != 0)
            return fail(p, "no such token number");
        token = (uint32_t)number;
    } else if (!token_by_text(p, start, (size_t)(close + 1 - start), &token)) {
        return false;
    }
    p->at = close + 1;
    return body_add(p, b, kind, token);
}

/* ---- repetitions ---- */

/* A ::= S next |    or, with endless, A ::= S A | */
static bool optional_rule(struct parse *p, const struct body *unit, uint32_t owner, bool endless,
                          uint32_t next, bool has_next, uint32_t *out)
{
    struct body b = {0};
    bool ok = rule_new(p, p->g->rules[owner].name, p->g->rules[owner].name_len, out) &&
              body_copy(p, &b, unit->data, unit->len) &&
              (!(endless || has_next) || body_add(p, &b, GBNF_RULE, endless ? *out : next)) &&
              body_add(p, &b, GBNF_ALT, 0) && rule_define(p, *out, &b);
    free(b.data);
    return ok;
}

static bool repeat(struct parse *p, struct body *b, size_t from, uint32_t owner, uint64_t least,
                   uint64_t most)
{
    struct body unit = {0};
    bool ok = body_copy(p, &unit, b->data + from, b->len - from);
    uint32_t rule = 0;
    b->len = from;
    for (uint64_t i = 0; ok && i < least; i++)
        ok = body_copy(p, b, unit.data, unit.len);
    if (ok && most == NO_LIMIT) {
        ok = optional_rule(p, &unit, owner, true, 0, false, &rule) && body_add(p, b, GBNF_RULE, rule);
    } else if (ok && most > least) {
        for (uint64_t i = least; ok && i < most; i++)
            ok = optional_rule(p, &unit, owner, false, rule, i > least, &rule);
        ok = ok && body_add(p, b, GBNF_RULE, rule);
    }
    free(unit.data);
    return ok;
}

static bool number(struct parse *p, uint64_t *out)
{
    if (peek(p) < '0' || peek(p) > '9')
        return fail(p, "a number is missing here");
    for (*out = 0; peek(p) >= '0' && peek(p) <= '9'; p->at++) {
        *out = *out * 10 + (uint64_t)(*p->at - '0');
        if (*out > GBNF_ELEMENTS_MOST)
            return fail_at(p, p->at, VX11_ETOO_LARGE, "too many repetitions");
    }
    return true;
}

static bool braces(struct parse *p, bool newlines, uint64_t *least, uint64_t *most)
{
    p->at++;
    space(p, newlines);
    if (!number(p, least))
        return false;
    *most = *least;
    space(p, newlines);
    if (peek(p) == ',') {
        p->at++;
        space(p, newlines);
        *most = NO_LIMIT;
        if (peek(p) != '}' && !number(p, most))
            return false;
        space(p, newlines);
    }
    if (peek(p) != '}')
        return fail(p, "a } is missing here");
    if (*most < *least)
        return fail(p, "a repetition whose most is less than its least");
    p->at++;
    return true;
}

/* *, +, ? or {…} at p->at: applies it to what begins at `from`. */
static bool repetition(struct parse *p, struct body *b, size_t from, uint32_t owner, bool newlines)
{
    uint64_t least = 0, most = NO_LIMIT;
    const char c = *p->at;
    if (from == b->len)
        return fail(p, "there is nothing to repeat");
    if (c == '{') {
        if (!braces(p, newlines, &least, &most))
            return false;
    } else {
        least = c == '+';
        most = c == '?' ? 1 : NO_LIMIT;
        p->at++;
    }
    return repeat(p, b, from, owner, least, most);
}

/* ---- sequences ---- */

static bool alternatives_read(struct parse *p, uint32_t rule, uint32_t owner, bool nested);

static bool group(struct parse *p, struct body *b, uint32_t owner)
{
    const char *start = p->at++;
    uint32_t rule = 0;
    if (p->depth == GBNF_DEPTH_MOST)
        return fail_at(p, start, VX11_ETOO_LARGE, "parentheses are nested too deep");
    p->depth++;
    space(p, true);
    if (!rule_new(p, p->g->rules[owner].name, p->g->rules[owner].name_len, &rule) ||
        !alternatives_read(p, rule, owner, true))
        return false;
    p->depth--;
    if (peek(p) != ')')
        return fail_at(p, p->at < p->end ? p->at : start, VX11_ESYNTAX,
                       p->at < p->end ? "this does not belong here: a ) is missing"
                                      : "this ( is never closed");
    p->at++;
    return body_add(p, b, GBNF_RULE, rule);
}

static bool literal(struct parse *p, struct body *b)
{
    const char *start = p->at++;
    while (peek(p) != '"') {
        uint32_t c = 0;
        if (p->at >= p->end)
            return fail_at(p, start, VX11_ESYNTAX, "this \" is never closed");
        if (!character(p, &c) || !body_add(p, b, GBNF_CHAR, c))
            return false;
    }
    p->at++;
    return true;
}

static bool reference(struct parse *p, struct body *b)
{
    const char *start = p->at;
    uint32_t rule = 0;
    while (is_word(peek(p)))
        p->at++;
    return rule_named(p, start, (size_t)(p->at - start), &rule) && body_add(p, b, GBNF_RULE, rule);
}

static bool any_character(struct parse *p, struct body *b)
{
    const size_t first = p->g->range_count;
    p->at++;
    return range_add(p, 0, CODE_POINT_MOST) && set_end(p, first, false, b);
}

/* False with p->rc == 0: nothing of a sequence stands here. */
static bool item(struct parse *p, struct body *b, uint32_t owner)
{
    switch (peek(p)) {
    case '"':
        return literal(p, b);
    case '[':
        return class_read(p, b);
    case '(':
        return group(p, b, owner);
    case '.':
        return any_character(p, b);
    case '!':
        p->at++;
        return token_read(p, GBNF_TOKEN_NOT, b);
    case '<':
        return token_read(p, GBNF_TOKEN, b);
    default:
        return is_word(peek(p)) && reference(p, b);
    }
}

static bool sequence(struct parse *p, struct body *b, uint32_t owner, bool nested)
{
    size_t last = b->len;
    while (p->at < p->end) {
        const size_t before = b->len;
        if (strchr("*+?{", *p->at)) {
            if (!repetition(p, b, last, owner, nested))
                return false;
        } else if (item(p, b, owner)) {
            last = before;
        } else {
            return p->rc == 0;
        }
        space(p, nested);
    }
    return true;
}

static bool alternatives_read(struct parse *p, uint32_t rule, uint32_t owner, bool nested)
{
    struct body b = {0};
    bool ok = sequence(p, &b, owner, nested);
    while (ok && peek(p) == '|') {
        p->at++;
        space(p, true);
        ok = body_add(p, &b, GBNF_ALT, 0) && sequence(p, &b, owner, nested);
    }
    ok = ok && rule_define(p, rule, &b);
    free(b.data);
    return ok;
}

static bool rule_read(struct parse *p)
{
    const char *start = p->at;
    uint32_t rule = 0;
    for (; p->line_at < start; p->line_at++)
        p->line += *p->line_at == '\n';
    while (is_word(peek(p)))
        p->at++;
    const size_t len = (size_t)(p->at - start);
    if (len == 0)
        return fail(p, "a rule's name is missing here");
    if (!rule_named(p, start, len, &rule))
        return false;
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): rule_named has made it
    if (p->g->rules[rule].defined)
        return fail_at(p, start, VX11_ESYNTAX, "this rule is defined twice");
    p->g->rules[rule].line = (uint32_t)p->line;
    space(p, false);
    if (p->end - p->at < 3 || memcmp(p->at, "::=", 3) != 0)
        return fail(p, "a ::= is missing here");
    p->at += 3;
    space(p, true);
    if (!alternatives_read(p, rule, rule, false))
        return false;
    if (p->at < p->end && *p->at != '\n' && *p->at != '\r')
        return fail(p, "this does not belong here");
    space(p, true);
    return true;
}

static bool root_find(struct parse *p)
{
    if (p->g->rule_count > 0) {
        const uint32_t slot = *name_slot(p, "root", 4);
        if (slot && p->g->rules[slot - 1].defined) {
            p->g->root = slot - 1;
            return true;
        }
    }
    p->rc = VX11_ESYNTAX;
    (void)snprintf(p->fault->text, sizeof p->fault->text, "there is no rule named root");
    return false;
}

int gbnf_compile(const char *text, size_t len, const struct model *m, struct gbnf **out,
                 struct gbnf_fault *fault)
{
    struct gbnf_fault ignored;
    struct parse p = {.m = m, .fault = fault ? fault : &ignored, .g = calloc(1, sizeof *p.g)};
    *p.fault = (struct gbnf_fault){0};
    *out = NULL;
    if (!p.g || !(p.g->text = malloc(len + 1))) {
        p.rc = VX11_ENOMEM;
        goto out;
    }
    memcpy(p.g->text, text, len);
    p.g->text[len] = '\0';
    p.at = p.g->text;
    p.end = p.at + len;
    p.line_at = p.at;
    p.line = 1;
    const char *nul = memchr(p.at, '\0', len);
    if (len > GBNF_TEXT_MOST)
        (void)fail_at(&p, p.at, VX11_ETOO_LARGE, "the grammar is too long");
    else if (!utf8_valid(text, len))
        (void)fail_at(&p, p.at + utf8_valid_prefix(text, len), VX11_ESYNTAX, "this is not UTF-8");
    else if (nul)
        (void)fail_at(&p, nul, VX11_ESYNTAX, "a NUL does not belong here");
    space(&p, true);
    while (p.rc == 0 && p.at < p.end)
        (void)rule_read(&p);
    if (p.rc == 0 && root_find(&p))
        p.rc = gbnf_check(p.g, p.fault);
out:
    free(p.names);
    if (p.rc == 0)
        *out = p.g;
    else
        gbnf_free(p.g);
    return p.rc;
}

void gbnf_free(struct gbnf *g)
{
    if (!g)
        return;
    free(g->elements);
    free(g->alternatives);
    free(g->rules);
    free(g->sets);
    free(g->ranges);
    free(g->text);
    free(g);
}
