/* Db: the commands that look after the database, each in a file of its own. The table below is all that
 * help, completion and the way to them need. check, map, query and list read only and work whether VX11 runs
 * or not. */
#include "cli/db.h"

#include <string.h>

#include "base/str.h"

/* clang-format off */
const struct command db_commands[] = {
    {NULL, NULL, NULL, NULL, NULL, NULL},
};
/* clang-format on */

const struct command *db_command_find(const char *word)
{
    for (const struct command *c = db_commands; c->name; c++)
        if (strcmp(c->name, word) == 0)
            return c;
    return NULL;
}

static int db_unknown(const char *word)
{
    const char *names[COUNT_OF(db_commands)] = {NULL};
    size_t n = 0, near;
    while (db_commands[n].name) {
        names[n] = db_commands[n].name;
        n++;
    }
    if (str_nearest(word, names, n, &near, 1) > 0)
        return cli_fail(CLI_USAGE, "there is no command db %s; did you mean %s? (vx11 help db lists them)",
                        word, names[near]);
    return cli_fail(CLI_USAGE, "there is no command db %s (vx11 help db lists them)", word);
}

int command_db(int argc, char **argv)
{
    if (argc < 2)
        return cli_usage("db", "which of them? (vx11 help db lists them)");
    const struct command *c = db_command_find(argv[1]);
    if (!c)
        return db_unknown(argv[1]);
    if (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
        char *help[] = {argv[0], argv[0], argv[1], NULL};
        return command_help(3, help);
    }
    return c->run(argc - 1, argv + 1);
}
