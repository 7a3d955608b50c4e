/* The worker's life.
 *
 *   loop thread:   listen ── status: loading ──────────┬─ ready: serve ── SIGTERM: drain ── stop the
 * scheduler ── join ── exit 0 decode thread:           model_load ── progress ───┤  scheduler_run
 * ─────────────────────────────┘ └─ failed: status says why for a moment ── exit 3
 *
 * The decode thread reports by two atomics and the async handle `wake`; everything else of `struct engine` is
 * the loop thread's. */
#include "engine/engine_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/backend.h"
#include "engine/saved.h"
#include "version.h"

/* How long a failed worker still answers, so that who polls the progress reads the reason instead of a
 * refused connection. */
enum { LINGER_MS = 500 };

static const request_handler handlers[ENGINE_ROUTE_COUNT] = {
    [ENGINE_ROUTE_CHAT_COMPLETIONS] = api_chat_completions,
    [ENGINE_ROUTE_COMPLETIONS] = api_completions,
    [ENGINE_ROUTE_EMBEDDINGS] = api_embeddings,
    [ENGINE_ROUTE_MODELS] = api_models,
    [ENGINE_ROUTE_STATUS] = api_status,
    [ENGINE_ROUTE_TOKENIZE] = api_tokenize,
    [ENGINE_ROUTE_COUNT_TOKENS] = api_count,
    [ENGINE_ROUTE_DETOKENIZE] = api_detokenize,
};

/* Tells the parent. It may be gone, or not listen: that is its affair. */
static void notify(const struct engine *e, const char *line)
{
    struct iovec parts[2] = {{(void *)(uintptr_t)line, strlen(line)}, {(void *)(uintptr_t) "\n", 1}};
    if (e->options.notify_fd >= 0 && writev(e->options.notify_fd, parts, 2) < 0)
        log_debug("engine", "the parent does not listen", LOG_I("errno", errno));
}

/* ---- the decode thread ---- */

static void wake(void *ctx)
{
    struct engine *e = ctx;
    (void)uv_async_send(&e->wake);
}

static bool on_progress(const struct model_progress *p, void *ctx)
{
    struct engine *e = ctx;
    atomic_store(&e->progress, p->share);
    atomic_store(&e->bytes_read, p->bytes_read);
    atomic_store(&e->bytes_total, p->bytes_total);
    return !atomic_load(&e->load_stop);
}

/* What cannot be opened is not kept: that is no reason not to serve. */
static void saving_start(struct engine *e, struct model *m)
{
    const struct engine_saving *o = &e->options.saving;
    const struct llama_context_params p =
        model_context_params(m->llama, &e->options.model, m->cells, m->plan.choice.kv);
    struct saved *saved = NULL;
    struct error err = {0};
    char key[65];
    if (!o->dir || o->most_bytes == 0)
        return;
    const struct saved_options open = {
        .dir = o->dir,
        .key = key,
        .model_sha256 = o->model_sha256,
        .model_path = m->path,
        .most_bytes = o->most_bytes,
        /* Of a sliding window libllama gives only what the end of the sequence looks at. */
        .whole = !m->can_trim || llama_model_n_swa(m->llama) > 0,
    };
    if (saved_key(m, &p, key, &err) != 0 || saved_open(&open, &saved, &err) != 0) {
        log_error("engine", "conversations are not kept", LOG_S("folder", o->dir), LOG_S("reason", err.text));
        return;
    }
    atomic_store(&e->saved, saved);
    scheduler_save(e->scheduler, &(struct scheduler_saving){.saved = saved,
                                                            .min_tokens = o->min_tokens,
                                                            .idle_ms = o->idle_ms,
                                                            .end_ms = o->end_ms});
}

static int speculation_start(struct engine *e, const struct model *m, struct drafter **out, struct error *err)
{
    struct drafter_options o = e->options.speculation;
    o.threads = e->options.model.threads;
    o.gpu_layers = e->options.model.gpu_layers;
    const int rc = drafter_create(&o, m, out, err);
    if (rc == 0)
        scheduler_speculate(e->scheduler, *out);
    return rc;
}

static void *decode_thread(void *ctx)
{
    struct engine *e = ctx;
    struct model *m = NULL;
    struct drafter *drafter = NULL;
    struct error err = {0};
    model_log_start();
    int rc = backends_load(e->options.model.path, &err);
    if (rc == 0)
        rc = model_load(&e->options.model, on_progress, e, &m, &err);
    if (rc == 0 && m->can.generates)
        rc = speculation_start(e, m, &drafter, &err);
    if (rc != 0) {
        model_free(m);
        m = NULL;
    }
    e->load_model = m;
    e->load_error = err;
    atomic_store(&e->load_ended, true);
    wake(e);
    if (rc == 0 && m->can.generates)
        saving_start(e, m);
    if (rc == 0 && m->can.generates && scheduler_run(e->scheduler, m) != 0)
        log_error("engine", "the scheduler could not start: out of memory");
    drafter_destroy(drafter);
    return NULL;
}

/* ---- the end ---- */

static void on_drained(void *ctx)
{
    struct engine *e = ctx;
    scheduler_stop(e->scheduler);
    uv_close((uv_handle_t *)&e->terminate, NULL);
    uv_close((uv_handle_t *)&e->interrupt, NULL);
    uv_close((uv_handle_t *)&e->linger, NULL);
    uv_close((uv_handle_t *)&e->wake, NULL);
    metrics_stop(e->metrics);
}

static void engine_end(struct engine *e, int64_t drain_ms)
{
    if (e->ending)
        return;
    e->ending = true;
    atomic_store(&e->load_stop, true);
    server_drain(e->server, drain_ms, on_drained, e);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct engine *e = handle->data;
    log_info("engine", "stopping", LOG_I("signal", number));
    if (e->state != ENGINE_STATE_FAILED)
        e->state = ENGINE_STATE_STOPPING;
    engine_end(e, e->options.drain_ms);
}

static void on_lingered(uv_timer_t *timer)
{
    engine_end(timer->data, 0);
}

/* ---- the load's end ---- */

static void on_load_failed(struct engine *e)
{
    if (e->ending) /* we gave it up ourselves */
        return;
    e->state = ENGINE_STATE_FAILED;
    e->exit_code = ENGINE_EXIT_LOAD;
    log_error("engine", "the model could not be loaded", LOG_S("path", e->options.model.path),
              LOG_S("reason", e->load_error.text));
    notify(e, e->load_error.text);
    (void)uv_timer_start(&e->linger, on_lingered, LINGER_MS, 0);
}

static void on_load_ended(struct engine *e)
{
    if (e->load_error.code != 0) {
        on_load_failed(e);
        return;
    }
    const struct model *m = e->model = e->load_model;
    embedder_model(e->embedder, e->load_model);
    if (e->state == ENGINE_STATE_LOADING)
        e->state = ENGINE_STATE_READY;
    log_info("engine", "ready", LOG_S("model", m->name), LOG_S("description", m->description),
             LOG_I("load_ms", m->load_ms), LOG_I("context", m->context_length),
             LOG_I("parallel", m->parallel), LOG_I("threads", atomic_load(&m->threads.count)));
    if (m->can.generates && m->template_state != MODEL_TEMPLATE_READY)
        log_warn("engine", "chats cannot be answered: the model has no chat template that can be applied");
    notify(e, "ready");
}

static void on_wake(uv_async_t *handle)
{
    struct engine *e = handle->data;
    if (atomic_load(&e->load_ended) && !e->load_model_seen) {
        e->load_model_seen = true;
        on_load_ended(e);
    }
    scheduler_dispatch(e->scheduler);
    embed_dispatch(e->embedder);
}

static void on_health(void *module, struct health *h)
{
    const struct engine *e = module;
    if (e->state == ENGINE_STATE_FAILED)
        health_add(h, "model", 2, e->load_error.text);
    else
        health_add(h, "model", e->state == ENGINE_STATE_LOADING,
                   e->state == ENGINE_STATE_LOADING ? "loading" : NULL);
}

/* ---- the beginning ---- */

static int handles_start(struct engine *e)
{
    uv_loop_t *loop = &e->loop;
    e->wake.data = e->terminate.data = e->interrupt.data = e->linger.data = e;
    if (uv_async_init(loop, &e->wake, on_wake) != 0 || uv_signal_init(loop, &e->terminate) != 0 ||
        uv_signal_init(loop, &e->interrupt) != 0 || uv_timer_init(loop, &e->linger) != 0)
        return VX11_ENOMEM;
    if (uv_signal_start(&e->terminate, on_signal, SIGTERM) != 0 ||
        uv_signal_start(&e->interrupt, on_signal, SIGINT) != 0)
        return VX11_EINTERNAL;
    return 0;
}

static int listen_start(struct engine *e, struct error *err)
{
    const struct server_listener listener = {.path = e->options.socket};
    const struct server_options o = {.loop = &e->loop,
                                     .contract = &engine_module,
                                     .handlers = handlers,
                                     .module = e,
                                     .listeners = &listener,
                                     .listener_count = 1,
                                     .metrics = e->metrics,
                                     .version = VX11_VERSION,
                                     .health = on_health};
    return server_start(&o, &e->server, err);
}

/* What could not be started is torn down by the process's end: nothing was accepted yet. */
static int engine_start(struct engine *e, struct error *err)
{
    if (uv_loop_init(&e->loop) != 0 || handles_start(e) != 0)
        return error_set(err, VX11_ENOMEM, "the event loop could not be made");
    e->metrics = metrics_create(&e->loop, "engine");
    e->scratch = arena_create(0);
    turn_create(&e->turn);
    e->scheduler = scheduler_create(&(struct scheduler_options){
        .queue_limit = e->options.queue_limit, .wake = wake, .ctx = e, .turn = &e->turn});
    e->embedder = embedder_create(&(struct embedder_options){
        .turn = &e->turn, .queue_limit = e->options.queue_limit, .wake = wake, .ctx = e});
    if (!e->metrics || !e->scratch || !e->scheduler || !e->embedder)
        return error_set(err, VX11_ENOMEM, "out of memory");
    engine_metrics_register(e);
    int rc = listen_start(e, err);
    if (rc == 0 && pthread_create(&e->thread, NULL, decode_thread, e) != 0)
        rc = error_set(err, VX11_ENOMEM, "the decode thread could not be started");
    return rc;
}

static void load_failure_print(const struct engine *e)
{
    struct buf line = BUF_INIT;
    (void)buf_puts(&line, "{\"error\":{\"message\":");
    (void)buf_put_json_string(&line, e->load_error.text, strlen(e->load_error.text));
    (void)buf_puts(&line, ",\"type\":\"overloaded_error\",\"code\":\"model_load_failed\"}}");
    if (!line.failed)
        (void)fprintf(stderr, "%s\n", line.data);
    buf_free(&line);
}

int engine_run(const struct engine_options *options)
{
    struct error err = {0};
    struct engine *e = calloc(1, sizeof *e);
    if (!e)
        return ENGINE_EXIT_ERROR;
    e->options = *options;
    e->options.model.planned = &e->plan;
    e->started_ms = clock_mono_ms();
    e->state = ENGINE_STATE_LOADING;
    if (engine_start(e, &err) != 0) {
        log_error("engine", "cannot start", LOG_S("reason", err.text));
        (void)fprintf(stderr, "vx11-engine: %s\n", err.text);
        return ENGINE_EXIT_ERROR;
    }
    if (options->count_fd > 0) {
        void *page =
            mmap(NULL, sizeof *e->requests_shared, PROT_READ | PROT_WRITE, MAP_SHARED, options->count_fd, 0);
        e->requests_shared = page != MAP_FAILED ? page : NULL;
    }
    notify(e, "ready");
    (void)uv_run(&e->loop, UV_RUN_DEFAULT);
    pthread_join(e->thread, NULL);
    embedder_stop(e->embedder);
    scheduler_dispatch(e->scheduler);
    embed_dispatch(e->embedder);
    server_destroy(e->server);
    scheduler_destroy(e->scheduler);
    saved_close(atomic_load(&e->saved));
    embedder_destroy(e->embedder);
    turn_destroy(&e->turn);
    metrics_destroy(e->metrics);
    arena_destroy(e->scratch);
    buf_free(&e->chunk);
    model_free(e->load_model);
    (void)uv_loop_close(&e->loop);
    const int code = e->exit_code;
    if (code == ENGINE_EXIT_LOAD)
        load_failure_print(e);
    free(e);
    return code;
}
