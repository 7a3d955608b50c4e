#include "cli/forensic/secrets.h"

#include <ctype.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

/* A shorter value is no secret worth the name, and its letters stand in too many places. */
enum { SECRET_MIN = 6, SECRET_FILE_MAX = 16 * 1024, DEPTH_MAX = 64 };

static const char hidden_word[] = "[redacted]";

struct secrets {
    struct {
        char *text;
        size_t len;
    } * list;
    size_t count, cap;
    bool failed;
};

/* ---- collecting ---- */

static void add(struct secrets *s, const char *text, size_t len)
{
    while (len > 0 && isspace((unsigned char)text[0])) {
        text++;
        len--;
    }
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    if (len < SECRET_MIN || memchr(text, '\0', len))
        return;
    if (s->count == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        void *more = reallocarray(s->list, cap, sizeof *s->list);
        if (!more) {
            s->failed = true;
            return;
        }
        s->list = more;
        s->cap = cap;
    }
    char *copy = strndup(text, len);
    s->failed = s->failed || !copy;
    if (!copy)
        return;
    s->list[s->count].text = copy;
    s->list[s->count++].len = len;
}

/* Whole, and each line: a file of several keys is one secret on each. */
static void add_file(struct secrets *s, const char *path)
{
    struct buf b = BUF_INIT;
    if (path[0] == '/' && fs_read_file(path, SECRET_FILE_MAX, &b, NULL) == 0 && b.len > 0) {
        for (const char *at = b.data; at < b.data + b.len;) {
            size_t n = strcspn(at, "\n");
            add(s, at, n);
            at += n + 1;
        }
        sodium_memzero(b.data, b.len);
    }
    buf_free(&b);
}

static void add_variable(struct secrets *s, const char *name)
{
    const char *value = name[0] ? getenv(name) : NULL;
    if (value)
        add(s, value, strlen(value));
}

/* A setting that says where a secret is: "…key_env", "…token_file". */
static void add_named(struct secrets *s, const char *key, const char *value)
{
    char word[64];
    const char *dot = strrchr(key, '.');
    const char *last = dot ? dot + 1 : key;
    size_t n = strlen(last);
    if (str_ends(last, "_env")) {
        add_variable(s, value);
    } else if (str_ends(last, "_file") && n - 5 < sizeof word) {
        memcpy(word, last, n - 5);
        word[n - 5] = '\0';
        if (log_is_secret(word, NULL))
            add_file(s, value);
    }
}

static void add_environment(struct secrets *s)
{
    for (char **e = environ; *e; e++) {
        char name[128];
        size_t n = strcspn(*e, "=");
        if (n == 0 || n >= sizeof name || (*e)[n] != '=')
            continue;
        memcpy(name, *e, n);
        name[n] = '\0';
        if (log_is_secret(name, NULL))
            add(s, *e + n + 1, strlen(*e + n + 1));
    }
}

static void add_config(struct secrets *s, const struct config *config)
{
    struct arena *a = arena_create(0);
    struct config_value *values = NULL;
    size_t n = 0;
    s->failed = s->failed || !a || config_values(config, a, &values, &n) != 0;
    for (size_t i = 0; i < n; i++)
        if (values[i].value && yyjson_is_str(values[i].value))
            add_named(s, values[i].key, yyjson_get_str(values[i].value));
    arena_destroy(a);
}

/* Settings of a provider that was added while VX11 runs. */
static int add_provider(void *ctx, const struct store_row *row)
{
    const char *text = row_text(row, 0);
    yyjson_doc *doc = text ? yyjson_read(text, strlen(text), 0) : NULL;
    yyjson_obj_iter it = yyjson_obj_iter_with(yyjson_doc_get_root(doc));
    for (yyjson_val *k; (k = yyjson_obj_iter_next(&it));) {
        yyjson_val *v = yyjson_obj_iter_get_val(k);
        if (yyjson_is_str(v))
            add_named(ctx, yyjson_get_str(k), yyjson_get_str(v));
    }
    yyjson_doc_free(doc);
    return 0;
}

static int longest_first(const void *a, const void *b)
{
    const size_t x = *(const size_t *)((const char *)a + sizeof(char *)),
                 y = *(const size_t *)((const char *)b + sizeof(char *));
    return x < y ? 1 : x > y ? -1 : 0;
}

int secrets_collect(const char *home, const struct config *config, struct store *store, struct secrets **out)
{
    char path[4096];
    struct secrets *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return VX11_ENOMEM;
    if (fs_path(path, sizeof path, home, "token") == 0)
        add_file(s, path);
    add_environment(s);
    if (config)
        add_config(s, config);
    if (store)
        (void)store_query(store, "SELECT settings FROM provider", NULL, 0, add_provider, s, NULL);
    if (s->failed) {
        secrets_free(s);
        return VX11_ENOMEM;
    }
    if (s->count > 1) /* one may be part of another */
        qsort(s->list, s->count, sizeof *s->list, longest_first);
    *out = s;
    return 0;
}

void secrets_free(struct secrets *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++) {
        sodium_memzero(s->list[i].text, s->list[i].len);
        free(s->list[i].text);
    }
    free(s->list);
    free(s);
}

/* ---- hiding ---- */

static int64_t words_count(const char *s, size_t len)
{
    int64_t n = 0;
    const char *end = s + len;
    while ((s = memmem(s, (size_t)(end - s), hidden_word, sizeof hidden_word - 1))) {
        n++;
        s += sizeof hidden_word - 1;
    }
    return n;
}

static int literal_redact(const struct secrets *s, const char *text, size_t len, struct buf *out)
{
    const char *at = text, *end = text + len;
    while (at < end) {
        const char *first = NULL;
        size_t which = 0;
        for (size_t i = 0; i < s->count; i++) {
            const char *p = memmem(at, (size_t)(end - at), s->list[i].text, s->list[i].len);
            if (p && (!first || p < first)) {
                first = p;
                which = i;
            }
        }
        if (!first)
            break;
        buf_append(out, at, (size_t)(first - at));
        buf_puts(out, hidden_word);
        at = first + s->list[which].len;
    }
    buf_append(out, at, (size_t)(end - at));
    return out->failed ? VX11_ENOMEM : 0;
}

int secrets_redact(const struct secrets *s, const char *text, size_t len, struct buf *out, int64_t *hidden)
{
    struct buf known = BUF_INIT;
    size_t before = out->len;
    /* The known values first: a look might take a part of one away and leave the rest. */
    int rc = literal_redact(s, text, len, &known);
    if (rc == 0)
        rc = log_redact(known.data ? known.data : "", known.len, out);
    if (rc == 0 && out->len > before)
        *hidden += words_count(out->data + before, out->len - before) - words_count(text, len);
    buf_free(&known);
    return rc;
}

struct walk {
    const struct secrets *s;
    yyjson_mut_doc *doc;
    int64_t *hidden;
    bool failed;
};

static yyjson_mut_val *string_clean(struct walk *w, const char *text, size_t len)
{
    struct buf clean = BUF_INIT;
    yyjson_mut_val *out = NULL;
    if (secrets_redact(w->s, text, len, &clean, w->hidden) == 0)
        out = yyjson_mut_strncpy(w->doc, clean.data ? clean.data : "", clean.len);
    buf_free(&clean);
    w->failed = w->failed || !out;
    return out;
}

static yyjson_mut_val *value_clean(struct walk *w, yyjson_val *v, int depth);

static yyjson_mut_val *object_clean(struct walk *w, yyjson_val *v, int depth)
{
    yyjson_mut_val *out = yyjson_mut_obj(w->doc);
    yyjson_obj_iter it = yyjson_obj_iter_with(v);
    for (yyjson_val *k; (k = yyjson_obj_iter_next(&it));) {
        yyjson_val *of = yyjson_obj_iter_get_val(k);
        yyjson_mut_val *value;
        if (yyjson_is_str(of) && yyjson_get_len(of) > 0 && log_is_secret(yyjson_get_str(k), NULL)) {
            value = yyjson_mut_str(w->doc, hidden_word);
            ++*w->hidden;
        } else {
            value = value_clean(w, of, depth);
        }
        if (!yyjson_mut_obj_add(out, string_clean(w, yyjson_get_str(k), yyjson_get_len(k)), value))
            w->failed = true;
    }
    return out;
}

static yyjson_mut_val *value_clean(struct walk *w, yyjson_val *v, int depth)
{
    if (depth > DEPTH_MAX)
        return yyjson_mut_str(w->doc, "[too deep]");
    if (yyjson_is_str(v))
        return string_clean(w, yyjson_get_str(v), yyjson_get_len(v));
    if (yyjson_is_obj(v))
        return object_clean(w, v, depth + 1);
    if (!yyjson_is_arr(v))
        return yyjson_val_mut_copy(w->doc, v);
    yyjson_mut_val *out = yyjson_mut_arr(w->doc);
    yyjson_arr_iter it = yyjson_arr_iter_with(v);
    for (yyjson_val *e; (e = yyjson_arr_iter_next(&it));)
        if (!yyjson_mut_arr_add_val(out, value_clean(w, e, depth + 1)))
            w->failed = true;
    return out;
}

int secrets_redact_json(const struct secrets *s, const char *text, size_t len, struct buf *out,
                        int64_t *hidden)
{
    yyjson_doc *doc = yyjson_read(text, len, 0);
    if (!doc)
        return secrets_redact(s, text, len, out, hidden);
    struct walk w = {.s = s, .doc = yyjson_mut_doc_new(NULL), .hidden = hidden};
    size_t n = 0;
    char *json = NULL;
    if (w.doc) {
        yyjson_mut_doc_set_root(w.doc, value_clean(&w, yyjson_doc_get_root(doc), 0));
        json = w.failed ? NULL : yyjson_mut_write(w.doc, YYJSON_WRITE_PRETTY_TWO_SPACES, &n);
    }
    if (json) {
        buf_append(out, json, n);
        buf_putc(out, '\n');
    }
    int rc = json && !out->failed ? 0 : VX11_ENOMEM;
    free(json);
    yyjson_mut_doc_free(w.doc);
    yyjson_doc_free(doc);
    return rc;
}
