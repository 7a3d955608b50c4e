/* Readahead: brings a file into the page cache at the speed of its disk, on a thread of its own, while
 * libllama maps and walks it.
 *
 * Reading a mapped file page by page keeps little in flight; here large reads go on ahead. What is in the
 * cache already is only looked at. */
#ifndef VX11_ENGINE_READAHEAD_H
#define VX11_ENGINE_READAHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct readahead;

/* done: bytes of the file that are in memory. false: stop. Called on the reading thread. */
typedef bool (*readahead_fn)(uint64_t done, uint64_t total, void *ctx);

int readahead_start(const char *path, readahead_fn fn, void *ctx, struct readahead **out, struct error *err);
/* Waits for its end, or makes it end at once, and frees it. Returns how many bytes came from the disk. NULL
 * is fine. */
uint64_t readahead_end(struct readahead *r, bool now);

/* Lets go of the pages of this file that the process has mapped: where libllama has made copies of the
 * weights they are not needed any more, and those that are come back from the page cache when they are
 * touched. */
void mapping_release(const char *path);

#endif
