/* Run: carries a call of a tool out. All but the browser are reads of another module, or of ourselves, over
 * its socket and as the person who chats: a tool shows the model nothing that this person may not see. */
#include "operator/tools/tools.h"

#include <stdlib.h>
#include <string.h>

#include "api/link.h"
#include "api/switch.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/ulid.h"
#include "operator/browser/browser.h"

enum { MESSAGE_MOST = 2000, REPLY_MOST = 8 << 20 };

struct tool_run {
    struct tool_wish wish;
    struct client_call *call;
    char task[ULID_LEN + 1]; /* of the browser; "": none */
};

static void run_end(struct tool_run *run, const char *result, size_t len, const struct error *err)
{
    tool_done_fn fn = run->wish.fn;
    void *ctx = run->wish.ctx;
    free(run);
    if (fn)
        fn(ctx, result, len, err);
}

static void run_fail(struct tool_run *run, int code, const char *text)
{
    struct error err = {0};
    error_set(&err, code, "%s", text);
    run_end(run, NULL, 0, &err);
}

/* What does not fit is cut, and says so; still JSON. */
static void run_give(struct tool_run *run, const struct buf *json)
{
    struct buf cut = BUF_INIT;
    if (json->failed) {
        run_fail(run, VX11_ENOMEM, "out of memory for the result");
        return;
    }
    if (json->len <= run->wish.most) {
        run_end(run, json->data, json->len, NULL);
        return;
    }
    size_t keep = utf8_valid_prefix(json->data, run->wish.most);
    buf_puts(&cut, "{\"cut\":true,\"beginning\":");
    buf_put_json_string(&cut, json->data, keep);
    if (buf_putc(&cut, '}') == 0)
        run_end(run, cut.data, cut.len, NULL);
    else
        run_fail(run, VX11_ENOMEM, "out of memory for the result");
    buf_free(&cut);
}

/* ---- what a model needs of a reply ---- */

static void put_string(struct buf *out, const char *key, yyjson_val *value, size_t most)
{
    const char *text = yyjson_get_str(value);
    size_t len = yyjson_get_len(value);
    buf_printf(out, "\"%s\":", key);
    if (!text)
        buf_puts(out, "null");
    else
        buf_put_json_string(out, text, len <= most ? len : utf8_valid_prefix(text, most));
}

static void shape_models(yyjson_val *root, struct buf *out)
{
    yyjson_val *model;
    size_t i, n;
    buf_puts(out, "{\"models\":[");
    yyjson_arr_foreach(yyjson_obj_get(root, "data"), i, n, model)
    {
        buf_puts(out, i ? ",{" : "{");
        put_string(out, "name", yyjson_obj_get(model, "id"), 512);
        buf_putc(out, ',');
        put_string(out, "provider", yyjson_obj_get(model, "owned_by"), 64);
        buf_putc(out, '}');
    }
    buf_puts(out, "]}");
}

static void shape_session(yyjson_val *root, struct buf *out)
{
    yyjson_val *message;
    size_t i, n;
    buf_putc(out, '{');
    put_string(out, "title", yyjson_obj_get(yyjson_obj_get(root, "session"), "title"), 200);
    buf_puts(out, ",\"messages\":[");
    yyjson_arr_foreach(yyjson_obj_get(root, "messages"), i, n, message)
    {
        buf_puts(out, i ? ",{" : "{");
        put_string(out, "role", yyjson_obj_get(message, "role"), 16);
        buf_putc(out, ',');
        put_string(out, "status", yyjson_obj_get(message, "status"), 16);
        buf_putc(out, ',');
        put_string(out, "content", yyjson_obj_get(message, "content"), MESSAGE_MOST);
        buf_putc(out, '}');
    }
    buf_puts(out, "]}");
}

static void shape(const struct tool *t, const struct client_reply *reply, struct buf *out)
{
    const bool models = str_eq(t->name, "list_models"), session = str_eq(t->name, "read_session");
    yyjson_doc *doc = models || session ? yyjson_read(reply->body, reply->body_len, 0) : NULL;
    if (doc && models)
        shape_models(yyjson_doc_get_root(doc), out);
    else if (doc)
        shape_session(yyjson_doc_get_root(doc), out);
    else
        buf_append(out, reply->body, reply->body_len);
    yyjson_doc_free(doc);
}

static void on_reply(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct tool_run *run = ctx;
    struct buf json = BUF_INIT;
    (void)call;
    run->call = NULL;
    if (!run->wish.fn) {
        free(run);
    } else if (reply->result != 0 || reply->status != 200) {
        run_fail(run, reply->result ? reply->result : VX11_EUNAVAILABLE,
                 reply->error.text[0] ? reply->error.text : "it was refused");
    } else if (!reply->message) {
        run_fail(run, VX11_ECORRUPT, "the answer does not fit its contract");
    } else {
        shape(run->wish.tool, reply, &json);
        run_give(run, &json);
    }
    buf_free(&json);
}

/* ---- the browser ---- */

static void on_task(void *ctx, const struct operator_browser_task *task)
{
    struct tool_run *run = ctx;
    struct buf json = BUF_INIT;
    const struct operator_browser_result *x = task->result;
    if (task->status != OPERATOR_BROWSER_STATUS_DONE || !x) {
        run_fail(run, VX11_EUNAVAILABLE, task->error ? task->error : "the browser did not get there");
        return;
    }
    const char *text = x->text ? x->text : x->text_snippet ? x->text_snippet : "";
    size_t len = strlen(text), most = run->wish.most / 2;
    bool cut = len > most;
    buf_puts(&json, "{\"task_id\":");
    buf_put_json_string(&json, task->id, strlen(task->id));
    buf_puts(&json, ",\"url\":");
    buf_put_json_string(&json, x->final_url ? x->final_url : task->url,
                        strlen(x->final_url ? x->final_url : task->url));
    buf_puts(&json, ",\"title\":");
    buf_put_json_string(&json, x->title ? x->title : "", x->title ? strlen(x->title) : 0);
    if (x->has_http_status)
        buf_printf(&json, ",\"http_status\":%lld", (long long)x->http_status);
    buf_printf(&json, ",\"cut\":%s,\"text\":", cut ? "true" : "false");
    buf_put_json_string(&json, text, cut ? utf8_valid_prefix(text, most) : len);
    buf_putc(&json, '}');
    run_give(run, &json);
    buf_free(&json);
}

static int start_browser(struct tool_run *run, struct error *err)
{
    const struct tool_wish *w = &run->wish;
    struct operator_browser_request request;
    struct browser_refusal why = {0};
    if (!w->o->browser)
        return error_set(err, VX11_EUNAVAILABLE, "there is no browser here");
    if (operator_browser_request_init(request_arena(w->r), &request) != 0)
        return error_set(err, VX11_ENOMEM, "out of memory");
    request.url = yyjson_get_str(yyjson_obj_get(w->args, "url"));
    request.session_id = w->session_id;
    request.has_timeout_ms = true;
    request.timeout_ms = w->timeout_ms;
    const struct browser_wish wish = {
        .request = &request, .by = request_principal(w->r), .done = on_task, .ctx = run};
    if (browser_ask(w->o->browser, &wish, run->task, &why) == 0)
        return 0;
    run->task[0] = '\0';
    return error_set(err, VX11_EUNAVAILABLE, "%s", why.text);
}

/* ---- the others ---- */

static int start_read(struct tool_run *run, struct error *err)
{
    const struct tool_wish *w = &run->wish;
    yyjson_val *limit = yyjson_obj_get(w->args, "limit");
    const struct operator_search_params search = {.q = yyjson_get_str(yyjson_obj_get(w->args, "query")),
                                                  .limit = limit ? yyjson_get_sint(limit) : 5};
    const struct operator_session_detail_params session = {
        .id = yyjson_get_str(yyjson_obj_get(w->args, "session_id")),
        .limit = limit ? yyjson_get_sint(limit) : 20};
    const struct {
        const char *tool, *peer;
        const struct contract_route *route;
        const void *params;
    } reads[] = {
        {"system_status", "link", &link_routes[LINK_ROUTE_STATUS], NULL},
        {"list_models", "switch", &switch_routes[SWITCH_ROUTE_MODELS], NULL},
        {"search_sessions", "operator", &operator_routes[OPERATOR_ROUTE_SEARCH], &search},
        {"read_session", "operator", &operator_routes[OPERATOR_ROUTE_SESSIONS_GET], &session},
    };
    struct client_call_options options;
    module_call_options(w->r, &options);
    const int64_t until = clock_mono_ms() + w->timeout_ms;
    if (options.deadline_ms == 0 || until < options.deadline_ms)
        options.deadline_ms = until;
    options.max_reply = REPLY_MOST;
    for (size_t i = 0; i < COUNT_OF(reads); i++)
        if (str_eq(reads[i].tool, w->tool->name)) {
            int rc =
                client_call_route(module_client(w->o->m), module_peer(w->o->m, reads[i].peer), reads[i].route,
                                  reads[i].params, NULL, &options, on_reply, run, &run->call);
            return rc == 0
                       ? 0
                       : error_set(err, rc, "%s could not be asked: %s", reads[i].peer, error_describe(rc));
        }
    return error_set(err, VX11_EINTERNAL, "nobody carries %s out", w->tool->name);
}

int tool_start(const struct tool_wish *wish, struct tool_run **out, struct error *err)
{
    struct tool_run *run = calloc(1, sizeof *run);
    if (!run)
        return error_set(err, VX11_ENOMEM, "out of memory");
    run->wish = *wish;
    int rc = str_eq(wish->tool->name, "browser") ? start_browser(run, err) : start_read(run, err);
    if (rc == 0)
        *out = run;
    else
        free(run);
    return rc;
}

void tool_cancel(struct tool_run *run)
{
    struct error err = {0};
    run->wish.fn = NULL;
    if (run->call) {
        client_cancel(run->call); /* on_reply frees */
        return;
    }
    if (run->task[0]) {
        browser_forget(run->wish.o->browser, run->task);
        (void)browser_cancel(run->wish.o->browser, run->task, &err); /* it may have ended by itself */
    }
    free(run);
}
