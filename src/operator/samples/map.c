/* Map: GET /operator/map. Nodes as last told, calls as last measured. */
#include "operator/samples/samples_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

enum { FRESH_MS = 1500, MAP_MORE = 64 }; /* nodes that only calls tell of */

struct map {
    struct samples *s;
    struct request *r;
    struct arena *a;
    struct operator_map_node *nodes;
    size_t node_count, node_cap;
    struct operator_map_edge *edges;
    size_t edge_count;
    const char **silent;
    size_t silent_count;
};

static const char *name_of(const char *id)
{
    const char *slash = strchr(id, '/');
    return slash ? slash + 1 : id;
}

static void node_fill(const struct map *m, const struct node *n, struct operator_map_node *out)
{
    const double age = n->uptime_s < 0 ? -1 : n->uptime_s + (double)(clock_mono_ms() - n->uptime_at) / 1000;
    *out = (struct operator_map_node){
        .id = arena_strdup(m->a, n->id),
        .kind = (int)n->kind,
        .has_state = n->state >= 0,
        .state = n->state,
        .process = n->process[0] ? arena_strdup(m->a, n->process) : NULL,
        .has_health = n->health >= 0,
        .health = n->health,
        .reason = n->reason[0] ? arena_strdup(m->a, n->reason) : NULL,
        .has_port = n->port >= 0,
        .port = n->port,
        .has_pid = n->pid > 0,
        .pid = n->pid,
        .has_uptime_s = n->pid > 0 && age >= 0,
        .uptime_s = age,
        .has_restarts = n->restarts >= 0,
        .restarts = n->restarts,
        .has_cpu_percent = n->pid > 0 && n->cpu_percent >= 0,
        .cpu_percent = n->cpu_percent,
        .has_rss_bytes = n->pid > 0 && n->rss >= 0,
        .rss_bytes = n->rss,
        .has_pss_bytes = n->pid > 0 && n->pss >= 0,
        .pss_bytes = n->pss,
        .has_in_flight = n->in_flight >= 0,
        .in_flight = n->in_flight,
    };
    out->name = name_of(out->id);
}

static bool nodes_fill(struct map *m)
{
    struct samples *s = m->s;
    m->node_cap = s->node_count + MAP_MORE;
    m->nodes = arena_array(m->a, m->node_cap, sizeof *m->nodes);
    m->silent = arena_array(m->a, s->node_count + 1, sizeof *m->silent);
    if (!m->nodes || !m->silent)
        return false;
    for (int kind = OPERATOR_NODE_KIND_MODULE; kind <= OPERATOR_NODE_KIND_SIDECAR; kind++)
        for (size_t i = 0; i < s->node_count; i++) {
            struct operator_map_node *out = &m->nodes[m->node_count];
            if ((int)s->nodes[i].kind != kind)
                continue;
            node_fill(m, &s->nodes[i], out);
            if (!out->id)
                return false;
            m->node_count++;
            if (s->nodes[i].silent && s->nodes[i].pid > 0)
                m->silent[m->silent_count++] = out->id;
        }
    return true;
}

static bool node_there(const struct map *m, const char *id)
{
    for (size_t i = 0; i < m->node_count; i++)
        if (strcmp(m->nodes[i].id, id) == 0)
            return true;
    return false;
}

/* What calls tell of besides: who asks from outside, and whom nobody lists any more. */
static bool node_from_call(struct map *m, const char *id)
{
    static const struct {
        const char *begin;
        enum operator_node_kind kind;
    } kinds[] = {{"people", OPERATOR_NODE_KIND_PEOPLE},      {"programs", OPERATOR_NODE_KIND_PROGRAMS},
                 {"shell", OPERATOR_NODE_KIND_SHELL},        {"engine/", OPERATOR_NODE_KIND_ENGINE},
                 {"provider/", OPERATOR_NODE_KIND_PROVIDER}, {"sidecar/", OPERATOR_NODE_KIND_SIDECAR},
                 {"outside", OPERATOR_NODE_KIND_OUTSIDE},    {"other", OPERATOR_NODE_KIND_OUTSIDE}};
    if (node_there(m, id))
        return true;
    if (m->node_count == m->node_cap)
        return false;
    struct operator_map_node *out = &m->nodes[m->node_count];
    *out = (struct operator_map_node){.id = arena_strdup(m->a, id), .kind = OPERATOR_NODE_KIND_MODULE};
    if (!out->id)
        return false;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (str_starts(id, kinds[i].begin)) {
            out->kind = (int)kinds[i].kind;
            break;
        }
    out->name = name_of(out->id);
    m->node_count++;
    return true;
}

static void edge_fill(struct map *m, const struct edge *e)
{
    const double calls = e->ok + e->failed + e->cancelled;
    double half, most;
    /* Nothing is drawn to what is not there and was not called. */
    if (calls == 0 && (!node_there(m, e->to) || !node_there(m, e->from)) && !str_eq(e->from, "people") &&
        !str_eq(e->from, "programs") && !str_eq(e->from, "shell"))
        return;
    if (!node_from_call(m, e->from) || !node_from_call(m, e->to))
        return;
    struct operator_map_edge *out = &m->edges[m->edge_count];
    *out = (struct operator_map_edge){.from = arena_strdup(m->a, e->from),
                                      .to = arena_strdup(m->a, e->to),
                                      .calls = (int64_t)(calls + 0.5),
                                      .failures = (int64_t)(e->failed + 0.5),
                                      .cancelled = (int64_t)(e->cancelled + 0.5)};
    out->has_p50_ms = times_quantile(&e->times, 0.5, &half);
    out->p50_ms = out->has_p50_ms ? half * 1000 : 0;
    out->has_p95_ms = times_quantile(&e->times, 0.95, &most);
    out->p95_ms = out->has_p95_ms ? most * 1000 : 0;
    if (out->from && out->to)
        m->edge_count++;
}

static void map_reply(struct map *m)
{
    struct samples *s = m->s;
    struct edge *sum = NULL;
    size_t count = 0;
    int64_t window = 0;
    bool ok = nodes_fill(m) &&
              calls_sum(&s->calls, s->measured_mono - SAMPLES_WINDOW_MS, &sum, &count, &window) == 0;
    m->edges = ok ? arena_array(m->a, count + 1, sizeof *m->edges) : NULL;
    if (!m->edges) {
        free(sum);
        request_fail(m->r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    for (size_t i = 0; i < count; i++)
        edge_fill(m, &sum[i]);
    free(sum);
    const struct operator_map_reply reply = {
        .status = OPERATOR_MAP_REPLY_STATUS_OK,
        .has_measured_at = s->measured_at > 0,
        .measured_at = s->measured_at,
        .has_window_s = s->measured_at > 0,
        .window_s = (double)window / 1000,
        .interval_ms = samples_interval(s),
        .nodes = m->nodes,
        .nodes_count = m->node_count,
        .edges = m->edges,
        .edges_count = m->edge_count,
        .silent = m->silent,
        .silent_count = m->silent_count,
    };
    request_reply(m->r, 200, &operator_map_reply_message, &reply);
}

static void on_told(struct samples *s, void *ctx, bool ok)
{
    struct map *m = ctx;
    if (!ok && s->status_at == 0)
        request_fail(m->r, 503, "supervisor_unavailable", NULL, "the supervisor does not tell who runs");
    else
        map_reply(m);
}

void samples_map(struct request *r, void *module)
{
    struct samples *s = ((struct operator_ *)module)->samples;
    struct map *m = arena_zalloc(request_arena(r), sizeof *m);
    if (!m) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    *m = (struct map){.s = s, .r = r, .a = request_arena(r)};
    if (s->status_at && clock_mono_ms() - s->status_at < FRESH_MS)
        map_reply(m);
    else if (samples_status(s, on_told, m) != 0)
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
}
