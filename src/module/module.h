/* Module: what every module process shares, so that a module's own code is its routes and its work.
 *
 *   main ─> module_run(&spec) ─> config, log, crash capture, store (migrated by the supervisor beforehand),
 * writer, metrics, auth from the store (reloaded when it changes), state (active/standby), HTTP client,
 * server on TCP and run/NAME.sock, signals (TERM drains, HUP reloads), events to Link ─> loop until stopped
 */
#ifndef VX11_MODULE_MODULE_H
#define VX11_MODULE_MODULE_H

#include <uv.h>

#include "api/common.h"
#include "api/link.h"
#include "api/switch.h"
#include "base/breaker.h"
#include "base/error.h"
#include "contract/config.h"
#include "contract/contract.h"
#include "net/client.h"
#include "net/metrics.h"
#include "net/server.h"
#include "store/store.h"

struct module;

/* Routes of another module that this one offers too, at the same paths and with the same scopes; a route of
 * its own with the same method and path goes first. The handler finds "MODULE.ROUTE" in request_route(r)->id
 * and the body unparsed. */
struct module_mounted {
    const struct contract_module *contract;
    request_handler handler;
    bool (*wanted)(const struct contract_route *route); /* NULL: all of them */
};

struct module_spec {
    const struct contract_module *contract;
    const request_handler *handlers; /* each gets the module's own context (module_context) */
    const struct module_mounted *mounts;
    size_t mount_count;
    /* Where to listen besides run/NAME.sock: fill up to `max` listeners from the configuration, return how
     * many. NULL: none. */
    size_t (*listen)(const struct config *config, struct server_listener *out, size_t max);
    /* Extra server options (limits, allowed hosts); may be NULL. */
    void (*server_options)(const struct config *config, struct server_options *out);
    /* Makes the module's context after everything below is ready, before the server listens. */
    int (*start)(struct module *m, void **context, struct error *err);
    /* The stop has begun, requests still run: end streams that have no end of their own. May be NULL. */
    void (*stopping)(struct module *m, void *context);
    /* Before the loop ends, after the server has drained: closes handles, ends processes, then calls done
     * (exactly once, now or later). May be NULL. */
    void (*stop)(struct module *m, void *context, void (*done)(struct module *m));
    /* Last: nothing calls back any more (the client has ended its calls). Frees the context. May be NULL. */
    void (*free)(void *context);
    void (*health)(void *context, struct health *h);
    /* The configuration has changed; both are valid during the call, `now` stays valid. May be NULL. */
    void (*reload)(struct module *m, void *context, const struct config *before, const struct config *now);
    /* Standby or active. May be NULL. */
    void (*state)(struct module *m, void *context, enum server_state state);
    /* Asked to stop once more while stopping: what still runs is cut short. May be NULL. */
    void (*hurry)(struct module *m, void *context);
    /* NULL: nothing. Before the database is opened, which may migrate it; an error ends the start. */
    int (*prepare)(const struct config *config, const char *home, struct error *err);
    bool stays; /* goes on when the process that started it ends: the supervisor */
};

/* Runs the module until SIGTERM/SIGINT; returns the process's exit code (0 clean, 1 error, 78 configuration
 * error). The reason of a failed start is the last log record and is written to fd 3 when open (the
 * supervisor reads it there) as one line of text; "ready\n" is written there once the server listens. */
int module_run(const struct module_spec *spec);

/* Writes one line to fd 3, where the parent listens while a process starts; nothing when it is not open. */
void module_tell_parent(const char *line);

/* ---- for the module's code ---- */
void module_stop(struct module *m);                              /* as SIGTERM */
void module_set_drain_limit(struct module *m, int64_t limit_ms); /* instead of the configured one */
/* As SIGHUP: reads the configuration again and applies what can be applied. 0 and what changed (in the
 * arena), or an error that names the line; then nothing has changed. */
int module_reload(struct module *m, struct arena *a, struct config_change **changes, size_t *n,
                  struct error *err);
/* Path of the database: store.path, else vx11.db in the home. 0 or VX11_ETOO_LARGE. */
int module_store_path(const struct config *config, const char *home, char *out, size_t size);
const char *module_version(void);
double module_uptime_s(const struct module *m);
/* Reads tokens and sessions again now, not at the next look: after this process changed them. */
int module_auth_refresh(struct module *m, struct error *err);
void *module_context(struct module *m);
const char *module_name(const struct module *m);
uv_loop_t *module_loop(struct module *m);
const struct config *module_config(struct module *m);
struct store *module_store(struct module *m);
struct writer *module_writer(struct module *m);
struct client *module_client(struct module *m);
struct metrics *module_metrics(struct module *m);
struct server *module_server(struct module *m);
const char *module_home(struct module *m); /* $VX11_HOME, absolute */
/* Target of another module's Unix socket: run/NAME.sock. Cached; valid as long as the module. */
const struct client_target *module_peer(struct module *m, const char *name);
/* Whether the database takes rows, as far as the last second showed: nothing is tried. */
bool module_can_write(const struct module *m);
/* Publishes an event (type and payload as in Link's event schemas): handed to Link over its socket, in order,
 * from a bounded queue that survives Link being away for a while; lost ones are counted in
 * vx11_events_lost_total. payload_json is an object, copied. In Link itself the function given to
 * module_on_event is called instead. */
void module_event(struct module *m, const char *type, const char *payload_json);
void module_on_event(struct module *m, void (*fn)(void *context, const char *type, const char *source,
                                                  const char *payload_json));

/* The event system.alert with a formatted sentence (cut at 799 bytes). */
void module_alert(struct module *m, enum link_alert_severity severity, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A breaker as the contract shows it. */
void module_breaker_report(const struct breaker *b, struct switch_breaker *out);

/* Asks a process's GET /health. fn runs once, later: reply is NULL when it did not answer in time, err says
 * why. Any status counts as an answer. */
typedef void (*module_probe_fn)(void *ctx, const struct common_health_reply *reply, double latency_ms,
                                const struct error *err);
int module_probe(struct client *c, const struct client_target *target, int64_t timeout_ms, module_probe_fn fn,
                 void *ctx);

/* Passes a request's identity along: fills id, trace, deadline (with a margin taken off) and the
 * X-VX11-Principal header. The strings belong to the request. */
void module_call_options(struct request *r, struct client_call_options *out);

#endif
