/* What a client accepts, by the lists of its headers (RFC 9110, 12.4 and 12.5). Pure. */
#ifndef VX11_LINK_PAGE_ACCEPT_H
#define VX11_LINK_PAGE_ACCEPT_H

#include <stdbool.h>

enum page_encoding {
    PAGE_ENCODING_IDENTITY,
    PAGE_ENCODING_GZIP,
    PAGE_ENCODING_BR,
};

/* Weight of `item` in a header such as "br, gzip;q=0.8", in thousandths: 0 to 1000; -1 when the list does not
 * name it. Names are compared without case. A weight that is none counts as 0: what is not understood is not
 * wanted. list NULL: the header is absent. */
int accept_weight(const char *list, const char *item);

/* The coding to answer in, of those that there are: the one of most weight, the smaller one of equals.
 * Identity is the last resort, and never refused. */
enum page_encoding accept_encoding(const char *list, bool has_br, bool has_gzip);

#endif
