/* Cache: which tokens the KV cells hold, as a radix tree over token sequences.
 *
 *                        (root)
 *                          │
 *            "<system> You are helpful … <user> "          inner node: 480 cells, held by A, B, C and D
 *               ┌──────────┴───────────────┐
 *        "What is VX11? …"           "Write a "            inner node: 3 cells, held by C and D
 *          ┌────┴────┐               ┌─────┴──────┐
 *     "Thanks. …"  "And …"       "poem …"     "letter …"   leaves: each is the end of a sequence
 *       A kept     B kept         C kept        D live     ·· 17 tokens that only D's slot knows (its tail)
 *
 * A node is a run of tokens, and each of its tokens is one cell. In libllama's unified cache a cell can
 * belong to many sequence ids; a sequence id holds the whole way from the root to where it ends. So a prefix
 * that many share is in memory once, at whatever depth they part, and it stays as long as anyone needs it.
 *
 *   live   a slot is writing to it. What it adds is its tail, which only its owner knows the tokens of; it is
 *          put into the tree when the prompt was read, when another wants it, and at the end (cache_publish)
 *   kept   finished, and here for whoever comes next. At most one ends at a node, and only at leaves: an id
 *          that another holds everything of is given back at once
 *
 * Why a tree and not a list of slots with what each held last: a slot is one conversation, and a conversation
 * that comes back when its slot has gone to another is read anew although its cells were never needed. Here
 * slots and what is kept are apart. Why the tokens are in the nodes: then used cells are the sum of the nodes
 * and the tails, which is the ledger that admission needs, for libllama does not tell how many cells are
 * free.
 *
 * When cells are needed, the leaf that was used longest ago loses its end, as much of it as is needed; a node
 * is as young as the youngest of its users, so that a common beginning goes last. When ids are needed, a
 * whole leaf goes. What a live sequence holds is never touched.
 *
 * Models with a recurrent state cannot drop the end of a sequence nor share its beginning (`whole`): they
 * keep each sequence for itself, and go on from one only when all of its tokens are wanted.
 *
 * With a sliding window (`window`) libllama drops old positions of a sequence that is alone in a cell: its
 * beginning then can be shared only where the window before the fork is still there, which is asked of
 * libllama; and a leaf goes as a whole, for what is left of it would lack its window.
 *
 * All of it belongs to the decode thread. */
#ifndef VX11_ENGINE_CACHE_H
#define VX11_ENGINE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <llama.h>

#include "base/error.h"

struct cache;

struct cache_options {
    llama_memory_t memory; /* NULL: the tree alone, without a model (for its tests) */
    int32_t cells, sequences;
    int32_t window; /* of sliding attention, tokens; 0: none */
    bool whole;     /* sequences can be neither cut nor shared */
};

/* 0 or VX11_ENOMEM. The memory must outlive the cache. */
int cache_create(const struct cache_options *o, struct cache **out);
void cache_destroy(struct cache *c); /* NULL is fine; leaves libllama's memory as it is */
void cache_clear(struct cache *c);   /* drops all that is kept */

/* ---- a live sequence ---- */

/* Begins one that holds the longest beginning of the n tokens that is known, and says how long that is.
 * Returns its id; VX11_EAGAIN when all ids are live. */
llama_seq_id cache_open(struct cache *c, const llama_token *tokens, int32_t n, int32_t *held);
/* More of its tokens have become known meanwhile: shares them. It must have no tail. Returns what it holds.
 */
int32_t cache_extend(struct cache *c, llama_seq_id id, const llama_token *tokens, int32_t n);
/* n tokens were decoded: its tail is that much longer. */
void cache_push(struct cache *c, llama_seq_id id, int32_t n);
/* Puts its first n tokens into the tree, so that others find them; cells that turn out to be double are given
 * back. 0; VX11_EUNSUPPORTED when they cannot be shared (it was shifted, or the model cannot), VX11_ENOMEM.
 */
int cache_publish(struct cache *c, llama_seq_id id, const llama_token *tokens, int32_t n);
/* Drops what it holds past its first n tokens, of its tail (and what a failed decode left there). Returns
 * what it holds then: n, or 0 when the model cannot drop a part. */
int32_t cache_cut(struct cache *c, llama_seq_id id, int32_t n);
/* Drops `drop` tokens after the first `keep` and moves the rest up. What follows `keep` is then its own for
 * good: it was computed with what was dropped in view. VX11_EBUSY when another live sequence shares cells
 * that would move; VX11_EUNSUPPORTED, VX11_ENOMEM. */
int cache_shift(struct cache *c, llama_seq_id id, int32_t keep, int32_t drop);
/* Ends it: its first n tokens are kept for whoever comes next (0: nothing of its own is). */
void cache_close(struct cache *c, llama_seq_id id, const llama_token *tokens, int32_t n);
int32_t cache_length(const struct cache *c, llama_seq_id id);

/* ---- cells ---- */

int32_t cache_free(const struct cache *c);      /* cells that hold nothing */
int32_t cache_evictable(const struct cache *c); /* cells that are only kept */
/* Makes n cells free, by evicting what was used longest ago. False when that cannot be: nothing was done. */
bool cache_room(struct cache *c, int32_t n);
/* How long a beginning of the tokens is known; *kept: how many of its cells are only kept (evictable now). */
int32_t cache_find(const struct cache *c, const llama_token *tokens, int32_t n, int32_t *kept);

/* ---- what is kept, for who writes it to disk ---- */

struct cache_branch {
    llama_seq_id id;
    int32_t length;
    int32_t own; /* cells that nobody else needs: what cache_drop frees */
};
/* The branches that are kept, the most recently used first, at most `most` of them. Returns how many. They
 * are valid until the cache is changed. */
size_t cache_branches(const struct cache *c, struct cache_branch *out, size_t most);
/* The tokens of one of them: `length` of them into out. */
void cache_branch_tokens(const struct cache *c, llama_seq_id id, llama_token *out);
/* Gives it up at once. `elsewhere`: the caller has it, so that it is not counted as evicted. */
void cache_drop(struct cache *c, llama_seq_id id, bool elsewhere);
/* To bring one back: cache_room for its cells, cache_open with n = 0 for an empty sequence id, fill that
 * through libllama, cache_push as many tokens, cache_close with them; when it failed, cache_close with n = 0.
 * What of it is known already is then shared and not double. */

/* ---- */

struct cache_stats {
    int32_t cells_used, cells_total, cells_evictable;
    unsigned branches, nodes; /* kept sequences; nodes of the tree but for its root */
    uint64_t hits, misses;    /* sequences begun with something known, with nothing */
    uint64_t evicted_tokens, evicted_branches;
};
void cache_stats(const struct cache *c, struct cache_stats *out);
/* Counts everything anew. NULL when all is as it should be, else what is not. For tests: takes long. */
const char *cache_audit(const struct cache *c);

#endif
