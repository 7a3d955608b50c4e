/* URL: taking http(s) URLs apart (by libcurl's own parser, so that what is checked here is what the client
 * connects to), and percent-encoding. */
#ifndef VX11_NET_URL_H
#define VX11_NET_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

struct url {
    char scheme[8];   /* "http" or "https" */
    char host[256];   /* lower case; an IPv6 address without its brackets */
    int port;         /* 80 or 443 when the URL names none */
    char path[2048];  /* as written (still encoded), at least "/" */
    char query[8192]; /* as written, without '?', "" when none */
};

/* 0; VX11_EINVALID when it is no URL, has another scheme, no host, or carries a user name, a password or a
 * fragment (a secret in a URL ends up in logs; the sentence therefore never repeats the URL); VX11_ETOO_LARGE
 * when a part does not fit. */
int url_parse(const char *text, struct url *out, struct error *err);

/* Appends s with everything but RFC 3986's unreserved characters as %XX; keep_slash leaves '/' too. 0 or
 * VX11_ENOMEM. */
int url_encode(struct buf *out, const char *s, size_t len, bool keep_slash);

#endif
