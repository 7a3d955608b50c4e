/* Run: one attempt of a job. It goes through Switch's own socket as the one who asked for it, so that it
 * takes the path of any request.
 *
 * What comes of it is written under the lease's token. Until the database has taken it, it is kept and the
 * lease renewed: an answer is not lost to a disk that is full for a while. */
#include "switch/queue/queue_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/switch_client.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "store/tokens.h"

#define RESULT_MAX (4u * 1024u * 1024u)

static void run_free(struct run *run)
{
    struct queue *q = run->q;
    if (run->prev)
        run->prev->next = run->next;
    else
        q->runs = run->next;
    if (run->next)
        run->next->prev = run->prev;
    *(run->waited ? &q->waited : &q->running) -= 1;
    arena_destroy(run->arena);
    free(run);
}

/* ---- the end ---- */

static void run_counted(struct run *run, enum switch_job_state state)
{
    static const enum queue_attempt ends[] = {[SWITCH_JOB_STATE_QUEUED] = QUEUE_ATTEMPT_RETRIED,
                                              [SWITCH_JOB_STATE_DONE] = QUEUE_ATTEMPT_DONE,
                                              [SWITCH_JOB_STATE_FAILED] = QUEUE_ATTEMPT_FAILED,
                                              [SWITCH_JOB_STATE_DEAD] = QUEUE_ATTEMPT_DEAD};
    struct queue *q = run->q;
    metric_add(q->attempts[ends[state]], 1);
    metric_observe(q->run_seconds, (double)(clock_mono_ns() - run->began_ns) / 1e9);
    if (state == SWITCH_JOB_STATE_DEAD)
        module_alert(q->m, LINK_ALERT_SEVERITY_L3, "job %s (%s) is dead after %lld attempts: %.300s",
                     run->job.id, run->job.task_type, (long long)run->job.attempts, run->failure.error);
}

void run_finish(struct run *run)
{
    struct queue *q = run->q;
    struct store *s = module_store(q->m);
    struct error err = {0};
    enum switch_job_state state = SWITCH_JOB_STATE_DONE;
    char id[ULID_LEN + 1];
    int rc;
    if (run->stopped) {
        run_free(run);
        return;
    }
    /* Switch itself would not do it now: that is not the job's failure. */
    bool standby = str_eq(run->failure.error_class, "module_standby");
    q->active = q->active && !standby;
    if (run->good) {
        rc = job_done(s, run->job.id, run->job.lease_token, run->result, clock_wall_ms(), &err);
    } else if (standby || (q->stopping && run->failure.retryable)) {
        rc = job_give_back(s, run->job.id, run->job.lease_token, clock_wall_ms(), &err);
        state = SWITCH_JOB_STATE_QUEUED;
    } else {
        rc = job_failed(s, run->job.id, run->job.lease_token, &run->failure, clock_wall_ms(), &state, &err);
    }
    if (rc != 0 && rc != VX11_ECLOSED) {
        log_error("queue", "what came of a job cannot be written now", LOG_S("job", run->job.id),
                  LOG_S("reason", err.text));
        return; /* the timer comes again */
    }
    if (rc == 0)
        run_counted(run, state);
    else
        log_warn("queue", "what came of a job came too late", LOG_S("job", run->job.id));
    memcpy(id, run->job.id, sizeof id);
    run_free(run);
    queue_changed(q, id);
    queue_wake(q);
}

static void run_failed(struct run *run, int status, const char *code, bool retryable, int64_t retry_after_ms,
                       const char *text)
{
    const struct config_queue *c = queue_config(run->q);
    run->ended = true;
    run->failure = (struct job_failure){.error = arena_printf(run->arena, "%.1000s", text),
                                        .error_class = arena_printf(run->arena, "%.63s", code),
                                        .error_status = status,
                                        .retryable = retryable,
                                        .retry_after_ms = retry_after_ms,
                                        .base_ms = c->retry_base_ms,
                                        .max_ms = c->retry_max_ms};
    run_finish(run);
}

/* Too busy, not there, too slow or broken today: another time it may go well. What the request itself is to
 * blame for stays so. */
static bool status_retryable(int status)
{
    return status == 408 || status == 425 || status == 429 || (status >= 502 && status <= 504);
}

static void on_reply(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct run *run = ctx;
    (void)call;
    run->call = NULL;
    if (run->q->closing || run->stopped) {
        if (!run->q->closing)
            run_free(run);
        return; /* queue_free takes what is left */
    }
    if (reply->result == 0 && reply->status < 300 && reply->message) {
        if (reply->body_len > RESULT_MAX) {
            run_failed(run, 502, "result_too_large", false, -1, "the answer is larger than 4 MiB");
            return;
        }
        run->result = arena_strndup(run->arena, reply->body, reply->body_len);
        run->ended = run->good = run->result != NULL;
        if (run->good)
            run_finish(run);
        else
            run_failed(run, 503, "out_of_memory", true, -1, "there was no memory for the answer");
        return;
    }
    int status = reply->result == 0 ? reply->status : reply->result == VX11_ETIMEOUT ? 504 : 503;
    bool answered = reply->result == 0 && reply->status < 300;
    const char *code = reply->error_code[0]             ? reply->error_code
                       : answered                       ? "reply_broken"
                       : reply->result == VX11_ETIMEOUT ? "deadline_exceeded"
                                                        : "unavailable";
    run_failed(run, answered ? 502 : status, code, answered || status_retryable(status),
               reply->retry_after_ms,
               reply->error.text[0] ? reply->error.text : "the request failed without a word");
}

/* ---- the beginning ---- */

/* The name goes with its ';' and '%' escaped, as module_call_options' callers read it back. */
static char *escape_name(struct arena *a, const char *name)
{
    struct buf out = BUF_INIT;
    for (const char *c = name; *c; c++) {
        if (*c == ';' || *c == '%' || (unsigned char)*c < 0x20)
            buf_printf(&out, "%%%02X", (unsigned)(unsigned char)*c);
        else
            buf_putc(&out, *c);
    }
    char *text = out.failed ? NULL : arena_strdup(a, out.data ? out.data : "");
    buf_free(&out);
    return text;
}

/* What the one who asked may do now: a token that was revoked since takes its jobs along. */
static int run_scopes(struct run *run, const char **scopes, struct error *err)
{
    struct token_row token;
    struct error none = {0};
    const struct job *j = &run->job;
    *scopes = j->principal_scopes;
    if (str_eq(j->principal_id, "local") ||
        token_find(module_store(run->q->m), j->principal_id, false, &token, &none) != 0)
        return 0; /* a module, or a session of the page */
    if (token.revoked_at || (token.expires_at && token.expires_at <= clock_wall_ms()))
        return error_set(err, VX11_EPERMISSION, "the token %s, which asked for this, is no longer valid",
                         token.name);
    *scopes = arena_strdup(run->arena, token.scopes);
    return *scopes ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
}

static int run_headers(struct run *run, struct client_call_options *o, struct error *err)
{
    struct arena *a = run->arena;
    const struct job *j = &run->job;
    const char *scopes, *name = escape_name(a, j->principal_name);
    struct client_header *h = arena_array(a, 2, sizeof *h);
    int rc = run_scopes(run, &scopes, err);
    if (rc != 0)
        return rc;
    const char *priority = arena_printf(a, "%d", j->priority);
    o->request_id = arena_printf(a, "%s.%lld", j->id, (long long)j->attempts);
    if (!h || !name || !priority || !o->request_id)
        return error_set(err, VX11_ENOMEM, "out of memory");
    h[o->header_count++] = (struct client_header){"X-VX11-Priority", priority};
    /* A module's own job goes as that: it may ask for any place. */
    if (!str_eq(j->principal_id, "local"))
        h[o->header_count++] = (struct client_header){
            "X-VX11-Principal", arena_printf(a, "%s;%s;%s", j->principal_id, name, scopes)};
    o->headers = h;
    o->trace = j->trace;
    o->deadline_ms = clock_mono_ms() + j->run_timeout_ms;
    return 0;
}

static void run_call(struct run *run)
{
    struct queue *q = run->q;
    struct switch_chat_request body;
    struct client_call_options options = {0};
    struct contract_error wrong = {0};
    struct error err = {0};
    if (task_request(q, &run->job, run->arena, &body, &wrong) != 0) {
        char text[600];
        snprintf(text, sizeof text, "%s %s", wrong.pointer, wrong.text);
        run_failed(run, 422, "invalid_value", false, -1, text);
        return;
    }
    const char *module = task_module(task_kind_of(run->job.task_type));
    if (module && !task_provider(q, module)) {
        char text[200];
        snprintf(text, sizeof text, "%s does this, and no provider of kind module is %s", module, module);
        run_failed(run, 503, "module_not_there", true, -1, text);
        return;
    }
    int rc = run_headers(run, &options, &err);
    if (rc == VX11_EPERMISSION) {
        run_failed(run, 403, "principal_gone", false, -1, err.text);
        return;
    }
    if (rc == 0)
        rc = switch_chat_call(module_client(q->m), module_peer(q->m, "switch"), &body, &options, on_reply,
                              run, &run->call);
    if (rc != 0)
        run_failed(run, 503, "internal", true, -1, err.text[0] ? err.text : error_describe(rc));
}

static int copy_job(struct run *run, const struct job *j)
{
    struct arena *a = run->arena;
    run->job = *j;
    const char **texts[] = {&run->job.source,           &run->job.task_type,    &run->job.payload,
                            &run->job.provider_hint,    &run->job.principal_id, &run->job.principal_name,
                            &run->job.principal_scopes, &run->job.trace};
    run->job.lease_owner = run->job.result = run->job.error = run->job.error_class = NULL;
    run->job.idempotency_key = NULL;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (!*texts[i])
            continue;
        *texts[i] = arena_strdup(a, *texts[i]);
        if (!*texts[i])
            return VX11_ENOMEM;
    }
    return 0;
}

void run_begin(struct queue *q, const struct job *j, bool waited)
{
    struct run *run = calloc(1, sizeof *run);
    struct arena *a = run ? arena_create(0) : NULL;
    if (!a || (run->arena = a, copy_job(run, j)) != 0) {
        /* Nobody has begun it: its lease ends by itself and it is taken again. */
        log_error("queue", "no memory to run a job; it will be begun again", LOG_S("job", j->id));
        arena_destroy(a);
        free(run);
        return;
    }
    run->q = q;
    run->waited = waited;
    run->began_ns = clock_mono_ns();
    run->next = q->runs;
    if (run->next)
        run->next->prev = run;
    if (!q->runs)
        q->renew_at = clock_mono_ms() + queue_config(q)->lease_ms / 3;
    q->runs = run;
    *(waited ? &q->waited : &q->running) += 1;
    int64_t due = j->not_before > j->enqueued_at ? j->not_before : j->enqueued_at;
    int64_t waited_ms = j->started_at - due;
    metric_observe(q->wait_seconds, waited_ms > 0 ? (double)waited_ms / 1000.0 : 0);
    if (j->ran_again > 0)
        metric_add(q->ran_again, 1);
    run_call(run);
}

void run_stop(struct queue *q, const char *id)
{
    for (struct run *run = q->runs; run; run = run->next) {
        if (run->stopped || strcmp(run->job.id, id) != 0)
            continue;
        run->stopped = true;
        if (run->call)
            client_cancel(run->call); /* on_reply frees it */
        else
            run->ended = true; /* the timer does */
    }
}
