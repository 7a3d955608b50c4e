/* What the files of this room share. */
#ifndef VX11_SUPERVISOR_INTERNAL_H
#define VX11_SUPERVISOR_INTERNAL_H

#include <uv.h>

#include "api/supervisor.h"
#include "base/crash_report.h"
#include "base/proc.h"
#include "module/module.h"
#include "supervisor/supervisor.h"

#define SUPERVISOR_MAX 16

struct supervisor;

/* One module's process.
 *
 *   stopped ──start──> starting ──"ready" on fd 3──> running ──exit──> backoff ──timer──> starting
 *                          └─exit before ready: reason kept; backoff grows, `failed` once it is at its
 * longest running ──stop──> stopping ──exit (or SIGKILL after the limit)──> stopped
 */
struct child {
    struct supervisor *s;
    const struct supervised *what;
    enum supervisor_process state;
    enum common_state wanted;
    uv_process_t process;
    uv_pipe_t notify; /* read end of the child's fd 3 */
    uv_timer_t timer; /* start limit, back-off, kill limit: one at a time */
    bool process_open, notify_open, timer_open;
    bool restart_after_exit, abort_sent, kill_sent, got_ready;
    char stop_reason[256]; /* why it is being stopped, for its event; "": nobody said */
    char words[512];       /* what it said on fd 3 before "ready" */
    size_t words_len;
    char reason[512]; /* why it does not run or is not healthy */
    char last_exit[256];
    int port;           /* it was started with */
    char run_id[27];    /* row of module_run */
    int64_t started_ms; /* monotonic */
    int64_t backoff_ms;
    int64_t next_start_ms; /* monotonic, while in back-off */
    int64_t restarts;
    /* last measurement */
    int health;          /* enum common_health; -1: did not answer */
    int64_t answered_ms; /* monotonic, last time it answered at all */
    bool probing;
    uint64_t cpu_ms_before, oom_before;
    int64_t cpu_at_ms;
    double cpu_percent; /* negative: not known yet */
    struct {            /* requests waiting for the next exit or start */
        struct request *requests[8];
        size_t count;
    } waiting;
};

/* The work that keeps tables within their bounds (retain.c). */
struct retain {
    struct supervisor *s;
    uv_timer_t timer;
    uv_work_t work;
    bool timer_open, running;
    char path[4096];
    /* written by the thread, read when it has ended */
    int rc;
    struct error err;
    uint64_t rows, credentials;
    int tier;                         /* bounds that were applied; 0: the usual ones */
    bool tighter;                     /* than in the last day */
    int64_t used_bytes;               /* of the database, at the last look; -1: not known */
    int64_t warn_bytes, target_bytes; /* given to the thread */
    char archive[4096];               /* folder of rows that left */
    volatile bool stop;               /* told to the thread */
    bool warned;                      /* about the size, since it passed warn_bytes */
    struct crash_keep keep_reports;   /* given to the thread */
    char reports[4096];               /* folder of crash reports */
    size_t reports_deleted;
};

struct chores; /* chores.c */

struct supervisor {
    struct module *m;
    struct chores *chores;
    struct retain retain;
    struct child children[SUPERVISOR_MAX];
    size_t child_count;
    uv_timer_t health, hurry; /* hurry: when the stop's own limit passes */
    int64_t stop_limit_ms;    /* given with the stop; -1: the configured one */
    /* where the front door listens: as it was started, which a reload does not change */
    char host[256];
    int api_port, page_port;
    int64_t begun_ms, all_healthy_ms; /* monotonic; the latter 0 until then */
    bool stopping, health_open, hurry_open, hurried;
    void (*stopped)(struct module *m);
    int open_handles;
    int reading_reports; /* requests for crash reports that threads work on */
    bool verifying_ledger, stop_noted, reload_noted;
    volatile bool stop_verifying; /* written and read by __atomic_…: a thread looks at it */
};

const struct config_supervisor *supervisor_config(struct supervisor *s);

/* child.c */
void child_init(struct supervisor *s, struct child *c, const struct supervised *what,
                enum common_state wanted);
void child_start(struct child *c);
void child_stop(struct child *c, bool start_again);
void child_hurry(struct child *c); /* stopping: once more SIGTERM, which cuts its drain short */
void child_abort(struct child *c); /* a hung one: SIGABRT for its crash report, then SIGKILL */
bool child_is_alive(const struct child *c);
void child_close(struct child *c);                /* closes its handles; the process has gone */
void supervisor_child_gone(struct supervisor *s); /* a child ended: is the stop complete? */

/* watch.c: health, cpu, hangs */
void watch_start(struct supervisor *s);
void watch_interval(struct supervisor *s); /* takes over the configured one */
void watch_probe(struct supervisor *s, struct child *c);
/* Takes a health answer (NULL: none, err says why) into the child's state. */
void watch_take(struct child *c, const struct common_health_reply *reply, const struct error *err);

/* retain.c */
int retain_start(struct supervisor *s, struct error *err);
void retain_stop(struct supervisor *s);
void retain_health(const struct supervisor *s, struct health *h);

/* chores.c: work that our own program does as a process of its own, by schedule or when asked */
int chores_start(struct supervisor *s, struct error *err);
/* migrating.c: a backup of a database that this program is about to migrate. */
int chores_before_start(const struct config *config, const char *home, struct error *err);
void chores_stop(struct supervisor *s); /* tells the running one to end; may be called again */
void chores_free(struct supervisor *s);
void chores_health(const struct supervisor *s, struct health *h);

/* api_chores.c */
void api_chores_list(struct request *r, void *module);
void api_chore_start(struct request *r, void *module);
void api_chore_get(struct request *r, void *module);
void api_chore_cancel(struct request *r, void *module);
void api_backups(struct request *r, void *module);

/* api.c */
/* api_forensic.c: crash reports, read in a thread of the pool. */
void api_forensic_list(struct request *r, void *module);
void api_forensic_show(struct request *r, void *module);

extern const request_handler supervisor_handlers[SUPERVISOR_ROUTE_COUNT];
void api_child_settled(struct child *c); /* answers the requests that wait for it */

/* api_doctor.c: what `vx11 doctor` found */
void api_doctor_list(struct request *r, void *module);
void api_doctor_get(struct request *r, void *module);

/* api_ledger.c: the ledger, and what the supervisor itself writes into it */
void api_ledger_list(struct request *r, void *module);
void api_ledger_verify(struct request *r, void *module);
/* As ledger_note, with one pair (name may be NULL); what fails is logged. */
void supervisor_note(struct supervisor *s, const char *kind, const char *actor, const char *subject,
                     const char *name, const char *value);

/* api_maintain.c: what `vx11 db maintain` did */
void api_maintenance_list(struct request *r, void *module);
void api_maintenance_get(struct request *r, void *module);

/* tell.c: events of modules and their processes. Strings may be NULL. */
void tell_state(struct child *c, enum common_state before, const char *by, const char *reason);
void tell_run(struct child *c, enum link_module_run_event event, const char *reason);

/* exits.c: exit status, signal, out of memory in words */
void exit_describe(const struct child *c, int64_t status, int signal, bool oom, char *out, size_t size);
/* The crash report that process left, as a path below the home. False when there is none. */
bool exit_crash_report(const char *home, const char *module, int pid, char *out, size_t size);

/* first.c: what a first start makes */
int first_token(struct module *m, struct error *err);
int first_login_link(struct supervisor *s, const char *by, char *url, size_t size, int64_t *expires_at,
                     struct error *err);

#endif
