/* Acquire: from a model's name to an engine that answers, whoever runs it: our own worker, a command, an
 * address. */
#ifndef VX11_HERMES_ACQUIRE_H
#define VX11_HERMES_ACQUIRE_H

#include "hermes/engines.h"
#include "hermes/hermes_internal.h"
#include "hermes/registry.h"

struct acquire;

/* Whether requests may use it; why is filled when not. */
bool acquire_usable(const struct registry_model *row, struct engine_refusal *why);
/* fn runs once: at once, and then *out is NULL, or later. Its refusal may also be 404 model_not_found. 0 or
 * VX11_E… as engines_acquire, and then fn is not called. */
int hermes_acquire(struct hermes *h, const char *name, const struct engine_ask *ask, engine_acquired_fn fn,
                   void *ctx, struct acquire **out, struct error *err);
void acquire_cancel(struct acquire *a); /* fn is not called */
/* A refusal for what the model is, not for how busy the machine is. */
bool acquire_blames_model(const struct engine_refusal *why);

#endif
