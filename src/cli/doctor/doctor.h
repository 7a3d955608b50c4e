/* Doctor: looks whether this VX11 is ready for what it is for.
 *
 *   table.c ──checks──> run.c ─┬─ DOCTOR_LOOK: blocking work, in the thread pool ──┐
 *                              └─ DOCTOR_ASK: questions over HTTP, on the loop ────┴─> results ─> verdict
 *                                                                                       │
 *   command (doctor.c) <── text, Markdown, JSON; row of doctor_report <── report.c <────┘
 *                      ──--fix──> fix.c mends what is safe to mend, then everything is looked at again
 *
 * A check that could not measure says so, and counts as failed: not knowing is no readiness. */
#ifndef VX11_CLI_DOCTOR_DOCTOR_H
#define VX11_CLI_DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <uv.h>

#include "api/supervisor.h"
#include "base/ulid.h"
#include "cli/cli_internal.h"
#include "net/auth.h"
#include "store/store.h"

#define DOCTOR_MODULES 16

/* Exit codes of the command, beside those of all commands. */
enum { DOCTOR_READY = 0, DOCTOR_NOT_READY = 1, DOCTOR_WARNINGS = 2, DOCTOR_COULD_NOT_RUN = 3 };

enum { DOCTOR_OK, DOCTOR_FAILED, DOCTOR_UNKNOWN }; /* as in the contract */
enum { DOCTOR_BLOCK, DOCTOR_WARN, DOCTOR_INFO };

struct doctor_run;
struct doctor_fixing;

/* One check, as data. */
struct doctor_check {
    const char *id; /* "group_word.name"; docs/doctor.md explains each */
    int group;      /* enum supervisor_doctor_group */
    int severity;
    const char *title; /* what has to be so */
    enum { DOCTOR_LOOK, DOCTOR_ASK } how;
    void (*run)(struct doctor_run *r); /* LOOK: in a thread of the pool. ASK: on the loop; see doctor_ask */
    const char *mend;                  /* unless the run says another; NULL: that depends */
    /* What --fix does; NULL: nothing is safe. On the main thread, between two looks. */
    void (*fix)(struct doctor_fixing *f);
    bool deep; /* only with --deep */
};
extern const struct doctor_check doctor_checks[];
extern const size_t doctor_check_count;
const struct doctor_check *doctor_check_find(const char *id);

struct doctor_module {
    const char *name;
    int port;      /* TCP; 0: none */
    int page_port; /* of Link; 0: none */
    const char *host;
    int state;                            /* enum module_state, -1: not known */
    pid_t pid;                            /* 0: none, or not known */
    const struct supervisor_module *seen; /* by the supervisor; NULL: it did not say */
};

/* What all checks go by. Nothing of it changes while they run. */
struct doctor {
    struct cli *c;
    const struct config_config *config;
    char config_error[512]; /* "": it is right */
    char database[4200];
    char exe[4096]; /* this program; "" unknown */
    bool deep;
    int64_t timeout_ms;
    char token[AUTH_TOKEN_LEN + 1]; /* the owner's; "": token_error says why */
    char token_error[512];
    const struct supervisor_status *status; /* NULL: the supervisor does not answer */
    struct doctor_module modules[DOCTOR_MODULES];
    size_t module_count;
    char states_error[512]; /* "": the states are known */
    int64_t wall_ms;        /* both clocks when it began */
    uint64_t mono_ns;
    uint64_t boot_ms;
};

struct doctor_result {
    struct supervisor_doctor_check v;
    struct doctor_result *next;
};

/* A check at work. */
struct doctor_run {
    const struct doctor *d;
    const struct doctor_check *check;
    struct arena *arena; /* its own: checks run in threads */
    struct doctor_result *first, **last;
    struct doctor_result lost; /* what is written when there is no memory */
    bool no_memory, done;
    volatile bool abandoned; /* nobody waits for it any more */
    uint64_t started_ns;
    double duration_ms;
    uv_work_t work;
    size_t waiting; /* questions, and one while it starts */
    void (*finished)(struct doctor_run *r);
    void *owner;
    struct doctor_run *left; /* the next one that was given up */
};

/* ---- for checks ---- */

/* A new result, unknown so far. subject may be NULL; copied. Never NULL. */
struct doctor_result *doctor_result(struct doctor_run *r, const char *subject);
void result_measured(struct doctor_run *r, struct doctor_result *x, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void result_value(struct doctor_result *x, double value, const char *unit); /* unit: a literal, or NULL */
void result_limit(struct doctor_run *r, struct doctor_result *x, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void result_mend(struct doctor_run *r, struct doctor_result *x, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void result_ok(struct doctor_result *x);
void result_failed(struct doctor_run *r, struct doctor_result *x, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void result_unknown(struct doctor_run *r, struct doctor_result *x, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* ok when `good`, else failed with the sentence. */
#define result_judge(r, x, good, ...) ((good) ? result_ok(x) : result_failed(r, x, __VA_ARGS__))

/* A read-only store for a LOOK; NULL after having made the result unknown. store_close it. */
struct store *doctor_store(struct doctor_run *r, struct doctor_result *x);

/* A question of an ASK: GET path at the target, with a token or none. fn gets the answer on the loop, before
 * the check counts as done: status 0 with a sentence in err when none came. */
struct doctor_answer {
    struct doctor_run *run;
    struct doctor_result *result;
    const void *ctx;
    int status;
    struct buf body;
    double latency_ms;
    struct error err;
};
typedef void (*doctor_answer_fn)(struct doctor_answer *a);
struct doctor_question {
    const char *method, *path, *body; /* body: JSON; NULL: none */
    const char *base_url;             /* NULL: the socket of `module` */
    const char *module;
    const char *token;  /* NULL: none */
    int64_t timeout_ms; /* 0: the check's */
};
void doctor_ask(struct doctor_run *r, struct doctor_result *x, const struct doctor_question *q,
                doctor_answer_fn fn, const void *ctx);

const struct doctor_module *doctor_module_find(const struct doctor *d, const char *name);
/* Whether it should be running: its state is not off. Unknown counts as yes. */
bool doctor_module_wanted(const struct doctor_module *m);

/* ---- running (run.c) ---- */

struct doctor_runs {
    struct doctor_run **list;
    size_t count, waiting;
    struct doctor_run *left;  /* given up, but perhaps still at work */
    bool done, failed, stuck; /* stuck: a thread of the pool did not come back, and is not waited for */
};
/* Runs the wanted checks, all at once, and waits. want: by index of doctor_checks. 0 or VX11_ENOMEM. */
int doctor_run_all(const struct doctor *d, const bool *want, struct doctor_runs *out);
/* After the loop has ended; not when it is stuck. */
void doctor_runs_free(struct doctor_runs *runs);
/* Measures what the checks go by. 0 or an exit code, said on stderr. */
int doctor_begin(struct doctor *d, struct cli *c);

/* ---- reporting (report.c) ---- */

/* Counts and verdict from the checks. */
void doctor_judge(struct supervisor_doctor_report *report);
int doctor_exit_code(int verdict);
void doctor_text(const struct supervisor_doctor_report *r, bool color, bool all, struct buf *out);
void doctor_markdown(const struct supervisor_doctor_report *r, struct buf *out);

/* ---- fixing (fix.c) ---- */

struct doctor_fixing {
    const struct doctor *d;
    const struct doctor_check *check;
    struct arena *arena; /* of the command */
    struct supervisor_doctor_fix *list;
    size_t count, cap;
};
/* Notes what was done, in the report and in the ledger. reason NULL: it went well. */
void doctor_fixed(struct doctor_fixing *f, const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Runs the fix of every check that has a result which is not ok and can be fixed. */
void doctor_fix_all(struct doctor_fixing *f, const struct supervisor_doctor_report *report);

/* ---- the checks ---- */
void check_config(struct doctor_run *r);
void check_supervisor(struct doctor_run *r);
void check_serving(struct doctor_run *r);
void check_off(struct doctor_run *r);
void check_process(struct doctor_run *r);
void check_health(struct doctor_run *r);
void check_port_health(struct doctor_run *r);
void check_refuses(struct doctor_run *r);
void check_accepts(struct doctor_run *r);
void check_version(struct doctor_run *r);
void check_database_open(struct doctor_run *r);
void check_database_schema(struct doctor_run *r);
void check_database_tables(struct doctor_run *r);
void check_database_write(struct doctor_run *r);
void check_database_integrity(struct doctor_run *r);
void check_database_size(struct doctor_run *r);
void check_database_limit(struct doctor_run *r);
void check_database_wal(struct doctor_run *r);
void check_models_any(struct doctor_run *r);
void check_model_file(struct doctor_run *r);
void check_model_header(struct doctor_run *r);
void check_model_hash(struct doctor_run *r);
void check_model_loads(struct doctor_run *r);
void check_disk(struct doctor_run *r);
void check_disk_margin(struct doctor_run *r);
void check_memory(struct doctor_run *r);
void check_descriptors(struct doctor_run *r);
void check_clock(struct doctor_run *r);
void check_clock_sync(struct doctor_run *r);
void check_log_folder(struct doctor_run *r);
void check_log_files(struct doctor_run *r);
void check_queue_depth(struct doctor_run *r);
void check_queue_age(struct doctor_run *r);
void check_crash_runs(struct doctor_run *r);
void check_crash_reports(struct doctor_run *r);
void check_ports(struct doctor_run *r);
void check_permission_home(struct doctor_run *r);
void check_permission_database(struct doctor_run *r);
void check_permission_secrets(struct doctor_run *r);
void check_permission_folders(struct doctor_run *r);
void check_leftovers(struct doctor_run *r);
void check_browser(struct doctor_run *r);
void check_libraries(struct doctor_run *r);
void check_backup_fresh(struct doctor_run *r);
void check_backup_whole(struct doctor_run *r);
void check_ledger(struct doctor_run *r);
void check_maintenance(struct doctor_run *r);
void check_archives(struct doctor_run *r);

void fix_permissions(struct doctor_fixing *f);
void fix_folders(struct doctor_fixing *f);
void fix_leftovers(struct doctor_fixing *f);
void fix_wal(struct doctor_fixing *f);
void fix_backup(struct doctor_fixing *f);
void fix_scan(struct doctor_fixing *f);

#endif
