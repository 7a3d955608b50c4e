/* Choose: which of a repository's files is meant. Pure. */
#ifndef VX11_HERMES_PULL_CHOOSE_H
#define VX11_HERMES_PULL_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

struct hub_entry { /* a file of a repository */
    const char *path;
    int64_t size;       /* -1: not said */
    const char *sha256; /* NULL: not said (no LFS) */
};

struct hub_choice {
    size_t *parts; /* indices of the files: one, or all parts of a split model in their order */
    size_t count;
    int64_t size;        /* of all; -1: not known */
    const char *quant;   /* tag that was chosen by, in the arena; NULL: by name */
    const char *message; /* "chose Q4_K_M (4.1 GB) of 12 models: FILE", in the arena */
};

/* which: a file's path, its name, a quantisation ("q5_k_m"), or "" for the documented order: Q4_K_M, Q4_K_S,
 * Q4_0, IQ4_XS, IQ4_NL, Q5_K_M, Q5_K_S, Q5_0, Q6_K, Q8_0, Q3_K_M, Q3_K_L, Q3_K_S, Q2_K, then BF16, F16, F32,
 * then the smallest of the rest. Vision parts (mmproj), importance matrices and drafts count only when they
 * are named. VX11_ENOT_FOUND names the nearest, or what there is; VX11_EINVALID: parts are missing. */
int hub_choose(const struct hub_entry *entries, size_t n, const char *which, struct arena *a,
               struct hub_choice *out, struct error *err);

/* "name-00002-of-00005.gguf": true, and which part of how many (from 1); prefix_len: bytes before "-00002".
 */
bool split_name(const char *path, unsigned *part, unsigned *parts, size_t *prefix_len);

/* The quantisation tag in a file's name ("Q4_K_M" of "x.Q4_K_M.gguf"), upper case; false: none. */
bool quant_of_name(const char *path, char out[24]);

#endif
