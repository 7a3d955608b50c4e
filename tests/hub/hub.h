/* Hub: a server that speaks the Hugging Face hub's protocol as VX11 uses it, with faults on demand. Two
 * listeners, as in life: the hub itself, and a file host to which /resolve/ redirects with a signed query.
 *
 *   hub        GET  /api/models/O/R/tree/REV?recursive=true   pages of hub_knobs.page, Link: rel="next"
 *              HEAD /O/R/resolve/REV/FILE                     302, X-Repo-Commit, X-Linked-Etag,
 * X-Linked-Size GET  /api/models?search=…&filter=gguf GET  /plain/FILE                               the file
 * itself, for plain URLs file host  GET  /files/SHA256?sig=N                       ranges, If-Range, ETag;
 * 403 when N has expired */
#ifndef VX11_TESTS_HUB_H
#define VX11_TESTS_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hub_server;

/* What goes wrong, at the file host unless said. Zeros: nothing. */
struct hub_knobs {
    int drop_times; /* so many replies break off after drop_after bytes */
    int64_t drop_after;
    int short_times;             /* so many say (and send) half of what was asked for */
    int long_times;              /* so many send 100 bytes more than they say they would */
    int fail_times, fail_status; /* so many replies have this status */
    int retry_after_s;           /* with fail_status; 0: not said */
    bool ignore_range;           /* always 200 with the whole file */
    int stall_times;             /* so many replies stop after stall_after bytes and stay open */
    int64_t stall_after;
    int drip_times;    /* so many replies come a byte at a time, ten a second */
    int corrupt_times; /* so many replies have one byte changed */
    bool corrupt_always;
    int64_t rate;                        /* bytes a second of each connection; 0: as fast as it goes */
    int expire_after;                    /* a signed address is good for so many requests; 0: always */
    bool gated;                          /* the hub: 401 GatedRepo without the token "hf_test" */
    int hub_fail_times, hub_fail_status; /* the hub's own replies */
    int page;                            /* files in a page of the listing; 0: all */
    const char *redirect;                /* the hub: Location of every resolve instead of the file host */
    bool no_etag;                        /* plain files have none */
    bool html;                           /* sends a page instead of the file, of the same length */
    bool other_etag;                     /* the file host's ETag is another one now */
};

struct hub_seen {
    int requests;      /* at the file host, GET */
    int ranged, whole; /* of those: 206, 200 */
    int listings, resolves, searches;
    int64_t bytes;                     /* bodies of the file host */
    int most;                          /* replies under way at a time */
    bool token_at_hub, token_at_files; /* Authorization was sent there */
    char search[256];
};

struct hub_server *hub_server_start(void);
void hub_server_stop(struct hub_server *h);
int hub_server_port(const struct hub_server *h);
/* "http://127.0.0.1:PORT". Static. */
const char *hub_server_url(const struct hub_server *h);
/* A file; the bytes are copied. Again: it has changed, in a new commit. lfs false: a small file of git's own.
 */
void hub_server_put(struct hub_server *h, const char *repository, const char *file, const void *data,
                    size_t len, bool lfs);
const char *hub_server_sha256(struct hub_server *h, const char *repository, const char *file); /* static */
void hub_server_knobs(struct hub_server *h, const struct hub_knobs *k);
void hub_server_seen(struct hub_server *h, struct hub_seen *out);
void hub_server_forget(struct hub_server *h); /* what was seen */

#endif
