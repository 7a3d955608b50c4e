/* Modules: does each one of the profile run, answer, ask for a token, take one, and come from this program?
 * The profile is what the states say: a module that somebody switched off on purpose belongs to it no more,
 * except for the two without which nothing is answered. */
#include "cli/doctor/doctor.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/common.h"
#include "base/str.h"
#include "store/states.h"
#include "version.h"

/* Of every server of ours: needs a token over TCP, and answers in standby too. */
#define GUARDED "/metrics"

static const char up[] = "vx11 up";

static bool needed(const char *name)
{
    return str_eq(name, "link") || str_eq(name, "switch");
}

void check_config(struct doctor_run *r)
{
    struct doctor_result *x = doctor_result(r, NULL);
    const char *path = r->d->c->config->path;
    result_measured(r, x, "%s", path ? path : "no file: defaults and environment");
    result_judge(r, x, !r->d->config_error[0], "%s", r->d->config_error);
}

/* ---- what the supervisor and the states say ---- */

void check_supervisor(struct doctor_run *r)
{
    const struct doctor *d = r->d;
    struct doctor_result *x = doctor_result(r, NULL);
    if (!d->status) {
        result_failed(r, x, supervisor_lives(d->c) ? "it runs, but does not answer" : "VX11 does not run");
        return;
    }
    char uptime[24];
    result_measured(r, x, "process %lld, up %s", (long long)d->status->pid,
                    str_format_duration((int64_t)(d->status->uptime_s * 1000), uptime));
    result_judge(r, x, str_eq(d->status->version, VX11_VERSION), "it is VX11 %s, this is " VX11_VERSION,
                 d->status->version);
    if (x->v.state != DOCTOR_OK)
        result_mend(r, x, "vx11 down && vx11 up");
}

static bool states_known(struct doctor_run *r, struct doctor_result *x)
{
    if (r->d->states_error[0])
        result_unknown(r, x, "the modules' states cannot be read: %s", r->d->states_error);
    return !r->d->states_error[0];
}

void check_serving(struct doctor_run *r)
{
    struct doctor_result *first = NULL;
    for (size_t i = 0; i < r->d->module_count; i++) {
        const struct doctor_module *m = &r->d->modules[i];
        const bool bad =
            m->state == MODULE_STATE_STANDBY || (m->state == MODULE_STATE_OFF && needed(m->name));
        if (m->state == MODULE_STATE_OFF && !needed(m->name))
            continue;
        struct doctor_result *x = doctor_result(r, m->name);
        first = first ? first : x;
        if (!states_known(r, x))
            continue;
        result_measured(r, x, "%s", module_state_name((enum module_state)m->state));
        result_limit(r, x, "active");
        result_mend(r, x, "vx11 modules set %s active", m->name);
        result_judge(r, x, !bad, "%s is %s: it refuses work", m->name,
                     module_state_name((enum module_state)m->state));
    }
    if (!first)
        result_unknown(r, doctor_result(r, NULL), "there are no modules");
}

void check_off(struct doctor_run *r)
{
    struct doctor_result *x = doctor_result(r, NULL);
    char off[256] = "", first[64] = "";
    size_t count = 0;
    if (!states_known(r, x))
        return;
    for (size_t i = 0; i < r->d->module_count; i++) {
        const struct doctor_module *m = &r->d->modules[i];
        if (m->state != MODULE_STATE_OFF)
            continue;
        size_t n = strlen(off);
        snprintf(off + n, sizeof off - n, "%s%.40s", count ? ", " : "", m->name);
        if (count++ == 0)
            snprintf(first, sizeof first, "%.60s", m->name);
    }
    result_measured(r, x, "%s", count ? off : "none");
    result_value(x, (double)count, "modules");
    result_limit(r, x, "0");
    if (count)
        result_mend(r, x, "vx11 modules set %s active", first);
    result_judge(r, x, count == 0, "switched off: %s", off);
}

/* ---- one by one ---- */

typedef void (*per_module)(struct doctor_run *r, const struct doctor_module *m);

static void each_wanted(struct doctor_run *r, per_module fn)
{
    size_t n = 0;
    for (size_t i = 0; i < r->d->module_count; i++) {
        const struct doctor_module *m = &r->d->modules[i];
        if (!doctor_module_wanted(m))
            continue;
        fn(r, m);
        n++;
    }
    if (n == 0)
        result_failed(r, doctor_result(r, NULL), "every module is switched off");
}

static void process_of(struct doctor_run *r, const struct doctor_module *m)
{
    struct doctor_result *x = doctor_result(r, m->name);
    if (!r->d->status) {
        result_failed(r, x, "VX11 does not run");
        result_mend(r, x, "%s", up);
        return;
    }
    if (!m->seen) {
        result_failed(r, x, "the supervisor does not know %s", m->name);
        result_mend(r, x, "vx11 down && vx11 up");
        return;
    }
    result_mend(r, x, "vx11 restart %s", m->name);
    result_measured(r, x, "%s, %lld restarts", supervisor_process_names[m->seen->process],
                    (long long)m->seen->restarts);
    result_judge(r, x, m->seen->process == SUPERVISOR_PROCESS_RUNNING, "%s",
                 m->seen->reason ? m->seen->reason : "its process does not run");
}

void check_process(struct doctor_run *r)
{
    each_wanted(r, process_of);
}

static void on_health(struct doctor_answer *a)
{
    struct doctor_run *r = a->run;
    struct doctor_result *x = a->result;
    const struct doctor_module *m = a->ctx;
    struct common_health_reply reply;
    struct contract_error bad;
    result_value(x, a->latency_ms, "ms");
    if (a->status == 0) {
        result_failed(r, x, "it does not answer: %s", a->err.text);
        return;
    }
    result_measured(r, x, "%d after %.1f ms", a->status, a->latency_ms);
    if (a->status != 200) {
        result_failed(r, x, "GET /health was answered %d, not 200", a->status);
        return;
    }
    if (common_health_reply_parse(r->arena, a->body.data ? a->body.data : "", a->body.len, &reply, &bad) !=
        0) {
        result_failed(r, x, "its answer does not fit the contract: %s %s", bad.pointer, bad.text);
        return;
    }
    if (!str_eq(reply.module, m->name)) {
        result_failed(r, x, "%s answers there", reply.module);
        return;
    }
    result_measured(r, x, "%s after %.1f ms", common_health_names[reply.status], a->latency_ms);
    if (reply.status == COMMON_HEALTH_DEGRADED)
        x->v.severity = DOCTOR_WARN; /* it serves, but not all is well */
    for (size_t i = 0; i < reply.checks_count; i++) {
        const struct common_check *c = &reply.checks[i];
        if (c->status != COMMON_HEALTH_OK) {
            result_failed(r, x, "%s is %s: %s", c->name, common_health_names[c->status],
                          c->detail ? c->detail : "it does not say why");
            return;
        }
    }
    result_judge(r, x, reply.status == COMMON_HEALTH_OK, "it is %s", common_health_names[reply.status]);
}

/* What mends a module that does not answer: all of it where nothing runs. */
static void mend_module(struct doctor_run *r, struct doctor_result *x, const struct doctor_module *m)
{
    if (r->d->status)
        result_mend(r, x, "vx11 restart %s", m->name);
    else
        result_mend(r, x, "%s", up);
}

static void health_of(struct doctor_run *r, const struct doctor_module *m)
{
    struct doctor_result *x = doctor_result(r, m->name);
    const struct doctor_question q = {.path = "/health", .module = m->name};
    result_limit(r, x, "200, ok");
    mend_module(r, x, m);
    doctor_ask(r, x, &q, on_health, m);
}

void check_health(struct doctor_run *r)
{
    each_wanted(r, health_of);
}

static const char *base_url(struct doctor_run *r, const struct doctor_module *m, int port)
{
    const bool v6 = strchr(m->host, ':') != NULL;
    const char *url = arena_printf(r->arena, "http://%s%s%s:%d", v6 ? "[" : "", m->host, v6 ? "]" : "", port);
    return url ? url : "http://127.0.0.1:0";
}

static void port_of(struct doctor_run *r, const struct doctor_module *m)
{
    const int ports[] = {m->port, m->page_port};
    for (size_t i = 0; i < COUNT_OF(ports); i++) {
        char subject[64];
        if (ports[i] == 0)
            continue;
        snprintf(subject, sizeof subject, "%.40s:%d", m->name, ports[i]);
        struct doctor_result *x = doctor_result(r, subject);
        const struct doctor_question q = {
            .path = "/health", .module = m->name, .base_url = base_url(r, m, ports[i])};
        result_limit(r, x, "200, ok, no token asked for");
        mend_module(r, x, m);
        doctor_ask(r, x, &q, on_health, m);
    }
}

void check_port_health(struct doctor_run *r)
{
    each_wanted(r, port_of);
}

/* ---- tokens ---- */

static void on_refused(struct doctor_answer *a)
{
    struct doctor_run *r = a->run;
    if (a->status == 0) {
        result_unknown(r, a->result, "it does not answer: %s", a->err.text);
        return;
    }
    result_measured(r, a->result, "%d", a->status);
    result_judge(r, a->result, a->status == 401, "without a token it answered %d: it is not guarded",
                 a->status);
}

static void refuses_of(struct doctor_run *r, const struct doctor_module *m)
{
    struct doctor_result *x = doctor_result(r, m->name);
    const struct doctor_question q = {
        .path = GUARDED, .module = m->name, .base_url = base_url(r, m, m->port)};
    result_limit(r, x, "401");
    mend_module(r, x, m);
    doctor_ask(r, x, &q, on_refused, m);
}

void check_refuses(struct doctor_run *r)
{
    each_wanted(r, refuses_of);
}

static void on_accepted(struct doctor_answer *a)
{
    struct doctor_run *r = a->run;
    if (a->status == 0) {
        result_unknown(r, a->result, "it does not answer: %s", a->err.text);
        return;
    }
    result_measured(r, a->result, "%d", a->status);
    result_judge(r, a->result, a->status == 200, "with the owner's token it answered %d", a->status);
}

static void accepts_of(struct doctor_run *r, const struct doctor_module *m)
{
    struct doctor_result *x = doctor_result(r, m->name);
    const struct doctor_question q = {
        .path = GUARDED, .module = m->name, .base_url = base_url(r, m, m->port), .token = r->d->token};
    result_limit(r, x, "200");
    mend_module(r, x, m);
    if (r->d->token[0])
        doctor_ask(r, x, &q, on_accepted, m);
    else
        result_unknown(r, x, "the owner's token cannot be read: %s", r->d->token_error);
}

void check_accepts(struct doctor_run *r)
{
    each_wanted(r, accepts_of);
}

/* ---- version ---- */

/* " (deleted)" at the end: the file was replaced after the process had started. */
static bool exe_is_ours(const struct doctor_run *r, pid_t pid, char *out, size_t size)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    ssize_t n = readlink(link, out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 && str_eq(out, r->d->exe);
}

static void version_of(struct doctor_run *r, const char *name, pid_t pid)
{
    char exe[4096];
    struct doctor_result *x = doctor_result(r, name);
    result_limit(r, x, "%s", r->d->exe);
    if (pid <= 0) {
        result_unknown(r, x, "it does not run");
        result_mend(r, x, "%s", up);
        return;
    }
    bool same = exe_is_ours(r, pid, exe, sizeof exe);
    if (!exe[0] || !r->d->exe[0]) {
        result_unknown(r, x, "which program process %d runs cannot be seen", (int)pid);
        return;
    }
    result_measured(r, x, "%s", exe);
    result_judge(r, x, same, "%s",
                 str_ends(exe, " (deleted)") ? "its program was replaced after it had started"
                                             : "it runs another program than this one");
}

void check_version(struct doctor_run *r)
{
    version_of(r, "supervisor", r->d->status ? (pid_t)r->d->status->pid : 0);
    for (size_t i = 0; i < r->d->module_count; i++)
        if (doctor_module_wanted(&r->d->modules[i]))
            version_of(r, r->d->modules[i].name, r->d->modules[i].pid);
}
