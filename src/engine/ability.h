/* Ability: what a model can be asked for, by its file. */
#ifndef VX11_ENGINE_ABILITY_H
#define VX11_ENGINE_ABILITY_H

#include <stdbool.h>
#include <stdint.h>
#include <llama.h>

#include "base/error.h"

struct ability {
    bool generates; /* chats and completions; else it only embeds, and needs no context of its own */
    bool causal;    /* a token sees those before it only */
    enum llama_pooling_type pooling; /* of embeddings: MEAN, CLS or LAST; RANK: it gives scores, no vectors */
    int32_t embedding_length;        /* numbers of a vector */
};

/* VX11_EUNSUPPORTED, with the reason, for a model that can do nothing that this engine serves. */
int ability_read(const struct llama_model *llama, struct ability *out, struct error *err);

#endif
