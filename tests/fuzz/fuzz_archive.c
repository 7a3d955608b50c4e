/* Files of the archive: whatever they hold, reading ends, within bounds, with sums or with a reason; what is
 * sound is summed twice alike. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "store/maintain/archive_internal.h"

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct archive_sums one, two;
    struct error err = {0};
    if (size > 65536)
        return 0;
    int fd = memfd_create("archive", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    int rc = archive_sum(fd, 0, (int64_t)size, NULL, &one, &err);
    must(rc == 0 || err.text[0] != '\0');
    if (rc == 0) {
        must(archive_sum(fd, 0, (int64_t)size, NULL, &two, &err) == 0);
        must(one.lines == two.lines && one.content_bytes == two.content_bytes);
        must(strcmp(one.content_sha256, two.content_sha256) == 0);
    }
    must(archive_sum(fd, 0, (int64_t)size + 1, NULL, &two, &err) != 0); /* one byte more than there is */
    close(fd);
    return 0;
}
