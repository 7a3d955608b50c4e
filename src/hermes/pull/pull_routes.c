/* The handlers of the pulls and the catalogue. */
#include "hermes/pull/pull_routes.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "hermes/hermes_internal.h"
#include "hermes/pull/pulls.h"
#include "hermes/registry.h"

#define MIB 1048576.0

static void fail_memory(struct request *r)
{
    request_fail(r, 500, "out_of_memory", NULL, "out of memory");
}

static void fail_code(struct request *r, const char *code, const char *param, const struct error *err)
{
    int status = err->code == VX11_ENOT_FOUND                                 ? 404
                 : err->code == VX11_EINVALID || err->code == VX11_ETOO_LARGE ? 422
                 : err->code == VX11_EEXISTS || err->code == VX11_EBUSY       ? 409
                 : err->code == VX11_EPERMISSION                              ? 403
                                                                              : 0;
    if (status == 0)
        request_fail_error(r, err);
    else
        request_fail(r, status, code, param, "%s", err->text);
}

/* ---- pulls ---- */

static void reply_pull(struct hermes *h, struct request *r, int status, const char *id)
{
    struct hermes_pull pull;
    struct error err = {0};
    if (pulls_get(h->pulls, id, request_arena(r), &pull, &err) != 0)
        fail_code(r, "pull_not_found", "id", &err);
    else
        request_reply(r, status, &hermes_pull_message, &pull);
}

void route_models_pull(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_pull_request *body = request_body(r);
    struct error err = {0};
    const char *code = NULL, *source = body->source, *key = request_header(r, "Idempotency-Key");
    char id[ULID_LEN + 1];
    if (!source && body->model_id) { /* OWNER/REPO, as other programs write it */
        bool plain = strchr(body->model_id, '/') && !strstr(body->model_id, "://") &&
                     !str_starts(body->model_id, "hf:");
        source = plain ? arena_printf(request_arena(r), "hf:%s", body->model_id) : body->model_id;
    }
    if (!source) {
        request_fail(r, 422, "invalid_source", "/source", "source is missing");
        return;
    }
    if (key && (strlen(key) == 0 || strlen(key) > 255)) {
        request_fail(r, 422, "invalid_idempotency_key", NULL, "an Idempotency-Key has 1 to 255 characters");
        return;
    }
    const struct pull_wish wish = {
        .source = source,
        .name = body->name,
        .revision = body->revision,
        .rate_bytes = body->rate_bytes,
        .key = key,
        .asked_by = request_principal(r)->name,
    };
    if (pulls_ask(h->pulls, &wish, id, &code, &err) != 0)
        fail_code(r, code, "/source", &err);
    else
        reply_pull(h, r, 202, id);
}

void route_pulls_list(struct request *r, void *module)
{
    struct hermes *h = module;
    struct hermes_pull_list reply = {0};
    struct error err = {0};
    if (pulls_list(h->pulls, request_arena(r), &reply.pulls, &reply.pulls_count, &err) != 0)
        request_fail_error(r, &err);
    else
        request_reply(r, 200, &hermes_pull_list_message, &reply);
}

void route_pulls_get(struct request *r, void *module)
{
    const struct hermes_pull_params *p = request_params(r);
    reply_pull(module, r, 200, p->id);
}

void route_pulls_events(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_pull_params *p = request_params(r);
    pulls_watch(h->pulls, p->id, r);
}

void route_pulls_cancel(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_pull_cancel_params *p = request_params(r);
    struct error err = {0};
    if (pulls_cancel(h->pulls, p->id, p->discard, &err) != 0)
        fail_code(r, err.code == VX11_EBUSY ? "pull_ended" : "pull_not_found", "id", &err);
    else
        reply_pull(h, r, 200, p->id);
}

/* ---- the catalogue ---- */

static void entry_fill(struct hermes *h, struct arena *a, const struct hermes_catalogue_model *m,
                       int64_t memory, struct hermes_catalog_entry *out)
{
    struct registry_model row;
    struct error err = {0};
    *out = (struct hermes_catalog_entry){
        .name = m->name,
        .title = m->title,
        .repository = m->repository,
        .file = m->file,
        .revision = m->revision,
        .has_size_bytes = m->has_size_bytes,
        .size_bytes = m->size_bytes,
        .sha256 = m->sha256,
        .licence = m->licence,
        .has_context = m->has_context,
        .context = m->context,
        .parameters = m->parameters,
        .tags = m->tags,
        .tags_count = m->tags_count,
        .capabilities = m->capabilities,
        .capabilities_count = m->capabilities_count,
        .has_ram_bytes = m->has_size_bytes,
        .ram_bytes = m->has_size_bytes ? catalogue_ram_bytes(m->size_bytes) : 0,
        .state = HERMES_CATALOG_STATE_ABSENT,
    };
    out->has_fits = out->has_ram_bytes && memory > 0;
    out->fits = out->has_fits && out->ram_bytes <= memory;
    const char *path = pulls_target(h->pulls, m, a);
    int64_t partial = pulls_partial(h->pulls, m);
    if (path && registry_by_path(h->store, path, a, &row, &err) == 0 &&
        row.api.status == HERMES_MODEL_STATUS_AVAILABLE) {
        out->state = HERMES_CATALOG_STATE_INSTALLED;
        out->model = row.api.name;
    } else if (partial >= 0) {
        out->state = HERMES_CATALOG_STATE_PARTIAL;
        out->has_partial_bytes = true;
        out->partial_bytes = partial;
    }
}

static int64_t memory_total(void)
{
    struct proc_memory memory;
    return proc_memory(&memory) == 0 ? (int64_t)memory.total_bytes : 0;
}

void route_catalog(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct catalogue *c = pulls_catalogue(h->pulls);
    size_t n = 0;
    const struct hermes_catalogue_model *models = c ? catalogue_models(c, &n) : NULL;
    struct hermes_catalog reply = {.origin = c ? catalogue_origin(c) : "none", .timestamp = clock_wall_ms()};
    int64_t memory = memory_total();
    reply.has_memory_bytes = memory > 0;
    reply.memory_bytes = memory;
    reply.models = arena_array(request_arena(r), n + 1, sizeof *reply.models);
    if (!reply.models) {
        fail_memory(r);
        return;
    }
    for (size_t i = 0; i < n; i++)
        entry_fill(h, request_arena(r), &models[i], memory, &reply.models[i]);
    reply.models_count = n;
    reply.total_models = (int64_t)n;
    request_reply(r, 200, &hermes_catalog_message, &reply);
}

static int summary_local(struct hermes *h, struct request *r, int64_t max_mb,
                         struct hermes_catalog_summary *out, struct error *err)
{
    struct registry_model *rows;
    size_t n;
    int rc = registry_list(h->store, request_arena(r), &rows, &n, err);
    if (rc != 0)
        return rc;
    out->local = arena_array(request_arena(r), n + 1, sizeof *out->local);
    if (!out->local)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        const struct hermes_model *m = &rows[i].api;
        double mb = m->has_size_bytes ? (double)m->size_bytes / MIB : 0;
        if (mb > (double)max_mb)
            continue;
        out->local[out->local_count++] = (struct hermes_catalog_summary_local){
            .name = m->name,
            .has_size_mb = m->has_size_bytes,
            .size_mb = mb,
            .category = m->capabilities_count > 0 ? openai_capability_names[m->capabilities[0]] : "unknown",
            .status = m->status,
            .usage = m->usage_count,
        };
    }
    return 0;
}

static int summary_catalogue(struct hermes *h, struct request *r, int64_t max_mb,
                             struct hermes_catalog_summary *out, struct error *err)
{
    const struct catalogue *c = pulls_catalogue(h->pulls);
    size_t n = 0;
    const struct hermes_catalogue_model *models = c ? catalogue_models(c, &n) : NULL;
    int64_t memory = memory_total();
    out->catalog = arena_array(request_arena(r), n + 1, sizeof *out->catalog);
    if (!out->catalog)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        struct hermes_catalog_entry e;
        double mb = models[i].has_size_bytes ? (double)models[i].size_bytes / MIB : 0;
        if (mb > (double)max_mb)
            continue;
        entry_fill(h, request_arena(r), &models[i], memory, &e);
        out->catalog[out->catalog_count++] = (struct hermes_catalog_summary_entry){
            .name = e.name,
            .has_size_mb = e.has_size_bytes,
            .size_mb = mb,
            .state = e.state,
            .has_fits = e.has_fits,
            .fits = e.fits,
        };
    }
    return 0;
}

void route_catalog_summary(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_catalog_summary_params *p = request_params(r);
    struct error err = {0};
    struct hermes_catalog_limits limits = {.max_mb = p->max_mb};
    struct hermes_catalog_summary reply = {.limits = &limits, .timestamp = clock_wall_ms()};
    int rc = summary_local(h, r, p->max_mb, &reply, &err);
    if (rc == 0)
        rc = summary_catalogue(h, r, p->max_mb, &reply, &err);
    if (rc != 0)
        request_fail_error(r, &err);
    else
        request_reply(r, 200, &hermes_catalog_summary_message, &reply);
}

/* ---- searching ---- */

struct searching {
    struct request *request;
    struct hub_ask *ask;
};

static void searched(void *ctx, const struct hermes_search_reply *reply, const struct hub_problem *problem)
{
    struct searching *s = ctx;
    if (reply) {
        request_reply(s->request, 200, &hermes_search_reply_message, reply);
    } else {
        if (problem->retry_after_ms >= 0)
            request_retry_after(s->request, problem->retry_after_ms);
        request_fail(s->request, problem->again ? 503 : 502, problem->code, NULL, "%s", problem->error.text);
    }
    free(s);
}

static void searching_cancelled(struct request *r, void *ctx, int reason)
{
    struct searching *s = ctx;
    hub_ask_cancel(s->ask);
    free(s);
    request_fail(r, reason == VX11_ETIMEOUT ? 504 : 503, "cancelled", NULL, "the hub did not answer in time");
}

void route_search_models(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_search_request *body = request_body(r);
    struct error err = {0};
    struct searching *s = calloc(1, sizeof *s);
    if (!s) {
        fail_memory(r);
        return;
    }
    s->request = r;
    int rc = hub_search(pulls_hub(h->pulls), body->query, body->limit, searched, s, &s->ask, &err);
    if (rc != 0) {
        free(s);
        fail_code(r, "search_not_allowed", NULL, &err);
        return;
    }
    request_on_cancel(r, searching_cancelled, s);
}
