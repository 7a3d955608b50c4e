/* Routes: files as callers see them. Content is served so that a browser never runs it as a page of ours. */
#include "operator/files/files_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "operator/sessions/sessions_internal.h"

static struct files *files_of(void *module)
{
    return ((struct operator_ *)module)->files;
}

void files_on_get(struct request *r, void *module)
{
    const struct operator_file_id *p = request_params(r);
    struct operator_file file;
    char content_id[ULID_LEN + 1];
    struct error err = {0};
    if (file_find(files_of(module), request_arena(r), p->id, &file, content_id, &err) != 0)
        session_fail(r, &err);
    else
        request_reply(r, 200, &operator_file_message, &file);
}

/* ---- list ---- */

struct file_list {
    struct arena *arena;
    struct operator_file *items;
    size_t count;
};

static int take_file(void *ctx, const struct store_row *row)
{
    struct file_list *l = ctx;
    int rc = file_from_row(row, 1, l->arena, &l->items[l->count]);
    l->count += rc == 0;
    return rc;
}

static int take_n(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

void files_on_list(struct request *r, void *module)
{
    struct files *f = files_of(module);
    const struct operator_file_list_params *p = request_params(r);
    struct file_list l = {.arena = request_arena(r)};
    struct operator_file_list reply = {.bytes = 0};
    struct error err = {0};
    int64_t before = INT64_MAX;
    if (p->cursor && str_to_i64(p->cursor, 1, INT64_MAX, &before) != 0) {
        request_fail(r, 422, "invalid_cursor", "cursor", "cursor is no next_cursor of a page before");
        return;
    }
    struct store_value values[] = {STORE_T(p->session_id), STORE_I(before), STORE_I(p->limit + 1)};
    l.items = arena_array(l.arena, (size_t)p->limit + 1, sizeof *l.items);
    int rc = l.items
                 ? store_query(f->store,
                               p->session_id ? "SELECT f.n, " FILE_COLUMNS " FROM operator_file AS f WHERE "
                                               "f.session_id = ?1 AND f.n < ?2 ORDER BY f.n DESC LIMIT ?3"
                                             : "SELECT f.n, " FILE_COLUMNS " FROM operator_file AS f WHERE "
                                               "?1 IS NULL AND f.n < ?2 ORDER BY f.n DESC LIMIT ?3",
                               values, COUNT_OF(values), take_file, &l, &err)
                 : error_set(&err, VX11_ENOMEM, "out of memory");
    if (rc == 0)
        rc = files_total(f, &reply.bytes, &err);
    if (rc == 0 && l.count > (size_t)p->limit) {
        int64_t last = 0;
        l.count = (size_t)p->limit;
        rc = store_query(f->store, "SELECT n FROM operator_file WHERE id = ?1",
                         (struct store_value[]){STORE_T(l.items[l.count - 1].id)}, 1, take_n, &last, &err);
        reply.next_cursor = arena_printf(l.arena, "%lld", (long long)last);
    }
    reply.files = l.items;
    reply.files_count = l.count;
    if (rc != 0)
        session_fail(r, &err);
    else
        request_reply(r, 200, &operator_file_list_message, &reply);
}

/* ---- content ---- */

/* Content-Disposition for any name: an ASCII one, and the whole one in RFC 5987's form. */
static const char *disposition(struct request *r, const struct operator_file *file)
{
    struct buf b = BUF_INIT;
    int rc = buf_puts(&b, file->kind == OPERATOR_FILE_KIND_TEXT ? "attachment; filename=\""
                                                                : "inline; filename=\"");
    for (const char *c = file->name; rc == 0 && *c; c++)
        rc = buf_putc(&b, (unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f || strchr("\"\\%;", *c) ? '_'
                                                                                                        : *c);
    if (rc == 0)
        rc = buf_puts(&b, "\"; filename*=UTF-8''");
    for (const char *c = file->name; rc == 0 && *c; c++) {
        bool plain = (*c >= '0' && *c <= '9') || ((*c | 32) >= 'a' && (*c | 32) <= 'z') || *c == '.' ||
                     *c == '-' || *c == '_';
        rc = plain ? buf_putc(&b, *c) : buf_printf(&b, "%%%02X", (unsigned)(unsigned char)*c);
    }
    const char *text = rc == 0 ? arena_strndup(request_arena(r), b.data, b.len) : NULL;
    buf_free(&b);
    return text;
}

#define CONTENT_PIECE 65536

struct content {
    int fd;
};

/* More of the file while the queue has room; the request ends with the file. */
static void content_more(struct request *r, void *ctx)
{
    struct content *c = ctx;
    char piece[CONTENT_PIECE];
    while (request_stream_queued(r) < 4 * CONTENT_PIECE) {
        ssize_t n = read(c->fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0 && request_stream_write(r, piece, (size_t)n) == 0)
            continue;
        close(c->fd);
        if (n == 0)
            request_stream_end(r);
        else
            request_stream_abort(r);
        return;
    }
}

static void content_cancelled(struct request *r, void *ctx, int reason)
{
    struct content *c = ctx;
    (void)reason;
    close(c->fd);
    request_stream_abort(r);
}

static void content_send(struct request *r, struct files *f, const struct operator_file *file,
                         const char *content_id)
{
    struct error err = {0};
    struct content *c = arena_zalloc(request_arena(r), sizeof *c);
    const char *name = disposition(r, file);
    if (!c || !name) {
        request_fail(r, 503, "out_of_memory", NULL, "out of memory");
        return;
    }
    c->fd = fs_open_beneath(f->folder, content_id, O_RDONLY | O_CLOEXEC, 0, &err);
    if (c->fd < 0) {
        log_error("files", "a file is gone from the disk", LOG_S("id", file->id), LOG_S("error", err.text));
        request_fail(r, 500, "file_lost", NULL, "the file's content is gone from the disk");
        return;
    }
    request_reply_header(r, "Content-Disposition", name);
    request_reply_header(r, "X-Content-Type-Options", "nosniff");
    request_reply_header(r, "Content-Security-Policy", "default-src 'none'; sandbox");
    request_reply_header(r, "Cache-Control", "private, max-age=3600, immutable");
    request_stream_backpressure(r);
    bool text = file->kind == OPERATOR_FILE_KIND_TEXT;
    if (request_stream_begin(r, 200, text ? "text/plain; charset=utf-8" : file->media_type) != 0) {
        close(c->fd);
        request_stream_abort(r);
        return;
    }
    request_on_cancel(r, content_cancelled, c);
    request_on_drain(r, content_more, c);
    content_more(r, c);
}

void files_on_content(struct request *r, void *module)
{
    struct files *f = files_of(module);
    const struct operator_file_id *p = request_params(r);
    struct operator_file file;
    char content_id[ULID_LEN + 1];
    struct error err = {0};
    if (file_find(f, request_arena(r), p->id, &file, content_id, &err) != 0)
        session_fail(r, &err);
    else
        content_send(r, f, &file, content_id);
}

/* ---- removal ---- */

void files_on_delete(struct request *r, void *module)
{
    struct files *f = files_of(module);
    const struct operator_file_id *p = request_params(r);
    struct error err = {0};
    int64_t gone = 0;
    int rc = store_exec(f->store, "DELETE FROM operator_file WHERE id = ?1",
                        (struct store_value[]){STORE_T(p->id)}, 1, &gone, &err);
    if (rc == 0 && gone == 0)
        rc = error_set(&err, VX11_ENOT_FOUND, "there is no file %.64s", p->id);
    if (rc != 0) {
        session_fail(r, &err);
        return;
    }
    files_sweep(f);
    request_reply_empty(r, 204);
}
