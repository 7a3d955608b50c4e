/* Answers that call tools or think: their text is read by the rules of the model's format, and what it means
 * is sent. Chats that need neither do not come here: their text is their content.
 *
 * A call's first delta has its id and name and no arguments, those that follow have pieces of them, as
 * OpenAI's clients expect it. */
#include "engine/reply_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/ulid.h"
#include "engine/chat_format.h"

bool reply_parsed(const struct reply *reply)
{
    return reply->options.format && !reply->options.format->plain;
}

void reply_answer_free(struct reply_answer *answer)
{
    chat_parser_destroy(answer->parser);
    for (size_t i = 0; i < answer->call_count; i++)
        buf_free(&answer->calls[i].arguments);
    free(answer->calls);
    buf_free(&answer->content);
    buf_free(&answer->thought);
    *answer = (struct reply_answer){.parser = NULL};
}

struct reading { /* context of the parser's callback */
    struct reply *reply;
    struct reply_choice *choice;
};

/* The call that the delta belongs to; a new one with its first. NULL without memory. */
static struct reply_call *call_of(struct reading *r, const struct chat_delta *d)
{
    struct reply_answer *answer = &r->choice->answer;
    struct arena *a = request_arena(r->reply->request);
    const size_t index = (size_t)d->call;
    if (index < answer->call_count)
        return &answer->calls[index];
    if (answer->call_count == answer->call_cap) {
        const size_t cap = answer->call_cap ? answer->call_cap * 2 : 4;
        struct reply_call *more = realloc(answer->calls, cap * sizeof *more);
        if (!more)
            return NULL;
        answer->calls = more;
        answer->call_cap = cap;
    }
    char ulid[ULID_LEN + 1];
    struct reply_call *call = &answer->calls[answer->call_count];
    *call = (struct reply_call){.id = d->call_id && *d->call_id ? arena_strdup(a, d->call_id)
                                                                : arena_printf(a, "call_%s", ulid_make(ulid)),
                                .name = arena_strdup(a, d->call_name ? d->call_name : "")};
    if (!call->id || !call->name)
        return NULL;
    answer->call_count++;
    return call;
}

/* ---- streams ---- */

static int call_send(struct reading *r, const struct chat_delta *d)
{
    const bool first = (size_t)d->call >= r->choice->answer.call_count;
    const struct reply_call *call = call_of(r, d);
    if (!call)
        return VX11_ENOMEM;
    struct openai_called_function_delta function = {.name = first ? call->name : NULL,
                                                    .arguments = d->arguments ? d->arguments : ""};
    const struct openai_tool_call_delta delta = {.index = d->call,
                                                 .id = first ? call->id : NULL,
                                                 .type = first ? "function" : NULL,
                                                 .function = &function};
    return chat_chunk_send(r->reply, &(struct chunk){.choice = r->choice, .call = &delta});
}

static int on_stream_delta(void *ctx, const struct chat_delta *d)
{
    struct reading *r = ctx;
    if (d->reasoning)
        (void)buf_puts(&r->choice->answer.thought, d->reasoning);
    if (d->call >= 0)
        return call_send(r, d);
    return chat_chunk_send(r->reply,
                           &(struct chunk){.choice = r->choice, .text = d->content, .thought = d->reasoning});
}

static int answer_feed(struct reading *r, const char *text, size_t len, chat_delta_fn fn)
{
    struct reply_answer *answer = &r->choice->answer;
    const enum finish finish = r->choice->finish;
    struct error err = {0};
    if (!answer->parser && !(answer->parser = chat_parser_create(r->reply->options.format)))
        return VX11_ENOMEM;
    const int rc = chat_parser_feed(answer->parser, text, len, finish != FINISH_NONE, finish == FINISH_STOP,
                                    fn, r, &err);
    if (rc != VX11_ESYNTAX)
        return rc;
    /* What could be read of it was given: there is nobody to blame but the model. */
    log_warn("reply", err.text, LOG_S("request", request_id(r->reply->request)));
    return 0;
}

int reply_answer_event(struct reply *reply, struct reply_choice *choice, const struct generation_event *event)
{
    struct reading r = {reply, choice};
    if (event->logprob_count > 0) {
        const int rc = chat_chunk_send(reply, &(struct chunk){.choice = choice,
                                                              .logprobs = event->logprobs,
                                                              .logprob_count = event->logprob_count});
        if (rc != 0)
            return rc;
    }
    return answer_feed(&r, event->text, event->len, on_stream_delta);
}

/* ---- whole replies ---- */

static int on_whole_delta(void *ctx, const struct chat_delta *d)
{
    struct reading *r = ctx;
    struct reply_answer *answer = &r->choice->answer;
    if (d->call >= 0) {
        struct reply_call *call = call_of(r, d);
        return call ? buf_puts(&call->arguments, d->arguments ? d->arguments : "") : VX11_ENOMEM;
    }
    if (d->reasoning && buf_puts(&answer->thought, d->reasoning) != 0)
        return VX11_ENOMEM;
    return d->content ? buf_puts(&answer->content, d->content) : 0;
}

static bool calls_fill(const struct reply_answer *answer, struct arena *a,
                       struct openai_reply_message *message)
{
    struct openai_tool_call *calls = arena_array(a, answer->call_count, sizeof *calls);
    struct openai_called_function *functions = arena_array(a, answer->call_count, sizeof *functions);
    if (!calls || !functions)
        return false;
    for (size_t i = 0; i < answer->call_count; i++) {
        const struct reply_call *call = &answer->calls[i];
        functions[i] = (struct openai_called_function){
            .name = call->name,
            .arguments = arena_strdup(a, call->arguments.data ? call->arguments.data : "")};
        calls[i] = (struct openai_tool_call){.id = call->id, .type = "function", .function = &functions[i]};
        if (!functions[i].arguments)
            return false;
    }
    message->tool_calls = calls;
    message->tool_calls_count = answer->call_count;
    return true;
}

bool reply_answer_whole(struct reply *reply, struct reply_choice *choice, struct arena *a,
                        struct openai_reply_message *message)
{
    struct reading r = {reply, choice};
    struct reply_answer *answer = &choice->answer;
    if (answer_feed(&r, choice->text.data, choice->text.len, on_whole_delta) != 0)
        return false;
    if (answer->call_count > 0 && !calls_fill(answer, a, message))
        return false;
    if (answer->thought.len > 0 && !(message->reasoning_content = arena_strdup(a, answer->thought.data)))
        return false;
    if (answer->content.len == 0 && answer->call_count > 0)
        return true; /* content: null */
    message->content = arena_strdup(a, answer->content.data ? answer->content.data : "");
    return message->content != NULL;
}

/* ---- usage ---- */

int64_t reply_thought_tokens(const struct reply *reply)
{
    struct tokens t = TOKENS_INIT;
    struct error err = {0};
    bool known = reply->options.format && reply->options.format->thinking;
    for (size_t i = 0; known && i < reply->options.parts * reply->options.choices; i++) {
        const struct buf *thought = &reply->choices[i].answer.thought;
        if (thought->failed || (thought->len > 0 && tokenize(reply->engine->model, thought->data,
                                                             thought->len, false, false, &t, &err) != 0))
            known = false;
    }
    const int64_t n = known ? (int64_t)t.len : -1;
    tokens_free(&t);
    return n;
}
