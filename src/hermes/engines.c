/* The line in front of the engines, and who waits in it. Everything runs on the loop; answers to waits come
 * from the loop and never from inside engines_acquire, except that a ready engine is handed out at once. */
#include "hermes/engines_internal.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/pool/pool.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS  30000
#define LOAD_TOLD_MS     500
#define BACKOFF_RESET_MS 60000 /* ready for this long: its earlier failures are forgotten */
#define CRASHES_MOST     3     /* in a row, before those who wait hear of it */

/* ---- the set ---- */

static void on_line_timer_closed(uv_handle_t *handle)
{
    engines_release(handle->data);
}

void engines_release(struct engines *all)
{
    if (--all->open > 0)
        return;
    void (*closed)(void *ctx) = all->closed;
    void *ctx = all->closed_ctx;
    known_free(all);
    groups_free(all);
    free(all->program);
    free(all->home);
    free(all);
    if (closed)
        closed(ctx);
}

/* Workers watch for their parent's death, so what is left of an earlier Hermes is only the names of their
 * sockets. */
static void remove_stale_sockets(const char *run_dir)
{
    DIR *dir = opendir(run_dir);
    const struct dirent *e;
    while (dir && (e = readdir(dir)) != NULL) {
        if (str_starts(e->d_name, "engine-") && str_ends(e->d_name, ".sock") &&
            unlinkat(dirfd(dir), e->d_name, 0) == 0)
            log_info("engines", "a stale socket was removed", LOG_S("socket", e->d_name));
    }
    if (dir)
        closedir(dir);
}

static void count(struct metric *m)
{
    if (m)
        metric_add(m, 1);
}

static void on_render(void *ctx)
{
    struct engines *all = ctx;
    struct engines_memory memory;
    engines_memory(all, &memory);
    metric_set(all->bytes_resident, (double)memory.measured);
    metric_set(all->bytes_predicted, (double)memory.predicted);
    metric_set(all->bytes_budget, (double)memory.budget);
}

static bool open_evictions(struct engines *all, struct metrics *m)
{
    static const char *const labels[] = {
        [UNLOAD_ROOM] = "reason=\"room\"",
        [UNLOAD_IDLE] = "reason=\"idle\"",
        [UNLOAD_KEEP_ALIVE] = "reason=\"keep_alive\"",
        [UNLOAD_BUDGET] = "reason=\"budget\"",
        [UNLOAD_ASKED] = "reason=\"asked\"",
    };
    for (size_t i = 0; i < UNLOAD_WHYS; i++) {
        all->evictions[i] = metrics_get(m, METRIC_COUNTER, "vx11_engine_evictions_total", labels[i],
                                        "Engines unloaded, by reason; room: for another model.");
        if (!all->evictions[i])
            return false;
    }
    return true;
}

static int open_metrics(struct engines *all, struct metrics *m)
{
    static const char bytes[] = "vx11_engine_memory_bytes";
    if (!m)
        return 0;
    all->starts = metrics_get(m, METRIC_COUNTER, "vx11_engine_starts_total", NULL, "Engine workers started.");
    all->crashes = metrics_get(m, METRIC_COUNTER, "vx11_engine_failures_total", NULL,
                               "Engine workers that ended unasked.");
    all->swaps = metrics_get(m, METRIC_COUNTER, "vx11_engine_swaps_total", NULL,
                             "Loads for which other models were unloaded.");
    all->load_seconds = metrics_get(m, METRIC_HISTOGRAM, "vx11_engine_load_seconds", NULL,
                                    "From the start of a worker to its being ready.");
    all->wait_seconds = metrics_get(m, METRIC_HISTOGRAM, "vx11_engine_wait_seconds", NULL,
                                    "From asking for an engine to getting one, or the refusal.");
    all->bytes_resident = metrics_get(m, METRIC_GAUGE, bytes, "kind=\"resident\"", "Memory of all workers.");
    all->bytes_predicted =
        metrics_get(m, METRIC_GAUGE, bytes, "kind=\"predicted\"", "Memory of all workers.");
    all->bytes_budget = metrics_get(m, METRIC_GAUGE, bytes, "kind=\"budget\"", "Memory of all workers.");
    const bool ok = all->starts && all->crashes && all->swaps && all->load_seconds && all->wait_seconds &&
                    all->bytes_resident && all->bytes_predicted && all->bytes_budget &&
                    open_evictions(all, m);
    return ok ? metrics_on_render(m, on_render, all) : VX11_ENOMEM;
}

int engines_create(const struct engines_options *o, struct engines **out, struct error *err)
{
    char run_dir[4096];
    int rc = fs_path(run_dir, sizeof run_dir, o->home, "run");
    if (rc != 0)
        return error_set(err, rc, "the path of VX11's home is too long");
    rc = fs_mkdirs(run_dir, 0700, err);
    if (rc != 0)
        return rc;
    struct engines *all = calloc(1, sizeof *all);
    if (!all)
        return error_set(err, VX11_ENOMEM, "out of memory");
    *all = (struct engines){.loop = o->loop,
                            .client = o->client,
                            .params = o->params,
                            .pool_factor = 1,
                            .on_crash = o->on_crash,
                            .on_load = o->on_load,
                            .on_used = o->on_used,
                            .ctx = o->ctx};
    all->program = strdup(o->program);
    all->home = strdup(o->home);
    if (!all->program || !all->home || open_metrics(all, o->metrics) != 0 ||
        uv_timer_init(o->loop, &all->line_timer) != 0) {
        free(all->program);
        free(all->home);
        free(all);
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    all->line_timer.data = all;
    all->open = 1;
    remove_stale_sockets(run_dir);
    *out = all;
    return 0;
}

void engines_configure(struct engines *all, const struct engine_params *params)
{
    all->params = *params;
    engines_kick(all);
}

struct engine *engine_find(const struct engines *all, const char *name)
{
    for (struct engine *e = all->first; e; e = e->next) {
        if (strcmp(e->name, name) == 0)
            return e;
    }
    return NULL;
}

void engine_free(struct engine *e)
{
    struct engine **at = &e->all->first;
    leases_drop(e);
    known_keep(e);
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    external_unref(e->external);
    free(e->path);
    free(e);
}

/* Takes the model's facts over; those of a running one stay as it was loaded. */
static int engine_take_model(struct engine *e, const struct engine_model *m)
{
    if (e->worker)
        return 0;
    char *path = strdup(m->path);
    if (!path)
        return VX11_ENOMEM;
    free(e->path);
    e->path = path;
    external_ref(m->external);
    external_unref(e->external);
    e->external = m->external;
    (void)snprintf(e->id, sizeof e->id, "%s", m->id);
    (void)snprintf(e->sha256, sizeof e->sha256, "%s", m->sha256 ? m->sha256 : "");
    if (e->size_bytes != m->size_bytes)
        e->stated_bytes = e->full_bytes = 0;
    e->size_bytes = m->size_bytes;
    e->vocabulary = m->vocabulary > 0 ? m->vocabulary : 0;
    e->embedding_length = m->embedding_length > 0 ? m->embedding_length : 0;
    e->kv_bytes_per_token = m->kv_bytes_per_token;
    e->context_length = m->context_length;
    return 0;
}

struct engine *engine_find_or_create(struct engines *all, const struct engine_model *m)
{
    struct engine *e = engine_find(all, m->name);
    if (e)
        return engine_take_model(e, m) == 0 ? e : NULL;
    e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->all = all;
    e->load_ms = -1;
    (void)snprintf(e->name, sizeof e->name, "%s", m->name);
    if (engine_take_model(e, m) != 0) {
        external_unref(e->external);
        free(e);
        return NULL;
    }
    e->pinned = m->pinned;
    e->usage_count = m->usage_count;
    e->process_bytes = ENGINE_PROCESS_BYTES;
    e->group = group_of(all, e->name);
    known_recall(e);
    e->next = all->first;
    all->first = e;
    return e;
}

/* ---- views ---- */

static int64_t view_waits(const struct engine *e)
{
    int64_t n = 0;
    for (const struct engine_wait *w = e->waits; w; w = w->next)
        n++;
    return n;
}

void engine_view(const struct engine *e, struct hermes_engine *out)
{
    int64_t anonymous;
    const char *reason = e->line ? e->block_text : e->reason;
    const bool ready = e->worker && e->state == HERMES_ENGINE_STATE_READY;
    const int64_t expires = ready ? engine_expires(e) : INT64_MAX;
    *out = (struct hermes_engine){
        .model = e->name,
        .state = e->line && !ready ? HERMES_ENGINE_STATE_WAITING : e->state,
        .pinned = e->pinned,
        .group = group_name(e->all, e->group),
        .parked = view_waits(e),
        .expected = e->lease_count,
        .has_busy = ready,
        .busy = e->busy,
        .has_expires_at = expires != INT64_MAX,
        .expires_at = expires != INT64_MAX ? clock_wall_ms() + expires - clock_mono_ms() : 0,
        .reason = reason[0] ? reason : NULL,
        .restarts = e->restarts,
        .has_last_used_at = e->last_used_at > 0,
        .last_used_at = e->last_used_at,
    };
    if (!e->worker)
        return;
    out->has_pid = true;
    out->pid = e->worker->pid;
    if (e->worker->external && !e->worker->external->by_socket)
        out->base_url = e->worker->base_url;
    else
        out->socket = e->worker->socket;
    if (e->worker->external) {
        out->engine = e->worker->external->name;
        out->upstream_model = external_upstream(e->worker->external, e->name);
    }
    out->has_progress = e->has_progress;
    out->progress = e->progress;
    out->has_bytes_read = out->has_bytes_total = e->bytes_total > 0;
    out->bytes_read = e->bytes_read;
    out->bytes_total = e->bytes_total;
    out->has_need_bytes = e->need_bytes > 0;
    out->need_bytes = e->need_bytes;
    out->has_started_at = true;
    out->started_at = e->started_at;
    out->has_load_ms = e->load_ms >= 0;
    out->load_ms = e->load_ms;
    out->has_rss_bytes = worker_memory(e->worker, &out->rss_bytes, &anonymous);
}

static bool view_copy(const struct engine *e, struct arena *a, struct hermes_engine *out)
{
    engine_view(e, out);
    const char *reason = out->reason, *socket = out->socket;
    const struct hermes_engine was = *out;
    out->model = arena_strdup(a, out->model);
    out->reason = arena_strdup(a, reason);
    out->socket = arena_strdup(a, socket);
    out->base_url = arena_strdup(a, was.base_url);
    out->engine = arena_strdup(a, was.engine);
    out->upstream_model = arena_strdup(a, was.upstream_model);
    return out->model && (!reason || out->reason) && (!socket || out->socket) &&
           (!was.base_url || out->base_url) && (!was.engine || (out->engine && out->upstream_model));
}

int engines_list(struct engines *all, struct arena *a, struct hermes_engine **out, size_t *n)
{
    size_t total = 0;
    for (const struct engine *e = all->first; e; e = e->next)
        total++;
    *out = arena_array(a, total + 1, sizeof **out);
    *n = 0;
    if (!*out)
        return VX11_ENOMEM;
    for (const struct engine *e = all->first; e; e = e->next) {
        if (!view_copy(e, a, &(*out)[(*n)++]))
            return VX11_ENOMEM;
    }
    return 0;
}

struct hermes_engine *engines_get(struct engines *all, const char *name, struct arena *a)
{
    const struct engine *e = engine_find(all, name);
    struct hermes_engine *out = e ? arena_alloc(a, sizeof *out) : NULL;
    return out && view_copy(e, a, out) ? out : NULL;
}

size_t engines_running(const struct engines *all)
{
    size_t n = 0;
    for (const struct engine *e = all->first; e; e = e->next)
        n += e->worker != NULL;
    return n;
}

size_t engines_failed(const struct engines *all)
{
    size_t n = 0;
    for (const struct engine *e = all->first; e; e = e->next)
        n += e->state == HERMES_ENGINE_STATE_FAILED;
    return n;
}

/* ---- waits ---- */

static void on_wait_closed(uv_handle_t *handle)
{
    struct engine_wait *w = (struct engine_wait *)((char *)handle - offsetof(struct engine_wait, timer));
    struct engines *all = handle->data;
    free(w);
    engines_release(all);
}

/* Out of its engine's list; the memory goes when its timer has closed. */
static void wait_end(struct engine_wait *w)
{
    struct engine *e = w->engine;
    struct engine_wait **at = &e->waits;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    e->batch -= w->batch;
    w->engine = NULL;
    e->all->wait_count--;
    if (e->all->wait_seconds)
        metric_observe(e->all->wait_seconds, (double)(clock_mono_ms() - w->since) / 1000);
    uv_close((uv_handle_t *)&w->timer, on_wait_closed);
}

void engine_wait_cancel(struct engine_wait *w)
{
    if (w->engine)
        wait_end(w);
}

static void refusal_set(struct engine_refusal *r, int status, const char *code, int64_t retry_after_ms,
                        const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void refusal_set(struct engine_refusal *r, int status, const char *code, int64_t retry_after_ms,
                        const char *fmt, ...)
{
    va_list args;
    *r = (struct engine_refusal){.status = status, .code = code, .retry_after_ms = retry_after_ms};
    va_start(args, fmt);
    (void)vsnprintf(r->text, sizeof r->text, fmt, args); // NOLINT(clang-analyzer-valist.Uninitialized)
    va_end(args);
}

static void waits_refuse(struct engine *e, const struct engine_refusal *why)
{
    while (e->waits) {
        struct engine_wait *w = e->waits;
        wait_end(w);
        w->fn(w->ctx, NULL, why);
    }
}

static void hand_out(struct engine *e, bool no_request, engine_acquired_fn fn, void *ctx)
{
    struct hermes_engine view;
    e->last_used_at = clock_wall_ms();
    e->last_used_mono = clock_mono_ms();
    if (!no_request) {
        lease_add(e);
        worker_probe_within(e->worker, engine_poll_ms(e));
    }
    engine_view(e, &view);
    fn(ctx, &view, NULL);
}

void engine_answer(struct engine *e, struct engine_wait *w)
{
    wait_end(w);
    hand_out(e, w->no_request, w->fn, w->ctx);
}

/* Why somebody who has waited long enough gets nothing. Never: no waiting would help. */
static void refusal_of_state(const struct engine *e, bool never, struct engine_refusal *why)
{
    if (never)
        refusal_set(why, 503, e->block == BLOCK_MEMORY ? "insufficient_memory" : "no_capacity", 5000,
                    "%.500s", e->block_text);
    else if (e->worker && e->state == HERMES_ENGINE_STATE_READY)
        refusal_set(why, 504, "engine_not_ready", 1000, "%s is loaded, but others were asked for before",
                    e->name);
    else if (!e->line && e->state == HERMES_ENGINE_STATE_LOADING && e->has_progress)
        refusal_set(why, 504, "engine_not_ready", 1000, "%s is still loading (%.0f %%)", e->name,
                    e->progress * 100);
    else if (!e->line)
        refusal_set(why, 504, "engine_not_ready", 1000, "%s is not ready yet: its worker is %s", e->name,
                    hermes_engine_state_names[e->state]);
    else if (e->block == BLOCK_BACKOFF)
        refusal_set(why, 503, "engine_failed", e->not_before - clock_mono_ms(), "%s cannot be loaded: %.350s",
                    e->name, e->reason);
    else if (e->block != BLOCK_NONE)
        refusal_set(why, 504, "engine_not_ready", 1000, "%s waits for room: %.380s", e->name, e->block_text);
    else
        refusal_set(why, 504, "engine_not_ready", 1000, "%s has not been started yet", e->name);
}

static void on_wait_timer(uv_timer_t *timer)
{
    struct engine_wait *w = (struct engine_wait *)((char *)timer - offsetof(struct engine_wait, timer));
    struct engine_refusal why;
    if (!w->engine)
        return;
    refusal_of_state(w->engine, false, &why);
    wait_end(w);
    w->fn(w->ctx, NULL, &why);
}

static int wait_create(struct engine *e, const struct engine_ask *ask, engine_acquired_fn fn, void *ctx,
                       struct engine_wait **out)
{
    struct engine_wait **at = &e->waits;
    struct engine_wait *w = calloc(1, sizeof *w);
    if (!w || uv_timer_init(e->all->loop, &w->timer) != 0) {
        free(w);
        return VX11_ENOMEM;
    }
    w->timer.data = e->all;
    w->engine = e;
    w->fn = fn;
    w->ctx = ctx;
    w->since = clock_mono_ms();
    w->no_request = ask->no_request;
    while (*at)
        at = &(*at)->next;
    *at = w;
    e->all->wait_count++;
    e->all->open++;
    uv_timer_start(&w->timer, on_wait_timer, ask->wait_ms > 0 ? (uint64_t)ask->wait_ms : 0, 0);
    *out = w;
    return 0;
}

/* ---- starting ---- */

static void engine_fail(struct engine *e, const char *reason)
{
    struct engine_refusal why;
    int64_t wait = BACKOFF_FIRST_MS;
    for (int64_t i = 0; i < e->failures && wait < BACKOFF_MOST_MS; i++)
        wait *= 2;
    if (e->outside) /* that is not its fault */
        wait = BACKOFF_FIRST_MS;
    e->failures += !e->outside || e->failures == 0;
    e->not_before = clock_mono_ms() + (wait < BACKOFF_MOST_MS ? wait : BACKOFF_MOST_MS);
    e->state = HERMES_ENGINE_STATE_FAILED;
    e->line = 0;
    (void)snprintf(e->reason, sizeof e->reason, "%s", reason);
    refusal_set(&why, 503, "engine_failed", e->not_before - clock_mono_ms(), "%s cannot be loaded: %.350s",
                e->name, reason);
    waits_refuse(e, &why);
}

void engine_start(struct engine *e)
{
    struct error err = {0};
    e->line = 0;
    e->gated = false;
    if (e->swaps)
        count(e->all->swaps);
    e->swaps = false;
    e->state = HERMES_ENGINE_STATE_STARTING;
    e->has_progress = false;
    e->bytes_read = e->bytes_total = e->told_mono = 0;
    e->short_of_memory = false;
    e->load_ms = -1;
    e->busy = 0;
    e->restarts += e->failures > 0;
    e->started_at = clock_wall_ms();
    e->reason[0] = '\0';
    count(e->all->starts);
    if (worker_spawn(e, &err) != 0) {
        log_error("engines", "a worker cannot be started", LOG_S("model", e->name),
                  LOG_S("reason", err.text));
        engine_fail(e, err.text);
        return;
    }
    log_info("engines", "a worker was started", LOG_S("model", e->name), LOG_I("pid", e->worker->pid),
             LOG_S("path", e->path));
}

void engine_refuse(struct engine *e)
{
    struct engine_refusal why;
    refusal_of_state(e, true, &why);
    log_warn("engines", "a model cannot be loaded", LOG_S("model", e->name), LOG_S("reason", why.text));
    waits_refuse(e, &why);
}

void engines_kick(struct engines *all)
{
    if (!all->closing)
        uv_timer_start(&all->line_timer, line_on_timer, 0, 0);
}

/* ---- what workers report ---- */

void engine_on_ready(struct engine *e)
{
    e->state = HERMES_ENGINE_STATE_READY;
    e->ready_since = clock_mono_ms();
    e->load_ms = e->ready_since - e->worker->started_mono;
    e->last_used_mono = e->ready_since;
    engine_tell_load(e, LINK_MODEL_LOAD_STATE_READY, NULL);
    if (e->all->load_seconds)
        metric_observe(e->all->load_seconds, (double)e->load_ms / 1000);
    log_info("engines", "a model is loaded", LOG_S("model", e->name), LOG_I("pid", e->worker->pid),
             LOG_I("ms", e->load_ms));
    e->batch = 0;
    for (struct engine_wait *w = e->waits; w; w = w->next, e->batch++)
        w->batch = true;
    line_hand_out(e);
    engines_kick(e->all);
}

/* While it loads, at most twice a second. */
void engine_tell_load(struct engine *e, int state, const char *reason)
{
    const int64_t now = clock_mono_ms();
    if (!e->all->on_load ||
        (state == LINK_MODEL_LOAD_STATE_LOADING && e->told_mono > 0 && now - e->told_mono < LOAD_TOLD_MS))
        return;
    e->told_mono = now;
    const struct link_model_load load = {
        .timestamp = clock_wall_ms(),
        .model = e->name,
        .state = state,
        .has_bytes_read = e->bytes_total > 0,
        .bytes_read = e->bytes_read,
        .has_bytes_total = e->bytes_total > 0,
        .bytes_total = e->bytes_total,
        .has_percent = e->has_progress,
        .percent = e->progress * 100,
        .has_load_ms = state == LINK_MODEL_LOAD_STATE_READY,
        .load_ms = e->load_ms > 0 ? e->load_ms : 0,
        .reason = reason,
    };
    e->all->on_load(e->all->ctx, &load);
}

/* One has grown, or the budget has shrunk. */
static void keep_budget(struct engines *all)
{
    struct capacity c;
    capacity_plan(all, NULL, true, &c);
    for (size_t i = 0; c.plan.verdict == PLAN_EVICT && i < c.plan.count; i++)
        engine_unload(c.of[c.plan.engines[i]], UNLOAD_BUDGET, "the memory budget was passed");
}

void engine_on_status(struct engine *e)
{
    leases_expire(e);
    int64_t now = clock_mono_ms();
    if (e->state != HERMES_ENGINE_STATE_READY)
        return;
    if (e->failures > 0 && now - e->ready_since >= BACKOFF_RESET_MS)
        e->failures = 0;
    line_hand_out(e);
    if (now >= engine_expires(e)) {
        char reason[64], span[24];
        (void)snprintf(reason, sizeof reason, "unused for %s",
                       str_format_duration(now - e->last_used_mono, span));
        engine_unload(e, e->has_keep_alive ? UNLOAD_KEEP_ALIVE : UNLOAD_IDLE, reason);
    } else if (line_next(e->all, 0)) {
        engines_kick(e->all); /* somebody waits for room, and this one's load is known now */
    } else if (e->all->params.memory_budget_bytes > 0 || e->all->pool_factor < 1) {
        keep_budget(e->all);
    }
}

void engines_set_pool_factor(struct engines *all, double factor)
{
    if (factor != all->pool_factor)
        log_info("engines", "idle models may keep another share of the memory",
                 LOG_I("percent", (int64_t)(factor * 100)));
    all->pool_factor = factor;
}

void engine_unload(struct engine *e, enum unload_why why, const char *reason)
{
    int64_t limit = e->all->params.stop_limit_ms > 0 ? e->all->params.stop_limit_ms : ENGINE_STOP_LIMIT_MS;
    if (!e->worker || e->state == HERMES_ENGINE_STATE_STOPPING)
        return;
    log_info("engines", "a model is unloaded", LOG_S("model", e->name), LOG_I("pid", e->worker->pid),
             LOG_S("reason", reason));
    count(e->all->evictions[why]);
    e->state = HERMES_ENGINE_STATE_STOPPING;
    e->gated = false;
    (void)snprintf(e->reason, sizeof e->reason, "%s", reason);
    worker_stop(e->worker, limit + (e->all->params.saved_bytes > 0 ? e->all->params.saved_ms : 0));
}

static void stop_waits_answer(struct engine *e)
{
    while (e->stop_waits) {
        struct engine_stop_wait *w = e->stop_waits;
        e->stop_waits = w->next;
        if (w->fn)
            w->fn(w->ctx);
        free(w);
    }
}

static void forget_batch(struct engine *e)
{
    e->batch = 0;
    for (struct engine_wait *w = e->waits; w; w = w->next)
        w->batch = false;
}

void engine_on_end(struct engine *e, bool asked, bool crashed, const char *reason)
{
    struct engines *all = e->all;
    bool was_ready = e->state == HERMES_ENGINE_STATE_READY;
    leases_drop(e);
    forget_batch(e);
    e->gated = false;
    e->busy = 0;
    stop_waits_answer(e);
    engine_tell_load(e, asked ? LINK_MODEL_LOAD_STATE_STOPPED : LINK_MODEL_LOAD_STATE_FAILED, reason);
    if (!asked && e->short_of_memory && e->waits && !all->closing) {
        /* It knows better than we what it takes: once more, with room for that, or a refusal with the
           numbers. */
        log_info("engines", "a worker had too little memory", LOG_S("model", e->name),
                 LOG_S("reason", reason));
        e->state = HERMES_ENGINE_STATE_STOPPED;
        e->failures++;
        e->not_before = clock_mono_ms() + BACKOFF_FIRST_MS;
        line_enter(e);
    } else if (!asked && crashed && e->waits && !all->closing && (e->outside || e->failures < CRASHES_MOST)) {
        /* Those who wait have done nothing to it: it is loaded once more. */
        log_error("engines", "a worker ended", LOG_S("model", e->name), LOG_S("reason", reason));
        count(all->crashes);
        if (all->on_crash)
            all->on_crash(all->ctx, e->name, reason);
        e->state = HERMES_ENGINE_STATE_STOPPED;
        e->failures += !e->outside || e->failures == 0;
        e->not_before = clock_mono_ms() + BACKOFF_FIRST_MS;
        (void)snprintf(e->reason, sizeof e->reason, "%s", reason);
        line_enter(e);
    } else if (!asked) {
        log_error("engines", "a worker ended", LOG_S("model", e->name), LOG_S("reason", reason));
        count(all->crashes);
        if ((was_ready || crashed) && all->on_crash)
            all->on_crash(all->ctx, e->name, reason);
        engine_fail(e, reason);
    } else {
        log_info("engines", "a worker is gone", LOG_S("model", e->name), LOG_S("how", reason));
        e->state = HERMES_ENGINE_STATE_STOPPED;
        e->reason[0] = '\0';
        e->failures = 0;
        e->has_keep_alive = e->has_keep_alive && e->waits;
        if (e->waits && !all->closing)
            line_enter(e);
        else if (!e->waits)
            engine_free(e);
    }
    engines_kick(all);
}

/* ---- acquiring and stopping ---- */

int engines_acquire(struct engines *all, const struct engine_model *model, const struct engine_ask *ask,
                    engine_acquired_fn fn, void *ctx, struct engine_wait **out, struct error *err)
{
    *out = NULL;
    if (all->closing)
        return error_set(err, VX11_ECANCELLED, "Hermes is stopping");
    if (all->wait_count >= ENGINE_WAITS_MAX)
        return error_set(err, VX11_EFULL, "%d requests wait for engines already", ENGINE_WAITS_MAX);
    struct engine *e = engine_find_or_create(all, model);
    if (!e)
        return error_set(err, VX11_ENOMEM, "out of memory");
    if (ask->has_keep_alive) {
        e->has_keep_alive = true;
        e->keep_alive_ms = ask->keep_alive_ms;
    }
    if (e->state == HERMES_ENGINE_STATE_READY && !e->gated && !e->waits) {
        if (all->wait_seconds)
            metric_observe(all->wait_seconds, 0);
        hand_out(e, ask->no_request, fn, ctx);
        return 0;
    }
    bool idle = !e->worker && !e->line;
    if (idle && e->not_before - clock_mono_ms() > ask->wait_ms) {
        struct engine_refusal why;
        refusal_set(&why, 503, "engine_failed", e->not_before - clock_mono_ms(),
                    "%s cannot be loaded: %.350s", e->name, e->reason);
        fn(ctx, NULL, &why);
        return 0;
    }
    int rc = wait_create(e, ask, fn, ctx, out);
    if (rc != 0) {
        if (idle && e->failures == 0)
            engine_free(e);
        return error_set(err, rc, "out of memory");
    }
    if (idle || (e->gated && !e->line))
        line_enter(e);
    return 0;
}

int engines_stop(struct engines *all, const char *name, const char *reason, void (*fn)(void *ctx), void *ctx,
                 struct engine_stop_wait **out)
{
    struct engine *e = engine_find(all, name);
    struct engine_refusal why;
    if (!e)
        return 0;
    refusal_set(&why, 503, "engine_stopped", -1, "%s was unloaded: %s", e->name, reason);
    if (!e->worker) {
        waits_refuse(e, &why);
        engine_free(e);
        return 0;
    }
    struct engine_stop_wait *w = fn ? calloc(1, sizeof *w) : NULL;
    if (fn && !w)
        return VX11_ENOMEM;
    if (w) {
        *w = (struct engine_stop_wait){.fn = fn, .ctx = ctx, .next = e->stop_waits};
        e->stop_waits = w;
        *out = w;
    }
    waits_refuse(e, &why);
    engine_unload(e, UNLOAD_ASKED, reason);
    return 1;
}

void engine_stop_wait_cancel(struct engine_stop_wait *w)
{
    w->fn = NULL;
}

void engines_refuse_waits(struct engines *all)
{
    struct engine_refusal why;
    struct engine *next;
    all->closing = true;
    refusal_set(&why, 503, "stopping", -1, "Hermes is stopping");
    for (struct engine *e = all->first; e; e = next) {
        next = e->next;
        waits_refuse(e, &why);
        if (e->line)
            line_leave(e);
    }
}

void engines_close(struct engines *all, int64_t limit_ms, void (*done)(void *ctx), void *ctx)
{
    struct engine *next;
    engines_refuse_waits(all);
    all->closed = done;
    all->closed_ctx = ctx;
    for (struct engine *e = all->first; e; e = next) {
        next = e->next; // NOLINT(clang-analyzer-unix.Malloc): an engine is freed where it leaves the list
        if (e->worker) {
            e->state = HERMES_ENGINE_STATE_STOPPING;
            worker_stop(e->worker, limit_ms);
        } else {
            engine_free(e);
        }
    }
    uv_close((uv_handle_t *)&all->line_timer, on_line_timer_closed);
}
