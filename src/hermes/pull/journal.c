/* The journal's bytes. Little endian, fixed sizes: a record is one write(2) that is far below a page. */
#include "hermes/pull/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#define MAGIC      "VX11PULL"
#define VERSION    1u
#define READ_MAX   ((size_t)JOURNAL_RECORD * 4 * JOURNAL_MAX_CHUNKS)
#define CHECK_SIZE 8

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static void put64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static void check_of(const uint8_t *data, size_t len, uint8_t out[CHECK_SIZE])
{
    uint8_t hash[crypto_generichash_BYTES_MIN];
    crypto_generichash(hash, sizeof hash, data, len, NULL, 0);
    memcpy(out, hash, CHECK_SIZE);
}

void journal_digest(const void *data, size_t len, uint8_t out[JOURNAL_DIGEST])
{
    crypto_generichash(out, JOURNAL_DIGEST, data, len, NULL, 0);
}

void journal_key(const char *sha256, const char *etag, uint64_t size, uint8_t out[JOURNAL_KEY])
{
    crypto_generichash_state state;
    uint8_t number[8];
    const char *what = sha256 ? sha256 : etag ? etag : "";
    put64(number, size);
    crypto_generichash_init(&state, NULL, 0, JOURNAL_KEY);
    crypto_generichash_update(&state, number, sizeof number);
    crypto_generichash_update(&state, (const uint8_t *)(sha256 ? "s" : "e"), 1);
    crypto_generichash_update(&state, (const uint8_t *)what, strlen(what));
    crypto_generichash_final(&state, out, JOURNAL_KEY);
}

/* ---- the set ---- */

bool journal_has(const struct journal *j, uint32_t chunk)
{
    return (j->done[chunk / 8] >> (chunk % 8) & 1) != 0;
}

uint64_t journal_chunk_start(const struct journal *j, uint32_t chunk)
{
    return (uint64_t)chunk * j->chunk_bytes;
}

uint64_t journal_chunk_len(const struct journal *j, uint32_t chunk)
{
    uint64_t start = journal_chunk_start(j, chunk), left = j->size - start;
    return left < j->chunk_bytes ? left : j->chunk_bytes;
}

uint64_t journal_bytes(const struct journal *j)
{
    if (j->done_count == 0)
        return 0;
    uint64_t bytes = (uint64_t)j->done_count * j->chunk_bytes;
    if (journal_has(j, j->chunks - 1))
        bytes -= j->chunk_bytes - journal_chunk_len(j, j->chunks - 1);
    return bytes;
}

void journal_mark(struct journal *j, uint32_t chunk, const uint8_t *digest)
{
    bool had = journal_has(j, chunk);
    if (digest) {
        j->done[chunk / 8] |= (uint8_t)(1u << (chunk % 8));
        memcpy(j->digests[chunk], digest, JOURNAL_DIGEST);
        j->done_count += !had;
    } else {
        j->done[chunk / 8] &= (uint8_t) ~(1u << (chunk % 8));
        j->done_count -= had;
    }
}

static int set_sizes(struct journal *j, uint64_t size, uint32_t chunk_bytes)
{
    uint64_t chunks = size / chunk_bytes + (size % chunk_bytes != 0);
    if (chunks == 0 || chunks > JOURNAL_MAX_CHUNKS)
        return VX11_ETOO_LARGE;
    free(j->done);
    free(j->digests);
    j->size = size;
    j->chunk_bytes = chunk_bytes;
    j->chunks = (uint32_t)chunks;
    j->done_count = 0;
    j->done = calloc(chunks / 8 + 1, 1);
    j->digests = calloc(chunks, sizeof *j->digests);
    return j->done && j->digests ? 0 : VX11_ENOMEM;
}

/* ---- bytes ---- */

static void head_make(uint8_t head[JOURNAL_HEAD], uint64_t size, uint32_t chunk_bytes,
                      const uint8_t key[JOURNAL_KEY])
{
    memcpy(head, MAGIC, 8); // NOLINT(bugprone-not-null-terminated-result): no text
    put32(head + 8, VERSION);
    put32(head + 12, chunk_bytes);
    put64(head + 16, size);
    memcpy(head + 24, key, JOURNAL_KEY);
    check_of(head, JOURNAL_HEAD - CHECK_SIZE, head + JOURNAL_HEAD - CHECK_SIZE);
}

static bool check_ok(const uint8_t *data, size_t len)
{
    uint8_t check[CHECK_SIZE];
    check_of(data, len - CHECK_SIZE, check);
    return memcmp(check, data + len - CHECK_SIZE, CHECK_SIZE) == 0;
}

static void record_make(uint8_t r[JOURNAL_RECORD], uint32_t chunk, const uint8_t *digest)
{
    memset(r, 0, JOURNAL_RECORD);
    put32(r, chunk);
    put32(r + 4, digest ? 1 : 0);
    if (digest)
        memcpy(r + 8, digest, JOURNAL_DIGEST);
    check_of(r, JOURNAL_RECORD - CHECK_SIZE, r + JOURNAL_RECORD - CHECK_SIZE);
}

size_t journal_parse(struct journal *j, const uint8_t *data, size_t len, uint64_t size,
                     const uint8_t key[JOURNAL_KEY])
{
    size_t at = JOURNAL_HEAD;
    if (len < JOURNAL_HEAD || memcmp(data, MAGIC, 8) != 0 || get32(data + 8) != VERSION ||
        !check_ok(data, JOURNAL_HEAD))
        return 0;
    uint32_t chunk_bytes = get32(data + 12);
    if (get64(data + 16) != size || memcmp(data + 24, key, JOURNAL_KEY) != 0 || chunk_bytes < 1024 ||
        chunk_bytes > (1u << 30) || set_sizes(j, size, chunk_bytes) != 0)
        return 0;
    for (; at + JOURNAL_RECORD <= len; at += JOURNAL_RECORD) {
        const uint8_t *r = data + at;
        uint32_t chunk = get32(r);
        if (!check_ok(r, JOURNAL_RECORD) || chunk >= j->chunks || get32(r + 4) > 1)
            break;
        journal_mark(j, chunk, get32(r + 4) ? r + 8 : NULL);
    }
    return at;
}

static int write_all(int fd, const void *data, size_t len, struct error *err)
{
    const uint8_t *p = data;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "the journal of the download cannot be written");
        p += n;
        len -= (size_t)n;
    }
    return fdatasync(fd) == 0 ? 0
                              : error_set_errno(err, errno, "the journal of the download cannot be written");
}

int journal_write(int fd, uint32_t chunk, const uint8_t *digest, struct error *err)
{
    uint8_t r[JOURNAL_RECORD];
    record_make(r, chunk, digest);
    return write_all(fd, r, sizeof r, err);
}

int journal_reset(struct journal *j, const uint8_t key[JOURNAL_KEY], struct error *err)
{
    uint8_t head[JOURNAL_HEAD];
    int rc = set_sizes(j, j->size, j->chunk_bytes);
    if (rc != 0)
        return error_set(err, rc, "out of memory");
    if (ftruncate(j->fd, 0) != 0)
        return error_set_errno(err, errno, "the journal of the download cannot be emptied");
    head_make(head, j->size, j->chunk_bytes, key);
    j->fresh = true;
    return write_all(j->fd, head, sizeof head, err);
}

static int read_all(int fd, uint8_t **out, size_t *len, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_set_errno(err, errno, "the journal of the download cannot be read");
    size_t size = (size_t)st.st_size, have = 0;
    if (!S_ISREG(st.st_mode) || size > READ_MAX)
        size = 0; /* not ours: begins anew */
    uint8_t *data = malloc(size + 1);
    if (!data)
        return error_set(err, VX11_ENOMEM, "out of memory");
    while (have < size) {
        ssize_t n = pread(fd, data + have, size - have, (off_t)have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        have += (size_t)n;
    }
    *out = data;
    *len = have;
    return 0;
}

int journal_open(struct journal *j, int fd, uint64_t size, uint32_t chunk_bytes,
                 const uint8_t key[JOURNAL_KEY], struct error *err)
{
    uint8_t *data = NULL;
    size_t len = 0, sound;
    memset(j, 0, sizeof *j);
    j->fd = fd;
    /* Records go to its end, whoever else has the descriptor's place. */
    int flags = fcntl(fd, F_GETFL);
    int rc = flags >= 0 && fcntl(fd, F_SETFL, flags | O_APPEND) == 0
                 ? read_all(fd, &data, &len, err)
                 : error_set_errno(err, errno, "the journal of the download cannot be used");
    if (rc != 0)
        goto out;
    sound = journal_parse(j, data, len, size, key);
    if (sound > 0) { /* what is torn goes, so that new records are found behind the sound ones */
        if (sound < len && ftruncate(fd, (off_t)sound) != 0)
            rc = error_set_errno(err, errno, "the journal of the download cannot be cut");
    } else {
        j->replaced = len > 0;
        j->size = size;
        j->chunk_bytes = chunk_bytes;
        /* A tiny chunk of a huge file would make a table without end. */
        while (size / j->chunk_bytes >= JOURNAL_MAX_CHUNKS)
            j->chunk_bytes *= 2;
        rc = journal_reset(j, key, err);
    }
out:
    free(data);
    if (rc != 0)
        journal_close(j);
    return rc;
}

void journal_close(struct journal *j)
{
    if (j->fd >= 0)
        close(j->fd);
    free(j->done);
    free(j->digests);
    memset(j, 0, sizeof *j);
    j->fd = -1;
}
