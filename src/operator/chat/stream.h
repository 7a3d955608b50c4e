/* Stream: an answer as it comes in, in OpenAI's chunks, for any cut of the bytes.
 *
 *   bytes ──sse──> chunk ──> text, reasoning, calls of tools, finish_reason, usage, error
 *
 * Knows nothing of sockets or sessions. */
#ifndef VX11_OPERATOR_CHAT_STREAM_H
#define VX11_OPERATOR_CHAT_STREAM_H

#include "api/operator.h"
#include "base/buf.h"
#include "net/sse.h"

enum { STREAM_CALLS = 16 }; /* of tools, in one answer */

struct stream_call {
    struct buf id, name, arguments;
};

struct chat_stream {
    struct sse_parser sse;
    size_t most; /* bytes of text and reasoning together */
    struct buf text, reasoning;
    struct stream_call calls[STREAM_CALLS];
    size_t call_count;
    char finish_reason[64]; /* "": not told */
    bool has_usage;
    struct operator_usage usage;
    bool done;             /* [DONE] was read */
    bool failed;           /* an error event was read */
    char error_code[64];   /* of it, "" when it has none */
    char error_text[1024]; /* its words */
};

void chat_stream_init(struct chat_stream *s, size_t most);
void chat_stream_free(struct chat_stream *s);
/* 0; VX11_ECORRUPT: this is no such stream; VX11_ETOO_LARGE: longer than `most`, or more calls than are
 * taken; VX11_ENOMEM. What came before an error is kept. */
int chat_stream_feed(struct chat_stream *s, const char *data, size_t len, struct error *err);
/* Whether anything of an answer has come. */
bool chat_stream_begun(const struct chat_stream *s);

/* Why this one, out of the header X-VX11-Decision: what stands behind "reason="; NULL: nothing does. */
const char *chat_decision_reason(const char *header);

#endif
