/* Scan: keeps the registry in step with the folders. One scan runs at a time; who asks meanwhile shares the
 * next one, so that every answer describes a look that began after the question. */
#ifndef VX11_HERMES_SCAN_H
#define VX11_HERMES_SCAN_H

#include <uv.h>

#include "api/hermes.h"
#include "base/error.h"
#include "store/store.h"

struct scanner;
struct scan_wait;

/* reply lives during the callback; NULL when the scan failed, err says why. */
typedef void (*scan_fn)(void *ctx, const struct hermes_scan_reply *reply, const struct error *err);

int scanner_create(uv_loop_t *loop, struct store *store, struct scanner **out);
/* Folders for the scans that begin from now on; copied. */
int scanner_set_roots(struct scanner *s, const char *const *roots, size_t n);
/* fn runs once, later, if it returned 0, unless the wait is dropped. out may be NULL. */
int scanner_run(struct scanner *s, scan_fn fn, void *ctx, struct scan_wait **out, struct error *err);
void scan_wait_drop(struct scan_wait *w);
/* Called after every scan, before the callbacks: the registry may have changed. */
void scanner_on_scan(struct scanner *s, void (*fn)(void *ctx, const struct hermes_scan_reply *reply),
                     void *ctx);
/* How the last scan ended: 0 with its folders' problems, or an error. NULL text: none yet. */
const char *scanner_problem(const struct scanner *s); /* NULL: none */
/* Ends the running scan soon, answers all with VX11_ECANCELLED, frees, then calls done. */
void scanner_close(struct scanner *s, void (*done)(void *ctx), void *ctx);

#endif
