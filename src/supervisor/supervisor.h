/* Supervisor: starts every module as a process of its own, watches it, starts it again with back-off, stops
 * it cleanly.
 *
 *   vx11 up ──fork──> vx11 run supervisor ──fork──> vx11 run link | switch | hermes …
 *                         │  run/supervisor.sock (status, restart, state, stop, reload, login link)
 *                         └─ each child: fd 3 tells "ready" or why it cannot start; /health every few seconds
 */
#ifndef VX11_SUPERVISOR_SUPERVISOR_H
#define VX11_SUPERVISOR_SUPERVISOR_H

#include <stddef.h>

#include "contract/config.h"

/* The modules that exist, front door first. */
struct supervised {
    const char *name;
    int (*port)(const struct config *config); /* configured TCP port */
};
extern const struct supervised supervisor_modules[];
extern const size_t supervisor_module_count;

/* `vx11 chore PID PRIORITY COMMAND…`: how the supervisor (process PID) starts its chores; not for people. */
#define CHORE_COMMAND "chore"
#define CHORE_LOW     "low"
#define CHORE_USUAL   "usual"
/* Has this process end when PID does and, for CHORE_LOW, work when nobody else wants the machine. -1: PID is
 * not its parent, or there is no such priority. */
int chore_begin(const char *pid, const char *priority);

/* Runs the supervisor until it is told to stop; returns the process's exit code. 2 when one runs already in
 * this $VX11_HOME. */
int supervisor_run(void);

#endif
