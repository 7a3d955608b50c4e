/* Messages stream: chat's chunks to Anthropic's events.
 *
 *   message_start, then blocks one after the other: content_block_start, …_delta, …_stop,
 *   at the end message_delta with reason and usage, message_stop
 *
 * Chat does not say when a piece of text or a call ends: the next one's beginning, or the end, tells. */
#include <stdio.h>
#include <string.h>

#include "switch/dialects/messages.h"

static int send(struct messages_stream *s, const struct contract_message *m, const void *event,
                const char *name)
{
    struct buf text = BUF_INIT;
    int rc = contract_serialize(m, event, &text);
    if (rc == 0)
        rc = s->sink.event(s->sink.ctx, name, text.data, text.len);
    buf_free(&text);
    return rc;
}

static int send_event(struct messages_stream *s, const struct anthropic_stream_event *e)
{
    return send(s, &anthropic_stream_event_message, e, anthropic_event_type_names[e->type]);
}

void messages_stream_init(struct messages_stream *s, const struct dialect_sink *sink, const char *model)
{
    *s = (struct messages_stream){.sink = *sink, .open = -1, .call = -1};
    snprintf(s->model, sizeof s->model, "%s", model);
    snprintf(s->finish, sizeof s->finish, "stop");
}

static int start(struct messages_stream *s)
{
    struct anthropic_usage usage = {0};
    struct anthropic_block none[1];
    char id[40];
    if (s->started)
        return 0;
    s->started = true;
    dialect_id("msg", id);
    struct anthropic_message message = {.id = id,
                                        .type = "message",
                                        .role = "assistant",
                                        .model = s->model,
                                        .content = none,
                                        .usage = &usage};
    return send_event(
        s, &(struct anthropic_stream_event){.type = ANTHROPIC_EVENT_TYPE_MESSAGE_START, .message = &message});
}

/* ---- blocks ---- */

static int block_close(struct messages_stream *s)
{
    if (s->open < 0)
        return 0;
    s->open = -1;
    return send_event(s, &(struct anthropic_stream_event){.type = ANTHROPIC_EVENT_TYPE_CONTENT_BLOCK_STOP,
                                                          .has_index = true,
                                                          .index = s->blocks - 1});
}

static int block_open(struct messages_stream *s, struct anthropic_block *block)
{
    int rc = block_close(s);
    if (rc != 0)
        return rc;
    s->open = block->type;
    return send_event(s, &(struct anthropic_stream_event){.type = ANTHROPIC_EVENT_TYPE_CONTENT_BLOCK_START,
                                                          .has_index = true,
                                                          .index = s->blocks++,
                                                          .content_block = block});
}

static int block_add(struct messages_stream *s, struct anthropic_block_delta *delta)
{
    return send_event(s, &(struct anthropic_stream_event){.type = ANTHROPIC_EVENT_TYPE_CONTENT_BLOCK_DELTA,
                                                          .has_index = true,
                                                          .index = s->blocks - 1,
                                                          .delta = delta});
}

static int text_add(struct messages_stream *s, const char *text)
{
    struct anthropic_block block = {.type = ANTHROPIC_BLOCK_TYPE_TEXT, .text = ""};
    struct anthropic_block_delta delta = {.type = ANTHROPIC_DELTA_TYPE_TEXT_DELTA, .text = text};
    int rc = 0;
    if (!text[0])
        return 0;
    if (s->open != ANTHROPIC_BLOCK_TYPE_TEXT)
        rc = block_open(s, &block);
    return rc ? rc : block_add(s, &delta);
}

static int thinking_open(struct messages_stream *s)
{
    struct anthropic_block block = {.type = ANTHROPIC_BLOCK_TYPE_THINKING, .thinking = "", .signature = ""};
    return s->open == ANTHROPIC_BLOCK_TYPE_THINKING ? 0 : block_open(s, &block);
}

static int thoughts_add(struct messages_stream *s, const char *text)
{
    struct anthropic_block_delta delta = {.type = ANTHROPIC_DELTA_TYPE_THINKING_DELTA, .thinking = text};
    if (!text[0])
        return 0;
    int rc = thinking_open(s);
    return rc ? rc : block_add(s, &delta);
}

/* What goes with the thoughts: a signature ends its block, redacted thoughts are a block of their own. */
static int signed_add(struct messages_stream *s, yyjson_val *block)
{
    const char *signature = yyjson_get_str(yyjson_obj_get(block, "signature"));
    const char *data = yyjson_get_str(yyjson_obj_get(block, "data"));
    int rc = 0;
    if (signature && signature[0]) {
        struct anthropic_block_delta delta = {.type = ANTHROPIC_DELTA_TYPE_SIGNATURE_DELTA,
                                              .signature = signature};
        rc = thinking_open(s);
        rc = rc ? rc : block_add(s, &delta);
        rc = rc ? rc : block_close(s);
    } else if (data) {
        struct anthropic_block hidden = {.type = ANTHROPIC_BLOCK_TYPE_REDACTED_THINKING, .data = data};
        rc = block_open(s, &hidden);
        rc = rc ? rc : block_close(s);
    }
    return rc;
}

/* ---- calls ---- */

static int call_open(struct messages_stream *s, struct arena *a, yyjson_val *piece, int64_t index)
{
    yyjson_val *function = yyjson_obj_get(piece, "function"), *none = NULL;
    const char *name = yyjson_get_str(yyjson_obj_get(function, "name"));
    const char *id = yyjson_get_str(yyjson_obj_get(piece, "id"));
    char made[40];
    if (!name || !name[0] || index < s->call) /* without a name, or more of one that has ended */
        return VX11_ECORRUPT;
    if (contract_json_parse(a, "{}", 2, NULL, &none, NULL) != 0)
        return VX11_ENOMEM;
    dialect_id("toolu", made);
    struct anthropic_block block = {
        .type = ANTHROPIC_BLOCK_TYPE_TOOL_USE, .id = id && id[0] ? id : made, .name = name, .input = none};
    s->call = index;
    s->called = true;
    return block_open(s, &block);
}

static int call_add_piece(struct messages_stream *s, struct arena *a, yyjson_val *piece)
{
    yyjson_val *at = yyjson_obj_get(piece, "index");
    int64_t index = yyjson_is_int(at) ? yyjson_get_sint(at) : s->call < 0 ? 0 : s->call;
    const char *arguments = yyjson_get_str(yyjson_obj_get(yyjson_obj_get(piece, "function"), "arguments"));
    int rc = 0;
    if (s->open != ANTHROPIC_BLOCK_TYPE_TOOL_USE || index != s->call)
        rc = call_open(s, a, piece, index);
    if (rc == 0 && arguments && arguments[0]) {
        struct anthropic_block_delta delta = {.type = ANTHROPIC_DELTA_TYPE_INPUT_JSON_DELTA,
                                              .partial_json = arguments};
        rc = block_add(s, &delta);
    }
    return rc;
}

/* ---- chunks ---- */

static int delta_add(struct messages_stream *s, struct arena *a, const struct switch_upstream_message *m)
{
    const char *thoughts = upstream_thoughts(a, m), *text = upstream_text(a, m->content);
    size_t i, n;
    yyjson_val *one;
    if (!thoughts || !text)
        return VX11_ENOMEM;
    int rc = thoughts_add(s, thoughts);
    yyjson_arr_foreach(m->thinking_blocks, i, n, one)
    {
        rc = rc ? rc : signed_add(s, one);
    }
    rc = rc ? rc : text_add(s, text);
    if (rc == 0 && yyjson_is_str(m->refusal) && yyjson_get_len(m->refusal) > 0) {
        s->refused = true;
        rc = text_add(s, yyjson_get_str(m->refusal));
    }
    yyjson_arr_foreach(m->tool_calls, i, n, one)
    {
        rc = rc ? rc : call_add_piece(s, a, one);
    }
    return rc;
}

int messages_stream_chunk(struct messages_stream *s, struct arena *a, const struct switch_upstream *u)
{
    int rc = start(s);
    if (u->usage)
        messages_usage(u->usage, &s->usage);
    if (rc != 0 || u->choices_count == 0)
        return rc;
    const struct switch_upstream_choice *c = &u->choices[0];
    if (c->delta)
        rc = delta_add(s, a, c->delta);
    if (c->finish_reason) {
        const char *sequence = yyjson_get_str(c->stop_reason);
        snprintf(s->finish, sizeof s->finish, "%s", c->finish_reason);
        s->has_sequence = sequence != NULL;
        snprintf(s->sequence, sizeof s->sequence, "%s", sequence ? sequence : "");
    }
    return rc;
}

int messages_stream_end(struct messages_stream *s)
{
    int rc = start(s);
    rc = rc ? rc : block_close(s);
    struct anthropic_message_end how = {
        .has_stop_reason = true,
        .stop_reason = (int)messages_stop_reason(s->finish, s->called, s->refused, s->has_sequence)};
    if (how.stop_reason == ANTHROPIC_STOP_REASON_STOP_SEQUENCE)
        how.stop_sequence = s->sequence;
    struct anthropic_message_delta delta = {.delta = &how, .usage = &s->usage};
    rc = rc ? rc : send(s, &anthropic_message_delta_message, &delta, "message_delta");
    return rc ? rc
              : send_event(s, &(struct anthropic_stream_event){.type = ANTHROPIC_EVENT_TYPE_MESSAGE_STOP});
}
