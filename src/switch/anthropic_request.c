/* Anthropic request: OpenAI's chat to Anthropic's messages.
 *
 *   system, developer            system, wherever they stand
 *   tool                         tool_result in a user's turn; turns of the same speaker are made one
 *   tool_calls, thinking_blocks  tool_use, thinking (unsigned thoughts are left out: they are not taken back)
 *   image_url, file              image, document
 *   response_format json_schema  output_config.format
 *   reasoning_effort             adaptive thinking with output_config.effort */
#include "switch/anthropic.h"

#include <stdio.h>
#include <string.h>

struct made {
    struct arena *a;
    yyjson_mut_doc *doc;
    yyjson_mut_val *root, *system, *messages;
    yyjson_mut_val *turn; /* content of the last message */
    const char *speaker;  /* of it */
    struct error *err;
};

static bool no_memory(struct made *m)
{
    error_set(m->err, VX11_ENOMEM, "out of memory");
    return false;
}

static bool unsupported(struct made *m, const char *what)
{
    error_set(m->err, VX11_EUNSUPPORTED, "Anthropic's API has no %s", what);
    return false;
}

static bool invalid(struct made *m, const char *text)
{
    error_set(m->err, VX11_EINVALID, "%s", text);
    return false;
}

static bool given(yyjson_val *v)
{
    return v && !yyjson_is_null(v);
}

static bool is_type(yyjson_val *v, const char *type)
{
    return yyjson_equals_str(yyjson_obj_get(v, "type"), type);
}

/* ---- blocks ---- */

static yyjson_mut_val *block_add(struct made *m, yyjson_mut_val *to, const char *type)
{
    yyjson_mut_val *block = yyjson_mut_obj(m->doc);
    if (block && yyjson_mut_obj_add_str(m->doc, block, "type", type) && yyjson_mut_arr_append(to, block))
        return block;
    no_memory(m);
    return NULL;
}

/* cache_control: a hint that some give with their parts. */
static bool text_add(struct made *m, yyjson_mut_val *to, yyjson_val *text, yyjson_val *cache)
{
    if (!yyjson_is_str(text))
        return invalid(m, "the text of a part must be a string");
    if (yyjson_get_len(text) == 0) /* refused there */
        return true;
    yyjson_mut_val *block = block_add(m, to, "text");
    bool ok =
        block && yyjson_mut_obj_add_strn(m->doc, block, "text", yyjson_get_str(text), yyjson_get_len(text));
    if (given(cache))
        ok = ok && yyjson_mut_obj_add_val(m->doc, block, "cache_control", yyjson_val_mut_copy(m->doc, cache));
    return ok || no_memory(m);
}

/* "data:TYPE;base64,DATA": type in the arena, data behind the comma; false: it is none. */
static bool data_url(struct made *m, const char *url, const char **type, const char **data)
{
    const char *comma = strchr(url, ',');
    static const char base64[] = ";base64";
    size_t tail = sizeof base64 - 1;
    if (strncmp(url, "data:", 5) != 0 || !comma || (size_t)(comma - url) < 5 + tail ||
        strncmp(comma - tail, base64, tail) != 0)
        return false;
    *type = arena_strndup(m->a, url + 5, (size_t)(comma - url) - 5 - tail);
    *data = comma + 1;
    return *type != NULL;
}

static bool source_add(struct made *m, yyjson_mut_val *block, const char *type, const char *key1,
                       const char *value1, const char *key2, const char *value2)
{
    yyjson_mut_val *source = yyjson_mut_obj(m->doc);
    bool ok = block && source && yyjson_mut_obj_add_str(m->doc, source, "type", type) &&
              yyjson_mut_obj_add_str(m->doc, source, key1, value1);
    if (key2)
        ok = ok && yyjson_mut_obj_add_str(m->doc, source, key2, value2);
    ok = ok && yyjson_mut_obj_add_val(m->doc, block, "source", source);
    return ok || no_memory(m);
}

static bool image_add(struct made *m, yyjson_mut_val *to, yyjson_val *part)
{
    yyjson_val *image = yyjson_obj_get(part, "image_url");
    const char *url =
        yyjson_is_str(image) ? yyjson_get_str(image) : yyjson_get_str(yyjson_obj_get(image, "url"));
    const char *type, *data;
    if (!url)
        return invalid(m, "an image_url needs its url");
    if (data_url(m, url, &type, &data))
        return source_add(m, block_add(m, to, "image"), "base64", "media_type", type, "data", data);
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return invalid(m, "the url of an image must be http, https or data with base64");
    return source_add(m, block_add(m, to, "image"), "url", "url", url, NULL, NULL);
}

static bool file_add(struct made *m, yyjson_mut_val *to, yyjson_val *part)
{
    yyjson_val *file = yyjson_obj_get(part, "file");
    const char *url = yyjson_get_str(yyjson_obj_get(file, "file_data"));
    const char *name = yyjson_get_str(yyjson_obj_get(file, "filename"));
    const char *type, *data;
    if (!url)
        return unsupported(m, "files by an id of OpenAI's");
    if (!data_url(m, url, &type, &data) || strcmp(type, "application/pdf") != 0)
        return unsupported(m, "files but PDF in base64");
    yyjson_mut_val *block = block_add(m, to, "document");
    if (block && name && !yyjson_mut_obj_add_str(m->doc, block, "title", name))
        return no_memory(m);
    return source_add(m, block, "base64", "media_type", type, "data", data);
}

static bool part_add(struct made *m, yyjson_mut_val *to, yyjson_val *part)
{
    if (is_type(part, "text"))
        return text_add(m, to, yyjson_obj_get(part, "text"), yyjson_obj_get(part, "cache_control"));
    if (is_type(part, "refusal"))
        return text_add(m, to, yyjson_obj_get(part, "refusal"), NULL);
    if (is_type(part, "image_url"))
        return image_add(m, to, part);
    if (is_type(part, "file"))
        return file_add(m, to, part);
    return unsupported(m, "part of that type");
}

static bool content_add(struct made *m, yyjson_mut_val *to, yyjson_val *content)
{
    size_t i, n;
    yyjson_val *part;
    if (!given(content))
        return true;
    if (yyjson_is_str(content))
        return text_add(m, to, content, NULL);
    if (!yyjson_is_arr(content))
        return invalid(m, "the content of a message must be a string or an array of parts");
    yyjson_arr_foreach(content, i, n, part)
    {
        if (!part_add(m, to, part))
            return false;
    }
    return true;
}

/* ---- turns ---- */

/* The content of that speaker's turn: the last one's when it is theirs. */
static yyjson_mut_val *turn_of(struct made *m, const char *speaker)
{
    if (m->speaker && strcmp(m->speaker, speaker) == 0)
        return m->turn;
    yyjson_mut_val *message = yyjson_mut_obj(m->doc), *content = yyjson_mut_arr(m->doc);
    bool ok = message && content && yyjson_mut_obj_add_str(m->doc, message, "role", speaker) &&
              yyjson_mut_obj_add_val(m->doc, message, "content", content) &&
              yyjson_mut_arr_append(m->messages, message);
    if (!ok) {
        no_memory(m);
        return NULL;
    }
    m->speaker = speaker;
    m->turn = content;
    return content;
}

static bool tool_turn(struct made *m, yyjson_val *message)
{
    const char *id = yyjson_get_str(yyjson_obj_get(message, "tool_call_id"));
    yyjson_mut_val *turn = turn_of(m, "user"), *content = yyjson_mut_arr(m->doc);
    if (!id)
        return invalid(m, "a message of role tool needs its tool_call_id");
    yyjson_mut_val *block = turn ? block_add(m, turn, "tool_result") : NULL;
    if (!block || !content || !yyjson_mut_obj_add_str(m->doc, block, "tool_use_id", id))
        return no_memory(m);
    return content_add(m, content, yyjson_obj_get(message, "content")) &&
           (yyjson_mut_arr_size(content) == 0 || yyjson_mut_obj_add_val(m->doc, block, "content", content) ||
            no_memory(m));
}

/* Only what Anthropic signed is taken back. */
static bool thoughts_add(struct made *m, yyjson_mut_val *turn, yyjson_val *blocks)
{
    size_t i, n;
    yyjson_val *one;
    yyjson_arr_foreach(blocks, i, n, one)
    {
        bool signed_ = is_type(one, "thinking") && yyjson_get_len(yyjson_obj_get(one, "signature")) > 0;
        if (!signed_ && !is_type(one, "redacted_thinking"))
            continue;
        yyjson_mut_val *copy = yyjson_val_mut_copy(m->doc, one);
        if (!copy || !yyjson_mut_arr_append(turn, copy))
            return no_memory(m);
    }
    return true;
}

static bool call_add(struct made *m, yyjson_mut_val *turn, yyjson_val *call)
{
    yyjson_val *function = yyjson_obj_get(call, "function"), *input = NULL;
    yyjson_val *arguments = yyjson_obj_get(function, "arguments");
    const char *id = yyjson_get_str(yyjson_obj_get(call, "id"));
    const char *name = yyjson_get_str(yyjson_obj_get(function, "name"));
    bool none = yyjson_get_len(arguments) == 0;
    if (!id || !name || (given(arguments) && !yyjson_is_str(arguments)))
        return invalid(m, "a tool call needs id, name and arguments");
    if (contract_json_parse(m->a, none ? "{}" : yyjson_get_str(arguments),
                            none ? 2 : yyjson_get_len(arguments), NULL, &input, NULL) != 0 ||
        !yyjson_is_obj(input))
        return invalid(m, "the arguments of a tool call must be a JSON object");
    yyjson_mut_val *block = block_add(m, turn, "tool_use");
    bool ok = block && yyjson_mut_obj_add_str(m->doc, block, "id", id) &&
              yyjson_mut_obj_add_str(m->doc, block, "name", name) &&
              yyjson_mut_obj_add_val(m->doc, block, "input", yyjson_val_mut_copy(m->doc, input));
    return ok || no_memory(m);
}

static bool assistant_turn(struct made *m, yyjson_val *message)
{
    size_t i, n;
    yyjson_val *call, *calls = yyjson_obj_get(message, "tool_calls");
    if (given(yyjson_obj_get(message, "function_call")))
        return unsupported(m, "function_call: use tool_calls");
    yyjson_mut_val *turn = turn_of(m, "assistant");
    if (!turn || !thoughts_add(m, turn, yyjson_obj_get(message, "thinking_blocks")) ||
        !content_add(m, turn, yyjson_obj_get(message, "content")))
        return false;
    if (given(yyjson_obj_get(message, "refusal")) &&
        !text_add(m, turn, yyjson_obj_get(message, "refusal"), NULL))
        return false;
    yyjson_arr_foreach(calls, i, n, call)
    {
        if (!call_add(m, turn, call))
            return false;
    }
    return true;
}

static bool turn_add(struct made *m, yyjson_val *message)
{
    const char *role = yyjson_get_str(yyjson_obj_get(message, "role"));
    if (!role)
        return invalid(m, "a message needs its role");
    if (strcmp(role, "system") == 0 || strcmp(role, "developer") == 0)
        return content_add(m, m->system, yyjson_obj_get(message, "content"));
    if (strcmp(role, "tool") == 0)
        return tool_turn(m, message);
    if (strcmp(role, "assistant") == 0)
        return assistant_turn(m, message);
    if (strcmp(role, "user") != 0)
        return unsupported(m, "messages of that role");
    yyjson_mut_val *turn = turn_of(m, "user");
    return turn && content_add(m, turn, yyjson_obj_get(message, "content"));
}

/* A prefilled answer must not end with white space there, and no turn may be empty. */
static void turns_trim(struct made *m)
{
    yyjson_mut_val *message;
    yyjson_mut_arr_iter iter;
    yyjson_mut_arr_iter_init(m->messages, &iter);
    while ((message = yyjson_mut_arr_iter_next(&iter)))
        if (yyjson_mut_arr_size(yyjson_mut_obj_get(message, "content")) == 0)
            yyjson_mut_arr_iter_remove(&iter);
    yyjson_mut_val *last = yyjson_mut_arr_get_last(m->messages);
    yyjson_mut_val *block = yyjson_mut_arr_get_last(yyjson_mut_obj_get(last, "content"));
    yyjson_mut_val *text = yyjson_mut_obj_get(block, "text");
    if (!yyjson_mut_equals_str(yyjson_mut_obj_get(last, "role"), "assistant") || !yyjson_mut_is_str(text))
        return;
    size_t len = yyjson_mut_get_len(text);
    const char *s = yyjson_mut_get_str(text);
    while (len > 1 && strchr(" \t\r\n", s[len - 1]))
        len--;
    yyjson_mut_set_strn(text, s, len);
}

static bool turns_add(struct made *m, yyjson_val *messages)
{
    size_t i, n;
    yyjson_val *message;
    if (!yyjson_is_arr(messages))
        return invalid(m, "messages must be an array");
    yyjson_arr_foreach(messages, i, n, message)
    {
        if (!turn_add(m, message))
            return false;
    }
    turns_trim(m);
    if (yyjson_mut_arr_size(m->messages) == 0)
        return invalid(m, "the conversation says nothing");
    yyjson_mut_val *first = yyjson_mut_arr_get_first(m->system);
    bool plain = yyjson_mut_arr_size(m->system) == 1 && yyjson_mut_obj_size(first) == 2;
    bool ok = !first || yyjson_mut_obj_add_val(m->doc, m->root, "system",
                                               plain ? yyjson_mut_obj_get(first, "text") : m->system);
    ok = ok && yyjson_mut_obj_add_val(m->doc, m->root, "messages", m->messages);
    return ok || no_memory(m);
}

/* ---- tools ---- */

static bool tool_add(struct made *m, yyjson_mut_val *tools, yyjson_val *from)
{
    yyjson_val *function = yyjson_obj_get(from, "function");
    yyjson_val *schema = yyjson_obj_get(function, "parameters"), *strict = yyjson_obj_get(function, "strict");
    const char *name = yyjson_get_str(yyjson_obj_get(function, "name"));
    const char *description = yyjson_get_str(yyjson_obj_get(function, "description"));
    if (!is_type(from, "function"))
        return unsupported(m, "tools but functions");
    if (!name)
        return invalid(m, "a function needs its name");
    yyjson_mut_val *tool = yyjson_mut_obj(m->doc), *none = yyjson_mut_obj(m->doc);
    bool ok = tool && none && yyjson_mut_obj_add_str(m->doc, tool, "name", name);
    if (description)
        ok = ok && yyjson_mut_obj_add_str(m->doc, tool, "description", description);
    if (given(schema))
        none = yyjson_val_mut_copy(m->doc, schema);
    else
        ok = ok && yyjson_mut_obj_add_str(m->doc, none, "type", "object");
    ok = ok && yyjson_mut_obj_add_val(m->doc, tool, "input_schema", none);
    if (yyjson_get_bool(strict))
        ok = ok && yyjson_mut_obj_add_bool(m->doc, tool, "strict", true);
    ok = ok && yyjson_mut_arr_append(tools, tool);
    return ok || no_memory(m);
}

static bool choice_add(struct made *m, yyjson_val *choice, bool one_at_a_time)
{
    const char *plain = yyjson_get_str(choice);
    const char *name = yyjson_get_str(yyjson_obj_get(yyjson_obj_get(choice, "function"), "name"));
    const char *type = name                                                      ? "tool"
                       : plain && strcmp(plain, "required") == 0                 ? "any"
                       : plain && strcmp(plain, "none") == 0                     ? "none"
                       : !given(choice) || (plain && strcmp(plain, "auto") == 0) ? "auto"
                                                                                 : NULL;
    if (!type)
        return unsupported(m, "tool_choice of that kind");
    if (!given(choice) && !one_at_a_time)
        return true;
    yyjson_mut_val *out = yyjson_mut_obj(m->doc);
    bool ok = out && yyjson_mut_obj_add_str(m->doc, out, "type", type);
    if (name)
        ok = ok && yyjson_mut_obj_add_str(m->doc, out, "name", name);
    if (one_at_a_time && strcmp(type, "none") != 0)
        ok = ok && yyjson_mut_obj_add_bool(m->doc, out, "disable_parallel_tool_use", true);
    ok = ok && yyjson_mut_obj_add_val(m->doc, m->root, "tool_choice", out);
    return ok || no_memory(m);
}

static bool tools_add(struct made *m, yyjson_val *body)
{
    size_t i, n;
    yyjson_val *from = yyjson_obj_get(body, "tools"), *one;
    yyjson_val *parallel = yyjson_obj_get(body, "parallel_tool_calls");
    yyjson_mut_val *tools = yyjson_mut_arr(m->doc);
    if (given(yyjson_obj_get(body, "functions")))
        return unsupported(m, "functions: use tools");
    if (yyjson_arr_size(from) == 0)
        return true;
    yyjson_arr_foreach(from, i, n, one)
    {
        if (!tool_add(m, tools, one))
            return false;
    }
    if (!yyjson_mut_obj_add_val(m->doc, m->root, "tools", tools))
        return no_memory(m);
    return choice_add(m, yyjson_obj_get(body, "tool_choice"), yyjson_is_false(parallel));
}

/* ---- options ---- */

/* What has no counterpart and changes the answer. */
static bool options_check(struct made *m, yyjson_val *body)
{
    static const char *const nothing[] = {"presence_penalty", "frequency_penalty", "repeat_penalty"};
    static const char *const never[] = {"grammar", "audio", "web_search_options", "function_call"};
    yyjson_val *n = yyjson_obj_get(body, "n"), *temperature = yyjson_obj_get(body, "temperature");
    if (yyjson_is_int(n) && yyjson_get_sint(n) > 1)
        return unsupported(m, "n above 1");
    if (yyjson_get_bool(yyjson_obj_get(body, "logprobs")))
        return unsupported(m, "logprobs");
    if (yyjson_obj_size(yyjson_obj_get(body, "logit_bias")) > 0)
        return unsupported(m, "logit_bias");
    if (yyjson_is_num(temperature) && yyjson_get_num(temperature) > 1)
        return unsupported(m, "temperature above 1");
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        yyjson_val *v = yyjson_obj_get(body, nothing[i]);
        double none = strcmp(nothing[i], "repeat_penalty") == 0 ? 1 : 0;
        if (yyjson_is_num(v) && (yyjson_get_num(v) < none || yyjson_get_num(v) > none))
            return unsupported(m, nothing[i]);
    }
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (given(yyjson_obj_get(body, never[i])))
            return unsupported(m, never[i]);
    return true;
}

static bool sampling_add(struct made *m, yyjson_val *body)
{
    static const char *const same[] = {"temperature", "top_p", "top_k"};
    yyjson_val *stop = yyjson_obj_get(body, "stop");
    bool ok = true;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        yyjson_val *v = yyjson_obj_get(body, same[i]);
        if (given(v))
            ok = ok && yyjson_mut_obj_add_val(m->doc, m->root, same[i], yyjson_val_mut_copy(m->doc, v));
    }
    if (yyjson_is_str(stop)) {
        yyjson_mut_val *list = yyjson_mut_arr(m->doc);
        ok = ok && yyjson_mut_arr_add_strn(m->doc, list, yyjson_get_str(stop), yyjson_get_len(stop)) &&
             yyjson_mut_obj_add_val(m->doc, m->root, "stop_sequences", list);
    } else if (yyjson_arr_size(stop) > 0) {
        ok = ok &&
             yyjson_mut_obj_add_val(m->doc, m->root, "stop_sequences", yyjson_val_mut_copy(m->doc, stop));
    }
    return ok || no_memory(m);
}

static bool answer_options_add(struct made *m, yyjson_val *body, int64_t max_tokens)
{
    yyjson_val *most = yyjson_obj_get(body, "max_completion_tokens"), *user = yyjson_obj_get(body, "user");
    if (!yyjson_is_int(most))
        most = yyjson_obj_get(body, "max_tokens");
    int64_t limit = yyjson_is_int(most) ? yyjson_get_sint(most)
                    : max_tokens > 0    ? max_tokens
                                        : ANTHROPIC_MAX_TOKENS;
    bool ok = yyjson_mut_obj_add_int(m->doc, m->root, "max_tokens", limit);
    if (yyjson_get_bool(yyjson_obj_get(body, "stream")))
        ok = ok && yyjson_mut_obj_add_bool(m->doc, m->root, "stream", true);
    if (yyjson_is_str(user)) {
        yyjson_mut_val *metadata = yyjson_mut_obj(m->doc);
        ok = ok && metadata && yyjson_mut_obj_add_str(m->doc, metadata, "user_id", yyjson_get_str(user)) &&
             yyjson_mut_obj_add_val(m->doc, m->root, "metadata", metadata);
    }
    return (ok || no_memory(m)) && sampling_add(m, body);
}

static bool config_add(struct made *m, yyjson_val *body)
{
    yyjson_val *format = yyjson_obj_get(body, "response_format");
    yyjson_val *schema = yyjson_obj_get(yyjson_obj_get(format, "json_schema"), "schema");
    const char *effort = yyjson_get_str(yyjson_obj_get(body, "reasoning_effort"));
    yyjson_mut_val *config = yyjson_mut_obj(m->doc);
    bool ok = config;
    if (given(format) && !is_type(format, "text")) {
        if (!is_type(format, "json_schema"))
            return unsupported(m, "response_format but json_schema");
        if (!yyjson_is_obj(schema))
            return invalid(m, "response_format needs json_schema.schema");
        yyjson_mut_val *out = yyjson_mut_obj(m->doc);
        ok = ok && out && yyjson_mut_obj_add_str(m->doc, out, "type", "json_schema") &&
             yyjson_mut_obj_add_val(m->doc, out, "schema", yyjson_val_mut_copy(m->doc, schema)) &&
             yyjson_mut_obj_add_val(m->doc, config, "format", out);
    }
    if (effort && strcmp(effort, "none") != 0) {
        yyjson_mut_val *thinking = yyjson_mut_obj(m->doc);
        ok = ok && thinking &&
             yyjson_mut_obj_add_str(m->doc, config, "effort",
                                    strcmp(effort, "minimal") == 0 ? "low" : effort) &&
             yyjson_mut_obj_add_str(m->doc, thinking, "type", "adaptive") &&
             yyjson_mut_obj_add_val(m->doc, m->root, "thinking", thinking);
    }
    if (ok && yyjson_mut_obj_size(config) > 0)
        ok = yyjson_mut_obj_add_val(m->doc, m->root, "output_config", config);
    return ok || no_memory(m);
}

/* ---- the request ---- */

int anthropic_request(struct arena *a, const char *body, size_t len, const char *model, int64_t max_tokens,
                      bool count, const char **out, size_t *out_len, struct error *err)
{
    struct error own = {0};
    struct made m = {.a = a, .err = err ? err : &own};
    yyjson_val *from = NULL;
    yyjson_alc alc;
    contract_json_allocator(a, &alc);
    if (contract_json_parse(a, body, len, NULL, &from, NULL) != 0 || !yyjson_is_obj(from))
        return error_set(err, VX11_EINVALID, "the request is no JSON object");
    m.doc = yyjson_mut_doc_new(&alc);
    m.root = m.doc ? yyjson_mut_obj(m.doc) : NULL;
    m.system = m.doc ? yyjson_mut_arr(m.doc) : NULL;
    m.messages = m.doc ? yyjson_mut_arr(m.doc) : NULL;
    if (!m.root || !m.system || !m.messages || !yyjson_mut_obj_add_str(m.doc, m.root, "model", model))
        return error_set(err, VX11_ENOMEM, "out of memory");
    yyjson_mut_doc_set_root(m.doc, m.root);
    bool ok = options_check(&m, from) && (count || answer_options_add(&m, from, max_tokens)) &&
              turns_add(&m, yyjson_obj_get(from, "messages")) && tools_add(&m, from) && config_add(&m, from);
    if (!ok)
        return m.err->code;
    *out = yyjson_mut_write_opts(m.doc, 0, &alc, out_len, NULL);
    return *out ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
}
