/* Connection: one SQLite connection, opened the one way that VX11 opens them. Private to the room. */
#ifndef VX11_STORE_CONNECTION_H
#define VX11_STORE_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

#include "base/error.h"

/* "VX11" in the file's header: tells our files from other programs'. */
#define STORE_APPLICATION_ID 0x56583131

enum connection_role {
    CONNECTION_READ,  /* queries; cannot write */
    CONNECTION_STILL, /* as READ, of a file that nobody changes meanwhile: leaves no trace beside it */
    CONNECTION_WRITE, /* small writes on the loop's thread */
    CONNECTION_BATCH, /* the writer's thread; it does the checkpoints, so that the loop seldom waits for a
                         disk */
};

/* Opens an existing file. The header is looked at before SQLite reads a page, so that a file that is no
 * database is left alone. Each pragma is set and read back. The caller owns *out: connection_close. */
int connection_open(const char *path, enum connection_role role, int64_t busy_timeout_ms, sqlite3 **out,
                    struct error *err);
/* How long db waits for a lock that another connection has, asking every half millisecond; then SQLITE_BUSY.
 * 0 or VX11_ENOMEM: then it waits as before. */
int connection_wait(sqlite3 *db, int64_t ms, struct error *err);
void connection_close(sqlite3 *db); /* NULL is fine */

/* Makes an empty database (mode 0600) so that it appears under its name whole, or not at all. 0 also when
 * somebody else was faster. */
int database_create(const char *path, struct error *err);
/* Every page, by quick_check. VX11_ECANCELLED: a progress handler of db ended it. */
int database_check_pages(sqlite3 *db, const char *path, struct error *err);
/* Is this a database of ours, and sound? Reads only. thorough: also checks every page. */
int database_inspect(sqlite3 *db, const char *path, bool thorough, struct error *err);

/* What a SQLite result code means here; db may be NULL, else its last system error refines it. */
int sql_code(sqlite3 *db, int rc);
/* Fills err from rc and db's message: "doing: message". Returns the code. */
int sql_error(struct error *err, sqlite3 *db, int rc, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* VX11_ECORRUPT, with what to do about it. */
int error_damaged(struct error *err, const char *path, const char *why);
/* Runs text that has no parameters, all its statements; rows are ignored. */
int sql_run(sqlite3 *db, const char *sql, struct error *err);
/* Rolls back what is open. Also called before something begins, because a rollback may have failed for want
 * of memory: what comes next must not end up inside, and so be reported as done while it is not. */
int sql_settle(sqlite3 *db, struct error *err);
/* First column of the first row; VX11_ENOT_FOUND without a row. */
int sql_int(sqlite3 *db, const char *sql, int64_t *out, struct error *err);

#endif
