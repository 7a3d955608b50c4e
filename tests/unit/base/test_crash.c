/* Crash capture: children that crash in each way; their exit status, their report, and what is in it. */
#include "test.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/crash.h"
#include "base/crash_internal.h"
#include "base/log.h"
#include "base/str.h"

/* The sanitizers must leave the signals to us. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "handle_segv=0:handle_abort=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:use_sigaltstack=0";
}
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "handle_segv=0:handle_abort=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:use_sigaltstack=0";
}

static char dir[64];
static char *forbidden; /* a page that may not be touched */

static int setup(void **state)
{
    (void)state;
    temp_make(dir);
    forbidden = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return forbidden == MAP_FAILED;
}

static int teardown(void **state)
{
    (void)state;
    munmap(forbidden, 65536);
    temp_remove(dir);
    return 0;
}

__attribute__((noinline)) static void crash_segv(void)
{
    *(volatile char *)(forbidden + 0x123) = 1;
}

static void crash_abort(void)
{
    abort();
}

/* A mapping past the end of its file. */
static void crash_bus(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/empty", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    volatile char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    p[100] = 1;
}

static void crash_fpe(void)
{
    raise(SIGFPE);
}

static void crash_ill(void)
{
    __builtin_trap();
}

__attribute__((noinline)) static int deeper(volatile int *p)
{
    volatile char block[4096];
    block[0] = (char)*p;
    int more = *p + 1;
    if (more < 0) /* never, but the compiler should not know */
        return 0;
    return deeper(&more) + block[0] + *p;
}

static void crash_overflow(void)
{
    volatile int zero = 0;
    (void)deeper(&zero);
}

static void *thread_main(void *arg)
{
    log_set_request("request-of-thread");
    ((void (*)(void))(uintptr_t)arg)();
    return NULL;
}

static void crash_in_thread(void)
{
    pthread_t t;
    pthread_create(&t, NULL, thread_main, (void *)(uintptr_t)crash_segv);
    pthread_join(t, NULL);
}

/* Several threads at once: one report, the first's. */
static void crash_in_threads(void)
{
    pthread_t t[4];
    for (size_t i = 0; i < COUNT_OF(t); i++)
        pthread_create(&t[i], NULL, thread_main, (void *)(uintptr_t)crash_segv);
    for (size_t i = 0; i < COUNT_OF(t); i++)
        pthread_join(t[i], NULL);
}

static char reports[96];

/* Runs fault in a child with the handlers installed; its standard error goes to DIR/stderr. Returns the wait
 * status. */
static int run_child(void (*fault)(void), const char *build_id)
{
    snprintf(reports, sizeof reports, "%s/forensic/x", dir);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char path[128];
        struct rlimit no_core = {0, 0}, small_stack = {1 << 20, 1 << 20};
        struct error err = {0};
        setrlimit(RLIMIT_CORE, &no_core);
        setrlimit(RLIMIT_STACK, &small_stack);
        snprintf(path, sizeof path, "%s/stderr", dir);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        snprintf(path, sizeof path, "%s/log", dir);
        const struct log_options log = {.module = "engine", .path = path, .level = LOG_INFO};
        const struct crash_options crash = {
            .dir = reports, .module = "engine", .version = "1.2.3", .build_id = build_id};
        if (dup2(fd, STDERR_FILENO) < 0 || log_open(&log, &err) != 0 || crash_install(&crash, &err) != 0)
            _exit(99);
        log_set_request("01ARYZ6S41TSV4RRFFQ69G5FAV");
        log_info("main", "the last record", LOG_S("token", "sk-hidden-hidden"));
        if (chdir("/") != 0)
            _exit(98);
        fault();
        _exit(97);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static struct buf stderr_text(void)
{
    char path[128];
    struct buf b = BUF_INIT;
    snprintf(path, sizeof path, "%s/stderr", dir);
    assert_int_equal(fs_read_file(path, 1 << 20, &b, NULL), 0);
    return b;
}

/* The only report, which is removed. */
static struct buf take_report(char name[256])
{
    struct buf b = BUF_INIT;
    DIR *d = opendir(reports);
    assert_non_null(d);
    unsigned n = 0;
    for (const struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] != '.' && ++n == 1)
            snprintf(name, 256, "%s", e->d_name);
    }
    assert_int_equal(n, 1);
    char path[PATH_MAX + 300];
    struct error err = {0};
    snprintf(path, sizeof path, "%s/%s", reports, name);
    assert_int_equal(fs_check_private(path, &err), 0);
    assert_int_equal(fs_read_file(path, 1 << 20, &b, &err), 0);
    assert_int_equal(unlink(path), 0);
    closedir(d);
    return b;
}

static void must_have(const struct buf *b, const char *text)
{
    if (!strstr(b->data, text))
        fail_msg("\"%s\" is missing in:\n%s", text, b->data);
}

static void every_signal(void **state)
{
    (void)state;
    static const struct {
        void (*fault)(void);
        int signal;
        const char *name;
    } cases[] = {{crash_segv, SIGSEGV, "SIGSEGV"},
                 {crash_abort, SIGABRT, "SIGABRT"},
                 {crash_bus, SIGBUS, "SIGBUS"},
                 {crash_fpe, SIGFPE, "SIGFPE"},
                 {crash_ill, SIGILL, "SIGILL"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char name[256], text[256];
        int status = run_child(cases[i].fault, "abc123");
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), cases[i].signal); /* the parent sees the truth */
        struct buf b = take_report(name);
        long long ms;
        int pid;
        assert_int_equal(sscanf(name, "crash-engine-%lld-%d.txt", &ms, &pid), 2);
        assert_true(ms > 1700000000000);
        snprintf(text, sizeof text, "signal: %s (%d)", cases[i].name, cases[i].signal);
        must_have(&b, text);
        snprintf(text, sizeof text, "pid: %d\n", pid);
        must_have(&b, text);
        must_have(&b, "module: engine\nversion: 1.2.3\nbuild_id: abc123\n");
        must_have(&b, "request_id: 01ARYZ6S41TSV4RRFFQ69G5FAV\n");
        must_have(&b, "msg=\"the last record\"");
        must_have(&b, "token=[redacted]");
        must_have(&b, "\nbacktrace");
        must_have(&b, "test_base_crash+0x");
        must_have(&b, "end of report\n");
        if (cases[i].fault == crash_segv) {
            snprintf(text, sizeof text, "address: 0x%llx\n",
                     (unsigned long long)(uintptr_t)(forbidden + 0x123));
            must_have(&b, text);
        }
        buf_free(&b);
        b = stderr_text();
        snprintf(text, sizeof text, "vx11 engine: crashed with %s; report in %s/crash-engine-", cases[i].name,
                 reports);
        must_have(&b, text);
        buf_free(&b);
    }
}

/* An offset of the backtrace lies in the function that crashed. */
static void names_the_place(void **state)
{
    (void)state;
    static struct crash_map map;
    char name[256], text[64];
    struct crash_out out = {.fd = -1, .buffer = text, .cap = sizeof text - 1};
    crash_map_read(&map);
    crash_put_place(&out, &map, (uintptr_t)crash_segv); /* the child is a fork: the same addresses */
    text[out.len] = '\0';
    unsigned long long begin, at;
    assert_int_equal(sscanf(text, "test_base_crash+0x%llx", &begin), 1);
    run_child(crash_segv, NULL);
    struct buf b = take_report(name);
    bool found = false;
    for (const char *p = strstr(b.data, "\nbacktrace"); p && (p = strstr(p, "test_base_crash+0x")); p++) {
        assert_int_equal(sscanf(p, "test_base_crash+0x%llx", &at), 1);
        found = found || (at >= begin && at < begin + 300);
    }
    if (!found)
        fail_msg("no address in crash_segv (0x%llx) in:\n%s", begin, b.data);
    buf_free(&b);
}

static void own_build_id(void **state)
{
    (void)state;
    char name[256], id[80], line[128];
    crash_build_id(id, sizeof id);
    assert_int_equal(strlen(id), 40); /* the build links with --build-id=sha1 */
    run_child(crash_segv, NULL);
    struct buf b = take_report(name);
    snprintf(line, sizeof line, "build_id: %s\n", id);
    must_have(&b, line);
    buf_free(&b);
    char small[4] = "";
    crash_build_id(small, sizeof small); /* no room: nothing is written past it */
}

static void stack_overflow(void **state)
{
    (void)state;
    char name[256];
    int status = run_child(crash_overflow, NULL);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    struct buf b = take_report(name);
    must_have(&b, "end of report\n");
    buf_free(&b);
}

static void other_threads(void **state)
{
    (void)state;
    void (*const faults[])(void) = {crash_in_thread, crash_in_threads};
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        char name[256];
        int status = run_child(faults[i], NULL);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        struct buf b = take_report(name);
        must_have(&b, "request_id: request-of-thread\n");
        must_have(&b, "end of report\n");
        buf_free(&b);
    }
}

static void remove_folder_and_crash(void)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    fs_remove_tree(fd, "forensic", NULL);
    crash_segv();
}

/* No place for the file: the report goes to standard error. */
static void no_folder(void **state)
{
    (void)state;
    int status = run_child(remove_folder_and_crash, NULL);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    struct buf b = stderr_text();
    must_have(&b, "no report file can be written in");
    must_have(&b, "signal: SIGSEGV");
    must_have(&b, "end of report\n");
    buf_free(&b);
}

static void bad_folder(void **state)
{
    (void)state;
    struct error err = {0};
    struct crash_options o = {.dir = "/proc/none", .module = "m", .version = "1"};
    assert_true(crash_install(&o, &err) < 0);
    assert_non_null(strstr(err.text, "/proc/none"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_signal),  TEST(names_the_place), TEST(own_build_id), TEST(stack_overflow),
        TEST(other_threads), TEST(no_folder),       TEST(bad_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
