/* Registry: the models, in the database. Hermes is their only writer; nothing is held in memory besides. All
 * on the loop thread. */
#ifndef VX11_HERMES_REGISTRY_H
#define VX11_HERMES_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/hermes.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/ulid.h"
#include "hermes/facts.h"
#include "store/store.h"

#define REGISTRY_MAX_MODELS 10000 /* a scan registers no more than this */
#define REGISTRY_BUILTIN    "vx11-guide"

/* A row: what the contract shows, and what only Hermes needs. Strings live in the arena. */
struct registry_model {
    struct hermes_model api;
    int64_t mtime_ns;           /* -1: unknown */
    int64_t kv_bytes_per_token; /* -1: unknown */
};

int registry_list(struct store *s, struct arena *a, struct registry_model **out, size_t *n,
                  struct error *err);
int registry_version(struct store *s, int64_t *out, struct error *err);
int registry_count(struct store *s, int64_t *available, int64_t *total,
                   struct error *err); /* either may be NULL */
/* VX11_ENOT_FOUND names the nearest models. */
int registry_get(struct store *s, const char *name, struct arena *a, struct registry_model *out,
                 struct error *err);
int registry_by_path(struct store *s, const char *path, struct arena *a, struct registry_model *out,
                     struct error *err);
/* The next sound file without a hash of at most max_bytes, in the order of size and id, after these two;
 * VX11_ENOT_FOUND: none. */
int registry_next_unhashed(struct store *s, int64_t max_bytes, int64_t after_size, const char *after_id,
                           struct arena *a, struct registry_model *out, struct error *err);

/* Registers. `name` is taken as it is when `exact` (VX11_EEXISTS when it is taken), else it gets "-2", "-3" …
 * behind until it is free. *taken (may be NULL) receives the name, in the arena. VX11_EEXISTS also when the
 * path is registered. */
int registry_add(struct store *s, int source, const char *name, bool exact, const struct model_facts *facts,
                 int64_t now, struct arena *a, const char **taken, struct error *err);
/* New facts for a row; its name stays. The hash is dropped when size or time differ. */
int registry_update(struct store *s, const struct registry_model *row, int source,
                    const struct model_facts *facts, int64_t now, struct error *err);
int registry_set_status(struct store *s, const char *id, int status, const char *reason, int64_t now,
                        struct error *err);
int registry_set_hash(struct store *s, const struct registry_model *row, const char *sha256, int64_t now,
                      struct error *err);
/* Takes a row out, and notes its path so that a scan does not bring it back. */
int registry_forget(struct store *s, const struct registry_model *row, int64_t now, struct error *err);
int registry_remember(struct store *s, const char *path, struct error *err);
/* Paths that scans leave alone, sorted. */
int registry_forgotten(struct store *s, struct arena *a, const char ***out, size_t *n, struct error *err);
/* Models that are pinned stay pinned. */
int registry_pin(struct store *s, const char *id, bool pinned, const char *by, int64_t now,
                 struct error *err);
/* Counts n uses, the last of them now, in one statement, through the batched writer. */
int registry_used(struct writer *w, const char *id, int64_t n, int64_t now);

#endif
