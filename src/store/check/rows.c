/* Rows: what the rows say that pages cannot tell: keys that lead nowhere, values that a CHECK forbids, JSON
 * that is none, ids whose row is gone. Each finding counts its rows and names the first. */
#include "store/check/check_internal.h"

#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "store/check/declared.h"

#define CONSTRAINTS_MAX 200

/* ---- keys ---- */

/* The columns of a foreign key, "a, b". */
static const char *key_columns(struct check *c, const char *table, int id)
{
    sqlite3_stmt *stmt = NULL;
    struct buf names = BUF_INIT;
    if (sqlite3_prepare_v2(
            c->db, "SELECT group_concat(\"from\", ', ') FROM pragma_foreign_key_list(?1) WHERE id = ?2", -1,
            &stmt, NULL) == SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
        sqlite3_bind_int(stmt, 2, id);
        const char *text =
            sqlite3_step(stmt) == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
        buf_puts(&names, text ? text : "");
    }
    sqlite3_finalize(stmt);
    const char *out = names.len ? arena_strdup(c->arena, names.data) : NULL;
    buf_free(&names);
    return out;
}

void check_keys(struct check *c)
{
    sqlite3_stmt *stmt =
        check_prepare(c, NULL,
                      "SELECT \"table\", parent, fkid, count(*), min(rowid) FROM pragma_foreign_key_check"
                      " GROUP BY 1, 3 ORDER BY 1, 3");
    while (stmt && check_step(c, NULL, stmt)) {
        const char *table = arena_strdup(c->arena, (const char *)sqlite3_column_text(stmt, 0));
        const char *parent = arena_strdup(c->arena, (const char *)sqlite3_column_text(stmt, 1));
        const char *columns = table ? key_columns(c, table, sqlite3_column_int(stmt, 2)) : NULL;
        int64_t n = sqlite3_column_int64(stmt, 3);
        check_found(c, (struct database_finding){
                           .severity = DATABASE_SEVERITY_PROBLEM,
                           .table = table,
                           .column = columns,
                           .parent = parent,
                           .has_rowid = sqlite3_column_type(stmt, 4) != SQLITE_NULL,
                           .rowid = sqlite3_column_int64(stmt, 4),
                           .count = n,
                           .text = check_text(c, "%lld row%s of %s point%s at rows that %s does not have",
                                              (long long)n, n == 1 ? "" : "s", table ? table : "?",
                                              n == 1 ? "s" : "", parent ? parent : "?")});
    }
    sqlite3_finalize(stmt);
}

/* ---- rows that fit a condition ---- */

struct matches {
    int64_t count, first;
    bool has_first;
};

/* Counts the rows of `from` that fit. false: could not be asked. */
static bool rows_count(struct check *c, const struct check_table *t, const char *from, const char *where,
                       struct matches *out)
{
    const char *sql = arena_printf(c->arena, "SELECT count(*), min(%s) FROM %s WHERE %s",
                                   t->rowless ? "NULL" : "a.rowid", from, where);
    sqlite3_stmt *stmt = check_prepare(c, t->name, sql);
    bool has = stmt && check_step(c, t->name, stmt);
    if (has)
        *out = (struct matches){.count = sqlite3_column_int64(stmt, 0),
                                .has_first = sqlite3_column_type(stmt, 1) != SQLITE_NULL,
                                .first = sqlite3_column_int64(stmt, 1)};
    sqlite3_finalize(stmt);
    return has;
}

/* ---- values ---- */

struct constraints {
    struct check *c;
    struct buf sql;
    const char *columns[CONSTRAINTS_MAX], *texts[CONSTRAINTS_MAX];
    size_t count;
    bool rowless;
};

static int constraint_take(void *ctx, const char *column, size_t column_len, const char *text, size_t len)
{
    struct constraints *k = ctx;
    if (k->count == CONSTRAINTS_MAX)
        return 0;
    const char *copy = arena_strndup(k->c->arena, text, len);
    k->columns[k->count] = column ? arena_strndup(k->c->arena, column, column_len) : NULL;
    if (!copy)
        return VX11_ENOMEM;
    k->texts[k->count++] = copy;
    /* The line ends: the text may end in a comment. A CHECK that is NULL holds. */
    return buf_printf(&k->sql,
                      "%scount(CASE WHEN NOT (%s\n) THEN 1 END), min(CASE WHEN NOT (%s\n) THEN %s END)",
                      k->count > 1 ? ", " : "SELECT ", copy, copy, k->rowless ? "NULL" : "rowid");
}

static void values_of(struct check *c, const struct check_table *t, struct constraints *k)
{
    *k = (struct constraints){.c = c, .sql = BUF_INIT, .rowless = t->rowless};
    int rc = t->sql ? constraints_each(t->sql, constraint_take, k) : 0;
    if (rc == 0 && k->count > 0)
        rc = buf_printf(&k->sql, " FROM %s", t->quoted);
    sqlite3_stmt *stmt = rc == 0 && k->count > 0 ? check_prepare(c, t->name, k->sql.data) : NULL;
    if (stmt && check_step(c, t->name, stmt))
        for (size_t i = 0; i < k->count; i++) {
            int64_t n = sqlite3_column_int64(stmt, 2 * (int)i);
            if (n == 0)
                continue;
            const char *what = k->columns[i] ? k->columns[i] : k->texts[i];
            check_found(c, (struct database_finding){
                               .severity = DATABASE_SEVERITY_PROBLEM,
                               .table = t->name,
                               .column = what,
                               .has_rowid = sqlite3_column_type(stmt, 2 * (int)i + 1) != SQLITE_NULL,
                               .rowid = sqlite3_column_int64(stmt, 2 * (int)i + 1),
                               .count = n,
                               .text = check_text(c, "%lld row%s of %s not CHECK (%.200s)", (long long)n,
                                                  n == 1 ? " is" : "s are", t->name, k->texts[i])});
        }
    sqlite3_finalize(stmt);
    if (rc != 0) {
        c->failed = true;
        c->detail = "out of memory";
    }
    buf_free(&k->sql);
}

void check_values(struct check *c)
{
    struct constraints *k = arena_alloc(c->arena, sizeof *k);
    size_t checked = 0;
    for (size_t i = 0; k && i < c->table_count && !check_expired(c); i++) {
        if (c->tables[i].virtual_shadow)
            continue;
        values_of(c, &c->tables[i], k);
        checked += k->count;
    }
    if (!k || c->failed)
        c->failed = true;
    else
        c->detail = check_text(c, "%zu constraints", checked);
}

/* ---- JSON ---- */

static const char *json_condition(struct check *c, const struct declared_json *d)
{
    const char *column = look_quote(c->arena, d->column);
    const char *kind = d->kind == DECLARED_OBJECT ? "object" : "array";
    if (!column)
        return NULL;
    if (d->kind == DECLARED_JSON)
        return arena_printf(c->arena, "a.%s IS NOT NULL AND NOT json_valid(a.%s)", column, column);
    return arena_printf(
        c->arena, "a.%s IS NOT NULL AND CASE WHEN json_valid(a.%s) THEN json_type(a.%s) <> '%s' ELSE 1 END",
        column, column, column, kind);
}

void check_json(struct check *c)
{
    size_t checked = 0;
    for (size_t i = 0; i < declared_json_count && !check_expired(c); i++) {
        const struct declared_json *d = &declared_json[i];
        const struct check_table *t = check_table_named(c, d->table);
        struct matches m;
        if (!t || d->kind == DECLARED_FREE || !check_has_column(c, d->table, d->column))
            continue;
        checked++;
        if (!rows_count(c, t, check_text(c, "%s AS a", t->quoted), json_condition(c, d), &m) || m.count == 0)
            continue;
        check_found(c,
                    (struct database_finding){.severity = DATABASE_SEVERITY_PROBLEM,
                                              .table = t->name,
                                              .column = d->column,
                                              .has_rowid = m.has_first,
                                              .rowid = m.first,
                                              .count = m.count,
                                              .text = check_text(c, "%lld row%s of %s hold%s no JSON%s in %s",
                                                                 (long long)m.count, m.count == 1 ? "" : "s",
                                                                 t->name, m.count == 1 ? "s" : "",
                                                                 d->kind == DECLARED_OBJECT  ? " object"
                                                                 : d->kind == DECLARED_ARRAY ? " array"
                                                                                             : "",
                                                                 d->column)});
    }
    if (!c->failed)
        c->detail = check_text(c, "%zu columns", checked);
}

/* ---- orphans ---- */

void check_orphans(struct check *c)
{
    size_t checked = 0;
    for (size_t i = 0; i < declared_reference_count && !check_expired(c); i++) {
        const struct declared_reference *d = &declared_references[i];
        const struct check_table *t = check_table_named(c, d->table);
        const struct check_table *to = check_table_named(c, d->to);
        const char *quoted = to ? to->quoted : strcmp(d->to, "sqlite_schema") == 0 ? d->to : NULL;
        struct matches m;
        if (!t || !quoted || d->may_be_gone)
            continue;
        checked++;
        const char *where = check_text(
            c, "a.%s IS NOT NULL AND NOT (%s) AND NOT EXISTS (SELECT 1 FROM %s AS b WHERE b.%s = a.%s)",
            d->column, d->unless ? d->unless : "0", quoted, d->key, d->column);
        if (!rows_count(c, t, check_text(c, "%s AS a", t->quoted), where, &m) || m.count == 0)
            continue;
        check_found(c, (struct database_finding){
                           .severity = DATABASE_SEVERITY_PROBLEM,
                           .table = t->name,
                           .column = d->column,
                           .parent = d->to,
                           .has_rowid = m.has_first,
                           .rowid = m.first,
                           .count = m.count,
                           .text = check_text(c, "%lld row%s of %s name%s in %s what %s does not have",
                                              (long long)m.count, m.count == 1 ? "" : "s", t->name,
                                              m.count == 1 ? "s" : "", d->column, d->to)});
    }
    if (!c->failed)
        c->detail = check_text(c, "%zu references", checked);
}
