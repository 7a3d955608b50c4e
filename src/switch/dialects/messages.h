/* Messages: Anthropic's messages API as a dialect of OpenAI's chat. See translate.h. */
#ifndef VX11_SWITCH_DIALECTS_MESSAGES_H
#define VX11_SWITCH_DIALECTS_MESSAGES_H

#include "api/anthropic.h"
#include "switch/dialects/translate.h"

/* Request to chat. What has no place there is refused with its pointer:
 *   system                       a system message first; its blocks, like all that are only text, joined by
 * newlines tool_result                  a message of role tool, before the rest of its turn; is_error puts
 * "Error: " before its text; its images and documents follow in the user's message tool_use, thinking
 * tool_calls; reasoning_content and thinking_blocks (with signatures) image, document              image_url;
 * a PDF as a file part, a text as text output_config.format         response_format json_schema; effort and
 * thinking: reasoning_effort cache_control and citations of earlier answers say nothing to other providers
 * and are left out. */
bool messages_request(struct arena *a, const struct anthropic_messages_request *q,
                      struct dialect_request *out, struct dialect_fault *fault);
/* The same for what is to be counted. */
bool messages_count_request(struct arena *a, const struct anthropic_count_request *q,
                            struct dialect_request *out, struct dialect_fault *fault);

/* Chat's reply to a message, appended to out. VX11_ECORRUPT with a sentence when a call's arguments are no
 * JSON object. */
int messages_reply(struct arena *a, const struct switch_upstream *u, const char *model, struct buf *out,
                   struct error *err);

/* Chat's chunks to events. */
struct messages_stream {
    struct dialect_sink sink;
    char model[256];
    bool started, called, refused;
    int open;       /* type of the block that is open, -1: none */
    int64_t blocks; /* begun so far */
    int64_t call;   /* chat's index of the call that is open */
    char finish[32], sequence[256];
    bool has_sequence;
    struct anthropic_usage usage;
};
void messages_stream_init(struct messages_stream *s, const struct dialect_sink *sink, const char *model);
/* 0, VX11_ECORRUPT (the chunk makes no sense), or the sink's error. Strings live in the arena for the call
 * only. */
int messages_stream_chunk(struct messages_stream *s, struct arena *a, const struct switch_upstream *u);
/* The good end: message_delta and message_stop. */
int messages_stream_end(struct messages_stream *s);

/* What both share. */
void messages_usage(const struct switch_upstream_usage *u, struct anthropic_usage *out);
enum anthropic_stop_reason messages_stop_reason(const char *finish, bool called, bool refused, bool sequence);

#endif
