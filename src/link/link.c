/* Link: start, routes, stop. The work is in the files that link_internal.h draws. */
#include "link/link_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/hermes.h"
#include "api/operator.h"
#include "api/supervisor.h"
#include "base/log.h"
#include "base/str.h"

struct link_peer *link_peer_find(struct link *l, const char *name)
{
    for (size_t i = 0; i < LINK_PEERS; i++)
        if (strcmp(l->peers[i].name, name) == 0)
            return &l->peers[i];
    return NULL;
}

int64_t link_peer_port(const struct link *l, const char *name)
{
    const struct config_config *c = module_config(l->m)->values;
    if (strcmp(name, "switch") == 0)
        return c->switch_->port;
    if (strcmp(name, "hermes") == 0)
        return c->hermes->port;
    if (strcmp(name, "operator") == 0)
        return c->operator_->port;
    return c->link->port;
}

static size_t link_listen(const struct config *config, struct server_listener *out, size_t max)
{
    const struct config_link *c = config->values->link;
    if (max < 2)
        return 0;
    out[0] = (struct server_listener){.host = c->host, .port = (int)c->port};
    out[1] = (struct server_listener){.host = c->host, .port = (int)c->page_port};
    return 2;
}

static void link_server_options(const struct config *config, struct server_options *out)
{
    const struct config_link *c = config->values->link;
    out->allowed_hosts = c->allowed_hosts; /* the contract ends arrays of strings with a NULL */
    out->allowed_origins = c->allowed_origins;
}

static void link_breakers(struct link *l)
{
    const struct config_link *c = module_config(l->m)->values->link;
    for (size_t i = 0; i < LINK_PEERS; i++)
        breaker_init(&l->peers[i].breaker, (unsigned)c->breaker_threshold, c->breaker_open_ms);
}

static const struct link_peer peers[LINK_PEERS] = {
    {.name = "switch", .unavailable = "switch_unavailable"},
    {.name = "hermes", .unavailable = "hermes_unavailable"},
    {.name = "operator", .unavailable = "operator_unavailable"},
    {.name = "supervisor", .unavailable = "supervisor_unavailable"},
};

static int link_start(struct module *m, void **context, struct error *err)
{
    struct link *l = calloc(1, sizeof *l);
    if (!l)
        return error_set(err, VX11_ENOMEM, "out of memory");
    *context = l;
    l->m = m;
    for (size_t i = 0; i < LINK_PEERS; i++)
        l->peers[i] = peers[i];
    link_breakers(l);
    const struct config_link *c = module_config(m)->values->link;
    snprintf(l->page, sizeof l->page, "http://%s:%d/", c->host, (int)c->page_port);
    l->ready = ready_create(l);
    int rc = l->ready ? events_create(l, &l->events, err) : error_set(err, VX11_ENOMEM, "out of memory");
    if (rc == 0)
        module_on_event(m, events_publish);
    return rc;
}

static void link_stopping(struct module *m, void *context)
{
    struct link *l = context;
    (void)m;
    events_close(l->events);
}

static void link_free(void *context)
{
    struct link *l = context;
    events_destroy(l->events);
    ready_destroy(l->ready);
    free(l);
}

static void link_reload(struct module *m, void *context, const struct config *before,
                        const struct config *now)
{
    const struct config_link *b = before->values->link, *n = now->values->link;
    struct error err = {0};
    if (b->breaker_threshold != n->breaker_threshold || b->breaker_open_ms != n->breaker_open_ms)
        link_breakers(context);
    server_set_allowed(module_server(m), n->allowed_hosts, n->allowed_origins);
    if (events_bounds(m, &err) != 0)
        log_error("link", "the bounds of the event log stay as they were", LOG_S("reason", err.text));
}

static const request_handler handlers[LINK_ROUTE_COUNT] = {
    [LINK_ROUTE_HEALTHZ] = ready_alive,
    [LINK_ROUTE_READYZ] = ready_get,
    [LINK_ROUTE_STATUS] = status_get,
    [LINK_ROUTE_OVERVIEW] = status_overview,
    [LINK_ROUTE_BREAKERS] = status_breakers,
    [LINK_ROUTE_MODELS] = relay_to_switch,
    [LINK_ROUTE_MODEL] = relay_to_switch,
    [LINK_ROUTE_CHAT_COMPLETIONS] = relay_to_switch,
    [LINK_ROUTE_COMPLETIONS] = relay_to_switch,
    [LINK_ROUTE_EMBEDDINGS] = relay_to_switch,
    [LINK_ROUTE_RESPONSES] = relay_to_switch,
    [LINK_ROUTE_RESPONSE] = relay_to_switch,
    [LINK_ROUTE_MESSAGES] = relay_to_switch,
    [LINK_ROUTE_COUNT_TOKENS] = relay_to_switch,
    [LINK_ROUTE_EVENTS] = streams_sse,
    [LINK_ROUTE_EVENT_HISTORY] = history_list,
    [LINK_ROUTE_EVENTS_INGEST] = events_ingest,
    [LINK_ROUTE_WS] = streams_ws,
    [LINK_ROUTE_SESSION] = page_session,
    [LINK_ROUTE_PAGE] = page_index,
    [LINK_ROUTE_PAGE_PATH] = page_path,
    [LINK_ROUTE_ASSET] = page_asset,
    [LINK_ROUTE_LOGIN] = page_login,
    [LINK_ROUTE_LOGOUT] = page_logout,
};

/* Stopping everything and making log-in links stay with who has the machine: they are the shell's. */
static bool supervisor_wanted(const struct contract_route *route)
{
    return strcmp(route->id, "stop") != 0 && strcmp(route->id, "login_link") != 0;
}

static const struct module_mounted mounts[] = {
    {.contract = &switch_module, .handler = relay_to_owner},
    {.contract = &hermes_module, .handler = relay_to_owner},
    {.contract = &operator_module, .handler = relay_to_owner},
    {.contract = &supervisor_module, .handler = relay_to_owner, .wanted = supervisor_wanted},
};

const struct module_spec link_spec = {
    .contract = &link_module,
    .handlers = handlers,
    .mounts = mounts,
    .mount_count = COUNT_OF(mounts),
    .listen = link_listen,
    .server_options = link_server_options,
    .start = link_start,
    .stopping = link_stopping,
    .free = link_free,
    .reload = link_reload,
};
