/* The guide is compared byte by byte with what the binary carries, not by hash: reading 4 MB takes two
 * milliseconds, hashing them twenty, and this happens on every start. */
#include "hermes/guide.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "hermes/registry.h"

#define COMPARE_PIECE ((size_t)256 << 10)

/* 1: the file has these bytes; 0: it does not, or cannot be read. */
static int file_has(const char *path, const unsigned char *data, size_t size)
{
    int same = 0;
    struct stat st;
    unsigned char *piece = malloc(COMPARE_PIECE);
    int fd = piece ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
        goto out;
    size_t at = 0;
    while (at < size) {
        ssize_t n = read(fd, piece, COMPARE_PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || (size_t)n > size - at || memcmp(piece, data + at, (size_t)n) != 0)
            goto out;
        at += (size_t)n;
    }
    same = 1;
out:
    if (fd >= 0)
        close(fd);
    free(piece);
    return same;
}

int guide_install(const char *home, const unsigned char *data, size_t size, char *path, size_t path_size,
                  struct error *err)
{
    char dir[4096];
    if (size == 0)
        return error_set(err, VX11_ENOT_FOUND, "this build carries no guide model");
    int rc = fs_path(dir, sizeof dir, home, "models/builtin");
    if (rc == 0)
        rc = fs_path(path, path_size, dir, "vx11-guide.gguf");
    if (rc != 0)
        return error_set(err, rc, "the path of the guide model is too long");
    if (file_has(path, data, size))
        return 0;
    rc = fs_mkdirs(dir, 0700, err);
    if (rc == 0)
        rc = fs_write_file_atomic(path, data, size, 0644, err);
    if (rc != 0)
        return error_prefix(err, rc, "the guide model cannot be written");
    log_info("guide", "the guide model was written", LOG_S("path", path), LOG_I("bytes", size));
    return 0;
}

static int builtin_update(struct store *s, const struct registry_model *row, const struct model_facts *facts,
                          int64_t now, struct error *err)
{
    const struct hermes_model *m = &row->api;
    if (m->source != HERMES_MODEL_SOURCE_BUILTIN)
        return error_set(err, VX11_EEXISTS, "the name %s is taken by %.300s; remove that model",
                         REGISTRY_BUILTIN, m->path);
    if (m->status == facts->status && m->has_size_bytes && m->size_bytes == facts->size_bytes &&
        row->mtime_ns == facts->mtime_ns && strcmp(m->path, facts->path) == 0)
        return 0;
    return registry_update(s, row, HERMES_MODEL_SOURCE_BUILTIN, facts, now, err);
}

int guide_register(struct store *s, const char *path, int64_t now, struct error *err)
{
    struct model_facts facts;
    struct registry_model row;
    struct arena *a = arena_create(0);
    if (!a)
        return error_set(err, VX11_ENOMEM, "out of memory");
    int rc = model_facts_read(path, a, &facts);
    if (rc != 0) {
        (void)error_set(err, rc, "out of memory");
        goto out;
    }
    if (facts.status != HERMES_MODEL_STATUS_AVAILABLE) {
        rc = error_set(err, VX11_ECORRUPT, "the guide model is not sound: %.300s", facts.reason);
        goto out;
    }
    rc = registry_get(s, REGISTRY_BUILTIN, a, &row, err);
    if (rc == 0)
        rc = builtin_update(s, &row, &facts, now, err);
    else if (rc == VX11_ENOT_FOUND)
        rc = registry_add(s, HERMES_MODEL_SOURCE_BUILTIN, REGISTRY_BUILTIN, true, &facts, now, a, NULL, err);
out:
    arena_destroy(a);
    return rc;
}
