/* Writer: rows from any thread, written by one thread in batches.
 *
 *   writer_push ──copy──> queue ──batch full, oldest waited long enough, flush or stop──> one transaction
 *
 * A commit costs the same for one row as for hundreds, so rows wait a few milliseconds for company. A row
 * counts as queued until its transaction has committed: a batch that cannot be written now stays in memory,
 * in order, and is tried again. Only three things lose a row, each counted and logged: it breaks a
 * constraint, it cannot be written while the queue is full, or the time to stop runs out.
 *
 * Rows that were pushed as a group lie side by side in the queue and are never parted: a batch takes all of a
 * group or none, and when one of its rows is refused the batch is written again without the whole group. */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/connection.h"
#include "store/statements.h"

#define RETRY_FIRST_MS    UINT64_C(10)
#define RETRY_MOST_MS     UINT64_C(1000)
#define RETRIES_WHEN_FULL 10 /* some 4 s */
#define MS_NS             1000000

enum item_state { ITEM_WAITING, ITEM_WRITTEN, ITEM_FAILED };

struct item {
    struct item *next;
    const char *sql;
    size_t bytes; /* of the whole block */
    enum item_state state;
    unsigned n;
    unsigned
        group; /* of the first of a group: its rows, itself included (1: a row alone); of the others: 0 */
    struct store_value values[]; /* then the bytes of texts and blobs */
};

struct writer {
    pthread_t thread;
    pthread_mutex_t lock; /* guards everything up to the next mark */
    pthread_cond_t work;  /* the thread waits here */
    pthread_cond_t done;  /* flushes wait here */
    struct item *head, **tail;
    size_t queued_bytes;
    struct writer_stats stats;
    uint64_t flush_to;  /* rows up to this one should not wait for company */
    uint64_t oldest_ns; /* when the oldest waiting row came */
    uint64_t deadline_ns;
    bool stopping;
    /* ---- set at the start, then constant ---- */
    size_t queue_rows, queue_bytes;
    unsigned batch_rows;
    uint64_t delay_ns, busy_ns;
    /* ---- the thread's own ---- */
    sqlite3 *db;
    struct statements statements;
    struct item **batch; /* batch_rows places */
    unsigned batch_len;
    uint64_t busy_since;
    struct error row_error; /* of the first row of the batch that failed */
    const char *row_sql;
};

/* Waits for cond until the monotonic time `until`. */
static void wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until)
{
    struct timespec ts = {(time_t)(until / (1000 * MS_NS)), (long)(until % (1000 * MS_NS))};
    pthread_cond_timedwait(cond, lock, &ts);
}

/* ---- any thread ---- */

static struct item *item_make(const char *sql, const struct store_value *values, size_t n)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, sizeof *values, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(struct item), &bytes))
        return NULL;
    for (size_t i = 0; i < n; i++)
        if ((values[i].type == STORE_TEXT || values[i].type == STORE_BLOB) &&
            __builtin_add_overflow(bytes, values[i].v.b.len, &bytes))
            return NULL;
    struct item *item = malloc(bytes);
    if (!item)
        return NULL;
    *item = (struct item){.sql = sql, .bytes = bytes, .state = ITEM_WAITING, .n = (unsigned)n, .group = 1};
    char *to = (char *)&item->values[n];
    for (size_t i = 0; i < n; i++) {
        item->values[i] = values[i];
        if ((values[i].type == STORE_TEXT || values[i].type == STORE_BLOB) && values[i].v.b.len > 0) {
            memcpy(to, values[i].v.b.data, values[i].v.b.len);
            item->values[i].v.b.data = to;
            to += values[i].v.b.len;
        } else if (values[i].type == STORE_TEXT || values[i].type == STORE_BLOB) {
            item->values[i].v.b.data = "";
        }
    }
    return item;
}

/* With the lock. Whether `rows` more of `bytes` together do not fit. */
static bool is_full(const struct writer *w, size_t rows, size_t bytes)
{
    return w->stats.queued + rows > w->queue_rows || bytes > w->queue_bytes ||
           w->queued_bytes > w->queue_bytes - bytes;
}

static void items_free(struct item *first)
{
    while (first) {
        struct item *next = first->next;
        free(first);
        first = next;
    }
}

/* Takes over a list of count items of `bytes` together, ended by *tail. */
static int queue_add(struct writer *w, struct item *first, struct item **tail, size_t count, size_t bytes)
{
    pthread_mutex_lock(&w->lock);
    if (is_full(w, count, bytes)) {
        w->stats.rejected += count;
        pthread_mutex_unlock(&w->lock);
        items_free(first);
        return VX11_EFULL;
    }
    size_t before = w->stats.queued;
    if (!w->head)
        w->oldest_ns = clock_mono_ns();
    *w->tail = first;
    w->tail = tail;
    w->queued_bytes += bytes;
    w->stats.pushed += count;
    w->stats.queued += count;
    /* The thread needs to know of the first row, to start its clock, and of the one that fills a batch. */
    bool wake = before == 0 || (before < w->batch_rows && w->stats.queued >= w->batch_rows);
    pthread_mutex_unlock(&w->lock);
    if (wake)
        pthread_cond_signal(&w->work);
    return 0;
}

int writer_push(struct writer *w, const char *sql, const struct store_value *values, size_t n)
{
    struct item *item = item_make(sql, values, n);
    return item ? queue_add(w, item, &item->next, 1, item->bytes) : VX11_ENOMEM;
}

int writer_push_group(struct writer *w, const struct writer_row *rows, size_t count)
{
    struct item *first = NULL, **tail = &first;
    size_t bytes = 0;
    if (count == 0)
        return 0;
    if (count > w->batch_rows)
        return VX11_ETOO_LARGE;
    for (size_t i = 0; i < count; i++) {
        struct item *item = item_make(rows[i].sql, rows[i].values, rows[i].n);
        if (!item || __builtin_add_overflow(bytes, item->bytes, &bytes)) {
            free(item);
            items_free(first);
            return VX11_ENOMEM;
        }
        item->group = i == 0 ? (unsigned)count : 0;
        *tail = item;
        tail = &item->next;
    }
    return queue_add(w, first, tail, count, bytes);
}

int writer_flush(struct writer *w, int64_t timeout_ms)
{
    uint64_t until = clock_mono_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * MS_NS;
    pthread_mutex_lock(&w->lock);
    uint64_t target = w->stats.pushed;
    if (w->flush_to < target)
        w->flush_to = target;
    pthread_cond_signal(&w->work);
    while (w->stats.written + w->stats.failed < target && clock_mono_ns() < until)
        wait_until(&w->done, &w->lock, until);
    bool all = w->stats.written + w->stats.failed >= target;
    pthread_mutex_unlock(&w->lock);
    return all ? 0 : VX11_ETIMEOUT;
}

void writer_stats(struct writer *w, struct writer_stats *out)
{
    pthread_mutex_lock(&w->lock);
    *out = w->stats;
    pthread_mutex_unlock(&w->lock);
}

/* ---- the thread: one transaction ---- */

/* Errors that the row brought with it and that another try would meet again. */
static bool is_rows_fault(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_TOOBIG:
    case SQLITE_ERROR: /* its SQL does not fit the schema */
        return true;
    default:
        return false;
    }
}

static void item_fail(struct writer *w, struct item *item, const struct error *why)
{
    item->state = ITEM_FAILED;
    if (w->row_sql)
        return;
    w->row_sql = item->sql;
    w->row_error = *why;
}

/* SQLITE_OK, also when the row was failed alone; else what stopped the transaction. */
static int write_row(struct writer *w, struct item *item, struct error *err)
{
    sqlite3_stmt *stmt = NULL;
    int code = statements_get(&w->statements, item->sql, &stmt, err);
    int rc = code == 0 ? SQLITE_OK : sqlite3_extended_errcode(w->db);
    if (code == 0)
        code = statement_bind(w->db, stmt, item->values, item->n, err);
    if (code == 0) {
        do
            rc = sqlite3_step(stmt);
        while (rc == SQLITE_ROW);
        if (rc != SQLITE_DONE)
            code = sql_error(err, w->db, rc, "cannot write");
    }
    statements_put(&w->statements, stmt);
    if (code == 0)
        return SQLITE_OK;
    /* Without a complaint of SQLite's it is ours: not one statement, or another number of values. */
    if (code == VX11_EINVALID || is_rows_fault(rc)) {
        item_fail(w, item, err);
        return SQLITE_OK;
    }
    return rc;
}

/* A row that is refused takes the others of its group with it. True when there are any: some may have been
 * written in this transaction already. */
static bool group_fail(struct writer *w, unsigned at)
{
    unsigned first = at;
    while (w->batch[first]->group == 0)
        first--;
    unsigned rows = w->batch[first]->group;
    for (unsigned i = first; i < first + rows; i++)
        w->batch[i]->state = ITEM_FAILED;
    return rows > 1;
}

/* Writes the waiting ones of batch[from, to), which parts no group, in one transaction. SQLITE_CONSTRAINT:
 * only the commit could tell that some row is wrong. SQLITE_ABORT: a row's failure ended the transaction (it
 * is marked, with its group): again without it. */
static int write_range(struct writer *w, unsigned from, unsigned to, struct error *err)
{
    int rc = sql_settle(w->db, err) == 0 ? SQLITE_OK : SQLITE_NOMEM;
    if (rc == SQLITE_OK && (rc = sqlite3_exec(w->db, "BEGIN IMMEDIATE", NULL, NULL, NULL)) != SQLITE_OK)
        sql_error(err, w->db, rc, "cannot begin");
    for (unsigned i = from; i < to && rc == SQLITE_OK; i++) {
        if (w->batch[i]->state != ITEM_WAITING)
            continue;
        rc = write_row(w, w->batch[i], err);
        bool part = w->batch[i]->state == ITEM_FAILED && group_fail(w, i);
        if (rc == SQLITE_OK && (part || sqlite3_get_autocommit(w->db)))
            rc = SQLITE_ABORT;
    }
    if (rc == SQLITE_OK && (rc = sqlite3_exec(w->db, "COMMIT", NULL, NULL, NULL)) != SQLITE_OK)
        sql_error(err, w->db, rc, "cannot commit");
    if (rc != SQLITE_OK) {
        sql_settle(w->db, NULL);
        return (rc & 0xff) == SQLITE_CONSTRAINT ? SQLITE_CONSTRAINT : rc;
    }
    for (unsigned i = from; i < to; i++)
        if (w->batch[i]->state == ITEM_WAITING)
            w->batch[i]->state = ITEM_WRITTEN;
    pthread_mutex_lock(&w->lock);
    w->stats.transactions++;
    pthread_mutex_unlock(&w->lock);
    return SQLITE_OK;
}

/* Each row, or group, by itself, to find which one the commit refused. */
static int write_singly(struct writer *w, struct error *err)
{
    for (unsigned i = 0, rows; i < w->batch_len; i += rows) {
        rows = w->batch[i]->group;
        if (w->batch[i]->state != ITEM_WAITING)
            continue;
        int rc = write_range(w, i, i + rows, err);
        if (rc == SQLITE_CONSTRAINT) {
            item_fail(w, w->batch[i], err);
            group_fail(w, i);
        } else if (rc != SQLITE_OK && rc != SQLITE_ABORT) {
            return rc;
        }
    }
    return SQLITE_OK;
}

/* SQLITE_OK: no row of the batch waits any more. */
static int write_batch(struct writer *w, struct error *err)
{
    int rc;
    do
        rc = write_range(w, 0, w->batch_len, err);
    while (rc == SQLITE_ABORT && w->row_sql); /* one row fewer each time */
    return rc == SQLITE_CONSTRAINT ? write_singly(w, err) : rc;
}

/* ---- the thread: waiting ---- */

/* SQLite asks: the database is locked, try again? Waits where a stop can reach us. */
static int on_busy(void *ctx, int count)
{
    struct writer *w = ctx;
    uint64_t now = clock_mono_ns();
    if (count == 0)
        w->busy_since = now;
    pthread_mutex_lock(&w->lock);
    bool again = now - w->busy_since < w->busy_ns && !(w->stopping && now >= w->deadline_ns);
    if (again)
        wait_until(&w->work, &w->lock, now + MS_NS / 2); /* as connection.c, and for its reason */
    pthread_mutex_unlock(&w->lock);
    return again;
}

/* Waits before the next try. False: give the batch up. */
static bool back_off(struct writer *w, unsigned attempt)
{
    uint64_t now = clock_mono_ns();
    uint64_t wait_ms = attempt < 7 ? RETRY_FIRST_MS << attempt : RETRY_MOST_MS;
    uint64_t until = now + wait_ms * MS_NS;
    pthread_mutex_lock(&w->lock);
    bool full = is_full(w, 1, 0);
    while ((now = clock_mono_ns()) < until) {
        /* Stopping: there is little time left, so try often, and until the end of it. */
        if (w->stopping && until > now + 50 * MS_NS)
            until = now + 50 * MS_NS;
        if (w->stopping && now >= w->deadline_ns)
            break;
        wait_until(&w->work, &w->lock, until);
    }
    bool late = w->stopping && now >= w->deadline_ns;
    pthread_mutex_unlock(&w->lock);
    return !late && !(full && attempt >= RETRIES_WHEN_FULL);
}

/* With the lock. Blocks until there is a batch to write. False: stopping, and nothing is left. */
static bool wait_for_batch(struct writer *w)
{
    for (;;) {
        struct writer_stats *s = &w->stats;
        if (s->queued > 0 &&
            (s->queued >= w->batch_rows || w->stopping || w->flush_to > s->written + s->failed))
            return true;
        if (s->queued == 0) {
            if (w->stopping)
                return false;
            pthread_cond_wait(&w->work, &w->lock);
            continue;
        }
        uint64_t due = w->oldest_ns + w->delay_ns;
        if (clock_mono_ns() >= due)
            return true;
        wait_until(&w->work, &w->lock, due);
    }
}

/* With the lock. */
static void take_batch(struct writer *w)
{
    w->batch_len = 0;
    /* Groups go whole: their rows were queued together, so all of them are there. */
    while (w->head && w->batch_len + w->head->group <= w->batch_rows) {
        for (unsigned rows = w->head->group; rows > 0; rows--) {
            w->batch[w->batch_len++] = w->head;
            w->head = w->head->next;
        }
    }
    if (!w->head)
        w->tail = &w->head;
    w->oldest_ns = clock_mono_ns();
}

/* ---- the thread: batch after batch ---- */

static void report_rows(struct writer *w, unsigned failed)
{
    if (w->row_sql)
        log_error("writer", "rows were refused by the database", LOG_I("rows", failed),
                  LOG_S("sql", w->row_sql), LOG_S("reason", w->row_error.text));
}

/* Accounts for the batch and frees it. */
static void finish_batch(struct writer *w, uint64_t started)
{
    unsigned written = 0, refused = 0;
    size_t bytes = 0;
    for (unsigned i = 0; i < w->batch_len; i++) {
        written += w->batch[i]->state == ITEM_WRITTEN;
        refused += w->batch[i]->state == ITEM_FAILED;
        bytes += w->batch[i]->bytes;
    }
    unsigned lost = w->batch_len - written - refused;
    report_rows(w, refused);
    if (lost > 0)
        log_error("writer", "rows are lost", LOG_I("rows", lost));
    for (unsigned i = 0; i < w->batch_len; i++)
        free(w->batch[i]);
    pthread_mutex_lock(&w->lock);
    w->stats.written += written;
    w->stats.failed += refused + lost;
    w->stats.queued -= w->batch_len;
    w->stats.last_batch_us = (clock_mono_ns() - started) / 1000;
    w->queued_bytes -= bytes;
    pthread_cond_broadcast(&w->done);
    pthread_mutex_unlock(&w->lock);
    w->batch_len = 0;
}

static void run_batch(struct writer *w)
{
    struct error err = {0};
    uint64_t started = clock_mono_ns();
    unsigned attempt = 0;
    w->row_sql = NULL;
    while (write_batch(w, &err) != SQLITE_OK) {
        /* Once at first, then about once a minute. */
        if (attempt % 60 == 0)
            log_warn("writer", "a batch cannot be written now and waits", LOG_I("rows", w->batch_len),
                     LOG_I("attempt", attempt + 1), LOG_S("reason", err.text));
        if (!back_off(w, attempt++)) {
            log_error("writer", "a batch is given up", LOG_I("attempts", attempt), LOG_S("reason", err.text));
            finish_batch(w, started);
            return;
        }
        started = clock_mono_ns();
    }
    if (attempt > 0)
        log_info("writer", "the batch that waited is written", LOG_I("attempts", attempt + 1));
    finish_batch(w, started);
}

static void *writer_main(void *arg)
{
    struct writer *w = arg;
    pthread_mutex_lock(&w->lock);
    while (wait_for_batch(w)) {
        if (w->stopping && clock_mono_ns() >= w->deadline_ns)
            break;
        take_batch(w);
        pthread_mutex_unlock(&w->lock);
        run_batch(w);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- start and stop ---- */

static void writer_free(struct writer *w)
{
    items_free(w->head);
    statements_clear(&w->statements);
    connection_close(w->db);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->done);
    pthread_mutex_destroy(&w->lock);
    free(w->batch);
    free(w);
}

static void init_locks(struct writer *w)
{
    /* With default attributes and a clock that Linux has, these cannot fail. */
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, &attr);
    pthread_cond_init(&w->done, &attr);
    pthread_condattr_destroy(&attr);
}

/* The process's signals are the loop's business; only faults, which strike the thread that makes them, stay
 * open. */
static int start_thread(struct writer *w)
{
    sigset_t all, before;
    sigfillset(&all);
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&w->thread, NULL, writer_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        pthread_setname_np(w->thread, "writer");
    return rc;
}

int writer_start(const struct writer_options *options, struct writer **out, struct error *err)
{
    *out = NULL;
    struct writer *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, VX11_ENOMEM, "no memory for the writer");
    init_locks(w);
    w->tail = &w->head;
    w->queue_rows = options->queue_rows ? options->queue_rows : 65536;
    w->queue_bytes = options->queue_bytes ? options->queue_bytes : (size_t)64 * 1024 * 1024;
    w->batch_rows = options->batch_rows ? options->batch_rows : 512;
    w->delay_ns = (uint64_t)(options->delay_ms > 0 ? options->delay_ms : 5) * MS_NS;
    w->busy_ns = (uint64_t)(options->busy_timeout_ms > 0 ? options->busy_timeout_ms : 5000) * MS_NS;
    w->batch = calloc(w->batch_rows, sizeof(struct item *));
    int rc = w->batch ? 0 : error_set(err, VX11_ENOMEM, "no memory for the writer");
    if (rc == 0)
        rc = connection_open(options->path, CONNECTION_BATCH, options->busy_timeout_ms, &w->db, err);
    statements_init(&w->statements, w->db);
    if (rc == 0) {
        sqlite3_busy_handler(w->db, on_busy, w);
        int sys = start_thread(w);
        if (sys != 0)
            rc = error_set_errno(err, sys, "cannot start the writer's thread");
    }
    if (rc != 0) {
        writer_free(w);
        return rc;
    }
    *out = w;
    return 0;
}

uint64_t writer_stop(struct writer *w, int64_t timeout_ms)
{
    if (!w)
        return 0;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    w->deadline_ns = clock_mono_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * MS_NS;
    pthread_mutex_unlock(&w->lock);
    pthread_cond_signal(&w->work);
    pthread_join(w->thread, NULL);
    uint64_t lost = w->stats.pushed - w->stats.written;
    if (w->stats.queued > 0)
        log_error("writer", "rows are lost: there was no time to write them", LOG_I("rows", w->stats.queued));
    writer_free(w);
    return lost;
}
