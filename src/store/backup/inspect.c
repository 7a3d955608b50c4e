/* Inspect: is a copy a whole database of ours, and what is in it. The file is opened as one that does not
 * change: no locks, no files beside it, so that a backup can be looked at in place. */
#include "store/backup/backup_internal.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

#define PROGRESS_STEPS 20000 /* of SQLite's machine between two looks at the watch */
#define TABLES_MAX     2000
#define MIGRATIONS_MAX 9999

static int on_progress(void *ctx)
{
    const struct backup_watch *w = ctx;
    return w && w->cancelled && w->cancelled(w->ctx);
}

/* As a URI, in which a path must not be taken for parameters. */
static int open_still(const char *path, sqlite3 **out, struct error *err)
{
    struct buf uri = BUF_INIT;
    buf_puts(&uri, "file:");
    for (const char *p = path; *p; p++) {
        if (strchr("%?#", *p) || (unsigned char)*p < 0x21)
            buf_printf(&uri, "%%%02X", (unsigned)(unsigned char)*p);
        else
            buf_putc(&uri, *p);
    }
    if (buf_puts(&uri, "?immutable=1") != 0 || uri.failed) {
        buf_free(&uri);
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    int rc = sqlite3_open_v2(
        uri.data, out, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
        NULL);
    buf_free(&uri);
    if (rc != SQLITE_OK)
        return sql_error(err, *out, rc, "cannot open %s", path);
    sqlite3_db_config(*out, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(*out, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return sql_run(*out, "PRAGMA cell_size_check=ON; PRAGMA query_only=ON; PRAGMA cache_size=-8192", err);
}

/* ---- whole? ---- */

static int check_pragma(sqlite3 *db, const char *pragma, bool says_ok, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, pragma, -1, &stmt, NULL), result = 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        if (!says_ok)
            result = error_set(err, VX11_ECORRUPT, "a row of %.100s refers to one that is not there",
                               text ? text : "a table");
        else if (!str_eq(text, "ok"))
            result = error_set(err, VX11_ECORRUPT, "%.300s", text ? text : "out of memory");
    } else if (rc != SQLITE_DONE) {
        result = sql_error(err, db, rc, "%s", pragma);
    }
    sqlite3_finalize(stmt);
    return result;
}

static int check_whole(sqlite3 *db, struct error *err)
{
    int64_t id = 0;
    int rc = sql_int(db, "PRAGMA application_id", &id, err);
    if (rc == 0 && id != STORE_APPLICATION_ID)
        rc = error_set(err, VX11_ECORRUPT, "it is no database of VX11 (application id %lld)", (long long)id);
    if (rc == 0)
        rc = check_pragma(db, "PRAGMA integrity_check(1)", true, err);
    if (rc == 0)
        rc = check_pragma(db, "PRAGMA foreign_key_check", false, err);
    return rc;
}

/* ---- what is in it ---- */

static int read_migrations(sqlite3 *db, struct arena *a, struct copy_facts *f, struct error *err)
{
    int64_t there = 0, count = 0;
    int rc =
        sql_int(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migration'",
                &there, err);
    if (rc != 0 || !there)
        return rc;
    rc = sql_int(db, "SELECT count(*) FROM schema_migration", &count, err);
    if (rc != 0)
        return rc;
    if (count > MIGRATIONS_MAX)
        return error_set(err, VX11_ECORRUPT, "it says it had %lld migrations", (long long)count);
    f->migrations = arena_array(a, (size_t)count + 1, sizeof *f->migrations);
    if (!f->migrations)
        return error_set(err, VX11_ENOMEM, "out of memory");
    sqlite3_stmt *stmt = NULL;
    int step = sqlite3_prepare_v2(db, "SELECT version, sha256 FROM schema_migration ORDER BY version", -1,
                                  &stmt, NULL);
    while (step == SQLITE_OK || step == SQLITE_ROW) {
        if ((step = sqlite3_step(stmt)) != SQLITE_ROW || f->migrations_count == (size_t)count)
            break;
        struct backup_migration *m = &f->migrations[f->migrations_count++];
        const char *sha = (const char *)sqlite3_column_text(stmt, 1);
        m->version = f->schema_version = sqlite3_column_int64(stmt, 0);
        m->sha256 = arena_strdup(a, sha ? sha : "");
    }
    if (step != SQLITE_DONE)
        rc = sql_error(err, db, step, "its migrations cannot be read");
    sqlite3_finalize(stmt);
    return rc;
}

static int table_rows(sqlite3 *db, struct backup_table *t, struct error *err)
{
    char *sql = sqlite3_mprintf("SELECT count(*) FROM \"%w\"", t->name);
    int rc = sql ? sql_int(db, sql, &t->rows, err) : error_set(err, VX11_ENOMEM, "out of memory");
    sqlite3_free(sql);
    return rc;
}

static int read_tables(sqlite3 *db, struct arena *a, struct copy_facts *f, struct error *err)
{
    static const char sql[] =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%'"
        " ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name";
    sqlite3_stmt *stmt = NULL;
    int rc = 0, step = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    f->tables = arena_array(a, TABLES_MAX, sizeof *f->tables);
    if (!f->tables)
        rc = error_set(err, VX11_ENOMEM, "out of memory");
    while (rc == 0 && (step == SQLITE_OK || step == SQLITE_ROW) &&
           (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(stmt, 0);
        if (f->tables_count == TABLES_MAX) {
            rc = error_set(err, VX11_ECORRUPT, "it has more than %d tables", TABLES_MAX);
            break;
        }
        struct backup_table *t = &f->tables[f->tables_count++];
        t->name = arena_strdup(a, name ? name : "");
        rc = t->name ? table_rows(db, t, err) : error_set(err, VX11_ENOMEM, "out of memory");
        f->rows += t->rows;
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = sql_error(err, db, step, "its tables cannot be read");
    sqlite3_finalize(stmt);
    return rc;
}

/* The end of the ledger: a copy that was cut short, or an older one in its place, shows there. */
static int read_ledger(sqlite3 *db, struct arena *a, struct copy_facts *f, struct error *err)
{
    int64_t there = 0;
    int rc = sql_int(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'ledger'",
                     &there, err);
    if (rc != 0 || !there)
        return rc;
    sqlite3_stmt *stmt = NULL;
    int step =
        sqlite3_prepare_v2(db, "SELECT n, hex(hash) FROM ledger ORDER BY n DESC LIMIT 1", -1, &stmt, NULL);
    if (step == SQLITE_OK)
        step = sqlite3_step(stmt);
    if (step == SQLITE_ROW) {
        const char *hex = (const char *)sqlite3_column_text(stmt, 1);
        char *lower = arena_strdup(a, hex ? hex : "");
        for (char *p = lower; p && *p; p++)
            if (*p >= 'A' && *p <= 'F')
                *p = (char)(*p + 32);
        f->has_ledger = true;
        f->ledger_n = sqlite3_column_int64(stmt, 0);
        f->ledger_hash = lower;
        if (!lower)
            rc = error_set(err, VX11_ENOMEM, "out of memory");
    } else if (step != SQLITE_DONE) {
        rc = sql_error(err, db, step, "its ledger cannot be read");
    }
    sqlite3_finalize(stmt);
    return rc;
}

int copy_inspect(const char *path, const struct backup_watch *watch, struct arena *a, struct copy_facts *out,
                 struct error *err)
{
    sqlite3 *db = NULL;
    memset(out, 0, sizeof *out);
    int rc = watch_step(watch, "check", 0, 0, err);
    if (rc == 0)
        rc = open_still(path, &db, err);
    if (rc == 0 && watch)
        sqlite3_progress_handler(db, PROGRESS_STEPS, on_progress, (void *)(uintptr_t)watch);
    if (rc == 0)
        rc = check_whole(db, err);
    if (rc == 0)
        rc = read_migrations(db, a, out, err);
    if (rc == 0)
        rc = read_tables(db, a, out, err);
    if (rc == 0)
        rc = read_ledger(db, a, out, err);
    sqlite3_close_v2(db);
    return rc;
}
