/* Prompt: a chat through the model's template, as text and as tokens. */
#ifndef VX11_ENGINE_PROMPT_H
#define VX11_ENGINE_PROMPT_H

#include "engine/chat_format.h"
#include "engine/marks.h"
#include "engine/model.h"
#include "engine/tokenize.h"

/* Applies the model's template and appends the tokens of what comes out; texts that spell control tokens of
 * the model must have been protected with `marks`. *chat: chat_prompt_free. VX11_EUNSUPPORTED when the model
 * has no template that can be applied, VX11_EINVALID when the template refuses these messages, VX11_ENOMEM,
 * and tokenize's. */
int prompt_make(const struct model *m, const struct chat_input *in, const struct marks *marks,
                struct chat_prompt **chat, struct tokens *out, struct error *err);
/* The model's control tokens as marks want them. */
void prompt_marks(const struct model *m, struct marks *marks, struct arena *a);

#endif
