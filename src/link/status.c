/* Status: every module measured now, in parallel, with a deadline; and what went through, from the database.
 */
#include "link/link_internal.h"

#include <string.h>

#include "api/switch_client.h"
#include "base/clock.h"
#include "store/states.h"

#define PROBE_MS         2000
#define TRAFFIC_WINDOW_S 3600

/* ---- measuring ---- */

struct measurement;
typedef void (*measured_fn)(struct measurement *m);

struct measured_peer {
    struct measurement *m;
    struct link_module_status *out;
};

struct measurement {
    struct link *l;
    struct request *r;
    measured_fn done;
    size_t waiting;
    struct link_status_reply reply;
    struct link_summary summary;
    struct link_module_status modules[LINK_MODULES + 1];
    struct measured_peer peers[LINK_MODULES];
};

static void module_wanted(struct link *l, struct link_module_status *out)
{
    struct module_state_row row;
    if (module_state_get(module_store(l->m), out->name, &row, NULL) == 0) {
        out->has_state = true;
        out->state = (int)row.state;
    }
}

static void measure_self(struct link *l, struct link_module_status *out)
{
    *out = (struct link_module_status){
        .name = "link", .status = COMMON_HEALTH_OK, .version = module_version(), .has_uptime_s = true};
    out->uptime_s = module_uptime_s(l->m);
    out->has_port = true;
    out->port = link_peer_port(l, "link");
    module_wanted(l, out);
}

/* A module that is off is not unhealthy. */
static void measure_sum(struct measurement *m)
{
    size_t answered = 0, bad = 0, good = 0, wanted = 0;
    for (size_t i = 0; i < LINK_MODULES + 1; i++) {
        const struct link_module_status *s = &m->modules[i];
        bool off = s->has_state && s->state == COMMON_STATE_OFF;
        wanted += !off;
        good += s->status == COMMON_HEALTH_OK;
        bad += !off && s->status != COMMON_HEALTH_OK;
        answered += i > 0 && !s->error;
    }
    m->summary = (struct link_summary){.total_modules = LINK_MODULES + 1,
                                       .healthy_modules = (int64_t)good,
                                       .unhealthy_modules = (int64_t)bad,
                                       .all_healthy = bad == 0};
    int status = bad == 0                      ? COMMON_HEALTH_OK
                 : answered == 0 && wanted > 1 ? COMMON_HEALTH_DOWN
                                               : COMMON_HEALTH_DEGRADED;
    m->reply = (struct link_status_reply){.ok = bad == 0,
                                          .status = status,
                                          .module = "link",
                                          .version = module_version(),
                                          .timestamp = clock_wall_ms(),
                                          .page = m->l->page,
                                          .modules = m->modules,
                                          .modules_count = LINK_MODULES + 1,
                                          .summary = &m->summary};
}

static void measure_step(struct measurement *m)
{
    if (--m->waiting > 0)
        return;
    measure_sum(m);
    m->done(m);
}

/* The answer's strings live in the probe's arena: they are copied into the request's. */
static void measure_take(struct measurement *m, struct link_module_status *out,
                         const struct common_health_reply *reply)
{
    struct arena *a = request_arena(m->r);
    out->status = reply->status;
    out->has_state = true;
    out->state = reply->state;
    out->version = arena_strdup(a, reply->version);
    out->has_uptime_s = true;
    out->uptime_s = reply->uptime_s;
    struct common_check *checks = arena_array(a, reply->checks_count + 1, sizeof *checks);
    if (!checks)
        return;
    for (size_t i = 0; i < reply->checks_count; i++) {
        checks[i] = reply->checks[i];
        checks[i].name = arena_strdup(a, reply->checks[i].name);
        checks[i].detail = arena_strdup(a, reply->checks[i].detail);
    }
    out->checks = checks;
    out->checks_count = reply->checks_count;
}

static void on_probe(void *ctx, const struct common_health_reply *reply, double latency_ms,
                     const struct error *err)
{
    struct measured_peer *p = ctx;
    struct measurement *m = p->m;
    if (reply) {
        p->out->has_latency_ms = true;
        p->out->latency_ms = latency_ms;
        measure_take(m, p->out, reply);
    } else {
        p->out->status = COMMON_HEALTH_DOWN;
        p->out->error = arena_strdup(request_arena(m->r), err->text);
        module_wanted(m->l, p->out);
    }
    measure_step(m);
}

static void measure(struct request *r, struct link *l, measured_fn done)
{
    /* In the request's arena: a probe always answers before the request may end, because only `done` ends it.
     */
    struct measurement *m = arena_zalloc(request_arena(r), sizeof *m);
    if (!m) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    m->l = l;
    m->r = r;
    m->done = done;
    m->waiting = 1;
    measure_self(l, &m->modules[0]);
    for (size_t i = 0; i < LINK_MODULES; i++) {
        struct link_module_status *out = &m->modules[i + 1];
        const char *name = l->peers[i].name;
        *out = (struct link_module_status){
            .name = name, .status = COMMON_HEALTH_DOWN, .has_port = true, .port = link_peer_port(l, name)};
        m->peers[i] = (struct measured_peer){.m = m, .out = out};
        m->waiting++;
        if (module_probe(module_client(l->m), module_peer(l->m, name), PROBE_MS, on_probe, &m->peers[i]) !=
            0) {
            out->error = "could not be asked";
            m->waiting--;
        }
    }
    measure_step(m);
}

/* ---- /vx11/status ---- */

static void status_done(struct measurement *m)
{
    request_reply(m->r, 200, &link_status_reply_message, &m->reply);
}

void status_get(struct request *r, void *module)
{
    measure(r, module, status_done);
}

/* ---- breakers ---- */

/* LINK_PEERS of them, in the request's arena; NULL without memory. */
static struct link_module_breaker *breakers_of(struct request *r, const struct link *l)
{
    struct link_module_breaker *out = arena_array(request_arena(r), LINK_PEERS, sizeof *out);
    struct switch_breaker *b = arena_array(request_arena(r), LINK_PEERS, sizeof *b);
    if (!out || !b)
        return NULL;
    for (size_t i = 0; i < LINK_PEERS; i++) {
        module_breaker_report(&l->peers[i].breaker, &b[i]);
        out[i] = (struct link_module_breaker){.module = l->peers[i].name, .breaker = &b[i]};
    }
    return out;
}

static void on_providers(struct client_call *call, void *ctx, const struct client_reply *in)
{
    struct request *r = ctx;
    struct link *l = request_get(r);
    (void)call;
    struct link_breaker_reply reply = {
        .timestamp = clock_wall_ms(), .breakers_count = LINK_PEERS, .breakers = breakers_of(r, l)};
    const struct switch_provider_list *list = in->message;
    struct link_provider_breaker *providers =
        list ? arena_array(in->arena, list->providers_count + 1, sizeof *providers) : NULL;
    if (!reply.breakers || (list && !providers)) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    for (size_t i = 0; list && i < list->providers_count; i++)
        providers[i] = (struct link_provider_breaker){.provider = list->providers[i].name,
                                                      .breaker = list->providers[i].breaker};
    reply.providers = providers;
    reply.providers_count = list ? list->providers_count : 0;
    reply.providers_error = list ? NULL : in->error.text;
    request_reply(r, 200, &link_breaker_reply_message, &reply);
}

void status_breakers(struct request *r, void *module)
{
    struct link *l = module;
    struct client_call_options options;
    struct client_call *call;
    module_call_options(r, &options);
    options.deadline_ms = clock_mono_ms() + PROBE_MS;
    request_set(r, l);
    int rc = switch_providers_call(module_client(l->m), module_peer(l->m, "switch"), &options, on_providers,
                                   r, &call);
    if (rc != 0)
        request_fail(r, 500, "internal", NULL, "switch could not be asked: %s", error_describe(rc));
}

/* ---- /vx11/overview ---- */

static const char sql_traffic[] = "SELECT count(*), coalesce(sum(outcome = 'failed'), 0), "
                                  "sum(prompt_tokens), sum(completion_tokens), avg(first_token_ms) "
                                  "FROM decision WHERE at >= ?1";
static const char sql_event_count[] = "SELECT count(*) FROM event";

static int on_traffic(void *ctx, const struct store_row *row)
{
    struct link_traffic *t = ctx;
    t->requests = row_int(row, 0);
    t->failed = row_int(row, 1);
    t->has_prompt_tokens = !row_is_null(row, 2);
    t->prompt_tokens = row_int(row, 2);
    t->has_completion_tokens = !row_is_null(row, 3);
    t->completion_tokens = row_int(row, 3);
    t->has_first_token_avg_ms = !row_is_null(row, 4);
    t->first_token_avg_ms = row_real(row, 4);
    return 0;
}

static int on_count(void *ctx, const struct store_row *row)
{
    *(int64_t *)ctx = row_int(row, 0);
    return 0;
}

static void overview_done(struct measurement *m)
{
    struct link *l = m->l;
    struct error err = {0};
    struct link_traffic traffic = {.window_s = TRAFFIC_WINDOW_S};
    struct store_value since = STORE_I(clock_wall_ms() - TRAFFIC_WINDOW_S * 1000);
    struct link_overview reply = {.status = &m->reply,
                                  .traffic = &traffic,
                                  .breakers = breakers_of(m->r, l),
                                  .breakers_count = LINK_PEERS,
                                  .event_streams = (int64_t)events_streams(l->events)};
    int rc = store_query(module_store(l->m), sql_traffic, &since, 1, on_traffic, &traffic, &err);
    if (rc == 0)
        rc = store_query(module_store(l->m), sql_event_count, NULL, 0, on_count, &reply.events_stored, &err);
    if (rc != 0)
        request_fail_error(m->r, &err);
    else if (!reply.breakers)
        request_fail(m->r, 500, "out_of_memory", NULL, "out of memory");
    else
        request_reply(m->r, 200, &link_overview_message, &reply);
}

void status_overview(struct request *r, void *module)
{
    measure(r, module, overview_done);
}
