/* The one place that asks libllama for its sizes: it answers with a C++ map. No exception leaves it. */
#include "engine/fit_sizes.h"

#include <llama-common/llama-ext.h>

extern "C" {
#include "base/error.h"
}

namespace
{

struct fit_device *device_of(struct fit_sizes *s, ggml_backend_dev_t device)
{
    for (size_t i = 0; i < s->device_count; i++) {
        if (s->devices[i].device == device)
            return &s->devices[i];
    }
    if (s->device_count == FIT_DEVICES)
        return nullptr;
    struct fit_device *d = &s->devices[s->device_count++];
    d->device = device;
    return d;
}

/* Memory of the machine, whether plain or in an order of the processor's own (those buffers do not count as
 * "host", which other programs' sums leave out). */
bool of_machine(ggml_backend_buffer_type_t type, ggml_backend_dev_t device)
{
    return !device || ggml_backend_buft_is_host(type) ||
           ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU;
}

int sum(const struct llama_context *context, struct fit_sizes *out)
{
    for (const auto &entry : llama_get_memory_breakdown(context)) {
        ggml_backend_dev_t device = ggml_backend_buft_get_device(entry.first);
        if (of_machine(entry.first, device)) {
            uint64_t *weights = ggml_backend_buft_is_host(entry.first) ? &out->mapped : &out->weights;
            *weights += entry.second.model;
            out->kv += entry.second.context;
            out->compute += entry.second.compute;
            continue;
        }
        struct fit_device *d = device_of(out, device);
        if (!d)
            return VX11_EUNSUPPORTED;
        d->weights += entry.second.model;
        d->kv += entry.second.context;
        d->compute += entry.second.compute;
    }
    return 0;
}

} // namespace

int fit_sizes_of(const struct llama_context *context, struct fit_sizes *out)
{
    *out = fit_sizes{};
    try {
        return sum(context, out);
    } catch (...) {
        return VX11_ENOMEM;
    }
}
