/* The command line: each command is a thin client of a module's API, or `run`, which is a module's process.
 */
#ifndef VX11_CLI_CLI_H
#define VX11_CLI_CLI_H

#include <stddef.h>

/* What an exit code means, for every command (documented in docs/cli.md and `vx11 help`). */
enum {
    CLI_OK = 0,
    CLI_FAILED = 1,        /* the command could not do what was asked; stderr says why */
    CLI_USAGE = 64,        /* wrong arguments (EX_USAGE) */
    CLI_NOT_RUNNING = 69,  /* VX11 does not run, or the module does not answer (EX_UNAVAILABLE) */
    CLI_REFUSED = 77,      /* not allowed: token or permission (EX_NOPERM) */
    CLI_TIMEOUT = 124,     /* what was asked for ran out of its time */
    CLI_CONFIG = 78,       /* the configuration is wrong (EX_CONFIG) */
    CLI_INTERRUPTED = 130, /* Ctrl-C */
};

struct module_spec;

/* The modules that `vx11 run` can be: main.c has the table, since only the program sees them all. */
struct cli_module {
    const char *name;
    const struct module_spec *spec;
};
extern const struct cli_module cli_modules[];
extern const size_t cli_module_count;

int cli_main(int argc, char **argv);

#endif
