/* Dispatch: one request, from its candidates to its account.
 *
 *   run ── select ──not found──> list models anew, once ──> select ──> 404
 *             └─> attempt: breaker ─> engine (Hermes) or URL ─> call ─> answer.c
 *                    ^  failed before the first token, another candidate is left
 *                    └───────────────────────────────────────────────┘
 */
#include "switch/switch_internal.h"

#include <stdio.h>
#include <string.h>

#include "api/hermes_client.h"
#include "base/clock.h"
#include "base/log.h"

/* A list of models older than this is read anew before a model is said not to exist, and Hermes' list before
 * the default model is chosen. */
#define RELIST_AGE_MS 1000
/* An engine may end between being handed out and being asked: another is asked for. One that took the request
 * and ended may have ended because of it, so that is tried once only. */
#define ENGINE_TRIES    5
#define ENGINE_RETRY_MS 50
/* Hermes is asked in a fraction of a millisecond, and a model that was just added must answer at once. */
#define RELIST_LOCAL_AGE_MS 20

static void dispatch_try(struct dispatch *d);
static void dispatch_select(struct dispatch *d);

/* ---- end ---- */

static void breaker_tell(struct provider *p, bool changed)
{
    if (!changed)
        return;
    const char *state = breaker_state_name(breaker_peek(&p->breaker, clock_mono_ms()));
    log_warn("dispatch", "breaker changed", LOG_S("provider", p->name), LOG_S("state", state));
    module_alert(p->sw->m, LINK_ALERT_SEVERITY_L3, "the breaker of provider %s is %s", p->name, state);
}

static void attempt_end(struct dispatch *d, enum dispatch_verdict verdict)
{
    if (!d->attempt_open)
        return;
    struct provider *p = d->selection.list[d->at].provider;
    d->attempt_open = false;
    d->first_token_until = 0;
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

void dispatch_end(struct dispatch *d, enum dispatch_verdict verdict, enum switch_outcome outcome, int status,
                  const char *error)
{
    struct switch_ *sw = d->sw;
    attempt_end(d, verdict);
    if (d->account.first_token_ms >= 0)
        metric_observe(d->selection.list[d->at].provider->first_token, d->account.first_token_ms / 1000.0);
    d->account.outcome = outcome;
    d->account.status = status;
    if (error)
        snprintf(d->account.error, sizeof d->account.error, "%s", error);
    account_write(sw, &d->account, d->r);
    if (d->prev)
        d->prev->next = d->next;
    else
        sw->dispatches = d->next;
    if (d->next)
        d->next->prev = d->prev;
    sw->in_flight--;
    sse_free(&d->sse);
    buf_free(&d->reply);
    buf_free(&d->held);
    arena_destroy(d->scratch);
    d->scratch = NULL;
}

void dispatch_cancelled(struct dispatch *d)
{
    struct request *r = d->r;
    bool late = d->cancel_reason == VX11_ETIMEOUT, stopping = d->cancel_reason == VX11_ECANCELLED;
    bool begun = d->begun;
    int status = late ? 504 : stopping ? 503 : 499;
    const char *text = late       ? "the request's time was up"
                       : stopping ? "switch was stopped"
                                  : "the caller left";
    dispatch_end(d, DISPATCH_SILENT, status == 499 ? SWITCH_OUTCOME_CANCELLED : SWITCH_OUTCOME_FAILED, status,
                 text);
    if (begun)
        request_stream_abort(r);
    else
        request_fail(r, status == 499 ? 504 : status, late ? "deadline_exceeded" : "stopping", NULL, "%s",
                     text);
}

static void dispatch_refuse(struct dispatch *d, int status, const char *code, const char *param,
                            const char *text)
{
    struct request *r = d->r;
    int64_t retry = d->retry_after_ms;
    bool asked = d->account.attempts > 0;
    char copy[300];
    snprintf(copy, sizeof copy, "%s", text);
    dispatch_end(d, DISPATCH_SILENT, asked ? SWITCH_OUTCOME_FAILED : SWITCH_OUTCOME_REFUSED, status, copy);
    if (retry >= 0 && (status == 429 || status == 503))
        request_retry_after(r, retry);
    request_fail(r, status, code, param, "%s", copy);
}

void dispatch_failed(struct dispatch *d, enum dispatch_verdict verdict, int status, const char *code,
                     const char *text)
{
    const struct candidate *c = &d->selection.list[d->at];
    log_warn("dispatch", "a provider failed", LOG_S("provider", c->provider->name), LOG_S("model", c->model),
             LOG_I("status", status), LOG_S("reason", text));
    d->failed_status = status;
    snprintf(d->failed_code, sizeof d->failed_code, "%s", code);
    snprintf(d->failed_text, sizeof d->failed_text, "%s", text);
    attempt_end(d, verdict);
    account_alternative(&d->account, c->provider->name, c->model, d->failed_text);
    sse_free(&d->sse);
    buf_clear(&d->reply);
    buf_clear(&d->held);
    d->sse_open = d->complete = d->failed_midway = d->paused = false;
    d->own_end = d->upstream_status = d->engine_tries = 0;
    d->at++;
    dispatch_try(d);
}

/* ---- attempt ---- */

void dispatch_headers(struct dispatch *d)
{
    const struct candidate *c = &d->selection.list[d->at];
    /* A model's name may hold what no header may; then it goes without. */
    request_reply_header(d->r, "X-VX11-Provider", c->provider->name);
    request_reply_header(d->r, "X-VX11-Model", c->model);
    if (d->context_shift)
        request_reply_header(d->r, "X-VX11-Context-Shift", d->context_shift);
}

/* The caller's body with the provider's name of the model, and with usage asked for in streams (the chunk is
 * dropped again when the caller did not ask for it). The body as it came when nothing changes. */
static int dispatch_body(struct dispatch *d, const char *model, const char **out, size_t *len)
{
    struct arena *a = request_arena(d->r);
    bool want_usage = d->stream && !d->include_usage;
    *out = d->body;
    *len = d->body_len;
    if (!want_usage && d->wish.model && strcmp(d->wish.model, model) == 0)
        return 0;
    yyjson_alc alc;
    contract_json_allocator(a, &alc);
    yyjson_val *root = NULL;
    if (contract_json_parse(a, d->body, d->body_len, NULL, &root, NULL) != 0)
        return VX11_ESYNTAX;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&alc);
    yyjson_mut_val *copy = doc ? yyjson_val_mut_copy(doc, root) : NULL;
    if (!copy)
        return VX11_ENOMEM;
    yyjson_mut_doc_set_root(doc, copy);
    yyjson_mut_obj_put(copy, yyjson_mut_str(doc, "model"), yyjson_mut_str(doc, model));
    if (want_usage) {
        yyjson_mut_val *options = yyjson_mut_obj_get(copy, "stream_options");
        if (!yyjson_mut_is_obj(options)) {
            options = yyjson_mut_obj(doc);
            yyjson_mut_obj_put(copy, yyjson_mut_str(doc, "stream_options"), options);
        }
        yyjson_mut_obj_put(options, yyjson_mut_str(doc, "include_usage"), yyjson_mut_bool(doc, true));
    }
    *out = yyjson_mut_write_opts(doc, 0, &alc, len, NULL);
    return *out ? 0 : VX11_ENOMEM;
}

/* A local engine is told who asks and how soon they are to be served; what is outside is told nothing. */
static int call_headers(struct dispatch *d, struct client_call_options *options)
{
    const struct candidate *c = &d->selection.list[d->at];
    struct arena *a = request_arena(d->r);
    if (c->provider->kind != SWITCH_PROVIDER_KIND_LOCAL) {
        options->header_count = 0;
        return 0;
    }
    struct client_header *headers = arena_array(a, options->header_count + 1, sizeof *headers);
    const char *priority = arena_printf(a, "%d", priority_of(d->r, d->source));
    if (!headers || !priority)
        return VX11_ENOMEM;
    if (options->header_count > 0)
        memcpy(headers, options->headers, options->header_count * sizeof *headers);
    headers[options->header_count++] = (struct client_header){"X-VX11-Priority", priority};
    options->headers = headers;
    return 0;
}

static void dispatch_call(struct dispatch *d)
{
    static const char *const paths[] = {[DISPATCH_CHAT] = "/chat/completions",
                                        [DISPATCH_COMPLETION] = "/completions",
                                        [DISPATCH_EMBEDDING] = "/embeddings"};

    const struct candidate *c = &d->selection.list[d->at];
    struct client_call_options options;
    const char *body;
    size_t len;
    struct error err = {0};
    module_call_options(d->r, &options);
    int rc = dispatch_body(d, c->model, &body, &len);
    if (rc == 0)
        rc = call_headers(d, &options);
    if (rc != 0) {
        dispatch_failed(d, DISPATCH_SILENT, 500, "internal", error_describe(rc));
        return;
    }
    options.connect_timeout_ms = c->provider->connect_timeout_ms;
    options.idle_timeout_ms = c->provider->idle_timeout_ms;
    /* An answer that is not streamed comes with its last token: it has the request's whole time. */
    d->first_token_until = d->stream ? clock_mono_ms() + c->provider->first_token_timeout_ms : 0;
    sse_init(&d->sse, 0);
    rc = client_start(module_client(d->sw->m), &d->target, "POST", paths[d->wish.kind], "application/json",
                      body, len, &options, &answer_events, d, &d->call, &err);
    if (rc != 0)
        dispatch_failed(d, DISPATCH_SILENT, 500, "internal", err.text);
}

static void on_acquired(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct dispatch *d = ctx;
    const struct hermes_engine *engine = reply->message;
    (void)call;
    d->acquiring = NULL;
    if (d->cancel_reason) {
        dispatch_cancelled(d);
        return;
    }
    if (engine && engine->socket) {
        char *socket = arena_strdup(request_arena(d->r), engine->socket);
        d->target = (struct client_target){.base_url = "http://localhost/v1", .socket = socket};
        dispatch_call(d);
        return;
    }
    char text[300];
    int status = reply->result != 0     ? (reply->result == VX11_ETIMEOUT ? 504 : 503)
                 : reply->status >= 400 ? reply->status
                                        : 502;
    snprintf(text, sizeof text, "%.280s", reply->error.text[0] ? reply->error.text : "hermes gave no engine");
    if (reply->retry_after_ms >= 0)
        d->retry_after_ms = reply->retry_after_ms;
    /* A model that cannot be loaded says nothing about the other models, and a Hermes that is being started
     * again is back at once: only its silence counts against the provider. */
    bool silent = reply->result != 0 && reply->result != VX11_EUNAVAILABLE;
    dispatch_failed(d, silent ? DISPATCH_BAD : DISPATCH_SILENT, status,
                    reply->error_code[0] ? reply->error_code : "engine_unavailable", text);
}

static void attempt_local(struct dispatch *d)
{
    const struct candidate *c = &d->selection.list[d->at];
    struct hermes_acquire_request ask;
    struct client_call_options options;
    module_call_options(d->r, &options);
    hermes_acquire_request_init(request_arena(d->r), &ask);
    ask.model = c->model;
    int64_t left = options.deadline_ms ? options.deadline_ms - clock_mono_ms() : ask.wait_ms;
    ask.wait_ms = left < 0                                     ? 0
                  : left < c->provider->first_token_timeout_ms ? left
                                                               : c->provider->first_token_timeout_ms;
    int rc = hermes_engines_acquire_call(module_client(d->sw->m), module_peer(d->sw->m, "hermes"), &ask,
                                         &options, on_acquired, d, &d->acquiring);
    if (rc != 0)
        dispatch_failed(d, DISPATCH_SILENT, 500, "internal", error_describe(rc));
}

bool dispatch_engine_again(struct dispatch *d, int result)
{
    const struct candidate *c = &d->selection.list[d->at];
    bool untouched = result == VX11_EUNAVAILABLE, ended = result == VX11_ECLOSED || result == VX11_EIO;
    if (c->provider->kind != SWITCH_PROVIDER_KIND_LOCAL || d->upstream_status != 0 || d->own_end != 0)
        return false;
    if ((!untouched && !ended) || d->engine_tries >= (untouched ? ENGINE_TRIES : 1))
        return false;
    d->engine_tries++;
    d->first_token_until = 0;
    /* Hermes may hear of the end a little later than we did. */
    d->engine_again_at = clock_mono_ms() + ENGINE_RETRY_MS;
    log_info("dispatch", "the engine has gone; another is asked for", LOG_S("model", c->model));
    return true;
}

static void attempt_openai(struct dispatch *d)
{
    const struct candidate *c = &d->selection.list[d->at];
    struct error err = {0};
    d->target = (struct client_target){.base_url = arena_strdup(request_arena(d->r), c->provider->base_url)};
    if (provider_key(c->provider, request_arena(d->r), &d->target.token, &err) != 0) {
        dispatch_failed(d, DISPATCH_SILENT, 503, "provider_key_missing", err.text);
        return;
    }
    dispatch_call(d);
}

/* May this candidate be asked now? Else why not, noted. */
static bool candidate_free(struct dispatch *d, const struct candidate *c)
{
    struct provider *p = c->provider;
    int64_t now = clock_mono_ms();
    if (p->max_concurrency > 0 && p->in_flight >= p->max_concurrency) {
        d->failed_status = 429;
        snprintf(d->failed_code, sizeof d->failed_code, "provider_busy");
        snprintf(d->failed_text, sizeof d->failed_text, "provider %s already answers %lld requests, its most",
                 p->name, (long long)p->in_flight);
        d->retry_after_ms = 1000;
    } else if (!breaker_allow(&p->breaker, now)) {
        d->failed_status = 503;
        snprintf(d->failed_code, sizeof d->failed_code, "circuit_open");
        snprintf(d->failed_text, sizeof d->failed_text, "provider %s has failed repeatedly and rests",
                 p->name);
        d->retry_after_ms = breaker_retry_after_ms(&p->breaker, now);
    } else {
        return true;
    }
    account_alternative(&d->account, p->name, c->model, d->failed_text);
    return false;
}

static void dispatch_try(struct dispatch *d)
{
    if (d->cancel_reason) {
        d->at = d->at < d->selection.count ? d->at : d->selection.count - 1;
        dispatch_cancelled(d);
        return;
    }
    while (d->at < d->selection.count && !candidate_free(d, &d->selection.list[d->at]))
        d->at++;
    if (d->at == d->selection.count) {
        d->at--;
        dispatch_refuse(d, d->failed_status, d->failed_code, NULL, d->failed_text);
        return;
    }
    const struct candidate *c = &d->selection.list[d->at];
    d->attempt_open = true;
    d->account.attempts++;
    d->account.provider = c->provider->name;
    d->account.model = c->model;
    d->account.reason = c->reason;
    d->account.prompt_tokens = d->account.completion_tokens = d->account.cached_tokens =
        -1; /* an earlier one's do not count */
    c->provider->in_flight++;
    c->provider->requests++;
    metric_add(c->provider->requests_metric, 1);
    if (c->provider->kind == SWITCH_PROVIDER_KIND_LOCAL)
        attempt_local(d);
    else
        attempt_openai(d);
}

/* ---- selection ---- */

static void on_listed(void *ctx)
{
    struct dispatch *d = ctx;
    if (--d->listings > 0)
        return;
    if (d->cancel_reason)
        dispatch_cancelled(d);
    else
        dispatch_select(d);
}

/* Reads the lists that are not fresh, or only Hermes' for the default model. False: all were. */
static bool dispatch_relist(struct dispatch *d, bool for_default)
{
    d->listings = 1;
    for (size_t i = 0; i < d->sw->provider_count; i++) {
        struct provider *p = d->sw->providers[i];
        bool local = p->kind == SWITCH_PROVIDER_KIND_LOCAL;
        int64_t age = local && !for_default ? RELIST_LOCAL_AGE_MS : RELIST_AGE_MS;
        if (!p->enabled || (for_default && !local) || provider_models_fresh(p, age))
            continue;
        d->listings++;
        provider_list(p, on_listed, d);
    }
    if (d->listings == 1) {
        d->listings = 0;
        return false;
    }
    d->listings--;
    return true;
}

static void dispatch_select(struct dispatch *d)
{
    static const char *const unable_codes[] = {[DISPATCH_CHAT] = "model_cannot_chat",
                                               [DISPATCH_COMPLETION] = "model_cannot_complete",
                                               [DISPATCH_EMBEDDING] = "model_cannot_embed"};

    struct error err = {0};
    bool by_default = !d->wish.model || !d->wish.model[0] || strcmp(d->wish.model, "auto") == 0;
    /* A model that has gone since must not stay the default. */
    if (by_default && !d->local_relisted) {
        d->local_relisted = true;
        if (dispatch_relist(d, true))
            return;
    }
    int rc = selection_make(d->sw, request_arena(d->r), &d->wish, &d->selection, &err);
    if (rc != 0 && !d->relisted) {
        d->relisted = true;
        if (dispatch_relist(d, false))
            return;
    }
    if (rc == 0) {
        dispatch_try(d);
    } else if (rc == VX11_EUNSUPPORTED) {
        dispatch_refuse(d, 400, unable_codes[d->wish.kind], "model", err.text);
    } else {
        bool unknown = rc == VX11_ENOT_FOUND;
        if (!unknown)
            d->retry_after_ms = 1000;
        dispatch_refuse(d, unknown ? 404 : 503, unknown ? "model_not_found" : "no_model",
                        unknown ? "model" : NULL, err.text);
    }
}

/* ---- run ---- */

static void on_cancel(struct request *r, void *ctx, int reason)
{
    struct dispatch *d = ctx;
    (void)r;
    d->cancel_reason = reason;
    /* Each of these ends in a callback that sees cancel_reason; a listing ends by itself within seconds. */
    if (d->call)
        client_cancel(d->call);
    else if (d->acquiring)
        client_cancel(d->acquiring);
    else if (d->engine_again_at)
        dispatch_cancelled(d);
}

static void on_drain(struct request *r, void *ctx)
{
    struct dispatch *d = ctx;
    (void)r;
    if (d->paused && d->call) {
        d->paused = false;
        client_resume(d->call);
    }
}

void dispatch_run(struct switch_ *sw, struct request *r, const struct dispatch *wish)
{
    struct dispatch *d = arena_alloc(request_arena(r), sizeof *d);
    if (!d) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    *d = *wish;
    d->sw = sw;
    d->r = r;
    d->retry_after_ms = -1;
    d->failed_status = 503;
    snprintf(d->failed_code, sizeof d->failed_code, "no_provider");
    account_begin(&d->account, r, d->wish.model, d->stream);
    d->next = sw->dispatches;
    if (d->next)
        d->next->prev = d;
    sw->dispatches = d;
    sw->in_flight++;
    request_on_cancel(r, on_cancel, d);
    request_on_drain(r, on_drain, d);
    dispatch_select(d);
}

void dispatch_limits(struct switch_ *sw)
{
    int64_t now = clock_mono_ms();
    for (struct dispatch *d = sw->dispatches, *next; d; d = next) {
        next = d->next;
        if (d->engine_again_at && now >= d->engine_again_at) {
            d->engine_again_at = 0;
            attempt_local(d);
            continue;
        }
        if (d->call && d->first_token_until && now >= d->first_token_until) {
            d->first_token_until = 0;
            d->own_end = VX11_ETIMEOUT;
            client_cancel(d->call);
        }
    }
}
