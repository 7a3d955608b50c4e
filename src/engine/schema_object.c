/* Objects and arrays.
 *
 * Keys come in the schema's order. Those that may be left out are a chain: before the first key and after it,
 * from each place on, either the key comes or the chain goes on without it.
 *
 *   first(i) ::= pair(i) more(i+1) | first(i+1)        more(i) ::= "," pair(i) more(i+1) | more(i+1)
 *
 * Keys besides those named are written without escapes, and so that they are none of the names. */
#include "engine/schema_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct property {
    unsigned pair; /* its rule */
    bool required;
};

/* ---- other keys ---- */

struct name {
    const char *text;
    size_t len;
};

static int name_order(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    const int c = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    return c != 0 ? c : x->len < y->len ? -1 : x->len > y->len;
}

/* A name that cannot be written without escapes is none that another key could be. */
static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7F || c == '"' || c == '\\')
            return false;
    }
    return true;
}

static void put_class(struct buf *out, const char *character, size_t n)
{
    uint32_t value = (unsigned char)character[0];
    if (n > 1)
        value &= 0x7Fu >> n;
    for (size_t i = 1; i < n; i++)
        value = value << 6 | ((unsigned char)character[i] & 0x3Fu);
    (void)buf_printf(out, "\\U%08X", (unsigned)value);
}

/* The rule of all texts that are none of the names (sorted, n of them, alike in their first `at` bytes) from
 * there on. */
static bool none_of(struct schema *s, const struct name *names, size_t n, size_t at, unsigned rule)
{
    struct buf e = BUF_INIT, others = BUF_INIT;
    const bool ends = n > 0 && names[0].len == at; /* stopping here would be that name */
    for (size_t i = ends; i < n;) {
        const size_t len = (size_t)utf8_next(names[i].text + at, names[i].len - at);
        size_t to = i + 1;
        while (to < n && names[to].len >= at + len &&
               memcmp(names[to].text + at, names[i].text + at, len) == 0)
            to++;
        const unsigned next = schema_rule_new(s);
        (void)buf_puts(&e, "[");
        put_class(&e, names[i].text + at, len);
        (void)buf_printf(&e, "] s%u | ", next);
        put_class(&others, names[i].text + at, len);
        if (!none_of(s, names + i, to - i, at + len, next)) {
            buf_free(&e);
            buf_free(&others);
            return false;
        }
        i = to;
    }
    (void)buf_printf(&e, "[^\"\\\\\\x00-\\x1F\\x7F%s] keychar*%s", others.data ? others.data : "",
                     ends ? "" : " | \"\"");
    buf_free(&others);
    return schema_rule_write(s, rule, &e);
}

static bool other_key(struct schema *s, yyjson_val *properties, unsigned *rule)
{
    size_t i, max, n = 0;
    yyjson_val *key, *value;
    struct name *names = calloc(yyjson_obj_size(properties) + 1, sizeof *names);
    if (!names)
        return schema_no_memory(s);
    OBJECT_EACH(properties, i, max, key, value)
    {
        const size_t len = yyjson_get_len(key);
        if (is_plain(yyjson_get_str(key), len) && len <= 512)
            names[n++] = (struct name){yyjson_get_str(key), len};
    }
    if (n > 1)
        qsort(names, n, sizeof *names, name_order);
    *rule = schema_rule_new(s);
    const bool ok = none_of(s, names, n, 0, *rule);
    free(names);
    return ok;
}

/* The rule of a pair whose key is none of the properties'; *has: whether there may be one. */
static bool other_pair(struct schema *s, yyjson_val *node, unsigned *rule, bool *has)
{
    yyjson_val *other = yyjson_obj_get(node, "additionalProperties"),
               *properties = yyjson_obj_get(node, "properties");
    struct buf e = BUF_INIT;
    unsigned key = 0, value = 0;
    *has = other ? !yyjson_is_false(other) : !properties && !s->strict;
    if (s->strict && !yyjson_is_false(other))
        return schema_refuse(s, "additionalProperties", "must be false in strict mode");
    if (!*has)
        return true;
    const bool any = !other || yyjson_is_true(other);
    if (!any) {
        const size_t mark = schema_enter(s, "additionalProperties", NULL);
        if (!schema_rule(s, other, &value))
            return false;
        schema_leave(s, mark);
    }
    if (!other_key(s, properties, &key))
        return false;
    *rule = schema_rule_new(s);
    (void)buf_printf(&e, "\"\\\"\" s%u \"\\\"\" \":\" ws ", key);
    (void)(any ? buf_puts(&e, "value") : buf_printf(&e, "s%u", value));
    return schema_rule_write(s, *rule, &e);
}

/* ---- properties ---- */

static bool pair(struct schema *s, yyjson_val *key, yyjson_val *value, unsigned *rule)
{
    struct buf e = BUF_INIT, spelled = BUF_INIT;
    unsigned of_value = 0;
    if (strlen(yyjson_get_str(key)) != yyjson_get_len(key))
        return schema_refuse(s, "properties", "a name with a NUL cannot be enforced");
    const size_t mark = schema_enter(s, "properties", yyjson_get_str(key));
    if (!schema_add_text(s, NULL, yyjson_get_len(key)) || !schema_rule(s, value, &of_value))
        return false;
    schema_leave(s, mark);
    *rule = schema_rule_new(s);
    (void)buf_put_json_string(&spelled, yyjson_get_str(key), yyjson_get_len(key));
    (void)buf_puts(&spelled, ":");
    schema_put_literal(&e, spelled.data ? spelled.data : "", spelled.len);
    e.failed |= spelled.failed;
    buf_free(&spelled);
    (void)buf_printf(&e, " ws s%u", of_value);
    return schema_rule_write(s, *rule, &e);
}

static bool required_has(yyjson_val *required, yyjson_val *key)
{
    size_t i, max;
    yyjson_val *name;
    yyjson_arr_foreach(required, i, max, name)
    {
        if (yyjson_equals_strn(name, yyjson_get_str(key), yyjson_get_len(key)))
            return true;
    }
    return false;
}

static bool required_check(struct schema *s, yyjson_val *required, yyjson_val *properties)
{
    size_t i, max;
    yyjson_val *name;
    if (required && !yyjson_is_arr(required))
        return schema_refuse(s, "required", "must be an array of names");
    if (yyjson_arr_size(required) > SCHEMA_PROPERTIES_MOST)
        return schema_refuse(s, "required", "has too many names");
    yyjson_arr_foreach(required, i, max, name)
    {
        if (!yyjson_is_str(name))
            return schema_refuse(s, "required", "must be an array of names");
        if (!yyjson_obj_getn(properties, yyjson_get_str(name), yyjson_get_len(name)))
            return schema_refuse(s, "required", "names %.64s, which is not among the properties",
                                 yyjson_get_str(name));
    }
    return true;
}

static bool properties_read(struct schema *s, yyjson_val *node, struct property *out)
{
    yyjson_val *properties = yyjson_obj_get(node, "properties"), *required = yyjson_obj_get(node, "required");
    size_t i, max;
    yyjson_val *key, *value;
    if (!required_check(s, required, properties))
        return false;
    OBJECT_EACH(properties, i, max, key, value)
    {
        if (yyjson_obj_getn(properties, yyjson_get_str(key), yyjson_get_len(key)) != value)
            return schema_refuse(s, "properties", "names %.64s twice", yyjson_get_str(key));
        out[i].required = required_has(required, key);
        if (s->strict && !out[i].required)
            return schema_refuse(s, "required", "must name every property in strict mode: %.64s is missing",
                                 yyjson_get_str(key));
        if (!pair(s, key, value, &out[i].pair))
            return false;
    }
    return true;
}

/* ---- the object ---- */

/* Writes the chain from its end; *first is the rule of the whole. */
static bool chain(struct schema *s, const struct property *p, size_t n, unsigned other, bool has_other,
                  unsigned *first)
{
    struct buf a = BUF_INIT, b = BUF_INIT;
    unsigned begin = schema_rule_new(s), more = schema_rule_new(s);
    if (has_other) {
        (void)buf_printf(&a, "(s%u s%u)?", other, more);
        (void)buf_printf(&b, "(\",\" ws s%u)*", other);
    } else {
        (void)buf_puts(&a, "\"\"");
        (void)buf_puts(&b, "\"\"");
    }
    bool ok = schema_rule_write(s, begin, &a) && schema_rule_write(s, more, &b);
    for (size_t i = n; ok && i-- > 0;) {
        const unsigned next_begin = begin, next_more = more;
        begin = schema_rule_new(s);
        more = schema_rule_new(s);
        (void)buf_printf(&a, "s%u s%u", p[i].pair, next_more);
        (void)buf_printf(&b, "\",\" ws s%u s%u", p[i].pair, next_more);
        if (!p[i].required) {
            (void)buf_printf(&a, " | s%u", next_begin);
            (void)buf_printf(&b, " | s%u", next_more);
        }
        ok = schema_rule_write(s, begin, &a) && schema_rule_write(s, more, &b);
    }
    buf_free(&a);
    buf_free(&b);
    *first = begin;
    return ok;
}

static bool object_write(struct schema *s, yyjson_val *node, struct property *p, size_t n, struct buf *out)
{
    bool has_other = false, all_required = true;
    unsigned other = 0, first = 0;
    if (!properties_read(s, node, p) || !other_pair(s, node, &other, &has_other))
        return false;
    for (size_t i = 0; i < n; i++)
        all_required &= p[i].required;
    (void)buf_puts(out, "\"{\" ws ");
    if (all_required && !has_other) {
        for (size_t i = 0; i < n; i++)
            (void)buf_printf(out, "%ss%u ", i > 0 ? "\",\" ws " : "", p[i].pair);
    } else {
        if (!chain(s, p, n, other, has_other, &first))
            return false;
        (void)buf_printf(out, "s%u ", first);
    }
    (void)buf_puts(out, n > 0 || has_other ? "ws \"}\"" : "\"}\"");
    return true;
}

bool schema_object(struct schema *s, yyjson_val *node, struct buf *out)
{
    yyjson_val *properties = yyjson_obj_get(node, "properties");
    const size_t n = yyjson_obj_size(properties);
    if (properties && !yyjson_is_obj(properties))
        return schema_refuse(s, "properties", "must be an object of schemas");
    s->properties += n;
    if (s->properties > SCHEMA_PROPERTIES_MOST)
        return schema_refuse(s, "properties", "more than %d properties in all", SCHEMA_PROPERTIES_MOST);
    if (s->strict && s->nesting == SCHEMA_NESTING_MOST)
        return schema_refuse(s, NULL, "objects are nested more than %d deep", SCHEMA_NESTING_MOST);
    struct property *p = calloc(n + 1, sizeof *p);
    if (!p)
        return schema_no_memory(s);
    s->nesting++;
    const bool ok = object_write(s, node, p, n, out);
    s->nesting--;
    free(p);
    return ok;
}

/* ---- arrays ---- */

static bool tuple(struct schema *s, yyjson_val *node, size_t least, size_t most, struct buf *out)
{
    yyjson_val *parts = yyjson_obj_get(node, "prefixItems"), *part;
    size_t i, max;
    if (!yyjson_is_arr(parts) || yyjson_arr_size(parts) == 0)
        return schema_refuse(s, "prefixItems", "must be an array of at least one schema");
    if (least > yyjson_arr_size(parts) || most < yyjson_arr_size(parts))
        return schema_refuse(s, least > yyjson_arr_size(parts) ? "minItems" : "maxItems",
                             "another length than that of prefixItems cannot be enforced");
    (void)buf_puts(out, "\"[\" ws ");
    yyjson_arr_foreach(parts, i, max, part)
    {
        unsigned rule = 0;
        const size_t mark = schema_enter_index(s, "prefixItems", i);
        if (!schema_rule(s, part, &rule))
            return false;
        schema_leave(s, mark);
        (void)buf_printf(out, "%ss%u ", i > 0 ? "\",\" ws " : "", rule);
    }
    (void)buf_puts(out, "ws \"]\"");
    return true;
}

bool schema_array(struct schema *s, yyjson_val *node, struct buf *out)
{
    yyjson_val *items = yyjson_obj_get(node, "items");
    size_t least = 0, most = SIZE_MAX;
    char item[24] = "value";
    if (!schema_count(s, node, "minItems", SCHEMA_REPEAT_MOST, &least) ||
        !schema_count(s, node, "maxItems", SCHEMA_REPEAT_MOST, &most))
        return false;
    if (least > most)
        return schema_refuse(s, "minItems", "is more than maxItems");
    if (yyjson_obj_get(node, "prefixItems"))
        return tuple(s, node, least, most, out);
    if (s->strict && !items)
        return schema_refuse(s, "items", "is required in strict mode");
    if (most == 0 || (items && yyjson_is_false(items) && least == 0)) {
        (void)buf_puts(out, "\"[\" ws \"]\"");
        return true;
    }
    if (items && !yyjson_is_true(items)) {
        unsigned rule = 0;
        const size_t mark = schema_enter(s, "items", NULL);
        if (!schema_rule(s, items, &rule))
            return false;
        schema_leave(s, mark);
        (void)snprintf(item, sizeof item, "s%u", rule);
    }
    (void)buf_printf(out, "\"[\" ws (%s (\",\" ws %s){%zu,", item, item, least > 0 ? least - 1 : 0);
    if (most != SIZE_MAX)
        (void)buf_printf(out, "%zu", most - 1);
    (void)buf_printf(out, "})%s ws \"]\"", least > 0 ? "" : "?");
    return true;
}
