/* What anthropic_reply.c and anthropic_stream.c share. */
#ifndef VX11_SWITCH_ANTHROPIC_INTERNAL_H
#define VX11_SWITCH_ANTHROPIC_INTERNAL_H

#include <stdint.h>
#include <yyjson.h>

struct anthropic_tokens { /* -1: not told */
    int64_t input, output, cached, created;
};
#define ANTHROPIC_TOKENS_UNKNOWN                                                                             \
    {                                                                                                        \
        -1, -1, -1, -1                                                                                       \
    }

void anthropic_usage_take(yyjson_val *usage, struct anthropic_tokens *to); /* what is there; the rest stays */
yyjson_mut_val *anthropic_usage_value(yyjson_mut_doc *doc,
                                      const struct anthropic_tokens *t); /* OpenAI's; or null */
const char *anthropic_finish(const char *stop_reason);                   /* OpenAI's finish_reason */

#endif
