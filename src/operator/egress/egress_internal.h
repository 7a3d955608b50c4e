/* Egress, inside: egress.c holds the proxy, connection.c one connection of it, head.c reads a request's head,
 * check.c judges a URL by itself. */
#ifndef VX11_OPERATOR_EGRESS_INTERNAL_H
#define VX11_OPERATOR_EGRESS_INTERNAL_H

#include <netdb.h>

#include "base/buf.h"
#include "operator/egress/egress.h"

#define REFUSALS_KEPT 64
#define HEAD_MOST     32768
#define ADDRESSES     16

struct connection;

struct egress {
    struct egress_options options;
    uv_tcp_t listener;
    int port;
    char url[40], password[44];
    struct connection *connections;
    struct egress_refusal refusals[REFUSALS_KEPT]; /* a ring, by number */
    uint64_t refusal_count;
    struct egress_stats stats;
    bool closing, listener_closed;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

/* ---- head.c: what a client asks of a proxy ---- */
struct head {
    bool tunnel; /* CONNECT */
    char method[32];
    char target[4096];           /* of a tunnel "host:port", else the URL */
    char user[64], password[64]; /* "" : none were sent */
    int64_t body;                /* bytes that follow; 0: none */
};
/* One head, ended by an empty line, at the beginning of text. 0; VX11_EINVALID: malformed; VX11_EUNSUPPORTED:
 * a body without a length. */
int head_read(const char *text, size_t len, struct head *out);
/* The request as the server gets it: path in place of the URL, without what is between us and the client,
 * "Connection: close". */
int head_forward(const char *text, size_t len, const struct head *h, struct buf *out);

/* ---- connection.c ---- */
void connection_begin(struct egress *e);
void connection_cut(struct connection *c);
struct connection *connection_next(const struct connection *c);

/* ---- egress.c ---- */
void egress_refused(struct egress *e, const char *user, const struct head *head,
                    const struct egress_target *target, const struct egress_verdict *v);
void egress_connection_over(struct egress *e); /* after it has left the list */
bool egress_password_right(const struct egress *e, const char *password);

/* ---- check.c ---- */
/* The addresses of `list` that may be connected to, in its order, into out. 0 of them: *v says why the first
 * one may not. */
size_t egress_addresses_allowed(struct egress_policy *policy, const struct egress_target *target,
                                const struct addrinfo *list, struct sockaddr_storage *out, size_t max,
                                struct egress_verdict *v);
void egress_unresolved(const struct egress_target *target, int status, struct egress_verdict *v);

#endif
