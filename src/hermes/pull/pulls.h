/* Pulls: the downloads that people asked for, as durable jobs. A job that was queued or running when Hermes
 * ended goes on when it starts again, from what is on disk.
 *
 *   source ─> catalogue ─> hub: list, choose ─> for each file: resolve ─> transfer ─> registry
 *
 * On the loop thread. */
#ifndef VX11_HERMES_PULL_PULLS_H
#define VX11_HERMES_PULL_PULLS_H

#include <stdbool.h>
#include <uv.h>

#include "api/hermes.h"
#include "api/link.h"
#include "contract/config.h"
#include "hermes/pull/catalogue.h"
#include "hermes/pull/hub.h"
#include "hermes/registry.h"
#include "net/server.h"
#include "store/store.h"

struct pulls;

struct pulls_options {
    uv_loop_t *loop;
    struct store *store;
    struct client *client;
    const char *home;
    const struct config_hermes *config;
    void (*on_event)(void *ctx, const struct link_model_pull *event);
    /* A model was registered, or its file is a new one (then its engine has the old one). */
    void (*on_model)(void *ctx, const char *name, bool new_file);
    void *ctx;
};

int pulls_create(const struct pulls_options *o, struct pulls **out, struct error *err);
void pulls_configure(struct pulls *p, const struct config_hermes *config);
void pulls_resume(struct pulls *p);      /* goes on with what was queued or running */
void pulls_end_streams(struct pulls *p); /* before a stop */
void pulls_close(struct pulls *p, void (*done)(void *ctx),
                 void *ctx); /* jobs stay as they are in the database */
struct hub *pulls_hub(struct pulls *p);
const struct catalogue *pulls_catalogue(struct pulls *p);
const char *pulls_problem(const struct pulls *p); /* of the catalogue; NULL: none */

struct pull_wish {
    const char *source, *name, *revision; /* name, revision: may be NULL */
    int64_t rate_bytes;
    const char *key; /* Idempotency-Key; NULL: none */
    const char *asked_by;
};
/* Makes a job, or joins the one of the same source. *out: its id. VX11_EINVALID, VX11_ENOT_FOUND (unknown
 * name), VX11_EPERMISSION (switched off), VX11_EEXISTS (the name is another model's; the key was used for
 * something else). code: short name of the refusal. */
int pulls_ask(struct pulls *p, const struct pull_wish *wish, char id[27], const char **code,
              struct error *err);
/* As the API shows it, in the arena. VX11_ENOT_FOUND. */
int pulls_get(struct pulls *p, const char *id, struct arena *a, struct hermes_pull *out, struct error *err);
int pulls_list(struct pulls *p, struct arena *a, struct hermes_pull **out, size_t *n, struct error *err);
/* VX11_EBUSY: it has ended already (and discard was not asked for). */
int pulls_cancel(struct pulls *p, const char *id, bool discard, struct error *err);
/* Sends its progress to an open request until it ends. */
void pulls_watch(struct pulls *p, const char *id, struct request *r);

/* Deletes the files of a model that Hermes downloaded. VX11_EPERMISSION: it is not one of those, or its files
 * are not where Hermes puts them. Call before the row goes. */
int pulls_delete_files(struct pulls *p, const struct registry_model *row, struct error *err);
/* Bytes of an unfinished pull of a catalogue entry; -1: none. */
int64_t pulls_partial(struct pulls *p, const struct hermes_catalogue_model *m);
/* Path, absolute, where a catalogue entry's file is put; in the arena. */
const char *pulls_target(struct pulls *p, const struct hermes_catalogue_model *m, struct arena *a);

#endif
