/* Operator: start, routes, stop. The work is in the folders that operator_internal.h draws. */
#include "operator/operator_internal.h"

#include "operator/browser/browser.h"
#include "operator/chat/chat.h"
#include "operator/feedback/feedback.h"
#include "operator/panel/panel.h"
#include "operator/files/files.h"
#include "operator/intent/intent.h"
#include "operator/samples/samples.h"
#include "operator/sessions/sessions.h"
#include "operator/tools/tools.h"

#include <stdlib.h>

/* clang-format off */
static const request_handler operator_handlers[OPERATOR_ROUTE_COUNT] = {
    [OPERATOR_ROUTE_CHAT] = chat_on_post,
    [OPERATOR_ROUTE_SESSIONS_LIST] = sessions_on_list,
    [OPERATOR_ROUTE_SESSIONS_NEW] = sessions_on_new,
    [OPERATOR_ROUTE_SESSIONS_GET] = sessions_on_get,
    [OPERATOR_ROUTE_SESSION_GET] = sessions_on_get,
    [OPERATOR_ROUTE_SESSIONS_CHANGE] = sessions_on_change,
    [OPERATOR_ROUTE_SESSIONS_DELETE] = sessions_on_delete,
    [OPERATOR_ROUTE_SESSIONS_BRANCH] = sessions_on_branch,
    [OPERATOR_ROUTE_SESSIONS_EXPORT] = sessions_on_export,
    [OPERATOR_ROUTE_SESSIONS_STOP] = chat_on_stop,
    [OPERATOR_ROUTE_MESSAGES_RETRY] = chat_on_retry,
    [OPERATOR_ROUTE_MESSAGES_FEEDBACK] = feedback_on_put,
    [OPERATOR_ROUTE_MESSAGES_FEEDBACK_REMOVE] = feedback_on_delete,
    [OPERATOR_ROUTE_SEARCH] = sessions_on_search,
    [OPERATOR_ROUTE_TOOLS_LIST] = tools_on_list,
    [OPERATOR_ROUTE_TOOL_CALLS_GET] = tools_on_get,
    [OPERATOR_ROUTE_TOOL_CALLS_DECIDE] = chat_on_decision,
    [OPERATOR_ROUTE_TOOL_RECORD] = tools_on_record,
    [OPERATOR_ROUTE_SWITCH_FEEDBACK] = feedback_on_switch,
    [OPERATOR_ROUTE_ADJUSTMENTS_NEW] = adjustment_on_new,
    [OPERATOR_ROUTE_ADJUSTMENTS_LIST] = adjustment_on_list,
    [OPERATOR_ROUTE_FILES_ADD] = files_on_add,
    [OPERATOR_ROUTE_FILES_LIST] = files_on_list,
    [OPERATOR_ROUTE_FILES_GET] = files_on_get,
    [OPERATOR_ROUTE_FILES_CONTENT] = files_on_content,
    [OPERATOR_ROUTE_FILES_DELETE] = files_on_delete,
    [OPERATOR_ROUTE_INTENT] = intent_on_post,
    [OPERATOR_ROUTE_INTENT_CHAT] = intent_on_chat,
    [OPERATOR_ROUTE_INTENTS_LIST] = intent_on_list,
    [OPERATOR_ROUTE_MAP] = samples_map,
    [OPERATOR_ROUTE_METRICS_SERIES] = samples_chart,
    [OPERATOR_ROUTE_LOGS] = panel_logs,
    [OPERATOR_ROUTE_LOGS_EVENTS] = panel_logs_events,
    [OPERATOR_ROUTE_CONFIG] = panel_config,
    [OPERATOR_ROUTE_TOKENS_LIST] = panel_tokens_list,
    [OPERATOR_ROUTE_TOKENS_NEW] = panel_tokens_new,
    [OPERATOR_ROUTE_TOKENS_ROTATE] = panel_tokens_rotate,
    [OPERATOR_ROUTE_TOKENS_PROMOTE] = panel_tokens_promote,
    [OPERATOR_ROUTE_TOKENS_REVOKE] = panel_tokens_revoke,
    [OPERATOR_ROUTE_DATABASE] = panel_database,
    [OPERATOR_ROUTE_DATABASE_MAP] = panel_database_map,
    [OPERATOR_ROUTE_DATABASE_GROWTH] = panel_database_growth,
    [OPERATOR_ROUTE_BROWSER_STATUS] = browser_route_status,
    [OPERATOR_ROUTE_BROWSER_ADD] = browser_route_add,
    [OPERATOR_ROUTE_BROWSER_LIST] = browser_route_list,
    [OPERATOR_ROUTE_BROWSER_GET] = browser_route_get,
    [OPERATOR_ROUTE_BROWSER_CANCEL] = browser_route_cancel,
    [OPERATOR_ROUTE_BROWSER_EVENTS] = browser_route_events,
    [OPERATOR_ROUTE_BROWSER_SCREENSHOT] = browser_route_screenshot,
};
/* clang-format on */

static int operator_start(struct module *m, void **context, struct error *err)
{
    struct operator_ *o = calloc(1, sizeof *o);
    if (!o)
        return error_set(err, VX11_ENOMEM, "out of memory");
    *context = o;
    o->m = m;
    int rc = files_create(o, &o->files, err);
    if (rc == 0)
        rc = sessions_create(o, &o->sessions, err);
    if (rc == 0)
        rc = browser_create(m, &o->browser, err);
    if (rc == 0)
        rc = chat_create(o, &o->chat, err);
    if (rc == 0)
        rc = panel_create(o, &o->panel, err);
    return rc == 0 ? samples_start(o, &o->samples, err) : rc;
}

static void on_samples_stopped(void *ctx)
{
    operator_part_stopped(ctx);
}

static void on_browser_closed(void *ctx)
{
    operator_part_stopped(ctx);
}

static void operator_stopping(struct module *m, void *context)
{
    struct operator_ *o = context;
    (void)m;
    browser_end_streams(o->browser);
    panel_stopping(o->panel);
}

void operator_part_stopped(struct operator_ *o)
{
    if (--o->stopping_parts > 0 || !o->stopped)
        return;
    void (*stopped)(struct module * m) = o->stopped;
    o->stopped = NULL;
    stopped(o->m);
}

/* The parts end side by side; the guard keeps the count above zero until all were told. */
static void operator_stop(struct module *m, void *context, void (*done)(struct module *m))
{
    struct operator_ *o = context;
    (void)m;
    o->stopped = done;
    o->stopping_parts = 1;
    chat_stopping(o->chat);
    sessions_close(o->sessions);
    files_close(o->files);
    o->stopping_parts++;
    samples_stop(o->samples, on_samples_stopped, o);
    o->stopping_parts++;
    browser_close(o->browser, on_browser_closed, o);
    o->stopping_parts++;
    panel_stop(o->panel);
    operator_part_stopped(o);
}

static void operator_free(void *context)
{
    struct operator_ *o = context;
    samples_free(o->samples);
    chat_free(o->chat);
    panel_free(o->panel);
    sessions_free(o->sessions);
    files_free(o->files);
    free(o);
}

static void operator_health(void *context, struct health *h)
{
    struct operator_ *o = context;
    browser_health(o->browser, h);
}

static void operator_reload(struct module *m, void *context, const struct config *before,
                            const struct config *now)
{
    struct operator_ *o = context;
    (void)m;
    (void)before;
    (void)now;
    samples_reload(o->samples);
}

static size_t operator_listen(const struct config *config, struct server_listener *out, size_t max)
{
    if (max < 1)
        return 0;
    out[0] = (struct server_listener){.host = config->values->operator_->host,
                                      .port = (int)config->values->operator_->port};
    return 1;
}

const struct module_spec operator_spec = {
    .contract = &operator_module,
    .handlers = operator_handlers,
    .listen = operator_listen,
    .start = operator_start,
    .stopping = operator_stopping,
    .stop = operator_stop,
    .free = operator_free,
    .health = operator_health,
    .reload = operator_reload,
};
