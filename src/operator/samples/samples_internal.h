/* What the files of this folder share.
 *
 *   samples.c   the timer and the questions of one look
 *   reading.c   one module's /metrics, as numbers
 *   take.c      two readings to differences: values, and calls
 *   calls.c     the calls of the last minute
 *   series.c    names and numbers of series, and their rows
 *   rollup.c    samples to minutes to hours, on a thread
 *   map.c, chart.c   the routes */
#ifndef VX11_OPERATOR_SAMPLES_INTERNAL_H
#define VX11_OPERATOR_SAMPLES_INTERNAL_H

#include <uv.h>

#include "api/hermes.h"
#include "api/operator.h"
#include "api/supervisor.h"
#include "api/switch.h"
#include "operator/operator_internal.h"
#include "operator/samples/reading.h"
#include "operator/samples/samples.h"

enum {
    SAMPLES_NODES = 128,   /* things that run */
    SAMPLES_SIDECARS = 4,  /* of those, told of by others */
    SAMPLES_SERIES = 1024, /* names in the database */
    SAMPLES_TICKS = 64,    /* of which calls are kept */
    SAMPLES_WINDOW_MS = 60000,
};

/* ---- something that runs ---- */
struct node {
    char id[READING_PEER];
    enum operator_node_kind kind;
    int state, health; /* enum common_state, common_health; -1: not known */
    char process[24], reason[256];
    int64_t port, pid, restarts, in_flight; /* -1: not known; pid 0: it does not run */
    int64_t parked;                         /* requests that wait for it to load; -1: not known */
    double uptime_s;                        /* negative: not known */
    int64_t uptime_at;                      /* monotonic ms of that */
    /* measured by its pid, at the last look */
    double cpu_percent;                  /* negative: not known */
    int64_t rss, pss;                    /* bytes, -1: not known */
    int64_t cpu_pid, cpu_ms, cpu_at;     /* baseline; cpu_pid 0: none */
    bool asks;                           /* it is a process with /metrics on run/NAME.sock */
    bool silent;                         /* it runs and could not be measured at the last look */
    bool seen;                           /* at this look */
    struct reading *now, *before;        /* NULL: none. before: of the same process, pid read_pid */
    int64_t read_pid, before_at, now_at; /* monotonic ms */
};

/* ---- calls ---- */
struct edge {
    char from[READING_PEER], to[READING_PEER];
    double ok, failed, cancelled;
    struct times times;
};
struct tick {         /* what ended between two looks */
    int64_t from, to; /* monotonic ms */
    struct edge *edges;
    size_t count;
};
struct calls_log {
    struct tick ticks[SAMPLES_TICKS]; /* oldest at head */
    size_t head, count;
};
/* Takes edges over (free()d by the log). */
void calls_push(struct calls_log *l, int64_t from, int64_t to, struct edge *edges, size_t count);
/* Adds up what ended after `since`; the sum's edges are malloc()ed, window is the time they cover. 0 or
 * VX11_ENOMEM. */
int calls_sum(const struct calls_log *l, int64_t since, struct edge **edges, size_t *count, int64_t *window);
void calls_clear(struct calls_log *l);

/* ---- series ---- */
struct series {
    int64_t id;
    char module[READING_PEER], name[32], unit[16];
    enum operator_series_kind kind;
};
struct series_list {
    struct series *list;
    size_t count, cap;
    bool full; /* said once */
};
int series_load(struct store *s, struct series_list *l, struct error *err);
void series_free(struct series_list *l);
/* One row of a series, which is made when it is new. */
void series_put(struct samples *s, const char *module, const char *name, enum operator_series_kind kind,
                const char *unit, int64_t at, double value);

/* ---- roll-up ---- */
struct rollup {
    uv_work_t work;
    struct samples *s;
    bool running;
    char path[4096];
    int64_t minutes_until, hours_until; /* epoch ms: what is added up so far; 0: not known yet */
    /* of the run: the thread's */
    int64_t now, minutes_done, hours_done;
    int rc;
    struct error err;
};
void rollup_start(struct samples *s); /* unless it runs */
/* Adds up what is complete at `now`. For the thread, and tests. */
int rollup_work(struct store *store, int64_t now, int64_t *minutes_until, int64_t *hours_until,
                struct error *err);

/* ---- all of it ---- */
struct samples {
    struct operator_ *o;
    uv_timer_t timer;
    bool timer_open, stopping;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
    struct node nodes[SAMPLES_NODES];
    size_t node_count;
    struct calls_log calls;
    struct series_list series;
    struct rollup rollup;
    /* one look */
    size_t waiting;        /* answers of this look that are awaited */
    bool looking, told;    /* told: the supervisor has answered at this look */
    int64_t look_at;       /* monotonic ms */
    int64_t measured_at;   /* epoch ms of the last look that had one before it; 0: none */
    int64_t measured_mono; /* the same, monotonic */
    int64_t last_look;     /* monotonic ms when the last one was complete; 0: none yet */
    int64_t status_at;     /* monotonic ms when the supervisor last told; 0: never */
};

int64_t samples_interval(const struct samples *s);
struct node *node_find(struct samples *s, const char *id);
struct node *node_get(struct samples *s, const char *id, enum operator_node_kind kind); /* NULL: no room */
void node_drop(struct samples *s, struct node *n); /* the last node takes its place */
/* Asks the supervisor who runs; fn runs once, later, ok: it has told. */
int samples_status(struct samples *s, void (*fn)(struct samples *s, void *ctx, bool ok), void *ctx);

void samples_part_stopped(struct samples *s); /* the timer or the thread has ended */

/* take.c: a look is complete. */
void take_look(struct samples *s);

#endif
