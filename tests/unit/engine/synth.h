/* Synth: small model files made for a test: the guide's tokenizer and template with random weights of another
 * shape, or its weights with other metadata. */
#ifndef VX11_TEST_ENGINE_SYNTH_H
#define VX11_TEST_ENGINE_SYNTH_H

#include <stdint.h>
#include <gguf.h>

struct synth_shape {
    uint32_t layers, width, feed_forward, heads, heads_kv, context;
};

/* Random Q8_0 weights of this shape into `path`. change (may be NULL) may set more keys. */
void synth_model(const char *path, const struct synth_shape *shape, void (*change)(struct gguf_context *g));

#endif
