/* Translate: what the dialects share. A dialect turns its request into OpenAI's chat, and chat's replies and
 * chunks back into its own:
 *
 *   messages_request.c   Anthropic's messages ──> chat        responses_request.c   OpenAI's responses ──>
 * chat messages_reply.c     chat's reply  ──> message            responses_reply.c     chat's chunks and
 * reply ──> messages_stream.c    chat's chunks ──> its events                               events and
 * response
 *
 * All of it is pure: JSON in, JSON out, nothing of the network. Memory is the arena's. */
#ifndef VX11_SWITCH_DIALECTS_TRANSLATE_H
#define VX11_SWITCH_DIALECTS_TRANSLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "api/switch.h"
#include "base/arena.h"
#include "base/buf.h"
#include "contract/contract.h"

/* Why a request cannot be translated: 400. */
struct dialect_fault {
    const char *code;
    char param[192]; /* JSON pointer */
    char text[320];
};

/* Returns false. */
bool dialect_fault_set(struct dialect_fault *f, const char *code, const char *param, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
#define DIALECT_UNSUPPORTED "unsupported"
#define DIALECT_INVALID     "invalid_value"

/* A request in OpenAI's shape. */
struct dialect_request {
    const char *body;
    size_t len;
    const char *ignored; /* names of the fields that were not heeded, "a, b"; NULL: none */
};

/* What a translation works with. */
struct translation {
    struct arena *a;
    yyjson_mut_doc *doc;
    yyjson_mut_val *root, *messages;
    struct dialect_fault *fault;
};

bool translation_begin(struct translation *t, struct arena *a, struct dialect_fault *fault);
/* Each returns false with the fault set; the pointer is at, then "/key" unless key is NULL. */
bool translation_no_memory(struct translation *t);
bool translation_unsupported(struct translation *t, const char *at, const char *key, const char *text);
bool translation_invalid(struct translation *t, const char *at, const char *key, const char *text);
/* A string that must be there; NULL with the fault set. */
const char *translation_text_of(struct translation *t, yyjson_val *object, const char *key, const char *at);
bool translation_is_type(yyjson_val *value, const char *type); /* its "type" */
/* Writes the document. */
bool translation_end(struct translation *t, struct dialect_request *out);
/* One more field that is not heeded, when it is there. */
void translation_ignore(struct translation *t, struct dialect_request *out, const char *name, bool given);

/* Appends {"type":"text","text":…} to parts. */
bool part_text(struct translation *t, yyjson_mut_val *parts, const char *text, size_t len);
bool part_image(struct translation *t, yyjson_mut_val *parts, const char *url);
bool part_file(struct translation *t, yyjson_mut_val *parts, const char *name, const char *data_url);
/* The content that parts make: one string when all are text (joined by newlines), else the array. NULL: no
 * memory. */
yyjson_mut_val *parts_content(struct translation *t, yyjson_mut_val *parts);
/* Appends a message of that role; content NULL: null. */
yyjson_mut_val *message_add(struct translation *t, const char *role, yyjson_mut_val *content);
/* Appends a call to the message's tool_calls. */
bool call_add(struct translation *t, yyjson_mut_val *message, const char *id, const char *name,
              const char *arguments, size_t len);

/* Events go out through this: 0, or a negative error that ends the translation. */
struct dialect_sink {
    int (*event)(void *ctx, const char *name, const char *data, size_t len);
    void *ctx;
};

/* Text of a reply's or a chunk's content: a string, or the text parts of an array, joined. "" when there is
 * none; NULL: no memory. */
const char *upstream_text(struct arena *a, yyjson_val *content);
/* Thoughts, under whatever name: reasoning_content, reasoning, or parts of the content. As above. */
const char *upstream_thoughts(struct arena *a, const struct switch_upstream_message *m);

/* PREFIX_ and a ULID in lower case. */
void dialect_id(const char *prefix, char out[40]);

#endif
