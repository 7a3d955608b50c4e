/* Routes: what the cache holds, and emptying it; and the same for Prometheus. */
#include "switch/cache/routes.h"

#include "switch/switch_internal.h"

struct cache_options cache_options_of(const struct config_switch *c)
{
    return (struct cache_options){.enabled = c->cache->enabled,
                                  .ttl_ms = c->cache->ttl_ms,
                                  .max_bytes = (size_t)c->cache->max_bytes,
                                  .max_entry_bytes = (size_t)c->cache->max_entry_bytes};
}

void cache_show(struct request *r, void *module)
{
    const struct switch_ *sw = module;
    const struct config_switch *c = module_config(sw->m)->values->switch_;
    struct cache_stats s;
    cache_stats(sw->cache, &s);
    struct switch_cache_status reply = {.enabled = c->cache->enabled,
                                        .entries = (int64_t)s.entries,
                                        .bytes = (int64_t)s.bytes,
                                        .max_bytes = c->cache->max_bytes,
                                        .hits = (int64_t)s.results[CACHE_HIT],
                                        .misses = (int64_t)s.results[CACHE_MISS],
                                        .bypassed = (int64_t)s.results[CACHE_BYPASS],
                                        .kept = (int64_t)s.kept,
                                        .evicted = (int64_t)s.evicted,
                                        .expired = (int64_t)s.expired};
    request_reply(r, 200, &switch_cache_status_message, &reply);
}

void cache_empty(struct request *r, void *module)
{
    struct switch_ *sw = module;
    cache_clear(sw->cache);
    cache_show(r, module);
}

/* ---- metrics ---- */

static void on_render(void *ctx)
{
    struct cache_series *x = ctx;
    struct cache_stats s;
    cache_stats(x->c, &s);
    for (size_t i = 0; i < CACHE_RESULTS; i++)
        metric_add(x->results[i], (double)s.results[i] - metric_value(x->results[i]));
    metric_add(x->evicted, (double)s.evicted - metric_value(x->evicted));
    metric_set(x->entries, (double)s.entries);
    metric_set(x->bytes, (double)s.bytes);
}

int cache_metrics(struct cache *c, struct metrics *m, struct cache_series *x)
{
    static const char *const labels[CACHE_RESULTS] = {"result=\"hit\"", "result=\"miss\"",
                                                      "result=\"bypass\""};
    *x = (struct cache_series){.c = c};
    for (size_t i = 0; i < CACHE_RESULTS; i++)
        x->results[i] = metrics_get(m, METRIC_COUNTER, "vx11_cache_requests_total", labels[i],
                                    "Requests by what the cache of replies did.");
    x->evicted = metrics_get(m, METRIC_COUNTER, "vx11_cache_evicted_total", NULL,
                             "Replies that made room for others.");
    x->entries = metrics_get(m, METRIC_GAUGE, "vx11_cache_entries", NULL, "Replies kept.");
    x->bytes = metrics_get(m, METRIC_GAUGE, "vx11_cache_bytes", NULL, "Memory of the replies kept.");
    if (!x->results[0] || !x->results[1] || !x->results[2] || !x->evicted || !x->entries || !x->bytes)
        return VX11_ENOMEM;
    return metrics_on_render(m, on_render, x);
}
