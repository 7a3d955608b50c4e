/* Report: what the pool says of itself, and the pins that change it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "hermes/pool/pool.h"

void engines_memory(struct engines *all, struct engines_memory *out)
{
    struct capacity c;
    capacity_plan(all, NULL, false, &c);
    *out = (struct engines_memory){.budget = all->params.memory_budget_bytes};
    for (size_t i = 0; i < c.n; i++) {
        out->predicted += c.engines[i].predicted.in[PLAN_BUDGET];
        out->measured += c.engines[i].measured.in[PLAN_BUDGET];
    }
    capacity_room(all, &out->known, &out->usable);
}

void engines_pin(struct engines *all, const char *name, bool pinned)
{
    struct engine *e = engine_find(all, name);
    if (e)
        e->pinned = pinned;
    engines_kick(all);
}

/* ---- a plan that is only told ---- */

static bool steps_fill(const struct capacity *c, struct arena *a, struct hermes_plan_step **out)
{
    struct hermes_plan_step *steps = arena_array(a, c->plan.count + 1, sizeof *steps);
    for (size_t i = 0; steps && i < c->plan.count; i++) {
        const size_t at = c->plan.engines[i];
        const struct engine *e = c->of[at];
        steps[i] = (struct hermes_plan_step){
            .model = arena_strdup(a, e->name),
            .frees_bytes = plan_bytes_of(&c->engines[at], PLAN_BUDGET),
            .reload_bytes = e->size_bytes,
            .has_last_used_at = e->last_used_at > 0,
            .last_used_at = e->last_used_at,
            .usage_count = e->usage_count,
        };
        if (!steps[i].model)
            return false;
    }
    *out = steps;
    return steps != NULL;
}

static const char *sentence(const struct engine *e, const struct capacity *c, struct arena *a)
{
    const struct plan *p = &c->plan;
    switch (p->verdict) {
    case PLAN_START:
        return p->reduced ? "There is room, with a shorter context." : "There is room.";
    case PLAN_EVICT:
        return arena_printf(a, "%s; unloading %zu makes room%s.", e->block_text, p->count,
                            p->reduced ? " for a shorter context" : "");
    case PLAN_WAIT:
        return arena_printf(a, "%s; %s.", e->block_text,
                            p->count > 0 ? "what is in the way is in use" : "memory is being given back");
    default:
        return arena_printf(a, "%s.", e->block_text);
    }
}

static int plan_fill(struct engine *e, const struct capacity *c, struct arena *a, struct hermes_plan *out)
{
    static const int verdicts[] = {
        [PLAN_START] = HERMES_PLAN_VERDICT_START,
        [PLAN_EVICT] = HERMES_PLAN_VERDICT_EVICT,
        [PLAN_WAIT] = HERMES_PLAN_VERDICT_WAIT,
        [PLAN_NEVER] = HERMES_PLAN_VERDICT_NEVER,
    };
    const size_t dim = e->all->params.memory_budget_bytes > 0 ? PLAN_BUDGET : PLAN_MACHINE;
    const int64_t budget = c->rules.budget.in[dim], usable = c->plan.usable.in[dim];
    struct hermes_plan_step *steps;
    if (!steps_fill(c, a, &steps))
        return VX11_ENOMEM;
    out->verdict = verdicts[c->plan.verdict];
    out->reason = sentence(e, c, a);
    out->need_bytes = c->want.need.in[PLAN_BUDGET];
    out->least_bytes = c->want.least.in[PLAN_BUDGET];
    out->has_budget_bytes = budget != PLAN_NO_BOUND;
    out->budget_bytes = budget;
    out->used_bytes = budget != PLAN_NO_BOUND ? budget - usable : 0;
    out->missing_bytes = c->plan.missing;
    if (c->plan.verdict == PLAN_EVICT) {
        out->evict = steps;
        out->evict_count = c->plan.count;
    } else {
        out->drain = steps;
        out->drain_count = c->plan.count;
    }
    return out->reason ? 0 : VX11_ENOMEM;
}

static bool there_already(const struct engine *e, struct arena *a, struct hermes_plan *out)
{
    if (!e || !e->worker || e->state == HERMES_ENGINE_STATE_STOPPING)
        return false;
    const bool ready = e->state == HERMES_ENGINE_STATE_READY;
    out->verdict = ready ? HERMES_PLAN_VERDICT_READY : HERMES_PLAN_VERDICT_LOADING;
    out->reason = ready ? "It is loaded." : "It is being loaded.";
    out->need_bytes = out->least_bytes = e->need_bytes;
    out->evict = out->drain = arena_array(a, 1, sizeof *out->evict);
    return true;
}

int engines_plan(struct engines *all, const struct engine_model *model, struct arena *a,
                 struct hermes_plan *out)
{
    struct engine *e = engine_find(all, model->name);
    *out = (struct hermes_plan){.model = arena_strdup(a, model->name)};
    if (there_already(e, a, out))
        return out->model && out->evict ? 0 : VX11_ENOMEM;
    const bool own = !e; /* else it waits for room, and its own text is kept */
    char text[sizeof e->block_text] = "";
    enum engine_block block = BLOCK_NONE;
    if (own && !(e = engine_find_or_create(all, model)))
        return VX11_ENOMEM;
    if (!own) {
        memcpy(text, e->block_text, sizeof text);
        block = e->block;
    }
    struct capacity c;
    capacity_plan(all, e, false, &c);
    capacity_say(e, &c);
    const int rc = plan_fill(e, &c, a, out);
    if (own) {
        engine_free(e);
    } else {
        memcpy(e->block_text, text, sizeof text);
        e->block = block;
    }
    return out->model ? rc : VX11_ENOMEM;
}

int64_t engines_need(struct engines *all, const struct engine_model *model)
{
    struct engine *e = engine_find(all, model->name);
    const bool own = !e;
    if (own && !(e = engine_find_or_create(all, model)))
        return 0;
    const bool ready = e->worker && e->state == HERMES_ENGINE_STATE_READY;
    const int64_t bytes = (ready ? e->need_bytes : capacity_need(e)) + e->process_bytes;
    if (own)
        engine_free(e);
    return bytes;
}
