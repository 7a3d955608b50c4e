/* What the room's own files know of a store. */
#ifndef VX11_STORE_STORE_INTERNAL_H
#define VX11_STORE_STORE_INTERNAL_H

#include "base/embed.h"
#include "store/connection.h"
#include "store/statements.h"
#include "store/store.h"

struct store {
    char *path;
    sqlite3 *read, *write; /* write: NULL in a read-only store */
    struct statements reads, writes;
    int version;         /* highest applied migration */
    bool in_transaction; /* inside store_transaction's function */
};

struct store_row {
    sqlite3_stmt *stmt;
};

/* store_open with other migrations than the embedded ones. */
int store_open_with(const struct store_options *options, const struct embed_file *files, size_t count,
                    struct store **out, struct error *err);

#endif
