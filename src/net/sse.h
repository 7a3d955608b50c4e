/* SSE: incremental reader of text/event-stream (WHATWG HTML, section 9.2.6), for any cut of the bytes. */
#ifndef VX11_NET_SSE_H
#define VX11_NET_SSE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct sse_event {
    const char *event; /* "message" when not given; NUL-terminated */
    const char *id;    /* last event id, "" when none */
    const char *data;  /* lines joined with \n; NUL-terminated; len without the NUL */
    size_t data_len;
};

struct sse_parser {
    struct buf line, data, event, id;
    size_t max_event; /* bytes of one event; past it sse_feed fails */
    int64_t retry_ms; /* last "retry:" value, -1: none */
    unsigned char flags;
};

void sse_init(struct sse_parser *p, size_t max_event); /* 0: 16 MiB */
void sse_free(struct sse_parser *p);
/* Calls fn for each complete event, its strings valid UTF-8 (malformed pieces replaced); fn returns 0 to go
 * on, anything else stops (the rest of the bytes is dropped) and is returned. 0, VX11_ETOO_LARGE, VX11_ENOMEM
 * or fn's value. */
int sse_feed(struct sse_parser *p, const char *data, size_t len,
             int (*fn)(void *ctx, const struct sse_event *e), void *ctx);
/* Bytes of an unfinished event when the stream ended: 0 means it ended cleanly. */
size_t sse_pending(const struct sse_parser *p);

#endif
