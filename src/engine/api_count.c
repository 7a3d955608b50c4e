/* POST /engine/count: the tokens of a chat's prompt, as its template makes it. */
#include "engine/engine_internal.h"

#include <string.h>

#include "engine/chat_request.h"

void api_count(struct request *r, void *module)
{
    struct engine *e = module;
    const struct openai_chat_request *q = request_body(r);
    struct request_fault fault = {0};
    struct chat_request chat = {.prompt = TOKENS_INIT};
    engine_request_arrived(e);
    if (!api_model_ready(e, r, q->model) || !api_model_generates(e, r, "model_cannot_chat"))
        return;
    bool read = chat_request_read(e, q, 1, request_arena(r), &chat, &fault);
    /* A prompt that is too long can be counted all the same. */
    bool counted = read || (chat.prompt.len > 0 && strcmp(fault.code, "context_length_exceeded") == 0);
    if (counted) {
        const struct engine_count_reply reply = {.input_tokens = (int64_t)chat.prompt.len};
        request_reply(r, 200, &engine_count_reply_message, &reply);
    } else {
        request_fail(r, 400, fault.code, fault.param[0] ? fault.param : NULL, "%s", fault.text);
    }
    chat_request_free(&chat);
}
