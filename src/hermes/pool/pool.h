/* Pool: which models are loaded, which come next, and who waits for whom. Parts of the engines, on their
 * loop.
 *
 *   line.c    models that wait for room, in order; the gates that close before what is in their way
 *   lease.c   engines that were handed out for requests which have not arrived; use; how long a model stays
 *   known.c   what was learnt of a model the last time it was loaded
 *   plan.c    what to unload (pure)             ../capacity.c   what there is, and what a model needs */
#ifndef VX11_HERMES_POOL_POOL_H
#define VX11_HERMES_POOL_POOL_H

#include "hermes/engines_internal.h"
#include "hermes/pool/plan.h"

/* ---- line.c ---- */

void line_enter(struct engine *e); /* keeps the place that it has */
void line_leave(struct engine *e); /* may free it */
/* Starts, unloads, hands out and refuses what can be now. */
void line_serve(struct engines *all);
struct engine *line_next(const struct engines *all, uint64_t after); /* NULL: nobody */
void line_on_timer(uv_timer_t *timer);
/* Hands a ready engine to those who wait for it, as far as it is theirs. */
void line_hand_out(struct engine *e);

/* ---- lease.c ---- */

void lease_add(struct engine *e);     /* it was handed out for a request */
void leases_expire(struct engine *e); /* those whose request did not come in time */
void leases_drop(struct engine *e);   /* its process is gone */
/* Takes what a worker says of itself: requests that have arrived, and what it holds. */
void engine_measured(struct engine *e, const struct engine_status *s);
/* It has taken so many requests by now. */
void engine_requests(struct engine *e, int64_t total);
/* Monotonic ms when it is unloaded if nobody uses it; INT64_MAX: never. */
int64_t engine_expires(const struct engine *e);
/* When to ask it again. */
int64_t engine_poll_ms(const struct engine *e);

/* ---- known.c ---- */

/* Puts into e what is known of its model, or keeps what e has learnt. */
void known_recall(struct engine *e);
void known_keep(const struct engine *e);
void known_free(struct engines *all);

/* ---- groups.c ---- */

void groups_free(struct engines *all);
int group_of(const struct engines *all, const char *model);   /* 0: none */
const char *group_name(const struct engines *all, int group); /* NULL: none */

/* ---- ../capacity.c ---- */

struct capacity {
    size_t n;
    struct engine *of[PLAN_ENGINES_MAX];
    struct plan_engine engines[PLAN_ENGINES_MAX];
    struct plan_want want;
    struct plan_rules rules;
    struct plan plan;
    bool machine_known; /* how much memory is free */
};

/* Plans for e as things are now. e NULL: what must go so that the bounds are kept. `ask`: engines of which
 * nobody knows whether they are busy are asked, and count as busy until they have answered. */
void capacity_plan(struct engines *all, struct engine *e, bool ask, struct capacity *out);
/* Why not, into e->block and e->block_text. */
void capacity_say(struct engine *e, const struct capacity *c);
/* What a model takes with a full context, whether it is loaded or not. */
int64_t capacity_need(struct engine *e);
/* What one more may take with nothing unloaded. */
void capacity_room(struct engines *all, bool *known, int64_t *usable);
/* What e may take now that it is started: into e->budget_bytes. */
void capacity_reserve(struct engine *e, const struct capacity *c);

#endif
