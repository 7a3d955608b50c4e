/* Bodies: what was asked and answered, kept only when switch.log_bodies says so: cut to a bound, secrets
 * taken out, for a while. */
#ifndef VX11_SWITCH_BODIES_H
#define VX11_SWITCH_BODIES_H

#include "switch/switch_internal.h"

void bodies_chunk(struct attempt *a, const struct switch_upstream *u);
void bodies_whole(struct attempt *a, const char *data, size_t len);
void bodies_write(struct dispatch *d); /* frees what was gathered */

#endif
