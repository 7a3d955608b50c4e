/* Loop: the model called tools. Each call gets a row; reads run at once, others wait for a person; when all
 * have ended the model is asked again with what came of them. */
#include "operator/chat/chat_internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "store/ledger/ledger.h"

static void loop_next(struct chat_turn *t);

static void show(struct chat_turn *t, const struct chat_call *k)
{
    struct operator_tool_call call;
    struct error err = {0};
    if (tool_row_get(t->c->o, t->a, k->row.id, &call, &err) == 0)
        turn_event(t, "tool_call", &operator_tool_call_message, &call);
}

static void change(struct chat_call *k)
{
    struct error err = {0};
    if (tool_row_change(k->turn->c->o, &k->row, &err) != 0)
        log_error("chat", "the row of a tool call was not changed", LOG_S("id", k->row.id),
                  LOG_S("error", err.text));
    show(k->turn, k);
}

static void call_end(struct chat_call *k, int status, const char *result, const char *error)
{
    struct chat_turn *t = k->turn;
    k->run = NULL;
    k->row.status = status;
    k->row.result = result;
    k->row.error = error;
    k->row.ended_at = clock_wall_ms();
    if (k->began_ns)
        k->row.duration_ms = (double)(clock_mono_ns() - k->began_ns) / 1e6;
    const char *said =
        status == OPERATOR_TOOL_CALL_STATUS_REFUSED ? "The person refused this call: " : "The call failed: ";
    k->told = result ? result : arena_printf(t->a, "%s%s", said, error ? error : "no reason was given");
    metric_add(t->c->tool_outcomes[status], 1);
    change(k);
}

static void on_result(void *ctx, const char *result, size_t len, const struct error *err)
{
    struct chat_call *k = ctx;
    struct chat_turn *t = k->turn;
    const char *copy = result ? arena_strndup(t->a, result, len) : NULL;
    if (copy)
        call_end(k, OPERATOR_TOOL_CALL_STATUS_DONE, copy, NULL);
    else
        call_end(k, OPERATOR_TOOL_CALL_STATUS_FAILED, NULL,
                 arena_strdup(t->a, err ? err->text : "out of memory"));
    loop_next(t);
}

static void call_run(struct chat_call *k)
{
    struct chat_turn *t = k->turn;
    const struct config_operator_chat *config = chat_config(t->c);
    struct error err = {0};
    k->row.status = OPERATOR_TOOL_CALL_STATUS_RUNNING;
    k->row.started_at = clock_wall_ms();
    k->began_ns = clock_mono_ns();
    const struct tool_wish wish = {.o = t->c->o,
                                   .tool = k->tool,
                                   .args = k->args,
                                   .r = t->r,
                                   .session_id = t->session_id,
                                   .timeout_ms = config->tool_timeout_ms,
                                   .most = (size_t)config->tool_result_bytes,
                                   .fn = on_result,
                                   .ctx = k};
    if (tool_start(&wish, &k->run, &err) == 0)
        change(k);
    else
        call_end(k, OPERATOR_TOOL_CALL_STATUS_FAILED, NULL, arena_strdup(t->a, err.text));
}

/* ---- a round ---- */

static int call_make(struct chat_turn *t, struct stream_call *from, struct chat_call *k, struct error *err)
{
    char reason[400];
    const char *text = from->arguments.len ? from->arguments.data : "{}";
    const char *copy = arena_strdup(t->a, text);
    const char *name = arena_strdup(t->a, from->name.len ? from->name.data : "?");
    char *id = arena_alloc(t->a, ULID_LEN + 1);
    if (!copy || !name || !id)
        return error_set(err, VX11_ENOMEM, "out of memory for a tool call");
    *k = (struct chat_call){.turn = t, .tool = tool_find(name)};
    bool json = contract_json_parse(t->a, copy, strlen(copy), NULL, &k->args, NULL) == 0;
    const char *call_id = from->id.len ? arena_strdup(t->a, from->id.data) : id;
    struct buf quoted = BUF_INIT; /* what is no JSON is kept as the text that it is */
    if (!json && buf_put_json_string(&quoted, text, strlen(text)) == 0)
        copy = arena_strdup(t->a, quoted.data);
    else if (json)
        copy = arena_strdup(t->a, text);
    buf_free(&quoted);
    k->row = (struct tool_row){
        .id = ulid_make(id),
        .message_id = t->answer.id,
        .call_id = call_id,
        .name = arena_strndup(t->a, name, utf8_valid_prefix(name, strlen(name) < 64 ? strlen(name) : 64)),
        .round = t->round,
        .arguments = copy,
        .mutating = k->tool && k->tool->mutating,
        .status = OPERATOR_TOOL_CALL_STATUS_RUNNING,
        .created_at = clock_wall_ms(),
        .duration_ms = -1};
    int rc = 0;
    if (!k->tool)
        rc = error_set(err, VX11_EINVALID, "there is no tool named %.64s", name);
    else if (!tool_available(t->c->o, k->tool, reason))
        rc = error_set(err, VX11_EINVALID, "%s", reason);
    else if (!json)
        rc = error_set(err, VX11_EINVALID, "the arguments are no JSON");
    else
        rc = tool_check(k->tool, k->args, err);
    return rc;
}

static int call_add(struct chat_turn *t, struct stream_call *from, struct error *fatal)
{
    struct chat_call *k = &t->calls[t->call_count];
    struct error err = {0};
    int rc = call_make(t, from, k, &err);
    if (rc != 0 && rc != VX11_EINVALID) {
        *fatal = err;
        return rc;
    }
    bool waits = rc == 0 && k->tool->mutating;
    if (waits) {
        k->row.status = OPERATOR_TOOL_CALL_STATUS_WAITING;
        k->waits_until = clock_mono_ms() + chat_config(t->c)->confirm_timeout_ms;
    }
    int added = tool_row_add(t->c->o, &k->row, fatal);
    if (added != 0)
        return added;
    t->call_count++;
    if (rc != 0)
        call_end(k, OPERATOR_TOOL_CALL_STATUS_FAILED, NULL, arena_strdup(t->a, err.text));
    else if (waits)
        show(t, k);
    else
        call_run(k);
    return 0;
}

/* Memory for all calls of a turn at once, so that pointers to them stay. */
static int calls_reserve(struct chat_turn *t)
{
    if (t->calls)
        return 0;
    t->call_size = STREAM_CALLS * (size_t)chat_config(t->c)->tool_rounds;
    t->calls = arena_array(t->a, t->call_size, sizeof *t->calls);
    return t->calls ? 0 : VX11_ENOMEM;
}

void loop_begin(struct chat_turn *t)
{
    struct error err = {0};
    if (t->round >= chat_config(t->c)->tool_rounds) {
        turn_fail(t, 502, "too_many_tool_rounds",
                  "the model called tools %lld times and still gave no answer", (long long)t->round);
        return;
    }
    t->round_first = t->call_count;
    if (calls_reserve(t) != 0 || t->call_count + t->in.call_count > t->call_size) {
        turn_fail(t, 502, "too_many_tool_calls", "the model called too many tools");
        return;
    }
    for (size_t i = 0; i < t->in.call_count && !t->ended; i++)
        if (call_add(t, &t->in.calls[i], &err) != 0) {
            turn_fail(t, 500, "not_stored", "a tool call could not be stored: %s", err.text);
            return;
        }
    loop_next(t);
}

/* ---- the next round ---- */

static bool add_call(struct chat_turn *t, yyjson_mut_val *list, const struct chat_call *k,
                     struct stream_call *from)
{
    yyjson_mut_val *call = yyjson_mut_arr_add_obj(t->doc, list), *function = yyjson_mut_obj(t->doc);
    return call && function && yyjson_mut_obj_add_str(t->doc, call, "id", k->row.call_id) &&
           yyjson_mut_obj_add_str(t->doc, call, "type", "function") &&
           yyjson_mut_obj_add_val(t->doc, call, "function", function) &&
           yyjson_mut_obj_add_str(t->doc, function, "name", k->row.name) &&
           yyjson_mut_obj_add_strcpy(t->doc, function, "arguments",
                                     from->arguments.len ? from->arguments.data : "{}");
}

static bool add_round(struct chat_turn *t)
{
    if (!t->doc) {
        t->doc = yyjson_mut_doc_new(NULL);
        t->rounds = t->doc ? yyjson_mut_arr(t->doc) : NULL;
    }
    yyjson_mut_val *m = t->rounds ? yyjson_mut_arr_add_obj(t->doc, t->rounds) : NULL;
    if (!m || !yyjson_mut_obj_add_str(t->doc, m, "role", "assistant") ||
        !yyjson_mut_obj_add_strcpy(t->doc, m, "content", t->in.text.len ? t->in.text.data : ""))
        return false;
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(t->doc, m, "tool_calls");
    bool ok = list != NULL;
    for (size_t i = t->round_first; ok && i < t->call_count; i++)
        ok = add_call(t, list, &t->calls[i], &t->in.calls[i - t->round_first]);
    for (size_t i = t->round_first; ok && i < t->call_count; i++) {
        yyjson_mut_val *result = yyjson_mut_arr_add_obj(t->doc, t->rounds);
        ok = result && yyjson_mut_obj_add_str(t->doc, result, "role", "tool") &&
             yyjson_mut_obj_add_str(t->doc, result, "tool_call_id", t->calls[i].row.call_id) &&
             yyjson_mut_obj_add_str(t->doc, result, "content", t->calls[i].told ? t->calls[i].told : "");
    }
    return ok;
}

static void on_timer(uv_timer_t *timer)
{
    loop_timer(timer->data);
}

static void loop_next(struct chat_turn *t)
{
    int64_t until = INT64_MAX;
    bool open = false;
    if (t->ended)
        return;
    for (size_t i = t->round_first; i < t->call_count; i++) {
        const struct chat_call *k = &t->calls[i];
        bool waits = k->row.status == OPERATOR_TOOL_CALL_STATUS_WAITING;
        open |= waits || k->row.status == OPERATOR_TOOL_CALL_STATUS_RUNNING;
        if (waits && k->waits_until < until)
            until = k->waits_until;
    }
    uv_timer_stop(&t->timer);
    if (until != INT64_MAX) {
        int64_t left = until - clock_mono_ms();
        uv_update_time(module_loop(t->c->o->m));
        uv_timer_start(&t->timer, on_timer, (uint64_t)(left > 0 ? left : 0), 0);
    }
    if (open)
        return;
    if (!add_round(t) || buf_append(&t->text, t->in.text.data, t->in.text.len) != 0 ||
        buf_append(&t->reasoning, t->in.reasoning.data, t->in.reasoning.len) != 0) {
        turn_fail(t, 503, "out_of_memory", "out of memory for the results of tools");
        return;
    }
    t->round++;
    turn_ask(t);
}

void loop_timer(struct chat_turn *t)
{
    const int64_t now = clock_mono_ms();
    for (size_t i = t->round_first; i < t->call_count; i++)
        if (t->calls[i].row.status == OPERATOR_TOOL_CALL_STATUS_WAITING && t->calls[i].waits_until <= now)
            call_end(&t->calls[i], OPERATOR_TOOL_CALL_STATUS_REFUSED, NULL, "nobody confirmed it in time");
    loop_next(t);
}

/* The turn ends: what is open ends with it. */
void loop_cancel(struct chat_turn *t)
{
    uv_timer_stop(&t->timer);
    for (size_t i = 0; i < t->call_count; i++) {
        struct chat_call *k = &t->calls[i];
        if (k->row.status != OPERATOR_TOOL_CALL_STATUS_WAITING &&
            k->row.status != OPERATOR_TOOL_CALL_STATUS_RUNNING)
            continue;
        if (k->run)
            tool_cancel(k->run);
        call_end(k, OPERATOR_TOOL_CALL_STATUS_CANCELLED, NULL, "its turn ended before");
    }
}

/* ---- a person decides ---- */

static struct chat_call *find_call(struct chat *c, const char *id)
{
    for (struct chat_turn *t = c->turns; t; t = t->next)
        for (size_t i = 0; i < t->call_count; i++)
            if (str_eq(t->calls[i].row.id, id))
                return &t->calls[i];
    return NULL;
}

void chat_on_decision(struct request *r, void *module)
{
    struct operator_ *o = module;
    const struct operator_tool_call_id *p = request_params(r);
    const struct operator_tool_decision *q = request_body(r);
    const struct principal *who = request_principal(r);
    struct chat_call *k = find_call(o->chat, p->id);
    struct operator_tool_call call;
    struct error err = {0};
    if (k && k->row.status == OPERATOR_TOOL_CALL_STATUS_WAITING) {
        struct chat_turn *t = k->turn;
        const char *by = who && who->name[0] ? who->name : "local";
        /* What is not in the ledger is not done. */
        if (ledger_note(module_store(o->m), q->approve ? "confirmation.given" : "confirmation.refused", by,
                        k->row.name, &err, "call", k->row.id, NULL) != 0) {
            session_fail(r, &err);
            return;
        }
        k->row.confirmed_by = arena_strdup(t->a, by);
        if (q->approve)
            call_run(k);
        else
            call_end(k, OPERATOR_TOOL_CALL_STATUS_REFUSED, NULL,
                     arena_strdup(t->a, q->reason && q->reason[0] ? q->reason : "no reason was given"));
        k = NULL;
        if (tool_row_get(o, request_arena(r), p->id, &call, &err) != 0)
            session_fail(r, &err);
        else
            request_reply(r, 200, &operator_tool_call_message, &call);
        loop_next(t);
        return;
    }
    if (tool_row_get(o, request_arena(r), p->id, &call, &err) != 0)
        session_fail(r, &err);
    else
        request_fail(r, 409, "not_waiting", NULL, "the call is %s; nobody waits for a decision",
                     operator_tool_call_status_names[call.status]);
}
