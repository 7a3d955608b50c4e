/* Schema: SQLite says what there is; what it is for stands in the migrations, as comments: the lines above
 * CREATE TABLE, and what follows a column's line. */
#include "store/schema.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "embed/sql.h"
#include "store/look.h"

#define ROWS_MAX 512 /* tables, or columns of one */

/* ---- what the migrations say ---- */

/* "0003_routing.sql" -> who writes its tables. A new file names its module first: "operator_…". */
static const char *module_of(const char *file)
{
    static const struct {
        const char *word, *module;
    } modules[] = {
        {"core", "core"},         {"models", "hermes"},     {"pool", "hermes"},
        {"pulls", "hermes"},      {"tools", "hermes"},      {"external", "hermes"},
        {"routing", "switch"},    {"selection", "switch"},  {"limits", "switch"},
        {"queue", "switch"},      {"samples", "operator"},  {"panel", "operator"},
        {"operator", "operator"}, {"backup", "supervisor"}, {"maintenance", "supervisor"},
        {"doctor", "supervisor"},
    };
    const char *word = strchr(file, '_');
    for (size_t i = 0; word && i < COUNT_OF(modules); i++)
        if (str_starts(word + 1, modules[i].word))
            return modules[i].module;
    return "core";
}

/* Where "CREATE TABLE name" begins; NULL: not in this file. */
static const char *create_find(const char *text, const char *name)
{
    static const char *const forms[] = {"CREATE TABLE ", "CREATE VIRTUAL TABLE "};
    size_t n = strlen(name);
    for (size_t i = 0; i < COUNT_OF(forms); i++)
        for (const char *at = text; (at = strstr(at, forms[i])) != NULL; at++) {
            const char *after = at + strlen(forms[i]);
            if (strncmp(after, name, n) == 0 && strchr(" (\n", after[n]) && (at == text || at[-1] == '\n'))
                return at;
        }
    return NULL;
}

/* The comment lines that end before `at`, joined; NULL: none. */
static const char *comment_above(struct arena *a, const char *text, const char *at)
{
    const char *begin = at;
    while (begin > text) {
        const char *line = begin - 1;
        while (line > text && line[-1] != '\n')
            line--;
        if (strncmp(line, "-- ", 3) != 0)
            break;
        begin = line;
    }
    if (begin == at)
        return NULL;
    char *out = arena_alloc(a, (size_t)(at - begin) + 1);
    size_t n = 0;
    for (const char *c = begin; out && c < at; c++) {
        if (c == begin || c[-1] == '\n') {
            if (n > 0)
                out[n++] = ' ';
            c += 3;
        }
        if (*c != '\n')
            out[n++] = *c;
    }
    if (out)
        out[n] = '\0';
    return out;
}

/* The comment that a file begins with; NULL: none. */
static const char *comment_first(struct arena *a, const char *text)
{
    const char *end = text;
    while (strncmp(end, "-- ", 3) == 0 && strchr(end, '\n'))
        end = strchr(end, '\n') + 1;
    return comment_above(a, text, end);
}

/* What follows "-- " on this line; NULL: nothing. */
static const char *comment_behind(struct arena *a, const char *line)
{
    size_t len = strcspn(line, "\n");
    const char *mark = memmem(line, len, "-- ", 3);
    return mark ? arena_strndup(a, mark + 3, len - (size_t)(mark + 3 - line)) : NULL;
}

static const char *column_comment(struct arena *a, const char *create, const char *table, const char *column)
{
    char alter[200];
    size_t n = strlen(column);
    const char *end = create ? strstr(create, ";\n") : NULL;
    for (const char *line = create; line && end && line < end;) {
        const char *word = line + strspn(line, " ");
        if (word > line && strncmp(word, column, n) == 0 && word[n] == ' ')
            return comment_behind(a, word);
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    (void)snprintf(alter, sizeof alter, "ALTER TABLE %.64s ADD COLUMN %.64s ", table, column);
    for (size_t i = 0; i < embed_sql_count; i++) {
        const char *text = (const char *)embed_sql_files[i].data;
        const char *at = strstr(text, alter);
        const char *comment = at ? comment_behind(a, at) : NULL;
        if (at)
            return comment ? comment : comment_above(a, text, at);
    }
    return NULL;
}

static void table_describe(struct arena *a, struct schema_table *t)
{
    const char *create = NULL;
    t->module = "core";
    for (size_t i = 0; i < embed_sql_count && !create; i++) {
        const char *text = (const char *)embed_sql_files[i].data;
        create = create_find(text, t->name);
        if (create) {
            t->module = module_of(embed_sql_files[i].name);
            t->comment = comment_above(a, text, create);
            if (!t->comment) /* then it is what the file is about */
                t->comment = comment_first(a, text);
        }
    }
    for (size_t i = 0; i < t->column_count; i++)
        t->columns[i].comment = column_comment(a, create, t->name, t->columns[i].name);
}

/* ---- what SQLite says ---- */

struct reading {
    struct store *s;
    struct arena *a;
    struct schema *schema;
    struct schema_table *table;
    struct schema_index *index;
    struct schema_key *key;
    int64_t number;
    int64_t last_key;
    struct error *err;
    bool counts;           /* rows and pages are wanted */
    bool retains, exempts; /* there is a table retention, retention_exempt */
};

static const char *text_copy(struct reading *r, const struct store_row *row, int column)
{
    return arena_strdup(r->a, row_text(row, column));
}

static int full(const struct reading *r)
{
    return error_set(r->err, VX11_ENOMEM, "the schema is larger than can be shown");
}

static int take_table(void *ctx, const struct store_row *row)
{
    struct reading *r = ctx;
    if (r->schema->table_count == ROWS_MAX)
        return full(r);
    struct schema_table *t = &r->schema->tables[r->schema->table_count++];
    *t = (struct schema_table){.name = text_copy(r, row, 0), .rows = -1, .bytes = -1, .index_bytes = -1};
    r->retains = r->retains || str_eq(t->name, "retention");
    r->exempts = r->exempts || str_eq(t->name, "retention_exempt");
    return t->name ? 0 : full(r);
}

static int take_column(void *ctx, const struct store_row *row)
{
    struct reading *r = ctx;
    if (r->table->column_count == ROWS_MAX)
        return full(r);
    struct schema_column *c = &r->table->columns[r->table->column_count++];
    *c = (struct schema_column){.name = text_copy(r, row, 0),
                                .type = text_copy(r, row, 1),
                                .required = row_int(row, 2) != 0,
                                .default_value = text_copy(r, row, 3),
                                .primary = row_int(row, 4) != 0};
    return c->name && c->type ? 0 : full(r);
}

static int take_index(void *ctx, const struct store_row *row)
{
    struct reading *r = ctx;
    if (r->table->index_count == ROWS_MAX)
        return full(r);
    struct schema_index *x = &r->table->indexes[r->table->index_count++];
    *x = (struct schema_index){
        .name = text_copy(r, row, 0), .unique = row_int(row, 1) != 0, .partial = row_int(row, 2) != 0};
    return x->name ? 0 : full(r);
}

static int take_index_column(void *ctx, const struct store_row *row)
{
    struct reading *r = ctx;
    if (r->index->column_count == ROWS_MAX)
        return full(r);
    r->index->columns[r->index->column_count++] = row_is_null(row, 0) ? "(…)" : text_copy(r, row, 0);
    return 0;
}

/* Rows of one key follow each other. */
static int take_key(void *ctx, const struct store_row *row)
{
    struct reading *r = ctx;
    struct schema_table *t = r->table;
    if (row_int(row, 0) != r->last_key || t->key_count == 0) {
        if (t->key_count == ROWS_MAX)
            return full(r);
        r->last_key = row_int(row, 0);
        t->keys[t->key_count++] = (struct schema_key){.table = text_copy(r, row, 1),
                                                      .on_delete = text_copy(r, row, 4),
                                                      .columns = arena_array(r->a, 16, sizeof(char *)),
                                                      .to = arena_array(r->a, 16, sizeof(char *))};
    }
    struct schema_key *k = &t->keys[t->key_count - 1];
    if (!k->columns || !k->to || k->column_count == 16)
        return full(r);
    k->columns[k->column_count] = text_copy(r, row, 2);
    k->to[k->column_count++] = row_is_null(row, 3) ? "rowid" : text_copy(r, row, 3);
    return 0;
}

static int take_retention(void *ctx, const struct store_row *row)
{
    struct reading *r = ctx;
    r->table->time_column = text_copy(r, row, 0);
    r->table->max_age_ms = row_int(row, 1);
    r->table->max_rows = row_int(row, 2);
    return 0;
}

static int take_kept(void *ctx, const struct store_row *row)
{
    struct reading *r = ctx;
    r->table->kept = text_copy(r, row, 0);
    r->table->kept_reason = text_copy(r, row, 1);
    return 0;
}

static int take_number(void *ctx, const struct store_row *row)
{
    ((struct reading *)ctx)->number = row_int(row, 0);
    return 0;
}

static int ask(struct reading *r, const char *sql, const char *name,
               int (*fn)(void *ctx, const struct store_row *row))
{
    const struct store_value value = STORE_T(name);
    return store_query(r->s, sql, &value, name ? 1 : 0, fn, r, r->err);
}

static int table_read(struct reading *r)
{
    struct schema_table *t = r->table;
    t->columns = arena_array(r->a, ROWS_MAX, sizeof *t->columns);
    t->indexes = arena_array(r->a, ROWS_MAX, sizeof *t->indexes);
    t->keys = arena_array(r->a, ROWS_MAX, sizeof *t->keys);
    const char *quoted = look_quote(r->a, t->name);
    const char *count = quoted ? arena_printf(r->a, "SELECT count(*) FROM %s", quoted) : NULL;
    if (!t->columns || !t->indexes || !t->keys || !count)
        return full(r);
    int rc = ask(r, "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info(?1)", t->name,
                 take_column);
    if (rc == 0)
        rc = ask(r, "SELECT name, \"unique\", partial FROM pragma_index_list(?1) ORDER BY name", t->name,
                 take_index);
    for (size_t i = 0; rc == 0 && i < t->index_count; i++) {
        r->index = &t->indexes[i];
        r->index->columns = arena_array(r->a, ROWS_MAX, sizeof(char *));
        rc = r->index->columns ? ask(r, "SELECT name FROM pragma_index_info(?1) ORDER BY seqno",
                                     r->index->name, take_index_column)
                               : full(r);
    }
    if (rc == 0)
        rc = ask(r,
                 "SELECT id, \"table\", \"from\", \"to\", on_delete FROM pragma_foreign_key_list(?1)"
                 " ORDER BY id, seq",
                 t->name, take_key);
    if (rc == 0 && r->retains)
        rc = ask(r, "SELECT time_column, max_age_ms, max_rows FROM retention WHERE table_name = ?1", t->name,
                 take_retention);
    if (rc == 0 && r->exempts)
        rc = ask(r, "SELECT kept, reason FROM retention_exempt WHERE table_name = ?1", t->name, take_kept);
    if (rc == 0 && r->counts && (rc = ask(r, count, NULL, take_number)) == 0)
        t->rows = r->number;
    table_describe(r->a, t);
    return rc;
}

/* ---- pages ---- */

/* Of whom are the pages of this b-tree? Those of a virtual table's own tables are its. */
static int take_pages(void *ctx, const struct store_row *row)
{
    struct reading *r = ctx;
    const char *name = row_text(row, 0), *table = row_text(row, 1);
    bool index = row_int(row, 3) != 0;
    struct schema_table *best = NULL;
    for (size_t i = 0; name && i < r->schema->table_count; i++) {
        struct schema_table *t = &r->schema->tables[i];
        size_t n = strlen(t->name);
        const char *whose = table ? table : name;
        bool part = strncmp(whose, t->name, n) == 0 && (whose[n] == '\0' || whose[n] == '_');
        if (part && (whose[n] == '\0' || !best || strlen(best->name) < n))
            best = t;
        if (part && whose[n] == '\0')
            break;
    }
    if (!best)
        return 0;
    int64_t *sum = index ? &best->index_bytes : &best->bytes;
    *sum = (*sum < 0 ? 0 : *sum) + row_int(row, 2);
    if (best->index_bytes < 0)
        best->index_bytes = 0; /* it is known now that it has none */
    return 0;
}

/* dbstat is an option of SQLite's build: without it the pages of a table stay unknown. */
static void pages_read(struct reading *r)
{
    struct error *err = r->err, none = {0};
    r->err = &none;
    (void)ask(r,
              "SELECT d.name, m.tbl_name, d.pgsize, m.type IS 'index' FROM dbstat AS d"
              " LEFT JOIN sqlite_schema AS m ON m.name = d.name WHERE d.aggregate = 1",
              NULL, take_pages);
    r->err = err;
}

static int read_all(struct store *s, struct arena *a, bool counts, struct schema *out, struct error *err)
{
    struct reading r = {.s = s, .a = a, .schema = out, .err = err, .counts = counts};
    *out = (struct schema){.version = store_schema_version(s)};
    out->tables = arena_array(a, ROWS_MAX, sizeof *out->tables);
    if (!out->tables)
        return full(&r);
    int rc = ask(&r,
                 "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')"
                 " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
                 NULL, take_table);
    for (size_t i = 0; rc == 0 && i < out->table_count; i++) {
        r.table = &out->tables[i];
        rc = table_read(&r);
    }
    if (rc == 0)
        rc = ask(&r, "SELECT page_size FROM pragma_page_size", NULL, take_number);
    out->page_bytes = r.number;
    if (rc == 0)
        rc = ask(&r, "SELECT page_count FROM pragma_page_count", NULL, take_number);
    out->pages = r.number;
    if (rc == 0)
        rc = ask(&r, "SELECT freelist_count FROM pragma_freelist_count", NULL, take_number);
    out->free_pages = r.number;
    if (rc == 0 && counts)
        pages_read(&r);
    return rc;
}

int schema_read(struct store *s, struct arena *a, struct schema *out, struct error *err)
{
    return read_all(s, a, true, out, err);
}

int schema_read_shape(struct store *s, struct arena *a, struct schema *out, struct error *err)
{
    return read_all(s, a, false, out, err);
}
