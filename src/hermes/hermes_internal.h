/* What hermes.c and routes.c share. */
#ifndef VX11_HERMES_INTERNAL_H
#define VX11_HERMES_INTERNAL_H

#include "api/hermes.h"
#include "hermes/engines.h"
#include "hermes/hash.h"
#include "hermes/scan.h"
#include "module/module.h"

struct hermes {
    struct module *module;
    struct store *store;
    struct writer *writer;
    struct scanner *scanner;
    struct hasher *hasher;
    struct engines *engines;
    uv_timer_t scan_timer;
    char program[4096];      /* the worker's executable */
    char guide_problem[512]; /* "" when the guide model is in place */
    unsigned closing;        /* parts that have not closed yet */
    void (*stopped)(struct module *m);
};

extern const request_handler hermes_handlers[HERMES_ROUTE_COUNT];

#endif
