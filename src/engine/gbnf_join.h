/* Joining grammars: texts of GBNF put together, each with its rules under names of its own. */
#ifndef VX11_ENGINE_GBNF_JOIN_H
#define VX11_ENGINE_GBNF_JOIN_H

#include "base/buf.h"

/* Appends the grammar with every rule NAME as PREFIXNAME, so that its root is "PREFIXroot". 0 or VX11_ENOMEM.
 */
int gbnf_rename(const char *gbnf, const char *prefix, struct buf *out);

#endif
