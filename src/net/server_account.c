/* Server account: one access record and the metrics of each request. Series are made when a (route, status)
 * is first seen and then found in a short array, so the hot path neither searches by name nor formats labels.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/server_internal.h"

int account_init(struct server *s, struct error *err)
{
    struct metrics *m = s->o.metrics;
    if (!m)
        return error_set(err, VX11_EINVALID, "a server needs metrics");
    s->stats = calloc(s->route_count + 1, sizeof *s->stats);
    s->m_connections = metrics_get(m, METRIC_GAUGE, "vx11_http_connections", NULL, "Open connections.");
    s->m_in_flight =
        metrics_get(m, METRIC_GAUGE, "vx11_http_requests_in_flight", NULL, "Requests not yet over.");
    s->m_accepted =
        metrics_get(m, METRIC_COUNTER, "vx11_http_connections_total", NULL, "Connections accepted.");
    s->m_refused = metrics_get(m, METRIC_COUNTER, "vx11_http_connections_refused_total", NULL,
                               "Connections turned away for want of room.");
    s->m_bytes_in =
        metrics_get(m, METRIC_COUNTER, "vx11_http_received_bytes_total", NULL, "Bytes of request bodies.");
    s->m_bytes_out =
        metrics_get(m, METRIC_COUNTER, "vx11_http_sent_bytes_total", NULL, "Bytes of reply bodies.");
    s->m_slow = metrics_get(m, METRIC_COUNTER, "vx11_http_slow_readers_total", NULL,
                            "Streams dropped because their reader was too slow.");
    s->m_cancelled = metrics_get(m, METRIC_COUNTER, "vx11_http_cancelled_total", NULL,
                                 "Requests whose client left, whose time ran out or that a shutdown ended.");
    s->m_websockets = metrics_get(m, METRIC_GAUGE, "vx11_http_websockets", NULL, "Open WebSockets.");
    if (!s->stats || !s->m_connections || !s->m_in_flight || !s->m_accepted || !s->m_refused ||
        !s->m_bytes_in || !s->m_bytes_out || !s->m_slow || !s->m_cancelled || !s->m_websockets)
        return error_set(err, VX11_ENOMEM, "out of memory");
    return 0;
}

static const char *route_name(const struct request *r)
{
    return r->route ? r->route->id : "none";
}

static struct metric *status_series(struct request *r, struct route_stats *stats, int status)
{
    char labels[160];
    for (int i = 0; i < CODES; i++) {
        if (stats->codes[i].status == status && stats->codes[i].count)
            return stats->codes[i].count;
        if (stats->codes[i].count)
            continue;
        snprintf(labels, sizeof labels, "route=\"%s\",code=\"%d\"", route_name(r), status);
        stats->codes[i].status = status;
        stats->codes[i].count = metrics_get(r->server->o.metrics, METRIC_COUNTER, "vx11_http_requests_total",
                                            labels, "Requests answered.");
        return stats->codes[i].count;
    }
    return NULL; /* a handler that makes up status codes */
}

static struct caller_stats *caller_series(struct server *s, enum request_caller caller)
{
    static const char *const names[] = {
        [CALLER_PEOPLE] = "people", [CALLER_PROGRAMS] = "programs", [CALLER_SHELL] = "shell"};
    static const char *const outcomes[] = {"ok", "failed", "cancelled"};
    struct caller_stats *c = &s->callers[caller];
    char labels[80];
    if (c->seconds)
        return c;
    for (int i = 0; i < CALLER_OUTCOMES; i++) {
        snprintf(labels, sizeof labels, "caller=\"%s\",outcome=\"%s\"", names[caller], outcomes[i]);
        c->outcomes[i] = metrics_get(s->o.metrics, METRIC_COUNTER, "vx11_http_callers_total", labels,
                                     "Requests from outside, by who asked.");
        if (!c->outcomes[i])
            return NULL;
    }
    snprintf(labels, sizeof labels, "caller=\"%s\"", names[caller]);
    c->seconds = metrics_get(s->o.metrics, METRIC_HISTOGRAM, "vx11_http_caller_seconds", labels,
                             "From the request line to the reply, of a stream to its headers.");
    return c->seconds ? c : NULL;
}

/* What the kit answers by itself (health, metrics) is nobody's call. */
static void count_caller(struct request *r, int status, double seconds)
{
    struct server *s = r->server;
    if (r->caller == CALLER_NONE || r->index >= s->o.contract->route_count)
        return;
    struct caller_stats *c = caller_series(s, r->caller);
    if (!c)
        return;
    metric_add(c->outcomes[status == 499 ? CALLER_LEFT : status >= 500 ? CALLER_FAILED : CALLER_OK], 1);
    metric_observe(c->seconds, r->begun_ns ? (double)(r->begun_ns - r->started_ns) / 1e9 : seconds);
}

static void count(struct request *r, int status, double seconds)
{
    struct server *s = r->server;
    struct route_stats *stats = &s->stats[r->index < s->route_count ? r->index : s->route_count];
    struct metric *total = status_series(r, stats, status);
    if (total)
        metric_add(total, 1);
    if (!stats->seconds) {
        char labels[160];
        snprintf(labels, sizeof labels, "route=\"%s\"", route_name(r));
        stats->seconds = metrics_get(s->o.metrics, METRIC_HISTOGRAM, "vx11_http_request_seconds", labels,
                                     "From the request line to the reply's last byte handed to the kernel.");
    }
    if (stats->seconds)
        metric_observe(stats->seconds, seconds);
    if (r->bytes_out)
        metric_add(s->m_bytes_out, (double)r->bytes_out);
}

/* What the kit answers by itself (health, metrics) is nobody's trace. */
static void trace(struct request *r, int status)
{
    struct server *s = r->server;
    if (!tracer_on(s->o.tracer) || r->index >= s->o.contract->route_count)
        return;
    struct trace_span *span = request_span(r);
    trace_span_text(span, "http.request.method", r->method);
    trace_span_text(span, "http.route", r->route->path);
    trace_span_text(span, "url.path", r->path);
    trace_span_int(span, "http.response.status_code", status);
    trace_span_text(span, "vx11.request_id", r->id);
    trace_span_text(span, "vx11.principal", r->principal.name[0] ? r->principal.name : NULL);
    if (status >= 500 || status == 499)
        trace_span_error(span, status == 499 ? "the client left" : NULL);
    r->span = NULL;
    trace_span_end(span);
}

void account_request(struct request *r, int status)
{
    if (r->accounted)
        return;
    double seconds = (double)(clock_mono_ns() - r->started_ns) / 1e9;
    count(r, status, seconds);
    count_caller(r, status, seconds);
    trace(r, status);
    r->accounted = true;
    /* Looks at health and metrics come by the second and say nothing when they go well. */
    const bool look = r->index >= r->server->o.contract->route_count && r->index < r->server->route_count;
    const enum log_level level = look && status == 200 ? LOG_DEBUG : LOG_INFO;
    if (!log_enabled(level))
        return;
    log_set_request(r->id);
    LOG_AT(level, "http", "request", LOG_S("route", route_name(r)), LOG_S("method", r->method),
           LOG_I("status", status), LOG_D("duration_ms", seconds * 1e3), LOG_I("bytes", r->bytes_out),
           LOG_S("principal", r->principal.name));
    log_set_request(NULL);
}
