/* Sampler: from a row of logits to one token, as a request wants it, and the log-probabilities of a row.
 *
 *   logits -> bias -> penalties -> top_k -> top_p -> min_p -> temperature -> draw (seed) -> grammar
 *
 * A token that does not fit the grammar is drawn again, from those that do: nearly all that are drawn fit,
 * and to look at one costs next to nothing.
 *
 * The order, and what each step computes, is libllama's; temperature 0 takes the most likely token after bias
 * and penalties. */
#ifndef VX11_ENGINE_SAMPLER_H
#define VX11_ENGINE_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/model.h"

/* The defaults are those of llama.cpp's server, so that a model behaves here as its users know it. */
#define SAMPLING_DEFAULT                                                                                     \
    {                                                                                                        \
        .temperature = 0.8f, .top_p = 0.95f, .min_p = 0.05f, .top_k = 40, .repeat_penalty = 1.0f,            \
        .repeat_last_n = 64                                                                                  \
    }

/* What an answer must look like, in llama.cpp's GBNF; the root rule is "root". All of it is borrowed. */
struct sampling_grammar {
    const char *gbnf;  /* NULL: anything goes */
    const char *begun; /* text at the end of the prompt that the grammar already covers (the start of the
                          answer, when the template writes it); NULL: none */
    bool lazy;         /* it applies only from a trigger on; else from the first token */
    const char *const *trigger_patterns; /* regular expressions over the answer's text, as of
                                            llama_sampler_init_grammar_lazy_patterns */
    size_t trigger_pattern_count;
    const llama_token *trigger_tokens;
    size_t trigger_token_count;
    const char *after; /* it applies only to what follows this text of the answer (the end of a thought);
                          NULL: to all of it */
    const llama_token *shown; /* control tokens whose text counts; that of others shows nothing, and they do
                                 not fit */
    size_t shown_count;
};

struct sampling {
    struct sampling_grammar grammar;
    float temperature;                         /* 0: always the most likely token */
    float top_p, min_p;                        /* 1 and 0: off */
    int32_t top_k;                             /* 0: off */
    float repeat_penalty;                      /* > 0; 1: off */
    float presence_penalty, frequency_penalty; /* 0: off */
    int32_t repeat_last_n; /* tokens, of prompt and answer, that the three penalties look back on; 0: off */
    bool has_seed;
    uint32_t seed;
    bool ignore_end;              /* never ends by itself (for measuring) */
    const llama_logit_bias *bias; /* bias_count of them, borrowed during sampler_create */
    size_t bias_count;
};

struct sampler;

enum {
    SAMPLER_FAILED = LLAMA_TOKEN_NULL, /* see sampler_error */
    SAMPLER_END = -2,                  /* the answer is complete, and the model has no token that says so */
};

/* choice: which of several answers to one request; each draws with a seed of its own. NULL without memory.
 * The caller owns it. A grammar that cannot be used shows when the first token is drawn. */
struct sampler *sampler_create(const struct model *m, const struct sampling *s, unsigned choice);
void sampler_destroy(struct sampler *s); /* NULL is fine */
/* Tells it of a token of the prompt, oldest first; only as many as sampler_history wants need be told. */
void sampler_accept(struct sampler *s, llama_token token);
size_t sampler_history(const struct sampler *s); /* tokens of the prompt that penalties look back on */
/* Draws from the row of the last llama_decode with index `row`, and accepts it. */
llama_token sampler_sample(struct sampler *s, struct llama_context *context, int32_t row);
/* Another that stands where this one does. NULL without memory. The caller owns it. */
struct sampler *sampler_clone(const struct sampler *s);
/* The answer follows its grammar to the end, and nothing more can come: it need not be asked for. */
bool sampler_finished(const struct sampler *s);
const char *sampler_error(const struct sampler *s); /* after SAMPLER_FAILED; never NULL */

struct token_probability {
    llama_token token;
    float logprob; /* natural logarithm */
};
/* Of the softmax of the row as the model gave it, without bias, penalties or temperature: *chosen's, and the
 * top n (n <= 32) into top, best first. Returns how many. */
size_t logits_probabilities(const float *logits, int32_t vocabulary, llama_token chosen,
                            float *chosen_logprob, struct token_probability *top, size_t n);

#endif
