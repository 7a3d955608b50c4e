/* Groups of the batched writer: whatever happens, all rows of a group are there or none. */
#include "helper.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

static const char insert_row[] = "INSERT INTO row (who, n, part) VALUES (?1, ?2, ?3)";
static const char insert_sum[] =
    "INSERT INTO total (who, n) VALUES (?1, 1) ON CONFLICT (who) DO UPDATE SET n = n + 1";
static const char insert_child[] = "INSERT INTO child (row) VALUES (?1)";

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
             "CREATE TABLE row (seq INTEGER PRIMARY KEY, who TEXT NOT NULL, n INTEGER NOT NULL CHECK (n >= "
             "0), part INTEGER NOT NULL, UNIQUE (who, n, part)) STRICT;"
             "CREATE TABLE total (who TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL) STRICT;"
             "CREATE TABLE child (row INTEGER REFERENCES row (seq) DEFERRABLE INITIALLY DEFERRED) STRICT");
    return 0;
}

/* Three statements: two rows, and one that counts the groups. */
static int push_group(struct writer *w, const char *who, int64_t n, int64_t second)
{
    struct store_value a[] = {STORE_T(who), STORE_I(n), STORE_I(1)};
    struct store_value b[] = {STORE_T(who), STORE_I(second), STORE_I(2)};
    struct store_value c[] = {STORE_T(who)};
    return writer_push_group(
        w, (struct writer_row[]){{insert_row, a, 3}, {insert_row, b, 3}, {insert_sum, c, 1}}, 3);
}

static int push_alone(struct writer *w, const char *who, int64_t n)
{
    return writer_push(w, insert_row, (struct store_value[]){STORE_T(who), STORE_I(n), STORE_I(0)}, 3);
}

static void assert_whole(const char *path)
{
    assert_int_equal(raw_int(path, "SELECT count(*) FROM (SELECT who, n FROM row WHERE part > 0"
                                   " GROUP BY who, n HAVING count(*) <> 2)"),
                     0);
    assert_int_equal(raw_int(path, "SELECT count(*) FROM row WHERE part = 1"),
                     raw_int(path, "SELECT coalesce(sum(n), 0) FROM total"));
    assert_sound(path);
}

static void test_a_refused_row_takes_its_group(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, &(struct writer_options){.delay_ms = 200});
    for (int i = 0; i < 40; i++) {
        assert_int_equal(push_group(w, "g", i, i % 10 == 3 ? -1 : i), 0); /* the second breaks CHECK */
        assert_int_equal(push_alone(w, "a", i % 10 == 7 ? -1 : i), 0);
    }
    assert_int_equal(push_group(w, "g", 5, 1005), 0); /* the first is there already */
    assert_int_equal(writer_push_group(w, NULL, 0), 0);
    assert_int_equal(writer_flush(w, 5000), 0);
    struct writer_stats s;
    writer_stats(w, &s);
    assert_int_equal(s.failed, 5 * 3 + 4);
    assert_int_equal(s.written, 36 * 3 + 36);
    assert_int_equal(s.transactions, 1);
    assert_int_equal(writer_stop(w, 1000), 19);
    assert_int_equal(raw_int(p->path, "SELECT n FROM total WHERE who = 'g'"), 36);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM row WHERE who = 'a'"), 36);
    assert_whole(p->path);
}

/* What only the commit finds out strikes the whole group too, and nobody else. */
static void test_a_refused_commit_takes_its_group(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, &(struct writer_options){.delay_ms = 200});
    struct store_value values[] = {STORE_T("c"), STORE_I(1), STORE_I(0)};
    struct store_value nobody[] = {STORE_I(4711)};
    assert_int_equal(push_group(w, "g", 1, 1), 0);
    assert_int_equal(
        writer_push_group(w, (struct writer_row[]){{insert_row, values, 3}, {insert_child, nobody, 1}}, 2),
        0);
    assert_int_equal(push_group(w, "g", 2, 2), 0);
    assert_int_equal(writer_flush(w, 5000), 0);
    assert_int_equal(writer_stop(w, 1000), 2);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM row WHERE who = 'c'"), 0);
    assert_int_equal(raw_int(p->path, "SELECT n FROM total"), 2);
    assert_whole(p->path);
}

/* Groups whose size does not divide the batch's: none is parted by a batch's end. */
static void test_no_batch_parts_a_group(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, &(struct writer_options){.delay_ms = 500, .batch_rows = 7});
    for (int i = 0; i < 50; i++) {
        assert_int_equal(push_group(w, "g", i, i), 0);
        if (i % 3 == 0)
            assert_int_equal(push_alone(w, "a", i), 0);
    }
    assert_int_equal(writer_flush(w, 5000), 0);
    struct writer_stats s;
    writer_stats(w, &s);
    assert_int_equal(s.written, 167);
    assert_true(s.transactions >= 25);
    struct writer_row eight[8];
    struct store_value who[] = {STORE_T("x")};
    for (int i = 0; i < 8; i++)
        eight[i] = (struct writer_row){insert_sum, who, 1};
    assert_int_equal(writer_push_group(w, eight, 8), VX11_ETOO_LARGE);
    assert_int_equal(writer_push_group(w, eight, 7), 0);
    assert_int_equal(writer_stop(w, 5000), 0);
    assert_int_equal(raw_int(p->path, "SELECT n FROM total WHERE who = 'x'"), 7);
}

static void test_a_full_queue_takes_none(void **state)
{
    struct place *p = *state;
    struct writer *w = open_writer(p->path, &(struct writer_options){.queue_rows = 10, .batch_rows = 5});
    sqlite3 *db;
    assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(push_group(w, "g", i, i), i < 3 ? 0 : VX11_EFULL);
    assert_int_equal(push_alone(w, "a", 1), 0);
    assert_int_equal(push_alone(w, "a", 2), VX11_EFULL);
    struct writer_stats s;
    writer_stats(w, &s);
    assert_int_equal(s.queued, 10);
    assert_int_equal(s.rejected, 7);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(db);
    assert_int_equal(writer_stop(w, 5000), 0);
    assert_int_equal(raw_int(p->path, "SELECT n FROM total"), 3);
    assert_whole(p->path);
}

struct pusher {
    struct writer *w;
    char who[8];
    int groups;
};

static void *push_many(void *arg)
{
    struct pusher *p = arg;
    for (int i = 0; i < p->groups; i++) {
        int rc;
        while ((rc = push_group(p->w, p->who, i, i % 100 == 99 ? -1 : i)) == VX11_EFULL)
            usleep(500);
        if (rc != 0)
            abort();
    }
    return NULL;
}

static void test_groups_from_threads(void **state)
{
    struct place *p = *state;
    enum { THREADS = 4, GROUPS = 1500 };
    struct writer *w =
        open_writer(p->path, &(struct writer_options){.queue_rows = 700, .batch_rows = 64, .delay_ms = 1});
    pthread_t threads[THREADS];
    struct pusher pushers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        pushers[i] = (struct pusher){.w = w, .groups = GROUPS};
        snprintf(pushers[i].who, sizeof pushers[i].who, "t%d", i);
        assert_int_equal(pthread_create(&threads[i], NULL, push_many, &pushers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(writer_flush(w, 30000), 0);
    assert_int_equal(writer_stop(w, 1000), THREADS * (GROUPS / 100) * 3);
    assert_int_equal(raw_int(p->path, "SELECT sum(n) FROM total"), THREADS * (GROUPS - GROUPS / 100));
    assert_whole(p->path);
}

/* ---- killed ---- */

struct killed {
    const char *path;
    int told;
    int64_t from;
};

static int push_until_killed(void *ctx)
{
    struct killed *k = ctx;
    struct writer *w = open_writer(k->path, &(struct writer_options){.batch_rows = 16, .delay_ms = 1});
    for (int64_t n = k->from;; n++) {
        int rc;
        while ((rc = push_group(w, "killed", n, n)) == VX11_EFULL)
            usleep(500);
        if (rc != 0)
            return 1;
        if (n % 200 == 199 && (writer_flush(w, 30000) != 0 || write(k->told, &n, sizeof n) != sizeof n))
            return 2;
    }
}

static void test_killed_between_rows(void **state)
{
    struct place *p = *state;
    for (int round = 0; round < 12; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        struct killed k = {p->path, ends[1], round * INT64_C(1000000)};
        int pid = start_process(push_until_killed, &k);
        close(ends[1]);
        int64_t flushed = -1, n;
        assert_int_equal(read(ends[0], &flushed, sizeof flushed), sizeof flushed);
        usleep((useconds_t)(round * 613));
        kill(pid, SIGKILL);
        int status = wait_process(pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        while (read(ends[0], &n, sizeof n) == sizeof n)
            flushed = n;
        close(ends[0]);
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM row WHERE part = 2 AND n BETWEEN %lld AND %lld",
                 (long long)k.from, (long long)flushed);
        assert_int_equal(raw_int(p->path, sql), flushed - k.from + 1); /* what was said to be written is */
        assert_whole(p->path);
    }
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, place_teardown)
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_a_refused_row_takes_its_group), IN_PLACE(test_a_refused_commit_takes_its_group),
        IN_PLACE(test_no_batch_parts_a_group),        IN_PLACE(test_a_full_queue_takes_none),
        IN_PLACE(test_groups_from_threads),           IN_PLACE(test_killed_between_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
