/* The bench's own HTTP client, so that what measures VX11 is no part of VX11: requests are bytes prepared
 * beforehand (by bench/lib), and only what a measurement needs is read of the answers. Each call that fails
 * leaves a sentence on stderr. */
#ifndef VX11_BENCH_COMMON_HTTP_H
#define VX11_BENCH_COMMON_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* ---- answers, piece by piece ---- */

enum { REPLY_HEAD_MAX = 8192, REPLY_LINE_MAX = 65536 };

struct reply {
    /* Each piece of the body, without its chunks' frames; may be NULL. */
    void (*on_body)(void *ctx, const char *data, size_t len);
    void *ctx;
    int status;  /* 0 until the headers are in */
    char id[64]; /* X-Request-Id, "" when there was none */
    bool done;
    /* inner state */
    char head[REPLY_HEAD_MAX];
    size_t head_len;
    enum { REPLY_HEAD, REPLY_LENGTH, REPLY_CHUNK_SIZE, REPLY_CHUNK, REPLY_CHUNK_END, REPLY_TRAILER } state;
    uint64_t left;    /* of the body or chunk */
    unsigned matched; /* of the line break being read */
};

void reply_start(struct reply *r, void (*on_body)(void *ctx, const char *data, size_t len), void *ctx);
/* Bytes as they came. 0 or -1: this is no HTTP/1.1 answer, or more than one. r->done tells the end. */
int reply_feed(struct reply *r, const char *data, size_t len);

/* ---- a body's lines ---- */

struct lines {
    void (*on_line)(void *ctx, char *line, size_t len); /* NUL-terminated, without its line break */
    void *ctx;
    struct buf held;
};

void lines_feed(struct lines *l, const char *data, size_t len);

/* ---- connections ---- */

/* "HOST:PORT" with a numeric IPv4 address, or "/path/of/a/socket". Blocking. The descriptor, or -1. */
int dial(const char *address);
int send_all(int fd, const char *data, size_t len);
/* Sends, then reads until the reply is done. 0 or -1. */
int exchange(int fd, const char *request, size_t len, struct reply *r);
/* The whole file, which the caller owns: 0 or -1. */
int request_read(const char *path, struct buf *out);

#endif
