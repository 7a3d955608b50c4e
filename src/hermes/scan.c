/* One scan: rows out of the database (loop) -> walk (pool) -> changes into the database in one transaction
 * (loop). The database is touched on the loop only, where all of Hermes' writes happen, so no row can change
 * under a walk except through us; a row that was removed meanwhile is left removed. */
#include "hermes/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "hermes/registry.h"
#include "hermes/scan_walk.h"

struct scan_wait {
    struct scan_wait *next;
    scan_fn fn; /* NULL: dropped */
    void *ctx;
};

struct scanner {
    uv_loop_t *loop;
    struct store *store;
    char **roots;
    size_t root_count;
    struct scan_wait *running_waits, *next_waits; /* of the scan that runs, and of the one after it */
    bool running;
    struct scan_job *job;
    uv_work_t work;
    int64_t started_ms;
    void (*on_scan)(void *ctx, const struct hermes_scan_reply *reply);
    void *on_scan_ctx;
    char problem[512];
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

static void roots_free(struct scanner *s)
{
    for (size_t i = 0; i < s->root_count; i++)
        free(s->roots[i]);
    free(s->roots);
    s->roots = NULL;
    s->root_count = 0;
}

int scanner_create(uv_loop_t *loop, struct store *store, struct scanner **out)
{
    struct scanner *s = calloc(1, sizeof *s);
    if (!s)
        return VX11_ENOMEM;
    s->loop = loop;
    s->store = store;
    s->work.data = s;
    *out = s;
    return 0;
}

int scanner_set_roots(struct scanner *s, const char *const *roots, size_t n)
{
    char **copy = calloc(n ? n : 1, sizeof *copy);
    size_t i = 0;
    while (copy && i < n && (copy[i] = strdup(roots[i])) != NULL)
        i++;
    if (!copy || i < n) {
        while (copy && i > 0)
            free(copy[--i]);
        free(copy);
        return VX11_ENOMEM;
    }
    roots_free(s);
    s->roots = copy;
    s->root_count = n;
    return 0;
}

void scanner_on_scan(struct scanner *s, void (*fn)(void *ctx, const struct hermes_scan_reply *reply),
                     void *ctx)
{
    s->on_scan = fn;
    s->on_scan_ctx = ctx;
}

const char *scanner_problem(const struct scanner *s)
{
    return s->problem[0] ? s->problem : NULL;
}

static void waits_answer(struct scan_wait *list, const struct hermes_scan_reply *reply,
                         const struct error *err)
{
    while (list) {
        struct scan_wait *w = list;
        list = w->next;
        if (w->fn)
            w->fn(w->ctx, reply, err);
        free(w);
    }
}

void scan_wait_drop(struct scan_wait *w)
{
    w->fn = NULL;
}

/* ---- into the database ---- */

struct applying {
    struct scan_job *job;
    int64_t now, total;
    const char **added, **changed, **missing;
    size_t added_count, changed_count, missing_count;
};

/* A row that lost its file, while a new file of the same name, size and time has turned up: it was moved. */
static const struct registry_model *find_moved(const struct scan_job *job, const struct scan_file *file,
                                               const char *name)
{
    for (size_t i = 0; i < job->file_count; i++) {
        const struct scan_file *f = &job->files[i];
        if (f->known && f->facts.status == HERMES_MODEL_STATUS_MISSING &&
            f->known->api.source == HERMES_MODEL_SOURCE_SCAN && f->known->api.has_size_bytes &&
            f->known->api.size_bytes == file->facts.size_bytes &&
            f->known->mtime_ns == file->facts.mtime_ns && strcmp(f->known->api.name, name) == 0)
            return f->known;
    }
    return NULL;
}

static int apply_new(struct applying *ap, struct store *s, struct scan_file *f, struct error *err)
{
    const char *taken = NULL, *name = model_name_from_path(f->path, ap->job->arena);
    if (!name)
        return VX11_ENOMEM;
    if (f->facts.status == HERMES_MODEL_STATUS_MISSING)
        return 0; /* gone between the walk and the reading */
    const struct registry_model *moved = find_moved(ap->job, f, name);
    if (moved) {
        ap->changed[ap->changed_count++] = moved->api.name;
        return registry_update(s, moved, moved->api.source, &f->facts, ap->now, err);
    }
    if (ap->total >= REGISTRY_MAX_MODELS)
        return 0; /* said in scan_apply */
    int rc = registry_add(s, HERMES_MODEL_SOURCE_SCAN, name, false, &f->facts, ap->now, ap->job->arena,
                          &taken, err);
    if (rc != 0)
        return rc;
    ap->total++;
    if (f->facts.status == HERMES_MODEL_STATUS_AVAILABLE)
        ap->added[ap->added_count++] = taken;
    return 0;
}

static bool same_facts(const struct scan_file *f)
{
    const struct hermes_model *m = &f->known->api;
    return m->status == f->facts.status && m->has_size_bytes && m->size_bytes == f->facts.size_bytes &&
           f->known->mtime_ns == f->facts.mtime_ns && (m->reason == NULL) == (f->facts.reason == NULL) &&
           (!m->reason || strcmp(m->reason, f->facts.reason) == 0);
}

static bool was_moved(const struct applying *ap, const char *name)
{
    for (size_t i = 0; i < ap->changed_count; i++) {
        if (strcmp(ap->changed[i], name) == 0)
            return true;
    }
    return false;
}

static int apply_known(struct applying *ap, struct store *s, struct scan_file *f, struct error *err)
{
    const struct hermes_model *m = &f->known->api;
    int rc = 0;
    if (!f->read || same_facts(f))
        return 0;
    if (f->facts.status == HERMES_MODEL_STATUS_MISSING) {
        if (was_moved(ap, m->name) || m->status == HERMES_MODEL_STATUS_MISSING)
            return 0;
        ap->missing[ap->missing_count++] = m->name;
        rc = registry_set_status(s, m->id, f->facts.status, f->facts.reason, ap->now, err);
    } else {
        ap->changed[ap->changed_count++] = m->name;
        rc = registry_update(s, f->known, m->source, &f->facts, ap->now, err);
    }
    return rc == VX11_ENOT_FOUND ? 0 : rc; /* removed while we walked */
}

/* New files first, so that a moved one is seen before its old place counts as missing. */
static int scan_apply(void *ctx, struct store *s, struct error *err)
{
    struct applying *ap = ctx;
    struct scan_job *job = ap->job;
    int rc = registry_count(s, NULL, &ap->total, err);
    for (size_t i = 0; rc == 0 && i < job->file_count; i++) {
        if (!job->files[i].known)
            rc = apply_new(ap, s, &job->files[i], err);
    }
    for (size_t i = 0; rc == 0 && i < job->file_count; i++) {
        if (job->files[i].known)
            rc = apply_known(ap, s, &job->files[i], err);
    }
    return rc;
}

static int fill_reply(const struct applying *ap, int64_t duration_ms, struct hermes_scan_reply *out)
{
    const struct scan_job *job = ap->job;
    *out = (struct hermes_scan_reply){
        .added = ap->added,
        .added_count = ap->added_count,
        .changed = ap->changed,
        .changed_count = ap->changed_count,
        .missing = ap->missing,
        .missing_count = ap->missing_count,
        .duration_ms = duration_ms,
    };
    out->refused = arena_array(job->arena, job->problem_count + job->file_count + 1, sizeof *out->refused);
    if (!out->refused)
        return VX11_ENOMEM;
    for (size_t i = 0; i < job->problem_count; i++)
        out->refused[out->refused_count++] =
            (struct hermes_refusal){job->problems[i].path, job->problems[i].reason};
    for (size_t i = 0; i < job->file_count; i++) {
        const struct model_facts *f = &job->files[i].facts;
        if (f->status == HERMES_MODEL_STATUS_INVALID)
            out->refused[out->refused_count++] = (struct hermes_refusal){f->path, f->reason};
    }
    if (ap->total >= REGISTRY_MAX_MODELS)
        out->refused[out->refused_count++] = (struct hermes_refusal){
            job->root_count ? job->roots[0] : "/", "the registry is full: no more files are registered"};
    return 0;
}

static int scan_finish(struct scanner *s, struct scan_job *job, struct hermes_scan_reply *reply,
                       struct error *err)
{
    struct applying ap = {.job = job, .now = clock_wall_ms()};
    if (job->result != 0)
        return error_set(err, job->result,
                         job->result == VX11_ECANCELLED ? "the scan was stopped" : "out of memory");
    size_t n = job->file_count + 1;
    ap.added = arena_array(job->arena, n, sizeof *ap.added);
    ap.changed = arena_array(job->arena, n, sizeof *ap.changed);
    ap.missing = arena_array(job->arena, n, sizeof *ap.missing);
    if (!ap.added || !ap.changed || !ap.missing)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = store_transaction(s->store, scan_apply, &ap, err);
    if (rc == 0)
        rc = fill_reply(&ap, clock_mono_ms() - s->started_ms, reply);
    if (rc == VX11_ENOMEM)
        (void)error_set(err, rc, "out of memory");
    return rc;
}

/* ---- the run ---- */

static int scan_start(struct scanner *s, struct error *err);

/* A scan that could not begin. */
static void scan_fail(struct scanner *s, const struct error *err)
{
    struct scan_wait *waits = s->next_waits;
    s->next_waits = NULL;
    (void)snprintf(s->problem, sizeof s->problem, "the last scan failed: %.400s", err->text);
    log_error("scan", "the scan cannot begin", LOG_S("reason", err->text));
    waits_answer(waits, NULL, err);
}

static void job_free(struct scan_job *job)
{
    if (job)
        arena_destroy(job->arena);
}

static void scanner_free(struct scanner *s)
{
    void (*closed)(void *ctx) = s->closed;
    void *ctx = s->closed_ctx;
    roots_free(s);
    free(s);
    closed(ctx);
}

static void note_problem(struct scanner *s, const struct hermes_scan_reply *reply, const struct error *err,
                         size_t problems)
{
    s->problem[0] = '\0';
    if (!reply)
        (void)snprintf(s->problem, sizeof s->problem, "the last scan failed: %.400s", err->text);
    else if (reply->refused && problems > 0)
        (void)snprintf(s->problem, sizeof s->problem, "%.200s: %.200s", reply->refused[0].path,
                       reply->refused[0].reason);
}

static void scan_done(struct scanner *s, struct scan_job *job, const struct hermes_scan_reply *reply,
                      const struct error *err)
{
    struct scan_wait *waits = s->running_waits;
    s->running_waits = NULL;
    s->running = false;
    s->job = NULL;
    note_problem(s, reply, err, job ? job->problem_count : 0);
    if (reply && (reply->added_count || reply->changed_count || reply->missing_count))
        log_info("scan", "the models changed", LOG_I("added", reply->added_count),
                 LOG_I("changed", reply->changed_count), LOG_I("missing", reply->missing_count),
                 LOG_I("refused", reply->refused_count), LOG_I("ms", reply->duration_ms));
    else if (!reply && err->code != VX11_ECANCELLED)
        log_error("scan", "the scan failed", LOG_S("reason", err->text));
    if (reply && s->on_scan && !s->closing)
        s->on_scan(s->on_scan_ctx, reply);
    waits_answer(waits, reply, err);
    job_free(job);
    if (s->closing) {
        scanner_free(s);
        return;
    }
    struct error next = {0};
    if (s->next_waits && !s->running && scan_start(s, &next) != 0)
        scan_fail(s, &next);
}

static void on_walk(uv_work_t *work)
{
    struct scanner *s = work->data;
    scan_walk(s->job);
}

static void on_walked(uv_work_t *work, int status)
{
    struct scanner *s = work->data;
    struct scan_job *job = s->job;
    struct hermes_scan_reply reply = {0};
    struct error err = {0};
    if (status != 0)
        job->result = VX11_ECANCELLED;
    int rc = scan_finish(s, job, &reply, &err);
    scan_done(s, job, rc == 0 ? &reply : NULL, &err);
}

static int job_create(struct scanner *s, struct scan_job **out, struct error *err)
{
    struct arena *a = arena_create(0);
    struct scan_job *job = a ? arena_zalloc(a, sizeof *job) : NULL;
    *out = job;
    if (!job) {
        arena_destroy(a);
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    job->arena = a;
    atomic_init(&job->cancel, false);
    job->roots = arena_array(a, s->root_count + 1, sizeof *job->roots);
    if (!job->roots)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < s->root_count; i++) {
        job->roots[i] = arena_strdup(a, s->roots[i]);
        if (!job->roots[i])
            return error_set(err, VX11_ENOMEM, "out of memory");
        job->root_count++;
    }
    int rc = registry_list(s->store, a, &job->known, &job->known_count, err);
    size_t files = 0; /* models that an engine brings have none */
    for (size_t i = 0; rc == 0 && i < job->known_count; i++)
        if (job->known[i].api.source != HERMES_MODEL_SOURCE_ENGINE)
            job->known[files++] = job->known[i];
    job->known_count = files;
    return rc != 0 ? rc : registry_forgotten(s->store, a, &job->forgotten, &job->forgotten_count, err);
}

static int scan_start(struct scanner *s, struct error *err)
{
    struct scan_job *job = NULL;
    s->started_ms = clock_mono_ms();
    int rc = job_create(s, &job, err);
    s->job = job;
    if (rc == 0 && uv_queue_work(s->loop, &s->work, on_walk, on_walked) != 0)
        rc = error_set(err, VX11_EUNAVAILABLE, "the thread pool does not take the scan");
    if (rc != 0) {
        s->job = NULL;
        job_free(job);
        return rc;
    }
    s->running = true;
    s->running_waits = s->next_waits;
    s->next_waits = NULL;
    return 0;
}

int scanner_run(struct scanner *s, scan_fn fn, void *ctx, struct scan_wait **out, struct error *err)
{
    if (s->closing)
        return error_set(err, VX11_ECANCELLED, "Hermes is stopping");
    struct scan_wait *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, VX11_ENOMEM, "out of memory");
    *w = (struct scan_wait){.fn = fn, .ctx = ctx, .next = s->next_waits};
    s->next_waits = w;
    int rc = s->running ? 0 : scan_start(s, err);
    if (rc != 0) { /* nothing ran, so this is the only one */
        s->next_waits = w->next;
        free(w);
        return rc;
    }
    if (out)
        *out = w;
    return 0;
}

void scanner_close(struct scanner *s, void (*done)(void *ctx), void *ctx)
{
    struct error err = {0};
    struct scan_wait *next = s->next_waits;
    s->closing = true;
    s->closed = done;
    s->closed_ctx = ctx;
    s->next_waits = NULL;
    (void)error_set(&err, VX11_ECANCELLED, "Hermes is stopping");
    waits_answer(next, NULL, &err);
    if (s->running)
        atomic_store(&s->job->cancel, true);
    else
        scanner_free(s);
}
