/* Incidents: a million copies of a few hundred findings become as many rows as there are findings.
 *
 *   read all rows ─> per fingerprint: count, first, last, where its latest row is ─> merge, remember until
 * when
 *
 * What is kept per fingerprint is small and bounded: when there are more of them than that, the file is read
 * in several rounds, each for its share of the fingerprints. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/ulid.h"
#include "store/connection.h"
#include "store/import/import_internal.h"
#include "store/incident.h"

enum {
    C_ANT = 1,
    C_TYPE,
    C_KIND,
    C_SOURCE,
    C_LOCATION,
    C_SEEN,
    C_FIRST,
    C_LAST,
    C_SEVERITY,
    C_DETAILS,
    C_TITLE,
    C_STATUS,
    C_RESOLVED,
    C_DECISION
};
static const char *const columns[] = {
    "ant_id",       "incident_type", "kind",    "source", "location", "detected_at", "first_seen_at",
    "last_seen_at", "severity",      "details", "title",  "status",   "resolved_at", "queen_decision"};
#define NO_KIND  "an incident without a kind"
#define NO_TIME  "its time cannot be read"
#define TOO_LONG "its kind, source or location is too long"

struct group {
    unsigned char fingerprint[INCIDENT_FINGERPRINT];
    int64_t count, known, first, last, until, row; /* row: rowid of the latest; count 0: nothing new */
    bool used, marked;                             /* marked: until is what an earlier run reached */
};
struct groups {
    struct group *list; /* open addressing */
    size_t room, used;
};

static struct group *group_at(struct groups *g, const unsigned char *fingerprint)
{
    uint64_t h;
    memcpy(&h, fingerprint, sizeof h); /* a hash already */
    for (size_t i = (size_t)h % g->room;; i = (i + 1) % g->room)
        if (!g->list[i].used || memcmp(g->list[i].fingerprint, fingerprint, INCIDENT_FINGERPRINT) == 0)
            return &g->list[i];
}

struct names {
    const char *kind, *source, *location;
};

/* What makes it the same; NULL: or why it cannot be taken. */
static const char *names_of(sqlite3_stmt *row, struct names *out)
{
    const char *kind = source_text(row, C_TYPE), *source = source_text(row, C_ANT);
    if (!kind || !*kind)
        kind = source_text(row, C_KIND);
    if (!source || !*source)
        source = source_text(row, C_SOURCE);
    const char *location = source_text(row, C_LOCATION);
    if (!kind || !*kind)
        return NO_KIND;
    *out = (struct names){kind, source && *source ? source : "predecessor", location ? location : ""};
    return strlen(out->kind) > 127 || strlen(out->source) > 127 || strlen(out->location) > 1023 ? TOO_LONG
                                                                                                : NULL;
}

static bool times_of(sqlite3_stmt *row, int64_t *first, int64_t *last)
{
    int64_t seen = 0, begun = 0, latest = 0;
    const bool has_seen = source_time(row, C_SEEN, &seen);
    const bool has_first = source_time(row, C_FIRST, &begun), has_last = source_time(row, C_LAST, &latest);
    if (!has_seen && !has_first && !has_last)
        return false;
    *first = has_first ? begun : has_seen ? seen : latest;
    *last = has_last ? latest : has_seen ? seen : begun;
    if (*first > *last)
        *first = *last;
    return true;
}

/* The mark of an earlier run, asked for once for each fingerprint. */
static int group_begin(struct importing *x, struct groups *g, struct group *e,
                       const unsigned char *fingerprint, struct error *err)
{
    unsigned char key[IMPORT_KEY];
    char hex[2 * INCIDENT_FINGERPRINT + 1];
    hex_encode(fingerprint, INCIDENT_FINGERPRINT, hex);
    import_key("incidents", (const char *const[]){hex}, 1, key);
    *e = (struct group){.used = true, .until = INT64_MIN};
    memcpy(e->fingerprint, fingerprint, INCIDENT_FINGERPRINT);
    g->used++;
    int rc = import_seen(x, key, NULL, &e->until, err);
    e->marked = rc == 0;
    return rc == VX11_ENOT_FOUND ? 0 : rc;
}

/* One row of the file. share, shares: which fingerprints this round is for. */
static int row_take(struct importing *x, struct import_table *t, struct groups *g, sqlite3_stmt *row,
                    size_t share, size_t shares, struct error *err)
{
    struct names names;
    unsigned char fingerprint[INCIDENT_FINGERPRINT];
    int64_t first, last;
    const char *reason = names_of(row, &names);
    if (reason || !times_of(row, &first, &last)) {
        if (share == 0)
            import_left(x, t, reason ? reason : NO_TIME, 1);
        return 0;
    }
    incident_fingerprint(names.kind, names.source, names.location, fingerprint);
    if (fingerprint[INCIDENT_FINGERPRINT - 1] % shares != share)
        return 0;
    struct group *e = group_at(g, fingerprint);
    if (!e->used) {
        if (4 * g->used >= 3 * g->room)
            return error_set(err, VX11_ETOO_LARGE, "more different incidents than fit into memory");
        int rc = group_begin(x, g, e, fingerprint, err);
        if (rc != 0)
            return rc;
    }
    if (last <= e->until) {
        e->known++;
        return 0;
    }
    if (e->count == 0 || first < e->first)
        e->first = first;
    if (e->count == 0 || last >= e->last) {
        e->last = last;
        e->row = sqlite3_column_int64(row, 0);
    }
    e->count++;
    return 0;
}

/* ---- writing ---- */

struct writing {
    struct importing *x;
    struct import_table *t;
    struct group *list;
    size_t at, end; /* groups of this transaction; at moves on */
    size_t room;
    sqlite3_stmt *one; /* a row of the file by its rowid */
    int64_t imported, merged;
};

static enum incident_severity severity_of(const char *text)
{
    static const char *const words[][2] = {{"critical", "fatal"}, {"error", "high"}, {"warning", "warn"}};
    for (size_t i = 0; text && i < COUNT_OF(words); i++)
        if (strcmp(text, words[i][0]) == 0 || strcmp(text, words[i][1]) == 0)
            return (enum incident_severity)(INCIDENT_CRITICAL - (int)i);
    return INCIDENT_INFO;
}

/* State and decision of one that is new here: those of its latest row. */
static int state_write(struct store *s, const struct group *e, sqlite3_stmt *row, struct error *err)
{
    const char *status = source_text(row, C_STATUS), *decision = source_text(row, C_DECISION);
    int64_t resolved = 0;
    const bool done = str_eq(status, "resolved");
    const bool seen = str_eq(status, "acknowledged");
    if (!source_time(row, C_RESOLVED, &resolved))
        resolved = e->last;
    const struct store_value values[] = {store_blob(e->fingerprint, INCIDENT_FINGERPRINT),
                                         STORE_T(done   ? "resolved"
                                                 : seen ? "acknowledged"
                                                        : "open"),
                                         done ? STORE_I(resolved) : STORE_N,
                                         store_text(decision && strlen(decision) <= 4096 ? decision : NULL)};
    return store_exec(
        s, "UPDATE incident SET state = ?2, resolved_at = ?3, decision = ?4 WHERE fingerprint = ?1", values,
        COUNT_OF(values), NULL, err);
}

/* By the time of its last sight alone it would be too old to stay, as all that a predecessor saw. */
static int age_write(struct store *s, const struct group *e, int64_t now, struct error *err)
{
    const struct store_value values[] = {store_blob(e->fingerprint, INCIDENT_FINGERPRINT), STORE_I(now)};
    return store_exec(s, "UPDATE incident SET updated_at = max(updated_at, ?2) WHERE fingerprint = ?1",
                      values, COUNT_OF(values), NULL, err);
}

static int group_write(struct writing *w, struct store *s, const struct group *e, struct error *err)
{
    struct names names;
    unsigned char key[IMPORT_KEY];
    char hex[2 * INCIDENT_FINGERPRINT + 1];
    sqlite3_reset(w->one);
    sqlite3_bind_int64(w->one, 1, e->row);
    if (sqlite3_step(w->one) != SQLITE_ROW || names_of(w->one, &names) != NULL)
        return error_set(err, VX11_ECORRUPT, "row %lld of incidents cannot be read once more",
                         (long long)e->row);
    const char *detail = source_text(w->one, C_DETAILS);
    if (!detail || !*detail)
        detail = source_text(w->one, C_TITLE);
    if (detail && (!*detail || strlen(detail) > 65536))
        detail = NULL;
    const struct incident_sight sight = {.kind = names.kind,
                                         .source = names.source,
                                         .location = names.location,
                                         .detail = detail,
                                         .severity = severity_of(source_text(w->one, C_SEVERITY)),
                                         .first_at = e->first,
                                         .last_at = e->last,
                                         .count = e->count};
    bool added = false;
    int rc = incident_see(s, &sight, &added, err);
    if (rc == 0 && added)
        rc = state_write(s, e, w->one, err);
    if (rc == 0)
        rc = age_write(s, e, w->x->now, err);
    hex_encode(e->fingerprint, INCIDENT_FINGERPRINT, hex);
    import_key("incidents", (const char *const[]){hex}, 1, key);
    if (rc == 0)
        rc = import_remember(s, key, w->x->now, NULL, &e->last, err);
    w->imported += added;
    w->merged += e->count - added;
    return rc;
}

static int batch_write(void *ctx, struct store *s, struct error *err)
{
    struct writing *w = ctx;
    int rc = 0;
    size_t done = 0;
    w->imported = w->merged = 0;
    for (w->end = w->at; rc == 0 && w->end < w->room && done < IMPORT_BATCH; w->end++) {
        if (!w->list[w->end].used || w->list[w->end].count == 0)
            continue;
        rc = group_write(w, s, &w->list[w->end], err);
        done++;
    }
    return rc;
}

static int groups_write(struct importing *x, struct import_table *t, struct groups *g, struct error *err)
{
    struct writing w = {.x = x, .t = t, .list = g->list, .room = g->room};
    for (size_t i = 0; i < g->room; i++)
        t->known += g->list[i].used ? g->list[i].known : 0;
    if (x->o->dry_run) {
        for (size_t i = 0; i < g->room; i++) {
            const struct group *e = &g->list[i];
            const int64_t first = e->used && e->count > 0 && !e->marked;
            t->imported += first;
            t->merged += e->used ? e->count - first : 0;
        }
        return 0;
    }
    char *sql = source_select(&x->src, t->name, columns, COUNT_OF(columns), NULL);
    char *order = sql ? strstr(sql, " ORDER BY ") : NULL;
    char *one = order ? sqlite3_mprintf("%.*s WHERE rowid = ?1", (int)(order - sql), sql) : NULL;
    int rc = source_prepare(&x->src, one, &w.one, err);
    while (rc == 0 && w.at < w.room && !import_stopped(x)) {
        rc = store_transaction(x->store, batch_write, &w, err);
        if (rc == 0) {
            t->imported += w.imported;
            t->merged += w.merged;
            w.at = w.end;
        }
    }
    if (rc == 0 && import_stopped(x))
        rc = error_set(err, VX11_ECANCELLED, "it was asked to stop");
    sqlite3_finalize(w.one);
    sqlite3_free(sql);
    sqlite3_free(one);
    return rc;
}

static int round_run(struct importing *x, struct import_table *t, struct groups *g, size_t share,
                     size_t shares, struct error *err)
{
    sqlite3_stmt *stmt;
    char *sql = source_select(&x->src, t->name, columns, COUNT_OF(columns), NULL);
    int rc = source_prepare(&x->src, sql, &stmt, err);
    memset(g->list, 0, g->room * sizeof *g->list);
    g->used = 0;
    int step = SQLITE_DONE;
    while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW)
        rc = import_stopped(x) ? error_set(err, VX11_ECANCELLED, "it was asked to stop")
                               : row_take(x, t, g, stmt, share, shares, err);
    if (rc == 0 && step != SQLITE_DONE)
        rc = sql_error(err, x->src.db, step, "incidents");
    sqlite3_finalize(stmt);
    sqlite3_free(sql);
    return rc == 0 ? groups_write(x, t, g, err) : rc;
}

int import_incidents(struct importing *x, struct import_table *t, struct error *err)
{
    const size_t most = x->o->fingerprints > 0 ? x->o->fingerprints : 1000000;
    const size_t rows = t->rows > 0 ? (size_t)t->rows : 1;
    size_t shares = (rows + most - 1) / most;
    /* The last byte of the fingerprint decides; with twice the room no share overflows but by design. */
    shares = shares > 256 ? 256 : shares;
    const size_t expected = rows / shares + 1;
    struct groups g = {.room = 2 * (expected < most ? expected : most) + 1024};
    g.list = calloc(g.room, sizeof *g.list);
    if (!g.list)
        return error_set(err, VX11_ENOMEM, "no memory for %zu incidents", g.room);
    int rc = 0;
    for (size_t share = 0; rc == 0 && share < shares; share++)
        rc = round_run(x, t, &g, share, shares, err);
    free(g.list);
    return rc;
}
