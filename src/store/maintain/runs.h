/* Runs: rows of maintenance_run, which say what `vx11 db maintain` did. The command writes them, the
 * supervisor reads them for the page. */
#ifndef VX11_STORE_MAINTAIN_RUNS_H
#define VX11_STORE_MAINTAIN_RUNS_H

#include <stdint.h>

#include "api/maintenance.h"
#include "base/arena.h"
#include "base/buf.h"
#include "store/store.h"

/* Notes that a run has begun. Runs that still say so are noted as interrupted: the caller holds the
 * maintenance lock, so they are dead. */
int maintenance_run_begin(struct store *s, const char *id, int64_t at, enum maintenance_origin origin,
                          int64_t bytes, struct error *err);
/* Notes how it ended, with the whole report. */
int maintenance_run_end(struct store *s, const struct maintenance_report *report, struct error *err);
/* Newest first, at most limit; before: only older ones, NULL: from the newest. In the arena. */
int maintenance_run_list(struct store *s, const char *before, unsigned limit, struct arena *arena,
                         struct maintenance_runs *out, struct error *err);
/* Appends the JSON of one's report; id NULL: the newest that has one. VX11_ENOT_FOUND: there is none. */
int maintenance_run_read(struct store *s, const char *id, struct buf *json, struct error *err);

#endif
