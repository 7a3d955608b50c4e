/* Inside of grammar.c (stacks, states, places) and grammar_cache.c (the tokens that fit; grammars kept). */
#ifndef VX11_ENGINE_GRAMMAR_INTERNAL_H
#define VX11_ENGINE_GRAMMAR_INTERNAL_H

#include "engine/grammar.h"
#include "engine/pieces.h"

enum {
    STACKS_MOST = 1 << 20,  /* of one grammar */
    MEMBERS_MOST = 1 << 22, /* stacks in all of its states together */
    STATE_MOST = 4096,      /* stacks in one state */
    MASK_BYTES_MOST = 4 << 20
};

/* A stack: at `element` of the grammar, and under it `below`, where to go on when that rule has ended. */
struct stack {
    uint32_t element, below; /* stack 0 is the empty one: the grammar may end */
    uint32_t after;          /* state after its element was matched, plus one; 0: not worked out yet */
    uint32_t stamp;          /* of the last closure that met it */
};

struct state {
    uint32_t first,
        count; /* stacks in members, ascending; each but stack 0 has a character or a token on top */
    uint32_t hash;
};

struct mask {
    uint64_t key;
    uint64_t *bits; /* NULL: free */
};

struct table { /* open addressing: a number plus one, 0: free */
    uint32_t *slots;
    size_t size, used;
};

struct work {
    uint32_t element, below;
};

struct grammar {
    struct gbnf *rules;
    const struct pieces *pieces;
    struct grammars *owner;
    uint64_t text_hash;
    unsigned users;
    bool kept; /* by its owner, for the next request */
    uint64_t used_at;

    struct stack *stacks;
    struct state *states;
    uint32_t *members;
    size_t stack_count, stack_cap, state_count, state_cap, member_count, member_cap;
    struct table stack_table, state_table;
    uint32_t stamp, start;
    struct work *work; /* of a closure that is being made */
    uint32_t *list;    /* its result */
    size_t work_count, work_cap, list_count, list_cap;
    const char *overflow;
    uint32_t reached[STATE_MOST + 1]; /* states that a step leads to */

    struct mask *masks;
    size_t mask_slots, mask_count, mask_words;
    uint64_t masks_made;
    struct grammar_place *walk; /* a place for each depth of the tree */
};

/* grammar.c */
struct grammar *grammar_new(struct gbnf *rules,
                            const struct pieces *pieces); /* takes rules over, if it works */
void grammar_free(struct grammar *g);
bool place_step(struct grammar *g, const struct grammar_place *from, uint8_t byte, struct grammar_place *to);
/* Whether a place inside a character can still become one that fits. */
bool place_fits(const struct grammar *g, const struct grammar_place *place);

#endif
