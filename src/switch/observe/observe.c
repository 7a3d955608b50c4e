/* Observe: see the header. Span attributes are those of OpenTelemetry's conventions for generative AI. */
#include "switch/observe/observe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "switch/observe/bodies.h"
#include "switch/observe/provider_metrics.h"

struct observe {
    struct switch_ *sw;
    struct provider_metrics *metrics;
};

static void on_render(void *ctx)
{
    static const int states[] = {[BREAKER_CLOSED] = 0, [BREAKER_HALF_OPEN] = 1, [BREAKER_OPEN] = 2};
    struct observe *o = ctx;
    for (size_t i = 0; i < o->sw->provider_count; i++) {
        const struct provider *p = o->sw->providers[i];
        provider_metrics_state(o->metrics, p->name, p->in_flight,
                               states[breaker_peek(&p->breaker, clock_mono_ms())]);
    }
}

int observe_start(struct switch_ *sw, struct observe **out, struct error *err)
{
    struct observe *o = calloc(1, sizeof *o);
    *out = o;
    if (o) {
        o->sw = sw;
        o->metrics = provider_metrics_create(module_metrics(sw->m));
    }
    if (!o || !o->metrics || metrics_on_render(module_metrics(sw->m), on_render, o) != 0)
        return error_set(err, VX11_ENOMEM, "out of memory");
    return 0;
}

void observe_free(struct observe *o)
{
    if (!o)
        return;
    provider_metrics_destroy(o->metrics);
    free(o);
}

static const char *operation(const struct dispatch *d)
{
    static const char *const names[] = {[DISPATCH_CHAT] = "chat",
                                        [DISPATCH_COMPLETION] = "text_completion",
                                        [DISPATCH_EMBEDDING] = "embeddings"};
    return names[d->wish.kind];
}

void observe_called(struct attempt *a)
{
    struct trace_span *span = a->call ? client_call_span(a->call) : NULL;
    char name[200];
    if (!span)
        return;
    snprintf(name, sizeof name, "%s %.150s", operation(a->d), a->candidate->model);
    trace_span_name(span, name);
    trace_span_text(span, "gen_ai.operation.name", operation(a->d));
    trace_span_text(span, "gen_ai.provider.name", a->provider->name);
    trace_span_text(span, "gen_ai.request.model", a->candidate->model);
    trace_span_int(span, "vx11.attempt", a->d->account.attempts);
    if (a->hedge)
        trace_span_bool(span, "vx11.hedge", true);
}

void observe_chunk(struct attempt *a, const struct switch_upstream *u)
{
    bodies_chunk(a, u);
}

void observe_whole(struct attempt *a, const char *data, size_t len)
{
    bodies_whole(a, data, len);
}

void observe_failed(struct attempt *a, int status, const char *code)
{
    struct trace_span *span = a->call ? client_call_span(a->call) : NULL;
    provider_metrics_failed(a->d->sw->observe->metrics, a->provider->name, a->candidate->model, code);
    trace_span_text(span, "error.type", code);
    if (span)
        trace_span_int(span, "vx11.status", status);
}

static void observe_span(struct dispatch *d)
{
    const struct account *a = &d->account;
    struct trace_span *span = request_span(d->r);
    if (!span)
        return;
    trace_span_text(span, "gen_ai.operation.name", operation(d));
    trace_span_text(span, "gen_ai.request.model", a->requested_model);
    trace_span_text(span, "gen_ai.provider.name", a->provider);
    trace_span_text(span, "gen_ai.response.model", a->outcome == SWITCH_OUTCOME_OK ? a->model : NULL);
    if (a->prompt_tokens >= 0)
        trace_span_int(span, "gen_ai.usage.input_tokens", a->prompt_tokens);
    if (a->completion_tokens >= 0)
        trace_span_int(span, "gen_ai.usage.output_tokens", a->completion_tokens);
    if (a->first_token_ms >= 0)
        trace_span_real(span, "vx11.first_token_ms", a->first_token_ms);
    if (a->cost_micro >= 0)
        trace_span_real(span, "vx11.cost", (double)a->cost_micro / 1e6);
    trace_span_text(span, "vx11.outcome", switch_outcome_names[a->outcome]);
    trace_span_text(span, "vx11.decision", a->reason);
    trace_span_int(span, "vx11.attempts", a->attempts);
    trace_span_bool(span, "vx11.from_cache", a->from_cache);
    if (a->outcome != SWITCH_OUTCOME_OK)
        trace_span_error(span, a->error);
}

void observe_request(struct dispatch *d)
{
    const struct account *a = &d->account;
    const struct attempt *w = d->winner;
    double total = account_elapsed_ms(a), first = a->first_token_ms;
    double own = w ? attempt_elapsed_ms(w) : -1; /* of who answered */
    struct provider_sample sample = {
        .provider = a->provider,
        .model = a->model,
        .outcome = switch_outcome_names[a->outcome],
        .prompt_tokens = a->prompt_tokens,
        .completion_tokens = a->completion_tokens,
        .cached_tokens = a->cached_tokens,
        .cost_micro = a->cost_micro,
        .retries = a->retries,
        .from_cache = a->from_cache,
        .first_token_s = first / 1000,
        .queue_s = w ? (total - own) / 1000 : -1,
        .answer_s = a->outcome != SWITCH_OUTCOME_OK ? -1
                    : first >= 0                    ? (total - first) / 1000
                                                    : own / 1000,
    };
    provider_metrics_observe(d->sw->observe->metrics, &sample);
    observe_span(d);
    bodies_write(d);
}
