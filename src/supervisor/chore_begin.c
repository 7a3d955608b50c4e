/* A chore's own process, before it becomes the command: it works when nobody else wants the machine. */
#include "supervisor/supervisor.h"

#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"

#define CHORE_NICE 10
/* linux/ioprio.h: best effort, the last of its eight levels */
#define IOPRIO_PROCESS 1
#define IOPRIO_LAST    (2 << 13 | 7)

int chore_begin(const char *pid)
{
    int64_t parent;
    if (str_to_i64(pid, 1, INT32_MAX, &parent) != 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 ||
        getppid() != (pid_t)parent)
        return -1;
    /* Neither is needed for the work to be right: a system that refuses them runs it at the usual priority.
     */
    (void)setpriority(PRIO_PROCESS, 0, CHORE_NICE);
    (void)syscall(SYS_ioprio_set, IOPRIO_PROCESS, 0, IOPRIO_LAST);
    return 0;
}
