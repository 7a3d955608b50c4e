#include "base/proc.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NICENESS 10
/* linux/ioprio.h: best effort, the last of its eight levels */
#define IOPRIO_PROCESS 1
#define IOPRIO_LAST    (2 << 13 | 7)

void proc_lower_thread(void)
{
    const id_t thread = (id_t)syscall(SYS_gettid);
    if (getpriority(PRIO_PROCESS, thread) < NICENESS)
        (void)setpriority(PRIO_PROCESS, thread, NICENESS);
    (void)syscall(SYS_ioprio_set, IOPRIO_PROCESS, 0, IOPRIO_LAST);
}
