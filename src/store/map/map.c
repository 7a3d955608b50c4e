/* Map: one drawing and one section a module in Markdown; the contract's message in JSON.
 *
 * The drawing is a Mermaid flowchart, not an entity diagram, because only that one can gather tables by
 * module. Full lines are foreign keys, dotted ones ids that SQLite does not watch. */
#include "store/map/map.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/database.h"
#include "base/str.h"
#include "store/check/declared.h"

const char *const map_format_names[3] = {"markdown", "json", "mermaid"};

#define MODULES_MAX 32
#define DAY_MS      86400000

static bool counted(const struct schema *s)
{
    return s->table_count > 0 && s->tables[0].rows >= 0;
}

/* The modules by name; "core" first, which everybody shares. */
static size_t modules_of(const struct schema *s, const char *out[MODULES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < s->table_count; i++) {
        const char *m = s->tables[i].module;
        size_t at = 0;
        while (at < n && strcmp(out[at], m) != 0)
            at++;
        if (at < n || n == MODULES_MAX)
            continue;
        for (at = n++;
             at > 0 && !str_eq(out[at - 1], "core") && (str_eq(m, "core") || strcmp(m, out[at - 1]) < 0);
             at--)
            out[at] = out[at - 1];
        out[at] = m;
    }
    return n;
}

static ptrdiff_t table_at(const struct schema *s, const char *name)
{
    for (size_t i = 0; name && i < s->table_count; i++)
        if (strcmp(s->tables[i].name, name) == 0)
            return (ptrdiff_t)i;
    return -1;
}

/* ---- Mermaid ---- */

/* A label in quotes: what Mermaid would read something into becomes a character's number. */
static void put_label(struct buf *out, const char *text)
{
    buf_putc(out, '"');
    for (; *text; text++) {
        if (strchr("\"#;&<>[]{}()|`\\", *text))
            buf_printf(out, "#%d;", (unsigned char)*text);
        else
            buf_putc(out, (unsigned char)*text < ' ' ? ' ' : *text);
    }
    buf_putc(out, '"');
}

/* A node's name: the table's where that is a plain word, so that a new table changes few lines. */
static void put_node(struct buf *out, const struct schema *s, size_t i)
{
    const char *name = s->tables[i].name;
    if (name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0')
        buf_printf(out, "t_%s", name);
    else
        buf_printf(out, "t%zu", i);
}

static void put_names(struct buf *out, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_puts(out, i ? ", " : "");
        buf_puts(out, names[i]);
    }
}

static void mermaid_edges(const struct schema *s, size_t i, struct buf *out)
{
    const struct schema_table *t = &s->tables[i];
    for (size_t k = 0; k < t->key_count; k++) {
        ptrdiff_t to = table_at(s, t->keys[k].table);
        struct buf label = BUF_INIT;
        if (to < 0)
            continue;
        put_names(&label, t->keys[k].columns, t->keys[k].column_count);
        buf_puts(out, "  ");
        put_node(out, s, i);
        buf_puts(out, " -->|");
        put_label(out, label.data ? label.data : "");
        buf_puts(out, "| ");
        put_node(out, s, (size_t)to);
        buf_putc(out, '\n');
        out->failed = out->failed || label.failed;
        buf_free(&label);
    }
    for (size_t k = 0; k < declared_reference_count; k++) {
        const struct declared_reference *d = &declared_references[k];
        ptrdiff_t to = strcmp(d->table, t->name) == 0 ? table_at(s, d->to) : -1;
        if (to < 0)
            continue;
        buf_puts(out, "  ");
        put_node(out, s, i);
        buf_puts(out, " -.->|");
        put_label(out, d->column);
        buf_puts(out, "| ");
        put_node(out, s, (size_t)to);
        buf_putc(out, '\n');
    }
}

static void write_mermaid(const struct schema *s, struct buf *out)
{
    const char *modules[MODULES_MAX];
    size_t n = modules_of(s, modules);
    buf_puts(out, "flowchart LR\n");
    for (size_t m = 0; m < n; m++) {
        buf_printf(out, "  subgraph m_%zu[", m);
        put_label(out, modules[m]);
        buf_puts(out, "]\n");
        for (size_t i = 0; i < s->table_count; i++) {
            if (strcmp(s->tables[i].module, modules[m]) != 0)
                continue;
            buf_puts(out, "    ");
            put_node(out, s, i);
            buf_putc(out, '[');
            put_label(out, s->tables[i].name);
            buf_puts(out, "]\n");
        }
        buf_puts(out, "  end\n");
    }
    for (size_t i = 0; i < s->table_count; i++)
        mermaid_edges(s, i, out);
}

/* ---- Markdown ---- */

/* Text in a cell or a paragraph: nothing in it is markup, and it stays on its line. */
static void put_text(struct buf *out, const char *text)
{
    for (; text && *text; text++) {
        if (strchr("\\`*|<>[]#", *text) || (*text == '_' && text[1] == '_'))
            buf_putc(out, '\\');
        buf_putc(out, (unsigned char)*text < ' ' ? ' ' : *text);
    }
}

/* A name as code; a backquote, which no name of ours has, becomes an apostrophe. */
static void put_code(struct buf *out, const char *text)
{
    buf_putc(out, '`');
    for (; *text; text++) {
        if (*text == '|')
            buf_putc(out, '\\');
        buf_putc(out, *text == '`' ? '\'' : (unsigned char)*text < ' ' ? ' ' : *text);
    }
    buf_putc(out, '`');
}

static void put_codes(struct buf *out, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_puts(out, i ? ", " : "");
        put_code(out, names[i] ? names[i] : "?");
    }
}

static void put_retention(struct buf *out, const struct schema_table *t)
{
    if (!t->time_column) {
        if (t->kept) {
            buf_puts(out, "Kept without a time limit: ");
            put_text(out, t->kept_reason);
            buf_puts(out, ".\n\n");
        }
        return;
    }
    buf_puts(out, "Rows go by ");
    put_code(out, t->time_column);
    buf_putc(out, ':');
    if (t->max_age_ms > 0 && t->max_age_ms % DAY_MS == 0)
        buf_printf(out, " after %" PRId64 " days", t->max_age_ms / DAY_MS);
    else if (t->max_age_ms > 0)
        buf_printf(out, " after %.1f hours", (double)t->max_age_ms / 3600000.0);
    if (t->max_rows > 0)
        buf_printf(out, "%s beyond %" PRId64 " rows", t->max_age_ms > 0 ? " and" : "", t->max_rows);
    buf_puts(out, ".\n\n");
}

static void put_columns(struct buf *out, const struct schema_table *t)
{
    buf_puts(out, "| Column | Type | | Default | What it holds |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < t->column_count; i++) {
        const struct schema_column *c = &t->columns[i];
        buf_puts(out, "| ");
        put_code(out, c->name);
        buf_puts(out, " | ");
        put_text(out, c->type);
        buf_printf(out, " | %s%s%s | ", c->primary ? "key" : "", c->primary && c->required ? ", " : "",
                   c->required ? "required" : "");
        if (c->default_value)
            put_code(out, c->default_value);
        buf_puts(out, " | ");
        put_text(out, c->comment);
        buf_puts(out, " |\n");
    }
    buf_putc(out, '\n');
}

static void put_keys(struct buf *out, const struct schema_table *t)
{
    size_t before = out->len;
    for (size_t i = 0; i < t->key_count; i++) {
        const struct schema_key *k = &t->keys[i];
        buf_puts(out, "- ");
        put_codes(out, k->columns, k->column_count);
        buf_puts(out, " → ");
        put_code(out, k->table);
        buf_puts(out, " (");
        put_codes(out, k->to, k->column_count);
        buf_printf(out, "), on delete %s\n", k->on_delete ? k->on_delete : "NO ACTION");
    }
    for (size_t i = 0; i < declared_reference_count; i++) {
        const struct declared_reference *d = &declared_references[i];
        if (strcmp(d->table, t->name) != 0)
            continue;
        buf_puts(out, "- ");
        put_code(out, d->column);
        buf_puts(out, " → ");
        put_code(out, d->to);
        buf_puts(out, " (");
        put_code(out, d->key);
        buf_printf(out, "), a plain id%s\n", d->may_be_gone ? "; the other row may have gone" : "");
    }
    for (size_t i = 0; i < t->index_count; i++) {
        const struct schema_index *x = &t->indexes[i];
        if (str_starts(x->name, "sqlite_autoindex_"))
            continue;
        buf_puts(out, x->unique ? "- unique index " : "- index ");
        put_code(out, x->name);
        buf_puts(out, " (");
        put_codes(out, x->columns, x->column_count);
        buf_puts(out, x->partial ? "), of some rows\n" : ")\n");
    }
    if (out->len > before)
        buf_putc(out, '\n');
}

static void put_size(struct buf *out, const struct schema_table *t)
{
    char bytes[24], index[24];
    if (t->rows < 0)
        return;
    buf_printf(out, "%" PRId64 " rows", t->rows);
    if (t->bytes >= 0)
        buf_printf(out, ", %s, indices %s", str_format_bytes((uint64_t)t->bytes, bytes),
                   t->index_bytes >= 0 ? str_format_bytes((uint64_t)t->index_bytes, index) : "unknown");
    buf_puts(out, ".\n\n");
}

static void write_markdown(const struct schema *s, struct buf *out)
{
    const char *modules[MODULES_MAX];
    size_t n = modules_of(s, modules);
    buf_puts(out, "# Map of the database\n\n"
                  "Written by `vx11 db map` from the migrations in sql/ and their comments; `./dev docs` "
                  "writes the copy in docs/.\n");
    buf_printf(out, "Schema %d, %zu tables.", s->version, s->table_count);
    if (counted(s))
        buf_printf(out, " %" PRId64 " pages of %" PRId64 " bytes, %" PRId64 " of them free.", s->pages,
                   s->page_bytes, s->free_pages);
    buf_puts(out, "\n\n## Tables and keys\n\n"
                  "Full arrows are foreign keys, dotted ones ids that SQLite does not watch.\n\n"
                  "```mermaid\n");
    write_mermaid(s, out);
    buf_puts(out, "```\n");
    for (size_t m = 0; m < n; m++) {
        buf_puts(out, "\n## ");
        put_text(out, modules[m]);
        buf_puts(out, "\n");
        for (size_t i = 0; i < s->table_count; i++) {
            const struct schema_table *t = &s->tables[i];
            if (strcmp(t->module, modules[m]) != 0)
                continue;
            buf_puts(out, "\n### ");
            put_text(out, t->name);
            buf_puts(out, "\n\n");
            if (t->comment) {
                put_text(out, t->comment);
                buf_puts(out, "\n\n");
            }
            put_size(out, t);
            put_columns(out, t);
            put_keys(out, t);
            put_retention(out, t);
            while (out->len > 1 && out->data[out->len - 1] == '\n' && out->data[out->len - 2] == '\n')
                out->data[--out->len] = '\0';
        }
    }
}

/* ---- JSON ---- */

static int fill_columns(struct arena *a, const struct schema_table *t, struct database_table *out)
{
    out->columns = arena_array(a, t->column_count + 1, sizeof *out->columns);
    out->indexes = arena_array(a, t->index_count + 1, sizeof *out->indexes);
    if (!out->columns || !out->indexes)
        return VX11_ENOMEM;
    for (size_t i = 0; i < t->column_count; i++) {
        const struct schema_column *c = &t->columns[i];
        out->columns[out->columns_count++] = (struct database_column){.name = c->name,
                                                                      .type = c->type,
                                                                      .required = c->required,
                                                                      .primary = c->primary,
                                                                      .default_value = c->default_value,
                                                                      .comment = c->comment};
    }
    for (size_t i = 0; i < t->index_count; i++) {
        const struct schema_index *x = &t->indexes[i];
        out->indexes[out->indexes_count++] = (struct database_index){.name = x->name,
                                                                     .columns = x->columns,
                                                                     .columns_count = x->column_count,
                                                                     .unique = x->unique,
                                                                     .partial = x->partial};
    }
    return 0;
}

static int fill_keys(struct arena *a, const struct schema_table *t, struct database_table *out)
{
    out->keys = arena_array(a, t->key_count + declared_reference_count, sizeof *out->keys);
    if (!out->keys)
        return VX11_ENOMEM;
    for (size_t i = 0; i < t->key_count; i++)
        out->keys[out->keys_count++] = (struct database_key){.columns = t->keys[i].columns,
                                                             .columns_count = t->keys[i].column_count,
                                                             .table = t->keys[i].table,
                                                             .to = t->keys[i].to,
                                                             .to_count = t->keys[i].column_count,
                                                             .on_delete = t->keys[i].on_delete};
    for (size_t i = 0; i < declared_reference_count; i++) {
        const struct declared_reference *d = &declared_references[i];
        if (strcmp(d->table, t->name) != 0)
            continue;
        const char **names = arena_array(a, 2, sizeof *names);
        if (!names)
            return VX11_ENOMEM;
        names[0] = d->column;
        names[1] = d->key;
        out->keys[out->keys_count++] = (struct database_key){.columns = names,
                                                             .columns_count = 1,
                                                             .table = d->to,
                                                             .to = names + 1,
                                                             .to_count = 1,
                                                             .may_be_gone = d->may_be_gone};
    }
    return 0;
}

static int fill_table(struct arena *a, const struct schema_table *t, struct database_table *out)
{
    *out = (struct database_table){.name = t->name,
                                   .module = t->module,
                                   .comment = t->comment,
                                   .kept = t->kept,
                                   .kept_reason = t->kept_reason,
                                   .has_rows = t->rows >= 0,
                                   .rows = t->rows,
                                   .has_bytes = t->bytes >= 0,
                                   .bytes = t->bytes,
                                   .has_index_bytes = t->index_bytes >= 0,
                                   .index_bytes = t->index_bytes};
    if (t->time_column) {
        out->retention = arena_zalloc(a, sizeof *out->retention);
        if (!out->retention)
            return VX11_ENOMEM;
        *out->retention = (struct database_retention){.time_column = t->time_column,
                                                      .has_max_age_ms = t->max_age_ms > 0,
                                                      .max_age_ms = t->max_age_ms,
                                                      .has_max_rows = t->max_rows > 0,
                                                      .max_rows = t->max_rows};
    }
    int rc = fill_columns(a, t, out);
    return rc == 0 ? fill_keys(a, t, out) : rc;
}

static int write_json(const struct schema *s, struct arena *a, struct buf *out)
{
    const bool sizes = counted(s);
    struct database_map map = {.has_schema_version = s->version > 0,
                               .schema_version = s->version,
                               .has_page_bytes = sizes,
                               .page_bytes = s->page_bytes,
                               .has_pages = sizes,
                               .pages = s->pages,
                               .has_free_pages = sizes,
                               .free_pages = s->free_pages};
    map.tables = arena_array(a, s->table_count + 1, sizeof *map.tables);
    int rc = map.tables ? 0 : VX11_ENOMEM;
    for (size_t i = 0; rc == 0 && i < s->table_count; i++)
        rc = fill_table(a, &s->tables[i], &map.tables[map.tables_count++]);
    if (rc == 0)
        rc = contract_serialize_pretty(&database_map_message, &map, out);
    return rc == 0 ? buf_putc(out, '\n') : rc;
}

int map_write(const struct schema *s, enum map_format format, struct arena *a, struct buf *out)
{
    if (format == MAP_JSON)
        return write_json(s, a, out);
    if (format == MAP_MERMAID)
        write_mermaid(s, out);
    else
        write_markdown(s, out);
    return out->failed ? VX11_ENOMEM : 0;
}
