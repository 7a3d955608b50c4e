/* OpenAPI: a module's table as an OpenAPI 3.1 document, which every module serves at /openapi.json. Built as
 * a yyjson tree, so that no text is escaped by hand. An allocation that fails leaves a NULL, which yyjson's
 * functions pass on; the final write then fails, so only it is checked. */
#include <stdlib.h>
#include <string.h>

#include "api/common.h"
#include "contract/describe.h"
#include "contract/internal.h"

typedef yyjson_mut_doc doc_t;
typedef yyjson_mut_val val_t;

/* A string built in a buffer, copied into the document. */
static val_t *text_take(doc_t *d, struct buf *text)
{
    val_t *v = text->failed ? NULL : yyjson_mut_strncpy(d, text->data ? text->data : "", text->len);
    buf_free(text);
    return v;
}

static val_t *message_reference(doc_t *d, const struct contract_message *m)
{
    struct buf text = BUF_INIT;
    val_t *v = yyjson_mut_obj(d);
    buf_puts(&text, "#/components/schemas/");
    describe_type_name(m, &text);
    yyjson_mut_obj_add_val(d, v, "$ref", text_take(d, &text));
    return v;
}

static void number_add(doc_t *d, val_t *v, const char *key, double number)
{
    if (number >= -9e15 && number <= 9e15 && number == (double)(int64_t)number) {
        yyjson_mut_obj_add_int(d, v, key, (int64_t)number);
    } else {
        yyjson_mut_obj_add_real(d, v, key, number);
    }
}

static const char *json_type(enum contract_type t)
{
    switch (t) {
    case CONTRACT_BOOL:
        return "boolean";
    case CONTRACT_INTEGER:
    case CONTRACT_TIMESTAMP:
        return "integer";
    case CONTRACT_NUMBER:
        return "number";
    case CONTRACT_ARRAY:
        return "array";
    case CONTRACT_STRING:
    case CONTRACT_ENUM:
    case CONTRACT_ULID:
        return "string";
    case CONTRACT_JSON:
    case CONTRACT_MESSAGE:
        break;
    }
    return NULL;
}

static void type_add(doc_t *d, val_t *v, const struct contract_field *f, bool nullable)
{
    const char *type = json_type(f->type);
    if (type == NULL) {
        return; /* free JSON: any type */
    }
    if (!nullable) {
        yyjson_mut_obj_add_str(d, v, "type", type);
        return;
    }
    val_t *types = yyjson_mut_obj_add_arr(d, v, "type");
    yyjson_mut_arr_add_str(d, types, type);
    yyjson_mut_arr_add_str(d, types, "null");
}

static void enum_add(doc_t *d, val_t *v, const struct contract_field *f, bool nullable)
{
    val_t *values = yyjson_mut_obj_add_arr(d, v, "enum");
    for (size_t i = 0; i < f->values_count; i++) {
        yyjson_mut_arr_add_str(d, values, f->values[i]);
    }
    if (nullable) {
        yyjson_mut_arr_add_null(d, values);
    }
}

static void bounds_add(doc_t *d, val_t *v, const struct contract_field *f)
{
    bool array = f->type == CONTRACT_ARRAY;
    if ((f->flags & CONTRACT_HAS_MIN) != 0) {
        number_add(d, v, "minimum", f->min);
    }
    if ((f->flags & CONTRACT_HAS_MAX) != 0) {
        number_add(d, v, "maximum", f->max);
    }
    if (f->min_length > 0) {
        yyjson_mut_obj_add_uint(d, v, array ? "minItems" : "minLength", f->min_length);
    }
    if (f->max_length > 0) {
        yyjson_mut_obj_add_uint(d, v, array ? "maxItems" : "maxLength", f->max_length);
    }
    if (f->pattern != NULL) {
        struct buf text = BUF_INIT;
        buf_printf(&text, "^(%s)$", f->pattern);
        yyjson_mut_obj_add_val(d, v, "pattern", text_take(d, &text));
    }
    if (f->type == CONTRACT_ULID) {
        yyjson_mut_obj_add_str(d, v, "pattern", "^[0-7][0-9A-HJKMNP-TV-Z]{25}$");
    }
    if (f->type == CONTRACT_INTEGER || f->type == CONTRACT_TIMESTAMP) {
        yyjson_mut_obj_add_str(d, v, "format", "int64");
    }
}

static void default_add(doc_t *d, val_t *v, const struct contract_field *f)
{
    yyjson_doc *json =
        f->default_json != NULL ? yyjson_read(f->default_json, strlen(f->default_json), 0) : NULL;
    if (json != NULL) {
        yyjson_mut_obj_add_val(d, v, "default", yyjson_val_mut_copy(d, yyjson_doc_get_root(json)));
        yyjson_doc_free(json);
    }
}

static val_t *field_schema(doc_t *d, const struct contract_field *f)
{
    bool nullable = (f->flags & CONTRACT_NULLABLE) != 0;
    val_t *v;
    if (f->type == CONTRACT_MESSAGE && nullable) {
        v = yyjson_mut_obj(d);
        val_t *any = yyjson_mut_obj_add_arr(d, v, "anyOf"), *null;
        yyjson_mut_arr_add_val(any, message_reference(d, f->message));
        null = yyjson_mut_arr_add_obj(d, any);
        yyjson_mut_obj_add_str(d, null, "type", "null");
    } else {
        v = f->type == CONTRACT_MESSAGE ? message_reference(d, f->message) : yyjson_mut_obj(d);
        type_add(d, v, f, nullable);
    }
    struct buf text = BUF_INIT;
    describe_field_doc(f, &text);
    val_t *description = text_take(d, &text);
    if (yyjson_mut_get_len(description) > 0) {
        yyjson_mut_obj_add_val(d, v, "description", description);
    }
    if (f->type == CONTRACT_ENUM) {
        enum_add(d, v, f, nullable);
    }
    if (f->type == CONTRACT_ARRAY) {
        yyjson_mut_obj_add_val(d, v, "items", field_schema(d, f->element));
    }
    bounds_add(d, v, f);
    default_add(d, v, f);
    if ((f->flags & CONTRACT_SECRET) != 0) {
        yyjson_mut_obj_add_bool(d, v, "writeOnly", true);
    }
    return v;
}

static val_t *message_schema(doc_t *d, const struct contract_message *m)
{
    val_t *v = yyjson_mut_obj(d);
    yyjson_mut_obj_add_str(d, v, "type", "object");
    yyjson_mut_obj_add_str(d, v, "description", m->doc ? m->doc : "");
    val_t *properties = yyjson_mut_obj_add_obj(d, v, "properties"), *required = NULL;
    for (size_t i = 0; i < m->field_count; i++) {
        const struct contract_field *f = &m->fields[i];
        yyjson_mut_obj_add_val(d, properties, f->name, field_schema(d, f));
        if ((f->flags & CONTRACT_REQUIRED) != 0) {
            required = required != NULL ? required : yyjson_mut_obj_add_arr(d, v, "required");
            yyjson_mut_arr_add_str(d, required, f->name);
        }
    }
    return v;
}

/* --- routes
 * -------------------------------------------------------------------------------------------------------- */

static void parameters_add(doc_t *d, val_t *op, const struct contract_route *r)
{
    if (r->params == NULL || r->params->field_count == 0) {
        return;
    }
    val_t *list = yyjson_mut_obj_add_arr(d, op, "parameters");
    for (size_t i = 0; i < r->params->field_count; i++) {
        const struct contract_field *f = &r->params->fields[i];
        bool in_path = describe_is_placeholder(r, f->name);
        val_t *p = yyjson_mut_arr_add_obj(d, list);
        struct buf text = BUF_INIT;
        yyjson_mut_obj_add_str(d, p, "name", f->name);
        yyjson_mut_obj_add_str(d, p, "in", in_path ? "path" : "query");
        if ((f->flags & CONTRACT_REQUIRED) != 0) {
            yyjson_mut_obj_add_bool(d, p, "required", true);
        }
        describe_field_doc(f, &text);
        yyjson_mut_obj_add_val(d, p, "description", text_take(d, &text));
        yyjson_mut_obj_add_val(d, p, "schema", field_schema(d, f));
    }
}

static void content_add(doc_t *d, val_t *content, const char *type, val_t *schema)
{
    val_t *media = yyjson_mut_obj_add_obj(d, content, type);
    yyjson_mut_obj_add_val(d, media, "schema", schema);
}

static val_t *string_schema(doc_t *d)
{
    val_t *v = yyjson_mut_obj(d);
    yyjson_mut_obj_add_str(d, v, "type", "string");
    return v;
}

static void body_add(doc_t *d, val_t *op, const struct contract_route *r)
{
    if (r->request == NULL && (r->flags & CONTRACT_ROUTE_STREAM_BODY) == 0) {
        return;
    }
    val_t *body = yyjson_mut_obj_add_obj(d, op, "requestBody");
    yyjson_mut_obj_add_bool(d, body, "required", true);
    val_t *content = yyjson_mut_obj_add_obj(d, body, "content");
    if (r->request != NULL) {
        content_add(d, content, "application/json", message_reference(d, r->request));
    } else {
        content_add(d, content, "application/octet-stream", yyjson_mut_obj(d));
    }
}

static void success_add(doc_t *d, val_t *responses, const struct contract_route *r)
{
    struct buf code = BUF_INIT;
    buf_printf(&code, "%d", r->stream == CONTRACT_STREAM_WS ? 101 : r->status);
    val_t *ok = yyjson_mut_obj(d);
    yyjson_mut_obj_add(responses, text_take(d, &code), ok);
    yyjson_mut_obj_add_str(d, ok, "description", r->summary);
    bool always_stream = r->stream != CONTRACT_STREAM_NONE && (r->flags & CONTRACT_ROUTE_MAYBE_STREAM) == 0;
    if (r->status == 204 || r->stream == CONTRACT_STREAM_WS) {
        return;
    }
    val_t *content = yyjson_mut_obj_add_obj(d, ok, "content");
    if (!always_stream || r->stream == CONTRACT_STREAM_BYTES) {
        bool json = strcmp(r->content_type, "application/json") == 0;
        content_add(d, content, r->content_type,
                    r->response != NULL ? message_reference(d, r->response)
                    : json              ? yyjson_mut_obj(d)
                                        : string_schema(d));
    }
    if (r->stream == CONTRACT_STREAM_SSE) {
        content_add(d, content, "text/event-stream", string_schema(d));
    }
}

static void responses_add(doc_t *d, val_t *op, const struct contract_route *r)
{
    val_t *responses = yyjson_mut_obj_add_obj(d, op, "responses");
    success_add(d, responses, r);
    val_t *any = yyjson_mut_obj_add_obj(d, responses, "default");
    yyjson_mut_obj_add_str(d, any, "description",
                           "What went wrong: 4xx for the caller's part, 5xx for ours.");
    content_add(d, yyjson_mut_obj_add_obj(d, any, "content"), "application/json",
                message_reference(d, &common_error_message));
}

static void security_add(doc_t *d, val_t *op, const struct contract_route *r)
{
    val_t *list = yyjson_mut_obj_add_arr(d, op, "security");
    if (r->scope == CONTRACT_SCOPE_OPEN) {
        return; /* an empty list: nothing is needed */
    }
    yyjson_mut_obj_add_arr(d, yyjson_mut_arr_add_obj(d, list), "token");
    if ((r->flags & CONTRACT_ROUTE_COOKIE) != 0) {
        yyjson_mut_obj_add_arr(d, yyjson_mut_arr_add_obj(d, list), "session");
    }
}

static val_t *operation(doc_t *d, const struct contract_module *module, const struct contract_route *r)
{
    val_t *op = yyjson_mut_obj(d);
    struct buf text = BUF_INIT;
    yyjson_mut_obj_add_str(d, op, "operationId", r->id);
    yyjson_mut_obj_add_str(d, op, "summary", r->summary);
    buf_printf(&text, "%s%s", r->doc ? r->doc : "", r->doc && *r->doc ? "\n\n" : "");
    if (r->scope == CONTRACT_SCOPE_OPEN) {
        buf_puts(&text, "Needs no token.");
    } else {
        buf_printf(&text, "Needs a token of scope %s.", contract_scope_name(r->scope));
    }
    yyjson_mut_obj_add_val(d, op, "description", text_take(d, &text));
    yyjson_mut_arr_add_str(d, yyjson_mut_obj_add_arr(d, op, "tags"), module->name);
    yyjson_mut_obj_add_str(d, op, "x-vx11-scope", contract_scope_name(r->scope));
    security_add(d, op, r);
    parameters_add(d, op, r);
    body_add(d, op, r);
    responses_add(d, op, r);
    return op;
}

/* "/files/{path*}" is "/files/{path}" there; methods are in lower case. */
static val_t *path_text(doc_t *d, const char *path)
{
    struct buf text = BUF_INIT;
    for (; *path != '\0'; path++) {
        if (*path != '*') {
            buf_putc(&text, *path);
        }
    }
    return text_take(d, &text);
}

static void paths_add(doc_t *d, val_t *root, const struct contract_module *module)
{
    static const char *const methods[][2] = {
        {"GET", "get"}, {"POST", "post"}, {"PUT", "put"}, {"PATCH", "patch"}, {"DELETE", "delete"}};
    val_t *paths = yyjson_mut_obj_add_obj(d, root, "paths");
    for (size_t i = 0; i < module->route_count; i++) {
        const struct contract_route *r = &module->routes[i];
        val_t *key = path_text(d, r->path);
        val_t *item = key != NULL ? yyjson_mut_obj_get(paths, yyjson_mut_get_str(key)) : NULL;
        if (item == NULL) {
            item = yyjson_mut_obj(d);
            yyjson_mut_obj_add(paths, key, item);
        }
        for (size_t k = 0; k < sizeof methods / sizeof methods[0]; k++) {
            if (strcmp(r->method, methods[k][0]) == 0) {
                yyjson_mut_obj_add_val(d, item, methods[k][1], operation(d, module, r));
            }
        }
    }
}

static void components_add(doc_t *d, val_t *root, const struct message_set *set)
{
    val_t *components = yyjson_mut_obj_add_obj(d, root, "components");
    val_t *schemes = yyjson_mut_obj_add_obj(d, components, "securitySchemes");
    val_t *token = yyjson_mut_obj_add_obj(d, schemes, "token"),
          *session = yyjson_mut_obj_add_obj(d, schemes, "session");
    yyjson_mut_obj_add_str(d, token, "type", "http");
    yyjson_mut_obj_add_str(d, token, "scheme", "bearer");
    yyjson_mut_obj_add_str(d, token, "description", "A token of `vx11 token show` or `vx11 token create`.");
    yyjson_mut_obj_add_str(d, session, "type", "apiKey");
    yyjson_mut_obj_add_str(d, session, "in", "cookie");
    yyjson_mut_obj_add_str(d, session, "name", "vx11_session");
    yyjson_mut_obj_add_str(d, session, "description", "The page's login.");
    val_t *schemas = yyjson_mut_obj_add_obj(d, components, "schemas");
    for (size_t i = 0; i < set->count; i++) {
        struct buf name = BUF_INIT;
        describe_type_name(set->items[i], &name);
        yyjson_mut_obj_add(schemas, text_take(d, &name), message_schema(d, set->items[i]));
    }
}

static void header_add(doc_t *d, val_t *root, const struct contract_module *module, const char *version)
{
    yyjson_mut_obj_add_str(d, root, "openapi", "3.1.0");
    val_t *info = yyjson_mut_obj_add_obj(d, root, "info");
    yyjson_mut_obj_add_str(d, info, "title", module->title);
    yyjson_mut_obj_add_str(d, info, "version", version);
    yyjson_mut_obj_add_str(d, info, "description", module->doc);
    if (module->port > 0) {
        struct buf url = BUF_INIT;
        buf_printf(&url, "http://127.0.0.1:%d", module->port);
        val_t *server = yyjson_mut_arr_add_obj(d, yyjson_mut_obj_add_arr(d, root, "servers"));
        yyjson_mut_obj_add_val(d, server, "url", text_take(d, &url));
    }
}

int contract_openapi(const struct contract_module *module, const char *version, struct buf *out)
{
    struct message_set set = {0};
    doc_t *d = yyjson_mut_doc_new(NULL);
    char *text = NULL;
    int rc = VX11_ENOMEM;
    message_set_add(&set, &common_error_message);
    message_set_add_routes(&set, module, false);
    for (size_t i = 0; i < module->message_count; i++) {
        message_set_add(&set, module->messages[i]);
    }
    val_t *root = d != NULL && !set.failed ? yyjson_mut_obj(d) : NULL;
    if (root == NULL) {
        goto out;
    }
    yyjson_mut_doc_set_root(d, root);
    header_add(d, root, module, version);
    paths_add(d, root, module);
    components_add(d, root, &set);
    size_t len = 0;
    text = yyjson_mut_write(d, YYJSON_WRITE_NOFLAG, &len);
    if (text != NULL) {
        rc = buf_append(out, text, len);
    }
out:
    free(text);
    yyjson_mut_doc_free(d);
    message_set_free(&set);
    return rc;
}
