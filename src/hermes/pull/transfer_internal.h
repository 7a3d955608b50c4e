/* What the files of the transfer share.
 *
 *   transfer.c        beginning, the tick, the end
 *   transfer_fetch.c  the connections: requests, replies, what to do about those that fail
 *   transfer_disk.c   the thread pool's work: writing, hashing, the last checks */
#ifndef VX11_HERMES_PULL_TRANSFER_INTERNAL_H
#define VX11_HERMES_PULL_TRANSFER_INTERNAL_H

#include <sodium.h>

#include "base/buf.h"
#include "hermes/pull/journal.h"
#include "hermes/pull/transfer.h"

enum {
    CONNECTIONS_MAX = 16,
    BLOCK = 512 * 1024,  /* bytes written at a time */
    SEGMENT_CHUNKS = 16, /* of one request at most */
    FINISHED_MAX = 80,   /* chunks that one write can complete: a block of pieces, the smallest chunks */
    TICK_MS = 50,
    RETRY_MAX_MS = 60000,
    RETRY_AFTER_MAX_MS = 300000,
};

struct fetcher { /* one connection */
    struct transfer *t;
    struct client_call *call; /* NULL: no request runs */
    struct hub_url url;
    unsigned hops;
    bool busy;         /* has a range */
    uint32_t from, to; /* its chunks, to not included */
    uint64_t at, end;  /* next byte to come; end of the range */
    int status;        /* of the reply */
    bool accepted;     /* its body is what was asked for */
    bool over;         /* the request has ended; result says how */
    int result;
    char reason[200], location[HUB_URL];
    int64_t retry_after_ms;
    unsigned failures; /* in a row */
    int64_t retry_at;  /* monotonic ms; 0: none waits */
    bool throttled;
    int64_t window_at, window_bytes; /* for what is too slow */
    struct buf block;                /* has come, is not written */
    /* the write that runs */
    uv_work_t work;
    bool writing;
    struct buf writing_data;
    uint64_t writing_at;
    crypto_generichash_state hash; /* of the chunk that is being written */
    uint32_t finished[FINISHED_MAX];
    uint8_t digests[FINISHED_MAX][JOURNAL_DIGEST];
    size_t finished_count;
    int write_result;
    struct error write_error;
};

struct transfer {
    struct transfer_options o;
    char *repository, *revision, *file, *url, *sha256, *etag, *name;
    struct hub_url location;
    struct hub_ask *asking; /* where the file is now: the last place has expired */
    int part_fd;
    struct journal journal;
    uint8_t key[JOURNAL_KEY];
    uv_timer_t tick;
    struct fetcher fetchers[CONNECTIONS_MAX];
    unsigned count;
    uint32_t cursor; /* chunks before it are done or taken */
    bool stream;     /* the server knows no ranges */
    bool magic_seen;
    bool refetched; /* everything was fetched a second time: the hash was wrong */
    unsigned bad_chunks;
    char host_etag[257]; /* of the file host; "": none */
    int64_t received, resumed;
    uint64_t retries;
    /* hashing */
    uv_work_t hash_work;
    bool hashing;
    uint32_t hashed; /* chunks, from the start */
    crypto_hash_sha256_state sha;
    uint32_t hash_chunk;
    uint8_t hash_expect[JOURNAL_DIGEST];
    int hash_result; /* 0, VX11_ECORRUPT (the chunk is bad), else an error */
    struct error hash_error;
    char hex[65];
    /* the end */
    uv_work_t last_work;
    bool finishing, ending, told;
    int result;
    const char *code;
    struct error error;
};

/* transfer.c */
void transfer_fail(struct transfer *t, int result, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void transfer_note(struct transfer *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void transfer_settle(struct transfer *t); /* the end, once nothing runs any more */
void transfer_go_on(struct transfer *t);  /* gives ranges to who has none; the last steps when all is there */

/* transfer_fetch.c */
void fetcher_next(struct fetcher *f);       /* takes a range and asks for it, when there is one */
void fetcher_ask(struct fetcher *f);        /* (again) for what is left of its range */
bool fetcher_ripe(const struct fetcher *f); /* what has come is to be written now */
void fetcher_after(struct fetcher *f);      /* the request is over and everything written */
void fetcher_tick(struct fetcher *f, int64_t now);
bool fetcher_quiet(const struct fetcher *f); /* nothing of it runs */

/* transfer_disk.c */
void fetcher_flush(struct fetcher *f); /* writes its block, unless a write runs */
void fetcher_copy(struct fetcher *f);  /* local files: reads and writes the next block */
void transfer_hash(struct transfer *t);
void transfer_last(struct transfer *t);

#endif
