/* WebSocket: wslay does the frames, MHD has handed the socket over, the connection's own uv_poll tells when
 * it is ready.
 *
 *   accept ─> 101 ─> on_open ─> on_message* ─> on_close
 *
 * wslay calls back from inside its own functions, and the user's callback may send or close there, so nothing
 * is freed while `busy`: what is due is noted and done when the outermost call is through. */
#include "net/websocket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

#include "base/log.h"
#include "net/server_internal.h"

enum {
    PING_AFTER_MS = 30 * 1000, /* of silence */
    CLOSE_WAIT_MS = 5 * 1000,  /* for the peer's half of the closing handshake */
    CODE_NONE = 1005,
    CODE_BROKEN = 1006,
    CODE_SLOW = 1013,
};

struct websocket {
    struct server *server;
    struct conn *conn;
    struct MHD_UpgradeResponseHandle *urh;
    wslay_event_context_ptr wslay;
    struct websocket_events events;
    void *ctx;
    size_t max_message, queue;
    char *early; /* read by MHD along with the request */
    size_t early_len, early_off;
    unsigned busy;
    bool open, closing, finishing;
    int code; /* what on_close will be told */
    uint64_t heard_ms, pinged_ms, closing_ms, patience_ms;
};

static void enter(struct websocket *ws)
{
    ws->busy++;
}

static void ws_free(struct websocket *ws)
{
    if (ws->wslay)
        wslay_event_context_free(ws->wslay);
    free(ws->early);
    free(ws);
}

static void finish(struct websocket *ws)
{
    struct conn *c = ws->conn;
    ws->busy++; /* the callback below may still call websocket_send and websocket_close */
    ws->finishing = true;
    if (ws->events.on_close)
        ws->events.on_close(ws, ws->ctx, ws->code);
    if (ws->open)
        metric_add(ws->server->m_websockets, -1);
    if (c && ws->urh) {
        c->websocket = NULL;
        c->dead = true;
        conn_poll_stop(c);
        MHD_upgrade_action(ws->urh, MHD_UPGRADE_ACTION_CLOSE);
        server_mark_dirty(c->server, c->listener);
    }
    ws_free(ws);
}

/* Ends a call into ws: frees it when its time has come. */
static void leave(struct websocket *ws)
{
    if (--ws->busy > 0 || ws->finishing)
        return;
    if (ws->code) {
        finish(ws);
        return;
    }
    unsigned events = 0;
    if (wslay_event_want_write(ws->wslay) && wslay_event_send(ws->wslay) != 0) {
        ws->code = CODE_BROKEN;
        finish(ws);
        return;
    }
    if (wslay_event_want_read(ws->wslay))
        events |= UV_READABLE;
    if (wslay_event_want_write(ws->wslay))
        events |= UV_WRITABLE;
    if (events == 0) { /* both halves of the closing handshake are through */
        int received = wslay_event_get_status_code_received(ws->wslay);
        ws->code = received ? received : CODE_NONE;
        finish(ws);
    } else if (conn_poll(ws->conn, events) != 0) {
        ws->code = CODE_BROKEN;
        finish(ws);
    }
}

/* ---- wslay's callbacks ---- */

static ssize_t on_recv(wslay_event_context_ptr wslay, uint8_t *out, size_t len, int flags, void *user)
{
    struct websocket *ws = user;
    (void)flags;
    if (ws->early_off < ws->early_len) {
        size_t n = ws->early_len - ws->early_off;
        n = n < len ? n : len;
        memcpy(out, ws->early + ws->early_off, n);
        ws->early_off += n;
        return (ssize_t)n;
    }
    ssize_t n = recv(ws->conn->fd, out, len, MSG_DONTWAIT);
    if (n > 0) {
        ws->heard_ms = server_now(ws->server);
        ws->pinged_ms = 0;
        return n;
    }
    wslay_event_set_error(wslay, n < 0 && (errno == EAGAIN || errno == EINTR) ? WSLAY_ERR_WOULDBLOCK
                                                                              : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr wslay, const uint8_t *data, size_t len, int flags, void *user)
{
    struct websocket *ws = user;
    int more = flags & WSLAY_MSG_MORE ? MSG_MORE : 0;
    ssize_t n = send(ws->conn->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT | more);
    if (n < 0)
        wslay_event_set_error(wslay, errno == EAGAIN || errno == EINTR ? WSLAY_ERR_WOULDBLOCK
                                                                       : WSLAY_ERR_CALLBACK_FAILURE);
    return n;
}

static void on_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *arg,
                       void *user)
{
    struct websocket *ws = user;
    (void)wslay;
    if (wslay_is_ctrl_frame(arg->opcode) || ws->closing || ws->code)
        return; /* wslay answers pings and closes */
    if (ws->events.on_message)
        ws->events.on_message(ws, ws->ctx, (const char *)arg->msg, arg->msg_length,
                              arg->opcode == WSLAY_TEXT_FRAME);
}

/* ---- the socket ---- */

static void ws_read(struct websocket *ws)
{
    int rc = wslay_event_recv(ws->wslay);
    if (rc != 0 && !ws->code)
        ws->code = wslay_event_get_close_received(ws->wslay) ? wslay_event_get_status_code_received(ws->wslay)
                                                             : CODE_BROKEN;
    if (rc != 0 && !ws->code)
        ws->code = CODE_NONE;
    if (wslay_event_get_close_sent(ws->wslay) == 0 && wslay_event_get_close_received(ws->wslay)) {
        ws->closing = true; /* wslay has queued the answer */
        ws->closing_ms = server_now(ws->server);
    }
}

void websocket_on_poll(struct websocket *ws, int status, int events)
{
    enter(ws);
    /* A hang-up still leaves what was sent before it to be read, a close frame for one. */
    if (events & (UV_READABLE | UV_DISCONNECT))
        ws_read(ws);
    if ((status < 0 || (events & UV_DISCONNECT)) && !ws->code) {
        int received = wslay_event_get_status_code_received(ws->wslay);
        ws->code = received ? received : CODE_BROKEN;
    }
    leave(ws);
}

void websocket_never_opened(struct websocket *ws)
{
    ws->code = CODE_BROKEN;
    ws->conn = NULL;
    finish(ws);
}

static int wslay_start(struct websocket *ws)
{
    const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv, .send_callback = on_send, .on_msg_recv_callback = on_message};
    if (wslay_event_context_server_init(&ws->wslay, &callbacks, ws) != 0)
        return VX11_ENOMEM;
    wslay_event_config_set_max_recv_msg_length(ws->wslay, ws->max_message);
    return 0;
}

/* MHD has sent the 101 and lets go of the socket. */
static void on_upgrade(void *cls, struct MHD_Connection *mhd, void *context, const char *extra,
                       size_t extra_len, MHD_socket fd, struct MHD_UpgradeResponseHandle *urh)
{
    struct websocket *ws = cls;
    struct conn *c = ws->conn;
    struct request *r = c->request;
    (void)mhd;
    (void)context;
    (void)fd;
    c->upgrading = NULL;
    c->websocket = ws;
    c->queued = false;
    ws->urh = urh;
    ws->open = true;
    ws->heard_ms = server_now(ws->server);
    metric_add(ws->server->m_websockets, 1);
    c->request = NULL;
    r->conn = NULL;
    account_request(r, 101);
    request_release(r);
    enter(ws);
    if (extra_len > 0) {
        ws->early = malloc(extra_len);
        if (ws->early)
            memcpy(ws->early, extra, extra_len);
        ws->early_len = ws->early ? extra_len : 0;
    }
    if (wslay_start(ws) != 0 || (extra_len > 0 && !ws->early))
        ws->code = CODE_BROKEN;
    if (!ws->code && ws->events.on_open)
        ws->events.on_open(ws, ws->ctx);
    if (!ws->code && ws->early_len > 0)
        ws_read(ws);
    leave(ws);
}

/* ---- the handshake ---- */

static bool has_token(const char *list, const char *token)
{
    size_t len = strlen(token);
    while (list && *list) {
        list += strspn(list, " \t,");
        size_t n = strcspn(list, ",");
        size_t word = n;
        while (word > 0 && (list[word - 1] == ' ' || list[word - 1] == '\t'))
            word--;
        if (word == len && strncasecmp(list, token, len) == 0)
            return true;
        list += n;
    }
    return false;
}

static struct MHD_Response *make_response(struct request *r, struct websocket *ws, const char *accept)
{
    struct MHD_Response *response = MHD_create_response_for_upgrade(on_upgrade, ws);
    if (response && MHD_add_response_header(response, "Upgrade", "websocket") == MHD_YES &&
        MHD_add_response_header(response, "Sec-WebSocket-Accept", accept) == MHD_YES &&
        MHD_add_response_header(response, "X-Request-Id", r->id) == MHD_YES)
        return response;
    MHD_destroy_response(response);
    return NULL;
}

/* The key, or NULL after the request was failed. */
static const char *check_handshake(struct request *r)
{
    const char *version = request_header(r, "Sec-WebSocket-Version");
    if (r->head || r->http10 || !has_token(request_header(r, "Upgrade"), "websocket") ||
        !has_token(request_header(r, "Connection"), "upgrade")) {
        if (request_reply_header(r, "Upgrade", "websocket") != 0)
            log_warn("server", "no memory for an Upgrade header");
        request_fail(r, 426, "upgrade_required", NULL, "This address speaks WebSocket only.");
        return NULL;
    }
    if (!version || strcmp(version, "13") != 0) {
        if (request_reply_header(r, "Sec-WebSocket-Version", "13") != 0)
            log_warn("server", "no memory for a Sec-WebSocket-Version header");
        request_fail(r, 426, "websocket_version", NULL,
                     "Only version 13 of the WebSocket protocol is spoken.");
        return NULL;
    }
    const char *key = request_header(r, "Sec-WebSocket-Key");
    if (!key)
        request_fail(r, 400, "websocket_key", NULL, "Sec-WebSocket-Key is missing.");
    return key;
}

void websocket_accept(struct request *r, size_t max_message, size_t queue,
                      const struct websocket_events *events, void *ctx)
{
    char accept[29];
    struct conn *c = r->conn;
    struct websocket *ws = NULL;
    struct MHD_Response *response = NULL;
    if (!c || c->gone || c->dead || !conn_can_queue(c)) {
        request_fail(r, 400, "websocket_state", NULL, "The connection cannot be upgraded now.");
        goto refused;
    }
    const char *key = check_handshake(r);
    if (!key)
        goto refused;
    if (!websocket_accept_key(key, accept)) {
        request_fail(r, 400, "websocket_key", NULL, "Sec-WebSocket-Key is malformed.");
        goto refused;
    }
    ws = calloc(1, sizeof *ws);
    response = ws ? make_response(r, ws, accept) : NULL;
    if (!response) {
        free(ws);
        request_fail(r, 503, "out_of_memory", NULL, "Out of memory.");
        goto refused;
    }
    *ws = (struct websocket){.server = r->server,
                             .conn = c,
                             .events = *events,
                             .ctx = ctx,
                             .max_message = max_message,
                             .queue = queue,
                             .patience_ms = PING_AFTER_MS};
    request_end(r);
    r->status = 101;
    c->upgrading = ws;
    c->holder = r->principal;
    conn_queue(c, 101, response);
    request_release(r);
    return;
refused: /* the caller's context ends here too */
    if (events->on_close)
        events->on_close(NULL, ctx, CODE_BROKEN);
}

/* ---- what the module does with it ---- */

static void close_with(struct websocket *ws, int code, const char *reason)
{
    if (ws->closing || ws->finishing || ws->code)
        return;
    ws->closing = true;
    ws->closing_ms = server_now(ws->server);
    if (wslay_event_queue_close(ws->wslay, (uint16_t)code, (const uint8_t *)reason,
                                reason ? strlen(reason) : 0) != 0)
        ws->code = CODE_BROKEN;
}

/* After something was queued by the module. Calls nobody back: an end is told from the loop, which the
 * shutdown wakes. */
static void push(struct websocket *ws)
{
    if (ws->busy)
        return; /* inside one of our own calls, whose end does all this */
    if (!ws->code && wslay_event_want_write(ws->wslay) && wslay_event_send(ws->wslay) != 0)
        ws->code = CODE_BROKEN;
    bool read = wslay_event_want_read(ws->wslay), write = wslay_event_want_write(ws->wslay);
    if (!ws->code && conn_poll(ws->conn, (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0)) != 0)
        ws->code = CODE_BROKEN;
    if (ws->code || (!read && !write))
        shutdown(ws->conn->fd, SHUT_RDWR);
}

int websocket_send(struct websocket *ws, const char *text, size_t len)
{
    if (ws->finishing || ws->closing || ws->code || !ws->open)
        return VX11_ECLOSED;
    int rc = 0;
    size_t queued = wslay_event_get_queued_msg_length(ws->wslay);
    struct wslay_event_msg m = {.opcode = WSLAY_TEXT_FRAME, .msg = (const uint8_t *)text, .msg_length = len};
    if (queued + len > ws->queue) {
        metric_add(ws->server->m_slow, 1);
        log_warn("http", "slow_reader", LOG_S("event", "slow_reader"), LOG_S("route", "websocket"),
                 LOG_I("queued", queued));
        ws->code = CODE_SLOW; /* a close frame would only queue up behind the rest */
        rc = VX11_EFULL;
    } else if (wslay_event_queue_msg(ws->wslay, &m) != 0) {
        return VX11_ENOMEM;
    }
    push(ws);
    return rc;
}

void websocket_close(struct websocket *ws, int code, const char *reason)
{
    if (ws->finishing)
        return;
    close_with(ws, code, reason);
    push(ws);
}

void websocket_going_away(struct websocket *ws)
{
    enter(ws);
    close_with(ws, WSLAY_CODE_GOING_AWAY, "shutting down");
    leave(ws);
}

void websocket_cut(struct websocket *ws)
{
    enter(ws);
    ws->code = ws->code ? ws->code : CODE_BROKEN;
    leave(ws);
}

void websocket_set_patience(struct websocket *ws, uint64_t ms)
{
    ws->patience_ms = ms;
}

void websockets_check(struct websocket *ws, uint64_t now)
{
    enter(ws);
    if (ws->closing) {
        if (now - ws->closing_ms > CLOSE_WAIT_MS)
            ws->code = CODE_BROKEN;
    } else if (ws->pinged_ms) {
        if (now - ws->pinged_ms > ws->patience_ms)
            ws->code = CODE_BROKEN;
    } else if (now - ws->heard_ms > ws->patience_ms) {
        struct wslay_event_msg ping = {.opcode = WSLAY_PING};
        ws->pinged_ms = now;
        if (wslay_event_queue_msg(ws->wslay, &ping) != 0)
            ws->code = CODE_BROKEN;
    }
    leave(ws);
}
