/* Start and stop of Hermes, its clockwork and its health. What it does is in the files beside this one. */
#include "hermes/hermes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "embed/guide.h"
#include "hermes/exec/jobs.h"
#include "hermes/guide.h"
#include "hermes/hermes_internal.h"
#include "hermes/registry.h"
#include "hermes/tools/tools.h"
#include "hermes/warm/warm.h"

#define ENGINES_STOP_MS 8000 /* on our own stop: well inside what the supervisor grants */

/* ---- configuration ---- */

static const char *engine_log_level(const struct config *config)
{
    const struct config_log *log = config->values->log;
    const char *own = yyjson_get_str(yyjson_obj_get(log->modules, "engine"));
    for (size_t i = 0; own && i < COUNT_OF(config_log_level_names); i++) {
        if (strcmp(own, config_log_level_names[i]) == 0)
            return config_log_level_names[i];
    }
    return config_log_level_names[log->level];
}

static void params_from(const struct config *config, struct engine_params *out)
{
    const struct config_hermes *h = config->values->hermes;
    const struct config_engine *e = config->values->engine;
    *out = (struct engine_params){
        .max_loaded = h->max_loaded,
        .idle_unload_ms = h->idle_unload_ms,
        .load_timeout_ms = h->load_timeout_ms,
        .memory_budget_bytes = h->memory_budget_bytes,
        .swap_after_ms = h->swap_after_ms,
        .min_resident_ms = h->min_resident_ms,
        .lease_ms = h->lease_ms,
        .threads = e->threads,
        .ctx = e->ctx,
        .max_ctx = e->max_ctx,
        .parallel = e->parallel,
        .kv_tokens = e->kv_tokens,
        .batch = e->batch,
        .n_max = e->n_max,
        .gpu_layers = e->gpu_layers,
        .max_queue = e->max_queue,
        .saved_bytes = e->saved_bytes,
        .saved_min_tokens = e->saved_min_tokens,
        .saved_ms = e->saved_ms,
        .kv_type = config_engine_kv_type_names[e->kv_type],
        .speculation = config_engine_speculation_names[e->speculation],
        .draft_most = e->draft_most,
        .log_level = engine_log_level(config),
    };
    (void)snprintf(out->draft_model, sizeof out->draft_model, "%s", e->draft_model ? e->draft_model : "");
}

static int set_roots(struct hermes *h, const struct config *config, struct error *err)
{
    const struct config_hermes *c = config->values->hermes;
    char models[4096];
    const char **roots = calloc(c->model_dirs_count + 1, sizeof *roots);
    int rc = roots ? fs_path(models, sizeof models, module_home(h->module), "models") : VX11_ENOMEM;
    if (rc == 0) {
        roots[0] = models;
        memcpy(roots + 1, c->model_dirs, c->model_dirs_count * sizeof *roots);
        rc = scanner_set_roots(h->scanner, roots, c->model_dirs_count + 1);
    }
    free(roots);
    return rc != 0 ? error_set(err, rc, "the folders of models cannot be set") : 0;
}

/* The worker's program: beside ours in a build folder, in lib/vx11 when installed. */
static int find_program(struct hermes *h, struct error *err)
{
    char self[4096], near_us[4096];
    const char *given = getenv("VX11_ENGINE_BIN");
    if (given && given[0] == '/') {
        (void)snprintf(h->program, sizeof h->program, "%s", given);
        return 0;
    }
    int rc = fs_self_exe(self, sizeof self);
    if (rc != 0)
        return error_set(err, rc, "the path of our own program is unknown");
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = '\0';
    rc = fs_path(near_us, sizeof near_us, self, "vx11-engine");
    if (rc == 0)
        rc = fs_path(h->program, sizeof h->program, self, "../lib/vx11/vx11-engine");
    if (rc != 0)
        return error_set(err, rc, "the path of our own program is too long");
    if (fs_exists(near_us) || !fs_exists(h->program))
        memcpy(h->program, near_us, sizeof near_us);
    return 0;
}

/* ---- the scans ---- */

/* An engine whose file is another one by now finishes what it is doing and goes; the next request loads the
 * new file. */
static void unload_stale(struct hermes *h, const char *const *names, size_t n, const char *reason)
{
    for (size_t i = 0; i < n; i++)
        (void)engines_stop(h->engines, names[i], reason, NULL, NULL, NULL);
}

static void on_scanned(void *ctx, const struct hermes_scan_reply *reply)
{
    struct hermes *h = ctx;
    if (h->stopped) /* a scan that ends during the stop: the other parts may be gone */
        return;
    unload_stale(h, reply->changed, reply->changed_count, "its file has changed");
    unload_stale(h, reply->missing, reply->missing_count, "its file has gone");
    hasher_kick(h->hasher);
}

static void on_background_scan(void *ctx, const struct hermes_scan_reply *reply, const struct error *err)
{
    struct hermes *h = ctx; /* its result is in the log and in scanner_problem */
    if (!h->stopped)
        warmup_begin(h->warmup);
    (void)reply;
    (void)err;
}

static void start_scan(struct hermes *h)
{
    struct error err = {0};
    if (scanner_run(h->scanner, on_background_scan, h, NULL, &err) != 0)
        log_error("scan", "the scan cannot begin", LOG_S("reason", err.text));
}

static void on_scan_timer(uv_timer_t *timer)
{
    start_scan(timer->data);
}

static void start_scan_timer(struct hermes *h, const struct config *config)
{
    uint64_t ms = (uint64_t)config->values->hermes->scan_interval_ms;
    uv_timer_start(&h->scan_timer, on_scan_timer, ms, ms);
}

/* ---- the guide model ---- */

static void install_guide(struct hermes *h)
{
    char path[4096];
    struct error err = {0};
    int rc =
        guide_install(module_home(h->module), embed_guide_data, embed_guide_size, path, sizeof path, &err);
    if (rc == 0)
        rc = guide_register(h->store, path, clock_wall_ms(), &err);
    h->guide_problem[0] = '\0';
    if (rc == 0)
        return;
    (void)snprintf(h->guide_problem, sizeof h->guide_problem, "%s", err.text);
    log_error("guide", "the guide model is not in place", LOG_S("reason", err.text));
}

/* ---- crashes ---- */

static void on_crash(void *ctx, const char *model, const char *reason)
{
    struct hermes *h = ctx;
    module_alert(h->module, LINK_ALERT_SEVERITY_L3, "The engine of %s ended: %s", model, reason);
}

static void on_load(void *ctx, const struct link_model_load *load)
{
    struct hermes *h = ctx;
    if (load->state != LINK_MODEL_LOAD_STATE_LOADING)
        h->engine_changes++;
    struct buf payload = BUF_INIT;
    const int rc = link_model_load_serialize(load, &payload);
    if (rc == 0)
        module_event(h->module, link_event_type_names[LINK_EVENT_TYPE_HERMES_MODEL_LOAD], payload.data);
    else
        log_error("engines", "an event could not be written", LOG_S("reason", error_describe(rc)));
    buf_free(&payload);
}

static void on_pull(void *ctx, const struct link_model_pull *pull)
{
    struct hermes *h = ctx;
    struct buf payload = BUF_INIT;
    const int rc = link_model_pull_serialize(pull, &payload);
    if (rc == 0)
        module_event(h->module, link_event_type_names[LINK_EVENT_TYPE_HERMES_MODEL_PULL], payload.data);
    else
        log_error("pull", "an event could not be written", LOG_S("reason", error_describe(rc)));
    buf_free(&payload);
}

static void on_pulled(void *ctx, const char *name, bool new_file)
{
    struct hermes *h = ctx;
    if (new_file)
        unload_stale(h, &name, 1, "its file was pulled anew");
    hasher_kick(h->hasher);
}

/* ---- life ---- */

static void on_part_closed(void *ctx)
{
    struct hermes *h = ctx;
    if (--h->closing == 0)
        h->stopped(h->module);
}

static void hermes_free(void *context)
{
    free(context);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static int start_engines(struct hermes *h, struct error *err)
{
    struct engines_options options = {
        .loop = module_loop(h->module),
        .client = module_client(h->module),
        .home = module_home(h->module),
        .program = h->program,
        .metrics = module_metrics(h->module),
        .on_crash = on_crash,
        .on_load = on_load,
        .on_used = pool_used,
        .ctx = h,
    };
    params_from(module_config(h->module), &options.params);
    const int rc = engines_create(&options, &h->engines, err);
    return rc == 0 ? pool_groups(h, module_config(h->module)) : rc;
}

static void on_engine_gone(void *ctx, const char *model, const char *reason)
{
    struct hermes *h = ctx;
    (void)engines_stop(h->engines, model, reason, NULL, NULL, NULL);
}

static int start_externals(struct hermes *h, struct error *err)
{
    const struct externals_options options = {.loop = module_loop(h->module),
                                              .client = module_client(h->module),
                                              .store = h->store,
                                              .on_gone = on_engine_gone,
                                              .ctx = h};
    const int rc = externals_create(&options, &h->externals, err);
    return rc == 0 ? externals_configure(h->externals, module_config(h->module), err) : rc;
}

static int start_pulls(struct hermes *h, struct error *err)
{
    const struct pulls_options options = {
        .loop = module_loop(h->module),
        .store = h->store,
        .client = module_client(h->module),
        .home = module_home(h->module),
        .config = module_config(h->module)->values->hermes,
        .on_event = on_pull,
        .on_model = on_pulled,
        .ctx = h,
    };
    return pulls_create(&options, &h->pulls, err);
}

static int start_tools(struct hermes *h, struct error *err)
{
    const struct tools_options options = {.loop = module_loop(h->module),
                                          .store = h->store,
                                          .writer = h->writer,
                                          .home = module_home(h->module),
                                          .config = module_config(h->module)};
    int rc = registry_lift_version(h->store, err);
    if (rc != 0 || (rc = tools_create(&options, &h->tools, err)) != 0)
        return rc;
    const struct jobs_options jobs = {.loop = options.loop,
                                      .store = h->store,
                                      .writer = h->writer,
                                      .tools = h->tools,
                                      .home = options.home,
                                      .module = h->module};
    return jobs_create(&jobs, &h->jobs, err);
}

/* Jobs run tools, so these go after them. */
static void on_jobs_closed(void *ctx)
{
    struct hermes *h = ctx;
    tools_close(h->tools, on_part_closed, h);
}

static void hermes_stop(struct module *m, void *context, void (*done)(struct module *m))
{
    struct hermes *h = context;
    (void)m;
    h->stopped = done;
    h->closing = 9;
    host_stop(h);
    uv_close((uv_handle_t *)&h->host_timer, on_timer_closed);
    jobs_close(h->jobs, on_jobs_closed, h);
    warmup_close(h->warmup, on_part_closed, h);
    uv_close((uv_handle_t *)&h->scan_timer, on_timer_closed);
    scanner_close(h->scanner, on_part_closed, h);
    hasher_close(h->hasher, on_part_closed, h);
    engines_close(h->engines, ENGINES_STOP_MS, on_part_closed, h);
    pulls_close(h->pulls, on_part_closed, h);
    externals_close(h->externals, on_part_closed, h);
}

static int hermes_start(struct module *m, void **context, struct error *err)
{
    struct hermes *h = calloc(1, sizeof *h);
    if (!h)
        return error_set(err, VX11_ENOMEM, "out of memory");
    *context = h; /* of a start that fails too: the process ends then, and nothing is taken apart */
    h->module = m;
    h->store = module_store(m);
    h->writer = module_writer(m);
    int rc = find_program(h, err);
    if (rc == 0)
        rc = scanner_create(module_loop(m), h->store, &h->scanner);
    if (rc == 0)
        rc = set_roots(h, module_config(m), err);
    if (rc == 0)
        rc = hasher_create(module_loop(m), h->store, &h->hasher);
    if (rc == 0)
        rc = start_engines(h, err);
    if (rc == 0)
        rc = start_tools(h, err);
    if (rc == 0)
        rc = start_pulls(h, err);
    if (rc == 0)
        rc = start_externals(h, err);
    if (rc == 0)
        rc = warmup_create(h, &h->warmup, err);
    if (rc != 0)
        return err && err->text[0] ? error_prefix(err, rc, "Hermes cannot start")
                                   : error_set(err, rc, "Hermes cannot start");
    scanner_on_scan(h->scanner, on_scanned, h);
    uv_timer_init(module_loop(m), &h->scan_timer);
    h->scan_timer.data = h;
    start_scan_timer(h, module_config(m));
    host_start(h);
    install_guide(h);
    start_scan(h);
    tools_refresh(h->tools);
    jobs_resume(h->jobs);
    pulls_resume(h->pulls);
    return 0;
}

/* Requests that wait for an engine would hold up the drain for as long as a load takes. */
static void hermes_stopping(struct module *m, void *context)
{
    struct hermes *h = context;
    (void)m;
    engines_refuse_waits(h->engines);
    jobs_end_streams(h->jobs);
    pulls_end_streams(h->pulls);
}

static void hermes_reload(struct module *m, void *context, const struct config *before,
                          const struct config *now)
{
    struct hermes *h = context;
    struct engine_params params;
    struct error err = {0};
    (void)m;
    params_from(now, &params);
    engines_configure(h->engines, &params);
    tools_configure(h->tools, now);
    tools_refresh(h->tools);
    if (externals_configure(h->externals, now, &err) != 0)
        log_error("engines", "the engines stay as they were", LOG_S("reason", err.text));
    warmup_configure(h->warmup, before, now);
    if (pool_groups(h, now) != 0)
        log_error("engines", "the groups of models stay as they were", LOG_S("reason", "out of memory"));
    if (before->values->hermes->scan_interval_ms != now->values->hermes->scan_interval_ms)
        start_scan_timer(h, now);
    pulls_configure(h->pulls, now->values->hermes);
    if (set_roots(h, now, &err) != 0)
        log_error("scan", "the folders stay as they were", LOG_S("reason", err.text));
    start_scan(h);
}

static void hermes_health(void *context, struct health *hl)
{
    struct hermes *h = context;
    char detail[600];
    const char *problem = scanner_problem(h->scanner);
    size_t failed = engines_failed(h->engines);
    health_add(hl, "guide_model", h->guide_problem[0] ? 1 : 0, h->guide_problem[0] ? h->guide_problem : NULL);
    health_add(hl, "models_scan", problem ? 1 : 0, problem);
    problem = pulls_problem(h->pulls);
    health_add(hl, "catalogue", problem ? 1 : 0, problem);
    if (access(h->program, X_OK) != 0) {
        (void)snprintf(detail, sizeof detail, "the engine's program is missing: %.500s", h->program);
        health_add(hl, "engine_program", 1, detail);
    } else {
        health_add(hl, "engine_program", 0, NULL);
    }
    (void)snprintf(detail, sizeof detail, "%zu engines have failed; GET /hermes/engines says why", failed);
    health_add(hl, "engines", failed > 0 ? 1 : 0, failed > 0 ? detail : NULL);
    if (externals_count(h->externals) > 0) {
        size_t down = externals_down(h->externals, HERMES_EXTERNAL_KIND_COMMAND, detail, sizeof detail);
        health_add(hl, "external_engines", down > 0 ? 1 : 0, down > 0 ? detail : NULL);
        /* Who keeps an address is not us: that it is down is told, and no fault of this module. */
        down = externals_down(h->externals, HERMES_EXTERNAL_KIND_ADDRESS, detail, sizeof detail);
        health_add(hl, "engine_addresses", 0, down > 0 ? detail : NULL);
    }
}

static size_t hermes_listen(const struct config *config, struct server_listener *out, size_t max)
{
    if (max < 1)
        return 0;
    out[0] = (struct server_listener){.host = config->values->hermes->host,
                                      .port = (int)config->values->hermes->port};
    return 1;
}

const struct module_spec hermes_spec = {
    .contract = &hermes_module,
    .handlers = hermes_handlers,
    .listen = hermes_listen,
    .start = hermes_start,
    .stopping = hermes_stopping,
    .stop = hermes_stop,
    .free = hermes_free,
    .health = hermes_health,
    .reload = hermes_reload,
};
