/* Server admit: from the received headers to "this request may go on", in the order that server.h states.
 * Nothing of the body has been read yet. The first thing that is wrong is written into r->failure; how and
 * when it is sent is the connection's affair. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/str.h"
#include "net/server_internal.h"
#include "net/server_parse.h"

bool request_refuse(struct request *r, int status, const char *code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = arena_vprintf(r->arena, fmt, args);
    va_end(args);
    r->failure = (struct failure){.status = status, .code = code, .text = text ? text : "Out of memory."};
    return false;
}

/* ---- headers: one pass over them, whatever their order ---- */

struct wanted {
    const char *name;
    size_t len;
    size_t offset; /* of the pointer in struct request_headers */
    bool once;
};
#define WANTED(text, member, is_once)                                                                        \
    {                                                                                                        \
        text, sizeof(text) - 1, offsetof(struct request_headers, member), is_once                            \
    }

static const struct wanted wanted_headers[] = {
    WANTED("Host", host, true),
    WANTED("Origin", origin, true),
    WANTED("Cookie", cookie, false),
    WANTED("Expect", expect, false),
    WANTED("Traceparent", traceparent, false),
    WANTED("X-Api-Key", token, true), /* as Anthropic's clients show it */
    WANTED("X-VX11-Token", token, true),
    WANTED("Content-Type", content_type, true),
    WANTED("X-Request-Id", request_id, false),
    WANTED("Authorization", authorization, true),
    WANTED("Content-Length", content_length, true),
    WANTED("Sec-Fetch-Site", fetch_site, true),
    WANTED("Content-Encoding", content_encoding, true),
    WANTED("X-VX11-Caller", caller, false),
    WANTED("X-VX11-Principal", principal, true),
    WANTED("Transfer-Encoding", transfer_encoding, true),
    WANTED("X-Request-Deadline-Ms", deadline, false),
    WANTED("Access-Control-Request-Method", preflight_method, true),
};

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                 const char *value, size_t value_len)
{
    struct request_headers *h = cls;
    (void)kind;
    (void)value_len;
    for (size_t i = 0; i < COUNT_OF(wanted_headers); i++) {
        const struct wanted *w = &wanted_headers[i];
        if (w->len != name_len || strncasecmp(w->name, name, name_len) != 0)
            continue;
        const char **slot = (const char **)(void *)((char *)h + w->offset);
        if (!*slot)
            *slot = value ? value : "";
        else if (w->once)
            h->repeated = w->name;
        break;
    }
    return MHD_YES;
}

void request_headers_read(struct request *r)
{
    MHD_get_connection_values_n(r->conn->mhd, MHD_HEADER_KIND, on_header, &r->headers);
}

/* What MHD is going to read, whatever else is wrong with the request. */
static void measure_body(struct request *r)
{
    const struct request_headers *h = &r->headers;
    int64_t length = 0;
    bool sound = !h->content_length || str_to_i64(h->content_length, 0, INT64_MAX, &length) == 0;
    r->content_length = sound ? (uint64_t)length : UINT64_MAX;
    r->chunked_body = h->transfer_encoding != NULL;
    r->has_body = r->chunked_body || r->content_length > 0;
}

static void identify(struct request *r)
{
    if (r->headers.request_id && parse_request_id(r->headers.request_id))
        memcpy(r->id, r->headers.request_id, strlen(r->headers.request_id) + 1);
    else
        ulid_make(r->id);
}

/* ---- target ---- */

/* "GET http://host/path" is legal HTTP: the authority then stands for the Host header. */
static char *strip_absolute(struct request *r, char *target)
{
    if (strncasecmp(target, "http://", 7) != 0)
        return target;
    char *authority = target + 7;
    size_t len = strcspn(authority, "/?");
    r->headers.host = arena_strndup(r->arena, authority, len);
    return authority[len] == '/' ? authority + len : arena_printf(r->arena, "/%s", authority + len);
}

static bool find_route(struct request *r)
{
    struct server *s = r->server;
    if (r->target[0] == '\0')
        return true; /* too long: refused with the other sizes */
    char *target = strip_absolute(r, r->target);
    if (!target)
        return request_refuse(r, 503, "out_of_memory", "Out of memory.");
    char *question = strchr(target, '?');
    if (question)
        *question = '\0';
    r->query = question ? question + 1 : target + strlen(target);
    char *path = arena_strdup(r->arena, target), *segments[ROUTER_MAX_SEGMENTS];
    r->path = target;
    int n = path ? parse_path(path, segments, COUNT_OF(segments)) : VX11_ENOMEM;
    if (n == VX11_ETOO_LARGE)
        return true; /* no route is that deep: 404, after authentication */
    if (n < 0)
        return request_refuse(r, 400, "invalid_path", "The path is not well-formed.");
    int rc = router_find(s->router, r->method, segments, (size_t)n, r->arena, &r->match);
    if (rc == 0) {
        r->index = r->match.index;
        r->route = s->routes[r->index];
    }
    if (strchr(r->path, '%')) {
        size_t len;
        if (parse_unescape(r->path, false, &len) != 0)
            return request_refuse(r, 400, "invalid_path", "The path is not well-formed.");
    }
    return true;
}

static void choose_handler(struct request *r)
{
    struct server *s = r->server;
    size_t own = s->o.contract->route_count;
    if (!r->route)
        return;
    r->handler = r->index < own ? s->o.handlers[r->index] : builtin_handler(r->index - own);
    r->module = r->index < own ? s->o.module : s;
}

/* ---- time ---- */

static bool set_deadline(struct request *r)
{
    const struct server *s = r->server;
    int64_t limit = r->route && r->route->timeout_ms ? r->route->timeout_ms : s->o.request_timeout_ms, given;
    const char *text = r->headers.deadline;
    if (text) {
        if (str_to_i64(text, 0, INT64_MAX / 2, &given) != 0)
            return request_refuse(r, 400, "invalid_deadline",
                                  "X-Request-Deadline-Ms must be the remaining milliseconds.");
        if (limit < 0 || given < limit)
            limit = given;
    }
    r->deadline = limit < 0 ? INT64_MAX : (int64_t)(r->started_ns / 1000000) + limit;
    if (limit == 0)
        return request_refuse(r, 504, "deadline_exceeded", "The request's time ran out before it began.");
    return true;
}

/* ---- contract: existence, then parameters ---- */

static bool check_route(struct request *r)
{
    if (r->route)
        return true;
    if (r->match.methods == 0)
        return request_refuse(r, 404, "route_not_found", "There is nothing at %s.", r->path);
    char allow[64];
    if (request_reply_header(r, "Allow", router_methods_format(r->match.methods, allow, sizeof allow)) != 0)
        return request_refuse(r, 503, "out_of_memory", "Out of memory.");
    return request_refuse(r, 405, "method_not_allowed", "%s does not take %s, only %s.", r->path, r->method,
                          allow);
}

static bool refuse_param(struct request *r, const char *name, const struct contract_error *e)
{
    request_refuse(r, 422, "invalid_value", "%s: %s", name, e->text);
    r->failure.param = arena_strdup(r->arena, name);
    return false;
}

static bool is_placeholder(const struct router_match *m, const char *name)
{
    for (size_t i = 0; i < m->param_count; i++) {
        if (strcmp(m->names[i], name) == 0)
            return true;
    }
    return false;
}

static bool read_params(struct request *r)
{
    const struct contract_message *m = r->route->params;
    struct contract_error e = {0};
    if (!m)
        return true;
    void *params = arena_alloc(r->arena, m->size);
    char *query = arena_strdup(r->arena, r->query), *name, *value;
    if (!params || !query || contract_init(m, r->arena, params) != 0)
        return request_refuse(r, 503, "out_of_memory", "Out of memory.");
    int rc;
    while ((rc = parse_query_next(&query, &name, &value)) > 0) {
        /* The path has the last word on its own names. */
        if (!is_placeholder(&r->match, name) && contract_param_set(m, r->arena, name, value, params, &e) != 0)
            return refuse_param(r, name, &e);
    }
    if (rc < 0)
        return request_refuse(r, 400, "invalid_query", "The query is not well-formed.");
    for (size_t i = 0; i < r->match.param_count; i++) {
        if (contract_param_set(m, r->arena, r->match.names[i], r->match.values[i], params, &e) != 0)
            return refuse_param(r, r->match.names[i], &e);
    }
    if (contract_params_finish(m, params, &e) != 0)
        return refuse_param(r, e.pointer[0] == '/' ? e.pointer + 1 : e.pointer, &e);
    r->params = params;
    return true;
}

static bool check_content_type(struct request *r)
{
    if (!r->has_body || !r->route->request || (r->route->flags & CONTRACT_ROUTE_STREAM_BODY))
        return true;
    if (parse_content_type_is_json(r->headers.content_type))
        return true;
    return request_refuse(r, 415, "unsupported_media_type", "This route takes application/json in UTF-8.");
}

static bool check_state(struct request *r)
{
    if (r->server->state == SERVER_ACTIVE || (r->route && (r->route->flags & CONTRACT_ROUTE_STANDBY)))
        return true;
    return request_refuse(r, 503, "module_standby", "%s is in standby.", r->server->o.contract->name);
}

static bool admit(struct request *r, const char *method, const char *version)
{
    r->http10 = strcmp(version, "HTTP/1.0") == 0;
    size_t len = strlen(method);
    if (len >= sizeof r->method)
        return request_refuse(r, 501, "unknown_method", "The method is not known.");
    memcpy(r->method, method, len + 1);
    r->head = strcmp(method, "HEAD") == 0;
    if (!find_route(r))
        return false;
    choose_handler(r);
    r->max_body = r->route && r->route->max_body ? r->route->max_body : r->server->o.max_body;
    if (!guard_headers(r) || !guard_origin(r))
        return false;
    if (r->preflight)
        return true;
    return set_deadline(r) && guard_principal(r) && check_state(r) && check_route(r) &&
           check_content_type(r) && read_params(r);
}

void request_admit(struct request *r, const char *method, const char *version)
{
    if (!r->target)
        r->target = r->empty; /* out of memory: refused as too long */
    r->path = r->query = r->target;
    request_headers_read(r);
    measure_body(r);
    identify(r);
    log_set_request(r->id);
    if (!admit(r, method, version) && r->failure.status == 0)
        r->failure = (struct failure){.status = 500, .code = "internal_error", .text = "Internal error."};
    log_set_request(NULL);
}
