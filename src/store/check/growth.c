/* Growth: how large each table is, how fast it grows, and when the file reaches its limits: a line of least
 * squares through the samples of the last month that the operator keeps. Too few samples give no line. */
#include "store/check/check_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

#define DAY_MS      86400000.0
#define WINDOW_MS   2592000000ll /* 30 days */
#define SAMPLES_MIN 3
#define SPAN_MIN_MS 21600000ll /* 6 hours */

/* Sums of a line through points (x in days since the first, y). */
struct line {
    int64_t n, first, last;
    double y0, x, y, xx, xy;
};

static void line_add(struct line *l, int64_t at, double value)
{
    if (l->n++ == 0) {
        l->first = at;
        l->y0 = value;
    }
    const double x = (double)(at - l->first) / DAY_MS, y = value - l->y0;
    l->last = at;
    l->x += x;
    l->y += y;
    l->xx += x * x;
    l->xy += x * y;
}

/* false: too few points, or all at one time. */
static bool line_slope(const struct line *l, double *out)
{
    const double n = (double)l->n, d = n * l->xx - l->x * l->x;
    if (l->n < SAMPLES_MIN || l->last - l->first < SPAN_MIN_MS || d <= 0)
        return false;
    *out = (n * l->xy - l->x * l->y) / d;
    return true;
}

static struct database_growth *growth_new(struct check *c, const struct line *l)
{
    struct database_growth *g = arena_zalloc(c->arena, sizeof *g);
    if (!g)
        return NULL;
    g->samples = l->n;
    g->span_ms = l->n ? l->last - l->first : 0;
    if (l->n < SAMPLES_MIN)
        g->reason = check_text(c, "%lld samples are too few: VX11 takes them while it runs", (long long)l->n);
    else if (g->span_ms < SPAN_MIN_MS)
        g->reason = "the samples do not span six hours yet";
    return g;
}

/* ---- tables ---- */

struct sizes {
    int64_t bytes, index_bytes;
    bool known;
};

static void table_pages(struct check *c, struct sizes *sizes)
{
    sqlite3_stmt *stmt = NULL;
    if (c->options->quick ||
        sqlite3_prepare_v2(c->db,
                           "SELECT m.tbl_name, sum(CASE m.type WHEN 'index' THEN 0 ELSE d.pgsize END),"
                           " sum(CASE m.type WHEN 'index' THEN d.pgsize ELSE 0 END) FROM dbstat AS d"
                           " JOIN sqlite_schema AS m ON m.name = d.name WHERE d.aggregate = 1 GROUP BY 1",
                           -1, &stmt, NULL) != SQLITE_OK)
        return;
    while (!check_expired(c) && sqlite3_step(stmt) == SQLITE_ROW) {
        const struct check_table *t = check_table_named(c, (const char *)sqlite3_column_text(stmt, 0));
        if (t)
            sizes[t - c->tables] = (struct sizes){.known = true,
                                                  .bytes = sqlite3_column_int64(stmt, 1),
                                                  .index_bytes = sqlite3_column_int64(stmt, 2)};
    }
    sqlite3_finalize(stmt);
}

static void table_growth(struct check *c, const struct check_table *t, sqlite3_stmt *samples,
                         struct database_table_growth *out)
{
    struct line rows = {.n = 0}, bytes = {.n = 0};
    sqlite3_bind_text(samples, 1, t->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(samples, 2, c->out->checked_at - WINDOW_MS);
    while (check_step(c, "database_table_sample", samples)) {
        line_add(&rows, sqlite3_column_int64(samples, 0), sqlite3_column_double(samples, 1));
        if (sqlite3_column_type(samples, 2) != SQLITE_NULL)
            line_add(&bytes, sqlite3_column_int64(samples, 0), sqlite3_column_double(samples, 2));
    }
    sqlite3_reset(samples);
    out->growth = growth_new(c, &rows);
    if (!out->growth)
        return;
    out->growth->has_rows_per_day = line_slope(&rows, &out->growth->rows_per_day);
    out->growth->has_bytes_per_day = line_slope(&bytes, &out->growth->bytes_per_day);
}

static void table_rows(struct check *c, const struct check_table *t, struct database_table_growth *out)
{
    sqlite3_stmt *stmt = c->options->quick
                             ? NULL
                             : check_prepare(c, t->name, check_text(c, "SELECT count(*) FROM %s", t->quoted));
    if (stmt && check_step(c, t->name, stmt)) {
        out->has_rows = true;
        out->rows = sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
}

static void tables_growth(struct check *c)
{
    struct sizes *sizes = arena_array(c->arena, c->table_count + 1, sizeof *sizes);
    c->out->tables = arena_array(c->arena, c->table_count + 1, sizeof *c->out->tables);
    sqlite3_stmt *samples = check_prepare(c, "database_table_sample",
                                          "SELECT at, row_count, bytes FROM database_table_sample"
                                          " WHERE table_name = ?1 AND at >= ?2 ORDER BY at");
    if (!sizes || !c->out->tables || !samples) {
        sqlite3_finalize(samples);
        return;
    }
    memset(sizes, 0, (c->table_count + 1) * sizeof *sizes);
    table_pages(c, sizes);
    for (size_t i = 0; i < c->table_count && !check_expired(c); i++) {
        struct database_table_growth *out = &c->out->tables[c->out->tables_count];
        *out = (struct database_table_growth){.name = c->tables[i].name,
                                              .has_bytes = sizes[i].known,
                                              .bytes = sizes[i].bytes,
                                              .has_index_bytes = sizes[i].known,
                                              .index_bytes = sizes[i].index_bytes};
        table_growth(c, &c->tables[i], samples, out);
        if (!out->growth)
            break;
        table_rows(c, &c->tables[i], out);
        c->out->tables_count++;
    }
    sqlite3_finalize(samples);
}

/* ---- the file ---- */

static void days_until(double used, double per_day, int64_t limit, bool *has, double *days)
{
    *has = used >= (double)limit || per_day > 0;
    *days = used >= (double)limit ? 0 : per_day > 0 ? ((double)limit - used) / per_day : 0;
}

static void size_findings(struct check *c, const struct database_forecast *f, int64_t size)
{
    char now[24], limit[24];
    bool over = size >= f->limit_bytes;
    if (size >= f->warn_bytes)
        check_found(c, (struct database_finding){
                           .severity = DATABASE_SEVERITY_WARNING,
                           .text = check_text(
                               c, "the file has %s, which is over its %s of %s: vx11 db maintain",
                               str_format_bytes((uint64_t)size, now), over ? "limit" : "warning size",
                               str_format_bytes((uint64_t)(over ? f->limit_bytes : f->warn_bytes), limit))});
    else if (f->has_days_to_warn && f->days_to_warn < 14)
        check_found(
            c, (struct database_finding){
                   .severity = DATABASE_SEVERITY_INFO,
                   .text = check_text(c,
                                      "the file reaches its warning size of %s in %.1f days if it goes on "
                                      "growing like this",
                                      str_format_bytes((uint64_t)f->warn_bytes, limit), f->days_to_warn)});
}

static void file_growth(struct check *c)
{
    struct line used = {.n = 0};
    struct database_forecast *f = arena_zalloc(c->arena, sizeof *f);
    const struct database_statistics *s = c->out->statistics;
    sqlite3_stmt *stmt =
        check_prepare(c, "database_sample",
                      "SELECT at, size_bytes - free_bytes FROM database_sample WHERE at >= ?1"
                      " ORDER BY at");
    if (!f || !stmt || !s) {
        sqlite3_finalize(stmt);
        return;
    }
    sqlite3_bind_int64(stmt, 1, c->out->checked_at - WINDOW_MS);
    while (check_step(c, "database_sample", stmt))
        line_add(&used, sqlite3_column_int64(stmt, 0), sqlite3_column_double(stmt, 1));
    sqlite3_finalize(stmt);
    f->warn_bytes = c->options->warn_bytes;
    f->limit_bytes = c->options->limit_bytes;
    f->growth = growth_new(c, &used);
    if (!f->growth)
        return;
    const double now = (double)((s->pages - s->free_pages) * s->page_bytes);
    double per_day = 0;
    f->growth->has_bytes_per_day = line_slope(&used, &per_day);
    f->growth->bytes_per_day = per_day;
    days_until(now, per_day, f->warn_bytes, &f->has_days_to_warn, &f->days_to_warn);
    days_until(now, per_day, f->limit_bytes, &f->has_days_to_limit, &f->days_to_limit);
    if (!f->growth->has_bytes_per_day)
        f->reason = f->growth->reason;
    else if (per_day <= 0)
        f->reason = "it does not grow";
    c->out->forecast = f;
    size_findings(c, f, s->size_bytes);
}

void check_growth(struct check *c)
{
    file_growth(c);
    tables_growth(c);
}
