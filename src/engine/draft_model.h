/* Draft model: a small model that writes guesses for a large one with the same vocabulary. It has a context
 * of its own with a sequence for each slot, kept in step with what the slot's sequence holds: what agrees is
 * kept, the rest is dropped, what is missing is read. Decode thread only. */
#ifndef VX11_ENGINE_DRAFT_MODEL_H
#define VX11_ENGINE_DRAFT_MODEL_H

#include "engine/draft.h"

struct draft_model;

/* VX11_EINVALID when the vocabulary is not target's, VX11_EUNSUPPORTED when it cannot drop the end of a
 * sequence, and what model_load gives. */
int draft_model_create(const struct drafter_options *o, const struct model *target, struct draft_model **out,
                       struct error *err);
void draft_model_destroy(struct draft_model *d); /* NULL is fine */

/* One guess: the most likely token after those of the sequence, again and again.
 * Returns how many, 0 … most: fewer when the model's certainty falls below `least`, none while the sequence
 * is longer than what it has read of it (a long prompt is read in pieces, one a call, so that others do not
 * wait). certainty[i]: how likely it held out[i], 0 … 1. */
size_t draft_model_guess(struct draft_model *d, int slot, const llama_token *tokens, size_t n, size_t most,
                         float least, llama_token *out, float *certainty);
void draft_model_forget(struct draft_model *d, int slot);

#endif
