/* Jobs, inside. */
#ifndef VX11_HERMES_EXEC_JOBS_INTERNAL_H
#define VX11_HERMES_EXEC_JOBS_INTERNAL_H

#include <limits.h>

#include "base/buf.h"
#include "base/ulid.h"
#include "hermes/exec/jobs.h"
#include "module/module.h"

struct watcher {
    struct watcher *next;
    struct job *job;
    struct request *request;
};

struct job { /* one that runs */
    struct job *next;
    struct jobs *all;
    char id[ULID_LEN + 1], name[65];
    struct arena *arena;
    struct hermes_exec_request request;
    struct principal by;
    struct child *child;
    struct tool_run *run;
    struct child_env env;
    char folder[PATH_MAX];
    struct buf out, err;
    bool out_cut, err_cut, cancelled;
    size_t keep; /* bytes of each output */
    int64_t started_at;
    struct watcher *watchers;
};

struct jobs {
    uv_loop_t *loop;
    struct store *store;
    struct writer *writer;
    struct tools *tools;
    struct module *module;
    char home[PATH_MAX];
    struct job *list;
    size_t running;
    bool starting; /* the next ones are being started */
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

/* What a job came to. */
struct job_end {
    int status; /* enum hermes_job_status */
    const char *error;
    const struct child_result *child; /* NULL: nothing was run */
};

/* job_rows.c */
int job_row_add(struct jobs *j, const char *id, const struct hermes_exec_request *q,
                const struct principal *by, struct error *err);
/* Takes the oldest queued one. VX11_ENOT_FOUND: none. */
int job_row_claim(struct jobs *j, struct job *job, struct error *err);
int job_row_end(struct jobs *j, const struct job *job, const struct job_end *end, struct error *err);
int job_rows_recover(struct jobs *j, struct error *err);
int job_rows_queued(struct jobs *j, int64_t *n, struct error *err);
/* 1: it was queued and is cancelled now. */
int job_row_cancel(struct jobs *j, const char *id, struct error *err);

#endif
