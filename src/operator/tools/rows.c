/* Rows of operator_tool_call, and the routes that show and take them. Rare, small writes: on the loop, so
 * that who hears of a call finds it. */
#include "operator/tools/tools.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/ulid.h"
#include "operator/sessions/sessions.h"

enum { RESULT_MOST = 256 << 10 };

static struct store_value time_or_null(int64_t at)
{
    return at > 0 ? STORE_I(at) : STORE_N;
}

int tool_row_add(struct operator_ *o, const struct tool_row *t, struct error *err)
{
    struct store_value values[] = {
        STORE_T(t->id),
        STORE_T(t->message_id),
        STORE_T(t->call_id),
        STORE_I(t->round),
        STORE_T(t->name),
        STORE_T(t->arguments),
        STORE_I(t->mutating),
        STORE_T(operator_tool_call_status_names[t->status]),
        STORE_T(t->result),
        STORE_T(t->error),
        STORE_I(t->created_at),
        time_or_null(t->started_at),
        time_or_null(t->ended_at),
        t->duration_ms >= 0 ? STORE_D(t->duration_ms) : STORE_N,
    };
    return store_exec(
        module_store(o->m),
        "INSERT INTO operator_tool_call (id, message_id, call_id, round, name, arguments, mutating, "
        "status, result, error, created_at, started_at, ended_at, duration_ms) VALUES (?1, ?2, ?3, ?4, "
        "?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        values, COUNT_OF(values), NULL, err);
}

int tool_row_change(struct operator_ *o, const struct tool_row *t, struct error *err)
{
    struct store_value values[] = {
        STORE_T(t->id),
        STORE_T(operator_tool_call_status_names[t->status]),
        STORE_T(t->result),
        STORE_T(t->error),
        STORE_T(t->confirmed_by),
        time_or_null(t->started_at),
        time_or_null(t->ended_at),
        t->duration_ms >= 0 ? STORE_D(t->duration_ms) : STORE_N,
    };
    return store_exec(
        module_store(o->m),
        "UPDATE operator_tool_call SET status = ?2, result = ?3, error = ?4, confirmed_by = ?5, "
        "started_at = ?6, ended_at = ?7, duration_ms = ?8 WHERE id = ?1",
        values, COUNT_OF(values), NULL, err);
}

int tool_rows_recover(struct operator_ *o, struct error *err)
{
    return store_exec(
        module_store(o->m),
        "UPDATE operator_tool_call SET status = 'cancelled', ended_at = ?1, error = 'the operator ended "
        "before it' WHERE status IN ('waiting', 'running')",
        (struct store_value[]){STORE_I(clock_wall_ms())}, 1, NULL, err);
}

/* ---- one ---- */

struct one {
    struct arena *a;
    struct operator_tool_call *out;
    bool found, failed;
};

static const char *copy_text(struct one *x, const struct store_row *row, int column)
{
    const char *text = row_text(row, column);
    const char *copy = text ? arena_strdup(x->a, text) : NULL;
    x->failed |= text && !copy;
    return copy;
}

static yyjson_val *copy_json(struct one *x, const struct store_row *row, int column)
{
    const char *text = copy_text(x, row, column);
    yyjson_val *value = NULL;
    if (text && contract_json_parse(x->a, text, strlen(text), NULL, &value, NULL) != 0)
        return NULL;
    return value;
}

static int one_take(void *ctx, const struct store_row *row)
{
    struct one *x = ctx;
    struct operator_tool_call *c = x->out;
    const char *status = row_text(row, 6);
    *c = (struct operator_tool_call){.id = copy_text(x, row, 0),
                                     .session_id = copy_text(x, row, 1),
                                     .message_id = copy_text(x, row, 2),
                                     .name = copy_text(x, row, 3),
                                     .arguments = copy_json(x, row, 4),
                                     .mutating = row_int(row, 5) != 0,
                                     .result = copy_json(x, row, 7),
                                     .error = copy_text(x, row, 8),
                                     .confirmed_by = copy_text(x, row, 9),
                                     .created_at = row_int(row, 10),
                                     .has_started_at = !row_is_null(row, 11),
                                     .started_at = row_int(row, 11),
                                     .has_ended_at = !row_is_null(row, 12),
                                     .ended_at = row_int(row, 12),
                                     .has_duration_ms = !row_is_null(row, 13),
                                     .duration_ms = row_real(row, 13)};
    for (size_t i = 0; i < COUNT_OF(operator_tool_call_status_names); i++)
        if (str_eq(operator_tool_call_status_names[i], status))
            c->status = (int)i;
    x->found = true;
    return x->failed ? VX11_ENOMEM : 0;
}

int tool_row_get(struct operator_ *o, struct arena *a, const char *id, struct operator_tool_call *out,
                 struct error *err)
{
    struct one x = {.a = a, .out = out};
    int rc = store_query(
        module_store(o->m),
        "SELECT t.id, m.session_id, t.message_id, t.name, t.arguments, t.mutating, t.status, t.result, "
        "t.error, t.confirmed_by, t.created_at, t.started_at, t.ended_at, t.duration_ms FROM "
        "operator_tool_call AS t JOIN operator_message AS m ON m.id = t.message_id WHERE t.id = ?1",
        (struct store_value[]){STORE_T(id)}, 1, one_take, &x, err);
    if (rc == 0 && !x.found)
        rc = error_set(err, VX11_ENOT_FOUND, "there is no tool call %.64s", id);
    return rc;
}

static void reply_one(struct request *r, struct operator_ *o, const char *id, int status)
{
    struct operator_tool_call call;
    struct error err = {0};
    if (tool_row_get(o, request_arena(r), id, &call, &err) != 0)
        session_fail(r, &err);
    else
        request_reply(r, status, &operator_tool_call_message, &call);
}

void tools_on_get(struct request *r, void *module)
{
    const struct operator_tool_call_id *p = request_params(r);
    reply_one(r, module, p->id, 200);
}

void tools_on_record(struct request *r, void *module)
{
    struct operator_ *o = module;
    const struct operator_tool_record *q = request_body(r);
    struct operator_message message;
    struct error err = {0};
    struct buf result = BUF_INIT;
    char id[ULID_LEN + 1];
    const int64_t now = clock_wall_ms();
    const bool done = q->status == OPERATOR_TOOL_RECORD_STATUS_DONE;
    int rc = message_get(o->sessions, request_arena(r), NULL, q->message_id, &message, &err);
    if (rc == 0 && message.role != OPERATOR_MESSAGE_ROLE_ASSISTANT)
        rc = error_set(&err, VX11_EINVALID, "only an answer has tool calls; message %s is none", message.id);
    if (rc == 0 && q->result && contract_json_write(q->result, &result) != 0)
        rc = error_set(&err, VX11_ENOMEM, "out of memory");
    if (rc == 0 && result.len > RESULT_MOST)
        rc = error_set(&err, VX11_ETOO_LARGE, "the result has more than %d bytes", RESULT_MOST);
    if (rc == 0)
        rc = tool_row_add(o,
                          &(struct tool_row){.id = ulid_make(id),
                                             .message_id = q->message_id,
                                             .name = q->tool_name,
                                             .status = done ? OPERATOR_TOOL_CALL_STATUS_DONE
                                                            : OPERATOR_TOOL_CALL_STATUS_FAILED,
                                             .result = result.data,
                                             .error = q->error,
                                             .created_at = now,
                                             .ended_at = now,
                                             .duration_ms = q->has_duration_ms ? q->duration_ms : -1},
                          &err);
    buf_free(&result);
    if (rc != 0)
        session_fail(r, &err);
    else
        reply_one(r, o, id, 201);
}
