/* Resolve: what can only be checked when every file is read. References find their messages and enums,
 * defaults fit their fields, routes fit their parameters, and no two names of a file become the same name in
 * C. */
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

/* "openai.ChatRequest" or "ChatRequest" -> the file it is in and the bare name. NULL with an error printed.
 */
static struct file *reference_file(struct model *m, struct file *f, const char *where, const char *ref,
                                   const char **name)
{
    const char *dot = strchr(ref, '.');
    if (dot == NULL) {
        *name = ref;
        return f;
    }
    *name = dot + 1;
    size_t len = (size_t)(dot - ref);
    bool used = false;
    for (size_t i = 0; i < f->use_count; i++) {
        used = used || (strlen(f->uses[i]) == len && memcmp(f->uses[i], ref, len) == 0);
    }
    if (!used) {
        model_error(m, f, where, "\"%s\": file \"%.*s\" is not listed in \"use\"", ref, (int)len, ref);
        return NULL;
    }
    for (size_t i = 0; i < m->file_count; i++) {
        if (strlen(m->files[i].name) == len && memcmp(m->files[i].name, ref, len) == 0) {
            return &m->files[i];
        }
    }
    return NULL; /* uses_check has said so */
}

static struct message *message_find(struct model *m, struct file *f, const char *where, const char *ref)
{
    const char *name;
    const struct file *in = reference_file(m, f, where, ref, &name);
    for (size_t i = 0; in != NULL && i < in->message_count; i++) {
        if (strcmp(in->messages[i]->name, name) == 0) {
            return in->messages[i];
        }
    }
    if (in != NULL) {
        model_error(m, f, where, "unknown message \"%s\"", ref);
    }
    return NULL;
}

static const struct enumeration *enum_find(struct model *m, struct file *f, const char *where,
                                           const char *ref)
{
    const char *name;
    const struct file *in = reference_file(m, f, where, ref, &name);
    for (size_t i = 0; in != NULL && i < in->named_enum_count; i++) {
        if (strcmp(in->enums[i]->name, name) == 0) {
            return in->enums[i];
        }
    }
    if (in != NULL) {
        model_error(m, f, where, "unknown enum \"%s\"", ref);
    }
    return NULL;
}

/* --- defaults
 * ------------------------------------------------------------------------------------------------------ */

static void default_check(struct model *m, const struct file *f, const struct field *fd, const char *where,
                          yyjson_val *v);

static void default_number_check(struct model *m, const struct file *f, const struct field *fd,
                                 const char *where, yyjson_val *v)
{
    if (fd->type == T_NUMBER ? !yyjson_is_num(v) : !yyjson_is_int(v)) {
        model_error(m, f, where, "the default must be a%s number", fd->type == T_NUMBER ? "" : " whole");
        return;
    }
    double d = yyjson_get_num(v);
    if ((fd->has_min && d < fd->min) || (fd->has_max && d > fd->max)) {
        model_error(m, f, where, "the default is out of its own bounds");
    }
}

static void default_string_check(struct model *m, const struct file *f, const struct field *fd,
                                 const char *where, yyjson_val *v)
{
    const char *s = yyjson_get_str(v);
    if (s == NULL) {
        model_error(m, f, where, "the default must be a string");
        return;
    }
    size_t points = 0;
    for (const char *p = s; *p != '\0'; p++) {
        points += ((unsigned char)*p & 0xC0) != 0x80;
    }
    if (points < fd->min_length || (fd->max_length > 0 && points > fd->max_length)) {
        model_error(m, f, where, "the default is out of its own length bounds");
    }
    if (fd->type == T_STRING && fd->pattern != NULL) {
        regex_t re;
        char *whole = model_printf(m, "^(%s)$", fd->pattern);
        if (regcomp(&re, whole, REG_EXTENDED | REG_NOSUB) == 0) {
            if (regexec(&re, s, 0, NULL, 0) != 0) {
                model_error(m, f, where, "the default does not match its own pattern");
            }
            regfree(&re);
        }
    }
}

static void default_message_check(struct model *m, const struct file *f, const struct message *msg,
                                  const char *where, yyjson_val *v)
{
    if (!yyjson_is_obj(v)) {
        model_error(m, f, where, "the default must be an object");
        return;
    }
    size_t i, n;
    yyjson_val *key, *val;
    yyjson_obj_foreach(v, i, n, key, val)
    {
        const struct field *found = NULL;
        for (size_t k = 0; k < msg->field_count; k++) {
            if (strcmp(msg->fields[k].name, yyjson_get_str(key)) == 0) {
                found = &msg->fields[k];
            }
        }
        if (found == NULL) {
            model_error(m, f, where, "the default has \"%s\", which %s has not", yyjson_get_str(key),
                        msg->name);
            continue;
        }
        if (!(yyjson_is_null(val) && found->nullable)) {
            default_check(m, f, found, where, val);
        }
    }
    for (size_t k = 0; k < msg->field_count; k++) {
        if (msg->fields[k].required && yyjson_obj_get(v, msg->fields[k].name) == NULL) {
            model_error(m, f, where, "the default lacks \"%s\"", msg->fields[k].name);
        }
    }
}

static void default_check(struct model *m, const struct file *f, const struct field *fd, const char *where,
                          yyjson_val *v)
{
    switch (fd->type) {
    case T_BOOL:
        if (!yyjson_is_bool(v)) {
            model_error(m, f, where, "the default must be true or false");
        }
        break;
    case T_INTEGER:
    case T_NUMBER:
    case T_TIMESTAMP:
        default_number_check(m, f, fd, where, v);
        break;
    case T_STRING:
        default_string_check(m, f, fd, where, v);
        break;
    case T_ENUM: {
        bool ok = fd->enumeration == NULL;
        for (size_t i = 0; !ok && i < fd->enumeration->value_count; i++) {
            ok = yyjson_equals_str(v, fd->enumeration->values[i]);
        }
        if (!ok) {
            model_error(m, f, where, "the default is none of the enum's values");
        }
        break;
    }
    case T_MESSAGE:
        if (fd->message != NULL) {
            default_message_check(m, f, fd->message, where, v);
        }
        break;
    case T_ARRAY: {
        if (!yyjson_is_arr(v)) {
            model_error(m, f, where, "the default must be an array");
            break;
        }
        size_t count = yyjson_arr_size(v);
        if (count < fd->min_length || (fd->max_length > 0 && count > fd->max_length)) {
            model_error(m, f, where, "the default is out of its own length bounds");
        }
        size_t i, n;
        yyjson_val *e;
        yyjson_arr_foreach(v, i, n, e)
        {
            default_check(m, f, fd->element, where, e);
        }
        break;
    }
    case T_ULID:
        model_error(m, f, where, "an id has no default");
        break;
    case T_JSON:
    case T_COUNT:
        break;
    }
}

/* --- fields
 * -------------------------------------------------------------------------------------------------------- */

static bool is_scalar(enum type t)
{
    return t == T_BOOL || t == T_INTEGER || t == T_NUMBER || t == T_ENUM || t == T_TIMESTAMP;
}

static void field_resolve(struct model *m, struct file *f, struct field *fd)
{
    if (fd->type == T_MESSAGE) {
        fd->message = message_find(m, f, fd->path, fd->message_ref);
    }
    if (fd->type == T_ENUM && fd->enumeration == NULL) {
        fd->enumeration = enum_find(m, f, fd->path, fd->message_ref);
    }
    if (fd->element != NULL) {
        field_resolve(m, f, fd->element);
        fd->element->has_member = false;
    }
    if (fd->has_min && fd->has_max && fd->min > fd->max) {
        model_error(m, f, fd->path, "\"min\" is more than \"max\"");
    }
    if (fd->max_length > 0 && fd->min_length > fd->max_length) {
        model_error(m, f, fd->path, "\"min_length\" is more than \"max_length\"");
    }
    if (fd->pattern != NULL) {
        regex_t re;
        if (regcomp(&re, fd->pattern, REG_EXTENDED | REG_NOSUB) != 0) {
            model_error(m, f, fd->path, "\"pattern\" is not a POSIX extended regular expression");
        } else {
            regfree(&re);
        }
        if (fd->max_length == 0) {
            model_error(m, f, fd->path, "a \"pattern\" needs a \"max_length\": matching costs time");
        }
    }
    if (fd->required && fd->default_value != NULL) {
        model_error(m, f, fd->path, "a required field has no default");
    }
    fd->has_member = is_scalar(fd->type) && fd->default_value == NULL && (!fd->required || fd->nullable);
}

/* A message whose fields' defaults create the message again would never end. */
static bool default_recurses(const struct message *msg, const struct message *target, unsigned depth)
{
    for (size_t i = 0; i < msg->field_count && depth < 32; i++) {
        const struct field *fd = &msg->fields[i];
        if (fd->type == T_MESSAGE && fd->default_value != NULL && fd->message != NULL &&
            (fd->message == target || default_recurses(fd->message, target, depth + 1))) {
            return true;
        }
    }
    return depth >= 32;
}

static void messages_resolve(struct model *m, struct file *f)
{
    for (size_t i = 0; i < f->message_count; i++) {
        struct message *msg = f->messages[i];
        for (size_t k = 0; k < msg->field_count; k++) {
            field_resolve(m, f, &msg->fields[k]);
        }
    }
}

static void defaults_check(struct model *m, struct file *f)
{
    for (size_t i = 0; i < f->message_count; i++) {
        const struct message *msg = f->messages[i];
        if (default_recurses(msg, msg, 0)) {
            model_error(m, f, msg->name, "the defaults of this message contain the message itself");
            continue;
        }
        for (size_t k = 0; k < msg->field_count; k++) {
            if (msg->fields[k].default_value != NULL) {
                default_check(m, f, &msg->fields[k], msg->fields[k].path, msg->fields[k].default_value);
            }
        }
    }
}

/* --- routes
 * -------------------------------------------------------------------------------------------------------- */

static struct field *field_find(struct message *msg, const char *name, size_t len)
{
    for (size_t i = 0; msg != NULL && i < msg->field_count; i++) {
        if (strlen(msg->fields[i].name) == len && memcmp(msg->fields[i].name, name, len) == 0) {
            return &msg->fields[i];
        }
    }
    return NULL;
}

/* Each "{name}" of the path is a required field of the parameters. Marks those fields by clearing has_member.
 */
static void placeholders_check(struct model *m, struct file *f, struct route *r)
{
    if (r->path[0] != '/' || strchr(r->path, '?') != NULL || strstr(r->path, "//") != NULL) {
        model_error(m, f, r->path_in_file, "\"path\" must begin with '/' and have no query");
    }
    for (const char *p = r->path; (p = strchr(p, '{')) != NULL;) {
        const char *end = strchr(++p, '}');
        if (end == NULL || end == p || p[-2] != '/' || (end[1] != '\0' && end[1] != '/')) {
            model_error(m, f, r->path_in_file, "a placeholder is a whole path segment: /{name}/");
            return;
        }
        size_t len = (size_t)(end - p);
        if (p[len - 1] == '*') {
            len--;
            if (end[1] != '\0') {
                model_error(m, f, r->path_in_file, "\"{%.*s*}\" must be the last segment", (int)len, p);
            }
        }
        struct field *fd = field_find(r->params, p, len);
        if (fd == NULL || !fd->required || fd->nullable) {
            model_error(m, f, r->path_in_file,
                        "placeholder \"%.*s\" needs a required, not nullable field in \"params\"", (int)len,
                        p);
        } else {
            fd->has_member = false;
        }
        p = end;
    }
}

static void params_resolve(struct model *m, struct file *f, struct route *r)
{
    r->params->is_params = true;
    for (size_t i = 0; i < r->params->field_count; i++) {
        struct field *fd = &r->params->fields[i];
        const struct field *value = fd->element ? fd->element : fd;
        if (value->type == T_MESSAGE) {
            model_error(m, f, fd->path, "a message cannot be a path or query parameter");
        }
        if (fd->type == T_ARRAY && fd->default_value != NULL && yyjson_arr_size(fd->default_value) > 0) {
            model_error(m, f, fd->path, "a list parameter can only have the default []");
        }
        /* A missing required parameter must be seen: the flag tells it from a zero. Placeholders are always
         * there. */
        fd->has_member = is_scalar(fd->type) && fd->default_value == NULL;
    }
}

static void route_resolve(struct model *m, struct file *f, struct route *r)
{
    yyjson_val *routes = yyjson_obj_get(f->root, "routes");
    yyjson_val *val = yyjson_arr_get(routes, (size_t)(r - f->routes));
    static const char *const keys[] = {"params", "request", "response"};
    struct message **targets[] = {&r->params, &r->request, &r->response};
    for (size_t i = 0; i < 3; i++) {
        yyjson_val *ref = yyjson_obj_get(val, keys[i]);
        if (ref != NULL && yyjson_is_str(ref)) {
            *targets[i] = message_find(m, f, r->path_in_file, yyjson_get_str(ref));
        } else if (ref != NULL) {
            model_error(m, f, r->path_in_file, "\"%s\" must be the name of a message", keys[i]);
        }
    }
    if (r->params != NULL) {
        params_resolve(m, f, r);
    }
    if (r->request != NULL && strcmp(r->method, "GET") == 0) {
        model_error(m, f, r->path_in_file, "a GET has no \"request\" body: use \"params\"");
    }
    if (r->request != NULL && r->stream_body) {
        model_error(m, f, r->path_in_file,
                    "a body taken in pieces (\"stream_body\") is not parsed: no \"request\"");
    }
    if (r->maybe_stream && *r->stream == '\0') {
        model_error(m, f, r->path_in_file, "\"maybe_stream\" needs \"stream\"");
    }
    if (r->job && r->status != 202) {
        model_error(m, f, r->path_in_file, "a \"job\" answers with \"status\": 202");
    }
    for (const struct route *other = f->routes; other < r; other++) {
        if (strcmp(other->id, r->id) == 0) {
            model_error(m, f, r->path_in_file, "this id is there twice");
        }
        if (strcmp(other->method, r->method) == 0 && strcmp(other->path, r->path) == 0) {
            model_error(m, f, r->path_in_file, "\"%s %s\" is there twice", r->method, r->path);
        }
    }
}

/* --- C names
 * ------------------------------------------------------------------------------------------------------- */

struct name_set {
    const char **names, **wheres;
    size_t count, cap;
};

static void name_add(struct model *m, const struct file *f, struct name_set *set, const char *name,
                     const char *where)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->names[i], name) == 0) {
            model_error(m, f, where, "becomes \"%s\" in C, as %s does", name, set->wheres[i]);
            return;
        }
    }
    if (set->count == set->cap) {
        size_t cap = set->cap ? 2 * set->cap : 64;
        const char **names = model_alloc(m, cap, sizeof *names),
                   **wheres = model_alloc(m, cap, sizeof *wheres);
        if (set->count > 0) {
            memcpy(names, set->names, set->count * sizeof *names);
            memcpy(wheres, set->wheres, set->count * sizeof *wheres);
        }
        set->names = names;
        set->wheres = wheres;
        set->cap = cap;
    }
    set->names[set->count] = name;
    set->wheres[set->count++] = where;
}

static void members_check(struct model *m, const struct file *f, const struct message *msg)
{
    struct name_set set = {0};
    for (size_t i = 0; i < msg->field_count; i++) {
        const struct field *fd = &msg->fields[i];
        name_add(m, f, &set, fd->cname, fd->path);
        if (fd->has_member) {
            name_add(m, f, &set, model_printf(m, "has_%s", fd->name), fd->path);
        }
        if (fd->type == T_ARRAY) {
            name_add(m, f, &set, model_printf(m, "%s_count", fd->name), fd->path);
        }
    }
}

static void c_names_check(struct model *m, const struct file *f)
{
    struct name_set tags = {0}, names = {0};
    for (size_t i = 0; i < f->message_count; i++) {
        const char *c = f->messages[i]->cname;
        static const char *const endings[] = {"message", "parse", "serialize", "init", "fields"};
        name_add(m, f, &tags, c, f->messages[i]->name);
        for (size_t k = 0; k < sizeof endings / sizeof endings[0]; k++) {
            name_add(m, f, &names, model_printf(m, "%s_%s", c, endings[k]), f->messages[i]->name);
        }
        members_check(m, f, f->messages[i]);
    }
    for (size_t i = 0; i < f->enum_count; i++) {
        const struct enumeration *e = f->enums[i];
        name_add(m, f, &tags, e->cname, e->cname);
        name_add(m, f, &names, model_printf(m, "%s_names", e->cname), e->cname);
        for (size_t k = 0; k < e->value_count; k++) {
            name_add(m, f, &names, e->constants[k], e->values[k]);
        }
    }
    for (size_t i = 0; i < f->route_count; i++) {
        name_add(m, f, &names,
                 model_printf(m, "%s_ROUTE_%s", name_upper(m, f->name), name_upper(m, f->routes[i].id)),
                 f->routes[i].path_in_file);
        name_add(m, f, &names, model_printf(m, "%s_%s_call", f->name, name_snake(m, f->routes[i].id)),
                 f->routes[i].path_in_file);
    }
}

static void uses_check(struct model *m, struct file *f)
{
    for (size_t i = 0; i < f->use_count; i++) {
        bool found = false;
        for (size_t k = 0; k < m->file_count; k++) {
            found = found || strcmp(m->files[k].name, f->uses[i]) == 0;
        }
        if (!found) {
            model_error(m, f, "use", "file \"%s\" is not among those given", f->uses[i]);
        }
        if (strcmp(f->uses[i], f->name) == 0) {
            model_error(m, f, "use", "a file does not use itself");
        }
    }
}

void model_resolve(struct model *m)
{
    for (size_t i = 0; i < m->file_count; i++) {
        uses_check(m, &m->files[i]);
        messages_resolve(m, &m->files[i]);
    }
    for (size_t i = 0; i < m->file_count; i++) {
        struct file *f = &m->files[i];
        defaults_check(m, f);
        for (size_t k = 0; k < f->route_count; k++) {
            route_resolve(m, f, &f->routes[k]);
        }
    }
    for (size_t i = 0; i < m->file_count; i++) {
        struct file *f = &m->files[i];
        for (size_t k = 0; k < f->route_count; k++) {
            placeholders_check(m, f, &f->routes[k]);
        }
        c_names_check(m, f);
    }
}
