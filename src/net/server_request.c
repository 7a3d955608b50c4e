/* Server request: one exchange from its first byte to the moment when neither the wire nor the handler needs
 * it. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/server_internal.h"
#include "net/server_parse.h"

/* ---- life ---- */

static struct request *request_make(void)
{
    struct request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->arena = arena_create(0);
    if (!r->arena) {
        free(r);
        return NULL;
    }
    return r;
}

struct request *request_take(struct server *s, struct conn *c)
{
    struct request *r = s->pool;
    if (r) {
        s->pool = r->next;
        s->pooled--;
        struct arena *arena = r->arena;
        struct buf body = r->body, reply = r->reply;
        *r = (struct request){.arena = arena, .body = body, .reply = reply};
    } else {
        r = request_make();
        if (!r)
            return NULL;
    }
    r->server = s;
    r->conn = c;
    r->index = SIZE_MAX;
    r->deadline = INT64_MAX;
    r->started_ns = clock_mono_ns();
    r->progress_ms = server_now(s);
    r->next = s->requests;
    if (s->requests)
        s->requests->prev = r;
    s->requests = r;
    s->in_flight++;
    metric_add(s->m_in_flight, 1);
    c->request = r;
    return r;
}

static void trim(struct buf *b)
{
    if (b->cap > KEEP_BODY_BUFFER)
        buf_free(b);
    else
        buf_clear(b);
}

void request_release(struct request *r)
{
    struct server *s = r->server;
    if (r->conn || r->pins || (r->dispatched && !r->ended))
        return;
    request_deadline_remove(r);
    if (r->prev)
        r->prev->next = r->next;
    else
        s->requests = r->next;
    if (r->next)
        r->next->prev = r->prev;
    s->in_flight--;
    metric_add(s->m_in_flight, -1);
    if (s->pooled >= POOL_REQUESTS) {
        arena_destroy(r->arena);
        buf_free(&r->body);
        buf_free(&r->reply);
        free(r);
        return;
    }
    arena_reset(r->arena);
    trim(&r->body);
    trim(&r->reply);
    r->next = s->pool;
    s->pool = r;
    s->pooled++;
}

void request_pin(struct request *r)
{
    r->pins++;
}

void request_unpin(struct request *r)
{
    r->pins--;
    request_release(r);
}

/* ---- deadlines: a list in order. Most requests get the same time, so a new one belongs at the end. ---- */

static void on_deadline(uv_timer_t *timer);

static void deadline_arm(struct server *s)
{
    if (!s->first_deadline || s->stopped)
        return;
    int64_t wait = s->first_deadline->deadline - clock_mono_ms();
    uv_timer_start(&s->deadline, on_deadline, wait > 0 ? (uint64_t)wait : 0, 0);
}

void request_deadline_add(struct request *r)
{
    struct server *s = r->server;
    if (r->deadline == INT64_MAX || r->on_deadline_list)
        return;
    struct request *before = s->last_deadline;
    while (before && before->deadline > r->deadline)
        before = before->earlier;
    r->earlier = before;
    r->later = before ? before->later : s->first_deadline;
    if (r->later)
        r->later->earlier = r;
    else
        s->last_deadline = r;
    if (before)
        before->later = r;
    else
        s->first_deadline = r;
    r->on_deadline_list = true;
    /* Later ones leave the timer alone; one that was removed lets it ring for nothing, once. */
    if (!before || !uv_is_active((uv_handle_t *)&s->deadline))
        deadline_arm(s);
}

void request_deadline_remove(struct request *r)
{
    struct server *s = r->server;
    if (!r->on_deadline_list)
        return;
    if (r->earlier)
        r->earlier->later = r->later;
    else
        s->first_deadline = r->later;
    if (r->later)
        r->later->earlier = r->earlier;
    else
        s->last_deadline = r->earlier;
    r->earlier = r->later = NULL;
    r->on_deadline_list = false;
    if (!s->first_deadline && !s->stopped)
        uv_timer_stop(&s->deadline);
}

static void on_deadline(uv_timer_t *timer)
{
    struct server *s = timer->data;
    int64_t now = clock_mono_ms();
    while (s->first_deadline && s->first_deadline->deadline <= now) {
        struct request *r = s->first_deadline;
        request_deadline_remove(r);
        request_cancel(r, VX11_ETIMEOUT);
    }
    deadline_arm(s);
}

/* ---- body ---- */

/* Past the limit in mid-body: what has come so far is all that was ever held. */
static void body_too_large(struct request *r)
{
    static const struct failure large = {
        .status = 413, .code = "body_too_large", .text = "The body is larger than this route takes."};
    reply_failure(r, &large);
}

static void piece_to_handler(struct request *r, const char *data, size_t *size)
{
    if (r->ended) { /* answered already; the rest is of no interest */
        *size = 0;
        return;
    }
    if (!r->on_body || r->body_paused) {
        r->body_paused = true;
        conn_suspend(r->conn);
        return;
    }
    size_t len = *size;
    *size = 0;
    log_set_request(r->id);
    r->on_body(r, r->body_ctx, data, len, false);
    log_set_request(NULL);
}

void request_piece(struct request *r, const char *data, size_t *size)
{
    r->progress_ms = server_now(r->server);
    if (r->dispatched && r->body_paused) {
        conn_suspend(r->conn);
        return;
    }
    r->body_seen += *size;
    if (r->discarding ? r->body_seen > DISCARD_MAX : r->body_seen > r->max_body) {
        if (r->dispatched && !r->ended)
            request_cancel(r, VX11_ETOO_LARGE);
        else if (r->discarding)
            reply_failure(r, &r->failure);
        else
            body_too_large(r);
        *size = 0;
        return;
    }
    if (r->discarding) {
        *size = 0;
    } else if (r->dispatched) {
        size_t offered = *size;
        piece_to_handler(r, data, size);
        r->body_seen -= *size ? offered : 0; /* it will be offered again */
    } else {
        bool first = r->body.len == 0;
        if (first && r->content_length > *size && r->content_length <= r->max_body)
            buf_reserve(&r->body, (size_t)(r->content_length < KEEP_BODY_BUFFER ? r->content_length
                                                                                : KEEP_BODY_BUFFER));
        buf_append(&r->body, data, *size);
        *size = 0;
        if (r->body.failed) {
            static const struct failure full = {
                .status = 503, .code = "out_of_memory", .text = "Out of memory."};
            reply_failure(r, &full);
        }
    }
}

void request_on_body(struct request *r,
                     void (*fn)(struct request *r, void *ctx, const char *data, size_t len, bool last),
                     void *ctx)
{
    r->on_body = fn;
    r->body_ctx = ctx;
    if (r->body_paused)
        request_body_resume(r);
}

void request_body_pause(struct request *r)
{
    r->body_paused = true; /* the next piece suspends the connection */
}

void request_body_resume(struct request *r)
{
    if (!r->body_paused)
        return;
    r->body_paused = false;
    r->progress_ms = server_now(r->server);
    if (r->conn && !r->body_done)
        conn_resume(r->conn);
}

/* ---- contract and handler ---- */

static const struct failure *body_failure(struct request *r, const struct contract_error *e)
{
    struct failure *f = arena_zalloc(r->arena, sizeof *f);
    static const struct failure full = {.status = 503, .code = "out_of_memory", .text = "Out of memory."};
    if (!f || e->code == VX11_ENOMEM)
        return &full;
    f->status = 422;
    f->code = e->code == VX11_ESYNTAX      ? "invalid_json"
              : e->code == VX11_ETOO_LARGE ? "too_large"
                                           : "invalid_value";
    f->param = e->code == VX11_ESYNTAX ? NULL : arena_strdup(r->arena, e->pointer);
    if (e->code == VX11_ESYNTAX)
        f->text = arena_printf(r->arena, "The body is not JSON: %s (at byte %zu).", e->text, e->position);
    else
        f->text = arena_printf(r->arena, "%s: %s", *e->pointer ? e->pointer : "The body", e->text);
    return f->text ? f : &full;
}

/* Body -> message. NULL, or what is wrong with it. */
static const struct failure *parse_body(struct request *r)
{
    const struct contract_message *m = r->route->request;
    if (!m || (r->route->flags & (CONTRACT_ROUTE_RAW_BODY | CONTRACT_ROUTE_STREAM_BODY)))
        return NULL;
    struct contract_error e = {0};
    struct contract_limits limits = {.max_bytes = (size_t)r->max_body};
    bool empty = r->body.len == 0; /* no body at all stands for no fields */
    void *message = arena_alloc(r->arena, m->size);
    int rc = VX11_ENOMEM;
    if (message)
        rc = contract_parse(m, r->arena, empty ? "{}" : r->body.data, empty ? 2 : r->body.len, &limits,
                            message, &e);
    if (rc == 0) {
        r->message = message;
        return NULL;
    }
    e.code = rc;
    return body_failure(r, &e);
}

void request_dispatch(struct request *r)
{
    r->dispatched = true;
    log_set_request(r->id);
    r->handler(r, r->module);
    log_set_request(NULL);
    if (!r->ended && r->conn) /* most handlers answer at once and need no clock */
        request_deadline_add(r);
}

static void body_end_to_handler(struct request *r)
{
    r->body_ended = true;
    if (!r->ended && r->on_body) {
        log_set_request(r->id);
        r->on_body(r, r->body_ctx, "", 0, true);
        log_set_request(NULL);
    }
    if (r->conn)
        stream_body_complete(r);
}

void request_complete(struct request *r)
{
    metric_add(r->server->m_bytes_in, (double)r->body_seen);
    if (r->failure.status) {
        reply_failure(r, &r->failure);
        return;
    }
    if (r->preflight) {
        reply_send(r, 204, NULL, "", 0, MHD_RESPMEM_PERSISTENT);
        return;
    }
    if (r->dispatched) {
        body_end_to_handler(r);
        return;
    }
    const struct failure *f = parse_body(r);
    if (f)
        reply_failure(r, f);
    else
        request_dispatch(r);
}

/* ---- the end that nobody asked for ---- */

static void tell_cancelled(struct request *r, int reason)
{
    log_set_request(r->id);
    if ((r->route->flags & CONTRACT_ROUTE_STREAM_BODY) && !r->body_ended && r->on_body) {
        r->body_ended = true;
        r->on_body(r, r->body_ctx, NULL, 0, false);
    }
    if (!r->ended && r->on_cancel) {
        void (*fn)(struct request *, void *, int) = r->on_cancel;
        r->on_cancel = NULL;
        fn(r, r->cancel_ctx, reason);
    }
    log_set_request(NULL);
}

static const struct failure *cancel_failure(int reason)
{
    static const struct failure timeout = {.status = 504,
                                           .code = "deadline_exceeded",
                                           .text = "The request's time ran out."},
                                large = {.status = 413,
                                         .code = "body_too_large",
                                         .text = "The body is larger than this route takes."},
                                leaving = {.status = 503,
                                           .code = "shutting_down",
                                           .retry_after_s = 1,
                                           .text = "The server is shutting down."};
    return reason == VX11_ETIMEOUT ? &timeout : reason == VX11_ETOO_LARGE ? &large : &leaving;
}

/* The handler has been told and has not ended the request: the wire answers for it and lets go. */
static void wire_answers(struct request *r, int reason)
{
    struct conn *c = r->conn;
    bool quiet = reason == VX11_ECLOSED || c->gone || c->stream.open || c->queued;
    if (quiet) {
        conn_abort(c);
        r->status = r->status ? r->status : 499;
    } else {
        reply_failure(r, cancel_failure(reason));
    }
    account_request(r, r->status);
    if (c->request == r)
        c->request = NULL;
    r->conn = NULL;
}

void request_cancel(struct request *r, int reason)
{
    if (r->cancelled || r->ended)
        return;
    r->cancelled = true;
    request_deadline_remove(r);
    metric_add(r->server->m_cancelled, 1);
    request_pin(r);
    if (r->dispatched)
        tell_cancelled(r, reason);
    if (!r->ended && r->conn)
        wire_answers(r, reason);
    request_unpin(r);
}

void request_wire_lost(struct request *r)
{
    request_pin(r);
    if (r->dispatched && !r->ended && !r->cancelled) {
        r->cancelled = true;
        request_deadline_remove(r);
        metric_add(r->server->m_cancelled, 1);
        tell_cancelled(r, VX11_ECLOSED);
        r->status = r->status ? r->status : 499;
    }
    account_request(r, r->status ? r->status : 499);
    request_unpin(r);
}

/* ---- what a handler may ask ---- */

struct arena *request_arena(struct request *r)
{
    return r->arena;
}

const struct contract_route *request_route(const struct request *r)
{
    return r->route;
}

const void *request_params(const struct request *r)
{
    return r->params;
}

const void *request_body(const struct request *r)
{
    return r->message;
}

const char *request_raw_body(const struct request *r, size_t *len)
{
    if (len)
        *len = r->body.len;
    return r->body.data ? r->body.data : "";
}

const char *request_header(const struct request *r, const char *name)
{
    if (!r->conn)
        return NULL;
    const char *value = MHD_lookup_connection_value(r->conn->mhd, MHD_HEADER_KIND, name);
    return value ? arena_strdup(r->arena, value)
                 : NULL; /* MHD's memory may be gone before the handler is done */
}

const char *request_method(const struct request *r)
{
    return r->method;
}

const char *request_path(const struct request *r)
{
    return r->path;
}

const char *request_query(const struct request *r)
{
    return r->query;
}

const char *request_id(const struct request *r)
{
    return r->id;
}

static uint64_t span_next(struct server *s)
{
    uint64_t z = s->span_seed += 0x9e3779b97f4a7c15ULL; /* splitmix64: unique, not secret */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

const char *request_trace(const struct request *r)
{
    struct request *w = (struct request *)r; /* made on first use: most requests go nowhere further */
    if (w->trace[0])
        return w->trace;
    char trace_id[33];
    const char *given = r->conn ? r->headers.traceparent : NULL;
    const struct tracer *tracer = w->server->o.tracer;
    bool sampled;
    if (given && parse_traceparent(given, trace_id)) {
        snprintf(w->trace_parent, sizeof w->trace_parent, "%.16s", given + 36);
        char flags[TRACE_PARENT_LEN + 1];
        snprintf(flags, sizeof flags, "%.55s", given); /* a later version may say more */
        sampled = trace_sampled(flags);
    } else {
        snprintf(trace_id, sizeof trace_id, "%016llx%016llx", (unsigned long long)span_next(w->server),
                 (unsigned long long)span_next(w->server));
        /* Who sends no traces leaves it to the next one. */
        sampled = !tracer_on(tracer) || tracer_samples(tracer, trace_id);
    }
    uint64_t span = span_next(w->server);
    snprintf(w->trace, sizeof w->trace, "00-%s-%016llx-%s", trace_id, (unsigned long long)(span ? span : 1),
             sampled ? "01" : "00");
    return w->trace;
}

struct trace_span *request_span(struct request *r)
{
    char name[160];
    struct tracer *tracer = r->server->o.tracer;
    if (r->span || r->accounted || !tracer_on(tracer) || !r->route)
        return r->span;
    snprintf(name, sizeof name, "%s %s", r->method, r->route->path);
    r->span = trace_span_adopt(tracer, TRACE_SERVER, name, request_trace(r),
                               r->trace_parent[0] ? r->trace_parent : NULL, r->started_ns);
    return r->span;
}

int64_t request_deadline_ms(const struct request *r)
{
    return r->deadline;
}

const struct principal *request_principal(const struct request *r)
{
    return &r->principal;
}

uv_loop_t *request_loop(const struct request *r)
{
    return r->server->loop;
}

struct server *request_server(const struct request *r)
{
    return r->server;
}

void request_set(struct request *r, void *ctx)
{
    r->ctx = ctx;
}

void *request_get(const struct request *r)
{
    return r->ctx;
}

void request_on_cancel(struct request *r, void (*fn)(struct request *r, void *ctx, int reason), void *ctx)
{
    r->on_cancel = fn;
    r->cancel_ctx = ctx;
}

bool request_cancelled(const struct request *r)
{
    return r->cancelled;
}
