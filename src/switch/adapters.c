/* Adapters: how each kind of provider is reached. All speak OpenAI's API, except where an adapter of its own
 * translates (anthropic.c).
 *
 *   local   Hermes hands out an engine: our worker's socket, or the address of one that it runs for us
 *   openai  an address and a key
 *   tool    a command-line tool: Hermes runs it and answers as an OpenAI server
 *   module  another module of VX11 that answers chats, on its socket */
#include "switch/switch_internal.h"

#include <stdio.h>
#include <string.h>

#include "api/hermes_client.h"
#include "base/clock.h"
#include "base/fs.h"

/* ---- local ---- */

static void on_acquired(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct attempt *a = ctx;
    const struct hermes_engine *engine = reply->message;
    (void)call;
    a->acquiring = NULL;
    if (attempt_over(a))
        return;
    struct arena *arena = request_arena(a->d->r);
    if (engine && engine->base_url) { /* an engine that is not our own */
        a->target = (struct client_target){.base_url = arena_printf(arena, "%s/v1", engine->base_url),
                                           .peer_kind = "engine",
                                           .peer = a->candidate->model};
        a->upstream_model = arena_strdup(arena, engine->upstream_model);
        a->foreign = true;
        attempt_call(a);
        return;
    }
    if (engine && engine->socket) {
        a->target = (struct client_target){.base_url = "http://localhost/v1",
                                           .socket = arena_strdup(arena, engine->socket),
                                           .peer_kind = "engine",
                                           .peer = a->candidate->model};
        attempt_call(a);
        return;
    }
    char text[300];
    int status = reply->result != 0     ? (reply->result == VX11_ETIMEOUT ? 504 : 503)
                 : reply->status >= 400 ? reply->status
                                        : 502;
    snprintf(text, sizeof text, "%.280s", reply->error.text[0] ? reply->error.text : "hermes gave no engine");
    if (reply->retry_after_ms >= 0)
        a->retry_after_ms = reply->retry_after_ms;
    /* A model that cannot be loaded says nothing about the other models, and a Hermes that is being started
     * again is back at once: only its silence counts against the provider. */
    bool silent = reply->result != 0 && reply->result != VX11_EUNAVAILABLE;
    attempt_failed(a, silent ? DISPATCH_BAD : DISPATCH_SILENT, status,
                   reply->error_code[0] ? reply->error_code : "engine_unavailable", text);
}

static void reach_local(struct attempt *a)
{
    struct dispatch *d = a->d;
    struct hermes_acquire_request ask;
    struct client_call_options options;
    module_call_options(d->r, &options);
    hermes_acquire_request_init(request_arena(d->r), &ask);
    ask.model = a->candidate->model;
    ask.has_keep_alive_ms = d->has_keep_alive;
    ask.keep_alive_ms = d->keep_alive_ms;
    int64_t most = a->provider->first_token_timeout_ms;
    int64_t left = options.deadline_ms ? options.deadline_ms - clock_mono_ms() : ask.wait_ms;
    ask.wait_ms = left < 0 ? 0 : left < most ? left : most;
    int rc = hermes_engines_acquire_call(module_client(d->sw->m), module_peer(d->sw->m, "hermes"), &ask,
                                         &options, on_acquired, a, &a->acquiring);
    if (rc != 0)
        attempt_failed(a, DISPATCH_SILENT, 500, "internal", error_describe(rc));
}

/* An engine is told who asks and how soon they are to be served. */
static int headers_local(struct attempt *a, struct client_call_options *options)
{
    struct arena *arena = request_arena(a->d->r);
    struct client_header *headers = arena_array(arena, options->header_count + 1, sizeof *headers);
    const char *priority = arena_printf(arena, "%d", priority_of(a->d->r, a->d->source));
    if (!headers || !priority)
        return VX11_ENOMEM;
    if (options->header_count > 0)
        memcpy(headers, options->headers, options->header_count * sizeof *headers);
    headers[options->header_count++] = (struct client_header){"X-VX11-Priority", priority};
    if (a->foreign) { /* Hermes counts its open connections to know what is in flight */
        options->header_count = 0;
        options->once = true;
    }
    options->headers = headers;
    return 0;
}

/* ---- openai ---- */

static void reach_openai(struct attempt *a)
{
    struct arena *arena = request_arena(a->d->r);
    struct error err = {0};
    a->target = (struct client_target){.base_url = arena_strdup(arena, a->provider->base_url),
                                       .peer_kind = "provider",
                                       .peer = a->provider->name};
    if (provider_key(a->provider, arena, &a->target.token, &err) != 0)
        attempt_failed(a, DISPATCH_SILENT, 503, "provider_key_missing", err.text);
    else
        attempt_call(a);
}

/* ---- tool ---- */

static void reach_tool(struct attempt *a)
{
    const struct client_target *hermes = module_peer(a->d->sw->m, "hermes");
    a->target = *hermes;
    a->target.base_url = arena_printf(request_arena(a->d->r), "http://localhost/hermes/tools/%s/v1",
                                      a->provider->tool ? a->provider->tool : a->provider->name);
    if (a->target.base_url)
        attempt_call(a);
    else
        attempt_failed(a, DISPATCH_SILENT, 500, "out_of_memory", "out of memory");
}

/* ---- module ---- */

static void reach_module(struct attempt *a)
{
    const char *name = a->provider->module ? a->provider->module : a->provider->name;
    char text[200];
    a->target = *module_peer(a->d->sw->m, name);
    a->target.base_url = "http://localhost/v1";
    if (fs_exists(a->target.socket)) {
        attempt_call(a);
        return;
    }
    snprintf(text, sizeof text, "module %.64s does not run", name);
    attempt_failed(a, DISPATCH_SILENT, 503, "module_not_there", text);
}

/* ---- which ---- */

const struct adapter *adapter_of(const struct provider *p)
{
    static const struct adapter local = {.name = "local", .reach = reach_local, .headers = headers_local};
    static const struct adapter openai = {.name = "openai", .reach = reach_openai, .outside = true};
    static const struct adapter tool = {.name = "tool", .reach = reach_tool};
    static const struct adapter module = {.name = "module", .reach = reach_module};
    switch (p->kind) {
    case SWITCH_PROVIDER_KIND_LOCAL:
        return &local;
    case SWITCH_PROVIDER_KIND_ANTHROPIC:
        return &anthropic_adapter;
    case SWITCH_PROVIDER_KIND_TOOL:
        return &tool;
    case SWITCH_PROVIDER_KIND_MODULE:
        return &module;
    default:
        return &openai;
    }
}
