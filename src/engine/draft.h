/* Draft: guesses at the next tokens of a sequence, which the model then checks many at a time.
 *
 * Two sources. Lookup: the last few tokens are searched for in what the sequence already holds (prompt and
 * answer), and what followed there is the guess; it costs nothing and pays where answers repeat their prompt
 * (code, quotations, JSON). A draft model: a small model with the same vocabulary writes the guess.
 * Whether guessing pays is measured: see draft_measured. */
#ifndef VX11_ENGINE_DRAFT_H
#define VX11_ENGINE_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <llama.h>

#include "base/error.h"
#include "engine/model.h"

enum draft_mode {
    DRAFT_OFF,
    DRAFT_AUTO, /* on while it measures faster */
    DRAFT_ON,   /* always */
};

enum { DRAFT_MOST = 16 }; /* tokens of one guess */

struct drafter; /* one per worker: the draft model, and what was measured. Decode thread */

struct drafter_options {
    enum draft_mode mode;
    const char *model_path; /* draft model; NULL: lookup only */
    int most;               /* tokens of one guess, 1 … DRAFT_MOST; 0: chosen by measurement */
};

/* model: the one whose tokens are guessed. VX11_EINVALID when the draft model's vocabulary is another, and
 * what model_load gives. */
int drafter_create(const struct drafter_options *o, const struct model *model, struct drafter **out,
                   struct error *err);
void drafter_destroy(struct drafter *d); /* NULL is fine */

/* Guesses what follows tokens (n of them, the sampled but not yet decoded one last) in the sequence of slot
 * `slot` (0 … parallel - 1). Returns how many, 0 … most. */
size_t drafter_guess(struct drafter *d, int slot, const llama_token *tokens, size_t n, size_t most,
                     llama_token *out);
/* The slot's sequence is another one now: what was remembered of it goes. */
void drafter_forget(struct drafter *d, int slot);

/* After each step without prompt tokens: sequences in it, tokens guessed and agreed with, how long it took.
 * In DRAFT_AUTO this decides whether and how far the next steps guess. */
void drafter_measured(struct drafter *d, int sequences, int drafted, int accepted, double seconds);
bool drafter_active(const struct drafter *d); /* any thread: whether it guesses now */

#endif
