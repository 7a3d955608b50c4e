/* Verification of guesses. A running sequence goes into the batch with the token that was sampled last and
 * those that are guessed to follow it, all with logits. Then token after token is sampled, from the row of
 * the one before, until one differs from the guess: that one stands, for its row saw only what was agreed
 * upon. What was decoded beyond is dropped (step.c).
 *
 * So each token is drawn once, by the sequence's own sampler and from the logits that it would have had: an
 * answer with guesses is the one without, whatever the sampler does. */
#include "engine/scheduler_internal.h"

void scheduler_speculate(struct scheduler *s, struct drafter *d)
{
    s->drafter = d;
}

/* Tokens that a guess may have: one more than the guess is sampled from its last row. */
static size_t guess_most(const struct scheduler *s, const struct slot *slot, int32_t room)
{
    const int64_t wanted = slot->limit - slot->generated - 1;
    const int32_t context = s->model->context_length - slot->past - 1;
    int64_t most = context < room ? context : room;
    most = wanted < most ? wanted : most;
    return most > 0 ? (size_t)most : 0;
}

void verify_guess(struct scheduler *s)
{
    const int32_t parallel = s->model->parallel;
    bool prompts = false;
    s->running = s->guessed = s->agreed = 0;
    for (int32_t i = 0; i < parallel; i++) {
        s->running += s->slots[i].state == SLOT_RUNNING;
        prompts |= s->slots[i].state == SLOT_PROMPT;
        s->slots[i].guess_count = 0;
    }
    if (!s->drafter || s->running == 0)
        return;
    drafter_begin(s->drafter, s->running, prompts);
    /* Nothing that is kept goes for a guess, and no prompt waits for one. */
    const int32_t cells = cache_free(s->cache) - s->running, rows = s->model->batch - parallel;
    int32_t room = cells < rows ? cells : rows;
    for (int32_t i = 0; i < parallel; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->state != SLOT_RUNNING || slot->past >= s->model->context_length)
            continue;
        slot->tokens[slot->past] = slot->next; /* to be seen; it counts when it is decoded */
        slot->guess_count = (int32_t)drafter_guess(s->drafter, i, slot->tokens, (size_t)slot->past + 1,
                                                   guess_most(s, slot, room), slot->guess);
        room -= slot->guess_count;
    }
}

void verify_count(struct scheduler *s, const struct slot *slot, int32_t drawn)
{
    struct usage *usage = &slot->generation->usage;
    usage->drafted_tokens += slot->guess_count;
    usage->accepted_tokens += drawn - 1;
    s->guessed += slot->guess_count;
    s->agreed += drawn - 1;
}

void verify_measured(struct scheduler *s, bool prompts, double seconds)
{
    if (!s->drafter || s->running == 0)
        return;
    if (!prompts)
        drafter_measured(s->drafter, s->running, s->guessed, s->agreed, seconds);
    pthread_mutex_lock(&s->lock);
    s->stats.drafted_tokens += (uint64_t)s->guessed;
    s->stats.accepted_tokens += (uint64_t)s->agreed;
    s->stats.speculating = drafter_active(s->drafter);
    s->stats.speculation_gain = drafter_gain(s->drafter);
    pthread_mutex_unlock(&s->lock);
}
