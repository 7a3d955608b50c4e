/* Markdown: docs/API.md. Per module its routes in a table and then one by one; all messages once, at the end.
 */
#include <stdlib.h>
#include <string.h>

#include "contract/describe.h"
#include "contract/internal.h"

/* Inside a table's cell a pipe would end it. */
static void cell_put(struct buf *out, const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '|') {
            buf_putc(out, '\\');
        }
        buf_putc(out, *s == '\n' ? ' ' : *s);
    }
}

/* A link to the message's heading; GitHub's anchors are the heading in lower case. */
static void link_put(struct buf *out, const struct contract_message *m)
{
    struct buf name = BUF_INIT;
    describe_type_name(m, &name);
    if (name.data != NULL) {
        buf_printf(out, "[%s](#", name.data);
        for (const char *p = name.data; *p != '\0'; p++) {
            buf_putc(out, *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p);
        }
        buf_putc(out, ')');
    }
    out->failed = out->failed || name.failed;
    buf_free(&name);
}

static void type_put(struct buf *out, const struct contract_field *f)
{
    static const char *const names[] = {"boolean", "integer", "number",   "string", "",
                                        "time",    "id",      "any JSON", "",       ""};
    switch (f->type) {
    case CONTRACT_ENUM:
        for (size_t i = 0; i < f->values_count; i++) {
            buf_printf(out, "%s`%s`", i ? ", " : "", f->values[i]);
        }
        break;
    case CONTRACT_MESSAGE:
        link_put(out, f->message);
        break;
    case CONTRACT_ARRAY:
        buf_puts(out, "list of ");
        type_put(out, f->element);
        break;
    default:
        buf_puts(out, names[f->type]);
    }
    if ((f->flags & CONTRACT_NULLABLE) != 0) {
        buf_puts(out, " or null");
    }
}

static void bounds_put(struct buf *out, const struct contract_field *f)
{
    const char *what = f->type == CONTRACT_ARRAY ? "elements" : "characters";
    if ((f->flags & CONTRACT_HAS_MIN) != 0) {
        buf_printf(out, "; at least %.15g", f->min);
    }
    if ((f->flags & CONTRACT_HAS_MAX) != 0) {
        buf_printf(out, "; at most %.15g", f->max);
    }
    if (f->min_length > 0) {
        buf_printf(out, "; at least %zu %s", f->min_length, what);
    }
    if (f->max_length > 0) {
        buf_printf(out, "; at most %zu %s", f->max_length, what);
    }
    if (f->pattern != NULL) {
        buf_puts(out, "; matches `");
        cell_put(out, f->pattern);
        buf_putc(out, '`');
    }
}

static void fields_put(struct buf *out, const struct contract_message *m)
{
    if (m->field_count == 0) {
        buf_puts(out, "No fields.\n\n");
        return;
    }
    buf_puts(out, "| field | type | | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < m->field_count; i++) {
        const struct contract_field *f = &m->fields[i];
        struct buf doc = BUF_INIT;
        buf_printf(out, "| `%s` | ", f->name);
        type_put(out, f);
        bounds_put(out, f);
        buf_puts(out, " | ");
        if ((f->flags & CONTRACT_REQUIRED) != 0) {
            buf_puts(out, "required");
        } else if (f->default_json != NULL) {
            buf_puts(out, "default `");
            cell_put(out, f->default_json);
            buf_putc(out, '`');
        }
        buf_puts(out, " | ");
        describe_field_doc(f, &doc);
        cell_put(out, doc.data ? doc.data : "");
        buf_puts(out, " |\n");
        buf_free(&doc);
    }
    buf_putc(out, '\n');
}

static void answer_put(struct buf *out, const struct contract_route *r)
{
    bool maybe = (r->flags & CONTRACT_ROUTE_MAYBE_STREAM) != 0;
    buf_printf(out, "Answers %d", r->stream == CONTRACT_STREAM_WS ? 101 : r->status);
    if (r->response != NULL) {
        buf_puts(out, " with ");
        link_put(out, r->response);
    } else if (r->status != 204 && r->stream == CONTRACT_STREAM_NONE) {
        buf_printf(out, " with `%s`", r->content_type);
    }
    switch (r->stream) {
    case CONTRACT_STREAM_SSE:
        buf_puts(out,
                 maybe ? ", or with server-sent events when `stream` is true" : ", as server-sent events");
        break;
    case CONTRACT_STREAM_WS:
        buf_puts(out, " and becomes a WebSocket");
        break;
    case CONTRACT_STREAM_BYTES:
        buf_printf(out, ", streamed as `%s`", r->content_type);
        break;
    case CONTRACT_STREAM_NONE:
        break;
    }
    buf_puts(out, ".\n\n");
}

static void route_put(struct buf *out, const struct contract_route *r)
{
    buf_printf(out, "### %s %s\n\n%s", r->method, r->path, r->summary);
    if (r->doc != NULL && *r->doc != '\0') {
        buf_printf(out, " %s", r->doc);
    }
    if (r->scope == CONTRACT_SCOPE_OPEN) {
        buf_puts(out, "\n\nNeeds no token.");
    } else {
        buf_printf(out, "\n\nScope `%s`%s.", contract_scope_name(r->scope),
                   (r->flags & CONTRACT_ROUTE_COOKIE) != 0 ? " (the page's login will do)" : "");
    }
    if ((r->flags & CONTRACT_ROUTE_STANDBY) != 0) {
        buf_puts(out, " Answered in standby too.");
    }
    if ((r->flags & CONTRACT_ROUTE_JOB) != 0) {
        buf_puts(out, " Creates a job; honours `Idempotency-Key`.");
    }
    if (r->max_body > 0) {
        buf_printf(out, " Body of at most %llu bytes.", (unsigned long long)r->max_body);
    }
    if (r->request != NULL) {
        buf_puts(out, " Takes ");
        link_put(out, r->request);
        buf_putc(out, '.');
    } else if ((r->flags & CONTRACT_ROUTE_STREAM_BODY) != 0) {
        buf_puts(out, " Takes the body as bytes.");
    }
    buf_putc(out, ' ');
    answer_put(out, r);
    if (r->params != NULL) {
        buf_puts(out, "In the path or query:\n\n");
        fields_put(out, r->params);
    }
}

static void module_put(struct buf *out, const struct contract_module *m)
{
    buf_printf(out, "## %s\n\n%s", m->title, m->doc);
    if (m->port > 0) {
        buf_printf(out, " Port %d.", m->port);
    }
    buf_puts(out, "\n\n| route | scope | |\n|---|---|---|\n");
    for (size_t i = 0; i < m->route_count; i++) {
        const struct contract_route *r = &m->routes[i];
        buf_printf(out, "| `%s %s` | %s | ", r->method, r->path, contract_scope_name(r->scope));
        cell_put(out, r->summary);
        buf_puts(out, " |\n");
    }
    buf_putc(out, '\n');
    for (size_t i = 0; i < m->route_count; i++) {
        route_put(out, &m->routes[i]);
    }
}

int contract_markdown(const struct contract_module *const *modules, size_t n, struct buf *out)
{
    struct message_set all = {0};
    buf_puts(out, "# API\n\nGenerated from the contract, `api/*.json`. A body that does not fit is answered "
                  "with 422 and a JSON "
                  "pointer to what is wrong; unknown fields are ignored. Times are milliseconds since the "
                  "epoch, ids are "
                  "ULIDs.\n\n");
    for (size_t i = 0; i < n; i++) {
        module_put(out, modules[i]);
        message_set_add_routes(&all, modules[i], false);
        for (size_t k = 0; k < modules[i]->message_count; k++) {
            message_set_add(&all, modules[i]->messages[k]);
        }
    }
    buf_puts(out, "## Messages\n\n");
    for (size_t i = 0; i < all.count; i++) {
        buf_puts(out, "### ");
        describe_type_name(all.items[i], out);
        buf_printf(out, "\n\n%s\n\n", all.items[i]->doc ? all.items[i]->doc : "");
        fields_put(out, all.items[i]);
    }
    int rc = all.failed || out->failed ? VX11_ENOMEM : 0;
    message_set_free(&all);
    return rc;
}
