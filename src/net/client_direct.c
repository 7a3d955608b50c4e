/* Direct calls: plain HTTP to a Unix socket or to a numeric address, without libcurl. Between our own
 * processes, and to model servers on this machine or its network, that is nearly all there is, and a call
 * costs a third of what it costs through libcurl, which keeps what needs TLS or a name's resolution.
 *
 *   client_direct_begin ─> an idle connection of the peer, else a new one ─> request out ─> reply in ─┐
 *         ^                                                                                          │
 *         └── a kept connection that died before a byte came: once more, on a new one                │
 *                            idle again, or closed  <── client_finish  <─────────────────────────────┘
 *
 * The connection's uv_poll stays registered for reading all its life, so that a request on a kept connection
 * costs one write, one read and no epoll_ctl. */
#include "net/client_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "version.h"

enum {
    READ_SIZE = 16 * 1024,
    READS_MOST = 16,      /* of one connection before others get their turn */
    IDLE_MOST = 256,      /* kept connections to one peer */
    BACKLOG_RETRY_MS = 2, /* a Unix socket whose queue of connections is full says so, and no more */
};

struct client_peer {
    struct client_peer *next;
    struct sockaddr_storage address;
    socklen_t address_len;
    struct client_list idle; /* the warmest first */
    size_t idle_count;
};

struct client_conn {
    uv_poll_t poll;
    struct client *client;
    struct client_peer *peer;
    struct client_list link;  /* in client->conns, or in peer->idle */
    struct client_call *call; /* NULL: idle, or being closed */
    int fd, polled;
    bool connecting;
    bool kept;       /* it has served before */
    bool heard;      /* a byte of the answer came */
    size_t sent;     /* of the request */
    struct buf held; /* what was read when the call was paused */
    size_t held_at;
};

#define LIST_CONN(l) ((struct client_conn *)(void *)((char *)(l)-offsetof(struct client_conn, link)))

/* ---- addresses ---- */

static socklen_t unix_address(const char *path, struct sockaddr_storage *out)
{
    struct sockaddr_un *un = (struct sockaddr_un *)out;
    const size_t len = strlen(path);
    if (len == 0 || len >= sizeof un->sun_path)
        return 0;
    *out = (struct sockaddr_storage){0};
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len + 1);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
}

/* The port after a host, 80 when there is none. False: it is no port. */
static bool port_read(const char *text, const char *end, in_port_t *out)
{
    unsigned port = 0;
    *out = htons(80);
    if (text == end)
        return true;
    if (*text != ':' || end - text < 2 || end - text > 6)
        return false;
    for (text++; text < end; text++) {
        if (*text < '0' || *text > '9')
            return false;
        port = port * 10 + (unsigned)(*text - '0');
    }
    *out = htons((in_port_t)port);
    return port > 0 && port <= 65535;
}

/* 0: the host is a name, or malformed: libcurl's. */
static socklen_t numeric_address(const char *host, size_t len, struct sockaddr_storage *out)
{
    char text[64];
    const char *end = host + len;
    const bool six = len > 0 && *host == '[';
    const char *stop = six ? memchr(host, ']', len) : memchr(host, ':', len);
    const size_t n = (size_t)((stop ? stop : end) - host) - (six && stop ? 1 : 0);
    if (n >= sizeof text || (six && !stop))
        return 0;
    memcpy(text, host + (six ? 1 : 0), n);
    text[n] = 0;
    *out = (struct sockaddr_storage){0};
    if (six) {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)out;
        in->sin6_family = AF_INET6;
        return inet_pton(AF_INET6, text, &in->sin6_addr) == 1 && port_read(stop + 1, end, &in->sin6_port)
                   ? sizeof *in
                   : 0;
    }
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    in->sin_family = AF_INET;
    return inet_pton(AF_INET, text, &in->sin_addr) == 1 && port_read(stop ? stop : end, end, &in->sin_port)
               ? sizeof *in
               : 0;
}

bool client_direct_takes(const struct client_call *call, struct sockaddr_storage *address, socklen_t *len)
{
    const char *url = call->text.data;
    if (call->socket_at != 0)
        return (*len = unix_address(url + call->socket_at, address)) > 0;
    if (strncasecmp(url, "http://", 7) != 0)
        return false;
    return (*len = numeric_address(url + 7, strcspn(url + 7, "/?"), address)) > 0;
}

static struct client_peer *peer_get(struct client *c, const struct client_call *call)
{
    struct client_peer *p;
    struct sockaddr_storage address;
    socklen_t len;
    if (!client_direct_takes(call, &address, &len))
        return NULL;
    for (p = c->peers; p != NULL; p = p->next)
        if (p->address_len == len && memcmp(&p->address, &address, len) == 0)
            return p;
    p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    p->address = address;
    p->address_len = len;
    list_init(&p->idle);
    p->next = c->peers;
    c->peers = p;
    return p;
}

/* ---- what is sent ---- */

/* Request line and headers into call->request. call->headers are in libcurl's notation: "Name;" is an empty
 * one, "Name:" one to be left out. */
int client_direct_prepare(struct client_call *call, const char *method, bool has_body)
{
    struct buf *out = &call->request;
    const char *host = strstr(call->text.data, "://") + 3;
    const size_t host_len = strcspn(host, "/?");
    const char *path = host + host_len;
    buf_clear(out);
    buf_puts(out, method);
    buf_puts(out, *path == '/' ? " " : " /");
    buf_puts(out, path);
    buf_puts(out, " HTTP/1.1\r\nHost: ");
    buf_append(out, host, host_len);
    buf_puts(out, "\r\nUser-Agent: vx11/" VX11_VERSION "\r\nAccept: */*\r\n");
    for (const struct curl_slist *h = call->headers; h != NULL; h = h->next) {
        const size_t len = strlen(h->data);
        if (h->data[len - 1] == ':' && memchr(h->data, ':', len - 1) == NULL)
            continue;
        const bool empty = h->data[len - 1] == ';' && memchr(h->data, ':', len) == NULL;
        buf_append(out, h->data, empty ? len - 1 : len);
        buf_puts(out, empty ? ":\r\n" : "\r\n");
    }
    if (has_body) {
        char line[48];
        const int n = snprintf(line, sizeof line, "Content-Length: %zu\r\n", call->body.len);
        buf_append(out, line, (size_t)n);
    }
    buf_puts(out, "\r\n");
    call->no_body = strcmp(method, "HEAD") == 0;
    return out->failed ? VX11_ENOMEM : 0;
}

/* ---- a connection's life ---- */

static void on_conn_event(uv_poll_t *poll, int status, int events);

static int conn_poll(struct client_conn *n, int events)
{
    if (n->polled == events)
        return 0;
    n->polled = events;
    return events ? uv_poll_start(&n->poll, events, on_conn_event) : uv_poll_stop(&n->poll);
}

static void on_conn_closed(uv_handle_t *handle)
{
    struct client_conn *n = handle->data;
    struct client *c = n->client;
    close(n->fd); /* only now: its number must not be another's while libuv still knows it */
    buf_free(&n->held);
    free(n);
    client_handle_closed(c);
}

static void conn_close(struct client_conn *n)
{
    n->call = NULL;
    if (uv_is_closing((uv_handle_t *)&n->poll))
        return;
    list_remove(&n->link);
    shutdown(n->fd, SHUT_RDWR); /* the peer hears of it at once */
    uv_close((uv_handle_t *)&n->poll, on_conn_closed);
}

static void conn_close_idle(struct client_conn *n)
{
    n->peer->idle_count--;
    conn_close(n);
}

/* The reply is complete. */
static void conn_keep(struct client_conn *n)
{
    struct client_peer *p = n->peer;
    n->call = NULL;
    n->kept = true;
    buf_clear(&n->held);
    list_remove(&n->link);
    list_push(p->idle.next, &n->link);
    if (++p->idle_count > IDLE_MOST)
        conn_close_idle(LIST_CONN(p->idle.prev));
}

void client_direct_detach(struct client_call *call)
{
    list_remove(&call->wait);
    if (call->conn != NULL)
        conn_close(call->conn);
    call->conn = NULL;
}

void client_direct_close_all(struct client *c)
{
    struct client_peer *p;
    while ((p = c->peers) != NULL) {
        while (!list_empty(&p->idle))
            conn_close_idle(LIST_CONN(p->idle.next));
        c->peers = p->next;
        free(p);
    }
}

/* ---- failures ---- */

static void connect_fail(struct client_call *call, int sys)
{
    const char *why = strerrordesc_np(sys);
    char peer[160];
    client_peer_name(call, peer, sizeof peer);
    if (call->error.code == 0)
        error_set(&call->error, VX11_EUNAVAILABLE, "cannot connect to %s: %s", peer,
                  why ? why : "unknown error");
    client_finish(call, call->error.code);
}

static void watch_fail(struct client_call *call)
{
    char peer[160];
    client_peer_name(call, peer, sizeof peer);
    if (call->error.code == 0)
        error_set(&call->error, VX11_EINTERNAL, "the connection to %s cannot be watched", peer);
    client_finish(call, call->error.code);
}

/* The connection is over before the reply is. sys: errno, 0 when the peer closed it. */
static void conn_lost(struct client_conn *n, int sys)
{
    struct client_call *call = n->call;
    const char *why = sys ? strerrordesc_np(sys) : "it ended";
    char peer[160];
    if (call == NULL) {
        conn_close_idle(n);
        return;
    }
    if (sys == 0 && n->heard && http_reply_closed(&call->reply)) { /* that is how such a body ends */
        conn_close(n);
        call->conn = NULL;
        client_finish(call, 0);
        return;
    }
    if (n->kept && !n->heard && call->error.code == 0) { /* it was closed while our request was on its way */
        client_direct_detach(call);
        call->fresh = true;
        client_direct_begin(call);
        return;
    }
    client_peer_name(call, peer, sizeof peer);
    if (call->error.code != 0)
        ;
    else if (!n->heard)
        error_set(&call->error, VX11_ECLOSED, "%s closed the connection before it answered (%s)", peer, why);
    else if (!http_reply_in_body(&call->reply))
        error_set(&call->error, VX11_ECLOSED, "%s closed the connection in the middle of its headers", peer);
    else
        error_set(&call->error, VX11_ECLOSED, "%s broke its answer off after %llu bytes (%s)", peer,
                  (unsigned long long)call->reply.body_bytes, why);
    client_finish(call, call->error.code);
}

/* ---- the request goes out ---- */

/* False: the connection is gone, and its call with it or elsewhere. */
static bool conn_send(struct client_conn *n)
{
    struct client_call *call = n->call;
    const size_t head = call->request.len, all = head + call->body.len;
    while (n->sent < all) {
        struct iovec parts[2];
        struct msghdr m = {.msg_iov = parts};
        if (n->sent < head)
            parts[m.msg_iovlen++] = (struct iovec){call->request.data + n->sent, head - n->sent};
        const size_t from = n->sent > head ? n->sent - head : 0;
        if (from < call->body.len)
            parts[m.msg_iovlen++] = (struct iovec){call->body.data + from, call->body.len - from};
        const ssize_t sent = sendmsg(n->fd, &m, MSG_NOSIGNAL);
        if (sent >= 0) {
            n->sent += (size_t)sent;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN) /* Linux has one number for it and EWOULDBLOCK */
            break;
        n->sent = all; /* the peer reads no more; why, it may have said: reading tells */
    }
    const int want = UV_READABLE | (n->sent < all ? UV_WRITABLE : 0);
    if (conn_poll(n, want) == 0)
        return true;
    watch_fail(call);
    return false;
}

static bool conn_ready(struct client_conn *n)
{
    struct client_call *call = n->call;
    n->connecting = false;
    call->phase = CALL_WAITING;
    call->connected = clock_mono_ns();
    client_time_touch(call);
    return conn_send(n);
}

static void on_backlog_timer(uv_timer_t *timer)
{
    struct client *c = timer->data;
    while (!list_empty(&c->backlog)) {
        struct client_call *call = LIST_CALL(c->backlog.next, wait);
        list_remove(&call->wait);
        client_queue(call, TODO_START);
    }
    client_run(c);
}

/* A new connection; NULL and the call has ended, or waits for another try. */
static struct client_conn *conn_open(struct client_call *call, struct client_peer *peer)
{
    struct client *c = call->client;
    const int on = 1;
    struct client_conn *n = calloc(1, sizeof *n);
    const int fd = n ? socket(peer->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0) {
        const int sys = n ? errno : ENOMEM;
        free(n);
        connect_fail(call, sys);
        return NULL;
    }
    int rc = connect(fd, (const struct sockaddr *)&peer->address, peer->address_len);
    const int sys = rc == 0 ? 0 : errno;
    if (sys == EAGAIN && peer->address.ss_family == AF_UNIX) {
        close(fd);
        free(n);
        list_push(&c->backlog, &call->wait);
        if (!uv_is_active((uv_handle_t *)&c->backlog_timer))
            uv_timer_start(&c->backlog_timer, on_backlog_timer, BACKLOG_RETRY_MS, 0);
        return NULL;
    }
    if ((sys != 0 && sys != EINPROGRESS) || uv_poll_init(c->loop, &n->poll, fd) != 0) {
        close(fd);
        free(n);
        connect_fail(call, sys != 0 && sys != EINPROGRESS ? sys : ENOMEM);
        return NULL;
    }
    if (peer->address.ss_family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    n->client = c;
    n->peer = peer;
    n->fd = fd;
    n->connecting = sys == EINPROGRESS;
    n->poll.data = n;
    list_init(&n->link);
    uv_unref((uv_handle_t *)&n->poll);
    c->open_handles++;
    return n;
}

void client_direct_begin(struct client_call *call)
{
    struct client *c = call->client;
    struct client_peer *peer = peer_get(c, call);
    struct client_conn *n = NULL;
    call->phase = CALL_CONNECTING;
    if (peer == NULL) {
        connect_fail(call, ENOMEM);
        return;
    }
    if (!call->fresh && !call->once && !list_empty(&peer->idle)) {
        n = LIST_CONN(peer->idle.next);
        list_remove(&n->link);
        peer->idle_count--;
    } else {
        n = conn_open(call, peer);
    }
    if (n == NULL)
        return;
    list_push(&c->conns, &n->link);
    n->call = call;
    call->conn = n;
    n->heard = false;
    n->sent = 0;
    http_reply_begin(&call->reply, call->no_body, CLIENT_HEAD_MAX);
    if (!n->connecting)
        (void)conn_ready(n);
    else if (conn_poll(n, UV_WRITABLE) != 0)
        connect_fail(call, ENOMEM);
}

/* ---- the reply comes in ---- */

static void reply_headers(struct client_call *call)
{
    call->status = call->reply.status;
    call->phase = CALL_STREAMING;
    call->last_data = clock_mono_ns();
    client_time_touch(call);
    if (call->events.on_headers)
        call->events.on_headers(call, call->ctx, call->status);
}

static void reply_end(struct client_conn *n, bool more)
{
    struct client_call *call = n->call;
    call->conn = NULL;
    /* What follows the reply answers no question of ours, and an unfinished request is one that was refused.
     */
    if (call->reply.keep_alive && !call->once && !more && n->sent == call->request.len + call->body.len)
        conn_keep(n);
    else
        conn_close(n);
    client_finish(call, 0);
}

/* What cannot be handed over now. */
static void conn_hold(struct client_conn *n, const char *data, size_t len)
{
    (void)conn_poll(n, n->polled & ~UV_READABLE);
    if (len == 0) { /* all that was held has been handed over: it must not be a second time */
        buf_clear(&n->held);
        n->held_at = 0;
        return;
    }
    if (n->held.len > 0) { /* it is what was held before, or the rest of it */
        n->held_at = n->held.len - len;
        return;
    }
    n->held_at = 0;
    if (buf_append(&n->held, data, len) != 0)
        client_fail(n->call, VX11_ENOMEM, "out of memory");
}

/* False: the connection serves this call no more. */
static bool conn_feed(struct client_conn *n, const char *data, size_t len)
{
    struct client_call *call = n->call;
    char peer[160];
    for (;;) {
        const char *piece;
        size_t piece_len;
        struct error err = {0};
        if (call->error.code != 0) /* cancelled or failed: client_finish is on its way */
            return false;
        if (call->paused && call->phase == CALL_STREAMING) {
            conn_hold(n, data, len);
            return false;
        }
        switch (http_reply_next(&call->reply, &data, &len, &piece, &piece_len, &err)) {
        case HTTP_REPLY_MORE:
            return true;
        case HTTP_REPLY_HEADERS:
            reply_headers(call);
            break;
        case HTTP_REPLY_BODY:
            call->last_data = clock_mono_ns();
            if (call->events.on_data)
                call->events.on_data(call, call->ctx, piece, piece_len);
            break;
        case HTTP_REPLY_END:
            reply_end(n, len > 0);
            return false;
        case HTTP_REPLY_FAILED:
            client_peer_name(call, peer, sizeof peer);
            if (err.code == VX11_ECORRUPT)
                error_set(&call->error, err.code, "%s did not answer in HTTP: %s", peer, err.text);
            else
                call->error = err;
            client_finish(call, err.code);
            return false;
        }
    }
}

static void conn_read(struct client_conn *n)
{
    struct client *c = n->client;
    for (int i = 0; i < READS_MOST; i++) {
        const ssize_t got = recv(n->fd, c->scratch, READ_SIZE, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0 || n->call == NULL) { /* idle: its end, or bytes that nobody asked for */
            conn_lost(n, got < 0 ? errno : 0);
            return;
        }
        if (!n->heard)
            n->call->first_byte = clock_mono_ns();
        n->heard = true;
        if (!conn_feed(n, c->scratch, (size_t)got) || got < READ_SIZE)
            return; /* a short read has emptied the socket */
    }
}

static void conn_connected(struct client_conn *n)
{
    int sys = 0;
    socklen_t len = sizeof sys;
    if (getsockopt(n->fd, SOL_SOCKET, SO_ERROR, &sys, &len) != 0)
        sys = errno;
    if (sys != 0)
        connect_fail(n->call, sys);
    else
        (void)conn_ready(n);
}

static void on_conn_event(uv_poll_t *poll, int status, int events)
{
    struct client_conn *n = poll->data;
    struct client *c = n->client;
    const bool outer = !c->running;
    if (uv_is_closing((uv_handle_t *)poll))
        return;
    c->running = true;
    if (n->connecting)
        conn_connected(n);
    else if ((events & UV_WRITABLE) && n->call != NULL && !conn_send(n))
        ;
    else if ((events & UV_READABLE) || status < 0)
        conn_read(n);
    if (outer)
        c->running = false;
}

/* ---- pause, resume ---- */

/* Nothing to do when it is paused: the next piece that comes stops the reading. */
void client_direct_resume(struct client_call *call)
{
    struct client_conn *n = call->conn;
    if (n == NULL || n->connecting || call->paused)
        return;
    if (conn_poll(n, n->polled | UV_READABLE) != 0) {
        watch_fail(call);
        return;
    }
    /* Even when nothing was held: the reply may have ended with its headers. */
    if (!conn_feed(n, n->held.len > 0 ? n->held.data + n->held_at : "", n->held.len - n->held_at))
        return; /* ended, or paused again: conn_hold kept the rest */
    buf_clear(&n->held);
    n->held_at = 0;
}

int client_direct_init(struct client *c)
{
    list_init(&c->conns);
    list_init(&c->backlog);
    c->scratch = malloc(READ_SIZE);
    return c->scratch ? 0 : VX11_ENOMEM;
}
