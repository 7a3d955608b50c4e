/* Catalogue: models that can be pulled by a name. Built in (models/catalogue.yaml), or a file of the user's.
 */
#ifndef VX11_HERMES_PULL_CATALOGUE_H
#define VX11_HERMES_PULL_CATALOGUE_H

#include <stddef.h>
#include <stdint.h>

#include "api/hermes.h"
#include "base/error.h"

struct catalogue;

/* path "": the built-in one. VX11_EINVALID and the like, with the file's line, also for a name that is there
 * twice. */
int catalogue_load(const char *path, struct catalogue **out, struct error *err);
void catalogue_free(struct catalogue *c);
const char *catalogue_origin(const struct catalogue *c); /* "built in", or the path */
const struct hermes_catalogue_model *catalogue_models(const struct catalogue *c, size_t *n);
/* By name. VX11_ENOT_FOUND names the nearest. */
int catalogue_find(const struct catalogue *c, const char *name, const struct hermes_catalogue_model **out,
                   struct error *err);
/* Estimate of the memory that a model of this size needs: its weights, and 15 % and 256 MiB for the cells of
 * a usual context and the buffers. */
int64_t catalogue_ram_bytes(int64_t size_bytes);

#endif
