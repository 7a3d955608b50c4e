/* The machine: stacks and states, numbered when they are first met.
 *
 * A step by a character looks at the few stacks of a state whose top matches it, and each knows already,
 * after its first time, which state comes then. So a step costs some comparisons, and no memory is taken once
 * the grammar has been walked a while. */
#include "engine/grammar_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static bool overflow(struct grammar *g, const char *why)
{
    g->overflow = why;
    return false;
}

static bool grow(struct grammar *g, void **data, size_t *cap, size_t need, size_t size)
{
    if (need <= *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 64;
    while (more < need)
        more *= 2;
    void *bigger = realloc(*data, more * size);
    if (!bigger)
        return overflow(g, "out of memory");
    *data = bigger;
    *cap = more;
    return true;
}

/* ---- tables ---- */

static uint32_t mix(uint32_t a, uint32_t b)
{
    uint64_t h = ((uint64_t)a << 32 | b) * UINT64_C(0x9E3779B97F4A7C15);
    h ^= h >> 29;
    h *= UINT64_C(0xBF58476D1CE4E5B9);
    return (uint32_t)(h >> 32);
}

static uint32_t stack_hash(const struct grammar *g, uint32_t number)
{
    return mix(g->stacks[number].element, g->stacks[number].below);
}

static uint32_t state_hash(const struct grammar *g, uint32_t number)
{
    return g->states[number].hash;
}

static bool table_grow(struct grammar *g, struct table *t, uint32_t (*hash)(const struct grammar *, uint32_t))
{
    if (t->used * 2 < t->size)
        return true;
    struct table bigger = {.size = t->size ? t->size * 2 : 256, .used = t->used};
    bigger.slots = calloc(bigger.size, sizeof *bigger.slots);
    if (!bigger.slots)
        return overflow(g, "out of memory");
    for (size_t i = 0; i < t->size; i++) {
        if (!t->slots[i])
            continue;
        size_t at = hash(g, t->slots[i] - 1) & (bigger.size - 1);
        while (bigger.slots[at])
            at = (at + 1) & (bigger.size - 1);
        bigger.slots[at] = t->slots[i];
    }
    free(t->slots);
    *t = bigger;
    return true;
}

/* ---- stacks ---- */

static bool stack_number(struct grammar *g, uint32_t element, uint32_t below, uint32_t *out)
{
    if (!table_grow(g, &g->stack_table, stack_hash))
        return false;
    struct table *t = &g->stack_table;
    size_t at = mix(element, below) & (t->size - 1);
    for (; t->slots[at]; at = (at + 1) & (t->size - 1)) {
        const struct stack *s = &g->stacks[t->slots[at] - 1];
        if (s->element == element && s->below == below) {
            *out = t->slots[at] - 1;
            return true;
        }
    }
    if (g->stack_count == STACKS_MOST)
        return overflow(g, "the grammar is nested too deep here");
    if (!grow(g, (void **)&g->stacks, &g->stack_cap, g->stack_count + 1, sizeof *g->stacks))
        return false;
    *out = (uint32_t)g->stack_count++;
    g->stacks[*out] = (struct stack){.element = element, .below = below};
    t->slots[at] = *out + 1;
    t->used++;
    return true;
}

/* ---- states ---- */

static int number_order(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool list_add(struct grammar *g, uint32_t stack)
{
    if (g->list_count == STATE_MOST)
        return overflow(g, "the grammar is too ambiguous here: too many ways to go on");
    if (!grow(g, (void **)&g->list, &g->list_cap, g->list_count + 1, sizeof *g->list))
        return false;
    g->list[g->list_count++] = stack;
    return true;
}

/* The number of the state whose stacks are in g->list, each once. */
static bool state_number(struct grammar *g, uint32_t *out)
{
    if (!table_grow(g, &g->state_table, state_hash))
        return false;
    if (g->list_count > 1)
        qsort(g->list, g->list_count, sizeof *g->list, number_order);
    uint32_t hash = mix((uint32_t)g->list_count, 0x55AA);
    for (size_t i = 0; i < g->list_count; i++)
        hash = mix(hash, g->list[i]);
    struct table *t = &g->state_table;
    size_t at = hash & (t->size - 1);
    for (; t->slots[at]; at = (at + 1) & (t->size - 1)) {
        const struct state *s = &g->states[t->slots[at] - 1];
        if (s->hash == hash && s->count == g->list_count &&
            (s->count == 0 || memcmp(g->members + s->first, g->list, s->count * sizeof *g->list) == 0)) {
            *out = t->slots[at] - 1;
            return true;
        }
    }
    if (g->member_count + g->list_count > MEMBERS_MOST || g->state_count == STACKS_MOST)
        return overflow(g, "the grammar is too ambiguous: it has too many states");
    if (!grow(g, (void **)&g->members, &g->member_cap, g->member_count + g->list_count, sizeof *g->members) ||
        !grow(g, (void **)&g->states, &g->state_cap, g->state_count + 1, sizeof *g->states))
        return false;
    if (g->list_count > 0)
        memcpy(g->members + g->member_count, g->list, g->list_count * sizeof *g->list);
    *out = (uint32_t)g->state_count++;
    g->states[*out] = (struct state){(uint32_t)g->member_count, (uint32_t)g->list_count, hash};
    g->member_count += g->list_count;
    t->slots[at] = *out + 1;
    t->used++;
    return true;
}

/* ---- closures: from a place in the grammar to all characters and tokens that it leads to ---- */

static bool work_add(struct grammar *g, uint32_t element, uint32_t below)
{
    /* The end of a rule goes on with what lies below it. */
    while (below != 0 && g->rules->elements[element].kind == GBNF_END) {
        element = g->stacks[below].element;
        below = g->stacks[below].below;
    }
    if (!grow(g, (void **)&g->work, &g->work_cap, g->work_count + 1, sizeof *g->work))
        return false;
    g->work[g->work_count++] = (struct work){element, below};
    return true;
}

static bool rule_open(struct grammar *g, uint32_t element, uint32_t below)
{
    const struct gbnf *r = g->rules;
    const struct gbnf_rule *rule = &r->rules[r->elements[element].value];
    uint32_t next = below;
    if (r->elements[element + 1].kind != GBNF_END && !stack_number(g, element + 1, below, &next))
        return false;
    for (uint32_t i = rule->first; i < rule->first + rule->count; i++) {
        if (!work_add(g, r->alternatives[i], next))
            return false;
    }
    return true;
}

static bool closure_run(struct grammar *g)
{
    while (g->work_count > 0) {
        const struct work w = g->work[--g->work_count];
        const enum gbnf_kind kind = g->rules->elements[w.element].kind;
        uint32_t stack = 0;
        if (kind != GBNF_END && !stack_number(g, w.element, w.below, &stack))
            return false;
        if (g->stacks[stack].stamp == g->stamp)
            continue;
        g->stacks[stack].stamp = g->stamp;
        if (kind == GBNF_RULE ? !rule_open(g, w.element, w.below) : !list_add(g, stack))
            return false;
    }
    return true;
}

static void closure_begin(struct grammar *g)
{
    g->work_count = g->list_count = 0;
    if (++g->stamp == 0) { /* after 2^32 closures old stamps would look new */
        for (size_t i = 0; i < g->stack_count; i++)
            g->stacks[i].stamp = 0;
        g->stamp = 1;
    }
}

static bool state_after(struct grammar *g, uint32_t stack, uint32_t *out)
{
    if (g->stacks[stack].after == 0) {
        uint32_t state = 0;
        closure_begin(g);
        if (!work_add(g, g->stacks[stack].element + 1, g->stacks[stack].below) || !closure_run(g) ||
            !state_number(g, &state))
            return false;
        g->stacks[stack].after = state + 1;
    }
    *out = g->stacks[stack].after - 1;
    return true;
}

static bool state_start(struct grammar *g)
{
    const struct gbnf_rule *root = &g->rules->rules[g->rules->root];
    closure_begin(g);
    for (uint32_t i = root->first; i < root->first + root->count; i++) {
        if (!work_add(g, g->rules->alternatives[i], 0))
            return false;
    }
    return closure_run(g) && state_number(g, &g->start);
}

/* ---- steps ---- */

static bool matches(const struct grammar *g, uint32_t stack, uint32_t c)
{
    if (stack == 0)
        return false;
    const struct gbnf_element *e = &g->rules->elements[g->stacks[stack].element];
    if (e->kind == GBNF_CHAR)
        return e->value == c;
    return e->kind == GBNF_SET && gbnf_set_has(g->rules, e->value, c);
}

static bool token_matches(const struct grammar *g, uint32_t stack, llama_token token)
{
    if (stack == 0)
        return false;
    const struct gbnf_element *e = &g->rules->elements[g->stacks[stack].element];
    if (e->kind == GBNF_TOKEN)
        return e->value == (uint32_t)token;
    return e->kind == GBNF_TOKEN_NOT && e->value != (uint32_t)token;
}

/* Several states at once: what any of them allows. */
static bool state_join(struct grammar *g, const uint32_t *states, size_t n, uint32_t *out)
{
    closure_begin(g);
    for (size_t i = 0; i < n; i++) {
        const struct state s = g->states[states[i]];
        for (uint32_t k = 0; k < s.count; k++) {
            const uint32_t stack = g->members[s.first + k];
            if (g->stacks[stack].stamp == g->stamp)
                continue;
            g->stacks[stack].stamp = g->stamp;
            if (!list_add(g, stack))
                return false;
        }
    }
    return state_number(g, out);
}

static bool state_step(struct grammar *g, uint32_t from, uint32_t c, uint32_t *to)
{
    const uint32_t first = g->states[from].first, count = g->states[from].count;
    uint32_t *reached = g->reached;
    size_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t stack = g->members[first + i];
        if (!matches(g, stack, c))
            continue;
        if (!state_after(g, stack, &reached[n]))
            return false;
        if (n == 0 || reached[n] != reached[n - 1])
            n++;
    }
    if (n == 0)
        return false;
    if (n > 1)
        return state_join(g, reached, n, to);
    *to = reached[0];
    return true;
}

/* ---- characters ---- */

static bool byte_first(struct grammar *g, const struct grammar_place *from, uint8_t byte,
                       struct grammar_place *to)
{
    *to = (struct grammar_place){.state = from->state};
    if (byte < 0x80)
        return state_step(g, from->state, byte, &to->state);
    if (byte < 0xC2 || byte > 0xF4)
        return false;
    to->character = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
    to->missing = (uint8_t)(to->character - 1);
    to->partial = byte & (0x7Fu >> to->character);
    return true;
}

bool place_step(struct grammar *g, const struct grammar_place *from, uint8_t byte, struct grammar_place *to)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (from->missing == 0)
        return byte_first(g, from, byte, to);
    if ((byte & 0xC0) != 0x80)
        return false;
    *to = *from;
    to->partial = from->partial << 6 | (byte & 0x3F);
    if (--to->missing > 0)
        return true;
    const uint32_t c = to->partial;
    if (c < least[to->character] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return false;
    to->partial = to->character = 0;
    return state_step(g, from->state, c, &to->state);
}

bool place_fits(const struct grammar *g, const struct grammar_place *place)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (place->missing == 0)
        return true;
    uint32_t low = place->partial << (6 * place->missing);
    uint32_t high = low | ((1u << (6 * place->missing)) - 1);
    low = low < least[place->character] ? least[place->character] : low;
    high = high > 0x10FFFF ? 0x10FFFF : high;
    if (low >= 0xD800 && low <= 0xDFFF)
        low = 0xE000;
    if (high >= 0xD800 && high <= 0xDFFF)
        high = 0xD7FF;
    const struct state s = g->states[place->state];
    for (uint32_t i = 0; low <= high && i < s.count; i++) {
        const uint32_t stack = g->members[s.first + i];
        const struct gbnf_element *e = &g->rules->elements[g->stacks[stack].element];
        if (stack != 0 && ((e->kind == GBNF_CHAR && e->value >= low && e->value <= high) ||
                           (e->kind == GBNF_SET && gbnf_set_meets(g->rules, e->value, low, high))))
            return true;
    }
    return false;
}

/* ---- places ---- */

struct grammar_place grammar_start(const struct grammar *g)
{
    return (struct grammar_place){.state = g->start};
}

bool grammar_bytes(struct grammar *g, struct grammar_place *place, const char *bytes, size_t len)
{
    struct grammar_place now = *place, next;
    g->overflow = NULL;
    for (size_t i = 0; i < len; i++) {
        if (!place_step(g, &now, (uint8_t)bytes[i], &next))
            return false;
        now = next;
    }
    if (!place_fits(g, &now))
        return false;
    *place = now;
    return true;
}

bool grammar_token(struct grammar *g, struct grammar_place *place, llama_token token, const char *bytes,
                   size_t len)
{
    struct grammar_place spelled = *place;
    const struct state s = g->states[place->state];
    uint32_t *reached = g->reached;
    size_t n = 0;
    g->overflow = NULL;
    const bool fits = bytes && grammar_bytes(g, &spelled, bytes, len);
    for (uint32_t i = 0; !g->overflow && place->missing == 0 && i < s.count; i++) {
        const uint32_t stack = g->members[s.first + i];
        if (token_matches(g, stack, token) && !state_after(g, stack, &reached[n++]))
            return false;
    }
    if (g->overflow || (n == 0 && !fits))
        return false;
    if (n == 0) {
        *place = spelled;
        return true;
    }
    if (fits && spelled.missing == 0)
        reached[n++] = spelled.state;
    *place = (struct grammar_place){.state = reached[0]};
    return n == 1 || state_join(g, reached, n, &place->state);
}

bool grammar_may_end(const struct grammar *g, const struct grammar_place *place)
{
    const struct state *s = &g->states[place->state];
    return place->missing == 0 && s->count > 0 && g->members[s->first] == 0;
}

bool grammar_must_end(const struct grammar *g, const struct grammar_place *place)
{
    return grammar_may_end(g, place) && g->states[place->state].count == 1;
}

const char *grammar_overflow(const struct grammar *g)
{
    return g->overflow;
}

/* ---- life ---- */

struct grammar *grammar_new(struct gbnf *rules, const struct pieces *pieces)
{
    struct grammar *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->rules = rules;
    g->pieces = pieces;
    g->mask_words = ((size_t)(pieces ? pieces->m->vocabulary : 0) + 63) / 64;
    g->walk = calloc((pieces ? pieces->longest : 0) + 1, sizeof *g->walk);
    if (g->walk && grow(g, (void **)&g->stacks, &g->stack_cap, 1, sizeof *g->stacks)) {
        g->stacks[0] = (struct stack){0};
        g->stack_count = 1;
        if (state_start(g))
            return g;
    }
    g->rules = NULL;
    grammar_free(g);
    return NULL;
}

void grammar_free(struct grammar *g)
{
    if (!g)
        return;
    gbnf_free(g->rules);
    free(g->stacks);
    free(g->states);
    free(g->members);
    free(g->stack_table.slots);
    free(g->state_table.slots);
    free(g->work);
    free(g->list);
    for (size_t i = 0; i < g->mask_slots; i++)
        free(g->masks[i].bits);
    free(g->masks);
    free(g->walk);
    free(g);
}
