/* Run: a module's process. The engine is a program of its own, the only one that loads libllama; it is found
 * beside this one. */
#include "cli/cli_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "module/module.h"
#include "supervisor/supervisor.h"

#define NOTIFY_FD 3 /* as the supervisor gives it (module.h) */

static int run_engine(int argc, char **argv)
{
    static const char *const places[] = {"vx11-engine", "../lib/vx11/vx11-engine"};
    char exe[4096], path[8300];
    (void)argc;
    if (fs_self_exe(exe, sizeof exe) != 0)
        return cli_fail(CLI_FAILED, "the path of this program cannot be read");
    char *slash = strrchr(exe, '/');
    if (slash)
        *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", exe, places[i]);
        if (access(path, X_OK) != 0)
            continue;
        argv[0] = path;
        execv(path, argv);
        return cli_fail(CLI_FAILED, "%s cannot be run: %s", path, strerror(errno));
    }
    return cli_fail(CLI_FAILED, "vx11-engine is not beside %s/vx11 nor in ../lib/vx11", exe);
}

/* A module that the supervisor started ends with it, even when that is killed: left alone it would hold
 * sockets and ports against the next start. The supervisor's pipe tells it from a module that a person runs
 * in a shell. */
static void end_with_supervisor(void)
{
    struct stat st;
    struct pollfd pipe = {.fd = NOTIFY_FD};
    if (fstat(NOTIFY_FD, &st) != 0 || (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode)))
        return;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    /* It may have ended before: then nobody reads the pipe any more. */
    if (poll(&pipe, 1, 0) == 1 && (pipe.revents & (POLLERR | POLLHUP)))
        _exit(CLI_FAILED);
}

int command_run(int argc, char **argv)
{
    if (argc < 2)
        return cli_usage("run", "which module?");
    if (strcmp(argv[1], "engine") == 0)
        return run_engine(argc - 1, argv + 1);
    if (argc > 2)
        return cli_usage("run", "unknown argument %s", argv[2]);
    if (strcmp(argv[1], "supervisor") == 0)
        return supervisor_run();
    for (size_t i = 0; i < cli_module_count; i++)
        if (strcmp(cli_modules[i].name, argv[1]) == 0) {
            end_with_supervisor();
            return module_run(cli_modules[i].spec);
        }
    struct buf names = BUF_INIT;
    for (size_t i = 0; i < cli_module_count; i++)
        buf_printf(&names, "%s, ", cli_modules[i].name);
    int code = cli_usage("run", "there is no module %s; there are %sengine and supervisor", argv[1],
                         names.data ? names.data : "");
    buf_free(&names);
    return code;
}
