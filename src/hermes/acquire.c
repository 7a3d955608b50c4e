/* See acquire.h. */
#include "hermes/acquire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define DOWN_FRESH_MS 1000 /* an address that was down is asked again after this */

struct acquire {
    struct hermes *hermes;
    engine_acquired_fn fn;
    void *ctx;
    struct engine_wait *engine; /* one of the two is waited for */
    struct external_wait *external;
    bool no_request, begun; /* begun: hermes_acquire has returned */
    char id[ULID_LEN + 1], name[129];
};

static void refuse(struct engine_refusal *why, int status, const char *code, int64_t retry_after_ms)
{
    why->status = status;
    why->code = code;
    why->retry_after_ms = retry_after_ms;
}

bool acquire_usable(const struct registry_model *row, struct engine_refusal *why)
{
    const struct hermes_model *m = &row->api;
    if (m->status != HERMES_MODEL_STATUS_AVAILABLE) {
        refuse(why, 503, m->status == HERMES_MODEL_STATUS_MISSING ? "model_missing" : "model_invalid", -1);
        (void)snprintf(why->text, sizeof why->text, "%.128s cannot be loaded: %.350s", m->name,
                       m->reason ? m->reason : "its file is not there");
        return false;
    }
    if (!m->enabled) {
        refuse(why, 503, "model_disabled", -1);
        (void)snprintf(why->text, sizeof why->text, "%.128s is switched off", m->name);
        return false;
    }
    return true;
}

bool acquire_blames_model(const struct engine_refusal *why)
{
    return strncmp(why->code, "model_", strlen("model_")) == 0;
}

/* ---- an address ---- */

static bool offers(const struct external *x, const char *model)
{
    for (size_t i = 0; i < x->model_count; i++)
        if (strcmp(x->models[i], model) == 0)
            return true;
    return false;
}

static void on_checked(void *ctx, struct external *x)
{
    struct acquire *a = ctx;
    struct engine_refusal why = {0};
    a->external = NULL;
    if (x->state == HERMES_EXTERNAL_STATE_UP && offers(x, a->name)) {
        const struct hermes_engine ready = {
            .model = a->name,
            .state = HERMES_ENGINE_STATE_READY,
            .base_url = x->base_url,
            .upstream_model = external_upstream(x, a->name),
            .engine = x->name,
        };
        if (!a->no_request && registry_used(a->hermes->writer, a->id, 1, clock_wall_ms()) != 0)
            log_warn("models", "a use is not counted: the writer's queue is full", LOG_S("model", a->name));
        a->fn(a->ctx, &ready, NULL);
    } else {
        const bool up = x->state == HERMES_EXTERNAL_STATE_UP;
        refuse(&why, 503, up ? "model_missing" : "engine_down", 1000);
        if (up)
            (void)snprintf(why.text, sizeof why.text, "the engine %.64s no longer has %.128s", x->name,
                           a->name);
        else
            (void)snprintf(why.text, sizeof why.text, "the engine %.64s of %.128s is down: %.250s", x->name,
                           a->name, x->reason);
        a->fn(a->ctx, NULL, &why);
    }
    if (a->begun)
        free(a);
}

/* ---- a process ---- */

static void on_engine(void *ctx, const struct hermes_engine *ready, const struct engine_refusal *why)
{
    struct acquire *a = ctx;
    a->engine = NULL;
    a->fn(a->ctx, ready, why);
    if (a->begun)
        free(a);
}

/* ---- either ---- */

static int begin(struct acquire *a, const struct registry_model *row, const struct engine_ask *ask,
                 struct error *err)
{
    struct engine_refusal why = {0};
    struct external *x = externals_of_model(a->hermes->externals, row->api.name);
    const bool address = x && x->kind == HERMES_EXTERNAL_KIND_ADDRESS;
    struct engine_model model;
    if (address && row->api.enabled) {
        const int64_t fresh = x->state == HERMES_EXTERNAL_STATE_UP ? 2 * x->check_interval_ms : DOWN_FRESH_MS;
        const int rc = external_check(x, fresh, on_checked, a, &a->external);
        return rc == 0 ? 0 : error_set(err, rc, "%s cannot be asked: %s", x->name, error_describe(rc));
    }
    if (!acquire_usable(row, &why)) {
        a->fn(a->ctx, NULL, &why);
        return 0;
    }
    hermes_engine_model(a->hermes, row, &model);
    return engines_acquire(a->hermes->engines, &model, ask, on_engine, a, &a->engine, err);
}

int hermes_acquire(struct hermes *h, const char *name, const struct engine_ask *ask, engine_acquired_fn fn,
                   void *ctx, struct acquire **out, struct error *err)
{
    struct arena *arena = arena_create(0);
    struct acquire *a = calloc(1, sizeof *a);
    struct registry_model row;
    struct engine_refusal why = {0};
    int rc = arena && a ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
    *out = NULL;
    if (rc == 0)
        rc = registry_get(h->store, name, arena, &row, err);
    if (rc == VX11_ENOT_FOUND) {
        refuse(&why, 404, "model_not_found", -1);
        (void)snprintf(why.text, sizeof why.text, "%s", err->text);
        fn(ctx, NULL, &why);
        rc = 0;
        goto out;
    }
    if (rc != 0)
        goto out;
    *a = (struct acquire){.hermes = h, .fn = fn, .ctx = ctx, .no_request = ask->no_request};
    memcpy(a->id, row.api.id, sizeof a->id);
    (void)snprintf(a->name, sizeof a->name, "%s", row.api.name);
    rc = begin(a, &row, ask, err);
    if (rc == 0 && (a->engine || a->external)) {
        a->begun = true;
        *out = a;
        a = NULL;
    }
out:
    free(a);
    arena_destroy(arena);
    return rc;
}

void acquire_cancel(struct acquire *a)
{
    if (a->engine)
        engine_wait_cancel(a->engine);
    if (a->external)
        external_wait_cancel(a->external);
    free(a);
}
