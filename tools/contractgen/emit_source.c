/* NAME.c: the tables that contract.h describes, as constants. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "emit.h"

void emit_string(FILE *out, const char *s)
{
    fputc('"', out);
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else if (c == '\n') {
            fputs("\\n", out);
        } else if (c < 0x20 || c == '?') { /* '?' as a number: no trigraphs */
            fprintf(out, "\\%03o", c);
        } else {
            fputc(c, out);
        }
    }
    fputc('"', out);
}

static const char *const type_constants[T_COUNT] = {
    "CONTRACT_BOOL",      "CONTRACT_INTEGER", "CONTRACT_NUMBER", "CONTRACT_STRING",  "CONTRACT_ENUM",
    "CONTRACT_TIMESTAMP", "CONTRACT_ULID",    "CONTRACT_JSON",   "CONTRACT_MESSAGE", "CONTRACT_ARRAY"};

static void emit_flags(const struct field *fd, FILE *out)
{
    const struct {
        bool on;
        const char *name;
    } flags[] = {
        {fd->required, "CONTRACT_REQUIRED"},   {fd->nullable, "CONTRACT_NULLABLE"},
        {fd->omit_null, "CONTRACT_OMIT_NULL"}, {fd->default_value != NULL, "CONTRACT_HAS_DEFAULT"},
        {fd->has_min, "CONTRACT_HAS_MIN"},     {fd->has_max, "CONTRACT_HAS_MAX"},
        {fd->secret, "CONTRACT_SECRET"},       {fd->restart, "CONTRACT_RESTART"},
    };
    const char *between = "";
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (flags[i].on) {
            fprintf(out, "%s%s", between, flags[i].name);
            between = " | ";
        }
    }
    if (*between == '\0') {
        fputc('0', out);
    }
}

static void emit_bounds(const struct field *fd, FILE *out)
{
    if (fd->has_min) {
        fprintf(out, ", .min = %.17g", fd->min);
    }
    if (fd->has_max) {
        fprintf(out, ", .max = %.17g", fd->max);
    }
    if (fd->min_length > 0) {
        fprintf(out, ", .min_length = %zu", fd->min_length);
    }
    if (fd->max_length > 0) {
        fprintf(out, ", .max_length = %zu", fd->max_length);
    }
    if (fd->pattern != NULL) {
        fputs(", .pattern = ", out);
        emit_string(out, fd->pattern);
    }
}

/* What lies between the braces of one struct contract_field; offsets only for members, not for elements. */
static void emit_field(const struct message *msg, const struct field *fd, bool element, FILE *out)
{
    fputs("{.name = ", out);
    emit_string(out, fd->name);
    fputs(", .doc = ", out);
    emit_string(out, fd->doc);
    fputs(", .unit = ", out);
    emit_string(out, fd->unit);
    fprintf(out, ", .type = %s, .flags = ", type_constants[fd->type]);
    emit_flags(fd, out);
    if (!element) {
        fprintf(out, ", .offset = offsetof(struct %s, %s)", msg->cname, fd->cname);
    }
    if (fd->has_member) {
        fprintf(out, ", .has_offset = offsetof(struct %s, has_%s)", msg->cname, fd->name);
    } else {
        fputs(", .has_offset = SIZE_MAX", out);
    }
    if (fd->type == T_ARRAY) {
        fprintf(out, ", .count_offset = offsetof(struct %s, %s_count), .element = &%s_%s_element", msg->cname,
                fd->name, msg->cname, fd->cname);
    }
    emit_bounds(fd, out);
    if (fd->type == T_ENUM) {
        fprintf(out, ", .values = %s_names, .values_count = %zu", fd->enumeration->cname,
                fd->enumeration->value_count);
    }
    if (fd->type == T_MESSAGE) {
        fprintf(out, ", .message = &%s_message", fd->message->cname);
    }
    if (fd->type == T_ARRAY && fd->element->type == T_MESSAGE) {
        fprintf(out, ", .message = &%s_message", fd->element->message->cname);
    }
    if (fd->default_value != NULL) {
        char *json = yyjson_val_write(fd->default_value, YYJSON_WRITE_NOFLAG, NULL);
        fputs(", .default_json = ", out);
        emit_string(out, json ? json : "null");
        free(json);
    }
    fputc('}', out);
}

static void emit_message(const struct message *msg, FILE *out)
{
    for (size_t i = 0; i < msg->field_count; i++) {
        if (msg->fields[i].type == T_ARRAY) {
            fprintf(out, "static const struct contract_field %s_%s_element = ", msg->cname,
                    msg->fields[i].cname);
            emit_field(msg, msg->fields[i].element, true, out);
            fputs(";\n", out);
        }
    }
    if (msg->field_count > 0) {
        fprintf(out, "static const struct contract_field %s_fields[] = {\n", msg->cname);
        for (size_t i = 0; i < msg->field_count; i++) {
            fputs("    ", out);
            emit_field(msg, &msg->fields[i], false, out);
            fputs(",\n", out);
        }
        fputs("};\n", out);
    }
    fprintf(out, "const struct contract_message %s_message = {.name = ", msg->cname);
    emit_string(out, msg->name);
    fputs(", .file = ", out);
    emit_string(out, msg->file->name);
    fputs(", .doc = ", out);
    emit_string(out, msg->doc);
    fprintf(out, ", .size = sizeof(struct %s)", msg->cname);
    if (msg->field_count > 0) {
        fprintf(out, ", .fields = %s_fields, .field_count = %zu", msg->cname, msg->field_count);
    }
    fputs("};\n\n", out);
}

static void emit_route_flags(const struct route *r, FILE *out)
{
    const struct {
        bool on;
        const char *name;
    } flags[] = {
        {r->standby, "CONTRACT_ROUTE_STANDBY"},           {r->raw_body, "CONTRACT_ROUTE_RAW_BODY"},
        {r->stream_body, "CONTRACT_ROUTE_STREAM_BODY"},   {r->job, "CONTRACT_ROUTE_JOB"},
        {r->maybe_stream, "CONTRACT_ROUTE_MAYBE_STREAM"}, {r->cookie, "CONTRACT_ROUTE_COOKIE"},
    };
    const char *between = "";
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (flags[i].on) {
            fprintf(out, "%s%s", between, flags[i].name);
            between = " | ";
        }
    }
    if (*between == '\0') {
        fputc('0', out);
    }
}

static void emit_route(struct model *m, const struct route *r, FILE *out)
{
    fputs("    {.id = ", out);
    emit_string(out, r->id);
    fprintf(out, ", .method = \"%s\", .path = ", r->method);
    emit_string(out, r->path);
    fputs(", .summary = ", out);
    emit_string(out, r->summary);
    fputs(", .doc = ", out);
    emit_string(out, r->doc);
    fprintf(out, ", .scope = CONTRACT_SCOPE_%s, .flags = ", name_upper(m, r->scope));
    emit_route_flags(r, out);
    fprintf(out, ", .stream = CONTRACT_STREAM_%s, .status = %d, .content_type = ",
            *r->stream ? name_upper(m, r->stream) : "NONE", r->status);
    emit_string(out, r->content_type);
    fprintf(out, ", .max_body = %.0f, .timeout_ms = %.0f", r->max_body, r->timeout_ms);
    const struct message *messages[] = {r->params, r->request, r->response};
    static const char *const members[] = {"params", "request", "response"};
    for (size_t i = 0; i < 3; i++) {
        if (messages[i] != NULL) {
            fprintf(out, ", .%s = &%s_message", members[i], messages[i]->cname);
        }
    }
    fputs("},\n", out);
}

static void emit_module(struct model *m, const struct file *f, FILE *out)
{
    if (f->route_count > 0) {
        fprintf(out, "const struct contract_route %s_routes[%zu] = {\n", f->name, f->route_count);
        for (size_t i = 0; i < f->route_count; i++) {
            emit_route(m, &f->routes[i], out);
        }
        fputs("};\n\n", out);
    }
    if (f->message_count > 0) {
        fprintf(out, "static const struct contract_message *const %s_messages[] = {\n", f->name);
        for (size_t i = 0; i < f->message_count; i++) {
            fprintf(out, "    &%s_message,\n", f->messages[i]->cname);
        }
        fputs("};\n\n", out);
    }
    fprintf(out, "const struct contract_module %s_module = {.name = \"%s\", .title = ", f->name, f->name);
    emit_string(out, f->title);
    fputs(", .doc = ", out);
    emit_string(out, f->doc);
    fprintf(out, ", .port = %d", f->port);
    if (f->route_count > 0) {
        fprintf(out, ", .routes = %s_routes, .route_count = %zu", f->name, f->route_count);
    }
    if (f->message_count > 0) {
        fprintf(out, ", .messages = %s_messages, .message_count = %zu", f->name, f->message_count);
    }
    fputs("};\n", out);
}

void emit_source(struct model *m, const struct file *f, FILE *out)
{
    fprintf(out, "/* Generated by contractgen from %s. Do not edit. */\n#include \"api/%s.h\"\n\n", f->source,
            f->name);
    for (size_t i = 0; i < f->enum_count; i++) {
        const struct enumeration *e = f->enums[i];
        fprintf(out, "const char *const %s_names[%zu] = {", e->cname, e->value_count);
        for (size_t k = 0; k < e->value_count; k++) {
            fputs(k ? ", " : "", out);
            emit_string(out, e->values[k]);
        }
        fputs("};\n", out);
    }
    fputc('\n', out);
    for (size_t i = 0; i < f->message_count; i++) {
        emit_message(f->messages[i], out);
    }
    if (f->module != NULL) {
        emit_module(m, f, out);
    }
}
