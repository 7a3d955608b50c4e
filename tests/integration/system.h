/* System: a VX11 of its own for a test. Private home, free ports, the supervisor as this process's child.
 *
 *   system_init ─> system_config, system_env ─> system_up ─> … ─> system_stop ─> system_remove
 *
 * system_stop ends it by SIGTERM and fails the test when anything is left: a process, a socket, an exit
 * status that is not 0 (a leak or another finding of the sanitizers), a word on a process's stderr. */
#ifndef VX11_ITEST_SYSTEM_H
#define VX11_ITEST_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/clock.h"
#include "http.h"

struct system {
    char home[64];
    int link_port, page_port, switch_port, hermes_port, operator_port;
    char token[128];
    char env[24][400];
    size_t env_count;
    pid_t pid; /* of the supervisor; 0: none */
    int notify;
    char words[1024]; /* what a start that failed said */
    bool rough;       /* the test kills processes: their last words and statuses do not count */
};

void system_init(struct system *s);
void system_env(struct system *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void system_config(struct system *s, const char *yaml); /* NULL: no file */
/* Starts the supervisor; true once it says that it is ready, false with s->words. */
bool system_launch(struct system *s);
void system_wait_healthy(struct system *s);
void system_up(struct system *s); /* both, and the token */
/* init, config, up */
void system_start(struct system *s, const char *yaml);
/* SIGTERM and the checks. */
void system_stop(struct system *s);
/* Waits for the supervisor's end; its exit status, or -1 after `ms`, or 1000 + signal. */
int system_wait_exit(struct system *s, int64_t ms);
void system_check_gone(struct system *s); /* no process, no socket of this home */
/* For teardowns: kills what is left, removes the home. Never fails. */
void system_remove(struct system *s);

/* Runs vx11 with these arguments (NULL-terminated) in this system's environment; what it said on both outputs
 * into out. Its exit status, 1000 + signal, or -1 after 60 s. */
int system_run(struct system *s, struct buf *out, const char *const *args);
/* POST to a route of the supervisor; the reply's status, its body into `r`. */
void system_control(const struct system *s, struct http_reply *r, const char *path, const char *body);

/* Where to ask, as the owner or with another token; headers may be NULL. */
struct http_at system_link(const struct system *s);
struct http_at system_switch(const struct system *s);
struct http_at system_hermes(const struct system *s);
struct http_at system_operator(const struct system *s);
struct http_at system_supervisor(const struct system *s); /* its socket */

/* POST /v1/chat/completions through Link. */
void system_chat(const struct system *s, struct http_reply *out, const char *model, bool stream);
const char *chat_body(const char *model, bool stream); /* static */

/* kill(2) that takes no other target than one process: 0 and -1 would be many. */
void process_kill(pid_t pid, int sig);
/* pid of a module as the supervisor says, 0: none. */
pid_t system_module_pid(const struct system *s, const char *module);
/* Field of a module in the supervisor's status: text, or number as text; "" when null. Static. */
const char *system_module(const struct system *s, const char *module, const char *field);
pid_t system_engine_pid(const struct system *s, const char *model); /* as Hermes says; 0: none */
/* A token of these scopes, written into the database as `vx11 token create` does. */
void system_token(const struct system *s, const char *name, const char *scopes, char out[128]);
void system_token_revoke(const struct system *s, const char *name);

/* ---- rows ---- */
int64_t system_count(const struct system *s,
                     const char *sql); /* first column of the first row; -1: none, or null */
/* The first row as "a|b|c", NULL as "null"; "" when there is none. Static, four in turn. */
const char *system_row(const struct system *s, const char *sql);
/* The row of a request, as "outcome|status|provider|model|attempts|prompt|completion|cached|error": decision
 * and usage, once it is written (within 5 s). */
const char *system_account(const struct system *s, const char *request_id);

/* ---- files, processes ---- */
const char *system_path(const struct system *s, const char *name); /* below the home; static, four in turn */
void system_read(const struct system *s, const char *name, struct buf *out); /* "" when absent */
bool system_has_text(const struct system *s, const char *name, const char *text);
int process_fds(pid_t pid); /* open descriptors; -1: no such process */
int64_t process_rss_kb(pid_t pid);
bool process_lives(pid_t pid);
bool test_sanitized(void); /* VX11_BIN is built with a sanitizer: memory figures mean nothing */

void sleep_ms(int ms);
/* Tries again every 20 ms, at most ms. */
#define eventually(ms, check)                                                                                \
    do {                                                                                                     \
        int64_t until_ = clock_mono_ms() + (ms);                                                             \
        while (!(check)) {                                                                                   \
            if (clock_mono_ms() > until_) {                                                                  \
                print_error("still not so after %d ms: %s\n", (int)(ms), #check);                            \
                _fail(__FILE__, __LINE__);                                                                   \
            }                                                                                                \
            sleep_ms(20);                                                                                    \
        }                                                                                                    \
    } while (0)

#endif
