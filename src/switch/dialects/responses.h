/* Responses: OpenAI's responses API, the part that keeps nothing, as a dialect of its chat. See translate.h.
 */
#ifndef VX11_SWITCH_DIALECTS_RESPONSES_H
#define VX11_SWITCH_DIALECTS_RESPONSES_H

#include "api/responses.h"
#include "switch/dialects/translate.h"

/* Request to chat. What has no place there is refused with its pointer:
 *   instructions                 a system message first
 *   message                      a message; its parts input_text, input_image (by URL or data), input_file
 * (data) reasoning, function_call     reasoning_content and tool_calls of the assistant's message they stand
 * beside function_call_output         a message of role tool; what is no text in it follows in a user's
 * message text.format, reasoning.effort, truncation auto      response_format, reasoning_effort,
 * context_overflow shift */
bool responses_request(struct arena *a, const struct responses_request *q, struct dialect_request *out,
                       struct dialect_fault *fault);

/* What a response says besides its output; strings and JSON are the request's or the arena's. 0 or
 * VX11_ENOMEM. */
int responses_echo(struct arena *a, const struct responses_request *q, struct responses_reply *out);

/* Chat's chunks to events, and to the response that they make. */
struct responses_output; /* an item, as far as it has come */
struct responses_stream {
    struct dialect_sink sink; /* event NULL: nothing is sent, only the response counts */
    struct responses_reply reply;
    char id[40], model[256], finish[32];
    struct responses_output *items;
    size_t count, cap;
    int64_t sequence;
    bool started;
    struct responses_usage usage;
    struct responses_input_details in;
    struct responses_output_details out;
};
/* echo from responses_echo. */
void responses_stream_init(struct responses_stream *s, const struct dialect_sink *sink, const char *model,
                           const struct responses_reply *echo);
void responses_stream_free(struct responses_stream *s);
/* 0, VX11_ECORRUPT (the chunk makes no sense), VX11_ENOMEM, VX11_ETOO_LARGE, or the sink's error. */
int responses_stream_chunk(struct responses_stream *s, struct arena *a, const struct switch_upstream *u);
/* The good end: what is open is closed, then response.completed or .incomplete. */
int responses_stream_end(struct responses_stream *s);
/* The bad one: response.failed. */
int responses_stream_fail(struct responses_stream *s, const char *code, const char *text);

/* Chat's whole reply to a response, appended to out. */
int responses_reply(struct arena *a, const struct switch_upstream *u, const char *model,
                    const struct responses_reply *echo, struct buf *out, struct error *err);

#endif
