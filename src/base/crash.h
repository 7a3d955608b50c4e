/* Crash capture: on SIGSEGV, SIGABRT, SIGBUS, SIGFPE and SIGILL an async-signal-safe report is written to a
 * file that was named beforehand, then the signal's default action follows (so the parent sees the true
 * status). */
#ifndef VX11_BASE_CRASH_H
#define VX11_BASE_CRASH_H

#include "base/error.h"

struct crash_options {
    const char *dir; /* forensic folder; created reports are DIR/crash-MODULE-EPOCHMS-PID.txt, mode 0600 */
    const char *module;
    const char *version;
    const char *build_id; /* NULL: read from the executable's own notes */
};

/* Installs the handlers on an alternate stack. Call once per process, after log_open. */
int crash_install(const struct crash_options *options, struct error *err);

#endif
