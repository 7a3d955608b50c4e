/* Parts of the status: the load, the memory, the processors, and what the histograms say. All of it on the
 * loop thread; what the decode thread has left there is read once the load has ended. */
#include "engine/engine_internal.h"

#include <math.h>
#include <string.h>

void status_load(const struct engine *e, struct engine_load *out)
{
    const struct model *m = e->model;
    *out = (struct engine_load){
        .bytes_read = (int64_t)atomic_load(&e->bytes_read),
        .bytes_total = (int64_t)atomic_load(&e->bytes_total),
        .percent = (double)atomic_load(&e->progress) * 100,
    };
    if (!m)
        return;
    out->percent = 100;
    out->has_from_disk_bytes = out->has_plan_ms = out->has_weights_ms = out->has_context_ms =
        out->has_warm_ms = true;
    out->from_disk_bytes = (int64_t)m->bytes_from_disk;
    out->plan_ms = m->times.plan;
    out->weights_ms = m->times.weights;
    out->context_ms = m->times.context;
    out->warm_ms = m->times.warm;
}

/* False while it is not known. */
bool status_memory(const struct engine *e, struct engine_memory *out)
{
    const struct fit_plan *p = &e->plan;
    const struct fit_sizes *s = &p->sizes;
    struct embed_stats embed;
    if (!e->load_model_seen || fit_need(s) == 0)
        return false;
    embed_stats(e->embedder, &embed); /* its context was not there when the plan was made */
    *out = (struct engine_memory){
        .need_bytes = (int64_t)(fit_need(s) + embed.context_bytes),
        .has_free_bytes = p->room.known,
        .free_bytes = (int64_t)p->room.free_bytes,
        .weights_mapped_bytes = (int64_t)s->mapped,
        .weights_copied_bytes = (int64_t)s->weights,
        .kv_bytes = (int64_t)s->kv,
        .compute_bytes = (int64_t)s->compute,
        .rest_bytes = (int64_t)s->rest,
        .reduced = p->reduced,
    };
    return true;
}

static uint64_t used_on(const struct fit_sizes *s, ggml_backend_dev_t device)
{
    for (size_t i = 0; i < s->device_count; i++) {
        const struct fit_device *d = &s->devices[i];
        if (d->device == device)
            return d->weights + d->kv + d->compute;
    }
    return ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU ? fit_need(s) : 0;
}

size_t status_devices(const struct engine *e, struct engine_device *out, size_t most)
{
    size_t n = 0;
    if (!e->load_model_seen)
        return 0; /* the decode thread may still be loading the backends */
    for (size_t i = 0; i < ggml_backend_dev_count() && n < most; i++) {
        ggml_backend_dev_t device = ggml_backend_dev_get(i);
        const enum ggml_backend_dev_type type = ggml_backend_dev_type(device);
        size_t free_bytes = 0, total = 0;
        ggml_backend_dev_memory(device, &free_bytes, &total);
        out[n++] = (struct engine_device){
            .name = ggml_backend_dev_name(device),
            .description = ggml_backend_dev_description(device),
            .gpu = type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU,
            .has_free_bytes = total > 0,
            .free_bytes = (int64_t)free_bytes,
            .has_total_bytes = total > 0,
            .total_bytes = (int64_t)total,
            .used_bytes = (int64_t)used_on(&e->plan.sizes, device),
        };
    }
    return n;
}

void status_rope(const struct model *m, struct engine_rope *out)
{
    const struct header *h = &m->plan.header;
    const int64_t most = header_context_most(h);
    *out = (struct engine_rope){
        .scaling = h->rope_scaling[0] ? h->rope_scaling : "none",
        .has_factor = h->rope_factor > 0,
        .factor = h->rope_factor,
        .has_original_context = h->rope_context > 0,
        .original_context = h->rope_context,
        .has_context_most = most > 0,
        .context_most = most,
    };
}

struct engine_spread status_spread(const struct metric *histogram)
{
    const double median = metric_quantile(histogram, 0.5), p95 = metric_quantile(histogram, 0.95);
    return (struct engine_spread){
        .has_median = !isnan(median), .median = median, .has_p95 = !isnan(p95), .p95 = p95};
}
