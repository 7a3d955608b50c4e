/* Feedback: a thumb is stored whatever becomes of it; `learned` says whether Switch's learner counted it. */
#include "operator/feedback/feedback.h"

#include <string.h>

#include "api/switch_client.h"
#include "base/clock.h"
#include "base/str.h"
#include "operator/sessions/sessions.h"

struct thumb {
    struct operator_ *o;
    struct request *r;
    struct client_call *call;
    struct operator_message message;
};

static void on_cancel(struct request *r, void *ctx, int reason)
{
    struct thumb *x = ctx;
    (void)r, (void)reason;
    if (x->call)
        client_cancel(x->call);
}

static void thumb_store(struct thumb *x, bool learned, const char *reason)
{
    const struct operator_feedback_set *q = request_body(x->r);
    const struct principal *p = request_principal(x->r);
    const struct operator_feedback reply = {
        .rating = q->rating, .note = q->note, .at = clock_wall_ms(), .learned = learned, .reason = reason};
    struct error err = {0};
    struct store_value values[] = {STORE_T(x->message.id),
                                   STORE_D(reply.rating),
                                   STORE_T(reply.note),
                                   STORE_I(reply.at),
                                   STORE_I(learned),
                                   STORE_T(reason),
                                   STORE_T(p && p->name[0] ? p->name : "local")};
    /* What the learner has taken in stays so, also when a later thumb of the same answer does not count
     * again. */
    int rc = store_exec(
        module_store(x->o->m),
        "INSERT INTO operator_feedback (message_id, rating, note, at, learned, reason, by) VALUES (?1, "
        "?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (message_id) DO UPDATE SET rating = ?2, note = ?3, at = "
        "?4, learned = ?5, reason = ?6, by = ?7",
        values, COUNT_OF(values), NULL, &err);
    if (rc != 0)
        session_fail(x->r, &err);
    else
        request_reply(x->r, 200, &operator_feedback_message, &reply);
}

static void on_learned(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct thumb *x = ctx;
    (void)call;
    x->call = NULL;
    if (reply->message) {
        thumb_store(x, true, NULL);
        return;
    }
    const char *text = reply->error.text[0] ? reply->error.text : "Switch did not say";
    thumb_store(x, false,
                arena_printf(request_arena(x->r), "%s%s",
                             reply->result == VX11_EUNAVAILABLE ? "Switch cannot be reached: " : "", text));
}

void feedback_on_put(struct request *r, void *module)
{
    struct operator_ *o = module;
    const struct operator_message_id *p = request_params(r);
    const struct operator_feedback_set *q = request_body(r);
    struct thumb *x = arena_zalloc(request_arena(r), sizeof *x);
    struct client_call_options options;
    struct error err = {0};
    if (!x) {
        request_fail(r, 503, "out_of_memory", NULL, "out of memory");
        return;
    }
    *x = (struct thumb){.o = o, .r = r};
    int rc = message_get(o->sessions, request_arena(r), p->id, p->message_id, &x->message, &err);
    if (rc == 0 && x->message.role != OPERATOR_MESSAGE_ROLE_ASSISTANT)
        rc = error_set(&err, VX11_EINVALID, "only an answer can be rated; message %s is none", x->message.id);
    if (rc != 0) {
        session_fail(r, &err);
        return;
    }
    if (!x->message.request_id) {
        thumb_store(x, false,
                    "Switch was not asked for this answer, or the answer is a copy of another session's");
        return;
    }
    const struct switch_feedback_request ask = {
        .request_id = x->message.request_id, .rating = q->rating, .note = q->note};
    module_call_options(r, &options);
    options.request_id = NULL;
    rc = switch_feedback_call(module_client(o->m), module_peer(o->m, "switch"), &ask, &options, on_learned, x,
                              &x->call);
    if (rc != 0)
        thumb_store(x, false, "Switch could not be asked");
    else
        request_on_cancel(r, on_cancel, x);
}

void feedback_on_delete(struct request *r, void *module)
{
    struct operator_ *o = module;
    const struct operator_message_id *p = request_params(r);
    struct operator_message message;
    struct error err = {0};
    int rc = message_get(o->sessions, request_arena(r), p->id, p->message_id, &message, &err);
    rc = rc ? rc
            : store_exec(module_store(o->m), "DELETE FROM operator_feedback WHERE message_id = ?1",
                         (struct store_value[]){STORE_T(p->message_id)}, 1, NULL, &err);
    if (rc != 0)
        session_fail(r, &err);
    else
        request_reply_empty(r, 204);
}

/* ---- what did not come through the chat ---- */

static void on_recorded(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct thumb *x = ctx;
    (void)call;
    x->call = NULL;
    if (reply->message)
        request_reply(x->r, 200, &switch_record_reply_message, reply->message);
    else if (reply->result == 0 && reply->status >= 400)
        request_fail(x->r, reply->status, reply->error_code[0] ? reply->error_code : "switch_refused", NULL,
                     "%s", reply->error.text);
    else
        request_fail(x->r,
                     reply->result == VX11_ETIMEOUT       ? 504
                     : reply->result == VX11_EUNAVAILABLE ? 503
                                                          : 502,
                     "switch_unavailable", NULL, "Switch was not told: %s", reply->error.text);
}

void feedback_on_switch(struct request *r, void *module)
{
    struct operator_ *o = module;
    const struct operator_switch_feedback *q = request_body(r);
    struct thumb *x = arena_zalloc(request_arena(r), sizeof *x);
    struct client_call_options options;
    if (!x) {
        request_fail(r, 503, "out_of_memory", NULL, "out of memory");
        return;
    }
    *x = (struct thumb){.o = o, .r = r};
    const struct switch_record_result ask = {.engine = q->engine,
                                             .success = q->success,
                                             .latency_ms = q->latency_ms,
                                             .has_tokens = q->has_tokens_used,
                                             .tokens = q->tokens_used};
    module_call_options(r, &options);
    int rc = switch_record_result_call(module_client(o->m), module_peer(o->m, "switch"), &ask, &options,
                                       on_recorded, x, &x->call);
    if (rc != 0)
        request_fail(r, 503, "switch_unavailable", NULL, "Switch could not be asked: %s", error_describe(rc));
    else
        request_on_cancel(r, on_cancel, x);
}
