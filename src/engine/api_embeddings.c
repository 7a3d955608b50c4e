/* POST /v1/embeddings. What is wrong with the JSON is found here; texts become tokens on the embedder's
 * thread, for a large request has hundreds of thousands of them, and so what is too long is found there. */
#include "engine/engine_internal.h"

#include <string.h>

#include "base/log.h"

struct embedding { /* one request; in its arena */
    struct engine *engine;
    struct request *request;
    struct embed_job *job;
    struct embed_input *inputs;
    size_t count;
};

bool api_model_generates(struct engine *e, struct request *r, const char *code)
{
    if (e->model->can.generates)
        return true;
    request_fail(r, 400, code, "model", "model %s only makes embeddings (%s)", e->model->name,
                 e->model->description);
    return false;
}

/* ---- the input ---- */

static bool tokens_read(const struct model *m, yyjson_val *list, size_t at, struct embed_input *out,
                        struct request_fault *fault)
{
    size_t i, max;
    yyjson_val *value;
    yyjson_arr_foreach(list, i, max, value)
    {
        if (!yyjson_is_int(value) || !token_valid(m, yyjson_get_sint(value))) {
            fault_set(fault, "invalid_value", "input",
                      "token %zu of input %zu is no token id: they go from 0 to %d", i, at,
                      (int)m->vocabulary - 1);
            return false;
        }
        const llama_token token = (llama_token)yyjson_get_sint(value);
        if (i == EMBED_TOKENS_MAX) {
            fault_set(fault, "context_length_exceeded", "input", "input %zu has more than %d tokens", at,
                      EMBED_TOKENS_MAX);
            return false;
        }
        if (tokens_append(&out->tokens, &token, 1) != 0) {
            fault_set(fault, "out_of_memory", NULL, "out of memory");
            return false;
        }
    }
    return true;
}

static bool input_read(struct embedding *q, yyjson_val *value, struct request_fault *fault)
{
    const size_t at = q->count++;
    struct embed_input *out = &q->inputs[at];
    *out = (struct embed_input){.tokens = TOKENS_INIT};
    if (!yyjson_is_str(value) && !yyjson_is_arr(value)) {
        fault_set(fault, "invalid_value", "input", "must be text, token ids, or an array of those");
        return false;
    }
    if (yyjson_is_str(value) ? yyjson_get_len(value) == 0 : yyjson_arr_size(value) == 0) {
        fault_set(fault, "invalid_value", "input", "input %zu is empty", at);
        return false;
    }
    if (yyjson_is_arr(value))
        return tokens_read(q->engine->model, value, at, out, fault);
    out->text = yyjson_get_str(value);
    out->len = yyjson_get_len(value);
    return true;
}

static bool inputs_read(struct embedding *q, yyjson_val *input, struct request_fault *fault)
{
    yyjson_val *first = yyjson_arr_get_first(input);
    const bool many = yyjson_is_arr(input) && !yyjson_is_num(first);
    const size_t n = many ? yyjson_arr_size(input) : 1;
    if (n == 0) {
        fault_set(fault, "invalid_value", "input", "must not be empty");
        return false;
    }
    if (n > EMBED_INPUTS_MAX) {
        fault_set(fault, "invalid_value", "input", "at most %d inputs, not %zu", EMBED_INPUTS_MAX, n);
        return false;
    }
    q->inputs = arena_array(request_arena(q->request), n, sizeof *q->inputs);
    if (!q->inputs) {
        fault_set(fault, "out_of_memory", NULL, "out of memory");
        return false;
    }
    if (!many)
        return input_read(q, input, fault);
    size_t i, max;
    yyjson_val *value;
    yyjson_arr_foreach(input, i, max, value)
    {
        if (!input_read(q, value, fault))
            return false;
    }
    return true;
}

static void inputs_free(struct embedding *q)
{
    for (size_t i = 0; i < q->count; i++)
        tokens_free(&q->inputs[i].tokens);
}

static bool request_check(const struct engine *e, const struct openai_embedding_request *q,
                          struct request_fault *fault)
{
    const struct ability *can = &e->model->can;
    if (can->pooling == LLAMA_POOLING_TYPE_RANK)
        fault_set(fault, "model_cannot_embed", "model",
                  "model %s gives scores of pairs of texts (pooling rank) and no embeddings", e->model->name);
    else if (q->has_dimensions && q->dimensions > can->embedding_length)
        fault_set(fault, "invalid_value", "dimensions", "the model's vectors have %d numbers, not %lld",
                  (int)can->embedding_length, (long long)q->dimensions);
    return fault->code == NULL;
}

/* ---- the reply ---- */

static void reply_failed(const struct embedding *q, const struct embed_result *result)
{
    struct request *r = q->request;
    const struct error *error = result->error;
    char param[32] = "input";
    if (result->error_input != SIZE_MAX && q->count > 1)
        (void)snprintf(param, sizeof param, "/input/%zu", result->error_input);
    if (error->code == VX11_ETOO_LARGE)
        request_fail(r, 400, "context_length_exceeded", param, "%s", error->text);
    else if (error->code == VX11_EINVALID)
        request_fail(r, 400, "invalid_value", param, "%s", error->text);
    else if (error->code == VX11_ENOMEM)
        request_fail(r, 503, "context_memory_full", NULL, "%s", error->text);
    else
        request_fail(r, 500, "embedding_failed", NULL, "%s", error->text);
}

/* The vectors are text already and go into the reply as they are. */
static void reply_vectors(const struct embedding *q, const struct embed_result *result)
{
    struct request *r = q->request;
    struct arena *a = request_arena(r);
    struct openai_embedding *data = arena_array(a, result->inputs, sizeof *data);
    yyjson_val *values = arena_array(a, result->inputs, sizeof *values);
    if (!data || !values) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    for (size_t i = 0; i < result->inputs; i++) {
        values[i] = (yyjson_val){0}; /* what looks like a container is left as it is */
        (void)yyjson_set_raw(&values[i], result->texts[i], result->lengths[i]);
        data[i] =
            (struct openai_embedding){.object = "embedding", .index = (int64_t)i, .embedding = &values[i]};
    }
    struct openai_embedding_usage usage = {.prompt_tokens = result->tokens, .total_tokens = result->tokens};
    const struct openai_embedding_reply reply = {.object = "list",
                                                 .data = data,
                                                 .data_count = result->inputs,
                                                 .model = q->engine->model->name,
                                                 .usage = &usage};
    request_reply(r, 200, &openai_embedding_reply_message, &reply);
}

static void on_result(struct embed_job *job, void *ctx, const struct embed_result *result)
{
    struct embedding *q = ctx;
    (void)job;
    q->job = NULL;
    log_debug("embeddings", "ended", LOG_S("request", request_id(q->request)),
              LOG_I("inputs", (int64_t)result->inputs), LOG_I("tokens", result->tokens),
              LOG_D("queue_ms", result->queue_ms), LOG_D("compute_ms", result->compute_ms));
    metric_observe(q->engine->embedding_seconds, (result->queue_ms + result->compute_ms) / 1000);
    if (result->error)
        reply_failed(q, result);
    else if (result->cancelled)
        request_fail(q->request, 503, "cancelled", NULL, "the engine is stopping");
    else
        reply_vectors(q, result);
}

static void on_gone(struct request *r, void *ctx, int reason)
{
    struct embedding *q = ctx;
    (void)r;
    (void)reason;
    if (q->job)
        embed_cancel(q->job);
}

static void submit(struct embedding *q, const struct openai_embedding_request *body, int priority)
{
    struct engine *e = q->engine;
    const struct embed_job_options o = {
        .inputs = q->inputs,
        .count = q->count,
        .priority = priority,
        .dimensions = body->has_dimensions ? (int32_t)body->dimensions : 0,
        .format = body->encoding_format == OPENAI_ENCODING_FORMAT_BASE64 ? EMBED_BASE64 : EMBED_FLOAT};
    request_on_cancel(q->request, on_gone, q);
    const int rc = embed_submit(e->embedder, &o, on_result, q, &q->job);
    if (rc == 0)
        return;
    inputs_free(q);
    if (rc == VX11_EFULL) {
        request_retry_after(q->request, embed_retry_ms(e->embedder));
        request_fail(q->request, 429, "queue_full", NULL, "the model's queue for embeddings is full");
    } else if (rc == VX11_ECLOSED) {
        request_fail(q->request, 503, "stopping", NULL, "the engine is stopping");
    } else {
        request_fail(q->request, 500, "out_of_memory", NULL, "out of memory");
    }
}

void api_embeddings(struct request *r, void *module)
{
    struct engine *e = module;
    const struct openai_embedding_request *body = request_body(r);
    struct request_fault fault = {0};
    engine_request_arrived(e);
    if (!api_model_ready(e, r, body->model))
        return;
    struct embedding *q = arena_zalloc(request_arena(r), sizeof *q);
    if (!q) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    *q = (struct embedding){.engine = e, .request = r};
    int priority;
    if (request_priority(r, &priority, &fault) && request_check(e, body, &fault) &&
        inputs_read(q, body->input, &fault)) {
        submit(q, body, priority);
        return;
    }
    inputs_free(q);
    request_fail(r, 400, fault.code, fault.param[0] ? fault.param : NULL, "%s", fault.text);
}
