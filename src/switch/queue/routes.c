/* Routes: what makes jobs and changes them. A job is acknowledged when its row is committed, never before. */
#include "switch/queue/queue_internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <sodium.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define OUTSIDE_HINT "worker"

static struct queue *queue_of(void *module)
{
    return ((struct switch_ *)module)->queue;
}

/* ---- a new job ---- */

/* The key as it came: printable and of a sane length. False: it is not, and the request has been answered. */
static bool take_key(struct request *r, const char **key)
{
    *key = request_header(r, "Idempotency-Key");
    if (!*key)
        return true;
    size_t len = strlen(*key);
    bool sound = len >= 1 && len <= 255;
    for (size_t i = 0; sound && i < len; i++)
        sound = (*key)[i] >= 0x20 && (*key)[i] < 0x7f;
    if (!sound)
        request_fail(r, 400, "invalid_idempotency_key", "Idempotency-Key",
                     "Idempotency-Key must be 1 to 255 printable ASCII characters");
    return sound;
}

static const char *body_hash(struct request *r)
{
    unsigned char hash[16];
    char *hex = arena_alloc(request_arena(r), 2 * sizeof hash + 1);
    size_t len;
    const char *body = request_raw_body(r, &len);
    if (!hex)
        return NULL;
    crypto_generichash(hash, sizeof hash, (const unsigned char *)body, len, NULL, 0);
    hex_encode(hash, sizeof hash, hex);
    return hex;
}

static int new_job(struct queue *q, struct request *r, struct job_new *n)
{
    const struct switch_task_request *body = request_body(r);
    const struct config_queue *c = queue_config(q);
    const struct principal *p = request_principal(r);
    struct arena *a = request_arena(r);
    char scopes[128];
    struct buf payload = BUF_INIT;
    int rc = contract_json_write(body->payload, &payload);
    *n = (struct job_new){
        .source = body->source,
        .task_type = body->task_type,
        .payload = rc == 0 ? arena_strndup(a, payload.data, payload.len) : NULL,
        .provider_hint = body->provider_hint,
        .body_hash = body_hash(r),
        .principal_id = p->id,
        .principal_name = p->name,
        .principal_scopes = arena_strdup(a, auth_scopes_format(p->scopes, scopes, sizeof scopes)),
        .trace = request_trace(r),
        .priority = priority_wanted(r, body->source, body->has_priority ? body->priority : -1),
        .outside = str_eq(body->provider_hint, OUTSIDE_HINT),
        .max_attempts = body->has_max_attempts ? body->max_attempts : c->max_attempts,
        .run_timeout_ms = c->run_timeout_ms,
        .delay_ms = body->has_delay_ms ? body->delay_ms : 0,
        .lease_ms = c->lease_ms,
        .max_jobs = c->max_jobs,
        .max_bytes = c->max_bytes,
    };
    if (body->has_run_timeout_ms && body->run_timeout_ms < n->run_timeout_ms)
        n->run_timeout_ms = body->run_timeout_ms;
    buf_free(&payload);
    return n->payload && n->body_hash && n->principal_scopes ? 0 : VX11_ENOMEM;
}

/* A job that nobody could ever run is refused now. */
static bool check_payload(struct queue *q, struct request *r, const struct job_new *n)
{
    struct switch_chat_request chat;
    struct contract_error wrong = {0};
    struct job j = {.source = n->source, .task_type = n->task_type, .payload = n->payload};
    if (n->outside) {
        const struct switch_task_request *body = request_body(r);
        if (yyjson_is_obj(body->payload))
            return true;
        request_fail(r, 422, "invalid_value", "/payload", "/payload: must be an object");
        return false;
    }
    if (task_request(q, &j, request_arena(r), &chat, &wrong) == 0)
        return true;
    request_fail(r, 422, "invalid_value", wrong.pointer, "%s: %s", wrong.pointer, wrong.text);
    return false;
}

/* Puts the job; false: the request has been answered. owner: born running. */
static bool put(struct queue *q, struct request *r, const char *owner, char id[ULID_LEN + 1],
                char token[ULID_LEN + 1], bool *existing)
{
    struct job_new n;
    struct error err = {0};
    const char *key;
    if (!take_key(r, &key))
        return false;
    if (new_job(q, r, &n) != 0) {
        request_fail(r, 503, "out_of_memory", NULL, "out of memory");
        return false;
    }
    if (!check_payload(q, r, &n))
        return false;
    n.idempotency_key = key;
    n.owner = n.outside || n.delay_ms > 0 ? NULL : owner;
    int rc = job_put(module_store(q->m), &n, clock_wall_ms(), id, token, existing, &err);
    if (rc == VX11_EFULL)
        metric_add(q->refused, 1);
    if (rc != 0) {
        queue_fail(r, &err);
        return false;
    }
    if (*existing)
        request_reply_header(r, "Idempotency-Replayed", "true");
    return true;
}

void queue_on_add(struct request *r, void *module)
{
    struct queue *q = queue_of(module);
    char id[ULID_LEN + 1], token[ULID_LEN + 1];
    bool existing;
    if (!put(q, r, NULL, id, token, &existing))
        return;
    queue_wake(q);
    job_reply(r, q, 202, id);
}

static bool wants_async(struct request *r, const struct switch_task_request *body)
{
    const char *prefer = request_header(r, "Prefer");
    return (body->has_wait_ms && body->wait_ms == 0) || (prefer && strcasestr(prefer, "respond-async"));
}

void queue_on_task(struct request *r, void *module)
{
    struct queue *q = queue_of(module);
    const struct switch_task_request *body = request_body(r);
    bool async = wants_async(r, body), existing;
    bool at_once = !async && q->waited < queue_config(q)->waited;
    char id[ULID_LEN + 1], token[ULID_LEN + 1];
    struct job j;
    struct error err = {0};
    if (!put(q, r, at_once ? q->owner : NULL, id, token, &existing) ||
        job_get(module_store(q->m), id, request_arena(r), &j, &err) != 0) {
        if (err.code)
            queue_fail(r, &err);
        return;
    }
    bool over = j.finished_at > 0;
    if (async || over) {
        queue_wake(q);
        task_reply(r, &j);
        return;
    }
    if (watch_add(q, r, id, false, body->has_wait_ms ? body->wait_ms : -1) != 0) {
        request_fail(r, 503, "out_of_memory", NULL, "out of memory; job %s goes on", id);
        return;
    }
    if (token[0])
        run_begin(q, &j, true);
}

/* ---- cancel, retry ---- */

/* Who made it, or who may act. False: answered. */
static bool may_change(struct queue *q, struct request *r, const char *id, struct job *j)
{
    struct error err = {0};
    if (job_get(module_store(q->m), id, request_arena(r), j, &err) != 0) {
        queue_fail(r, &err);
        return false;
    }
    if (job_is_theirs(j, r) || principal_allows(request_principal(r), CONTRACT_SCOPE_ACT))
        return true;
    request_fail(r, 403, "scope_missing", NULL, "another's job: the scope act is needed");
    return false;
}

void queue_on_cancel(struct request *r, void *module)
{
    struct queue *q = queue_of(module);
    const struct switch_job_id *params = request_params(r);
    struct job j;
    struct error err = {0};
    if (!may_change(q, r, params->id, &j))
        return;
    int rc = job_cancel(module_store(q->m), j.id, clock_wall_ms(), &err);
    if (rc == VX11_EBUSY) {
        request_fail(r, 409, "job_finished", NULL, "%s", err.text);
        return;
    }
    if (rc != 0) {
        queue_fail(r, &err);
        return;
    }
    run_stop(q, j.id);
    job_reply(r, q, 200, j.id);
    queue_changed(q, j.id);
    queue_wake(q);
}

void queue_on_retry(struct request *r, void *module)
{
    struct queue *q = queue_of(module);
    const struct switch_job_id *params = request_params(r);
    struct job j;
    struct error err = {0};
    if (!may_change(q, r, params->id, &j))
        return;
    int rc = job_retry(module_store(q->m), j.id, queue_config(q)->max_jobs, clock_wall_ms(), &err);
    if (rc == VX11_EBUSY) {
        bool done = j.state == SWITCH_JOB_STATE_DONE;
        request_fail(r, 409, done ? "job_done" : "job_not_finished", NULL, "%s", err.text);
        return;
    }
    if (rc != 0) {
        queue_fail(r, &err);
        return;
    }
    queue_wake(q);
    job_reply(r, q, 200, j.id);
    queue_changed(q, j.id);
}
