/* Sizes: what a model with its context takes, by libllama's own reckoning. A C header in front of a C++
 * interface of libllama's. */
#ifndef VX11_ENGINE_FIT_SIZES_H
#define VX11_ENGINE_FIT_SIZES_H

#include <stddef.h>
#include <stdint.h>
#include <llama.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FIT_DEVICES = 16 };

struct fit_device { /* memory of a graphics processor, bytes */
    ggml_backend_dev_t device;
    uint64_t free, total; /* now; total 0: it does not say */
    uint64_t weights, kv, compute;
};

struct fit_sizes {    /* bytes */
    uint64_t mapped;  /* weights that are computed with where the file is mapped */
    uint64_t weights; /* weights of which we hold a copy in an order that this processor likes better */
    uint64_t kv, compute;
    uint64_t rest; /* vocabulary, logits and what else is made at a load */
    struct fit_device devices[FIT_DEVICES];
    size_t device_count;
};

/* Of a context of a model that was loaded with no_alloc. rest is not set, nor what the devices have free. 0;
 * VX11_ENOMEM, VX11_EUNSUPPORTED (more devices than FIT_DEVICES). */
int fit_sizes_of(const struct llama_context *context, struct fit_sizes *out);

#ifdef __cplusplus
}
#endif

#endif
