/* Handlers of the pulls and the catalogue, for the table in routes.c. */
#ifndef VX11_HERMES_PULL_ROUTES_H
#define VX11_HERMES_PULL_ROUTES_H

#include "net/server.h"

void route_models_pull(struct request *r, void *module);
void route_pulls_list(struct request *r, void *module);
void route_pulls_get(struct request *r, void *module);
void route_pulls_events(struct request *r, void *module);
void route_pulls_cancel(struct request *r, void *module);
void route_catalog(struct request *r, void *module);
void route_catalog_summary(struct request *r, void *module);
void route_search_models(struct request *r, void *module);

#endif
