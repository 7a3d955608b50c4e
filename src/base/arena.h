/* Arena: memory that lives exactly as long as one piece of work (a request, a parsed file).
 *
 *   arena ── chunk 4k ── chunk 8k ── chunk 16k …   bump allocation, freed all at once
 *
 * Not thread-safe; one owner at a time. */
#ifndef VX11_BASE_ARENA_H
#define VX11_BASE_ARENA_H

#include <stddef.h>
#include <stdarg.h>

struct arena;

/* limit_bytes: most the arena may ever hold (0: no limit). Returns NULL without memory. The caller owns it:
 * arena_destroy. */
struct arena *arena_create(size_t limit_bytes);
void arena_destroy(struct arena *a); /* NULL is fine */
void arena_reset(struct arena *a);   /* forgets everything, keeps the first chunk */

/* 16-byte aligned; NULL when out of memory or past the limit. arena_zalloc zeroes. arena_array checks
 * n*size. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_zalloc(struct arena *a, size_t size);
void *arena_array(struct arena *a, size_t n, size_t size);

/* Copies, always NUL-terminated. NULL when out of memory (or s is NULL). */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));

/* Grows an earlier allocation in place when it was the last one, else copies. old may be NULL. */
void *arena_realloc(struct arena *a, void *old, size_t old_size, size_t new_size);

size_t arena_used(const struct arena *a); /* bytes handed out */

#endif
