/* The history of a chat. Clients keep it and send it back with every request, so that one thing in it that
 * cannot be read would break a conversation for ever: what can be mended is, the rest is refused by name. */
#include "engine/messages.h"

#include <stdio.h>
#include <string.h>

#include "engine/arguments.h"

enum { CALLS_MOST = 256 };

struct reading {
    const struct openai_chat_message *in;
    size_t index; /* of the message that is read */
    struct marks *marks;
    struct arena *arena;
    struct history *out;
    struct request_fault *fault;
};

static bool no_memory(struct reading *r)
{
    fault_set(r->fault, "out_of_memory", NULL, "out of memory");
    return false;
}

__attribute__((format(printf, 4, 5))) static bool wrong(struct reading *r, const char *code,
                                                        const char *where, const char *fmt, ...)
{
    char param[sizeof r->fault->param], text[sizeof r->fault->text];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)snprintf(param, sizeof param, "/messages/%zu%s", r->index, where);
    fault_set(r->fault, code, param, "%s", text);
    return false;
}

static bool take_text(struct reading *r, const char *text, const char **out)
{
    *out = marks_protect(r->marks, text);
    if (!*out)
        return no_memory(r);
    r->out->bytes += strlen(text);
    return true;
}

/* ---- free JSON ---- */

/* A string's text: NUL, which no C string holds, becomes U+FFFD. */
static const char *string_of(yyjson_val *value, struct arena *a)
{
    const char *text = yyjson_get_str(value);
    const size_t len = yyjson_get_len(value);
    if (strlen(text) == len)
        return text;
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < len; i += strlen(text + i) + 1) {
        (void)buf_puts(&out, text + i);
        if (i + strlen(text + i) < len)
            (void)buf_puts(&out, "\xEF\xBF\xBD");
    }
    const char *copy = out.failed ? NULL : arena_strndup(a, out.data, out.len);
    buf_free(&out);
    return copy;
}

static yyjson_mut_val *value_protect(struct marks *marks, yyjson_val *value, yyjson_mut_doc *doc,
                                     struct arena *a)
{
    size_t i, max;
    yyjson_val *key, *item;
    if (yyjson_is_str(value)) {
        const char *text = string_of(value, a);
        return yyjson_mut_str(doc, text ? marks_protect(marks, text) : NULL);
    }
    if (yyjson_is_arr(value)) {
        yyjson_mut_val *out = yyjson_mut_arr(doc);
        yyjson_arr_foreach(value, i, max, item)
        {
            if (!yyjson_mut_arr_append(out, value_protect(marks, item, doc, a)))
                return NULL;
        }
        return out;
    }
    if (yyjson_is_obj(value)) {
        yyjson_mut_val *out = yyjson_mut_obj(doc);
        yyjson_obj_foreach(value, i, max, key, item)
        {
            if (!yyjson_mut_obj_add(out, value_protect(marks, key, doc, a),
                                    value_protect(marks, item, doc, a)))
                return NULL;
        }
        return out;
    }
    return yyjson_val_mut_copy(doc, value);
}

const char *json_protect(struct marks *marks, yyjson_val *value, struct arena *a)
{
    yyjson_alc allocator;
    contract_json_allocator(a, &allocator);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&allocator);
    yyjson_mut_val *root = doc ? value_protect(marks, value, doc, a) : NULL;
    return root ? yyjson_mut_val_write_opts(root, 0, &allocator, NULL, NULL) : NULL;
}

/* ---- contents ---- */

static bool parts_join(struct reading *r, yyjson_val *parts, struct buf *text)
{
    size_t i, max;
    yyjson_val *part;
    yyjson_arr_foreach(parts, i, max, part)
    {
        char where[48];
        const char *type = yyjson_get_str(yyjson_obj_get(part, "type"));
        (void)snprintf(where, sizeof where, "/content/%zu", i);
        const bool refusal = type && strcmp(type, "refusal") == 0;
        if (!type || (strcmp(type, "text") != 0 && !refusal))
            return wrong(r, "unsupported", where, "only text parts are supported, not %.64s",
                         type ? type : "that");
        yyjson_val *content = yyjson_obj_get(part, refusal ? "refusal" : "text");
        if (!yyjson_is_str(content))
            return wrong(r, "invalid_value", where, "a %s part needs a string \"%s\"", type, type);
        (void)buf_puts(text, i > 0 ? "\n" : "");
        (void)buf_append(text, yyjson_get_str(content), yyjson_get_len(content));
    }
    return true;
}

static bool content_read(struct reading *r, const struct openai_chat_message *in, bool may_lack,
                         const char **out)
{
    if (yyjson_is_str(in->content)) {
        const char *text = string_of(in->content, r->arena);
        return text ? take_text(r, text, out) : no_memory(r);
    }
    if (yyjson_is_arr(in->content)) {
        struct buf text = BUF_INIT;
        bool ok = parts_join(r, in->content, &text);
        if (ok) {
            const char *copy =
                text.failed ? NULL : arena_strndup(r->arena, text.data ? text.data : "", text.len);
            ok = copy ? take_text(r, copy, out) : no_memory(r);
        }
        buf_free(&text);
        return ok;
    }
    *out = in->refusal && in->role == OPENAI_ROLE_ASSISTANT ? in->refusal : "";
    if (**out)
        return take_text(r, *out, out);
    if (may_lack && (!in->content || yyjson_is_null(in->content)))
        return true;
    return wrong(r, "invalid_value", "/content", "must be a string or an array of parts");
}

/* ---- calls ---- */

static bool name_sound(const char *name)
{
    const size_t len = strlen(name);
    return len > 0 && len <= 256 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/") == len;
}

static bool arguments_take(struct reading *r, yyjson_val *value, const char *where, const char **out)
{
    struct buf written = BUF_INIT;
    enum arguments_state state;
    const char *text = "";
    size_t len = 0;
    bool ok = false;
    if (yyjson_is_str(value)) {
        text = yyjson_get_str(value);
        len = yyjson_get_len(value);
    } else if (value && !yyjson_is_null(value)) { /* some clients send the object itself */
        if (contract_json_write(value, &written) != 0)
            return no_memory(r);
        text = written.data;
        len = written.len;
    }
    yyjson_doc *doc = arguments_read(r->arena, text, len, &state);
    if (state == ARGUMENTS_TOO_DEEP) {
        wrong(r, "invalid_value", where, "is nested more than %d levels deep", ARGUMENTS_DEPTH);
        goto out;
    }
    r->out->repaired += state == ARGUMENTS_MENDED && len > 0;
    *out = doc ? json_protect(r->marks, yyjson_doc_get_root(doc), r->arena) : NULL;
    if (*out) {
        r->out->bytes += len;
        ok = true;
    } else {
        no_memory(r);
    }
out:
    buf_free(&written);
    return ok;
}

/* function: {name, arguments}; where: its pointer below the message. */
static bool function_read(struct reading *r, yyjson_val *function, const char *where, struct chat_call *out)
{
    char at[96];
    const char *name = yyjson_get_str(yyjson_obj_get(function, "name"));
    if (!yyjson_is_obj(function))
        return wrong(r, "invalid_value", where, "must be an object with name and arguments");
    (void)snprintf(at, sizeof at, "%s/name", where);
    if (!name || !name_sound(name))
        return wrong(r, "invalid_value", at, "must be the name of a function: letters, digits, _ - . : /");
    (void)snprintf(at, sizeof at, "%s/arguments", where);
    out->name = name;
    return arguments_take(r, yyjson_obj_get(function, "arguments"), at, &out->arguments);
}

static bool call_read(struct reading *r, yyjson_val *call, size_t index, struct chat_call *out)
{
    char where[64];
    (void)snprintf(where, sizeof where, "/tool_calls/%zu", index);
    if (!yyjson_is_obj(call))
        return wrong(r, "invalid_value", where, "must be an object");
    const char *type = yyjson_get_str(yyjson_obj_get(call, "type"));
    if (type && strcmp(type, "function") != 0) {
        (void)snprintf(where, sizeof where, "/tool_calls/%zu/type", index);
        return wrong(r, "unsupported", where, "only calls of functions are supported, not %.64s", type);
    }
    yyjson_val *id = yyjson_obj_get(call, "id");
    (void)snprintf(where, sizeof where, "/tool_calls/%zu/id", index);
    if (id && !yyjson_is_null(id) && (!yyjson_is_str(id) || yyjson_get_len(id) > 256))
        return wrong(r, "invalid_value", where, "must be a string of at most 256 bytes");
    const char *text = yyjson_is_str(id) ? string_of(id, r->arena) : "";
    if (!text || !take_text(r, text, &out->id))
        return no_memory(r);
    (void)snprintf(where, sizeof where, "/tool_calls/%zu/function", index);
    return function_read(r, yyjson_obj_get(call, "function"), where, out);
}

static bool calls_read(struct reading *r, const struct openai_chat_message *in, struct chat_message *out)
{
    const bool listed = in->tool_calls && !yyjson_is_null(in->tool_calls);
    const bool single = in->function_call && !yyjson_is_null(in->function_call);
    const size_t count = listed ? yyjson_arr_size(in->tool_calls) : single;
    if (listed && !yyjson_is_arr(in->tool_calls))
        return wrong(r, "invalid_value", "/tool_calls", "must be an array");
    if (count > CALLS_MOST)
        return wrong(r, "invalid_value", "/tool_calls", "at most %d calls, not %zu", CALLS_MOST, count);
    if (count > 0 && in->role != OPENAI_ROLE_ASSISTANT)
        return wrong(r, "invalid_value", "/tool_calls", "only the assistant calls tools");
    if (count == 0)
        return true;
    struct chat_call *calls = arena_array(r->arena, count, sizeof *calls);
    if (!calls)
        return no_memory(r);
    memset(calls, 0, count * sizeof *calls);
    size_t i, max;
    yyjson_val *call;
    if (!listed && !function_read(r, in->function_call, "/function_call", &calls[0]))
        return false;
    if (listed) {
        yyjson_arr_foreach(in->tool_calls, i, max, call)
        {
            if (!call_read(r, call, i, &calls[i]))
                return false;
        }
    }
    out->calls = calls;
    out->call_count = count;
    return true;
}

/* The latest call before the message that has the id, or (id NULL) the function's name. */
static const struct chat_call *call_find(const struct reading *r, const char *id, const char *name)
{
    for (size_t i = r->index; i-- > 0;) {
        const struct chat_message *m = &r->out->messages[i];
        for (size_t j = 0; j < m->call_count; j++) {
            const struct chat_call *call = &m->calls[j];
            if (id ? call->id && strcmp(call->id, id) == 0 : name && strcmp(call->name, name) == 0)
                return call;
        }
    }
    return NULL;
}

static bool result_read(struct reading *r, const struct openai_chat_message *in, struct chat_message *out)
{
    const bool function = in->role == OPENAI_ROLE_FUNCTION;
    const struct chat_call *call = NULL;
    out->role = "tool";
    if (function) {
        if (!in->name || !name_sound(in->name))
            return wrong(r, "invalid_value", "/name", "a function message needs the function's name");
        call = call_find(r, NULL, in->name);
        out->name = in->name;
        out->call_id = call && call->id ? call->id : NULL;
        return true;
    }
    if (!in->tool_call_id || !*in->tool_call_id)
        return wrong(r, "invalid_value", "/tool_call_id",
                     "a tool message needs the id of the call it answers");
    if (!take_text(r, in->tool_call_id, &out->call_id))
        return false;
    call = call_find(r, out->call_id, NULL);
    if (!call)
        return wrong(r, "invalid_value", "/tool_call_id", "no earlier message has a call with the id %.128s",
                     in->tool_call_id);
    out->name = call->name;
    return true;
}

static bool message_read(struct reading *r, const struct openai_chat_message *in, struct chat_message *out)
{
    const bool result = in->role == OPENAI_ROLE_TOOL || in->role == OPENAI_ROLE_FUNCTION;
    out->role = in->role == OPENAI_ROLE_DEVELOPER ? "system" : openai_role_names[in->role];
    if (!calls_read(r, in, out) ||
        !content_read(r, in, in->role == OPENAI_ROLE_ASSISTANT || result, &out->content))
        return false;
    if (result)
        return result_read(r, in, out);
    if (in->name && *in->name && !take_text(r, in->name, &out->name))
        return false;
    if (in->role == OPENAI_ROLE_ASSISTANT && in->reasoning_content && *in->reasoning_content)
        return take_text(r, in->reasoning_content, &out->reasoning);
    return true;
}

bool history_read(const struct openai_chat_message *in, size_t n, struct marks *marks, struct arena *a,
                  struct history *out, struct request_fault *fault)
{
    struct reading r = {.in = in, .marks = marks, .arena = a, .out = out, .fault = fault};
    *out = (struct history){.messages = arena_array(a, n + 1, sizeof *out->messages), .count = n};
    if (!out->messages)
        return no_memory(&r);
    memset(out->messages, 0, (n + 1) * sizeof *out->messages);
    for (; r.index < n; r.index++) {
        if (!message_read(&r, &in[r.index], &out->messages[r.index]))
            return false;
    }
    while (out->systems < n && strcmp(out->messages[out->systems].role, "system") == 0)
        out->systems++;
    return true;
}

/* ---- what can go ---- */

static bool speaks(const struct history *h, size_t i, const char *role)
{
    return strcmp(h->messages[i].role, role) == 0;
}

size_t history_cuts(const struct history *h, struct history_cut *out)
{
    size_t n = 0, last = h->count;
    for (size_t i = h->systems; i < h->count; i++) {
        if (speaks(h, i, "user"))
            last = i;
    }
    if (last == h->count) /* nobody asked: nothing can go */
        return 0;
    for (size_t from = h->systems, to; from < last; from = to) {
        for (to = from + 1; to < last && !speaks(h, to, "user"); to++)
            continue;
        out[n++] = (struct history_cut){from, to};
    }
    /* After the last question: each step of the assistant with its results, but for the last one. */
    for (size_t from = last + 1, to; from < h->count; from = to) {
        for (to = from + 1; to < h->count && !speaks(h, to, "assistant"); to++)
            continue;
        if (to < h->count)
            out[n++] = (struct history_cut){from, to};
    }
    return n;
}

bool history_without(const struct history *h, const struct history_cut *cuts, size_t n, struct arena *a,
                     struct history *out)
{
    *out = *h;
    if (n == 0)
        return true;
    out->messages = arena_array(a, h->count, sizeof *out->messages);
    if (!out->messages)
        return false;
    out->count = 0;
    size_t cut = 0;
    for (size_t i = 0; i < h->count; i++) {
        while (cut < n && i >= cuts[cut].to)
            cut++;
        if (cut < n && i >= cuts[cut].from)
            continue;
        out->messages[out->count++] = h->messages[i];
    }
    return true;
}
