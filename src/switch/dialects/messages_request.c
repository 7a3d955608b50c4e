/* Messages request: Anthropic's request to OpenAI's chat. */
#include <stdio.h>
#include <string.h>

#include "switch/dialects/messages.h"

#define PATH 192

/* ---- what a user's turn holds ---- */

static const char *data_url(struct translation *t, yyjson_val *source, const char *at)
{
    const char *type = translation_text_of(t, source, "media_type", at);
    const char *data = type ? translation_text_of(t, source, "data", at) : NULL;
    if (!data)
        return NULL;
    const char *url = arena_printf(t->a, "data:%s;base64,%s", type, data);
    if (!url)
        translation_no_memory(t);
    return url;
}

static bool image_block(struct translation *t, yyjson_val *block, const char *at, yyjson_mut_val *parts)
{
    yyjson_val *source = yyjson_obj_get(block, "source");
    char where[PATH];
    snprintf(where, sizeof where, "%.180s/source", at);
    const char *url = NULL;
    if (translation_is_type(source, "base64"))
        url = data_url(t, source, where);
    else if (translation_is_type(source, "url"))
        url = translation_text_of(t, source, "url", where);
    else
        return translation_unsupported(t, where, "type", "only images in base64 and by URL can be passed on");
    return url && part_image(t, parts, url);
}

/* A text with its title and what is said about it, as one part. */
static bool titled_text(struct translation *t, yyjson_val *block, const char *text, yyjson_mut_val *parts)
{
    const char *title = yyjson_get_str(yyjson_obj_get(block, "title"));
    const char *context = yyjson_get_str(yyjson_obj_get(block, "context"));
    const char *source = yyjson_get_str(yyjson_obj_get(block, "source")); /* of a search result */
    char *whole =
        arena_printf(t->a, "%s%s%s%s%s%s%s", title ? title : "", title ? "\n" : "", source ? source : "",
                     source ? "\n" : "", context ? context : "", context ? "\n" : "", text);
    if (!whole)
        return translation_no_memory(t);
    return !whole[0] || part_text(t, parts, whole, strlen(whole));
}

static bool user_block(struct translation *t, yyjson_val *block, const char *at, yyjson_mut_val *parts);

static bool content_parts(struct translation *t, yyjson_val *content, const char *at, yyjson_mut_val *parts)
{
    size_t i, n;
    yyjson_val *block;
    if (yyjson_is_str(content))
        return part_text(t, parts, yyjson_get_str(content), yyjson_get_len(content));
    if (!yyjson_is_arr(content))
        return translation_invalid(t, at, NULL, "must be a string or an array of blocks");
    yyjson_arr_foreach(content, i, n, block)
    {
        char where[PATH];
        snprintf(where, sizeof where, "%.170s/%zu", at, i);
        if (!user_block(t, block, where, parts))
            return false;
    }
    return true;
}

static bool document_block(struct translation *t, yyjson_val *block, const char *at, yyjson_mut_val *parts)
{
    yyjson_val *source = yyjson_obj_get(block, "source");
    const char *title = yyjson_get_str(yyjson_obj_get(block, "title"));
    const char *context = yyjson_get_str(yyjson_obj_get(block, "context"));
    char where[PATH];
    snprintf(where, sizeof where, "%.180s/source", at);
    if (yyjson_get_bool(yyjson_obj_get(yyjson_obj_get(block, "citations"), "enabled")))
        return translation_unsupported(t, at, "citations/enabled", "citations cannot be asked for");
    if (translation_is_type(source, "text")) {
        const char *text = translation_text_of(t, source, "data", where);
        return text && titled_text(t, block, text, parts);
    }
    if (translation_is_type(source, "content")) {
        snprintf(where, sizeof where, "%.170s/source/content", at);
        return titled_text(t, block, "", parts) &&
               content_parts(t, yyjson_obj_get(source, "content"), where, parts);
    }
    if (!translation_is_type(source, "base64"))
        return translation_unsupported(t, where, "type",
                                       "only documents in base64 and as text can be passed on");
    const char *url = data_url(t, source, where);
    return url && (!context || part_text(t, parts, context, strlen(context))) &&
           part_file(t, parts, title ? title : "document.pdf", url);
}

static bool search_block(struct translation *t, yyjson_val *block, const char *at, yyjson_mut_val *parts)
{
    char where[PATH];
    snprintf(where, sizeof where, "%.180s/content", at);
    return titled_text(t, block, "", parts) &&
           content_parts(t, yyjson_obj_get(block, "content"), where, parts);
}

static bool user_block(struct translation *t, yyjson_val *block, const char *at, yyjson_mut_val *parts)
{
    const char *type = translation_text_of(t, block, "type", at);
    if (!type)
        return false;
    if (strcmp(type, "text") == 0) {
        const char *text = translation_text_of(t, block, "text", at);
        return text && part_text(t, parts, text, yyjson_get_len(yyjson_obj_get(block, "text")));
    }
    if (strcmp(type, "image") == 0)
        return image_block(t, block, at, parts);
    if (strcmp(type, "document") == 0)
        return document_block(t, block, at, parts);
    if (strcmp(type, "search_result") == 0)
        return search_block(t, block, at, parts);
    return translation_unsupported(t, at, "type", "blocks of this type cannot be passed on here");
}

/* ---- turns ---- */

/* The result as a message of role tool; what is no text goes to `rest`, the user's message after it. */
static bool tool_result(struct translation *t, yyjson_val *block, const char *at, yyjson_mut_val *rest)
{
    yyjson_val *content = yyjson_obj_get(block, "content");
    yyjson_mut_val *parts = yyjson_mut_arr(t->doc), *texts = yyjson_mut_arr(t->doc), *part;
    char where[PATH];
    const char *id = translation_text_of(t, block, "tool_use_id", at);
    snprintf(where, sizeof where, "%.180s/content", at);
    if (!id || (content && !content_parts(t, content, where, parts)))
        return false;
    if (yyjson_get_bool(yyjson_obj_get(block, "is_error")) && !part_text(t, texts, "Error:", 6))
        return false;
    while ((part = yyjson_mut_arr_remove_first(parts))) {
        bool text = yyjson_mut_equals_str(yyjson_mut_obj_get(part, "type"), "text");
        yyjson_mut_arr_append(text ? texts : rest, part);
    }
    yyjson_mut_val *message = message_add(t, "tool", parts_content(t, texts));
    return message &&
           (yyjson_mut_obj_add_str(t->doc, message, "tool_call_id", id) || translation_no_memory(t));
}

static bool user_turn(struct translation *t, yyjson_val *content, const char *at)
{
    yyjson_mut_val *rest = yyjson_mut_arr(t->doc), *own = yyjson_mut_arr(t->doc), *part;
    size_t i, n;
    yyjson_val *block;
    if (yyjson_is_str(content))
        return message_add(t, "user",
                           yyjson_mut_strn(t->doc, yyjson_get_str(content), yyjson_get_len(content))) != NULL;
    if (!yyjson_is_arr(content) || yyjson_arr_size(content) == 0)
        return translation_invalid(t, at, NULL, "must be a string or a non-empty array of blocks");
    yyjson_arr_foreach(content, i, n, block)
    {
        char where[PATH];
        snprintf(where, sizeof where, "%.170s/%zu", at, i);
        if (translation_is_type(block, "tool_result") ? !tool_result(t, block, where, rest)
                                                      : !user_block(t, block, where, own))
            return false;
    }
    while ((part = yyjson_mut_arr_remove_first(own)))
        yyjson_mut_arr_append(rest, part);
    return yyjson_mut_arr_size(rest) == 0 || message_add(t, "user", parts_content(t, rest)) != NULL;
}

struct assistant {
    yyjson_mut_val *message, *texts, *thoughts;
    struct buf reasoning;
};

static bool thinking_block(struct translation *t, struct assistant *to, yyjson_val *block, const char *at)
{
    bool open = translation_is_type(block, "thinking");
    const char *text = translation_text_of(t, block, open ? "thinking" : "data", at);
    if (!text)
        return false;
    if (open)
        buf_puts(&to->reasoning, text);
    yyjson_mut_val *copy = yyjson_val_mut_copy(t->doc, block);
    return (copy && yyjson_mut_arr_append(to->thoughts, copy)) || translation_no_memory(t);
}

static bool tool_use(struct translation *t, struct assistant *to, yyjson_val *block, const char *at)
{
    yyjson_val *input = yyjson_obj_get(block, "input");
    const char *id = translation_text_of(t, block, "id", at),
               *name = id ? translation_text_of(t, block, "name", at) : NULL;
    struct buf text = BUF_INIT;
    if (!name)
        return false;
    if (!yyjson_is_obj(input))
        return translation_invalid(t, at, "input", "must be an object");
    bool ok = contract_json_write(input, &text) == 0 || translation_no_memory(t);
    ok = ok && call_add(t, to->message, id, name, text.data, text.len);
    buf_free(&text);
    return ok;
}

static bool assistant_block(struct translation *t, struct assistant *to, yyjson_val *block, const char *at)
{
    const char *type = translation_text_of(t, block, "type", at);
    if (!type)
        return false;
    if (strcmp(type, "text") == 0)
        return user_block(t, block, at, to->texts);
    if (strcmp(type, "tool_use") == 0)
        return tool_use(t, to, block, at);
    if (strcmp(type, "thinking") == 0 || strcmp(type, "redacted_thinking") == 0)
        return thinking_block(t, to, block, at);
    return translation_unsupported(t, at, "type",
                                   "blocks of this type cannot be passed on in an assistant's turn");
}

static bool assistant_close(struct translation *t, struct assistant *to)
{
    yyjson_mut_val *content = NULL;
    bool ok = !to->reasoning.failed;
    if (yyjson_mut_arr_size(to->texts) > 0)
        ok = ok && (content = parts_content(t, to->texts)) &&
             yyjson_mut_obj_put(to->message, yyjson_mut_str(t->doc, "content"), content);
    if (to->reasoning.len > 0)
        ok = ok && yyjson_mut_obj_add_strncpy(t->doc, to->message, "reasoning_content", to->reasoning.data,
                                              to->reasoning.len);
    if (yyjson_mut_arr_size(to->thoughts) > 0)
        ok = ok && yyjson_mut_obj_add_val(t->doc, to->message, "thinking_blocks", to->thoughts);
    return ok || translation_no_memory(t);
}

static bool assistant_turn(struct translation *t, yyjson_val *content, const char *at)
{
    struct assistant to = {.texts = yyjson_mut_arr(t->doc), .thoughts = yyjson_mut_arr(t->doc)};
    size_t i, n;
    yyjson_val *block;
    bool ok = true;
    if (!yyjson_is_str(content) && !yyjson_is_arr(content))
        return translation_invalid(t, at, NULL, "must be a string or an array of blocks");
    to.message = message_add(t, "assistant", NULL);
    if (!to.message)
        return false;
    if (yyjson_is_str(content))
        ok = part_text(t, to.texts, yyjson_get_str(content), yyjson_get_len(content));
    yyjson_arr_foreach(content, i, n, block)
    {
        char where[PATH];
        snprintf(where, sizeof where, "%.170s/%zu", at, i);
        ok = ok && assistant_block(t, &to, block, where);
    }
    ok = ok && assistant_close(t, &to);
    buf_free(&to.reasoning);
    return ok;
}

/* Of role system, first or later: text only. */
static bool system_turn(struct translation *t, yyjson_val *content, const char *at)
{
    yyjson_mut_val *parts = yyjson_mut_arr(t->doc);
    if (!content_parts(t, content, at, parts))
        return false;
    yyjson_mut_val *whole = parts_content(t, parts);
    if (!whole)
        return translation_no_memory(t);
    if (!yyjson_mut_is_str(whole))
        return translation_unsupported(t, at, NULL, "a system prompt can only hold text");
    return message_add(t, "system", whole) != NULL;
}

static bool turns(struct translation *t, yyjson_val *system, const struct anthropic_message_param *messages,
                  size_t count)
{
    if (system && !yyjson_is_null(system) && !system_turn(t, system, "/system"))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct anthropic_message_param *m = &messages[i];
        char at[PATH];
        snprintf(at, sizeof at, "/messages/%zu/content", i);
        bool ok = m->role == ANTHROPIC_MESSAGE_PARAM_ROLE_USER        ? user_turn(t, m->content, at)
                  : m->role == ANTHROPIC_MESSAGE_PARAM_ROLE_ASSISTANT ? assistant_turn(t, m->content, at)
                                                                      : system_turn(t, m->content, at);
        if (!ok)
            return false;
    }
    return yyjson_mut_obj_add_val(t->doc, t->root, "messages", t->messages) || translation_no_memory(t);
}

/* ---- tools ---- */

static bool tool(struct translation *t, yyjson_val *from, const char *at, yyjson_mut_val *tools)
{
    yyjson_val *type = yyjson_obj_get(from, "type"), *schema = yyjson_obj_get(from, "input_schema");
    yyjson_val *description = yyjson_obj_get(from, "description"), *strict = yyjson_obj_get(from, "strict");
    if (type && !yyjson_is_null(type) && !yyjson_equals_str(type, "custom"))
        return translation_unsupported(t, at, "type", "only tools of the caller's own can be used");
    const char *name = translation_text_of(t, from, "name", at);
    if (!name)
        return false;
    if (!yyjson_is_obj(schema))
        return translation_invalid(t, at, "input_schema", "must be an object");
    yyjson_mut_val *out = yyjson_mut_obj(t->doc), *function = yyjson_mut_obj(t->doc);
    bool ok = out && function && yyjson_mut_obj_add_str(t->doc, out, "type", "function") &&
              yyjson_mut_obj_add_str(t->doc, function, "name", name);
    if (yyjson_is_str(description))
        ok = ok && yyjson_mut_obj_add_str(t->doc, function, "description", yyjson_get_str(description));
    ok = ok && yyjson_mut_obj_add_val(t->doc, function, "parameters", yyjson_val_mut_copy(t->doc, schema));
    if (yyjson_is_bool(strict))
        ok = ok && yyjson_mut_obj_add_bool(t->doc, function, "strict", yyjson_get_bool(strict));
    ok = ok && yyjson_mut_obj_add_val(t->doc, out, "function", function) && yyjson_mut_arr_append(tools, out);
    return ok || translation_no_memory(t);
}

static bool tools(struct translation *t, yyjson_val *from)
{
    size_t i, n;
    yyjson_val *one;
    yyjson_mut_val *out = yyjson_mut_arr(t->doc);
    if (!from || yyjson_is_null(from) || (yyjson_is_arr(from) && yyjson_arr_size(from) == 0))
        return true;
    if (!yyjson_is_arr(from))
        return translation_invalid(t, "/tools", NULL, "must be an array");
    yyjson_arr_foreach(from, i, n, one)
    {
        char at[PATH];
        snprintf(at, sizeof at, "/tools/%zu", i);
        if (!tool(t, one, at, out))
            return false;
    }
    return yyjson_mut_obj_add_val(t->doc, t->root, "tools", out) || translation_no_memory(t);
}

static bool tool_choice(struct translation *t, yyjson_val *from)
{
    const char *at = "/tool_choice", *plain;
    if (!from || yyjson_is_null(from))
        return true;
    if (yyjson_get_bool(yyjson_obj_get(from, "disable_parallel_tool_use")) &&
        !yyjson_mut_obj_add_bool(t->doc, t->root, "parallel_tool_calls", false))
        return translation_no_memory(t);
    if (translation_is_type(from, "tool")) {
        const char *name = translation_text_of(t, from, "name", at);
        yyjson_mut_val *choice = yyjson_mut_obj(t->doc), *function = yyjson_mut_obj(t->doc);
        if (!name)
            return false;
        bool ok = choice && function && yyjson_mut_obj_add_str(t->doc, choice, "type", "function") &&
                  yyjson_mut_obj_add_str(t->doc, function, "name", name) &&
                  yyjson_mut_obj_add_val(t->doc, choice, "function", function) &&
                  yyjson_mut_obj_add_val(t->doc, t->root, "tool_choice", choice);
        return ok || translation_no_memory(t);
    }
    plain = translation_is_type(from, "auto")   ? "auto"
            : translation_is_type(from, "any")  ? "required"
            : translation_is_type(from, "none") ? "none"
                                                : NULL;
    if (!plain)
        return translation_invalid(t, at, "type", "must be auto, any, tool or none");
    return yyjson_mut_obj_add_str(t->doc, t->root, "tool_choice", plain) || translation_no_memory(t);
}

/* ---- thinking, effort, format ---- */

static bool effort(struct translation *t, yyjson_val *thinking, yyjson_val *config)
{
    static const char *const known[] = {"low", "medium", "high", "xhigh"};
    const char *wanted = yyjson_get_str(yyjson_obj_get(config, "effort")), *out = NULL, *asked = NULL;
    if (thinking && !yyjson_is_null(thinking)) {
        int64_t budget = yyjson_get_sint(yyjson_obj_get(thinking, "budget_tokens"));
        if (translation_is_type(thinking, "disabled"))
            out = "none";
        else if (translation_is_type(thinking, "enabled"))
            out = budget <= 2048 ? "low" : budget <= 8192 ? "medium" : "high";
        else if (!translation_is_type(thinking, "adaptive"))
            return translation_unsupported(t, "/thinking", "type", "must be enabled, adaptive or disabled");
    }
    for (size_t i = 0; wanted && i < sizeof known / sizeof known[0]; i++)
        if (strcmp(wanted, known[i]) == 0)
            asked = known[i];
    if (wanted && strcmp(wanted, "max") == 0)
        asked = "xhigh";
    if (wanted && !asked)
        return translation_invalid(t, "/output_config", "effort", "must be low, medium, high, xhigh or max");
    if (asked && !(out && strcmp(out, "none") == 0)) /* who is not to think is not, however hard */
        out = asked;
    return !out || yyjson_mut_obj_add_str(t->doc, t->root, "reasoning_effort", out) ||
           translation_no_memory(t);
}

static bool format(struct translation *t, yyjson_val *from, const char *at)
{
    yyjson_val *schema = yyjson_obj_get(from, "schema");
    if (!from || yyjson_is_null(from))
        return true;
    if (!translation_is_type(from, "json_schema"))
        return translation_unsupported(t, at, "type", "must be json_schema");
    if (!yyjson_is_obj(schema))
        return translation_invalid(t, at, "schema", "must be an object");
    yyjson_mut_val *out = yyjson_mut_obj(t->doc), *named = yyjson_mut_obj(t->doc);
    bool ok = out && named && yyjson_mut_obj_add_str(t->doc, out, "type", "json_schema") &&
              yyjson_mut_obj_add_str(t->doc, named, "name", "answer") &&
              yyjson_mut_obj_add_bool(t->doc, named, "strict", true) &&
              yyjson_mut_obj_add_val(t->doc, named, "schema", yyjson_val_mut_copy(t->doc, schema)) &&
              yyjson_mut_obj_add_val(t->doc, out, "json_schema", named) &&
              yyjson_mut_obj_add_val(t->doc, t->root, "response_format", out);
    return ok || translation_no_memory(t);
}

/* ---- the request ---- */

static bool numbers(struct translation *t, const struct anthropic_messages_request *q)
{
    bool ok = yyjson_mut_obj_add_int(t->doc, t->root, "max_tokens", q->max_tokens);
    if (q->has_temperature)
        ok = ok && yyjson_mut_obj_add_real(t->doc, t->root, "temperature", q->temperature);
    if (q->has_top_p)
        ok = ok && yyjson_mut_obj_add_real(t->doc, t->root, "top_p", q->top_p);
    if (q->has_top_k)
        ok = ok && yyjson_mut_obj_add_int(t->doc, t->root, "top_k", q->top_k);
    if (q->stop_sequences_count > 0)
        ok = ok && yyjson_mut_obj_add_val(t->doc, t->root, "stop",
                                          yyjson_mut_arr_with_str(t->doc, (const char **)q->stop_sequences,
                                                                  q->stop_sequences_count));
    if (q->stream) {
        yyjson_mut_val *options = yyjson_mut_obj(t->doc);
        ok = ok && options && yyjson_mut_obj_add_bool(t->doc, options, "include_usage", true) &&
             yyjson_mut_obj_add_bool(t->doc, t->root, "stream", true) &&
             yyjson_mut_obj_add_val(t->doc, t->root, "stream_options", options);
    }
    return ok || translation_no_memory(t);
}

static bool user(struct translation *t, yyjson_val *metadata)
{
    yyjson_val *id = yyjson_obj_get(metadata, "user_id");
    if (!yyjson_is_str(id))
        return true;
    if (yyjson_get_len(id) > 512)
        return translation_invalid(t, "/metadata", "user_id", "must be at most 512 bytes");
    return yyjson_mut_obj_add_str(t->doc, t->root, "user", yyjson_get_str(id)) || translation_no_memory(t);
}

static bool given(yyjson_val *v)
{
    return v && !yyjson_is_null(v) && !((yyjson_is_arr(v) || yyjson_is_obj(v)) && yyjson_get_len(v) == 0);
}

bool messages_request(struct arena *a, const struct anthropic_messages_request *q,
                      struct dialect_request *out, struct dialect_fault *fault)
{
    struct translation t;
    yyjson_val *config = q->output_config;
    *out = (struct dialect_request){0};
    if (!translation_begin(&t, a, fault))
        return false;
    if (given(q->container))
        return translation_unsupported(&t, "/container", NULL, "nothing can run at the provider");
    if (given(q->mcp_servers))
        return translation_unsupported(&t, "/mcp_servers", NULL,
                                       "tools that run at the provider cannot be used");
    if (!yyjson_mut_obj_add_str(t.doc, t.root, "model", q->model))
        return translation_no_memory(&t);
    yyjson_val *wanted = yyjson_obj_get(config, "format");
    bool old = !given(wanted) && given(q->output_format);
    bool ok = turns(&t, q->system, q->messages, q->messages_count) && numbers(&t, q) && tools(&t, q->tools) &&
              tool_choice(&t, q->tool_choice) && effort(&t, q->thinking, config) && user(&t, q->metadata) &&
              format(&t, old ? q->output_format : wanted, old ? "/output_format" : "/output_config/format");
    translation_ignore(&t, out, "context_management", given(q->context_management));
    translation_ignore(&t, out, "service_tier", given(q->service_tier));
    translation_ignore(&t, out, "inference_geo", given(q->inference_geo));
    translation_ignore(&t, out, "speed", given(q->speed));
    translation_ignore(&t, out, "diagnostics", given(q->diagnostics));
    return ok && translation_end(&t, out);
}

bool messages_count_request(struct arena *a, const struct anthropic_count_request *q,
                            struct dialect_request *out, struct dialect_fault *fault)
{
    struct translation t;
    *out = (struct dialect_request){0};
    if (!translation_begin(&t, a, fault))
        return false;
    if (!yyjson_mut_obj_add_str(t.doc, t.root, "model", q->model))
        return translation_no_memory(&t);
    return turns(&t, q->system, q->messages, q->messages_count) && tools(&t, q->tools) &&
           tool_choice(&t, q->tool_choice) && effort(&t, q->thinking, q->output_config) &&
           format(&t, yyjson_obj_get(q->output_config, "format"), "/output_config/format") &&
           translation_end(&t, out);
}
