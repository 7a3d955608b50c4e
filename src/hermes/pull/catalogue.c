/* The file is read once, whole, into one arena. */
#include "hermes/pull/catalogue.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fs.h"
#include "base/str.h"
#include "contract/yaml.h"
#include "embed/catalogue.h"
#include "hermes/pull/source.h"

#define FILE_MAX ((size_t)1 << 20)

struct catalogue {
    struct arena *arena;
    const char *origin;
    struct hermes_catalogue_file file;
};

int64_t catalogue_ram_bytes(int64_t size_bytes)
{
    return size_bytes + size_bytes / 100 * 15 + (INT64_C(256) << 20);
}

static int check(const struct catalogue *c, const char *name, struct error *err)
{
    const struct hermes_catalogue_model *m = c->file.models;
    for (size_t i = 0; i < c->file.models_count; i++) {
        if (!pull_file_valid(m[i].file) || !pull_repository_valid(m[i].repository) ||
            (m[i].revision && !pull_revision_valid(m[i].revision)))
            return error_set(err, VX11_EINVALID, "%s: the place of %s is not sound", name, m[i].name);
        for (size_t k = 0; k < i; k++)
            if (strcmp(m[i].name, m[k].name) == 0)
                return error_set(err, VX11_EINVALID, "%s: %s is there twice", name, m[i].name);
    }
    return 0;
}

int catalogue_load(const char *path, struct catalogue **out, struct error *err)
{
    struct buf text = BUF_INIT;
    struct arena *a = arena_create(0);
    struct catalogue *c = a ? arena_zalloc(a, sizeof *c) : NULL;
    if (!c) {
        arena_destroy(a);
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    c->arena = a;
    c->origin = path[0] ? arena_strdup(a, path) : "built in";
    const char *name = path[0] ? path : "models/catalogue.yaml";
    int rc = c->origin ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0 && path[0])
        rc = fs_read_file(path, FILE_MAX, &text, err);
    else if (rc == 0 && buf_append(&text, embed_catalogue_data, embed_catalogue_size) != 0)
        rc = error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0)
        rc = contract_yaml_parse(&hermes_catalogue_file_message, a, name, text.data ? text.data : "",
                                 text.len, &c->file, err);
    if (rc == 0)
        rc = check(c, name, err);
    buf_free(&text);
    if (rc != 0)
        arena_destroy(a);
    else
        *out = c;
    return rc;
}

void catalogue_free(struct catalogue *c)
{
    if (c)
        arena_destroy(c->arena);
}

const char *catalogue_origin(const struct catalogue *c)
{
    return c->origin;
}

const struct hermes_catalogue_model *catalogue_models(const struct catalogue *c, size_t *n)
{
    *n = c->file.models_count;
    return c->file.models;
}

int catalogue_find(const struct catalogue *c, const char *name, const struct hermes_catalogue_model **out,
                   struct error *err)
{
    size_t n = c->file.models_count, near[3], found;
    const char **names = calloc(n + 1, sizeof *names);
    if (!names)
        return error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        names[i] = c->file.models[i].name;
        if (strcmp(names[i], name) == 0) {
            *out = &c->file.models[i];
            free(names);
            return 0;
        }
    }
    found = str_nearest(name, names, n, near, COUNT_OF(near));
    error_set(err, VX11_ENOT_FOUND,
              "the catalogue has no \"%.128s\"%s%s%s%s (a repository of the hub is written hf:OWNER/REPO)",
              name, found > 0 ? "; the nearest: " : "", found > 0 ? names[near[0]] : "",
              found > 1 ? ", " : "", found > 1 ? names[near[1]] : "");
    free(names);
    return VX11_ENOT_FOUND;
}
