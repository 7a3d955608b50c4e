/* The reader. Whether a part is cached is found out by reads that must not wait (RWF_NOWAIT), at a few
 * places of it; where a file system does not know those, everything is read, which costs a copy. */
#include "engine/readahead.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"

enum { PART = 1 << 20, LOOKS = 4 };
#define AHEAD (INT64_C(32) << 20) /* bytes in flight */

struct readahead {
    pthread_t thread;
    int fd;
    readahead_fn fn;
    void *ctx;
    atomic_bool stop;
    uint64_t total, from_disk;
    char part[PART];
};

static bool is_cached(const struct readahead *r, uint64_t at, uint64_t n)
{
    for (uint64_t i = 0; i < LOOKS; i++) {
        char byte;
        struct iovec one = {&byte, 1};
        const uint64_t where = at + (n - 1) * i / (LOOKS - 1);
        if (preadv2(r->fd, &one, 1, (off_t)where, RWF_NOWAIT) != 1)
            return false;
    }
    return true;
}

static bool part_read(struct readahead *r, uint64_t at, uint64_t n)
{
    for (uint64_t got = 0; got < n;) {
        const ssize_t rc = pread(r->fd, r->part, (size_t)(n - got), (off_t)(at + got));
        if (rc < 0 && errno == EINTR)
            continue;
        if (rc <= 0)
            return false; /* libllama meets the same and says so */
        got += (uint64_t)rc;
    }
    r->from_disk += n;
    return true;
}

static void *reader(void *ctx)
{
    struct readahead *r = ctx;
    uint64_t asked = 0;
    for (uint64_t at = 0; at < r->total && !atomic_load(&r->stop);) {
        const uint64_t n = r->total - at < PART ? r->total - at : PART;
        if (!is_cached(r, at, n)) {
            if (asked < at + (uint64_t)AHEAD / 2) {
                asked = at + (uint64_t)AHEAD;
                (void)posix_fadvise(r->fd, (off_t)at, (off_t)AHEAD, POSIX_FADV_WILLNEED);
            }
            if (!part_read(r, at, n))
                break;
        }
        at += n;
        if (!r->fn(at, r->total, r->ctx))
            break;
    }
    return NULL;
}

int readahead_start(const char *path, readahead_fn fn, void *ctx, struct readahead **out, struct error *err)
{
    struct stat st;
    struct readahead *r = malloc(sizeof *r);
    if (!r)
        return error_set(err, VX11_ENOMEM, "out of memory");
    r->fn = fn;
    r->ctx = ctx;
    r->from_disk = 0;
    atomic_init(&r->stop, false);
    r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (r->fd < 0 || fstat(r->fd, &st) != 0) {
        const int rc = error_set_errno(err, errno, "cannot open %s", path);
        if (r->fd >= 0)
            (void)close(r->fd);
        free(r);
        return rc;
    }
    r->total = (uint64_t)st.st_size;
    if (pthread_create(&r->thread, NULL, reader, r) != 0) {
        (void)close(r->fd);
        free(r);
        return error_set(err, VX11_ENOMEM, "the reading thread could not be started");
    }
    *out = r;
    return 0;
}

uint64_t readahead_end(struct readahead *r, bool now)
{
    if (!r)
        return 0;
    if (now)
        atomic_store(&r->stop, true);
    (void)pthread_join(r->thread, NULL);
    const uint64_t from_disk = r->from_disk;
    (void)close(r->fd);
    free(r);
    return from_disk;
}

/* ---- the mapping ---- */

void mapping_release(const char *path)
{
    struct stat st;
    struct buf maps = BUF_INIT;
    if (stat(path, &st) != 0 || fs_read_file("/proc/self/maps", 16 << 20, &maps, NULL) != 0)
        goto out;
    for (char *save = NULL, *line = strtok_r(maps.data, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        unsigned long start, end, inode;
        unsigned device[2];
        char rights[8];
        if (sscanf(line, "%lx-%lx %7s %*x %x:%x %lu", &start, &end, rights, &device[0], &device[1], &inode) ==
                6 &&
            inode == st.st_ino && makedev(device[0], device[1]) == st.st_dev && strcmp(rights, "r--s") == 0)
            (void)madvise((void *)start, end - start, MADV_DONTNEED); // NOLINT(performance-no-int-to-ptr)
    }
out:
    buf_free(&maps);
}
