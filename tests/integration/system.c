/* System: see system.h. The start, the stop and its checks; what can be asked of it is in system_ask.c. */
#include "system.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"

#define READY_MS 40000
#define STOP_MS  40000

void sleep_ms(int ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L};
    nanosleep(&t, NULL);
}

/* ---- init ---- */

/* All at once, so that they differ. */
static void free_ports(int *out, size_t n)
{
    int fds[8];
    assert_true(n <= sizeof fds / sizeof fds[0]);
    for (size_t i = 0; i < n; i++) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof in;
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fds[i], (struct sockaddr *)&in, sizeof in), 0);
        assert_int_equal(getsockname(fds[i], (struct sockaddr *)&in, &len), 0);
        out[i] = ntohs(in.sin_port);
    }
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

void system_init(struct system *s)
{
    int ports[5];
    memset(s, 0, sizeof *s);
    s->notify = -1;
    snprintf(s->home, sizeof s->home, "/tmp/vx11-itest-XXXXXX");
    assert_non_null(mkdtemp(s->home));
    free_ports(ports, 5);
    s->link_port = ports[0];
    s->page_port = ports[1];
    s->switch_port = ports[2];
    s->hermes_port = ports[3];
    s->operator_port = ports[4];
    system_env(s, "VX11_HOME=%s", s->home);
    system_env(s, "VX11_LINK__PORT=%d", s->link_port);
    system_env(s, "VX11_LINK__PAGE_PORT=%d", s->page_port);
    system_env(s, "VX11_SWITCH__PORT=%d", s->switch_port);
    system_env(s, "VX11_HERMES__PORT=%d", s->hermes_port);
    system_env(s, "VX11_OPERATOR__PORT=%d", s->operator_port);
    /* A process that a sanitizer ended is told from one that ended by itself, even when its words are gone.
     */
    const char *asan = getenv("ASAN_OPTIONS"), *lsan = getenv("LSAN_OPTIONS");
    system_env(s, "ASAN_OPTIONS=%s:exitcode=99", asan ? asan : "");
    system_env(s, "LSAN_OPTIONS=%s:exitcode=99", lsan ? lsan : "");
    /* The machine's cores belong to other tests too. */
    system_env(s, "VX11_ENGINE__THREADS=1");
    system_env(s, "VX11_SUPERVISOR__HEALTH_INTERVAL_MS=500");
}

void system_env(struct system *s, const char *fmt, ...)
{
    va_list args;
    assert_true(s->env_count < sizeof s->env / sizeof s->env[0]);
    va_start(args, fmt);
    vsnprintf(s->env[s->env_count++], sizeof s->env[0], fmt, args);
    va_end(args);
}

void system_config(struct system *s, const char *yaml)
{
    const char *path = system_path(s, "config.yaml");
    if (yaml)
        assert_int_equal(fs_write_file_atomic(path, yaml, strlen(yaml), 0600, NULL), 0);
    else
        unlink(path);
}

/* ---- start ---- */

static void supervisor_exec(const struct system *s, int notify)
{
    const char *bin = getenv("VX11_BIN");
    char *argv[] = {(char *)(uintptr_t)bin, (char *)(uintptr_t) "run", (char *)(uintptr_t) "supervisor",
                    NULL};
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* a test that dies takes its system along */
    for (size_t i = 0; i < s->env_count; i++)
        putenv((char *)(uintptr_t)s->env[i]);
    mkdir(system_path(s, "log"), 0700);
    int err = open(system_path(s, "log/supervisor.stderr"),
                   O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(err >= 0 ? err : null, STDERR_FILENO);
    dup2(notify, 3); /* without close-on-exec */
    execv(bin, argv);
    _exit(127);
}

bool system_launch(struct system *s)
{
    int fds[2];
    size_t len = 0;
    int64_t until = clock_mono_ms() + READY_MS;
    assert_non_null(getenv("VX11_BIN"));
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0)
        supervisor_exec(s, fds[1]);
    close(fds[1]);
    memset(s->words, 0, sizeof s->words);
    while (len < sizeof s->words - 1 && clock_mono_ms() < until) {
        struct pollfd p = {.fd = fds[0], .events = POLLIN};
        if (poll(&p, 1, (int)(until - clock_mono_ms())) <= 0)
            break;
        ssize_t n = read(fds[0], s->words + len, sizeof s->words - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    close(fds[0]);
    return strcmp(s->words, "ready\n") == 0;
}

void system_wait_healthy(struct system *s)
{
    struct http_at at = system_supervisor(s);
    int64_t until = clock_mono_ms() + READY_MS;
    struct http_reply r;
    for (;;) {
        http(&r, &at, "GET", "/supervisor/status", NULL);
        if (r.status == 200 && strcmp(http_text(&r, "/health"), "ok") == 0)
            break;
        if (clock_mono_ms() > until) {
            print_error("not healthy: %s\n", r.raw.body.data);
            fail();
        }
        http_free(&r);
        sleep_ms(20);
    }
    http_free(&r);
}

void system_up(struct system *s)
{
    struct buf token = BUF_INIT;
    if (!system_launch(s)) {
        print_error("the supervisor did not start: %s\n", s->words);
        fail();
    }
    system_wait_healthy(s);
    system_read(s, "token", &token);
    snprintf(s->token, sizeof s->token, "%.*s", (int)strcspn(token.data, "\n"), token.data);
    buf_free(&token);
}

void system_start(struct system *s, const char *yaml)
{
    system_init(s);
    system_config(s, yaml);
    system_up(s);
}

/* ---- the command line ---- */

static void command_exec(const struct system *s, int out, const char *const *args)
{
    char *argv[16] = {(char *)(uintptr_t)getenv("VX11_BIN")};
    for (size_t i = 0; args[i] && i < 14; i++)
        argv[i + 1] = (char *)(uintptr_t)args[i];
    for (size_t i = 0; i < s->env_count; i++)
        putenv((char *)(uintptr_t)s->env[i]);
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execv(argv[0], argv);
    _exit(127);
}

int system_run(struct system *s, struct buf *out, const char *const *args)
{
    int fds[2], status = 0;
    int64_t until = clock_mono_ms() + 60000;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        command_exec(s, fds[1], args);
    close(fds[1]);
    for (;;) {
        char text[4096];
        struct pollfd p = {.fd = fds[0], .events = POLLIN};
        int64_t left = until - clock_mono_ms();
        ssize_t n = left > 0 && poll(&p, 1, (int)left) > 0 ? read(fds[0], text, sizeof text) : 0;
        if (n <= 0)
            break;
        buf_append(out, text, (size_t)n);
    }
    close(fds[0]);
    buf_append(out, "", 0);
    if (clock_mono_ms() >= until)
        kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    if (clock_mono_ms() >= until)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* ---- stop ---- */

int system_wait_exit(struct system *s, int64_t ms)
{
    int status;
    int64_t until = clock_mono_ms() + ms;
    for (;;) {
        pid_t pid = waitpid(s->pid, &status, WNOHANG);
        if (pid == s->pid) {
            s->pid = 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
        }
        if (pid < 0 || clock_mono_ms() > until)
            return -1;
        sleep_ms(10);
    }
}

/* Is this process one of the home's? Its environment names it. */
static bool process_of(const char *pid, const char *home)
{
    char path[64], want[128];
    struct buf env = BUF_INIT;
    snprintf(path, sizeof path, "/proc/%.20s/environ", pid);
    snprintf(want, sizeof want, "VX11_HOME=%s", home);
    bool found = false;
    if (fs_read_file(path, 1 << 20, &env, NULL) == 0)
        for (size_t i = 0; i < env.len; i += strlen(env.data + i) + 1)
            found |= strcmp(env.data + i, want) == 0;
    buf_free(&env);
    return found;
}

static pid_t process_find(const char *home)
{
    pid_t found = 0;
    DIR *d = opendir("/proc");
    for (const struct dirent *e = d ? readdir(d) : NULL; e && !found; e = readdir(d)) {
        int pid = atoi(e->d_name);
        if (pid > 1 && pid != getpid() && process_of(e->d_name, home))
            found = pid;
    }
    if (d)
        closedir(d);
    return found;
}

static bool home_has_socket(const struct system *s, char *name, size_t size)
{
    bool found = false;
    DIR *d = opendir(system_path(s, "run"));
    for (const struct dirent *e = d ? readdir(d) : NULL; e && !found; e = readdir(d)) {
        found = strstr(e->d_name, ".sock") != NULL;
        snprintf(name, size, "%s", e->d_name);
    }
    if (d)
        closedir(d);
    return found;
}

void system_check_gone(struct system *s)
{
    char name[256] = "";
    eventually(10000, process_find(s->home) == 0);
    if (home_has_socket(s, name, sizeof name)) {
        print_error("run/%s is still there\n", name);
        fail();
    }
}

/* What the sanitizers and the loader say lands on stderr; nothing should. */
static void check_words(const struct system *s)
{
    DIR *d = opendir(system_path(s, "log"));
    bool bad = false;
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        char name[300];
        struct buf text = BUF_INIT;
        size_t len = strlen(e->d_name);
        if (len < 7 || strcmp(e->d_name + len - 7, ".stderr") != 0)
            continue;
        snprintf(name, sizeof name, "log/%s", e->d_name);
        system_read(s, name, &text);
        if (strstr(text.data, "Sanitizer") || strstr(text.data, "runtime error")) {
            print_error("%s:\n%.6000s\n", name, text.data);
            bad = true;
        }
        buf_free(&text);
    }
    if (d)
        closedir(d);
    assert_false(bad);
}

static void check_log(const struct system *s)
{
    static const char *const modules[] = {"log/link.log", "log/switch.log", "log/hermes.log",
                                          "log/operator.log", "log/supervisor.log"};
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++)
        if (system_has_text(s, modules[i], "still holds handles") ||
            system_has_text(s, modules[i], "rows were lost")) {
            print_error("%s says that something was left\n", modules[i]);
            fail();
        }
    if (system_has_text(s, "log/supervisor.log", "exit status 99") ||
        system_has_text(s, "log/hermes.log", "Sanitizer")) {
        print_error("a sanitizer ended a process; see log/ (VX11_ITEST_KEEP=1 keeps it)\n");
        fail();
    }
    if (!s->rough && system_has_text(s, "log/supervisor.log", "did not stop in time")) {
        print_error("a module did not stop in time\n");
        fail();
    }
    /* Each module that was stopped must have ended with 0: the sanitizers end with another status. */
    struct buf text = BUF_INIT;
    system_read(s, "log/supervisor.log", &text);
    for (char *line = text.data; (line = strstr(line, "module stopped")) != NULL; line++) {
        size_t len = strcspn(line, "\n");
        if (!s->rough && !memmem(line, len, "exit status 0", 13)) {
            print_error("supervisor.log: %.*s\n", (int)len, line);
            fail();
        }
    }
    buf_free(&text);
}

void system_stop(struct system *s)
{
    kill(s->pid, SIGTERM);
    int code = system_wait_exit(s, STOP_MS);
    check_words(s);
    if (code != 0) {
        print_error("the supervisor ended with %d\n", code);
        fail();
    }
    system_check_gone(s);
    check_log(s);
}

static void say_logs(const struct system *s)
{
    static const char *const files[] = {"log/supervisor.log", "log/link.log", "log/switch.log",
                                        "log/hermes.log"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct buf text = BUF_INIT;
        system_read(s, files[i], &text);
        size_t from = text.len > 2500 ? text.len - 2500 : 0;
        print_error("---- %s\n%s\n", files[i], text.data + from);
        buf_free(&text);
    }
}

void system_remove(struct system *s)
{
    bool left = s->pid > 0; /* no system_stop: the test failed */
    pid_t pid;
    if (left && getenv("VX11_ITEST_LOGS"))
        say_logs(s);
    if (s->pid > 0) {
        kill(s->pid, SIGTERM);
        if (system_wait_exit(s, 20000) == -1) {
            kill(s->pid, SIGKILL);
            waitpid(s->pid, NULL, 0);
        }
    }
    for (int i = 0; i < 20 && (pid = process_find(s->home)) != 0; i++) {
        kill(pid, SIGKILL);
        sleep_ms(50);
    }
    s->pid = 0;
    if (!getenv("VX11_ITEST_KEEP"))
        fs_remove_tree(AT_FDCWD, s->home, NULL);
}
