/* Run: a module's process. The engine is a program of its own, the only one that loads libllama; it is found
 * beside this one. */
#include "cli/cli_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "module/module.h"
#include "supervisor/supervisor.h"

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
        if (strcmp(cli_modules[i].name, argv[1]) == 0)
            return module_run(cli_modules[i].spec);
    struct buf names = BUF_INIT;
    for (size_t i = 0; i < cli_module_count; i++)
        buf_printf(&names, "%s, ", cli_modules[i].name);
    int code = cli_usage("run", "there is no module %s; there are %sengine and supervisor", argv[1],
                         names.data ? names.data : "");
    buf_free(&names);
    return code;
}
