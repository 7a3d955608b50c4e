/* Tension: see the header. */
#include "switch/observe/tension.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/link.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "switch/queue/queue.h"
#include "switch/selection/selector.h"
#include "switch/switch_internal.h"

enum { TENSION_MARKS = 61, TENSION_STEP = 3 };
#define MINUTE_MS ((int64_t)60000)

struct mark { /* attempts so far, at one moment */
    int64_t at, attempts, failures;
};

struct tension {
    struct switch_ *sw;
    int64_t next;                     /* monotonic ms */
    struct metric *gauge;             /* made with the first value: before it there is none */
    struct mark marks[TENSION_MARKS]; /* oldest first */
    size_t mark_count;
    int value, told;           /* -1: none yet */
    int64_t value_at, told_at; /* epoch ms, monotonic ms */
    double parts[TENSION_PARTS];
};

/* ---- the formula ---- */

static double within(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* How far x is from `idle` to `full`; what the host does not tell counts nothing. */
static double past(double x, double idle, double full)
{
    return isnan(x) ? 0 : within((x - idle) / (full - idle));
}

static double host_part(const struct fluzo_signals *h)
{
    if (h->at == 0 || (isnan(h->cpu_pct) && isnan(h->memory_pct) && isnan(h->memory_stall_pct)))
        return -1;
    const double cpu = past(h->cpu_pct, 50, 100), memory = past(h->memory_pct, 70, 100),
                 stall = past(h->memory_stall_pct, 0, 20);
    return fmax(cpu, fmax(memory, stall));
}

int tension_of(const struct tension_load *l, double parts[TENSION_PARTS])
{
    static const double weights[TENSION_PARTS] = {[TENSION_ACTIVE] = 0.9,
                                                  [TENSION_QUEUE] = 0.7,
                                                  [TENSION_WAITING] = 0.5,
                                                  [TENSION_ERRORS] = 0.7,
                                                  [TENSION_HOST] = 0.5};
    parts[TENSION_ACTIVE] = l->running >= 0 && l->capacity > 0 ? within(l->running / l->capacity) : -1;
    parts[TENSION_QUEUE] =
        l->queued >= 0 && l->workers >= 0 ? l->queued / (l->queued + fmax(l->workers, 1)) : -1;
    parts[TENSION_WAITING] = l->waiting >= 0 ? l->waiting / (l->waiting + 4) : -1;
    /* One failure of one is no storm: few attempts count less. */
    parts[TENSION_ERRORS] =
        l->attempts > 0 ? within(l->failures / l->attempts) * l->attempts / (l->attempts + 4) : -1;
    parts[TENSION_HOST] = host_part(&l->host);
    double free_ = 1;
    bool known = false;
    for (int i = 0; i < TENSION_PARTS; i++) {
        known |= parts[i] >= 0;
        if (parts[i] > 0)
            free_ *= 1 - weights[i] * parts[i];
    }
    /* Up, so that only nothing is 0; but not for the last bit of a double. */
    return known ? (int)ceil(100 * (1 - free_) - 1e-9) : -1;
}

bool tension_worth(int before, int now, int64_t since_ms)
{
    if (now < 0)
        return false;
    if (before < 0 || (before == 0) != (now == 0) || abs(now - before) >= TENSION_STEP)
        return true;
    return now > 0 && since_ms >= MINUTE_MS;
}

/* ---- measuring ---- */

static double local_capacity(const struct tension *t, const struct provider *p)
{
    int ready = 0;
    for (size_t i = 0; i < p->model_count; i++) {
        const struct local_fact *f = selector_local(t->sw->selector, p->models[i]);
        ready += f && f->ready;
    }
    return (double)(module_config(t->sw->m)->values->engine->parallel * (ready > 0 ? ready : 1));
}

static void measure_attempts(struct tension *t, struct tension_load *l, int64_t now)
{
    struct mark m = {.at = now};
    l->running = 0;
    for (size_t i = 0; i < t->sw->provider_count; i++) {
        const struct provider *p = t->sw->providers[i];
        const bool local = p->kind == SWITCH_PROVIDER_KIND_LOCAL;
        m.attempts += p->requests;
        m.failures += p->failures;
        if (!p->enabled || (p->max_concurrency <= 0 && !local))
            continue;
        l->running += (double)p->in_flight;
        l->capacity += p->max_concurrency > 0 ? (double)p->max_concurrency : local_capacity(t, p);
    }
    const struct mark *oldest = t->mark_count ? &t->marks[0] : NULL;
    /* A provider that was dropped took its counts along. */
    if (oldest && (m.attempts < oldest->attempts || m.failures < oldest->failures)) {
        t->mark_count = 0;
        oldest = NULL;
    }
    l->attempts = oldest ? (double)(m.attempts - oldest->attempts) : -1;
    l->failures = oldest ? (double)(m.failures - oldest->failures) : -1;
    size_t gone = 0; /* the oldest that is kept is a minute old at the next look, or the only one */
    while (gone + 1 < t->mark_count && now - t->marks[gone + 1].at >= MINUTE_MS)
        gone++;
    if (t->mark_count - gone == TENSION_MARKS)
        gone++;
    memmove(t->marks, t->marks + gone, (t->mark_count - gone) * sizeof m);
    t->mark_count -= gone;
    t->marks[t->mark_count++] = m;
}

static void measure(struct tension *t, struct tension_load *l, int64_t now)
{
    struct switch_ *sw = t->sw;
    *l = (struct tension_load){.queued = (double)selector_queue_size(sw->selector),
                               .workers = queue_workers(sw->queue),
                               .host = selector_fluzo(sw->selector)->now};
    measure_attempts(t, l, now);
    for (const struct dispatch *d = sw->dispatches; d; d = d->next)
        for (size_t i = 0; i < DISPATCH_LIVE; i++)
            l->waiting += d->live[i] && (d->live[i]->acquiring || d->live[i]->engine_again_at);
}

/* ---- telling ---- */

static void parts_message(const struct tension *t, struct switch_tension_parts *out)
{
    const double *p = t->parts;
    *out = (struct switch_tension_parts){
        .has_active = p[TENSION_ACTIVE] >= 0,
        .active = p[TENSION_ACTIVE],
        .has_queue = p[TENSION_QUEUE] >= 0,
        .queue = p[TENSION_QUEUE],
        .has_waiting = p[TENSION_WAITING] >= 0,
        .waiting = p[TENSION_WAITING],
        .has_errors = p[TENSION_ERRORS] >= 0,
        .errors = p[TENSION_ERRORS],
        .has_host = p[TENSION_HOST] >= 0,
        .host = p[TENSION_HOST],
    };
}

static void tell(struct tension *t)
{
    struct switch_tension_parts parts;
    struct buf text = BUF_INIT, payload = BUF_INIT;
    struct contract_error bad;
    struct link_tension_updated e = {.timestamp = t->value_at, .value = t->value};
    struct arena *a = arena_create(0);
    parts_message(t, &parts);
    int rc = a ? switch_tension_parts_serialize(&parts, &text) : VX11_ENOMEM;
    if (rc == 0)
        rc = contract_json_parse(a, text.data, text.len, NULL, &e.components, &bad);
    if (rc == 0)
        rc = link_tension_updated_serialize(&e, &payload);
    if (rc == 0)
        module_event(t->sw->m, "switch.tension.updated", payload.data);
    else
        log_error("tension", "an event could not be written", LOG_S("reason", error_describe(rc)));
    buf_free(&text);
    buf_free(&payload);
    arena_destroy(a);
}

void tension_tick(struct tension *t, int64_t now)
{
    struct tension_load load;
    if (!t || now < t->next)
        return;
    t->next = now + module_config(t->sw->m)->values->switch_->tension_interval_ms;
    measure(t, &load, now);
    const int value = tension_of(&load, t->parts);
    if (value < 0)
        return;
    t->value = value;
    t->value_at = clock_wall_ms();
    if (!t->gauge)
        t->gauge = metrics_get(module_metrics(t->sw->m), METRIC_GAUGE, "vx11_switch_tension", NULL,
                               "Load of the router, 0 idle, 100 saturated.");
    if (t->gauge)
        metric_set(t->gauge, value);
    if (!tension_worth(t->told, value, now - t->told_at))
        return;
    t->told = value;
    t->told_at = now;
    tell(t);
}

void tension_show(struct request *r, void *module)
{
    const struct tension *t = ((struct switch_ *)module)->tension;
    struct switch_tension_parts parts;
    parts_message(t, &parts);
    const struct switch_tension_reply reply = {.status = SWITCH_TENSION_REPLY_STATUS_OK,
                                               .has_value = t->value >= 0,
                                               .value = t->value,
                                               .has_measured_at = t->value >= 0,
                                               .measured_at = t->value_at,
                                               .components = &parts};
    request_reply(r, 200, &switch_tension_reply_message, &reply);
}

/* ---- life ---- */

int tension_start(struct switch_ *sw, struct tension **out, struct error *err)
{
    struct tension *t = calloc(1, sizeof *t);
    *out = t;
    if (!t)
        return error_set(err, VX11_ENOMEM, "out of memory");
    t->sw = sw;
    t->value = t->told = -1;
    for (int i = 0; i < TENSION_PARTS; i++)
        t->parts[i] = -1;
    t->marks[t->mark_count++] = (struct mark){.at = clock_mono_ms()}; /* counters begin at 0 with us */
    /* The host is looked at first. */
    t->next = clock_mono_ms() + module_config(sw->m)->values->switch_->tension_interval_ms;
    return 0;
}

void tension_free(struct tension *t)
{
    free(t);
}
