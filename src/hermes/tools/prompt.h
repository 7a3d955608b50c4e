/* Prompt: a conversation as one text, for tools that take one.
 *
 * A single message of the user alone is its own text. Else: what system and developer messages say, then the
 * turns, each headed by who speaks, all with an empty line between them:
 *
 *   You are brief.
 *
 *   User: hello
 *
 *   Assistant: Good day.
 *
 *   User: and now? */
#ifndef VX11_HERMES_TOOLS_PROMPT_H
#define VX11_HERMES_TOOLS_PROMPT_H

#include "api/openai.h"
#include "base/buf.h"
#include "base/error.h"

#define PROMPT_MAX ((size_t)8 << 20)

/* Appends to out. VX11_EUNSUPPORTED: a part that is no text (images). VX11_EINVALID: content of another
 * shape. VX11_ETOO_LARGE. */
int prompt_render(const struct openai_chat_message *messages, size_t n, struct buf *out, struct error *err);

#endif
