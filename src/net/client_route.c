/* Typed calls: a request struct goes out as JSON, the whole answer is gathered within a bound and comes back
 * as a struct, or as an error that says what the other side said. An answer that breaks its contract is an
 * error too: nobody reads half of one. */
#include "net/client_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

struct route_call {
    const struct contract_route *route;
    client_reply_fn fn;
    void *ctx;
    size_t max_reply;
    struct buf body;
    struct arena *arena;
};

static const size_t route_default_max = 16u << 20;

static void route_call_free(struct route_call *rc)
{
    if (rc == NULL)
        return;
    buf_free(&rc->body);
    arena_destroy(rc->arena);
    free(rc);
}

/* ---- the answer ---- */

static int code_of_status(int status)
{
    switch (status) {
    case 400:
    case 422:
        return VX11_EINVALID;
    case 401:
    case 403:
        return VX11_EPERMISSION;
    case 404:
        return VX11_ENOT_FOUND;
    case 409:
        return VX11_EEXISTS;
    case 413:
        return VX11_ETOO_LARGE;
    case 429:
        return VX11_EFULL;
    case 501:
        return VX11_EUNSUPPORTED;
    case 503:
        return VX11_EUNAVAILABLE;
    case 504:
        return VX11_ETIMEOUT;
    default:
        return VX11_EIO;
    }
}

/* Seconds or an HTTP date (RFC 9110, 10.2.3) in ms from now; -1: absent or neither. */
int64_t client_call_retry_after(const struct client_call *call)
{
    const int64_t longest = INT64_C(365) * 24 * 3600;
    const char *value = client_call_header(call, "Retry-After");
    int64_t seconds;
    if (value == NULL)
        return -1;
    int rc =
        strspn(value, "0123456789") == strlen(value) ? str_to_i64(value, 0, longest, &seconds) : VX11_ESYNTAX;
    if (rc == VX11_ERANGE)
        return longest * 1000;
    if (rc == 0)
        return seconds * 1000;
    time_t date = curl_getdate(value, NULL);
    if (date < 0)
        return -1;
    int64_t wait = (int64_t)date * 1000 - clock_wall_ms();
    return wait < 0 ? 0 : wait > longest * 1000 ? longest * 1000 : wait;
}

static const char *object_string(yyjson_val *object, const char *key)
{
    return yyjson_get_str(yyjson_obj_get(object, key)); /* NULL unless it is a string of an object */
}

/* {"error":{"message","type","code"}}, and what others send: {"error":"…"}, {"message":"…"}, {"detail":"…"}.
 */
static const char *error_body(struct route_call *rc, struct client_reply *reply)
{
    yyjson_val *root = NULL;
    const struct contract_limits limits = {.max_bytes = rc->max_reply};
    if (rc->body.len == 0 ||
        contract_json_parse(rc->arena, rc->body.data, rc->body.len, &limits, &root, NULL) != 0)
        return NULL;
    yyjson_val *e = yyjson_obj_get(root, "error");
    yyjson_val *code = yyjson_obj_get(e, "code");
    if (yyjson_is_str(code))
        snprintf(reply->error_code, sizeof reply->error_code, "%s", yyjson_get_str(code));
    else if (yyjson_is_int(code))
        snprintf(reply->error_code, sizeof reply->error_code, "%lld", (long long)yyjson_get_sint(code));
    const char *text = yyjson_is_str(e) ? yyjson_get_str(e) : object_string(e, "message");
    if (text == NULL)
        text = object_string(root, "message");
    return text ? text : object_string(root, "detail");
}

static void reply_refused(struct client_call *call, struct route_call *rc, struct client_reply *reply)
{
    char peer[160];
    int code = code_of_status(reply->status);
    const char *text = reply->status >= 400 ? error_body(rc, reply) : NULL;
    if (text != NULL && *text != 0)
        error_set(&reply->error, code, "%s", text);
    else if (reply->status >= 300 && reply->status < 400)
        error_set(&reply->error, code, "%s answered with a redirect (%d), which is not followed",
                  client_peer_name(call, peer, sizeof peer), reply->status);
    else
        error_set(&reply->error, code, "%s answered with status %d",
                  client_peer_name(call, peer, sizeof peer), reply->status);
}

static void reply_parse(struct client_call *call, struct route_call *rc, struct client_reply *reply)
{
    const struct contract_message *m = rc->route->response;
    const struct contract_limits limits = {.max_bytes = rc->max_reply};
    struct contract_error why = {0};
    char peer[160];
    void *message = arena_zalloc(rc->arena, m->size ? m->size : 1);
    int code = message ? contract_parse(m, rc->arena, rc->body.data ? rc->body.data : "", rc->body.len,
                                        &limits, message, &why)
                       : VX11_ENOMEM;
    if (code == 0) {
        reply->message = message;
        return;
    }
    if (code == VX11_ENOMEM) {
        error_set(&reply->error, code, "out of memory for the answer");
        return;
    }
    error_set(&reply->error, VX11_ECORRUPT, "the answer of %s to %s breaks its contract%s%s: %s",
              client_peer_name(call, peer, sizeof peer), rc->route->id, why.pointer[0] ? " at " : "",
              why.pointer, why.text);
}

static void on_route_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct route_call *rc = ctx;
    struct client_reply reply = {
        .result = result,
        .status = client_call_status(call),
        .body = rc->body.data ? rc->body.data : "",
        .body_len = rc->body.len,
        .retry_after_ms = client_call_retry_after(call),
        .arena = rc->arena,
    };
    if (result != 0)
        reply.error = *err;
    else if (reply.status < 200 || reply.status > 299)
        reply_refused(call, rc, &reply);
    else if (rc->route->response != NULL && reply.status != 204)
        reply_parse(call, rc, &reply);
    rc->fn(call, rc->ctx, &reply);
    route_call_free(rc);
}

static void on_route_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct route_call *rc = ctx;
    char size[24];
    if (len > rc->max_reply - rc->body.len)
        client_fail(call, VX11_ETOO_LARGE, "the answer to %s is larger than %s", rc->route->id,
                    str_format_bytes(rc->max_reply, size));
    else if (buf_append(&rc->body, data, len) != 0)
        client_fail(call, VX11_ENOMEM, "out of memory for the answer");
}

/* ---- the request ---- */

static int route_start(struct client *c, const struct client_target *target,
                       const struct contract_route *route, const void *params, const void *request,
                       const struct client_call_options *options, struct route_call *rc,
                       struct client_call **out)
{
    static const struct client_events events = {.on_data = on_route_data, .on_done = on_route_done};
    struct buf path = BUF_INIT, body = BUF_INIT;
    struct error err = {0};
    bool has_body = route->request != NULL && request != NULL;
    int code = client_route_path(route, params, &path, &err);
    if (code == 0 && has_body)
        code = contract_serialize(route->request, request, &body);
    if (code == 0)
        code = client_start(c, target, route->method, path.data, has_body ? "application/json" : NULL,
                            body.data, body.len, options, &events, rc, out, &err);
    if (err.code != 0) /* the caller's mistake: it only gets the code */
        log_error("client", "a call cannot be made", LOG_S("route", route->id), LOG_S("why", err.text));
    buf_free(&path);
    buf_free(&body);
    return code;
}

int client_call_route(struct client *c, const struct client_target *target,
                      const struct contract_route *route, const void *params, const void *request,
                      const struct client_call_options *options, client_reply_fn fn, void *ctx,
                      struct client_call **out)
{
    struct route_call *rc = calloc(1, sizeof *rc);
    if (out)
        *out = NULL;
    if (rc == NULL)
        return VX11_ENOMEM;
    rc->route = route;
    rc->fn = fn;
    rc->ctx = ctx;
    rc->max_reply = options && options->max_reply ? options->max_reply : route_default_max;
    rc->arena = arena_create(0);
    int code = rc->arena ? route_start(c, target, route, params, request, options, rc, out) : VX11_ENOMEM;
    if (code != 0)
        route_call_free(rc);
    return code;
}
