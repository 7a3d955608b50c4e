/* End: a turn is over. The row first, then what the client is told: who hears of an answer finds it. */
#include "operator/chat/chat_internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

/* Switch writes a request's row within a few milliseconds after its end. */
enum { COST_MS = 12, COST_TRIES = 5 };

void turn_event(struct chat_turn *t, const char *event, const struct contract_message *m, const void *message)
{
    struct buf json = BUF_INIT;
    if (t->r && t->streams && contract_serialize(m, message, &json) == 0)
        (void)request_stream_event(t->r, event, NULL, json.data, json.len);
    buf_free(&json);
}

static double ms_between(uint64_t from, uint64_t to)
{
    return from && to >= from ? (double)(to - from) / 1e6 : -1;
}

static double speed(const struct chat_turn *t)
{
    double ms = ms_between(t->first_ns, t->last_ns);
    if (!t->usage.has_completion_tokens || t->usage.completion_tokens < 2 || ms <= 0 || t->call_count > 0)
        return -1; /* with tools in between, the time is not the model's */
    return (double)(t->usage.completion_tokens - 1) / ms * 1000;
}

static int finish_row(struct chat_turn *t, int status, const struct common_error_body *error,
                      struct error *err)
{
    int rc = buf_append(&t->text, t->in.text.data, t->in.text.len);
    rc = rc ? rc : buf_append(&t->reasoning, t->in.reasoning.data, t->in.reasoning.len);
    if (rc != 0)
        return error_set(err, rc, "out of memory for the answer");
    const struct turn_end end = {
        .status = status,
        .text = t->text.data ? t->text.data : "",
        .len = t->text.len,
        .reasoning = t->reasoning.len > 0 ? t->reasoning.data : NULL, /* it did not say what it thought */
        .reasoning_len = t->reasoning.len,
        .error = error,
        .provider = t->provider,
        .model = t->answered_model,
        .reason = t->reason,
        .request_id = t->request_id[0] ? t->request_id : NULL,
        .finish_reason = t->in.finish_reason[0] ? t->in.finish_reason : NULL,
        .usage = t->has_usage ? &t->usage : NULL,
        .first_token_ms = ms_between(t->began_ns, t->first_ns),
        .total_ms = ms_between(t->began_ns, clock_mono_ns()),
        .tokens_per_second = speed(t),
        .cost = t->cost,
        .history_dropped = (int64_t)t->dropped,
    };
    return turn_finish(t->c->o->sessions, t->answer.id, &end, err);
}

/* ---- telling ---- */

static void tell_error(struct chat_turn *t, int status, const struct common_error_body *body)
{
    struct request *r = t->r;
    const struct common_error message = {.error = (struct common_error_body *)body};
    if (!t->streams) {
        request_fail(r, status, body->code, body->param, "%s", body->message);
        return;
    }
    turn_event(t, "error", &common_error_message, &message);
    request_stream_end(r);
}

static void tell_message(struct chat_turn *t)
{
    struct operator_message m;
    struct error err = {0};
    if (message_get(t->c->o->sessions, t->a, t->session_id, t->answer.id, &m, &err) != 0) {
        const struct common_error_body body = {
            .message = err.text, .type = "api_error", .code = "not_stored", .request_id = request_id(t->r)};
        tell_error(t, 500, &body);
        return;
    }
    turn_event(t, "message", &operator_message_message, &m);
    if (t->streams) {
        request_stream_end(t->r);
        return;
    }
    const struct operator_chat_reply reply = {.session_id = t->session_id,
                                              .response = m.content,
                                              .tool_calls = m.tool_calls_count ? m.tool_calls : NULL,
                                              .tool_calls_count = m.tool_calls_count,
                                              .user_message_id = t->question.id,
                                              .message = &m};
    request_reply(t->r, 200, &operator_chat_reply_message, &reply);
}

/* ---- the end ---- */

static void unlink_turn(struct chat_turn *t)
{
    struct chat_turn **at = &t->c->turns;
    while (*at && *at != t)
        at = &(*at)->next;
    if (*at)
        *at = t->next;
}

static void on_closed(uv_handle_t *h)
{
    turn_release(h->data);
}

static void turn_end(struct chat_turn *t, int message_status, int status,
                     const struct common_error_body *error)
{
    struct error err = {0};
    if (t->ended)
        return;
    t->ended = true;
    loop_cancel(t);
    int rc = finish_row(t, message_status, error, &err);
    sessions_release(t->c->o->sessions, t->session_id);
    metric_add(t->c->outcomes[message_status == OPERATOR_MESSAGE_STATUS_OK       ? 0
                              : message_status == OPERATOR_MESSAGE_STATUS_FAILED ? 1
                                                                                 : 2],
               1);
    if (rc != 0) {
        log_error("chat", "an answer could not be stored", LOG_S("message", t->answer.id),
                  LOG_S("error", err.text));
        const struct common_error_body body = {
            .message = err.text, .type = "api_error", .code = "not_stored", .request_id = request_id(t->r)};
        tell_error(t, rc == VX11_EFULL ? 507 : 500, &body);
    } else if (error) {
        tell_error(t, status, error);
    } else {
        tell_message(t);
    }
    t->r = NULL;
    unlink_turn(t);
    if (t->call)
        client_cancel(t->call);
    uv_close((uv_handle_t *)&t->timer, on_closed);
}

static const char *error_class(int status)
{
    return status == 429                   ? "rate_limit_error"
           : status == 413                 ? "request_too_large"
           : status == 404                 ? "not_found_error"
           : status == 403                 ? "permission_error"
           : status == 503                 ? "overloaded_error"
           : status == 504                 ? "timeout_error"
           : status >= 400 && status < 500 ? "invalid_request_error"
                                           : "api_error";
}

void turn_fail(struct chat_turn *t, int status, const char *code, const char *fmt, ...)
{
    va_list args;
    if (t->ended)
        return;
    va_start(args, fmt);
    const char *text = arena_vprintf(t->a, fmt, args);
    va_end(args);
    const char *id = t->r ? arena_strdup(t->a, request_id(t->r)) : NULL;
    const struct common_error_body body = {
        .message = text ? text : "the turn failed, and there is no memory to say why",
        .type = error_class(status),
        .code = code,
        .request_id = id};
    log_info("chat", "a turn failed", LOG_S("message", t->answer.id), LOG_S("code", code),
             LOG_S("error", body.message));
    turn_end(t, OPERATOR_MESSAGE_STATUS_FAILED, status, &body);
}

void turn_cancel(struct chat_turn *t)
{
    turn_end(t, t->whole ? OPERATOR_MESSAGE_STATUS_OK : OPERATOR_MESSAGE_STATUS_CANCELLED, 200, NULL);
}

/* ---- cost ---- */

struct cost {
    bool known;
    double sum;
    int64_t rows;
};

static int cost_take(void *ctx, const struct store_row *row)
{
    struct cost *c = ctx;
    c->rows = row_int(row, 0);
    c->known = row_int(row, 1) == c->rows;
    c->sum = row_real(row, 2);
    return 0;
}

static void on_timer(uv_timer_t *timer)
{
    turn_cost_timer(timer->data);
}

/* The cost of all rounds is what Switch's rows say; with one missing, or one whose price is not known, there
 * is none. */
void turn_cost_timer(struct chat_turn *t)
{
    struct cost c = {.rows = 0};
    struct error err = {0};
    struct store_value ids[] = {STORE_T(t->answer.id), STORE_T(arena_printf(t->a, "%s.", t->answer.id)),
                                STORE_T(arena_printf(t->a, "%s/", t->answer.id))};
    int rc = store_query(
        module_store(t->c->o->m),
        "SELECT count(*), count(cost_micro), total(cost_micro) / 1e6 FROM decision WHERE outcome = 'ok' AND "
        "(request_id = ?1 OR (request_id > ?2 AND request_id < ?3))",
        ids, COUNT_OF(ids), cost_take, &c, &err);
    bool whole = rc == 0 && c.rows > t->round;
    if (!whole && ++t->cost_tries < COST_TRIES) {
        uv_timer_start(&t->timer, on_timer, (uint64_t)COST_MS << t->cost_tries, 0);
        return;
    }
    t->cost = whole && c.known ? c.sum : -1;
    turn_end(t, OPERATOR_MESSAGE_STATUS_OK, 200, NULL);
}

void turn_done(struct chat_turn *t)
{
    t->whole = true;
    uv_timer_start(&t->timer, on_timer, COST_MS, 0);
}
