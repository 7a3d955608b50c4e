/* Saved folder: the files of all models' keys together, as several workers share them. See saved.h for what
 * lies where.
 *
 * Whoever makes files, or counts them to make room, holds the lock; the writing itself is done without it,
 * into a file that carries a lock of its own, so that a temporary file without one is known to be an orphan.
 */
#ifndef VX11_ENGINE_SAVED_FOLDER_H
#define VX11_ENGINE_SAVED_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/ulid.h"

enum {
    SAVED_KEY_LEN = 64,
    SAVED_FILES_MOST = 4096,        /* of all keys together: the bound in bytes is not the only one */
    SAVED_NAME_SIZE = ULID_LEN + 4, /* ULID.kv */
    SAVED_DISK_RESERVE = 256 << 20, /* bytes that the disk keeps for others */
};

struct saved_folder {
    int dir, own; /* DIR and DIR/KEY; -1: none */
    char key[SAVED_KEY_LEN + 1];
    uint64_t most_bytes;
    uint64_t files, bytes; /* when it was last looked at */
    /* Called for each file of our key that was deleted for want of room. */
    void (*dropped)(void *ctx, const char *name);
    void *ctx;
};

/* Makes what is missing and removes orphans. model_path may be NULL. */
int saved_folder_open(struct saved_folder *f, const char *dir, const char *model_path, struct error *err);
void saved_folder_close(struct saved_folder *f);

/* Whether a file of a key's folder has a name that we gave; *writing: the one of an unfinished file. */
bool saved_folder_name(const char *name, bool *writing);

/* Deletes until `need` more bytes fit for something that was used then, of what was used before it.
 * VX11_EFULL when that is not enough (or they never can), VX11_EBUSY, VX11_EIO, VX11_ENOMEM. */
int saved_folder_room(struct saved_folder *f, uint64_t need, int64_t used_ms, struct error *err);
/* A new file of our key, empty, locked until it is closed, under a name that saved_folder_keep takes. Returns
 * the descriptor or VX11_E…. */
int saved_folder_create(struct saved_folder *f, char name[SAVED_NAME_SIZE], struct error *err);
/* It is whole: it gets its name, and the bound is seen to again. */
int saved_folder_keep(struct saved_folder *f, const char *name, int fd, int64_t used_ms, struct error *err);
void saved_folder_discard(struct saved_folder *f, const char *name); /* it is not */

#endif
