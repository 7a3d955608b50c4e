/* Samples: the looks. One look asks the supervisor who runs, then everyone at once; whoever has not answered
 * within a few seconds is not in it. */
#include "operator/samples/samples_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/hermes_client.h"
#include "api/supervisor_client.h"
#include "api/switch_client.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

enum { ANSWER_MS = 4000, METRICS_MAX = 8 * 1024 * 1024, FIRST_MS = 1000 };

static const char sql_bounds[] = "UPDATE retention SET max_age_ms = ?2 WHERE table_name = ?1";

static const struct config_operator_samples *settings(const struct samples *s)
{
    return operator_config(s->o)->samples;
}

int64_t samples_interval(const struct samples *s)
{
    return settings(s)->interval_ms;
}

/* ---- nodes ---- */

struct node *node_find(struct samples *s, const char *id)
{
    for (size_t i = 0; i < s->node_count; i++)
        if (strcmp(s->nodes[i].id, id) == 0)
            return &s->nodes[i];
    return NULL;
}

struct node *node_get(struct samples *s, const char *id, enum operator_node_kind kind)
{
    struct node *n = node_find(s, id);
    if (n || s->node_count == SAMPLES_NODES || strlen(id) >= READING_PEER)
        return n;
    n = &s->nodes[s->node_count++];
    *n = (struct node){.kind = kind,
                       .state = -1,
                       .health = -1,
                       .port = -1,
                       .restarts = -1,
                       .in_flight = -1,
                       .parked = -1,
                       .uptime_s = -1,
                       .cpu_percent = -1,
                       .rss = -1,
                       .pss = -1};
    memcpy(n->id, id, strlen(id) + 1);
    return n;
}

static void node_forget(struct node *n)
{
    free(n->now);
    free(n->before);
    n->now = n->before = NULL;
}

void node_drop(struct samples *s, struct node *n)
{
    node_forget(n);
    *n = s->nodes[--s->node_count];
}

/* Another process: what the one before counted is over. */
static void node_process(struct node *n, int64_t pid)
{
    if (n->pid != pid)
        node_forget(n);
    n->pid = pid;
}

static void text_set(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text ? text : "");
    out[utf8_valid_prefix(out, strlen(out))] = '\0';
}

/* ---- who runs ---- */

struct status_question {
    struct samples *s;
    void (*fn)(struct samples *s, void *ctx, bool ok);
    void *ctx;
};

static void take_module(struct samples *s, const struct supervisor_module *m)
{
    struct node *n = node_get(s, m->name, OPERATOR_NODE_KIND_MODULE);
    if (!n)
        return;
    n->state = (int)m->state;
    n->health = m->has_health ? (int)m->health : -1;
    n->port = m->has_port ? m->port : -1;
    n->restarts = m->restarts;
    n->uptime_s = m->has_uptime_s ? m->uptime_s : -1;
    n->uptime_at = clock_mono_ms();
    n->asks = m->process == SUPERVISOR_PROCESS_RUNNING;
    text_set(n->process, sizeof n->process, supervisor_process_names[m->process]);
    text_set(n->reason, sizeof n->reason, m->reason);
    node_process(n, m->has_pid ? m->pid : 0);
}

static void on_status(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct status_question *q = ctx;
    struct samples *s = q->s;
    const struct supervisor_status *status = reply->message;
    (void)call;
    for (size_t i = 0; status && i < status->modules_count; i++)
        take_module(s, &status->modules[i]);
    struct node *n = status ? node_get(s, "supervisor", OPERATOR_NODE_KIND_SUPERVISOR) : NULL;
    if (n) {
        n->health = COMMON_HEALTH_OK; /* it has answered */
        n->uptime_s = status->uptime_s;
        n->uptime_at = clock_mono_ms();
        n->asks = true;
        text_set(n->process, sizeof n->process, "running");
        node_process(n, status->pid);
    }
    if (status)
        s->status_at = clock_mono_ms();
    else if (!s->stopping)
        log_warn("samples", "the supervisor does not tell who runs", LOG_S("reason", reply->error.text));
    q->fn(s, q->ctx, status != NULL);
    free(q);
}

int samples_status(struct samples *s, void (*fn)(struct samples *s, void *ctx, bool ok), void *ctx)
{
    struct module *m = s->o->m;
    struct status_question *q = calloc(1, sizeof *q);
    struct client_call_options options = {.deadline_ms = clock_mono_ms() + ANSWER_MS, .poll = true};
    struct client_call *call;
    if (!q)
        return VX11_ENOMEM;
    *q = (struct status_question){s, fn, ctx};
    const int rc =
        supervisor_status_call(module_client(m), module_peer(m, "supervisor"), &options, on_status, q, &call);
    if (rc != 0)
        free(q);
    return rc;
}

/* ---- the end of a look ---- */

static void look_step(struct samples *s)
{
    if (--s->waiting > 0)
        return;
    s->looking = false;
    if (s->stopping || !s->told)
        return;
    take_look(s);
    rollup_start(s);
}

/* ---- /metrics ---- */

struct metrics_question {
    struct samples *s;
    char id[READING_PEER];
    int64_t pid;
    struct buf text;
};

static void on_metrics_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct metrics_question *q = ctx;
    if (q->text.len + len > METRICS_MAX || buf_append(&q->text, data, len) != 0)
        client_cancel(call);
}

static void metrics_take(struct metrics_question *q, int status, int result, const struct error *err)
{
    struct samples *s = q->s;
    struct node *n = node_find(s, q->id);
    struct reading *reading = NULL;
    size_t line = 0;
    if (!n || n->pid != q->pid || s->stopping)
        return; /* it has gone meanwhile */
    if (n->kind == OPERATOR_NODE_KIND_ENGINE && result == VX11_EUNAVAILABLE)
        return; /* unloaded since Hermes told of it; if it died, Hermes tells next time */
    n->silent = true;
    if (result == 0 && status == 200)
        reading = malloc(sizeof *reading);
    if (!reading) {
        log_warn("samples", "a module could not be measured", LOG_S("name", q->id), LOG_I("status", status),
                 LOG_S("reason", result != 0 ? err->text : ""));
        return;
    }
    const int rc = reading_parse(q->text.data, q->text.len, reading, &line);
    if (rc != 0) {
        log_warn("samples", "the metrics of a module could not be read", LOG_S("name", q->id),
                 LOG_I("line", line), LOG_S("reason", error_describe(rc)));
        free(reading);
        return;
    }
    free(n->now);
    n->now = reading;
    n->now_at = clock_mono_ms();
    n->silent = false;
}

static void on_metrics_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct metrics_question *q = ctx;
    struct samples *s = q->s;
    metrics_take(q, client_call_status(call), result, err);
    buf_free(&q->text);
    free(q);
    look_step(s);
}

static void metrics_ask(struct samples *s, const struct node *n, const struct client_target *target)
{
    static const struct client_events events = {.on_data = on_metrics_data, .on_done = on_metrics_done};
    struct module *m = s->o->m;
    struct client_call_options options = {.deadline_ms = clock_mono_ms() + ANSWER_MS, .poll = true};
    struct metrics_question *q = calloc(1, sizeof *q);
    struct client_call *call;
    struct error err = {0};
    if (!q)
        return;
    q->s = s;
    q->pid = n->pid;
    memcpy(q->id, n->id, sizeof q->id);
    if (client_start(module_client(m), target, "GET", "/metrics", NULL, NULL, 0, &options, &events, q, &call,
                     &err) == 0)
        s->waiting++;
    else
        free(q);
}

/* ---- engines, providers ---- */

static void kind_unseen(struct samples *s, enum operator_node_kind kind)
{
    for (size_t i = 0; i < s->node_count; i++)
        if (s->nodes[i].kind == kind)
            s->nodes[i].seen = false;
}

static void kind_sweep(struct samples *s, enum operator_node_kind kind)
{
    for (size_t i = s->node_count; i-- > 0;)
        if (s->nodes[i].kind == kind && !s->nodes[i].seen)
            node_drop(s, &s->nodes[i]);
}

static void take_engine(struct samples *s, const struct hermes_engine *e)
{
    char id[READING_PEER];
    if ((size_t)snprintf(id, sizeof id, "engine/%s", e->model) >= sizeof id)
        return;
    struct node *n = node_get(s, id, OPERATOR_NODE_KIND_ENGINE);
    if (!n)
        return;
    n->seen = true;
    n->health = e->state == HERMES_ENGINE_STATE_READY    ? COMMON_HEALTH_OK
                : e->state == HERMES_ENGINE_STATE_FAILED ? COMMON_HEALTH_DOWN
                                                         : -1;
    n->restarts = e->restarts;
    n->in_flight = e->has_busy ? e->busy : -1;
    n->parked = e->parked;
    n->uptime_s = e->has_started_at ? (double)(clock_wall_ms() - e->started_at) / 1000 : -1;
    n->uptime_at = clock_mono_ms();
    text_set(n->process, sizeof n->process, hermes_engine_state_names[e->state]);
    text_set(n->reason, sizeof n->reason, e->reason);
    node_process(n, e->has_pid ? e->pid : 0);
    n->silent = false;
    /* One that is not VX11's own counts in its own way. */
    if (e->state == HERMES_ENGINE_STATE_READY && e->socket && !e->engine && n->pid > 0)
        metrics_ask(s, n, &(struct client_target){.base_url = "http://localhost", .socket = e->socket});
}

static void on_engines(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct samples *s = ctx;
    const struct hermes_engine_list *list = reply->message;
    (void)call;
    if (list) {
        kind_unseen(s, OPERATOR_NODE_KIND_ENGINE);
        for (size_t i = 0; i < list->engines_count; i++)
            take_engine(s, &list->engines[i]);
        kind_sweep(s, OPERATOR_NODE_KIND_ENGINE);
    }
    look_step(s);
}

static void take_provider(struct samples *s, const struct switch_provider *p)
{
    char id[READING_PEER];
    const bool remote = p->kind == SWITCH_PROVIDER_KIND_OPENAI || p->kind == SWITCH_PROVIDER_KIND_ANTHROPIC;
    if (!remote || p->status == SWITCH_PROVIDER_STATUS_DISABLED ||
        (size_t)snprintf(id, sizeof id, "provider/%s", p->name) >= sizeof id)
        return;
    struct node *n = node_get(s, id, OPERATOR_NODE_KIND_PROVIDER);
    if (!n)
        return;
    n->seen = true;
    n->health = p->status == SWITCH_PROVIDER_STATUS_READY         ? COMMON_HEALTH_OK
                : p->status == SWITCH_PROVIDER_STATUS_UNAVAILABLE ? COMMON_HEALTH_DOWN
                                                                  : -1;
    n->in_flight = p->in_flight;
    const bool open = p->breaker && p->breaker->state != SWITCH_BREAKER_STATE_CLOSED;
    text_set(n->reason, sizeof n->reason, open ? "its breaker is open" : p->models_error);
}

static void on_providers(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct samples *s = ctx;
    const struct switch_provider_list *list = reply->message;
    (void)call;
    if (list) {
        kind_unseen(s, OPERATOR_NODE_KIND_PROVIDER);
        for (size_t i = 0; i < list->providers_count; i++)
            take_provider(s, &list->providers[i]);
        kind_sweep(s, OPERATOR_NODE_KIND_PROVIDER);
    }
    look_step(s);
}

static bool runs(struct samples *s, const char *name)
{
    const struct node *n = node_find(s, name);
    return n && n->asks && n->pid > 0;
}

/* Engines end with Hermes, and of providers nobody tells while Switch does not run. */
static void others_ask(struct samples *s)
{
    struct module *m = s->o->m;
    struct client_call_options options = {.deadline_ms = clock_mono_ms() + ANSWER_MS, .poll = true};
    struct client_call *call;
    if (!runs(s, "hermes")) {
        kind_unseen(s, OPERATOR_NODE_KIND_ENGINE);
        kind_sweep(s, OPERATOR_NODE_KIND_ENGINE);
    } else if (hermes_engines_list_call(module_client(m), module_peer(m, "hermes"), &options, on_engines, s,
                                        &call) == 0) {
        s->waiting++;
    }
    if (!runs(s, "switch")) {
        kind_unseen(s, OPERATOR_NODE_KIND_PROVIDER);
        kind_sweep(s, OPERATOR_NODE_KIND_PROVIDER);
    } else if (switch_providers_call(module_client(m), module_peer(m, "switch"), &options, on_providers, s,
                                     &call) == 0) {
        s->waiting++;
    }
}

/* ---- a look ---- */

static void on_look_status(struct samples *s, void *ctx, bool ok)
{
    (void)ctx;
    s->told = ok;
    for (size_t i = 0; i < s->node_count && ok && !s->stopping; i++) {
        struct node *n = &s->nodes[i];
        n->silent = false;
        if (n->asks && n->pid > 0)
            metrics_ask(s, n, module_peer(s->o->m, n->id));
    }
    if (ok && !s->stopping)
        others_ask(s);
    look_step(s);
}

static void on_timer(uv_timer_t *timer)
{
    struct samples *s = timer->data;
    if (s->looking || s->stopping)
        return;
    s->looking = true;
    s->waiting = 1;
    s->look_at = clock_mono_ms();
    if (samples_status(s, on_look_status, NULL) != 0)
        s->looking = false;
}

/* ---- sidecars ---- */

void samples_sidecar(struct samples *s, const char *name, int64_t pid, const char *reason)
{
    char id[READING_PEER];
    size_t sidecars = 0;
    if (!s || (size_t)snprintf(id, sizeof id, "sidecar/%s", name) >= sizeof id)
        return;
    for (size_t i = 0; i < s->node_count; i++)
        sidecars += s->nodes[i].kind == OPERATOR_NODE_KIND_SIDECAR;
    struct node *n = node_find(s, id);
    if (!n && sidecars < SAMPLES_SIDECARS)
        n = node_get(s, id, OPERATOR_NODE_KIND_SIDECAR);
    if (!n)
        return;
    n->health = pid > 0 ? COMMON_HEALTH_OK : reason ? COMMON_HEALTH_DOWN : -1;
    n->uptime_s = pid > 0 ? 0 : -1;
    n->uptime_at = clock_mono_ms();
    text_set(n->process, sizeof n->process, pid > 0 ? "running" : "stopped");
    text_set(n->reason, sizeof n->reason, reason);
    node_process(n, pid);
}

/* ---- life ---- */

static int bounds_set(struct samples *s, struct error *err)
{
    const struct config_operator_samples *c = settings(s);
    const struct {
        const char *table;
        int64_t ms;
    } keep[] = {{"metric_sample", c->keep_ms},
                {"metric_minute", c->keep_minutes_ms},
                {"metric_hour", c->keep_hours_ms}};
    int rc = 0;
    for (size_t i = 0; i < COUNT_OF(keep) && rc == 0; i++) {
        const struct store_value values[] = {STORE_T(keep[i].table), STORE_I(keep[i].ms)};
        rc = store_exec(module_store(s->o->m), sql_bounds, values, 2, NULL, err);
    }
    return rc;
}

void samples_reload(struct samples *s)
{
    struct error err = {0};
    const uint64_t every = (uint64_t)samples_interval(s);
    if (bounds_set(s, &err) != 0)
        log_error("samples", "the bounds of the samples stay as they were", LOG_S("reason", err.text));
    if (s->timer_open && uv_timer_get_repeat(&s->timer) != every)
        uv_timer_start(&s->timer, on_timer, every, every);
}

int samples_start(struct operator_ *o, struct samples **out, struct error *err)
{
    struct samples *s = calloc(1, sizeof *s);
    *out = s;
    if (!s)
        return error_set(err, VX11_ENOMEM, "out of memory");
    s->o = o;
    if (module_store_path(module_config(o->m), module_home(o->m), s->rollup.path, sizeof s->rollup.path) != 0)
        return error_set(err, VX11_ETOO_LARGE, "the path of the database is too long");
    int rc = series_load(module_store(o->m), &s->series, err);
    if (rc == 0)
        rc = bounds_set(s, err);
    if (rc != 0)
        return rc;
    uv_timer_init(module_loop(o->m), &s->timer);
    s->timer.data = s;
    s->timer_open = true;
    uv_timer_start(&s->timer, on_timer, FIRST_MS, (uint64_t)samples_interval(s));
    return 0;
}

void samples_part_stopped(struct samples *s)
{
    void (*stopped)(void *ctx) = s->stopped;
    if (s->timer_open || s->rollup.running || !stopped)
        return;
    s->stopped = NULL;
    stopped(s->stopped_ctx);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct samples *s = handle->data;
    s->timer_open = false;
    samples_part_stopped(s);
}

void samples_stop(struct samples *s, void (*done)(void *ctx), void *ctx)
{
    if (!s) {
        done(ctx);
        return;
    }
    s->stopping = true;
    s->stopped = done;
    s->stopped_ctx = ctx;
    if (s->rollup.running)
        uv_cancel((uv_req_t *)&s->rollup.work); /* one that has begun is waited for */
    if (s->timer_open)
        uv_close((uv_handle_t *)&s->timer, on_timer_closed);
    else
        samples_part_stopped(s);
}

void samples_free(struct samples *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->node_count; i++)
        node_forget(&s->nodes[i]);
    calls_clear(&s->calls);
    series_free(&s->series);
    free(s);
}
