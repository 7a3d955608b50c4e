/* The mode, the host, and Hermes as Switch sees it. */
#include "switch/selection/routes.h"
#include "switch/selection/selector_internal.h"

#include <math.h>
#include <string.h>

#include "api/hermes_client.h"
#include "base/clock.h"

#define STATUS_MS 3000

/* ---- POST /switch/control ---- */

enum { MODES = SWITCH_MODE_CRITICAL + 1 };

struct profiles { /* with what they point to */
    struct switch_mode_profile list[MODES];
    struct switch_weights weights[MODES];
    int preferred[MODES][8];
};

static void control_reply(struct request *r, const struct selector *s, bool list)
{
    struct profiles p;
    for (int m = 0; m < MODES; m++)
        mode_message((enum switch_mode)m, p.preferred[m], &p.weights[m], &p.list[m]);
    struct switch_control_reply out = {
        .status = SWITCH_CONTROL_REPLY_STATUS_OK,
        .mode = (int)selector_mode_set(s),
        .effective_mode = (int)selector_mode(s),
        .profile = &p.list[selector_mode_set(s)],
        .modes = list ? p.list : NULL,
        .modes_count = list ? MODES : 0,
    };
    request_reply(r, 200, &switch_control_reply_message, &out);
}

void mode_control(struct request *r, void *module)
{
    struct selector *s = ((struct switch_ *)module)->selector;
    const struct switch_control_request *body = request_body(r);
    const char *action = body->action ? body->action : body->action_type ? body->action_type : body->op;
    enum switch_mode mode = SWITCH_MODE_BALANCED;
    struct error err = {0};
    if (!action || !action[0]) {
        request_fail(r, 422, "action_required", "action", "action must be set_mode, get_mode or list_modes");
        return;
    }
    bool list = strcmp(action, "list_modes") == 0, set = strcmp(action, "set_mode") == 0;
    if (!list && !set && strcmp(action, "get_mode") != 0)
        request_fail(r, 422, "unknown_action", "action", "there is no action %.64s", action);
    else if (set && !mode_parse(body->mode, &mode))
        request_fail(r, 422, "invalid_mode", "mode", "mode must be ECO, BALANCED, HIGH-PERF or CRITICAL");
    else if (set && selector_set_mode(s, mode, &err) != 0)
        request_fail_error(r, &err);
    else
        control_reply(r, s, list);
}

/* ---- GET /switch/fluzo ---- */

void fluzo_show(struct request *r, void *module)
{
    const struct fluzo *f = selector_fluzo(((struct switch_ *)module)->selector);
    struct switch_fluzo_signals signals;
    fluzo_message(&f->now, &signals);
    struct switch_fluzo_state state = {
        .mode = (int)fluzo_profile(f),
        .overridden = f->overridden,
        .reasoning = f->overridden ? "the configuration says so" : f->reason,
        .pool_factor = fluzo_pool_factor(fluzo_profile(f)),
        .signals = &signals,
    };
    struct switch_fluzo_reply out = {.status = SWITCH_FLUZO_REPLY_STATUS_OK, .profile = &state};
    request_reply(r, 200, &switch_fluzo_reply_message, &out);
}

void fluzo_show_signals(struct request *r, void *module)
{
    const struct fluzo *f = selector_fluzo(((struct switch_ *)module)->selector);
    struct switch_fluzo_signals signals;
    fluzo_message(&f->now, &signals);
    struct switch_fluzo_signals_reply out = {.status = SWITCH_FLUZO_SIGNALS_REPLY_STATUS_OK,
                                             .signals = &signals};
    request_reply(r, 200, &switch_fluzo_signals_reply_message, &out);
}

/* ---- GET /switch/hermes/status ---- */

struct status_work {
    struct switch_ *sw;
    struct request *r;
    struct client_call *call;
    int cancel_reason;
};

static void engine_fill(struct status_work *w, const struct hermes_engine *e,
                        struct switch_engine_health *out)
{
    struct learned l;
    const char *local = "local";
    for (size_t i = 0; i < w->sw->provider_count; i++)
        if (w->sw->providers[i]->kind == SWITCH_PROVIDER_KIND_LOCAL) {
            local = w->sw->providers[i]->name;
            break;
        }
    learner_get(selector_learner(w->sw->selector), LEARNER_ALL, local, e->model, clock_wall_ms(), &l);
    *out = (struct switch_engine_health){
        .model = e->model,
        .state = hermes_engine_state_names[e->state],
        .healthy = e->state == HERMES_ENGINE_STATE_READY,
        .has_score = l.success >= 0,
        .score = l.success,
        .has_first_token_ms = l.first_token_ms >= 0,
        .first_token_ms = l.first_token_ms,
        .has_load_ms = e->has_load_ms,
        .load_ms = e->load_ms,
        .has_rss_bytes = e->has_rss_bytes,
        .rss_bytes = e->rss_bytes,
    };
}

static bool engines_fill(struct status_work *w, const struct hermes_model_list *list,
                         struct switch_hermes_status *out)
{
    struct arena *a = request_arena(w->r);
    size_t n = list ? list->models_count : 0;
    struct switch_engine_health *all = arena_array(a, n + 1, sizeof *all),
                                *healthy = arena_array(a, n + 1, sizeof *healthy);
    const char **names = arena_array(a, n + 1, sizeof *names);
    if (!all || !healthy || !names)
        return false;
    out->engines = all;
    out->healthy_engines = healthy;
    out->available_engines = names;
    for (size_t i = 0; i < n; i++) {
        const struct hermes_model *m = &list->models[i];
        if (m->enabled && m->status == HERMES_MODEL_STATUS_AVAILABLE)
            names[out->available_engines_count++] = m->name;
        if (!m->engine)
            continue;
        engine_fill(w, m->engine, &all[out->engines_count]);
        if (all[out->engines_count].healthy)
            healthy[out->healthy_engines_count++] = all[out->engines_count];
        out->engines_count++;
    }
    return true;
}

static void status_reply(struct status_work *w, const struct hermes_model_list *list, const char *why)
{
    struct selector *s = w->sw->selector;
    const struct fluzo_signals *g = &selector_fluzo(s)->now;
    struct switch_mode_profile profile;
    struct switch_weights weights;
    int preferred[8];
    int64_t waiting = selector_queue_size(s);
    mode_message(selector_mode(s), preferred, &weights, &profile);
    struct switch_host_metrics metrics = {
        .has_cpu = !isnan(g->cpu_pct),
        .cpu = isnan(g->cpu_pct) ? 0 : g->cpu_pct,
        .has_memory = !isnan(g->memory_pct),
        .memory = isnan(g->memory_pct) ? 0 : g->memory_pct,
        .has_queue_size = waiting >= 0,
        .queue_size = waiting,
        .in_flight = w->sw->in_flight,
    };
    struct switch_hermes_status out = {
        .status = SWITCH_HERMES_STATUS_STATUS_OK,
        .hermes = list ? SWITCH_HERMES_STATUS_HERMES_AVAILABLE : SWITCH_HERMES_STATUS_HERMES_UNAVAILABLE,
        .hermes_error = list ? NULL : why,
        .mode = (int)selector_mode(s),
        .profile = &profile,
        .metrics = &metrics,
    };
    if (engines_fill(w, list, &out))
        request_reply(w->r, 200, &switch_hermes_status_message, &out);
    else
        request_fail(w->r, 500, "out_of_memory", NULL, "out of memory");
}

static void on_models(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct status_work *w = ctx;
    (void)call;
    if (w->cancel_reason)
        request_fail(w->r, 504, "deadline_exceeded", NULL, "the request's time was up");
    else
        status_reply(w, reply->message, reply->error.text[0] ? reply->error.text : "hermes did not answer");
}

static void on_cancel(struct request *r, void *ctx, int reason)
{
    struct status_work *w = ctx;
    (void)r;
    w->cancel_reason = reason;
    client_cancel(w->call);
}

void hermes_status(struct request *r, void *module)
{
    struct switch_ *sw = module;
    struct status_work *w = arena_zalloc(request_arena(r), sizeof *w);
    struct client_call_options options;
    if (!w) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    *w = (struct status_work){.sw = sw, .r = r};
    module_call_options(r, &options);
    int64_t until = clock_mono_ms() + STATUS_MS;
    if (!options.deadline_ms || options.deadline_ms > until)
        options.deadline_ms = until;
    request_on_cancel(r, on_cancel, w);
    int rc = hermes_models_list_call(module_client(sw->m), module_peer(sw->m, "hermes"), &options, on_models,
                                     w, &w->call);
    if (rc != 0)
        request_fail(r, 500, "internal", NULL, "%s", error_describe(rc));
}
