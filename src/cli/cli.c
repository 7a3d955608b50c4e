/* Cli: the table of commands, help, and the way to one. */
#include "cli/cli_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/cli.h"
#include "base/guard.h"
#include "base/str.h"
#include "cli/db.h"
#include "supervisor/supervisor.h"
#include "version.h"

/* clang-format off */
const struct command cli_commands[] = {
    {"up", "[--detach]",
     "Start everything.",
     "  --detach   return when every module is healthy; without it a status screen\n"
     "             runs here, and leaving it stops everything\n",
     "--detach", command_up},
    {"down", "[--now]",
     "Stop everything cleanly.",
     "  --now      cancel running requests instead of letting them finish\n",
     "--now", command_down},
    {"restart", "[MODULE]",
     "Restart one module, or every one.",
     NULL,
     "@modules", command_restart},
    {"status", "[--json] [--watch]",
     "Each module's process, health, memory, and the page's address.",
     "  --json     as JSON\n"
     "  --watch    again every second, until q or Ctrl-C\n"
     "The exit code is 1 when something is not healthy.\n",
     "--json --watch", command_status},
    {"top", "[-d SECONDS] [--sort COLUMN] [--reverse] [--filter TEXT] [--once] [--json] [--ascii]",
     "What every module and engine does now, and did in the last minutes.",
     "  -d SECONDS     draw so often (2); 500ms to 60s\n"
     "  --sort COLUMN  order, name, state, health, cpu, memory, requests, p50, p95, errors, in-flight,\n"
     "                 queue, tokens; --reverse turns it round\n"
     "  --filter TEXT  only what has this in its name\n"
     "  --once         one look, as text (also when standard output is no terminal)\n"
     "  --json         one look, as JSON\n"
     "  --ascii        no other characters (the default where the locale has none)\n"
     "q leaves, h lists the keys.\n",
     "-d --sort --reverse --filter --once --json --ascii", command_top},
    {"doctor", "[--json|--markdown] [--output FILE] [--only ID,...] [--fix] [--deep] [--history] [--timeout T]",
     "Look whether VX11 is ready for use, and say what mends it.",
     "  --json          the report as JSON\n"
     "  --markdown      as Markdown\n"
     "  --output FILE   write it there; what is not ok is still printed\n"
     "  --only ID,...   only these checks, or groups of them: modules, database, models, backup,\n"
     "                  machine, logs, queue, crashes, ports, permissions, sidecars, libraries, config\n"
     "  --fix           mend what is safe to mend (permissions, folders, leftovers, a missing backup,\n"
     "                  a scan of the models, a large write-ahead log), then look again\n"
     "  --deep          hash every model and have Hermes load it\n"
     "  --history       the reports of earlier looks\n"
     "  --timeout T     longest time for one check, 500ms to 1h (doctor.timeout_ms)\n"
     "  --scheduled     keep it as a look that nobody asked for\n"
     "What cannot be measured counts as failed. The exit code is 0 when ready, 1 when not, 2 when ready with\n"
     "warnings, 3 when it could not run.\n",
     "--json --markdown --output --only --fix --deep --history --timeout --scheduled", command_doctor},
    {"logs", "[MODULE] [-f] [--since TIME] [--level LEVEL] [-n RECORDS]",
     "Read the logs, of all modules by time.",
     "  -f, --follow   go on with what comes, after the last 10 records\n"
     "  --since TIME   15m, 2h, 7d ago, or 2026-11-22T14:45:04Z\n"
     "  --level LEVEL  trace, debug, info, warn or error: this one and worse\n"
     "  -n RECORDS     only the last so many\n",
     "@modules -f --since --level -n", command_logs},
    {"chat", "[PROMPT] [-] [--model M] [--system TEXT] [--session new|last|ID] [--json]",
     "Talk to a model; in a pipe, answer what comes in.",
     "  -              with a PROMPT: what comes in by standard input goes below it\n"
     "  --model M      model to ask (vx11 models list)\n"
     "  --system TEXT  instructions that come first\n"
     "  --session S    the operator keeps the conversation: a new one, the last one, or an id\n"
     "  --json         the whole reply as JSON, not streamed\n"
     "  --             what follows is the PROMPT, even if it begins with a dash\n"
     "VX11_URL and VX11_TOKEN name another front door than the one in this home.\n",
     "--model --system --session new last --json", command_chat},
    {"embed", "[TEXT...] [--model M] [--dimensions N] [--json]",
     "Turn texts into vectors; without a TEXT each line that comes in.",
     "  --model M       model to ask (vx11 models list)\n"
     "  --dimensions N  only the first N numbers of each, scaled to length 1\n"
     "  --json          the whole reply as JSON\n"
     "  --              what follows are texts, even if they begin with a dash\n"
     "A vector on each line, as JSON. VX11_URL and VX11_TOKEN as for chat.\n",
     "--model --dimensions --json", command_embed},
    {"sessions", "list|show ID|search WORDS|export ID|rename ID TITLE|delete ID...",
     "Conversations that the operator keeps.",
     "  list [--query WORDS] [--topic T] [--limit N]\n"
     "                     the latest first\n"
     "  show ID [--limit N]\n"
     "                     its messages\n"
     "  search WORDS       messages that have all of them; \"in quotes\" as they stand\n"
     "  export ID [--output FILE]\n"
     "                     as Markdown; with --json everything that is stored\n"
     "  rename ID TITLE    give it another title\n"
     "  delete ID...       with its messages and files\n"
     "  --json             as JSON\n"
     "ID may be last (not to delete): the one that was used last.\n",
     "list show search export rename delete last --query --topic --limit --output --json", command_sessions},
    {"browse", "URL|list|show ID|cancel ID [--screenshot F] [--text] [--snapshot] [--script F] [--timeout T]",
     "Have the operator's browser open a page and do something there.",
     "  URL              open it (http or https) and tell what is there\n"
     "    --screenshot F save a picture of the page's end; - is standard output\n"
     "    --text         print the page's text\n"
     "    --snapshot     print its accessibility tree\n"
     "    --script F     actions to do there, as JSON or YAML; - is standard input\n"
     "    --timeout T    longest time for all of it, 1s to 10m\n"
     "    --no-wait      print the task's id and leave it running; --wait (the default)\n"
     "                   follows it, and Ctrl-C cancels it\n"
     "  list [--limit N] the latest tasks\n"
     "  show ID          what one found\n"
     "  cancel ID        end one\n"
     "  --json           the task as JSON\n"
     "The exit code is 1 when the task failed, 69 without a browser, 77 for an address that is refused,\n"
     "124 when its time ran out.\n",
     "list show cancel --screenshot --text --snapshot --script --timeout --no-wait --wait --limit --json", command_browse},
    {"models", "list|show NAME|add FILE [--name N]|pull SOURCE|pulls|catalogue|remove NAME|scan|engines|unload NAME|warm NAME...|pin NAME|unpin NAME|plan NAME",
     "The models and the engines that run them.",
     "  list           models on this machine and of other providers\n"
     "  show NAME      all that is known of one\n"
     "  add FILE       register a GGUF file where it lies\n"
     "  pull SOURCE [--name N] [--revision R] [--rate 5MiB] [--no-wait]\n"
     "                 download a model: a name of the catalogue, hf:OWNER/REPO[:FILE or\n"
     "                 QUANTISATION][@REVISION], an https:// or file:// URL; --cancel ID [--discard]\n"
     "                 ends a download (Ctrl-C does not)\n"
     "  pulls          the downloads, and how far they are\n"
     "  catalogue      models that can be pulled by name\n"
     "  remove NAME    forget a model; its file stays, unless VX11 downloaded it and\n"
     "                 --delete-file is given\n"
     "  scan           look through the models folders now\n"
     "  engines        the processes that hold loaded models\n"
     "  unload NAME    stop a model's engine\n"
     "  warm NAME...   load it and have it generate [--tokens N] [--timeout-ms N]\n"
     "  pin|unpin NAME keep it once it is loaded; do so no longer\n"
     "  plan NAME      what would be unloaded to load it; nothing is done\n"
     "  --json         as JSON (list, show, add, scan, engines)\n",
     "list show add pull pulls catalogue remove scan engines unload warm pin unpin plan --json", command_models},
    {"warmup", "[NAME...] [--models N] [--within-ms N] [--strict] [--json]",
     "Check that the models are ready: five checks on the VX11 that runs.",
     "  NAME...        models to use; else --models N are chosen (2)\n"
     "  --within-ms N  longest time for an answer (5000)\n"
     "  --strict       the time to load counts too\n"
     "  --age-ms N     a model unused for so long may be rotated out (300000)\n"
     "  --json         as JSON\n"
     "It uses, loads and unloads models. The exit code is 1 when a check fails, 3 when VX11 does not run.\n",
     "@models --models --within-ms --strict --age-ms --json", command_warmup},
    {"tools", "[list|detect|enable|disable|test]",
     "Command-line tools that answer prompts.",
     "  list                   what they are, and why one cannot be used\n"
     "  detect [--apply] [NAME]\n"
     "                         look for their programs; --apply writes what is found\n"
     "  enable NAME            allow its use\n"
     "  disable NAME           allow it no longer\n"
     "  test NAME              run it once, with a harmless prompt\n"
     "  --json                 as JSON\n",
     "list detect enable disable test --apply --json", command_tools},
    {"discover", "[--apply] [--web [--query TEXT]]",
     "Look for models and tools; a plan unless --apply.",
     "  --apply         write what is found in the folders, and the tools' programs\n"
     "  --web           search the hub too (hermes.hub.search must allow it)\n"
     "  --query TEXT    what to search it for\n"
     "  --json          as JSON\n",
     "--apply --web --query --json", command_discover},
    {"providers", "[list|add|remove]",
     "Providers elsewhere, added while VX11 runs.",
     "  list            those that were added\n"
     "  add NAME        --preset PRESET or --url URL, [--kind openai|anthropic],\n"
     "                  [--key-env NAME or --key-file FILE], [--model NAME]...\n"
     "  remove NAME\n"
     "  --json          as JSON\n",
     "list add remove --preset --url --kind --key-env --key-file --model --json", command_providers},
    {"modules", "[set NAME active|standby|off [--reason TEXT]]",
     "The modules' states; set one.",
     "  active     serves\n"
     "  standby    runs, but refuses work\n"
     "  off        is stopped, and stays so\n",
     "set @modules", command_modules},
    {"token", "show|list|create|limits|rotate|promote|revoke",
     "Access tokens.",
     "  show               print the owner's token\n"
     "  list [--json]      names, scopes, times; never secrets\n"
     "  create NAME [--scope S,S] [--expires 30d] [limits]\n"
     "                     make one and print it, once; scopes: read chat act admin publish\n"
     "                     (read,chat when none are given)\n"
     "  limits NAME [--expires 30d|never] [--unlimited] [limits] [--json]\n"
     "                     show what it may use and what it used; change what is given\n"
     "      --models LIST            MODEL, ALIAS or PROVIDER/MODEL, * stands for any text: local/*,fast; all\n"
     "      --requests-per-minute N  --concurrent N\n"
     "      --tokens-per-day N       --tokens-per-month N    UTC days and months\n"
     "      --cost-per-month AMOUNT  in switch.currency\n"
     "      --local-only             its requests never leave the machine (--no-local-only: they may)\n"
     "      --mode MODE              of requests that name none; none (or 0) takes a limit away\n"
     "  rotate [NAME]      make the next one; both work (the owner's when there is no NAME)\n"
     "  promote [NAME]     the next one becomes the current one; the earlier one stops working\n"
     "  revoke NAME|ID     make one stop working\n",
     "show list create limits rotate promote revoke --scope --name --expires --models --requests-per-minute "
     "--concurrent --tokens-per-day --tokens-per-month --cost-per-month --local-only --no-local-only --mode "
     "--unlimited --json",
     command_token},
    {"login", "",
     "Print a new one-time link to the page.",
     NULL,
     "", command_login},
    {"config", "check|show [--origin]|path|reload|default",
     "The configuration.",
     "  check            is it right? names the line when not\n"
     "  show [--origin]  the values in force, and where each comes from\n"
     "  path             where the file is\n"
     "  reload           apply the file's changes to what runs\n"
     "  default          a file with every key, its default and its meaning\n",
     "check show path reload default --origin", command_config},
    {"db", "WORD [ARGUMENTS]",
     "The database: check it, look into it, look after it.",
     NULL, /* from db_commands */
     "", command_db},
    {"ledger", "verify|tail|export|accept",
     "What was decided and changed, and by whom: a chain that shows any change to it.",
     "  verify [--file EXPORT] [--head NUMBER:HASH]\n"
     "                     walk along the whole chain, or along an export of it (- is standard input);\n"
     "                     --head: a last row that was noted earlier must still be in it\n"
     "  tail [-n ROWS] [-f] [--kind KIND]\n"
     "                     the last rows (20), then what comes; a KIND with a dot at its end (token.)\n"
     "                     stands for all that begin so\n"
     "  export [--output FILE] [--format jsonl|json] [--force]\n"
     "                     all that verify --file needs, one row a line\n"
     "  accept --reason TEXT\n"
     "                     the anchor beside the database knows rows that are not there, and you know why\n"
     "                     (a file copied back by hand): from now on it says what the ledger says\n"
     "  --json             as JSON\n"
     "The exit code of verify is 0 when the ledger is sound, 1 when not, 3 when it could not be read. All of\n"
     "it works whether VX11 runs or not.\n",
     "verify tail export accept --file --head -n -f --kind --output --format --force --reason --json",
     command_ledger},
    {"forensic", "list|show ID|bundle|prune",
     "Crash reports: what crashed where, and a bundle for a bug report.",
     "  list [--limit N]   the newest first\n"
     "  show ID            where it crashed, with functions and lines where they can be known;\n"
     "                     ID may be last\n"
     "  bundle [--output FILE] [--include-crashes N] [--log-records N] [--force]\n"
     "                     a .tar.zst of versions, configuration, logs, schema, health and crash\n"
     "                     reports, secrets hidden; 5 reports and 2000 records of each log\n"
     "  prune [--dry-run]  delete the reports beyond supervisor.forensic.keep_*\n"
     "  --json             as JSON\n"
     "All of it works whether VX11 runs or not.\n",
     "list show last bundle prune --limit --output --include-crashes --log-records --force --dry-run --json",
     command_forensic},
    {"run", "MODULE [ARGUMENTS]",
     "Run one module in the foreground (what `up` does for each).",
     NULL,
     "@modules engine supervisor", command_run},
    {"completion", "bash|zsh|fish",
     "Print a completion script.",
     NULL,
     "bash zsh fish", command_completion},
    {"version", "[--json]",
     "Print the version.",
     NULL,
     "--json", command_version},
    {"help", "[COMMAND]",
     "Print help.",
     NULL,
     "", command_help},
};
/* clang-format on */
const size_t cli_command_count = COUNT_OF(cli_commands);

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < cli_command_count; i++)
        if (strcmp(cli_commands[i].name, name) == 0)
            return &cli_commands[i];
    return str_starts(name, "db ") ? db_command_find(name + 3) : NULL;
}

const struct command *command_parts(const struct command *c)
{
    return c->run == command_db ? db_commands : NULL;
}

/* What is said may quote a reply from elsewhere: it is cleaned as such. */
static void __attribute__((format(printf, 1, 0))) complain(const char *fmt, va_list args)
{
    struct buf text = BUF_INIT, clean = BUF_INIT;
    fflush(stdout); /* what was printed before comes before */
    if (buf_vprintf(&text, fmt, args) == 0 && terminal_clean(text.data, text.len, true, &clean) == 0)
        fprintf(stderr, "vx11: %s\n", clean.data);
    else
        fputs("vx11: out of memory\n", stderr);
    buf_free(&text);
    buf_free(&clean);
}

int cli_fail(int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    complain(fmt, args);
    va_end(args);
    return code;
}

int cli_usage(const char *command, const char *fmt, ...)
{
    const struct command *c = command_find(command);
    va_list args;
    va_start(args, fmt);
    complain(fmt, args);
    va_end(args);
    if (c)
        fprintf(stderr, "usage: vx11 %s %s\n", command, c->arguments);
    return CLI_USAGE;
}

int cli_option(const char *command, int argc, char **argv, int *i, const char *name, const char **value)
{
    size_t n = strlen(name);
    if (strncmp(argv[*i], name, n) != 0)
        return 0;
    if (argv[*i][n] == '=') {
        *value = argv[*i] + n + 1;
        return 1;
    }
    if (argv[*i][n] != '\0')
        return 0;
    if (*i + 1 >= argc) {
        cli_usage(command, "%s wants a value", name);
        return -1;
    }
    *value = argv[++*i];
    return 1;
}

int cli_print_json(const struct contract_message *message, const void *value)
{
    struct buf out = BUF_INIT;
    int rc = contract_serialize_pretty(message, value, &out);
    if (rc == 0)
        puts(out.data);
    buf_free(&out);
    return rc == 0 ? 0 : cli_fail(CLI_FAILED, "the answer cannot be written as JSON: %s", error_describe(rc));
}

int cli_flushed(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    return code != 0 ? code : cli_fail(CLI_FAILED, "the output could not be written");
}

bool cli_color(void)
{
    const char *no = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && !(no && no[0]);
}

/* ---- help, version ---- */

static void help_all(FILE *out)
{
    fputs("VX11: a local-first AI operations system.\n\nusage: vx11 COMMAND [ARGUMENTS]\n\n", out);
    for (size_t i = 0; i < cli_command_count; i++)
        fprintf(out, "  %-11s %s\n", cli_commands[i].name, cli_commands[i].summary);
    fputs("\nFiles are kept below $VX11_HOME (default: ~/.local/share/vx11).\n"
          "Exit codes: 0 done, 1 failed, 64 wrong arguments, 69 VX11 does not run, 77 not allowed, 78 wrong "
          "configuration, 130 interrupted.\n",
          out);
}

int command_help(int argc, char **argv)
{
    if (argc < 2) {
        help_all(stdout);
        return CLI_OK;
    }
    char name[64];
    snprintf(name, sizeof name, "%s%s%s", argv[1], argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
    const struct command *c = command_find(name);
    if (!c)
        return cli_fail(CLI_USAGE, "there is no command %s", name);
    printf("usage: vx11 %s %s\n\n%s\n", name, c->arguments, c->summary);
    if (c->help)
        printf("\n%s", c->help);
    const struct command *part = command_parts(c);
    for (size_t i = 0; part && part[i].name; i++)
        printf("%s  %-11s %s\n", i ? "" : "\n", part[i].name, part[i].summary);
    if (part)
        printf("\n`vx11 help %s WORD` tells of one of them.\n", name);
    return CLI_OK;
}

int command_version(int argc, char **argv)
{
    if (argc > 2 || (argc == 2 && strcmp(argv[1], "--json") != 0))
        return cli_usage("version", "unknown argument %s", argv[argc - 1]);
    const struct cli_version v = {
        .version = VX11_VERSION, .commit = VX11_COMMIT[0] ? VX11_COMMIT : NULL, .profile = VX11_PROFILE};
    if (argc == 2)
        return cli_print_json(&cli_version_message, &v);
    printf("vx11 %s", v.version);
    if (v.commit)
        printf(" (%s)", v.commit);
    puts(strcmp(v.profile, "release") == 0 ? "" : ", " VX11_PROFILE " build");
    return CLI_OK;
}

static int unknown_command(const char *name)
{
    const char *names[COUNT_OF(cli_commands)];
    size_t near;
    for (size_t i = 0; i < cli_command_count; i++)
        names[i] = cli_commands[i].name;
    if (str_nearest(name, names, cli_command_count, &near, 1) > 0)
        return cli_fail(CLI_USAGE, "there is no command %s; did you mean %s? (vx11 help lists them)", name,
                        names[near]);
    return cli_fail(CLI_USAGE, "there is no command %s (vx11 help lists them)", name);
}

int cli_main(int argc, char **argv)
{
    if (argc < 2) {
        help_all(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], GUARD_COMMAND) == 0) /* how Hermes starts other people's engines; not for people */
        return guard_main(argc - 1, argv + 1);
    if (strcmp(argv[1], CHORE_COMMAND) == 0 && argc > 4) { /* how the supervisor starts its chores */
        if (chore_begin(argv[2], argv[3]) != 0)
            return cli_fail(CLI_FAILED, "this command is the supervisor's own");
        argc -= 3;
        argv += 3;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return command_help(1, argv);
    if (strcmp(argv[1], "--version") == 0)
        return command_version(1, argv);
    const struct command *c = command_find(argv[1]);
    if (!c)
        return unknown_command(argv[1]);
    if (argc > 2 && c->run != command_run && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
        char *help[] = {argv[0], argv[1], NULL};
        return command_help(2, help);
    }
    return cli_flushed(c->run(argc - 1, argv + 1));
}
