/* Queue: the clock of it. One timer that goes off when something is due: a lease to renew, one that has
 * ended, a job whose time has come, a caller who has waited long enough. While nothing is, it sleeps. */
#include "switch/queue/queue_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "switch/queue/queries.h"

enum {
    DEFAULT_WORKERS = 2, /* until a mode says more */
    AGAIN_MS = 1000,          /* after the database refused */
    LONGEST_SLEEP_MS = 60000, /* the wall clock may be set */
};

const struct config_queue *queue_config(const struct queue *q)
{
    return module_config(q->m)->values->switch_->queue;
}

int queue_workers(const struct queue *q)
{
    int64_t configured = queue_config(q)->workers;
    return configured > 0 ? (int)configured : q->mode_workers;
}

static void on_timer(uv_timer_t *timer);

/* ---- what is due ---- */

static void on_expired(void *ctx, const char *id)
{
    struct queue *q = ctx;
    log_warn("queue", "a job's worker was not heard of in time", LOG_S("job", id));
    metric_add(q->expired, 1);
    run_stop(q, id);
    queue_changed(q, id);
}

static void queue_renew(struct queue *q)
{
    int64_t now = clock_mono_ms(), lease = queue_config(q)->lease_ms;
    if (!q->runs || now < q->renew_at)
        return;
    q->renew_at = now + lease / 3;
    for (struct run *run = q->runs, *next; run; run = next) {
        struct error err = {0};
        next = run->next;
        if (run->stopped)
            continue;
        int rc =
            job_renew(module_store(q->m), run->job.id, run->job.lease_token, lease, clock_wall_ms(), &err);
        if (rc == VX11_ECLOSED) {
            log_warn("queue", "a running job is no longer ours", LOG_S("job", run->job.id));
            run_stop(q, run->job.id);
        } else if (rc != 0) {
            log_error("queue", "a lease could not be renewed", LOG_S("job", run->job.id),
                      LOG_S("reason", err.text));
            q->renew_at = now + AGAIN_MS < q->renew_at ? now + AGAIN_MS : q->renew_at;
        }
    }
}

/* Ends that the database has not taken yet. */
static void queue_finish(struct queue *q)
{
    for (struct run *run = q->runs, *next; run; run = next) {
        next = run->next;
        if (run->ended)
            run_finish(run);
    }
}

/* 1: took one, 0: there is none, or an error. */
static int claim_one(struct queue *q, struct error *err)
{
    struct job j;
    struct arena *a = arena_create(0);
    if (!a)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = job_claim(module_store(q->m), JOB_POOL_OWN, NULL, q->owner, queue_config(q)->lease_ms,
                       clock_wall_ms(), a, &j, err);
    if (rc == 1) {
        run_begin(q, &j, false);
        queue_changed(q, j.id);
    }
    arena_destroy(a);
    return rc;
}

static int queue_claim(struct queue *q, int64_t not_before, struct error *err)
{
    int rc = 0;
    if (!q->active || q->stopping || not_before > clock_wall_ms())
        return 0;
    while (q->running < queue_workers(q) && (rc = claim_one(q, err)) == 1)
        ;
    return rc < 0 ? rc : 0;
}

/* Milliseconds until wall time `at`, at least 0. */
static int64_t until_wall(int64_t at)
{
    int64_t left = at == INT64_MAX ? INT64_MAX : at - clock_wall_ms();
    return left > 0 ? left : 0;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void queue_arm(struct queue *q, int64_t not_before, int64_t lease, bool failed)
{
    int64_t now = clock_mono_ms(), wait = LONGEST_SLEEP_MS, watched = watch_due(q);
    if (q->active && !q->stopping && q->running < queue_workers(q))
        wait = least(wait, until_wall(not_before));
    wait = least(wait, until_wall(lease));
    if (watched != INT64_MAX)
        wait = least(wait, watched > now ? watched - now : 0);
    if (q->runs)
        wait = least(wait, q->renew_at > now ? q->renew_at - now : 0);
    for (const struct run *run = q->runs; run; run = run->next)
        if (run->ended)
            wait = least(wait, AGAIN_MS);
    if (failed)
        wait = AGAIN_MS;
    if (!q->closing)
        uv_timer_start(&q->timer, on_timer, (uint64_t)(wait > 0 ? wait : 1), 0); /* others get their turn */
}

static void on_timer(uv_timer_t *timer)
{
    struct queue *q = timer->data;
    struct store *s = module_store(q->m);
    struct error err = {0};
    int64_t not_before, lease;
    queue_finish(q);
    queue_renew(q);
    int rc = job_next_due(s, &not_before, &lease, &err);
    if (rc == 0 && lease <= clock_wall_ms()) {
        /* Ours are not lost, whatever held the loop up or set the clock. */
        q->renew_at = 0;
        queue_renew(q);
        rc = job_expire(s, clock_wall_ms(), on_expired, q, &err);
    }
    if (rc == 0)
        rc = job_next_due(s, &not_before, &lease, &err);
    if (rc == 0)
        rc = queue_claim(q, not_before, &err);
    if (rc == 0)
        rc = job_next_due(s, &not_before, &lease, &err);
    if (rc != 0)
        log_error("queue", "the queue cannot be read or written now", LOG_S("reason", err.text));
    queue_arm(q, not_before, lease, rc != 0);
}

void queue_wake(struct queue *q)
{
    if (!q->closing)
        uv_timer_start(&q->timer, on_timer, 0, 0);
}

void queue_changed(struct queue *q, const char *id)
{
    watch_tell(q, id);
}

/* ---- numbers ---- */

static void on_render(void *ctx)
{
    struct queue *q = ctx;
    struct job_stats st;
    struct error err = {0};
    if (job_stats(module_store(q->m), &st, &err) != 0) {
        log_error("queue", "the queue cannot be counted", LOG_S("reason", err.text));
        return;
    }
    for (size_t i = 0; i < COUNT_OF(q->depth); i++)
        metric_set(q->depth[i], (double)st.queued[i]);
    for (size_t i = 0; i < COUNT_OF(q->states); i++)
        metric_set(q->states[i], (double)st.by_state[i]);
    int64_t age = st.oldest_at ? clock_wall_ms() - st.oldest_at : 0;
    metric_set(q->oldest, age > 0 ? (double)age / 1000.0 : 0);
    metric_set(q->bytes, (double)st.bytes);
}

static struct metric *labelled(struct queue *q, enum metric_kind kind, const char *name, const char *label,
                               const char *value, const char *help)
{
    char labels[80];
    snprintf(labels, sizeof labels, "%s=\"%s\"", label, value);
    return metrics_get(module_metrics(q->m), kind, name, labels, help);
}

static int queue_metrics(struct queue *q)
{
    static const char *const ends[] = {"done", "retried", "failed", "dead"};
    struct metrics *m = module_metrics(q->m);
    bool ok = true;
    for (size_t i = 0; i < COUNT_OF(q->depth); i++) {
        char digit[2] = {(char)('0' + i), '\0'};
        q->depth[i] = labelled(q, METRIC_GAUGE, "vx11_queue_depth", "priority", digit, "Jobs that wait.");
        ok = ok && q->depth[i];
    }
    for (size_t i = 0; i < COUNT_OF(q->states); i++) {
        q->states[i] = labelled(q, METRIC_GAUGE, "vx11_queue_jobs", "state", switch_job_state_names[i],
                                "Jobs that are kept.");
        ok = ok && q->states[i];
    }
    for (size_t i = 0; i < COUNT_OF(q->attempts); i++) {
        q->attempts[i] = labelled(q, METRIC_COUNTER, "vx11_queue_attempts_total", "end", ends[i],
                                  "Attempts of Switch's own workers that ended.");
        ok = ok && q->attempts[i];
    }
    q->oldest = metrics_get(m, METRIC_GAUGE, "vx11_queue_oldest_seconds", NULL,
                            "How long the job that has waited longest waits.");
    q->bytes = metrics_get(m, METRIC_GAUGE, "vx11_queue_bytes", NULL, "Payloads of unfinished jobs.");
    q->refused = metrics_get(m, METRIC_COUNTER, "vx11_queue_refused_total", NULL,
                             "Jobs that were refused because the queue was full.");
    q->expired = metrics_get(m, METRIC_COUNTER, "vx11_queue_leases_expired_total", NULL,
                             "Leases whose worker was not heard of in time.");
    q->ran_again = metrics_get(m, METRIC_COUNTER, "vx11_queue_ran_again_total", NULL,
                               "Jobs begun again after their lease had expired.");
    q->wait_seconds = metrics_get(m, METRIC_HISTOGRAM, "vx11_queue_wait_seconds", NULL,
                                  "From when a job might begin to when it did.");
    q->run_seconds =
        metrics_get(m, METRIC_HISTOGRAM, "vx11_queue_run_seconds", NULL, "How long one attempt took.");
    ok = ok && q->oldest && q->bytes && q->refused && q->expired && q->ran_again && q->wait_seconds &&
         q->run_seconds;
    return ok && metrics_on_render(m, on_render, q) == 0 ? 0 : VX11_ENOMEM;
}

/* ---- start, stop, reload ---- */

static int keep_bound(struct queue *q, struct error *err)
{
    const struct store_value keep[] = {STORE_I(queue_config(q)->keep_ms),
                                       STORE_I(queue_config(q)->keep_finished)};
    return store_exec(module_store(q->m), JOB_KEEP_SQL, keep, COUNT_OF(keep), NULL, err);
}

int queue_start(struct switch_ *sw, struct queue **out, struct error *err)
{
    struct queue *q = calloc(1, sizeof *q);
    if (!q)
        return error_set(err, VX11_ENOMEM, "out of memory");
    *out = q;
    q->sw = sw;
    q->m = sw->m;
    q->active = true;
    q->mode_workers = DEFAULT_WORKERS;
    snprintf(q->owner, sizeof q->owner, "switch:%d", (int)getpid());
    uv_timer_init(module_loop(q->m), &q->timer);
    q->timer.data = q;
    if (queue_metrics(q) != 0)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = keep_bound(q, err);
    queue_wake(q);
    return rc;
}

void queue_reload(struct queue *q)
{
    struct error err = {0};
    if (keep_bound(q, &err) != 0)
        log_error("queue", "how long finished jobs are kept stays as it was", LOG_S("reason", err.text));
    queue_wake(q);
}

void queue_set_active(struct queue *q, bool active)
{
    q->active = active;
    queue_wake(q);
}

void queue_set_mode_workers(struct queue *q, int workers)
{
    if (workers < 1 || workers == q->mode_workers)
        return;
    q->mode_workers = workers;
    queue_wake(q);
}

void queue_stopping(struct queue *q)
{
    q->stopping = true;
    watch_end_streams(q);
}

static void on_closed(uv_handle_t *handle)
{
    struct queue *q = handle->data;
    q->stopped(q->stopped_ctx);
}

/* The server has drained: whoever waited has been answered, and our own calls to it have ended or will never
 * be. */
void queue_stop(struct queue *q, void (*done)(void *ctx), void *ctx)
{
    q->stopping = q->closing = true;
    q->stopped = done;
    q->stopped_ctx = ctx;
    for (struct run *run = q->runs; run; run = run->next) {
        struct error err = {0};
        if (run->stopped)
            continue;
        int rc = job_give_back(module_store(q->m), run->job.id, run->job.lease_token, clock_wall_ms(), &err);
        if (rc != 0 && rc != VX11_ECLOSED)
            log_warn("queue", "a running job could not be given back; its lease will end",
                     LOG_S("job", run->job.id), LOG_S("reason", err.text));
        run->stopped = true;
    }
    uv_close((uv_handle_t *)&q->timer, on_closed);
}

void queue_free(struct queue *q)
{
    if (!q)
        return;
    while (q->runs) { /* the client has ended their calls */
        struct run *run = q->runs;
        q->runs = run->next;
        arena_destroy(run->arena);
        free(run);
    }
    while (q->watches) {
        struct watch *w = q->watches;
        q->watches = w->next;
        free(w);
    }
    free(q);
}
