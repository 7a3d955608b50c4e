/* Synth GGUF: writes a model of random weights, large enough that decoding it is arithmetic and memory
 * traffic as with real models, which the guide model is not. Tokenizer and chat template are those of another
 * GGUF file; its vocabulary is filled up to a real model's size, for sampling and the output layer depend on
 * that. The same options give the same file.
 *
 *   bench_synth_gguf --like GUIDE.gguf --out FILE [--type q4_0|q8_0] [--layers N] [--width N] [--vocabulary
 * N]
 *
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Written to FILE.new and renamed, so that
 * a half-written file is never taken for a model. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/str.h"

enum { ALIGNMENT = 32, BLOCK = 32, TYPE_F32 = 0, TYPE_Q4_0 = 2, TYPE_Q8_0 = 8 };
enum { KV_U32 = 4, KV_I32 = 5, KV_F32 = 6, KV_STRING = 8, KV_ARRAY = 9 };

struct shape {
    int64_t layers, width, feed_forward, heads, kv_heads, vocabulary;
    int type;
};

struct tensor {
    char name[64];
    uint64_t rows, columns; /* rows 0: a vector */
    int type;
};

struct synth {
    struct shape shape;
    struct buf like; /* the file that is copied from */
    size_t at;
    struct buf keys;
    uint64_t key_count;
    struct tensor *tensors;
    size_t tensor_count;
    uint64_t random;
};

static void fail(const char *why)
{
    fprintf(stderr, "bench_synth_gguf: %s\n", why);
    exit(1);
}

/* ---- reading ---- */

static const char *take(struct synth *s, size_t n)
{
    if (n > s->like.len - s->at)
        fail("the model to copy from is cut short");
    const char *p = s->like.data + s->at;
    s->at += n;
    return p;
}

static uint32_t take_u32(struct synth *s)
{
    uint32_t v;
    memcpy(&v, take(s, sizeof v), sizeof v);
    return v;
}

static uint64_t take_u64(struct synth *s)
{
    uint64_t v;
    memcpy(&v, take(s, sizeof v), sizeof v);
    return v;
}

static void skip_value(struct synth *s, uint32_t type)
{
    static const size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type >= COUNT_OF(sizes))
        fail("the model to copy from has a value of unknown type");
    if (type == KV_STRING) {
        take(s, take_u64(s));
    } else if (type == KV_ARRAY) {
        uint32_t of = take_u32(s);
        for (uint64_t n = take_u64(s); n > 0; n--)
            skip_value(s, of);
    } else {
        take(s, sizes[type]);
    }
}

/* ---- writing keys ---- */

static void put_u32(struct buf *b, uint32_t v)
{
    buf_append(b, &v, sizeof v);
}

static void put_u64(struct buf *b, uint64_t v)
{
    buf_append(b, &v, sizeof v);
}

static void put_string(struct buf *b, const char *text)
{
    put_u64(b, strlen(text));
    buf_puts(b, text);
}

static void key_u32(struct synth *s, const char *name, int64_t value)
{
    put_string(&s->keys, name);
    put_u32(&s->keys, KV_U32);
    put_u32(&s->keys, (uint32_t)value);
    s->key_count++;
}

static void key_f32(struct synth *s, const char *name, float value)
{
    put_string(&s->keys, name);
    put_u32(&s->keys, KV_F32);
    buf_append(&s->keys, &value, sizeof value);
    s->key_count++;
}

static void key_string(struct synth *s, const char *name, const char *value)
{
    put_string(&s->keys, name);
    put_u32(&s->keys, KV_STRING);
    put_string(&s->keys, value);
    s->key_count++;
}

/* One of the vocabulary's arrays, continued to the wanted length. */
static void key_array_grown(struct synth *s, const char *start, size_t head, uint32_t of, uint64_t count)
{
    size_t from = s->at;
    for (uint64_t i = 0; i < count; i++)
        skip_value(s, of);
    buf_append(&s->keys, start, head);
    put_u32(&s->keys, of);
    put_u64(&s->keys, (uint64_t)s->shape.vocabulary);
    buf_append(&s->keys, s->like.data + from, s->at - from);
    for (uint64_t i = count; i < (uint64_t)s->shape.vocabulary; i++) {
        char word[32];
        float score = -10000.0f - (float)i;
        snprintf(word, sizeof word, " w%llu", (unsigned long long)i);
        if (of == KV_STRING)
            put_string(&s->keys, word);
        else if (of == KV_F32)
            buf_append(&s->keys, &score, sizeof score);
        else
            put_u32(&s->keys, 1); /* a normal token */
    }
}

/* Copies tokenizer keys, grows its arrays and leaves all else of the file out. */
static void keys_copy(struct synth *s)
{
    if (memcmp(take(s, 4), "GGUF", 4) != 0 || take_u32(s) != 3)
        fail("the model to copy from is no GGUF file of version 3");
    take_u64(s);
    for (uint64_t n = take_u64(s); n > 0; n--) {
        size_t start = s->at;
        uint64_t len = take_u64(s);
        const char *name = take(s, len);
        uint32_t type = take_u32(s);
        size_t head = s->at - start;
        if (len < 10 || memcmp(name, "tokenizer.", 10) != 0) {
            skip_value(s, type);
            continue;
        }
        s->key_count++;
        if (type == KV_ARRAY) {
            uint32_t of = take_u32(s);
            uint64_t count = take_u64(s);
            if ((of != KV_STRING && of != KV_F32 && of != KV_I32) || count > (uint64_t)s->shape.vocabulary)
                fail("the vocabulary to copy is larger than the one wanted, or of another kind");
            key_array_grown(s, s->like.data + start, head, of, count);
            continue;
        }
        skip_value(s, type);
        buf_append(&s->keys, s->like.data + start, s->at - start);
    }
}

static void keys_make(struct synth *s)
{
    const struct shape *h = &s->shape;
    key_string(s, "general.architecture", "llama");
    key_string(s, "general.name", "VX11 bench: random weights");
    key_u32(s, "general.file_type", h->type == TYPE_Q4_0 ? 2 : 7);
    key_u32(s, "general.quantization_version", 2);
    key_u32(s, "llama.context_length", 4096);
    key_u32(s, "llama.embedding_length", h->width);
    key_u32(s, "llama.block_count", h->layers);
    key_u32(s, "llama.feed_forward_length", h->feed_forward);
    key_u32(s, "llama.attention.head_count", h->heads);
    key_u32(s, "llama.attention.head_count_kv", h->kv_heads);
    key_u32(s, "llama.rope.dimension_count", h->width / h->heads);
    key_u32(s, "llama.vocab_size", h->vocabulary);
    key_f32(s, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    key_f32(s, "llama.rope.freq_base", 10000.0f);
    keys_copy(s);
}

/* ---- tensors ---- */

static void tensor_add(struct synth *s, int layer, const char *name, int64_t columns, int64_t rows)
{
    struct tensor *t = &s->tensors[s->tensor_count++];
    if (layer >= 0)
        snprintf(t->name, sizeof t->name, "blk.%d.%s.weight", layer, name);
    else
        snprintf(t->name, sizeof t->name, "%s.weight", name);
    t->columns = (uint64_t)columns;
    t->rows = (uint64_t)rows;
    t->type = rows == 0 ? TYPE_F32 : s->shape.type;
}

static void tensors_list(struct synth *s)
{
    const struct shape *h = &s->shape;
    int64_t kv = h->width / h->heads * h->kv_heads;
    s->tensors = calloc((size_t)h->layers * 9 + 2, sizeof *s->tensors);
    if (!s->tensors)
        fail("out of memory");
    tensor_add(s, -1, "token_embd", h->width, h->vocabulary); /* without an output.weight it is that, too */
    for (int i = 0; i < (int)h->layers; i++) {
        tensor_add(s, i, "attn_norm", h->width, 0);
        tensor_add(s, i, "attn_q", h->width, h->width);
        tensor_add(s, i, "attn_k", h->width, kv);
        tensor_add(s, i, "attn_v", h->width, kv);
        tensor_add(s, i, "attn_output", h->width, h->width);
        tensor_add(s, i, "ffn_norm", h->width, 0);
        tensor_add(s, i, "ffn_gate", h->width, h->feed_forward);
        tensor_add(s, i, "ffn_up", h->width, h->feed_forward);
        tensor_add(s, i, "ffn_down", h->feed_forward, h->width);
    }
    tensor_add(s, -1, "output_norm", h->width, 0);
}

static size_t block_size(int type)
{
    return type == TYPE_Q8_0 ? 2 + BLOCK : 2 + BLOCK / 2;
}

static uint64_t tensor_size(const struct tensor *t)
{
    return t->rows == 0 ? t->columns * sizeof(float) : t->rows * t->columns / BLOCK * block_size(t->type);
}

static uint64_t aligned(uint64_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* xorshift64*: Marsaglia 2003, Vigna 2016. */
static uint64_t random_next(struct synth *s)
{
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return s->random * 2685821657736338717u;
}

/* A positive normal float as IEEE half precision, rounded down: all that scales need. */
static uint16_t half_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    int exponent = (int)(bits >> 23) - 127 + 15;
    if (exponent < 1 || exponent > 30)
        fail("a scale does not fit half precision");
    return (uint16_t)((uint32_t)exponent << 10 | (bits >> 13 & 0x3ff));
}

/* Weights are uniform with the variance 1/columns, so that a product keeps its input's size; quants of a
 * block are the random bits themselves. */
static void row_write(struct synth *s, const struct tensor *t, FILE *out)
{
    unsigned char block[2 + BLOCK];
    size_t size = block_size(t->type);
    float spread = t->type == TYPE_Q8_0 ? 73.9f : 4.61f; /* standard deviation of -128…127 and of -8…7 */
    uint16_t scale = half_of(1.0f / sqrtf((float)t->columns) / spread);
    for (uint64_t n = t->columns / BLOCK; n > 0; n--) {
        memcpy(block, &scale, sizeof scale);
        for (size_t at = 2; at < size; at += 8) {
            uint64_t r = random_next(s);
            memcpy(block + at, &r, sizeof r);
        }
        fwrite(block, size, 1, out);
    }
}

static void pad(FILE *out, uint64_t size)
{
    static const char zeros[ALIGNMENT];
    fwrite(zeros, 1, (size_t)(aligned(size) - size), out);
}

static void tensors_write(struct synth *s, FILE *out)
{
    const float one = 1.0f;
    for (size_t i = 0; i < s->tensor_count; i++) {
        const struct tensor *t = &s->tensors[i];
        for (uint64_t n = 0; t->rows == 0 && n < t->columns; n++)
            fwrite(&one, sizeof one, 1, out);
        for (uint64_t n = 0; n < t->rows; n++)
            row_write(s, t, out);
        pad(out, tensor_size(t));
    }
}

static void file_write(struct synth *s, FILE *out)
{
    struct buf head = BUF_INIT;
    uint64_t offset = 0;
    buf_puts(&head, "GGUF");
    put_u32(&head, 3);
    put_u64(&head, s->tensor_count);
    put_u64(&head, s->key_count);
    buf_append(&head, s->keys.data, s->keys.len);
    for (size_t i = 0; i < s->tensor_count; i++) {
        const struct tensor *t = &s->tensors[i];
        put_string(&head, t->name);
        put_u32(&head, t->rows == 0 ? 1 : 2);
        put_u64(&head, t->columns);
        if (t->rows > 0)
            put_u64(&head, t->rows);
        put_u32(&head, (uint32_t)t->type);
        put_u64(&head, offset);
        offset += aligned(tensor_size(t));
    }
    if (head.failed || s->keys.failed)
        fail("out of memory");
    fwrite(head.data, 1, head.len, out);
    pad(out, head.len);
    tensors_write(s, out);
    buf_free(&head);
}

/* ---- command line ---- */

static bool option(struct synth *s, const char *name, const char *value, const char **like, const char **out)
{
    struct shape *h = &s->shape;
    if (str_eq(name, "--like"))
        *like = value;
    else if (str_eq(name, "--out"))
        *out = value;
    else if (str_eq(name, "--type") && str_eq(value, "q4_0"))
        h->type = TYPE_Q4_0;
    else if (str_eq(name, "--type") && str_eq(value, "q8_0"))
        h->type = TYPE_Q8_0;
    else if (str_eq(name, "--layers"))
        return str_to_i64(value, 1, 200, &h->layers) == 0;
    else if (str_eq(name, "--width"))
        return str_to_i64(value, 128, 8192, &h->width) == 0 && h->width % 128 == 0;
    else if (str_eq(name, "--vocabulary"))
        return str_to_i64(value, 256, 1000000, &h->vocabulary) == 0;
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    struct synth s = {.shape = {.layers = 24, .width = 1024, .vocabulary = 32000, .type = TYPE_Q4_0},
                      .random = 0x9e3779b97f4a7c15};
    const char *like = NULL, *out = NULL;
    char fresh[4096];
    struct error err = {0};
    bool ok = argc % 2 == 1;
    for (int i = 1; ok && i < argc; i += 2)
        ok = option(&s, argv[i], argv[i + 1], &like, &out);
    if (!ok || !like || !out) {
        fprintf(stderr, "usage: bench_synth_gguf --like GGUF --out FILE [--type q4_0|q8_0] [--layers N] "
                        "[--width N, of 128s] [--vocabulary N]\n");
        return 2;
    }
    s.shape.heads = s.shape.width / 64;
    s.shape.kv_heads = s.shape.heads % 2 == 0 ? s.shape.heads / 2 : s.shape.heads;
    s.shape.feed_forward = s.shape.width * 11 / 4 / 32 * 32;
    if (fs_read_file(like, 1u << 30, &s.like, &err) != 0)
        fail(err.text);
    keys_make(&s);
    tensors_list(&s);
    snprintf(fresh, sizeof fresh, "%s.new", out);
    FILE *f = fopen(fresh, "we");
    if (!f)
        fail(strerror(errno));
    file_write(&s, f);
    if (ferror(f) || fclose(f) != 0 || rename(fresh, out) != 0)
        fail("the file could not be written");
    buf_free(&s.like);
    buf_free(&s.keys);
    free(s.tensors);
    return 0;
}
