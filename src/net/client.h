/* Client: HTTP in the same libuv loop. Plain HTTP to Unix sockets and numeric addresses goes directly, what
 * needs TLS or a name's resolution through libcurl's multi interface; callers cannot tell. Keep-alive,
 * streamed replies, cancellation, per-phase deadlines. Never follows redirects, never reads proxies from the
 * environment. */
#ifndef VX11_NET_CLIENT_H
#define VX11_NET_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/arena.h"
#include "base/error.h"
#include "contract/contract.h"
#include "net/metrics.h"
#include "net/trace.h"

struct client;
struct client_call;

int client_create(uv_loop_t *loop, struct client **out, struct error *err);
/* Calls with a sampled trace get a span of their own, which the next hop sees as its parent. */
void client_set_tracer(struct client *c, struct tracer *t);
/* Counts calls by who is called, from now on: vx11_calls_total{peer, outcome} and vx11_call_seconds{peer}.
 * m outlives the client. 0 or VX11_ENOMEM. */
int client_set_metrics(struct client *c, struct metrics *m);
/* Who this process is when it is no module, sent as X-VX11-Caller ("cli"); kept, not copied. */
void client_set_caller(struct client *c, const char *name);
/* Cancels every call (their done functions run with VX11_ECANCELLED), closes handles; done (may be NULL) runs
 * when the loop holds nothing of ours. */
void client_close(struct client *c, void (*done)(void *ctx), void *ctx);

struct client_target {    /* where to: a base URL, and a Unix socket to reach it by when socket is not NULL */
    const char *base_url; /* "http://127.0.0.1:8002" or "https://api.example.com/v1"; with socket:
                             "http://localhost" */
    const char *socket;
    const char *token; /* sent as Authorization: Bearer; NULL: none */
    /* Who that is, in metrics: "provider" and "groq", or NULL and "sidecar/playwright". peer NULL: the
     * socket's name ("switch", "engine/NAME"), else "outside". */
    const char *peer_kind, *peer;
};

struct client_header {
    const char *name, *value;
};

struct client_call_options {
    const char *request_id;              /* sent as X-Request-Id */
    const char *trace;                   /* traceparent */
    int64_t deadline_ms;                 /* monotonic ms; 0: none. What is left, less a margin, goes out too
                                            (X-Request-Deadline-Ms) */
    int64_t connect_timeout_ms;          /* 0: 5 s */
    int64_t first_byte_timeout_ms;       /* until headers arrive; 0: only the deadline */
    int64_t idle_timeout_ms;             /* between pieces of the body; 0: only the deadline */
    const struct client_header *headers; /* extra, copied */
    size_t header_count;
    size_t max_reply; /* bytes buffered for a whole reply; 0: 16 MiB */
    bool public_only; /* VX11_EPERMISSION instead of asking an address that is not public (address.h),
                         whatever name led there; looked at on the connection itself */
    bool once;        /* on a connection of its own, which ends with the reply */
    bool poll;        /* a look at somebody's health: not counted as a call */
};

/* ---- streamed ---- */
struct client_events {
    /* Once, when the status line and headers are there. */
    void (*on_headers)(struct client_call *call, void *ctx, int status);
    /* Pieces as they come. */
    void (*on_data)(struct client_call *call, void *ctx, const char *data, size_t len);
    /* Once, always, last: result 0 when the whole reply arrived (whatever its status), else VX11_ETIMEOUT,
     * VX11_ECLOSED (cut short), VX11_EUNAVAILABLE (no connection), VX11_ECANCELLED, VX11_EIO …, with a
     * sentence. The call is freed after it returns. */
    void (*on_done)(struct client_call *call, void *ctx, int result, const struct error *err);
};
/* Starts a request. method, url path (appended to base_url), body are copied. on_done always runs later,
 * never inside this call, if it returned 0. A kept connection that dies before a byte of the answer came is
 * replaced and the request sent again, whatever its method: requests that must not run twice carry an
 * Idempotency-Key. The process must ignore SIGPIPE. */
int client_start(struct client *c, const struct client_target *target, const char *method, const char *path,
                 const char *content_type, const void *body, size_t body_len,
                 const struct client_call_options *options, const struct client_events *events, void *ctx,
                 struct client_call **out, struct error *err);
/* on_done runs later with VX11_ECANCELLED, and nothing else runs before it. */
void client_cancel(struct client_call *call);
/* Back-pressure: stops reading from the socket. No on_data comes while paused (nor on_done with success), at
 * most one buffer is held; first byte and idle timeouts stand still, the deadline does not. client_resume
 * never calls on_data itself: that comes later. */
void client_pause(struct client_call *call);
void client_resume(struct client_call *call);
int client_call_status(const struct client_call *call); /* 0 before the headers */
/* To add to, until on_done has returned; NULL: it is not traced. */
struct trace_span *client_call_span(struct client_call *call);
/* A header of the reply, NULL: absent; valid until on_done returned. */
const char *client_call_header(const struct client_call *call, const char *name);
/* Retry-After in ms, -1: not given or not sound. */
int64_t client_call_retry_after(const struct client_call *call);
/* Seconds from the start; -1: that point was not reached. connect_s is near 0 on a kept connection; total_s
 * is until now, or the end. */
void client_call_times(const struct client_call *call, double *connect_s, double *first_byte_s,
                       double *total_s);

/* ---- typed: what api/NAME_client.h calls ---- */
struct client_reply {
    int result; /* 0: a reply arrived (look at status); else VX11_E… as in on_done */
    int status; /* HTTP status, 0 when none */
    const void
        *message; /* parsed reply of the route's response type when status is 2xx and it fits; else NULL */
    struct error error; /* code and sentence: from the transport, or from the error body, or why the reply did
                           not fit its contract (VX11_ECORRUPT) */
    char error_code[64]; /* "code" of the error body, "" when none */
    const char *body;    /* bytes of the reply */
    size_t body_len;
    int64_t retry_after_ms; /* -1: not given */
    struct arena *arena;    /* of message; valid during the callback */
};
typedef void (*client_reply_fn)(struct client_call *call, void *ctx, const struct client_reply *reply);

/* Builds path and query from params, serializes request, calls, parses. fn always runs later, exactly once,
 * if it returned 0. */
int client_call_route(struct client *c, const struct client_target *target,
                      const struct contract_route *route, const void *params, const void *request,
                      const struct client_call_options *options, client_reply_fn fn, void *ctx,
                      struct client_call **out);

/* Path and query of a route filled from params, percent-encoded, into out. */
int client_route_path(const struct contract_route *route, const void *params, struct buf *out,
                      struct error *err);

#endif
