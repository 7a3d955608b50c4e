/* Prompt: from the messages of a chat to tokens. */
#ifndef VX11_ENGINE_PROMPT_H
#define VX11_ENGINE_PROMPT_H

#include "engine/template.h"
#include "engine/tokenize.h"

/* Appends the tokens of the messages through the model's template, up to where the assistant is to speak.
 * Text of a message that spells a control token of the model stays text. Errors as of template_apply and
 * tokenize. */
int prompt_chat(const struct model *m, const struct template_message *messages, size_t n, struct tokens *out,
                struct error *err);
/* Bytes of the contents together. */
size_t prompt_bytes(const struct template_message *messages, size_t n);

#endif
