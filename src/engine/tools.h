/* Tools: what a chat offers the model to call, checked. */
#ifndef VX11_ENGINE_TOOLS_H
#define VX11_ENGINE_TOOLS_H

#include "engine/chat_format.h"
#include "engine/engine_internal.h"
#include "engine/marks.h"

enum { TOOLS_MOST = 128 };

struct tools {
    size_t count;      /* 0: none are offered */
    const char *shown; /* JSON array for the model to read; may hold marks */
    const char
        *exact; /* those that may be called now, without marks; `shown` itself when they are the same */
    enum chat_tool_choice choice;
    bool parallel;
};

/* Checks tools, tool_choice and parallel_tool_calls. All in the arena. False: see the fault. */
bool tools_read(const struct openai_chat_request *q, struct marks *marks, struct arena *a, struct tools *out,
                struct request_fault *fault);

#endif
