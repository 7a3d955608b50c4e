/* The cache's canonical JSON: a document that is written anew in another order, with other escapes and other
 * numbers for the same values, has the same key; one whose canonical form is read and written again keeps it;
 * and one that a single value was changed in has another. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "switch/cache/cache.h"

static void must(bool holds)
{
    if (!holds)
        abort();
}

static struct buf canonical(yyjson_val *v)
{
    struct buf out = BUF_INIT;
    must(cache_canonical(v, false, &out) == 0 && !out.failed);
    return out;
}

/* The same values another way: members backwards, strings all in \u, integers as 12e0. */
static void put_other(yyjson_val *v, struct buf *out)
{
    size_t i, n = 0;
    yyjson_val *key, *value;
    if (yyjson_is_obj(v)) {
        size_t count = yyjson_obj_size(v);
        yyjson_val **keys = calloc(count + 1, sizeof *keys);
        must(keys != NULL);
        yyjson_obj_foreach(v, i, n, key, value) keys[i] = key;
        buf_putc(out, '{');
        for (i = count; i-- > 0;) {
            put_other(keys[i], out);
            buf_puts(out, " :");
            put_other(yyjson_obj_iter_get_val(keys[i]), out);
            buf_putc(out, i ? ',' : ' ');
        }
        buf_putc(out, '}');
        free(keys);
    } else if (yyjson_is_arr(v)) {
        buf_puts(out, "[ ");
        yyjson_arr_foreach(v, i, n, value)
        {
            if (i)
                buf_putc(out, ',');
            put_other(value, out);
        }
        buf_putc(out, ']');
    } else if (yyjson_is_str(v)) {
        const char *s = yyjson_get_str(v);
        size_t len = yyjson_get_len(v);
        buf_putc(out, '"');
        for (i = 0; i < len; i++) {
            unsigned char c = (unsigned char)s[i];
            if (c < 0x80)
                buf_printf(out, "\\u%04X", c);
            else
                buf_putc(out, s[i]);
        }
        buf_putc(out, '"');
    } else if (yyjson_is_uint(v) && yyjson_get_uint(v) < UINT64_C(1) << 53) {
        buf_printf(out, "%llu.0e0", (unsigned long long)yyjson_get_uint(v));
    } else {
        size_t len;
        char *text = yyjson_val_write(v, 0, &len);
        must(text != NULL);
        buf_append(out, text, len);
        free(text);
    }
}

/* Changes the n-th scalar. True: one was there. */
static bool change(yyjson_mut_doc *doc, yyjson_mut_val *v, size_t *n)
{
    size_t i, count;
    yyjson_mut_val *key, *value;
    if (yyjson_mut_is_obj(v)) {
        yyjson_mut_obj_foreach(v, i, count, key, value) if (change(doc, value, n)) return true;
        return false;
    }
    if (yyjson_mut_is_arr(v)) {
        yyjson_mut_arr_foreach(v, i, count, value) if (change(doc, value, n)) return true;
        return false;
    }
    if ((*n)-- > 0)
        return false;
    if (yyjson_mut_is_str(v)) {
        size_t len = yyjson_mut_get_len(v);
        char *text = malloc(len + 1);
        must(text != NULL);
        memcpy(text, yyjson_mut_get_str(v), len);
        text[len] = 'x';
        yyjson_mut_val *with = yyjson_mut_strncpy(doc, text, len + 1);
        free(text);
        must(with != NULL);
        yyjson_mut_set_strn(v, yyjson_mut_get_str(with), len + 1);
    } else if (yyjson_mut_is_uint(v)) {
        yyjson_mut_set_uint(v, yyjson_mut_get_uint(v) ^ 1);
    } else if (yyjson_mut_is_bool(v)) {
        yyjson_mut_set_bool(v, !yyjson_mut_get_bool(v));
    } else if (yyjson_mut_is_null(v)) {
        yyjson_mut_set_bool(v, false);
    } else {
        yyjson_mut_set_null(v);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_create(0);
    yyjson_val *root = NULL, *again = NULL;
    size_t n = size ? data[0] % 16 : 0;
    if (a && contract_json_parse(a, (const char *)data, size, NULL, &root, NULL) == 0) {
        struct buf one = canonical(root), other = BUF_INIT;
        must(contract_json_parse(a, one.data, one.len, NULL, &again, NULL) == 0);
        struct buf two = canonical(again);
        must(two.len == one.len && memcmp(two.data, one.data, one.len) == 0);
        put_other(root, &other);
        must(contract_json_parse(a, other.data, other.len, NULL, &again, NULL) == 0);
        struct buf three = canonical(again);
        must(three.len == one.len && memcmp(three.data, one.data, one.len) == 0);
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *copy = yyjson_val_mut_copy(doc, root);
        yyjson_mut_doc_set_root(doc, copy);
        if (change(doc, copy, &n)) {
            yyjson_doc *changed = yyjson_mut_doc_imut_copy(doc, NULL);
            struct buf four = canonical(yyjson_doc_get_root(changed));
            must(four.len != one.len || memcmp(four.data, one.data, one.len) != 0);
            buf_free(&four);
            yyjson_doc_free(changed);
        }
        yyjson_mut_doc_free(doc);
        struct cache_ask ask = {.kind = size % 2 ? CACHE_EMBEDDING : CACHE_CHAT, .scope = "", .body = root};
        unsigned char key[CACHE_KEY_LEN];
        int rc = cache_key(&ask, key);
        must(rc == 0 || rc == VX11_EUNSUPPORTED);
        buf_free(&one);
        buf_free(&two);
        buf_free(&three);
        buf_free(&other);
    }
    arena_destroy(a);
    return 0;
}
