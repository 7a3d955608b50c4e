/* Series: names and their numbers. All are in memory, a new one is written when it is first measured: the
 * rows of samples go through the batched writer, which is behind that. */
#include "operator/samples/samples_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

static const char sql_load[] =
    "SELECT id, module, name, kind, unit FROM metric_series ORDER BY module, name LIMIT 1024";
static const char sql_add[] =
    "INSERT INTO metric_series (module, name, kind, unit, seen_at) VALUES (?1, ?2, ?3, ?4, ?5)";
static const char sql_id[] = "SELECT id FROM metric_series WHERE module = ?1 AND name = ?2";
static const char sql_sample[] = "INSERT INTO metric_sample (series, at, value) VALUES (?1, ?2, ?3)";

static struct series *series_room(struct series_list *l)
{
    if (l->count == l->cap) {
        const size_t cap = l->cap ? 2 * l->cap : 64;
        struct series *list = realloc(l->list, cap * sizeof *list);
        if (!list)
            return NULL;
        l->list = list;
        l->cap = cap;
    }
    memset(&l->list[l->count], 0, sizeof *l->list);
    return &l->list[l->count];
}

static int on_series(void *ctx, const struct store_row *row)
{
    struct series_list *l = ctx;
    struct series *x = series_room(l);
    if (!x)
        return VX11_ENOMEM;
    x->id = row_int(row, 0);
    row_copy(row, 1, x->module, sizeof x->module);
    row_copy(row, 2, x->name, sizeof x->name);
    row_copy(row, 4, x->unit, sizeof x->unit);
    for (size_t i = 0; i < COUNT_OF(operator_series_kind_names); i++)
        if (str_eq(operator_series_kind_names[i], row_text(row, 3)))
            x->kind = (enum operator_series_kind)i;
    l->count++;
    return 0;
}

int series_load(struct store *s, struct series_list *l, struct error *err)
{
    return store_query(s, sql_load, NULL, 0, on_series, l, err);
}

void series_free(struct series_list *l)
{
    free(l->list);
    memset(l, 0, sizeof *l);
}

static int on_id(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

static struct series *series_add(struct samples *s, const char *module, const char *name,
                                 enum operator_series_kind kind, const char *unit, int64_t at)
{
    struct series_list *l = &s->series;
    struct store *store = module_store(s->o->m);
    struct error err = {0};
    int64_t id = 0;
    if (l->count >= SAMPLES_SERIES) {
        if (!l->full)
            log_warn("samples", "there are too many series: new ones are not kept",
                     LOG_I("series", l->count));
        l->full = true;
        return NULL;
    }
    struct series *x = series_room(l);
    if (!x)
        return NULL;
    const struct store_value values[] = {STORE_T(module), STORE_T(name),
                                         STORE_T(operator_series_kind_names[kind]), STORE_T(unit),
                                         STORE_I(at)};
    int rc = store_exec(store, sql_add, values, COUNT_OF(values), NULL, &err);
    if (rc == 0 || rc == VX11_EEXISTS)
        rc = store_query(store, sql_id, values, 2, on_id, &id, &err);
    if (rc != 0 || id == 0) {
        log_warn("samples", "a series cannot be kept", LOG_S("name", name), LOG_S("reason", err.text));
        return NULL;
    }
    x->id = id;
    x->kind = kind;
    snprintf(x->module, sizeof x->module, "%s", module);
    snprintf(x->name, sizeof x->name, "%s", name);
    snprintf(x->unit, sizeof x->unit, "%s", unit);
    l->count++;
    return x;
}

void series_put(struct samples *s, const char *module, const char *name, enum operator_series_kind kind,
                const char *unit, int64_t at, double value)
{
    struct series *x = NULL;
    if (!isfinite(value))
        return;
    for (size_t i = 0; i < s->series.count && !x; i++)
        if (strcmp(s->series.list[i].name, name) == 0 && strcmp(s->series.list[i].module, module) == 0)
            x = &s->series.list[i];
    if (!x)
        x = series_add(s, module, name, kind, unit, at);
    if (!x)
        return;
    const struct store_value values[] = {STORE_I(x->id), STORE_I(at), STORE_D(value)};
    const int rc = writer_push(module_writer(s->o->m), sql_sample, values, COUNT_OF(values));
    if (rc != 0)
        log_warn("samples", "a sample is not kept", LOG_S("name", name), LOG_S("reason", error_describe(rc)));
}
