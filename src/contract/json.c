/* Json: untrusted text to a yyjson tree that is safe to walk. yyjson checks syntax and UTF-8; what it leaves
 * to us are duplicate keys, depth, and strings that hold a NUL, which C would cut short.
 *
 * A parsed yyjson document is one flat array of values in the order of the text, each container knowing its
 * size in bytes. So the checks are one pass over that array with a small stack of open containers, no
 * recursion:
 *
 *     {  "a"  [  1  2  ]  "b"  {  }  }        values:  obj "a" arr 1 2 "b" obj
 *     open: obj            open: obj arr      an element past a container's end closes it */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "contract/internal.h"

/* --- arena as allocator
 * -------------------------------------------------------------------------------------------- */

static void *alc_malloc(void *ctx, size_t size)
{
    return arena_alloc(ctx, size);
}

static void *alc_realloc(void *ctx, void *ptr, size_t old_size, size_t size)
{
    return arena_realloc(ctx, ptr, old_size, size);
}

static void alc_free(void *ctx, void *ptr)
{
    (void)ctx;
    (void)ptr; /* the arena forgets it with the rest */
}

void contract_json_allocator(struct arena *a, yyjson_alc *out)
{
    *out = (yyjson_alc){.malloc = alc_malloc, .realloc = alc_realloc, .free = alc_free, .ctx = a};
}

/* --- errors
 * -------------------------------------------------------------------------------------------------------- */

/* Writes the path into out, outermost first; cut at the end of the buffer, never inside a character. */
static size_t pointer_write(const struct contract_path *at, char *out, size_t size)
{
    if (at == NULL) {
        return 0;
    }
    size_t n = pointer_write(at->up, out, size);
    char number[24];
    const char *s = at->key;
    if (s == NULL) {
        snprintf(number, sizeof number, "%zu", at->index);
        s = number;
    }
    if (n + 1 < size) {
        out[n++] = '/';
    }
    for (; *s != '\0'; s++) {
        size_t need = *s == '~' || *s == '/' ? 2 : 1;
        if (n + need >= size) {
            break;
        }
        if (need == 2) {
            out[n++] = '~';
            out[n++] = *s == '~' ? '0' : '1';
        } else {
            out[n++] = *s;
        }
    }
    return n;
}

int contract_fail(struct contract_error *err, const struct contract_path *at, int code, const char *fmt, ...)
{
    if (err == NULL) {
        return code;
    }
    *err = (struct contract_error){.code = code};
    size_t n = pointer_write(at, err->pointer, sizeof err->pointer);
    err->pointer[utf8_valid_prefix(err->pointer, n)] = '\0';
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    err->text[utf8_valid_prefix(err->text, strlen(err->text))] = '\0';
    return code;
}

/* --- checks
 * -------------------------------------------------------------------------------------------------------- */

struct open_containers {
    yyjson_val *of[CONTRACT_DEPTH_MOST];
    size_t count;
};

/* The way from the root to `target` inside the open containers, as a path for the error. */
static int scan_fail(struct contract_error *err, const struct open_containers *open, size_t level,
                     yyjson_val *target, const struct contract_path *up, int code, const char *text)
{
    if (level == open->count) {
        return contract_fail(err, up, code, "%s", text);
    }
    struct contract_path here = {.up = up};
    yyjson_val *container = open->of[level];
    yyjson_val *next = level + 1 < open->count ? open->of[level + 1] : target;
    yyjson_val *v = unsafe_yyjson_get_first(container);
    size_t n = unsafe_yyjson_get_len(container);
    for (size_t i = 0; i < n; i++) {
        here.index = i;
        if (unsafe_yyjson_is_obj(container)) {
            here.key = unsafe_yyjson_get_str(v);
            if (v == next) { /* the key itself is wrong */
                break;
            }
            v++;
        }
        if (v == next) {
            break;
        }
        v = unsafe_yyjson_get_next(v);
    }
    return scan_fail(err, open, level + 1, target, &here, code, text);
}

/* Lengths first. Not the whole tags: they also say whether the text had escapes, and "a" is "\u0061". */
static bool key_equal(yyjson_val *a, yyjson_val *b)
{
    size_t len = unsafe_yyjson_get_len(a);
    return len == unsafe_yyjson_get_len(b) && memcmp(a->uni.str, b->uni.str, len) == 0;
}

static int key_compare(const void *pa, const void *pb)
{
    yyjson_val *a = *(yyjson_val *const *)pa, *b = *(yyjson_val *const *)pb;
    size_t len_a = unsafe_yyjson_get_len(a), len_b = unsafe_yyjson_get_len(b);
    if (len_a != len_b) {
        return len_a < len_b ? -1 : 1;
    }
    return memcmp(a->uni.str, b->uni.str, len_a);
}

enum { KEYS_SMALL = 16 };

/* The second of two equal keys, or NULL. Small objects compare each with each (mostly one comparison of type
 * and length); larger ones are sorted, so that a hostile object costs n log n. *failed: no memory to sort. */
static yyjson_val *duplicate_key(yyjson_val *obj, bool *failed)
{
    size_t n = unsafe_yyjson_get_len(obj);
    yyjson_val *few[KEYS_SMALL];
    yyjson_val **keys = n <= KEYS_SMALL ? few : malloc(n * sizeof *keys);
    if (keys == NULL) {
        *failed = true;
        return NULL;
    }
    yyjson_val *key = unsafe_yyjson_get_first(obj), *found = NULL;
    for (size_t i = 0; i < n && found == NULL; i++) {
        keys[i] = key;
        for (size_t k = 0; n <= KEYS_SMALL && k < i; k++) {
            if (key_equal(keys[k], key)) {
                found = key;
                break;
            }
        }
        key = unsafe_yyjson_get_next(key + 1);
    }
    if (n > KEYS_SMALL) {
        qsort(keys, n, sizeof *keys, key_compare);
        for (size_t i = 1; i < n && found == NULL; i++) {
            if (key_equal(keys[i - 1], keys[i])) {
                found = keys[i] > keys[i - 1] ? keys[i] : keys[i - 1];
            }
        }
        free(keys);
    }
    return found;
}

/* One container that begins at v: not too deep, no key twice. */
static int container_check(yyjson_val *v, struct open_containers *open, size_t max_depth,
                           struct contract_error *err)
{
    if (open->count >= max_depth) {
        char text[64];
        snprintf(text, sizeof text, "is nested deeper than %zu levels", max_depth);
        return scan_fail(err, open, 0, v, NULL, VX11_ESYNTAX, text);
    }
    bool failed = false;
    yyjson_val *twice = unsafe_yyjson_is_obj(v) ? duplicate_key(v, &failed) : NULL;
    if (failed) {
        return contract_fail(err, NULL, VX11_ENOMEM, "out of memory");
    }
    open->of[open->count++] = v;
    return twice == NULL ? 0 : scan_fail(err, open, 0, twice, NULL, VX11_ESYNTAX, "is there twice");
}

static int tree_check(yyjson_val *root, bool check_nul, size_t max_depth, struct contract_error *err)
{
    struct open_containers open;
    open.count = 0;
    yyjson_val *end = unsafe_yyjson_get_next(root);
    for (yyjson_val *v = root; v < end; v++) {
        while (open.count > 0 && v >= unsafe_yyjson_get_next(open.of[open.count - 1])) {
            open.count--;
        }
        if (unsafe_yyjson_is_ctn(v)) {
            int rc = container_check(v, &open, max_depth, err);
            if (rc != 0) {
                return rc;
            }
        } else if (check_nul && unsafe_yyjson_is_str(v) &&
                   memchr(v->uni.str, 0, unsafe_yyjson_get_len(v)) != NULL) {
            return scan_fail(err, &open, 0, v, NULL, VX11_EINVALID, "must not contain the character U+0000");
        }
    }
    return 0;
}

static int syntax_fail(const char *text, size_t len, const yyjson_read_err *e, struct contract_error *err)
{
    if (e->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
        return contract_fail(err, NULL, VX11_ENOMEM, "out of memory");
    }
    if (e->code == YYJSON_READ_ERROR_EMPTY_CONTENT || len == 0) {
        return contract_fail(err, NULL, VX11_ESYNTAX, "is empty, not a JSON value");
    }
    size_t line = 1, column = 1, chr = 0;
    if (!yyjson_locate_pos(text, len, e->pos, &line, &column, &chr)) {
        column = e->pos + 1;
    }
    int rc = contract_fail(err, NULL, VX11_ESYNTAX, "is not valid JSON: %s (line %zu, column %zu)", e->msg,
                           line, column);
    if (err != NULL) {
        err->position = e->pos;
    }
    return rc;
}

int contract_json_parse(struct arena *a, const char *text, size_t len, const struct contract_limits *limits,
                        yyjson_val **out, struct contract_error *err)
{
    size_t max_bytes = limits != NULL && limits->max_bytes != 0 ? limits->max_bytes : CONTRACT_BYTES;
    size_t max_depth = limits != NULL && limits->max_depth != 0 ? limits->max_depth : CONTRACT_DEPTH;
    *out = NULL;
    text = text != NULL ? text : "";
    if (len > max_bytes) {
        return contract_fail(err, NULL, VX11_ETOO_LARGE, "is larger than %zu bytes", max_bytes);
    }
    yyjson_alc alc;
    contract_json_allocator(a, &alc);
    yyjson_read_err e;
    /* Without the in-place flag yyjson copies the text, also into the arena, and does not write to it. */
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text, len, YYJSON_READ_NOFLAG, &alc, &e);
    if (doc == NULL) {
        return syntax_fail(text, len, &e, err);
    }
    /* Without the escape in the text no string can hold a NUL, and looking for it costs less than looking at
     * each string. */
    bool check_nul = memmem(text, len, "\\u0000", 6) != NULL;
    yyjson_val *root = yyjson_doc_get_root(doc);
    int rc =
        tree_check(root, check_nul, max_depth < CONTRACT_DEPTH_MOST ? max_depth : CONTRACT_DEPTH_MOST, err);
    if (rc == 0) {
        *out = root;
    }
    return rc;
}

int contract_json_write(const yyjson_val *value, struct buf *out)
{
    yyjson_write_err e;
    size_t len = 0;
    char *text = yyjson_val_write_opts(value, YYJSON_WRITE_NOFLAG, NULL, &len, &e);
    if (text == NULL) {
        return e.code == YYJSON_WRITE_ERROR_MEMORY_ALLOCATION ? VX11_ENOMEM : VX11_EINVALID;
    }
    int rc = buf_append(out, text, len);
    free(text);
    return rc;
}
