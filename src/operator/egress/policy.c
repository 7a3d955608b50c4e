/* The rules of `operator.browser.allow`, the ports browsers do not speak to (WHATWG Fetch, "bad port"), names
 * of metadata services, and this machine's own addresses. An IPv4 address inside IPv6 counts as the IPv4
 * address it is; those of NAT64 and 6to4 are as public as what they carry (net/address.h). */
#include "operator/egress/policy.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/str.h"
#include "net/address.h"
#include "net/url.h"

#define LOCAL_MS  10000 /* how long a look at the interfaces is good */
#define LOCAL_MAX 256

const char *const egress_code_names[EGRESS_CODES] = {
    [EGRESS_ALLOWED] = "allowed",
    [EGRESS_MALFORMED] = "malformed_url",
    [EGRESS_SCHEME] = "scheme_refused",
    [EGRESS_USERINFO] = "userinfo_refused",
    [EGRESS_PORT] = "port_refused",
    [EGRESS_ADDRESS] = "address_refused",
    [EGRESS_METADATA] = "metadata_refused",
    [EGRESS_OWN] = "own_port_refused",
    [EGRESS_UNRESOLVED] = "name_unresolved",
};

/* An address of either family; IPv4 in 4 bytes. */
struct address {
    int family;
    uint8_t bytes[16];
};

struct rule {
    char host[256]; /* a name, "" when it is an address */
    bool suffix;    /* "*.host" */
    struct address address;
    unsigned bits; /* of the address that count */
    int port;      /* 0: all */
};

struct egress_policy {
    struct rule *rules;
    size_t rule_count;
    int *own;
    size_t own_count;
    struct address local[LOCAL_MAX]; /* of this machine's interfaces */
    size_t local_count;
    int64_t local_at; /* monotonic ms; 0: not looked at yet */
};

/* ---- addresses ---- */

static bool address_take(const struct sockaddr *from, struct address *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    *out = (struct address){.family = from->sa_family};
    if (from->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, from, sizeof in);
        memcpy(out->bytes, &in.sin_addr, 4);
        return true;
    }
    if (from->sa_family != AF_INET6)
        return false;
    struct sockaddr_in6 in;
    memcpy(&in, from, sizeof in);
    memcpy(out->bytes, &in.sin6_addr, 16);
    if (memcmp(out->bytes, mapped, sizeof mapped) == 0) {
        out->family = AF_INET;
        memmove(out->bytes, out->bytes + 12, 4);
        memset(out->bytes + 4, 0, 12);
    }
    return true;
}

static bool address_parse(const char *text, struct address *out)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return address_take((const struct sockaddr *)(const void *)&in, out);
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
        return address_take((const struct sockaddr *)(const void *)&in6, out);
    return false;
}

static bool address_within(const struct address *a, const struct address *base, unsigned bits)
{
    if (a->family != base->family || memcmp(a->bytes, base->bytes, bits / 8) != 0)
        return false;
    return bits % 8 == 0 || ((a->bytes[bits / 8] ^ base->bytes[bits / 8]) >> (8 - bits % 8)) == 0;
}

static unsigned address_width(const struct address *a)
{
    return a->family == AF_INET ? 32 : 128;
}

static const char *address_format(const struct address *a, char out[INET6_ADDRSTRLEN])
{
    return inet_ntop(a->family, a->bytes, out, INET6_ADDRSTRLEN) ? out : "?";
}

static void local_look(struct egress_policy *p)
{
    struct ifaddrs *list = NULL;
    int64_t now = clock_mono_ms();
    if (p->local_at != 0 && now - p->local_at < LOCAL_MS)
        return;
    p->local_at = now;
    if (getifaddrs(&list) != 0)
        return; /* what was known is kept */
    p->local_count = 0;
    for (const struct ifaddrs *i = list; i && p->local_count < LOCAL_MAX; i = i->ifa_next)
        if (i->ifa_addr && address_take(i->ifa_addr, &p->local[p->local_count]))
            p->local_count++;
    freeifaddrs(list);
}

static bool address_is_local(struct egress_policy *p, const struct address *a)
{
    static const uint8_t none[16] = {0};
    static const uint8_t loopback6[16] = {[15] = 1};
    if (a->family == AF_INET && (a->bytes[0] == 127 || a->bytes[0] == 0))
        return true;
    if (a->family == AF_INET6 && (memcmp(a->bytes, none, 16) == 0 || memcmp(a->bytes, loopback6, 16) == 0))
        return true;
    local_look(p);
    for (size_t i = 0; i < p->local_count; i++)
        if (address_within(a, &p->local[i], address_width(a)))
            return true;
    return false;
}

/* ---- rules ---- */

static bool host_is_name(const char *host)
{
    size_t n = strlen(host);
    if (n == 0 || n > 253 || host[0] == '.' || host[0] == '-' || host[n - 1] == '.' || !utf8_valid(host, n))
        return false;
    for (const char *c = host; *c; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || (unsigned char)*c >= 0x80;
        if (!letter && *c != '-' && *c != '_' && !(*c == '.' && c[1] != '.'))
            return false;
    }
    return true;
}

static void host_lower(char *host)
{
    size_t n = strlen(host);
    for (size_t i = 0; i < n; i++)
        if (host[i] >= 'A' && host[i] <= 'Z')
            host[i] = (char)(host[i] + ('a' - 'A'));
    if (n > 1 && host[n - 1] == '.')
        host[n - 1] = '\0';
}

/* Cuts ":port" and brackets off; false: what is there is no port. An IPv6 address bears one only behind
 * brackets. */
static bool port_cut(char *text, int *port)
{
    char *colon = strrchr(text, ':');
    int64_t number = 0;
    if (text[0] == '[') {
        char *end = strchr(text, ']');
        if (!end || (end[1] != '\0' && end[1] != ':'))
            return false;
        colon = end[1] ? end + 1 : NULL;
        *end = '\0';
    } else if (colon && strchr(text, ':') != colon) {
        colon = NULL;
    }
    if (colon && str_to_i64(colon + 1, 1, 65535, &number) != 0)
        return false;
    if (colon)
        *colon = '\0';
    if (text[0] == '[')
        memmove(text, text + 1, strlen(text));
    *port = (int)number;
    return true;
}

static bool rule_parse(const char *entry, struct rule *out)
{
    char text[300];
    int64_t bits;
    *out = (struct rule){0};
    if (snprintf(text, sizeof text, "%s", entry) >= (int)sizeof text || !port_cut(text, &out->port))
        return false;
    char *slash = strchr(text, '/');
    if (slash)
        *slash = '\0';
    if (address_parse(text, &out->address)) {
        unsigned width = address_width(&out->address);
        out->bits = width;
        if (slash && str_to_i64(slash + 1, 0, width, &bits) != 0)
            return false;
        out->bits = slash ? (unsigned)bits : width;
        return true;
    }
    host_lower(text);
    out->suffix = str_starts(text, "*.");
    const char *name = out->suffix ? text + 2 : text;
    if (slash || !host_is_name(name) || strlen(name) >= sizeof out->host)
        return false;
    memcpy(out->host, name, strlen(name) + 1);
    return true;
}

static bool rule_fits_host(const struct rule *r, const char *host)
{
    size_t n = strlen(r->host), all = strlen(host);
    if (r->host[0] == '\0')
        return false;
    if (!r->suffix)
        return strcmp(r->host, host) == 0;
    return all > n + 1 && host[all - n - 1] == '.' && strcmp(host + all - n, r->host) == 0;
}

/* Is it named? with_port: by an entry that gives the port. address NULL: only by the host's name. */
static bool is_named(const struct egress_policy *p, const struct egress_target *t, const struct address *a,
                     bool with_port)
{
    for (size_t i = 0; i < p->rule_count; i++) {
        const struct rule *r = &p->rules[i];
        if ((r->port != 0 && r->port != t->port) || (with_port && r->port == 0))
            continue;
        if (rule_fits_host(r, t->host))
            return true;
        if (a && r->host[0] == '\0' && address_within(a, &r->address, r->bits))
            return true;
    }
    return false;
}

static bool own_port(const struct egress_policy *p, int port)
{
    for (size_t i = 0; i < p->own_count; i++)
        if (p->own[i] == port)
            return true;
    return false;
}

int egress_policy_create(const char *const *allow, size_t allow_count, const int *own_ports, size_t own_count,
                         struct egress_policy **out, struct error *err)
{
    struct egress_policy *p = calloc(1, sizeof *p);
    int rc = 0;
    if (p)
        p->rules = calloc(allow_count + 1, sizeof *p->rules);
    if (!p || !p->rules)
        rc = error_set(err, VX11_ENOMEM, "out of memory");
    for (size_t i = 0; i < allow_count && rc == 0; i++) {
        if (!rule_parse(allow[i], &p->rules[p->rule_count++]))
            rc = error_set(err, VX11_EINVALID,
                           "operator.browser.allow: \"%.200s\" is no host, address or range, with or without "
                           "a port",
                           allow[i]);
    }
    for (size_t i = 0; i < own_count && rc == 0; i++)
        rc = egress_policy_own(p, own_ports[i]);
    if (rc != 0) {
        egress_policy_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void egress_policy_free(struct egress_policy *p)
{
    if (!p)
        return;
    free(p->rules);
    free(p->own);
    free(p);
}

int egress_policy_own(struct egress_policy *p, int port)
{
    if (own_port(p, port))
        return 0;
    int *grown = realloc(p->own, (p->own_count + 1) * sizeof *grown);
    if (!grown)
        return VX11_ENOMEM;
    p->own = grown;
    p->own[p->own_count++] = port;
    return 0;
}

void egress_policy_disown(struct egress_policy *p, int port)
{
    for (size_t i = 0; i < p->own_count; i++)
        if (p->own[i] == port) {
            p->own[i] = p->own[--p->own_count];
            return;
        }
}

/* ---- judging ---- */

static bool refuse(struct egress_verdict *v, enum egress_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static bool refuse(struct egress_verdict *v, enum egress_code code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    v->code = code;
    (void)vsnprintf(v->text, sizeof v->text, fmt, args);
    va_end(args);
    return false;
}

/* WHATWG Fetch, section "port blocking". */
static bool port_is_bad(int port)
{
    static const unsigned short bad[] = {
        1,    7,    9,    11,   13,   15,   17,   19,   20,   21,   22,   23,   25,   37,    42,   43,   53,
        69,   77,   79,   87,   95,   101,  102,  103,  104,  109,  110,  111,  113,  115,   117,  119,  123,
        135,  137,  139,  143,  161,  179,  389,  427,  465,  512,  513,  514,  515,  526,   530,  531,  532,
        540,  548,  554,  556,  563,  587,  601,  636,  989,  990,  993,  995,  1719, 1720,  1723, 2049, 3659,
        4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (bad[i] == port)
            return true;
    return port <= 0 || port > 65535;
}

static bool host_is_metadata(const char *host)
{
    static const char *const names[] = {"metadata",
                                        "metadata.google.internal",
                                        "metadata.goog",
                                        "instance-data",
                                        "instance-data.ec2.internal",
                                        "metadata.azure.com",
                                        "metadata.azure.internal",
                                        "metadata.platformequinix.com",
                                        "metadata.packet.net"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(names[i], host) == 0)
            return true;
    return false;
}

static bool address_is_metadata(const struct address *a)
{
    static const char *const known[] = {"169.254.169.254", "169.254.170.2", "169.254.169.253",
                                        "100.100.100.200", "168.63.129.16", "192.0.0.192",
                                        "fd00:ec2::254",   "fd20:ce::254"};
    struct address one;
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (address_parse(known[i], &one) && address_within(a, &one, address_width(a)))
            return true;
    return false;
}

bool egress_address_check(struct egress_policy *p, const struct egress_target *t,
                          const struct sockaddr *address, struct egress_verdict *v)
{
    struct address a;
    char text[INET6_ADDRSTRLEN];
    *v = (struct egress_verdict){.code = EGRESS_ALLOWED};
    if (!address_take(address, &a))
        return refuse(v, EGRESS_ADDRESS, "%s leads to an address of another kind than IP", t->host);
    address_format(&a, text);
    bool local = address_is_local(p, &a);
    if (local && own_port(p, t->port) && !is_named(p, t, &a, true))
        return refuse(v, EGRESS_OWN,
                      "port %d of this machine is VX11's own; operator.browser.allow may name it as %s:%d",
                      t->port, t->host, t->port);
    if (is_named(p, t, &a, false))
        return true;
    if (address_is_metadata(&a))
        return refuse(v, EGRESS_METADATA, "%s leads to %s, a metadata service of clouds", t->host, text);
    if (local)
        return refuse(v, EGRESS_ADDRESS, "%s leads to %s, which is this machine", t->host, text);
    if (a.family == AF_INET) { /* also when it came inside IPv6 */
        struct sockaddr_in in = {.sin_family = AF_INET};
        memcpy(&in.sin_addr, a.bytes, 4);
        if (address_is_public((const struct sockaddr *)(const void *)&in))
            return true;
    } else if (address_is_public(address)) {
        return true;
    }
    return refuse(v, EGRESS_ADDRESS,
                  "%s leads to %s, which is not on the public internet; operator.browser.allow may name it",
                  t->host, text);
}

/* Host and port, once they are known. */
static bool target_check(struct egress_policy *p, const struct egress_target *t, struct egress_verdict *v)
{
    struct address a;
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (port_is_bad(t->port) && !is_named(p, t, NULL, true))
        return refuse(v, EGRESS_PORT, "port %d is not one of the web's: browsers do not speak to it",
                      t->port);
    if (address_parse(t->host, &a)) {
        memcpy(&in.sin_addr, a.bytes, 4);
        memcpy(&in6.sin6_addr, a.bytes, 16);
        return egress_address_check(p, t,
                                    a.family == AF_INET ? (const struct sockaddr *)(const void *)&in
                                                        : (const struct sockaddr *)(const void *)&in6,
                                    v);
    }
    if (!host_is_name(t->host))
        return refuse(v, EGRESS_MALFORMED, "the URL's host is neither a name nor an address");
    if (host_is_metadata(t->host) && !is_named(p, t, NULL, false))
        return refuse(v, EGRESS_METADATA, "%s is the name of a cloud's metadata service", t->host);
    return true;
}

static bool scheme_take(const char *url, bool sockets, struct egress_target *t, const char **rest)
{
    static const char *const names[] = {"http", "https", "ws", "wss"};
    for (size_t i = 0; i < (sockets ? 4u : 2u); i++) {
        size_t n = strlen(names[i]);
        if (strncasecmp(url, names[i], n) == 0 && strncmp(url + n, "://", 3) == 0) {
            memcpy(t->scheme, names[i], n + 1);
            *rest = url + n + 3;
            return true;
        }
    }
    return false;
}

/* libcurl's parser has the last word on what host and port are, as everywhere (net/url.h). */
static bool authority_take(const char *text, size_t len, bool tls, struct egress_target *t,
                           struct egress_verdict *v)
{
    char plain[400];
    struct url url;
    struct error err = {0};
    if (len == 0 || len > 300)
        return refuse(v, EGRESS_MALFORMED, len ? "the URL's host is too long" : "the URL names no host");
    if (memchr(text, '@', len))
        return refuse(v, EGRESS_USERINFO, "a URL with a user name or password is not asked for");
    (void)snprintf(plain, sizeof plain, "%s://%.*s/", tls ? "https" : "http", (int)len, text);
    if (url_parse(plain, &url, &err) != 0)
        return refuse(v, EGRESS_MALFORMED, "%s", err.text);
    if (strchr(url.host, '%'))
        return refuse(v, EGRESS_MALFORMED, "the URL's host has a zone or an escape");
    memcpy(t->host, url.host, sizeof t->host);
    host_lower(t->host);
    t->port = url.port;
    return true;
}

bool egress_url_check(struct egress_policy *p, const char *url, bool sockets, struct egress_target *target,
                      struct egress_verdict *v)
{
    struct egress_target mine, *t = target ? target : &mine;
    const char *rest;
    *t = (struct egress_target){0};
    *v = (struct egress_verdict){.code = EGRESS_ALLOWED};
    for (const unsigned char *c = (const unsigned char *)url; *c; c++)
        if (*c <= ' ' || *c == 0x7f)
            return refuse(v, EGRESS_MALFORMED, "a URL must not contain spaces or control characters");
    if (!scheme_take(url, sockets, t, &rest))
        return refuse(v, EGRESS_SCHEME, "only http and https URLs may be opened");
    bool tls = str_ends(t->scheme, "s") && strcmp(t->scheme, "ws") != 0;
    return authority_take(rest, strcspn(rest, "/?#\\"), tls, t, v) && target_check(p, t, v);
}

bool egress_authority_check(struct egress_policy *p, const char *authority, struct egress_target *target,
                            struct egress_verdict *v)
{
    *target = (struct egress_target){0};
    *v = (struct egress_verdict){.code = EGRESS_ALLOWED};
    const char *colon = strrchr(authority, ':');
    if (authority[strcspn(authority, "/?#\\")] != '\0' || !colon || strchr(colon, ']') || !colon[1])
        return refuse(v, EGRESS_MALFORMED, "a tunnel is asked for as host:port");
    return authority_take(authority, strlen(authority), true, target, v) && target_check(p, target, v);
}
