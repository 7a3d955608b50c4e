/* See guard.h. Nothing here allocates, and there is one thread: between fork and exec anything may run. */
#include "base/guard.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

#define END_S 2 /* from SIGTERM to SIGKILL once the parent is gone */

static void run_program(pid_t guard, const sigset_t *old, char **argv)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != guard)
        _exit(1);
    (void)sigprocmask(SIG_SETMASK, old, NULL);
    (void)dup2(STDERR_FILENO, STDOUT_FILENO);
    execv(argv[0], argv);
    (void)fprintf(stderr, "%s cannot be started: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* Ends as the program did. */
static void end_as(int status)
{
    if (WIFEXITED(status))
        _exit(WEXITSTATUS(status));
    const struct rlimit none = {0, 0};
    const int sig = WTERMSIG(status);
    sigset_t one;
    (void)setrlimit(RLIMIT_CORE, &none); /* the core, if any, is the program's */
    (void)signal(sig, SIG_DFL);
    (void)sigemptyset(&one);
    (void)sigaddset(&one, sig);
    (void)raise(sig);
    (void)sigprocmask(SIG_UNBLOCK, &one, NULL);
    _exit(128 + sig);
}

static void reap(pid_t program)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == program)
            end_as(status);
    }
}

static int64_t left_of(const struct timespec *until)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)(until->tv_sec - now.tv_sec) * 1000 + (until->tv_nsec - now.tv_nsec) / 1000000;
}

static void watch(pid_t parent, pid_t program, const sigset_t *set)
{
    struct timespec until = {0, 0};
    for (;;) {
        const int64_t left = until.tv_sec ? left_of(&until) : 3600 * 1000;
        const struct timespec wait = {left > 0 ? left / 1000 : 0, left > 0 ? left % 1000 * 1000000 : 0};
        if (until.tv_sec && left <= 0)
            (void)kill(0, SIGKILL); /* us too */
        (void)sigtimedwait(set, NULL, &wait);
        reap(program);
        if (getppid() != parent && until.tv_sec == 0) {
            (void)clock_gettime(CLOCK_MONOTONIC, &until);
            until.tv_sec += END_S;
            (void)kill(0, SIGTERM);
        }
    }
}

int guard_main(int argc, char **argv)
{
    static const int heeded[] = {SIGCHLD, SIGUSR1, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGPIPE};
    int64_t parent;
    sigset_t set, old;
    if (argc < 4 || str_to_i64(argv[1], 1, INT32_MAX, &parent) != 0 || strcmp(argv[2], "--") != 0 ||
        argv[3][0] != '/') {
        (void)fputs("guard: wants a process id, -- and a program\n", stderr);
        return 64;
    }
    (void)sigemptyset(&set);
    for (size_t i = 0; i < COUNT_OF(heeded); i++)
        (void)sigaddset(&set, heeded[i]);
    (void)sigprocmask(SIG_BLOCK, &set, &old);
    (void)prctl(PR_SET_PDEATHSIG, SIGUSR1);
    if (getppid() != (pid_t)parent)
        return 1;
    (void)sigemptyset(&old);
    const pid_t self = getpid(), program = fork();
    if (program < 0) {
        (void)fprintf(stderr, "guard: %s\n", strerror(errno));
        return 1;
    }
    if (program == 0)
        run_program(self, &old, argv + 3);
    watch((pid_t)parent, program, &set);
    return 1;
}
