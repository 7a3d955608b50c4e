/* By ggml's own GGUF writer. Weights are uniform with the variance 1/columns, so that numbers neither vanish
 * nor explode. */
#include "synth.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <ggml.h>

#include "harness.h"

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717u;
}

static void fill(struct ggml_tensor *t, uint64_t *state)
{
    unsigned char *data = ggml_get_data(t);
    if (t->type == GGML_TYPE_F32) {
        for (int64_t i = 0; i < ggml_nelements(t); i++)
            ((float *)ggml_get_data(t))[i] = 1;
        return;
    }
    const ggml_fp16_t scale = ggml_fp32_to_fp16(1.0f / sqrtf((float)t->ne[0]) / 73.9f);
    const size_t block = ggml_type_size(t->type);
    for (size_t at = 0; at < ggml_nbytes(t); at += block) {
        memcpy(data + at, &scale, sizeof scale);
        for (size_t i = sizeof scale; i < block; i += 8) {
            const uint64_t r = random_next(state);
            memcpy(data + at + i, &r, block - i < sizeof r ? block - i : sizeof r);
        }
    }
}

struct maker {
    struct gguf_context *file;
    struct ggml_context *memory;
    uint64_t random;
};

static void tensor(struct maker *m, int layer, const char *name, int64_t columns, int64_t rows)
{
    char full[64];
    if (layer >= 0)
        (void)snprintf(full, sizeof full, "blk.%d.%s.weight", layer, name);
    else
        (void)snprintf(full, sizeof full, "%s.weight", name);
    struct ggml_tensor *t = rows == 0 ? ggml_new_tensor_1d(m->memory, GGML_TYPE_F32, columns)
                                      : ggml_new_tensor_2d(m->memory, GGML_TYPE_Q8_0, columns, rows);
    assert_non_null(t);
    ggml_set_name(t, full);
    fill(t, &m->random);
    gguf_add_tensor(m->file, t);
}

static void tensors(struct maker *m, const struct synth_shape *s)
{
    const int64_t kv = (int64_t)s->width / s->heads * s->heads_kv;
    const int64_t vocabulary =
        (int64_t)gguf_get_arr_n(m->file, gguf_find_key(m->file, "tokenizer.ggml.tokens"));
    tensor(m, -1, "token_embd", s->width, vocabulary);
    for (int i = 0; i < (int)s->layers; i++) {
        tensor(m, i, "attn_norm", s->width, 0);
        tensor(m, i, "attn_q", s->width, s->width);
        tensor(m, i, "attn_k", s->width, kv);
        tensor(m, i, "attn_v", s->width, kv);
        tensor(m, i, "attn_output", s->width, s->width);
        tensor(m, i, "ffn_norm", s->width, 0);
        tensor(m, i, "ffn_gate", s->width, s->feed_forward);
        tensor(m, i, "ffn_up", s->width, s->feed_forward);
        tensor(m, i, "ffn_down", s->feed_forward, s->width);
    }
    tensor(m, -1, "output_norm", s->width, 0);
}

static size_t bytes_of(const struct synth_shape *s)
{
    const size_t each = 4 * (size_t)s->width * s->width + 3 * (size_t)s->width * s->feed_forward;
    return (each * s->layers + 4096 * (size_t)s->width) / 32 * 34 + ((size_t)64 << 20);
}

void synth_model(const char *path, const struct synth_shape *s, void (*change)(struct gguf_context *g))
{
    struct gguf_context *guide =
        gguf_init_from_file(harness_guide(), (struct gguf_init_params){.no_alloc = true});
    struct maker m = {.file = gguf_init_empty(), .random = 88172645463325252u};
    m.memory = ggml_init((struct ggml_init_params){.mem_size = bytes_of(s)});
    assert_true(guide && m.file && m.memory);
    gguf_set_kv(m.file, guide);
    gguf_set_val_u32(m.file, "llama.block_count", s->layers);
    gguf_set_val_u32(m.file, "llama.embedding_length", s->width);
    gguf_set_val_u32(m.file, "llama.feed_forward_length", s->feed_forward);
    gguf_set_val_u32(m.file, "llama.attention.head_count", s->heads);
    gguf_set_val_u32(m.file, "llama.attention.head_count_kv", s->heads_kv);
    gguf_set_val_u32(m.file, "llama.rope.dimension_count", s->width / s->heads);
    gguf_set_val_u32(m.file, "llama.context_length", s->context);
    (void)gguf_remove_key(m.file, "llama.attention.key_length");
    (void)gguf_remove_key(m.file, "llama.attention.value_length");
    if (change)
        change(m.file);
    tensors(&m, s);
    assert_true(gguf_write_to_file(m.file, path, false));
    gguf_free(m.file);
    gguf_free(guide);
    ggml_free(m.memory);
}
