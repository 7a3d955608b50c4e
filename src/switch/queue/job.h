/* Job: the rows of the durable queue. Everything here is one short transaction on the store and knows neither
 * clock nor network: the time is given, so that tests hold it.
 *
 *            put                claim                 done
 *   (nothing) ──> queued ──────────────────> running ──────> done
 *                  ^  ^   retryable, back-off  │ │ │ failed
 *                  │  └────────────────────────┘ │ ├──────> failed   it cannot be done
 *                  │     lease expired: ran_again│ │
 *                  └─────────────────────────────┘ └──────> dead     all attempts used
 *   queued, running ── cancel ──> cancelled;   failed, dead, cancelled ── retry ──> queued
 *
 * Who runs a job holds its lease and shows so with a token: what comes with another token does not count. */
#ifndef VX11_SWITCH_JOB_H
#define VX11_SWITCH_JOB_H

#include "api/switch.h"
#include "base/arena.h"
#include "base/ulid.h"
#include "store/store.h"

struct job {
    char id[ULID_LEN + 1];
    char lease_token[ULID_LEN + 1]; /* "" when nobody holds it */
    enum switch_job_state state;
    int priority;
    bool outside;
    /* In the arena given; NULL where the column is null. payload: JSON text. */
    const char *source, *task_type, *payload, *provider_hint, *lease_owner, *result, *error, *error_class,
        *idempotency_key, *principal_id, *principal_name, *principal_scopes, *trace;
    int error_status;
    int64_t attempts, max_attempts, ran_again, run_timeout_ms;
    int64_t not_before, enqueued_at;              /* epoch ms */
    int64_t lease_until, started_at, finished_at; /* epoch ms, 0: none */
};

/* A new one: as struct job, of which id, state, times and lease are filled by job_put. */
struct job_new {
    const char *source, *task_type, *payload, *provider_hint, *idempotency_key, *body_hash, *principal_id,
        *principal_name, *principal_scopes, *trace;
    int priority;
    bool outside;
    int64_t max_attempts, run_timeout_ms, delay_ms;
    /* Not NULL: it is born running, in this worker's hands. */
    const char *owner;
    int64_t lease_ms;
    /* Bounds on what is not finished. */
    int64_t max_jobs, max_bytes;
};

/* 0; *existing: the same was put before under its idempotency key, and *id is that one's. VX11_EEXISTS: the
 * key was used with another body. VX11_EFULL: too many, or too large, with a sentence. token (of the lease)
 * is "" unless born running. */
int job_put(struct store *s, const struct job_new *n, int64_t now, char id[ULID_LEN + 1],
            char token[ULID_LEN + 1], bool *existing, struct error *err);

enum job_pool { JOB_POOL_OWN, JOB_POOL_OUTSIDE, JOB_POOL_ANY };

/* Takes the first one in line: by priority, then by age. task_type NULL: whatever type. 1 with *out (in the
 * arena), 0 when there is none, or an error. */
int job_claim(struct store *s, enum job_pool pool, const char *task_type, const char *owner, int64_t lease_ms,
              int64_t now, struct arena *a, struct job *out, struct error *err);
/* As job_claim, only looking. */
int job_peek(struct store *s, int64_t now, struct arena *a, struct job *out, struct error *err);

/* Those with a token: VX11_ECLOSED when the lease is not (or no longer) this one's. */
int job_renew(struct store *s, const char *id, const char *token, int64_t lease_ms, int64_t now,
              struct error *err);
int job_done(struct store *s, const char *id, const char *token, const char *result, int64_t now,
             struct error *err);

struct job_failure {
    const char *error, *error_class;
    int error_status; /* HTTP status that goes with it, 0: none */
    bool retryable;
    int64_t retry_after_ms;  /* least wait that was asked for; -1: none */
    int64_t base_ms, max_ms; /* back-off */
};
/* *state: what became of it: queued again, failed or dead. */
int job_failed(struct store *s, const char *id, const char *token, const struct job_failure *f, int64_t now,
               enum switch_job_state *state, struct error *err);
/* Its worker stops before it is through: queued again at once, whatever its attempts. */
int job_give_back(struct store *s, const char *id, const char *token, int64_t now, struct error *err);

/* Wait before attempt number `attempts` + 1: base · 2^(attempts-1), at most max, less up to half of it at
 * random. */
int64_t job_back_off(int64_t attempts, int64_t base_ms, int64_t max_ms);

/* Queues again, or declares dead, what nobody was heard of in time; fn for each (in no transaction). */
int job_expire(struct store *s, int64_t now, void (*fn)(void *ctx, const char *id), void *ctx,
               struct error *err);

/* VX11_ENOT_FOUND, VX11_EBUSY: over already (cancel); not over, or done (retry). */
int job_cancel(struct store *s, const char *id, int64_t now, struct error *err);
int job_retry(struct store *s, const char *id, int64_t max_jobs, int64_t now, struct error *err);

int job_get(struct store *s, const char *id, struct arena *a, struct job *out, struct error *err);

typedef int (*job_fn)(void *ctx, const struct job *j); /* non-zero stops and is returned */
struct job_filter {
    const char *state, *source, *task_type, *before; /* NULL: any */
    int64_t limit;
};
/* Newest first, without payload and result. Strings are valid in fn only. */
int job_list(struct store *s, const struct job_filter *filter, job_fn fn, void *ctx, struct error *err);
/* Those that wait, first in line first, with payload. */
int job_line(struct store *s, int64_t limit, job_fn fn, void *ctx, struct error *err);

struct job_stats {
    int64_t by_state[SWITCH_JOB_STATE_CANCELLED + 1];
    int64_t queued[10]; /* by priority */
    int64_t bytes;      /* payloads of unfinished ones */
    int64_t oldest_at;  /* of those that wait; 0: none */
};
int job_stats(struct store *s, struct job_stats *out, struct error *err);
/* When there is something to do next, epoch ms: the earliest not_before of what Switch itself may run, the
 * earliest end of a lease; INT64_MAX: nothing. */
int job_next_due(struct store *s, int64_t *not_before, int64_t *lease, struct error *err);

#endif
