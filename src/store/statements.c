/* Statements: a small table searched from one end to the other. With at most 64 entries that costs less than
 * what a statement does, and has no corner cases.
 *
 * Callers give literals, whose address is the same each time, so the address is compared first. It alone
 * decides nothing: the text is compared as well, because an address may be used again for another text. */
#include "store/statements.h"

#include <stdlib.h>
#include <string.h>

#include "store/connection.h"

void statements_init(struct statements *c, sqlite3 *db)
{
    memset(c, 0, sizeof *c);
    c->db = db;
}

static void slot_drop(struct statement *slot)
{
    sqlite3_finalize(slot->stmt);
    free(slot->text);
    memset(slot, 0, sizeof *slot);
}

void statements_clear(struct statements *c)
{
    for (size_t i = 0; i < c->count; i++)
        slot_drop(&c->slots[i]);
    c->count = 0;
}

static struct statement *slot_find(struct statements *c, const char *sql)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->slots[i].key == sql && strcmp(c->slots[i].text, sql) == 0)
            return &c->slots[i];
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->slots[i].text, sql) == 0)
            return &c->slots[i];
    return NULL;
}

/* A free slot, or the one that was not used for longest. NULL when all are handed out. */
static struct statement *slot_take(struct statements *c)
{
    if (c->count < STATEMENTS_MAX)
        return &c->slots[c->count++];
    struct statement *oldest = NULL;
    for (size_t i = 0; i < c->count; i++)
        if (!c->slots[i].busy && (!oldest || c->slots[i].used < oldest->used))
            oldest = &c->slots[i];
    if (oldest)
        slot_drop(oldest);
    return oldest;
}

static int compile(struct statements *c, const char *sql, sqlite3_stmt **out, struct error *err)
{
    const char *tail = NULL;
    int rc = sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, &tail);
    if (rc != SQLITE_OK)
        return sql_error(err, c->db, rc, "%.80s", sql);
    c->prepared++;
    if (*out && tail[strspn(tail, "; \t\r\n")] == '\0')
        return 0;
    sqlite3_finalize(*out);
    *out = NULL;
    return error_set(err, VX11_EINVALID, "not exactly one statement: %.80s", sql);
}

int statements_get(struct statements *c, const char *sql, sqlite3_stmt **out, struct error *err)
{
    *out = NULL;
    struct statement *slot = slot_find(c, sql);
    if (slot && !slot->busy) {
        slot->busy = true;
        slot->key = sql;
        slot->used = ++c->tick;
        *out = slot->stmt;
        return 0;
    }
    int rc = compile(c, sql, out, err);
    if (rc != 0 || slot)
        return rc;
    char *text = strdup(sql);
    slot = text ? slot_take(c) : NULL;
    if (!slot) {
        free(text); /* used once and finalized by statements_put */
        return 0;
    }
    *slot = (struct statement){.key = sql, .text = text, .stmt = *out, .used = ++c->tick, .busy = true};
    return 0;
}

void statements_put(struct statements *c, sqlite3_stmt *stmt)
{
    if (!stmt)
        return;
    for (size_t i = 0; i < c->count; i++) {
        if (c->slots[i].stmt != stmt)
            continue;
        sqlite3_reset(stmt);
        sqlite3_clear_bindings(stmt);
        c->slots[i].busy = false;
        return;
    }
    sqlite3_finalize(stmt);
}

static int bind_one(sqlite3_stmt *stmt, int at, const struct store_value *v)
{
    switch (v->type) {
    case STORE_NULL:
        return sqlite3_bind_null(stmt, at);
    case STORE_INT:
        return sqlite3_bind_int64(stmt, at, v->v.i);
    case STORE_REAL:
        return sqlite3_bind_double(stmt, at, v->v.d);
    case STORE_TEXT:
        return sqlite3_bind_text64(stmt, at, v->v.b.data, v->v.b.len, SQLITE_STATIC, SQLITE_UTF8);
    case STORE_BLOB:
        /* An empty blob may come without an address, which SQLite would take for NULL. */
        return sqlite3_bind_blob64(stmt, at, v->v.b.data ? v->v.b.data : "", v->v.b.len, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

int statement_bind(sqlite3 *db, sqlite3_stmt *stmt, const struct store_value *values, size_t n,
                   struct error *err)
{
    int want = sqlite3_bind_parameter_count(stmt);
    if ((size_t)want != n)
        return error_set(err, VX11_EINVALID, "%zu values for the %d parameters of: %.80s", n, want,
                         sqlite3_sql(stmt));
    for (size_t i = 0; i < n; i++) {
        int rc = bind_one(stmt, (int)i + 1, &values[i]);
        if (rc != SQLITE_OK)
            return sql_error(err, db, rc, "parameter %zu of: %.80s", i + 1, sqlite3_sql(stmt));
    }
    return 0;
}
