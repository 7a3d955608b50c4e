/* Answer: a provider's reply as it comes. Streams go on event by event, without waiting for more; only what
 * comes before the first token is held back, so that another provider can still take over unseen. Tokens,
 * errors and the end are read as they go by. */
#include "switch/switch_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

/* Above this much waiting for the caller, the provider is not read any further. */
#define ANSWER_HIGH_WATER  (256u * 1024u)
#define ANSWER_HELD_MAX    (256u * 1024u)
#define ANSWER_MAX_BODY    (64u * 1024u * 1024u)
#define ANSWER_MAX_VECTORS (192u * 1024u * 1024u) /* 2,048 vectors of 4,096 numbers and then some */

/* ---- reading ---- */

static void usage_take(struct dispatch *d, const struct switch_upstream_usage *u)
{
    if (!u)
        return;
    if (u->has_prompt_tokens)
        d->account.prompt_tokens = u->prompt_tokens;
    if (u->has_completion_tokens)
        d->account.completion_tokens = u->completion_tokens;
    if (u->prompt_tokens_details && u->prompt_tokens_details->has_cached_tokens)
        d->account.cached_tokens = u->prompt_tokens_details->cached_tokens;
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

static void answer_begin(struct dispatch *d)
{
    if (d->begun)
        return;
    d->begun = true;
    dispatch_headers(d);
    request_stream_backpressure(d->r);
    request_stream_begin(d->r, 200, NULL);
    if (d->held.len)
        request_stream_write(d->r, d->held.data, d->held.len);
    buf_clear(&d->held);
}

static int event_hold(struct dispatch *d, const struct sse_event *e)
{
    for (const char *line = e->data, *end; line; line = end ? end + 1 : NULL) {
        end = strchr(line, '\n');
        buf_puts(&d->held, "data: ");
        buf_append(&d->held, line, end ? (size_t)(end - line) : strlen(line));
        buf_putc(&d->held, '\n');
    }
    int rc = buf_putc(&d->held, '\n');
    return d->held.len > ANSWER_HELD_MAX ? VX11_ETOO_LARGE : rc;
}

static void event_pass(struct dispatch *d, const struct sse_event *e)
{
    request_stream_event(d->r, strcmp(e->event, "message") == 0 ? NULL : e->event, NULL, e->data,
                         e->data_len);
    if (!d->paused && d->call && request_stream_queued(d->r) > ANSWER_HIGH_WATER) {
        d->paused = true;
        client_pause(d->call);
    }
}

static void event_first_token(struct dispatch *d)
{
    d->account.first_token_ms = account_elapsed_ms(&d->account);
    d->first_token_until = 0;
    answer_begin(d);
}

static int event_take(struct dispatch *d, const struct sse_event *e, const struct switch_upstream *u)
{
    usage_take(d, u->usage);
    if (u->error && !yyjson_is_null(u->error)) {
        snprintf(d->failed_text, sizeof d->failed_text, "%s", error_text(u->error));
        d->failed_midway = true;
        if (!d->begun)
            return VX11_EIO;
    }
    if (chunk_finishes(u))
        d->complete = true;
    if (u->choices_count == 0 && u->usage && !d->include_usage)
        return 0;
    if (d->account.first_token_ms < 0 && chunk_has_token(u))
        event_first_token(d);
    if (!d->begun)
        return event_hold(d, e);
    event_pass(d, e);
    return 0;
}

static int on_event(void *ctx, const struct sse_event *e)
{
    struct dispatch *d = ctx;
    struct switch_upstream u;
    if (d->cancel_reason)
        return VX11_ECANCELLED;
    if (strcmp(e->data, "[DONE]") == 0) {
        /* Passed on at the end of the stream, when nothing is wrong with it. */
        d->complete = true;
        return 0;
    }
    arena_reset(d->scratch);
    struct contract_error bad = {0};
    if (switch_upstream_parse(d->scratch, e->data, e->data_len, &u, &bad) != 0) {
        snprintf(d->failed_text, sizeof d->failed_text,
                 "the provider sent an event that does not fit: %.60s %.200s", bad.pointer, bad.text);
        d->failed_midway = true;
        return VX11_ECORRUPT;
    }
    return event_take(d, e, &u);
}

/* ---- client events ---- */

static void on_headers(struct client_call *call, void *ctx, int status)
{
    struct dispatch *d = ctx;
    const char *type = client_call_header(call, "Content-Type");
    const char *retry = client_call_header(call, "Retry-After");
    int64_t seconds;
    const char *shift = client_call_header(call, "X-VX11-Context-Shift");
    d->upstream_status = status;
    d->context_shift = shift ? arena_strdup(request_arena(d->r), shift) : NULL;
    d->retry_after_ms = -1;
    if (retry && str_to_i64(retry, 0, 86400, &seconds) == 0)
        d->retry_after_ms = seconds * 1000;
    d->sse_open = d->stream && status == 200 && type && str_starts(type, "text/event-stream");
    if (d->sse_open && !d->scratch)
        d->scratch = arena_create(0);
    if (d->sse_open && !d->scratch) {
        d->own_end = VX11_ENOMEM;
        client_cancel(call);
    }
}

static size_t reply_most(const struct dispatch *d)
{
    return d->wish.kind == DISPATCH_EMBEDDING ? ANSWER_MAX_VECTORS : ANSWER_MAX_BODY;
}

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct dispatch *d = ctx;
    int rc;
    if (d->cancel_reason || d->own_end)
        return;
    if (d->sse_open)
        rc = sse_feed(&d->sse, data, len, on_event, d);
    else
        rc = d->reply.len + len > reply_most(d) ? VX11_ETOO_LARGE : buf_append(&d->reply, data, len);
    if (rc != 0) {
        d->own_end = rc;
        client_cancel(call);
    }
}

static void local_remember(struct dispatch *d)
{
    const struct candidate *c = &d->selection.list[d->at];
    if (c->provider->kind == SWITCH_PROVIDER_KIND_LOCAL)
        snprintf(d->sw->active_model, sizeof d->sw->active_model, "%s", c->model);
}

/* ---- the end of a stream ---- */

static void stream_break(struct dispatch *d, const char *code, const char *text)
{
    struct request *r = d->r;
    struct common_error_body body = {
        .message = text, .type = "upstream_error", .code = code, .request_id = request_id(r)};
    struct common_error message = {.error = &body};
    struct buf out = BUF_INIT;
    bool told = d->failed_midway && d->own_end == 0; /* the provider's own error event went through */
    if (!told && common_error_serialize(&message, &out) == 0)
        request_stream_event(r, NULL, NULL, out.data, out.len);
    buf_free(&out);
    dispatch_end(d, DISPATCH_BAD, SWITCH_OUTCOME_FAILED, 200, text);
    request_stream_end(r);
}

static void stream_done(struct dispatch *d, int result, const struct error *err)
{
    char text[400];
    if (result == 0 && d->complete && !d->failed_midway) {
        answer_begin(d);
        struct request *r = d->r;
        local_remember(d);
        dispatch_end(d, DISPATCH_GOOD, SWITCH_OUTCOME_OK, 200, NULL);
        /* Also when the provider left it out: who reads to the end may count on it. */
        request_stream_event(r, NULL, NULL, "[DONE]", 6);
        request_stream_end(r);
        return;
    }
    bool late = d->own_end == VX11_ETIMEOUT || result == VX11_ETIMEOUT;
    if (d->failed_midway)
        snprintf(text, sizeof text, "%s", d->failed_text);
    else if (d->own_end)
        snprintf(text, sizeof text, "%s", late ? "no token came in time" : error_describe(d->own_end));
    else if (result != 0)
        snprintf(text, sizeof text, "%.280s", err->text);
    else
        snprintf(text, sizeof text, "the provider's stream ended before its end");
    const char *code = late ? "upstream_timeout" : "upstream_broken";
    if (d->begun)
        stream_break(d, code, text);
    else
        dispatch_failed(d, DISPATCH_BAD, late ? 504 : 502, code, text);
}

/* ---- the end of a whole reply ---- */

/* The provider's own error in our shape: its words, and its code and parameter when they are text. */
static void reply_pass_error(struct dispatch *d, const struct switch_upstream *u)
{
    struct request *r = d->r;
    yyjson_val *error = u ? u->error : NULL;
    const char *code = yyjson_get_str(yyjson_obj_get(error, "code"));
    const char *param = yyjson_get_str(yyjson_obj_get(error, "param"));
    const char *text = error ? error_text(error) : "the provider refused the request without words";
    char *copy = arena_strdup(request_arena(r), text);
    int status = d->upstream_status;
    int64_t retry = d->retry_after_ms;
    code = arena_strdup(request_arena(r), code ? code : "upstream_rejected");
    param = arena_strdup(request_arena(r), param);
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

static void reply_error(struct dispatch *d, const struct switch_upstream *u)
{
    int status = d->upstream_status;
    char text[300];
    if (!status_is_providers(status)) {
        reply_pass_error(d, u);
        return;
    }
    snprintf(text, sizeof text, "%s answered %d: %.200s", d->account.provider, status,
             u && u->error ? error_text(u->error) : "no words");
    enum dispatch_verdict verdict = status >= 500 || status == 408 ? DISPATCH_BAD : DISPATCH_GOOD;
    if (status == 401 || status == 403)
        dispatch_failed(d, verdict, 502, "provider_refused_key", text);
    else if (status == 404 || status == 429 || status == 503 || status == 504)
        dispatch_failed(d, verdict, status,
                        status == 404   ? "model_not_found"
                        : status == 429 ? "rate_limited"
                                        : "upstream_unavailable",
                        text);
    else
        dispatch_failed(d, verdict, 502, "upstream_error", text);
}

static void reply_good(struct dispatch *d, const struct switch_upstream *u)
{
    struct request *r = d->r;
    struct buf body = d->reply;
    usage_take(d, u->usage);
    local_remember(d);
    if (d->whole) {
        d->whole(d, u);
        return;
    }
    dispatch_headers(d);
    d->reply = (struct buf)BUF_INIT; /* now ours to hand over */
    dispatch_end(d, DISPATCH_GOOD, SWITCH_OUTCOME_OK, 200, NULL);
    size_t len;
    char *data = buf_detach(&body, &len);
    request_reply_bytes(r, 200, "application/json", data, len, true);
}

/* Whether it holds what was asked for. */
static bool reply_holds(const struct dispatch *d, const struct switch_upstream *u)
{
    return d->wish.kind == DISPATCH_EMBEDDING ? yyjson_arr_size(u->data) > 0 : u->choices_count > 0;
}

static void reply_done(struct dispatch *d)
{
    struct switch_upstream u;
    struct contract_error bad = {0};
    struct arena *a = arena_create(0);
    bool fits =
        a && switch_upstream_parse(a, d->reply.data ? d->reply.data : "", d->reply.len, &u, &bad) == 0;
    char text[300];
    if (d->upstream_status != 200) {
        reply_error(d, fits ? &u : NULL);
    } else if (!fits || !reply_holds(d, &u) || d->stream) {
        snprintf(text, sizeof text, "the provider's reply does not fit: %.60s %.200s", bad.pointer,
                 !fits                                ? bad.text
                 : d->stream                          ? "a stream was asked for"
                 : d->wish.kind == DISPATCH_EMBEDDING ? "it holds no vectors"
                                                      : "it holds no choices");
        dispatch_failed(d, DISPATCH_BAD, 502, "upstream_broken", text);
    } else {
        reply_good(d, &u);
    }
    arena_destroy(a);
}

static void reply_broken(struct dispatch *d, int result, const struct error *err)
{
    bool late = result == VX11_ETIMEOUT || d->own_end == VX11_ETIMEOUT;
    const char *text = d->own_end == VX11_ETIMEOUT ? "no answer came in time"
                       : d->own_end                ? error_describe(d->own_end)
                                                   : err->text;
    char copy[300];
    snprintf(copy, sizeof copy, "%.280s", text);
    dispatch_failed(d, DISPATCH_BAD, late ? 504 : 502, late ? "upstream_timeout" : "upstream_broken", copy);
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct dispatch *d = ctx;
    (void)call;
    d->call = NULL;
    if (d->cancel_reason)
        dispatch_cancelled(d);
    else if (result != 0 && dispatch_engine_again(d, result))
        return;
    else if (d->sse_open)
        stream_done(d, result, err);
    else if (result != 0)
        reply_broken(d, result, err);
    else
        reply_done(d);
}

const struct client_events answer_events = {.on_headers = on_headers, .on_data = on_data, .on_done = on_done};
