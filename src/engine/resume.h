/* Resume: between the cache and the conversations on disk. What the cache keeps is written when the engine
 * has been idle for a while and when it ends; what a prompt begins with and only the disk knows is read into
 * the cache before the prompt is admitted. Decode thread. */
#ifndef VX11_ENGINE_RESUME_H
#define VX11_ENGINE_RESUME_H

#include <stdbool.h>
#include <stdint.h>

struct scheduler;
struct generation;

/* Reads the file that knows the prompt's beginning best, when that is quicker than reading the prompt and
 * there is room. Returns how many of the prompt's tokens were known before; -1 when nothing was read. */
int32_t resume_read(struct scheduler *s, struct generation *g);
/* Writes what is kept and not on disk, the most recently used first, until the moment (monotonic ns). With
 * `yield` it gives up when a request comes. */
void resume_write(struct scheduler *s, uint64_t until_ns, bool yield);
/* When to do so, of an idle engine (monotonic ns); 0: there is nothing new. */
uint64_t resume_due(const struct scheduler *s);

#endif
