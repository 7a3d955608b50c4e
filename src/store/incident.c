/* Incident: one statement does it all, so that it can also go through the batched writer. */
#include "store/incident.h"

#include <string.h>

#include <sodium.h>

#include "base/str.h"
#include "base/ulid.h"
#include "store/field_hash.h"

static const char *const severities[] = {"info", "warning", "error", "critical"};

/* An older sight, as an import may bring one, only widens the times and counts. */
const char incident_sql[] =
    "INSERT INTO incident (id, fingerprint, kind, severity, source, location, detail, count, first_seen_at,"
    " last_seen_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)"
    " ON CONFLICT (fingerprint) DO UPDATE SET"
    " severity = iif(excluded.last_seen_at >= last_seen_at, excluded.severity, severity),"
    " detail = iif(excluded.last_seen_at >= last_seen_at, excluded.detail, detail),"
    " state = iif(state = 'resolved' AND excluded.last_seen_at > coalesce(resolved_at, last_seen_at), "
    "'open', state),"
    " resolved_at = iif(excluded.last_seen_at > coalesce(resolved_at, last_seen_at), NULL, resolved_at),"
    " count = count + excluded.count,"
    " first_seen_at = min(first_seen_at, excluded.first_seen_at),"
    " last_seen_at = max(last_seen_at, excluded.last_seen_at),"
    " updated_at = max(updated_at, excluded.updated_at)";

void incident_fingerprint(const char *kind, const char *source, const char *location,
                          unsigned char out[INCIDENT_FINGERPRINT])
{
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    field_hash_text(&state, kind);
    field_hash_text(&state, source);
    field_hash_text(&state, location);
    crypto_hash_sha256_final(&state, out);
}

void incident_values(const struct incident_sight *sight, const char *id, const unsigned char *fingerprint,
                     struct store_value out[INCIDENT_VALUES])
{
    out[0] = store_text(id);
    out[1] = store_blob(fingerprint, INCIDENT_FINGERPRINT);
    out[2] = store_text(sight->kind);
    out[3] = store_text(severities[sight->severity]);
    out[4] = store_text(sight->source);
    out[5] = store_text(sight->location);
    out[6] = store_text(sight->detail);
    out[7] = STORE_I(sight->count);
    out[8] = STORE_I(sight->first_at);
    out[9] = STORE_I(sight->last_at);
}

static int take_id(void *ctx, const struct store_row *row)
{
    row_copy(row, 0, ctx, ULID_LEN + 1);
    return 0;
}

int incident_see(struct store *s, const struct incident_sight *sight, bool *added, struct error *err)
{
    if (!sight->kind || !sight->source || !sight->location ||
        (size_t)sight->severity >= COUNT_OF(severities) || sight->count < 1 ||
        sight->first_at > sight->last_at)
        return error_set(err, VX11_EINVALID, "an incident without kind, source, place or time");
    unsigned char fingerprint[INCIDENT_FINGERPRINT];
    char id[ULID_LEN + 1], kept[ULID_LEN + 1] = "";
    incident_fingerprint(sight->kind, sight->source, sight->location, fingerprint);
    struct store_value values[INCIDENT_VALUES];
    incident_values(sight, ulid_make(id), fingerprint, values);
    int rc = store_exec(s, incident_sql, values, INCIDENT_VALUES, NULL, err);
    if (rc == 0 && added) {
        rc = store_query(s, "SELECT id FROM incident WHERE fingerprint = ?1", &values[1], 1, take_id, kept,
                         err);
        *added = rc == 0 && strcmp(kept, id) == 0;
    }
    return rc;
}
