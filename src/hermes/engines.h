/* Engines: one worker process per loaded model.
 *
 *            acquire                  room                socket answers         "ready"
 *   (none) ──────────> waiting (line) ───────> starting ─────────────> loading ─────────> ready
 *      ^                  │  ^                    │ exits, hangs          │                 │ crash, hang
 *      │ nobody waits     │  │ acquire, after     v                       v                 v
 *      └──────────────────┘  └── a back-off ──── failed <─────────────────┴─────────────────┘
 *   ready ── idle for long, another needs the room, a person asked ──> stopping ── process is gone ──> (none)
 *
 * Loading is single-flight: however many ask for a model, one process starts, and all get its answer. The
 * line is served in order of arrival; a model's memory counts as free only when its process is gone. */
#ifndef VX11_HERMES_ENGINES_H
#define VX11_HERMES_ENGINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "api/hermes.h"
#include "api/link.h"
#include "base/arena.h"
#include "base/error.h"
#include "net/client.h"
#include "net/metrics.h"

struct engines;
struct external;
struct engine_wait;
struct engine_stop_wait;

struct engine_params { /* a change takes effect for the next load */
    int64_t max_loaded, idle_unload_ms /* 0: never */, load_timeout_ms;
    int64_t threads, ctx, max_ctx, parallel, kv_tokens, batch, n_max, gpu_layers,
        max_queue; /* as in the configuration */
    int64_t saved_bytes /* 0: no conversations are kept */, saved_min_tokens, saved_ms;
    const char *kv_type;        /* static: "auto", "f16", "q8_0" */
    const char *speculation;    /* static: "auto", "on", "off"; NULL: the worker's default */
    int64_t draft_most;         /* 0: as many as measure fastest */
    char draft_model[4097];     /* "": none */
    const char *log_level;      /* static: "info" … */
    int64_t health_interval_ms; /* 0: 5 s */
    int64_t
        answer_limit_ms;   /* for one answer of a worker; three late ones in a row and it is ended; 0: 5 s */
    int64_t stop_limit_ms; /* from SIGTERM to SIGKILL, besides saved_ms; 0: 30 s */
    int64_t lease_ms;      /* how long an engine that was handed out waits for the request; 0: 5 s */
    int64_t memory_budget_bytes; /* of all workers together; 0: what the machine has */
    int64_t swap_after_ms;       /* from then on requests for what is in a model's way wait behind it */
    int64_t min_resident_ms;     /* one that was just loaded is not unloaded for another before */
};

struct engines_options {
    uv_loop_t *loop;
    struct client *client;
    const char *home;        /* sockets go to HOME/run, logs to HOME/log, crash reports to HOME/forensic,
                                conversations to HOME/cache/kv */
    const char *program;     /* the worker's executable; copied */
    struct metrics *metrics; /* may be NULL */
    struct engine_params params;
    /* A worker ended that should not have. */
    void (*on_crash)(void *ctx, const char *model, const char *reason);
    /* A load has got further, or a model is unloaded; may be NULL. */
    void (*on_load)(void *ctx, const struct link_model_load *load);
    /* Engines that were handed out got `n` requests; may be NULL. */
    void (*on_used)(void *ctx, const char *id, const char *model, int64_t n, int64_t at);
    void *ctx;
};

struct engine_model { /* what must be known to load one; copied */
    const char *id, *name, *path;
    const char *sha256; /* of the file, as the registry has it; NULL: unknown */
    int64_t size_bytes;
    int64_t kv_bytes_per_token;           /* -1: unknown */
    int64_t context_length;               /* -1: unknown */
    int64_t vocabulary, embedding_length; /* 0, -1: unknown */
    struct external *external;            /* engine that runs it; NULL: our own; referenced */
    int64_t usage_count;                  /* so far */
    bool pinned;                          /* stays once it is loaded */
};

struct engine_ask {
    int64_t wait_ms;
    bool has_keep_alive;   /* else as an earlier one said, or idle_unload_ms */
    int64_t keep_alive_ms; /* after the last request; 0: until the end of this one; negative: for ever */
    bool no_request;       /* it is to be loaded: no request will follow */
};

struct engine_group { /* models that belong together; a model is in one at most */
    const char *name;
    const char *const *models;
    size_t count;
};

/* Why no engine was handed out: an HTTP answer. */
struct engine_refusal {
    int status;       /* 503 or 504 */
    const char *code; /* engine_failed, no_capacity, insufficient_memory, engine_not_ready, stopping */
    char text[512];
    int64_t retry_after_ms; /* -1: no advice */
};

/* Exactly one of ready and why; both live during the call. */
typedef void (*engine_acquired_fn)(void *ctx, const struct hermes_engine *ready,
                                   const struct engine_refusal *why);

/* Removes sockets that an earlier Hermes left. */
int engines_create(const struct engines_options *options, struct engines **out, struct error *err);
void engines_configure(struct engines *all, const struct engine_params *params);
/* Share (0 … 1) of the memory, or of its budget, that models may keep while they are idle; 1 until said. It
 * unloads idle ones and keeps nobody from being loaded. */
void engines_set_pool_factor(struct engines *all, double factor);
int engines_set_groups(struct engines *all, const struct engine_group *groups, size_t n); /* copied */
/* Calls fn once: at once when the engine is ready or cannot be tried again in time, and then *out is NULL;
 * else within wait_ms. 0 or VX11_ENOMEM, VX11_EFULL (too many wait), VX11_ECANCELLED (stopping); then fn is
 * not called. */
int engines_acquire(struct engines *all, const struct engine_model *model, const struct engine_ask *ask,
                    engine_acquired_fn fn, void *ctx, struct engine_wait **out, struct error *err);
/* Stops waiting; a load that has begun goes on. fn is not called. */
void engine_wait_cancel(struct engine_wait *w);

/* Unloads, and forgets an earlier failure. 0: nothing ran (fn is not called); 1: fn runs once when the
 * process is gone; else VX11_ENOMEM. With fn NULL nobody is told. */
int engines_stop(struct engines *all, const char *name, const char *reason, void (*fn)(void *ctx), void *ctx,
                 struct engine_stop_wait **out);
void engine_stop_wait_cancel(struct engine_stop_wait *w);

/* Measured now, in the arena. */
int engines_list(struct engines *all, struct arena *a, struct hermes_engine **out, size_t *n);
/* NULL when there is none. */
struct hermes_engine *engines_get(struct engines *all, const char *name, struct arena *a);
size_t engines_running(const struct engines *all); /* processes */

/* A pin or its end, for one that may be loaded; the registry keeps it. */
void engines_pin(struct engines *all, const char *name, bool pinned);
/* Bytes that a model takes with a full context: as its worker said the last time, or estimated. */
int64_t engines_need(struct engines *all, const struct engine_model *model);
/* What would be done to load it; in the arena. Does nothing. */
int engines_plan(struct engines *all, const struct engine_model *model, struct arena *a,
                 struct hermes_plan *out);

struct engines_memory {
    int64_t budget;    /* 0: none is configured */
    int64_t predicted; /* of all processes */
    int64_t measured;  /* resident now */
    bool known;        /* how much another may take */
    int64_t usable;
};
void engines_memory(struct engines *all, struct engines_memory *out);
size_t engines_failed(const struct engines *all);

/* Answers all who wait with a refusal, and takes no new ones: Hermes is about to stop. */
void engines_refuse_waits(struct engines *all);
/* Does that, stops all workers (killing what has not ended after limit_ms), frees, then calls
 * done. */
void engines_close(struct engines *all, int64_t limit_ms, void (*done)(void *ctx), void *ctx);

#endif
