/* Up: starts the supervisor as a process of its own session and waits until every module is healthy.
 *
 *   --detach   returns then; the supervisor goes on
 *   else       the status screen runs here, and Ctrl-C (or this process's death) stops everything
 */
#include "cli/cli_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/supervisor_client.h"
#include "base/clock.h"
#include "base/fs.h"

#define READY_MS     60000 /* a first start on a slow disk writes the guide model and the database */
#define DEGRADED_MS  3000
#define POLL_MS      10
#define POLL_FAST_MS 2000
#define POLL_SLOW_MS 250

/* ---- the supervisor's process ---- */

static void supervisor_exec(const char *exe, int notify, int errors, bool owned)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (owned)
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    setsid();
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(errors >= 0 ? errors : null, STDERR_FILENO);
    if (notify != 3) {
        dup2(notify, 3);
        close(notify);
    }
    char *argv[] = {(char *)(uintptr_t)exe, (char *)(uintptr_t) "run", (char *)(uintptr_t) "supervisor",
                    NULL};
    execv(exe, argv);
    _exit(127);
}

static int supervisor_spawn(struct cli *c, bool owned, int *notify, pid_t *pid)
{
    char exe[4096], log[4200], path[4300];
    struct error err = {0};
    int fds[2];
    snprintf(log, sizeof log, "%s/log", c->home);
    if (fs_mkdirs(log, 0700, &err) != 0)
        return cli_fail(CLI_FAILED, "%s", err.text);
    snprintf(path, sizeof path, "%s/supervisor.stderr", log);
    int errors = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fs_self_exe(exe, sizeof exe) != 0 || pipe2(fds, O_CLOEXEC) != 0) {
        int sys = errno;
        if (errors >= 0)
            close(errors);
        return cli_fail(CLI_FAILED, "the supervisor cannot be started: %s", strerror(sys));
    }
    *pid = fork();
    if (*pid == 0)
        supervisor_exec(exe, fds[1], errors, owned);
    close(fds[1]);
    if (errors >= 0)
        close(errors);
    *notify = fds[0];
    return *pid > 0 ? 0 : cli_fail(CLI_FAILED, "the supervisor cannot be started: %s", strerror(errno));
}

/* Reads what the supervisor says on its start: "ready", or why not. */
static int supervisor_ready(int notify, pid_t pid)
{
    char words[1024];
    size_t len = 0;
    int64_t until = clock_mono_ms() + READY_MS;
    for (;;) {
        struct pollfd p = {.fd = notify, .events = POLLIN};
        int64_t left = until - clock_mono_ms();
        if (left <= 0 || poll(&p, 1, (int)left) <= 0)
            break;
        ssize_t n = read(notify, words + len, sizeof words - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
        words[len] = '\0';
        if (strcmp(words, "ready\n") == 0)
            return 0;
        if (len == sizeof words - 1)
            break;
    }
    words[len] = '\0';
    int status = 0;
    bool gone = waitpid(pid, &status, WNOHANG) == pid || (len > 0 && waitpid(pid, &status, 0) == pid);
    int code = gone && WIFEXITED(status) && WEXITSTATUS(status) == 78 ? CLI_CONFIG : CLI_FAILED;
    if (len > 0)
        return cli_fail(code, "%.*s", (int)strcspn(words, "\n"), words);
    return cli_fail(code,
                    "the supervisor ended without a word; see log/supervisor.stderr and log/supervisor.log");
}

/* ---- until all is well ---- */

static const struct supervisor_module *module_that_fails(const struct supervisor_status *s)
{
    for (size_t i = 0; i < s->modules_count; i++) {
        const struct supervisor_module *m = &s->modules[i];
        /* A port that is taken or a wrong configuration does not mend itself by trying again. */
        if (m->restarts >= 3 &&
            (m->process == SUPERVISOR_PROCESS_BACKOFF || m->process == SUPERVISOR_PROCESS_FAILED))
            return m;
    }
    return NULL;
}

/* The first module that is not well; NULL: all are. */
static const struct supervisor_module *module_unwell(const struct supervisor_status *s)
{
    for (size_t i = 0; i < s->modules_count; i++) {
        const struct supervisor_module *m = &s->modules[i];
        bool ok = m->process == SUPERVISOR_PROCESS_RUNNING && m->has_health && m->health == COMMON_HEALTH_OK;
        if (m->state != COMMON_STATE_OFF && !ok)
            return m;
    }
    return NULL;
}

static const char *module_why(const struct supervisor_module *m)
{
    return m->reason ? m->reason : m->last_exit ? m->last_exit : "it does not say why";
}

static int up_say_not_healthy(const struct supervisor_status *s)
{
    const struct supervisor_module *m = s ? module_unwell(s) : NULL;
    if (!m)
        return cli_fail(CLI_FAILED, "the supervisor has not answered for %d s; see log/supervisor.log",
                        READY_MS / 1000);
    return cli_fail(CLI_FAILED, "%s is not healthy after %d s: %s", m->name, READY_MS / 1000, module_why(m));
}

/* Until every module is healthy, or all run and one stays degraded: then that is how it is, and status says
 * why. */
static int up_wait_healthy(struct cli *c, struct supervisor_status **out)
{
    int64_t begun = clock_mono_ms(), degraded_since = 0, now;
    while ((now = clock_mono_ms()) < begun + READY_MS) {
        int code = status_fetch(c, out, true);
        int health = code == 0 ? (*out)->health : COMMON_HEALTH_DOWN;
        if (health == COMMON_HEALTH_OK)
            return 0;
        if (health != COMMON_HEALTH_DEGRADED)
            degraded_since = 0;
        else if (degraded_since == 0)
            degraded_since = now;
        else if (now - degraded_since >= DEGRADED_MS)
            return 0;
        const struct supervisor_module *bad = code == 0 ? module_that_fails(*out) : NULL;
        if (bad)
            return cli_fail(CLI_FAILED, "%s cannot start: %s", bad->name, module_why(bad));
        usleep((now - begun < POLL_FAST_MS ? POLL_MS : POLL_SLOW_MS) * 1000);
    }
    return up_say_not_healthy(*out);
}

/* ---- words ---- */

struct link_wait {
    bool done, quiet;
    char *url;
    size_t size;
};

static void on_link(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct link_wait *w = ctx;
    const struct supervisor_login_link *l = reply->message;
    (void)call;
    w->done = true;
    if (l)
        snprintf(w->url, w->size, "%s", l->url);
    else if (!w->quiet)
        cli_reply_failed(reply, "the supervisor");
}

bool login_link(struct cli *c, char *url, size_t size, bool quiet)
{
    struct link_wait w = {.quiet = quiet, .url = url, .size = size};
    struct client_call_options options = {.deadline_ms = clock_mono_ms() + 5000};
    struct client_call *call;
    url[0] = '\0';
    if (supervisor_login_link_call(c->client, cli_target(c, "supervisor"), &options, on_link, &w, &call) != 0)
        return false;
    cli_wait(c, &w.done);
    return url[0] != '\0';
}

static void say_hello(const struct supervisor_status *s, const char *link)
{
    printf("VX11 %s is up", s->version);
    if (s->has_startup_ms)
        printf(" (%zu modules healthy after %lld ms)", s->modules_count, (long long)s->startup_ms);
    printf("\n\n");
    if (link[0])
        printf("  page   %s\n         (this link logs you in, once; `vx11 login` makes another)\n", link);
    else
        printf("  page   %s\n", s->page);
    printf("  api    %s   (the key is what `vx11 token show` prints)\n", s->api);
    printf("  hello  vx11 chat \"Which port is switch on?\"\n");
    printf("  stop   vx11 down\n");
}

int command_login(int argc, char **argv)
{
    struct cli c;
    char url[600];
    if (argc > 1)
        return cli_usage("login", "unknown argument %s", argv[1]);
    int code = cli_open_anyway(&c);
    if (code == 0)
        code = login_link(&c, url, sizeof url, false) ? 0 : CLI_NOT_RUNNING;
    if (code == 0)
        puts(url);
    cli_close(&c);
    return code;
}

/* ---- up ---- */

/* It is up, but not all of it works: 0, or an exit code after having said what. */
static int up_say_degraded(const struct supervisor_status *s)
{
    int code = 0;
    for (size_t i = 0; i < s->modules_count; i++)
        if (s->modules[i].has_health && s->modules[i].health == COMMON_HEALTH_DEGRADED)
            code = cli_fail(CLI_FAILED, "%s is degraded: %s", s->modules[i].name, module_why(&s->modules[i]));
    return code;
}

static int up_start(struct cli *c, bool detach, struct supervisor_status **status, char *link,
                    size_t link_size)
{
    int notify = -1;
    pid_t pid = 0;
    int code = supervisor_spawn(c, !detach, &notify, &pid);
    if (code == 0)
        code = supervisor_ready(notify, pid);
    if (notify >= 0)
        close(notify);
    if (code != 0)
        return code;
    code = up_wait_healthy(c, status);
    if (code != 0 || !*status) {
        /* A start that failed leaves nothing running behind it. */
        down_wait(c, -1);
        return code;
    }
    login_link(c, link, link_size, false);
    say_hello(*status, link);
    fflush(stdout);
    return 0;
}

int command_up(int argc, char **argv)
{
    bool detach = false;
    struct cli c;
    char link[600] = "";
    struct supervisor_status *status = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--detach") == 0 || strcmp(argv[i], "-d") == 0)
            detach = true;
        else
            return cli_usage("up", "unknown argument %s", argv[i]);
    }
    int code = cli_open(&c);
    if (code == 0 && status_fetch(&c, &status, true) == 0) {
        printf("VX11 runs already (process %lld, home %s).\n  page   %s   (`vx11 login` makes a link)\n",
               (long long)status->pid, status->home, status->page);
    } else if (code == 0) {
        code = up_start(&c, detach, &status, link, sizeof link);
        int degraded = code == 0 ? up_say_degraded(status) : 0;
        if (code == 0)
            code = detach ? degraded : screen_run(&c, true, link);
    }
    cli_close(&c);
    return code;
}
