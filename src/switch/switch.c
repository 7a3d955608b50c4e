/* Switch: start, routes, stop, and what it says of itself. The work is in the files that switch_internal.h
 * draws. */
#include "switch/observe/observe.h"
#include "switch/observe/stats.h"
#include "switch/observe/tension.h"
#include "switch/queue/queue.h"
#include "switch/switch_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "switch/admin.h"
#include "switch/limits/routes.h"
#include "switch/selection/routes.h"
#include "switch/selection/selector.h"

#define LIMITS_EVERY_MS  50
#define BUDGETS_EVERY_MS 1000

static const char sql_retention[] =
    "UPDATE retention SET max_rows = ?1 WHERE table_name IN ('decision', 'usage')";

/* ---- /switch/providers, /switch/context ---- */

static enum switch_provider_status provider_status(const struct provider *p)
{
    if (!p->enabled)
        return SWITCH_PROVIDER_STATUS_DISABLED;
    if (breaker_peek(&p->breaker, clock_mono_ms()) != BREAKER_CLOSED)
        return SWITCH_PROVIDER_STATUS_UNAVAILABLE;
    bool known = p->requests > p->failures || (p->models_at > 0 && !p->models_error[0]);
    return known                ? SWITCH_PROVIDER_STATUS_READY
           : p->models_error[0] ? SWITCH_PROVIDER_STATUS_UNAVAILABLE
                                : SWITCH_PROVIDER_STATUS_UNKNOWN;
}

static void provider_message(const struct provider *p, struct switch_breaker *b, struct switch_provider *out)
{
    double median = metric_quantile(p->first_token, 0.5);
    module_breaker_report(&p->breaker, b);
    *out = (struct switch_provider){
        .name = p->name,
        .kind = (int)p->kind,
        .status = (int)provider_status(p),
        .base_url = p->base_url,
        .models = (const char **)p->models,
        .models_count = p->model_count,
        .has_models_known_at = p->models_at > 0,
        .models_known_at = p->models_at,
        .models_error = p->models_error[0] ? p->models_error : NULL,
        .has_key_present = p->key_env || p->key_file,
        .key_present = provider_key_present(p),
        .breaker = b,
        .in_flight = p->in_flight,
        .requests = p->requests,
        .failures = p->failures,
        .has_first_token_p50_ms = median == median, /* not NaN */
        .first_token_p50_ms = median * 1000.0,
    };
}

static void on_providers(struct request *r, void *module)
{
    struct switch_ *sw = module;
    struct switch_provider *list = arena_array(request_arena(r), sw->provider_count + 1, sizeof *list);
    struct switch_breaker *breakers = arena_array(request_arena(r), sw->provider_count + 1, sizeof *breakers);
    if (!list || !breakers) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    size_t n = 0;
    for (size_t i = 0; i < sw->provider_count; i++)
        if (!sw->providers[i]->gone) {
            provider_message(sw->providers[i], &breakers[n], &list[n]);
            n++;
        }
    struct switch_provider_list reply = {
        .status = SWITCH_PROVIDER_LIST_STATUS_OK, .providers = list, .providers_count = n};
    request_reply(r, 200, &switch_provider_list_message, &reply);
}

static void on_context(struct request *r, void *module)
{
    struct switch_ *sw = module;
    const struct config_switch *c = module_config(sw->m)->values->switch_;
    const char *names[SWITCH_PROVIDERS];
    struct switch_context reply = {
        .status = SWITCH_CONTEXT_STATUS_OK,
        .default_model = selection_default(sw, DISPATCH_CHAT),
        .active_model = sw->active_model[0] ? sw->active_model : NULL,
        .in_flight = sw->in_flight,
        .token_required = true,
    };
    selector_context(sw, &reply);
    if (c->chain_count > 0) {
        reply.chain = c->chain;
        reply.chain_count = c->chain_count;
    } else {
        for (size_t i = 0; i < sw->provider_count; i++)
            if (sw->providers[i]->enabled)
                names[reply.chain_count++] = sw->providers[i]->name;
        reply.chain = names;
    }
    request_reply(r, 200, &switch_context_message, &reply);
}

/* ---- start, stop, reload ---- */

static size_t switch_listen(const struct config *config, struct server_listener *out, size_t max)
{
    const struct config_switch *c = config->values->switch_;
    if (max < 1)
        return 0;
    out[0] = (struct server_listener){.host = c->host, .port = (int)c->port};
    return 1;
}

static void on_limits(uv_timer_t *timer)
{
    struct switch_ *sw = timer->data;
    const int64_t now = clock_mono_ms();
    dispatch_limits(sw);
    registry_tick(sw);
    if (now - sw->budgets_at >= BUDGETS_EVERY_MS) {
        sw->budgets_at = now;
        limits_tick(sw->budgets, clock_wall_ms());
    }
    tension_tick(sw->tension, now);
}

static int rows_bound(struct module *m, struct error *err)
{
    struct store_value rows = STORE_I(module_config(m)->values->switch_->max_rows);
    return store_exec(module_store(m), sql_retention, &rows, 1, NULL, err);
}

static int budgets_start(struct switch_ *sw, struct error *err)
{
    const struct config_switch *c = module_config(sw->m)->values->switch_;
    struct cache_options options = cache_options_of(c);
    sw->cache = cache_create(&options);
    if (!sw->cache || cache_metrics(sw->cache, module_metrics(sw->m), &sw->cache_series) != 0)
        return error_set(err, VX11_ENOMEM, "out of memory");
    return limits_create(module_store(sw->m), c, clock_wall_ms(), &sw->budgets, err);
}

static int switch_start(struct module *m, void **context, struct error *err)
{
    struct switch_ *sw = calloc(1, sizeof *sw);
    if (!sw)
        return error_set(err, VX11_ENOMEM, "out of memory");
    *context = sw;
    sw->m = m;
    sw->registry_version = -1;
    int rc = providers_load(sw, module_config(m), err);
    if (rc == 0)
        rc = rows_bound(m, err);
    if (rc == 0)
        rc = admin_default_read(module_store(m), sw->default_model, sizeof sw->default_model, err);
    if (rc == 0)
        rc = budgets_start(sw, err);
    if (rc == 0)
        rc = selector_start(sw, &sw->selector, err);
    if (rc != 0)
        return rc;
    uv_timer_init(module_loop(m), &sw->limits);
    sw->limits.data = sw;
    uv_timer_start(&sw->limits, on_limits, LIMITS_EVERY_MS, LIMITS_EVERY_MS);
    rc = tension_start(sw, &sw->tension, err);
    if (rc == 0)
        rc = stats_start(sw, &sw->stats, err);
    if (rc == 0)
        rc = observe_start(sw, &sw->observe, err);
    return rc != 0 ? rc : queue_start(sw, &sw->queue, err);
}

static void on_stats_stopped(void *ctx)
{
    struct switch_ *sw = ctx;
    struct module *m = sw->m;
    void (*stopped)(struct module * m) = sw->stopped;
    stopped(m);
}

static void on_limits_closed(uv_handle_t *handle)
{
    struct switch_ *sw = handle->data;
    stats_stop(sw->stats, on_stats_stopped, sw);
}

static void on_selector_stopped(void *ctx)
{
    struct switch_ *sw = ctx;
    uv_close((uv_handle_t *)&sw->limits, on_limits_closed);
}

static void on_queue_stopped(void *ctx)
{
    struct switch_ *sw = ctx;
    selector_stop(sw->selector, on_selector_stopped, sw);
}

static void switch_stop(struct module *m, void *context, void (*done)(struct module *m))
{
    struct switch_ *sw = context;
    (void)m;
    sw->stopped = done;
    queue_stop(sw->queue, on_queue_stopped, sw);
}

static void switch_stopping(struct module *m, void *context)
{
    (void)m;
    queue_stopping(((struct switch_ *)context)->queue);
}

static void switch_state(struct module *m, void *context, enum server_state state)
{
    (void)m;
    queue_set_active(((struct switch_ *)context)->queue, state == SERVER_ACTIVE);
}

static void switch_free(void *context)
{
    struct switch_ *sw = context;
    queue_free(sw->queue);
    observe_free(sw->observe);
    stats_free(sw->stats);
    tension_free(sw->tension);
    selector_free(sw->selector);
    providers_free(sw);
    limits_destroy(sw->budgets);
    cache_destroy(sw->cache);
    free(sw);
}

static void switch_reload(struct module *m, void *context, const struct config *before,
                          const struct config *now)
{
    const struct config_switch *b = before->values->switch_, *n = now->values->switch_;
    struct error err = {0};
    if (providers_load(context, now, &err) != 0)
        log_error("switch", "the providers stay as they were", LOG_S("reason", err.text));
    if (b->breaker_threshold != n->breaker_threshold || b->breaker_open_ms != n->breaker_open_ms)
        providers_breakers(context, n);
    if (b->max_rows != n->max_rows && rows_bound(m, &err) != 0)
        log_error("switch", "the bound on rows stays as it was", LOG_S("reason", err.text));
    struct cache_options options = cache_options_of(n);
    cache_configure(((struct switch_ *)context)->cache, &options);
    limits_configure(((struct switch_ *)context)->budgets, n);
    ((struct switch_ *)context)->registry_version = -1; /* Hermes' own providers are told again */
    queue_reload(((struct switch_ *)context)->queue);
    selector_reload(((struct switch_ *)context)->selector);
}

static void switch_health(void *context, struct health *h)
{
    const struct switch_ *sw = context;
    for (size_t i = 0; i < sw->provider_count; i++) {
        const struct provider *p = sw->providers[i];
        char name[80];
        if (!p->enabled)
            continue;
        snprintf(name, sizeof name, "provider %.60s", p->name);
        bool open = breaker_peek(&p->breaker, clock_mono_ms()) != BREAKER_CLOSED;
        health_add(h, name, open ? 1 : 0, open ? "its breaker is open" : NULL);
    }
}

static const request_handler handlers[SWITCH_ROUTE_COUNT] = {
    [SWITCH_ROUTE_CHAT] = chat_own,
    [SWITCH_ROUTE_PROVIDERS] = on_providers,
    [SWITCH_ROUTE_CONTEXT] = on_context,
    [SWITCH_ROUTE_SELECT_PROVIDER] = select_explain,
    [SWITCH_ROUTE_SELECT_ENGINE] = select_explain,
    [SWITCH_ROUTE_SELECT_MODEL] = select_explain,
    [SWITCH_ROUTE_SHUB_DETECT] = select_shub,
    [SWITCH_ROUTE_CONTROL] = mode_control,
    [SWITCH_ROUTE_LEARNER] = learner_show,
    [SWITCH_ROUTE_RECORD_RESULT] = learner_record,
    [SWITCH_ROUTE_FEEDBACK] = learner_feedback,
    [SWITCH_ROUTE_HERMES_STATUS] = hermes_status,
    [SWITCH_ROUTE_TENSION] = tension_show,
    [SWITCH_ROUTE_FLUZO] = fluzo_show,
    [SWITCH_ROUTE_FLUZO_SIGNALS] = fluzo_show_signals,
    [SWITCH_ROUTE_CHAT_COMPLETIONS] = chat_completions,
    [SWITCH_ROUTE_COMPLETIONS] = chat_text_completions,
    [SWITCH_ROUTE_EMBEDDINGS] = chat_embeddings,
    [SWITCH_ROUTE_RESPONSES] = dialect_responses,
    [SWITCH_ROUTE_RESPONSE] = dialect_response_get,
    [SWITCH_ROUTE_MESSAGES] = dialect_messages,
    [SWITCH_ROUTE_COUNT_TOKENS] = dialect_count_tokens,
    [SWITCH_ROUTE_BUDGETS] = budgets_list,
    [SWITCH_ROUTE_BUDGET_SET] = budgets_set,
    [SWITCH_ROUTE_USAGE] = usage_report,
    [SWITCH_ROUTE_CACHE] = cache_show,
    [SWITCH_ROUTE_CACHE_CLEAR] = cache_empty,
    [SWITCH_ROUTE_DECISIONS] = decisions_list,
    [SWITCH_ROUTE_DECISION] = observe_on_decision,
    [SWITCH_ROUTE_STATS] = stats_report,
    [SWITCH_ROUTE_WARMUP_STATUS] = admin_warmup_status,
    [SWITCH_ROUTE_WARMUP_MANUAL] = admin_warmup_manual,
    [SWITCH_ROUTE_ADMIN_PRELOAD_MODEL] = admin_preload,
    [SWITCH_ROUTE_ADMIN_SET_DEFAULT_MODEL] = admin_default_model,
    [SWITCH_ROUTE_MODEL_HOT_RELOAD] = admin_hot_reload,
    [SWITCH_ROUTE_MODELS_AVAILABLE] = admin_models_available,
    [SWITCH_ROUTE_MODELS] = models_list,
    [SWITCH_ROUTE_MODEL] = models_get,
    [SWITCH_ROUTE_TASK] = queue_on_task,
    [SWITCH_ROUTE_TASK_GET] = queue_on_get,
    [SWITCH_ROUTE_QUEUE_ADD] = queue_on_add,
    [SWITCH_ROUTE_QUEUE_LIST] = queue_on_list,
    [SWITCH_ROUTE_QUEUE_STATUS] = queue_on_status,
    [SWITCH_ROUTE_QUEUE_NEXT] = queue_on_next,
    [SWITCH_ROUTE_QUEUE_CLAIM] = queue_on_claim,
    [SWITCH_ROUTE_QUEUE_RENEW] = queue_on_renew,
    [SWITCH_ROUTE_QUEUE_COMPLETE] = queue_on_complete,
    [SWITCH_ROUTE_QUEUE_GET] = queue_on_get,
    [SWITCH_ROUTE_QUEUE_CANCEL] = queue_on_cancel,
    [SWITCH_ROUTE_QUEUE_RETRY] = queue_on_retry,
    [SWITCH_ROUTE_QUEUE_EVENTS] = queue_on_events,
};

const struct module_spec switch_spec = {
    .contract = &switch_module,
    .handlers = handlers,
    .listen = switch_listen,
    .start = switch_start,
    .stopping = switch_stopping,
    .stop = switch_stop,
    .free = switch_free,
    .health = switch_health,
    .reload = switch_reload,
    .state = switch_state,
};
