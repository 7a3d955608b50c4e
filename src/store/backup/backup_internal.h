/* What the files of backup/ share. */
#ifndef VX11_STORE_BACKUP_INTERNAL_H
#define VX11_STORE_BACKUP_INTERNAL_H

#include <sqlite3.h>
#include <sys/types.h>

#include "store/backup/backup.h"
#include "store/connection.h"

#define BACKUP_KEY_LEN      32
#define BACKUP_KEY_ID_LEN   8
#define BACKUP_MANIFEST_MAX (4u << 20) /* bytes of a manifest */
#define BACKUP_NAME_MAX     200        /* bytes of a backup's name */
#define BACKUP_TEMP         ".vx11-unfinished-"

/* ---- files.c ---- */

/* An error at once when the work is to end; else tells the progress. */
int watch_step(const struct backup_watch *w, const char *step, int64_t done, int64_t total,
               struct error *err);
/* A new file (0600) in dir whose name begins with BACKUP_TEMP; path receives it. Locked (flock) as long as fd
 * is open, which tells the living from the dead. fd or VX11_E…. */
int temp_open(const char *dir, char *path, size_t size, struct error *err);
/* Deletes what begins with prefix in dir and nobody holds any more. Names into list (may be NULL), of which
 * there is room for max. dry_run: only names them. */
int temp_clean(const char *dir, const char *prefix, bool dry_run, struct arena *a, const char ***list,
               size_t *count, struct error *err);
int file_write(int fd, const void *data, size_t len, const char *path, struct error *err); /* all of it */
int folder_sync(const char *dir, struct error *err);
int folder_of(const char *path, char *out, size_t size);
/* VX11_EFULL when fewer than `bytes` (and a little more) are free where dir is. */
int room_check(const char *dir, int64_t bytes, const char *what, struct error *err);
int64_t room_free(const char *dir); /* -1: unknown */
/* Is it a name that backup_make gives? */
bool backup_name_valid(const char *name);
/* name of the folder, or a path: the file's path. */
int backup_path(const struct backup_place *place, const char *name, char *out, size_t size,
                struct error *err);

/* ---- copy.c: one snapshot of a database in use into an empty file ---- */
int copy_online(const char *database, const char *to, const struct backup_watch *watch, struct error *err);

/* ---- inspect.c: is the copy whole, and what is in it ---- */
struct copy_facts {
    int64_t schema_version;
    struct backup_migration *migrations;
    size_t migrations_count;
    struct backup_table *tables;
    size_t tables_count;
    int64_t rows;
    bool has_ledger;
    int64_t ledger_n;
    const char *ledger_hash; /* hex; NULL: no row */
};
/* Reads a file that nobody writes to, without locks and without making any file beside it. */
int copy_inspect(const char *path, const struct backup_watch *watch, struct arena *a, struct copy_facts *out,
                 struct error *err);

/* ---- key.c ---- */
/* The file must be ours, 0600. key is wiped by the caller (sodium_memzero). */
int key_read(const char *path, unsigned char key[BACKUP_KEY_LEN], struct error *err);
void key_id_of(const unsigned char key[BACKUP_KEY_LEN], unsigned char id[BACKUP_KEY_ID_LEN]);

/* ---- pack.c: zstd and the seal, streaming ---- */
struct pack_options {
    bool compress;
    int level;
    bool long_matches;
    const unsigned char *key; /* NULL: not sealed */
};
struct pack_sums {
    int64_t bytes; /* of the output */
    char sha256[65];
};
/* in: from its beginning to its end. out: written from where it stands. plain and packed: of what came in and
 * went out. */
int pack_stream(int in, int out, const struct pack_options *options, const struct backup_watch *watch,
                struct pack_sums *plain, struct pack_sums *packed, struct error *err);
/* The other way. out -1: only sums. most: no more plain bytes than this. VX11_ECORRUPT, VX11_EPERMISSION (the
 * key is another one, or missing). packed: of what came in. */
int unpack_stream(int in, int out, bool compressed, bool sealed, const unsigned char *key, int64_t most,
                  const struct backup_watch *watch, struct pack_sums *packed, struct pack_sums *plain,
                  struct error *err);

/* ---- manifest.c ---- */
/* Fills in `check` and gives the bytes of the file. */
int manifest_text(const struct backup_manifest *m, struct buf *out, struct error *err);
/* VX11_ECORRUPT: not exactly what manifest_text writes. */
int manifest_parse(const char *text, size_t len, struct arena *a, struct backup_manifest *out,
                   struct error *err);
int manifest_read(const char *file, struct arena *a, struct backup_manifest *out, struct error *err);
int manifest_write(const char *file, const struct backup_manifest *m, struct error *err); /* atomically */
void manifest_item(const struct backup_manifest *m, const char *name, struct backup_item *out);
/* Does the copy hold what the manifest says? */
int manifest_compare(const struct backup_manifest *m, const struct copy_facts *f, const char *name,
                     struct error *err);

/* ---- verify.c ---- */
/* Reads all of a backup and checks it against m. plain_fd -1: what is packed is unpacked into a file of its
 * own in temp_dir, and removed; else the database is written there (plain_path is its name), for a restore.
 */
int backup_check(const char *path, const struct backup_manifest *m, const char *key_file,
                 const char *temp_dir, int plain_fd, const char *plain_path, const struct backup_watch *watch,
                 struct arena *a, struct error *err);

/* ---- note.c ---- */
/* A row of table backup. item may lack everything but its name. problem NULL: it went well. A database that
 * cannot take it is logged. */
void backup_note(const struct backup_place *place, const char *action, const struct backup_item *item,
                 int64_t at, int64_t duration_ms, const char *problem);
int backup_note_in(struct store *s, const char *action, const struct backup_item *item, int64_t at,
                   int64_t duration_ms, const char *problem, struct error *err);

#endif
