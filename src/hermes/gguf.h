/* Gguf: reads the header of a GGUF model file, believing nothing it says.
 *
 *   magic version counts │ key-value pairs │ tensor descriptions │ pad │ tensor data
 *   <────────────── read, every length checked ────────────────>       <─ bounds only ─>
 *
 * Versions 2 and 3, little endian. The file is read with pread in small pieces, not mapped: a file that is
 * cut while it is being read is an error and not a SIGBUS. Format: the GGUF specification of the ggml
 * project, and what the engine's own loader accepts where the two differ. */
#ifndef VX11_HERMES_GGUF_H
#define VX11_HERMES_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

/* Bounds on what a header may claim; each is far above any model published so far. */
#define GGUF_MAX_PAIRS       UINT64_C(65536)
#define GGUF_MAX_TENSORS     UINT64_C(131072)
#define GGUF_MAX_KEY         UINT64_C(65535)      /* bytes, as the specification says */
#define GGUF_MAX_TENSOR_NAME UINT64_C(63)         /* bytes, as the engine's loader says */
#define GGUF_MAX_STRING      (UINT64_C(64) << 20) /* bytes */
#define GGUF_MAX_ARRAY       (UINT64_C(64) << 20) /* elements */
#define GGUF_MAX_ALIGNMENT   (UINT64_C(1) << 20)  /* bytes */
#define GGUF_MAX_TEMPLATE    ((size_t)512 << 10)  /* bytes of chat template that are kept */
#define GGUF_ARENA_LIMIT     ((size_t)64 << 20)   /* a good limit for the arena given to the readers */

#define GGUF_TYPE_MAX        64 /* tensor types have numbers below this */

/* One tensor type of ggml: `block` weights are stored in `bytes` bytes. */
struct gguf_tensor_type {
    const char *name; /* "Q4_K"; NULL: no such type, or one that was withdrawn */
    uint32_t block, bytes;
};
const struct gguf_tensor_type *gguf_tensor_type(uint32_t number); /* NULL: unknown */
const char *gguf_file_type_name(int64_t number); /* of general.file_type, "Q4_K_M"; NULL: unknown */

/* What a header says. Strings live in the arena; NULL or -1: the file does not say. */
struct gguf_info {
    uint32_t version;
    uint64_t file_size;   /* bytes */
    uint64_t data_offset; /* where the tensor data begins */
    uint64_t data_size;   /* bytes from there to the end of the last tensor */
    uint64_t pairs, tensors;
    uint32_t alignment;
    uint64_t parameters;                  /* weights, summed over the tensors */
    const char *quantisation;             /* type of most weights, "Q8_0"; NULL without tensors */
    uint64_t type_weights[GGUF_TYPE_MAX]; /* weights by tensor type */

    const char *architecture, *kind /* general.type */, *name, *licence, *tokenizer, *file_type;
    int64_t context_length, embedding_length, layers, heads, vocabulary;
    int64_t heads_kv;                 /* of the layer that has most */
    int64_t heads_kv_sum;             /* over all layers */
    int64_t key_length, value_length; /* per head */
    int64_t split_count;
    bool has_chat_template;
    const char *chat_template; /* NULL also when it is larger than GGUF_MAX_TEMPLATE */
};

/* Reads and checks a header. 0; VX11_ECORRUPT (cut short, hostile or damaged), VX11_EUNSUPPORTED (version 1,
 * big endian), VX11_ETOO_LARGE (past one of the bounds above), VX11_ENOT_FOUND, VX11_EPERMISSION, VX11_EIO,
 * VX11_ENOMEM. The sentence names what was being read and the byte where it stands. */
int gguf_read_file(const char *path, struct arena *a, struct gguf_info *out, struct error *err);
int gguf_read_fd(int fd, struct arena *a, struct gguf_info *out, struct error *err);
/* The same from memory, as if a file of file_size bytes began with these (len <= file_size). */
int gguf_read_memory(const void *data, size_t len, uint64_t file_size, struct arena *a, struct gguf_info *out,
                     struct error *err);

/* Whether what a sound file holds is a language model in one file that the engine can load: else
 * VX11_EUNSUPPORTED with the reason. */
int gguf_check_model(const struct gguf_info *info, struct error *err);

/* Rough bytes of KV cache for `tokens` of context in 16-bit numbers: 2 * tokens * sum of KV heads * head
 * length. 0 when the header does not say enough. */
uint64_t gguf_kv_bytes(const struct gguf_info *info, uint64_t tokens);

#endif
