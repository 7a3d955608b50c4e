/* Keys: the metadata of the file. Names: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and
 * llama.cpp's llama-arch.cpp. */
#include "synth.h"

#include <string.h>

enum { KV_U32 = 4, KV_I32 = 5, KV_F32 = 6, KV_BOOL = 7, KV_STRING = 8, KV_ARRAY = 9 };

struct keys {
    struct buf *out;
    const char *arch;
    uint64_t count;
};

void put_u32(struct buf *b, uint32_t v)
{
    buf_append(b, &v, sizeof v);
}

void put_u64(struct buf *b, uint64_t v)
{
    buf_append(b, &v, sizeof v);
}

void put_string(struct buf *b, const char *text)
{
    put_u64(b, strlen(text));
    buf_puts(b, text);
}

/* A name that begins with a dot gets the architecture before it. */
static void key(struct keys *k, const char *name, uint32_t type)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s", name[0] == '.' ? k->arch : "", name);
    put_string(k->out, full);
    put_u32(k->out, type);
    k->count++;
}

static void key_u32(struct keys *k, const char *name, int64_t value)
{
    key(k, name, KV_U32);
    put_u32(k->out, (uint32_t)value);
}

static void key_f32(struct keys *k, const char *name, double value)
{
    float f = (float)value;
    key(k, name, KV_F32);
    buf_append(k->out, &f, sizeof f);
}

static void key_bool(struct keys *k, const char *name, bool value)
{
    key(k, name, KV_BOOL);
    buf_putc(k->out, value ? 1 : 0);
}

static void key_string(struct keys *k, const char *name, const char *value)
{
    key(k, name, KV_STRING);
    put_string(k->out, value);
}

static void key_array(struct keys *k, const char *name, uint32_t of, size_t count)
{
    key(k, name, KV_ARRAY);
    put_u32(k->out, of);
    put_u64(k->out, count);
}

static void key_token(struct keys *k, const char *name, int64_t token)
{
    if (token >= 0)
        key_u32(k, name, token);
}

static void shape_keys(struct keys *k, const struct shape *h)
{
    bool encoder = h->arch == ARCH_BERT || h->arch == ARCH_NOMIC_BERT;
    key_u32(k, ".context_length", h->context);
    key_u32(k, ".embedding_length", h->width);
    key_u32(k, ".block_count", h->layers);
    key_u32(k, ".feed_forward_length", h->feed_forward);
    key_u32(k, ".attention.head_count", h->heads);
    if (encoder) {
        key_f32(k, ".attention.layer_norm_epsilon", 1e-12);
        key_bool(k, ".attention.causal", false);
    } else {
        key_u32(k, ".attention.head_count_kv", h->kv_heads);
        key_f32(k, ".attention.layer_norm_rms_epsilon", 1e-5);
        key_u32(k, ".rope.dimension_count", h->width / h->heads);
        key_u32(k, ".vocab_size", h->vocabulary);
    }
    if (h->arch != ARCH_BERT)
        key_f32(k, ".rope.freq_base", h->rope_base);
    if (h->pooling != POOLING_NONE)
        key_u32(k, ".pooling_type", h->pooling);
    if (h->yarn_factor > 0) {
        key_string(k, ".rope.scaling.type", "yarn");
        key_f32(k, ".rope.scaling.factor", h->yarn_factor);
        key_u32(k, ".rope.scaling.original_context_length",
                h->yarn_original ? h->yarn_original : (int64_t)((double)h->context / h->yarn_factor));
    }
}

static void token_keys(struct keys *k, const struct vocabulary *v)
{
    key_array(k, "tokenizer.ggml.tokens", KV_STRING, v->count);
    for (size_t i = 0; i < v->count; i++)
        put_string(k->out, v->tokens[i].text);
    key_array(k, "tokenizer.ggml.token_type", KV_I32, v->count);
    for (size_t i = 0; i < v->count; i++)
        put_u32(k->out, v->tokens[i].kind);
    if (v->tokenizer == TOKENIZER_SPM) {
        key_array(k, "tokenizer.ggml.scores", KV_F32, v->count);
        for (size_t i = 0; i < v->count; i++) {
            float score = v->tokens[i].kind == TOKEN_NORMAL ? -(float)i : 0;
            buf_append(k->out, &score, sizeof score);
        }
    }
    if (v->tokenizer == TOKENIZER_BPE) {
        key_array(k, "tokenizer.ggml.merges", KV_STRING, v->merge_count);
        for (size_t i = 0; i < v->merge_count; i++)
            put_string(k->out, v->merges[i]);
    }
    key_token(k, "tokenizer.ggml.bos_token_id", v->begin);
    key_token(k, "tokenizer.ggml.eos_token_id", v->end);
    key_token(k, "tokenizer.ggml.unknown_token_id", v->unknown);
    key_token(k, "tokenizer.ggml.seperator_token_id", v->separator); /* sic */
    key_token(k, "tokenizer.ggml.padding_token_id", v->padding);
    key_token(k, "tokenizer.ggml.mask_token_id", v->mask);
}

static void tokenizer_keys(struct keys *k, const struct shape *h, const struct vocabulary *v)
{
    static const char *const models[] = {
        [TOKENIZER_BPE] = "gpt2", [TOKENIZER_SPM] = "llama", [TOKENIZER_WORDPIECE] = "bert"};
    key_string(k, "tokenizer.ggml.model", models[v->tokenizer]);
    if (v->tokenizer == TOKENIZER_BPE)
        key_string(k, "tokenizer.ggml.pre", h->arch == ARCH_QWEN2 ? "qwen2" : "llama-bpe");
    token_keys(k, v);
    if (v->tokenizer == TOKENIZER_WORDPIECE) {
        key_u32(k, "tokenizer.ggml.token_type_count", 2);
        return;
    }
    key_bool(k, "tokenizer.ggml.add_bos_token", v->tokenizer == TOKENIZER_SPM);
    key_bool(k, "tokenizer.ggml.add_eos_token", false);
    if (v->tokenizer == TOKENIZER_SPM)
        key_bool(k, "tokenizer.ggml.add_space_prefix", false);
    if (h->chat_template)
        key_string(k, "tokenizer.chat_template", h->chat_template);
}

/* general.file_type: llama.cpp's llama_ftype. */
static int64_t file_type(int type)
{
    switch (type) {
    case WEIGHT_F16:
        return 1;
    case WEIGHT_Q4_0:
        return 2;
    case WEIGHT_Q8_0:
        return 7;
    case WEIGHT_Q6_K:
        return 18;
    case MIXTURE_Q4_K_M:
        return 15;
    default:
        return 0;
    }
}

uint64_t keys_write(struct buf *out, const struct shape *h, const struct vocabulary *v)
{
    static const char *const names[] = {[ARCH_LLAMA] = "llama",
                                        [ARCH_QWEN2] = "qwen2",
                                        [ARCH_BERT] = "bert",
                                        [ARCH_NOMIC_BERT] = "nomic-bert"};
    struct keys k = {.out = out, .arch = names[h->arch]};
    key_string(&k, "general.architecture", k.arch);
    key_string(&k, "general.type", "model");
    key_string(&k, "general.name", h->name);
    key_string(&k, "general.description", "Random weights, by vx11-synth: for measuring and testing only");
    key_u32(&k, "general.file_type", file_type(h->type));
    key_u32(&k, "general.quantization_version", 2);
    shape_keys(&k, h);
    tokenizer_keys(&k, h, v);
    return k.count;
}
