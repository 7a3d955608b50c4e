/* A tool as an OpenAI server: a chat in, the run of a tool, chunks or a whole reply out. A stream begins with
 * the first piece of the answer, so that what fails before it is answered with a status. */
#include <stdlib.h>
#include <string.h>

#include "api/openai.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/ulid.h"
#include "hermes/hermes_internal.h"
#include "hermes/tools/api.h"
#include "hermes/tools/prompt.h"
#include "hermes/tools/tools.h"

#define QUEUE_MOST ((size_t)256 << 10) /* waiting for a slow reader, before the tool is paused */

struct chat {
    struct hermes *hermes;
    struct request *request;
    struct tool_run *run;
    char id[16 + ULID_LEN];
    char model[300];
    int64_t created;
    bool stream, include_usage, paused, gone;
    struct buf text; /* of a whole reply, or one chunk's text as a string */
    struct buf json;
};

static void chat_free(struct chat *c)
{
    buf_free(&c->text);
    buf_free(&c->json);
    free(c);
}

/* ---- chunks ---- */

static int send_chunk(struct chat *c, const struct openai_chat_chunk *chunk)
{
    buf_clear(&c->json);
    int rc = openai_chat_chunk_serialize(chunk, &c->json);
    return rc == 0 ? request_stream_event(c->request, NULL, NULL, c->json.data, c->json.len) : rc;
}

static int send_delta(struct chat *c, const struct openai_delta *delta, bool finished)
{
    struct openai_chunk_choice choice = {.delta = (struct openai_delta *)(uintptr_t)delta,
                                         .has_finish_reason = finished,
                                         .finish_reason = OPENAI_FINISH_REASON_STOP};
    const struct openai_chat_chunk chunk = {.id = c->id,
                                            .object = "chat.completion.chunk",
                                            .created = c->created,
                                            .model = c->model,
                                            .choices = &choice,
                                            .choices_count = 1};
    return send_chunk(c, &chunk);
}

static bool usage_of(const struct tool_outcome *o, struct openai_usage *usage,
                     struct openai_prompt_tokens_details *details)
{
    if (o->prompt_tokens < 0 || o->completion_tokens < 0)
        return false; /* half of it would be wrong in every sum */
    *usage = (struct openai_usage){.prompt_tokens = o->prompt_tokens,
                                   .completion_tokens = o->completion_tokens,
                                   .total_tokens = o->prompt_tokens + o->completion_tokens};
    if (o->cached_tokens >= 0) {
        *details = (struct openai_prompt_tokens_details){.cached_tokens = o->cached_tokens};
        usage->prompt_tokens_details = details;
    }
    return true;
}

static void stop_run(struct chat *c)
{
    if (c->run)
        tool_run_cancel(c->run);
    c->run = NULL;
}

/* ---- while it runs ---- */

static void on_drain(struct request *r, void *ctx)
{
    struct chat *c = ctx;
    (void)r;
    if (c->paused && c->run)
        tool_run_resume(c->run);
    c->paused = false;
}

static int begin_stream(struct chat *c)
{
    int rc = request_stream_begin(c->request, 200, NULL);
    if (rc != 0)
        return rc;
    request_stream_backpressure(c->request);
    request_on_drain(c->request, on_drain, c);
    return send_delta(
        c, &(struct openai_delta){.has_role = true, .role = OPENAI_ROLE_ASSISTANT, .content = ""}, false);
}

static void on_text(void *ctx, const char *text, size_t len)
{
    struct chat *c = ctx;
    if (c->gone)
        return;
    if (!c->stream) {
        (void)buf_append(&c->text, text, len); /* a failure sticks, and is answered at the end */
        return;
    }
    buf_clear(&c->text);
    int rc = request_stream_started(c->request) ? 0 : begin_stream(c);
    if (rc == 0)
        rc = buf_append(&c->text, text, len);
    if (rc == 0)
        rc = send_delta(c, &(struct openai_delta){.content = c->text.data}, false);
    if (rc != 0) {
        c->gone = true; /* its cancel follows, or the end of the run */
        return;
    }
    if (!c->paused && request_stream_queued(c->request) > QUEUE_MOST) {
        c->paused = true;
        tool_run_pause(c->run);
    }
}

/* ---- the end ---- */

static void stream_error(struct chat *c, const struct tool_outcome *o)
{
    struct common_error_body body = {
        .message = o->text, .type = "api_error", .code = o->code, .request_id = request_id(c->request)};
    const struct common_error error = {.error = &body};
    buf_clear(&c->json);
    if (common_error_serialize(&error, &c->json) == 0)
        (void)request_stream_event(c->request, NULL, NULL, c->json.data, c->json.len);
    request_stream_end(c->request);
}

static void stream_finish(struct chat *c, const struct tool_outcome *o)
{
    struct openai_usage usage;
    struct openai_prompt_tokens_details details;
    int rc = send_delta(c, &(struct openai_delta){0}, true);
    if (rc == 0 && c->include_usage && usage_of(o, &usage, &details)) {
        struct openai_chunk_choice none = {0};
        const struct openai_chat_chunk chunk = {.id = c->id,
                                                .object = "chat.completion.chunk",
                                                .created = c->created,
                                                .model = c->model,
                                                .choices = &none,
                                                .usage = &usage};
        rc = send_chunk(c, &chunk);
    }
    if (rc == 0)
        rc = request_stream_event(c->request, NULL, NULL, "[DONE]", 6);
    if (rc == 0)
        request_stream_end(c->request);
    else
        request_stream_abort(c->request);
}

static void whole_finish(struct chat *c, const struct tool_outcome *o)
{
    struct openai_usage usage;
    struct openai_prompt_tokens_details details;
    struct openai_reply_message message = {.role = OPENAI_ROLE_ASSISTANT, .content = c->text.data};
    struct openai_chat_choice choice = {
        .message = &message, .has_finish_reason = true, .finish_reason = OPENAI_FINISH_REASON_STOP};
    const struct openai_chat_reply reply = {.id = c->id,
                                            .object = "chat.completion",
                                            .created = c->created,
                                            .model = c->model,
                                            .choices = &choice,
                                            .choices_count = 1,
                                            .usage = usage_of(o, &usage, &details) ? &usage : NULL};
    if (c->text.failed)
        request_fail(c->request, 500, "out_of_memory", NULL, "out of memory");
    else
        request_reply(c->request, 200, &openai_chat_reply_message, &reply);
}

static void fail(struct request *r, const struct tool_outcome *o)
{
    if (o->retry_after_ms >= 0)
        request_retry_after(r, o->retry_after_ms);
    request_fail(r, o->status, o->code, o->status == 404 || o->status == 413 ? "/messages" : NULL, "%s",
                 o->text);
}

static void on_done(void *ctx, const struct tool_outcome *o)
{
    struct chat *c = ctx;
    c->run = NULL;
    if (o->status != 200 && request_stream_started(c->request))
        stream_error(c, o);
    else if (o->status != 200)
        fail(c->request, o);
    else if (c->gone)
        request_stream_abort(c->request);
    else if (c->stream)
        stream_finish(c, o);
    else
        whole_finish(c, o);
    chat_free(c);
}

static void on_cancel(struct request *r, void *ctx, int reason)
{
    struct chat *c = ctx;
    stop_run(c);
    if (request_stream_started(r))
        request_stream_abort(r);
    else
        request_fail(r, reason == VX11_ETIMEOUT ? 504 : 503,
                     reason == VX11_ETIMEOUT ? "tool_timeout" : "cancelled", NULL,
                     "the tool did not answer in time");
    chat_free(c);
}

/* ---- the start ---- */

/* What a tool cannot do is refused by name; what only guides a model (temperature, max_tokens …) is not
 * passed on. */
static const char *unsupported(const struct openai_chat_request *q)
{
    yyjson_val *format = yyjson_obj_get(q->response_format, "type");
    if (yyjson_arr_size(q->tools) > 0)
        return "/tools";
    if (yyjson_is_str(format) && strcmp(yyjson_get_str(format), "text") != 0)
        return "/response_format";
    if (q->n > 1)
        return "/n";
    if (q->logprobs)
        return "/logprobs";
    return NULL;
}

static struct chat *chat_create(struct hermes *h, struct request *r, const struct openai_chat_request *q)
{
    char id[ULID_LEN + 1];
    struct chat *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->hermes = h;
    c->request = r;
    c->stream = q->stream;
    c->include_usage = q->stream_options && q->stream_options->include_usage;
    c->created = clock_wall_ms() / 1000;
    (void)snprintf(c->id, sizeof c->id, "chatcmpl-%s", ulid_make(id));
    return c;
}

static void chat_start(struct hermes *h, struct request *r, struct tool *tool,
                       const struct openai_chat_request *q, const struct buf *prompt)
{
    struct tool_outcome refusal;
    struct chat *c = chat_create(h, r, q);
    if (!c) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    const bool named =
        q->model && q->model[0] && strcmp(q->model, tool_name(tool)) != 0 && strcmp(q->model, "auto") != 0;
    const struct tool_run_request run = {.kind = TOOL_RUN_CHAT,
                                         .prompt = prompt->data,
                                         .prompt_len = prompt->len,
                                         .model = named ? q->model : NULL,
                                         .principal = request_principal(r),
                                         .request_id = request_id(r),
                                         .on_text = on_text,
                                         .on_done = on_done,
                                         .ctx = c};
    (void)snprintf(c->model, sizeof c->model, "%s", named ? q->model : tool_name(tool));
    if (tool_run_start(h->tools, tool, &run, &c->run, &refusal) != 0) {
        chat_free(c);
        fail(r, &refusal);
        return;
    }
    request_on_cancel(r, on_cancel, c);
}

bool tools_refuse_direct(struct request *r)
{
    const struct principal *p = request_principal(r);
    if (p->kind == AUTH_PEER || principal_allows(p, CONTRACT_SCOPE_ACT))
        return false;
    request_fail(r, 403, "ask_switch", NULL,
                 "a token that may only chat asks Switch, which knows its budgets and models");
    return true;
}

void tools_route_chat(struct request *r, void *module)
{
    struct hermes *h = module;
    if (tools_refuse_direct(r))
        return;
    const struct hermes_tool_name *p = request_params(r);
    const struct openai_chat_request *q = request_body(r);
    struct tool *tool = tools_find(h->tools, p->name);
    struct buf prompt = BUF_INIT;
    struct error err = {0};
    const char *not_done = unsupported(q);
    if (!tool) {
        request_fail(r, 404, "tool_not_found", "name", "there is no tool \"%.64s\"", p->name);
        return;
    }
    if (not_done) {
        request_fail(r, 422, "unsupported", not_done, "a command-line tool cannot do what %s asks for",
                     not_done + 1);
        return;
    }
    int rc = prompt_render(q->messages, q->messages_count, &prompt, &err);
    if (rc == VX11_EUNSUPPORTED)
        request_fail(r, 422, "unsupported", "/messages", "%s", err.text);
    else if (rc == VX11_ETOO_LARGE)
        request_fail(r, 413, "prompt_too_large", "/messages", "%s", err.text);
    else if (rc != 0)
        request_fail(r, rc == VX11_ENOMEM ? 500 : 422,
                     rc == VX11_ENOMEM ? "out_of_memory" : "invalid_messages", "/messages", "%s", err.text);
    else
        chat_start(h, r, tool, q, &prompt);
    buf_free(&prompt);
}
