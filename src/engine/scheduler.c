/* The scheduler's thread's loop, and the way of generations to it and of events back. Who is served next is
 * in queue.c, what a slot is in slot.c, what a step does in step.c, how much of it prompts may have in
 * pace.c. */
#include "engine/scheduler_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/aside.h"
#include "engine/resume.h"

struct scheduler *scheduler_create(const struct scheduler_options *o)
{
    struct scheduler *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->options = *o;
    s->inbox_end = &s->inbox;
    s->outbox_end = &s->outbox;
    s->fresh_end = &s->fresh;
    s->waiting_end = &s->waiting;
    s->stats.speculation_gain = -1;
    s->stats.generation_seconds = s->stats.prompt_rate = s->stats.decode_rate = s->stats.last_step_tokens =
        -1;
    s->stats.queue_limit = o->queue_limit;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    return s;
}

void scheduler_destroy(struct scheduler *s)
{
    if (!s)
        return;
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- the loop thread's side ---- */

int scheduler_submit(struct scheduler *s, struct generation *g)
{
    int rc = 0;
    g->submitted_ns = clock_mono_ns();
    pthread_mutex_lock(&s->lock);
    if (s->stop) {
        rc = VX11_ECLOSED;
    } else if (s->queued >= s->options.queue_limit + (s->stats.slots_total - s->stats.slots_busy)) {
        rc = VX11_EFULL;
    } else {
        g->next = NULL;
        *s->inbox_end = g;
        s->inbox_end = &g->next;
        s->queued++;
        pthread_cond_signal(&s->work);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

void scheduler_dispatch(struct scheduler *s)
{
    pthread_mutex_lock(&s->lock);
    struct event_node *node = s->outbox;
    s->outbox = NULL;
    s->outbox_end = &s->outbox;
    pthread_mutex_unlock(&s->lock);
    while (node) {
        struct event_node *next = node->next;
        struct generation *g = node->generation;
        struct generation_event event = node->event;
        char *text = node->text;
        struct token_logprobs *logprobs = node->logprobs;
        event.text = text ? text : "";
        event.logprobs = logprobs;
        event.usage = event.last ? &g->usage : NULL;
        event.error = event.finish == FINISH_FAILED ? &g->error : NULL;
        const bool embedded = node->embedded;
        g->fn(g, g->ctx, &event); /* may destroy g, and with it an embedded node */
        free(text);
        free(logprobs);
        if (!embedded)
            free(node);
        node = next;
    }
}

void scheduler_stop(struct scheduler *s)
{
    atomic_store(&s->stopping, true);
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
}

/* ---- measurements ---- */

static double rate(uint64_t tokens, double seconds)
{
    return tokens > 0 && seconds > 0 ? (double)tokens / seconds : -1;
}

void scheduler_stats(struct scheduler *s, struct scheduler_stats *out)
{
    const int64_t now = clock_mono_ms() / 1000;
    struct rate_bucket sum = {0};
    pthread_mutex_lock(&s->lock);
    *out = s->stats;
    out->queued = s->queued;
    for (size_t i = 0; i < RATE_SECONDS; i++) {
        const struct rate_bucket *b = &s->rates[i];
        if (now - b->second >= RATE_SECONDS)
            continue;
        sum.prompt_tokens += b->prompt_tokens;
        sum.prompt_seconds += b->prompt_seconds;
        sum.decode_tokens += b->decode_tokens;
        sum.decode_seconds += b->decode_seconds;
    }
    pthread_mutex_unlock(&s->lock);
    out->prompt_rate = rate(sum.prompt_tokens, sum.prompt_seconds);
    out->decode_rate = rate(sum.decode_tokens, sum.decode_seconds);
}

int64_t scheduler_retry_ms(struct scheduler *s)
{
    struct scheduler_stats stats;
    scheduler_stats(s, &stats);
    if (stats.generation_seconds < 0 || stats.slots_total == 0)
        return 1000;
    const double seconds = stats.generation_seconds * (double)(stats.queued + 1) / stats.slots_total;
    return seconds < 1 ? 1000 : (int64_t)(seconds * 1000);
}

/* ---- the decode thread's side ---- */

/* Hands the step's events over and refreshes what status shows. */
static void publish(struct scheduler *s)
{
    const unsigned busy = slots_live(s);
    struct cache_stats cached;
    cache_stats(s->cache, &cached);
    pthread_mutex_lock(&s->lock);
    s->stats.slots_busy = busy;
    s->stats.slots_total = (unsigned)s->model->parallel;
    s->stats.cells_used = cached.cells_used;
    s->stats.cells_total = cached.cells_total;
    s->stats.cells_evictable = cached.cells_evictable;
    s->stats.branches = cached.branches;
    s->stats.nodes = cached.nodes;
    s->stats.prefix_hits = cached.hits;
    s->stats.prefix_misses = cached.misses;
    s->stats.evicted_tokens = cached.evicted_tokens;
    s->stats.evicted_branches = cached.evicted_branches;
    aside_count(s->aside, &s->stats.aside_branches, &s->stats.aside_bytes);
    const bool any = s->fresh != NULL;
    if (any) {
        *s->outbox_end = s->fresh;
        s->outbox_end = s->fresh_end;
        s->fresh = NULL;
        s->fresh_end = &s->fresh;
    }
    pthread_mutex_unlock(&s->lock);
    if (any && s->options.wake)
        s->options.wake(s->options.ctx);
}

void scheduler_save(struct scheduler *s, const struct scheduler_saving *o)
{
    s->saving = *o;
}

/* Waits for work, with the lock; the time is used to write what is not on disk yet. */
static void wait_for_work(struct scheduler *s)
{
    const uint64_t due = resume_due(s);
    const struct timespec until = {.tv_sec = (time_t)(due / 1000000000), .tv_nsec = (long)(due % 1000000000)};
    if (due == 0) {
        pthread_cond_wait(&s->work, &s->lock);
    } else if (pthread_cond_clockwait(&s->work, &s->lock, CLOCK_MONOTONIC, &until) == ETIMEDOUT) {
        pthread_mutex_unlock(&s->lock);
        resume_write(s, UINT64_MAX, true);
        pthread_mutex_lock(&s->lock);
    }
}

/* Waits until there is something to do, then takes what came. False: stop. */
static bool take(struct scheduler *s)
{
    const bool idle = !s->waiting && !s->parked && slots_live(s) == 0;
    s->worked_ns = clock_mono_ns();
    pthread_mutex_lock(&s->lock);
    while (idle && !s->stop && !s->inbox)
        wait_for_work(s);
    struct generation *came = s->inbox;
    s->inbox = NULL;
    s->inbox_end = &s->inbox;
    const bool go_on = !s->stop;
    pthread_mutex_unlock(&s->lock);
    queue_take(s, came);
    return go_on;
}

/* Cells for the next tokens of each answer: enough for a while, and little of a small pool. */
static int32_t reserve_of(const struct model *m)
{
    enum { LEAST = 16, MOST = 256 };
    const int32_t share = m->cells / (2 * m->parallel);
    return share < LEAST ? LEAST : share > MOST ? MOST : share;
}

int scheduler_run(struct scheduler *s, struct model *m)
{
    s->model = m;
    s->reserve = reserve_of(m);
    s->batch = llama_batch_init(m->batch, 0, 1);
    int rc = s->batch.token ? slots_create(s) : VX11_ENOMEM;
    if (rc == 0) {
        s->aside = aside_create(m);
        llama_set_abort_callback(m->context, step_abort, s);
        publish(s);
        while (take(s)) {
            queue_reap(s, false);
            queue_admit(s);
            if (s->options.turn)
                turn_take(s->options.turn, TURN_DECODE);
            step_run(s);
            if (s->options.turn)
                turn_give(s->options.turn, TURN_DECODE);
            publish(s);
        }
        queue_reap(s, true);
        publish(s);
        resume_write(s, clock_mono_ns() + (uint64_t)s->saving.end_ms * 1000000, false);
        cache_clear(s->cache);
        publish(s);
        llama_set_abort_callback(m->context, NULL, NULL);
    }
    aside_destroy(s->aside);
    s->aside = NULL;
    slots_destroy(s);
    llama_batch_free(s->batch);
    return rc;
}
