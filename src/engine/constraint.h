/* Constraint: an answer on its way through a grammar. It waits for its trigger, follows the tokens that are
 * drawn, and says which may be. */
#ifndef VX11_ENGINE_CONSTRAINT_H
#define VX11_ENGINE_CONSTRAINT_H

#include <stdbool.h>

#include "engine/sampler.h"

struct constraint;

/* Only when s->gbnf. The tokens and texts of s are copied. VX11_ESYNTAX, VX11_EINVALID (the answer's
 * beginning does not fit), VX11_ENOMEM. */
int constraint_create(const struct model *m, const struct sampling_grammar *s, struct constraint **out,
                      struct error *err);
struct constraint *constraint_clone(const struct constraint *c); /* NULL without memory */
void constraint_destroy(struct constraint *c);                   /* NULL is fine */

/* Everything fits as long as it waits. */
bool constraint_waits(const struct constraint *c);
bool constraint_allows(struct constraint *c, llama_token token);
/* Bits of the tokens that fit, valid until the next call; NULL: see *err. Not while it waits. */
const uint64_t *constraint_tokens(struct constraint *c, struct error *err);
/* A token was drawn. VX11_EINVALID: it does not fit. */
int constraint_accept(struct constraint *c, llama_token token, struct error *err);
bool constraint_finished(const struct constraint *c); /* nothing but an end fits */

#endif
