/* Config show: the effective configuration as YAML that loads again, where each value came from, and what a
 * reload changes. All three walk the table and the effective values side by side. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "contract/config_internal.h"

static const char masked[] = "[redacted]";

struct walk {
    const struct config *cfg;
    struct buf *out;
    bool with_origin;
};

/* --- YAML
 * ----------------------------------------------------------------------------------------------------------
 */

static bool plain_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("_./-", c) != NULL;
}

/* True when a string can stand without quotes and reads back as itself whatever the reader guesses. */
static bool is_plain(const char *s)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
    double d;
    if (*s == '\0' || *s == '-' || *s == '.' || str_to_f64(s, &d) == 0) {
        return false;
    }
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (str_distance(s, words[i], 0) == 0) {
            return false;
        }
    }
    for (; *s != '\0'; s++) {
        if (!plain_character(*s)) {
            return false;
        }
    }
    return true;
}

static void scalar_put(struct walk *w, const struct contract_field *f, yyjson_val *v)
{
    if ((f->flags & CONTRACT_SECRET) != 0) {
        buf_put_json_string(w->out, masked, sizeof masked - 1);
    } else if (yyjson_is_str(v) && (f->type == CONTRACT_ENUM || is_plain(yyjson_get_str(v)))) {
        buf_puts(w->out, yyjson_get_str(v));
    } else if (contract_json_write(v, w->out) != 0) {
        w->out->failed = true;
    }
}

static void origin_write(const struct config *cfg, const char *pointer, char *out, size_t size)
{
    bool exact = false;
    const struct config_origin *o = config_origin_find(cfg, pointer, &exact);
    if (o == NULL || !exact) {
        snprintf(out, size, "default");
    } else if (o->env != NULL) {
        snprintf(out, size, "%s", o->env);
    } else {
        snprintf(out, size, "%s:%d", cfg->path, o->line);
    }
}

static void line_end(struct walk *w, const char *pointer)
{
    if (w->with_origin) {
        char origin[512];
        origin_write(w->cfg, pointer, origin, sizeof origin);
        buf_printf(w->out, "  # %s", origin);
    }
    buf_putc(w->out, '\n');
}

static void message_put(struct walk *w, const struct contract_message *m, yyjson_val *v, const char *pointer,
                        int indent, bool in_list);

static bool is_message_list(const struct contract_field *f)
{
    return f->type == CONTRACT_ARRAY && f->element->type == CONTRACT_MESSAGE;
}

static void list_put(struct walk *w, const struct contract_field *f, yyjson_val *v, const char *pointer,
                     int indent)
{
    size_t i, n;
    yyjson_val *item;
    if (yyjson_arr_size(v) == 0) {
        buf_puts(w->out, " []");
        line_end(w, pointer);
        return;
    }
    buf_putc(w->out, '\n');
    yyjson_arr_foreach(v, i, n, item)
    {
        const char *where = arena_printf(w->cfg->arena, "%s/%zu", pointer, i);
        buf_printf(w->out, "%*s- ", indent, "");
        message_put(w, f->element->message, item, where ? where : "", indent + 2, true);
    }
}

/* in_list: the first key follows "- " on the same line. */
static void message_put(struct walk *w, const struct contract_message *m, yyjson_val *v, const char *pointer,
                        int indent, bool in_list)
{
    bool first = in_list;
    for (size_t i = 0; i < m->field_count; i++) {
        const struct contract_field *f = &m->fields[i];
        yyjson_val *val = yyjson_obj_get(v, f->name);
        const char *where = val != NULL ? config_pointer_join(w->cfg->arena, pointer, f->name) : NULL;
        if (val == NULL || where == NULL) {
            w->out->failed = w->out->failed || val != NULL;
            continue;
        }
        buf_printf(w->out, "%*s%s:", first ? 0 : indent, "", f->name);
        first = false;
        if (f->type == CONTRACT_MESSAGE && yyjson_is_obj(val)) {
            buf_putc(w->out, '\n');
            message_put(w, f->message, val, where, indent + 2, false);
        } else if (is_message_list(f) && yyjson_is_arr(val)) {
            list_put(w, f, val, where, indent + 2);
        } else {
            buf_putc(w->out, ' ');
            scalar_put(w, f, val);
            line_end(w, where);
        }
    }
}

int config_yaml_write(const struct config *cfg, const struct contract_message *m, yyjson_val *v,
                      bool with_origin, struct buf *out)
{
    struct walk w = {cfg, out, with_origin};
    message_put(&w, m, v, "", 0, false);
    return out->failed ? VX11_ENOMEM : 0;
}

int config_show(const struct config *cfg, bool with_origin, struct buf *out)
{
    return config_yaml_write(cfg, &config_config_message, cfg->effective, with_origin, out);
}

/* "switch.providers[0].name" -> "/switch/providers/0/name"; false when it does not fit. */
static bool key_to_pointer(const char *key, char *out, size_t size)
{
    size_t n = 0;
    if (size > 1) {
        out[n++] = '/';
    }
    for (; *key != '\0' && n + 1 < size; key++) {
        if (*key != ']') {
            out[n++] = *key == '.' || *key == '[' ? '/' : *key;
        }
    }
    out[n] = '\0';
    return *key == '\0';
}

int config_origin_of(const struct config *cfg, const char *key, char *out, size_t size)
{
    char pointer[512];
    if (!key_to_pointer(key, pointer, sizeof pointer)) {
        return VX11_ENOT_FOUND;
    }
    if (unsafe_yyjson_ptr_getx(cfg->effective, pointer, strlen(pointer), NULL) == NULL) {
        return VX11_ENOT_FOUND;
    }
    origin_write(cfg, pointer, out, size);
    return 0;
}

/* --- diff
 * ----------------------------------------------------------------------------------------------------------
 */

struct diff {
    struct arena *arena;
    struct config_change *changes;
    size_t count, cap;
    bool failed;
};

/* One side of a change as text; long values are cut, since they are for people. */
static const char *side_text(struct diff *d, const struct contract_field *f, yyjson_val *v)
{
    enum { CUT = 200 };
    struct buf text = BUF_INIT;
    const char *out = NULL;
    if ((f->flags & CONTRACT_SECRET) != 0) {
        return masked;
    }
    if (v == NULL) {
        return "null";
    }
    if (contract_json_write(v, &text) == 0) {
        size_t len = text.len > CUT ? utf8_valid_prefix(text.data, CUT) : text.len;
        out = arena_printf(d->arena, "%.*s%s", (int)len, text.data, len < text.len ? "..." : "");
    }
    buf_free(&text);
    return out;
}

static void change_add(struct diff *d, const struct contract_field *f, const char *pointer,
                       yyjson_val *before, yyjson_val *after, bool restart)
{
    if (d->count == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 16, size = sizeof *d->changes;
        struct config_change *grown = arena_realloc(d->arena, d->changes, d->cap * size, cap * size);
        if (grown == NULL) {
            d->failed = true;
            return;
        }
        d->changes = grown;
        d->cap = cap;
    }
    char key[512];
    config_key_of_pointer(pointer, key, sizeof key);
    struct config_change *c = &d->changes[d->count++];
    c->key = arena_strdup(d->arena, key);
    c->before = side_text(d, f, before);
    c->after = side_text(d, f, after);
    c->restart = restart;
    d->failed = d->failed || c->key == NULL || c->before == NULL || c->after == NULL;
}

static bool values_equal(yyjson_val *a, yyjson_val *b)
{
    return a == b || (a != NULL && b != NULL && yyjson_equals(a, b));
}

static void message_diff(struct diff *d, const struct contract_message *m, yyjson_val *a, yyjson_val *b,
                         const char *pointer, bool restart);

static void field_diff(struct diff *d, const struct contract_field *f, yyjson_val *a, yyjson_val *b,
                       const char *pointer, bool restart)
{
    if (f->type == CONTRACT_MESSAGE && yyjson_is_obj(a) && yyjson_is_obj(b)) {
        message_diff(d, f->message, a, b, pointer, restart);
        return;
    }
    if (is_message_list(f) && yyjson_arr_size(a) == yyjson_arr_size(b)) {
        size_t i, n;
        yyjson_val *item;
        yyjson_arr_foreach(a, i, n, item)
        {
            const char *where = arena_printf(d->arena, "%s/%zu", pointer, i);
            if (where == NULL) {
                d->failed = true;
                return;
            }
            message_diff(d, f->element->message, item, yyjson_arr_get(b, i), where, restart);
        }
        return;
    }
    change_add(d, f, pointer, a, b, restart);
}

static void message_diff(struct diff *d, const struct contract_message *m, yyjson_val *a, yyjson_val *b,
                         const char *pointer, bool restart)
{
    for (size_t i = 0; i < m->field_count && !d->failed; i++) {
        const struct contract_field *f = &m->fields[i];
        yyjson_val *va = yyjson_obj_get(a, f->name), *vb = yyjson_obj_get(b, f->name);
        if (values_equal(va, vb)) {
            continue;
        }
        const char *where = config_pointer_join(d->arena, pointer, f->name);
        if (where == NULL) {
            d->failed = true;
            return;
        }
        field_diff(d, f, va, vb, where, restart || (f->flags & CONTRACT_RESTART) != 0);
    }
}

int config_diff(const struct config *before, const struct config *after, struct arena *a,
                struct config_change **out, size_t *count)
{
    struct diff d = {.arena = a};
    message_diff(&d, &config_config_message, before->effective, after->effective, "", false);
    *out = d.changes;
    *count = d.count;
    return d.failed ? VX11_ENOMEM : 0;
}
