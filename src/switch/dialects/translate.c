/* Translate: see translate.h. */
#include "switch/dialects/translate.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/ulid.h"

bool dialect_fault_set(struct dialect_fault *f, const char *code, const char *param, const char *fmt, ...)
{
    va_list args;
    f->code = code;
    snprintf(f->param, sizeof f->param, "%s", param ? param : "");
    va_start(args, fmt);
    vsnprintf(f->text, sizeof f->text, fmt, args);
    va_end(args);
    return false;
}

static bool no_memory(struct translation *t)
{
    return dialect_fault_set(t->fault, "out_of_memory", NULL, "out of memory");
}

bool translation_begin(struct translation *t, struct arena *a, struct dialect_fault *fault)
{
    yyjson_alc *alc = arena_alloc(a, sizeof *alc);
    *t = (struct translation){.a = a, .fault = fault};
    if (!alc)
        return no_memory(t);
    contract_json_allocator(a, alc);
    t->doc = yyjson_mut_doc_new(alc);
    t->root = t->doc ? yyjson_mut_obj(t->doc) : NULL;
    t->messages = t->doc ? yyjson_mut_arr(t->doc) : NULL;
    if (!t->root || !t->messages)
        return no_memory(t);
    yyjson_mut_doc_set_root(t->doc, t->root);
    return true;
}

bool translation_no_memory(struct translation *t)
{
    return dialect_fault_set(t->fault, "out_of_memory", NULL, "out of memory");
}

bool translation_unsupported(struct translation *t, const char *at, const char *key, const char *text)
{
    char where[sizeof t->fault->param];
    snprintf(where, sizeof where, "%.120s%s%.64s", at, key ? "/" : "", key ? key : "");
    return dialect_fault_set(t->fault, DIALECT_UNSUPPORTED, where, "%s", text);
}

bool translation_invalid(struct translation *t, const char *at, const char *key, const char *text)
{
    translation_unsupported(t, at, key, text);
    t->fault->code = DIALECT_INVALID;
    return false;
}

const char *translation_text_of(struct translation *t, yyjson_val *object, const char *key, const char *at)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, key));
    if (!text)
        translation_invalid(t, at, key, "must be a string");
    return text;
}

bool translation_is_type(yyjson_val *value, const char *type)
{
    return yyjson_equals_str(yyjson_obj_get(value, "type"), type);
}

bool translation_end(struct translation *t, struct dialect_request *out)
{
    yyjson_alc alc;
    contract_json_allocator(t->a, &alc);
    out->body = yyjson_mut_write_opts(t->doc, 0, &alc, &out->len, NULL);
    return out->body ? true : no_memory(t);
}

void translation_ignore(struct translation *t, struct dialect_request *out, const char *name, bool given)
{
    if (given)
        out->ignored = out->ignored ? arena_printf(t->a, "%s, %s", out->ignored, name) : name;
}

/* ---- parts and messages ---- */

static bool part_add(struct translation *t, yyjson_mut_val *parts, const char *type, const char *key,
                     yyjson_mut_val *value)
{
    yyjson_mut_val *part = yyjson_mut_obj(t->doc);
    bool ok = part && value && yyjson_mut_obj_add_str(t->doc, part, "type", type) &&
              yyjson_mut_obj_add_val(t->doc, part, key, value) && yyjson_mut_arr_append(parts, part);
    return ok ? true : no_memory(t);
}

bool part_text(struct translation *t, yyjson_mut_val *parts, const char *text, size_t len)
{
    return part_add(t, parts, "text", "text", yyjson_mut_strn(t->doc, text, len));
}

bool part_image(struct translation *t, yyjson_mut_val *parts, const char *url)
{
    yyjson_mut_val *image = yyjson_mut_obj(t->doc);
    if (!url || !image || !yyjson_mut_obj_add_str(t->doc, image, "url", url))
        return no_memory(t);
    return part_add(t, parts, "image_url", "image_url", image);
}

bool part_file(struct translation *t, yyjson_mut_val *parts, const char *name, const char *data_url)
{
    yyjson_mut_val *file = yyjson_mut_obj(t->doc);
    if (!data_url || !file || !yyjson_mut_obj_add_str(t->doc, file, "filename", name) ||
        !yyjson_mut_obj_add_str(t->doc, file, "file_data", data_url))
        return no_memory(t);
    return part_add(t, parts, "file", "file", file);
}

static bool all_text(yyjson_mut_val *parts)
{
    size_t i, n;
    yyjson_mut_val *part;
    yyjson_mut_arr_foreach(parts, i, n, part)
    {
        if (!yyjson_mut_equals_str(yyjson_mut_obj_get(part, "type"), "text"))
            return false;
    }
    return true;
}

yyjson_mut_val *parts_content(struct translation *t, yyjson_mut_val *parts)
{
    struct buf text = BUF_INIT;
    size_t i, n;
    yyjson_mut_val *part;
    if (!all_text(parts))
        return parts;
    if (yyjson_mut_arr_size(parts) == 1)
        return yyjson_mut_obj_get(yyjson_mut_arr_get_first(parts), "text");
    yyjson_mut_arr_foreach(parts, i, n, part)
    {
        yyjson_mut_val *piece = yyjson_mut_obj_get(part, "text");
        if (i > 0)
            buf_putc(&text, '\n');
        buf_append(&text, yyjson_mut_get_str(piece), yyjson_mut_get_len(piece));
    }
    yyjson_mut_val *out =
        text.failed ? NULL : yyjson_mut_strncpy(t->doc, text.data ? text.data : "", text.len);
    buf_free(&text);
    return out;
}

yyjson_mut_val *message_add(struct translation *t, const char *role, yyjson_mut_val *content)
{
    yyjson_mut_val *message = yyjson_mut_obj(t->doc);
    if (!content)
        content = yyjson_mut_null(t->doc);
    if (message && content && yyjson_mut_obj_add_str(t->doc, message, "role", role) &&
        yyjson_mut_obj_add_val(t->doc, message, "content", content) &&
        yyjson_mut_arr_append(t->messages, message))
        return message;
    no_memory(t);
    return NULL;
}

bool call_add(struct translation *t, yyjson_mut_val *message, const char *id, const char *name,
              const char *arguments, size_t len)
{
    yyjson_mut_val *calls = yyjson_mut_obj_get(message, "tool_calls");
    yyjson_mut_val *call = yyjson_mut_obj(t->doc), *function = yyjson_mut_obj(t->doc);
    if (!calls) {
        calls = yyjson_mut_arr(t->doc);
        if (!calls || !yyjson_mut_obj_add_val(t->doc, message, "tool_calls", calls))
            return no_memory(t);
    }
    bool ok = call && function && yyjson_mut_obj_add_str(t->doc, call, "id", id) &&
              yyjson_mut_obj_add_str(t->doc, call, "type", "function") &&
              yyjson_mut_obj_add_str(t->doc, function, "name", name) &&
              yyjson_mut_obj_add_strncpy(t->doc, function, "arguments", arguments, len) &&
              yyjson_mut_obj_add_val(t->doc, call, "function", function) &&
              yyjson_mut_arr_append(calls, call);
    return ok ? true : no_memory(t);
}

/* ---- what a provider says ---- */

/* Joins field `key` of the parts of that type; a part's field may be an array of parts itself. */
static void parts_join(yyjson_val *parts, const char *type, const char *key, struct buf *out)
{
    size_t i, n;
    yyjson_val *part;
    yyjson_arr_foreach(parts, i, n, part)
    {
        yyjson_val *value = yyjson_obj_get(part, key);
        if (!yyjson_equals_str(yyjson_obj_get(part, "type"), type))
            continue;
        if (yyjson_is_str(value))
            buf_append(out, yyjson_get_str(value), yyjson_get_len(value));
        else if (yyjson_is_arr(value) && strcmp(key, "text") != 0)
            parts_join(value, "text", "text", out);
    }
}

static const char *parts_text(struct arena *a, yyjson_val *parts, const char *type, const char *key)
{
    struct buf text = BUF_INIT;
    parts_join(parts, type, key, &text);
    const char *out = text.failed ? NULL : arena_strndup(a, text.data ? text.data : "", text.len);
    buf_free(&text);
    return out;
}

const char *upstream_text(struct arena *a, yyjson_val *content)
{
    if (yyjson_is_str(content))
        return yyjson_get_str(content);
    return yyjson_is_arr(content) ? parts_text(a, content, "text", "text") : "";
}

const char *upstream_thoughts(struct arena *a, const struct switch_upstream_message *m)
{
    if (yyjson_is_str(m->reasoning_content))
        return yyjson_get_str(m->reasoning_content);
    if (yyjson_is_str(m->reasoning))
        return yyjson_get_str(m->reasoning);
    return yyjson_is_arr(m->content) ? parts_text(a, m->content, "thinking", "thinking") : "";
}

void dialect_id(const char *prefix, char out[40])
{
    char ulid[ULID_LEN + 1];
    ulid_make(ulid);
    for (char *c = ulid; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    snprintf(out, 40, "%s_%s", prefix, ulid);
}
