/* Leave: rows of one table go, oldest first, by way of the archive or without it. Private to store/maintain.
 */
#ifndef VX11_STORE_MAINTAIN_LEAVE_H
#define VX11_STORE_MAINTAIN_LEAVE_H

#include "api/maintenance.h"
#include "store/maintain/archive.h"
#include "store/maintain/hold.h"

#define LEAVE_RELATIONS 8

/* Rows of another table that go with a row, by a foreign key with ON DELETE CASCADE. */
struct relation {
    char child[64], column[64], parent[64]; /* child.column refers to parent of our table */
    int parent_index;                       /* of that column among ours; -1: the rowid */
    sqlite3_stmt *read, *write;             /* on the two connections */
};
struct leave {
    struct store *s;
    struct hold *hold;
    struct archive *archive; /* NULL: rows just go */
    const char *table, *column;
    int64_t now_ms;
    struct relation relations[LEAVE_RELATIONS];
    size_t relation_count;
    sqlite3_stmt *pick, *see, *drop, *count;
    struct maintenance_table *result; /* what went is added here */
};
/* The table exists, has rowids (to delete by) and the column, which holds integers. */
int leave_check(struct store *s, const char *table, const char *column, struct error *err);
/* Lets rows go whose column is less than `before`, at most at_most of them. */
int leave_rows(struct leave *l, int64_t before, int64_t at_most, struct error *err);

#endif
