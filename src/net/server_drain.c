/* Server drain: the orderly end.
 *
 *   drain ─> no new connections; idle ones are closed; replies say "Connection: close"
 *         ─> requests finish ─┬─> nothing is left: stop
 *                             └─> the limit passes: the rest is cancelled ─> a moment later what still hangs
 * is cut off
 *
 * Requests whose handler has not made its terminal call hold the end up: the handler still uses them. */
#include "base/log.h"
#include "net/server_internal.h"

static bool conn_idle(const struct conn *c)
{
    return !c->request && !c->queued && !c->stream.open && !c->websocket && !c->suspended;
}

static void close_idle(struct server *s)
{
    for (struct conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        if (conn_idle(c) && !c->dead)
            conn_abort(c);
    }
}

static void cancel_requests(struct server *s, bool (*which)(const struct request *r))
{
    struct request *r = s->requests, *next;
    if (r)
        request_pin(r);
    for (; r; r = next) {
        next = r->next;
        if (next)
            request_pin(next); /* a handler that hears of its end may end others too */
        if (!which || which(r))
            request_cancel(r, VX11_ECANCELLED);
        request_unpin(r);
    }
}

/* Requests that end by themselves may do so. */
static bool outlived_its_caller(const struct request *r)
{
    return r->dispatched && r->deadline == INT64_MAX && !auth_knows(r->server->o.auth, &r->principal);
}

void server_recheck(struct server *s)
{
    if (!s->o.auth || s->stopped)
        return;
    cancel_requests(s, outlived_its_caller);
    for (struct conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        if (c->websocket && !auth_knows(s->o.auth, &c->holder))
            websocket_going_away(c->websocket);
    }
}

static void cancel_rest(struct server *s)
{
    s->cancelled_rest = true;
    if (s->in_flight > 0)
        log_warn("server", "cancelling what did not finish in time", LOG_I("requests", s->in_flight));
    cancel_requests(s, NULL);
    for (struct conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        if (c->websocket)
            websocket_going_away(c->websocket);
    }
}

static void cut_off(struct server *s, uint64_t now)
{
    for (struct conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        if (c->websocket)
            websocket_cut(c->websocket);
        else
            conn_abort(c);
    }
    if (s->conn_count == 0 && s->in_flight > 0 && now >= s->drain_warned) {
        s->drain_warned = now + 5000;
        for (const struct request *r = s->requests; r; r = r->next)
            log_error("server", "a handler has not ended a cancelled request",
                      LOG_S("route", r->route ? r->route->id : ""), LOG_S("request", r->id));
    }
}

void drain_check(struct server *s, uint64_t now)
{
    if (s->stopped)
        return;
    close_idle(s);
    if (now >= s->drain_until && !s->cancelled_rest)
        cancel_rest(s);
    if (now >= s->drain_until + DRAIN_GRACE_MS)
        cut_off(s, now);
    server_mark_dirty(s, NULL); /* the turn looks whether anything is left */
}

void server_drain(struct server *s, int64_t limit_ms, void (*done)(void *ctx), void *ctx)
{
    if (s->draining) { /* once more: only sooner */
        uint64_t until = server_now(s) + (uint64_t)(limit_ms > 0 ? limit_ms : 0);
        if (until < s->drain_until)
            s->drain_until = until;
        return;
    }
    s->draining = true;
    s->drained = done;
    s->drained_ctx = ctx;
    uv_update_time(s->loop);
    s->drain_until = server_now(s) + (uint64_t)(limit_ms > 0 ? limit_ms : 0);
    for (size_t i = 0; i < s->listener_count; i++) {
        MHD_quiesce_daemon(s->listeners[i].daemon);
        listener_close_socket(&s->listeners[i]);
        server_mark_dirty(s, &s->listeners[i]);
    }
    uv_timer_stop(&s->tick);
    server_tick_start(s);
    drain_check(s, server_now(s));
}
