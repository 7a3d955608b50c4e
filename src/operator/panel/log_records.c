/* What a log line says, key by key. Lenient: a log may hold anything, half a line of a process that was
 * killed among it; and nothing is lost: what cannot be taken apart is shown as it stands. */
#include "operator/panel/log_records.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define FIELDS_MAX 64

struct taking {
    struct arena *a;
    struct operator_log_record *out;
    struct buf fields; /* the object so far, without its end */
    const char *keys[FIELDS_MAX];
    size_t key_count;
    bool has_message;
};

const char *log_module_file(struct arena *a, const char *module)
{
    return str_starts(module, "engine/") ? arena_printf(a, "engine-%s", module + 7) : arena_strdup(a, module);
}

const char *log_module_name(struct arena *a, const char *file)
{
    return str_starts(file, "engine-") ? arena_printf(a, "engine/%s", file + 7) : arena_strdup(a, file);
}

/* A key that is there already gets a number: an object has each once. */
static const char *key_unique(struct taking *t, const char *key)
{
    const char *name = key;
    for (int n = 2; n < FIELDS_MAX; n++) {
        bool taken = false;
        for (size_t i = 0; i < t->key_count && !taken; i++)
            taken = strcmp(t->keys[i], name) == 0;
        if (!taken)
            return name;
        name = arena_printf(t->a, "%s_%d", key, n);
        if (!name)
            return NULL;
    }
    return NULL;
}

static int take(struct taking *t, const char *key, const char *value)
{
    struct operator_log_record *out = t->out;
    if (strcmp(key, "time") == 0 || strcmp(key, "level") == 0 || strcmp(key, "module") == 0)
        return 0;
    if (strcmp(key, "part") == 0 && !out->part) {
        out->part = value;
        return 0;
    }
    if (strcmp(key, "request_id") == 0 && !out->request_id) {
        out->request_id = value;
        return 0;
    }
    if (strcmp(key, "msg") == 0 && !t->has_message) {
        out->message = value;
        t->has_message = true;
        return 0;
    }
    const char *name = t->key_count < FIELDS_MAX ? key_unique(t, key) : NULL;
    if (!name)
        return 0;
    t->keys[t->key_count++] = name;
    buf_puts(&t->fields, t->fields.len > 1 ? "," : "");
    buf_put_json_string(&t->fields, name, strlen(name));
    buf_putc(&t->fields, ':');
    return buf_put_json_string(&t->fields, value, strlen(value));
}

/* ---- logfmt ---- */

/* One of \n \r \t \" \\ \uXXXX at s[0] == '\\' into out; returns how many bytes of s it took. */
static size_t unescape(const char *s, size_t len, char *out, size_t *n)
{
    uint8_t code[2];
    char digits[5] = "";
    if (len >= 6 && s[1] == 'u') {
        memcpy(digits, s + 2, 4);
        if (hex_decode(digits, code, 2) == 0) { /* only control characters and the like are written so */
            unsigned c = (unsigned)code[0] << 8 | code[1];
            if (c < 0x80) {
                out[(*n)++] = (char)(c ? c : ' ');
            } else if (c < 0x800) {
                out[(*n)++] = (char)(0xC0 | c >> 6);
                out[(*n)++] = (char)(0x80 | (c & 0x3F));
            } else {
                out[(*n)++] = (char)(0xE0 | c >> 12);
                out[(*n)++] = (char)(0x80 | (c >> 6 & 0x3F));
                out[(*n)++] = (char)(0x80 | (c & 0x3F));
            }
            return 6;
        }
    }
    if (len < 2)
        return 1;
    out[(*n)++] = s[1] == 'n' ? '\n' : s[1] == 'r' ? '\r' : s[1] == 't' ? '\t' : s[1];
    return 2;
}

/* The value at *at, unquoted; NULL: out of memory. */
static const char *value_read(struct arena *a, const char *s, size_t len, size_t *at)
{
    bool quoted = *at < len && s[*at] == '"';
    size_t n = 0, i = *at + quoted;
    char *out = arena_alloc(a, len - *at + 1); /* an escape is never shorter than what it stands for */
    if (!out)
        return NULL;
    while (i < len && s[i] != (quoted ? '"' : ' ')) {
        if (quoted && s[i] == '\\')
            i += unescape(s + i, len - i, out, &n);
        else
            out[n++] = s[i++];
    }
    out[n] = '\0';
    *at = i + (quoted && i < len);
    return out;
}

/* False: it is no logfmt from its first word on. */
static bool take_logfmt(struct taking *t, const char *s, size_t len, int *rc)
{
    size_t at = 0;
    while (*rc == 0 && at < len) {
        while (at < len && s[at] == ' ')
            at++;
        size_t key = at;
        while (at < len && s[at] != '=' && s[at] != ' ' && s[at] != '"')
            at++;
        if (at >= len || s[at] != '=' || at == key)
            return at >= len && at == key; /* blanks at the end are fine */
        const char *name = arena_strndup(t->a, s + key, at - key);
        at++;
        const char *value = name ? value_read(t->a, s, len, &at) : NULL;
        *rc = value ? take(t, name, value) : VX11_ENOMEM;
    }
    return true;
}

/* ---- JSON ---- */

static bool take_json(struct taking *t, const char *s, size_t len, int *rc)
{
    struct contract_error bad;
    yyjson_val *root, *key;
    yyjson_obj_iter it;
    const char *copy = arena_strndup(t->a, s, len);
    if (!copy || contract_json_parse(t->a, copy, len, NULL, &root, &bad) != 0 || !yyjson_is_obj(root))
        return false;
    yyjson_obj_iter_init(root, &it);
    while (*rc == 0 && (key = yyjson_obj_iter_next(&it)) != NULL) {
        yyjson_val *v = yyjson_obj_iter_get_val(key);
        struct buf text = BUF_INIT;
        const char *value = yyjson_get_str(v);
        if (!value && contract_json_write(v, &text) == 0)
            value = arena_strndup(t->a, text.data, text.len);
        buf_free(&text);
        *rc = value ? take(t, yyjson_get_str(key), value) : VX11_ENOMEM;
    }
    return true;
}

/* ---- the record ---- */

/* Text from outside: malformed UTF-8 has no place in JSON. */
static const char *sound(struct arena *a, const char *s, size_t len)
{
    struct buf out = BUF_INIT;
    if (utf8_valid(s, len))
        return arena_strndup(a, s, len);
    for (size_t i = 0; i < len;) {
        int step = utf8_next(s + i, len - i);
        size_t n = (size_t)(step < 0 ? -step : step);
        if (step < 0)
            buf_puts(&out, "\xEF\xBF\xBD");
        else
            buf_append(&out, s + i, n);
        i += n;
    }
    const char *copy = out.failed || !out.data ? NULL : arena_strndup(a, out.data, out.len);
    buf_free(&out);
    return copy;
}

int log_record_fill(struct arena *a, const struct log_place *place, enum log_level level, const char *line,
                    size_t len, struct operator_log_record *out)
{
    struct taking t = {.a = a, .out = out};
    struct contract_error bad;
    char id[112];
    int rc = 0;
    *out = (struct operator_log_record){.at = place->time_ms, .level = (int)level};
    out->id = arena_strdup(a, log_place_format(place, id));
    out->module = log_module_name(a, place->module);
    const char *text = sound(a, line, len);
    if (!text || !out->id || !out->module)
        return VX11_ENOMEM;
    len = strlen(text);
    buf_putc(&t.fields, '{');
    bool whole = text[0] == '{' ? take_json(&t, text, len, &rc) : take_logfmt(&t, text, len, &rc);
    if (!whole || !t.has_message) {
        out->message = text;
        buf_clear(&t.fields);
        buf_putc(&t.fields, '{');
        out->part = out->request_id = NULL;
    }
    buf_putc(&t.fields, '}');
    const char *object = rc == 0 && !t.fields.failed ? arena_strndup(a, t.fields.data, t.fields.len) : NULL;
    if (!object || contract_json_parse(a, object, t.fields.len, NULL, &out->fields, &bad) != 0)
        rc = rc != 0 ? rc : VX11_ENOMEM;
    buf_free(&t.fields);
    return rc;
}
