/* The index of lookup drafting: chains of equal hashes, as LZ77 compressors keep them. */
#include "engine/draft_lookup.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum {
    CHAIN_MOST = 16, /* places that one search looks at */
    CAP_FIRST = 256,
};

void lookup_free(struct lookup *l)
{
    free(l->head);
    free(l->prev);
    *l = (struct lookup){0};
}

void lookup_reset(struct lookup *l)
{
    if (l->known > 0)
        memset(l->head, 0, l->buckets * sizeof *l->head);
    l->known = 0;
}

static size_t bucket(const struct lookup *l, const llama_token *run)
{
    uint64_t h = 0;
    for (size_t i = 0; i < LOOKUP_GRAM; i++)
        h = (h ^ (uint32_t)run[i]) * 0x9e3779b97f4a7c15u;
    return (size_t)(h >> 32) & (l->buckets - 1);
}

static void file(struct lookup *l, const llama_token *tokens, size_t end)
{
    if (end + 1 < LOOKUP_GRAM)
        return;
    const size_t b = bucket(l, tokens + end + 1 - LOOKUP_GRAM);
    l->prev[end] = l->head[b];
    l->head[b] = (uint32_t)end + 1;
}

/* Doubles, so that what is filed again costs a constant for each token that came. */
static int grow(struct lookup *l, const llama_token *tokens, size_t n)
{
    size_t cap = l->cap ? l->cap : CAP_FIRST;
    while (cap < n)
        cap *= 2;
    if (cap == l->cap)
        return 0;
    uint32_t *head = calloc(cap, sizeof *head);
    uint32_t *prev = realloc(l->prev, cap * sizeof *prev);
    if (prev)
        l->prev = prev;
    if (!head || !prev) {
        free(head);
        return VX11_ENOMEM;
    }
    free(l->head);
    l->head = head;
    l->buckets = l->cap = cap;
    for (size_t i = 0; i < l->known; i++)
        file(l, tokens, i);
    return 0;
}

int lookup_add(struct lookup *l, const llama_token *tokens, size_t n)
{
    if (n >= UINT32_MAX || grow(l, tokens, n) != 0)
        return VX11_ENOMEM;
    for (; l->known < n; l->known++)
        file(l, tokens, l->known);
    return 0;
}

static size_t agreement(const llama_token *tokens, size_t then, size_t now)
{
    size_t n = 0;
    while (n < LOOKUP_MATCH && n <= then && tokens[then - n] == tokens[now - n])
        n++;
    return n;
}

size_t lookup_find(const struct lookup *l, const llama_token *tokens, size_t n, size_t *match)
{
    size_t best = 0;
    *match = 0;
    if (n < LOOKUP_GRAM + 1 || l->known != n)
        return 0;
    uint32_t at = l->prev[n - 1];
    for (int i = 0; i < CHAIN_MOST && at != 0 && *match < LOOKUP_MATCH; i++) {
        const size_t then = at - 1;
        const size_t agreed = agreement(tokens, then, n - 1);
        if (agreed >= LOOKUP_GRAM && agreed > *match) {
            *match = agreed;
            best = then + 1;
        }
        at = l->prev[then];
    }
    return best;
}
