/* Chores: backups, maintenance and checks, done by our own program as processes of their own.
 *
 *   schedule (every few s: is one due?) ─┐
 *   POST /supervisor/chores ─────────────┴─> queue ─> one process at a time ─> row of table chore
 *
 * Nothing heavy runs in the supervisor's own process. A chore's process is `vx11 chore PID COMMAND…`: it
 * lowers its own priority, ends when the supervisor does, and is then that command. */
#ifndef VX11_SUPERVISOR_CHORES_H
#define VX11_SUPERVISOR_CHORES_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/ulid.h"
#include "supervisor/supervisor_internal.h"

#define CHORES_QUEUE     8
#define CHORE_OUTPUT_MAX 262144
#define CHORE_ERRORS_MAX 4096
#define CHORE_REASON_MAX 512
#define CHORE_KINDS      COUNT_OF(supervisor_chore_kind_names)

struct chore {
    struct chores *all;
    char id[ULID_LEN + 1];
    enum supervisor_chore_kind kind;
    enum supervisor_chore_state state;
    char name[208]; /* verify: which backup; "": all */
    bool full;
    char asked_by[128];
    int64_t asked_at, started_at, ended_at; /* epoch ms; 0: not yet */
    int exit_code;                          /* -1: did not exit by itself */
    int signal;
    char reason[CHORE_REASON_MAX];
    /* its process */
    uv_process_t process;
    uv_pipe_t output, errors;
    uv_timer_t timer; /* its limit, then the limit for its end */
    int open;         /* handles; the last one that closes ends the chore */
    bool exited, cancelled, overdue, killed, output_open, errors_open, timer_open;
    struct buf text; /* what it printed */
    bool too_much;
    char tail[CHORE_ERRORS_MAX]; /* the end of what it said on stderr */
    size_t tail_len;
    char piece[16384];
};

struct chore_plan {
    int64_t last_done_at, last_failed_at; /* epoch ms; 0: never */
    int64_t jitter_ms;
    char failing[CHORE_REASON_MAX]; /* why the last one failed; "": it did not */
};

struct chores {
    struct supervisor *s;
    struct chore *running;
    struct chore *queue[CHORES_QUEUE];
    size_t queued;
    struct chore_plan plans[CHORE_KINDS];
    uv_timer_t tick;
    bool tick_open;
};

/* Puts one into the queue, or finds the one of its kind that waits or runs: *out. VX11_EEXISTS: that one is
 * about something else. VX11_EFULL. */
int chore_ask(struct chores *all, enum supervisor_chore_kind kind, const char *name, bool full,
              const char *by, struct chore **out, struct error *err);
struct chore *chore_find(struct chores *all, const char *id); /* that waits or runs; NULL: none */
void chore_cancel(struct chore *c);                           /* may free it */
int64_t chore_every_ms(const struct chores *all, enum supervisor_chore_kind kind);
int64_t chore_due_at(const struct chores *all, enum supervisor_chore_kind kind); /* epoch ms; 0: never */

#endif
