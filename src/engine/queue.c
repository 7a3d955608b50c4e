/* The queue of the decode thread: who gets a slot, and when.
 *
 * First by level: the request's priority, which rises with the time that it has waited, so that nobody
 * starves. Within a level those come first that were in a slot already and had to make room, then who came
 * first. The first is never passed over by one that needs less: else a long prompt might wait for ever.
 *
 * A slot is not enough. The cells that the prompt needs beyond what is known of it, and some for the answer,
 * must be free or evictable, beside what the others were promised: what they still have to read, and
 * `reserve` cells for each to go on. That is a guess at answers whose length nobody knows; where it was too
 * low, step.c evicts and preempts. With nothing live, everything fits: a context is never longer than the
 * pool. */
#include "engine/scheduler_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define LEVEL_NS 5000000000ull /* waiting that long is worth a level */

/* ---- the list ---- */

void queue_take(struct scheduler *s, struct generation *list)
{
    if (!list)
        return;
    *s->waiting_end = list;
    while (list->next)
        list = list->next;
    s->waiting_end = &list->next;
    s->admit_due = true;
}

static void queue_shrink(struct scheduler *s)
{
    pthread_mutex_lock(&s->lock);
    s->queued--;
    pthread_mutex_unlock(&s->lock);
}

static void queue_remove(struct scheduler *s, struct generation *g)
{
    for (struct generation **at = &s->waiting; *at; at = &(*at)->next) {
        if (*at != g)
            continue;
        *at = g->next;
        if (!*at)
            s->waiting_end = at;
        queue_shrink(s);
        return;
    }
}

static void parked_remove(struct scheduler *s, struct parked *p)
{
    struct parked **at = &s->parked;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    queue_shrink(s);
}

/* ---- ends ---- */

void generation_drop(struct scheduler *s, struct generation *g, enum finish finish)
{
    struct parked *next;
    for (int32_t i = 0; i < s->model->parallel; i++) {
        if (s->slots[i].generation == g)
            slot_release(s, &s->slots[i]);
    }
    for (struct parked *p = s->parked; p; p = next) {
        next = p->next;
        if (p->slot.generation != g)
            continue;
        parked_remove(s, p);
        parked_free(p);
    }
    queue_remove(s, g);
    s->admit_due = true;
    generation_end(s, g, finish);
}

static bool unwanted(const struct generation *g, bool all)
{
    return all || g->error.code != 0 || atomic_load(&g->cancelled);
}

void queue_reap(struct scheduler *s, bool all)
{
    struct generation *next;
    for (int32_t i = 0; i < s->model->parallel; i++) {
        struct generation *g = s->slots[i].generation;
        if (g && unwanted(g, all))
            generation_drop(s, g, FINISH_CANCELLED);
    }
    for (struct generation *g = s->waiting; g; g = next) {
        next = g->next;
        if (unwanted(g, all))
            generation_drop(s, g, FINISH_CANCELLED);
    }
    for (struct parked *p = s->parked; p;) {
        struct generation *g = p->slot.generation;
        p = p->next;
        if (!unwanted(g, all))
            continue;
        generation_drop(s, g, FINISH_CANCELLED);
        p = s->parked; /* others of it are gone too */
    }
}

/* ---- order ---- */

int generation_level(const struct generation *g, uint64_t now_ns)
{
    const uint64_t waited = now_ns > g->submitted_ns ? (now_ns - g->submitted_ns) / LEVEL_NS : 0;
    return waited >= (uint64_t)g->priority ? 0 : g->priority - (int)waited;
}

/* A further choice waits until the first has read the prompt, and lets others pass meanwhile. */
static bool ready(const struct generation *g)
{
    return g->started == 0 || g->prompt_ready;
}

struct first { /* of those that wait: one of the two */
    struct parked *parked;
    struct generation *generation;
};

static struct first queue_first(const struct scheduler *s)
{
    const uint64_t now = clock_mono_ns();
    struct first best = {0};
    const struct generation *g = NULL;
    int level = 0;
    for (struct parked *p = s->parked; p; p = p->next) {
        const struct generation *other = p->slot.generation;
        const int l = generation_level(other, now);
        if (!g || l < level || (l == level && p->slot.order < best.parked->slot.order)) {
            best.parked = p;
            g = other;
            level = l;
        }
    }
    for (struct generation *other = s->waiting; other; other = other->next) {
        const int l = ready(other) ? generation_level(other, now) : level;
        if (ready(other) && (!g || l < level)) {
            best = (struct first){.generation = other};
            g = other;
            level = l;
        }
    }
    return best;
}

/* ---- cells ---- */

static int32_t reserve(const struct scheduler *s, int64_t left)
{
    return left < s->reserve ? (int32_t)left : s->reserve;
}

/* What the live sequences still need before any other may have it. */
static int64_t promised(const struct scheduler *s)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < s->model->parallel; i++) {
        const struct slot *slot = &s->slots[i];
        if (slot->state == SLOT_IDLE)
            continue;
        const int32_t from = slot->state == SLOT_FOLLOWING ? slot->until : slot->past;
        sum += slot->state == SLOT_RUNNING ? 0 : slot->input_count - from;
        sum += reserve(s, slot->limit - slot->generated);
    }
    return sum;
}

static bool fits(const struct scheduler *s, const llama_token *tokens, int32_t n, int64_t answer)
{
    if (slots_live(s) == 0)
        return true;
    int32_t kept;
    const int32_t known = cache_find(s->cache, tokens, n - 1, &kept);
    const int32_t common = s->model->can_trim ? slots_common(s, tokens, n - 1) : 0;
    const int64_t need = n - (known > common ? known : common) + reserve(s, answer);
    return need + promised(s) <= cache_free(s->cache) + cache_evictable(s->cache) - kept;
}

/* Drops the older half of what follows the part to be kept, until the prompt leaves room for an answer. */
static void prompt_shorten(const struct scheduler *s, struct generation *g)
{
    const size_t most = (size_t)s->model->context_length - 1;
    while (g->prompt_count > most && g->keep < most) {
        const size_t half = (g->prompt_count - g->keep) / 2, least = g->prompt_count - most;
        const size_t drop = half > least ? half : least;
        memmove(g->prompt + g->keep, g->prompt + g->keep + drop,
                (g->prompt_count - g->keep - drop) * sizeof *g->prompt);
        g->prompt_count -= drop;
        g->usage.shifted_tokens += (int64_t)drop;
    }
}

static bool prompt_fits(const struct scheduler *s, struct generation *g)
{
    if (g->shift && g->started == 0)
        prompt_shorten(s, g);
    if (g->prompt_count > 0 && g->prompt_count < (size_t)s->model->context_length)
        return true;
    error_set(&g->error, VX11_ETOO_LARGE, "a prompt of %zu tokens does not fit a context of %d",
              g->prompt_count, (int)s->model->context_length);
    return false;
}

/* ---- admission ---- */

/* VX11_EAGAIN: not now. */
static int admit_parked(struct scheduler *s, struct parked *p)
{
    const struct slot *slot = &p->slot;
    if (!fits(s, slot->input, slot->input_count, slot->limit - slot->generated))
        return VX11_EAGAIN;
    const int rc = slot_resume(s, p);
    if (rc == 0) {
        parked_remove(s, p);
        free(p);
    }
    return rc;
}

static int admit_next(struct scheduler *s, struct generation *g)
{
    if (!prompt_fits(s, g)) {
        generation_drop(s, g, FINISH_FAILED);
        return 0;
    }
    const int32_t n = (int32_t)g->prompt_count;
    if (!fits(s, g->prompt, n, g->max_tokens > 0 ? g->max_tokens : INT64_MAX))
        return VX11_EAGAIN;
    const int rc = slot_begin(s, g);
    if (rc == VX11_EAGAIN)
        return rc;
    if (rc != 0)
        generation_drop(s, g, FINISH_FAILED);
    else if (g->started == g->choices)
        queue_remove(s, g);
    return 0;
}

void queue_admit(struct scheduler *s)
{
    if (!s->waiting && !s->parked)
        return;
    if (slots_live(s) == 0)
        s->admit_due = true;
    while (s->admit_due && slot_idle(s)) {
        const struct first first = queue_first(s);
        int rc = VX11_EAGAIN;
        if (first.parked)
            rc = admit_parked(s, first.parked);
        else if (first.generation)
            rc = admit_next(s, first.generation);
        s->admit_due = rc == 0;
    }
}
