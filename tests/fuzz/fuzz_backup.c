/* Any bytes as a manifest, and as a sealed or compressed backup: no crash, bounded output, and what is taken
 * for a manifest is written again as the same bytes. First byte: which. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/backup/backup_internal.h"

#define MOST 100000

static void manifest_once(const char *text, size_t len)
{
    struct arena *a = arena_create(0);
    struct backup_manifest m;
    struct error err = {0};
    struct buf again = BUF_INIT;
    if (!a)
        return;
    int rc = manifest_parse(text, len, a, &m, &err);
    if (rc != err.code)
        abort();
    if (rc == 0 &&
        (manifest_text(&m, &again, &err) != 0 || again.len != len || memcmp(again.data, text, len) != 0))
        abort();
    buf_free(&again);
    arena_destroy(a);
}

/* Values of anybody's choosing, with the check that belongs to them: what is behind the first checks. */
static void manifest_made(const uint8_t *data, size_t len)
{
    char sha[65];
    struct error err = {0};
    struct buf text = BUF_INIT;
    memset(sha, "0123456789abcdef"[data[0] & 15], 64);
    sha[64] = '\0';
    struct backup_manifest m = {.format = 1,
                                .kind = data[0] % 6,
                                .program = "0.1.0",
                                .bytes = 1 + (int64_t)len,
                                .sha256 = sha,
                                .database_bytes = 512,
                                .database_sha256 = sha,
                                .compressed = len & 1};
    if (manifest_text(&m, &text, &err) == 0) {
        manifest_once(text.data, text.len);
        for (size_t i = 0; i < len && text.len > 0; i++) /* and damaged */
            text.data[(i * 131 + data[i]) % text.len] ^= (char)(data[i] | 1);
        manifest_once(text.data, text.len);
    }
    buf_free(&text);
}

static void unpack_once(int fd, bool compressed, bool sealed)
{
    static const unsigned char key[BACKUP_KEY_LEN] = {1, 2, 3};
    struct pack_sums packed, plain;
    struct error err = {0};
    if (lseek(fd, 0, SEEK_SET) != 0)
        abort();
    int rc = unpack_stream(fd, -1, compressed, sealed, key, MOST, NULL, &packed, &plain, &err);
    if (rc != err.code || (rc == 0 && plain.bytes > MOST))
        abort();
}

/* Packed by us, one byte changed: found, or it comes out as it went in. */
static void seal_made(const uint8_t *data, size_t len, bool compress)
{
    static const unsigned char key[BACKUP_KEY_LEN] = {1, 2, 3};
    const struct pack_options o = {.compress = compress, .key = key};
    struct pack_sums plain, packed, seen, out;
    struct error err = {0};
    unsigned char byte;
    const int in = memfd_create("in", MFD_CLOEXEC), file = memfd_create("out", MFD_CLOEXEC);
    if (in < 0 || file < 0 || write(in, data, len) != (ssize_t)len || lseek(in, 0, SEEK_SET) != 0)
        abort();
    if (pack_stream(in, file, &o, NULL, &plain, &packed, &err) != 0 || lseek(file, 0, SEEK_SET) != 0)
        abort();
    if (unpack_stream(file, -1, compress, true, key, (int64_t)len, NULL, &seen, &out, &err) != 0 ||
        strcmp(out.sha256, plain.sha256) != 0)
        abort();
    const off_t at = (off_t)((data[0] * 7919u + len) % (size_t)packed.bytes);
    if (pread(file, &byte, 1, at) != 1)
        abort();
    byte ^= (unsigned char)(1u << (data[0] & 7));
    if (pwrite(file, &byte, 1, at) != 1 || lseek(file, 0, SEEK_SET) != 0)
        abort();
    if (unpack_stream(file, -1, compress, true, key, (int64_t)len, NULL, &seen, &out, &err) == 0)
        abort();
    close(in);
    close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2)
        return 0;
    const uint8_t which = data[0] % 6;
    data++;
    len--;
    if (which == 0) {
        manifest_once((const char *)data, len);
    } else if (which == 1) {
        manifest_made(data, len);
    } else if (which == 5) {
        seal_made(data, len, data[0] & 1);
    } else {
        const int fd = memfd_create("backup", MFD_CLOEXEC);
        if (fd < 0 || write(fd, data, len) != (ssize_t)len)
            abort();
        unpack_once(fd, which & 1, which >= 3);
        close(fd);
    }
    return 0;
}
