/* Upload: a body becomes a file.
 *
 *   pieces ──write──> ID.part, hash, UTF-8 check, first bytes kept
 *   end    ──> kind, room ──worker thread: fsync, rename──> ID ──> row
 *
 * The request may be cancelled at any point, also while the thread runs: then the file goes. */
#include "operator/files/files_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "operator/files/media.h"

struct upload {
    struct files *f;
    struct upload *next, *prev;
    struct request *r;
    uv_work_t work;
    int fd;
    char id[ULID_LEN + 1], part[ULID_LEN + 8];
    const char *name, *session_id;
    crypto_hash_sha256_state hash;
    struct buf head;
    int64_t bytes;
    char tail[4]; /* of a character that is not whole yet */
    size_t tail_len;
    bool text, cancelled, working;
    int sync_error; /* errno of the thread */
    int64_t max_bytes;
    const char *kind, *type;
    int64_t width, height;
};

bool upload_is(const struct files *f, const char *content_id)
{
    for (const struct upload *u = f->uploads; u; u = u->next)
        if (strcmp(u->id, content_id) == 0)
            return true;
    return false;
}

static void upload_free(struct upload *u)
{
    struct files *f = u->f;
    if (u->fd >= 0)
        close(u->fd);
    f->arriving -= u->bytes;
    if (u->next)
        u->next->prev = u->prev;
    if (u->prev)
        u->prev->next = u->next;
    else
        f->uploads = u->next;
    buf_free(&u->head);
    free(u);
}

/* Nothing is left behind. */
static void upload_drop(struct upload *u)
{
    unlinkat(u->f->folder, u->part, 0);
    unlinkat(u->f->folder, u->id, 0);
    upload_free(u);
}

static void fail_disk(struct request *r, int sys)
{
    bool full = sys == ENOSPC || sys == EDQUOT || sys == EFBIG;
    request_fail(r, full ? 507 : 500, full ? "storage_full" : "storage_failed", NULL,
                 "the file could not be stored: %s", strerror(sys));
}

/* ---- pieces ---- */

/* Keeps u->text true while everything so far is UTF-8 without NULs. */
static void check_text(struct upload *u, const char *data, size_t len)
{
    char joined[8];
    if (!u->text || memchr(data, '\0', len)) {
        u->text = false;
        return;
    }
    if (u->tail_len > 0) { /* finish the character that was cut */
        size_t take = len < 4 ? len : 4;
        memcpy(joined, u->tail, u->tail_len);
        memcpy(joined + u->tail_len, data, take);
        int step = utf8_next(joined, u->tail_len + take);
        if (step < 0) {
            bool more = utf8_incomplete_tail(joined, u->tail_len + take) == u->tail_len + take;
            u->text = more;
            if (more) {
                memcpy(u->tail, joined, u->tail_len + take);
                u->tail_len += take;
            }
            return;
        }
        data += (size_t)step - u->tail_len;
        len -= (size_t)step - u->tail_len;
        u->tail_len = 0;
    }
    size_t valid = utf8_valid_prefix(data, len), rest = len - valid;
    if (rest == 0)
        return;
    if (rest > 3 || utf8_incomplete_tail(data, len) != rest) {
        u->text = false;
        return;
    }
    memcpy(u->tail, data + valid, rest);
    u->tail_len = rest;
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* What all of them may take together, those that are on their way included. */
static bool has_room(struct upload *u, struct error *err, int *rc)
{
    int64_t total;
    *rc = files_total(u->f, &total, err);
    return *rc == 0 && total + u->f->arriving <= files_config(u->f)->total_bytes;
}

static void finish(struct upload *u);

static void on_piece(struct request *r, void *ctx, const char *data, size_t len, bool last)
{
    struct upload *u = ctx;
    if (!data && !last) { /* the client left */
        upload_drop(u);
        request_fail(r, 400, "body_incomplete", NULL, "the body ended early");
        return;
    }
    if (last) {
        finish(u);
        return;
    }
    u->bytes += (int64_t)len;
    u->f->arriving += (int64_t)len;
    if (u->bytes > u->max_bytes) {
        int64_t most = u->max_bytes;
        upload_drop(u);
        request_fail(r, 413, "file_too_large", NULL, "a file may have %lld bytes, operator.files.max_bytes",
                     (long long)most);
        return;
    }
    int sys = write_all(u->fd, data, len);
    crypto_hash_sha256_update(&u->hash, (const unsigned char *)data, len);
    check_text(u, data, len);
    size_t keep = u->head.len < MEDIA_HEAD ? MEDIA_HEAD - u->head.len : 0;
    if (sys == 0 && buf_append(&u->head, data, len < keep ? len : keep) != 0)
        sys = ENOMEM;
    if (sys != 0) {
        upload_drop(u);
        fail_disk(r, sys);
    }
}

/* ---- the end ---- */

static bool decide(struct upload *u)
{
    struct media m;
    if (media_sniff((const unsigned char *)u->head.data, u->head.len, &m)) {
        u->kind = m.image ? "image" : "audio";
        u->type = m.type;
        u->width = m.width;
        u->height = m.height;
        return true;
    }
    u->kind = "text";
    u->type = "text/plain";
    return u->text && u->tail_len == 0;
}

static int put_row(struct upload *u, struct error *err)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof hash + 1];
    crypto_hash_sha256_final(&u->hash, hash);
    hex_encode(hash, sizeof hash, hex);
    bool size = u->width > 0 && u->height > 0;
    struct store_value values[] = {STORE_T(u->id),
                                   STORE_T(u->name),
                                   STORE_T(u->kind),
                                   STORE_T(u->type),
                                   STORE_I(u->bytes),
                                   STORE_T(hex),
                                   size ? STORE_I(u->width) : STORE_N,
                                   size ? STORE_I(u->height) : STORE_N,
                                   STORE_I(clock_wall_ms()),
                                   STORE_T(u->session_id)};
    return store_exec(
        u->f->store,
        "INSERT INTO operator_file (id, content_id, name, kind, media_type, bytes, sha256, width, height, "
        "created_at, session_id) VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
        "(SELECT id FROM operator_session WHERE id = ?10))",
        values, COUNT_OF(values), NULL, err);
}

static void on_synced(uv_work_t *work, int status)
{
    struct upload *u = work->data;
    struct request *r = u->r;
    struct operator_file file;
    char content_id[ULID_LEN + 1];
    struct error err = {0};
    u->working = false;
    if (u->cancelled || status != 0 || u->sync_error != 0) {
        int sys = u->sync_error ? u->sync_error : EIO;
        upload_drop(u);
        fail_disk(r, sys);
        return;
    }
    int rc = put_row(u, &err);
    if (rc == 0)
        rc = file_find(u->f, request_arena(r), u->id, &file, content_id, &err);
    if (rc != 0) {
        upload_drop(u);
        request_fail_error(r, &err);
        return;
    }
    upload_free(u);
    request_reply(r, 201, &operator_file_message, &file);
}

/* On a thread: a disk may take its time. */
static void sync_work(uv_work_t *work)
{
    struct upload *u = work->data;
    if (fsync(u->fd) != 0 || renameat(u->f->folder, u->part, u->f->folder, u->id) != 0 ||
        fsync(u->f->folder) != 0)
        u->sync_error = errno;
}

static void finish(struct upload *u)
{
    struct request *r = u->r;
    struct error err = {0};
    int rc = 0;
    if (u->bytes == 0 || !decide(u)) {
        bool empty = u->bytes == 0;
        upload_drop(u);
        request_fail(
            r, empty ? 422 : 415, empty ? "file_empty" : "file_not_supported", NULL, "%s",
            empty ? "the file is empty"
                  : "the file is neither text (UTF-8), an image (PNG, JPEG, GIF, WebP) nor sound (WAV, FLAC, "
                    "Ogg, MP3, M4A)");
        return;
    }
    if (!has_room(u, &err, &rc)) {
        upload_drop(u);
        if (rc != 0)
            request_fail_error(r, &err);
        else
            request_fail(r, 507, "storage_full", NULL,
                         "all files together would pass operator.files.total_bytes; delete some, or sessions "
                         "that have "
                         "them");
        return;
    }
    u->work.data = u;
    u->working = true;
    if (uv_queue_work(request_loop(r), &u->work, sync_work, on_synced) != 0) {
        upload_drop(u);
        fail_disk(r, ENOMEM);
    }
}

/* While the thread runs the request stays; on_synced ends it. */
static void on_cancel(struct request *r, void *ctx, int reason)
{
    struct upload *u = ctx;
    (void)reason;
    if (u->working) {
        u->cancelled = true;
        return;
    }
    upload_drop(u);
    request_fail(r, 503, "cancelled", NULL, "the upload was cut off");
}

/* Names are shown to people: no control characters, no slashes that would read as a path. */
static const char *sane_name(struct request *r, const char *name)
{
    char *copy = arena_strdup(request_arena(r), name);
    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '/' || *c == '\\')
            *c = '_';
    return copy;
}

void files_on_add(struct request *r, void *module)
{
    struct files *f = ((struct operator_ *)module)->files;
    const struct operator_file_params *p = request_params(r);
    struct upload *u = calloc(1, sizeof *u);
    const char *name = sane_name(r, p->name);
    if (!u || !name) {
        free(u);
        fail_disk(r, ENOMEM);
        return;
    }
    *u = (struct upload){.f = f,
                         .r = r,
                         .name = name,
                         .session_id = p->session_id,
                         .text = true,
                         .max_bytes = files_config(f)->max_bytes};
    ulid_make(u->id);
    snprintf(u->part, sizeof u->part, "%s.part", u->id);
    crypto_hash_sha256_init(&u->hash);
    u->fd = openat(f->folder, u->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (u->fd < 0) {
        int sys = errno;
        free(u);
        fail_disk(r, sys);
        return;
    }
    u->next = f->uploads;
    if (f->uploads)
        f->uploads->prev = u;
    f->uploads = u;
    request_on_cancel(r, on_cancel, u);
    request_on_body(r, on_piece, u);
}
