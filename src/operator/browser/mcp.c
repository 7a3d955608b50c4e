/* Calls are a list; each is one HTTP request at a time. The session is begun by the first call and again
 * after it was lost, and calls that come meanwhile wait in the list without a request. */
#include "operator/browser/mcp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "net/sse.h"

#define MAX_MESSAGE  ((size_t)48 << 20)
#define BEGIN_MS     10000
#define SIDE_MS      3000 /* for what nobody waits for: notifications, answers, DELETE */
#define SESSION_MOST 256

enum state { MCP_NEW, MCP_BEGINNING, MCP_READY };

/* One HTTP request of ours. */
struct mcp_call {
    struct mcp *mcp;
    struct mcp_call *next;
    struct client_call *http; /* NULL: it waits for the session */
    int64_t id;               /* 0: a notification, an answer, the stream, the DELETE */
    const char *method;
    char *params;
    int64_t timeout_ms;
    bool repeat, repeated, listens, events, dropped, answered, ending, in_session;
    struct buf body;
    struct sse_parser sse;
    struct arena *arena; /* of the answer */
    struct mcp_message answer;
    int rc; /* of reading it */
    struct error err;
    mcp_fn fn;
    void *ctx;
};

struct mcp {
    struct client *client;
    char *base, *path;
    const char *peer;
    size_t max_message;
    int64_t begin_ms, last_id;
    enum state state;
    char session[SESSION_MOST];
    struct mcp_server server;
    struct mcp_call *calls;
    bool closing;
    unsigned busy; /* callbacks of ours that run: it is not freed under them */
    void (*closed)(void *ctx);
    void *closed_ctx;
};

static void begin(struct mcp *m);
static int call_send(struct mcp_call *c);

const struct mcp_server *mcp_server(const struct mcp *m)
{
    return &m->server;
}

const char *mcp_session(const struct mcp *m)
{
    return m->session;
}

/* ---- calls ---- */

static struct mcp_call *call_make(struct mcp *m, const char *method, const char *params)
{
    struct mcp_call *c = calloc(1, sizeof *c);
    char *copy = params ? strdup(params) : NULL;
    if (!c || (params && !copy)) {
        free(c);
        free(copy);
        return NULL;
    }
    *c = (struct mcp_call){.mcp = m, .next = m->calls, .method = method, .params = copy, .body = BUF_INIT};
    sse_init(&c->sse, m->max_message);
    m->calls = c;
    return c;
}

static void mcp_free_if_over(struct mcp *m)
{
    if (!m->closing || m->calls || m->busy)
        return;
    void (*closed)(void *ctx) = m->closed;
    void *ctx = m->closed_ctx;
    free(m->base);
    free(m->path);
    free(m);
    if (closed)
        closed(ctx);
}

static void call_free(struct mcp_call *c)
{
    struct mcp *m = c->mcp;
    for (struct mcp_call **at = &m->calls; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            break;
        }
    sse_free(&c->sse);
    buf_free(&c->body);
    arena_destroy(c->arena);
    free(c->params);
    free(c);
}

/* Its last word, and its end. */
static void call_end(struct mcp_call *c, const struct error *err)
{
    struct mcp *m = c->mcp;
    m->busy++;
    c->ending = true;
    if (c->fn && !c->dropped)
        c->fn(c->ctx, c->arena, err ? NULL : c->answer.result, err);
    call_free(c);
    m->busy--;
    mcp_free_if_over(m);
}

/* ---- what nobody waits for ---- */

static void send_aside(struct mcp *m, const char *method, struct buf *body)
{
    struct mcp_call *c = body->failed || m->closing ? NULL : call_make(m, method, NULL);
    if (c) {
        c->body = *body;
        *body = (struct buf)BUF_INIT;
        c->timeout_ms = SIDE_MS;
        if (call_send(c) != 0)
            call_free(c);
    }
    buf_free(body);
}

static void notify(struct mcp *m, const char *method, const char *params)
{
    struct buf body = BUF_INIT;
    (void)mcp_notification_write(&body, method, params);
    send_aside(m, method, &body);
}

static void notify_cancelled(struct mcp *m, int64_t id, const char *reason)
{
    char params[128];
    (void)snprintf(params, sizeof params, "{\"requestId\":%lld,\"reason\":\"%s\"}", (long long)id, reason);
    notify(m, "notifications/cancelled", params);
}

static void answer_request(struct mcp *m, const struct mcp_message *request)
{
    struct buf body = BUF_INIT;
    (void)mcp_answer_write(&body, request);
    send_aside(m, "answer", &body);
}

/* ---- what comes in ---- */

/* One message. 1: it is the answer that this call waits for. */
static int take_message(struct mcp_call *c, const char *text, size_t len)
{
    struct mcp_message message;
    struct arena *a = arena_create(0);
    struct error err = {0};
    if (!a)
        return VX11_ENOMEM;
    int rc = mcp_message_read(a, text, len, &message, &err);
    if (rc == 0 && message.kind <= MCP_FAILURE && c->id > 0 && message.id == c->id) {
        c->arena = a;
        c->answer = message;
        c->answered = true;
        return 1;
    }
    if (rc == 0 && message.kind == MCP_REQUEST)
        answer_request(c->mcp, &message);
    if (rc != 0) {
        c->rc = rc;
        c->err = err;
    }
    arena_destroy(a);
    return rc;
}

static int on_event(void *ctx, const struct sse_event *e)
{
    return e->data_len > 0 ? take_message(ctx, e->data, e->data_len) : 0;
}

static void session_read(struct mcp_call *c, struct client_call *http)
{
    const char *id = client_call_header(http, "Mcp-Session-Id");
    size_t n = id ? strlen(id) : 0;
    bool sound = n > 0 && n < SESSION_MOST;
    for (size_t i = 0; i < n && sound; i++)
        sound = id[i] > ' ' && id[i] < 0x7f;
    if (sound)
        memcpy(c->mcp->session, id, n + 1);
}

static void on_headers(struct client_call *http, void *ctx, int status)
{
    struct mcp_call *c = ctx;
    const char *type = client_call_header(http, "Content-Type");
    c->events = status == 200 && type && strncasecmp(type, "text/event-stream", 17) == 0;
    if (status == 200 && str_eq(c->method, "initialize"))
        session_read(c, http);
}

static void on_data(struct client_call *http, void *ctx, const char *data, size_t len)
{
    struct mcp_call *c = ctx;
    if (c->answered || c->rc != 0 || c->dropped || (c->id == 0 && !c->events))
        return;
    if (c->events) {
        int rc = sse_feed(&c->sse, data, len, on_event, c);
        if (rc < 0 && c->rc == 0)
            c->rc = error_set(&c->err, rc, "the MCP server's events cannot be read: %s", error_describe(rc));
    } else if (c->body.len + len > c->mcp->max_message) {
        c->rc = error_set(&c->err, VX11_ETOO_LARGE, "the MCP server's answer is larger than %zu bytes",
                          c->mcp->max_message);
    } else if (buf_append(&c->body, data, len) != 0) {
        c->rc = error_set(&c->err, VX11_ENOMEM, "out of memory");
    }
    if (c->answered || c->rc != 0)
        client_cancel(http); /* nothing more is wanted of it */
}

/* ---- the end of a call ---- */

/* Why there is no answer. */
static int call_judge(struct mcp_call *c, int status, int result, const struct error *err, struct error *out)
{
    if (c->answered)
        return c->answer.kind == MCP_RESULT
                   ? 0
                   : error_set(out, VX11_EINVALID, "the MCP server refused %s: %.300s (%lld)", c->method,
                               c->answer.text, (long long)c->answer.code);
    if (c->rc != 0) {
        *out = c->err;
        return c->rc;
    }
    if (result == VX11_ETIMEOUT)
        return error_set(out, result, "%s was not answered in time", c->method);
    if (result != 0)
        return error_set(out, result, "%.400s", err && err->text[0] ? err->text : error_describe(result));
    if (status == 404 && c->in_session)
        return error_set(out, VX11_ECLOSED, "the MCP server does not know our session any more");
    if (status < 200 || status > 299)
        return error_set(out, status >= 500 ? VX11_EUNAVAILABLE : VX11_EINVALID,
                         "the MCP server answered %s with status %d", c->method, status);
    return error_set(out, VX11_ECORRUPT, "the MCP server ended its answer to %s without a result", c->method);
}

/* The session is gone: what is still under way fails by itself in the same way. */
static void session_lost(struct mcp *m)
{
    m->session[0] = '\0';
    m->state = MCP_NEW;
    for (struct mcp_call *c = m->calls; c; c = c->next)
        if (c->listens && c->http)
            client_cancel(c->http);
}

static bool call_again(struct mcp_call *c)
{
    if (!c->repeat || c->repeated || c->dropped || c->mcp->closing)
        return false;
    c->repeated = true;
    c->events = false;
    sse_free(&c->sse);
    sse_init(&c->sse, c->mcp->max_message);
    begin(c->mcp);
    return c->mcp->state == MCP_BEGINNING;
}

static void on_done(struct client_call *http, void *ctx, int result, const struct error *err)
{
    struct mcp_call *c = ctx;
    struct mcp *m = c->mcp;
    struct error why = {0};
    int status = client_call_status(http);
    bool lost = result == 0 && status == 404 && m->session[0] && m->state == MCP_READY && !m->closing;
    c->http = NULL;
    if (result == 0 && status == 200 && !c->events && !c->answered && c->rc == 0 && c->id > 0 && !c->dropped)
        (void)take_message(c, c->body.data ? c->body.data : "", c->body.len);
    buf_clear(&c->body);
    if (lost)
        session_lost(m);
    if (c->id == 0) { /* nobody waits */
        call_end(c, NULL);
        return;
    }
    int rc = call_judge(c, status, result, err, &why);
    if (lost && call_again(c))
        return;
    if (rc == VX11_ETIMEOUT && m->state == MCP_READY)
        notify_cancelled(m, c->id, "timeout");
    call_end(c, rc == 0 ? NULL : &why);
}

/* ---- sending ---- */

static int call_send(struct mcp_call *c)
{
    static const struct client_events events = {
        .on_headers = on_headers, .on_data = on_data, .on_done = on_done};
    struct mcp *m = c->mcp;
    struct client_header headers[4];
    size_t n = 0;
    const char *verb = c->listens ? "GET" : str_eq(c->method, "DELETE") ? "DELETE" : "POST";
    const bool post = verb[0] == 'P';
    struct buf body = BUF_INIT;
    headers[n++] = (struct client_header){"Accept", c->listens ? "text/event-stream"
                                                               : "application/json, text/event-stream"};
    if (m->server.version[0] && !str_eq(c->method, "initialize"))
        headers[n++] = (struct client_header){"MCP-Protocol-Version", m->server.version};
    c->in_session = m->session[0] != '\0';
    if (c->in_session)
        headers[n++] = (struct client_header){"Mcp-Session-Id", m->session};
    if (c->id > 0 && mcp_request_write(&body, c->id, c->method, c->params) != 0)
        return VX11_ENOMEM;
    if (c->id == 0) { /* what it says was put there */
        body = c->body;
        c->body = (struct buf)BUF_INIT;
    }
    const struct client_target target = {.base_url = m->base, .peer = m->peer};
    const struct client_call_options options = {
        .deadline_ms = c->timeout_ms > 0 ? clock_mono_ms() + c->timeout_ms : 0,
        .headers = headers,
        .header_count = n,
        .max_reply = m->max_message,
        .once = true,
    };
    int rc =
        client_start(m->client, &target, verb, m->path, post ? "application/json" : NULL,
                     post ? body.data : NULL, post ? body.len : 0, &options, &events, c, &c->http, &c->err);
    buf_free(&body);
    return rc;
}

/* ---- the session ---- */

/* The server may ask us something (ping) at any time; where it does not offer a stream for it, it answers 405
 * and will not. */
static void listen_to(struct mcp *m)
{
    struct mcp_call *c = call_make(m, "stream", NULL);
    if (!c)
        return;
    c->listens = true;
    if (call_send(c) != 0)
        call_free(c);
}

/* Calls that came before there was a session: sent, or told why there is none. */
static void waiting_go(struct mcp *m, const struct error *err)
{
    for (;;) {
        struct mcp_call *c = m->calls;
        while (c && (c->http || c->id == 0 || c->ending))
            c = c->next;
        if (!c || m->closing)
            return;
        if (err) {
            call_end(c, err);
        } else if (call_send(c) != 0) {
            struct error why = c->err;
            if (why.code == 0)
                (void)error_set(&why, VX11_ENOMEM, "out of memory");
            call_end(c, &why);
        }
    }
}

static void on_begun(void *ctx, struct arena *a, yyjson_val *result, const struct error *err)
{
    struct mcp *m = ctx;
    struct error why = {0};
    (void)a;
    if (m->closing)
        return;
    if (err)
        why = *err;
    if (err || mcp_server_read(result, &m->server, &why) != 0) {
        m->state = MCP_NEW;
        m->session[0] = '\0';
        waiting_go(m, &why);
        return;
    }
    m->state = MCP_READY;
    notify(m, "notifications/initialized", NULL);
    listen_to(m);
    waiting_go(m, NULL);
}

static void begin(struct mcp *m)
{
    if (m->state != MCP_NEW || m->closing)
        return;
    struct mcp_call *c =
        call_make(m, "initialize",
                  "{\"protocolVersion\":\"" MCP_VERSION
                  "\",\"capabilities\":{},\"clientInfo\":{\"name\":\"vx11\",\"version\":\"1\"}}");
    if (!c)
        return;
    m->session[0] = '\0';
    m->server = (struct mcp_server){0};
    c->id = ++m->last_id;
    c->timeout_ms = m->begin_ms;
    c->fn = on_begun;
    c->ctx = m;
    m->state = MCP_BEGINNING;
    if (call_send(c) != 0) {
        m->state = MCP_NEW;
        call_free(c);
    }
}

/* ---- interface ---- */

int mcp_ask(struct mcp *m, const struct mcp_request *request, struct mcp_call **out)
{
    struct mcp_call *c = m->closing ? NULL : call_make(m, request->method, request->params);
    if (!c)
        return VX11_ENOMEM;
    c->id = ++m->last_id;
    c->timeout_ms = request->timeout_ms;
    c->repeat = request->repeat;
    begin(m);
    if (m->state == MCP_NEW || (m->state == MCP_READY && call_send(c) != 0)) {
        call_free(c);
        return VX11_ENOMEM;
    }
    c->fn = request->fn;
    c->ctx = request->ctx;
    if (out)
        *out = c;
    return 0;
}

void mcp_drop(struct mcp_call *call)
{
    if (call->dropped)
        return;
    call->dropped = true;
    call->fn = NULL;
    if (!call->http) {
        call_free(call);
        return;
    }
    client_cancel(call->http);
    if (call->mcp->state == MCP_READY && call->id > 0)
        notify_cancelled(call->mcp, call->id, "no longer wanted");
}

void mcp_close(struct mcp *m, void (*done)(void *ctx), void *ctx)
{
    struct mcp_call *c = m->session[0] ? call_make(m, "DELETE", NULL) : NULL;
    m->closed = done;
    m->closed_ctx = ctx;
    for (struct mcp_call *other = m->calls, *next; other; other = next) {
        next = other->next;
        other->fn = NULL;
        other->dropped = true;
        if (other == c)
            continue;
        if (other->http)
            client_cancel(other->http);
        else if (!other->ending)
            call_free(other);
    }
    if (c) {
        c->timeout_ms = SIDE_MS;
        if (call_send(c) != 0)
            call_free(c);
    }
    m->closing = true;
    mcp_free_if_over(m);
}

int mcp_create(const struct mcp_options *options, struct mcp **out, struct error *err)
{
    const char *host = strstr(options->url, "://"), *path = host ? strchr(host + 3, '/') : NULL;
    if (!host || (!str_starts(options->url, "http://") && !str_starts(options->url, "https://")) ||
        host[3] == '\0' || host[3] == '/')
        return error_set(err, VX11_EINVALID, "the address of an MCP server is http(s)://HOST/PATH");
    struct mcp *m = calloc(1, sizeof *m);
    if (!m)
        return error_set(err, VX11_ENOMEM, "out of memory");
    m->client = options->client;
    m->peer = options->peer;
    m->max_message = options->max_message ? options->max_message : MAX_MESSAGE;
    m->begin_ms = options->begin_ms > 0 ? options->begin_ms : BEGIN_MS;
    m->base = path ? strndup(options->url, (size_t)(path - options->url)) : strdup(options->url);
    m->path = strdup(path ? path : "/");
    if (!m->base || !m->path) {
        free(m->base);
        free(m->path);
        free(m);
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    *out = m;
    return 0;
}
