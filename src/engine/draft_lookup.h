/* Lookup: where in a sequence its last few tokens stood before.
 *
 * Every run of LOOKUP_GRAM tokens is filed under its hash, newest first, so that a token costs the same
 * however long the sequence is: nothing is ever searched from the start. Of the newest places where the last
 * run stood before, the one wins whose past agrees furthest back, the newest of equals. The tokens themselves
 * are the caller's. Not thread-safe. */
#ifndef VX11_ENGINE_DRAFT_LOOKUP_H
#define VX11_ENGINE_DRAFT_LOOKUP_H

#include <stddef.h>
#include <stdint.h>
#include <llama.h>

enum {
    LOOKUP_GRAM = 3,   /* tokens that must agree */
    LOOKUP_MATCH = 32, /* how far back agreement is counted */
};

struct lookup {     /* all zero: empty. lookup_free */
    uint32_t *head; /* by hash: 1 + where the newest run ends, 0: none */
    uint32_t *prev; /* by where a run ends: the next older one under the same hash, likewise */
    size_t buckets, cap;
    size_t known; /* tokens that were filed */
};

void lookup_free(struct lookup *l);
void lookup_reset(struct lookup *l); /* another sequence begins */
/* Files what came since the last call: the first l->known tokens must be what they were. 0 or VX11_ENOMEM. */
int lookup_add(struct lookup *l, const llama_token *tokens, size_t n);
/* After lookup_add of the same tokens: the index of the token that is likely next, 0: none is; *match is how
 * many tokens agreed, up to LOOKUP_MATCH. */
size_t lookup_find(const struct lookup *l, const llama_token *tokens, size_t n, size_t *match);

#endif
