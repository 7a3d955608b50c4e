/* Migrations: order, once each, all or nothing, and what is refused. */
#include "helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "store/migrate.h"
#include "store/store_internal.h"

#define FILE_OF(n, text)                                                                                     \
    {                                                                                                        \
        .name = (n), .data = (const unsigned char *)(text), .size = sizeof(text) - 1                         \
    }

static const struct embed_file three[] = {
    FILE_OF("0001_one.sql",
            "CREATE TABLE one (id INTEGER PRIMARY KEY) STRICT; INSERT INTO one VALUES (1), (2);"),
    FILE_OF("0002_two.sql",
            "CREATE TABLE two (one INTEGER REFERENCES one (id)) STRICT; INSERT INTO two VALUES (1);"),
    FILE_OF("0003_three.sql", "ALTER TABLE one ADD COLUMN text TEXT; -- the last line has no newline"),
};

static int open_with(const char *path, const struct embed_file *files, size_t count, bool migrate,
                     struct error *err)
{
    struct store *s = NULL;
    *err = (struct error){0};
    int rc =
        store_open_with(&(struct store_options){.path = path, .migrate = migrate}, files, count, &s, err);
    if (rc == 0)
        rc = store_schema_version(s);
    store_close(s);
    return rc;
}

static void test_in_order(void **state)
{
    struct place *p = *state;
    struct error err;
    assert_code(1, open_with(p->path, three, 1, true, &err), err);
    assert_code(3, open_with(p->path, three, 3, true, &err), err);
    assert_code(3, open_with(p->path, three, 3, true, &err), err);
    assert_code(3, open_with(p->path, three, 3, false, &err), err);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM schema_migration"), 3);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM one"), 2);
    char text[128];
    raw_text(p->path, "SELECT group_concat(version || name || length(sha256)) FROM schema_migration", text,
             sizeof text);
    assert_string_equal(text, "1one64,2two64,3three64");
}

static void test_not_current(void **state)
{
    struct place *p = *state;
    struct error err;
    assert_code(1, open_with(p->path, three, 1, true, &err), err);
    assert_code(VX11_EVERSION, open_with(p->path, three, 3, false, &err), err);
    assert_has(err.text, "has schema 1, this program needs 3");
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM schema_migration"), 1);
}

static void expect_unchanged(const char *path, const struct embed_file *files, size_t count, const char *says)
{
    struct error err;
    char before[65], after[65];
    file_hash(path, before);
    for (int migrate = 0; migrate < 2; migrate++) {
        assert_code(VX11_EVERSION, open_with(path, files, count, migrate, &err), err);
        assert_has(err.text, says);
    }
    file_hash(path, after);
    assert_string_equal(before, after);
}

static void test_newer_is_refused(void **state)
{
    struct place *p = *state;
    struct error err;
    assert_code(3, open_with(p->path, three, 3, true, &err), err);
    raw_exec(p->path, "UPDATE schema_migration SET version = 9 WHERE version = 3");
    expect_unchanged(p->path, three, 3, "was made by a newer VX11 (schema 9, this program knows 3)");
    raw_exec(p->path, "UPDATE schema_migration SET version = 3 WHERE version = 9");
    expect_unchanged(p->path, three, 2, "schema 3, this program knows 2");
    assert_code(3, open_with(p->path, three, 3, true, &err), err);
}

static void test_edited_is_refused(void **state)
{
    struct place *p = *state;
    struct error err;
    assert_code(3, open_with(p->path, three, 3, true, &err), err);
    struct embed_file edited[3];
    memcpy(edited, three, sizeof edited);
    edited[1] = (struct embed_file)FILE_OF("0002_two.sql", "CREATE TABLE two (one INTEGER) STRICT;");
    expect_unchanged(p->path, edited, 3, "0002_two.sql was changed after it was applied");
}

static void test_other_history_is_refused(void **state)
{
    struct place *p = *state;
    struct error err;
    const struct embed_file without[] = {three[0], three[2]};
    assert_code(3, open_with(p->path, without, 2, true, &err), err);
    expect_unchanged(p->path, three, 3, "has migration 3, which this program (schema 3) does not know");
}

static void test_embedded_newer(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    char says[64];
    assert_ok(try_open(p->path, &err), err);
    raw_exec(p->path, "INSERT INTO schema_migration SELECT 9999, 'future', sha256, applied_at, '99.0.0', 1"
                      " FROM schema_migration WHERE version = 1");
    assert_code(VX11_EVERSION, try_open(p->path, &err), err);
    snprintf(says, sizeof says, "newer VX11 (schema 9999, this program knows %d)", store_schema_current());
    assert_has(err.text, says);
}

/* All or nothing: what ran before the mistake is gone, what was applied before stays. */
static void expect_stays(const char *path, const struct embed_file *bad, int code, const char *says)
{
    struct error err;
    struct embed_file files[] = {three[0], *bad, three[2]};
    assert_code(code, open_with(path, files, 3, true, &err), err);
    assert_has(err.text, says);
    assert_has(err.text, "stays at schema 1");
    assert_int_equal(raw_int(path, "SELECT count(*) FROM schema_migration"), 1);
    assert_int_equal(raw_int(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"), 0);
    assert_sound(path);
}

static void test_all_or_nothing(void **state)
{
    struct place *p = *state;
    struct error err;
    static const struct embed_file bad[] = {
        FILE_OF("0002_bad.sql", "CREATE TABLE half (x); CREATE TALBE rest (x);"),
        FILE_OF("0002_bad.sql", "CREATE TABLE half (x); INSERT INTO nowhere VALUES (1);"),
        FILE_OF("0002_bad.sql",
                "CREATE TABLE half (x INTEGER REFERENCES one (id)); INSERT INTO half VALUES (99);"),
        FILE_OF("0002_bad.sql", "CREATE TABLE half (x); INSERT INTO one VALUES (1);"),
    };
    static const int codes[] = {VX11_EINTERNAL, VX11_EINTERNAL, VX11_EINTERNAL, VX11_EEXISTS};
    static const char *const says[] = {"TALBE", "nowhere", "1 broken references", "UNIQUE"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        expect_stays(p->path, &bad[i], codes[i], says[i]);
    assert_code(3, open_with(p->path, three, 3, true, &err), err);
}

static void test_commit_inside(void **state)
{
    struct place *p = *state;
    struct error err;
    static const struct embed_file bad[] = {FILE_OF("0001_bad.sql", "CREATE TABLE half (x); COMMIT;")};
    assert_code(VX11_EINTERNAL, open_with(p->path, bad, 1, true, &err), err);
    assert_has(err.text, "ends the transaction");
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM schema_migration"), 0);
}

/* A table may be built anew although others refer to it. */
static void test_rebuilds_a_table(void **state)
{
    struct place *p = *state;
    struct error err;
    static const struct embed_file rebuild =
        FILE_OF("0003_rebuild.sql",
                "CREATE TABLE new (id INTEGER PRIMARY KEY, more TEXT) STRICT; INSERT INTO new SELECT id, NULL"
                " FROM one; DROP TABLE one; ALTER TABLE new RENAME TO one;");
    const struct embed_file files[] = {three[0], three[1], rebuild};
    assert_code(3, open_with(p->path, files, 3, true, &err), err);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM two JOIN one ON two.one = one.id"), 1);
    assert_sound(p->path);
    struct store *s = NULL;
    assert_ok(store_open_with(&(struct store_options){.path = p->path}, files, 3, &s, &err), err);
    assert_code(VX11_EINVALID, store_exec(s, "INSERT INTO two VALUES (77)", NULL, 0, NULL, &err), err);
    store_close(s);
}

static void test_names(void **state)
{
    (void)state;
    struct error err = {0};
    static const char *const bad[] = {"core.sql",      "1_core.sql",    "0001core.sql",   "0001_.sql",
                                      "0001_core.txt", "0000_core.sql", "00001_core.sql", ""};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct embed_file f = {.name = bad[i], .data = (const unsigned char *)"", .size = 0};
        assert_int_equal(migrate_highest(&f, 1, &err), VX11_EINTERNAL);
    }
    const struct embed_file twice[] = {three[0], three[1], three[1]};
    assert_int_equal(migrate_highest(twice, 3, &err), VX11_EINTERNAL);
    assert_int_equal(migrate_highest(three, 3, &err), 3);
    assert_int_equal(migrate_highest(three, 0, &err), 0);
}

static int apply_three(void *ctx)
{
    struct error err;
    int rc = open_with(ctx, three, 3, true, &err);
    if (rc != 3)
        fprintf(stderr, "%s: %s\n", error_name(rc), err.text);
    return rc == 3 ? 0 : 1;
}

static void test_processes_at_once(void **state)
{
    struct place *p = *state;
    int pids[6];
    for (int i = 0; i < 6; i++)
        pids[i] = start_process(apply_three, p->path);
    for (int i = 0; i < 6; i++)
        assert_exit(wait_process(pids[i]), 0);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM one"), 2);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM two"), 1);
    assert_sound(p->path);
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, place_setup, place_teardown)
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_in_order),
        IN_PLACE(test_not_current),
        IN_PLACE(test_newer_is_refused),
        IN_PLACE(test_edited_is_refused),
        IN_PLACE(test_other_history_is_refused),
        IN_PLACE(test_embedded_newer),
        IN_PLACE(test_all_or_nothing),
        IN_PLACE(test_commit_inside),
        IN_PLACE(test_rebuilds_a_table),
        cmocka_unit_test(test_names),
        IN_PLACE(test_processes_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
