/* Samples: what every module measured, and who called whom.
 *
 *   timer ─> supervisor: who runs ─> each one's /metrics, Hermes: engines, Switch: providers
 *         ─> differences since the sample before ─┬─> rows of metric_sample ─(rollup.c)─> minutes, hours
 *                                                 └─> calls of the last minute           (calls.c)
 *
 * What did not answer has no row and no calls: a gap, never a 0. */
#ifndef VX11_OPERATOR_SAMPLES_H
#define VX11_OPERATOR_SAMPLES_H

#include <stdint.h>

#include "net/server.h"

struct operator_;
struct samples;

int samples_start(struct operator_ *o, struct samples **out, struct error *err);
/* Ends its calls, its timer and its thread; done runs once, now or later. */
void samples_stop(struct samples *s, void (*done)(void *ctx), void *ctx);
void samples_reload(struct samples *s); /* the configuration has changed */
void samples_free(struct samples *s);   /* NULL is fine */
/* A sidecar was started, or has ended (pid 0, with the reason or NULL): it is a node of the map, called
 * sidecar/NAME in `peer` of calls to it. */
void samples_sidecar(struct samples *s, const char *name, int64_t pid, const char *reason);

void samples_map(struct request *r, void *module);
void samples_chart(struct request *r, void *module);

#endif
