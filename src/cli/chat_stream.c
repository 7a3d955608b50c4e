/* Stream: one answer. The request goes out by the contract's table, the reply comes as server-sent events,
 * each chunk read by the contract's table and printed at once. A server that does not stream, or answers with
 * an error, is understood too.
 *
 *   on_headers ─> 200 event stream ─> sse_feed ─> chunk ─> text, usage, timings ─> [DONE]
 *              └> anything else    ─> body kept ─> on_done: a reply or an error */
#include "cli/chat.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/common.h"
#include "api/operator.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/ulid.h"
#include "net/sse.h"

#define BODY_MAX (64u << 20)

struct stream {
    struct cli *c;
    const struct chat_asking *asking;
    struct answer *out;
    struct client_call *call;
    struct sse_parser sse;
    struct arena *arena; /* of one chunk */
    struct buf body;     /* a reply that is no event stream */
    struct buf clean;
    uv_signal_t interrupt;
    bool streaming, done, complete, interrupt_closed;
    bool thinking; /* thoughts were printed last */
    uint64_t begun_ns, first_ns, last_ns;
};

/* ---- errors ---- */

static void fail(struct stream *s, int code, const char *error_code, const char *text)
{
    if (s->out->code != CLI_OK)
        return; /* the first reason counts */
    s->out->code = code;
    snprintf(s->out->error, sizeof s->out->error, "%s", text);
    snprintf(s->out->error_code, sizeof s->out->error_code, "%s", error_code ? error_code : "");
}

/* An error's body: {"error": {"message": …}}, or "error" as a mere string. */
static void fail_from(struct stream *s, int code, yyjson_val *root, const char *otherwise)
{
    yyjson_val *error = root ? yyjson_obj_get(root, "error") : NULL;
    const char *text =
        yyjson_is_str(error) ? yyjson_get_str(error) : yyjson_get_str(yyjson_obj_get(error, "message"));
    fail(s, code, yyjson_get_str(yyjson_obj_get(error, "code")), text ? text : otherwise);
}

static void fail_status(struct stream *s, int status)
{
    struct contract_error bad;
    yyjson_val *root = NULL;
    char otherwise[80];
    snprintf(otherwise, sizeof otherwise, "the front door answered %d without a reason", status);
    arena_reset(s->arena);
    if (s->body.len == 0 || contract_json_parse(s->arena, s->body.data, s->body.len, NULL, &root, &bad) != 0)
        root = NULL;
    fail_from(s, status == 401 || status == 403 ? CLI_REFUSED : CLI_FAILED, root, otherwise);
}

/* ---- text ---- */

static void put(struct stream *s, const char *text, size_t len)
{
    buf_clear(&s->clean);
    if (s->asking->terminal && terminal_clean(text, len, false, &s->clean) == 0)
        fwrite(s->clean.data ? s->clean.data : "", 1, s->clean.len, stdout);
    else if (!s->asking->terminal)
        fwrite(text, 1, len, stdout);
    /* Whoever reads has gone: the model need not go on. */
    if (fflush(stdout) != 0) {
        fail(s, CLI_FAILED, NULL, "the output could not be written");
        client_cancel(s->call);
    }
}

static void took_piece(struct stream *s)
{
    s->last_ns = clock_mono_ns();
    if (!s->first_ns)
        s->first_ns = s->last_ns;
}

/* Thoughts are for a person to watch; they are no part of the answer. */
static void take_thought(struct stream *s, const char *text)
{
    if (!text || !text[0])
        return;
    took_piece(s);
    if (!s->asking->terminal)
        return;
    if (!s->thinking && cli_color())
        fputs("\033[2m", stdout);
    s->thinking = true;
    put(s, text, strlen(text));
}

static void end_thought(struct stream *s)
{
    if (!s->thinking)
        return;
    s->thinking = false;
    fputs(cli_color() ? "\033[0m\n\n" : "\n\n", stdout);
}

static void take_text(struct stream *s, const char *text)
{
    if (!text || !text[0])
        return;
    took_piece(s);
    end_thought(s);
    size_t len = strlen(text);
    if (s->out->text.len + len > CHAT_ANSWER_MAX || buf_append(&s->out->text, text, len) != 0) {
        fail(s, CLI_FAILED, NULL, "the answer is too long to be held");
        client_cancel(s->call);
        return;
    }
    put(s, text, len);
}

/* ---- chunks ---- */

static void take_counts(struct stream *s, const struct openai_usage *usage,
                        const struct openai_timings *times)
{
    if (usage) {
        s->out->has_usage = true;
        s->out->prompt_tokens = usage->prompt_tokens;
        s->out->completion_tokens = usage->completion_tokens;
    }
    if (times && times->has_tokens_per_second)
        s->out->tokens_per_s = times->tokens_per_second;
}

static void take_finish(struct stream *s, bool has, int reason)
{
    if (!has)
        return;
    s->complete = true;
    s->out->cut = reason == OPENAI_FINISH_REASON_LENGTH;
}

static void take_chunk(struct stream *s, const struct openai_chat_chunk *chunk)
{
    snprintf(s->out->model, sizeof s->out->model, "%s", chunk->model);
    for (size_t i = 0; i < chunk->choices_count; i++) {
        const struct openai_chunk_choice *choice = &chunk->choices[i];
        if (choice->index != 0)
            continue;
        take_thought(s, choice->delta->reasoning_content);
        take_text(s, choice->delta->content);
        take_text(s, choice->delta->refusal);
        take_finish(s, choice->has_finish_reason, choice->finish_reason);
    }
    take_counts(s, chunk->usage, chunk->vx11);
}

static void fail_piece(struct stream *s, const struct contract_error *bad)
{
    char text[600];
    snprintf(text, sizeof text, "a piece of the answer is not what it should be:%s%s %s",
             bad->pointer[0] ? " " : "", bad->pointer, bad->text);
    fail(s, CLI_FAILED, NULL, text);
}

/* ---- events of a session ---- */

static void session_is(struct stream *s, const char *id)
{
    if (id && ulid_valid(id))
        memcpy(s->asking->session, id, ULID_LEN + 1);
}

/* The answer as the operator stored it. */
static void take_message(struct stream *s, const struct operator_message *m)
{
    s->complete = true;
    snprintf(s->out->model, sizeof s->out->model, "%s", m->model ? m->model : "");
    snprintf(s->out->provider, sizeof s->out->provider, "%s", m->provider ? m->provider : "");
    s->out->cut = str_eq(m->finish_reason, "length");
    if (m->usage && m->usage->has_prompt_tokens && m->usage->has_completion_tokens) {
        s->out->has_usage = true;
        s->out->prompt_tokens = m->usage->prompt_tokens;
        s->out->completion_tokens = m->usage->completion_tokens;
    }
    if (m->has_tokens_per_second)
        s->out->tokens_per_s = m->tokens_per_second;
    if (m->status != OPERATOR_MESSAGE_STATUS_OK)
        fail(s, CLI_FAILED, m->error ? m->error->code : NULL,
             m->error ? m->error->message : "the answer was stopped");
}

static int on_session_event(struct stream *s, const struct sse_event *e)
{
    struct contract_error bad = {0};
    struct operator_chat_delta delta;
    struct operator_message message;
    yyjson_val *root = NULL;
    arena_reset(s->arena);
    int rc = contract_json_parse(s->arena, e->data, e->data_len, NULL, &root, &bad);
    if (rc == 0 && str_eq(e->event, "turn")) {
        session_is(s, yyjson_get_str(yyjson_ptr_get(root, "/session/id")));
    } else if (rc == 0 && str_eq(e->event, "delta")) {
        rc = contract_parse_value(&operator_chat_delta_message, s->arena, root, NULL, &delta, &bad);
        if (rc == 0) {
            take_thought(s, delta.reasoning);
            take_text(s, delta.text);
        }
    } else if (rc == 0 && str_eq(e->event, "message")) {
        rc = contract_parse_value(&operator_message_message, s->arena, root, NULL, &message, &bad);
        if (rc == 0)
            take_message(s, &message);
    } else if (rc == 0 && yyjson_obj_get(root, "error")) {
        fail_from(s, CLI_FAILED, root, "the model failed without a reason");
    }
    if (rc != 0)
        fail_piece(s, &bad);
    return s->out->code == CLI_OK ? 0 : VX11_ECANCELLED;
}

static int on_event(void *ctx, const struct sse_event *e)
{
    struct stream *s = ctx;
    struct openai_chat_chunk chunk;
    struct contract_error bad = {0};
    yyjson_val *root = NULL;
    if (e->data_len == 0)
        return 0;
    if (s->asking->session)
        return on_session_event(s, e);
    if (strcmp(e->data, "[DONE]") == 0) {
        s->complete = true;
        return 0;
    }
    arena_reset(s->arena);
    int rc = contract_json_parse(s->arena, e->data, e->data_len, NULL, &root, &bad);
    if (rc == 0 && yyjson_obj_get(root, "error") && !yyjson_is_null(yyjson_obj_get(root, "error"))) {
        fail_from(s, CLI_FAILED, root, "the provider failed without a reason");
        return VX11_EIO;
    }
    if (rc == 0)
        rc = contract_parse_value(&openai_chat_chunk_message, s->arena, root, NULL, &chunk, &bad);
    if (rc != 0) {
        fail_piece(s, &bad);
        return rc;
    }
    take_chunk(s, &chunk);
    return s->out->code == CLI_OK ? 0 : VX11_ECANCELLED;
}

/* ---- the call ---- */

static void on_headers(struct client_call *call, void *ctx, int status)
{
    struct stream *s = ctx;
    const char *type = client_call_header(call, "Content-Type"),
               *provider = client_call_header(call, "X-VX11-Provider");
    s->streaming = status == 200 && type && strncasecmp(type, "text/event-stream", 17) == 0;
    snprintf(s->out->provider, sizeof s->out->provider, "%s", provider ? provider : "");
}

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct stream *s = ctx;
    if (s->out->code != CLI_OK)
        return;
    if (!s->streaming) {
        if (s->body.len + len > BODY_MAX || buf_append(&s->body, data, len) != 0) {
            fail(s, CLI_FAILED, NULL, "the reply is too long to be held");
            client_cancel(call);
        }
        return;
    }
    int rc = sse_feed(&s->sse, data, len, on_event, s);
    if (rc != 0) {
        fail(s, CLI_FAILED, NULL, error_describe(rc));
        client_cancel(call);
    }
}

/* A reply in one piece. */
static void take_reply(struct stream *s)
{
    struct openai_chat_reply reply;
    struct contract_error bad = {0};
    const char *text = s->body.data ? s->body.data : "";
    if (s->asking->json) {
        printf("%s\n", text);
        return;
    }
    arena_reset(s->arena);
    if (openai_chat_reply_parse(s->arena, text, s->body.len, &reply, &bad) != 0 || reply.choices_count == 0) {
        fail(s, CLI_FAILED, NULL, "the reply is no answer to a chat");
        return;
    }
    snprintf(s->out->model, sizeof s->out->model, "%s", reply.model);
    take_thought(s, reply.choices[0].message->reasoning_content);
    take_text(s, reply.choices[0].message->content);
    take_text(s, reply.choices[0].message->refusal);
    take_finish(s, reply.choices[0].has_finish_reason, reply.choices[0].finish_reason);
    take_counts(s, reply.usage, reply.vx11);
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct stream *s = ctx;
    int status = client_call_status(call);
    s->done = true;
    if (s->out->stopped)
        s->out->code = CLI_INTERRUPTED;
    else if (s->out->code != CLI_OK)
        ; /* said already */
    else if (result == VX11_EUNAVAILABLE)
        fail(s, CLI_NOT_RUNNING, NULL,
             "the front door does not answer; is VX11 running? (vx11 status, vx11 up)");
    else if (result != 0)
        fail(s, status ? CLI_FAILED : CLI_NOT_RUNNING, NULL, err->text);
    else if (status != 200)
        fail_status(s, status);
    else if (!s->streaming)
        take_reply(s);
    else if (!s->complete)
        fail(s, CLI_FAILED, NULL, "the answer broke off");
}

/* ---- asking ---- */

static void message_fill(struct openai_chat_message *m, yyjson_val *content, int role, const char *text,
                         size_t len)
{
    memset(m, 0, sizeof *m);
    m->role = role;
    yyjson_set_strn(content, text, len);
    m->content = content;
}

static int request_write(struct stream *s, const struct conversation *v, struct buf *out)
{
    struct arena *a = s->arena;
    size_t n = v->count + (s->asking->system ? 1 : 0), i = 0;
    struct openai_chat_request body;
    struct openai_stream_options options = {.include_usage = true};
    int rc = openai_chat_request_init(a, &body);
    body.messages = arena_array(a, n, sizeof *body.messages);
    yyjson_val *contents = arena_zalloc(a, n * sizeof *contents);
    if (rc != 0 || !body.messages || !contents)
        return rc != 0 ? rc : VX11_ENOMEM;
    if (s->asking->system) {
        message_fill(&body.messages[0], &contents[0], OPENAI_ROLE_SYSTEM, s->asking->system,
                     strlen(s->asking->system));
        i = 1;
    }
    for (size_t k = 0; k < v->count; k++, i++)
        message_fill(&body.messages[i], &contents[i], v->turns[k].role, v->turns[k].text, v->turns[k].len);
    body.messages_count = n;
    body.model = s->asking->model;
    body.stream = !s->asking->json;
    body.stream_options = body.stream ? &options : NULL;
    return openai_chat_request_serialize(&body, out);
}

/* The operator knows what was said before. */
static int session_request_write(struct stream *s, const struct conversation *v, struct buf *out)
{
    struct operator_chat_request body;
    int rc = operator_chat_request_init(s->arena, &body);
    body.message = v->turns[v->count - 1].text;
    body.session_id = s->asking->session[0] ? s->asking->session : NULL;
    body.source = OPERATOR_SESSION_SOURCE_CLI;
    body.stream = !s->asking->json;
    body.model = s->asking->model;
    body.system = s->asking->system;
    return rc == 0 ? operator_chat_request_serialize(&body, out) : rc;
}

static void on_interrupt(uv_signal_t *signal, int number)
{
    struct stream *s = signal->data;
    (void)number;
    s->out->stopped = true;
    if (!s->done)
        client_cancel(s->call);
}

static void on_interrupt_closed(uv_handle_t *h)
{
    struct stream *s = h->data;
    s->interrupt_closed = true;
}

static void measure(struct stream *s)
{
    struct answer *a = s->out;
    if (s->first_ns)
        a->first_token_s = (double)(s->first_ns - s->begun_ns) / 1e9;
    double decode_s = (double)(s->last_ns - s->first_ns) / 1e9;
    /* The first token's time is the prompt's: the rate is that of those after it. */
    if (a->tokens_per_s < 0 && a->has_usage && a->completion_tokens > 1 && s->streaming && decode_s > 0)
        a->tokens_per_s = (double)(a->completion_tokens - 1) / decode_s;
}

static void stream_run(struct stream *s, const struct conversation *v)
{
    static const struct client_events events = {
        .on_headers = on_headers, .on_data = on_data, .on_done = on_done};
    struct client_call_options options = {0};
    struct buf body = BUF_INIT;
    struct error err = {0};
    bool session = s->asking->session != NULL;
    int rc = session ? session_request_write(s, v, &body) : request_write(s, v, &body);
    if (rc != 0)
        error_set(&err, rc, "the request cannot be written: %s", error_describe(rc));
    s->begun_ns = clock_mono_ns();
    if (rc == 0)
        rc = client_start(s->c->client, cli_front_door(s->c), "POST",
                          session ? "/operator/chat" : "/v1/chat/completions", "application/json", body.data,
                          body.len, &options, &events, s, &s->call, &err);
    buf_free(&body);
    if (rc != 0) {
        fail(s, CLI_FAILED, NULL, err.text);
        return;
    }
    uv_signal_init(&s->c->loop, &s->interrupt);
    s->interrupt.data = s;
    uv_signal_start(&s->interrupt, on_interrupt, SIGINT);
    cli_wait(s->c, &s->done);
    uv_close((uv_handle_t *)&s->interrupt, on_interrupt_closed);
    cli_wait(s->c, &s->interrupt_closed);
}

void chat_answer(struct cli *c, const struct conversation *v, const struct chat_asking *asking,
                 struct answer *out)
{
    struct stream s = {.c = c, .asking = asking, .out = out};
    *out = (struct answer){.first_token_s = -1, .tokens_per_s = -1};
    sse_init(&s.sse, 0);
    s.arena = arena_create(0);
    if (s.arena)
        stream_run(&s, v);
    else
        fail(&s, CLI_FAILED, NULL, "out of memory");
    if (s.thinking && cli_color())
        fputs("\033[0m", stdout);
    measure(&s);
    sse_free(&s.sse);
    buf_free(&s.body);
    buf_free(&s.clean);
    arena_destroy(s.arena);
}

void answer_free(struct answer *a)
{
    buf_free(&a->text);
}
