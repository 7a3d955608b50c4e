/* The worker's metrics: what the histograms do not hold is read from where it is kept, at each rendering. The
 * two tables below go together, line by line. */
#include "engine/engine_internal.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "base/str.h"
#include "engine/saved.h"

static const struct {
    const char *name, *help;
} gauges[] = {
    {"prompt_tokens", "Prompt tokens computed since the start."},
    {"cached_tokens", "Prompt tokens found in the cache since the start."},
    {"restored_tokens", "Of these, those that were read back from disk."},
    {"completion_tokens", "Tokens sampled since the start."},
    {"cache_hit_ratio",
     "Share of the prompt tokens that were found in the cache; NaN while there were none."},
    {"decode_tokens_per_second",
     "Speed of writing over the last seconds, of busy time; NaN when nothing was written."},
    {"prompt_tokens_per_second",
     "Speed of reading prompts over the last seconds, of busy time; NaN when none was read."},
    {"slots_busy", "Sequences that are being read or written."},
    {"queue_length", "Requests that wait for a slot."},
    {"kv_cells", "KV cells there are."},
    {"kv_cells_used", "KV cells that hold a token."},
    {"kv_cells_kept", "Of these, those that no running answer needs."},
    {"branches", "Conversations that are kept in the cells."},
    {"evicted_tokens", "Kept tokens that were given up since the start."},
    {"evicted_branches", "Conversations that were given up, whole or in part."},
    {"preemptions", "Answers that made room for others and went on later."},
    {"steps", "Batches decoded since the start."},
    {"step_tokens", "Their tokens."},
    {"batch_tokens", "Tokens of the last step; NaN before it."},
    {"drafted_tokens", "Tokens guessed ahead since the start."},
    {"accepted_tokens", "Of these, those that were right."},
    {"speculation_gain", "Speed with guesses against without, as last measured; NaN until then."},
    {"threads", "Threads that compute now; NaN until the model is loaded, as all that follows."},
    {"load_seconds", "How long the load took."},
    {"load_plan_seconds", "Of it, reckoning the memory."},
    {"load_weights_seconds", "Of it, weights and vocabulary."},
    {"load_context_seconds", "Of it, cells and buffers."},
    {"load_warm_seconds", "Of it, a first token."},
    {"load_disk_bytes", "Of the file, what was not in the page cache."},
    {"memory_need_bytes", "What the model takes, as it was reckoned."},
    {"memory_weights_mapped_bytes", "Of it, weights used where the file is mapped."},
    {"memory_weights_copied_bytes", "Of it, weights copied into an order that suits the processor."},
    {"memory_kv_bytes", "Of it, cells."},
    {"memory_compute_bytes", "Of it, buffers of a step."},
    {"memory_rest_bytes", "Of it, vocabulary, logits and the like."},
    {"embedding_tokens", "Tokens computed for embeddings since the start."},
    {"embedding_queue_length", "Requests for embeddings that wait or are being computed."},
    {"embedding_context_bytes", "Memory of the context that embeds; 0 while there is none."},
    {"saved_files", "Conversations on disk, of all models; NaN when none are kept, as all that follows."},
    {"saved_bytes", "Their size."},
    {"saved_written_bytes", "Conversations written since the start."},
    {"saved_write_seconds", "Time spent on that."},
    {"saved_read_bytes", "Conversations read back since the start."},
    {"saved_read_seconds", "Time spent on that."},
    {"saved_damaged", "Files that were deleted because they were damaged."},
};
static_assert(COUNT_OF(gauges) <= ENGINE_GAUGES_MAX, "raise ENGINE_GAUGES_MAX");

static double known(double value)
{
    return value < 0 ? NAN : value;
}

static double ms(const struct model *m, int64_t value)
{
    return m ? (double)value / 1000 : NAN;
}

static double bytes(const struct model *m, uint64_t value)
{
    return m ? (double)value : NAN;
}

static void refresh(void *engine)
{
    const struct engine *e = engine;
    static const struct model nothing;
    const struct model *m = e->model, *of = m ? m : &nothing;
    const struct fit_sizes *z = &of->plan.sizes;
    struct scheduler_stats s;
    struct embed_stats embed;
    scheduler_stats(e->scheduler, &s);
    embed_stats(e->embedder, &embed);
    const struct saved *saved = atomic_load(&e->saved);
    struct saved_stats kept = {0};
    if (saved)
        saved_stats(saved, &kept);
    const double asked = (double)(s.prompt_tokens + s.cached_tokens);
    const double values[] = {
        (double)s.prompt_tokens,
        (double)s.cached_tokens,
        (double)s.restored_tokens,
        (double)s.completion_tokens,
        asked > 0 ? (double)s.cached_tokens / asked : NAN,
        known(s.decode_rate),
        known(s.prompt_rate),
        s.slots_busy,
        (double)s.queued,
        s.cells_total,
        s.cells_used,
        s.cells_evictable,
        s.branches,
        (double)s.evicted_tokens,
        (double)s.evicted_branches,
        (double)s.preemptions,
        (double)s.steps,
        (double)s.step_tokens,
        known(s.last_step_tokens),
        (double)s.drafted_tokens,
        (double)s.accepted_tokens,
        known(s.speculation_gain),
        m ? (double)atomic_load(&m->threads.count) : NAN,
        ms(m, of->load_ms),
        ms(m, of->times.plan),
        ms(m, of->times.weights),
        ms(m, of->times.context),
        ms(m, of->times.warm),
        bytes(m, of->bytes_from_disk),
        bytes(m, fit_need(z)),
        bytes(m, z->mapped),
        bytes(m, z->weights),
        bytes(m, z->kv),
        bytes(m, z->compute),
        bytes(m, z->rest),
        (double)embed.tokens,
        (double)embed.queued,
        (double)embed.context_bytes,
        saved ? (double)kept.files : NAN,
        saved ? (double)kept.bytes : NAN,
        saved ? (double)kept.bytes_written : NAN,
        saved ? kept.write_seconds : NAN,
        saved ? (double)kept.bytes_restored : NAN,
        saved ? kept.read_seconds : NAN,
        saved ? (double)kept.corrupt : NAN,
    };
    static_assert(COUNT_OF(values) == COUNT_OF(gauges), "one value for each gauge");
    for (size_t i = 0; i < COUNT_OF(values); i++)
        metric_set(e->gauges[i], values[i]);
    double below = 0;
    for (size_t i = 0; i < STEP_SIZES; i++) {
        below += (double)s.step_sizes[i];
        metric_set(e->step_sizes[i], below);
    }
}

/* Sizes of steps in the form of a histogram: the library's own are of seconds. */
static void step_sizes_register(struct engine *e)
{
    char label[32];
    for (unsigned i = 0; i < STEP_SIZES; i++) {
        if (i == STEP_SIZES - 1)
            (void)snprintf(label, sizeof label, "le=\"+Inf\"");
        else
            (void)snprintf(label, sizeof label, "le=\"%u\"", 1u << i);
        e->step_sizes[i] = metrics_get(e->metrics, METRIC_GAUGE, "vx11_engine_step_tokens_bucket", label,
                                       "Steps of at most so many tokens since the start.");
    }
}

void engine_metrics_register(struct engine *e)
{
    char name[64];
    struct metrics *m = e->metrics;
    e->first_token_seconds = metrics_get(m, METRIC_HISTOGRAM, "vx11_engine_first_token_seconds", NULL,
                                         "From a request's arrival to its first token.");
    e->queue_seconds =
        metrics_get(m, METRIC_HISTOGRAM, "vx11_engine_queue_seconds", NULL, "Waiting for a slot.");
    e->embedding_seconds = metrics_get(m, METRIC_HISTOGRAM, "vx11_engine_embedding_seconds", NULL,
                                       "From a request for embeddings to its vectors.");
    for (size_t i = 0; i < COUNT_OF(gauges); i++) {
        (void)snprintf(name, sizeof name, "vx11_engine_%s", gauges[i].name);
        e->gauges[i] = metrics_get(m, METRIC_GAUGE, name, NULL, gauges[i].help);
    }
    step_sizes_register(e);
    metrics_on_render(m, refresh, e);
}
