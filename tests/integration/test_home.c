/* The home folder: read-only, full, with a database of the future or a broken one. Each in a file system of
 * its own (tmpfs), in a mount namespace that nobody else sees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "system.h"
#include "upstream.h"

static struct system sys;
static struct upstream *up;
static char why_not[160]; /* there can be no file system of our own; "": there can */

static void write_proc(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = write(fd, text, strlen(text));
        (void)n;
        close(fd);
    }
}

/* As root, or else as root of a user namespace. */
static void enter_namespace(void)
{
    char map[64];
    uid_t uid = getuid();
    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
            snprintf(why_not, sizeof why_not, "no mount namespace: %s", strerror(errno));
            return;
        }
        write_proc("/proc/self/setgroups", "deny");
        snprintf(map, sizeof map, "0 %d 1", (int)uid);
        write_proc("/proc/self/uid_map", map);
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        snprintf(why_not, sizeof why_not, "no private mounts: %s", strerror(errno));
}

static int start(void **state)
{
    (void)state;
    enter_namespace();
    if (why_not[0])
        print_message("skipped where a file system is needed: %s\n", why_not);
    up = upstream_start();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    upstream_stop(up);
    return 0;
}

static int end(void **state)
{
    (void)state;
    struct system kept = sys;
    system_remove(&sys);
    umount2(kept.home, MNT_DETACH);
    rmdir(kept.home);
    return 0;
}

static void begin(const char *size)
{
    struct buf yaml = BUF_INIT;
    system_init(&sys);
    if (size && mount("tmpfs", sys.home, "tmpfs", 0, size) != 0) {
        snprintf(why_not, sizeof why_not, "no tmpfs: %s", strerror(errno));
        rmdir(sys.home);
        skip();
    }
    buf_puts(&yaml, "switch:\n  providers:\n");
    upstream_yaml(up, &yaml, "cloud", "cloud-model", NULL);
    system_config(&sys, yaml.data);
    buf_free(&yaml);
}

static void remount(const char *how, unsigned long flags)
{
    if (mount("tmpfs", sys.home, "tmpfs", MS_REMOUNT | flags, how) != 0) {
        print_error("remount %s: %s\n", how, strerror(errno));
        fail();
    }
}

static void refuses(const char *word)
{
    bool ready = system_launch(&sys);
    if (ready || !strcasestr(sys.words, word)) {
        print_error("%s instead of %s\n", sys.words, word);
        fail();
    }
    assert_int_equal(system_wait_exit(&sys, 10000), 1);
    system_check_gone(&sys);
}

/* ---- read-only ---- */

static void read_only(void **state)
{
    struct buf out = BUF_INIT;
    (void)state;
    if (why_not[0])
        skip();
    begin("size=64m");
    remount("size=64m", MS_RDONLY); /* an empty one: a first start */
    refuses("read-only");
    remount("size=64m", 0);
    system_up(&sys);
    system_stop(&sys);
    remount("size=64m", MS_RDONLY); /* one that was in use */
    refuses("read-only");
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"up", "--detach", NULL}), 1);
    assert_non_null(strcasestr(out.data, "read-only"));
    assert_non_null(strstr(out.data, sys.home)); /* what is */
    buf_free(&out);
    remount("size=64m", 0);
    system_up(&sys);
    system_stop(&sys);
}

/* ---- full ---- */

static void fill(void)
{
    static char zeros[1 << 16];
    int fd = open(system_path(&sys, "filler"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t piece = sizeof zeros; piece > 0; piece /= 2)
        while (write(fd, zeros, piece) == (ssize_t)piece)
            ;
    close(fd);
}

static void chats(int n)
{
    for (int i = 0; i < n; i++) {
        struct http_reply r;
        system_chat(&sys, &r, "cloud-model", i % 2);
        assert_status(&r, 200);
        http_free(&r);
    }
}

/* Status of check `database` in this module's health. */
static bool database_is(struct http_at at, const char *status)
{
    struct http_reply r;
    bool is = false;
    http(&r, &at, "GET", "/health", NULL);
    for (int i = 0; i < 8; i++) {
        char pointer[40];
        snprintf(pointer, sizeof pointer, "/checks/%d/name", i);
        if (strcmp(http_text(&r, pointer), "database") != 0)
            continue;
        snprintf(pointer, sizeof pointer, "/checks/%d/status", i);
        is = strcmp(http_text(&r, pointer), status) == 0;
    }
    http_free(&r);
    return is;
}

static void full(void **state)
{
    enum { N = 40 };
    struct http_at at;
    (void)state;
    if (why_not[0])
        skip();
    begin("size=24m");
    system_up(&sys);
    at = system_switch(&sys);
    chats(2);
    eventually(10000, system_count(&sys, "SELECT count(*) FROM decision") == 2);
    assert_true(database_is(at, "ok"));
    fill();
    chats(N); /* who asks gets an answer */
    eventually(10000, database_is(at, "degraded"));
    eventually(10000, strcmp(system_module(&sys, "switch", "health"), "degraded") == 0);
    assert_non_null(strstr(system_module(&sys, "switch", "reason"), "database"));
    assert_string_equal(system_module(&sys, "switch", "restarts"), "0");
    /* What waited is written once there is room again, and nothing was lost. */
    assert_int_equal(unlink(system_path(&sys, "filler")), 0);
    eventually(20000, system_count(&sys, "SELECT count(*) FROM usage") == N + 2);
    eventually(10000, database_is(at, "ok"));
    system_wait_healthy(&sys);
    assert_string_equal(system_module(&sys, "link", "restarts"), "0");
    assert_string_equal(system_module(&sys, "hermes", "restarts"), "0");
    system_stop(&sys);
    assert_string_equal(system_row(&sys, "PRAGMA integrity_check"), "ok");
}

/* Stopped while full: it ends in time, and the database is sound. */
static void stopped_while_full(void **state)
{
    (void)state;
    if (why_not[0])
        skip();
    begin("size=24m");
    system_up(&sys);
    chats(2);
    eventually(10000, system_count(&sys, "SELECT count(*) FROM decision") == 2);
    fill();
    chats(10);
    kill(sys.pid, SIGTERM);
    assert_int_equal(system_wait_exit(&sys, 35000), 0);
    system_check_gone(&sys);
    assert_int_equal(unlink(system_path(&sys, "filler")), 0);
    assert_string_equal(system_row(&sys, "PRAGMA integrity_check"), "ok");
    assert_true(system_count(&sys, "SELECT count(*) FROM decision") >= 2);
    /* What that stop had to give up it told its logs, where there was room for it; the next one loses
     * nothing. */
    static const char *const logs[] = {"log/link.log", "log/switch.log", "log/hermes.log", "log/operator.log",
                                       "log/supervisor.log"};
    for (size_t i = 0; i < sizeof logs / sizeof logs[0]; i++)
        unlink(system_path(&sys, logs[i]));
    system_up(&sys);
    chats(1);
    system_stop(&sys);
}

/* A first start on a disk that is too small says so. */
static void too_small(void **state)
{
    (void)state;
    if (why_not[0])
        skip();
    begin("size=200k");
    bool ready = system_launch(&sys);
    if (!ready) {
        assert_true(strcasestr(sys.words, "full") || strcasestr(sys.words, "space"));
        assert_int_equal(system_wait_exit(&sys, 10000), 1);
    }
}

/* ---- the database ---- */

static void sql(const char *text)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(system_path(&sys, "vx11.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void newer_schema(void **state)
{
    struct buf out = BUF_INIT;
    (void)state;
    begin(NULL);
    system_up(&sys);
    system_stop(&sys);
    sql("INSERT INTO schema_migration (version, name, sha256, applied_at, program_version, duration_ms) "
        "SELECT 9999, 'of the future', sha256, applied_at, '99.0.0', 1 FROM schema_migration ORDER BY "
        "version LIMIT 1");
    refuses("newer");
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"up", "--detach", NULL}), 1);
    assert_non_null(strstr(out.data, "newer"));
    buf_free(&out);
}

static void broken_database(void **state)
{
    struct buf before = BUF_INIT, after = BUF_INIT;
    (void)state;
    begin(NULL);
    assert_int_equal(fs_write_file_atomic(system_path(&sys, "vx11.db"),
                                          "this is no database, but it is somebody's file", 46, 0600, NULL),
                     0);
    system_read(&sys, "vx11.db", &before);
    refuses("vx11.db");
    system_read(&sys, "vx11.db", &after);
    assert_string_equal(before.data, after.data);
    buf_free(&before);
    buf_free(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(read_only, end),          cmocka_unit_test_teardown(full, end),
        cmocka_unit_test_teardown(stopped_while_full, end), cmocka_unit_test_teardown(too_small, end),
        cmocka_unit_test_teardown(newer_schema, end),       cmocka_unit_test_teardown(broken_database, end),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
