/* Server parse: the pure functions over what a client writes into its request line and headers. No sockets,
 * no server state, so that a fuzzer can reach all of it. */
#ifndef VX11_NET_SERVER_PARSE_H
#define VX11_NET_SERVER_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/auth.h"

/* Percent-decodes s in place ('+' becomes a space when plus). The result is NUL-terminated valid UTF-8
 * without NUL or other control characters; *len gets its length. 0 or VX11_ESYNTAX. */
int parse_unescape(char *s, bool plus, size_t *len);

/* Cuts the next name=value off a query, in place and decoded. 1: one was found, 0: end, VX11_ESYNTAX. */
int parse_query_next(char **cursor, char **name, char **value);

/* Splits "/a/b%2Fc" into decoded segments, in place: segments[0..n) = {"a", "b/c"}. A path must start with
 * '/'; "." and ".." are refused. Returns how many, or VX11_ESYNTAX, VX11_ETOO_LARGE (more than max). */
int parse_path(char *path, char **segments, size_t max);

/* Value of a cookie into out (cut ones are not found). */
bool parse_cookie(const char *header, const char *name, char *out, size_t size);

/* "00-TRACE-SPAN-FLAGS": copies the 32 digits of the trace id. Unknown later versions are read as far as they
 * agree with version 00. */
bool parse_traceparent(const char *header, char trace_id[33]);

bool parse_request_id(const char *id); /* 1 to 64 of [A-Za-z0-9._-] */

/* "Name:port", "[::1]:8000" -> lower-case name without brackets' port; port -1 when there is none. 0 or
 * VX11_ESYNTAX. */
int parse_host(const char *host, char *name, size_t size, int *port);
/* "http://host:port" -> the parts; the port defaults by the scheme. "null" and anything else is VX11_ESYNTAX.
 */
int parse_origin(const char *origin, bool *https, char *name, size_t size, int *port);

/* "ID;name;read,chat" as Link sends it in X-VX11-Principal. The name may be percent-encoded. 0 or
 * VX11_ESYNTAX. */
int parse_principal(const char *text, struct principal *out);

/* NULL, "" and application/json (any parameters but a charset other than UTF-8) are JSON. */
bool parse_content_type_is_json(const char *content_type);

/* Token of a "Bearer TOKEN" header, NULL when it is another scheme or malformed. */
const char *parse_bearer(const char *authorization);

/* A sound name or value of a reply header. */
bool parse_header_name(const char *name);
bool parse_header_value(const char *value);

#endif
