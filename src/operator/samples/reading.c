/* Reading: see the header. Counters of many labels are added up as they come; histograms of many labels too,
 * which their cumulative form allows: the sums are taken apart into steps at the end. */
#include "operator/samples/reading.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "net/exposition.h"

/* ---- histograms ---- */

bool times_quantile(const struct times *t, double q, double *out)
{
    double total = 0, seen = 0;
    for (size_t i = 0; i < t->count; i++)
        total += t->steps[i];
    if (total <= 0)
        return false;
    const double want = q * total;
    for (size_t i = 0; i < t->count; i++) {
        const double in = t->steps[i], low = i ? t->bounds[i - 1] : 0;
        if (in > 0 && seen + in >= want) {
            /* Beyond the last finite bound nothing finer is known. */
            *out = isinf(t->bounds[i]) ? low : low + (t->bounds[i] - low) * (want - seen) / in;
            return true;
        }
        seen += in;
    }
    *out = t->count > 1 ? t->bounds[t->count - 2] : 0;
    return true;
}

/* The place of a bound, kept in order; SIZE_MAX: there is no room. */
static size_t bound_place(struct times *t, double bound)
{
    size_t i = t->count;
    for (size_t k = 0; k < t->count; k++)
        if (t->bounds[k] == bound)
            return k;
    if (t->count == READING_STEPS)
        return SIZE_MAX;
    while (i > 0 && t->bounds[i - 1] > bound) {
        t->bounds[i] = t->bounds[i - 1];
        t->steps[i] = t->steps[i - 1];
        i--;
    }
    t->bounds[i] = bound;
    t->steps[i] = 0;
    t->count++;
    return i;
}

static void times_put(struct times *t, double bound, double n)
{
    const size_t i = bound_place(t, bound);
    if (i != SIZE_MAX)
        t->steps[i] += n;
}

void times_add(struct times *to, const struct times *more)
{
    for (size_t i = 0; i < more->count; i++)
        times_put(to, more->bounds[i], more->steps[i]);
}

void times_since(const struct times *now, const struct times *before, struct times *out)
{
    *out = *now;
    for (size_t i = 0; before && i < before->count; i++)
        times_put(out, before->bounds[i], -before->steps[i]);
    for (size_t i = 0; i < out->count; i++)
        if (out->steps[i] < 0)
            out->steps[i] = 0;
}

/* From "up to this bound" to "between this bound and the one before". */
static void times_apart(struct times *t)
{
    for (size_t i = t->count; i-- > 1;) {
        t->steps[i] -= t->steps[i - 1];
        if (t->steps[i] < 0)
            t->steps[i] = 0;
    }
}

static void bucket(struct times *t, const struct exposition_sample *s)
{
    const char *le = exposition_label(s, "le");
    char *end;
    if (!le)
        return;
    const double bound = strcmp(le, "+Inf") == 0 ? (double)INFINITY : strtod(le, &end);
    if (!isnan(bound))
        times_put(t, bound, s->value);
}

/* ---- calls ---- */

const struct calls *calls_find(const struct calls *list, size_t count, const char *peer)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].peer, peer) == 0)
            return &list[i];
    return NULL;
}

static struct calls *calls_get(struct calls *list, size_t *count, size_t most, const char *peer)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(list[i].peer, peer) == 0)
            return &list[i];
    if (*count == most || !peer[0])
        return NULL;
    struct calls *c = &list[(*count)++];
    snprintf(c->peer, sizeof c->peer, "%s", peer);
    return c;
}

static void calls_count(struct calls *c, const struct exposition_sample *s)
{
    const char *outcome = exposition_label(s, "outcome");
    if (!c || !outcome)
        return;
    if (strcmp(outcome, "ok") == 0)
        c->ok += s->value;
    else if (strcmp(outcome, "failed") == 0)
        c->failed += s->value;
    else if (strcmp(outcome, "cancelled") == 0)
        c->cancelled += s->value;
}

/* ---- one sample ---- */

/* Routes by which others look at a process, this one here among them: a chart of work does not show them. */
static bool is_look(const char *route)
{
    static const char *const looks[] = {"health", "metrics",   "openapi",
                                        "status", "providers", "engines_list"};
    for (size_t i = 0; route && i < COUNT_OF(looks); i++)
        if (strcmp(route, looks[i]) == 0)
            return true;
    return false;
}

static void take_http(struct reading *r, const struct exposition_sample *s, const char *name)
{
    if (is_look(exposition_label(s, "route")))
        return;
    if (strcmp(name, "requests_total") == 0) {
        const char *code = exposition_label(s, "code");
        r->requests += s->value;
        if (code && code[0] == '5')
            r->errors += s->value;
    } else if (strcmp(name, "request_seconds_bucket") == 0) {
        bucket(&r->latency, s);
    } else if (strcmp(name, "requests_in_flight") == 0) {
        r->has_in_flight = true;
        r->in_flight += s->value;
    } else if (strncmp(name, "caller", 6) == 0) {
        const char *caller = exposition_label(s, "caller");
        struct calls *c = caller ? calls_get(r->from, &r->from_count, COUNT_OF(r->from), caller) : NULL;
        if (c && strcmp(name, "callers_total") == 0)
            calls_count(c, s);
        else if (c && strcmp(name, "caller_seconds_bucket") == 0)
            bucket(&c->times, s);
    }
}

static void take_llm(struct reading *r, const struct exposition_sample *s, const char *name)
{
    const char *kind = exposition_label(s, "kind"), *outcome = exposition_label(s, "outcome");
    if (strcmp(name, "requests_total") == 0) {
        r->llm_requests += s->value;
        if (outcome && strcmp(outcome, "failed") == 0)
            r->llm_failures += s->value;
    } else if (strcmp(name, "tokens_total") == 0 && kind) {
        if (strcmp(kind, "prompt") == 0)
            r->prompt_tokens += s->value;
        else if (strcmp(kind, "completion") == 0)
            r->completion_tokens += s->value;
    } else if (strcmp(name, "first_token_seconds_bucket") == 0) {
        bucket(&r->first_token, s);
    }
}

static void take_call(struct reading *r, const struct exposition_sample *s, const char *name)
{
    const char *peer = exposition_label(s, "peer");
    struct calls *c = peer ? calls_get(r->to, &r->to_count, READING_CALLS, peer) : NULL;
    if (c && strcmp(name, "calls_total") == 0)
        calls_count(c, s);
    else if (c)
        bucket(&c->times, s);
}

/* An engine's own counts; of its queue, who waits for a slot. */
static void take_engine(struct reading *r, const struct exposition_sample *s, const char *name)
{
    if (strcmp(name, "prompt_tokens") == 0 || strcmp(name, "embedding_tokens") == 0) {
        r->prompt_tokens += s->value;
    } else if (strcmp(name, "completion_tokens") == 0) {
        r->completion_tokens += s->value;
    } else if (strcmp(name, "queue_length") == 0) {
        r->has_queue = true;
        r->queue_depth += s->value;
    }
}

static int on_sample(void *ctx, const struct exposition_sample *s)
{
    struct reading *r = ctx;
    const char *name = s->name;
    if (strncmp(name, "vx11_", 5) != 0 || isnan(s->value))
        return 0;
    name += 5;
    if (strncmp(name, "http_", 5) == 0) {
        take_http(r, s, name + 5);
    } else if (strncmp(name, "llm_", 4) == 0) {
        take_llm(r, s, name + 4);
    } else if (strcmp(name, "calls_total") == 0 || strcmp(name, "call_seconds_bucket") == 0) {
        take_call(r, s, name);
    } else if (strcmp(name, "loop_lag_seconds_sum") == 0) {
        r->lag_sum = s->value;
    } else if (strcmp(name, "loop_lag_seconds_count") == 0) {
        r->has_lag = true;
        r->lag_count = s->value;
    } else if (strcmp(name, "queue_depth") == 0) {
        r->has_queue = true;
        r->queue_depth += s->value;
    } else if (strcmp(name, "switch_tension") == 0) {
        r->has_tension = true;
        r->tension = s->value;
    } else if (strcmp(name, "writer_queued") == 0) {
        r->has_writer = true;
        r->writer_queue = s->value;
    } else if (strncmp(name, "engine_", 7) == 0) {
        take_engine(r, s, name + 7);
    }
    return 0;
}

int reading_parse(char *text, size_t len, struct reading *out, size_t *line)
{
    memset(out, 0, sizeof *out);
    const int rc = exposition_read(text, len, on_sample, out, line);
    if (rc != 0)
        return rc;
    times_apart(&out->latency);
    times_apart(&out->first_token);
    for (size_t i = 0; i < out->to_count; i++)
        times_apart(&out->to[i].times);
    for (size_t i = 0; i < out->from_count; i++)
        times_apart(&out->from[i].times);
    return 0;
}
