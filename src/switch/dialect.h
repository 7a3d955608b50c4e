/* Dialect: how an answer, which comes in OpenAI's words, is told to a caller who speaks another API. A
 * dialect is a table of functions; its state of one request hangs at dispatch.dialect_data and lives in the
 * request's arena. */
#ifndef VX11_SWITCH_DIALECT_H
#define VX11_SWITCH_DIALECT_H

#include "switch/switch_internal.h"

struct dialect {
    const char *name;
    /* A streamed answer: one chunk as OpenAI has it (text, also parsed; both live during the call). Writes
     * events of its own with request_stream_event. */
    void (*chunk)(struct dispatch *d, const char *data, size_t len, const struct switch_upstream *u);
    /* The stream's good end, in place of "[DONE]". */
    void (*end)(struct dispatch *d);
    /* The stream breaks midway: the last event. */
    void (*broken)(struct dispatch *d, const char *code, const char *text);
    /* A whole reply, turned into the caller's (application/json). 0; or an error, after which another
     * provider is asked: VX11_EUNSUPPORTED when it holds nothing that can be told. */
    int (*whole)(struct dispatch *d, const char *body, size_t len, const struct switch_upstream *u,
                 struct buf *out, struct error *err);
    /* Frees what is not in the arena; once, at the request's end. */
    void (*free)(struct dispatch *d);
};

#endif
