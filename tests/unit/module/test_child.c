/* Children: limits, ends, outputs, groups, the sandbox. The programs are scripts written for each test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "module/child.h"

static char dir[64];
static uv_loop_t loop;

struct run {
    struct child_options o;
    struct child *child;
    struct child_result result;
    struct buf out, err;
    int ended;
    bool pause_once;
};

/* path: one entry of /tmp. */
static int remove_tmp(const char *path)
{
    int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fs_remove_tree(tmp, path + strlen("/tmp/"), NULL);
    close(tmp);
    return rc;
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/vx11-child-XXXXXX");
    signal(SIGPIPE, SIG_IGN); /* as in a module */
    return mkdtemp(dir) && uv_loop_init(&loop) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    return remove_tmp(dir);
}

static const char *script(const char *name, const char *text)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "#!/bin/sh\n%s\n", text);
    fclose(f);
    assert_int_equal(chmod(path, 0700), 0);
    return path;
}

static void on_output(void *ctx, int fd, const char *data, size_t len)
{
    struct run *r = ctx;
    assert_int_equal(buf_append(fd == 1 ? &r->out : &r->err, data, len), 0);
}

static void on_end(void *ctx, const struct child_result *result)
{
    struct run *r = ctx;
    r->ended++;
    r->result = *result;
    r->child = NULL;
}

static const char *const plain_env[] = {"PATH=/usr/bin:/bin", "LANG=C", NULL};

static void begin(struct run *r, const char *const *argv)
{
    struct error err = {0};
    r->o.loop = &loop;
    r->o.argv = argv;
    if (!r->o.env)
        r->o.env = plain_env;
    r->o.cwd = dir;
    r->o.on_output = on_output;
    r->o.on_end = on_end;
    r->o.ctx = r;
    if (r->o.timeout_ms == 0)
        r->o.timeout_ms = 20000;
    if (child_begin(&r->o, &r->child, &err) != 0)
        fail_msg("%s", err.text);
}

static void finish(struct run *r)
{
    while (!r->ended)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(r->ended, 1);
    if (!r->out.data)
        buf_puts(&r->out, "");
    if (!r->err.data)
        buf_puts(&r->err, "");
}

static void done(struct run *r)
{
    buf_free(&r->out);
    buf_free(&r->err);
}

static const struct run off = {.o.sandbox = CHILD_SANDBOX_OFF};

static void run_script(struct run *r, const char *text)
{
    const char *argv[] = {script("run", text), NULL};
    begin(r, argv);
    finish(r);
}

/* ---- what goes in and comes out ---- */

static void arguments_arrive_as_they_are(void **state)
{
    struct run r = off;
    (void)state;
    const char *argv[] = {script("show", "for a in \"$@\"; do printf '<%s>' \"$a\"; done"),
                          "it's \"quoted\"",
                          "$(touch /tmp/no) `id`",
                          "two\nlines",
                          "--rf; | & > x",
                          "",
                          NULL};
    begin(&r, argv);
    finish(&r);
    assert_int_equal(r.result.exit_code, 0);
    assert_string_equal(r.out.data, "<it's \"quoted\"><$(touch /tmp/no) `id`><two\nlines><--rf; | & > x><>");
    done(&r);
}

static void outputs_are_apart_and_input_arrives(void **state)
{
    struct run r = off;
    (void)state;
    r.o.input = "hello\nthere";
    r.o.input_len = 11;
    run_script(&r, "cat; echo wrong >&2; exit 7");
    assert_string_equal(r.out.data, "hello\nthere");
    assert_string_equal(r.err.data, "wrong\n");
    assert_int_equal(r.result.exit_code, 7);
    assert_int_equal(r.result.term_signal, 0);
    assert_false(r.result.timed_out || r.result.killed || r.result.out_truncated || r.result.sandboxed);
    done(&r);
}

static void large_input_to_one_who_does_not_read(void **state)
{
    struct run r = off;
    (void)state;
    char *big = calloc(1, 1 << 20);
    r.o.input = big;
    r.o.input_len = 1 << 20;
    run_script(&r, "exit 0");
    assert_int_equal(r.result.exit_code, 0);
    free(big);
    done(&r);
}

static void stdin_is_at_its_end(void **state)
{
    struct run r = off;
    (void)state;
    run_script(&r, "cat; echo over");
    assert_string_equal(r.out.data, "over\n");
    done(&r);
}

static void environment_is_what_was_given(void **state)
{
    struct run r = off;
    struct child_env env;
    (void)state;
    setenv("VX11_SECRET", "hidden", 1);
    setenv("VX11_PASSED", "shown", 1);
    assert_int_equal(child_env_init(&env, "/opt/x"), 0);
    assert_int_equal(child_env_pass(&env, "VX11_PASSED"), 0);
    assert_int_equal(child_env_pass(&env, "VX11_NOT_THERE"), 0);
    r.o.env = (const char *const *)env.list;
    const char *argv[] = {"/usr/bin/env", NULL};
    begin(&r, argv);
    finish(&r);
    assert_string_equal(
        r.out.data, "PATH=/opt/x:/usr/local/bin:/usr/bin:/bin\nLANG=C.UTF-8\nTERM=dumb\nVX11_PASSED=shown\n");
    child_env_free(&env);
    done(&r);
}

static void descriptors_of_ours_stay_here(void **state)
{
    struct run r = off;
    (void)state;
    FILE *open_one = fopen("/dev/null", "r"); /* without O_CLOEXEC */
    run_script(&r, "ls /proc/self/fd | wc -l; pwd");
    assert_true(strncmp(r.out.data, "4\n", 2) == 0); /* 0, 1, 2, and ls's own */
    assert_non_null(strstr(r.out.data, dir));
    fclose(open_one);
    done(&r);
}

/* ---- bounds ---- */

static void output_is_cut(void **state)
{
    struct run r = off;
    (void)state;
    r.o.out_max = 1000;
    run_script(&r, "head -c 100000 /dev/zero; echo end >&2");
    assert_int_equal(r.out.len, 1000);
    assert_int_equal(r.result.out_bytes, 100000);
    assert_true(r.result.out_truncated);
    assert_false(r.result.err_truncated);
    assert_int_equal(r.result.exit_code, 0);
    done(&r);
}

static void too_much_output_ends_it(void **state)
{
    struct run r = off;
    (void)state;
    r.o.out_max = 1000;
    r.o.end_at_out_max = true;
    run_script(&r, "exec cat /dev/zero");
    assert_int_equal(r.out.len, 1000);
    assert_true(r.result.killed && r.result.out_truncated);
    assert_int_equal(r.result.term_signal, SIGTERM);
    done(&r);
}

static void time_is_bounded(void **state)
{
    struct run r = off;
    (void)state;
    r.o.timeout_ms = 150;
    run_script(&r, "exec sleep 30");
    assert_true(r.result.timed_out);
    assert_false(r.result.killed);
    assert_int_equal(r.result.term_signal, SIGTERM);
    assert_in_range(r.result.duration_ms, 140, 5000);
    done(&r);
}

static void who_ignores_the_term_is_killed(void **state)
{
    struct run r = off;
    (void)state;
    r.o.timeout_ms = 150;
    r.o.grace_ms = 150;
    run_script(&r, "trap '' TERM; while :; do sleep 0.05; done");
    assert_true(r.result.timed_out);
    assert_int_equal(r.result.term_signal, SIGKILL);
    done(&r);
}

static bool lives(pid_t pid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    const char *p = n ? strrchr(text, ')') : NULL;
    return p && p[2] != 'Z' && p[2] != 'X';
}

static void gone_soon(pid_t pid)
{
    assert_true(pid > 1);
    for (int i = 0; lives(pid) && i < 200; i++)
        usleep(10000);
    assert_false(lives(pid));
}

static void grandchildren_go_too(void **state)
{
    struct run r = off;
    (void)state;
    r.o.timeout_ms = 300;
    run_script(&r, "sleep 30 & echo $!; wait");
    assert_true(r.result.timed_out);
    gone_soon(atoi(r.out.data));
    done(&r);
}

/* One that ends well and leaves something behind, with its outputs open. */
static void what_is_left_behind_goes(void **state)
{
    struct run r = off;
    (void)state;
    run_script(&r, "sleep 30 & echo $!; exit 0");
    assert_int_equal(r.result.exit_code, 0);
    assert_in_range(r.result.duration_ms, 0, 5000);
    gone_soon(atoi(r.out.data));
    done(&r);
}

static void on_kill_timer(uv_timer_t *t)
{
    struct run *r = t->data;
    if (r->child)
        child_kill(r->child);
    uv_close((uv_handle_t *)t, NULL);
}

static void kill_ends_it(void **state)
{
    struct run r = off;
    uv_timer_t t;
    (void)state;
    uv_timer_init(&loop, &t);
    t.data = &r;
    uv_timer_start(&t, on_kill_timer, 100, 0);
    run_script(&r, "exec sleep 30");
    assert_true(r.result.killed);
    assert_false(r.result.timed_out);
    done(&r);
}

static void abandoned_ones_end_unheard(void **state)
{
    struct run r = off;
    (void)state;
    const char *argv[] = {script("run", "exec sleep 30"), NULL};
    begin(&r, argv);
    pid_t pid = child_pid(r.child);
    child_abandon(r.child);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(r.ended, 0);
    assert_false(lives(pid));
}

static void processor_time_is_bounded(void **state)
{
    struct run r = off;
    (void)state;
    r.o.limits.cpu_s = 1;
    run_script(&r, "while :; do :; done");
    assert_true(r.result.term_signal == SIGXCPU || r.result.term_signal == SIGKILL);
    assert_false(r.result.timed_out);
    assert_in_range(r.result.cpu_ms, 500, 3000);
    done(&r);
}

static void file_size_and_files_are_bounded(void **state)
{
    struct run r = off;
    (void)state;
    r.o.limits.file_bytes = 4096;
    r.o.limits.files = 20;
    run_script(&r, "ulimit -n; ulimit -c; head -c 100000 /dev/zero > big; wc -c < big");
    assert_string_equal(r.out.data, "20\n0\n4096\n");
    done(&r);
}

static void memory_is_bounded(void **state)
{
    struct run r = off;
    (void)state;
    r.o.limits.memory_bytes = 64 << 20;
    run_script(&r, "ulimit -v; head -c 200M /dev/zero | tail -c 190M | wc -c");
    assert_true(strncmp(r.out.data, "65536\n", 6) == 0);
    assert_null(strstr(r.out.data, "199229440"));
    done(&r);
}

static void processes_are_bounded(void **state)
{
    struct run r = off;
    (void)state;
    r.o.limits.processes = 40;
    run_script(&r,
               "ulimit -u 2>/dev/null || sed -n 's/^Max processes *\\([0-9]*\\).*/\\1/p' /proc/self/limits");
    assert_in_range(atoi(r.out.data), 41, 100000);
    done(&r);
}

static void pausing_holds_the_output(void **state)
{
    struct run r = off;
    (void)state;
    const char *argv[] = {script("run", "head -c 1000000 /dev/zero; echo done >&2"), NULL};
    begin(&r, argv);
    child_pause(r.child);
    for (int i = 0; i < 20; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(10000);
    }
    assert_int_equal(r.out.len, 0);
    assert_int_equal(r.ended, 0); /* it waits for room in the pipe */
    child_resume(r.child);
    finish(&r);
    assert_int_equal(r.out.len, 1000000);
    assert_string_equal(r.err.data, "done\n");
    done(&r);
}

/* ---- starts that fail ---- */

static int try_start(const char *program, const char *cwd, enum child_sandbox sandbox, struct error *err)
{
    struct child *c;
    const char *argv[] = {program, NULL};
    struct child_options o = {.loop = &loop, .argv = argv, .env = plain_env, .cwd = cwd, .sandbox = sandbox};
    int rc = child_begin(&o, &c, err);
    if (rc == 0)
        child_abandon(c);
    return rc;
}

static void bad_starts_say_why(void **state)
{
    struct error err = {0};
    (void)state;
    assert_int_equal(try_start("ls", dir, CHILD_SANDBOX_OFF, &err), VX11_EINVALID);
    assert_int_equal(try_start("/no/such/program", dir, CHILD_SANDBOX_OFF, &err), VX11_ENOT_FOUND);
    assert_int_equal(try_start("/etc/passwd", dir, CHILD_SANDBOX_OFF, &err), VX11_EPERMISSION);
    assert_int_equal(try_start("/bin/ls", "/no/such/folder", CHILD_SANDBOX_OFF, &err), VX11_ENOT_FOUND);
    const char *path = script("odd", "");
    FILE *f = fopen(path, "w");
    fputs("#!/no/such/interpreter\n", f);
    fclose(f);
    assert_int_equal(try_start(path, dir, CHILD_SANDBOX_OFF, &err), VX11_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "interpreter"));
}

static void too_many_arguments_say_so(void **state)
{
    struct error err = {0};
    struct child *c;
    (void)state;
    char *big = malloc(3 << 20);
    memset(big, 'x', (3 << 20) - 1);
    big[(3 << 20) - 1] = '\0';
    const char *argv[] = {"/bin/true", big, NULL};
    struct child_options o = {
        .loop = &loop, .argv = argv, .env = plain_env, .cwd = dir, .sandbox = CHILD_SANDBOX_OFF};
    assert_int_equal(child_begin(&o, &c, &err), VX11_ETOO_LARGE);
    free(big);
}

static void shells_are_known(void **state)
{
    (void)state;
    const char *const inlined[] = {"-c", "print(1)"}, *const file[] = {"/opt/tool.py", "x"};
    assert_true(child_is_shell("/bin/sh"));
    assert_true(child_is_shell("/usr/bin/bash"));
    assert_true(child_is_shell("/usr/bin/env"));
    assert_true(child_is_shell("/opt/bash-5.2"));
    assert_false(child_is_shell("/usr/bin/show"));
    assert_false(child_is_shell("/usr/bin/date"));
    assert_true(child_is_inline_program("/usr/bin/python3.11", inlined, 2));
    assert_true(child_is_inline_program("/usr/bin/python3", NULL, 0));
    assert_false(child_is_inline_program("/usr/bin/python3", file, 2));
    assert_false(child_is_inline_program("/usr/bin/date", inlined, 2));
    char link[128];
    snprintf(link, sizeof link, "%s/harmless", dir);
    assert_int_equal(symlink("/bin/sh", link), 0);
    assert_true(child_is_shell(link));
}

/* ---- the sandbox ---- */

static bool no_sandbox(void)
{
    if (child_sandbox_problem())
        print_message("no bubblewrap here: %s\n", child_sandbox_problem());
    return child_sandbox_problem() != NULL;
}

static void the_sandbox_hides_and_protects(void **state)
{
    struct run r = {.o.sandbox = CHILD_SANDBOX_REQUIRED};
    char secret[128], text[1024];
    (void)state;
    if (no_sandbox())
        skip();
    char other[] = "/tmp/vx11-other-XXXXXX";
    assert_non_null(mkdtemp(other));
    snprintf(secret, sizeof secret, "%s/secret", other);
    FILE *f = fopen(secret, "w");
    fputs("secret", f);
    fclose(f);
    snprintf(text, sizeof text,
             "cat %s 2>/dev/null; (echo x > /usr/x) 2>/dev/null && echo wrote; (echo x > /x) 2>/dev/null && "
             "echo wrote; "
             "echo fine > here && cat here; ls /proc | grep -c '^[0-9]'; ls /sys/class/net 2>/dev/null; "
             "grep -c . /proc/net/route; echo hi > /tmp/private && cat /tmp/private",
             secret);
    run_script(&r, text);
    assert_true(r.result.sandboxed);
    if (r.result.exit_code != 0 || !r.out.data || strncmp(r.out.data, "fine\n", 5) != 0)
        fail_msg("exit %d, out: %s, err: %s", r.result.exit_code, r.out.data, r.err.data);
    assert_null(strstr(r.out.data, "secret"));
    assert_null(strstr(r.out.data, "wrote"));
    assert_non_null(strstr(r.out.data, "\n1\nhi\n")); /* the table's heading alone: no route */
    assert_int_equal(access("/tmp/private", F_OK), -1);
    assert_int_equal(remove_tmp(other), 0);
    done(&r);
}

static void folders_that_were_named_are_there(void **state)
{
    struct run r = {.o.sandbox = CHILD_SANDBOX_REQUIRED};
    char a[] = "/tmp/vx11-a-XXXXXX", b[] = "/tmp/vx11-b-XXXXXX", text[512];
    (void)state;
    if (no_sandbox())
        skip();
    assert_true(mkdtemp(a) && mkdtemp(b));
    const char *readable[] = {a, "/no/such/place", NULL}, *writable[] = {b, NULL};
    r.o.readable = readable;
    r.o.writable = writable;
    snprintf(text, sizeof text, "(echo x > %s/x) 2>/dev/null || echo no; echo y > %s/y && echo yes", a, b);
    run_script(&r, text);
    assert_string_equal(r.out.data, "no\nyes\n");
    assert_int_equal(remove_tmp(a), 0);
    assert_int_equal(remove_tmp(b), 0);
    done(&r);
}

/* One that leaves its session escapes a process group, but not its namespace. */
static void nobody_escapes_the_sandbox(void **state)
{
    struct run r = {.o.sandbox = CHILD_SANDBOX_REQUIRED};
    char marker[160], text[512];
    (void)state;
    if (no_sandbox())
        skip();
    snprintf(marker, sizeof marker, "%s/late", dir);
    snprintf(text, sizeof text, "setsid sh -c 'sleep 1; echo late > %s' >/dev/null 2>&1 & exit 0", marker);
    run_script(&r, text);
    usleep(1500000);
    assert_int_equal(access(marker, F_OK), -1);
    done(&r);
}

static void a_sandboxed_timeout_ends_all(void **state)
{
    struct run r = {.o.sandbox = CHILD_SANDBOX_REQUIRED};
    (void)state;
    if (no_sandbox())
        skip();
    r.o.timeout_ms = 300;
    run_script(&r, "sleep 30 & sleep 30");
    assert_true(r.result.timed_out);
    assert_in_range(r.result.duration_ms, 250, 5000);
    done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_arrive_as_they_are),
        cmocka_unit_test(outputs_are_apart_and_input_arrives),
        cmocka_unit_test(large_input_to_one_who_does_not_read),
        cmocka_unit_test(stdin_is_at_its_end),
        cmocka_unit_test(environment_is_what_was_given),
        cmocka_unit_test(descriptors_of_ours_stay_here),
        cmocka_unit_test(output_is_cut),
        cmocka_unit_test(too_much_output_ends_it),
        cmocka_unit_test(time_is_bounded),
        cmocka_unit_test(who_ignores_the_term_is_killed),
        cmocka_unit_test(grandchildren_go_too),
        cmocka_unit_test(what_is_left_behind_goes),
        cmocka_unit_test(kill_ends_it),
        cmocka_unit_test(abandoned_ones_end_unheard),
        cmocka_unit_test(processor_time_is_bounded),
        cmocka_unit_test(file_size_and_files_are_bounded),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(processes_are_bounded),
        cmocka_unit_test(pausing_holds_the_output),
        cmocka_unit_test(bad_starts_say_why),
        cmocka_unit_test(too_many_arguments_say_so),
        cmocka_unit_test(shells_are_known),
        cmocka_unit_test(the_sandbox_hides_and_protects),
        cmocka_unit_test(folders_that_were_named_are_there),
        cmocka_unit_test(nobody_escapes_the_sandbox),
        cmocka_unit_test(a_sandboxed_timeout_ends_all),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
