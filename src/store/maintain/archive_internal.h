/* What the archive's files share. */
#ifndef VX11_STORE_MAINTAIN_ARCHIVE_INTERNAL_H
#define VX11_STORE_MAINTAIN_ARCHIVE_INTERNAL_H

#include "store/maintain/archive.h"

#define ARCHIVE_SUFFIX ".jsonl.zst"

/* What one part holds. */
struct archive_sums {
    int64_t lines, content_bytes;
    char sha256[65], content_sha256[65];
};
/* Reads `bytes` bytes of the file from offset on, unpacks and sums them. Exactly whole frames. */
int archive_sum(int fd, int64_t offset, int64_t bytes, const volatile bool *stop, struct archive_sums *out,
                struct error *err);
/* FOLDER/PATH; a path that leaves the folder is refused. */
int archive_path(const char *folder, const char *path, char *out, size_t size, struct error *err);

#endif
