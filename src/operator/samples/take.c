/* Take: a look is complete. Each process's reading is compared with the one before it, of the same process;
 * one that began since the last look is compared with nothing, since its counters began at 0 with it. Of
 * what was first seen now, and of what did not answer, nothing is known. */
#include "operator/samples/samples_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"

#define GAUGE    OPERATOR_SERIES_KIND_GAUGE
#define RATE     OPERATOR_SERIES_KIND_RATE
#define QUANTILE OPERATOR_SERIES_KIND_QUANTILE

/* ---- processor and memory ---- */

static void node_usage(struct samples *s, struct node *n, int64_t at)
{
    struct proc_usage usage;
    const int64_t now = clock_mono_ms();
    n->cpu_percent = -1;
    n->rss = n->pss = -1;
    if (n->pid <= 0 || proc_usage((pid_t)n->pid, &usage) != 0) {
        n->cpu_pid = 0;
        return;
    }
    n->rss = (int64_t)usage.rss_bytes;
    n->pss = usage.has_pss ? (int64_t)usage.pss_bytes : -1;
    if (n->cpu_pid == n->pid && now > n->cpu_at)
        n->cpu_percent = 100.0 * (double)((int64_t)usage.cpu_ms - n->cpu_ms) / (double)(now - n->cpu_at);
    n->cpu_pid = n->pid;
    n->cpu_ms = (int64_t)usage.cpu_ms;
    n->cpu_at = now;
    series_put(s, n->id, "memory", GAUGE, "bytes", at, (double)(n->pss >= 0 ? n->pss : n->rss));
    if (n->cpu_percent >= 0)
        series_put(s, n->id, "cpu", GAUGE, "%", at, n->cpu_percent);
}

/* ---- differences ---- */

struct span {                           /* between two readings of a process */
    const struct reading *now, *before; /* before NULL: since its beginning */
    double seconds;
};

static double grown(double now, double before)
{
    return now > before ? now - before : 0;
}

/* False: there is nothing to compare with. */
static bool node_span(const struct samples *s, const struct node *n, struct span *out)
{
    static const struct reading nothing;
    if (!n->now)
        return false;
    *out = (struct span){.now = n->now, .before = n->before};
    if (n->before && n->now_at > n->before_at) {
        out->seconds = (double)(n->now_at - n->before_at) / 1000;
        return true;
    }
    out->before = &nothing;
    /* Its counters are as old as its process. */
    const double age = n->uptime_s < 0 ? -1 : n->uptime_s + (double)(n->now_at - n->uptime_at) / 1000;
    const double since = s->last_look ? (double)(n->now_at - s->last_look) / 1000 : -1;
    out->seconds = age;
    return age > 0 && since > 0 && age <= since;
}

static void put_rate(struct samples *s, const struct node *n, const char *name, int64_t at, double now,
                     double before, double seconds)
{
    series_put(s, n->id, name, RATE, "1/s", at, grown(now, before) / seconds);
}

static void put_times(struct samples *s, const struct node *n, const char *p50, const char *p95, int64_t at,
                      const struct times *now, const struct times *before)
{
    struct times since;
    double half, most;
    times_since(now, before, &since);
    if (!times_quantile(&since, 0.5, &half) || !times_quantile(&since, 0.95, &most))
        return;
    series_put(s, n->id, p50, QUANTILE, "ms", at, half * 1000);
    series_put(s, n->id, p95, QUANTILE, "ms", at, most * 1000);
}

/* Who waits: in its own queue, and, where Hermes knows, for it to be loaded. */
static void put_queue(struct samples *s, const struct node *n, int64_t at)
{
    const bool own = n->now && n->now->has_queue;
    if (own || n->parked >= 0)
        series_put(s, n->id, "queue_depth", GAUGE, "", at,
                   (own ? n->now->queue_depth : 0) + (n->parked > 0 ? (double)n->parked : 0));
}

static void put_tokens(struct samples *s, const struct node *n, int64_t at, const struct span *span)
{
    const struct reading *r = span->now, *b = span->before;
    put_rate(s, n, "prompt_tokens", at, r->prompt_tokens, b->prompt_tokens, span->seconds);
    put_rate(s, n, "tokens", at, r->completion_tokens, b->completion_tokens, span->seconds);
}

static void node_values(struct samples *s, struct node *n, int64_t at)
{
    struct span span;
    const struct reading *r = n->now;
    put_queue(s, n, at);
    if (!r)
        return;
    if (r->has_in_flight) { /* the question itself is one of them */
        n->in_flight = r->in_flight > 0 ? (int64_t)r->in_flight - 1 : 0;
        series_put(s, n->id, "in_flight", GAUGE, "", at, (double)n->in_flight);
    }
    if (r->has_writer)
        series_put(s, n->id, "writer_queue", GAUGE, "", at, r->writer_queue);
    if (r->has_tension)
        series_put(s, n->id, "tension", GAUGE, "", at, r->tension);
    if (!node_span(s, n, &span))
        return;
    const struct reading *b = span.before;
    put_rate(s, n, "requests", at, r->requests, b->requests, span.seconds);
    put_rate(s, n, "errors", at, r->errors, b->errors, span.seconds);
    put_times(s, n, "latency_p50", "latency_p95", at, &r->latency, &b->latency);
    if (r->has_lag && r->lag_count > b->lag_count)
        series_put(s, n->id, "loop_lag", GAUGE, "ms", at,
                   1000 * grown(r->lag_sum, b->lag_sum) / (r->lag_count - b->lag_count));
    if (n->kind == OPERATOR_NODE_KIND_ENGINE)
        put_tokens(s, n, at, &span);
    if (strcmp(n->id, "switch") != 0)
        return;
    put_tokens(s, n, at, &span);
    put_rate(s, n, "llm_requests", at, r->llm_requests, b->llm_requests, span.seconds);
    put_rate(s, n, "llm_failures", at, r->llm_failures, b->llm_failures, span.seconds);
    put_times(s, n, "first_token_p50", "first_token_p95", at, &r->first_token, &b->first_token);
}

/* ---- calls ---- */

struct edges {
    struct edge *list;
    size_t count, cap;
};

static void edge_put(struct edges *e, const char *from, const char *to, const struct calls *now,
                     const struct calls *before)
{
    if (e->count == e->cap)
        return;
    struct edge *x = &e->list[e->count++];
    memset(x, 0, sizeof *x);
    memcpy(x->from, from, strlen(from) + 1);
    memcpy(x->to, to, strlen(to) + 1);
    x->ok = grown(now->ok, before ? before->ok : 0);
    x->failed = grown(now->failed, before ? before->failed : 0);
    x->cancelled = grown(now->cancelled, before ? before->cancelled : 0);
    times_since(&now->times, before ? &before->times : NULL, &x->times);
}

static void node_calls(struct samples *s, const struct node *n, struct edges *e)
{
    struct span span;
    /* An engine's are counted by who calls it. */
    if (n->kind == OPERATOR_NODE_KIND_ENGINE || !node_span(s, n, &span))
        return;
    const struct reading *r = span.now, *b = span.before;
    for (size_t i = 0; i < r->to_count; i++)
        edge_put(e, n->id, r->to[i].peer, &r->to[i], calls_find(b->to, b->to_count, r->to[i].peer));
    for (size_t i = 0; i < r->from_count; i++)
        edge_put(e, r->from[i].peer, n->id, &r->from[i], calls_find(b->from, b->from_count, r->from[i].peer));
}

static void take_calls(struct samples *s)
{
    struct edges e = {0};
    for (size_t i = 0; i < s->node_count; i++)
        if (s->nodes[i].now)
            e.cap += s->nodes[i].now->to_count + s->nodes[i].now->from_count;
    e.list = calloc(e.cap + 1, sizeof *e.list);
    if (!e.list) {
        log_error("samples", "the calls of a look are lost: out of memory");
        return;
    }
    for (size_t i = 0; i < s->node_count; i++)
        node_calls(s, &s->nodes[i], &e);
    calls_push(&s->calls, s->last_look, s->look_at, e.list, e.count);
}

/* ---- a look ---- */

void take_look(struct samples *s)
{
    const int64_t at = clock_wall_ms();
    for (size_t i = 0; i < s->node_count; i++) {
        struct node *n = &s->nodes[i];
        node_usage(s, n, at);
        node_values(s, n, at);
    }
    if (s->last_look > 0) {
        take_calls(s);
        s->measured_at = at;
        s->measured_mono = s->look_at;
    }
    /* The next look compares with this one. A process that did not answer keeps its older reading: its
     * counters say at the next answer what came meanwhile. */
    for (size_t i = 0; i < s->node_count; i++) {
        struct node *n = &s->nodes[i];
        if (!n->now)
            continue;
        free(n->before);
        n->before = n->now;
        n->before_at = n->now_at;
        n->now = NULL;
    }
    s->last_look = s->look_at;
}
