/* Vacuum: the file gets shorter. PRAGMA incremental_vacuum gives a page back with each step, so that it can
 * be left at any of them; that needs auto_vacuum=INCREMENTAL, which every file of ours was made with. */
#include "store/maintain/vacuum.h"

#include <time.h>

#include "base/clock.h"

#define AUTO_VACUUM_INCREMENTAL 2
#define PASSIVE_TRIES           20
#define EMPTY_TRIES             25
#define EMPTY_BUSY_MS           20 /* others wait for so long at most while readers are waited for */
#define BETWEEN_MS              40
#define USUAL_BUSY_MS           5000

static void sleep_ms(long ms)
{
    const struct timespec t = {.tv_nsec = ms * 1000000};
    nanosleep(&t, NULL);
}

/* ---- pages ---- */

static int check_mode(sqlite3 *db, struct error *err)
{
    int64_t mode = 0;
    int rc = sql_int(db, "PRAGMA auto_vacuum", &mode, err);
    if (rc == 0 && mode != AUTO_VACUUM_INCREMENTAL)
        rc = error_set(err, VX11_EUNSUPPORTED,
                       "the file was made without incremental vacuum (auto_vacuum is %lld): "
                       "`vx11 db maintain --compact` makes it shorter",
                       (long long)mode);
    return rc;
}

/* Until the time is over, nothing is left, or `most` are done. */
static int free_some(struct hold *h, sqlite3_stmt *stmt, int64_t most, int64_t *freed, struct error *err)
{
    int64_t n = 0;
    int rc = hold_begin(h, err), step = SQLITE_ROW;
    if (rc != 0)
        return rc;
    while (n < most && (n == 0 || !hold_over(h)) && (step = sqlite3_step(stmt)) == SQLITE_ROW)
        n++;
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        rc = sql_error(err, h->s->write, step, "PRAGMA incremental_vacuum");
    sqlite3_reset(stmt);
    if (rc != 0) {
        hold_rollback(h);
        return rc;
    }
    *freed += n;
    return hold_commit(h, err);
}

int vacuum_pages(struct hold *h, int64_t at_most, int64_t *freed, struct error *err)
{
    sqlite3 *db = h->s->write;
    sqlite3_stmt *stmt = NULL;
    int64_t before = 0;
    *freed = 0;
    int rc = check_mode(db, err);
    if (rc == 0)
        rc = sql_int(db, "PRAGMA freelist_count", &before, err);
    if (rc != 0 || before == 0)
        return rc;
    int made = sqlite3_prepare_v2(db, "PRAGMA incremental_vacuum", -1, &stmt, NULL);
    if (made != SQLITE_OK)
        return sql_error(err, db, made, "PRAGMA incremental_vacuum");
    int64_t left = at_most < 0 ? INT64_MAX : at_most, was = -1;
    while (rc == 0 && left > 0 && before > 0 && *freed != was) {
        was = *freed;
        rc = free_some(h, stmt, left, freed, err);
        left -= *freed - was;
        if (rc == 0)
            rc = sql_int(db, "PRAGMA freelist_count", &before, err);
    }
    sqlite3_finalize(stmt);
    return rc;
}

/* ---- log ---- */

static void take_longest(struct checkpoint_result *out, uint64_t since_ns)
{
    const double ms = (double)(clock_mono_ns() - since_ns) / 1e6;
    if (ms > out->longest_ms)
        out->longest_ms = ms;
}

/* Most of the way others can write; only the rest, some pages, is moved while they wait. */
int vacuum_checkpoint(struct store *s, const volatile bool *stop, struct checkpoint_result *out,
                      struct error *err)
{
    int log = 0, done = 0, rc = SQLITE_OK;
    *out = (struct checkpoint_result){.log_pages = -1};
    for (int i = 0; i < PASSIVE_TRIES; i++) {
        rc = sqlite3_wal_checkpoint_v2(s->write, "main", SQLITE_CHECKPOINT_PASSIVE, &log, &done);
        if ((rc != SQLITE_OK && rc != SQLITE_BUSY) || (stop && *stop))
            break;
        out->log_pages = log > out->log_pages ? log : out->log_pages;
        out->moved = done;
        if (rc == SQLITE_OK && log - done < 100)
            break;
        sleep_ms(BETWEEN_MS);
    }
    if (rc != SQLITE_OK && rc != SQLITE_BUSY)
        return sql_error(err, s->write, rc, "the log cannot be moved into the file");
    int result = connection_wait(s->write, EMPTY_BUSY_MS, err);
    if (result != 0)
        return result;
    for (int i = 0; i < EMPTY_TRIES && !out->emptied && !(stop && *stop); i++) {
        const uint64_t since = clock_mono_ns();
        rc = sqlite3_wal_checkpoint_v2(s->write, "main", SQLITE_CHECKPOINT_TRUNCATE, &log, &done);
        take_longest(out, since);
        out->emptied = rc == SQLITE_OK;
        if (rc != SQLITE_OK && rc != SQLITE_BUSY)
            break;
        if (!out->emptied)
            sleep_ms(BETWEEN_MS);
    }
    if ((result = connection_wait(s->write, USUAL_BUSY_MS, err)) != 0)
        return result;
    if (rc != SQLITE_OK && rc != SQLITE_BUSY)
        return sql_error(err, s->write, rc, "the log cannot be emptied");
    if (out->emptied)
        out->moved = out->log_pages;
    return stop && *stop ? error_set(err, VX11_ECANCELLED, "it was told to stop") : 0;
}

/* ---- whole ---- */

static int on_progress(void *ctx)
{
    const volatile bool *stop = ctx;
    return *stop;
}

int vacuum_whole(struct store *s, const char *folder, const volatile bool *stop, struct error *err)
{
    char *where = sqlite3_mprintf("PRAGMA temp_store_directory = %Q", folder);
    if (!where)
        return error_set(err, VX11_ENOMEM, "out of memory");
    /* Its copy is as large as the database: it belongs on the disk, not into memory. */
    int rc = sql_run(s->write, where, err);
    sqlite3_free(where);
    if (rc == 0)
        rc = sql_run(s->write, "PRAGMA temp_store=FILE", err);
    statements_clear(&s->reads);
    statements_clear(&s->writes);
    if (stop)
        sqlite3_progress_handler(s->write, 10000, on_progress, (void *)(uintptr_t)stop);
    if (rc == 0)
        rc = sql_run(s->write, "VACUUM", err);
    sqlite3_progress_handler(s->write, 0, NULL, NULL);
    struct error late = {0};
    sql_run(s->write, "PRAGMA temp_store_directory = ''", &late);
    if (sql_run(s->write, "PRAGMA temp_store=MEMORY", &late) != 0 && rc == 0)
        rc = error_set(err, VX11_EINTERNAL, "%s", late.text);
    return rc;
}
