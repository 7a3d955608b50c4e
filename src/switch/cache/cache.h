/* Cache: replies to requests that were made before, word for word. Off unless switch.cache.enabled.
 *
 *   request ──cache_key──> BLAKE2b of its canonical JSON ──cache_find──> reply, replayed whole or as a stream
 *                                                └─miss─> provider ──> cache_keep (whole and good answers
 * only)
 *
 * In memory only, least recently used goes first, bounded in bytes: what people wrote does not reach the disk
 * because of it, and a restart costs no more than asking once again. Only requests whose answer is meant to
 * be the same each time are kept: temperature 0, and embeddings. A seed is not enough: providers promise it
 * "as far as they can". */
#ifndef VX11_SWITCH_CACHE_H
#define VX11_SWITCH_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "contract/contract.h"

#define CACHE_KEY_LEN 32

struct cache;

enum cache_kind { CACHE_CHAT, CACHE_COMPLETION, CACHE_EMBEDDING };

struct cache_options {
    bool enabled;
    int64_t ttl_ms;
    size_t max_bytes, max_entry_bytes;
};
struct cache *cache_create(const struct cache_options *o);
void cache_destroy(struct cache *c); /* NULL is fine */
/* Empties it too: what answers may be another now. */
void cache_configure(struct cache *c, const struct cache_options *o);
void cache_clear(struct cache *c);
bool cache_enabled(const struct cache *c);

/* ---- keys ---- */
/* What makes two requests the same. */
struct cache_ask {
    enum cache_kind kind;
    const char *scope;       /* account that may see the reply; "": everyone's */
    const char *model;       /* as asked for; NULL: none */
    const char *only, *hint; /* provider and provider_hint, as asked for; may be NULL */
    const char *mode;        /* that choosing goes by; may be NULL */
    bool local_only;
    yyjson_val *body; /* OpenAI-shaped */
};
/* 0; VX11_EUNSUPPORTED: not a request whose reply is kept; VX11_ENOMEM. */
int cache_key(const struct cache_ask *ask, unsigned char out[CACHE_KEY_LEN]);
/* The JSON that is hashed: keys sorted, numbers and strings written one way. members: those of an object that
 * say nothing of the answer, or say what is so anyway, are left out at the top. For tests. */
int cache_canonical(yyjson_val *value, bool members, struct buf *out);
/* What Cache-Control asks for. */
struct cache_control {
    bool no_cache;      /* do not answer from it */
    bool no_store;      /* neither answer from it nor keep the reply */
    int64_t max_age_ms; /* -1: any */
};
void cache_control_parse(const char *header, struct cache_control *out); /* NULL: nothing is asked for */

/* ---- entries ---- */
struct cache_reply {
    const char *body; /* OpenAI's whole reply */
    size_t body_len;
    const char *provider, *model;                            /* who gave it */
    bool local;                                              /* on this machine */
    int64_t version;                                         /* of the registry of local models then */
    int64_t prompt_tokens, completion_tokens, cached_tokens; /* below 0: not known */
    int64_t age_ms;
};
/* True, and *out valid until the cache is next used. now: monotonic ms. version: of the registry now; a local
 * model's reply from another one is dropped. max_age_ms -1: any. Does not count: see cache_count. */
bool cache_find(struct cache *c, const unsigned char key[CACHE_KEY_LEN], int64_t version, int64_t max_age_ms,
                int64_t now, struct cache_reply *out);
/* Copies. 0; VX11_ETOO_LARGE past max_entry_bytes; VX11_EUNSUPPORTED: not a reply that is kept (calls of
 * tools, cut short, no answer). */
int cache_keep(struct cache *c, const unsigned char key[CACHE_KEY_LEN], const struct cache_reply *r,
               int64_t now);
enum cache_result { CACHE_HIT, CACHE_MISS, CACHE_BYPASS, CACHE_RESULTS };
extern const char *const cache_result_names[CACHE_RESULTS]; /* hit, miss, bypass */
void cache_count(struct cache *c, enum cache_result result);

struct cache_stats {
    uint64_t results[CACHE_RESULTS], kept, evicted, expired;
    size_t entries, bytes;
};
void cache_stats(const struct cache *c, struct cache_stats *out);

/* ---- streams ---- */
/* Gathers a streamed answer's chunks into the whole reply that it would have been. */
struct cache_gather;
struct cache_gather *cache_gather_create(enum cache_kind kind, size_t max_bytes);
void cache_gather_free(struct cache_gather *g); /* NULL is fine */
/* One chunk's JSON, parsed. Past its bound, or with what cannot be put together again, it turns useless in
 * silence. */
void cache_gather_chunk(struct cache_gather *g, yyjson_val *chunk);
/* The whole reply appended to out. 0; VX11_EUNSUPPORTED when it turned useless or has no end; VX11_ENOMEM. */
int cache_gather_whole(const struct cache_gather *g, struct buf *out);
/* A whole reply as chunks: fn for each one's JSON; the last one holds the usage where `usage` is set. fn's
 * non-zero stops and is returned. */
int cache_replay(enum cache_kind kind, const char *body, size_t len, bool usage,
                 int (*fn)(void *ctx, const char *data, size_t len), void *ctx);

#endif
