/* Spans: their JSON is OTLP's, the ring is bounded, sampling follows the caller and is one for a whole trace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <yyjson.h>

#include "base/clock.h"
#include "net/trace.h"

#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static yyjson_doc *taken(struct tracer *t)
{
    struct buf out = BUF_INIT;
    buf_putc(&out, '[');
    tracer_take(t, 1000, &out);
    buf_putc(&out, ']');
    yyjson_doc *doc = yyjson_read(out.data, out.len, 0);
    buf_free(&out);
    assert_non_null(doc);
    return doc;
}

static const char *text_at(yyjson_doc *doc, const char *pointer)
{
    const char *text = yyjson_get_str(yyjson_doc_ptr_get(doc, pointer));
    return text ? text : "";
}

static void shape(void **state)
{
    struct tracer *t = tracer_create(8);
    char parent[64], child[64];
    (void)state;
    tracer_set(t, true, 1);
    struct trace_span *s = trace_span_start(t, TRACE_CLIENT, "GET \"x\"", PARENT, clock_mono_ns());
    snprintf(child, sizeof child, "%s", trace_span_parent(s));
    assert_memory_equal(child, PARENT, 36); /* version and trace */
    assert_memory_not_equal(child + 36, PARENT + 36, 16);
    assert_string_equal(child + 52, "-01");
    trace_span_text(s, "a", "b\"\n\xff");
    trace_span_text(s, "none", NULL);
    trace_span_int(s, "n", INT64_C(9007199254740993));
    trace_span_real(s, "r", 0.5);
    trace_span_bool(s, "t", true);
    trace_span_event(s, "first token");
    trace_span_error(s, "it broke");
    trace_span_end(s);
    yyjson_doc *doc = taken(t);
    assert_string_equal(text_at(doc, "/0/traceId"), "0af7651916cd43dd8448eb211c80319c");
    snprintf(parent, sizeof parent, "%s", text_at(doc, "/0/spanId"));
    assert_memory_equal(parent, child + 36, 16);
    assert_string_equal(text_at(doc, "/0/parentSpanId"), "b7ad6b7169203331");
    assert_string_equal(text_at(doc, "/0/name"), "GET \"x\"");
    assert_int_equal(yyjson_get_int(yyjson_doc_ptr_get(doc, "/0/kind")), 3);
    uint64_t began = strtoull(text_at(doc, "/0/startTimeUnixNano"), NULL, 10),
             ended = strtoull(text_at(doc, "/0/endTimeUnixNano"), NULL, 10);
    assert_true(began > 1600000000000000000u && ended >= began && ended - began < 10000000000u);
    assert_string_equal(text_at(doc, "/0/attributes/0/key"), "a");
    assert_string_equal(text_at(doc, "/0/attributes/0/value/stringValue"), "b\"\n\xef\xbf\xbd");
    assert_string_equal(text_at(doc, "/0/attributes/1/value/intValue"),
                        "9007199254740993"); /* text: 64 bits */
    assert_true(yyjson_get_real(yyjson_doc_ptr_get(doc, "/0/attributes/2/value/doubleValue")) == 0.5);
    assert_true(yyjson_get_bool(yyjson_doc_ptr_get(doc, "/0/attributes/3/value/boolValue")));
    assert_string_equal(text_at(doc, "/0/events/0/name"), "first token");
    assert_int_equal(yyjson_get_int(yyjson_doc_ptr_get(doc, "/0/status/code")), 2);
    assert_string_equal(text_at(doc, "/0/status/message"), "it broke");
    yyjson_doc_free(doc);
    tracer_destroy(t);
}

static int batches;
static void on_batch(void *ctx)
{
    (void)ctx;
    batches++;
}

static void bounded(void **state)
{
    struct tracer *t = tracer_create(4);
    struct buf out = BUF_INIT;
    (void)state;
    tracer_set(t, true, 1);
    tracer_on_batch(t, 3, on_batch, NULL);
    for (int i = 0; i < 6; i++)
        trace_span_end(trace_span_start(t, TRACE_INTERNAL, "x", NULL, clock_mono_ns()));
    assert_int_equal(tracer_waiting(t), 4);
    assert_int_equal(tracer_dropped(t), 2);
    assert_int_equal(batches, 2);
    assert_int_equal(tracer_take(t, 3, &out), 3);
    assert_int_equal(tracer_take(t, 3, &out), 1);
    assert_int_equal(tracer_take(t, 3, &out), 0);
    buf_free(&out);
    /* One span cannot grow without end either. */
    struct trace_span *s = trace_span_start(t, TRACE_INTERNAL, "x", NULL, clock_mono_ns());
    char big[4096];
    memset(big, 'y', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    for (int i = 0; i < 10000; i++) {
        trace_span_text(s, "k", big);
        trace_span_event(s, big);
    }
    trace_span_end(s);
    assert_int_equal(tracer_take(t, 1, &out), 1);
    assert_true(out.len < 64 * 1024);
    buf_free(&out);
    trace_span_drop(trace_span_start(t, TRACE_INTERNAL, "x", NULL, clock_mono_ns()));
    tracer_destroy(t);
}

static void sampled(void **state)
{
    struct tracer *t = tracer_create(4);
    (void)state;
    assert_null(trace_span_start(t, TRACE_SERVER, "x", NULL, clock_mono_ns())); /* off */
    trace_span_end(NULL);
    trace_span_text(NULL, "a", "b");
    assert_null(trace_span_parent(NULL));
    tracer_set(t, true, 0);
    assert_null(trace_span_start(t, TRACE_SERVER, "x", NULL, clock_mono_ns()));
    /* The caller has decided. */
    trace_span_drop(trace_span_start(t, TRACE_SERVER, "x", PARENT, clock_mono_ns()));
    tracer_set(t, true, 1);
    assert_null(trace_span_start(t, TRACE_SERVER, "x",
                                 "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", clock_mono_ns()));
    assert_true(trace_sampled(PARENT));
    assert_false(trace_sampled("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02"));
    assert_false(trace_sampled("nonsense"));
    assert_false(trace_sampled(NULL));
    tracer_set(t, true, 0.25);
    int yes = 0;
    for (unsigned i = 0; i < 4000; i++) {
        char id[33];
        snprintf(id, sizeof id, "%016x%016llx", i + 1, (unsigned long long)i * 0x9e3779b97f4a7c15ULL);
        yes += tracer_samples(t, id);
        assert_true(tracer_samples(t, id) == tracer_samples(t, id));
    }
    assert_in_range(yes, 900, 1100);
    tracer_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape),
        cmocka_unit_test(bounded),
        cmocka_unit_test(sampled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
