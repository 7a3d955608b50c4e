/* Buf: a growable run of bytes, always followed by a NUL that `len` does not count: `data` is a C string. */
#ifndef VX11_BASE_BUF_H
#define VX11_BASE_BUF_H

#include <stddef.h>
#include <stdarg.h>
#include <stdbool.h>

struct buf {
    char *data; /* NULL while empty and never used */
    size_t len, cap;
    bool failed; /* an append ran out of memory: sticky, so that a chain of appends is checked once */
};

#define BUF_INIT                                                                                             \
    {                                                                                                        \
        NULL, 0, 0, false                                                                                    \
    }

void buf_free(struct buf *b);  /* releases, back to BUF_INIT */
void buf_clear(struct buf *b); /* len = 0, keeps the memory, clears failed */
/* 0 or VX11_ENOMEM. */
int buf_reserve(struct buf *b, size_t extra);
int buf_append(struct buf *b, const void *data, size_t len);
int buf_puts(struct buf *b, const char *s);
int buf_putc(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
/* Appends s as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
int buf_put_json_string(struct buf *b, const char *s, size_t len);
/* Removes the first n bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);
/* Hands the memory to the caller (free()); the buf is empty then. NULL when nothing was ever appended. */
char *buf_detach(struct buf *b, size_t *len);

#endif
