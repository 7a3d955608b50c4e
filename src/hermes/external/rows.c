/* The registry's rows of models that only an external engine has. Their path cannot be one of a file: it lies
 * below /dev/null. A model that is registered with a file never becomes one of these. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/ulid.h"
#include "hermes/external/external_internal.h"

static const char sql_owner[] = "SELECT x.engine FROM model_external x JOIN model m ON m.id = x.model_id "
                                "WHERE m.name = ?1";
static const char sql_list[] = "SELECT m.id, m.name, x.engine, m.status, m.reason FROM model_external x "
                               "JOIN model m ON m.id = x.model_id ORDER BY m.name";
static const char sql_taken[] = "SELECT 1 FROM model WHERE name = ?1";
static const char sql_insert[] =
    "INSERT INTO model (id, name, source, status, reason, path, created_at, updated_at) "
    "VALUES (?1, ?2, 'added', ?3, ?4, ?5, ?6, ?6)";
static const char sql_insert_owner[] = "INSERT INTO model_external (model_id, engine) VALUES (?1, ?2)";
static const char sql_update[] =
    "UPDATE model SET status = ?2, reason = ?3, path = ?4, updated_at = ?5 WHERE id = ?1";
static const char sql_update_owner[] = "UPDATE model_external SET engine = ?2 WHERE model_id = ?1";
static const char sql_delete[] = "DELETE FROM model WHERE id = ?1";

struct owner {
    char *out;
    size_t size;
    bool found;
};

static int read_owner(void *ctx, const struct store_row *row)
{
    struct owner *o = ctx;
    (void)row_copy(row, 0, o->out, o->size);
    o->found = true;
    return 0;
}

bool external_row_owner(struct store *s, const char *model, char *out, size_t size)
{
    struct owner o = {.out = out, .size = size};
    struct store_value name = STORE_T(model);
    struct error err = {0};
    if (store_query(s, sql_owner, &name, 1, read_owner, &o, &err) != 0) {
        log_error("engines", "the owner of a model cannot be read", LOG_S("model", model),
                  LOG_S("reason", err.text));
        return false;
    }
    return o.found;
}

/* ---- sync ---- */

struct row {
    struct row *next;
    const char *id, *name, *engine, *status, *reason;
    bool wanted;
};

struct syncing {
    struct externals *all;
    struct arena *arena;
    struct row *rows;
    int64_t now;
};

static int read_row(void *ctx, const struct store_row *row)
{
    struct syncing *s = ctx;
    struct row *r = arena_zalloc(s->arena, sizeof *r);
    if (!r)
        return VX11_ENOMEM;
    *r = (struct row){
        .next = s->rows,
        .id = arena_strdup(s->arena, row_text(row, 0)),
        .name = arena_strdup(s->arena, row_text(row, 1)),
        .engine = arena_strdup(s->arena, row_text(row, 2)),
        .status = arena_strdup(s->arena, row_text(row, 3)),
        .reason = arena_strdup(s->arena, row_text(row, 4)),
    };
    s->rows = r;
    return r->id && r->name && r->engine && r->status ? 0 : VX11_ENOMEM;
}

static struct row *row_find(const struct syncing *s, const char *name)
{
    for (struct row *r = s->rows; r; r = r->next)
        if (strcmp(r->name, name) == 0)
            return r;
    return NULL;
}

/* Whether a model can be used, as the status and reason of its row. */
static int status_of(const struct external *x, struct arena *a, const char **reason)
{
    *reason = NULL;
    if (x->problem[0]) {
        *reason = arena_printf(a, "its engine %s cannot be started: %s", x->name, x->problem);
        return HERMES_MODEL_STATUS_INVALID;
    }
    if (x->state == HERMES_EXTERNAL_STATE_UNKNOWN || x->state == HERMES_EXTERNAL_STATE_DOWN) {
        *reason = x->state == HERMES_EXTERNAL_STATE_DOWN
                      ? arena_printf(a, "its engine %s is down: %s", x->name, x->reason)
                      : arena_printf(a, "its engine %s has not answered yet", x->name);
        return HERMES_MODEL_STATUS_MISSING;
    }
    return HERMES_MODEL_STATUS_AVAILABLE;
}

static int exists(void *ctx, const struct store_row *row)
{
    (void)row;
    *(bool *)ctx = true;
    return 0;
}

static int row_insert(struct syncing *s, struct store *st, const struct external *x, const char *name,
                      const char *status, const char *reason, const char *path, struct error *err)
{
    char id[ULID_LEN + 1];
    bool taken = false;
    struct store_value key = STORE_T(name);
    int rc = store_query(st, sql_taken, &key, 1, exists, &taken, err);
    if (rc != 0 || taken)
        return rc; /* registered with a file: that row stays as it is */
    ulid_make(id);
    const struct store_value model[] = {STORE_T(id),     STORE_T(name), STORE_T(status),
                                        STORE_T(reason), STORE_T(path), STORE_I(s->now)};
    const struct store_value owner[] = {STORE_T(id), STORE_T(x->name)};
    rc = store_exec(st, sql_insert, model, COUNT_OF(model), NULL, err);
    return rc != 0 ? rc : store_exec(st, sql_insert_owner, owner, COUNT_OF(owner), NULL, err);
}

static int row_want(struct syncing *s, struct store *st, const struct external *x, const char *name,
                    struct error *err)
{
    const char *reason;
    const char *status = hermes_model_status_names[status_of(x, s->arena, &reason)];
    const char *path = arena_printf(s->arena, "/dev/null/%s/%s", x->name, name);
    struct row *r = row_find(s, name);
    if (!path)
        return error_set(err, VX11_ENOMEM, "out of memory");
    if (!r)
        return row_insert(s, st, x, name, status, reason, path, err);
    if (r->wanted)
        return 0; /* an engine before this one has it too */
    r->wanted = true;
    if (strcmp(r->engine, x->name) == 0 && strcmp(r->status, status) == 0 && str_eq(r->reason, reason))
        return 0;
    const struct store_value model[] = {STORE_T(r->id), STORE_T(status), STORE_T(reason), STORE_T(path),
                                        STORE_I(s->now)};
    const struct store_value owner[] = {STORE_T(r->id), STORE_T(x->name)};
    int rc = store_exec(st, sql_update, model, COUNT_OF(model), NULL, err);
    return rc != 0 ? rc : store_exec(st, sql_update_owner, owner, COUNT_OF(owner), NULL, err);
}

/* One that has not been listed since we started has the models of the time before. */
static int models_remember(const struct syncing *s, struct external *x)
{
    size_t n = 0;
    for (const struct row *r = s->rows; r; r = r->next)
        n += strcmp(r->engine, x->name) == 0;
    const char **names = arena_array(s->arena, n + 1, sizeof *names);
    if (!names)
        return VX11_ENOMEM;
    n = 0;
    for (const struct row *r = s->rows; r; r = r->next)
        if (strcmp(r->engine, x->name) == 0)
            names[n++] = r->name;
    return external_set_models(x, names, n);
}

static int sync_in(void *ctx, struct store *st, struct error *err)
{
    struct syncing *s = ctx;
    int rc = store_query(st, sql_list, NULL, 0, read_row, s, err);
    for (size_t i = 0; rc == 0 && i < s->all->count; i++) {
        struct external *x = s->all->list[i];
        if (x->wants_file)
            continue; /* its models are registered ones, or none */
        if (x->listed && x->model_count == 0 && x->checked_at == 0)
            rc = models_remember(s, x);
        for (size_t k = 0; rc == 0 && k < x->model_count; k++)
            rc = row_want(s, st, x, x->models[k], err);
    }
    for (const struct row *r = s->rows; rc == 0 && r; r = r->next) {
        const struct store_value id = STORE_T(r->id);
        if (!r->wanted)
            rc = store_exec(st, sql_delete, &id, 1, NULL, err);
    }
    return rc;
}

int external_rows_sync(struct externals *all, struct error *err)
{
    struct syncing s = {.all = all, .arena = arena_create(0), .now = clock_wall_ms()};
    if (!s.arena)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = store_transaction(all->options.store, sync_in, &s, err);
    arena_destroy(s.arena);
    if (rc == VX11_ENOMEM)
        (void)error_set(err, rc, "out of memory");
    return rc;
}
