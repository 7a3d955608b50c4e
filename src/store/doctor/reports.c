/* Reports: rows of doctor_report. The numbers that a list shows are columns of their own, so that a page of
 * it reads no JSON. */
#include "store/doctor/reports.h"

#include "base/str.h"

#define COLUMNS "id, at, origin, verdict, checks, blocking, warnings, notes, unknown, duration_ms, version"

static const char sql_add[] = "INSERT INTO doctor_report (" COLUMNS ", report) "
                              "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
/* An id is a time, so that the newest id is the newest report; "Z…" is past every id. */
static const char sql_list[] =
    "SELECT " COLUMNS " FROM doctor_report WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
static const char sql_read[] = "SELECT report FROM doctor_report WHERE id = ?1";

int doctor_report_add(struct store *s, const struct doctor_report_row *row, const struct buf *json,
                      struct error *err)
{
    const struct store_value values[] = {
        STORE_T(row->id),          STORE_I(row->at),      STORE_T(row->origin),
        STORE_T(row->verdict),     STORE_I(row->checks),  STORE_I(row->blocking),
        STORE_I(row->warnings),    STORE_I(row->notes),   STORE_I(row->unknown),
        STORE_I(row->duration_ms), STORE_T(row->version), store_text_len(json->data, json->len)};
    return store_exec(s, sql_add, values, COUNT_OF(values), NULL, err);
}

struct listing {
    int (*fn)(void *ctx, const struct doctor_report_row *row);
    void *ctx;
};

static int on_row(void *ctx, const struct store_row *r)
{
    const struct listing *l = ctx;
    struct doctor_report_row row = {.at = row_int(r, 1),
                                    .checks = row_int(r, 4),
                                    .blocking = row_int(r, 5),
                                    .warnings = row_int(r, 6),
                                    .notes = row_int(r, 7),
                                    .unknown = row_int(r, 8),
                                    .duration_ms = row_int(r, 9)};
    row_copy(r, 0, row.id, sizeof row.id);
    row_copy(r, 2, row.origin, sizeof row.origin);
    row_copy(r, 3, row.verdict, sizeof row.verdict);
    row_copy(r, 10, row.version, sizeof row.version);
    return l->fn(l->ctx, &row);
}

int doctor_report_list(struct store *s, const char *before, unsigned limit,
                       int (*fn)(void *ctx, const struct doctor_report_row *row), void *ctx,
                       struct error *err)
{
    struct listing l = {fn, ctx};
    const struct store_value values[] = {STORE_T(before ? before : "ZZZZZZZZZZZZZZZZZZZZZZZZZZ"),
                                         STORE_I(limit)};
    return store_query(s, sql_list, values, COUNT_OF(values), on_row, &l, err);
}

struct reading {
    struct buf *out;
    int found;
};

static int on_report(void *ctx, const struct store_row *r)
{
    struct reading *w = ctx;
    const char *text = row_text(r, 0);
    w->found = 1;
    return text ? buf_puts(w->out, text) : VX11_ECORRUPT;
}

int doctor_report_read(struct store *s, const char *id, struct buf *json, struct error *err)
{
    struct reading w = {.out = json};
    const struct store_value value = STORE_T(id);
    int rc = store_query(s, sql_read, &value, 1, on_report, &w, err);
    if (rc == 0 && !w.found)
        rc = error_set(err, VX11_ENOT_FOUND, "there is no report %s", id);
    return rc;
}
