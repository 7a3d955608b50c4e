/* What the worker says of itself and its model: status, models, metrics, and the tokenizer for those who
 * count tokens. */
#include "engine/engine_internal.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/proc.h"
#include "base/str.h"
#include "engine/saved.h"

bool api_model_ready(struct engine *e, struct request *r, const char *name)
{
    if (e->state == ENGINE_STATE_LOADING) {
        const float done = atomic_load(&e->progress);
        const int64_t elapsed = clock_mono_ms() - e->started_ms;
        request_retry_after(r, done > 0.01f ? (int64_t)((float)elapsed / done * (1 - done)) : 1000);
        request_fail(r, 503, "model_loading", NULL, "the model is being loaded: %.0f%% done",
                     floor((double)done * 100));
        return false;
    }
    if (e->state == ENGINE_STATE_FAILED) {
        request_fail(r, 503, "model_failed", NULL, "the model could not be loaded: %s", e->load_error.text);
        return false;
    }
    if (e->state == ENGINE_STATE_STOPPING || !e->model) {
        request_fail(r, 503, "stopping", NULL, "the engine is stopping");
        return false;
    }
    if (name && *name && strcmp(name, e->model->name) != 0) {
        request_fail(r, 404, "model_not_found", "model", "this engine serves %s, not %.128s", e->model->name,
                     name);
        return false;
    }
    return true;
}

void engine_request_arrived(struct engine *e)
{
    e->requests++;
    if (e->requests_shared)
        atomic_store(e->requests_shared, e->requests);
}

/* ---- status ---- */

enum { CAPABILITIES = 3 };

/* Into `out`, which has room for CAPABILITIES. Returns how many. */
static size_t capabilities(const struct model *m, int *out)
{
    size_t n = 0;
    if (m->can.generates && m->template_state == MODEL_TEMPLATE_READY)
        out[n++] = OPENAI_CAPABILITY_CHAT;
    if (m->can.generates)
        out[n++] = OPENAI_CAPABILITY_COMPLETION;
    if (m->can.pooling != LLAMA_POOLING_TYPE_RANK)
        out[n++] = OPENAI_CAPABILITY_EMBEDDINGS;
    return n;
}

static int pooling_name(const struct model *m)
{
    switch (m->can.pooling) {
    case LLAMA_POOLING_TYPE_MEAN:
        return ENGINE_POOLING_MEAN;
    case LLAMA_POOLING_TYPE_CLS:
        return ENGINE_POOLING_CLS;
    case LLAMA_POOLING_TYPE_LAST:
        return ENGINE_POOLING_LAST;
    default:
        return ENGINE_POOLING_RANK;
    }
}

static struct engine_model_facts facts_of(const struct model *m, int *can, struct engine_rope *rope)
{
    status_rope(m, rope);
    return (struct engine_model_facts){
        .name = m->name,
        .path = m->path,
        .description = m->description,
        .parameters = (int64_t)m->parameters,
        .size_bytes = (int64_t)m->size_bytes,
        .vocabulary = m->vocabulary,
        .context_trained = m->context_trained,
        .context_length = m->context_length,
        .chat_template_reason = m->template_reason,
        .chat_template = m->template_state == MODEL_TEMPLATE_READY    ? ENGINE_CHAT_TEMPLATE_READY
                         : m->template_state == MODEL_TEMPLATE_ABSENT ? ENGINE_CHAT_TEMPLATE_ABSENT
                                                                      : ENGINE_CHAT_TEMPLATE_UNSUPPORTED,
        .capabilities_count = capabilities(m, can),
        .capabilities = can,
        .pooling = pooling_name(m),
        .embedding_length = m->can.embedding_length,
        .embedding_input_max = embed_input_max(m),
        .kv_type = m->plan.choice.kv == MODEL_KV_Q8_0 ? ENGINE_KV_TYPE_Q8_0 : ENGINE_KV_TYPE_F16,
        .gpu_layers = m->plan.choice.gpu_layers,
        .rope = rope,
        .threads = atomic_load(&m->threads.count),
        .batch = m->batch,
    };
}

static bool saved_of(const struct engine *e, struct engine_saved *out)
{
    const struct saved *saved = atomic_load(&e->saved);
    struct saved_stats s;
    if (!saved)
        return false;
    saved_stats(saved, &s);
    *out = (struct engine_saved){
        .files = (int64_t)s.files,
        .bytes = (int64_t)s.bytes,
        .most_bytes = (int64_t)s.most_bytes,
        .written = (int64_t)s.written,
        .written_tokens = (int64_t)s.tokens_written,
        .written_bytes = (int64_t)s.bytes_written,
        .write_seconds = s.write_seconds,
        .read = (int64_t)s.restored,
        .read_tokens = (int64_t)s.tokens_restored,
        .read_bytes = (int64_t)s.bytes_restored,
        .read_seconds = s.read_seconds,
        .dropped = (int64_t)s.dropped,
        .damaged = (int64_t)s.corrupt,
    };
    return true;
}

void api_status(struct request *r, void *module)
{
    const struct engine *e = module;
    struct scheduler_stats s;
    struct engine_model_facts facts;
    struct engine_saved saved;
    const uint64_t rss = proc_self_rss();
    struct embed_stats embed;
    int can[CAPABILITIES];
    struct engine_rope rope;
    struct engine_load load;
    struct engine_memory memory;
    struct engine_device devices[STATUS_DEVICES_MAX];
    struct engine_spread queue = status_spread(e->queue_seconds),
                         first = status_spread(e->first_token_seconds);
    scheduler_stats(e->scheduler, &s);
    status_load(e, &load);
    const uint64_t asked = s.prompt_tokens + s.cached_tokens;
    embed_stats(e->embedder, &embed);
    if (e->model)
        facts = facts_of(e->model, can, &rope);
    const struct engine_status status = {
        .state = e->state,
        .progress = (double)atomic_load(&e->progress),
        .reason = e->state == ENGINE_STATE_FAILED ? e->load_error.text : NULL,
        .has_load_ms = e->model != NULL,
        .load_ms = e->model ? e->model->load_ms : 0,
        .model = e->model ? &facts : NULL,
        .failure = e->state != ENGINE_STATE_FAILED     ? NULL
                   : e->load_error.code == VX11_ENOMEM ? "insufficient_memory"
                                                       : "model_load_failed",
        .load = &load,
        .memory = status_memory(e, &memory) ? &memory : NULL,
        .devices = devices,
        .devices_count = status_devices(e, devices, STATUS_DEVICES_MAX),
        .queue_seconds = &queue,
        .first_token_seconds = &first,
        .has_cache_hit_ratio = asked > 0,
        .cache_hit_ratio = asked > 0 ? (double)s.cached_tokens / (double)asked : 0,
        .has_step_tokens = s.steps > 0,
        .step_tokens = s.steps > 0 ? (double)s.step_tokens / (double)s.steps : 0,
        .cells_kept = s.cells_evictable,
        .branches = s.branches,
        .evicted_tokens = (int64_t)s.evicted_tokens,
        .evicted_branches = (int64_t)s.evicted_branches,
        .preemptions = (int64_t)s.preemptions,
        .n_max = e->options.choices_most,
        .requests = e->requests,
        .slots_busy = s.slots_busy,
        .slots_total = e->options.model.parallel,
        .queue_length = (int64_t)s.queued,
        .queue_limit = (int64_t)s.queue_limit,
        .has_cells_used = s.cells_total > 0,
        .cells_used = s.cells_used,
        .has_cells_total = s.cells_total > 0,
        .cells_total = s.cells_total,
        .has_prompt_tokens_per_second = s.prompt_rate >= 0,
        .prompt_tokens_per_second = s.prompt_rate,
        .has_decode_tokens_per_second = s.decode_rate >= 0,
        .decode_tokens_per_second = s.decode_rate,
        .generations = (int64_t)s.generations,
        .generations_failed = (int64_t)s.generations_failed,
        .generations_cancelled = (int64_t)s.generations_cancelled,
        .prompt_tokens = (int64_t)s.prompt_tokens,
        .cached_tokens = (int64_t)s.cached_tokens,
        .restored_tokens = (int64_t)s.restored_tokens,
        .saved = saved_of(e, &saved) ? &saved : NULL,
        .completion_tokens = (int64_t)s.completion_tokens,
        .steps = (int64_t)s.steps,
        .speculating = s.speculating,
        .drafted_tokens = (int64_t)s.drafted_tokens,
        .accepted_tokens = (int64_t)s.accepted_tokens,
        .has_speculation_gain = s.speculation_gain >= 0,
        .speculation_gain = s.speculation_gain,
        .embedding_requests = (int64_t)embed.jobs,
        .embedding_inputs = (int64_t)embed.inputs,
        .embedding_tokens = (int64_t)embed.tokens,
        .embedding_queue_length = (int64_t)embed.queued,
        .embedding_context_bytes = (int64_t)embed.context_bytes,
        .has_rss_bytes = rss > 0,
        .rss_bytes = (int64_t)rss,
        .uptime_ms = clock_mono_ms() - e->started_ms,
    };
    request_reply(r, 200, &engine_status_message, &status);
}

void api_models(struct request *r, void *module)
{
    struct engine *e = module;
    if (!api_model_ready(e, r, NULL))
        return;
    int can[CAPABILITIES];
    struct openai_model model = {.id = e->model->name,
                                 .object = "model",
                                 .created = e->model->created_s,
                                 .owned_by = "local",
                                 .capabilities = can,
                                 .capabilities_count = capabilities(e->model, can)};
    const struct openai_model_list list = {.object = "list", .data = &model, .data_count = 1};
    request_reply(r, 200, &openai_model_list_message, &list);
}

/* ---- the tokenizer ---- */

static bool pieces_fill(const struct model *m, struct arena *a, const struct tokens *tokens, const char **out)
{
    struct buf text = BUF_INIT;
    bool ok = true;
    for (size_t i = 0; ok && i < tokens->len; i++) {
        buf_clear(&text);
        ok = token_append_text(m, tokens->data[i], true, &text) == 0 &&
             (out[i] = arena_strndup(a, text.data ? text.data : "", text.len)) != NULL;
    }
    buf_free(&text);
    return ok;
}

void api_tokenize(struct request *r, void *module)
{
    struct engine *e = module;
    const struct engine_tokenize_request *q = request_body(r);
    struct arena *a = request_arena(r);
    struct tokens tokens = TOKENS_INIT;
    struct error err = {0};
    engine_request_arrived(e);
    if (!api_model_ready(e, r, NULL))
        return;
    if (tokenize(e->model, q->content, strlen(q->content), q->add_special, q->parse_special, &tokens, &err) !=
        0) {
        request_fail_error(r, &err);
        goto out;
    }
    struct engine_tokenize_reply reply = {.tokens_count = tokens.len, .count = (int64_t)tokens.len};
    reply.tokens = arena_array(a, tokens.len + 1, sizeof *reply.tokens);
    reply.pieces = q->with_pieces ? arena_array(a, tokens.len + 1, sizeof *reply.pieces) : NULL;
    if (!reply.tokens ||
        (q->with_pieces && (!reply.pieces || !pieces_fill(e->model, a, &tokens, reply.pieces)))) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        goto out;
    }
    reply.pieces_count = q->with_pieces ? tokens.len : 0;
    for (size_t i = 0; i < tokens.len; i++)
        reply.tokens[i] = tokens.data[i];
    request_reply(r, 200, &engine_tokenize_reply_message, &reply);
out:
    tokens_free(&tokens);
}

void api_detokenize(struct request *r, void *module)
{
    struct engine *e = module;
    const struct engine_detokenize_request *q = request_body(r);
    struct arena *a = request_arena(r);
    struct buf text = BUF_INIT;
    struct error err = {0};
    engine_request_arrived(e);
    if (!api_model_ready(e, r, NULL))
        return;
    llama_token *tokens = arena_array(a, q->tokens_count + 1, sizeof *tokens);
    if (!tokens) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    for (size_t i = 0; i < q->tokens_count; i++)
        tokens[i] = (llama_token)q->tokens[i];
    if (detokenize(e->model, tokens, q->tokens_count, q->with_special, &text, &err) != 0) {
        request_fail(r, 400, "invalid_value", "tokens", "%s", err.text);
    } else {
        const struct engine_detokenize_reply reply = {.content = text.data ? text.data : ""};
        request_reply(r, 200, &engine_detokenize_reply_message, &reply);
    }
    buf_free(&text);
}
