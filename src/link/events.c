/* Events: the one log of what happens, and the way in.
 *
 *   POST /events/ingest ──check──┐
 *   this process (breakers …) ───┴─> id ──> batched writer ──> table event
 *                                     ├──> ring of the latest (replay without waiting for the writer)
 *                                     └──> open streams
 */
#include "link/events_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

static const char sql_insert[] =
    "INSERT INTO event (id, type, source, at, payload, size) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
static const char sql_retention[] =
    "UPDATE retention SET max_rows = ?1, max_age_ms = ?2 WHERE table_name = 'event'";

int events_create(struct link *l, struct link_events **out, struct error *err)
{
    struct link_events *e = calloc(1, sizeof *e);
    if (!e)
        return error_set(err, VX11_ENOMEM, "out of memory");
    e->l = l;
    e->open = metrics_get(module_metrics(l->m), METRIC_GAUGE, "vx11_event_streams", NULL,
                          "Open event streams and sockets.");
    e->stored =
        metrics_get(module_metrics(l->m), METRIC_COUNTER, "vx11_events_total", NULL, "Events taken in.");
    e->refused = metrics_get(module_metrics(l->m), METRIC_COUNTER, "vx11_events_refused_total", NULL,
                             "Events that broke their schema or size.");
    *out = e;
    if (!e->open || !e->stored || !e->refused)
        return error_set(err, VX11_ENOMEM, "out of memory");
    return events_bounds(l->m, err);
}

int events_bounds(struct module *m, struct error *err)
{
    const struct config_link *config = module_config(m)->values->link;
    struct store_value values[] = {STORE_I(config->events_max_rows), STORE_I(config->events_max_age_ms)};
    return store_exec(module_store(m), sql_retention, values, 2, NULL, err);
}

static void ring_put(struct link_events *e, const char *id, const char *text, size_t len, int type)
{
    struct ring_event *slot = &e->ring[(e->ring_head + e->ring_count) % EVENTS_RING];
    if (e->ring_count == EVENTS_RING) {
        slot = &e->ring[e->ring_head];
        e->ring_head = (e->ring_head + 1) % EVENTS_RING;
        e->ring_count--;
        free(slot->text);
    }
    memset(slot, 0, sizeof *slot);
    slot->text = malloc(len + 1);
    if (!slot->text) {
        /* Without memory the ring starts anew: a gap in the middle would be a silent loss for those who
         * replay. */
        while (e->ring_count > 0) {
            free(e->ring[e->ring_head].text);
            e->ring_head = (e->ring_head + 1) % EVENTS_RING;
            e->ring_count--;
        }
        return;
    }
    memcpy(slot->text, text, len + 1);
    slot->len = len;
    slot->type = type;
    memcpy(slot->id, id, ULID_LEN + 1);
    e->ring_count++;
}

void events_destroy(struct link_events *e)
{
    if (!e)
        return;
    events_close(e);
    for (size_t i = 0; i < e->ring_count; i++)
        free(e->ring[(e->ring_head + i) % EVENTS_RING].text);
    free(e);
}

/* Stores and shows a checked event. 0, VX11_EFULL when the writer's queue is full, VX11_ETOO_LARGE. */
static int events_take(struct link_events *e, int type, const char *source, yyjson_val *payload,
                       bool broadcast, char id[ULID_LEN + 1])
{
    struct buf body = BUF_INIT, text = BUF_INIT;
    struct link_event event = {
        .id = id, .type = type, .source = source, .timestamp = clock_wall_ms(), .payload = payload};
    ulid_make(id);
    int rc = contract_json_write(payload, &body);
    if (rc == 0 && body.len > event_max_bytes(type))
        rc = VX11_ETOO_LARGE;
    if (rc == 0)
        rc = link_event_serialize(&event, &text);
    if (rc == 0) {
        struct store_value values[] = {
            store_text(id),           store_text(link_event_type_names[type]), store_text(source),
            STORE_I(event.timestamp), store_text_len(body.data, body.len),     STORE_I(body.len)};
        rc = writer_push(module_writer(e->l->m), sql_insert, values, 6);
    }
    if (rc == 0) {
        ring_put(e, id, text.data, text.len, type);
        metric_add(e->stored, 1);
        if (broadcast)
            streams_send(e, id, type, text.data, text.len);
    } else {
        metric_add(e->refused, 1);
    }
    buf_free(&body);
    buf_free(&text);
    return rc;
}

void events_ingest(struct request *r, void *module)
{
    struct link *l = module;
    const struct link_event_ingest *in = request_body(r);
    struct contract_error bad = {0};
    char id[ULID_LEN + 1];
    int rc = event_check((int)in->type, in->payload, request_arena(r), &bad);
    if (rc != 0) {
        metric_add(l->events->refused, 1);
        char pointer[300];
        snprintf(pointer, sizeof pointer, "/payload%s", bad.pointer);
        request_fail(r, 422, "invalid_event", pointer, "%s: %s", pointer,
                     bad.text[0] ? bad.text : error_describe(rc));
        return;
    }
    rc = events_take(l->events, (int)in->type, in->source, in->payload, in->broadcast, id);
    if (rc == VX11_ETOO_LARGE) {
        request_fail(r, 413, "event_too_large", "/payload", "a payload of %s is at most %zu bytes",
                     link_event_type_names[in->type], event_max_bytes((int)in->type));
    } else if (rc != 0) {
        request_retry_after(r, 1000);
        request_fail(r, rc == VX11_EFULL ? 503 : 500, "event_not_stored", NULL,
                     "the event could not be stored: %s", error_describe(rc));
    } else {
        struct link_event_accepted reply = {.status = LINK_EVENT_ACCEPTED_STATUS_RECEIVED, .id = id};
        request_reply(r, 202, &link_event_accepted_message, &reply);
    }
}

void events_publish(void *module, const char *type, const char *source, const char *payload_json)
{
    struct link *l = module;
    struct contract_error bad = {0};
    char id[ULID_LEN + 1];
    yyjson_val *payload = NULL;
    struct arena *a = arena_create(0);
    int index = event_type_parse(type);
    int rc = a && index >= 0
                 ? contract_json_parse(a, payload_json, strlen(payload_json), NULL, &payload, &bad)
                 : VX11_EINVALID;
    if (rc == 0)
        rc = event_check(index, payload, a, &bad);
    if (rc == 0)
        rc = events_take(l->events, index, source, payload, true, id);
    if (rc != 0)
        log_error("events", "an event of our own is refused", LOG_S("type", type),
                  LOG_S("pointer", bad.pointer),
                  LOG_S("reason", bad.text[0] ? bad.text : error_describe(rc)));
    arena_destroy(a);
}
