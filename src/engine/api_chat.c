/* POST /v1/chat/completions. */
#include "engine/engine_internal.h"

#include <string.h>

#include "engine/prompt.h"

/* What is coming with grammars and templates of tools is refused by name until then. */
static bool features_check(const struct openai_chat_request *q, struct request_fault *fault)
{
    const char *choice = yyjson_get_str(q->tool_choice);
    const bool no_tools = choice && strcmp(choice, "none") == 0;
    if (yyjson_arr_size(q->tools) > 0 && !no_tools) {
        fault_set(fault, "unsupported", "tools", "this engine cannot call tools yet: send tool_choice none");
        return false;
    }
    if (q->response_format && !yyjson_is_null(q->response_format)) {
        const char *type = yyjson_get_str(yyjson_obj_get(q->response_format, "type"));
        if (!type || strcmp(type, "text") != 0) {
            fault_set(fault, "unsupported", "response_format",
                      "only {\"type\": \"text\"} is supported yet, not %.64s", type ? type : "that");
            return false;
        }
    }
    if (q->has_top_logprobs && q->top_logprobs > 0 && !q->logprobs) {
        fault_set(fault, "invalid_value", "top_logprobs", "needs logprobs to be true");
        return false;
    }
    return true;
}

/* ---- messages ---- */

static const char *parts_join(yyjson_val *parts, size_t message, struct arena *a, struct request_fault *fault)
{
    struct buf text = BUF_INIT;
    const char *joined = NULL;
    char where[64];
    size_t i, max;
    yyjson_val *part;
    yyjson_arr_foreach(parts, i, max, part)
    {
        const char *type = yyjson_get_str(yyjson_obj_get(part, "type"));
        yyjson_val *content = yyjson_obj_get(part, "text");
        (void)snprintf(where, sizeof where, "/messages/%zu/content/%zu", message, i);
        if (!type || strcmp(type, "text") != 0) {
            fault_set(fault, "unsupported", where, "only text parts are supported, not %.64s",
                      type ? type : "that");
            goto out;
        }
        if (!yyjson_is_str(content)) {
            fault_set(fault, "invalid_value", where, "a text part needs a string \"text\"");
            goto out;
        }
        (void)buf_puts(&text, i > 0 ? "\n" : "");
        (void)buf_append(&text, yyjson_get_str(content), yyjson_get_len(content));
    }
    joined = text.failed ? NULL : arena_strndup(a, text.data ? text.data : "", text.len);
    if (!joined)
        fault_set(fault, "out_of_memory", NULL, "out of memory");
out:
    buf_free(&text);
    return joined;
}

static bool message_read(const struct openai_chat_message *in, size_t index, struct arena *a,
                         struct template_message *out, struct request_fault *fault)
{
    char where[64];
    (void)snprintf(where, sizeof where, "/messages/%zu/content", index);
    if (in->role == OPENAI_ROLE_TOOL || in->role == OPENAI_ROLE_FUNCTION ||
        yyjson_arr_size(in->tool_calls) > 0) {
        fault_set(fault, "unsupported", where,
                  "this engine cannot read calls of tools and their results yet");
        return false;
    }
    out->role = in->role == OPENAI_ROLE_DEVELOPER ? "system" : openai_role_names[in->role];
    if (yyjson_is_str(in->content))
        out->content = yyjson_get_str(in->content);
    else if (yyjson_is_arr(in->content))
        out->content = parts_join(in->content, index, a, fault);
    else if (in->role == OPENAI_ROLE_ASSISTANT && (!in->content || yyjson_is_null(in->content)))
        out->content = "";
    else
        fault_set(fault, "invalid_value", where, "must be a string or an array of parts");
    return fault->code == NULL;
}

static bool messages_tokenize(const struct engine *e, const struct openai_chat_request *q, struct arena *a,
                              struct tokens *out, struct request_fault *fault)
{
    struct error err = {0};
    struct template_message *messages = arena_array(a, q->messages_count, sizeof *messages);
    if (!messages) {
        fault_set(fault, "out_of_memory", NULL, "out of memory");
        return false;
    }
    memset(messages, 0, q->messages_count * sizeof *messages);
    for (size_t i = 0; i < q->messages_count; i++) {
        if (!message_read(&q->messages[i], i, a, &messages[i], fault))
            return false;
    }
    if (!request_text_fits(e->model, prompt_bytes(messages, q->messages_count), fault))
        return false;
    const int rc = prompt_chat(e->model, messages, q->messages_count, out, &err);
    if (rc == VX11_EUNSUPPORTED)
        fault_set(fault, "no_chat_template", NULL, "%s", err.text);
    else if (rc != 0)
        fault_set(fault, "prompt_failed", "messages", "%s", err.text);
    else if (out->len == 0)
        fault_set(fault, "invalid_value", "messages", "the prompt has no tokens");
    return fault->code == NULL;
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

void api_chat_completions(struct request *r, void *module)
{
    struct engine *e = module;
    const struct openai_chat_request *q = request_body(r);
    struct arena *a = request_arena(r);
    struct request_fault fault = {0};
    struct generation_options o;
    struct tokens prompt = TOKENS_INIT;
    if (!api_model_ready(e, r, q->model) || !api_model_generates(e, r, "model_cannot_chat"))
        return;
    const struct request_options options = options_of(q);
    if (features_check(q, &fault) && request_options_read(e, &options, a, &o, &fault) &&
        messages_tokenize(e, q, a, &prompt, &fault))
        (void)request_fits(e->model, prompt.len, o.max_tokens, &fault);
    if (fault.code) {
        request_fail(r, 400, fault.code, fault.param[0] ? fault.param : NULL, "%s", fault.text);
        goto out;
    }
    o.prompt = prompt.data;
    o.prompt_count = prompt.len;
    o.logprobs = q->logprobs;
    o.top_logprobs = q->has_top_logprobs ? (size_t)q->top_logprobs : 0;
    o.whole = !q->stream;
    o.request_id = request_id(r);
    const struct reply_options ro = {.chat = true,
                                     .stream = q->stream,
                                     .include_usage = q->stream_options && q->stream_options->include_usage,
                                     .logprobs = q->logprobs,
                                     .parts = 1,
                                     .choices = o.choices};
    struct reply *reply = reply_create(e, r, &ro);
    if (reply)
        (void)reply_start(reply, 0, &o, NULL);
out:
    tokens_free(&prompt);
}
