/* Out of memory: every allocation inside SQLite fails in turn. Each call either works or says VX11_ENOMEM,
 * and nothing that was reported as done is missing. */
#include "helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "store/store_internal.h"

static sqlite3_mem_methods real_mem;
static long countdown; /* allocations to go until one fails; 0: none fails */
static bool lasting;   /* and all after it */
static long hits;

static bool fails_now(void)
{
    if (countdown == 0)
        return false;
    if (countdown > 1) {
        countdown--;
        return false;
    }
    if (!lasting)
        countdown = 0;
    hits++;
    return true;
}

static void *mem_malloc(int size)
{
    return fails_now() ? NULL : real_mem.xMalloc(size);
}

static void *mem_realloc(void *p, int size)
{
    return fails_now() ? NULL : real_mem.xRealloc(p, size);
}

static int group_setup(void **state)
{
    (void)state;
    sqlite3_mem_methods mine;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_mem) != SQLITE_OK)
        return -1;
    mine = real_mem;
    mine.xMalloc = mem_malloc;
    mine.xRealloc = mem_realloc;
    /* Without lookaside every allocation comes through here. */
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &mine) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK)
        return -1;
    log_set_level(LOG_OFF);
    return sqlite3_initialize();
}

static void arm(long nth, bool last)
{
    countdown = nth;
    lasting = last;
    hits = 0;
}

static void expect_nomem(const char *what, long nth, int rc, const struct error *err)
{
    if (rc != 0 && rc != VX11_ENOMEM)
        fail_msg("%s with allocation %ld failing: %s: %s", what, nth, error_name(rc), err->text);
}

static int sum_lengths(void *ctx, const struct store_row *row)
{
    const char *text = row_text(row, 0);
    *(size_t *)ctx += text ? strlen(text) : 0;
    return 0;
}

/* Opening makes thousands of allocations, so later ones are taken with growing strides. */
static void test_open(void **state)
{
    struct place *p = *state;
    for (int last = 0; last < 2; last++) {
        for (long nth = 1;; nth += 1 + nth / 20) {
            struct store *s = NULL;
            struct error err = {0};
            arm(nth, last);
            int rc = open_few(p->path, 0, &s, &err);
            store_close(s);
            long failed = hits;
            arm(0, false);
            expect_nomem("open", nth, rc, &err);
            assert_ok(open_few(p->path, 0, &s, &err), err);
            store_close(s);
            assert_sound(p->path);
            unlink(p->path);
            if (failed == 0)
                break;
        }
    }
}

static void test_query(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    for (int last = 0; last < 2; last++) {
        for (long nth = 1;; nth++) {
            struct error err = {0};
            size_t sum = 0;
            statements_clear(&s->reads);
            arm(nth, last);
            int rc = store_query(
                s, "SELECT hex(zeroblob(5000)) || ?1 FROM retention ORDER BY time_column || table_name",
                (struct store_value[]){STORE_T("more")}, 1, sum_lengths, &sum, &err);
            long failed = hits;
            arm(0, false);
            expect_nomem("query", nth, rc, &err);
            /* A row that came short must not pass for a whole one. */
            int64_t rows = query_int(s, "SELECT count(*) FROM retention");
            if (rc == 0)
                assert_int_equal(sum, (size_t)rows * 10004);
            if (failed == 0)
                break;
            assert_true(nth < 5000);
        }
    }
    store_close(s);
}

static const char insert_setting[] = "INSERT INTO setting (key, value, updated_at) VALUES (?1, ?2, 1)";

static int two_rows(void *ctx, struct store *s, struct error *err)
{
    (void)ctx;
    struct store_value a[] = {STORE_T("a"), STORE_T("1")}, b[] = {STORE_T("b"), STORE_T("2")};
    int rc = store_exec(s, insert_setting, a, 2, NULL, err);
    return rc != 0 ? rc : store_exec(s, insert_setting, b, 2, NULL, err);
}

static void test_exec(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    for (int last = 0; last < 2; last++) {
        for (long nth = 1;; nth++) {
            struct error err = {0};
            statements_clear(&s->writes);
            arm(nth, last);
            int rc = store_transaction(s, two_rows, NULL, &err);
            long failed = hits;
            arm(0, false);
            expect_nomem("transaction", nth, rc, &err);
            assert_int_equal(query_int(s, "SELECT count(*) FROM setting"), rc == 0 ? 2 : 0);
            int64_t changes = 0;
            arm(nth, last);
            rc = store_exec(s, "DELETE FROM setting", NULL, 0, &changes, &err);
            failed += hits;
            arm(0, false);
            expect_nomem("exec", nth, rc, &err);
            if (rc == 0)
                assert_int_equal(query_int(s, "SELECT count(*) FROM setting"), 0);
            else
                assert_ok(store_exec(s, "DELETE FROM setting", NULL, 0, NULL, &err), err);
            if (failed == 0)
                break;
            assert_true(nth < 5000);
        }
    }
    store_close(s);
    assert_sound(p->path);
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, place_setup_fast, place_teardown)
    const struct CMUnitTest tests[] = {IN_PLACE(test_open), IN_PLACE(test_query), IN_PLACE(test_exec)};
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
