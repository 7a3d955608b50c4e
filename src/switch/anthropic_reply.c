/* Anthropic reply: a message of Anthropic's to a reply of OpenAI's chat. */
#include <string.h>

#include "base/clock.h"
#include "switch/anthropic.h"
#include "switch/anthropic_internal.h"

int anthropic_status(int status)
{
    return status == 529 ? 503 : status;
}

const char *anthropic_finish(const char *stop_reason)
{
    static const struct {
        const char *theirs, *ours;
    } map[] = {{"max_tokens", "length"},
               {"model_context_window_exceeded", "length"},
               {"tool_use", "tool_calls"},
               {"refusal", "content_filter"}};
    for (size_t i = 0; stop_reason && i < sizeof map / sizeof map[0]; i++)
        if (strcmp(stop_reason, map[i].theirs) == 0)
            return map[i].ours;
    return "stop"; /* end_turn, stop_sequence, pause_turn */
}

static void take(yyjson_val *usage, const char *key, int64_t *to)
{
    yyjson_val *v = yyjson_obj_get(usage, key);
    if (yyjson_is_int(v) && yyjson_get_sint(v) >= 0)
        *to = yyjson_get_sint(v);
}

void anthropic_usage_take(yyjson_val *usage, struct anthropic_tokens *to)
{
    take(usage, "input_tokens", &to->input);
    take(usage, "output_tokens", &to->output);
    take(usage, "cache_read_input_tokens", &to->cached);
    take(usage, "cache_creation_input_tokens", &to->created);
}

/* Theirs counts what was cached apart from the rest, OpenAI's counts it with the rest. */
yyjson_mut_val *anthropic_usage_value(yyjson_mut_doc *doc, const struct anthropic_tokens *t)
{
    yyjson_mut_val *out = yyjson_mut_obj(doc), *details = yyjson_mut_obj(doc);
    int64_t cached = t->cached > 0 ? t->cached : 0, created = t->created > 0 ? t->created : 0;
    if (t->input < 0 || t->output < 0)
        return yyjson_mut_null(doc);
    int64_t prompt = t->input + cached + created;
    bool ok = yyjson_mut_obj_add_int(doc, out, "prompt_tokens", prompt) &&
              yyjson_mut_obj_add_int(doc, out, "completion_tokens", t->output) &&
              yyjson_mut_obj_add_int(doc, out, "total_tokens", prompt + t->output);
    if (t->cached >= 0)
        ok = ok && yyjson_mut_obj_add_int(doc, details, "cached_tokens", cached);
    if (t->created >= 0)
        ok = ok && yyjson_mut_obj_add_int(doc, details, "cache_creation_tokens", created);
    if (yyjson_mut_obj_size(details) > 0)
        ok = ok && yyjson_mut_obj_add_val(doc, out, "prompt_tokens_details", details);
    return ok ? out : NULL;
}

/* ---- the message ---- */

struct parts {
    struct buf text, thoughts;
    yyjson_mut_val *calls, *blocks;
};

static bool call_add(struct parts *p, yyjson_mut_doc *doc, yyjson_val *block)
{
    yyjson_val *id = yyjson_obj_get(block, "id"), *name = yyjson_obj_get(block, "name");
    yyjson_val *input = yyjson_obj_get(block, "input");
    yyjson_mut_val *call = yyjson_mut_obj(doc), *function = yyjson_mut_obj(doc);
    struct buf text = BUF_INIT;
    if (!yyjson_is_str(id) || !yyjson_is_str(name) ||
        (input ? contract_json_write(input, &text) : buf_puts(&text, "{}")) != 0)
        return false;
    bool ok = call && function && yyjson_mut_obj_add_str(doc, call, "id", yyjson_get_str(id)) &&
              yyjson_mut_obj_add_str(doc, call, "type", "function") &&
              yyjson_mut_obj_add_str(doc, function, "name", yyjson_get_str(name)) &&
              yyjson_mut_obj_add_strncpy(doc, function, "arguments", text.data, text.len) &&
              yyjson_mut_obj_add_val(doc, call, "function", function) &&
              yyjson_mut_arr_append(p->calls, call);
    buf_free(&text);
    return ok;
}

static bool block_take(struct parts *p, yyjson_mut_doc *doc, yyjson_val *block)
{
    yyjson_val *type = yyjson_obj_get(block, "type"), *text = yyjson_obj_get(block, "text");
    yyjson_val *thinking = yyjson_obj_get(block, "thinking");
    if (yyjson_equals_str(type, "text"))
        return yyjson_is_str(text) && buf_append(&p->text, yyjson_get_str(text), yyjson_get_len(text)) == 0;
    if (yyjson_equals_str(type, "tool_use"))
        return call_add(p, doc, block);
    bool open = yyjson_equals_str(type, "thinking");
    if (open && (!yyjson_is_str(thinking) ||
                 buf_append(&p->thoughts, yyjson_get_str(thinking), yyjson_get_len(thinking)) != 0))
        return false;
    if (open || yyjson_equals_str(type, "redacted_thinking"))
        return yyjson_mut_arr_append(p->blocks, yyjson_val_mut_copy(doc, block));
    return true; /* of tools that run there, which nobody can ask for here */
}

static yyjson_mut_val *message_make(struct parts *p, yyjson_mut_doc *doc)
{
    yyjson_mut_val *message = yyjson_mut_obj(doc);
    bool none = p->text.len == 0 && yyjson_mut_arr_size(p->calls) > 0;
    bool ok =
        message && yyjson_mut_obj_add_str(doc, message, "role", "assistant") &&
        yyjson_mut_obj_add_val(doc, message, "content",
                               none ? yyjson_mut_null(doc)
                                    : yyjson_mut_strncpy(doc, p->text.data ? p->text.data : "", p->text.len));
    if (p->thoughts.len > 0)
        ok = ok &&
             yyjson_mut_obj_add_strncpy(doc, message, "reasoning_content", p->thoughts.data, p->thoughts.len);
    if (yyjson_mut_arr_size(p->blocks) > 0)
        ok = ok && yyjson_mut_obj_add_val(doc, message, "thinking_blocks", p->blocks);
    if (yyjson_mut_arr_size(p->calls) > 0)
        ok = ok && yyjson_mut_obj_add_val(doc, message, "tool_calls", p->calls);
    return ok ? message : NULL;
}

static bool reply_make(yyjson_mut_doc *doc, yyjson_val *from, yyjson_mut_val *message)
{
    yyjson_mut_val *root = yyjson_mut_obj(doc), *choices = yyjson_mut_arr(doc), *choice = yyjson_mut_obj(doc);
    const char *id = yyjson_get_str(yyjson_obj_get(from, "id")),
               *model = yyjson_get_str(yyjson_obj_get(from, "model"));
    const char *sequence = yyjson_get_str(yyjson_obj_get(from, "stop_sequence"));
    struct anthropic_tokens tokens = ANTHROPIC_TOKENS_UNKNOWN;
    anthropic_usage_take(yyjson_obj_get(from, "usage"), &tokens);
    const char *finish = anthropic_finish(yyjson_get_str(yyjson_obj_get(from, "stop_reason")));
    bool ok = root && choices && choice && message && yyjson_mut_obj_add_int(doc, choice, "index", 0) &&
              yyjson_mut_obj_add_val(doc, choice, "message", message) &&
              yyjson_mut_obj_add_null(doc, choice, "logprobs") &&
              yyjson_mut_obj_add_str(doc, choice, "finish_reason", finish);
    if (sequence)
        ok = ok && yyjson_mut_obj_add_str(doc, choice, "stop_reason", sequence);
    ok = ok && yyjson_mut_arr_append(choices, choice) &&
         yyjson_mut_obj_add_str(doc, root, "id", id ? id : "") &&
         yyjson_mut_obj_add_str(doc, root, "object", "chat.completion") &&
         yyjson_mut_obj_add_int(doc, root, "created", clock_wall_ms() / 1000) &&
         yyjson_mut_obj_add_str(doc, root, "model", model ? model : "") &&
         yyjson_mut_obj_add_val(doc, root, "choices", choices) &&
         yyjson_mut_obj_add_val(doc, root, "usage", anthropic_usage_value(doc, &tokens));
    if (ok)
        yyjson_mut_doc_set_root(doc, root);
    return ok;
}

int anthropic_reply(struct arena *a, const char *body, size_t len, const char **out, size_t *out_len,
                    struct error *err)
{
    yyjson_val *from = NULL, *block;
    yyjson_alc alc;
    size_t i, n;
    contract_json_allocator(a, &alc);
    if (contract_json_parse(a, body, len, NULL, &from, NULL) != 0 ||
        !yyjson_equals_str(yyjson_obj_get(from, "type"), "message") ||
        !yyjson_is_arr(yyjson_obj_get(from, "content")))
        return error_set(err, VX11_ECORRUPT, "the reply is no message of Anthropic's");
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&alc);
    if (!doc)
        return error_set(err, VX11_ENOMEM, "out of memory");
    struct parts p = {.calls = yyjson_mut_arr(doc), .blocks = yyjson_mut_arr(doc)};
    bool ok = p.calls && p.blocks;
    yyjson_arr_foreach(yyjson_obj_get(from, "content"), i, n, block)
    {
        ok = ok && block_take(&p, doc, block);
    }
    ok = ok && reply_make(doc, from, message_make(&p, doc));
    buf_free(&p.text);
    buf_free(&p.thoughts);
    if (!ok)
        return error_set(err, VX11_ECORRUPT, "a block of the message makes no sense");
    *out = yyjson_mut_write_opts(doc, 0, &alc, out_len, NULL);
    return *out ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
}
