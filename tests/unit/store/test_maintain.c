/* Maintain: rows that leave are in the archive as they were, nothing is lost nor deleted that is not there,
 * a full disk and a damaged page stop it before anything goes, and a file at its target size keeps less. */
#include "helper.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/log.h"
#include "store/maintain/archive.h"
#include "store/maintain/maintain.h"
#include "store/maintain/retain.h"
#include "store/maintain/runs.h"

#define DAY INT64_C(86400000)
#define NOW INT64_C(1700000000000)

static int group_setup(void **state)
{
    (void)state;
    log_set_level(LOG_OFF);
    return 0;
}

/* ---- helpers ---- */

static int retain(struct store *s, int64_t target, struct retain_result *out, struct error *err)
{
    const struct retain_options o = {.now_ms = NOW, .target_bytes = target, .actor = "test"};
    return retain_run(s, &o, out, err);
}

static int add_lines(void *ctx, const char *data, size_t len)
{
    return buf_append(ctx, data, len);
}

static void folder_of(const struct place *p, char out[200])
{
    snprintf(out, 200, "%s/archive", p->dir);
}

/* The lines of the newest listed file of a table. */
static void read_archive(const struct place *p, const char *table, struct buf *out)
{
    char folder[200], sql[200], path[300];
    struct error err = {0};
    folder_of(p, folder);
    snprintf(sql, sizeof sql,
             "SELECT path FROM archive WHERE table_name = '%s' ORDER BY created_at DESC, id DESC LIMIT 1",
             table);
    raw_text(p->path, sql, path, sizeof path);
    assert_ok(archive_show(folder, path, add_lines, out, &err), err);
}

static void assert_archive(const struct place *p, struct store *s, bool ok)
{
    char folder[200];
    struct error err = {0};
    struct arena *a = arena_create(0);
    struct maintenance_archive list;
    folder_of(p, folder);
    assert_ok(archive_verify(s, folder, NULL, NULL, a, &list, &err), err);
    assert_int_equal(list.ok, ok);
    assert_true(list.verified);
    arena_destroy(a);
}

static void fill_events(const char *path, int from, int rows)
{
    char sql[400];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO event"
             " SELECT printf('%%026d', i), 'system.alert', 'link', i, '{}', 2 FROM n",
             from, from + rows - 1);
    raw_exec(path, sql);
}

/* Finished jobs over three days, with payloads that do not compress; every tenth still waits. */
static void fill_jobs(const char *path, int rows)
{
    char sql[900];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO job"
             " (id, source, priority, task_type, payload, payload_bytes, state, max_attempts, not_before,"
             " enqueued_at, finished_at, run_timeout_ms, principal_id, principal_name, principal_scopes)"
             " SELECT printf('%%026d', i), 't', 5, 't', hex(randomblob(300)), 600,"
             " iif(i %% 10 = 0, 'queued', 'done'), 3, 1, 1,"
             " iif(i %% 10 = 0, NULL, %lld - 3 * %lld + i * 3 * %lld / %d), 1000, 'l', 'l', 'chat' FROM n",
             rows, (long long)NOW, (long long)DAY, (long long)DAY, rows);
    raw_exec(path, sql);
}

/* ---- archive ---- */

static void test_rows_are_archived(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct retain_result *r = malloc(sizeof *r);
    struct buf lines = BUF_INIT;
    fill_events(p->path, 1, 10003);
    raw_exec(p->path, "UPDATE event SET payload = CAST(x'7bff7d' AS TEXT), type = 'a\"b\nñ' WHERE at = 2");
    assert_ok(retain(s, 0, r, &err), err);
    assert_int_equal(r->rows, 3);
    assert_int_equal(r->archived, 3);
    assert_int_equal(r->table_count, 1);
    assert_string_equal(r->tables[0].name, "event");
    assert_int_equal(query_int(s, "SELECT count(*) FROM event"), 10000);
    assert_int_equal(query_int(s, "SELECT row_count * 100 + deleted_rows FROM archive"), 303);
    assert_int_equal(query_int(s, "SELECT first_at * 100 + last_at FROM archive"), 103);
    read_archive(p, "event", &lines);
    assert_has(lines.data, "{\"vx11_archive\":1,\"table\":\"event\",\"schema\":");
    assert_has(lines.data, "{\"event\":{\"id\":\"00000000000000000000000001\",\"type\":\"system.alert\","
                           "\"source\":\"link\",\"at\":1,\"payload\":\"{}\",\"size\":2}}\n");
    assert_has(lines.data, "\"type\":\"a\\\"b\\nñ\"");
    assert_has(lines.data, "\"payload\":{\"text_base64\":\"e/99\"}");
    assert_archive(p, s, true);
    /* The next ones go to the end of the same file, as a part of their own. */
    fill_events(p->path, 20000, 5);
    assert_ok(retain(s, 0, r, &err), err);
    assert_int_equal(r->rows, 5);
    assert_int_equal(query_int(s, "SELECT count(DISTINCT path) * 10 + count(*) FROM archive"), 12);
    assert_archive(p, s, true);
    buf_free(&lines);
    free(r);
    store_close(s);
    assert_sound(p->path);
}

/* What goes with a row goes into the archive with it. */
static void test_children_go_along(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct retain_result *r = malloc(sizeof *r);
    struct buf lines = BUF_INIT;
    raw_exec(
        p->path,
        "UPDATE retention SET max_rows = 10 WHERE table_name = 'decision';"
        "UPDATE retention SET max_age_ms = NULL WHERE table_name = 'usage_day';"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 15) INSERT INTO decision"
        " (id, request_id, at, route, reason, attempts, stream, outcome, status, total_ms)"
        " SELECT printf('%026d', i), 'r', i, 'chat', 'x', 1, 0, 'ok', 200, i / 3.0 FROM n;"
        "INSERT INTO usage (decision_id, at, outcome, total_ms) SELECT id, at, 'ok', 1 FROM decision"
        " WHERE at <> 3");
    assert_ok(retain(s, 0, r, &err), err);
    assert_int_equal(r->rows, 5);
    assert_int_equal(r->children, 4);
    assert_int_equal(r->archived, 9);
    assert_int_equal(query_int(s, "SELECT count(*) FROM usage"), 10);
    assert_int_equal(query_int(s, "SELECT deleted_rows * 10 + deleted_children FROM archive"), 54);
    read_archive(p, "decision", &lines);
    assert_has(lines.data, "{\"usage\":{\"decision_id\":\"00000000000000000000000005\"");
    assert_has(lines.data, "\"total_ms\":0.33333333333333331");
    assert_archive(p, s, true);
    buf_free(&lines);
    free(r);
    store_close(s);
    assert_sound(p->path);
}

/* Somebody changes a row after it was archived: it stays, and the next run takes it as it is then. */
static void test_changed_rows_stay(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct retain_result *r = malloc(sizeof *r);
    struct buf lines = BUF_INIT;
    fill_events(p->path, 1, 10004);
    raw_exec(p->path,
             "CREATE TRIGGER meanwhile AFTER INSERT ON archive BEGIN UPDATE event SET payload = '[7]'"
             " WHERE at = 2; END");
    assert_ok(retain(s, 0, r, &err), err);
    assert_int_equal(r->rows, 3);
    assert_int_equal(r->tables[0].changed, 1);
    assert_int_equal(query_int(s, "SELECT count(*) FROM event WHERE at = 2 AND payload = '[7]'"), 1);
    assert_int_equal(query_int(s, "SELECT row_count - deleted_rows FROM archive"), 1);
    raw_exec(p->path, "DROP TRIGGER meanwhile");
    assert_ok(retain(s, 0, r, &err), err);
    assert_int_equal(r->rows, 1);
    read_archive(p, "event", &lines);
    assert_has(lines.data, "\"payload\":\"[7]\"");
    assert_archive(p, s, true);
    buf_free(&lines);
    free(r);
    store_close(s);
}

/* Bytes at a file's end that no row knows (a run that was cut off) are left alone: a new file is begun. */
static void test_strange_ends_are_left_alone(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct retain_result *r = malloc(sizeof *r);
    char folder[200], path[300], full[600];
    fill_events(p->path, 1, 10001);
    assert_ok(retain(s, 0, r, &err), err);
    folder_of(p, folder);
    raw_text(p->path, "SELECT path FROM archive", path, sizeof path);
    snprintf(full, sizeof full, "%s/%s", folder, path);
    int fd = open(full, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "torn", 4), 4);
    close(fd);
    fill_events(p->path, 20000, 1);
    assert_ok(retain(s, 0, r, &err), err);
    assert_int_equal(query_int(s, "SELECT count(DISTINCT path) FROM archive"), 2);
    assert_archive(p, s, true);
    /* One byte of a part, and a file that is gone, are found. */
    file_patch(full, 30, "\x01\x02\x03", 3);
    assert_archive(p, s, false);
    assert_int_equal(unlink(full), 0);
    assert_archive(p, s, false);
    free(r);
    store_close(s);
}

static void test_bounds_of_the_archive(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct retain_result *r = malloc(sizeof *r);
    char folder[200];
    int64_t files, bytes;
    fill_events(p->path, 1, 10001);
    folder_of(p, folder);
    assert_ok(retain(s, 0, r, &err), err);
    assert_ok(archive_prune(s, folder, NOW + DAY, 2 * DAY, 1 << 20, &files, &bytes, &err), err);
    assert_int_equal(files, 0);
    assert_ok(archive_prune(s, folder, NOW + DAY, 2 * DAY, 10, &files, &bytes, &err), err);
    assert_int_equal(files, 1);
    assert_int_equal(query_int(s, "SELECT count(*) FROM archive"), 0);
    fill_events(p->path, 20000, 1);
    assert_ok(retain(s, 0, r, &err), err);
    assert_ok(archive_prune(s, folder, NOW + 3 * DAY, 2 * DAY, 0, &files, &bytes, &err), err);
    assert_int_equal(files, 1);
    assert_archive(p, s, true);
    free(r);
    store_close(s);
}

/* ---- a full disk ---- */

static int retain_without_room(void *ctx)
{
    const struct place *p = ctx;
    struct error err = {0};
    struct retain_result *r = malloc(sizeof *r);
    const struct rlimit limit = {400000, 400000}; /* of a file: the archive's would be some 3 MB */
    struct store *s = open_store(p->path);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    int rc = retain(s, 0, r, &err);
    bool ok =
        rc == VX11_EFULL && r->rows == 0 && r->archived == 0 && r->table_count == 1 && r->tables[0].error;
    free(r);
    store_close(s);
    return ok ? 0 : 1;
}

static void test_full_disk(void **state)
{
    struct place *p = *state;
    char folder[200], dir[300];
    store_close(open_store(p->path));
    fill_jobs(p->path, 9000);
    raw_exec(p->path, "UPDATE retention SET max_age_ms = 86400000 WHERE table_name = 'job'");
    assert_exit(in_process(retain_without_room, p), 0);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM job"), 9000);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM archive"), 0);
    folder_of(p, folder);
    snprintf(dir, sizeof dir, "%s/job", folder);
    assert_int_equal(rmdir(dir), 0); /* nothing is left in it */
    assert_sound(p->path);
}

/* ---- the target size ---- */

static void test_tiers(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct retain_result *r = malloc(sizeof *r);
    fill_jobs(p->path, 9000);
    int64_t used, all;
    assert_ok(retain_size(s, &used, &all, &err), err);
    assert_ok(retain(s, used + 1, r, &err), err);
    assert_int_equal(r->rows, 0); /* all of them are younger than a week, and there is room */
    assert_int_equal(r->tier, 0);
    assert_ok(retain(s, used * 3 / 5, r, &err), err);
    assert_int_equal(r->tier, 1); /* a day of three is kept */
    assert_true(r->used_bytes < used / 2);
    assert_int_equal(query_int(s, "SELECT count(*) FROM job WHERE state = 'queued'"), 900);
    assert_int_equal(query_int(s, "SELECT count(*) FROM job WHERE state = 'done'"), 2700);
    assert_int_equal(query_int(s, "SELECT count(*) FROM ledger WHERE kind = 'retention.tight'"), 1);
    assert_ok(retain(s, 1, r, &err), err); /* no size is small enough */
    assert_int_equal(r->tier, RETAIN_TIERS);
    assert_true(r->tighter);
    assert_int_equal(query_int(s, "SELECT count(*) FROM ledger WHERE kind = 'retention.tight'"), 2);
    assert_ok(retain(s, 1, r, &err), err);
    assert_int_equal(r->tier, RETAIN_TIERS);
    assert_false(r->tighter); /* as tight as it was: the ledger is not filled with it every ten minutes */
    assert_int_equal(query_int(s, "SELECT count(*) FROM ledger WHERE kind = 'retention.tight'"), 2);
    assert_int_equal(query_int(s, "SELECT count(*) FROM job WHERE state = 'queued'"), 900);
    assert_int_equal(query_int(s, "SELECT sum(deleted_rows) FROM archive") +
                         query_int(s, "SELECT count(*) FROM job"),
                     9000);
    assert_archive(p, s, true);
    free(r);
    store_close(s);
}

/* A file that stands just below its target is there again at the next run: so a tenth is made free. */
static void test_tier_leaves_room(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct retain_result *r = malloc(sizeof *r);
    int64_t used, all;
    fill_jobs(p->path, 9000);
    assert_ok(retain_size(s, &used, &all, &err), err);
    assert_ok(retain(s, used * 9 / 10, r, &err), err);
    assert_int_equal(r->tier, 1);
    const int64_t target = r->used_bytes + r->used_bytes / 20;
    raw_exec(p->path, "DELETE FROM job");
    fill_jobs(p->path, 9000);
    assert_ok(retain(s, target, r, &err), err);
    assert_int_equal(r->tier, 2); /* the first ended below the target, and not by a tenth */
    assert_true(r->used_bytes < target - target / 10);
    assert_ok(retain(s, target, r, &err), err);
    assert_int_equal(r->tier, 0);
    free(r);
    store_close(s);
}

/* What is not finished does not count among the finished ones that are kept. */
static void test_most_of_what_may_leave(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct retain_result *r = malloc(sizeof *r);
    fill_jobs(p->path, 9000);
    raw_exec(p->path, "UPDATE retention SET max_rows = 500 WHERE table_name = 'job'");
    assert_ok(retain(s, 0, r, &err), err);
    assert_int_equal(r->rows, 7600);
    assert_int_equal(r->archived, 7600);
    assert_int_equal(query_int(s, "SELECT count(*) FROM job WHERE state = 'queued'"), 900);
    assert_int_equal(query_int(s, "SELECT count(*) FROM job WHERE state = 'done'"), 500);
    assert_int_equal(query_int(s, "SELECT min(finished_at) > (SELECT max(last_at) FROM archive) FROM job"),
                     1);
    free(r);
    store_close(s);
}

static void test_lazy(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct error err = {0};
    struct retain_result *r = malloc(sizeof *r);
    const struct retain_options o = {.now_ms = NOW, .lazy = true};
    fill_events(p->path, 1, 10400);
    assert_ok(retain_run(s, &o, r, &err), err);
    assert_int_equal(r->rows, 0); /* not worth a part of a file */
    fill_events(p->path, 20000, 200);
    assert_ok(retain_run(s, &o, r, &err), err);
    assert_int_equal(r->rows, 600);
    free(r);
    store_close(s);
}

/* ---- all of it ---- */

static struct maintain_options usual(const struct place *p)
{
    return (struct maintain_options){.home = p->dir,
                                     .database = p->path,
                                     .actor = "test",
                                     .now_ms = NOW,
                                     .warn_bytes = 400000000,
                                     .target_bytes = 500000000};
}

static const struct maintenance_step *step(const struct maintenance_report *r, const char *name)
{
    for (size_t i = 0; i < r->steps_count; i++)
        if (strcmp(r->steps[i].name, name) == 0)
            return &r->steps[i];
    fail_msg("no step %s", name);
    return NULL;
}

static void test_run(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    struct arena *a = arena_create(0);
    struct maintenance_report r;
    struct buf md = BUF_INIT, json = BUF_INIT;
    store_close(open_store(p->path));
    fill_jobs(p->path, 9000);
    raw_exec(p->path, "UPDATE retention SET max_age_ms = 86400000 WHERE table_name = 'job'");
    struct maintain_options o = usual(p);
    o.dry_run = true;
    assert_ok(maintain_run(&o, a, &r, &err), err);
    assert_true(r.ok);
    assert_int_equal(r.deleted_rows, 5400);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM job"), 9000);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM maintenance_run"), 0);
    o.dry_run = false;
    assert_ok(maintain_run(&o, a, &r, &err), err);
    if (!r.ok)
        fail_msg("%s", r.error);
    assert_int_equal(r.deleted_rows, 5400);
    assert_int_equal(r.archived_rows, 5400);
    assert_non_null(r.backup);
    assert_true(r.bytes_after < r.bytes_before * 2 / 3);
    assert_true(labs(file_size(p->path) - (long)r.bytes_after) < 100000); /* the report itself came after */
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM maintenance_run WHERE state = 'done'"), 1);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM ledger WHERE kind = 'maintenance'"), 1);
    assert_int_equal(maintain_markdown(&r, &md), 0);
    assert_has(md.data, "**Done**");
    assert_has(md.data, "| job | 5400 | 0 | 5400 | 0 | 0 |");
    struct store *s = open_store(p->path);
    assert_ok(maintenance_run_read(s, NULL, &json, &err), err);
    assert_has(json.data, r.id);
    assert_archive(p, s, true);
    store_close(s);
    /* Made anew as a whole, without rows that leave. */
    o.compact = o.no_backup = true;
    assert_ok(maintain_run(&o, a, &r, &err), err);
    assert_true(r.ok);
    assert_int_equal(step(&r, "compact")->state, MAINTENANCE_STEP_STATE_DONE);
    assert_int_equal(step(&r, "vacuum")->state, MAINTENANCE_STEP_STATE_SKIPPED);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM job"), 3600);
    assert_int_equal(raw_int(p->path, "PRAGMA auto_vacuum"), 2);
    buf_free(&md);
    buf_free(&json);
    arena_destroy(a);
    assert_sound(p->path);
}

/* A damaged page: nothing is deleted, backed up over, or moved. */
static void test_damaged_page(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    struct arena *a = arena_create(0);
    struct maintenance_report r;
    char folder[200], junk[4096];
    store_close(open_store(p->path));
    fill_jobs(p->path, 9000);
    raw_exec(p->path, "UPDATE retention SET max_age_ms = 86400000 WHERE table_name = 'job';"
                      "PRAGMA wal_checkpoint(TRUNCATE)");
    const int64_t page = raw_int(p->path, "SELECT max(pageno) FROM dbstat WHERE name = 'job'");
    memset(junk, 0xa5, sizeof junk);
    file_patch(p->path, (long)(page - 1) * 4096, junk, sizeof junk);
    struct maintain_options o = usual(p);
    assert_ok(maintain_run(&o, a, &r, &err), err);
    assert_false(r.ok);
    assert_has(r.error, "quick_check");
    assert_int_equal(r.deleted_rows, 0);
    assert_int_equal(step(&r, "retention")->state, MAINTENANCE_STEP_STATE_SKIPPED);
    assert_has(step(&r, "retention")->reason, "damaged");
    assert_int_equal(step(&r, "vacuum")->state, MAINTENANCE_STEP_STATE_SKIPPED);
    assert_int_equal(step(&r, "integrity")->state, MAINTENANCE_STEP_STATE_FAILED);
    folder_of(p, folder);
    assert_false(fs_exists(folder));
    arena_destroy(a);
}

/* Without a backup nothing leaves. */
static void test_backup_fails(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    struct arena *a = arena_create(0);
    struct maintenance_report r;
    char backups[200];
    store_close(open_store(p->path));
    fill_events(p->path, 1, 10100);
    snprintf(backups, sizeof backups, "%s/backups", p->dir);
    assert_ok(fs_write_file_atomic(backups, "x", 1, 0600, &err), err); /* a file where the folder belongs */
    struct maintain_options o = usual(p);
    assert_ok(maintain_run(&o, a, &r, &err), err);
    assert_false(r.ok);
    assert_int_equal(step(&r, "backup")->state, MAINTENANCE_STEP_STATE_FAILED);
    assert_int_equal(step(&r, "retention")->state, MAINTENANCE_STEP_STATE_SKIPPED);
    assert_int_equal(step(&r, "integrity")->state, MAINTENANCE_STEP_STATE_DONE);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM event"), 10100);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM maintenance_run WHERE state = 'failed'"), 1);
    o.no_backup = true;
    assert_ok(maintain_run(&o, a, &r, &err), err);
    assert_true(r.ok);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM event"), 10000);
    arena_destroy(a);
}

/* Told to stop: the rest is skipped, what was done stays, and the report says so. */
static void test_stop(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    struct arena *a = arena_create(0);
    struct maintenance_report r;
    const volatile bool stop = true;
    store_close(open_store(p->path));
    fill_events(p->path, 1, 10100);
    struct maintain_options o = usual(p);
    o.stop = &stop;
    assert_ok(maintain_run(&o, a, &r, &err), err);
    assert_false(r.ok);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM event"), 10100);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM maintenance_run WHERE state = 'failed'"), 1);
    arena_destroy(a);
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, place_setup_fast, place_teardown)
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_rows_are_archived),
        IN_PLACE(test_children_go_along),
        IN_PLACE(test_changed_rows_stay),
        IN_PLACE(test_strange_ends_are_left_alone),
        IN_PLACE(test_bounds_of_the_archive),
        IN_PLACE(test_full_disk),
        IN_PLACE(test_tiers),
        IN_PLACE(test_tier_leaves_room),
        IN_PLACE(test_most_of_what_may_leave),
        IN_PLACE(test_lazy),
        IN_PLACE(test_run),
        IN_PLACE(test_damaged_page),
        IN_PLACE(test_backup_fails),
        IN_PLACE(test_stop),
    };
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
