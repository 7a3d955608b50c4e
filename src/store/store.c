/* Store: opening vx11.db, queries and single writes.
 *
 *   store_open ─> no file? make one ─> read connection ─> ours, and sound? ─> write connection ─> migrate
 *
 * Nothing is written before the read connection has looked: a file that is damaged, foreign or too new stays
 * as it is. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "embed/sql.h"
#include "store/connection.h"
#include "store/migrate.h"
#include "store/statements.h"
#include "store/store_internal.h"

/* Files up to this size are checked page by page when the supervisor opens them: that takes some 10 ms at
 * most. */
#define THOROUGH_BYTES (16 * 1024 * 1024)

/* ---- open ---- */

/* WAL needs its two companions beside the file, so the folder must be writable too. */
static int check_writable(const char *path, struct error *err)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".") >=
        (int)sizeof dir)
        return error_set(err, VX11_ETOO_LARGE, "the path %s is too long", path);
    if (faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) != 0)
        return error_set_errno(err, errno, "the folder of %s cannot be written", path);
    if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0 && errno != ENOENT)
        return error_set_errno(err, errno, "%s cannot be written", path);
    return 0;
}

/* Makes sure that there is a file to open. size: its bytes, which say how thorough a check may be. */
static int ensure_file(const struct store_options *o, off_t *size, struct error *err)
{
    struct stat st;
    int rc = o->read_only ? 0 : check_writable(o->path, err);
    if (rc != 0)
        return rc;
    if (stat(o->path, &st) != 0 && errno == ENOENT) {
        if (o->read_only || !o->migrate)
            return error_set(err, VX11_ENOT_FOUND, "there is no database at %s yet: `vx11 up` makes it",
                             o->path);
        rc = database_create(o->path, err);
        if (rc != 0)
            return rc;
    }
    if (stat(o->path, &st) != 0)
        return error_set_errno(err, errno, "cannot look at %s", o->path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, VX11_EINVALID, "%s is not a regular file", o->path);
    if (st.st_mode & 077)
        log_warn("store", "the database can be read by others than its owner", LOG_S("path", o->path));
    *size = st.st_size;
    return 0;
}

/* A file in rollback mode (a restored backup) that was being changed when its writer died: only a connection
 * that may write can undo that. */
static bool has_hot_journal(const char *path)
{
    char journal[PATH_MAX];
    struct stat st;
    return snprintf(journal, sizeof journal, "%s-journal", path) < (int)sizeof journal &&
           stat(journal, &st) == 0 && st.st_size > 0;
}

static int open_connections(struct store *s, const struct store_options *o, off_t size, struct error *err)
{
    int rc = 0;
    if (!o->read_only && has_hot_journal(o->path))
        rc = connection_open(o->path, CONNECTION_WRITE, o->busy_timeout_ms, &s->write, err);
    if (rc == 0)
        rc = connection_open(o->path, CONNECTION_READ, o->busy_timeout_ms, &s->read, err);
    if (rc == 0)
        rc = database_inspect(s->read, o->path, o->migrate && size <= THOROUGH_BYTES, err);
    if (rc == 0 && !o->read_only && !s->write)
        rc = connection_open(o->path, CONNECTION_WRITE, o->busy_timeout_ms, &s->write, err);
    return rc;
}

static int bring_schema(struct store *s, const struct store_options *o, const struct embed_file *files,
                        size_t count, struct error *err)
{
    if (o->migrate && !o->read_only)
        return migrate_apply(s->write, o->path, files, count, &s->version, err);
    int rc = migrate_check(s->read, o->path, files, count, &s->version, err);
    int highest = migrate_highest(files, count, NULL);
    if (rc == 0 && s->version < highest)
        rc = error_set(err, VX11_EVERSION, "%s has schema %d, this program needs %d: `vx11 up` migrates it",
                       o->path, s->version, highest);
    return rc;
}

int store_open_with(const struct store_options *options, const struct embed_file *files, size_t count,
                    struct store **out, struct error *err)
{
    *out = NULL;
    if (!options->path || !*options->path)
        return error_set(err, VX11_EINVALID, "the database has no path");
    struct store *s = calloc(1, sizeof *s);
    if (!s || !(s->path = strdup(options->path))) {
        free(s);
        return error_set(err, VX11_ENOMEM, "no memory to open %s", options->path);
    }
    off_t size = 0;
    int rc = ensure_file(options, &size, err);
    if (rc == 0)
        rc = open_connections(s, options, size, err);
    statements_init(&s->reads, s->read);
    statements_init(&s->writes, s->write);
    if (rc == 0)
        rc = bring_schema(s, options, files, count, err);
    if (rc != 0) {
        store_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

int store_open(const struct store_options *options, struct store **out, struct error *err)
{
    return store_open_with(options, embed_sql_files, embed_sql_count, out, err);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    statements_clear(&s->reads);
    statements_clear(&s->writes);
    /* The writing one last: the last connection of all moves the log into the file and removes it. */
    connection_close(s->read);
    connection_close(s->write);
    free(s->path);
    free(s);
}

int store_schema_version(struct store *s)
{
    return s->version;
}

int store_schema_current(void)
{
    return migrate_highest(embed_sql_files, embed_sql_count, NULL);
}

/* ---- queries ---- */

/* Steps through the rows. fn's non-zero is returned as it is. */
static int query_rows(sqlite3 *db, sqlite3_stmt *stmt, int (*fn)(void *ctx, const struct store_row *row),
                      void *ctx, struct error *err)
{
    struct store_row row = {stmt};
    int rc = SQLITE_OK, result = 0;
    while (result == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (fn)
            result = fn(ctx, &row);
        /* A column that could not be converted for want of memory reads as NULL; it is none. */
        if (result == 0 && sqlite3_errcode(db) == SQLITE_NOMEM)
            return error_set(err, VX11_ENOMEM, "no memory for a row of: %.80s", sqlite3_sql(stmt));
    }
    if (result == 0 && rc != SQLITE_DONE)
        result = sql_error(err, db, rc, "%.80s", sqlite3_sql(stmt));
    return result;
}

int store_query(struct store *s, const char *sql, const struct store_value *values, size_t n,
                int (*fn)(void *ctx, const struct store_row *row), void *ctx, struct error *err)
{
    /* Inside a transaction a query must see what the transaction wrote. */
    struct statements *c = s->in_transaction ? &s->writes : &s->reads;
    sqlite3_stmt *stmt;
    int rc = statements_get(c, sql, &stmt, err);
    if (rc != 0)
        return rc;
    if (!sqlite3_stmt_readonly(stmt) || sqlite3_column_count(stmt) == 0)
        rc = error_set(err, VX11_EINVALID, "not a query: %.80s", sql);
    if (rc == 0)
        rc = statement_bind(c->db, stmt, values, n, err);
    if (rc == 0)
        rc = query_rows(c->db, stmt, fn, ctx, err);
    statements_put(c, stmt);
    return rc;
}

static int take_int(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

int store_data_version(struct store *s, int64_t *out, struct error *err)
{
    sqlite3_stmt *stmt;
    int rc = statements_get(&s->reads, "PRAGMA data_version", &stmt, err);
    if (rc == 0)
        rc = query_rows(s->read, stmt, take_int, out, err);
    statements_put(&s->reads, stmt);
    return rc;
}

/* ---- writes ---- */

static int check_may_write(struct store *s, struct error *err)
{
    if (!s->write)
        return error_set(err, VX11_EPERMISSION, "%s was opened for reading only", s->path);
    /* SQLite itself rolls back after some errors; what follows must not commit by itself. */
    if (s->in_transaction && sqlite3_get_autocommit(s->write))
        return error_set(err, VX11_ECANCELLED, "the transaction was rolled back after an earlier error");
    return s->in_transaction ? 0 : sql_settle(s->write, err);
}

static int step_through(sqlite3 *db, sqlite3_stmt *stmt, int64_t *changes, struct error *err)
{
    int64_t before = sqlite3_total_changes64(db);
    int rc;
    do
        rc = sqlite3_step(stmt);
    while (rc == SQLITE_ROW); /* RETURNING */
    if (rc != SQLITE_DONE)
        return sql_error(err, db, rc, "%.80s", sqlite3_sql(stmt));
    /* changes64 keeps its old value when a statement changes no row. */
    if (changes && sqlite3_total_changes64(db) != before)
        *changes = sqlite3_changes64(db);
    return 0;
}

int store_exec(struct store *s, const char *sql, const struct store_value *values, size_t n, int64_t *changes,
               struct error *err)
{
    if (changes)
        *changes = 0;
    sqlite3_stmt *stmt = NULL;
    int rc = check_may_write(s, err);
    if (rc != 0 || (rc = statements_get(&s->writes, sql, &stmt, err)) != 0)
        return rc;
    if (sqlite3_stmt_readonly(stmt))
        rc = error_set(err, VX11_EINVALID, "not a write: %.80s", sql);
    if (rc == 0)
        rc = statement_bind(s->write, stmt, values, n, err);
    if (rc == 0)
        rc = step_through(s->write, stmt, changes, err);
    statements_put(&s->writes, stmt);
    return rc;
}

/* durable: the level cannot change inside a transaction, so it is set around it. */
static int set_durable(struct store *s, bool durable, struct error *err)
{
    int64_t level = 0;
    int rc = sql_run(s->write, durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", err);
    if (rc == 0)
        rc = sql_int(s->write, "PRAGMA synchronous", &level, err);
    if (rc == 0 && level != (durable ? 2 : 1))
        rc = error_set(err, VX11_EINTERNAL, "SQLite does not take PRAGMA synchronous");
    return rc;
}

int store_transaction_durable(struct store *s, int (*fn)(void *ctx, struct store *s, struct error *err),
                              void *ctx, struct error *err)
{
    if (s->in_transaction)
        return error_set(err, VX11_EINVALID, "a transaction inside a transaction");
    int rc = check_may_write(s, err);
    if (rc == 0)
        rc = set_durable(s, true, err);
    if (rc != 0)
        return rc;
    s->durable = true;
    s->ledger = (struct ledger_tail){0};
    rc = store_transaction(s, fn, ctx, err);
    s->durable = false;
    struct error late = {0};
    if (set_durable(s, false, &late) != 0) /* it stays at FULL: slower, not wrong */
        log_warn("store", "a connection stays at synchronous=FULL", LOG_S("reason", late.text));
    if (rc == 0 && s->ledger.n > 0 && !s->anchor_waits)
        ledger_anchor_advance(s, &s->ledger);
    return rc;
}

int store_transaction(struct store *s, int (*fn)(void *ctx, struct store *s, struct error *err), void *ctx,
                      struct error *err)
{
    if (s->in_transaction)
        return error_set(err, VX11_EINVALID, "a transaction inside a transaction");
    int rc = check_may_write(s, err);
    if (rc != 0 || (rc = sql_run(s->write, "BEGIN IMMEDIATE", err)) != 0)
        return rc;
    s->in_transaction = true;
    rc = fn(ctx, s, err);
    if (rc == 0)
        rc = check_may_write(s, err);
    s->in_transaction = false;
    if (rc == 0)
        rc = sql_run(s->write, "COMMIT", err);
    if (rc != 0)
        sql_settle(s->write, NULL); /* what fails here is done by the next write */
    return rc;
}
