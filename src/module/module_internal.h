/* What the files of this room share. */
#ifndef VX11_MODULE_INTERNAL_H
#define VX11_MODULE_INTERNAL_H

#include "module/module.h"

struct module_events;
struct telemetry;

struct module_peer {
    char name[32];
    char socket[108]; /* the size of sun_path: a longer home is refused at start */
    struct client_target target;
};

#define MODULE_PEERS 16

/* Who was seen when, so that each is noted once a minute. */
#define MODULE_USED_MS 60000
struct module_used {
    char id[27];
    int64_t at; /* epoch ms */
};

struct module {
    const struct module_spec *spec;
    void *context;
    char home[4096];
    char config_path[4096];
    struct config *config;
    uv_loop_t loop;
    uv_signal_t on_term, on_int, on_hup;
    uv_timer_t watch; /* asks the store once a second whether another process wrote */
    int64_t drain_ms; /* -1: the configured limit */
    struct store *store;
    struct writer *writer;
    struct metrics *metrics;
    struct metric *writer_queued, *writer_lost;
    /* what the last look at the writer saw */
    struct writer_stats writes;
    int64_t writes_stuck_since, rows_lost_at; /* monotonic ms; 0: not so */
    bool store_unreadable;
    struct client *client;
    struct auth *auth;
    struct server *server;
    struct module_mount *mount; /* NULL: nothing is mounted */
    struct module_events *events;
    struct telemetry *telemetry;
    struct module_peer peers[MODULE_PEERS];
    size_t peer_count;
    int64_t begun_ms;
    struct module_used used[16];
    int64_t data_version;
    enum server_state state;
    bool loop_ready, handles_ready, context_ready, stopping;
};

/* mount.c: own and mounted routes as one table. */
struct module_mount {
    struct contract_module contract;
    struct contract_route *routes;
    request_handler *handlers;
    struct arena *arena; /* ids of the mounted routes */
};
int module_mount_create(const struct module_spec *spec, struct module_mount **out, struct error *err);
void module_mount_destroy(struct module_mount *mount);

/* call.c: path of a module's Unix socket. 0 or VX11_ETOO_LARGE. */
int module_socket(const struct module *m, const char *name, char *out, size_t size);

/* auth.c: reads the store's tokens, sessions and the state into memory. */
void module_auth_used(void *ctx, const struct principal *p);
int module_auth_load(struct module *m, struct error *err);
int module_state_load(struct module *m, struct error *err);

/* health.c: what every module says of itself: its writes and its database. */
void module_look(struct module *m); /* once a second */
void module_health(void *module, struct health *h);

/* telemetry.c: spans to a collector. */
int telemetry_create(struct module *m, struct telemetry **out, struct error *err);
struct tracer *telemetry_tracer(struct telemetry *t);
void telemetry_reload(struct telemetry *t);
/* Sends what is left, for a second at most; then `stopped` runs, now or later. */
void telemetry_stop(struct telemetry *t, void (*stopped)(struct module *m));
void telemetry_close(struct telemetry *t); /* before the loop closes its handles */
void telemetry_destroy(struct telemetry *t);

/* events.c */
int module_events_create(struct module *m, struct module_events **out);
void module_events_close(struct module_events *e); /* before the loop closes its handles */
void module_events_destroy(struct module_events *e);

#endif
