/* Router: finds the route of a method and a path.
 *
 *   root ─ "switch" ─ "chat"            POST -> 0
 *        └ "hermes" ─ "models"          GET -> 1, POST -> 2
 *                        └ {}           GET -> 3, DELETE -> 4
 *        └ "files" ─ {*}                GET -> 5
 *
 * A tree of path segments, built once. Words win over {name}, {name} over {name*}; a branch that ends nowhere
 * is given up for the next best, so "/a/b" and "/a/{x}/c" live side by side. */
#ifndef VX11_NET_ROUTER_H
#define VX11_NET_ROUTER_H

#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "contract/contract.h"

struct router;

enum { ROUTER_MAX_SEGMENTS = 32, ROUTER_MAX_PARAMS = 8 };

struct router_match {
    size_t index; /* of the route, as it was added */
    size_t param_count;
    const char *names[ROUTER_MAX_PARAMS];  /* placeholders of the route, in order */
    const char *values[ROUTER_MAX_PARAMS]; /* decoded; in the arena or in the segments */
    unsigned methods; /* bits of the methods that the path has; see router_methods_format */
};

/* Routes are borrowed. VX11_EEXISTS when two have the same method and shape, VX11_EINVALID for a malformed
 * path. */
int router_create(const struct contract_route *const *routes, size_t count, struct router **out,
                  struct error *err);
void router_destroy(struct router *r);

/* 0; VX11_ENOT_FOUND: no such path; VX11_EUNSUPPORTED: the path exists, the method does not (match->methods
 * says which do). HEAD finds GET. */
int router_find(const struct router *r, const char *method, char *const *segments, size_t count,
                struct arena *arena, struct router_match *match);
/* "GET, HEAD, POST" for an Allow header. Returns out. */
char *router_methods_format(unsigned methods, char *out, size_t size);

#endif
