/* A chore's own process, before it becomes the command. */
#include "supervisor/supervisor.h"

#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/proc.h"
#include "base/str.h"

int chore_begin(const char *pid, const char *priority)
{
    int64_t parent;
    const bool low = str_eq(priority, CHORE_LOW);
    if ((!low && !str_eq(priority, CHORE_USUAL)) || str_to_i64(pid, 1, INT32_MAX, &parent) != 0 ||
        prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != (pid_t)parent)
        return -1;
    if (low)
        proc_lower_thread();
    return 0;
}
