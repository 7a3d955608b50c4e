/* Gather: one look. The supervisor, the operator's map and Hermes's engines are asked at the same time; then,
 * knowing who there is, the operator's samples of the last minutes, a few modules at a time since a reply has
 * room for so many series. Who does not answer leaves nulls, and a sentence on why. */
#include "cli/top/top.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/hermes_client.h"
#include "api/operator_client.h"
#include "api/supervisor_client.h"
#include "base/clock.h"
#include "base/str.h"
#include "module/module.h"

#define ASK_MS     3000
#define HISTORY_MS ((int64_t)600000)
#define STEP_MS    10000
/* Series in one reply are bounded by 96, the list of modules by 1000 bytes. */
#define BATCH_MODULES 8
#define BATCH_BYTES   900

static const char series_names[] = "cpu,requests,errors,latency_p50,latency_p95,queue_depth,writer_queue,"
                                   "tokens,prompt_tokens";

enum { ASK_STATUS, ASK_MAP, ASK_ENGINES, ASK_SERIES, SERIES = 6, ASKED = ASK_SERIES + SERIES };

struct question {
    struct top_look *look;
    struct client_call *call;
    void *message; /* in the look's arena; NULL: no answer */
    char reason[300];
};

struct top_look {
    struct cli *c;
    struct arena *a;
    bool say, over;
    top_look_fn fn;
    void *ctx;
    int waiting, code;
    bool samples; /* they were asked for */
    char trouble[400];
    struct question asked[ASKED];
    size_t series;  /* replies of samples */
    int64_t window; /* a value older than this is not of now */
    struct cli_top top;
};

/* ---- asking ---- */

static const struct {
    const struct contract_message *message;
    const char *who, *what;
} kinds[] = {
    {&supervisor_status_message, "supervisor", "anything"},
    {&operator_map_reply_message, "operator", "requests in flight"},
    {&hermes_engine_list_message, "hermes", "engines"},
    {&operator_metrics_reply_message, "operator",
     "requests, latency, errors, queues, tokens and what was before"},
};

static size_t kind_of(size_t i)
{
    return i < ASK_SERIES ? i : ASK_SERIES;
}

static void stage_done(struct top_look *l);

static void keep(struct question *q, size_t kind, const struct client_reply *reply)
{
    struct top_look *l = q->look;
    struct contract_error bad;
    void *out = arena_alloc(l->a, kinds[kind].message->size);
    char *text = arena_strndup(l->a, reply->body, reply->body_len);
    if (out && text && contract_parse(kinds[kind].message, l->a, text, reply->body_len, NULL, out, &bad) == 0)
        q->message = out;
    else
        snprintf(q->reason, sizeof q->reason, "its answer cannot be read");
}

static void on_reply(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct question *q = ctx;
    struct top_look *l = q->look;
    const size_t i = (size_t)(q - l->asked);
    (void)call;
    q->call = NULL;
    if (reply->message)
        keep(q, kind_of(i), reply);
    else
        snprintf(q->reason, sizeof q->reason, "%.290s",
                 reply->result == VX11_EUNAVAILABLE ? "it does not answer" : reply->error.text);
    if (i == ASK_STATUS && !q->message) {
        snprintf(l->trouble, sizeof l->trouble, "the supervisor: %s", q->reason);
        l->code = reply->result != 0 ? CLI_NOT_RUNNING : CLI_FAILED;
        if (l->say && !l->over)
            l->code = cli_reply_failed(reply, "the supervisor");
    }
    if (--l->waiting == 0)
        stage_done(l);
}

static struct question *question(struct top_look *l, size_t i, int rc)
{
    struct question *q = &l->asked[i];
    if (rc == 0)
        l->waiting++;
    else
        snprintf(q->reason, sizeof q->reason, "it could not be asked: %s", error_describe(rc));
    return q;
}

static struct client_call_options options(void)
{
    return (struct client_call_options){.deadline_ms = clock_mono_ms() + ASK_MS};
}

static void ask_samples(struct top_look *l, const char *modules, int64_t since)
{
    if (l->series == SERIES)
        return;
    struct client_call_options o = options();
    const size_t i = ASK_SERIES + l->series++;
    struct operator_metrics_params p = {.names = series_names,
                                        .modules = arena_strdup(l->a, modules),
                                        .has_since = true,
                                        .since = since,
                                        .has_step = true,
                                        .step = STEP_MS};
    const int rc = p.modules ? operator_metrics_series_call(l->c->client, cli_target(l->c, "operator"), &p,
                                                            &o, on_reply, &l->asked[i], &l->asked[i].call)
                             : VX11_ENOMEM;
    question(l, i, rc);
}

/* Second stage: the samples of those who are there. */
static void ask_all_samples(struct top_look *l)
{
    const struct operator_map_reply *map = l->asked[ASK_MAP].message;
    const int64_t since = clock_wall_ms() - HISTORY_MS;
    char list[BATCH_BYTES + 200] = "";
    size_t len = 0, n = 0;
    l->samples = true;
    for (size_t i = 0; map && i < map->nodes_count; i++) {
        const struct operator_map_node *node = &map->nodes[i];
        if ((node->kind != OPERATOR_NODE_KIND_MODULE && node->kind != OPERATOR_NODE_KIND_SUPERVISOR &&
             node->kind != OPERATOR_NODE_KIND_ENGINE) ||
            strlen(node->id) > 150)
            continue;
        if (n == BATCH_MODULES || len > BATCH_BYTES - 150) {
            ask_samples(l, list, since);
            n = len = 0;
        }
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", n ? "," : "", node->id);
        n++;
    }
    if (n > 0)
        ask_samples(l, list, since);
}

/* ---- what the samples say ---- */

static const struct operator_metric_series *series_find(const struct top_look *l, const char *id,
                                                        const char *name,
                                                        const struct operator_metrics_reply **of)
{
    for (size_t i = 0; i < l->series; i++) {
        const struct operator_metrics_reply *r = l->asked[ASK_SERIES + i].message;
        for (size_t k = 0; r && k < r->series_count; k++)
            if (strcmp(r->series[k].module, id) == 0 && strcmp(r->series[k].name, name) == 0) {
                *of = r;
                return &r->series[k];
            }
    }
    return NULL;
}

/* The latest value, unless it is too old to be of now. */
static bool latest(const struct top_look *l, const char *id, const char *name, double *out)
{
    const struct operator_metrics_reply *of = NULL;
    const struct operator_metric_series *s = series_find(l, id, name, &of);
    size_t n, i;
    yyjson_val *v;
    bool found = false;
    if (!s)
        return false;
    yyjson_arr_foreach(s->values, i, n, v)
    {
        if (of->since + (int64_t)(i + 1) * of->step_ms < l->top.at - l->window)
            continue;
        if (yyjson_is_num(v)) {
            *out = yyjson_get_num(v);
            found = true;
        }
    }
    return found;
}

static bool latest_count(const struct top_look *l, const char *id, const char *name, int64_t *out)
{
    double value;
    const bool found = latest(l, id, name, &value);
    if (found)
        *out = (int64_t)(value + 0.5);
    return found;
}

static yyjson_val *history(const struct top_look *l, const char *id, const char *name)
{
    const struct operator_metrics_reply *of = NULL;
    const struct operator_metric_series *s = series_find(l, id, name, &of);
    return s ? s->values : NULL;
}

/* ---- rows ---- */

static const struct operator_map_node *node_find(const struct top_look *l, const char *id)
{
    const struct operator_map_reply *map = l->asked[ASK_MAP].message;
    for (size_t i = 0; map && i < map->nodes_count; i++)
        if (strcmp(map->nodes[i].id, id) == 0)
            return &map->nodes[i];
    return NULL;
}

static void row_samples(const struct top_look *l, const char *id, struct cli_top_row *r)
{
    const struct operator_map_node *n = node_find(l, id);
    r->has_requests = latest(l, id, "requests", &r->requests);
    r->has_errors = latest(l, id, "errors", &r->errors);
    r->has_latency_p50_ms = latest(l, id, "latency_p50", &r->latency_p50_ms);
    r->has_latency_p95_ms = latest(l, id, "latency_p95", &r->latency_p95_ms);
    r->has_queue = latest_count(l, id, "queue_depth", &r->queue);
    r->has_writer_queue = latest_count(l, id, "writer_queue", &r->writer_queue);
    r->has_tokens = latest(l, id, "tokens", &r->tokens);
    r->has_prompt_tokens = latest(l, id, "prompt_tokens", &r->prompt_tokens);
    r->cpu_history = history(l, id, "cpu");
    r->requests_history = history(l, id, "requests");
    r->latency_history = history(l, id, "latency_p95");
    r->tokens_history = history(l, id, "tokens");
    if (!n)
        return;
    r->has_in_flight = n->has_in_flight;
    r->in_flight = n->in_flight;
    if (!r->has_cpu_percent) {
        r->has_cpu_percent = n->has_cpu_percent;
        r->cpu_percent = n->cpu_percent;
    }
    if (!r->has_memory_bytes) {
        r->has_memory_bytes = n->has_pss_bytes || n->has_rss_bytes;
        r->memory_bytes = n->has_pss_bytes ? n->pss_bytes : n->rss_bytes;
    }
}

static void row_module(const struct top_look *l, const struct supervisor_module *m, struct cli_top_row *r)
{
    *r = (struct cli_top_row){
        .name = m->name,
        .kind = CLI_TOP_ROW_KIND_MODULE,
        .state = common_state_names[m->state],
        .health = m->has_health ? common_health_names[m->health] : supervisor_process_names[m->process],
        .reason = m->reason,
        .has_pid = m->has_pid,
        .pid = m->pid,
        .has_uptime_s = m->has_uptime_s,
        .uptime_s = m->uptime_s,
        .has_restarts = true,
        .restarts = m->restarts,
        .has_cpu_percent = m->has_cpu_percent,
        .cpu_percent = m->cpu_percent,
        .has_memory_bytes = m->has_pss_bytes || m->has_rss_bytes,
        .memory_bytes = m->has_pss_bytes ? m->pss_bytes : m->rss_bytes,
    };
    if (m->has_pid) /* of a process that has gone the samples are of the past */
        row_samples(l, m->name, r);
}

static void row_engine(const struct top_look *l, const struct hermes_engine *e, struct cli_top_row *r)
{
    const char *id = arena_printf(l->a, "engine/%s", e->model);
    *r = (struct cli_top_row){
        .name = e->model,
        .kind = CLI_TOP_ROW_KIND_ENGINE,
        .state = hermes_engine_state_names[e->state],
        .health = e->state == HERMES_ENGINE_STATE_READY    ? "ok"
                  : e->state == HERMES_ENGINE_STATE_FAILED ? "down"
                                                           : NULL,
        .reason = e->reason,
        .has_pid = e->has_pid,
        .pid = e->pid,
        .has_uptime_s = e->has_pid && e->has_started_at,
        .uptime_s = (double)(l->top.at - e->started_at) / 1000,
        .has_restarts = true,
        .restarts = e->restarts,
    };
    if (id && e->has_pid)
        row_samples(l, id, r);
    if (!r->has_memory_bytes && e->has_rss_bytes) {
        r->has_memory_bytes = true;
        r->memory_bytes = e->rss_bytes;
    }
    if (!r->has_in_flight && e->has_busy) {
        r->has_in_flight = true;
        r->in_flight = e->busy;
    }
}

static int rows_make(struct top_look *l)
{
    const struct supervisor_status *st = l->asked[ASK_STATUS].message;
    const struct hermes_engine_list *e = l->asked[ASK_ENGINES].message;
    struct cli_top_row *rows =
        arena_array(l->a, st->modules_count + 1 + (e ? e->engines_count : 0), sizeof *rows);
    size_t n = 0;
    if (!rows)
        return VX11_ENOMEM;
    for (size_t i = 0; i < st->modules_count; i++)
        row_module(l, &st->modules[i], &rows[n++]);
    rows[n] = (struct cli_top_row){.name = "supervisor",
                                   .kind = CLI_TOP_ROW_KIND_SUPERVISOR,
                                   .health = "ok", /* it has answered */
                                   .has_pid = true,
                                   .pid = st->pid,
                                   .has_uptime_s = true,
                                   .uptime_s = st->uptime_s};
    row_samples(l, "supervisor", &rows[n++]);
    for (size_t i = 0; e && i < e->engines_count; i++)
        row_engine(l, &e->engines[i], &rows[n++]);
    l->top.rows = rows;
    l->top.rows_count = n;
    return 0;
}

/* ---- the rest ---- */

static void sizes_take(struct top_look *l)
{
    char path[4096], wal[4104];
    struct stat st;
    if (module_store_path(l->c->config, l->c->home, path, sizeof path) != 0)
        return;
    snprintf(wal, sizeof wal, "%s-wal", path);
    l->top.has_database_bytes = stat(path, &st) == 0;
    if (!l->top.has_database_bytes)
        return;
    l->top.database_bytes = st.st_size;
    l->top.has_wal_bytes = true; /* where there is none, nothing waits */
    l->top.wal_bytes = stat(wal, &st) == 0 ? st.st_size : 0;
}

static int unknown_tell(struct top_look *l)
{
    const char **list = arena_array(l->a, ASKED, sizeof *list);
    size_t n = 0;
    for (size_t i = ASK_MAP; list && i < ASK_SERIES + l->series; i++) {
        if (l->asked[i].message || !l->asked[i].reason[0])
            continue;
        list[n] = arena_printf(l->a, "%s: %s; not known: %s", kinds[kind_of(i)].who, l->asked[i].reason,
                               i == ASK_MAP ? "requests, latency, errors, queues, tokens and what was before"
                                            : kinds[kind_of(i)].what);
        n += list[n] != NULL;
    }
    l->top.unknown = list;
    l->top.unknown_count = n;
    return list ? 0 : VX11_ENOMEM;
}

static int top_make(struct top_look *l)
{
    const struct supervisor_status *st = l->asked[ASK_STATUS].message;
    const struct operator_map_reply *map = l->asked[ASK_MAP].message;
    const struct operator_metrics_reply *samples = l->series ? l->asked[ASK_SERIES].message : NULL;
    l->top = (struct cli_top){.at = clock_wall_ms(),
                              .version = st->version,
                              .home = st->home,
                              .uptime_s = st->uptime_s,
                              .health = common_health_names[st->health],
                              .has_sampled_at = map && map->has_measured_at,
                              .sampled_at = map ? map->measured_at : 0,
                              .has_sample_ms = map != NULL,
                              .sample_ms = map ? map->interval_ms : 0,
                              .has_history_since = samples != NULL,
                              .history_since = samples ? samples->since : 0,
                              .has_history_step_ms = samples != NULL,
                              .history_step_ms = samples ? samples->step_ms : 0};
    const int64_t step = map && map->interval_ms > STEP_MS ? map->interval_ms : STEP_MS;
    l->window = step * 5 / 2;
    sizes_take(l);
    const int rc = rows_make(l);
    return rc != 0 ? rc : unknown_tell(l);
}

static void stage_done(struct top_look *l)
{
    if (!l->over && l->code == 0 && !l->samples && l->asked[ASK_MAP].message) {
        ask_all_samples(l);
        if (l->waiting > 0)
            return; /* it comes back here */
    }
    if (!l->over && l->code == 0 && top_make(l) != 0) {
        l->code = CLI_FAILED;
        snprintf(l->trouble, sizeof l->trouble, "out of memory");
    }
    l->over = true;
    l->fn(l, l->ctx);
}

/* ---- life ---- */

struct top_look *top_look_start(struct cli *c, bool say, top_look_fn fn, void *ctx)
{
    struct top_look *l = calloc(1, sizeof *l);
    struct client_call_options o = options();
    if (!l || !(l->a = arena_create(0))) {
        free(l);
        return NULL;
    }
    l->c = c;
    l->say = say;
    l->fn = fn;
    l->ctx = ctx;
    for (size_t i = 0; i < ASKED; i++)
        l->asked[i].look = l;
    struct question *q = l->asked;
    const int rc = supervisor_status_call(c->client, cli_target(c, "supervisor"), &o, on_reply, q, &q->call);
    if (rc != 0) {
        top_look_free(l);
        return NULL;
    }
    question(l, ASK_STATUS, rc);
    q = &l->asked[ASK_MAP];
    question(l, ASK_MAP, operator_map_call(c->client, cli_target(c, "operator"), &o, on_reply, q, &q->call));
    q = &l->asked[ASK_ENGINES];
    question(l, ASK_ENGINES,
             hermes_engines_list_call(c->client, cli_target(c, "hermes"), &o, on_reply, q, &q->call));
    return l;
}

const struct cli_top *top_look_of(const struct top_look *l)
{
    return l->code == 0 && l->asked[ASK_STATUS].message ? &l->top : NULL;
}

int top_look_code(const struct top_look *l)
{
    return l->code;
}

const char *top_look_trouble(const struct top_look *l)
{
    return l->trouble;
}

struct arena *top_look_arena(struct top_look *l)
{
    return l->a;
}

void top_look_cancel(struct top_look *l)
{
    l->over = true;
    for (size_t i = 0; i < ASKED; i++)
        if (l->asked[i].call)
            client_cancel(l->asked[i].call);
}

void top_look_free(struct top_look *l)
{
    if (!l)
        return;
    arena_destroy(l->a);
    free(l);
}
