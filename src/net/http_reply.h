/* An HTTP/1.x reply, taken apart as its bytes come (RFC 9112). It knows no sockets and copies no body: pieces
 * point into what was fed. Strict where a lenient reader could be led astray: what frames the message must be
 * well-formed; the rest of a header is anyone's. */
#ifndef VX11_NET_HTTP_REPLY_H
#define VX11_NET_HTTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

enum http_reply_event {
    HTTP_REPLY_MORE,    /* all was taken, more is needed */
    HTTP_REPLY_HEADERS, /* status, keep_alive and http_reply_header are there */
    HTTP_REPLY_BODY,    /* a piece of the body */
    HTTP_REPLY_END,     /* the reply is complete; what is left of the data is not its own */
    HTTP_REPLY_FAILED,  /* see the error: VX11_ECORRUPT, VX11_ETOO_LARGE, VX11_ENOMEM */
};

struct http_reply {
    struct buf head; /* status line and header lines, of the final reply only */
    int status;
    bool keep_alive; /* the connection can be used again once the reply has ended */
    uint64_t body_bytes;

    bool no_body; /* the request was a HEAD */
    int state;
    size_t head_max, head_seen; /* bytes, interim replies included */
    size_t line_at;             /* where the current line of head begins */
    uint64_t left;              /* bytes of the body, or of the chunk */
    unsigned digits;            /* of the chunk's size */
    size_t line_len;            /* of a chunk's extension or a trailer */
};

/* Before each reply; the buffer of the one before is kept. head_max: bytes of headers that are accepted. */
void http_reply_begin(struct http_reply *r, bool no_body, size_t head_max);
void http_reply_free(struct http_reply *r);
/* Takes from *data up to the next event and moves *data and *len past it. piece: set with HTTP_REPLY_BODY,
 * valid as long as the data. Call again until MORE, END or FAILED. */
enum http_reply_event http_reply_next(struct http_reply *r, const char **data, size_t *len,
                                      const char **piece, size_t *piece_len, struct error *err);
/* The peer has closed the connection. True when that ends the reply as it should (a body without a length).
 */
bool http_reply_closed(const struct http_reply *r);
bool http_reply_in_body(const struct http_reply *r); /* its headers are over */
/* The first header of that name, in any case of letters; NULL: absent. Valid until http_reply_begin. */
const char *http_reply_header(const struct http_reply *r, const char *name);

#endif
