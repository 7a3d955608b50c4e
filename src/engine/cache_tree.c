/* The nodes of the radix tree: runs of tokens that part where sequences do. Children are a list, for a node
 * has at most as many as there are sequences, and rarely more than a few. */
#include "engine/cache_internal.h"

#include <stdlib.h>
#include <string.h>

/* A node shorter than this is not worth being evicted apart from its only child. */
enum { NODE_SMALL = 32 };

static struct cache_node *child_find(const struct cache_node *node, llama_token first)
{
    struct cache_node *child = node->child;
    while (child && child->tokens[0] != first)
        child = child->sibling;
    return child;
}

static int32_t agree(const llama_token *a, const llama_token *b, int32_t most)
{
    int32_t n = 0;
    while (n < most && a[n] == b[n])
        n++;
    return n;
}

struct cache_walk tree_walk(struct cache_node *from, const llama_token *tokens, int32_t n)
{
    struct cache_walk w = {.node = from, .offset = from->count};
    while (w.offset == w.node->count && w.length < n) {
        struct cache_node *child = child_find(w.node, tokens[w.length]);
        if (!child)
            break;
        const int32_t left = n - w.length;
        w.node = child;
        w.offset = agree(child->tokens, tokens + w.length, child->count < left ? child->count : left);
        w.length += w.offset;
        w.kept += child->live == 0 ? w.offset : 0;
    }
    return w;
}

struct cache_node *tree_add(struct cache *c, struct cache_node *parent, const llama_token *tokens, int32_t n)
{
    struct cache_node *node = calloc(1, sizeof *node);
    llama_token *copy = malloc((size_t)n * sizeof *copy);
    if (!node || !copy) {
        free(node);
        free(copy);
        return NULL;
    }
    memcpy(copy, tokens, (size_t)n * sizeof *copy);
    *node = (struct cache_node){.parent = parent,
                                .sibling = parent->child,
                                .tokens = copy,
                                .start = node_end(parent),
                                .count = n,
                                .used_at = c->clock};
    parent->child = node;
    c->nodes++;
    return node;
}

static struct cache_node **link_of(struct cache_node *node)
{
    struct cache_node **at = &node->parent->child;
    while (*at != node)
        at = &(*at)->sibling;
    return at;
}

/* The node itself becomes the lower one, for the sequences that end at it end there. */
struct cache_node *tree_split(struct cache *c, struct cache_node *node, int32_t at)
{
    struct cache_node *upper = calloc(1, sizeof *upper);
    llama_token *copy = malloc((size_t)at * sizeof *copy);
    if (!upper || !copy) {
        free(upper);
        free(copy);
        return NULL;
    }
    memcpy(copy, node->tokens, (size_t)at * sizeof *copy);
    *upper = (struct cache_node){.parent = node->parent,
                                 .child = node,
                                 .sibling = node->sibling,
                                 .tokens = copy,
                                 .start = node->start,
                                 .count = at,
                                 .live = node->live,
                                 .used_at = node->used_at};
    *link_of(node) = upper;
    node->parent = upper;
    node->sibling = NULL;
    node->start += at;
    node->count -= at;
    memmove(node->tokens, node->tokens + at, (size_t)node->count * sizeof *node->tokens);
    c->nodes++;
    return upper;
}

void tree_remove(struct cache *c, struct cache_node *leaf)
{
    *link_of(leaf) = leaf->sibling;
    c->used -= leaf->count;
    c->nodes--;
    free(leaf->tokens);
    free(leaf);
}

void tree_prune(struct cache *c, struct cache_node *node)
{
    while (node->parent && !node->child && !node->ends && node->live == 0) {
        struct cache_node *parent = node->parent;
        tree_remove(c, node);
        node = parent;
    }
}

void tree_join(struct cache *c, struct cache_node *node)
{
    struct cache_node *child = node->child;
    if (!node->parent || !child || child->sibling || node->ends || node->live != child->live ||
        (node->count >= NODE_SMALL && node->used_at != child->used_at))
        return;
    llama_token *all = malloc((size_t)(node->count + child->count) * sizeof *all);
    if (!all)
        return; /* two nodes are as good as one */
    memcpy(all, node->tokens, (size_t)node->count * sizeof *all);
    memcpy(all + node->count, child->tokens, (size_t)child->count * sizeof *all);
    free(child->tokens);
    child->tokens = all;
    child->start = node->start;
    child->count += node->count;
    child->used_at = node->used_at;
    child->parent = node->parent;
    child->sibling = node->sibling;
    *link_of(node) = child;
    free(node->tokens);
    free(node);
    c->nodes--;
}

void tree_live(struct cache *c, struct cache_node *node, int by)
{
    for (; node->parent; node = node->parent) {
        const bool before = node->live > 0;
        node->live = (unsigned)((int)node->live + by);
        if (before != (node->live > 0))
            c->pinned += before ? -node->count : node->count;
    }
}

void tree_touch(struct cache *c, struct cache_node *node)
{
    c->clock++;
    for (; node; node = node->parent)
        node->used_at = c->clock;
}

bool tree_below(const struct cache_node *node, const struct cache_node *top)
{
    while (node && node != top)
        node = node->parent;
    return node != NULL;
}

void tree_cut(struct cache *c, struct cache_node *node, int32_t n)
{
    node->count -= n;
    c->used -= n;
}

void tree_free(struct cache *c)
{
    struct cache_node *node = c->root.child;
    while (node) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): tree_remove takes a node out of its parent's children
        if (node->child) {
            node = node->child;
            continue;
        }
        struct cache_node *parent = node->parent;
        tree_remove(c, node);
        node = parent == &c->root ? c->root.child : parent;
    }
}
