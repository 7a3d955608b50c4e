/* One call. A call and its libcurl handle are kept and reused together: the handle is set up once
 * (client_call_create), and a start only sets what this request needs. Everything the handle points to (URL,
 * header lines, body) lies in the call's own buffers, so a warmed-up start allocates nothing of ours.
 *
 * A paused call: libcurl stops reading the socket. What it had read already it keeps (at most one buffer of
 * it), and hands over when the call is resumed. */
#include "net/client_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/str.h"
#include "net/address.h"
#include "version.h"

/* ---- ends ---- */

void client_fail(struct client_call *call, int code, const char *fmt, ...)
{
    va_list args;
    if (call->phase == CALL_FREE || call->error.code != 0)
        return;
    va_start(args, fmt);
    error_setv(&call->error, code, fmt, args);
    va_end(args);
    client_queue(call, TODO_FINISH);
}

void client_cancel(struct client_call *call)
{
    client_fail(call, VX11_ECANCELLED, "cancelled");
}

/* ---- libcurl's callbacks ---- */

static void client_fail_private(struct client_call *call)
{
    client_fail(call, VX11_EPERMISSION,
                "the address is not a public one: it belongs to this machine or a private network");
}

static int on_connected(void *data, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
    struct client_call *call = data;
    (void)local_ip, (void)peer_port, (void)local_port;
    if (call->public_only && !address_text_is_public(peer_ip, NULL))
        client_fail_private(call);
    if (call->error.code != 0)
        return CURL_PREREQFUNC_ABORT;
    call->phase = CALL_WAITING;
    call->connected = clock_mono_ns();
    client_time_touch(call);
    return CURL_PREREQFUNC_OK;
}

/* "HTTP/1.1 200 OK" -> 200; libcurl has checked its shape. */
static int status_of(const char *line, size_t len)
{
    const char *space = memchr(line, ' ', len);
    int status = 0;
    if (space == NULL)
        return 0;
    for (const char *c = space + 1; c < line + len && c <= space + 3 && *c >= '0' && *c <= '9'; c++)
        status = status * 10 + (*c - '0');
    return status;
}

static size_t on_header(char *line, size_t size, size_t count, void *data)
{
    struct client_call *call = data;
    size_t len = size * count;
    if (call->error.code != 0)
        return 0;
    if (call->phase == CALL_STREAMING) /* a trailer */
        return len;
    call->head_bytes += len;
    if (call->head_bytes > CLIENT_HEAD_MAX) {
        client_fail(call, VX11_ETOO_LARGE, "the answer's headers are larger than %d bytes", CLIENT_HEAD_MAX);
        return 0;
    }
    if (call->first_byte == 0)
        call->first_byte = clock_mono_ns();
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
        call->status = status_of(line, len);
    } else if (len > 0 && (line[0] == '\r' || line[0] == '\n') && call->status >= 200) {
        call->phase = CALL_STREAMING;
        call->last_data = clock_mono_ns();
        client_time_touch(call);
        if (call->events.on_headers)
            call->events.on_headers(call, call->ctx, call->status);
    }
    return call->error.code != 0 ? 0 : len;
}

static size_t on_body(char *piece, size_t size, size_t count, void *data)
{
    struct client_call *call = data;
    size_t len = size * count;
    if (call->error.code != 0)
        return 0;
    if (call->paused) {
        call->held = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    call->last_data = clock_mono_ns();
    if (call->events.on_data)
        call->events.on_data(call, call->ctx, piece, len);
    return call->error.code != 0 ? 0 : len;
}

/* ---- pause, resume ---- */

void client_pause(struct client_call *call)
{
    if (call->phase == CALL_FREE || call->paused)
        return;
    call->paused = true;
    if (call->direct) { /* the next piece that comes stops the reading */
        call->held = true;
        return;
    }
    /* Before the connection stands libcurl cannot be paused: on_body then does it. Pausing from a callback is
     * allowed. */
    if (call->in_multi && call->phase >= CALL_WAITING && !call->held)
        call->held = curl_easy_pause(call->easy, CURLPAUSE_RECV) == CURLE_OK;
}

void client_resume(struct client_call *call)
{
    if (call->phase == CALL_FREE || !call->paused)
        return;
    call->paused = false;
    call->last_data = clock_mono_ns(); /* the idle limit starts anew */
    client_time_touch(call);
    if (call->held)
        client_queue(call, TODO_RESUME);
}

void client_call_unpause(struct client_call *call)
{
    if (call->paused || !call->held)
        return;
    if (call->direct) {
        call->held = false;
        client_direct_resume(call);
        return;
    }
    if (!call->in_multi)
        return;
    call->held = false;
    /* Hands over what it kept before it returns; when a callback refuses that, libcurl says so here and
     * nowhere else. */
    CURLcode code = curl_easy_pause(call->easy, CURLPAUSE_CONT);
    if (code != CURLE_OK)
        client_finish(call, client_explain(call, code, &call->error));
}

/* ---- start ---- */

void client_call_begin(struct client_call *call)
{
    if (call->deadline_ms > 0 && call->deadline_ms <= clock_mono_ms()) {
        error_set(&call->error, VX11_ETIMEOUT, "the deadline had passed before the request was sent");
        client_finish(call, VX11_ETIMEOUT);
        return;
    }
    if (call->direct) {
        client_direct_begin(call);
        return;
    }
    CURLMcode code = curl_multi_add_handle(call->client->multi, call->easy);
    if (code != CURLM_OK) {
        error_set(&call->error, code == CURLM_OUT_OF_MEMORY ? VX11_ENOMEM : VX11_EINTERNAL,
                  "the request cannot be started: %s", curl_multi_strerror(code));
        client_finish(call, call->error.code);
        return;
    }
    call->in_multi = true;
    call->phase = CALL_CONNECTING;
}

static bool client_easy_setup(struct client_call *call)
{
    CURL *e = call->easy;
    bool ok = client_easy_defaults(call->client, e) == 0;
#define SET(option, value) ok = ok && curl_easy_setopt(e, option, value) == CURLE_OK
    SET(CURLOPT_PRIVATE, call);
    SET(CURLOPT_ERRORBUFFER, call->curl_text);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* a cancelled call does not wait for its name's resolution */
    SET(CURLOPT_USERAGENT, "vx11/" VX11_VERSION);
    SET(CURLOPT_PREREQFUNCTION, on_connected);
    SET(CURLOPT_PREREQDATA, call);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, call);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, call);
    SET(CURLOPT_HTTPHEADER, call->headers);
#undef SET
    return ok;
}

int client_call_create(struct client *c, struct client_call **out)
{
    struct client_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return VX11_ENOMEM;
    call->client = c;
    call->heap_index = SIZE_MAX;
    list_init(&call->all);
    list_init(&call->work);
    list_init(&call->wait);
    *out = call;
    return 0;
}

void client_call_destroy(struct client_call *call)
{
    trace_span_drop(call->span);
    curl_easy_cleanup(call->easy);
    buf_free(&call->text);
    buf_free(&call->body);
    buf_free(&call->request);
    http_reply_free(&call->reply);
    free(call);
}

void client_call_recycle(struct client_call *call)
{
    struct client *c = call->client;
    list_remove(&call->all);
    if (c->pool_count >= CLIENT_POOL_MAX || c->closing) {
        client_call_destroy(call);
        return;
    }
    if (call->text.len > 0)
        explicit_bzero(call->text.data, call->text.len); /* it held the token */
    if (call->request.len > 0)
        explicit_bzero(call->request.data, call->request.len);
    if (call->body.cap > CLIENT_POOL_BODY_MAX)
        buf_free(&call->body);
    call->events = (struct client_events){0};
    call->ctx = NULL;
    trace_span_drop(call->span); /* of a call that never began */
    call->span = NULL;
    c->pool_count++;
    list_push(c->pool.next, &call->all); /* at the front: the warmest is used first */
}

static int client_call_take(struct client *c, struct client_call **out)
{
    struct client_call *call;
    if (client_time_reserve(c) != 0)
        return VX11_ENOMEM;
    if (!list_empty(&c->pool)) {
        call = LIST_CALL(c->pool.next, all);
        list_remove(&call->all);
        c->pool_count--;
    } else if (client_call_create(c, &call) != 0) {
        return VX11_ENOMEM;
    }
    buf_clear(&call->text);
    buf_clear(&call->body);
    call->todo = 0;
    call->paused = call->held = call->direct = call->fresh = false;
    call->status = 0;
    call->head_bytes = 0;
    call->curl_text[0] = 0;
    call->error.code = 0;
    call->error.text[0] = 0;
    call->connected = call->first_byte = call->last_data = call->ended = 0;
    call->started = clock_mono_ns();
    *out = call;
    return 0;
}

/* ---- what is sent ---- */

/* RFC 9110's token characters. */
static bool header_name_ok(const char *s)
{
    if (*s == 0)
        return false;
    for (; *s; s++)
        if (!((*s >= '0' && *s <= '9') || (*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z') ||
              strchr("!#$%&'*+-.^_`|~", *s) != NULL))
            return false;
    return true;
}

static bool header_value_ok(const char *s)
{
    for (; *s; s++)
        if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
            return false;
    return true;
}

/* Headers by which a message is framed: only libcurl sets those. */
static bool header_is_framing(const char *name)
{
    static const char *const names[] = {
        "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Expect", "TE",
        "Trailer",        "Keep-Alive"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

struct header_lines { /* where each line starts in call->text, which may still move */
    size_t at[CLIENT_MAX_HEADERS], count;
};

static int header_add(struct client_call *call, struct header_lines *lines, const char *name,
                      const char *value, struct error *err)
{
    struct buf *t = &call->text;
    if (lines->count == CLIENT_MAX_HEADERS)
        return error_set(err, VX11_EINVALID, "a request has at most %d headers", CLIENT_MAX_HEADERS);
    if (!header_name_ok(name))
        return error_set(err, VX11_EINVALID, "a header's name is malformed");
    if (!header_value_ok(value))
        return error_set(err, VX11_EINVALID,
                         "the value of header %s has a line break or control character in it", name);
    lines->at[lines->count++] = t->len;
    buf_puts(t, name);
    if (*value != 0) {
        buf_append(t, ": ", 2);
        buf_puts(t, value);
    } else {
        buf_putc(t, ';'); /* libcurl's way to send an empty one */
    }
    buf_putc(t, 0);
    return 0;
}

/* "Name:" tells libcurl to leave out a header that it would add by itself. */
static void header_suppress(struct client_call *call, struct header_lines *lines, const char *name)
{
    lines->at[lines->count++] = call->text.len;
    buf_puts(&call->text, name);
    buf_append(&call->text, ":", 2);
}

static int headers_extra(struct client_call *call, const struct client_call_options *o,
                         struct header_lines *lines, bool *has_type, struct error *err)
{
    for (size_t i = 0; i < o->header_count; i++) {
        const struct client_header *h = &o->headers[i];
        if (header_is_framing(h->name))
            return error_set(err, VX11_EINVALID, "header %s is not the caller's to set", h->name);
        if (strcasecmp(h->name, "Content-Type") == 0)
            *has_type = true;
        int rc = header_add(call, lines, h->name, h->value, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* What the next hop may use of our time: the rest, less a twentieth (1 to 100 ms), so that its error still
 * reaches us in time. */
static int header_deadline(struct client_call *call, struct header_lines *lines, struct error *err)
{
    char number[24];
    int64_t left = call->deadline_ms - (int64_t)(call->started / 1000000u);
    int64_t margin = left / 20;
    margin = margin < 1 ? 1 : margin > 100 ? 100 : margin;
    snprintf(number, sizeof number, "%lld", (long long)(left - margin > 1 ? left - margin : 1));
    return header_add(call, lines, "X-Request-Deadline-Ms", number, err);
}

static int headers_build(struct client_call *call, const struct client_target *target,
                         const char *content_type, bool has_body, const struct client_call_options *o,
                         struct error *err)
{
    enum { EXPECT_FROM = 1 << 20 }; /* libcurl would wait for "100 Continue" before a body this large */
    struct header_lines lines = {.count = 0};
    bool has_type = content_type != NULL;
    int rc = 0;
    if (content_type)
        rc = header_add(call, &lines, "Content-Type", content_type, err);
    if (rc == 0 && target->token) {
        char bearer[4096];
        int len = snprintf(bearer, sizeof bearer, "Bearer %s", target->token);
        if (len >= (int)sizeof bearer)
            return error_set(err, VX11_EINVALID, "the token is too long");
        rc = header_add(call, &lines, "Authorization", bearer, err);
        explicit_bzero(bearer, sizeof bearer);
    }
    if (rc == 0 && o->request_id)
        rc = header_add(call, &lines, "X-Request-Id", o->request_id, err);
    if (rc == 0 && o->trace)
        rc = header_add(call, &lines, "traceparent", call->span ? trace_span_parent(call->span) : o->trace,
                        err);
    if (rc == 0 && call->deadline_ms > 0)
        rc = header_deadline(call, &lines, err);
    if (rc == 0 && call->client->caller && target->socket)
        rc = header_add(call, &lines, "X-VX11-Caller", call->client->caller, err);
    if (rc == 0)
        rc = headers_extra(call, o, &lines, &has_type, err);
    if (rc == 0 && o->once)
        rc = header_add(call, &lines, "Connection", "close", err);
    if (rc != 0)
        return rc;
    if (lines.count + 2 > CLIENT_MAX_HEADERS)
        return error_set(err, VX11_EINVALID, "a request has at most %d headers", CLIENT_MAX_HEADERS);
    if (!has_type && has_body)
        header_suppress(call, &lines, "Content-Type");
    if (call->body.len >= EXPECT_FROM || lines.count == 0)
        header_suppress(call, &lines, "Expect");
    if (call->text.failed)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < lines.count; i++) {
        call->headers[i].data = call->text.data + lines.at[i];
        call->headers[i].next = i + 1 < lines.count ? &call->headers[i + 1] : NULL;
    }
    return 0;
}

/* URL (at the text's start), then the socket's path. Base URLs come from configuration and paths from code,
 * so a malformed one is a mistake worth a sentence, and nothing in either may break out of the request line.
 */
static int url_build(struct client_call *call, const struct client_target *target, const char *path,
                     struct error *err)
{
    const char *base = target->base_url;
    size_t skip = strncasecmp(base, "http://", 7) == 0 ? 7 : strncasecmp(base, "https://", 8) == 0 ? 8 : 0;
    size_t base_len = strlen(base);
    if (skip == 0 || base_len == skip || base[skip] == '/')
        return error_set(err, VX11_EINVALID,
                         "a target's base URL must start with http:// or https:// and name a host");
    if (memchr(base + skip, '@', strcspn(base + skip, "/")) != NULL)
        return error_set(err, VX11_EINVALID, "a target's base URL must not carry a user name or password");
    while (base[base_len - 1] == '/')
        base_len--;
    if (path[0] != '/' && path[0] != 0 && path[0] != '?')
        return error_set(err, VX11_EINVALID, "a request's path must start with '/'");
    buf_append(&call->text, base, base_len);
    buf_puts(&call->text, path);
    buf_putc(&call->text, 0);
    call->socket_at = target->socket ? call->text.len : 0;
    if (target->socket) {
        buf_puts(&call->text, target->socket);
        buf_putc(&call->text, 0);
    }
    if (call->text.failed)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (const unsigned char *s = (const unsigned char *)call->text.data; *s; s++)
        if (*s <= ' ' || *s >= 0x7f || *s == '#')
            return error_set(err, VX11_EINVALID, "a request's URL must be percent-encoded");
    return 0;
}

/* Sets what the handle sends. A handle remembers, so only differences are set. */
static bool method_set(struct client_call *call, const char *method, bool has_body)
{
    CURL *e = call->easy;
    bool ok = true, head = strcmp(method, "HEAD") == 0;
    enum client_body_kind kind = head ? BODY_HEAD : has_body ? BODY_SENT : BODY_NONE;
    const char *implied = kind == BODY_HEAD ? "HEAD" : kind == BODY_SENT ? "POST" : "GET";
#define SET(option, value) ok = ok && curl_easy_setopt(e, option, value) == CURLE_OK
    if (kind != call->kind) {
        if (call->kind == BODY_HEAD)
            SET(CURLOPT_NOBODY, 0L);
        if (kind == BODY_NONE)
            SET(CURLOPT_HTTPGET, 1L);
        else if (kind == BODY_HEAD)
            SET(CURLOPT_NOBODY, 1L);
    }
    if (kind == BODY_SENT) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
        SET(CURLOPT_POSTFIELDS, call->body.data ? call->body.data : "");
    }
    bool own = strcmp(method, implied) != 0;
    if (own)
        SET(CURLOPT_CUSTOMREQUEST, method);
    else if (call->own_method)
        SET(CURLOPT_CUSTOMREQUEST, (char *)NULL);
#undef SET
    call->kind = ok ? kind : BODY_UNSET;
    call->own_method = own;
    return ok;
}

static bool easy_get(struct client_call *call)
{
    if (call->easy != NULL)
        return true;
    call->easy = curl_easy_init();
    if (call->easy != NULL && client_easy_setup(call))
        return true;
    curl_easy_cleanup(call->easy);
    call->easy = NULL;
    return false;
}

static bool target_set(struct client_call *call)
{
    const char *path = call->socket_at ? call->text.data + call->socket_at : NULL;
    bool ok = curl_easy_setopt(call->easy, CURLOPT_URL, call->text.data) == CURLE_OK;
    if (path != NULL || call->had_socket)
        ok = ok && curl_easy_setopt(call->easy, CURLOPT_UNIX_SOCKET_PATH, path) == CURLE_OK;
    call->had_socket = path != NULL;
    /* Only behind our own limit: libcurl's covers the second attempt after a kept connection turned out to be
     * dead. */
    long connect_ms = (long)call->connect_limit + 1000;
    if (connect_ms != call->curl_connect_ms)
        ok = ok && curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) == CURLE_OK;
    call->curl_connect_ms = connect_ms;
    return ok;
}

static int method_check(const char *method, struct error *err)
{
    size_t len = strlen(method);
    if (len == 0 || len > 16 || strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != len)
        return error_set(err, VX11_EINVALID, "a method must be 1 to 16 capital letters");
    return strcmp(method, "CONNECT") == 0 ? error_set(err, VX11_EUNSUPPORTED, "CONNECT is not supported") : 0;
}

static int64_t limit_of(int64_t ms) /* so that sums of times cannot overflow */
{
    return ms > CLIENT_LIMIT_MAX_MS ? CLIENT_LIMIT_MAX_MS : ms;
}

static int call_prepare(struct client_call *call, const struct client_target *target, const char *method,
                        const char *path, const char *content_type, const void *body, size_t body_len,
                        const struct client_call_options *o, struct error *err)
{
    /* POST, PUT and PATCH always say how long their body is, even when it is empty. */
    bool has_body = body_len > 0 || method[0] == 'P';
    call->deadline_ms = o->deadline_ms > 0 ? o->deadline_ms : 0;
    call->connect_limit = limit_of(o->connect_timeout_ms > 0 ? o->connect_timeout_ms : CLIENT_CONNECT_MS);
    call->first_limit = limit_of(o->first_byte_timeout_ms);
    call->idle_limit = limit_of(o->idle_timeout_ms);
    int rc = method_check(method, err);
    if (rc == 0)
        rc = url_build(call, target, path, err);
    if (rc != 0)
        return rc;
    if (body_len > 0 && buf_append(&call->body, body, body_len) != 0)
        return error_set(err, VX11_ENOMEM, "out of memory");
    struct sockaddr_storage address;
    socklen_t address_len;
    rc = headers_build(call, target, content_type, has_body, o, err);
    call->direct = client_direct_takes(call, &address, &address_len);
    if (rc != 0)
        return rc;
    call->public_only = o->public_only && call->socket_at == 0;
    call->once = o->once;
    if (call->direct && call->public_only && !address_is_public((const struct sockaddr *)&address))
        return error_set(err, VX11_EPERMISSION,
                         "the address is not a public one: it belongs to this machine or a private network");
    if (call->direct)
        rc = client_direct_prepare(call, method, has_body);
    else if (!easy_get(call) || !target_set(call) || !method_set(call, method, has_body))
        rc = VX11_ENOMEM;
    return rc != 0 ? error_set(err, rc, "out of memory") : 0;
}

static void call_span(struct client_call *call, const char *method, const char *path, const char *parent)
{
    char name[200];
    size_t len = strcspn(path, "?"); /* what is asked for may be a secret */
    snprintf(name, sizeof name, "%s %.*s", method, (int)(len < 160 ? len : 160), path);
    call->span = trace_span_start(call->client->tracer, TRACE_CLIENT, name, parent, call->started);
    trace_span_text(call->span, "http.request.method", method);
}

void client_call_span_end(struct client_call *call, int result)
{
    char peer[300];
    struct trace_span *span = call->span;
    if (!span)
        return;
    call->span = NULL;
    trace_span_text(span, "server.address", client_peer_name(call, peer, sizeof peer));
    if (call->status > 0)
        trace_span_int(span, "http.response.status_code", call->status);
    if (result != 0)
        trace_span_text(span, "error.type", error_name(result));
    if (result != 0)
        trace_span_error(span, call->error.text);
    else if (call->status >= 400)
        trace_span_error(span, NULL);
    trace_span_end(span);
}

int client_start(struct client *c, const struct client_target *target, const char *method, const char *path,
                 const char *content_type, const void *body, size_t body_len,
                 const struct client_call_options *options, const struct client_events *events, void *ctx,
                 struct client_call **out, struct error *err)
{
    static const struct client_call_options none;
    struct client_call *call;
    if (out)
        *out = NULL;
    if (c->closing)
        return error_set(err, VX11_ECLOSED, "the HTTP client is closed");
    if (client_call_take(c, &call) != 0)
        return error_set(err, VX11_ENOMEM, "out of memory");
    if (options && options->trace && tracer_on(c->tracer))
        call_span(call, method, path, options->trace);
    int rc = call_prepare(call, target, method, path, content_type, body, body_len, options ? options : &none,
                          err);
    if (rc != 0) {
        client_call_recycle(call);
        return rc;
    }
    call->events = *events;
    call->ctx = ctx;
    call->edge = c->edges && !(options && options->poll) ? client_edge_of(c, target) : NULL;
    call->phase = CALL_QUEUED;
    list_push(&c->live, &call->all);
    if (c->live_count++ == 0)
        uv_ref((uv_handle_t *)&c->check);
    client_time_touch(call);
    client_queue(call, TODO_START);
    if (out)
        *out = call;
    return 0;
}

/* ---- looking at a call ---- */

int client_call_status(const struct client_call *call)
{
    return call->phase == CALL_STREAMING || call->phase == CALL_FREE ? call->status : 0;
}

struct trace_span *client_call_span(struct client_call *call)
{
    return call->span;
}

void client_set_tracer(struct client *c, struct tracer *t)
{
    c->tracer = t;
}

void client_set_caller(struct client *c, const char *name)
{
    c->caller = name;
}

const char *client_call_header(const struct client_call *call, const char *name)
{
    struct curl_header *h;
    if (call->direct)
        return http_reply_header(&call->reply, name);
    return curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value : NULL;
}

static double seconds_between(uint64_t from, uint64_t to)
{
    return to == 0 ? -1 : (double)(to - from) / 1e9;
}

void client_call_times(const struct client_call *call, double *connect_s, double *first_byte_s,
                       double *total_s)
{
    if (connect_s)
        *connect_s = seconds_between(call->started, call->connected);
    if (first_byte_s)
        *first_byte_s = seconds_between(call->started, call->first_byte);
    if (total_s)
        *total_s = seconds_between(call->started, call->ended ? call->ended : clock_mono_ns());
}
