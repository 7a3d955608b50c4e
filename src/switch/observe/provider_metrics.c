/* Provider metrics: see the header. Series are found by provider and model in a short list, in which the last
 * one used stands first: most requests in a row are for the same. */
#include "switch/observe/provider_metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { MODELS_MAX = 128, CLASSES_MAX = 256, PROVIDERS_MAX = 128, LABEL_MAX = 120 };
#define OTHER "other"

struct series { /* of one provider and model */
    char provider[64], model[LABEL_MAX + 1];
    struct metric *outcomes[4], *prompt, *completion, *cached, *cost, *retries, *hits, *first_token, *queued,
        *token_seconds, *rate;
    double rate_mean; /* decayed tokens per second; 0: none yet */
};
struct failures { /* of one provider, model and class */
    char labels[3 * LABEL_MAX];
    struct metric *count;
};
struct gauges { /* of one provider */
    char provider[64];
    struct metric *in_flight, *breaker;
};

struct provider_metrics {
    struct metrics *m;
    struct series *series[MODELS_MAX];
    struct failures *failures[CLASSES_MAX];
    struct gauges *gauges[PROVIDERS_MAX];
    size_t series_count, failure_count, gauge_count;
};

static const char *const outcome_names[] = {"ok", "failed", "cancelled", "refused"};

/* A label's value as the text format wants it, cut. */
static void label(char *out, size_t size, const char *text)
{
    size_t n = 0;
    for (const char *c = text; *c && n + 3 < size && n < LABEL_MAX; c++) {
        if (*c == '"' || *c == '\\')
            out[n++] = '\\';
        out[n++] = (unsigned char)*c < ' ' ? ' ' : *c;
    }
    n = utf8_valid_prefix(out, n);
    out[n] = '\0';
}

struct provider_metrics *provider_metrics_create(struct metrics *m)
{
    struct provider_metrics *p = calloc(1, sizeof *p);
    if (p)
        p->m = m;
    return p;
}

void provider_metrics_destroy(struct provider_metrics *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->series_count; i++)
        free(p->series[i]);
    for (size_t i = 0; i < p->failure_count; i++)
        free(p->failures[i]);
    for (size_t i = 0; i < p->gauge_count; i++)
        free(p->gauges[i]);
    free(p);
}

/* ---- one provider and model ---- */

static struct metric *of(struct provider_metrics *p, const struct series *s, enum metric_kind kind,
                         const char *name, const char *more, const char *help)
{
    char labels[400];
    snprintf(labels, sizeof labels, "provider=\"%s\",model=\"%s\"%s%s", s->provider, s->model,
             more[0] ? "," : "", more);
    return metrics_get(p->m, kind, name, labels, help);
}

static bool series_register(struct provider_metrics *p, struct series *s)
{
    bool ok = true;
    for (size_t i = 0; i < COUNT_OF(outcome_names); i++) {
        char more[40];
        snprintf(more, sizeof more, "outcome=\"%s\"", outcome_names[i]);
        s->outcomes[i] =
            of(p, s, METRIC_COUNTER, "vx11_llm_requests_total", more, "Requests, by how they ended.");
        ok = ok && s->outcomes[i];
    }
    static const char tokens[] = "vx11_llm_tokens_total", about[] = "Tokens, as reported or counted.";
    s->prompt = of(p, s, METRIC_COUNTER, tokens, "kind=\"prompt\"", about);
    s->completion = of(p, s, METRIC_COUNTER, tokens, "kind=\"completion\"", about);
    s->cached = of(p, s, METRIC_COUNTER, tokens, "kind=\"cached\"", about);
    s->cost = of(p, s, METRIC_COUNTER, "vx11_llm_cost_total", "", "Cost, in the currency of the prices.");
    s->retries = of(p, s, METRIC_COUNTER, "vx11_llm_retries_total", "", "Attempts that were repeated.");
    s->hits = of(p, s, METRIC_COUNTER, "vx11_llm_cache_hits_total", "", "Requests answered from the cache.");
    s->first_token =
        of(p, s, METRIC_HISTOGRAM, "vx11_llm_first_token_seconds", "", "From arrival to the first token.");
    s->queued = of(p, s, METRIC_HISTOGRAM, "vx11_llm_queue_seconds", "",
                   "From arrival until who answered was asked.");
    s->token_seconds =
        of(p, s, METRIC_HISTOGRAM, "vx11_llm_output_token_seconds", "", "Time of each token written.");
    s->rate = of(p, s, METRIC_GAUGE, "vx11_llm_tokens_per_second", "",
                 "Tokens written in a second, decayed mean of the answers.");
    return ok && s->prompt && s->completion && s->cached && s->cost && s->retries && s->hits &&
           s->first_token && s->queued && s->token_seconds && s->rate;
}

static struct series *series_find(struct provider_metrics *p, const char *provider, const char *model)
{
    for (size_t i = 0; i < p->series_count; i++) {
        struct series *s = p->series[i];
        if (strcmp(s->model, model) != 0 || strcmp(s->provider, provider) != 0)
            continue;
        memmove(&p->series[1], &p->series[0], i * sizeof *p->series);
        p->series[0] = s;
        return s;
    }
    return NULL;
}

static struct series *series_get(struct provider_metrics *p, const char *provider, const char *model)
{
    char names[2][3 * LABEL_MAX];
    label(names[0], sizeof((struct series *)0)->provider, provider);
    label(names[1], sizeof((struct series *)0)->model, model);
    struct series *s = series_find(p, names[0], names[1]);
    if (s)
        return s;
    /* The last quarter is for the others of each provider. */
    if (p->series_count >= MODELS_MAX * 3 / 4) {
        snprintf(names[1], sizeof names[1], OTHER);
        s = series_find(p, names[0], names[1]);
        if (s || p->series_count == MODELS_MAX)
            return s;
    }
    s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    snprintf(s->provider, sizeof s->provider, "%.63s", names[0]);
    snprintf(s->model, sizeof s->model, "%.120s", names[1]);
    if (!series_register(p, s)) {
        free(s);
        return NULL;
    }
    p->series[p->series_count++] = s;
    return s;
}

static void add(struct metric *m, int64_t n)
{
    if (n > 0)
        metric_add(m, (double)n);
}

void provider_metrics_observe(struct provider_metrics *p, const struct provider_sample *x)
{
    struct series *s = p && x->provider && x->model ? series_get(p, x->provider, x->model) : NULL;
    if (!s)
        return;
    for (size_t i = 0; i < COUNT_OF(outcome_names); i++)
        if (str_eq(outcome_names[i], x->outcome))
            metric_add(s->outcomes[i], 1);
    add(s->retries, x->retries);
    if (x->from_cache) { /* nobody was asked: tokens and times are an earlier request's */
        metric_add(s->hits, 1);
        return;
    }
    add(s->prompt, x->prompt_tokens);
    add(s->completion, x->completion_tokens);
    add(s->cached, x->cached_tokens);
    if (x->cost_micro > 0)
        metric_add(s->cost, (double)x->cost_micro / 1e6);
    if (x->first_token_s >= 0)
        metric_observe(s->first_token, x->first_token_s);
    if (x->queue_s >= 0)
        metric_observe(s->queued, x->queue_s);
    if (x->answer_s > 0 && x->completion_tokens > 1) {
        double rate = (double)x->completion_tokens / x->answer_s;
        metric_observe(s->token_seconds, 1 / rate);
        s->rate_mean = s->rate_mean > 0 ? 0.8 * s->rate_mean + 0.2 * rate : rate;
        metric_set(s->rate, s->rate_mean);
    }
}

/* ---- failures ---- */

static struct metric *failure_get(struct provider_metrics *p, const char *labels)
{
    for (size_t i = 0; i < p->failure_count; i++)
        if (strcmp(p->failures[i]->labels, labels) == 0)
            return p->failures[i]->count;
    if (p->failure_count == CLASSES_MAX)
        return NULL;
    struct failures *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    snprintf(f->labels, sizeof f->labels, "%s", labels);
    f->count = metrics_get(p->m, METRIC_COUNTER, "vx11_llm_errors_total", labels,
                           "Attempts that failed, by the class of what went wrong.");
    if (!f->count) {
        free(f);
        return NULL;
    }
    p->failures[p->failure_count++] = f;
    return f->count;
}

void provider_metrics_failed(struct provider_metrics *p, const char *provider, const char *model,
                             const char *class)
{
    char labels[3 * LABEL_MAX], kind[64];
    struct series *s = p && provider && model ? series_get(p, provider, model) : NULL;
    if (!s)
        return;
    label(kind, sizeof kind, class);
    /* A provider may make up codes: past three quarters they are others. */
    if (p->failure_count >= CLASSES_MAX * 3 / 4)
        snprintf(kind, sizeof kind, OTHER);
    snprintf(labels, sizeof labels, "provider=\"%s\",model=\"%s\",class=\"%s\"", s->provider, s->model, kind);
    struct metric *m = failure_get(p, labels);
    if (m)
        metric_add(m, 1);
}

/* ---- gauges ---- */

void provider_metrics_state(struct provider_metrics *p, const char *provider, int64_t in_flight, int breaker)
{
    char name[64], labels[100];
    struct gauges *g = NULL;
    label(name, sizeof name, provider);
    for (size_t i = 0; i < p->gauge_count && !g; i++)
        if (strcmp(p->gauges[i]->provider, name) == 0)
            g = p->gauges[i];
    if (!g) {
        if (p->gauge_count == PROVIDERS_MAX || !(g = calloc(1, sizeof *g)))
            return;
        memcpy(g->provider, name, sizeof name);
        snprintf(labels, sizeof labels, "provider=\"%s\"", name);
        g->in_flight = metrics_get(p->m, METRIC_GAUGE, "vx11_llm_in_flight", labels, "Attempts that run.");
        g->breaker = metrics_get(p->m, METRIC_GAUGE, "vx11_llm_breaker_state", labels,
                                 "0: closed, 1: half open, 2: open.");
        if (!g->in_flight || !g->breaker) {
            free(g);
            return;
        }
        p->gauges[p->gauge_count++] = g;
    }
    metric_set(g->in_flight, (double)in_flight);
    metric_set(g->breaker, breaker);
}
