/* Facts: what one model file says about itself, ready for the registry. Reading them touches only the file,
 * so it may run on any thread. */
#ifndef VX11_HERMES_FACTS_H
#define VX11_HERMES_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "api/hermes.h"
#include "base/arena.h"
#include "base/error.h"

struct model_facts {
    const char *path;                                          /* absolute */
    int status;                                                /* enum hermes_model_status */
    const char *reason;                                        /* why it is not available; NULL: it is */
    int64_t size_bytes, mtime_ns;                              /* -1: not seen */
    const char *architecture, *title, *licence, *quantisation; /* NULL: unknown, as -1 below */
    int64_t parameters, context_length, embedding_length, layers, vocabulary, kv_bytes_per_token;
    bool has_chat_template;
};

/* Looks at a file: missing, invalid (with the reason) or available. Strings live in the arena. Returns 0, or
 * VX11_ENOMEM. */
int model_facts_read(const char *path, struct arena *a, struct model_facts *out);
/* Size and modification time only. 0, or VX11_E… when it is not there or no regular file. */
int model_facts_stat(const char *path, int64_t *size, int64_t *mtime_ns, struct error *err);

/* Name for requests out of a file's name: without folder and .gguf, other characters than letters, digits and
 * ._:@- replaced by '-', at most 120 bytes so that "-999" fits behind. NULL without memory. */
const char *model_name_from_path(const char *path, struct arena *a);
bool model_name_valid(const char *name);

enum { MODEL_CAPABILITIES = 3 };
/* What a model of this architecture (NULL: unknown) can be asked for, enum openai_capability, into out, which
 * has room for MODEL_CAPABILITIES. Returns how many. */
size_t model_capabilities(const char *architecture, bool has_chat_template, int *out);

#endif
