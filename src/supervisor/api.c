/* Api: the supervisor's routes (run/supervisor.sock only). Status is measured when it is asked for. */
#include "supervisor/supervisor_internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "store/states.h"

#define STATUS_TIMEOUT_MS 2000

/* ---- one module as a message ---- */

static void module_memory(struct supervisor_module *out, struct child *c)
{
    struct proc_usage usage;
    if (!child_is_alive(c) || proc_usage(c->process.pid, &usage) != 0)
        return;
    int64_t now = clock_mono_ms();
    out->has_rss_bytes = true;
    out->rss_bytes = (int64_t)usage.rss_bytes;
    out->has_pss_bytes = usage.has_pss;
    out->pss_bytes = (int64_t)usage.pss_bytes;
    if (c->cpu_at_ms > 0 && now > c->cpu_at_ms)
        c->cpu_percent = 100.0 * (double)(usage.cpu_ms - c->cpu_ms_before) / (double)(now - c->cpu_at_ms);
    /* A baseline younger than a second would make the next figure jump about. */
    if (c->cpu_at_ms == 0 || now - c->cpu_at_ms >= 1000) {
        c->cpu_ms_before = usage.cpu_ms;
        c->cpu_at_ms = now;
    }
    out->has_cpu_percent = c->cpu_percent >= 0;
    out->cpu_percent = c->cpu_percent;
}

/* Strings point into the child and into the arena of the request. */
static void module_fill(struct supervisor_module *out, struct child *c)
{
    int64_t now = clock_mono_ms();
    memset(out, 0, sizeof *out);
    out->name = c->what->name;
    out->state = (int)c->wanted;
    out->process = (int)c->state;
    bool alive = child_is_alive(c);
    out->has_pid = alive;
    out->pid = alive ? c->process.pid : 0;
    out->has_health = c->health >= 0;
    out->health = c->health >= 0 ? c->health : 0;
    out->reason = c->reason[0] ? c->reason : NULL;
    out->has_port = true;
    out->port = alive ? c->port : c->what->port(module_config(c->s->m));
    out->has_uptime_s = alive;
    out->uptime_s = alive ? (double)(now - c->started_ms) / 1000.0 : 0;
    out->restarts = c->restarts;
    out->last_exit = c->last_exit[0] ? c->last_exit : NULL;
    out->has_next_start_ms = c->next_start_ms > now;
    out->next_start_ms = c->next_start_ms > now ? c->next_start_ms - now : 0;
    module_memory(out, c);
}

/* ---- status: a probe of every running module in parallel, then the answer ---- */

struct status_probe {
    struct status_work *work;
    struct child *child;
};

struct status_work {
    struct supervisor *s;
    struct request *r;
    size_t waiting;
    struct status_probe probes[SUPERVISOR_MAX];
};

static int status_health(struct supervisor *s)
{
    int worst = COMMON_HEALTH_OK;
    for (size_t i = 0; i < s->child_count; i++) {
        const struct child *c = &s->children[i];
        if (c->wanted == COMMON_STATE_OFF)
            continue;
        int h = c->state == SUPERVISOR_PROCESS_RUNNING && c->health >= 0 ? c->health : COMMON_HEALTH_DOWN;
        if (h > worst)
            worst = h;
    }
    return worst;
}

static void status_answer(struct status_work *w)
{
    struct supervisor *s = w->s;
    struct request *r = w->r;
    struct supervisor_module *modules = arena_array(request_arena(r), s->child_count, sizeof *modules);
    char page[300], api[300];
    if (!modules) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        free(w);
        return;
    }
    for (size_t i = 0; i < s->child_count; i++)
        module_fill(&modules[i], &s->children[i]);
    snprintf(page, sizeof page, "http://%.255s:%d/", s->host, s->page_port);
    snprintf(api, sizeof api, "http://%.255s:%d/v1", s->host, s->api_port);
    struct supervisor_status status = {
        .version = module_version(),
        .pid = getpid(),
        .home = module_home(s->m),
        .uptime_s = (double)(clock_mono_ms() - s->begun_ms) / 1000.0,
        .page = page,
        .api = api,
        .health = status_health(s),
        .has_startup_ms = s->all_healthy_ms > 0,
        .startup_ms = s->all_healthy_ms > 0 ? s->all_healthy_ms - s->begun_ms : 0,
        .modules = modules,
        .modules_count = s->child_count,
    };
    request_reply(r, 200, &supervisor_status_message, &status);
    free(w);
}

static void on_status_probe(void *ctx, const struct common_health_reply *reply, double latency_ms,
                            const struct error *err)
{
    struct status_probe *p = ctx;
    struct status_work *w = p->work;
    (void)latency_ms;
    watch_take(p->child, reply, err);
    if (--w->waiting == 0)
        status_answer(w);
}

static void on_status(struct request *r, void *module)
{
    struct supervisor *s = module;
    struct status_work *w = calloc(1, sizeof *w);
    if (!w) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    w->s = s;
    w->r = r;
    w->waiting = 1; /* held until all are asked */
    for (size_t i = 0; i < s->child_count; i++) {
        struct child *c = &s->children[i];
        if (c->state != SUPERVISOR_PROCESS_RUNNING)
            continue;
        w->probes[i] = (struct status_probe){.work = w, .child = c};
        if (module_probe(module_client(s->m), module_peer(s->m, c->what->name), STATUS_TIMEOUT_MS,
                         on_status_probe, &w->probes[i]) == 0)
            w->waiting++;
    }
    if (--w->waiting == 0)
        status_answer(w);
}

/* ---- restart, state ---- */

/* The request came through the module that is to end: an answer that waited for its end would hold it up. */
static bool through_it(const struct child *c, struct request *r)
{
    return c == &c->s->children[0] && !str_eq(request_principal(r)->id, "local");
}

static void stop_reason(struct child *c, const struct request *r, const char *what, const char *reason)
{
    snprintf(c->stop_reason, sizeof c->stop_reason, "%s by %.63s%s%.150s", what, request_principal(r)->name,
             reason ? ": " : "", reason ? reason : "");
    c->stop_reason[utf8_valid_prefix(c->stop_reason, strlen(c->stop_reason))] = '\0';
}

/* What the page comes through is not to go by a slip of the hand. */
static bool state_confirmed(const struct child *c, const struct supervisor_set_state *body)
{
    const bool page = str_eq(c->what->name, "link") || str_eq(c->what->name, "operator");
    return !page || body->state == COMMON_STATE_ACTIVE || str_eq(body->confirm, c->what->name);
}

static struct child *child_find(struct supervisor *s, const char *name)
{
    for (size_t i = 0; i < s->child_count; i++)
        if (strcmp(s->children[i].what->name, name) == 0)
            return &s->children[i];
    return NULL;
}

static struct child *child_of_request(struct supervisor *s, struct request *r)
{
    const struct supervisor_module_name *params = request_params(r);
    struct child *c = child_find(s, params->name);
    if (c)
        return c;
    struct buf names = BUF_INIT;
    for (size_t i = 0; i < s->child_count; i++)
        buf_printf(&names, "%s%s", i ? ", " : "", s->children[i].what->name);
    request_fail(r, 404, "module_not_found", "name", "there is no module %s; there are %s", params->name,
                 names.data ? names.data : "none");
    buf_free(&names);
    return NULL;
}

static void child_reply(struct child *c, struct request *r)
{
    struct supervisor_module out;
    module_fill(&out, c);
    request_reply(r, 200, &supervisor_module_message, &out);
}

static void on_waiting_left(struct request *r, void *ctx, int reason)
{
    struct child *c = ctx;
    (void)reason;
    for (size_t i = 0; i < c->waiting.count; i++) {
        if (c->waiting.requests[i] == r) {
            c->waiting.requests[i] = c->waiting.requests[--c->waiting.count];
            break;
        }
    }
    request_fail(r, 504, "module_not_settled", NULL, "%s has not settled in time", c->what->name);
}

void api_child_settled(struct child *c)
{
    while (c->waiting.count > 0)
        child_reply(c, c->waiting.requests[--c->waiting.count]);
}

static void child_wait(struct child *c, struct request *r)
{
    if (c->waiting.count == COUNT_OF(c->waiting.requests)) {
        request_fail(r, 429, "too_many_waiting", NULL, "too many requests wait for %s", c->what->name);
        return;
    }
    c->waiting.requests[c->waiting.count++] = r;
    request_on_cancel(r, on_waiting_left, c);
}

static void on_restart(struct request *r, void *module)
{
    struct supervisor *s = module;
    struct child *c = child_of_request(s, r);
    if (!c)
        return;
    if (c->wanted == COMMON_STATE_OFF) {
        request_fail(r, 409, "module_off", NULL, "%s is off; set it active first", c->what->name);
        return;
    }
    const struct supervisor_restart *body = request_body(r);
    c->backoff_ms = supervisor_config(s)->backoff_min_ms;
    stop_reason(c, r, "restarted", body ? body->reason : NULL);
    supervisor_note(s, "module.restart", request_principal(r)->name, c->what->name, "reason",
                    body ? body->reason : NULL);
    const bool at_once = through_it(c, r);
    if (!at_once)
        child_wait(c, r);
    child_stop(c, true);
    if (at_once)
        child_reply(c, r);
}

static void on_set_state(struct request *r, void *module)
{
    struct supervisor *s = module;
    struct child *c = child_of_request(s, r);
    if (!c)
        return;
    const struct supervisor_set_state *body = request_body(r);
    struct error err = {0};
    if (!state_confirmed(c, body)) {
        request_fail(r, 409, "confirmation_needed", "confirm",
                     "without %s there is no page to switch it on again from: confirm must be \"%s\"; "
                     "afterwards only `vx11 modules set %s active` brings it back",
                     c->what->name, c->what->name, c->what->name);
        return;
    }
    if (body->confirm)
        supervisor_note(s, "confirmation.given", request_principal(r)->name, c->what->name, "to",
                        common_state_names[body->state]);
    int rc = module_state_set(module_store(s->m), c->what->name, (enum module_state)body->state,
                              request_principal(r)->name, body->reason, clock_wall_ms(), &err);
    if (rc != 0) {
        request_fail_error(r, &err);
        return;
    }
    enum common_state before = c->wanted;
    c->wanted = (enum common_state)body->state;
    log_info("api", "module state set", LOG_S("name", c->what->name),
             LOG_S("state", common_state_names[c->wanted]));
    if (c->wanted != before)
        tell_state(c, before, request_principal(r)->name, body->reason);
    if (c->wanted == COMMON_STATE_OFF && before != COMMON_STATE_OFF) {
        const bool at_once = through_it(c, r);
        stop_reason(c, r, "switched off", body->reason);
        if (!at_once)
            child_wait(c, r);
        child_stop(c, false);
        if (at_once)
            child_reply(c, r);
    } else if (c->wanted != COMMON_STATE_OFF && !child_is_alive(c)) {
        c->backoff_ms = supervisor_config(s)->backoff_min_ms;
        child_wait(c, r);
        child_start(c);
    } else {
        if (child_is_alive(c))
            uv_process_kill(&c->process, SIGHUP); /* it reads its state again */
        child_reply(c, r);
    }
}

/* ---- stop, reload, login link ---- */

static void on_stop(struct request *r, void *module)
{
    struct supervisor *s = module;
    struct common_ok ok = {.ok = true};
    const struct supervisor_stop *body = request_body(r);
    if (body && body->has_limit_ms) {
        module_set_drain_limit(s->m, body->limit_ms);
        s->stop_limit_ms = body->limit_ms;
    }
    supervisor_note(s, "stop", request_principal(r)->name, NULL, NULL, NULL);
    s->stop_noted = true;
    /* Kept open, the caller's connection would hold the end up until the drain looks for idle ones. */
    request_reply_header(r, "Connection", "close");
    request_reply(r, 202, &common_ok_message, &ok);
    module_stop(s->m);
}

/* The keys, never their values. */
static void reload_note(struct supervisor *s, const char *by, const struct supervisor_reload_reply *reply)
{
    struct buf keys = BUF_INIT;
    for (size_t i = 0; i < reply->changed_count; i++)
        buf_printf(&keys, "%s%s", keys.len ? ", " : "", reply->changed[i]);
    for (size_t i = 0; i < reply->needs_restart_count; i++)
        buf_printf(&keys, "%s%s", keys.len ? ", " : "", reply->needs_restart[i]);
    supervisor_note(s, "config.reload", by, NULL, "changed", keys.failed || !keys.data ? "" : keys.data);
    buf_free(&keys);
}

static void on_reload(struct request *r, void *module)
{
    struct supervisor *s = module;
    struct error err = {0};
    struct config_change *changes = NULL;
    size_t n = 0;
    s->reload_noted = true; /* below, with who asked and what changed */
    int rc = module_reload(s->m, request_arena(r), &changes, &n, &err);
    s->reload_noted = false;
    if (rc != 0) {
        request_fail(r, 422, "bad_configuration", NULL, "%s", err.text);
        return;
    }
    struct supervisor_reload_reply reply = {0};
    reply.changed = arena_array(request_arena(r), n + 1, sizeof *reply.changed);
    reply.needs_restart = arena_array(request_arena(r), n + 1, sizeof *reply.needs_restart);
    if (!reply.changed || !reply.needs_restart) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (changes[i].restart)
            reply.needs_restart[reply.needs_restart_count++] = changes[i].key;
        else
            reply.changed[reply.changed_count++] = changes[i].key;
    }
    reload_note(s, request_principal(r)->name, &reply);
    request_reply(r, 200, &supervisor_reload_reply_message, &reply);
}

static void on_login_link(struct request *r, void *module)
{
    struct supervisor *s = module;
    struct error err = {0};
    char url[512];
    struct supervisor_login_link reply = {.url = url};
    if (first_login_link(s, request_principal(r)->name, url, sizeof url, &reply.expires_at, &err) != 0) {
        request_fail_error(r, &err);
        return;
    }
    request_reply(r, 200, &supervisor_login_link_message, &reply);
}

const request_handler supervisor_handlers[SUPERVISOR_ROUTE_COUNT] = {
    [SUPERVISOR_ROUTE_STATUS] = on_status,
    [SUPERVISOR_ROUTE_RESTART] = on_restart,
    [SUPERVISOR_ROUTE_SET_STATE] = on_set_state,
    [SUPERVISOR_ROUTE_STOP] = on_stop,
    [SUPERVISOR_ROUTE_RELOAD] = on_reload,
    [SUPERVISOR_ROUTE_LOGIN_LINK] = on_login_link,
    [SUPERVISOR_ROUTE_FORENSIC] = api_forensic_list,
    [SUPERVISOR_ROUTE_FORENSIC_REPORT] = api_forensic_show,
    [SUPERVISOR_ROUTE_DOCTOR_REPORTS] = api_doctor_list,
    [SUPERVISOR_ROUTE_DOCTOR_REPORT] = api_doctor_get,
    [SUPERVISOR_ROUTE_LEDGER] = api_ledger_list,
    [SUPERVISOR_ROUTE_LEDGER_VERIFY] = api_ledger_verify,
    [SUPERVISOR_ROUTE_MAINTENANCE_RUNS] = api_maintenance_list,
    [SUPERVISOR_ROUTE_MAINTENANCE_REPORT] = api_maintenance_get,
    [SUPERVISOR_ROUTE_CHORES] = api_chores_list,
    [SUPERVISOR_ROUTE_CHORE_START] = api_chore_start,
    [SUPERVISOR_ROUTE_CHORE] = api_chore_get,
    [SUPERVISOR_ROUTE_CHORE_CANCEL] = api_chore_cancel,
    [SUPERVISOR_ROUTE_BACKUPS] = api_backups,
};
