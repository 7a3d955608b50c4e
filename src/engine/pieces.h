/* Pieces: the texts of a vocabulary's tokens, and a tree of them by bytes.
 *
 * The tree lies flat in the order of a walk through it; each node knows where its subtree ends, so that a
 * walk that meets a byte which does not fit skips everything that begins with it. */
#ifndef VX11_ENGINE_PIECES_H
#define VX11_ENGINE_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/model.h"

struct piece_node {
    uint32_t skip;  /* the node after its subtree */
    int32_t token;  /* the first that ends here; -1: none */
    uint16_t depth; /* from 1 */
    uint8_t byte;
};

struct pieces {
    const struct model *m;
    char *bytes;      /* of all tokens, one after the other */
    uint32_t *start;  /* of each token; one more at the end */
    int32_t *same;    /* the next token with the same text; -1: none */
    uint8_t *visible; /* token is text: not a control token, not an end token, not empty */
    struct piece_node *nodes;
    uint32_t node_count;
    size_t longest;
    llama_token *ends; /* end tokens */
    size_t end_count;
};

/* NULL without memory. The caller owns it. */
struct pieces *pieces_create(const struct model *m);
void pieces_destroy(struct pieces *p); /* NULL is fine */

#endif
