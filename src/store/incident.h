/* Incident: what watchers found, each once: the same kind at the same place by the same source is one row
 * with a count, however often it is seen. */
#ifndef VX11_STORE_INCIDENT_H
#define VX11_STORE_INCIDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

enum { INCIDENT_FINGERPRINT = 32 };

enum incident_severity { INCIDENT_INFO, INCIDENT_WARNING, INCIDENT_ERROR, INCIDENT_CRITICAL };

struct incident_sight {
    const char *kind, *source; /* 1 to 127 bytes */
    const char *location;      /* at most 1023 bytes; "": everywhere */
    const char *detail;        /* NULL: none */
    enum incident_severity severity;
    int64_t first_at, last_at; /* epoch ms; the same for one sight */
    int64_t count;             /* sights; 1 or more */
};

/* SHA-256 of kind, source and location, each after its length in 8 bytes, most significant first. */
void incident_fingerprint(const char *kind, const char *source, const char *location,
                          unsigned char out[INCIDENT_FINGERPRINT]);
/* Makes the row, or adds the sight to it: count grows, first_seen_at and last_seen_at widen, severity and
 * detail become those of the latest sight. One that was resolved before this sight is open again. Also inside
 * store_transaction. added (may be NULL): whether it is new. VX11_EINVALID for a sight out of bounds. */
int incident_see(struct store *s, const struct incident_sight *sight, bool *added, struct error *err);
/* The statement of incident_see for the batched writer: values for incident_sql, `id` and `fingerprint` kept
 * by the caller until it was pushed. */
enum { INCIDENT_VALUES = 10 };
extern const char incident_sql[];
void incident_values(const struct incident_sight *sight, const char *id, const unsigned char *fingerprint,
                     struct store_value out[INCIDENT_VALUES]);

#endif
