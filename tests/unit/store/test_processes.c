/* Real processes: two that write at once, and one that is killed. */
#include "helper.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/ulid.h"
#include "store/store_internal.h"

static int setup(void **state)
{
    int rc = place_setup(state);
    if (rc != 0)
        return rc;
    struct place *p = *state;
    struct error err = {0};
    if (try_open(p->path, &err) != 0)
        return -1;
    raw_exec(
        p->path,
        "CREATE TABLE row (who TEXT NOT NULL, n INTEGER NOT NULL, pad TEXT NOT NULL, PRIMARY KEY (who, n))"
        " STRICT");
    return 0;
}

static const char insert_row[] = "INSERT INTO row (who, n, pad) VALUES (?1, ?2, hex(zeroblob(100)))";

static int put(struct store *s, const char *who, int64_t n)
{
    struct error err = {0};
    int rc = store_exec(s, insert_row, (struct store_value[]){STORE_T(who), STORE_I(n)}, 2, NULL, &err);
    if (rc != 0)
        fprintf(stderr, "%s %lld: %s\n", who, (long long)n, err.text);
    return rc;
}

/* ---- two write at once ---- */

#define EACH 3000

static int write_singly(void *ctx)
{
    struct store *s = open_store(ctx);
    int rc = 0;
    for (int i = 0; i < EACH && rc == 0; i++)
        rc = put(s, "singly", i);
    store_close(s);
    return rc == 0 ? 0 : 1;
}

static int write_batched(void *ctx)
{
    struct store *s = open_store(ctx);
    struct writer *w = open_writer(ctx, &(struct writer_options){.batch_rows = 50});
    for (int i = 0; i < EACH; i++) {
        if (writer_push(w, insert_row, (struct store_value[]){STORE_T("batched"), STORE_I(i)}, 2) != 0)
            return 1;
        if (i % 100 == 0)
            usleep(1000); /* so that it lasts */
    }
    uint64_t lost = writer_stop(w, 30000);
    store_close(s);
    return lost == 0 ? 0 : 2;
}

static void test_two_write_at_once(void **state)
{
    struct place *p = *state;
    int a = start_process(write_singly, p->path), b = start_process(write_batched, p->path);
    assert_exit(wait_process(a), 0);
    assert_exit(wait_process(b), 0);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM row WHERE who = 'singly'"), EACH);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM row WHERE who = 'batched'"), EACH);
    assert_sound(p->path);
}

/* ---- one is killed ---- */

struct killed {
    const char *path;
    int told; /* pipe: what has been committed */
    int round;
};

static int tell(int fd, int64_t n)
{
    return write(fd, &n, sizeof n) == sizeof n ? 0 : -1;
}

static int hundred_rows(void *ctx, struct store *s, struct error *err)
{
    int64_t *n = ctx;
    (void)err;
    for (int i = 0; i < 100; i++, ++*n)
        if (put(s, "killed", *n) != 0)
            return -1;
    return 0;
}

struct endless {
    struct killed *k;
    int64_t n;
};

static int rows_without_end(void *ctx, struct store *s, struct error *err)
{
    struct endless *e = ctx;
    (void)err;
    for (int i = 0;; i++) {
        if (put(s, "killed", e->n++) != 0)
            return 2;
        if (i == 2000 && tell(e->k->told, -1) != 0)
            return 3;
    }
}

/* Commits by hundreds and says so, then says -1 and goes on inside a transaction that never ends. */
static int die_in_transaction(void *ctx)
{
    struct killed *k = ctx;
    struct store *s = open_store(k->path);
    struct error err = {0};
    struct endless e = {k, k->round * 100000};
    for (int i = 0; i < 5; i++)
        if (store_transaction(s, hundred_rows, &e.n, &err) != 0 || tell(k->told, e.n) != 0)
            return 1;
    /* A cache this small spills rows that are not committed into the log. */
    sqlite3_exec(s->write, "PRAGMA cache_size=5", NULL, NULL, NULL);
    return store_transaction(s, rows_without_end, &e, &err);
}

static int64_t kill_when_told(struct killed *k, int (*fn)(void *), int delay_us)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    k->told = ends[1];
    int pid = start_process(fn, k);
    close(ends[1]);
    int64_t committed = 0, n;
    while (read(ends[0], &n, sizeof n) == sizeof n && n != -1)
        committed = n;
    if (delay_us > 0)
        usleep((useconds_t)delay_us);
    kill(pid, SIGKILL);
    int status = wait_process(pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    /* What it still said before it died. */
    while (read(ends[0], &n, sizeof n) == sizeof n)
        committed = n > committed ? n : committed;
    close(ends[0]);
    return committed;
}

static void test_killed_in_transaction(void **state)
{
    struct place *p = *state;
    for (int round = 1; round <= 4; round++) {
        struct killed k = {p->path, -1, round};
        int64_t committed = kill_when_told(&k, die_in_transaction, 0);
        assert_int_equal(committed, round * 100000 + 500);
        struct store *s = open_store(p->path);
        assert_int_equal(query_int(s, "SELECT count(*) FROM row"), round * 500);
        assert_int_equal(query_int(s, "SELECT max(n) FROM row"), committed - 1);
        assert_int_equal(put(s, "later", round), 0);
        assert_ok(store_exec(s, "DELETE FROM row WHERE who = 'later'", NULL, 0, NULL, NULL),
                  (struct error){0});
        store_close(s);
        assert_sound(p->path);
    }
}

/* The writer's promise is writer_flush: what it said is written survives a kill at any moment. */
static int push_until_killed(void *ctx)
{
    struct killed *k = ctx;
    struct writer *w = open_writer(k->path, &(struct writer_options){.batch_rows = 20, .delay_ms = 1});
    for (int64_t n = k->round * 100000;; n++) {
        if (writer_push(w, insert_row, (struct store_value[]){STORE_T("killed"), STORE_I(n)}, 2) != 0)
            return 1;
        if (n % 37 == 0 && (writer_flush(w, 30000) != 0 || tell(k->told, n + 1) != 0))
            return 2;
        if (n % 1000 == 999 && tell(k->told, -1) != 0)
            return 3;
    }
}

static void test_killed_while_writing_batches(void **state)
{
    struct place *p = *state;
    for (int round = 1; round <= 5; round++) {
        struct killed k = {p->path, -1, round};
        int64_t committed = kill_when_told(&k, push_until_killed, round * 777);
        struct store *s = open_store(p->path);
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM row WHERE n >= %d AND n < %lld", round * 100000,
                 (long long)committed);
        assert_int_equal(query_int(s, sql), committed - round * 100000);
        store_close(s);
        assert_sound(p->path);
    }
}

/* A process that is killed while it opens (and migrates) a new file leaves nothing that stops the next. */
static int open_it(void *ctx)
{
    struct store *s = open_store(ctx);
    store_close(s);
    return 0;
}

static void test_killed_while_opening(void **state)
{
    struct place *p = *state;
    char path[160], other[180];
    snprintf(path, sizeof path, "%s/new.db", p->dir);
    for (int i = 0; i < 25; i++) {
        int pid = start_process(open_it, path);
        usleep((useconds_t)(i * 400));
        kill(pid, SIGKILL);
        wait_process(pid);
        struct error err = {0};
        assert_ok(try_open(path, &err), err);
        assert_sound(path);
        unlink(path);
        static const char *const ends[] = {"-wal", "-shm"};
        for (int j = 0; j < 2; j++) {
            snprintf(other, sizeof other, "%s%s", path, ends[j]);
            unlink(other);
        }
    }
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, place_teardown)
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_two_write_at_once),
        IN_PLACE(test_killed_in_transaction),
        IN_PLACE(test_killed_while_writing_batches),
        IN_PLACE(test_killed_while_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
