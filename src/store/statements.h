/* Statements: a bounded cache of prepared statements of one connection, and binding. Private to the room. */
#ifndef VX11_STORE_STATEMENTS_H
#define VX11_STORE_STATEMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "base/error.h"
#include "store/store.h"

#define STATEMENTS_MAX 64

struct statement {
    const char *key; /* the caller's pointer: a quick first guess */
    char *text;      /* our copy of what it pointed to: what decides */
    sqlite3_stmt *stmt;
    uint64_t used; /* tick of the last use; the smallest is evicted */
    bool busy;     /* handed out */
};

struct statements {
    sqlite3 *db;
    struct statement slots[STATEMENTS_MAX];
    size_t count;
    uint64_t tick, prepared; /* prepared: statements compiled so far, cached or not */
};

void statements_init(struct statements *c, sqlite3 *db);
void statements_clear(struct statements *c); /* finalizes all; none may be handed out */
/* Hands out a statement for sql, to be given back with statements_put. A statement that is in use already (a
 * query inside a query's callback) is compiled anew. VX11_EINVALID when sql is not exactly one statement. */
int statements_get(struct statements *c, const char *sql, sqlite3_stmt **out, struct error *err);
void statements_put(struct statements *c, sqlite3_stmt *stmt); /* NULL is fine */

/* Binds ?1 … ?n; text and blobs are not copied: they must live until statements_put. n must be what the
 * statement takes. */
int statement_bind(sqlite3 *db, sqlite3_stmt *stmt, const struct store_value *values, size_t n,
                   struct error *err);

#endif
