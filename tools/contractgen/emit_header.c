/* NAME.h: enums, structs, the tables' declarations, typed parse, serialize and init, route indices. */
#include <string.h>

#include "emit.h"

void emit_comment_text(FILE *out, const char *s)
{
    for (; *s != '\0'; s++) {
        if (s[0] == '*' && s[1] == '/') {
            fputs("* /", out);
            s++;
        } else if (s[0] == '/' && s[1] == '*') {
            fputs("/ *", out);
            s++;
        } else {
            fputc(*s == '\n' ? ' ' : *s, out);
        }
    }
}

static const char *member_type(struct model *m, const struct field *fd)
{
    switch (fd->type) {
    case T_BOOL:
        return "bool ";
    case T_INTEGER:
    case T_TIMESTAMP:
        return "int64_t ";
    case T_NUMBER:
        return "double ";
    case T_STRING:
    case T_ULID:
        return "const char *";
    case T_ENUM:
        return "int ";
    case T_JSON:
        return "yyjson_val *";
    case T_MESSAGE:
        return model_printf(m, "struct %s *", fd->message->cname);
    case T_ARRAY: {
        const struct field *e = fd->element;
        if (e->type == T_MESSAGE) {
            return member_type(m, e);
        }
        const char *inner = member_type(m, e);
        return model_printf(m, "%s*", inner);
    }
    case T_COUNT:
        break;
    }
    return "";
}

static void emit_member(struct model *m, const struct field *fd, FILE *out)
{
    if (fd->has_member) {
        fprintf(out, "    bool has_%s;\n", fd->name);
    }
    fprintf(out, "    %s%s; /* ", member_type(m, fd), fd->cname);
    emit_comment_text(out, fd->doc);
    if (*fd->unit != '\0') {
        fputs(" [", out);
        emit_comment_text(out, fd->unit);
        fputc(']', out);
    }
    if (fd->type == T_ENUM) {
        fprintf(out, " (enum %s)", fd->enumeration->cname);
    }
    if (!fd->required && !fd->has_member && fd->default_value == NULL && fd->type != T_ARRAY) {
        fputs(" NULL when absent.", out);
    }
    fputs(" */\n", out);
    if (fd->type == T_ARRAY) {
        fprintf(out, "    size_t %s_count;\n", fd->name);
    }
}

static void emit_struct(struct model *m, const struct message *msg, FILE *out)
{
    fputs("/* ", out);
    emit_comment_text(out, msg->doc);
    fprintf(out, " */\nstruct %s {\n", msg->cname);
    for (size_t i = 0; i < msg->field_count; i++) {
        emit_member(m, &msg->fields[i], out);
    }
    if (msg->field_count == 0) {
        fputs("    char unused_; /* C has no empty structs */\n", out);
    }
    fputs("};\n", out);
}

static void emit_functions(const char *c, FILE *out)
{
    fprintf(out, "extern const struct contract_message %s_message;\n", c);
    fprintf(out,
            "static inline int %s_parse(struct arena *a, const char *text, size_t len, struct %s *out, "
            "struct contract_error *err)\n"
            "{\n    return contract_parse(&%s_message, a, text, len, NULL, out, err);\n}\n",
            c, c, c);
    fprintf(out,
            "static inline int %s_serialize(const struct %s *in, struct buf *out)\n"
            "{\n    return contract_serialize(&%s_message, in, out);\n}\n",
            c, c, c);
    fprintf(out,
            "static inline int %s_init(struct arena *a, struct %s *out)\n"
            "{\n    return contract_init(&%s_message, a, out);\n}\n\n",
            c, c, c);
}

static void emit_enum(const struct enumeration *e, FILE *out)
{
    fputs("/* ", out);
    emit_comment_text(out, e->doc);
    fprintf(out, " */\nenum %s {\n", e->cname);
    for (size_t i = 0; i < e->value_count; i++) {
        fprintf(out, "    %s,\n", e->constants[i]);
    }
    fprintf(out, "};\nextern const char *const %s_names[%zu];\n\n", e->cname, e->value_count);
}

/* Structs of other files are only pointed to, so naming them is enough even when two files use each other. */
static void emit_foreign_tags(const struct file *f, FILE *out)
{
    for (size_t i = 0; i < f->message_count; i++) {
        const struct message *msg = f->messages[i];
        for (size_t k = 0; k < msg->field_count; k++) {
            const struct field *fd = msg->fields[k].element ? msg->fields[k].element : &msg->fields[k];
            if (fd->type == T_MESSAGE && fd->message->file != f) {
                fprintf(out, "struct %s;\n", fd->message->cname);
            }
        }
    }
}

static void emit_routes(struct model *m, const struct file *f, FILE *out)
{
    const char *upper = name_upper(m, f->name);
    fprintf(out, "/* Indices into %s_routes. */\nenum {\n", f->name);
    for (size_t i = 0; i < f->route_count; i++) {
        fprintf(out, "    %s_ROUTE_%s, /* %s %s */\n", upper, name_upper(m, f->routes[i].id),
                f->routes[i].method, f->routes[i].path);
    }
    fprintf(out, "};\n#define %s_ROUTE_COUNT %zu\n", upper, f->route_count);
    fprintf(out, "extern const struct contract_route %s_routes[%zu];\n", f->name,
            f->route_count ? f->route_count : 1);
}

void emit_header(struct model *m, const struct file *f, FILE *out)
{
    const char *upper = name_upper(m, f->name);
    fprintf(out, "/* Generated by contractgen from %s. Do not edit.\n *\n * ", f->source);
    emit_comment_text(out, f->doc);
    fprintf(out, " */\n#ifndef VX11_API_%s_H\n#define VX11_API_%s_H\n\n#include \"contract/contract.h\"\n",
            upper, upper);
    for (size_t i = 0; i < f->use_count; i++) {
        fprintf(out, "#include \"api/%s.h\"\n", f->uses[i]);
    }
    fputc('\n', out);
    for (size_t i = 0; i < f->enum_count; i++) {
        emit_enum(f->enums[i], out);
    }
    emit_foreign_tags(f, out);
    for (size_t i = 0; i < f->message_count; i++) {
        fprintf(out, "struct %s;\n", f->messages[i]->cname);
    }
    fputc('\n', out);
    for (size_t i = 0; i < f->message_count; i++) {
        emit_struct(m, f->messages[i], out);
        emit_functions(f->messages[i]->cname, out);
    }
    if (f->module != NULL) {
        if (f->route_count > 0) {
            emit_routes(m, f, out);
        } else {
            fprintf(out, "#define %s_ROUTE_COUNT 0\n", upper);
        }
        fprintf(out, "extern const struct contract_module %s_module;\n", f->name);
    }
    fputs("\n#endif\n", out);
}
