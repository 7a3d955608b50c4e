/* Restore: puts a backup in the database's place.
 *
 *   verify ─> unpack beside the database ─> bring its schema up, note the restore in it ─> sync
 *     ─> old one: alone with it? log into the file, no log mode ─> second name before-restore-TIME
 *     ─> rename over it ─> sync the folder
 *
 * Each step leaves either the old database under its name, whole, or the new one. What a killed restore
 * leaves is a file of the name .vx11-unfinished-…, which the next one removes, or a second name of the old
 * database. The old one is held under SQLite's exclusive lock until the new one has its name: whoever would
 * open it meanwhile waits, and a log of the old one can never meet the new file.
 *
 * A database so damaged that SQLite cannot open it keeps its log: both get a second name before the log goes.
 */
#include "store/backup/backup_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "store/store.h"

struct restoring {
    const struct backup_place *place;
    const struct backup_restore_options *o;
    struct arena *a;
    char source[PATH_MAX], dir[PATH_MAX];
    char temp[PATH_MAX]; /* "": not there, or it is the database now */
    int temp_fd;
    char aside[PATH_MAX]; /* second name of the old database; "": there was none */
    struct backup_manifest manifest;
    int64_t begun_at, begun;
    int schema;
    sqlite3 *old; /* held exclusively */
};

static int step(struct restoring *r, const char *what, struct error *err)
{
    return watch_step(&r->o->watch, what, 0, 0, err);
}

/* ---- the new one ---- */

static int unpack_new(struct restoring *r, struct error *err)
{
    int rc = backup_path(r->place, r->o->name, r->source, sizeof r->source, err);
    if (rc == 0 && !fs_exists(r->source))
        rc = error_set(err, VX11_ENOT_FOUND, "there is no backup %s (%s)", r->o->name, r->source);
    if (rc == 0 && folder_of(r->place->database, r->dir, sizeof r->dir) != 0)
        rc = error_set(err, VX11_ETOO_LARGE, "the path of the database is too long");
    if (rc == 0 && (rc = manifest_read(r->source, r->a, &r->manifest, err)) != 0)
        return error_prefix(err, rc, "backup %s", r->o->name);
    if (rc == 0 && r->manifest.schema_version > store_schema_current())
        rc = error_set(err, VX11_EVERSION,
                       "backup %s is of a newer VX11 (%s, schema %lld): this one knows schema %d", r->o->name,
                       r->manifest.program, (long long)r->manifest.schema_version, store_schema_current());
    if (rc == 0)
        rc = fs_mkdirs(r->dir, 0700, err);
    if (rc == 0)
        rc = temp_clean(r->dir, BACKUP_TEMP, false, r->a, NULL, NULL, err);
    if (rc != 0)
        return rc;
    r->temp_fd = temp_open(r->dir, r->temp, sizeof r->temp, err);
    if (r->temp_fd < 0)
        return r->temp_fd;
    rc = backup_check(r->source, &r->manifest, r->o->key_file, r->dir, r->temp_fd, r->temp, &r->o->watch,
                      r->a, err);
    return rc == 0 ? 0 : error_prefix(err, rc, "backup %s", r->o->name);
}

/* Opened as the database will be: an older schema is migrated here, so that a migration that fails leaves
 * everything as it was. */
static int bring_up(struct restoring *r, struct error *err)
{
    struct store *s = NULL;
    struct backup_item item;
    const struct store_options options = {.path = r->temp, .migrate = true};
    manifest_item(&r->manifest, r->o->name, &item);
    int rc = store_open(&options, &s, err);
    if (rc != 0)
        return error_prefix(err, rc, "backup %s cannot be brought up to this version", r->o->name);
    r->schema = store_schema_version(s);
    rc = backup_note_in(s, "restore", &item, r->begun_at, clock_mono_ms() - r->begun, NULL, err);
    store_close(s);
    return rc;
}

/* The log has gone into the file when the last connection closed. */
static int settle_new(struct restoring *r, struct error *err)
{
    char log[PATH_MAX + 8];
    struct stat st;
    snprintf(log, sizeof log, "%s-wal", r->temp);
    if (stat(log, &st) == 0 && st.st_size > 0)
        return error_set(err, VX11_EIO, "the restored database does not come to rest: %s is left", log);
    unlink(log);
    snprintf(log, sizeof log, "%s-shm", r->temp);
    unlink(log);
    return fsync(r->temp_fd) == 0 ? 0 : error_set_errno(err, errno, "%s cannot be synced", r->temp);
}

/* ---- the old one ---- */

/* Alone with it, its log in the file and the log mode off: from here on one file is all of it. VX11_ECORRUPT:
 * SQLite cannot do it. */
static int hold_old(struct restoring *r, struct error *err)
{
    const char *path = r->place->database;
    int rc = sqlite3_open_v2(path, &r->old,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc != SQLITE_OK)
        return sql_error(err, r->old, rc, "cannot open %s", path);
    sqlite3_busy_timeout(r->old, 2000);
    rc = sql_run(r->old, "PRAGMA locking_mode=EXCLUSIVE; SELECT count(*) FROM sqlite_schema", err);
    if (rc == 0)
        rc = sql_run(r->old,
                     "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode=DELETE; BEGIN EXCLUSIVE; COMMIT",
                     err);
    if (rc == VX11_EBUSY)
        rc = error_set(err, rc, "%s is open in another process: stop that first", path);
    return rc;
}

static void name_aside(struct restoring *r)
{
    char at[32];
    const time_t seconds = (time_t)(r->begun_at / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(at, sizeof at, "%Y%m%dT%H%M%SZ", &tm);
    for (int i = 0; i < 100; i++) {
        snprintf(r->aside, sizeof r->aside, i ? "%s.before-restore-%s-%d" : "%s.before-restore-%s",
                 r->place->database, at, i);
        if (!fs_exists(r->aside))
            return;
    }
}

static int link_aside(const char *from, const char *to, struct error *err)
{
    return link(from, to) == 0 ? 0 : error_set_errno(err, errno, "%s cannot be kept as %s", from, to);
}

/* What belongs to the old file must not be found beside the new one. */
static int remove_beside(struct restoring *r, const char *suffix, struct error *err)
{
    char path[PATH_MAX + 8];
    snprintf(path, sizeof path, "%s%s", r->place->database, suffix);
    return unlink(path) == 0 || errno == ENOENT ? 0
                                                : error_set_errno(err, errno, "%s cannot be removed", path);
}

static int keep_log(struct restoring *r, struct error *err)
{
    char log[PATH_MAX + 8], kept[PATH_MAX + 8];
    struct stat st;
    snprintf(log, sizeof log, "%s-wal", r->place->database);
    snprintf(kept, sizeof kept, "%s-wal", r->aside);
    return stat(log, &st) == 0 && st.st_size > 0 ? link_aside(log, kept, err) : 0;
}

static int put_aside(struct restoring *r, struct error *err)
{
    struct error why = {0};
    name_aside(r);
    const bool there = fs_exists(r->place->database);
    int rc = there ? hold_old(r, &why) : 0;
    const bool damaged = rc == VX11_ECORRUPT;
    if (rc != 0 && !damaged)
        return error_set(err, rc, "%s", why.text);
    if ((rc = step(r, "aside", err)) != 0)
        return rc;
    if (there)
        rc = link_aside(r->place->database, r->aside, err);
    if (rc == 0 && (damaged || !there))
        rc = keep_log(r, err);
    if (rc == 0)
        rc = folder_sync(r->dir, err);
    if (rc == 0)
        rc = step(r, "beside", err);
    if (rc == 0)
        rc = remove_beside(r, "-wal", err);
    if (rc == 0)
        rc = remove_beside(r, "-shm", err);
    if (!there)
        r->aside[0] = '\0';
    return rc;
}

static int swap_in(struct restoring *r, struct error *err)
{
    int rc = step(r, "swap", err);
    if (rc == 0 && rename(r->temp, r->place->database) != 0)
        rc = error_set_errno(err, errno, "%s cannot be given its name", r->place->database);
    if (rc != 0)
        return rc;
    r->temp[0] = '\0';
    return folder_sync(r->dir, err);
}

/* ---- all of it ---- */

static int restore_all(struct restoring *r, struct error *err)
{
    int rc = unpack_new(r, err);
    if (rc == 0)
        rc = step(r, "schema", err);
    if (rc == 0)
        rc = bring_up(r, err);
    if (rc == 0)
        rc = settle_new(r, err);
    if (rc == 0)
        rc = step(r, "hold", err);
    if (rc == 0)
        rc = put_aside(r, err);
    if (rc == 0)
        rc = swap_in(r, err);
    return rc;
}

static void restore_clean(struct restoring *r)
{
    static const char *const beside[] = {"", "-wal", "-shm"};
    char path[PATH_MAX + 8];
    for (size_t i = 0; r->temp[0] && i < COUNT_OF(beside); i++) {
        snprintf(path, sizeof path, "%s%s", r->temp, beside[i]);
        unlink(path);
    }
    if (r->temp_fd >= 0)
        close(r->temp_fd);
    sqlite3_close_v2(r->old);
}

int backup_restore(const struct backup_place *place, const struct backup_restore_options *options,
                   struct arena *arena, struct backup_restore_reply *out, struct error *err)
{
    struct restoring *r = arena_zalloc(arena, sizeof *r);
    struct error why = {0};
    if (!r)
        return error_set(err, VX11_ENOMEM, "out of memory");
    *r = (struct restoring){.place = place,
                            .o = options,
                            .a = arena,
                            .temp_fd = -1,
                            .begun_at = clock_wall_ms(),
                            .begun = clock_mono_ms()};
    int rc = restore_all(r, &why);
    restore_clean(r);
    *out = (struct backup_restore_reply){
        .name = options->name,
        .made_at = r->manifest.made_at,
        .rows = r->manifest.rows,
        .schema_before = r->manifest.schema_version,
        .schema_version = r->schema,
        .kept = r->aside[0] ? arena_strdup(arena, r->aside) : NULL,
        .duration_ms = clock_mono_ms() - r->begun,
    };
    if (rc != 0 && rc != VX11_ECANCELLED) {
        const struct backup_item item = {.name = options->name};
        backup_note(place, "restore", &item, r->begun_at, out->duration_ms, why.text);
    }
    if (rc != 0 && err)
        *err = why;
    return rc;
}
