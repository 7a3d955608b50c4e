/* Params: path placeholders and query parameters into a struct. Everything arrives as text, one name=value at
 * a time, and is converted by the field's type; the same bounds hold as for a body. The server calls
 * contract_init, then contract_param_set for each, then contract_params_finish. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/ulid.h"
#include "contract/internal.h"

static int enum_param(const struct contract_parser *p, const struct contract_field *f, const char *text,
                      int *out, const struct contract_path *at)
{
    for (size_t i = 0; i < f->values_count; i++) {
        if (strcmp(f->values[i], text) == 0) {
            *out = (int)i;
            return 0;
        }
    }
    return contract_enum_fail(p, f, at);
}

static int string_param(const struct contract_parser *p, const struct contract_field *f, const char *text,
                        const char **out, const struct contract_path *at)
{
    size_t len = strlen(text);
    if (!utf8_valid(text, len)) {
        return contract_fail(p->err, at, VX11_EINVALID, "must be valid UTF-8");
    }
    if (f->type == CONTRACT_ULID) {
        if (!ulid_valid(text)) {
            return contract_fail(p->err, at, VX11_EINVALID,
                                 "must be an id: 26 characters, digits and capital letters");
        }
    } else {
        int rc = contract_string_check(p, f, text, len, at);
        if (rc != 0) {
            return rc;
        }
    }
    *out = arena_strndup(p->arena, text, len);
    return *out != NULL ? 0 : contract_fail(p->err, at, VX11_ENOMEM, "out of memory");
}

static int value_param(const struct contract_parser *p, const struct contract_field *f, const char *text,
                       void *slot, const struct contract_path *at)
{
    switch (f->type) {
    case CONTRACT_BOOL:
        return str_to_bool(text, slot) == 0
                   ? 0
                   : contract_fail(p->err, at, VX11_EINVALID, "must be true or false");
    case CONTRACT_INTEGER:
    case CONTRACT_TIMESTAMP:
        if (str_to_i64(text, INT64_MIN, INT64_MAX, slot) != 0) {
            return contract_fail(p->err, at, VX11_EINVALID, "must be a whole number");
        }
        return contract_number_check(p, f, (double)*(int64_t *)slot, at);
    case CONTRACT_NUMBER:
        if (str_to_f64(text, slot) != 0) {
            return contract_fail(p->err, at, VX11_EINVALID, "must be a number");
        }
        return contract_number_check(p, f, *(double *)slot, at);
    case CONTRACT_STRING:
    case CONTRACT_ULID:
        return string_param(p, f, text, slot, at);
    case CONTRACT_ENUM:
        return enum_param(p, f, text, slot, at);
    case CONTRACT_JSON: {
        struct contract_error inner;
        if (contract_json_parse(p->arena, text, strlen(text), NULL, slot, &inner) != 0) {
            return contract_fail(p->err, at, VX11_EINVALID, "%s", inner.text);
        }
        return 0;
    }
    case CONTRACT_MESSAGE:
    case CONTRACT_ARRAY:
        break;
    }
    return contract_fail(p->err, at, VX11_EINVALID, "cannot be given as a parameter");
}

/* Appends to a list. Its room is the next power of two of its length, so no capacity is kept beside it. */
static int list_param(const struct contract_parser *p, const struct contract_field *f, const char *text,
                      char *base, const struct contract_path *at)
{
    void **items = (void **)(void *)(base + f->offset);
    size_t *count = (size_t *)(void *)(base + f->count_offset), size = contract_element_size(f->element);
    size_t most = f->max_length ? f->max_length : CONTRACT_ARRAY_MOST;
    if (*count >= most) {
        return contract_fail(p->err, at, VX11_EINVALID, "must be given at most %zu time%s", most,
                             most == 1 ? "" : "s");
    }
    if ((*count & (*count - 1)) == 0) { /* 0 or a power of two: full */
        size_t room = *count ? 2 * *count : 1;
        void *grown = *count ? arena_realloc(p->arena, *items, *count * size, room * size)
                             : arena_array(p->arena, room, size);
        if (grown == NULL) {
            return contract_fail(p->err, at, VX11_ENOMEM, "out of memory");
        }
        *items = grown;
    }
    int rc = value_param(p, f->element, text, (char *)*items + *count * size, at);
    *count += rc == 0;
    return rc;
}

int contract_param_set(const struct contract_message *m, struct arena *a, const char *name, const char *value,
                       void *out, struct contract_error *err)
{
    const struct contract_field *f = contract_field_find(m, name);
    if (f == NULL) {
        return 0;
    }
    struct contract_parser p = {.arena = a, .err = err, .depth = CONTRACT_DEPTH};
    struct contract_path at = {.key = f->name};
    if (f->type == CONTRACT_ARRAY) {
        return list_param(&p, f, value, out, &at);
    }
    int rc = value_param(&p, f, value, (char *)out + f->offset, &at);
    if (rc == 0 && f->has_offset != SIZE_MAX) {
        *(bool *)((char *)out + f->has_offset) = true;
    }
    return rc;
}

int contract_params_finish(const struct contract_message *m, const void *out, struct contract_error *err)
{
    const char *base = out;
    for (size_t i = 0; i < m->field_count; i++) {
        const struct contract_field *f = &m->fields[i];
        struct contract_path at = {.key = f->name};
        bool missing = false;
        if (f->has_offset != SIZE_MAX) {
            missing = !*(const bool *)(base + f->has_offset);
        } else if (f->type == CONTRACT_ARRAY) {
            size_t count = *(const size_t *)(const void *)(base + f->count_offset);
            missing = count == 0;
            if (count > 0 && count < f->min_length) {
                return contract_fail(err, &at, VX11_EINVALID, "must be given at least %zu times",
                                     f->min_length);
            }
        } else if (!contract_is_scalar(f->type)) {
            missing = *(void *const *)(const void *)(base + f->offset) == NULL;
        }
        if (missing && (f->flags & CONTRACT_REQUIRED) != 0) {
            return contract_fail(err, &at, VX11_EINVALID, "is required");
        }
    }
    return 0;
}
