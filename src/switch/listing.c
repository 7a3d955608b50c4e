/* Listing: which models a provider offers. The local one's are Hermes' registry; another's are what its GET
 * /models says, unless the configuration names them. One listing of a provider runs at a time; all who want
 * it wait for that one. */
#include "switch/switch_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/hermes_client.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "switch/selection/selector.h"

#define LISTING_MS       5000
#define LISTING_MAX_BODY (4u * 1024u * 1024u)
#define REGISTRY_MS      5000 /* how often Hermes is asked when no request makes us ask */

struct listing {
    struct provider *p;
    struct buf body;
};

static void listing_done(struct provider *p, const char *error)
{
    /* A waiter may ask for another listing: the list is emptied first. */
    struct listing_waiter *waiters = p->waiters;
    size_t n = p->waiter_count;
    const bool news = strncmp(p->models_error, error, sizeof p->models_error - 1) != 0;
    p->waiters = NULL;
    p->waiter_count = p->waiter_cap = 0;
    p->listing = false;
    snprintf(p->models_error, sizeof p->models_error, "%s", error);
    if (error[0] && news)
        log_warn("listing", "the models could not be listed", LOG_S("provider", p->name),
                 LOG_S("reason", error));
    else if (!error[0])
        p->models_at = clock_wall_ms();
    for (size_t i = 0; i < n; i++)
        waiters[i].fn(waiters[i].ctx);
    free(waiters);
}

/* Takes over n names, and what each can (NULL: not known). */
static void models_take(struct provider *p, char **names, unsigned *can, size_t n, size_t builtin)
{
    for (size_t i = 0; i < p->model_count; i++)
        free(p->models[i]);
    free(p->models);
    free(p->models_can);
    p->models = names;
    p->models_can = can;
    p->model_count = n;
    p->builtin = builtin;
}

/* ---- local: Hermes' registry, of which only what is new is sent ---- */

static unsigned capabilities_of(const struct hermes_model *m)
{
    unsigned can = 0;
    for (size_t i = 0; i < m->capabilities_count; i++)
        can |= 1u << m->capabilities[i];
    return can;
}

static int registry_models(struct provider *p, const struct hermes_registry *r)
{
    char **names = calloc(r->models_count + 1, sizeof *names);
    unsigned *can = calloc(r->models_count + 1, sizeof *can);
    size_t n = 0, builtin = SIZE_MAX;
    if (!names || !can) {
        free(names);
        free(can);
        return VX11_ENOMEM;
    }
    for (size_t i = 0; i < r->models_count; i++) {
        const struct hermes_model *m = &r->models[i];
        if (!m->enabled || m->status != HERMES_MODEL_STATUS_AVAILABLE)
            continue;
        names[n] = strdup(m->name);
        if (!names[n])
            break;
        can[n] = capabilities_of(m);
        if (m->source == HERMES_MODEL_SOURCE_BUILTIN)
            builtin = n;
        n++;
    }
    models_take(p, names, can, n, builtin);
    return 0;
}

static void on_registry(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct provider *p = ctx;
    struct switch_ *sw = p->sw;
    const struct hermes_registry *r = reply->message;
    struct error err = {0};
    char why[600] = "";
    (void)call;
    if (!r) {
        snprintf(why, sizeof why, "hermes: %.280s", reply->error.text);
    } else if (r->changed) {
        int rc = registry_models(p, r);
        selector_models(sw->selector, r->models, r->models_count);
        if (rc == 0)
            rc = providers_register(sw, r, &err);
        if (rc == 0)
            sw->registry_version = r->version;
        else
            snprintf(why, sizeof why, "%.280s", err.text[0] ? err.text : error_describe(rc));
    }
    listing_done(p, why);
}

static struct provider *registry_provider(struct switch_ *sw)
{
    for (size_t i = 0; i < sw->provider_count; i++)
        if (sw->providers[i]->kind == SWITCH_PROVIDER_KIND_LOCAL && sw->providers[i]->enabled)
            return sw->providers[i];
    return NULL;
}

void registry_tick(struct switch_ *sw)
{
    const int64_t now = clock_mono_ms();
    struct provider *local = registry_provider(sw);
    if (!local || now - sw->registry_at < REGISTRY_MS)
        return;
    sw->registry_at = now;
    provider_list(local, NULL, NULL);
}

/* ---- another: GET /models ---- */

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct listing *l = ctx;
    if (l->body.len + len > LISTING_MAX_BODY || buf_append(&l->body, data, len) != 0)
        client_cancel(call);
}

/* Of a server of Anthropic's, which knows nothing else; NULL: not known. */
static unsigned *chats_only(const struct provider *p, size_t n)
{
    unsigned *can = p->kind == SWITCH_PROVIDER_KIND_ANTHROPIC ? calloc(n + 1, sizeof *can) : NULL;
    for (size_t i = 0; can && i < n; i++)
        can[i] = CAN_CHAT;
    return can;
}

static void listing_parse(struct listing *l, char *why, size_t size)
{
    struct switch_upstream_models reply;
    struct contract_error bad = {0};
    struct arena *a = arena_create(0);
    if (a &&
        switch_upstream_models_parse(a, l->body.data ? l->body.data : "", l->body.len, &reply, &bad) == 0) {
        char **names = calloc(reply.data_count + 1, sizeof *names);
        size_t n = 0;
        while (names && n < reply.data_count && (names[n] = strdup(reply.data[n].id)))
            n++;
        if (names)
            models_take(l->p, names, chats_only(l->p, n), n, SIZE_MAX);
        else
            snprintf(why, size, "out of memory");
    } else {
        snprintf(why, size, "its list of models does not fit: %.200s %.200s", bad.pointer, bad.text);
    }
    arena_destroy(a);
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct listing *l = ctx;
    struct provider *p = l->p;
    char why[600] = "";
    int status = client_call_status(call);
    if (result != 0)
        snprintf(why, sizeof why, "%.280s", err->text);
    else if (status != 200)
        snprintf(why, sizeof why, "GET %.200s/models answered %d", p->base_url, status);
    else
        listing_parse(l, why, sizeof why);
    buf_free(&l->body);
    free(l);
    listing_done(p, why);
}

static int listing_start(struct provider *p, char *why, size_t size)
{
    static const struct client_events events = {.on_data = on_data, .on_done = on_done};
    struct client_call_options options = {.deadline_ms = clock_mono_ms() + LISTING_MS,
                                          .connect_timeout_ms = p->connect_timeout_ms};
    struct client *client = module_client(p->sw->m);
    struct client_call *call;
    struct error err = {0};
    if (p->kind == SWITCH_PROVIDER_KIND_LOCAL) {
        const struct hermes_registry_since since = {.since =
                                                        p->model_count > 0 ? p->sw->registry_version : -1};
        int rc = hermes_registry_call(client, module_peer(p->sw->m, "hermes"), &since, &options, on_registry,
                                      p, &call);
        snprintf(why, size, "%s", rc == 0 ? "" : error_describe(rc));
        return rc;
    }
    struct listing *l = calloc(1, sizeof *l);
    struct arena *a = arena_create(0);
    struct client_target target = {.base_url = p->base_url, .peer_kind = "provider", .peer = p->name};
    int rc = l && a ? provider_key(p, a, &target.token, &err) : error_set(&err, VX11_ENOMEM, "out of memory");
    const char *path = "/models";
    if (rc == 0 && p->kind == SWITCH_PROVIDER_KIND_ANTHROPIC) {
        path = "/models?limit=1000";
        rc = anthropic_key_headers(a, target.token, &options);
        target.token = NULL;
    }
    if (rc == 0) {
        l->p = p;
        rc = client_start(client, &target, "GET", path, NULL, NULL, 0, &options, &events, l, &call, &err);
    }
    if (rc != 0)
        free(l);
    arena_destroy(a);
    snprintf(why, size, "%s", err.text);
    return rc;
}

static bool waiter_add(struct provider *p, void (*fn)(void *ctx), void *ctx)
{
    if (p->waiter_count == p->waiter_cap) {
        size_t cap = p->waiter_cap ? p->waiter_cap * 2 : 16;
        struct listing_waiter *waiters = realloc(p->waiters, cap * sizeof *waiters);
        if (!waiters)
            return false;
        p->waiters = waiters;
        p->waiter_cap = cap;
    }
    p->waiters[p->waiter_count++] = (struct listing_waiter){fn, ctx};
    return true;
}

void provider_list(struct provider *p, void (*fn)(void *ctx), void *ctx)
{
    char why[600];
    if (fn && !waiter_add(p, fn, ctx)) {
        fn(ctx); /* no memory to wait: it goes on with what is known */
        return;
    }
    if (p->listing)
        return;
    p->listing = true;
    if (listing_start(p, why, sizeof why) != 0)
        listing_done(p, why);
}
