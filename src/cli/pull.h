/* vx11 models pull, pulls, catalogue. */
#ifndef VX11_CLI_PULL_H
#define VX11_CLI_PULL_H

#include "cli/cli_internal.h"

bool pull_is_command(const char *name);
int pull_command(int argc, char **argv); /* argv[0] "models", argv[1] one of these */

#endif
