/* Anthropic stream: events of Anthropic's to chunks of OpenAI's chat. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "switch/anthropic.h"

void anthropic_stream_init(struct anthropic_stream *s, int (*chunk)(void *ctx, const char *data, size_t len),
                           void *ctx)
{
    *s = (struct anthropic_stream){
        .chunk = chunk, .ctx = ctx, .created = clock_wall_ms() / 1000, .tokens = ANTHROPIC_TOKENS_UNKNOWN};
}

/* A chunk that is being made. */
struct chunk {
    yyjson_mut_doc *doc;
    yyjson_mut_val *root, *choice, *delta;
    bool ok;
};

static struct chunk chunk_begin(const struct anthropic_stream *s, struct arena *a)
{
    struct chunk c = {0};
    yyjson_alc *alc = arena_alloc(a, sizeof *alc);
    if (!alc)
        return c;
    contract_json_allocator(a, alc);
    c.doc = yyjson_mut_doc_new(alc);
    if (!c.doc)
        return c;
    yyjson_mut_val *choices = yyjson_mut_arr(c.doc);
    c.root = yyjson_mut_obj(c.doc);
    c.choice = yyjson_mut_obj(c.doc);
    c.delta = yyjson_mut_obj(c.doc);
    yyjson_mut_doc_set_root(c.doc, c.root);
    c.ok = yyjson_mut_obj_add_str(c.doc, c.root, "id", s->id) &&
           yyjson_mut_obj_add_str(c.doc, c.root, "object", "chat.completion.chunk") &&
           yyjson_mut_obj_add_int(c.doc, c.root, "created", s->created) &&
           yyjson_mut_obj_add_str(c.doc, c.root, "model", s->model) &&
           yyjson_mut_obj_add_int(c.doc, c.choice, "index", 0) &&
           yyjson_mut_obj_add_val(c.doc, c.choice, "delta", c.delta) &&
           yyjson_mut_arr_append(choices, c.choice) &&
           yyjson_mut_obj_add_val(c.doc, c.root, "choices", choices);
    return c;
}

static int chunk_send(struct anthropic_stream *s, struct arena *a, struct chunk *c, const char *finish)
{
    yyjson_alc alc;
    size_t len;
    bool ok = c->ok && (finish ? yyjson_mut_obj_add_str(c->doc, c->choice, "finish_reason", finish)
                               : yyjson_mut_obj_add_null(c->doc, c->choice, "finish_reason"));
    contract_json_allocator(a, &alc);
    const char *text = ok ? yyjson_mut_write_opts(c->doc, 0, &alc, &len, NULL) : NULL;
    return text ? s->chunk(s->ctx, text, len) : VX11_ENOMEM;
}

/* A delta of one string. */
static int send_string(struct anthropic_stream *s, struct arena *a, const char *key, yyjson_val *text)
{
    if (!yyjson_is_str(text))
        return VX11_ECORRUPT;
    if (yyjson_get_len(text) == 0)
        return 0;
    struct chunk c = chunk_begin(s, a);
    c.ok = c.ok && yyjson_mut_obj_add_strn(c.doc, c.delta, key, yyjson_get_str(text), yyjson_get_len(text));
    return chunk_send(s, a, &c, NULL);
}

/* id and name in a call's first piece. */
static int send_call(struct anthropic_stream *s, struct arena *a, const char *id, const char *name,
                     const char *arguments, size_t len)
{
    struct chunk c = chunk_begin(s, a);
    if (!c.ok)
        return VX11_ENOMEM;
    yyjson_mut_val *calls = yyjson_mut_arr(c.doc), *call = yyjson_mut_obj(c.doc),
                   *function = yyjson_mut_obj(c.doc);
    c.ok = yyjson_mut_obj_add_int(c.doc, call, "index", s->calls - 1);
    if (id)
        c.ok = c.ok && yyjson_mut_obj_add_str(c.doc, call, "id", id) &&
               yyjson_mut_obj_add_str(c.doc, call, "type", "function") &&
               yyjson_mut_obj_add_str(c.doc, function, "name", name);
    c.ok = c.ok && yyjson_mut_obj_add_strn(c.doc, function, "arguments", arguments, len) &&
           yyjson_mut_obj_add_val(c.doc, call, "function", function) && yyjson_mut_arr_append(calls, call) &&
           yyjson_mut_obj_add_val(c.doc, c.delta, "tool_calls", calls);
    return chunk_send(s, a, &c, NULL);
}

/* A signature, or redacted thoughts, as a thinking block. */
static int send_thought(struct anthropic_stream *s, struct arena *a, const char *type, const char *key,
                        yyjson_val *value)
{
    if (!yyjson_is_str(value))
        return VX11_ECORRUPT;
    struct chunk c = chunk_begin(s, a);
    if (!c.ok)
        return VX11_ENOMEM;
    yyjson_mut_val *blocks = yyjson_mut_arr(c.doc), *block = yyjson_mut_obj(c.doc);
    c.ok = yyjson_mut_obj_add_str(c.doc, block, "type", type) &&
           yyjson_mut_obj_add_strn(c.doc, block, key, yyjson_get_str(value), yyjson_get_len(value)) &&
           yyjson_mut_arr_append(blocks, block) &&
           yyjson_mut_obj_add_val(c.doc, c.delta, "thinking_blocks", blocks);
    return chunk_send(s, a, &c, NULL);
}

/* ---- events ---- */

static int on_start(struct anthropic_stream *s, struct arena *a, yyjson_val *e)
{
    yyjson_val *message = yyjson_obj_get(e, "message");
    const char *id = yyjson_get_str(yyjson_obj_get(message, "id"));
    const char *model = yyjson_get_str(yyjson_obj_get(message, "model"));
    if (!yyjson_is_obj(message))
        return VX11_ECORRUPT;
    snprintf(s->id, sizeof s->id, "%s", id ? id : "");
    snprintf(s->model, sizeof s->model, "%s", model ? model : "");
    anthropic_usage_take(yyjson_obj_get(message, "usage"), &s->tokens);
    struct chunk c = chunk_begin(s, a);
    c.ok = c.ok && yyjson_mut_obj_add_str(c.doc, c.delta, "role", "assistant") &&
           yyjson_mut_obj_add_str(c.doc, c.delta, "content", "");
    return chunk_send(s, a, &c, NULL);
}

static int on_block(struct anthropic_stream *s, struct arena *a, yyjson_val *e)
{
    yyjson_val *block = yyjson_obj_get(e, "content_block"), *type = yyjson_obj_get(block, "type");
    const char *id = yyjson_get_str(yyjson_obj_get(block, "id"));
    const char *name = yyjson_get_str(yyjson_obj_get(block, "name"));
    s->in_call = s->has_arguments = false;
    if (yyjson_equals_str(type, "text"))
        return send_string(s, a, "content", yyjson_obj_get(block, "text"));
    if (yyjson_equals_str(type, "thinking"))
        return send_string(s, a, "reasoning_content", yyjson_obj_get(block, "thinking"));
    if (yyjson_equals_str(type, "redacted_thinking"))
        return send_thought(s, a, "redacted_thinking", "data", yyjson_obj_get(block, "data"));
    if (!yyjson_equals_str(type, "tool_use"))
        return 0;
    if (!id || !name)
        return VX11_ECORRUPT;
    s->in_call = true;
    s->calls++;
    int rc = send_call(s, a, id, name, "", 0);
    struct buf text = BUF_INIT; /* some send the input here, and no pieces of it later */
    if (rc == 0 && yyjson_obj_size(yyjson_obj_get(block, "input")) > 0) {
        s->has_arguments = true;
        rc = contract_json_write(yyjson_obj_get(block, "input"), &text);
        rc = rc ? rc : send_call(s, a, NULL, NULL, text.data, text.len);
    }
    buf_free(&text);
    return rc;
}

static int on_delta(struct anthropic_stream *s, struct arena *a, yyjson_val *e)
{
    yyjson_val *delta = yyjson_obj_get(e, "delta"), *type = yyjson_obj_get(delta, "type");
    yyjson_val *json = yyjson_obj_get(delta, "partial_json");
    if (yyjson_equals_str(type, "text_delta"))
        return send_string(s, a, "content", yyjson_obj_get(delta, "text"));
    if (yyjson_equals_str(type, "thinking_delta"))
        return send_string(s, a, "reasoning_content", yyjson_obj_get(delta, "thinking"));
    if (yyjson_equals_str(type, "signature_delta"))
        return send_thought(s, a, "thinking", "signature", yyjson_obj_get(delta, "signature"));
    if (!yyjson_equals_str(type, "input_json_delta") || !s->in_call)
        return 0; /* citations, and tools that run there */
    if (!yyjson_is_str(json))
        return VX11_ECORRUPT;
    if (yyjson_get_len(json) == 0)
        return 0;
    s->has_arguments = true;
    return send_call(s, a, NULL, NULL, yyjson_get_str(json), yyjson_get_len(json));
}

static int on_block_stop(struct anthropic_stream *s, struct arena *a)
{
    bool bare = s->in_call && !s->has_arguments;
    s->in_call = false;
    return bare ? send_call(s, a, NULL, NULL, "{}", 2) : 0;
}

static int on_message_delta(struct anthropic_stream *s, struct arena *a, yyjson_val *e)
{
    yyjson_val *delta = yyjson_obj_get(e, "delta");
    const char *reason = yyjson_get_str(yyjson_obj_get(delta, "stop_reason"));
    const char *sequence = yyjson_get_str(yyjson_obj_get(delta, "stop_sequence"));
    anthropic_usage_take(yyjson_obj_get(e, "usage"), &s->tokens);
    if (!reason)
        return 0;
    struct chunk c = chunk_begin(s, a);
    if (sequence)
        c.ok = c.ok && yyjson_mut_obj_add_str(c.doc, c.choice, "stop_reason", sequence);
    return chunk_send(s, a, &c, anthropic_finish(reason));
}

static int on_stop(struct anthropic_stream *s, struct arena *a)
{
    s->ended = true;
    struct chunk c = chunk_begin(s, a);
    if (!c.ok)
        return VX11_ENOMEM;
    yyjson_mut_obj_put(c.root, yyjson_mut_str(c.doc, "choices"), yyjson_mut_arr(c.doc));
    c.ok = yyjson_mut_obj_add_val(c.doc, c.root, "usage", anthropic_usage_value(c.doc, &s->tokens));
    int rc = chunk_send(s, a, &c, NULL);
    return rc ? rc : s->chunk(s->ctx, "[DONE]", 6);
}

static int on_error(struct anthropic_stream *s, struct arena *a, yyjson_val *e)
{
    struct buf text = BUF_INIT;
    yyjson_val *error = yyjson_obj_get(e, "error");
    (void)a;
    buf_puts(&text, "{\"error\":");
    int rc = error ? contract_json_write(error, &text) : buf_puts(&text, "\"without words\"");
    rc = rc ? rc : buf_putc(&text, '}');
    rc = rc ? rc : s->chunk(s->ctx, text.data, text.len);
    buf_free(&text);
    return rc;
}

int anthropic_stream_event(struct anthropic_stream *s, struct arena *scratch, const char *data, size_t len)
{
    yyjson_val *e = NULL;
    if (contract_json_parse(scratch, data, len, NULL, &e, NULL) != 0)
        return VX11_ECORRUPT;
    const char *type = yyjson_get_str(yyjson_obj_get(e, "type"));
    if (!type)
        return VX11_ECORRUPT;
    if (strcmp(type, "message_start") == 0)
        return on_start(s, scratch, e);
    if (strcmp(type, "content_block_start") == 0)
        return on_block(s, scratch, e);
    if (strcmp(type, "content_block_delta") == 0)
        return on_delta(s, scratch, e);
    if (strcmp(type, "content_block_stop") == 0)
        return on_block_stop(s, scratch);
    if (strcmp(type, "message_delta") == 0)
        return on_message_delta(s, scratch, e);
    if (strcmp(type, "message_stop") == 0)
        return on_stop(s, scratch);
    return strcmp(type, "error") == 0 ? on_error(s, scratch, e) : 0; /* ping, and what is new */
}
