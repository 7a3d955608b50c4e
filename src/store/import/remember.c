/* Remember: which rows were taken over, and the lines of the report. */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/str.h"
#include "base/ulid.h"
#include "store/field_hash.h"
#include "store/import/import_internal.h"

void import_key(const char *table, const char *const *parts, size_t n, unsigned char out[IMPORT_KEY])
{
    crypto_hash_sha256_state state;
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const unsigned char *)table, strlen(table) + 1);
    for (size_t i = 0; i < n; i++)
        field_hash_text(&state, parts[i]);
    crypto_hash_sha256_final(&state, hash);
    memcpy(out, hash, IMPORT_KEY);
}

/* ---- a dry run's memory ---- */

static unsigned char *would_at(const struct importing *x, const unsigned char *key)
{
    static const unsigned char nothing[IMPORT_KEY];
    uint64_t h;
    memcpy(&h, key, sizeof h); /* a hash already */
    for (size_t i = (size_t)h % x->would_room;; i = (i + 1) % x->would_room)
        if (memcmp(x->would[i], key, IMPORT_KEY) == 0 || memcmp(x->would[i], nothing, IMPORT_KEY) == 0)
            return x->would[i];
}

int import_would(struct importing *x, const unsigned char *key, struct error *err)
{
    if (2 * x->would_count >= x->would_room) {
        struct importing more = *x;
        more.would_room = x->would_room > 0 ? 2 * x->would_room : 1024;
        more.would = calloc(more.would_room, IMPORT_KEY);
        if (!more.would)
            return error_set(err, VX11_ENOMEM, "out of memory");
        for (size_t i = 0; i < x->would_room; i++)
            memcpy(would_at(&more, x->would[i]), x->would[i], IMPORT_KEY);
        free(x->would);
        x->would = more.would;
        x->would_room = more.would_room;
    }
    memcpy(would_at(x, key), key, IMPORT_KEY);
    x->would_count++;
    return 0;
}

/* ---- what was taken over ---- */

struct seen {
    char *id;
    int64_t *until;
    bool found;
};

static int take_seen(void *ctx, const struct store_row *row)
{
    struct seen *seen = ctx;
    seen->found = true;
    if (seen->id)
        row_copy(row, 0, seen->id, ULID_LEN + 1);
    if (seen->until && !row_is_null(row, 1))
        *seen->until = row_int(row, 1);
    return 0;
}

int import_seen(struct importing *x, const unsigned char *key, char *id, int64_t *until, struct error *err)
{
    struct seen seen = {.id = id, .until = until};
    if (id)
        id[0] = '\0';
    if (x->would && memcmp(would_at(x, key), key, IMPORT_KEY) == 0)
        return 0;
    const struct store_value value = store_blob(key, IMPORT_KEY);
    int rc = store_query(x->store, "SELECT id, until FROM import_row WHERE source = ?1", &value, 1, take_seen,
                         &seen, err);
    return rc != 0 ? rc : seen.found ? 0 : VX11_ENOT_FOUND;
}

int import_remember(struct store *s, const unsigned char *key, int64_t at, const char *id,
                    const int64_t *until, struct error *err)
{
    const struct store_value values[] = {store_blob(key, IMPORT_KEY), STORE_I(at), store_text(id),
                                         until ? STORE_I(*until) : STORE_N};
    return store_exec(s,
                      "INSERT INTO import_row (source, at, id, until) VALUES (?1, ?2, ?3, ?4)"
                      " ON CONFLICT (source) DO UPDATE SET until = max(until, excluded.until)",
                      values, COUNT_OF(values), NULL, err);
}

bool import_stopped(const struct importing *x)
{
    return x->o->stopped && x->o->stopped(x->o->ctx);
}

struct import_table *import_table_of(struct importing *x, const char *name)
{
    struct import_report *r = x->report;
    for (size_t i = 0; i < r->tables_count; i++)
        if (strcmp(r->tables[i].name, name) == 0)
            return &r->tables[i];
    return NULL;
}

void import_left(struct importing *x, struct import_table *t, const char *reason, int64_t rows)
{
    if (rows <= 0)
        return;
    t->left += rows;
    for (size_t i = 0; i < t->reasons_count; i++) {
        if (strcmp(t->reasons[i].reason, reason) == 0) {
            t->reasons[i].rows += rows;
            return;
        }
    }
    /* There are few reasons for a table, so each new one may move the list. */
    struct import_reason *list = arena_array(x->a, t->reasons_count + 1, sizeof *list);
    if (!list)
        return;
    if (t->reasons_count > 0)
        memcpy(list, t->reasons, t->reasons_count * sizeof *list);
    list[t->reasons_count++] = (struct import_reason){.reason = arena_strdup(x->a, reason), .rows = rows};
    t->reasons = list;
}

void import_candidate(struct importing *x, const char *kind, const char *name, const char *detail, int there,
                      const char *command)
{
    struct import_report *r = x->report;
    for (size_t i = 0; i < r->candidates_count; i++)
        if (strcmp(r->candidates[i].kind, kind) == 0 && strcmp(r->candidates[i].name, name) == 0 &&
            str_eq(r->candidates[i].detail, detail))
            return;
    if (r->candidates_count == x->candidates_room) {
        const size_t room = x->candidates_room > 0 ? 2 * x->candidates_room : 16;
        struct import_candidate *list = arena_array(x->a, room, sizeof *list);
        if (!list)
            return;
        if (r->candidates_count > 0)
            memcpy(list, r->candidates, r->candidates_count * sizeof *list);
        r->candidates = list;
        x->candidates_room = room;
    }
    r->candidates[r->candidates_count++] = (struct import_candidate){.kind = kind,
                                                                     .name = arena_strdup(x->a, name),
                                                                     .detail = arena_strdup(x->a, detail),
                                                                     .has_there = there >= 0,
                                                                     .there = there > 0,
                                                                     .command = arena_strdup(x->a, command)};
}
