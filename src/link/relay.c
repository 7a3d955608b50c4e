/* Relay: hands a request to the module that owns its route and its answer back, piece by piece as it comes.
 *
 *   client ──body──> [Link] ──run/switch.sock──> Switch
 *          <─pieces─        <──────pieces───────
 *
 * (The others alike, each by its socket.) A client that is slow pauses the reading from the peer; one that
 * leaves cancels it.
 *
 * The body is not parsed here: the peer holds the contract of these routes and answers what is wrong with it.
 * Only failures of the peer itself (cut short, too slow, 500) count against its breaker: a provider's 502 is
 * Switch at work. Nor does a peer that is not there: that is known at once, and it is back as soon as the
 * supervisor has started it again. */
#include "link/link_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

/* Above this much waiting for the client, the peer is not read any further; the server tells when it has
 * drained. */
#define RELAY_HIGH_WATER (256u * 1024u)

struct relay {
    struct link *l;
    struct link_peer *peer;
    struct request *r;
    struct client_call *call;
    struct buf body;  /* of an answer that is not streamed */
    const char *type; /* of the answer; in the request's arena */
    int status;
    bool streaming, sse, paused, cancelled;
};

static const char *const passed_headers[] = {"X-VX11-Provider",
                                             "X-VX11-Model",
                                             "X-VX11-Context-Shift",
                                             "X-VX11-Estimated",
                                             "X-VX11-Ignored",
                                             "X-VX11-Decision",
                                             "X-VX11-Cache",
                                             "Age",
                                             "Retry-After",
                                             "Location",
                                             "x-ratelimit-limit-requests",
                                             "x-ratelimit-remaining-requests",
                                             "x-ratelimit-reset-requests",
                                             "x-ratelimit-limit-tokens",
                                             "x-ratelimit-remaining-tokens",
                                             "x-ratelimit-reset-tokens"};

/* What a browser must know of a file; a stream of events says its own. */
static const char *const file_headers[] = {"ETag", "Cache-Control", "Content-Disposition",
                                           "Content-Security-Policy"};

static void pass_headers(struct relay *relay, struct client_call *call, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *value = client_call_header(call, names[i]);
        if (value)
            request_reply_header(relay->r, names[i], value);
    }
}

static void on_headers(struct client_call *call, void *ctx, int status)
{
    struct relay *relay = ctx;
    const char *type = client_call_header(call, "Content-Type");
    relay->status = status;
    if (relay->cancelled)
        return;
    pass_headers(relay, call, passed_headers, COUNT_OF(passed_headers));
    relay->type = type ? arena_strdup(request_arena(relay->r), type) : NULL;
    relay->sse = type && str_starts(type, "text/event-stream");
    if (!relay->sse) {
        pass_headers(relay, call, file_headers, COUNT_OF(file_headers));
        request_reply_header(relay->r, "X-Content-Type-Options", "nosniff");
    }
    /* A file goes through as it comes; JSON is gathered, so that a module that breaks off is a 502. */
    if (!relay->sse && (!relay->type || status != 200 || str_starts(relay->type, "application/json")))
        return;
    request_stream_backpressure(relay->r);
    relay->streaming = request_stream_begin(relay->r, status, relay->sse ? NULL : relay->type) == 0;
}

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct relay *relay = ctx;
    if (relay->cancelled)
        return;
    if (!relay->streaming) {
        if (buf_append(&relay->body, data, len) != 0)
            client_cancel(call);
        return;
    }
    if (request_stream_write(relay->r, data, len) == 0 &&
        request_stream_queued(relay->r) > RELAY_HIGH_WATER && !relay->paused) {
        relay->paused = true;
        client_pause(call);
    }
}

static void on_drain(struct request *r, void *ctx)
{
    struct relay *relay = ctx;
    (void)r;
    if (relay->paused && relay->call) {
        relay->paused = false;
        client_resume(relay->call);
    }
}

static void relay_breaker(struct relay *relay, int result)
{
    struct breaker *b = &relay->peer->breaker;
    bool failed = result != 0 || relay->status == 500;
    bool changed = false;
    if (result == VX11_ECANCELLED || result == VX11_EUNAVAILABLE)
        breaker_abandon(b);
    else if (failed)
        changed = breaker_failure(b, clock_mono_ms());
    else
        changed = breaker_success(b);
    if (!changed)
        return;
    const char *state = breaker_state_name(breaker_peek(b, clock_mono_ms()));
    log_warn("relay", "breaker changed", LOG_S("peer", relay->peer->name), LOG_S("state", state));
    module_alert(relay->l->m, LINK_ALERT_SEVERITY_L3, "the breaker in front of %s is %s", relay->peer->name,
                 state);
}

/* A stream that broke ends with an error event and without [DONE], so that no client takes the part for the
 * whole. */
static void relay_break_stream(struct relay *relay, int result, const struct error *err)
{
    struct common_error_body body = {
        .message = err->text[0] ? err->text : error_describe(result),
        .type = "api_error",
        .code = result == VX11_ETIMEOUT ? "upstream_timeout" : "upstream_broken",
        .request_id = request_id(relay->r),
    };
    struct common_error message = {.error = &body};
    struct buf text = BUF_INIT;
    if (common_error_serialize(&message, &text) == 0)
        request_stream_event(relay->r, NULL, NULL, text.data, text.len);
    buf_free(&text);
    request_stream_end(relay->r);
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct relay *relay = ctx;
    struct request *r = relay->r;
    const char *name = relay->peer->name;
    (void)call;
    relay->call = NULL;
    relay_breaker(relay, result);
    if (relay->streaming) {
        buf_free(&relay->body);
        if (relay->cancelled || (result != 0 && !relay->sse))
            request_stream_abort(r);
        else if (result != 0)
            relay_break_stream(relay, result, err);
        else
            request_stream_end(r);
        return;
    }
    if (result == 0 && !relay->cancelled) {
        size_t len;
        char *data = buf_detach(&relay->body, &len);
        if (len == 0 && !relay->type)
            request_reply_empty(r, relay->status);
        else
            request_reply_bytes(r, relay->status, relay->type ? relay->type : "application/json",
                                data ? data : "", len, data != NULL);
        if (len == 0 && !relay->type)
            free(data);
        return;
    }
    buf_free(&relay->body);
    if (result == VX11_ETIMEOUT) {
        request_fail(r, 504, "upstream_timeout", NULL, "%s did not answer in time: %s", name, err->text);
    } else if (result == VX11_EUNAVAILABLE) {
        request_retry_after(r, 1000);
        request_fail(r, 503, relay->peer->unavailable, NULL, "%s cannot be reached: %s", name, err->text);
    } else {
        request_fail(r, 502, "upstream_broken", NULL, "%s broke off: %s", name, err->text);
    }
}

static void on_cancel(struct request *r, void *ctx, int reason)
{
    struct relay *relay = ctx;
    (void)r;
    (void)reason;
    relay->cancelled = true;
    if (relay->call)
        client_cancel(relay->call);
}

/* What the caller wants besides the body goes along: how soon to be served (Switch judges whether they may),
 * that it must not leave the machine, what to choose by, and whether an earlier reply will do. All of it or
 * nothing: a request that lost its privacy on the way would leave. */
static int relay_wishes(struct request *r, struct client_call_options *options)
{
    static const char *const names[] = {"X-VX11-Priority", "X-VX11-Privacy", "X-VX11-Task-Type",
                                        "X-VX11-Mode",     "Cache-Control",  "Anthropic-Beta",
                                        "Idempotency-Key", "Last-Event-ID"};
    struct client_header *headers =
        arena_array(request_arena(r), options->header_count + COUNT_OF(names), sizeof *headers);
    if (!headers)
        return VX11_ENOMEM;
    if (options->header_count > 0)
        memcpy(headers, options->headers, options->header_count * sizeof *headers);
    options->headers = headers;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const char *wish = request_header(r, names[i]);
        if (wish)
            headers[options->header_count++] = (struct client_header){names[i], wish};
    }
    return 0;
}

static void relay_start(struct request *r, struct link *l, const char *name)
{
    static const struct client_events events = {
        .on_headers = on_headers, .on_data = on_data, .on_done = on_done};
    struct relay *relay = arena_zalloc(request_arena(r), sizeof *relay);
    struct link_peer *peer = link_peer_find(l, name);
    struct error err = {0};
    size_t len = 0;
    if (!relay) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    if (!breaker_allow(&peer->breaker, clock_mono_ms())) {
        int64_t wait = breaker_retry_after_ms(&peer->breaker, clock_mono_ms());
        request_retry_after(r, wait);
        request_fail(r, 503, "circuit_open", NULL, "%s has failed repeatedly and is asked again in %lld ms",
                     name, (long long)wait);
        return;
    }
    *relay = (struct relay){.l = l, .peer = peer, .r = r, .body = BUF_INIT};
    const char *body = request_raw_body(r, &len), *type = request_header(r, "Content-Type");
    struct client_call_options options;
    module_call_options(r, &options);
    struct buf path = BUF_INIT; /* encoded anew: a model's name may hold anything */
    int rc = relay_wishes(r, &options);
    if (rc != 0)
        error_set(&err, rc, "out of memory");
    if (rc == 0)
        rc = client_route_path(request_route(r), request_params(r), &path, &err);
    if (rc == 0)
        rc = client_start(module_client(l->m), module_peer(l->m, name), request_method(r), path.data,
                          len ? (type ? type : "application/json") : NULL, body, len, &options, &events,
                          relay, &relay->call, &err);
    buf_free(&path);
    if (rc != 0) {
        breaker_abandon(&peer->breaker);
        request_fail(r, 500, "internal", NULL, "%s", err.text);
        return;
    }
    request_on_cancel(r, on_cancel, relay);
    request_on_drain(r, on_drain, relay);
}

void relay_to_switch(struct request *r, void *module)
{
    relay_start(r, module, "switch");
}

/* The id of a mounted route begins with its module's name. */
void relay_to_owner(struct request *r, void *module)
{
    struct link *l = module;
    const char *id = request_route(r)->id;
    size_t len = strcspn(id, ".");
    for (size_t i = 0; i < LINK_PEERS; i++)
        if (strlen(l->peers[i].name) == len && memcmp(l->peers[i].name, id, len) == 0) {
            relay_start(r, l, l->peers[i].name);
            return;
        }
    request_fail(r, 500, "internal", NULL, "nobody owns the route %s", id);
}
