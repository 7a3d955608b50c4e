/* Answer: a provider's reply as it comes. Streams go on event by event, without waiting for more; only what
 * comes before the first token is held back, so that another provider can still take over unseen. Tokens,
 * errors and the end are read as they go by. */
#include "switch/switch_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "switch/dialect.h"
#include "switch/observe/observe.h"

/* Above this much waiting for the caller, the provider is not read any further. */
#define ANSWER_HIGH_WATER  (256u * 1024u)
#define ANSWER_HELD_MAX    (256u * 1024u)
#define ANSWER_MAX_BODY    (64u * 1024u * 1024u)
#define ANSWER_MAX_VECTORS (192u * 1024u * 1024u) /* 2,048 vectors of 4,096 numbers and then some */

/* ---- reading ---- */

static void usage_take(struct attempt *a, const struct switch_upstream_usage *u)
{
    if (!u)
        return;
    if (u->has_prompt_tokens)
        a->tokens.prompt = u->prompt_tokens;
    if (u->has_completion_tokens)
        a->tokens.completion = u->completion_tokens;
    if (u->prompt_tokens_details && u->prompt_tokens_details->has_cached_tokens)
        a->tokens.cached = u->prompt_tokens_details->cached_tokens;
}

static bool json_says_something(yyjson_val *v)
{
    return yyjson_is_str(v)   ? yyjson_get_len(v) > 0
           : yyjson_is_arr(v) ? yyjson_arr_size(v) > 0
                              : yyjson_is_obj(v);
}

static bool chunk_has_token(const struct switch_upstream *u)
{
    for (size_t i = 0; i < u->choices_count; i++) {
        const struct switch_upstream_choice *c = &u->choices[i];
        const struct switch_upstream_message *m = c->delta;
        if (c->text && c->text[0])
            return true;
        /* A model that thinks aloud, or refuses, has begun to answer too. */
        if (m && (json_says_something(m->content) || json_says_something(m->tool_calls) ||
                  json_says_something(m->reasoning_content) || json_says_something(m->reasoning) ||
                  json_says_something(m->refusal)))
            return true;
    }
    return false;
}

static bool chunk_finishes(const struct switch_upstream *u)
{
    for (size_t i = 0; i < u->choices_count; i++)
        if (u->choices[i].finish_reason)
            return true;
    return false;
}

/* "error": an object with a message, or a string. */
static const char *error_text(yyjson_val *error)
{
    const char *text =
        yyjson_is_str(error) ? yyjson_get_str(error) : yyjson_get_str(yyjson_obj_get(error, "message"));
    return text ? text : "the provider reported an error without words";
}

/* ---- passing on ---- */

static int chunk_hold(struct attempt *a, const char *data, size_t len)
{
    buf_append(&a->held, &len, sizeof len);
    int rc = buf_append(&a->held, data, len);
    return a->held.len > ANSWER_HELD_MAX ? VX11_ETOO_LARGE : rc;
}

static void chunk_pass(struct attempt *a, const char *data, size_t len, const char *event,
                       const struct switch_upstream *u)
{
    struct dispatch *d = a->d;
    if (d->caches)
        cached_gather(a, data, len);
    if (d->dialect)
        d->dialect->chunk(d, data, len, u);
    else
        request_stream_event(d->r, event, NULL, data, len);
}

static void held_pass(struct attempt *a)
{
    struct switch_upstream u;
    size_t at = 0, len;
    struct arena *scratch = a->d->dialect ? arena_create(0) : NULL;
    while (at < a->held.len) {
        memcpy(&len, a->held.data + at, sizeof len);
        const char *data = a->held.data + at + sizeof len;
        at += sizeof len + len;
        if (a->d->dialect && (!scratch || switch_upstream_parse(scratch, data, len, &u, NULL) != 0))
            continue; /* it was parsed before it was held: only memory can be short */
        chunk_pass(a, data, len, NULL, &u);
    }
    arena_destroy(scratch);
    buf_clear(&a->held);
}

static void answer_begin(struct attempt *a)
{
    struct dispatch *d = a->d;
    if (d->begun)
        return;
    dispatch_wins(d, a);
    d->begun = true;
    dispatch_headers(d);
    request_stream_backpressure(d->r);
    request_stream_begin(d->r, 200, NULL);
    held_pass(a);
}

static void answer_throttle(struct attempt *a)
{
    if (!a->paused && a->call && request_stream_queued(a->d->r) > ANSWER_HIGH_WATER) {
        a->paused = true;
        client_pause(a->call);
    }
}

/* What a token counter must go by when the provider does not count. */
static size_t chunk_text(const struct switch_upstream *u)
{
    size_t n = 0;
    for (size_t i = 0; i < u->choices_count; i++) {
        const struct switch_upstream_choice *c = &u->choices[i];
        n += c->text ? strlen(c->text) : 0;
        if (!c->delta)
            continue;
        n += yyjson_get_len(c->delta->content) + yyjson_get_len(c->delta->reasoning_content) +
             yyjson_get_len(c->delta->reasoning);
    }
    return n;
}

static int chunk_take(struct attempt *a, const char *data, size_t len, const char *event,
                      const struct switch_upstream *u)
{
    struct dispatch *d = a->d;
    usage_take(a, u->usage);
    if (u->error && !yyjson_is_null(u->error)) {
        snprintf(a->failed_text, sizeof a->failed_text, "%s", error_text(u->error));
        a->failed_midway = true;
        if (!d->begun)
            return VX11_EIO;
    }
    a->complete |= chunk_finishes(u);
    a->text_bytes += chunk_text(u);
    if (u->choices_count == 0 && u->usage && !d->include_usage && !d->dialect) {
        if (d->caches && d->winner == a)
            cached_gather(a, data, len); /* whoever asks again may want it */
        return 0;
    }
    if (d->account.first_token_ms < 0 && chunk_has_token(u)) {
        d->account.first_token_ms = account_elapsed_ms(&d->account);
        a->first_token_ms = attempt_elapsed_ms(a);
        a->first_token_until = 0;
        answer_begin(a);
    }
    if (!d->begun)
        return chunk_hold(a, data, len);
    chunk_pass(a, data, len, event, u);
    answer_throttle(a);
    return 0;
}

int answer_chunk(struct attempt *a, const char *data, size_t len, const char *event)
{
    struct switch_upstream u;
    struct contract_error bad = {0};
    if (!a->d || a->d->cancel_reason)
        return VX11_ECANCELLED;
    arena_reset(a->scratch);
    if (switch_upstream_parse(a->scratch, data, len, &u, &bad) != 0) {
        snprintf(a->failed_text, sizeof a->failed_text,
                 "the provider sent an event that does not fit: %.60s %.200s", bad.pointer, bad.text);
        a->failed_midway = true;
        return VX11_ECORRUPT;
    }
    observe_chunk(a, &u);
    return chunk_take(a, data, len, event, &u);
}

void answer_finished(struct attempt *a)
{
    a->complete = true;
}

static int on_event(void *ctx, const struct sse_event *e)
{
    struct attempt *a = ctx;
    if (!a->d || a->d->cancel_reason)
        return VX11_ECANCELLED;
    if (a->adapter->event)
        return a->adapter->event(a, e);
    if (strcmp(e->data, "[DONE]") == 0) {
        /* Passed on at the end of the stream, when nothing is wrong with it. */
        answer_finished(a);
        return 0;
    }
    return answer_chunk(a, e->data, e->data_len, strcmp(e->event, "message") == 0 ? NULL : e->event);
}

/* ---- client events ---- */

static void on_headers(struct client_call *call, void *ctx, int status)
{
    struct attempt *a = ctx;
    const char *type = client_call_header(call, "Content-Type");
    const char *retry = client_call_header(call, "Retry-After");
    const char *shift = client_call_header(call, "X-VX11-Context-Shift");
    int64_t seconds;
    if (!a->d)
        return;
    a->upstream_status = status;
    client_call_times(call, &a->connected_s, &a->headers_s, NULL);
    a->context_shift = shift ? arena_strdup(request_arena(a->d->r), shift) : NULL;
    a->retry_after_ms = -1;
    if (retry && str_to_i64(retry, 0, 86400, &seconds) == 0)
        a->retry_after_ms = seconds * 1000;
    a->sse_open = a->d->stream && status == 200 && type && str_starts(type, "text/event-stream");
    if (a->sse_open && !a->scratch)
        a->scratch = arena_create(0);
    if (a->sse_open && !a->scratch) {
        a->own_end = VX11_ENOMEM;
        client_cancel(call);
    }
}

static size_t reply_most(const struct dispatch *d)
{
    return d->wish.kind == DISPATCH_EMBEDDING ? ANSWER_MAX_VECTORS : ANSWER_MAX_BODY;
}

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct attempt *a = ctx;
    int rc;
    if (!a->d || a->d->cancel_reason || a->own_end)
        return;
    if (a->sse_open)
        rc = sse_feed(&a->sse, data, len, on_event, a);
    else
        rc = a->reply.len + len > reply_most(a->d) ? VX11_ETOO_LARGE : buf_append(&a->reply, data, len);
    if (rc != 0) {
        a->own_end = rc;
        client_cancel(call);
    }
}

static void local_remember(const struct attempt *a)
{
    struct switch_ *sw = a->provider->sw;
    if (a->provider->kind == SWITCH_PROVIDER_KIND_LOCAL)
        snprintf(sw->active_model, sizeof sw->active_model, "%s", a->candidate->model);
}

/* ---- the end of a stream ---- */

static void stream_break(struct attempt *a, const char *code, const char *text)
{
    struct dispatch *d = a->d;
    struct request *r = d->r;
    struct common_error_body body = {
        .message = text, .type = "api_error", .code = code, .request_id = request_id(r)};
    struct common_error message = {.error = &body};
    struct buf out = BUF_INIT;
    bool told = a->failed_midway && a->own_end == 0; /* the provider's own error event went through */
    if (d->dialect)
        d->dialect->broken(d, code, text);
    else if (!told && common_error_serialize(&message, &out) == 0)
        request_stream_event(r, NULL, NULL, out.data, out.len);
    buf_free(&out);
    dispatch_end(d, DISPATCH_BAD, SWITCH_OUTCOME_FAILED, 200, text);
    request_stream_end(r);
}

static void stream_good(struct attempt *a)
{
    struct dispatch *d = a->d;
    struct request *r = d->r;
    answer_begin(a);
    local_remember(a);
    estimate_stream(a);
    cached_keep_stream(a);
    if (d->dialect)
        d->dialect->end(d);
    else /* also when the provider left it out: who reads to the end may count on it */
        request_stream_event(r, NULL, NULL, "[DONE]", 6);
    dispatch_end(d, DISPATCH_GOOD, SWITCH_OUTCOME_OK, 200, NULL);
    request_stream_end(r);
}

static void stream_done(struct attempt *a, int result, const struct error *err)
{
    char text[400];
    if (result == 0 && a->complete && !a->failed_midway) {
        stream_good(a);
        return;
    }
    bool late = a->own_end == VX11_ETIMEOUT || result == VX11_ETIMEOUT;
    if (a->failed_midway)
        snprintf(text, sizeof text, "%s", a->failed_text);
    else if (a->own_end)
        snprintf(text, sizeof text, "%s", late ? "no token came in time" : error_describe(a->own_end));
    else if (result != 0)
        snprintf(text, sizeof text, "%.280s", err->text);
    else
        snprintf(text, sizeof text, "the provider's stream ended before its end");
    const char *code = late ? "upstream_timeout" : "upstream_broken";
    if (a->d->winner == a)
        stream_break(a, code, text);
    else
        attempt_failed(a, DISPATCH_BAD, late ? 504 : 502, code, text);
}

/* ---- the end of a whole reply ---- */

/* The provider's own error in our shape: its words, and its code and parameter when they are text. */
static void reply_pass_error(struct attempt *a, const struct switch_upstream *u)
{
    struct dispatch *d = a->d;
    struct request *r = d->r;
    yyjson_val *error = u ? u->error : NULL;
    const char *code = yyjson_get_str(yyjson_obj_get(error, "code"));
    const char *param = yyjson_get_str(yyjson_obj_get(error, "param"));
    const char *text = error ? error_text(error) : "the provider refused the request without words";
    char *copy = arena_strdup(request_arena(r), text);
    int status = a->upstream_status;
    int64_t retry = a->retry_after_ms;
    code = arena_strdup(request_arena(r), code ? code : "upstream_rejected");
    param = arena_strdup(request_arena(r), param);
    dispatch_wins(d, a);
    dispatch_headers(d);
    dispatch_end(d, DISPATCH_GOOD, SWITCH_OUTCOME_FAILED, status, copy);
    if (retry >= 0)
        request_retry_after(r, retry);
    request_fail(r, status, code, param, "%s", copy ? copy : "");
}

/* Statuses that say something about this provider, not about the request: another may do better. */
static bool status_is_providers(int status)
{
    return status == 401 || status == 403 || status == 404 || status == 408 || status == 429 || status >= 500;
}

static void reply_error(struct attempt *a, const struct switch_upstream *u)
{
    int status = a->upstream_status;
    char text[300];
    if (!status_is_providers(status)) {
        reply_pass_error(a, u);
        return;
    }
    snprintf(text, sizeof text, "%s answered %d: %.200s", a->provider->name, status,
             u && u->error ? error_text(u->error) : "no words");
    enum dispatch_verdict verdict = status >= 500 || status == 408 ? DISPATCH_BAD : DISPATCH_GOOD;
    if (status == 401 || status == 403)
        attempt_failed(a, verdict, 502, "provider_refused_key", text);
    else if (status == 404 || status == 429 || status == 503 || status == 504)
        attempt_failed(a, verdict, status,
                       status == 404   ? "model_not_found"
                       : status == 429 ? "rate_limited"
                                       : "upstream_unavailable",
                       text);
    else
        attempt_failed(a, verdict, 502, "upstream_error", text);
}

static void reply_send(struct attempt *a, struct buf *body)
{
    struct dispatch *d = a->d;
    struct request *r = d->r;
    size_t len;
    char *data = buf_detach(body, &len);
    local_remember(a);
    dispatch_wins(d, a);
    dispatch_headers(d);
    dispatch_end(d, DISPATCH_GOOD, SWITCH_OUTCOME_OK, 200, NULL);
    request_reply_bytes(r, 200, "application/json", data, len, true);
}

static void reply_good(struct attempt *a, const struct switch_upstream *u)
{
    struct dispatch *d = a->d;
    struct buf out = BUF_INIT;
    struct error err = {0};
    cached_keep(a, a->reply.data, a->reply.len);
    observe_whole(a, a->reply.data, a->reply.len);
    if (!d->dialect || !d->dialect->whole) {
        reply_send(a, &a->reply);
        return;
    }
    account_candidate(&d->account, a->candidate); /* a dialect may say who answered */
    int rc = d->dialect->whole(d, a->reply.data, a->reply.len, u, &out, &err);
    if (rc == 0)
        reply_send(a, &out);
    else
        attempt_failed(a, DISPATCH_GOOD, rc == VX11_EUNSUPPORTED ? 502 : 500,
                       rc == VX11_EUNSUPPORTED ? "no_text" : "internal", err.text);
    buf_free(&out);
}

/* Whether it holds what was asked for. */
static bool reply_holds(const struct dispatch *d, const struct switch_upstream *u)
{
    return d->wish.kind == DISPATCH_EMBEDDING ? yyjson_arr_size(u->data) > 0 : u->choices_count > 0;
}

/* Into OpenAI's words, when it comes in others. */
static int reply_translate(struct attempt *a, struct error *err)
{
    return a->adapter->whole ? a->adapter->whole(a, a->upstream_status, &a->reply, err) : 0;
}

static void reply_done(struct attempt *a)
{
    struct dispatch *d = a->d;
    struct switch_upstream u;
    struct contract_error bad = {0};
    struct error err = {0};
    struct arena *scratch = arena_create(0);
    int rc = scratch ? reply_translate(a, &err) : error_set(&err, VX11_ENOMEM, "out of memory");
    bool fits = rc == 0 && switch_upstream_parse(scratch, a->reply.data ? a->reply.data : "", a->reply.len,
                                                 &u, &bad) == 0;
    char text[300];
    if (a->upstream_status != 200) {
        reply_error(a, fits ? &u : NULL);
    } else if (!fits || !reply_holds(d, &u) || d->stream) {
        snprintf(text, sizeof text, "the provider's reply does not fit: %.60s %.200s", bad.pointer,
                 rc != 0                              ? err.text
                 : !fits                              ? bad.text
                 : d->stream                          ? "a stream was asked for"
                 : d->wish.kind == DISPATCH_EMBEDDING ? "it holds no vectors"
                                                      : "it holds no choices");
        attempt_failed(a, DISPATCH_BAD, 502, "upstream_broken", text);
    } else {
        usage_take(a, u.usage);
        rc = estimate_reply(a, &u);
        if (rc == 1 && switch_upstream_parse(scratch, a->reply.data, a->reply.len, &u, &bad) != 0)
            rc = VX11_ECORRUPT;
        if (rc < 0)
            attempt_failed(a, DISPATCH_SILENT, 500, "internal", error_describe(rc));
        else
            reply_good(a, &u);
    }
    arena_destroy(scratch);
}

static void reply_broken(struct attempt *a, int result, const struct error *err)
{
    bool late = result == VX11_ETIMEOUT || a->own_end == VX11_ETIMEOUT;
    const char *text = a->own_end == VX11_ETIMEOUT ? "no answer came in time"
                       : a->own_end                ? error_describe(a->own_end)
                                                   : err->text;
    attempt_failed(a, DISPATCH_BAD, late ? 504 : 502, late ? "upstream_timeout" : "upstream_broken", text);
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct attempt *a = ctx;
    (void)call;
    a->call = NULL;
    if (attempt_over(a))
        return;
    if (result != 0 && attempt_engine_again(a, result))
        return;
    if (a->sse_open)
        stream_done(a, result, err);
    else if (result != 0)
        reply_broken(a, result, err);
    else
        reply_done(a);
}

const struct client_events answer_events = {.on_headers = on_headers, .on_data = on_data, .on_done = on_done};
