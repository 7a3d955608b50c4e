/* Counting, deleting and making files in the folder of saved conversations. */
#include "engine/saved_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

enum { LOCK_PATIENCE_MS = 1000, LISTED_MOST = 65536, NOTE_MOST = PATH_MAX + 64 };

#define SUFFIX ".kv"
#define TEMP   ".new" /* of a file that is being written */

/* ---- the lock ---- */

static int lock_take(const struct saved_folder *f, struct error *err)
{
    const int64_t until = clock_mono_ms() + LOCK_PATIENCE_MS;
    const struct timespec moment = {.tv_nsec = 5000000};
    const int fd = openat(f->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "the folder of saved conversations cannot be locked");
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            const int rc = error_set_errno(err, errno, "the folder of saved conversations cannot be locked");
            (void)close(fd);
            return rc;
        }
        if (clock_mono_ms() >= until) {
            (void)close(fd);
            return error_set(err, VX11_EBUSY, "another process holds the folder of saved conversations");
        }
        (void)nanosleep(&moment, NULL);
    }
    return fd;
}

/* ---- listing ---- */

struct entry {
    uint32_t key; /* index in listing.keys */
    char name[SAVED_NAME_SIZE + sizeof TEMP];
    uint64_t bytes;
    struct timespec used;
    bool gone; /* its model's file is not what it was */
    bool writing;
};

struct key_folder {
    char name[SAVED_KEY_LEN + 1];
    bool gone;
};

struct listing {
    struct entry *entries;
    size_t count, cap;
    struct key_folder *keys;
    size_t key_count, key_cap;
    uint64_t bytes;
};

static void listing_free(struct listing *l)
{
    free(l->entries);
    free(l->keys);
    *l = (struct listing){0};
}

/* Room for one more element in an array. */
static void *grow(void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return array;
    const size_t more = *cap ? *cap * 2 : 16;
    void *larger = realloc(array, more * size);
    if (larger)
        *cap = more;
    return larger;
}

static bool key_name(const char *s)
{
    return strlen(s) == SAVED_KEY_LEN && strspn(s, "0123456789abcdef") == SAVED_KEY_LEN;
}

bool saved_folder_name(const char *s, bool *writing)
{
    char id[ULID_LEN + 1] = "";
    if (strnlen(s, ULID_LEN) < ULID_LEN)
        return false;
    memcpy(id, s, ULID_LEN);
    *writing = strcmp(s + ULID_LEN, SUFFIX TEMP) == 0;
    return ulid_valid(id) && (*writing || strcmp(s + ULID_LEN, SUFFIX) == 0);
}

/* Whether the model that KEY/model notes is still that file. Without a note nothing is known against it. */
static bool model_gone(int dir, const char *key)
{
    char path[SAVED_KEY_LEN + 8], note[NOTE_MOST];
    struct stat st;
    intmax_t size, mtime_ns;
    int at = 0;
    (void)snprintf(path, sizeof path, "%s/model", key);
    const int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const ssize_t n = fd < 0 ? -1 : read(fd, note, sizeof note - 1);
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return false;
    note[n] = '\0';
    if (sscanf(note, "%jd %jd %n", &size, &mtime_ns, &at) != 2 || note[at] != '/') // NOLINT(cert-err34-c)
        return false;
    return stat(note + at, &st) != 0 || st.st_size != size ||
           (intmax_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec != mtime_ns;
}

static int list_file(struct listing *l, int folder, uint32_t key, const char *name)
{
    struct stat st;
    bool writing;
    if (!saved_folder_name(name, &writing) || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(st.st_mode))
        return 0;
    struct entry *entries = grow(l->entries, l->count, &l->cap, sizeof *entries);
    if (!entries)
        return VX11_ENOMEM;
    l->entries = entries;
    struct entry *e = &entries[l->count++];
    *e = (struct entry){.key = key,
                        .bytes = (uint64_t)st.st_size,
                        .used = st.st_mtim,
                        .gone = l->keys[key].gone,
                        .writing = writing};
    memcpy(e->name, name, strlen(name) + 1);
    l->bytes += e->bytes;
    return 0;
}

static int list_key(struct listing *l, const struct saved_folder *f, const char *name)
{
    const int fd = openat(f->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            (void)close(fd);
        return fd < 0 ? 0 : VX11_ENOMEM; /* deleted meanwhile, or not ours to read */
    }
    int rc = 0;
    struct key_folder *keys = grow(l->keys, l->key_count, &l->key_cap, sizeof *keys);
    if (keys) {
        l->keys = keys;
        struct key_folder *k = &keys[l->key_count++];
        memcpy(k->name, name, sizeof k->name);
        k->gone = strcmp(name, f->key) != 0 && model_gone(f->dir, name);
    } else {
        rc = VX11_ENOMEM;
    }
    const struct dirent *e;
    while (rc == 0 && l->count < LISTED_MOST && (e = readdir(dir)) != NULL)
        rc = list_file(l, dirfd(dir), (uint32_t)l->key_count - 1, e->d_name);
    (void)closedir(dir);
    return rc;
}

static int listing_make(struct listing *l, const struct saved_folder *f, struct error *err)
{
    *l = (struct listing){0};
    const int fd = openat(f->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        const int rc = error_set_errno(err, errno, "the folder of saved conversations cannot be read");
        if (fd >= 0)
            (void)close(fd);
        return rc;
    }
    int rc = 0;
    const struct dirent *e;
    while (rc == 0 && l->count < LISTED_MOST && (e = readdir(dir)) != NULL) {
        if (key_name(e->d_name))
            rc = list_key(l, f, e->d_name);
    }
    (void)closedir(dir);
    if (rc != 0)
        return error_set(err, rc, "out of memory");
    return 0;
}

/* ---- deleting ---- */

static bool entry_delete(struct saved_folder *f, const struct listing *l, const struct entry *e)
{
    char path[SAVED_KEY_LEN + sizeof e->name + 2];
    (void)snprintf(path, sizeof path, "%s/%s", l->keys[e->key].name, e->name);
    if (unlinkat(f->dir, path, 0) != 0 && errno != ENOENT) {
        log_warn("saved", "a file cannot be deleted", LOG_S("file", path), LOG_I("errno", errno));
        return false;
    }
    if (f->dropped && !e->writing && strcmp(l->keys[e->key].name, f->key) == 0)
        f->dropped(f->ctx, e->name);
    return true;
}

/* What unfinished writes left: nobody holds its lock. */
static void orphans_delete(struct saved_folder *f, const struct listing *l)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct entry *e = &l->entries[i];
        char path[SAVED_KEY_LEN + sizeof e->name + 2];
        if (!e->writing)
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", l->keys[e->key].name, e->name);
        const int fd = openat(f->dir, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            continue;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && entry_delete(f, l, e))
            log_info("saved", "an unfinished file was deleted", LOG_S("file", path));
        (void)close(fd);
    }
}

/* Folders of models that are gone, once they are empty. */
static void empty_folders_delete(struct saved_folder *f, const struct listing *l)
{
    for (size_t k = 0; k < l->key_count; k++) {
        char path[SAVED_KEY_LEN + 8];
        bool used = !l->keys[k].gone;
        for (size_t i = 0; i < l->count && !used; i++)
            used = l->entries[i].key == k && l->entries[i].name[0] != '\0';
        if (used)
            continue;
        (void)snprintf(path, sizeof path, "%s/model", l->keys[k].name);
        if (unlinkat(f->dir, path, 0) == 0 || errno == ENOENT)
            (void)unlinkat(f->dir, l->keys[k].name, AT_REMOVEDIR);
    }
}

static int entry_order(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->gone != y->gone)
        return x->gone ? -1 : 1;
    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return x->used.tv_nsec < y->used.tv_nsec ? -1 : x->used.tv_nsec > y->used.tv_nsec;
}

/* Bytes that the files may have together: the bound, or what the disk has room for beside others' needs. */
static uint64_t bytes_allowed(const struct saved_folder *f, const struct listing *l)
{
    struct statvfs fs;
    if (fstatvfs(f->dir, &fs) != 0)
        return f->most_bytes;
    const uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    const uint64_t spare = free_bytes > SAVED_DISK_RESERVE ? free_bytes - SAVED_DISK_RESERVE : 0;
    return l->bytes + spare < f->most_bytes ? l->bytes + spare : f->most_bytes;
}

static int64_t used_at(const struct entry *e)
{
    return (int64_t)e->used.tv_sec * 1000 + e->used.tv_nsec / 1000000;
}

/* The lock is held. need 0: only the bound is seen to. */
static int room_make(struct saved_folder *f, uint64_t need, int64_t used_ms, struct error *err)
{
    struct listing l;
    int rc = listing_make(&l, f, err);
    if (rc != 0) {
        listing_free(&l);
        return rc;
    }
    const uint64_t allowed = bytes_allowed(f, &l);
    size_t files = l.count;
    if (need > allowed) {
        rc = error_set(err, VX11_EFULL,
                       need > f->most_bytes ? "%" PRIu64 " bytes do not fit into the %" PRIu64
                                              " for saved conversations"
                                            : "%" PRIu64 " bytes do not fit onto the disk, which has %" PRIu64
                                              " for saved conversations",
                       need, allowed);
        need = 0; /* the bound holds nevertheless */
    }
    if (l.count > 0)
        qsort(l.entries, l.count, sizeof *l.entries, entry_order);
    for (size_t i = 0; i < l.count && (l.bytes + need > allowed || files >= SAVED_FILES_MOST); i++) {
        struct entry *e = &l.entries[i];
        if (need > 0 && !e->gone && used_at(e) > used_ms)
            break;
        if (e->writing || !entry_delete(f, &l, e))
            continue;
        l.bytes -= e->bytes;
        files--;
        e->name[0] = '\0';
    }
    empty_folders_delete(f, &l);
    if (rc == 0 && need > 0 && l.bytes + need > allowed)
        rc = error_set(err, VX11_EFULL,
                       "there is no room for %" PRIu64 " bytes more beside what was used later", need);
    f->files = files;
    f->bytes = l.bytes;
    listing_free(&l);
    return rc;
}

int saved_folder_room(struct saved_folder *f, uint64_t need, int64_t used_ms, struct error *err)
{
    const int lock = lock_take(f, err);
    if (lock < 0)
        return lock;
    const int rc = room_make(f, need, used_ms, err);
    (void)close(lock);
    return rc;
}

/* ---- making ---- */

/* The name under which a file is written. */
static void temp_name(const char *name, char out[SAVED_NAME_SIZE + sizeof TEMP])
{
    (void)snprintf(out, SAVED_NAME_SIZE + sizeof TEMP, "%s" TEMP, name);
}

int saved_folder_create(struct saved_folder *f, char name[SAVED_NAME_SIZE], struct error *err)
{
    char temp[SAVED_NAME_SIZE + sizeof TEMP], id[ULID_LEN + 1];
    const int lock = lock_take(f, err); /* else it would pass for an orphan until it has its own */
    if (lock < 0)
        return lock;
    (void)snprintf(name, SAVED_NAME_SIZE, "%s" SUFFIX, ulid_make(id));
    temp_name(name, temp);
    int fd = openat(f->own, temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        fd = error_set_errno(err, errno, "a conversation cannot be saved");
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const int rc = error_set_errno(err, errno, "a conversation cannot be saved");
        (void)close(fd);
        (void)unlinkat(f->own, temp, 0);
        fd = rc;
    }
    (void)close(lock);
    return fd;
}

int saved_folder_keep(struct saved_folder *f, const char *name, int fd, int64_t used_ms, struct error *err)
{
    char temp[SAVED_NAME_SIZE + sizeof TEMP];
    const int lock = lock_take(f, err);
    int rc = lock;
    const struct timespec at = {.tv_sec = used_ms / 1000, .tv_nsec = used_ms % 1000 * 1000000};
    const struct timespec times[2] = {at, at};
    temp_name(name, temp);
    if (lock >= 0) {
        rc = futimens(fd, times) == 0 && renameat(f->own, temp, f->own, name) == 0
                 ? 0
                 : error_set_errno(err, errno, "a conversation cannot be saved");
        struct error later = {0};
        if (rc == 0 && room_make(f, 0, 0, &later) != 0) /* others may have written at the same time */
            log_warn("saved", "the folder's bound was not seen to", LOG_S("reason", later.text));
        (void)close(lock);
    }
    return rc;
}

void saved_folder_discard(struct saved_folder *f, const char *name)
{
    char temp[SAVED_NAME_SIZE + sizeof TEMP];
    temp_name(name, temp);
    if (unlinkat(f->own, temp, 0) != 0 && errno != ENOENT)
        log_warn("saved", "an unfinished file cannot be deleted", LOG_S("file", name), LOG_I("errno", errno));
}

/* ---- opening ---- */

/* Notes which file the key was made for. Not to know it does no harm: its files then go by their age. */
static void model_note(const struct saved_folder *f, const char *dir, const char *model_path)
{
    char path[PATH_MAX], *real;
    struct buf note = BUF_INIT;
    struct error err = {0};
    struct stat st;
    if (!model_path || !(real = realpath(model_path, NULL)))
        return;
    const int n = snprintf(path, sizeof path, "%s/%s/model", dir, f->key);
    if (n > 0 && (size_t)n < sizeof path && stat(real, &st) == 0 &&
        buf_printf(&note, "%jd %jd %s", (intmax_t)st.st_size,
                   (intmax_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec, real) == 0 &&
        fs_write_file_atomic(path, note.data, note.len, 0600, &err) != 0)
        log_warn("saved", "the model's file cannot be noted", LOG_S("reason", err.text));
    buf_free(&note);
    free(real);
}

static int folder_check(int fd, const char *dir, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_set_errno(err, errno, "%s cannot be looked at", dir);
    if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return error_set(err, VX11_EPERMISSION,
                         "%s must be ours, and nobody else may write there: conversations are kept in it",
                         dir);
    return 0;
}

int saved_folder_open(struct saved_folder *f, const char *dir, const char *model_path, struct error *err)
{
    char own[PATH_MAX];
    int rc;
    f->dir = f->own = -1;
    if (!key_name(f->key))
        return error_set(err, VX11_EINVALID, "a key of saved conversations is 64 hexadecimal digits");
    const int n = snprintf(own, sizeof own, "%s/%s", dir, f->key);
    if (n < 0 || (size_t)n >= sizeof own)
        return error_set(err, VX11_EINVALID, "the path of the saved conversations is too long");
    if ((rc = fs_mkdirs(own, 0700, err)) != 0)
        return rc;
    f->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dir < 0)
        return error_set_errno(err, errno, "%s cannot be opened", dir);
    if ((rc = folder_check(f->dir, dir, err)) != 0)
        return rc;
    f->own = openat(f->dir, f->key, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (f->own < 0)
        return error_set_errno(err, errno, "%s cannot be opened", own);
    model_note(f, dir, model_path);
    const int lock = lock_take(f, err);
    if (lock < 0)
        return lock;
    struct listing l;
    if ((rc = listing_make(&l, f, err)) == 0)
        orphans_delete(f, &l);
    listing_free(&l);
    if (rc == 0)
        rc = room_make(f, 0, 0, err);
    (void)close(lock);
    return rc;
}

void saved_folder_close(struct saved_folder *f)
{
    if (f->dir >= 0)
        (void)close(f->dir);
    if (f->own >= 0)
        (void)close(f->own);
    f->dir = f->own = -1;
}
