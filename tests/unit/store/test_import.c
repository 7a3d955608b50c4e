/* Imports of both shapes of the predecessor's database, built from tests/data/legacy. */
#include "helper.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "store/import/import_internal.h"
#include "store/ledger/ledger.h"

#define NOW INT64_C(1790000000000)

static void run_script(const char *path, const char *name)
{
    char script[512];
    struct buf text = BUF_INIT;
    struct error err = {0};
    snprintf(script, sizeof script, "%s/tests/data/legacy/%s", getenv("VX11_SRC"), name);
    assert_ok(fs_read_file(script, 1 << 20, &text, &err), err);
    raw_exec(path, text.data);
    buf_free(&text);
}

/* old.db beside vx11.db; later: the 86 tables. */
static void make_old(const struct place *p, char path[160], bool later)
{
    snprintf(path, 160, "%s/old/old.db", p->dir);
    char folder[160];
    snprintf(folder, sizeof folder, "%s/old", p->dir);
    struct error err = {0};
    assert_ok(fs_mkdirs(folder, 0700, &err), err);
    raw_exec(path, "PRAGMA synchronous = OFF; PRAGMA journal_mode = DELETE");
    run_script(path, "canonical50.sql");
    if (later)
        run_script(path, "later86.sql");
    run_script(path, "rows50.sql");
}

static int import_it(struct store *s, const struct place *p, const char *path, bool dry, size_t fingerprints,
                     struct arena *a, struct import_report *out, struct error *err)
{
    const struct import_options o = {.path = path,
                                     .database = p->path,
                                     .scratch = p->dir,
                                     .now_ms = NOW,
                                     .dry_run = dry,
                                     .fingerprints = fingerprints};
    return import_run(s, &o, a, out, err);
}

static const struct import_table *table_in(const struct import_report *r, const char *name)
{
    for (size_t i = 0; i < r->tables_count; i++)
        if (strcmp(r->tables[i].name, name) == 0)
            return &r->tables[i];
    fail_msg("the report has no table %s", name);
    return NULL;
}

static void assert_table(const struct import_report *r, const char *name, int64_t imported, int64_t merged,
                         int64_t known, int64_t left)
{
    const struct import_table *t = table_in(r, name);
    if (t->imported != imported || t->merged != merged || t->known != known || t->left != left)
        fail_msg("%s: %lld imported, %lld merged, %lld known, %lld left", name, (long long)t->imported,
                 (long long)t->merged, (long long)t->known, (long long)t->left);
}

/* Nothing is dropped in silence. */
static void assert_sums(const struct import_report *r)
{
    for (size_t i = 0; i < r->tables_count; i++) {
        const struct import_table *t = &r->tables[i];
        int64_t reasons = 0;
        for (size_t k = 0; k < t->reasons_count; k++)
            reasons += t->reasons[k].rows;
        if (t->rows != t->imported + t->merged + t->known + t->left || reasons != t->left)
            fail_msg("%s: its %lld rows do not add up", t->name, (long long)t->rows);
    }
}

static int files_in(const struct place *p)
{
    char folder[160];
    int n = 0;
    snprintf(folder, sizeof folder, "%s/old", p->dir);
    DIR *d = opendir(folder);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Most of this file's checks: a first run, a second, and what is there then. */
static void check_twice(const struct place *p, const char *path, const char *shape, size_t fingerprints)
{
    struct store *s = open_store(p->path);
    struct arena *a = arena_create(0);
    struct import_report r;
    struct error err = {0};
    char before[65], after[65];
    file_hash(path, before);
    const int files = files_in(p);
    assert_ok(import_it(s, p, path, true, fingerprints, a, &r, &err), err);
    assert_true(r.ok && r.dry_run);
    assert_int_equal(query_int(s, "SELECT (SELECT count(*) FROM incident) + (SELECT count(*) FROM import_run)"
                                  " + (SELECT count(*) FROM operator_session)"),
                     0);
    const int64_t would = r.imported;
    assert_sums(&r);
    assert_ok(import_it(s, p, path, false, fingerprints, a, &r, &err), err);
    assert_true(r.ok);
    assert_string_equal(r.shape, shape);
    assert_sums(&r);
    assert_int_equal(r.imported, would);
    assert_table(&r, "operator_session", 3, 0, 0, 1);
    assert_table(&r, "operator_message", 3, 0, 0, 4);
    assert_table(&r, "operator_tool_call", 2, 0, 0, 1);
    assert_table(&r, "switch_queue_v2", 0, 0, 0, 2);
    assert_int_equal(query_int(s, "SELECT sum(count) FROM incident WHERE kind <> 'service_down'"), 3001);
    assert_int_equal(query_int(s, "SELECT count(*) FROM incident WHERE kind = 'fs_drift' AND count = 150"),
                     20);
    assert_int_equal(
        query_int(s, "SELECT last_seen_at - first_seen_at FROM incident WHERE location = 'docs/0'"), 2980000);
    assert_int_equal(
        query_int(s, "SELECT resolved_at FROM incident WHERE kind = 'memory_leak' AND state = 'resolved'"
                     " AND decision = 'restart' AND severity = 'critical' AND count = 1"),
        INT64_C(1765969200000));
    assert_int_equal(
        query_int(s, "SELECT count(*) FROM operator_session WHERE title = 'How do ants find the kitchen?'"
                     " AND message_count = 2 AND updated_at = 1790000000000"
                     " AND created_at = 1765825920123"),
        1);
    assert_int_equal(
        query_int(s, "SELECT count(*) FROM operator_message_words WHERE operator_message_words MATCH"
                     " 'pheromones'"),
        1);
    assert_int_equal(
        query_int(s, "SELECT count(*) FROM operator_session_words WHERE operator_session_words MATCH"
                     " 'kitchen'"),
        1);
    assert_int_equal(query_int(s, "SELECT count(*) FROM operator_tool_call WHERE name = 'search' AND"
                                  " ((status = 'done' AND result = '{\"hits\":3}') OR (status = 'failed' AND"
                                  " result IS NULL AND error = 'no network'))"),
                     2);
    assert_int_equal(query_int(s, "SELECT count(*) FROM ledger WHERE kind = 'import'"), 1);
    const int64_t rows = r.imported + r.merged;
    assert_ok(import_it(s, p, path, false, fingerprints, a, &r, &err), err);
    assert_true(r.ok);
    assert_sums(&r);
    assert_int_equal(r.imported + r.merged, 0);
    assert_int_equal(r.known, rows);
    assert_int_equal(query_int(s, "SELECT sum(count) FROM incident WHERE kind <> 'service_down'"), 3001);
    assert_int_equal(query_int(s, "SELECT count(*) FROM operator_message"), 3);
    assert_int_equal(query_int(s, "SELECT count(*) FROM import_run WHERE ended_at > 0 AND error IS NULL"), 2);
    file_hash(path, after);
    assert_string_equal(before, after);
    assert_int_equal(files_in(p), files);
    arena_destroy(a);
    store_close(s);
    assert_sound(p->path);
}

static void test_canonical(void **state)
{
    char path[160];
    make_old(*state, path, false);
    check_twice(*state, path, "50", 0);
}

/* Few fingerprints at a time: the file is read in rounds. */
static void test_later_in_rounds(void **state)
{
    struct place *p = *state;
    char path[160];
    make_old(p, path, true);
    check_twice(p, path, "86", 300);
    assert_int_equal(raw_int(p->path,
                             "SELECT last_seen_at - first_seen_at FROM incident WHERE kind = 'service_down'"
                             " AND source = 'scanner_services' AND severity = 'critical'"
                             " AND detail = 'Hermes does not answer'"),
                     7200500);
}

/* A later copy of the same file: only what is new comes over, and counts go on. */
static void test_later_copy(void **state)
{
    struct place *p = *state;
    char path[160];
    make_old(p, path, false);
    struct store *s = open_store(p->path);
    struct arena *a = arena_create(0);
    struct import_report r;
    struct error err = {0};
    assert_ok(import_it(s, p, path, false, 0, a, &r, &err), err);
    raw_exec(path,
             "INSERT INTO incidents (ant_id, incident_type, severity, location, status, detected_at) VALUES"
             " ('scanner_fs', 'fs_drift', 'info', 'docs/0', 'open', '2025-12-20 00:00:00.000000'),"
             " ('scanner_fs', 'fs_drift', 'info', 'docs/new', 'open', '2025-12-20 00:00:00.000000');"
             "INSERT INTO operator_message (id, session_id, role, content, created_at) VALUES"
             " (8, 'session-a', 'user', 'And back?', '2025-12-20 00:00:00')");
    assert_ok(store_exec(s, "DELETE FROM operator_session WHERE source = 'cli'", NULL, 0, NULL, &err), err);
    assert_ok(import_it(s, p, path, false, 0, a, &r, &err), err);
    assert_table(&r, "incidents", 1, 1, 3001, 1);
    assert_table(&r, "operator_message", 1, 0, 3, 4);
    assert_table(&r, "operator_session", 0, 0, 3, 1); /* what was deleted here stays deleted */
    assert_int_equal(
        query_int(s, "SELECT count FROM incident WHERE location = 'docs/0' AND severity = 'info'"), 151);
    assert_int_equal(query_int(s, "SELECT seq FROM operator_message WHERE content = 'And back?'"), 3);
    arena_destroy(a);
    store_close(s);
}

/* What is in the log beside a file counts, and both stay as they are. */
static void test_with_a_log(void **state)
{
    struct place *p = *state;
    char path[160], wal[170], before[65], after[65];
    make_old(p, path, false);
    raw_exec(path, "PRAGMA journal_mode = WAL");
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "INSERT INTO operator_session (session_id, user_id, source, created_at) VALUES"
                     " ('in-the-log', 'local', 'web', '2025-12-20 00:00:00')",
                     NULL, NULL, NULL),
        SQLITE_OK);
    snprintf(wal, sizeof wal, "%s-wal", path);
    file_hash(wal, before);
    const int files = files_in(p);
    struct store *s = open_store(p->path);
    struct arena *a = arena_create(0);
    struct import_report r;
    struct error err = {0};
    assert_ok(import_it(s, p, path, false, 0, a, &r, &err), err);
    assert_table(&r, "operator_session", 4, 0, 0, 1);
    file_hash(wal, after);
    assert_string_equal(before, after);
    assert_int_equal(files_in(p), files);
    /* SQLite keeps the log beside the file, not beside a link to it. */
    char link[160];
    snprintf(link, sizeof link, "%s/link.db", p->dir);
    assert_int_equal(symlink(path, link), 0);
    assert_ok(import_it(s, p, link, true, 0, a, &r, &err), err);
    assert_table(&r, "operator_session", 0, 0, 4, 1);
    sqlite3_close(db);
    arena_destroy(a);
    store_close(s);
}

/* What came over is old, and stays for as long as what is new; what was begun here meanwhile is left alone.
 */
static void test_beside_what_is_here(void **state)
{
    struct place *p = *state;
    char path[160];
    make_old(p, path, false);
    struct store *s = open_store(p->path);
    struct arena *a = arena_create(0);
    struct import_report r;
    struct error err = {0};
    uint64_t deleted;
    assert_ok(store_exec(s,
                         "INSERT INTO operator_session (id, title, source, user_id, created_at, updated_at)"
                         " VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAV', '', 'web', 'local', 1790000000000,"
                         " 1790000000000)",
                         NULL, 0, NULL, &err),
              err);
    assert_ok(import_it(s, p, path, false, 0, a, &r, &err), err);
    assert_int_equal(query_int(s, "SELECT count(*) FROM operator_session WHERE title = ''"), 1);
    assert_ok(store_retain(s, NOW + 1000, &deleted, &err), err);
    assert_int_equal(query_int(s, "SELECT count(*) FROM incident"), 21);
    assert_ok(store_retain(s, NOW + INT64_C(91) * 86400000, &deleted, &err), err);
    assert_int_equal(query_int(s, "SELECT count(*) FROM incident"), 0);
    arena_destroy(a);
    store_close(s);
}

static void test_refuses(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct arena *a = arena_create(0);
    struct import_report r;
    struct error err = {0};
    char path[160], other[160];
    assert_code(VX11_EINVALID, import_it(s, p, p->path, false, 0, a, &r, &err), err);
    snprintf(other, sizeof other, "%s/other.db", p->dir);
    assert_code(VX11_ENOT_FOUND, import_it(s, p, other, false, 0, a, &r, &err), err);
    raw_exec(other,
             "CREATE TABLE songs (id INTEGER PRIMARY KEY); CREATE TABLE tasks (id INTEGER PRIMARY KEY)");
    assert_code(VX11_EVERSION, import_it(s, p, other, false, 0, a, &r, &err), err);
    assert_has(err.text, "no predecessor's database");
    file_patch(other, 0, "nothing that SQLite wrote", 25);
    assert_code(VX11_ECORRUPT, import_it(s, p, other, false, 0, a, &r, &err), err);
    snprintf(path, sizeof path, "%s/ours.db", p->dir);
    store_close(open_store(path));
    assert_code(VX11_EVERSION, import_it(s, p, path, false, 0, a, &r, &err), err);
    assert_has(err.text, "of this VX11");
    assert_int_equal(query_int(s, "SELECT count(*) FROM import_run"), 0);
    arena_destroy(a);
    store_close(s);
}

/* A damaged page costs the table that it belongs to, and is said. */
static void test_damaged(void **state)
{
    struct place *p = *state;
    char path[160], junk[4096];
    make_old(p, path, false);
    const int64_t root = raw_int(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'operator_message'");
    memset(junk, 0xee, sizeof junk);
    file_patch(path, (long)(root - 1) * 4096, junk, sizeof junk);
    struct store *s = open_store(p->path);
    struct arena *a = arena_create(0);
    struct import_report r;
    struct error err = {0};
    assert_ok(import_it(s, p, path, false, 0, a, &r, &err), err);
    assert_false(r.ok);
    assert_has(r.error, "operator_message");
    assert_table(&r, "operator_session", 3, 0, 0, 1);
    assert_table(&r, "incidents", 21, 2980, 0, 1);
    assert_int_equal(query_int(s, "SELECT count(*) FROM import_run WHERE error LIKE 'operator_message%'"), 1);
    arena_destroy(a);
    store_close(s);
}

/* ---- killed ---- */

struct killed {
    const struct place *p;
    const char *path;
    int after; /* questions whether to stop */
};

static bool die_in_time(void *ctx)
{
    struct killed *k = ctx;
    if (k->after-- == 0)
        raise(SIGKILL);
    return false;
}

static int import_until_killed(void *ctx)
{
    struct killed *k = ctx;
    struct store *s = open_store(k->p->path);
    struct arena *a = arena_create(0);
    struct import_report r;
    struct error err = {0};
    const struct import_options o = {.path = k->path,
                                     .database = k->p->path,
                                     .scratch = k->p->dir,
                                     .now_ms = NOW,
                                     .stopped = die_in_time,
                                     .ctx = k};
    return import_run(s, &o, a, &r, &err);
}

static void test_killed_and_again(void **state)
{
    struct place *p = *state;
    char path[160];
    make_old(p, path, false);
    store_close(open_store(p->path));
    static const int when[] = {3, 12, 40, 3040, 3060, 3070};
    for (size_t i = 0; i < sizeof when / sizeof when[0]; i++) {
        struct killed k = {p, path, when[i]};
        int status = in_process(import_until_killed, &k);
        assert_true((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) || WIFEXITED(status));
    }
    struct store *s = open_store(p->path);
    struct arena *a = arena_create(0);
    struct import_report r;
    struct error err = {0};
    assert_ok(import_it(s, p, path, false, 0, a, &r, &err), err);
    assert_true(r.ok);
    assert_sums(&r);
    assert_int_equal(query_int(s, "SELECT sum(count) FROM incident"), 3001);
    assert_int_equal(query_int(s, "SELECT count(*) FROM incident"), 21);
    assert_int_equal(query_int(s, "SELECT count(*) FROM operator_message"), 3);
    assert_int_equal(query_int(s, "SELECT count(*) FROM operator_session WHERE title <> ''"), 3);
    assert_int_equal(query_int(s, "SELECT count(*) FROM operator_tool_call"), 2);
    arena_destroy(a);
    store_close(s);
    assert_sound(p->path);
}

/* Tokens in plain text are never taken, nor told. */
static void test_no_secret(void **state)
{
    struct place *p = *state;
    char path[160], log[170];
    make_old(p, path, false);
    struct store *s = open_store(p->path);
    struct arena *a = arena_create(0);
    struct import_report r;
    struct error err = {0};
    struct buf file = BUF_INIT;
    assert_ok(import_it(s, p, path, false, 0, a, &r, &err), err);
    store_close(s);
    assert_ok(import_report_serialize(&r, &file), err);
    assert_ok(import_markdown(&r, &file), err);
    assert_ok(fs_read_file(p->path, 64 << 20, &file, &err), err);
    snprintf(log, sizeof log, "%s-wal", p->path);
    if (fs_exists(log))
        assert_ok(fs_read_file(log, 64 << 20, &file, &err), err);
    assert_null(memmem(file.data, file.len, "must-stay-there", 15));
    assert_non_null(memmem(file.data, file.len, "deepseek", 8));
    buf_free(&file);
    arena_destroy(a);
}

/* ---- times ---- */

static int64_t time_of(sqlite3 *db, const char *literal)
{
    sqlite3_stmt *stmt;
    char sql[200];
    int64_t out = -1;
    snprintf(sql, sizeof sql, "SELECT %s", literal);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    if (!source_time(stmt, 0, &out))
        out = -1;
    sqlite3_finalize(stmt);
    return out;
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *literal;
        int64_t ms;
    } times[] = {
        {"'2025-12-15 19:12:00.123456'", 1765825920123},
        {"'2025-12-15T19:12:00.123Z'", 1765825920123},
        {"'2025-12-15 19:12:00'", 1765825920000},
        {"'2025-12-15T20:12:00+01:00'", 1765825920000},
        {"1765825920", 1765825920000},
        {"1765825920.5", 1765825920500},
        {"1765825920123", 1765825920123},
        {"NULL", -1},
        {"''", -1},
        {"'2025-12-15'", -1},
        {"'2025-13-15 19:12:00'", -1},
        {"'1900-01-01 00:00:00'", -1},
        {"12", -1},
        {"x'00'", -1},
        {"9e99", -1},
        {"'now'", -1},
    };
    sqlite3 *db;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        if (time_of(db, times[i].literal) != times[i].ms)
            fail_msg("%s is read as %lld", times[i].literal, (long long)time_of(db, times[i].literal));
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test_setup_teardown(test_canonical, place_setup_fast, place_teardown),
        cmocka_unit_test_setup_teardown(test_later_in_rounds, place_setup_fast, place_teardown),
        cmocka_unit_test_setup_teardown(test_later_copy, place_setup_fast, place_teardown),
        cmocka_unit_test_setup_teardown(test_with_a_log, place_setup_fast, place_teardown),
        cmocka_unit_test_setup_teardown(test_beside_what_is_here, place_setup_fast, place_teardown),
        cmocka_unit_test_setup_teardown(test_refuses, place_setup_fast, place_teardown),
        cmocka_unit_test_setup_teardown(test_damaged, place_setup_fast, place_teardown),
        cmocka_unit_test_setup_teardown(test_killed_and_again, place_setup_fast, place_teardown),
        cmocka_unit_test_setup_teardown(test_no_secret, place_setup_fast, place_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
