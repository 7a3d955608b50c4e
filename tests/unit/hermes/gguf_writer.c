/* See gguf_writer.h. */
#include "gguf_writer.h"

#include <string.h>

void gw_uint(struct buf *b, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        buf_putc(b, (char)(value >> (8 * i) & 0xFF));
}

void gw_string(struct buf *b, const char *s)
{
    gw_uint(b, strlen(s), 8);
    buf_puts(b, s);
}

void gw_begin(struct buf *b, uint32_t version, uint64_t tensors, uint64_t pairs)
{
    buf_puts(b, "GGUF");
    gw_uint(b, version, 4);
    gw_uint(b, tensors, 8);
    gw_uint(b, pairs, 8);
}

void gw_key(struct buf *b, const char *key, uint32_t type)
{
    gw_string(b, key);
    gw_uint(b, type, 4);
}

void gw_pair_string(struct buf *b, const char *key, const char *value)
{
    gw_key(b, key, GW_STRING);
    gw_string(b, value);
}

void gw_pair_u32(struct buf *b, const char *key, uint32_t value)
{
    gw_key(b, key, GW_U32);
    gw_uint(b, value, 4);
}

void gw_pair_tokens(struct buf *b, const char *key, uint64_t count)
{
    gw_key(b, key, GW_ARRAY);
    gw_uint(b, GW_STRING, 4);
    gw_uint(b, count, 8);
    for (uint64_t i = 0; i < count; i++) {
        char token[3] = {'t', (char)('0' + i % 10), '\0'};
        gw_string(b, token);
    }
}

void gw_tensor(struct buf *b, const char *name, uint32_t dims, const uint64_t *extent, uint32_t type,
               uint64_t offset)
{
    gw_string(b, name);
    gw_uint(b, dims, 4);
    for (uint32_t i = 0; i < dims; i++)
        gw_uint(b, extent[i], 8);
    gw_uint(b, type, 4);
    gw_uint(b, offset, 8);
}

void gw_zeros(struct buf *b, size_t n)
{
    while (n-- > 0)
        buf_putc(b, '\0');
}

void gw_pad(struct buf *b, size_t alignment)
{
    gw_zeros(b, (alignment - b->len % alignment) % alignment);
}

size_t gw_model_header(struct buf *b, const char *salt)
{
    const uint64_t wide[2] = {64, 4}, narrow[1] = {64};
    gw_begin(b, 3, 2, GW_MODEL_PAIRS);
    gw_pair_string(b, "general.architecture", "llama");
    gw_pair_string(b, "general.name", salt);
    gw_pair_u32(b, "llama.context_length", 128);
    gw_pair_u32(b, "llama.embedding_length", 64);
    gw_pair_u32(b, "llama.block_count", 2);
    gw_pair_u32(b, "llama.attention.head_count", 4);
    gw_pair_string(b, "tokenizer.ggml.model", "llama");
    gw_pair_tokens(b, "tokenizer.ggml.tokens", 4);
    gw_pair_string(b, "tokenizer.chat_template", "{{ messages }}");
    gw_tensor(b, "token_embd.weight", 2, wide, 8,
              0); /* Q8_0: 8 blocks of 34 bytes = 272, so the next begins at 288 */
    size_t second = b->len;
    gw_tensor(b, "output_norm.weight", 1, narrow, 0, 288);
    return second;
}

void gw_model(struct buf *b, const char *salt)
{
    (void)gw_model_header(b, salt);
    gw_pad(b, 32);
    gw_zeros(b, 288 + 64 * 4);
}
