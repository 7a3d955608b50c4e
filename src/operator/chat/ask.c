/* Ask: one request to Switch, and its answer as it comes: read, told to the page in as many pieces as there
 * are turns of the loop, kept on the disk every few seconds. A page that reads slowly slows the model's
 * answer down. */
#include "operator/chat/chat_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

enum { KEEP_MS = 3000, QUEUE_MOST = 64 << 10, FAILURE_MOST = 64 << 10 };

/* ---- telling ---- */

void turn_tell(struct chat_turn *t)
{
    const struct chat_stream *s = &t->in;
    struct buf json = BUF_INIT;
    bool text = s->text.len > t->told_text, thought = s->reasoning.len > t->told_reasoning;
    if (!t->r || !t->streams || (!text && !thought))
        return;
    buf_putc(&json, '{');
    if (text) {
        buf_puts(&json, "\"text\":");
        buf_put_json_string(&json, s->text.data + t->told_text, s->text.len - t->told_text);
    }
    if (thought) {
        buf_puts(&json, text ? ",\"reasoning\":" : "\"reasoning\":");
        buf_put_json_string(&json, s->reasoning.data + t->told_reasoning,
                            s->reasoning.len - t->told_reasoning);
    }
    t->told_text = s->text.len;
    t->told_reasoning = s->reasoning.len;
    if (buf_putc(&json, '}') == 0)
        (void)request_stream_event(t->r, "delta", NULL, json.data,
                                   json.len); /* one that left is told by its cancel */
    buf_free(&json);
    if (t->call && !t->paused && request_stream_queued(t->r) >= QUEUE_MOST) {
        t->paused = true;
        client_pause(t->call);
    }
}

/* Text of all rounds so far. */
static void turn_keep_part(struct chat_turn *t)
{
    struct buf text = BUF_INIT, reasoning = BUF_INIT;
    struct error err = {0};
    int rc = buf_append(&text, t->text.data, t->text.len);
    rc = rc ? rc : buf_append(&text, t->in.text.data, t->in.text.len);
    rc = rc ? rc : buf_append(&reasoning, t->reasoning.data, t->reasoning.len);
    rc = rc ? rc : buf_append(&reasoning, t->in.reasoning.data, t->in.reasoning.len);
    if (rc == 0)
        rc = turn_keep(t->c->o->sessions, t->answer.id, text.data ? text.data : "", text.len, reasoning.data,
                       reasoning.len, &err);
    if (rc != 0)
        log_warn("chat", "the part of an answer could not be kept", LOG_S("message", t->answer.id),
                 LOG_S("error", err.text));
    t->kept_at = clock_mono_ms();
    buf_free(&text);
    buf_free(&reasoning);
}

/* ---- the answer ---- */

static const char *kept_header(struct chat_turn *t, struct client_call *call, const char *name)
{
    const char *value = client_call_header(call, name);
    return value && utf8_valid(value, strlen(value)) ? arena_strdup(t->a, value) : NULL;
}

static void on_headers(struct client_call *call, void *ctx, int status)
{
    struct chat_turn *t = ctx;
    if (t->ended)
        return;
    t->status = status;
    if (status != 200)
        return;
    t->provider = kept_header(t, call, "X-VX11-Provider");
    t->answered_model = kept_header(t, call, "X-VX11-Model");
    t->reason = chat_decision_reason(kept_header(t, call, "X-VX11-Decision"));
}

static void note_times(struct chat_turn *t)
{
    if (!chat_stream_begun(&t->in))
        return;
    t->last_ns = clock_mono_ns();
    if (t->first_ns)
        return;
    t->first_ns = t->last_ns;
    metric_observe(t->c->first_token, (double)(t->first_ns - t->began_ns) / 1e9);
}

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct chat_turn *t = ctx;
    struct error err = {0};
    (void)call;
    if (t->ended)
        return;
    if (t->status != 200) {
        if (t->failure.len + len <= FAILURE_MOST)
            buf_append(&t->failure, data, len);
        return;
    }
    size_t before = t->in.text.len + t->in.reasoning.len;
    int rc = chat_stream_feed(&t->in, data, len, &err);
    if (t->in.text.len + t->in.reasoning.len != before || t->in.call_count > 0)
        note_times(t);
    turn_tell(t);
    if (rc != 0)
        turn_fail(t, 502, rc == VX11_ETOO_LARGE ? "answer_too_large" : "upstream_broken", "%s", err.text);
    else if (clock_mono_ms() - t->kept_at >= KEEP_MS)
        turn_keep_part(t);
}

/* ---- its end ---- */

static void usage_add(int64_t *sum, bool *has, bool one_has, int64_t one)
{
    if (!one_has)
        return;
    *sum += one;
    *has = true;
}

/* What the rounds take adds up. */
static void take_usage(struct chat_turn *t)
{
    const struct operator_usage *one = &t->in.usage;
    struct operator_usage *u = &t->usage;
    if (!t->in.has_usage)
        return;
    t->has_usage = true;
    usage_add(&u->prompt_tokens, &u->has_prompt_tokens, one->has_prompt_tokens, one->prompt_tokens);
    usage_add(&u->completion_tokens, &u->has_completion_tokens, one->has_completion_tokens,
              one->completion_tokens);
    usage_add(&u->cached_tokens, &u->has_cached_tokens, one->has_cached_tokens, one->cached_tokens);
    u->estimated |= one->estimated;
}

/* Whether the model refused because there is too much: what is left out then, a third of it at least, and
 * asked again. The one who judges is the model: it counts exactly. */
static bool fit_again(struct chat_turn *t, const char *code)
{
    static const char *const codes[] = {"context_length_exceeded", "context_exceeded",
                                        "model_context_window_exceeded"};
    bool context = false;
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        context |= str_eq(code, codes[i]);
    if (!context)
        return false;
    if (t->dropped >= t->history_count) {
        turn_fail(t, 413, "context_exceeded",
                  "the question does not fit the model's context, even without anything before it");
        return true;
    }
    int64_t left = fit_tokens(t->fit + t->dropped, 0, t->history_count - t->dropped);
    size_t more = fit_drop(t->fit + t->dropped, t->history_count - t->dropped, left * 2 / 3);
    t->dropped += more > 0 ? more : 1;
    turn_ask(t);
    return true;
}

static void refused(struct chat_turn *t, int64_t retry_after)
{
    struct common_error body;
    const char *text = t->failure.data ? t->failure.data : "";
    bool fits = common_error_parse(t->a, text, t->failure.len, &body, NULL) == 0 && body.error;
    const char *code = fits && body.error->code ? body.error->code : "upstream_failed";
    if (fit_again(t, code))
        return;
    if (retry_after >= 0 && t->r && !request_stream_started(t->r))
        request_retry_after(t->r, retry_after);
    turn_fail(t, t->status >= 400 ? t->status : 502, code, "%s",
              fits && body.error->message ? body.error->message
                                          : "Switch answered with something that is no answer");
}

static void broke_off(struct chat_turn *t, int result, const struct error *err)
{
    const char *why = err && err->text[0] ? err->text : error_describe(result);
    if (result == VX11_ETIMEOUT)
        turn_fail(t, 504, "upstream_timeout", "the answer did not come in time");
    else if (result == VX11_EUNAVAILABLE && t->status == 0)
        turn_fail(t, 503, "switch_unavailable", "Switch cannot be reached: %s", why);
    else
        turn_fail(t, 502, "upstream_broken", "the answer broke off: %s", why);
}

static void round_done(struct chat_turn *t)
{
    take_usage(t);
    if (t->in.failed && !fit_again(t, chat_stream_begun(&t->in) ? "" : t->in.error_code))
        turn_fail(t, 502, t->in.error_code[0] ? t->in.error_code : "upstream_error", "%s", t->in.error_text);
    else if (t->in.failed)
        return;
    else if (!t->in.done)
        turn_fail(t, 502, "upstream_broken", "the answer broke off before its end");
    else if (t->in.call_count > 0 && t->tools)
        loop_begin(t);
    else if (t->in.call_count > 0)
        turn_fail(t, 502, "upstream_broken", "the model called a tool although it was given none");
    else if (!chat_stream_begun(&t->in) && t->text.len == 0 && !t->in.finish_reason[0])
        turn_fail(t, 502, "upstream_broken", "the model said nothing");
    else
        turn_done(t);
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct chat_turn *t = ctx;
    int64_t retry_after = client_call_retry_after(call);
    t->call = NULL;
    t->paused = false;
    if (!t->ended) {
        turn_tell(t);
        if (result != 0)
            broke_off(t, result, err);
        else if (t->status != 200)
            refused(t, retry_after);
        else
            round_done(t);
    }
    turn_release(t);
}

static void on_drain(struct request *r, void *ctx)
{
    struct chat_turn *t = ctx;
    (void)r;
    if (t->paused && t->call) {
        t->paused = false;
        client_resume(t->call);
    }
}

/* ---- asking ---- */

/* What the caller wants besides its body: lost privacy would let it leave this machine. */
int turn_options(struct chat_turn *t, struct client_call_options *out)
{
    static const char *const names[] = {"X-VX11-Priority", "X-VX11-Privacy", "X-VX11-Task-Type",
                                        "X-VX11-Mode", "Cache-Control"};
    module_call_options(t->r, out);
    struct client_header *headers = arena_array(t->a, out->header_count + COUNT_OF(names), sizeof *headers);
    if (!headers)
        return VX11_ENOMEM;
    if (out->header_count > 0)
        memcpy(headers, out->headers, out->header_count * sizeof *headers);
    out->headers = headers;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const char *value = request_header(t->r, names[i]);
        if (value)
            headers[out->header_count++] = (struct client_header){names[i], value};
    }
    return 0;
}

/* Ids of rounds differ, so that each has a decision of its own. */
static void name_request(struct chat_turn *t)
{
    if (t->round == 0)
        snprintf(t->request_id, sizeof t->request_id, "%s", t->answer.id);
    else
        snprintf(t->request_id, sizeof t->request_id, "%s.%lld", t->answer.id, (long long)t->round);
}

void turn_ask(struct chat_turn *t)
{
    static const struct client_events events = {
        .on_headers = on_headers, .on_data = on_data, .on_done = on_done};
    struct client_call_options options;
    struct buf body = BUF_INIT;
    struct error err = {0};
    if (t->reading)
        chat_stream_free(&t->in);
    chat_stream_init(&t->in, (size_t)operator_config(t->c->o)->max_message_bytes);
    t->reading = true;
    t->told_text = t->told_reasoning = 0;
    t->status = 0;
    buf_clear(&t->failure);
    name_request(t);
    int rc = turn_options(t, &options);
    options.request_id = t->request_id;
    if (rc != 0)
        error_set(&err, rc, "out of memory for the request");
    rc = rc ? rc : turn_body(t, &body, &err);
    if (rc == VX11_EUNSUPPORTED || rc == VX11_ETOO_LARGE || rc == VX11_ENOT_FOUND) {
        turn_fail(t,
                  rc == VX11_EUNSUPPORTED ? 415
                  : rc == VX11_ETOO_LARGE ? 413
                                          : 404,
                  rc == VX11_EUNSUPPORTED ? "file_not_supported"
                  : rc == VX11_ETOO_LARGE ? "files_too_large"
                                          : "file_not_found",
                  "%s", err.text);
    } else if (rc != 0) {
        turn_fail(t, 503, "internal_error", "%s", err.text);
    } else {
        rc = client_start(module_client(t->c->o->m), module_peer(t->c->o->m, "switch"), "POST",
                          "/v1/chat/completions", "application/json", body.data, body.len, &options, &events,
                          t, &t->call, &err);
        if (rc == 0) {
            t->pending++;
            request_on_drain(t->r, on_drain, t);
        } else {
            turn_fail(t, 503, "switch_unavailable", "Switch cannot be asked: %s", err.text);
        }
    }
    buf_free(&body);
}
