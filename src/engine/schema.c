/* Schemas: references, alternatives, values to choose from, types; and which keyword may stand where.
 *
 * Each schema becomes a numbered rule. A $ref is a reference to the rule of its target, which is written
 * later, once, from a queue: so recursion costs nothing, and a long chain of references no stack. */
#include "engine/schema_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "engine/gbnf.h"

/* No exponent past two digits and no run of digits past 16: every reader of JSON can hold such numbers. Half
 * a surrogate pair is never written. */
static const char primitives[] =
    "ws ::= (\" \" | \"\\n\" [ \\t]{0,20})?\n"
    "char ::= [^\"\\\\\\x00-\\x1F\\x7F] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" ([0-9a-cefA-CEF] hex hex hex | "
    "[dD] [0-7] hex hex))\n"
    "hex ::= [0-9a-fA-F]\n"
    "keychar ::= [^\"\\\\\\x00-\\x1F\\x7F]\n"
    "string ::= \"\\\"\" char* \"\\\"\"\n"
    "int ::= \"0\" | [1-9] [0-9]{0,15}\n"
    "integer ::= \"-\"? int\n"
    "number ::= \"-\"? int (\".\" [0-9]{1,16})? ([eE] [-+]? [0-9]{1,2})?\n"
    "boolean ::= \"true\" | \"false\"\n"
    "null ::= \"null\"\n"
    "value ::= object | array | string | number | boolean | null\n"
    "object ::= \"{\" ws (string \":\" ws value (\",\" ws string \":\" ws value)*)? ws \"}\"\n"
    "array ::= \"[\" ws (value (\",\" ws value)*)? ws \"]\"\n";

bool schema_any_object(struct buf *out)
{
    (void)buf_puts(out, "root ::= object\n");
    return buf_puts(out, primitives) == 0;
}

/* ---- faults and places ---- */

static void path_add(struct buf *path, const char *step)
{
    (void)buf_putc(path, '/');
    for (; *step; step++) {
        if (*step == '~' || *step == '/')
            (void)buf_puts(path, *step == '~' ? "~0" : "~1");
        else
            (void)buf_putc(path, *step);
    }
}

bool schema_refuse(struct schema *s, const char *keyword, const char *fmt, ...)
{
    char text[sizeof s->fault->text];
    struct buf where = BUF_INIT;
    va_list args;
    if (s->fault->code)
        return false;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)buf_printf(&where, "%s%s", s->pointer, s->path.data ? s->path.data : "");
    if (keyword)
        path_add(&where, keyword);
    if (where.len >= sizeof s->fault->param)
        where.data[utf8_valid_prefix(where.data, sizeof s->fault->param - 1)] = '\0';
    fault_set(s->fault, "invalid_schema", where.data ? where.data : s->pointer, "%s", text);
    buf_free(&where);
    return false;
}

bool schema_no_memory(struct schema *s)
{
    fault_set(s->fault, "out_of_memory", NULL, "out of memory");
    return false;
}

size_t schema_enter(struct schema *s, const char *step, const char *further)
{
    const size_t mark = s->path.len;
    if (step)
        path_add(&s->path, step);
    if (further)
        path_add(&s->path, further);
    return mark;
}

size_t schema_enter_index(struct schema *s, const char *step, size_t index)
{
    char number[24];
    (void)snprintf(number, sizeof number, "%zu", index);
    return schema_enter(s, step, number);
}

void schema_leave(struct schema *s, size_t mark)
{
    if (s->path.data) {
        s->path.len = mark;
        s->path.data[mark] = '\0';
    }
}

/* ---- rules ---- */

unsigned schema_rule_new(struct schema *s)
{
    return s->rules++;
}

bool schema_rule_write(struct schema *s, unsigned rule, struct buf *expression)
{
    (void)buf_printf(&s->out, "s%u ::= ", rule);
    (void)buf_append(&s->out, expression->data ? expression->data : "", expression->len);
    (void)buf_putc(&s->out, '\n');
    const bool failed = expression->failed || s->out.failed;
    buf_free(expression);
    if (failed)
        return schema_no_memory(s);
    return s->out.len <= GBNF_TEXT_MOST || schema_refuse(s, NULL, "the schema's grammar is too large");
}

void schema_put_literal(struct buf *out, const char *text, size_t len)
{
    (void)buf_putc(out, '"');
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            (void)buf_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7F)
            (void)buf_printf(out, "\\x%02X", c);
        else
            (void)buf_putc(out, (char)c);
    }
    (void)buf_putc(out, '"');
}

bool schema_count(struct schema *s, yyjson_val *node, const char *keyword, size_t most, size_t *out)
{
    yyjson_val *value = yyjson_obj_get(node, keyword);
    if (!value)
        return true;
    if (!yyjson_is_uint(value))
        return schema_refuse(s, keyword, "must be a whole number of at least 0");
    if (yyjson_get_uint(value) > most)
        return schema_refuse(s, keyword, "can be enforced up to %zu", most);
    *out = (size_t)yyjson_get_uint(value);
    return true;
}

bool schema_add_text(struct schema *s, const char *keyword, size_t len)
{
    s->text += len;
    return s->text <= SCHEMA_TEXT_MOST ||
           schema_refuse(s, keyword, "the schema's names and values are longer than %d bytes together",
                         SCHEMA_TEXT_MOST);
}

/* ---- keywords ---- */

enum kind {
    KIND_NOTE = 1, /* says nothing of the value */
    KIND_ANY = 2,  /* type, enum, const, anyOf, $ref: handled one by one */
    KIND_OBJECT = 4,
    KIND_ARRAY = 8,
    KIND_STRING = 16,
    KIND_NUMBER = 32,
    KIND_LENIENT = 64, /* not in strict mode */
};

static const struct keyword {
    const char *name;
    unsigned kind;
} keywords[] = {
    {"title", KIND_NOTE},
    {"description", KIND_NOTE},
    {"default", KIND_NOTE},
    {"examples", KIND_NOTE},
    {"deprecated", KIND_NOTE},
    {"readOnly", KIND_NOTE},
    {"writeOnly", KIND_NOTE},
    {"$comment", KIND_NOTE},
    {"$schema", KIND_NOTE},
    {"$defs", KIND_NOTE},
    {"definitions", KIND_NOTE},
    {"type", KIND_ANY},
    {"enum", KIND_ANY},
    {"const", KIND_ANY},
    {"anyOf", KIND_ANY},
    {"allOf", KIND_ANY | KIND_LENIENT},
    {"$ref", KIND_ANY},
    {"properties", KIND_OBJECT},
    {"required", KIND_OBJECT},
    {"additionalProperties", KIND_OBJECT},
    {"items", KIND_ARRAY},
    {"prefixItems", KIND_ARRAY | KIND_LENIENT},
    {"minItems", KIND_ARRAY},
    {"maxItems", KIND_ARRAY},
    {"pattern", KIND_STRING},
    {"format", KIND_STRING},
    {"minLength", KIND_STRING},
    {"maxLength", KIND_STRING},
    {"minimum", KIND_NUMBER},
    {"maximum", KIND_NUMBER},
    {"exclusiveMinimum", KIND_NUMBER},
    {"exclusiveMaximum", KIND_NUMBER},
    {"multipleOf", KIND_NUMBER},
};

static unsigned keyword_kind(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(keywords); i++) {
        if (strcmp(keywords[i].name, name) == 0)
            return keywords[i].kind;
    }
    return 0;
}

/* What kinds of keywords a schema has; false: one that cannot be kept. */
static bool keywords_check(struct schema *s, yyjson_val *node, unsigned *kinds)
{
    size_t i, max;
    yyjson_val *key, *value;
    *kinds = 0;
    OBJECT_EACH(node, i, max, key, value)
    {
        const char *name = yyjson_get_str(key);
        const unsigned kind = keyword_kind(name);
        if (strcmp(name, "uniqueItems") == 0 && yyjson_is_false(value))
            continue;
        if (strcmp(name, "$id") == 0 && node == s->root)
            continue;
        if (!s->strict && str_starts(name, "x-"))
            continue;
        if (kind == 0)
            return schema_refuse(s, name, "this keyword cannot be enforced");
        if (s->strict && (kind & KIND_LENIENT))
            return schema_refuse(s, name, "this keyword is not supported in strict mode");
        *kinds |= kind & ~(unsigned)KIND_LENIENT;
    }
    return true;
}

/* Refuses every keyword besides `alone` that says something of the value. */
static bool stands_alone(struct schema *s, yyjson_val *node, const char *alone, const char *with)
{
    size_t i, max;
    yyjson_val *key, *value;
    OBJECT_EACH(node, i, max, key, value)
    {
        const char *name = yyjson_get_str(key);
        if (strcmp(name, alone) != 0 && (!with || strcmp(name, with) != 0) && (keyword_kind(name) & ~1u) != 0)
            return schema_refuse(s, name, "cannot be enforced together with %s", alone);
    }
    return true;
}

/* ---- references ---- */

static bool fragment_decode(const char *text, struct buf *out)
{
    for (; *text; text++) {
        unsigned char byte = 0;
        char pair[3] = {0};
        if (*text != '%') {
            (void)buf_putc(out, *text);
            continue;
        }
        memcpy(pair, text + 1, text[1] ? 2 : 1);
        if (hex_decode(pair, &byte, 1) != 0 || byte == 0)
            return false;
        (void)buf_putc(out, (char)byte);
        text += 2;
    }
    return true;
}

static bool target_add(struct schema *s, yyjson_val *target, const char *path, unsigned *rule)
{
    for (size_t i = 0; i < s->ref_count; i++) {
        if (s->refs[i].target == target) {
            *rule = s->refs[i].rule;
            return true;
        }
    }
    if (s->ref_count == s->ref_cap) {
        const size_t cap = s->ref_cap ? s->ref_cap * 2 : 16;
        struct schema_ref *more = realloc(s->refs, cap * sizeof *more);
        if (!more)
            return schema_no_memory(s);
        s->refs = more;
        s->ref_cap = cap;
    }
    if (s->ref_count == SCHEMA_PROPERTIES_MOST)
        return schema_refuse(s, "$ref", "at most %d schemas can be referred to", SCHEMA_PROPERTIES_MOST);
    char *copy = strdup(path);
    if (!copy)
        return schema_no_memory(s);
    *rule = schema_rule_new(s);
    s->refs[s->ref_count++] = (struct schema_ref){target, *rule, copy};
    return true;
}

static bool ref_find(struct schema *s, const char *ref, yyjson_val **target, struct buf *path)
{
    if (ref[0] != '#' || (ref[1] != '\0' && ref[1] != '/'))
        return schema_refuse(s, "$ref", "only references into this schema can be followed: # or #/…");
    if (!fragment_decode(ref + 1, path))
        return schema_refuse(s, "$ref", "its percent-encoding is wrong");
    if (path->failed)
        return schema_no_memory(s);
    *target = path->len == 0 ? s->root : yyjson_ptr_getn(s->root, path->data, path->len);
    return *target || schema_refuse(s, "$ref", "leads nowhere");
}

static bool ref_write(struct schema *s, yyjson_val *node, struct buf *out)
{
    const char *ref = yyjson_get_str(yyjson_obj_get(node, "$ref"));
    struct buf path = BUF_INIT;
    yyjson_val *target = NULL;
    unsigned rule = 0;
    if (!ref)
        return schema_refuse(s, "$ref", "must be a string");
    const bool ok = stands_alone(s, node, "$ref", NULL) && ref_find(s, ref, &target, &path) &&
                    target_add(s, target, path.data ? path.data : "", &rule);
    buf_free(&path);
    if (ok)
        (void)buf_printf(out, "s%u", rule);
    return ok;
}

/* ---- alternatives ---- */

static bool alternatives(struct schema *s, yyjson_val *node, const char *keyword, struct buf *out)
{
    yyjson_val *list = yyjson_obj_get(node, keyword), *value;
    size_t i, max;
    if (yyjson_arr_size(list) == 0)
        return schema_refuse(s, keyword, "must be an array of at least one schema");
    if (!stands_alone(s, node, keyword, NULL))
        return false;
    yyjson_arr_foreach(list, i, max, value)
    {
        unsigned rule = 0;
        const size_t mark = schema_enter_index(s, keyword, i);
        if (!schema_rule(s, value, &rule))
            return false;
        schema_leave(s, mark);
        (void)buf_printf(out, "%ss%u", i > 0 ? " | " : "", rule);
    }
    return true;
}

static bool all_of(struct schema *s, yyjson_val *node, struct buf *out)
{
    if (yyjson_arr_size(yyjson_obj_get(node, "allOf")) > 1)
        return schema_refuse(s, "allOf", "more than one schema at a time cannot be enforced");
    return alternatives(s, node, "allOf", out);
}

/* ---- values to choose from ---- */

static bool type_is(yyjson_val *value, const char *type)
{
    const char *const names[] = {"object", "array", "string", "boolean", "null", "number"};
    const bool is[] = {yyjson_is_obj(value),  yyjson_is_arr(value),  yyjson_is_str(value),
                       yyjson_is_bool(value), yyjson_is_null(value), yyjson_is_num(value)};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(type, names[i]) == 0)
            return is[i];
    }
    const double number = yyjson_get_num(value);
    return strcmp(type, "integer") == 0 && yyjson_is_num(value) &&
           (yyjson_is_int(value) || (number >= -1e15 && number <= 1e15 && (double)(int64_t)number == number));
}

static bool type_allows(yyjson_val *type, yyjson_val *value)
{
    size_t i, max;
    yyjson_val *one;
    if (!yyjson_is_arr(type))
        return !type || type_is(value, yyjson_get_str(type) ? yyjson_get_str(type) : "");
    yyjson_arr_foreach(type, i, max, one)
    {
        if (yyjson_is_str(one) && type_is(value, yyjson_get_str(one)))
            return true;
    }
    return false;
}

static bool value_write(struct schema *s, yyjson_val *value, const char *keyword, bool first, struct buf *out)
{
    size_t len = 0;
    char *text = yyjson_val_write(value, YYJSON_WRITE_NOFLAG, &len);
    if (!text)
        return schema_refuse(s, keyword, "has a value that cannot be written");
    (void)buf_puts(out, first ? "" : " | ");
    schema_put_literal(out, text, len);
    free(text);
    return schema_add_text(s, keyword, len);
}

static bool choice(struct schema *s, yyjson_val *node, const char *keyword, struct buf *out)
{
    yyjson_val *values = yyjson_obj_get(node, keyword), *type = yyjson_obj_get(node, "type"), *value;
    const bool list = strcmp(keyword, "enum") == 0;
    size_t i, max, written = 0;
    if (!stands_alone(s, node, keyword, "type"))
        return false;
    if (list && yyjson_arr_size(values) == 0)
        return schema_refuse(s, keyword, "must be an array of at least one value");
    if (!list) {
        if (type_allows(type, values))
            return value_write(s, values, keyword, true, out);
        return schema_refuse(s, keyword, "is not of the schema's type");
    }
    s->values += yyjson_arr_size(values);
    if (s->values > SCHEMA_ENUM_MOST)
        return schema_refuse(s, keyword, "more than %d values to choose from, in all", SCHEMA_ENUM_MOST);
    yyjson_arr_foreach(values, i, max, value)
    {
        if (type_allows(type, value) && !value_write(s, value, keyword, written++ == 0, out))
            return false;
    }
    return written > 0 || schema_refuse(s, keyword, "has no value of the schema's type");
}

/* ---- types ---- */

static const struct type {
    const char *name;
    unsigned kind; /* of the keywords that it may have */
} types[] = {
    {"object", KIND_OBJECT},
    {"array", KIND_ARRAY},
    {"string", KIND_STRING},
    {"number", KIND_NUMBER},
    {"integer", KIND_NUMBER},
    {"boolean", 0},
    {"null", 0},
};

static const struct type *type_find(const char *name)
{
    for (size_t i = 0; name && i < COUNT_OF(types); i++) {
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    }
    return NULL;
}

static bool type_write(struct schema *s, yyjson_val *node, const char *name, struct buf *out)
{
    if (strcmp(name, "object") == 0)
        return schema_object(s, node, out);
    if (strcmp(name, "array") == 0)
        return schema_array(s, node, out);
    if (strcmp(name, "string") == 0)
        return schema_string(s, node, out);
    if (strcmp(name, "number") == 0 || strcmp(name, "integer") == 0)
        return schema_number(s, node, name[0] == 'i', out);
    (void)buf_puts(out, name);
    return true;
}

/* A keyword that says nothing of any of the types would be passed over. */
static bool keywords_apply(struct schema *s, yyjson_val *node, unsigned allowed)
{
    size_t i, max;
    yyjson_val *key, *value;
    OBJECT_EACH(node, i, max, key, value)
    {
        const unsigned kind = keyword_kind(yyjson_get_str(key)) & ~(unsigned)KIND_LENIENT;
        if (kind > KIND_ANY && (kind & allowed) == 0)
            return schema_refuse(s, yyjson_get_str(key), "does not apply to the schema's type");
    }
    return true;
}

static bool one_type(struct schema *s, yyjson_val *node, yyjson_val *type, bool first, struct buf *out)
{
    if (!type_find(yyjson_get_str(type)))
        return schema_refuse(s, "type",
                             "must be object, array, string, number, integer, boolean or null, or an "
                             "array of those");
    (void)buf_puts(out, first ? "(" : " | (");
    const bool ok = type_write(s, node, yyjson_get_str(type), out);
    (void)buf_putc(out, ')');
    return ok;
}

static bool typed(struct schema *s, yyjson_val *node, yyjson_val *type, struct buf *out)
{
    unsigned allowed = 0;
    size_t i, max;
    yyjson_val *one;
    if (!yyjson_is_arr(type)) {
        const struct type *t = type_find(yyjson_get_str(type));
        return (!t || keywords_apply(s, node, t->kind)) && one_type(s, node, type, true, out);
    }
    if (yyjson_arr_size(type) == 0 || yyjson_arr_size(type) > COUNT_OF(types))
        return schema_refuse(s, "type", "must name one type or several");
    yyjson_arr_foreach(type, i, max, one)
    {
        const struct type *t = type_find(yyjson_get_str(one));
        allowed |= t ? t->kind : 0;
    }
    if (!keywords_apply(s, node, allowed))
        return false;
    yyjson_arr_foreach(type, i, max, one)
    {
        if (!one_type(s, node, one, i == 0, out))
            return false;
    }
    return true;
}

/* Without a type its keywords tell which is meant. */
static bool untyped(struct schema *s, yyjson_val *node, unsigned kinds, struct buf *out)
{
    if (s->strict)
        return schema_refuse(s, "type", "is required in strict mode");
    switch (kinds & ~(unsigned)(KIND_NOTE | KIND_ANY)) {
    case 0:
        (void)buf_puts(out, "value");
        return true;
    case KIND_OBJECT:
        return schema_object(s, node, out);
    case KIND_ARRAY:
        return schema_array(s, node, out);
    case KIND_STRING:
        return schema_string(s, node, out);
    case KIND_NUMBER:
        return schema_number(s, node, false, out);
    default:
        return schema_refuse(s, "type", "is needed: the keywords are of several types");
    }
}

/* ---- a schema ---- */

static bool node_write(struct schema *s, yyjson_val *node, struct buf *out)
{
    unsigned kinds = 0;
    if (yyjson_is_true(node) && !s->strict) {
        (void)buf_puts(out, "value");
        return true;
    }
    if (!yyjson_is_obj(node))
        return schema_refuse(s, NULL, yyjson_is_false(node) ? "nothing is allowed here" : "must be a schema");
    if (!keywords_check(s, node, &kinds))
        return false;
    if (yyjson_obj_get(node, "$ref"))
        return ref_write(s, node, out);
    if (yyjson_obj_get(node, "anyOf"))
        return alternatives(s, node, "anyOf", out);
    if (yyjson_obj_get(node, "allOf"))
        return all_of(s, node, out);
    if (yyjson_obj_get(node, "const"))
        return choice(s, node, "const", out);
    if (yyjson_obj_get(node, "enum"))
        return choice(s, node, "enum", out);
    yyjson_val *type = yyjson_obj_get(node, "type");
    return type ? typed(s, node, type, out) : untyped(s, node, kinds, out);
}

static bool rule_of(struct schema *s, yyjson_val *node, unsigned rule)
{
    struct buf expression = BUF_INIT;
    if (s->depth == SCHEMA_DEPTH_MOST)
        return schema_refuse(s, NULL, "schemas are nested more than %d deep", SCHEMA_DEPTH_MOST);
    s->depth++;
    const bool ok = node_write(s, node, &expression);
    s->depth--;
    if (ok)
        return schema_rule_write(s, rule, &expression);
    buf_free(&expression);
    return false;
}

bool schema_rule(struct schema *s, yyjson_val *node, unsigned *rule)
{
    *rule = schema_rule_new(s);
    return rule_of(s, node, *rule);
}

/* ---- the whole ---- */

/* As of OpenAI: the answer itself is an object. */
static bool root_check(struct schema *s)
{
    yyjson_val *node = s->root;
    for (int hops = 0; hops < 16 && s->strict && yyjson_is_str(yyjson_obj_get(node, "$ref")); hops++) {
        struct buf path = BUF_INIT;
        const bool found = ref_find(s, yyjson_get_str(yyjson_obj_get(node, "$ref")), &node, &path);
        buf_free(&path);
        if (!found)
            return false;
    }
    const char *type = yyjson_get_str(yyjson_obj_get(node, "type"));
    if (!yyjson_is_obj(node))
        return schema_refuse(s, NULL, "must be a schema");
    if (s->strict && (!type || strcmp(type, "object") != 0))
        return schema_refuse(s, yyjson_obj_get(node, "anyOf") ? "anyOf" : "type",
                             "the root must be an object in strict mode");
    return true;
}

static bool queue_write(struct schema *s)
{
    while (s->ref_done < s->ref_count) {
        const struct schema_ref ref = s->refs[s->ref_done++];
        buf_clear(&s->path);
        if (buf_puts(&s->path, ref.path) != 0)
            return schema_no_memory(s);
        s->nesting = 0;
        if (!rule_of(s, ref.target, ref.rule))
            return false;
    }
    return true;
}

/* Grammars have bounds of their own; and a $ref that leads to itself shows as left recursion. */
static bool grammar_check(struct schema *s, const struct buf *gbnf, size_t from)
{
    struct gbnf *g = NULL;
    struct gbnf_fault why;
    const int rc = gbnf_compile(gbnf->data + from, gbnf->len - from, NULL, &g, &why);
    gbnf_free(g);
    buf_clear(&s->path);
    if (rc == VX11_ENOMEM)
        return schema_no_memory(s);
    if (rc != 0)
        return schema_refuse(s, NULL, "%s",
                             rc == VX11_ETOO_LARGE ? "its grammar is too large: make bounds smaller"
                                                   : "a $ref leads back to itself");
    return true;
}

bool schema_to_gbnf(yyjson_val *schema, bool strict, const char *pointer, struct buf *out,
                    struct request_fault *fault)
{
    struct schema s = {.strict = strict, .root = schema, .pointer = pointer, .fault = fault};
    const size_t from = out->len;
    unsigned rule = 0;
    bool ok = root_check(&s) && target_add(&s, schema, "", &rule) && queue_write(&s);
    if (ok) {
        (void)buf_printf(out, "root ::= s%u\n", rule);
        (void)buf_append(out, s.out.data, s.out.len);
        ok = buf_puts(out, primitives) == 0 ? grammar_check(&s, out, from) : schema_no_memory(&s);
    }
    for (size_t i = 0; i < s.ref_count; i++)
        free(s.refs[i].path);
    free(s.refs);
    buf_free(&s.path);
    buf_free(&s.out);
    return ok;
}
