/* What the files of this folder share. */
#ifndef VX11_STORE_IMPORT_INTERNAL_H
#define VX11_STORE_IMPORT_INTERNAL_H

#include <sqlite3.h>

#include "store/import/import.h"

#define IMPORT_BATCH  200 /* rows in a transaction */
#define IMPORT_KEY    16
#define IMPORT_TEXT   (16 * 1024 * 1024) /* longest text that is read */
#define IMPORT_TABLES 512

struct source {
    sqlite3 *db;
    char copy[4200]; /* folder of a private copy; "": none */
    char path[4096];
    int64_t bytes, mtime_ns;
};
/* Nothing appears beside the file. A log beside it (-wal, -journal) makes a private copy necessary. */
int source_open(const char *path, const char *scratch, struct source *out, struct error *err);
int source_unchanged(const struct source *src, struct error *err); /* VX11_EBUSY: somebody wrote into it */
void source_close(struct source *src);
/* SELECT rowid and these columns, NULL for those that the table does not have. order: of its columns, used as
 * far as they exist; NULL: by rowid. NULL: out of memory. */
char *source_select(struct source *src, const char *table, const char *const *columns, size_t n,
                    const char *order);
bool source_has(struct source *src, const char *table);
int source_prepare(struct source *src, const char *sql, sqlite3_stmt **out, struct error *err);
/* Text of a column; NULL for NULL, and for what is no text in UTF-8. */
const char *source_text(sqlite3_stmt *stmt, int column);
/* "2025-12-15 19:12:00.123456" (UTC), RFC 3339, or a number of seconds or milliseconds since 1970, between
 * 2000 and 2100. */
bool source_time(sqlite3_stmt *stmt, int column, int64_t *out);

struct importing {
    struct store *store;
    const struct import_options *o;
    struct source src;
    struct arena *a;
    struct import_report *report;
    int64_t now;
    size_t candidates_room;
    /* Of a dry run: keys of what would have been taken over so far. Open addressing; zero: free. */
    unsigned char (*would)[IMPORT_KEY];
    size_t would_room, would_count;
};
bool import_stopped(const struct importing *x);
/* Its line in the report. */
struct import_table *import_table_of(struct importing *x, const char *name);
void import_left(struct importing *x, struct import_table *t, const char *reason, int64_t rows);
void import_candidate(struct importing *x, const char *kind, const char *name, const char *detail, int there,
                      const char *command); /* there: -1 unknown */

/* What is remembered of a row. parts: texts, NULL for NULL. */
void import_key(const char *table, const char *const *parts, size_t n, unsigned char out[IMPORT_KEY]);
/* VX11_ENOT_FOUND. id (27 bytes) and until may be NULL. */
int import_seen(struct importing *x, const unsigned char *key, char *id, int64_t *until, struct error *err);
/* A dry run's: import_seen knows it then, with an id that is empty. */
int import_would(struct importing *x, const unsigned char *key, struct error *err);
/* Inside a transaction. */
int import_remember(struct store *s, const unsigned char *key, int64_t at, const char *id,
                    const int64_t *until, struct error *err);

int import_incidents(struct importing *x, struct import_table *t, struct error *err);
int import_sessions(struct importing *x, struct import_table *t, struct error *err);
int import_messages(struct importing *x, struct import_table *t, struct error *err);
int import_tool_calls(struct importing *x, struct import_table *t, struct error *err);
int import_models(struct importing *x, struct import_table *t, struct error *err);
int import_providers(struct importing *x, struct import_table *t, struct error *err);

/* What becomes of a table: a function, or a reason to leave it. */
struct verdict {
    const char *table; /* ends with '*': all that begin so */
    const char *to;    /* table here; NULL: none */
    int (*take)(struct importing *x, struct import_table *t, struct error *err);
    const char *reason;
    int order; /* lower first */
};
const struct verdict *verdict_of(const char *table); /* NULL: no table of a predecessor */

#endif
