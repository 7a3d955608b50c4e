/* Aside: kept conversations outside of the KV cells, in ordinary memory.
 *
 * What the cache keeps for whoever comes next is in the way of everyone else: libllama's attention goes over
 * all cells up to the last one in use, masks what is not the sequence's own, and on a processor looking at a
 * masked cell costs about as much as a small part of the arithmetic for a used one. Measured with 1.1 billion
 * parameters on two cores: prompts at 144 tokens/s with an empty cache, 77 with 3,900 kept cells, 62 with
 * 7,800; answers at 17 and 14. Copying the state of a conversation out and in again takes ten microseconds a
 * token. So when a prompt begins, what it does not need is moved aside, but for a few hundred cells; a prompt
 * that begins like something aside brings that back.
 *
 * Bounded in bytes; the least recently used go. Decode thread. */
#ifndef VX11_ENGINE_ASIDE_H
#define VX11_ENGINE_ASIDE_H

#include <stddef.h>
#include <stdint.h>
#include <llama.h>

struct aside;
struct model;
struct scheduler;

/* NULL: nothing is moved aside (the model's sequences cannot be parted, or memory is lacking). */
struct aside *aside_create(const struct model *m);
void aside_destroy(struct aside *a); /* NULL is fine, here and below where the scheduler has none */

/* Brings back what knows more of these tokens' beginning than the cells do. */
void aside_read(struct scheduler *s, const llama_token *tokens, int32_t n);
/* Moves aside what is only kept, the least recently used first, but for a few hundred cells. */
void aside_clear(struct scheduler *s);
/* Brings back what free cells suffice for, the most recently used first. Returns how many conversations. */
size_t aside_return(struct scheduler *s);
void aside_count(const struct aside *a, size_t *branches, uint64_t *bytes);

#endif
