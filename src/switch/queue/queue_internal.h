/* What the files of the queue share, besides its rows (job.h).
 *
 *   queue.c   the clock: renews, expires, claims; numbers for /metrics
 *   run.c     one attempt of a job that is this process's own
 *   task.c    from a task to the request that does it
 *   watch.c   who waits for a job or follows it
 *   routes.c, lookup.c, workers.c   what callers ask */
#ifndef VX11_SWITCH_QUEUE_INTERNAL_H
#define VX11_SWITCH_QUEUE_INTERNAL_H

#include "switch/queue/job.h"
#include "switch/queue/queue.h"
#include "switch/switch_internal.h"

#define QUEUE_PRIORITIES 10

struct run { /* one attempt of a job that runs here */
    struct queue *q;
    struct run *next, *prev;
    struct arena *arena;
    struct job job;
    struct client_call *call;
    uint64_t began_ns;
    bool waited;  /* has not one of the workers' places: its caller waits */
    bool stopped; /* its lease is gone: what comes of it does not count */
    /* How it ended, until the database has taken it. */
    bool ended, good;
    const char *result;
    struct job_failure failure;
};

struct watch { /* a request that waits for a job's end, or follows it */
    struct queue *q;
    struct watch *next, *prev;
    struct request *r;
    char id[ULID_LEN + 1];
    bool stream;
    int64_t until; /* monotonic ms; INT64_MAX: until its deadline */
};

struct queue {
    struct switch_ *sw;
    struct module *m;
    uv_timer_t timer;
    char owner[64];
    struct run *runs;
    int running, waited; /* of the workers, of those that are waited for */
    int mode_workers;
    struct watch *watches;
    bool active, stopping, closing;
    int64_t renew_at; /* monotonic ms */
    void (*stopped)(void *ctx);
    void *stopped_ctx;
    struct metric *depth[QUEUE_PRIORITIES], *states[SWITCH_JOB_STATE_CANCELLED + 1], *oldest, *bytes,
        *refused, *expired, *ran_again, *wait_seconds, *run_seconds;
    struct metric *attempts[4]; /* by enum queue_attempt */
};

enum queue_attempt { QUEUE_ATTEMPT_DONE, QUEUE_ATTEMPT_RETRIED, QUEUE_ATTEMPT_FAILED, QUEUE_ATTEMPT_DEAD };

const struct config_queue *queue_config(const struct queue *q);
void queue_wake(struct queue *q);                    /* looks at everything at the loop's next turn */
void queue_changed(struct queue *q, const char *id); /* tells who watches it */

/* run.c: takes the job over (claimed or born running); its strings are copied. */
void run_begin(struct queue *q, const struct job *j, bool waited);
void run_finish(struct run *run); /* hands its end to the database; tried again while that fails */
void run_stop(struct queue *q, const char *id); /* its lease is gone */

/* task.c */
enum task_kind { TASK_CHAT, TASK_SHUB, TASK_MADRE, TASK_MANIFESTATOR, TASK_SPAWNER };
enum task_kind task_kind_of(const char *task_type);
const char *task_module(enum task_kind kind); /* who does it; NULL: whoever answers chats */
/* Name of the provider that is this module; NULL: none is. */
const char *task_provider(const struct queue *q, const char *module);
/* The chat that does the job. 0, or VX11_EINVALID with what is wrong with the payload. */
int task_request(struct queue *q, const struct job *j, struct arena *a, struct switch_chat_request *out,
                 struct contract_error *err);

/* watch.c */
int watch_add(struct queue *q, struct request *r, const char *id, bool stream, int64_t wait_ms);
void watch_tell(struct queue *q, const char *id);
int64_t watch_due(struct queue *q); /* lets those go whose time is up; when the next one is, monotonic ms */
void watch_end_streams(struct queue *q);

/* lookup.c: how a job looks to a caller. Texts are the job's and the arena's. */
void job_message(const struct job *j, struct arena *a, bool whole, struct switch_job *out);
bool job_is_theirs(const struct job *j, struct request *r); /* made by them, or they may see everything */
void job_reply(struct request *r, struct queue *q, int status, const char *id); /* terminal */
void task_reply(struct request *r, const struct job *j);                        /* terminal */
void queue_fail(struct request *r, const struct error *err); /* terminal: the one error shape */
yyjson_val *job_json(struct arena *a, const char *text);

#endif
