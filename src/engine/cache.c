/* Sequences over the tree: who holds what, and the same done to libllama's memory. Each change of a sequence
 * is made in both here and nowhere else, so that they cannot drift apart. */
#include "engine/cache_internal.h"

#include <stdlib.h>
#include <string.h>

/* At least so many tokens are evicted at a time: each time costs libllama a look at every cell. */
enum { EVICT_LEAST = 64 };

static llama_seq_id id_of(const struct cache *c, const struct cache_sequence *s)
{
    return (llama_seq_id)(s - c->sequences);
}

/* ---- libllama's memory ---- */

static bool memory_remove(struct cache *c, const struct cache_sequence *s, int32_t from, int32_t to)
{
    return !c->options.memory || llama_memory_seq_rm(c->options.memory, id_of(c, s), from, to);
}

static void memory_share(struct cache *c, const struct cache_sequence *from, const struct cache_sequence *to,
                         int32_t start, int32_t end)
{
    if (c->options.memory)
        llama_memory_seq_cp(c->options.memory, id_of(c, from), id_of(c, to), start, end);
}

/* Whether the sequence still has what a token at position n looks at. */
static bool memory_reaches(const struct cache *c, const struct cache_sequence *s, int32_t n)
{
    if (c->options.window == 0 || !c->options.memory)
        return true;
    const int32_t first = n > c->options.window ? n - c->options.window : 0,
                  has = llama_memory_seq_pos_min(c->options.memory, id_of(c, s));
    return has >= 0 && has <= first;
}

/* ---- making ---- */

int cache_create(const struct cache_options *o, struct cache **out)
{
    struct cache *c = calloc(1, sizeof *c);
    if (!c || !(c->sequences = calloc((size_t)o->sequences, sizeof *c->sequences))) {
        free(c);
        return VX11_ENOMEM;
    }
    c->options = *o;
    *out = c;
    return 0;
}

void cache_destroy(struct cache *c)
{
    if (!c)
        return;
    tree_free(c);
    free(c->sequences);
    free(c);
}

/* ---- where sequences end ---- */

static void end_add(struct cache *c, struct cache_sequence *s, struct cache_node *node)
{
    s->node = node;
    s->next = node->ends;
    node->ends = s;
    if (s->state == SEQUENCE_LIVE)
        tree_live(c, node, 1);
}

static void end_remove(struct cache *c, struct cache_sequence *s)
{
    struct cache_sequence **at = &s->node->ends;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    if (s->state == SEQUENCE_LIVE)
        tree_live(c, s->node, -1);
    s->node = NULL;
}

/* Moves a sequence to another node, of which nothing may be pruned meanwhile. */
static void end_move(struct cache *c, struct cache_sequence *s, struct cache_node *node)
{
    struct cache_node *before = s->node;
    if (before == node)
        return;
    if (s->state == SEQUENCE_LIVE)
        tree_live(c, node, 1); /* first this, so that what both share is never unpinned */
    struct cache_sequence **at = &before->ends;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    s->node = node;
    s->next = node->ends;
    node->ends = s;
    if (s->state == SEQUENCE_LIVE)
        tree_live(c, before, -1);
}

/* Gives an id back; its nodes must be held by others or pruned by the caller. */
static void sequence_free(struct cache *c, struct cache_sequence *s)
{
    (void)memory_remove(c, s, -1, -1);
    *s = (struct cache_sequence){.state = SEQUENCE_FREE};
}

static struct cache_sequence *kept_at(const struct cache_node *node)
{
    return node->ends && node->ends->state == SEQUENCE_KEPT ? node->ends : NULL;
}

/* Another holds all that the kept sequence of a node holds. */
static void redundant_free(struct cache *c, struct cache_node *node)
{
    for (struct cache_sequence *s = node->ends; s; s = s->next) {
        if (s->state == SEQUENCE_KEPT) {
            end_remove(c, s);
            sequence_free(c, s);
            return;
        }
    }
}

/* A sequence, other than `not`, that holds the first n tokens on the way to the node, in which the last of
 * them is. */
static struct cache_sequence *holder(const struct cache *c, const struct cache_node *top, int32_t n,
                                     const struct cache_sequence * not )
{
    const struct cache_node *node = top;
    while (node) {
        for (struct cache_sequence *s = node->ends; s; s = s->next) {
            if (s != not &&memory_reaches(c, s, n))
                return s;
        }
        if (node->child) {
            node = node->child;
            continue;
        }
        while (node != top && !node->sibling)
            node = node->parent;
        node = node == top ? NULL : node->sibling;
    }
    return NULL;
}

/* ---- eviction ---- */

static struct cache_sequence *oldest(const struct cache *c)
{
    struct cache_sequence *best = NULL;
    for (int32_t i = 0; i < c->options.sequences; i++) {
        struct cache_sequence *s = &c->sequences[i];
        if (s->state == SEQUENCE_KEPT && (!best || s->node->used_at < best->node->used_at))
            best = s;
    }
    return best;
}

/* Drops the node at which a kept sequence ends. The id goes too when others hold what is above, else it is
 * now what holds that; but where the window of that is not there any more, that is lost too. */
static void leaf_evict(struct cache *c, struct cache_sequence *s)
{
    struct cache_node *leaf = s->node, *parent = leaf->parent;
    c->counted.evicted_tokens += (uint64_t)leaf->count;
    end_remove(c, s);
    tree_remove(c, leaf);
    if (!parent->parent || parent->child || parent->ends) {
        sequence_free(c, s);
        c->counted.evicted_branches++;
        tree_join(c, parent);
        return;
    }
    (void)memory_remove(c, s, node_end(parent), -1);
    if (memory_reaches(c, s, node_end(parent))) {
        end_add(c, s, parent);
        return;
    }
    const int32_t used = c->used;
    sequence_free(c, s);
    tree_prune(c, parent);
    c->counted.evicted_tokens += (uint64_t)(used - c->used);
    c->counted.evicted_branches++;
}

static void leaf_shorten(struct cache *c, struct cache_sequence *s, int32_t n)
{
    (void)memory_remove(c, s, node_end(s->node) - n, -1);
    tree_cut(c, s->node, n);
    c->counted.evicted_tokens += (uint64_t)n;
}

bool cache_room(struct cache *c, int32_t n)
{
    if (n > cache_free(c) + cache_evictable(c))
        return false;
    while (cache_free(c) < n) {
        struct cache_sequence *s = oldest(c);
        const int32_t missing = n - cache_free(c), drop = missing > EVICT_LEAST ? missing : EVICT_LEAST;
        if (!c->options.whole && c->options.window == 0 && drop < s->node->count)
            leaf_shorten(c, s, drop);
        else
            leaf_evict(c, s);
    }
    return true;
}

/* A free id. NULL: all are live, or the one that is kept at `wanted` is now as good. */
static struct cache_sequence *sequence_take(struct cache *c, const struct cache_node *wanted)
{
    for (;;) {
        for (int32_t i = 0; i < c->options.sequences; i++) {
            if (c->sequences[i].state == SEQUENCE_FREE)
                return &c->sequences[i];
        }
        struct cache_sequence *s = oldest(c);
        if (!s)
            return NULL;
        while (s->state == SEQUENCE_KEPT && s->node->live == 0)
            leaf_evict(c, s);
        if (s->state == SEQUENCE_KEPT && s->node == wanted)
            return NULL;
    }
}

void cache_clear(struct cache *c)
{
    for (struct cache_sequence *s = oldest(c); s; s = oldest(c)) {
        while (s->state == SEQUENCE_KEPT)
            leaf_evict(c, s);
    }
}

/* ---- beginning ---- */

/* The node at the end of a walk, parted from what goes on otherwise; NULL when there is nothing to share. */
static struct cache_node *walk_node(struct cache *c, const struct cache_walk *w,
                                    const struct cache_sequence * not )
{
    struct cache_node *node = w->node;
    if (w->length == 0)
        return NULL;
    if (w->offset < node->count) {
        struct cache_node *upper = tree_split(c, node, w->offset);
        node = upper ? upper : node->parent;
    }
    return node->parent && holder(c, node, node_end(node), not ) ? node : NULL;
}

static struct cache_sequence *sequence_adopt(struct cache *c, struct cache_sequence *s)
{
    struct cache_node *node = s->node;
    end_remove(c, s);
    s->state = SEQUENCE_LIVE;
    end_add(c, s, node);
    return s;
}

/* A live sequence that holds all up to the node, which must not be the root. */
static struct cache_sequence *sequence_share(struct cache *c, struct cache_node *node)
{
    tree_live(c, node, 1); /* so that it is not evicted for an id */
    struct cache_sequence *s = kept_at(node) ? NULL : sequence_take(c, node);
    const struct cache_sequence *from = s ? holder(c, node, node_end(node), NULL) : NULL;
    tree_live(c, node, -1);
    if (kept_at(node) && (!s || !from))
        return sequence_adopt(c, kept_at(node));
    if (!s || !from) {
        tree_prune(c, node); /* in taking an id, what held it was lost */
        return NULL;
    }
    s->state = SEQUENCE_LIVE;
    memory_share(c, from, s, 0, node_end(node));
    end_add(c, s, node);
    redundant_free(c, node);
    return s;
}

static struct cache_sequence *sequence_empty(struct cache *c)
{
    struct cache_sequence *s = sequence_take(c, NULL);
    if (!s)
        return NULL;
    s->state = SEQUENCE_LIVE;
    end_add(c, s, &c->root);
    return s;
}

/* The longest kept sequence of which all tokens are wanted. */
static struct cache_sequence *whole_find(const struct cache *c, const llama_token *tokens, int32_t n)
{
    struct cache_sequence *best = NULL;
    for (int32_t i = 0; i < c->options.sequences; i++) {
        struct cache_sequence *s = &c->sequences[i];
        if (s->state == SEQUENCE_KEPT && s->node->count <= n &&
            (!best || s->node->count > best->node->count) &&
            memcmp(s->node->tokens, tokens, (size_t)s->node->count * sizeof *tokens) == 0)
            best = s;
    }
    return best;
}

static struct cache_sequence *whole_open(struct cache *c, const llama_token *tokens, int32_t n)
{
    struct cache_sequence *s = whole_find(c, tokens, n);
    if (!s)
        return sequence_empty(c);
    struct cache_node *node = s->node;
    end_remove(c, s);
    s->tail = node->count;
    s->state = SEQUENCE_LIVE;
    tree_prune(c, node);
    c->used += s->tail; /* they are its own now, not the tree's */
    end_add(c, s, &c->root);
    return s;
}

llama_seq_id cache_open(struct cache *c, const llama_token *tokens, int32_t n, int32_t *held)
{
    struct cache_sequence *s = NULL;
    if (c->options.whole) {
        s = whole_open(c, tokens, n);
    } else {
        const struct cache_walk w = tree_walk(&c->root, tokens, n);
        struct cache_node *node = walk_node(c, &w, NULL);
        s = node ? sequence_share(c, node) : NULL;
        if (!s)
            s = sequence_empty(c);
    }
    if (!s)
        return VX11_EAGAIN;
    tree_touch(c, s->node);
    *held = node_end(s->node) + s->tail;
    if (n > 0 && *held > 0)
        c->counted.hits++;
    else if (n > 0)
        c->counted.misses++;
    return id_of(c, s);
}

int32_t cache_extend(struct cache *c, llama_seq_id id, const llama_token *tokens, int32_t n)
{
    struct cache_sequence *s = &c->sequences[id];
    const int32_t start = node_end(s->node);
    if (c->options.whole || s->tail > 0 || n <= start)
        return start + s->tail;
    const struct cache_walk w = tree_walk(s->node, tokens + start, n - start);
    struct cache_node *node = walk_node(c, &w, s);
    if (!node || node == s->node)
        return start;
    memory_share(c, holder(c, node, node_end(node), s), s, start, node_end(node));
    end_move(c, s, node);
    redundant_free(c, node);
    tree_touch(c, node);
    return node_end(node);
}

/* ---- going on ---- */

void cache_push(struct cache *c, llama_seq_id id, int32_t n)
{
    c->sequences[id].tail += n;
    c->used += n;
}

/* What of the tail is in the tree already is shared instead, and the double cells are free again. Returns the
 * node to go on from; NULL when it cannot be shared. */
static struct cache_node *tail_share(struct cache *c, struct cache_sequence *s, const llama_token *tokens,
                                     int32_t n)
{
    const int32_t start = node_end(s->node);
    const struct cache_walk w = tree_walk(s->node, tokens + start, n - start);
    if (w.length == 0)
        return s->node;
    struct cache_node *node = walk_node(c, &w, s);
    if (!node || node == s->node)
        return NULL;
    const int32_t known = node_end(node) - start;
    (void)memory_remove(c, s, start, start + known);
    memory_share(c, holder(c, node, node_end(node), s), s, start, start + known);
    s->tail -= known;
    c->used -= known;
    end_move(c, s, node);
    return node;
}

int cache_publish(struct cache *c, llama_seq_id id, const llama_token *tokens, int32_t n)
{
    struct cache_sequence *s = &c->sequences[id];
    if (n <= node_end(s->node))
        return 0;
    if (c->options.whole || s->moved)
        return VX11_EUNSUPPORTED;
    struct cache_node *node = tail_share(c, s, tokens, n);
    if (!node)
        return VX11_EUNSUPPORTED;
    const int32_t rest = n - node_end(node);
    struct cache_node *leaf = rest > 0 ? tree_add(c, node, tokens + node_end(node), rest) : node;
    if (leaf && leaf != node) {
        s->tail -= rest;
        end_move(c, s, leaf);
    }
    redundant_free(c, node);
    tree_touch(c, s->node);
    return leaf ? 0 : VX11_ENOMEM;
}

int32_t cache_cut(struct cache *c, llama_seq_id id, int32_t n)
{
    struct cache_sequence *s = &c->sequences[id];
    const int32_t start = node_end(s->node), length = start + s->tail;
    if (n < start || n > length)
        n = n < start ? start : length;
    if (!memory_remove(c, s, n, -1) && c->options.whole) {
        (void)memory_remove(c, s, -1, -1);
        n = 0;
    }
    c->used -= length - n;
    s->tail = n - start;
    return n;
}

/* Takes what follows position `keep` out of the tree and back into the tail. */
static int tail_reclaim(struct cache *c, struct cache_sequence *s, int32_t keep)
{
    struct cache_node *top = s->node, *upper = NULL;
    if (node_end(top) <= keep)
        return 0;
    while (top->start > keep)
        top = top->parent;
    if (top->live > 1)
        return VX11_EBUSY;
    upper = top->start == keep ? top->parent : tree_split(c, top, keep - top->start);
    if (!upper)
        return VX11_ENOMEM;
    for (int32_t i = 0; i < c->options.sequences; i++) {
        struct cache_sequence *kept = &c->sequences[i];
        if (kept->state != SEQUENCE_KEPT || !tree_below(kept->node, top))
            continue;
        struct cache_node *node = kept->node;
        const int32_t used = c->used;
        end_remove(c, kept);
        sequence_free(c, kept);
        tree_prune(c, node);
        c->counted.evicted_tokens += (uint64_t)(used - c->used);
        c->counted.evicted_branches++;
    }
    const int32_t own = node_end(s->node) - keep;
    struct cache_node *node = s->node;
    end_move(c, s, upper);
    tree_prune(c, node);
    s->tail += own;
    c->used += own;
    return 0;
}

int cache_shift(struct cache *c, llama_seq_id id, int32_t keep, int32_t drop)
{
    struct cache_sequence *s = &c->sequences[id];
    if (c->options.whole || (c->options.memory && !llama_memory_can_shift(c->options.memory)))
        return VX11_EUNSUPPORTED;
    const int rc = tail_reclaim(c, s, keep);
    if (rc != 0)
        return rc;
    (void)memory_remove(c, s, keep, keep + drop);
    if (c->options.memory)
        llama_memory_seq_add(c->options.memory, id, keep + drop, -1, -drop);
    s->tail -= drop;
    c->used -= drop;
    s->moved = true;
    return 0;
}

static void whole_close(struct cache *c, struct cache_sequence *s, const llama_token *tokens, int32_t n)
{
    struct cache_node *leaf = n > 0 && n == s->tail ? tree_add(c, &c->root, tokens, n) : NULL;
    end_remove(c, s);
    if (!leaf) {
        c->used -= s->tail;
        sequence_free(c, s);
        return;
    }
    s->tail = 0;
    s->state = SEQUENCE_KEPT;
    end_add(c, s, leaf);
    tree_touch(c, leaf);
}

void cache_close(struct cache *c, llama_seq_id id, const llama_token *tokens, int32_t n)
{
    if (id < 0)
        return;
    struct cache_sequence *s = &c->sequences[id];
    if (c->options.whole) {
        whole_close(c, s, tokens, n);
        return;
    }
    if (n > 0)
        (void)cache_publish(c, id, tokens, n); /* else what the tree has of it is kept */
    struct cache_node *node = s->node;
    (void)cache_cut(c, id, node_end(node));
    end_remove(c, s);
    if (!node->parent || node->child || node->ends) {
        sequence_free(c, s);
    } else {
        s->state = SEQUENCE_KEPT;
        s->moved = false;
        end_add(c, s, node);
    }
    tree_touch(c, node);
}

int32_t cache_length(const struct cache *c, llama_seq_id id)
{
    return node_end(c->sequences[id].node) + c->sequences[id].tail;
}

/* ---- looking ---- */

int32_t cache_free(const struct cache *c)
{
    return c->options.cells - c->used;
}

int32_t cache_evictable(const struct cache *c)
{
    int32_t tails = 0;
    for (int32_t i = 0; i < c->options.sequences; i++)
        tails += c->sequences[i].tail;
    return c->used - tails - c->pinned;
}

int32_t cache_find(const struct cache *c, const llama_token *tokens, int32_t n, int32_t *kept)
{
    *kept = 0;
    if (c->options.whole) {
        const struct cache_sequence *s = whole_find(c, tokens, n);
        return s ? (*kept = s->node->count) : 0;
    }
    /* The walk changes nothing, but gives a node that may be changed. */
    const struct cache_walk w = tree_walk((struct cache_node *)(uintptr_t)&c->root, tokens, n);
    if (w.length == 0 || (c->options.window > 0 && !holder(c, w.node, w.length, NULL)))
        return 0;
    *kept = w.kept;
    return w.length;
}

/* Cells of a kept sequence that nobody else holds. */
static int32_t own_cells(const struct cache_sequence *s)
{
    int32_t own = 0;
    const struct cache_node *below = NULL;
    for (const struct cache_node *node = s->node; node->parent; below = node, node = node->parent) {
        const bool alone = below ? !node->ends && node->child == below && !below->sibling
                                 : !node->child && node->ends == s && !s->next;
        if (!alone)
            break;
        own += node->count;
    }
    return own;
}

size_t cache_branches(const struct cache *c, struct cache_branch *out, size_t most)
{
    size_t n = 0;
    for (int32_t i = 0; i < c->options.sequences; i++) {
        const struct cache_sequence *s = &c->sequences[i];
        if (s->state != SEQUENCE_KEPT)
            continue;
        size_t at = n;
        while (at > 0 && c->sequences[out[at - 1].id].node->used_at < s->node->used_at)
            at--;
        if (at >= most)
            continue;
        n += n < most;
        for (size_t j = n - 1; j > at; j--)
            out[j] = out[j - 1];
        out[at] = (struct cache_branch){.id = i, .length = node_end(s->node), .own = own_cells(s)};
    }
    return n;
}

void cache_drop(struct cache *c, llama_seq_id id, bool elsewhere)
{
    struct cache_sequence *s = &c->sequences[id];
    const struct cache_stats counted = c->counted;
    while (s->state == SEQUENCE_KEPT) /* its end moves up until others need what is left */
        leaf_evict(c, s);
    if (elsewhere)
        c->counted = counted;
}

void cache_branch_tokens(const struct cache *c, llama_seq_id id, llama_token *out)
{
    for (const struct cache_node *node = c->sequences[id].node; node->parent; node = node->parent)
        memcpy(out + node->start, node->tokens, (size_t)node->count * sizeof *out);
}

void cache_stats(const struct cache *c, struct cache_stats *out)
{
    *out = c->counted;
    out->cells_used = c->used;
    out->cells_total = c->options.cells;
    out->cells_evictable = cache_evictable(c);
    out->nodes = c->nodes;
    for (int32_t i = 0; i < c->options.sequences; i++)
        out->branches += c->sequences[i].state == SEQUENCE_KEPT;
}

/* ---- the audit ---- */

struct count {
    unsigned nodes, live;
    int32_t cells, pinned;
};

static const char *node_audit(const struct cache *c, const struct cache_node *node, struct count *out)
{
    struct count below = {0};
    unsigned kept = 0, ends = 0;
    for (const struct cache_node *child = node->child; child; child = child->sibling) {
        const char *fault = child->parent != node            ? "a child of another"
                            : child->start != node_end(node) ? "a gap between nodes"
                            : child->count <= 0              ? "an empty node"
                            : child->used_at > node->used_at ? "a child younger than its parent"
                                                             : node_audit(c, child, &below);
        if (fault)
            return fault;
        for (const struct cache_node *other = child->sibling; other && !c->options.whole;
             other = other->sibling) {
            if (other->tokens[0] == child->tokens[0])
                return "two children that begin alike";
        }
    }
    for (const struct cache_sequence *s = node->ends; s; s = s->next, ends++) {
        if (s->node != node || s->state == SEQUENCE_FREE)
            return "a sequence that ends elsewhere";
        below.live += s->state == SEQUENCE_LIVE;
        kept += s->state == SEQUENCE_KEPT;
    }
    if (kept > 0 && (kept + (node->child != NULL) > 1 || ends > 1))
        return "a kept sequence of which another holds all";
    if (node->parent && !node->child && ends == 0)
        return "a leaf that nobody holds";
    if (node->parent && node->live != below.live)
        return "a wrong count of live sequences";
    out->nodes += below.nodes + 1;
    out->live += below.live;
    out->cells += below.cells + node->count;
    out->pinned += below.pinned + (node->live > 0 ? node->count : 0);
    return NULL;
}

const char *cache_audit(const struct cache *c)
{
    struct count sum = {0};
    int32_t tails = 0;
    const char *fault = node_audit(c, &c->root, &sum);
    for (int32_t i = 0; i < c->options.sequences; i++) {
        const struct cache_sequence *s = &c->sequences[i];
        tails += s->tail;
        if (!fault && s->state != SEQUENCE_LIVE && s->tail != 0)
            fault = "a tail of a sequence that is not live";
        if (!fault && (s->state == SEQUENCE_FREE) != (s->node == NULL))
            fault = "a free sequence with a node";
        if (!fault && c->options.memory && s->state != SEQUENCE_FREE &&
            llama_memory_seq_pos_max(c->options.memory, i) != node_end(s->node) + s->tail - 1)
            fault = "libllama holds something else of a sequence";
        if (!fault && c->options.memory && s->state == SEQUENCE_FREE &&
            llama_memory_seq_pos_max(c->options.memory, i) != -1)
            fault = "libllama holds something of a free sequence";
    }
    if (!fault && sum.nodes != c->nodes + 1)
        fault = "a wrong count of nodes";
    if (!fault && sum.cells + tails != c->used)
        fault = "a wrong count of used cells";
    if (!fault && sum.pinned != c->pinned)
        fault = "a wrong count of pinned cells";
    return fault;
}
