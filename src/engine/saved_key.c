/* What a state depends on, as one hash.
 *
 * The model's SHA-256 is not always known (Hermes makes it in the background, and not of large files), and to
 * make it at each load would cost more than the load. So the key holds a hash of the parts of the file that
 * tell models apart, with its size and its modification time; the SHA-256, where both sides know it, is
 * compared besides. */
#include "engine/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ggml-backend.h>
#include <sodium.h>

#include "base/str.h"
#include "engine/model.h"
#include "engine/saved_file.h"

#define HEAD_BYTES   ((uint64_t)16 << 20)
#define SAMPLE_BYTES ((uint64_t)64 << 10)

enum { SAMPLES = 64 };

static void hash_text(crypto_generichash_state *hash, const char *name, const char *value)
{
    /* With their ends, so that no two lists of facts read the same. */
    (void)crypto_generichash_update(hash, (const unsigned char *)name, strlen(name) + 1);
    (void)crypto_generichash_update(hash, (const unsigned char *)value, strlen(value) + 1);
}

static void hash_number(crypto_generichash_state *hash, const char *name, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    hash_text(hash, name, text);
}

/* ---- the file ---- */

static int hash_range(crypto_generichash_state *hash, int fd, uint64_t at, uint64_t n, unsigned char *piece,
                      struct error *err)
{
    while (n > 0) {
        const size_t want = n < SAMPLE_BYTES ? (size_t)n : (size_t)SAMPLE_BYTES;
        const ssize_t got = pread(fd, piece, want, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "the model's file cannot be read");
        if (got == 0)
            return error_set(err, VX11_EIO, "the model's file became shorter");
        (void)crypto_generichash_update(hash, piece, (unsigned long long)got);
        at += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return 0;
}

/* All of a small file; of a large one its head, and SAMPLES blocks spread evenly up to its end. */
static int hash_contents(crypto_generichash_state *hash, int fd, uint64_t size, struct error *err)
{
    unsigned char *piece = malloc(SAMPLE_BYTES);
    if (!piece)
        return error_set(err, VX11_ENOMEM, "out of memory");
    const uint64_t head = size < HEAD_BYTES ? size : HEAD_BYTES, rest = size - head;
    int rc = hash_range(hash, fd, 0, head, piece, err);
    if (rest <= SAMPLES * SAMPLE_BYTES) {
        if (rc == 0)
            rc = hash_range(hash, fd, head, rest, piece, err);
    } else {
        for (uint64_t i = 0; rc == 0 && i < SAMPLES; i++) {
            const uint64_t at = head + (rest - SAMPLE_BYTES) / (SAMPLES - 1) * i;
            rc = hash_range(hash, fd, i + 1 < SAMPLES ? at : size - SAMPLE_BYTES, SAMPLE_BYTES, piece, err);
        }
    }
    free(piece);
    return rc;
}

static int hash_file(crypto_generichash_state *hash, const char *path, struct error *err)
{
    struct stat st;
    int rc;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, errno, "the model's file cannot be opened");
    if (fstat(fd, &st) != 0) {
        rc = error_set_errno(err, errno, "the model's file cannot be looked at");
    } else {
        hash_number(hash, "size", st.st_size);
        hash_number(hash, "mtime_s", st.st_mtim.tv_sec);
        hash_number(hash, "mtime_ns", st.st_mtim.tv_nsec);
        rc = hash_contents(hash, fd, (uint64_t)st.st_size, err);
    }
    (void)close(fd);
    return rc;
}

/* ---- the context ---- */

/* Where layers lie on a graphics processor, flash attention may be on or off by what it can do, and with that
 * changes how V is laid out. */
static void hash_devices(crypto_generichash_state *hash)
{
    for (size_t i = 0; i < ggml_backend_dev_count(); i++) {
        ggml_backend_dev_t device = ggml_backend_dev_get(i);
        if (ggml_backend_dev_type(device) != GGML_BACKEND_DEVICE_TYPE_CPU)
            hash_text(hash, "device", ggml_backend_dev_name(device));
    }
}

static void hash_real(crypto_generichash_state *hash, const char *name, float value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%a", (double)value);
    hash_text(hash, name, text);
}

/* Some models have two sets of RoPE factors, and use the long one when the context is longer than this. */
static bool context_long(const struct model *m)
{
    char name[96], architecture[48], value[32];
    int64_t original;
    if (llama_model_meta_val_str(m->llama, "general.architecture", architecture, sizeof architecture) < 0)
        return false;
    (void)snprintf(name, sizeof name, "%s.rope.scaling.original_context_length", architecture);
    return llama_model_meta_val_str(m->llama, name, value, sizeof value) > 0 &&
           str_to_i64(value, 1, INT32_MAX, &original) == 0 && llama_n_ctx_seq(m->context) > original;
}

static void hash_context(crypto_generichash_state *hash, const struct model *m,
                         const struct llama_context_params *p)
{
    hash_text(hash, "libllama", llama_version());
    hash_text(hash, "ggml", ggml_commit());
    hash_number(hash, "sequence_version", LLAMA_STATE_SEQ_VERSION);
    hash_number(hash, "type_k", p->type_k);
    hash_number(hash, "type_v", p->type_v);
    hash_number(hash, "flash_attention", p->flash_attn_type);
    hash_number(hash, "swa_full", p->swa_full);
    hash_number(hash, "unified", p->kv_unified);
    hash_number(hash, "rope_scaling", p->rope_scaling_type);
    hash_real(hash, "rope_base", p->rope_freq_base);
    hash_real(hash, "rope_scale", p->rope_freq_scale);
    hash_real(hash, "yarn_ext", p->yarn_ext_factor);
    hash_real(hash, "yarn_attn", p->yarn_attn_factor);
    hash_real(hash, "yarn_fast", p->yarn_beta_fast);
    hash_real(hash, "yarn_slow", p->yarn_beta_slow);
    hash_number(hash, "yarn_context", p->yarn_orig_ctx);
    hash_number(hash, "long", context_long(m));
    hash_devices(hash);
}

int saved_key(const struct model *m, const struct llama_context_params *p, char out[65], struct error *err)
{
    crypto_generichash_state hash;
    unsigned char key[SAVED_HASH_BYTES];
    if (sodium_init() < 0 || crypto_generichash_init(&hash, NULL, 0, sizeof key) != 0)
        return error_set(err, VX11_EINTERNAL, "libsodium could not be started");
    hash_text(&hash, "what", "vx11 kv 1");
    const int rc = hash_file(&hash, m->path, err);
    if (rc != 0)
        return rc;
    hash_context(&hash, m, p);
    (void)crypto_generichash_final(&hash, key, sizeof key);
    hex_encode(key, sizeof key, out);
    return 0;
}
