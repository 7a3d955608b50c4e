/* Questions: one GET or HEAD after another along the redirects, until there is an answer. Each holds its own
 * state; a cancelled one is freed by the client's last word. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/str.h"
#include "hermes/pull/hub_internal.h"
#include "hermes/pull/source.h"

#define BODY_MAX  ((size_t)16 << 20)
#define PAGES_MAX 50

enum ask_kind { ASK_LIST, ASK_RESOLVE, ASK_PROBE, ASK_SEARCH };

struct hub_ask {
    struct hub *hub; /* not touched once cancelled */
    enum ask_kind kind;
    bool cancelled;
    struct client_call *call;
    struct hub_url url;
    unsigned hops, pages;
    int status;
    char location[HUB_URL];
    struct buf body;
    struct arena *arena; /* the caller's, of a listing; ours, of a search */
    struct hub_listing listing;
    char repository[201];
    struct hub_problem problem;
    /* of a file */
    char etag[257], sha256[65], commit[65];
    bool has_etag, weak;
    int64_t size;
    union {
        hub_list_fn list;
        hub_file_fn file;
        hub_search_fn search;
    } fn;
    void *ctx;
};

static int ask_send(struct hub_ask *q, struct error *err);

static void ask_free(struct hub_ask *q)
{
    buf_free(&q->body);
    if (q->kind == ASK_SEARCH)
        arena_destroy(q->arena);
    explicit_bzero(q->url.url, sizeof q->url.url);
    free(q);
}

/* ---- answers ---- */

static void ask_answer(struct hub_ask *q, const struct hub_problem *problem)
{
    struct hub_file file = {
        .url = q->url,
        .size = q->size,
        .etag = q->has_etag ? q->etag : NULL,
        .weak = q->weak,
        .sha256 = q->sha256[0] ? q->sha256 : NULL,
        .commit = q->commit[0] ? q->commit : NULL,
    };
    if (q->kind == ASK_LIST)
        q->fn.list(q->ctx, problem ? NULL : &q->listing, problem);
    else
        q->fn.file(q->ctx, problem ? NULL : &file, problem);
    ask_free(q);
}

static void problem_set(struct hub_problem *p, int status, const char *code, bool again, int rc,
                        const char *text)
{
    p->status = status;
    (void)snprintf(p->code, sizeof p->code, "%s", code);
    p->again = again;
    error_set(&p->error, rc, "%s", text);
}

static void ask_fail(struct hub_ask *q, const char *code, bool again, int rc, const char *text)
{
    problem_set(&q->problem, q->status, code, again, rc, text);
    if (q->kind == ASK_SEARCH) {
        q->fn.search(q->ctx, NULL, &q->problem);
        ask_free(q);
        return;
    }
    ask_answer(q, &q->problem);
}

static void ask_found(struct hub_ask *q)
{
    struct error err = {0};
    struct hermes_search_reply reply = {.endpoint = q->hub->endpoint};
    if (hub_search_parse(q->body.data ? q->body.data : "", q->body.len, q->arena, &reply, &err) != 0) {
        ask_fail(q, "hub_answer", false, err.code, err.text);
        return;
    }
    q->fn.search(q->ctx, &reply, NULL);
    ask_free(q);
}

/* ---- what went wrong ---- */

/* 401, 403, 404 of the hub, by its own error codes. */
static void ask_refused(struct hub_ask *q)
{
    char text[900], page[500];
    const char *code = client_call_header(q->call, "X-Error-Code"),
               *message = client_call_header(q->call, "X-Error-Message");
    bool token = q->url.token;
    (void)snprintf(page, sizeof page, "%.200s/%s", q->hub->endpoint, q->repository);
    if (str_eq(code, "GatedRepo")) {
        (void)snprintf(
            text, sizeof text,
            "%s is gated: open %.450s, accept its terms, then set HF_TOKEN to a token of that account%s",
            q->repository, page, token ? " (the token that is set has no access yet)" : "");
        ask_fail(q, "gated_repository", false, VX11_EPERMISSION, text);
    } else if (str_eq(code, "RevisionNotFound")) {
        (void)snprintf(text, sizeof text, "%s has no such revision (branch, tag or commit)", q->repository);
        ask_fail(q, "revision_not_found", false, VX11_ENOT_FOUND, text);
    } else if (str_eq(code, "EntryNotFound")) {
        (void)snprintf(text, sizeof text, "%s has no such file", q->repository);
        ask_fail(q, "file_not_found", false, VX11_ENOT_FOUND, text);
    } else if (message && strcasestr(message, "invalid") && token) {
        ask_fail(q, "hub_refused", false, VX11_EPERMISSION,
                 "the hub does not accept the token that HF_TOKEN or hermes.hub.token_file holds");
    } else if (str_eq(code, "RepoNotFound") || q->status == 401 || (q->status == 404 && q->repository[0])) {
        (void)snprintf(text, sizeof text, "the hub has no repository %s%s", q->repository,
                       token ? ", or the token that is set may not see it"
                             : ", or it is private: then set HF_TOKEN to a token that may see it");
        ask_fail(q, "repository_not_found", false, VX11_ENOT_FOUND, text);
    } else if (q->status == 404 || q->status == 410) {
        char where[300];
        (void)snprintf(text, sizeof text, "there is nothing at %s",
                       hub_url_show(q->url.url, where, sizeof where));
        ask_fail(q, "file_not_found", false, VX11_ENOT_FOUND, text);
    } else {
        (void)snprintf(text, sizeof text, "the server refuses (status %d)%s%.200s", q->status,
                       message ? ": " : "", message ? message : "");
        ask_fail(q, "hub_refused", false, VX11_EPERMISSION, text);
    }
}

static void ask_status(struct hub_ask *q)
{
    char text[200];
    q->problem.retry_after_ms = client_call_retry_after(q->call);
    if (q->status == 401 || q->status == 403 || q->status == 404 || q->status == 410) {
        ask_refused(q);
        return;
    }
    bool again = q->status == 429 || q->status == 408 || q->status >= 500;
    (void)snprintf(text, sizeof text, "the server answered with status %d%s", q->status,
                   q->status == 429 ? ": too many requests" : "");
    ask_fail(q, again ? "hub_unavailable" : "hub_answer", again, VX11_EUNAVAILABLE, text);
}

/* ---- the way ---- */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static void ask_hop(struct hub_ask *q)
{
    struct hub_url next;
    struct error err = {0};
    if (q->location[0] == '\0') {
        ask_fail(q, "bad_redirect", false, VX11_ECORRUPT, "the server redirects to nowhere");
        return;
    }
    int rc = hub_url_next(q->hub, &q->url, q->location, &next, &err);
    if (rc != 0) {
        ask_fail(q, "bad_redirect", false, rc, err.text);
        return;
    }
    /* What the hub said about the file stands; its bytes lie elsewhere, and a signed URL is not asked for
     * anything but them. A name of the hub's own (a repository that moved) is asked again. */
    bool there = q->kind == ASK_RESOLVE &&
                 !(next.token || strncmp(next.url, q->hub->endpoint, strlen(q->hub->endpoint)) == 0);
    if (!there && ++q->hops > HUB_REDIRECTS) {
        ask_fail(q, "bad_redirect", false, VX11_ECORRUPT, "the server redirects more than five times");
        return;
    }
    q->url = next;
    if (there) {
        ask_answer(q, NULL);
        return;
    }
    rc = ask_send(q, &err);
    if (rc != 0)
        ask_fail(q, "hub_unavailable", false, rc, err.text);
}

static void ask_page(struct hub_ask *q)
{
    struct error err = {0};
    struct hub_url next;
    char link[2048];
    int rc = hub_listing_parse(q->body.data ? q->body.data : "", q->body.len, q->arena, &q->listing, &err);
    if (rc != 0) {
        ask_fail(q, "hub_answer", false, rc, err.text);
        return;
    }
    if (!hub_link_next(client_call_header(q->call, "Link"), link, sizeof link)) {
        ask_answer(q, NULL);
        return;
    }
    rc = ++q->pages > PAGES_MAX ? error_set(&err, VX11_ETOO_LARGE, "the repository's listing does not end")
                                : hub_url_next(q->hub, &q->url, link, &next, &err);
    if (rc == 0) {
        q->url = next;
        rc = ask_send(q, &err);
    }
    if (rc != 0)
        ask_fail(q, "hub_answer", false, rc, err.text);
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct hub_ask *q = ctx;
    q->call = call;
    if (q->cancelled) {
        ask_free(q);
    } else if (q->status == 0 || (result != 0 && !(result == VX11_ECANCELLED && q->kind == ASK_PROBE))) {
        ask_fail(q, "hub_unavailable", result != VX11_EPERMISSION, result ? result : VX11_EIO, err->text);
    } else if (is_redirect(q->status)) {
        ask_hop(q);
    } else if (q->status < 200 || q->status > 299) {
        ask_status(q);
    } else if (q->kind == ASK_LIST) {
        ask_page(q);
    } else if (q->kind == ASK_SEARCH) {
        ask_found(q);
    } else {
        ask_answer(q, NULL);
    }
}

static void header_copy(struct client_call *call, const char *name, char *out, size_t size)
{
    const char *value = client_call_header(call, name);
    if (value && strlen(value) < size)
        memcpy(out, value, strlen(value) + 1);
}

static int64_t size_header(const char *text)
{
    int64_t n;
    return text && str_to_i64(text, 0, INT64_MAX, &n) == 0 ? n : -1;
}

/* What a HEAD of the hub, or the first byte of a plain file, tells about it. */
static void file_headers(struct hub_ask *q, struct client_call *call, int status)
{
    const char *linked = client_call_header(call, "X-Linked-Etag"),
               *range = client_call_header(call, "Content-Range");
    const char *total = range ? strchr(range, '/') : NULL;
    char commit[65] = "";
    if (linked) { /* an LFS file: its hash */
        q->has_etag = hub_etag_plain(linked, q->etag, sizeof q->etag, &q->weak);
        if (q->has_etag && strlen(q->etag) == 64 && strspn(q->etag, "0123456789abcdef") == 64)
            memcpy(q->sha256, q->etag, sizeof q->sha256);
        q->size = size_header(client_call_header(call, "X-Linked-Size"));
    } else if (status / 100 == 2) {
        q->has_etag = hub_etag_plain(client_call_header(call, "ETag"), q->etag, sizeof q->etag, &q->weak);
        q->size = size_header(status == 206 ? (total ? total + 1 : NULL)
                                            : client_call_header(call, "Content-Length"));
    }
    header_copy(call, "X-Repo-Commit", commit, sizeof commit);
    if (commit[0] && pull_revision_valid(commit))
        memcpy(q->commit, commit, sizeof q->commit);
}

static void on_headers(struct client_call *call, void *ctx, int status)
{
    struct hub_ask *q = ctx;
    q->status = status;
    q->location[0] = '\0';
    if (is_redirect(status))
        header_copy(call, "Location", q->location, sizeof q->location);
    if (q->kind == ASK_RESOLVE || q->kind == ASK_PROBE)
        file_headers(q, call, status);
    if (q->kind == ASK_PROBE && status == 200)
        client_cancel(call); /* it ignores ranges, and would send the whole file */
}

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct hub_ask *q = ctx;
    if (q->cancelled || (q->kind != ASK_LIST && q->kind != ASK_SEARCH))
        return;
    if (q->body.len + len > BODY_MAX || buf_append(&q->body, data, len) != 0) {
        q->status = 0;
        client_cancel(call);
    }
}

static int ask_send(struct hub_ask *q, struct error *err)
{
    static const struct client_events events = {on_headers, on_data, on_done};
    const struct client_header headers[] = {{"Accept-Encoding", "identity"}, {"Range", "bytes=0-0"}};
    q->status = 0;
    buf_clear(&q->body);
    return hub_request(q->hub, &q->url, q->kind == ASK_RESOLVE ? "HEAD" : "GET", headers,
                       q->kind == ASK_PROBE ? 2 : 1, q->hub->idle_ms, &events, q, &q->call, err);
}

static int ask_begin(struct hub *h, enum ask_kind kind, const char *repository, const char *url,
                     struct hub_ask **out, struct error *err)
{
    struct hub_ask *q = calloc(1, sizeof *q);
    if (!q)
        return error_set(err, VX11_ENOMEM, "out of memory");
    q->hub = h;
    q->kind = kind;
    q->size = -1;
    q->problem.retry_after_ms = -1;
    (void)snprintf(q->repository, sizeof q->repository, "%s", repository);
    int rc = hub_url_first(h, url, &q->url, err);
    if (rc != 0) {
        ask_free(q);
        return rc;
    }
    *out = q;
    return 0;
}

static int ask_go(struct hub_ask *q, struct hub_ask **out, struct error *err)
{
    int rc = ask_send(q, err);
    if (rc != 0)
        ask_free(q);
    else
        *out = q;
    return rc;
}

/* ENDPOINT + text in printf's manner, the revision's slashes escaped as the hub wants it. */
static int put_revision(struct buf *out, const char *revision)
{
    return url_encode(out, revision, strlen(revision), false);
}

int hub_list(struct hub *h, const char *repository, const char *revision, struct arena *a, hub_list_fn fn,
             void *ctx, struct hub_ask **out, struct error *err)
{
    struct buf url = BUF_INIT;
    struct hub_ask *q = NULL;
    buf_printf(&url, "%s/api/models/%s/tree/", h->endpoint, repository);
    put_revision(&url, revision);
    buf_puts(&url, "?recursive=true");
    int rc = url.failed ? error_set(err, VX11_ENOMEM, "out of memory")
                        : ask_begin(h, ASK_LIST, repository, url.data, &q, err);
    buf_free(&url);
    if (rc != 0)
        return rc;
    q->arena = a;
    q->fn.list = fn;
    q->ctx = ctx;
    return ask_go(q, out, err);
}

int hub_resolve(struct hub *h, const char *repository, const char *revision, const char *file, hub_file_fn fn,
                void *ctx, struct hub_ask **out, struct error *err)
{
    struct buf url = BUF_INIT;
    struct hub_ask *q = NULL;
    buf_printf(&url, "%s/%s/resolve/", h->endpoint, repository);
    put_revision(&url, revision);
    buf_putc(&url, '/');
    url_encode(&url, file, strlen(file), true);
    int rc = url.failed ? error_set(err, VX11_ENOMEM, "out of memory")
                        : ask_begin(h, ASK_RESOLVE, repository, url.data, &q, err);
    buf_free(&url);
    if (rc != 0)
        return rc;
    q->fn.file = fn;
    q->ctx = ctx;
    return ask_go(q, out, err);
}

int hub_probe(struct hub *h, const char *url, hub_file_fn fn, void *ctx, struct hub_ask **out,
              struct error *err)
{
    struct hub_ask *q = NULL;
    int rc = ask_begin(h, ASK_PROBE, "", url, &q, err);
    if (rc != 0)
        return rc;
    q->fn.file = fn;
    q->ctx = ctx;
    return ask_go(q, out, err);
}

int hub_search(struct hub *h, const char *query, int64_t limit, hub_search_fn fn, void *ctx,
               struct hub_ask **out, struct error *err)
{
    struct buf url = BUF_INIT;
    struct hub_ask *q = NULL;
    if (!h->search)
        return error_set(err, VX11_EPERMISSION,
                         "the hub may not be searched: hermes.hub.search is false; set it to true in the "
                         "configuration to allow it");
    buf_printf(&url, "%s/api/models?search=", h->endpoint);
    url_encode(&url, query, strlen(query), false);
    buf_printf(&url, "&filter=gguf&sort=downloads&direction=-1&limit=%lld", (long long)limit);
    int rc = url.failed ? error_set(err, VX11_ENOMEM, "out of memory")
                        : ask_begin(h, ASK_SEARCH, "", url.data, &q, err);
    buf_free(&url);
    if (rc != 0)
        return rc;
    q->arena = arena_create(0);
    if (!q->arena) {
        ask_free(q);
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    q->fn.search = fn;
    q->ctx = ctx;
    return ask_go(q, out, err);
}

void hub_ask_cancel(struct hub_ask *q)
{
    q->cancelled = true;
    client_cancel(q->call);
}
