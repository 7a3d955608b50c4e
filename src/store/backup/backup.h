/* Backup: whole, checked copies of vx11.db in the folder `backups` of the home, each with its manifest.
 *
 *   copy (one snapshot, in steps) ─> check the copy ─> [zstd] ─> [seal] ─> read back ─> fsync ─> rename ─>
 * manifest
 *
 * The manifest (NAME.json) is the truth of a file: without one it is no backup. Who makes, prunes or restores
 * holds the maintenance lock; verify and list need no lock. None of these functions keeps state. */
#ifndef VX11_STORE_BACKUP_BACKUP_H
#define VX11_STORE_BACKUP_BACKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/backup.h"
#include "base/arena.h"
#include "base/error.h"

struct store;

/* Kinds: enum backup_kind { BACKUP_KIND_MANUAL, _DAILY, _WEEKLY, _MONTHLY, _BEFORE_MAINTAIN, _BEFORE_MIGRATE
 * } of api/backup.json. */

/* ---- the one lock for work on the whole file (run/maintenance.lock): backup, maintain, restore ---- */

struct maintenance_lock {
    int fd; /* -1: not held */
};
/* Waits at most wait_ms (0: not at all). VX11_EBUSY says who holds it: `what` is kept in the file with our
 * pid. Released by maintenance_unlock, and by the kernel when the process ends. */
int maintenance_lock(const char *home, const char *what, int64_t wait_ms, struct maintenance_lock *lock,
                     struct error *err);
void maintenance_unlock(struct maintenance_lock *lock);

/* ---- where ---- */

struct backup_place {
    char database[4096]; /* vx11.db */
    char folder[4096];   /* HOME/backups; made (0700) when something is written into it */
};
int backup_place_of(const char *home, const char *database, struct backup_place *place, struct error *err);

/* ---- make ---- */

/* How to cut a long work short; NULL functions are fine. */
struct backup_watch {
    bool (*cancelled)(void *ctx); /* asked every few ms: true ends the work with VX11_ECANCELLED */
    void (*progress)(void *ctx, const char *step, int64_t done, int64_t total); /* bytes or pages */
    void *ctx;
};
struct backup_options {
    enum backup_kind kind;
    const char *output;   /* a file elsewhere, that must not exist yet; NULL: a name in the folder */
    bool compress;        /* zstd */
    int level;            /* 1-19; 0: 3 */
    bool long_matches;    /* zstd's long mode: a window of 128 MiB */
    const char *key_file; /* seal with this key; NULL: not sealed */
    struct backup_watch watch;
};
/* Makes one while writers write, checks it, and notes the attempt in table `backup` (when the database can be
 * written). Every row committed before the call is in it. *out lives in the arena. On any error nothing is
 * left of it. VX11_EFULL: not enough room (looked at before, too). The caller holds the maintenance lock. */
int backup_make(const struct backup_place *place, const struct backup_options *options, struct arena *arena,
                struct backup_item *out, struct error *err);
/* Of a scheduled one: monthly when this calendar month (UTC) has none yet, else weekly, else daily. */
enum backup_kind backup_kind_due(const struct backup_list *list, int64_t now_ms);

struct backup_keep {
    int64_t daily, weekly, monthly, manual, before; /* how many of each; before: of each before_* kind */
};
/* A backup of kind before_migrate when the database is there and has an older schema than this program, as
 * one that the next store_open with `migrate` would change. *made: whether it was needed. Takes the
 * maintenance lock. Keeps the newest `keep` of that kind. */
int backup_before_migrate(const char *home, const struct backup_place *place,
                          const struct backup_options *options, const struct backup_keep *keep, bool *made,
                          struct error *err);

/* ---- read ---- */

/* Every backup in the folder, newest first, damaged ones with the reason in `problem`. Reads manifests and
 * sizes only; a folder that is not there is an empty list. In the arena. */
int backup_list(const struct backup_place *place, struct arena *arena, struct backup_list *out,
                struct error *err);
/* Newest that is whole and verified, or NULL: its verified_at and made_at say how fresh. */
const struct backup_item *backup_newest_verified(const struct backup_list *list);
/* name: of the folder, or a path. Reads the whole file: manifest, hash, seal, then the database in it
 * (integrity, keys, ids, schema, row counts). The manifest takes up the result. Notes the attempt.
 * VX11_ECORRUPT: it is damaged, err says where. out (may be NULL): in the arena. */
int backup_verify(const struct backup_place *place, const char *name, const char *key_file,
                  const struct backup_watch *watch, struct arena *arena, struct backup_item *out,
                  struct error *err);

/* ---- prune ---- */

/* Deletes what is beyond the counts, oldest first, and what dead processes left unfinished. The newest
 * verified one always stays. dry_run: only says what would go. *out (in the arena): what went. The caller
 * holds the maintenance lock. */
int backup_prune(const struct backup_place *place, const struct backup_keep *keep, bool dry_run,
                 struct arena *arena, struct backup_prune_reply *out, struct error *err);

/* ---- restore ---- */

struct backup_restore_options {
    const char *name; /* of the folder, or a path */
    const char *key_file;
    const char *by; /* who asked, for the ledger */
    struct backup_watch watch;
};
/* Verifies, unpacks beside the database, brings its schema up to this program's, notes the restore in it and
 * swaps it in by one rename. The old file stays as `vx11.db.before-restore-TIME`. Killed at any point, the
 * old or the new state is whole, and a second try goes through. The caller holds the maintenance lock and the
 * supervisor's lock: nothing runs. VX11_EBUSY: another process has the database open. VX11_EVERSION: it was
 * made by a newer program. */
int backup_restore(const struct backup_place *place, const struct backup_restore_options *options,
                   struct arena *arena, struct backup_restore_reply *out, struct error *err);

/* ---- keys ---- */

/* A new random key into a file of mode 0600 that must not exist yet. */
int backup_key_new(const char *path, struct error *err);

#endif
