/* TypeScript: types of every message and a table of the routes, for the page.
 *
 * One message has one type, whichever way it travels. What goes in may leave out what has a default; what
 * only comes out always has it. So a message that no request reaches has fewer optional fields. */
#include <stdlib.h>
#include <string.h>

#include "contract/describe.h"
#include "contract/internal.h"

static void comment_put(struct buf *out, const char *indent, const char *text)
{
    buf_printf(out, "%s/** ", indent);
    for (const char *p = text; *p != '\0'; p++) {
        buf_putc(out, *p);
        if (p[0] == '*' && p[1] == '/') { /* would end the comment */
            buf_putc(out, ' ');
        }
    }
    buf_puts(out, " */\n");
}

static void type_put(struct buf *out, const struct contract_field *f)
{
    switch (f->type) {
    case CONTRACT_BOOL:
        buf_puts(out, "boolean");
        break;
    case CONTRACT_INTEGER:
    case CONTRACT_NUMBER:
    case CONTRACT_TIMESTAMP:
        buf_puts(out, "number");
        break;
    case CONTRACT_STRING:
    case CONTRACT_ULID:
        buf_puts(out, "string");
        break;
    case CONTRACT_ENUM:
        for (size_t i = 0; i < f->values_count; i++) {
            buf_puts(out, i ? " | " : "");
            buf_put_json_string(out, f->values[i], strlen(f->values[i]));
        }
        break;
    case CONTRACT_JSON:
        buf_puts(out, "Json");
        break;
    case CONTRACT_MESSAGE:
        describe_type_name(f->message, out);
        break;
    case CONTRACT_ARRAY:
        buf_puts(out, "Array<");
        type_put(out, f->element);
        buf_putc(out, '>');
        break;
    }
}

static bool is_optional(const struct contract_field *f, bool goes_in)
{
    bool always_written = (f->flags & CONTRACT_HAS_DEFAULT) != 0 ||
                          (f->flags & (CONTRACT_NULLABLE | CONTRACT_OMIT_NULL)) == CONTRACT_NULLABLE;
    return (f->flags & CONTRACT_REQUIRED) == 0 && (goes_in || !always_written);
}

static void interface_put(struct buf *out, const struct contract_message *m, bool goes_in)
{
    comment_put(out, "", m->doc ? m->doc : "");
    buf_puts(out, "export interface ");
    describe_type_name(m, out);
    buf_puts(out, " {\n");
    for (size_t i = 0; i < m->field_count; i++) {
        const struct contract_field *f = &m->fields[i];
        struct buf doc = BUF_INIT;
        describe_field_doc(f, &doc);
        comment_put(out, "  ", doc.data ? doc.data : "");
        buf_free(&doc);
        bool quoted = strchr(f->name, '-') != NULL;
        buf_printf(out, quoted ? "  \"%s\"%s: " : "  %s%s: ", f->name, is_optional(f, goes_in) ? "?" : "");
        type_put(out, f);
        buf_puts(out, (f->flags & CONTRACT_NULLABLE) != 0 ? " | null;\n" : ";\n");
    }
    buf_puts(out, "}\n\n");
}

static void body_put(struct buf *out, const char *name, const struct contract_message *m)
{
    buf_printf(out, " %s: ", name);
    if (m != NULL) {
        describe_type_name(m, out);
    } else {
        buf_puts(out, "undefined");
    }
    buf_putc(out, ';');
}

static const char *const stream_names[] = {"null", "\"sse\"", "\"ws\"", "\"bytes\""};

static void routes_put(struct buf *out, const struct contract_module *const *modules, size_t n)
{
    buf_puts(out, "/** Every route, by module and id. */\nexport const routes = {\n");
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < modules[i]->route_count; k++) {
            const struct contract_route *r = &modules[i]->routes[k];
            buf_printf(out, "  \"%s.%s\": { method: \"%s\", path: \"%s\", scope: \"%s\", stream: %s },\n",
                       modules[i]->name, r->id, r->method, r->path, contract_scope_name(r->scope),
                       stream_names[r->stream]);
        }
    }
    buf_puts(out, "} as const;\n\nexport interface RouteTypes {\n");
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < modules[i]->route_count; k++) {
            const struct contract_route *r = &modules[i]->routes[k];
            buf_printf(out, "  \"%s.%s\": {", modules[i]->name, r->id);
            body_put(out, "params", r->params);
            body_put(out, "request", r->request);
            body_put(out, "response", r->response);
            buf_puts(out, " };\n");
        }
    }
    buf_puts(out, "}\n");
}

int contract_typescript(const struct contract_module *const *modules, size_t n, struct buf *out)
{
    struct message_set all = {0}, input = {0};
    for (size_t i = 0; i < n; i++) {
        message_set_add_routes(&input, modules[i], true);
        message_set_add_routes(&all, modules[i], false);
        for (size_t k = 0; k < modules[i]->message_count; k++) {
            message_set_add(&all, modules[i]->messages[k]);
        }
    }
    buf_puts(out,
             "// Generated from the contract (api/). Do not edit.\n\n"
             "export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };\n\n");
    for (size_t i = 0; i < all.count; i++) {
        interface_put(out, all.items[i], message_set_has(&input, all.items[i]));
    }
    routes_put(out, modules, n);
    int rc = all.failed || input.failed || out->failed ? VX11_ENOMEM : 0;
    message_set_free(&all);
    message_set_free(&input);
    return rc;
}
