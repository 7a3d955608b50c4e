/* Metrics: counters, gauges and latency histograms of one process, as Prometheus text.
 *
 * Series are registered once and updated through the returned pointer: no lookup, no lock on the hot path
 * (one thread). Counters that other threads bump use metric_add, which is atomic. */
#ifndef VX11_NET_METRICS_H
#define VX11_NET_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"

struct metrics;
struct metric;

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metrics *metrics_create(uv_loop_t *loop,
                               const char *module); /* loop: measures loop lag with a timer; NULL: none */
void metrics_stop(struct metrics *m);               /* closes its handles; before the loop closes */
void metrics_destroy(struct metrics *m);

/* labels: "route=\"chat\",code=\"200\"" or NULL; the same name and labels give the same series. name e.g.
 * "vx11_http_requests_total". Copied. NULL without memory. */
struct metric *metrics_get(struct metrics *m, enum metric_kind kind, const char *name, const char *labels,
                           const char *help);
void metric_add(struct metric *x, double value);       /* counter, gauge */
void metric_set(struct metric *x, double value);       /* gauge */
void metric_observe(struct metric *x, double seconds); /* histogram: log-spaced buckets 100 us … 600 s */
double metric_value(const struct metric *x);
double metric_quantile(const struct metric *x, double q); /* NaN while empty */
/* fn runs before each rendering to refresh gauges. 0 or VX11_ENOMEM. */
int metrics_on_render(struct metrics *m, void (*fn)(void *ctx), void *ctx);
int metrics_render(struct metrics *m, struct buf *out);
/* Worst delay of the loop's timer in the last 10 s, in seconds; negative: not measured (no loop, or not yet).
 */
double metrics_loop_lag(const struct metrics *m);

#endif
