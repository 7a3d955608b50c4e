/* Runs: rows of maintenance_run. The numbers that a list shows are columns of their own, so that a page of it
 * reads no JSON. */
#include "store/maintain/runs.h"

#include <string.h>

#include "base/str.h"
#include "base/ulid.h"

#define COLUMNS                                                                                              \
    "id, at, ended_at, origin, state, error, bytes_before, bytes_after, deleted_rows, archived_rows"

/* An id is a time, so that the newest id is the newest run; "Z…" is past every id. */
static const char sql_list[] =
    "SELECT " COLUMNS " FROM maintenance_run WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
static const char sql_newest[] =
    "SELECT report FROM maintenance_run WHERE report IS NOT NULL ORDER BY id DESC LIMIT 1";

struct beginning {
    const char *id;
    int64_t at, bytes;
    enum maintenance_origin origin;
};

static int begin(void *ctx, struct store *s, struct error *err)
{
    const struct beginning *b = ctx;
    const struct store_value values[] = {STORE_T(b->id), STORE_I(b->at),
                                         STORE_T(maintenance_origin_names[b->origin]), STORE_I(b->bytes)};
    int rc = store_exec(s, "UPDATE maintenance_run SET state = 'interrupted' WHERE state = 'running'", NULL,
                        0, NULL, err);
    if (rc == 0)
        rc = store_exec(s,
                        "INSERT INTO maintenance_run (id, at, origin, state, bytes_before)"
                        " VALUES (?1, ?2, ?3, 'running', ?4)",
                        values, COUNT_OF(values), NULL, err);
    return rc;
}

int maintenance_run_begin(struct store *s, const char *id, int64_t at, enum maintenance_origin origin,
                          int64_t bytes, struct error *err)
{
    struct beginning b = {.id = id, .at = at, .bytes = bytes, .origin = origin};
    return store_transaction(s, begin, &b, err);
}

int maintenance_run_end(struct store *s, const struct maintenance_report *report, struct error *err)
{
    struct buf json = BUF_INIT;
    int rc = maintenance_report_serialize(report, &json);
    if (rc != 0)
        rc = error_set(err, rc, "the report cannot be written as JSON: %s", error_describe(rc));
    const size_t len = report->error ? strlen(report->error) : 0;
    const size_t kept = report->error ? utf8_valid_prefix(report->error, len < 1000 ? len : 1000) : 0;
    const struct store_value values[] = {STORE_T(report->id),
                                         STORE_I(report->ended_at),
                                         STORE_T(report->ok ? "done" : "failed"),
                                         store_text_len(report->error, kept),
                                         STORE_I(report->bytes_after),
                                         STORE_I(report->deleted_rows),
                                         STORE_I(report->archived_rows),
                                         store_text_len(json.data, json.len)};
    if (rc == 0)
        rc = store_exec(s,
                        "UPDATE maintenance_run SET ended_at = ?2, state = ?3, error = ?4, bytes_after = ?5,"
                        " deleted_rows = ?6, archived_rows = ?7, report = ?8 WHERE id = ?1",
                        values, COUNT_OF(values), NULL, err);
    buf_free(&json);
    return rc;
}

/* ---- read ---- */

struct listing {
    struct arena *arena;
    struct maintenance_runs *out;
    size_t limit;
};

/* The table's CHECK holds rows to these names. */
static int name_index(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; name && i < count; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return 0;
}

static int on_run(void *ctx, const struct store_row *row)
{
    struct listing *l = ctx;
    if (l->out->runs_count == l->limit) {
        l->out->next_before = l->out->runs[l->limit - 1].id;
        return 0;
    }
    struct maintenance_run *run = &l->out->runs[l->out->runs_count++];
    const char *error = row_text(row, 5);
    *run = (struct maintenance_run){
        .id = arena_strdup(l->arena, row_text(row, 0)),
        .at = row_int(row, 1),
        .has_ended_at = !row_is_null(row, 2),
        .ended_at = row_int(row, 2),
        .origin = name_index(row_text(row, 3), maintenance_origin_names, COUNT_OF(maintenance_origin_names)),
        .state = name_index(row_text(row, 4), maintenance_state_names, COUNT_OF(maintenance_state_names)),
        .error = error ? arena_strdup(l->arena, error) : NULL,
        .bytes_before = row_int(row, 6),
        .has_bytes_after = !row_is_null(row, 7),
        .bytes_after = row_int(row, 7),
        .deleted_rows = row_int(row, 8),
        .archived_rows = row_int(row, 9)};
    return run->id && (!error || run->error) ? 0 : VX11_ENOMEM;
}

int maintenance_run_list(struct store *s, const char *before, unsigned limit, struct arena *arena,
                         struct maintenance_runs *out, struct error *err)
{
    struct listing l = {arena, out, limit};
    const struct store_value values[] = {STORE_T(before ? before : "ZZZZZZZZZZZZZZZZZZZZZZZZZZ"),
                                         STORE_I((int64_t)limit + 1)};
    *out = (struct maintenance_runs){.runs = arena_array(arena, limit + 1, sizeof *out->runs)};
    if (!out->runs)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = store_query(s, sql_list, values, COUNT_OF(values), on_run, &l, err);
    return rc == VX11_ENOMEM ? error_set(err, rc, "out of memory") : rc;
}

struct reading {
    struct buf *out;
    int found;
};

static int on_report(void *ctx, const struct store_row *row)
{
    struct reading *w = ctx;
    const char *text = row_text(row, 0);
    if (!text)
        return 0;
    w->found = 1;
    return buf_puts(w->out, text);
}

int maintenance_run_read(struct store *s, const char *id, struct buf *json, struct error *err)
{
    struct reading w = {.out = json};
    const struct store_value value = STORE_T(id);
    int rc = store_query(s, id ? "SELECT report FROM maintenance_run WHERE id = ?1" : sql_newest, &value,
                         id ? 1 : 0, on_report, &w, err);
    if (rc == 0 && !w.found)
        rc = id ? error_set(err, VX11_ENOT_FOUND, "there is no report of a run %s", id)
                : error_set(err, VX11_ENOT_FOUND, "there is no report of maintenance yet");
    return rc;
}
