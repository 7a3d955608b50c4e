/* Retain: which rows leave, by the declarations in `retention` and the size of the file. How they leave is in
 * leave.c. The names come from a table that only migrations fill, and are still looked up in the schema
 * before they become part of a statement. */
#include "store/maintain/retain.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "store/ledger/ledger.h"
#include "store/maintain/archive.h"
#include "store/maintain/hold.h"
#include "store/maintain/leave.h"
#include "store/maintain/vacuum.h"
#include "store/rollup.h"

#define DAY_MS      INT64_C(86400000)
#define LAZY_PART   20 /* of a bound */
#define USUAL_PAGES 1000
#define SPARE_PART  10 /* of the target size, free after rows had to leave for it */

struct rule {
    char table[64], column[64];
    int64_t max_age_ms, max_rows;     /* 0: no limit */
    int64_t tight_age_ms, tight_rows; /* 0: never less */
    bool archives;
};
struct work {
    struct store *s;
    const struct retain_options *o;
    struct retain_result *out;
    struct hold hold;
    struct archive *archive;  /* NULL: it cannot be opened */
    struct error archive_err; /* why */
    bool no_metrics;          /* samples stay: they could not be added up */
    struct rule rules[RETAIN_TABLES];
    size_t count;
    struct error *err; /* of take_rule */
};

/* ---- rules ---- */

static int take_rule(void *ctx, const struct store_row *row)
{
    struct work *w = ctx;
    const char *table = row_text(row, 0), *column = row_text(row, 1);
    if (!table || !column || strlen(table) >= sizeof w->rules[0].table ||
        strlen(column) >= sizeof w->rules[0].column)
        return error_set(w->err, VX11_EINVALID, "a table in retention has no usable name");
    if (w->count == RETAIN_TABLES)
        return error_set(w->err, VX11_ERANGE, "retention declares more than %d tables", RETAIN_TABLES);
    struct rule *r = &w->rules[w->count++];
    snprintf(r->table, sizeof r->table, "%s", table);
    snprintf(r->column, sizeof r->column, "%s", column);
    r->max_age_ms = row_int(row, 2);
    r->max_rows = row_int(row, 3);
    r->archives = row_int(row, 4) != 0;
    r->tight_age_ms = row_int(row, 5);
    r->tight_rows = row_int(row, 6);
    return 0;
}

static int64_t bound(int64_t usual, int64_t tight, int tier)
{
    if (tier == 0 || tight == 0)
        return usual;
    tight >>= tier - 1;
    tight = tight > 0 ? tight : 1;
    return usual > 0 && usual < tight ? usual : tight;
}

static int one_number(struct store *s, char *sql, int64_t *out, struct error *err)
{
    int rc = sql ? sql_int(s->read, sql, out, err) : error_set(err, VX11_ENOMEM, "out of memory");
    sqlite3_free(sql);
    return rc;
}

/* Rows beyond the most, of those that have a time: others never leave, and do not count. Counting takes long
 * in a large table: not when its numbers say that there cannot be so many. */
static int count_excess(struct store *s, const struct rule *r, int64_t most, int64_t *out, struct error *err)
{
    int64_t rows = 0;
    *out = 0;
    int rc = one_number(s,
                        sqlite3_mprintf("SELECT coalesce((SELECT max(rowid) FROM \"%w\") -"
                                        " (SELECT min(rowid) FROM \"%w\") + 1, 0)",
                                        r->table, r->table),
                        &rows, err);
    if (rc == 0 && rows > most)
        rc = one_number(
            s, sqlite3_mprintf("SELECT count(*) FROM \"%w\" WHERE \"%w\" IS NOT NULL", r->table, r->column),
            &rows, err);
    if (rc == 0 && rows > most)
        *out = rows - most;
    return rc;
}

static int count_older(struct store *s, const struct rule *r, int64_t before, int64_t *out, struct error *err)
{
    return one_number(s,
                      sqlite3_mprintf("SELECT count(*) FROM \"%w\" WHERE \"%w\" < %lld", r->table, r->column,
                                      (long long)before),
                      out, err);
}

static int oldest_before(struct store *s, const struct rule *r, int64_t before, bool *out, struct error *err)
{
    int64_t found = 0;
    int rc = one_number(s,
                        sqlite3_mprintf("SELECT EXISTS (SELECT 1 FROM \"%w\" WHERE \"%w\" < %lld)", r->table,
                                        r->column, (long long)before),
                        &found, err);
    *out = found != 0;
    return rc;
}

/* ---- one table ---- */

static int apply_age(struct work *w, const struct rule *r, struct leave *l, int64_t age, struct error *err)
{
    const int64_t before = w->o->now_ms - age;
    if (w->o->dry_run)
        return count_older(w->s, r, before, &l->result->rows, err);
    if (w->o->lazy && l->archive) {
        const int64_t slack = age / LAZY_PART < DAY_MS ? age / LAZY_PART : DAY_MS;
        bool worth = false;
        int rc = oldest_before(w->s, r, before - slack, &worth, err);
        if (rc != 0 || !worth)
            return rc;
    }
    return leave_rows(l, before, INT64_MAX, err);
}

static int apply_rows(struct work *w, const struct rule *r, struct leave *l, int64_t most, struct error *err)
{
    int64_t excess = 0;
    int rc = count_excess(w->s, r, most, &excess, err);
    if (rc != 0 || excess == 0)
        return rc;
    if (w->o->dry_run) { /* both bounds take the oldest */
        l->result->rows = excess > l->result->rows ? excess : l->result->rows;
        return 0;
    }
    if (w->o->lazy && l->archive && excess < most / LAZY_PART)
        return 0;
    return leave_rows(l, INT64_MAX, excess, err);
}

static int apply_rule(struct work *w, const struct rule *r, int tier, struct maintenance_table *result,
                      struct error *err)
{
    const int64_t age = bound(r->max_age_ms, r->tight_age_ms, tier),
                  most = bound(r->max_rows, r->tight_rows, tier);
    struct leave l = {.s = w->s,
                      .hold = &w->hold,
                      .archive = r->archives ? w->archive : NULL,
                      .table = r->table,
                      .column = r->column,
                      .now_ms = w->o->now_ms,
                      .result = result};
    int rc = leave_check(w->s, r->table, r->column, err);
    if (rc == 0 && r->archives && !w->archive && !w->o->dry_run)
        return error_set(err, w->archive_err.code, "%s", w->archive_err.text);
    if (rc == 0 && age > 0)
        rc = apply_age(w, r, &l, age, err);
    if (rc == 0 && most > 0)
        rc = apply_rows(w, r, &l, most, err);
    return rc;
}

/* The table's place in the result; what did not change is taken out again by the caller. */
static struct maintenance_table *result_of(struct work *w, const struct rule *r, int tier)
{
    struct retain_result *out = w->out;
    for (size_t i = 0; i < out->table_count; i++)
        if (strcmp(out->names[i], r->table) == 0) {
            out->tables[i].tier = tier;
            return &out->tables[i];
        }
    const size_t i = out->table_count; /* there are as many places as rules */
    snprintf(out->names[i], sizeof out->names[i], "%s", r->table);
    out->tables[i] = (struct maintenance_table){.name = out->names[i], .tier = tier, .archives = r->archives};
    return &out->tables[i];
}

static int retain_table(struct work *w, const struct rule *r, int tier, struct error *err)
{
    struct maintenance_table *t = result_of(w, r, tier);
    const size_t place = (size_t)(t - w->out->tables);
    const double longest = w->hold.longest_ms;
    const int64_t transactions = w->hold.transactions;
    w->hold.longest_ms = 0;
    int rc = apply_rule(w, r, tier, t, err);
    t->transactions += w->hold.transactions - transactions;
    t->longest_hold_ms = w->hold.longest_ms > t->longest_hold_ms ? w->hold.longest_ms : t->longest_hold_ms;
    w->hold.longest_ms = longest > w->hold.longest_ms ? longest : w->hold.longest_ms;
    if (rc != 0) {
        snprintf(w->out->reasons[place], sizeof w->out->reasons[place], "%s", err->text);
        t->error = w->out->reasons[place];
        log_error("store", "a table cannot be kept within its bounds", LOG_S("table", r->table),
                  LOG_S("reason", err->text));
    }
    if (place == w->out->table_count && (rc != 0 || t->rows > 0 || t->changed > 0))
        w->out->table_count++;
    return rc;
}

/* ---- all tables ---- */

static bool is_metrics(const char *table)
{
    return strcmp(table, "metric_sample") == 0 || strcmp(table, "metric_minute") == 0;
}

/* The first error is kept. */
static int retain_all(struct work *w, int tier, struct error *err)
{
    int rc = 0;
    for (size_t i = 0; i < w->count && rc != VX11_ECANCELLED && !hold_late(&w->hold); i++) {
        const struct rule *r = &w->rules[i];
        struct error one = {0};
        if ((tier > 0 && r->tight_age_ms == 0 && r->tight_rows == 0) ||
            (w->no_metrics && is_metrics(r->table)))
            continue;
        int result = retain_table(w, r, tier, &one);
        if (result != 0 && (rc == 0 || result == VX11_ECANCELLED))
            rc = error_set(err, result, "%s", one.text);
    }
    return rc;
}

int retain_size(struct store *s, int64_t *used, int64_t *all, struct error *err)
{
    int64_t pages = 0, free = 0, size = 0;
    int rc = sql_int(s->read, "PRAGMA page_size", &size, err);
    if (rc == 0)
        rc = sql_int(s->read, "PRAGMA page_count", &pages, err);
    if (rc == 0)
        rc = sql_int(s->read, "PRAGMA freelist_count", &free, err);
    *used = (pages - free) * size;
    *all = pages * size;
    return rc;
}

/* The ledger is kept for ever: it takes a row when less is kept than in all of the last day. */
static bool is_noted(struct store *s, int tier)
{
    char sql[200];
    int64_t rows = 0;
    struct error err = {0};
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM ledger WHERE kind = 'retention.tight' AND at > %lld"
             " AND CAST(detail ->> 'tier' AS INTEGER) >= %d",
             (long long)(clock_wall_ms() - DAY_MS), tier);
    return sql_int(s->read, sql, &rows, &err) == 0 && rows > 0; /* unknown: better one row too many */
}

static void tell_tight(struct work *w, int64_t before)
{
    char tier[16], bytes[2][32];
    struct error err = {0};
    snprintf(tier, sizeof tier, "%d", w->out->tier);
    snprintf(bytes[0], sizeof bytes[0], "%lld", (long long)before);
    snprintf(bytes[1], sizeof bytes[1], "%lld", (long long)w->out->used_bytes);
    log_warn("store", "the database is at its target size: less is kept", LOG_I("tier", w->out->tier),
             LOG_I("bytes_before", before), LOG_I("bytes_after", w->out->used_bytes),
             LOG_I("target_bytes", w->o->target_bytes));
    w->out->tighter = !is_noted(w->s, w->out->tier);
    if (!w->out->tighter)
        return;
    if (ledger_note(w->s, "retention.tight", w->o->actor ? w->o->actor : "retention", "database", &err,
                    "tier", tier, "bytes_before", bytes[0], "bytes_after", bytes[1], NULL) != 0)
        log_error("store", "the ledger does not say that less is kept", LOG_S("reason", err.text));
}

/* Tighter and tighter until the pages in use are well below the target: a file that stood just under it would
 * be there again at the next run. */
static int tighten(struct work *w, struct error *err)
{
    const int64_t goal = w->o->target_bytes - w->o->target_bytes / SPARE_PART;
    int64_t all, used = 0, before;
    int rc = retain_size(w->s, &used, &all, err);
    before = used;
    const bool full = w->o->target_bytes > 0 && used >= w->o->target_bytes;
    while (rc == 0 && full && used >= goal && w->out->tier < RETAIN_TIERS && !hold_late(&w->hold)) {
        w->out->tier++;
        rc = retain_all(w, w->out->tier, err);
        if (rc == 0)
            rc = retain_size(w->s, &used, &all, err);
        if (w->o->dry_run)
            break; /* nothing went: the next tier would be asked for nothing */
    }
    w->out->used_bytes = used;
    if (w->out->tier > 0 && !w->o->dry_run)
        tell_tight(w, before);
    return rc;
}

static int begin(struct work *w, struct error *err)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(w->s->path, '/');
    snprintf(folder, sizeof folder, "%.*sarchive", slash ? (int)(slash - w->s->path) + 1 : 0, w->s->path);
    w->err = err;
    int rc = store_query(w->s,
                         "SELECT table_name, time_column, max_age_ms, max_rows, archive, tight_max_age_ms,"
                         " tight_max_rows FROM retention ORDER BY table_name",
                         NULL, 0, take_rule, w, err);
    if (rc != 0 || w->o->dry_run)
        return rc;
    rc = archive_open(w->o->archive_folder ? w->o->archive_folder : folder, w->o->archive_wait_ms,
                      &w->archive, &w->archive_err);
    /* Without it the tables whose rows just go are kept within their bounds nevertheless. */
    return rc == VX11_EBUSY ? error_set(err, rc, "%s", w->archive_err.text) : 0;
}

static void sum_up(struct retain_result *out, const struct hold *hold)
{
    for (size_t i = 0; i < out->table_count; i++) {
        out->rows += out->tables[i].rows;
        out->children += out->tables[i].children;
        out->archived += out->tables[i].archived;
        out->archive_bytes += out->tables[i].archive_bytes;
    }
    out->longest_hold_ms = hold->longest_ms;
}

int retain_run(struct store *s, const struct retain_options *options, struct retain_result *out,
               struct error *err)
{
    memset(out, 0, sizeof *out);
    if (!s->write || s->in_transaction)
        return error_set(err, VX11_EPERMISSION,
                         "retention needs a store that can write, outside transactions");
    struct work *w = calloc(1, sizeof *w);
    struct rollup_until until = {0};
    if (!w)
        return error_set(err, VX11_ENOMEM, "out of memory");
    *w = (struct work){.s = s, .o = options, .out = out};
    hold_init(&w->hold, s, options->stop);
    int rc = begin(w, err);
    w->hold.until_ms = options->limit_ms > 0 ? clock_mono_ms() + options->limit_ms : 0;
    if (rc == 0 && !options->dry_run && (rc = store_rollup(s, options->now_ms, &until, err)) != 0) {
        w->no_metrics = true;
        log_error("store", "samples cannot be added up, and stay", LOG_S("reason", err->text));
    }
    out->rolled_up = until.added;
    if (rc == 0 || w->no_metrics) {
        struct error later = {0};
        int result = retain_all(w, 0, &later);
        if (result == 0)
            result = tighten(w, &later);
        if (rc == 0 && result != 0)
            rc = error_set(err, result, "%s", later.text);
        if (rc == 0 && options->vacuum_pages != 0 && !options->dry_run)
            rc = vacuum_pages(&w->hold, options->vacuum_pages, &out->vacuumed, err);
    }
    sum_up(out, &w->hold);
    archive_close(w->archive);
    hold_end(&w->hold);
    free(w);
    return rc;
}

int store_retain(struct store *s, int64_t now_ms, uint64_t *deleted, struct error *err)
{
    const struct retain_options options = {.now_ms = now_ms, .vacuum_pages = USUAL_PAGES};
    struct retain_result *out = malloc(sizeof *out);
    *deleted = 0;
    if (!out)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = retain_run(s, &options, out, err);
    *deleted = (uint64_t)out->rows;
    free(out);
    return rc;
}
