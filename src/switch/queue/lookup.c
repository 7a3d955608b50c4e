/* Lookup: jobs as callers see them. What a job is made of and what came of it is shown to who made it and to
 * admin; that it is there, to all who may read. */
#include "switch/queue/queue_internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"

yyjson_val *job_json(struct arena *a, const char *text)
{
    yyjson_val *v = NULL;
    /* Written by ourselves, from JSON that was checked when it came. */
    if (!text || contract_json_parse(a, text, strlen(text), NULL, &v, NULL) != 0)
        return NULL;
    return v;
}

/* "00-TRACE-SPAN-01" -> TRACE. */
static const char *trace_id(struct arena *a, const char *trace)
{
    return trace && strlen(trace) == 55 ? arena_strndup(a, trace + 3, 32) : NULL;
}

void job_message(const struct job *j, struct arena *a, bool whole, struct switch_job *out)
{
    memset(out, 0, sizeof *out);
    out->id = j->id;
    out->source = j->source;
    out->priority = j->priority;
    out->task_type = j->task_type;
    out->payload = whole ? job_json(a, j->payload) : NULL;
    out->provider_hint = j->provider_hint;
    out->state = (int)j->state;
    out->attempts = j->attempts;
    out->max_attempts = j->max_attempts;
    out->ran_again = j->ran_again;
    out->not_before = j->not_before;
    out->has_lease_until = j->lease_until > 0;
    out->lease_until = j->lease_until;
    out->lease_owner = j->lease_owner;
    out->enqueued_at = j->enqueued_at;
    out->has_started_at = j->started_at > 0;
    out->started_at = j->started_at;
    out->has_finished_at = j->finished_at > 0;
    out->finished_at = j->finished_at;
    out->result = whole ? job_json(a, j->result) : NULL;
    out->error = j->error;
    out->error_class = j->error_class;
    out->idempotency_key = whole ? j->idempotency_key : NULL;
    out->principal = j->principal_name;
    out->trace_id = trace_id(a, j->trace);
}

bool job_is_theirs(const struct job *j, struct request *r)
{
    const struct principal *p = request_principal(r);
    return p && (principal_allows(p, CONTRACT_SCOPE_ADMIN) || str_eq(p->id, j->principal_id));
}

void queue_fail(struct request *r, const struct error *err)
{
    static const struct {
        int code, status;
        const char *name;
    } named[] = {{VX11_ENOT_FOUND, 404, "job_not_found"},
                 {VX11_ECLOSED, 409, "lease_lost"},
                 {VX11_EFULL, 429, "queue_full"},
                 {VX11_EEXISTS, 422, "idempotency_mismatch"}};
    for (size_t i = 0; i < COUNT_OF(named); i++) {
        if (named[i].code != err->code)
            continue;
        if (named[i].status == 429)
            request_retry_after(r, 1000);
        request_fail(r, named[i].status, named[i].name, NULL, "%s", err->text);
        return;
    }
    request_fail_error(r, err);
}

void job_reply(struct request *r, struct queue *q, int status, const char *id)
{
    struct job j;
    struct switch_job message;
    struct error err = {0};
    if (job_get(module_store(q->m), id, request_arena(r), &j, &err) != 0) {
        queue_fail(r, &err);
        return;
    }
    job_message(&j, request_arena(r), job_is_theirs(&j, r), &message);
    request_reply(r, status, &switch_job_message, &message);
}

/* ---- the answer to /switch/task ---- */

/* The field `name` of the stored answer as text; NULL when it has none. */
static const char *result_text(yyjson_val *result, const char *name)
{
    return yyjson_get_str(yyjson_obj_get(result, name));
}

static int task_status(const struct job *j)
{
    if (j->state == SWITCH_JOB_STATE_DONE)
        return 200;
    if (j->state == SWITCH_JOB_STATE_QUEUED || j->state == SWITCH_JOB_STATE_RUNNING)
        return 202;
    return j->error_status >= 400 ? j->error_status : j->state == SWITCH_JOB_STATE_CANCELLED ? 409 : 500;
}

static const char *error_type(int status)
{
    return status == 404   ? "not_found_error"
           : status == 409 ? "conflict_error"
           : status == 403 ? "permission_error"
           : status == 429 ? "rate_limit_error"
           : status == 502 ? "upstream_error"
           : status == 503 ? "unavailable_error"
           : status == 504 ? "timeout_error"
           : status < 500  ? "invalid_request_error"
                           : "server_error";
}

void task_reply(struct request *r, const struct job *j)
{
    static const int words[] = {[SWITCH_JOB_STATE_QUEUED] = SWITCH_TASK_REPLY_STATUS_QUEUED,
                                [SWITCH_JOB_STATE_RUNNING] = SWITCH_TASK_REPLY_STATUS_RUNNING,
                                [SWITCH_JOB_STATE_DONE] = SWITCH_TASK_REPLY_STATUS_OK,
                                [SWITCH_JOB_STATE_FAILED] = SWITCH_TASK_REPLY_STATUS_ERROR,
                                [SWITCH_JOB_STATE_DEAD] = SWITCH_TASK_REPLY_STATUS_ERROR,
                                [SWITCH_JOB_STATE_CANCELLED] = SWITCH_TASK_REPLY_STATUS_CANCELLED};
    struct arena *a = request_arena(r);
    yyjson_val *result = job_json(a, j->result);
    int status = task_status(j);
    struct common_error_body error = {.message = j->error ? j->error : "it failed",
                                      .type = error_type(status),
                                      .code = j->error_class,
                                      .request_id = request_id(r)};
    struct switch_task_reply reply = {.status = words[j->state],
                                      .error = status >= 400 ? &error : NULL,
                                      .task_type = j->task_type,
                                      .provider = result_text(result, "provider"),
                                      .decision = result_text(result, "decision"),
                                      .result = result,
                                      .has_latency_ms = j->finished_at > 0,
                                      .latency_ms = j->finished_at - j->enqueued_at,
                                      .queue_id = j->id,
                                      .reasoning = result_text(result, "decision"),
                                      .attempts = j->attempts,
                                      .ran_again = j->ran_again};
    char *location = arena_printf(a, "/switch/queue/%s", j->id);
    if (status == 202 && location)
        request_reply_header(r, "Location", location);
    request_reply(r, status, &switch_task_reply_message, &reply);
}

/* ---- GET ---- */

static struct queue *queue_of(void *module)
{
    return ((struct switch_ *)module)->queue;
}

void queue_on_get(struct request *r, void *module)
{
    const struct switch_job_id *params = request_params(r);
    job_reply(r, queue_of(module), 200, params->id);
}

void queue_on_events(struct request *r, void *module)
{
    const struct switch_job_id *params = request_params(r);
    struct queue *q = queue_of(module);
    struct job j;
    struct error err = {0};
    int rc = job_get(module_store(q->m), params->id, request_arena(r), &j, &err);
    if (rc == 0)
        rc = watch_add(q, r, j.id, true, -1);
    if (rc != 0) {
        err.code = err.code ? err.code : rc;
        queue_fail(r, &err);
    }
}

struct listed {
    struct arena *a;
    struct switch_job *jobs;
    size_t count;
};

/* Texts that outlive the row. */
static int keep_texts(struct arena *a, struct job *j)
{
    const char **texts[] = {&j->source, &j->task_type,   &j->provider_hint,  &j->lease_owner,  &j->error,
                            &j->trace,  &j->error_class, &j->principal_name, &j->principal_id, &j->payload};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (*texts[i] && !(*texts[i] = arena_strdup(a, *texts[i])))
            return VX11_ENOMEM;
    }
    return 0;
}

static int on_listed(void *ctx, const struct job *j)
{
    struct listed *l = ctx;
    struct job *copy = arena_alloc(l->a, sizeof *copy);
    if (!copy)
        return VX11_ENOMEM;
    *copy = *j;
    if (keep_texts(l->a, copy) != 0)
        return VX11_ENOMEM;
    job_message(copy, l->a, false, &l->jobs[l->count++]);
    return 0;
}

void queue_on_list(struct request *r, void *module)
{
    const struct switch_job_list_params *p = request_params(r);
    struct arena *a = request_arena(r);
    struct error err = {0};
    struct job_filter filter = {.state = p->has_state ? switch_job_state_names[p->state] : NULL,
                                .source = p->source,
                                .task_type = p->task_type,
                                .before = p->before,
                                .limit = p->limit + 1};
    struct listed l = {.a = a, .jobs = arena_array(a, (size_t)p->limit + 1, sizeof *l.jobs)};
    int rc = l.jobs ? job_list(module_store(queue_of(module)->m), &filter, on_listed, &l, &err)
                    : error_set(&err, VX11_ENOMEM, "out of memory");
    if (rc != 0) {
        err.code = rc;
        queue_fail(r, &err);
        return;
    }
    struct switch_job_list reply = {.jobs = l.jobs, .jobs_count = l.count};
    if (l.count > (size_t)p->limit) {
        reply.jobs_count = (size_t)p->limit;
        reply.next = l.jobs[p->limit - 1].id;
    }
    request_reply(r, 200, &switch_job_list_message, &reply);
}

enum { LINE_SHOWN = 100 };
struct line {
    struct request *r;
    struct switch_queue_item items[LINE_SHOWN];
    size_t count;
};

static int on_line(void *ctx, const struct job *j)
{
    struct line *l = ctx;
    struct arena *a = request_arena(l->r);
    struct job *copy = arena_alloc(a, sizeof *copy);
    if (!copy)
        return VX11_ENOMEM;
    *copy = *j;
    if (!job_is_theirs(j, l->r))
        copy->payload = NULL;
    if (keep_texts(a, copy) != 0)
        return VX11_ENOMEM;
    l->items[l->count++] = (struct switch_queue_item){.task_id = copy->id,
                                                      .priority = copy->priority,
                                                      .task_type = copy->task_type,
                                                      .source = copy->source,
                                                      .payload = job_json(a, copy->payload),
                                                      .enqueued_at = copy->enqueued_at,
                                                      .not_before = copy->not_before};
    return 0;
}

void queue_on_status(struct request *r, void *module)
{
    struct queue *q = queue_of(module);
    struct job_stats st;
    struct error err = {0};
    struct switch_queue_depth depth[QUEUE_PRIORITIES];
    struct line *l = arena_zalloc(request_arena(r), sizeof *l);
    int rc = l ? job_stats(module_store(q->m), &st, &err) : error_set(&err, VX11_ENOMEM, "out of memory");
    if (rc == 0) {
        l->r = r;
        rc = job_line(module_store(q->m), LINE_SHOWN, on_line, l, &err);
    }
    if (rc != 0) {
        err.code = rc;
        queue_fail(r, &err);
        return;
    }
    struct switch_queue_status reply = {.status = SWITCH_QUEUE_STATUS_STATUS_OK,
                                        .size = st.by_state[SWITCH_JOB_STATE_QUEUED],
                                        .queue_size = st.by_state[SWITCH_JOB_STATE_QUEUED],
                                        .running = st.by_state[SWITCH_JOB_STATE_RUNNING],
                                        .done = st.by_state[SWITCH_JOB_STATE_DONE],
                                        .failed = st.by_state[SWITCH_JOB_STATE_FAILED],
                                        .dead = st.by_state[SWITCH_JOB_STATE_DEAD],
                                        .cancelled = st.by_state[SWITCH_JOB_STATE_CANCELLED],
                                        .max_jobs = queue_config(q)->max_jobs,
                                        .bytes = st.bytes,
                                        .workers = queue_workers(q),
                                        .has_oldest_at = st.oldest_at > 0,
                                        .oldest_at = st.oldest_at,
                                        .by_priority = depth,
                                        .items = l->items,
                                        .items_count = l->count};
    for (int i = 0; i < QUEUE_PRIORITIES; i++)
        if (st.queued[i] > 0)
            depth[reply.by_priority_count++] =
                (struct switch_queue_depth){.priority = i, .queued = st.queued[i]};
    request_reply(r, 200, &switch_queue_status_message, &reply);
}

void queue_on_next(struct request *r, void *module)
{
    struct job j;
    struct error err = {0};
    struct arena *a = request_arena(r);
    struct switch_queue_next reply = {.status = SWITCH_QUEUE_NEXT_STATUS_EMPTY};
    int rc = job_peek(module_store(queue_of(module)->m), clock_wall_ms(), a, &j, &err);
    if (rc < 0) {
        queue_fail(r, &err);
        return;
    }
    if (rc == 1) {
        reply.status = SWITCH_QUEUE_NEXT_STATUS_OK;
        reply.payload = job_is_theirs(&j, r) ? job_json(a, j.payload) : NULL;
        reply.has_priority = true;
        reply.priority = j.priority;
        reply.task_queue_id = j.id;
    }
    request_reply(r, 200, &switch_queue_next_message, &reply);
}
