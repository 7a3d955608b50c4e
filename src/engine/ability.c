/* What libllama does not tell is read from the metadata, by libllama's own names for it.
 *
 * Without a pooling of its own a generative model pools by its last token, the only one that has seen the
 * whole text, and an encoder by the mean, as sentence-transformers does for a model that says nothing.
 * llama-server leaves such a model unpooled, and its /v1/embeddings then refuses. */
#include "engine/ability.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* Architectures that attend both ways: libllama gives them no memory of earlier tokens, or needs none. */
static const char *const encoders[] = {
    "bert",     "nomic-bert", "nomic-bert-moe", "jina-bert-v2",    "jina-bert-v3",
    "neo-bert", "eurobert",   "modern-bert",    "gemma-embedding", "t5encoder"};

static bool is_encoder(const char *architecture)
{
    for (size_t i = 0; i < COUNT_OF(encoders); i++) {
        if (strcmp(architecture, encoders[i]) == 0)
            return true;
    }
    return false;
}

/* The value of "ARCHITECTURE.key"; false when the file has none. */
static bool value_read(const struct llama_model *llama, const char *architecture, const char *key, char *out,
                       size_t size)
{
    char name[128];
    (void)snprintf(name, sizeof name, "%s.%s", architecture, key);
    return llama_model_meta_val_str(llama, name, out, size) >= 0;
}

static enum llama_pooling_type pooling_read(const struct llama_model *llama, const char *architecture,
                                            bool causal)
{
    char text[16];
    int64_t value = LLAMA_POOLING_TYPE_UNSPECIFIED;
    if (value_read(llama, architecture, "pooling_type", text, sizeof text) &&
        str_to_i64(text, LLAMA_POOLING_TYPE_MEAN, LLAMA_POOLING_TYPE_RANK, &value) == 0)
        return (enum llama_pooling_type)value;
    return causal ? LLAMA_POOLING_TYPE_LAST : LLAMA_POOLING_TYPE_MEAN;
}

int ability_read(const struct llama_model *llama, struct ability *out, struct error *err)
{
    char architecture[64] = "", text[16];
    (void)llama_model_meta_val_str(llama, "general.architecture", architecture, sizeof architecture);
    const bool encoder = is_encoder(architecture);
    if (llama_model_has_encoder(llama) && !encoder)
        return error_set(err, VX11_EUNSUPPORTED, "models of an encoder and a decoder (%s) cannot be served",
                         architecture);
    if (llama_model_is_diffusion(llama))
        return error_set(err, VX11_EUNSUPPORTED, "diffusion models (%s) cannot be served", architecture);
    *out = (struct ability){.causal = !encoder, .embedding_length = llama_model_n_embd_out(llama)};
    if (value_read(llama, architecture, "attention.causal", text, sizeof text) && strcmp(text, "false") == 0)
        out->causal = false;
    out->generates = out->causal;
    out->pooling = pooling_read(llama, architecture, out->causal);
    if (!out->generates && out->pooling == LLAMA_POOLING_TYPE_RANK)
        return error_set(err, VX11_EUNSUPPORTED,
                         "it is a reranking model (pooling rank): it gives scores of "
                         "pairs of texts, which this engine does not serve");
    return 0;
}
