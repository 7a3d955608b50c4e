/* A URL judged with its addresses, and the choice of addresses that the proxy makes too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operator/egress/egress_internal.h"

size_t egress_addresses_allowed(struct egress_policy *policy, const struct egress_target *target,
                                const struct addrinfo *list, struct sockaddr_storage *out, size_t max,
                                struct egress_verdict *v)
{
    size_t n = 0;
    bool refused = false;
    struct egress_verdict one;
    egress_unresolved(target, UV_EAI_NODATA, v);
    for (const struct addrinfo *a = list; a && n < max; a = a->ai_next) {
        if (a->ai_addrlen > sizeof *out)
            continue;
        if (egress_address_check(policy, target, a->ai_addr, &one)) {
            memset(&out[n], 0, sizeof *out);
            memcpy(&out[n++], a->ai_addr, a->ai_addrlen);
        } else if (!refused) {
            refused = true;
            *v = one;
        }
    }
    if (n > 0)
        *v = (struct egress_verdict){.code = EGRESS_ALLOWED};
    return n;
}

void egress_unresolved(const struct egress_target *target, int status, struct egress_verdict *v)
{
    *v = (struct egress_verdict){.code = EGRESS_UNRESOLVED};
    (void)snprintf(v->text, sizeof v->text, "the name %.200s leads nowhere: %.80s", target->host,
                   uv_strerror(status));
}

struct egress_check {
    uv_getaddrinfo_t ask;
    uv_timer_t later;
    struct egress_policy *policy;
    struct egress_target target;
    struct egress_verdict verdict;
    egress_check_fn fn; /* NULL: nobody listens any more */
    void *ctx;
};

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

static void tell(struct egress_check *c)
{
    if (c->fn)
        c->fn(c->ctx, &c->target, &c->verdict);
    uv_close((uv_handle_t *)&c->later, on_closed);
}

static void on_later(uv_timer_t *timer)
{
    tell(timer->data);
}

static void on_addresses(uv_getaddrinfo_t *ask, int status, struct addrinfo *list)
{
    struct egress_check *c = ask->data;
    struct sockaddr_storage ignored[ADDRESSES];
    if (status != 0)
        egress_unresolved(&c->target, status, &c->verdict);
    else if (c->fn)
        (void)egress_addresses_allowed(c->policy, &c->target, list, ignored, ADDRESSES, &c->verdict);
    uv_freeaddrinfo(list);
    tell(c);
}

int egress_check_start(uv_loop_t *loop, struct egress_policy *policy, const char *url, egress_check_fn fn,
                       void *ctx, struct egress_check **out)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct egress_check *c = calloc(1, sizeof *c);
    if (!c)
        return VX11_ENOMEM;
    c->policy = policy;
    c->fn = fn;
    c->ctx = ctx;
    c->ask.data = c;
    uv_timer_init(loop, &c->later);
    c->later.data = c;
    *out = c;
    if (!egress_url_check(policy, url, true, &c->target, &c->verdict)) {
        uv_timer_start(&c->later, on_later, 0, 0);
        return 0;
    }
    int rc = uv_getaddrinfo(loop, &c->ask, on_addresses, c->target.host, NULL, &hints);
    if (rc != 0) {
        egress_unresolved(&c->target, rc, &c->verdict);
        uv_timer_start(&c->later, on_later, 0, 0);
    }
    return 0;
}

void egress_check_cancel(struct egress_check *check)
{
    check->fn = NULL; /* what was begun ends by itself */
}
