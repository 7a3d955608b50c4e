/* Spawn: fork, the few system calls that must come before the exec, exec.
 *
 * Everything that can fail for want of memory, or that takes a lock, happens before the fork: other threads
 * may hold those locks, and in the child they would never be released. An exec that fails sends its errno
 * through a pipe that closes by itself when it succeeds, so the caller gets the reason at once. */
#include "module/child_internal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1u << 2)
#endif

enum { LIMIT_MOST = 6 };

struct limit {
    int resource;
    struct rlimit value;
};

/* Tasks of our user: RLIMIT_NPROC counts all of them, not those of the child alone. */
static int64_t tasks_of_user(void)
{
    int64_t tasks = 0;
    DIR *dir = opendir("/proc");
    const struct dirent *e;
    if (!dir)
        return 0;
    while ((e = readdir(dir)) != NULL) {
        char path[64], text[512];
        struct stat st;
        if (!isdigit((unsigned char)e->d_name[0]) ||
            snprintf(path, sizeof path, "/proc/%.20s/stat", e->d_name) < 0 || stat(path, &st) != 0 ||
            st.st_uid != getuid())
            continue;
        FILE *f = fopen(path, "re");
        size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
        if (f)
            (void)fclose(f);
        text[n] = '\0';
        /* After the name, which may hold anything, come state and 16 numbers; the next one is num_threads. */
        const char *p = strrchr(text, ')');
        for (int field = 2; p && field < 20; field++)
            p = strchr(p + 1, ' ');
        long threads = p ? strtol(p, NULL, 10) : 1;
        tasks += threads > 0 ? threads : 1;
    }
    closedir(dir);
    return tasks;
}

static void limit_add(struct limit *list, size_t *n, int resource, int64_t want, int64_t margin)
{
    struct rlimit now;
    if (want <= 0 || getrlimit((__rlimit_resource_t)resource, &now) != 0)
        return;
    rlim_t soft = (rlim_t)want, hard = (rlim_t)(want + margin);
    if (now.rlim_max != RLIM_INFINITY && hard > now.rlim_max)
        hard = now.rlim_max;
    list[(*n)++] = (struct limit){resource, {.rlim_cur = soft < hard ? soft : hard, .rlim_max = hard}};
}

static size_t limits_fill(const struct child_limits *l, struct limit *list)
{
    size_t n = 0;
    limit_add(list, &n, RLIMIT_CPU, l->cpu_s, 1); /* SIGXCPU, and a second later SIGKILL */
    limit_add(list, &n, RLIMIT_AS, l->memory_bytes, 0);
    limit_add(list, &n, RLIMIT_FSIZE, l->file_bytes, 0);
    limit_add(list, &n, RLIMIT_NOFILE, l->files, 0);
    limit_add(list, &n, RLIMIT_NPROC, l->processes > 0 ? l->processes + tasks_of_user() : 0, 0);
    list[n++] = (struct limit){RLIMIT_CORE, {0, 0}};
    return n;
}

/* ---- in the child: async-signal-safe calls only ---- */

static void signals_reset(void)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int sig = 1; sig < 32; sig++)
        (void)sigaction(sig, &plain, NULL); /* SIGKILL and SIGSTOP refuse, rightly */
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int close_others_on_exec(void)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
        return 0;
#endif
    for (int fd = 3; fd < 4096; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return 0;
}

static _Noreturn void run(const struct child_spawn *s, const struct limit *limits, size_t limit_count,
                          int report, pid_t parent)
{
    int null = s->in < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
    bool fine = setsid() >= 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent &&
                dup2(s->in < 0 ? null : s->in, STDIN_FILENO) >= 0 && dup2(s->out, STDOUT_FILENO) >= 0 &&
                dup2(s->err, STDERR_FILENO) >= 0 && close_others_on_exec() == 0 && chdir(s->cwd) == 0;
    (void)umask(077);
    for (size_t i = 0; fine && i < limit_count; i++)
        fine = setrlimit((__rlimit_resource_t)limits[i].resource, &limits[i].value) == 0;
    if (fine) {
        signals_reset();
        if (!s->sandboxed)
            (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        (void)execve(s->argv[0], (char *const *)(uintptr_t)s->argv, (char *const *)(uintptr_t)s->env);
    }
    int why = errno;
    ssize_t written = write(report, &why, sizeof why);
    _exit(written == sizeof why ? 127 : 126);
}

/* ---- in the parent ---- */

static int exec_failed(const struct child_spawn *s, int sys, struct error *err)
{
    if (sys == E2BIG)
        return error_set(err, VX11_ETOO_LARGE, "the arguments are more than the system takes");
    if (sys == ENOENT && access(s->argv[0], F_OK) == 0 && access(s->cwd, F_OK) == 0)
        return error_set(err, VX11_EUNAVAILABLE, "%.300s cannot be run: its interpreter is missing",
                         s->argv[0]);
    if (sys == ENOEXEC)
        return error_set(err, VX11_EUNAVAILABLE, "%.300s is no program", s->argv[0]);
    return error_set_errno(err, sys, "%.300s cannot be run", s->argv[0]);
}

int child_spawn(const struct child_spawn *s, pid_t *pid, int *pidfd, struct error *err)
{
    struct limit limits[LIMIT_MOST];
    int report[2], why = 0;
    sigset_t all, before;
    size_t limit_count = limits_fill(&s->limits, limits);
    if (pipe2(report, O_CLOEXEC) != 0)
        return error_set_errno(err, errno, "no pipe");
    pid_t parent = getpid();
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* none of our handlers runs in the child */
    *pid = fork();
    if (*pid == 0)
        run(s, limits, limit_count, report[1], parent);
    int sys = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (*pid < 0) {
        close(report[0]);
        return error_set_errno(err, sys, "no new process");
    }
    ssize_t n;
    do
        n = read(report[0], &why, sizeof why);
    while (n < 0 && errno == EINTR);
    close(report[0]);
    *pidfd = n == 0 ? (int)syscall(SYS_pidfd_open, *pid, 0) : -1;
    if (*pidfd >= 0) {
        (void)fcntl(*pidfd, F_SETFD, FD_CLOEXEC);
        return 0;
    }
    sys = n == 0 ? errno : why;
    (void)kill(-*pid, SIGKILL);
    (void)kill(*pid, SIGKILL);
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return n == 0 ? error_set_errno(err, sys, "the kernel cannot watch a process (pidfd_open)")
                  : exec_failed(s, sys, err);
}
