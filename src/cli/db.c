/* Db: the commands that look after the database, each in a file of its own. The table below is all that
 * help, completion and the way to them need. check, map, query and list read only and work whether VX11 runs
 * or not. */
#include "cli/db.h"

#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/str.h"
#include "module/module.h"

/* clang-format off */
const struct command db_commands[] = {
    {"check", "[--quick] [--timeout T] [--limit N] [--file F] [--json]",
     "Is it sound? Pages, keys, values, JSON, orphans, schema; growth and forecast.",
     "  --quick        without the steps that read every row\n"
     "  --timeout T    longest time for all of it; what is not done then is said\n"
     "  --limit N      list so many findings at most (200); all are counted\n"
     "  --file F       this file, also a backup or another program's\n"
     "  --json         as JSON\n"
     "The exit code is 0 when it is sound, 1 with problems, 2 with warnings only, 3 when it could not be\n"
     "checked, or not to its end.\n",
     "--quick --timeout --limit --file --json", command_db_check},
    {"map", "[--format markdown|json|mermaid] [--output FILE] [--sizes] [--file F | --new]",
     "Every table: whose it is, what it holds, what points where.",
     "  --format F     markdown (the default; with a drawing), json, or mermaid: the drawing alone\n"
     "  --output FILE  write it there instead of printing it\n"
     "  --sizes        count rows and pages too: reads the whole file\n"
     "  --file F       of this file, also a backup or another program's\n"
     "  --new          of a new database of this version\n",
     "--format --output --sizes --file --new markdown json mermaid", command_db_map},
    {"query", "\"SELECT …\"|- [--format table|json|jsonl|csv] [--limit N] [--timeout T] [--bytes N] [--file F]",
     "Ask the database something; it only reads.",
     "  -              the statement comes in by standard input\n"
     "  --format F     table (the default), json, jsonl (an object on each line) or csv; --json is --format json\n"
     "  --limit N      so many rows at most (1000); a note on stderr says when there are more\n"
     "  --bytes N      so many bytes of values at most (16 MiB)\n"
     "  --timeout T    longest time (10s)\n"
     "  --file F       of this file, also a backup or another program's\n"
     "One statement that reads: nothing is written, attached or loaded. Hashes of tokens, cookies and login codes\n"
     "and the leases of jobs read as NULL. The exit code is 64 for a statement that is wrong, 77 for one that is\n"
     "not allowed, 124 when its time ran out.\n",
     "- --format --limit --timeout --bytes --file --json table json jsonl csv", command_db_query},
    {"backup", "[--output FILE] [--compress] [--encrypt] [--json] | --new-key FILE",
     "Make a copy of the database while VX11 runs, and check it.",
     "  --output FILE    write it there, not into the home's backups\n"
     "  --compress       with zstd; --level 1-19, --long: look for repetitions further away\n"
     "  --encrypt        seal it with the key of supervisor.backup.key_file, or of --key-file FILE\n"
     "  --new-key FILE   make such a key; nothing else\n"
     "  --configured     in the form that the configuration says\n"
     "  --scheduled      the same, as daily, weekly or monthly one, and prune then\n"
     "  --json           as JSON\n",
     "--output --compress --level --long --encrypt --key-file --new-key --configured --scheduled --json", command_db_backup},
    {"list", "[--json]",
     "The backups: when, how large, and whether they are whole.",
     "  --json         as JSON\n",
     "--json", command_db_list},
    {"verify", "NAME|FILE|--all [--key-file FILE] [--json]",
     "Read backups to the last byte, and the database in them.",
     "  --all            every one\n"
     "  --key-file FILE  key of those that are sealed (supervisor.backup.key_file)\n"
     "  --json           as JSON\n"
     "The exit code is 1 when one is not whole.\n",
     "--all --key-file --json", command_db_verify},
    {"prune", "[--dry-run] [--json]",
     "Delete the backups beyond the counts of supervisor.backup.keep_*.",
     "  --dry-run      only say which\n"
     "  --json         as JSON\n"
     "The newest verified one always stays.\n",
     "--dry-run --json", command_db_prune},
    {"restore", "NAME|FILE [--stop] [--yes] [--key-file FILE] [--json]",
     "Put a backup in the database's place; the present one is kept.",
     "  --stop           stop VX11 for it, and start it again; --no-start: leave it stopped\n"
     "  --yes            do not ask\n"
     "  --key-file FILE  key, when it is sealed (supervisor.backup.key_file)\n"
     "  --json           as JSON\n",
     "--stop --no-start --yes --key-file --json", command_db_restore},
    {"import", "FILE [--dry-run] [--report F] [--json]",
     "Take over what has a place here from a predecessor's vx11.db.",
     "  FILE         is only read; nothing appears beside it\n"
     "  --dry-run    say what would become of each table; write nothing\n"
     "  --report F   write the report there, as Markdown\n"
     "  --json       the report as JSON\n"
     "A second run takes over only what is new. Sessions come with their messages, and of incidents each once\n"
     "with a count; the report names every other table with the reason why it was left. The exit code is 1 when\n"
     "the file could not be read to its end.\n",
     "--dry-run --report --json", command_db_import},
    {"maintain", "[--dry-run] [--compact [--stop]] [--no-backup] [--report FILE] [--json] | --last",
     "Look after the database: back up, let old rows leave, give room back, check.",
     "  --dry-run        say what would leave; change nothing\n"
     "  --compact        make the file anew as a whole: nothing else may run\n"
     "  --stop           stop VX11 for that, and start it again; --no-start: leave it stopped\n"
     "  --no-backup      make no backup before rows leave\n"
     "  --key-file FILE  seal the backup with it (supervisor.backup.key_file)\n"
     "  --report FILE    write the report there: NAME.json as JSON, all else as Markdown\n"
     "  --last           the report of the latest run; nothing is done\n"
     "  --json           the report as JSON\n"
     "  --scheduled      as the supervisor does it: waits for other work on the file\n"
     "Rows that leave are in the archive first (vx11 db archive). The exit code is 1 when a step failed; what was\n"
     "not safe after that was left out, and the report says so.\n",
     "--dry-run --compact --stop --no-start --no-backup --key-file --report --last --json --scheduled", command_db_maintain},
    {"archive", "[list|verify [TABLE] [--json]] | show FILE",
     "Rows that left the database: which files there are, and whether they are whole.",
     "  list         files, rows, bytes, times\n"
     "  verify       read every byte, and compare it with what was noted when it was written\n"
     "  show FILE    its lines: a header, then a row on each as JSON, named after its table\n"
     "  --json       as JSON\n"
     "The exit code is 1 when a file is missing or damaged.\n",
     "list verify show --json", command_db_archive},
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

int db_file(const char *file, char *out, size_t size)
{
    char home[4096], config_file[4096];
    struct error err = {0};
    struct config *config = NULL;
    if (file)
        return (size_t)snprintf(out, size, "%s", file) < size
                   ? 0
                   : cli_fail(CLI_USAGE, "the path of --file is too long");
    int rc = fs_home(home, sizeof home, &err);
    if (rc == 0)
        rc = config_path(config_file, sizeof config_file, &err);
    if (rc == 0)
        rc = config_load(config_file, &config, &err);
    if (rc == 0 && (rc = module_store_path(config, home, out, size)) != 0)
        error_set(&err, rc, "the path of the database is too long");
    config_free(config);
    return rc == 0 ? 0 : cli_fail(CLI_CONFIG, "%s", err.text);
}

int db_code_of(int rc)
{
    return rc == VX11_EPERMISSION ? CLI_REFUSED : rc == VX11_ETIMEOUT ? CLI_TIMEOUT : CLI_FAILED;
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
