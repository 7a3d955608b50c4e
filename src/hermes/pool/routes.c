/* The pool over HTTP: pins, plans, and its share of the machine; and what of it comes from the configuration
 * and goes into the database. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/hermes_internal.h"
#include "hermes/registry.h"

void pool_used(void *ctx, const char *id, const char *model, int64_t n, int64_t at)
{
    struct hermes *h = ctx;
    if (registry_used(h->writer, id, n, at) != 0)
        log_warn("models", "uses are not counted: the writer's queue is full", LOG_S("model", model),
                 LOG_I("uses", n));
}

int pool_groups(struct hermes *h, const struct config *config)
{
    const struct config_hermes *c = config->values->hermes;
    struct engine_group *groups = calloc(c->groups_count + 1, sizeof *groups);
    if (!groups)
        return VX11_ENOMEM;
    for (size_t i = 0; i < c->groups_count; i++)
        groups[i] = (struct engine_group){
            .name = c->groups[i].name, .models = c->groups[i].models, .count = c->groups[i].models_count};
    const int rc = engines_set_groups(h->engines, groups, c->groups_count);
    free(groups);
    return rc;
}

void pool_resources(struct hermes *h, struct hermes_system_resources *out)
{
    struct engines_memory memory;
    engines_memory(h->engines, &memory);
    out->has_memory_budget_bytes = memory.budget > 0;
    out->memory_budget_bytes = memory.budget;
    out->engines_predicted_bytes = memory.predicted;
    out->has_engines_measured_bytes = true;
    out->engines_measured_bytes = memory.measured;
    out->has_engines_free_bytes = memory.known;
    out->engines_free_bytes = memory.usable;
}

/* False, and the request was answered, when there is none of this name. */
static bool find(struct request *r, struct hermes *h, const char *name, const char *param,
                 struct registry_model *out)
{
    struct error err = {0};
    const int rc = registry_get(h->store, name, request_arena(r), out, &err);
    if (rc == VX11_ENOT_FOUND)
        request_fail(r, 404, "model_not_found", param, "%s", err.text);
    else if (rc != 0)
        request_fail_error(r, &err);
    return rc == 0;
}

/* ---- pins ---- */

/* What all pinned models take together with this one. -1: the registry could not be read. */
static int64_t pinned_bytes(struct request *r, struct hermes *h, const struct registry_model *more,
                            struct error *err)
{
    struct registry_model *rows;
    struct engine_model model;
    size_t n;
    int64_t sum = 0;
    if (registry_list(h->store, request_arena(r), &rows, &n, err) != 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (!rows[i].api.pinned && !str_eq(rows[i].api.id, more->api.id))
            continue;
        hermes_engine_model(h, &rows[i], &model);
        sum += engines_need(h->engines, &model);
    }
    return sum;
}

static bool pin_fits(struct request *r, struct hermes *h, const struct registry_model *row)
{
    char all[24], budget_text[24], over[24];
    struct engines_memory memory;
    struct error err = {0};
    const int64_t bytes = pinned_bytes(r, h, row, &err);
    engines_memory(h->engines, &memory);
    if (bytes < 0) {
        request_fail_error(r, &err);
        return false;
    }
    if (memory.budget == 0 || bytes <= memory.budget)
        return true;
    request_fail(r, 409, "over_budget", "name",
                 "with %s the pinned models take %s and the memory budget is %s: %s too much (%" PRId64
                 " bytes)",
                 row->api.name, str_format_bytes((uint64_t)bytes, all),
                 str_format_bytes((uint64_t)memory.budget, budget_text),
                 str_format_bytes((uint64_t)(bytes - memory.budget), over), bytes - memory.budget);
    return false;
}

static void pin(struct request *r, struct hermes *h, bool pinned)
{
    const struct hermes_model_name *p = request_params(r);
    struct registry_model row;
    struct error err = {0};
    if (!find(r, h, p->name, "name", &row) || (pinned && !row.api.pinned && !pin_fits(r, h, &row)))
        return;
    const char *by = request_principal(r)->name;
    if (registry_pin(h->store, row.api.id, pinned, by, clock_wall_ms(), &err) != 0) {
        request_fail_error(r, &err);
        return;
    }
    if (pinned != row.api.pinned)
        log_info("models", pinned ? "a model is pinned" : "a model is no longer pinned",
                 LOG_S("model", row.api.name), LOG_S("by", by));
    engines_pin(h->engines, row.api.name, pinned);
    hermes_reply_model(h, r, 200, row.api.name);
}

void pool_pin(struct request *r, void *module)
{
    pin(r, module, true);
}

void pool_unpin(struct request *r, void *module)
{
    pin(r, module, false);
}

/* ---- plans ---- */

void pool_plan(struct request *r, void *module)
{
    struct hermes *h = module;
    const struct hermes_plan_request *body = request_body(r);
    struct registry_model row;
    struct engine_model model;
    struct hermes_plan reply;
    if (!find(r, h, body->model, "/model", &row))
        return;
    hermes_engine_model(h, &row, &model);
    if (engines_plan(h->engines, &model, request_arena(r), &reply) != 0)
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
    else
        request_reply(r, 200, &hermes_plan_message, &reply);
}
