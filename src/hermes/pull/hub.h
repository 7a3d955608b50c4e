/* Hub: the Hugging Face hub's protocol, and plain servers: listing a repository, finding where a file really
 * lies, searching. Redirects are followed here, one by one, each checked: at most five, never from https to
 * http, never to an address that is not public (unless the hub itself is at one). The token goes to the hub's
 * own origin and nowhere else; it and signed queries are never logged.
 *
 *   GET  /api/models/OWNER/REPO/tree/REVISION?recursive=true     files, with size and SHA-256 of those in LFS
 *   HEAD /OWNER/REPO/resolve/REVISION/FILE                       X-Repo-Commit, X-Linked-Size, X-Linked-Etag,
 * Location GET  /api/models?search=…&filter=gguf */
#ifndef VX11_HERMES_PULL_HUB_H
#define VX11_HERMES_PULL_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "api/hermes.h"
#include "base/arena.h"
#include "base/error.h"
#include "contract/config.h"
#include "hermes/pull/choose.h"
#include "net/client.h"

struct hub;
struct hub_ask; /* a question under way */

enum { HUB_REDIRECTS = 5, HUB_URL = 8300 };

/* What is wrong, in the terms of the API. */
struct hub_problem {
    int status;    /* of HTTP; 0: no answer */
    char code[40]; /* gated_repository, repository_not_found, revision_not_found, file_not_found, hub_refused,
                      hub_unavailable, bad_redirect, hub_answer */
    bool again;    /* trying again may help */
    int64_t retry_after_ms; /* -1: not said */
    struct error error;
};

int hub_create(uv_loop_t *loop, struct client *client, const struct config_hermes *config, struct hub **out,
               struct error *err);
/* The configuration has changed. */
void hub_configure(struct hub *h, const struct config_hermes *config);
void hub_free(struct hub *h);                  /* no question may be under way */
const char *hub_endpoint(const struct hub *h); /* "https://huggingface.co" */

/* ---- redirects ---- */
struct hub_url {
    char url[HUB_URL];
    bool token;       /* it is the hub's own origin: the token goes along */
    bool public_only; /* the connection must lead to a public address */
};
/* Where a file's first URL leads. plain: a person's own URL, not the hub's. VX11_EPERMISSION, VX11_EINVALID.
 */
int hub_url_first(const struct hub *h, const char *url, struct hub_url *out, struct error *err);
/* The next hop: location as the server wrote it. */
int hub_url_next(const struct hub *h, const struct hub_url *from, const char *location, struct hub_url *out,
                 struct error *err);
/* Starts a request there, with the token when it may go. */
int hub_request(struct hub *h, const struct hub_url *url, const char *method,
                const struct client_header *headers, size_t header_count, int64_t idle_ms,
                const struct client_events *events, void *ctx, struct client_call **out, struct error *err);
/* "https://host/path" without the query, for people. Returns out. */
char *hub_url_show(const char *url, char *out, size_t size);

/* ---- questions: the function runs once, later, unless the question is cancelled ---- */
struct hub_listing {
    struct hub_entry *entries; /* in the arena that was given */
    size_t count;
};
typedef void (*hub_list_fn)(void *ctx, const struct hub_listing *listing, const struct hub_problem *problem);
int hub_list(struct hub *h, const char *repository, const char *revision, struct arena *a, hub_list_fn fn,
             void *ctx, struct hub_ask **out, struct error *err);

struct hub_file {       /* valid during the callback */
    struct hub_url url; /* where its bytes are; may be signed, and then expires */
    int64_t size;       /* -1: not said */
    const char *etag;   /* identity of the contents, without quotes; NULL: none */
    bool weak;          /* the ETag is a weak one */
    const char *sha256; /* NULL: not said */
    const char *commit; /* NULL: not said */
};
typedef void (*hub_file_fn)(void *ctx, const struct hub_file *file, const struct hub_problem *problem);
int hub_resolve(struct hub *h, const char *repository, const char *revision, const char *file, hub_file_fn fn,
                void *ctx, struct hub_ask **out, struct error *err);
/* A file at a plain URL: asked for its first byte. */
int hub_probe(struct hub *h, const char *url, hub_file_fn fn, void *ctx, struct hub_ask **out,
              struct error *err);

/* Searches for GGUF repositories. VX11_EPERMISSION, with how to allow it, when hermes.hub.search is false.
 * reply lives during the callback; NULL: problem says why. */
typedef void (*hub_search_fn)(void *ctx, const struct hermes_search_reply *reply,
                              const struct hub_problem *problem);
int hub_search(struct hub *h, const char *query, int64_t limit, hub_search_fn fn, void *ctx,
               struct hub_ask **out, struct error *err);

/* Nothing calls back any more. */
void hub_ask_cancel(struct hub_ask *q);

/* ---- parsing, for tests and the fuzzer ---- */
/* Adds the files of one page of a listing. VX11_ECORRUPT with what is wrong. */
int hub_listing_parse(const char *text, size_t len, struct arena *a, struct hub_listing *out,
                      struct error *err);
int hub_search_parse(const char *text, size_t len, struct arena *a, struct hermes_search_reply *out,
                     struct error *err);
/* The URL of rel="next" in a Link header; false: none. */
bool hub_link_next(const char *header, char *out, size_t size);
/* ETag without W/ and quotes; false: not well formed. */
bool hub_etag_plain(const char *header, char *out, size_t size, bool *weak);

#endif
