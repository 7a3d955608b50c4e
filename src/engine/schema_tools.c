/* Schemas of strict tools. Their calls follow a grammar that llama.cpp writes, as part of the model's own
 * format of calls; what its conversion passes over or keeps too loosely is refused here, by name.
 *
 *   numbers with a part      bounds are passed over, and multipleOf always
 *   pattern                  what is not anchored, escapes, "." and negated classes are passed over or can
 * break the JSON; so only plain patterns are let through format                   dates may have 31 days in
 * any month; of the others only time and uuid are known $ref                     "#" alone, escaped paths,
 * and paths that differ in punctuation only enum beside type         values of another type are let through
 */
#include "engine/schema_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static bool one_bound(struct schema *s, yyjson_val *node, const char *keyword, const char *other)
{
    yyjson_val *value = yyjson_obj_get(node, keyword);
    if (!value)
        return true;
    if (yyjson_obj_get(node, other))
        return schema_refuse(s, other, "cannot be enforced beside %s in a tool", keyword);
    if (!(yyjson_get_num(value) >= -9007199254740991.0 && yyjson_get_num(value) <= 9007199254740991.0))
        return schema_refuse(s, keyword, "can be enforced up to 2^53 in a tool");
    return true;
}

static bool number_check(struct schema *s, yyjson_val *node)
{
    static const char *const bounds[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"};
    const char *type = yyjson_get_str(yyjson_obj_get(node, "type"));
    if (yyjson_obj_get(node, "multipleOf"))
        return schema_refuse(s, "multipleOf", "cannot be enforced in a tool");
    for (size_t i = 0; i < COUNT_OF(bounds); i++) {
        if (yyjson_obj_get(node, bounds[i]) && (!type || strcmp(type, "integer") != 0))
            return schema_refuse(s, bounds[i], "can be enforced in a tool for the type integer only");
    }
    return one_bound(s, node, "minimum", "exclusiveMinimum") &&
           one_bound(s, node, "exclusiveMinimum", "minimum") &&
           one_bound(s, node, "maximum", "exclusiveMaximum") &&
           one_bound(s, node, "exclusiveMaximum", "maximum");
}

static bool string_check(struct schema *s, yyjson_val *node)
{
    yyjson_val *pattern = yyjson_obj_get(node, "pattern");
    const char *text = yyjson_get_str(pattern), *format = yyjson_get_str(yyjson_obj_get(node, "format"));
    const size_t len = yyjson_get_len(pattern);
    if (text && (len < 3 || text[0] != '^' || text[len - 1] != '$' || strpbrk(text, "\\.\"{") ||
                 strstr(text, "[^") || strstr(text, "(?") || utf8_count(text, len) != len))
        return schema_refuse(
            s, "pattern",
            "in a tool only plain patterns between ^ and $ can be enforced: letters, digits, "
            "classes, groups, | * + ?");
    if (format && strcmp(format, "uuid") != 0 && strcmp(format, "time") != 0)
        return schema_refuse(s, "format", "in a tool only time and uuid can be enforced");
    if ((text || format) && (yyjson_obj_get(node, "minLength") || yyjson_obj_get(node, "maxLength")))
        return schema_refuse(s, yyjson_obj_get(node, "minLength") ? "minLength" : "maxLength",
                             "cannot be enforced beside pattern or format in a tool");
    return true;
}

static bool value_fits(yyjson_val *value, yyjson_val *type)
{
    const char *name = yyjson_get_str(type);
    static const char *const names[] = {"string", "number", "integer", "boolean", "null", "object", "array"};
    const bool is[] = {yyjson_is_str(value),  yyjson_is_num(value),  yyjson_is_int(value),
                       yyjson_is_bool(value), yyjson_is_null(value), yyjson_is_obj(value),
                       yyjson_is_arr(value)};
    for (size_t i = 0; name && i < COUNT_OF(names); i++) {
        if (strcmp(names[i], name) == 0)
            return is[i];
    }
    return false;
}

static bool choice_check(struct schema *s, yyjson_val *node)
{
    yyjson_val *values = yyjson_obj_get(node, "enum"), *type = yyjson_obj_get(node, "type"), *value, *one;
    size_t i, max, k, kmax;
    if (!values || !type)
        return true;
    yyjson_arr_foreach(values, i, max, value)
    {
        bool fits = value_fits(value, type);
        yyjson_arr_foreach(type, k, kmax, one)
        {
            fits |= value_fits(value, one);
        }
        if (!fits)
            return schema_refuse(s, "enum",
                                 "has a value of another type, which a tool's grammar would allow");
    }
    return true;
}

static bool ref_same_name(const char *a, const char *b)
{
    while (*a && *b) {
        const bool x = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", *a) != NULL;
        const bool y = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", *b) != NULL;
        if ((x && y && *a != *b) || (x != y && *a != '-' && *b != '-'))
            return false;
        a++;
        b++;
    }
    return !*a && !*b;
}

struct refs {
    const char *seen[256];
    size_t count;
};

static bool ref_check(struct schema *s, yyjson_val *node, struct refs *refs)
{
    const char *ref = yyjson_get_str(yyjson_obj_get(node, "$ref"));
    if (!ref)
        return true;
    if (strncmp(ref, "#/", 2) != 0 || strpbrk(ref, "~%"))
        return schema_refuse(s, "$ref", "in a tool it must be a plain path, such as #/$defs/name");
    for (size_t i = 0; i < refs->count; i++) {
        if (strcmp(refs->seen[i], ref) == 0)
            return true;
        if (ref_same_name(refs->seen[i], ref))
            return schema_refuse(s, "$ref",
                                 "differs from another only in punctuation, which a tool's grammar "
                                 "cannot tell apart");
    }
    if (refs->count == COUNT_OF(refs->seen))
        return schema_refuse(s, "$ref", "a tool's schema can refer to %zu others", COUNT_OF(refs->seen));
    refs->seen[refs->count++] = ref;
    return true;
}

static bool node_check(struct schema *s, yyjson_val *node, struct refs *refs);

static bool children_check(struct schema *s, yyjson_val *node, const char *keyword, struct refs *refs)
{
    yyjson_val *children = yyjson_obj_get(node, keyword), *key, *child;
    size_t i, max;
    yyjson_arr_foreach(children, i, max, child)
    {
        const size_t mark = schema_enter_index(s, keyword, i);
        if (!node_check(s, child, refs))
            return false;
        schema_leave(s, mark);
    }
    OBJECT_EACH(children, i, max, key, child)
    {
        const size_t mark = schema_enter(s, keyword, yyjson_get_str(key));
        if (!node_check(s, child, refs))
            return false;
        schema_leave(s, mark);
    }
    return true;
}

/* The schema is known to be sound, and not too deep. */
static bool node_check(struct schema *s, yyjson_val *node, struct refs *refs)
{
    yyjson_val *items = yyjson_obj_get(node, "items");
    if (!yyjson_is_obj(node))
        return true;
    if (!ref_check(s, node, refs) || !choice_check(s, node) || !number_check(s, node) ||
        !string_check(s, node) || !children_check(s, node, "properties", refs) ||
        !children_check(s, node, "anyOf", refs) || !children_check(s, node, "$defs", refs) ||
        !children_check(s, node, "definitions", refs))
        return false;
    const size_t mark = schema_enter(s, "items", NULL);
    const bool ok = node_check(s, items, refs);
    if (ok)
        schema_leave(s, mark);
    return ok;
}

bool schema_check(yyjson_val *schema, bool strict, const char *pointer, struct request_fault *fault)
{
    struct buf ignored = BUF_INIT;
    struct schema s = {.strict = strict, .root = schema, .pointer = pointer, .fault = fault};
    struct refs refs = {.count = 0};
    bool ok = schema_to_gbnf(schema, strict, pointer, &ignored, fault);
    buf_free(&ignored);
    if (ok)
        ok = node_check(&s, schema, &refs);
    buf_free(&s.path);
    return ok;
}
