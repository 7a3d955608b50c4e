/* Any bytes as a GGUF file: once as they are, and once as the start of a larger file, so that tensor places
 * beyond the bytes at hand are reached as well. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "hermes/gguf.h"

static void read_once(const uint8_t *data, size_t len, uint64_t file_size)
{
    struct arena *a = arena_create(GGUF_ARENA_LIMIT);
    struct gguf_info info;
    struct error err = {0};
    if (!a)
        abort();
    int rc = gguf_read_memory(data, len, file_size, a, &info, &err);
    if (rc != err.code || (rc == 0) != (err.text[0] == '\0'))
        abort(); /* an error without its sentence, or a sentence without its error */
    if (rc == 0) {
        (void)gguf_check_model(&info, &err);
        (void)gguf_kv_bytes(&info, UINT64_C(1) << 40);
        if (info.tensors > 0 && info.data_offset + info.data_size > file_size)
            abort();
    }
    arena_destroy(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    read_once(data, len, len);
    read_once(data, len, (uint64_t)len + (UINT64_C(1) << 32));
    return 0;
}
