/* Server: start, the turn of the loop, stop.
 *
 * libmicrohttpd runs without a thread of its own: its epoll descriptor is watched by our loop, and MHD_run is
 * called when that is readable or when one of us has resumed a connection. Resumes only set a flag; the check
 * and prepare handles act on it in the same turn, so that a reply made in a callback of this turn leaves in
 * this turn. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "net/server_internal.h"

uint64_t server_now(const struct server *s)
{
    return uv_now(s->loop);
}

/* ---- the turn ---- */

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* its presence keeps the loop from sleeping while work is left */
}

void server_mark_dirty(struct server *s, struct listener *l)
{
    if (l)
        l->dirty = true;
    s->dirty = true;
    if (!s->idling && s->started && !s->stopped) {
        s->idling = true;
        uv_idle_start(&s->idle, on_idle);
    }
}

static void listener_run(struct listener *l)
{
    MHD_UNSIGNED_LONG_LONG wait;
    l->dirty = false;
    MHD_run(l->daemon);
    if (MHD_get_timeout(l->daemon, &wait) == MHD_YES && wait == 0)
        server_mark_dirty(l->server, l);
}

static void server_turn(struct server *s)
{
    /* A few rounds: what a handler queues in one is sent in the next. More would starve the other
     * descriptors. */
    for (int round = 0; s->dirty && round < 4; round++) {
        s->dirty = false;
        for (size_t i = 0; i < s->listener_count && !s->stopped; i++) {
            if (s->listeners[i].dirty)
                listener_run(&s->listeners[i]);
        }
        streams_flush(s);
    }
    if (!s->dirty && s->idling) {
        s->idling = false;
        uv_idle_stop(&s->idle);
    }
    if (s->draining && !s->stopped)
        server_finish_if_drained(s);
}

static void on_prepare(uv_prepare_t *handle)
{
    struct server *s = handle->data;
    if (s->dirty || s->draining)
        server_turn(s);
}

static void on_check(uv_check_t *handle)
{
    struct server *s = handle->data;
    if (s->dirty || s->draining)
        server_turn(s);
}

static void on_listener_readable(uv_poll_t *handle, int status, int events)
{
    struct listener *l = handle->data;
    (void)events;
    if (status < 0)
        log_error("server", "event descriptor failed", LOG_S("error", uv_strerror(status)));
    l->dirty = true; /* run by the check handle at the end of this turn, together with what else is due */
    l->server->dirty = true;
}

static void on_tick(uv_timer_t *timer)
{
    struct server *s = timer->data;
    uint64_t now = server_now(s);
    conns_check(s, now);
    lingers_check(s, now, false);
    streams_heartbeat(s, now);
    if (s->draining)
        drain_check(s, now);
    else if (s->conn_count == 0 && s->linger_count == 0)
        uv_timer_stop(timer);
}

static uint64_t tick_period(const struct server *s)
{
    int64_t period = s->o.header_timeout_ms / 4;
    if (s->o.heartbeat_ms > 0 && s->o.heartbeat_ms / 4 < period)
        period = s->o.heartbeat_ms / 4;
    return period < 10 ? 10 : period > 1000 ? 1000 : (uint64_t)period;
}

void server_tick_start(struct server *s)
{
    if (!uv_is_active((uv_handle_t *)&s->tick) && !s->stopped) {
        uint64_t period = tick_period(s);
        uv_timer_start(&s->tick, on_tick, period, period);
    }
}

/* ---- start ---- */

static void set_defaults(struct server_options *o)
{
    o->max_body = o->max_body ? o->max_body : 1024 * 1024;
    o->max_header = o->max_header ? o->max_header : 16 * 1024;
    o->header_timeout_ms = o->header_timeout_ms ? o->header_timeout_ms : 10 * 1000;
    o->request_timeout_ms = o->request_timeout_ms ? o->request_timeout_ms : 60 * 1000;
    o->stream_queue = o->stream_queue ? o->stream_queue : 1024 * 1024;
    o->heartbeat_ms = o->heartbeat_ms ? o->heartbeat_ms : 15 * 1000;
    o->max_connections = o->max_connections ? o->max_connections : 8192;
}

/* A connection is a descriptor: the soft limit of the shell's is often below our own. */
static void raise_descriptor_limit(unsigned connections)
{
    struct rlimit lim;
    rlim_t want = (rlim_t)connections + 512;
    if (getrlimit(RLIMIT_NOFILE, &lim) != 0 || lim.rlim_cur >= want)
        return;
    lim.rlim_cur = lim.rlim_max < want ? lim.rlim_max : want;
    if (setrlimit(RLIMIT_NOFILE, &lim) != 0 || lim.rlim_cur < want)
        log_warn("server", "fewer descriptors than connections are allowed",
                 LOG_I("descriptors", lim.rlim_cur), LOG_I("connections", connections));
}

static int routes_init(struct server *s, struct error *err)
{
    size_t own = s->o.contract->route_count;
    s->route_count = own + BUILTIN_COUNT;
    s->routes = calloc(s->route_count, sizeof *s->routes);
    if (!s->routes)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < s->route_count; i++)
        s->routes[i] = i < own ? &s->o.contract->routes[i] : &builtin_routes[i - own];
    for (size_t i = 0; i < own; i++) {
        if (!s->o.handlers || !s->o.handlers[i])
            return error_set(err, VX11_EINVALID, "route %s has no handler", s->o.contract->routes[i].id);
    }
    return router_create(s->routes, s->route_count, &s->router, err);
}

/* MHD's unescaping and query parsing is not ours: targets are taken raw, by conn_on_target. */
static size_t keep_escaped(void *cls, struct MHD_Connection *mhd, char *text)
{
    (void)cls;
    (void)mhd;
    return strlen(text);
}

static int daemon_start(struct listener *l, struct error *err)
{
    struct server *s = l->server;
    /* TURBO: read at once after accept, no shutdown() before close. */
    unsigned flags = MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE;
    l->daemon = MHD_start_daemon(flags, 0, NULL, NULL, conn_on_access, l, MHD_OPTION_LISTEN_SOCKET, l->fd,
                                 MHD_OPTION_CONNECTION_LIMIT, s->o.max_connections + CONNECTION_SLACK,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, s->o.max_header + s->o.max_header / 2,
                                 MHD_OPTION_NOTIFY_CONNECTION, conn_on_notify, l, MHD_OPTION_NOTIFY_COMPLETED,
                                 conn_on_completed, l, MHD_OPTION_URI_LOG_CALLBACK, conn_on_target, l,
                                 MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, NULL, MHD_OPTION_END);
    if (!l->daemon)
        return error_set(err, VX11_EINTERNAL, "the HTTP server did not start");
    return 0;
}

static int listeners_init(struct server *s, struct error *err)
{
    s->listeners = calloc(s->o.listener_count ? s->o.listener_count : 1, sizeof *s->listeners);
    if (!s->listeners)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < s->o.listener_count; i++) {
        struct listener *l = &s->listeners[i];
        l->server = s;
        l->fd = -1;
        s->listener_count = i + 1;
        int rc = listener_open(l, &s->o.listeners[i], err);
        if (rc == 0)
            rc = daemon_start(l, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct server *s = handle->data;
    s->handles--;
    server_finish_if_drained(s);
}

void server_handle_close(struct server *s, uv_handle_t *handle)
{
    handle->data = s;
    uv_close(handle, on_handle_closed);
}

/* The last step that can fail is the first uv_poll: after it there is nothing to undo. */
static int handles_init(struct server *s, struct error *err)
{
    uv_loop_t *loop = s->loop;
    for (size_t i = 0; i < s->listener_count; i++) {
        struct listener *l = &s->listeners[i];
        const union MHD_DaemonInfo *info = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        int rc = info ? uv_poll_init(loop, &l->poll, info->epoll_fd) : UV_EINVAL;
        if (rc == 0) {
            s->handles++;
            l->polling = true;
            l->poll.data = l;
            rc = uv_poll_start(&l->poll, UV_READABLE, on_listener_readable);
        }
        if (rc != 0)
            return error_set(err, VX11_EINTERNAL, "cannot watch the HTTP server's events: %s",
                             uv_strerror(rc));
    }
    uv_prepare_init(loop, &s->prepare);
    uv_check_init(loop, &s->check);
    uv_idle_init(loop, &s->idle);
    uv_timer_init(loop, &s->tick);
    uv_timer_init(loop, &s->deadline);
    s->prepare.data = s->check.data = s->idle.data = s->tick.data = s->deadline.data = s;
    s->handles += 5;
    uv_prepare_start(&s->prepare, on_prepare);
    uv_check_start(&s->check, on_check);
    /* Listeners and connections keep the loop alive; these only follow. */
    uv_unref((uv_handle_t *)&s->prepare);
    uv_unref((uv_handle_t *)&s->check);
    s->started = true;
    return 0;
}

static void server_free(struct server *s)
{
    while (s->pool) {
        struct request *r = s->pool;
        s->pool = r->next;
        arena_destroy(r->arena);
        buf_free(&r->body);
        buf_free(&r->reply);
        free(r);
    }
    for (size_t i = 0; i < s->listener_count; i++) {
        free(s->listeners[i].path);
        free(s->listeners[i].host);
    }
    buf_free(&s->openapi);
    router_destroy(s->router);
    free(s->listeners);
    free(s->stats);
    free(s->routes);
    free(s);
}

/* Stops MHD and closes the loop's handles; the rest happens in server_finish_if_drained when they are closed.
 */
static void server_stop(struct server *s)
{
    s->stopped = true;
    for (size_t i = 0; i < s->listener_count; i++) {
        struct listener *l = &s->listeners[i];
        if (l->polling)
            server_handle_close(s, (uv_handle_t *)&l->poll);
        l->polling = false;
        if (l->daemon) {
            MHD_quiesce_daemon(l->daemon); /* or it would close our socket */
            MHD_stop_daemon(l->daemon);
        }
        l->daemon = NULL;
        listener_close_socket(l);
    }
    if (s->started) {
        server_handle_close(s, (uv_handle_t *)&s->prepare);
        server_handle_close(s, (uv_handle_t *)&s->check);
        server_handle_close(s, (uv_handle_t *)&s->idle);
        server_handle_close(s, (uv_handle_t *)&s->tick);
        server_handle_close(s, (uv_handle_t *)&s->deadline);
    }
}

/* MHD found its own state broken: going on would be guesswork. The abort is caught by the crash handler. */
static void on_panic(void *cls, const char *file, unsigned int line, const char *reason)
{
    (void)cls;
    log_error("server", "libmicrohttpd gave up", LOG_S("file", file), LOG_I("line", line),
              LOG_S("reason", reason ? reason : ""));
    abort();
}

int server_start(const struct server_options *options, struct server **out, struct error *err)
{
    *out = NULL;
    struct server *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, VX11_ENOMEM, "out of memory");
    s->o = *options;
    set_defaults(&s->o);
    s->loop = options->loop;
    s->started_ms = clock_mono_ms();
    random_bytes(&s->span_seed, sizeof s->span_seed);
    raise_descriptor_limit(s->o.max_connections);
    MHD_set_panic_func(on_panic, NULL);
    int rc = routes_init(s, err);
    if (rc == 0)
        rc = account_init(s, err);
    if (rc == 0)
        rc = listeners_init(s, err);
    if (rc == 0)
        rc = handles_init(s, err);
    if (rc == 0) {
        *out = s;
        return 0;
    }
    /* Nobody has connected yet that we would have to tell. */
    s->draining = true;
    s->destroying = true;
    server_stop(s);
    if (s->handles == 0)
        server_free(s);
    return rc;
}

int server_port(const struct server *s, size_t listener)
{
    return listener < s->listener_count ? s->listeners[listener].port : VX11_ENOT_FOUND;
}

void server_set_allowed(struct server *s, const char *const *hosts, const char *const *origins)
{
    s->o.allowed_hosts = hosts;
    s->o.allowed_origins = origins;
}

void server_set_state(struct server *s, enum server_state state)
{
    s->state = state;
}

unsigned server_connections(const struct server *s)
{
    return s->conn_count;
}

unsigned server_requests_in_flight(const struct server *s)
{
    return s->in_flight;
}

/* ---- stop ---- */

void server_finish_if_drained(struct server *s)
{
    if (!s->draining)
        return;
    if (!s->stopped) {
        if (s->conn_count > 0 || s->in_flight > 0)
            return;
        lingers_check(s, server_now(s), true);
        server_stop(s);
    }
    if (s->handles > 0)
        return;
    void (*drained)(void *) = s->drained;
    void *ctx = s->drained_ctx;
    s->drained = NULL;
    if (s->destroying) {
        server_free(s);
    }
    if (drained)
        drained(ctx);
}

void server_destroy(struct server *s)
{
    if (!s)
        return;
    s->destroying = true;
    if (s->stopped && s->handles == 0)
        server_free(s);
    else if (!s->draining)
        server_drain(s, 0, NULL, NULL);
}
