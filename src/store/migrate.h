/* Migrate: numbered SQL files that travel in the binary, each applied once, in order. Private to the room. */
#ifndef VX11_STORE_MIGRATE_H
#define VX11_STORE_MIGRATE_H

#include <stddef.h>

#include <sqlite3.h>

#include "base/embed.h"
#include "base/error.h"

/* files: "0001_name.sql", sorted by name. Highest number; VX11_EINTERNAL when a name is not so or numbers do
 * not rise. */
int migrate_highest(const struct embed_file *files, size_t count, struct error *err);
/* Compares what was applied with what this program has. *applied: highest applied number, 0 for an empty
 * database. VX11_EVERSION: newer than this program, edited since, or applied by a program with other
 * migrations. */
int migrate_check(sqlite3 *db, const char *path, const struct embed_file *files, size_t count, int *applied,
                  struct error *err);
/* Applies what is missing, each file in one transaction. Safe when several processes do it at once. */
int migrate_apply(sqlite3 *db, const char *path, const struct embed_file *files, size_t count, int *applied,
                  struct error *err);

#endif
