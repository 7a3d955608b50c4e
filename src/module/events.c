/* Events on their way to Link.
 *
 *   module_event ──> ring (bounded) ──one at a time──> POST /events/ingest on run/link.sock
 *                                    └─ Link away: wait, try again; new ones are lost, and counted, when the
 * ring is full
 *
 * One call is in flight at a time, which keeps the order; a refusal (4xx) is a bug of the sender and is
 * logged, not repeated. */
#include "module/module_internal.h"

#include <stdlib.h>
#include <string.h>

#include "api/link.h"
#include "api/link_client.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define EVENTS_QUEUE    1024
#define EVENTS_RETRY_MS 500
#define EVENTS_CALL_MS  5000

struct pending_event {
    char *type, *payload;
};

struct module_events {
    struct module *m;
    struct pending_event ring[EVENTS_QUEUE];
    size_t head, count;
    struct client_call *call;
    uv_timer_t retry;
    bool retry_ready, closed;
    struct metric *lost;
    void (*sink)(void *context, const char *type, const char *source, const char *payload_json);
};

static void events_send(struct module_events *e);

static void events_drop_head(struct module_events *e)
{
    struct pending_event *p = &e->ring[e->head];
    free(p->type);
    free(p->payload);
    memset(p, 0, sizeof *p);
    e->head = (e->head + 1) % EVENTS_QUEUE;
    e->count--;
}

static void on_retry(uv_timer_t *timer)
{
    events_send(timer->data);
}

static void on_sent(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct module_events *e = ctx;
    (void)call;
    e->call = NULL;
    bool refused = reply->result == 0 && reply->status >= 400 && reply->status < 500 && reply->status != 429;
    if (reply->result == 0 && reply->status >= 200 && reply->status < 300) {
        events_drop_head(e);
    } else if (refused) {
        log_error("events", "link refused an event", LOG_S("type", e->ring[e->head].type),
                  LOG_I("status", reply->status), LOG_S("reason", reply->error.text));
        metric_add(e->lost, 1);
        events_drop_head(e);
    } else if (!e->closed) {
        uv_timer_start(&e->retry, on_retry, EVENTS_RETRY_MS, 0);
        return;
    }
    if (!e->closed)
        events_send(e);
}

/* The type of a queued event as the contract's enum; -1 for one that does not exist. */
static int event_type_index(const char *type)
{
    for (int i = 0; i < (int)COUNT_OF(link_event_type_names); i++)
        if (strcmp(link_event_type_names[i], type) == 0)
            return i;
    return -1;
}

static void events_send(struct module_events *e)
{
    while (e->count > 0 && !e->call && !e->closed) {
        struct pending_event *p = &e->ring[e->head];
        struct link_event_ingest event;
        memset(&event, 0, sizeof event);
        struct arena *a = arena_create(0);
        yyjson_val *payload = NULL;
        int type = event_type_index(p->type);
        int rc = VX11_EINVALID;
        if (a && type >= 0 &&
            contract_json_parse(a, p->payload, strlen(p->payload), NULL, &payload, NULL) == 0) {
            event.source = module_name(e->m);
            event.type = type;
            event.payload = payload;
            event.broadcast = true;
            struct client_call_options options = {.deadline_ms = clock_mono_ms() + EVENTS_CALL_MS};
            rc = link_events_ingest_call(e->m->client, module_peer(e->m, "link"), &event, &options, on_sent,
                                         e, &e->call);
        }
        arena_destroy(a);
        if (rc == 0)
            return;
        log_error("events", "an event could not be sent", LOG_S("type", p->type),
                  LOG_S("reason", error_describe(rc)));
        metric_add(e->lost, 1);
        events_drop_head(e);
    }
}

int module_events_create(struct module *m, struct module_events **out)
{
    struct module_events *e = calloc(1, sizeof *e);
    if (!e)
        return VX11_ENOMEM;
    e->m = m;
    e->lost = metrics_get(m->metrics, METRIC_COUNTER, "vx11_events_lost_total", NULL,
                          "Events that never reached Link.");
    if (!e->lost || uv_timer_init(&m->loop, &e->retry) != 0) {
        free(e);
        return VX11_ENOMEM;
    }
    e->retry.data = e;
    e->retry_ready = true;
    uv_unref((uv_handle_t *)&e->retry);
    *out = e;
    return 0;
}

void module_events_close(struct module_events *e)
{
    e->closed = true;
    if (e->call)
        client_cancel(e->call);
    if (e->retry_ready)
        uv_close((uv_handle_t *)&e->retry, NULL);
    e->retry_ready = false;
}

void module_events_destroy(struct module_events *e)
{
    if (!e)
        return;
    while (e->count > 0)
        events_drop_head(e);
    free(e);
}

void module_on_event(struct module *m, void (*fn)(void *context, const char *type, const char *source,
                                                  const char *payload_json))
{
    m->events->sink = fn;
}

void module_event(struct module *m, const char *type, const char *payload_json)
{
    struct module_events *e = m->events;
    if (e->sink) {
        e->sink(m->context, type, module_name(m), payload_json);
        return;
    }
    if (e->count == EVENTS_QUEUE) {

        metric_add(e->lost, 1);
        log_warn("events", "an event is lost: too many wait for link", LOG_S("type", type));
        return;
    }
    struct pending_event *p = &e->ring[(e->head + e->count) % EVENTS_QUEUE];
    p->type = strdup(type);
    p->payload = strdup(payload_json);
    if (!p->type || !p->payload) {
        free(p->type);
        free(p->payload);
        memset(p, 0, sizeof *p);
        metric_add(e->lost, 1);
        return;
    }
    e->count++;
    if (!uv_is_active((uv_handle_t *)&e->retry))
        events_send(e);
}
