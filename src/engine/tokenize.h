/* Tokenize: text to tokens and back. Thread-safe, as libllama's vocabulary is. */
#ifndef VX11_ENGINE_TOKENIZE_H
#define VX11_ENGINE_TOKENIZE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "engine/model.h"

struct tokens { /* a growable run of tokens; tokens_free */
    llama_token *data;
    size_t len, cap;
};

#define TOKENS_INIT                                                                                          \
    {                                                                                                        \
        NULL, 0, 0                                                                                           \
    }

void tokens_free(struct tokens *t);
int tokens_append(struct tokens *t, const llama_token *tokens, size_t n); /* 0 or VX11_ENOMEM */

/* Appends the tokens of text. add_special: with the tokens that the model wants at the start and the end of a
 * text. parse_special: text that spells a control token becomes that token, else it stays text.
 * VX11_ETOO_LARGE past 2^31 bytes, VX11_ENOMEM. */
int tokenize(const struct model *m, const char *text, size_t len, bool add_special, bool parse_special,
             struct tokens *out, struct error *err);
/* Appends the text of one token: bytes, which may be a part of a character only. with_special: control tokens
 * as they are spelled, else they give nothing. 0 or VX11_ENOMEM. */
int token_append_text(const struct model *m, llama_token token, bool with_special, struct buf *out);
/* Appends the text of all tokens. VX11_EINVALID names a token that is not one. */
int detokenize(const struct model *m, const llama_token *tokens, size_t n, bool with_special, struct buf *out,
               struct error *err);
bool token_valid(const struct model *m, int64_t token);

#endif
