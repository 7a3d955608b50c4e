/* Opening: what a new file is like, pragmas, what is refused, and that what is refused stays as it is. */
#include "helper.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/ulid.h"
#include "store/store_internal.h"

/* ---- a new database ---- */

static void test_new_database(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    struct stat st;
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(store_schema_current() >= 1);
    assert_int_equal(store_schema_version(s), store_schema_current());
    assert_int_equal(query_int(s, "SELECT count(*) FROM schema_migration"),
                     raw_int(p->path, "SELECT count(*) FROM schema_migration"));
    store_close(s);
    assert_sound(p->path);
    assert_int_equal(raw_int(p->path, "PRAGMA application_id"), STORE_APPLICATION_ID);
    assert_int_equal(raw_int(p->path, "PRAGMA auto_vacuum"), 2);
    assert_int_equal(raw_int(p->path, "PRAGMA page_size"), 4096);
    char mode[16];
    raw_text(p->path, "PRAGMA journal_mode", mode, sizeof mode);
    assert_string_equal(mode, "wal");
    /* Every table of ours is STRICT. */
    assert_int_equal(raw_int(p->path,
                             "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
                             " AND name NOT LIKE 'sqlite_%' AND NOT strict"),
                     0);
    /* The last one to leave tidies up, and nothing else is left lying about. */
    char other[160];
    snprintf(other, sizeof other, "%s-wal", p->path);
    assert_int_equal(file_size(other), -1);
}

static void test_reopen_applies_nothing(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    assert_ok(try_open(p->path, &err), err);
    int64_t before = raw_int(p->path, "SELECT sum(applied_at) FROM schema_migration");
    char hash[65], again[65];
    file_hash(p->path, hash);
    assert_ok(try_open(p->path, &err), err);
    file_hash(p->path, again);
    assert_string_equal(hash, again);
    assert_int_equal(raw_int(p->path, "SELECT sum(applied_at) FROM schema_migration"), before);
}

static void check_pragma(sqlite3 *db, const char *sql, int64_t want)
{
    int64_t got = -1;
    struct error err = {0};
    assert_ok(sql_int(db, sql, &got, &err), err);
    if (got != want)
        fail_msg("%s is %lld", sql, (long long)got);
}

static void test_pragmas(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p->path);
    sqlite3 *all[] = {s->read, s->write};
    for (int i = 0; i < 2; i++) {
        check_pragma(all[i], "PRAGMA synchronous", 1);
        check_pragma(all[i], "PRAGMA foreign_keys", 1);
        check_pragma(all[i], "PRAGMA trusted_schema", 0);
        check_pragma(all[i], "PRAGMA cell_size_check", 1);
        check_pragma(all[i], "PRAGMA temp_store", 2);
        check_pragma(all[i], "PRAGMA mmap_size", 0);
        check_pragma(all[i], "PRAGMA cache_size", -1024);
        check_pragma(all[i], "SELECT vx11_busy_timeout()", 5000);
        check_pragma(all[i], "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'", 1);
        int defensive = 0;
        sqlite3_db_config(all[i], SQLITE_DBCONFIG_DEFENSIVE, -1, &defensive);
        assert_int_equal(defensive, 1);
    }
    check_pragma(s->read, "PRAGMA query_only", 1);
    check_pragma(s->write, "PRAGMA journal_size_limit", 16777216);
    assert_int_equal(sqlite3_db_readonly(s->read, "main"), 1);
    assert_int_equal(sqlite3_exec(s->read, "DELETE FROM setting", NULL, NULL, NULL), SQLITE_READONLY);
    store_close(s);
}

static void test_absent_without_migrate(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    struct store *s;
    assert_code(VX11_ENOT_FOUND, store_open(&(struct store_options){.path = p->path}, &s, &err), err);
    assert_code(
        VX11_ENOT_FOUND,
        store_open(&(struct store_options){.path = p->path, .read_only = true, .migrate = true}, &s, &err),
        err);
    assert_int_equal(file_size(p->path), -1);
    char path[160];
    snprintf(path, sizeof path, "%s/no/such/vx11.db", p->dir);
    assert_code(VX11_ENOT_FOUND, try_open(path, &err), err);
    assert_code(VX11_EINVALID, store_open(&(struct store_options){.path = ""}, &s, &err), err);
    assert_code(VX11_EINVALID, store_open(&(struct store_options){.path = p->dir, .migrate = true}, &s, &err),
                err);
}

static void test_read_only_store(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    struct store *w = open_store(p->path), *s = NULL;
    assert_ok(store_open(&(struct store_options){.path = p->path, .read_only = true}, &s, &err), err);
    struct store_value values[] = {STORE_T("a.b"), STORE_T("1"), STORE_I(1)};
    static const char insert[] = "INSERT INTO setting (key, value, updated_at) VALUES (?1, ?2, ?3)";
    assert_code(VX11_EPERMISSION, store_exec(s, insert, values, 3, NULL, &err), err);
    int64_t before, after;
    assert_ok(store_data_version(s, &before, &err), err);
    assert_ok(store_exec(w, insert, values, 3, NULL, &err), err);
    assert_ok(store_data_version(s, &after, &err), err);
    assert_true(before != after);
    assert_ok(store_data_version(s, &before, &err), err);
    assert_true(before == after);
    assert_int_equal(query_int(s, "SELECT count(*) FROM setting"), 1);
    store_close(s);
    store_close(w);
}

/* ---- what is no sound database ---- */

static void expect_refused(const char *path, int code, const char *says)
{
    struct error err = {0};
    char before[65], after[65];
    file_hash(path, before);
    assert_code(code, try_open(path, &err), err);
    assert_has(err.text, says);
    assert_has(err.text, path);
    file_hash(path, after);
    assert_string_equal(before, after);
}

static void test_no_database(void **state)
{
    struct place *p = *state;
    char garbage[5000];
    random_bytes(garbage, sizeof garbage);
    file_patch(p->path, 0, garbage, sizeof garbage);
    expect_refused(p->path, VX11_ECORRUPT, "is not a SQLite database");
    assert_int_equal(truncate(p->path, 50), 0);
    expect_refused(p->path, VX11_ECORRUPT, "is not a SQLite database");
    assert_int_equal(truncate(p->path, 0), 0);
    expect_refused(p->path, VX11_ECORRUPT, "is empty");
}

static void make_filled(const char *path)
{
    struct error err = {0};
    assert_ok(try_open(path, &err), err);
    raw_exec(path, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
                   " INSERT INTO setting SELECT 'key.' || i, '\"' || hex(zeroblob(50)) || '\"', i FROM n");
    raw_exec(path, "PRAGMA wal_checkpoint(TRUNCATE)");
}

static void test_header_garbage(void **state)
{
    struct place *p = *state;
    make_filled(p->path);
    unsigned char page_size[2] = {0x12, 0x34};
    file_patch(p->path, 16, page_size, 2);
    expect_refused(p->path, VX11_ECORRUPT, "page size");
    file_patch(p->path, 0, "SQLite format 4", 16);
    expect_refused(p->path, VX11_ECORRUPT, "is not a SQLite database");
}

static void test_truncated(void **state)
{
    struct place *p = *state;
    make_filled(p->path);
    long size = file_size(p->path);
    assert_true(size > 100000);
    assert_int_equal(truncate(p->path, size / 2 / 4096 * 4096), 0);
    expect_refused(p->path, VX11_ECORRUPT, "damaged");
    assert_int_equal(truncate(p->path, 4096), 0);
    expect_refused(p->path, VX11_ECORRUPT, "damaged");
    assert_int_equal(truncate(p->path, 300), 0);
    expect_refused(p->path, VX11_ECORRUPT, "damaged");
}

/* Each page in turn, but for the first one's header. */
static void test_random_pages(void **state)
{
    struct place *p = *state;
    make_filled(p->path);
    long pages = file_size(p->path) / 4096;
    char keep[4096], noise[4096];
    for (long page = 0; page < pages; page += page < 20 ? 1 : 13) {
        long at = page * 4096 + (page == 0 ? 100 : 0);
        size_t len = page == 0 ? 3996 : 4096;
        int fd = open(p->path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(pread(fd, keep, len, at), (ssize_t)len);
        close(fd);
        memset(noise, 0, sizeof noise); /* the worst kind: an empty page looks harmless */
        if (page % 2 == 0)
            random_bytes(noise, sizeof noise);
        file_patch(p->path, at, noise, len);
        expect_refused(p->path, VX11_ECORRUPT, "damaged");
        file_patch(p->path, at, keep, len);
    }
    struct error err = {0};
    assert_ok(try_open(p->path, &err), err);
}

static void test_foreign_application(void **state)
{
    struct place *p = *state;
    raw_exec(p->path, "CREATE TABLE theirs (x)");
    expect_refused(p->path, VX11_EVERSION, "another program");
    raw_exec(p->path, "PRAGMA application_id=252006673");
    expect_refused(p->path, VX11_EVERSION, "252006673");
}

static void test_orphaned_log(void **state)
{
    struct place *p = *state;
    struct error err = {0};
    char wal[160];
    snprintf(wal, sizeof wal, "%s-wal", p->path);
    file_patch(wal, 0, "rows of a file that is gone", 27);
    assert_code(VX11_ECORRUPT, try_open(p->path, &err), err);
    assert_has(err.text, wal);
    assert_int_equal(file_size(p->path), -1);
    assert_int_equal(file_size(wal), 27);
    unlink(wal);
    assert_ok(try_open(p->path, &err), err);
}

/* A restored copy is in rollback mode; one whose writer died there has a hot journal. */
static int die_in_rollback_mode(void *ctx)
{
    sqlite3 *db;
    sqlite3_open(ctx, &db);
    if (sqlite3_exec(db,
                     "PRAGMA cache_size=1; PRAGMA cache_spill=1; BEGIN; UPDATE setting SET updated_at = -1",
                     NULL, NULL, NULL) != SQLITE_OK)
        return 1;
    sqlite3_db_cacheflush(db);
    raise(SIGKILL);
    return 2;
}

static void test_hot_journal(void **state)
{
    struct place *p = *state;
    make_filled(p->path);
    raw_exec(p->path, "PRAGMA journal_mode=DELETE");
    int status = in_process(die_in_rollback_mode, p->path);
    assert_true(WIFSIGNALED(status));
    char journal[160];
    snprintf(journal, sizeof journal, "%s-journal", p->path);
    assert_true(file_size(journal) > 0);
    struct error err = {0};
    assert_ok(try_open(p->path, &err), err);
    assert_int_equal(raw_int(p->path, "SELECT count(*) FROM setting WHERE updated_at = -1"), 0);
    assert_sound(p->path);
}

/* ---- folders that cannot be written, disks that are full ---- */

struct as_nobody {
    const char *path;
    int code; /* expected */
};

/* Root may write anywhere: become somebody who may not. Exit codes: 0 as expected. */
static int open_as_nobody(void *ctx)
{
    struct as_nobody *a = ctx;
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return 77;
    struct error err = {0};
    struct store *s = NULL;
    int rc = store_open(&(struct store_options){.path = a->path, .migrate = true}, &s, &err);
    if (rc != a->code || !strstr(err.text, a->path)) {
        fprintf(stderr, "%s: %s\n", error_name(rc), err.text);
        return 1;
    }
    return 0;
}

static void test_read_only_folder(void **state)
{
    struct place *p = *state;
    struct as_nobody a = {p->path, VX11_EPERMISSION};
    assert_int_equal(chmod(p->dir, 0555), 0);
    assert_exit(in_process(open_as_nobody, &a), 0);
    assert_int_equal(chmod(p->dir, 0755), 0);
    struct error err = {0};
    assert_ok(try_open(p->path, &err), err);
    /* The file is there, but belongs to somebody else; then also in a folder that is closed. */
    char before[65], after[65];
    file_hash(p->path, before);
    if (geteuid() == 0) {
        assert_int_equal(chmod(p->path, 0644), 0);
        assert_exit(in_process(open_as_nobody, &a), 0);
    }
    assert_int_equal(chmod(p->dir, 0555), 0);
    assert_exit(in_process(open_as_nobody, &a), 0);
    file_hash(p->path, after);
    assert_string_equal(before, after);
}

/* In a mount namespace of its own: a small disk, and then the same mounted read-only. Exit code 77: may not
 * mount. */
static int open_on_small_disk(void *ctx)
{
    struct place *p = ctx;
    struct error err = {0};
    struct store *s = NULL;
    char options[32];
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return 77;
    int opened = 0, refused = 0;
    /* From a disk that takes nothing to one that takes it all, page by page. */
    for (int kb = 4; kb <= 8192; kb = kb < 200 ? kb + 4 : kb * 2) {
        snprintf(options, sizeof options, "size=%dk,mode=700", kb);
        if (mount("tmpfs", p->dir, "tmpfs", 0, options) != 0)
            return 77;
        int rc = store_open(&(struct store_options){.path = p->path, .migrate = true}, &s, &err);
        if (rc == 0) {
            opened++;
            store_close(s);
        } else if (rc == VX11_EFULL) {
            refused++;
            /* With room, the next start works: no half file stands in its way. */
            if (mount(NULL, p->dir, NULL, MS_REMOUNT, "size=32m") != 0)
                return 3;
            rc = store_open(&(struct store_options){.path = p->path, .migrate = true}, &s, &err);
            if (rc != 0) {
                fprintf(stderr, "with %d KiB, then room: %s: %s\n", kb, error_name(rc), err.text);
                return 4;
            }
            store_close(s);
        } else {
            fprintf(stderr, "with %d KiB: %s: %s\n", kb, error_name(rc), err.text);
            return 5;
        }
        if (mount(NULL, p->dir, NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0)
            return 6;
        rc = store_open(&(struct store_options){.path = p->path, .migrate = true}, &s, &err);
        if (rc != VX11_EPERMISSION || !strstr(err.text, p->path)) {
            fprintf(stderr, "read-only: %s: %s\n", error_name(rc), err.text);
            return 7;
        }
        if (umount(p->dir) != 0)
            return 8;
    }
    return opened > 0 && refused > 0 ? 0 : 9;
}

static void test_small_disk(void **state)
{
    int status = in_process(open_on_small_disk, *state);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("skipped: this user may not mount a file system of its own\n");
        skip();
    }
    assert_exit(status, 0);
}

/* The same without any right: a limit on file sizes, which the kernel enforces like a full disk. */
static int open_with_size_limit(void *ctx)
{
    struct place *p = ctx;
    struct error err = {0};
    struct store *s = NULL;
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t kb = 0; kb <= 2048; kb += kb < 64 ? 4 : 32) {
        struct rlimit limit = {kb * 1024, RLIM_INFINITY};
        setrlimit(RLIMIT_FSIZE, &limit);
        int rc = store_open(&(struct store_options){.path = p->path, .migrate = true}, &s, &err);
        if (rc == 0) {
            store_close(s);
            return kb > 8 ? 0 : 2;
        }
        if (rc != VX11_EFULL) {
            fprintf(stderr, "with %d KiB: %s: %s\n", (int)kb, error_name(rc), err.text);
            return 3;
        }
    }
    return 4;
}

static void test_size_limit(void **state)
{
    struct place *p = *state;
    assert_exit(in_process(open_with_size_limit, p), 0);
    assert_sound(p->path);
}

/* ---- several at once ---- */

static int open_and_close(void *ctx)
{
    struct error err = {0};
    struct store *s = NULL;
    int rc = store_open(&(struct store_options){.path = ctx, .migrate = true}, &s, &err);
    if (rc != 0)
        fprintf(stderr, "%s: %s\n", error_name(rc), err.text);
    else if (store_schema_version(s) != store_schema_current())
        rc = -1;
    store_close(s);
    return rc == 0 ? 0 : 1;
}

static void test_many_open_at_once(void **state)
{
    struct place *p = *state;
    for (int round = 0; round < 5; round++) {
        int pids[6];
        for (int i = 0; i < 6; i++)
            pids[i] = start_process(open_and_close, p->path);
        for (int i = 0; i < 6; i++)
            assert_exit(wait_process(pids[i]), 0);
        assert_int_equal(raw_int(p->path, "SELECT count(*) FROM schema_migration"),
                         raw_int(p->path, "SELECT count(DISTINCT sha256) FROM schema_migration"));
        assert_sound(p->path);
        /* Nothing but the database is left. */
        assert_int_equal(unlink(p->path), 0);
        assert_int_equal(rmdir(p->dir), 0);
        assert_int_equal(mkdir(p->dir, 0700), 0);
    }
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, place_setup, place_teardown)
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_new_database),     IN_PLACE(test_reopen_applies_nothing),
        IN_PLACE(test_pragmas),          IN_PLACE(test_absent_without_migrate),
        IN_PLACE(test_read_only_store),  IN_PLACE(test_no_database),
        IN_PLACE(test_header_garbage),   IN_PLACE(test_truncated),
        IN_PLACE(test_random_pages),     IN_PLACE(test_foreign_application),
        IN_PLACE(test_orphaned_log),     IN_PLACE(test_hot_journal),
        IN_PLACE(test_read_only_folder), IN_PLACE(test_small_disk),
        IN_PLACE(test_size_limit),       IN_PLACE(test_many_open_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
