/* The event stream reader: however the stream is cut, the events are those of the stream in one piece. The
 * first bytes of the input seed the cuts, the rest is the stream. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "net/sse.h"

enum { MAX_EVENT = 256 };

static int write_down(void *ctx, const struct sse_event *e)
{
    struct buf *out = ctx;
    const char separator = '\x1f';
    if (e->data[e->data_len] != 0 || !utf8_valid(e->data, e->data_len) ||
        !utf8_valid(e->event, strlen(e->event)) || !utf8_valid(e->id, strlen(e->id)))
        abort();
    buf_puts(out, e->event);
    buf_append(out, &separator, 1);
    buf_puts(out, e->id);
    buf_append(out, &separator, 1);
    buf_append(out, e->data, e->data_len);
    buf_append(out, &separator, 1);
    return 0;
}

struct result {
    struct buf events;
    int rc;
    size_t pending;
    int64_t retry_ms;
};

/* cuts 0: in one piece. */
static struct result feed(const char *stream, size_t len, uint32_t cuts)
{
    struct result r = {.events = BUF_INIT};
    struct sse_parser p;
    sse_init(&p, MAX_EVENT);
    for (size_t at = 0; r.rc == 0 && at < len;) {
        size_t piece = len - at;
        if (cuts != 0) {
            cuts = cuts * 1664525u + 1013904223u; /* Numerical Recipes' generator */
            size_t want = (cuts >> 16) % 9;
            piece = want < piece ? want : piece;
        }
        /* A copy of exactly this size, so that a read past it is seen. */
        char *copy = malloc(piece ? piece : 1);
        if (copy == NULL)
            abort();
        memcpy(copy, stream + at, piece);
        r.rc = sse_feed(&p, copy, piece, write_down, &r.events);
        free(copy);
        at += piece;
        if (p.line.len > MAX_EVENT || p.data.len > 3 * MAX_EVENT)
            abort();
    }
    r.pending = sse_pending(&p);
    r.retry_ms = p.retry_ms;
    sse_free(&p);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t seed;
    if (size < sizeof seed)
        return 0;
    memcpy(&seed, data, sizeof seed);
    const char *stream = (const char *)data + sizeof seed;
    size_t len = size - sizeof seed;
    struct result whole = feed(stream, len, 0), cut = feed(stream, len, seed | 1);
    if (whole.rc != cut.rc || whole.events.len != cut.events.len ||
        (whole.events.len && memcmp(whole.events.data, cut.events.data, whole.events.len) != 0))
        abort();
    if (whole.rc == 0 && (whole.pending != cut.pending || whole.retry_ms != cut.retry_ms))
        abort();
    buf_free(&whole.events);
    buf_free(&cut.events);
    return 0;
}
