/* Check: each kind of damage is found, named and located; a sound file is called sound; nothing is written.
 * The map tells of every table, and what is declared of columns is what the migrations' comments say. */
#include "helper.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/str.h"
#include "store/check/check.h"
#include "store/check/declared.h"
#include "store/look.h"
#include "store/map/map.h"

static void make(const char *path)
{
    store_close(open_store(path));
    raw_exec(path, "PRAGMA wal_checkpoint(TRUNCATE)");
}

static struct database_check checked(struct arena *a, const char *path, bool quick)
{
    const struct check_options o = {
        .path = path, .quick = quick, .warn_bytes = 400000000, .limit_bytes = 500000000};
    struct database_check out;
    struct error err = {0};
    assert_ok(check_run(&o, a, &out, &err), err);
    return out;
}

static const struct database_finding *found(const struct database_check *r, const char *step,
                                            const char *table)
{
    for (size_t i = 0; i < r->findings_count; i++)
        if (strcmp(r->findings[i].step, step) == 0 && (!table || str_eq(r->findings[i].table, table)))
            return &r->findings[i];
    for (size_t i = 0; i < r->findings_count; i++)
        print_error("%s %s: %s\n", r->findings[i].step, r->findings[i].table ? r->findings[i].table : "-",
                    r->findings[i].text);
    fail_msg("nothing was found by %s at %s", step, table ? table : "-");
    return NULL;
}

static void test_sound(void **state)
{
    struct place *p = *state;
    struct arena *a = arena_create(0);
    char before[65], after[65];
    make(p->path);
    file_hash(p->path, before);
    struct database_check r = checked(a, p->path, false);
    for (size_t i = 0; i < r.findings_count; i++)
        print_error("%s: %s\n", r.findings[i].step, r.findings[i].text);
    assert_int_equal(r.verdict, DATABASE_VERDICT_SOUND);
    assert_true(r.ours && r.statistics && r.tables_count > 40 && r.forecast);
    assert_int_equal(r.schema_version, store_schema_current());
    assert_false(r.forecast->has_days_to_limit);
    assert_has(r.forecast->reason, "too few");
    r = checked(a, p->path, true);
    assert_int_equal(r.verdict, DATABASE_VERDICT_SOUND);
    file_hash(p->path, after);
    assert_string_equal(before, after);
    arena_destroy(a);
}

static void test_bad_rows(void **state)
{
    struct place *p = *state;
    struct arena *a = arena_create(0);
    make(p->path);
    raw_exec(p->path, "PRAGMA ignore_check_constraints=1; PRAGMA foreign_keys=0;"
                      "INSERT INTO module_state VALUES ('link', 'asleep', 1, 'me', NULL), ('switch', "
                      "'active', 1, 'me', NULL);"
                      "INSERT INTO setting VALUES ('a', '{no json', 1), ('b', '1', 1);"
                      "INSERT INTO event VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAV', 't', 's', 1, '[1]', 3);"
                      "INSERT INTO model_pin VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAV', 1, 'me');"
                      "INSERT INTO retention (table_name, time_column, max_rows) VALUES ('gone', 'at', 1)");
    struct database_check r = checked(a, p->path, false);
    assert_int_equal(r.verdict, DATABASE_VERDICT_PROBLEMS);
    const struct database_finding *f = found(&r, "values", "module_state");
    assert_string_equal(f->column, "state");
    assert_true(f->has_rowid && f->rowid == 1 && f->count == 1);
    f = found(&r, "json", "setting");
    assert_true(f->count == 1 && f->rowid == 1);
    assert_string_equal(f->column, "value");
    assert_string_equal(found(&r, "json", "event")->column, "payload");
    f = found(&r, "keys", "model_pin");
    assert_string_equal(f->parent, "model");
    assert_string_equal(f->column, "model_id");
    assert_true(f->has_rowid);
    assert_string_equal(found(&r, "orphans", "retention")->parent, "sqlite_schema");
    assert_int_equal(r.problems, 5);
    arena_destroy(a);
}

static void test_bad_schema(void **state)
{
    struct place *p = *state;
    struct arena *a = arena_create(0);
    make(p->path);
    raw_exec(p->path, "CREATE TABLE stray (a); DROP INDEX event_by_at;"
                      "UPDATE schema_migration SET name = name");
    struct database_check r = checked(a, p->path, true);
    assert_int_equal(found(&r, "schema", "stray")->severity, DATABASE_SEVERITY_WARNING);
    assert_has(found(&r, "schema", "event")->text, "event_by_at is missing");
    raw_exec(
        p->path,
        "UPDATE schema_migration SET sha256 = replace(sha256, substr(sha256, 1, 1), 'x') WHERE version = 3");
    r = checked(a, p->path, true);
    assert_has(found(&r, "schema", "schema_migration")->text, "was changed");
    arena_destroy(a);
}

static void test_bad_page(void **state)
{
    struct place *p = *state;
    struct arena *a = arena_create(0);
    unsigned char junk[512];
    make(p->path);
    int64_t page = raw_int(p->path, "SELECT rootpage FROM sqlite_schema WHERE name = 'setting'");
    memset(junk, 0xAB, sizeof junk);
    file_patch(p->path, (long)(page - 1) * 4096, junk, sizeof junk);
    struct database_check r = checked(a, p->path, false);
    assert_int_equal(r.verdict, DATABASE_VERDICT_PROBLEMS);
    found(&r, "pages", "setting");
    found(&r, "json", "setting"); /* the steps behind go on, and say where they met it */
    arena_destroy(a);
}

static void test_cut_off_and_no_database(void **state)
{
    struct place *p = *state;
    struct arena *a = arena_create(0);
    struct database_check r;
    struct error err = {0};
    make(p->path);
    assert_int_equal(truncate(p->path, file_size(p->path) - 3 * 4096), 0);
    r = checked(a, p->path, true);
    assert_int_equal(r.verdict, DATABASE_VERDICT_PROBLEMS);
    assert_int_equal(r.findings_count, 2); /* SQLite does not open it; and why */
    assert_has(r.findings[1].text, "cut off");
    file_patch(p->path, 0, "this is not a database at all", 29);
    r = checked(a, p->path, false);
    assert_int_equal(r.verdict, DATABASE_VERDICT_PROBLEMS);
    assert_has(found(&r, "file", NULL)->text, "not a SQLite database");
    const struct check_options o = {.path = "/nowhere/vx11.db"};
    assert_code(VX11_ENOT_FOUND, check_run(&o, a, &r, &err), err);
    arena_destroy(a);
}

static void test_another_program(void **state)
{
    struct place *p = *state;
    struct arena *a = arena_create(0);
    raw_exec(p->path,
             "CREATE TABLE \"a \"\"b\" (x CHECK (x IN ('1', '2)')), CHECK (x <> '')); INSERT INTO \"a \"\"b\""
             " VALUES ('1')");
    struct database_check r = checked(a, p->path, false);
    assert_false(r.ours);
    assert_int_equal(r.verdict, DATABASE_VERDICT_SOUND);
    assert_has(found(&r, "file", NULL)->text, "another program");
    assert_null(r.forecast);
    arena_destroy(a);
}

/* A line through samples: 10 MB a day. */
static void test_forecast(void **state)
{
    struct place *p = *state;
    struct arena *a = arena_create(0);
    make(p->path);
    raw_exec(p->path, "WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < 48)"
                      " INSERT INTO database_sample SELECT (unixepoch() - 86400 * 2 + i * 3600) * 1000,"
                      " 100000000 + i * 10000000 / 24, 0, 0 FROM c");
    struct database_check r = checked(a, p->path, true);
    assert_true(r.forecast->growth->has_bytes_per_day && r.forecast->has_days_to_limit);
    assert_true(r.forecast->growth->bytes_per_day > 9.99e6 && r.forecast->growth->bytes_per_day < 1.001e7);
    assert_true(r.forecast->days_to_limit > 48 && r.forecast->days_to_limit < 51);
    arena_destroy(a);
}

static void test_time_is_bounded(void **state)
{
    struct place *p = *state;
    struct arena *a = arena_create(0);
    struct database_check out;
    struct error err = {0};
    make(p->path);
    raw_exec(p->path,
             "CREATE TABLE big (x); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE"
             " i < 20000) INSERT INTO big SELECT randomblob(500) FROM c; PRAGMA wal_checkpoint(TRUNCATE)");
    const struct check_options o = {.path = p->path, .timeout_ms = 1, .limit_bytes = 1, .warn_bytes = 1};
    assert_ok(check_run(&o, a, &out, &err), err);
    assert_int_equal(out.verdict, DATABASE_VERDICT_UNKNOWN);
    arena_destroy(a);
}

/* ---- constraints ---- */

static int join(void *ctx, const char *column, size_t column_len, const char *text, size_t len)
{
    return buf_printf(ctx, "[%.*s:%.*s]", (int)column_len, column ? column : "", (int)len, text);
}

static void test_constraints(void **state)
{
    struct buf out = BUF_INIT;
    (void)state;
    assert_int_equal(
        constraints_each("CREATE TABLE t (a TEXT CHECK (a IN ('(', 'b')), -- check (no)\n"
                         " \"b c\" INT DEFAULT (1) check(length(a) > 1), CHECK (a <> ')') /* ( */,"
                         " CONSTRAINT x CHECK (1)) STRICT",
                         join, &out),
        0);
    assert_string_equal(out.data, "[a:a IN ('(', 'b')][\"b c\":length(a) > 1][:a <> ')'][:1]");
    buf_clear(&out);
    assert_int_equal(constraints_each("CREATE TABLE t (a CHECK (a", join, &out), 0);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

/* ---- declared, map ---- */

struct reading {
    struct arena *a;
    struct schema schema;
};

static int read_shape(void *ctx, struct store *s, struct error *err)
{
    struct reading *r = ctx;
    return schema_read_shape(s, r->a, &r->schema, err);
}

static bool is_declared(const char *table, const char *column)
{
    for (size_t i = 0; i < declared_json_count; i++)
        if (str_eq(declared_json[i].table, table) && str_eq(declared_json[i].column, column))
            return true;
    return false;
}

static void test_declared(void **state)
{
    struct reading r = {.a = arena_create(0)};
    struct error err = {0};
    size_t seen = 0, missing = 0;
    (void)state;
    assert_ok(look_new(read_shape, &r, &err), err);
    for (size_t i = 0; i < r.schema.table_count; i++)
        for (size_t k = 0; k < r.schema.tables[i].column_count; k++) {
            const struct schema_table *t = &r.schema.tables[i];
            const struct schema_column *c = &t->columns[k];
            bool declared = is_declared(t->name, c->name);
            seen += declared;
            if (c->comment && strstr(c->comment, "JSON") && !declared && !strstr(c->comment, "JSON lines")) {
                print_error("%s.%s holds JSON, says its comment: declare it in check/declared.c\n", t->name,
                            c->name);
                missing++;
            }
        }
    assert_int_equal(missing, 0);
    assert_int_equal(seen, declared_json_count); /* and none is declared that is not there */
    arena_destroy(r.a);
}

static void test_map(void **state)
{
    struct reading r = {.a = arena_create(0)}, again = {.a = r.a};
    struct buf one = BUF_INIT, two = BUF_INIT;
    struct error err = {0};
    (void)state;
    assert_ok(look_new(read_shape, &r, &err), err);
    assert_ok(look_new(read_shape, &again, &err), err);
    for (int f = MAP_MARKDOWN; f <= MAP_MERMAID; f++) {
        buf_clear(&one);
        buf_clear(&two);
        assert_int_equal(map_write(&r.schema, (enum map_format)f, r.a, &one), 0);
        assert_int_equal(map_write(&again.schema, (enum map_format)f, r.a, &two), 0);
        assert_string_equal(one.data, two.data);
        for (size_t i = 0; i < r.schema.table_count; i++)
            assert_has(one.data, r.schema.tables[i].name);
    }
    assert_has(one.data, "t_usage -->|\"decision_id\"| t_decision");
    buf_free(&one);
    buf_free(&two);
    arena_destroy(r.a);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_setup_fast, place_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_sound),
        TEST(test_bad_rows),
        TEST(test_bad_schema),
        TEST(test_bad_page),
        TEST(test_cut_off_and_no_database),
        TEST(test_another_program),
        TEST(test_forecast),
        TEST(test_time_is_bounded),
        TEST(test_constraints),
        TEST(test_declared),
        TEST(test_map),
    };
    return cmocka_run_group_tests_name("store check", tests, NULL, NULL);
}
