/* Options of a request, checked one by one. The contract has checked types and bounds; what is left are the
 * free-form fields, what this engine cannot do, and whether it all fits the context. */
#include "engine/engine_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { STOP_LONGEST = 1024, BIAS_MOST = 4096 };

void fault_set(struct request_fault *f, const char *code, const char *param, const char *fmt, ...)
{
    va_list args;
    f->code = code;
    (void)snprintf(f->param, sizeof f->param, "%s", param ? param : "");
    va_start(args, fmt);
    (void)vsnprintf(f->text, sizeof f->text, fmt, args);
    va_end(args);
    f->text[utf8_valid_prefix(f->text, strlen(f->text))] = '\0';
}

/* ---- stop ---- */

static bool stop_add(yyjson_val *value, const char **out, size_t *n, struct request_fault *fault)
{
    const size_t len = yyjson_is_str(value) ? yyjson_get_len(value) : 0;
    if (len == 0 || len > STOP_LONGEST || strlen(yyjson_get_str(value)) != len) {
        fault_set(fault, "invalid_value", "stop", "a stop string must be 1 to %d bytes of text",
                  STOP_LONGEST);
        return false;
    }
    out[(*n)++] = yyjson_get_str(value);
    return true;
}

static bool stops_read(yyjson_val *stop, struct arena *a, struct generation_options *out,
                       struct request_fault *fault)
{
    if (!stop || yyjson_is_null(stop))
        return true;
    const size_t count = yyjson_is_arr(stop) ? yyjson_arr_size(stop) : 1;
    if (count > GENERATION_STOPS_MAX) {
        fault_set(fault, "invalid_value", "stop", "at most %d stop strings, not %zu", GENERATION_STOPS_MAX,
                  count);
        return false;
    }
    const char **stops = arena_array(a, count + 1, sizeof *stops);
    if (!stops) {
        fault_set(fault, "out_of_memory", "stop", "out of memory");
        return false;
    }
    out->stops = stops;
    if (!yyjson_is_arr(stop) && !stop_add(stop, stops, &out->stop_count, fault))
        return false;
    size_t i, max;
    yyjson_val *value;
    yyjson_arr_foreach(stop, i, max, value)
    {
        if (!stop_add(value, stops, &out->stop_count, fault))
            return false;
    }
    out->stop_given = out->stop_count;
    return true;
}

/* ---- logit_bias ---- */

static bool bias_read(const struct model *m, yyjson_val *object, struct arena *a, struct sampling *out,
                      struct request_fault *fault)
{
    if (!object || yyjson_is_null(object))
        return true;
    if (!yyjson_is_obj(object) || yyjson_obj_size(object) > BIAS_MOST) {
        fault_set(fault, "invalid_value", "logit_bias", "must be an object of at most %d token ids",
                  BIAS_MOST);
        return false;
    }
    llama_logit_bias *all = arena_array(a, yyjson_obj_size(object) + 1, sizeof *all);
    if (!all) {
        fault_set(fault, "out_of_memory", "logit_bias", "out of memory");
        return false;
    }
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(object, i, max, key, value)
    {
        int64_t token;
        if (str_to_i64(yyjson_get_str(key), 0, m->vocabulary - 1, &token) != 0) {
            fault_set(fault, "invalid_value", "logit_bias", "%.32s is no token id: they go from 0 to %d",
                      yyjson_get_str(key), (int)m->vocabulary - 1);
            return false;
        }
        if (!yyjson_is_num(value) || !(fabs(yyjson_get_num(value)) <= 100)) {
            fault_set(fault, "invalid_value", "logit_bias",
                      "the bias of token %s must be a number from -100 to 100", yyjson_get_str(key));
            return false;
        }
        all[out->bias_count++] =
            (llama_logit_bias){.token = (llama_token)token, .bias = (float)yyjson_get_num(value)};
    }
    out->bias = all;
    return true;
}

/* ---- all of them ---- */

static void take(float *out, const double *in)
{
    if (in)
        *out = (float)*in;
}

static void sampling_read(const struct model *m, const struct request_options *in, struct sampling *s)
{
    take(&s->temperature, in->temperature);
    take(&s->top_p, in->top_p);
    take(&s->min_p, in->min_p);
    take(&s->presence_penalty, in->presence_penalty);
    take(&s->frequency_penalty, in->frequency_penalty);
    take(&s->repeat_penalty, in->repeat_penalty);
    if (in->top_k)
        s->top_k = (int32_t)*in->top_k;
    if (in->repeat_last_n)
        s->repeat_last_n = *in->repeat_last_n < 0 || *in->repeat_last_n > m->context_length
                               ? m->context_length
                               : (int32_t)*in->repeat_last_n;
    if (in->seed) {
        s->has_seed = true;
        s->seed = (uint32_t)((uint64_t)*in->seed ^ ((uint64_t)*in->seed >> 32));
    }
    s->ignore_end = in->ignore_end;
}

bool request_options_read(const struct engine *e, const struct request_options *in, struct arena *a,
                          struct generation_options *out, struct request_fault *fault)
{
    *out = (struct generation_options){.choices = (unsigned)in->choices, .sampling = SAMPLING_DEFAULT};
    if (in->choices > (int64_t)e->options.choices_most) {
        fault_set(fault, "unsupported", "n", "at most %u answers to one request, not %lld",
                  e->options.choices_most, (long long)in->choices);
        return false;
    }
    if (in->repeat_penalty && !(*in->repeat_penalty > 0)) {
        fault_set(fault, "invalid_value", "repeat_penalty", "must be more than 0");
        return false;
    }
    if (in->max_tokens)
        out->max_tokens = *in->max_tokens;
    sampling_read(e->model, in, &out->sampling);
    return stops_read(in->stop, a, out, fault) &&
           bias_read(e->model, in->logit_bias, a, &out->sampling, fault);
}

/* ---- headers ---- */

bool request_priority(const struct request *r, int *out, struct request_fault *fault)
{
    int64_t value = REQUEST_PRIORITY_DEFAULT;
    const char *header = request_header(r, "X-VX11-Priority");
    if (header && str_to_i64(header, 0, GENERATION_PRIORITY_MAX, &value) != 0) {
        fault_set(fault, "invalid_value", "X-VX11-Priority", "must be 0 (first) to %d, not %.32s",
                  GENERATION_PRIORITY_MAX, header);
        return false;
    }
    *out = (int)value;
    return true;
}

/* ---- the context ---- */

bool request_fits(const struct model *m, size_t prompt_tokens, int64_t max_tokens,
                  struct request_fault *fault)
{
    const int64_t prompt = (int64_t)prompt_tokens, context = m->context_length;
    if (prompt + (max_tokens > 0 ? max_tokens : 1) <= context)
        return true;
    if (max_tokens > 0)
        fault_set(fault, "context_length_exceeded", "max_tokens",
                  "the context is %" PRId64 " tokens: %" PRId64 " of the prompt and %" PRId64
                  " of max_tokens are %" PRId64,
                  context, prompt, max_tokens, prompt + max_tokens);
    else
        fault_set(fault, "context_length_exceeded", NULL,
                  "the context is %" PRId64 " tokens: %" PRId64 " of the prompt leave no room for an answer",
                  context, prompt);
    return false;
}

bool request_text_fits(const struct model *m, size_t bytes, struct request_fault *fault)
{
    const size_t least = m->longest_piece > 0 ? bytes / m->longest_piece : 0;
    if (least < (size_t)m->context_length)
        return true;
    fault_set(fault, "context_length_exceeded", NULL,
              "the context is %d tokens, and the prompt has at least %zu", (int)m->context_length, least);
    return false;
}
