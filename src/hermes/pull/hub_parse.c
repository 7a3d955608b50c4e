/* What the hub says, read with suspicion: a listing may come from a mirror. What does not look as it should
 * is passed over (a file without a sound path) or is an error (a listing that is no list). */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "hermes/pull/hub.h"
#include "hermes/pull/source.h"

#define MAX_ENTRIES 100000
#define MAX_TAGS    20

static bool is_sha256(const char *s)
{
    return s && strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

static int64_t size_of(yyjson_val *v)
{
    if (!yyjson_is_int(v) || (yyjson_is_uint(v) && yyjson_get_uint(v) > INT64_MAX))
        return -1;
    int64_t n = yyjson_get_sint(v);
    return n >= 0 ? n : -1;
}

static int entry_add(struct hub_listing *out, struct arena *a, const struct hub_entry *e)
{
    if ((out->count & (out->count + 1)) == 0 || out->count == 0) { /* full at 2^n - 1 */
        size_t cap = out->count + 1;
        void *grown = arena_realloc(a, out->entries, out->count * sizeof *e, 2 * cap * sizeof *e);
        if (!grown)
            return VX11_ENOMEM;
        out->entries = grown;
    }
    out->entries[out->count++] = *e;
    return 0;
}

static int entry_read(yyjson_val *v, struct arena *a, struct hub_listing *out)
{
    const char *type = yyjson_get_str(yyjson_obj_get(v, "type")),
               *path = yyjson_get_str(yyjson_obj_get(v, "path"));
    if (!path || !str_eq(type, "file") || !pull_file_valid(path))
        return 0;
    struct hub_entry e = {.path = arena_strdup(a, path), .size = size_of(yyjson_obj_get(v, "size"))};
    yyjson_val *lfs = yyjson_obj_get(v, "lfs");
    const char *oid = yyjson_get_str(yyjson_obj_get(lfs, "oid"));
    if (oid && str_starts(oid, "sha256:"))
        oid += 7;
    if (is_sha256(oid))
        e.sha256 = arena_strdup(a, oid);
    int64_t real = size_of(yyjson_obj_get(lfs, "size"));
    if (real >= 0)
        e.size = real;
    return e.path ? entry_add(out, a, &e) : VX11_ENOMEM;
}

int hub_listing_parse(const char *text, size_t len, struct arena *a, struct hub_listing *out,
                      struct error *err)
{
    struct contract_error bad = {0};
    yyjson_val *root, *v;
    size_t i, max;
    int rc = contract_json_parse(a, text, len, NULL, &root, &bad);
    if (rc != 0)
        return error_set(err, rc == VX11_ENOMEM ? rc : VX11_ECORRUPT,
                         "the hub's listing is no sound JSON: %s", bad.text);
    if (!yyjson_is_arr(root))
        return error_set(err, VX11_ECORRUPT, "the hub's listing is no list");
    yyjson_arr_foreach(root, i, max, v)
    {
        if (out->count >= MAX_ENTRIES)
            return error_set(err, VX11_ETOO_LARGE, "the repository has too many files");
        if (entry_read(v, a, out) != 0)
            return error_set(err, VX11_ENOMEM, "out of memory");
    }
    return 0;
}

/* ---- search ---- */

static void count_read(yyjson_val *v, bool *has, int64_t *out)
{
    *out = size_of(v);
    *has = *out >= 0;
}

static bool model_read(yyjson_val *v, struct arena *a, struct hermes_search_model *out)
{
    const char *id = yyjson_get_str(yyjson_obj_get(v, "id")), *when;
    yyjson_val *tags = yyjson_obj_get(v, "tags"), *tag, *gated = yyjson_obj_get(v, "gated");
    size_t i, max;
    if (!id)
        id = yyjson_get_str(yyjson_obj_get(v, "modelId"));
    if (!id || !pull_repository_valid(id))
        return false;
    *out = (struct hermes_search_model){.repository = arena_strdup(a, id)};
    count_read(yyjson_obj_get(v, "downloads"), &out->has_downloads, &out->downloads);
    count_read(yyjson_obj_get(v, "likes"), &out->has_likes, &out->likes);
    when = yyjson_get_str(yyjson_obj_get(v, "lastModified"));
    out->updated_at = when && strlen(when) < 64 ? arena_strdup(a, when) : NULL;
    out->has_gated = gated != NULL; /* false, "auto" or "manual" */
    out->gated = yyjson_is_str(gated) || yyjson_get_bool(gated);
    out->tags = arena_array(a, MAX_TAGS, sizeof *out->tags);
    yyjson_arr_foreach(tags, i, max, tag)
    {
        const char *t = yyjson_get_str(tag);
        if (t && str_starts(t, "license:"))
            out->licence = arena_strdup(a, t + 8);
        else if (t && strlen(t) <= 64 && out->tags && out->tags_count < MAX_TAGS)
            out->tags[out->tags_count++] = arena_strdup(a, t);
    }
    return true;
}

int hub_search_parse(const char *text, size_t len, struct arena *a, struct hermes_search_reply *out,
                     struct error *err)
{
    struct contract_error bad = {0};
    yyjson_val *root, *v;
    size_t i, max;
    int rc = contract_json_parse(a, text, len, NULL, &root, &bad);
    if (rc != 0 || !yyjson_is_arr(root))
        return error_set(err, rc == VX11_ENOMEM ? rc : VX11_ECORRUPT, "the hub's answer is no list: %s",
                         bad.text);
    out->models = arena_array(a, yyjson_arr_size(root) + 1, sizeof *out->models);
    out->models_count = 0;
    if (!out->models)
        return error_set(err, VX11_ENOMEM, "out of memory");
    yyjson_arr_foreach(root, i, max, v)
    {
        if (model_read(v, a, &out->models[out->models_count]))
            out->models_count++;
    }
    return 0;
}

/* ---- headers ---- */

/* Link: <https://…?cursor=…>; rel="next", <…>; rel="last" */
bool hub_link_next(const char *header, char *out, size_t size)
{
    while (header && (header = strchr(header, '<')) != NULL) {
        const char *end = strchr(++header, '>');
        if (!end)
            return false;
        size_t params = strcspn(end + 1, ",");
        char text[128];
        (void)snprintf(text, sizeof text, "%.*s", (int)params, end + 1);
        if (strcasestr(text, "rel=\"next\"") || strcasestr(text, "rel=next")) {
            size_t len = (size_t)(end - header);
            if (len == 0 || len >= size)
                return false;
            memcpy(out, header, len);
            out[len] = '\0';
            return true;
        }
        header = end + 1 + params;
    }
    return false;
}

bool hub_etag_plain(const char *header, char *out, size_t size, bool *weak)
{
    size_t len;
    *weak = false;
    if (!header)
        return false;
    if (header[0] == 'W' && header[1] == '/') {
        *weak = true;
        header += 2;
    }
    len = strlen(header);
    if (len >= 2 && header[0] == '"' && header[len - 1] == '"') {
        header++;
        len -= 2;
    }
    if (len == 0 || len >= size || memchr(header, '"', len))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)header[i] <= ' ' || (unsigned char)header[i] >= 0x7f)
            return false;
    memcpy(out, header, len);
    out[len] = '\0';
    return true;
}
