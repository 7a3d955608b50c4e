/* Streams: readers of the event log, by server-sent events or WebSocket.
 *
 *   replay:  table event (ids after the reader's, before the ring's first) ──> ring ──> live
 *
 * The ring bridges what the batched writer has not committed yet, so that a reader that comes back misses
 * nothing that is still stored. */
#include "link/events_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define WS_MAX_MESSAGE 1024u
#define WS_QUEUE       (1024u * 1024u)

static const char sql_after[] =
    "SELECT id, type, source, at, payload FROM event WHERE id > ?1 AND id < ?2 AND (?3 IS NULL OR type = ?3) "
    "ORDER BY id LIMIT ?4";
/* The id behind which the latest ?2 events lie. */
static const char sql_latest[] = "SELECT min(id) FROM (SELECT id FROM event WHERE id < ?1 AND (?3 IS NULL OR "
                                 "type = ?3) ORDER BY id DESC LIMIT ?2)";

/* ---- list ---- */

static void stream_link(struct event_stream *s)
{
    struct link_events *e = s->e;
    s->next = e->streams;
    if (s->next)
        s->next->prev = s;
    e->streams = s;
    metric_set(e->open, (double)++e->stream_count);
}

static void stream_unlink(struct event_stream *s)
{
    struct link_events *e = s->e;
    if (s->prev)
        s->prev->next = s->next;
    else
        e->streams = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->next = s->prev = NULL;
    metric_set(e->open, (double)--e->stream_count);
}

static void stream_send(struct event_stream *s, const char *id, int type, const char *text, size_t len)
{
    if (s->type >= 0 && s->type != type)
        return;
    /* A reader that is too slow is dropped by the kit, which counts it and calls us back. */
    if (s->r)
        request_stream_event(s->r, link_event_type_names[type], id, text, len);
    else if (s->ws)
        websocket_send(s->ws, text, len);
}

void streams_send(struct link_events *e, const char *id, int type, const char *text, size_t len)
{
    for (struct event_stream *s = e->streams, *next; s; s = next) {
        next = s->next;
        stream_send(s, id, type, text, len);
    }
}

size_t events_streams(const struct link_events *e)
{
    return e->stream_count;
}

void events_close(struct link_events *e)
{
    for (struct event_stream *s = e->streams, *next; s; s = next) {
        next = s->next;
        if (s->ws) {
            websocket_close(s->ws, 1001, "stopping");
        } else if (s->r) {
            struct request *r = s->r;
            stream_unlink(s);
            free(s);
            request_stream_end(r);
        }
    }
}

/* ---- replay ---- */

static int on_row(void *ctx, const struct store_row *row)
{
    struct event_stream *s = ctx;
    struct contract_error bad;
    struct buf text = BUF_INIT;
    struct link_event event = {.id = row_text(row, 0),
                               .type = event_type_parse(row_text(row, 1)),
                               .source = row_text(row, 2),
                               .timestamp = row_int(row, 3)};
    struct arena *a = arena_create(0);
    const char *payload = row_text(row, 4);
    int rc = a ? contract_json_parse(a, payload, strlen(payload), NULL, &event.payload, &bad) : VX11_ENOMEM;
    if (rc == 0 && event.type >= 0)
        rc = link_event_serialize(&event, &text);
    if (rc == 0 && event.type >= 0)
        stream_send(s, event.id, (int)event.type, text.data, text.len);
    buf_free(&text);
    arena_destroy(a);
    return rc == VX11_ENOMEM ? rc : 0;
}

static int on_latest(void *ctx, const struct store_row *row)
{
    char *id = ctx;
    if (!row_is_null(row, 0))
        memcpy(id, row_text(row, 0), ULID_LEN + 1);
    return 0;
}

static void replay_ring(struct event_stream *s, const char *after, size_t skip)
{
    struct link_events *e = s->e;
    for (size_t i = 0; i < e->ring_count; i++) {
        const struct ring_event *r = &e->ring[(e->ring_head + i) % EVENTS_RING];
        if (strcmp(r->id, after) <= 0 || (s->type >= 0 && s->type != r->type))
            continue;
        if (skip > 0)
            skip--;
        else
            stream_send(s, r->id, r->type, r->text, r->len);
    }
}

static size_t ring_matching(const struct event_stream *s)
{
    const struct link_events *e = s->e;
    size_t n = 0;
    for (size_t i = 0; i < e->ring_count; i++)
        n += s->type < 0 || e->ring[(e->ring_head + i) % EVENTS_RING].type == s->type;
    return n;
}

/* after: replay what came later ("" with replay = N: the latest N). */
static void replay_from(struct event_stream *s, const char *after, int64_t replay)
{
    struct store *store = module_store(s->e->l->m);
    struct error err = {0};
    const char *ring_first =
        s->e->ring_count ? s->e->ring[s->e->ring_head].id : "~"; /* sorts after every ULID */
    struct store_value type = s->type >= 0 ? store_text(link_event_type_names[s->type]) : STORE_N;
    char from[ULID_LEN + 2] = "";
    size_t in_ring = ring_matching(s);
    if (after[0]) {
        memcpy(from, after, strlen(after) + 1);
    } else if (replay <= 0) {
        return;
    } else if ((size_t)replay <= in_ring) {
        replay_ring(s, "", in_ring - (size_t)replay);
        return;
    } else {
        struct store_value values[] = {store_text(ring_first), STORE_I((size_t)replay - in_ring), type};
        if (store_query(store, sql_latest, values, 3, on_latest, from, &err) != 0)
            log_error("events", "the latest events cannot be read", LOG_S("reason", err.text));
        if (from[0])
            from[ULID_LEN - 1]--; /* just before it: ids are compared with > */
    }
    if (from[0]) {
        struct store_value values[] = {store_text(from), store_text(ring_first), type,
                                       STORE_I(EVENTS_REPLAY_MAX)};
        if (store_query(store, sql_after, values, 4, on_row, s, &err) != 0)
            log_error("events", "events cannot be replayed", LOG_S("reason", err.text));
    }
    replay_ring(s, after, 0);
}

static void stream_free(struct event_stream *s)
{
    if (s->replaying)
        s->left = true;
    else
        free(s);
}

static void stream_replay(struct event_stream *s)
{
    s->replaying = true;
    replay_from(s, s->after, s->replay);
    s->replaying = false;
    if (s->left)
        free(s);
}

static struct event_stream *stream_create(struct request *r, struct link *l)
{
    const struct link_event_params *params = request_params(r);
    const char *header = request_header(r, "Last-Event-ID");
    const char *after = header ? header : params->last_event_id;
    if (after && after[0] && !ulid_valid(after)) {
        request_fail(r, 422, "invalid_event_id", header ? "Last-Event-ID" : "last_event_id",
                     "the last event's id is not a ULID");
        return NULL;
    }
    struct event_stream *s = calloc(1, sizeof *s);
    if (!s) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return NULL;
    }
    s->e = l->events;
    s->type = params->has_type ? (int)params->type : -1;
    s->replay = params->replay;
    if (after)
        memcpy(s->after, after, strlen(after) + 1);
    return s;
}

/* ---- server-sent events ---- */

static void on_left(struct request *r, void *ctx, int reason)
{
    struct event_stream *s = ctx;
    (void)reason;
    stream_unlink(s);
    s->r = NULL;
    stream_free(s);
    request_stream_abort(r);
}

void streams_sse(struct request *r, void *module)
{
    struct event_stream *s = stream_create(r, module);
    if (!s)
        return;
    s->r = r;
    request_reply_header(r, "Cache-Control", "no-store");
    if (request_stream_begin(r, 200, NULL) != 0) {
        free(s);
        request_stream_abort(r);
        return;
    }
    request_stream_write(r, ":\n\n",
                         3); /* the head goes out with the first bytes: the reader knows it is heard */
    stream_link(s);
    request_on_cancel(r, on_left, s);
    stream_replay(s);
}

/* ---- WebSocket ---- */

static void on_ws_open(struct websocket *ws, void *ctx)
{
    struct event_stream *s = ctx;
    s->ws = ws;
    stream_link(s);
    stream_replay(s);
}

static void on_ws_message(struct websocket *ws, void *ctx, const char *data, size_t len, bool text)
{
    (void)ctx;
    (void)data;
    (void)len;
    (void)text;
    websocket_close(ws, 1008, "this socket only sends; publish by POST /events/ingest");
}

static void on_ws_close(struct websocket *ws, void *ctx, int code)
{
    struct event_stream *s = ctx;
    (void)ws;
    (void)code;
    if (s->ws)
        stream_unlink(s);
    s->ws = NULL;
    stream_free(s);
}

void streams_ws(struct request *r, void *module)
{
    static const struct websocket_events events = {
        .on_open = on_ws_open, .on_message = on_ws_message, .on_close = on_ws_close};
    struct event_stream *s = stream_create(r, module);
    if (s)
        websocket_accept(r, WS_MAX_MESSAGE, WS_QUEUE, &events, s);
}
