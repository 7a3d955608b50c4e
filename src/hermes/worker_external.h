/* The part of worker.c for external engines. */
#ifndef VX11_HERMES_WORKER_EXTERNAL_H
#define VX11_HERMES_WORKER_EXTERNAL_H

#include "hermes/engines_internal.h"
#include "hermes/external/external.h"

/* Port or socket, output file, target. */
int external_prepare(struct engine *e, struct worker *w, struct error *err);
int external_spawn(struct engine *e, struct worker *w, uv_exit_cb on_exit, struct error *err);
/* To the whole process group. */
int external_kill(struct worker *w, int sig);
void external_probe(struct worker *w);
/* What it wrote, into HOME/log/external-NAME.out. */
void external_output(struct worker *w, const char *data, size_t len);
/* Lets go of the engine and the file. */
void external_close(struct worker *w);

#endif
