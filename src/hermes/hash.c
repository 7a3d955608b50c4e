/* A thread of its own for each file, because a thread's niceness can be raised but not lowered again, and the
 * pool's threads have quick work to do. */
#include "hermes/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "hermes/registry.h"

#define PIECE ((size_t)1 << 20)

struct hasher {
    struct store *store;
    uv_async_t done_signal;
    uv_thread_t thread;
    bool running, closing;
    struct arena *arena;       /* of row */
    struct registry_model row; /* being hashed */
    atomic_bool cancel;
    int result; /* the thread's, read after it was joined */
    struct error error;
    char hex[2 * crypto_hash_sha256_BYTES + 1];
    int64_t after_size; /* where in the order of sizes and ids we are, so that a file that fails is passed */
    char after_id[ULID_LEN + 1];
    bool again; /* kicked while running: start over afterwards */
    void (*closed)(void *ctx);
    void *closed_ctx;
};

static int hash_fd(struct hasher *h, int fd)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;
    unsigned char *piece = malloc(PIECE);
    int rc = piece ? 0 : error_set(&h->error, VX11_ENOMEM, "out of memory");
    crypto_hash_sha256_init(&state);
    while (rc == 0) {
        ssize_t n = read(fd, piece, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = error_set_errno(&h->error, errno, "cannot read");
        if (n <= 0)
            break;
        crypto_hash_sha256_update(&state, piece, (unsigned long long)n);
        if (atomic_load(&h->cancel))
            rc = error_set(&h->error, VX11_ECANCELLED, "stopped");
    }
    crypto_hash_sha256_final(&state, hash);
    hex_encode(hash, sizeof hash, h->hex);
    free(piece);
    return rc;
}

static void on_thread(void *arg)
{
    struct hasher *h = arg;
    proc_lower_thread();
    int fd = open(h->row.api.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        h->result = error_set_errno(&h->error, errno, "cannot open");
    } else {
        h->result = hash_fd(h, fd);
        close(fd);
    }
    uv_async_send(&h->done_signal);
}

static void hasher_next(struct hasher *h)
{
    struct error err = {0};
    arena_destroy(h->arena);
    h->arena = arena_create(0);
    if (!h->arena)
        return;
    int rc =
        registry_next_unhashed(h->store, HASH_MAX_BYTES, h->after_size, h->after_id, h->arena, &h->row, &err);
    if (rc == VX11_ENOT_FOUND)
        return;
    if (rc == 0) {
        h->after_size = h->row.api.size_bytes;
        memcpy(h->after_id, h->row.api.id, sizeof h->after_id);
        h->error = (struct error){0};
        atomic_store(&h->cancel, false);
        if (uv_thread_create(&h->thread, on_thread, h) != 0)
            rc = error_set(&err, VX11_EUNAVAILABLE, "no thread");
    }
    h->running = rc == 0;
    if (rc != 0)
        log_warn("hash", "hashing does not go on", LOG_S("reason", err.text));
}

static void hasher_store(struct hasher *h)
{
    struct error err = {0};
    int64_t size, mtime_ns;
    if (h->result != 0) {
        log_warn("hash", "a file could not be hashed", LOG_S("path", h->row.api.path),
                 LOG_S("reason", h->error.text));
        return;
    }
    if (model_facts_stat(h->row.api.path, &size, &mtime_ns, &err) != 0 || size != h->row.api.size_bytes ||
        mtime_ns != h->row.mtime_ns)
        return; /* another file by now: the next scan finds it */
    int rc = registry_set_hash(h->store, &h->row, h->hex, clock_wall_ms(), &err);
    if (rc != 0 && rc != VX11_ENOT_FOUND)
        log_warn("hash", "a hash could not be stored", LOG_S("path", h->row.api.path),
                 LOG_S("reason", err.text));
}

static void on_closed(uv_handle_t *handle)
{
    struct hasher *h = handle->data;
    void (*closed)(void *ctx) = h->closed;
    void *ctx = h->closed_ctx;
    arena_destroy(h->arena);
    free(h);
    closed(ctx);
}

static void on_done(uv_async_t *signal)
{
    struct hasher *h = signal->data;
    if (!h->running)
        return;
    uv_thread_join(&h->thread);
    h->running = false;
    if (h->closing) {
        uv_close((uv_handle_t *)&h->done_signal, on_closed);
        return;
    }
    hasher_store(h);
    if (h->again) {
        h->again = false;
        hasher_kick(h);
        return;
    }
    hasher_next(h);
}

int hasher_create(uv_loop_t *loop, struct store *store, struct hasher **out)
{
    struct hasher *h = calloc(1, sizeof *h);
    if (!h)
        return VX11_ENOMEM;
    h->store = store;
    atomic_init(&h->cancel, false);
    if (uv_async_init(loop, &h->done_signal, on_done) != 0) {
        free(h);
        return VX11_ENOMEM;
    }
    h->done_signal.data = h;
    *out = h;
    return 0;
}

void hasher_kick(struct hasher *h)
{
    if (h->closing)
        return;
    if (h->running) {
        h->again = true;
        return;
    }
    h->after_size = -1;
    h->after_id[0] = '\0';
    hasher_next(h);
}

void hasher_close(struct hasher *h, void (*done)(void *ctx), void *ctx)
{
    h->closing = true;
    h->closed = done;
    h->closed_ctx = ctx;
    if (h->running)
        atomic_store(&h->cancel, true);
    else
        uv_close((uv_handle_t *)&h->done_signal, on_closed);
}
