/* What the commands share. */
#ifndef VX11_CLI_INTERNAL_H
#define VX11_CLI_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "api/supervisor.h"
#include "base/buf.h"
#include "cli/cli.h"
#include "contract/config.h"
#include "net/client.h"

/* One command. argv[0] is its name. */
struct command {
    const char *name;
    const char *arguments; /* as in the usage line: "[MODULE] [-f]" */
    const char *summary;   /* one line */
    const char *help;      /* options, one a line; NULL: none */
    const char
        *words; /* what may follow, for completion: "show rotate create", "@modules", "@models", "--json" */
    int (*run)(int argc, char **argv);
};
extern const struct command cli_commands[];
extern const size_t cli_command_count;
/* "status", or "db check" for one of the commands below another; NULL: there is none. */
const struct command *command_find(const char *name);
/* The commands below one (`vx11 db check`), up to a NULL name; NULL: it has none. */
const struct command *command_parts(const struct command *c);

/* A command's means: configuration, loop, client, targets. */
struct cli {
    char home[4096];
    struct config *config;
    uv_loop_t loop;
    struct client *client;
    struct arena *arena; /* lives as long as the command */
    struct {
        char name[32];
        char socket[4200];
        struct client_target target;
    } peers[4];
    size_t peer_count;
    bool loop_ready;
};
/* 0, or an exit code after having said why on stderr. cli_close either way. */
int cli_open(struct cli *c);
/* The same for commands that must work beside a broken configuration (down, status, logs): they say so and go
 * on with the defaults. */
int cli_open_anyway(struct cli *c);
void cli_close(struct cli *c);
/* A module's Unix socket. */
const struct client_target *cli_target(struct cli *c, const char *module);
/* The front door for programs: $VX11_URL and $VX11_TOKEN when set, else Link's Unix socket. Paths begin with
 * /v1. */
const struct client_target *cli_front_door(struct cli *c);
/* Runs the loop until *done. */
void cli_wait(struct cli *c, const bool *done);
/* Says on stderr what went wrong with a reply, and gives the exit code for it. module: who was asked. */
int cli_reply_failed(const struct client_reply *reply, const char *module);

/* "vx11: " + sentence + newline on stderr; returns code. */
int cli_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cli_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool cli_color(void); /* stdout is a terminal and NO_COLOR is not set */
/* Is argv[*i] the option `name`, as "--name V" or "--name=V"? Then *value is set, *i stands on its last word,
 * and it is 1. 0: no. -1: its value is missing, which was said on stderr. */
int cli_option(const char *command, int argc, char **argv, int *i, const char *name, const char **value);
/* A struct of the contract as indented JSON on stdout; 0 or an exit code. */
int cli_print_json(const struct contract_message *message, const void *value);
/* CLI_FAILED, said on stderr, when stdout could not take what was printed (a full disk, a closed pipe), else
 * code. */
int cli_flushed(int code);

/* terminal.c: text from models, files and other programs as a terminal may show it: without control
 * characters (an escape sequence could rewrite the screen or the clipboard); malformed UTF-8 becomes U+FFFD.
 * one_line: line breaks and tabs become spaces. 0 or VX11_ENOMEM. */
int terminal_clean(const char *s, size_t len, bool one_line, struct buf *out);
/* One line, copied into the arena; "" when out of memory, "-" for NULL. */
const char *terminal_line(struct arena *a, const char *s);
/* LC_CTYPE that knows UTF-8, for the libraries that edit lines and draw screens. */
void terminal_locale(void);

/* status.c */
int status_fetch(struct cli *c, struct supervisor_status **out,
                 bool quiet); /* in the arena of c; 0 or an exit code */
void status_print(const struct supervisor_status *s);
/* The words of one row of the status table; "-" for what is not known. */
struct status_cells {
    char health[16], state[16], pid[16], port[16], uptime[24], restarts[24], cpu[16], memory[24];
};
void status_cells(const struct supervisor_module *m, struct status_cells *out);

/* screen.c: the status, again every second, until q or Ctrl-C (then an exit code). owner: this command
 * started the supervisor: leaving stops everything and waits for it. link: login link to show, or NULL. */
int screen_run(struct cli *c, bool owner, const char *link);
/* up.c: a new one-time login link into url; false after having said why (unless quiet). */
bool login_link(struct cli *c, char *url, size_t size, bool quiet);
/* down.c: asks the supervisor to stop and waits until its process has gone. limit_ms < 0: the configured
 * limit. */
int down_wait(struct cli *c, int64_t limit_ms);
/* Whether a supervisor's process lives in this home. */
bool supervisor_lives(const struct cli *c);

int command_up(int argc, char **argv);
int command_down(int argc, char **argv);
int command_restart(int argc, char **argv);
int command_status(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_top(int argc, char **argv);
int command_logs(int argc, char **argv);
int command_run(int argc, char **argv);
int command_chat(int argc, char **argv);
int command_embed(int argc, char **argv);
int command_models(int argc, char **argv);
/* models_pool.c: warm, pin, unpin, plan. */
bool models_pool_takes(const char *word);
int command_models_pool(int argc, char **argv);
int command_warmup(int argc, char **argv);
int command_modules(int argc, char **argv);
int command_sessions(int argc, char **argv);
int command_browse(int argc, char **argv);
int command_tools(int argc, char **argv);
int command_discover(int argc, char **argv);
int command_providers(int argc, char **argv);
int command_token(int argc, char **argv);
int command_login(int argc, char **argv);
int command_config(int argc, char **argv);
int command_db(int argc, char **argv);
int command_ledger(int argc, char **argv);
int command_forensic(int argc, char **argv);
int command_completion(int argc, char **argv);
int command_version(int argc, char **argv);
int command_help(int argc, char **argv);

#endif
