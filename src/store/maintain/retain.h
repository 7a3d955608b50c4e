/* Retain: keeps every growing table within the bounds that it declared in `retention`: the one engine of the
 * supervisor's regular work and of `vx11 db maintain`.
 *
 *   rows past a bound ─> as lines into the archive, on the disk and read back ─> deleted in short
 * transactions, each row only if it still is what was archived
 *
 * Rows of other tables that go along (ON DELETE CASCADE) are archived with their row. While the file is at
 * its target size, tight bounds apply, then half of them, a quarter, an eighth (tiers 1 to 4), until a tenth
 * of that size is free: each time logged, and noted in the ledger when it is more than in the last day. */
#ifndef VX11_STORE_MAINTAIN_RETAIN_H
#define VX11_STORE_MAINTAIN_RETAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "api/maintenance.h"
#include "base/arena.h"
#include "store/store.h"

#define RETAIN_TABLES 64
#define RETAIN_TIERS  4

struct retain_options {
    int64_t now_ms;
    const char *archive_folder; /* NULL: `archive` beside the database */
    int64_t archive_wait_ms;    /* for another process that does this; then VX11_EBUSY */
    int64_t target_bytes;       /* 0: none, tier 0 only */
    const char *actor;          /* for the ledger */
    bool lazy; /* leave archived tables alone until it is worth a part of a file: a twentieth of a bound, at
                  most a day */
    bool dry_run;              /* only count what would go */
    int64_t vacuum_pages;      /* pages given back to the file system at most; -1: all that are free */
    const volatile bool *stop; /* NULL: never */
    int64_t limit_ms;          /* what is not done by then is left for the next time; 0: all of it */
};
struct retain_result {
    int64_t rows, children; /* that left */
    int64_t archived;       /* rows and children that were written to the archive */
    int64_t archive_bytes;
    int64_t rolled_up;  /* minutes and hours of metrics */
    int64_t vacuumed;   /* pages given back */
    int64_t used_bytes; /* of pages that hold something, afterwards */
    int tier;           /* the tightest that was applied */
    bool tighter;       /* than in all of the last day, and noted so in the ledger */
    double longest_hold_ms;
    /* Of what something left, or failed. */
    struct maintenance_table tables[RETAIN_TABLES];
    char names[RETAIN_TABLES][64], reasons[RETAIN_TABLES][512]; /* what tables[] points at */
    size_t table_count;
};
/* One table that cannot be cleaned does not keep the others from it; the first error is what the caller
 * hears. The result is valid in any case; it points into itself. */
int retain_run(struct store *s, const struct retain_options *options, struct retain_result *out,
               struct error *err);

/* Sizes of the database: what its pages hold, all of its pages. */
int retain_size(struct store *s, int64_t *used, int64_t *all, struct error *err);

#endif
