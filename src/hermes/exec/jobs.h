/* Jobs: allowed programs run for POST /hermes/exec, one row each. What was queued when Hermes ended is run
 * when it starts again; what was running is marked failed, for nobody knows how far it came. On the loop
 * thread. */
#ifndef VX11_HERMES_EXEC_JOBS_H
#define VX11_HERMES_EXEC_JOBS_H

#include "api/hermes.h"
#include "contract/config.h"
#include "hermes/tools/tools.h"
#include "net/server.h"
#include "store/store.h"

struct jobs;

struct jobs_options {
    uv_loop_t *loop;
    struct store *store;
    struct writer *writer;
    struct tools *tools;
    const char *home;
    struct module *module; /* for its configuration as it is at the time */
};

int jobs_create(const struct jobs_options *options, struct jobs **out, struct error *err);
void jobs_resume(struct jobs *j);
void jobs_end_streams(struct jobs *j); /* before a stop */
/* Ends what runs, frees, then calls done; queued ones stay in the database. Before the tools are closed. */
void jobs_close(struct jobs *j, void (*done)(void *ctx), void *ctx);
size_t jobs_running(const struct jobs *j);

/* Why a request is refused: an HTTP answer. */
struct job_refusal {
    int status;
    const char *code, *param;
    char text[300];
};
/* 0 and the new job's id; 1: refused. */
int jobs_ask(struct jobs *j, const struct hermes_exec_request *q, const struct principal *by,
             const char *request_id, char id[27], struct job_refusal *why);
/* VX11_ENOT_FOUND. */
int jobs_get(struct jobs *j, const char *id, struct arena *a, struct hermes_exec_job *out, struct error *err);
int jobs_list(struct jobs *j, const struct hermes_exec_job_filter *filter, struct arena *a,
              struct hermes_exec_job **out, size_t *n, struct error *err);
/* VX11_ENOT_FOUND; VX11_EBUSY: it has ended. */
int jobs_cancel(struct jobs *j, const char *id, struct error *err);
/* Sends its events to the request until it ends. */
void jobs_watch(struct jobs *j, const char *id, struct request *r);

/* allow.c: the entry of that name, and whether it can be run at all. NULL: why says why. */
const struct config_exec_allow *exec_allowed(const struct config *config, const struct hermes_exec_request *q,
                                             struct job_refusal *why);

#endif
