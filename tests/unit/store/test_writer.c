/* The batched writer: nothing that was taken in is lost without being counted. */
#include "helper.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ulid.h"
#include "store/store_internal.h"

static const char insert_row[] = "INSERT INTO row (id, thread, n, text) VALUES (?1, ?2, ?3, ?4)";

static int setup(void **state)
{
    int rc = place_setup(state);
    if (rc != 0)
        return rc;
    struct place *p = *state;
    struct error err = {0};
    if (try_open(p->path, &err) != 0)
        return -1;
    raw_exec(p->path,
             "CREATE TABLE row (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, thread INTEGER NOT NULL,"
             " n INTEGER NOT NULL CHECK (n >= 0), text TEXT) STRICT;"
             "CREATE TABLE child (row TEXT REFERENCES row (id) DEFERRABLE INITIALLY DEFERRED) STRICT");
    return 0;
}

static int push(struct writer *w, const char *id, int thread, int64_t n)
{
    return writer_push(w, insert_row,
                       (struct store_value[]){STORE_T(id), STORE_I(thread), STORE_I(n), STORE_T("some text")},
                       4);
}

static int push_n(struct writer *w, int64_t n)
{
    char id[ULID_LEN + 1];
    return push(w, ulid_make(id), 0, n);
}

static struct writer_stats stats_of(struct writer *w)
{
    struct writer_stats s;
    writer_stats(w, &s);
    assert_true(s.pushed == s.written + s.failed + s.queued);
    return s;
}

static sqlite3 *lock_database(const char *path)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void unlock_database(sqlite3 *db)
{
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(db);
}

/* ---- rows arrive ---- */

struct pusher {
    struct writer *w;
    int thread;
    int rows;
    int full; /* times that the queue was full */
};

static void *push_many(void *arg)
{
    struct pusher *p = arg;
    char id[ULID_LEN + 1];
    for (int i = 0; i < p->rows; i++) {
        ulid_make(id);
        int rc;
        while ((rc = push(p->w, id, p->thread, i)) == VX11_EFULL) {
            p->full++;
            usleep(1000);
        }
        if (rc != 0)
            abort();
    }
    return NULL;
}

static void test_many_from_threads(void **state)
{
    struct place *p = *state;
    enum { THREADS = 4, ROWS = 25000 };
    struct writer *w = open_writer(p->path, &(struct writer_options){.queue_rows = 20000});
    pthread_t threads[THREADS];
    struct pusher pushers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        pushers[i] = (struct pusher){w, i, ROWS, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, push_many, &pushers[i]), 0);
    }
    uint64_t full = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        full += (uint64_t)pushers[i].full;
    }
    assert_int_equal(writer_flush(w, 30000), 0);
    struct writer_stats s = stats_of(w);
    assert_int_equal(s.pushed, THREADS * ROWS);
    assert_int_equal(s.written, THREADS * ROWS);
    assert_int_equal(s.rejected, full);
    assert_int_equal(s.queued, 0);
    assert_true(s.transactions < s.written / 50);
    assert_int_equal(writer_stop(w, 1000), 0);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM row"), THREADS * ROWS);
    /* Each thread's rows are in its order. */
    assert_int_equal(raw_int(p->path,
                             "SELECT count(*) FROM (SELECT n, row_number() OVER (PARTITION BY thread ORDER BY"
                             " seq) - 1 AS want FROM row) WHERE n <> want"),
                     0);
    assert_sound(p->path);
}

static void test_values_are_copied(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, &(struct writer_options){.delay_ms = 200});
    char id[8] = "first", text[8] = "text";
    struct store_value values[] = {STORE_T(id), STORE_I(1), STORE_I(2), STORE_T(text)};
    assert_int_equal(writer_push(w, insert_row, values, 4), 0);
    memset(id, 'x', sizeof id);
    memset(text, 'x', sizeof text);
    memset(values, 0, sizeof values);
    struct store_value others[] = {STORE_T("second"), STORE_I(1), STORE_I(2), STORE_N};
    assert_int_equal(writer_push(w, insert_row, others, 4), 0);
    struct store_value empty[] = {STORE_T(""), STORE_I(1), STORE_I(2), STORE_T("")};
    assert_int_equal(writer_push(w, insert_row, empty, 4), 0);
    assert_int_equal(writer_flush(w, 5000), 0);
    char got[64];
    raw_text(p->path, "SELECT group_concat(id || ':' || coalesce(text, 'NULL')) FROM row", got, sizeof got);
    assert_string_equal(got, "first:text,second:NULL,:");
    assert_int_equal(writer_stop(w, 1000), 0);
}

static void test_lone_row_is_soon_written(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, NULL);
    usleep(20000); /* the thread sleeps by now */
    assert_int_equal(push_n(w, 1), 0);
    int64_t start = clock_mono_ms();
    while (stats_of(w).written == 0 && clock_mono_ms() - start < 5000)
        usleep(1000);
    assert_int_equal(stats_of(w).written, 1);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM row"), 1);
    assert_int_equal(writer_stop(w, 1000), 0);
}

static void test_flush_does_not_wait_for_company(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, &(struct writer_options){.delay_ms = 60000});
    assert_int_equal(push_n(w, 1), 0);
    int64_t start = clock_mono_ms();
    assert_int_equal(writer_flush(w, 30000), 0);
    assert_true(clock_mono_ms() - start < 10000);
    assert_int_equal(writer_flush(w, 0), 0); /* nothing waits */
    /* A full batch does not wait either. */
    for (int i = 0; i < 512; i++)
        assert_int_equal(push_n(w, i), 0);
    while (stats_of(w).written < 513 && clock_mono_ms() - start < 10000)
        usleep(1000);
    assert_int_equal(stats_of(w).written, 513);
    assert_int_equal(writer_stop(w, 1000), 0);
}

/* ---- rows that break something ---- */

static void test_bad_rows_fall_alone(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, &(struct writer_options){.delay_ms = 200});
    assert_int_equal(push(w, "taken", 0, 0), 0);
    for (int i = 0; i < 100; i++) {
        if (i % 10 == 3)
            assert_int_equal(push(w, "taken", 0, i), 0); /* UNIQUE */
        else if (i % 10 == 6)
            assert_int_equal(push_n(w, -1), 0); /* CHECK */
        else
            assert_int_equal(push_n(w, i), 0);
    }
    assert_int_equal(writer_push(w, "INSERT INTO nowhere VALUES (1)", NULL, 0), 0);
    assert_int_equal(writer_push(w, "INSERT INTO row (id) VALUES (?1)", NULL, 0), 0);
    assert_int_equal(writer_push(w, "not SQL", NULL, 0), 0);
    assert_int_equal(writer_push(w, "SELECT 1; SELECT 2", NULL, 0), 0);
    assert_int_equal(push_n(w, 1000), 0);
    assert_int_equal(writer_flush(w, 5000), 0);
    struct writer_stats s = stats_of(w);
    assert_int_equal(s.failed, 24);
    assert_int_equal(s.written, 82);
    assert_int_equal(s.transactions, 1);
    assert_int_equal(writer_stop(w, 1000), 24);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM row"), 82);
}

/* Only the commit finds out. */
static void test_deferred_constraint(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, &(struct writer_options){.delay_ms = 200});
    static const char child[] = "INSERT INTO child (row) VALUES (?1)";
    assert_int_equal(push(w, "parent", 0, 0), 0);
    for (int i = 0; i < 30; i++)
        assert_int_equal(
            writer_push(w, child, (struct store_value[]){STORE_T(i == 7 ? "nobody" : "parent")}, 1), 0);
    assert_int_equal(writer_flush(w, 5000), 0);
    struct writer_stats s = stats_of(w);
    assert_int_equal(s.failed, 1);
    assert_int_equal(s.written, 30);
    assert_int_equal(writer_stop(w, 1000), 1);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM child"), 29);
    assert_sound(p->path);
}

/* A failure that takes the transaction with it. */
static void test_or_rollback(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, &(struct writer_options){.delay_ms = 200});
    static const char harsh[] = "INSERT OR ROLLBACK INTO row (id, thread, n) VALUES (?1, 0, 0)";
    for (int i = 0; i < 20; i++) {
        assert_int_equal(push_n(w, i), 0);
        if (i % 5 == 0)
            assert_int_equal(writer_push(w, harsh, (struct store_value[]){STORE_T("same")}, 1), 0);
    }
    assert_int_equal(writer_flush(w, 5000), 0);
    assert_int_equal(stats_of(w).failed, 3);
    assert_int_equal(stats_of(w).written, 21);
    assert_int_equal(writer_stop(w, 1000), 3);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM row"), 21);
}

/* ---- a database that cannot be written for a while ---- */

static void test_queue_full_is_counted(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, &(struct writer_options){.queue_rows = 100, .batch_rows = 10});
    sqlite3 *lock = lock_database(p->path);
    for (int i = 0; i < 150; i++)
        assert_int_equal(push_n(w, i), i < 100 ? 0 : VX11_EFULL);
    struct writer_stats s = stats_of(w);
    assert_int_equal(s.pushed, 100);
    assert_int_equal(s.rejected, 50);
    assert_int_equal(s.queued, 100);
    unlock_database(lock);
    assert_int_equal(writer_flush(w, 5000), 0);
    assert_int_equal(push_n(w, 1), 0);
    assert_int_equal(writer_stop(w, 5000), 0);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM row"), 101);
}

static void test_queue_bytes_are_bounded(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, &(struct writer_options){.queue_bytes = 10000});
    sqlite3 *lock = lock_database(p->path);
    char text[4000];
    memset(text, 'x', sizeof text);
    int taken = 0;
    for (int i = 0; i < 5; i++) {
        struct store_value values[] = {STORE_T(i ? "b" : "a"), STORE_I(0), STORE_I(0),
                                       store_text_len(text, sizeof text)};
        taken += writer_push(w, insert_row, values, 4) == 0;
    }
    assert_int_equal(taken, 2);
    assert_int_equal(stats_of(w).rejected, 3);
    unlock_database(lock);
    assert_int_equal(writer_stop(w, 5000), 0);
}

static void test_flush_times_out(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, NULL);
    sqlite3 *lock = lock_database(p->path);
    assert_int_equal(push_n(w, 1), 0);
    int64_t start = clock_mono_ms();
    assert_int_equal(writer_flush(w, 100), VX11_ETIMEOUT);
    assert_true(clock_mono_ms() - start >= 100);
    assert_int_equal(writer_flush(w, 0), VX11_ETIMEOUT);
    unlock_database(lock);
    assert_int_equal(writer_flush(w, 10000), 0);
    assert_int_equal(stats_of(w).failed, 0);
    assert_int_equal(writer_stop(w, 1000), 0);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM row"), 1);
}

/* Locked for longer than the busy time-out: retried, and in order. */
static void test_retries_while_there_is_room(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, &(struct writer_options){.busy_timeout_ms = 5, .batch_rows = 4});
    sqlite3 *lock = lock_database(p->path);
    for (int i = 0; i < 20; i++)
        assert_int_equal(push_n(w, i), 0);
    assert_int_equal(writer_flush(w, 400), VX11_ETIMEOUT);
    assert_int_equal(stats_of(w).failed, 0);
    unlock_database(lock);
    assert_int_equal(writer_flush(w, 10000), 0);
    assert_int_equal(stats_of(w).written, 20);
    assert_int_equal(writer_stop(w, 1000), 0);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM row WHERE n <> seq - 1"), 0);
}

/* With the queue full the oldest batch is given up after some 4 s, and that is counted. */
static void test_gives_up_when_full(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(
        p->path, &(struct writer_options){.busy_timeout_ms = 1, .queue_rows = 10, .batch_rows = 6});
    sqlite3 *lock = lock_database(p->path);
    for (int i = 0; i < 12; i++)
        assert_int_equal(push_n(w, i), i < 10 ? 0 : VX11_EFULL);
    int64_t start = clock_mono_ms();
    while (stats_of(w).failed == 0 && clock_mono_ms() - start < 30000)
        usleep(20000);
    assert_int_equal(stats_of(w).failed, 6);
    assert_int_equal(stats_of(w).queued, 4);
    unlock_database(lock);
    assert_int_equal(writer_flush(w, 10000), 0);
    assert_int_equal(stats_of(w).written, 4);
    assert_int_equal(writer_stop(w, 1000), 6);
}

/* ---- stop ---- */

static void test_stop_drains(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, &(struct writer_options){.delay_ms = 60000, .batch_rows = 7});
    for (int i = 0; i < 5000; i++)
        assert_int_equal(push_n(w, i), 0);
    assert_int_equal(writer_stop(w, 20000), 0);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM row"), 5000);
    assert_int_equal(writer_stop(NULL, 0), 0);
}

static void test_stop_says_what_is_lost(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, NULL);
    sqlite3 *lock = lock_database(p->path);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(push_n(w, i), 0);
    int64_t start = clock_mono_ms();
    assert_int_equal(writer_stop(w, 200), 1000);
    int64_t took = clock_mono_ms() - start;
    assert_true(took >= 200 && took < 3000);
    unlock_database(lock);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM row"), 0);
}

static void *unlock_later(void *arg)
{
    usleep(300000);
    unlock_database(arg);
    return NULL;
}

static void test_stop_uses_its_time(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, &(struct writer_options){.busy_timeout_ms = 1});
    sqlite3 *lock = lock_database(p->path);
    for (int i = 0; i < 100; i++)
        assert_int_equal(push_n(w, i), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, unlock_later, lock), 0);
    assert_int_equal(writer_stop(w, 20000), 0);
    pthread_join(thread, NULL);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM row"), 100);
}

static void test_start_fails(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    struct writer *w;
    char path[160];
    snprintf(path, sizeof path, "%s/other.db", p->dir);
    assert_code(VX11_ENOT_FOUND, writer_start(&(struct writer_options){.path = path}, &w, &err), err);
    assert_null(w);
    file_patch(path, 0, "garbage", 7);
    assert_code(VX11_ECORRUPT, writer_start(&(struct writer_options){.path = path}, &w, &err), err);
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, place_teardown)
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_many_from_threads),
        IN_PLACE(test_values_are_copied),
        IN_PLACE(test_lone_row_is_soon_written),
        IN_PLACE(test_flush_does_not_wait_for_company),
        IN_PLACE(test_bad_rows_fall_alone),
        IN_PLACE(test_deferred_constraint),
        IN_PLACE(test_or_rollback),
        IN_PLACE(test_queue_full_is_counted),
        IN_PLACE(test_queue_bytes_are_bounded),
        IN_PLACE(test_flush_times_out),
        IN_PLACE(test_retries_while_there_is_room),
        IN_PLACE(test_gives_up_when_full),
        IN_PLACE(test_stop_drains),
        IN_PLACE(test_stop_says_what_is_lost),
        IN_PLACE(test_stop_uses_its_time),
        IN_PLACE(test_start_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
