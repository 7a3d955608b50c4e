/* The reader. Nothing is copied: the kernel is asked to read ahead, and a byte here and there shows that it
 * has. Whether a part was cached before is found out by reads that must not wait (RWF_NOWAIT); where a file
 * system does not know those, every part counts as read from the disk. */
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
#define AHEAD (UINT64_C(32) << 20) /* bytes in flight */

struct readahead {
    pthread_t thread;
    int fd;
    readahead_fn fn;
    void *ctx;
    atomic_bool stop;
    uint64_t total, from_disk;
};

/* Reads a few bytes of a part, spread over it. With `wait` it returns when they are there: those that were
 * asked for before them are, too. */
static bool part_look(const struct readahead *r, uint64_t at, uint64_t n, bool wait)
{
    for (uint64_t i = 0; i < LOOKS; i++) {
        char byte;
        struct iovec one = {&byte, 1};
        const off_t where = (off_t)(at + (n - 1) * i / (LOOKS - 1));
        ssize_t got;
        do
            got = preadv2(r->fd, &one, 1, where, wait ? 0 : RWF_NOWAIT);
        while (got < 0 && errno == EINTR);
        if (got != 1)
            return false;
    }
    return true;
}

static void *reader(void *ctx)
{
    struct readahead *r = ctx;
    uint64_t asked = 0; /* up to here the disk is reading for us */
    for (uint64_t at = 0; at < r->total && !atomic_load(&r->stop);) {
        const uint64_t n = r->total - at < PART ? r->total - at : PART;
        if (at < asked || !part_look(r, at, n, false)) {
            if (asked < at + AHEAD / 2) {
                const uint64_t from = asked > at ? asked : at;
                (void)posix_fadvise(r->fd, (off_t)from, (off_t)(at + AHEAD - from), POSIX_FADV_WILLNEED);
                asked = at + AHEAD;
            }
            if (!part_look(r, at, n, true))
                break; /* libllama meets the same and says so */
            r->from_disk += n;
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
