/* Client peer: how many calls this process made to whom, and how they ended. The series of a peer are made
 * with its first call and then found in a short array, in which the last one used stands first: most calls in
 * a row are to the same. */
#include "net/client_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { EDGES_MAX = 64, PEER_MAX = 100 };
enum edge_outcome { EDGE_OK, EDGE_FAILED, EDGE_CANCELLED, EDGE_OUTCOMES };

struct client_edge {
    char kind[16], name[PEER_MAX]; /* kind "": none */
    size_t kind_len, name_len;
    struct metric *outcomes[EDGE_OUTCOMES], *seconds;
};
struct client_edges {
    struct metrics *m;
    struct client_edge *list[EDGES_MAX + 1]; /* the last is for those past the bound */
    size_t count;
};

struct peer_name { /* not NUL-terminated */
    const char *kind, *name;
    size_t kind_len, name_len;
};

/* ".../run/engine-guide.sock" -> engine, guide. */
static struct peer_name peer_of_socket(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t len = strlen(name);
    if (len > 5 && memcmp(name + len - 5, ".sock", 5) == 0)
        len -= 5;
    if (len > 7 && memcmp(name, "engine-", 7) == 0)
        return (struct peer_name){"engine", name + 7, 6, len - 7};
    return (struct peer_name){"", name, 0, len};
}

static struct peer_name peer_name_of(const struct client_target *t)
{
    if (t->peer)
        return (struct peer_name){t->peer_kind ? t->peer_kind : "", t->peer,
                                  t->peer_kind ? strlen(t->peer_kind) : 0, strlen(t->peer)};
    if (t->socket)
        return peer_of_socket(t->socket);
    return (struct peer_name){"", "outside", 0, 7};
}

static bool edge_is(const struct client_edge *e, const struct peer_name *p)
{
    return e->name_len == p->name_len && e->kind_len == p->kind_len &&
           memcmp(e->name, p->name, p->name_len) == 0 && memcmp(e->kind, p->kind, p->kind_len) == 0;
}

static bool edge_register(struct metrics *m, struct client_edge *e)
{
    static const char *const outcomes[] = {"ok", "failed", "cancelled"};
    struct buf labels = BUF_INIT;
    bool ok = true;
    buf_printf(&labels, "peer=\"%s%s", e->kind, e->kind_len ? "/" : "");
    for (const char *c = e->name; *c; c++) {
        if (*c == '"' || *c == '\\')
            buf_putc(&labels, '\\');
        buf_putc(&labels, (unsigned char)*c < ' ' ? ' ' : *c);
    }
    buf_putc(&labels, '"');
    const size_t len = labels.len;
    if (!labels.failed)
        e->seconds = metrics_get(m, METRIC_HISTOGRAM, "vx11_call_seconds", labels.data,
                                 "Calls to others, from their start to the answer's headers.");
    for (int i = 0; i < EDGE_OUTCOMES && ok && !labels.failed; i++) {
        labels.len = len;
        buf_printf(&labels, ",outcome=\"%s\"", outcomes[i]);
        if (!labels.failed)
            e->outcomes[i] =
                metrics_get(m, METRIC_COUNTER, "vx11_calls_total", labels.data,
                            "Calls to others, by how they ended. Looks at health are not counted.");
        ok = e->outcomes[i] != NULL;
    }
    ok = ok && e->seconds && !labels.failed;
    buf_free(&labels);
    return ok;
}

static struct client_edge *edge_make(struct client_edges *x, const struct peer_name *p)
{
    struct client_edge *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->kind_len = p->kind_len;
    e->name_len = p->name_len;
    memcpy(e->kind, p->kind, p->kind_len);
    memcpy(e->name, p->name, p->name_len);
    if (!edge_register(x->m, e)) {
        free(e);
        return NULL;
    }
    x->list[x->count++] = e;
    return e;
}

struct client_edge *client_edge_of(struct client *c, const struct client_target *target)
{
    static const struct peer_name others = {"", "other", 0, 5};
    struct client_edges *x = c->edges;
    struct peer_name p = peer_name_of(target);
    if (p.name_len >= PEER_MAX)
        p.name_len = utf8_valid_prefix(p.name, PEER_MAX - 1);
    if (p.kind_len >= sizeof((struct client_edge *)0)->kind)
        p.kind_len = sizeof((struct client_edge *)0)->kind - 1;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < x->count; i++) {
            struct client_edge *e = x->list[i];
            if (!edge_is(e, &p))
                continue;
            x->list[i] = x->list[0];
            x->list[0] = e;
            return e;
        }
        if (round == 0 && x->count >= EDGES_MAX)
            p = others;
        else
            break;
    }
    return x->count <= EDGES_MAX ? edge_make(x, &p) : NULL;
}

void client_edge_count(struct client_call *call, int result)
{
    struct client_edge *e = call->edge;
    const bool failed = result != 0 || call->status >= 500;
    call->edge = NULL;
    metric_add(e->outcomes[result == VX11_ECANCELLED ? EDGE_CANCELLED : failed ? EDGE_FAILED : EDGE_OK], 1);
    if (call->first_byte)
        metric_observe(e->seconds, (double)(call->first_byte - call->started) / 1e9);
}

int client_set_metrics(struct client *c, struct metrics *m)
{
    c->edges = calloc(1, sizeof *c->edges);
    if (!c->edges)
        return VX11_ENOMEM;
    c->edges->m = m;
    return 0;
}

void client_edges_free(struct client *c)
{
    for (size_t i = 0; c->edges && i < c->edges->count; i++)
        free(c->edges->list[i]);
    free(c->edges);
    c->edges = NULL;
}
