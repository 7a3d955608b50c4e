/* Policy: which URLs the operator's browser may ask for. A URL is judged in two steps: what it says by itself
 * (scheme, user name, port, a host that is known to be no web page), and each address that its host's name
 * leads to. What is not public (net/address.h), or belongs to this machine, is refused unless
 * `operator.browser.allow` names it; VX11's own ports only when they are named with their number. */
#ifndef VX11_OPERATOR_EGRESS_POLICY_H
#define VX11_OPERATOR_EGRESS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/error.h"

enum egress_code {
    EGRESS_ALLOWED,
    EGRESS_MALFORMED,  /* no URL, or no host */
    EGRESS_SCHEME,     /* neither http nor https */
    EGRESS_USERINFO,   /* carries a user name or a password */
    EGRESS_PORT,       /* a port that browsers do not speak to */
    EGRESS_ADDRESS,    /* private, loopback, link-local, multicast … or this machine's own */
    EGRESS_METADATA,   /* a cloud's metadata service */
    EGRESS_OWN,        /* one of VX11's own ports on this machine */
    EGRESS_UNRESOLVED, /* the name has no address: not a refusal, but nothing to connect to either */
    EGRESS_CODES
};
/* "malformed_url", "scheme_refused" …, stable. */
extern const char *const egress_code_names[EGRESS_CODES];

struct egress_verdict {
    enum egress_code code;
    char text[320]; /* a sentence, "" when allowed; never repeats a URL's user name or query */
};

struct egress_target { /* where a URL leads */
    char scheme[8];    /* "http", "https", "ws", "wss"; "" of a tunnel */
    char host[256];    /* lower case, without brackets and without a dot at its end */
    int port;
};

struct egress_policy;

/* allow: "host", "*.host", "host:port", an address, "address:port", "[v6]:port", a CIDR, "CIDR:port" (of IPv6
 * "[CIDR]:port"). own_ports: of VX11's modules. Both are copied. VX11_EINVALID names the entry that is none.
 */
int egress_policy_create(const char *const *allow, size_t allow_count, const int *own_ports, size_t own_count,
                         struct egress_policy **out, struct error *err);
void egress_policy_free(struct egress_policy *p); /* NULL is fine */
/* One more port that is VX11's own: of a sidecar, of the proxy. 0 or VX11_ENOMEM. */
int egress_policy_own(struct egress_policy *p, int port);
/* It is no longer. */
void egress_policy_disown(struct egress_policy *p, int port);

/* The first step. sockets: ws and wss are fine too. A host that is an address is judged wholly. True when
 * nothing is against it so far; target (may be NULL) is filled as far as it was read. */
bool egress_url_check(struct egress_policy *p, const char *url, bool sockets, struct egress_target *target,
                      struct egress_verdict *v);
/* The same of "host:port" as a tunnel's request names it. */
bool egress_authority_check(struct egress_policy *p, const char *authority, struct egress_target *target,
                            struct egress_verdict *v);
/* The second step: may an address be connected to that the host's name led to? */
bool egress_address_check(struct egress_policy *p, const struct egress_target *target,
                          const struct sockaddr *address, struct egress_verdict *v);

#endif
