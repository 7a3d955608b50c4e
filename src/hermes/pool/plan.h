/* Plan: how room is made for one more engine. Nothing but arithmetic: what is loaded, what is wanted and the
 * rules go in, what to do comes out.
 *
 *   need fits now                                      start
 *   it fits once what is ending is gone                wait
 *   it fits without some engines that do nothing       evict the cheapest such set
 *   it fits without some that are in use               wait, and let the cheapest such set run dry
 *   it fits only without pinned engines, or never      start with less context if that fits, else never
 *
 * Cheapest: first without engines of the wanted model's own group, then the fewest bytes to read again, then
 * the oldest last use, then the fewest uses, then the fewest engines. */
#ifndef VX11_HERMES_POOL_PLAN_H
#define VX11_HERMES_POOL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PLAN_BUDGET,  /* the configured budget */
    PLAN_MACHINE, /* the machine's memory */
    PLAN_DEVICE,  /* and from here on processors that have memory of their own */
    PLAN_DIMS = 10,
    PLAN_ENGINES_MAX = 64,
};
#define PLAN_NO_BOUND INT64_MAX

struct plan_bytes { /* in each kind of memory */
    int64_t in[PLAN_DIMS];
};

enum plan_state { PLAN_READY, PLAN_LOADING, PLAN_STOPPING };

struct plan_engine {
    enum plan_state state;
    struct plan_bytes predicted, measured; /* the larger counts */
    bool busy;                             /* answers, or was handed out for a request that is on its way */
    bool kept; /* has not been there for long, or still owes answers to those who waited */
    bool pinned;
    int group;         /* 0: none */
    int64_t last_used; /* any clock; older is smaller */
    int64_t usage_count;
    int64_t reload_bytes;
};

struct plan_want {
    struct plan_bytes need;  /* with all that it wants */
    struct plan_bytes least; /* with which it can be loaded at all */
    int group;
    bool settles; /* takes the least now rather than wait for what is in use */
    bool nothing; /* nothing is wanted but that all bounds are kept */
};

struct plan_rules {
    struct plan_bytes budget; /* PLAN_NO_BOUND: none */
    int64_t max_loaded;       /* those of a group count as one */
};

enum plan_verdict { PLAN_START, PLAN_EVICT, PLAN_WAIT, PLAN_NEVER };

struct plan {
    enum plan_verdict verdict;
    /* Evict: these, in this order. Wait: these are in the way and in use; none: the release is under way. */
    size_t count;
    size_t engines[PLAN_ENGINES_MAX];
    bool reduced;    /* there is no room for more than the least */
    bool by_number;  /* max_loaded is in the way, not memory */
    size_t dim;      /* the memory that is shortest; of never and wait */
    int64_t missing; /* bytes of what is wanted that are missing there now; of never: if all went that can */
    struct plan_bytes usable; /* now, with nothing unloaded; negative: the bound is passed already */
    struct plan_bytes most;   /* if all went that can */
};

/* n at most PLAN_ENGINES_MAX. Allocates nothing. */
void plan_make(const struct plan_engine *engines, size_t n, const struct plan_want *want,
               const struct plan_rules *rules, struct plan *out);
/* What an engine counts for in one kind of memory. */
int64_t plan_bytes_of(const struct plan_engine *e, size_t dim);

#endif
