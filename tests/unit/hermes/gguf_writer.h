/* Writes GGUF headers for tests, sound and hostile alike: nothing is checked. */
#ifndef VX11_TEST_HERMES_GGUF_WRITER_H
#define VX11_TEST_HERMES_GGUF_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { /* value types of the format */
       GW_U8,
       GW_I8,
       GW_U16,
       GW_I16,
       GW_U32,
       GW_I32,
       GW_F32,
       GW_BOOL,
       GW_STRING,
       GW_ARRAY,
       GW_U64,
       GW_I64,
       GW_F64
};

void gw_uint(struct buf *b, uint64_t value, unsigned bytes);
void gw_string(struct buf *b, const char *s);
void gw_begin(struct buf *b, uint32_t version, uint64_t tensors, uint64_t pairs);
void gw_key(struct buf *b, const char *key, uint32_t type);
void gw_pair_string(struct buf *b, const char *key, const char *value);
void gw_pair_u32(struct buf *b, const char *key, uint32_t value);
/* An array of `count` strings "t0", "t1" … */
void gw_pair_tokens(struct buf *b, const char *key, uint64_t count);
void gw_tensor(struct buf *b, const char *name, uint32_t dims, const uint64_t *extent, uint32_t type,
               uint64_t offset);
/* Zero bytes up to a multiple of `alignment`. */
void gw_pad(struct buf *b, size_t alignment);
void gw_zeros(struct buf *b, size_t n);

/* A small file that is a sound language model as far as its header says: two tensors (Q8_0 and F32), context
 * 128, vocabulary 4. `salt` goes into general.name and so makes files differ. */
void gw_model(struct buf *b, const char *salt);
#define GW_MODEL_PAIRS 9
/* As gw_model, but with keys and tensor descriptions only; returns the offset at which the second tensor's
 * description begins. */
size_t gw_model_header(struct buf *b, const char *salt);

#endif
