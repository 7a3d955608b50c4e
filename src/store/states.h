/* States: what each module should be doing (module_state), and what became of its processes (module_run).
 * Madre and the command line set states, the supervisor records runs, everybody reads. */
#ifndef VX11_STORE_STATES_H
#define VX11_STORE_STATES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/ulid.h"
#include "store/store.h"

enum module_state { MODULE_STATE_ACTIVE, MODULE_STATE_STANDBY, MODULE_STATE_OFF };
const char *module_state_name(enum module_state state);        /* "active", … */
int module_state_parse(const char *s, enum module_state *out); /* 0 or VX11_EINVALID */

struct module_state_row {
    char module[64];
    enum module_state state;
    int64_t changed_at;  /* epoch ms; 0: never set, so active */
    char changed_by[64]; /* who; "" when never set */
    char reason[256];    /* "" when none was given */
};
/* A module that was never set is active. */
int module_state_get(struct store *s, const char *module, struct module_state_row *out, struct error *err);
/* Only those that were set, by name. fn's non-zero stops and is returned. */
int module_state_list(struct store *s, int (*fn)(void *ctx, const struct module_state_row *row), void *ctx,
                      struct error *err);
/* reason may be NULL. Longer texts are cut. Noted in the ledger in the same transaction. */
int module_state_set(struct store *s, const char *module, enum module_state state, const char *changed_by,
                     const char *reason, int64_t now, struct error *err);

struct module_run_row {
    char id[ULID_LEN + 1];
    char module[64];
    int64_t pid;
    int64_t started_at, ended_at; /* epoch ms; ended_at 0: no end was recorded */
    int exit_code;                /* -1: did not exit by itself */
    int signal;                   /* 0: none */
    bool oom;                     /* killed for want of memory */
    char reason[256];             /* "" unknown */
    char crash_report[256];       /* "" none */
};
/* id receives the run's ULID, for module_run_end. */
int module_run_start(struct store *s, const char *module, int64_t pid, int64_t now, char id[ULID_LEN + 1],
                     struct error *err);
struct module_run_end {
    int64_t ended_at;
    int exit_code; /* -1: none */
    int signal;    /* 0: none */
    bool oom;
    const char *reason, *crash_report; /* may be NULL */
};
/* VX11_ENOT_FOUND when the run is unknown or has ended already. */
int module_run_end(struct store *s, const char *id, const struct module_run_end *end, struct error *err);
/* The run of a process that lived at that time: the last one of its module and pid that began before it.
 * VX11_ENOT_FOUND. */
int module_run_find(struct store *s, const char *module, int64_t pid, int64_t at, struct module_run_row *out,
                    struct error *err);
/* The newest `limit` runs of a module (NULL: of all), newest first. */
int module_run_list_last(struct store *s, const char *module, unsigned limit,
                         int (*fn)(void *ctx, const struct module_run_row *row), void *ctx,
                         struct error *err);

#endif
