/* Stats: requests, tokens, cost and latency over time, added up from the rows of decision on a thread of the
 * pool: there may be hundreds of thousands of them. */
#ifndef VX11_SWITCH_STATS_H
#define VX11_SWITCH_STATS_H

#include "net/server.h"

struct switch_;
struct stats;

int stats_start(struct switch_ *sw, struct stats **out, struct error *err);
/* Waits for what is being added up; done runs once, now or later. */
void stats_stop(struct stats *s, void (*done)(void *ctx), void *ctx);
void stats_free(struct stats *s); /* NULL is fine */
void stats_report(struct request *r, void *module);

#endif
