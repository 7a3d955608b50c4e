/* One call of a tool at a time for each task. A dialog (alert, confirm, a file chooser) that the page opened
 * keeps every other tool from working: it is answered before the next call, and a call that it stopped is
 * made once more. An alert is closed, a question is answered with no, a file chooser with no file. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "operator/browser/browser_internal.h"

#define CRASH_MS 400 /* for the news that the process has ended, after a connection broke */

static void tool_send(struct task *t);

static void deliver(struct task *t, const struct mcp_result *r, const struct error *err)
{
    void (*then)(struct task * t, const struct mcp_result *r, const struct error *err) = t->then;
    t->then = NULL;
    then(t, r, err);
}

/* ---- a connection that broke ---- */

static void on_crash_timer(uv_timer_t *timer)
{
    struct task *t = timer->data;
    task_end(t, OPERATOR_BROWSER_STATUS_ERROR, "browser_crashed",
             t->failure ? t->failure : "the connection to the browser's sidecar broke");
}

static void broken(struct task *t, const struct error *err)
{
    t->failure = arena_strdup(t->arena, err->text);
    if (t->slot->sidecar)
        task_wait(t, CRASH_MS, on_crash_timer); /* its end tells more than the connection's */
    else
        task_end(t, OPERATOR_BROWSER_STATUS_ERROR,
                 err->code == VX11_ECLOSED ? "browser_crashed" : "browser_unavailable", err->text);
}

/* ---- answers ---- */

static void on_modal(void *ctx, struct arena *a, yyjson_val *result, const struct error *err)
{
    struct task *t = ctx;
    (void)a;
    (void)result;
    t->call = NULL;
    t->modal = PAGE_MODAL_NONE;
    if (err && err->code != VX11_EINVALID && err->code != VX11_ECORRUPT)
        broken(t, err);
    else
        tool_send(t);
}

static void on_tool(void *ctx, struct arena *a, yyjson_val *value, const struct error *err)
{
    struct task *t = ctx;
    struct mcp_result r;
    struct error bad = {0};
    t->call = NULL;
    if (err && (err->code == VX11_ECLOSED || err->code == VX11_EUNAVAILABLE || err->code == VX11_EIO)) {
        broken(t, err);
        return;
    }
    if (!err &&
        mcp_result_read(a, value, (size_t)browser_config(t->all)->max_screenshot_bytes, &r, &bad) != 0)
        err = &bad;
    if (err) {
        t->hung = t->hung || err->code == VX11_ETIMEOUT;
        deliver(t, NULL, err);
        return;
    }
    if (page_modal(r.text) != PAGE_MODAL_NONE)
        t->modal = page_modal(r.text);
    if (r.failed && page_blocked(r.text) && !t->retried) {
        t->retried = true;
        tool_send(t);
        return;
    }
    deliver(t, &r, NULL);
}

static void tool_send(struct task *t)
{
    struct buf params = BUF_INIT;
    const bool modal = t->modal != PAGE_MODAL_NONE;
    const char *tool = !modal                         ? t->tool.tool
                       : t->modal == PAGE_MODAL_FILES ? "browser_file_upload"
                                                      : "browser_handle_dialog";
    const char *args = !modal                         ? t->tool.args
                       : t->modal == PAGE_MODAL_FILES ? "{}"
                       : t->modal == PAGE_MODAL_ALERT ? "{\"accept\":true}"
                                                      : "{\"accept\":false}";
    (void)buf_printf(&params, "{\"name\":\"%s\",\"arguments\":%s}", tool, args);
    const struct mcp_request q = {.method = "tools/call",
                                  .params = params.data,
                                  .timeout_ms = t->tool_ms,
                                  .fn = modal ? on_modal : on_tool,
                                  .ctx = t};
    const bool sent = !params.failed && mcp_ask(t->mcp, &q, &t->call) == 0;
    buf_free(&params);
    if (!sent)
        task_end(t, OPERATOR_BROWSER_STATUS_ERROR, "browser_unavailable",
                 "the browser's sidecar could not be asked");
}

void task_tool(struct task *t, const char *tool, const char *args, int64_t ms,
               void (*then)(struct task *t, const struct mcp_result *r, const struct error *err))
{
    t->tool = (struct page_call){.tool = tool, .args = args};
    t->tool_ms = ms;
    t->then = then;
    t->retried = false;
    tool_send(t);
}

void task_wait(struct task *t, int64_t ms, uv_timer_cb fn)
{
    uv_update_time(t->all->loop);
    uv_timer_start(t->pause, fn, (uint64_t)(ms > 0 ? ms : 0), 0);
}
