/* See hub.h. On script_server, whose scripts have no context of their own: one hub at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hub.h"

#include <pthread.h>
#include <sodium.h>

#include "base/buf.h"
#include "base/str.h"
#include "script_server.h"

#define FILES 16
#define PIECE ((size_t)16384)

struct file {
    char repository[100], name[200], sha256[65];
    char *data;
    size_t len;
    bool lfs;
};

struct hub_server {
    struct script_server *hub, *files;
    pthread_mutex_t lock;
    struct file file[FILES];
    size_t count;
    int commit, signature, signature_used, running;
    struct hub_knobs knobs;
    struct hub_seen seen;
};

static struct hub_server *only;

static struct file *file_find(struct hub_server *h, const char *repository, const char *name)
{
    for (size_t i = 0; i < h->count; i++)
        if (strcmp(h->file[i].repository, repository) == 0 && strcmp(h->file[i].name, name) == 0)
            return &h->file[i];
    return NULL;
}

/* ---- bodies ---- */

struct plan { /* of one reply, taken from the knobs under the lock */
    bool ignore_range, stall, drip, corrupt, other_etag, no_etag, html, cut_short, too_long;
    int64_t drop_after, stall_after, rate;
    int fail, retry_after_s;
};

static bool take(int *times)
{
    return *times > 0 && (*times)-- > 0;
}

static struct plan plan_take(struct hub_server *h)
{
    struct hub_knobs *k = &h->knobs;
    struct plan p = {
        .ignore_range = k->ignore_range,
        .other_etag = k->other_etag,
        .no_etag = k->no_etag,
        .html = k->html,
        .rate = k->rate,
        .drop_after = -1,
    };
    if (take(&k->fail_times)) {
        p.fail = k->fail_status;
        p.retry_after_s = k->retry_after_s;
        return p;
    }
    p.stall = take(&k->stall_times);
    p.stall_after = k->stall_after;
    p.drip = take(&k->drip_times);
    p.corrupt = k->corrupt_always || take(&k->corrupt_times);
    p.cut_short = take(&k->short_times);
    p.too_long = take(&k->long_times);
    if (take(&k->drop_times))
        p.drop_after = k->drop_after;
    return p;
}

static bool body_send(struct script_conn *c, const struct plan *p, const char *data, size_t start, size_t len)
{
    struct hub_server *h = only;
    size_t sent = 0;
    while (sent < len) {
        size_t n = p->drip ? 1 : len - sent < PIECE ? len - sent : PIECE;
        char piece[PIECE];
        if (p->drop_after >= 0 && sent + n > (size_t)p->drop_after)
            n = (size_t)p->drop_after - sent;
        if (p->stall && sent + n > (size_t)p->stall_after)
            n = (size_t)p->stall_after - sent;
        memcpy(piece, data + start + sent, n);
        if (p->corrupt && sent == 0 && n > 20) /* past the magic, so that only the hash can tell */
            piece[n - 1] = (char)(piece[n - 1] ^ 0x55);
        if (p->html && n > 0)
            memset(piece, '<', n);
        if (n > 0 && !script_send(c, piece, n))
            return false;
        sent += n;
        pthread_mutex_lock(&h->lock);
        h->seen.bytes += (int64_t)n;
        pthread_mutex_unlock(&h->lock);
        if (p->drop_after >= 0 && sent >= (size_t)p->drop_after)
            return false;
        if (p->stall && sent >= (size_t)p->stall_after)
            return script_wait_close(c) && false;
        if ((p->drip && !script_sleep(c, 100)) ||
            (p->rate > 0 && !script_sleep(c, (int)((int64_t)n * 1000 / p->rate))))
            return false;
    }
    return true;
}

static bool status_send(struct script_conn *c, int status, const char *headers)
{
    return script_printf(c, "HTTP/1.1 %d Something\r\nContent-Length: 5\r\n%s\r\nhello", status, headers);
}

static const char *header_of(const struct script_request *r, const char *name, char out[512])
{
    const char *at = strcasestr(r->head, name);
    if (!at)
        return NULL;
    at += strlen(name);
    (void)snprintf(out, 512, "%.*s", (int)strcspn(at, "\r\n"), at);
    return out;
}

/* A file with ranges and validators. */
static bool file_send(struct script_conn *c, const struct script_request *r, const struct plan *p,
                      const char *data, size_t size, const char *etag)
{
    char range[512], if_range[512], tag[128];
    unsigned long long first = 0, last = size - 1;
    bool ranged = header_of(r, "\r\nRange: ", range) &&
                  sscanf(range, "bytes=%llu-%llu", &first, &last) == 2 && !p->ignore_range;
    (void)snprintf(tag, sizeof tag, "\"%s%s\"", p->other_etag ? "other-" : "", etag);
    if (ranged && header_of(r, "\r\nIf-Range: ", if_range) && strcmp(if_range, tag) != 0)
        ranged = false;
    if (!ranged) {
        first = 0;
        last = size - 1;
    }
    if (ranged && first >= size) {
        char text[80];
        (void)snprintf(text, sizeof text, "Content-Range: bytes */%zu\r\n", size);
        return status_send(c, 416, text);
    }
    if (last >= size)
        last = size - 1;
    size_t len = (size_t)(last - first + 1);
    if (p->cut_short && ranged && len > 1) {
        len /= 2;
        last = first + len - 1;
    }
    pthread_mutex_lock(&only->lock);
    if (ranged)
        only->seen.ranged++;
    else
        only->seen.whole++;
    pthread_mutex_unlock(&only->lock);
    bool fine = script_printf(c, "HTTP/1.1 %s\r\nAccept-Ranges: bytes\r\n",
                              ranged ? "206 Partial Content" : "200 OK");
    if (fine && ranged)
        fine = script_printf(c, "Content-Range: bytes %llu-%llu/%zu\r\n", first, last, size);
    if (fine && !p->no_etag)
        fine = script_printf(c, "ETag: %s\r\n", tag);
    if (fine && p->too_long) /* the length is not said, and more comes than the range */
        fine = script_puts(c, "Connection: close\r\n\r\n");
    else if (fine)
        fine = script_printf(c, "Content-Length: %zu\r\n\r\n", len);
    fine = fine && body_send(c, p, data, (size_t)first, len);
    if (fine && p->too_long) {
        char more[100] = {0};
        (void)script_send(c, more, sizeof more);
        return false;
    }
    return fine;
}

/* ---- the file host ---- */

static bool files_script(struct script_conn *c, const struct script_request *r)
{
    struct hub_server *h = only;
    char sha256[65] = "", token[512];
    int signature = -1;
    bool fine = true, expired;
    char *copy = NULL;
    size_t len = 0;
    (void)sscanf(r->path, "/files/%64[0-9a-f]?sig=%d", sha256, &signature);
    pthread_mutex_lock(&h->lock);
    h->seen.requests++;
    if (header_of(r, "\r\nAuthorization: ", token))
        h->seen.token_at_files = true;
    expired = signature != h->signature;
    if (!expired && h->knobs.expire_after > 0 && ++h->signature_used >= h->knobs.expire_after) {
        h->signature++;
        h->signature_used = 0;
    }
    struct plan p = plan_take(h);
    for (size_t i = 0; i < h->count && !copy; i++)
        if (strcmp(h->file[i].sha256, sha256) == 0 && (copy = malloc(h->file[i].len)) != NULL)
            memcpy(copy, h->file[i].data, len = h->file[i].len);
    if (++h->running > h->seen.most)
        h->seen.most = h->running;
    pthread_mutex_unlock(&h->lock);
    char extra[64] = "";
    if (p.retry_after_s > 0)
        (void)snprintf(extra, sizeof extra, "Retry-After: %d\r\n", p.retry_after_s);
    if (expired)
        fine = status_send(c, 403, "");
    else if (p.fail)
        fine = status_send(c, p.fail, extra);
    else if (!copy)
        fine = status_send(c, 404, "");
    else
        fine = file_send(c, r, &p, copy, len, sha256);
    pthread_mutex_lock(&h->lock);
    h->running--;
    pthread_mutex_unlock(&h->lock);
    free(copy);
    return fine;
}

/* ---- the hub ---- */

static bool json_send(struct script_conn *c, const char *headers, const struct buf *body)
{
    return script_printf(c,
                         "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n",
                         body->len, headers) &&
           script_send(c, body->data, body->len);
}

/* With the lock. Entries from `from`, at most a page; *next: where the next page begins, -1: none. */
static void listing_write(struct hub_server *h, const char *repository, int from, struct buf *out, int *next)
{
    int n = 0, index = 0;
    *next = -1;
    buf_puts(out, "[");
    for (size_t i = 0; i < h->count; i++) {
        const struct file *f = &h->file[i];
        if (strcmp(f->repository, repository) != 0 || index++ < from)
            continue;
        if (h->knobs.page > 0 && n == h->knobs.page) {
            *next = index - 1;
            break;
        }
        buf_printf(out, "%s{\"type\":\"file\",\"oid\":\"%.40s\",\"size\":%zu,\"path\":\"%s\"", n++ ? "," : "",
                   f->sha256, f->len, f->name);
        if (f->lfs)
            buf_printf(out, ",\"lfs\":{\"oid\":\"%s\",\"size\":%zu,\"pointerSize\":134},\"xetHash\":\"%s\"",
                       f->sha256, f->len, f->sha256);
        buf_puts(out, "}");
    }
    buf_puts(out, from == 0 ? ",{\"type\":\"directory\",\"oid\":\"0\",\"size\":0,\"path\":\"sub\"}]" : "]");
}

static bool hub_list(struct script_conn *c, const char *path)
{
    struct hub_server *h = only;
    char owner[50] = "", repo[50] = "", revision[80] = "", link[300] = "";
    int from = 0, next;
    const char *cursor = strstr(path, "cursor=");
    struct buf body = BUF_INIT;
    (void)sscanf(path, "/api/models/%49[^/]/%49[^/]/tree/%79[^?]", owner, repo, revision);
    if (cursor)
        from = atoi(cursor + 7);
    char repository[102];
    (void)snprintf(repository, sizeof repository, "%s/%s", owner, repo);
    pthread_mutex_lock(&h->lock);
    h->seen.listings++;
    bool known = false;
    for (size_t i = 0; i < h->count; i++)
        known = known || strcmp(h->file[i].repository, repository) == 0;
    listing_write(h, repository, from, &body, &next);
    pthread_mutex_unlock(&h->lock);
    bool fine;
    if (!known)
        fine = status_send(c, 404, "X-Error-Code: RepoNotFound\r\n");
    else if (strcmp(revision, "nowhere") == 0)
        fine = status_send(c, 404, "X-Error-Code: RevisionNotFound\r\n");
    else {
        if (next >= 0)
            (void)snprintf(link, sizeof link,
                           "Link: <%s/api/models/%s/tree/%s?recursive=true&cursor=%d>; rel=\"next\"\r\n",
                           hub_server_url(h), repository, revision, next);
        fine = json_send(c, link, &body);
    }
    buf_free(&body);
    return fine;
}

static bool hub_resolve(struct script_conn *c, const struct script_request *r)
{
    struct hub_server *h = only;
    char owner[50] = "", repo[50] = "", revision[80] = "", name[200] = "", repository[102], head[1024];
    (void)sscanf(r->path, "/%49[^/]/%49[^/]/resolve/%79[^/]/%199[^?]", owner, repo, revision, name);
    (void)snprintf(repository, sizeof repository, "%s/%s", owner, repo);
    pthread_mutex_lock(&h->lock);
    h->seen.resolves++;
    const struct file *f = file_find(h, repository, name);
    const char *redirect = h->knobs.redirect;
    if (f && f->lfs) {
        char location[300];
        (void)snprintf(location, sizeof location, "http://127.0.0.1:%d/files/%s?sig=%d",
                       script_server_port(h->files), f->sha256, h->signature);
        (void)snprintf(
            head, sizeof head,
            "HTTP/1.1 302 Found\r\nX-Repo-Commit: %040d\r\nX-Linked-Size: %zu\r\nX-Linked-Etag: \"%s\"\r\n"
            "ETag: \"%s\"\r\nLocation: %s\r\nContent-Length: %zu\r\n\r\n",
            h->commit, f->len, f->sha256, f->sha256, redirect ? redirect : location, strlen(location) + 10);
    }
    pthread_mutex_unlock(&h->lock);
    if (!f)
        return status_send(c, 404, "X-Error-Code: EntryNotFound\r\nContent-Type: text/plain\r\n") && false;
    if (f->lfs)
        return script_puts(c, head); /* a HEAD: no body */
    if (strcmp(r->method, "HEAD") == 0)
        return script_printf(
            c, "HTTP/1.1 200 OK\r\nX-Repo-Commit: %040d\r\nETag: \"%.40s\"\r\nContent-Length: %zu\r\n\r\n",
            h->commit, f->sha256, f->len);
    const struct plan none = {.drop_after = -1};
    return file_send(c, r, &none, f->data, f->len, f->sha256);
}

static bool hub_plain(struct script_conn *c, const struct script_request *r)
{
    struct hub_server *h = only;
    char name[200] = "";
    (void)sscanf(r->path, "/plain/%199[^?]", name);
    pthread_mutex_lock(&h->lock);
    h->seen.requests++;
    const struct file *f = NULL;
    for (size_t i = 0; i < h->count && !f; i++)
        f = strcmp(h->file[i].name, name) == 0 ? &h->file[i] : NULL;
    struct plan p = plan_take(h);
    pthread_mutex_unlock(&h->lock);
    if (!f || p.fail)
        return status_send(c, p.fail ? p.fail : 404, "");
    return file_send(c, r, &p, f->data, f->len, f->sha256);
}

static bool hub_search(struct script_conn *c, const struct script_request *r)
{
    struct hub_server *h = only;
    struct buf body = BUF_INIT;
    pthread_mutex_lock(&h->lock);
    h->seen.searches++;
    (void)snprintf(h->seen.search, sizeof h->seen.search, "%.255s", r->path);
    buf_puts(&body, "[");
    for (size_t i = 0; i < h->count; i++)
        buf_printf(&body,
                   "%s{\"id\":\"%s\",\"downloads\":%zu,\"likes\":3,\"gated\":false,\"lastModified\":\"2026-"
                   "01-01T00:00:"
                   "00.000Z\",\"tags\":[\"gguf\",\"license:mit\"]}",
                   i ? "," : "", h->file[i].repository, 100 - i);
    buf_puts(&body, "]");
    pthread_mutex_unlock(&h->lock);
    bool fine = json_send(c, "", &body);
    buf_free(&body);
    return fine;
}

static bool hub_script(struct script_conn *c, const struct script_request *r)
{
    struct hub_server *h = only;
    char token[512] = "";
    int fail = 0;
    pthread_mutex_lock(&h->lock);
    if (header_of(r, "\r\nAuthorization: ", token))
        h->seen.token_at_hub = true;
    bool gated = h->knobs.gated && strcmp(token, "Bearer hf_test") != 0;
    if (take(&h->knobs.hub_fail_times))
        fail = h->knobs.hub_fail_status;
    pthread_mutex_unlock(&h->lock);
    if (fail)
        return status_send(c, fail, "") && false;
    if (gated)
        return status_send(
                   c, 401,
                   "X-Error-Code: GatedRepo\r\nX-Error-Message: Access to model is restricted.\r\n") &&
               false;
    if (str_starts(r->path, "/api/models?"))
        return hub_search(c, r);
    if (str_starts(r->path, "/api/models/"))
        return hub_list(c, r->path);
    if (str_starts(r->path, "/plain/"))
        return hub_plain(c, r);
    if (strstr(r->path, "/resolve/"))
        return hub_resolve(c, r);
    return status_send(c, 404, "");
}

/* ---- for the tests ---- */

struct hub_server *hub_server_start(void)
{
    struct hub_server *h = calloc(1, sizeof *h);
    assert_non_null(h);
    pthread_mutex_init(&h->lock, NULL);
    only = h;
    h->commit = 1;
    h->hub = script_server_start(NULL, hub_script);
    h->files = script_server_start(NULL, files_script);
    return h;
}

void hub_server_stop(struct hub_server *h)
{
    script_server_stop(h->hub);
    script_server_stop(h->files);
    for (size_t i = 0; i < h->count; i++)
        free(h->file[i].data);
    pthread_mutex_destroy(&h->lock);
    free(h);
    only = NULL;
}

int hub_server_port(const struct hub_server *h)
{
    return script_server_port(h->hub);
}

const char *hub_server_url(const struct hub_server *h)
{
    static char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d", hub_server_port(h));
    return url;
}

void hub_server_put(struct hub_server *h, const char *repository, const char *file, const void *data,
                    size_t len, bool lfs)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    pthread_mutex_lock(&h->lock);
    struct file *f = file_find(h, repository, file);
    if (!f) {
        assert_true(h->count < FILES);
        f = &h->file[h->count++];
        (void)snprintf(f->repository, sizeof f->repository, "%s", repository);
        (void)snprintf(f->name, sizeof f->name, "%s", file);
    }
    free(f->data);
    f->data = malloc(len);
    assert_non_null(f->data);
    memcpy(f->data, data, len);
    f->len = len;
    f->lfs = lfs;
    crypto_hash_sha256(hash, data, len);
    hex_encode(hash, sizeof hash, f->sha256);
    h->commit++;
    pthread_mutex_unlock(&h->lock);
}

const char *hub_server_sha256(struct hub_server *h, const char *repository, const char *file)
{
    const struct file *f = file_find(h, repository, file);
    return f ? f->sha256 : "";
}

void hub_server_knobs(struct hub_server *h, const struct hub_knobs *k)
{
    pthread_mutex_lock(&h->lock);
    h->knobs = *k;
    pthread_mutex_unlock(&h->lock);
}

void hub_server_seen(struct hub_server *h, struct hub_seen *out)
{
    pthread_mutex_lock(&h->lock);
    *out = h->seen;
    pthread_mutex_unlock(&h->lock);
}

void hub_server_forget(struct hub_server *h)
{
    pthread_mutex_lock(&h->lock);
    memset(&h->seen, 0, sizeof h->seen);
    pthread_mutex_unlock(&h->lock);
}
