/* Retention: what is too old or too much goes, oldest first; what declares itself wrongly is said. */
#include "helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/store_internal.h"

#define DAY INT64_C(86400000)
#define NOW INT64_C(1700000000000)

static int group_setup(void **state)
{
    (void)state;
    log_set_level(LOG_OFF);
    return 0;
}

static void fill_events(const char *path, int rows)
{
    char sql[400];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO event"
             " SELECT printf('%%026d', i), 'system.alert', 'link', i, '{}', 2 FROM n",
             rows);
    raw_exec(path, sql);
}

static void test_rows(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    uint64_t deleted = 9;
    assert_ok(store_retain(s, NOW, &deleted, &err), err);
    assert_int_equal(deleted, 0);
    fill_events(p->path, 12345);
    assert_ok(store_retain(s, NOW, &deleted, &err), err);
    assert_int_equal(deleted, 2345);
    assert_int_equal(query_int(s, "SELECT count(*) FROM event"), 10000);
    assert_int_equal(query_int(s, "SELECT min(at) FROM event"), 2346);
    assert_ok(store_retain(s, NOW, &deleted, &err), err);
    assert_int_equal(deleted, 0);
    store_close(s);
    assert_sound(p->path);
}

static void test_age(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    uint64_t deleted;
    char sql[500];
    snprintf(
        sql, sizeof sql,
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1799) INSERT INTO "
        "module_run"
        " (id, module, pid, started_at) SELECT printf('%%026d', i), 'link', 1, %lld - i * %lld / 10 FROM n",
        (long long)NOW, (long long)DAY);
    raw_exec(p->path, sql);
    assert_ok(store_retain(s, NOW, &deleted, &err), err);
    assert_int_equal(deleted, 899); /* ten a day; what is exactly 90 days old stays */
    assert_int_equal(query_int(s, "SELECT max(CAST(id AS INTEGER)) FROM module_run"), 900);
    store_close(s);
}

/* Space that was freed goes back to the file system. */
static void test_gives_space_back(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    uint64_t deleted;
    fill_events(p->path, 30000);
    int64_t before = query_int(s, "PRAGMA page_count");
    assert_ok(store_retain(s, NOW, &deleted, &err), err);
    assert_int_equal(deleted, 20000);
    assert_true(query_int(s, "PRAGMA page_count") < before * 2 / 3);
    store_close(s);
    assert_sound(p->path);
}

static void test_small_transactions(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    uint64_t deleted;
    fill_events(p->path, 12000);
    raw_exec(p->path,
             "CREATE TABLE counted (n INTEGER); INSERT INTO counted VALUES (0);"
             "CREATE TRIGGER count_deleted AFTER DELETE ON event BEGIN UPDATE counted SET n = n + 1; END;"
             "CREATE TRIGGER stop_at AFTER UPDATE ON counted WHEN NEW.n = 1700 BEGIN"
             " SELECT raise(ROLLBACK, 'enough'); END");
    assert_int_equal(store_retain(s, NOW, &deleted, &err), VX11_EINVALID);
    assert_has(err.text, "enough");
    /* What was committed by then stays deleted, and what was not stays. */
    assert_true(deleted < 1700);
    assert_int_equal(query_int(s, "SELECT count(*) FROM event"), 12000 - (int64_t)deleted);
    assert_int_equal(query_int(s, "SELECT sum(deleted_rows) FROM archive"), deleted);
    store_close(s);
}

static void test_bad_declarations(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    uint64_t deleted;
    fill_events(p->path, 10010);
    static const char *const bad[] = {
        "'a_nowhere', 'at'",
        "'setting', 'no_such'",
        "'setting', 'value'",                              /* not INTEGER */
        "'sqlite_schema', 'rootpage'",                     /* not ours */
        "'event\" WHERE 1; DROP TABLE setting; --', 'at'", /* a name that is SQL */
        "'no_rowid', 'at'",
    };
    raw_exec(p->path, "CREATE TABLE no_rowid (at INTEGER PRIMARY KEY) WITHOUT ROWID");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char sql[300];
        snprintf(sql, sizeof sql,
                 "INSERT INTO retention (table_name, time_column, max_age_ms, max_rows) VALUES (%s, 1, 1)",
                 bad[i]);
        raw_exec(p->path, sql);
        assert_code(VX11_EINVALID, store_retain(s, NOW, &deleted, &err), err);
        assert_has(err.text, "retention names");
        if (i == 0) /* the others are cleaned nevertheless */
            assert_int_equal(deleted, 10);
        raw_exec(p->path, "DELETE FROM retention WHERE max_rows = 1");
    }
    assert_ok(store_retain(s, NOW, &deleted, &err), err);
    assert_int_equal(query_int(s, "SELECT count(*) FROM setting"), 0);
    store_close(s);
}

/* A name that needs quoting is quoted. */
static void test_odd_names(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    uint64_t deleted;
    raw_exec(p->path, "CREATE TABLE \"odd \"\" name\" (\"the time\" INTEGER) STRICT;"
                      "INSERT INTO \"odd \"\" name\" VALUES (1), (3), (2);"
                      "INSERT INTO retention (table_name, time_column, max_rows, archive) VALUES ('odd \" "
                      "name', 'the time', 1, 0)");
    assert_ok(store_retain(s, NOW, &deleted, &err), err);
    assert_int_equal(deleted, 2);
    assert_int_equal(query_int(s, "SELECT \"the time\" FROM \"odd \"\" name\""), 3);
    store_close(s);
}

/* What every migration declares is right, and is served by an index. */
static void test_declarations_have_indexes(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    assert_true(query_int(s, "SELECT count(*) FROM retention") >= 4);
    assert_int_equal(query_int(s, "SELECT count(*) FROM retention AS r WHERE NOT EXISTS (SELECT 1 FROM"
                                  " pragma_index_list(r.table_name) AS i JOIN pragma_index_info(i.name) AS c"
                                  " WHERE c.seqno = 0 AND c.name = r.time_column)"),
                     0);
    store_close(s);
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, place_setup_fast, place_teardown)
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_rows),
        IN_PLACE(test_age),
        IN_PLACE(test_gives_space_back),
        IN_PLACE(test_small_transactions),
        IN_PLACE(test_bad_declarations),
        IN_PLACE(test_odd_names),
        IN_PLACE(test_declarations_have_indexes),
    };
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
