/* Verification of guesses. A running sequence goes into the batch with the token that was sampled last and
 * those that are guessed to follow it, all with logits. Then token after token is sampled, from the row of the
 * one before, until one differs from the guess: that one stands, for its row saw only what was agreed upon.
 * What was decoded beyond is dropped.
 *
 * So each token is drawn once, by the sequence's own sampler and from the logits that it would have had: an
 * answer with guesses is the one without, whatever the sampler does. */
#include "engine/scheduler_internal.h"

void scheduler_speculate(struct scheduler *s, struct drafter *d)
{
    s->drafter = d;
}
