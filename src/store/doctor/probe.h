/* Probe: short looks at the database file for `vx11 doctor`, each on a connection of its own, each bounded.
 */
#ifndef VX11_STORE_DOCTOR_PROBE_H
#define VX11_STORE_DOCTOR_PROBE_H

#include <stdint.h>

#include "base/error.h"

/* Looks at every page (quick_check). 0; VX11_ECORRUPT with what was found first; VX11_ETIMEOUT when budget_ms
 * were not enough. */
int store_probe_pages(const char *path, int64_t budget_ms, struct error *err);
/* Writes a row, finds it, rolls back, and finds it gone. Waits at most busy_ms for another writer. */
int store_probe_write(const char *path, int64_t busy_ms, struct error *err);
struct store_sizes {
    int64_t bytes, wal_bytes; /* of the files; wal_bytes 0: there is none */
    int64_t pages, free_pages, page_bytes;
};
int store_probe_sizes(const char *path, struct store_sizes *out, struct error *err);
/* Empties the write-ahead log as far as readers allow, and lets SQLite renew its statistics. */
int store_tidy(const char *path, int64_t busy_ms, struct error *err);

#endif
