/* Queries and single writes: values there and back, errors, transactions, the statement cache. */
#include "helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "store/store_internal.h"

static const char insert_setting[] = "INSERT INTO setting (key, value, updated_at) VALUES (?1, ?2, ?3)";

static int put(struct store *s, const char *key, int64_t at, struct error *err)
{
    return store_exec(s, insert_setting, (struct store_value[]){STORE_T(key), STORE_T("1"), STORE_I(at)}, 3,
                      NULL, err);
}

struct seen {
    int rows;
    int64_t i;
    double d;
    char text[64];
    unsigned char blob[8];
    size_t blob_len;
    bool null[5];
};

static int see(void *ctx, const struct store_row *row)
{
    struct seen *seen = ctx;
    seen->rows++;
    seen->i = row_int(row, 0);
    seen->d = row_real(row, 1);
    row_copy(row, 2, seen->text, sizeof seen->text);
    const void *blob = row_blob(row, 3, &seen->blob_len);
    if (blob && seen->blob_len <= sizeof seen->blob)
        memcpy(seen->blob, blob, seen->blob_len);
    for (int i = 0; i < 5; i++)
        seen->null[i] = row_is_null(row, i);
    assert_true(row_text(row, 4) == NULL);
    return 0;
}

static void test_values(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct seen seen = {0};
    const char text[] = "se\xc3\xb1or not cut here";
    struct store_value values[] = {STORE_I(INT64_MIN), STORE_D(0.1), store_text_len(text, 6),
                                   store_blob("\0\1\2", 3), STORE_N};
    assert_ok(store_query(s, "SELECT ?1, ?2, ?3, ?4, ?5", values, 5, see, &seen, &err), err);
    assert_int_equal(seen.rows, 1);
    assert_true(seen.i == INT64_MIN);
    assert_true(seen.d == 0.1);
    assert_string_equal(seen.text, "se\xc3\xb1or");
    assert_int_equal(seen.blob_len, 3);
    assert_memory_equal(seen.blob, "\0\1\2", 3);
    const bool nulls[] = {false, false, false, false, true};
    assert_memory_equal(seen.null, nulls, sizeof nulls);
    /* No text is NULL, empty text is not; the same for blobs. */
    struct store_value none[] = {STORE_T(NULL), STORE_T(""), store_blob(NULL, 0), store_blob("", 0), STORE_N};
    assert_ok(store_query(s, "SELECT ?1, ?2, ?3, ?4, ?5", none, 5, see, &seen, &err), err);
    const bool more_nulls[] = {true, false, false, false, true};
    assert_memory_equal(seen.null, more_nulls, sizeof more_nulls);
    store_close(s);
}

static int copy_small(void *ctx, const struct store_row *row)
{
    char small[4];
    assert_int_equal(row_copy(row, 0, small, sizeof small), 2);
    *(int *)ctx = strcmp(small, "ab");
    return 0;
}

static void test_copy_cuts_on_characters(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    int differs = -1;
    assert_ok(store_query(s, "SELECT 'ab\xc3\xb1'", NULL, 0, copy_small, &differs, &err), err);
    assert_int_equal(differs, 0);
    store_close(s);
}

static int stop_at_second(void *ctx, const struct store_row *row)
{
    (void)row;
    return ++*(int *)ctx == 2 ? 42 : 0;
}

static void test_callback_stops(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    int rows = 0;
    assert_int_equal(store_query(s, "VALUES (1), (2), (3)", NULL, 0, stop_at_second, &rows, &err), 42);
    assert_int_equal(rows, 2);
    assert_ok(store_query(s, "VALUES (1), (2), (3)", NULL, 0, NULL, NULL, &err), err);
    store_close(s);
}

static void test_errors(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    int64_t changes = 7;
    assert_ok(put(s, "a", 1, &err), err);
    assert_code(VX11_EEXISTS, put(s, "a", 2, &err), err);
    assert_has(err.text, "UNIQUE");
    assert_code(VX11_EINVALID, put(s, "", 2, &err), err);
    assert_has(err.text, "CHECK");
    assert_code(VX11_EINVALID, put(s, NULL, 2, &err), err);
    assert_has(err.text, "NOT NULL");
    assert_code(VX11_EINVALID,
                store_exec(s, insert_setting,
                           (struct store_value[]){STORE_T("b"), STORE_T("1"), STORE_T("soon")}, 3, &changes,
                           &err),
                err); /* STRICT */
    assert_int_equal(changes, 0);
    struct store_value one[] = {STORE_I(1)};
    assert_code(VX11_EINVALID, store_exec(s, insert_setting, one, 1, NULL, &err), err);
    assert_has(err.text, "1 values for the 3 parameters");
    assert_code(VX11_EINVALID, store_query(s, "SELECT 1; SELECT 2", NULL, 0, NULL, NULL, &err), err);
    assert_code(VX11_EINVALID, store_query(s, "", NULL, 0, NULL, NULL, &err), err);
    assert_ok(store_query(s, "SELECT 1;\n ", NULL, 0, NULL, NULL, &err), err);
    assert_code(VX11_EINVALID, store_query(s, "DELETE FROM setting", NULL, 0, NULL, NULL, &err), err);
    assert_code(VX11_EINVALID, store_query(s, "BEGIN", NULL, 0, NULL, NULL, &err), err);
    assert_code(VX11_EINVALID, store_exec(s, "SELECT 1", NULL, 0, NULL, &err), err);
    assert_code(VX11_EINVALID, store_exec(s, "BEGIN", NULL, 0, NULL, &err), err);
    assert_code(VX11_EINTERNAL, store_query(s, "SELECT * FROM nowhere", NULL, 0, NULL, NULL, &err), err);
    assert_has(err.text, "no such table: nowhere");
    /* A name in double quotes is no string. */
    assert_code(VX11_EINTERNAL, store_query(s, "SELECT \"text\"", NULL, 0, NULL, NULL, &err), err);
    assert_int_equal(query_int(s, "SELECT count(*) FROM setting"), 1);
    store_close(s);
}

static void test_changes(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    int64_t changes = -1;
    for (int i = 0; i < 3; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", i);
        assert_ok(put(s, key, i, &err), err);
    }
    assert_ok(
        store_exec(s, "UPDATE setting SET updated_at = 9 WHERE updated_at > 0", NULL, 0, &changes, &err),
        err);
    assert_int_equal(changes, 2);
    assert_ok(
        store_exec(s, "UPDATE setting SET updated_at = 9 WHERE updated_at > 9", NULL, 0, &changes, &err),
        err);
    assert_int_equal(changes, 0);
    assert_ok(store_exec(s, "CREATE TABLE more (x)", NULL, 0, &changes, &err), err);
    assert_int_equal(changes, 0);
    assert_ok(store_exec(s, "DELETE FROM setting RETURNING key", NULL, 0, &changes, &err), err);
    assert_int_equal(changes, 3);
    store_close(s);
}

/* ---- transactions ---- */

struct plan {
    int fail; /* returned at the end */
    bool bad_row, nested, ignore;
};

static int two_rows(void *ctx, struct store *s, struct error *err)
{
    struct plan *plan = ctx;
    int rc = put(s, "first", 1, err);
    if (rc != 0)
        return rc;
    assert_int_equal(query_int(s, "SELECT count(*) FROM setting"), 1); /* its own writes are seen */
    if (plan->nested)
        return store_transaction(s, two_rows, ctx, err);
    if (plan->bad_row && (rc = put(s, "first", 2, err)) != 0 && !plan->ignore)
        return rc;
    rc = put(s, "second", 2, err);
    return rc != 0 ? rc : plan->fail;
}

static void test_transactions(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct plan fails = {.fail = 17}, breaks = {.bad_row = true}, nests = {.nested = true}, good = {0};
    struct plan goes_on = {.bad_row = true, .ignore = true};
    assert_int_equal(store_transaction(s, two_rows, &fails, &err), 17);
    assert_int_equal(query_int(s, "SELECT count(*) FROM setting"), 0);
    assert_code(VX11_EEXISTS, store_transaction(s, two_rows, &breaks, &err), err);
    assert_int_equal(query_int(s, "SELECT count(*) FROM setting"), 0);
    assert_code(VX11_EINVALID, store_transaction(s, two_rows, &nests, &err), err);
    assert_int_equal(query_int(s, "SELECT count(*) FROM setting"), 0);
    assert_ok(store_transaction(s, two_rows, &goes_on, &err), err); /* one statement failed, alone */
    assert_int_equal(query_int(s, "SELECT count(*) FROM setting"), 2);
    assert_ok(store_exec(s, "DELETE FROM setting", NULL, 0, NULL, &err), err);
    assert_ok(store_transaction(s, two_rows, &good, &err), err);
    assert_int_equal(query_int(s, "SELECT count(*) FROM setting"), 2);
    store_close(s);
}

/* What rolls the whole transaction back must not let the rest slip out alone. */
static int rolled_back_inside(void *ctx, struct store *s, struct error *err)
{
    (void)ctx;
    struct error inner = {0};
    assert_ok(put(s, "first", 1, &inner), inner);
    assert_int_equal(
        store_exec(s, "INSERT OR ROLLBACK INTO setting VALUES ('first', '1', 1)", NULL, 0, NULL, &inner),
        VX11_EEXISTS);
    assert_int_equal(put(s, "second", 2, &inner), VX11_ECANCELLED);
    (void)err;
    return 0;
}

static void test_rolled_back_inside(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    assert_code(VX11_ECANCELLED, store_transaction(s, rolled_back_inside, NULL, &err), err);
    assert_int_equal(query_int(s, "SELECT count(*) FROM setting"), 0);
    store_close(s);
}

static void test_busy(void **state)
{
    struct place *p = *state;
    struct store *s = NULL;
    struct error err = {0};
    assert_ok(try_open(p->path, &err), err);
    assert_ok(store_open(&(struct store_options){.path = p->path, .busy_timeout_ms = 50}, &s, &err), err);
    sqlite3 *other;
    assert_int_equal(sqlite3_open(p->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_code(VX11_EBUSY, put(s, "a", 1, &err), err);
    assert_code(VX11_EBUSY, store_transaction(s, two_rows, &(struct plan){0}, &err), err);
    assert_int_equal(query_int(s, "SELECT count(*) FROM setting"), 0); /* readers do not wait */
    sqlite3_exec(other, "COMMIT", NULL, NULL, NULL);
    assert_ok(put(s, "a", 1, &err), err);
    sqlite3_close(other);
    store_close(s);
}

static void test_full(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    char *big = calloc(1, 100001);
    memset(big, '1', 100000);
    int64_t pages = 0;
    assert_ok(sql_int(s->write, "PRAGMA page_count", &pages, &err), err);
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA max_page_count=%d", (int)pages + 10);
    assert_ok(sql_run(s->write, sql, &err), err);
    struct store_value values[] = {STORE_T("big"), store_text(big), STORE_I(1)};
    assert_code(VX11_EFULL, store_exec(s, insert_setting, values, 3, NULL, &err), err);
    assert_ok(put(s, "small", 1, &err), err);
    assert_int_equal(query_int(s, "SELECT count(*) FROM setting"), 1);
    free(big);
    store_close(s);
    assert_sound(p->path);
}

/* ---- the statement cache ---- */

static void test_cache(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    uint64_t before = s->reads.prepared;
    for (int i = 0; i < 10; i++)
        assert_int_equal(query_int(s, "SELECT 1 + 1"), 2);
    assert_int_equal(s->reads.prepared, before + 1);
    /* The same text elsewhere is the same statement; another text at the same address is another. */
    char text[32] = "SELECT 1 + 1";
    assert_int_equal(query_int(s, text), 2);
    assert_int_equal(s->reads.prepared, before + 1);
    snprintf(text, sizeof text, "SELECT 2 + 2");
    assert_int_equal(query_int(s, text), 4);
    assert_int_equal(s->reads.prepared, before + 2);
    /* More than fit: the ones used last stay. */
    for (int i = 0; i < 3 * STATEMENTS_MAX; i++) {
        snprintf(text, sizeof text, "SELECT %d", i);
        assert_int_equal(query_int(s, text), i);
        assert_int_equal(query_int(s, "SELECT 1 + 1"), 2);
        assert_true(s->reads.count <= STATEMENTS_MAX);
    }
    assert_int_equal(s->reads.prepared, before + 2 + 3 * STATEMENTS_MAX);
    assert_code(VX11_EINTERNAL, store_query(s, "SELECT nothing", NULL, 0, NULL, NULL, &err), err);
    store_close(s);
}

struct depth {
    struct store *s;
    int depth;
};

static int go_deeper(void *ctx, const struct store_row *row)
{
    struct depth *d = ctx;
    (void)row;
    struct error err = {0};
    if (++d->depth < 100)
        assert_ok(store_query(d->s, "SELECT 5", NULL, 0, go_deeper, d, &err), err);
    return 0;
}

static void test_query_inside_a_query(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct depth d = {s, 0};
    assert_ok(store_query(s, "SELECT 5", NULL, 0, go_deeper, &d, &err), err);
    assert_int_equal(d.depth, 100);
    assert_int_equal(query_int(s, "SELECT 5"), 5);
    store_close(s);
}

static int hold_one(void *ctx, const struct store_row *row)
{
    struct depth *d = ctx;
    struct error err = {0};
    static char texts[3 * STATEMENTS_MAX][32];
    (void)row;
    if (++d->depth >= 3 * STATEMENTS_MAX)
        return 0;
    snprintf(texts[d->depth], sizeof texts[0], "SELECT %d", d->depth);
    assert_ok(store_query(d->s, texts[d->depth], NULL, 0, hold_one, d, &err), err);
    return 0;
}

/* More different statements in use at once than the cache has room for. */
static void test_all_in_use(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct depth d = {s, 0};
    assert_ok(store_query(s, "SELECT 0", NULL, 0, hold_one, &d, &err), err);
    assert_int_equal(d.depth, 3 * STATEMENTS_MAX);
    assert_true(s->reads.count <= STATEMENTS_MAX);
    store_close(s);
}

/* A schema that another connection changes does not spoil cached statements. */
static void test_schema_changes(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    assert_ok(put(s, "a", 1, &err), err);
    assert_int_equal(query_int(s, "SELECT count(*) FROM setting"), 1);
    raw_exec(p->path, "ALTER TABLE setting ADD COLUMN more TEXT");
    assert_int_equal(query_int(s, "SELECT count(*) FROM setting"), 1);
    assert_ok(put(s, "b", 1, &err), err);
    assert_int_equal(query_int(s, "SELECT count(*) FROM setting WHERE more IS NULL"), 2);
    store_close(s);
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, place_setup, place_teardown)
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_values),
        IN_PLACE(test_copy_cuts_on_characters),
        IN_PLACE(test_callback_stops),
        IN_PLACE(test_errors),
        IN_PLACE(test_changes),
        IN_PLACE(test_transactions),
        IN_PLACE(test_rolled_back_inside),
        IN_PLACE(test_busy),
        IN_PLACE(test_full),
        IN_PLACE(test_cache),
        IN_PLACE(test_query_inside_a_query),
        IN_PLACE(test_all_in_use),
        IN_PLACE(test_schema_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
