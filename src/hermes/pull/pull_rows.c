/* Rows in and out. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/pull/pulls_internal.h"

#define INSERT_SQL                                                                                           \
    "INSERT INTO pull (id, source, revision, name, state, repository, rate_bytes, idempotency_key, "         \
    "asked_by, "                                                                                             \
    "created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
#define UPDATE_SQL                                                                                           \
    "UPDATE pull SET state = ?2, reason = ?3, code = ?4, repository = ?5, commit_id = ?6, bytes = ?7, "      \
    "total = ?8, resumed = ?9, path = ?10, model = ?11, started_at = ?12, ended_at = ?13, notes = ?14, "     \
    "retries = ?15, resumed_bytes = ?16 WHERE id = ?1"
#define PART_SQL                                                                                             \
    "INSERT OR REPLACE INTO pull_file (pull_id, part, file, size_bytes, sha256, etag) "                      \
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
#define PARTS_DROP_SQL "DELETE FROM pull_file WHERE pull_id = ?1 AND part >= ?2"
#define RESUME_SQL                                                                                           \
    "SELECT " RESUME_COLUMNS " FROM pull WHERE state IN ('queued', 'running') ORDER BY created_at, id"
#define SHOW_COLUMNS                                                                                         \
    "id, source, revision, name, state, reason, code, repository, commit_id, bytes, total, rate_bytes, "     \
    "resumed, path, model, created_at, started_at, ended_at, notes, retries, resumed_bytes"
#define GET_SQL   "SELECT " SHOW_COLUMNS " FROM pull WHERE id = ?1"
#define LIST_SQL  "SELECT " SHOW_COLUMNS " FROM pull ORDER BY created_at DESC, id DESC LIMIT 100"
#define PARTS_SQL "SELECT file, size_bytes, sha256 FROM pull_file WHERE pull_id = ?1 ORDER BY part"
#define PULLED_SQL                                                                                           \
    "INSERT OR REPLACE INTO model_pulled (model_id, url, repository, commit_id, etag, licence, sha256, "     \
    "checked, parts, pulled_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
#define IS_PULLED_SQL "SELECT sha256, parts FROM model_pulled WHERE model_id = ?1"

static struct store_value known(int64_t n)
{
    return n >= 0 ? STORE_I(n) : STORE_N;
}

static struct store_value text(const char *s)
{
    return s && s[0] ? STORE_T(s) : STORE_N;
}

int rows_insert(struct pull *j, struct error *err)
{
    struct store_value v[] = {STORE_T(j->id),
                              STORE_T(j->show),
                              STORE_T(j->revision),
                              STORE_T(j->name),
                              STORE_T(hermes_pull_state_names[j->state]),
                              text(j->source.repository),
                              STORE_I(j->rate_bytes),
                              STORE_T(j->key),
                              STORE_T(j->asked_by),
                              STORE_I(j->created_at)};
    return store_exec(j->set->store, INSERT_SQL, v, COUNT_OF(v), NULL, err);
}

static void totals(const struct pull *j, int64_t *bytes, int64_t *total)
{
    struct transfer_state now = {0};
    if (j->transfer)
        transfer_state(j->transfer, &now);
    *bytes = j->transfer ? now.bytes : j->had;
    *total = j->part_count > 0 ? 0 : -1;
    for (size_t i = 0; i < j->part_count; i++) {
        const struct pull_part *part = &j->parts[i];
        *bytes += part->done && part->size > 0 ? part->size : 0;
        *total = *total < 0 || part->size < 0 ? -1 : *total + part->size;
    }
}

void rows_update(struct pull *j)
{
    struct error err = {0};
    int64_t bytes, total;
    struct buf notes = BUF_INIT;
    totals(j, &bytes, &total);
    for (size_t i = 0; i < j->note_count; i++)
        buf_printf(&notes, "%s%s", i ? "\n" : "", j->notes[i]);
    struct store_value v[] = {STORE_T(j->id),
                              STORE_T(hermes_pull_state_names[j->state]),
                              STORE_T(j->reason),
                              STORE_T(j->code),
                              text(j->source.repository),
                              text(j->commit),
                              STORE_I(bytes),
                              known(total),
                              STORE_I(j->resumed),
                              STORE_T(j->path),
                              STORE_T(j->model),
                              known(j->started_at),
                              known(j->ended_at),
                              text(notes.data),
                              STORE_I(j->retries),
                              STORE_I(j->resumed_bytes)};
    if (store_exec(j->set->store, UPDATE_SQL, v, COUNT_OF(v), NULL, &err) != 0)
        log_error("pull", "the state of a pull is not written down", LOG_S("pull", j->id),
                  LOG_S("reason", err.text));
    buf_free(&notes);
}

static int write_parts(void *ctx, struct store *s, struct error *err)
{
    const struct pull *j = ctx;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < j->part_count; i++) {
        const struct pull_part *part = &j->parts[i];
        struct store_value v[] = {STORE_T(j->id),        STORE_I(i),
                                  STORE_T(part->file),   known(part->size),
                                  STORE_T(part->sha256), STORE_T(part->etag)};
        rc = store_exec(s, PART_SQL, v, COUNT_OF(v), NULL, err);
    }
    struct store_value drop[] = {STORE_T(j->id), STORE_I(j->part_count)};
    return rc != 0 ? rc : store_exec(s, PARTS_DROP_SQL, drop, COUNT_OF(drop), NULL, err);
}

void rows_parts(struct pull *j)
{
    struct error err = {0};
    if (store_transaction(j->set->store, write_parts, j, &err) != 0)
        log_error("pull", "the files of a pull are not written down", LOG_S("pull", j->id),
                  LOG_S("reason", err.text));
}

int rows_resume(struct pulls *p, int (*fn)(void *ctx, const struct store_row *row), void *ctx,
                struct error *err)
{
    return store_query(p->store, RESUME_SQL, NULL, 0, fn, ctx, err);
}

/* ---- as the API shows it ---- */

static void show_parts(const struct pull *j, struct arena *a, struct hermes_pull *out)
{
    struct transfer_state now = {0};
    if (j->transfer)
        transfer_state(j->transfer, &now);
    out->parts = arena_array(a, j->part_count + 1, sizeof *out->parts);
    for (size_t i = 0; out->parts && i < j->part_count; i++) {
        const struct pull_part *part = &j->parts[i];
        bool current = j->transfer && i == j->at;
        out->parts[out->parts_count++] = (struct hermes_pull_part){
            .file = arena_strdup(a, part->file),
            .bytes = part->done ? (part->size > 0 ? part->size : 0)
                     : current  ? now.bytes
                                : 0,
            .has_total = part->size >= 0,
            .total = part->size,
            .hashed = part->done ? (part->size > 0 ? part->size : 0)
                      : current  ? now.hashed
                                 : 0,
            .sha256 = arena_strdup(a, part->sha256),
            .done = part->done,
        };
    }
    out->connections = now.connections;
    out->retries = (int64_t)(j->retries + now.retries);
    out->resumed_bytes = j->resumed_bytes;
}

void pull_show(const struct pull *j, struct arena *a, struct hermes_pull *out)
{
    int64_t total, now = clock_mono_ms();
    *out = (struct hermes_pull){
        .id = arena_strdup(a, j->id),
        .source = arena_strdup(a, j->show),
        .repository = j->source.repository[0] ? arena_strdup(a, j->source.repository) : NULL,
        .revision = arena_strdup(a, j->revision),
        .commit = j->commit[0] ? arena_strdup(a, j->commit) : NULL,
        .name = arena_strdup(a, j->name),
        .state = j->state,
        .has_phase = j->state == HERMES_PULL_STATE_RUNNING && j->phase >= 0,
        .phase = j->phase >= 0 ? j->phase : 0,
        .reason = arena_strdup(a, j->reason),
        .code = arena_strdup(a, j->code),
        .rate_bytes = j->rate_bytes,
        .resumed = j->resumed,
        .path = arena_strdup(a, j->path),
        .model = arena_strdup(a, j->model),
        .created_at = j->created_at,
        .has_started_at = j->started_at >= 0,
        .started_at = j->started_at,
        .has_ended_at = j->ended_at >= 0,
        .ended_at = j->ended_at,
    };
    totals(j, &out->bytes, &total);
    out->has_total = total >= 0;
    out->total = total;
    if (j->transfer) {
        double rate = meter_rate(&j->meter, now, out->bytes);
        out->has_rate = rate >= 0;
        out->rate = rate;
        int64_t eta = total >= 0 ? meter_eta_ms(rate, total - out->bytes) : -1;
        out->has_eta_ms = eta >= 0;
        out->eta_ms = eta;
    }
    show_parts(j, a, out);
    out->notes = arena_array(a, NOTES_MAX, sizeof *out->notes);
    for (size_t i = 0; out->notes && i < j->note_count; i++)
        if ((out->notes[out->notes_count] = arena_strdup(a, j->notes[i])) != NULL)
            out->notes_count++;
}

static const char *column(const struct store_row *r, int c, struct arena *a)
{
    return arena_strdup(a, row_text(r, c));
}

static bool number(const struct store_row *r, int c, int64_t *out)
{
    *out = row_is_null(r, c) ? 0 : row_int(r, c);
    return !row_is_null(r, c);
}

struct reading {
    struct arena *arena;
    struct hermes_pull *items;
    size_t count, max;
};

static void read_notes(const char *text, struct arena *a, struct hermes_pull *out)
{
    out->notes = arena_array(a, NOTES_MAX, sizeof *out->notes);
    while (out->notes && text && *text && out->notes_count < NOTES_MAX) {
        size_t n = strcspn(text, "\n");
        if ((out->notes[out->notes_count] = arena_strndup(a, text, n)) == NULL)
            return;
        out->notes_count++;
        text += n + (text[n] == '\n');
    }
}

static int read_row(void *ctx, const struct store_row *r)
{
    struct reading *all = ctx;
    struct arena *a = all->arena;
    if (all->count == all->max)
        return 0;
    struct hermes_pull *p = &all->items[all->count++];
    const char *state = row_text(r, 4);
    *p = (struct hermes_pull){
        .id = column(r, 0, a),
        .source = column(r, 1, a),
        .revision = column(r, 2, a),
        .name = column(r, 3, a),
        .reason = column(r, 5, a),
        .code = column(r, 6, a),
        .repository = column(r, 7, a),
        .commit = column(r, 8, a),
        .bytes = row_int(r, 9),
        .rate_bytes = row_int(r, 11),
        .resumed = row_int(r, 12),
        .path = column(r, 13, a),
        .model = column(r, 14, a),
        .created_at = row_int(r, 15),
        .retries = row_int(r, 19),
        .resumed_bytes = row_int(r, 20),
        .parts = arena_array(a, 1, sizeof *p->parts),
    };
    read_notes(row_text(r, 18), a, p);
    p->has_total = number(r, 10, &p->total);
    p->has_started_at = number(r, 16, &p->started_at);
    p->has_ended_at = number(r, 17, &p->ended_at);
    for (size_t i = 0; i < COUNT_OF(hermes_pull_state_names); i++)
        if (str_eq(state, hermes_pull_state_names[i]))
            p->state = (int)i;
    return p->id && p->source && p->notes && p->parts ? 0 : VX11_ENOMEM;
}

struct part_reading {
    struct arena *arena;
    struct hermes_pull *pull;
};

static int read_part(void *ctx, const struct store_row *r)
{
    struct part_reading *all = ctx;
    struct hermes_pull *p = all->pull;
    size_t n = p->parts_count;
    if (n == PARTS_MAX)
        return 0;
    p->parts = arena_realloc(all->arena, p->parts, n * sizeof *p->parts, (n + 1) * sizeof *p->parts);
    if (!p->parts)
        return VX11_ENOMEM;
    struct hermes_pull_part *part = &p->parts[p->parts_count++];
    *part = (struct hermes_pull_part){.file = column(r, 0, all->arena), .sha256 = column(r, 2, all->arena)};
    part->has_total = number(r, 1, &part->total);
    part->done = p->state == HERMES_PULL_STATE_DONE;
    part->bytes = part->hashed = part->done ? part->total : 0;
    return part->file ? 0 : VX11_ENOMEM;
}

static const struct pull *active(const struct pulls *p, const char *id)
{
    for (const struct pull *j = p->first; j; j = j->next)
        if (strcmp(j->id, id) == 0)
            return j;
    return NULL;
}

static int finish_row(struct pulls *p, struct arena *a, struct hermes_pull *row, struct error *err)
{
    const struct pull *j = active(p, row->id);
    struct part_reading parts = {a, row};
    struct store_value id = STORE_T(row->id);
    if (j) {
        pull_show(j, a, row);
        return 0;
    }
    row->parts = NULL;
    int rc = store_query(p->store, PARTS_SQL, &id, 1, read_part, &parts, err);
    if (!row->parts)
        row->parts = arena_array(a, 1, sizeof *row->parts);
    return rc;
}

int pulls_get(struct pulls *p, const char *id, struct arena *a, struct hermes_pull *out, struct error *err)
{
    struct reading all = {a, out, 0, 1};
    struct store_value v = STORE_T(id);
    int rc = store_query(p->store, GET_SQL, &v, 1, read_row, &all, err);
    if (rc != 0)
        return rc;
    if (all.count == 0)
        return error_set(err, VX11_ENOT_FOUND, "there is no pull %s", id);
    return finish_row(p, a, out, err);
}

int pulls_list(struct pulls *p, struct arena *a, struct hermes_pull **out, size_t *n, struct error *err)
{
    struct reading all = {a, arena_array(a, 100, sizeof **out), 0, 100};
    if (!all.items)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = store_query(p->store, LIST_SQL, NULL, 0, read_row, &all, err);
    for (size_t i = 0; rc == 0 && i < all.count; i++)
        rc = finish_row(p, a, &all.items[i], err);
    *out = all.items;
    *n = all.count;
    return rc;
}

/* ---- models that were pulled ---- */

int rows_model_pulled(struct store *s, const struct pull *j, const char *model_id, struct error *err)
{
    const struct pull_part *first = &j->parts[0];
    char url[4400];
    if (j->source.kind == PULL_HUB)
        (void)snprintf(url, sizeof url, "%s/%s/resolve/%s/%s", hub_endpoint(j->set->hub),
                       j->source.repository, j->commit[0] ? j->commit : "main", first->file);
    else
        (void)snprintf(url, sizeof url, "%s", j->show);
    struct store_value v[] = {STORE_T(model_id),          STORE_T(url),
                              text(j->source.repository), text(j->commit),
                              STORE_T(first->etag),       STORE_T(j->entry ? j->entry->licence : NULL),
                              text(first->got),           STORE_I(first->sha256 != NULL),
                              STORE_I(j->part_count),     STORE_I(clock_wall_ms())};
    return store_exec(s, PULLED_SQL, v, COUNT_OF(v), NULL, err);
}

struct pulled_reading {
    struct arena *arena;
    bool found;
    const char *sha256;
    int64_t parts;
};

static int read_pulled(void *ctx, const struct store_row *r)
{
    struct pulled_reading *p = ctx;
    p->found = true;
    p->sha256 = column(r, 0, p->arena);
    p->parts = row_int(r, 1);
    return 0;
}

int rows_is_pulled(struct store *s, const char *model_id, struct arena *a, bool *pulled, const char **sha256,
                   int64_t *parts, struct error *err)
{
    struct pulled_reading p = {.arena = a};
    struct store_value id = STORE_T(model_id);
    int rc = store_query(s, IS_PULLED_SQL, &id, 1, read_pulled, &p, err);
    *pulled = p.found;
    if (sha256)
        *sha256 = p.sha256;
    if (parts)
        *parts = p.parts;
    return rc;
}
