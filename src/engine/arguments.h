/* Arguments: of tool calls in the history, as clients send them back: not always whole, not always JSON. */
#ifndef VX11_ENGINE_ARGUMENTS_H
#define VX11_ENGINE_ARGUMENTS_H

#include <yyjson.h>

#include "base/arena.h"

enum arguments_state {
    ARGUMENTS_SOUND,    /* a JSON object */
    ARGUMENTS_MENDED,   /* made one: completed where it was cut, or {"input": …} around what is none */
    ARGUMENTS_TOO_DEEP, /* nested deeper than a template can be trusted with */
    ARGUMENTS_NO_MEMORY,
};

enum { ARGUMENTS_DEPTH = 48 };

/* Always a JSON object, in the arena; *state says what was done. NULL with the last two states. */
yyjson_doc *arguments_read(struct arena *a, const char *text, size_t len, enum arguments_state *state);

#endif
