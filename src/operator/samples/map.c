/* Map: GET /operator/map and GET /operator/metrics. */
#include "operator/operator_internal.h"
#include "operator/samples/samples.h"

void samples_map(struct request *r, void *module)
{
    (void)module;
    request_fail(r, 501, "not_built", NULL, "%s is not built yet", request_route(r)->id);
}

void samples_chart(struct request *r, void *module)
{
    (void)module;
    request_fail(r, 501, "not_built", NULL, "%s is not built yet", request_route(r)->id);
}
