/* Providers that were added while running: rows whose settings are a provider of the configuration, as JSON.
 * Keys are named there, never held. */
#ifndef VX11_HERMES_PROVIDERS_H
#define VX11_HERMES_PROVIDERS_H

#include "api/config.h"
#include "base/arena.h"
#include "store/store.h"

int providers_list(struct store *s, struct arena *a, struct config_provider **out, size_t *n,
                   struct error *err);

#endif
