/* Migrate: brings the schema to what this program knows.
 *
 *   each missing file: BEGIN IMMEDIATE > still missing? > its SQL > references whole? > note it > COMMIT
 *
 * The second look inside the transaction is what makes two processes that start at once apply each file once.
 * A file's SHA-256 is kept with it: an applied migration that was edited afterwards is a mistake, and is
 * refused. */
#include "store/migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "store/connection.h"
#include "version.h"

static const char schema_migration_sql[] =
    "CREATE TABLE IF NOT EXISTS schema_migration (\n"
    "    version         INTEGER NOT NULL PRIMARY KEY CHECK (version > 0), -- number of the file in sql/\n"
    "    name            TEXT NOT NULL,                                    -- its name without number and "
    "ending\n"
    "    sha256          TEXT NOT NULL CHECK (length(sha256) = 64),        -- of the file, in hex\n"
    "    applied_at      INTEGER NOT NULL,                                 -- epoch ms\n"
    "    program_version TEXT NOT NULL,                                    -- VX11 that applied it\n"
    "    duration_ms     INTEGER NOT NULL CHECK (duration_ms >= 0)         -- how long its SQL took\n"
    ") STRICT";

/* "0001_core.sql": 1, and the name's place and length. Negative when it is no such name. */
static int file_version(const struct embed_file *f, const char **name, int *name_len)
{
    int version = 0;
    const char *s = f->name;
    for (int i = 0; i < 4; i++, s++) {
        if (*s < '0' || *s > '9')
            return -1;
        version = version * 10 + (*s - '0');
    }
    if (*s++ != '_' || !str_ends(s, ".sql") || strlen(s) == 4 || strlen(s) > 100)
        return -1;
    *name = s;
    *name_len = (int)strlen(s) - 4;
    return version > 0 ? version : -1;
}

int migrate_highest(const struct embed_file *files, size_t count, struct error *err)
{
    int highest = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name;
        int name_len;
        int version = file_version(&files[i], &name, &name_len);
        if (version <= highest)
            return error_set(err, VX11_EINTERNAL, "migration %s is not named and numbered as it should be",
                             files[i].name);
        highest = version;
    }
    return highest;
}

static void file_sha256(const struct embed_file *f, char hex[2 * crypto_hash_sha256_BYTES + 1])
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, f->data, f->size);
    hex_encode(hash, sizeof hash, hex);
}

/* ---- compare ---- */

/* One applied migration against the i-th file. */
static int compare_row(sqlite3_stmt *row, const char *path, const struct embed_file *files, size_t count,
                       size_t i, int highest, struct error *err)
{
    int version = sqlite3_column_int(row, 0);
    const char *sha = (const char *)sqlite3_column_text(row, 1);
    const char *by = (const char *)sqlite3_column_text(row, 2);
    const char *name;
    int name_len;
    char want[2 * crypto_hash_sha256_BYTES + 1];
    if (!sha || !by)
        return error_set(err, VX11_ENOMEM, "no memory to read the migrations of %s", path);
    if (i >= count || file_version(&files[i], &name, &name_len) != version)
        return error_set(
            err, VX11_EVERSION,
            "%s has migration %d, which this program (schema %d) does not know: VX11 %s applied it", path,
            version, highest, by);
    file_sha256(&files[i], want);
    if (!str_eq(sha, want))
        return error_set(err, VX11_EVERSION,
                         "migration %s was changed after it was applied to %s (by VX11 %s): an applied "
                         "migration is never edited",
                         files[i].name, path, by);
    return 0;
}

static int has_table(sqlite3 *db, int64_t *out, struct error *err)
{
    return sql_int(db,
                   "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migration'",
                   out, err);
}

int migrate_check(sqlite3 *db, const char *path, const struct embed_file *files, size_t count, int *applied,
                  struct error *err)
{
    *applied = 0;
    int highest = migrate_highest(files, count, err);
    int64_t there = 0, newest = 0;
    int result = highest < 0 ? highest : has_table(db, &there, err);
    if (result != 0 || !there)
        return result;
    result = sql_int(db, "SELECT coalesce(max(version), 0) FROM schema_migration", &newest, err);
    if (result != 0)
        return error_prefix(err, result, "%s", path);
    if (newest > highest)
        return error_set(err, VX11_EVERSION,
                         "%s was made by a newer VX11 (schema %lld, this program knows %d)", path,
                         (long long)newest, highest);
    sqlite3_stmt *rows = NULL;
    int rc = sqlite3_prepare_v2(
        db, "SELECT version, sha256, program_version FROM schema_migration ORDER BY version", -1, &rows,
        NULL);
    for (size_t i = 0; rc == SQLITE_OK && result == 0 && (rc = sqlite3_step(rows)) == SQLITE_ROW;
         i++, rc = SQLITE_OK)
        result = compare_row(rows, path, files, count, i, highest, err);
    if (result == 0 && rc != SQLITE_DONE)
        result = sql_error(err, db, rc, "cannot read the migrations of %s", path);
    sqlite3_finalize(rows);
    if (result == 0)
        *applied = (int)newest;
    return result;
}

/* ---- apply ---- */

static int check_foreign_keys(sqlite3 *db, const char *name, struct error *err)
{
    int64_t broken = 0;
    int rc = sql_int(db, "SELECT count(*) FROM pragma_foreign_key_check", &broken, err);
    if (rc == 0 && broken > 0)
        rc = error_set(err, VX11_EINTERNAL, "migration %s leaves %lld broken references", name,
                       (long long)broken);
    return rc;
}

static int note_applied(sqlite3 *db, const struct embed_file *f, int64_t duration_ms, struct error *err)
{
    const char *name;
    int name_len;
    char sha[2 * crypto_hash_sha256_BYTES + 1];
    int version = file_version(f, &name, &name_len);
    file_sha256(f, sha);
    sqlite3_stmt *stmt = NULL;
    int rc =
        sqlite3_prepare_v2(db,
                           "INSERT INTO schema_migration (version, name, sha256, applied_at, program_version,"
                           " duration_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                           -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_int(stmt, 1, version);
        sqlite3_bind_text(stmt, 2, name, name_len, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 3, sha, -1, SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 4, clock_wall_ms());
        sqlite3_bind_text(stmt, 5, VX11_VERSION, -1, SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 6, duration_ms);
        rc = sqlite3_step(stmt);
    }
    int result = rc == SQLITE_DONE ? 0 : sql_error(err, db, rc, "cannot note migration %s", f->name);
    sqlite3_finalize(stmt);
    return result;
}

/* Inside a transaction: the file's SQL and its row. */
static int apply_inside(sqlite3 *db, const struct embed_file *f, struct error *err)
{
    int64_t started = clock_mono_ms();
    char *message = NULL;
    /* data is followed by a zero byte, see base/embed.h */
    int rc = sqlite3_exec(db, (const char *)f->data, NULL, NULL, &message);
    if (rc != SQLITE_OK) {
        int code = error_set(err, sql_code(db, rc), "migration %s: %s", f->name,
                             message ? message : sqlite3_errstr(rc));
        sqlite3_free(message);
        return code;
    }
    if (sqlite3_get_autocommit(db))
        return error_set(err, VX11_EINTERNAL, "migration %s ends the transaction it runs in", f->name);
    rc = check_foreign_keys(db, f->name, err);
    return rc != 0 ? rc : note_applied(db, f, clock_mono_ms() - started, err);
}

/* One transaction: at most the first file that is missing. *applied moves on, whoever applied it. */
static int apply_next(sqlite3 *db, const char *path, const struct embed_file *files, size_t count,
                      int *applied, struct error *err)
{
    int rc = sql_run(db, "BEGIN IMMEDIATE", err);
    if (rc != 0)
        return error_prefix(err, rc, "cannot migrate %s", path);
    const struct embed_file *next = NULL;
    const char *name = "";
    int name_len = 0, version = 0;
    rc = sql_run(db, schema_migration_sql, err);
    if (rc == 0)
        rc = migrate_check(db, path, files, count, applied, err);
    for (size_t i = 0; rc == 0 && i < count && !next; i++)
        if ((version = file_version(&files[i], &name, &name_len)) > *applied)
            next = &files[i];
    if (rc == 0 && next)
        rc = apply_inside(db, next, err);
    if (rc == 0)
        rc = sql_run(db, "COMMIT", err);
    if (rc != 0) {
        sql_settle(db, NULL); /* the connection is closed after this anyway */
        return error_prefix(err, rc, "%s stays at schema %d", path, *applied);
    }
    if (next) {
        *applied = version;
        log_info("store", "migration applied", LOG_S("path", path), LOG_S("file", next->name));
    }
    return 0;
}

int migrate_apply(sqlite3 *db, const char *path, const struct embed_file *files, size_t count, int *applied,
                  struct error *err)
{
    int rc = migrate_check(db, path, files, count, applied, err);
    int highest = migrate_highest(files, count, NULL);
    if (rc != 0 || *applied >= highest)
        return rc;
    /* A migration may rebuild a table, which SQLite allows only with foreign keys off; each one checks them
     * before it commits. */
    rc = sql_run(db, "PRAGMA foreign_keys=OFF", err);
    while (rc == 0 && *applied < highest)
        rc = apply_next(db, path, files, count, applied, err);
    int64_t on = 0;
    struct error late = {0};
    if (sql_run(db, "PRAGMA foreign_keys=ON", &late) != 0 ||
        sql_int(db, "PRAGMA foreign_keys", &on, &late) != 0 || on != 1)
        rc = rc != 0 ? rc : error_set(err, VX11_EINTERNAL, "%s: foreign keys stay off: %s", path, late.text);
    return rc;
}
