/* Maintain: looks after the database, step by step, while others use it.
 *
 *   quick_check ─> backup ─> retention ─> rollup ─> foreign_keys ─> checkpoint ─> vacuum (or compact)
 *               ─> optimize ─> integrity ─> archive ─> report
 *
 * Nothing is deleted from a file that is damaged, nor without a backup that was checked. A step that fails is
 * told of, those that are safe nevertheless go on, and the run has failed. */
#ifndef VX11_STORE_MAINTAIN_MAINTAIN_H
#define VX11_STORE_MAINTAIN_MAINTAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "api/maintenance.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

struct maintain_options {
    const char *home, *database;
    const char *actor; /* for the ledger: cli, schedule */
    enum maintenance_origin origin;
    int64_t now_ms;                              /* 0: the clock's */
    int64_t warn_bytes, target_bytes;            /* 0: none */
    int64_t archive_keep_ms, archive_keep_bytes; /* 0: no bound */
    int64_t lock_wait_ms;                        /* for other work on the whole file */
    bool gentle;    /* what only reads and takes long gives way to all else on the machine */
    bool no_backup; /* none is made: the caller was asked to do without */
    bool compress_backup;
    const char *key_file; /* seals the backup; NULL: it is not sealed */
    bool compact;         /* VACUUM: the caller knows that nobody else has the database open */
    bool dry_run;         /* only say what would go */
    const volatile bool *stop;
    void (*progress)(void *ctx, const char *step); /* a step begins; NULL: nobody wants to know */
    void *ctx;
};
/* Takes the maintenance lock. 0: it ran, and out->ok says how; *out lives in the arena. VX11_E…: it could not
 * begin (VX11_EBUSY: other work on the file goes on). */
int maintain_run(const struct maintain_options *options, struct arena *arena, struct maintenance_report *out,
                 struct error *err);
/* The report for people. 0 or VX11_ENOMEM. */
int maintain_markdown(const struct maintenance_report *report, struct buf *out);

#endif
