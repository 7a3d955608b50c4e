/* The ledger over HTTP, and what the supervisor itself writes into it. A page of rows is a short indexed
 * read; the walk along all of them is a thread's work, with a store of its own, and ends when VX11 stops. */
#include "supervisor/supervisor_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "module/ledger_message.h"
#include "store/ledger/ledger.h"

void supervisor_note(struct supervisor *s, const char *kind, const char *actor, const char *subject,
                     const char *name, const char *value)
{
    struct error err = {0};
    if (ledger_note(module_store(s->m), kind, actor, subject, &err, name, value, NULL) != 0)
        log_error("ledger", "something is not in the ledger", LOG_S("kind", kind), LOG_S("reason", err.text));
}

/* ---- rows ---- */

struct listing {
    struct arena *arena;
    struct supervisor_ledger_row *out;
    size_t count, limit;
    bool more;
};

static int on_row(void *ctx, const struct ledger_row *row)
{
    struct listing *l = ctx;
    if (l->count == l->limit) {
        l->more = true;
        return 0;
    }
    return ledger_row_message(l->arena, row, &l->out[l->count++]);
}

void api_ledger_list(struct request *r, void *module)
{
    struct supervisor *s = module;
    const struct supervisor_ledger_params *p = request_params(r);
    struct store *store = module_store(s->m);
    struct error err = {0};
    struct ledger_head head;
    char head_text[LEDGER_HEAD_TEXT];
    struct listing l = {.arena = request_arena(r), .limit = (size_t)p->limit};
    const unsigned ask = (unsigned)l.limit + 1;
    l.out = arena_array(l.arena, l.limit, sizeof *l.out);
    int rc = l.out ? ledger_head(store, &head, &err) : VX11_ENOMEM;
    if (rc == 0)
        rc = p->has_after
                 ? ledger_list(store, p->after, p->kind, ask, on_row, &l, &err)
                 : ledger_list_last(store, p->has_before ? p->before : 0, p->kind, ask, on_row, &l, &err);
    if (rc == VX11_EINVALID) {
        request_fail(r, 400, "bad_kind", "kind", "%s", err.text);
        return;
    }
    if (rc != 0) {
        error_set(&err, rc, "%s", err.text[0] ? err.text : error_describe(rc));
        request_fail_error(r, &err);
        return;
    }
    ledger_head_format(&head, head_text);
    struct supervisor_ledger_list reply = {.rows = l.out, .rows_count = l.count, .head = head_text};
    reply.has_next_after = p->has_after;
    reply.next_after = l.count > 0 ? l.out[l.count - 1].n : p->after;
    reply.has_next_before = !p->has_after && l.more;
    reply.next_before = l.count > 0 ? l.out[l.count - 1].n : 0;
    request_reply(r, 200, &supervisor_ledger_list_message, &reply);
}

/* ---- the walk ---- */

struct verify_work {
    struct supervisor *s;
    struct request *r;
    uv_work_t work;
    char database[4096];
    /* written by the thread */
    int rc;
    struct error err;
    struct ledger_report report;
    double duration_ms;
};

static void verify_run(uv_work_t *work)
{
    struct verify_work *w = work->data;
    struct store *store = NULL;
    const struct store_options options = {.path = w->database, .read_only = true};
    const uint64_t begun = clock_mono_ns();
    w->rc = store_open(&options, &store, &w->err);
    if (w->rc == 0)
        w->rc = ledger_verify(store, NULL, &w->s->stop_verifying, &w->report, &w->err);
    if (store)
        store_close(store);
    w->duration_ms = (double)(clock_mono_ns() - begun) / 1e6;
}

static void verify_reply(struct request *r, const struct verify_work *w)
{
    struct supervisor_ledger_report reply;
    if (ledger_report_message(request_arena(r), &w->report, w->duration_ms, &reply) == 0)
        request_reply(r, 200, &supervisor_ledger_report_message, &reply);
    else
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
}

static void verify_done(uv_work_t *work, int status)
{
    struct verify_work *w = work->data;
    struct supervisor *s = w->s;
    s->verifying_ledger = false;
    s->open_handles--;
    if (status != 0 || w->rc == VX11_ECANCELLED)
        request_fail(w->r, 503, "stopping", NULL, "VX11 stops");
    else if (w->rc != 0)
        request_fail_error(w->r, &w->err);
    else
        verify_reply(w->r, w);
    free(w);
    supervisor_child_gone(s);
}

void api_ledger_verify(struct request *r, void *module)
{
    struct supervisor *s = module;
    struct error err = {0};
    if (s->verifying_ledger) {
        request_retry_after(r, 1000);
        request_fail(r, 429, "busy", NULL, "the ledger is being verified already");
        return;
    }
    struct verify_work *w = calloc(1, sizeof *w);
    int rc = w ? module_store_path(module_config(s->m), module_home(s->m), w->database, sizeof w->database)
               : VX11_ENOMEM;
    if (rc == 0) {
        w->s = s;
        w->r = r;
        w->work.data = w;
        rc = uv_queue_work(module_loop(s->m), &w->work, verify_run, verify_done) == 0 ? 0 : VX11_ENOMEM;
    }
    if (rc != 0) {
        free(w);
        error_set(&err, rc, "the ledger cannot be verified now");
        request_fail_error(r, &err);
        return;
    }
    s->verifying_ledger = true;
    s->open_handles++;
}
