/* Tokens: how many a request has, by the rule of base/tokens.h for texts. Besides those: each message 4 more,
 * each tool its JSON text, each image 1600, each PDF 1600 for every 64 KiB. */
#ifndef VX11_SWITCH_TOKENS_H
#define VX11_SWITCH_TOKENS_H

#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

#include "base/tokens.h"

/* Of a request's prompt, in OpenAI's shape: messages, tools and response_format of a chat, prompt of a
 * completion, input of embeddings; whichever are there. */
int64_t tokens_estimate_request(yyjson_val *root);
/* Of any JSON value, as the text that it is. */
int64_t tokens_estimate_value(yyjson_val *value);

#endif
