/* Describe: the walk over messages that all three descriptions need. A set keeps recursion finite: a message
 * that is in it has been walked. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "contract/describe.h"

bool message_set_has(const struct message_set *s, const struct contract_message *m)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->items[i] == m) {
            return true;
        }
    }
    return false;
}

void message_set_add(struct message_set *s, const struct contract_message *m)
{
    if (m == NULL || s->failed || message_set_has(s, m)) {
        return;
    }
    if (s->count == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 32;
        const struct contract_message **grown = realloc(s->items, cap * sizeof *grown);
        if (grown == NULL) {
            s->failed = true;
            return;
        }
        s->items = grown;
        s->cap = cap;
    }
    s->items[s->count++] = m;
    for (size_t i = 0; i < m->field_count; i++) {
        const struct contract_field *f = &m->fields[i];
        message_set_add(s, f->element != NULL ? f->element->message : f->message);
    }
}

void message_set_add_routes(struct message_set *s, const struct contract_module *module, bool only_input)
{
    for (size_t i = 0; i < module->route_count; i++) {
        const struct contract_route *r = &module->routes[i];
        message_set_add(s, r->params);
        message_set_add(s, r->request);
        if (!only_input) {
            message_set_add(s, r->response);
        }
    }
}

void message_set_free(struct message_set *s)
{
    free(s->items);
    *s = (struct message_set){0};
}

void describe_type_name(const struct contract_message *m, struct buf *out)
{
    bool upper = true;
    for (const char *p = m->file != NULL ? m->file : ""; *p != '\0'; p++) {
        if (*p == '_') {
            upper = true;
            continue;
        }
        buf_putc(out, upper ? (char)toupper((unsigned char)*p) : *p);
        upper = false;
    }
    buf_puts(out, m->name);
}

void describe_field_doc(const struct contract_field *f, struct buf *out)
{
    buf_puts(out, f->doc != NULL ? f->doc : "");
    const char *unit = f->unit != NULL && *f->unit != '\0' ? f->unit
                       : f->type == CONTRACT_TIMESTAMP     ? "epoch ms"
                                                           : NULL;
    if (unit != NULL) {
        buf_printf(out, " [%s]", unit);
    }
}

bool describe_is_placeholder(const struct contract_route *r, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = r->path; (p = strchr(p, '{')) != NULL;) {
        p++;
        if (strncmp(p, name, len) == 0 && (p[len] == '}' || p[len] == '*')) {
            return true;
        }
    }
    return false;
}
