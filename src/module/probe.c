/* Probe: one question to a process's own /health, which every server of ours answers. The supervisor and Link
 * both ask it; neither lets the answer touch a breaker, so that health polls cannot open one or hide a
 * failing route. */
#include "module/module.h"

#include <stdlib.h>

#include "base/clock.h"

struct probe {
    module_probe_fn fn;
    void *ctx;
    struct buf body;
    int64_t started_ns;
};

#define PROBE_MAX_BODY (64u * 1024u)

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct probe *p = ctx;
    if (p->body.len + len > PROBE_MAX_BODY || buf_append(&p->body, data, len) != 0)
        client_cancel(call);
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct probe *p = ctx;
    double latency_ms = (double)((int64_t)clock_mono_ns() - p->started_ns) / 1e6;
    struct error why = {0};
    struct common_health_reply reply;
    struct contract_error bad;
    struct arena *a = arena_create(0);
    if (result != 0) {
        error_set(&why, result, "%s", err && err->text[0] ? err->text : error_describe(result));
        p->fn(p->ctx, NULL, latency_ms, &why);
    } else if (!a) {
        error_set(&why, VX11_ENOMEM, "out of memory");
        p->fn(p->ctx, NULL, latency_ms, &why);
    } else if (common_health_reply_parse(a, p->body.data ? p->body.data : "", p->body.len, &reply, &bad) !=
               0) {
        error_set(&why, VX11_ECORRUPT, "its health answer (status %d) does not fit the contract: %s %s",
                  client_call_status(call), bad.pointer, bad.text);
        p->fn(p->ctx, NULL, latency_ms, &why);
    } else {
        p->fn(p->ctx, &reply, latency_ms, &why);
    }
    arena_destroy(a);
    buf_free(&p->body);
    free(p);
}

int module_probe(struct client *c, const struct client_target *target, int64_t timeout_ms, module_probe_fn fn,
                 void *ctx)
{
    static const struct client_events events = {.on_data = on_data, .on_done = on_done};
    struct probe *p = calloc(1, sizeof *p);
    if (!p)
        return VX11_ENOMEM;
    *p = (struct probe){.fn = fn, .ctx = ctx, .body = BUF_INIT, .started_ns = (int64_t)clock_mono_ns()};
    struct client_call_options options = {.deadline_ms = clock_mono_ms() + timeout_ms, .poll = true};
    struct client_call *call;
    int rc = client_start(c, target, "GET", "/health", NULL, NULL, 0, &options, &events, p, &call, NULL);
    if (rc != 0)
        free(p);
    return rc;
}
