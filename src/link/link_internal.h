/* What the files of this room share.
 *
 *   request ──> relay.c ──breaker──> run/switch.sock           /v1, /switch
 *                       ──breaker──> run/MODULE.sock           /hermes, /operator, /intent, /supervisor
 *           ──> status.c ──probes──> every module's socket     /vx11/status, overview, breakers
 *           ──> ready.c  ──probes──> the same, now and then    /readyz; /healthz from nothing
 *           ──> events.c ──> ring + event table ──> streams.c  /events, /ws
 *           ──> page.c   ──> embedded files, login             /, /ui, /assets, /login
 */
#ifndef VX11_LINK_INTERNAL_H
#define VX11_LINK_INTERNAL_H

#include "api/link.h"
#include "base/breaker.h"
#include "base/ulid.h"
#include "link/link.h"

/* Modules behind this one, in the order in which status lists them; Link itself comes first there. */
struct link_peer {
    const char *name, *unavailable; /* the second is the code of errors when it is not there */
    struct breaker breaker;         /* for traffic only: health polls do not touch it */
};

#define LINK_MODULES 3 /* the first so many of them are modules; the supervisor comes after these */
#define LINK_PEERS   4

struct link_events;
struct link_ready;

struct link {
    struct module *m;
    char page[300]; /* address of the page: as started, which a reload does not change */
    struct link_peer peers[LINK_PEERS];
    struct link_events *events;
    struct link_ready *ready;
};

struct link_peer *link_peer_find(struct link *l, const char *name);
int64_t link_peer_port(const struct link *l, const char *name);

/* relay.c */
void relay_to_switch(struct request *r, void *module); /* a route of Link's own that Switch answers */
void relay_to_owner(struct request *r, void *module);  /* a mounted route */

/* status.c */
void status_get(struct request *r, void *module);
void status_overview(struct request *r, void *module);
void status_breakers(struct request *r, void *module);

/* ready.c: liveness and readiness, for whoever asks. */
struct link_ready *ready_create(struct link *l); /* NULL: no memory */
void ready_destroy(struct link_ready *y);        /* NULL is fine */
void ready_alive(struct request *r, void *module);
void ready_get(struct request *r, void *module);

/* events.c: the log of events. */
int events_create(struct link *l, struct link_events **out, struct error *err);
int events_bounds(struct module *m, struct error *err); /* takes over the configured ones */
void events_close(struct link_events *e);               /* ends every stream */
void events_destroy(struct link_events *e);
void events_ingest(struct request *r, void *module);
void events_publish(void *module, const char *type, const char *source,
                    const char *payload_json); /* from inside this process */
size_t events_streams(const struct link_events *e);

/* streams.c: who listens to them. */
void streams_sse(struct request *r, void *module);
void streams_ws(struct request *r, void *module);

/* history.c: what is stored of them, in pages. */
void history_list(struct request *r, void *module);

/* event_schema.c: 0, or an error with the JSON pointer in *pointer. */
int event_check(int type, yyjson_val *payload, struct arena *a, struct contract_error *bad);
size_t event_max_bytes(int type);
int event_type_parse(const char *name); /* -1: there is none */

/* page.c */
void page_index(struct request *r, void *module);
void page_path(struct request *r, void *module);
void page_asset(struct request *r, void *module);
void page_login(struct request *r, void *module);
void page_logout(struct request *r, void *module);
void page_session(struct request *r, void *module);

#endif
