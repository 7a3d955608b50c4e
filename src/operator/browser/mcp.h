/* MCP client: JSON-RPC over Streamable HTTP, the way that servers of 2025-03-26 to 2025-11-25 speak it.
 *
 *   mcp_create            nothing is sent yet
 *   first call ─────────> initialize, notifications/initialized, GET (a stream for what the server asks us)
 *   mcp_ask … ──────────> POST, answered by one JSON object or by an event stream
 *   404 for our session ─> it is lost: the call fails unless it may be repeated, and the next one begins
 * another mcp_close ──────────> DELETE of the session
 *
 * Each call has a connection of its own: a kept one that dies would be replaced and the request repeated,
 * and a click must not happen twice. On the loop thread. */
#ifndef VX11_OPERATOR_BROWSER_MCP_H
#define VX11_OPERATOR_BROWSER_MCP_H

#include "base/arena.h"
#include "base/error.h"
#include "net/client.h"
#include "operator/browser/mcp_wire.h"

struct mcp;
struct mcp_call;

struct mcp_options {
    struct client *client;
    const char *url;    /* of the endpoint; http or https */
    const char *peer;   /* as in struct client_target; lives as long as the program */
    size_t max_message; /* bytes of one message from the server; 0: 48 MiB */
    int64_t begin_ms;   /* for initialize; 0: 10 s */
};
/* VX11_EINVALID: the URL. */
int mcp_create(const struct mcp_options *options, struct mcp **out, struct error *err);
/* Drops every call (none of their functions runs), ends the session, frees; done (may be NULL) runs
 * when that is over, now or later. */
void mcp_close(struct mcp *m, void (*done)(void *ctx), void *ctx);

/* Once, later, unless the call was dropped. err NULL: result and what lives in the arena are valid during the
 * call. Else VX11_ETIMEOUT, VX11_ECLOSED (cut, or the session is lost), VX11_EUNAVAILABLE (no connection),
 * VX11_EINVALID (the server refused the request), VX11_ECORRUPT, VX11_ETOO_LARGE, VX11_EVERSION … */
typedef void (*mcp_fn)(void *ctx, struct arena *a, yyjson_val *result, const struct error *err);

struct mcp_request {
    const char *method; /* a literal */
    const char *params; /* JSON text, copied; NULL: none */
    int64_t timeout_ms;
    bool repeat; /* may be sent again in a new session when this one is lost */
    mcp_fn fn;
    void *ctx;
};
/* 0 or VX11_ENOMEM, then fn never runs. out may be NULL. */
int mcp_ask(struct mcp *m, const struct mcp_request *request, struct mcp_call **out);
/* fn will not run; the server is told by notifications/cancelled. */
void mcp_drop(struct mcp_call *call);

/* Whom we talk to; all empty before the first answer. */
const struct mcp_server *mcp_server(const struct mcp *m);
const char *mcp_session(const struct mcp *m); /* "" : none */

#endif
