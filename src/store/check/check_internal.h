/* What the steps of a check share. */
#ifndef VX11_STORE_CHECK_INTERNAL_H
#define VX11_STORE_CHECK_INTERNAL_H

#include "store/check/check.h"
#include "store/look.h"
#include "store/store_internal.h"

struct check_table {
    const char *name, *quoted, *sql;
    bool rowless;        /* WITHOUT ROWID */
    bool virtual_shadow; /* virtual, or a table that one keeps its own in */
};

struct check {
    const struct check_options *options;
    struct arena *arena;
    struct database_check *out;
    struct look look;
    struct store *store;
    sqlite3 *db;
    struct check_table *tables; /* by name */
    size_t table_count;
    size_t findings_max;
    int64_t started_ms, deadline_ms; /* monotonic; 0: none */
    bool expired;                    /* the deadline was met in the middle of something */
    const char *step;                /* that runs */
    const char *detail;              /* of the step; NULL */
    bool skipped, failed;            /* the step could not be made; detail says why */
};

bool check_expired(struct check *c);
/* A finding of the step that runs; f has what is known of it. Its step is filled in here. */
void check_found(struct check *c, struct database_finding f);
const char *check_text(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prepares; NULL after having noted why not: damage is a finding, the rest the step's detail. */
sqlite3_stmt *check_prepare(struct check *c, const char *table, const char *sql);
/* Next row? Damage that is met is a finding at `table`. */
bool check_step(struct check *c, const char *table, sqlite3_stmt *stmt);
const struct check_table *check_table_named(const struct check *c, const char *name);
bool check_has_column(struct check *c, const char *table, const char *column);

/* One function for each step. */
void check_file(struct check *c);
/* pages.c: was the file cut off? For one that SQLite does not open. */
void check_length_closed(struct check *c);
void check_pages(struct check *c);
void check_keys(struct check *c);
void check_values(struct check *c);
void check_json(struct check *c);
void check_orphans(struct check *c);
void check_schema(struct check *c);
void check_statistics(struct check *c);
void check_growth(struct check *c);

#endif
