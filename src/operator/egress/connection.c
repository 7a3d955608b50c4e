/* One connection of the proxy: a head, a judgement, one server, then bytes both ways.
 *
 *   head ──> judged ──> resolved ──> connecting ──> relaying ──> over
 *     └─ 407, 403, 502 … and over
 *
 * A connection serves one request and then ends: what follows could be meant for another server, which would
 * not have been judged. Each direction holds one buffer: its reading stands still while that is written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "operator/egress/egress_internal.h"

#define PIECE 32768

enum phase { READING_HEAD, RESOLVING, CONNECTING, RELAYING, REPLYING };

struct way { /* one direction */
    struct connection *connection;
    uv_stream_t *from, *to;
    uv_write_t write;
    uv_shutdown_t shutdown;
    char data[PIECE];
    bool reading, writing, over; /* over: nothing more comes from there */
};

struct connection {
    struct connection *next, *before;
    struct egress *egress;
    uv_tcp_t client, server;
    uv_timer_t timer;
    uv_getaddrinfo_t ask;
    uv_connect_t connect;
    enum phase phase;
    struct head head;
    struct egress_target target;
    struct sockaddr_storage addresses[ADDRESSES];
    size_t address_count, address_at;
    struct buf in; /* the head, and what came with it */
    size_t head_len;
    int64_t body_left; /* of a request that is no tunnel */
    char *first;       /* what the server or the client gets first */
    uv_write_t first_write;
    struct way out, back; /* to the server, to the client */
    unsigned handles, pending;
    bool server_open, cut;
};

/* ---- the end ---- */

static void release(struct connection *c)
{
    struct egress *e = c->egress;
    if (c->handles > 0 || c->pending > 0)
        return;
    buf_free(&c->in);
    free(c->first);
    if (c->before)
        c->before->next = c->next;
    else
        e->connections = c->next;
    if (c->next)
        c->next->before = c->before;
    free(c);
    egress_connection_over(e);
}

struct connection *connection_next(const struct connection *c)
{
    return c->next;
}

static void on_closed(uv_handle_t *h)
{
    struct connection *c = h->data;
    c->handles--;
    release(c);
}

static void end(struct connection *c)
{
    if (c->cut)
        return;
    c->cut = true;
    uv_close((uv_handle_t *)&c->client, on_closed);
    uv_close((uv_handle_t *)&c->timer, on_closed);
    if (c->server_open)
        uv_close((uv_handle_t *)&c->server, on_closed);
    c->server_open = false;
}

void connection_cut(struct connection *c)
{
    end(c);
}

static void on_timer(uv_timer_t *timer);

static void timer_set(struct connection *c, int64_t ms)
{
    uv_timer_start(&c->timer, on_timer, (uint64_t)ms, 0);
}

/* ---- replies of our own ---- */

static void on_replied(uv_write_t *w, int status)
{
    struct connection *c = w->data;
    (void)status;
    c->pending--;
    end(c);
    release(c);
}

static void reply(struct connection *c, const char *line, const char *header, const char *text)
{
    struct egress *e = c->egress;
    c->phase = REPLYING;
    uv_read_stop((uv_stream_t *)&c->client);
    if (asprintf(&c->first,
                 "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n%s"
                 "X-Content-Type-Options: nosniff\r\nConnection: close\r\nProxy-Connection: close\r\n\r\n%s",
                 line, strlen(text), header, text) < 0) {
        c->first = NULL;
        end(c);
        return;
    }
    uv_buf_t buf = uv_buf_init(c->first, (unsigned)strlen(c->first));
    c->first_write.data = c;
    timer_set(c, e->options.head_timeout_ms);
    if (uv_write(&c->first_write, (uv_stream_t *)&c->client, &buf, 1, on_replied) == 0)
        c->pending++;
    else
        end(c);
}

static void refuse(struct connection *c, const struct egress_verdict *v)
{
    char header[80];
    (void)snprintf(header, sizeof header, "X-VX11-Refused: %s\r\n", egress_code_names[v->code]);
    if (v->code == EGRESS_UNRESOLVED) {
        c->egress->stats.failures++;
        reply(c, "502 Bad Gateway", header, v->text);
        return;
    }
    egress_refused(c->egress, c->head.user, &c->head, &c->target, v);
    reply(c, "403 Forbidden", header, v->text);
}

/* ---- relaying ---- */

static void way_read(struct way *w);

static void way_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct connection *c = h->data;
    struct way *w = (uv_stream_t *)h == c->out.from ? &c->out : &c->back;
    (void)suggested;
    *buf = uv_buf_init(w->data, sizeof w->data);
}

static void on_shutdown(uv_shutdown_t *s, int status)
{
    struct connection *c = s->data;
    (void)status;
    c->pending--;
    release(c);
}

static void way_over(struct way *w)
{
    struct connection *c = w->connection;
    w->over = true;
    if (c->out.over && c->back.over) {
        end(c);
        return;
    }
    if (w == &c->back && !c->head.tunnel) { /* the server has said all */
        end(c);
        return;
    }
    w->shutdown.data = c;
    if (uv_shutdown(&w->shutdown, w->to, on_shutdown) == 0)
        c->pending++;
}

static void on_relayed(uv_write_t *write, int status)
{
    struct way *w = write->data;
    struct connection *c = w->connection;
    w->writing = false;
    c->pending--;
    if (status != 0)
        end(c);
    else if (!c->cut)
        way_read(w);
    release(c);
}

static void on_relay(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct connection *c = stream->data;
    struct way *w = stream == c->out.from ? &c->out : &c->back;
    if (n == 0)
        return;
    uv_read_stop(stream);
    w->reading = false;
    if (n < 0) {
        if (n == UV_EOF)
            way_over(w);
        else
            end(c);
        return;
    }
    size_t len = (size_t)n;
    timer_set(c, c->egress->options.idle_timeout_ms);
    if (w == &c->out && !c->head.tunnel) {
        if ((int64_t)len > c->body_left) { /* another request: it wants a connection of its own */
            end(c);
            return;
        }
        c->body_left -= (int64_t)len;
    }
    *(w == &c->out ? &c->egress->stats.bytes_out : &c->egress->stats.bytes_in) += len;
    uv_buf_t piece = uv_buf_init(buf->base, (unsigned)len);
    w->write.data = w;
    if (uv_write(&w->write, w->to, &piece, 1, on_relayed) != 0) {
        end(c);
        return;
    }
    w->writing = true;
    c->pending++;
}

static void way_read(struct way *w)
{
    if (w->over || w->reading || w->writing)
        return;
    w->reading = uv_read_start(w->from, way_alloc, on_relay) == 0;
    if (!w->reading)
        end(w->connection);
}

static void on_first_written(uv_write_t *write, int status)
{
    struct connection *c = write->data;
    c->pending--;
    if (status != 0)
        end(c);
    if (!c->cut) {
        way_read(&c->out);
        way_read(&c->back);
    }
    release(c);
}

/* What comes first: to a tunnel's client that it stands, to a server the request. */
static void relay_begin(struct connection *c)
{
    static const char stands[] = "HTTP/1.1 200 Connection Established\r\n\r\n";
    struct buf text = BUF_INIT;
    const size_t rest = c->in.len - c->head_len;
    int rc = 0;
    c->phase = RELAYING;
    c->out =
        (struct way){.connection = c, .from = (uv_stream_t *)&c->client, .to = (uv_stream_t *)&c->server};
    c->back =
        (struct way){.connection = c, .from = (uv_stream_t *)&c->server, .to = (uv_stream_t *)&c->client};
    c->body_left = c->head.body;
    timer_set(c, c->egress->options.idle_timeout_ms);
    if (c->head.tunnel)
        rc = rest > 0 ? VX11_EINVALID : buf_puts(&text, stands);
    else if ((int64_t)rest > c->body_left)
        rc = VX11_EINVALID; /* more than one request at a time */
    else
        rc = head_forward(c->in.data, c->head_len, &c->head, &text);
    if (rc == 0 && !c->head.tunnel) {
        rc = buf_append(&text, c->in.data + c->head_len, rest);
        c->body_left -= (int64_t)rest;
    }
    if (c->in.data)
        explicit_bzero(c->in.data, c->in.len);
    buf_free(&c->in);
    if (rc != 0) {
        buf_free(&text);
        end(c);
        return;
    }
    size_t len;
    c->first = buf_detach(&text, &len);
    uv_buf_t buf = uv_buf_init(c->first, (unsigned)len);
    c->first_write.data = c;
    if (uv_write(&c->first_write, c->head.tunnel ? c->out.from : c->out.to, &buf, 1, on_first_written) == 0)
        c->pending++;
    else
        end(c);
}

/* ---- connecting ---- */

static void connect_next(struct connection *c);

static void on_server_closed(uv_handle_t *h)
{
    struct connection *c = h->data;
    c->handles--;
    if (!c->cut)
        connect_next(c);
    release(c);
}

static void connect_failed(struct connection *c)
{
    c->server_open = false;
    uv_close((uv_handle_t *)&c->server, on_server_closed);
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct connection *c = connect->data;
    c->pending--;
    if (!c->cut && c->phase == CONNECTING && c->server_open) {
        if (status == 0)
            relay_begin(c);
        else
            connect_failed(c);
    }
    release(c);
}

static void connect_next(struct connection *c)
{
    char text[340];
    if (c->address_at == c->address_count) {
        c->egress->stats.failures++;
        (void)snprintf(text, sizeof text, "%.255s:%d could not be reached", c->target.host, c->target.port);
        reply(c, "502 Bad Gateway", "", text);
        return;
    }
    struct sockaddr *at = (struct sockaddr *)(void *)&c->addresses[c->address_at++];
    if (at->sa_family == AF_INET)
        ((struct sockaddr_in *)(void *)at)->sin_port = htons((uint16_t)c->target.port);
    else
        ((struct sockaddr_in6 *)(void *)at)->sin6_port = htons((uint16_t)c->target.port);
    c->phase = CONNECTING;
    uv_tcp_init(c->egress->options.loop, &c->server);
    c->server.data = c;
    c->server_open = true;
    c->handles++;
    c->connect.data = c;
    timer_set(c, c->egress->options.connect_timeout_ms);
    if (uv_tcp_connect(&c->connect, &c->server, at, on_connect) == 0)
        c->pending++;
    else
        connect_failed(c);
}

static void on_timer(uv_timer_t *timer)
{
    struct connection *c = timer->data;
    if (c->phase == CONNECTING && c->server_open)
        connect_failed(c);
    else if (c->phase != RESOLVING)
        end(c);
}

static void on_addresses(uv_getaddrinfo_t *ask, int status, struct addrinfo *list)
{
    struct connection *c = ask->data;
    struct egress_verdict v;
    c->pending--;
    if (!c->cut) {
        if (status != 0)
            egress_unresolved(&c->target, status, &v);
        else
            c->address_count = egress_addresses_allowed(c->egress->options.policy, &c->target, list,
                                                        c->addresses, ADDRESSES, &v);
        if (c->address_count > 0)
            connect_next(c);
        else
            refuse(c, &v);
    }
    uv_freeaddrinfo(list);
    release(c);
}

/* ---- the head ---- */

static void judge(struct connection *c)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct egress *e = c->egress;
    struct egress_verdict v;
    if (!e->options.open && !egress_password_right(e, c->head.password)) {
        e->stats.unauthorized++;
        reply(c, "407 Proxy Authentication Required", "Proxy-Authenticate: Basic realm=\"vx11\"\r\n",
              "This proxy serves VX11's browser alone.");
        return;
    }
    explicit_bzero(c->head.password, sizeof c->head.password);
    *(c->head.tunnel ? &e->stats.tunnels : &e->stats.requests) += 1;
    const bool fine = c->head.tunnel
                          ? egress_authority_check(e->options.policy, c->head.target, &c->target, &v)
                          : egress_url_check(e->options.policy, c->head.target, false, &c->target, &v);
    if (!fine) {
        refuse(c, &v);
        return;
    }
    if (!c->head.tunnel && strncmp(c->head.target, "https", 5) == 0) {
        reply(c, "400 Bad Request", "", "https is asked for through a tunnel");
        return;
    }
    c->phase = RESOLVING;
    c->ask.data = c;
    uv_timer_stop(&c->timer);
    int rc = uv_getaddrinfo(e->options.loop, &c->ask, on_addresses, c->target.host, NULL, &hints);
    if (rc == 0) {
        c->pending++;
        return;
    }
    egress_unresolved(&c->target, rc, &v);
    refuse(c, &v);
}

static void head_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct connection *c = h->data;
    (void)suggested;
    *buf = buf_reserve(&c->in, 4096) == 0 ? uv_buf_init(c->in.data + c->in.len, 4096) : uv_buf_init(NULL, 0);
}

static void on_head(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct connection *c = stream->data;
    (void)buf;
    if (n < 0) {
        end(c);
        return;
    }
    c->in.len += (size_t)n;
    const char *stop = c->in.data ? memmem(c->in.data, c->in.len, "\r\n\r\n", 4) : NULL;
    if (!stop) {
        if (c->in.len > HEAD_MOST)
            reply(c, "431 Request Header Fields Too Large", "", "the request's head is too large");
        return;
    }
    uv_read_stop(stream);
    c->head_len = (size_t)(stop - c->in.data) + 4;
    int rc = head_read(c->in.data, c->head_len, &c->head);
    if (rc == VX11_EUNSUPPORTED)
        reply(c, "411 Length Required", "", "a body without a length is not passed on");
    else if (rc != 0)
        reply(c, "400 Bad Request", "", "this is no sound request to a proxy");
    else
        judge(c);
}

void connection_begin(struct egress *e)
{
    struct connection *c = calloc(1, sizeof *c);
    if (!c)
        return; /* it stays in the kernel's queue until the next one */
    c->egress = e;
    c->client.data = c->timer.data = c;
    uv_tcp_init(e->options.loop, &c->client);
    uv_timer_init(e->options.loop, &c->timer);
    c->handles = 2;
    c->next = e->connections;
    if (c->next)
        c->next->before = c;
    e->connections = c;
    e->stats.open++;
    e->stats.connections++;
    if (uv_accept((uv_stream_t *)&e->listener, (uv_stream_t *)&c->client) != 0) {
        end(c);
        return;
    }
    if (e->stats.open > e->options.max_connections) {
        e->stats.turned_away++;
        end(c);
        return;
    }
    timer_set(c, e->options.head_timeout_ms);
    if (uv_read_start((uv_stream_t *)&c->client, head_alloc, on_head) != 0)
        end(c);
}
