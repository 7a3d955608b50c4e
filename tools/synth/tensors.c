/* Tensors: which ones an architecture has, how large their weights are, and the rows.
 *
 * The sizes keep everything finite and the answers alive. Rows of the embedding have the size 1, each layer
 * adds parts of the size 1/√layers, so that what a token is and what stands before it count about the same;
 * attention is made sharp (its scores have the spread 3), else it would average a long context away. Logits
 * get the spread 3: the most likely token stands out as in real models. Tokens that make no text (control
 * tokens, halves of characters) get small rows in the output layer, so that an answer neither ends by chance
 * nor is broken text.
 *
 * With `repeat` the output row of a token is in part the embedding of the token before it in a cycle: the
 * answer then repeats itself, as answers that quote do; that is for speculation. */
#include "synth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 32 };

static const float LOGITS = 3.0f, SCORES = 1.7f; /* SCORES: of queries and keys each; their product has 3 */

/* As llama.cpp's Q4_K_M: attention values and the feed-forward's way down get more bits in half the layers.
 */
static bool layer_more_bits(int64_t layer, int64_t layers)
{
    return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

static int type_of(const struct shape *h, int64_t layer, const char *name, uint64_t columns)
{
    int type = h->type;
    if (type == MIXTURE_Q4_K_M) {
        bool more =
            strcmp(name, "output") == 0 || ((strcmp(name, "attn_v") == 0 || strcmp(name, "ffn_down") == 0) &&
                                            layer_more_bits(layer, h->layers));
        type = more ? WEIGHT_Q6_K : WEIGHT_Q4_K;
    }
    /* Rows that are no multiple of 256 get the next type of smaller blocks, as llama.cpp does it. */
    if (columns % block_columns(type) != 0)
        type = type == WEIGHT_Q6_K ? WEIGHT_Q8_0 : WEIGHT_Q4_0;
    if (columns % block_columns(type) != 0)
        type = WEIGHT_F16;
    return type;
}

static struct tensor *add(struct tensors *t, const struct shape *h, int64_t layer, const char *name,
                          const char *kind, int64_t columns, int64_t rows, float size)
{
    struct tensor *x = &t->list[t->count++];
    if (layer >= 0)
        snprintf(x->name, sizeof x->name, "blk.%d.%s.%s", (int)layer, name, kind);
    else
        snprintf(x->name, sizeof x->name, "%s.%s", name, kind);
    x->columns = (uint64_t)columns;
    x->rows = (uint64_t)rows;
    x->type = rows == 0 ? WEIGHT_F32 : type_of(h, layer, name, x->columns);
    x->fill = FILL_RANDOM;
    x->size = size;
    return x;
}

static void norm_add(struct tensors *t, const struct shape *h, int64_t layer, const char *name, bool bias)
{
    add(t, h, layer, name, "weight", h->width, 0, 1.0f)->fill = FILL_ONES;
    if (bias)
        add(t, h, layer, name, "bias", h->width, 0, 0.02f);
}

/* From a vector of the size 1 to one of the size `gain`. */
static void product_add(struct tensors *t, const struct shape *h, int64_t layer, const char *name,
                        int64_t columns, int64_t rows, float gain, bool bias)
{
    add(t, h, layer, name, "weight", columns, rows, gain / sqrtf((float)columns));
    if (bias)
        add(t, h, layer, name, "bias", rows, 0, 0.02f);
}

static void attention_add(struct tensors *t, const struct shape *h, int64_t layer, float gain, bool bias,
                          bool bias_out)
{
    int64_t kv = h->width / h->heads * h->kv_heads;
    product_add(t, h, layer, "attn_q", h->width, h->width, SCORES, bias);
    product_add(t, h, layer, "attn_k", h->width, kv, SCORES, bias);
    product_add(t, h, layer, "attn_v", h->width, kv, 1.0f, bias);
    product_add(t, h, layer, "attn_output", h->width, h->width, gain, bias_out);
}

static void decoder_list(struct tensors *t, const struct shape *h)
{
    float gain = 1.0f / sqrtf((float)h->layers);
    add(t, h, -1, "token_embd", "weight", h->width, h->vocabulary, 1.0f)->by_token = true;
    for (int64_t i = 0; i < h->layers; i++) {
        norm_add(t, h, i, "attn_norm", false);
        attention_add(t, h, i, gain * 1.5f, h->arch == ARCH_QWEN2, false);
        norm_add(t, h, i, "ffn_norm", false);
        product_add(t, h, i, "ffn_gate", h->width, h->feed_forward, 1.0f, false);
        product_add(t, h, i, "ffn_up", h->width, h->feed_forward, 1.0f, false);
        /* silu(gate)·up has the size 0.6 */
        product_add(t, h, i, "ffn_down", h->feed_forward, h->width, gain * 1.6f, false);
    }
    norm_add(t, h, -1, "output_norm", false);
    if (!h->tied) {
        struct tensor *out =
            add(t, h, -1, "output", "weight", h->width, h->vocabulary, LOGITS / sqrtf((float)h->width));
        out->by_token = true;
        out->predicts = h->repeat > 0;
        if (h->repeat > 0)
            out->type = t->list[0].type; /* so that rows can be taken over */
    }
}

static void encoder_list(struct tensors *t, const struct shape *h)
{
    bool bert = h->arch == ARCH_BERT;
    add(t, h, -1, "token_embd", "weight", h->width, h->vocabulary, 1.0f)->by_token = true;
    add(t, h, -1, "token_types", "weight", h->width, 2, 0.1f)->type = WEIGHT_F32;
    if (bert)
        add(t, h, -1, "position_embd", "weight", h->width, h->context, 0.3f)->type = WEIGHT_F32;
    norm_add(t, h, -1, "token_embd_norm", true);
    for (int64_t i = 0; i < h->layers; i++) {
        attention_add(t, h, i, 0.7f, bert, bert);
        norm_add(t, h, i, "attn_output_norm", true);
        product_add(t, h, i, "ffn_up", h->width, h->feed_forward, 1.0f, bert);
        if (!bert)
            product_add(t, h, i, "ffn_gate", h->width, h->feed_forward, 1.0f, false);
        product_add(t, h, i, "ffn_down", h->feed_forward, h->width, 0.7f, bert);
        norm_add(t, h, i, "layer_output_norm", true);
    }
}

void tensors_list(struct tensors *t, const struct shape *h)
{
    t->list = allocate((size_t)h->layers * 20 + 8, sizeof *t->list);
    t->count = 0;
    if (h->arch == ARCH_BERT || h->arch == ARCH_NOMIC_BERT)
        encoder_list(t, h);
    else
        decoder_list(t, h);
}

uint64_t tensor_bytes(const struct tensor *t)
{
    uint64_t n = (t->rows == 0 ? 1 : t->rows) * row_bytes(t->type, t->columns);
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* ---- rows ---- */

/* Overwrites as much of an output row as makes the token before it in the cycle likely to be followed by this
 * one: its logit then stands some spreads above those of the others. */
static void row_predict(unsigned char *row, const struct tensor *t, const struct shape *h, uint64_t token,
                        uint64_t embedding)
{
    uint64_t period = (uint64_t)h->repeat, first = token / period * period;
    uint64_t before = token == first ? first + period - 1 : token - 1;
    if (before >= t->rows)
        before = t->rows - 1;
    /* k columns give the logit 0.7·LOGITS·k/√columns; the best of the others has some 4.2 LOGITS. */
    uint64_t block = block_columns(t->type);
    uint64_t wanted = (uint64_t)(sqrt((double)t->columns) * 14.0);
    uint64_t columns = (wanted + block - 1) / block * block;
    if (columns > t->columns)
        columns = t->columns;
    /* The seed of the embedding's row gives the same quants again; only the scale is another. */
    row_fill(row, t->type, columns, t->size, random_seed((uint64_t)h->seed, embedding, before));
}

static void matrix_write(const struct tensors *all, size_t index, const struct shape *h,
                         const struct vocabulary *v, FILE *out)
{
    const struct tensor *t = &all->list[index];
    size_t bytes = row_bytes(t->type, t->columns);
    unsigned char *row = allocate(1, bytes);
    for (uint64_t n = 0; n < t->rows; n++) {
        bool output = t->by_token && (index > 0 || h->tied);
        bool rare = output && n < v->count && v->tokens[n].rare;
        row_fill(row, t->type, t->columns, rare ? t->size / 16 : t->size,
                 random_seed((uint64_t)h->seed, index, n));
        if (t->predicts && !rare)
            row_predict(row, t, h, n, 0);
        if (fwrite(row, bytes, 1, out) != 1)
            break; /* ferror tells */
    }
    free(row);
}

static void vector_write(const struct tensor *t, size_t index, const struct shape *h, FILE *out)
{
    float *values = allocate(t->columns, sizeof *values);
    if (t->fill == FILL_RANDOM)
        row_fill(values, WEIGHT_F32, t->columns, t->size, random_seed((uint64_t)h->seed, index, 0));
    for (uint64_t i = 0; t->fill == FILL_ONES && i < t->columns; i++)
        values[i] = 1.0f;
    fwrite(values, sizeof *values, t->columns, out);
    free(values);
}

void tensors_write(const struct tensors *all, const struct shape *h, const struct vocabulary *v, FILE *out)
{
    static const char zeros[ALIGNMENT];
    for (size_t i = 0; i < all->count && !ferror(out); i++) {
        const struct tensor *t = &all->list[i];
        uint64_t bytes = (t->rows == 0 ? 1 : t->rows) * row_bytes(t->type, t->columns);
        if (t->rows == 0)
            vector_write(t, i, h, out);
        else
            matrix_write(all, i, h, v, out);
        fwrite(zeros, 1, (size_t)(tensor_bytes(t) - bytes), out);
    }
}
