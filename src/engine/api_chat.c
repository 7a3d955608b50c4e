/* POST /v1/chat/completions. */
#include "engine/engine_internal.h"

#include <stdio.h>
#include <string.h>

#include "engine/chat_request.h"

static bool features_check(const struct openai_chat_request *q, struct request_fault *fault)
{
    if (q->has_top_logprobs && q->top_logprobs > 0 && !q->logprobs) {
        fault_set(fault, "invalid_value", "top_logprobs", "needs logprobs to be true");
        return false;
    }
    return true;
}

/* ---- the request ---- */

static struct request_options options_of(const struct openai_chat_request *q)
{
    return (struct request_options){
        .temperature = q->has_temperature ? &q->temperature : NULL,
        .top_p = q->has_top_p ? &q->top_p : NULL,
        .min_p = q->has_min_p ? &q->min_p : NULL,
        .top_k = q->has_top_k ? &q->top_k : NULL,
        .presence_penalty = q->has_presence_penalty ? &q->presence_penalty : NULL,
        .frequency_penalty = q->has_frequency_penalty ? &q->frequency_penalty : NULL,
        .repeat_penalty = q->has_repeat_penalty ? &q->repeat_penalty : NULL,
        .repeat_last_n = q->has_repeat_last_n ? &q->repeat_last_n : NULL,
        .seed = q->has_seed ? &q->seed : NULL,
        .max_tokens = q->has_max_completion_tokens ? &q->max_completion_tokens
                      : q->has_max_tokens          ? &q->max_tokens
                                                   : NULL,
        .ignore_end = q->has_ignore_eos && q->ignore_eos,
        .choices = q->n,
        .stop = q->stop,
        .logit_bias = q->logit_bias,
    };
}

static void shift_header(struct request *r, const struct context_shift *shift)
{
    char text[64];
    (void)snprintf(text, sizeof text, "messages=%zu; tokens=%zu", shift->messages, shift->tokens);
    (void)request_reply_header(r, "x-vx11-context-shift", text);
}

static void chat_answer(struct engine *e, struct request *r, const struct openai_chat_request *q,
                        struct chat_request *chat, struct generation_options *o)
{
    o->logprobs = q->logprobs;
    o->top_logprobs = q->has_top_logprobs ? (size_t)q->top_logprobs : 0;
    o->whole = !q->stream;
    o->request_id = request_id(r);
    if (chat->shift.messages > 0)
        shift_header(r, &chat->shift);
    const struct reply_options ro = {.chat = true,
                                     .stream = q->stream,
                                     .include_usage = q->stream_options && q->stream_options->include_usage,
                                     .logprobs = q->logprobs,
                                     .parts = 1,
                                     .choices = o->choices,
                                     .format = chat->chat,
                                     .shift = chat->shift};
    chat->chat = NULL; /* the reply's, whatever comes */
    struct reply *reply = reply_create(e, r, &ro);
    if (reply)
        (void)reply_start(reply, 0, o, NULL);
}

void api_chat_completions(struct request *r, void *module)
{
    struct engine *e = module;
    const struct openai_chat_request *q = request_body(r);
    struct arena *a = request_arena(r);
    struct request_fault fault = {0};
    struct generation_options o;
    struct chat_request chat = {.prompt = TOKENS_INIT};
    engine_request_arrived(e);
    if (!api_model_ready(e, r, q->model) || !api_model_generates(e, r, "model_cannot_chat"))
        return;
    const struct request_options options = options_of(q);
    if (features_check(q, &fault) && request_options_read(e, &options, a, &o, &fault) &&
        request_priority(r, &o.priority, &fault) && chat_request_read(e, q, o.max_tokens, a, &chat, &fault) &&
        chat_request_options(e, &chat, a, &o, &fault))
        chat_answer(e, r, q, &chat, &o);
    else
        request_fail(r, 400, fault.code, fault.param[0] ? fault.param : NULL, "%s", fault.text);
    chat_request_free(&chat);
}
