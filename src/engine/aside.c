/* An array of conversations, each with its tokens and libllama's state of its sequence. There are tens of
 * them at most, so they are searched one after the other. */
#include "engine/aside.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/proc.h"
#include "engine/scheduler_internal.h"

enum {
    KEPT_MOST = 512, /* kept cells that may stay */
    WORTH = 64,      /* tokens: a gain of fewer is not worth the copying */
};
static const uint64_t BYTES_MOST = UINT64_C(2) << 30;

struct held {
    llama_token *tokens;
    int32_t count;
    uint8_t *state;
    size_t size;
    uint64_t used; /* a count that grows */
};

struct aside {
    struct held *list;
    size_t count, capacity;
    uint64_t bytes, most, clock;
};

/* At most a quarter of the memory that is free now. */
struct aside *aside_create(const struct model *m)
{
    struct proc_memory memory;
    if (!m->can_trim || llama_model_n_swa(m->llama) > 0 || proc_memory(&memory) != 0)
        return NULL;
    struct aside *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->most = memory.available_bytes / 4 < BYTES_MOST ? memory.available_bytes / 4 : BYTES_MOST;
    return a;
}

/* The analyzer does not see that the last one takes the place of the one that goes. */
// NOLINTBEGIN(clang-analyzer-unix.Malloc)
static void held_remove(struct aside *a, size_t i)
{
    struct held *h = &a->list[i];
    a->bytes -= h->size;
    free(h->tokens);
    free(h->state);
    *h = a->list[--a->count];
}
// NOLINTEND(clang-analyzer-unix.Malloc)

void aside_destroy(struct aside *a)
{
    if (!a)
        return;
    while (a->count > 0)
        held_remove(a, a->count - 1);
    free(a->list);
    free(a);
}

void aside_count(const struct aside *a, size_t *branches, uint64_t *bytes)
{
    *branches = a ? a->count : 0;
    *bytes = a ? a->bytes : 0;
}

/* ---- out of the cells ---- */

static int32_t common(const struct held *h, const llama_token *tokens, int32_t n)
{
    int32_t i = 0;
    while (i < n && i < h->count && h->tokens[i] == tokens[i])
        i++;
    return i;
}

/* Frees the least recently used until so many more bytes fit. False: they never will. */
static bool bytes_make(struct aside *a, uint64_t size)
{
    if (size > a->most)
        return false;
    while (a->bytes + size > a->most) {
        size_t oldest = 0;
        for (size_t i = 1; i < a->count; i++)
            oldest = a->list[i].used < a->list[oldest].used ? i : oldest;
        held_remove(a, oldest);
    }
    return true;
}

/* Takes over tokens and state. */
static bool held_add(struct aside *a, struct held *h)
{
    if (a->count == a->capacity) {
        const size_t capacity = a->capacity ? a->capacity * 2 : 16;
        struct held *list = realloc(a->list, capacity * sizeof *list);
        if (!list)
            return false;
        a->list = list;
        a->capacity = capacity;
    }
    for (size_t i = a->count; i-- > 0;) { /* what this one goes on from */
        if (a->list[i].count <= h->count && common(&a->list[i], h->tokens, h->count) == a->list[i].count)
            held_remove(a, i);
    }
    h->used = ++a->clock;
    a->list[a->count++] = *h;
    a->bytes += h->size;
    return true;
}

static bool branch_hold(struct scheduler *s, const struct cache_branch *b)
{
    struct llama_context *context = s->model->context;
    struct held h = {.count = b->length, .size = llama_state_seq_get_size(context, b->id)};
    if (h.size == 0 || !bytes_make(s->aside, h.size))
        return false;
    h.tokens = malloc((size_t)h.count * sizeof *h.tokens);
    h.state = malloc(h.size);
    if (h.tokens && h.state) {
        cache_branch_tokens(s->cache, b->id, h.tokens);
        if (llama_state_seq_get_data(context, h.state, h.size, b->id) == h.size && held_add(s->aside, &h))
            return true;
    }
    free(h.tokens);
    free(h.state);
    return false;
}

void aside_clear(struct scheduler *s)
{
    if (!s->aside || cache_evictable(s->cache) <= KEPT_MOST)
        return;
    const size_t most = (size_t)s->model->sequences;
    struct cache_branch *list = calloc(most, sizeof *list);
    size_t n = list ? cache_branches(s->cache, list, most) : 0;
    while (n > 0 && cache_evictable(s->cache) > KEPT_MOST) {
        const struct cache_branch *b = &list[--n];
        const bool small = b->own < WORTH; /* sooner read anew than copied with all that it shares */
        if (!small && !branch_hold(s, b))
            continue;
        log_debug("aside", small ? "a conversation was given up" : "a conversation was moved aside",
                  LOG_I("tokens", b->length), LOG_I("cells", b->own));
        cache_drop(s->cache, b->id, !small);
    }
    free(list);
}

/* ---- and back ---- */

/* Into cells that are free. */
static bool held_return(struct scheduler *s, const struct held *h)
{
    int32_t nothing;
    const llama_seq_id id = cache_open(s->cache, NULL, 0, &nothing);
    if (id < 0)
        return false;
    model_log_quiet(true);
    // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as in held_remove
    const size_t read = llama_state_seq_set_data(s->model->context, h->state, h->size, id);
    model_log_quiet(false);
    if (read != h->size) {
        (void)llama_memory_seq_rm(llama_get_memory(s->model->context), id, -1, -1);
        cache_close(s->cache, id, NULL, 0);
        return false;
    }
    cache_push(s->cache, id, h->count);
    cache_close(s->cache, id, h->tokens, h->count);
    return true;
}

void aside_read(struct scheduler *s, const llama_token *tokens, int32_t n)
{
    struct aside *a = s->aside;
    size_t best = 0;
    int32_t match = 0, kept;
    for (size_t i = 0; a && i < a->count; i++) {
        const int32_t shared = common(&a->list[i], tokens, n);
        if (shared > match || (shared == match && shared > 0 && a->list[i].count < a->list[best].count)) {
            match = shared;
            best = i;
        }
    }
    if (match < WORTH || match - cache_find(s->cache, tokens, n, &kept) < WORTH)
        return;
    if (!cache_room(s->cache, a->list[best].count))
        return;
    if (held_return(s, &a->list[best]))
        log_debug("aside", "a conversation was brought back", LOG_I("tokens", a->list[best].count));
    held_remove(a, best);
}

size_t aside_return(struct scheduler *s)
{
    struct aside *a = s->aside;
    size_t returned = 0;
    while (a && a->count > 0) {
        size_t last = 0;
        for (size_t i = 1; i < a->count; i++)
            last = a->list[i].used > a->list[last].used ? i : last;
        if (a->list[last].count > cache_free(s->cache))
            break;
        returned += held_return(s, &a->list[last]);
        held_remove(a, last);
    }
    return returned;
}
