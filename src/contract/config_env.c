/* Config env: VX11_SECTION__KEY over the file. Two underscores part the levels, one is part of a name; case
 * does not matter. Values are read by the field's type: lists and objects are JSON. A variable of this form
 * that names no key is an error, like a key of the file; variables without two underscores (VX11_HOME) are
 * not ours. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "contract/config_internal.h"

static int unknown_key(const struct contract_message *m, const char *name, const char *pointer,
                       const char *segment, struct error *err)
{
    const char *names[CONTRACT_FIELDS_MOST];
    char key[256];
    size_t nearest = 0;
    for (size_t i = 0; i < m->field_count; i++) {
        names[i] = m->fields[i].name;
    }
    config_key_of_pointer(pointer, key, sizeof key);
    if (str_nearest(segment, names, m->field_count, &nearest, 1) > 0) {
        return error_set(err, VX11_EINVALID, "%s: unknown key %s%s%s; did you mean %s?", name, key,
                         *key ? "." : "", segment, names[nearest]);
    }
    return error_set(err, VX11_EINVALID, "%s: unknown key %s%s%s", name, key, *key ? "." : "", segment);
}

static const struct contract_field *field_find(const struct contract_message *m, const char *segment)
{
    for (size_t i = 0; i < m->field_count; i++) {
        if (strcasecmp(m->fields[i].name, segment) == 0) {
            return &m->fields[i];
        }
    }
    return NULL;
}

/* The text of a variable as a value of the field. */
static yyjson_mut_val *value_read(struct config *cfg, yyjson_mut_doc *doc, const struct contract_field *f,
                                  const char *name, const char *key, const char *text, struct error *err)
{
    bool structured = f->type == CONTRACT_ARRAY || f->type == CONTRACT_MESSAGE || f->type == CONTRACT_JSON;
    yyjson_mut_val *v;
    if (structured) {
        yyjson_val *json = NULL;
        struct contract_error ce;
        if (contract_json_parse(cfg->arena, text, strlen(text), NULL, &json, &ce) != 0) {
            error_set(err, VX11_EINVALID, "%s: %s must be JSON, such as %s: it %s", name, key,
                      f->type == CONTRACT_ARRAY ? "[\"a\", \"b\"]" : "{\"a\": \"b\"}", ce.text);
            return NULL;
        }
        v = yyjson_val_mut_copy(doc, json);
    } else {
        v = config_scalar(doc, f, text);
    }
    if (v == NULL) {
        error_set(err, VX11_ENOMEM, "out of memory");
    }
    return v;
}

/* Puts value at obj[key], in place of what is there. */
static bool object_put(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, yyjson_mut_val *value)
{
    yyjson_mut_val *k = yyjson_mut_strcpy(doc, key);
    return k != NULL && yyjson_mut_obj_put(obj, k, value);
}

static int variable_apply(struct config *cfg, const struct contract_message *m, const char *name, char *path,
                          const char *text, yyjson_mut_doc *doc, struct error *err)
{
    yyjson_mut_val *obj = yyjson_mut_doc_get_root(doc);
    const char *pointer = "";
    for (char *segment = path, *next; segment != NULL; segment = next) {
        next = strstr(segment, "__");
        if (next != NULL) {
            *next = '\0';
            next += 2;
        }
        const struct contract_field *f = field_find(m, segment);
        if (f == NULL) {
            return unknown_key(m, name, pointer, segment, err);
        }
        pointer = config_pointer_join(cfg->arena, pointer, f->name);
        if (pointer == NULL) {
            return error_set(err, VX11_ENOMEM, "out of memory");
        }
        if (!yyjson_mut_is_obj(obj)) {
            return 0; /* the file has something else there: the check will name its line */
        }
        yyjson_mut_val *child = yyjson_mut_obj_get(obj, f->name);
        if (next == NULL) {
            char key[256];
            config_key_of_pointer(pointer, key, sizeof key);
            yyjson_mut_val *v = value_read(cfg, doc, f, name, key, text, err);
            if (v == NULL) {
                return VX11_EINVALID;
            }
            return object_put(doc, obj, f->name, v) && config_origin_add(cfg, pointer, name, 0, true) == 0
                       ? 0
                       : error_set(err, VX11_ENOMEM, "out of memory");
        }
        if (f->type != CONTRACT_MESSAGE) {
            return error_set(err, VX11_EINVALID, "%s: nothing can be set inside %s; give it whole", name,
                             f->name);
        }
        if (child == NULL &&
            ((child = yyjson_mut_obj(doc)) == NULL || !object_put(doc, obj, f->name, child))) {
            return error_set(err, VX11_ENOMEM, "out of memory");
        }
        m = f->message;
        obj = child;
    }
    return 0;
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "VX11_LINK__PORT=9000" is one of ours; "VX11_HOME=/x__y" is not. */
static bool is_ours(const char *entry)
{
    const char *equals = strchr(entry, '='), *part = strstr(entry, "__");
    return strncmp(entry, "VX11_", 5) == 0 && equals != NULL && part != NULL && part < equals;
}

static int entry_apply(struct config *cfg, const struct contract_message *m, const char *entry,
                       yyjson_mut_doc *doc, struct error *err)
{
    size_t len = strcspn(entry, "=");
    const char *text = entry + len + 1;
    char *name = arena_strndup(cfg->arena, entry, len), *path = arena_strndup(cfg->arena, entry + 5, len - 5);
    if (name == NULL || path == NULL) {
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    if (!utf8_valid(entry, strlen(entry))) {
        return error_set(err, VX11_EINVALID,
                         "an environment variable that begins with VX11_ is not UTF-8 text");
    }
    for (char *p = path; *p != '\0'; p++) {
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    }
    return variable_apply(cfg, m, name, path, text, doc, err);
}

int config_env_apply(struct config *cfg, const struct contract_message *m, const char *const *env,
                     yyjson_mut_doc *doc, struct error *err)
{
    size_t n = 0;
    for (const char *const *e = env; *e != NULL; e++) {
        n += is_ours(*e);
    }
    const char **ours = n > 0 ? arena_array(cfg->arena, n, sizeof *ours) : NULL;
    if (n > 0 && ours == NULL) {
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    size_t k = 0;
    for (const char *const *e = env; *e != NULL && k < n; e++) {
        if (is_ours(*e)) {
            ours[k++] = *e;
        }
    }
    if (n > 0) { /* so that the order in the environment does not matter */
        qsort(ours, n, sizeof *ours, name_compare);
    }
    for (size_t i = 0; i < n; i++) {
        int rc = entry_apply(cfg, m, ours[i], doc, err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
