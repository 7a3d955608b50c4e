/* The schema as it is shown: each table and column is explained, each growing table says how long it keeps
 * rows, and what points where is what the migrations say. */
#include "helper.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "store/schema.h"

static const struct schema_table *table_of(const struct schema *s, const char *name)
{
    for (size_t i = 0; i < s->table_count; i++)
        if (strcmp(s->tables[i].name, name) == 0)
            return &s->tables[i];
    fail_msg("there is no table %s", name);
    return NULL;
}

static const struct schema_column *column_of(const struct schema_table *t, const char *name)
{
    for (size_t i = 0; i < t->column_count; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    fail_msg("%s has no column %s", t->name, name);
    return NULL;
}

static void test_all_is_explained(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct arena *a = arena_create(0);
    struct schema schema;
    struct error err = {0};
    int missing = 0;
    assert_ok(schema_read(s, a, &schema, &err), err);
    assert_true(schema.table_count > 20);
    assert_int_equal(schema.version, store_schema_current());
    assert_true(schema.pages > 0 && schema.page_bytes >= 512 && schema.free_pages >= 0);
    for (size_t i = 0; i < schema.table_count; i++) {
        const struct schema_table *t = &schema.tables[i];
        bool ours = strcmp(t->name, "schema_migration") != 0;
        if (ours && !t->comment) {
            print_error("%s has no comment above it\n", t->name);
            missing++;
        }
        assert_true(t->column_count > 0 && t->rows >= 0);
        assert_true(t->bytes == -1 || t->bytes > 0);
    }
    assert_int_equal(missing, 0);
    store_close(s);
    arena_destroy(a);
}

static void test_one_table(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct arena *a = arena_create(0);
    struct schema schema;
    struct error err = {0};
    assert_ok(store_exec(s, "INSERT INTO module_state VALUES ('link', 'active', 1, 'me', NULL)", NULL, 0,
                         NULL, &err),
              err);
    assert_ok(schema_read(s, a, &schema, &err), err);
    const struct schema_table *t = table_of(&schema, "module_state");
    assert_int_equal(t->rows, 1);
    assert_string_equal(t->module, "core");
    assert_string_equal(t->comment,
                        "The state that each module should be in. A module without a row is active.");
    const struct schema_column *c = column_of(t, "module");
    assert_true(c->primary && c->required);
    assert_string_equal(c->type, "TEXT");
    assert_string_equal(c->comment, "module name");
    assert_false(column_of(t, "reason")->required);
    t = table_of(&schema, "auth_token");
    assert_string_equal(column_of(t, "slot")->default_value, "'current'");
    bool partial = false;
    for (size_t i = 0; i < t->index_count; i++)
        if (strcmp(t->indexes[i].name, "auth_token_by_name") == 0) {
            partial = t->indexes[i].partial;
            assert_true(t->indexes[i].unique);
            assert_int_equal(t->indexes[i].column_count, 2);
            assert_string_equal(t->indexes[i].columns[1], "slot");
        }
    assert_true(partial);
    t = table_of(&schema, "metric_sample");
    assert_string_equal(t->module, "operator");
    assert_string_equal(t->time_column, "at");
    assert_int_equal(t->max_age_ms, 21600000);
    assert_int_equal(t->key_count, 1);
    assert_string_equal(t->keys[0].table, "metric_series");
    assert_string_equal(t->keys[0].columns[0], "series");
    assert_string_equal(t->keys[0].to[0], "id");
    assert_string_equal(t->keys[0].on_delete, "CASCADE");
    /* a column that came later, by its own line, and one by the lines above it */
    t = table_of(&schema, "decision");
    assert_string_equal(t->module, "switch");
    assert_string_equal(column_of(t, "mode")->comment, "mode that applied");
    assert_true(str_starts(column_of(t, "story")->comment, "JSON, at most 16 of them"));
    store_close(s);
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_is_explained, place_setup_fast, place_teardown),
        cmocka_unit_test_setup_teardown(test_one_table, place_setup_fast, place_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
