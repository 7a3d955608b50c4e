/* Server: HTTP/1.1 on libmicrohttpd inside a libuv loop, one thread.
 *
 *   accept -> request id, trace -> limits (413, 431, 408) -> Host/Origin -> authentication, scope (401, 403)
 *          -> module state (503 module_standby) -> contract (404, 405, 422) -> handler -> access log, metrics
 *
 * A handler gets a `struct request`, which it owns until it calls exactly one terminal function:
 * request_reply, request_reply_text, request_fail…, request_stream_end or request_stream_abort. It may do so
 * later, from any callback of the same loop. When the client leaves or the deadline passes, the function
 * given to request_on_cancel runs once; the handler still ends the request (nothing goes on the wire then).
 * After the terminal call the request must not be touched. */
#ifndef VX11_NET_SERVER_H
#define VX11_NET_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/arena.h"
#include "base/error.h"
#include "contract/contract.h"
#include "net/auth.h"
#include "net/metrics.h"
#include "net/trace.h"

struct server;
struct request;
struct health;

typedef void (*request_handler)(struct request *r, void *module);

enum server_state { SERVER_ACTIVE, SERVER_STANDBY };

struct server_listener { /* exactly one of host and path */
    const char *host;    /* "127.0.0.1" */
    int port;            /* 0: any; server_port tells */
    const char *path; /* Unix socket, made 0600 below a 0700 folder; a stale file is replaced, a live one is
                         VX11_EBUSY */
};

struct server_options {
    uv_loop_t *loop;
    const struct contract_module *contract;
    const request_handler *handlers; /* contract->route_count of them, by route index, none NULL */
    void *module;                    /* given to every handler */
    const struct server_listener *listeners;
    size_t listener_count;
    struct auth *auth; /* NULL: every route but the open ones is refused, except for peers on the Unix socket
                          with our uid */
    struct metrics *metrics; /* borrowed; the server registers its own series */
    struct tracer *tracer;   /* borrowed; NULL: no spans */
    const char *version;
    const char *const *allowed_hosts; /* besides 127.0.0.1, localhost, [::1] (any port) and listeners' hosts;
                                         NULL-terminated, may be NULL */
    const char *const
        *allowed_origins;       /* besides http://HOST:PORT of the listeners; NULL-terminated, may be NULL */
    uint64_t max_body;          /* 0: 1 MiB; a route's own max_body wins */
    size_t max_header;          /* 0: 16 KiB; each open connection holds one and a half times that */
    int64_t header_timeout_ms;  /* 0: 10 s for a whole header or body to arrive without progress */
    int64_t request_timeout_ms; /* 0: 60 s; a route's timeout_ms wins; the caller's X-Request-Deadline-Ms can
                                   only shorten it */
    size_t stream_queue;        /* bytes waiting for one slow reader before it is dropped; 0: 1 MiB */
    int64_t heartbeat_ms;       /* SSE comment when a stream has been silent; 0: 15 s; -1: none */
    unsigned max_connections;   /* 0: 8192 */
    /* Optional checks for GET /health, appended to the server's own; called on the loop. */
    void (*health)(void *ctx, struct health *h);
    void *health_ctx; /* NULL: module */
    /* Told of each caller that showed a token or a session that is right; on the loop, before the handler.
     * May be NULL. */
    void (*identified)(void *ctx, const struct principal *p);
    void *identified_ctx;
};

/* Starts listening. On failure nothing is left behind; a taken port is VX11_EBUSY and the text names the
 * process that holds it. */
int server_start(const struct server_options *options, struct server **out, struct error *err);
int server_port(const struct server *s, size_t listener); /* bound TCP port */
void server_set_state(struct server *s, enum server_state state);
/* After the set of tokens and sessions has changed: ends the streams and sockets without an end of their own
 * whose caller is no longer known. */
void server_recheck(struct server *s);
/* Takes over other lists than those of the options; they must live until the next ones are set. */
void server_set_allowed(struct server *s, const char *const *hosts, const char *const *origins);
/* Stops accepting, lets requests finish within limit_ms, cancels the rest, closes, then calls done once.
 * Called again it can only shorten the limit; done and ctx are those of the first call. */
void server_drain(struct server *s, int64_t limit_ms, void (*done)(void *ctx), void *ctx);
/* After done ran (or when nothing was ever accepted): frees. */
void server_destroy(struct server *s);
unsigned server_connections(const struct server *s);
unsigned server_requests_in_flight(const struct server *s);

/* GET /health, /metrics and /openapi.json are answered by the kit itself, on every server; they are not in
 * the contract files. */
/* status: 0 ok, 1 degraded, 2 down. name and detail are copied; detail may be NULL. */
void health_add(struct health *h, const char *name, int status, const char *detail);

/* ---- a request ---- */
struct arena *request_arena(struct request *r); /* lives until the terminal call */
const struct contract_route *request_route(const struct request *r);
const void *request_params(const struct request *r); /* struct of the route's params, NULL: none */
const void *
request_body(const struct request *r); /* struct of the route's request; NULL with CONTRACT_ROUTE_RAW_BODY */
const char *request_raw_body(const struct request *r,
                             size_t *len); /* bytes as received; valid until the terminal call */
const char *request_header(const struct request *r, const char *name); /* NULL: absent */
const char *request_method(const struct request *r);
const char *request_path(const struct request *r);    /* decoded path, without query */
const char *request_query(const struct request *r);   /* raw query string, "" when none */
const char *request_id(const struct request *r);      /* the caller's X-Request-Id when sound, else a ULID */
const char *request_trace(const struct request *r);   /* W3C traceparent of this hop: "00-TRACE-SPAN-01" */
struct trace_span *request_span(struct request *r);   /* of this hop, to add to; NULL: it is not traced */
int64_t request_deadline_ms(const struct request *r); /* monotonic ms when it must be over; INT64_MAX: none */
const struct principal *
request_principal(const struct request *r); /* who asks; never NULL in a handler of a guarded route */
uv_loop_t *request_loop(const struct request *r);
struct server *request_server(const struct request *r);
void request_set(struct request *r, void *ctx); /* the handler's own pointer */
void *request_get(const struct request *r);
/* Runs fn once if the client leaves or the deadline passes before the terminal call; reason VX11_ECLOSED or
 * VX11_ETIMEOUT or VX11_ECANCELLED (drain) or VX11_ETOO_LARGE (a streamed body passed its bound). In fn a
 * terminal call still reaches a client that is there; after fn the kit has answered by itself (504, 503, 413;
 * a stream is cut off) and request_header finds nothing any more. */
void request_on_cancel(struct request *r, void (*fn)(struct request *r, void *ctx, int reason), void *ctx);
bool request_cancelled(const struct request *r);

/* Routes with CONTRACT_ROUTE_STREAM_BODY: the handler is called after the headers; fn gets each piece, then
 * len 0 with last = true, or data NULL and last = false when the client left. request_body_pause/resume give
 * back-pressure. */
void request_on_body(struct request *r,
                     void (*fn)(struct request *r, void *ctx, const char *data, size_t len, bool last),
                     void *ctx);
void request_body_pause(struct request *r);
void request_body_resume(struct request *r);

/* ---- replies ---- */
/* Adds a header to the reply; before the first byte only. VX11_EINVALID for CR, LF or other control
 * characters. */
int request_reply_header(struct request *r, const char *name, const char *value);
/* Terminal: status and a message of the contract. */
void request_reply(struct request *r, int status, const struct contract_message *m, const void *message);
/* Terminal: a status without a body (204). */
void request_reply_empty(struct request *r, int status);
/* Terminal: bytes as they are. Copies unless `owned`, when it takes data and free()s it. */
void request_reply_bytes(struct request *r, int status, const char *content_type, const void *data,
                         size_t len, bool owned);
/* Terminal: static bytes that outlive the server (embedded files). */
void request_reply_static(struct request *r, int status, const char *content_type, const void *data,
                          size_t len);
/* Terminal: the one error shape. type by status when NULL. code: short stable name; param may be NULL. */
void request_fail(struct request *r, int status, const char *code, const char *param, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Terminal: status and code from a VX11_E… (NOT_FOUND 404, INVALID/SYNTAX 422, EXISTS/BUSY 409, PERMISSION
 * 403, TIMEOUT 504, FULL 429, UNAVAILABLE 503, TOO_LARGE 413, UNSUPPORTED 501, else 500). */
void request_fail_error(struct request *r, const struct error *err);
/* Extra: Retry-After in whole seconds, rounded up; call before a fail. */
void request_retry_after(struct request *r, int64_t ms);
/* Extra: error.reset_at, when a budget has room again (epoch ms, 0: not known); call before a fail. */
void request_reset_at(struct request *r, int64_t epoch_ms);

/* ---- streams ---- */
/* Sends status and headers; content_type NULL: text/event-stream with heartbeats. 0 or VX11_E…. */
int request_stream_begin(struct request *r, int status, const char *content_type);
bool request_stream_started(const struct request *r);
/* Queues bytes (copied). 0; VX11_ECLOSED when the client has gone or was dropped for being slow (the queue
 * passed its bound; counted in metrics and logged as event slow_reader). The stream must still be ended. */
int request_stream_write(struct request *r, const void *data, size_t len);
/* One SSE event: "id:", "event:", "data:" lines (data split at newlines). event and id may be NULL. */
int request_stream_event(struct request *r, const char *event, const char *id, const void *data, size_t len);
size_t request_stream_queued(const struct request *r); /* bytes not yet handed to the kernel */
/* fn runs each time the queue has fallen below 32 KiB after it was above 64 KiB (or a quarter and half of a
 * smaller bound): whoever pauses its source at a queue of 64 KiB or more is always told when to go on. */
void request_on_drain(struct request *r, void (*fn)(struct request *r, void *ctx), void *ctx);
/* Exempts from the slow-reader drop: the caller promises to heed request_stream_queued (a relay that pauses
 * its upstream). */
void request_stream_backpressure(struct request *r);
void request_stream_end(
    struct request *r); /* terminal: everything queued is sent, then the chunked body ends */
void request_stream_abort(
    struct request *r); /* terminal: the connection is closed so that the client sees a broken body */

/* WebSocket: see net/websocket.h. */

#endif
