/* Responses reply: chat's chunks, or its whole reply, to a response and the events that tell how it grows.
 *
 *   created, in_progress
 *   for each item, one after the other:
 *     output_item.added, (content_part.added,) deltas, done, (content_part.done,) output_item.done
 *   completed | incomplete | failed
 *
 * The events at an item's end hold all of it, so the whole answer is kept until the last one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "switch/dialects/responses.h"

#define ITEMS 1024
#define BYTES (64u * 1024u * 1024u)

struct responses_output {
    enum responses_item_type type;
    char id[40];
    struct buf text, refusal; /* of a call: its arguments in text */
    struct buf call_id, name;
    int64_t call; /* chat's index of the call */
    bool has_text, has_refusal, closed;
};

/* ---- sending ---- */

static int send(struct responses_stream *s, struct responses_event *e)
{
    struct buf text = BUF_INIT;
    if (!s->sink.event)
        return 0;
    e->sequence_number = s->sequence++;
    int rc = responses_event_serialize(e, &text);
    if (rc == 0)
        rc = s->sink.event(s->sink.ctx, e->type, text.data, text.len);
    buf_free(&text);
    return rc;
}

static const char *bytes(const struct buf *b)
{
    return b->data ? b->data : "";
}

/* An empty JSON array; NULL without memory. */
static yyjson_val *empty_array(struct arena *a)
{
    yyjson_val *v = NULL;
    return contract_json_parse(a, "[]", 2, NULL, &v, NULL) == 0 ? v : NULL;
}

/* The item as it is now: parts need room for 2. */
static int item_show(const struct responses_output *o, struct arena *a, enum responses_status status,
                     struct responses_item *out)
{
    struct responses_part *parts = arena_array(a, 2, sizeof *parts);
    yyjson_val *none = empty_array(a);
    if (!parts || !none)
        return VX11_ENOMEM;
    *out = (struct responses_item){.id = o->id, .type = (int)o->type, .status = (int)status};
    if (o->type == RESPONSES_ITEM_TYPE_FUNCTION_CALL) {
        out->call_id = bytes(&o->call_id);
        out->name = bytes(&o->name);
        out->arguments = bytes(&o->text);
        return 0;
    }
    bool thoughts = o->type == RESPONSES_ITEM_TYPE_REASONING;
    out->content = parts;
    out->role = thoughts ? NULL : "assistant";
    out->summary = thoughts ? none : NULL;
    if (o->has_text)
        parts[out->content_count++] = (struct responses_part){
            .type = thoughts ? RESPONSES_PART_TYPE_REASONING_TEXT : RESPONSES_PART_TYPE_OUTPUT_TEXT,
            .text = bytes(&o->text),
            .annotations = thoughts ? NULL : none,
            .logprobs = thoughts ? NULL : none};
    if (o->has_refusal)
        parts[out->content_count++] =
            (struct responses_part){.type = RESPONSES_PART_TYPE_REFUSAL, .refusal = bytes(&o->refusal)};
    return 0;
}

/* The whole response as it is now. */
static int reply_show(struct responses_stream *s, struct arena *a, enum responses_status status)
{
    enum responses_status cut = status == RESPONSES_STATUS_COMPLETED ? status : RESPONSES_STATUS_INCOMPLETE;
    struct responses_item *items = arena_array(a, s->count + 1, sizeof *items);
    if (!items)
        return VX11_ENOMEM;
    for (size_t i = 0; i < s->count; i++) {
        bool last = i + 1 == s->count;
        int rc = item_show(&s->items[i], a, last ? cut : RESPONSES_STATUS_COMPLETED, &items[i]);
        if (rc != 0)
            return rc;
    }
    s->reply.id = s->id;
    s->reply.model = s->model;
    s->reply.status = (int)status;
    s->reply.output = items;
    s->reply.output_count = s->count;
    return 0;
}

static int send_reply(struct responses_stream *s, const char *type, enum responses_status status)
{
    struct arena *a = arena_create(0);
    int rc = a ? reply_show(s, a, status) : VX11_ENOMEM;
    struct responses_event e = {.type = type, .response = &s->reply};
    rc = rc ? rc : send(s, &e);
    s->reply.output = NULL;
    s->reply.output_count = 0;
    arena_destroy(a);
    return rc;
}

/* output_item.added and .done. */
static int send_item(struct responses_stream *s, const char *type, enum responses_status status)
{
    struct arena *a = s->sink.event ? arena_create(0) : NULL;
    struct responses_item shown;
    if (!s->sink.event)
        return 0;
    int rc = a ? item_show(&s->items[s->count - 1], a, status, &shown) : VX11_ENOMEM;
    struct responses_event e = {
        .type = type, .has_output_index = true, .output_index = (int64_t)s->count - 1, .item = &shown};
    rc = rc ? rc : send(s, &e);
    arena_destroy(a);
    return rc;
}

/* An event about a part of the last item, or about its arguments. */
static struct responses_event part_event(const struct responses_stream *s, const char *type, bool second)
{
    const struct responses_output *o = &s->items[s->count - 1];
    return (struct responses_event){.type = type,
                                    .has_output_index = true,
                                    .output_index = (int64_t)s->count - 1,
                                    .item_id = o->id,
                                    .has_content_index = o->type != RESPONSES_ITEM_TYPE_FUNCTION_CALL,
                                    .content_index = second};
}

/* content_part.added and .done. */
static int send_part(struct responses_stream *s, const char *type, bool refusal, const char *text)
{
    const struct responses_output *o = &s->items[s->count - 1];
    struct arena *a = s->sink.event ? arena_create(0) : NULL;
    bool thoughts = o->type == RESPONSES_ITEM_TYPE_REASONING;
    if (!s->sink.event)
        return 0;
    yyjson_val *none = a ? empty_array(a) : NULL;
    struct responses_part part = {
        .type = refusal    ? RESPONSES_PART_TYPE_REFUSAL
                : thoughts ? RESPONSES_PART_TYPE_REASONING_TEXT
                           : RESPONSES_PART_TYPE_OUTPUT_TEXT,
        .text = refusal ? NULL : text,
        .refusal = refusal ? text : NULL,
        .annotations = refusal || thoughts ? NULL : none,
        .logprobs = refusal || thoughts ? NULL : none,
    };
    struct responses_event e = part_event(s, type, refusal && o->has_text);
    e.part = &part;
    int rc = none ? send(s, &e) : VX11_ENOMEM;
    arena_destroy(a);
    return rc;
}

static int send_text(struct responses_stream *s, const char *type, bool refusal, const char *delta,
                     const char *whole)
{
    const struct responses_output *o = &s->items[s->count - 1];
    struct arena *a = s->sink.event ? arena_create(0) : NULL;
    if (!s->sink.event)
        return 0;
    bool call = o->type == RESPONSES_ITEM_TYPE_FUNCTION_CALL;
    struct responses_event e = part_event(s, type, refusal && o->has_text);
    e.delta = delta;
    if (whole && call) {
        e.arguments = whole;
        e.name = bytes(&o->name);
    } else if (whole) {
        e.text = refusal ? NULL : whole;
        e.refusal = refusal ? whole : NULL;
    }
    if (!refusal && o->type == RESPONSES_ITEM_TYPE_MESSAGE)
        e.logprobs = a ? empty_array(a) : NULL;
    int rc = a ? send(s, &e) : VX11_ENOMEM;
    arena_destroy(a);
    return rc;
}

/* ---- items ---- */

static const char *text_event(const struct responses_output *o, bool done)
{
    switch (o->type) {
    case RESPONSES_ITEM_TYPE_REASONING:
        return done ? "response.reasoning_text.done" : "response.reasoning_text.delta";
    case RESPONSES_ITEM_TYPE_FUNCTION_CALL:
        return done ? "response.function_call_arguments.done" : "response.function_call_arguments.delta";
    case RESPONSES_ITEM_TYPE_MESSAGE:
        break;
    }
    return done ? "response.output_text.done" : "response.output_text.delta";
}

static int item_close(struct responses_stream *s, enum responses_status status)
{
    struct responses_output *o = s->count > 0 ? &s->items[s->count - 1] : NULL;
    int rc = 0;
    if (!o || o->closed)
        return 0;
    o->closed = true;
    bool call = o->type == RESPONSES_ITEM_TYPE_FUNCTION_CALL;
    if (call || o->has_text)
        rc = send_text(s, text_event(o, true), false, NULL, bytes(&o->text));
    if (!call && o->has_text)
        rc = rc ? rc : send_part(s, "response.content_part.done", false, bytes(&o->text));
    if (o->has_refusal) {
        rc = rc ? rc : send_text(s, "response.refusal.done", true, NULL, bytes(&o->refusal));
        rc = rc ? rc : send_part(s, "response.content_part.done", true, bytes(&o->refusal));
    }
    return rc ? rc : send_item(s, "response.output_item.done", status);
}

static int item_open(struct responses_stream *s, enum responses_item_type type, int64_t call,
                     const char *call_id, const char *name)
{
    static const char *const prefixes[] = {[RESPONSES_ITEM_TYPE_REASONING] = "rs",
                                           [RESPONSES_ITEM_TYPE_MESSAGE] = "msg",
                                           [RESPONSES_ITEM_TYPE_FUNCTION_CALL] = "fc"};
    int rc = item_close(s, RESPONSES_STATUS_COMPLETED);
    if (rc != 0)
        return rc;
    if (s->count == ITEMS)
        return VX11_ETOO_LARGE;
    if (s->count == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 4;
        struct responses_output *items = realloc(s->items, cap * sizeof *items);
        if (!items)
            return VX11_ENOMEM;
        s->items = items;
        s->cap = cap;
    }
    struct responses_output *o = &s->items[s->count++];
    *o = (struct responses_output){.type = type, .call = call};
    dialect_id(prefixes[type], o->id);
    rc = buf_puts(&o->call_id, call_id ? call_id : "");
    rc = rc ? rc : buf_puts(&o->name, name ? name : "");
    return rc ? rc : send_item(s, "response.output_item.added", RESPONSES_STATUS_IN_PROGRESS);
}

static int item_text(struct responses_stream *s, const char *text)
{
    struct responses_output *o = &s->items[s->count - 1];
    int rc = 0;
    if (!o->has_text && o->type != RESPONSES_ITEM_TYPE_FUNCTION_CALL) {
        rc = send_part(s, "response.content_part.added", false, "");
        o->has_text = true;
    }
    if (o->text.len > BYTES)
        return VX11_ETOO_LARGE;
    rc = rc ? rc : buf_puts(&o->text, text);
    return rc ? rc : send_text(s, text_event(o, false), false, text, NULL);
}

static int text_add(struct responses_stream *s, enum responses_item_type type, const char *text)
{
    int rc = 0;
    if (!text[0])
        return 0;
    if (s->count == 0 || s->items[s->count - 1].closed || s->items[s->count - 1].type != type ||
        s->items[s->count - 1].has_refusal)
        rc = item_open(s, type, -1, NULL, NULL);
    return rc ? rc : item_text(s, text);
}

static int refusal_add(struct responses_stream *s, const char *text)
{
    int rc = 0;
    if (!text[0])
        return 0;
    if (s->count == 0 || s->items[s->count - 1].type != RESPONSES_ITEM_TYPE_MESSAGE)
        rc = item_open(s, RESPONSES_ITEM_TYPE_MESSAGE, -1, NULL, NULL);
    if (rc != 0)
        return rc;
    struct responses_output *o = &s->items[s->count - 1];
    if (!o->has_refusal) {
        rc = send_part(s, "response.content_part.added", true, "");
        o->has_refusal = true;
    }
    rc = rc ? rc : buf_puts(&o->refusal, text);
    return rc ? rc : send_text(s, "response.refusal.delta", true, text, NULL);
}

/* i: its place in a list whose calls have no index of their own. */
static int call_add_piece(struct responses_stream *s, yyjson_val *piece, size_t i, bool whole)
{
    yyjson_val *function = yyjson_obj_get(piece, "function"), *at = yyjson_obj_get(piece, "index");
    const char *name = yyjson_get_str(yyjson_obj_get(function, "name"));
    const char *arguments = yyjson_get_str(yyjson_obj_get(function, "arguments"));
    const char *id = yyjson_get_str(yyjson_obj_get(piece, "id"));
    const struct responses_output *last = s->count > 0 ? &s->items[s->count - 1] : NULL;
    bool open = last && !last->closed && last->type == RESPONSES_ITEM_TYPE_FUNCTION_CALL;
    int64_t index = yyjson_is_int(at) ? yyjson_get_sint(at) : whole ? (int64_t)i : open ? last->call : 0;
    char made[40];
    int rc = 0;
    if (!open || last->call != index) {
        if (!name || !name[0])
            return VX11_ECORRUPT;
        for (size_t k = 0; k < s->count; k++) /* more of a call that has ended */
            if (s->items[k].type == RESPONSES_ITEM_TYPE_FUNCTION_CALL && s->items[k].call == index)
                return VX11_ECORRUPT;
        dialect_id("call", made);
        rc = item_open(s, RESPONSES_ITEM_TYPE_FUNCTION_CALL, index, id && id[0] ? id : made, name);
    }
    return rc || !arguments || !arguments[0] ? rc : item_text(s, arguments);
}

/* ---- chunks ---- */

static yyjson_val *or_default(struct arena *a, yyjson_val *given, const char *text)
{
    yyjson_val *v = NULL;
    if (given && !yyjson_is_null(given))
        return given;
    return contract_json_parse(a, text, strlen(text), NULL, &v, NULL) == 0 ? v : NULL;
}

int responses_echo(struct arena *a, const struct responses_request *q, struct responses_reply *out)
{
    *out = (struct responses_reply){
        .object = "response",
        .instructions = q->instructions,
        .has_max_output_tokens = q->has_max_output_tokens,
        .max_output_tokens = q->max_output_tokens,
        .parallel_tool_calls = !q->has_parallel_tool_calls || q->parallel_tool_calls,
        .reasoning = q->reasoning,
        .has_temperature = q->has_temperature,
        .temperature = q->temperature,
        .text = or_default(a, q->text, "{\"format\":{\"type\":\"text\"}}"),
        .tool_choice = or_default(a, q->tool_choice, "\"auto\""),
        .tools = or_default(a, q->tools, "[]"),
        .has_top_p = q->has_top_p,
        .top_p = q->top_p,
        .truncation = q->has_truncation && q->truncation == RESPONSES_REQUEST_TRUNCATION_AUTO
                          ? RESPONSES_REPLY_TRUNCATION_AUTO
                          : RESPONSES_REPLY_TRUNCATION_DISABLED,
        .user = q->user,
        .metadata = or_default(a, q->metadata, "{}"),
    };
    return out->text && out->tool_choice && out->tools && out->metadata ? 0 : VX11_ENOMEM;
}

void responses_stream_init(struct responses_stream *s, const struct dialect_sink *sink, const char *model,
                           const struct responses_reply *echo)
{
    *s = (struct responses_stream){.reply = *echo};
    if (sink)
        s->sink = *sink;
    dialect_id("resp", s->id);
    snprintf(s->model, sizeof s->model, "%s", model);
    snprintf(s->finish, sizeof s->finish, "stop");
    s->reply.created_at = clock_wall_ms() / 1000;
}

void responses_stream_free(struct responses_stream *s)
{
    for (size_t i = 0; i < s->count; i++) {
        buf_free(&s->items[i].text);
        buf_free(&s->items[i].refusal);
        buf_free(&s->items[i].call_id);
        buf_free(&s->items[i].name);
    }
    free(s->items);
    s->items = NULL;
    s->count = s->cap = 0;
}

static int start(struct responses_stream *s)
{
    if (s->started)
        return 0;
    s->started = true;
    int rc = send_reply(s, "response.created", RESPONSES_STATUS_IN_PROGRESS);
    return rc ? rc : send_reply(s, "response.in_progress", RESPONSES_STATUS_IN_PROGRESS);
}

static void usage_take(struct responses_stream *s, const struct switch_upstream_usage *u)
{
    const struct switch_upstream_details *in = u->prompt_tokens_details;
    const struct switch_upstream_written *out = u->completion_tokens_details;
    s->in = (struct responses_input_details){in && in->has_cached_tokens ? in->cached_tokens : 0};
    s->out = (struct responses_output_details){out && out->has_reasoning_tokens ? out->reasoning_tokens : 0};
    s->usage = (struct responses_usage){.input_tokens = u->has_prompt_tokens ? u->prompt_tokens : 0,
                                        .input_tokens_details = &s->in,
                                        .output_tokens = u->has_completion_tokens ? u->completion_tokens : 0,
                                        .output_tokens_details = &s->out};
    s->usage.total_tokens = s->usage.input_tokens + s->usage.output_tokens;
    s->reply.usage = u->has_prompt_tokens && u->has_completion_tokens ? &s->usage : NULL;
}

static int message_take(struct responses_stream *s, struct arena *a, const struct switch_upstream_message *m,
                        bool whole)
{
    const char *thoughts = upstream_thoughts(a, m), *text = upstream_text(a, m->content);
    size_t i, n;
    yyjson_val *call;
    if (!thoughts || !text)
        return VX11_ENOMEM;
    int rc = text_add(s, RESPONSES_ITEM_TYPE_REASONING, thoughts);
    rc = rc ? rc : text_add(s, RESPONSES_ITEM_TYPE_MESSAGE, text);
    if (rc == 0 && yyjson_is_str(m->refusal))
        rc = refusal_add(s, yyjson_get_str(m->refusal));
    yyjson_arr_foreach(m->tool_calls, i, n, call)
    {
        rc = rc ? rc : call_add_piece(s, call, i, whole);
    }
    return rc;
}

int responses_stream_chunk(struct responses_stream *s, struct arena *a, const struct switch_upstream *u)
{
    int rc = start(s);
    if (u->usage)
        usage_take(s, u->usage);
    if (rc != 0 || u->choices_count == 0)
        return rc;
    const struct switch_upstream_choice *c = &u->choices[0];
    if (c->delta)
        rc = message_take(s, a, c->delta, false);
    else if (c->message)
        rc = message_take(s, a, c->message, true);
    if (c->finish_reason)
        snprintf(s->finish, sizeof s->finish, "%s", c->finish_reason);
    return rc;
}

/* completed, or incomplete and why. */
static enum responses_status ended(const struct responses_stream *s, struct responses_incomplete *why)
{
    bool length = strcmp(s->finish, "length") == 0, filter = strcmp(s->finish, "content_filter") == 0;
    why->reason =
        length ? RESPONSES_INCOMPLETE_REASON_MAX_OUTPUT_TOKENS : RESPONSES_INCOMPLETE_REASON_CONTENT_FILTER;
    return length || filter ? RESPONSES_STATUS_INCOMPLETE : RESPONSES_STATUS_COMPLETED;
}

int responses_stream_end(struct responses_stream *s)
{
    struct responses_incomplete why;
    enum responses_status status = ended(s, &why);
    bool whole = status == RESPONSES_STATUS_COMPLETED;
    int rc = start(s);
    rc = rc ? rc : item_close(s, status);
    s->reply.incomplete_details = whole ? NULL : &why;
    rc = rc ? rc : send_reply(s, whole ? "response.completed" : "response.incomplete", status);
    s->reply.incomplete_details = NULL;
    return rc;
}

int responses_stream_fail(struct responses_stream *s, const char *code, const char *text)
{
    struct responses_failure failure = {.code = code, .message = text};
    int rc = start(s);
    s->reply.error = &failure;
    rc = rc ? rc : send_reply(s, "response.failed", RESPONSES_STATUS_FAILED);
    s->reply.error = NULL;
    return rc;
}

int responses_reply(struct arena *a, const struct switch_upstream *u, const char *model,
                    const struct responses_reply *echo, struct buf *out, struct error *err)
{
    struct responses_stream s;
    struct responses_incomplete why;
    responses_stream_init(&s, NULL, model, echo);
    int rc = responses_stream_chunk(&s, a, u);
    enum responses_status status = ended(&s, &why);
    s.reply.incomplete_details = status == RESPONSES_STATUS_COMPLETED ? NULL : &why;
    rc = rc ? rc : reply_show(&s, a, status);
    rc = rc ? rc : responses_reply_serialize(&s.reply, out);
    responses_stream_free(&s);
    return rc == 0 ? 0 : error_set(err, rc, "the provider's answer does not make a response");
}
