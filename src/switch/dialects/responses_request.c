/* Responses request: OpenAI's responses to its chat. */
#include <stdio.h>
#include <string.h>

#include "switch/dialects/responses.h"

#define PATH 192

static bool given(yyjson_val *v)
{
    return v && !yyjson_is_null(v);
}

/* ---- content ---- */

static bool image_part(struct translation *t, yyjson_val *part, const char *at, yyjson_mut_val *parts)
{
    const char *url = yyjson_get_str(yyjson_obj_get(part, "image_url"));
    const char *detail = yyjson_get_str(yyjson_obj_get(part, "detail"));
    if (!url)
        return translation_unsupported(t, at, "file_id",
                                       "no files are kept here: give the image as image_url");
    if (!part_image(t, parts, url))
        return false;
    yyjson_mut_val *image = yyjson_mut_obj_get(yyjson_mut_arr_get_last(parts), "image_url");
    return !detail || strcmp(detail, "auto") == 0 ||
           yyjson_mut_obj_add_str(t->doc, image, "detail", detail) || translation_no_memory(t);
}

static bool content_part(struct translation *t, yyjson_val *part, const char *at, yyjson_mut_val *parts)
{
    const char *type = translation_text_of(t, part, "type", at);
    if (!type)
        return false;
    if (strcmp(type, "input_text") == 0 || strcmp(type, "output_text") == 0 || strcmp(type, "text") == 0) {
        const char *text = translation_text_of(t, part, "text", at);
        return text && part_text(t, parts, text, yyjson_get_len(yyjson_obj_get(part, "text")));
    }
    if (strcmp(type, "refusal") == 0) {
        const char *text = translation_text_of(t, part, "refusal", at);
        return text && part_text(t, parts, text, strlen(text));
    }
    if (strcmp(type, "input_image") == 0)
        return image_part(t, part, at, parts);
    if (strcmp(type, "input_file") == 0) {
        const char *name = yyjson_get_str(yyjson_obj_get(part, "filename"));
        const char *data = yyjson_get_str(yyjson_obj_get(part, "file_data"));
        return data ? part_file(t, parts, name ? name : "file", data)
                    : translation_unsupported(
                          t, at, NULL, "no files are kept or fetched here: give the file as file_data");
    }
    return translation_unsupported(t, at, "type", "parts of this type cannot be passed on");
}

static bool content_parts(struct translation *t, yyjson_val *content, const char *at, yyjson_mut_val *parts)
{
    size_t i, n;
    yyjson_val *part;
    if (yyjson_is_str(content))
        return part_text(t, parts, yyjson_get_str(content), yyjson_get_len(content));
    if (!yyjson_is_arr(content))
        return translation_invalid(t, at, NULL, "must be a string or an array of parts");
    yyjson_arr_foreach(content, i, n, part)
    {
        char where[PATH];
        snprintf(where, sizeof where, "%.170s/%zu", at, i);
        if (!content_part(t, part, where, parts))
            return false;
    }
    return true;
}

/* ---- items ---- */

/* The assistant's message that thoughts, text and calls which follow one another make together. */
struct items {
    yyjson_mut_val *assistant; /* NULL: none is open */
    bool spoken;               /* it has its text */
};

static yyjson_mut_val *assistant_open(struct translation *t, struct items *s)
{
    if (!s->assistant) {
        s->assistant = message_add(t, "assistant", NULL);
        s->spoken = false;
    }
    return s->assistant;
}

static bool assistant_text(struct translation *t, struct items *s, yyjson_mut_val *parts)
{
    if (s->spoken || yyjson_mut_obj_get(s->assistant, "tool_calls"))
        s->assistant = NULL; /* a second text, or text after calls, is a message of its own */
    yyjson_mut_val *message = assistant_open(t, s), *content = parts_content(t, parts);
    s->spoken = true;
    return message && ((content && yyjson_mut_obj_put(message, yyjson_mut_str(t->doc, "content"), content)) ||
                       translation_no_memory(t));
}

static bool message_item(struct translation *t, struct items *s, yyjson_val *item, const char *at)
{
    static const char *const roles[] = {"user", "system", "developer"};
    const char *role = translation_text_of(t, item, "role", at);
    yyjson_mut_val *parts = yyjson_mut_arr(t->doc);
    char where[PATH];
    snprintf(where, sizeof where, "%.180s/content", at);
    if (!role || !content_parts(t, yyjson_obj_get(item, "content"), where, parts))
        return false;
    if (strcmp(role, "assistant") == 0)
        return assistant_text(t, s, parts);
    s->assistant = NULL;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(role, roles[i]) == 0) {
            /* Not everybody knows the newer name. */
            yyjson_mut_val *content = parts_content(t, parts);
            return content ? message_add(t, i == 2 ? "system" : roles[i], content) != NULL
                           : translation_no_memory(t);
        }
    }
    return translation_invalid(t, at, "role", "must be user, assistant, system or developer");
}

static bool call_item(struct translation *t, struct items *s, yyjson_val *item, const char *at)
{
    const char *id = translation_text_of(t, item, "call_id", at),
               *name = id ? translation_text_of(t, item, "name", at) : NULL;
    const char *arguments = name ? translation_text_of(t, item, "arguments", at) : NULL;
    return arguments && assistant_open(t, s) &&
           call_add(t, s->assistant, id, name, arguments, strlen(arguments));
}

static bool output_item(struct translation *t, yyjson_val *item, const char *at)
{
    yyjson_mut_val *parts = yyjson_mut_arr(t->doc), *texts = yyjson_mut_arr(t->doc),
                   *rest = yyjson_mut_arr(t->doc);
    yyjson_mut_val *part;
    char where[PATH];
    snprintf(where, sizeof where, "%.180s/output", at);
    const char *id = translation_text_of(t, item, "call_id", at);
    if (!id || !content_parts(t, yyjson_obj_get(item, "output"), where, parts))
        return false;
    while ((part = yyjson_mut_arr_remove_first(parts))) {
        bool text = yyjson_mut_equals_str(yyjson_mut_obj_get(part, "type"), "text");
        yyjson_mut_arr_append(text ? texts : rest, part);
    }
    yyjson_mut_val *message = message_add(t, "tool", parts_content(t, texts));
    if (!message || !yyjson_mut_obj_add_str(t->doc, message, "tool_call_id", id))
        return translation_no_memory(t);
    return yyjson_mut_arr_size(rest) == 0 || message_add(t, "user", rest) != NULL;
}

/* Thoughts as we gave them; those of others, encrypted, cannot be read here. */
static bool reasoning_item(struct translation *t, struct items *s, yyjson_val *item, const char *at)
{
    struct buf text = BUF_INIT;
    yyjson_val *content = yyjson_obj_get(item, "content"), *part;
    yyjson_val *parts = yyjson_arr_size(content) > 0 ? content : yyjson_obj_get(item, "summary");
    size_t i, n;
    bool ok = true;
    yyjson_arr_foreach(parts, i, n, part)
    {
        yyjson_val *piece = yyjson_obj_get(part, "text");
        buf_append(&text, yyjson_is_str(piece) ? yyjson_get_str(piece) : "", yyjson_get_len(piece));
    }
    if (text.len == 0 && given(yyjson_obj_get(item, "encrypted_content"))) {
        ok = translation_unsupported(t, at, "encrypted_content",
                                     "encrypted thoughts of another server cannot be read here");
    } else if (text.len > 0) {
        if (s->spoken)
            s->assistant = NULL;
        yyjson_mut_val *message = assistant_open(t, s);
        yyjson_mut_val *all = yyjson_mut_strncpy(t->doc, text.data, text.len);
        ok = message && !text.failed && all &&
             yyjson_mut_obj_put(message, yyjson_mut_str(t->doc, "reasoning_content"), all);
        ok = ok || translation_no_memory(t);
    }
    buf_free(&text);
    return ok;
}

static bool item(struct translation *t, struct items *s, yyjson_val *one, const char *at)
{
    const char *type = yyjson_get_str(yyjson_obj_get(one, "type"));
    if (!yyjson_is_obj(one))
        return translation_invalid(t, at, NULL, "must be an object");
    if (!type || strcmp(type, "message") == 0)
        return message_item(t, s, one, at);
    if (strcmp(type, "function_call") == 0)
        return call_item(t, s, one, at);
    if (strcmp(type, "reasoning") == 0)
        return reasoning_item(t, s, one, at);
    s->assistant = NULL;
    if (strcmp(type, "function_call_output") == 0)
        return output_item(t, one, at);
    return translation_unsupported(t, at, "type", "items of this type cannot be passed on");
}

static bool input(struct translation *t, const struct responses_request *q)
{
    struct items s = {0};
    size_t i, n;
    yyjson_val *one;
    if (q->instructions && q->instructions[0] &&
        !message_add(t, "system", yyjson_mut_str(t->doc, q->instructions)))
        return false;
    if (yyjson_is_str(q->input)) {
        if (!message_add(t, "user",
                         yyjson_mut_strn(t->doc, yyjson_get_str(q->input), yyjson_get_len(q->input))))
            return false;
    } else if (!yyjson_is_arr(q->input) || yyjson_arr_size(q->input) == 0) {
        return translation_invalid(t, "/input", NULL, "must be a string or a non-empty array of items");
    }
    yyjson_arr_foreach(q->input, i, n, one)
    {
        char at[PATH];
        snprintf(at, sizeof at, "/input/%zu", i);
        if (!item(t, &s, one, at))
            return false;
    }
    return yyjson_mut_obj_add_val(t->doc, t->root, "messages", t->messages) || translation_no_memory(t);
}

/* ---- tools ---- */

static bool tool(struct translation *t, yyjson_val *from, const char *at, yyjson_mut_val *tools)
{
    static const char *const kept[] = {"name", "description", "parameters", "strict"};
    if (!translation_is_type(from, "function"))
        return translation_unsupported(t, at, "type", "only functions of the caller's own can be used");
    if (!translation_text_of(t, from, "name", at))
        return false;
    yyjson_mut_val *out = yyjson_mut_obj(t->doc), *function = yyjson_mut_obj(t->doc);
    bool ok = out && function && yyjson_mut_obj_add_str(t->doc, out, "type", "function");
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        yyjson_val *v = yyjson_obj_get(from, kept[i]);
        if (given(v))
            ok = ok && yyjson_mut_obj_add_val(t->doc, function, kept[i], yyjson_val_mut_copy(t->doc, v));
    }
    ok = ok && yyjson_mut_obj_add_val(t->doc, out, "function", function) && yyjson_mut_arr_append(tools, out);
    return ok || translation_no_memory(t);
}

static bool tools(struct translation *t, yyjson_val *from)
{
    size_t i, n;
    yyjson_val *one;
    yyjson_mut_val *out = yyjson_mut_arr(t->doc);
    if (!given(from) || (yyjson_is_arr(from) && yyjson_arr_size(from) == 0))
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

static bool tool_choice(struct translation *t, const struct responses_request *q)
{
    yyjson_val *from = q->tool_choice;
    const char *plain = yyjson_get_str(from);
    bool any = yyjson_arr_size(q->tools) > 0;
    if (!given(from))
        return true;
    if (plain) {
        if (strcmp(plain, "none") != 0 && strcmp(plain, "auto") != 0 && strcmp(plain, "required") != 0)
            return translation_invalid(t, "/tool_choice", NULL, "must be none, auto, required or a function");
        /* The package sends "auto" without tools, which others refuse. */
        return !any || yyjson_mut_obj_add_str(t->doc, t->root, "tool_choice", plain) ||
               translation_no_memory(t);
    }
    if (!translation_is_type(from, "function"))
        return translation_unsupported(t, "/tool_choice", "type", "only a function can be chosen");
    const char *name = translation_text_of(t, from, "name", "/tool_choice");
    if (!name)
        return false;
    yyjson_mut_val *choice = yyjson_mut_obj(t->doc), *function = yyjson_mut_obj(t->doc);
    bool ok = choice && function && yyjson_mut_obj_add_str(t->doc, choice, "type", "function") &&
              yyjson_mut_obj_add_str(t->doc, function, "name", name) &&
              yyjson_mut_obj_add_val(t->doc, choice, "function", function) &&
              yyjson_mut_obj_add_val(t->doc, t->root, "tool_choice", choice);
    return ok || translation_no_memory(t);
}

/* ---- the rest ---- */

static bool format(struct translation *t, yyjson_val *text)
{
    static const char *const kept[] = {"name", "description", "schema", "strict"};
    yyjson_val *from = yyjson_obj_get(text, "format");
    if (!given(from) || translation_is_type(from, "text"))
        return true;
    yyjson_mut_val *out = yyjson_mut_obj(t->doc);
    bool ok = out;
    if (translation_is_type(from, "json_object")) {
        ok = ok && yyjson_mut_obj_add_str(t->doc, out, "type", "json_object");
    } else if (translation_is_type(from, "json_schema")) {
        yyjson_mut_val *named = yyjson_mut_obj(t->doc);
        if (!translation_text_of(t, from, "name", "/text/format"))
            return false;
        if (!yyjson_is_obj(yyjson_obj_get(from, "schema")))
            return translation_invalid(t, "/text/format", "schema", "must be an object");
        ok = ok && named && yyjson_mut_obj_add_str(t->doc, out, "type", "json_schema");
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
            yyjson_val *v = yyjson_obj_get(from, kept[i]);
            if (given(v))
                ok = ok && yyjson_mut_obj_add_val(t->doc, named, kept[i], yyjson_val_mut_copy(t->doc, v));
        }
        ok = ok && yyjson_mut_obj_add_val(t->doc, out, "json_schema", named);
    } else {
        return translation_unsupported(t, "/text/format", "type", "must be text, json_object or json_schema");
    }
    ok = ok && yyjson_mut_obj_add_val(t->doc, t->root, "response_format", out);
    return ok || translation_no_memory(t);
}

static bool effort(struct translation *t, yyjson_val *reasoning)
{
    yyjson_val *wanted = yyjson_obj_get(reasoning, "effort");
    if (!given(wanted))
        return true;
    for (int i = 0; i <= OPENAI_REASONING_EFFORT_XHIGH; i++)
        if (yyjson_equals_str(wanted, openai_reasoning_effort_names[i]))
            return yyjson_mut_obj_add_str(t->doc, t->root, "reasoning_effort",
                                          openai_reasoning_effort_names[i]) ||
                   translation_no_memory(t);
    return translation_invalid(t, "/reasoning", "effort",
                               "must be none, minimal, low, medium, high or xhigh");
}

static bool options(struct translation *t, const struct responses_request *q)
{
    bool ok = true;
    if (q->has_max_output_tokens)
        ok = yyjson_mut_obj_add_int(t->doc, t->root, "max_tokens", q->max_output_tokens);
    if (q->has_temperature)
        ok = ok && yyjson_mut_obj_add_real(t->doc, t->root, "temperature", q->temperature);
    if (q->has_top_p)
        ok = ok && yyjson_mut_obj_add_real(t->doc, t->root, "top_p", q->top_p);
    if (q->has_parallel_tool_calls && yyjson_arr_size(q->tools) > 0)
        ok = ok && yyjson_mut_obj_add_bool(t->doc, t->root, "parallel_tool_calls", q->parallel_tool_calls);
    if (q->has_truncation && q->truncation == RESPONSES_REQUEST_TRUNCATION_AUTO)
        ok = ok && yyjson_mut_obj_add_str(t->doc, t->root, "context_overflow", "shift");
    if (q->user)
        ok = ok && yyjson_mut_obj_add_str(t->doc, t->root, "user", q->user);
    if (q->stream) {
        yyjson_mut_val *stream = yyjson_mut_obj(t->doc);
        ok = ok && stream && yyjson_mut_obj_add_bool(t->doc, stream, "include_usage", true) &&
             yyjson_mut_obj_add_bool(t->doc, t->root, "stream", true) &&
             yyjson_mut_obj_add_val(t->doc, t->root, "stream_options", stream);
    }
    return ok || translation_no_memory(t);
}

/* What would need something kept, or is not done here. */
static bool refused(struct translation *t, const struct responses_request *q)
{
    static const char kept[] = "nothing is kept here: send the whole conversation as input";
    if (q->has_store && q->store)
        return translation_unsupported(t, "/store", NULL, "nothing is kept here: it can only be false");
    if (q->has_background && q->background)
        return translation_unsupported(t, "/background", NULL, "nothing is kept here: it can only be false");
    if (given(q->previous_response_id))
        return translation_unsupported(t, "/previous_response_id", NULL, kept);
    if (given(q->conversation))
        return translation_unsupported(t, "/conversation", NULL, kept);
    if (given(q->prompt))
        return translation_unsupported(t, "/prompt", NULL, kept);
    if (q->has_top_logprobs && q->top_logprobs > 0)
        return translation_unsupported(t, "/top_logprobs", NULL,
                                       "log probabilities are given by /v1/chat/completions");
    for (size_t i = 0; i < q->include_count; i++)
        if (strcmp(q->include[i], "message.output_text.logprobs") == 0)
            return translation_unsupported(t, "/include", NULL,
                                           "log probabilities are given by /v1/chat/completions");
    return true;
}

bool responses_request(struct arena *a, const struct responses_request *q, struct dialect_request *out,
                       struct dialect_fault *fault)
{
    struct translation t;
    *out = (struct dialect_request){0};
    if (!translation_begin(&t, a, fault) || !refused(&t, q))
        return false;
    if (q->model && !yyjson_mut_obj_add_str(t.doc, t.root, "model", q->model))
        return translation_no_memory(&t);
    bool ok = input(&t, q) && options(&t, q) && tools(&t, q->tools) && tool_choice(&t, q) &&
              format(&t, q->text) && effort(&t, q->reasoning);
    translation_ignore(&t, out, "text.verbosity", given(yyjson_obj_get(q->text, "verbosity")));
    translation_ignore(&t, out, "reasoning.summary", given(yyjson_obj_get(q->reasoning, "summary")));
    translation_ignore(&t, out, "service_tier", given(q->service_tier));
    translation_ignore(&t, out, "safety_identifier", given(q->safety_identifier));
    translation_ignore(&t, out, "prompt_cache_key", given(q->prompt_cache_key));
    translation_ignore(&t, out, "prompt_cache_retention", given(q->prompt_cache_retention));
    translation_ignore(&t, out, "context_management", given(q->context_management));
    translation_ignore(&t, out, "max_tool_calls", given(q->max_tool_calls));
    return ok && translation_end(&t, out);
}
