/* Probe: see probe.h. The writing one leaves no trace: what it writes is rolled back, whatever happens. */
#include "store/doctor/probe.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/str.h"
#include "store/connection.h"

#define PROGRESS_STEPS 20000 /* of SQLite's machine between two looks at the clock: some ms */

/* ---- pages ---- */

static int on_progress(void *until)
{
    return clock_mono_ms() > *(const int64_t *)until;
}

int store_probe_pages(const char *path, int64_t budget_ms, struct error *err)
{
    sqlite3 *db = NULL;
    int64_t until = clock_mono_ms() + budget_ms;
    int rc = connection_open(path, CONNECTION_READ, 0, &db, err);
    if (rc != 0)
        return rc;
    sqlite3_progress_handler(db, PROGRESS_STEPS, on_progress, &until);
    rc = database_check_pages(db, path, err);
    if (rc == VX11_ECANCELLED)
        rc = error_set(err, VX11_ETIMEOUT, "its pages were not all looked at within %lld ms",
                       (long long)budget_ms);
    connection_close(db);
    return rc;
}

/* ---- write and rollback ---- */

static const char sql_write[] =
    "INSERT INTO setting (key, value, updated_at) VALUES ('doctor.probe', '1', 1) "
    "ON CONFLICT (key) DO UPDATE SET updated_at = 2";
static const char sql_there[] = "SELECT count(*) FROM setting WHERE key = 'doctor.probe'";

int store_probe_write(const char *path, int64_t busy_ms, struct error *err)
{
    sqlite3 *db = NULL;
    int64_t inside = 0, after = 0;
    int rc = connection_open(path, CONNECTION_WRITE, busy_ms, &db, err);
    if (rc != 0)
        return rc;
    rc = sql_run(db, "BEGIN IMMEDIATE", err);
    if (rc == 0)
        rc = sql_run(db, sql_write, err);
    if (rc == 0)
        rc = sql_int(db, sql_there, &inside, err);
    if (rc == 0)
        rc = sql_run(db, "ROLLBACK", err);
    else
        sql_settle(db, NULL);
    if (rc == 0)
        rc = sql_int(db, sql_there, &after, err);
    if (rc == 0 && (inside != 1 || after != 0))
        rc = error_set(err, VX11_ECORRUPT, "a row that was written was %s, and after its rollback %s",
                       inside == 1 ? "there" : "not there", after == 0 ? "gone" : "still there");
    connection_close(db);
    return rc;
}

/* ---- sizes ---- */

int store_probe_sizes(const char *path, struct store_sizes *out, struct error *err)
{
    char wal[4300];
    struct stat st;
    sqlite3 *db = NULL;
    *out = (struct store_sizes){0};
    int rc = connection_open(path, CONNECTION_READ, 0, &db, err);
    if (rc == 0)
        rc = sql_int(db, "PRAGMA page_count", &out->pages, err);
    if (rc == 0)
        rc = sql_int(db, "PRAGMA freelist_count", &out->free_pages, err);
    if (rc == 0)
        rc = sql_int(db, "PRAGMA page_size", &out->page_bytes, err);
    connection_close(db);
    if (rc != 0)
        return rc;
    out->bytes = stat(path, &st) == 0 ? (int64_t)st.st_size : out->pages * out->page_bytes;
    int n = snprintf(wal, sizeof wal, "%s-wal", path);
    out->wal_bytes = n > 0 && n < (int)sizeof wal && stat(wal, &st) == 0 ? (int64_t)st.st_size : 0;
    return 0;
}

int store_tidy(const char *path, int64_t busy_ms, struct error *err)
{
    sqlite3 *db = NULL;
    int64_t busy = 0;
    int rc = connection_open(path, CONNECTION_WRITE, busy_ms, &db, err);
    if (rc == 0)
        rc = sql_run(db, "PRAGMA optimize", err);
    if (rc == 0)
        rc = sql_int(db, "PRAGMA wal_checkpoint(TRUNCATE)", &busy, err);
    if (rc == 0 && busy)
        rc = error_set(err, VX11_EBUSY, "a reader or writer holds the write-ahead log");
    connection_close(db);
    return rc;
}
