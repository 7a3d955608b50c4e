/* Router: a tree of path segments in one arena. Children of a node are few (a dozen at most), so they are a
 * plain list compared by length first; there is nothing to hash. */
#include "net/router.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
enum { METHOD_COUNT = COUNT_OF(methods), METHOD_NONE = METHOD_COUNT };

struct node {
    const char *word; /* NULL: a placeholder */
    size_t len;
    struct node *next;        /* sibling */
    struct node *words;       /* children */
    struct node *any;         /* {name} */
    struct node *rest;        /* {name*} */
    int routes[METHOD_COUNT]; /* index or -1 */
    bool ends;                /* some method's route ends here */
};

struct shape { /* a route's placeholders, in order */
    size_t count;
    const char *names[ROUTER_MAX_PARAMS];
};

struct router {
    struct arena *arena;
    struct node *root;
    struct shape *shapes;
};

static unsigned method_index(const char *method)
{
    if (strcmp(method, "HEAD") == 0)
        return 0;
    for (unsigned i = 0; i < METHOD_COUNT; i++) {
        if (strcmp(methods[i], method) == 0)
            return i;
    }
    return METHOD_NONE;
}

static struct node *node_make(struct router *r, const char *word, size_t len)
{
    struct node *n = arena_zalloc(r->arena, sizeof *n);
    if (!n)
        return NULL;
    n->word = word;
    n->len = len;
    for (size_t i = 0; i < METHOD_COUNT; i++)
        n->routes[i] = -1;
    return n;
}

static struct node *word_find(const struct node *n, const char *word, size_t len)
{
    for (struct node *c = n->words; c; c = c->next) {
        if (c->len == len && memcmp(c->word, word, len) == 0)
            return c;
    }
    return NULL;
}

static struct node *word_child(struct router *r, struct node *n, const char *word, size_t len)
{
    struct node *c = word_find(n, word, len);
    if (c)
        return c;
    c = node_make(r, word, len);
    if (c) {
        c->next = n->words;
        n->words = c;
    }
    return c;
}

/* The child for one segment of a route's path; *rest when it takes the remainder. NULL: malformed or no
 * memory. */
static struct node *segment_child(struct router *r, struct node *n, struct shape *shape, const char *at,
                                  size_t len, bool *rest)
{
    *rest = false;
    if (len == 0 || at[0] != '{')
        return word_child(r, n, at, len);
    if (at[len - 1] != '}' || shape->count == ROUTER_MAX_PARAMS)
        return NULL;
    *rest = len > 3 && at[len - 2] == '*';
    size_t name_len = len - (*rest ? 3 : 2);
    if (name_len == 0)
        return NULL;
    shape->names[shape->count] = arena_strndup(r->arena, at + 1, name_len);
    if (!shape->names[shape->count++])
        return NULL;
    struct node **slot = *rest ? &n->rest : &n->any;
    if (!*slot)
        *slot = node_make(r, NULL, 0);
    return *slot;
}

static int route_add(struct router *r, const struct contract_route *route, size_t index, struct error *err)
{
    unsigned method = method_index(route->method);
    if (method == METHOD_NONE || route->path[0] != '/')
        return error_set(err, VX11_EINVALID, "route %s: cannot serve %s %s", route->id, route->method,
                         route->path);
    struct node *n = r->root;
    const char *at = route->path + 1;
    bool rest = false;
    while (*at) {
        size_t len = strcspn(at, "/");
        n = rest ? NULL : segment_child(r, n, &r->shapes[index], at, len, &rest);
        if (!n)
            return error_set(err, VX11_EINVALID, "route %s: malformed path %s", route->id, route->path);
        at += len;
        if (*at == '/') {
            at++;
            if (!*at) { /* "/page/" ends in an empty segment */
                n = word_child(r, n, "", 0);
                if (!n)
                    return error_set(err, VX11_ENOMEM, "out of memory");
            }
        }
    }
    if (n->routes[method] >= 0)
        return error_set(err, VX11_EEXISTS, "route %s: %s %s is taken by another route", route->id,
                         route->method, route->path);
    n->routes[method] = (int)index;
    n->ends = true;
    return 0;
}

int router_create(const struct contract_route *const *routes, size_t count, struct router **out,
                  struct error *err)
{
    struct arena *arena = arena_create(0);
    struct router *r = arena ? arena_zalloc(arena, sizeof *r) : NULL;
    int rc = VX11_ENOMEM;
    if (!r)
        goto fail;
    r->arena = arena;
    r->root = node_make(r, "", 0);
    r->shapes = arena_zalloc(arena, (count + 1) * sizeof *r->shapes);
    if (!r->root || !r->shapes)
        goto fail;
    for (size_t i = 0; i < count; i++) {
        rc = route_add(r, routes[i], i, err);
        if (rc != 0)
            goto fail_told;
    }
    *out = r;
    return 0;
fail:
    error_set(err, rc, "out of memory");
fail_told:
    arena_destroy(arena);
    return rc;
}

void router_destroy(struct router *r)
{
    if (r)
        arena_destroy(r->arena);
}

struct walk {
    char *const *segments;
    size_t count;
    struct arena *arena;
    const char *values[ROUTER_MAX_PARAMS];
    size_t values_count;
};

/* Joins what is left with slashes: the value of {name*}. */
static const char *rest_value(const struct walk *w, size_t at)
{
    size_t len = 0;
    for (size_t i = at; i < w->count; i++)
        len += strlen(w->segments[i]) + 1;
    char *text = arena_alloc(w->arena, len + 1);
    if (!text)
        return NULL;
    char *end = text;
    for (size_t i = at; i < w->count; i++) {
        size_t n = strlen(w->segments[i]);
        memcpy(end, w->segments[i], n);
        end += n;
        *end++ = '/';
    }
    if (end > text)
        end--;
    *end = '\0';
    return text;
}

static const struct node *walk_down(struct walk *w, const struct node *n, size_t at)
{
    if (at == w->count)
        return n->ends ? n : NULL;
    const char *segment = w->segments[at];
    const struct node *found = NULL;
    const struct node *word = word_find(n, segment, strlen(segment));
    if (word)
        found = walk_down(w, word, at + 1);
    if (!found && n->any && segment[0] && w->values_count < ROUTER_MAX_PARAMS) {
        w->values[w->values_count++] = segment;
        found = walk_down(w, n->any, at + 1);
        if (!found)
            w->values_count--;
    }
    if (!found && n->rest && w->values_count < ROUTER_MAX_PARAMS) {
        const char *value = rest_value(w, at);
        if (value) {
            w->values[w->values_count++] = value;
            found = n->rest;
        }
    }
    return found;
}

int router_find(const struct router *r, const char *method, char *const *segments, size_t count,
                struct arena *arena, struct router_match *match)
{
    *match = (struct router_match){0};
    struct walk w = {.segments = segments, .count = count, .arena = arena};
    const struct node *n = walk_down(&w, r->root, 0);
    if (!n)
        return VX11_ENOT_FOUND;
    for (unsigned i = 0; i < METHOD_COUNT; i++) {
        if (n->routes[i] >= 0)
            match->methods |= 1U << i;
    }
    unsigned m = method_index(method);
    if (m == METHOD_NONE || n->routes[m] < 0)
        return VX11_EUNSUPPORTED;
    match->index = (size_t)n->routes[m];
    const struct shape *shape = &r->shapes[match->index];
    match->param_count = shape->count;
    for (size_t i = 0; i < shape->count; i++) {
        match->names[i] = shape->names[i];
        match->values[i] = i < w.values_count ? w.values[i] : "";
    }
    return 0;
}

char *router_methods_format(unsigned bits, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < METHOD_COUNT && len < size; i++) {
        if (bits & 1U << i) {
            int n = snprintf(out + len, size - len, "%s%s%s", len ? ", " : "", methods[i],
                             i == 0 ? ", HEAD" : "");
            len += n < 0 ? 0 : (size_t)n;
        }
    }
    return out;
}
