/* Egress: the forward proxy through which the operator's browser reaches the web, so that no request,
 * redirect, frame, script or socket of a page goes anywhere that the policy refuses.
 *
 *   Chromium ──CONNECT host:443 / GET http://host/──> 127.0.0.1:PORT ──judge──> resolve ──judge each
 * address──> │                                       connect └─ 403, a record, on_refusal
 *
 * A name is resolved here and nowhere else, and connected to is an address that was judged: what the name
 * leads to a moment later does not matter. All runs in one libuv loop; memory is bounded for each connection.
 */
#ifndef VX11_OPERATOR_EGRESS_EGRESS_H
#define VX11_OPERATOR_EGRESS_EGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"
#include "operator/egress/policy.h"

/* ---- judging a URL with its addresses, without asking it: before a task begins ---- */
struct egress_check;
/* Runs once, later. v->code EGRESS_ALLOWED, a refusal, or EGRESS_UNRESOLVED. */
typedef void (*egress_check_fn)(void *ctx, const struct egress_target *target,
                                const struct egress_verdict *v);
/* policy must live until fn ran or the check was cancelled. 0 or VX11_ENOMEM. */
int egress_check_start(uv_loop_t *loop, struct egress_policy *policy, const char *url, egress_check_fn fn,
                       void *ctx, struct egress_check **out);
void egress_check_cancel(struct egress_check *check); /* fn does not run any more */

/* ---- the proxy ---- */
struct egress;

struct egress_refusal {
    uint64_t number; /* counts up from 1 */
    int64_t time_ms; /* epoch ms */
    char user[64];   /* whom the client named itself as (see egress_password) */
    char url[512];   /* "http://host/path", cut, without its query; of a tunnel "https://host:port" */
    char host[256];
    int port;
    enum egress_code code;
    char text[320];
};

struct egress_options {
    uv_loop_t *loop;
    struct egress_policy *policy; /* borrowed */
    unsigned max_connections;     /* 0: 256 */
    int64_t connect_timeout_ms;   /* for each address; 0: 5 s */
    int64_t head_timeout_ms;      /* for a whole request head, and between requests; 0: 30 s */
    int64_t idle_timeout_ms;      /* without a byte in either direction; 0: 5 min */
    bool open;                    /* no password is asked for: clients that cannot send one */
    void (*on_refusal)(void *ctx, const struct egress_refusal *refusal); /* may be NULL */
    void *ctx;
};

/* Listens on 127.0.0.1, a free port, which becomes one of the policy's own. */
int egress_create(const struct egress_options *options, struct egress **out, struct error *err);
/* Cuts what runs; done (may be NULL) runs later, when the loop holds nothing of it; then it is freed. */
void egress_close(struct egress *e, void (*done)(void *ctx), void *ctx);
int egress_port(const struct egress *e);
const char *egress_url(const struct egress *e); /* "http://127.0.0.1:PORT" */
/* Random, made at the start. Any user name goes with it: a client may name its task there, and refusals bear
 * it. */
const char *egress_password(const struct egress *e);

/* The newest refusal after `since` (a number, 0: any) whose user is `user` (NULL: any); false when there is
 * none. The last 64 are kept. */
bool egress_refusal_last(const struct egress *e, const char *user, uint64_t since,
                         struct egress_refusal *out);
uint64_t egress_refusal_count(const struct egress *e); /* number of the newest one */

struct egress_stats {
    uint64_t connections; /* accepted */
    uint64_t requests, tunnels, refusals, unauthorized, failures /* could not connect, broke */;
    uint64_t turned_away;         /* past max_connections */
    uint64_t bytes_out, bytes_in; /* to the web, from it */
    unsigned open;                /* connections now */
};
void egress_stats(const struct egress *e, struct egress_stats *out);

#endif
