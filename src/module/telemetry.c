/* Telemetry: sends the spans of net/trace.h to an OpenTelemetry collector, by OTLP over HTTP in JSON.
 *
 *   ring ──batch──> POST {endpoint}/v1/traces ──200──> next batch, or sleep
 *                        └─ 429, 502, 503, 504, no connection: the same batch again, later, a few times
 *
 * One batch is on its way at a time; what comes meanwhile waits in the ring, whose bound is the memory that
 * tracing may take. Nobody ever waits for a collector. */
#include "module/module_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

enum { HEADERS_MAX = 16, TRIES_MAX = 5, RETRY_FIRST_MS = 500, LAST_WORD_MS = 1000 };

struct telemetry {
    struct module *m;
    struct tracer *tracer;
    uv_timer_t timer;
    struct client_call *call;
    struct buf reply;
    struct buf batch; /* the body of the request that runs or waits to be sent again */
    size_t batch_spans;
    int tries;
    char *endpoint; /* NULL: off */
    struct buf header_text;
    struct client_header headers[HEADERS_MAX];
    size_t header_count;
    struct metric *sent, *lost;
    uint64_t dropped_seen;
    bool closing;
    void (*stopped)(struct module *m);
};

static void on_timer(uv_timer_t *timer);

static const struct config_telemetry *telemetry_config(const struct telemetry *t)
{
    return t->m->config->values->telemetry;
}

struct tracer *telemetry_tracer(struct telemetry *t)
{
    return t->tracer;
}

/* ---- headers: name=value,name=value, values percent-encoded (as OpenTelemetry's SDKs take them) ---- */

static void unescape(char *text)
{
    char *out = text;
    for (const char *c = text; *c; c++) {
        unsigned char byte;
        char pair[3] = {c[1], c[1] ? c[2] : '\0', '\0'};
        if (*c == '%' && pair[0] && pair[1] && hex_decode(pair, &byte, 1) == 0 && byte >= ' ') {
            *out++ = (char)byte;
            c += 2;
        } else {
            *out++ = *c;
        }
    }
    *out = '\0';
}

static char *trimmed(char *text)
{
    text += strspn(text, " \t");
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        text[--len] = '\0';
    return text;
}

static void headers_read(struct telemetry *t)
{
    const char *env = telemetry_config(t)->headers_env, *text = env[0] ? getenv(env) : NULL;
    char *rest = NULL;
    buf_free(&t->header_text);
    t->header_count = 0;
    if (!text || buf_puts(&t->header_text, text) != 0)
        return;
    for (char *pair = strtok_r(t->header_text.data, ",", &rest); pair && t->header_count < HEADERS_MAX;
         pair = strtok_r(NULL, ",", &rest)) {
        char *value = strchr(pair, '=');
        if (!value) {
            log_warn("telemetry", "a header of the collector is malformed and left out", LOG_S("in", env));
            continue;
        }
        *value++ = '\0';
        unescape(value);
        t->headers[t->header_count++] = (struct client_header){trimmed(pair), trimmed(value)};
    }
}

/* ---- one batch ---- */

static void put_attribute(struct buf *b, const char *key, const char *value, bool last)
{
    buf_printf(b, "{\"key\":\"%s\",\"value\":{\"stringValue\":", key);
    buf_put_json_string(b, value, strlen(value));
    buf_puts(b, last ? "}}" : "}},");
}

static void batch_build(struct telemetry *t)
{
    struct buf *b = &t->batch;
    char service[64];
    snprintf(service, sizeof service, "vx11.%s", module_name(t->m));
    buf_clear(b);
    buf_puts(b, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    put_attribute(b, "service.name", service, false);
    put_attribute(b, "service.namespace", "vx11", false);
    put_attribute(b, "service.version", module_version(), false);
    buf_printf(b, "{\"key\":\"process.pid\",\"value\":{\"intValue\":\"%d\"}}", (int)getpid());
    buf_puts(b, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"vx11\",\"version\":");
    buf_put_json_string(b, module_version(), strlen(module_version()));
    buf_puts(b, "},\"spans\":[");
    t->batch_spans = tracer_take(t->tracer, (size_t)telemetry_config(t)->batch_spans, b);
    buf_puts(b, "]}]}]}");
    t->tries = 0;
}

static void batch_over(struct telemetry *t, size_t lost, const char *why)
{
    metric_add(t->sent, (double)(t->batch_spans - lost));
    if (lost > 0) {
        metric_add(t->lost, (double)lost);
        log_warn("telemetry", "spans are lost", LOG_I("spans", lost), LOG_S("reason", why));
    }
    t->batch_spans = 0;
    buf_clear(&t->batch);
}

static void telemetry_end(struct telemetry *t)
{
    void (*stopped)(struct module * m) = t->stopped;
    t->stopped = NULL;
    if (stopped)
        stopped(t->m);
}

static void batch_send(struct telemetry *t);

/* What comes after a batch: the next one, a pause, or the end. */
static void telemetry_next(struct telemetry *t, int64_t wait_ms)
{
    if (t->closing && (wait_ms > 0 || (t->batch_spans == 0 && tracer_waiting(t->tracer) == 0))) {
        telemetry_end(t);
        return;
    }
    if (wait_ms == 0 && (t->batch_spans > 0 || tracer_waiting(t->tracer) > 0)) {
        batch_send(t);
        return;
    }
    if (!uv_is_closing((uv_handle_t *)&t->timer))
        uv_timer_start(&t->timer, on_timer, (uint64_t)(wait_ms > 0 ? wait_ms : telemetry_config(t)->delay_ms),
                       0);
}

static void on_data(struct client_call *call, void *ctx, const char *data, size_t len)
{
    struct telemetry *t = ctx;
    (void)call;
    if (t->reply.len < 65536)
        buf_append(&t->reply, data, len);
}

/* partialSuccess of an answer: how many spans the collector did not take. */
static size_t rejected(struct telemetry *t)
{
    yyjson_doc *doc = t->reply.len ? yyjson_read(t->reply.data, t->reply.len, 0) : NULL;
    yyjson_val *n = yyjson_doc_ptr_get(doc, "/partialSuccess/rejectedSpans");
    int64_t count = 0;
    if (yyjson_is_int(n))
        count = yyjson_get_sint(n);
    else if (yyjson_is_str(n) && str_to_i64(yyjson_get_str(n), 0, INT64_MAX, &count) != 0)
        count = 0;
    yyjson_doc_free(doc);
    return count < 0 ? 0 : (size_t)count > t->batch_spans ? t->batch_spans : (size_t)count;
}

static void on_done(struct client_call *call, void *ctx, int result, const struct error *err)
{
    struct telemetry *t = ctx;
    int status = result == 0 ? client_call_status(call) : 0;
    const char *after = result == 0 ? client_call_header(call, "Retry-After") : NULL;
    int64_t wait_s = 0;
    char why[200];
    t->call = NULL;
    if (status >= 200 && status < 300) {
        batch_over(t, rejected(t), "the collector did not take them");
        telemetry_next(t, 0);
        return;
    }
    snprintf(why, sizeof why, "%.150s", result != 0 ? err->text : "the collector refused them");
    bool again = result != 0 || status == 429 || (status >= 502 && status <= 504);
    if (result == VX11_ECANCELLED || !again || ++t->tries >= TRIES_MAX) {
        batch_over(t, t->batch_spans, why);
        telemetry_next(t, t->closing ? 1 : 0);
        return;
    }
    if (!after || str_to_i64(after, 0, 3600, &wait_s) != 0)
        wait_s = 0;
    int64_t wait_ms = (int64_t)RETRY_FIRST_MS << (t->tries - 1);
    telemetry_next(t, wait_s * 1000 > wait_ms ? wait_s * 1000 : wait_ms);
}

static void batch_send(struct telemetry *t)
{
    static const struct client_events events = {.on_data = on_data, .on_done = on_done};
    int64_t limit = t->closing ? LAST_WORD_MS : telemetry_config(t)->timeout_ms;
    struct client_target target = {.base_url = t->endpoint};
    struct client_call_options options = {
        .deadline_ms = clock_mono_ms() + limit, .headers = t->headers, .header_count = t->header_count};
    struct error err = {0};
    if (t->batch_spans == 0)
        batch_build(t);
    buf_clear(&t->reply);
    if (!t->batch.failed &&
        client_start(t->m->client, &target, "POST", "/v1/traces", "application/json", t->batch.data,
                     t->batch.len, &options, &events, t, &t->call, &err) == 0)
        return;
    t->call = NULL;
    batch_over(t, t->batch_spans, err.text[0] ? err.text : "out of memory");
    telemetry_next(t, telemetry_config(t)->delay_ms);
}

static void on_timer(uv_timer_t *timer)
{
    struct telemetry *t = timer->data;
    uint64_t dropped = tracer_dropped(t->tracer);
    if (t->closing) {
        if (t->call)
            client_cancel(t->call);
        return;
    }
    if (dropped > t->dropped_seen) {
        metric_add(t->lost, (double)(dropped - t->dropped_seen));
        log_warn("telemetry", "spans are lost", LOG_I("spans", dropped - t->dropped_seen),
                 LOG_S("reason", "too many waited to be sent"));
        t->dropped_seen = dropped;
    }
    if (t->endpoint && !t->call)
        telemetry_next(
            t, t->batch_spans == 0 && tracer_waiting(t->tracer) == 0 ? telemetry_config(t)->delay_ms : 0);
}

/* A full batch waits: at the loop's next turn, unless one is on its way or put off. */
static void on_batch(void *ctx)
{
    struct telemetry *t = ctx;
    if (!t->call && t->batch_spans == 0 && !t->closing)
        uv_timer_start(&t->timer, on_timer, 1, 0);
}

/* ---- life ---- */

static int telemetry_apply(struct telemetry *t)
{
    const struct config_telemetry *c = telemetry_config(t);
    char *endpoint = c->otlp_endpoint[0] ? strdup(c->otlp_endpoint) : NULL;
    if (c->otlp_endpoint[0] && !endpoint)
        return VX11_ENOMEM;
    free(t->endpoint);
    t->endpoint = endpoint;
    size_t len = endpoint ? strlen(endpoint) : 0;
    while (len > 0 && endpoint[len - 1] == '/')
        endpoint[--len] = '\0';
    headers_read(t);
    tracer_set(t->tracer, endpoint != NULL, c->sample_ratio);
    tracer_on_batch(t->tracer, (size_t)c->batch_spans, on_batch, t);
    if (endpoint)
        uv_timer_start(&t->timer, on_timer, (uint64_t)c->delay_ms, 0);
    else if (!t->call)
        uv_timer_stop(&t->timer);
    return 0;
}

int telemetry_create(struct module *m, struct telemetry **out, struct error *err)
{
    struct telemetry *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(err, VX11_ENOMEM, "out of memory");
    *out = t;
    t->m = m;
    uv_timer_init(&m->loop, &t->timer);
    t->timer.data = t;
    uv_unref((uv_handle_t *)&t->timer);
    t->tracer = tracer_create((size_t)telemetry_config(t)->queue_spans);
    t->sent = metrics_get(m->metrics, METRIC_COUNTER, "vx11_trace_spans_sent_total", NULL,
                          "Spans that a collector has taken.");
    t->lost = metrics_get(m->metrics, METRIC_COUNTER, "vx11_trace_spans_lost_total", NULL,
                          "Spans dropped for want of room, or that no collector took.");
    if (!t->tracer || !t->sent || !t->lost || telemetry_apply(t) != 0)
        return error_set(err, VX11_ENOMEM, "out of memory");
    client_set_tracer(m->client, t->tracer);
    return 0;
}

void telemetry_reload(struct telemetry *t)
{
    if (telemetry_apply(t) != 0)
        log_error("telemetry", "traces go where they went before: out of memory");
}

void telemetry_stop(struct telemetry *t, void (*stopped)(struct module *m))
{
    t->closing = true;
    t->stopped = stopped;
    uv_timer_stop(&t->timer);
    if (t->call) { /* on_timer ends it */
        uv_timer_start(&t->timer, on_timer, LAST_WORD_MS, 0);
        return;
    }
    t->tries = TRIES_MAX - 1;
    if (t->endpoint)
        telemetry_next(t, 0);
    else
        telemetry_end(t);
}

void telemetry_close(struct telemetry *t)
{
    uv_close((uv_handle_t *)&t->timer, NULL);
}

void telemetry_destroy(struct telemetry *t)
{
    if (!t)
        return;
    tracer_destroy(t->tracer);
    buf_free(&t->reply);
    buf_free(&t->batch);
    buf_free(&t->header_text);
    free(t->endpoint);
    free(t);
}
