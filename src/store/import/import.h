/* Import: takes over what has a place here from a predecessor's vx11.db.
 *
 *   its file ──read only──> shape? ──> table by table: map, or a reason ──small transactions──> our database
 *                                                                    └──> report: nothing is dropped in
 * silence
 *
 * A row that was taken over is remembered (import_row), so that a second run, a run that was cut off, or a
 * later copy of the same file adds only what is new. Incidents are merged by fingerprint, and of each the
 * time up to which its sights were counted is remembered instead. Nothing is written into the file or beside
 * it. */
#ifndef VX11_STORE_IMPORT_IMPORT_H
#define VX11_STORE_IMPORT_IMPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "api/import.h"
#include "base/arena.h"
#include "base/buf.h"
#include "store/store.h"

struct import_options {
    const char *path;     /* the predecessor's file */
    const char *database; /* ours: it is refused as a source */
    const char *scratch;  /* an existing folder for a private copy, needed for a file with a log beside it */
    const char *actor;    /* for the ledger */
    int64_t now_ms;       /* 0: the clock's */
    bool dry_run;
    bool (*stopped)(void *ctx); /* asked often; NULL: never */
    void *ctx;
    size_t fingerprints; /* kept in memory at a time; 0: a million, 100 MB */
};
/* *out in the arena. 0: it was read, see out->ok and out->error of what went wrong on the way. VX11_EVERSION:
 * no predecessor's database; VX11_ECORRUPT, VX11_ENOT_FOUND …: it cannot be read at all. */
int import_run(struct store *s, const struct import_options *options, struct arena *arena,
               struct import_report *out, struct error *err);
int import_markdown(const struct import_report *report, struct buf *out);

#endif
