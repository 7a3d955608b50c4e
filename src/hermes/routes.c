/* The handlers: each reads its request, asks the registry or the engines, and answers. */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/proc.h"
#include "hermes/acquire.h"
#include "hermes/external/routes.h"
#include "hermes/hermes_internal.h"
#include "hermes/pull/pull_routes.h"
#include "hermes/registry.h"
#include "hermes/tools/api.h"
#include "hermes/warm/warm.h"

#define ANSWER_MARGIN_MS                                                                                     \
    50 /* taken off a request's deadline so that the refusal still reaches the caller                        \
        */

static void fail_store(struct request *r, const char *code, const struct error *err)
{
    if (err->code == VX11_ENOT_FOUND)
        request_fail(r, 404, code, "name", "%s", err->text);
    else
        request_fail_error(r, err);
}

static void fail_memory(struct request *r)
{
    request_fail(r, 500, "out_of_memory", NULL, "out of memory");
}

/* ---- models ---- */

static void models_list(struct request *r, void *module)
{
    struct hermes *h = module;
    struct hermes_model_list reply = {0};
    struct registry_model *rows;
    struct error err = {0};
    size_t n;
    int rc = registry_version(h->store, &reply.version, &err);
    if (rc == 0)
        rc = registry_list(h->store, request_arena(r), &rows, &n, &err);
    if (rc != 0) {
        request_fail_error(r, &err);
        return;
    }
    reply.models = arena_array(request_arena(r), n + 1, sizeof *reply.models);
    if (!reply.models) {
        fail_memory(r);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        reply.models[i] = rows[i].api;
        reply.models[i].engine = engines_get(h->engines, rows[i].api.name, request_arena(r));
    }
    reply.models_count = n;
    request_reply(r, 200, &hermes_model_list_message, &reply);
}

void hermes_reply_model(struct hermes *h, struct request *r, int status, const char *name)
{
    struct registry_model row;
    struct error err = {0};
    if (registry_get(h->store, name, request_arena(r), &row, &err) != 0) {
        fail_store(r, "model_not_found", &err);
        return;
    }
    row.api.engine = engines_get(h->engines, name, request_arena(r));
    request_reply(r, status, &hermes_model_message, &row.api);
}

static void models_get(struct request *r, void *module)
{
    const struct hermes_model_name *p = request_params(r);
    hermes_reply_model(module, r, 200, p->name);
}

/* Adding reads the file's header, which may lie on a slow disk: in the pool. */
struct adding {
    uv_work_t work;
    struct hermes *hermes;
    struct request *request; /* NULL: the caller has gone */
    struct arena *arena;
    const char *path, *name;
    struct model_facts facts;
    struct error error;
};

static void adding_free(struct adding *a)
{
    arena_destroy(a->arena);
    free(a);
}

/* One spelling of the folder, as the scans use, so that a file cannot be registered twice. The file's own
 * name stays: it may be a link. */
static const char *one_spelling(const char *path, struct arena *a)
{
    char folder[PATH_MAX], real[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = (size_t)(slash - path);
    if (len >= sizeof folder)
        return path;
    memcpy(folder, len ? path : "/", len ? len : 1);
    folder[len ? len : 1] = '\0';
    if (!realpath(folder, real))
        return path; /* the reading that follows says what is wrong */
    return arena_printf(a, "%s/%s", strcmp(real, "/") == 0 ? "" : real, slash + 1);
}

static void adding_read(uv_work_t *work)
{
    struct adding *a = work->data;
    a->path = one_spelling(a->path, a->arena);
    if (!a->path) {
        (void)error_set(&a->error, VX11_ENOMEM, "out of memory");
        return;
    }
    if (model_facts_read(a->path, a->arena, &a->facts) != 0)
        (void)error_set(&a->error, VX11_ENOMEM, "out of memory");
}

static void adding_register(struct adding *a)
{
    struct request *r = a->request;
    struct hermes *h = a->hermes;
    struct error err = {0};
    const char *taken = NULL, *name = a->name ? a->name : model_name_from_path(a->path, a->arena);
    if (a->facts.status != HERMES_MODEL_STATUS_AVAILABLE) {
        request_fail(r, 422, "invalid_model", "/path", "%s cannot be used: %s", a->path, a->facts.reason);
        return;
    }
    int rc = name ? registry_add(h->store, HERMES_MODEL_SOURCE_ADDED, name, a->name != NULL, &a->facts,
                                 clock_wall_ms(), a->arena, &taken, &err)
                  : error_set(&err, VX11_ENOMEM, "out of memory");
    if (rc == 0)
        rc = registry_remember(h->store, a->path, &err);
    if (rc == VX11_EEXISTS) {
        request_fail(r, 409, "model_exists", a->name ? "/name" : "/path", "%s", err.text);
    } else if (rc != 0) {
        request_fail_error(r, &err);
    } else {
        hasher_kick(h->hasher);
        hermes_reply_model(h, r, 201, taken);
    }
}

/* Without a request Hermes itself may be gone: the drain ends every request before the stop. */
static void adding_done(uv_work_t *work, int status)
{
    struct adding *a = work->data;
    if (status != 0 && a->error.code == 0)
        (void)error_set(&a->error, VX11_ECANCELLED, "stopped");
    if (a->request && a->error.code != 0)
        request_fail_error(a->request, &a->error);
    else if (a->request)
        adding_register(a);
    adding_free(a);
}

static void adding_cancelled(struct request *r, void *ctx, int reason)
{
    struct adding *a = ctx;
    a->request = NULL;
    request_fail(r, reason == VX11_ETIMEOUT ? 504 : 503, "cancelled", NULL, "the file was not read in time");
}

void hermes_models_add(struct hermes *h, struct request *r, const char *path, const char *name)
{
    struct adding *a = calloc(1, sizeof *a);
    if (!a) {
        fail_memory(r);
        return;
    }
    a->arena = arena_create(0);
    a->path = arena_strdup(a->arena, path);
    a->name = arena_strdup(a->arena, name);
    a->hermes = h;
    a->request = r;
    a->work.data = a;
    if (!a->path || (name && !a->name) ||
        uv_queue_work(request_loop(r), &a->work, adding_read, adding_done) != 0) {
        adding_free(a);
        fail_memory(r);
        return;
    }
    request_on_cancel(r, adding_cancelled, a);
}

static void models_add(struct request *r, void *module)
{
    const struct hermes_add_model *body = request_body(r);
    if (body->path[0] == '/')
        hermes_models_add(module, r, body->path, body->name);
    else
        request_fail(r, 422, "invalid_path", "/path", "the path must be absolute");
}

/* ---- unloading, alone or with the model ---- */

struct unloading {
    struct hermes *hermes;
    struct request *request;
    struct engine_stop_wait *wait;
};

static void unloaded(void *ctx)
{
    struct unloading *u = ctx;
    request_reply_empty(u->request, 204);
    free(u);
}

static void unloading_cancelled(struct request *r, void *ctx, int reason)
{
    struct unloading *u = ctx;
    engine_stop_wait_cancel(u->wait);
    free(u);
    request_fail(r, reason == VX11_ETIMEOUT ? 504 : 503, "engine_stopping", NULL,
                 "the engine has not ended yet");
}

static void unload(struct hermes *h, struct request *r, const char *name, const char *reason)
{
    struct unloading *u = calloc(1, sizeof *u);
    if (!u) {
        fail_memory(r);
        return;
    }
    *u = (struct unloading){.hermes = h, .request = r};
    int rc = engines_stop(h->engines, name, reason, unloaded, u, &u->wait);
    if (rc == 0)
        unloaded(u);
    else if (rc > 0)
        request_on_cancel(r, unloading_cancelled, u);
    else {
        free(u);
        fail_memory(r);
    }
}

static void models_remove(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_model_remove_params *p = request_params(r);
    struct registry_model row;
    struct error err = {0};
    if (registry_get(h->store, p->name, request_arena(r), &row, &err) != 0) {
        fail_store(r, "model_not_found", &err);
        return;
    }
    if (row.api.source == HERMES_MODEL_SOURCE_BUILTIN) {
        request_fail(r, 409, "model_builtin", "name", "%s is built in and cannot be removed", p->name);
        return;
    }
    if (row.api.source == HERMES_MODEL_SOURCE_ENGINE) {
        request_fail(r, 409, "model_of_engine", "name", "%s is brought by %s of hermes.engines", p->name,
                     row.api.path);
        return;
    }
    if (p->delete_file && pulls_delete_files(h->pulls, &row, &err) != 0) {
        if (err.code == VX11_EPERMISSION)
            request_fail(r, 409, "not_downloaded", "delete_file", "%s", err.text);
        else
            request_fail_error(r, &err);
        return;
    }
    if (registry_forget(h->store, &row, clock_wall_ms(), &err) != 0) {
        fail_store(r, "model_not_found", &err);
        return;
    }
    log_info("models", "a model was removed", LOG_S("model", p->name),
             LOG_S("by", request_principal(r)->name));
    unload(h, r, p->name, "the model was removed");
}

static void engines_stop_one(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_model_name *p = request_params(r);
    struct registry_model row;
    struct error err = {0};
    if (registry_get(h->store, p->name, request_arena(r), &row, &err) != 0 &&
        !engines_get(h->engines, p->name, request_arena(r))) {
        fail_store(r, "model_not_found", &err);
        return;
    }
    unload(h, r, p->name, "a person or program asked for it");
}

/* ---- scanning ---- */

struct scanning {
    struct request *request;
    struct scan_wait *wait;
};

static void scanned(void *ctx, const struct hermes_scan_reply *reply, const struct error *err)
{
    struct scanning *s = ctx;
    if (reply)
        request_reply(s->request, 200, &hermes_scan_reply_message, reply);
    else
        request_fail_error(s->request, err);
    free(s);
}

static void scanning_cancelled(struct request *r, void *ctx, int reason)
{
    struct scanning *s = ctx;
    scan_wait_drop(s->wait);
    free(s);
    request_fail(r, reason == VX11_ETIMEOUT ? 504 : 503, "scan_running", NULL, "the scan goes on");
}

static void scan(struct request *r, void *module)
{
    struct hermes *h = module;
    struct error err = {0};
    struct scanning *s = calloc(1, sizeof *s);
    if (!s) {
        fail_memory(r);
        return;
    }
    s->request = r;
    if (scanner_run(h->scanner, scanned, s, &s->wait, &err) != 0) {
        free(s);
        request_fail_error(r, &err);
        return;
    }
    request_on_cancel(r, scanning_cancelled, s);
}

/* ---- engines ---- */

static void engines_list_all(struct request *r, void *module)
{
    struct hermes *h = module;
    struct hermes_engine_list reply = {0};
    if (engines_list(h->engines, request_arena(r), &reply.engines, &reply.engines_count) != 0)
        fail_memory(r);
    else
        request_reply(r, 200, &hermes_engine_list_message, &reply);
}

struct acquiring {
    struct request *request;
    struct acquire *acquire;
};

static void acquired(void *ctx, const struct hermes_engine *ready, const struct engine_refusal *why)
{
    struct acquiring *a = ctx;
    struct request *r = a->request;
    if (ready) {
        request_reply(r, 200, &hermes_engine_message, ready);
    } else {
        if (why->retry_after_ms >= 0)
            request_retry_after(r, why->retry_after_ms);
        request_fail(r, why->status, why->code, acquire_blames_model(why) ? "/model" : NULL, "%s", why->text);
    }
    free(a);
}

static void acquiring_cancelled(struct request *r, void *ctx, int reason)
{
    struct acquiring *a = ctx;
    acquire_cancel(a->acquire);
    free(a);
    request_fail(r, reason == VX11_ETIMEOUT ? 504 : 503,
                 reason == VX11_ETIMEOUT ? "engine_not_ready" : "stopping", NULL,
                 "the wait for the engine was broken off");
}

void hermes_engine_model(struct hermes *h, const struct registry_model *row, struct engine_model *out)
{
    const struct hermes_model *m = &row->api;
    struct external *x = externals_of_model(h->externals, m->name);
    *out = (struct engine_model){
        .id = m->id,
        .name = m->name,
        .path = m->path,
        .sha256 = m->sha256,
        .size_bytes = m->has_size_bytes ? m->size_bytes : 0,
        .kv_bytes_per_token = row->kv_bytes_per_token,
        .context_length = m->has_context_length ? m->context_length : -1,
        .vocabulary = m->has_vocabulary ? m->vocabulary : -1,
        .embedding_length = m->has_embedding_length ? m->embedding_length : -1,
        .external = x && x->kind == HERMES_EXTERNAL_KIND_COMMAND ? x : NULL,
        .usage_count = m->usage_count,
        .pinned = m->pinned,
    };
}

static void engines_acquire_one(struct request *r, void *module)
{
    const struct hermes_acquire_request *body = request_body(r);
    struct acquiring *a = calloc(1, sizeof *a);
    struct acquire *pending = NULL;
    struct error err = {0};
    if (!a) {
        fail_memory(r);
        return;
    }
    a->request = r;
    int64_t left = request_deadline_ms(r) == INT64_MAX
                       ? INT64_MAX
                       : request_deadline_ms(r) - clock_mono_ms() - ANSWER_MARGIN_MS;
    const struct engine_ask ask = {.wait_ms = body->wait_ms < left ? body->wait_ms : left,
                                   .has_keep_alive = body->has_keep_alive_ms,
                                   .keep_alive_ms = body->keep_alive_ms};
    if (hermes_acquire(module, body->model, &ask, acquired, a, &pending, &err) != 0) {
        free(a);
        request_fail_error(r, &err);
        return;
    }
    if (!pending)
        return; /* answered; a and r are gone */
    a->acquire = pending;
    request_on_cancel(r, acquiring_cancelled, a);
}

/* ---- the machine ---- */

static void resources(struct request *r, void *module)
{
    struct hermes *h = module;
    struct hermes_system_resources reply = {.physical_cores = proc_physical_cores()};
    struct proc_memory memory;
    struct statvfs fs;
    struct error err = {0};
    char models[PATH_MAX];
    if (registry_count(h->store, &reply.models, NULL, &err) != 0) {
        request_fail_error(r, &err);
        return;
    }
    if (proc_memory(&memory) == 0) {
        reply.has_memory_total_bytes = reply.has_memory_available_bytes = true;
        reply.memory_total_bytes = (int64_t)memory.total_bytes;
        reply.memory_available_bytes = (int64_t)memory.available_bytes;
    }
    if (fs_path(models, sizeof models, module_home(h->module), "models") == 0 && statvfs(models, &fs) == 0) {
        reply.has_disk_free_bytes = true;
        reply.disk_free_bytes = (int64_t)(fs.f_bavail * fs.f_frsize);
    }
    reply.engines = (int64_t)engines_running(h->engines);
    pool_resources(h, &reply);
    request_reply(r, 200, &hermes_system_resources_message, &reply);
}

const request_handler hermes_handlers[HERMES_ROUTE_COUNT] = {
    [HERMES_ROUTE_MODELS_LIST] = models_list,
    [HERMES_ROUTE_MODELS_GET] = models_get,
    [HERMES_ROUTE_MODELS_ADD] = models_add,
    [HERMES_ROUTE_MODELS_REMOVE] = models_remove,
    [HERMES_ROUTE_MODELS_PIN] = pool_pin,
    [HERMES_ROUTE_MODELS_UNPIN] = pool_unpin,
    [HERMES_ROUTE_PLAN] = pool_plan,
    [HERMES_ROUTE_SCAN] = scan,
    [HERMES_ROUTE_ENGINES_LIST] = engines_list_all,
    [HERMES_ROUTE_ENGINES_ACQUIRE] = engines_acquire_one,
    [HERMES_ROUTE_ENGINES_STOP] = engines_stop_one,
    [HERMES_ROUTE_RESOURCES] = resources,
    [HERMES_ROUTE_REGISTRY] = registry_route,
    [HERMES_ROUTE_EXEC] = exec_route,
    [HERMES_ROUTE_JOBS_LIST] = jobs_route_list,
    [HERMES_ROUTE_JOBS_GET] = jobs_route_get,
    [HERMES_ROUTE_JOB_GET] = jobs_route_get,
    [HERMES_ROUTE_JOBS_EVENTS] = jobs_route_events,
    [HERMES_ROUTE_JOBS_CANCEL] = jobs_route_cancel,
    [HERMES_ROUTE_EXECUTE] = execute_route,
    [HERMES_ROUTE_DISCOVER] = discover_route,
    [HERMES_ROUTE_AVAILABLE] = available_route,
    [HERMES_ROUTE_STATUS] = status_route,
    [HERMES_ROUTE_LIST] = models_list,
    [HERMES_ROUTE_SYNC] = scan,
    [HERMES_ROUTE_REINDEX] = reindex_route,
    [HERMES_ROUTE_REGISTER_MODEL] = register_route,
    [HERMES_ROUTE_REGISTER_LOCAL_MODEL] = register_route,
    [HERMES_ROUTE_SHUB_HEALTH] = shub_route,
    [HERMES_ROUTE_TOOLS_LIST] = tools_route_list,
    [HERMES_ROUTE_TOOLS_GET] = tools_route_get,
    [HERMES_ROUTE_TOOLS_DETECT] = tools_route_detect,
    [HERMES_ROUTE_TOOLS_ENABLE] = tools_route_enable,
    [HERMES_ROUTE_TOOLS_DISABLE] = tools_route_disable,
    [HERMES_ROUTE_TOOLS_TEST] = tools_route_test,
    [HERMES_ROUTE_TOOLS_CHAT] = tools_route_chat,
    [HERMES_ROUTE_PROVIDERS_LIST] = providers_route_list,
    [HERMES_ROUTE_PROVIDERS_ADD] = providers_route_add,
    [HERMES_ROUTE_PROVIDERS_SET] = providers_route_set,
    [HERMES_ROUTE_PROVIDERS_REMOVE] = providers_route_remove,
    [HERMES_ROUTE_MODELS_PULL] = route_models_pull,
    [HERMES_ROUTE_PULLS_LIST] = route_pulls_list,
    [HERMES_ROUTE_PULLS_GET] = route_pulls_get,
    [HERMES_ROUTE_PULLS_EVENTS] = route_pulls_events,
    [HERMES_ROUTE_PULLS_CANCEL] = route_pulls_cancel,
    [HERMES_ROUTE_CATALOG] = route_catalog,
    [HERMES_ROUTE_CATALOG_SUMMARY] = route_catalog_summary,
    [HERMES_ROUTE_SEARCH_MODELS] = route_search_models,
    [HERMES_ROUTE_MODELS_WARM] = warm_model,
    [HERMES_ROUTE_WARMUP_STATUS] = warm_status,
    [HERMES_ROUTE_WARMUP] = warm_now,
    [HERMES_ROUTE_GET_ENGINE] = engine_get,
    [HERMES_ROUTE_GET_ENGINE_POST] = engine_get_post,
    [HERMES_ROUTE_EXTERNAL_LIST] = external_list,
};
