/* Grammar: which tokens may come next, of an answer that must follow a GBNF.
 *
 *   gbnf ── grammar (states met so far, the tokens that each allows) ──┬─ place (of one answer)
 *   vocabulary ── pieces (a tree of the tokens' bytes)                 └─ place …
 *
 * A state is the set of everything that could come next: stacks of places in the grammar, as of a machine
 * that follows all ways at once. Stacks and states are numbered when they are first met, so that two answers,
 * or two moments of one, that stand at the same place share a number, and with it the set of tokens that fit,
 * which is worked out once. Grammars are kept for the next request that brings the same text.
 *
 * A token fits when the characters that it spells do; half a character fits when it can still become one that
 * does. Tokens that show nothing (control tokens) never fit, but for those that the request wants shown. End
 * tokens fit where the grammar may end. Everything here is the decode thread's. */
#ifndef VX11_ENGINE_GRAMMAR_H
#define VX11_ENGINE_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/gbnf.h"

/* ---- a model's grammars ---- */

struct grammars;

struct grammars *grammars_create(void);      /* NULL without memory */
void grammars_destroy(struct grammars *all); /* NULL is fine; after every grammar was let go */

struct grammar;

/* The grammar of that text: one that is kept, or a new one. VX11_ESYNTAX, VX11_ETOO_LARGE, VX11_ENOMEM. */
int grammar_take(struct grammars *all, const struct model *m, const char *gbnf, struct grammar **out,
                 struct error *err);
struct grammar *grammar_again(struct grammar *g); /* one more user of it */
void grammar_release(struct grammar *g);          /* NULL is fine */

/* ---- a place in it ---- */

struct grammar_place {
    uint32_t state;
    uint32_t partial;           /* bits of a character that is not complete */
    uint8_t missing, character; /* bytes that it still lacks; its length */
};

/* Where every answer begins. */
struct grammar_place grammar_start(const struct grammar *g);
/* Goes on by bytes (may end inside a character). False: they do not fit, or the grammar's bounds were met
 * (see grammar_overflow); the place is then as it was. */
bool grammar_bytes(struct grammar *g, struct grammar_place *place, const char *bytes, size_t len);
/* Goes on by a token: one that the grammar names, else its bytes (NULL: it has none that count). */
bool grammar_token(struct grammar *g, struct grammar_place *place, llama_token token, const char *bytes,
                   size_t len);
bool grammar_may_end(const struct grammar *g, const struct grammar_place *place);
bool grammar_must_end(const struct grammar *g, const struct grammar_place *place);
/* The tokens that fit, a bit each, the end tokens where the grammar may end; valid until the next call on
 * this grammar. NULL when the grammar's bounds were met or memory is short. */
const uint64_t *grammar_tokens(struct grammar *g, const struct grammar_place *place);
/* Text of a token as its characters count for the grammar. False: they do not. */
bool grammar_piece(const struct grammar *g, llama_token token, const char **bytes, size_t *len);
/* Why the last call failed, when it was not the text that did not fit; NULL: it was. */
const char *grammar_overflow(const struct grammar *g);

struct grammar_stats {
    size_t stacks, states, masks, mask_bytes;
    uint64_t masks_made;
};
void grammar_stats(const struct grammar *g, struct grammar_stats *out);

#endif
