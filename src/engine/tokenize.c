/* Tokenizing. libllama's functions say how much room they needed when it was too little: each is tried with a
 * guess first. */
#include "engine/tokenize.h"

#include <stdlib.h>
#include <string.h>

void tokens_free(struct tokens *t)
{
    free(t->data);
    *t = (struct tokens)TOKENS_INIT;
}

static int tokens_reserve(struct tokens *t, size_t extra)
{
    if (extra > SIZE_MAX / sizeof *t->data / 2 - t->len)
        return VX11_ENOMEM;
    if (t->len + extra <= t->cap)
        return 0;
    size_t cap = t->cap ? t->cap * 2 : 64;
    if (cap < t->len + extra)
        cap = t->len + extra;
    llama_token *data = realloc(t->data, cap * sizeof *data);
    if (!data)
        return VX11_ENOMEM;
    t->data = data;
    t->cap = cap;
    return 0;
}

int tokens_append(struct tokens *t, const llama_token *tokens, size_t n)
{
    if (tokens_reserve(t, n) != 0)
        return VX11_ENOMEM;
    if (n > 0)
        memcpy(t->data + t->len, tokens, n * sizeof *tokens);
    t->len += n;
    return 0;
}

int tokenize(const struct model *m, const char *text, size_t len, bool add_special, bool parse_special,
             struct tokens *out, struct error *err)
{
    if (len > INT32_MAX / 2)
        return error_set(err, VX11_ETOO_LARGE, "the text is too long");
    size_t room = len / 2 + 16;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (tokens_reserve(out, room) != 0)
            return error_set(err, VX11_ENOMEM, "out of memory");
        const int32_t n = llama_tokenize(m->vocab, text, (int32_t)len, out->data + out->len, (int32_t)room,
                                         add_special, parse_special);
        if (n >= 0) {
            out->len += (size_t)n;
            return 0;
        }
        if (n == INT32_MIN)
            return error_set(err, VX11_ETOO_LARGE, "the text has too many tokens");
        room = (size_t)-n;
    }
    return error_set(err, VX11_EINTERNAL, "the number of tokens changed between two calls");
}

int token_append_text(const struct model *m, llama_token token, bool with_special, struct buf *out)
{
    size_t room = 64;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (buf_reserve(out, room + 1) != 0)
            return VX11_ENOMEM;
        const int32_t n =
            llama_token_to_piece(m->vocab, token, out->data + out->len, (int32_t)room, 0, with_special);
        if (n >= 0) {
            out->len += (size_t)n;
            out->data[out->len] = '\0';
            return 0;
        }
        room = (size_t)-n;
    }
    return VX11_ENOMEM;
}

bool token_valid(const struct model *m, int64_t token)
{
    return token >= 0 && token < m->vocabulary;
}

int detokenize(const struct model *m, const llama_token *tokens, size_t n, bool with_special, struct buf *out,
               struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!token_valid(m, tokens[i]))
            return error_set(err, VX11_EINVALID, "token %zu is %d, but the vocabulary has %d", i,
                             (int)tokens[i], (int)m->vocabulary);
    }
    if (n > INT32_MAX)
        return error_set(err, VX11_ETOO_LARGE, "too many tokens");
    size_t room = n * 4 + 64;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (room > INT32_MAX || buf_reserve(out, room + 1) != 0)
            return error_set(err, VX11_ENOMEM, "out of memory");
        const int32_t len = llama_detokenize(m->vocab, tokens, (int32_t)n, out->data + out->len,
                                             (int32_t)room, false, with_special);
        if (len >= 0) {
            out->len += (size_t)len;
            out->data[out->len] = '\0';
            return 0;
        }
        room = (size_t)-len;
    }
    return error_set(err, VX11_EINTERNAL, "the length of the text changed between two calls");
}
