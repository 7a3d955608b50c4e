/* Sampling by a libllama chain. Steps that would change nothing are left out, and without bias and penalties
 * the most likely token is found by one pass over the row, with no copy of it. */
#include "engine/sampler.h"

#include <math.h>
#include <stdlib.h>

#include "base/ulid.h"

struct sampler {
    struct llama_sampler *chain; /* NULL: plain greedy */
    int32_t vocabulary;
    size_t history;
};

/* The request's biases, the model's own forbidden tokens, and the end tokens when they are to be ignored. */
static llama_logit_bias *bias_gather(const struct model *m, const struct sampling *s, int32_t *n)
{
    int32_t suppressed = 0;
    const llama_token *suppress = llama_vocab_get_suppress_tokens(m->vocab, &suppressed);
    int32_t ends = 0;
    for (llama_token t = 0; s->ignore_end && t < m->vocabulary; t++)
        ends += llama_vocab_is_eog(m->vocab, t);
    const size_t room = s->bias_count + (size_t)suppressed + (size_t)ends;
    llama_logit_bias *all = calloc(room ? room : 1, sizeof *all);
    if (!all)
        return NULL;
    *n = 0;
    for (size_t i = 0; i < s->bias_count; i++)
        all[(*n)++] = s->bias[i];
    for (int32_t i = 0; i < suppressed; i++)
        all[(*n)++] = (llama_logit_bias){.token = suppress[i], .bias = -INFINITY};
    for (llama_token t = 0; ends > 0 && t < m->vocabulary; t++) {
        if (llama_vocab_is_eog(m->vocab, t))
            all[(*n)++] = (llama_logit_bias){.token = t, .bias = -INFINITY};
    }
    return all;
}

static uint32_t seed_choose(const struct sampling *s, unsigned choice)
{
    uint32_t seed = s->seed;
    if (!s->has_seed)
        random_bytes(&seed, sizeof seed);
    seed += choice;
    return seed == LLAMA_DEFAULT_SEED ? 0 : seed; /* libllama takes that one to mean a random seed */
}

static bool penalties_wanted(const struct sampling *s)
{
    return s->repeat_last_n > 0 && (s->repeat_penalty < 1.0f || s->repeat_penalty > 1.0f ||
                                    fabsf(s->presence_penalty) > 0.0f || fabsf(s->frequency_penalty) > 0.0f);
}

static void chain_fill(struct llama_sampler *chain, const struct model *m, const struct sampling *s,
                       unsigned choice, const llama_logit_bias *bias, int32_t bias_count)
{
    if (bias_count > 0)
        llama_sampler_chain_add(chain, llama_sampler_init_logit_bias(m->vocabulary, bias_count, bias));
    if (penalties_wanted(s))
        llama_sampler_chain_add(chain, llama_sampler_init_penalties(m->vocabulary, s->repeat_last_n,
                                                                    s->repeat_penalty, s->frequency_penalty,
                                                                    s->presence_penalty));
    if (!(s->temperature > 0.0f)) {
        llama_sampler_chain_add(chain, llama_sampler_init_greedy());
        return;
    }
    if (s->top_k > 0)
        llama_sampler_chain_add(chain, llama_sampler_init_top_k(s->top_k));
    if (s->top_p < 1.0f)
        llama_sampler_chain_add(chain, llama_sampler_init_top_p(s->top_p, 1));
    if (s->min_p > 0.0f)
        llama_sampler_chain_add(chain, llama_sampler_init_min_p(s->min_p, 1));
    llama_sampler_chain_add(chain, llama_sampler_init_temp(s->temperature));
    llama_sampler_chain_add(chain, llama_sampler_init_dist(seed_choose(s, choice)));
}

struct sampler *sampler_create(const struct model *m, const struct sampling *s, unsigned choice)
{
    struct sampler *sampler = calloc(1, sizeof *sampler);
    int32_t bias_count = 0;
    llama_logit_bias *bias = bias_gather(m, s, &bias_count);
    if (!sampler || !bias)
        goto fail;
    sampler->vocabulary = m->vocabulary;
    if (s->temperature > 0.0f || bias_count > 0 || penalties_wanted(s)) {
        struct llama_sampler_chain_params params = llama_sampler_chain_default_params();
        params.no_perf = true;
        sampler->chain = llama_sampler_chain_init(params);
        if (!sampler->chain)
            goto fail;
        chain_fill(sampler->chain, m, s, choice, bias, bias_count);
        sampler->history = penalties_wanted(s) ? (size_t)s->repeat_last_n : 0;
    }
    free(bias);
    return sampler;
fail:
    free(bias);
    free(sampler);
    return NULL;
}

void sampler_destroy(struct sampler *s)
{
    if (!s)
        return;
    if (s->chain)
        llama_sampler_free(s->chain);
    free(s);
}

void sampler_accept(struct sampler *s, llama_token token)
{
    if (s->chain)
        llama_sampler_accept(s->chain, token);
}

size_t sampler_history(const struct sampler *s)
{
    return s->history;
}

static llama_token greedy(const float *logits, int32_t vocabulary)
{
    llama_token best = 0;
    for (llama_token t = 1; t < vocabulary; t++) {
        if (logits[t] > logits[best])
            best = t;
    }
    return best;
}

llama_token sampler_sample(struct sampler *s, struct llama_context *context, int32_t row)
{
    if (s->chain)
        return llama_sampler_sample(s->chain, context, row);
    return greedy(llama_get_logits_ith(context, row), s->vocabulary);
}

/* ---- probabilities ---- */

static void top_insert(struct token_probability *top, size_t *count, size_t n, llama_token token, float logit)
{
    size_t at = *count < n ? (*count)++ : n - 1;
    while (at > 0 && top[at - 1].logprob < logit) {
        top[at] = top[at - 1];
        at--;
    }
    top[at] = (struct token_probability){.token = token, .logprob = logit};
}

size_t logits_probabilities(const float *logits, int32_t vocabulary, llama_token chosen,
                            float *chosen_logprob, struct token_probability *top, size_t n)
{
    const float highest = logits[greedy(logits, vocabulary)];
    double sum = 0;
    size_t count = 0;
    for (llama_token t = 0; t < vocabulary; t++) {
        sum += exp((double)(logits[t] - highest));
        if (n > 0 && (count < n || logits[t] > top[count - 1].logprob))
            top_insert(top, &count, n, t, logits[t]);
    }
    const float base = highest + (float)log(sum > 1 ? sum : 1); /* the highest alone gives 1 */
    *chosen_logprob = logits[chosen] - base;
    for (size_t i = 0; i < count; i++)
        top[i].logprob -= base;
    return count;
}
