/* Rows of jobs. */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "hermes/exec/jobs_internal.h"

#define JOB_COLUMNS                                                                                          \
    "id, name, status, stdout, stderr, stdout_truncated, stderr_truncated, return_code, signal, error, "     \
    "sandbox, principal_name, created_at, started_at, finished_at, duration_ms"
/* Lists leave the outputs out. */
#define JOB_LIST_COLUMNS                                                                                     \
    "id, name, status, NULL, NULL, stdout_truncated, stderr_truncated, return_code, signal, error, "         \
    "sandbox, "                                                                                              \
    "principal_name, created_at, started_at, finished_at, duration_ms"

#define JOB_GET_SQL "SELECT " JOB_COLUMNS " FROM exec_job WHERE id = ?1"
#define JOB_LIST_SQL                                                                                         \
    "SELECT " JOB_LIST_COLUMNS                                                                               \
    " FROM exec_job WHERE ?1 IS NULL OR status = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2"
#define JOB_ADD_SQL                                                                                          \
    "INSERT INTO exec_job (id, name, status, request, principal_name, created_at) VALUES (?1, ?2, "          \
    "'queued', ?3, ?4, ?5)"
#define JOB_NEXT_SQL                                                                                         \
    "SELECT id, name, request, principal_name FROM exec_job WHERE status = 'queued' ORDER BY created_at, "   \
    "id LIMIT 1"
#define JOB_CLAIM_SQL                                                                                        \
    "UPDATE exec_job SET status = 'running', started_at = ?2 WHERE id = ?1 AND status = 'queued'"
/* What was asked is forgotten with the end: prompts are nobody's business afterwards. */
#define JOB_END_SQL                                                                                          \
    "UPDATE exec_job SET status = ?2, request = '{}', stdout = ?3, stderr = ?4, stdout_truncated = ?5, "     \
    "stderr_truncated = "                                                                                    \
    "?6, "                                                                                                   \
    "return_code = ?7, signal = ?8, error = ?9, sandbox = ?10, finished_at = ?11, duration_ms = ?12 WHERE "  \
    "id = ?1"
#define JOB_RECOVER_SQL                                                                                      \
    "UPDATE exec_job SET status = 'failed', request = '{}', finished_at = ?1, error = 'Hermes ended while "  \
    "it ran; it was "                                                                                        \
    "not run again' "                                                                                        \
    "WHERE status = 'running'"
#define JOB_QUEUED_SQL "SELECT count(*) FROM exec_job WHERE status = 'queued'"
#define JOB_CANCEL_SQL                                                                                       \
    "UPDATE exec_job SET status = 'cancelled', request = '{}', finished_at = ?2, error = 'cancelled before " \
    "it was started' "                                                                                       \
    "WHERE id = ?1 AND status = 'queued'"

/* ---- reading ---- */

static int index_of(const char *const *names, size_t n, const char *want)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(names[i], want))
            return (int)i;
    return 0; /* the table's CHECK allows no other */
}

struct rows {
    struct arena *arena;
    struct hermes_exec_job *items;
    size_t count, cap;
};

static void read_job(const struct store_row *r, struct arena *a, struct hermes_exec_job *out)
{
    const char *sandbox = row_text(r, 10);
    *out = (struct hermes_exec_job){
        .job_id = arena_strdup(a, row_text(r, 0)),
        .command = arena_strdup(a, row_text(r, 1)),
        .status = index_of(hermes_job_status_names, COUNT_OF(hermes_job_status_names), row_text(r, 2)),
        .stdout_ = arena_strdup(a, row_text(r, 3)),
        .stderr_ = arena_strdup(a, row_text(r, 4)),
        .stdout_truncated = row_int(r, 5) != 0,
        .stderr_truncated = row_int(r, 6) != 0,
        .has_return_code = !row_is_null(r, 7),
        .return_code = row_int(r, 7),
        .has_signal = !row_is_null(r, 8),
        .signal = row_int(r, 8),
        .error = arena_strdup(a, row_text(r, 9)),
        .has_sandbox = sandbox != NULL,
        .sandbox = sandbox ? index_of(hermes_sandbox_names, COUNT_OF(hermes_sandbox_names), sandbox) : 0,
        .asked_by = arena_strdup(a, row_text(r, 11)),
        .created_at = row_int(r, 12),
        .has_started_at = !row_is_null(r, 13),
        .started_at = row_int(r, 13),
        .has_finished_at = !row_is_null(r, 14),
        .finished_at = row_int(r, 14),
        .has_duration_ms = !row_is_null(r, 15),
        .duration_ms = row_int(r, 15),
    };
}

static int rows_add(void *ctx, const struct store_row *row)
{
    struct rows *r = ctx;
    if (r->count == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 16;
        void *grown = arena_realloc(r->arena, r->items, r->cap * sizeof *r->items, cap * sizeof *r->items);
        if (!grown)
            return VX11_ENOMEM;
        r->items = grown;
        r->cap = cap;
    }
    read_job(row, r->arena, &r->items[r->count]);
    return r->items[r->count++].job_id ? 0 : VX11_ENOMEM;
}

int jobs_get(struct jobs *j, const char *id, struct arena *a, struct hermes_exec_job *out, struct error *err)
{
    const struct store_value value = STORE_T(id);
    struct rows rows = {.arena = a};
    int rc = store_query(j->store, JOB_GET_SQL, &value, 1, rows_add, &rows, err);
    if (rc != 0)
        return rc;
    if (rows.count == 0)
        return error_set(err, VX11_ENOT_FOUND, "there is no job %s", id);
    *out = rows.items[0];
    return 0;
}

int jobs_list(struct jobs *j, const struct hermes_exec_job_filter *filter, struct arena *a,
              struct hermes_exec_job **out, size_t *n, struct error *err)
{
    const struct store_value values[] = {
        STORE_T(filter->has_status ? hermes_job_status_names[filter->status] : NULL), STORE_I(filter->limit)};
    struct rows rows = {.arena = a};
    int rc = store_query(j->store, JOB_LIST_SQL, values, COUNT_OF(values), rows_add, &rows, err);
    *out = rows.items;
    *n = rows.count;
    return rc;
}

static int read_int(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

int job_rows_queued(struct jobs *j, int64_t *n, struct error *err)
{
    *n = 0;
    return store_query(j->store, JOB_QUEUED_SQL, NULL, 0, read_int, n, err);
}

/* ---- writing ---- */

int job_row_add(struct jobs *j, const char *id, const struct hermes_exec_request *q,
                const struct principal *by, struct error *err)
{
    struct buf request = BUF_INIT;
    int rc = hermes_exec_request_serialize(q, &request);
    if (rc == 0) {
        const struct store_value values[] = {STORE_T(id), STORE_T(q->command), STORE_T(request.data),
                                             STORE_T(by ? by->name : NULL), STORE_I(clock_wall_ms())};
        rc = store_exec(j->store, JOB_ADD_SQL, values, COUNT_OF(values), NULL, err);
    }
    buf_free(&request);
    return rc;
}

static int read_next(void *ctx, const struct store_row *r)
{
    struct job *job = ctx;
    struct contract_error bad;
    char *text = arena_strdup(job->arena, row_text(r, 2));
    (void)row_copy(r, 0, job->id, sizeof job->id);
    (void)row_copy(r, 1, job->name, sizeof job->name);
    (void)row_copy(r, 3, job->by.name, sizeof job->by.name);
    if (!text)
        return VX11_ENOMEM;
    if (hermes_exec_request_parse(job->arena, text, strlen(text), &job->request, &bad) != 0)
        job->request =
            (struct hermes_exec_request){.command = job->name}; /* of another version: it fails by name */
    return 0;
}

int job_row_claim(struct jobs *j, struct job *job, struct error *err)
{
    int64_t changes = 0;
    int rc = store_query(j->store, JOB_NEXT_SQL, NULL, 0, read_next, job, err);
    if (rc != 0)
        return rc;
    if (!job->id[0])
        return VX11_ENOT_FOUND;
    const struct store_value values[] = {STORE_T(job->id), STORE_I(job->started_at)};
    rc = store_exec(j->store, JOB_CLAIM_SQL, values, COUNT_OF(values), &changes, err);
    return rc == 0 && changes == 0 ? VX11_ENOT_FOUND : rc;
}

int job_row_end(struct jobs *j, const struct job *job, const struct job_end *end, struct error *err)
{
    const struct child_result *c = end->child;
    const int64_t now = clock_wall_ms();
    const struct store_value values[] = {
        STORE_T(job->id),
        STORE_T(hermes_job_status_names[end->status]),
        c ? store_text_len(job->out.data ? job->out.data : "", job->out.len) : STORE_N,
        c ? store_text_len(job->err.data ? job->err.data : "", job->err.len) : STORE_N,
        STORE_I(job->out_cut),
        STORE_I(job->err_cut),
        c && c->exit_code >= 0 ? STORE_I(c->exit_code) : STORE_N,
        c && c->term_signal > 0 ? STORE_I(c->term_signal) : STORE_N,
        STORE_T(end->error),
        STORE_T(c ? c->sandboxed ? "bubblewrap" : "limits" : NULL),
        STORE_I(now),
        STORE_I(c ? c->duration_ms : 0),
    };
    return store_exec(j->store, JOB_END_SQL, values, COUNT_OF(values), NULL, err);
}

int job_rows_recover(struct jobs *j, struct error *err)
{
    const struct store_value now = STORE_I(clock_wall_ms());
    return store_exec(j->store, JOB_RECOVER_SQL, &now, 1, NULL, err);
}

int job_row_cancel(struct jobs *j, const char *id, struct error *err)
{
    const struct store_value values[] = {STORE_T(id), STORE_I(clock_wall_ms())};
    int64_t changes = 0;
    int rc = store_exec(j->store, JOB_CANCEL_SQL, values, COUNT_OF(values), &changes, err);
    return rc == 0 ? changes > 0 : rc;
}
