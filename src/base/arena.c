/* Arena: bump allocation out of a list of chunks that double in size, freed all at once.
 *
 *   struct arena ── current ─> [16k, in use] ─> [8k, full] ─> [first 4k, part of the arena's own block]
 *
 * The first chunk lies in the same malloc block as the arena, so a small request costs one malloc and one
 * free. A request larger than the next chunk gets a chunk of its own size. The limit counts the bytes handed
 * out (rounded up to the alignment), and chunks are cut to what the limit still allows, so that the memory
 * held stays close to it. Under AddressSanitizer all that is not handed out is poisoned, which makes overruns
 * inside the arena visible. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#ifndef __clang__
/* gcc takes the poisoning of memory that nobody has written yet for a read of it. */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#define POISON(p, n)   __asan_poison_memory_region(p, n)
#define UNPOISON(p, n) __asan_unpoison_memory_region(p, n)
#else
#define POISON(p, n)   ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif

enum { ALIGN = 16, FIRST_CHUNK = 4096, LARGEST_CHUNK = 1 << 20 };

struct chunk {
    struct chunk *older;
    size_t cap, used;
    alignas(ALIGN) unsigned char data[];
};

struct arena {
    struct chunk *current;
    struct chunk *first;
    size_t limit; /* SIZE_MAX: none */
    size_t used;  /* bytes handed out, rounded */
    void *last;   /* the newest allocation, which arena_realloc may grow in place */
};

static size_t round_up(size_t n)
{
    return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

#define ARENA_HEAD ((sizeof(struct arena) + ALIGN - 1) / ALIGN * ALIGN)

struct arena *arena_create(size_t limit_bytes)
{
    unsigned char *block = malloc(ARENA_HEAD + sizeof(struct chunk) + FIRST_CHUNK);
    if (!block)
        return NULL;
    struct arena *a = (struct arena *)(void *)block;
    struct chunk *first = (struct chunk *)(void *)(block + ARENA_HEAD);
    *first = (struct chunk){.older = NULL, .cap = FIRST_CHUNK, .used = 0};
    *a = (struct arena){.current = first, .first = first, .limit = limit_bytes ? limit_bytes : SIZE_MAX};
    POISON(first->data, first->cap);
    return a;
}

void arena_reset(struct arena *a)
{
    while (a->current != a->first) {
        struct chunk *older = a->current->older;
        UNPOISON(a->current->data, a->current->cap);
        free(a->current);
        a->current = older;
    }
    a->first->used = 0;
    a->used = 0;
    a->last = NULL;
    POISON(a->first->data, a->first->cap);
}

void arena_destroy(struct arena *a)
{
    if (!a)
        return;
    arena_reset(a);
    UNPOISON(a->first->data, a->first->cap);
    free(a);
}

/* A new current chunk with room for `need` (already rounded, within the limit). */
static struct chunk *chunk_add(struct arena *a, size_t need)
{
    size_t cap = a->current->cap < LARGEST_CHUNK ? a->current->cap * 2 : LARGEST_CHUNK;
    if (cap > a->limit - a->used)
        cap = a->limit - a->used;
    cap = cap < need ? need : cap;
    if (cap > SIZE_MAX - sizeof(struct chunk))
        return NULL;
    struct chunk *c = malloc(sizeof *c + cap);
    if (!c)
        return NULL;
    *c = (struct chunk){.older = a->current, .cap = cap, .used = 0};
    POISON(c->data, c->cap);
    a->current = c;
    return c;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX - 2 * ALIGN)
        return NULL;
    size_t need = round_up(size ? size : 1);
    if (need > a->limit - a->used)
        return NULL;
    struct chunk *c = a->current;
    if (need > c->cap - c->used) {
        c = chunk_add(a, need);
        if (!c)
            return NULL;
    }
    void *p = c->data + c->used;
    c->used += need;
    a->used += need;
    a->last = p;
    UNPOISON(p, size);
    return p;
}

void *arena_zalloc(struct arena *a, size_t size)
{
    void *p = arena_alloc(a, size);
    if (p && size)
        memset(p, 0, size);
    return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total))
        return NULL;
    return arena_alloc(a, total);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    if (!s || len == SIZE_MAX)
        return NULL;
    char *copy = arena_alloc(a, len + 1);
    if (!copy)
        return NULL;
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    char *out = len < 0 ? NULL : arena_alloc(a, (size_t)len + 1);
    if (out)
        vsnprintf(out, (size_t)len + 1, fmt, again);
    va_end(again);
    return out;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *out = arena_vprintf(a, fmt, args);
    va_end(args);
    return out;
}

/* Grows or shrinks the newest allocation where it stands. */
static int resize_last(struct arena *a, size_t old_size, size_t new_size)
{
    struct chunk *c = a->current;
    size_t old_need = round_up(old_size ? old_size : 1), new_need = round_up(new_size ? new_size : 1);
    if (new_need > old_need) {
        size_t more = new_need - old_need;
        if (more > a->limit - a->used || more > c->cap - c->used)
            return -1;
    }
    c->used = c->used - old_need + new_need;
    a->used = a->used - old_need + new_need;
    POISON(a->last, old_need);
    UNPOISON(a->last, new_size);
    return 0;
}

void *arena_realloc(struct arena *a, void *old, size_t old_size, size_t new_size)
{
    if (!old)
        return arena_alloc(a, new_size);
    if (new_size > SIZE_MAX - 2 * ALIGN)
        return NULL;
    if (old == a->last && resize_last(a, old_size, new_size) == 0)
        return old;
    if (new_size <= old_size)
        return old;
    void *p = arena_alloc(a, new_size);
    if (!p)
        return NULL;
    memcpy(p, old, old_size);
    POISON(old, round_up(old_size ? old_size : 1));
    return p;
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}
