/* Address: which addresses lie on the public internet. What a person's URL, or a redirect, leads to must not
 * be a service of this machine, of its network or of its cloud. */
#ifndef VX11_NET_ADDRESS_H
#define VX11_NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* False for loopback, private, link-local (where clouds keep their metadata), shared, documentation,
 * benchmark, multicast and reserved ranges of IPv4 and IPv6, for IPv4 inside IPv6 when that is one of them,
 * and for other families. */
bool address_is_public(const struct sockaddr *address);
/* The same of text: "10.0.0.1", "::1". *numeric (may be NULL) tells whether it is an address at all; names
 * are not, and give false. */
bool address_text_is_public(const char *text, bool *numeric);

#endif
