/* Pace: which prompts are read, and how much of them in one step.
 *
 * While answers are written, a step's share of prompts is so large that the step takes about GAP_SECONDS, by
 * what a token cost in the last steps of that kind: a long prompt makes the others slower, not silent. What a
 * token costs grows with the context before it, and with the machine's other work; so a slower step counts at
 * once, a faster one by half. Nothing measured yet: the smallest share.
 *
 * Of the prompts, the one with the least left to read comes first, which gives the earliest mean time to a
 * first token: a short one need not wait for a long one. But what waits grows older: the time that it has
 * waited already is taken off the time that it has left, so that a prompt is held up by shorter ones for
 * about as long as reading it takes, and not for ever. Priority goes before all of that, and is aged as the
 * queue's is. A prompt that others follow is as urgent as the most urgent of them. */
#include "engine/scheduler_internal.h"

#include "base/clock.h"

#define GAP_SECONDS         0.1
#define TOKEN_SECONDS_GUESS 0.01 /* only to weigh waiting against length while nothing was measured */

enum { CHUNK_SMALLEST = 16 };

/* ---- order ---- */

static double left_to_read(const struct scheduler *s, const struct slot *slot, int32_t tokens, uint64_t now)
{
    const double cost = s->token_seconds > 0 ? s->token_seconds : TOKEN_SECONDS_GUESS;
    return tokens * cost - (double)(now - slot->generation->submitted_ns) / 1e9;
}

static struct slot *leader_reading(struct scheduler *s, struct slot *slot)
{
    while (slot->state == SLOT_FOLLOWING)
        slot = &s->slots[slot->leader];
    return slot;
}

void pace_prepare(struct scheduler *s)
{
    const uint64_t now = clock_mono_ns();
    for (int32_t i = 0; i < s->model->parallel; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->state != SLOT_PROMPT)
            continue;
        slot->level = generation_level(slot->generation, now);
        slot->left = left_to_read(s, slot, slot->input_count - slot->past, now);
    }
    for (int32_t i = 0; i < s->model->parallel; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->state != SLOT_FOLLOWING)
            continue;
        struct slot *leader = leader_reading(s, slot);
        const int level = generation_level(slot->generation, now);
        const double left = left_to_read(s, slot, slot->until - leader->past, now);
        leader->level = level < leader->level ? level : leader->level;
        leader->left = left < leader->left ? left : leader->left;
    }
}

struct slot *pace_next(struct scheduler *s)
{
    struct slot *first = NULL;
    for (int32_t i = 0; i < s->model->parallel; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->state != SLOT_PROMPT || slot->batch_count > 0)
            continue;
        if (!first || slot->level < first->level || (slot->level == first->level && slot->left < first->left))
            first = slot;
    }
    return first;
}

struct slot *pace_victim(struct scheduler *s)
{
    const uint64_t now = clock_mono_ns();
    struct slot *victim = NULL;
    int worst = 0;
    for (int32_t i = 0; i < s->model->parallel; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->state == SLOT_IDLE)
            continue;
        const int level = generation_level(slot->generation, now);
        if (!victim || level > worst || (level == worst && slot->order > victim->order)) {
            victim = slot;
            worst = level;
        }
    }
    return victim;
}

/* ---- share ---- */

int32_t pace_share(const struct scheduler *s, int32_t rows)
{
    const int32_t room = s->model->batch - rows;
    if (rows == 0 || room <= CHUNK_SMALLEST)
        return room;
    if (!(s->token_seconds > 0))
        return CHUNK_SMALLEST;
    const double tokens = GAP_SECONDS / s->token_seconds - rows;
    if (tokens >= room)
        return room;
    return tokens < CHUNK_SMALLEST ? CHUNK_SMALLEST : (int32_t)tokens;
}

void pace_measured(struct scheduler *s, int32_t tokens, double seconds)
{
    const double now = seconds / tokens, before = s->token_seconds;
    s->token_seconds = before > 0 && now < before ? (before + now) / 2 : now;
}
