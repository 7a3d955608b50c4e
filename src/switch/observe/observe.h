/* Observe: what is told of a request besides its two rows: metrics of provider and model, the trace's span,
 * and, when somebody asked for it, its bodies. */
#ifndef VX11_SWITCH_OBSERVE_H
#define VX11_SWITCH_OBSERVE_H

#include "switch/switch_internal.h"

struct observe;
int observe_start(struct switch_ *sw, struct observe **out, struct error *err);
void observe_free(struct observe *o);
/* The attempt's call to its provider has been made. */
void observe_called(struct attempt *a);
/* One chunk of the attempt's stream. */
void observe_chunk(struct attempt *a, const struct switch_upstream *u);
/* Its whole reply. */
void observe_whole(struct attempt *a, const char *data, size_t len);
void observe_failed(struct attempt *a, int status, const char *code);
/* The request is over: its account is filled, its winner (or none) still there. */
void observe_request(struct dispatch *d);

/* bodies.c: GET /switch/decisions/{id} */
void observe_on_decision(struct request *r, void *module);

#endif
