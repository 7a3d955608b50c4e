/* Reflection over the contract's tables, the other way round than the parser: the table decides what random
 * values are allowed, so that whatever is made here must serialize and come back. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "contract/internal.h"
#include "base/str.h"
#include "base/ulid.h"
#include "random_message.h"

uint64_t random_next(struct random_source *r) /* splitmix64 */
{
    uint64_t z = (r->state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static int64_t random_integer(struct random_source *r, const struct contract_field *f)
{
    double low = (f->flags & CONTRACT_HAS_MIN) != 0 ? f->min : -9e15,
           high = (f->flags & CONTRACT_HAS_MAX) != 0 ? f->max : 9e15;
    if (f->flags == 0 && random_next(r) % 8 == 0) {
        return random_next(r) % 2 ? INT64_MAX : INT64_MIN;
    }
    return (int64_t)low + (int64_t)(random_next(r) % ((uint64_t)(high - low) + 1));
}

static double random_number(struct random_source *r, const struct contract_field *f)
{
    double unit = (double)(random_next(r) >> 11) / 9007199254740992.0;
    if ((f->flags & (CONTRACT_HAS_MIN | CONTRACT_HAS_MAX)) == (CONTRACT_HAS_MIN | CONTRACT_HAS_MAX)) {
        return f->min + unit * (f->max - f->min);
    }
    double any = ldexp(unit - 0.5, (int)(random_next(r) % 2000) - 1000);
    if ((f->flags & CONTRACT_HAS_MIN) != 0) {
        return f->min + fabs(any);
    }
    return (f->flags & CONTRACT_HAS_MAX) != 0 ? f->max - fabs(any) : any;
}

static const char *random_string(struct random_source *r, const struct contract_field *f)
{
    static const char *const pieces[] = {"a",
                                         "Z",
                                         "0",
                                         " ",
                                         "\"",
                                         "\\",
                                         "/",
                                         "\n",
                                         "\t",
                                         "\x01",
                                         "\x7f",
                                         "\xc3\xa9",
                                         "\xe2\x82\xac",
                                         "\xf0\x9f\x98\x80",
                                         "</script>",
                                         "~",
                                         "\xef\xbf\xbd",
                                         "'"};
    if (f->pattern != NULL) { /* the patterns of the tables under test, by example */
        static const char *const examples[] = {"ab12", "local", "http://h:1/v1", "KEY_NAME", "/x",
                                               "abcd", ""};
        for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
            bool matches = false;
            if (contract_pattern_match(f->pattern, examples[i], &matches) == 0 && matches)
                return examples[i];
        }
        return "no example matches";
    }
    if (f->type == CONTRACT_ULID) {
        char *id = arena_alloc(r->arena, ULID_LEN + 1);
        return ulid_make(id);
    }
    size_t most = f->max_length != 0 && f->max_length < 12 ? f->max_length : 12;
    size_t n = f->min_length + random_next(r) % (most - f->min_length + 1);
    char *s = arena_zalloc(r->arena, 16 * n + 1), *end = s;
    for (size_t i = 0; i < n; i++) {
        const char *piece = pieces[random_next(r) % COUNT_OF(pieces)];
        if (strlen(piece) > 4) {
            piece = f->max_length == 0 ? piece : "x";
        }
        while (*piece != '\0') {
            *end++ = *piece++;
        }
    }
    return s;
}

static yyjson_val *random_json(struct random_source *r)
{
    static const char *const texts[] = {"{}",
                                        "[]",
                                        "0",
                                        "-1.5e-300",
                                        "\"\\u00e9\\n\"",
                                        "true",
                                        "[1,[2,{\"a\":null}],\"x\"]",
                                        "{\"k\":{\"k\":[false]}}",
                                        "18446744073709551615"};
    const char *text = texts[random_next(r) % COUNT_OF(texts)];
    yyjson_val *v = NULL;
    contract_json_parse(r->arena, text, strlen(text), NULL, &v, NULL);
    return v;
}

static void value_fill(struct random_source *r, const struct contract_field *f, void *slot, unsigned level)
{
    assert(f->type != CONTRACT_MESSAGE || f->message != NULL);
    switch (f->type) {
    case CONTRACT_BOOL:
        *(bool *)slot = random_next(r) % 2;
        break;
    case CONTRACT_INTEGER:
    case CONTRACT_TIMESTAMP:
        *(int64_t *)slot = random_integer(r, f);
        break;
    case CONTRACT_NUMBER:
        *(double *)slot = random_number(r, f);
        break;
    case CONTRACT_STRING:
    case CONTRACT_ULID:
        *(const char **)slot = random_string(r, f);
        break;
    case CONTRACT_ENUM:
        *(int *)slot = (int)(random_next(r) % f->values_count);
        break;
    case CONTRACT_JSON:
        *(yyjson_val **)slot = random_json(r);
        break;
    case CONTRACT_MESSAGE: {
        void *nested = arena_zalloc(r->arena, f->message->size);
        random_message_fill(r, f->message, nested, level + 1);
        *(void **)slot = nested;
        break;
    }
    case CONTRACT_ARRAY:
        break;
    }
}

static size_t element_size(const struct contract_field *f)
{
    assert(f != NULL);
    switch (f->type) {
    case CONTRACT_BOOL:
        return sizeof(bool);
    case CONTRACT_ENUM:
        return sizeof(int);
    case CONTRACT_MESSAGE:
        return f->message->size;
    default:
        return 8;
    }
}

static void array_fill(struct random_source *r, const struct contract_field *f, char *base, unsigned level)
{
    assert(f->element != NULL);
    size_t most = f->max_length != 0 && f->max_length < 4 ? f->max_length : 4,
           size = element_size(f->element);
    size_t least = f->min_length < most ? f->min_length : most,
           n = least + random_next(r) % (most - least + 1);
    char *items = arena_zalloc(r->arena, n * size + 1);
    for (size_t i = 0; i < n; i++) {
        if (f->element->type == CONTRACT_MESSAGE) {
            random_message_fill(r, f->element->message, items + i * size, level + 1);
        } else {
            value_fill(r, f->element, items + i * size, level + 1);
        }
    }
    *(void **)(void *)(base + f->offset) = items;
    *(size_t *)(void *)(base + f->count_offset) = n;
}

void random_message_fill(struct random_source *r, const struct contract_message *m, void *out, unsigned level)
{
    char *base = out;
    assert(m != NULL);
    memset(out, 0, m->size);
    for (size_t i = 0; i < m->field_count; i++) {
        const struct contract_field *f = &m->fields[i];
        bool must = (f->flags & CONTRACT_HAS_DEFAULT) != 0 ||
                    (f->flags & (CONTRACT_REQUIRED | CONTRACT_NULLABLE)) == CONTRACT_REQUIRED;
        bool recursive =
            f->type == CONTRACT_MESSAGE || (f->element != NULL && f->element->type == CONTRACT_MESSAGE);
        if (!must && (random_next(r) % 2 == 0 || (recursive && level >= 3))) {
            continue;
        }
        if (f->has_offset != SIZE_MAX) {
            *(bool *)(base + f->has_offset) = true;
        }
        if (f->type == CONTRACT_ARRAY) {
            array_fill(r, f, base, level);
        } else {
            value_fill(r, f, base + f->offset, level);
        }
    }
}

/* --- comparison
 * ---------------------------------------------------------------------------------------------------- */

static bool values_equal(const struct contract_field *f, const void *a, const void *b)
{
    assert(a != NULL && b != NULL);
    switch (f->type) {
    case CONTRACT_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case CONTRACT_INTEGER:
    case CONTRACT_TIMESTAMP:
        return *(const int64_t *)a == *(const int64_t *)b;
    case CONTRACT_NUMBER:
        return *(const double *)a == *(const double *)b;
    case CONTRACT_ENUM:
        return *(const int *)a == *(const int *)b;
    case CONTRACT_STRING:
    case CONTRACT_ULID:
        return str_eq(*(const char *const *)a, *(const char *const *)b);
    case CONTRACT_JSON: {
        yyjson_val *va = *(yyjson_val *const *)a, *vb = *(yyjson_val *const *)b;
        return va == vb || (va != NULL && vb != NULL && yyjson_equals(va, vb));
    }
    case CONTRACT_MESSAGE: {
        const void *ma = *(void *const *)a, *mb = *(void *const *)b;
        return (ma == NULL) == (mb == NULL) && (ma == NULL || message_difference(f->message, ma, mb) == NULL);
    }
    case CONTRACT_ARRAY:
        break;
    }
    return false;
}

static bool arrays_equal(const struct contract_field *f, const char *a, const char *b)
{
    size_t na = *(const size_t *)(const void *)(a + f->count_offset),
           nb = *(const size_t *)(const void *)(b + f->count_offset);
    const char *ia = *(char *const *)(const void *)(a + f->offset),
               *ib = *(char *const *)(const void *)(b + f->offset);
    size_t size = element_size(f->element);
    if (na != nb || (ia == NULL) != (ib == NULL)) {
        return false;
    }
    for (size_t i = 0; i < na; i++) {
        bool same = f->element->type == CONTRACT_MESSAGE
                        ? message_difference(f->element->message, ia + i * size, ib + i * size) == NULL
                        : values_equal(f->element, ia + i * size, ib + i * size);
        if (!same) {
            return false;
        }
    }
    return true;
}

const char *message_difference(const struct contract_message *m, const void *a, const void *b)
{
    const char *ba = a, *bb = b;
    assert(a != NULL && b != NULL);
    for (size_t i = 0; i < m->field_count; i++) {
        const struct contract_field *f = &m->fields[i];
        if (f->has_offset != SIZE_MAX) {
            bool ha = *(const bool *)(ba + f->has_offset), hb = *(const bool *)(bb + f->has_offset);
            if (ha != hb) {
                return f->name;
            }
            if (!ha) {
                continue;
            }
        }
        bool same = f->type == CONTRACT_ARRAY ? arrays_equal(f, ba, bb)
                                              : values_equal(f, ba + f->offset, bb + f->offset);
        if (!same) {
            return f->name;
        }
    }
    return NULL;
}
