/* Child, inside: what child.c, child_spawn.c and child_sandbox.c share. */
#ifndef VX11_MODULE_CHILD_INTERNAL_H
#define VX11_MODULE_CHILD_INTERNAL_H

#include "module/child.h"

/* What the new process is made of. */
struct child_spawn {
    const char *const *argv;
    const char *const *env;
    const char *cwd;
    int in, out, err; /* its ends of the pipes; in -1: /dev/null */
    struct child_limits limits;
    bool sandboxed; /* argv begins with bwrap, which drops privileges itself and may need its own before */
};
/* Forks and executes. 0, *pid and *pidfd (close it); or an error and no process. */
int child_spawn(const struct child_spawn *s, pid_t *pid, int *pidfd, struct error *err);

/* The whole command line with bubblewrap before it, NULL-ended. One block: free it. NULL: out of memory. */
const char **child_sandbox_argv(const struct child_options *o);
/* bwrap's path. */
const char *child_sandbox_program(void);

#endif
