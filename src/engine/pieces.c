/* Building the tree: the tokens sorted by their bytes, then one pass that opens and closes nodes. */
#include "engine/pieces.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "engine/tokenize.h"

enum { PIECE_LONGEST = 4096 };

struct sorted {
    const char *bytes;
    uint32_t len;
    llama_token token;
};

static int order(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;
    const int c = memcmp(x->bytes, y->bytes, x->len < y->len ? x->len : y->len);
    if (c != 0)
        return c;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return x->token < y->token ? -1 : x->token > y->token;
}

static bool is_text(const struct model *m, llama_token token)
{
    const enum llama_token_attr attr = llama_vocab_get_attr(m->vocab, token);
    return !llama_vocab_is_eog(m->vocab, token) &&
           !(attr & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN));
}

static int texts_read(struct pieces *p, const struct model *m)
{
    struct buf all = BUF_INIT;
    const size_t n = (size_t)m->vocabulary;
    p->start = calloc(n + 1, sizeof *p->start);
    p->same = malloc(n * sizeof *p->same);
    p->visible = calloc(n, sizeof *p->visible);
    p->ends = calloc(n, sizeof *p->ends);
    if (!p->start || !p->same || !p->visible || !p->ends)
        return VX11_ENOMEM;
    for (size_t t = 0; t < n; t++) {
        const llama_token token = (llama_token)t;
        p->start[t] = (uint32_t)all.len;
        if (token_append_text(m, token, true, &all) != 0 || all.len > UINT32_MAX) {
            buf_free(&all);
            return VX11_ENOMEM;
        }
        const size_t len = all.len - p->start[t];
        p->same[t] = -1;
        p->visible[t] = len > 0 && len <= PIECE_LONGEST && is_text(m, token);
        if (llama_vocab_is_eog(m->vocab, token))
            p->ends[p->end_count++] = token;
    }
    p->start[n] = (uint32_t)all.len;
    p->bytes = buf_detach(&all, NULL);
    return p->bytes ? 0 : VX11_ENOMEM;
}

static uint32_t common(const struct sorted *a, const struct sorted *b)
{
    uint32_t n = 0;
    while (n < a->len && n < b->len && a->bytes[n] == b->bytes[n])
        n++;
    return n;
}

/* Nodes of the sorted texts; open[d]: the node that is open at depth d. */
static void tree_fill(struct pieces *p, const struct sorted *s, size_t n, uint32_t *open)
{
    uint32_t depth = 0, count = 0;
    int32_t last = -1; /* of the tokens that share the text before */
    for (size_t i = 0; i < n; i++) {
        const uint32_t shared = i > 0 ? common(&s[i - 1], &s[i]) : 0;
        if (i > 0 && shared == s[i].len && shared == s[i - 1].len) {
            p->same[last] = s[i].token;
            last = s[i].token;
            continue;
        }
        while (depth > shared)
            p->nodes[open[depth--]].skip = count;
        while (depth < s[i].len) {
            const uint8_t byte = (uint8_t)s[i].bytes[depth++];
            open[depth] = count;
            p->nodes[count++] = (struct piece_node){.token = -1, .depth = (uint16_t)depth, .byte = byte};
        }
        p->nodes[count - 1].token = last = s[i].token;
    }
    while (depth > 0)
        p->nodes[open[depth--]].skip = count;
    p->node_count = count;
}

static int tree_build(struct pieces *p)
{
    const size_t vocabulary = (size_t)p->m->vocabulary;
    struct sorted *sorted = malloc((vocabulary ? vocabulary : 1) * sizeof *sorted);
    uint32_t *open = NULL;
    size_t n = 0, most = 0;
    int rc = sorted ? 0 : VX11_ENOMEM;
    for (size_t t = 0; rc == 0 && t < vocabulary; t++) {
        if (!p->visible[t])
            continue;
        const uint32_t len = p->start[t + 1] - p->start[t];
        sorted[n++] = (struct sorted){p->bytes + p->start[t], len, (llama_token)t};
        p->longest = len > p->longest ? len : p->longest;
    }
    if (rc == 0 && n > 1)
        qsort(sorted, n, sizeof *sorted, order);
    for (size_t i = 0; rc == 0 && i < n; i++)
        most += sorted[i].len - (i > 0 ? common(&sorted[i - 1], &sorted[i]) : 0);
    if (rc == 0) {
        p->nodes = malloc((most ? most : 1) * sizeof *p->nodes);
        open = malloc((p->longest + 1) * sizeof *open);
        rc = p->nodes && open ? 0 : VX11_ENOMEM;
    }
    if (rc == 0)
        tree_fill(p, sorted, n, open);
    free(open);
    free(sorted);
    return rc;
}

struct pieces *pieces_create(const struct model *m)
{
    struct pieces *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->m = m;
    if (texts_read(p, m) != 0 || tree_build(p) != 0) {
        pieces_destroy(p);
        return NULL;
    }
    return p;
}

void pieces_destroy(struct pieces *p)
{
    if (!p)
        return;
    free(p->bytes);
    free(p->start);
    free(p->same);
    free(p->visible);
    free(p->ends);
    free(p->nodes);
    free(p);
}
