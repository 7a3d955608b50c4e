/* The registry's rows: names, versions, conflicts, forgetting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "fixture.h"
#include "gguf_writer.h"
#include "hermes/guide.h"
#include "hermes/registry.h"

static struct model_facts facts_of(struct fixture *f, const char *path)
{
    struct model_facts facts;
    assert_int_equal(model_facts_read(path, f->arena, &facts), 0);
    return facts;
}

static void test_add_get_list(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct registry_model row, *rows;
    int64_t before, after;
    size_t n;
    const char *taken = NULL;
    struct model_facts facts = facts_of(f, fixture_model(f, "models/tiny.gguf", "Tiny"));
    assert_int_equal(facts.status, HERMES_MODEL_STATUS_AVAILABLE);
    assert_int_equal(registry_version(f->store, &before, &err), 0);
    if (registry_add(f->store, HERMES_MODEL_SOURCE_ADDED, "tiny", true, &facts, 1000, f->arena, &taken,
                     &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(taken, "tiny");
    assert_int_equal(registry_version(f->store, &after, &err), 0);
    assert_true(after > before);

    assert_int_equal(registry_get(f->store, "tiny", f->arena, &row, &err), 0);
    assert_int_equal(row.api.source, HERMES_MODEL_SOURCE_ADDED);
    assert_int_equal(row.api.status, HERMES_MODEL_STATUS_AVAILABLE);
    assert_null(row.api.reason);
    assert_string_equal(row.api.architecture, "llama");
    assert_string_equal(row.api.title, "Tiny");
    assert_string_equal(row.api.quantisation, "Q8_0");
    assert_null(row.api.licence);
    assert_null(row.api.sha256);
    assert_true(row.api.has_parameters);
    assert_int_equal(row.api.parameters, 320);
    assert_int_equal(row.api.context_length, 128);
    assert_int_equal(row.api.layers, 2);
    assert_int_equal(row.api.vocabulary, 4);
    assert_int_equal(row.kv_bytes_per_token, 8 * 32 * 2);
    assert_true(row.api.has_chat_template);
    assert_true(row.api.enabled);
    assert_false(row.api.has_last_used_at);
    assert_int_equal(row.api.created_at, 1000);
    assert_int_equal(registry_list(f->store, f->arena, &rows, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(registry_by_path(f->store, facts.path, f->arena, &row, &err), 0);
}

static void test_names(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    const char *taken;
    struct model_facts one = facts_of(f, fixture_model(f, "a/m.gguf", "1"));
    struct model_facts two = facts_of(f, fixture_model(f, "b/m.gguf", "2"));
    assert_int_equal(
        registry_add(f->store, HERMES_MODEL_SOURCE_SCAN, "m", false, &one, 1, f->arena, &taken, &err), 0);
    assert_int_equal(
        registry_add(f->store, HERMES_MODEL_SOURCE_ADDED, "m", true, &two, 1, f->arena, &taken, &err),
        VX11_EEXISTS);
    assert_non_null(strstr(err.text, "\"m\" is taken"));
    assert_int_equal(
        registry_add(f->store, HERMES_MODEL_SOURCE_SCAN, "m", false, &two, 1, f->arena, &taken, &err), 0);
    assert_string_equal(taken, "m-2");
    assert_int_equal(
        registry_add(f->store, HERMES_MODEL_SOURCE_ADDED, "x", true, &two, 1, f->arena, &taken, &err),
        VX11_EEXISTS);
    assert_non_null(strstr(err.text, "registered already, as \"m-2\""));
}

static void test_name_from_path(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(model_name_from_path("/a/Qwen3-0.6B-Q4_K_M.gguf", f->arena), "Qwen3-0.6B-Q4_K_M");
    assert_string_equal(model_name_from_path("/a/my model (1).GGUF", f->arena), "my-model--1-");
    assert_string_equal(model_name_from_path("/a/..hidden.gguf", f->arena), "hidden");
    assert_string_equal(model_name_from_path("/a/.gguf", f->arena), "model");
    assert_string_equal(model_name_from_path("/a/\xC3\xB1"
                                             "and\xC3\xBA.gguf",
                                             f->arena),
                        "and--");
    char longest[400];
    memset(longest, 'x', sizeof longest);
    longest[399] = '\0';
    assert_int_equal(strlen(model_name_from_path(longest, f->arena)), 120);
    assert_true(model_name_valid("a:b@c.d_e-f"));
    assert_false(model_name_valid(""));
    assert_false(model_name_valid("-a"));
    assert_false(model_name_valid("a/b"));
}

static void test_not_found_names_nearest(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct registry_model row;
    assert_int_equal(registry_get(f->store, "nothing", f->arena, &row, &err), VX11_ENOT_FOUND);
    struct model_facts one = facts_of(f, fixture_model(f, "a/mistral-7b.gguf", "1"));
    assert_int_equal(
        registry_add(f->store, HERMES_MODEL_SOURCE_SCAN, "mistral-7b", true, &one, 1, f->arena, NULL, &err),
        0);
    assert_int_equal(registry_get(f->store, "mistrl-7b", f->arena, &row, &err), VX11_ENOT_FOUND);
    assert_non_null(strstr(err.text, "mistral-7b"));
}

static void test_forget(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct registry_model row;
    const char **paths;
    size_t n;
    struct model_facts one = facts_of(f, fixture_model(f, "a/m.gguf", "1"));
    assert_int_equal(
        registry_add(f->store, HERMES_MODEL_SOURCE_SCAN, "m", true, &one, 1, f->arena, NULL, &err), 0);
    assert_int_equal(registry_get(f->store, "m", f->arena, &row, &err), 0);
    assert_int_equal(registry_forget(f->store, &row, 5, &err), 0);
    assert_int_equal(registry_forget(f->store, &row, 5, &err), VX11_ENOT_FOUND);
    assert_int_equal(registry_forgotten(f->store, f->arena, &paths, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_string_equal(paths[0], one.path);
    assert_int_equal(registry_remember(f->store, one.path, &err), 0);
    assert_int_equal(registry_forgotten(f->store, f->arena, &paths, &n, &err), 0);
    assert_int_equal(n, 0);
}

static void test_hash_goes_with_contents(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct registry_model row;
    static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    struct model_facts one = facts_of(f, fixture_model(f, "a/m.gguf", "1"));
    assert_int_equal(
        registry_add(f->store, HERMES_MODEL_SOURCE_SCAN, "m", true, &one, 1, f->arena, NULL, &err), 0);
    assert_int_equal(registry_next_unhashed(f->store, 1 << 20, -1, "", f->arena, &row, &err), 0);
    assert_int_equal(registry_set_hash(f->store, &row, hash, 2, &err), 0);
    assert_int_equal(registry_next_unhashed(f->store, 1 << 20, -1, "", f->arena, &row, &err),
                     VX11_ENOT_FOUND);
    assert_int_equal(registry_get(f->store, "m", f->arena, &row, &err), 0);
    assert_string_equal(row.api.sha256, hash);
    assert_int_equal(registry_update(f->store, &row, row.api.source, &one, 3, &err), 0);
    assert_int_equal(registry_get(f->store, "m", f->arena, &row, &err), 0);
    assert_string_equal(row.api.sha256, hash);
    one.size_bytes++;
    assert_int_equal(registry_update(f->store, &row, row.api.source, &one, 4, &err), 0);
    assert_int_equal(registry_get(f->store, "m", f->arena, &row, &err), 0);
    assert_null(row.api.sha256);
}

static void test_use_is_no_change(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct registry_model row;
    struct writer *w;
    int64_t before, after;
    struct model_facts one = facts_of(f, fixture_model(f, "a/m.gguf", "1"));
    assert_int_equal(
        registry_add(f->store, HERMES_MODEL_SOURCE_SCAN, "m", true, &one, 1, f->arena, NULL, &err), 0);
    assert_int_equal(registry_get(f->store, "m", f->arena, &row, &err), 0);
    assert_int_equal(registry_version(f->store, &before, &err), 0);
    struct writer_options options = {.path = fixture_path(f, "vx11.db")};
    assert_int_equal(writer_start(&options, &w, &err), 0);
    assert_int_equal(registry_used(w, row.api.id, 1, 7000), 0);
    assert_int_equal(registry_used(w, row.api.id, 1, 6000), 0);
    assert_int_equal(writer_stop(w, 5000), 0);
    assert_int_equal(registry_get(f->store, "m", f->arena, &row, &err), 0);
    assert_int_equal(row.api.usage_count, 2);
    assert_int_equal(row.api.last_used_at, 7000);
    assert_int_equal(registry_version(f->store, &after, &err), 0);
    assert_int_equal(before, after);
}

static void test_guide(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct registry_model row;
    char path[4096];
    struct buf b = BUF_INIT;
    gw_model(&b, "Guide");
    const unsigned char *data = (const unsigned char *)b.data;
    assert_int_equal(guide_install(f->home, data, 0, path, sizeof path, &err), VX11_ENOT_FOUND);
    assert_int_equal(guide_install(f->home, data, b.len, path, sizeof path, &err), 0);
    assert_int_equal(guide_register(f->store, path, 1, &err), 0);
    assert_int_equal(registry_get(f->store, REGISTRY_BUILTIN, f->arena, &row, &err), 0);
    assert_int_equal(row.api.source, HERMES_MODEL_SOURCE_BUILTIN);
    assert_string_equal(row.api.title, "Guide");
    int64_t before, after;
    assert_int_equal(registry_version(f->store, &before, &err), 0);
    assert_int_equal(guide_install(f->home, data, b.len, path, sizeof path, &err), 0);
    assert_int_equal(guide_register(f->store, path, 2, &err), 0);
    assert_int_equal(registry_version(f->store, &after, &err), 0);
    assert_int_equal(before, after); /* nothing changed, so nothing was written */

    /* Somebody spoiled the file: it is put right. */
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(guide_install(f->home, data, b.len, path, sizeof path, &err), 0);
    assert_int_equal(guide_register(f->store, path, 3, &err), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, b.len);
    buf_free(&b);
}

static void test_guide_cannot_be_written(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char path[4096];
    /* A file where the folder should be: works for root too, whom a read-only folder does not stop. */
    (void)fixture_file(f, "models", "x", 1);
    assert_int_not_equal(guide_install(f->home, (const unsigned char *)"x", 1, path, sizeof path, &err), 0);
    assert_true(err.text[0] != '\0');
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_add_get_list),
        TEST(test_names),
        TEST(test_name_from_path),
        TEST(test_not_found_names_nearest),
        TEST(test_forget),
        TEST(test_hash_goes_with_contents),
        TEST(test_use_is_no_change),
        TEST(test_guide),
        TEST(test_guide_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
