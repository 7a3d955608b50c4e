/* Attempt: one try of one candidate.
 *
 *   start ─> adapter.reach ─> call ─> answer.c ─> the dispatch's winner
 *               │               │         └─ fails before its first token ─┐
 *               └───────────────┴────────────> failed ─> dispatch: the next candidate, again, or the caller's
 * error
 *
 * An attempt outlives its dispatch when it is given up while its call still runs: the call is cancelled, and
 * its last callback finds nobody who cares and frees it. */
#include "switch/switch_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "switch/presets.h"
#include "switch/selection/selector.h"
#include "switch/observe/observe.h"

/* An engine may end between being handed out and being asked: another is asked for. One that took the request
 * and ended may have ended because of it, so that is tried once only. */
#define ENGINE_TRIES    5
#define ENGINE_RETRY_MS 50

double attempt_elapsed_ms(const struct attempt *a)
{
    return (double)(clock_mono_ns() - a->began_ns) / 1e6;
}

/* ---- end ---- */

static void breaker_tell(struct provider *p, bool changed)
{
    if (!changed)
        return;
    const char *state = breaker_state_name(breaker_peek(&p->breaker, clock_mono_ms()));
    log_warn("attempt", "breaker changed", LOG_S("provider", p->name), LOG_S("state", state));
    module_alert(p->sw->m, LINK_ALERT_SEVERITY_L3, "the breaker of provider %s is %s", p->name, state);
}

static void attempt_book(struct attempt *a, enum dispatch_verdict verdict)
{
    struct provider *p = a->provider;
    p->in_flight--;
    if (verdict == DISPATCH_SILENT) {
        breaker_abandon(&p->breaker);
    } else if (verdict == DISPATCH_GOOD) {
        breaker_tell(p, breaker_success(&p->breaker));
    } else {
        p->failures++;
        metric_add(p->failures_metric, 1);
        breaker_tell(p, breaker_failure(&p->breaker, clock_mono_ms()));
    }
}

/* What is learned of it: nothing from one that was dropped, or whose request was wrong. */
void attempt_learn(struct attempt *a, enum dispatch_verdict verdict)
{
    if (a->learned)
        return;
    a->learned = true;
    const bool good = verdict == DISPATCH_GOOD && a->upstream_status == 200;
    const bool full = a->upstream_status == 429;
    if (good || full || verdict == DISPATCH_BAD)
        selection_outcome(a->d->sw->selector, &a->d->selection, a->candidate, good, a->first_token_ms,
                          attempt_elapsed_ms(a), a->tokens.completion);
}

static void attempt_free(struct attempt *a)
{
    if (a->adapter->free)
        a->adapter->free(a);
    sse_free(&a->sse);
    buf_free(&a->reply);
    buf_free(&a->held);
    arena_destroy(a->scratch);
    free(a);
}

void attempt_end(struct attempt *a, enum dispatch_verdict verdict)
{
    struct dispatch *d = a->d;
    attempt_learn(a, verdict);
    attempt_book(a, verdict);
    limits_attempt_end(&a->hold);
    a->d = NULL;
    for (size_t i = 0; i < DISPATCH_LIVE; i++)
        if (d->live[i] == a)
            d->live[i] = NULL;
    if (d->winner == a)
        d->winner = NULL;
    if (a->call)
        client_cancel(a->call);
    else if (a->acquiring)
        client_cancel(a->acquiring);
    else
        attempt_free(a);
}

bool attempt_over(struct attempt *a)
{
    if (a->d && !a->d->cancel_reason)
        return false;
    struct dispatch *d = a->d;
    if (!d)
        attempt_free(a);
    else
        dispatch_cancelled(d);
    return true;
}

/* Worth the same candidate's second try: what may have passed in a moment. A first token that was waited for
 * in vain is not: its time is gone. */
static bool failure_passes(const struct attempt *a, enum dispatch_verdict verdict, int status)
{
    return (verdict == DISPATCH_BAD && status != 504) || a->upstream_status == 429 ||
           a->upstream_status == 503;
}

/* A provider that says when to come back is left alone until then, by all requests. */
static void retry_after_heed(const struct attempt *a)
{
    const bool asked = a->upstream_status == 429 || a->upstream_status == 503;
    const int64_t most = module_config(a->provider->sw->m)->values->switch_->rest_most_ms;
    const int64_t rest = a->retry_after_ms < most ? a->retry_after_ms : most;
    if (asked && rest > 0 && a->provider->kind != SWITCH_PROVIDER_KIND_LOCAL)
        a->provider->rest_until = clock_mono_ms() + rest;
}

void attempt_failed(struct attempt *a, enum dispatch_verdict verdict, int status, const char *code,
                    const char *text)
{
    struct dispatch *d = a->d;
    const struct candidate *c = a->candidate;
    char reason[400], name[64]; /* text may live in what ends here */
    snprintf(reason, sizeof reason, "%s", text);
    snprintf(name, sizeof name, "%s", code);
    log_warn("attempt", "a provider failed", LOG_S("provider", a->provider->name), LOG_S("model", c->model),
             LOG_I("status", status), LOG_S("reason", reason));
    const bool retry = failure_passes(a, verdict, status);
    retry_after_heed(a);
    if (a->retry_after_ms >= 0)
        d->retry_after_ms = a->retry_after_ms;
    account_tried(&d->account, c, reason, attempt_elapsed_ms(a));
    story_attempt(a, SWITCH_ATTEMPT_END_FAILED, a->upstream_status, reason);
    observe_failed(a, status, name);
    attempt_end(a, verdict);
    dispatch_attempt_failed(d, c, retry, status, name, reason);
}

/* ---- the call ---- */

/* The caller's body with the provider's name of the model, and with usage asked for in streams (the chunk is
 * dropped again when the caller did not ask for it). The body as it came when nothing changes. */
static int body_openai(struct attempt *a, const char **out, size_t *len, struct error *err)
{
    struct dispatch *d = a->d;
    struct arena *arena = request_arena(d->r);
    const char *model = a->upstream_model ? a->upstream_model : a->candidate->model;
    const struct preset *preset = a->provider->preset;
    bool want_usage = d->stream && !d->include_usage && !preset->no_stream_usage;
    bool ours = d->has_keep_alive && a->adapter->outside; /* a word for our own engines */
    *out = d->body;
    *len = d->body_len;
    if (!want_usage && !ours && !preset_changes(preset) && d->wish.model && strcmp(d->wish.model, model) == 0)
        return 0;
    yyjson_alc alc;
    contract_json_allocator(arena, &alc);
    if (!d->root)
        return error_set(err, VX11_ESYNTAX, "the request could not be read again");
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&alc);
    yyjson_mut_val *copy = doc ? yyjson_val_mut_copy(doc, d->root) : NULL;
    if (!copy)
        return error_set(err, VX11_ENOMEM, "out of memory");
    yyjson_mut_doc_set_root(doc, copy);
    yyjson_mut_obj_put(copy, yyjson_mut_str(doc, "model"), yyjson_mut_str(doc, model));
    if (ours)
        (void)yyjson_mut_obj_remove_key(copy, "keep_alive");
    if (want_usage) {
        yyjson_mut_val *options = yyjson_mut_obj_get(copy, "stream_options");
        if (!yyjson_mut_is_obj(options)) {
            options = yyjson_mut_obj(doc);
            yyjson_mut_obj_put(copy, yyjson_mut_str(doc, "stream_options"), options);
        }
        yyjson_mut_obj_put(options, yyjson_mut_str(doc, "include_usage"), yyjson_mut_bool(doc, true));
    }
    int rc = preset_changes(preset) ? preset_request(preset, doc, copy, err) : 0;
    if (rc != 0)
        return rc;
    *out = yyjson_mut_write_opts(doc, 0, &alc, len, NULL);
    return *out ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
}

static int request_openai(struct attempt *a, const char **path, const char **body, size_t *len,
                          struct error *err)
{
    static const char *const paths[] = {[DISPATCH_CHAT] = "/chat/completions",
                                        [DISPATCH_COMPLETION] = "/completions",
                                        [DISPATCH_EMBEDDING] = "/embeddings"};

    *path = paths[a->d->wish.kind];
    return body_openai(a, body, len, err);
}

void attempt_call(struct attempt *a)
{
    struct dispatch *d = a->d;
    struct client_call_options options;
    const char *path, *body;
    size_t len;
    struct error err = {0};
    module_call_options(d->r, &options);
    if (a->adapter->outside)
        options.header_count = 0; /* who asks is nobody's business there */
    int rc = (a->adapter->request ? a->adapter->request : request_openai)(a, &path, &body, &len, &err);
    if (rc == 0 && a->adapter->headers && (rc = a->adapter->headers(a, &options)) != 0)
        (void)error_set(&err, rc, "the request could not be written: %s", error_describe(rc));
    if (rc == VX11_EUNSUPPORTED) {
        attempt_failed(a, DISPATCH_SILENT, 400, "unsupported_by_provider", err.text);
        return;
    }
    if (rc != 0) {
        attempt_failed(a, DISPATCH_SILENT, 500, "internal", err.text);
        return;
    }
    options.connect_timeout_ms = a->provider->connect_timeout_ms;
    options.idle_timeout_ms = a->provider->idle_timeout_ms;
    /* An answer that is not streamed comes with its last token: it has the request's whole time. */
    a->first_token_until =
        d->stream ? clock_mono_ms() + selection_first_token_ms(&d->selection, a->candidate) : 0;
    sse_init(&a->sse, 0);
    a->called_ns = clock_mono_ns();
    rc = client_start(module_client(d->sw->m), &a->target, "POST", path, "application/json", body, len,
                      &options, &answer_events, a, &a->call, &err);
    if (rc != 0)
        attempt_failed(a, DISPATCH_SILENT, 500, "internal", err.text);
    else
        observe_called(a);
}

bool attempt_engine_again(struct attempt *a, int result)
{
    bool untouched = result == VX11_EUNAVAILABLE, ended = result == VX11_ECLOSED || result == VX11_EIO;
    if (a->provider->kind != SWITCH_PROVIDER_KIND_LOCAL || a->upstream_status != 0 || a->own_end != 0)
        return false;
    if ((!untouched && !ended) || a->engine_tries >= (untouched ? ENGINE_TRIES : 1))
        return false;
    a->engine_tries++;
    a->first_token_until = 0;
    /* Hermes may hear of the end a little later than we did. */
    a->engine_again_at = clock_mono_ms() + ENGINE_RETRY_MS;
    log_info("attempt", "the engine has gone; another is asked for", LOG_S("model", a->candidate->model));
    return true;
}

void attempt_engine_retry(struct attempt *a)
{
    a->engine_again_at = 0;
    sse_free(&a->sse);
    a->adapter->reach(a);
}

void attempt_start(struct dispatch *d, const struct candidate *c, bool hedge)
{
    struct attempt *a = calloc(1, sizeof *a);
    size_t place = d->live[0] ? 1 : 0;
    if (!a) {
        breaker_abandon(&c->provider->breaker);
        dispatch_attempt_failed(d, c, false, 500, "out_of_memory", "out of memory");
        return;
    }
    *a = (struct attempt){
        .d = d,
        .candidate = c,
        .provider = c->provider,
        .adapter = adapter_of(c->provider),
        .began_ns = clock_mono_ns(),
        .retry_after_ms = -1,
        .reply = BUF_INIT,
        .held = BUF_INIT,
        .tokens = {-1, -1, -1},
        .hedge = hedge,
        .price =
            price_of(provider_info(c->provider, c->model), c->provider->kind == SWITCH_PROVIDER_KIND_LOCAL),
        .first_token_ms = -1,
        .kind = hedge                 ? SWITCH_ATTEMPT_KIND_HEDGE
                : d->account.retries  ? SWITCH_ATTEMPT_KIND_RETRY
                : d->account.attempts ? SWITCH_ATTEMPT_KIND_FALLBACK
                                      : SWITCH_ATTEMPT_KIND_FIRST,
        .connected_s = -1,
        .headers_s = -1,
    };
    struct limits_refusal why;
    if (limits_attempt_begin(d->sw->budgets, &d->hold, c->provider->name, &a->price, &d->want,
                             clock_wall_ms(), &a->hold, &why) != 0) {
        free(a);
        breaker_abandon(&c->provider->breaker);
        account_tried(&d->account, c, why.text, -1);
        dispatch_exhausted(d, &why);
        return;
    }
    d->live[place] = a;
    d->last = c;
    d->account.attempts++;
    d->account.hedged |= hedge;
    account_candidate(&d->account, c);
    c->provider->in_flight++;
    c->provider->requests++;
    metric_add(c->provider->requests_metric, 1);
    a->adapter->reach(a);
}
