/* Retain: keeps every growing table within the bounds that it declared and the file below its target size,
 * and drops tokens, sessions and codes that have expired. Every few minutes, in a thread of the pool with a
 * store of its own: counting a table of a million rows takes longer than a loop may stand still. */
#include "supervisor/supervisor_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "store/maintain/retain.h"
#include "store/tokens.h"

#define RETAIN_FIRST_MS (60 * 1000)
#define RETAIN_EVERY_MS (10 * 60 * 1000)
#define RETAIN_LIMIT_MS                                                                                      \
    (20 * 1000)           /* the rest is left for the next time: `db maintain` may want to begin             \
                           */
#define RETAIN_PAGES 1000 /* given back to the file system per run; the daily maintenance gives back all */

static int retain_rows(struct retain *t, struct store *store, struct error *err)
{
    const struct retain_options options = {.now_ms = clock_wall_ms(),
                                           .archive_folder = t->archive,
                                           .target_bytes = t->target_bytes,
                                           .actor = "supervisor",
                                           .lazy = true,
                                           .vacuum_pages = RETAIN_PAGES,
                                           .limit_ms = RETAIN_LIMIT_MS,
                                           .stop = &t->stop};
    struct retain_result *result = malloc(sizeof *result);
    if (!result)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = retain_run(store, &options, result, err);
    t->rows = (uint64_t)(result->rows + result->children);
    t->tier = result->tier;
    t->tighter = result->tighter;
    if (result->used_bytes > 0)
        t->used_bytes = result->used_bytes;
    free(result);
    if (rc == VX11_EBUSY)
        log_info("retain", "left to another process", LOG_S("reason", err->text));
    return rc == VX11_EBUSY || rc == VX11_ECANCELLED ? 0 : rc;
}

static void retain_work(uv_work_t *work)
{
    struct retain *t = work->data;
    struct store *store = NULL;
    struct store_options options = {.path = t->path};
    t->err = (struct error){0};
    t->rows = t->credentials = 0;
    t->tier = 0;
    t->tighter = false;
    t->rc = store_open(&options, &store, &t->err);
    if (t->rc == 0)
        t->rc = retain_rows(t, store, &t->err);
    if (t->rc == 0)
        t->rc = token_purge(store, clock_wall_ms(), &t->credentials, &t->err);
    if (store)
        store_close(store);
    struct error err = {0};
    t->reports_deleted = 0;
    int rc = crash_prune(t->reports, &t->keep_reports, clock_wall_ms(), &t->reports_deleted, NULL, &err);
    if (rc != 0 && t->rc == 0) {
        t->rc = rc;
        t->err = err;
    }
}

/* Never silently: when less is kept than in the last day, and once when the warning's size is passed. */
static void tell_size(struct retain *t)
{
    const bool large = t->warn_bytes > 0 && t->used_bytes >= t->warn_bytes;
    if (t->tighter)
        module_alert(
            t->s->m, LINK_ALERT_SEVERITY_L4,
            "The database reached its target size of %lld bytes: less is kept (tier %d of %d), and it "
            "holds %lld bytes now.",
            (long long)t->target_bytes, t->tier, RETAIN_TIERS, (long long)t->used_bytes);
    else if (large && !t->warned && t->tier == 0)
        module_alert(t->s->m, LINK_ALERT_SEVERITY_L3,
                     "The database holds %lld bytes; from %lld on less of it will be kept.",
                     (long long)t->used_bytes, (long long)t->target_bytes);
    if (large && !t->warned)
        log_warn("retain", "the database is large", LOG_I("bytes", t->used_bytes),
                 LOG_I("warn_bytes", t->warn_bytes), LOG_I("target_bytes", t->target_bytes));
    t->warned = large;
}

void retain_health(const struct supervisor *s, struct health *h)
{
    const struct config_store *c = module_config(s->m)->values->store;
    const int64_t used = s->retain.used_bytes;
    char words[160];
    if (used < 0 || used < c->warn_bytes)
        return;
    snprintf(words, sizeof words, "it holds %lld bytes, %s %lld", (long long)used,
             used >= c->max_bytes ? "the most is" : "the warning begins at",
             (long long)(used >= c->max_bytes ? c->max_bytes : c->warn_bytes));
    health_add(h, "database", 1, words);
}

static void retain_done(uv_work_t *work, int status)
{
    struct retain *t = work->data;
    struct supervisor *s = t->s;
    t->running = false;
    s->open_handles--;
    if (status != UV_ECANCELED && t->rc != 0)
        log_error("retain", "old rows could not be deleted", LOG_S("reason", t->err.text));
    else if (t->rows + t->credentials > 0)
        log_info("retain", "old rows were deleted", LOG_I("rows", t->rows),
                 LOG_I("expired_logins", t->credentials));
    if (status != UV_ECANCELED)
        tell_size(t);
    if (status != UV_ECANCELED && t->reports_deleted > 0)
        log_info("retain", "old crash reports were deleted", LOG_I("reports", t->reports_deleted));
    supervisor_child_gone(s);
}

static void on_timer(uv_timer_t *timer)
{
    struct retain *t = timer->data;
    if (t->running || t->s->stopping)
        return;
    const struct config_supervisor_forensic *keep = supervisor_config(t->s)->forensic;
    t->keep_reports = (struct crash_keep){
        .count = (uint64_t)keep->keep_count, .age_ms = keep->keep_ms, .bytes = (uint64_t)keep->keep_bytes};
    const struct config_store *size = module_config(t->s->m)->values->store;
    t->warn_bytes = size->warn_bytes;
    t->target_bytes = size->max_bytes;
    t->work.data = t;
    if (uv_queue_work(module_loop(t->s->m), &t->work, retain_work, retain_done) != 0)
        return;
    t->running = true;
    t->s->open_handles++;
}

static void on_closed(uv_handle_t *handle)
{
    struct retain *t = handle->data;
    t->s->open_handles--;
    supervisor_child_gone(t->s);
}

int retain_start(struct supervisor *s, struct error *err)
{
    struct retain *t = &s->retain;
    t->s = s;
    if (module_store_path(module_config(s->m), module_home(s->m), t->path, sizeof t->path) != 0)
        return error_set(err, VX11_ETOO_LARGE, "the path of the database is too long");
    if (fs_path(t->reports, sizeof t->reports, module_home(s->m), "forensic") != 0)
        return error_set(err, VX11_ETOO_LARGE, "the path of the crash reports is too long");
    if (fs_path(t->archive, sizeof t->archive, module_home(s->m), "archive") != 0)
        return error_set(err, VX11_ETOO_LARGE, "the path of the archive is too long");
    struct stat st; /* until the first look tells how much of it is in use */
    t->used_bytes = stat(t->path, &st) == 0 ? (int64_t)st.st_size : -1;
    uv_timer_init(module_loop(s->m), &t->timer);
    t->timer.data = t;
    t->timer_open = true;
    s->open_handles++;
    uv_timer_start(&t->timer, on_timer, RETAIN_FIRST_MS, RETAIN_EVERY_MS);
    return 0;
}

void retain_stop(struct supervisor *s)
{
    struct retain *t = &s->retain;
    t->stop = true;
    if (t->running)
        uv_cancel((uv_req_t *)&t->work); /* when it has begun already, the stop waits for it */
    if (t->timer_open)
        uv_close((uv_handle_t *)&t->timer, on_closed);
    t->timer_open = false;
}
