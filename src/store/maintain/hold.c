/* Hold: transactions that others hardly notice. SQLite lets one process write at a time, and who waits for it
 * asks again at growing intervals: so a transaction has to be short, and the pause behind it long enough to
 * be met. */
#include "store/maintain/hold.h"

#include <time.h>

#include "base/clock.h"

#define BUDGET_MOST_MS  8.0
#define BUDGET_LEAST_MS 0.5
#define AIM_MS          15.0 /* for a whole transaction */
#define PAUSE_MOST_MS   40.0
#define LOG_PAGES       1000 /* then the log is moved into the file */
#define LOG_USUAL       2000 /* as connection.c sets it */

static int on_log(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct hold *h = ctx;
    (void)db;
    (void)name;
    h->log_pages = pages;
    return SQLITE_OK;
}

void hold_init(struct hold *h, struct store *s, const volatile bool *stop)
{
    *h = (struct hold){.s = s, .stop = stop, .budget_ms = BUDGET_MOST_MS / 2, .version = -1};
    sqlite3_wal_hook(s->write, on_log, h);
    /* Indices without an order of time are touched all over: with the small cache of connection.c each row
     * would cost several reads. What fails here makes it slower, not wrong. */
    sql_run(s->write, "PRAGMA cache_size=-32768", NULL);
}

void hold_end(struct hold *h)
{
    sqlite3_wal_autocheckpoint(h->s->write, LOG_USUAL); /* takes the hook's place */
    sql_run(h->s->write, "PRAGMA cache_size=-1024", NULL);
    sqlite3_db_release_memory(h->s->write);
}

bool hold_stopped(const struct hold *h)
{
    return h->stop && *h->stop;
}

bool hold_late(const struct hold *h)
{
    return h->until_ms > 0 && clock_mono_ms() >= h->until_ms;
}

static double since_ms(uint64_t ns)
{
    return (double)(clock_mono_ns() - ns) / 1e6;
}

static void sleep_for(double ms)
{
    const struct timespec t = {.tv_nsec = (long)(ms * 1e6)};
    nanosleep(&t, NULL);
}

/* Others have written since the last time. */
static bool others_write(struct hold *h)
{
    int64_t version = h->version;
    struct error ignored = {0};
    if (sql_int(h->s->write, "PRAGMA data_version", &version, &ignored) != 0)
        return true;
    bool changed = h->version >= 0 && version != h->version;
    h->version = version;
    return changed;
}

int hold_begin(struct hold *h, struct error *err)
{
    if (hold_stopped(h))
        return error_set(err, VX11_ECANCELLED, "it was told to stop");
    int rc = sql_settle(h->s->write, err);
    if (rc == 0)
        rc = sql_run(h->s->write, "BEGIN IMMEDIATE", err);
    h->begun_ns = clock_mono_ns();
    return rc;
}

bool hold_over(const struct hold *h)
{
    return since_ms(h->begun_ns) >= h->budget_ms;
}

static void note(struct hold *h, double ms)
{
    if (ms > h->longest_ms)
        h->longest_ms = ms;
    h->transactions++;
    h->budget_ms *= ms > AIM_MS ? 0.5 : ms < AIM_MS / 2 ? 1.25 : 1;
    h->budget_ms = h->budget_ms > BUDGET_MOST_MS    ? BUDGET_MOST_MS
                   : h->budget_ms < BUDGET_LEAST_MS ? BUDGET_LEAST_MS
                                                    : h->budget_ms;
}

int hold_commit(struct hold *h, struct error *err)
{
    int rc = sql_run(h->s->write, "COMMIT", err);
    const double ms = since_ms(h->begun_ns);
    if (rc != 0) {
        hold_rollback(h);
        return rc;
    }
    note(h, ms);
    if (h->log_pages >= LOG_PAGES) {
        /* Others may write meanwhile. Busy readers leave it undone, which is no harm. */
        sqlite3_wal_checkpoint_v2(h->s->write, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        h->log_pages = 0;
    }
    double pause = others_write(h) ? ms : ms / 2;
    sleep_for(pause < 1 ? 1 : pause > PAUSE_MOST_MS ? PAUSE_MOST_MS : pause);
    return 0;
}

void hold_rollback(struct hold *h)
{
    sql_settle(h->s->write, NULL); /* what fails here is done by the next beginning */
}
