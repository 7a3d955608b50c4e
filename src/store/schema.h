/* Schema: what tables there are, whose they are and what they hold, read from the database and from the
 * comments of the embedded migrations. Counting rows and pages reads the whole file: do it on a thread, with
 * a store of its own. */
#ifndef VX11_STORE_SCHEMA_H
#define VX11_STORE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "store/store.h"

struct schema_column {
    const char *name, *type;
    const char *default_value, *comment; /* NULL: none */
    bool required, primary;
};
struct schema_index {
    const char *name;
    const char **columns; /* "(…)": an expression */
    size_t column_count;
    bool unique, partial;
};
struct schema_key {
    const char **columns, **to;
    size_t column_count;
    const char *table, *on_delete;
};
struct schema_table {
    const char *name;
    const char *module;         /* "core": everybody's */
    const char *comment;        /* NULL: none */
    int64_t rows;               /* -1: not counted */
    int64_t bytes, index_bytes; /* pages in the file; -1: SQLite does not tell */
    struct schema_column *columns;
    struct schema_index *indexes;
    struct schema_key *keys;
    size_t column_count, index_count, key_count;
    const char *time_column;      /* of its retention; NULL: its rows stay */
    int64_t max_age_ms, max_rows; /* 0: no limit */
    const char *kept,
        *kept_reason; /* of retention_exempt: bounded, parent, owner, forever; NULL: not there */
};
struct schema {
    struct schema_table *tables; /* by name */
    size_t table_count;
    int64_t page_bytes, pages, free_pages;
    int version;
};

/* All of it in the arena, which must outlive the store: statements are kept by their text. 0 or VX11_E…. */
int schema_read(struct store *s, struct arena *a, struct schema *out, struct error *err);
/* The same without counting: quick, whatever the file's size. */
int schema_read_shape(struct store *s, struct arena *a, struct schema *out, struct error *err);

#endif
