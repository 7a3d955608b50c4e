/* Pack: what a backup may be wrapped in, one layer inside the other, as streams of bounded memory.
 *
 *   database ─> [zstd frame with its checksum] ─> [seal] ─> file        and back
 *
 * The seal is libsodium's secretstream (XChaCha20-Poly1305) over chunks of 64 KiB. Its header is bound to
 * each chunk as additional data, and the last chunk carries a mark of its own: a flipped bit, a chunk left
 * out, put elsewhere or cut off is an error.
 *
 *   "VX11SEAL" | version 1 | flags 1 | 2 zeros | chunk size 4 (little endian) | key id 8 | stream header 24
 */
#include "store/backup/backup_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>
#include <zstd.h>

#include "base/str.h"

#define SEAL_MAGIC   "VX11SEAL"
#define SEAL_VERSION 1
#define SEAL_ZSTD    1 /* flag: what is inside is compressed */
#define SEAL_CHUNK   65536
#define SEAL_EXTRA   crypto_secretstream_xchacha20poly1305_ABYTES
#define SEAL_STREAM  crypto_secretstream_xchacha20poly1305_HEADERBYTES
#define SEAL_HEADER  (8 + 1 + 1 + 2 + 4 + BACKUP_KEY_ID_LEN + SEAL_STREAM)
#define WINDOW_LOG   27 /* of zstd's long mode, and most that is read back: 128 MiB */
#define PIECE        131072

/* ---- sums ---- */

struct summer {
    crypto_hash_sha256_state state;
    int64_t bytes;
};

static void summer_begin(struct summer *s)
{
    crypto_hash_sha256_init(&s->state);
    s->bytes = 0;
}

static void summer_add(struct summer *s, const void *data, size_t len)
{
    crypto_hash_sha256_update(&s->state, data, len);
    s->bytes += (int64_t)len;
}

static void summer_end(struct summer *s, struct pack_sums *out)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(&s->state, hash);
    hex_encode(hash, sizeof hash, out->sha256);
    out->bytes = s->bytes;
}

/* Up to len bytes; fewer only at the end. */
static int read_piece(int fd, void *out, size_t len, size_t *got, struct error *err)
{
    *got = 0;
    while (*got < len) {
        ssize_t n = read(fd, (char *)out + *got, len - *got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "a backup cannot be read");
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return 0;
}

/* ---- packing ---- */

struct packer {
    int out;
    struct summer sum;
    bool sealed;
    crypto_secretstream_xchacha20poly1305_state seal;
    unsigned char header[SEAL_HEADER];
    unsigned char chunk[SEAL_CHUNK]; /* waits to be sealed */
    size_t chunk_len;
    unsigned char cipher[SEAL_CHUNK + SEAL_EXTRA];
};

static int packer_write(struct packer *p, const void *data, size_t len, struct error *err)
{
    summer_add(&p->sum, data, len);
    return file_write(p->out, data, len, "the backup", err);
}

static int packer_seal(struct packer *p, bool last, struct error *err)
{
    unsigned long long n = 0;
    const unsigned char tag = last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL
                                   : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE;
    if (crypto_secretstream_xchacha20poly1305_push(&p->seal, p->cipher, &n, p->chunk, p->chunk_len, p->header,
                                                   sizeof p->header, tag) != 0)
        return error_set(err, VX11_EINTERNAL, "a piece cannot be sealed");
    p->chunk_len = 0;
    return packer_write(p, p->cipher, (size_t)n, err);
}

static int packer_put(struct packer *p, const unsigned char *data, size_t len, struct error *err)
{
    if (!p->sealed)
        return packer_write(p, data, len, err);
    int rc = 0;
    while (rc == 0 && len > 0) {
        if (p->chunk_len == SEAL_CHUNK) /* only now: the last one is sealed as the last */
            rc = packer_seal(p, false, err);
        size_t some = SEAL_CHUNK - p->chunk_len < len ? SEAL_CHUNK - p->chunk_len : len;
        memcpy(p->chunk + p->chunk_len, data, some);
        p->chunk_len += some;
        data += some;
        len -= some;
    }
    return rc;
}

static int packer_begin(struct packer *p, int out, const struct pack_options *o, struct error *err)
{
    p->out = out;
    summer_begin(&p->sum);
    if (!o->key)
        return 0;
    unsigned char *h = p->header;
    p->sealed = true;
    memcpy(h, SEAL_MAGIC, 8);
    h[8] = SEAL_VERSION;
    h[9] = o->compress ? SEAL_ZSTD : 0;
    h[10] = h[11] = 0;
    h[12] = SEAL_CHUNK & 0xff;
    h[13] = SEAL_CHUNK >> 8 & 0xff;
    h[14] = SEAL_CHUNK >> 16 & 0xff;
    h[15] = 0;
    key_id_of(o->key, h + 16);
    if (crypto_secretstream_xchacha20poly1305_init_push(&p->seal, h + 16 + BACKUP_KEY_ID_LEN, o->key) != 0)
        return error_set(err, VX11_EINTERNAL, "the seal cannot begin");
    return packer_write(p, h, sizeof p->header, err);
}

static ZSTD_CCtx *compressor(const struct pack_options *o, struct error *err)
{
    ZSTD_CCtx *z = ZSTD_createCCtx();
    size_t rc = z ? ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, o->level > 0 ? o->level : 3) : 0;
    if (z && !ZSTD_isError(rc))
        rc = ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    if (z && !ZSTD_isError(rc) && o->long_matches) {
        rc = ZSTD_CCtx_setParameter(z, ZSTD_c_enableLongDistanceMatching, 1);
        if (!ZSTD_isError(rc))
            rc = ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, WINDOW_LOG);
    }
    if (z && !ZSTD_isError(rc))
        return z;
    error_set(err, VX11_EINVALID, "zstd: %s", z ? ZSTD_getErrorName(rc) : "out of memory");
    ZSTD_freeCCtx(z);
    return NULL;
}

static int compress_piece(ZSTD_CCtx *z, struct packer *p, const unsigned char *data, size_t len, bool last,
                          unsigned char *room, struct error *err)
{
    ZSTD_inBuffer in = {data, len, 0};
    for (;;) {
        ZSTD_outBuffer out = {room, PIECE, 0};
        size_t left = ZSTD_compressStream2(z, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return error_set(err, VX11_EINTERNAL, "zstd: %s", ZSTD_getErrorName(left));
        int rc = packer_put(p, room, out.pos, err);
        if (rc != 0 || (last ? left == 0 : in.pos == in.size))
            return rc;
    }
}

static int pack_all(int in, struct packer *p, ZSTD_CCtx *z, const struct backup_watch *watch,
                    struct summer *plain, unsigned char *piece, unsigned char *room, struct error *err)
{
    for (;;) {
        size_t n;
        int rc = watch_step(watch, "pack", plain->bytes, 0, err);
        if (rc == 0)
            rc = read_piece(in, piece, PIECE, &n, err);
        if (rc != 0)
            return rc;
        const bool last = n < PIECE;
        summer_add(plain, piece, n);
        rc = z ? compress_piece(z, p, piece, n, last, room, err) : packer_put(p, piece, n, err);
        if (rc == 0 && last && p->sealed)
            rc = packer_seal(p, true, err);
        if (rc != 0 || last)
            return rc;
    }
}

int pack_stream(int in, int out, const struct pack_options *options, const struct backup_watch *watch,
                struct pack_sums *plain, struct pack_sums *packed, struct error *err)
{
    struct summer sum;
    ZSTD_CCtx *z = NULL;
    struct packer *p = calloc(1, sizeof *p);
    unsigned char *piece = malloc(2 * PIECE);
    int rc = p && piece ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
    if (sodium_init() < 0)
        rc = error_set(err, VX11_EINTERNAL, "libsodium cannot start");
    summer_begin(&sum);
    if (rc == 0 && options->compress && !(z = compressor(options, err)))
        rc = VX11_EINVALID;
    if (rc == 0)
        rc = packer_begin(p, out, options, err);
    if (rc == 0)
        rc = pack_all(in, p, z, watch, &sum, piece, piece + PIECE, err);
    if (rc == 0) {
        summer_end(&sum, plain);
        summer_end(&p->sum, packed);
    }
    ZSTD_freeCCtx(z);
    if (p)
        sodium_memzero(p, sizeof *p);
    free(p);
    free(piece);
    return rc;
}

/* ---- unpacking ---- */

struct unpacker {
    int in, out;
    bool sealed, final; /* final: the last chunk came */
    int64_t most;
    struct summer packed, plain;
    crypto_secretstream_xchacha20poly1305_state seal;
    unsigned char header[SEAL_HEADER];
    unsigned char cipher[SEAL_CHUNK + SEAL_EXTRA];
    unsigned char piece[PIECE]; /* what was inside the seal */
    unsigned char room[PIECE];  /* what was inside zstd's frame */
};

static int unpacker_header(struct unpacker *u, bool compressed, const unsigned char *key, struct error *err)
{
    size_t n;
    unsigned char id[BACKUP_KEY_ID_LEN];
    char want[2 * BACKUP_KEY_ID_LEN + 1];
    int rc = read_piece(u->in, u->header, sizeof u->header, &n, err);
    if (rc != 0)
        return rc;
    summer_add(&u->packed, u->header, n);
    const unsigned char *h = u->header;
    if (n < sizeof u->header || memcmp(h, SEAL_MAGIC, 8) != 0)
        return error_set(err, VX11_ECORRUPT, "it does not begin as a sealed file does");
    if (h[8] != SEAL_VERSION)
        return error_set(err, VX11_EVERSION, "its seal is of version %d, this program knows %d", h[8],
                         SEAL_VERSION);
    const uint32_t chunk =
        (uint32_t)h[12] | (uint32_t)h[13] << 8 | (uint32_t)h[14] << 16 | (uint32_t)h[15] << 24;
    if (h[9] != (compressed ? SEAL_ZSTD : 0) || h[10] != 0 || h[11] != 0 || chunk != SEAL_CHUNK)
        return error_set(err, VX11_ECORRUPT, "the head of its seal is not as it should be");
    hex_encode(h + 16, BACKUP_KEY_ID_LEN, want);
    if (!key)
        return error_set(err, VX11_EPERMISSION, "it is sealed with key %s: say which file holds that key",
                         want);
    key_id_of(key, id);
    if (memcmp(id, h + 16, sizeof id) != 0)
        return error_set(err, VX11_EPERMISSION, "it is sealed with key %s, which is another one than this",
                         want);
    if (crypto_secretstream_xchacha20poly1305_init_pull(&u->seal, h + 16 + BACKUP_KEY_ID_LEN, key) != 0)
        return error_set(err, VX11_ECORRUPT, "the head of its seal is damaged");
    return 0;
}

/* The next bytes inside the seal (or of the bare file) into piece. *n 0: the end. */
static int unpacker_read(struct unpacker *u, size_t *n, struct error *err)
{
    *n = 0;
    if (!u->sealed) {
        int rc = read_piece(u->in, u->piece, PIECE, n, err);
        summer_add(&u->packed, u->piece, *n);
        return rc;
    }
    size_t got;
    int rc = read_piece(u->in, u->cipher, sizeof u->cipher, &got, err);
    if (rc != 0)
        return rc;
    summer_add(&u->packed, u->cipher, got);
    if (u->final)
        return got == 0 ? 0 : error_set(err, VX11_ECORRUPT, "something follows the end of its seal");
    if (got < SEAL_EXTRA)
        return error_set(err, VX11_ECORRUPT, "it was cut off after %lld bytes", (long long)u->packed.bytes);
    unsigned char tag = 0;
    unsigned long long len = 0;
    if (crypto_secretstream_xchacha20poly1305_pull(&u->seal, u->piece, &len, &tag, u->cipher, got, u->header,
                                                   sizeof u->header) != 0)
        return error_set(err, VX11_ECORRUPT, "its seal is broken near byte %lld: damaged, or the wrong key",
                         (long long)(u->packed.bytes - (int64_t)got));
    u->final = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
    if (!u->final && got < sizeof u->cipher)
        return error_set(err, VX11_ECORRUPT, "it was cut off after %lld bytes", (long long)u->packed.bytes);
    *n = (size_t)len;
    /* An empty last chunk: look whether it is the end. */
    return u->final && *n == 0 ? unpacker_read(u, n, err) : 0;
}

static int unpacker_put(struct unpacker *u, const unsigned char *data, size_t len, struct error *err)
{
    if (u->plain.bytes + (int64_t)len > u->most)
        return error_set(err, VX11_ECORRUPT, "there is more in it than its manifest says");
    summer_add(&u->plain, data, len);
    return u->out >= 0 ? file_write(u->out, data, len, "what is in the backup", err) : 0;
}

static int unpack_plain(struct unpacker *u, const struct backup_watch *watch, struct error *err)
{
    for (;;) {
        size_t n;
        int rc = watch_step(watch, "unpack", u->packed.bytes, 0, err);
        if (rc == 0)
            rc = unpacker_read(u, &n, err);
        if (rc != 0 || n == 0)
            return rc;
        if ((rc = unpacker_put(u, u->piece, n, err)) != 0)
            return rc;
    }
}

static int unpack_zstd(struct unpacker *u, ZSTD_DCtx *z, const struct backup_watch *watch, struct error *err)
{
    size_t left = 1; /* 0: the frame is complete */
    for (;;) {
        size_t n;
        int rc = watch_step(watch, "unpack", u->packed.bytes, 0, err);
        if (rc == 0)
            rc = unpacker_read(u, &n, err);
        if (rc != 0)
            return rc;
        if (n == 0)
            return left == 0 ? 0 : error_set(err, VX11_ECORRUPT, "its compressed data end too early");
        if (left == 0)
            return error_set(err, VX11_ECORRUPT, "something follows its compressed data");
        ZSTD_inBuffer in = {u->piece, n, 0};
        ZSTD_outBuffer out;
        do {
            out = (ZSTD_outBuffer){u->room, PIECE, 0};
            left = ZSTD_decompressStream(z, &out, &in);
            if (ZSTD_isError(left))
                return error_set(err, VX11_ECORRUPT, "its compressed data are damaged: %s",
                                 ZSTD_getErrorName(left));
            if ((rc = unpacker_put(u, u->room, out.pos, err)) != 0)
                return rc;
        } while (left != 0 && (in.pos < in.size || out.pos == PIECE));
        if (left == 0 && in.pos < in.size)
            return error_set(err, VX11_ECORRUPT, "something follows its compressed data");
    }
}

int unpack_stream(int in, int out, bool compressed, bool sealed, const unsigned char *key, int64_t most,
                  const struct backup_watch *watch, struct pack_sums *packed, struct pack_sums *plain,
                  struct error *err)
{
    ZSTD_DCtx *z = NULL;
    struct unpacker *u = calloc(1, sizeof *u);
    int rc = u ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0 && sodium_init() < 0)
        rc = error_set(err, VX11_EINTERNAL, "libsodium cannot start");
    if (rc == 0) {
        *u = (struct unpacker){.in = in, .out = out, .sealed = sealed, .most = most};
        summer_begin(&u->packed);
        summer_begin(&u->plain);
    }
    if (rc == 0 && compressed) {
        z = ZSTD_createDCtx();
        if (!z || ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, WINDOW_LOG)))
            rc = error_set(err, VX11_ENOMEM, "out of memory");
    }
    if (rc == 0 && sealed)
        rc = unpacker_header(u, compressed, key, err);
    if (rc == 0)
        rc = compressed ? unpack_zstd(u, z, watch, err) : unpack_plain(u, watch, err);
    if (rc == 0) {
        summer_end(&u->packed, packed);
        summer_end(&u->plain, plain);
    }
    ZSTD_freeDCtx(z);
    if (u)
        sodium_memzero(u, sizeof *u);
    free(u);
    return rc;
}
