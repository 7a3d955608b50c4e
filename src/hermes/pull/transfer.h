/* Transfer: brings one file, of known size, from where it is into the models folder.
 *
 *   NAME.gguf.part      the bytes, at their places            ┐ fetched in ranges by several connections,
 *   NAME.gguf.journal   which chunks are there (journal.h)    ┘ written and synced in the thread pool
 *     └─ hashed from the start as it becomes whole ─> SHA-256 and header are right ─> fsync ─> rename to
 * NAME.gguf
 *
 * What fails is tried again, that range alone; what was there before is used, after a look at it. On the loop
 * thread. */
#ifndef VX11_HERMES_PULL_TRANSFER_H
#define VX11_HERMES_PULL_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"
#include "hermes/pull/bucket.h"
#include "hermes/pull/hub.h"

struct transfer;

struct transfer_params {
    unsigned connections, retries;
    uint32_t chunk_bytes;
    int64_t retry_ms, idle_ms, min_rate, margin_bytes;
};

struct transfer_end {
    const char *code; /* short name of what went wrong; NULL: nothing */
    const char *sha256;
    uint64_t retries;
    int64_t bytes; /* on disk */
};

struct transfer_options { /* strings are copied */
    uv_loop_t *loop;
    struct hub *hub;
    struct bucket *shared, *own; /* outlive it */
    struct transfer_params params;
    /* where from */
    const char *repository, *revision, *file; /* of the hub; NULL: a plain URL or a local file */
    const char *url;                          /* plain */
    const struct hub_url *location;           /* where its bytes were found; NULL: local */
    int local_fd;                             /* a file of this machine, taken over; -1: none */
    int64_t size;
    const char *sha256, *etag; /* NULL: not said */
    /* where to */
    int folder_fd; /* taken over */
    const char *name;
    bool split; /* a part of a split model: not a whole model by itself */
    /* Told on the loop. A note is a sentence for who asked. done comes once, last, never from inside a call
     * of ours: 0; VX11_EAGAIN: the file at the source has changed, ask again where it is; VX11_ECANCELLED;
     * else what went wrong. */
    void (*note)(void *ctx, const char *text);
    void (*done)(void *ctx, int result, const struct transfer_end *end, const struct error *err);
    void *ctx;
};

/* Opens the part file and begins. VX11_EFULL: not enough room (with the numbers). fds are taken over also on
 * failure. */
int transfer_start(const struct transfer_options *o, struct transfer **out, struct error *err);
void transfer_cancel(struct transfer *t); /* done follows with VX11_ECANCELLED; what is on disk stays */

struct transfer_state {
    int64_t bytes, hashed, received; /* on disk; hashed; come over the network by this transfer */
    int64_t resumed;                 /* on disk when it began */
    unsigned connections;
    uint64_t retries;
    bool finishing; /* checking the header, syncing, renaming */
};
void transfer_state(const struct transfer *t, struct transfer_state *out);

/* Names of the part file and the journal beside NAME. */
void transfer_part_name(const char *name, char *out, size_t size);
void transfer_journal_name(const char *name, char *out, size_t size);
/* Deletes both. 0, also when there was none. */
int transfer_discard(int folder_fd, const char *name, struct error *err);

#endif
