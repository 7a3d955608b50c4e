/* Template: from the messages of a chat to the text that the model was trained on, by the template in the
 * model's file. */
#ifndef VX11_ENGINE_TEMPLATE_H
#define VX11_ENGINE_TEMPLATE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "engine/model.h"

struct template_message {
    const char *role;    /* "system", "user", "assistant", … */
    const char *content; /* UTF-8 */
};

/* Reads the model's template and tries it; sets m->chat_template and m->template_state. VX11_ENOMEM alone. */
int template_detect(struct model *m, struct error *err);
/* Appends the prompt, up to where the assistant is to speak. VX11_EUNSUPPORTED when the model has no template
 * that can be applied. */
int template_apply(const struct model *m, const struct template_message *messages, size_t n, struct buf *out,
                   struct error *err);

#endif
