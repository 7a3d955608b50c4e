/* Serialize: a struct to JSON, as its table says. Text is appended straight to the buffer: a streamed chat
 * writes one such message per token. A struct that breaks its contract is a bug of ours: it is logged with
 * its place and refused. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "contract/internal.h"

static int message_write(const struct contract_message *m, const void *in, struct buf *out, size_t level);

static int broken(const struct contract_message *m, const struct contract_field *f, const char *why)
{
    log_error("contract", "a message breaks its own contract", LOG_S("message", m ? m->name : ""),
              LOG_S("field", f->name), LOG_S("why", why));
    return VX11_EINVALID;
}

/* Integers by hand: printf costs ten times as much, and chunks are full of them. */
static int integer_write(int64_t v, struct buf *out)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        digits[--at] = (char)('0' + u % 10);
        u /= 10;
    } while (u != 0);
    if (v < 0) {
        digits[--at] = '-';
    }
    return buf_append(out, digits + at, sizeof digits - at);
}

/* The shortest text that reads back as the same double, by yyjson's own writer in a scrap of stack. */
static int number_write(double v, struct buf *out)
{
    char scrap[512];
    yyjson_alc alc;
    yyjson_val value = {.tag = YYJSON_TYPE_NUM | YYJSON_SUBTYPE_REAL, .uni.f64 = v};
    if (v == floor(v) && fabs(v) < 1e15) {
        return integer_write((int64_t)v, out);
    }
    size_t len = 0;
    char *text = yyjson_alc_pool_init(&alc, scrap, sizeof scrap)
                     ? yyjson_val_write_opts(&value, YYJSON_WRITE_NOFLAG, &alc, &len, NULL)
                     : NULL;
    return text == NULL ? VX11_EINTERNAL : buf_append(out, text, len);
}

static bool array_is_absent(const struct contract_field *f, const void *base)
{
    return *(void *const *)((const char *)base + f->offset) == NULL &&
           *(const size_t *)(const void *)((const char *)base + f->count_offset) == 0 &&
           ((f->flags & CONTRACT_NULLABLE) != 0 ||
            (f->flags & (CONTRACT_REQUIRED | CONTRACT_HAS_DEFAULT)) == 0);
}

static bool field_is_absent(const struct contract_field *f, const void *base)
{
    if (f->has_offset != SIZE_MAX) {
        return !*(const bool *)((const char *)base + f->has_offset);
    }
    switch (f->type) {
    case CONTRACT_STRING:
    case CONTRACT_ULID:
    case CONTRACT_JSON:
    case CONTRACT_MESSAGE:
        return *(void *const *)((const char *)base + f->offset) == NULL;
    case CONTRACT_ARRAY:
        return array_is_absent(f, base);
    default:
        return false;
    }
}

static int array_write(const struct contract_message *m, const struct contract_field *f, const void *slot,
                       size_t count, struct buf *out, size_t level);

/* One value; for elements of arrays `slot` is the element. */
static int value_write(const struct contract_message *m, const struct contract_field *f, const void *slot,
                       struct buf *out, size_t level)
{
    switch (f->type) {
    case CONTRACT_BOOL:
        return buf_puts(out, *(const bool *)slot ? "true" : "false");
    case CONTRACT_INTEGER:
    case CONTRACT_TIMESTAMP:
        return integer_write(*(const int64_t *)slot, out);
    case CONTRACT_NUMBER:
        if (!isfinite(*(const double *)slot)) {
            return broken(m, f, "not a finite number");
        }
        return number_write(*(const double *)slot, out);
    case CONTRACT_STRING:
    case CONTRACT_ULID: {
        const char *s = *(const char *const *)slot;
        return s == NULL ? broken(m, f, "missing") : buf_put_json_string(out, s, strlen(s));
    }
    case CONTRACT_ENUM: {
        int i = *(const int *)slot;
        if (i < 0 || (size_t)i >= f->values_count) {
            return broken(m, f, "not a value of its enum");
        }
        return buf_put_json_string(out, f->values[i], strlen(f->values[i]));
    }
    case CONTRACT_JSON: {
        const yyjson_val *v = *(yyjson_val *const *)slot;
        return v == NULL ? broken(m, f, "missing") : contract_json_write(v, out);
    }
    case CONTRACT_MESSAGE: {
        const void *nested = *(void *const *)slot;
        return nested == NULL ? broken(m, f, "missing") : message_write(f->message, nested, out, level + 1);
    }
    case CONTRACT_ARRAY:
        break; /* field_write: it has the count */
    }
    return VX11_EINTERNAL;
}

static int array_write(const struct contract_message *m, const struct contract_field *f, const void *slot,
                       size_t count, struct buf *out, size_t level)
{
    const char *items = *(const char *const *)slot;
    size_t size = contract_element_size(f->element);
    if (count > 0 && items == NULL) {
        return broken(m, f, "missing");
    }
    buf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            buf_putc(out, ',');
        }
        int rc = f->element->type == CONTRACT_MESSAGE
                     ? message_write(f->element->message, items + i * size, out, level + 1)
                     : value_write(m, f->element, items + i * size, out, level + 1);
        if (rc != 0) {
            return rc;
        }
    }
    return buf_putc(out, ']');
}

static int field_write(const struct contract_message *m, const struct contract_field *f, const void *base,
                       bool *first, struct buf *out, size_t level)
{
    bool absent = field_is_absent(f, base), null = absent && (f->flags & CONTRACT_NULLABLE) != 0;
    bool omit = null ? (f->flags & CONTRACT_OMIT_NULL) != 0
                     : (f->flags & (CONTRACT_REQUIRED | CONTRACT_HAS_DEFAULT)) == 0;
    if (absent && omit) {
        return 0;
    }
    if (absent && !null && (f->flags & CONTRACT_HAS_DEFAULT) == 0) {
        return broken(m, f, "missing");
    }
    if (!*first) {
        buf_putc(out, ',');
    }
    *first = false;
    buf_putc(out, '"');
    buf_puts(out, f->name);
    buf_append(out, "\":", 2);
    const char *slot = (const char *)base + f->offset;
    if (absent) { /* the default of a string or message that was not filled in */
        return buf_puts(out, null ? "null" : f->default_json);
    }
    if (f->type == CONTRACT_ARRAY) {
        return array_write(m, f, slot, *(const size_t *)(const void *)((const char *)base + f->count_offset),
                           out, level);
    }
    return value_write(m, f, slot, out, level);
}

static int message_write(const struct contract_message *m, const void *in, struct buf *out, size_t level)
{
    if (level > CONTRACT_DEPTH_MOST) {
        return VX11_EINVALID; /* a cycle of pointers */
    }
    bool first = true;
    buf_putc(out, '{');
    for (size_t i = 0; i < m->field_count; i++) {
        int rc = field_write(m, &m->fields[i], in, &first, out, level);
        if (rc != 0) {
            return rc;
        }
    }
    return buf_putc(out, '}');
}

int contract_serialize(const struct contract_message *m, const void *in, struct buf *out)
{
    size_t before = out->len;
    int rc = out->failed ? VX11_ENOMEM : message_write(m, in, out, 1);
    if (rc == 0 && out->failed) {
        rc = VX11_ENOMEM;
    }
    if (rc != 0 && out->data != NULL) { /* half a message helps nobody */
        out->len = before;
        out->data[before] = '\0';
    }
    return rc;
}

int contract_serialize_pretty(const struct contract_message *m, const void *in, struct buf *out)
{
    struct buf text = BUF_INIT;
    yyjson_doc *doc = NULL;
    char *pretty = NULL;
    int rc = contract_serialize(m, in, &text);
    if (rc != 0) {
        goto out;
    }
    rc = VX11_ENOMEM;
    size_t len = 0;
    doc = yyjson_read(text.data, text.len, YYJSON_READ_NOFLAG);
    pretty = doc != NULL ? yyjson_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, &len) : NULL;
    if (pretty != NULL) {
        rc = buf_append(out, pretty, len);
    }
out:
    free(pretty);
    yyjson_doc_free(doc);
    buf_free(&text);
    return rc;
}

/* --- to a mutable value
 * -------------------------------------------------------------------------------------------- */

/* By way of the text: one writer decides what a message looks like. Strings are then copies inside doc. */
yyjson_mut_val *contract_to_value(const struct contract_message *m, const void *in, yyjson_mut_doc *doc)
{
    struct buf text = BUF_INIT;
    yyjson_mut_val *value = NULL;
    if (contract_serialize(m, in, &text) == 0) {
        yyjson_doc *read = yyjson_read(text.data, text.len, YYJSON_READ_NOFLAG);
        value = read != NULL ? yyjson_val_mut_copy(doc, yyjson_doc_get_root(read)) : NULL;
        yyjson_doc_free(read);
    }
    buf_free(&text);
    return value;
}
