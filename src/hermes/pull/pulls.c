/* The set of jobs. */
#include "hermes/pull/pulls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/pull/pulls_internal.h"

#define BY_KEY_SQL  "SELECT id, source, revision, name FROM pull WHERE idempotency_key = ?1"
#define TOLD_MS     1000
#define STREAMED_MS 500

/* ---- one job ---- */

void pull_note(struct pull *j, const char *fmt, ...)
{
    va_list args;
    char text[600];
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (j->note_count < NOTES_MAX && (j->notes[j->note_count] = strdup(text)) != NULL)
        j->note_count++;
}

static void pull_free(struct pull *j)
{
    for (size_t i = 0; i < j->note_count; i++)
        free(j->notes[i]);
    explicit_bzero(j->source.url, sizeof j->source.url);
    arena_destroy(j->arena);
    free(j);
}

static struct pull *pull_make(struct pulls *p)
{
    struct pull *j = calloc(1, sizeof *j);
    if (!j || !(j->arena = arena_create(0))) {
        free(j);
        return NULL;
    }
    j->set = p;
    j->phase = -1;
    j->started_at = j->ended_at = -1;
    j->work_fd = -1;
    return j;
}

static void pull_append(struct pulls *p, struct pull *j)
{
    struct pull **end = &p->first;
    while (*end)
        end = &(*end)->next;
    *end = j;
}

static void pull_remove(struct pull *j)
{
    for (struct pull **at = &j->set->first; *at; at = &(*at)->next)
        if (*at == j) {
            *at = j->next;
            return;
        }
}

bool pull_quiet(const struct pull *j)
{
    return !j->asking && !j->transfer && !j->working;
}

/* ---- telling ---- */

static void event_tell(struct pull *j, int64_t now)
{
    struct arena *a = arena_create(0);
    struct hermes_pull show;
    if (!a)
        return;
    pull_show(j, a, &show);
    struct link_model_pull event = {
        .timestamp = clock_wall_ms(),
        .id = show.id,
        .source = arena_printf(a, "%.300s", show.source),
        .model = show.model,
        .state = (int)show.state,
        .has_phase = show.has_phase,
        .phase = (int)show.phase,
        .bytes = show.bytes,
        .has_total = show.has_total,
        .total = show.total,
        .has_rate = show.has_rate,
        .rate = show.rate,
        .has_eta_ms = show.has_eta_ms,
        .eta_ms = show.eta_ms,
        .reason = show.reason ? arena_printf(a, "%.500s", show.reason) : NULL,
    };
    if (event.source)
        j->set->on_event(j->set->ctx, &event);
    j->told_at = now;
    arena_destroy(a);
}

static void streams_tell(struct pull *j, const char *name, int64_t now)
{
    struct arena *a = j->watches ? arena_create(0) : NULL;
    struct hermes_pull show;
    struct buf text = BUF_INIT;
    j->streamed_at = now;
    if (!a)
        return;
    pull_show(j, a, &show);
    if (hermes_pull_serialize(&show, &text) == 0)
        for (struct pull_watch *w = j->watches; w; w = w->next)
            (void)request_stream_event(w->request, name, NULL, text.data, text.len);
    buf_free(&text);
    arena_destroy(a);
}

static void streams_end(struct pull *j)
{
    while (j->watches) {
        struct pull_watch *w = j->watches;
        j->watches = w->next;
        request_stream_end(w->request);
        free(w);
    }
}

void pull_tell(struct pull *j, bool now)
{
    int64_t ms = clock_mono_ms();
    if (now || ms - j->told_at >= TOLD_MS)
        event_tell(j, ms);
    if (now || ms - j->streamed_at >= STREAMED_MS)
        streams_tell(j, "progress", ms);
}

/* ---- the end of a job ---- */

static void discard(struct pull *j)
{
    struct error err = {0};
    int folder;
    if (j->part_count == 0 ||
        place_open(j->set, pull_folder(&j->source, j->arena), false, &folder, &err) != 0)
        return;
    for (size_t i = 0; i < j->part_count; i++)
        if (transfer_discard(folder, j->parts[i].name, &err) != 0)
            log_warn("pull", "what was downloaded could not be deleted", LOG_S("reason", err.text));
    close(folder);
}

void pull_end(struct pull *j, int state, const char *code, const char *reason)
{
    struct pulls *p = j->set;
    j->state = state;
    j->phase = -1;
    j->code = arena_strdup(j->arena, code);
    j->reason = arena_strdup(j->arena, reason);
    j->ended_at = clock_wall_ms();
    rows_update(j);
    if (state == HERMES_PULL_STATE_CANCELLED && j->discard)
        discard(j);
    if (state == HERMES_PULL_STATE_FAILED)
        log_warn("pull", "a pull failed", LOG_S("pull", j->id), LOG_S("source", j->show),
                 LOG_S("code", code ? code : ""), LOG_S("reason", reason ? reason : ""));
    event_tell(j, clock_mono_ms());
    streams_tell(j, "end", clock_mono_ms());
    streams_end(j);
    pull_remove(j);
    pull_free(j);
    pulls_schedule(p);
}

static void set_close(struct pulls *p);

void pull_release(struct pull *j)
{
    struct pulls *p = j->set;
    if (!pull_quiet(j))
        return;
    rows_update(j); /* how far it came */
    streams_end(j);
    pull_remove(j);
    pull_free(j);
    set_close(p);
}

/* ---- the set ---- */

static size_t running(const struct pulls *p)
{
    size_t n = 0;
    for (const struct pull *j = p->first; j; j = j->next)
        n += j->state == HERMES_PULL_STATE_RUNNING;
    return n;
}

/* Starting one may end it, and so change the list: from the front each time. */
void pulls_schedule(struct pulls *p)
{
    while (!p->closing && running(p) < p->jobs) {
        struct pull *j = p->first;
        while (j && j->state != HERMES_PULL_STATE_QUEUED)
            j = j->next;
        if (!j)
            return;
        pull_begin(j);
    }
}

static int64_t bytes_of(const struct pull *j)
{
    struct transfer_state now = {0};
    int64_t sum = 0;
    if (j->transfer)
        transfer_state(j->transfer, &now);
    for (size_t i = 0; i < j->part_count; i++)
        sum += j->parts[i].done ? j->parts[i].size : 0;
    return sum + now.bytes;
}

static void job_tick(struct pull *j, int64_t now)
{
    if (j->transfer) {
        struct transfer_state state;
        transfer_state(j->transfer, &state);
        int64_t bytes = bytes_of(j);
        meter_sample(&j->meter, now, bytes);
        if (j->parts[j->at].size >= 0 && state.bytes >= j->parts[j->at].size)
            j->phase = HERMES_PULL_PHASE_VERIFYING;
        pull_tell(j, false);
    } else if (j->watches && now - j->streamed_at >= STREAMED_MS) {
        streams_tell(j, "progress", now);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct pulls *p = timer->data;
    int64_t now = clock_mono_ms();
    struct pull *due = NULL;
    for (struct pull *j = p->first; j; j = j->next) {
        job_tick(j, now);
        if (!due && j->retry_at > 0 && now >= j->retry_at && pull_quiet(j))
            due = j;
    }
    if (due) /* may end it */
        pull_step(due);
}

static void catalogue_take(struct pulls *p, const char *path)
{
    struct catalogue *fresh = NULL;
    struct error err = {0};
    p->problem[0] = '\0';
    if (catalogue_load(path, &fresh, &err) != 0) {
        (void)snprintf(p->problem, sizeof p->problem, "%s", err.text);
        log_error("catalogue", "the catalogue cannot be used", LOG_S("reason", err.text));
        if (p->catalogue)
            return;
        if (catalogue_load("", &fresh, &err) != 0) {
            log_error("catalogue", "the built-in catalogue cannot be used", LOG_S("reason", err.text));
            return;
        }
    }
    catalogue_free(p->catalogue);
    p->catalogue = fresh;
}

void pulls_configure(struct pulls *p, const struct config_hermes *config)
{
    const struct config_hermes_pull *c = config->pull;
    p->params = (struct transfer_params){
        .connections = (unsigned)c->connections,
        .retries = (unsigned)c->retries,
        .chunk_bytes = (uint32_t)c->chunk_bytes,
        .retry_ms = c->retry_ms,
        .idle_ms = c->idle_timeout_ms,
        .min_rate = c->min_rate_bytes,
        .margin_bytes = c->margin_bytes,
    };
    p->jobs = (size_t)c->jobs;
    p->enabled = config->hub->enabled;
    bucket_set(&p->bucket, c->rate_bytes, clock_mono_ms());
    hub_configure(p->hub, config);
    catalogue_take(p, config->catalogue);
    pulls_schedule(p);
}

int pulls_create(const struct pulls_options *o, struct pulls **out, struct error *err)
{
    struct pulls *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(err, VX11_ENOMEM, "out of memory");
    p->loop = o->loop;
    p->store = o->store;
    p->on_event = o->on_event;
    p->on_model = o->on_model;
    p->ctx = o->ctx;
    (void)snprintf(p->home, sizeof p->home, "%s", o->home);
    int rc = fs_path(p->models, sizeof p->models, o->home, "models");
    rc = rc != 0 ? error_set(err, rc, "the path of the models folder is too long")
                 : fs_mkdirs(p->models, 0700, err);
    char real[4096];
    if (rc == 0 && realpath(p->models, real)) /* one spelling, as the scans have it */
        memcpy(p->models, real, strlen(real) + 1);
    if (rc == 0)
        rc = hub_create(o->loop, o->client, o->config, &p->hub, err);
    if (rc != 0) {
        free(p);
        return rc;
    }
    uv_timer_init(o->loop, &p->tick);
    p->tick.data = p;
    uv_timer_start(&p->tick, on_tick, PULL_TICK_MS, PULL_TICK_MS);
    pulls_configure(p, o->config);
    *out = p;
    return 0;
}

struct hub *pulls_hub(struct pulls *p)
{
    return p->hub;
}

const struct catalogue *pulls_catalogue(struct pulls *p)
{
    return p->catalogue;
}

const char *pulls_problem(const struct pulls *p)
{
    return p->problem[0] ? p->problem : NULL;
}

/* ---- asking ---- */

/* A name becomes the place that the catalogue says. */
static int source_take(struct pulls *p, const char *text, struct pull *j, const char **code,
                       struct error *err)
{
    struct arena *a = j->arena;
    const struct hermes_catalogue_model *m;
    *code = "invalid_source";
    int rc = pull_source_parse(text, hub_endpoint(p->hub), &j->source, err);
    if (rc != 0)
        return rc;
    pull_source_show(&j->source, j->show, sizeof j->show);
    if (j->source.kind != PULL_NAME)
        return 0;
    *code = "unknown_model";
    rc = p->catalogue ? catalogue_find(p->catalogue, j->source.name, &m, err)
                      : error_set(err, VX11_ENOT_FOUND, "there is no catalogue");
    if (rc != 0)
        return rc;
    struct hermes_catalogue_model *copy = arena_alloc(a, sizeof *copy);
    if (!copy)
        return error_set(err, VX11_ENOMEM, "out of memory");
    *copy = *m; /* the catalogue may be replaced while the job runs */
    copy->name = arena_strdup(a, m->name);
    copy->licence = arena_strdup(a, m->licence);
    copy->sha256 = arena_strdup(a, m->sha256);
    copy->file = copy->title = copy->repository = copy->revision = copy->parameters = NULL;
    copy->tags_count = copy->capabilities_count = 0;
    j->entry = copy;
    j->source.kind = PULL_HUB;
    (void)snprintf(j->source.repository, sizeof j->source.repository, "%s", m->repository);
    (void)snprintf(j->source.which, sizeof j->source.which, "%s", m->file);
    (void)snprintf(j->source.revision, sizeof j->source.revision, "%s", m->revision ? m->revision : "");
    return copy->name ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
}

struct by_key {
    char id[ULID_LEN + 1];
    char source[4200], revision[129], name[129];
};

static int read_key(void *ctx, const struct store_row *r)
{
    struct by_key *k = ctx;
    row_copy(r, 0, k->id, sizeof k->id);
    row_copy(r, 1, k->source, sizeof k->source);
    row_copy(r, 2, k->revision, sizeof k->revision);
    row_copy(r, 3, k->name, sizeof k->name);
    return 0;
}

/* 1: the key's job is *id; 0: no such key. */
static int key_find(struct pulls *p, const struct pull *j, const char *key, char id[27], const char **code,
                    struct error *err)
{
    struct by_key found = {0};
    struct store_value v = STORE_T(key);
    int rc = key ? store_query(p->store, BY_KEY_SQL, &v, 1, read_key, &found, err) : 0;
    if (rc != 0 || found.id[0] == '\0')
        return rc;
    if (strcmp(found.source, j->show) != 0 || strcmp(found.name, j->name ? j->name : "") != 0 ||
        strcmp(found.revision, j->revision ? j->revision : "") != 0) {
        *code = "idempotency_key_reused";
        return error_set(err, VX11_EEXISTS, "the Idempotency-Key was used for another pull");
    }
    memcpy(id, found.id, sizeof found.id);
    return 1;
}

static const struct pull *same_job(const struct pulls *p, const struct pull *j)
{
    for (const struct pull *k = p->first; k; k = k->next)
        if (!k->cancelled && strcmp(k->show, j->show) == 0 && str_eq(k->revision, j->revision))
            return k;
    return NULL;
}

/* A name that another model has is refused now, not after hours. */
static int name_check(struct pulls *p, struct pull *j, const char **code, struct error *err)
{
    struct registry_model row;
    char file[256] = "";
    struct error ignored = {0};
    if (!j->name || registry_get(p->store, j->name, j->arena, &row, &ignored) != 0)
        return 0;
    const char *where = j->source.kind == PULL_HUB   ? j->source.which
                        : j->source.kind == PULL_URL ? j->source.url
                                                     : j->source.path;
    const char *path =
        pull_file_name(where, file, sizeof file)
            ? arena_printf(j->arena, "%s/%s/%s", p->models, pull_folder(&j->source, j->arena), file)
            : NULL;
    if (str_eq(path, row.api.path))
        return 0;
    *code = "model_exists";
    return error_set(err, VX11_EEXISTS, "the name \"%.128s\" is taken by another model", j->name);
}

static int ask(struct pulls *p, const struct pull_wish *wish, struct pull *j, char id[27], const char **code,
               struct error *err)
{
    j->name = arena_strdup(j->arena, wish->name);
    j->revision = arena_strdup(j->arena, wish->revision);
    j->key = arena_strdup(j->arena, wish->key);
    j->asked_by = arena_strdup(j->arena, wish->asked_by);
    j->rate_bytes = wish->rate_bytes;
    j->created_at = clock_wall_ms();
    j->state = HERMES_PULL_STATE_QUEUED;
    int rc = source_take(p, wish->source, j, code, err);
    if (rc == 0 && wish->revision && j->source.kind == PULL_HUB)
        (void)snprintf(j->source.revision, sizeof j->source.revision, "%s", wish->revision);
    if (rc == 0 && wish->revision && (j->source.kind != PULL_HUB || !pull_revision_valid(wish->revision)))
        rc = error_set(err, VX11_EINVALID, "a revision belongs to a repository of the hub");
    if (rc == 0 && !p->enabled && j->source.kind != PULL_FILE) {
        *code = "hub_disabled";
        rc = error_set(err, VX11_EPERMISSION, "pulling is switched off: hermes.hub.enabled is false");
    }
    if (rc == 0)
        rc = key_find(p, j, wish->key, id, code, err);
    if (rc != 0)
        return rc;
    const struct pull *same = same_job(p, j);
    if (same) {
        memcpy(id, same->id, sizeof same->id);
        return 1;
    }
    rc = name_check(p, j, code, err);
    ulid_make(j->id);
    if (rc == 0) {
        *code = "not_written";
        rc = rows_insert(j, err);
    }
    memcpy(id, j->id, sizeof j->id);
    return rc;
}

int pulls_ask(struct pulls *p, const struct pull_wish *wish, char id[27], const char **code,
              struct error *err)
{
    *code = "out_of_memory";
    struct pull *j = pull_make(p);
    if (!j)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = ask(p, wish, j, id, code, err);
    if (rc != 0) {
        pull_free(j);
        return rc > 0 ? 0 : rc;
    }
    bucket_set(&j->bucket, j->rate_bytes, clock_mono_ms());
    pull_append(p, j);
    event_tell(j, clock_mono_ms());
    pulls_schedule(p);
    return 0;
}

/* ---- after a start ---- */

static int resume_row(void *ctx, const struct store_row *r)
{
    struct pulls *p = ctx;
    const char *code;
    struct error err = {0};
    struct pull *j = pull_make(p);
    if (!j)
        return VX11_ENOMEM;
    row_copy(r, 0, j->id, sizeof j->id);
    j->revision = arena_strdup(j->arena, row_text(r, 2));
    j->name = arena_strdup(j->arena, row_text(r, 3));
    row_copy(r, 4, j->commit, sizeof j->commit);
    j->rate_bytes = row_int(r, 5);
    j->resumed = row_int(r, 6) + (str_eq(row_text(r, 11), "running") ? 1 : 0);
    j->created_at = row_int(r, 9);
    j->started_at = row_is_null(r, 10) ? -1 : row_int(r, 10);
    j->state = HERMES_PULL_STATE_QUEUED;
    int rc = source_take(p, row_text(r, 1), j, &code, &err);
    (void)snprintf(j->show, sizeof j->show, "%s", row_text(r, 1));
    if (rc == 0 && j->revision && j->source.kind == PULL_HUB)
        (void)snprintf(j->source.revision, sizeof j->source.revision, "%s", j->revision);
    bucket_set(&j->bucket, j->rate_bytes, clock_mono_ms());
    if (rc != 0) { /* told once the query is over */
        j->code = arena_strdup(j->arena, code);
        j->reason = arena_strdup(j->arena, err.text);
    }
    pull_append(p, j);
    return 0;
}

void pulls_resume(struct pulls *p)
{
    struct error err = {0};
    if (rows_resume(p, resume_row, p, &err) != 0)
        log_error("pull", "the pulls of before cannot be read", LOG_S("reason", err.text));
    for (struct pull *j = p->first, *next; j; j = next) {
        next = j->next;
        if (j->reason)
            pull_end(j, HERMES_PULL_STATE_FAILED, j->code, j->reason);
    }
    pulls_schedule(p);
}

/* ---- cancelling ---- */

static struct pull *find(struct pulls *p, const char *id)
{
    for (struct pull *j = p->first; j; j = j->next)
        if (strcmp(j->id, id) == 0)
            return j;
    return NULL;
}

/* What an ended one has left. */
static int discard_ended(struct pulls *p, const struct hermes_pull *row, struct error *err)
{
    struct pull_source source;
    struct error ignored = {0};
    char folder[256];
    int fd;
    if (row->repository)
        (void)snprintf(folder, sizeof folder, "%s", row->repository);
    else
        (void)snprintf(folder, sizeof folder, "pulled");
    (void)source;
    if (place_open(p, folder, false, &fd, &ignored) != 0)
        return 0; /* nothing was ever there */
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < row->parts_count; i++) {
        char name[256];
        if (pull_file_name(row->parts[i].file, name, sizeof name))
            rc = transfer_discard(fd, name, err);
    }
    close(fd);
    return rc;
}

int pulls_cancel(struct pulls *p, const char *id, bool discard_too, struct error *err)
{
    struct pull *j = find(p, id);
    if (!j) {
        struct hermes_pull row;
        struct arena *a = arena_create(0);
        int rc = a ? pulls_get(p, id, a, &row, err) : error_set(err, VX11_ENOMEM, "out of memory");
        if (rc == 0)
            rc = discard_too ? discard_ended(p, &row, err)
                             : error_set(err, VX11_EBUSY, "the pull has ended already: it is %s",
                                         hermes_pull_state_names[row.state]);
        arena_destroy(a);
        return rc;
    }
    j->cancelled = true;
    j->discard = j->discard || discard_too;
    if (j->transfer) {
        transfer_cancel(j->transfer);
    } else if (!j->working) {
        if (j->asking)
            hub_ask_cancel(j->asking);
        j->asking = NULL;
        pull_end(j, HERMES_PULL_STATE_CANCELLED, "cancelled", "a person or program asked for it");
    }
    return 0;
}

/* ---- streams ---- */

static void watch_left(struct request *r, void *ctx, int reason)
{
    struct pull_watch *w = ctx;
    (void)reason;
    for (struct pull_watch **at = &w->pull->watches; *at; at = &(*at)->next)
        if (*at == w) {
            *at = w->next;
            break;
        }
    free(w);
    request_stream_end(r);
}

static void watch_ended(struct pulls *p, const char *id, struct request *r)
{
    struct hermes_pull show;
    struct error err = {0};
    struct buf text = BUF_INIT;
    if (pulls_get(p, id, request_arena(r), &show, &err) != 0) {
        if (err.code == VX11_ENOT_FOUND)
            request_fail(r, 404, "pull_not_found", "id", "%s", err.text);
        else
            request_fail_error(r, &err);
        return;
    }
    if (request_stream_begin(r, 200, NULL) == 0 && hermes_pull_serialize(&show, &text) == 0)
        (void)request_stream_event(r, "end", NULL, text.data, text.len);
    buf_free(&text);
    request_stream_end(r);
}

void pulls_watch(struct pulls *p, const char *id, struct request *r)
{
    struct pull *j = find(p, id);
    if (!j) {
        watch_ended(p, id, r);
        return;
    }
    struct pull_watch *w = calloc(1, sizeof *w);
    if (!w || request_stream_begin(r, 200, NULL) != 0) {
        free(w);
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    *w = (struct pull_watch){.next = j->watches, .request = r, .pull = j};
    j->watches = w;
    request_on_cancel(r, watch_left, w);
    streams_tell(j, "progress", clock_mono_ms());
}

void pulls_end_streams(struct pulls *p)
{
    for (struct pull *j = p->first; j; j = j->next)
        streams_end(j);
}

/* ---- stopping ---- */

static void on_tick_closed(uv_handle_t *handle)
{
    struct pulls *p = handle->data;
    p->tick_closed = true;
    set_close(p);
}

static void set_close(struct pulls *p)
{
    if (!p->closing || !p->tick_closed || p->first)
        return;
    void (*closed)(void *) = p->closed;
    void *ctx = p->closed_ctx;
    catalogue_free(p->catalogue);
    hub_free(p->hub);
    free(p);
    closed(ctx);
}

void pulls_close(struct pulls *p, void (*done)(void *ctx), void *ctx)
{
    p->closing = true;
    p->closed = done;
    p->closed_ctx = ctx;
    uv_close((uv_handle_t *)&p->tick, on_tick_closed);
    for (struct pull *j = p->first, *next; j; j = next) {
        next = j->next;
        if (j->transfer)
            transfer_cancel(j->transfer);
        if (j->asking)
            hub_ask_cancel(j->asking);
        j->asking = NULL;
        if (pull_quiet(j))
            pull_release(j);
    }
}
