/* Crash reports over HTTP. Reading them opens files, asks the database and runs a symboliser: all of it in a
 * thread of the pool, with a store and an arena of its own, so that the loop stands still for none of it. */
#include "supervisor/supervisor_internal.h"

#include <stdlib.h>
#include <string.h>

#include "module/forensic/forensic.h"

enum { AT_ONCE_MAX = 2 };

struct forensic_work {
    struct supervisor *s;
    struct request *r;
    uv_work_t work;
    struct forensic_options options;
    char database[4096];
    char id[104]; /* "": the list */
    size_t limit;
    /* written by the thread */
    struct arena *a;
    int rc;
    struct error err;
    struct supervisor_forensic_list list;
    struct supervisor_forensic_show show;
};

static void show_work(struct forensic_work *w)
{
    struct store *store = NULL;
    struct error err = {0};
    const struct store_options options = {.path = w->database, .read_only = true};
    (void)store_open(&options, &store, &err);
    w->rc = forensic_show(&w->options, w->id, store, err.text, w->a, &w->show, &w->err);
    if (store)
        store_close(store);
}

static void forensic_run(uv_work_t *work)
{
    struct forensic_work *w = work->data;
    w->a = arena_create(0);
    if (!w->a)
        w->rc = error_set(&w->err, VX11_ENOMEM, "out of memory");
    else if (w->id[0])
        show_work(w);
    else
        w->rc = forensic_list(&w->options, w->limit, w->a, &w->list, &w->err);
}

static void forensic_done(uv_work_t *work, int status)
{
    struct forensic_work *w = work->data;
    struct supervisor *s = w->s;
    s->reading_reports--;
    s->open_handles--;
    if (status != 0)
        request_fail(w->r, 503, "stopping", NULL, "VX11 stops");
    else if (w->rc != 0)
        request_fail_error(w->r, &w->err);
    else if (w->id[0])
        request_reply(w->r, 200, &supervisor_forensic_show_message, &w->show);
    else
        request_reply(w->r, 200, &supervisor_forensic_list_message, &w->list);
    arena_destroy(w->a);
    free(w);
    supervisor_child_gone(s);
}

static void forensic_begin(struct supervisor *s, struct request *r, const char *id, size_t limit)
{
    struct forensic_work *w = NULL;
    if (s->reading_reports >= AT_ONCE_MAX) {
        request_retry_after(r, 1000);
        request_fail(r, 429, "busy", NULL, "two crash reports are being read already");
        return;
    }
    const struct config *config = module_config(s->m);
    w = calloc(1, sizeof *w);
    if (!w || forensic_options_fill(&w->options, module_home(s->m), config) != 0 ||
        module_store_path(config, module_home(s->m), w->database, sizeof w->database) != 0 ||
        strlen(id) >= sizeof w->id) {
        free(w);
        request_fail(r, 500, "out_of_memory", NULL, "no memory, or a path that is too long");
        return;
    }
    memcpy(w->id, id, strlen(id) + 1);
    w->limit = limit;
    w->s = s;
    w->r = r;
    w->work.data = w;
    if (uv_queue_work(module_loop(s->m), &w->work, forensic_run, forensic_done) != 0) {
        free(w);
        request_fail(r, 500, "out_of_memory", NULL, "no thread for it");
        return;
    }
    s->reading_reports++;
    s->open_handles++;
}

void api_forensic_list(struct request *r, void *module)
{
    const struct supervisor_forensic_query *q = request_params(r);
    forensic_begin(module, r, "", (size_t)q->limit);
}

void api_forensic_show(struct request *r, void *module)
{
    const struct supervisor_forensic_id *p = request_params(r);
    forensic_begin(module, r, p->id, 0);
}
