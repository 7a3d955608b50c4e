/* Routes: requests in other APIs' words, and the dialects that answer them. */
#include <string.h>

#include "switch/dialect.h"
#include "switch/dialects/messages.h"
#include "switch/dialects/responses.h"

/* What is sent goes to the caller; that they have left is noticed elsewhere. */
static int on_event(void *ctx, const char *name, const char *data, size_t len)
{
    struct dispatch *d = ctx;
    request_stream_event(d->r, name, NULL, data, len);
    return 0;
}

/* The provider's stream makes no sense: it is ended, and the last event says so. */
static void chunk_failed(struct dispatch *d, int rc)
{
    if (!d->winner || d->winner->own_end)
        return;
    d->winner->own_end = rc;
    if (d->winner->call)
        client_cancel(d->winner->call);
}

/* Who answers: by the name that the provider gives, or that it was asked by. */
static const char *model_of(const struct dispatch *d, const struct switch_upstream *u)
{
    if (u && u->model && u->model[0])
        return u->model;
    return d->account.model ? d->account.model : d->wish.model ? d->wish.model : "";
}

static void translation_refuse(struct request *r, const struct dialect_fault *fault)
{
    bool memory = strcmp(fault->code, "out_of_memory") == 0;
    request_fail(r, memory ? 500 : 400, fault->code, fault->param[0] ? fault->param : NULL, "%s",
                 fault->text);
}

static bool headers_add(struct request *r, const struct dialect_request *made)
{
    if (!made->ignored || request_reply_header(r, "X-VX11-Ignored", made->ignored) == 0)
        return true;
    request_fail(r, 500, "out_of_memory", NULL, "out of memory");
    return false;
}

/* ---- Anthropic's messages ---- */

struct messages_state {
    struct messages_stream stream;
    bool begun;
};

static struct messages_stream *messages_begin(struct dispatch *d, const struct switch_upstream *u)
{
    struct messages_state *s = d->dialect_data;
    const struct dialect_sink sink = {on_event, d};
    if (!s->begun)
        messages_stream_init(&s->stream, &sink, model_of(d, u));
    s->begun = true;
    return &s->stream;
}

static void messages_chunk(struct dispatch *d, const char *data, size_t len, const struct switch_upstream *u)
{
    struct arena *scratch = arena_create(0);
    (void)data, (void)len;
    int rc = scratch ? messages_stream_chunk(messages_begin(d, u), scratch, u) : VX11_ENOMEM;
    arena_destroy(scratch);
    if (rc != 0)
        chunk_failed(d, rc);
}

static void messages_end(struct dispatch *d)
{
    (void)messages_stream_end(messages_begin(d, NULL));
}

static void messages_broken(struct dispatch *d, const char *code, const char *text)
{
    struct common_error_body body = {.message = text,
                                     .type = strcmp(code, "upstream_timeout") == 0 ? "timeout_error"
                                                                                   : "api_error",
                                     .code = code,
                                     .request_id = request_id(d->r)};
    struct common_error message = {.error = &body};
    struct buf out = BUF_INIT;
    if (common_error_serialize(&message, &out) == 0)
        request_stream_event(d->r, "error", NULL, out.data, out.len);
    buf_free(&out);
}

/* VX11_EUNSUPPORTED: another provider may do better. */
static int whole_result(int rc)
{
    return rc == VX11_ECORRUPT ? VX11_EUNSUPPORTED : rc;
}

static int messages_whole(struct dispatch *d, const char *body, size_t len, const struct switch_upstream *u,
                          struct buf *out, struct error *err)
{
    struct arena *scratch = arena_create(0);
    (void)body, (void)len;
    int rc = scratch ? messages_reply(scratch, u, model_of(d, u), out, err)
                     : error_set(err, VX11_ENOMEM, "out of memory");
    arena_destroy(scratch);
    return whole_result(rc);
}

const struct dialect messages_dialect = {
    .name = "messages",
    .chunk = messages_chunk,
    .end = messages_end,
    .broken = messages_broken,
    .whole = messages_whole,
};

void dialect_messages(struct request *r, void *module)
{
    const struct anthropic_messages_request *q = request_body(r);
    struct dialect_request made;
    struct dialect_fault fault = {0};
    struct messages_state *s = arena_zalloc(request_arena(r), sizeof *s);
    if (!s) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    if (!messages_request(request_arena(r), q, &made, &fault)) {
        translation_refuse(r, &fault);
        return;
    }
    if (!headers_add(r, &made))
        return;
    struct dispatch wish = {
        .wish = {.kind = DISPATCH_CHAT, .model = q->model},
        .stream = q->stream,
        .include_usage = q->stream,
        .body = made.body,
        .body_len = made.len,
        .dialect = &messages_dialect,
        .dialect_data = s,
    };
    dispatch_run(module, r, &wish);
}

/* ---- OpenAI's responses ---- */

struct responses_state {
    struct responses_stream stream;
    struct responses_reply echo;
    bool begun;
};

static struct responses_stream *responses_begin(struct dispatch *d, const struct switch_upstream *u)
{
    struct responses_state *s = d->dialect_data;
    const struct dialect_sink sink = {on_event, d};
    if (!s->begun)
        responses_stream_init(&s->stream, &sink, model_of(d, u), &s->echo);
    s->begun = true;
    return &s->stream;
}

static void responses_chunk(struct dispatch *d, const char *data, size_t len, const struct switch_upstream *u)
{
    struct arena *scratch = arena_create(0);
    (void)data, (void)len;
    int rc = scratch ? responses_stream_chunk(responses_begin(d, u), scratch, u) : VX11_ENOMEM;
    arena_destroy(scratch);
    if (rc != 0)
        chunk_failed(d, rc);
}

static void responses_end(struct dispatch *d)
{
    (void)responses_stream_end(responses_begin(d, NULL));
}

static void responses_broken(struct dispatch *d, const char *code, const char *text)
{
    (void)code;
    (void)responses_stream_fail(responses_begin(d, NULL), "server_error", text);
}

static int responses_whole(struct dispatch *d, const char *body, size_t len, const struct switch_upstream *u,
                           struct buf *out, struct error *err)
{
    struct responses_state *s = d->dialect_data;
    struct arena *scratch = arena_create(0);
    (void)body, (void)len;
    int rc = scratch ? responses_reply(scratch, u, model_of(d, u), &s->echo, out, err)
                     : error_set(err, VX11_ENOMEM, "out of memory");
    arena_destroy(scratch);
    return whole_result(rc);
}

static void responses_free(struct dispatch *d)
{
    struct responses_state *s = d->dialect_data;
    if (s->begun)
        responses_stream_free(&s->stream);
}

static const struct dialect responses_dialect = {
    .name = "responses",
    .chunk = responses_chunk,
    .end = responses_end,
    .broken = responses_broken,
    .whole = responses_whole,
    .free = responses_free,
};

void dialect_responses(struct request *r, void *module)
{
    const struct responses_request *q = request_body(r);
    struct dialect_request made;
    struct dialect_fault fault = {0};
    struct responses_state *s = arena_zalloc(request_arena(r), sizeof *s);
    if (!s || responses_echo(request_arena(r), q, &s->echo) != 0) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    if (!responses_request(request_arena(r), q, &made, &fault)) {
        translation_refuse(r, &fault);
        return;
    }
    if (!headers_add(r, &made))
        return;
    struct dispatch wish = {
        .wish = {.kind = DISPATCH_CHAT, .model = q->model},
        .stream = q->stream,
        .include_usage = q->stream,
        .body = made.body,
        .body_len = made.len,
        .dialect = &responses_dialect,
        .dialect_data = s,
        .metadata = q->metadata,
    };
    dispatch_run(module, r, &wish);
}

void dialect_response_get(struct request *r, void *module)
{
    const struct responses_id *params = request_params(r);
    (void)module;
    request_fail(r, 404, "response_not_found", "id", "nothing is kept here: there is no response %s",
                 params->id);
}
