/* Source: another program's file, read without touching it.
 *
 * A file that nobody has open is read with immutable=1: SQLite then neither locks nor makes a -wal or -shm.
 * With a log beside it that would miss what is in the log, so file and log are copied, and the copy is
 * opened. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "store/connection.h"
#include "store/import/import_internal.h"

#define YEAR_2000 INT64_C(946684800000)
#define YEAR_2100 INT64_C(4102444800000)

static int64_t mtime_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static bool has_log(const char *path, const char *suffix)
{
    char log[4200];
    struct stat st;
    return snprintf(log, sizeof log, "%s%s", path, suffix) < (int)sizeof log && stat(log, &st) == 0 &&
           st.st_size > 0;
}

/* ---- a private copy ---- */

static int copy_bytes(int from, int to, const char *name, struct error *err)
{
    char piece[65536];
    for (;;) {
        ssize_t n = read(from, piece, sizeof piece);
        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "%s cannot be read", name);
        for (ssize_t done = 0; done < n;) {
            ssize_t w = write(to, piece + done, (size_t)(n - done));
            if (w < 0 && errno != EINTR)
                return error_set_errno(err, errno, "a private copy of %s cannot be written", name);
            done += w > 0 ? w : 0;
        }
    }
}

static int copy_file(const char *path, const char *suffix, const char *folder, struct error *err)
{
    char from[4200], to[4300];
    snprintf(from, sizeof from, "%s%s", path, suffix);
    snprintf(to, sizeof to, "%s/copy.db%s", folder, suffix);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return errno == ENOENT && *suffix ? 0 : error_set_errno(err, errno, "%s cannot be opened", from);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int rc = out < 0 ? error_set_errno(err, errno, "%s cannot be made", to) : copy_bytes(in, out, from, err);
    close(in);
    if (out >= 0)
        close(out);
    return rc;
}

/* Size and time of the file and of its logs: what a writer changes. */
enum { STATES_LEN = 200 };
static void states_read(const char *path, char out[STATES_LEN])
{
    static const char *const suffixes[] = {"", "-wal", "-journal"};
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        char name[4200];
        struct stat st = {0};
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        if (stat(name, &st) != 0)
            st = (struct stat){0};
        n += (size_t)snprintf(out + n, STATES_LEN - n, "%lld %lld;", (long long)st.st_size,
                              (long long)mtime_of(&st));
    }
}

static int error_written_to(const char *path, struct error *err)
{
    return error_set(err, VX11_EBUSY,
                     "%s was written to while it was read: stop the predecessor and run this once more",
                     path);
}

static int copy_make(struct source *src, const char *scratch, struct error *err)
{
    if (!scratch ||
        snprintf(src->copy, sizeof src->copy, "%s/import-XXXXXX", scratch) >= (int)sizeof src->copy)
        return error_set(err, VX11_EINVALID, "no folder for a private copy of %s", src->path);
    if (!mkdtemp(src->copy)) {
        int rc = error_set_errno(err, errno, "%s cannot be made", src->copy);
        src->copy[0] = '\0';
        return rc;
    }
    /* A checkpoint between the two would leave what is neither the one state nor the other. */
    char before[STATES_LEN], after[STATES_LEN];
    states_read(src->path, before);
    int rc = copy_file(src->path, "", src->copy, err);
    if (rc == 0)
        rc = copy_file(src->path, "-wal", src->copy, err);
    if (rc == 0)
        rc = copy_file(src->path, "-journal", src->copy, err);
    states_read(src->path, after);
    return rc == 0 && strcmp(before, after) != 0 ? error_written_to(src->path, err) : rc;
}

static void copy_remove(struct source *src)
{
    char *slash = strrchr(src->copy, '/');
    if (!src->copy[0] || !slash)
        return;
    *slash = '\0';
    int fd = open(src->copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fs_remove_tree(fd, slash + 1, NULL);
        close(fd);
    }
    src->copy[0] = '\0';
}

/* ---- open ---- */

/* file:PATH with all but plain characters as %XX. */
static int uri_make(const char *path, char *out, size_t size)
{
    int len = snprintf(out, size, "file:");
    size_t n = (size_t)len;
    for (const char *p = path; *p && n + 4 < size; p++) {
        const bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
                           strchr("/._-", *p) != NULL;
        n += (size_t)snprintf(out + n, size - n, plain ? "%c" : "%%%02X", (unsigned char)*p);
    }
    return n + 16 < size && snprintf(out + n, size - n, "?immutable=1") > 0 ? 0 : VX11_ETOO_LARGE;
}

static int source_configure(struct source *src, struct error *err)
{
    static const int options[][2] = {{SQLITE_DBCONFIG_DEFENSIVE, 1},      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
                                     {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
                                     {SQLITE_DBCONFIG_DQS_DML, 0},        {SQLITE_DBCONFIG_DQS_DDL, 1}};
    for (size_t i = 0; i < COUNT_OF(options); i++)
        sqlite3_db_config(src->db, options[i][0], options[i][1], NULL);
    sqlite3_limit(src->db, SQLITE_LIMIT_LENGTH, IMPORT_TEXT);
    sqlite3_limit(src->db, SQLITE_LIMIT_ATTACHED, 0);
    int rc = sql_run(src->db, "PRAGMA cell_size_check=ON; PRAGMA query_only=ON; PRAGMA mmap_size=0", err);
    int64_t ours = 0, tables = 0;
    if (rc == 0)
        rc = sql_int(src->db, "PRAGMA application_id", &ours, err);
    if (rc == 0)
        rc = sql_int(src->db, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (rc == 0 && ours == STORE_APPLICATION_ID)
        rc = error_set(
            err, VX11_EVERSION,
            "%s is a database of this VX11, not of its predecessor: `vx11 db restore` takes backups",
            src->path);
    return rc;
}

int source_open(const char *path, const char *scratch, struct source *out, struct error *err)
{
    struct stat st;
    char name[4300];
    *out = (struct source){0};
    /* SQLite keeps the logs beside the file itself, not beside a link to it. */
    char *real = realpath(path, NULL);
    if (!real)
        return error_set_errno(err, errno, "%s cannot be read", path);
    const bool fits = snprintf(out->path, sizeof out->path, "%s", real) < (int)sizeof out->path;
    free(real);
    if (!fits)
        return error_set(err, VX11_ETOO_LARGE, "the path is too long");
    path = out->path;
    if (stat(path, &st) != 0)
        return error_set_errno(err, errno, "%s cannot be read", path);
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return error_set(err, VX11_EINVALID, "%s is %s", path,
                         st.st_size == 0 ? "empty" : "not a regular file");
    out->bytes = st.st_size;
    out->mtime_ns = mtime_of(&st);
    int rc = has_log(path, "-wal") || has_log(path, "-journal") ? copy_make(out, scratch, err) : 0;
    const bool copied = out->copy[0] != '\0';
    if (rc == 0 && !copied)
        rc = uri_make(path, name, sizeof name);
    else if (rc == 0)
        snprintf(name, sizeof name, "%s/copy.db", out->copy);
    if (rc == 0) {
        int flags = copied ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
        int code = sqlite3_open_v2(name, &out->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
        rc = code == SQLITE_OK ? source_configure(out, err)
                               : sql_error(err, out->db, code, "%s cannot be opened", path);
    }
    if (rc == VX11_ECORRUPT)
        rc = error_prefix(err, rc, "%s is no SQLite database, or damaged", path);
    if (rc != 0)
        source_close(out);
    return rc;
}

int source_unchanged(const struct source *src, struct error *err)
{
    struct stat st;
    if (src->copy[0] ||
        (stat(src->path, &st) == 0 && st.st_size == src->bytes && mtime_of(&st) == src->mtime_ns))
        return 0;
    return error_written_to(src->path, err);
}

void source_close(struct source *src)
{
    sqlite3_close(src->db);
    src->db = NULL;
    copy_remove(src);
}

/* ---- read ---- */

int source_prepare(struct source *src, const char *sql, sqlite3_stmt **out, struct error *err)
{
    *out = NULL;
    if (!sql)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = sqlite3_prepare_v2(src->db, sql, -1, out, NULL);
    return rc == SQLITE_OK ? 0 : sql_error(err, src->db, rc, "%.100s", sql);
}

static bool column_there(struct source *src, const char *table, const char *column)
{
    sqlite3_stmt *stmt = NULL;
    bool there = false;
    if (sqlite3_prepare_v2(src->db, "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2 COLLATE NOCASE", -1,
                           &stmt, NULL) == SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, column, -1, SQLITE_STATIC);
        there = sqlite3_step(stmt) == SQLITE_ROW;
    }
    sqlite3_finalize(stmt);
    return there;
}

bool source_has(struct source *src, const char *table)
{
    sqlite3_stmt *stmt = NULL;
    bool there = false;
    if (sqlite3_prepare_v2(src->db, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1", -1,
                           &stmt, NULL) == SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
        there = sqlite3_step(stmt) == SQLITE_ROW;
    }
    sqlite3_finalize(stmt);
    return there;
}

char *source_select(struct source *src, const char *table, const char *const *columns, size_t n,
                    const char *order)
{
    sqlite3_str *sql = sqlite3_str_new(NULL);
    sqlite3_str_appendall(sql, "SELECT rowid");
    for (size_t i = 0; i < n; i++) {
        if (column_there(src, table, columns[i]))
            sqlite3_str_appendf(sql, ", \"%w\"", columns[i]);
        else
            sqlite3_str_appendall(sql, ", NULL");
    }
    sqlite3_str_appendf(sql, " FROM main.\"%w\" ORDER BY ", table);
    if (order && column_there(src, table, order))
        sqlite3_str_appendf(sql, "\"%w\", ", order);
    sqlite3_str_appendall(sql, "rowid");
    return sqlite3_str_finish(sql);
}

const char *source_text(sqlite3_stmt *stmt, int column)
{
    const int type = sqlite3_column_type(stmt, column);
    if (type == SQLITE_NULL || type == SQLITE_BLOB)
        return NULL;
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    const int len = sqlite3_column_bytes(stmt, column);
    return text && strlen(text) == (size_t)len && utf8_valid(text, (size_t)len) ? text : NULL;
}

static bool time_of_number(double value, int64_t *out)
{
    /* Seconds until the year 5138, milliseconds from 1973 on. */
    const double ms = value < 1e11 ? value * 1000 : value;
    if (!(ms >= (double)YEAR_2000 && ms <= (double)YEAR_2100))
        return false;
    *out = (int64_t)ms;
    return true;
}

bool source_time(sqlite3_stmt *stmt, int column, int64_t *out)
{
    const int type = sqlite3_column_type(stmt, column);
    if (type == SQLITE_INTEGER || type == SQLITE_FLOAT)
        return time_of_number(sqlite3_column_double(stmt, column), out);
    const char *text = source_text(stmt, column);
    char copy[48];
    const size_t len = text ? strlen(text) : 0;
    if (len < 19 || len > 40 || (text[10] != ' ' && text[10] != 'T'))
        return false;
    memcpy(copy, text, len + 1);
    copy[10] = 'T';
    if (!strpbrk(copy + 11, "Zz+-"))
        memcpy(copy + len, "Z", 2);
    return clock_parse(copy, -1, out) == 0 && *out >= YEAR_2000 && *out <= YEAR_2100;
}
