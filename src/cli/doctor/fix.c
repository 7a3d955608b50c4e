/* Fix: what can be mended without a choice to make and without losing anything. Each thing done is in the
 * report and in the ledger; what is not safe stays with the person who reads `mend`. */
#include "cli/doctor/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/hermes_client.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/ask.h"
#include "store/ledger/ledger.h"

#define BACKUP_MS (10 * 60 * 1000)
#define SCAN_MS   60000
#define LEFT_MS   5000 /* a child that was told to end */

/* ---- noting ---- */

static const char *ledger_write(const struct doctor_fixing *f, const struct supervisor_doctor_fix *fix)
{
    const struct store_options options = {.path = f->d->database};
    struct store *store = NULL;
    struct error err = {0};
    int rc = store_open(&options, &store, &err);
    if (rc == 0)
        rc = ledger_note(store, "doctor.fix", "cli", fix->check, &err, "action", fix->action, "result",
                         fix->ok ? "done" : "failed", "reason", fix->reason, NULL);
    if (store)
        store_close(store);
    if (rc == 0)
        return NULL;
    return arena_printf(f->arena, "%s%snot in the ledger: %s", fix->reason ? fix->reason : "",
                        fix->reason ? "; " : "", err.text);
}

void doctor_fixed(struct doctor_fixing *f, const char *reason, const char *fmt, ...)
{
    va_list args;
    if (f->count == f->cap) {
        const size_t cap = f->cap ? f->cap * 2 : 16;
        struct supervisor_doctor_fix *list =
            arena_realloc(f->arena, f->list, f->cap * sizeof *list, cap * sizeof *list);
        if (!list)
            return;
        f->list = list;
        f->cap = cap;
    }
    struct supervisor_doctor_fix *fix = &f->list[f->count++];
    va_start(args, fmt);
    const char *action = arena_vprintf(f->arena, fmt, args);
    va_end(args);
    *fix = (struct supervisor_doctor_fix){.check = f->check->id,
                                          .action = action ? action : "out of memory",
                                          .ok = reason == NULL,
                                          .reason = reason ? arena_strdup(f->arena, reason) : NULL};
    const char *noted = ledger_write(f, fix);
    if (noted)
        fix->reason = noted;
}

/* ---- a backup, as `vx11 db backup` makes it ---- */

/* Reads what it says on stderr until it ends; its status, or -1 when it had to be killed. */
static int child_wait(pid_t pid, int errors, struct buf *said)
{
    const int64_t until = clock_mono_ms() + BACKUP_MS;
    int status = 0;
    char piece[512];
    for (;;) {
        struct pollfd p = {.fd = errors, .events = POLLIN};
        const int64_t left = until - clock_mono_ms();
        const int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            break;
        const ssize_t n = read(errors, piece, sizeof piece);
        if (n <= 0) {
            waitpid(pid, &status, 0);
            return status;
        }
        if (said->len < 4096)
            buf_append(said, piece, (size_t)n);
    }
    kill(pid, SIGTERM);
    for (int64_t end = clock_mono_ms() + LEFT_MS; clock_mono_ms() < end;) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return -1;
        poll(NULL, 0, 20);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -1;
}

void fix_backup(struct doctor_fixing *f)
{
    int fds[2] = {-1, -1};
    struct buf said = BUF_INIT;
    const char *exe = f->d->exe;
    if (!exe[0] || pipe2(fds, O_CLOEXEC) != 0) {
        doctor_fixed(f, "no process can be started", "vx11 db backup");
        return;
    }
    const pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {(char *)(uintptr_t)exe, (char *)(uintptr_t) "db", (char *)(uintptr_t) "backup", NULL};
        const int null = open("/dev/null", O_RDWR);
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(fds[1], STDERR_FILENO);
        execv(exe, argv);
        _exit(127);
    }
    close(fds[1]);
    const int status = pid > 0 ? child_wait(pid, fds[0], &said) : -1;
    close(fds[0]);
    if (pid > 0 && status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        doctor_fixed(f, NULL, "vx11 db backup");
    else
        doctor_fixed(f, said.len ? said.data : "it did not end well", "vx11 db backup");
    buf_free(&said);
}

/* ---- a scan, by Hermes ---- */

void fix_scan(struct doctor_fixing *f)
{
    const struct client_call_options options = ask_within(SCAN_MS);
    struct cli *c = f->d->c;
    struct ask a;
    for (size_t i = 0; i < f->count; i++)
        if (str_eq(f->list[i].action, "vx11 models scan"))
            return; /* two checks may want it */
    ask_begin(&a, c, &hermes_scan_reply_message);
    const bool done =
        ask_wait(&a, hermes_scan_call(c->client, cli_target(c, "hermes"), &options, ask_reply, &a, &a.call));
    doctor_fixed(f, done ? NULL : a.text, "vx11 models scan");
}

/* ---- all ---- */

void doctor_fix_all(struct doctor_fixing *f, const struct supervisor_doctor_report *report)
{
    for (size_t i = 0; i < doctor_check_count; i++) {
        bool wanted = false;
        for (size_t j = 0; j < report->checks_count && doctor_checks[i].fix; j++) {
            const struct supervisor_doctor_check *c = &report->checks[j];
            wanted = wanted || (c->state != DOCTOR_OK && c->fixable && str_eq(c->id, doctor_checks[i].id));
        }
        f->check = &doctor_checks[i];
        if (wanted && doctor_checks[i].fix)
            doctor_checks[i].fix(f);
    }
}
