/* Config values: the effective configuration as a list of keys, for whoever shows it piece by piece. */
#include <stdio.h>
#include <string.h>

#include "contract/config_internal.h"

struct listing {
    const struct config *cfg;
    struct arena *arena;
    struct config_value *list;
    size_t count, cap;
};

static int value_add(struct listing *l, const struct contract_field *f, yyjson_val *v, const char *pointer)
{
    bool exact = false;
    const struct config_origin *origin = config_origin_find(l->cfg, pointer, &exact);
    char key[256];
    if (l->count == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 256;
        struct config_value *list =
            arena_realloc(l->arena, l->list, l->cap * sizeof *list, cap * sizeof *list);
        if (list == NULL) {
            return VX11_ENOMEM;
        }
        l->list = list;
        l->cap = cap;
    }
    struct config_value *out = &l->list[l->count++];
    config_key_of_pointer(pointer, key, sizeof key);
    *out = (struct config_value){.key = arena_strdup(l->arena, key),
                                 .value = (f->flags & CONTRACT_SECRET) != 0 ? NULL : v,
                                 .field = f,
                                 .from = CONFIG_FROM_DEFAULT};
    if (origin != NULL && exact && origin->env != NULL) {
        out->from = CONFIG_FROM_ENVIRONMENT;
        out->source = origin->env;
    } else if (origin != NULL && exact) {
        out->from = CONFIG_FROM_FILE;
        out->source = arena_printf(l->arena, "%s:%d", l->cfg->path, origin->line);
    }
    return out->key != NULL && (out->from == CONFIG_FROM_DEFAULT || out->source != NULL) ? 0 : VX11_ENOMEM;
}

static int message_add(struct listing *l, const struct contract_message *m, yyjson_val *v,
                       const char *pointer);

static int list_add(struct listing *l, const struct contract_message *m, yyjson_val *v, const char *pointer)
{
    size_t i, n;
    yyjson_val *item;
    int rc = 0;
    yyjson_arr_foreach(v, i, n, item)
    {
        const char *where = arena_printf(l->arena, "%s/%zu", pointer, i);
        rc = where != NULL ? message_add(l, m, item, where) : VX11_ENOMEM;
        if (rc != 0) {
            break;
        }
    }
    return rc;
}

static int message_add(struct listing *l, const struct contract_message *m, yyjson_val *v,
                       const char *pointer)
{
    for (size_t i = 0; i < m->field_count; i++) {
        const struct contract_field *f = &m->fields[i];
        yyjson_val *val = yyjson_obj_get(v, f->name);
        const char *where = config_pointer_join(l->arena, pointer, f->name);
        int rc;
        if (where == NULL) {
            return VX11_ENOMEM;
        }
        if (f->type == CONTRACT_MESSAGE && yyjson_is_obj(val)) {
            rc = message_add(l, f->message, val, where);
        } else if (f->type == CONTRACT_ARRAY && f->element->type == CONTRACT_MESSAGE &&
                   yyjson_arr_size(val) > 0) {
            rc = list_add(l, f->element->message, val, where);
        } else {
            rc = value_add(l, f, val, where);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int config_values(const struct config *cfg, struct arena *a, struct config_value **out, size_t *count)
{
    struct listing l = {.cfg = cfg, .arena = a};
    int rc = message_add(&l, &config_config_message, cfg->effective, "");
    *out = l.list;
    *count = l.count;
    return rc;
}
