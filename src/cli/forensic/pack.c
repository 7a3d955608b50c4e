#include "cli/forensic/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/str.h"
#include "base/ulid.h"

enum { BLOCK = 512, LEVEL = 9 };

struct pack {
    int fd;
    char path[4096], folder[64];
    char part[4200]; /* its name while it is being written, where the system wants one; "": none */
    bool replace;
    int64_t now_ms;
    ZSTD_CStream *z;
    crypto_hash_sha256_state sha;
    uint64_t bytes;
};

struct tar_header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6],
        version[2], user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct tar_header) == BLOCK, "a header is one block");

/* ---- the file ---- */

static int folder_of(const char *path, char *out, size_t size)
{
    const char *slash = strrchr(path, '/');
    int n = slash ? snprintf(out, size, "%.*s", slash == path ? 1 : (int)(slash - path), path)
                  : snprintf(out, size, ".");
    return n > 0 && (size_t)n < size ? 0 : VX11_ETOO_LARGE;
}

/* Not every file system has files without a name: else one that ends in .part. */
static int file_make(struct pack *p, struct error *err)
{
    char dir[4096], id[ULID_LEN + 1];
    if (folder_of(p->path, dir, sizeof dir) != 0)
        return error_set(err, VX11_ETOO_LARGE, "the path is too long");
    p->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (p->fd >= 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        return error_set_errno(err, errno, "%s cannot be written to", dir);
    ulid_make(id);
    snprintf(p->part, sizeof p->part, "%s.%s.part", p->path, id);
    p->fd = open(p->part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (p->fd < 0) {
        int sys = errno;
        p->part[0] = '\0';
        return error_set_errno(err, sys, "%s cannot be written to", dir);
    }
    return 0;
}

static int file_name(struct pack *p, struct error *err)
{
    char from[64], id[ULID_LEN + 1], dir[4096];
    if (!p->part[0] && p->replace) { /* a link replaces nothing: under another name first */
        ulid_make(id);
        snprintf(p->part, sizeof p->part, "%s.%s.part", p->path, id);
        snprintf(from, sizeof from, "/proc/self/fd/%d", p->fd);
        if (linkat(AT_FDCWD, from, AT_FDCWD, p->part, AT_SYMLINK_FOLLOW) != 0) {
            int sys = errno;
            p->part[0] = '\0';
            return error_set_errno(err, sys, "%s cannot be made", p->path);
        }
    }
    snprintf(from, sizeof from, "/proc/self/fd/%d", p->fd);
    int done = p->replace   ? rename(p->part, p->path)
               : p->part[0] ? renameat2(AT_FDCWD, p->part, AT_FDCWD, p->path, RENAME_NOREPLACE)
                            : linkat(AT_FDCWD, from, AT_FDCWD, p->path, AT_SYMLINK_FOLLOW);
    if (done != 0)
        return error_set_errno(err, errno, errno == EEXIST ? "%s is there already" : "%s cannot be made",
                               p->path);
    p->part[0] = '\0';
    int dir_fd =
        folder_of(p->path, dir, sizeof dir) == 0 ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dir_fd >= 0) {
        (void)fsync(dir_fd); /* it is there; that its name outlives a power cut is all that could fail */
        close(dir_fd);
    }
    return 0;
}

static int bytes_write(struct pack *p, const char *data, size_t len, struct error *err)
{
    crypto_hash_sha256_update(&p->sha, (const unsigned char *)data, len);
    p->bytes += len;
    while (len > 0) {
        ssize_t n = write(p->fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "%s cannot be written", p->path);
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* ---- compression ---- */

static int stream(struct pack *p, const void *data, size_t len, ZSTD_EndDirective mode, struct error *err)
{
    char out[32 * 1024];
    ZSTD_inBuffer in = {data, len, 0};
    for (;;) {
        ZSTD_outBuffer to = {out, sizeof out, 0};
        size_t left = ZSTD_compressStream2(p->z, &to, &in, mode);
        if (ZSTD_isError(left))
            return error_set(err, VX11_EINTERNAL, "%s", ZSTD_getErrorName(left));
        int rc = to.pos > 0 ? bytes_write(p, out, to.pos, err) : 0;
        if (rc != 0)
            return rc;
        if (mode == ZSTD_e_end ? left == 0 : in.pos == in.size)
            return 0;
    }
}

int pack_begin(const char *path, const char *folder, bool replace, int64_t now_ms, struct pack **out,
               struct error *err)
{
    struct pack *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p)
        return error_set(err, VX11_ENOMEM, "out of memory");
    p->fd = -1;
    p->replace = replace;
    p->now_ms = now_ms;
    crypto_hash_sha256_init(&p->sha);
    int rc = 0;
    if (strlen(path) >= sizeof p->path || strlen(folder) >= sizeof p->folder)
        rc = error_set(err, VX11_ETOO_LARGE, "the path is too long");
    if (rc == 0) {
        memcpy(p->path, path, strlen(path) + 1);
        memcpy(p->folder, folder, strlen(folder) + 1);
        p->z = ZSTD_createCStream();
        if (!p->z || ZSTD_isError(ZSTD_CCtx_setParameter(p->z, ZSTD_c_compressionLevel, LEVEL)) ||
            ZSTD_isError(ZSTD_CCtx_setParameter(p->z, ZSTD_c_checksumFlag, 1)))
            rc = error_set(err, VX11_ENOMEM, "out of memory");
    }
    struct stat st;
    if (rc == 0 && !replace && lstat(path, &st) == 0) /* before the work, not after it */
        rc = error_set(err, VX11_EEXISTS, "%s is there already", path);
    if (rc == 0)
        rc = file_make(p, err);
    if (rc != 0) {
        pack_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

int pack_add(struct pack *p, const char *name, const void *data, size_t len, char sha256[65],
             struct error *err)
{
    static const char zeros[BLOCK];
    struct tar_header h = {0};
    unsigned char hash[crypto_hash_sha256_BYTES];
    unsigned sum = 0;
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    int folders = snprintf(h.prefix, sizeof h.prefix, "%s%s%.*s", p->folder, slash ? "/" : "",
                           slash ? (int)(slash - name) : 0, name);
    if (strlen(base) >= sizeof h.name || folders < 0 || (size_t)folders >= sizeof h.prefix ||
        len > 077777777777)
        return error_set(err, VX11_ETOO_LARGE, "%.100s has no place in a tar file", name);
    memcpy(h.name, base, strlen(base));
    snprintf(h.mode, sizeof h.mode, "%07o", 0600);
    snprintf(h.uid, sizeof h.uid, "%07o", 0);
    snprintf(h.gid, sizeof h.gid, "%07o", 0);
    snprintf(h.size, sizeof h.size, "%011llo", (unsigned long long)len);
    snprintf(h.mtime, sizeof h.mtime, "%011llo", (unsigned long long)(p->now_ms / 1000) & 077777777777);
    memset(h.checksum, ' ', sizeof h.checksum);
    h.type = '0';
    memcpy(h.magic, "ustar", 6);
    memcpy(h.version, "00", 2);
    for (size_t i = 0; i < sizeof h; i++)
        sum += ((const unsigned char *)&h)[i];
    snprintf(h.checksum, sizeof h.checksum, "%06o", sum & 0777777);
    if (sha256) {
        crypto_hash_sha256(hash, len ? data : (const void *)"", len);
        hex_encode(hash, sizeof hash, sha256);
    }
    int rc = stream(p, &h, sizeof h, ZSTD_e_continue, err);
    if (rc == 0 && len > 0)
        rc = stream(p, data, len, ZSTD_e_continue, err);
    if (rc == 0 && len % BLOCK > 0)
        rc = stream(p, zeros, BLOCK - len % BLOCK, ZSTD_e_continue, err);
    return rc;
}

int pack_finish(struct pack *p, uint64_t *bytes, char sha256[65], struct error *err)
{
    static const char end[2 * BLOCK];
    unsigned char hash[crypto_hash_sha256_BYTES];
    int rc = stream(p, end, sizeof end, ZSTD_e_end, err);
    if (rc == 0 && fsync(p->fd) != 0)
        rc = error_set_errno(err, errno, "%s cannot be written", p->path);
    if (rc == 0)
        rc = file_name(p, err);
    crypto_hash_sha256_final(&p->sha, hash);
    hex_encode(hash, sizeof hash, sha256);
    *bytes = p->bytes;
    return rc;
}

void pack_free(struct pack *p)
{
    if (!p)
        return;
    if (p->part[0])
        (void)unlink(p->part);
    if (p->fd >= 0)
        close(p->fd);
    ZSTD_freeCStream(p->z);
    free(p);
}
