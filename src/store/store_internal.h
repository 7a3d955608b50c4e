/* What the room's own files know of a store. */
#ifndef VX11_STORE_STORE_INTERNAL_H
#define VX11_STORE_STORE_INTERNAL_H

#include "base/embed.h"
#include "store/connection.h"
#include "store/statements.h"
#include "store/store.h"

/* Last row of the ledger, for its anchor: see store/ledger/anchor.c. */
struct ledger_tail {
    int64_t n;
    unsigned char hash[32];
};

struct store {
    char *path;
    sqlite3 *read, *write; /* write: NULL in a read-only store */
    struct statements reads, writes;
    int version;               /* highest applied migration */
    bool in_transaction;       /* inside store_transaction's function */
    bool durable;              /* that is store_transaction_durable's */
    struct ledger_tail ledger; /* the last row that it appended there; n 0: none */
    bool anchor_waits;         /* the anchor is written anew after this row: it need not follow it */
};

/* Notes the committed row beside the database, unless what is there is later. What fails is logged. */
void ledger_anchor_advance(struct store *s, const struct ledger_tail *tail);

struct store_row {
    sqlite3_stmt *stmt;
};

/* store_open with other migrations than the embedded ones. */
int store_open_with(const struct store_options *options, const struct embed_file *files, size_t count,
                    struct store **out, struct error *err);

#endif
