/* Messages reply: a whole reply of chat's to one message of Anthropic's. */
#include <string.h>

#include "switch/dialects/messages.h"

#define BLOCKS 1024

void messages_usage(const struct switch_upstream_usage *u, struct anthropic_usage *out)
{
    *out = (struct anthropic_usage){0};
    if (!u)
        return;
    const struct switch_upstream_details *d = u->prompt_tokens_details;
    int64_t cached = d && d->has_cached_tokens ? d->cached_tokens : 0;
    int64_t created = d && d->has_cache_creation_tokens ? d->cache_creation_tokens : 0;
    int64_t read = u->has_prompt_tokens ? u->prompt_tokens : 0;
    out->input_tokens = read > cached + created ? read - cached - created : 0;
    out->output_tokens = u->has_completion_tokens ? u->completion_tokens : 0;
    out->has_cache_read_input_tokens = d && d->has_cached_tokens;
    out->cache_read_input_tokens = cached;
    out->has_cache_creation_input_tokens = d && d->has_cache_creation_tokens;
    out->cache_creation_input_tokens = created;
}

enum anthropic_stop_reason messages_stop_reason(const char *finish, bool called, bool refused, bool sequence)
{
    if (refused || strcmp(finish, "content_filter") == 0)
        return ANTHROPIC_STOP_REASON_REFUSAL;
    if (strcmp(finish, "length") == 0)
        return ANTHROPIC_STOP_REASON_MAX_TOKENS;
    /* Some call tools and say "stop". */
    if (called || strcmp(finish, "tool_calls") == 0 || strcmp(finish, "function_call") == 0)
        return ANTHROPIC_STOP_REASON_TOOL_USE;
    return sequence ? ANTHROPIC_STOP_REASON_STOP_SEQUENCE : ANTHROPIC_STOP_REASON_END_TURN;
}

/* ---- blocks ---- */

struct blocks {
    struct anthropic_block *list;
    size_t count;
};

static void block_push(struct blocks *b, const struct anthropic_block *block)
{
    if (b->count < BLOCKS)
        b->list[b->count++] = *block;
}

/* Signed thoughts as they came, else what was thought, unsigned. */
static int thoughts_push(struct blocks *b, struct arena *a, const struct switch_upstream_message *m)
{
    size_t i, n;
    yyjson_val *block;
    yyjson_arr_foreach(m->thinking_blocks, i, n, block)
    {
        const char *thinking = yyjson_get_str(yyjson_obj_get(block, "thinking"));
        const char *signature = yyjson_get_str(yyjson_obj_get(block, "signature"));
        const char *data = yyjson_get_str(yyjson_obj_get(block, "data"));
        if (thinking)
            block_push(b, &(struct anthropic_block){.type = ANTHROPIC_BLOCK_TYPE_THINKING,
                                                    .thinking = thinking,
                                                    .signature = signature ? signature : ""});
        else if (data)
            block_push(
                b, &(struct anthropic_block){.type = ANTHROPIC_BLOCK_TYPE_REDACTED_THINKING, .data = data});
    }
    if (b->count > 0)
        return 0;
    const char *text = upstream_thoughts(a, m);
    if (!text)
        return VX11_ENOMEM;
    if (text[0])
        block_push(b, &(struct anthropic_block){
                          .type = ANTHROPIC_BLOCK_TYPE_THINKING, .thinking = text, .signature = ""});
    return 0;
}

static int call_push(struct blocks *b, struct arena *a, yyjson_val *call, struct error *err)
{
    yyjson_val *function = yyjson_obj_get(call, "function"), *input = NULL;
    yyjson_val *arguments = yyjson_obj_get(function, "arguments");
    const char *name = yyjson_get_str(yyjson_obj_get(function, "name"));
    const char *id = yyjson_get_str(yyjson_obj_get(call, "id"));
    bool none = !arguments || yyjson_is_null(arguments) || yyjson_get_len(arguments) == 0;
    int rc = contract_json_parse(a, none ? "{}" : yyjson_get_str(arguments),
                                 none ? 2 : yyjson_get_len(arguments), NULL, &input, NULL);
    if (!name || (!none && !yyjson_is_str(arguments)) || rc != 0 || !yyjson_is_obj(input))
        return error_set(err, VX11_ECORRUPT, "a tool was called with arguments that are no JSON object");
    char made[40];
    dialect_id("toolu", made);
    id = id && id[0] ? id : arena_strdup(a, made);
    if (!id)
        return error_set(err, VX11_ENOMEM, "out of memory");
    block_push(b, &(struct anthropic_block){
                      .type = ANTHROPIC_BLOCK_TYPE_TOOL_USE, .id = id, .name = name, .input = input});
    return 0;
}

int messages_reply(struct arena *a, const struct switch_upstream *u, const char *model, struct buf *out,
                   struct error *err)
{
    static const struct switch_upstream_message nothing;
    const struct switch_upstream_choice *choice = u->choices_count > 0 ? &u->choices[0] : NULL;
    const struct switch_upstream_message *m = choice && choice->message ? choice->message : &nothing;
    struct blocks b = {.list = arena_array(a, BLOCKS, sizeof *b.list)};
    size_t i, n;
    yyjson_val *call;
    int rc = b.list ? thoughts_push(&b, a, m) : VX11_ENOMEM;
    const char *text = rc == 0 ? upstream_text(a, m->content) : NULL;
    if (!text)
        return error_set(err, VX11_ENOMEM, "out of memory");
    const char *refusal = yyjson_is_str(m->refusal) ? yyjson_get_str(m->refusal) : "";
    if (text[0])
        block_push(&b, &(struct anthropic_block){.type = ANTHROPIC_BLOCK_TYPE_TEXT, .text = text});
    if (refusal[0])
        block_push(&b, &(struct anthropic_block){.type = ANTHROPIC_BLOCK_TYPE_TEXT, .text = refusal});
    yyjson_arr_foreach(m->tool_calls, i, n, call)
    {
        if ((rc = call_push(&b, a, call, err)) != 0)
            return rc;
    }
    struct anthropic_usage usage;
    char id[40];
    const char *sequence = choice ? yyjson_get_str(choice->stop_reason) : NULL;
    const char *finish = choice && choice->finish_reason ? choice->finish_reason : "stop";
    dialect_id("msg", id);
    messages_usage(u->usage, &usage);
    struct anthropic_message message = {
        .id = id,
        .type = "message",
        .role = "assistant",
        .model = model,
        .content = b.list,
        .content_count = b.count,
        .has_stop_reason = true,
        .stop_reason =
            (int)messages_stop_reason(finish, yyjson_arr_size(m->tool_calls) > 0, refusal[0], sequence),
        .usage = &usage,
    };
    if (message.stop_reason == ANTHROPIC_STOP_REASON_STOP_SEQUENCE)
        message.stop_sequence = sequence;
    rc = anthropic_message_serialize(&message, out);
    return rc == 0 ? 0 : error_set(err, rc, "the answer could not be written");
}
