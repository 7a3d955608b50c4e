/* Guide: the small model that travels inside the binary, put where engines can open it. */
#ifndef VX11_HERMES_GUIDE_H
#define VX11_HERMES_GUIDE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "store/store.h"

/* Sees to it that HOME/models/builtin/vx11-guide.gguf has exactly these bytes; writes it when it is missing
 * or another. path receives its name. VX11_ENOT_FOUND when size is 0: this build carries no guide model. */
int guide_install(const char *home, const unsigned char *data, size_t size, char *path, size_t path_size,
                  struct error *err);
/* Sees to it that the registry has it, as vx11-guide. */
int guide_register(struct store *s, const char *path, int64_t now, struct error *err);

#endif
