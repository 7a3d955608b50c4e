/* Template: the chat format of a loaded model, from the template in its file or another one. */
#ifndef VX11_ENGINE_TEMPLATE_H
#define VX11_ENGINE_TEMPLATE_H

#include "base/error.h"
#include "engine/model.h"

enum { TEMPLATE_MOST = 1 << 20 }; /* bytes */

/* Reads the model's template, or `text` in its place (NULL: the model's), tries it, and sets m->chat,
 * m->template_state and, when that is UNSUPPORTED, m->template_reason. VX11_ENOMEM alone. */
int template_detect(struct model *m, const char *text, struct error *err);
/* Why chats cannot be answered; VX11_EUNSUPPORTED. 0 when they can. */
int template_ready(const struct model *m, struct error *err);
/* The text of a template's file; free(). VX11_ENOT_FOUND …, VX11_ETOO_LARGE, VX11_EINVALID (no text). */
int template_file_read(const char *path, char **out, struct error *err);

#endif
