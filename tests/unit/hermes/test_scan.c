/* Scans of real folders, from the first file to the last. */
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

#include "base/fs.h"
#include "fixture.h"
#include "hermes/hash.h"
#include "hermes/registry.h"
#include "hermes/scan.h"

struct outcome {
    bool done, ok;
    struct arena *arena;
    size_t added, changed, missing, refused;
    const char *first_added, *first_changed, *first_missing, *reason;
    int code;
};

static void on_reply(void *ctx, const struct hermes_scan_reply *r, const struct error *err)
{
    struct outcome *o = ctx;
    o->done = true;
    o->ok = r != NULL;
    o->code = r ? 0 : err->code;
    if (!r)
        return;
    o->added = r->added_count;
    o->changed = r->changed_count;
    o->missing = r->missing_count;
    o->refused = r->refused_count;
    o->first_added = r->added_count ? arena_strdup(o->arena, r->added[0]) : "";
    o->first_changed = r->changed_count ? arena_strdup(o->arena, r->changed[0]) : "";
    o->first_missing = r->missing_count ? arena_strdup(o->arena, r->missing[0]) : "";
    o->reason = r->refused_count ? arena_strdup(o->arena, r->refused[0].reason) : "";
}

static struct scanner *open_scanner(struct fixture *f)
{
    struct scanner *s;
    struct error err = {0};
    assert_int_equal(fs_mkdirs(fixture_path(f, "models"), 0700, &err), 0);
    assert_int_equal(scanner_create(&f->loop, f->store, &s), 0);
    const char *roots[] = {fixture_path(f, "models")};
    assert_int_equal(scanner_set_roots(s, roots, 1), 0);
    return s;
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static void close_scanner(struct fixture *f, struct scanner *s)
{
    bool closed = false;
    scanner_close(s, on_closed, &closed);
    fixture_run(f, &closed, 5000);
}

static struct outcome scan(struct fixture *f, struct scanner *s)
{
    struct outcome o = {.arena = f->arena};
    struct error err = {0};
    if (scanner_run(s, on_reply, &o, NULL, &err) != 0)
        fail_msg("%s", err.text);
    assert_false(o.done);
    fixture_run(f, &o.done, 5000);
    assert_true(o.ok);
    return o;
}

static int status_of(struct fixture *f, const char *name)
{
    struct registry_model row;
    struct error err;
    if (registry_get(f->store, name, f->arena, &row, &err) != 0)
        return -1;
    return row.api.status;
}

static void test_life_of_a_file(void **state)
{
    struct fixture *f = *state;
    struct scanner *s = open_scanner(f);
    struct outcome o = scan(f, s);
    assert_int_equal(o.added + o.changed + o.missing + o.refused, 0);

    const char *path = fixture_model(f, "models/sub/tiny.gguf", "Tiny");
    o = scan(f, s);
    assert_int_equal(o.added, 1);
    assert_string_equal(o.first_added, "tiny");
    o = scan(f, s);
    assert_int_equal(o.added + o.changed + o.missing + o.refused, 0);

    fixture_model(f, "models/sub/tiny.gguf", "Another one");
    o = scan(f, s);
    assert_int_equal(o.changed, 1);
    assert_string_equal(o.first_changed, "tiny");
    struct registry_model row;
    struct error err;
    assert_int_equal(registry_get(f->store, "tiny", f->arena, &row, &err), 0);
    assert_string_equal(row.api.title, "Another one");

    assert_int_equal(truncate(path, 900), 0);
    o = scan(f, s);
    assert_int_equal(o.changed, 1);
    assert_int_equal(o.refused, 1);
    assert_non_null(strstr(o.reason, "cut short"));
    assert_int_equal(status_of(f, "tiny"), HERMES_MODEL_STATUS_INVALID);
    o = scan(f, s);
    assert_int_equal(o.changed, 0);
    assert_int_equal(o.refused, 1);

    assert_int_equal(unlink(path), 0);
    o = scan(f, s);
    assert_int_equal(o.missing, 1);
    assert_int_equal(status_of(f, "tiny"), HERMES_MODEL_STATUS_MISSING);
    o = scan(f, s);
    assert_int_equal(o.missing, 0);

    fixture_model(f, "models/sub/tiny.gguf", "Tiny");
    o = scan(f, s);
    assert_int_equal(o.changed, 1);
    assert_int_equal(status_of(f, "tiny"), HERMES_MODEL_STATUS_AVAILABLE);
    close_scanner(f, s);
}

static void test_refused_files(void **state)
{
    struct fixture *f = *state;
    struct scanner *s = open_scanner(f);
    fixture_file(f, "models/page.gguf", "<!DOCTYPE html>", 15);
    fixture_file(f, "models/notes.txt", "hello", 5);
    fixture_file(f, "models/.hidden.gguf", "hello", 5);
    struct outcome o = scan(f, s);
    assert_int_equal(o.added, 0);
    assert_int_equal(o.refused, 1);
    assert_non_null(strstr(o.reason, "web page"));
    assert_int_equal(status_of(f, "page"), HERMES_MODEL_STATUS_INVALID);
    assert_int_equal(status_of(f, "notes"), -1);
    close_scanner(f, s);
}

static void test_links(void **state)
{
    struct fixture *f = *state;
    struct scanner *s = open_scanner(f);
    const char *path = fixture_model(f, "elsewhere/big.gguf", "Big");
    const char *own = fixture_model(f, "models/own.gguf", "Own");
    assert_int_equal(symlink(path, fixture_path(f, "models/big.gguf")), 0);
    assert_int_equal(symlink(own, fixture_path(f, "models/a-copy.gguf")), 0); /* the same file twice */
    assert_int_equal(symlink(f->home, fixture_path(f, "models/loop")), 0);    /* a folder behind a link */
    assert_int_equal(symlink("/nowhere", fixture_path(f, "models/x.gguf")), 0);
    struct outcome o = scan(f, s);
    assert_int_equal(o.added, 2);
    assert_int_equal(status_of(f, "big"), HERMES_MODEL_STATUS_AVAILABLE);
    assert_int_equal(status_of(f, "own"), HERMES_MODEL_STATUS_AVAILABLE);
    assert_int_equal(status_of(f, "a-copy"), -1);
    assert_int_equal(o.refused, 1);
    assert_non_null(strstr(o.reason, "nowhere"));
    close_scanner(f, s);
}

static void test_same_names_and_moves(void **state)
{
    struct fixture *f = *state;
    struct scanner *s = open_scanner(f);
    fixture_model(f, "models/a/m.gguf", "1");
    fixture_model(f, "models/b/m.gguf", "2");
    struct outcome o = scan(f, s);
    assert_int_equal(o.added, 2);
    assert_int_equal(status_of(f, "m-2"), HERMES_MODEL_STATUS_AVAILABLE);

    /* A moved file keeps its name. */
    assert_int_equal(mkdir(fixture_path(f, "models/c"), 0700), 0);
    assert_int_equal(rename(fixture_path(f, "models/a/m.gguf"), fixture_path(f, "models/c/m.gguf")), 0);
    o = scan(f, s);
    assert_int_equal(o.added, 0);
    assert_int_equal(o.missing, 0);
    assert_int_equal(o.changed, 1);
    assert_string_equal(o.first_changed, "m");
    struct registry_model row;
    struct error err;
    assert_int_equal(registry_get(f->store, "m", f->arena, &row, &err), 0);
    assert_non_null(strstr(row.api.path, "/c/m.gguf"));
    close_scanner(f, s);
}

static void test_forgotten_stays_forgotten(void **state)
{
    struct fixture *f = *state;
    struct scanner *s = open_scanner(f);
    struct registry_model row;
    struct error err;
    fixture_model(f, "models/m.gguf", "1");
    (void)scan(f, s);
    assert_int_equal(registry_get(f->store, "m", f->arena, &row, &err), 0);
    assert_int_equal(registry_forget(f->store, &row, 1, &err), 0);
    struct outcome o = scan(f, s);
    assert_int_equal(o.added, 0);
    assert_int_equal(registry_remember(f->store, row.api.path, &err), 0);
    o = scan(f, s);
    assert_int_equal(o.added, 1);
    close_scanner(f, s);
}

static void test_rows_outside_the_folders(void **state)
{
    struct fixture *f = *state;
    struct scanner *s = open_scanner(f);
    struct error err = {0};
    struct model_facts facts;
    const char *path = fixture_model(f, "elsewhere/m.gguf", "1");
    assert_int_equal(model_facts_read(path, f->arena, &facts), 0);
    assert_int_equal(
        registry_add(f->store, HERMES_MODEL_SOURCE_ADDED, "m", true, &facts, 1, f->arena, NULL, &err), 0);
    struct outcome o = scan(f, s);
    assert_int_equal(o.missing + o.changed, 0);
    unlink(path);
    o = scan(f, s);
    assert_int_equal(o.missing, 1);
    assert_string_equal(o.first_missing, "m");
    close_scanner(f, s);
}

static void test_missing_root(void **state)
{
    struct fixture *f = *state;
    struct scanner *s = open_scanner(f);
    const char *roots[] = {fixture_path(f, "models"), "/nowhere/at/all", fixture_path(f, "models/.")};
    fixture_model(f, "models/m.gguf", "1");
    assert_int_equal(scanner_set_roots(s, roots, 3), 0);
    struct outcome o = scan(f, s);
    assert_int_equal(o.added, 1); /* the second spelling of the same folder brings no second model */
    assert_int_equal(o.refused, 1);
    assert_non_null(scanner_problem(s));
    assert_non_null(strstr(scanner_problem(s), "/nowhere/at/all"));
    close_scanner(f, s);
}

static int scans;

static void count_scan(void *ctx, const struct hermes_scan_reply *reply)
{
    (void)ctx;
    (void)reply;
    scans++;
}

/* Ten at once: one scan for the first, one for the nine that came while it ran. */
static void test_coalescing(void **state)
{
    struct fixture *f = *state;
    struct scanner *s = open_scanner(f);
    struct outcome o[10] = {0};
    struct error err = {0};
    scans = 0;
    scanner_on_scan(s, count_scan, NULL);
    for (int i = 0; i < 10; i++) {
        o[i].arena = f->arena;
        assert_int_equal(scanner_run(s, on_reply, &o[i], NULL, &err), 0);
    }
    for (int i = 0; i < 10; i++)
        fixture_run(f, &o[i].done, 5000);
    assert_int_equal(scans, 2);
    close_scanner(f, s);
}

static void test_close_while_scanning(void **state)
{
    struct fixture *f = *state;
    struct scanner *s = open_scanner(f);
    struct outcome o[3] = {{.arena = f->arena}, {.arena = f->arena}, {.arena = f->arena}};
    struct scan_wait *dropped;
    struct error err = {0};
    bool closed = false;
    for (int i = 0; i < 50; i++) {
        char name[40];
        (void)snprintf(name, sizeof name, "models/m%d.gguf", i);
        fixture_model(f, name, "x");
    }
    assert_int_equal(scanner_run(s, on_reply, &o[0], NULL, &err), 0);
    assert_int_equal(scanner_run(s, on_reply, &o[1], NULL, &err), 0);
    assert_int_equal(scanner_run(s, on_reply, &o[2], &dropped, &err), 0);
    scan_wait_drop(dropped);
    scanner_close(s, on_closed, &closed);
    fixture_run(f, &closed, 5000);
    assert_true(o[0].done);
    assert_true(o[1].done);
    assert_false(o[2].done);
    assert_int_equal(o[1].code, VX11_ECANCELLED);
}

static void test_hashes(void **state)
{
    struct fixture *f = *state;
    struct scanner *s = open_scanner(f);
    struct hasher *h;
    struct registry_model row;
    struct error err;
    bool closed = false;
    fixture_model(f, "models/a.gguf", "1");
    fixture_model(f, "models/b.gguf", "longer");
    (void)scan(f, s);
    assert_int_equal(hasher_create(&f->loop, f->store, &h), 0);
    hasher_kick(h);
    hasher_kick(h);
    for (int i = 0; i < 100; i++) {
        fixture_run_ms(f, 20);
        if (registry_next_unhashed(f->store, HASH_MAX_BYTES, -1, "", f->arena, &row, &err) == VX11_ENOT_FOUND)
            break;
    }
    assert_int_equal(registry_get(f->store, "a", f->arena, &row, &err), 0);
    assert_non_null(row.api.sha256);
    assert_int_equal(strlen(row.api.sha256), 64);
    assert_int_equal(registry_get(f->store, "b", f->arena, &row, &err), 0);
    assert_non_null(row.api.sha256);
    hasher_close(h, on_closed, &closed);
    fixture_run(f, &closed, 5000);
    close_scanner(f, s);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_open, fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_life_of_a_file),
        TEST(test_refused_files),
        TEST(test_links),
        TEST(test_same_names_and_moves),
        TEST(test_forgotten_stays_forgotten),
        TEST(test_rows_outside_the_folders),
        TEST(test_missing_root),
        TEST(test_coalescing),
        TEST(test_close_while_scanning),
        TEST(test_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
