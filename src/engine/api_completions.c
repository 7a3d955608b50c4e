/* POST /v1/completions: one or more prompts, each text or tokens. */
#include "engine/engine_internal.h"

#include <string.h>

#include "base/arena.h"
#include "engine/response_format.h"

enum { PROMPTS_MOST = 64 };

struct prompts {
    struct tokens tokens[PROMPTS_MOST];
    const char *echo[PROMPTS_MOST]; /* NULL: none */
    size_t count;
};

static void prompts_free(struct prompts *p)
{
    for (size_t i = 0; i < p->count; i++)
        tokens_free(&p->tokens[i]);
}

static bool prompt_text(const struct model *m, yyjson_val *text, struct tokens *out,
                        struct request_fault *fault)
{
    struct error err = {0};
    const char *start = yyjson_get_str(text);
    const size_t len = yyjson_get_len(text);
    if (!request_text_fits(m, len, fault))
        return false;
    if (tokenize(m, start, len, true, true, out, &err) != 0) {
        fault_set(fault, "prompt_failed", "prompt", "%s", err.text);
        return false;
    }
    return true;
}

static bool prompt_tokens(const struct model *m, yyjson_val *list, struct tokens *out,
                          struct request_fault *fault)
{
    size_t i, max;
    yyjson_val *value;
    yyjson_arr_foreach(list, i, max, value)
    {
        if (!yyjson_is_int(value) || !token_valid(m, yyjson_get_sint(value))) {
            fault_set(fault, "invalid_value", "prompt", "token %zu is no token id: they go from 0 to %d", i,
                      (int)m->vocabulary - 1);
            return false;
        }
        const llama_token token = (llama_token)yyjson_get_sint(value);
        if (tokens_append(out, &token, 1) != 0) {
            fault_set(fault, "out_of_memory", NULL, "out of memory");
            return false;
        }
    }
    return true;
}

static bool echo_text(const struct model *m, yyjson_val *value, struct arena *a, struct prompts *out,
                      size_t at, struct request_fault *fault)
{
    struct buf text = BUF_INIT;
    if (yyjson_is_str(value)) {
        out->echo[at] = yyjson_get_str(value);
        return true;
    }
    struct error err = {0};
    if (detokenize(m, out->tokens[at].data, out->tokens[at].len, true, &text, &err) == 0)
        out->echo[at] = arena_strndup(a, text.data ? text.data : "", text.len);
    buf_free(&text);
    if (!out->echo[at])
        fault_set(fault, "prompt_failed", "prompt", "%s", err.code ? err.text : "out of memory");
    return out->echo[at] != NULL;
}

static bool prompt_add(const struct engine *e, yyjson_val *value, bool echo, struct arena *a,
                       struct prompts *out, struct request_fault *fault)
{
    const struct model *m = e->model;
    if (out->count == PROMPTS_MOST) {
        fault_set(fault, "invalid_value", "prompt", "at most %d prompts", PROMPTS_MOST);
        return false;
    }
    const size_t at = out->count++;
    bool ok = false;
    if (yyjson_is_str(value))
        ok = prompt_text(m, value, &out->tokens[at], fault);
    else if (yyjson_is_arr(value))
        ok = prompt_tokens(m, value, &out->tokens[at], fault);
    else
        fault_set(fault, "invalid_value", "prompt", "must be text, token ids, or an array of those");
    if (ok && out->tokens[at].len == 0) {
        fault_set(fault, "invalid_value", "prompt", "the prompt has no tokens");
        return false;
    }
    return ok && (!echo || echo_text(m, value, a, out, at, fault));
}

static bool prompts_read(const struct engine *e, const struct openai_completion_request *q, struct arena *a,
                         struct prompts *out, struct request_fault *fault)
{
    yyjson_val *first = yyjson_arr_get_first(q->prompt);
    if (!yyjson_is_arr(q->prompt) || yyjson_is_int(first))
        return prompt_add(e, q->prompt, q->echo, a, out, fault);
    if (!first) {
        fault_set(fault, "invalid_value", "prompt", "must not be empty");
        return false;
    }
    size_t i, max;
    yyjson_val *value;
    yyjson_arr_foreach(q->prompt, i, max, value)
    {
        if (!prompt_add(e, value, q->echo, a, out, fault))
            return false;
    }
    return true;
}

static bool features_check(const struct openai_completion_request *q, struct request_fault *fault)
{
    if (q->suffix && *q->suffix)
        fault_set(fault, "unsupported", "suffix", "this engine cannot fill in the middle");
    else if (q->has_best_of && q->best_of != q->n)
        fault_set(fault, "unsupported", "best_of",
                  "this engine returns every answer that it generates: leave it out");
    else if (q->echo && q->has_logprobs)
        fault_set(fault, "unsupported", "logprobs",
                  "this engine has no log probabilities of an echoed prompt");
    else if (q->has_max_tokens && q->max_tokens == 0)
        fault_set(fault, "invalid_value", "max_tokens", "must be at least 1");
    return fault->code == NULL;
}

static struct request_options options_of(const struct openai_completion_request *q)
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
        .max_tokens = q->has_max_tokens ? &q->max_tokens : NULL,
        .ignore_end = q->has_ignore_eos && q->ignore_eos,
        .choices = q->n,
        .stop = q->stop,
        .logit_bias = q->logit_bias,
    };
}

static void prompts_answer(struct engine *e, struct request *r, const struct openai_completion_request *q,
                           struct generation_options *o, const struct prompts *prompts)
{
    const struct reply_options ro = {.stream = q->stream,
                                     .include_usage = q->stream_options && q->stream_options->include_usage,
                                     .logprobs = q->has_logprobs,
                                     .parts = prompts->count,
                                     .choices = o->choices};
    o->logprobs = q->has_logprobs;
    o->top_logprobs = q->has_logprobs ? (size_t)q->logprobs : 0;
    o->whole = !q->stream;
    o->request_id = request_id(r);
    struct reply *reply = reply_create(e, r, &ro);
    for (size_t i = 0; reply && i < prompts->count; i++) {
        o->prompt = prompts->tokens[i].data;
        o->prompt_count = prompts->tokens[i].len;
        if (!reply_start(reply, i, o, prompts->echo[i]))
            return;
    }
}

void api_completions(struct request *r, void *module)
{
    struct engine *e = module;
    const struct openai_completion_request *q = request_body(r);
    struct arena *a = request_arena(r);
    struct request_fault fault = {0};
    struct generation_options o;
    struct prompts prompts = {0};
    engine_request_arrived(e);
    if (!api_model_ready(e, r, q->model) || !api_model_generates(e, r, "model_cannot_complete"))
        return;
    const struct request_options options = options_of(q);
    struct response_format format;
    bool ok = features_check(q, &fault) && request_options_read(e, &options, a, &o, &fault) &&
              request_priority(r, &o.priority, &fault) &&
              response_format_read(e->model, NULL, q->grammar, a, &format, &fault) &&
              prompts_read(e, q, a, &prompts, &fault);
    for (size_t i = 0; ok && i < prompts.count; i++)
        ok = request_fits(e->model, prompts.tokens[i].len, o.max_tokens, &fault);
    if (ok)
        o.sampling.grammar.gbnf = format.gbnf;
    if (ok)
        prompts_answer(e, r, q, &o, &prompts);
    else
        request_fail(r, 400, fault.code, fault.param[0] ? fault.param : NULL, "%s", fault.text);
    prompts_free(&prompts);
}
