/* Workers outside of Switch: they take a job, keep it by renewing its lease, and hand in what came of it.
 * What comes with a token that is no longer the job's does not count. */
#include "switch/queue/queue_internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"

static struct queue *queue_of(void *module)
{
    return ((struct switch_ *)module)->queue;
}

void queue_on_claim(struct request *r, void *module)
{
    struct queue *q = queue_of(module);
    const struct switch_claim_request *body = request_body(r);
    struct arena *a = request_arena(r);
    struct switch_claim reply = {.status = SWITCH_CLAIM_STATUS_EMPTY};
    struct switch_job message;
    struct job j;
    struct error err = {0};
    int64_t lease = body->has_lease_ms ? body->lease_ms : queue_config(q)->lease_ms;
    int rc = job_claim(module_store(q->m), body->any ? JOB_POOL_ANY : JOB_POOL_OUTSIDE, body->task_type,
                       body->worker, lease, clock_wall_ms(), a, &j, &err);
    if (rc < 0) {
        queue_fail(r, &err);
        return;
    }
    if (rc == 1) {
        job_message(&j, a, true, &message);
        reply = (struct switch_claim){.status = SWITCH_CLAIM_STATUS_OK,
                                      .job = &message,
                                      .lease_token = j.lease_token,
                                      .has_lease_until = true,
                                      .lease_until = j.lease_until};
        if (j.ran_again > 0)
            metric_add(q->ran_again, 1);
    }
    request_reply(r, 200, &switch_claim_message, &reply);
    if (rc == 1) {
        queue_changed(q, j.id);
        queue_wake(q); /* its lease is to be watched */
    }
}

void queue_on_renew(struct request *r, void *module)
{
    struct queue *q = queue_of(module);
    const struct switch_renew_request *body = request_body(r);
    struct error err = {0};
    int64_t lease = body->has_lease_ms ? body->lease_ms : queue_config(q)->lease_ms;
    if (job_renew(module_store(q->m), body->id, body->lease_token, lease, clock_wall_ms(), &err) != 0) {
        queue_fail(r, &err);
        return;
    }
    job_reply(r, q, 200, body->id);
}

static int complete(struct queue *q, const struct switch_complete_request *body, struct error *err)
{
    const struct config_queue *c = queue_config(q);
    struct store *s = module_store(q->m);
    int64_t now = clock_wall_ms();
    enum switch_job_state state;
    struct buf result = BUF_INIT;
    int rc = body->result ? contract_json_write(body->result, &result) : buf_puts(&result, "null");
    if (rc == 0 && body->status == SWITCH_COMPLETE_REQUEST_STATUS_OK) {
        rc = job_done(s, body->id, body->lease_token, result.data, now, err);
    } else if (rc == 0) {
        struct job_failure f = {.error = body->error ? body->error : "the worker gave no reason",
                                .error_class = body->error_class ? body->error_class : "worker_failed",
                                .error_status = 502,
                                .retryable = body->retryable,
                                .retry_after_ms = -1,
                                .base_ms = c->retry_base_ms,
                                .max_ms = c->retry_max_ms};
        rc = job_failed(s, body->id, body->lease_token, &f, now, &state, err);
    } else {
        error_set(err, rc, "the result could not be written");
    }
    buf_free(&result);
    return rc;
}

void queue_on_complete(struct request *r, void *module)
{
    struct queue *q = queue_of(module);
    const struct switch_complete_request *body = request_body(r);
    char id[ULID_LEN + 1];
    struct error err = {0};
    memcpy(id, body->id, sizeof id);
    if (complete(q, body, &err) != 0) {
        queue_fail(r, &err);
        return;
    }
    job_reply(r, q, 200, id);
    queue_changed(q, id);
    queue_wake(q);
}
