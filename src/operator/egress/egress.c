/* The proxy as a whole: where it listens, who may use it, what it refused. */
#include "operator/egress/egress.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/ulid.h"
#include "operator/egress/egress_internal.h"

#define CONNECTIONS_MOST 256
#define CONNECT_MS       5000
#define HEAD_MS          30000
#define IDLE_MS          300000

int egress_port(const struct egress *e)
{
    return e->port;
}

const char *egress_url(const struct egress *e)
{
    return e->url;
}

const char *egress_password(const struct egress *e)
{
    return e->password;
}

bool egress_password_right(const struct egress *e, const char *password)
{
    char given[sizeof e->password] = {0};
    (void)snprintf(given, sizeof given, "%s", password);
    return sodium_memcmp(given, e->password, sizeof given) == 0;
}

void egress_stats(const struct egress *e, struct egress_stats *out)
{
    *out = e->stats;
}

/* ---- what was refused ---- */

void egress_refused(struct egress *e, const char *user, const struct head *head,
                    const struct egress_target *target, const struct egress_verdict *v)
{
    struct egress_refusal *r = &e->refusals[e->refusal_count++ % REFUSALS_KEPT];
    *r = (struct egress_refusal){
        .number = e->refusal_count, .time_ms = clock_wall_ms(), .port = target->port, .code = v->code};
    (void)snprintf(r->user, sizeof r->user, "%s", user);
    (void)snprintf(r->host, sizeof r->host, "%s", target->host);
    if (head->tunnel)
        (void)snprintf(r->url, sizeof r->url, "https://%.500s", head->target);
    else
        (void)snprintf(r->url, sizeof r->url, "%.*s", (int)strcspn(head->target, "?#"), head->target);
    (void)snprintf(r->text, sizeof r->text, "%s", v->text);
    e->stats.refusals++;
    log_info("egress", "refused", LOG_S("host", r->host), LOG_I("port", r->port),
             LOG_S("code", egress_code_names[v->code]), LOG_S("user", r->user));
    if (e->options.on_refusal)
        e->options.on_refusal(e->options.ctx, r);
}

bool egress_refusal_last(const struct egress *e, const char *user, uint64_t since, struct egress_refusal *out)
{
    for (uint64_t n = e->refusal_count; n > since && n + REFUSALS_KEPT > e->refusal_count; n--) {
        const struct egress_refusal *r = &e->refusals[(n - 1) % REFUSALS_KEPT];
        if (!user || str_eq(r->user, user)) {
            *out = *r;
            return true;
        }
    }
    return false;
}

uint64_t egress_refusal_count(const struct egress *e)
{
    return e->refusal_count;
}

/* ---- life ---- */

static void free_if_over(struct egress *e)
{
    if (!e->closing || !e->listener_closed || e->connections)
        return;
    void (*closed)(void *ctx) = e->closed;
    void *ctx = e->closed_ctx;
    explicit_bzero(e->password, sizeof e->password);
    free(e);
    if (closed)
        closed(ctx);
}

static void on_listener_closed(uv_handle_t *h)
{
    struct egress *e = h->data;
    e->listener_closed = true;
    free_if_over(e);
}

void egress_connection_over(struct egress *e)
{
    e->stats.open--;
    free_if_over(e);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct egress *e = listener->data;
    if (status == 0 && !e->closing)
        connection_begin(e);
}

static int listen_on(struct egress *e, struct error *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int len = sizeof at;
    int rc = uv_tcp_bind(&e->listener, (const struct sockaddr *)(const void *)&at, 0);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&e->listener, 128, on_connection);
    if (rc == 0)
        rc = uv_tcp_getsockname(&e->listener, (struct sockaddr *)(void *)&at, &len);
    if (rc != 0)
        return error_set(err, VX11_EUNAVAILABLE, "the browser's proxy cannot listen: %s", uv_strerror(rc));
    e->port = ntohs(at.sin_port);
    (void)snprintf(e->url, sizeof e->url, "http://127.0.0.1:%d", e->port);
    return egress_policy_own(e->options.policy, e->port) == 0 ? 0
                                                              : error_set(err, VX11_ENOMEM, "out of memory");
}

int egress_create(const struct egress_options *options, struct egress **out, struct error *err)
{
    unsigned char secret[16];
    struct egress *e = calloc(1, sizeof *e);
    if (!e)
        return error_set(err, VX11_ENOMEM, "out of memory");
    e->options = *options;
    if (e->options.max_connections == 0)
        e->options.max_connections = CONNECTIONS_MOST;
    if (e->options.connect_timeout_ms <= 0)
        e->options.connect_timeout_ms = CONNECT_MS;
    if (e->options.head_timeout_ms <= 0)
        e->options.head_timeout_ms = HEAD_MS;
    if (e->options.idle_timeout_ms <= 0)
        e->options.idle_timeout_ms = IDLE_MS;
    random_bytes(secret, sizeof secret);
    hex_encode(secret, sizeof secret, e->password);
    explicit_bzero(secret, sizeof secret);
    uv_tcp_init(options->loop, &e->listener);
    e->listener.data = e;
    int rc = listen_on(e, err);
    if (rc != 0) {
        egress_close(e, NULL, NULL);
        return rc;
    }
    *out = e;
    return 0;
}

void egress_close(struct egress *e, void (*done)(void *ctx), void *ctx)
{
    e->closing = true;
    if (e->port)
        egress_policy_disown(e->options.policy, e->port);
    e->closed = done;
    e->closed_ctx = ctx;
    for (struct connection *c = e->connections, *next; c; c = next) {
        next = connection_next(c);
        connection_cut(c);
    }
    uv_close((uv_handle_t *)&e->listener, on_listener_closed);
}
