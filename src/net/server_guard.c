/* Server guard: framing and sizes, where the request comes from, and who asks.
 *
 * A web page that somebody visits can make their browser send requests here. Three things stop it: the Host
 * header must name this machine (else a foreign name was rebound to our address), a foreign Origin is refused
 * whatever the route, and the session cookie counts only for requests that this server's own page made. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/str.h"
#include "net/server_internal.h"
#include "net/server_parse.h"

enum { NAME_MAX_LEN = 256 };

/* ---- framing and sizes ---- */

static bool check_framing(struct request *r)
{
    const struct request_headers *h = &r->headers;
    if (h->repeated)
        return request_refuse(r, 400, "repeated_header", "The header %s is there more than once.",
                              h->repeated);
    if (h->transfer_encoding && h->content_length)
        return request_refuse(r, 400, "ambiguous_length",
                              "Content-Length and Transfer-Encoding exclude each other.");
    if (h->transfer_encoding && strcasecmp(h->transfer_encoding, "chunked") != 0)
        return request_refuse(r, 501, "unsupported_transfer_encoding",
                              "Only the chunked transfer encoding is known.");
    if (r->content_length == UINT64_MAX)
        return request_refuse(r, 400, "invalid_length", "Content-Length is not a number.");
    if (h->expect && strcasecmp(h->expect, "100-continue") != 0)
        return request_refuse(r, 417, "unknown_expectation", "The expectation is not known.");
    return true;
}

bool guard_headers(struct request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    bool sound = check_framing(r);
    if (r->target[0] == '\0')
        return request_refuse(r, 414, "target_too_long", "The request's target is longer than %d bytes.",
                              TARGET_MAX);
    if (info && info->header_size > r->server->o.max_header)
        return request_refuse(r, 431, "headers_too_large", "The headers are larger than %zu bytes.",
                              r->server->o.max_header);
    if (!sound)
        return false;
    if (r->content_length > r->max_body)
        return request_refuse(r, 413, "body_too_large",
                              "The body is larger than the %llu bytes that this route takes.",
                              (unsigned long long)r->max_body);
    if (r->has_body && r->headers.content_encoding &&
        strcasecmp(r->headers.content_encoding, "identity") != 0)
        return request_refuse(r, 415, "unsupported_encoding", "Compressed bodies are not taken.");
    return true;
}

/* ---- Host and Origin ---- */

static bool in_list(const char *const *list, const char *name)
{
    for (; list && *list; list++) {
        if (strcasecmp(*list, name) == 0)
            return true;
    }
    return false;
}

static bool host_is_ours(const struct server *s, const char *name)
{
    if (strcmp(name, "127.0.0.1") == 0 || strcmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0)
        return true;
    for (size_t i = 0; i < s->listener_count; i++) {
        const char *host = s->listeners[i].host;
        if (host && strcasecmp(host, name) == 0)
            return true;
        size_t len = strlen(name); /* "::1" is written "[::1]" in a header */
        if (host && name[0] == '[' && strlen(host) == len - 2 && strncasecmp(host, name + 1, len - 2) == 0)
            return true;
    }
    return in_list(s->o.allowed_hosts, name);
}

static bool check_host(struct request *r)
{
    char name[NAME_MAX_LEN];
    int port;
    const char *host = r->headers.host;
    if (!host)
        return request_refuse(r, 400, "missing_host", "The Host header is missing.");
    if (parse_host(host, name, sizeof name, &port) != 0)
        return request_refuse(r, 400, "invalid_host", "The Host header is malformed.");
    /* A list entry may name the port too. */
    if (host_is_ours(r->server, name) || in_list(r->server->o.allowed_hosts, host))
        return true;
    return request_refuse(r, 421, "host_not_allowed", "This server does not answer for that host name.");
}

static bool origin_is_ours(const struct server *s, const char *origin)
{
    char name[NAME_MAX_LEN];
    int port;
    bool https;
    if (parse_origin(origin, &https, name, sizeof name, &port) != 0 || https || !host_is_ours(s, name))
        return false;
    for (size_t i = 0; i < s->listener_count; i++) {
        if (s->listeners[i].host && s->listeners[i].port == port)
            return true;
    }
    return false;
}

static bool allow_origin(struct request *r)
{
    const struct request_headers *h = &r->headers;
    int rc = request_reply_header(r, "Access-Control-Allow-Origin", h->origin);
    rc = rc ? rc : request_reply_header(r, "Vary", "Origin");
    rc = rc ? rc : request_reply_header(r, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
    if (rc == 0 && strcmp(r->method, "OPTIONS") == 0 && h->preflight_method) {
        r->preflight = true;
        rc = request_reply_header(r, "Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
        rc = rc ? rc
                : request_reply_header(r, "Access-Control-Allow-Headers",
                                       "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, "
                                       "X-Request-Id, X-Request-Deadline-Ms, X-VX11-Token, Traceparent, "
                                       "X-Api-Key, Anthropic-Version, Anthropic-Beta");
        rc = rc ? rc : request_reply_header(r, "Access-Control-Max-Age", "600");
    }
    return rc == 0 || request_refuse(r, 400, "invalid_origin", "The Origin header is malformed.");
}

bool guard_origin(struct request *r)
{
    if (r->conn->listener->path) /* no browser reaches a Unix socket */
        return true;
    if (!check_host(r))
        return false;
    const char *origin = r->headers.origin;
    if (!origin || origin_is_ours(r->server, origin))
        return true;
    if (in_list(r->server->o.allowed_origins, origin))
        return allow_origin(r);
    return request_refuse(r, 403, "origin_not_allowed", "Pages of that origin may not use this server.");
}

/* ---- who asks ---- */

static void peer_principal(struct principal *p)
{
    *p = (struct principal){.kind = AUTH_PEER, .id = "local", .name = "local"};
    for (unsigned s = CONTRACT_SCOPE_READ; s < CONTRACT_SCOPE_COUNT; s++)
        p->scopes |= 1U << s;
}

/* A browser adds the cookie to whatever request any page makes it send, so it says who, but not that they
 * meant it. */
static bool cookie_is_meant(const struct request *r)
{
    const struct request_headers *h = &r->headers;
    bool changes = strcmp(r->method, "GET") != 0 && !r->head;
    bool same = h->fetch_site && strcasecmp(h->fetch_site, "same-origin") == 0;
    if (changes)
        return same || (!h->fetch_site && h->origin); /* a foreign Origin has been refused before */
    bool typed = h->fetch_site && strcasecmp(h->fetch_site, "none") == 0;
    bool page = r->route && (r->route->flags & CONTRACT_ROUTE_COOKIE);
    return !h->fetch_site || same || typed || page;
}

static bool refuse_token(struct request *r, const char *code, const char *text)
{
    if (request_reply_header(r, "WWW-Authenticate", "Bearer") != 0)
        return request_refuse(r, 503, "out_of_memory", "Out of memory.");
    return request_refuse(r, 401, code, "%s", text);
}

static bool check_secret(struct request *r, const char *secret)
{
    const struct auth *a = r->server->o.auth;
    if (a && auth_check(a, secret, &r->principal) == 0) {
        if (r->server->o.identified)
            r->server->o.identified(r->server->o.identified_ctx, &r->principal);
        return true;
    }
    return refuse_token(r, "invalid_token", "The token is not known here, or it has expired.");
}

static bool identify_caller(struct request *r, bool required)
{
    const struct request_headers *h = &r->headers;
    char cookie[128];
    if (h->authorization) {
        const char *token = parse_bearer(h->authorization);
        return token ? check_secret(r, token)
                     : refuse_token(r, "invalid_token", "Authorization must be: Bearer TOKEN");
    }
    if (h->token)
        return check_secret(r, h->token);
    if (h->cookie && parse_cookie(h->cookie, AUTH_COOKIE, cookie, sizeof cookie)) {
        if (!cookie_is_meant(r))
            return request_refuse(r, 403, "cross_site_request",
                                  "The session cookie counts only for this server's own page.");
        if (check_secret(r, cookie))
            return true;
        if (required)
            return false;
        r->failure.status = 0; /* a stale cookie does not keep anyone from the login page */
        return true;
    }
    return !required || refuse_token(r, "missing_token", "A token is needed: Authorization: Bearer TOKEN");
}

static bool identify_peer(struct request *r)
{
    peer_principal(&r->principal);
    if (!r->headers.principal)
        return true;
    if (parse_principal(r->headers.principal, &r->principal) == 0)
        return true;
    return request_refuse(r, 400, "invalid_principal", "X-VX11-Principal must be ID;name;scopes.");
}

static enum request_caller caller_of(const struct request *r, bool by_socket)
{
    if (by_socket)
        return r->headers.caller && strcmp(r->headers.caller, "cli") == 0 ? CALLER_SHELL : CALLER_NONE;
    if (!r->principal.id[0])
        return CALLER_NONE;
    return r->principal.kind == AUTH_SESSION ? CALLER_PEOPLE : CALLER_PROGRAMS;
}

bool guard_principal(struct request *r)
{
    enum contract_scope scope = r->route ? r->route->scope : CONTRACT_SCOPE_READ;
    bool required = scope != CONTRACT_SCOPE_OPEN;
    const bool by_socket = r->conn->peer_trusted && !r->headers.authorization && !r->headers.token;
    if (by_socket) {
        if (!identify_peer(r))
            return false;
    } else if (required || r->headers.authorization || r->headers.token || r->headers.cookie) {
        if (!identify_caller(r, required)) {
            if (required)
                return false;
            r->failure.status = 0; /* open to everyone, whoever they claim to be */
            r->reply_headers = NULL;
        }
    }
    r->caller = caller_of(r, by_socket);
    /* What no route asks for, only being somebody is needed: strangers do not learn which paths exist. */
    if (!r->route || principal_allows(&r->principal, scope))
        return true;
    return request_refuse(r, 403, "scope_missing", "The scope %s is needed.", contract_scope_name(scope));
}
