/* Draft: guesses at the next tokens of a sequence, which the model then checks many at a time.
 *
 * Two sources. Lookup: the last few tokens are searched for in what the sequence already holds (prompt and
 * answer), and what followed there is the guess; it costs nothing and pays where answers repeat their prompt
 * (code, quotations, JSON). A draft model: a small model with the same vocabulary writes the guess.
 *
 * Whether guessing pays is measured, never assumed: what a step costs by the rows in its batch, and how often
 * guesses of each kind came true in each slot, which is learned from every token, guessed in earnest or not.
 * A guess is as long as makes the most tokens of a second by these; with many sequences in a batch that is
 * none. Decode thread only, but for drafter_active. */
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

enum {
    DRAFT_MOST = 16,      /* tokens of one guess */
    DRAFT_STEP_MOST = 32, /* tokens guessed in one step, of all slots: rows of logits beyond one per slot */
};

struct drafter; /* one per worker: the draft model, and what was measured */

struct drafter_options {
    enum draft_mode mode;
    const char *model_path;  /* draft model; NULL: lookup only */
    int most;                /* tokens of one guess, 1 … DRAFT_MOST; 0: chosen by measurement */
    int threads, gpu_layers; /* of the draft model, as in model_options */
};

/* model: the one whose tokens are guessed; it must outlive the drafter. *out is NULL when nothing is to be
 * guessed: the mode is off, or the model cannot drop the end of a sequence. VX11_EINVALID when the draft
 * model's vocabulary is another, VX11_ENOMEM, and what model_load gives. */
int drafter_create(const struct drafter_options *o, const struct model *model, struct drafter **out,
                   struct error *err);
void drafter_destroy(struct drafter *d); /* NULL is fine */

/* Before the guesses of a step: how many sequences are in it, one token of each, and whether prompts are read
 * beside them: then what it will cost is not known. */
void drafter_begin(struct drafter *d, int sequences, bool prompts);
/* Guesses what follows tokens (n of them, the sampled but not yet decoded one last) in the sequence of slot
 * `slot` (0 … parallel - 1). Since the last call for this slot, or drafter_forget, tokens were only added.
 * Returns how many, 0 … most. */
size_t drafter_guess(struct drafter *d, int slot, const llama_token *tokens, size_t n, size_t most,
                     llama_token *out);
/* The slot's sequence is another one now: what was remembered of it goes. */
void drafter_forget(struct drafter *d, int slot);

/* After each step without prompt tokens: sequences in it, tokens guessed and agreed with, how long decoding
 * and sampling took. */
void drafter_measured(struct drafter *d, int sequences, int drafted, int accepted, double seconds);

bool drafter_active(const struct drafter *d); /* any thread; NULL is fine: whether it guesses now */
/* Tokens a second of the last guessing steps against what the same sequences would have made without, as
 * measured; negative: too few to say. NULL is fine. */
double drafter_gain(const struct drafter *d);

#endif
