/* Any bytes as the beginning of a file that somebody attaches. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "operator/files/media.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct media m;
    bool found = media_sniff(data, len, &m);
    if (found != (m.type != NULL) || (found && m.image == m.audio))
        abort();
    if (m.width > INT32_MAX || m.height > INT32_MAX || (m.width == 0) != (m.height == 0))
        abort();
    return 0;
}
