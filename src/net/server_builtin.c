/* Server builtin: /health, /metrics and /openapi.json, which every server answers by itself. */
#include <string.h>

#include "api/common.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/server_internal.h"

enum { MAX_CHECKS = 64 };

const struct contract_route builtin_routes[BUILTIN_COUNT] = {
    [BUILTIN_HEALTH] = {.id = "health",
                        .method = "GET",
                        .path = "/health",
                        .summary = "Health of this module",
                        .scope = CONTRACT_SCOPE_OPEN,
                        .flags = CONTRACT_ROUTE_STANDBY,
                        .status = 200,
                        .content_type = "application/json"},
    [BUILTIN_METRICS] = {.id = "metrics",
                         .method = "GET",
                         .path = "/metrics",
                         .summary = "Metrics as Prometheus text",
                         .scope = CONTRACT_SCOPE_READ,
                         .flags = CONTRACT_ROUTE_STANDBY,
                         .status = 200,
                         .content_type = "application/json"},
    [BUILTIN_OPENAPI] = {.id = "openapi",
                         .method = "GET",
                         .path = "/openapi.json",
                         .summary = "This module's interface",
                         .scope = CONTRACT_SCOPE_READ,
                         .flags = CONTRACT_ROUTE_STANDBY,
                         .status = 200,
                         .content_type = "application/json"},
};

struct health {
    struct arena *arena;
    struct common_check checks[MAX_CHECKS];
    size_t count, dropped;
    int worst;
};

void health_add(struct health *h, const char *name, int status, const char *detail)
{
    if (status > h->worst)
        h->worst = status;
    if (h->count == MAX_CHECKS) {
        h->dropped++;
        return;
    }
    struct common_check *check = &h->checks[h->count++];
    check->name = arena_strdup(h->arena, name);
    check->status = status;
    check->detail = detail ? arena_strdup(h->arena, detail) : NULL;
}

static void check_loop(struct server *s, struct health *h)
{
    double lag = metrics_loop_lag(s->o.metrics);
    char detail[80];
    if (lag < 0) {
        health_add(h, "loop", 0, "not measured yet");
        return;
    }
    snprintf(detail, sizeof detail, "worst delay of the last 10 s: %.1f ms", lag * 1e3);
    health_add(h, "loop", lag > 0.5 ? 1 : 0, detail);
}

static void check_connections(struct server *s, struct health *h)
{
    char detail[80];
    bool full = s->conn_count >= s->o.max_connections;
    snprintf(detail, sizeof detail, "%u of %u", s->conn_count, s->o.max_connections);
    health_add(h, "connections", full ? 1 : 0, detail);
}

static void on_health(struct request *r, void *module)
{
    struct server *s = module;
    struct health *h = arena_zalloc(r->arena, sizeof *h);
    if (!h) {
        request_fail(r, 503, "out_of_memory", NULL, "Out of memory.");
        return;
    }
    h->arena = r->arena;
    check_loop(s, h);
    check_connections(s, h);
    if (s->o.health)
        s->o.health(s->o.health_ctx ? s->o.health_ctx : s->o.module, h);
    if (h->dropped)
        log_warn("server", "more health checks than are shown", LOG_I("dropped", h->dropped));
    struct common_health_reply reply = {
        .status = h->worst,
        .module = s->o.contract->name,
        .version = s->o.version ? s->o.version : "",
        .state = s->state == SERVER_ACTIVE ? COMMON_STATE_ACTIVE : COMMON_STATE_STANDBY,
        .uptime_s = (double)(clock_mono_ms() - s->started_ms) / 1e3,
        .checks = h->checks,
        .checks_count = h->count,
    };
    request_reply(r, 200, &common_health_reply_message, &reply);
}

static void on_metrics(struct request *r, void *module)
{
    struct server *s = module;
    struct buf text = BUF_INIT;
    if (metrics_render(s->o.metrics, &text) != 0) {
        buf_free(&text);
        request_fail(r, 503, "out_of_memory", NULL, "Out of memory.");
        return;
    }
    size_t len;
    char *data = buf_detach(&text, &len);
    request_reply_bytes(r, 200, "text/plain; version=0.0.4; charset=utf-8", data, len, true);
}

static void on_openapi(struct request *r, void *module)
{
    struct server *s = module;
    struct buf *doc = &s->openapi; /* made once */
    if (doc->len == 0 && contract_openapi(s->o.contract, s->o.version ? s->o.version : "", doc) != 0) {
        buf_clear(doc);
        request_fail(r, 500, "internal_error", NULL, "The description could not be made.");
        return;
    }
    request_reply_static(r, 200, "application/json", doc->data, doc->len);
}

request_handler builtin_handler(size_t index)
{
    static const request_handler handlers[BUILTIN_COUNT] = {
        [BUILTIN_HEALTH] = on_health, [BUILTIN_METRICS] = on_metrics, [BUILTIN_OPENAPI] = on_openapi};
    return handlers[index];
}
