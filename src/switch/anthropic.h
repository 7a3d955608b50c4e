/* Anthropic: requests of OpenAI's chat put to a server that speaks Anthropic's messages, and its answers
 * back.
 *
 *   chat request ──anthropic_request.c──> POST BASE/messages
 *   chat reply   <──anthropic_reply.c───  a message          chat chunks <──anthropic_stream.c── its events
 *
 * All of it is pure: JSON in, JSON out. What neither API has a word for travels in fields that others use
 * too: thinking_blocks (signed thoughts, in messages and deltas), stop_reason of a choice (the stop sequence
 * met), cache_creation_tokens beside cached_tokens. */
#ifndef VX11_SWITCH_ANTHROPIC_H
#define VX11_SWITCH_ANTHROPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "contract/contract.h"
#include "switch/anthropic_internal.h"

#define ANTHROPIC_VERSION    "2023-06-01" /* header anthropic-version; the key goes into x-api-key */
#define ANTHROPIC_MAX_TOKENS 8192         /* when neither the request nor the configuration says */

/* The request, with that model and, if it has no limit, that one (0: ANTHROPIC_MAX_TOKENS). count: for
 * /messages/count_tokens, without what only answers need. VX11_EUNSUPPORTED with a sentence when it asks for
 * what cannot be said there (n > 1, log probabilities, json_object …): another candidate is to be tried;
 * VX11_EINVALID when it makes no sense anywhere. *out is the arena's. */
int anthropic_request(struct arena *a, const char *body, size_t len, const char *model, int64_t max_tokens,
                      bool count, const char **out, size_t *out_len, struct error *err);

/* A message to a chat reply, in the arena. VX11_ECORRUPT when it is none. */
int anthropic_reply(struct arena *a, const char *body, size_t len, const char **out, size_t *out_len,
                    struct error *err);

/* 529, overloaded, is 503 to others; the rest means the same everywhere. */
int anthropic_status(int status);

/* Events to chunks. */
struct anthropic_stream {
    int (*chunk)(void *ctx, const char *data, size_t len); /* also "[DONE]"; not 0 ends it */
    void *ctx;
    int64_t created; /* s since the epoch */
    struct anthropic_tokens tokens;
    char id[80], model[128];
    int64_t calls; /* begun so far */
    bool in_call, has_arguments, ended;
};
void anthropic_stream_init(struct anthropic_stream *s, int (*chunk)(void *ctx, const char *data, size_t len),
                           void *ctx);
/* One event's data. 0, VX11_ECORRUPT, VX11_ENOMEM or chunk's value. An error event becomes a chunk with
 * "error". */
int anthropic_stream_event(struct anthropic_stream *s, struct arena *scratch, const char *data, size_t len);

#endif
