/* Chat: a turn begins. What the person said is on the disk before anybody is asked. */
#include "operator/chat/chat_internal.h"

#include <stdlib.h>
#include <string.h>

#include "api/hermes_client.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tokens.h"

enum { KNOWN_MS = 10000, LOOKUP_MS = 2000 };

const struct config_operator_chat *chat_config(const struct chat *c)
{
    return operator_config(c->o)->chat;
}

int chat_create(struct operator_ *o, struct chat **out, struct error *err)
{
    static const char *const outcomes[] = {"outcome=\"ok\"", "outcome=\"failed\"", "outcome=\"cancelled\"",
                                           "outcome=\"refused\""};
    struct chat *c = calloc(1, sizeof *c);
    if (!c)
        return error_set(err, VX11_ENOMEM, "out of memory");
    struct metrics *m = module_metrics(o->m);
    c->o = o;
    bool ok = (c->first_token = metrics_get(m, METRIC_HISTOGRAM, "vx11_chat_first_token_seconds", NULL,
                                            "From a person's question to the first token.")) != NULL;
    for (size_t i = 0; i < COUNT_OF(outcomes); i++)
        ok = ok && (c->outcomes[i] = metrics_get(m, METRIC_COUNTER, "vx11_chat_turns_total", outcomes[i],
                                                 "Turns of chats, by how they ended."));
    for (size_t i = 0; i < COUNT_OF(c->tool_outcomes); i++) {
        struct buf label = BUF_INIT;
        buf_printf(&label, "status=\"%s\"", operator_tool_call_status_names[i]);
        ok = ok && !label.failed &&
             (c->tool_outcomes[i] = metrics_get(m, METRIC_COUNTER, "vx11_chat_tool_calls_total", label.data,
                                                "Calls of tools by models, by how they ended."));
        buf_free(&label);
    }
    int rc = ok ? tool_rows_recover(o, err) : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0)
        *out = c;
    else
        free(c);
    return rc;
}

static void known_free(struct chat *c)
{
    for (size_t i = 0; i < c->known_count; i++)
        free(c->known[i].model);
    free(c->known);
    c->known = NULL;
    c->known_count = 0;
}

void chat_stopping(struct chat *c)
{
    while (c && c->turns)
        turn_cancel(c->turns);
}

void chat_free(struct chat *c)
{
    if (c)
        known_free(c);
    free(c);
}

struct chat_turn *chat_find(struct chat *c, const char *session_id)
{
    for (struct chat_turn *t = c->turns; t; t = t->next)
        if (strcmp(t->session_id, session_id) == 0)
            return t;
    return NULL;
}

void turn_release(struct chat_turn *t)
{
    if (--t->pending > 0)
        return;
    if (t->reading)
        chat_stream_free(&t->in);
    buf_free(&t->failure);
    buf_free(&t->text);
    buf_free(&t->reasoning);
    yyjson_mut_doc_free(t->doc);
    arena_destroy(t->a);
    free(t);
}

/* ---- what fits ---- */

/* Context of the model that is asked for by name; 0: not known, or nobody knows yet who will answer. */
static int64_t context_of(const struct chat *c, const char *model)
{
    const struct config_switch *config = module_config(c->o->m)->values->switch_;
    for (size_t i = 0; model && i < c->known_count; i++) {
        const char *bare = str_starts(model, "local/") ? model + 6 : model;
        if (strcmp(c->known[i].model, bare) == 0)
            return c->known[i].context;
    }
    for (size_t i = 0; model && i < config->providers_count; i++) {
        const struct config_provider *p = &config->providers[i];
        size_t len = strlen(p->name);
        const char *bare = strncmp(model, p->name, len) == 0 && model[len] == '/' ? model + len + 1 : model;
        for (size_t k = 0; k < p->model_info_count; k++)
            if (p->model_info[k].has_context && str_eq(p->model_info[k].model, bare))
                return p->model_info[k].context;
    }
    return 0;
}

static int64_t message_tokens(const struct operator_message *m)
{
    int64_t n = TOKENS_OF_MESSAGE + tokens_estimate_text(m->content, strlen(m->content));
    for (size_t i = 0; i < m->attachments_count; i++)
        n +=
            m->attachments[i].kind == OPERATOR_FILE_KIND_TEXT ? m->attachments[i].bytes / 3 : TOKENS_OF_IMAGE;
    return n;
}

/* The estimate errs on the high side, so a question that it puts a little over the context is left to the
 * model to judge; one that is far over is not sent. */
static void turn_fit(struct chat_turn *t)
{
    int64_t context = context_of(t->c, t->model);
    int64_t question = message_tokens(&t->question);
    if (t->system)
        question += TOKENS_OF_MESSAGE + tokens_estimate_text(t->system, strlen(t->system));
    for (size_t i = 0; i < t->history_count; i++)
        t->fit[i] = (struct fit_message){message_tokens(&t->history[i]),
                                         t->history[i].role == OPERATOR_MESSAGE_ROLE_USER};
    if (context > 0 && question > 2 * context) {
        turn_fail(t, 413, "context_exceeded",
                  "the question has about %lld tokens, and the model's context is %lld", (long long)question,
                  (long long)context);
        return;
    }
    int64_t room = context > 0 ? fit_room(context, question, t->max_tokens) : INT64_MAX;
    t->dropped = fit_drop(t->fit, t->history_count, room < 0 ? 0 : room);
    turn_ask(t);
}

static void known_take(struct chat *c, const struct hermes_model_list *list)
{
    struct chat_known *known = calloc(list->models_count + 1, sizeof *known);
    if (!known)
        return; /* what was known stays */
    known_free(c);
    c->known = known;
    c->known_at = clock_mono_ms();
    for (size_t i = 0; i < list->models_count; i++) {
        const struct hermes_model *m = &list->models[i];
        if (!m->has_context_length || !(known[c->known_count].model = strdup(m->name)))
            continue;
        known[c->known_count++].context = m->context_length;
    }
}

static void on_known(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct chat_turn *t = ctx;
    (void)call;
    t->call = NULL;
    if (reply->message)
        known_take(t->c, reply->message);
    if (!t->ended)
        turn_fit(t); /* without Hermes the model itself is the judge */
    turn_release(t);
}

static void turn_look_up(struct chat_turn *t)
{
    struct client_call_options options = {.deadline_ms = clock_mono_ms() + LOOKUP_MS,
                                          .trace = request_trace(t->r)};
    bool fresh = t->c->known_at > 0 && clock_mono_ms() - t->c->known_at < KNOWN_MS;
    if (fresh || t->history_count == 0 || !t->model ||
        hermes_models_list_call(module_client(t->c->o->m), module_peer(t->c->o->m, "hermes"), &options,
                                on_known, t, &t->call) != 0)
        turn_fit(t);
    else
        t->pending++;
}

/* ---- a turn begins ---- */

static void on_cancel(struct request *r, void *ctx, int reason)
{
    struct chat_turn *t = ctx;
    (void)r;
    if (reason == VX11_ETIMEOUT && !t->whole)
        turn_fail(t, 504, "deadline", "the answer did not come within the caller's time");
    else
        turn_cancel(t);
}

static struct chat_turn *turn_make(struct chat *c, struct request *r, bool streams)
{
    struct chat_turn *t = calloc(1, sizeof *t);
    struct arena *a = t ? arena_create(0) : NULL;
    if (!a) {
        free(t);
        request_fail(r, 503, "out_of_memory", NULL, "out of memory");
        return NULL;
    }
    *t = (struct chat_turn){.c = c,
                            .a = a,
                            .r = r,
                            .streams = streams,
                            .temperature = -1,
                            .cost = -1,
                            .pending = 1,
                            .began_ns = clock_mono_ns(),
                            .kept_at = clock_mono_ms()};
    return t;
}

/* Nothing of it was stored. */
static void turn_refuse(struct chat_turn *t, const struct error *err)
{
    metric_add(t->c->outcomes[3], 1);
    if (err->code == VX11_EBUSY)
        request_fail(t->r, 409, "session_busy", NULL, "%s", err->text);
    else
        session_fail(t->r, err);
    turn_release(t);
}

static int turn_history(struct chat_turn *t, int64_t most, struct error *err)
{
    int rc = session_history(t->c->o->sessions, t->a, t->session_id, t->question.seq, (size_t)most,
                             &t->history, &t->history_count, err);
    if (rc == 0 && !(t->fit = arena_array(t->a, t->history_count + 1, sizeof *t->fit)))
        rc = error_set(err, VX11_ENOMEM, "out of memory");
    return rc;
}

/* Both rows are there. From here on every end goes through turn_end. */
static void turn_run(struct chat_turn *t, int64_t history, yyjson_val *own, const char *summary)
{
    struct error err = {0};
    struct operator_session session;
    t->next = t->c->turns;
    t->c->turns = t;
    uv_timer_init(module_loop(t->c->o->m), &t->timer);
    t->timer.data = t;
    request_on_cancel(t->r, on_cancel, t);
    int rc = session_get(t->c->o->sessions, t->a, t->session_id, &session, &err);
    if (rc == 0 && t->streams) {
        const struct operator_chat_turn turn = {&session, &t->question, &t->answer};
        request_stream_backpressure(t->r);
        if (request_stream_begin(t->r, 200, NULL) == 0)
            turn_event(t, "turn", &operator_chat_turn_message, &turn);
    }
    rc = rc ? rc : turn_history(t, history, &err);
    t->metadata = rc == 0 ? turn_metadata(t, own, summary) : NULL;
    if (rc != 0 || !t->metadata)
        turn_fail(t, 500, "internal_error", "%s", rc ? err.text : "out of memory");
    else if (!t->ended)
        turn_look_up(t);
}

static const char *copy(struct chat_turn *t, const char *text)
{
    return text && text[0] ? arena_strdup(t->a, text) : NULL;
}

static int question_begin(struct chat_turn *t, const struct operator_chat_request *q, struct error *err)
{
    struct buf metadata = BUF_INIT;
    if (q->metadata && contract_json_write(q->metadata, &metadata) != 0)
        return error_set(err, VX11_ENOMEM, "out of memory");
    const struct turn_question question = {.session_id = t->session_id,
                                           .text = q->message,
                                           .len = strlen(q->message),
                                           .attachments = q->attachments,
                                           .attachment_count = q->attachments_count,
                                           .metadata = metadata.data,
                                           .replaces = q->replaces && q->replaces[0] ? q->replaces : NULL,
                                           .requested_model = t->model};
    int rc = turn_begin(t->c->o->sessions, t->a, &question, &t->question, &t->answer, err);
    buf_free(&metadata);
    return rc;
}

static int session_find(struct chat_turn *t, const struct operator_chat_request *q, struct error *err)
{
    struct operator_session s;
    const struct session_new n = {.model = q->model, .source = q->source, .user_id = q->user_id};
    bool old = q->session_id && q->session_id[0];
    int rc = old ? session_get(t->c->o->sessions, t->a, q->session_id, &s, err)
                 : session_new(t->c->o->sessions, t->a, &n, &s, err);
    if (rc != 0)
        return rc;
    memcpy(t->session_id, s.id, sizeof t->session_id);
    t->model = copy(t, q->model && q->model[0] ? q->model : s.model);
    return sessions_hold(t->c->o->sessions, t->session_id, err);
}

void chat_on_post(struct request *r, void *module)
{
    struct operator_ *o = module;
    const struct operator_chat_request *q = request_body(r);
    struct error err = {0};
    if (q->metadata && !yyjson_is_obj(q->metadata)) {
        request_fail(r, 422, "invalid_value", "/metadata", "metadata must be an object");
        return;
    }
    struct chat_turn *t = turn_make(o->chat, r, q->stream);
    if (!t)
        return;
    int rc = session_find(t, q, &err);
    bool held = rc == 0;
    t->system = copy(t, q->system);
    t->tools = q->tools;
    t->temperature = q->has_temperature ? q->temperature : -1;
    t->max_tokens = q->has_max_tokens ? q->max_tokens : 0;
    rc = rc ? rc : question_begin(t, q, &err);
    if (rc != 0) {
        if (held)
            sessions_release(o->sessions, t->session_id);
        turn_refuse(t, &err);
        return;
    }
    turn_run(t, q->has_history ? q->history : operator_config(o)->history, q->metadata, q->context_summary);
}

void chat_on_retry(struct request *r, void *module)
{
    struct operator_ *o = module;
    const struct operator_message_id *p = request_params(r);
    const struct operator_retry_request *q = request_body(r);
    struct operator_session session;
    struct error err = {0};
    struct chat_turn *t = turn_make(o->chat, r, q->stream);
    if (!t)
        return;
    int rc = session_get(o->sessions, t->a, p->id, &session, &err);
    rc = rc ? rc : sessions_hold(o->sessions, p->id, &err);
    bool held = rc == 0;
    if (held) {
        memcpy(t->session_id, session.id, sizeof t->session_id);
        t->model = copy(t, q->model && q->model[0] ? q->model : session.model);
        t->tools = q->tools;
        t->temperature = q->has_temperature ? q->temperature : -1;
        t->max_tokens = q->has_max_tokens ? q->max_tokens : 0;
        rc = turn_again(o->sessions, t->a, p->id, p->message_id, t->model, &t->question, &t->answer, &err);
    }
    if (rc != 0) {
        if (held)
            sessions_release(o->sessions, p->id);
        turn_refuse(t, &err);
        return;
    }
    turn_run(t, operator_config(o)->history, t->question.metadata, NULL);
}

void chat_on_stop(struct request *r, void *module)
{
    struct operator_ *o = module;
    const struct operator_session_id *p = request_params(r);
    struct operator_session session;
    struct error err = {0};
    if (session_get(o->sessions, request_arena(r), p->id, &session, &err) != 0) {
        session_fail(r, &err);
        return;
    }
    struct chat_turn *t = chat_find(o->chat, p->id);
    const struct operator_stop_reply reply = {.stopped = t != NULL};
    if (t)
        turn_cancel(t);
    request_reply(r, 200, &operator_stop_reply_message, &reply);
}
