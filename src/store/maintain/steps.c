/* Steps: what maintenance does, one function for each step. Checks read the result rows of the statement
 * itself; what a check found is in the reason. */
#include "store/maintain/steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/str.h"
#include "store/maintain/archive.h"
#include "store/maintain/hold.h"
#include "store/maintain/vacuum.h"
#include "store/rollup.h"

#define FINDINGS        5     /* told of at most */
#define ARCHIVE_WAIT_MS 60000 /* for the supervisor's own work, which ends after 20 s */

static void say(struct step_words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct step_words *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(w->text, sizeof w->text, fmt, args);
    va_end(args);
}

static int cancelled(const struct maintaining *m, int rc, struct error *err)
{
    /* SQLite says "interrupted" when the progress handler ends it. */
    return m->o->stop && *m->o->stop ? error_set(err, VX11_ECANCELLED, "it was told to stop") : rc;
}

/* ---- checks ---- */

struct findings {
    char text[400];
    size_t len;
    int count;
};

static void add_finding(struct findings *f, const char *text)
{
    if (f->count++ < FINDINGS && f->len < sizeof f->text) {
        int n = snprintf(f->text + f->len, sizeof f->text - f->len, "%s%.120s", f->len ? "; " : "", text);
        f->len += n > 0 ? (size_t)n : 0;
    }
}

/* Rows other than a single "ok" are findings. */
static int check_pages(struct maintaining *m, const char *sql, const char *good, struct step_words *w,
                       struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    struct findings f = {.text = ""};
    bool ok = false;
    int rc = sqlite3_prepare_v2(m->store->read, sql, -1, &stmt, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        ok = f.count == 0 && str_eq(text, "ok");
        if (!ok)
            add_finding(&f, text ? text : "no memory for what was found");
        rc = SQLITE_OK;
    }
    int result = rc == SQLITE_DONE ? 0 : sql_error(err, m->store->read, rc, "%s", sql);
    sqlite3_finalize(stmt);
    if (result != 0)
        return cancelled(m, result, err);
    if (!ok)
        return error_set(err, VX11_ECORRUPT, "the file is damaged: %s", f.count ? f.text : "no result");
    say(w, "%s", good);
    return 0;
}

int step_quick_check(struct maintaining *m, struct step_words *w, struct error *err)
{
    return check_pages(m, "PRAGMA quick_check(5)", "every page is sound", w, err);
}

int step_integrity(struct maintaining *m, struct step_words *w, struct error *err)
{
    return check_pages(m, "PRAGMA integrity_check(5)", "every page, index and constraint is sound", w, err);
}

int step_foreign_keys(struct maintaining *m, struct step_words *w, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    struct findings f = {.text = ""};
    int rc = sqlite3_prepare_v2(m->store->read,
                                "SELECT printf('row %s of %s refers to nothing in %s', coalesce(rowid, '?'),"
                                " \"table\", parent) FROM pragma_foreign_key_check LIMIT 1000",
                                -1, &stmt, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        add_finding(&f, text ? text : "no memory for what was found");
        rc = SQLITE_OK;
    }
    int result = rc == SQLITE_DONE ? 0 : sql_error(err, m->store->read, rc, "foreign_key_check");
    sqlite3_finalize(stmt);
    if (result != 0)
        return cancelled(m, result, err);
    if (f.count > 0)
        return error_set(err, VX11_EINVALID, "%d%s broken references: %s", f.count,
                         f.count == 1000 ? " or more" : "", f.text);
    say(w, "every reference leads to a row");
    return 0;
}

/* ---- backup ---- */

static bool backup_cancelled(void *ctx)
{
    const struct maintaining *m = ctx;
    return m->o->stop && *m->o->stop;
}

int step_backup(struct maintaining *m, struct step_words *w, struct error *err)
{
    struct backup_place *place = malloc(sizeof *place);
    struct backup_item item;
    const struct backup_options options = {.kind = BACKUP_KIND_BEFORE_MAINTAIN,
                                           .compress = m->o->compress_backup,
                                           .key_file = m->o->key_file,
                                           .watch = {.cancelled = backup_cancelled, .ctx = m}};
    int rc = place ? backup_place_of(m->o->home, m->o->database, place, err)
                   : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0)
        rc = backup_make(place, &options, m->arena, &item, err);
    if (rc == 0) {
        m->report->backup = item.name;
        say(w, "%s: %lld bytes, %lld rows, checked", item.name, (long long)item.bytes, (long long)item.rows);
    }
    free(place);
    return rc;
}

/* ---- retention ---- */

static int keep_tables(struct maintaining *m, const struct retain_result *result, struct error *err)
{
    struct maintenance_report *r = m->report;
    r->tables = arena_array(m->arena, result->table_count + 1, sizeof *r->tables);
    if (!r->tables)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < result->table_count; i++) {
        struct maintenance_table *t = &r->tables[r->tables_count++];
        *t = result->tables[i];
        t->name = arena_strdup(m->arena, t->name);
        t->error = t->error ? arena_strdup(m->arena, t->error) : NULL;
        if (!t->name)
            return error_set(err, VX11_ENOMEM, "out of memory");
    }
    return 0;
}

int step_retention(struct maintaining *m, struct step_words *w, struct error *err)
{
    const struct retain_options options = {.now_ms = m->now_ms,
                                           .archive_folder = m->folder,
                                           .archive_wait_ms = ARCHIVE_WAIT_MS,
                                           .target_bytes = m->o->target_bytes,
                                           .actor = m->o->actor,
                                           .dry_run = m->o->dry_run,
                                           .stop = m->o->stop};
    struct retain_result *result = malloc(sizeof *result);
    struct maintenance_report *r = m->report;
    if (!result)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = retain_run(m->store, &options, result, err);
    w->longest_hold_ms = result->longest_hold_ms;
    r->tier = result->tier;
    r->deleted_rows = result->rows + result->children;
    r->archived_rows = result->archived;
    r->archive_bytes = result->archive_bytes;
    say(w, "%lld rows of %zu tables %s, %lld of them were archived (%lld bytes)%s",
        (long long)result->rows + (long long)result->children, result->table_count,
        m->o->dry_run ? "would leave" : "left", (long long)result->archived, (long long)result->archive_bytes,
        result->tier > 0 ? "; the file is at its target size: less is kept" : "");
    if (rc == 0)
        rc = keep_tables(m, result, err);
    else {
        struct error late = {0};
        keep_tables(m, result, &late); /* the first error is the one to hear of */
    }
    if (rc == 0 && !m->o->dry_run && m->o->target_bytes > 0 && result->used_bytes >= m->o->target_bytes)
        rc = error_set(err, VX11_EFULL,
                       "%lld bytes are in use, the target is %lld, and no table may give more: raise "
                       "store.max_bytes, or see `vx11 db map --sizes` for what is large",
                       (long long)result->used_bytes, (long long)m->o->target_bytes);
    free(result);
    return cancelled(m, rc, err);
}

int step_rollup(struct maintaining *m, struct step_words *w, struct error *err)
{
    struct rollup_until until = {0};
    int rc = store_rollup(m->store, m->now_ms, &until, err);
    say(w, "%lld more minutes and hours of metrics were added up", (long long)until.added);
    return rc;
}

/* ---- room ---- */

int step_checkpoint(struct maintaining *m, struct step_words *w, struct error *err)
{
    struct checkpoint_result c;
    int rc = vacuum_checkpoint(m->store, m->o->stop, &c, err);
    w->longest_hold_ms = c.longest_ms;
    if (c.emptied)
        say(w, "the log is in the file, and empty");
    else
        say(w, "%lld of the log's %lld pages are in the file; somebody reads the others, so the log stays",
            (long long)c.moved, (long long)c.log_pages);
    return rc;
}

int step_vacuum(struct maintaining *m, struct step_words *w, struct error *err)
{
    struct hold hold;
    struct checkpoint_result c = {0};
    int64_t freed = 0;
    hold_init(&hold, m->store, m->o->stop);
    int rc = vacuum_pages(&hold, -1, &freed, err);
    hold_end(&hold);
    if (rc == 0)
        rc = vacuum_checkpoint(m->store, m->o->stop, &c, err); /* only now the file gets shorter */
    w->longest_hold_ms = hold.longest_ms > c.longest_ms ? hold.longest_ms : c.longest_ms;
    say(w, "%lld free pages were given back%s", (long long)freed,
        rc == 0 && !c.emptied ? "; the file gets shorter once nobody reads the older state" : "");
    return rc;
}

int step_compact(struct maintaining *m, struct step_words *w, struct error *err)
{
    char folder[4200];
    struct statvfs fs;
    struct checkpoint_result c = {0};
    int64_t used = 0, all = 0;
    const char *slash = strrchr(m->o->database, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - m->o->database) : 1,
             slash ? m->o->database : ".");
    int rc = retain_size(m->store, &used, &all, err);
    if (rc != 0)
        return rc;
    /* The copy, and the log that it goes through. */
    const int64_t need = 2 * used + ((int64_t)16 << 20);
    if (statvfs(folder, &fs) != 0)
        return error_set(err, VX11_EIO, "the room in %s cannot be told", folder);
    const int64_t room = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    if (room < need)
        return error_set(err, VX11_EFULL, "it takes %lld bytes of room, and %lld are free", (long long)need,
                         (long long)room);
    rc = vacuum_whole(m->store, folder, m->o->stop, err);
    if (rc == 0)
        rc = vacuum_checkpoint(m->store, NULL, &c, err);
    int64_t now = all;
    if (rc == 0)
        rc = retain_size(m->store, &used, &now, err);
    say(w, "%lld bytes were %lld", (long long)now, (long long)all);
    return cancelled(m, rc, err);
}

/* ---- optimize ---- */

struct names {
    char (*list)[128];
    size_t count, cap;
};

static int on_name(void *ctx, const struct store_row *row)
{
    struct names *n = ctx;
    if (n->count < n->cap)
        row_copy(row, 0, n->list[n->count++], sizeof n->list[0]);
    return 0;
}

/* Table by table, looking at a bounded number of rows of each index. */
static int analyze(struct hold *h, const char *table, struct error *err)
{
    char *sql = sqlite3_mprintf("ANALYZE main.\"%w\"", table);
    if (!sql)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = hold_begin(h, err);
    if (rc == 0 && (rc = sql_run(h->s->write, sql, err)) != 0)
        hold_rollback(h);
    else if (rc == 0)
        rc = hold_commit(h, err);
    sqlite3_free(sql);
    return rc;
}

int step_optimize(struct maintaining *m, struct step_words *w, struct error *err)
{
    struct hold hold;
    struct names names = {.cap = 200, .list = calloc(200, sizeof *names.list)};
    if (!names.list)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = store_query(m->store,
                         "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
                         " AND substr(name, 1, 7) <> 'sqlite_' ORDER BY name",
                         NULL, 0, on_name, &names, err);
    hold_init(&hold, m->store, m->o->stop);
    if (rc == 0)
        rc = sql_run(m->store->write, "PRAGMA analysis_limit=400", err);
    for (size_t i = 0; rc == 0 && i < names.count; i++)
        rc = analyze(&hold, names.list[i], err);
    if (rc == 0)
        rc = sql_run(m->store->write, "PRAGMA optimize", err);
    hold_end(&hold);
    w->longest_hold_ms = hold.longest_ms;
    say(w, "statistics of %zu tables are fresh", names.count);
    free(names.list);
    return rc;
}

/* ---- archive ---- */

int step_archive(struct maintaining *m, struct step_words *w, struct error *err)
{
    int64_t files = 0, bytes = 0;
    int rc = archive_prune(m->store, m->folder, m->now_ms, m->o->archive_keep_ms, m->o->archive_keep_bytes,
                           &files, &bytes, err);
    say(w, "%lld files of the archive (%lld bytes) were past its bounds and deleted", (long long)files,
        (long long)bytes);
    return rc;
}
