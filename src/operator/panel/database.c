/* Database: what is in it, measured now; and how it grew. Rows and pages are counted in the thread pool with
 * a store of its own, and the answer is good for a few seconds, however many ask.
 *
 *   GET /operator/database         ─┬─ measured just now ─────────────────> reply
 *                                   └─ pool: schema_read ─> JSON ─────────> reply to all who wait
 *   timer, 10 min ─> size of the file ─> database_sample;  each hour: pool ─> database_table_sample too
 *   GET /operator/database/growth  ─> those rows, on a grid */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "operator/operator_internal.h"
#include "operator/panel/panel.h"
#include "operator/panel/panel_internal.h"
#include "store/schema.h"

#define FRESH_MS   10000
#define SAMPLE_MS  600000
#define FIRST_MS   5000
#define TABLES_MS  3600000
#define DAY_MS     86400000
#define VALUES_MAX 500
#define ARENA_MAX  (256u << 20)

struct waiting {
    struct waiting *next;
    struct request *r;
};

struct database_panel {
    struct panel *panel;
    uv_timer_t timer;
    uv_work_t work;
    bool working, stopping, closed;
    void (*stopped)(struct panel *p);
    char path[4096];
    struct waiting *waiting;
    int64_t tables_at; /* epoch ms when the tables were last sampled; 0: not yet */
    bool sample;       /* this measurement becomes rows */
    /* the pool's while working */
    struct arena *arena;
    struct schema schema;
    struct buf json;
    int64_t measured_at; /* 0: never */
    struct error error;
};

static const char sql_sample[] =
    "INSERT INTO database_sample (at, size_bytes, wal_bytes, free_bytes) VALUES (?1, ?2, ?3, ?4)";
static const char sql_table_sample[] =
    "INSERT INTO database_table_sample (at, table_name, row_count, bytes) VALUES (?1, ?2, ?3, ?4)";

/* ---- measuring ---- */

static int64_t file_size(const char *path, const char *suffix)
{
    char name[4200];
    struct stat st;
    (void)snprintf(name, sizeof name, "%s%s", path, suffix);
    return stat(name, &st) == 0 ? (int64_t)st.st_size : 0;
}

static int columns_fill(struct arena *a, const struct schema_table *t, struct operator_database_table *out)
{
    out->columns = arena_array(a, t->column_count + 1, sizeof *out->columns);
    if (!out->columns)
        return VX11_ENOMEM;
    for (size_t i = 0; i < t->column_count; i++)
        out->columns[out->columns_count++] =
            (struct operator_database_column){.name = t->columns[i].name,
                                              .type = t->columns[i].type,
                                              .required = t->columns[i].required,
                                              .primary = t->columns[i].primary,
                                              .default_value = t->columns[i].default_value,
                                              .comment = t->columns[i].comment};
    return 0;
}

static int keys_fill(struct arena *a, const struct schema_table *t, struct operator_database_table *out)
{
    out->indexes = arena_array(a, t->index_count + 1, sizeof *out->indexes);
    out->foreign_keys = arena_array(a, t->key_count + 1, sizeof *out->foreign_keys);
    if (!out->indexes || !out->foreign_keys)
        return VX11_ENOMEM;
    for (size_t i = 0; i < t->index_count; i++)
        out->indexes[out->indexes_count++] =
            (struct operator_database_index){.name = t->indexes[i].name,
                                             .columns = t->indexes[i].columns,
                                             .columns_count = t->indexes[i].column_count,
                                             .unique = t->indexes[i].unique,
                                             .partial = t->indexes[i].partial};
    for (size_t i = 0; i < t->key_count; i++)
        out->foreign_keys[out->foreign_keys_count++] =
            (struct operator_database_key){.columns = t->keys[i].columns,
                                           .columns_count = t->keys[i].column_count,
                                           .table = t->keys[i].table,
                                           .to = t->keys[i].to,
                                           .to_count = t->keys[i].column_count,
                                           .on_delete = t->keys[i].on_delete};
    return 0;
}

static int table_fill(struct arena *a, const struct schema_table *t, struct operator_database_table *out)
{
    *out = (struct operator_database_table){.name = t->name,
                                            .module = t->module,
                                            .comment = t->comment,
                                            .rows = t->rows,
                                            .has_bytes = t->bytes >= 0,
                                            .bytes = t->bytes,
                                            .has_index_bytes = t->index_bytes >= 0,
                                            .index_bytes = t->index_bytes};
    if (t->time_column) {
        out->retention = arena_zalloc(a, sizeof *out->retention);
        if (!out->retention)
            return VX11_ENOMEM;
        *out->retention = (struct operator_database_retention){.time_column = t->time_column,
                                                               .has_max_age_ms = t->max_age_ms > 0,
                                                               .max_age_ms = t->max_age_ms,
                                                               .has_max_rows = t->max_rows > 0,
                                                               .max_rows = t->max_rows};
    }
    int rc = columns_fill(a, t, out);
    return rc == 0 ? keys_fill(a, t, out) : rc;
}

static int measure_write(struct database_panel *d)
{
    const struct schema *s = &d->schema;
    struct operator_database_reply reply = {.measured_at = d->measured_at,
                                            .path = d->path,
                                            .size_bytes = file_size(d->path, ""),
                                            .wal_bytes = file_size(d->path, "-wal"),
                                            .free_bytes = s->free_pages * s->page_bytes,
                                            .page_bytes = s->page_bytes,
                                            .has_schema_version = true,
                                            .schema_version = s->version};
    reply.tables = arena_array(d->arena, s->table_count + 1, sizeof *reply.tables);
    int rc = reply.tables ? 0 : VX11_ENOMEM;
    for (size_t i = 0; rc == 0 && i < s->table_count; i++)
        rc = table_fill(d->arena, &s->tables[i], &reply.tables[reply.tables_count++]);
    buf_clear(&d->json);
    return rc == 0 ? operator_database_reply_serialize(&reply, &d->json) : rc;
}

static void measure_work(uv_work_t *work)
{
    struct database_panel *d = work->data;
    struct store *store = NULL;
    struct store_options options = {.path = d->path, .read_only = true};
    d->error = (struct error){0};
    arena_destroy(d->arena);
    d->arena = arena_create(ARENA_MAX);
    int rc = d->arena ? store_open(&options, &store, &d->error)
                      : error_set(&d->error, VX11_ENOMEM, "no memory to read the schema");
    if (rc == 0)
        rc = schema_read(store, d->arena, &d->schema, &d->error);
    if (store)
        store_close(store);
    d->measured_at = clock_wall_ms();
    if (rc == 0)
        rc = measure_write(d);
    if (rc != 0) {
        d->measured_at = 0;
        if (d->error.code == 0)
            error_set(&d->error, rc, "the schema cannot be read: %s", error_describe(rc));
    }
}

static void tables_sample(struct database_panel *d)
{
    struct writer *writer = module_writer(d->panel->o->m);
    for (size_t i = 0; i < d->schema.table_count; i++) {
        const struct schema_table *t = &d->schema.tables[i];
        int64_t bytes = t->bytes + (t->index_bytes > 0 ? t->index_bytes : 0);
        const struct store_value values[] = {STORE_I(d->measured_at), STORE_T(t->name), STORE_I(t->rows),
                                             t->bytes >= 0 ? STORE_I(bytes) : STORE_N};
        (void)writer_push(writer, sql_table_sample, values, 4); /* a lost one is a gap of an hour */
    }
    d->tables_at = d->measured_at;
}

static void measure_reply(struct database_panel *d, struct request *r)
{
    if (d->error.code != 0)
        request_fail_error(r, &d->error);
    else
        request_reply_bytes(r, 200, "application/json", d->json.data, d->json.len, false);
}

static void database_closed(uv_handle_t *h)
{
    struct database_panel *d = h->data;
    d->closed = true;
    if (d->stopped)
        d->stopped(d->panel);
}

static void measure_done(uv_work_t *work, int status)
{
    struct database_panel *d = work->data;
    d->working = false;
    if (status != 0 && d->error.code == 0)
        error_set(&d->error, VX11_ECANCELLED, "the measurement was cancelled");
    if (d->error.code != 0)
        log_warn("panel", "the database could not be measured", LOG_S("reason", d->error.text));
    else if (d->sample)
        tables_sample(d);
    d->sample = false;
    for (struct waiting *w = d->waiting, *next; w; w = next) {
        next = w->next;
        measure_reply(d, w->r);
        free(w);
    }
    d->waiting = NULL;
    if (d->stopping)
        uv_close((uv_handle_t *)&d->timer, database_closed);
}

static int measure_begin(struct database_panel *d)
{
    if (d->working)
        return 0;
    d->work.data = d;
    if (uv_queue_work(module_loop(d->panel->o->m), &d->work, measure_work, measure_done) != 0)
        return VX11_ENOMEM;
    d->working = true;
    return 0;
}

void panel_database(struct request *r, void *module)
{
    struct database_panel *d = ((struct operator_ *)module)->panel->database;
    if (!d->working && d->measured_at && d->error.code == 0 && clock_wall_ms() - d->measured_at < FRESH_MS) {
        measure_reply(d, r);
        return;
    }
    struct waiting *w = calloc(1, sizeof *w);
    if (!w || d->stopping || measure_begin(d) != 0) {
        free(w);
        request_fail(r, 503, "unavailable", NULL, "the database cannot be measured now");
        return;
    }
    w->r = r;
    w->next = d->waiting;
    d->waiting = w;
}

/* ---- samples ---- */

static int take_free(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

static void on_sample(uv_timer_t *timer)
{
    struct database_panel *d = timer->data;
    struct module *m = d->panel->o->m;
    struct error err = {0};
    int64_t free_bytes = 0, now = clock_wall_ms();
    int rc = store_query(module_store(m),
                         "SELECT (SELECT freelist_count FROM pragma_freelist_count) *"
                         " (SELECT page_size FROM pragma_page_size)",
                         NULL, 0, take_free, &free_bytes, &err);
    const struct store_value values[] = {STORE_I(now), STORE_I(file_size(d->path, "")),
                                         STORE_I(file_size(d->path, "-wal")), STORE_I(free_bytes)};
    if (rc == 0)
        (void)writer_push(module_writer(m), sql_sample, values, 4);
    else
        log_warn("panel", "the database's size could not be read", LOG_S("reason", err.text));
    if (now - d->tables_at >= TABLES_MS && !d->working) {
        d->sample = true;
        (void)measure_begin(d);
    }
}

/* ---- growth ---- */

struct growth {
    int64_t since, step;
    size_t count;
    struct {
        bool there;
        bool has[4];
        int64_t value[4]; /* size, wal, free, rows */
    } at[VALUES_MAX];
};

/* The last one in each step counts. */
static int take_growth(void *ctx, const struct store_row *row)
{
    struct growth *g = ctx;
    int64_t i = (row_int(row, 0) - g->since) / g->step;
    if (i < 0 || i >= (int64_t)g->count)
        return 0;
    g->at[i].there = true;
    for (int k = 0; k < 4; k++) {
        g->at[i].has[k] = !row_is_null(row, k + 1);
        g->at[i].value[k] = row_int(row, k + 1);
    }
    return 0;
}

static yyjson_val *growth_values(struct arena *a, const struct growth *g, int which)
{
    struct buf text = BUF_INIT;
    struct contract_error bad;
    yyjson_val *out = NULL;
    buf_putc(&text, '[');
    for (size_t i = 0; i < g->count; i++) {
        buf_puts(&text, i ? "," : "");
        if (g->at[i].there && g->at[i].has[which])
            buf_printf(&text, "%" PRId64, g->at[i].value[which]);
        else
            buf_puts(&text, "null");
    }
    buf_putc(&text, ']');
    const char *copy = text.failed ? NULL : arena_strndup(a, text.data, text.len);
    if (!copy || contract_json_parse(a, copy, text.len, NULL, &out, &bad) != 0)
        out = NULL;
    buf_free(&text);
    return out;
}

void panel_database_growth(struct request *r, void *module)
{
    static const char file[] = "SELECT at, size_bytes, wal_bytes, free_bytes, NULL FROM database_sample"
                               " WHERE at >= ?1 AND at <= ?2 ORDER BY at";
    static const char table[] = "SELECT at, bytes, NULL, NULL, row_count FROM database_table_sample"
                                " WHERE table_name = ?3 AND at >= ?1 AND at <= ?2 ORDER BY at";
    const struct operator_ *o = module;
    const struct operator_growth_params *p = request_params(r);
    struct arena *a = request_arena(r);
    struct error err = {0};
    struct growth *g = arena_zalloc(a, sizeof *g);
    int64_t until = p->has_until ? p->until : clock_wall_ms();
    int64_t since = p->has_since ? p->since : until - DAY_MS;
    if (!g || since >= until) {
        request_fail(r, g ? 422 : 500, g ? "invalid_value" : "internal", g ? "/since" : NULL,
                     g ? "since lies after until" : "out of memory");
        return;
    }
    int64_t least = p->table ? TABLES_MS : SAMPLE_MS; /* as often as there are samples */
    g->step = ((until - since) / (VALUES_MAX - 2) / least + 1) * least;
    g->since = since - since % g->step;
    g->count = (size_t)((until - g->since) / g->step) + 1;
    g->count = g->count > VALUES_MAX ? VALUES_MAX : g->count;
    const struct store_value values[] = {STORE_I(g->since), STORE_I(until), STORE_T(p->table)};
    if (store_query(module_store(o->m), p->table ? table : file, values, p->table ? 3 : 2, take_growth, g,
                    &err) != 0) {
        request_fail_error(r, &err);
        return;
    }
    struct operator_growth_reply reply = {.since = g->since, .step_ms = g->step};
    reply.size = growth_values(a, g, 0);
    reply.wal = growth_values(a, g, 1);
    reply.free = growth_values(a, g, 2);
    reply.rows = p->table ? growth_values(a, g, 3) : NULL;
    if (!reply.size || !reply.wal || !reply.free || (p->table && !reply.rows)) {
        request_fail(r, 500, "internal", NULL, "out of memory");
        return;
    }
    request_reply(r, 200, &operator_growth_reply_message, &reply);
}

/* ---- life ---- */

int panel_database_create(struct panel *p, struct error *err)
{
    struct database_panel *d = calloc(1, sizeof *d);
    struct module *m = p->o->m;
    if (!d)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = module_store_path(module_config(m), module_home(m), d->path, sizeof d->path);
    if (rc != 0) {
        free(d);
        return error_set(err, rc, "the database's path is too long");
    }
    d->panel = p;
    p->database = d;
    uv_timer_init(module_loop(m), &d->timer);
    d->timer.data = d;
    uv_timer_start(&d->timer, on_sample, FIRST_MS, SAMPLE_MS);
    return 0;
}

void panel_database_stop(struct panel *p, void (*done)(struct panel *p))
{
    struct database_panel *d = p->database;
    d->stopping = true;
    d->stopped = done;
    if (!d->working)
        uv_close((uv_handle_t *)&d->timer, database_closed);
}

void panel_database_free(struct panel *p)
{
    struct database_panel *d = p->database;
    if (!d)
        return;
    arena_destroy(d->arena);
    buf_free(&d->json);
    free(d);
    p->database = NULL;
}
