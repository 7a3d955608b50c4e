/* POST /hermes/execute: one engine, by its name. A tool is run; a model is asked through its engine. Nothing
 * is chosen here, and nothing falls back: that is Switch's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/openai.h"
#include "base/clock.h"
#include "base/str.h"
#include "hermes/acquire.h"
#include "hermes/hermes_internal.h"
#include "hermes/tools/api.h"
#include "hermes/tools/prompt.h"
#include "hermes/tools/tools.h"

#define REPLY_MOST ((size_t)16 << 20)

struct asking {
    struct hermes *hermes;
    struct request *request; /* NULL: it was answered */
    const struct hermes_execute_request *body;
    int64_t began_mono, until_mono;
    struct tool_run *run;
    struct acquire *acquire;
    struct client_call *call;
    struct buf text; /* a tool's answer, or an engine's reply */
    int status;
    bool too_large, begun;
};

static void asking_free(struct asking *a)
{
    buf_free(&a->text);
    free(a);
}

static void answer(struct asking *a, int kind, const char *content, struct openai_usage *usage)
{
    const struct hermes_execute_reply reply = {.status = HERMES_EXECUTE_REPLY_STATUS_OK,
                                               .engine = a->body->engine,
                                               .kind = kind,
                                               .content = content,
                                               .usage = usage,
                                               .latency_ms = clock_mono_ms() - a->began_mono};
    struct request *r = a->request;
    a->request = NULL;
    request_reply(r, 200, &hermes_execute_reply_message, &reply);
}

static void __attribute__((format(printf, 5, 6)))
refuse(struct asking *a, int status, const char *code, int64_t retry_ms, const char *fmt, ...)
{
    char text[700];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    struct request *r = a->request;
    a->request = NULL;
    if (retry_ms >= 0)
        request_retry_after(r, retry_ms);
    request_fail(r, status, code, NULL, "%s", text);
}

static void on_cancel(struct request *r, void *ctx, int reason)
{
    struct asking *a = ctx;
    if (a->run)
        tool_run_cancel(a->run);
    if (a->acquire)
        acquire_cancel(a->acquire);
    a->request = NULL;
    request_fail(r, reason == VX11_ETIMEOUT ? 504 : 503, "cancelled", NULL, "there was no answer in time");
    if (a->call)
        client_cancel(a->call); /* its end frees */
    else
        asking_free(a);
}

/* ---- a tool ---- */

static void on_text(void *ctx, const char *text, size_t len)
{
    struct asking *a = ctx;
    (void)buf_append(&a->text, text, len); /* a failure sticks */
}

static void on_tool_done(void *ctx, const struct tool_outcome *o)
{
    struct asking *a = ctx;
    struct openai_usage usage = {.prompt_tokens = o->prompt_tokens,
                                 .completion_tokens = o->completion_tokens,
                                 .total_tokens = o->prompt_tokens + o->completion_tokens};
    a->run = NULL;
    if (o->status != 200)
        refuse(a, o->status, o->code, o->retry_after_ms, "%s", o->text);
    else if (a->text.failed)
        refuse(a, 500, "out_of_memory", -1, "out of memory");
    else
        answer(a, HERMES_EXECUTE_REPLY_KIND_TOOL, a->text.data,
               o->prompt_tokens >= 0 && o->completion_tokens >= 0 ? &usage : NULL);
    asking_free(a);
}

/* Whether it goes on later. */
static bool ask_tool(struct asking *a, struct tool *tool)
{
    struct tool_outcome refusal;
    struct buf prompt = BUF_INIT;
    struct error err = {0};
    const struct hermes_execute_request *q = a->body;
    int rc = q->messages_count > 0 ? prompt_render(q->messages, q->messages_count, &prompt, &err)
                                   : buf_puts(&prompt, q->prompt);
    if (rc != 0) {
        refuse(a, rc == VX11_ENOMEM ? 500 : 422, "invalid_messages", -1, "%s", err.text);
        buf_free(&prompt);
        return false;
    }
    const struct tool_run_request run = {.kind = TOOL_RUN_CHAT,
                                         .prompt = prompt.data,
                                         .prompt_len = prompt.len,
                                         .model = q->model,
                                         .principal = request_principal(a->request),
                                         .request_id = request_id(a->request),
                                         .timeout_ms = q->timeout_ms,
                                         .on_text = on_text,
                                         .on_done = on_tool_done,
                                         .ctx = a};
    rc = tool_run_start(a->hermes->tools, tool, &run, &a->run, &refusal);
    buf_free(&prompt);
    if (rc != 0)
        refuse(a, refusal.status, refusal.code, refusal.retry_after_ms, "%s", refusal.text);
    return rc == 0;
}

/* ---- a model ---- */

static void on_headers(struct client_call *call, void *ctx, int status)
{
    struct asking *a = ctx;
    (void)call;
    a->status = status;
}

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct asking *a = ctx;
    if (a->text.len + len <= REPLY_MOST && buf_append(&a->text, data, len) == 0)
        return;
    a->too_large = true;
    client_cancel(call);
}

static void take_reply(struct asking *a)
{
    struct openai_chat_reply reply;
    struct contract_error bad;
    struct arena *arena = request_arena(a->request);
    const char *text = a->text.data ? a->text.data : "";
    yyjson_val *root = NULL;
    if (a->status != 200) {
        (void)contract_json_parse(arena, text, a->text.len, NULL, &root, &bad);
        const char *said = yyjson_get_str(yyjson_obj_get(yyjson_obj_get(root, "error"), "message"));
        refuse(a, a->status >= 400 && a->status < 600 ? a->status : 502, "engine_refused", -1, "%s: %s",
               a->body->engine, said ? said : "its engine refused and did not say why");
        return;
    }
    if (openai_chat_reply_parse(arena, text, a->text.len, &reply, &bad) != 0 || reply.choices_count == 0 ||
        !reply.choices[0].message->content)
        refuse(a, 502, "engine_answer", -1, "%s: its engine's answer holds no text", a->body->engine);
    else
        answer(a, HERMES_EXECUTE_REPLY_KIND_MODEL, reply.choices[0].message->content, reply.usage);
}

static void on_call_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct asking *a = ctx;
    (void)call;
    a->call = NULL;
    if (a->request) {
        if (a->too_large)
            refuse(a, 502, "engine_answer", -1, "the answer of %s is too large", a->body->engine);
        else if (result == VX11_ETIMEOUT)
            refuse(a, 504, "engine_timeout", -1, "%s did not answer in time", a->body->engine);
        else if (result != 0)
            refuse(a, 502, "engine_failed", -1, "%s: %s", a->body->engine, err->text);
        else
            take_reply(a);
    }
    asking_free(a);
}

static int model_body(const struct hermes_execute_request *q, const char *model, struct buf *out)
{
    int rc = 0;
    buf_puts(out, "{\"model\":");
    buf_put_json_string(out, model, strlen(model));
    buf_puts(out, ",\"messages\":[");
    for (size_t i = 0; rc == 0 && i < q->messages_count; i++) {
        if (i > 0)
            buf_putc(out, ',');
        rc = openai_chat_message_serialize(&q->messages[i], out);
    }
    if (q->messages_count == 0) {
        buf_puts(out, "{\"role\":\"user\",\"content\":");
        buf_put_json_string(out, q->prompt, strlen(q->prompt));
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
    if (q->has_max_tokens)
        buf_printf(out, ",\"max_tokens\":%lld", (long long)q->max_tokens);
    if (q->has_temperature)
        buf_printf(out, ",\"temperature\":%.6g", q->temperature);
    buf_putc(out, '}');
    return rc != 0 ? rc : out->failed ? VX11_ENOMEM : 0;
}

static int call_engine(struct asking *a, const struct hermes_engine *e, struct error *err)
{
    static const struct client_events events = {
        .on_headers = on_headers, .on_data = on_data, .on_done = on_call_done};
    const struct client_header priority = {"X-VX11-Priority", "4"};
    struct client_call_options options = {
        .deadline_ms = a->until_mono, .headers = &priority, .header_count = 1};
    const struct client_target target = {.base_url = e->base_url ? e->base_url : "http://localhost",
                                         .socket = e->base_url ? NULL : e->socket,
                                         .peer_kind = "engine",
                                         .peer = e->model};
    struct buf body = BUF_INIT;
    options.request_id = request_id(a->request);
    int rc = model_body(a->body, e->upstream_model ? e->upstream_model : a->body->engine, &body);
    if (rc == 0)
        rc = client_start(module_client(a->hermes->module), &target, "POST", "/v1/chat/completions",
                          "application/json", body.data, body.len, &options, &events, a, &a->call, err);
    else
        (void)error_set(err, rc, "the question could not be written");
    buf_free(&body);
    return rc;
}

static void acquired(void *ctx, const struct hermes_engine *ready, const struct engine_refusal *why)
{
    struct asking *a = ctx;
    struct error err = {0};
    a->acquire = NULL;
    if (!ready)
        refuse(a, why->status, why->code, why->retry_after_ms, "%s", why->text);
    else if (call_engine(a, ready, &err) != 0)
        refuse(a, 502, "engine_failed", -1, "%s", err.text);
    if (!a->request && a->begun)
        asking_free(a);
}

/* Whether it goes on later. */
static bool ask_model(struct asking *a)
{
    const struct engine_ask ask = {.wait_ms = a->body->timeout_ms};
    struct error err = {0};
    if (hermes_acquire(a->hermes, a->body->engine, &ask, acquired, a, &a->acquire, &err) != 0)
        refuse(a, 500, "engine_failed", -1, "%s", err.text);
    return a->request != NULL;
}

/* ---- either ---- */

void execute_route(struct request *r, void *module)
{
    struct hermes *h = module;
    if (tools_refuse_direct(r))
        return;
    const struct hermes_execute_request *q = request_body(r);
    struct tool *tool = tools_find(h->tools, q->engine);
    if ((q->messages_count > 0) == (q->prompt && q->prompt[0])) {
        request_fail(r, 422, "invalid_request", "/prompt", "a prompt, or messages: one of them");
        return;
    }
    struct asking *a = calloc(1, sizeof *a);
    if (!a) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    a->hermes = h;
    a->request = r;
    a->body = q;
    a->began_mono = clock_mono_ms();
    a->until_mono = a->began_mono + q->timeout_ms;
    if (!(tool ? ask_tool(a, tool) : ask_model(a))) {
        asking_free(a);
        return;
    }
    a->begun = true;
    request_on_cancel(r, on_cancel, a);
}
