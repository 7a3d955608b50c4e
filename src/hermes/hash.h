/* Hash: computes the SHA-256 of model files in the background, one file at a time, at low priority. Files
 * above HASH_MAX_BYTES are left out: their hash stays null, which is the truth. */
#ifndef VX11_HERMES_HASH_H
#define VX11_HERMES_HASH_H

#include <uv.h>

#include "base/error.h"
#include "store/store.h"

#define HASH_MAX_BYTES (INT64_C(1) << 30)

struct hasher;

int hasher_create(uv_loop_t *loop, struct store *store, struct hasher **out);
/* The registry has changed: look for files without a hash. */
void hasher_kick(struct hasher *h);
/* Breaks off, frees, then calls done. */
void hasher_close(struct hasher *h, void (*done)(void *ctx), void *ctx);

#endif
