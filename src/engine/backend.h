/* Backends: ggml's code for this machine's processors, which is loaded at run time from shared libraries. */
#ifndef VX11_ENGINE_BACKEND_H
#define VX11_ENGINE_BACKEND_H

#include "base/error.h"

/* Once per process, before the first model: loads the backends beside libllama (else those that ggml finds
 * itself), of the processor's the one that suits the model in the file best; NULL: ggml's own choice. Again:
 * does nothing. VX11_EUNAVAILABLE when there is none for this processor. */
int backends_load(const char *model_path, struct error *err);

#endif
