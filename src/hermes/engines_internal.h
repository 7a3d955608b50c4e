/* What the files of the engines share: engines.c (states, waits), worker.c (one process), capacity.c (room),
 * pool/ (who comes next). */
#ifndef VX11_HERMES_ENGINES_INTERNAL_H
#define VX11_HERMES_ENGINES_INTERNAL_H

#include "api/engine.h"
#include "base/ulid.h"
#include "hermes/engines.h"
#include "hermes/external/external.h"

#define ENGINE_WAITS_MAX     4096
#define ENGINE_STOP_LIMIT_MS 30000 /* from SIGTERM to SIGKILL, unless configured */

struct engine;

/* One process, from spawn until its last handle is closed. It outlives its engine's interest in it. */
struct worker {
    struct engine *engine; /* NULL: nobody cares any more */
    uv_process_t process;
    uv_pipe_t notify, errors; /* its fd 3 and stderr */
    uv_timer_t timer;         /* next poll, kill or end of patience */
    unsigned open;            /* handles and calls that still point here */
    bool exited, notify_over, errors_over, killed, stop_asked, finished;
    int64_t exit_status;
    int exit_signal;
    uint64_t oom_kills; /* of the machine, before it started */
    int pid;
    struct client_call *probe;
    struct client_target target;
    _Atomic int64_t *requests; /* that have arrived there; shared with it; NULL: only its status says */
    struct external *external; /* NULL: our own program */
    int port, output;          /* of an external one: 0: a socket or an address; file of its output */
    int64_t output_bytes;
    char base_url[2049];
    char socket[108], log[4096], forensic[4096], saved[4096];
    int64_t started_mono;
    int64_t poll_ms;     /* current interval while it starts */
    int64_t kill_at;     /* monotonic; 0: not set */
    unsigned unanswered; /* probes in a row */
    char words[512];     /* what it said on fd 3, or why we ended it */
    char said[512];      /* why it failed, as its status said */
    char line[512];      /* its last whole line on stderr */
    char piece[512];     /* of the line being read */
    size_t words_len, piece_len;
    char piece_buf[4096];
};

struct engine_wait {
    struct engine_wait *next;
    struct engine *engine; /* NULL: answered or cancelled, its timer is closing */
    engine_acquired_fn fn;
    void *ctx;
    uv_timer_t timer;
    int64_t since;   /* monotonic */
    bool batch;      /* waited while it was loaded */
    bool no_request; /* asked for the load alone */
};

struct engine_stop_wait {
    struct engine_stop_wait *next;
    void (*fn)(void *ctx); /* NULL: cancelled */
    void *ctx;
};

enum engine_block { BLOCK_NONE, BLOCK_BACKOFF, BLOCK_ROOM, BLOCK_MEMORY };
enum unload_why { UNLOAD_ROOM, UNLOAD_IDLE, UNLOAD_KEEP_ALIVE, UNLOAD_BUDGET, UNLOAD_ASKED, UNLOAD_WHYS };
enum { DEVICES_MAX = 8 };
#define ENGINE_PROCESS_BYTES (INT64_C(16) << 20) /* until more was measured */

struct engine {
    struct engine *next;
    struct engines *all;
    char id[ULID_LEN + 1], name[129];
    char *path;
    char sha256[65]; /* "": unknown */
    int64_t size_bytes, kv_bytes_per_token, context_length, vocabulary, embedding_length;
    struct external *external; /* engine that runs it; NULL: our own */
    int state;                 /* enum hermes_engine_state */
    char reason[512];
    struct worker *worker;     /* NULL: no process */
    struct engine_wait *waits; /* in the order of arrival */
    struct engine_stop_wait *stop_waits;
    /* in the line */
    uint64_t line;      /* place, 0: not in it */
    int64_t line_since; /* monotonic */
    bool tried;
    bool gated; /* ready, and new requests stand in the line, for it is in another's way */
    bool gate;  /* whether it will be, while the line is served */
    bool swaps; /* others were unloaded for this load */
    enum engine_block block;
    char block_text[512];
    /* measured */
    bool has_progress;
    double progress;
    int64_t bytes_read, bytes_total; /* of its file; total 0: unknown */
    int64_t told_mono;               /* when on_load was called last */
    int64_t started_at, load_ms;     /* 0, -1: unknown */
    int64_t last_used_at;            /* epoch ms, 0: never */
    int64_t last_used_mono, busy_at_mono, busy;
    int64_t usage_count;
    /* handed out; of this process */
    struct lease *leases, *leases_last; /* for requests that have not arrived */
    int64_t lease_count, held_until, handed_mono;
    int64_t handed, counted, requests_seen;
    int64_t batch;   /* of the waits: those that waited while it was loaded */
    int64_t poll_ms; /* while requests are expected */
    /* how long it stays */
    bool pinned, has_keep_alive;
    int64_t keep_alive_ms;
    int group;                         /* 0: none; else 1 + its place in engines.groups */
    int64_t process_bytes;             /* that it holds besides what is reckoned: its code, its heap */
    int64_t full_bytes;                /* for one full context, as its worker reckoned; 0: unknown */
    int64_t device_bytes[DEVICES_MAX]; /* of processors with memory of their own */
    bool outside;                      /* its process was killed by someone else */
    int64_t need_bytes;                /* for a full context */
    int64_t least_bytes;               /* with which a worker can still start, with less context */
    int64_t stated_bytes; /* as its worker reckoned, of this load or of the last one; 0: it never did */
    int64_t budget_bytes; /* that the worker is told to stay in; 0: what it finds */
    bool short_of_memory; /* why its worker has failed */
    /* failing */
    int64_t restarts, failures, not_before, ready_since;
};

struct known;
struct group;

struct engines {
    uv_loop_t *loop;
    struct client *client;
    char *program, *home;
    struct engine_params params;
    double pool_factor; /* see engines_set_pool_factor */
    void (*on_crash)(void *ctx, const char *model, const char *reason);
    void (*on_load)(void *ctx, const struct link_model_load *load);
    void (*on_used)(void *ctx, const char *id, const char *model, int64_t n, int64_t at);
    void *ctx;
    struct engine *first;
    struct known *known;
    struct group *groups;
    size_t group_count;
    struct {
        char name[64];
        int64_t capacity; /* bytes that our engines may take there */
    } devices[DEVICES_MAX];
    size_t device_count;
    uv_timer_t line_timer;
    uint64_t next_line;
    size_t wait_count;
    unsigned open; /* workers, wait timers, the line's timer */
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
    struct metric *starts, *crashes, *swaps, *evictions[UNLOAD_WHYS], *load_seconds, *wait_seconds;
    struct metric *bytes_resident, *bytes_predicted, *bytes_budget;
};

/* engines.c */
void engines_kick(struct engines *all); /* look at the line soon */
void engine_on_ready(struct engine *e);
void engine_on_status(struct engine *e); /* progress or load has been measured */
void engine_tell_load(struct engine *e, int state, const char *reason); /* enum link_model_load_state */
void engine_on_end(struct engine *e, bool asked, bool crashed, const char *reason); /* the process is gone */
void engine_unload(struct engine *e, enum unload_why why, const char *reason);
void engine_start(struct engine *e);
void engine_free(struct engine *e);
void engine_answer(struct engine *e, struct engine_wait *w); /* hands it out */
void engine_refuse(struct engine *e);                        /* all who wait, as its block says */
void engine_view(const struct engine *e, struct hermes_engine *out);
struct engine *engine_find(const struct engines *all, const char *name);
struct engine *engine_find_or_create(struct engines *all, const struct engine_model *m);
void engines_release(struct engines *all);            /* one of `open` is gone */
int64_t engine_params_tokens(const struct engine *e); /* cells that a load must at least make room for */

/* worker.c */
int worker_spawn(struct engine *e, struct error *err);
void worker_stop(struct worker *w, int64_t limit_ms);
void worker_probe(struct worker *w); /* unless one is in flight */
void worker_probe_within(struct worker *w, int64_t ms);
void worker_probe_over(struct worker *w, bool answered);
void worker_give_up(struct worker *w, const char *why); /* ends one that hangs; it counts as failed */
/* As process_memory, of all processes of an external engine. */
bool worker_memory(const struct worker *w, int64_t *resident, int64_t *anonymous);

/* capacity.c */
/* Bytes that a process has in memory, and of those the ones that no file backs. false: unknown. */
bool process_memory(int pid, int64_t *resident, int64_t *anonymous);
#endif
