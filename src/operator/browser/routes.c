/* HTTP of the browser. */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "operator/browser/browser_internal.h"
#include "operator/operator_internal.h"

/* ---- status ---- */

struct asking {
    struct browser *browser;
    struct request *request;
    struct programs programs;
    struct operator_browser_status_reply reply;
};

static void status_reply(void *ctx)
{
    struct asking *q = ctx;
    struct browser *b = q->browser;
    struct operator_browser_status_reply *reply = &q->reply;
    if (!q->programs.command)
        reply->node = versions_of(b->versions, q->programs.node);
    reply->chromium = versions_of(b->versions, q->programs.chromium);
    reply->mcp = q->programs.package_version[0] ? q->programs.package_version : NULL;
    for (const struct task *t = b->tasks; t; t = t->next) {
        reply->running += t->api.status == OPERATOR_BROWSER_STATUS_RUNNING;
        reply->pending += t->api.status == OPERATOR_BROWSER_STATUS_PENDING;
    }
    for (size_t i = 0; i < b->slot_count && !reply->has_sidecar_pid; i++) {
        pid_t pid = b->slots[i].sidecar ? sidecar_pid(b->slots[i].sidecar) : 0;
        reply->has_sidecar_pid = pid > 0;
        reply->sidecar_pid = pid;
    }
    request_reply(q->request, 200, &operator_browser_status_reply_message, reply);
    free(q);
}

void browser_route_status(struct request *r, void *module)
{
    struct browser *b = ((struct operator_ *)module)->browser;
    struct asking *q = calloc(1, sizeof *q);
    struct error err = {0};
    if (!q) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    q->browser = b;
    q->request = r;
    q->reply.mode = browser_mode(b);
    q->reply.available = browser_available(b, &q->programs, &err) == 0;
    q->reply.reason = q->reply.available ? NULL : arena_strdup(request_arena(r), err.text);
    if (browser_has_sidecars(b))
        versions_ask(b->versions, &q->programs, status_reply, q);
    else
        status_reply(q);
}

/* ---- tasks ---- */

static void reply_task(struct browser *b, struct request *r, const char *id, int status)
{
    struct operator_browser_task task;
    struct error err = {0};
    int rc = browser_get(b, id, request_arena(r), &task, &err);
    if (rc == VX11_ENOT_FOUND)
        request_fail(r, 404, "task_not_found", "id", "%s", err.text);
    else if (rc != 0)
        request_fail_error(r, &err);
    else
        request_reply(r, status, &operator_browser_task_message, &task);
}

void browser_route_add(struct request *r, void *module)
{
    struct browser *b = ((struct operator_ *)module)->browser;
    struct browser_refusal why;
    char id[ULID_LEN + 1];
    const char *key = request_header(r, "Idempotency-Key");
    if (key && (strlen(key) == 0 || strlen(key) > 255)) {
        request_fail(r, 422, "invalid_idempotency_key", NULL, "an Idempotency-Key has 1 to 255 characters");
        return;
    }
    const struct browser_wish wish = {.request = request_body(r), .key = key, .by = request_principal(r)};
    if (browser_ask(b, &wish, id, &why) == 0) {
        reply_task(b, r, id, 202);
        return;
    }
    if (why.status == 429)
        request_retry_after(r, 5000);
    request_fail(r, why.status, why.code, NULL, "%s", why.text);
}

void browser_route_list(struct request *r, void *module)
{
    struct browser *b = ((struct operator_ *)module)->browser;
    struct operator_browser_task_list reply;
    struct error err = {0};
    if (task_rows_list(b, request_params(r), request_arena(r), &reply, &err) != 0)
        request_fail_error(r, &err);
    else
        request_reply(r, 200, &operator_browser_task_list_message, &reply);
}

void browser_route_get(struct request *r, void *module)
{
    const struct operator_browser_task_id *p = request_params(r);
    reply_task(((struct operator_ *)module)->browser, r, p->id, 200);
}

void browser_route_cancel(struct request *r, void *module)
{
    struct browser *b = ((struct operator_ *)module)->browser;
    const struct operator_browser_task_id *p = request_params(r);
    struct error err = {0};
    int rc = browser_cancel(b, p->id, &err);
    if (rc == VX11_ENOT_FOUND)
        request_fail(r, 404, "task_not_found", "id", "%s", err.text);
    else if (rc == VX11_EBUSY)
        request_fail(r, 409, "task_ended", "id", "%s", err.text);
    else if (rc != 0)
        request_fail_error(r, &err);
    else
        reply_task(b, r, p->id, 200);
}

/* ---- events ---- */

static void send_task(struct request *r, const struct operator_browser_task *task)
{
    struct buf text = BUF_INIT;
    if (operator_browser_task_serialize(task, &text) == 0)
        (void)request_stream_event(r, "task", NULL, text.data, text.len);
    buf_free(&text);
}

static void watch_cancelled(struct request *r, void *ctx, int reason)
{
    struct watcher *w = ctx, **at = &w->task->watchers;
    (void)reason;
    while (*at && *at != w)
        at = &(*at)->next;
    if (*at)
        *at = w->next;
    free(w);
    request_stream_abort(r);
}

void browser_route_events(struct request *r, void *module)
{
    struct browser *b = ((struct operator_ *)module)->browser;
    const struct operator_browser_task_id *p = request_params(r);
    struct operator_browser_task task;
    struct error err = {0};
    int rc = browser_get(b, p->id, request_arena(r), &task, &err);
    struct task *t = browser_find(b, p->id);
    struct watcher *w = calloc(1, sizeof *w);
    if (rc != 0 || !w) {
        free(w);
        if (rc == VX11_ENOT_FOUND)
            request_fail(r, 404, "task_not_found", "id", "%s", err.text);
        else if (rc != 0)
            request_fail_error(r, &err);
        else
            request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    if (request_stream_begin(r, 200, NULL) != 0) {
        free(w);
        request_stream_abort(r);
        return;
    }
    send_task(r, &task);
    if (!t) { /* it has ended */
        free(w);
        request_stream_end(r);
        return;
    }
    *w = (struct watcher){.next = t->watchers, .task = t, .request = r};
    t->watchers = w;
    request_on_cancel(r, watch_cancelled, w);
}

/* ---- screenshots ---- */

void browser_route_screenshot(struct request *r, void *module)
{
    struct browser *b = ((struct operator_ *)module)->browser;
    const struct operator_browser_task_id *p = request_params(r);
    char path[PATH_MAX + 64];
    const char *type;
    struct buf data = BUF_INIT;
    struct error err = {0};
    size_t len;
    int rc = shot_find(b, p->id, path, sizeof path, &type, &err);
    if (rc == 0)
        rc = fs_read_file(path, (size_t)1 << 26, &data, &err);
    if (rc != 0) {
        buf_free(&data);
        if (rc == VX11_ENOT_FOUND)
            request_fail(r, 404, "screenshot_not_found", "id", "there is no screenshot %s", p->id);
        else
            request_fail_error(r, &err);
        return;
    }
    (void)request_reply_header(r, "X-Content-Type-Options", "nosniff");
    (void)request_reply_header(r, "Cache-Control", "private, max-age=86400, immutable");
    (void)request_reply_header(r, "Content-Security-Policy", "default-src 'none'; sandbox");
    char *bytes = buf_detach(&data, &len);
    request_reply_bytes(r, 200, type, bytes, len, true);
}
