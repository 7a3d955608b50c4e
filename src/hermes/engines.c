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

#define LINE_MS          100 /* how often the line is looked at while somebody stands in it */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS  30000
#define LOAD_TOLD_MS     500
#define BACKOFF_RESET_MS 60000 /* ready for this long: its earlier failures are forgotten */

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

static int open_metrics(struct engines *all, struct metrics *m)
{
    if (!m)
        return 0;
    all->starts = metrics_get(m, METRIC_COUNTER, "vx11_engine_starts_total", NULL, "Engine workers started.");
    all->crashes = metrics_get(m, METRIC_COUNTER, "vx11_engine_failures_total", NULL,
                               "Engine workers that ended unasked.");
    all->evictions = metrics_get(m, METRIC_COUNTER, "vx11_engine_evictions_total", NULL,
                                 "Engines unloaded to make room for another model.");
    all->load_seconds = metrics_get(m, METRIC_HISTOGRAM, "vx11_engine_load_seconds", NULL,
                                    "From the start of a worker to its being ready.");
    return all->starts && all->crashes && all->evictions && all->load_seconds ? 0 : VX11_ENOMEM;
}

static void count(struct metric *m)
{
    if (m)
        metric_add(m, 1);
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
                            .on_crash = o->on_crash,
                            .on_load = o->on_load,
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

static struct engine *engine_find(const struct engines *all, const char *name)
{
    for (struct engine *e = all->first; e; e = e->next) {
        if (strcmp(e->name, name) == 0)
            return e;
    }
    return NULL;
}

static void engine_free(struct engine *e)
{
    struct engine **at = &e->all->first;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
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
    (void)snprintf(e->id, sizeof e->id, "%s", m->id);
    (void)snprintf(e->sha256, sizeof e->sha256, "%s", m->sha256 ? m->sha256 : "");
    if (e->size_bytes != m->size_bytes)
        e->stated_bytes = 0;
    e->size_bytes = m->size_bytes;
    e->vocabulary = m->vocabulary > 0 ? m->vocabulary : 0;
    e->embedding_length = m->embedding_length > 0 ? m->embedding_length : 0;
    e->kv_bytes_per_token = m->kv_bytes_per_token;
    e->context_length = m->context_length;
    return 0;
}

static struct engine *engine_find_or_create(struct engines *all, const struct engine_model *m)
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
        free(e);
        return NULL;
    }
    e->next = all->first;
    all->first = e;
    return e;
}

/* ---- views ---- */

static void engine_view(const struct engine *e, struct hermes_engine *out)
{
    int64_t anonymous;
    const char *reason = e->line ? e->block_text : e->reason;
    *out = (struct hermes_engine){
        .model = e->name,
        .state = e->line ? HERMES_ENGINE_STATE_WAITING : e->state,
        .reason = reason[0] ? reason : NULL,
        .restarts = e->restarts,
        .has_last_used_at = e->last_used_at > 0,
        .last_used_at = e->last_used_at,
    };
    if (!e->worker)
        return;
    out->has_pid = true;
    out->pid = e->worker->pid;
    out->socket = e->worker->socket;
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
    out->has_rss_bytes = process_memory(e->worker->pid, &out->rss_bytes, &anonymous);
}

static bool view_copy(const struct engine *e, struct arena *a, struct hermes_engine *out)
{
    engine_view(e, out);
    const char *reason = out->reason, *socket = out->socket;
    out->model = arena_strdup(a, out->model);
    out->reason = arena_strdup(a, reason);
    out->socket = arena_strdup(a, socket);
    return out->model && (!reason || out->reason) && (!socket || out->socket);
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
    w->engine = NULL;
    e->all->wait_count--;
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

static void hand_out(struct engine *e, engine_acquired_fn fn, void *ctx)
{
    struct hermes_engine view;
    e->last_used_at = clock_wall_ms();
    e->last_used_mono = clock_mono_ms();
    engine_view(e, &view);
    fn(ctx, &view, NULL);
}

/* Why somebody who has waited long enough gets nothing. */
static void refusal_of_state(const struct engine *e, struct engine_refusal *why)
{
    if (!e->line && e->state == HERMES_ENGINE_STATE_LOADING && e->has_progress)
        refusal_set(why, 504, "engine_not_ready", 1000, "%s is still loading (%.0f %%)", e->name,
                    e->progress * 100);
    else if (!e->line)
        refusal_set(why, 504, "engine_not_ready", 1000, "%s is not ready yet: its worker is %s", e->name,
                    hermes_engine_state_names[e->state]);
    else if (e->block == BLOCK_BACKOFF)
        refusal_set(why, 503, "engine_failed", e->not_before - clock_mono_ms(), "%s cannot be loaded: %.350s",
                    e->name, e->reason);
    else if (e->block == BLOCK_MEMORY)
        refusal_set(why, 503, "insufficient_memory", 5000, "%.500s", e->block_text);
    else if (e->block == BLOCK_ROOM)
        refusal_set(why, 503, "no_capacity", 5000, "%.500s", e->block_text);
    else
        refusal_set(why, 504, "engine_not_ready", 1000, "%s has not been started yet", e->name);
}

static void on_wait_timer(uv_timer_t *timer)
{
    struct engine_wait *w = (struct engine_wait *)((char *)timer - offsetof(struct engine_wait, timer));
    struct engine_refusal why;
    if (!w->engine)
        return;
    refusal_of_state(w->engine, &why);
    wait_end(w);
    w->fn(w->ctx, NULL, &why);
}

static int wait_create(struct engine *e, int64_t wait_ms, engine_acquired_fn fn, void *ctx,
                       struct engine_wait **out)
{
    struct engine_wait *w = calloc(1, sizeof *w);
    if (!w || uv_timer_init(e->all->loop, &w->timer) != 0) {
        free(w);
        return VX11_ENOMEM;
    }
    w->timer.data = e->all;
    w->engine = e;
    w->fn = fn;
    w->ctx = ctx;
    w->next = e->waits;
    e->waits = w;
    e->all->wait_count++;
    e->all->open++;
    uv_timer_start(&w->timer, on_wait_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
    *out = w;
    return 0;
}

/* ---- the line ---- */

static void line_enter(struct engine *e)
{
    if (!e->line)
        e->line = ++e->all->next_line;
    e->tried = false;
    e->block = BLOCK_NONE;
    e->block_text[0] = '\0';
    engines_kick(e->all);
}

/* Without a process and without a place in the line there is nothing left to say, except why it failed. */
static void line_leave(struct engine *e)
{
    e->line = 0;
    if (e->failures > 0)
        e->state = HERMES_ENGINE_STATE_FAILED;
    else
        engine_free(e);
}

static void engine_fail(struct engine *e, const char *reason)
{
    struct engine_refusal why;
    int64_t wait = BACKOFF_FIRST_MS;
    for (int64_t i = 0; i < e->failures && wait < BACKOFF_MOST_MS; i++)
        wait *= 2;
    e->failures++;
    e->not_before = clock_mono_ms() + (wait < BACKOFF_MOST_MS ? wait : BACKOFF_MOST_MS);
    e->state = HERMES_ENGINE_STATE_FAILED;
    e->line = 0;
    (void)snprintf(e->reason, sizeof e->reason, "%s", reason);
    refusal_set(&why, 503, "engine_failed", e->not_before - clock_mono_ms(), "%s cannot be loaded: %.350s",
                e->name, reason);
    waits_refuse(e, &why);
}

static void engine_start(struct engine *e)
{
    struct error err = {0};
    e->line = 0;
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

static struct engine *line_next(const struct engines *all, uint64_t after)
{
    struct engine *first = NULL;
    for (struct engine *e = all->first; e; e = e->next) {
        if (e->line > after && (!first || e->line < first->line))
            first = e;
    }
    return first;
}

static void line_refuse(struct engine *e)
{
    struct engine_refusal why;
    refusal_of_state(e, &why);
    log_warn("engines", "a model cannot be loaded", LOG_S("model", e->name), LOG_S("reason", why.text));
    waits_refuse(e, &why);
    line_leave(e);
}

/* Serves the line in order. Only those that wait out a failure are passed by; where there is no room for the
 * first, there is none for a later one either, or a stream of small models would keep a large one out for
 * ever. */
static void line_serve(struct engines *all)
{
    struct engine *e;
    uint64_t after = 0;
    while ((e = line_next(all, after)) != NULL) {
        after = e->line;
        if (!e->waits && e->tried) { /* whoever wanted it has left */
            line_leave(e);
            continue;
        }
        e->tried = true;
        if (clock_mono_ms() < e->not_before) {
            e->block = BLOCK_BACKOFF;
            (void)snprintf(e->block_text, sizeof e->block_text, "waits after a failure: %.400s", e->reason);
            continue;
        }
        enum capacity capacity = capacity_check(all, e);
        if (capacity == CAPACITY_OK)
            engine_start(e);
        else if (capacity == CAPACITY_NEVER)
            line_refuse(e);
        else
            return;
    }
}

static void on_line(uv_timer_t *timer)
{
    struct engines *all = timer->data;
    if (all->closing)
        return;
    line_serve(all);
    if (line_next(all, 0))
        uv_timer_start(&all->line_timer, on_line, LINE_MS, 0);
}

void engines_kick(struct engines *all)
{
    if (!all->closing)
        uv_timer_start(&all->line_timer, on_line, 0, 0);
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
    while (e->waits) {
        struct engine_wait *w = e->waits;
        wait_end(w);
        hand_out(e, w->fn, w->ctx);
    }
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

void engine_on_status(struct engine *e)
{
    int64_t now = clock_mono_ms(), idle = e->all->params.idle_unload_ms;
    if (e->state != HERMES_ENGINE_STATE_READY)
        return;
    if (e->failures > 0 && now - e->ready_since >= BACKOFF_RESET_MS)
        e->failures = 0;
    if (idle > 0 && e->busy == 0 && now - e->last_used_mono >= idle) {
        char reason[64], span[24];
        (void)snprintf(reason, sizeof reason, "unused for %s", str_format_duration(idle, span));
        engine_unload(e, reason);
    } else if (line_next(e->all, 0)) {
        engines_kick(e->all); /* somebody waits for room, and this one's load is known now */
    }
}

void engine_unload(struct engine *e, const char *reason)
{
    int64_t limit = e->all->params.stop_limit_ms > 0 ? e->all->params.stop_limit_ms : ENGINE_STOP_LIMIT_MS;
    if (!e->worker || e->state == HERMES_ENGINE_STATE_STOPPING)
        return;
    log_info("engines", "a model is unloaded", LOG_S("model", e->name), LOG_I("pid", e->worker->pid),
             LOG_S("reason", reason));
    e->state = HERMES_ENGINE_STATE_STOPPING;
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

void engine_on_end(struct engine *e, bool asked, bool crashed, const char *reason)
{
    struct engines *all = e->all;
    bool was_ready = e->state == HERMES_ENGINE_STATE_READY;
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
        if (e->waits && !all->closing)
            line_enter(e);
        else if (!e->waits)
            engine_free(e);
    }
    engines_kick(all);
}

/* ---- acquiring and stopping ---- */

int engines_acquire(struct engines *all, const struct engine_model *model, int64_t wait_ms,
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
    if (e->state == HERMES_ENGINE_STATE_READY) {
        hand_out(e, fn, ctx);
        return 0;
    }
    bool idle = !e->worker && !e->line;
    if (idle && e->not_before - clock_mono_ms() > wait_ms) {
        struct engine_refusal why;
        refusal_set(&why, 503, "engine_failed", e->not_before - clock_mono_ms(),
                    "%s cannot be loaded: %.350s", e->name, e->reason);
        fn(ctx, NULL, &why);
        return 0;
    }
    int rc = wait_create(e, wait_ms, fn, ctx, out);
    if (rc != 0) {
        if (idle && e->failures == 0)
            engine_free(e);
        return error_set(err, rc, "out of memory");
    }
    if (idle)
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
    engine_unload(e, reason);
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
