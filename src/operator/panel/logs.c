/* Logs: pages of records, newest first, and followers. Files are read in the thread pool only, so that a
 * large log holds nobody up; each request does a bounded amount of work.
 *
 *   GET /operator/logs         ─> log_page_read ─> JSON, all in the pool ─> reply
 *   GET /operator/logs/events  ─> every 400 ms: pool: what was written since ─> events */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "operator/operator_internal.h"
#include "operator/panel/log_records.h"
#include "operator/panel/panel.h"
#include "operator/panel/panel_internal.h"

#define PAGE_BYTES    (96u << 20) /* of text looked through for one page */
#define ARENA_MAX     (64u << 20)
#define FOLLOW_MS     400
#define FOLLOW_BATCH  256
#define FOLLOW_BACK   5000         /* what was written so shortly before counts as new */
#define FOLLOW_QUEUED (256 * 1024) /* waiting for a slow reader: it is read on later */
#define FOLLOWERS_MAX 32

/* ---- a page ---- */

struct page_job {
    uv_work_t work;
    struct request *r;
    char dir[4096];
    struct log_page_options options;
    struct log_place before;
    struct buf json;
    int rc;
};

static int modules_list(struct arena *a, const char *dir, struct operator_log_reply *out)
{
    struct buf names = BUF_INIT;
    char *left = NULL;
    int rc = log_reader_names(dir, &names);
    out->modules = rc == 0 ? arena_array(a, names.len / 2 + 1, sizeof *out->modules) : NULL;
    for (char *name = out->modules && names.data ? strtok_r(names.data, " ", &left) : NULL; name;
         name = strtok_r(NULL, " ", &left)) {
        const char *copy = log_module_name(a, name);
        if (copy)
            out->modules[out->modules_count++] = copy;
    }
    buf_free(&names);
    return out->modules ? rc : VX11_ENOMEM;
}

static int page_write(struct page_job *j, const struct log_page *page, struct arena *a)
{
    struct operator_log_reply reply = {.cut = page->cut};
    char next[112];
    int rc = modules_list(a, j->dir, &reply);
    if (rc == 0)
        reply.records = arena_array(a, page->count + 1, sizeof *reply.records);
    if (rc == 0 && !reply.records)
        rc = VX11_ENOMEM;
    for (size_t i = 0; rc == 0 && i < page->count; i++) {
        const struct log_page_record *x = &page->records[i];
        rc = log_record_fill(a, &x->place, x->level, x->line, x->len, &reply.records[i]);
        reply.records_count = i + 1;
    }
    if (rc == 0 && page->more)
        reply.next_before = arena_strdup(a, log_place_format(&page->next, next));
    return rc == 0 ? operator_log_reply_serialize(&reply, &j->json) : rc;
}

static void page_work(uv_work_t *work)
{
    struct page_job *j = work->data;
    struct log_page page = {0};
    struct arena *a = arena_create(ARENA_MAX);
    j->rc = a ? log_page_read(&j->options, &page) : VX11_ENOMEM;
    if (j->rc == 0)
        j->rc = page_write(j, &page, a);
    log_page_free(&page);
    arena_destroy(a);
}

static void page_done(uv_work_t *work, int status)
{
    struct page_job *j = work->data;
    size_t len = 0;
    char *text;
    if (status != 0 || j->rc != 0) {
        struct error err = {0};
        error_set(&err, j->rc ? j->rc : VX11_ECANCELLED, "the logs cannot be read: %s",
                  error_describe(j->rc ? j->rc : VX11_ECANCELLED));
        request_fail_error(j->r, &err);
    } else if ((text = buf_detach(&j->json, &len)) != NULL) {
        request_reply_bytes(j->r, 200, "application/json", text, len, true);
    }
    buf_free(&j->json);
    free(j);
}

static bool options_fill(struct request *r, const char *module, int level, const char *q,
                         struct log_page_options *o)
{
    *o = (struct log_page_options){.level = (enum log_level)level};
    if (module && strchr(log_module_file(request_arena(r), module), '/')) {
        request_fail(r, 422, "invalid_value", "/module", "%s is no module", module);
        return false;
    }
    o->module = module ? log_module_file(request_arena(r), module) : NULL;
    o->text = q;
    return true;
}

void panel_logs(struct request *r, void *module)
{
    const struct operator_ *o = module;
    const struct operator_log_params *p = request_params(r);
    struct page_job *j = calloc(1, sizeof *j);
    if (!j || fs_path(j->dir, sizeof j->dir, module_home(o->m), "log") != 0) {
        free(j);
        request_fail(r, 500, "internal", NULL, "the logs cannot be read");
        return;
    }
    if (!options_fill(r, p->module, p->level, p->q, &j->options)) {
        free(j);
        return;
    }
    if (p->before && !log_place_parse(p->before, &j->before)) {
        free(j);
        request_fail(r, 422, "invalid_value", "/before", "before is next_before of a page");
        return;
    }
    j->r = r;
    j->work.data = j;
    j->options.dir = j->dir;
    j->options.since_ms = p->has_since ? p->since : 0;
    j->options.until_ms = p->has_until ? p->until : 0;
    j->options.before = p->before ? &j->before : NULL;
    j->options.limit = (size_t)p->limit;
    j->options.most_bytes = PAGE_BYTES;
    if (uv_queue_work(request_loop(r), &j->work, page_work, page_done) != 0) {
        free(j);
        request_fail(r, 500, "internal", NULL, "no thread reads the logs");
    }
}

/* ---- followers ---- */

struct follow_event {
    char id[112];
    char *data;
    size_t len;
};

struct log_follower {
    struct log_follower *next;
    struct panel *panel;
    struct request *r;
    uv_timer_t timer;
    uv_work_t work;
    bool working, over;
    /* the pool's while working */
    char dir[4096], module[64], text[256];
    enum log_level level;
    struct log_place after; /* "" module: nothing was seen yet */
    int64_t since_ms;
    bool resumed; /* the record of Last-Event-ID has still to be seen */
    bool gap;     /* it was not there any more */
    struct log_reader *reader;
    struct follow_event events[FOLLOW_BATCH];
    size_t count;
    int rc;
};

static void follow_take(struct log_follower *f, const struct log_record *record, struct arena *a)
{
    struct log_place place = {.time_ms = record->head.time_ms, .at = record->at};
    struct operator_log_record out;
    struct buf json = BUF_INIT;
    (void)snprintf(place.module, sizeof place.module, "%.63s", record->module);
    if (f->resumed) { /* until its moment was passed: of one moment, modules come in no order */
        int order = log_place_compare(&place, &f->after);
        f->gap = order > 0 && place.time_ms > f->after.time_ms;
        f->resumed = order != 0 && !f->gap;
        if (order <= 0)
            return;
    }
    if (f->text[0] && !strcasestr(record->line, f->text))
        return;
    arena_reset(a);
    struct follow_event *e = &f->events[f->count];
    if (log_record_fill(a, &place, record->head.level, record->line, record->len, &out) != 0 ||
        operator_log_record_serialize(&out, &json) != 0) {
        buf_free(&json);
        return;
    }
    log_place_format(&place, e->id);
    e->data = buf_detach(&json, &e->len);
    f->count += e->data != NULL;
}

static void follow_work(uv_work_t *work)
{
    struct log_follower *f = work->data;
    struct arena *a = arena_create(ARENA_MAX);
    struct log_record record;
    if (!f->reader) {
        struct log_reader_options o = {.dir = f->dir,
                                       .module = f->module[0] ? f->module : NULL,
                                       .since_ms = f->since_ms,
                                       .level = f->level};
        int rc = log_reader_open(&o, &f->reader, NULL);
        f->rc = rc == VX11_ENOT_FOUND ? 0 : rc; /* there may be one later */
    } else {
        log_reader_wait(f->reader, 0);
    }
    while (a && f->reader && f->count < FOLLOW_BATCH && log_reader_next(f->reader, &record) == 1)
        follow_take(f, &record, a);
    arena_destroy(a);
}

static void on_follower_closed(uv_handle_t *h)
{
    struct log_follower *f = h->data;
    log_reader_close(f->reader);
    free(f);
}

/* Ends it; while the pool works, later. */
static void follower_end(struct log_follower *f)
{
    f->over = true;
    if (f->working)
        return;
    for (struct log_follower **at = &f->panel->followers; *at; at = &(*at)->next)
        if (*at == f) {
            *at = f->next;
            f->panel->follower_count--;
            break;
        }
    for (size_t i = 0; i < f->count; i++)
        free(f->events[i].data);
    request_stream_end(f->r);
    uv_close((uv_handle_t *)&f->timer, on_follower_closed);
}

static void follow_tick(uv_timer_t *timer);

static void follow_done(uv_work_t *work, int status)
{
    struct log_follower *f = work->data;
    bool full = f->count == FOLLOW_BATCH;
    f->working = false;
    if (f->over || status != 0 || f->rc != 0) {
        follower_end(f);
        return;
    }
    if (f->gap)
        request_stream_event(f->r, "gap", NULL, "{\"skipped\":null}", 16);
    f->gap = false;
    int rc = 0;
    for (size_t i = 0; i < f->count; i++) {
        struct follow_event *e = &f->events[i];
        if (rc == 0)
            rc = request_stream_event(f->r, "record", e->id, e->data, e->len);
        free(e->data);
    }
    f->count = 0;
    if (rc != 0) {
        follower_end(f);
        return;
    }
    uv_timer_start(&f->timer, follow_tick, full ? 1 : FOLLOW_MS, 0);
}

static void follow_tick(uv_timer_t *timer)
{
    struct log_follower *f = timer->data;
    if (request_stream_queued(f->r) > FOLLOW_QUEUED) {
        uv_timer_start(timer, follow_tick, FOLLOW_MS, 0);
        return;
    }
    f->work.data = f;
    f->working = uv_queue_work(timer->loop, &f->work, follow_work, follow_done) == 0;
    if (!f->working)
        follower_end(f);
}

static void on_follower_left(struct request *r, void *ctx, int reason)
{
    (void)r;
    (void)reason;
    follower_end(ctx);
}

void panel_logs_events(struct request *r, void *module)
{
    const struct operator_ *o = module;
    const struct operator_log_follow *p = request_params(r);
    const char *last = request_header(r, "Last-Event-ID");
    struct log_page_options options;
    if (!options_fill(r, p->module, p->level, p->q, &options))
        return;
    if (o->panel->follower_count >= FOLLOWERS_MAX) {
        request_fail(r, 503, "too_many_followers", NULL, "%d are reading the logs already", FOLLOWERS_MAX);
        return;
    }
    struct log_follower *f = calloc(1, sizeof *f);
    if (!f || fs_path(f->dir, sizeof f->dir, module_home(o->m), "log") != 0) {
        free(f);
        request_fail(r, 500, "internal", NULL, "the logs cannot be followed");
        return;
    }
    if (request_stream_begin(r, 200, NULL) != 0) {
        free(f);
        request_stream_abort(r);
        return;
    }
    request_stream_write(r, ":\n\n", 3); /* the head goes out with the first bytes */
    f->panel = o->panel;
    f->r = r;
    f->level = options.level;
    (void)snprintf(f->module, sizeof f->module, "%s", options.module ? options.module : "");
    (void)snprintf(f->text, sizeof f->text, "%s", options.text ? options.text : "");
    f->resumed = last && last[0] && log_place_parse(last, &f->after);
    f->since_ms = f->resumed ? f->after.time_ms : clock_wall_ms() - FOLLOW_BACK;
    uv_timer_init(request_loop(r), &f->timer);
    f->timer.data = f;
    f->next = o->panel->followers;
    o->panel->followers = f;
    o->panel->follower_count++;
    request_on_cancel(r, on_follower_left, f);
    uv_timer_start(&f->timer, follow_tick, 0, 0);
}

void panel_logs_end(struct panel *p)
{
    for (struct log_follower *f = p->followers, *next; f; f = next) {
        next = f->next;
        follower_end(f);
    }
}
