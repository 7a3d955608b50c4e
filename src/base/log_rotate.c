/* Rotation. The full file is renamed to PATH.N, N counting up, so that no older copy is ever renamed and a
 * crash in any step leaves every record in exactly one readable place. A thread of its own compresses PATH.N
 * to PATH.N.zst and removes the oldest copies past the bound; it starts with the first rotation, or when an
 * earlier process left work. It looks at the folder for what there is to do and keeps no list that could be
 * lost. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/log_internal.h"
#include "base/str.h"

struct log_rotator {
    char path[PATH_MAX];
    char dir[PATH_MAX];
    const char *name; /* in path, after the last slash */
    uint64_t keep_bytes;
    bool bounded;
    uint64_t next; /* N of the next copy */

    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool running, pending;
    atomic_bool stop;
};

struct copy {
    uint64_t number, bytes;
    bool packed;
};

struct copies {
    struct copy *list;
    size_t n, cap;
};

/* "NAME.12" followed by one of the suffixes "", ".zst" and ".zst.tmp"; false for anything else. */
static bool copy_name_parse(const struct log_rotator *r, const char *entry, uint64_t *number,
                            const char **suffix)
{
    size_t n = strlen(r->name);
    char digits[24];
    if (strncmp(entry, r->name, n) != 0 || entry[n] != '.')
        return false;
    const char *rest = entry + n + 1;
    size_t len = strspn(rest, "0123456789");
    if (len == 0 || len >= sizeof digits || rest[0] == '0')
        return false;
    memcpy(digits, rest, len);
    digits[len] = '\0';
    int64_t value;
    if (str_to_i64(digits, 1, INT64_MAX - 1, &value) != 0)
        return false;
    *number = (uint64_t)value;
    *suffix = rest + len;
    return str_eq(*suffix, "") || str_eq(*suffix, ".zst") || str_eq(*suffix, ".zst.tmp");
}

static int compare_number(const void *a, const void *b)
{
    uint64_t x = ((const struct copy *)a)->number, y = ((const struct copy *)b)->number;
    return (x > y) - (x < y);
}

static int copies_add(struct copies *c, const struct copy *copy)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 16;
        struct copy *list = realloc(c->list, cap * sizeof *list);
        if (!list)
            return VX11_ENOMEM;
        c->list = list;
        c->cap = cap;
    }
    c->list[c->n++] = *copy;
    return 0;
}

/* All copies, oldest first; half-made ones of an earlier process are removed. The caller frees list. Only one
 * thread makes copies, and it is this one or not started yet. */
static int copies_list(const struct log_rotator *r, struct copies *out)
{
    *out = (struct copies){0};
    DIR *dir = opendir(r->dir);
    if (!dir)
        return error_set_errno(NULL, errno, "%s", r->dir);
    int rc = 0;
    for (const struct dirent *e; rc == 0 && (e = readdir(dir));) {
        struct copy copy;
        const char *suffix;
        struct stat st;
        if (!copy_name_parse(r, e->d_name, &copy.number, &suffix) ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
            continue;
        if (str_ends(suffix, ".tmp")) {
            unlinkat(dirfd(dir), e->d_name, 0);
            continue;
        }
        copy.bytes = (uint64_t)st.st_size;
        copy.packed = suffix[0] != '\0';
        rc = copies_add(out, &copy);
    }
    closedir(dir);
    if (out->n > 1)
        qsort(out->list, out->n, sizeof *out->list, compare_number);
    return rc;
}

enum { COPY_PATH_MAX = PATH_MAX + 40 };

static void copy_path(const struct log_rotator *r, uint64_t number, const char *suffix,
                      char out[COPY_PATH_MAX])
{
    snprintf(out, COPY_PATH_MAX, "%s.%llu%s", r->path, (unsigned long long)number, suffix);
}

static void prune(const struct log_rotator *r)
{
    struct copies c;
    if (!r->bounded)
        return;
    uint64_t total = 0;
    if (copies_list(r, &c) == 0) {
        for (size_t i = 0; i < c.n; i++)
            total += c.list[i].bytes;
        for (size_t i = 0; i < c.n && total > r->keep_bytes; i++) {
            char path[COPY_PATH_MAX];
            copy_path(r, c.list[i].number, c.list[i].packed ? ".zst" : "", path);
            if (unlink(path) == 0)
                total -= c.list[i].bytes;
        }
    }
    free(c.list);
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(NULL, errno, "write");
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* in to out through zstd. VX11_ECANCELLED when the log is being closed. */
static int pack_stream(const struct log_rotator *r, ZSTD_CCtx *z, int in, int out)
{
    char source[65536], packed[65536];
    for (;;) {
        ssize_t n = read(in, source, sizeof source);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(NULL, errno, "read");
        ZSTD_inBuffer from = {.src = source, .size = (size_t)n};
        ZSTD_EndDirective mode = n == 0 ? ZSTD_e_end : ZSTD_e_continue;
        size_t left;
        do {
            ZSTD_outBuffer to = {.dst = packed, .size = sizeof packed};
            left = ZSTD_compressStream2(z, &to, &from, mode);
            if (ZSTD_isError(left))
                return VX11_ENOMEM;
            int rc = write_all(out, packed, to.pos);
            if (rc)
                return rc;
        } while (mode == ZSTD_e_end ? left > 0 : from.pos < from.size);
        if (n == 0)
            return 0;
        if (atomic_load(&r->stop))
            return VX11_ECANCELLED;
    }
}

static int pack_file(const struct log_rotator *r, const char *raw, const char *temp)
{
    int in = -1, out = -1, rc;
    ZSTD_CCtx *z = ZSTD_createCCtx();
    if (!z)
        return VX11_ENOMEM;
    in = open(raw, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in >= 0)
        out = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (in < 0 || out < 0) {
        rc = error_set_errno(NULL, errno, "open");
        goto done;
    }
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    rc = pack_stream(r, z, in, out);
    /* The raw copy is removed next: the packed one must be on the disk before. */
    if (rc == 0 && fdatasync(out) != 0)
        rc = error_set_errno(NULL, errno, "fdatasync");
done:
    if (in >= 0)
        close(in);
    if (out >= 0 && close(out) != 0 && rc == 0)
        rc = error_set_errno(NULL, errno, "close");
    ZSTD_freeCCtx(z);
    return rc;
}

static int pack(const struct log_rotator *r, uint64_t number)
{
    char raw[COPY_PATH_MAX], packed[COPY_PATH_MAX], temp[COPY_PATH_MAX];
    copy_path(r, number, "", raw);
    copy_path(r, number, ".zst", packed);
    copy_path(r, number, ".zst.tmp", temp);
    int rc = pack_file(r, raw, temp);
    if (rc == 0 && rename(temp, packed) != 0)
        rc = error_set_errno(NULL, errno, "rename");
    if (rc) {
        unlink(temp);
        return rc;
    }
    unlink(raw);
    return 0;
}

/* Packs what is not packed yet. A copy that cannot be packed stays readable as it is and is tried again with
 * the next rotation. */
static void pack_all(const struct log_rotator *r)
{
    struct copies c;
    if (copies_list(r, &c) == 0) {
        for (size_t i = 0; i < c.n && !atomic_load(&r->stop); i++) {
            if (c.list[i].packed)
                continue;
            int rc = pack(r, c.list[i].number);
            if (rc && rc != VX11_ECANCELLED && rc != VX11_ENOT_FOUND)
                log_warn("log", "cannot compress a rotated log", LOG_I("copy", c.list[i].number),
                         LOG_S("error", error_describe(rc)));
        }
    }
    free(c.list);
}

static void *run(void *arg)
{
    struct log_rotator *r = arg;
    pthread_mutex_lock(&r->lock);
    while (!atomic_load(&r->stop)) {
        if (!r->pending) {
            pthread_cond_wait(&r->wake, &r->lock);
            continue;
        }
        r->pending = false;
        pthread_mutex_unlock(&r->lock);
        prune(r); /* first, so that the bound holds and there is room to pack */
        pack_all(r);
        prune(r);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* Has the thread look at the folder, starting it when need be. Signals stay with the other threads. */
static int wake(struct log_rotator *r)
{
    int sys = 0;
    pthread_mutex_lock(&r->lock);
    r->pending = true;
    if (r->running) {
        pthread_cond_signal(&r->wake);
    } else {
        sigset_t all, old;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        sys = pthread_create(&r->thread, NULL, run, r);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        r->running = sys == 0;
    }
    pthread_mutex_unlock(&r->lock);
    return sys;
}

int log_rotator_create(const char *path, uint64_t keep_bytes, bool bounded, struct log_rotator **out,
                       struct error *err)
{
    struct log_rotator *r = calloc(1, sizeof *r);
    if (!r)
        return error_set(err, VX11_ENOMEM, "no memory for the log");
    const char *slash = strrchr(path, '/');
    int n = snprintf(r->path, sizeof r->path, "%s", path);
    int m = snprintf(r->dir, sizeof r->dir, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    if (n < 0 || (size_t)n >= sizeof r->path || m < 0 || (size_t)m >= sizeof r->dir) {
        free(r);
        return error_set(err, VX11_ETOO_LARGE, "path too long: %s", path);
    }
    r->name = slash ? r->path + (slash - path) + 1 : r->path;
    r->keep_bytes = keep_bytes;
    r->bounded = bounded;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->wake, NULL);

    struct copies c;
    bool work = false;
    int rc = copies_list(r, &c);
    for (size_t i = 0; i < c.n; i++)
        work = work || !c.list[i].packed;
    r->next = c.n > 0 ? c.list[c.n - 1].number + 1 : 1;
    free(c.list);
    if (rc) {
        log_rotator_destroy(r);
        return error_set(err, rc, "cannot list the log folder of %s: %s", path, error_describe(rc));
    }
    prune(r);
    if (work)
        wake(r); /* without a thread the copies stay as they are */
    *out = r;
    return 0;
}

int log_rotator_rotate(struct log_rotator *r)
{
    char to[COPY_PATH_MAX];
    copy_path(r, r->next, "", to);
    if (rename(r->path, to) != 0)
        return error_set_errno(NULL, errno, "rename");
    r->next++;
    if (wake(r) != 0)
        prune(r);
    return 0;
}

void log_rotator_destroy(struct log_rotator *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    atomic_store(&r->stop, true);
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    if (r->running)
        pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
