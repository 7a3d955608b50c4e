/* Connections: each takes a run of chunks that are not there, asks for it, and gives the bytes to the disk.
 * Whatever goes wrong with a request concerns its own range only: what came is kept, the rest is asked for
 * again, after a pause that doubles. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/ulid.h"
#include "hermes/pull/transfer_internal.h"

bool fetcher_quiet(const struct fetcher *f)
{
    return !f->call && !f->writing;
}

/* ---- ranges ---- */

static bool chunk_taken(const struct transfer *t, uint32_t chunk)
{
    for (unsigned i = 0; i < t->count; i++)
        if (t->fetchers[i].busy && chunk >= t->fetchers[i].from && chunk < t->fetchers[i].to)
            return true;
    return false;
}

static bool chunk_free(const struct transfer *t, uint32_t chunk)
{
    return !journal_has(&t->journal, chunk) && !chunk_taken(t, chunk);
}

static bool any_busy(const struct transfer *t)
{
    for (unsigned i = 0; i < t->count; i++)
        if (t->fetchers[i].busy)
            return true;
    return false;
}

void fetcher_next(struct fetcher *f)
{
    struct transfer *t = f->t;
    struct journal *j = &t->journal;
    if (f->busy || !fetcher_quiet(f) || j->done_count == j->chunks)
        return;
    if (t->stream) { /* one connection, from the start */
        if (any_busy(t))
            return;
        f->from = 0;
        f->to = j->chunks;
    } else {
        uint32_t left = j->chunks - j->done_count, most = left / t->count + 1;
        if (most > SEGMENT_CHUNKS)
            most = SEGMENT_CHUNKS;
        while (t->cursor < j->chunks && journal_has(j, t->cursor))
            t->cursor++;
        uint32_t at = t->cursor;
        while (at < j->chunks && !chunk_free(t, at))
            at++;
        if (at == j->chunks)
            return;
        f->from = f->to = at;
        while (f->to < j->chunks && f->to - f->from < most && chunk_free(t, f->to))
            f->to++;
    }
    f->busy = true;
    f->at = journal_chunk_start(j, f->from);
    f->end = journal_chunk_start(j, f->to - 1) + journal_chunk_len(j, f->to - 1);
    f->failures = 0;
    buf_clear(&f->block);
    fetcher_ask(f);
}

/* ---- what goes wrong ---- */

static void fetcher_retry(struct fetcher *f, const char *reason)
{
    struct transfer *t = f->t;
    uint8_t chance;
    t->retries++;
    if (++f->failures > t->o.params.retries) {
        transfer_fail(
            t, VX11_EUNAVAILABLE, "source_failed",
            "bytes %llu to %llu could not be had in %u tries: %s; what is here stays for another try",
            (unsigned long long)f->at, (unsigned long long)f->end - 1, f->failures, reason);
        return;
    }
    unsigned doublings = f->failures - 1 < 12 ? f->failures - 1 : 12;
    int64_t wait = t->o.params.retry_ms << doublings;
    if (wait > RETRY_MAX_MS)
        wait = RETRY_MAX_MS;
    random_bytes(&chance, sizeof chance); /* three quarters to five quarters of it */
    wait = wait * 3 / 4 + wait * chance / 512;
    if (f->retry_after_ms > wait)
        wait = f->retry_after_ms < RETRY_AFTER_MAX_MS ? f->retry_after_ms : RETRY_AFTER_MAX_MS;
    if (t->stream) /* there is no way to go on in the middle */
        f->at = 0;
    f->retry_at = clock_mono_ms() + (wait > 0 ? wait : 1);
}

static void changed(struct transfer *t)
{
    transfer_fail(t, VX11_EAGAIN, "source_changed",
                  "the file at the source has changed while it was downloaded");
}

/* ---- where the file is now ---- */

static void on_place(void *ctx, const struct hub_file *file, const struct hub_problem *problem)
{
    struct transfer *t = ctx;
    t->asking = NULL;
    if (problem && problem->again) { /* the range's own retry asks again */
        return;
    }
    if (problem) {
        transfer_fail(t, problem->error.code, "source_failed", "%s", problem->error.text);
        return;
    }
    if (file->size != t->o.size || (t->sha256 && file->sha256 && strcmp(t->sha256, file->sha256) != 0) ||
        (t->etag && file->etag && strcmp(t->etag, file->etag) != 0)) {
        changed(t);
        return;
    }
    t->location = file->url;
}

static void place_ask(struct transfer *t)
{
    struct error err = {0};
    int rc;
    if (t->asking || t->ending)
        return;
    if (t->repository)
        rc = hub_resolve(t->o.hub, t->repository, t->revision, t->file, on_place, t, &t->asking, &err);
    else
        rc = hub_probe(t->o.hub, t->url, on_place, t, &t->asking, &err);
    if (rc != 0)
        transfer_fail(t, rc, "source_failed", "%s", err.text);
}

/* ---- replies ---- */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* "bytes 0-499/1234": exactly what was asked for, of a file of the size that we know? */
static bool range_fits(struct fetcher *f, const char *text, bool *other_size)
{
    unsigned long long first, last, total;
    int used = 0;
    *other_size = false;
    if (!text || sscanf(text, "bytes %llu-%llu/%llu%n", &first, &last, &total, &used) != 3 ||
        text[used] != '\0')
        return false;
    *other_size = total != f->t->journal.size;
    return first == f->at && last >= first && last < f->end;
}

static bool etag_fits(struct transfer *t, struct client_call *call)
{
    char etag[sizeof t->host_etag];
    bool weak;
    if (!hub_etag_plain(client_call_header(call, "ETag"), etag, sizeof etag, &weak) || weak)
        return true; /* nothing to compare with */
    if (t->host_etag[0] == '\0')
        memcpy(t->host_etag, etag, sizeof etag);
    return strcmp(t->host_etag, etag) == 0;
}

/* 200: the whole file from its start. */
static void take_stream(struct fetcher *f, struct client_call *call)
{
    struct transfer *t = f->t;
    int64_t size;
    const char *length = client_call_header(call, "Content-Length");
    if (length && (str_to_i64(length, 0, INT64_MAX, &size) != 0 || size != t->o.size)) {
        changed(t);
        return;
    }
    if (!t->stream) {
        transfer_note(t, "the server sends no ranges: one connection, from the start");
        t->stream = true;
    }
    for (unsigned i = 0; i < t->count; i++) {
        struct fetcher *other = &t->fetchers[i];
        if (other != f && other->busy) {
            other->busy = false;
            other->retry_at = 0;
            if (other->call)
                client_cancel(other->call);
        }
    }
    f->from = 0;
    f->to = t->journal.chunks;
    f->at = 0;
    f->end = t->journal.size;
    f->accepted = true;
}

static void on_headers(struct client_call *call, void *ctx, int status)
{
    struct fetcher *f = ctx;
    struct transfer *t = f->t;
    const char *location = client_call_header(call, "Location"),
               *encoding = client_call_header(call, "Content-Encoding");
    bool other_size = false;
    f->status = status;
    f->retry_after_ms = client_call_retry_after(call);
    f->location[0] = '\0';
    if (t->ending || !f->busy)
        return;
    if (is_redirect(status) && location && strlen(location) < sizeof f->location)
        memcpy(f->location, location, strlen(location) + 1);
    if (status != 200 && status != 206)
        return;
    if (encoding && strcasecmp(encoding, "identity") != 0) {
        (void)snprintf(f->reason, sizeof f->reason, "the server encodes the file (%.60s)", encoding);
    } else if (!etag_fits(t, call)) { // NOLINT(bugprone-branch-clone): the order of the questions counts
        changed(t);
    } else if (status == 200) {
        take_stream(f, call);
    } else if (range_fits(f, client_call_header(call, "Content-Range"), &other_size) && !other_size) {
        f->accepted = true;
    } else if (other_size) {
        changed(t);
    } else {
        (void)snprintf(f->reason, sizeof f->reason, "the server sent another range than was asked for");
    }
    if (!f->accepted && !t->ending)
        client_cancel(call);
}

/* "GGUF" and a version: whatever else it is, it is noticed before it has filled the disk. */
static bool magic_ok(const struct buf *first)
{
    const unsigned char *p = (const unsigned char *)first->data;
    return memcmp(p, "GGUF", 4) == 0 && (p[4] | p[7]) != 0;
}

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct fetcher *f = ctx;
    struct transfer *t = f->t;
    if (t->ending || !f->accepted || !f->busy)
        return;
    if (len > f->end - f->at) { /* more than it said: the rest is not ours */
        len = (size_t)(f->end - f->at);
        (void)snprintf(f->reason, sizeof f->reason, "the server sent more than was asked for");
    }
    if (buf_append(&f->block, data, len) != 0) {
        transfer_fail(t, VX11_ENOMEM, "out_of_memory", "out of memory");
        return;
    }
    f->at += len;
    f->window_bytes += (int64_t)len;
    t->received += (int64_t)len;
    bucket_take(t->o.shared, (int64_t)len);
    bucket_take(t->o.own, (int64_t)len);
    if (!t->magic_seen && f->at == f->block.len && f->at >= 8) {
        t->magic_seen = true;
        if (!magic_ok(&f->block)) {
            transfer_fail(t, VX11_ECORRUPT, "invalid_model", "what comes is no GGUF file");
            return;
        }
    }
    if (fetcher_ripe(f))
        fetcher_flush(f);
    int64_t now = clock_mono_ms();
    if (f->at < f->end && (!bucket_open(t->o.shared, now) || !bucket_open(t->o.own, now))) {
        f->throttled = true;
        client_pause(call);
    }
    if (f->at == f->end && f->reason[0])
        client_cancel(call);
}

/* ---- the end of a request ---- */

static void follow(struct fetcher *f)
{
    struct hub_url next;
    struct error err = {0};
    int rc = f->location[0] == '\0' ? error_set(&err, VX11_ECORRUPT, "the server redirects to nowhere")
             : ++f->hops > HUB_REDIRECTS
                 ? error_set(&err, VX11_ECORRUPT, "the server redirects more than five times")
                 : hub_url_next(f->t->o.hub, &f->url, f->location, &next, &err);
    if (rc != 0) {
        transfer_fail(f->t, rc, "bad_redirect", "%s", err.text);
        return;
    }
    f->url = next;
    fetcher_ask(f);
}

static void refused(struct fetcher *f)
{
    char text[200];
    (void)snprintf(text, sizeof text, "the server answered with status %d", f->status);
    if (f->status == 401 || f->status == 403 || f->status == 404 || f->status == 410 || f->status == 416 ||
        f->status == 400)
        place_ask(f->t); /* signed addresses expire */
    fetcher_retry(f, text);
}

void fetcher_after(struct fetcher *f)
{
    struct transfer *t = f->t;
    f->over = false;
    if (t->ending) {
        transfer_settle(t);
    } else if (!f->busy) { /* its range was taken away */
        transfer_go_on(t);
    } else if (t->o.local_fd >= 0 && f->at < f->end) {
        fetcher_copy(f);
    } else if (f->at == f->end) {
        f->busy = false;
        transfer_go_on(t);
    } else if (is_redirect(f->status)) {
        follow(f);
    } else if (f->status >= 300) {
        refused(f);
    } else {
        fetcher_retry(f, f->reason[0] ? f->reason : "the connection ended too early");
    }
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct fetcher *f = ctx;
    (void)call;
    f->call = NULL;
    f->over = true;
    f->result = result;
    if (result == VX11_EPERMISSION && !f->t->ending)
        transfer_fail(f->t, result, "bad_redirect", "%s", err->text);
    if (f->status == 0 || (result != 0 && !f->reason[0]))
        (void)snprintf(f->reason, sizeof f->reason, "%.190s", err ? err->text : "");
    if (f->writing)
        return; /* goes on when that is done */
    if (f->block.len > 0 && !f->t->ending && f->busy)
        fetcher_flush(f);
    else
        fetcher_after(f);
}

/* ---- asking ---- */

void fetcher_ask(struct fetcher *f)
{
    static const struct client_events events = {on_headers, on_data, on_done};
    struct transfer *t = f->t;
    struct client_header headers[3] = {{"Accept-Encoding", "identity"}};
    char range[64], condition[sizeof t->host_etag + 2];
    struct error err = {0};
    size_t n = 1;
    f->retry_at = 0;
    f->status = 0;
    f->reason[0] = '\0';
    f->accepted = f->throttled = f->over = false;
    f->retry_after_ms = -1;
    f->window_at = clock_mono_ms();
    f->window_bytes = 0;
    if (t->o.local_fd >= 0) {
        fetcher_copy(f);
        return;
    }
    if (f->hops == 0)
        f->url = t->location;
    if (!t->stream) {
        (void)snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)f->at,
                       (unsigned long long)f->end - 1);
        headers[n++] = (struct client_header){"Range", range};
        if (t->host_etag[0]) {
            (void)snprintf(condition, sizeof condition + 0, "\"%s\"", t->host_etag);
            headers[n++] = (struct client_header){"If-Range", condition};
        }
    }
    int rc =
        hub_request(t->o.hub, &f->url, "GET", headers, n, t->o.params.idle_ms, &events, f, &f->call, &err);
    if (rc != 0) {
        f->call = NULL;
        transfer_fail(t, rc, rc == VX11_EPERMISSION ? "bad_redirect" : "source_failed", "%s", err.text);
    }
}

/* Slower than a person would wait for. What we hold back ourselves does not count. */
static bool too_slow(struct fetcher *f, int64_t now)
{
    const struct transfer_params *p = &f->t->o.params;
    if (!f->call || f->throttled || f->writing || p->min_rate == 0 || now - f->window_at < p->idle_ms)
        return false;
    bool slow = f->window_bytes * 1000 < p->min_rate * (now - f->window_at);
    f->window_at = now;
    f->window_bytes = 0;
    return slow;
}

void fetcher_tick(struct fetcher *f, int64_t now)
{
    struct transfer *t = f->t;
    if (f->throttled && bucket_open(t->o.shared, now) && bucket_open(t->o.own, now)) {
        f->throttled = false;
        f->window_at = now;
        f->window_bytes = 0;
        if (f->call && !f->writing)
            client_resume(f->call);
    }
    if (f->busy && f->retry_at > 0 && now >= f->retry_at && !t->asking) {
        f->hops = 0;
        fetcher_ask(f);
    } else if (too_slow(f, now)) {
        (void)snprintf(f->reason, sizeof f->reason, "the connection brings less than %lld bytes a second",
                       (long long)t->o.params.min_rate);
        client_cancel(f->call);
    }
}
