/* Rows in and out. One list of columns (queries.h) and one function that reads it, so that they cannot drift
 * apart. */
#include "hermes/registry.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/ulid.h"
#include "hermes/queries.h"

static int enum_index(const char *const *names, size_t n, const char *want)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(names[i], want))
            return (int)i;
    }
    return 0; /* the table's CHECK allows no other */
}

static bool optional_int(const struct store_row *r, int column, int64_t *out)
{
    if (row_is_null(r, column))
        return false;
    *out = row_int(r, column);
    return true;
}

/* Columns in the order of MODEL_COLUMNS. */
static void read_row(const struct store_row *r, struct arena *a, struct registry_model *out)
{
    struct hermes_model *m = &out->api;
    *out = (struct registry_model){.mtime_ns = -1, .kv_bytes_per_token = -1};
    m->id = arena_strdup(a, row_text(r, 0));
    m->name = arena_strdup(a, row_text(r, 1));
    m->source = enum_index(hermes_model_source_names, COUNT_OF(hermes_model_source_names), row_text(r, 2));
    m->status = enum_index(hermes_model_status_names, COUNT_OF(hermes_model_status_names), row_text(r, 3));
    m->reason = arena_strdup(a, row_text(r, 4));
    m->path = arena_strdup(a, row_text(r, 5));
    m->has_size_bytes = optional_int(r, 6, &m->size_bytes);
    (void)optional_int(r, 7, &out->mtime_ns);
    m->sha256 = arena_strdup(a, row_text(r, 8));
    m->architecture = arena_strdup(a, row_text(r, 9));
    m->title = arena_strdup(a, row_text(r, 10));
    m->licence = arena_strdup(a, row_text(r, 11));
    m->quantisation = arena_strdup(a, row_text(r, 12));
    m->has_parameters = optional_int(r, 13, &m->parameters);
    m->has_context_length = optional_int(r, 14, &m->context_length);
    m->has_embedding_length = optional_int(r, 15, &m->embedding_length);
    m->has_layers = optional_int(r, 16, &m->layers);
    m->has_vocabulary = optional_int(r, 17, &m->vocabulary);
    (void)optional_int(r, 18, &out->kv_bytes_per_token);
    m->has_chat_template = row_int(r, 19) != 0;
    m->capabilities = arena_array(a, MODEL_CAPABILITIES, sizeof *m->capabilities);
    if (m->capabilities)
        m->capabilities_count = model_capabilities(m->architecture, m->has_chat_template, m->capabilities);
    m->enabled = row_int(r, 20) != 0;
    m->usage_count = row_int(r, 21);
    m->has_last_used_at = optional_int(r, 22, &m->last_used_at);
    m->created_at = row_int(r, 23);
    m->updated_at = row_int(r, 24);
    m->pinned = row_int(r, 25) != 0;
    if (!row_is_null(r, 26)) { /* its path is none */
        m->source = HERMES_MODEL_SOURCE_ENGINE;
        m->path = arena_printf(a, "engine:%s", row_text(r, 26));
    }
}

struct rows {
    struct arena *arena;
    struct registry_model *items;
    size_t count, cap;
};

static int rows_add(void *ctx, const struct store_row *row)
{
    struct rows *r = ctx;
    if (r->count == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 16;
        void *grown = arena_realloc(r->arena, r->items, r->cap * sizeof *r->items, cap * sizeof *r->items);
        if (!grown)
            return VX11_ENOMEM;
        r->items = grown;
        r->cap = cap;
    }
    read_row(row, r->arena, &r->items[r->count]);
    if (!r->items[r->count].api.id || !r->items[r->count].api.name || !r->items[r->count].api.path)
        return VX11_ENOMEM;
    r->count++;
    return 0;
}

int registry_list(struct store *s, struct arena *a, struct registry_model **out, size_t *n, struct error *err)
{
    struct rows rows = {.arena = a};
    int rc = store_query(s, MODEL_LIST_SQL, NULL, 0, rows_add, &rows, err);
    *out = rows.items;
    *n = rows.count;
    return rc;
}

static int read_int(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

int registry_version(struct store *s, int64_t *out, struct error *err)
{
    *out = 0;
    return store_query(s, MODEL_VERSION_SQL, NULL, 0, read_int, out, err);
}

int registry_count(struct store *s, int64_t *available, int64_t *total, struct error *err)
{
    int rc = 0;
    if (available)
        rc = store_query(s, MODEL_COUNT_SQL, NULL, 0, read_int, available, err);
    if (rc == 0 && total)
        rc = store_query(s, MODEL_TOTAL_SQL, NULL, 0, read_int, total, err);
    return rc;
}

static int some_row(struct store *s, const char *sql, const struct store_value *values, size_t n,
                    struct arena *a, struct registry_model *out, struct error *err)
{
    struct rows rows = {.arena = a};
    int rc = store_query(s, sql, values, n, rows_add, &rows, err);
    if (rc != 0)
        return rc;
    if (rows.count == 0)
        return VX11_ENOT_FOUND;
    *out = rows.items[0];
    return 0;
}

static int one_row(struct store *s, const char *sql, const struct store_value *value, struct arena *a,
                   struct registry_model *out, struct error *err)
{
    return some_row(s, sql, value, 1, a, out, err);
}

struct names {
    struct arena *arena;
    const char **items;
    size_t count, cap;
};

static int names_add(void *ctx, const struct store_row *row)
{
    struct names *n = ctx;
    if (n->count == n->cap) {
        size_t cap = n->cap ? n->cap * 2 : 64;
        void *grown = arena_realloc(n->arena, n->items, n->cap * sizeof *n->items, cap * sizeof *n->items);
        if (!grown)
            return VX11_ENOMEM;
        n->items = grown;
        n->cap = cap;
    }
    n->items[n->count] = arena_strdup(n->arena, row_text(row, 0));
    return n->items[n->count++] ? 0 : VX11_ENOMEM;
}

static int not_found(struct store *s, const char *name, struct arena *a, struct error *err)
{
    struct names names = {.arena = a};
    size_t near[3];
    int rc = store_query(s, MODEL_NAMES_SQL, NULL, 0, names_add, &names, err);
    if (rc != 0)
        return rc;
    size_t n = str_nearest(name, names.items, names.count, near, COUNT_OF(near));
    if (n == 0)
        return error_set(err, VX11_ENOT_FOUND, "there is no model \"%.128s\"", name);
    return error_set(err, VX11_ENOT_FOUND,
                     "there is no model \"%.128s\"; the nearest: %.120s%s%.120s%s%.120s", name,
                     names.items[near[0]], n > 1 ? ", " : "", n > 1 ? names.items[near[1]] : "",
                     n > 2 ? ", " : "", n > 2 ? names.items[near[2]] : "");
}

int registry_get(struct store *s, const char *name, struct arena *a, struct registry_model *out,
                 struct error *err)
{
    struct store_value value = STORE_T(name);
    int rc = one_row(s, MODEL_BY_NAME_SQL, &value, a, out, err);
    return rc == VX11_ENOT_FOUND ? not_found(s, name, a, err) : rc;
}

int registry_by_path(struct store *s, const char *path, struct arena *a, struct registry_model *out,
                     struct error *err)
{
    struct store_value value = STORE_T(path);
    int rc = one_row(s, MODEL_BY_PATH_SQL, &value, a, out, err);
    return rc == VX11_ENOT_FOUND ? error_set(err, rc, "no model has the file %.300s", path) : rc;
}

int registry_next_unhashed(struct store *s, int64_t max_bytes, int64_t after_size, const char *after_id,
                           struct arena *a, struct registry_model *out, struct error *err)
{
    struct store_value values[] = {STORE_I(max_bytes), STORE_I(after_size), STORE_T(after_id)};
    int rc = some_row(s, MODEL_UNHASHED_SQL, values, COUNT_OF(values), a, out, err);
    return rc == VX11_ENOT_FOUND ? error_set(err, rc, "every file is hashed") : rc;
}

static struct store_value known(int64_t value)
{
    return value >= 0 ? STORE_I(value) : STORE_N;
}

/* Values of MODEL_INSERT_SQL and MODEL_UPDATE_SQL: 20 of them. */
static void bind_row(struct store_value *v, const char *id, const char *name, int source,
                     const struct model_facts *f, int64_t now)
{
    v[0] = STORE_T(id);
    v[1] = STORE_T(name);
    /* Pulled ones are those that table model_pulled names; a scan did not find them. */
    v[2] = STORE_T(
        hermes_model_source_names[source == HERMES_MODEL_SOURCE_PULLED ? HERMES_MODEL_SOURCE_ADDED : source]);
    v[3] = STORE_T(hermes_model_status_names[f->status]);
    v[4] = STORE_T(f->reason);
    v[5] = STORE_T(f->path);
    v[6] = known(f->size_bytes);
    v[7] = known(f->mtime_ns);
    v[8] = STORE_T(f->architecture);
    v[9] = STORE_T(f->title);
    v[10] = STORE_T(f->licence);
    v[11] = STORE_T(f->quantisation);
    v[12] = known(f->parameters);
    v[13] = known(f->context_length);
    v[14] = known(f->embedding_length);
    v[15] = known(f->layers);
    v[16] = known(f->vocabulary);
    v[17] = known(f->kv_bytes_per_token);
    v[18] = STORE_I(f->has_chat_template);
    v[19] = STORE_I(now);
}

static int name_taken(struct store *s, const char *name, struct arena *a, bool *taken, struct error *err)
{
    struct registry_model row;
    struct store_value value = STORE_T(name);
    int rc = one_row(s, MODEL_BY_NAME_SQL, &value, a, &row, err);
    *taken = rc == 0;
    return rc == VX11_ENOT_FOUND ? 0 : rc;
}

static int free_name(struct store *s, const char *name, bool exact, struct arena *a, const char **out,
                     struct error *err)
{
    const char *candidate = name;
    bool taken;
    for (int i = 2; i <= 1000; i++) {
        int rc = candidate ? name_taken(s, candidate, a, &taken, err) : VX11_ENOMEM;
        if (rc != 0)
            return rc;
        if (!taken) {
            *out = candidate;
            return 0;
        }
        if (exact)
            return error_set(err, VX11_EEXISTS, "the name \"%.128s\" is taken by another model", name);
        candidate = arena_printf(a, "%.120s-%d", name, i);
    }
    return error_set(err, VX11_EEXISTS, "too many models have the name \"%.128s\"", name);
}

int registry_add(struct store *s, int source, const char *name, bool exact, const struct model_facts *facts,
                 int64_t now, struct arena *a, const char **taken, struct error *err)
{
    struct store_value values[20];
    struct registry_model row;
    char id[ULID_LEN + 1];
    struct store_value path = STORE_T(facts->path);
    int rc = one_row(s, MODEL_BY_PATH_SQL, &path, a, &row, err);
    if (rc == 0)
        return error_set(err, VX11_EEXISTS, "the file is registered already, as \"%s\"", row.api.name);
    if (rc != VX11_ENOT_FOUND)
        return rc;
    rc = free_name(s, name, exact, a, &name, err);
    if (rc != 0)
        return rc;
    bind_row(values, ulid_make(id), name, source, facts, now);
    rc = store_exec(s, MODEL_INSERT_SQL, values, COUNT_OF(values), NULL, err);
    if (rc == 0 && taken)
        *taken = name;
    return rc;
}

static int exec_one(struct store *s, const char *sql, const struct store_value *values, size_t n,
                    struct error *err)
{
    int64_t changes = 0;
    int rc = store_exec(s, sql, values, n, &changes, err);
    if (rc == 0 && changes == 0)
        return error_set(err, VX11_ENOT_FOUND, "the model is no longer registered");
    return rc;
}

int registry_update(struct store *s, const struct registry_model *row, int source,
                    const struct model_facts *facts, int64_t now, struct error *err)
{
    struct store_value values[20];
    bind_row(values, row->api.id, row->api.name, source, facts, now);
    return exec_one(s, MODEL_UPDATE_SQL, values, COUNT_OF(values), err);
}

int registry_set_status(struct store *s, const char *id, int status, const char *reason, int64_t now,
                        struct error *err)
{
    struct store_value values[] = {STORE_T(id), STORE_T(hermes_model_status_names[status]), STORE_T(reason),
                                   STORE_I(now)};
    return exec_one(s, MODEL_STATUS_SQL, values, COUNT_OF(values), err);
}

int registry_set_hash(struct store *s, const struct registry_model *row, const char *sha256, int64_t now,
                      struct error *err)
{
    struct store_value values[] = {STORE_T(row->api.id), STORE_T(sha256), STORE_I(row->api.size_bytes),
                                   STORE_I(row->mtime_ns), STORE_I(now)};
    return exec_one(s, MODEL_HASH_SQL, values, COUNT_OF(values), err);
}

struct forgetting {
    const struct registry_model *row;
    int64_t now;
};

static int forget(void *ctx, struct store *s, struct error *err)
{
    const struct forgetting *f = ctx;
    struct store_value note[] = {STORE_T(f->row->api.path), STORE_I(f->now)};
    struct store_value id = STORE_T(f->row->api.id);
    int rc = exec_one(s, MODEL_DELETE_SQL, &id, 1, err);
    return rc != 0 ? rc : store_exec(s, MODEL_FORGET_SQL, note, COUNT_OF(note), NULL, err);
}

int registry_forget(struct store *s, const struct registry_model *row, int64_t now, struct error *err)
{
    struct forgetting f = {.row = row, .now = now};
    return store_transaction(s, forget, &f, err);
}

int registry_remember(struct store *s, const char *path, struct error *err)
{
    struct store_value value = STORE_T(path);
    return store_exec(s, MODEL_REMEMBER_SQL, &value, 1, NULL, err);
}

int registry_forgotten(struct store *s, struct arena *a, const char ***out, size_t *n, struct error *err)
{
    struct names names = {.arena = a};
    int rc = store_query(s, MODEL_FORGOTTEN_SQL, NULL, 0, names_add, &names, err);
    *out = names.items;
    *n = names.count;
    return rc;
}

int registry_pin(struct store *s, const char *id, bool pinned, const char *by, int64_t now, struct error *err)
{
    struct store_value values[] = {STORE_T(id), STORE_I(now), STORE_T(by)};
    return pinned ? store_exec(s, MODEL_PIN_SQL, values, COUNT_OF(values), NULL, err)
                  : store_exec(s, MODEL_UNPIN_SQL, values, 1, NULL, err);
}

int registry_used(struct writer *w, const char *id, int64_t n, int64_t now)
{
    struct store_value values[] = {STORE_T(id), STORE_I(now), STORE_I(n)};
    return writer_push(w, MODEL_USED_SQL, values, COUNT_OF(values));
}
