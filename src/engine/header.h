/* Header: the few facts of a GGUF file's header that must be known before libllama reads it.
 *
 * libllama's own reader makes every string of the vocabulary, which for a large one takes a tenth of a
 * second each time; this one skips them. It believes nothing: a header that is not sound is an error here and
 * gets its sentence from libllama, which refuses it too. */
#ifndef VX11_ENGINE_HEADER_H
#define VX11_ENGINE_HEADER_H

#include <stdint.h>

struct header { /* 0, "": the file does not say */
    uint64_t file_bytes;
    uint64_t data_at; /* roughly: where the descriptions of the tensors begin */
    char architecture[64];
    int64_t vocabulary; /* tokens */
    int64_t context;    /* that the model was trained for */
    int64_t layers;
    int64_t heads, key_length, embedding;
    char rope_scaling[32]; /* "linear", "yarn", "longrope"; "none" counts as absent */
    double rope_factor;    /* how much longer than trained for the context may be */
    int64_t rope_context;  /* that the positions were trained for before they were scaled */
    double rope_frequency; /* base */
};

/* 0, VX11_ENOT_FOUND, VX11_EIO, VX11_ECORRUPT. */
int header_read(const char *path, struct header *out);

/* Numbers in one attention head; 0: unknown. */
int64_t header_head_size(const struct header *h);
/* Most tokens of context that the metadata vouch for: what the model was trained for, and beyond that only
 * when they name a scaling of the positions, its factor and the length that it scales. 0: unknown. */
int64_t header_context_most(const struct header *h);

#endif
