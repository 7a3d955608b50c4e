/* Addresses: asking whether an engine that somebody else keeps running is well, and what it offers.
 *
 *   due, or somebody needs it ──> GET health ──200──> GET /v1/models (unless configured) ──> up
 *                                     └── all else ──> down, with the reason */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/openai.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "hermes/external/external_internal.h"

#define CHECK_LIMIT_MS 5000
#define LIST_BYTES     (1u << 20)
#define MODELS_MOST    256

struct external_wait {
    struct external_wait *next;
    external_fn fn; /* NULL: cancelled */
    void *ctx;
};

struct check {
    struct check *next;
    struct external *x;
    struct client_call *call;
    struct client_target target;
    struct external_wait *waits;
    struct buf body;
    bool listing;
    uint64_t began_ns;
};

static bool check_ask(struct check *c);

/* ---- the end of one ---- */

static void say(const struct external *x, int before, const char *reason_before)
{
    if (x->state == before && strcmp(x->reason, reason_before) == 0)
        return;
    if (x->state == HERMES_EXTERNAL_STATE_UP)
        log_info("engines", "an engine answers", LOG_S("engine", x->name), LOG_S("base_url", x->base_url),
                 LOG_I("models", x->model_count));
    else
        log_warn("engines", "an engine does not answer", LOG_S("engine", x->name),
                 LOG_S("base_url", x->base_url), LOG_S("reason", x->reason));
}

static void check_free(struct check *c)
{
    struct externals *all = c->x->all;
    struct check **at = &all->checks;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    while (c->waits) {
        struct external_wait *w = c->waits;
        c->waits = w->next;
        if (w->fn)
            w->fn(w->ctx, c->x);
        free(w);
    }
    c->x->checking = false;
    external_unref(c->x);
    buf_free(&c->body);
    free(c);
    if (!all->closing)
        externals_schedule(all);
    externals_release(all);
}

static void check_end(struct check *c, int state, const char *reason)
{
    struct external *x = c->x;
    struct error err = {0};
    const int before = x->state;
    char reason_before[sizeof x->reason];
    memcpy(reason_before, x->reason, sizeof reason_before);
    if (!x->all->closing) {
        x->checked_at = clock_wall_ms();
        x->checked_mono = clock_mono_ms();
        x->latency_ms = (double)(clock_mono_ns() - c->began_ns) / 1e6;
        x->state = state;
        (void)snprintf(x->reason, sizeof x->reason, "%s", reason);
        say(x, before, reason_before);
        if (external_rows_sync(x->all, &err) != 0)
            log_error("engines", "an engine's models cannot be registered", LOG_S("engine", x->name),
                      LOG_S("reason", err.text));
    }
    check_free(c);
}

/* ---- what it says ---- */

static bool name_fits(const char *name)
{
    static const char fine[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@/+-";
    const size_t n = strlen(name);
    return n > 0 && n <= 128 && strspn(name, fine) == n && name[0] != '/' && name[0] != '.' && name[0] != '-';
}

static int take_models(struct check *c, char *why, size_t size)
{
    struct arena *a = arena_create(8u << 20);
    yyjson_val *root = NULL, *item;
    struct contract_error bad;
    const char *names[MODELS_MOST];
    size_t n = 0, i, all;
    if (!a || contract_json_parse(a, c->body.data ? c->body.data : "", c->body.len, NULL, &root, &bad) != 0) {
        arena_destroy(a);
        (void)snprintf(why, size, "its list of models (GET /v1/models) is no JSON");
        return VX11_ECORRUPT;
    }
    yyjson_val *data = yyjson_obj_get(root, "data");
    yyjson_arr_foreach(data, i, all, item)
    {
        const char *id = yyjson_get_str(yyjson_obj_get(item, "id"));
        if (id && name_fits(id) && n < MODELS_MOST)
            names[n++] = id;
    }
    int rc = yyjson_is_arr(data) ? external_set_models(c->x, names, n) : VX11_ECORRUPT;
    arena_destroy(a);
    if (rc != 0)
        (void)snprintf(why, size, "its list of models (GET /v1/models) cannot be taken: %s",
                       error_describe(rc));
    return rc;
}

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct check *c = ctx;
    if (!c->listing)
        return;
    if (c->body.len + len > LIST_BYTES || buf_append(&c->body, data, len) != 0)
        client_cancel(call);
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct check *c = ctx;
    const int status = client_call_status(call);
    char why[256] = "";
    c->call = NULL;
    if (result != 0)
        (void)snprintf(why, sizeof why, "%.200s", err->text);
    else if (status != 200)
        (void)snprintf(why, sizeof why, "GET %.120s gave status %d", c->listing ? "/v1/models" : c->x->health,
                       status);
    if (why[0]) {
        check_end(c, HERMES_EXTERNAL_STATE_DOWN, why);
        return;
    }
    if (!c->listing && c->x->listed) {
        c->listing = true;
        (void)check_ask(c);
        return;
    }
    if (c->listing && take_models(c, why, sizeof why) != 0)
        check_end(c, HERMES_EXTERNAL_STATE_DOWN, why);
    else
        check_end(c, HERMES_EXTERNAL_STATE_UP, "");
}

static const struct client_events check_events = {.on_data = on_data, .on_done = on_done};

/* false: it could not begin, and c is gone. */
static bool check_ask(struct check *c)
{
    struct externals *all = c->x->all;
    struct error err = {0};
    const struct client_call_options options = {
        .deadline_ms = clock_mono_ms() + CHECK_LIMIT_MS, .connect_timeout_ms = CHECK_LIMIT_MS, .poll = true};
    int rc = all->closing ? error_set(&err, VX11_ECANCELLED, "Hermes is stopping")
                          : client_start(all->options.client, &c->target, "GET",
                                         c->listing ? "/v1/models" : c->x->health, NULL, NULL, 0, &options,
                                         &check_events, c, &c->call, &err);
    if (rc != 0)
        check_end(c, HERMES_EXTERNAL_STATE_DOWN, err.text);
    return rc == 0;
}

/* ---- the beginning ---- */

static struct check *check_of(const struct external *x)
{
    for (struct check *c = x->all->checks; c; c = c->next)
        if (c->x == x)
            return c;
    return NULL;
}

/* Its call is made by the caller, who may want to wait for it first. */
static struct check *check_create(struct external *x)
{
    struct check *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    *c = (struct check){.next = x->all->checks,
                        .x = external_ref(x),
                        .target = {.base_url = x->base_url},
                        .began_ns = clock_mono_ns()};
    x->all->checks = c;
    x->all->open++;
    x->checking = true;
    return c;
}

int external_check(struct external *x, int64_t max_age_ms, external_fn fn, void *ctx,
                   struct external_wait **out)
{
    *out = NULL;
    if (x->checked_at > 0 && clock_mono_ms() - x->checked_mono <= max_age_ms) {
        fn(ctx, x);
        return 0;
    }
    struct external_wait *w = calloc(1, sizeof *w);
    struct check *c = w && !x->all->closing ? check_of(x) : NULL;
    const bool fresh = w && !x->all->closing && !c;
    if (fresh)
        c = check_create(x);
    if (!w || !c) {
        free(w);
        return x->all->closing ? VX11_ECANCELLED : VX11_ENOMEM;
    }
    *w = (struct external_wait){.next = c->waits, .fn = fn, .ctx = ctx};
    c->waits = w;
    *out = w;
    if (fresh && !check_ask(c))
        *out = NULL; /* fn has run */
    return 0;
}

void external_wait_cancel(struct external_wait *w)
{
    w->fn = NULL;
}

/* ---- the clockwork ---- */

static void on_timer(uv_timer_t *timer)
{
    struct externals *all = timer->data;
    const int64_t now = clock_mono_ms();
    for (size_t i = 0; i < all->count; i++) {
        struct external *x = all->list[i];
        struct check *c = NULL;
        if (x->kind != HERMES_EXTERNAL_KIND_ADDRESS || x->checking)
            continue;
        if (x->checked_at > 0 && now - x->checked_mono < x->check_interval_ms)
            continue;
        c = check_create(x);
        if (c)
            (void)check_ask(c);
    }
    externals_schedule(all);
}

void externals_schedule(struct externals *all)
{
    const int64_t now = clock_mono_ms();
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < all->count; i++) {
        const struct external *x = all->list[i];
        if (x->kind != HERMES_EXTERNAL_KIND_ADDRESS || x->checking)
            continue;
        const int64_t in = x->checked_at > 0 ? x->checked_mono + x->check_interval_ms - now : 0;
        if (in < next)
            next = in;
    }
    if (next == INT64_MAX)
        uv_timer_stop(&all->timer);
    else
        uv_timer_start(&all->timer, on_timer, next > 0 ? (uint64_t)next : 0, 0);
}

void externals_cancel(struct externals *all)
{
    struct check *next;
    for (struct check *c = all->checks; c; c = next) {
        next = c->next;
        if (c->call)
            client_cancel(c->call);
    }
}
