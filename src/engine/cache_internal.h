/* Inside of cache.c (sequences, and what others call) and cache_tree.c (nodes). */
#ifndef VX11_ENGINE_CACHE_INTERNAL_H
#define VX11_ENGINE_CACHE_INTERNAL_H

#include "engine/cache.h"

struct cache_sequence;

struct cache_node {
    struct cache_node *parent, *child, *sibling; /* child: the first of them */
    llama_token *tokens;
    int32_t start, count;        /* position of its first token; how many */
    unsigned live;               /* live sequences that end here or below */
    uint64_t used_at;            /* never older than a child's */
    struct cache_sequence *ends; /* sequences that end here */
};

enum sequence_state { SEQUENCE_FREE, SEQUENCE_LIVE, SEQUENCE_KEPT };

struct cache_sequence {
    enum sequence_state state;
    struct cache_node *node;     /* where it ends, or where a live one's tail begins */
    struct cache_sequence *next; /* another that ends at the node */
    int32_t tail;
    bool moved; /* its tail was shifted: it cannot be shared */
};

struct cache {
    struct cache_options options;
    struct cache_node root;
    struct cache_sequence *sequences;
    int32_t used, pinned; /* cells: all that hold something; those of nodes below which something is live */
    unsigned nodes;
    uint64_t clock;
    struct cache_stats counted; /* hits, misses and evictions */
};

struct cache_walk { /* as far as the tokens lead */
    struct cache_node *node;
    int32_t offset; /* tokens of the node that agree: all of them, but at the last node */
    int32_t length; /* tokens from the start of the walk */
    int32_t kept;   /* of these, those in nodes below which nothing is live */
};

static inline int32_t node_end(const struct cache_node *node)
{
    return node->start + node->count;
}

/* cache_tree.c: nothing in it speaks to libllama. */
struct cache_walk tree_walk(struct cache_node *from, const llama_token *tokens, int32_t n);
/* A new child; NULL without memory. */
struct cache_node *tree_add(struct cache *c, struct cache_node *parent, const llama_token *tokens, int32_t n);
/* Parts a node so that one ends after its first `at` tokens (0 < at < count); returns that one, the new
 * upper. NULL without memory: nothing was done. */
struct cache_node *tree_split(struct cache *c, struct cache_node *node, int32_t at);
void tree_remove(struct cache *c, struct cache_node *leaf); /* its cells are no longer counted as used */
/* Removes nodes on which nothing depends, from this one up, as far as there are any. */
void tree_prune(struct cache *c, struct cache_node *node);
/* Joins a node with its only child where keeping them apart says nothing. */
void tree_join(struct cache *c, struct cache_node *node);
void tree_live(struct cache *c, struct cache_node *node, int by); /* 1 or -1 more live sequences end here */
void tree_touch(struct cache *c, struct cache_node *node);
void tree_free(struct cache *c);                                              /* all nodes */
bool tree_below(const struct cache_node *node, const struct cache_node *top); /* in its subtree, or itself */
void tree_cut(struct cache *c, struct cache_node *node, int32_t n); /* its last n tokens: n < count */

#endif
