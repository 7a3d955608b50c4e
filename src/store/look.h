/* Look: a database opened only to be looked at: any version of the schema, another program's file, a damaged
 * one as far as it can be read. Nothing is written, not beside the file either where that can be helped. */
#ifndef VX11_STORE_LOOK_H
#define VX11_STORE_LOOK_H

#include <stdbool.h>

#include "base/arena.h"
#include "store/store.h"

struct look {
    bool ours;       /* the header carries VX11's application id */
    int version;     /* highest migration that its table names; 0: none, or not readable */
    bool unreadable; /* the schema cannot be read: *out is there all the same, for what can be told */
    struct error why;
};

/* Opens `path` for reading. still: nobody has it open (a backup, a copy): then no -wal and no -shm appear
 * beside it. A file that has them already is opened as usual, so that what is in them counts.
 * VX11_ENOT_FOUND, VX11_EPERMISSION, VX11_ECORRUPT (no SQLite database at all) … */
int look_open(const char *path, bool still, struct look *look, struct store **out, struct error *err);

/* A new database of this program, with all its migrations, in a temporary folder that is gone when this
 * returns. */
int look_new(int (*fn)(void *ctx, struct store *s, struct error *err), void *ctx, struct error *err);

/* `name` as an identifier in SQL; NULL: out of memory. */
const char *look_quote(struct arena *a, const char *name);

#endif
