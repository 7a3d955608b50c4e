/* Lease: who runs a job, and what becomes of it then. A worker that is not heard of until its lease ends has
 * lost the job: another takes it, and the row says that it was begun again. */
#include <string.h>

#include "base/str.h"
#include "switch/queue/job_internal.h"
#include "switch/queue/queries.h"

/* ---- claim ---- */

struct claim {
    const char *sql, *task_type, *owner;
    int64_t lease_ms, now;
    struct job_taken taken;
};

static int claim_all(void *ctx, struct store *s, struct error *err)
{
    struct claim *c = ctx;
    char token[ULID_LEN + 1];
    int64_t changed = 0;
    ulid_make(token);
    struct store_value values[] = {STORE_T(token), STORE_T(c->owner), STORE_I(c->now + c->lease_ms),
                                   STORE_I(c->now), STORE_T(c->task_type)};
    int rc = store_exec(s, c->sql, values, COUNT_OF(values), &changed, err);
    if (rc != 0 || changed == 0)
        return rc;
    rc = store_query(s, JOB_BY_TOKEN_SQL, values, 1, job_take, &c->taken, err);
    if (rc == 0 && !c->taken.found)
        rc = error_set(err, VX11_EINTERNAL, "a claimed job cannot be read");
    return rc;
}

int job_claim(struct store *s, enum job_pool pool, const char *task_type, const char *owner, int64_t lease_ms,
              int64_t now, struct arena *a, struct job *out, struct error *err)
{
    static const char *const sql[] = {[JOB_POOL_OWN] = JOB_CLAIM_OWN_SQL,
                                      [JOB_POOL_OUTSIDE] = JOB_CLAIM_OUTSIDE_SQL,
                                      [JOB_POOL_ANY] = JOB_CLAIM_ANY_SQL};
    struct claim c = {.sql = sql[pool],
                      .task_type = task_type,
                      .owner = owner,
                      .lease_ms = lease_ms,
                      .now = now,
                      .taken = {.arena = a, .job = out}};
    int rc = store_transaction(s, claim_all, &c, err);
    return rc != 0 ? rc : c.taken.found;
}

/* ---- those that show the token ---- */

static int held_exec(struct store *s, const char *sql, const struct store_value *values, size_t n,
                     struct error *err)
{
    int64_t changed = 0;
    int rc = store_exec(s, sql, values, n, &changed, err);
    if (rc == 0 && changed == 0)
        rc = error_set(err, VX11_ECLOSED, "the job's lease is another's, or the job is over");
    return rc;
}

int job_renew(struct store *s, const char *id, const char *token, int64_t lease_ms, int64_t now,
              struct error *err)
{
    struct store_value values[] = {STORE_T(id), STORE_T(token), STORE_I(now + lease_ms)};
    return held_exec(s, JOB_RENEW_SQL, values, COUNT_OF(values), err);
}

int job_done(struct store *s, const char *id, const char *token, const char *result, int64_t now,
             struct error *err)
{
    struct store_value values[] = {STORE_T(id), STORE_T(token), STORE_I(now), STORE_T(result)};
    return held_exec(s, JOB_DONE_SQL, values, COUNT_OF(values), err);
}

int64_t job_back_off(int64_t attempts, int64_t base_ms, int64_t max_ms)
{
    int64_t wait = base_ms < max_ms ? base_ms : max_ms;
    for (int64_t i = 1; i < attempts && wait < max_ms; i++)
        wait = wait > max_ms / 2 ? max_ms : wait * 2;
    uint32_t random;
    random_bytes(&random, sizeof random);
    return wait - (int64_t)((uint64_t)random % ((uint64_t)wait / 2 + 1));
}

struct failed {
    const char *id, *token;
    const struct job_failure *f;
    int64_t now, attempts, max_attempts;
    bool held;
    enum switch_job_state state;
};

static int take_attempts(void *ctx, const struct store_row *row)
{
    struct failed *x = ctx;
    x->held = true;
    x->attempts = row_int(row, 0);
    x->max_attempts = row_int(row, 1);
    return 0;
}

static int failed_all(void *ctx, struct store *s, struct error *err)
{
    struct failed *x = ctx;
    const struct job_failure *f = x->f;
    struct store_value key[] = {STORE_T(x->id), STORE_T(x->token)};
    int rc = store_query(s, JOB_ATTEMPTS_SQL, key, COUNT_OF(key), take_attempts, x, err);
    if (rc != 0)
        return rc;
    if (!x->held)
        return error_set(err, VX11_ECLOSED, "the job's lease is another's, or the job is over");
    x->state = !f->retryable                    ? SWITCH_JOB_STATE_FAILED
               : x->attempts >= x->max_attempts ? SWITCH_JOB_STATE_DEAD
                                                : SWITCH_JOB_STATE_QUEUED;
    bool again = x->state == SWITCH_JOB_STATE_QUEUED;
    int64_t wait = again ? job_back_off(x->attempts, f->base_ms, f->max_ms) : 0;
    if (wait < f->retry_after_ms)
        wait = f->retry_after_ms;
    struct store_value values[] = {STORE_T(x->id),
                                   STORE_T(x->token),
                                   STORE_I(x->now + (again ? wait : 0)),
                                   STORE_T(f->error),
                                   STORE_T(f->error_class),
                                   f->error_status ? STORE_I(f->error_status) : STORE_N,
                                   STORE_T(switch_job_state_names[x->state])};
    return held_exec(s, again ? JOB_AGAIN_SQL : JOB_END_SQL, values,
                     again ? COUNT_OF(values) - 1 : COUNT_OF(values), err);
}

int job_failed(struct store *s, const char *id, const char *token, const struct job_failure *f, int64_t now,
               enum switch_job_state *state, struct error *err)
{
    struct failed x = {.id = id, .token = token, .f = f, .now = now};
    int rc = store_transaction(s, failed_all, &x, err);
    if (rc == 0)
        *state = x.state;
    return rc;
}

int job_give_back(struct store *s, const char *id, const char *token, int64_t now, struct error *err)
{
    struct store_value values[] = {STORE_T(id),         STORE_T(token),
                                   STORE_I(now),        STORE_T("its worker was stopped"),
                                   STORE_T("stopping"), STORE_I(503)};
    return held_exec(s, JOB_AGAIN_SQL, values, COUNT_OF(values), err);
}

/* ---- leases that ended ---- */

enum { EXPIRED_AT_ONCE = 256 };
struct expired {
    int64_t now;
    size_t count;
    struct {
        char id[ULID_LEN + 1];
        bool dead;
    } list[EXPIRED_AT_ONCE];
};

static int take_expired(void *ctx, const struct store_row *row)
{
    struct expired *x = ctx;
    if (x->count == EXPIRED_AT_ONCE)
        return 0;
    row_copy(row, 0, x->list[x->count].id, ULID_LEN + 1);
    x->list[x->count++].dead = row_int(row, 1) >= row_int(row, 2);
    return 0;
}

static int expire_all(void *ctx, struct store *s, struct error *err)
{
    struct expired *x = ctx;
    x->count = 0;
    int rc =
        store_query(s, JOB_EXPIRED_SQL, (struct store_value[]){STORE_I(x->now)}, 1, take_expired, x, err);
    for (size_t i = 0; rc == 0 && i < x->count; i++) {
        struct store_value values[] = {STORE_T(x->list[i].id), STORE_I(x->now)};
        rc = store_exec(s, x->list[i].dead ? JOB_LOST_DEAD_SQL : JOB_LOST_SQL, values, 2, NULL, err);
    }
    return rc;
}

int job_expire(struct store *s, int64_t now, void (*fn)(void *ctx, const char *id), void *ctx,
               struct error *err)
{
    struct expired x = {.now = now};
    int rc;
    do {
        rc = store_transaction(s, expire_all, &x, err);
        for (size_t i = 0; rc == 0 && fn && i < x.count; i++)
            fn(ctx, x.list[i].id);
    } while (rc == 0 && x.count == EXPIRED_AT_ONCE);
    return rc;
}
