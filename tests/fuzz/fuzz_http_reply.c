/* The HTTP reply reader: however a reply is cut, what comes of it is the same, and no more body comes out
 * than went in. The first byte says whether the request was a HEAD, the next two seed the cuts. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_reply.h"

enum { HEAD_MAX = 512 };

struct result {
    struct buf body;
    enum http_reply_event last;
    int status, code;
    bool keep, closed;
    size_t used;
};

/* cuts 0: in one piece. */
static struct result feed(const uint8_t *bytes, size_t len, bool head, uint32_t cuts)
{
    struct result r = {.body = BUF_INIT, .last = HTTP_REPLY_MORE};
    struct http_reply reply = {0};
    struct error err = {0};
    http_reply_begin(&reply, head, HEAD_MAX);
    while (r.used < len && r.last == HTTP_REPLY_MORE) {
        size_t n = len - r.used;
        if (cuts != 0) {
            cuts = cuts * 1664525u + 1013904223u; /* Numerical Recipes' generator */
            const size_t want = (cuts >> 16) % 9 + 1;
            n = want < n ? want : n;
        }
        char *copy = malloc(n); /* of exactly this size, so that a read past it is seen */
        if (copy == NULL)
            abort();
        memcpy(copy, bytes + r.used, n);
        const char *data = copy, *piece;
        size_t left = n, piece_len;
        do {
            r.last = http_reply_next(&reply, &data, &left, &piece, &piece_len, &err);
            if (r.last == HTTP_REPLY_BODY)
                buf_append(&r.body, piece, piece_len);
            if (r.last == HTTP_REPLY_HEADERS)
                (void)http_reply_header(&reply, "Content-Type");
        } while (r.last == HTTP_REPLY_BODY || r.last == HTTP_REPLY_HEADERS);
        if (r.last == HTTP_REPLY_MORE && left != 0)
            abort();
        r.used += n - left;
        free(copy);
    }
    r.status = reply.status;
    r.keep = reply.keep_alive;
    r.closed = http_reply_closed(&reply);
    r.code = err.code;
    if ((r.last == HTTP_REPLY_FAILED) != (err.code != 0) || reply.body_bytes != r.body.len ||
        r.body.len > len)
        abort();
    http_reply_free(&reply);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    const bool head = data[0] == 'H';
    const uint32_t cuts = 1u + data[1] + 256u * data[2];
    struct result whole = feed(data + 3, size - 3, head, 0), cut = feed(data + 3, size - 3, head, cuts);
    if (whole.last != cut.last) /* which of two reasons comes first depends on the cuts */
        abort();
    if (whole.last != HTTP_REPLY_FAILED &&
        (whole.status != cut.status || whole.keep != cut.keep || whole.closed != cut.closed ||
         whole.used != cut.used || whole.body.len != cut.body.len ||
         (whole.body.len > 0 && memcmp(whole.body.data, cut.body.data, whole.body.len) != 0)))
        abort();
    buf_free(&whole.body);
    buf_free(&cut.body);
    return 0;
}
