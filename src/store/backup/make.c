/* Make: from the database in use to a file under its final name, which appears there whole and checked.
 *
 *   .unfinished-A (copy) ─> inspect ─> [.unfinished-B (packed) ─> unpacked again, same sum?] ─> fsync
 *     ─> manifest NAME.json ─> rename to NAME ─> fsync of the folder
 *
 * The manifest goes first: a file that is there is always one that has its manifest. Killed in between, a
 * manifest without a file stays, which list shows and prune removes. */
#include "store/backup/backup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/ulid.h"
#include "store/store.h"
#include "version.h"

struct making {
    const struct backup_place *place;
    const struct backup_options *o;
    struct arena *a;
    char dir[PATH_MAX];
    char temp[PATH_MAX], packed[PATH_MAX]; /* "": not there */
    int temp_fd, packed_fd;
    char target[PATH_MAX];
    const char *name;
    unsigned char key[BACKUP_KEY_LEN];
    struct copy_facts facts;
    struct pack_sums plain, file;
    struct backup_manifest manifest;
    bool manifest_there;
};

static const char *ending_of(const struct backup_options *o)
{
    return o->key_file ? (o->compress ? ".db.zst.sealed" : ".db.sealed") : o->compress ? ".db.zst" : ".db";
}

/* vx11-20261123T043000Z-daily-8KQ2.db.zst */
static int name_target(struct making *k, struct error *err)
{
    char id[ULID_LEN + 1], at[32];
    if (k->o->output) {
        k->name = k->o->output;
        if (!strchr(k->name, '/'))
            k->name = arena_printf(k->a, "./%s", k->name);
        if (fs_exists(k->o->output))
            return error_set(err, VX11_EEXISTS, "%s is there already", k->o->output);
    } else {
        const time_t seconds = (time_t)(k->manifest.made_at / 1000);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        strftime(at, sizeof at, "%Y%m%dT%H%M%SZ", &tm);
        ulid_make(id);
        k->name = arena_printf(k->a, "vx11-%s-%s-%s%s", at, backup_kind_names[k->o->kind], id + ULID_LEN - 5,
                               ending_of(k->o));
    }
    if (!k->name)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = backup_path(k->place, k->name, k->target, sizeof k->target, err);
    if (rc == 0 && folder_of(k->target, k->dir, sizeof k->dir) != 0)
        rc = error_set(err, VX11_ETOO_LARGE, "the path %s is too long", k->target);
    return rc;
}

static int sync_file(int fd, const char *path, struct error *err)
{
    return fsync(fd) == 0 ? 0 : error_set_errno(err, errno, "%s cannot be synced", path);
}

/* The bare copy: its own sum. */
static int sum_copy(struct making *k, struct error *err)
{
    if (lseek(k->temp_fd, 0, SEEK_SET) != 0)
        return error_set_errno(err, errno, "%s cannot be read", k->temp);
    return unpack_stream(k->temp_fd, -1, false, false, NULL, INT64_MAX, &k->o->watch, &k->file, &k->plain,
                         err);
}

/* Packed, and unpacked again: what can be read back is what was copied. */
static int pack_copy(struct making *k, struct error *err)
{
    const struct pack_options o = {.compress = k->o->compress,
                                   .level = k->o->level,
                                   .long_matches = k->o->long_matches,
                                   .key = k->o->key_file ? k->key : NULL};
    struct pack_sums read_file, read_plain;
    struct stat st;
    k->packed_fd = temp_open(k->dir, k->packed, sizeof k->packed, err);
    if (k->packed_fd < 0)
        return k->packed_fd;
    if (lseek(k->temp_fd, 0, SEEK_SET) != 0 || fstat(k->temp_fd, &st) != 0)
        return error_set_errno(err, errno, "%s cannot be read", k->temp);
    int rc = room_check(k->dir, o.compress ? st.st_size / 2 : st.st_size, "the packed copy", err);
    if (rc == 0)
        rc = pack_stream(k->temp_fd, k->packed_fd, &o, &k->o->watch, &k->plain, &k->file, err);
    if (rc == 0)
        rc = sync_file(k->packed_fd, k->packed, err);
    if (rc == 0 && lseek(k->packed_fd, 0, SEEK_SET) != 0)
        rc = error_set_errno(err, errno, "%s cannot be read", k->packed);
    if (rc == 0)
        rc = unpack_stream(k->packed_fd, -1, o.compress, o.key != NULL, o.key, k->plain.bytes, &k->o->watch,
                           &read_file, &read_plain, err);
    if (rc == 0 && (!str_eq(read_plain.sha256, k->plain.sha256) || !str_eq(read_file.sha256, k->file.sha256)))
        rc = error_set(err, VX11_EIO, "what was packed reads back differently");
    return rc;
}

static void fill_manifest(struct making *k, char key_id[2 * BACKUP_KEY_ID_LEN + 1])
{
    unsigned char id[BACKUP_KEY_ID_LEN];
    struct backup_manifest *m = &k->manifest;
    const struct copy_facts *f = &k->facts;
    if (k->o->key_file) {
        key_id_of(k->key, id);
        hex_encode(id, sizeof id, key_id);
    }
    m->format = 1;
    m->kind = (int)k->o->kind;
    m->program = VX11_VERSION;
    m->bytes = k->file.bytes;
    m->sha256 = arena_strdup(k->a, k->file.sha256);
    m->database_bytes = k->plain.bytes;
    m->database_sha256 = arena_strdup(k->a, k->plain.sha256);
    m->compressed = k->o->compress;
    m->encrypted = k->o->key_file != NULL;
    m->key_id = k->o->key_file ? key_id : NULL;
    m->schema_version = f->schema_version;
    m->migrations = f->migrations;
    m->migrations_count = f->migrations_count;
    m->rows = f->rows;
    m->tables = f->tables;
    m->tables_count = f->tables_count;
    m->has_ledger_n = f->has_ledger;
    m->ledger_n = f->ledger_n;
    m->ledger_hash = f->ledger_hash;
    m->verified_at = clock_wall_ms();
}

static int make_copy(struct making *k, struct error *err)
{
    k->temp_fd = temp_open(k->dir, k->temp, sizeof k->temp, err);
    if (k->temp_fd < 0)
        return k->temp_fd;
    int rc = copy_online(k->place->database, k->temp, &k->o->watch, err);
    if (rc == 0)
        rc = copy_inspect(k->temp, &k->o->watch, k->a, &k->facts, err);
    if (rc == 0)
        rc = k->o->compress || k->o->key_file ? pack_copy(k, err) : sum_copy(k, err);
    if (rc == 0 && k->packed_fd < 0)
        rc = sync_file(k->temp_fd, k->temp, err);
    return rc;
}

/* From here on it has a name. */
static int make_keep(struct making *k, struct error *err)
{
    char *from = k->packed_fd >= 0 ? k->packed : k->temp;
    int rc = watch_step(&k->o->watch, "keep", 0, 0, err);
    if (rc == 0 && (rc = manifest_write(k->target, &k->manifest, err)) == 0)
        k->manifest_there = true;
    if (rc == 0)
        rc = watch_step(&k->o->watch, "name", 0, 0, err);
    if (rc == 0 && renameat2(AT_FDCWD, from, AT_FDCWD, k->target, RENAME_NOREPLACE) != 0 &&
        (errno != EINVAL || rename(from, k->target) != 0))
        rc = error_set_errno(err, errno, "%s cannot be given its name", k->target);
    if (rc == 0) {
        from[0] = '\0';
        rc = folder_sync(k->dir, err);
    }
    return rc;
}

static void make_clean(struct making *k, bool failed)
{
    char manifest[PATH_MAX + 8];
    if (k->temp[0])
        unlink(k->temp);
    if (k->packed[0])
        unlink(k->packed);
    if (failed && k->manifest_there && snprintf(manifest, sizeof manifest, "%s.json", k->target) > 0)
        unlink(manifest);
    if (k->temp_fd >= 0)
        close(k->temp_fd);
    if (k->packed_fd >= 0)
        close(k->packed_fd);
    sodium_memzero(k->key, sizeof k->key);
}

static int make_all(struct making *k, char key_id[2 * BACKUP_KEY_ID_LEN + 1], struct error *err)
{
    int rc = name_target(k, err);
    if (rc == 0 && !k->o->output)
        rc = fs_mkdirs(k->place->folder, 0700, err);
    if (rc == 0 && k->o->key_file)
        rc = key_read(k->o->key_file, k->key, err);
    if (rc == 0)
        rc = temp_clean(k->dir, BACKUP_TEMP, false, k->a, NULL, NULL, err);
    if (rc == 0)
        rc = make_copy(k, err);
    if (rc == 0) {
        fill_manifest(k, key_id);
        rc = make_keep(k, err);
    }
    return rc;
}

int backup_make(const struct backup_place *place, const struct backup_options *options, struct arena *arena,
                struct backup_item *out, struct error *err)
{
    const int64_t begun = clock_mono_ms();
    struct error why = {0};
    char *key_id = arena_alloc(arena, 2 * BACKUP_KEY_ID_LEN + 1);
    struct making *k = arena_zalloc(arena, sizeof *k);
    if (!k || !key_id)
        return error_set(err, VX11_ENOMEM, "out of memory");
    k->place = place;
    k->o = options;
    k->a = arena;
    k->temp_fd = k->packed_fd = -1;
    k->manifest.made_at = clock_wall_ms();
    int rc = make_all(k, key_id, &why);
    make_clean(k, rc != 0);
    if (rc == 0)
        manifest_item(&k->manifest, k->name, out);
    else
        *out = (struct backup_item){
            .name = k->name ? k->name : place->folder, .has_kind = true, .kind = (int)options->kind};
    out->has_duration_ms = true;
    out->duration_ms = clock_mono_ms() - begun;
    if (rc != 0)
        error_prefix(&why, rc, "no backup was made");
    /* A schema that is about to be migrated may not have the table yet. */
    if (rc != VX11_ECANCELLED && options->kind != BACKUP_KIND_BEFORE_MIGRATE)
        backup_note(place, "make", out, k->manifest.made_at, out->duration_ms, rc == 0 ? NULL : why.text);
    if (err && rc != 0)
        *err = why;
    return rc;
}
