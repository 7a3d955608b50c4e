/* Trace: see trace.h. A span's JSON is written once, when it ends, in the words of OTLP's JSON encoding: ids
 * in hex, 64-bit numbers as text, enums as numbers. */
#include "net/trace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/ulid.h"

enum { ATTRIBUTES_MAX = 16 * 1024, VALUE_MAX = 1024, NAME_MAX_LEN = 200 };

struct tracer {
    bool on;
    double ratio;
    char **ring; /* JSON of each ended span */
    size_t cap, head, count;
    uint64_t dropped;
    size_t batch;
    void (*on_batch)(void *ctx);
    void *batch_ctx;
};

struct trace_span {
    struct tracer *t;
    enum trace_kind kind;
    char name[NAME_MAX_LEN + 1];
    char parent[17]; /* "" for a root */
    char self[TRACE_PARENT_LEN + 1];
    uint64_t began_ns, wall_ns;
    struct buf attributes, events;
    bool failed;
    char message[256];
};

/* ---- the tracer ---- */

struct tracer *tracer_create(size_t queue_spans)
{
    struct tracer *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->cap = queue_spans ? queue_spans : 1;
    t->ring = calloc(t->cap, sizeof *t->ring);
    if (!t->ring) {
        free(t);
        return NULL;
    }
    return t;
}

void tracer_destroy(struct tracer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->count; i++)
        free(t->ring[(t->head + i) % t->cap]);
    free(t->ring);
    free(t);
}

void tracer_set(struct tracer *t, bool on, double ratio)
{
    t->on = on;
    t->ratio = ratio;
}

bool tracer_on(const struct tracer *t)
{
    return t && t->on;
}

void tracer_on_batch(struct tracer *t, size_t spans, void (*fn)(void *ctx), void *ctx)
{
    t->batch = spans;
    t->on_batch = fn;
    t->batch_ctx = ctx;
}

size_t tracer_waiting(const struct tracer *t)
{
    return t->count;
}

uint64_t tracer_dropped(const struct tracer *t)
{
    return t->dropped;
}

size_t tracer_take(struct tracer *t, size_t most, struct buf *out)
{
    size_t n = 0;
    while (n < most && t->count > 0) {
        char *text = t->ring[t->head];
        if (n > 0)
            buf_putc(out, ',');
        buf_puts(out, text);
        free(text);
        t->ring[t->head] = NULL;
        t->head = (t->head + 1) % t->cap;
        t->count--;
        n++;
    }
    return n;
}

static void tracer_put(struct tracer *t, char *text)
{
    if (!text || t->count == t->cap) {
        t->dropped++;
        free(text);
        return;
    }
    t->ring[(t->head + t->count++) % t->cap] = text;
    if (t->on_batch && t->count >= t->batch)
        t->on_batch(t->batch_ctx);
}

/* ---- sampling ---- */

/* The last 56 bits of the id are random (W3C trace context, level 2): every process that is asked about a
 * trace decides alike. */
bool tracer_samples(const struct tracer *t, const char *trace_id)
{
    char low[15];
    if (!tracer_on(t) || strlen(trace_id) != 32)
        return false;
    memcpy(low, trace_id + 18, 14);
    low[14] = '\0';
    return (double)strtoull(low, NULL, 16) < t->ratio * 0x1p56;
}

bool trace_sampled(const char *traceparent)
{
    if (!traceparent || strlen(traceparent) != TRACE_PARENT_LEN)
        return false;
    char last = traceparent[TRACE_PARENT_LEN - 1];
    int digit = last >= '0' && last <= '9' ? last - '0' : last >= 'a' && last <= 'f' ? last - 'a' + 10 : 0;
    return digit & 1;
}

/* ---- spans ---- */

static void random_hex(char *out, unsigned bytes)
{
    unsigned char raw[16];
    random_bytes(raw, bytes);
    raw[bytes - 1] |= 1; /* never all zeros */
    hex_encode(raw, bytes, out);
}

static struct trace_span *span_make(struct tracer *t, enum trace_kind kind, const char *name,
                                    uint64_t began_ns)
{
    struct trace_span *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->t = t;
    s->kind = kind;
    snprintf(s->name, sizeof s->name, "%s", name);
    s->began_ns = began_ns;
    uint64_t now = clock_mono_ns();
    s->wall_ns = (uint64_t)clock_wall_ms() * 1000000u - (now > began_ns ? now - began_ns : 0);
    return s;
}

struct trace_span *trace_span_adopt(struct tracer *t, enum trace_kind kind, const char *name,
                                    const char *self, const char *parent_id, uint64_t began_ns)
{
    if (!tracer_on(t) || !trace_sampled(self))
        return NULL;
    struct trace_span *s = span_make(t, kind, name, began_ns);
    if (!s)
        return NULL;
    memcpy(s->self, self, sizeof s->self);
    if (parent_id)
        snprintf(s->parent, sizeof s->parent, "%.16s", parent_id);
    return s;
}

struct trace_span *trace_span_start(struct tracer *t, enum trace_kind kind, const char *name,
                                    const char *parent, uint64_t began_ns)
{
    char trace[33], span[17];
    if (!tracer_on(t) || (parent && !trace_sampled(parent)))
        return NULL;
    if (parent)
        snprintf(trace, sizeof trace, "%.32s", parent + 3);
    else
        random_hex(trace, 16);
    if (!parent && !tracer_samples(t, trace))
        return NULL;
    random_hex(span, 8);
    struct trace_span *s = span_make(t, kind, name, began_ns);
    if (!s)
        return NULL;
    if (parent)
        snprintf(s->parent, sizeof s->parent, "%.16s", parent + 36);
    snprintf(s->self, sizeof s->self, "00-%s-%s-01", trace, span);
    return s;
}

const char *trace_span_parent(const struct trace_span *s)
{
    return s ? s->self : NULL;
}

void trace_span_name(struct trace_span *s, const char *name)
{
    if (s)
        snprintf(s->name, sizeof s->name, "%s", name);
}

/* Opens {"key":K,"value":{ in the list; false when there is no span or no room. */
static bool attribute_open(struct trace_span *s, const char *key)
{
    if (!s || s->attributes.len > ATTRIBUTES_MAX)
        return false;
    buf_puts(&s->attributes, s->attributes.len ? ",{\"key\":" : "{\"key\":");
    buf_put_json_string(&s->attributes, key, strlen(key));
    buf_puts(&s->attributes, ",\"value\":{");
    return true;
}

static void put_text(struct buf *out, const char *text)
{
    size_t len = strlen(text);
    if (len > VALUE_MAX)
        len = VALUE_MAX - utf8_incomplete_tail(text, VALUE_MAX); /* not in the middle of a character */
    buf_put_json_string(out, text, len);
}

void trace_span_text(struct trace_span *s, const char *key, const char *value)
{
    if (!value || !attribute_open(s, key))
        return;
    buf_puts(&s->attributes, "\"stringValue\":");
    put_text(&s->attributes, value);
    buf_puts(&s->attributes, "}}");
}

void trace_span_int(struct trace_span *s, const char *key, int64_t value)
{
    if (attribute_open(s, key))
        buf_printf(&s->attributes, "\"intValue\":\"%lld\"}}", (long long)value);
}

void trace_span_real(struct trace_span *s, const char *key, double value)
{
    if (isfinite(value) && attribute_open(s, key))
        buf_printf(&s->attributes, "\"doubleValue\":%.9g}}", value);
}

void trace_span_bool(struct trace_span *s, const char *key, bool value)
{
    if (attribute_open(s, key))
        buf_printf(&s->attributes, "\"boolValue\":%s}}", value ? "true" : "false");
}

static uint64_t span_now(const struct trace_span *s)
{
    return s->wall_ns + (clock_mono_ns() - s->began_ns);
}

void trace_span_event(struct trace_span *s, const char *name)
{
    if (!s || s->events.len > ATTRIBUTES_MAX)
        return;
    buf_printf(&s->events, "%s{\"timeUnixNano\":\"%llu\",\"name\":", s->events.len ? "," : "",
               (unsigned long long)span_now(s));
    put_text(&s->events, name);
    buf_putc(&s->events, '}');
}

void trace_span_error(struct trace_span *s, const char *text)
{
    if (!s)
        return;
    s->failed = true;
    snprintf(s->message, sizeof s->message, "%s", text ? text : "");
}

void trace_span_drop(struct trace_span *s)
{
    if (!s)
        return;
    buf_free(&s->attributes);
    buf_free(&s->events);
    free(s);
}

void trace_span_end(struct trace_span *s)
{
    struct buf out = BUF_INIT;
    if (!s)
        return;
    buf_printf(&out, "{\"traceId\":\"%.32s\",\"spanId\":\"%.16s\",", s->self + 3, s->self + 36);
    if (s->parent[0])
        buf_printf(&out, "\"parentSpanId\":\"%s\",", s->parent);
    buf_puts(&out, "\"name\":");
    put_text(&out, s->name);
    buf_printf(&out, ",\"kind\":%d,\"startTimeUnixNano\":\"%llu\",\"endTimeUnixNano\":\"%llu\"", (int)s->kind,
               (unsigned long long)s->wall_ns, (unsigned long long)span_now(s));
    buf_printf(&out, ",\"attributes\":[%s]", s->attributes.data ? s->attributes.data : "");
    if (s->events.len)
        buf_printf(&out, ",\"events\":[%s]", s->events.data);
    if (s->failed) {
        buf_puts(&out, ",\"status\":{\"code\":2,\"message\":");
        put_text(&out, s->message);
        buf_puts(&out, "}}");
    } else {
        buf_puts(&out, ",\"status\":{}}");
    }
    bool whole = !out.failed && !s->attributes.failed && !s->events.failed;
    struct tracer *t = s->t;
    trace_span_drop(s);
    char *text = whole ? buf_detach(&out, &(size_t){0}) : NULL;
    buf_free(&out);
    tracer_put(t, text);
}
