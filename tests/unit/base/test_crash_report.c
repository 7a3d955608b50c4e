/* Crash reports: what the parser takes and refuses, and which files of the folder stay. */
#include "test.h"

#include <inttypes.h>
#include <sys/stat.h>

#include "base/crash_report.h"
#include "base/str.h"

static const char sound[] = "vx11 crash report\n"
                            "signal: SIGSEGV (11), code 1\n"
                            "address: 0x123\n"
                            "module: switch\n"
                            "version: 1.2.3\n"
                            "build_id: abc123\n"
                            "pid: 77\n"
                            "thread: 78\n"
                            "time: 2026-11-23T05:13:47.815Z\n"
                            "request_id: 01ARYZ6S41TSV4RRFFQ69G5FAV\n"
                            "\n"
                            "registers:\n"
                            "  rip: 0x7f01  vx11+0x1001\n"
                            "  rsp: 0x7ffe\n"
                            "\n"
                            "last log records:\n"
                            "time=2026-11-23T05:13:47.626Z level=info msg=ready\n"
                            "time=2026-11-23T05:13:47.700Z level=info msg=\"backtrace (of nothing\"\n"
                            "\n"
                            "backtrace (the first frames are this handler's):\n"
                            "  #0 0x7f99  vx11+0x900\n"
                            "  #1 0x7f01  vx11+0x1001\n"
                            "  #2 0x8001  libc++.so.1+0x22\n"
                            "  #3 0x1  ?\n"
                            "\n"
                            "files:\n"
                            "  vx11 abc123 /usr/bin/vx11\n"
                            "  libc++.so.1 - /usr/lib/my libs/libc++.so.1\n"
                            "end of report\n";

static struct crash_report r;
static struct error err;

static void whole(void **state)
{
    (void)state;
    assert_int_equal(crash_report_parse(sound, strlen(sound), &r, &err), 0);
    assert_true(r.complete);
    assert_string_equal(r.signal, "SIGSEGV");
    assert_int_equal(r.signal_number, 11);
    assert_true(r.has_address && r.address == 0x123 && !r.has_sender);
    assert_string_equal(r.module, "switch");
    assert_string_equal(r.version, "1.2.3");
    assert_string_equal(r.build_id, "abc123");
    assert_int_equal(r.pid, 77);
    assert_int_equal(r.thread, 78);
    assert_int_equal(r.time_ms, 1795410827815);
    assert_string_equal(r.request_id, "01ARYZ6S41TSV4RRFFQ69G5FAV");
    assert_int_equal(r.register_count, 2);
    assert_true(r.has_pc && r.pc.address == 0x7f01 && r.pc.offset == 0x1001);
    assert_int_equal(r.frame_count, 4);
    assert_string_equal(r.frames[2].object, "libc++.so.1");
    assert_int_equal(r.frames[2].offset, 0x22);
    assert_string_equal(r.frames[3].object, "");
    assert_int_equal(r.object_count, 2);
    assert_string_equal(r.objects[0].build_id, "abc123");
    assert_string_equal(r.objects[1].build_id, "");
    assert_string_equal(r.objects[1].path, "/usr/lib/my libs/libc++.so.1");
    assert_true(r.log_len > 0 && r.log[r.log_len - 1] == '\n' && r.log[r.log_len - 2] == '"');
}

/* Cut after each byte: what was written in whole lines is there, nothing else is, and it never counts as
 * complete. */
static void cut(void **state)
{
    (void)state;
    size_t frames = 0;
    for (size_t n = 0; n < strlen(sound); n++) {
        char *part = malloc(n + 1); /* of just this size, for the sanitizer */
        memcpy(part, sound, n);
        int rc = crash_report_parse(part, n, &r, &err);
        assert_true(rc == 0 || rc == VX11_ESYNTAX);
        assert_int_equal(rc == 0, n >= strlen("vx11 crash report\nsignal: SIGSEGV (11), code 1\n"));
        assert_false(rc == 0 && r.complete);
        if (rc == 0) {
            assert_true(r.frame_count >= frames);
            frames = r.frame_count;
        }
        free(part);
    }
    assert_int_equal(frames, 4);
}

static void wrong(void **state)
{
    (void)state;
    static const struct {
        const char *old, *new, *says;
    } cases[] = {
        {"vx11 crash report", "core", "does not begin"},
        {"SIGSEGV (11), code 1", "SIGSEGV", "line 2: signal"},
        {"0x123\n", "0xzz\n", "line 3: address"},
        {"pid: 77", "pid: -1", "line 7: pid"},
        {"pid: 77", "pid: 7\0317", "line 7 has a control character"},
        {"module: switch", "module: \xff", "line 4 is no UTF-8"},
        {"version: 1.2.3", "version", "line 5"},
        {"2026-11-23T05:13:47.815Z", "yesterday", "line 9: time"},
        {"rip: 0x7f01", "rip: 7f01", "line 13"},
        {"vx11+0x1001\n  rsp", "vx11-0x1001\n  rsp", "line 13"},
        {"  #1 0x7f01", "  #1 7f01", "line 22"},
        {"/usr/bin/vx11", "usr/bin/vx11", "line 27"},
        {"files:", "faces:", "line 26"},
        {"signal: SIGSEGV (11), code 1\n", "", "no signal"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *at = strstr(sound, cases[i].old);
        char text[4096];
        int n = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - sound), sound, cases[i].new,
                         at + strlen(cases[i].old));
        err = (struct error){0};
        assert_int_equal(crash_report_parse(text, (size_t)n, &r, &err), VX11_ESYNTAX);
        if (!strstr(err.text, cases[i].says))
            fail_msg("case %zu: \"%s\" is not in \"%s\"", i, cases[i].says, err.text);
    }
    assert_int_equal(crash_report_parse("", 0, &r, &err), VX11_ESYNTAX);
    assert_non_null(strstr(err.text, "empty"));
}

static void ids(void **state)
{
    (void)state;
    struct crash_file f;
    char name[CRASH_FILE_NAME_MAX];
    assert_true(crash_file_parse_id("switch-1795410827815-996", &f));
    assert_string_equal(f.module, "switch");
    assert_int_equal(f.time_ms, 1795410827815);
    assert_int_equal(f.pid, 996);
    assert_true(crash_file_parse_id("my-module-5-6", &f));
    assert_string_equal(f.module, "my-module");
    assert_string_equal(crash_file_name("a-5-6", name), "crash-a-5-6.txt");
    static const char *const bad[] = {"",       "-",      "a",       "a-1",   "-1-2",     "a--2",
                                      "a-1-",   "a-1-0",  "a-x-1",   "a-1-x", "../a-1-2", "a/b-1-2",
                                      ".a-1-2", "a-1-2 ", "a\n-1-2", "a-+1-2"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(crash_file_parse_id(bad[i], &f));
}

/* ---- the folder ---- */

static char dir[64];

static void put(const char *module, int64_t ms, int pid, size_t bytes)
{
    char path[200];
    snprintf(path, sizeof path, "%s/crash-%s-%" PRId64 "-%d.txt", dir, module, ms, pid);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
    close(fd);
}

static size_t left(void)
{
    struct crash_file *files;
    size_t n;
    assert_int_equal(crash_file_list(dir, &files, &n, &err), 0);
    free(files);
    return n;
}

static int setup(void **state)
{
    (void)state;
    temp_make(dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_remove(dir);
    return 0;
}

static void list(void **state)
{
    (void)state;
    struct crash_file *files;
    char path[200];
    size_t n;
    put("link", 1000, 5, 10);
    put("switch", 3000, 6, 20);
    put("engine", 2000, 7, 30);
    snprintf(path, sizeof path, "%s/crash-link-9000-9.txt", dir);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof path, "%s/crash-.txt", dir);
    close(open(path, O_CREAT | O_CLOEXEC, 0600));
    snprintf(path, sizeof path, "%s/notes.txt", dir);
    close(open(path, O_CREAT | O_CLOEXEC, 0600));
    snprintf(path, sizeof path, "%s/crash-a-1-2.txt", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(crash_file_list(dir, &files, &n, &err), 0);
    assert_int_equal(n, 3);
    assert_string_equal(files[0].id, "switch-3000-6");
    assert_string_equal(files[2].id, "link-1000-5");
    assert_int_equal(files[1].bytes, 30);
    free(files);
    assert_int_equal(crash_file_list("/nowhere/at/all", &files, &n, &err), 0);
    assert_int_equal(n, 0);
}

static void reading(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    char path[200];
    put("link", 1000, 5, 10);
    put("large", 1, 1, CRASH_REPORT_MAX + 1);
    snprintf(path, sizeof path, "%s/crash-link-9000-9.txt", dir);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof path, "%s/crash-pipe-1-1.txt", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(crash_file_read(dir, "link-1000-5", &b, &err), 0);
    assert_int_equal(b.len, 10);
    buf_free(&b);
    assert_true(crash_file_read(dir, "link-9000-9", &b, &err) < 0); /* a link */
    assert_int_equal(crash_file_read(dir, "pipe-1-1", &b, &err), VX11_EINVALID);
    assert_int_equal(crash_file_read(dir, "large-1-1", &b, &err), VX11_ETOO_LARGE);
    assert_int_equal(crash_file_read(dir, "none-1-1", &b, &err), VX11_ENOT_FOUND);
    assert_int_equal(crash_file_read(dir, "../link-1000-5", &b, &err), VX11_EINVALID);
    buf_free(&b);
}

/* Each bound by itself; the newest stays whatever they say. */
static void keep(void **state)
{
    (void)state;
    const struct crash_keep all = {.count = 1000, .age_ms = 1000000, .bytes = 1000000};
    size_t removed;
    uint64_t bytes;
    for (int i = 1; i <= 10; i++)
        put("link", i * 1000, 10 + i, 100);
    assert_int_equal(crash_prune(dir, &all, 10000, &removed, &bytes, &err), 0);
    assert_int_equal(removed, 0);

    struct crash_keep k = all;
    k.count = 8;
    assert_int_equal(crash_prune(dir, &k, 10000, &removed, &bytes, &err), 0);
    assert_int_equal(removed, 2);
    assert_int_equal(bytes, 200);
    assert_int_equal(left(), 8);

    k = all;
    k.age_ms = 4000; /* 6000 to 10000 stay */
    assert_int_equal(crash_prune(dir, &k, 10000, &removed, &bytes, &err), 0);
    assert_int_equal(removed, 3);
    assert_int_equal(left(), 5);

    k = all;
    k.bytes = 399; /* three of 100 */
    assert_int_equal(crash_prune(dir, &k, 10000, &removed, &bytes, &err), 0);
    assert_int_equal(left(), 3);

    k = (struct crash_keep){.count = 0, .age_ms = 0, .bytes = 0};
    assert_int_equal(crash_prune(dir, &k, INT64_MAX / 2, &removed, &bytes, &err), 0);
    assert_int_equal(left(), 1);
    struct crash_file *files;
    size_t n;
    assert_int_equal(crash_file_list(dir, &files, &n, &err), 0);
    assert_string_equal(files[0].id, "link-10000-20"); /* the newest */
    free(files);
    assert_int_equal(crash_prune("/nowhere/at/all", &k, 1, &removed, &bytes, &err), 0);
}

int main(void)
{
#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole), cmocka_unit_test(cut), cmocka_unit_test(wrong), cmocka_unit_test(ids),
        IN_FOLDER(list),         IN_FOLDER(reading),    IN_FOLDER(keep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
