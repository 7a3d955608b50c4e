/* Verify: reads a whole backup again, as if for a restore. What is found goes into its manifest, so that list
 * and doctor know it. */
#include "store/backup/backup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/clock.h"
#include "base/str.h"

static int compare_sums(const struct backup_manifest *m, const struct pack_sums *file,
                        const struct pack_sums *plain, struct error *err)
{
    if (file->bytes != m->bytes)
        return error_set(err, VX11_ECORRUPT, "its file has %lld bytes, its manifest says %lld",
                         (long long)file->bytes, (long long)m->bytes);
    if (!str_eq(file->sha256, m->sha256))
        return error_set(err, VX11_ECORRUPT,
                         "its bytes are not those that were written (SHA-256 %.16s…, not %.16s…)",
                         file->sha256, m->sha256);
    if (plain->bytes != m->database_bytes || !str_eq(plain->sha256, m->database_sha256))
        return error_set(err, VX11_ECORRUPT, "the database in it is not the one that was copied");
    return 0;
}

/* The file's own bytes first: a damaged one is told as damaged, whatever its seal says of it. */
static int check_bytes(int fd, const struct backup_manifest *m, const struct backup_watch *watch,
                       struct error *err)
{
    struct pack_sums file, plain;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_set_errno(err, errno, "its file cannot be read");
    if (st.st_size != m->bytes)
        return error_set(err, VX11_ECORRUPT, "its file has %lld bytes, its manifest says %lld",
                         (long long)st.st_size, (long long)m->bytes);
    int rc = unpack_stream(fd, -1, false, false, NULL, INT64_MAX, watch, &file, &plain, err);
    if (rc == 0 && !str_eq(file.sha256, m->sha256))
        rc = error_set(err, VX11_ECORRUPT,
                       "its bytes are not those that were written (SHA-256 %.16s…, not %.16s…)", file.sha256,
                       m->sha256);
    if (rc == 0 && lseek(fd, 0, SEEK_SET) != 0)
        rc = error_set_errno(err, errno, "its file cannot be read");
    return rc;
}

static int check_key(const struct backup_manifest *m, const char *key_file, unsigned char key[BACKUP_KEY_LEN],
                     struct error *err)
{
    if (!m->encrypted)
        return 0;
    if (!key_file || !key_file[0])
        return error_set(err, VX11_EPERMISSION, "it is sealed with key %s: say which file holds that key",
                         m->key_id ? m->key_id : "(unknown)");
    return key_read(key_file, key, err);
}

int backup_check(const char *path, const struct backup_manifest *m, const char *key_file,
                 const char *temp_dir, int plain_fd, const char *plain_path, const struct backup_watch *watch,
                 struct arena *a, struct error *err)
{
    unsigned char key[BACKUP_KEY_LEN];
    char temp[PATH_MAX] = "";
    struct pack_sums file, plain;
    struct copy_facts facts;
    const bool packed = m->compressed || m->encrypted;
    int temp_fd = -1, out = plain_fd;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, errno, "%s cannot be opened", path);
    int rc = check_bytes(fd, m, watch, err);
    if (rc == 0)
        rc = check_key(m, key_file, key, err);
    if (rc == 0 && (packed || plain_fd >= 0))
        rc = room_check(temp_dir, m->database_bytes, "what is in the backup", err);
    if (rc == 0 && packed && plain_fd < 0) {
        out = temp_fd = temp_open(temp_dir, temp, sizeof temp, err);
        rc = temp_fd < 0 ? temp_fd : 0;
    }
    if (rc == 0)
        rc = unpack_stream(fd, out, m->compressed, m->encrypted, m->encrypted ? key : NULL, m->database_bytes,
                           watch, &file, &plain, err);
    if (rc == 0)
        rc = compare_sums(m, &file, &plain, err);
    const char *database = temp[0] ? temp : plain_fd >= 0 ? plain_path : path;
    if (rc == 0)
        rc = copy_inspect(database, watch, a, &facts, err);
    if (rc == 0)
        rc = manifest_compare(m, &facts, "it", err);
    if (temp[0])
        unlink(temp);
    if (temp_fd >= 0)
        close(temp_fd);
    close(fd);
    sodium_memzero(key, sizeof key);
    return rc;
}

/* Whole or damaged, the manifest says so from now on. Nothing that has to do with this try alone (no key, no
 * room, cancelled) is written down. */
static int take_result(const char *path, struct backup_manifest *m, int result, const char *why,
                       struct error *err)
{
    const bool damaged = result == VX11_ECORRUPT || result == VX11_ENOT_FOUND;
    if (result != 0 && !damaged)
        return 0;
    m->has_failed_at = damaged;
    m->failed_at = damaged ? clock_wall_ms() : 0;
    m->failure = damaged ? why : NULL;
    if (!damaged)
        m->verified_at = clock_wall_ms();
    return manifest_write(path, m, err);
}

int backup_verify(const struct backup_place *place, const char *name, const char *key_file,
                  const struct backup_watch *watch, struct arena *arena, struct backup_item *out,
                  struct error *err)
{
    const int64_t at = clock_wall_ms(), begun = clock_mono_ms();
    char path[PATH_MAX], dir[PATH_MAX];
    struct backup_manifest m;
    struct backup_item item = {.name = name};
    struct error why = {0}, late = {0};
    int rc = backup_path(place, name, path, sizeof path, err);
    if (rc == 0 && folder_of(path, dir, sizeof dir) != 0)
        rc = error_set(err, VX11_ETOO_LARGE, "the path %s is too long", path);
    if (rc != 0)
        return rc;
    rc = manifest_read(path, arena, &m, &why);
    const bool readable = rc == 0;
    if (rc == VX11_ENOT_FOUND && access(path, F_OK) != 0)
        return error_set(err, rc, "there is no backup %s", name);
    if (readable)
        rc = backup_check(path, &m, key_file, dir, -1, NULL, watch, arena, &why);
    const char *text = rc == 0 ? NULL : arena_strdup(arena, why.text);
    if (readable && take_result(path, &m, rc, text, &late) != 0 && rc == 0) {
        rc = error_set(&why, late.code, "%s", late.text);
        text = arena_strdup(arena, why.text);
    }
    if (readable)
        manifest_item(&m, name, &item);
    if (rc != 0) {
        item.verified = false;
        item.problem = text ? text : "out of memory";
    }
    item.has_duration_ms = true;
    item.duration_ms = clock_mono_ms() - begun;
    if (rc != VX11_ECANCELLED)
        backup_note(place, "verify", &item, at, item.duration_ms, item.problem);
    if (out)
        *out = item;
    return rc == 0 ? 0
                   : error_set(err, rc == VX11_ENOT_FOUND ? VX11_ECORRUPT : rc, "backup %s: %s", name,
                               item.problem);
}
