/* Streams of Anthropic's events to chat's chunks, and those to the events of both dialects. Whatever comes
 * in, what goes out is JSON; Anthropic's events open and close their blocks one after the other, and those of
 * responses are numbered without a gap and close what they opened. An even first byte: the rest are
 * Anthropic's events; odd: chat's chunks. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/sse.h"
#include "switch/anthropic.h"
#include "switch/dialects/messages.h"
#include "switch/dialects/responses.h"

struct streams {
    bool chunks, failed;
    struct arena *scratch;
    struct anthropic_stream from;
    struct messages_stream messages;
    struct responses_stream responses;
    int64_t open, blocks, number, items, closed; /* open: a block, -1: none */
    bool started, stopped;
};

static yyjson_doc *json(const char *data, size_t len)
{
    yyjson_doc *doc = yyjson_read(data, len, 0);
    if (!doc)
        abort();
    return doc;
}

static int on_message_event(void *ctx, const char *name, const char *data, size_t len)
{
    struct streams *s = ctx;
    yyjson_doc *doc = json(data, len);
    yyjson_val *root = yyjson_doc_get_root(doc);
    int64_t index = yyjson_get_sint(yyjson_obj_get(root, "index"));
    if (!yyjson_equals_str(yyjson_obj_get(root, "type"), name) || s->stopped ||
        s->started == (strcmp(name, "message_start") == 0))
        abort();
    s->started = true;
    if (strcmp(name, "content_block_start") == 0) {
        if (s->open >= 0 || index != s->blocks)
            abort();
        s->open = s->blocks++;
    } else if (strncmp(name, "content_block_", 14) == 0) {
        if (s->open != index)
            abort();
        if (strcmp(name, "content_block_stop") == 0)
            s->open = -1;
    } else if (s->open >= 0) {
        abort();
    }
    s->stopped = strcmp(name, "message_stop") == 0;
    yyjson_doc_free(doc);
    return 0;
}

static int on_response_event(void *ctx, const char *name, const char *data, size_t len)
{
    struct streams *s = ctx;
    yyjson_doc *doc = json(data, len);
    yyjson_val *root = yyjson_doc_get_root(doc);
    if (!yyjson_equals_str(yyjson_obj_get(root, "type"), name) ||
        yyjson_get_sint(yyjson_obj_get(root, "sequence_number")) != s->number++)
        abort();
    if (strcmp(name, "response.output_item.added") == 0 && s->items++ != s->closed)
        abort();
    if (strcmp(name, "response.output_item.done") == 0 && s->items != ++s->closed)
        abort();
    yyjson_doc_free(doc);
    return 0;
}

static int on_chunk(void *ctx, const char *data, size_t len)
{
    struct streams *s = ctx;
    struct switch_upstream u;
    struct arena *a = arena_create((size_t)16 << 20);
    if (len == 6 && memcmp(data, "[DONE]", 6) == 0) {
        arena_destroy(a);
        return 0;
    }
    int rc = switch_upstream_parse(a, data, len, &u, NULL);
    if (rc != 0 && !s->chunks && rc == VX11_ESYNTAX)
        abort(); /* we wrote it */
    rc = rc ? rc : messages_stream_chunk(&s->messages, a, &u);
    rc = rc ? rc : responses_stream_chunk(&s->responses, a, &u);
    arena_destroy(a);
    return rc;
}

static int on_event(void *ctx, const struct sse_event *e)
{
    struct streams *s = ctx;
    arena_reset(s->scratch);
    return s->chunks ? on_chunk(s, e->data, e->data_len)
                     : anthropic_stream_event(&s->from, s->scratch, e->data, e->data_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct streams s = {.chunks = data[0] & 1, .scratch = arena_create((size_t)16 << 20), .open = -1};
    const struct responses_reply echo = {.object = "response"};
    struct sse_parser p;
    anthropic_stream_init(&s.from, on_chunk, &s);
    messages_stream_init(&s.messages, &(struct dialect_sink){on_message_event, &s}, "m");
    responses_stream_init(&s.responses, &(struct dialect_sink){on_response_event, &s}, "m", &echo);
    sse_init(&p, 0);
    int rc = sse_feed(&p, (const char *)data + 1, size - 1, on_event, &s);
    if (rc == 0) {
        if (messages_stream_end(&s.messages) == 0 && !s.stopped)
            abort();
        if (responses_stream_end(&s.responses) == 0 && s.items != s.closed)
            abort();
    } else {
        (void)responses_stream_fail(&s.responses, "server_error", "x");
    }
    sse_free(&p);
    responses_stream_free(&s.responses);
    arena_destroy(s.scratch);
    return 0;
}
