/* The commands of `vx11 db`: a table like cli_commands. To add one: a function here, a line in db.c. */
#ifndef VX11_CLI_DB_H
#define VX11_CLI_DB_H

#include "cli/cli_internal.h"

/* Ends with a NULL name. A command's argv[0] is its own word ("check"); to cli_usage and cli_option it is
 * named "db check". */
extern const struct command db_commands[];
const struct command *db_command_find(const char *word);

/* The database's path: `file` when it is given, else as the configuration has it. 0, or an exit code after
 * having said why. */
int db_file(const char *file, char *out, size_t size);
/* The exit code that goes with a VX11_E… of the store. */
int db_code_of(int rc);

int command_db_check(int argc, char **argv);
int command_db_map(int argc, char **argv);
int command_db_query(int argc, char **argv);
int command_db_backup(int argc, char **argv);
int command_db_list(int argc, char **argv);
int command_db_verify(int argc, char **argv);
int command_db_prune(int argc, char **argv);
int command_db_restore(int argc, char **argv);
int command_db_import(int argc, char **argv);
int command_db_maintain(int argc, char **argv);
int command_db_archive(int argc, char **argv);

#endif
