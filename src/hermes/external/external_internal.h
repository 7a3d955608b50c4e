/* What external.c, address.c and rows.c share. */
#ifndef VX11_HERMES_EXTERNAL_INTERNAL_H
#define VX11_HERMES_EXTERNAL_INTERNAL_H

#include "hermes/external/external.h"

#define EXTERNALS_MAX     64
#define EXTERNAL_NAME_MAX 65

struct check;

struct externals {
    struct externals_options options;
    struct external *list[EXTERNALS_MAX];
    size_t count;
    uv_timer_t timer;     /* the next check of an address */
    struct check *checks; /* that run */
    unsigned open;        /* checks, and the timer while it closes */
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

/* external.c */
int external_set_models(struct external *x, const char *const *names, size_t n);
void externals_release(struct externals *all); /* one of `open` is gone */

/* address.c */
void externals_schedule(struct externals *all); /* the timer, for the address that is due first */
void externals_cancel(struct externals *all);   /* ends the checks; their calls end later */

/* rows.c: the registry's rows of models that have no file here. */
/* Makes the rows what the engines offer: adds, drops, sets whether they can be used. */
int external_rows_sync(struct externals *all, struct error *err);
/* Name of the engine that a model without a file belongs to. */
bool external_row_owner(struct store *s, const char *model, char *out, size_t size);

#endif
