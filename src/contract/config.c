/* Config: load. The file's YAML becomes a JSON tree, the environment is put over it, and the one validation
 * path of the contract turns it into structs. Beside the tree we keep, for each key that was given, where:
 * errors name the line, and `config show --origin` tells. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "contract/config_internal.h"

int config_origin_add(struct config *cfg, const char *pointer, const char *env, int line, bool whole)
{
    if (cfg->origin_count == cfg->origin_cap) {
        size_t cap = cfg->origin_cap ? 2 * cfg->origin_cap : 64, size = sizeof *cfg->origins;
        struct config_origin *grown =
            arena_realloc(cfg->arena, cfg->origins, cfg->origin_cap * size, cap * size);
        if (grown == NULL) {
            return VX11_ENOMEM;
        }
        cfg->origins = grown;
        cfg->origin_cap = cap;
    }
    cfg->origins[cfg->origin_count++] = (struct config_origin){pointer, env, line, whole};
    return 0;
}

/* Later records win: the environment is read after the file. */
static const struct config_origin *origin_exact(const struct config *cfg, const char *pointer, size_t len)
{
    for (size_t i = cfg->origin_count; i-- > 0;) {
        if (strncmp(cfg->origins[i].pointer, pointer, len) == 0 && cfg->origins[i].pointer[len] == '\0') {
            return &cfg->origins[i];
        }
    }
    return NULL;
}

const struct config_origin *config_origin_find(const struct config *cfg, const char *pointer, bool *exact)
{
    size_t full = strlen(pointer);
    for (size_t len = full;; len--) {
        if (len == full || pointer[len] == '/') {
            const struct config_origin *o = origin_exact(cfg, pointer, len);
            if (o != NULL) {
                *exact = len == full || o->whole;
                return o;
            }
        }
        if (len == 0) {
            return NULL;
        }
    }
}

const char *config_pointer_join(struct arena *a, const char *pointer, const char *key)
{
    size_t base = strlen(pointer), n = base + 1, extra = 0;
    for (const char *p = key; *p != '\0'; p++) {
        extra += *p == '~' || *p == '/';
    }
    char *out = arena_alloc(a, n + strlen(key) + extra + 1);
    if (out == NULL) {
        return NULL;
    }
    memcpy(out, pointer, base);
    out[base] = '/';
    for (const char *p = key; *p != '\0'; p++) {
        if (*p == '~' || *p == '/') {
            out[n++] = '~';
            out[n++] = *p == '~' ? '0' : '1';
        } else {
            out[n++] = *p;
        }
    }
    out[n] = '\0';
    return out;
}

void config_key_of_pointer(const char *pointer, char *out, size_t size)
{
    size_t n = 0;
    const char *p = pointer;
    while (*p == '/' && n + 3 < size) {
        p++;
        size_t len = strcspn(p, "/"), digits = strspn(p, "0123456789");
        bool index = len > 0 && len == digits;
        if (index) {
            out[n++] = '[';
        } else if (n > 0) {
            out[n++] = '.';
        }
        for (const char *end = p + len; p < end && n + 3 < size; p++) {
            if (p[0] == '~' && (p[1] == '0' || p[1] == '1')) {
                p++;
                out[n++] = *p == '0' ? '~' : '/';
            } else {
                out[n++] = *p;
            }
        }
        p += strcspn(p, "/");
        if (index) {
            out[n++] = ']';
        }
    }
    out[n] = '\0';
}

/* --- errors
 * -------------------------------------------------------------------------------------------------------- */

/* "FILE:LINE: " or "NAME: " of what a contract error points to. */
static void place_write(const struct config *cfg, const char *name, const char *pointer, char *out,
                        size_t size)
{
    bool exact;
    const struct config_origin *o = config_origin_find(cfg, pointer, &exact);
    if (o == NULL) {
        snprintf(out, size, "%s", name);
    } else if (o->env != NULL) {
        snprintf(out, size, "%s", o->env);
    } else {
        snprintf(out, size, "%s:%d", name, o->line);
    }
}

/* Turns what the contract said into a sentence for who edits the file. */
static int contract_error_tell(const struct config *cfg, const char *name, const struct contract_error *ce,
                               struct error *err)
{
    static const char unknown[] = "is not known";
    char key[300], place[300];
    config_key_of_pointer(ce->pointer, key, sizeof key);
    place_write(cfg, name, ce->pointer, place, sizeof place);
    if (strncmp(ce->text, unknown, sizeof unknown - 1) == 0) {
        return error_set(err, ce->code, "%s: unknown key %s%s", place, key, ce->text + sizeof unknown - 1);
    }
    return error_set(err, ce->code, "%s: %s %s", place, *key ? key : "the configuration", ce->text);
}

/* --- load
 * ----------------------------------------------------------------------------------------------------------
 */

/* The tree in `doc` into cfg->values, and those back into cfg->effective. */
static int values_read(struct config *cfg, const char *name, yyjson_mut_doc *doc, struct error *err)
{
    struct buf text = BUF_INIT;
    struct contract_error ce = {0};
    yyjson_alc alc;
    contract_json_allocator(cfg->arena, &alc);
    yyjson_doc *fixed = yyjson_mut_doc_imut_copy(doc, &alc);
    struct config_config *values = arena_alloc(cfg->arena, sizeof *values);
    if (fixed == NULL || values == NULL) {
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    const struct contract_limits limits = {.strict = true, .max_bytes = CONFIG_MEMORY};
    cfg->values = values;
    int rc = contract_parse_value(&config_config_message, cfg->arena, yyjson_doc_get_root(fixed), &limits,
                                  values, &ce);
    if (rc == 0) {
        rc = config_check(cfg, &ce);
    }
    if (rc != 0) {
        rc = contract_error_tell(cfg, name, &ce, err);
        goto out;
    }
    rc = config_config_serialize(values, &text);
    if (rc == 0) {
        rc = contract_json_parse(cfg->arena, text.data, text.len, &limits, &cfg->effective, &ce);
    }
    if (rc != 0) {
        error_set(err, rc, "the configuration cannot be kept: %s", error_describe(rc));
    }
out:
    buf_free(&text);
    return rc;
}

int config_load_text(const char *name, const char *text, size_t len, const char *const *env,
                     struct config **out, struct error *err)
{
    struct arena *a = arena_create(CONFIG_MEMORY);
    struct config *cfg = a != NULL ? arena_zalloc(a, sizeof *cfg) : NULL;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    int rc = VX11_ENOMEM;
    *out = NULL;
    if (cfg == NULL || doc == NULL) {
        error_set(err, rc, "out of memory");
        goto fail;
    }
    cfg->arena = a;
    cfg->path = text != NULL ? arena_strdup(a, name) : NULL;
    rc = config_yaml_read(cfg, &config_config_message, name, text ? text : "", len, doc, err);
    if (rc == 0 && env != NULL) {
        rc = config_env_apply(cfg, &config_config_message, env, doc, err);
    }
    if (rc == 0) {
        rc = values_read(cfg, name, doc, err);
    }
    if (rc != 0) {
        goto fail;
    }
    yyjson_mut_doc_free(doc);
    *out = cfg;
    return 0;
fail:
    yyjson_mut_doc_free(doc);
    arena_destroy(a);
    return rc;
}

int config_load(const char *path, struct config **out, struct error *err)
{
    struct buf text = BUF_INIT;
    struct error local = {0};
    *out = NULL;
    int rc = path != NULL ? fs_read_file(path, CONFIG_FILE_MAX, &text, &local) : VX11_ENOT_FOUND;
    if (rc == 0) {
        rc = config_load_text(path, text.data ? text.data : "", text.len, (const char *const *)environ, out,
                              err);
    } else if (rc == VX11_ENOT_FOUND) {
        rc = config_load_text("the environment", NULL, 0, (const char *const *)environ, out, err);
    } else {
        error_set(err, rc, "%s", local.text);
    }
    buf_free(&text);
    return rc;
}

void config_free(struct config *cfg)
{
    if (cfg != NULL) {
        arena_destroy(cfg->arena); /* cfg itself lies in it */
    }
}

int config_path(char *out, size_t size, struct error *err)
{
    const char *given = getenv("VX11_CONFIG");
    if (given != NULL && *given != '\0') {
        if (strlen(given) >= size) {
            return error_set(err, VX11_ETOO_LARGE, "VX11_CONFIG is too long");
        }
        memcpy(out, given, strlen(given) + 1);
        return 0;
    }
    char home[4096];
    int rc = fs_home(home, sizeof home, err);
    if (rc == 0 && (rc = fs_path(out, size, home, "config.yaml")) != 0) {
        error_set(err, rc, "the path of VX11's home is too long");
    }
    return rc;
}
