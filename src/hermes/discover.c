/* POST /hermes/discover: four places are looked at, one after the other.
 *
 *   folders (a walk in the pool) ─> [apply: scan] ─> catalogue ─> tools ─> [allowed: hub] ─> reply
 *
 * A plan writes nothing: the walk reads headers only, and the scan, which writes, is left out. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "hermes/hermes_internal.h"
#include "hermes/registry.h"
#include "hermes/scan_walk.h"
#include "hermes/tools/api.h"
#include "hermes/tools/tools.h"

#define SEARCH_MOST 20

struct discovery {
    struct hermes *hermes;
    struct request *request; /* NULL: the caller has gone */
    const struct hermes_discover_request *body;
    struct arena *arena;
    uv_work_t work;
    struct scan_job *job;
    struct scan_wait *scan;
    struct hub_ask *search;
    bool detecting, walking;
    int64_t began_mono;
    struct hermes_discovery_tier local, catalog, web, cli;
};

static void next_step(struct discovery *d);

/* ---- the end ---- */

static void discovery_free(struct discovery *d)
{
    arena_destroy(d->arena);
    free(d);
}

static void fail(struct discovery *d, const struct error *err)
{
    struct request *r = d->request;
    d->request = NULL;
    request_fail_error(r, err);
    discovery_free(d);
}

static void reply(struct discovery *d)
{
    struct hermes_discovery_tiers tiers = {
        .local = &d->local, .catalog = &d->catalog, .web = &d->web, .cli = &d->cli};
    const bool apply = d->body->apply;
    const struct hermes_discover_reply out = {
        .status = apply ? HERMES_DISCOVER_REPLY_STATUS_OK : HERMES_DISCOVER_REPLY_STATUS_PLAN,
        .apply = apply,
        .db_write = apply ? HERMES_DISCOVER_REPLY_DB_WRITE_DONE : HERMES_DISCOVER_REPLY_DB_WRITE_SKIPPED,
        .tiers = &tiers,
        .duration_ms = clock_mono_ms() - d->began_mono};
    struct request *r = d->request;
    d->request = NULL;
    request_reply(r, 200, &hermes_discover_reply_message, &out);
    discovery_free(d);
}

static struct hermes_discovery_item *room(struct discovery *d, struct hermes_discovery_tier *tier, size_t n)
{
    tier->enabled = true;
    tier->items = arena_array(d->arena, n + 1, sizeof *tier->items);
    return tier->items;
}

static void add(struct hermes_discovery_tier *tier, struct hermes_discovery_item item)
{
    tier->items[tier->items_count++] = item;
    tier->count = (int64_t)tier->items_count;
}

static void fail_memory(struct discovery *d)
{
    struct error err = {0};
    (void)error_set(&err, VX11_ENOMEM, "out of memory");
    fail(d, &err);
}

/* ---- folders ---- */

static bool changed(const struct scan_file *f)
{
    const struct hermes_model *m = &f->known->api;
    return m->status != f->facts.status || !m->has_size_bytes || m->size_bytes != f->facts.size_bytes ||
           f->known->mtime_ns != f->facts.mtime_ns;
}

static int action_of(const struct scan_file *f)
{
    const int status = f->facts.status;
    if (f->known && f->read && status == HERMES_MODEL_STATUS_MISSING)
        return f->known->api.status == HERMES_MODEL_STATUS_MISSING ? HERMES_DISCOVERY_ACTION_NONE
                                                                   : HERMES_DISCOVERY_ACTION_MISSING;
    if (status == HERMES_MODEL_STATUS_INVALID)
        return HERMES_DISCOVERY_ACTION_REFUSE;
    if (!f->known)
        return HERMES_DISCOVERY_ACTION_ADD;
    return f->read && changed(f) ? HERMES_DISCOVERY_ACTION_UPDATE : HERMES_DISCOVERY_ACTION_NONE;
}

static bool take_files(struct discovery *d)
{
    const struct scan_job *job = d->job;
    if (!room(d, &d->local, job->file_count))
        return false;
    for (size_t i = 0; i < job->file_count; i++) {
        const struct scan_file *f = &job->files[i];
        if (!f->known && f->facts.status == HERMES_MODEL_STATUS_MISSING)
            continue; /* gone while we looked */
        const bool has_size = f->facts.size_bytes >= 0 && (f->read || !f->known);
        add(&d->local, (struct hermes_discovery_item){
                           .name = f->known ? f->known->api.name : model_name_from_path(f->path, d->arena),
                           .action = action_of(f),
                           .path = f->path,
                           .has_size_bytes = has_size || (f->known && f->known->api.has_size_bytes),
                           .size_bytes = has_size   ? f->facts.size_bytes
                                         : f->known ? f->known->api.size_bytes
                                                    : 0,
                           .detail = f->read    ? f->facts.reason
                                     : f->known ? f->known->api.reason
                                                : NULL});
    }
    if (job->problem_count > 0)
        d->local.reason = arena_printf(d->arena, "%s: %s", job->problems[0].path, job->problems[0].reason);
    return true;
}

static void walk_work(uv_work_t *work)
{
    struct discovery *d = work->data;
    scan_walk(d->job);
}

static void on_scanned(void *ctx, const struct hermes_scan_reply *scanned, const struct error *err)
{
    struct discovery *d = ctx;
    d->scan = NULL;
    if (scanned)
        next_step(d);
    else
        fail(d, err);
}

static void walk_done(uv_work_t *work, int status)
{
    struct discovery *d = work->data;
    struct error err = {0};
    d->walking = false;
    if (!d->request) {
        discovery_free(d);
        return;
    }
    if (status != 0 || d->job->result != 0) {
        (void)error_set(&err, status != 0 ? VX11_ECANCELLED : d->job->result,
                        "the folders could not be looked through");
        fail(d, &err);
    } else if (!take_files(d)) {
        fail_memory(d);
    } else if (!d->body->apply) {
        next_step(d);
    } else if (scanner_run(d->hermes->scanner, on_scanned, d, &d->scan, &err) != 0) {
        fail(d, &err);
    }
}

/* The same folders as the scans, and the rows that have files. */
static int job_fill(struct discovery *d, struct error *err)
{
    const struct config_hermes *c = module_config(d->hermes->module)->values->hermes;
    struct arena *a = d->arena;
    struct scan_job *job = d->job = arena_zalloc(a, sizeof *job);
    if (!job)
        return error_set(err, VX11_ENOMEM, "out of memory");
    job->arena = a;
    atomic_init(&job->cancel, false);
    job->roots = arena_array(a, c->model_dirs_count + 1, sizeof *job->roots);
    if (!job->roots)
        return error_set(err, VX11_ENOMEM, "out of memory");
    job->roots[job->root_count++] = arena_printf(a, "%s/models", module_home(d->hermes->module));
    for (size_t i = 0; i < c->model_dirs_count; i++)
        job->roots[job->root_count++] = arena_strdup(a, c->model_dirs[i]);
    for (size_t i = 0; i < job->root_count; i++)
        if (!job->roots[i])
            return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = registry_list(d->hermes->store, a, &job->known, &job->known_count, err);
    size_t files = 0;
    for (size_t i = 0; rc == 0 && i < job->known_count; i++)
        if (job->known[i].api.path[0] == '/')
            job->known[files++] = job->known[i];
    job->known_count = files;
    return rc != 0 ? rc
                   : registry_forgotten(d->hermes->store, a, &job->forgotten, &job->forgotten_count, err);
}

/* ---- catalogue ---- */

static bool is_here(struct discovery *d, const struct hermes_catalogue_model *m)
{
    struct registry_model row;
    struct error err = {0};
    const char *target = pulls_target(d->hermes->pulls, m, d->arena);
    return (target && fs_exists(target)) ||
           registry_get(d->hermes->store, m->name, d->arena, &row, &err) == 0;
}

static bool take_catalogue(struct discovery *d)
{
    const struct catalogue *c = pulls_catalogue(d->hermes->pulls);
    size_t n = 0;
    const struct hermes_catalogue_model *models = c ? catalogue_models(c, &n) : NULL;
    if (!room(d, &d->catalog, n))
        return false;
    d->catalog.enabled = c != NULL;
    d->catalog.reason = pulls_problem(d->hermes->pulls);
    for (size_t i = 0; i < n; i++) {
        const struct hermes_catalogue_model *m = &models[i];
        if (is_here(d, m))
            continue;
        add(&d->catalog, (struct hermes_discovery_item){
                             .name = m->name,
                             .action = HERMES_DISCOVERY_ACTION_OFFER,
                             .source = arena_printf(d->arena, "%s:%s", m->repository, m->file),
                             .download_url = arena_printf(
                                 d->arena, "%s/%s", hub_endpoint(pulls_hub(d->hermes->pulls)), m->repository),
                             .has_size_bytes = m->has_size_bytes,
                             .size_bytes = m->size_bytes,
                             .detail = m->licence});
    }
    return true;
}

/* ---- tools ---- */

static bool among(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void on_detected(void *ctx, const struct detected *found, const struct error *err)
{
    struct discovery *d = ctx;
    d->detecting = false;
    if (!found) {
        fail(d, err);
        return;
    }
    if (!room(d, &d->cli, found->count)) {
        fail_memory(d);
        return;
    }
    for (size_t i = 0; i < found->count; i++) {
        const struct hermes_tool *t = &found->tools[i];
        const bool differs = among(t->name, found->changed, found->changed_count);
        if (!t->path && !differs)
            continue; /* not here, and never was */
        add(&d->cli, (struct hermes_discovery_item){.name = arena_strdup(d->arena, t->name),
                                                    .action = !t->path   ? HERMES_DISCOVERY_ACTION_MISSING
                                                              : !differs ? HERMES_DISCOVERY_ACTION_NONE
                                                              : tools_is_bound(d->hermes->tools, t->name) &&
                                                                      !d->body->apply
                                                                  ? HERMES_DISCOVERY_ACTION_UPDATE
                                                                  : HERMES_DISCOVERY_ACTION_ADD,
                                                    .path = arena_strdup(d->arena, t->path),
                                                    .has_size_bytes = t->has_size_bytes,
                                                    .size_bytes = t->size_bytes,
                                                    .detail = arena_strdup(d->arena, t->version)});
    }
    next_step(d);
}

/* ---- hub ---- */

static void on_found(void *ctx, const struct hermes_search_reply *found, const struct hub_problem *problem)
{
    struct discovery *d = ctx;
    d->search = NULL;
    if (!room(d, &d->web, found ? found->models_count : 0)) {
        fail_memory(d);
        return;
    }
    if (!found) /* the other places were looked at all the same */
        d->web.reason = arena_strdup(d->arena, problem->error.text);
    for (size_t i = 0; found && i < found->models_count; i++) {
        const struct hermes_search_model *m = &found->models[i];
        const char *name = arena_strdup(d->arena, m->repository);
        add(&d->web, (struct hermes_discovery_item){
                         .name = name,
                         .action = HERMES_DISCOVERY_ACTION_OFFER,
                         .source = name,
                         .download_url =
                             arena_printf(d->arena, "%s/%s", hub_endpoint(pulls_hub(d->hermes->pulls)), name),
                         .detail = arena_strdup(d->arena, m->licence)});
    }
    reply(d);
}

static void search(struct discovery *d)
{
    struct error err = {0};
    const char *query = d->body->query && d->body->query[0] ? d->body->query : "gguf";
    int rc = hub_search(pulls_hub(d->hermes->pulls), query, SEARCH_MOST, on_found, d, &d->search, &err);
    if (rc == 0)
        return;
    if (!room(d, &d->web, 0)) {
        fail_memory(d);
        return;
    }
    d->web.enabled = false;
    d->web.reason = arena_strdup(d->arena, err.text);
    reply(d);
}

/* ---- in order ---- */

/* After the folders. */
static void next_step(struct discovery *d)
{
    struct error err = {0};
    if (!d->catalog.items) {
        if (!take_catalogue(d)) {
            fail_memory(d);
            return;
        }
        d->detecting = tools_detect(d->hermes->tools, NULL, d->body->apply, on_detected, d, &err) == 0;
        if (!d->detecting)
            fail(d, &err);
        return;
    }
    if (d->body->allow_web) {
        search(d);
        return;
    }
    if (!room(d, &d->web, 0)) {
        fail_memory(d);
        return;
    }
    d->web.enabled = false;
    d->web.reason = "allow_web was not asked for";
    reply(d);
}

static void on_cancel(struct request *r, void *ctx, int reason)
{
    struct discovery *d = ctx;
    d->request = NULL;
    request_fail(r, reason == VX11_ETIMEOUT ? 504 : 503, "cancelled", NULL, "discovery was broken off");
    if (d->walking) {
        atomic_store(&d->job->cancel, true); /* its end frees */
        return;
    }
    if (d->scan)
        scan_wait_drop(d->scan);
    if (d->detecting)
        tools_detect_forget(d->hermes->tools, d);
    if (d->search)
        hub_ask_cancel(d->search);
    discovery_free(d);
}

void discover_route(struct request *r, void *module)
{
    struct error err = {0};
    struct discovery *d = calloc(1, sizeof *d);
    if (!d || !(d->arena = arena_create(0))) {
        free(d);
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    d->hermes = module;
    d->request = r;
    d->body = request_body(r);
    d->began_mono = clock_mono_ms();
    d->work.data = d;
    int rc = job_fill(d, &err);
    if (rc == 0 && uv_queue_work(request_loop(r), &d->work, walk_work, walk_done) != 0)
        rc = error_set(&err, VX11_EUNAVAILABLE, "the thread pool does not take it");
    if (rc != 0) {
        fail(d, &err);
        return;
    }
    d->walking = true;
    request_on_cancel(r, on_cancel, d);
}
