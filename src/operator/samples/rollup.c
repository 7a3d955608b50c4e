/* Roll-up: samples to minutes to hours (store/rollup.h), on a thread: it takes longer than a loop may stand
 * still. */
#include "operator/samples/samples_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/rollup.h"

#define MINUTE_MS  ((int64_t)60000)
#define SETTLED_MS ((int64_t)5000) /* by then the batched writer has written */

int rollup_work(struct store *store, int64_t now, int64_t *minutes_until, int64_t *hours_until,
                struct error *err)
{
    struct rollup_until until = {.minutes = *minutes_until, .hours = *hours_until};
    int rc = store_rollup(store, now, &until, err);
    *minutes_until = until.minutes;
    *hours_until = until.hours;
    return rc;
}

static void on_work(uv_work_t *work)
{
    struct rollup *r = work->data;
    struct store_options options = {.path = r->path};
    struct store *store = NULL;
    r->err = (struct error){0};
    r->rc = store_open(&options, &store, &r->err);
    if (r->rc == 0)
        r->rc = rollup_work(store, r->now, &r->minutes_done, &r->hours_done, &r->err);
    store_close(store);
}

static void on_worked(uv_work_t *work, int status)
{
    struct rollup *r = work->data;
    struct samples *s = r->s;
    r->running = false;
    if (status == 0 && r->rc != 0)
        log_error("samples", "samples cannot be added up", LOG_S("reason", r->err.text));
    if (status == 0 && r->rc == 0) {
        r->minutes_until = r->minutes_done;
        r->hours_until = r->hours_done;
    }
    samples_part_stopped(s);
}

void rollup_start(struct samples *s)
{
    struct rollup *r = &s->rollup;
    const int64_t now = clock_wall_ms();
    const bool due = now - SETTLED_MS - r->minutes_until >= MINUTE_MS;
    if (r->running || s->stopping || !due)
        return;
    r->s = s;
    r->now = now;
    r->work.data = r;
    r->running = uv_queue_work(module_loop(s->o->m), &r->work, on_work, on_worked) == 0;
}
