/* Saved file: one file of saved.h, without libllama's context: what it says about itself, and its checksum.
 *
 *   0        4         8       12          12 + 4n        length                     length +
 * SAVED_FOOT_BYTES │ magic  │ version │ n     │ n tokens  │ state         │ foot                     │
 *   └──────── as llama_state_seq_save_file writes it ──────┴── see saved_file.c ──────┘
 *
 * The foot is written last: a file without one is not finished. The checksum is Poly1305 under a random key
 * that stands in the foot: it is there to find damage, not forgery (who can write into the folder has the
 * rights of its owner), and reads three times as fast as libsodium's hash. */
#ifndef VX11_ENGINE_SAVED_FILE_H
#define VX11_ENGINE_SAVED_FILE_H

#include <stdint.h>
#include <llama.h>

#include "base/error.h"

enum {
    SAVED_HASH_BYTES = 32,
    SAVED_FOOT_BYTES = 152,
    SAVED_TOKENS_MOST = 1 << 24,
};

struct saved_foot {
    uint32_t tokens;
    uint64_t length;                                        /* of what comes before the foot */
    uint8_t key[SAVED_HASH_BYTES], model[SAVED_HASH_BYTES]; /* model: its SHA-256; zeros: not known */
    uint8_t salt[SAVED_HASH_BYTES], tag[16];
};

/* Reads foot and tokens (the caller frees *tokens) and checks that they fit each other and the file's size.
 * VX11_ECORRUPT, VX11_EVERSION (of a later VX11, or of another libllama), VX11_EIO, VX11_ENOMEM. */
int saved_file_read(int fd, struct saved_foot *foot, llama_token **tokens, struct error *err);
/* Reads all of it and compares the checksum. VX11_ECORRUPT, VX11_EIO, VX11_ENOMEM. */
int saved_file_check(int fd, const struct saved_foot *foot, struct error *err);
/* Adds the foot: the checksum is made here of what the file holds; key, model and tokens are the caller's,
 * length is the file's. VX11_EFULL, VX11_EIO, VX11_ENOMEM. */
int saved_file_seal(int fd, struct saved_foot *foot, struct error *err);

#endif
