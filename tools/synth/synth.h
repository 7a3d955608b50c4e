/* vx11-synth: writes GGUF models of random weights. The real thing in every way but sense: shape, quantised
 * blocks, tokenizer, chat template and metadata are laid out as those of published models, so that speed,
 * memory, batching and caching can be measured and tested without a download.
 *
 *   main.c     options and presets          words.c    what tokenizers are trained on
 *   keys.c     metadata                     vocab.c    training, and the three kinds of vocabulary
 *   tensors.c  which tensors there are      blocks.c   rows of random weights in each type
 *
 * The same options give the same bytes, on every machine. */
#ifndef VX11_SYNTH_H
#define VX11_SYNTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"

enum arch { ARCH_LLAMA, ARCH_QWEN2, ARCH_BERT, ARCH_NOMIC_BERT };
enum tokenizer { TOKENIZER_AUTO, TOKENIZER_BPE, TOKENIZER_SPM, TOKENIZER_WORDPIECE };
enum pooling { POOLING_NONE, POOLING_MEAN, POOLING_CLS, POOLING_LAST };

/* ggml's numbers */
enum weight {
    WEIGHT_F32 = 0,
    WEIGHT_F16 = 1,
    WEIGHT_Q4_0 = 2,
    WEIGHT_Q8_0 = 8,
    WEIGHT_Q4_K = 12,
    WEIGHT_Q6_K = 14,
};
enum { MIXTURE_Q4_K_M = 100 }; /* of q4_K and q6_K, as llama.cpp mixes them */

struct shape {
    enum arch arch;
    int64_t layers, width, heads, kv_heads, feed_forward, vocabulary, context;
    int type; /* enum weight or MIXTURE_… */
    enum tokenizer tokenizer;
    enum pooling pooling;
    double yarn_factor;    /* 0: no scaling of positions */
    int64_t yarn_original; /* context before scaling; 0: context / factor */
    double rope_base;
    bool tied;      /* the output layer is the embedding */
    int64_t repeat; /* 0, or: mostly a cycle of so many tokens */
    int64_t seed;
    const char *chat_template; /* Jinja; NULL: none */
    const char *name;
};

void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void *allocate(size_t count, size_t size); /* zeroed; never NULL */

/* ---- vocab.c ---- */

enum token_kind { TOKEN_NORMAL = 1, TOKEN_UNKNOWN = 2, TOKEN_CONTROL = 3, TOKEN_BYTE = 6 };

struct token {
    char *text; /* as the file has it: spaces and bytes are written as the tokenizer's kind wants */
    enum token_kind kind;
    bool rare; /* never to be written: control tokens, halves of characters */
};

struct vocabulary {
    enum tokenizer tokenizer;
    struct token *tokens;
    size_t count;
    char **merges; /* "a b", most important first; byte pairs only */
    size_t merge_count;
    int64_t begin, end, start, unknown, separator, padding, mask; /* tokens; -1: none */
};

extern const char *const synth_words[]; /* words.c: lines of words with a space between, then NULL */

/* Exits when `count` does not suffice for the alphabet. */
void vocabulary_make(struct vocabulary *v, enum tokenizer tokenizer, size_t count);
void vocabulary_free(struct vocabulary *v);

/* ---- keys.c ---- */

/* Appends all metadata; returns how many pairs. */
uint64_t keys_write(struct buf *out, const struct shape *h, const struct vocabulary *v);
void put_u32(struct buf *b, uint32_t v);
void put_u64(struct buf *b, uint64_t v);
void put_string(struct buf *b, const char *text);

/* ---- tensors.c ---- */

enum fill { FILL_RANDOM, FILL_ONES };

struct tensor {
    char name[64];
    uint64_t columns, rows; /* rows 0: a vector */
    int type;
    enum fill fill;
    float size;    /* standard deviation of the weights */
    bool by_token; /* its rows are the vocabulary's */
    bool predicts; /* its rows are partly those of token_embd of the token before: struct shape's repeat */
};

struct tensors {
    struct tensor *list;
    size_t count;
};

void tensors_list(struct tensors *t, const struct shape *h);
uint64_t tensor_bytes(const struct tensor *t);
void tensors_write(const struct tensors *t, const struct shape *h, const struct vocabulary *v, FILE *out);

/* ---- blocks.c ---- */

size_t row_bytes(int type, uint64_t columns);
uint64_t block_columns(int type); /* a row is a whole number of them */
uint64_t random_seed(uint64_t seed, uint64_t stream, uint64_t row);
/* A row of independent weights with mean 0 and this standard deviation; `random` is where its numbers begin.
 */
void row_fill(void *row, int type, uint64_t columns, float size, uint64_t random);

#endif
