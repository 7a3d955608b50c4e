/* Server stream: replies without a known end.
 *
 *   begin ─> MHD sends the headers ─> asks for content ─┬─ something is queued: MHD frames and sends it
 *                                                       └─ nothing: MHD suspends the connection, and from
 * here on write ─> raw ─ one chunk per turn of the loop ─> socket (what it does not take waits in `wire`) end
 * ─> all sent ─> MHD resumes, writes the last chunk, keeps the connection
 *
 * MHD knows nothing of the bytes that we send ourselves; nothing in it depends on their number, because the
 * length of the reply is unknown. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/server_internal.h"

static size_t pending(const struct stream *st)
{
    return st->raw.len - st->raw_off + st->wire.len - st->wire_off;
}

static void list_for_flush(struct conn *c)
{
    struct server *s = c->server;
    if (c->stream.listed)
        return;
    c->stream.listed = true;
    c->stream.next_flush = s->flush_list;
    s->flush_list = c;
    server_mark_dirty(s, NULL);
}

static void unlist(struct conn *c)
{
    struct conn **at = &c->server->flush_list;
    if (!c->stream.listed)
        return;
    while (*at && *at != c)
        at = &(*at)->stream.next_flush;
    if (*at)
        *at = c->stream.next_flush;
    c->stream.listed = false;
}

static void sse_link(struct conn *c)
{
    struct server *s = c->server;
    c->stream.sse = true;
    c->stream.sse_prev = NULL;
    c->stream.sse_next = s->sse_list;
    if (s->sse_list)
        s->sse_list->stream.sse_prev = c;
    s->sse_list = c;
}

static void sse_unlink(struct conn *c)
{
    struct stream *st = &c->stream;
    if (!st->sse)
        return;
    if (st->sse_prev)
        st->sse_prev->stream.sse_next = st->sse_next;
    else
        c->server->sse_list = st->sse_next;
    if (st->sse_next)
        st->sse_next->stream.sse_prev = st->sse_prev;
    st->sse = false;
}

void stream_close(struct conn *c)
{
    struct stream *st = &c->stream;
    unlist(c);
    sse_unlink(c);
    if (st->held)
        MHD_destroy_response(st->held);
    struct buf raw = st->raw, wire = st->wire;
    if (raw.cap > KEEP_BODY_BUFFER)
        buf_free(&raw);
    if (wire.cap > KEEP_BODY_BUFFER)
        buf_free(&wire);
    buf_clear(&raw);
    buf_clear(&wire);
    *st = (struct stream){.raw = raw, .wire = wire};
}

/* ---- MHD's side ---- */

static void tell_drained(struct conn *c)
{
    struct stream *st = &c->stream;
    struct request *r = c->request;
    size_t quarter = c->server->o.stream_queue / 4;
    if (!st->high || pending(st) >= (quarter < STREAM_LOW ? quarter : STREAM_LOW))
        return;
    st->high = false;
    if (r && !r->ended && r->on_drain) {
        request_pin(r);
        r->on_drain(r, r->drain_ctx);
        request_unpin(r);
    }
}

/* The headers are on their way; MHD asks for content. */
static ssize_t on_read(void *cls, uint64_t pos, char *out, size_t max)
{
    struct conn *c = cls;
    struct stream *st = &c->stream;
    (void)pos;
    if (c->dead || c->gone || st->wire.len > st->wire_off) {
        conn_hasten_close(c);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t n = st->raw.len - st->raw_off;
    if (n > 0) {
        n = n < max ? n : max;
        memcpy(out, st->raw.data + st->raw_off, n);
        st->raw_off += n;
        st->last_ms = server_now(c->server);
        if (st->raw_off == st->raw.len) {
            buf_clear(&st->raw);
            st->raw_off = 0;
        }
        tell_drained(c);
        return (ssize_t)n;
    }
    if (st->ended) {
        if (!st->chunked)
            conn_hasten_close(c); /* the end of the connection is the end of the reply */
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    st->direct = true;
    conn_suspend(c);
    return 0;
}

/* ---- our side: the socket ---- */

static void stream_lost(struct conn *c)
{
    struct request *r = c->request;
    c->gone = true;
    conn_poll_stop(c);
    if (r && r->dispatched && !r->ended)
        request_cancel(r, VX11_ECLOSED);
    else
        conn_abort(c);
}

/* Keeps what the socket did not take, framed. */
static int keep_rest(struct stream *st, const struct iovec *parts, int count, size_t sent)
{
    for (int i = 0; i < count; i++) {
        if (sent >= parts[i].iov_len) {
            sent -= parts[i].iov_len;
            continue;
        }
        if (buf_append(&st->wire, (const char *)parts[i].iov_base + sent, parts[i].iov_len - sent) != 0)
            return VX11_ENOMEM;
        sent = 0;
    }
    return 0;
}

static ssize_t send_parts(struct conn *c, struct iovec *parts, size_t count)
{
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t n;
    do {
        n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
        n = 0;
    if (n > 0)
        c->stream.last_ms = server_now(c->server);
    return n;
}

static int send_wire(struct conn *c)
{
    struct stream *st = &c->stream;
    struct iovec part = {.iov_base = st->wire.data + st->wire_off, .iov_len = st->wire.len - st->wire_off};
    ssize_t n = send_parts(c, &part, 1);
    if (n < 0)
        return VX11_ECLOSED;
    st->wire_off += (size_t)n;
    if (st->wire_off == st->wire.len) {
        buf_clear(&st->wire);
        st->wire_off = 0;
    }
    return 0;
}

static int send_raw(struct conn *c)
{
    struct stream *st = &c->stream;
    char head[24];
    size_t len = st->raw.len - st->raw_off;
    int head_len = st->chunked ? snprintf(head, sizeof head, "%zx\r\n", len) : 0;
    struct iovec parts[3] = {{.iov_base = head, .iov_len = (size_t)head_len},
                             {.iov_base = st->raw.data + st->raw_off, .iov_len = len},
                             {.iov_base = (void *)(uintptr_t) "\r\n", .iov_len = st->chunked ? 2 : 0}};
    ssize_t n = send_parts(c, parts, 3);
    if (n < 0)
        return VX11_ECLOSED;
    int rc = keep_rest(st, parts, 3, (size_t)n);
    buf_clear(&st->raw);
    st->raw_off = 0;
    return rc;
}

/* Sends what it can of a stream whose socket is ours. Calls nobody back. 0 or VX11_ECLOSED. */
static int stream_send(struct conn *c)
{
    struct stream *st = &c->stream;
    int rc = 0;
    if (st->wire.len > 0)
        rc = send_wire(c);
    if (rc == 0 && st->wire.len == 0 && st->raw.len > st->raw_off)
        rc = send_raw(c);
    if (rc == 0)
        rc = conn_poll(c, st->wire.len > 0 ? UV_WRITABLE : 0);
    return rc == 0 ? 0 : VX11_ECLOSED;
}

static void stream_flush(struct conn *c)
{
    struct stream *st = &c->stream;
    if (!st->direct || c->dead)
        return;
    if (c->gone || stream_send(c) != 0) {
        stream_lost(c);
    } else if (st->ended && pending(st) == 0) {
        st->direct = false; /* MHD writes the last chunk */
        conn_resume(c);
    } else {
        tell_drained(c);
    }
}

void stream_on_writable(struct conn *c)
{
    stream_flush(c);
}

void streams_flush(struct server *s)
{
    struct conn *list = s->flush_list;
    s->flush_list = NULL;
    /* What is called back may write to any stream or end any of them; no connection is freed here. */
    while (list) {
        struct conn *c = list;
        list = c->stream.next_flush;
        c->stream.listed = false;
        stream_flush(c);
    }
}

void streams_heartbeat(struct server *s, uint64_t now)
{
    if (s->o.heartbeat_ms < 0)
        return;
    for (struct conn *c = s->sse_list, *next; c; c = next) {
        struct stream *st = &c->stream;
        next = st->sse_next;
        if (!st->direct || st->ended || pending(st) > 0 || now - st->last_ms < (uint64_t)s->o.heartbeat_ms)
            continue;
        if (buf_puts(&st->raw, ":\n\n") == 0)
            list_for_flush(c);
    }
}

/* ---- the handler's side ---- */

static bool has_header(const struct request *r, const char *name)
{
    for (const struct reply_header *h = r->reply_headers; h; h = h->next) {
        if (strcasecmp(h->name, name) == 0)
            return true;
    }
    return false;
}

static struct MHD_Response *make_response(struct request *r, const char *content_type)
{
    bool sse = content_type == NULL;
    if (sse && !has_header(r, "Cache-Control") && request_reply_header(r, "Cache-Control", "no-cache") != 0)
        return NULL;
    /* MHD would end the absent body of a HEAD with a last chunk. An empty reply it leaves alone; when it is
     * out, the handler hears that its client has left. */
    struct MHD_Response *response =
        r->head ? MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT)
                : MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1024, on_read, r->conn, NULL);
    return reply_prepare(r, response, sse ? "text/event-stream" : content_type);
}

int request_stream_begin(struct request *r, int status, const char *content_type)
{
    struct conn *c = r->conn;
    if (!c || c->gone || c->dead)
        return VX11_ECLOSED;
    if (c->queued || c->stream.open)
        return VX11_EBUSY;
    struct MHD_Response *response = make_response(r, content_type);
    if (!response)
        return VX11_ENOMEM;
    struct stream *st = &c->stream;
    st->open = true;
    st->chunked = !r->http10;
    st->last_ms = server_now(c->server);
    r->status = status;
    r->begun_ns = clock_mono_ns();
    if (!content_type && !r->head)
        sse_link(c);
    if (conn_can_queue(c) && r->body_done)
        conn_queue(c, (unsigned)status, response);
    else
        st->held = response; /* MHD takes a response only after the body */
    return 0;
}

void stream_body_complete(struct request *r)
{
    struct conn *c = r->conn;
    struct MHD_Response *response = c->stream.held;
    if (!response)
        return;
    c->stream.held = NULL;
    conn_queue(c, (unsigned)r->status, response);
}

bool request_stream_started(const struct request *r)
{
    return r->conn && r->conn->stream.open;
}

static struct stream *stream_of(struct request *r)
{
    struct conn *c = r->conn;
    return c && c->stream.open && !c->gone && !c->dead && !c->stream.ended ? &c->stream : NULL;
}

static void drop_slow_reader(struct request *r)
{
    struct conn *c = r->conn;
    metric_add(c->server->m_slow, 1);
    log_warn("http", "slow_reader", LOG_S("event", "slow_reader"), LOG_S("route", r->route->id),
             LOG_I("queued", pending(&c->stream)), LOG_S("principal", r->principal.name));
    conn_abort(c);
}

/* After something was appended to raw. */
static int written(struct request *r, size_t len)
{
    struct conn *c = r->conn;
    struct stream *st = &c->stream;
    size_t bound = c->server->o.stream_queue;
    if (st->raw.failed) {
        conn_abort(c);
        return VX11_ENOMEM;
    }
    r->bytes_out += len;
    if (st->direct && st->wire.len == 0) { /* else the socket is full, and the poll tells when it is not */
        /* No callback may run inside a handler's write: a loss or a drain is told at the end of the turn. */
        list_for_flush(c);
        if (pending(st) > STREAM_FLUSH_AT && stream_send(c) != 0) {
            c->gone = true;
            return VX11_ECLOSED;
        }
    }
    size_t queued = pending(st);
    if (queued > (bound / 2 < STREAM_HIGH ? bound / 2 : STREAM_HIGH))
        st->high = true;
    if (queued > bound && !st->backpressure) {
        drop_slow_reader(r);
        return VX11_ECLOSED;
    }
    return 0;
}

int request_stream_write(struct request *r, const void *data, size_t len)
{
    struct stream *st = stream_of(r);
    if (!st)
        return VX11_ECLOSED;
    if (r->head || len == 0)
        return 0;
    buf_append(&st->raw, data, len);
    return written(r, len);
}

static bool one_line(const char *s)
{
    return !s || !strpbrk(s, "\r\n");
}

/* "data: " before each line; a line ends with LF, CR or CRLF. */
static void put_data(struct buf *b, const char *data, size_t len)
{
    const char *end = data + len;
    do {
        const char *line = data;
        while (data < end && *data != '\n' && *data != '\r')
            data++;
        buf_append(b, "data: ", 6);
        buf_append(b, line, (size_t)(data - line));
        buf_putc(b, '\n');
        if (data == end)
            return;
        data += data[0] == '\r' && data + 1 < end && data[1] == '\n' ? 2 : 1;
    } while (true);
}

int request_stream_event(struct request *r, const char *event, const char *id, const void *data, size_t len)
{
    struct stream *st = stream_of(r);
    if (!st)
        return VX11_ECLOSED;
    if (!one_line(event) || !one_line(id))
        return VX11_EINVALID;
    if (r->head)
        return 0;
    size_t before = st->raw.len;
    buf_reserve(&st->raw, len + 64);
    if (id) {
        buf_append(&st->raw, "id: ", 4);
        buf_puts(&st->raw, id);
        buf_putc(&st->raw, '\n');
    }
    if (event) {
        buf_append(&st->raw, "event: ", 7);
        buf_puts(&st->raw, event);
        buf_putc(&st->raw, '\n');
    }
    put_data(&st->raw, data, len);
    buf_putc(&st->raw, '\n');
    return written(r, st->raw.len - before);
}

size_t request_stream_queued(const struct request *r)
{
    return r->conn && r->conn->stream.open ? pending(&r->conn->stream) : 0;
}

void request_on_drain(struct request *r, void (*fn)(struct request *r, void *ctx), void *ctx)
{
    r->on_drain = fn;
    r->drain_ctx = ctx;
}

void request_stream_backpressure(struct request *r)
{
    if (r->conn)
        r->conn->stream.backpressure = true;
}

void request_stream_end(struct request *r)
{
    if (request_end(r)) {
        struct conn *c = r->conn;
        c->stream.ended = true;
        sse_unlink(c);
        if (!c->stream.open) {
            log_error("server", "a stream was ended that had not begun", LOG_S("route", r->route->id));
            conn_abort(c);
        } else if (c->stream.direct) {
            list_for_flush(c);
        }
    }
    request_release(r);
}

void request_stream_abort(struct request *r)
{
    if (request_end(r))
        conn_abort(r->conn);
    request_release(r);
}
