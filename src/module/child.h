/* Child: one program run for a module, by argv, inside limits. The one way in which VX11 runs what is not its
 * own: command-line tools, allow-listed programs, Spawner's.
 *
 *   child_begin ─> fork ─> [session of its own, PDEATHSIG, rlimits, working folder] ─> exec (bwrap ─>)
 * program │                                                                             stdin, stdout, stderr
 *        └─ pidfd and pipes in the loop ─> on_output … ─> on_end, once, when all of it is over
 *
 * No shell: the program is an absolute path and every argument arrives as it is. The environment is the list
 * given and nothing else. The child leads a session and process group of its own, which is ended as a whole:
 * when its time is up (SIGTERM, then SIGKILL), when child_kill says so, and after its own end, so that what
 * it left running goes too. It dies with us.
 *
 * We fork ourselves in place of uv_spawn because libuv has no hook before the exec, where limits must be set;
 * a helper program would have to be found and trusted, and between fork and exec there are only system calls.
 * The end is read from a pidfd, so nothing is shared with libuv's own children.
 *
 * Bubblewrap adds a file system of its own (the system read-only, a private /tmp and HOME, the folders that
 * were named), a process namespace, and no network where none is wanted. Without it a child sees the files
 * that we see. Inside it the program's end by a signal is told as exit code 128 + signal. */
#ifndef VX11_MODULE_CHILD_H
#define VX11_MODULE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"

struct child;

enum child_sandbox { CHILD_SANDBOX_REQUIRED, CHILD_SANDBOX_PREFERRED, CHILD_SANDBOX_OFF };

struct child_limits {     /* 0: no limit */
    int64_t cpu_s;        /* processor seconds of one process */
    int64_t memory_bytes; /* address space of one process; programs that reserve much of it cannot live with
                             one */
    int64_t file_bytes;   /* size of a file that it writes */
    int64_t files;        /* open files of one process */
    int64_t processes;    /* processes and threads beside those that our user has already */
};

struct child_result {
    int exit_code;                     /* -1: ended by a signal, or never started */
    int term_signal;                   /* 0: none */
    bool timed_out;                    /* we ended it, for its time was up */
    bool killed;                       /* we ended it, for child_kill or the bound on its output */
    bool oom;                          /* the kernel ended it for want of memory, as far as can be told */
    bool out_truncated, err_truncated; /* more was written than the bounds allow */
    bool sandboxed;                    /* inside bubblewrap */
    uint64_t out_bytes, err_bytes;     /* written, dropped ones included */
    int64_t duration_ms, cpu_ms;
};

struct child_options {
    uv_loop_t *loop;
    const char *const *argv; /* argv[0]: absolute path of the program; ended by NULL */
    const char *const *env;  /* "NAME=value", ended by NULL; child_env_… makes one */
    const char *cwd;         /* absolute; writable inside the sandbox */
    const void *input;       /* bytes for its stdin, copied; NULL: stdin is at its end */
    size_t input_len;
    size_t out_max, err_max; /* bytes handed to on_output at most; 0: 1 MiB */
    bool end_at_out_max;     /* it is ended when its stdout passes out_max; else the rest is dropped */
    int64_t timeout_ms;      /* wall time; 0: none */
    int64_t grace_ms;        /* from SIGTERM to SIGKILL; 0: 2 s */
    struct child_limits limits;

    enum child_sandbox sandbox;
    bool network;                /* whether the sandbox lets it out */
    const char *const *readable; /* inside the sandbox besides the system's own; absent ones are left out */
    const char *const *writable; /* the same, to write to */
    const char *home;            /* an empty folder of that name is put there; NULL: none */

    /* fd is 1 or 2. */
    void (*on_output)(void *ctx, int fd, const char *data, size_t len);
    /* Once, later, last; the child is freed after it returns. */
    void (*on_end)(void *ctx, const struct child_result *result);
    void *ctx;
};

/* Copies what it needs. Errors, when nothing has been started and on_end never runs: VX11_EINVALID (no
 * absolute path), VX11_EUNSUPPORTED (the sandbox is required and cannot be had; the text says why),
 * VX11_ENOT_FOUND, VX11_EPERMISSION (the program), VX11_ETOO_LARGE (arguments), VX11_EUNAVAILABLE. */
int child_begin(const struct child_options *options, struct child **out, struct error *err);
/* Ends it now (SIGTERM, then SIGKILL after the grace); on_end still runs. Again: SIGKILL at once. */
void child_kill(struct child *c);
/* Nobody listens any more: neither callback runs from here on, and it is killed. For owners that go away. */
void child_abandon(struct child *c);
/* Back-pressure on its stdout. */
void child_pause(struct child *c);
void child_resume(struct child *c);
pid_t child_pid(const struct child *c);

/* Whether bubblewrap is here and works, tried once for each process. NULL: it does; else the reason. */
const char *child_sandbox_problem(void);

/* Whether the last part of path names a shell: programs whose arguments are programs have no place here. */
bool child_is_shell(const char *path);
/* Whether it is an interpreter that takes its program as an argument (python -c), and args give it one. */
bool child_is_inline_program(const char *path, const char *const *args, size_t n);

/* ---- environments ---- */
struct child_env {
    char **list; /* ended by NULL */
    size_t count, cap;
};
/* PATH (folder, when not NULL, before the system's), LANG and TERM=dumb. 0 or VX11_ENOMEM, as below. */
int child_env_init(struct child_env *env, const char *folder);
int child_env_set(struct child_env *env, const char *name, const char *value);
int child_env_pass(struct child_env *env, const char *name); /* ours, when we have it */
void child_env_free(struct child_env *env);

#endif
