/* Archive, writing: a part goes to the end of the table's newest file. Where that file is not exactly as long
 * as the database says, somebody else's work lies there (a run that was cut off, or one that a restored
 * backup does not know): it is left alone, and a new file is begun. */
#include "store/maintain/archive_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>
#include <zstd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"

#define LEVEL       3
#define FILE_BYTES  ((int64_t)64 << 20) /* then a new one is begun */
#define FILE_AGE_MS ((int64_t)7 * 86400000)

struct archive {
    char *folder;
    int lock_fd;
    ZSTD_CCtx *zstd;
    char *buffer;
    size_t buffer_size;
    /* the part that is being written */
    int fd; /* -1: none */
    bool fresh;
    char full[PATH_MAX];
    struct archive_part part;
    int64_t end, lines;
    crypto_hash_sha256_state packed, content;
};

static int open_lock(struct archive *a, int64_t wait_ms, struct error *err)
{
    char path[PATH_MAX];
    if (fs_path(path, sizeof path, a->folder, ".lock") != 0)
        return error_set(err, VX11_ETOO_LARGE, "the path of the archive is too long");
    int rc = fs_mkdirs(a->folder, 0700, err);
    if (rc != 0)
        return rc;
    a->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (a->lock_fd < 0)
        return error_set_errno(err, errno, "%s cannot be opened", path);
    rc = fs_lock(a->lock_fd, wait_ms);
    if (rc == VX11_EBUSY)
        return error_set(err, rc, "another process moves rows into the archive");
    return rc == 0 ? 0 : error_set(err, rc, "%s cannot be locked", path);
}

int archive_open(const char *folder, int64_t wait_ms, struct archive **out, struct error *err)
{
    struct archive *a = calloc(1, sizeof *a);
    *out = NULL;
    if (!a)
        return error_set(err, VX11_ENOMEM, "out of memory");
    a->lock_fd = a->fd = -1;
    a->folder = strdup(folder);
    a->zstd = ZSTD_createCCtx();
    a->buffer_size = ZSTD_CStreamOutSize();
    a->buffer = malloc(a->buffer_size);
    int rc = a->folder && a->zstd && a->buffer ? open_lock(a, wait_ms, err)
                                               : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc != 0) {
        archive_close(a);
        return rc;
    }
    *out = a;
    return 0;
}

void archive_close(struct archive *a)
{
    if (!a)
        return;
    archive_abandon(a);
    if (a->lock_fd >= 0)
        close(a->lock_fd);
    ZSTD_freeCCtx(a->zstd);
    free(a->buffer);
    free(a->folder);
    free(a);
}

int archive_path(const char *folder, const char *path, char *out, size_t size, struct error *err)
{
    if (!*path || *path == '/' || strcmp(path, "..") == 0 || strncmp(path, "../", 3) == 0 ||
        strstr(path, "/../") || str_ends(path, "/.."))
        return error_set(err, VX11_EINVALID, "%.200s is no file of the archive", path);
    return fs_path(out, size, folder, path) == 0
               ? 0
               : error_set(err, VX11_ETOO_LARGE, "the path of %.200s is too long", path);
}

/* ---- which file ---- */

struct newest {
    char path[256];
    int64_t end, begun;
};

static int on_newest(void *ctx, const struct store_row *row)
{
    struct newest *n = ctx;
    row_copy(row, 0, n->path, sizeof n->path);
    n->end = row_int(row, 1);
    n->begun = row_int(row, 2);
    return 0;
}

static void folder_name(const char *table, char *out, size_t size)
{
    size_t n = 0;
    for (const char *s = table; *s && n + 1 < size; s++)
        out[n++] =
            (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || *s == '_'
                ? *s
                : '-';
    out[n] = '\0';
}

/* Goes on with the newest file when it is as it should be; fd stays -1 else. */
static int open_newest(struct archive *a, struct store *s, int64_t now_ms, struct error *err)
{
    struct newest n = {.path = ""};
    struct stat st;
    const struct store_value table = STORE_T(a->part.table);
    int rc =
        store_query(s,
                    "SELECT path, max(offset + bytes), min(created_at) FROM archive WHERE table_name = ?1"
                    " GROUP BY path ORDER BY max(created_at) DESC, path DESC LIMIT 1",
                    &table, 1, on_newest, &n, err);
    if (rc != 0 || !n.path[0] || n.end >= FILE_BYTES || now_ms - n.begun >= FILE_AGE_MS ||
        archive_path(a->folder, n.path, a->full, sizeof a->full, NULL) != 0)
        return rc;
    int fd = open(a->full, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != n.end) {
        close(fd);
        return 0;
    }
    a->fd = fd;
    a->fresh = false;
    a->part.offset = n.end;
    memcpy(a->part.path, n.path, sizeof a->part.path);
    return 0;
}

static int open_new(struct archive *a, int64_t now_ms, struct error *err)
{
    char dir[80], at[32], id[ULID_LEN + 1];
    folder_name(a->part.table, dir, sizeof dir);
    clock_format(now_ms, at);
    ulid_make(id);
    /* 2026-11-23T04:30:00… to 20261123T043000Z */
    snprintf(a->part.path, sizeof a->part.path, "%s/%.4s%.2s%.2sT%.2s%.2s%.2sZ-%s" ARCHIVE_SUFFIX, dir, at,
             at + 5, at + 8, at + 11, at + 14, at + 17, id + ULID_LEN - 6);
    int rc = archive_path(a->folder, dir, a->full, sizeof a->full, err);
    if (rc == 0)
        rc = fs_mkdirs(a->full, 0700, err);
    if (rc == 0)
        rc = archive_path(a->folder, a->part.path, a->full, sizeof a->full, err);
    if (rc != 0)
        return rc;
    a->fd = open(a->full, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    a->fresh = true;
    return a->fd >= 0 ? 0 : error_set_errno(err, errno, "%s cannot be made", a->full);
}

/* ---- a part ---- */

static int write_all(struct archive *a, const char *data, size_t len, struct error *err)
{
    crypto_hash_sha256_update(&a->packed, (const unsigned char *)data, len);
    while (len > 0) {
        ssize_t n = pwrite(a->fd, data, len, (off_t)a->end);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EFBIG)
            return error_set(err, VX11_EFULL, "%s cannot be written: the limit on file sizes is too low",
                             a->full);
        if (n < 0)
            return error_set_errno(err, errno, "%s cannot be written", a->full);
        data += n;
        len -= (size_t)n;
        a->end += n;
    }
    return 0;
}

static int feed(struct archive *a, const char *data, size_t len, ZSTD_EndDirective how, struct error *err)
{
    ZSTD_inBuffer in = {data, len, 0};
    for (;;) {
        ZSTD_outBuffer out = {a->buffer, a->buffer_size, 0};
        const size_t left = ZSTD_compressStream2(a->zstd, &out, &in, how);
        if (ZSTD_isError(left))
            return error_set(err, VX11_EINTERNAL, "zstd: %s", ZSTD_getErrorName(left));
        int rc = write_all(a, a->buffer, out.pos, err);
        if (rc != 0)
            return rc;
        if (how == ZSTD_e_end ? left == 0 : in.pos == in.size)
            return 0;
    }
}

static int put_content(struct archive *a, const char *data, size_t len, struct error *err)
{
    crypto_hash_sha256_update(&a->content, (const unsigned char *)data, len);
    a->part.content_bytes += (int64_t)len;
    return feed(a, data, len, ZSTD_e_continue, err);
}

static int put_header(struct archive *a, struct store *s, int64_t now_ms, struct error *err)
{
    struct buf line = BUF_INIT;
    int rc = buf_puts(&line, "{\"vx11_archive\":1,\"table\":");
    if (rc == 0)
        rc = buf_put_json_string(&line, a->part.table, strlen(a->part.table));
    if (rc == 0)
        rc = buf_printf(&line, ",\"schema\":%d,\"at\":%lld}\n", store_schema_version(s), (long long)now_ms);
    if (rc != 0)
        rc = error_set(err, rc, "out of memory");
    else
        rc = put_content(a, line.data, line.len, err);
    a->lines = 1;
    buf_free(&line);
    return rc;
}

int archive_begin(struct archive *a, struct store *s, const char *table, int64_t now_ms, struct error *err)
{
    archive_abandon(a);
    a->part = (struct archive_part){0};
    if (strlen(table) >= sizeof a->part.table)
        return error_set(err, VX11_EINVALID, "the name of table %.60s… is too long", table);
    memcpy(a->part.table, table, strlen(table) + 1);
    ulid_make(a->part.id);
    int rc = open_newest(a, s, now_ms, err);
    if (rc == 0 && a->fd < 0)
        rc = open_new(a, now_ms, err);
    if (rc != 0)
        return rc;
    a->end = a->part.offset;
    crypto_hash_sha256_init(&a->packed);
    crypto_hash_sha256_init(&a->content);
    ZSTD_CCtx_reset(a->zstd, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(a->zstd, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(a->zstd, ZSTD_c_checksumFlag, 1);
    rc = put_header(a, s, now_ms, err);
    if (rc != 0)
        archive_abandon(a);
    return rc;
}

int archive_put(struct archive *a, const char *lines, size_t len, int64_t rows, int64_t children, int64_t at,
                struct error *err)
{
    struct archive_part *p = &a->part;
    int rc = put_content(a, lines, len, err);
    if (rc != 0)
        return rc;
    p->rows += rows;
    p->children += children;
    a->lines += rows + children;
    if (!p->timed || at < p->first_at)
        p->first_at = at;
    if (!p->timed || at > p->last_at)
        p->last_at = at;
    p->timed = true;
    return 0;
}

int64_t archive_content_bytes(const struct archive *a)
{
    return a->part.content_bytes;
}

void archive_abandon(struct archive *a)
{
    if (a->fd < 0)
        return;
    /* What cannot be cut off is found by its length later: see the top. */
    if (a->fresh)
        unlink(a->full);
    else if (ftruncate(a->fd, (off_t)a->part.offset) != 0)
        a->fresh = false;
    close(a->fd);
    a->fd = -1;
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int rc = fsync(fd);
    if (rc != 0 && errno == EINVAL) /* some file systems cannot: then there is nothing to wait for */
        rc = 0;
    close(fd);
    return rc;
}

static int settle_on_disk(struct archive *a, struct error *err)
{
    char dir[PATH_MAX];
    if (fsync(a->fd) != 0)
        return error_set_errno(err, errno, "%s cannot be synced", a->full);
    if (!a->fresh)
        return 0;
    snprintf(dir, sizeof dir, "%s", a->full);
    *strrchr(dir, '/') = '\0';
    if (sync_folder(dir) != 0 || sync_folder(a->folder) != 0)
        return error_set_errno(err, errno, "the folder of %s cannot be synced", a->full);
    return 0;
}

static void digest(crypto_hash_sha256_state *state, char hex[65])
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(state, hash);
    hex_encode(hash, sizeof hash, hex);
}

/* What was written is read again, by way of the file. */
static int compare(struct archive *a, struct error *err)
{
    struct archive_sums sums;
    struct archive_part *p = &a->part;
    posix_fadvise(a->fd, (off_t)p->offset, (off_t)p->bytes, POSIX_FADV_DONTNEED); /* from the disk */
    int rc = archive_sum(a->fd, p->offset, p->bytes, NULL, &sums, err);
    if (rc != 0)
        return error_prefix(err, rc, "%s does not read back", a->full);
    if (sums.lines != a->lines || sums.content_bytes != p->content_bytes || !str_eq(sums.sha256, p->sha256) ||
        !str_eq(sums.content_sha256, p->content_sha256))
        return error_set(err, VX11_ECORRUPT, "%s reads back as something else than was written", a->full);
    return 0;
}

int archive_finish(struct archive *a, struct archive_part *out, struct error *err)
{
    int rc = feed(a, NULL, 0, ZSTD_e_end, err);
    a->part.bytes = a->end - a->part.offset;
    digest(&a->packed, a->part.sha256);
    digest(&a->content, a->part.content_sha256);
    if (rc == 0)
        rc = settle_on_disk(a, err);
    if (rc == 0)
        rc = compare(a, err);
    if (rc != 0) {
        archive_abandon(a);
        return rc;
    }
    *out = a->part;
    close(a->fd);
    a->fd = -1;
    return 0;
}

int archive_note(struct store *s, const struct archive_part *p, int64_t now_ms, struct error *err)
{
    const struct store_value values[] = {STORE_T(p->id),
                                         STORE_T(p->table),
                                         STORE_T(p->path),
                                         STORE_I(p->offset),
                                         STORE_I(p->bytes),
                                         STORE_T(p->sha256),
                                         STORE_I(p->content_bytes),
                                         STORE_T(p->content_sha256),
                                         STORE_I(p->rows),
                                         STORE_I(p->children),
                                         p->timed ? STORE_I(p->first_at) : STORE_N,
                                         p->timed ? STORE_I(p->last_at) : STORE_N,
                                         STORE_I(now_ms)};
    return store_exec(s,
                      "INSERT INTO archive (id, table_name, path, offset, bytes, sha256, content_bytes,"
                      " content_sha256, row_count, child_count, first_at, last_at, created_at)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                      values, COUNT_OF(values), NULL, err);
}
