/* A route's path and query from the struct of its parameters.
 *
 *   "/hermes/models/{name}" + {name: "a/b", limit: 5, tag: ["x", "y"]} ->
 * "/hermes/models/a%2Fb?limit=5&tag=x&tag=y"
 *
 * Fields that the path names go into the path, all others that are there into the query, arrays once per
 * element. */
#include "net/client_internal.h"

#include <string.h>

#include "net/url.h"

/* One value, not an array, as text. `at` points to the member. */
static int value_text(const struct contract_field *f, const void *at, struct buf *out)
{
    yyjson_val v = {0};
    switch (f->type) {
    case CONTRACT_BOOL:
        return buf_puts(out, *(const bool *)at ? "true" : "false");
    case CONTRACT_INTEGER:
    case CONTRACT_TIMESTAMP:
        return buf_printf(out, "%lld", (long long)*(const int64_t *)at);
    case CONTRACT_NUMBER:
        unsafe_yyjson_set_real(&v, *(const double *)at);
        return contract_json_write(&v, out);
    case CONTRACT_STRING:
    case CONTRACT_ULID:
        return buf_puts(out, *(const char *const *)at);
    case CONTRACT_ENUM: {
        int i = *(const int *)at;
        return i >= 0 && (size_t)i < f->values_count ? buf_puts(out, f->values[i]) : VX11_EINVALID;
    }
    case CONTRACT_JSON:
        return contract_json_write(*(const yyjson_val *const *)at, out);
    case CONTRACT_MESSAGE:
    case CONTRACT_ARRAY:
        break;
    }
    return VX11_EUNSUPPORTED;
}

static bool value_is_pointer(enum contract_type t)
{
    return t == CONTRACT_STRING || t == CONTRACT_ULID || t == CONTRACT_JSON || t == CONTRACT_MESSAGE;
}

static bool field_absent(const struct contract_field *f, const void *params)
{
    const char *base = params;
    if (f->has_offset != SIZE_MAX)
        return !*(const bool *)(const void *)(base + f->has_offset);
    return value_is_pointer(f->type) && *(void *const *)(const void *)(base + f->offset) == NULL;
}

static size_t element_size(const struct contract_field *f)
{
    switch (f->type) {
    case CONTRACT_BOOL:
        return sizeof(bool);
    case CONTRACT_ENUM:
        return sizeof(int);
    case CONTRACT_INTEGER:
    case CONTRACT_TIMESTAMP:
        return sizeof(int64_t);
    case CONTRACT_NUMBER:
        return sizeof(double);
    default:
        return sizeof(void *);
    }
}

static int query_pair(const struct contract_field *field, const struct contract_field *type, const void *at,
                      struct buf *text, struct buf *out, char *separator)
{
    buf_clear(text);
    if (value_is_pointer(type->type) && *(void *const *)at == NULL)
        return VX11_EINVALID; /* an array's element */
    int rc = value_text(type, at, text);
    if (rc != 0)
        return rc;
    buf_putc(out, *separator);
    *separator = '&';
    url_encode(out, field->name, strlen(field->name), false);
    buf_putc(out, '=');
    return url_encode(out, text->data ? text->data : "", text->len, false);
}

static int query_field(const struct contract_field *f, const void *params, struct buf *text, struct buf *out,
                       char *separator)
{
    const char *base = params;
    if (field_absent(f, params))
        return 0;
    if (f->type != CONTRACT_ARRAY)
        return query_pair(f, f, base + f->offset, text, out, separator);
    const char *elements = *(const char *const *)(const void *)(base + f->offset);
    size_t count = *(const size_t *)(const void *)(base + f->count_offset), size = element_size(f->element);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = query_pair(f, f->element, elements + i * size, text, out, separator);
    return rc;
}

/* A value in the path. "." and ".." alone would be path arithmetic to whoever normalizes the URL on the way,
 * so their dots are written as escapes too. */
static int path_value(const char *s, size_t len, bool rest, struct buf *out)
{
    while (len > 0) {
        const char *slash = rest ? memchr(s, '/', len) : NULL;
        size_t part = slash ? (size_t)(slash - s) : len;
        if ((part == 1 && s[0] == '.') || (part == 2 && s[0] == '.' && s[1] == '.'))
            buf_puts(out, part == 1 ? "%2E" : "%2E%2E");
        else
            url_encode(out, s, part, false);
        if (slash)
            buf_putc(out, '/');
        s += part + (slash != NULL);
        len -= part + (slash != NULL);
    }
    return out->failed ? VX11_ENOMEM : 0;
}

static int path_placeholder(const struct contract_route *route, const char *name, size_t len,
                            const void *params, struct buf *text, struct buf *out, struct error *err)
{
    bool rest = len > 0 && name[len - 1] == '*';
    char field_name[128];
    len -= rest;
    if (len >= sizeof field_name || route->params == NULL || params == NULL)
        return error_set(err, VX11_EINVALID, "%s: the path needs parameters", route->id);
    memcpy(field_name, name, len);
    field_name[len] = 0;
    const struct contract_field *f = contract_field_find(route->params, field_name);
    if (f == NULL || field_absent(f, params))
        return error_set(err, VX11_EINVALID, "%s: the path needs a value for %s", route->id, field_name);
    buf_clear(text);
    int rc = value_text(f, (const char *)params + f->offset, text);
    if (rc != 0 || text->len == 0)
        return error_set(err, rc ? rc : VX11_EINVALID, "%s: the path cannot hold this value of %s", route->id,
                         field_name);
    return path_value(text->data, text->len, rest, out);
}

/* Is this field one of the path's placeholders? */
static bool path_names(const char *path, const char *field)
{
    size_t len = strlen(field);
    for (const char *open = strchr(path, '{'); open; open = strchr(open + 1, '{'))
        if (strncmp(open + 1, field, len) == 0 && (open[1 + len] == '}' || open[1 + len] == '*'))
            return true;
    return false;
}

static int path_fill(const struct contract_route *route, const void *params, struct buf *text,
                     struct buf *out, struct error *err)
{
    const char *p = route->path;
    while (*p) {
        size_t plain = strcspn(p, "{");
        buf_append(out, p, plain);
        p += plain;
        if (*p == 0)
            break;
        const char *close = strchr(p, '}');
        if (close == NULL)
            return error_set(err, VX11_EINTERNAL, "%s: malformed path", route->id);
        int rc = path_placeholder(route, p + 1, (size_t)(close - p - 1), params, text, out, err);
        if (rc != 0)
            return rc;
        p = close + 1;
    }
    return 0;
}

int client_route_path(const struct contract_route *route, const void *params, struct buf *out,
                      struct error *err)
{
    struct buf text = BUF_INIT;
    char separator = '?';
    int rc = path_fill(route, params, &text, out, err);
    for (size_t i = 0; rc == 0 && route->params && params && i < route->params->field_count; i++) {
        const struct contract_field *f = &route->params->fields[i];
        if (path_names(route->path, f->name))
            continue;
        rc = query_field(f, params, &text, out, &separator);
        if (rc != 0)
            error_set(err, rc, "%s: the parameter %s cannot be sent: %s", route->id, f->name,
                      error_describe(rc));
    }
    buf_free(&text);
    if (rc == 0 && out->failed)
        rc = error_set(err, VX11_ENOMEM, "out of memory");
    return rc;
}
