/* Disk work, in the thread pool. A write is durable before the journal says so: pwrite, fdatasync, record. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "hermes/gguf.h"
#include "hermes/pull/transfer_internal.h"

static int write_at(int fd, const char *data, size_t len, uint64_t at, struct error *err)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "byte %llu and what follows cannot be written",
                                   (unsigned long long)at);
        data += n;
        len -= (size_t)n;
        at += (uint64_t)n;
    }
    return 0;
}

/* A chunk is whole. */
static int chunk_finish(struct fetcher *f, uint32_t chunk, struct error *err)
{
    const struct transfer *t = f->t;
    uint8_t *digest = f->digests[f->finished_count];
    crypto_generichash_final(&f->hash, digest, JOURNAL_DIGEST);
    if (fdatasync(t->part_fd) != 0)
        return error_set_errno(err, errno, "the file cannot be brought to the disk");
    int rc = journal_write(t->journal.fd, chunk, digest, err);
    if (rc == 0)
        f->finished[f->finished_count++] = chunk;
    return rc;
}

static void on_write(uv_work_t *work)
{
    struct fetcher *f = work->data;
    const struct transfer *t = f->t;
    const char *data = f->writing_data.data;
    size_t left = f->writing_data.len;
    uint64_t at = f->writing_at;
    f->finished_count = 0;
    f->write_result = 0;
    while (left > 0 && f->write_result == 0) {
        uint32_t chunk = (uint32_t)(at / t->journal.chunk_bytes);
        uint64_t start = journal_chunk_start(&t->journal, chunk),
                 end = start + journal_chunk_len(&t->journal, chunk);
        size_t n = end - at < left ? (size_t)(end - at) : left;
        if (at == start)
            crypto_generichash_init(&f->hash, NULL, 0, JOURNAL_DIGEST);
        crypto_generichash_update(&f->hash, (const unsigned char *)data, n);
        f->write_result = write_at(t->part_fd, data, n, at, &f->write_error);
        data += n;
        left -= n;
        at += n;
        if (f->write_result == 0 && at == end)
            f->write_result = chunk_finish(f, chunk, &f->write_error);
    }
}

static void disk_failed(struct transfer *t, const struct error *err)
{
    char done[24], all[24];
    if (err->code == VX11_EFULL)
        transfer_fail(t, VX11_EFULL, "disk_full", "the disk is full: %s of %s are kept for another try (%s)",
                      str_format_bytes(journal_bytes(&t->journal), done),
                      str_format_bytes(t->journal.size, all), err->text);
    else
        transfer_fail(t, err->code, "disk_error", "%s", err->text);
}

static void after_write(uv_work_t *work, int status)
{
    struct fetcher *f = work->data;
    struct transfer *t = f->t;
    f->writing = false;
    buf_clear(&f->writing_data);
    if (status != 0)
        f->write_result = error_set(&f->write_error, VX11_ECANCELLED, "stopped");
    for (size_t i = 0; i < f->finished_count; i++) {
        journal_mark(&t->journal, f->finished[i], f->digests[i]);
        f->failures = 0;
    }
    if (f->write_result != 0 && !t->ending)
        disk_failed(t, &f->write_error);
    if (t->ending) {
        transfer_settle(t);
        return;
    }
    if (f->finished_count > 0)
        transfer_hash(t);
    if (fetcher_ripe(f) || (f->block.len > 0 && f->over))
        fetcher_flush(f);
    else if (f->over || t->o.local_fd >= 0)
        fetcher_after(f);
    else if (f->call && !f->throttled)
        client_resume(f->call);
}

bool fetcher_ripe(const struct fetcher *f)
{
    /* The end of a chunk does not wait for the block: a kill costs no more than the chunk that comes. */
    uint64_t chunk = f->t->journal.chunk_bytes, begin = f->at - f->block.len;
    return f->block.len >= BLOCK || (f->block.len > 0 && (f->at == f->end || f->at / chunk > begin / chunk));
}

void fetcher_flush(struct fetcher *f)
{
    if (f->writing || f->block.len == 0)
        return;
    f->writing = true;
    if (f->call && f->at < f->end) /* behind the end nothing comes */
        client_pause(f->call);
    f->writing_at = f->at - f->block.len;
    struct buf swap = f->writing_data;
    f->writing_data = f->block;
    f->block = swap;
    f->work.data = f;
    if (uv_queue_work(f->t->o.loop, &f->work, on_write, after_write) != 0) {
        f->writing = false;
        transfer_fail(f->t, VX11_ENOMEM, "out_of_memory", "out of memory");
    }
}

/* ---- local files ---- */

static void on_copy(uv_work_t *work)
{
    struct fetcher *f = work->data;
    uint64_t left = f->end - f->at;
    size_t want = left < BLOCK ? (size_t)left : BLOCK;
    f->finished_count = 0;
    buf_clear(&f->writing_data);
    f->write_result = buf_reserve(&f->writing_data, want);
    while (f->write_result == 0 && f->writing_data.len < want) {
        ssize_t n = pread(f->t->o.local_fd, f->writing_data.data + f->writing_data.len,
                          want - f->writing_data.len, (off_t)(f->at + f->writing_data.len));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            f->write_result = n < 0 ? error_set_errno(&f->write_error, errno, "the file cannot be read")
                                    : error_set(&f->write_error, VX11_ECORRUPT,
                                                "the file became shorter while it was copied");
        else
            f->writing_data.len += (size_t)n;
    }
    if (f->write_result != 0)
        return;
    f->writing_at = f->at;
    f->at += want;
    on_write(work);
}

void fetcher_copy(struct fetcher *f)
{
    f->writing = true;
    f->work.data = f;
    if (uv_queue_work(f->t->o.loop, &f->work, on_copy, after_write) != 0) {
        f->writing = false;
        transfer_fail(f->t, VX11_ENOMEM, "out_of_memory", "out of memory");
    }
}

/* ---- hashing ---- */

/* Reads a chunk back: is it what arrived, and how does the file's hash go on? The state moves only past a
 * good chunk. */
static void on_hash(uv_work_t *work)
{
    struct transfer *t = work->data;
    crypto_hash_sha256_state sha = t->sha;
    crypto_generichash_state digest;
    uint8_t got[JOURNAL_DIGEST];
    uint64_t at = journal_chunk_start(&t->journal, t->hash_chunk),
             left = journal_chunk_len(&t->journal, t->hash_chunk);
    unsigned char *piece = malloc(BLOCK);
    t->hash_result = piece ? 0 : error_set(&t->hash_error, VX11_ENOMEM, "out of memory");
    crypto_generichash_init(&digest, NULL, 0, JOURNAL_DIGEST);
    while (t->hash_result == 0 && left > 0) {
        ssize_t n = pread(t->part_fd, piece, left < BLOCK ? (size_t)left : BLOCK, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            t->hash_result = error_set_errno(&t->hash_error, errno, "what was written cannot be read again");
        if (n == 0)
            t->hash_result = VX11_ECORRUPT;
        if (n <= 0)
            break;
        crypto_hash_sha256_update(&sha, piece, (unsigned long long)n);
        crypto_generichash_update(&digest, piece, (unsigned long long)n);
        at += (uint64_t)n;
        left -= (uint64_t)n;
    }
    free(piece);
    crypto_generichash_final(&digest, got, sizeof got);
    if (t->hash_result == 0 && memcmp(got, t->hash_expect, sizeof got) != 0)
        t->hash_result = VX11_ECORRUPT;
    if (t->hash_result == 0)
        t->sha = sha;
    else if (t->hash_result == VX11_ECORRUPT)
        (void)journal_write(t->journal.fd, t->hash_chunk, NULL, &t->hash_error);
}

static void after_hash(uv_work_t *work, int status)
{
    struct transfer *t = work->data;
    t->hashing = false;
    if (t->ending) {
        transfer_settle(t);
        return;
    }
    if (status != 0) {
        transfer_fail(t, VX11_ECANCELLED, "cancelled", "stopped");
    } else if (t->hash_result == 0) {
        t->hashed++;
        transfer_go_on(t);
    } else if (t->hash_result == VX11_ECORRUPT && ++t->bad_chunks <= 32) {
        transfer_note(t,
                      "bytes %llu and following are not on the disk as they arrived: they are fetched again",
                      (unsigned long long)journal_chunk_start(&t->journal, t->hash_chunk));
        journal_mark(&t->journal, t->hash_chunk, NULL);
        if (t->cursor > t->hash_chunk)
            t->cursor = t->hash_chunk;
        transfer_go_on(t);
    } else if (t->hash_result == VX11_ECORRUPT) {
        transfer_fail(t, VX11_EIO, "disk_error", "the disk does not keep what is written to it");
    } else {
        disk_failed(t, &t->hash_error);
    }
}

void transfer_hash(struct transfer *t)
{
    if (t->hashing || t->ending || t->finishing || t->hashed == t->journal.chunks ||
        !journal_has(&t->journal, t->hashed))
        return;
    t->hashing = true;
    t->hash_chunk = t->hashed;
    memcpy(t->hash_expect, t->journal.digests[t->hashed], JOURNAL_DIGEST);
    t->hash_error = (struct error){0};
    t->hash_work.data = t;
    if (uv_queue_work(t->o.loop, &t->hash_work, on_hash, after_hash) != 0) {
        t->hashing = false;
        transfer_fail(t, VX11_ENOMEM, "out_of_memory", "out of memory");
    }
}

/* ---- the last steps ---- */

static void on_last(uv_work_t *work)
{
    struct transfer *t = work->data;
    struct gguf_info info;
    char part[300], journal[300];
    transfer_part_name(t->name, part, sizeof part);
    transfer_journal_name(t->name, journal, sizeof journal);
    struct arena *scratch = arena_create(GGUF_ARENA_LIMIT);
    int rc = scratch ? gguf_read_fd(t->part_fd, scratch, &info, &t->error)
                     : error_set(&t->error, VX11_ENOMEM, "out of memory");
    t->code = "invalid_model";
    if (rc == 0 && !t->o.split)
        rc = gguf_check_model(&info, &t->error);
    arena_destroy(scratch);
    if (rc != 0 && rc != VX11_ENOMEM) { /* it is what the source holds: another try would bring the same */
        struct error ignored = {0};
        (void)transfer_discard(t->o.folder_fd, t->name, &ignored);
    }
    if (rc == 0) {
        t->code = "disk_error";
        if (fsync(t->part_fd) != 0 || renameat(t->o.folder_fd, part, t->o.folder_fd, t->name) != 0 ||
            fsync(t->o.folder_fd) != 0)
            rc = error_set_errno(&t->error, errno, "%s cannot be put in its place", t->name);
        else
            (void)unlinkat(t->o.folder_fd, journal, 0);
    }
    t->result = rc;
    if (rc == 0)
        t->code = NULL;
}

static void after_last(uv_work_t *work, int status)
{
    struct transfer *t = work->data;
    t->finishing = false;
    if (status != 0) {
        t->result = error_set(&t->error, VX11_ECANCELLED, "stopped");
        t->code = "cancelled";
    }
    t->ending = true;
    transfer_settle(t);
}

void transfer_last(struct transfer *t)
{
    t->last_work.data = t;
    if (uv_queue_work(t->o.loop, &t->last_work, on_last, after_last) != 0) {
        t->finishing = false;
        transfer_fail(t, VX11_ENOMEM, "out_of_memory", "out of memory");
    }
}
