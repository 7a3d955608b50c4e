/* Leases: between handing an engine out and the request's arrival there nothing shows that it is in use. So
 * each hand-out is noted, and struck off when the worker says that it has taken one more request; one that
 * never comes is forgotten after lease_ms. A worker's status is one moment of its own: when its count has
 * risen, what it says of its load includes those requests. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hermes/pool/pool.h"

#define LEASE_MS      5000 /* unless configured */
#define POLL_FIRST_MS 20   /* after a hand-out, growing */
#define POLL_MOST_MS  250
#define HEALTH_MS     5000 /* unless configured */

struct lease {
    struct lease *next;
    int64_t until; /* monotonic */
};

static int64_t lease_ms(const struct engine *e)
{
    return e->all->params.lease_ms > 0 ? e->all->params.lease_ms : LEASE_MS;
}

static void engine_used(struct engine *e, int64_t n)
{
    struct engines *all = e->all;
    e->counted += n;
    e->usage_count += n;
    if (all->on_used)
        all->on_used(all->ctx, e->id, e->name, n, e->last_used_at);
}

void lease_add(struct engine *e)
{
    struct lease *l = calloc(1, sizeof *l);
    const int64_t now = clock_mono_ms();
    if (e->external) /* it does not say what has arrived */
        engine_used(e, 1);
    e->handed++;
    e->handed_mono = now;
    if (e->lease_count == 0)
        e->poll_ms = POLL_FIRST_MS;
    if (!l) { /* then all of them last as long as this one */
        e->held_until = now + lease_ms(e);
        return;
    }
    l->until = now + lease_ms(e);
    *(e->leases ? &e->leases_last->next : &e->leases) = l;
    e->leases_last = l;
    e->lease_count++;
}

static void lease_pop(struct engine *e)
{
    struct lease *l = e->leases;
    e->leases = l->next;
    e->lease_count--;
    free(l);
}

void leases_expire(struct engine *e)
{
    const int64_t now = clock_mono_ms();
    while (e->leases && e->leases->until <= now)
        lease_pop(e);
}

void leases_drop(struct engine *e)
{
    while (e->leases)
        lease_pop(e);
    e->held_until = 0;
    e->handed = e->counted = e->requests_seen = 0;
}

/* ---- what a worker says ---- */

/* One that came after its lease had ended is a use all the same; one that nobody was sent with is not. */
void engine_requests(struct engine *e, int64_t total)
{
    int64_t n = total - e->requests_seen;
    e->requests_seen = total;
    for (int64_t i = 0; i < n && e->leases; i++)
        lease_pop(e);
    if (n > e->handed - e->counted)
        n = e->handed - e->counted;
    if (n > 0)
        engine_used(e, n);
}

/* Memory of processors that have their own. What others take of it is not ours to give. */
static void take_devices(struct engine *e, const struct engine_status *s)
{
    struct engines *all = e->all;
    for (size_t i = 0; i < s->devices_count; i++) {
        const struct engine_device *d = &s->devices[i];
        size_t at = 0;
        if (!d->gpu || !d->has_free_bytes)
            continue;
        while (at < all->device_count && strcmp(all->devices[at].name, d->name) != 0)
            at++;
        if (at == DEVICES_MAX || strlen(d->name) >= sizeof all->devices[at].name)
            continue;
        if (at == all->device_count) {
            memcpy(all->devices[at].name, d->name, strlen(d->name) + 1);
            all->device_count++;
        }
        e->device_bytes[at] = d->used_bytes;
        all->devices[at].capacity = d->free_bytes;
        for (const struct engine *k = all->first; k; k = k->next) {
            if (k->worker && k->state == HERMES_ENGINE_STATE_READY)
                all->devices[at].capacity += k->device_bytes[at];
        }
    }
}

/* What it takes with one full context alone: it takes more where that is free, and does with less. */
static void take_memory(struct engine *e, const struct engine_status *s)
{
    const struct engine_memory *m = s->memory;
    e->stated_bytes = m->need_bytes;
    if (s->state != ENGINE_STATE_READY)
        return;
    e->need_bytes = m->need_bytes;
    if (m->reduced || !s->model)
        return;
    const int64_t cells = s->has_cells_total ? s->cells_total : 0, context = s->model->context_length;
    int64_t spare = 0;
    if (cells > context && cells > 0 && context > 0) {
        spare = (int64_t)((double)m->kv_bytes * (double)(cells - context) / (double)cells);
        const int64_t step = 2 * e->all->params.batch * (cells - context); /* as capacity.c estimates */
        spare += step < m->compute_bytes / 2 ? step : m->compute_bytes / 2;
    }
    e->full_bytes = m->need_bytes - spare;
}

void engine_measured(struct engine *e, const struct engine_status *s)
{
    e->busy = s->slots_busy + s->queue_length + s->embedding_queue_length;
    e->busy_at_mono = clock_mono_ms();
    if (e->busy > 0)
        e->last_used_mono = e->busy_at_mono;
    engine_requests(e, s->requests);
    leases_expire(e);
    if (e->lease_count > 0)
        e->poll_ms = e->poll_ms * 3 / 2 < POLL_MOST_MS ? e->poll_ms * 3 / 2 : POLL_MOST_MS;
    if (s->memory)
        take_memory(e, s);
    if (s->memory && s->has_rss_bytes && s->rss_bytes - s->memory->need_bytes > e->process_bytes)
        e->process_bytes = s->rss_bytes - s->memory->need_bytes;
    if (s->state == ENGINE_STATE_READY)
        take_devices(e, s);
}

/* ---- how long it stays ---- */

int64_t engine_expires(const struct engine *e)
{
    int64_t keep = e->all->params.idle_unload_ms > 0 ? e->all->params.idle_unload_ms : -1;
    if (e->has_keep_alive)
        keep = e->keep_alive_ms;
    if (e->pinned || keep < 0 || e->busy > 0 || e->lease_count > 0 || e->waits)
        return INT64_MAX;
    return e->last_used_mono + keep;
}

int64_t engine_poll_ms(const struct engine *e)
{
    const int64_t now = clock_mono_ms(), due = engine_expires(e);
    int64_t ms = e->all->params.health_interval_ms > 0 ? e->all->params.health_interval_ms : HEALTH_MS;
    const bool leaves = e->has_keep_alive && e->keep_alive_ms >= 0 && e->keep_alive_ms < POLL_MOST_MS;
    if ((e->lease_count > 0 || e->batch > 0) && e->poll_ms < ms)
        ms = e->poll_ms;
    else if (leaves && POLL_MOST_MS / 5 < ms)
        ms = POLL_MOST_MS / 5;
    if (due != INT64_MAX && due - now < ms)
        ms = due > now ? due - now : 1;
    return ms;
}
