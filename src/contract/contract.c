/* Contract: a JSON value into a struct, as a message's table says.
 *
 * The walk is over the value's keys, not over the fields: most bodies name few of the many optional fields.
 * Fields usually come in the table's order, so the search for each key begins where the last one was found.
 * Errors carry a JSON pointer, which is kept as a chain of stack frames and written out only when needed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/ulid.h"
#include "contract/internal.h"

static int message_read(const struct contract_parser *p, const struct contract_message *m, yyjson_val *v,
                        void *out, const struct contract_path *at, size_t level);

/* --- names
 * ---------------------------------------------------------------------------------------------------------
 */

static const char *const scope_names[CONTRACT_SCOPE_COUNT] = {"open", "read",  "chat",
                                                              "act",  "admin", "publish"};

const char *contract_scope_name(enum contract_scope s)
{
    return (unsigned)s < CONTRACT_SCOPE_COUNT ? scope_names[s] : "unknown";
}

int contract_scope_parse(const char *s, enum contract_scope *out)
{
    for (unsigned i = 0; i < CONTRACT_SCOPE_COUNT; i++) {
        if (str_eq(s, scope_names[i])) {
            *out = (enum contract_scope)i;
            return 0;
        }
    }
    return VX11_ENOT_FOUND;
}

const struct contract_field *contract_field_find(const struct contract_message *m, const char *name)
{
    for (size_t i = 0; i < m->field_count; i++) {
        if (strcmp(m->fields[i].name, name) == 0) {
            return &m->fields[i];
        }
    }
    return NULL;
}

/* Index of the field, searched from *cursor around; field_count when there is none. */
static size_t field_index(const struct contract_message *m, const char *name, size_t *cursor)
{
    size_t at = *cursor;
    for (size_t i = 0; i < m->field_count; i++) {
        at = at < m->field_count ? at : 0;
        const char *have = m->fields[at].name;
        if (have[0] == name[0] && strcmp(have, name) == 0) {
            *cursor = at + 1;
            return at;
        }
        at++;
    }
    return m->field_count;
}

static const char *value_kind(yyjson_val *v)
{
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_NULL:
        return "null";
    case YYJSON_TYPE_BOOL:
        return "a boolean";
    case YYJSON_TYPE_NUM:
        return "a number";
    case YYJSON_TYPE_STR:
        return "a string";
    case YYJSON_TYPE_ARR:
        return "an array";
    case YYJSON_TYPE_OBJ:
        return "an object";
    default:
        return "something else";
    }
}

static const char *field_kind(const struct contract_field *f)
{
    static const char *const kinds[] = {"a boolean", "an integer", "a number",         "a string",
                                        "a string",  "an integer", "a string (an id)", "a JSON value",
                                        "an object", "an array"};
    return (size_t)f->type < COUNT_OF(kinds) ? kinds[f->type] : "a value";
}

static int kind_fail(const struct contract_parser *p, const struct contract_field *f, yyjson_val *v,
                     const struct contract_path *at)
{
    return contract_fail(p->err, at, VX11_EINVALID, "must be %s, not %s", field_kind(f), value_kind(v));
}

/* --- single values
 * ------------------------------------------------------------------------------------------------- */

int contract_number_check(const struct contract_parser *p, const struct contract_field *f, double v,
                          const struct contract_path *at)
{
    if ((f->flags & CONTRACT_HAS_MIN) != 0 && v < f->min) {
        return contract_fail(p->err, at, VX11_EINVALID, "must be at least %.15g", f->min);
    }
    if ((f->flags & CONTRACT_HAS_MAX) != 0 && v > f->max) {
        return contract_fail(p->err, at, VX11_EINVALID, "must be at most %.15g", f->max);
    }
    return 0;
}

static int integer_read(const struct contract_parser *p, const struct contract_field *f, yyjson_val *v,
                        int64_t *out, const struct contract_path *at)
{
    if (!yyjson_is_num(v)) {
        return kind_fail(p, f, v, at);
    }
    if (yyjson_is_uint(v)) {
        uint64_t u = yyjson_get_uint(v);
        if (u > INT64_MAX) {
            return contract_fail(p->err, at, VX11_EINVALID, "must be at most 9223372036854775807");
        }
        *out = (int64_t)u;
    } else if (yyjson_is_sint(v)) {
        *out = yyjson_get_sint(v);
    } else {
        /* 1.0 and 1e3 are integers to many writers; past 2^53 a double no longer says which one. */
        double d = yyjson_get_real(v);
        if (d != floor(d) || fabs(d) > 9007199254740992.0) {
            return contract_fail(p->err, at, VX11_EINVALID, "must be a whole number");
        }
        *out = (int64_t)d;
    }
    return contract_number_check(p, f, (double)*out, at);
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

int contract_string_check(const struct contract_parser *p, const struct contract_field *f, const char *s,
                          size_t len, const struct contract_path *at)
{
    if (f->min_length > 0 || f->max_length > 0) {
        /* A string of n bytes has at most n and at least n/4 characters: mostly no counting is needed. */
        size_t points = len <= f->max_length && len / 4 >= f->min_length ? len : utf8_count(s, len);
        if (points < f->min_length) {
            return points == 0
                       ? contract_fail(p->err, at, VX11_EINVALID, "must not be empty")
                       : contract_fail(p->err, at, VX11_EINVALID, "must have at least %zu character%s",
                                       f->min_length, plural(f->min_length));
        }
        if (f->max_length > 0 && points > f->max_length) {
            return contract_fail(p->err, at, VX11_EINVALID, "must have at most %zu character%s",
                                 f->max_length, plural(f->max_length));
        }
    }
    if (f->pattern != NULL) {
        bool matches = false;
        int rc = contract_pattern_match(f->pattern, s, &matches);
        if (rc != 0) {
            return contract_fail(p->err, at, rc, "cannot be matched against its pattern");
        }
        if (!matches) {
            return contract_fail(p->err, at, VX11_EINVALID, "must match the pattern %s", f->pattern);
        }
    }
    return 0;
}

static int string_read(const struct contract_parser *p, const struct contract_field *f, yyjson_val *v,
                       const char **out, const struct contract_path *at)
{
    if (!yyjson_is_str(v)) {
        return kind_fail(p, f, v, at);
    }
    const char *s = unsafe_yyjson_get_str(v);
    size_t len = unsafe_yyjson_get_len(v);
    if (f->type == CONTRACT_ULID) {
        if (!ulid_valid(s)) {
            return contract_fail(p->err, at, VX11_EINVALID,
                                 "must be an id: 26 characters, digits and capital letters");
        }
    } else {
        int rc = contract_string_check(p, f, s, len, at);
        if (rc != 0) {
            return rc;
        }
    }
    *out = s;
    return 0;
}

int contract_enum_fail(const struct contract_parser *p, const struct contract_field *f,
                       const struct contract_path *at)
{
    char names[200];
    size_t n = 0;
    for (size_t i = 0; i < f->values_count && n < sizeof names; i++) {
        int k = snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", f->values[i]);
        n += k > 0 ? (size_t)k : 0;
    }
    return contract_fail(p->err, at, VX11_EINVALID, "must be one of: %s", n ? names : "");
}

static int enum_read(const struct contract_parser *p, const struct contract_field *f, yyjson_val *v, int *out,
                     const struct contract_path *at)
{
    if (!yyjson_is_str(v)) {
        return kind_fail(p, f, v, at);
    }
    const char *s = unsafe_yyjson_get_str(v);
    for (size_t i = 0; i < f->values_count; i++) {
        if (strcmp(f->values[i], s) == 0) {
            *out = (int)i;
            return 0;
        }
    }
    return contract_enum_fail(p, f, at);
}

/* --- arrays and messages
 * ------------------------------------------------------------------------------------------- */

size_t contract_element_size(const struct contract_field *f)
{
    switch (f->type) {
    case CONTRACT_BOOL:
        return sizeof(bool);
    case CONTRACT_INTEGER:
    case CONTRACT_TIMESTAMP:
        return sizeof(int64_t);
    case CONTRACT_NUMBER:
        return sizeof(double);
    case CONTRACT_ENUM:
        return sizeof(int);
    case CONTRACT_MESSAGE:
        return f->message->size;
    default:
        return sizeof(void *);
    }
}

void *contract_empty_array(void)
{
    static max_align_t nothing;
    return &nothing;
}

static int array_read(const struct contract_parser *p, const struct contract_field *f, yyjson_val *v,
                      void *slot, size_t *count, const struct contract_path *at, size_t level)
{
    if (!yyjson_is_arr(v)) {
        return kind_fail(p, f, v, at);
    }
    size_t n = yyjson_arr_size(v), most = f->max_length ? f->max_length : CONTRACT_ARRAY_MOST;
    if (n < f->min_length) {
        return contract_fail(p->err, at, VX11_EINVALID, "must have at least %zu element%s", f->min_length,
                             plural(f->min_length));
    }
    if (n > most) {
        return contract_fail(p->err, at, VX11_EINVALID, "must have at most %zu element%s", most,
                             plural(most));
    }
    size_t size = contract_element_size(f->element);
    /* One zeroed element more: arrays of strings are NULL-terminated as well as counted. */
    char *items = n == 0 ? contract_empty_array() : arena_array(p->arena, n + 1, size);
    if (items == NULL) {
        return contract_fail(p->err, at, VX11_ENOMEM, "out of memory");
    }
    if (n > 0)
        memset(items + n * size, 0, size);
    struct contract_path here = {.up = at};
    yyjson_val *e = unsafe_yyjson_get_first(v);
    for (size_t i = 0; i < n; i++, e = unsafe_yyjson_get_next(e)) {
        here.index = i;
        void *item = items + i * size;
        int rc = f->element->type == CONTRACT_MESSAGE
                     ? message_read(p, f->element->message, e, item, &here, level + 1)
                     : contract_value_read(p, f->element, e, item, NULL, &here, level + 1);
        if (rc != 0) {
            return rc;
        }
    }
    *(void **)slot = items;
    *count = n;
    return 0;
}

static int nested_read(const struct contract_parser *p, const struct contract_field *f, yyjson_val *v,
                       void *slot, const struct contract_path *at, size_t level)
{
    void *out = arena_alloc(p->arena, f->message->size);
    if (out == NULL) {
        return contract_fail(p->err, at, VX11_ENOMEM, "out of memory");
    }
    int rc = message_read(p, f->message, v, out, at, level + 1);
    *(void **)slot = rc == 0 ? out : NULL;
    return rc;
}

int contract_value_read(const struct contract_parser *p, const struct contract_field *f, yyjson_val *v,
                        void *slot, size_t *count, const struct contract_path *at, size_t level)
{
    switch (f->type) {
    case CONTRACT_BOOL:
        if (!yyjson_is_bool(v)) {
            return kind_fail(p, f, v, at);
        }
        *(bool *)slot = yyjson_get_bool(v);
        return 0;
    case CONTRACT_INTEGER:
    case CONTRACT_TIMESTAMP:
        return integer_read(p, f, v, slot, at);
    case CONTRACT_NUMBER:
        if (!yyjson_is_num(v)) {
            return kind_fail(p, f, v, at);
        }
        *(double *)slot = yyjson_get_num(v);
        return contract_number_check(p, f, *(double *)slot, at);
    case CONTRACT_STRING:
    case CONTRACT_ULID:
        return string_read(p, f, v, slot, at);
    case CONTRACT_ENUM:
        return enum_read(p, f, v, slot, at);
    case CONTRACT_JSON:
        if (yyjson_is_null(v)) {
            return contract_fail(p->err, at, VX11_EINVALID, "must not be null");
        }
        *(yyjson_val **)slot = v;
        return 0;
    case CONTRACT_MESSAGE:
        return nested_read(p, f, v, slot, at, level);
    case CONTRACT_ARRAY:
        return array_read(p, f, v, slot, count, at, level);
    }
    return contract_fail(p->err, at, VX11_EINTERNAL, "has an unknown type in its table");
}

/* A default whose text needs no parser: what most fields have, and requests are full of them. */
static bool default_quick(const struct contract_field *f, void *slot)
{
    const char *text = f->default_json;
    switch (f->type) {
    case CONTRACT_BOOL:
        *(bool *)slot = text[0] == 't';
        return true;
    case CONTRACT_INTEGER:
    case CONTRACT_TIMESTAMP:
        return str_to_i64(text, INT64_MIN, INT64_MAX, slot) == 0;
    case CONTRACT_NUMBER:
        return str_to_f64(text, slot) == 0;
    case CONTRACT_ENUM:
        for (size_t i = 0; i < f->values_count; i++) {
            size_t n = strlen(f->values[i]);
            if (strncmp(text + 1, f->values[i], n) == 0 && strcmp(text + 1 + n, "\"") == 0) {
                *(int *)slot = (int)i;
                return true;
            }
        }
        return false;
    case CONTRACT_STRING:
        if (strcmp(text, "\"\"") == 0) {
            *(const char **)slot = "";
            return true;
        }
        return false;
    default:
        return false;
    }
}

int contract_default_read(const struct contract_parser *p, const struct contract_field *f, void *base,
                          const struct contract_path *at, size_t level)
{
    void *slot = (char *)base + f->offset;
    size_t *count = f->type == CONTRACT_ARRAY ? (size_t *)(void *)((char *)base + f->count_offset) : NULL;
    if (f->type == CONTRACT_ARRAY && strcmp(f->default_json, "[]") == 0) {
        *(void **)slot = contract_empty_array();
        *count = 0;
        return 0;
    }
    if (default_quick(f, slot)) {
        return 0;
    }
    yyjson_val *v = NULL;
    int rc = contract_json_parse(p->arena, f->default_json, strlen(f->default_json), NULL, &v, p->err);
    return rc != 0 ? rc : contract_value_read(p, f, v, slot, count, at, level);
}

static int field_read(const struct contract_parser *p, const struct contract_field *f, yyjson_val *v,
                      void *base, const struct contract_path *at, size_t level)
{
    if (unsafe_yyjson_is_null(v) && (f->flags & CONTRACT_NULLABLE) != 0) {
        return (f->flags & CONTRACT_HAS_DEFAULT) != 0 ? contract_default_read(p, f, base, at, level) : 0;
    }
    size_t *count = f->type == CONTRACT_ARRAY ? (size_t *)(void *)((char *)base + f->count_offset) : NULL;
    int rc = contract_value_read(p, f, v, (char *)base + f->offset, count, at, level);
    if (rc == 0 && f->has_offset != SIZE_MAX) {
        *(bool *)((char *)base + f->has_offset) = true;
    }
    return rc;
}

static int unknown_fail(const struct contract_parser *p, const struct contract_message *m, const char *key,
                        const struct contract_path *at)
{
    const char *names[CONTRACT_FIELDS_MOST];
    for (size_t i = 0; i < m->field_count; i++) {
        names[i] = m->fields[i].name;
    }
    size_t nearest = 0;
    if (str_nearest(key, names, m->field_count, &nearest, 1) > 0) {
        return contract_fail(p->err, at, VX11_EINVALID, "is not known; did you mean %s?", names[nearest]);
    }
    return contract_fail(p->err, at, VX11_EINVALID, "is not known");
}

/* Fields the value did not name: required ones are missing, the others get their defaults. */
static int absent_fill(const struct contract_parser *p, const struct contract_message *m,
                       const uint64_t *seen, void *out, const struct contract_path *up, size_t level)
{
    for (size_t i = 0; i < m->field_count; i++) {
        const struct contract_field *f = &m->fields[i];
        if ((f->flags & (CONTRACT_REQUIRED | CONTRACT_HAS_DEFAULT)) == 0 ||
            (seen[i / 64] >> (i % 64) & 1) != 0) {
            continue;
        }
        struct contract_path here = {.up = up, .key = f->name};
        if ((f->flags & CONTRACT_HAS_DEFAULT) == 0) {
            return contract_fail(p->err, &here, VX11_EINVALID, "is required");
        }
        int rc = contract_default_read(p, f, out, &here, level);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int message_read(const struct contract_parser *p, const struct contract_message *m, yyjson_val *v,
                        void *out, const struct contract_path *at, size_t level)
{
    if (level > p->depth || m->field_count > CONTRACT_FIELDS_MOST) {
        return contract_fail(p->err, at, VX11_EINVALID, "is nested deeper than %zu levels", p->depth);
    }
    if (!yyjson_is_obj(v)) {
        return contract_fail(p->err, at, VX11_EINVALID, "must be an object, not %s", value_kind(v));
    }
    memset(out, 0, m->size);
    uint64_t seen[CONTRACT_FIELDS_MOST / 64] = {0};
    size_t cursor = 0, n = unsafe_yyjson_get_len(v);
    yyjson_val *key = unsafe_yyjson_get_first(v);
    for (size_t i = 0; i < n; i++, key = unsafe_yyjson_get_next(key + 1)) {
        const char *name = unsafe_yyjson_get_str(key);
        struct contract_path here = {.up = at, .key = name};
        size_t index = field_index(m, name, &cursor);
        int rc;
        if (index == m->field_count) {
            rc = p->strict ? unknown_fail(p, m, name, &here) : 0;
        } else {
            seen[index / 64] |= UINT64_C(1) << (index % 64);
            rc = field_read(p, &m->fields[index], key + 1, out, &here, level);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return absent_fill(p, m, seen, out, at, level);
}

/* --- entries
 * ------------------------------------------------------------------------------------------------------- */

static struct contract_parser parser_make(struct arena *a, const struct contract_limits *limits,
                                          struct contract_error *err)
{
    size_t depth = limits != NULL && limits->max_depth != 0 ? limits->max_depth : CONTRACT_DEPTH;
    return (struct contract_parser){
        .arena = a,
        .err = err,
        .depth = depth < CONTRACT_DEPTH_MOST ? depth : CONTRACT_DEPTH_MOST,
        .strict = limits != NULL && limits->strict,
    };
}

int contract_parse_value(const struct contract_message *m, struct arena *a, yyjson_val *value,
                         const struct contract_limits *limits, void *out, struct contract_error *err)
{
    struct contract_parser p = parser_make(a, limits, err);
    return message_read(&p, m, value, out, NULL, 1);
}

int contract_parse(const struct contract_message *m, struct arena *a, const char *text, size_t len,
                   const struct contract_limits *limits, void *out, struct contract_error *err)
{
    yyjson_val *value = NULL;
    int rc = contract_json_parse(a, text, len, limits, &value, err);
    return rc != 0 ? rc : contract_parse_value(m, a, value, limits, out, err);
}

int contract_init(const struct contract_message *m, struct arena *a, void *out)
{
    struct contract_parser p = parser_make(a, NULL, NULL);
    memset(out, 0, m->size);
    for (size_t i = 0; i < m->field_count; i++) {
        if ((m->fields[i].flags & CONTRACT_HAS_DEFAULT) != 0) {
            int rc = contract_default_read(&p, &m->fields[i], out, NULL, 1);
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}
