/* Messages: the history of a chat, checked, repaired, and made safe for a template. */
#ifndef VX11_ENGINE_MESSAGES_H
#define VX11_ENGINE_MESSAGES_H

#include "engine/chat_format.h"
#include "engine/engine_internal.h"
#include "engine/marks.h"

struct history {
    struct chat_message *messages; /* texts may hold marks */
    size_t count, bytes;
    size_t systems;  /* leading system messages */
    size_t repaired; /* calls whose arguments had to be mended */
};

/* Checks messages and everything in them: roles, parts of contents, calls and what answers them; mends
 * arguments of calls. All in the arena. False: see the fault, whose param is a JSON pointer. */
bool history_read(const struct openai_chat_message *in, size_t n, struct marks *marks, struct arena *a,
                  struct history *out, struct request_fault *fault);

/* A JSON value with its strings and keys protected, as text in the arena; NULL without memory. */
const char *json_protect(struct marks *marks, yyjson_val *value, struct arena *a);

/* What a history can lose, oldest first: whole turns (a message of the user with what follows it), then, in
 * the last turn, calls together with their results. System messages and the last message of the user stay. */
struct history_cut {
    size_t from, to; /* messages [from, to) go together */
};
/* Cuts in the order in which they go; each is beside the one before. Returns how many; out has room for n. */
size_t history_cuts(const struct history *h, struct history_cut *out);
/* The history without its first n cuts, in the arena. False without memory. */
bool history_without(const struct history *h, const struct history_cut *cuts, size_t n, struct arena *a,
                     struct history *out);

#endif
