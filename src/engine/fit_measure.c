/* One try measured by libllama: the model and its context are made without memory. The vocabulary, which is
 * most of the work, is left out: only its size matters here. */
#include "engine/fit.h"

#include <stdio.h>
#include <string.h>

#include "engine/header.h"
#include "engine/model.h"

#define REST_BYTES  (UINT64_C(8) << 20) /* graphs, tensors' descriptions, threads' stacks */
#define TOKEN_BYTES 320u                /* of the vocabulary's tables, for one token */

struct probe {
    const struct model_options *options;
    struct header header;
    struct llama_model *model; /* loaded with gpu_layers layers on devices */
    int gpu_layers;
};

static int probe_open(struct probe *p, int gpu_layers, struct error *err)
{
    struct llama_model_kv_override keys[3] = {
        {.tag = LLAMA_KV_OVERRIDE_TYPE_STR, .key = "tokenizer.ggml.model", .val_str = "none"},
        {.tag = LLAMA_KV_OVERRIDE_TYPE_INT, .val_i64 = p->header.vocabulary},
    };
    (void)snprintf(keys[1].key, sizeof keys[1].key, "%s.vocab_size", p->header.architecture);
    if (p->model && p->gpu_layers == gpu_layers)
        return 0;
    llama_model_free(p->model);
    struct llama_model_params m = model_params(gpu_layers);
    m.no_alloc = true;
    m.load_mode = LLAMA_LOAD_MODE_NONE;
    if (p->header.vocabulary > 0)
        m.kv_overrides = keys;
    model_log_quiet(true);
    p->model = llama_model_load_from_file(p->options->path, m);
    model_log_quiet(false);
    p->gpu_layers = gpu_layers;
    return p->model ? 0 : error_set(err, VX11_ECORRUPT, "libllama cannot read the model");
}

static uint64_t rest_of(const struct probe *p, const struct llama_context_params *c)
{
    const uint64_t row = (uint64_t)(p->header.vocabulary + p->header.embedding) * sizeof(float);
    const uint64_t rows = c->n_outputs_max ? c->n_outputs_max : c->n_batch;
    return REST_BYTES + (uint64_t)p->header.vocabulary * TOKEN_BYTES + rows * row;
}

static int measure(void *ctx, const struct fit_choice *c, struct fit_sizes *out, struct error *err)
{
    struct probe *p = ctx;
    *out = (struct fit_sizes){0};
    int rc = probe_open(p, c->gpu_layers, err);
    if (rc != 0)
        return rc;
    const struct llama_context_params params = model_context_params(p->model, p->options, c->cells, c->kv);
    model_log_quiet(true);
    struct llama_context *context = llama_init_from_model(p->model, params);
    model_log_quiet(false);
    if (!context)
        return error_set(err, VX11_EUNSUPPORTED, "%s cells are not possible with this model",
                         c->kv == MODEL_KV_Q8_0 ? "q8_0" : "f16");
    rc = fit_sizes_of(context, out);
    llama_free(context);
    if (rc != 0)
        return error_set(err, rc, "the sizes of the model's buffers are not known");
    out->rest = rest_of(p, &params);
    for (size_t i = 0; i < out->device_count; i++) {
        size_t free_bytes = 0, total = 0;
        ggml_backend_dev_memory(out->devices[i].device, &free_bytes, &total);
        out->devices[i].free = free_bytes;
        out->devices[i].total = total;
    }
    return 0;
}

static bool have_gpu(void)
{
    for (size_t i = 0; i < ggml_backend_dev_count(); i++) {
        const enum ggml_backend_dev_type type = ggml_backend_dev_type(ggml_backend_dev_get(i));
        if (type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU)
            return true;
    }
    return false;
}

static void want_of(const struct probe *p, struct fit_want *w)
{
    const struct model_options *o = p->options;
    const int64_t trained = header_context_most(&p->header);
    const int64_t most = o->context_most > 0 ? o->context_most : MODEL_CONTEXT_DEFAULT;
    int64_t context = o->context > 0 ? o->context : most;
    if (trained > 0 && trained < context)
        context = trained;
    *w = (struct fit_want){
        .context = context < INT32_MAX ? (int32_t)context : INT32_MAX,
        .context_fixed = o->context > 0,
        .cells = o->cells,
        .parallel = o->parallel,
        .kv = o->kv_type,
        .layers_most = have_gpu() ? (int)(p->header.layers < 10000 ? p->header.layers + 1 : 10000) : 0,
    };
    w->gpu_layers = w->layers_most == 0 ? 0 : o->gpu_layers;
}

static void choice_unmeasured(const struct fit_want *w, struct fit_choice *c)
{
    const int64_t all = (int64_t)w->context * w->parallel;
    *c = (struct fit_choice){
        .context = w->context,
        .cells = w->cells > 0      ? w->cells
                 : all < INT32_MAX ? (int32_t)all
                                   : w->context,
        .kv = w->kv == MODEL_KV_Q8_0 ? MODEL_KV_Q8_0 : MODEL_KV_F16,
        .gpu_layers = w->gpu_layers < 0 ? w->layers_most : w->gpu_layers,
    };
}

int fit_plan(const struct model_options *o, const char *name, struct fit_plan *out, struct error *err)
{
    struct probe p = {.options = o};
    struct fit_want want;
    struct fit_room room;
    *out = (struct fit_plan){0};
    int rc = header_read(o->path, &p.header);
    want_of(&p, &want);
    if (rc != 0) {
        choice_unmeasured(&want, &out->choice);
        out->header = p.header;
        return error_set(err, rc, "the header of %s cannot be read", o->path);
    }
    fit_room_read(o->memory_most, &room);
    rc = fit_choose(name, &want, &room, measure, &p, out, err);
    if (rc != 0)
        choice_unmeasured(&want, &out->choice);
    llama_model_free(p.model);
    out->header = p.header;
    return rc;
}
