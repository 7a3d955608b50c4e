/* Tokens: how many a text has, when nobody who knows can be asked.
 *
 * An estimate, never an exact number, and whoever passes one on marks it as such. The rule, by what the
 * byte-pair vocabularies in use make of a text:
 *
 *   Latin letters, digits, spaces      a token for every 4 characters, and at least one for every word
 *   other ASCII (punctuation)          a token for every 2 characters
 *   letters beyond ASCII               a token for every 2 characters
 *   Chinese, Japanese, Korean, emoji   a token for every character
 *   each message                       4 more; each tool its JSON text; each image 1600; each PDF 1600 for
 * every 64 KiB
 *
 * It errs a little on the high side, so that what is reserved by it suffices. */
#ifndef VX11_SWITCH_TOKENS_H
#define VX11_SWITCH_TOKENS_H

#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

int64_t tokens_estimate_text(const char *text, size_t len);
/* Of a request's prompt, in OpenAI's shape: messages, tools and response_format of a chat, prompt of a
 * completion, input of embeddings; whichever are there. */
int64_t tokens_estimate_request(yyjson_val *root);
/* Of any JSON value, as the text that it is. */
int64_t tokens_estimate_value(yyjson_val *value);

#endif
