/* One task as it runs: sidecar, URL, session, tools, then step after step, then what the page is in the end.
 * Each function starts one thing and names the one that goes on; task_end can come between any two. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "operator/browser/browser_internal.h"

#define MARGIN_MS  5000 /* what the server may take over its own timeouts */
#define WAIT_MS    10000
#define LOOK_MS    250
#define WAIT_PIECE 2000

static void step_next(struct task *t);
static void collect(struct task *t);

static int64_t action_ms(const struct task *t)
{
    return browser_config(t->all)->action_timeout_ms + MARGIN_MS;
}

static int64_t navigation_ms(const struct task *t)
{
    return browser_config(t->all)->navigation_timeout_ms + MARGIN_MS;
}

/* ---- the end ---- */

static void handle_free(uv_handle_t *h)
{
    free(h);
}

static void timer_drop(uv_timer_t **timer)
{
    if (*timer)
        uv_close((uv_handle_t *)*timer, handle_free);
    *timer = NULL;
}

static void on_session_closed(void *ctx)
{
    slot_free(ctx);
}

/* The sidecar of a task that did not end by itself may be in the middle of anything: it goes too. */
static void let_go(struct task *t, bool well)
{
    struct slot *s = t->slot;
    if (!s)
        return;
    s->task = NULL;
    s->ending = true;
    t->slot = NULL;
    if (s->sidecar) {
        sidecar_forget(s->sidecar);
        if (!well)
            sidecar_kill(s->sidecar);
        else if (t->mcp)
            sidecar_good(s->sidecar);
    }
    if (t->mcp)
        mcp_close(t->mcp, on_session_closed, s);
    else
        slot_free(s);
    t->mcp = NULL;
}

void task_end(struct task *t, int status, const char *code, const char *reason)
{
    struct browser *b = t->all;
    if (t->ended)
        return;
    t->ended = true;
    t->then = NULL;
    t->api.status = status;
    t->api.error_code = arena_strdup(t->arena, code);
    t->api.error = arena_strdup(t->arena, reason);
    t->api.has_ended_at = true;
    t->api.ended_at = clock_wall_ms();
    if (t->api.steps && t->api.steps_count > 0) {
        struct operator_browser_step *step = &t->api.steps[t->api.steps_count - 1];
        if (step->status == OPERATOR_BROWSER_STEP_STATUS_RUNNING) {
            step->status = OPERATOR_BROWSER_STEP_STATUS_ERROR;
            step->error = t->api.error;
            step->has_duration_ms = true;
            step->duration_ms = (double)(clock_mono_ms() - t->step_from);
        }
    }
    if (t->check)
        egress_check_cancel(t->check);
    t->check = NULL;
    timer_drop(&t->deadline);
    timer_drop(&t->pause);
    let_go(t, !t->hung && (status == OPERATOR_BROWSER_STATUS_DONE || str_eq(code, "step_failed") ||
                           str_eq(code, "navigation_failed") || str_eq(code, "url_refused")));
    task_row_update(t);
    log_info("browser", "a task has ended", LOG_S("task", t->api.id),
             LOG_S("status", operator_browser_status_names[status]), LOG_S("reason", reason ? reason : ""));
    task_unlink(t);
    task_tell(t);
    if (t->done) {
        struct operator_browser_task show;
        task_show(t, &show);
        t->done(t->done_ctx, &show);
    }
    task_free(t);
    shots_tidy(b, false);
    browser_schedule(b);
}

/* Whether it went wrong while it ran: the step's error, or the policy's. */
static void finish(struct task *t)
{
    if (t->failure)
        task_end(t, OPERATOR_BROWSER_STATUS_ERROR, t->failure_code, t->failure);
    else
        task_end(t, OPERATOR_BROWSER_STATUS_DONE, NULL, NULL);
}

/* ---- the URL policy, after the fact ---- */

/* Of a tunnel only host and port are known. */
static bool refusal_is_of(const struct egress_refusal *r, const char *url)
{
    char with_port[300], without[300];
    if (!str_starts(r->url, "https://"))
        return str_starts(url, r->url);
    const bool v6 = strchr(r->host, ':') != NULL;
    (void)snprintf(without, sizeof without, "://%s%.255s%s", v6 ? "[" : "", r->host, v6 ? "]" : "");
    (void)snprintf(with_port, sizeof with_port, "%.280s:%d/", without, r->port);
    (void)snprintf(without + strlen(without), sizeof without - strlen(without), "/");
    const char *rest = strstr(url, "://");
    return rest && (str_starts(rest, with_port) ||
                    (str_starts(rest, without) && r->port == (str_starts(url, "https") ? 443 : 80)));
}

/* Of the page itself, not of a part of it, since the step began: then the page is the proxy's answer, or
 * Chromium's for a tunnel that it did not get. NULL: none. */
static const struct egress_refusal *page_refused(const struct task *t, const struct page_facts *facts)
{
    const bool tunnel = (facts->url && str_starts(facts->url, "chrome-error:")) ||
                        (t->failure && strstr(t->failure, "ERR_TUNNEL_CONNECTION_FAILED"));
    for (size_t i = t->refusal_count; i > t->refusals_before; i--) {
        const struct egress_refusal *r = &t->refusals[i - 1];
        if (tunnel || (facts->status == 403 && facts->url && refusal_is_of(r, facts->url)))
            return r;
    }
    return NULL;
}

/* The step after which it was seen is the one that led there, whatever the browser said of it. */
static void refused_end(struct task *t, const char *text)
{
    struct operator_browser_step *step = t->api.steps_count > t->at ? &t->api.steps[t->at] : NULL;
    if (step && step->status == OPERATOR_BROWSER_STEP_STATUS_OK) {
        step->status = OPERATOR_BROWSER_STEP_STATUS_ERROR;
        step->error = arena_strdup(t->arena, text);
    }
    task_end(t, OPERATOR_BROWSER_STATUS_ERROR, "url_refused", text);
}

static void on_checked_page(void *ctx, const struct egress_target *target, const struct egress_verdict *v)
{
    struct task *t = ctx;
    (void)target;
    t->check = NULL;
    if (v->code != EGRESS_ALLOWED && v->code != EGRESS_UNRESOLVED)
        refused_end(t, v->text);
    else if (t->failure)
        collect(t);
    else
        step_next(t);
}

static void step_over(struct task *t)
{
    if (t->failure)
        collect(t);
    else
        step_next(t);
}

static void on_facts(struct task *t, const struct mcp_result *r, const struct error *err)
{
    struct page_facts facts = {0};
    const char *json;
    struct error bad;
    if (!err && !r->failed && page_value(r->text, STEP_BYTES, t->arena, &json, &bad) == 0)
        (void)page_facts(json, t->arena, &facts, &bad);
    const struct egress_refusal *refusal = page_refused(t, &facts);
    if (refusal) {
        refused_end(t, refusal->text);
        return;
    }
    /* Elsewhere there is no proxy of ours: what it shows is judged after it was asked for. */
    if (t->all->kind != BROWSER_LOCAL && facts.url &&
        (str_starts(facts.url, "http://") || str_starts(facts.url, "https://")) &&
        egress_check_start(t->all->loop, t->all->policy, facts.url, on_checked_page, t, &t->check) == 0)
        return;
    step_over(t);
}

/* ---- steps ---- */

static struct operator_browser_step *step_now(struct task *t)
{
    return &t->api.steps[t->api.steps_count - 1];
}

static void skip_rest(struct task *t)
{
    for (size_t i = t->api.steps_count; i <= t->request.actions_count; i++) {
        const struct operator_browser_action *x = &t->request.actions[i - 1];
        t->api.steps[t->api.steps_count++] =
            (struct operator_browser_step){.index = (int64_t)i,
                                           .do_ = operator_browser_action_do_names[x->do_],
                                           .target = x->target,
                                           .status = OPERATOR_BROWSER_STEP_STATUS_SKIPPED};
    }
}

void task_step_done(struct task *t, const char *error)
{
    struct operator_browser_step *step = step_now(t);
    const bool optional = t->at > 0 && t->request.actions[t->at - 1].optional;
    step->status = error ? OPERATOR_BROWSER_STEP_STATUS_ERROR : OPERATOR_BROWSER_STEP_STATUS_OK;
    step->error = error;
    step->has_duration_ms = true;
    step->duration_ms = (double)(clock_mono_ms() - t->step_from);
    if (error && !optional) {
        t->failure =
            t->at == 0 ? error : arena_printf(t->arena, "step %zu (%s): %s", t->at, step->do_, error);
        t->failure_code = t->at == 0 || str_eq(step->do_, "navigate") ? "navigation_failed" : "step_failed";
        skip_rest(t);
    }
    task_row_update(t);
    task_tell(t);
    if (t->all->kind != BROWSER_LOCAL || t->refusal_count > t->refusals_before)
        task_tool(t, "browser_evaluate", page_facts_call, action_ms(t), on_facts);
    else
        step_over(t);
}

static int keep_json(struct task *t, const char *json, struct error *err)
{
    struct contract_error bad;
    yyjson_val *value;
    const size_t len = strlen(json);
    if (t->result_bytes + len > STEPS_BYTES)
        return error_set(err, VX11_ETOO_LARGE, "the steps' results are larger than %d bytes", STEPS_BYTES);
    if (contract_json_parse(t->arena, json, len, NULL, &value, &bad) != 0)
        return error_set(err, VX11_ECORRUPT, "the result is no JSON: %.200s", bad.text);
    t->result_bytes += len;
    step_now(t)->result = value;
    return 0;
}

static int keep_text(struct task *t, const char *text, struct error *err)
{
    struct buf b = BUF_INIT;
    int rc = buf_put_json_string(&b, text, strlen(text));
    if (rc == 0)
        rc = keep_json(t, b.data, err);
    buf_free(&b);
    return rc;
}

/* What a step gave, beyond that it worked. */
static int keep_result(struct task *t, const struct operator_browser_action *x, const struct mcp_result *r,
                       struct error *err)
{
    const char *text;
    int rc;
    switch (x->do_) {
    case OPERATOR_BROWSER_ACTION_DO_EVALUATE:
    case OPERATOR_BROWSER_ACTION_DO_TEXT:
        rc = page_value(r->text, STEP_BYTES, t->arena, &text, err);
        return rc == 0 ? keep_json(t, text, err) : rc;
    case OPERATOR_BROWSER_ACTION_DO_SNAPSHOT:
        text = page_snapshot(r->text, STEP_BYTES, t->arena);
        return text ? keep_text(t, text, err) : error_set(err, VX11_ECORRUPT, "the browser gave no snapshot");
    case OPERATOR_BROWSER_ACTION_DO_SCREENSHOT:
        return shot_add(t, r, &step_now(t)->screenshot, err);
    default:
        return 0;
    }
}

static void on_step(struct task *t, const struct mcp_result *r, const struct error *err)
{
    static const struct operator_browser_action first = {.do_ = OPERATOR_BROWSER_ACTION_DO_NAVIGATE};
    const struct operator_browser_action *x = t->at == 0 ? &first : &t->request.actions[t->at - 1];
    struct error bad = {0};
    if (err)
        task_step_done(t, arena_strdup(t->arena, err->text));
    else if (r->failed)
        task_step_done(t, page_error(r->text, t->arena));
    else if (keep_result(t, x, r, &bad) != 0)
        task_step_done(t, arena_strdup(t->arena, bad.text));
    else
        task_step_done(t, NULL);
}

/* ---- waiting for something ---- */

static void wait_look(struct task *t);

static void on_look_timer(uv_timer_t *timer)
{
    wait_look(timer->data);
}

static void on_pause_over(uv_timer_t *timer)
{
    task_step_done(timer->data, NULL);
}

static void on_look(struct task *t, const struct mcp_result *r, const struct error *err)
{
    const struct operator_browser_action *x = &t->request.actions[t->at - 1];
    if (!err && !r->failed) {
        task_step_done(t, NULL);
    } else if (clock_mono_ms() >= t->wait_until) {
        task_step_done(
            t, arena_printf(t->arena, "\"%.200s\" did not appear in time", x->text ? x->text : x->target));
    } else {
        task_wait(t, LOOK_MS, on_look_timer);
    }
}

/* A text is waited for by a script, so that the bound is ours; a target by looking whether it is there. */
static void wait_look(struct task *t)
{
    const struct operator_browser_action *x = &t->request.actions[t->at - 1];
    struct buf b = BUF_INIT;
    if (x->text) {
        struct buf word = BUF_INIT;
        (void)buf_put_json_string(&word, x->text, strlen(x->text));
        (void)buf_puts(&b, "() => { if (!document.body || !document.body.innerText.includes(");
        (void)buf_append(&b, word.data ? word.data : "\"\"", word.data ? word.len : 2);
        (void)buf_puts(&b, ")) throw new Error('not there'); }");
        struct buf args = BUF_INIT;
        (void)buf_puts(&args, "{\"function\":");
        (void)buf_put_json_string(&args, b.data ? b.data : "", b.len);
        (void)buf_putc(&args, '}');
        const char *copy = args.failed || b.failed ? NULL : arena_strndup(t->arena, args.data, args.len);
        buf_free(&word);
        buf_free(&args);
        buf_free(&b);
        task_tool(t, "browser_evaluate", copy ? copy : "{}", action_ms(t), on_look);
        return;
    }
    (void)buf_puts(&b, "{\"depth\":1,\"target\":");
    (void)buf_put_json_string(&b, page_target(x->target), strlen(page_target(x->target)));
    (void)buf_putc(&b, '}');
    const char *args = b.failed ? NULL : arena_strndup(t->arena, b.data, b.len);
    buf_free(&b);
    task_tool(t, "browser_snapshot", args ? args : "{}", action_ms(t), on_look);
}

static void step_wait(struct task *t, const struct operator_browser_action *x)
{
    if (!x->text && !x->target) {
        task_wait(t, x->ms, on_pause_over);
        return;
    }
    t->wait_until = clock_mono_ms() + (x->has_ms ? x->ms : WAIT_MS);
    wait_look(t);
}

/* ---- doing a step ---- */

static void step_do(struct task *t, const struct operator_browser_action *x)
{
    struct page_call call;
    struct egress_verdict v;
    struct error err = {0};
    if (page_call(x, t->arena, &call, &err) != 0) {
        task_step_done(t, arena_strdup(t->arena, err.text));
    } else if (x->do_ == OPERATOR_BROWSER_ACTION_DO_NAVIGATE &&
               !egress_url_check(t->all->policy, x->url, false, NULL, &v)) {
        refused_end(t, v.text);
    } else {
        const bool goes =
            x->do_ == OPERATOR_BROWSER_ACTION_DO_NAVIGATE || x->do_ == OPERATOR_BROWSER_ACTION_DO_BACK;
        task_tool(t, call.tool, call.args, goes ? navigation_ms(t) : action_ms(t), on_step);
    }
}

static void on_focused(struct task *t, const struct mcp_result *r, const struct error *err)
{
    if (err || r->failed)
        on_step(t, r, err);
    else
        step_do(t, &t->request.actions[t->at - 1]);
}

/* A key goes to what has the focus: the target first gets it. */
static void step_press(struct task *t, const struct operator_browser_action *x)
{
    struct buf b = BUF_INIT;
    (void)buf_puts(&b, "{\"function\":\"(el) => { el.focus(); }\",\"target\":");
    (void)buf_put_json_string(&b, page_target(x->target), strlen(page_target(x->target)));
    (void)buf_putc(&b, '}');
    const char *args = b.failed ? NULL : arena_strndup(t->arena, b.data, b.len);
    buf_free(&b);
    task_tool(t, "browser_evaluate", args ? args : "{}", action_ms(t), on_focused);
}

static void step_next(struct task *t)
{
    if (t->api.steps_count > t->request.actions_count) {
        collect(t);
        return;
    }
    t->at = t->api.steps_count;
    t->step_from = clock_mono_ms();
    t->refusals_before = t->refusal_count;
    struct operator_browser_action first = {.do_ = OPERATOR_BROWSER_ACTION_DO_NAVIGATE,
                                            .url = t->request.url};
    const struct operator_browser_action *x = t->at == 0 ? &first : &t->request.actions[t->at - 1];
    t->api.steps[t->api.steps_count++] = (struct operator_browser_step){
        .index = (int64_t)t->at,
        .do_ = operator_browser_action_do_names[x->do_],
        .target = x->do_ == OPERATOR_BROWSER_ACTION_DO_NAVIGATE ? x->url : x->target,
        .status = OPERATOR_BROWSER_STEP_STATUS_RUNNING,
        .has_started_at = true,
        .started_at = clock_wall_ms()};
    task_tell(t);
    if (x->do_ == OPERATOR_BROWSER_ACTION_DO_WAIT && (x->text || x->target || x->has_ms))
        step_wait(t, x);
    else if (x->do_ == OPERATOR_BROWSER_ACTION_DO_PRESS && x->target && x->text)
        step_press(t, x);
    else
        step_do(t, x);
}

/* ---- what the page is in the end ---- */

static void found_snippet(struct task *t, const char *text)
{
    size_t len = strlen(text);
    if (len > 500)
        len = utf8_valid_prefix(text, 500);
    t->found.text = text;
    t->found.text_snippet = arena_strndup(t->arena, text, len);
}

static void mark_refused(struct task *t)
{
    for (size_t i = 0; i < t->found.requests_count; i++) {
        struct operator_browser_request_log *q = &t->found.requests[i];
        for (size_t k = 0; k < t->refusal_count && !q->refused; k++) {
            const struct egress_refusal *r = &t->refusals[k];
            if (refusal_is_of(r, q->url) && (!q->has_status || q->status == 403))
                q->refused = r->text;
        }
    }
}

/* Where the proxy is not ours, what was asked for is looked at afterwards, as far as it can be. */
static const char *requests_judge(struct task *t)
{
    struct egress_verdict v;
    for (size_t i = 0; t->all->kind != BROWSER_LOCAL && i < t->found.requests_count; i++) {
        struct operator_browser_request_log *q = &t->found.requests[i];
        if ((str_starts(q->url, "http://") || str_starts(q->url, "https://")) &&
            !egress_url_check(t->all->policy, q->url, false, NULL, &v)) {
            q->refused = arena_strdup(t->arena, v.text);
            return q->refused;
        }
    }
    return NULL;
}

static void on_requests(struct task *t, const struct mcp_result *r, const struct error *err)
{
    const char *refused = NULL;
    if (!err && !r->failed) {
        (void)page_requests(r->text, REQUESTS_MOST, t->arena, &t->found.requests, &t->found.requests_count);
        mark_refused(t);
        refused = requests_judge(t);
    }
    if (refused)
        refused_end(t, refused);
    else
        finish(t);
}

static void on_console(struct task *t, const struct mcp_result *r, const struct error *err)
{
    if (!err && !r->failed)
        (void)page_errors(r->text, ERRORS_MOST, t->arena, &t->found.console_errors,
                          &t->found.console_errors_count);
    task_tool(t, "browser_network_requests", "{\"static\":true}", action_ms(t), on_requests);
}

static void collect_console(struct task *t)
{
    task_tool(t, "browser_console_messages", "{\"level\":\"error\",\"all\":true}", action_ms(t), on_console);
}

static void on_last_shot(struct task *t, const struct mcp_result *r, const struct error *err)
{
    const char *id;
    struct error bad = {0};
    if (!err && !r->failed && shot_add(t, r, &id, &bad) != 0)
        err = &bad;
    if (err || r->failed)
        log_info("browser", "a task has no last screenshot", LOG_S("task", t->api.id),
                 LOG_S("reason", err ? err->text : page_error(r->text, t->arena)));
    collect_console(t);
}

static void collect_shot(struct task *t)
{
    if (t->request.screenshot)
        task_tool(t, "browser_take_screenshot", "{\"type\":\"png\",\"scale\":\"css\",\"fullPage\":false}",
                  action_ms(t), on_last_shot);
    else
        collect_console(t);
}

static void on_snapshot(struct task *t, const struct mcp_result *r, const struct error *err)
{
    if (!err && !r->failed)
        t->found.snapshot = page_snapshot(r->text, SNAPSHOT_BYTES, t->arena);
    collect_shot(t);
}

static void on_last_facts(struct task *t, const struct mcp_result *r, const struct error *err)
{
    if (err && err->code == VX11_ETIMEOUT) { /* it would not answer the other questions either */
        finish(t);
        return;
    }
    struct page_facts facts = {0};
    const char *json;
    struct error bad;
    if (!err && !r->failed && page_value(r->text, (size_t)8 * PAGE_TEXT_MOST, t->arena, &json, &bad) == 0)
        (void)page_facts(json, t->arena, &facts, &bad);
    t->refusals_before = 0;
    const struct egress_refusal *refusal = page_refused(t, &facts);
    if (refusal) {
        refused_end(t, refusal->text);
        return;
    }
    t->api.result = &t->found;
    t->found.title = facts.title;
    t->found.final_url = facts.url && !str_starts(facts.url, "chrome-error:") ? facts.url : NULL;
    t->found.has_http_status = facts.status > 0;
    t->found.http_status = facts.status;
    if (facts.text)
        found_snippet(t, facts.text);
    if (t->request.snapshot)
        task_tool(t, "browser_snapshot", "{}", action_ms(t), on_snapshot);
    else
        collect_shot(t);
}

static void collect(struct task *t)
{
    task_tool(t, "browser_evaluate", page_finish_call, action_ms(t), on_last_facts);
}

/* ---- the start ---- */

static void on_tools(void *ctx, struct arena *a, yyjson_val *result, const struct error *err)
{
    struct task *t = ctx;
    struct mcp_tools tools = {0};
    const char *cursor;
    struct error bad = {0};
    t->call = NULL;
    if (!err && mcp_tools_read(a, result, &tools, &cursor, &bad) != 0)
        err = &bad;
    if (err) {
        task_end(t, OPERATOR_BROWSER_STATUS_ERROR, "browser_unavailable", err->text);
        return;
    }
    for (size_t i = 0; page_tools[i]; i++)
        if (!mcp_tools_have(&tools, page_tools[i])) {
            char why[300];
            (void)snprintf(why, sizeof why,
                           "the MCP server (%.60s %.60s) has no tool %s: it is not a known release of the "
                           "Playwright MCP server",
                           mcp_server(t->mcp)->name, mcp_server(t->mcp)->release, page_tools[i]);
            task_end(t, OPERATOR_BROWSER_STATUS_ERROR, "browser_unavailable", why);
            return;
        }
    step_next(t);
}

static void session_begin(struct task *t)
{
    struct error err = {0};
    const struct mcp_options o = {
        .client = module_client(t->all->module),
        .url = t->slot->sidecar ? sidecar_url(t->slot->sidecar) : t->all->url,
        .peer = "sidecar/playwright",
    };
    const struct mcp_request q = {
        .method = "tools/list", .timeout_ms = WAIT_MS, .repeat = true, .fn = on_tools, .ctx = t};
    if (mcp_create(&o, &t->mcp, &err) != 0 || mcp_ask(t->mcp, &q, &t->call) != 0)
        task_end(t, OPERATOR_BROWSER_STATUS_ERROR, "browser_unavailable",
                 err.text[0] ? err.text : "the browser could not be asked");
}

static void on_sidecar(void *ctx, const struct error *err)
{
    struct task *t = ctx;
    if (err)
        task_end(t, OPERATOR_BROWSER_STATUS_ERROR, "browser_unavailable", err->text);
    else
        session_begin(t);
}

static void on_checked(void *ctx, const struct egress_target *target, const struct egress_verdict *v)
{
    struct task *t = ctx;
    (void)target;
    t->check = NULL;
    if (v->code == EGRESS_UNRESOLVED)
        task_end(t, OPERATOR_BROWSER_STATUS_ERROR, "navigation_failed", v->text);
    else if (v->code != EGRESS_ALLOWED)
        refused_end(t, v->text);
    else if (t->slot->sidecar)
        sidecar_need(t->slot->sidecar, on_sidecar, t);
    else
        session_begin(t);
}

static void on_deadline(uv_timer_t *timer)
{
    struct task *t = timer->data;
    char why[100];
    (void)snprintf(why, sizeof why, "it did not end within %lld ms", (long long)t->api.timeout_ms);
    task_end(t, OPERATOR_BROWSER_STATUS_TIMEOUT, "timeout", why);
}

static uv_timer_t *timer_make(struct task *t)
{
    uv_timer_t *timer = malloc(sizeof *timer);
    if (timer) {
        uv_timer_init(t->all->loop, timer);
        timer->data = t;
    }
    return timer;
}

void task_run(struct task *t, struct slot *slot)
{
    t->slot = slot;
    slot->task = t;
    t->api.status = OPERATOR_BROWSER_STATUS_RUNNING;
    t->api.has_started_at = true;
    t->api.started_at = clock_wall_ms();
    t->deadline = timer_make(t);
    t->pause = timer_make(t);
    t->refusals = calloc(REFUSALS_MOST, sizeof *t->refusals);
    if (!t->deadline || !t->pause || !t->refusals) {
        task_end(t, OPERATOR_BROWSER_STATUS_ERROR, "browser_unavailable", "out of memory");
        return;
    }
    task_row_update(t);
    task_tell(t);
    uv_update_time(t->all->loop);
    uv_timer_start(t->deadline, on_deadline, (uint64_t)t->api.timeout_ms, 0);
    if (egress_check_start(t->all->loop, t->all->policy, t->request.url, on_checked, t, &t->check) != 0)
        task_end(t, OPERATOR_BROWSER_STATUS_ERROR, "browser_unavailable", "out of memory");
}
