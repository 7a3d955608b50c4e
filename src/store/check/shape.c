/* Shape: is the schema the one that this program's migrations make? Each table, index and trigger is compared
 * with that of a new database; and each table must say what bounds it. */
#include "store/check/check_internal.h"

#include <string.h>

#include "base/str.h"
#include "embed/sql.h"
#include "store/migrate.h"

#define OBJECTS_MAX 2048

struct object {
    const char *type, *name, *table, *sql;
    bool seen;
};
struct shape {
    struct check *c;
    struct object *objects;
    size_t count;
};

static const char objects_sql[] =
    "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    " ORDER BY type, name";

static int take_object(void *ctx, const struct store_row *row)
{
    struct shape *s = ctx;
    if (s->count == OBJECTS_MAX)
        return VX11_ENOMEM;
    struct object *o = &s->objects[s->count];
    *o = (struct object){.type = arena_strdup(s->c->arena, row_text(row, 0)),
                         .name = arena_strdup(s->c->arena, row_text(row, 1)),
                         .table = arena_strdup(s->c->arena, row_text(row, 2)),
                         .sql = arena_strdup(s->c->arena, row_text(row, 3))};
    if (!o->type || !o->name)
        return VX11_ENOMEM;
    s->count++;
    return 0;
}

static int read_new(void *ctx, struct store *s, struct error *err)
{
    return store_query(s, objects_sql, NULL, 0, take_object, ctx, err);
}

static struct object *object_find(struct shape *s, const char *type, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (str_eq(s->objects[i].type, type) && str_eq(s->objects[i].name, name))
            return &s->objects[i];
    return NULL;
}

static void shape_found(struct check *c, int severity, const char *table, const char *text)
{
    check_found(c, (struct database_finding){.severity = severity, .table = table, .text = text});
}

static void compare(struct shape *s)
{
    struct check *c = s->c;
    sqlite3_stmt *stmt = check_prepare(c, NULL, objects_sql);
    while (stmt && check_step(c, NULL, stmt)) {
        const char *type = arena_strdup(c->arena, (const char *)sqlite3_column_text(stmt, 0));
        const char *name = arena_strdup(c->arena, (const char *)sqlite3_column_text(stmt, 1));
        const char *table = arena_strdup(c->arena, (const char *)sqlite3_column_text(stmt, 2));
        struct object *o = object_find(s, type, name);
        if (o)
            o->seen = true;
        if (!o)
            shape_found(c, DATABASE_SEVERITY_WARNING, table,
                        check_text(c, "the %s %s is of no migration: nobody owns it", type, name));
        else if (!str_eq(o->sql, (const char *)sqlite3_column_text(stmt, 3)))
            shape_found(c, DATABASE_SEVERITY_PROBLEM, table,
                        check_text(c, "the %s %s is not as its migration made it", type, name));
    }
    sqlite3_finalize(stmt);
    for (size_t i = 0; i < s->count && !check_expired(c); i++)
        if (!s->objects[i].seen)
            shape_found(c, DATABASE_SEVERITY_PROBLEM, s->objects[i].table,
                        check_text(c, "the %s %s is missing", s->objects[i].type, s->objects[i].name));
}

/* Tables that say neither how long they keep rows nor why they need not. */
static void unbounded(struct check *c)
{
    if (!check_table_named(c, "retention") || !check_table_named(c, "retention_exempt"))
        return;
    sqlite3_stmt *stmt = check_prepare(
        c, NULL,
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')"
        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT IN (SELECT table_name FROM retention)"
        " AND name NOT IN (SELECT table_name FROM retention_exempt) ORDER BY name");
    while (stmt && check_step(c, NULL, stmt)) {
        const char *name = arena_strdup(c->arena, (const char *)sqlite3_column_text(stmt, 0));
        shape_found(c, DATABASE_SEVERITY_WARNING, name,
                    check_text(c, "%s has neither a retention nor a reason why it needs none", name));
    }
    sqlite3_finalize(stmt);
}

void check_schema(struct check *c)
{
    struct shape s = {.c = c};
    struct error err = {0};
    int applied = 0, current = store_schema_current();
    if (migrate_check(c->db, c->options->path, embed_sql_files, embed_sql_count, &applied, &err) != 0) {
        shape_found(c, DATABASE_SEVERITY_PROBLEM, "schema_migration", check_text(c, "%s", err.text));
        return;
    }
    unbounded(c);
    if (applied < current) {
        shape_found(
            c, DATABASE_SEVERITY_INFO, NULL,
            check_text(c, "schema %d; this program has %d: the next start migrates it", applied, current));
        return;
    }
    s.objects = arena_array(c->arena, OBJECTS_MAX, sizeof *s.objects);
    if (!s.objects || look_new(read_new, &s, &err) != 0) {
        c->failed = true;
        c->detail = check_text(c, "nothing to compare it with: %s", err.text[0] ? err.text : "out of memory");
        return;
    }
    compare(&s);
    if (!c->failed)
        c->detail = check_text(c, "schema %d, %zu tables, indices and triggers", applied, s.count);
}
