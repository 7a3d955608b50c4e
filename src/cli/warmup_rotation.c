/* Check 3 of the warm-up: who may be unloaded, in which order, and that it is done.
 *
 * A model that is not loaded is loaded: where there is no room the pool unloads the one that comes first in
 * its order. Where there is room for all, the first in that order is unloaded by request, and loaded again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/hermes_client.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/warmup.h"

#define ASK_MS   10000
#define WORK_MS  660000
#define PLAN_MS  30000 /* for engines that are in use to come to rest */
#define AGAIN_MS 200

enum rotation_state rotation_state_of(bool used, int64_t last_used_at, int64_t now, int64_t age_ms)
{
    return used && now - last_used_at < age_ms ? ROTATION_IN_USE : ROTATION_ELIGIBLE;
}

int rotation_order(const struct hermes_model *a, const struct hermes_model *b)
{
    const int64_t at_a = a->has_last_used_at ? a->last_used_at : INT64_MIN,
                  at_b = b->has_last_used_at ? b->last_used_at : INT64_MIN;
    if (at_a != at_b)
        return at_a < at_b ? -1 : 1;
    if (a->usage_count != b->usage_count)
        return a->usage_count < b->usage_count ? -1 : 1;
    return strcmp(a->name, b->name);
}

static bool loaded(const struct hermes_model *m)
{
    return m->engine && m->engine->state == HERMES_ENGINE_STATE_READY;
}

static bool usable(const struct hermes_model *m)
{
    return m->enabled && m->status == HERMES_MODEL_STATUS_AVAILABLE;
}

/* Of the loaded ones that may go, the one that goes first. NULL: none. */
static const struct hermes_model *first_to_go(const struct hermes_model_list *l)
{
    const struct hermes_model *first = NULL;
    for (size_t i = 0; i < l->models_count; i++) {
        const struct hermes_model *m = &l->models[i];
        if (loaded(m) && m->engine->has_pid && !m->pinned && (!first || rotation_order(m, first) < 0))
            first = m;
    }
    return first;
}

/* A use is told by the engine, which Hermes asks from time to time. */
static const struct hermes_model_list *wait_for_uses(struct warmup *w, struct cli_warmup_check *check)
{
    const int64_t until = clock_mono_ms() + WARMUP_ROWS_MS;
    for (;;) {
        const struct hermes_model_list *l = warmup_models(w, check);
        size_t told = 0;
        for (size_t i = 0; l && i < w->count; i++) {
            const struct hermes_model *m = warmup_find(l, w->models[i].name);
            told += m && m->has_last_used_at && m->last_used_at >= w->began_at;
        }
        if (!l || told == w->count || clock_mono_ms() >= until)
            return l;
        warmup_sleep(w, AGAIN_MS);
    }
}

/* What was just warmed is in use; all that was not used for long, or never, is not. */
static bool assert_states(struct warmup *w, struct cli_warmup_check *check, const struct hermes_model_list *l)
{
    const int64_t now = clock_wall_ms();
    w->rotation.models = arena_array(w->c->arena, l->models_count + 1, sizeof *w->rotation.models);
    if (!w->rotation.models) {
        warmup_fail(check, w->c, "out of memory");
        return false;
    }
    for (size_t i = 0; i < l->models_count; i++) {
        const struct hermes_model *m = &l->models[i];
        if (!usable(m))
            continue;
        const enum rotation_state state =
            rotation_state_of(m->has_last_used_at, m->last_used_at, now, w->age_ms);
        w->rotation.models[w->rotation.models_count++] = (struct cli_warmup_eligible){
            .model = m->name,
            .state = state == ROTATION_IN_USE ? CLI_WARMUP_ELIGIBLE_STATE_IN_USE
                                              : CLI_WARMUP_ELIGIBLE_STATE_ELIGIBLE,
            .has_last_used_at = m->has_last_used_at,
            .last_used_at = m->last_used_at,
            .usage_count = m->usage_count,
        };
    }
    for (size_t i = 0; i < w->count; i++) {
        const struct hermes_model *m = warmup_find(l, w->models[i].name);
        if (m && rotation_state_of(m->has_last_used_at, m->last_used_at, now, w->age_ms) == ROTATION_IN_USE &&
            m->last_used_at >= w->began_at)
            continue;
        warmup_fail(check, w->c, "%s was just used, and its last use is not now", w->models[i].name);
        return false;
    }
    return true;
}

/* ---- performing one ---- */

static const struct hermes_plan *plan_of(struct warmup *w, struct cli_warmup_check *check, const char *model)
{
    const struct hermes_plan_request body = {.model = model};
    const struct client_call_options options = ask_within(ASK_MS);
    struct ask a;
    ask_begin(&a, w->c, &hermes_plan_message);
    if (ask_wait(&a, hermes_plan_call(w->c->client, cli_target(w->c, "hermes"), &body, &options, ask_reply,
                                      &a, &a.call)))
        return a.message;
    warmup_fail(check, w->c, "Hermes does not say how %s would be loaded: %s", model, a.text);
    return NULL;
}

/* Waits until what is in use has come to rest. */
static const struct hermes_plan *settled_plan(struct warmup *w, struct cli_warmup_check *check,
                                              const char *model)
{
    const int64_t until = clock_mono_ms() + PLAN_MS;
    for (;;) {
        const struct hermes_plan *p = plan_of(w, check, model);
        if (!p || (p->verdict != HERMES_PLAN_VERDICT_WAIT && p->verdict != HERMES_PLAN_VERDICT_LOADING))
            return p;
        if (clock_mono_ms() >= until) {
            warmup_fail(check, w->c, "there is no room for %s: %s", model, p->reason);
            return NULL;
        }
        warmup_sleep(w, AGAIN_MS);
    }
}

static bool load(struct warmup *w, struct cli_warmup_check *check, const char *model)
{
    const struct hermes_model_name params = {.name = model};
    const struct hermes_warm_request body = {.tokens = 1, .timeout_ms = 600000};
    const struct client_call_options options = ask_within(WORK_MS);
    struct ask a;
    ask_begin(&a, w->c, &hermes_warm_result_message);
    if (ask_wait(&a, hermes_models_warm_call(w->c->client, cli_target(w->c, "hermes"), &params, &body,
                                             &options, ask_reply, &a, &a.call))) {
        const struct hermes_warm_result *r = a.message;
        w->rotation.loaded = model;
        w->rotation.has_load_ms = r->has_load_ms;
        w->rotation.load_ms = r->load_ms;
        return true;
    }
    warmup_fail(check, w->c, "%s cannot be loaded: %s", model, a.text);
    return false;
}

static bool unload(struct warmup *w, struct cli_warmup_check *check, const char *model)
{
    const struct hermes_model_name params = {.name = model};
    const struct client_call_options options = ask_within(WORK_MS);
    struct ask a;
    ask_begin(&a, w->c, NULL);
    if (ask_wait(&a, hermes_engines_stop_call(w->c->client, cli_target(w->c, "hermes"), &params, &options,
                                              ask_reply, &a, &a.call)))
        return true;
    warmup_fail(check, w->c, "%s cannot be unloaded: %s", model, a.text);
    return false;
}

/* What GET /hermes/engines shows of a model. */
static bool engine_is(struct warmup *w, struct cli_warmup_check *check, const char *model, bool there)
{
    const struct client_call_options options = ask_within(ASK_MS);
    struct ask a;
    ask_begin(&a, w->c, &hermes_engine_list_message);
    if (!ask_wait(&a, hermes_engines_list_call(w->c->client, cli_target(w->c, "hermes"), &options, ask_reply,
                                               &a, &a.call))) {
        warmup_fail(check, w->c, "the engines cannot be listed: %s", a.text);
        return false;
    }
    const struct hermes_engine_list *l = a.message;
    for (size_t i = 0; i < l->engines_count; i++) {
        const struct hermes_engine *e = &l->engines[i];
        if (strcmp(e->model, model) != 0)
            continue;
        const bool runs = e->state == HERMES_ENGINE_STATE_READY || e->has_pid;
        if (runs == there)
            return true;
        warmup_fail(check, w->c, "GET /hermes/engines shows %s as %s", model,
                    hermes_engine_state_names[e->state]);
        return false;
    }
    if (!there)
        return true;
    warmup_fail(check, w->c, "GET /hermes/engines does not show %s", model);
    return false;
}

/* Whether there is a reason why the first in the order is left alone: requests, the group of the one that is
 * to come, or that it alone would not free enough where another one does. */
static bool passed_over(const struct hermes_model *first, const struct hermes_plan *plan,
                        const struct hermes_model *target)
{
    const struct hermes_engine *e = first->engine;
    for (size_t i = 0; i < plan->drain_count; i++)
        if (strcmp(plan->drain[i].model, first->name) == 0)
            return true;
    if ((e->has_busy && e->busy > 0) || e->expected > 0 || e->parked > 0)
        return true;
    if (e->group && target && target->engine && str_eq(e->group, target->engine->group))
        return true;
    return plan->evict_count == 1 && e->has_need_bytes && e->need_bytes < plan->missing_bytes;
}

/* The pool makes room for `target`; it must take the documented one. */
static bool rotate_by_pool(struct warmup *w, struct cli_warmup_check *check,
                           const struct hermes_model_list *l, const struct hermes_plan *plan,
                           const char *target)
{
    const struct hermes_model *want = first_to_go(l);
    const char *out = plan->evict[0].model;
    w->rotation.how = CLI_WARMUP_ROTATION_HOW_POOL;
    w->rotation.unloaded = out;
    if (!want || (strcmp(want->name, out) != 0 && !passed_over(want, plan, warmup_find(l, target)))) {
        warmup_fail(check, w->c, "%s would be unloaded for %s; the order says %s", out, target,
                    want ? want->name : "none");
        return false;
    }
    return load(w, check, target) && engine_is(w, check, out, false) && engine_is(w, check, target, true);
}

/* There is room for all of them: the first to go is unloaded, and comes back. */
static bool rotate_by_request(struct warmup *w, struct cli_warmup_check *check,
                              const struct hermes_model_list *l, const char *target)
{
    const struct hermes_model *out = first_to_go(l);
    if (!out) {
        warmup_fail(check, w->c, "no loaded model may be unloaded: all are pinned");
        return false;
    }
    w->rotation.how = CLI_WARMUP_ROTATION_HOW_REQUEST;
    w->rotation.unloaded = out->name;
    target = target ? target : out->name;
    if (!unload(w, check, out->name) || !engine_is(w, check, out->name, false))
        return false;
    return load(w, check, target) && engine_is(w, check, target, true);
}

void warmup_rotate(struct warmup *w, struct cli_warmup_check *check)
{
    const struct hermes_model_list *l = wait_for_uses(w, check);
    const char *target = NULL;
    if (!l || !assert_states(w, check, l))
        return;
    const struct hermes_model *next = first_to_go(l);
    w->rotation.next = next ? next->name : NULL;
    for (size_t i = 0; !target && i < w->count; i++) {
        const struct hermes_model *m = warmup_find(l, w->models[i].name);
        if (m && !loaded(m))
            target = m->name;
    }
    for (size_t i = 0; !target && i < l->models_count; i++)
        if (usable(&l->models[i]) && !loaded(&l->models[i]) &&
            l->models[i].source != HERMES_MODEL_SOURCE_ENGINE)
            target = l->models[i].name;
    const struct hermes_plan *plan = target ? settled_plan(w, check, target) : NULL;
    if (target && !plan)
        return;
    if (target)
        l = warmup_models(w, check);
    if (!l)
        return;
    bool ok;
    if (plan && plan->verdict == HERMES_PLAN_VERDICT_EVICT && plan->evict_count > 0)
        ok = rotate_by_pool(w, check, l, plan, target);
    else if (plan && plan->verdict == HERMES_PLAN_VERDICT_NEVER) {
        target = NULL; /* too large for this machine: one that is loaded goes and comes back */
        ok = rotate_by_request(w, check, l, target);
    } else
        ok = rotate_by_request(w, check, l, target);
    if (!ok)
        return;
    size_t eligible = 0;
    for (size_t i = 0; i < w->rotation.models_count; i++)
        eligible += w->rotation.models[i].state == CLI_WARMUP_ELIGIBLE_STATE_ELIGIBLE;
    warmup_good(check, w->c,
                "%zu in use, %zu eligible, %s is next; %s was unloaded (%s), %s loaded in %" PRId64 " ms",
                w->rotation.models_count - eligible, eligible, w->rotation.next ? w->rotation.next : "none",
                w->rotation.unloaded,
                w->rotation.how == CLI_WARMUP_ROTATION_HOW_POOL ? "to make room" : "on request",
                w->rotation.loaded, w->rotation.has_load_ms ? w->rotation.load_ms : 0);
}
