/* Archive, reading: sums of parts, and what a file says. Everything from a file is read in pieces of bounded
 * size. */
#include "store/maintain/archive_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>
#include <zstd.h>

#include "base/str.h"

#define WINDOW_LOG 27 /* 128 MiB at most, whatever a file asks for */

struct unpack {
    ZSTD_DCtx *zstd;
    char *in, *out;
    size_t in_size, out_size;
    bool inside; /* a frame */
};

static void unpack_close(struct unpack *u)
{
    ZSTD_freeDCtx(u->zstd);
    free(u->in);
    free(u->out);
}

static int unpack_open(struct unpack *u, struct error *err)
{
    *u = (struct unpack){
        .zstd = ZSTD_createDCtx(), .in_size = ZSTD_DStreamInSize(), .out_size = ZSTD_DStreamOutSize()};
    u->in = malloc(u->in_size);
    u->out = malloc(u->out_size);
    if (!u->zstd || !u->in || !u->out ||
        ZSTD_isError(ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, WINDOW_LOG))) {
        unpack_close(u);
        return error_set(err, VX11_ENOMEM, "no memory to unpack");
    }
    return 0;
}

typedef int (*piece_fn)(void *ctx, const char *data, size_t len);

static int unpack_feed(struct unpack *u, size_t len, piece_fn fn, void *ctx, struct error *err)
{
    ZSTD_inBuffer in = {u->in, len, 0};
    bool full = false; /* there may be more to come out of what went in */
    while (in.pos < in.size || full) {
        ZSTD_outBuffer out = {u->out, u->out_size, 0};
        const size_t left = ZSTD_decompressStream(u->zstd, &out, &in);
        if (ZSTD_isError(left))
            return error_set(err, VX11_ECORRUPT, "it is damaged (%s)", ZSTD_getErrorName(left));
        u->inside = left != 0;
        full = out.pos == out.size && left != 0;
        int rc = out.pos > 0 ? fn(ctx, u->out, out.pos) : 0;
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* raw (may be NULL): gets the bytes as they lie in the file. */
static int unpack_range(int fd, int64_t offset, int64_t bytes, const volatile bool *stop, piece_fn raw,
                        piece_fn fn, void *ctx, struct error *err)
{
    struct unpack u;
    int rc = unpack_open(&u, err);
    if (rc != 0)
        return rc;
    while (rc == 0 && bytes > 0) {
        size_t want = bytes < (int64_t)u.in_size ? (size_t)bytes : u.in_size;
        ssize_t n = pread(fd, u.in, want, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = error_set_errno(err, errno, "it cannot be read");
        else if (n == 0)
            rc = error_set(err, VX11_ECORRUPT, "it is too short");
        else if (stop && *stop)
            rc = error_set(err, VX11_ECANCELLED, "it was told to stop");
        if (rc != 0)
            break;
        if (raw)
            raw(ctx, u.in, (size_t)n);
        rc = unpack_feed(&u, (size_t)n, fn, ctx, err);
        offset += n;
        bytes -= n;
    }
    if (rc == 0 && u.inside)
        rc = error_set(err, VX11_ECORRUPT, "it ends in the middle");
    unpack_close(&u);
    return rc;
}

/* ---- sums ---- */

struct summing {
    crypto_hash_sha256_state packed, content;
    int64_t lines, bytes;
};

static int on_raw(void *ctx, const char *data, size_t len)
{
    struct summing *s = ctx;
    return crypto_hash_sha256_update(&s->packed, (const unsigned char *)data, len);
}

static int on_content(void *ctx, const char *data, size_t len)
{
    struct summing *s = ctx;
    crypto_hash_sha256_update(&s->content, (const unsigned char *)data, len);
    s->bytes += (int64_t)len;
    for (const char *p = data, *end = data + len; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        s->lines++;
    return 0;
}

int archive_sum(int fd, int64_t offset, int64_t bytes, const volatile bool *stop, struct archive_sums *out,
                struct error *err)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    struct summing s = {0};
    crypto_hash_sha256_init(&s.packed);
    crypto_hash_sha256_init(&s.content);
    int rc = unpack_range(fd, offset, bytes, stop, on_raw, on_content, &s, err);
    *out = (struct archive_sums){.lines = s.lines, .content_bytes = s.bytes};
    crypto_hash_sha256_final(&s.packed, hash);
    hex_encode(hash, sizeof hash, out->sha256);
    crypto_hash_sha256_final(&s.content, hash);
    hex_encode(hash, sizeof hash, out->content_sha256);
    return rc;
}

int archive_show(const char *folder, const char *name, int (*fn)(void *ctx, const char *data, size_t len),
                 void *ctx, struct error *err)
{
    char path[PATH_MAX];
    struct stat st;
    int rc = 0;
    if (*name == '/' || strncmp(name, "./", 2) == 0)
        snprintf(path, sizeof path, "%s", name);
    else
        rc = archive_path(folder, name, path, sizeof path, err);
    if (rc != 0)
        return rc;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, errno, "%s cannot be opened", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        rc = error_set(err, VX11_EINVALID, "%s is no regular file", path);
    if (rc == 0)
        rc = unpack_range(fd, 0, (int64_t)st.st_size, NULL, NULL, fn, ctx, err);
    close(fd);
    return rc == VX11_ECORRUPT ? error_prefix(err, rc, "%s", path) : rc;
}
