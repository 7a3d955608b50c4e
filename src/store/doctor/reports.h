/* Reports: what `vx11 doctor` found, kept in doctor_report. The command writes them, the supervisor reads
 * them for the page. */
#ifndef VX11_STORE_DOCTOR_REPORTS_H
#define VX11_STORE_DOCTOR_REPORTS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/ulid.h"
#include "store/store.h"

struct doctor_report_row {
    char id[ULID_LEN + 1];
    int64_t at;                   /* epoch ms */
    char origin[16], verdict[32]; /* as in the contract */
    int64_t checks, blocking, warnings, notes, unknown, duration_ms;
    char version[65];
};
/* row->id is the report's. json: the whole report. */
int doctor_report_add(struct store *s, const struct doctor_report_row *row, const struct buf *json,
                      struct error *err);
/* Newest first; before: only older ones, NULL: from the newest. fn's non-zero stops and is returned. */
int doctor_report_list(struct store *s, const char *before, unsigned limit,
                       int (*fn)(void *ctx, const struct doctor_report_row *row), void *ctx,
                       struct error *err);
/* Appends the JSON of one; VX11_ENOT_FOUND. */
int doctor_report_read(struct store *s, const char *id, struct buf *json, struct error *err);

#endif
