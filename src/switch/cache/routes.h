/* Routes and metrics of the cache. */
#ifndef VX11_SWITCH_CACHE_ROUTES_H
#define VX11_SWITCH_CACHE_ROUTES_H

#include "contract/config.h"
#include "net/metrics.h"
#include "net/server.h"
#include "switch/cache/cache.h"

void cache_show(struct request *r, void *module);
void cache_empty(struct request *r, void *module);
struct cache_options cache_options_of(const struct config_switch *c);
/* Its series, refreshed when they are read. */
struct cache_series {
    const struct cache *c;
    struct metric *results[CACHE_RESULTS], *entries, *bytes, *evicted;
};
/* 0 or VX11_ENOMEM. x lives as long as the metrics. */
int cache_metrics(struct cache *c, struct metrics *m, struct cache_series *x);

#endif
