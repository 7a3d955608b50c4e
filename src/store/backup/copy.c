/* Copy: the pages of one snapshot, while others write.
 *
 *   source: BEGIN, first read (the snapshot) ─┐
 *   destination: no journal, no syncs ────────┴─ sqlite3_backup_step, 1 MiB at a time ─> done ─> fsync
 *
 * The read transaction is what makes this end: without one every commit of another process would restart the
 * copy. What is committed meanwhile stays in the log and is not in the copy; the log cannot begin anew before
 * the copy is done, so it grows by what is written in those seconds. Pages are taken as they are (rowids too,
 * which VACUUM INTO may change): docs/decisions.md has the measurement. */
#include "store/backup/backup_internal.h"

#include <limits.h>
#include <unistd.h>

#define COPY_PAGES    256
#define COPY_PAUSE_US 500
#define COPY_BUSY_US  5000

static int copy_steps(sqlite3 *from, sqlite3 *to, const struct backup_watch *watch, struct error *err)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    if (!b)
        return sql_error(err, to, sqlite3_errcode(to), "the copy cannot begin");
    int rc, result = 0;
    for (;;) {
        rc = sqlite3_backup_step(b, COPY_PAGES);
        int64_t total = sqlite3_backup_pagecount(b), left = sqlite3_backup_remaining(b);
        if (rc != SQLITE_OK && rc != SQLITE_BUSY && rc != SQLITE_LOCKED)
            break;
        if ((result = watch_step(watch, "copy", total - left, total, err)) != 0)
            break;
        usleep(rc == SQLITE_OK ? COPY_PAUSE_US : COPY_BUSY_US);
    }
    int end = sqlite3_backup_finish(b);
    if (result == 0 && rc != SQLITE_DONE)
        result = sql_error(err, to, rc, "the database cannot be copied");
    else if (result == 0 && end != SQLITE_OK)
        result = sql_error(err, to, end, "the copy cannot be completed");
    return result;
}

/* Nobody else sees this file, and a failure throws it away: it needs neither journal nor syncs. */
static int open_target(const char *path, sqlite3 **out, struct error *err)
{
    int rc =
        sqlite3_open_v2(path, out, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc != SQLITE_OK)
        return sql_error(err, *out, rc, "cannot open %s", path);
    return sql_run(*out, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-2048", err);
}

int copy_online(const char *database, const char *to, const struct backup_watch *watch, struct error *err)
{
    char dir[PATH_MAX];
    sqlite3 *source = NULL, *target = NULL;
    int64_t pages = 0, page_bytes = 0, schema = 0;
    int rc = connection_open(database, CONNECTION_READ, 0, &source, err);
    if (rc == 0)
        rc = database_inspect(source, database, false, err);
    if (rc == 0)
        rc = sql_run(source, "BEGIN", err);
    if (rc == 0) /* reads: from here on the snapshot stands */
        rc = sql_int(source, "SELECT count(*) FROM sqlite_schema", &schema, err);
    if (rc == 0)
        rc = sql_int(source, "PRAGMA page_count", &pages, err);
    if (rc == 0)
        rc = sql_int(source, "PRAGMA page_size", &page_bytes, err);
    if (rc == 0 && folder_of(to, dir, sizeof dir) != 0)
        rc = error_set(err, VX11_ETOO_LARGE, "the path %s is too long", to);
    if (rc == 0)
        rc = room_check(dir, pages * page_bytes, "a copy of the database", err);
    if (rc == 0)
        rc = open_target(to, &target, err);
    if (rc == 0)
        rc = copy_steps(source, target, watch, err);
    int closed = sqlite3_close(target);
    if (rc == 0 && closed != SQLITE_OK)
        rc = error_set(err, VX11_EIO, "the copy cannot be closed: %s", sqlite3_errstr(closed));
    connection_close(source);
    return rc;
}
