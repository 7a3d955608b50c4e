/* Routes of budgets and usage. */
#ifndef VX11_SWITCH_LIMITS_ROUTES_H
#define VX11_SWITCH_LIMITS_ROUTES_H

#include "net/server.h"

void budgets_list(struct request *r, void *module);
void budgets_set(struct request *r, void *module);
void usage_report(struct request *r, void *module);

#endif
