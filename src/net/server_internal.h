/* Server internals, shared by the server_*.c files and websocket.c.
 *
 *   server ─┬─ listener (TCP)  ── MHD daemon ── its epoll descriptor in a uv_poll of our loop
 *           └─ listener (Unix) ── MHD daemon
 *   conn     one TCP or Unix connection, from accept to close; its socket belongs to MHD
 *   request  one exchange. Two sides hold it: the wire (conn->request, until MHD has finished the exchange)
 * and the handler (until its terminal call). It goes back to the pool when neither does. On cancel or
 * deadline the wire lets go first and answers by itself; the handler's terminal call then finds no wire and
 * puts nothing on it. stream   lives in the conn. After the headers MHD's connection stays suspended and we
 * write chunks to the socket ourselves: one send() per turn of the loop, where a resume through MHD costs
 * five system calls and a walk over all suspended connections. MHD takes over again for the last chunk. */
#ifndef VX11_NET_SERVER_INTERNAL_H
#define VX11_NET_SERVER_INTERNAL_H

#include <microhttpd.h>
#include <sys/types.h>
#include <uv.h>

#include "base/buf.h"
#include "base/ulid.h"
#include "net/router.h"
#include "net/server.h"

struct conn;
struct linger_conn;

enum {
    BUILTIN_HEALTH, /* routes of the kit itself, after the contract's */
    BUILTIN_METRICS,
    BUILTIN_OPENAPI,
    BUILTIN_COUNT
};

enum {                                /* sizes and times that are nobody's business to configure */
       TARGET_MAX = 8192,             /* bytes of a request target */
       DISCARD_MAX = 256 * 1024,      /* body of a refused request that is read to keep the connection */
       KEEP_BODY_BUFFER = 256 * 1024, /* larger buffers are not kept for the next request */
       POOL_REQUESTS = 64,            /* idle request objects kept */
       IDLE_TIMEOUT_MS = 75 * 1000,   /* of a kept-alive connection */
       SEND_TIMEOUT_MS = 60 * 1000,   /* a reply that makes no progress */
       LINGER_MS = 3000,            /* reading on after an early refusal, so that the client gets to see it */
       LINGER_MAX = 256,            /* such connections at a time */
       CONNECTION_SLACK = 64,       /* connections past the limit that are told so */
       STREAM_HIGH = 64 * 1024,     /* a queue past this … */
       STREAM_LOW = 32 * 1024,      /* … that falls below this is worth a word to the handler */
       STREAM_FLUSH_AT = 64 * 1024, /* a stream is flushed in mid-turn past this */
       DRAIN_GRACE_MS = 1000,       /* for the last bytes of a drain */
};

struct listener {
    struct server *server;
    struct MHD_Daemon *daemon;
    char *host; /* NULL for a Unix socket */
    char *path;
    int fd; /* -1 once it no longer accepts */
    int port;
    dev_t device; /* of the socket file, so that only our own is removed */
    ino_t inode;
    bool dirty; /* MHD_run is due */
    bool polling;
    uv_poll_t poll;
};

struct failure { /* a refusal decided before the body was read */
    int status;  /* 0: none */
    const char *code, *param, *text;
    int64_t retry_after_s;
};

/* Who asks from outside; what modules ask each other is counted by who asks (client_peer.c). */
enum request_caller { CALLER_NONE, CALLER_PEOPLE, CALLER_PROGRAMS, CALLER_SHELL, CALLER_COUNT };
enum caller_outcome { CALLER_OK, CALLER_FAILED, CALLER_LEFT, CALLER_OUTCOMES };

struct request_headers { /* the ones the kit looks at; in MHD's memory */
    const char *host, *origin, *authorization, *token, *cookie, *content_type, *content_encoding,
        *content_length, *transfer_encoding, *expect, *request_id, *traceparent, *deadline, *fetch_site,
        *principal, *caller, *preflight_method;
    const char *repeated; /* name of a header that must not be there twice but is */
};

struct reply_header {
    struct reply_header *next;
    const char *name, *value;
};

struct request {
    struct server *server;
    struct conn *conn;               /* the wire; NULL once it has let go */
    struct request *prev, *next;     /* requests in flight, or the pool */
    struct request *earlier, *later; /* deadlines in order */
    struct arena *arena;
    struct buf body, reply; /* kept between requests */

    char *target, *path, *query;
    char empty[1];
    char method[16];
    char id[65];
    char trace[56];          /* made when asked for */
    char trace_parent[17];   /* the caller's span; "" when there is none */
    struct trace_span *span; /* made when asked for; ends with the request */
    struct request_headers headers;
    size_t index; /* of the route, SIZE_MAX: none */
    const struct contract_route *route;
    request_handler handler;
    void *module;
    struct router_match match;
    struct principal principal;
    enum request_caller caller;
    struct failure failure;
    const void *params, *message;
    uint64_t max_body, content_length, body_seen;
    uint64_t started_ns, begun_ns; /* begun: of a stream, when its headers went out; 0: none */
    int64_t deadline;              /* monotonic ms, INT64_MAX: none */
    int64_t reset_at;              /* of an error: epoch ms, 0: none */
    uint64_t progress_ms;          /* loop time of the last piece of the request */

    bool seen_headers, has_body, chunked_body, http10, head;
    bool body_done;  /* MHD has all of the request */
    bool discarding; /* refused: the body is read and dropped */
    bool preflight;
    bool on_deadline_list;
    bool dispatched; /* the handler has been called */
    bool ended;      /* … and has made its terminal call */
    bool cancelled, accounted, body_paused, body_ended;
    unsigned pins; /* our callbacks on the stack that still use it */
    int status;    /* answered, 0: not yet */
    uint64_t bytes_out;

    void *ctx;
    void (*on_cancel)(struct request *r, void *ctx, int reason);
    void *cancel_ctx;
    void (*on_body)(struct request *r, void *ctx, const char *data, size_t len, bool last);
    void *body_ctx;
    void (*on_drain)(struct request *r, void *ctx);
    void *drain_ctx;
    struct reply_header *reply_headers;
};

struct stream {
    bool open;   /* begun and not finished on the wire */
    bool direct; /* the socket is ours to write to */
    bool chunked, sse, backpressure, ended;
    bool high;                 /* the queue has been above STREAM_HIGH */
    bool listed;               /* on the server's list of streams to flush */
    struct MHD_Response *held; /* begun before the request's body was complete: queued after it */
    struct buf raw;            /* not yet framed */
    size_t raw_off;
    struct buf wire; /* framed, partly sent */
    size_t wire_off;
    uint64_t last_ms; /* loop time of the last progress */
    struct conn *next_flush;
    struct conn *sse_prev, *sse_next;
};

struct conn {
    struct server *server;
    struct listener *listener;
    struct MHD_Connection *mhd;
    struct conn *prev, *next;
    struct request *request;
    struct websocket *websocket; /* the socket has been handed over */
    struct principal holder;     /* who opened that */
    struct websocket *upgrading; /* … or will be, when MHD has sent the 101 */
    int fd;
    bool in_callback, can_queue; /* inside MHD's call; and it may queue a reply now */
    bool queued;                 /* a response is with MHD */
    bool served;                 /* has had a request before */
    bool suspended, dead, gone, refused, linger, polling;
    bool peer_trusted; /* Unix socket, our uid or root */
    unsigned events;   /* that poll waits for */
    int sampled_unsent;
    uint64_t since_ms; /* loop time of the last change of what it does */
    char *unsent;      /* of a reply written past MHD: goes out while lingering */
    size_t unsent_len;
    struct stream stream;
    uv_poll_t poll;
};

enum { CODES = 32 };

struct caller_stats {
    struct metric *outcomes[CALLER_OUTCOMES], *seconds;
};

struct route_stats {
    struct metric *seconds;
    struct {
        int status;
        struct metric *count;
    } codes[CODES];
};

struct server {
    uv_loop_t *loop;
    struct server_options o;
    enum server_state state;
    int64_t started_ms;
    struct router *router;
    const struct contract_route **routes; /* the contract's, then the kit's */
    size_t route_count;
    struct route_stats *stats; /* route_count + 1: the last is for no route */
    struct caller_stats callers[CALLER_COUNT];
    struct listener *listeners;
    size_t listener_count;
    struct buf openapi;
    uint64_t span_seed;

    struct conn *conns;
    unsigned conn_count;
    struct request *requests, *pool;
    unsigned in_flight, pooled;
    struct request *first_deadline, *last_deadline;
    struct conn *flush_list;
    struct conn *sse_list;
    struct linger_conn *lingers;
    unsigned linger_count;

    bool dirty, idling, started;
    bool draining, cancelled_rest, stopped, destroying;
    uint64_t drain_until, drain_warned;
    void (*drained)(void *ctx);
    void *drained_ctx;
    unsigned handles; /* open handles of the loop */
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    uv_timer_t tick;     /* timeouts, heartbeats; runs while there are connections */
    uv_timer_t deadline; /* of the first request on the list */

    struct metric *m_connections, *m_in_flight, *m_bytes_in, *m_bytes_out, *m_slow, *m_refused, *m_accepted,
        *m_cancelled, *m_websockets;
};

/* server.c */
void server_mark_dirty(struct server *s, struct listener *l);
void server_tick_start(struct server *s);
void server_handle_close(struct server *s,
                         uv_handle_t *handle); /* counted, finishes a drain with the last one */
void server_finish_if_drained(struct server *s);
uint64_t server_now(const struct server *s); /* loop time, ms */

/* server_listen.c */
int listener_open(struct listener *l, const struct server_listener *options, struct error *err);
void listener_close_socket(struct listener *l); /* and removes the socket file if it is ours */

/* server_conn.c */
void conn_on_notify(void *cls, struct MHD_Connection *mhd, void **context,
                    enum MHD_ConnectionNotificationCode code);
void *conn_on_target(void *cls, const char *target, struct MHD_Connection *mhd);
enum MHD_Result conn_on_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                               const char *version, const char *data, size_t *size, void **context);
void conn_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                       enum MHD_RequestTerminationCode code);
void conn_suspend(struct conn *c);
void conn_resume(struct conn *c);
void conn_hasten_close(struct conn *c);
void conn_abort(struct conn *c); /* closes it as soon as MHD lets us */
int conn_poll(struct conn *c,
              unsigned events); /* what our own poll waits for: UV_DISCONNECT always among them */
void conn_poll_stop(struct conn *c);
bool conn_can_queue(const struct conn *c); /* a reply can go through MHD now (else: past it) */
/* Hands a response to MHD, which takes over its reference. */
void conn_queue(struct conn *c, unsigned status, struct MHD_Response *response);
/* Writes a whole reply past MHD in the middle of a request's body, then closes. */
void conn_send_raw(struct conn *c, int status, const char *content_type, const struct reply_header *headers,
                   const char *id, const void *data, size_t len);
void conns_check(struct server *s, uint64_t now); /* timeouts */

/* server_linger.c */
void linger_start(struct conn *c);
void lingers_check(struct server *s, uint64_t now, bool all);

/* server_admit.c: everything between the headers and the handler. Sets r->failure when the request is
 * refused. */
void request_admit(struct request *r, const char *method, const char *version);
void request_headers_read(struct request *r);
/* server_guard.c */
bool guard_headers(struct request *r);   /* 431, 414, framing, 413, 415 */
bool guard_origin(struct request *r);    /* Host and Origin */
bool guard_principal(struct request *r); /* 401, 403 */
bool request_refuse(struct request *r, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5))); /* returns false */

/* server_request.c */
struct request *request_take(struct server *s, struct conn *c);
void request_release(struct request *r); /* when neither side holds it */
void request_pin(struct request *r);
void request_unpin(struct request *r);
void request_piece(struct request *r, const char *data, size_t *size);
void request_dispatch(struct request *r);
void request_complete(struct request *r); /* MHD has all of it */
void request_cancel(struct request *r, int reason);
void request_wire_lost(struct request *r); /* MHD has closed the exchange */
void request_deadline_add(struct request *r);
void request_deadline_remove(struct request *r);
void request_deadlines_check(struct server *s);

/* server_reply.c */
void reply_failure(struct request *r, const struct failure *f); /* on the wire; not a terminal call */
int reply_error_text(struct request *r, const struct failure *f, struct buf *out);
struct MHD_Response *reply_prepare(struct request *r, struct MHD_Response *response,
                                   const char *content_type);
void reply_send(struct request *r, int status, const char *content_type, const void *data, size_t len,
                enum MHD_ResponseMemoryMode mode);
bool request_end(struct request *r); /* marks the terminal call; false: no wire, nothing to send */
const char *failure_type(int status);

/* server_stream.c */
void stream_close(struct conn *c); /* forgets what is queued; the exchange is over */
void stream_on_writable(struct conn *c);
void streams_flush(struct server *s);
void streams_heartbeat(struct server *s, uint64_t now);
void stream_body_complete(struct request *r); /* queues what was held */

/* server_account.c */
int account_init(struct server *s, struct error *err);
void account_request(struct request *r, int status); /* metrics and the access log, once */

/* server_builtin.c */
extern const struct contract_route builtin_routes[BUILTIN_COUNT];
request_handler builtin_handler(size_t index);

/* server_drain.c */
void drain_check(struct server *s, uint64_t now);

/* websocket.c */
void websocket_on_poll(struct websocket *ws, int status, int events);
void websocket_never_opened(struct websocket *ws); /* the connection broke before the upgrade */
void websocket_going_away(struct websocket *ws);
void websocket_cut(struct websocket *ws); /* without waiting for the peer */
void websockets_check(struct websocket *ws, uint64_t now);
void websocket_set_patience(struct websocket *ws, uint64_t ms); /* silence before a ping; for tests */

/* websocket_handshake.c */
/* Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455, section 4.2.2). out: 29 bytes with NUL. false: not
 * a key. */
bool websocket_accept_key(const char *key, char out[29]);

#endif
