/* Forensic: crash reports as the command line and the page show them. Everything blocks (files, the
 * database, a symboliser's process): for a command, or a thread of its own. Works with services down. */
#ifndef VX11_MODULE_FORENSIC_FORENSIC_H
#define VX11_MODULE_FORENSIC_FORENSIC_H

#include "api/supervisor.h"
#include "base/arena.h"
#include "base/crash_report.h"
#include "base/error.h"
#include "contract/config.h"
#include "store/store.h"

struct forensic_options {
    char folder[4096]; /* $VX11_HOME/forensic */
    char symbolizer[4096];
    struct crash_keep keep;
};
/* Copies what it needs: the configuration may go afterwards. 0 or VX11_ETOO_LARGE. */
int forensic_options_fill(struct forensic_options *out, const char *home, const struct config *config);

/* The newest `limit` reports; one that cannot be read is there with its reason. Everything is in the arena.
 */
int forensic_list(const struct forensic_options *o, size_t limit, struct arena *a,
                  struct supervisor_forensic_list *out, struct error *err);

/* One report, its backtrace symbolised. store may be NULL: then run is null, for store_reason. VX11_EINVALID
 * (no such id can be), VX11_ENOT_FOUND; one that is there and cannot be read is 0 with readable = false. */
int forensic_show(const struct forensic_options *o, const char *id, struct store *store,
                  const char *store_reason, struct arena *a, struct supervisor_forensic_show *out,
                  struct error *err);

#endif
