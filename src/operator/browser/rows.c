/* Rows of tasks. The list leaves out what is long. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "operator/browser/browser_internal.h"

#define COLUMNS                                                                                              \
    "id, session_id, principal_name, url, status, mode, error, error_code, created_at, started_at, "         \
    "ended_at, "                                                                                             \
    "timeout_ms"
#define ADD_SQL                                                                                              \
    "INSERT INTO operator_browser_task (id, idempotency_key, principal_id, principal_name, session_id, "     \
    "url, "                                                                                                  \
    "mode, status, request, timeout_ms, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
#define UPDATE_SQL                                                                                           \
    "UPDATE operator_browser_task SET status = ?2, steps = ?3, result = ?4, error = ?5, error_code = ?6, "   \
    "started_at = ?7, ended_at = ?8 WHERE id = ?1"
#define BY_KEY_SQL                                                                                           \
    "SELECT id, request FROM operator_browser_task WHERE principal_id = ?1 AND idempotency_key = ?2"
#define RECOVER_SQL                                                                                          \
    "UPDATE operator_browser_task SET status = 'error', error_code = 'restarted', error = ?1, ended_at = "   \
    "?2 "                                                                                                    \
    "WHERE status IN ('pending', 'running')"
#define GET_SQL "SELECT " COLUMNS ", request, steps, result FROM operator_browser_task WHERE id = ?1"
#define LIST_SQL                                                                                             \
    "SELECT " COLUMNS " FROM operator_browser_task WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR "    \
    "session_id = ?2) AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4"

/* ---- writing ---- */

int task_row_add(struct task *t, const char *key, struct error *err)
{
    struct buf request = BUF_INIT;
    int rc = operator_browser_request_serialize(&t->request, &request);
    if (rc == 0) {
        const struct store_value values[] = {STORE_T(t->api.id),
                                             STORE_T(key),
                                             STORE_T(t->principal_id[0] ? t->principal_id : NULL),
                                             STORE_T(t->api.principal),
                                             STORE_T(t->api.session_id),
                                             STORE_T(t->api.url),
                                             STORE_T(operator_browser_mode_names[t->api.mode]),
                                             STORE_T(operator_browser_status_names[t->api.status]),
                                             STORE_T(request.data),
                                             STORE_I(t->api.timeout_ms),
                                             STORE_I(t->api.created_at)};
        rc = store_exec(t->all->store, ADD_SQL, values, COUNT_OF(values), NULL, err);
    } else {
        (void)error_set(err, rc, "a browser task could not be written");
    }
    buf_free(&request);
    return rc;
}

static int steps_write(const struct task *t, struct buf *out)
{
    int rc = 0;
    (void)buf_putc(out, '[');
    for (size_t i = 0; i < t->api.steps_count && rc == 0; i++) {
        if (i > 0)
            (void)buf_putc(out, ',');
        rc = operator_browser_step_serialize(&t->api.steps[i], out);
    }
    (void)buf_putc(out, ']');
    return rc == 0 && out->failed ? VX11_ENOMEM : rc;
}

void task_row_update(struct task *t)
{
    struct buf steps = BUF_INIT, result = BUF_INIT;
    struct error err = {0};
    int rc = steps_write(t, &steps);
    if (rc == 0 && t->api.result)
        rc = operator_browser_result_serialize(t->api.result, &result);
    const struct store_value values[] = {
        STORE_T(t->api.id),
        STORE_T(operator_browser_status_names[t->api.status]),
        STORE_T(rc == 0 ? steps.data : "[]"),
        STORE_T(rc == 0 && t->api.result ? result.data : NULL),
        STORE_T(t->api.error),
        STORE_T(t->api.error_code),
        t->api.has_started_at ? STORE_I(t->api.started_at) : STORE_N,
        t->api.has_ended_at ? STORE_I(t->api.ended_at) : STORE_N,
    };
    if (store_exec(t->all->store, UPDATE_SQL, values, COUNT_OF(values), NULL, &err) != 0)
        log_error("browser", "a task's row could not be written", LOG_S("task", t->api.id),
                  LOG_S("reason", err.text));
    buf_free(&steps);
    buf_free(&result);
}

int task_rows_recover(struct browser *b, const char *reason, struct error *err)
{
    const struct store_value values[] = {STORE_T(reason), STORE_I(clock_wall_ms())};
    return store_exec(b->store, RECOVER_SQL, values, COUNT_OF(values), NULL, err);
}

/* ---- reading ---- */

struct key_row {
    char *id;
    struct buf *request;
    bool found;
};

static int read_key(void *ctx, const struct store_row *row)
{
    struct key_row *k = ctx;
    const char *text = row_text(row, 1);
    (void)row_copy(row, 0, k->id, ULID_LEN + 1);
    k->found = true;
    return buf_puts(k->request, text ? text : "");
}

int task_row_by_key(struct browser *b, const char *principal, const char *key, char id[ULID_LEN + 1],
                    struct buf *request, struct error *err)
{
    const struct store_value values[] = {STORE_T(principal), STORE_T(key)};
    struct key_row k = {.id = id, .request = request};
    int rc = store_query(b->store, BY_KEY_SQL, values, COUNT_OF(values), read_key, &k, err);
    return rc != 0 ? rc : k.found ? 0 : VX11_ENOT_FOUND;
}

static int index_of(const char *const *names, size_t n, const char *want)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(names[i], want))
            return (int)i;
    return 0; /* the table's CHECK allows no other */
}

static int read_head(const struct store_row *r, struct arena *a, struct operator_browser_task *out)
{
    const char *id = arena_strdup(a, row_text(r, 0));
    *out = (struct operator_browser_task){
        .id = id,
        .task_id = id,
        .session_id = arena_strdup(a, row_text(r, 1)),
        .principal = arena_strdup(a, row_text(r, 2)),
        .url = arena_strdup(a, row_text(r, 3)),
        .status =
            index_of(operator_browser_status_names, COUNT_OF(operator_browser_status_names), row_text(r, 4)),
        .mode = index_of(operator_browser_mode_names, COUNT_OF(operator_browser_mode_names), row_text(r, 5)),
        .error = arena_strdup(a, row_text(r, 6)),
        .error_code = arena_strdup(a, row_text(r, 7)),
        .created_at = row_int(r, 8),
        .has_started_at = !row_is_null(r, 9),
        .started_at = row_int(r, 9),
        .has_ended_at = !row_is_null(r, 10),
        .ended_at = row_int(r, 10),
        .timeout_ms = row_int(r, 11),
    };
    out->has_duration_ms = out->has_started_at && out->has_ended_at;
    out->duration_ms = out->has_duration_ms ? (double)(out->ended_at - out->started_at) : 0;
    return id && out->url ? 0 : VX11_ENOMEM;
}

struct get_row {
    struct arena *arena;
    struct operator_browser_task *out;
    bool found;
};

static int read_steps(struct arena *a, const char *text, struct operator_browser_task *out)
{
    struct contract_error bad;
    yyjson_val *list, *v;
    size_t i, n;
    int rc = contract_json_parse(a, text, strlen(text), NULL, &list, &bad);
    if (rc != 0 || !yyjson_is_arr(list))
        return rc != 0 ? rc : VX11_ECORRUPT;
    out->steps = arena_array(a, yyjson_arr_size(list) + 1, sizeof *out->steps);
    if (!out->steps)
        return VX11_ENOMEM;
    yyjson_arr_foreach(list, i, n, v)
    {
        rc = contract_parse_value(&operator_browser_step_message, a, v, NULL, &out->steps[i], &bad);
        if (rc != 0)
            return rc;
        out->steps_count = i + 1;
    }
    return 0;
}

static int read_task(void *ctx, const struct store_row *r)
{
    struct get_row *g = ctx;
    struct contract_error bad;
    struct operator_browser_request request;
    const char *asked = row_text(r, 12), *steps = row_text(r, 13), *result = row_text(r, 14);
    g->found = true;
    int rc = read_head(r, g->arena, g->out);
    if (rc == 0)
        rc = operator_browser_request_parse(g->arena, asked, strlen(asked), &request, &bad);
    if (rc == 0) {
        g->out->actions = request.actions;
        g->out->actions_count = request.actions_count;
        rc = read_steps(g->arena, steps, g->out);
    }
    if (rc == 0 && result) {
        g->out->result = arena_alloc(g->arena, sizeof *g->out->result);
        rc = g->out->result
                 ? operator_browser_result_parse(g->arena, result, strlen(result), g->out->result, &bad)
                 : VX11_ENOMEM;
    }
    return rc;
}

int task_row_get(struct browser *b, const char *id, struct arena *a, struct operator_browser_task *out,
                 struct error *err)
{
    const struct store_value value = STORE_T(id);
    struct get_row g = {.arena = a, .out = out};
    int rc = store_query(b->store, GET_SQL, &value, 1, read_task, &g, err);
    if (rc != 0)
        return err && err->code ? rc
                                : error_set(err, rc, "the row of the browser task %s cannot be read", id);
    return g.found ? 0 : error_set(err, VX11_ENOT_FOUND, "there is no browser task %s", id);
}

struct list_rows {
    struct arena *arena;
    struct operator_browser_task_list *out;
};

static int read_list(void *ctx, const struct store_row *r)
{
    struct list_rows *l = ctx;
    int rc = read_head(r, l->arena, &l->out->tasks[l->out->tasks_count]);
    l->out->tasks_count += rc == 0;
    return rc;
}

int task_rows_list(struct browser *b, const struct operator_browser_list_params *p, struct arena *a,
                   struct operator_browser_task_list *out, struct error *err)
{
    const struct store_value values[] = {
        STORE_T(p->has_status ? operator_browser_status_names[p->status] : NULL), STORE_T(p->session_id),
        STORE_T(p->cursor), STORE_I(p->limit + 1)};
    struct list_rows l = {.arena = a, .out = out};
    *out = (struct operator_browser_task_list){.tasks =
                                                   arena_array(a, (size_t)p->limit + 1, sizeof *out->tasks)};
    if (!out->tasks)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = store_query(b->store, LIST_SQL, values, COUNT_OF(values), read_list, &l, err);
    if (rc == 0 && out->tasks_count > (size_t)p->limit) {
        out->tasks_count = (size_t)p->limit;
        out->next_cursor = out->tasks[p->limit - 1].id;
    }
    return rc;
}
