/* Mount: the routes of other modules at this one's address, so that whoever talks to the front door needs no
 * other.
 *
 *   own routes ─────────────────────────┐
 *   mounted contract's routes, without  ├──> one table: server, /openapi.json
 *   those whose method and path are own ┘    id "MODULE.ROUTE", body unparsed, handler of the spec
 *
 * A copy keeps what the server enforces before the handler runs: path, parameters, scope, limits. The body is
 * left to the module that is asked, which holds the same contract. */
#include "module/module_internal.h"

#include <stdlib.h>
#include <string.h>

/* "/a/{id}" and "/a/{name}" are one path to a router. */
static bool path_same(const char *a, const char *b)
{
    while (*a && *b) {
        if (*a == '{' && *b == '{') {
            a += strcspn(a, "}");
            b += strcspn(b, "}");
        } else if (*a != *b) {
            return false;
        } else {
            a++;
            b++;
        }
    }
    return *a == *b;
}

static bool route_is_own(const struct contract_module *own, const struct contract_route *route)
{
    for (size_t i = 0; i < own->route_count; i++)
        if (strcmp(own->routes[i].method, route->method) == 0 && path_same(own->routes[i].path, route->path))
            return true;
    return false;
}

static int mount_route(struct module_mount *mount, const struct contract_module *from,
                       const struct contract_route *route, request_handler handler)
{
    struct contract_route *copy = &mount->routes[mount->contract.route_count];
    *copy = *route;
    copy->id = arena_printf(mount->arena, "%s.%s", from->name, route->id);
    if (!copy->id)
        return VX11_ENOMEM;
    copy->flags &= ~(unsigned)CONTRACT_ROUTE_STREAM_BODY;
    if (route->request || (route->flags & CONTRACT_ROUTE_STREAM_BODY))
        copy->flags |= CONTRACT_ROUTE_RAW_BODY;
    /* Standby is the state of the module behind: it says so itself. */
    mount->handlers[mount->contract.route_count++] = handler;
    return 0;
}

int module_mount_create(const struct module_spec *spec, struct module_mount **out, struct error *err)
{
    struct module_mount *mount = calloc(1, sizeof *mount);
    size_t most = spec->contract->route_count;
    int rc = mount ? 0 : VX11_ENOMEM;
    for (size_t i = 0; i < spec->mount_count; i++)
        most += spec->mounts[i].contract->route_count;
    if (mount) {
        mount->arena = arena_create(0);
        mount->routes = calloc(most, sizeof *mount->routes);
        mount->handlers = calloc(most, sizeof *mount->handlers);
        if (!mount->arena || !mount->routes || !mount->handlers)
            rc = VX11_ENOMEM;
    }
    if (rc == 0) {
        mount->contract = *spec->contract;
        mount->contract.routes = mount->routes;
        memcpy(mount->routes, spec->contract->routes, spec->contract->route_count * sizeof *mount->routes);
        memcpy(mount->handlers, spec->handlers, spec->contract->route_count * sizeof *mount->handlers);
    }
    for (size_t i = 0; rc == 0 && i < spec->mount_count; i++) {
        const struct module_mounted *from = &spec->mounts[i];
        for (size_t k = 0; rc == 0 && k < from->contract->route_count; k++) {
            const struct contract_route *route = &from->contract->routes[k];
            if (!route_is_own(spec->contract, route) && (!from->wanted || from->wanted(route)))
                rc = mount_route(mount, from->contract, route, from->handler);
        }
    }
    if (rc != 0) {
        module_mount_destroy(mount);
        return error_set(err, rc, "out of memory");
    }
    *out = mount;
    return 0;
}

void module_mount_destroy(struct module_mount *mount)
{
    if (!mount)
        return;
    arena_destroy(mount->arena);
    free(mount->routes);
    free(mount->handlers);
    free(mount);
}
