/* Archive: rows that left the database, as JSON lines in zstd files.
 *
 *   FOLDER/TABLE/TIME-ID.jsonl.zst = part, part, …     a part is one zstd frame; the first line says what it
 * is:
 *   {"vx11_archive":1,"table":"job","schema":20,"at":1700000000000}
 *   {"job":{"id":"01…",…}}                             then a row on each line, named after its table
 *
 *   begin ─> put … ─> finish (fsync, read back, compare) ─> row of table `archive` ─> the rows may be deleted
 *
 * Killed in between, the part's rows are in the database still, and are archived again: nothing is lost, and
 * what is there twice shows by its id. */
#ifndef VX11_STORE_MAINTAIN_ARCHIVE_H
#define VX11_STORE_MAINTAIN_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/maintenance.h"
#include "base/arena.h"
#include "base/ulid.h"
#include "store/store.h"

/* ---- write ---- */

struct archive;
struct archive_part {
    char id[ULID_LEN + 1];
    char table[64], path[256]; /* path: below the folder */
    int64_t offset, bytes, content_bytes;
    char sha256[65], content_sha256[65];
    int64_t rows, children;
    bool timed;
    int64_t first_at, last_at;
};

/* Makes the folder (0700) when it is not there, and locks it: one process at a time moves rows. Waits at most
 * wait_ms; VX11_EBUSY. */
int archive_open(const char *folder, int64_t wait_ms, struct archive **out, struct error *err);
void archive_close(struct archive *a); /* gives up an unfinished part; NULL is fine */
/* Begins a part of the table's newest file, or of a new one. `s` says how far that file is known. */
int archive_begin(struct archive *a, struct store *s, const char *table, int64_t now_ms, struct error *err);
/* Adds a line that ends with a line feed, of the table or of one whose row goes with it. at: of the row. */
int archive_put(struct archive *a, const char *lines, size_t len, int64_t rows, int64_t children, int64_t at,
                struct error *err);
int64_t archive_content_bytes(const struct archive *a); /* of the part so far */
/* Ends the part: on the disk, read back and compared. On an error nothing is left of it. */
int archive_finish(struct archive *a, struct archive_part *out, struct error *err);
void archive_abandon(struct archive *a);
/* Lists it in the database. */
int archive_note(struct store *s, const struct archive_part *part, int64_t now_ms, struct error *err);

/* ---- read ---- */

/* What the database knows. table NULL: all of them. Looks at sizes only. In the arena. */
int archive_list(struct store *s, const char *folder, const char *table, struct arena *arena,
                 struct maintenance_archive *out, struct error *err);
/* The same, and reads every byte. out->ok says what came of it. */
int archive_verify(struct store *s, const char *folder, const char *table, const volatile bool *stop,
                   struct arena *arena, struct maintenance_archive *out, struct error *err);
/* Unpacks a file: fn gets pieces of its lines; its non-zero ends it and is returned. name: below the folder,
 * or a path with a leading '/' or "./". VX11_ECORRUPT: it is damaged from there on. */
int archive_show(const char *folder, const char *name, int (*fn)(void *ctx, const char *data, size_t len),
                 void *ctx, struct error *err);

/* ---- bounds ---- */

/* Deletes files whose last part is older than keep_ms, then the oldest until keep_bytes are left; 0: no
 * bound. Files that no row knows go by their own age. files, bytes: what went. */
int archive_prune(struct store *s, const char *folder, int64_t now_ms, int64_t keep_ms, int64_t keep_bytes,
                  int64_t *files, int64_t *bytes, struct error *err);

#endif
