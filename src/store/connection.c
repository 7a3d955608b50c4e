/* Connection: how a connection is opened (flags, pragmas, each read back), and what SQLite's result codes
 * mean here.
 *
 * The header is read through the connection's own file object, never through a descriptor of our own: closing
 * any descriptor of a file drops all POSIX locks that this process has on it, those of other connections
 * included. */
#include "store/connection.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/str.h"

#define HEADER_MAGIC "SQLite format 3" /* 16 bytes with its NUL */
#define HEADER_LEN   100

/* The errno behind an I/O error. SQLite's note of it may be of a later call, so the files are asked too. */
static int system_errno(sqlite3 *db)
{
    int sys = sqlite3_system_errno(db), last = 0;
    sqlite3_file *log = NULL;
    if (sys == 0)
        sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &sys);
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK && log &&
        log->pMethods)
        log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &last);
    return last ? last : sys;
}

int sql_code(sqlite3 *db, int rc)
{
    bool asks = db && ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN);
    int sys = asks ? system_errno(db) : 0;
    bool full = sys == ENOSPC || sys == EDQUOT || sys == EFBIG;
    bool refused = sys == EACCES || sys == EPERM || sys == EROFS;
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return VX11_EFULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return VX11_EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return VX11_ECORRUPT;
    case SQLITE_IOERR:
        return rc == SQLITE_IOERR_NOMEM ? VX11_ENOMEM
               : full                   ? VX11_EFULL
               : refused                ? VX11_EPERMISSION
                                        : VX11_EIO;
    case SQLITE_CANTOPEN:
        return full ? VX11_EFULL : sys == ENOENT ? VX11_ENOT_FOUND : VX11_EPERMISSION;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return VX11_EPERMISSION;
    case SQLITE_CONSTRAINT:
        return rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
                       rc == SQLITE_CONSTRAINT_ROWID
                   ? VX11_EEXISTS
                   : VX11_EINVALID;
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
        return VX11_EINVALID;
    case SQLITE_TOOBIG:
        return VX11_ETOO_LARGE;
    case SQLITE_NOMEM:
        return VX11_ENOMEM;
    case SQLITE_INTERRUPT:
        return VX11_ECANCELLED;
    default:
        return VX11_EINTERNAL;
    }
}

int sql_error(struct error *err, sqlite3 *db, int rc, const char *fmt, ...)
{
    int code = sql_code(db, rc);
    char what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    /* The connection's message belongs to its last error, which need not be rc. */
    bool own = db && (sqlite3_errcode(db) & 0xff) == (rc & 0xff);
    const char *text = own ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    bool asks = db && ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN);
    int sys = asks ? system_errno(db) : 0;
    return error_set(err, code, "%s: %s%s%s", what, text, sys ? ": " : "", sys ? strerrordesc_np(sys) : "");
}

int sql_run(sqlite3 *db, const char *sql, struct error *err)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : sql_error(err, db, rc, "%.60s", sql);
}

int sql_settle(sqlite3 *db, struct error *err)
{
    return sqlite3_get_autocommit(db) ? 0 : sql_run(db, "ROLLBACK", err);
}

int sql_int(sqlite3 *db, const char *sql, int64_t *out, struct error *err)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return sql_error(err, db, rc, "%.60s", sql);
    int result = 0;
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(stmt, 0);
    else if (rc == SQLITE_DONE)
        result = error_set(err, VX11_ENOT_FOUND, "%.60s: no row", sql);
    else
        result = sql_error(err, db, rc, "%.60s", sql);
    sqlite3_finalize(stmt);
    return result;
}

/* ---- pragmas ---- */

struct pragma {
    unsigned roles; /* bit 1 << role */
    const char *set, *get;
    const char *want; /* what get answers */
};
#define READING_ROLES (1u << CONNECTION_READ | 1u << CONNECTION_STILL)
#define ALL_ROLES     (READING_ROLES | 1u << CONNECTION_WRITE | 1u << CONNECTION_BATCH)
#define WRITING_ROLES (1u << CONNECTION_WRITE | 1u << CONNECTION_BATCH)

/* Caches are small because every module's process has three of these connections, and the kernel caches the
 * file anyway. */
static const struct pragma pragmas[] = {
    {WRITING_ROLES, "PRAGMA journal_mode=WAL", "PRAGMA journal_mode", "wal"},
    {ALL_ROLES, "PRAGMA synchronous=NORMAL", "PRAGMA synchronous", "1"},
    {ALL_ROLES, "PRAGMA foreign_keys=ON", "PRAGMA foreign_keys", "1"},
    {ALL_ROLES, "PRAGMA trusted_schema=OFF", "PRAGMA trusted_schema", "0"},
    {ALL_ROLES, "PRAGMA cell_size_check=ON", "PRAGMA cell_size_check", "1"},
    {ALL_ROLES, "PRAGMA temp_store=MEMORY", "PRAGMA temp_store", "2"},
    {ALL_ROLES, "PRAGMA mmap_size=0", "PRAGMA mmap_size", "0"},
    {ALL_ROLES, "PRAGMA cache_size=-1024", "PRAGMA cache_size", "-1024"},
    {WRITING_ROLES, "PRAGMA journal_size_limit=16777216", "PRAGMA journal_size_limit", "16777216"},
    {1u << CONNECTION_BATCH, "PRAGMA wal_autocheckpoint=1000", "PRAGMA wal_autocheckpoint", "1000"},
    {1u << CONNECTION_WRITE, "PRAGMA wal_autocheckpoint=2000", "PRAGMA wal_autocheckpoint", "2000"},
    {READING_ROLES, "PRAGMA query_only=ON", "PRAGMA query_only", "1"},
};

static int pragma_apply(sqlite3 *db, const struct pragma *p, struct error *err)
{
    int rc = sql_run(db, p->set, err);
    if (rc != 0)
        return rc;
    sqlite3_stmt *stmt;
    rc = sqlite3_prepare_v2(db, p->get, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    int result = 0;
    if (rc == SQLITE_ROW) {
        const char *got = (const char *)sqlite3_column_text(stmt, 0);
        if (!got && sqlite3_errcode(db) == SQLITE_NOMEM) /* no room for the text of a number */
            result = sql_error(err, db, SQLITE_NOMEM, "%s", p->get);
        else if (!str_eq(got, p->want))
            result = error_set(err, VX11_EUNSUPPORTED, "%s had no effect: it reads back as %s", p->set,
                               got ? got : "nothing");
    } else {
        result = rc == SQLITE_DONE ? error_set(err, VX11_EUNSUPPORTED, "this SQLite does not know %s", p->get)
                                   : sql_error(err, db, rc, "%s", p->get);
    }
    sqlite3_finalize(stmt);
    return result;
}

static int configure(sqlite3 *db, struct error *err)
{
    static const struct {
        int op, value;
        const char *name;
    } options[] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1, "defensive"},
        {SQLITE_DBCONFIG_DQS_DML, 0, "dqs_dml"},
        {SQLITE_DBCONFIG_DQS_DDL, 0, "dqs_ddl"},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, "trusted_schema"},
        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, "load_extension"},
    };
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        int now = -1;
        int rc = sqlite3_db_config(db, options[i].op, options[i].value, &now);
        if (rc != SQLITE_OK || now != options[i].value)
            return error_set(err, VX11_EUNSUPPORTED, "this SQLite cannot set %s to %d", options[i].name,
                             options[i].value);
    }
    return 0;
}

/* ---- header ---- */

#define ADVICE "it was left as it is: move it away, or put a backup in its place"

int error_damaged(struct error *err, const char *path, const char *why)
{
    return error_set(err, VX11_ECORRUPT, "%s is damaged (%.200s); " ADVICE, path, why);
}

static int check_header(sqlite3 *db, const char *path, struct error *err)
{
    sqlite3_file *file = NULL;
    unsigned char h[HEADER_LEN];
    sqlite3_int64 size = 0;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (rc == SQLITE_OK && file && file->pMethods)
        rc = file->pMethods->xFileSize(file, &size);
    if (rc != SQLITE_OK || !file || !file->pMethods)
        return error_set(err, VX11_EIO, "the size of %s cannot be read", path);
    if (size == 0)
        return error_set(err, VX11_ECORRUPT, "%s is empty, so not a SQLite database; " ADVICE, path);
    if (size < HEADER_LEN)
        return error_set(err, VX11_ECORRUPT, "%s is not a SQLite database (%lld bytes); " ADVICE, path,
                         (long long)size);
    rc = file->pMethods->xRead(file, h, HEADER_LEN, 0);
    if (rc != SQLITE_OK)
        return error_set(err, VX11_EIO, "%s cannot be read: %s", path, sqlite3_errstr(rc));
    if (memcmp(h, HEADER_MAGIC, sizeof HEADER_MAGIC) != 0)
        return error_set(err, VX11_ECORRUPT, "%s is not a SQLite database; " ADVICE, path);
    unsigned page = (unsigned)h[16] << 8 | h[17];
    if (page != 1 && (page < 512 || (page & (page - 1)) != 0))
        return error_set(err, VX11_ECORRUPT, "%s is damaged (page size %u); " ADVICE, path, page);
    return 0;
}

/* ---- open ---- */

/* "file:PATH?immutable=1", with what a URI would read something into escaped. */
static int still_name(const char *path, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "file:%s", path[0] == '/' ? "//" : "");
    for (; *path; path++) {
        const unsigned char c = (unsigned char)*path;
        const bool plain =
            (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("/._-", c);
        if (n + 4 > size)
            return VX11_ETOO_LARGE;
        n += (size_t)snprintf(out + n, size - n, plain ? "%c" : "%%%02X", c);
    }
    return (size_t)snprintf(out + n, size - n, "?immutable=1") < size - n ? 0 : VX11_ETOO_LARGE;
}

/* ---- waiting for a lock ---- */

struct patience {
    int64_t limit_ms;
    uint64_t since_ns;
};

/* SQLite's own handler asks at growing intervals, up to 100 ms: whoever works in short transactions with
 * short pauses between, as maintenance does, would keep others out for many of them. An attempt costs some
 * us. */
static int on_busy(void *ctx, int count)
{
    static const struct timespec pause = {.tv_nsec = 500000};
    struct patience *p = ctx;
    if (count == 0)
        p->since_ns = clock_mono_ns();
    if (clock_mono_ns() - p->since_ns >= (uint64_t)p->limit_ms * 1000000)
        return 0;
    nanosleep(&pause, NULL);
    return 1;
}

/* vx11_busy_timeout(): what PRAGMA busy_timeout is for SQLite's own handler. */
static void busy_timeout(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    const struct patience *p = sqlite3_user_data(context);
    (void)argc;
    (void)argv;
    sqlite3_result_int64(context, p->limit_ms);
}

int connection_wait(sqlite3 *db, int64_t ms, struct error *err)
{
    struct patience *p = malloc(sizeof *p);
    if (!p)
        return error_set(err, VX11_ENOMEM, "out of memory");
    *p = (struct patience){.limit_ms = ms};
    /* The function owns it: it is freed with the connection, or when another one takes its place. */
    int rc = sqlite3_create_function_v2(db, "vx11_busy_timeout", 0, SQLITE_UTF8 | SQLITE_DIRECTONLY, p,
                                        busy_timeout, NULL, NULL, free);
    if (rc != SQLITE_OK)
        return sql_error(err, db, rc, "the busy timeout cannot be set");
    sqlite3_busy_handler(db, on_busy, p);
    return 0;
}

int connection_open(const char *path, enum connection_role role, int64_t busy_timeout_ms, sqlite3 **out,
                    struct error *err)
{
    *out = NULL;
    sqlite3 *db = NULL;
    const bool reads = role == CONNECTION_READ || role == CONNECTION_STILL;
    int flags = (reads ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_EXRESCODE | (role == CONNECTION_STILL ? SQLITE_OPEN_URI : 0);
    char still[3 * PATH_MAX];
    int64_t timeout = busy_timeout_ms > 0 && busy_timeout_ms < INT32_MAX ? busy_timeout_ms : 5000;
    int result;
    if (role == CONNECTION_STILL && still_name(path, still, sizeof still) != 0)
        return error_set(err, VX11_ETOO_LARGE, "the path %.200s is too long", path);
    int rc = sqlite3_open_v2(role == CONNECTION_STILL ? still : path, &db, flags, NULL);
    if (rc != SQLITE_OK) {
        result = sql_error(err, db, rc, "cannot open %s", path);
        goto out;
    }
    if (!reads && sqlite3_db_readonly(db, "main") == 1) {
        result = error_set(err, VX11_EPERMISSION, "%s cannot be written: it is read-only", path);
        goto out;
    }
    if ((result = connection_wait(db, timeout, err)) != 0 || (result = check_header(db, path, err)) != 0 ||
        (result = configure(db, err)) != 0)
        goto out;
    /* A reader never has a reason to change the file when it leaves. */
    if (reads)
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    for (size_t i = 0; i < COUNT_OF(pragmas) && result == 0; i++)
        if (pragmas[i].roles & 1u << role && (result = pragma_apply(db, &pragmas[i], err)) != 0)
            result = result == VX11_ECORRUPT ? error_damaged(err, path, "SQLite cannot read it")
                                             : error_prefix(err, result, "%s", path);
    int64_t got = 0;
    if (result == 0 && (result = sql_int(db, "SELECT vx11_busy_timeout()", &got, err)) == 0 && got != timeout)
        result = error_set(err, VX11_EUNSUPPORTED, "%s: the busy timeout reads back as %lld", path,
                           (long long)got);
out:
    if (result != 0) {
        sqlite3_close(db);
        return result;
    }
    *out = db;
    return 0;
}

void connection_close(sqlite3 *db)
{
    /* Statements are finalized by their owners; _v2 keeps a forgotten one from leaking the descriptor for
     * ever. */
    sqlite3_close_v2(db);
}
