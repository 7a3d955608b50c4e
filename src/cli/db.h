/* The commands of `vx11 db`: a table like cli_commands. To add one: a function here, a line in db.c. */
#ifndef VX11_CLI_DB_H
#define VX11_CLI_DB_H

#include "cli/cli_internal.h"

/* Ends with a NULL name. A command's argv[0] is its own word ("check"); to cli_usage and cli_option it is
 * named "db check". */
extern const struct command db_commands[];
const struct command *db_command_find(const char *word);

#endif
