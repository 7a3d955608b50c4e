/* A transfer from its beginning to its end. One timer drives what waits: retries, the rate's limit,
 * connections that are too slow. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/pull/transfer_internal.h"

void transfer_part_name(const char *name, char *out, size_t size)
{
    (void)snprintf(out, size, "%s.part", name);
}

void transfer_journal_name(const char *name, char *out, size_t size)
{
    (void)snprintf(out, size, "%s.journal", name);
}

int transfer_discard(int folder_fd, const char *name, struct error *err)
{
    char part[300], journal[300];
    transfer_part_name(name, part, sizeof part);
    transfer_journal_name(name, journal, sizeof journal);
    if ((unlinkat(folder_fd, part, 0) != 0 && errno != ENOENT) ||
        (unlinkat(folder_fd, journal, 0) != 0 && errno != ENOENT))
        return error_set_errno(err, errno, "%s cannot be deleted", part);
    return 0;
}

void transfer_note(struct transfer *t, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    log_info("pull", "a note", LOG_S("file", t->name), LOG_S("note", text));
    t->o.note(t->o.ctx, text);
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct transfer *t = handle->data;
    struct transfer_end end = {
        .code = t->code, .retries = t->retries, .bytes = (int64_t)journal_bytes(&t->journal)};
    void (*done)(void *, int, const struct transfer_end *, const struct error *) = t->o.done;
    void *ctx = t->o.ctx;
    int result = t->result;
    struct error err = t->error;
    char hex[65];
    memcpy(hex, t->hex, sizeof hex);
    end.sha256 = hex[0] ? hex : NULL;
    for (unsigned i = 0; i < t->count; i++) {
        buf_free(&t->fetchers[i].block);
        buf_free(&t->fetchers[i].writing_data);
    }
    journal_close(&t->journal);
    if (t->part_fd >= 0)
        close(t->part_fd);
    if (t->o.local_fd >= 0)
        close(t->o.local_fd);
    close(t->o.folder_fd);
    free(t->repository);
    free(t->revision);
    free(t->file);
    free(t->url);
    free(t->sha256);
    free(t->etag);
    free(t->name);
    explicit_bzero(&t->location, sizeof t->location);
    free(t);
    done(ctx, result, &end, &err);
}

void transfer_settle(struct transfer *t)
{
    if (!t->ending || t->told || t->hashing || t->finishing)
        return;
    for (unsigned i = 0; i < t->count; i++)
        if (!fetcher_quiet(&t->fetchers[i]))
            return;
    t->told = true;
    uv_close((uv_handle_t *)&t->tick, on_closed);
}

static void transfer_end_now(struct transfer *t)
{
    t->ending = true;
    if (t->asking) {
        hub_ask_cancel(t->asking);
        t->asking = NULL;
    }
    for (unsigned i = 0; i < t->count; i++)
        if (t->fetchers[i].call)
            client_cancel(t->fetchers[i].call);
    transfer_settle(t);
}

/* The first reason stays. */
void transfer_fail(struct transfer *t, int result, const char *code, const char *fmt, ...)
{
    va_list args;
    if (t->ending)
        return;
    t->result = result;
    t->code = code;
    va_start(args, fmt);
    error_setv(&t->error, result, fmt, args);
    va_end(args);
    transfer_end_now(t);
}

void transfer_cancel(struct transfer *t)
{
    transfer_fail(t, VX11_ECANCELLED, "cancelled", "cancelled");
}

/* ---- going on ---- */

/* Everything has arrived twice over, or once: is it what it should be? */
static void transfer_judge(struct transfer *t)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state = t->sha;
    struct error err = {0};
    crypto_hash_sha256_final(&state, hash);
    hex_encode(hash, sizeof hash, t->hex);
    if (!t->sha256 || strcmp(t->sha256, t->hex) == 0) {
        t->finishing = true;
        transfer_last(t);
        return;
    }
    if (!t->refetched && t->o.local_fd < 0) {
        transfer_note(t,
                      "the SHA-256 of what arrived is %s and should be %s: everything is fetched once more",
                      t->hex, t->sha256);
        t->refetched = true;
        t->hashed = 0;
        t->cursor = 0;
        crypto_hash_sha256_init(&t->sha);
        if (journal_reset(&t->journal, t->key, &err) != 0) {
            transfer_fail(t, err.code, "disk_error", "%s", err.text);
            return;
        }
        transfer_go_on(t);
        return;
    }
    (void)transfer_discard(t->o.folder_fd, t->name, &err);
    transfer_fail(t, VX11_ECORRUPT, "hash_mismatch",
                  "the file's SHA-256 is %s and should be %s: it is deleted and not registered", t->hex,
                  t->sha256);
}

void transfer_go_on(struct transfer *t)
{
    if (t->ending || t->finishing)
        return;
    transfer_hash(t);
    if (t->hashed == t->journal.chunks && !t->hashing) {
        for (unsigned i = 0; i < t->count; i++)
            if (!fetcher_quiet(&t->fetchers[i]))
                return; /* its last word comes */
        transfer_judge(t);
        return;
    }
    for (unsigned i = 0; i < t->count && !t->ending; i++)
        if (!t->fetchers[i].busy)
            fetcher_next(&t->fetchers[i]);
}

static void on_tick(uv_timer_t *timer)
{
    struct transfer *t = timer->data;
    int64_t now = clock_mono_ms();
    if (t->ending)
        return;
    for (unsigned i = 0; i < t->count && !t->ending; i++)
        fetcher_tick(&t->fetchers[i], now);
}

void transfer_state(const struct transfer *t, struct transfer_state *out)
{
    *out = (struct transfer_state){
        .bytes = (int64_t)journal_bytes(&t->journal),
        .received = t->received,
        .resumed = t->resumed,
        .retries = t->retries,
        .finishing = t->finishing,
    };
    out->hashed = t->hashed == t->journal.chunks ? (int64_t)t->journal.size
                                                 : (int64_t)journal_chunk_start(&t->journal, t->hashed);
    for (unsigned i = 0; i < t->count; i++) {
        const struct fetcher *f = &t->fetchers[i];
        out->connections += f->call != NULL;
        /* What has come and is not in the journal yet: chunks that are being written too, else the
         * count would step back at the end of each. */
        if (f->busy && !t->stream) {
            uint32_t first = f->from;
            while (first < f->to && journal_has(&t->journal, first))
                first++;
            if (first < f->to && f->at > journal_chunk_start(&t->journal, first))
                out->bytes += (int64_t)(f->at - journal_chunk_start(&t->journal, first));
        }
    }
    if (out->bytes > (int64_t)t->journal.size)
        out->bytes = (int64_t)t->journal.size;
}

/* ---- the beginning ---- */

static bool copy_string(char **out, const char *s)
{
    *out = s ? strdup(s) : NULL;
    return !s || *out;
}

static int open_file(struct transfer *t, const char *name, int *fd, struct error *err)
{
    struct stat st;
    *fd = openat(t->o.folder_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (*fd < 0 || fstat(*fd, &st) != 0)
        return error_set_errno(err, errno, "%s cannot be opened", name);
    return S_ISREG(st.st_mode) ? 0 : error_set(err, VX11_EINVALID, "%s is no regular file", name);
}

/* Room for what is still to come. */
static int room_check(struct transfer *t, struct error *err)
{
    struct statvfs fs;
    char need[24], have[24], margin[24];
    if (fstatvfs(t->o.folder_fd, &fs) != 0)
        return error_set_errno(err, errno, "the free space cannot be found out");
    uint64_t left = t->journal.size - journal_bytes(&t->journal), room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (room >= left + (uint64_t)t->o.params.margin_bytes)
        return 0;
    return error_set(
        err, VX11_EFULL, "not enough room: %s are still to come and %s must stay free, but the disk has %s",
        str_format_bytes(left, need), str_format_bytes((uint64_t)t->o.params.margin_bytes, margin),
        str_format_bytes(room, have));
}

static int open_files(struct transfer *t, struct error *err)
{
    char name[300];
    int fd = -1;
    transfer_part_name(t->name, name, sizeof name);
    int rc = open_file(t, name, &t->part_fd, err);
    transfer_journal_name(t->name, name, sizeof name);
    if (rc == 0)
        rc = open_file(t, name, &fd, err);
    if (rc == 0)
        rc = journal_open(&t->journal, fd, (uint64_t)t->o.size, t->o.params.chunk_bytes, t->key, err);
    else if (fd >= 0)
        close(fd);
    if (rc == 0)
        rc = room_check(t, err);
    if (rc == 0 && ftruncate(t->part_fd, (off_t)t->o.size) != 0)
        rc = error_set_errno(err, errno, "the file cannot be made %lld bytes long", (long long)t->o.size);
    return rc;
}

static void transfer_drop(struct transfer *t) /* one that never began */
{
    if (t->part_fd >= 0)
        close(t->part_fd);
    journal_close(&t->journal);
    if (t->o.local_fd >= 0)
        close(t->o.local_fd);
    close(t->o.folder_fd);
    free(t->repository);
    free(t->revision);
    free(t->file);
    free(t->url);
    free(t->sha256);
    free(t->etag);
    free(t->name);
    free(t);
}

int transfer_start(const struct transfer_options *o, struct transfer **out, struct error *err)
{
    struct transfer *t = calloc(1, sizeof *t);
    if (!t) {
        close(o->folder_fd);
        if (o->local_fd >= 0)
            close(o->local_fd);
        return error_set(err, VX11_ENOMEM, "out of memory");
    }
    t->o = *o;
    t->part_fd = t->journal.fd = -1;
    if (o->location)
        t->location = *o->location;
    t->count = o->local_fd >= 0                          ? 1
               : o->params.connections > CONNECTIONS_MAX ? CONNECTIONS_MAX
                                                         : o->params.connections;
    journal_key(o->sha256, o->etag, (uint64_t)o->size, t->key);
    crypto_hash_sha256_init(&t->sha);
    bool copied = copy_string(&t->repository, o->repository) && copy_string(&t->revision, o->revision) &&
                  copy_string(&t->file, o->file) && copy_string(&t->url, o->url) &&
                  copy_string(&t->sha256, o->sha256) && copy_string(&t->etag, o->etag) &&
                  copy_string(&t->name, o->name);
    int rc = copied ? open_files(t, err) : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc != 0) {
        transfer_drop(t);
        return rc;
    }
    for (unsigned i = 0; i < t->count; i++)
        t->fetchers[i].t = t;
    uv_timer_init(o->loop, &t->tick);
    t->tick.data = t;
    uv_timer_start(&t->tick, on_tick, TICK_MS, TICK_MS);
    t->resumed = (int64_t)journal_bytes(&t->journal);
    *out = t;
    if (t->journal.replaced)
        transfer_note(t, "the file at the source is another one than what was begun here: it starts anew");
    else if (t->resumed > 0)
        transfer_note(t, "goes on from %lld of %lld bytes", (long long)t->resumed, (long long)o->size);
    transfer_go_on(t);
    return 0;
}
