/* Files: the folder of backups, names in it, the maintenance lock, and files that are not finished yet.
 *
 * An unfinished file is locked with flock by who writes it. The kernel lets go of that when the process ends,
 * however it ends: so a file that can be locked is a dead one's, and may go. */
#include "store/backup/backup_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"

#define ROOM_SPARE    ((int64_t)8 << 20) /* stays free for the database itself */
#define CLEAN_AT_MOST 1000

/* ---- the lock ---- */

int maintenance_lock(const char *home, const char *what, int64_t wait_ms, struct maintenance_lock *lock,
                     struct error *err)
{
    char run[PATH_MAX], path[PATH_MAX], words[160];
    lock->fd = -1;
    int rc = fs_path(run, sizeof run, home, "run");
    if (rc == 0)
        rc = fs_path(path, sizeof path, run, "maintenance.lock");
    if (rc != 0)
        return error_set(err, rc, "the path of the home is too long");
    if ((rc = fs_mkdirs(run, 0700, err)) != 0)
        return rc;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "%s cannot be opened", path);
    if ((rc = fs_lock(fd, wait_ms)) != 0) {
        ssize_t n = pread(fd, words, sizeof words - 1, 0);
        words[n > 0 ? n : 0] = '\0';
        close(fd);
        return rc == VX11_EBUSY
                   ? error_set(err, rc,
                               "other work on the database goes on (%.*s): try again when it is done",
                               (int)strcspn(words, "\n"), words)
                   : error_set(err, rc, "%s cannot be locked", path);
    }
    int n = snprintf(words, sizeof words, "%.100s, process %d\n", what, (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, words, (size_t)n, 0) != n) {
        rc = error_set_errno(err, errno, "%s cannot be written", path);
        close(fd);
        return rc;
    }
    lock->fd = fd;
    return 0;
}

void maintenance_unlock(struct maintenance_lock *lock)
{
    if (lock->fd >= 0)
        close(lock->fd);
    lock->fd = -1;
}

/* ---- paths ---- */

int backup_place_of(const char *home, const char *database, struct backup_place *place, struct error *err)
{
    int rc = fs_path(place->folder, sizeof place->folder, home, "backups");
    int n = snprintf(place->database, sizeof place->database, "%s", database);
    if (rc != 0 || n < 1 || (size_t)n >= sizeof place->database)
        return error_set(err, VX11_ETOO_LARGE, "the path of the database is too long");
    return 0;
}

int folder_of(const char *path, char *out, size_t size)
{
    const char *slash = strrchr(path, '/');
    size_t len = !slash ? 1 : slash == path ? 1 : (size_t)(slash - path);
    if (len >= size)
        return VX11_ETOO_LARGE;
    memcpy(out, slash ? path : ".", len);
    out[len] = '\0';
    return 0;
}

bool backup_name_valid(const char *name)
{
    static const char *const endings[] = {".db", ".db.zst", ".db.sealed", ".db.zst.sealed"};
    size_t n = strlen(name);
    if (!str_starts(name, "vx11-") || n > BACKUP_NAME_MAX || strchr(name, '/'))
        return false;
    for (size_t i = 0; i < COUNT_OF(endings); i++)
        if (str_ends(name, endings[i]))
            return true;
    return false;
}

int backup_path(const struct backup_place *place, const char *name, char *out, size_t size, struct error *err)
{
    int n = strchr(name, '/') ? snprintf(out, size, "%s", name)
                              : snprintf(out, size, "%s/%s", place->folder, name);
    if (n < 1 || (size_t)n + sizeof ".json" > size)
        return error_set(err, VX11_ETOO_LARGE, "the path of backup %.100s is too long", name);
    return 0;
}

int folder_sync(const char *dir, struct error *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "%s cannot be opened", dir);
    /* Some file systems cannot sync a folder: then there is nothing to wait for. */
    int rc = fsync(fd) != 0 && errno != EINVAL ? error_set_errno(err, errno, "%s cannot be synced", dir) : 0;
    close(fd);
    return rc;
}

/* ---- room ---- */

int64_t room_free(const char *dir)
{
    struct statvfs v;
    if (statvfs(dir, &v) != 0)
        return -1;
    uint64_t bytes = (uint64_t)v.f_bavail * (uint64_t)v.f_frsize;
    return bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

int room_check(const char *dir, int64_t bytes, const char *what, struct error *err)
{
    char need[24], have[24];
    int64_t there = room_free(dir);
    if (there < 0)
        return error_set_errno(err, errno, "cannot find out how much room there is in %s", dir);
    if (there >= bytes + ROOM_SPARE)
        return 0;
    str_format_bytes((uint64_t)(bytes + ROOM_SPARE), need);
    str_format_bytes((uint64_t)there, have);
    return error_set(err, VX11_EFULL, "not enough room in %s for %s: %s are needed, %s are free", dir, what,
                     need, have);
}

/* ---- unfinished files ---- */

int watch_step(const struct backup_watch *w, const char *step, int64_t done, int64_t total, struct error *err)
{
    if (!w)
        return 0;
    if (w->progress)
        w->progress(w->ctx, step, done, total);
    if (w->cancelled && w->cancelled(w->ctx))
        return error_set(err, VX11_ECANCELLED, "cancelled while it was at: %s", step);
    return 0;
}

int temp_open(const char *dir, char *path, size_t size, struct error *err)
{
    int n = snprintf(path, size, "%s/" BACKUP_TEMP "XXXXXX", dir);
    if (n < 1 || (size_t)n >= size)
        return error_set(err, VX11_ETOO_LARGE, "the path %s is too long", dir);
    int fd = mkostemp(path, O_CLOEXEC); /* mode 0600 */
    if (fd < 0) {
        int rc = error_set_errno(err, errno, "no file can be made in %s", dir);
        path[0] = '\0';
        return rc;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    int rc = error_set_errno(err, errno, "%s cannot be locked", path);
    close(fd);
    unlink(path);
    path[0] = '\0';
    return rc;
}

/* Nobody writes it any more. */
static bool file_is_dead(int dir, const char *name)
{
    struct stat st;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool dead = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return dead;
}

int temp_clean(const char *dir, const char *prefix, bool dry_run, struct arena *a, const char ***list,
               size_t *count, struct error *err)
{
    DIR *d = opendir(dir);
    if (!d)
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "%s cannot be read", dir);
    int rc = 0;
    struct dirent *e;
    for (unsigned i = 0; rc == 0 && i < CLEAN_AT_MOST && (e = readdir(d));) {
        if (!str_starts(e->d_name, prefix) || !file_is_dead(dirfd(d), e->d_name))
            continue;
        i++;
        if (!dry_run && unlinkat(dirfd(d), e->d_name, 0) != 0 && errno != ENOENT)
            rc = error_set_errno(err, errno, "%s/%s cannot be deleted", dir, e->d_name);
        if (!list || rc != 0)
            continue;
        const char **more = arena_realloc(a, *list, *count * sizeof **list, (*count + 1) * sizeof **list);
        const char *name = arena_strdup(a, e->d_name);
        if (!more || !name) {
            rc = error_set(err, VX11_ENOMEM, "out of memory");
            break;
        }
        *list = more;
        more[(*count)++] = name;
    }
    closedir(d);
    return rc;
}

int file_write(int fd, const void *data, size_t len, const char *path, struct error *err)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EFBIG)
            return error_set(err, VX11_EFULL,
                             "%s cannot be written: the limit on the size of files is too low", path);
        if (n <= 0)
            return error_set_errno(err, n < 0 ? errno : EIO, "%s cannot be written", path);
        p += n;
        len -= (size_t)n;
    }
    return 0;
}
