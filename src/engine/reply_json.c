/* The JSON of replies, through the contract's structs. What one chunk needs lies in the engine's scratch
 * arena, which is emptied for each: a stream of a hundred thousand tokens takes no more memory than one of
 * ten. */
#include "engine/reply_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/common.h"
#include "base/str.h"

/* ---- parts ---- */

static int finish_reason(const struct reply_choice *c)
{
    return c->finish == FINISH_LENGTH ? OPENAI_FINISH_REASON_LENGTH
           : c->answer.call_count > 0 ? OPENAI_FINISH_REASON_TOOL_CALLS
                                      : OPENAI_FINISH_REASON_STOP;
}

struct usage_parts {
    struct openai_usage usage;
    struct openai_prompt_tokens_details prompt;
    struct openai_completion_tokens_details completion;
    struct openai_context_shift shift;
    struct openai_timings timings;
};

/* Both count: what was left out of the prompt, and what the answer pushed out of the context. */
static void shift_fill(const struct reply *reply, struct usage_parts *out)
{
    const struct context_shift *shift = &reply->options.shift;
    const int64_t pushed = reply->usage.shifted_tokens;
    if (shift->messages == 0 && pushed == 0)
        return;
    out->shift = (struct openai_context_shift){.dropped_messages = (int64_t)shift->messages,
                                               .dropped_tokens = (int64_t)shift->tokens + pushed};
    out->usage.context_shift = &out->shift;
}

static void usage_fill(const struct reply *reply, struct usage_parts *out)
{
    const struct usage *u = &reply->usage;
    const int64_t thought = reply_thought_tokens(reply);
    out->prompt = (struct openai_prompt_tokens_details){.cached_tokens = u->cached_tokens,
                                                        .restored_tokens = u->restored_tokens};
    out->usage = (struct openai_usage){.prompt_tokens = u->prompt_tokens,
                                       .completion_tokens = u->completion_tokens,
                                       .total_tokens = u->prompt_tokens + u->completion_tokens,
                                       .prompt_tokens_details = &out->prompt};
    out->timings = (struct openai_timings){
        .queue_ms = u->queue_ms, .prompt_ms = u->prompt_ms, .decode_ms = u->decode_ms};
    if (u->completion_tokens > 1 && u->decode_ms > 0) {
        out->timings.has_tokens_per_second = true;
        out->timings.tokens_per_second = (double)(u->completion_tokens - 1) * 1000 / u->decode_ms;
    }
    out->timings.drafted_tokens = u->drafted_tokens;
    out->timings.accepted_tokens = u->accepted_tokens;
    if (thought >= 0 || u->drafted_tokens > 0) {
        out->completion = (struct openai_completion_tokens_details){
            .reasoning_tokens = thought >= 0 ? thought : 0,
            .accepted_prediction_tokens = u->accepted_tokens,
            .rejected_prediction_tokens = u->drafted_tokens - u->accepted_tokens};
        out->usage.completion_tokens_details = &out->completion;
    }
    shift_fill(reply, out);
}

/* ---- log-probabilities ---- */

static const char *token_text(const struct model *m, struct arena *a, llama_token token,
                              const unsigned char **bytes, size_t *len)
{
    struct buf text = BUF_INIT;
    if (token_append_text(m, token, true, &text) != 0)
        return NULL;
    char *copy = arena_strndup(a, text.data ? text.data : "", text.len);
    *bytes = (const unsigned char *)copy;
    *len = text.len;
    buf_free(&text);
    return copy;
}

static bool token_fill(const struct model *m, struct arena *a, const struct token_probability *p,
                       const char **text, double *logprob, int64_t **out, size_t *out_count)
{
    const unsigned char *bytes = NULL;
    size_t len = 0;
    *text = token_text(m, a, p->token, &bytes, &len);
    *out = arena_array(a, len + 1, sizeof **out);
    if (!*text || !*out)
        return false;
    for (size_t i = 0; i < len; i++)
        (*out)[i] = bytes[i];
    *out_count = len;
    *logprob = (double)p->logprob;
    return true;
}

static bool token_logprob_fill(const struct model *m, struct arena *a, const struct token_logprobs *in,
                               struct openai_token_logprob *out)
{
    *out = (struct openai_token_logprob){.top_logprobs_count = in->top_count};
    out->top_logprobs = arena_array(a, in->top_count + 1, sizeof *out->top_logprobs);
    if (!out->top_logprobs ||
        !token_fill(m, a, &in->chosen, &out->token, &out->logprob, &out->bytes, &out->bytes_count))
        return false;
    for (size_t i = 0; i < in->top_count; i++) {
        struct openai_top_logprob *top = &out->top_logprobs[i];
        if (!token_fill(m, a, &in->top[i], &top->token, &top->logprob, &top->bytes, &top->bytes_count))
            return false;
    }
    return true;
}

/* NULL without memory. */
static struct openai_logprobs *chat_logprobs(const struct reply *reply, struct arena *a,
                                             const struct token_logprobs *in, size_t n)
{
    struct openai_logprobs *out = arena_zalloc(a, sizeof *out);
    if (!out || !(out->content = arena_array(a, n + 1, sizeof *out->content)))
        return NULL;
    out->content_count = n;
    for (size_t i = 0; i < n; i++) {
        if (!token_logprob_fill(reply->engine->model, a, &in[i], &out->content[i]))
            return NULL;
    }
    return out;
}

/* A token's text as the key of an object: bytes that are no UTF-8 as OpenAI spells them, so that keys stay
 * distinct. */
static const char *token_key(const struct model *m, struct arena *a, llama_token token)
{
    const unsigned char *bytes;
    size_t len;
    const char *text = token_text(m, a, token, &bytes, &len);
    if (!text || (utf8_valid(text, len) && !memchr(text, 0, len)))
        return text;
    struct buf spelled = BUF_INIT;
    (void)buf_puts(&spelled, "bytes:");
    for (size_t i = 0; i < len; i++)
        (void)buf_printf(&spelled, "\\x%02x", bytes[i]);
    const char *copy = spelled.failed ? NULL : arena_strdup(a, spelled.data);
    buf_free(&spelled);
    return copy;
}

/* The older form: parallel arrays, two of them free JSON. NULL without memory. */
static struct openai_completion_logprobs *completion_logprobs(struct reply *reply,
                                                              struct reply_choice *choice, struct arena *a,
                                                              const struct token_logprobs *in, size_t n)
{
    const struct model *m = reply->engine->model;
    yyjson_alc allocator;
    contract_json_allocator(a, &allocator);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&allocator);
    struct openai_completion_logprobs *out = arena_zalloc(a, sizeof *out);
    if (!doc || !out)
        return NULL;
    yyjson_mut_val *chosen = yyjson_mut_arr(doc), *tops = yyjson_mut_arr(doc), *both = yyjson_mut_arr(doc);
    out->tokens = arena_array(a, n + 1, sizeof *out->tokens);
    out->text_offset = arena_array(a, n + 1, sizeof *out->text_offset);
    if (!out->tokens || !out->text_offset)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        const char *text = token_key(m, a, in[i].chosen.token);
        yyjson_mut_val *top = yyjson_mut_obj(doc);
        if (!text || !yyjson_mut_arr_add_real(doc, chosen, (double)in[i].chosen.logprob))
            return NULL;
        for (size_t j = 0; j < in[i].top_count; j++) {
            const char *key = token_key(m, a, in[i].top[j].token);
            if (!key)
                return NULL;
            (void)yyjson_mut_obj_put(top, yyjson_mut_str(doc, key),
                                     yyjson_mut_real(doc, (double)in[i].top[j].logprob));
        }
        yyjson_mut_arr_append(tops, top);
        out->tokens[i] = text;
        out->text_offset[i] = (int64_t)choice->characters;
        choice->characters += utf8_count(text, strlen(text));
    }
    out->tokens_count = out->text_offset_count = n;
    yyjson_mut_arr_append(both, chosen);
    yyjson_mut_arr_append(both, tops);
    yyjson_doc *fixed = yyjson_mut_val_imut_copy(both, &allocator);
    if (!fixed)
        return NULL;
    out->token_logprobs = yyjson_arr_get(yyjson_doc_get_root(fixed), 0);
    out->top_logprobs = yyjson_arr_get(yyjson_doc_get_root(fixed), 1);
    return out;
}

/* ---- streams ---- */

static int chunk_send(struct reply *reply, const struct contract_message *message, const void *chunk)
{
    struct request *r = reply->request;
    struct buf *out = &reply->engine->chunk;
    buf_clear(out);
    int rc = contract_serialize(message, chunk, out);
    if (rc == 0 && !request_stream_started(r))
        rc = request_stream_begin(r, 200, NULL);
    if (rc == 0)
        rc = request_stream_event(r, NULL, NULL, out->data, out->len);
    return rc;
}

int chat_chunk_send(struct reply *reply, const struct chunk *c)
{
    struct arena *a = reply->engine->scratch;
    struct usage_parts parts;
    struct openai_delta delta = {.has_role = c->with_role,
                                 .role = OPENAI_ROLE_ASSISTANT,
                                 .content = c->text,
                                 .reasoning_content = c->thought};
    struct openai_chunk_choice choice = {.delta = &delta, .has_finish_reason = c->with_finish};
    struct openai_chat_chunk chunk = {.id = reply->id,
                                      .object = "chat.completion.chunk",
                                      .created = reply->created,
                                      .model = reply->engine->model->name,
                                      .choices = &choice,
                                      .choices_count = c->choice ? 1 : 0};
    arena_reset(a);
    if (c->call) {
        delta.tool_calls = arena_array(a, 1, sizeof *delta.tool_calls);
        if (!delta.tool_calls)
            return VX11_ENOMEM;
        delta.tool_calls[0] = *c->call;
        delta.tool_calls_count = 1;
    }
    if (c->choice) {
        choice.index = c->choice->index;
        choice.finish_reason = finish_reason(c->choice);
        choice.stop_reason = c->with_finish ? c->choice->stop : NULL;
    }
    if (c->logprob_count > 0 && !(choice.logprobs = chat_logprobs(reply, a, c->logprobs, c->logprob_count)))
        return VX11_ENOMEM;
    if (c->with_usage || c->with_times)
        usage_fill(reply, &parts);
    chunk.usage = c->with_usage ? &parts.usage : NULL;
    chunk.vx11 = c->with_times ? &parts.timings : NULL;
    return chunk_send(reply, &openai_chat_chunk_message, &chunk);
}

static int completion_chunk_send(struct reply *reply, const struct chunk *c)
{
    struct arena *a = reply->engine->scratch;
    struct usage_parts parts;
    struct openai_completion_choice choice = {.text = c->text ? c->text : "",
                                              .has_finish_reason = c->with_finish};
    struct openai_completion_reply chunk = {.id = reply->id,
                                            .object = "text_completion",
                                            .created = reply->created,
                                            .model = reply->engine->model->name,
                                            .choices = &choice,
                                            .choices_count = c->choice ? 1 : 0};
    arena_reset(a);
    if (c->choice) {
        choice.index = c->choice->index;
        choice.finish_reason = finish_reason(c->choice);
    }
    if (c->logprob_count > 0 &&
        !(choice.logprobs = completion_logprobs(reply, c->choice, a, c->logprobs, c->logprob_count)))
        return VX11_ENOMEM;
    if (c->with_usage || c->with_times)
        usage_fill(reply, &parts);
    chunk.usage = c->with_usage ? &parts.usage : NULL;
    chunk.vx11 = c->with_times ? &parts.timings : NULL;
    return chunk_send(reply, &openai_completion_reply_message, &chunk);
}

static int any_chunk_send(struct reply *reply, const struct chunk *c)
{
    return reply->options.chat ? chat_chunk_send(reply, c) : completion_chunk_send(reply, c);
}

/* The first chunk of a choice: the role of a chat, the echo of a completion. */
static int choice_begin(struct reply *reply, const struct reply_part *part, struct reply_choice *choice)
{
    if (choice->begun)
        return 0;
    choice->begun = true;
    if (reply->options.chat)
        return any_chunk_send(
            reply,
            &(struct chunk){.choice = choice, .text = reply_parsed(reply) ? NULL : "", .with_role = true});
    if (!part->echo)
        return 0;
    choice->characters += utf8_count(part->echo, strlen(part->echo));
    return any_chunk_send(reply, &(struct chunk){.choice = choice, .text = part->echo});
}

int reply_stream_event(struct reply *reply, const struct reply_part *part, struct reply_choice *choice,
                       const struct generation_event *event)
{
    int rc = choice_begin(reply, part, choice);
    if (rc == 0 && reply_parsed(reply))
        rc = reply_answer_event(reply, choice, event);
    else if (rc == 0 && (event->len > 0 || event->logprob_count > 0))
        rc = any_chunk_send(reply, &(struct chunk){.choice = choice,
                                                   .text = event->text,
                                                   .logprobs = event->logprobs,
                                                   .logprob_count = event->logprob_count});
    if (rc != 0 || event->finish == FINISH_NONE)
        return rc;
    if (reply->unfinished == 0) {
        reply->held = choice;
        return 0;
    }
    return any_chunk_send(reply, &(struct chunk){.choice = choice, .with_finish = true});
}

void reply_stream_finish(struct reply *reply)
{
    static const char done[] = "[DONE]";
    const bool usage = reply->options.include_usage;
    int rc = 0;
    if (reply->held)
        rc = any_chunk_send(
            reply, &(struct chunk){.choice = reply->held, .with_finish = true, .with_times = !usage});
    if (rc == 0 && usage)
        rc = any_chunk_send(reply, &(struct chunk){.with_usage = true, .with_times = true});
    if (rc == 0)
        (void)request_stream_event(reply->request, NULL, NULL, done, sizeof done - 1);
}

void reply_stream_error(struct reply *reply)
{
    struct common_error_body body = {.message = reply->fault_text,
                                     .type =
                                         reply->fault_status < 500 ? "invalid_request_error" : "api_error",
                                     .code = reply->fault_code,
                                     .request_id = request_id(reply->request)};
    const struct common_error error = {.error = &body};
    (void)chunk_send(reply, &common_error_message, &error);
}

/* ---- whole replies ---- */

static void whole_fail(struct reply *reply)
{
    request_fail(reply->request, 500, "out_of_memory", NULL, "out of memory while answering");
}

void choices_free(struct reply *reply)
{
    for (size_t i = 0; i < reply->options.parts * reply->options.choices; i++) {
        buf_free(&reply->choices[i].text);
        free(reply->choices[i].logprobs);
        reply_answer_free(&reply->choices[i].answer);
    }
    chat_prompt_free(reply->options.format);
    reply->options.format = NULL;
}

/* A choice's text in the arena; NULL without memory. */
static const char *choice_text(struct reply_choice *choice, struct arena *a)
{
    return arena_strndup(a, choice->text.data ? choice->text.data : "", choice->text.len);
}

static bool chat_choice_fill(struct reply *reply, struct arena *a, struct reply_choice *in,
                             struct openai_chat_choice *out)
{
    struct openai_reply_message *message = arena_zalloc(a, sizeof *message);
    if (!message)
        return false;
    message->role = OPENAI_ROLE_ASSISTANT;
    if (reply_parsed(reply)) {
        if (!reply_answer_whole(reply, in, a, message))
            return false;
    } else if (!(message->content = choice_text(in, a))) {
        return false;
    }
    *out = (struct openai_chat_choice){.index = in->index,
                                       .message = message,
                                       .has_finish_reason = true,
                                       .finish_reason = finish_reason(in),
                                       .stop_reason = in->stop};
    if (reply->options.logprobs &&
        !(out->logprobs = chat_logprobs(reply, a, in->logprobs, in->logprob_count)))
        return false;
    return true;
}

static bool completion_choice_fill(struct reply *reply, struct arena *a, const struct reply_part *part,
                                   struct reply_choice *in, struct openai_completion_choice *out)
{
    *out = (struct openai_completion_choice){.text = choice_text(in, a),
                                             .index = in->index,
                                             .has_finish_reason = true,
                                             .finish_reason = finish_reason(in)};
    if (part->echo)
        in->characters = utf8_count(part->echo, strlen(part->echo));
    if (reply->options.logprobs &&
        !(out->logprobs = completion_logprobs(reply, in, a, in->logprobs, in->logprob_count)))
        return false;
    return out->text != NULL;
}

static bool chat_whole(struct reply *reply, size_t n, struct openai_chat_reply *out)
{
    struct arena *a = request_arena(reply->request);
    struct openai_chat_choice *choices = arena_array(a, n, sizeof *choices);
    for (size_t i = 0; i < n; i++) {
        if (!choices || !chat_choice_fill(reply, a, &reply->choices[i], &choices[i]))
            return false;
    }
    out->choices = choices;
    out->choices_count = n;
    return true;
}

static bool completion_whole(struct reply *reply, size_t n, struct openai_completion_reply *out)
{
    struct arena *a = request_arena(reply->request);
    struct openai_completion_choice *choices = arena_array(a, n, sizeof *choices);
    for (size_t i = 0; i < n; i++) {
        const struct reply_part *part = &reply->parts[i / reply->options.choices];
        if (!choices || !completion_choice_fill(reply, a, part, &reply->choices[i], &choices[i]))
            return false;
    }
    out->choices = choices;
    out->choices_count = n;
    return true;
}

void reply_whole(struct reply *reply)
{
    const size_t n = reply->options.parts * reply->options.choices;
    const char *model = reply->engine->model->name;
    struct usage_parts parts = {0};
    struct openai_chat_reply chat = {.id = reply->id,
                                     .object = "chat.completion",
                                     .created = reply->created,
                                     .model = model,
                                     .usage = &parts.usage,
                                     .vx11 = &parts.timings};
    struct openai_completion_reply completion = {.id = reply->id,
                                                 .object = "text_completion",
                                                 .created = reply->created,
                                                 .model = model,
                                                 .usage = &parts.usage,
                                                 .vx11 = &parts.timings};
    const bool is_chat = reply->options.chat;
    const bool ok = is_chat ? chat_whole(reply, n, &chat) : completion_whole(reply, n, &completion);
    usage_fill(reply, &parts); /* the thoughts are known now */
    choices_free(reply);
    if (!ok)
        whole_fail(reply);
    else if (is_chat)
        request_reply(reply->request, 200, &openai_chat_reply_message, &chat);
    else
        request_reply(reply->request, 200, &openai_completion_reply_message, &completion);
}
