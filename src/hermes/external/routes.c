/* Where engines answer: /hermes/get-engine, and the list of those that are not ours. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hermes/acquire.h"
#include "hermes/external/routes.h"

#define START_MS         600000
#define ANSWER_MARGIN_MS 100

static void fail_memory(struct request *r)
{
    request_fail(r, 500, "out_of_memory", NULL, "out of memory");
}

/* ---- the list ---- */

static size_t running_of(const struct hermes_engine *engines, size_t n, const char *name)
{
    size_t running = 0;
    for (size_t i = 0; i < n; i++)
        running += engines[i].engine && engines[i].has_pid && strcmp(engines[i].engine, name) == 0;
    return running;
}

static void external_message(const struct external *x, struct hermes_external_engine *out)
{
    const bool address = x->kind == HERMES_EXTERNAL_KIND_ADDRESS;
    *out = (struct hermes_external_engine){
        .name = x->name,
        .kind = x->kind,
        .state = x->problem[0] ? HERMES_EXTERNAL_STATE_DOWN : x->state,
        .reason = x->problem[0]  ? x->problem
                  : x->reason[0] ? x->reason
                                 : NULL,
        .program = address || x->problem[0] ? NULL : x->argv[0],
        .base_url = x->base_url,
        .models = (const char **)x->models,
        .models_count = x->model_count,
        .has_checked_at = x->checked_at > 0,
        .checked_at = x->checked_at,
        .has_latency_ms = x->checked_at > 0,
        .latency_ms = x->latency_ms,
    };
}

void external_list(struct request *r, void *module)
{
    struct hermes *h = module;
    const size_t n = externals_count(h->externals);
    struct hermes_external_engine_list reply = {
        .engines = arena_array(request_arena(r), n + 1, sizeof *reply.engines)};
    struct hermes_engine *engines;
    size_t engine_count;
    if (!reply.engines || engines_list(h->engines, request_arena(r), &engines, &engine_count) != 0) {
        fail_memory(r);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct hermes_external_engine *out = &reply.engines[reply.engines_count++];
        const struct external *x = externals_at(h->externals, i);
        external_message(x, out);
        out->running = (int64_t)running_of(engines, engine_count, x->name);
        if (out->running > 0 && out->state == HERMES_EXTERNAL_STATE_IDLE)
            out->state = HERMES_EXTERNAL_STATE_UP;
    }
    request_reply(r, 200, &hermes_external_engine_list_message, &reply);
}

/* ---- one engine ---- */

struct getting {
    struct hermes *hermes;
    struct request *request;
    struct acquire *acquire;
    struct external_wait *check;
    const char *id; /* in the request's arena */
};

static void reply_address(struct request *r, const char *id, const struct external *x)
{
    struct hermes_engine_metadata meta = {
        .kind = HERMES_ENGINE_METADATA_KIND_ADDRESS,
        .has_latency_ms = x->checked_at > 0,
        .latency_ms = x->latency_ms,
        .has_checked_at = x->checked_at > 0,
        .checked_at = x->checked_at,
        .models = (const char **)x->models,
        .models_count = x->model_count,
    };
    const struct hermes_get_engine_reply reply = {
        .engine_id = id, .endpoint = x->base_url, .metadata = &meta};
    request_reply(r, 200, &hermes_get_engine_reply_message, &reply);
}

static void reply_engine(struct request *r, const char *id, const struct hermes_engine *e)
{
    const char *models[] = {e->model};
    struct hermes_engine_metadata meta = {
        .kind = !e->engine    ? HERMES_ENGINE_METADATA_KIND_WORKER
                : !e->has_pid ? HERMES_ENGINE_METADATA_KIND_ADDRESS
                              : HERMES_ENGINE_METADATA_KIND_COMMAND,
        .model = e->model,
        .upstream_model = e->upstream_model,
        .has_pid = e->has_pid,
        .pid = e->pid,
        .has_rss_bytes = e->has_rss_bytes,
        .rss_bytes = e->rss_bytes,
        .has_load_ms = e->has_load_ms,
        .load_ms = e->load_ms,
        .models = models,
        .models_count = 1,
    };
    const struct hermes_get_engine_reply reply = {
        .engine_id = id,
        .endpoint = e->base_url ? e->base_url : arena_printf(request_arena(r), "unix:%s", e->socket),
        .metadata = &meta,
    };
    if (reply.endpoint)
        request_reply(r, 200, &hermes_get_engine_reply_message, &reply);
    else
        fail_memory(r);
}

static void on_acquired(void *ctx, const struct hermes_engine *ready, const struct engine_refusal *why)
{
    struct getting *g = ctx;
    struct request *r = g->request;
    if (ready) {
        reply_engine(r, g->id, ready);
    } else {
        if (why->retry_after_ms >= 0)
            request_retry_after(r, why->retry_after_ms);
        request_fail(r, why->status, why->code, why->status == 404 ? "engine_id" : NULL, "%s", why->text);
    }
    free(g);
}

static void on_checked(void *ctx, struct external *x)
{
    struct getting *g = ctx;
    if (x->state == HERMES_EXTERNAL_STATE_UP)
        reply_address(g->request, g->id, x);
    else
        request_fail(g->request, 503, "engine_down", NULL, "the engine %s is down: %s", x->name, x->reason);
    free(g);
}

static void getting_cancelled(struct request *r, void *ctx, int reason)
{
    struct getting *g = ctx;
    if (g->acquire)
        acquire_cancel(g->acquire);
    if (g->check)
        external_wait_cancel(g->check);
    free(g);
    request_fail(r, reason == VX11_ETIMEOUT ? 504 : 503,
                 reason == VX11_ETIMEOUT ? "engine_not_ready" : "stopping", NULL,
                 "the wait for the engine was broken off");
}

static void get_address(struct getting *g, struct external *x)
{
    struct external_wait *wait = NULL;
    struct request *r = g->request;
    const int rc = external_check(x, 1000, on_checked, g, &wait);
    if (rc != 0) {
        free(g);
        request_fail(r, 503, "engine_down", NULL, "%s", error_describe(rc));
    } else if (wait) {
        g->check = wait;
        request_on_cancel(r, getting_cancelled, g);
    }
}

static void get_started(struct getting *g)
{
    struct acquire *a = NULL;
    struct error err = {0};
    struct request *r = g->request;
    const int64_t deadline = request_deadline_ms(r);
    const int64_t left = deadline == INT64_MAX ? START_MS : deadline - clock_mono_ms() - ANSWER_MARGIN_MS;
    const struct engine_ask ask = {.wait_ms = left < START_MS ? left : START_MS, .no_request = true};
    if (hermes_acquire(g->hermes, g->id, &ask, on_acquired, g, &a, &err) != 0) {
        free(g);
        request_fail_error(r, &err);
    } else if (a) {
        g->acquire = a;
        request_on_cancel(r, getting_cancelled, g);
    }
}

/* Without starting anything. */
static void get_as_it_is(struct getting *g)
{
    struct request *r = g->request;
    struct registry_model row;
    struct error err = {0};
    const struct hermes_engine *e = engines_get(g->hermes->engines, g->id, request_arena(r));
    const int rc = registry_get(g->hermes->store, g->id, request_arena(r), &row, &err);
    if (e && e->state == HERMES_ENGINE_STATE_READY)
        reply_engine(r, g->id, e);
    else if (rc == VX11_ENOT_FOUND)
        request_fail(r, 404, "engine_not_found", "engine_id", "%s", err.text);
    else if (rc != 0)
        request_fail_error(r, &err);
    else
        request_fail(r, 503, "engine_not_running", NULL, "%s is not running: %s%s%s", g->id,
                     e ? hermes_engine_state_names[e->state] : "no process", e && e->reason ? ", " : "",
                     e && e->reason ? e->reason : "");
    free(g);
}

static void get(struct request *r, struct hermes *h, const struct hermes_get_engine *asked)
{
    struct external *x = externals_find(h->externals, asked->engine_id);
    if (!x || x->kind != HERMES_EXTERNAL_KIND_ADDRESS)
        x = externals_of_model(h->externals, asked->engine_id);
    if (asked->start && !principal_allows(request_principal(r), CONTRACT_SCOPE_ACT)) {
        request_fail(r, 403, "forbidden", "start", "starting an engine needs the scope act");
        return;
    }
    struct getting *g = calloc(1, sizeof *g);
    if (!g) {
        fail_memory(r);
        return;
    }
    *g = (struct getting){.hermes = h, .request = r, .id = asked->engine_id};
    if (x && x->kind == HERMES_EXTERNAL_KIND_ADDRESS)
        get_address(g, x);
    else if (asked->start)
        get_started(g);
    else
        get_as_it_is(g);
}

void engine_get(struct request *r, void *module)
{
    get(r, module, request_params(r));
}

void engine_get_post(struct request *r, void *module)
{
    get(r, module, request_body(r));
}
