/* Server reply: the terminal calls that answer in one piece. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/common.h"
#include "base/log.h"
#include "net/server_internal.h"
#include "net/server_parse.h"

#define JSON_TYPE "application/json"

bool request_end(struct request *r)
{
    if (r->ended) {
        log_error("server", "a handler ended its request twice",
                  LOG_S("route", r->route ? r->route->id : ""));
        return false;
    }
    r->ended = true;
    r->on_cancel = NULL;
    r->on_drain = NULL;
    request_deadline_remove(r);
    struct conn *c = r->conn;
    if (!c)
        return false;
    if (!c->gone && !c->dead)
        return true;
    r->status = r->status ? r->status : 499;
    conn_abort(c);
    return false;
}

int request_reply_header(struct request *r, const char *name, const char *value)
{
    if (!parse_header_name(name) || !parse_header_value(value))
        return VX11_EINVALID;
    struct reply_header *h = arena_alloc(r->arena, sizeof *h);
    if (!h)
        return VX11_ENOMEM;
    *h = (struct reply_header){.name = arena_strdup(r->arena, name), .value = arena_strdup(r->arena, value)};
    if (!h->name || !h->value)
        return VX11_ENOMEM;
    struct reply_header **end = &r->reply_headers;
    while (*end)
        end = &(*end)->next;
    *end = h;
    return 0;
}

void request_retry_after(struct request *r, int64_t ms)
{
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%lld", (long long)(ms <= 0 ? 0 : (ms - 1) / 1000 + 1));
    if (request_reply_header(r, "Retry-After", seconds) != 0)
        log_warn("server", "no memory for a Retry-After header");
}

void request_reset_at(struct request *r, int64_t epoch_ms)
{
    r->reset_at = epoch_ms;
}

struct MHD_Response *reply_prepare(struct request *r, struct MHD_Response *response, const char *content_type)
{
    enum MHD_Result ok = MHD_YES;
    if (!response)
        return NULL;
    if (content_type)
        ok = MHD_add_response_header(response, "Content-Type", content_type);
    if (ok == MHD_YES && r->id[0])
        ok = MHD_add_response_header(response, "X-Request-Id", r->id);
    for (const struct reply_header *h = r->reply_headers; h && ok == MHD_YES; h = h->next)
        ok = MHD_add_response_header(response, h->name, h->value);
    if (ok == MHD_YES && r->server->draining)
        ok = MHD_add_response_header(response, "Connection", "close");
    if (ok == MHD_YES)
        return response;
    MHD_destroy_response(response);
    return NULL;
}

void reply_send(struct request *r, int status, const char *content_type, const void *data, size_t len,
                enum MHD_ResponseMemoryMode mode)
{
    struct conn *c = r->conn;
    r->status = status;
    r->bytes_out = len;
    if (!conn_can_queue(c)) {
        conn_send_raw(c, status, content_type, r->reply_headers, r->id[0] ? r->id : NULL, data, len);
        if (mode == MHD_RESPMEM_MUST_FREE)
            free((void *)(uintptr_t)data);
        return;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(len, (void *)(uintptr_t)data, mode);
    if (!response && mode == MHD_RESPMEM_MUST_FREE)
        free((void *)(uintptr_t)data);
    response = reply_prepare(r, response, content_type);
    if (response) {
        conn_queue(c, (unsigned)status, response);
    } else {
        log_error("server", "no memory for a reply");
        conn_abort(c);
    }
}

/* ---- errors ---- */

/* Names that Anthropic's API has too, as its clients sort errors by them. */
const char *failure_type(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
    case 421:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 409:
        return "conflict_error";
    case 413:
        return "request_too_large";
    case 429:
        return "rate_limit_error";
    case 408:
    case 504:
        return "timeout_error";
    case 503:
        return "overloaded_error";
    default:
        return status >= 500 ? "api_error" : "invalid_request_error";
    }
}

int reply_error_text(struct request *r, const struct failure *f, struct buf *out)
{
    struct common_error_body body = {.message = f->text,
                                     .type = failure_type(f->status),
                                     .code = f->code,
                                     .param = f->param,
                                     .has_reset_at = r->reset_at > 0,
                                     .reset_at = r->reset_at,
                                     .request_id = r->id[0] ? r->id : NULL};
    struct common_error error = {.error = &body};
    return common_error_serialize(&error, out);
}

void reply_failure(struct request *r, const struct failure *f)
{
    char seconds[24];
    bool detaching =
        r->dispatched && !r->ended; /* the handler goes on using r->reply, the client gets a copy */
    struct buf text = BUF_INIT;
    if (f->retry_after_s > 0) {
        snprintf(seconds, sizeof seconds, "%lld", (long long)f->retry_after_s);
        if (request_reply_header(r, "Retry-After", seconds) != 0)
            log_warn("server", "no memory for a Retry-After header");
    }
    struct buf *out = detaching ? &text : &r->reply;
    buf_clear(out);
    if (reply_error_text(r, f, out) != 0) {
        log_error("server", "no memory for an error");
        conn_abort(r->conn);
    } else {
        reply_send(r, f->status, JSON_TYPE, out->data, out->len,
                   detaching ? MHD_RESPMEM_MUST_COPY : MHD_RESPMEM_PERSISTENT);
    }
    buf_free(&text);
}

static void fail_with(struct request *r, const struct failure *f)
{
    if (request_end(r)) {
        if (r->conn->stream.open) { /* too late for an error: the client must see that the body is broken */
            log_warn("server", "failed after its stream began", LOG_S("route", r->route->id),
                     LOG_S("error", f->text));
            conn_abort(r->conn);
        } else {
            reply_failure(r, f);
        }
    }
    request_release(r);
}

void request_fail(struct request *r, int status, const char *code, const char *param, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = arena_vprintf(r->arena, fmt, args);
    va_end(args);
    struct failure f = {
        .status = status, .code = code, .param = param, .text = text ? text : "Out of memory."};
    fail_with(r, &f);
}

void request_fail_error(struct request *r, const struct error *err)
{
    static const struct {
        int error, status;
        const char *code;
    } map[] = {
        {VX11_ENOT_FOUND, 404, "not_found"},
        {VX11_EINVALID, 422, "invalid_value"},
        {VX11_ESYNTAX, 422, "malformed"},
        {VX11_ERANGE, 422, "out_of_range"},
        {VX11_EEXISTS, 409, "already_exists"},
        {VX11_EBUSY, 409, "busy"},
        {VX11_EPERMISSION, 403, "not_permitted"},
        {VX11_ETIMEOUT, 504, "timed_out"},
        {VX11_EFULL, 429, "full"},
        {VX11_EUNAVAILABLE, 503, "unavailable"},
        {VX11_ETOO_LARGE, 413, "too_large"},
        {VX11_EUNSUPPORTED, 501, "not_supported"},
    };
    struct failure f = {.status = 500,
                        .code = "internal_error",
                        .text = err->text[0] ? err->text : error_describe(err->code)};
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++) {
        if (map[i].error == err->code) {
            f.status = map[i].status;
            f.code = map[i].code;
        }
    }
    fail_with(r, &f);
}

/* ---- replies ---- */

void request_reply(struct request *r, int status, const struct contract_message *m, const void *message)
{
    if (!request_end(r)) {
        request_release(r);
        return;
    }
    buf_clear(&r->reply);
    int rc = contract_serialize(m, message, &r->reply);
    if (rc == 0) {
        reply_send(r, status, JSON_TYPE, r->reply.data ? r->reply.data : "", r->reply.len,
                   MHD_RESPMEM_PERSISTENT);
    } else {
        log_error("server", "a reply breaks its own contract", LOG_S("message", m->name),
                  LOG_S("error", error_name(rc)));
        struct failure f = {
            .status = 500, .code = "internal_error", .text = "The reply could not be written."};
        reply_failure(r, &f);
    }
    request_release(r);
}

void request_reply_empty(struct request *r, int status)
{
    if (request_end(r))
        reply_send(r, status, NULL, "", 0, MHD_RESPMEM_PERSISTENT);
    request_release(r);
}

void request_reply_bytes(struct request *r, int status, const char *content_type, const void *data,
                         size_t len, bool owned)
{
    if (request_end(r)) {
        if (owned) {
            reply_send(r, status, content_type, data, len, MHD_RESPMEM_MUST_FREE);
        } else { /* into the request's own buffer, which lives as long as the reply */
            buf_clear(&r->reply);
            if (buf_append(&r->reply, data, len) == 0)
                reply_send(r, status, content_type, r->reply.data, len, MHD_RESPMEM_PERSISTENT);
            else
                conn_abort(r->conn);
        }
    } else if (owned) {
        free((void *)(uintptr_t)data);
    }
    request_release(r);
}

void request_reply_static(struct request *r, int status, const char *content_type, const void *data,
                          size_t len)
{
    if (request_end(r))
        reply_send(r, status, content_type, data, len, MHD_RESPMEM_PERSISTENT);
    request_release(r);
}
