/* Provider metrics: what /metrics says of each provider and model.
 *
 * The number of series is bounded: the first models have labels of their own, the rest of a provider's go
 * together as model="other". */
#ifndef VX11_SWITCH_PROVIDER_METRICS_H
#define VX11_SWITCH_PROVIDER_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "net/metrics.h"

struct provider_metrics;
struct account;

/* What there is to say of one request. */
struct provider_sample {
    const char *provider, *model;
    const char *outcome;                                     /* name of a switch_outcome */
    int64_t prompt_tokens, completion_tokens, cached_tokens; /* -1: not known */
    int64_t cost_micro;                                      /* -1: not known */
    int retries;
    bool from_cache;
    double first_token_s; /* from the request's arrival; negative: none */
    double queue_s;       /* from the request's arrival until who answered was asked; negative: not known */
    double answer_s;      /* from the first token to the end, or of the whole answer; negative: not known */
};

struct provider_metrics *provider_metrics_create(struct metrics *m); /* NULL without memory */
void provider_metrics_destroy(struct provider_metrics *p);
/* At the end of a request that somebody was asked for. NULL as p is fine. */
void provider_metrics_observe(struct provider_metrics *p, const struct provider_sample *s);
/* At the end of an attempt that failed; class: its error code. */
void provider_metrics_failed(struct provider_metrics *p, const char *provider, const char *model,
                             const char *class);
/* Gauges, before each rendering. breaker: 0 closed, 1 half open, 2 open. */
void provider_metrics_state(struct provider_metrics *p, const char *provider, int64_t in_flight, int breaker);

#endif
