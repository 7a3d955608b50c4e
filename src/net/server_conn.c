/* Server conn: what MHD tells us about a connection, and what we do to one.
 *
 * What is known about libmicrohttpd 0.9.75 and relied on here:
 *  - A response can be queued in the first call (headers; the connection is then closed after it, whatever
 * the request) or in the last one (everything received), and while suspended in that state; never between.
 * Refusals in the middle of a body therefore go past MHD (conn_send_raw).
 *  - While suspended a connection is in no epoll set of MHD's: a client that leaves is noticed by our own
 * uv_poll.
 *  - A connection that is closed from the content callback stays until MHD looks at it again
 * (conn_hasten_close).
 *  - NOTIFY_CLOSED comes before close(fd), so our poll is gone before the number can be used again. */
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/server_internal.h"

static void on_poll(uv_poll_t *handle, int status, int events);

/* ---- acting on a connection ---- */

void conn_suspend(struct conn *c)
{
    if (c->suspended)
        return;
    c->suspended = true;
    MHD_suspend_connection(c->mhd);
    if (!c->gone && conn_poll(c, UV_DISCONNECT) != 0)
        log_warn("server", "cannot watch a connection", LOG_I("fd", c->fd));
}

void conn_resume(struct conn *c)
{
    if (!c->suspended)
        return;
    c->suspended = false;
    MHD_resume_connection(c->mhd);
    server_mark_dirty(c->server, c->listener);
}

/* A connection that MHD closes in its content callback is not cleaned up before something else makes MHD look
 * at it. Connections with a time limit of their own it looks at in every run. */
void conn_hasten_close(struct conn *c)
{
    MHD_set_connection_option(c->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 1U);
    server_mark_dirty(c->server, c->listener);
}

void conn_abort(struct conn *c)
{
    c->dead = true;
    c->since_ms = server_now(c->server);
    if (c->suspended)
        conn_resume(c);
    else if (!c->in_callback)
        shutdown(c->fd, SHUT_RDWR); /* MHD sees a hang-up; it fails only when the peer was faster */
    conn_hasten_close(c);
}

int conn_poll(struct conn *c, unsigned events)
{
    events |= UV_DISCONNECT;
    if (!c->polling) {
        int rc = uv_poll_init(c->server->loop, &c->poll, c->fd);
        if (rc != 0)
            return VX11_EIO;
        c->poll.data = c;
        c->polling = true;
        c->server->handles++;
        c->events = 0;
    }
    if (c->events == events)
        return 0;
    if (uv_poll_start(&c->poll, (int)events, on_poll) != 0)
        return VX11_EIO;
    c->events = events;
    return 0;
}

void conn_poll_stop(struct conn *c)
{
    if (c->polling)
        uv_poll_stop(&c->poll);
    c->events = 0;
}

bool conn_can_queue(const struct conn *c)
{
    if (c->in_callback)
        return c->can_queue;
    return c->suspended && c->request && c->request->body_done;
}

void conn_queue(struct conn *c, unsigned status, struct MHD_Response *response)
{
    c->since_ms = server_now(c->server);
    c->queued = true;
    if (MHD_queue_response(c->mhd, status, response) != MHD_YES)
        c->dead = true; /* the next call ends it */
    MHD_destroy_response(response);
    if (!c->in_callback)
        conn_resume(c);
}

/* Sends what the socket takes; the rest is kept for the lingering close. */
static void send_or_keep(struct conn *c, struct buf *b)
{
    ssize_t n = send(c->fd, b->data, b->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN)
        return; /* gone: there is nobody to tell */
    buf_consume(b, n > 0 ? (size_t)n : 0);
    if (b->len > 0)
        c->unsent = buf_detach(b, &c->unsent_len);
}

void conn_send_raw(struct conn *c, int status, const char *content_type, const struct reply_header *headers,
                   const char *id, const void *data, size_t len)
{
    struct buf b = BUF_INIT;
    buf_printf(&b, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: %zu\r\n", status,
               MHD_get_reason_phrase_for((unsigned)status), len);
    if (content_type)
        buf_printf(&b, "Content-Type: %s\r\n", content_type);
    if (id)
        buf_printf(&b, "X-Request-Id: %s\r\n", id);
    for (; headers; headers = headers->next)
        buf_printf(&b, "%s: %s\r\n", headers->name, headers->value);
    buf_puts(&b, "\r\n");
    buf_append(&b, data, len);
    c->linger = true;
    if (!b.failed)
        send_or_keep(c, &b);
    buf_free(&b);
    c->dead = true;
    c->since_ms = server_now(c->server);
    if (!c->in_callback)
        conn_resume(c); /* not suspended: its next piece of body, or the timeout, ends it */
}

/* ---- a client that leaves ---- */

static void conn_left(struct conn *c)
{
    struct request *r = c->request;
    c->gone = true;
    conn_poll_stop(c); /* it would be reported for ever */
    if (r && r->dispatched && !r->ended)
        request_cancel(r, VX11_ECLOSED);
    else if (c->suspended)
        conn_abort(c);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct conn *c = handle->data;
    if (c->websocket)
        websocket_on_poll(c->websocket, status, events);
    else if (status < 0 || (events & UV_DISCONNECT))
        conn_left(c);
    else if (events & UV_WRITABLE)
        stream_on_writable(c);
}

/* ---- MHD's callbacks ---- */

static bool peer_is_us(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && len == sizeof peer &&
           (peer.uid == geteuid() || peer.uid == 0);
}

/* One connection too many. It is told so in full, although it may not have said anything yet. */
static void conn_refuse(struct conn *c)
{
    static const char reply[] =
        "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: "
        "1\r\nContent-Type: application/json\r\n"
        "Content-Length: 154\r\n\r\n"
        "{\"type\":\"error\",\"error\":{\"message\":\"The server has no room for another "
        "connection.\",\"type\":\"overloaded_error\","
        "\"code\":\"too_many_connections\",\"param\":null}}";
    c->refused = true;
    metric_add(c->server->m_refused, 1);
    ssize_t n = send(c->fd, reply, sizeof reply - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        log_debug("server", "a refused client had left", LOG_S("error", strerror(errno)));
    shutdown(c->fd, SHUT_RDWR);
}

static void conn_open(struct listener *l, struct MHD_Connection *mhd, void **context)
{
    struct server *s = l->server;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct conn *c = calloc(1, sizeof *c);
    *context = c;
    if (!c || !info) {
        free(c);
        *context = NULL; /* conn_on_target finds none, and the connection is closed */
        return;
    }
    c->server = s;
    c->listener = l;
    c->mhd = mhd;
    c->fd = info->connect_fd;
    c->since_ms = server_now(s);
    c->peer_trusted = l->path && peer_is_us(c->fd);
    c->next = s->conns;
    if (s->conns)
        s->conns->prev = c;
    s->conns = c;
    s->conn_count++;
    metric_add(s->m_connections, 1);
    metric_add(s->m_accepted, 1);
    server_tick_start(s);
    if (s->draining || s->conn_count > s->o.max_connections)
        conn_refuse(c);
}

static void on_conn_poll_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    struct server *s = c->server;
    free(c);
    s->handles--;
    server_finish_if_drained(s);
}

static void conn_close(struct conn *c)
{
    struct server *s = c->server;
    if (c->linger)
        linger_start(c);
    if (c->prev)
        c->prev->next = c->next;
    else
        s->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    s->conn_count--;
    metric_add(s->m_connections, -1);
    stream_close(c);
    buf_free(&c->stream.raw);
    buf_free(&c->stream.wire);
    free(c->unsent);
    c->mhd = NULL;
    if (c->polling)
        uv_close((uv_handle_t *)&c->poll, on_conn_poll_closed);
    else
        free(c);
}

void conn_on_notify(void *cls, struct MHD_Connection *mhd, void **context,
                    enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        conn_open(cls, mhd, context);
    else if (*context)
        conn_close(*context);
}

void *conn_on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct listener *l = cls;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct conn *c = info ? info->socket_context : NULL;
    if (!c || c->refused || c->dead)
        return NULL;
    struct request *r = request_take(l->server, c);
    if (!r)
        return NULL;
    size_t len = strnlen(target, TARGET_MAX + 1);
    c->since_ms = server_now(l->server);
    /* Past the bound only the refusal will see it. MHD goes on to cut the text up in place, so it is copied.
     */
    r->target = arena_strndup(r->arena, len > TARGET_MAX ? "" : target, len > TARGET_MAX ? 0 : len);
    return c;
}

/* The first call: headers are there, nothing of the body has been read. */
static void on_headers(struct conn *c, struct request *r, const char *method, const char *version)
{
    c->can_queue = true;
    r->seen_headers = true;
    request_admit(r, method, version);
    if (r->failure.status == 0) {
        if (r->route && (r->route->flags & CONTRACT_ROUTE_STREAM_BODY) && !r->preflight) {
            request_dispatch(r);
            c->linger = c->linger || (c->queued && r->has_body);
        }
        return;
    }
    /* A small body is most likely on its way already: it is read and dropped, and the connection lives on. */
    bool keep = !r->headers.expect && !r->chunked_body && r->content_length <= DISCARD_MAX &&
                r->failure.status != 413;
    r->discarding = true;
    if (r->has_body && !keep) {
        c->linger = !r->headers.expect; /* it is already sending */
        reply_failure(r, &r->failure);
    }
}

enum MHD_Result conn_on_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                               const char *version, const char *data, size_t *size, void **context)
{
    struct conn *c = *context;
    (void)cls;
    (void)mhd;
    (void)url;
    if (!c || !c->request || c->dead || c->refused)
        return MHD_NO;
    struct request *r = c->request;
    c->in_callback = true;
    request_pin(r);
    if (!r->seen_headers) {
        on_headers(c, r, method, version);
    } else if (data) { /* of no size when MHD expects a body that there is none of ("Expect" without one) */
        if (*size > 0)
            request_piece(r, data, size);
    } else {
        c->can_queue = true;
        if (!r->body_done) {
            r->body_done = true;
            request_complete(r);
        }
        if (!c->queued && !c->dead)
            conn_suspend(c);
        if (c->suspended && c->gone) /* it left before this request of its was looked at */
            conn_left(c);
    }
    c->in_callback = c->can_queue = false;
    request_unpin(r);
    return c->dead ? MHD_NO : MHD_YES;
}

void conn_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                       enum MHD_RequestTerminationCode code)
{
    struct conn *c = *context;
    (void)cls;
    (void)code;
    if (!c)
        return;
    struct request *r = c->request;
    c->since_ms = server_now(c->server);
    c->queued = false;
    c->served = true;
    stream_close(c);
    if (c->upgrading) {
        struct websocket *ws = c->upgrading;
        c->upgrading = NULL;
        websocket_never_opened(ws);
    }
    if (!r)
        return;
    if (!r->status) { /* MHD itself answered: a header block past its memory, or a malformed one */
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_HTTP_STATUS);
        r->status = info ? (int)info->http_status : 0;
    }
    c->request = NULL;
    r->conn = NULL;
    request_wire_lost(r);
}

/* ---- time ---- */

static void conn_time_out(struct conn *c, struct request *r)
{
    static const struct failure slow = {
        .status = 408, .code = "request_timeout", .text = "The request did not arrive in time."};
    if (r && !r->dispatched) {
        request_pin(r);
        reply_failure(r, r->failure.status ? &r->failure : &slow);
        request_unpin(r);
    }
    c->linger = false;
    conn_abort(c);
    if (!c->suspended)
        shutdown(c->fd, SHUT_RDWR);
}

/* A reply that MHD is sending: is the other side still taking it? */
static void check_sending(struct conn *c, uint64_t now)
{
    int unsent = 0;
    if (now - c->since_ms < SEND_TIMEOUT_MS)
        return;
    if (ioctl(c->fd, SIOCOUTQ, &unsent) == 0 && unsent != c->sampled_unsent) {
        c->sampled_unsent = unsent;
        c->since_ms = now;
    } else {
        conn_abort(c);
    }
}

/* MHD takes a short read for all there is. A client that hung up in the same moment gives it no second event:
 * its end of the stream is only found by looking. */
static bool has_hung_up(const struct conn *c)
{
    char byte;
    return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void conn_check(struct conn *c, uint64_t now)
{
    const struct server *s = c->server;
    uint64_t patience = (uint64_t)s->o.header_timeout_ms;
    struct request *r = c->request;
    if (c->websocket) {
        websockets_check(c->websocket, now);
    } else if (c->dead) {
        if (now - c->since_ms > 2000)
            shutdown(c->fd, SHUT_RDWR);
    } else if (c->stream.open) {
        if (c->stream.raw.len + c->stream.wire.len > 0 && now - c->stream.last_ms > SEND_TIMEOUT_MS)
            conn_left(c);
    } else if (c->queued) {
        check_sending(c, now);
    } else if (!r) {
        uint64_t limit = c->served && patience < IDLE_TIMEOUT_MS ? IDLE_TIMEOUT_MS : patience;
        if (now - c->since_ms > limit || (now - c->since_ms > 1000 && has_hung_up(c)))
            conn_abort(c);
    } else if (!r->body_done && !r->body_paused && now - r->progress_ms > patience) {
        if (r->dispatched)
            request_cancel(r, VX11_ETIMEOUT);
        conn_time_out(c, c->request);
    }
}

void conns_check(struct server *s, uint64_t now)
{
    for (struct conn *c = s->conns, *next; c; c = next) {
        next = c->next; /* nothing below frees a connection: MHD does that, in its run */
        conn_check(c, now);
    }
}
