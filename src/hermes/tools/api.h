/* The routes of tools, providers, the registry, executions and discovery; entered in hermes_handlers. */
#ifndef VX11_HERMES_TOOLS_API_H
#define VX11_HERMES_TOOLS_API_H

#include "net/server.h"

void tools_route_list(struct request *r, void *module);
void tools_route_get(struct request *r, void *module);
void tools_route_detect(struct request *r, void *module);
void tools_route_enable(struct request *r, void *module);
void tools_route_disable(struct request *r, void *module);
void tools_route_test(struct request *r, void *module);
void tools_route_chat(struct request *r, void *module);
/* Refuses who may only chat and comes to Hermes' own port: what a token may use, Switch knows. True: done so.
 */
bool tools_refuse_direct(struct request *r);

void providers_route_list(struct request *r, void *module);
void providers_route_add(struct request *r, void *module);
void providers_route_set(struct request *r, void *module);
void providers_route_remove(struct request *r, void *module);

void registry_route(struct request *r, void *module);

void exec_route(struct request *r, void *module);
void jobs_route_list(struct request *r, void *module);
void jobs_route_get(struct request *r, void *module);
void jobs_route_events(struct request *r, void *module);
void jobs_route_cancel(struct request *r, void *module);
void execute_route(struct request *r, void *module);
void discover_route(struct request *r, void *module);

void available_route(struct request *r, void *module);
void status_route(struct request *r, void *module);
void reindex_route(struct request *r, void *module);
void register_route(struct request *r, void *module);
void shub_route(struct request *r, void *module);

#endif
