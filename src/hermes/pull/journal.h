/* Journal: which chunks of a file that is being downloaded are on disk, and what they must hash to. Beside
 * the part file, append-only:
 *
 *   "VX11PULL" version chunk size key │ index flags digest check │ index flags digest check │ …
 *
 * A record is written after its chunk was fsynced, so that a kill, or a power cut, costs only what has no
 * record. A torn record at the end is passed over. The digest tells, when the chunk is read again, whether
 * the disk still holds what arrived: only a bad chunk is fetched once more.
 *
 * The set of chunks is the loop's; journal_write may run on any thread. */
#ifndef VX11_HERMES_PULL_JOURNAL_H
#define VX11_HERMES_PULL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { JOURNAL_DIGEST = 16, JOURNAL_KEY = 32, JOURNAL_HEAD = 64, JOURNAL_RECORD = 32 };
#define JOURNAL_MAX_CHUNKS ((uint32_t)1 << 24)

struct journal {
    int fd; /* -1: none; owned */
    uint64_t size;
    uint32_t chunk_bytes, chunks, done_count;
    uint8_t *done;                      /* a bit for each chunk */
    uint8_t (*digests)[JOURNAL_DIGEST]; /* of those that are done */
    bool fresh;                         /* began anew; else some was there */
    bool replaced;                      /* there was one of another file, or none that can be read */
};

/* Key of a file's identity: its hash, else its ETag (either may be NULL) and its size. */
void journal_key(const char *sha256, const char *etag, uint64_t size, uint8_t out[JOURNAL_KEY]);

/* Reads what fd holds, if that is of this file (then its chunk size is kept), else empties it and begins. fd
 * is taken over, also on failure. */
int journal_open(struct journal *j, int fd, uint64_t size, uint32_t chunk_bytes,
                 const uint8_t key[JOURNAL_KEY], struct error *err);
void journal_close(struct journal *j);
/* Begins anew. */
int journal_reset(struct journal *j, const uint8_t key[JOURNAL_KEY], struct error *err);

bool journal_has(const struct journal *j, uint32_t chunk);
uint64_t journal_chunk_start(const struct journal *j, uint32_t chunk);
uint64_t journal_chunk_len(const struct journal *j, uint32_t chunk);
uint64_t journal_bytes(const struct journal *j); /* of all chunks that are done */
/* In memory only. digest NULL: not done any more. */
void journal_mark(struct journal *j, uint32_t chunk, const uint8_t *digest);
/* Appends a record and makes it durable. digest NULL: not done any more. 0 or VX11_E…. */
int journal_write(int fd, uint32_t chunk, const uint8_t *digest, struct error *err);
/* Digest of bytes. */
void journal_digest(const void *data, size_t len, uint8_t out[JOURNAL_DIGEST]);

/* For journal_open and the fuzzer: reads the text of a journal into j (whose size, chunk_bytes, chunks and
 * arrays are set from the head when key is NULL or equal). How many bytes were sound; 0: not this file's. */
size_t journal_parse(struct journal *j, const uint8_t *data, size_t len, uint64_t size,
                     const uint8_t key[JOURNAL_KEY]);

#endif
