/* Trigger: where in an answer's text a lazy grammar begins. A C face of std::regex, the dialect that
 * llama.cpp writes its triggers in; every exception becomes an error. */
#ifndef VX11_ENGINE_TRIGGER_H
#define VX11_ENGINE_TRIGGER_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "base/error.h"

struct trigger;

/* A pattern between ^ and $ must match the whole text, any other some part of it. VX11_ESYNTAX,
 * VX11_ENOMEM. */
int trigger_create(const char *pattern, struct trigger **out, struct error *err);
struct trigger *trigger_clone(const struct trigger *t); /* NULL without memory */
void trigger_destroy(struct trigger *t);                /* NULL is fine */
/* Where the grammar begins in the text: at the first group of the match that is not empty, else at the match.
 * `from`: text before it was searched already. False: there is no match (or the match was given up). */
bool trigger_find(const struct trigger *t, const char *text, size_t len, size_t from, size_t *start);

#ifdef __cplusplus
}
#endif

#endif
