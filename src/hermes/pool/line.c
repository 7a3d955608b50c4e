/* The line: models that wait for room, in the order in which somebody first asked for them.
 *
 * While one of them waits for engines that are in use, those go on taking requests until it has waited for
 * swap_after_ms. Then their gates close: who asks for them from now on stands in the line too, behind it.
 * They run dry, it is loaded, serves all who waited for it, and then it is the next one's turn. So requests
 * that alternate between models are served in runs, and nobody is passed by for longer than a run of each
 * model that stands before. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "hermes/pool/pool.h"

#define LINE_MS       25  /* how often the line is looked at while somebody stands in it */
#define LINE_SLOW_MS  100 /* where the first has stood for long */
#define LINE_SLOW_AGE 5000

void line_enter(struct engine *e)
{
    if (!e->line) {
        e->line = ++e->all->next_line;
        e->line_since = e->waits ? e->waits->since : clock_mono_ms();
        e->block = BLOCK_NONE;
        e->block_text[0] = '\0';
    }
    e->tried = false;
    engines_kick(e->all);
}

/* Without a process and without a place in the line there is nothing left to say, except why it failed. */
void line_leave(struct engine *e)
{
    e->line = 0;
    if (e->worker)
        return;
    if (e->failures > 0)
        e->state = HERMES_ENGINE_STATE_FAILED;
    else
        engine_free(e);
}

struct engine *line_next(const struct engines *all, uint64_t after)
{
    struct engine *first = NULL;
    for (struct engine *e = all->first; e; e = e->next) {
        if (e->line > after && (!first || e->line < first->line))
            first = e;
    }
    return first;
}

/* Those who waited while it was loaded come first, gate or not; and no more at a time than a worker queues.
 */
void line_hand_out(struct engine *e)
{
    const int64_t most = e->all->params.parallel + e->all->params.max_queue;
    while (e->waits && (!e->gated || e->batch > 0) && (e->busy + e->lease_count < most || most < 1))
        engine_answer(e, e->waits);
}

static bool may_close_gates(const struct engine *e)
{
    return clock_mono_ms() - e->line_since >= e->all->params.swap_after_ms;
}

static void evict(struct engine *e, const struct capacity *c)
{
    char reason[256];
    (void)snprintf(reason, sizeof reason, "unloaded to make room for %.128s", e->name);
    e->swaps = true;
    for (size_t i = 0; i < c->plan.count; i++)
        engine_unload(c->of[c->plan.engines[i]], UNLOAD_ROOM, reason);
}

/* What can be done for e now. True: it waits, and so do those behind it: where there is no room for the
 * first, there is none for a later one either, or a stream of small models would keep a large one out for
 * ever. */
static bool serve(struct engine *e)
{
    struct capacity c;
    capacity_plan(e->all, e, true, &c);
    capacity_say(e, &c);
    switch (c.plan.verdict) {
    case PLAN_START:
        capacity_reserve(e, &c);
        engine_start(e);
        return false;
    case PLAN_NEVER:
        engine_refuse(e);
        line_leave(e);
        return false;
    case PLAN_EVICT:
        evict(e, &c);
        return true;
    default:
        for (size_t i = 0; i < c.plan.count && may_close_gates(e); i++)
            c.of[c.plan.engines[i]]->gate = true;
        return true;
    }
}

/* Where e has a place: what it waits for, if it is not the first. True: it waits for room. */
static bool serve_place(struct engine *e, const struct engine *blocked)
{
    if (e->worker) { /* it ends, and starts again when it has */
        e->block = BLOCK_ROOM;
        (void)snprintf(e->block_text, sizeof e->block_text, "%s was just unloaded and is loaded again",
                       e->name);
        return true;
    }
    if (clock_mono_ms() < e->not_before) {
        e->block = BLOCK_BACKOFF;
        (void)snprintf(e->block_text, sizeof e->block_text, "waits after a failure: %.400s", e->reason);
        return false;
    }
    if (blocked) {
        e->block = BLOCK_ROOM;
        (void)snprintf(e->block_text, sizeof e->block_text,
                       "%s is loaded after %s, which was asked for before", e->name, blocked->name);
        return true;
    }
    return serve(e);
}

/* A gate opens again when what it was closed for has left, or can have other room. */
static void move_gates(struct engines *all)
{
    for (struct engine *e = all->first; e; e = e->next) {
        e->gated = e->gate && e->state == HERMES_ENGINE_STATE_READY;
        e->gate = false;
        if (e->gated && e->waits && !e->line) { /* more than a worker queues */
            e->line = ++all->next_line;
            e->line_since = e->waits->since;
        }
    }
}

/* Ready engines whose gate is open owe nobody a place. */
static void open_places(struct engines *all)
{
    for (struct engine *e = all->first; e; e = e->next) {
        if (e->state != HERMES_ENGINE_STATE_READY || !e->worker || e->gated)
            continue;
        e->line = 0;
        line_hand_out(e);
    }
}

void line_serve(struct engines *all)
{
    struct engine *e;
    const struct engine *blocked = NULL;
    uint64_t after = 0;
    while ((e = line_next(all, after)) != NULL) {
        after = e->line;
        if (!e->waits && e->tried) { /* whoever wanted it has left */
            line_leave(e);
            continue;
        }
        e->tried = true;
        if (e->worker && e->state == HERMES_ENGINE_STATE_READY) {
            if (!blocked) { /* nobody before it waits any more */
                e->line = 0;
                e->gated = false;
                line_hand_out(e);
            }
        } else if (serve_place(e, blocked) && !blocked) {
            blocked = e;
        }
    }
    move_gates(all);
    open_places(all);
}

void line_on_timer(uv_timer_t *timer)
{
    struct engines *all = timer->data;
    if (all->closing)
        return;
    line_serve(all);
    const struct engine *first = line_next(all, 0);
    if (first) {
        const bool slow = clock_mono_ms() - first->line_since > LINE_SLOW_AGE;
        uv_timer_start(&all->line_timer, line_on_timer, slow ? LINE_SLOW_MS : LINE_MS, 0);
    }
}
