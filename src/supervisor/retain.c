/* Retain: keeps every growing table within the bounds that it declared, and drops tokens, sessions and codes
 * that have expired. Every few minutes, in a thread of the pool with a store of its own: counting a table of
 * a million rows takes longer than a loop may stand still. */
#include "supervisor/supervisor_internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "store/tokens.h"

#define RETAIN_FIRST_MS (60 * 1000)
#define RETAIN_EVERY_MS (10 * 60 * 1000)

static void retain_work(uv_work_t *work)
{
    struct retain *t = work->data;
    struct store *store = NULL;
    struct store_options options = {.path = t->path};
    t->err = (struct error){0};
    t->rows = t->credentials = 0;
    t->rc = store_open(&options, &store, &t->err);
    if (t->rc == 0)
        t->rc = store_retain(store, clock_wall_ms(), &t->rows, &t->err);
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
    if (t->running)
        uv_cancel((uv_req_t *)&t->work); /* when it has begun already, the stop waits for it */
    if (t->timer_open)
        uv_close((uv_handle_t *)&t->timer, on_closed);
    t->timer_open = false;
}
