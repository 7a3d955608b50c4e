/* Fit: what a model will take before any of it is taken, and the largest choice of context, kind of KV cells
 * and GPU layers that the memory has room for.
 *
 * libllama is asked itself: it can load a model without memory and then says what each buffer would take, for
 * every architecture it knows (sliding windows, recurrent state, compressed heads), and for the copies of
 * weights that this processor's code wants. */
#ifndef VX11_ENGINE_FIT_H
#define VX11_ENGINE_FIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/fit_sizes.h"
#include "engine/header.h"

struct model_options;

enum {
    FIT_CONTEXT_FLOOR = 2048, /* tokens: a chosen context does not become shorter than this */
    FIT_CELLS_STEP = 256,     /* libllama rounds the number of cells up to a multiple of it */
};

enum model_kv_type { MODEL_KV_F16, MODEL_KV_Q8_0, MODEL_KV_AUTO };

struct fit_want {
    int32_t context;    /* the longest that makes sense */
    bool context_fixed; /* it was asked for: not to be shortened */
    int32_t cells;      /* 0: to be chosen */
    int parallel;
    enum model_kv_type kv;
    int gpu_layers;  /* -1: to be chosen */
    int layers_most; /* all layers on the GPU */
};

struct fit_choice {
    int32_t context, cells;
    enum model_kv_type kv; /* never MODEL_KV_AUTO */
    int gpu_layers;
};

/* 0, VX11_EUNSUPPORTED (this kind of cells is not possible with the model), or another code with err set. */
typedef int (*fit_measure_fn)(void *ctx, const struct fit_choice *c, struct fit_sizes *out,
                              struct error *err);

struct fit_room {
    bool known;
    uint64_t free_bytes; /* memory of the machine that we may take */
    const char *bound;   /* what bounds it, for the sentence of a refusal: "free memory" */
};
/* What the kernel leaves us now: memory, control groups, address space; and at most `most` (0: no bound). */
void fit_room_read(uint64_t most, struct fit_room *out);

struct fit_plan {
    struct fit_choice choice;
    struct fit_sizes sizes;
    struct fit_room room;
    bool reduced; /* less than was wanted */
    struct header header;
};
uint64_t fit_need(const struct fit_sizes *s); /* bytes of the machine's memory */

/* Chooses. In this order, each as little as suffices: fewer GPU layers, fewer cells (down to one full
 * context: it costs company and cache only), q8_0 cells (half the size, and hardly to be told from f16), a
 * shorter context down to the floor (which turns conversations away). VX11_ENOMEM with the numbers when
 * nothing fits, or what measure gives. `name`: the model's, for the sentence. */
int fit_choose(const char *name, const struct fit_want *want, const struct fit_room *room,
               fit_measure_fn measure, void *ctx, struct fit_plan *out, struct error *err);

/* The same for a model file, measured by libllama. With another error than VX11_ENOMEM, out->choice is what
 * was wanted, unmeasured. */
int fit_plan(const struct model_options *o, const char *name, struct fit_plan *out, struct error *err);

#endif
