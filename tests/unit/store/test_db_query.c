/* Query: it reads, and nothing else, whatever the statement tries; time, rows and bytes are bounded. */
#include "helper.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "store/query/query.h"

static int no_columns(void *ctx, const struct query_column *columns, size_t n)
{
    (void)ctx;
    (void)columns;
    return n > 0 ? 0 : VX11_EINTERNAL;
}

/* The values, each followed by a bar. */
static int put_row(void *ctx, const struct store_value *values, size_t n)
{
    struct buf *out = ctx;
    for (size_t i = 0; i < n; i++) {
        if (values[i].type == STORE_INT)
            buf_printf(out, "%lld|", (long long)values[i].v.i);
        else if (values[i].type == STORE_TEXT)
            buf_printf(out, "%.*s|", (int)values[i].v.b.len, (const char *)values[i].v.b.data);
        else
            buf_puts(out, values[i].type == STORE_NULL ? "NULL|" : "other|");
    }
    return 0;
}

static int ask(const char *path, const char *sql, struct buf *out, struct query_end *end, struct error *err)
{
    const struct query_options o = {
        .path = path, .sql = sql, .timeout_ms = 300, .rows_max = 5, .bytes_max = 100000};
    buf_clear(out);
    return query_run(&o, no_columns, put_row, out, end, err);
}

static void fill(const char *path)
{
    store_close(open_store(path));
    raw_exec(path, "INSERT INTO auth_token (id, name, scopes, hash, created_at) VALUES"
                   " ('01ARZ3NDEKTSV4RRFFQ69G5FAV', 'bob', 'read', zeroblob(32), 9223372036854775807)");
}

static void test_reads(void **state)
{
    struct place *p = *state;
    struct buf out = BUF_INIT;
    struct query_end end;
    struct error err = {0};
    fill(p->path);
    assert_ok(ask(p->path, "SELECT name, hash, length(hash), created_at FROM auth_token; -- all ;", &out,
                  &end, &err),
              err);
    assert_string_equal(out.data,
                        "bob|NULL|NULL|9223372036854775807|"); /* secrets stay out, numbers are whole */
    assert_ok(ask(p->path, "SELECT name FROM auth_token WHERE hash = zeroblob(32)", &out, &end, &err), err);
    assert_int_equal(end.rows, 0);
    assert_ok(ask(p->path, "SELECT count(*) > 2 FROM pragma_table_info('event')", &out, &end, &err), err);
    assert_ok(ask(p->path,
                  "SELECT n FROM operator_message WHERE n IN (SELECT rowid FROM operator_message_words"
                  " WHERE operator_message_words MATCH 'word')",
                  &out, &end, &err),
              err);
    assert_ok(ask(p->path, "PRAGMA page_size", &out, &end, &err), err);
    assert_string_equal(out.data, "4096|");
    buf_free(&out);
}

static void test_only_reads(void **state)
{
    static const char *const refused[] = {
        "INSERT INTO setting VALUES ('a', '1', 1)",
        "UPDATE auth_token SET name = 'eve'",
        "DELETE FROM auth_token",
        "CREATE TABLE t (a)",
        "CREATE TEMP TABLE t (a)",
        "DROP TABLE setting",
        "ATTACH '/tmp/other.db' AS other",
        "VACUUM",
        "VACUUM INTO '/tmp/copy.db'",
        "BEGIN IMMEDIATE",
        "PRAGMA journal_mode=DELETE",
        "PRAGMA writable_schema=1",
        "PRAGMA query_only=0",
        "PRAGMA user_version=7",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "SELECT load_extension('/tmp/x.so')",
        "REINDEX",
        "ANALYZE",
        "WITH x(a) AS (SELECT 1) INSERT INTO setting SELECT 'a', '1', 1 FROM x",
        "INSERT INTO operator_message_words (operator_message_words) VALUES ('rebuild')",
        "SELECT 1; DELETE FROM auth_token",
        "SELECT 1; SELECT 2",
        "",
        "-- nothing",
        "SELECT ?1",
        "SELECT * FROM nowhere",
    };
    struct place *p = *state;
    char before[65], after[65];
    struct buf out = BUF_INIT;
    struct query_end end;
    fill(p->path);
    file_hash(p->path, before);
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct error err = {0};
        int rc = ask(p->path, refused[i], &out, &end, &err);
        if (rc != VX11_EPERMISSION && rc != VX11_EINVALID)
            fail_msg("%s: %s %s", refused[i], error_name(rc), err.text);
        assert_true(err.text[0] != '\0');
    }
    file_hash(p->path, after);
    assert_string_equal(before, after);
    buf_free(&out);
}

static void test_bounds(void **state)
{
    struct place *p = *state;
    struct buf out = BUF_INIT;
    struct query_end end;
    struct error err = {0};
    fill(p->path);
    static const char endless[] = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) ";
    char sql[200];
    snprintf(sql, sizeof sql, "%sSELECT max(x) FROM c", endless);
    assert_code(VX11_ETIMEOUT, ask(p->path, sql, &out, &end, &err), err);
    snprintf(sql, sizeof sql, "%sSELECT x FROM c", endless);
    assert_ok(ask(p->path, sql, &out, &end, &err), err);
    assert_string_equal(end.cut, "rows");
    assert_string_equal(out.data, "1|2|3|4|5|");
    snprintf(sql, sizeof sql, "%sSELECT hex(zeroblob(20000)) FROM c", endless);
    assert_ok(ask(p->path, sql, &out, &end, &err), err);
    assert_string_equal(end.cut, "bytes");
    assert_int_equal(end.rows, 2);
    assert_code(VX11_ENOT_FOUND, ask("/nowhere/vx11.db", "SELECT 1", &out, &end, &err), err);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads, place_setup_fast, place_teardown),
        cmocka_unit_test_setup_teardown(test_only_reads, place_setup_fast, place_teardown),
        cmocka_unit_test_setup_teardown(test_bounds, place_setup_fast, place_teardown),
    };
    return cmocka_run_group_tests_name("store query", tests, NULL, NULL);
}
