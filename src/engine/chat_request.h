/* Chat request: from the body of a request to tokens, with what generation and reply need to know of it. */
#ifndef VX11_ENGINE_CHAT_REQUEST_H
#define VX11_ENGINE_CHAT_REQUEST_H

#include "engine/engine_internal.h"
#include "engine/marks.h"
#include "engine/messages.h"
#include "engine/prompt.h"
#include "engine/response_format.h"
#include "engine/tools.h"

struct chat_request {
    struct marks marks;
    struct history history;
    struct tools tools;
    struct response_format format;
    struct chat_input input;
    struct chat_prompt *chat; /* reply_create takes it over, else chat_request_free */
    struct tokens prompt;
    size_t keep;                /* tokens at the prompt's start that a shift must keep */
    struct context_shift shift; /* what was left out already */
};

/* Reads messages, tools and template variables, and makes the prompt: as it is, or (context_overflow shift)
 * without its oldest turns. out is zeroed first. False: see the fault. Either way chat_request_free. */
bool chat_request_read(const struct engine *e, const struct openai_chat_request *q, int64_t max_tokens,
                       struct arena *a, struct chat_request *out, struct request_fault *fault);
void chat_request_free(struct chat_request *r);
/* Puts grammar, triggers, stops and control tokens into the generation's options; memory from the arena. */
bool chat_request_options(const struct engine *e, const struct chat_request *r, struct arena *a,
                          struct generation_options *out, struct request_fault *fault);

#endif
