/* What hermes.c and routes.c share. */
#ifndef VX11_HERMES_INTERNAL_H
#define VX11_HERMES_INTERNAL_H

#include "api/hermes.h"
#include "hermes/engines.h"
#include "hermes/external/external.h"
#include "hermes/hash.h"
#include "hermes/pull/pulls.h"
#include "hermes/scan.h"
#include "module/module.h"

struct hermes {
    struct module *module;
    struct store *store;
    struct writer *writer;
    struct scanner *scanner;
    struct hasher *hasher;
    struct engines *engines;
    struct tools *tools;
    struct jobs *jobs;      /* of POST /hermes/exec */
    int64_t engine_changes; /* of engines' states since the start; part of the registry's version */
    struct pulls *pulls;
    struct externals *externals; /* engines that are not ours */
    struct warmup *warmup;
    uv_timer_t scan_timer, host_timer;
    struct client_call *host_call; /* NULL: Switch is not being asked */
    char program[4096];            /* the worker's executable */
    char guide_problem[512];       /* "" when the guide model is in place */
    unsigned closing;              /* parts that have not closed yet */
    void (*stopped)(struct module *m);
};

struct registry_model;

/* routes.c */
/* What the engines must know of a model; points into the row. */
void hermes_engine_model(struct hermes *h, const struct registry_model *row, struct engine_model *out);
/* Registers a file: the one way in for all routes. path: absolute; name NULL: from the file's. */
void hermes_models_add(struct hermes *h, struct request *r, const char *path, const char *name);
void hermes_reply_model(struct hermes *h, struct request *r, int status, const char *name);

/* pool/routes.c */
void pool_pin(struct request *r, void *module);
void pool_unpin(struct request *r, void *module);
void pool_plan(struct request *r, void *module);
void pool_resources(struct hermes *h, struct hermes_system_resources *out);
int pool_groups(struct hermes *h, const struct config *config); /* from the configuration */
void pool_used(void *ctx, const char *id, const char *model, int64_t n, int64_t at); /* ctx: struct hermes */

/* host.c */
void host_start(struct hermes *h);
void host_stop(struct hermes *h); /* the timer is still to be closed */

/* registry_route.c: at the start, so that versions of earlier ones are not met again. */
int registry_lift_version(struct store *s, struct error *err);

extern const request_handler hermes_handlers[HERMES_ROUTE_COUNT];

#endif
