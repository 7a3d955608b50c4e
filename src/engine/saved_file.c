/* The foot of a saved file and its checksum.
 *
 * Foot, little endian: "VX11KVST", u32 version, u32 tokens, u64 length, key[32], model[32], salt[32],
 * tag[16], u64 of zeros, "VX11KVND". The tag covers the file up to the foot and the foot up to the tag. */
#include "engine/saved_file.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/ulid.h"

#define PIECE ((size_t)256 << 10)

enum {
    VERSION = 1,
    AT_VERSION = 8,
    AT_TOKENS = 12,
    AT_LENGTH = 16,
    AT_KEY = 24,
    AT_MODEL = 56,
    AT_SALT = 88,
    AT_TAG = 120,
    AT_END = 144,
    HEAD_BYTES = 12, /* of libllama's: magic, version, number of tokens */
};

static const uint8_t mark_start[8] = {'V', 'X', '1', '1', 'K', 'V', 'S', 'T'},
                     mark_end[8] = {'V', 'X', '1', '1', 'K', 'V', 'N', 'D'};

static int read_at(int fd, void *out, size_t n, uint64_t at, struct error *err)
{
    unsigned char *to = out;
    while (n > 0) {
        const ssize_t got = pread(fd, to, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "a saved conversation cannot be read");
        if (got == 0)
            return error_set(err, VX11_ECORRUPT, "the file ends early");
        to += got;
        n -= (size_t)got;
        at += (uint64_t)got;
    }
    return 0;
}

static int write_at(int fd, const void *data, size_t n, uint64_t at, struct error *err)
{
    const unsigned char *from = data;
    while (n > 0) {
        const ssize_t put = pwrite(fd, from, n, (off_t)at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return error_set_errno(err, errno, "a conversation cannot be saved");
        from += put;
        n -= (size_t)put;
        at += (uint64_t)put;
    }
    return 0;
}

/* ---- the foot ---- */

static void put_u32(uint8_t *to, uint32_t v)
{
    v = htole32(v);
    memcpy(to, &v, sizeof v);
}

static void put_u64(uint8_t *to, uint64_t v)
{
    v = htole64(v);
    memcpy(to, &v, sizeof v);
}

static uint32_t get_u32(const uint8_t *from)
{
    uint32_t v;
    memcpy(&v, from, sizeof v);
    return le32toh(v);
}

static uint64_t get_u64(const uint8_t *from)
{
    uint64_t v;
    memcpy(&v, from, sizeof v);
    return le64toh(v);
}

static void foot_pack(const struct saved_foot *foot, uint8_t raw[SAVED_FOOT_BYTES])
{
    memset(raw, 0, SAVED_FOOT_BYTES);
    memcpy(raw, mark_start, sizeof mark_start);
    put_u32(raw + AT_VERSION, VERSION);
    put_u32(raw + AT_TOKENS, foot->tokens);
    put_u64(raw + AT_LENGTH, foot->length);
    memcpy(raw + AT_KEY, foot->key, sizeof foot->key);
    memcpy(raw + AT_MODEL, foot->model, sizeof foot->model);
    memcpy(raw + AT_SALT, foot->salt, sizeof foot->salt);
    memcpy(raw + AT_TAG, foot->tag, sizeof foot->tag);
    memcpy(raw + AT_END, mark_end, sizeof mark_end);
}

static int foot_unpack(const uint8_t raw[SAVED_FOOT_BYTES], uint64_t file_size, struct saved_foot *foot,
                       struct error *err)
{
    uint8_t again[SAVED_FOOT_BYTES];
    if (memcmp(raw, mark_start, sizeof mark_start) != 0 ||
        memcmp(raw + AT_END, mark_end, sizeof mark_end) != 0)
        return error_set(err, VX11_ECORRUPT, "it has no foot");
    if (get_u32(raw + AT_VERSION) != VERSION)
        return error_set(err, VX11_EVERSION, "it is of version %u", get_u32(raw + AT_VERSION));
    foot->tokens = get_u32(raw + AT_TOKENS);
    foot->length = get_u64(raw + AT_LENGTH);
    memcpy(foot->key, raw + AT_KEY, sizeof foot->key);
    memcpy(foot->model, raw + AT_MODEL, sizeof foot->model);
    memcpy(foot->salt, raw + AT_SALT, sizeof foot->salt);
    memcpy(foot->tag, raw + AT_TAG, sizeof foot->tag);
    foot_pack(foot, again);
    if (memcmp(again, raw, sizeof again) != 0)
        return error_set(err, VX11_ECORRUPT, "its foot is damaged");
    if (foot->length != file_size - SAVED_FOOT_BYTES)
        return error_set(err, VX11_ECORRUPT, "it is not as long as it says");
    if (foot->tokens == 0 || foot->tokens > SAVED_TOKENS_MOST ||
        foot->length < HEAD_BYTES + (uint64_t)foot->tokens * sizeof(llama_token))
        return error_set(err, VX11_ECORRUPT, "it cannot hold %u tokens", foot->tokens);
    return 0;
}

int saved_file_read(int fd, struct saved_foot *foot, llama_token **tokens, struct error *err)
{
    uint8_t raw[SAVED_FOOT_BYTES];
    uint32_t head[3]; /* in the machine's order, as libllama writes it */
    struct stat st;
    *foot = (struct saved_foot){0};
    *tokens = NULL;
    if (fstat(fd, &st) != 0)
        return error_set_errno(err, errno, "a saved conversation cannot be read");
    if (!S_ISREG(st.st_mode) || st.st_size < SAVED_FOOT_BYTES + HEAD_BYTES)
        return error_set(err, VX11_ECORRUPT, "it is too short");
    const uint64_t size = (uint64_t)st.st_size;
    int rc = read_at(fd, raw, sizeof raw, size - SAVED_FOOT_BYTES, err);
    if (rc == 0)
        rc = foot_unpack(raw, size, foot, err);
    if (rc == 0)
        rc = read_at(fd, head, sizeof head, 0, err);
    if (rc != 0)
        return rc;
    if (head[0] != LLAMA_STATE_SEQ_MAGIC || head[2] != foot->tokens)
        return error_set(err, VX11_ECORRUPT, "its head does not fit its foot");
    if (head[1] != LLAMA_STATE_SEQ_VERSION)
        return error_set(err, VX11_EVERSION, "it is of another libllama");
    llama_token *list = malloc(foot->tokens * sizeof *list);
    if (!list)
        return error_set(err, VX11_ENOMEM, "out of memory");
    rc = read_at(fd, list, foot->tokens * sizeof *list, HEAD_BYTES, err);
    if (rc != 0) {
        free(list);
        return rc;
    }
    *tokens = list;
    return 0;
}

/* ---- the checksum ---- */

static int tag_make(int fd, const struct saved_foot *foot, uint8_t tag[16], struct error *err)
{
    uint8_t raw[SAVED_FOOT_BYTES];
    crypto_onetimeauth_state state;
    unsigned char *piece = malloc(PIECE);
    int rc = piece ? 0 : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0 && crypto_onetimeauth_init(&state, foot->salt) != 0)
        rc = error_set(err, VX11_EINTERNAL, "libsodium cannot make a checksum");
    for (uint64_t at = 0; rc == 0 && at < foot->length;) {
        const size_t n = foot->length - at < PIECE ? (size_t)(foot->length - at) : PIECE;
        if ((rc = read_at(fd, piece, n, at, err)) == 0)
            (void)crypto_onetimeauth_update(&state, piece, n);
        at += n;
    }
    if (rc == 0) {
        foot_pack(foot, raw);
        (void)crypto_onetimeauth_update(&state, raw, AT_TAG);
        (void)crypto_onetimeauth_final(&state, tag);
    }
    free(piece);
    return rc;
}

int saved_file_check(int fd, const struct saved_foot *foot, struct error *err)
{
    uint8_t tag[16];
    const int rc = tag_make(fd, foot, tag, err);
    if (rc != 0)
        return rc;
    if (memcmp(tag, foot->tag, sizeof tag) != 0)
        return error_set(err, VX11_ECORRUPT, "its checksum is wrong");
    return 0;
}

int saved_file_seal(int fd, struct saved_foot *foot, struct error *err)
{
    uint8_t raw[SAVED_FOOT_BYTES];
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_set_errno(err, errno, "a conversation cannot be saved");
    foot->length = (uint64_t)st.st_size;
    random_bytes(foot->salt, sizeof foot->salt);
    int rc = tag_make(fd, foot, foot->tag, err);
    if (rc != 0)
        return rc;
    foot_pack(foot, raw);
    return write_at(fd, raw, sizeof raw, foot->length, err);
}
