/* Sampling by a libllama chain. Steps that would change nothing are left out, and without bias and penalties
 * the most likely token is found by one pass over the row, with no copy of it. With a grammar, what was drawn
 * is looked at; when it does not fit, the chain draws again from the tokens that do. */
#include "engine/sampler.h"

#include <math.h>
#include <stdlib.h>

#include "base/ulid.h"
#include "engine/constraint.h"

struct sampler {
    struct llama_sampler *chain;   /* NULL: plain greedy */
    struct constraint *constraint; /* NULL: anything goes */
    llama_token_data *candidates;  /* room for the vocabulary, once it is needed */
    const struct llama_vocab *vocab;
    int32_t vocabulary;
    size_t history;
    struct error error; /* why nothing can be drawn */
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
    sampler->vocab = m->vocab;
    if (s->grammar.gbnf &&
        constraint_create(m, &s->grammar, &sampler->constraint, &sampler->error) == VX11_ENOMEM)
        goto fail;
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
    sampler_destroy(sampler);
    return NULL;
}

struct sampler *sampler_clone(const struct sampler *s)
{
    struct sampler *copy = calloc(1, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *s;
    copy->candidates = NULL;
    copy->chain = s->chain ? llama_sampler_clone(s->chain) : NULL;
    copy->constraint = s->constraint ? constraint_clone(s->constraint) : NULL;
    if ((s->chain && !copy->chain) || (s->constraint && !copy->constraint)) {
        sampler_destroy(copy);
        return NULL;
    }
    return copy;
}

void sampler_destroy(struct sampler *s)
{
    if (!s)
        return;
    if (s->chain)
        llama_sampler_free(s->chain);
    constraint_destroy(s->constraint);
    free(s->candidates);
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
    float highest = logits[0];
    for (llama_token t = 1; t < vocabulary; t++) {
        if (logits[t] > highest) {
            highest = logits[t];
            best = t;
        }
    }
    return best;
}

static llama_token greedy_of(const float *logits, const uint64_t *allowed, int32_t vocabulary)
{
    llama_token best = SAMPLER_FAILED;
    for (int32_t word = 0; word * 64 < vocabulary; word++) {
        for (uint64_t bits = allowed[word]; bits; bits &= bits - 1) {
            const llama_token t = word * 64 + __builtin_ctzll(bits);
            if (best < 0 || logits[t] > logits[best])
                best = t;
        }
    }
    return best;
}

/* Draws by the chain from the tokens that are allowed (NULL: all). SAMPLER_FAILED: there is none, or none
 * that is not forbidden otherwise. */
static llama_token chain_draw(struct sampler *s, const float *logits, const uint64_t *allowed)
{
    size_t n = 0;
    if (!s->candidates)
        s->candidates = malloc((size_t)s->vocabulary * sizeof *s->candidates);
    if (!s->candidates)
        return error_set(&s->error, VX11_ENOMEM, "out of memory"), SAMPLER_FAILED;
    for (llama_token t = 0; t < s->vocabulary; t++) {
        if (!allowed || (allowed[t / 64] >> (t % 64) & 1))
            s->candidates[n++] = (llama_token_data){.id = t, .logit = logits[t]};
    }
    if (n == 0)
        return SAMPLER_FAILED;
    llama_token_data_array all = {.data = s->candidates, .size = n, .selected = -1};
    llama_sampler_apply(s->chain, &all);
    if (all.selected < 0 || (size_t)all.selected >= all.size || !(all.data[all.selected].logit > -INFINITY))
        return SAMPLER_FAILED;
    return all.data[all.selected].id;
}

static llama_token draw(struct sampler *s, const float *logits, const uint64_t *allowed)
{
    if (s->chain)
        return chain_draw(s, logits, allowed);
    return allowed ? greedy_of(logits, allowed, s->vocabulary) : greedy(logits, s->vocabulary);
}

static llama_token draw_fitting(struct sampler *s, const float *logits)
{
    const llama_token token = draw(s, logits, NULL);
    if (token == SAMPLER_FAILED || constraint_allows(s->constraint, token))
        return token;
    const uint64_t *allowed = constraint_tokens(s->constraint, &s->error);
    return allowed ? draw(s, logits, allowed) : SAMPLER_FAILED;
}

static llama_token end_token(const struct sampler *s)
{
    const llama_token eos = llama_vocab_eos(s->vocab), eot = llama_vocab_eot(s->vocab);
    return eot != LLAMA_TOKEN_NULL ? eot : eos != LLAMA_TOKEN_NULL ? eos : SAMPLER_END;
}

static llama_token constrained(struct sampler *s, const float *logits)
{
    if (s->error.code != 0)
        return SAMPLER_FAILED;
    if (constraint_finished(s->constraint))
        return end_token(s);
    const llama_token token = draw_fitting(s, logits);
    if (token == SAMPLER_FAILED) {
        if (s->error.code == 0)
            (void)error_set(&s->error, VX11_EUNSUPPORTED,
                            "no token of the model that may be drawn continues the grammar");
        return SAMPLER_FAILED;
    }
    if (constraint_accept(s->constraint, token, &s->error) != 0)
        return SAMPLER_FAILED;
    if (s->chain)
        llama_sampler_accept(s->chain, token);
    return token;
}

llama_token sampler_sample(struct sampler *s, struct llama_context *context, int32_t row)
{
    if (s->constraint || s->error.code != 0)
        return constrained(s, llama_get_logits_ith(context, row));
    if (s->chain)
        return llama_sampler_sample(s->chain, context, row);
    return greedy(llama_get_logits_ith(context, row), s->vocabulary);
}

bool sampler_finished(const struct sampler *s)
{
    return s->constraint && s->error.code == 0 && constraint_finished(s->constraint);
}

const char *sampler_error(const struct sampler *s)
{
    return s->error.code != 0 ? s->error.text : "nothing could be drawn";
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
