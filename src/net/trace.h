/* Trace: spans of this process, for an OpenTelemetry collector.
 *
 *   server request ──> span (SERVER) ──traceparent──> client call ──> span (CLIENT) ──traceparent──> next hop
 *        └─ ended ─> JSON in a bounded ring ─> src/module/telemetry.c sends it as OTLP over HTTP
 *
 * Ending a span never waits: when the ring is full the span is dropped and counted. Off (no endpoint) or not
 * sampled, there is no span: all functions take NULL and do nothing. One thread: the loop's. */
#ifndef VX11_NET_TRACE_H
#define VX11_NET_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define TRACE_PARENT_LEN 55 /* "00-" 32 hex "-" 16 hex "-" 2 hex */

struct tracer;
struct trace_span;

enum trace_kind { TRACE_INTERNAL = 1, TRACE_SERVER = 2, TRACE_CLIENT = 3 }; /* as OTLP numbers them */

struct tracer *tracer_create(size_t queue_spans); /* off; NULL without memory */
void tracer_destroy(struct tracer *t);
/* ratio: share of the traces that begin here; what a caller has decided goes first. */
void tracer_set(struct tracer *t, bool on, double ratio);
bool tracer_on(const struct tracer *t); /* NULL: false */
/* fn runs when `spans` wait, from inside trace_span_end. */
void tracer_on_batch(struct tracer *t, size_t spans, void (*fn)(void *ctx), void *ctx);
/* Takes at most `most` ended spans out, oldest first, as a JSON array's inside, appended to out. How many. */
size_t tracer_take(struct tracer *t, size_t most, struct buf *out);
size_t tracer_waiting(const struct tracer *t);
uint64_t tracer_dropped(const struct tracer *t); /* for want of room, since the start */

/* Whether a trace with this id (32 hex) that begins here is to be sent. */
bool tracer_samples(const struct tracer *t, const char *trace_id);
/* Is this a sound traceparent with its sampled flag set? */
bool trace_sampled(const char *traceparent);

/* A span that is a child of `parent` (a traceparent, sampled; NULL: the root of a new trace). began_ns: as of
 * clock_mono_ns. NULL when tracing is off, the parent is not sampled, or without memory. */
struct trace_span *trace_span_start(struct tracer *t, enum trace_kind kind, const char *name,
                                    const char *parent, uint64_t began_ns);
/* The span that `self` (this hop's own traceparent) names; parent_id: 16 hex of the caller's span, NULL: it
 * is the root. */
struct trace_span *trace_span_adopt(struct tracer *t, enum trace_kind kind, const char *name,
                                    const char *self, const char *parent_id, uint64_t began_ns);
const char *trace_span_parent(const struct trace_span *s); /* traceparent for the next hop; NULL: no span */
void trace_span_name(struct trace_span *s, const char *name);
void trace_span_text(struct trace_span *s, const char *key,
                     const char *value); /* NULL: left out; cut at 1 kB */
void trace_span_int(struct trace_span *s, const char *key, int64_t value);
void trace_span_real(struct trace_span *s, const char *key, double value);
void trace_span_bool(struct trace_span *s, const char *key, bool value);
/* A point in time within the span. */
void trace_span_event(struct trace_span *s, const char *name);
void trace_span_error(struct trace_span *s, const char *text); /* status ERROR; text may be NULL */
void trace_span_end(struct trace_span *s);                     /* frees */
void trace_span_drop(struct trace_span *s);                    /* as if it had never been */

#endif
