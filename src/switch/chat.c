/* Chat: the entries for requests. OpenAI's three go to a provider as they came; /switch/chat is turned into
 * the same and its answer back into VX11's own words. */
#include "switch/switch_internal.h"

#include <string.h>

#include "switch/dialect.h"

void chat_completions(struct request *r, void *module)
{
    const struct openai_chat_request *body = request_body(r);
    struct dispatch wish = {.wish = {.kind = DISPATCH_CHAT, .model = body->model}, .stream = body->stream};
    wish.include_usage = body->stream_options && body->stream_options->include_usage;
    wish.body = request_raw_body(r, &wish.body_len);
    dispatch_run(module, r, &wish);
}

void chat_text_completions(struct request *r, void *module)
{
    const struct openai_completion_request *body = request_body(r);
    struct dispatch wish = {.wish = {.kind = DISPATCH_COMPLETION, .model = body->model},
                            .stream = body->stream};
    wish.include_usage = body->stream_options && body->stream_options->include_usage;
    wish.body = request_raw_body(r, &wish.body_len);
    dispatch_run(module, r, &wish);
}

void chat_embeddings(struct request *r, void *module)
{
    const struct openai_embedding_request *body = request_body(r);
    struct dispatch wish = {.wish = {.kind = DISPATCH_EMBEDDING, .model = body->model}};
    wish.body = request_raw_body(r, &wish.body_len);
    dispatch_run(module, r, &wish);
}

/* ---- /switch/chat ---- */

static int own_whole(struct dispatch *d, const char *body, size_t len, const struct switch_upstream *u,
                     struct buf *out, struct error *err)
{
    struct openai_usage usage;
    const struct switch_upstream_choice *choice = &u->choices[0];
    const char *content = choice->message ? yyjson_get_str(choice->message->content) : NULL;
    (void)body, (void)len;
    if (!content)
        return error_set(err, VX11_EUNSUPPORTED, "the provider answered without text");
    struct switch_chat_reply reply = {
        .status = SWITCH_CHAT_REPLY_STATUS_OK,
        .provider = d->account.provider,
        .model = u->model ? u->model : d->account.model,
        .decision = d->account.reason,
        .content = content,
        .reply = content,
        .finish_reason = choice->finish_reason,
        .latency_ms = (int64_t)account_elapsed_ms(&d->account),
        .request_id = request_id(d->r),
    };
    if (u->usage && u->usage->has_prompt_tokens && u->usage->has_completion_tokens) {
        memset(&usage, 0, sizeof usage);
        usage.prompt_tokens = u->usage->prompt_tokens;
        usage.completion_tokens = u->usage->completion_tokens;
        usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
        reply.usage = &usage;
    }
    int rc = switch_chat_reply_serialize(&reply, out);
    return rc == 0 ? 0 : error_set(err, rc, "the answer could not be written: %s", error_describe(rc));
}

static const struct dialect own = {.name = "own", .whole = own_whole};

void chat_own(struct request *r, void *module)
{
    const struct switch_chat_request *body = request_body(r);
    struct openai_chat_request upstream;
    struct buf text = BUF_INIT;
    memset(&upstream, 0, sizeof upstream);
    int rc = openai_chat_request_init(request_arena(r), &upstream);
    upstream.model = body->model;
    upstream.messages = body->messages;
    upstream.messages_count = body->messages_count;
    upstream.has_max_tokens = body->has_max_tokens;
    upstream.max_tokens = body->max_tokens;
    upstream.has_temperature = body->has_temperature;
    upstream.temperature = body->temperature;
    if (rc == 0)
        rc = openai_chat_request_serialize(&upstream, &text);
    struct dispatch wish = {
        .wish = {.kind = DISPATCH_CHAT,
                 .model = body->model,
                 .only = body->provider,
                 .first = body->provider_hint},
        .source = yyjson_get_str(yyjson_obj_get(body->metadata, "source")),
        .metadata = body->metadata,
        .body = rc == 0 ? arena_strndup(request_arena(r), text.data, text.len) : NULL,
        .body_len = text.len,
        .dialect = &own,
    };
    buf_free(&text);
    if (!wish.body) {
        request_fail(r, 500, "internal", NULL, "the request could not be written: %s",
                     error_describe(rc ? rc : VX11_ENOMEM));
        return;
    }
    dispatch_run(module, r, &wish);
}
