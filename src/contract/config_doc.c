/* Config doc: the table told to people, as a commented default file and as a page of Markdown. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "contract/config_internal.h"

/* "ms, 100 to 600000" and the like; nothing when there is nothing to say. */
static void bounds_put(struct buf *out, const struct contract_field *f)
{
    const char *between = "";
    if (*f->unit != '\0') {
        buf_puts(out, f->unit);
        between = ", ";
    }
    if (f->type == CONTRACT_ENUM) {
        for (size_t i = 0; i < f->values_count; i++) {
            buf_printf(out, "%s%s", i ? " | " : between, f->values[i]);
        }
    }
    bool min = (f->flags & CONTRACT_HAS_MIN) != 0, max = (f->flags & CONTRACT_HAS_MAX) != 0;
    if (min && max) {
        buf_printf(out, "%s%.15g to %.15g", between, f->min, f->max);
    } else if (min || max) {
        buf_printf(out, "%s%s %.15g", between, min ? "at least" : "at most", min ? f->min : f->max);
    }
}

/* Comment lines of one key: its text, and in brackets unit, bounds and what a change takes. */
static void comment_put(struct buf *out, const struct contract_field *f, const char *indent)
{
    struct buf notes = BUF_INIT;
    bounds_put(&notes, f);
    if ((f->flags & CONTRACT_REQUIRED) != 0) {
        buf_printf(&notes, "%srequired", notes.len ? "; " : "");
    }
    if ((f->flags & CONTRACT_RESTART) != 0) {
        buf_printf(&notes, "%sa change needs a restart", notes.len ? "; " : "");
    }
    buf_printf(out, "%s# %s", indent, f->doc);
    if (notes.len > 0) {
        buf_printf(out, " [%s]", notes.data);
    }
    buf_putc(out, '\n');
    buf_free(&notes);
}

/* A default as YAML: lists and objects in their JSON form, which YAML shares. */
static const char *default_text(const struct contract_field *f)
{
    return f->default_json != NULL ? f->default_json : "";
}

static void keys_put(struct buf *out, const struct contract_message *m, const char *indent)
{
    for (size_t i = 0; i < m->field_count; i++) {
        const struct contract_field *f = &m->fields[i];
        char deeper[64];
        snprintf(deeper, sizeof deeper, "%s  ", indent);
        comment_put(out, f, indent);
        if (f->type == CONTRACT_MESSAGE) {
            buf_printf(out, "%s%s:\n", indent, f->name);
            keys_put(out, f->message, deeper);
            continue;
        }
        buf_printf(out, "%s# %s: %s\n", indent, f->name, default_text(f));
        if (f->type == CONTRACT_ARRAY && f->element->type == CONTRACT_MESSAGE) {
            const struct contract_message *e = f->element->message;
            buf_printf(out, "%s#   each has:\n", indent);
            for (size_t k = 0; k < e->field_count; k++) {
                snprintf(deeper, sizeof deeper, "%s#     ", indent);
                comment_put(out, &e->fields[k], deeper);
                buf_printf(out, "%s%s: %s\n", deeper, e->fields[k].name, default_text(&e->fields[k]));
            }
        }
    }
}

int config_default_yaml(struct buf *out)
{
    buf_puts(out, "# VX11's configuration. Every key may be left out; what is commented out is the default.\n"
                  "# Sizes may be written as 16 MiB, times as 250ms, 30s, 5m, 2h or 7d. The environment goes "
                  "before this\n"
                  "# file: VX11_LINK__PORT=9000 sets link.port. `vx11 config check` tells what is wrong, "
                  "`vx11 config show\n"
                  "# --origin` where each value comes from, `vx11 config reload` applies a change.\n");
    const struct contract_message *m = &config_config_message;
    for (size_t i = 0; i < m->field_count; i++) {
        const struct contract_field *f = &m->fields[i];
        buf_putc(out, '\n');
        comment_put(out, f, "");
        if (f->type == CONTRACT_MESSAGE) {
            buf_printf(out, "%s:\n", f->name);
            keys_put(out, f->message, "  ");
        } else {
            buf_printf(out, "# %s: %s\n", f->name, default_text(f));
        }
    }
    return out->failed ? VX11_ENOMEM : 0;
}

/* --- Markdown
 * ------------------------------------------------------------------------------------------------------ */

/* Text of a table's cell: a pipe would end it. */
static void cell_put(struct buf *out, const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '|') {
            buf_putc(out, '\\');
        }
        buf_putc(out, *s);
    }
}

static void table_put(struct buf *out, const struct contract_message *m)
{
    buf_puts(out, "| key | default | bounds | what it is |\n|---|---|---|---|\n");
    for (size_t i = 0; i < m->field_count; i++) {
        const struct contract_field *f = &m->fields[i];
        struct buf bounds = BUF_INIT;
        bounds_put(&bounds, f);
        buf_printf(out, "| `%s` | ", f->name);
        if ((f->flags & CONTRACT_REQUIRED) != 0) {
            buf_puts(out, "required");
        } else {
            buf_putc(out, '`');
            cell_put(out, default_text(f));
            buf_putc(out, '`');
        }
        buf_puts(out, " | ");
        cell_put(out, bounds.data != NULL ? bounds.data : "");
        buf_puts(out, " | ");
        cell_put(out, f->doc);
        buf_puts(out, (f->flags & CONTRACT_RESTART) != 0 ? " A change needs a restart. |\n" : " |\n");
        buf_free(&bounds);
    }
    buf_putc(out, '\n');
}

static void section_put(struct buf *out, const char *key, const struct contract_message *m, unsigned level)
{
    buf_printf(out, "%s `%s`\n\n%s\n\n", level == 0 ? "##" : "###", key, m->doc);
    table_put(out, m);
    for (size_t i = 0; i < m->field_count && level < 4; i++) {
        const struct contract_field *f = &m->fields[i];
        char deeper[256];
        if (f->message != NULL) {
            snprintf(deeper, sizeof deeper, "%s.%s%s", key, f->name, f->type == CONTRACT_ARRAY ? "[]" : "");
            section_put(out, deeper, f->message, level + 1);
        }
    }
}

int config_markdown(struct buf *out)
{
    buf_puts(out, "# Configuration\n\nOne YAML file, `config.yaml` in VX11's home (`vx11 config path`), and "
                  "the environment "
                  "over it: `VX11_SECTION__KEY`, such as `VX11_LINK__PORT=9000`. Every key may be left out. "
                  "Sizes may be "
                  "written as `16 MiB`, times as `250ms`, `30s`, `5m`, `2h` or `7d`. Unknown keys are "
                  "errors. This page is "
                  "generated from `api/config.json`.\n\n");
    const struct contract_message *m = &config_config_message;
    for (size_t i = 0; i < m->field_count; i++) {
        if (m->fields[i].type == CONTRACT_MESSAGE) {
            section_put(out, m->fields[i].name, m->fields[i].message, 0);
        }
    }
    return out->failed ? VX11_ENOMEM : 0;
}
