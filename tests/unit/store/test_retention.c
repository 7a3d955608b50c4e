/* Retention everywhere: each table of the migrated schema says how long its rows are kept (`retention`) or
 * why it needs no bound (`retention_exempt`), what is declared is served by an index, and the work that keeps
 * the bounds really deletes from each table. A migration that makes a table and says nothing fails here. */
#include "helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"

#define NOW INT64_C(1800000000000)

static int group_setup(void **state)
{
    (void)state;
    log_set_level(LOG_OFF);
    return 0;
}

/* ---- what is declared ---- */

/* Each a query whose rows are faults: a name and what is wrong with it. */
static const char *const faults[] = {
    "SELECT name, 'is neither in retention nor in retention_exempt' FROM pragma_table_list"
    " WHERE schema = 'main' AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    " AND name NOT IN (SELECT table_name FROM retention UNION SELECT table_name FROM retention_exempt)",
    "SELECT table_name, 'is in retention and in retention_exempt' FROM retention"
    " WHERE table_name IN (SELECT table_name FROM retention_exempt)",
    "SELECT table_name, 'is declared, and is no table' FROM (SELECT table_name FROM retention UNION"
    " SELECT table_name FROM retention_exempt) WHERE table_name NOT IN (SELECT name FROM pragma_table_list"
    " WHERE schema = 'main' AND type IN ('table', 'virtual'))",
    "SELECT table_name, 'has a time column that is no INTEGER of it' FROM retention AS r WHERE NOT EXISTS"
    " (SELECT 1 FROM pragma_table_info(r.table_name) AS c WHERE c.name = r.time_column AND c.type = "
    "'INTEGER')",
    "SELECT table_name, 'has no bound' FROM retention WHERE max_age_ms IS NULL AND max_rows IS NULL",
    "SELECT table_name, 'goes with its parent, but has no reference that deletes it' FROM retention_exempt "
    "AS "
    "e"
    " WHERE kept = 'parent' AND NOT EXISTS (SELECT 1 FROM pragma_foreign_key_list(e.table_name) AS k WHERE"
    " k.on_delete = 'CASCADE')",
};

/* Whether the rows that go first are found by an index, and not by looking at all of them. */
static int count_slow(sqlite3 *db, const char *table, const char *column, const char *where, struct buf *out)
{
    sqlite3_stmt *stmt;
    bool by_index = false, sorted = false;
    char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN SELECT rowid FROM \"%w\" %s ORDER BY \"%w\" LIMIT 500",
                                table, where, column);
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK) {
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            const char *detail = (const char *)sqlite3_column_text(stmt, 3);
            by_index = by_index || strstr(detail, "INDEX");
            sorted = sorted || strstr(detail, "TEMP B-TREE");
        }
    }
    sqlite3_finalize(stmt);
    sqlite3_free(sql);
    if (by_index && !sorted)
        return 0;
    buf_printf(out, "%s has no index for its retention\n", table);
    return 1;
}

static int count_without_index(sqlite3 *db, struct buf *out)
{
    sqlite3_stmt *stmt;
    int n = 0;
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT table_name, time_column, max_age_ms, max_rows FROM retention",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *table = (const char *)sqlite3_column_text(stmt, 0),
                   *column = (const char *)sqlite3_column_text(stmt, 1);
        char *where = sqlite3_mprintf("WHERE \"%w\" < 5", column);
        if (sqlite3_column_int64(stmt, 2) > 0)
            n += count_slow(db, table, column, where, out);
        if (sqlite3_column_int64(stmt, 3) > 0)
            n += count_slow(db, table, column, "", out);
        sqlite3_free(where);
    }
    sqlite3_finalize(stmt);
    return n;
}

static int count_faults(const char *path, struct buf *out)
{
    sqlite3 *db;
    int n = 0;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        sqlite3_stmt *stmt;
        if (sqlite3_prepare_v2(db, faults[i], -1, &stmt, NULL) != SQLITE_OK)
            fail_msg("%s: %s", faults[i], sqlite3_errmsg(db));
        for (; sqlite3_step(stmt) == SQLITE_ROW; n++)
            buf_printf(out, "%s %s\n", sqlite3_column_text(stmt, 0), sqlite3_column_text(stmt, 1));
        sqlite3_finalize(stmt);
    }
    n += count_without_index(db, out);
    sqlite3_close(db);
    return n;
}

static void test_all_is_declared(void **state)
{
    struct place *p = *state;
    struct buf said = BUF_INIT;
    store_close(open_store(p->path));
    int n = count_faults(p->path, &said);
    if (n != 0)
        fail_msg("of the tables\n%s", said.data);
    assert_true(raw_int(p->path, "SELECT count(*) FROM retention") >= 20);
    buf_free(&said);
}

/* The test above would see each way of getting it wrong. */
static void test_each_fault_is_seen(void **state)
{
    struct place *p = *state;
    static const struct {
        const char *sql, *says;
    } cases[] = {
        {"CREATE TABLE a_new (at INTEGER) STRICT", "a_new is neither"},
        {"CREATE VIRTUAL TABLE a_words USING fts5 (text)", "a_words is neither"},
        {"INSERT INTO retention_exempt VALUES ('event', 'forever', 'x')", "event is in retention and"},
        {"INSERT INTO retention_exempt VALUES ('nowhere', 'forever', 'x')", "nowhere is declared"},
        {"UPDATE retention SET time_column = 'payload' WHERE table_name = 'event'",
         "event has a time column"},
        {"DROP INDEX event_by_at", "event has no index"},
        {"DROP INDEX event_by_at; CREATE INDEX event_by_at ON event (at) WHERE size > 1",
         "event has no index"},
        {"CREATE TABLE a_child (id INTEGER REFERENCES model (id)) STRICT; INSERT INTO retention_exempt "
         "VALUES "
         "('a_child', 'parent', 'x')",
         "a_child goes with its parent"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf said = BUF_INIT;
        char path[180];
        snprintf(path, sizeof path, "%s/%zu.db", p->dir, i);
        store_close(open_store(path));
        raw_exec(path, cases[i].sql);
        assert_true(count_faults(path, &said) > 0);
        assert_has(said.data, cases[i].says);
        buf_free(&said);
    }
}

/* ---- what is deleted ---- */

struct rule {
    char table[64], column[64];
    int64_t max_age_ms, max_rows; /* 0: none */
};

static size_t read_rules(const char *path, struct rule *rules, size_t max)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    size_t n = 0;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT table_name, time_column, max_age_ms, max_rows FROM retention "
                                        "ORDER BY table_name",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    for (; sqlite3_step(stmt) == SQLITE_ROW; n++) {
        assert_true(n < max);
        snprintf(rules[n].table, sizeof rules[n].table, "%s", sqlite3_column_text(stmt, 0));
        snprintf(rules[n].column, sizeof rules[n].column, "%s", sqlite3_column_text(stmt, 1));
        rules[n].max_age_ms = sqlite3_column_int64(stmt, 2);
        rules[n].max_rows = sqlite3_column_int64(stmt, 3);
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return n;
}

/* A row whose values are of the right types, each of them unlike those of the other rows; what they may mean
 * (CHECK, references) is nothing that retention looks at. */
static void put_row(sqlite3 *db, const struct rule *r, int64_t at, int number)
{
    struct buf names = BUF_INIT, values = BUF_INIT;
    sqlite3_stmt *stmt;
    char *sql = sqlite3_mprintf("SELECT name, type, pk FROM pragma_table_info(%Q)", r->table);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(stmt, 0),
                   *type = (const char *)sqlite3_column_text(stmt, 1);
        buf_printf(&names, "%s\"%s\"", names.len ? ", " : "", name);
        buf_puts(&values, values.len ? ", " : "");
        if (strcmp(name, r->column) == 0)
            buf_printf(&values, "%lld", (long long)at);
        else if (strcmp(type, "TEXT") == 0)
            buf_printf(&values, "printf('%%026d', %d)", number);
        else if (strcmp(type, "BLOB") == 0)
            buf_printf(&values, "CAST(printf('%%032d', %d) AS BLOB)", number);
        else
            buf_printf(&values, "%d", number);
    }
    sqlite3_finalize(stmt);
    sqlite3_free(sql);
    sql = sqlite3_mprintf("INSERT INTO \"%w\" (%s) VALUES (%s)", r->table, names.data, values.data);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_free(sql);
    buf_free(&names);
    buf_free(&values);
}

/* No trigger adds rows that nobody asked for. */
static sqlite3 *open_loose(const char *path)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "PRAGMA ignore_check_constraints = 1; PRAGMA foreign_keys = 0; "
                                  "PRAGMA synchronous = 0; BEGIN",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    for (int i = 1001; i <= 1007; i++) { /* what samples refer to when they are rolled up */
        char sql[200];
        snprintf(sql, sizeof sql, "INSERT INTO metric_series VALUES (%d, 'link', 'n%d', 'gauge', '', 1)", i,
                 i);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    }
    return db;
}

static int64_t rows_of(const char *path, const struct rule *r, const char *what)
{
    char *sql = sqlite3_mprintf("SELECT %s FROM \"%w\"", what, r->table);
    int64_t rows = raw_int(path, sql);
    sqlite3_free(sql);
    return rows;
}

static void retain(const char *path)
{
    struct store *s = open_store(path);
    struct error err = {0};
    uint64_t deleted;
    assert_ok(store_retain(s, NOW, &deleted, &err), err);
    store_close(s);
}

static void test_age_deletes(void **state)
{
    struct place *p = *state;
    struct rule rules[64];
    store_close(open_store(p->path));
    size_t n = read_rules(p->path, rules, 64);
    sqlite3 *db = open_loose(p->path);
    for (size_t i = 0; i < n; i++)
        if (rules[i].max_age_ms > 0) {
            put_row(db, &rules[i], NOW - rules[i].max_age_ms - 1, 1001);
            put_row(db, &rules[i], NOW - rules[i].max_age_ms + 1, 1002);
        }
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    retain(p->path);
    for (size_t i = 0; i < n; i++)
        if (rules[i].max_age_ms > 0) {
            char oldest[100];
            snprintf(oldest, sizeof oldest, "count(*) FILTER (WHERE \"%s\" < %lld)", rules[i].column,
                     (long long)(NOW - rules[i].max_age_ms));
            if (rows_of(p->path, &rules[i], oldest) != 0)
                fail_msg("a row of %s that is too old stays", rules[i].table);
            snprintf(oldest, sizeof oldest, "count(*) FILTER (WHERE \"%s\" = %lld)", rules[i].column,
                     (long long)(NOW - rules[i].max_age_ms + 1));
            if (rows_of(p->path, &rules[i], oldest) != 1)
                fail_msg("a row of %s goes before its time", rules[i].table);
        }
}

/* With smaller numbers than declared: a million rows would prove no more. */
static void test_number_deletes(void **state)
{
    struct place *p = *state;
    struct rule rules[64];
    store_close(open_store(p->path));
    size_t n = read_rules(p->path, rules, 64), bounded = 0;
    raw_exec(p->path, "UPDATE retention SET max_rows = 3 WHERE max_rows IS NOT NULL");
    sqlite3 *db = open_loose(p->path);
    for (size_t i = 0; i < n; i++)
        for (int k = 0; rules[i].max_rows > 0 && k < 7; k++)
            put_row(db, &rules[i], NOW - 100 + k, 1001 + k);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    retain(p->path);
    for (size_t i = 0; i < n; i++) {
        char least[80];
        if (rules[i].max_rows == 0)
            continue;
        bounded++;
        snprintf(least, sizeof least, "min(\"%s\")", rules[i].column);
        int64_t rows = rows_of(p->path, &rules[i], "count(*)");
        /* What the work itself notes (archive, ledger) may add rows to tables of its own. */
        if (rows != 3 || rows_of(p->path, &rules[i], least) < NOW - 100 + 4)
            fail_msg("%s keeps %lld rows instead of the newest 3", rules[i].table, (long long)rows);
    }
    assert_true(bounded >= 20);
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, place_setup_fast, place_teardown)
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_all_is_declared),
        IN_PLACE(test_each_fault_is_seen),
        IN_PLACE(test_age_deletes),
        IN_PLACE(test_number_deletes),
    };
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
