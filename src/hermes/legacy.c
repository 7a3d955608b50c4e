/* Routes that the predecessor's callers know, each a thin view of what there is. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/exec/jobs.h"
#include "hermes/hermes_internal.h"
#include "hermes/providers.h"
#include "hermes/registry.h"
#include "hermes/tools/api.h"
#include "hermes/tools/tools.h"

#define SHUB_MS 3000

static void fail_memory(struct request *r)
{
    request_fail(r, 500, "out_of_memory", NULL, "out of memory");
}

/* ---- available ---- */

void available_route(struct request *r, void *module)
{
    struct hermes *h = module;
    struct arena *a = request_arena(r);
    struct hermes_available_reply reply = {.status = HERMES_AVAILABLE_REPLY_STATUS_OK};
    struct registry_model *rows;
    struct hermes_tool *tools;
    struct contract_error bad;
    struct error err = {0};
    struct buf json = BUF_INIT;
    size_t n, count;
    if (registry_list(h->store, a, &rows, &n, &err) != 0) {
        request_fail_error(r, &err);
        return;
    }
    reply.models = arena_array(a, n + 1, sizeof *reply.models);
    int rc = reply.models ? tools_list(h->tools, false, a, &tools, &count) : VX11_ENOMEM;
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (rows[i].api.status == HERMES_MODEL_STATUS_AVAILABLE && rows[i].api.enabled)
            reply.models[reply.models_count++] = rows[i].api.name;
    buf_putc(&json, '{');
    for (size_t i = 0; rc == 0 && i < count; i++) {
        buf_puts(&json, i > 0 ? "," : "");
        buf_put_json_string(&json, tools[i].name, strlen(tools[i].name));
        buf_puts(&json, tools[i].path ? ":true" : ":false");
    }
    buf_putc(&json, '}');
    if (rc != 0 || json.failed ||
        contract_json_parse(a, json.data, json.len, NULL, &reply.binaries, &bad) != 0)
        fail_memory(r);
    else
        request_reply(r, 200, &hermes_available_reply_message, &reply);
    buf_free(&json);
}

/* ---- status ---- */

void status_route(struct request *r, void *module)
{
    struct hermes *h = module;
    struct arena *a = request_arena(r);
    struct config_provider *providers;
    struct hermes_tool *tools;
    struct error err = {0};
    size_t count, n = 0;
    const char *problem = child_sandbox_problem();
    const bool off = module_config(h->module)->values->hermes->tool_sandbox == CONFIG_HERMES_TOOL_SANDBOX_OFF;
    struct hermes_status_reply reply = {
        .status = HERMES_STATUS_REPLY_STATUS_OK,
        .role = "registry",
        .engines = (int64_t)engines_running(h->engines),
        .jobs_running = (int64_t)jobs_running(h->jobs),
        .models_path = arena_printf(a, "%s/models", module_home(h->module)),
        .sandbox = off || problem ? HERMES_SANDBOX_LIMITS : HERMES_SANDBOX_BUBBLEWRAP,
        .sandbox_reason = off ? "hermes.tool_sandbox is off" : problem,
    };
    int rc = registry_count(h->store, &reply.models_available, &reply.models, &err);
    if (rc == 0)
        rc = registry_version(h->store, &reply.version, &err);
    if (rc == 0)
        rc = providers_list(h->store, a, &providers, &n, &err);
    if (rc == 0 && tools_list(h->tools, true, a, &tools, &count) != 0)
        rc = error_set(&err, VX11_ENOMEM, "out of memory");
    if (rc != 0) {
        request_fail_error(r, &err);
        return;
    }
    reply.version += h->engine_changes;
    reply.providers = (int64_t)n;
    for (size_t i = 0; i < count; i++)
        reply.tools_usable += tools[i].usable;
    request_reply(r, 200, &hermes_status_reply_message, &reply);
}

/* ---- reindex ---- */

struct reindexing {
    uv_work_t work;
    struct hermes *hermes;
    struct request *request; /* NULL: the caller has gone */
    struct arena *arena;
    struct registry_model *rows;
    struct model_facts *facts;
    size_t count;
    bool failed;
};

static void reindex_work(uv_work_t *work)
{
    struct reindexing *x = work->data;
    for (size_t i = 0; i < x->count && !x->failed; i++)
        if (x->rows[i].api.path[0] == '/' &&
            model_facts_read(x->rows[i].api.path, x->arena, &x->facts[i]) != 0)
            x->failed = true;
}

/* A file that has gone is marked; none is ever deleted. */
static int reindex_store(void *ctx, struct store *s, struct error *err)
{
    struct reindexing *x = ctx;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < x->count; i++) {
        const struct model_facts *f = &x->facts[i];
        if (x->rows[i].api.path[0] != '/')
            continue;
        rc = f->status == HERMES_MODEL_STATUS_MISSING
                 ? registry_set_status(s, x->rows[i].api.id, f->status, f->reason, clock_wall_ms(), err)
                 : registry_update(s, &x->rows[i], x->rows[i].api.source, f, clock_wall_ms(), err);
        if (rc == VX11_ENOT_FOUND)
            rc = 0; /* removed meanwhile */
    }
    return rc;
}

static void reindex_reply(struct reindexing *x)
{
    struct error err = {0};
    struct hermes_reindex_reply reply = {.status = HERMES_REINDEX_REPLY_STATUS_OK};
    int rc = store_transaction(x->hermes->store, reindex_store, x, &err);
    if (rc != 0) {
        request_fail_error(x->request, &err);
        return;
    }
    hasher_kick(x->hermes->hasher);
    reply.failed = arena_array(x->arena, x->count + 1, sizeof *reply.failed);
    for (size_t i = 0; reply.failed && i < x->count; i++) {
        if (x->rows[i].api.path[0] != '/')
            continue;
        if (x->facts[i].status == HERMES_MODEL_STATUS_AVAILABLE)
            reply.reindexed++;
        else
            reply.failed[reply.failed_count++] =
                (struct hermes_refusal){x->rows[i].api.path, x->facts[i].reason};
    }
    if (reply.failed)
        request_reply(x->request, 200, &hermes_reindex_reply_message, &reply);
    else
        fail_memory(x->request);
}

static void reindex_done(uv_work_t *work, int status)
{
    struct reindexing *x = work->data;
    if (x->request && (status != 0 || x->failed))
        fail_memory(x->request);
    else if (x->request)
        reindex_reply(x);
    arena_destroy(x->arena);
    free(x);
}

static void reindex_cancelled(struct request *r, void *ctx, int reason)
{
    struct reindexing *x = ctx;
    x->request = NULL;
    request_fail(r, reason == VX11_ETIMEOUT ? 504 : 503, "cancelled", NULL,
                 "the files were not read in time");
}

void reindex_route(struct request *r, void *module)
{
    struct hermes *h = module;
    struct error err = {0};
    struct reindexing *x = calloc(1, sizeof *x);
    if (!x || !(x->arena = arena_create(0))) {
        free(x);
        fail_memory(r);
        return;
    }
    x->hermes = h;
    x->request = r;
    x->work.data = x;
    int rc = registry_list(h->store, x->arena, &x->rows, &x->count, &err);
    x->facts = rc == 0 ? arena_array(x->arena, x->count + 1, sizeof *x->facts) : NULL;
    if (x->facts)
        memset(x->facts, 0, (x->count + 1) * sizeof *x->facts);
    if (!x->facts || uv_queue_work(request_loop(r), &x->work, reindex_work, reindex_done) != 0) {
        arena_destroy(x->arena);
        free(x);
        if (rc != 0)
            request_fail_error(r, &err);
        else
            fail_memory(r);
        return;
    }
    request_on_cancel(r, reindex_cancelled, x);
}

/* ---- registering ---- */

void register_route(struct request *r, void *module)
{
    const struct hermes_register_local_model *q = request_body(r);
    const char *path = q->path && q->path[0] ? q->path : q->url;
    if (!path || path[0] != '/')
        request_fail(r, 422, "invalid_path", "/path", "the path of the model's file must be absolute");
    else
        hermes_models_add(module, r, path, q->name);
}

/* ---- shub ---- */

struct shub {
    struct request *request; /* NULL: the caller has gone */
};

static void on_shub(void *ctx, const struct common_health_reply *health, double latency_ms,
                    const struct error *err)
{
    struct shub *s = ctx;
    if (s->request && health) {
        const struct hermes_shub_health reply = {.status = health->status, .latency_ms = latency_ms};
        request_reply(s->request, 200, &hermes_shub_health_message, &reply);
    } else if (s->request) {
        request_fail(s->request, 503, "module_not_there", NULL, "the module shub does not answer: %s",
                     err->text);
    }
    free(s);
}

static void shub_cancelled(struct request *r, void *ctx, int reason)
{
    struct shub *s = ctx;
    s->request = NULL;
    request_fail(r, reason == VX11_ETIMEOUT ? 504 : 503, "module_not_there", NULL,
                 "the module shub did not answer in time");
}

void shub_route(struct request *r, void *module)
{
    struct hermes *h = module;
    struct shub *s = calloc(1, sizeof *s);
    if (!s) {
        fail_memory(r);
        return;
    }
    s->request = r;
    if (module_probe(module_client(h->module), module_peer(h->module, "shub"), SHUB_MS, on_shub, s) != 0) {
        free(s);
        fail_memory(r);
        return;
    }
    request_on_cancel(r, shub_cancelled, s);
}
