/* Any Accept-Encoding gives a weight in its bounds and a coding that there is. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "link/page_accept.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *list = malloc(size + 1);
    if (!list)
        return 0;
    memcpy(list, data, size);
    list[size] = '\0';
    int weight = accept_weight(list, "br");
    if (weight < -1 || weight > 1000)
        abort();
    if (accept_encoding(list, false, false) != PAGE_ENCODING_IDENTITY ||
        accept_encoding(list, false, true) == PAGE_ENCODING_BR)
        abort();
    free(list);
    return 0;
}
