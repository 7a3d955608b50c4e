/* Any bytes as a saved conversation: as they are, and again with a foot that says what is true of them, so
 * that the checks behind the first ones are reached as well. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/saved_file.h"

static void read_once(int fd)
{
    struct saved_foot foot;
    struct error err = {0};
    llama_token *tokens = NULL;
    int rc = saved_file_read(fd, &foot, &tokens, &err);
    if (rc != err.code || (rc == 0) != (tokens != NULL))
        abort();
    if (rc == 0) {
        uint32_t sum = 0;
        for (uint32_t i = 0; i < foot.tokens; i++)
            sum += (uint32_t)tokens[i];
        (void)sum;
        rc = saved_file_check(fd, &foot, &err);
        if (rc != err.code)
            abort();
    }
    free(tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct saved_foot foot = {0};
    struct error err = {0};
    const int fd = memfd_create("saved", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, len) != (ssize_t)len)
        abort();
    read_once(fd);
    if (len >= 12)
        memcpy(&foot.tokens, data + 8, sizeof foot.tokens);
    if (saved_file_seal(fd, &foot, &err) != 0)
        abort();
    read_once(fd);
    llama_token *tokens = NULL;
    if (saved_file_read(fd, &foot, &tokens, &err) == 0 && saved_file_check(fd, &foot, &err) != 0)
        abort(); /* what we sealed is sound */
    free(tokens);
    (void)close(fd);
    return 0;
}
