/* Run: all checks at once. What blocks (files, the database) goes to the thread pool, what waits for others
 * stays on the loop. Each has the same time; who is not back by then is unknown. */
#include "cli/doctor/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"

#define ANSWER_MAX ((size_t)256 << 10)
#define GRACE_MS   250 /* for questions, whose deadline is the same moment */

/* ---- results ---- */

struct doctor_result *doctor_result(struct doctor_run *r, const char *subject)
{
    struct doctor_result *x = arena_zalloc(r->arena, sizeof *x);
    if (!x) {
        r->no_memory = true;
        x = &r->lost;
    }
    const struct doctor_check *c = r->check;
    x->v = (struct supervisor_doctor_check){.id = c->id,
                                            .subject = subject ? arena_strdup(r->arena, subject) : NULL,
                                            .group = c->group,
                                            .severity = c->severity,
                                            .title = c->title,
                                            .state = DOCTOR_UNKNOWN,
                                            .reason = "it was not measured",
                                            .mend = c->mend,
                                            .fixable = c->fix != NULL};
    if (x == &r->lost)
        return x;
    *r->last = x;
    r->last = &x->next;
    return x;
}

static const char *say(struct doctor_run *r, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));
static const char *say(struct doctor_run *r, const char *fmt, va_list args)
{
    const char *text = arena_vprintf(r->arena, fmt, args);
    if (!text)
        r->no_memory = true;
    return text ? text : "out of memory";
}

#define SAY(member)                                                                                          \
    va_list args;                                                                                            \
    va_start(args, fmt);                                                                                     \
    x->v.member = say(r, fmt, args);                                                                         \
    va_end(args)

void result_measured(struct doctor_run *r, struct doctor_result *x, const char *fmt, ...)
{
    SAY(measured);
}

void result_limit(struct doctor_run *r, struct doctor_result *x, const char *fmt, ...)
{
    SAY(limit);
}

void result_mend(struct doctor_run *r, struct doctor_result *x, const char *fmt, ...)
{
    SAY(mend);
}

void result_value(struct doctor_result *x, double value, const char *unit)
{
    x->v.has_value = true;
    x->v.value = value;
    x->v.unit = unit;
}

void result_ok(struct doctor_result *x)
{
    x->v.state = DOCTOR_OK;
    x->v.reason = NULL;
}

void result_failed(struct doctor_run *r, struct doctor_result *x, const char *fmt, ...)
{
    SAY(reason);
    x->v.state = DOCTOR_FAILED;
}

void result_unknown(struct doctor_run *r, struct doctor_result *x, const char *fmt, ...)
{
    SAY(reason);
    x->v.state = DOCTOR_UNKNOWN;
}

struct store *doctor_store(struct doctor_run *r, struct doctor_result *x)
{
    const struct store_options options = {.path = r->d->database, .read_only = true};
    struct store *store = NULL;
    struct error err = {0};
    if (store_open(&options, &store, &err) == 0)
        return store;
    result_unknown(r, x, "the database cannot be read: %s", err.text);
    if (!fs_exists(r->d->database))
        result_mend(r, x, "vx11 up");
    return NULL;
}

/* ---- one check ---- */

static void run_finish(struct doctor_run *r)
{
    if (r->done)
        return;
    r->done = true;
    r->duration_ms = (double)(clock_mono_ns() - r->started_ns) / 1e6;
    if (r->finished)
        r->finished(r);
}

static void run_step(struct doctor_run *r)
{
    if (--r->waiting == 0)
        run_finish(r);
}

static void on_work(uv_work_t *work)
{
    struct doctor_run *r = work->data;
    r->started_ns = clock_mono_ns();
    r->check->run(r);
}

static void on_worked(uv_work_t *work, int status)
{
    struct doctor_run *r = work->data;
    (void)status;
    if (!r->abandoned)
        run_step(r);
}

/* ---- questions ---- */

struct asking {
    struct doctor_answer a;
    doctor_answer_fn fn;
    char socket[4200];
    struct client_target target;
};

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct asking *q = ctx;
    if (q->a.body.len + len > ANSWER_MAX || buf_append(&q->a.body, data, len) != 0)
        client_cancel(call);
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct asking *q = ctx;
    struct doctor_run *r = q->a.run;
    q->a.latency_ms = (double)clock_mono_ns() / 1e6 - q->a.latency_ms;
    if (result == 0)
        q->a.status = client_call_status(call);
    else
        error_set(&q->a.err, result, "%s", err && err->text[0] ? err->text : error_describe(result));
    q->a.result->v.duration_ms = q->a.latency_ms;
    if (!r->abandoned) {
        q->fn(&q->a);
        run_step(r);
    }
    buf_free(&q->a.body);
    free(q);
}

static void ask_not(struct doctor_run *r, struct doctor_result *x, int rc, const char *why)
{
    result_unknown(r, x, "it could not be asked: %s", why && why[0] ? why : error_describe(rc));
}

void doctor_ask(struct doctor_run *r, struct doctor_result *x, const struct doctor_question *q,
                doctor_answer_fn fn, const void *ctx)
{
    static const struct client_events events = {.on_data = on_data, .on_done = on_done};
    struct asking *a = calloc(1, sizeof *a);
    struct client_call *call;
    struct error err = {0};
    if (!a) {
        ask_not(r, x, VX11_ENOMEM, NULL);
        return;
    }
    a->a = (struct doctor_answer){.run = r, .result = x, .ctx = ctx, .body = BUF_INIT};
    a->a.latency_ms = (double)clock_mono_ns() / 1e6;
    a->fn = fn;
    snprintf(a->socket, sizeof a->socket, "%s/run/%.20s.sock", r->d->c->home, q->module);
    a->target = q->base_url ? (struct client_target){.base_url = q->base_url, .token = q->token}
                            : (struct client_target){.base_url = "http://localhost", .socket = a->socket};
    int64_t within = q->timeout_ms > 0 ? q->timeout_ms : r->d->timeout_ms;
    const struct client_call_options options = {
        .deadline_ms = clock_mono_ms() + within, .poll = true, .once = true};
    int rc = client_start(r->d->c->client, &a->target, q->method ? q->method : "GET", q->path,
                          q->body ? "application/json" : NULL, q->body, q->body ? strlen(q->body) : 0,
                          &options, &events, a, &call, &err);
    if (rc != 0) {
        ask_not(r, x, rc, err.text);
        free(a);
        return;
    }
    r->waiting++;
}

/* ---- all ---- */

static void on_finished(struct doctor_run *r)
{
    struct doctor_runs *all = r->owner;
    if (--all->waiting == 0)
        all->done = true;
}

static struct doctor_run *run_create(const struct doctor *d, const struct doctor_check *check)
{
    struct doctor_run *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->d = d;
    r->check = check;
    r->arena = arena_create((size_t)64 << 20);
    r->last = &r->first;
    r->finished = on_finished;
    if (r->arena)
        return r;
    free(r);
    return NULL;
}

static void run_start(struct doctor_run *r)
{
    r->started_ns = clock_mono_ns();
    r->waiting = 1;
    if (r->check->how == DOCTOR_ASK) {
        r->check->run(r);
        run_step(r);
        return;
    }
    r->work.data = r;
    if (uv_queue_work(&r->d->c->loop, &r->work, on_work, on_worked) != 0) {
        ask_not(r, doctor_result(r, NULL), VX11_ENOMEM, NULL);
        run_step(r);
    }
}

/* What is not back is left alone: its thread may still write into its run, so that the run is given up, and
 * another stands in its place. */
static void run_abandon(struct doctor_runs *all, size_t i)
{
    struct doctor_run *r = all->list[i];
    if (r->done)
        return;
    struct doctor_run *stand_in = run_create(r->d, r->check);
    if (r->check->how == DOCTOR_LOOK && uv_cancel((uv_req_t *)&r->work) != 0)
        all->stuck = true;
    r->abandoned = true;
    if (!stand_in)
        return;
    stand_in->done = true;
    stand_in->duration_ms = (double)r->d->timeout_ms;
    result_unknown(stand_in, doctor_result(stand_in, NULL), "it was not done within %lld ms",
                   (long long)r->d->timeout_ms);
    all->list[i] = stand_in;
    r->left = all->left;
    all->left = r;
}

static void on_late(uv_timer_t *timer)
{
    struct doctor_runs *all = timer->data;
    for (size_t i = 0; i < all->count; i++)
        run_abandon(all, i);
    all->done = true;
}

static void on_timer_closed(uv_handle_t *handle)
{
    *(bool *)handle->data = true;
}

int doctor_run_all(const struct doctor *d, const bool *want, struct doctor_runs *out)
{
    uv_timer_t timer;
    bool closed = false;
    *out = (struct doctor_runs){.list = calloc(doctor_check_count, sizeof *out->list)};
    if (!out->list || uv_timer_init(&d->c->loop, &timer) != 0)
        return VX11_ENOMEM;
    for (size_t i = 0; i < doctor_check_count; i++) {
        if (!want[i])
            continue;
        struct doctor_run *r = run_create(d, &doctor_checks[i]);
        out->failed = out->failed || !r;
        if (r) {
            r->owner = out;
            out->list[out->count++] = r;
        }
    }
    timer.data = out;
    uv_timer_start(&timer, on_late, (uint64_t)(d->timeout_ms + GRACE_MS), 0);
    out->waiting = out->count + 1;
    for (size_t i = 0; i < out->count; i++)
        run_start(out->list[i]);
    if (--out->waiting == 0)
        out->done = true;
    cli_wait(d->c, &out->done);
    timer.data = &closed;
    uv_close((uv_handle_t *)&timer, on_timer_closed);
    cli_wait(d->c, &closed);
    return out->failed ? VX11_ENOMEM : 0;
}

static void run_free(struct doctor_run *r)
{
    arena_destroy(r->arena);
    free(r);
}

void doctor_runs_free(struct doctor_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++)
        run_free(runs->list[i]);
    while (runs->left) {
        struct doctor_run *r = runs->left;
        runs->left = r->left;
        run_free(r);
    }
    free(runs->list);
    *runs = (struct doctor_runs){0};
}
