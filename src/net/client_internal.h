/* What the files of the client share. Nothing here is for others.
 *
 *   client.c        creation, closing, and the loop: libcurl's sockets, the work queue, finished transfers
 *   client_call.c   one call: start, libcurl's callbacks, pause, resume, cancel
 *   client_direct.c calls that need no libcurl: plain HTTP to a Unix socket or a numeric address
 *   client_time.c   the time limits of all calls, in one heap behind one uv_timer
 *   client_error.c  libcurl's results as our codes and sentences
 *   client_route.c  typed calls; client_path.c  a route's path and query
 *   client_peer.c   how many calls to whom, and how they ended
 *
 * libcurl must not be entered from its own callbacks, and a user's functions must not run inside
 * client_start, client_cancel or client_resume. So those only put the call into the work queue; client_run
 * takes it from there, in the same turn of the loop. */
#ifndef VX11_NET_CLIENT_INTERNAL_H
#define VX11_NET_CLIENT_INTERNAL_H

#include <curl/curl.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "net/client.h"
#include "net/http_reply.h"

struct client_list { /* doubly linked, circular; a head, or a link in a call */
    struct client_list *prev, *next;
};

enum client_phase { CALL_FREE, CALL_QUEUED, CALL_CONNECTING, CALL_WAITING, CALL_STREAMING };
enum client_todo { TODO_START = 1, TODO_RESUME = 2, TODO_FINISH = 4 };
enum client_body_kind {
    BODY_UNSET,
    BODY_NONE,
    BODY_HEAD,
    BODY_SENT
}; /* what the handle was last set up to send */

enum {
    CLIENT_MAX_HEADERS = 64,          /* lines that we send */
    CLIENT_HEAD_MAX = 256 * 1024,     /* bytes of reply headers, interim replies included */
    CLIENT_POOL_MAX = 64,             /* idle calls kept with their handles, some 20 KiB each */
    CLIENT_POOL_BODY_MAX = 64 * 1024, /* an idle call keeps no larger buffer than this */
    CLIENT_CONNECT_MS = 5000,
    CLIENT_LIMIT_MAX_MS = 1000000000, /* 11 days */
};

struct client_call {
    struct client_list all;  /* in client->live or client->pool */
    struct client_list work; /* in client->work while todo != 0 */
    struct client *client;
    CURL *easy; /* NULL until the first call that needs it */
    enum client_phase phase;
    unsigned todo;
    bool in_multi, paused;
    bool held; /* libcurl is paused */
    bool public_only, once;
    int status;

    /* What the handle is set to. */
    enum client_body_kind kind;
    bool own_method, had_socket;
    long curl_connect_ms;

    /* Of a direct call. */
    bool direct, no_body; /* no_body: a HEAD */
    bool fresh;           /* on a new connection: a kept one was dead */
    struct client_conn *conn;
    struct client_list wait; /* in client->backlog */
    struct buf request;      /* request line and headers */
    struct http_reply reply;

    struct client_events events;
    void *ctx;
    struct trace_span *span;  /* NULL: not traced */
    struct client_edge *edge; /* where it is counted; NULL: nowhere */

    struct buf text; /* URL, method, socket path and header lines, each ended by NUL */
    struct buf body;
    size_t socket_at; /* of the socket's path in text; 0: TCP */
    struct curl_slist headers[CLIENT_MAX_HEADERS];

    size_t head_bytes;
    char curl_text[CURL_ERROR_SIZE];
    struct error error; /* why we end the call ourselves (code != 0), whatever libcurl will say */

    /* Time. Limits in ms, 0: none; moments in monotonic ns, 0: not reached. */
    int64_t deadline_ms, connect_limit, first_limit, idle_limit;
    uint64_t started, connected, first_byte, last_data, ended;
    int64_t due;       /* where it stands in the heap, monotonic ms */
    size_t heap_index; /* SIZE_MAX: not in the heap */
};

struct client_socket {
    uv_poll_t poll;
    struct client *client;
    curl_socket_t fd;
    int wanted; /* what libcurl waits for: UV_READABLE | UV_WRITABLE; 0: the connection is idle or its reader
                   paused */
    int polled; /* what uv_poll is set to */
    bool kept;  /* ours to keep polling between requests: its end comes through on_close_socket */
};

struct client_peer;
struct client_conn;
struct client_edge;
struct client_edges;

struct client_fd { /* by file descriptor */
    struct client_socket *sock;
    uint64_t dev, ino; /* of the socket that on_open_socket made with this number; 0: none */
};

struct client {
    uv_loop_t *loop;
    struct tracer *tracer;      /* borrowed; NULL: none */
    struct client_edges *edges; /* NULL: calls are not counted */
    const char *caller;         /* sent as X-VX11-Caller; NULL: nothing */
    CURLM *multi;
    uv_check_t check; /* referenced while calls are live: it is what keeps the loop running for them */
    uv_prepare_t prepare;
    uv_idle_t idle; /* active while work waits, so that the loop does not sleep on it */
    uv_timer_t timer;
    size_t open_handles; /* uv handles not closed yet */

    struct client_list live, pool, work;
    size_t live_count, pool_count;
    struct client_fd *fds;
    size_t fd_count;

    struct client_peer *peers;  /* each with its idle connections */
    struct client_list conns;   /* those that serve a call */
    struct client_list backlog; /* calls to a Unix socket whose backlog is full */
    uv_timer_t backlog_timer;
    char *scratch; /* what is read from a connection, before it is handed on */

    struct client_call **heap; /* room for every live call */
    size_t heap_len, heap_cap;
    int64_t curl_due;  /* when libcurl wants to be called, monotonic ms; -1: never */
    int64_t timer_due; /* when uv_timer goes off; -1: not armed */

    bool kick;    /* libcurl wants to be called now */
    bool running; /* inside client_run or libcurl */
    bool closing, torn_down;
    void (*on_closed)(void *ctx);
    void *closed_ctx;
};

static inline void list_init(struct client_list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct client_list *l)
{
    return l->next == l;
}

static inline void list_remove(struct client_list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}

static inline void list_push(struct client_list *head, struct client_list *l) /* at the end */
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}

#define LIST_CALL(link, member)                                                                              \
    ((struct client_call *)(void *)((char *)(link)-offsetof(struct client_call, member)))

/* client.c */
void client_queue(struct client_call *call, unsigned todo);
void client_wake(
    struct client *c); /* client_run will be called in this turn of the loop or right at the next */
int client_easy_defaults(struct client *c, CURL *easy);
/* Takes the call out of everything, runs its on_done (code 0: success) and recycles it. Not from inside
 * libcurl. */
void client_finish(struct client_call *call, int code);
void client_run(struct client *c);
void client_handle_closed(struct client *c);
void client_socket_action(struct client *c, curl_socket_t fd, int events);

/* client_call.c */
void client_call_span_end(struct client_call *call, int result); /* after on_done */
/* Ends a call with this code and sentence, from anywhere; its on_done runs later. The first reason stays. */
void client_fail(struct client_call *call, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int client_call_create(struct client *c, struct client_call **out);
void client_call_destroy(struct client_call *call);
void client_call_recycle(struct client_call *call); /* back to the pool, or destroyed when that is full */
void client_call_begin(struct client_call *call);   /* TODO_START: hands it to libcurl */
void client_call_unpause(struct client_call *call); /* TODO_RESUME */

/* client_direct.c */
bool client_direct_takes(const struct client_call *call, struct sockaddr_storage *address, socklen_t *len);
int client_direct_prepare(struct client_call *call, const char *method, bool has_body); /* 0 or VX11_ENOMEM */
void client_direct_begin(struct client_call *call);                                     /* TODO_START */
void client_direct_resume(struct client_call *call);                                    /* TODO_RESUME */
void client_direct_detach(struct client_call *call); /* its connection, when it still has one, is closed */
int client_direct_init(struct client *c);            /* 0 or VX11_ENOMEM */
void client_direct_close_all(struct client *c);      /* idle connections and peers */

/* client_time.c */
int client_time_reserve(struct client *c);        /* room in the heap for one more call */
void client_time_touch(struct client_call *call); /* after a change that may bring its next limit nearer */
void client_time_forget(struct client_call *call);
void client_time_curl(struct client *c, long timeout_ms);
void client_time_arm(struct client *c);
void client_on_timer(uv_timer_t *timer);

/* client_peer.c */
struct client_edge *client_edge_of(struct client *c, const struct client_target *target);
void client_edge_count(struct client_call *call, int result);
void client_edges_free(struct client *c);

/* client_error.c */
/* Who the call goes to, for sentences: "127.0.0.1:8002" or "the socket /run/x.sock". Returns out. */
char *client_peer_name(const struct client_call *call, char *out, size_t size);
int client_explain(struct client_call *call, CURLcode code, struct error *err);

#endif
