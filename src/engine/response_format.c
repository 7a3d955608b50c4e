/* Response formats, checked when the request comes: what cannot be kept is a 400 that says where, and no
 * answer is begun. */
#include "engine/response_format.h"

#include <stdlib.h>
#include <string.h>

#include "engine/engine_internal.h"
#include "engine/gbnf.h"
#include "engine/schema.h"

#define SCHEMA_POINTER "/response_format/json_schema/schema"

enum { NAME_MOST = 64 };

static bool no_memory(struct request_fault *fault)
{
    fault_set(fault, "out_of_memory", NULL, "out of memory");
    return false;
}

static bool invalid(struct request_fault *fault, const char *param, const char *text)
{
    fault_set(fault, "invalid_value", param, "%s", text);
    return false;
}

static bool grammar_read(const struct model *m, const char *grammar, struct response_format *out,
                         struct request_fault *fault)
{
    struct gbnf *g = NULL;
    struct gbnf_fault why;
    const int rc = gbnf_compile(grammar, strlen(grammar), m, &g, &why);
    gbnf_free(g);
    if (rc == VX11_ENOMEM)
        return no_memory(fault);
    if (rc != 0 && why.line > 0)
        fault_set(fault, "invalid_grammar", "grammar", "line %zu, column %zu: %s", why.line, why.column,
                  why.text);
    else if (rc != 0)
        fault_set(fault, "invalid_grammar", "grammar", "%s", why.text);
    out->gbnf = grammar;
    return rc == 0;
}

/* As of OpenAI: letters, digits, _ and -. */
static bool name_check(yyjson_val *name, struct request_fault *fault)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const char *text = yyjson_get_str(name);
    const size_t len = yyjson_get_len(name);
    if (text && len > 0 && len <= NAME_MOST && strspn(text, allowed) == len)
        return true;
    return invalid(fault, "/response_format/json_schema/name",
                   "must be 1 to 64 letters, digits, underscores and hyphens");
}

static bool schema_keep(yyjson_val *schema, struct arena *a, struct response_format *out,
                        struct request_fault *fault)
{
    size_t len = 0;
    char *text = yyjson_val_write(schema, YYJSON_WRITE_NOFLAG, &len);
    out->schema = text ? arena_strndup(a, text, len) : NULL;
    free(text);
    return out->schema || no_memory(fault);
}

static bool json_schema(yyjson_val *spec, struct arena *a, struct response_format *out,
                        struct request_fault *fault)
{
    yyjson_val *schema = yyjson_obj_get(spec, "schema"), *strict = yyjson_obj_get(spec, "strict"),
               *description = yyjson_obj_get(spec, "description");
    struct buf gbnf = BUF_INIT;
    if (!yyjson_is_obj(spec))
        return invalid(fault, "/response_format/json_schema", "must be an object: name, schema, strict");
    if (!name_check(yyjson_obj_get(spec, "name"), fault))
        return false;
    if (strict && !yyjson_is_bool(strict) && !yyjson_is_null(strict))
        return invalid(fault, "/response_format/json_schema/strict", "must be true or false");
    if (description && !yyjson_is_str(description) && !yyjson_is_null(description))
        return invalid(fault, "/response_format/json_schema/description", "must be a string");
    if (!schema) { /* as of OpenAI: then any object */
        if (schema_any_object(&gbnf))
            out->gbnf = arena_strndup(a, gbnf.data, gbnf.len);
        buf_free(&gbnf);
        return out->gbnf || no_memory(fault);
    }
    const bool ok = schema_to_gbnf(schema, yyjson_is_true(strict), SCHEMA_POINTER, &gbnf, fault);
    if (ok)
        out->gbnf = arena_strndup(a, gbnf.data, gbnf.len);
    buf_free(&gbnf);
    return ok && (out->gbnf || no_memory(fault)) && schema_keep(schema, a, out, fault);
}

static bool json_object(struct arena *a, struct response_format *out, struct request_fault *fault)
{
    struct buf gbnf = BUF_INIT;
    if (schema_any_object(&gbnf))
        out->gbnf = arena_strndup(a, gbnf.data, gbnf.len);
    buf_free(&gbnf);
    return out->gbnf || no_memory(fault);
}

bool response_format_read(const struct model *m, yyjson_val *response_format, const char *grammar,
                          struct arena *a, struct response_format *out, struct request_fault *fault)
{
    *out = (struct response_format){0};
    const bool given = response_format && !yyjson_is_null(response_format);
    const char *type = yyjson_get_str(yyjson_obj_get(response_format, "type"));
    const bool text = type && strcmp(type, "text") == 0;
    if (given && !type)
        return invalid(fault, "/response_format/type", "must be text, json_object or json_schema");
    if (given && !text && grammar)
        return invalid(fault, "grammar", "cannot be used together with response_format");
    if (grammar)
        return grammar_read(m, grammar, out, fault);
    if (!given || text)
        return true;
    if (strcmp(type, "json_object") == 0)
        return json_object(a, out, fault);
    if (strcmp(type, "json_schema") == 0)
        return json_schema(yyjson_obj_get(response_format, "json_schema"), a, out, fault);
    return invalid(fault, "/response_format/type", "must be text, json_object or json_schema");
}
