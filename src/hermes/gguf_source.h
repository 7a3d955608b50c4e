/* Gguf source: the bytes of a file or of memory, read forwards, where asking past the end is an error that
 * says how much is missing. Private to the GGUF reader. */
#ifndef VX11_HERMES_GGUF_SOURCE_H
#define VX11_HERMES_GGUF_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct gguf_source {
    int fd;              /* -1: memory */
    const uint8_t *data; /* memory: the first `len` of `size` bytes; file: the window */
    size_t len;
    uint64_t base;    /* offset of data[0] */
    uint64_t size;    /* of the whole file */
    uint64_t at;      /* next byte to be read */
    uint8_t *window;  /* owned; files only */
    const char *what; /* what is being read, for errors: "the value of" */
    char subject[80]; /* which: "key 3 (general.name)" */
    struct error *err;
};

int gguf_source_file(struct gguf_source *s, int fd, struct error *err);
void gguf_source_memory(struct gguf_source *s, const void *data, size_t len, uint64_t size,
                        struct error *err);
void gguf_source_close(struct gguf_source *s);

/* Says what is read next, for errors. */
void gguf_source_about(struct gguf_source *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sets the error "at byte N, SUBJECT: sentence" and returns code. */
int gguf_source_fail(struct gguf_source *s, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Each 0 or VX11_E… with the error set. */
int gguf_source_need(struct gguf_source *s, uint64_t n); /* n more bytes exist */
int gguf_source_read(struct gguf_source *s, void *out, size_t n);
int gguf_source_skip(struct gguf_source *s, uint64_t n);
int gguf_source_u32(struct gguf_source *s, uint32_t *out);
int gguf_source_u64(struct gguf_source *s, uint64_t *out);
/* An unsigned little-endian number of 1, 2, 4 or 8 bytes. */
int gguf_source_uint(struct gguf_source *s, unsigned bytes, uint64_t *out);

#endif
