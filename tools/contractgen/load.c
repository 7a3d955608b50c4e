/* Load: reads the JSON tables into the model. A table is written by people, so every key is known or an
 * error, and all errors of all files are reported at once, each with the place in the file. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

const char *const type_names[T_COUNT] = {"bool",      "integer", "number", "string",  "enum",
                                         "timestamp", "ulid",    "json",   "message", "array"};

struct pool_block {
    struct pool_block *next;
    max_align_t data[];
};

void *model_alloc(struct model *m, size_t n, size_t size)
{
    struct pool_block *b = NULL;
    if (size == 0 || n <= (SIZE_MAX - sizeof *b) / size) {
        b = calloc(1, sizeof *b + n * size);
    }
    if (b == NULL) {
        fputs("contractgen: out of memory\n", stderr);
        exit(2);
    }
    b->next = m->blocks;
    m->blocks = b;
    return b->data;
}

char *model_printf(struct model *m, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) {
        fputs("contractgen: cannot format\n", stderr);
        exit(2);
    }
    char *s = model_alloc(m, (size_t)n + 1, 1);
    vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    return s;
}

void model_error(struct model *m, const struct file *f, const char *where, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "%s: %s%s", f->source, where, *where ? ": " : "");
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    m->errors++;
}

void model_free(struct model *m)
{
    for (size_t i = 0; i < m->file_count; i++) {
        yyjson_doc_free(m->files[i].doc_json);
    }
    while (m->blocks != NULL) {
        struct pool_block *next = m->blocks->next;
        free(m->blocks);
        m->blocks = next;
    }
}

/* --- reading single keys
 * ------------------------------------------------------------------------------------------- */

static const char *string_get(struct model *m, const struct file *f, const char *where, yyjson_val *obj,
                              const char *key, bool required)
{
    yyjson_val *v = yyjson_obj_get(obj, key);
    if (v == NULL) {
        if (required) {
            model_error(m, f, where, "missing \"%s\"", key);
        }
        return "";
    }
    if (!yyjson_is_str(v) || strlen(yyjson_get_str(v)) != yyjson_get_len(v)) {
        model_error(m, f, where, "\"%s\" must be a string", key);
        return "";
    }
    if (required && yyjson_get_len(v) == 0) {
        model_error(m, f, where, "\"%s\" is empty", key);
    }
    return yyjson_get_str(v);
}

static bool bool_get(struct model *m, const struct file *f, const char *where, yyjson_val *obj,
                     const char *key)
{
    yyjson_val *v = yyjson_obj_get(obj, key);
    if (v != NULL && !yyjson_is_bool(v)) {
        model_error(m, f, where, "\"%s\" must be true or false", key);
    }
    return yyjson_get_bool(v);
}

static bool number_get(struct model *m, const struct file *f, const char *where, yyjson_val *obj,
                       const char *key, double *out)
{
    yyjson_val *v = yyjson_obj_get(obj, key);
    if (v == NULL) {
        return false;
    }
    if (!yyjson_is_num(v)) {
        model_error(m, f, where, "\"%s\" must be a number", key);
        return false;
    }
    *out = yyjson_get_num(v);
    return true;
}

static size_t size_get(struct model *m, const struct file *f, const char *where, yyjson_val *obj,
                       const char *key)
{
    yyjson_val *v = yyjson_obj_get(obj, key);
    if (v == NULL) {
        return 0;
    }
    if (!yyjson_is_uint(v)) {
        model_error(m, f, where, "\"%s\" must be a whole number of 0 or more", key);
        return 0;
    }
    return (size_t)yyjson_get_uint(v);
}

/* Every key must be in `known` (space separated), and none twice. */
static void keys_check(struct model *m, const struct file *f, const char *where, yyjson_val *obj,
                       const char *known)
{
    size_t i, n, i2, n2;
    yyjson_val *key, *val, *key2, *val2;
    yyjson_obj_foreach(obj, i, n, key, val)
    {
        const char *name = yyjson_get_str(key);
        if (known != NULL) {
            size_t len = strlen(name);
            const char *hit = known;
            bool ok = false;
            while (len > 0 && (hit = strstr(hit, name)) != NULL) {
                if ((hit == known || hit[-1] == ' ') && (hit[len] == ' ' || hit[len] == '\0')) {
                    ok = true;
                    break;
                }
                hit += len;
            }
            if (!ok) {
                model_error(m, f, where, "unknown key \"%s\"; known are: %s", name, known);
            }
        }
        yyjson_obj_foreach(obj, i2, n2, key2, val2)
        {
            if (i2 < i && strcmp(yyjson_get_str(key2), name) == 0) {
                model_error(m, f, where, "\"%s\" is there twice", name);
            }
        }
    }
}

static bool name_check(struct model *m, const struct file *f, const char *where, const char *name, bool camel)
{
    bool ok = *name != '\0';
    for (const char *p = name; *p != '\0'; p++) {
        bool upper = *p >= 'A' && *p <= 'Z', lower = *p >= 'a' && *p <= 'z', digit = *p >= '0' && *p <= '9';
        bool first = p == name;
        if (camel ? !(upper || (!first && (lower || digit)))
                  : !(upper || lower || *p == '_' || (!first && (digit || *p == '-')))) {
            ok = false;
        }
    }
    if (!ok) {
        model_error(m, f, where,
                    camel ? "the name must be CamelCase letters and digits"
                          : "the name must be letters, digits, '_' and '-', not beginning with a digit");
    }
    return ok;
}

/* --- enums
 * ---------------------------------------------------------------------------------------------------------
 */

static struct enumeration *enum_load(struct model *m, struct file *f, const char *where, const char *name,
                                     const char *cname, yyjson_val *values)
{
    struct enumeration *e = model_alloc(m, 1, sizeof *e);
    e->name = name;
    e->cname = cname;
    e->doc = "";
    if (!yyjson_is_arr(values) || yyjson_arr_size(values) == 0) {
        model_error(m, f, where, "\"values\" must be an array of names");
        return e;
    }
    e->value_count = yyjson_arr_size(values);
    e->values = model_alloc(m, e->value_count, sizeof *e->values);
    e->constants = model_alloc(m, e->value_count, sizeof *e->constants);
    size_t i, n;
    yyjson_val *v;
    yyjson_arr_foreach(values, i, n, v)
    {
        const char *s = yyjson_get_str(v);
        if (s == NULL || *s == '\0' || strlen(s) != yyjson_get_len(v)) {
            model_error(m, f, where, "\"values\" must hold names");
            s = "";
        }
        e->values[i] = s;
        e->constants[i] = model_printf(m, "%s_%s", name_upper(m, cname), name_upper(m, s));
    }
    return e;
}

static void enum_add(struct model *m, struct file *f, struct enumeration *e)
{
    struct enumeration **grown = model_alloc(m, f->enum_count + 1, sizeof *grown);
    if (f->enum_count > 0) {
        memcpy(grown, f->enums, f->enum_count * sizeof *grown);
    }
    grown[f->enum_count++] = e;
    f->enums = grown;
}

static void enums_load(struct model *m, struct file *f, yyjson_val *enums)
{
    if (enums == NULL) {
        return;
    }
    if (!yyjson_is_obj(enums)) {
        model_error(m, f, "enums", "must be an object");
        return;
    }
    keys_check(m, f, "enums", enums, NULL);
    size_t i, n;
    yyjson_val *key, *val;
    yyjson_obj_foreach(enums, i, n, key, val)
    {
        const char *name = yyjson_get_str(key);
        const char *where = model_printf(m, "enums.%s", name);
        name_check(m, f, where, name, true);
        if (!yyjson_is_obj(val)) {
            model_error(m, f, where, "must be an object");
            continue;
        }
        keys_check(m, f, where, val, "doc values");
        struct enumeration *e =
            enum_load(m, f, where, name, model_printf(m, "%s_%s", f->name, name_snake(m, name)),
                      yyjson_obj_get(val, "values"));
        e->doc = string_get(m, f, where, val, "doc", true);
        enum_add(m, f, e);
    }
    f->named_enum_count = f->enum_count;
}

/* --- messages
 * ------------------------------------------------------------------------------------------------------ */

static bool type_parse(const char *s, enum type *out)
{
    for (unsigned i = 0; i < T_COUNT; i++) {
        if (strcmp(s, type_names[i]) == 0) {
            *out = (enum type)i;
            return true;
        }
    }
    return false;
}

static void field_enum_load(struct model *m, struct file *f, const struct message *msg, struct field *fd,
                            yyjson_val *val)
{
    const char *ref = string_get(m, f, fd->path, val, "enum", false);
    yyjson_val *values = yyjson_obj_get(val, "values");
    if ((*ref != '\0') == (values != NULL)) {
        model_error(m, f, fd->path, "an enum has either \"enum\" or \"values\"");
        return;
    }
    if (values != NULL) {
        struct enumeration *e = enum_load(
            m, f, fd->path, "", model_printf(m, "%s_%s", msg->cname, name_snake(m, fd->name)), values);
        e->doc = fd->doc;
        enum_add(m, f, e);
        fd->enumeration = e;
        return;
    }
    fd->message_ref = ref; /* resolved when every file is read */
}

static void nullable_load(struct model *m, struct file *f, struct field *fd, yyjson_val *val)
{
    yyjson_val *v = yyjson_obj_get(val, "nullable");
    if (v == NULL) {
        return;
    }
    if (yyjson_is_bool(v)) {
        fd->nullable = yyjson_get_bool(v);
    } else if (yyjson_equals_str(v, "accept")) {
        fd->nullable = fd->omit_null = true;
    } else {
        model_error(m, f, fd->path, "\"nullable\" must be true, false or \"accept\"");
    }
}

/* Which keys fit which type; the rest would be silently without effect, so they are errors. */
static void field_keys_fit(struct model *m, struct file *f, const struct field *fd, yyjson_val *val)
{
    static const struct {
        const char *key;
        unsigned types;
    } rules[] = {
        {"min", 1u << T_INTEGER | 1u << T_NUMBER | 1u << T_TIMESTAMP},
        {"max", 1u << T_INTEGER | 1u << T_NUMBER | 1u << T_TIMESTAMP},
        {"min_length", 1u << T_STRING | 1u << T_ARRAY},
        {"max_length", 1u << T_STRING | 1u << T_ARRAY},
        {"pattern", 1u << T_STRING},
        {"values", 1u << T_ENUM},
        {"enum", 1u << T_ENUM},
        {"message", 1u << T_MESSAGE},
        {"of", 1u << T_ARRAY},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (yyjson_obj_get(val, rules[i].key) != NULL && (rules[i].types & 1u << fd->type) == 0) {
            model_error(m, f, fd->path, "\"%s\" does not fit type \"%s\"", rules[i].key,
                        type_names[fd->type]);
        }
    }
}

static void field_load(struct model *m, struct file *f, const struct message *msg, struct field *fd,
                       yyjson_val *val, bool is_element)
{
    if (!yyjson_is_obj(val)) {
        model_error(m, f, fd->path, "must be an object");
        return;
    }
    keys_check(m, f, fd->path, val,
               is_element ? "type doc unit min max min_length max_length pattern values enum message"
                          : "type doc unit min max min_length max_length pattern values enum message of "
                            "required nullable default "
                            "secret restart");
    fd->doc = string_get(m, f, fd->path, val, "doc", !is_element);
    fd->unit = string_get(m, f, fd->path, val, "unit", false);
    const char *type = string_get(m, f, fd->path, val, "type", true);
    if (!type_parse(type, &fd->type)) {
        if (*type != '\0') {
            model_error(m, f, fd->path, "unknown type \"%s\"", type);
        }
        return;
    }
    field_keys_fit(m, f, fd, val);
    fd->has_min = number_get(m, f, fd->path, val, "min", &fd->min);
    fd->has_max = number_get(m, f, fd->path, val, "max", &fd->max);
    fd->min_length = size_get(m, f, fd->path, val, "min_length");
    fd->max_length = size_get(m, f, fd->path, val, "max_length");
    fd->pattern = yyjson_obj_get(val, "pattern") ? string_get(m, f, fd->path, val, "pattern", true) : NULL;
    fd->required = bool_get(m, f, fd->path, val, "required");
    fd->secret = bool_get(m, f, fd->path, val, "secret");
    fd->restart = bool_get(m, f, fd->path, val, "restart");
    nullable_load(m, f, fd, val);
    fd->default_value = yyjson_obj_get(val, "default");
    if (fd->type == T_ENUM) {
        field_enum_load(m, f, msg, fd, val);
    }
    if (fd->type == T_MESSAGE) {
        fd->message_ref = string_get(m, f, fd->path, val, "message", true);
    }
    if (fd->type == T_ARRAY) {
        yyjson_val *of = yyjson_obj_get(val, "of");
        if (of == NULL) {
            model_error(m, f, fd->path, "missing \"of\": what the array holds");
            return;
        }
        fd->element = model_alloc(m, 1, sizeof *fd->element);
        fd->element->name = fd->name;
        fd->element->cname = fd->cname;
        fd->element->path = model_printf(m, "%s.of", fd->path);
        field_load(m, f, msg, fd->element, of, true);
        if (*fd->element->doc == '\0') {
            fd->element->doc = fd->doc;
        }
        if (fd->element->type == T_ARRAY) {
            model_error(m, f, fd->element->path, "an array of arrays has no C form here: use type \"json\"");
        }
    }
}

static void message_load(struct model *m, struct file *f, struct message *msg, yyjson_val *val)
{
    const char *where = model_printf(m, "messages.%s", msg->name);
    name_check(m, f, where, msg->name, true);
    if (!yyjson_is_obj(val)) {
        model_error(m, f, where, "must be an object");
        return;
    }
    keys_check(m, f, where, val, "doc fields");
    msg->doc = string_get(m, f, where, val, "doc", true);
    yyjson_val *fields = yyjson_obj_get(val, "fields");
    if (!yyjson_is_obj(fields)) {
        model_error(m, f, where, "missing \"fields\"");
        return;
    }
    const char *inside = model_printf(m, "%s.fields", where);
    keys_check(m, f, inside, fields, NULL);
    size_t count = yyjson_obj_size(fields);
    if (count > 256) {
        model_error(m, f, inside, "more than 256 fields");
        return;
    }
    msg->fields = model_alloc(m, count, sizeof *msg->fields);
    msg->field_count = count;
    size_t i, n;
    yyjson_val *key, *v;
    yyjson_obj_foreach(fields, i, n, key, v)
    {
        struct field *fd = &msg->fields[i];
        fd->name = yyjson_get_str(key);
        fd->path = model_printf(m, "%s.%s", inside, fd->name);
        fd->doc = fd->unit = "";
        name_check(m, f, fd->path, fd->name, false);
        char *c = model_printf(m, "%s", fd->name);
        for (char *p = c; *p != '\0'; p++) {
            *p = *p == '-' ? '_' : *p;
        }
        fd->cname = name_is_c_keyword(c) ? model_printf(m, "%s_", c) : c;
        field_load(m, f, msg, fd, v, false);
    }
}

static void messages_load(struct model *m, struct file *f, yyjson_val *messages)
{
    if (messages == NULL) {
        return;
    }
    if (!yyjson_is_obj(messages)) {
        model_error(m, f, "messages", "must be an object");
        return;
    }
    keys_check(m, f, "messages", messages, NULL);
    f->message_count = yyjson_obj_size(messages);
    f->messages = model_alloc(m, f->message_count, sizeof *f->messages);
    size_t i, n;
    yyjson_val *key, *val;
    yyjson_obj_foreach(messages, i, n, key, val)
    {
        struct message *msg = f->messages[i] = model_alloc(m, 1, sizeof *msg);
        msg->name = yyjson_get_str(key);
        msg->cname = model_printf(m, "%s_%s", f->name, name_snake(m, msg->name));
        msg->doc = "";
        msg->file = f;
        message_load(m, f, msg, val);
    }
}

/* --- routes and files
 * ---------------------------------------------------------------------------------------------- */

static bool one_of(const char *s, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strcmp(s, *names) == 0) {
            return true;
        }
    }
    return false;
}

static void route_load(struct model *m, struct file *f, struct route *r, yyjson_val *val, size_t index)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", NULL};
    static const char *const scopes[] = {"open", "read", "chat", "act", "admin", "publish", NULL};
    static const char *const streams[] = {"sse", "ws", "bytes", NULL};
    const char *where = model_printf(m, "routes[%zu]", index);
    r->path_in_file = where;
    r->id = r->method = r->path = r->scope = r->summary = r->doc = r->stream = r->content_type = "";
    if (!yyjson_is_obj(val)) {
        model_error(m, f, where, "must be an object");
        return;
    }
    r->id = string_get(m, f, where, val, "id", true);
    if (*r->id != '\0') {
        r->path_in_file = where = model_printf(m, "routes.%s", r->id);
    }
    keys_check(m, f, where, val,
               "id method path scope summary doc params request response status stream maybe_stream raw_body "
               "stream_body job "
               "standby cookie max_body timeout_ms content_type");
    name_check(m, f, where, r->id, false);
    r->method = string_get(m, f, where, val, "method", true);
    r->path = string_get(m, f, where, val, "path", true);
    r->scope = string_get(m, f, where, val, "scope", true);
    r->summary = string_get(m, f, where, val, "summary", true);
    r->doc = string_get(m, f, where, val, "doc", false);
    r->stream = string_get(m, f, where, val, "stream", false);
    r->content_type = string_get(m, f, where, val, "content_type", false);
    if (*r->content_type == '\0') {
        r->content_type = "application/json";
    }
    if (*r->method && !one_of(r->method, methods)) {
        model_error(m, f, where, "unknown method \"%s\"", r->method);
    }
    if (*r->scope && !one_of(r->scope, scopes)) {
        model_error(m, f, where, "unknown scope \"%s\": open, read, chat, act, admin or publish", r->scope);
    }
    if (*r->stream && !one_of(r->stream, streams)) {
        model_error(m, f, where, "unknown stream \"%s\": sse, ws or bytes", r->stream);
    }
    double status = 200;
    number_get(m, f, where, val, "status", &status);
    if (status < 100 || status > 399) {
        model_error(m, f, where, "\"status\" is that of success: 100 to 399");
    }
    r->status = (int)status;
    r->max_body = (double)size_get(m, f, where, val, "max_body");
    number_get(m, f, where, val, "timeout_ms", &r->timeout_ms);
    r->maybe_stream = bool_get(m, f, where, val, "maybe_stream");
    r->raw_body = bool_get(m, f, where, val, "raw_body");
    r->stream_body = bool_get(m, f, where, val, "stream_body");
    r->job = bool_get(m, f, where, val, "job");
    r->standby = bool_get(m, f, where, val, "standby");
    r->cookie = bool_get(m, f, where, val, "cookie");
}

static void routes_load(struct model *m, struct file *f, yyjson_val *routes)
{
    if (routes == NULL) {
        return;
    }
    if (!yyjson_is_arr(routes) || f->module == NULL) {
        model_error(m, f, "routes", f->module ? "must be an array" : "a file with routes needs \"module\"");
        return;
    }
    f->route_count = yyjson_arr_size(routes);
    f->routes = model_alloc(m, f->route_count, sizeof *f->routes);
    size_t i, n;
    yyjson_val *v;
    yyjson_arr_foreach(routes, i, n, v)
    {
        route_load(m, f, &f->routes[i], v, i);
    }
}

static void uses_load(struct model *m, struct file *f, yyjson_val *use)
{
    if (use == NULL) {
        return;
    }
    if (!yyjson_is_arr(use)) {
        model_error(m, f, "use", "must be an array of file names");
        return;
    }
    f->uses = model_alloc(m, yyjson_arr_size(use), sizeof *f->uses);
    size_t i, n;
    yyjson_val *v;
    yyjson_arr_foreach(use, i, n, v)
    {
        if (!yyjson_is_str(v)) {
            model_error(m, f, "use", "must be an array of file names");
            return;
        }
        f->uses[f->use_count++] = yyjson_get_str(v);
    }
}

static void file_load(struct model *m, struct file *f, const char *path)
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    size_t len = strlen(base);
    f->source = model_printf(m, "api/%s", base);
    f->name = f->doc = f->title = "";
    if (len < 6 || strcmp(base + len - 5, ".json") != 0) {
        model_error(m, f, "", "the file's name must end in .json");
        return;
    }
    f->name = model_printf(m, "%.*s", (int)(len - 5), base);
    for (const char *p = f->name; *p != '\0'; p++) {
        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9' && p > f->name) || *p == '_')) {
            model_error(m, f, "", "the file's name must be lower-case letters, digits and '_'");
            return;
        }
    }
    yyjson_read_err err;
    f->doc_json = yyjson_read_file(path, YYJSON_READ_NOFLAG, NULL, &err);
    if (f->doc_json == NULL) {
        model_error(m, f, "", "%s at byte %zu", err.msg, err.pos);
        return;
    }
    f->root = yyjson_doc_get_root(f->doc_json);
    if (!yyjson_is_obj(f->root)) {
        model_error(m, f, "", "must be an object");
        f->root = NULL;
        return;
    }
    keys_check(m, f, "", f->root, "module title port doc use enums messages routes");
    f->doc = string_get(m, f, "", f->root, "doc", true);
    if (yyjson_obj_get(f->root, "module") != NULL) {
        f->module = string_get(m, f, "", f->root, "module", true);
        f->title = string_get(m, f, "", f->root, "title", true);
        if (strcmp(f->module, f->name) != 0) {
            model_error(m, f, "module", "must be the file's name, \"%s\"", f->name);
        }
    } else if (yyjson_obj_get(f->root, "title") != NULL || yyjson_obj_get(f->root, "port") != NULL) {
        model_error(m, f, "", "\"title\" and \"port\" belong to a module");
    }
    size_t port = size_get(m, f, "", f->root, "port");
    if (port > 65535) {
        model_error(m, f, "port", "must be at most 65535");
    }
    f->port = (int)port;
    uses_load(m, f, yyjson_obj_get(f->root, "use"));
    enums_load(m, f, yyjson_obj_get(f->root, "enums"));
    messages_load(m, f, yyjson_obj_get(f->root, "messages"));
    routes_load(m, f, yyjson_obj_get(f->root, "routes"));
}

void model_load(struct model *m, char **paths, size_t n)
{
    m->files = model_alloc(m, n, sizeof *m->files);
    m->file_count = n;
    for (size_t i = 0; i < n; i++) {
        file_load(m, &m->files[i], paths[i]);
        for (size_t k = 0; k < i; k++) {
            if (*m->files[i].name != '\0' && strcmp(m->files[k].name, m->files[i].name) == 0) {
                model_error(m, &m->files[i], "", "a file of this name is given twice");
            }
        }
    }
    if (m->errors == 0) {
        model_resolve(m);
    }
}
