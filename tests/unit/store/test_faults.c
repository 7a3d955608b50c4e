/* Disks that fail: each file operation of a whole session in turn. What was reported as done must be there
 * afterwards, and the database must be sound. */
#include "helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "fault_vfs.h"
#include "store/store_internal.h"

static const char insert_setting[] = "INSERT INTO setting (key, value, updated_at) VALUES (?1, ?2, 1)";
static char big[20000];

static int group_setup(void **state)
{
    (void)state;
    fault_install();
    log_set_level(LOG_OFF); /* it would be much */
    memset(big, '1', sizeof big - 1);
    return 0;
}

static int put(struct store *s, const char *key)
{
    struct error err = {0};
    int rc = store_exec(s, insert_setting, (struct store_value[]){STORE_T(key), STORE_T(big)}, 2, NULL, &err);
    assert_int_equal(rc, err.code);
    return rc;
}

static int three_rows(void *ctx, struct store *s, struct error *err)
{
    (void)ctx;
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++) {
        char key[16];
        snprintf(key, sizeof key, "together.%d", i);
        rc = store_exec(s, insert_setting, (struct store_value[]){STORE_T(key), STORE_T(big)}, 2, NULL, err);
    }
    return rc;
}

/* What a session was told. */
struct told {
    bool opened, single[4], together, checkpoint;
};

static void session(const char *path, struct told *told)
{
    struct store *s = NULL;
    struct error err = {0};
    memset(told, 0, sizeof *told);
    int rc = open_few(path, 20, &s, &err);
    if (rc != 0) {
        assert_int_equal(rc, err.code);
        assert_true(err.text[0] != '\0');
        return;
    }
    told->opened = true;
    for (int i = 0; i < 4; i++) {
        char key[16];
        snprintf(key, sizeof key, "single.%d", i);
        told->single[i] = put(s, key) == 0;
        if (i == 1)
            told->together = store_transaction(s, three_rows, NULL, &err) == 0;
        if (i == 2)
            told->checkpoint = sql_run(s->write, "PRAGMA wal_checkpoint(TRUNCATE)", &err) == 0;
    }
    store_close(s);
}

static void check_session(const char *path, const struct told *told, long nth)
{
    struct error err = {0};
    struct store *s = NULL;
    if (open_few(path, 0, &s, &err) != 0)
        fail_msg("after failure %ld it does not open: %s", nth, err.text);
    store_close(s);
    assert_sound(path);
    int64_t there = raw_int(path, "SELECT coalesce(sum(1 << CAST(substr(key, 8) AS INTEGER)), 0) FROM setting"
                                  " WHERE key LIKE 'single.%'");
    for (int i = 0; i < 4; i++)
        if (told->single[i] && !(there & 1 << i))
            fail_msg("after failure %ld row %d is gone", nth, i);
    int64_t together = raw_int(path, "SELECT count(*) FROM setting WHERE key LIKE 'together.%'");
    if (together != 0 && together != 3)
        fail_msg("after failure %ld there is %d of a transaction's 3 rows", nth, (int)together);
    if (told->together && together != 3)
        fail_msg("after failure %ld a transaction is gone", nth);
}

/* step: how many operations from one turn to the next. Opening alone takes hundreds, alike but for the table
 * that they make: there the steps grow; then they halve back to the last one before it was opened, and from
 * there on they are small. */
static void each_in_turn(struct place *p, unsigned kinds, int code, bool lasting, long step)
{
    long nth = 1, opened = 0, turns = 0, before = 0, after = 0;
    for (bool fine = false;;) {
        struct told told;
        fault_arm(kinds, nth, code, lasting);
        session(p->path, &told);
        long hits = fault_disarm();
        opened += told.opened;
        turns++;
        check_session(p->path, &told, nth);
        unlink(p->path);
        if (!fine &&
            (told.opened || after > 0)) { /* between before and after: where opening begins to go well */
            if (told.opened)
                after = nth;
            else
                before = nth;
            fine = after - before <= 4;
            nth = fine ? before : (before + after) / 2;
            continue;
        }
        before = nth;
        if (hits == 0) {
            assert_true(told.opened && told.together && told.checkpoint && told.single[3]);
            break;
        }
        assert_true(nth < 2000);
        nth += fine ? step : step + nth / 8;
    }
    print_message("%ld operations failed in turn\n", turns);
    assert_true(nth > 3 && opened > 0);
}

static void test_write_fails(void **state)
{
    each_in_turn(*state, FAULT_WRITE, SQLITE_IOERR_WRITE, false, 5);
}

static void test_disk_full(void **state)
{
    each_in_turn(*state, FAULT_WRITE, SQLITE_FULL, true, 7);
}

static void test_sync_fails(void **state)
{
    each_in_turn(*state, FAULT_SYNC | FAULT_TRUNCATE, SQLITE_IOERR_FSYNC, false, 1);
}

static void test_open_fails(void **state)
{
    each_in_turn(*state, FAULT_OPEN, SQLITE_CANTOPEN, false, 1);
}

static void test_index_fails(void **state)
{
    each_in_turn(*state, FAULT_SHM, SQLITE_IOERR_SHMMAP, false, 1);
}

static void test_read_fails(void **state)
{
    each_in_turn(*state, FAULT_READ, SQLITE_IOERR_READ, false, 2);
}

/* ---- the writer on a bad disk ---- */

static void test_writer_waits_for_room(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    assert_ok(try_open(p->path, &err), err);
    struct writer *w = open_writer(p->path, &(struct writer_options){.batch_rows = 3});
    fault_arm(FAULT_WRITE, 1, SQLITE_FULL, true);
    char keys[20][16];
    for (int i = 0; i < 20; i++) {
        snprintf(keys[i], sizeof keys[i], "key.%d", i);
        struct store_value values[] = {STORE_T(keys[i]), STORE_T(big)};
        assert_int_equal(writer_push(w, insert_setting, values, 2), 0);
    }
    assert_int_equal(writer_flush(w, 300), VX11_ETIMEOUT);
    struct writer_stats st;
    writer_stats(w, &st);
    assert_int_equal(st.written, 0);
    assert_int_equal(st.failed, 0);
    assert_true(fault_disarm() > 0); /* somebody made room */
    assert_int_equal(writer_flush(w, 10000), 0);
    assert_int_equal(writer_stop(w, 1000), 0);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM setting"), 20);
    assert_sound(p->path);
}

/* One failure at each write in turn: every row arrives, once. */
static void test_writer_gets_over_failures(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    for (long nth = 1;; nth += 2) {
        assert_ok(try_open(p->path, &err), err);
        struct writer *w = open_writer(p->path, &(struct writer_options){.batch_rows = 4, .delay_ms = 1});
        fault_arm(FAULT_WRITE | FAULT_SYNC, nth, SQLITE_IOERR_WRITE, false);
        for (int i = 0; i < 8; i++) {
            char key[16];
            snprintf(key, sizeof key, "key.%d", i);
            struct store_value values[] = {STORE_T(key), STORE_T(big)};
            assert_int_equal(writer_push(w, insert_setting, values, 2), 0);
        }
        assert_int_equal(writer_flush(w, 10000), 0);
        long hits = fault_disarm();
        struct writer_stats st;
        writer_stats(w, &st);
        assert_int_equal(st.written, 8);
        assert_int_equal(st.failed, 0);
        assert_int_equal(writer_stop(w, 5000), 0);
        assert_int_equal(raw_int(p->path, "SELECT count(*) FROM setting"), 8);
        assert_sound(p->path);
        unlink(p->path);
        if (hits == 0)
            break;
        assert_true(nth < 500);
    }
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, place_setup_fast, place_teardown)
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_write_fails),
        IN_PLACE(test_disk_full),
        IN_PLACE(test_sync_fails),
        IN_PLACE(test_open_fails),
        IN_PLACE(test_index_fails),
        IN_PLACE(test_read_fails),
        IN_PLACE(test_writer_waits_for_room),
        IN_PLACE(test_writer_gets_over_failures),
    };
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
