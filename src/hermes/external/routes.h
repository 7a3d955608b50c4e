/* Routes about engines that are not VX11's own, and where any engine answers. */
#ifndef VX11_HERMES_EXTERNAL_ROUTES_H
#define VX11_HERMES_EXTERNAL_ROUTES_H

#include "hermes/hermes_internal.h"

void external_list(struct request *r, void *module);
void engine_get(struct request *r, void *module);
void engine_get_post(struct request *r, void *module);

#endif
