/* What is worked out once: the tokens that fit at a place, by a walk through the tree of the vocabulary's
 * bytes, and the grammars of the last requests with all that they have met. */
#include "engine/grammar_internal.h"

#include <stdlib.h>
#include <string.h>

enum { GRAMMARS_KEPT = 8, MASK_SLOTS = 4096 };

/* ---- the tokens that fit ---- */

static uint64_t place_key(const struct grammar_place *p)
{
    return (uint64_t)p->state << 32 | (uint64_t)p->partial << 8 | (uint64_t)p->missing << 4 | p->character;
}

static void masks_drop(struct grammar *g)
{
    for (size_t i = 0; i < g->mask_slots; i++) {
        free(g->masks[i].bits);
        g->masks[i].bits = NULL;
    }
    g->mask_count = 0;
}

static struct mask *mask_slot(struct grammar *g, uint64_t key)
{
    uint64_t h = key * UINT64_C(0x9E3779B97F4A7C15);
    size_t at = (size_t)(h >> 40) & (g->mask_slots - 1);
    while (g->masks[at].bits && g->masks[at].key != key)
        at = (at + 1) & (g->mask_slots - 1);
    return &g->masks[at];
}

static void bit_set(uint64_t *bits, llama_token token)
{
    bits[token / 64] |= UINT64_C(1) << (token % 64);
}

static bool tree_walk(struct grammar *g, uint64_t *bits)
{
    const struct pieces *p = g->pieces;
    for (uint32_t i = 0; i < p->node_count;) {
        const struct piece_node *n = &p->nodes[i];
        if (!place_step(g, &g->walk[n->depth - 1], n->byte, &g->walk[n->depth])) {
            if (g->overflow)
                return false;
            i = n->skip;
            continue;
        }
        if (n->token >= 0 && place_fits(g, &g->walk[n->depth])) {
            for (llama_token t = n->token; t >= 0; t = p->same[t])
                bit_set(bits, t);
        }
        i++;
    }
    return true;
}

static void named_set(const struct grammar *g, const struct grammar_place *place, uint64_t *bits)
{
    const struct state s = g->states[place->state];
    for (uint32_t i = 0; place->missing == 0 && i < s.count; i++) {
        const uint32_t stack = g->members[s.first + i];
        const struct gbnf_element *e = &g->rules->elements[g->stacks[stack].element];
        if (stack == 0)
            continue;
        if (e->kind == GBNF_TOKEN)
            bit_set(bits, (llama_token)e->value);
        for (llama_token t = 0; e->kind == GBNF_TOKEN_NOT && t < g->pieces->m->vocabulary; t++) {
            if ((uint32_t)t != e->value)
                bit_set(bits, t);
        }
    }
    const bool may_end = grammar_may_end(g, place);
    for (size_t i = 0; i < g->pieces->end_count; i++) {
        const llama_token end = g->pieces->ends[i];
        bits[end / 64] &= ~(UINT64_C(1) << (end % 64));
        if (may_end)
            bit_set(bits, end);
    }
}

const uint64_t *grammar_tokens(struct grammar *g, const struct grammar_place *place)
{
    const size_t bytes = g->mask_words * sizeof(uint64_t);
    g->overflow = NULL;
    if (!g->masks) {
        g->masks = calloc(MASK_SLOTS, sizeof *g->masks);
        g->mask_slots = g->masks ? MASK_SLOTS : 0;
    }
    if (!g->masks) {
        g->overflow = "out of memory";
        return NULL;
    }
    const uint64_t key = place_key(place);
    struct mask *m = mask_slot(g, key);
    if (m->bits)
        return m->bits;
    if ((g->mask_count + 1) * bytes > MASK_BYTES_MOST || g->mask_count > MASK_SLOTS / 2) {
        masks_drop(g);
        m = mask_slot(g, key);
    }
    uint64_t *bits = calloc(1, bytes ? bytes : 1);
    if (!bits) {
        g->overflow = "out of memory";
        return NULL;
    }
    g->walk[0] = *place;
    if (!tree_walk(g, bits)) {
        free(bits);
        return NULL;
    }
    named_set(g, place, bits);
    *m = (struct mask){key, bits};
    g->mask_count++;
    g->masks_made++;
    return bits;
}

bool grammar_piece(const struct grammar *g, llama_token token, const char **bytes, size_t *len)
{
    const struct pieces *p = g->pieces;
    *bytes = p->bytes + p->start[token];
    *len = p->start[token + 1] - p->start[token];
    return p->visible[token];
}

void grammar_stats(const struct grammar *g, struct grammar_stats *out)
{
    *out = (struct grammar_stats){g->stack_count, g->state_count, g->mask_count,
                                  g->mask_count * g->mask_words * sizeof(uint64_t), g->masks_made};
}

/* ---- grammars that are kept ---- */

struct grammars {
    struct pieces *pieces; /* made for the first grammar */
    struct grammar *kept[GRAMMARS_KEPT];
    uint64_t uses;
};

struct grammars *grammars_create(void)
{
    return calloc(1, sizeof(struct grammars));
}

static void drop(struct grammars *all, size_t i)
{
    struct grammar *g = all->kept[i];
    all->kept[i] = NULL;
    g->kept = false;
    if (g->users == 0)
        grammar_free(g);
}

void grammars_destroy(struct grammars *all)
{
    if (!all)
        return;
    for (size_t i = 0; i < GRAMMARS_KEPT; i++) {
        if (all->kept[i])
            drop(all, i);
    }
    pieces_destroy(all->pieces);
    free(all);
}

/* One that has met so much that it might soon meet its bounds is not begun again. */
static bool is_worn(const struct grammar *g)
{
    return g->stack_count > STACKS_MOST / 4 || g->state_count > STACKS_MOST / 4 ||
           g->member_count > MEMBERS_MOST / 4;
}

static uint64_t text_hash(const char *text)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return h;
}

static struct grammar *kept_find(struct grammars *all, const char *gbnf, uint64_t hash)
{
    for (size_t i = 0; i < GRAMMARS_KEPT; i++) {
        struct grammar *g = all->kept[i];
        if (!g || g->text_hash != hash || strcmp(g->rules->text, gbnf) != 0)
            continue;
        if (!is_worn(g))
            return g;
        drop(all, i);
    }
    return NULL;
}

static void keep(struct grammars *all, struct grammar *g)
{
    size_t oldest = 0;
    for (size_t i = 0; i < GRAMMARS_KEPT; i++) {
        if (!all->kept[i]) {
            oldest = i;
            break;
        }
        if (all->kept[i]->used_at < all->kept[oldest]->used_at)
            oldest = i;
    }
    if (all->kept[oldest])
        drop(all, oldest);
    all->kept[oldest] = g;
    g->kept = true;
}

static int grammar_make(struct grammars *all, const struct model *m, const char *gbnf, struct grammar **out,
                        struct error *err)
{
    struct gbnf_fault fault;
    struct gbnf *rules = NULL;
    if (!all->pieces)
        all->pieces = pieces_create(m);
    if (!all->pieces)
        return error_set(err, VX11_ENOMEM, "out of memory");
    const int rc = gbnf_compile(gbnf, strlen(gbnf), m, &rules, &fault);
    if (rc != 0)
        return error_set(err, rc, "the grammar, line %zu, column %zu: %s", fault.line, fault.column,
                         fault.text);
    *out = grammar_new(rules, all->pieces);
    if (!*out) {
        gbnf_free(rules);
        return error_set(err, VX11_ENOMEM, "out of memory, or the grammar has too many ways to begin");
    }
    return 0;
}

int grammar_take(struct grammars *all, const struct model *m, const char *gbnf, struct grammar **out,
                 struct error *err)
{
    const uint64_t hash = text_hash(gbnf);
    struct grammar *g = kept_find(all, gbnf, hash);
    if (!g) {
        const int rc = grammar_make(all, m, gbnf, &g, err);
        if (rc != 0)
            return rc;
        g->text_hash = hash;
        keep(all, g);
    }
    g->used_at = ++all->uses;
    *out = grammar_again(g);
    return 0;
}

struct grammar *grammar_again(struct grammar *g)
{
    g->users++;
    return g;
}

void grammar_release(struct grammar *g)
{
    if (g && --g->users == 0 && !g->kept)
        grammar_free(g);
}
