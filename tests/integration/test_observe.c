/* What is told of requests: traces to a collector that checks what it gets against OTLP's JSON encoding,
 * metrics of providers and models, and bodies for who asked for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <pthread.h>

#include "base/str.h"
#include "script_server.h"
#include "system.h"
#include "upstream.h"

static struct system sys;
static struct upstream *up;

/* ---- the collector ---- */

enum { SPANS = 2000 };

struct span {
    char service[40], trace[33], id[17], parent[17], name[120], attributes[3000];
    int kind, status;
};

static struct {
    pthread_mutex_t lock;
    struct script_server *server;
    struct span spans[SPANS];
    size_t count;
    int requests, refuse; /* so many are answered with 503 first */
    bool keyed;           /* each had its key */
    bool deaf;            /* answers nobody any more */
    char wrong[200];      /* what was not as OTLP has it, "" if nothing */
} collector = {.lock = PTHREAD_MUTEX_INITIALIZER, .keyed = true};

static void wrong(const char *what)
{
    if (!collector.wrong[0])
        snprintf(collector.wrong, sizeof collector.wrong, "%s", what);
}

static bool is_hex(const char *text, size_t len)
{
    return text && strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

/* 64-bit numbers are text in OTLP's JSON. */
static bool is_number_text(yyjson_val *v)
{
    const char *text = yyjson_get_str(v);
    return text && text[0] && strspn(text, "0123456789") == strlen(text);
}

static void take_attributes(yyjson_val *list, struct span *s)
{
    size_t i, n, at = 0;
    yyjson_val *a;
    yyjson_arr_foreach(list, i, n, a)
    {
        yyjson_val *value = yyjson_obj_get(a, "value"), *text = yyjson_obj_get(value, "stringValue"),
                   *integer = yyjson_obj_get(value, "intValue");
        if (!yyjson_get_str(yyjson_obj_get(a, "key")) || yyjson_obj_size(value) != 1)
            wrong("an attribute is not {key, value: {one}}");
        if (integer && !is_number_text(integer))
            wrong("an intValue is no text");
        at += (size_t)snprintf(s->attributes + at, sizeof s->attributes - at, "%s=%s;",
                               yyjson_get_str(yyjson_obj_get(a, "key")),
                               text      ? yyjson_get_str(text)
                               : integer ? yyjson_get_str(integer)
                                         : "?");
        if (at >= sizeof s->attributes)
            at = sizeof s->attributes - 1;
    }
}

static void take_span(yyjson_val *v, const char *service)
{
    struct span *s = &collector.spans[collector.count];
    const char *trace = yyjson_get_str(yyjson_obj_get(v, "traceId")),
               *id = yyjson_get_str(yyjson_obj_get(v, "spanId")),
               *parent = yyjson_get_str(yyjson_obj_get(v, "parentSpanId")),
               *name = yyjson_get_str(yyjson_obj_get(v, "name"));
    if (!is_hex(trace, 32) || !is_hex(id, 16) || (parent && !is_hex(parent, 16)) || !name)
        wrong("ids or name");
    if (!is_number_text(yyjson_obj_get(v, "startTimeUnixNano")) ||
        !is_number_text(yyjson_obj_get(v, "endTimeUnixNano")))
        wrong("times");
    if (!yyjson_is_int(yyjson_obj_get(v, "kind")) || !yyjson_is_obj(yyjson_obj_get(v, "status")))
        wrong("kind or status");
    if (collector.count + 1 == SPANS || collector.wrong[0])
        return;
    memset(s, 0, sizeof *s);
    snprintf(s->service, sizeof s->service, "%s", service);
    snprintf(s->trace, sizeof s->trace, "%s", trace);
    snprintf(s->id, sizeof s->id, "%s", id);
    snprintf(s->parent, sizeof s->parent, "%s", parent ? parent : "");
    snprintf(s->name, sizeof s->name, "%s", name);
    s->kind = yyjson_get_int(yyjson_obj_get(v, "kind"));
    s->status = yyjson_get_int(yyjson_obj_get(yyjson_obj_get(v, "status"), "code"));
    take_attributes(yyjson_obj_get(v, "attributes"), s);
    collector.count++;
}

static void take_body(const char *body, size_t len)
{
    yyjson_doc *doc = yyjson_read(body, len, 0);
    yyjson_val *resources = yyjson_doc_ptr_get(doc, "/resourceSpans"), *resource;
    size_t i, n, j, m;
    if (!yyjson_is_arr(resources) || yyjson_arr_size(resources) == 0)
        wrong("no resourceSpans");
    yyjson_arr_foreach(resources, i, n, resource)
    {
        struct span facts = {0};
        take_attributes(yyjson_ptr_get(resource, "/resource/attributes"), &facts);
        const char *name = strstr(facts.attributes, "service.name=");
        char service[40] = "";
        if (name)
            snprintf(service, sizeof service, "%.*s", (int)strcspn(name + 13, ";"), name + 13);
        if (!str_starts(service, "vx11."))
            wrong("service.name");
        yyjson_val *spans = yyjson_ptr_get(resource, "/scopeSpans/0/spans"), *span;
        if (!yyjson_get_str(yyjson_ptr_get(resource, "/scopeSpans/0/scope/name")))
            wrong("scope");
        yyjson_arr_foreach(spans, j, m, span) take_span(span, service);
    }
    yyjson_doc_free(doc);
}

static bool collect(struct script_conn *c, const struct script_request *r)
{
    static const char fine[] = "{\"partialSuccess\":{}}";
    pthread_mutex_lock(&collector.lock);
    bool refuse = collector.requests++ < collector.refuse, deaf = collector.deaf;
    collector.keyed = collector.keyed && script_has(r, "x-api-key: key, one");
    if (strcmp(r->method, "POST") != 0 || strcmp(r->path, "/otel/v1/traces") != 0 ||
        !script_has(r, "Content-Type: application/json"))
        wrong("not a POST of JSON to /v1/traces");
    if (!refuse)
        take_body(r->body, r->body_len);
    pthread_mutex_unlock(&collector.lock);
    if (deaf)
        return script_wait_close(c) && false;
    if (refuse)
        return script_puts(c, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    return script_printf(c,
                         "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                         sizeof fine - 1, fine);
}

/* A copy of the span of this trace, service and kind; false when it has not come. */
static bool span_get(const char *trace, const char *service, int kind, const char *name, struct span *out)
{
    bool found = false;
    pthread_mutex_lock(&collector.lock);
    for (size_t i = 0; i < collector.count && !found; i++) {
        const struct span *s = &collector.spans[i];
        found = strcmp(s->trace, trace) == 0 && strcmp(s->service, service) == 0 && s->kind == kind &&
                strstr(s->name, name);
        if (found)
            *out = *s;
    }
    pthread_mutex_unlock(&collector.lock);
    return found;
}

/* ---- the system ---- */

static int start(void **state)
{
    struct buf yaml = BUF_INIT;
    (void)state;
    up = upstream_start();
    collector.server = script_server_start(NULL, collect);
    collector.refuse = 2;
    buf_printf(
        &yaml,
        "telemetry: {otlp_endpoint: \"http://127.0.0.1:%d/otel/\", delay_ms: 50, headers_env: ITEST_OTLP}\n"
        "switch:\n  log_bodies: all\n  log_body_bytes: 400\n  retries: 0\n  breaker_threshold: 1000\n"
        "  providers:\n",
        script_server_port(collector.server));
    upstream_yaml(up, &yaml, "good", "good-model", NULL);
    upstream_yaml(up, &yaml, "bad", "bad-model", NULL);
    upstream_behave(up, "bad", UP_500);
    system_init(&sys);
    system_env(&sys, "ITEST_OTLP=x-api-key=key%%2C one");
    system_config(&sys, yaml.data);
    buf_free(&yaml);
    system_up(&sys);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    upstream_stop(up);
    script_server_stop(collector.server);
    return 0;
}

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"

static void chat(struct http_reply *r, const char *model, const char *trace, bool stream)
{
    struct http_at at = system_link(&sys);
    char headers[200];
    snprintf(headers, sizeof headers, "traceparent: 00-%s-00f067aa0ba902b7-01\r\n", trace);
    at.headers = headers;
    http(r, &at, "POST", "/v1/chat/completions", chat_body(model, stream));
}

/* One trace from the caller to the provider: each hop the child of the one before. */
static void one_trace(void **state)
{
    struct http_reply r;
    struct span link_in, link_out, switch_in, switch_out;
    struct upstream_seen seen;
    char last[100];
    (void)state;
    chat(&r, "good-model", TRACE, true);
    assert_status(&r, 200);
    eventually(15000, span_get(TRACE, "vx11.link", 2, "POST /v1/chat/completions", &link_in));
    eventually(15000, span_get(TRACE, "vx11.link", 3, "POST", &link_out));
    eventually(15000, span_get(TRACE, "vx11.switch", 2, "POST /v1/chat/completions", &switch_in));
    eventually(15000, span_get(TRACE, "vx11.switch", 3, "chat good-model", &switch_out));
    assert_string_equal(link_in.parent, "00f067aa0ba902b7");
    assert_string_equal(link_out.parent, link_in.id);
    assert_string_equal(switch_in.parent, link_out.id);
    assert_string_equal(switch_out.parent, switch_in.id);
    upstream_seen(up, "good", &seen);
    snprintf(last, sizeof last, "traceparent: 00-" TRACE "-%s-01", switch_out.id);
    assert_non_null(strstr(seen.head, last));
    static const char *const want[] = {"http.request.method=POST;",
                                       "http.response.status_code=200;",
                                       "gen_ai.operation.name=chat;",
                                       "gen_ai.request.model=good-model;",
                                       "gen_ai.response.model=good-model;",
                                       "gen_ai.provider.name=good;",
                                       "gen_ai.usage.input_tokens=7;",
                                       "gen_ai.usage.output_tokens=5;",
                                       "vx11.outcome=ok;"};
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        if (!strstr(switch_in.attributes, want[i]))
            print_error("%s is not in %s\n", want[i], switch_in.attributes);
        assert_non_null(strstr(switch_in.attributes, want[i]));
    }
    assert_int_equal(switch_in.status, 0);
    assert_non_null(strstr(switch_out.attributes, "gen_ai.request.model=good-model;"));
    http_free(&r);
}

static void failures_and_silence(void **state)
{
    static const char failed[] = "5bf92f3577b34da6a3ce929d0e0e4736",
                      quiet[] = "6bf92f3577b34da6a3ce929d0e0e4736";
    struct http_at at = system_link(&sys);
    struct http_reply r;
    struct span s;
    (void)state;
    chat(&r, "bad-model", failed, false);
    assert_status(&r, 502);
    http_free(&r);
    eventually(15000, span_get(failed, "vx11.switch", 2, "POST", &s));
    assert_int_equal(s.status, 2);
    eventually(15000, span_get(failed, "vx11.switch", 3, "chat bad-model", &s));
    assert_int_equal(s.status, 2);
    /* Who does not want to be traced is not. */
    char headers[200];
    snprintf(headers, sizeof headers, "traceparent: 00-%s-00f067aa0ba902b7-00\r\n", quiet);
    at.headers = headers;
    http(&r, &at, "POST", "/v1/chat/completions", chat_body("good-model", false));
    assert_status(&r, 200);
    http_free(&r);
    sleep_ms(400);
    assert_false(span_get(quiet, "vx11.link", 2, "POST", &s));
    assert_false(span_get(quiet, "vx11.switch", 3, "chat", &s));
    assert_true(collector.requests > 2); /* the first two were refused, and what they held came again */
}

static void series(void **state)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    (void)state;
    http(&r, &at, "GET", "/metrics", NULL);
    assert_status(&r, 200);
    static const char *const want[] = {
        "vx11_llm_requests_total{module=\"switch\",provider=\"good\",model=\"good-model\",outcome=\"ok\"} 2",
        "vx11_llm_requests_total{module=\"switch\",provider=\"bad\",model=\"bad-model\",outcome=\"failed\"} "
        "1",
        "vx11_llm_errors_total{module=\"switch\",provider=\"bad\",model=\"bad-model\",class=\"upstream_"
        "error\"} 1",
        "vx11_llm_tokens_total{module=\"switch\",provider=\"good\",model=\"good-model\",kind=\"prompt\"} 14",
        "vx11_llm_breaker_state{module=\"switch\",provider=\"good\"} 0",
        "vx11_llm_first_token_seconds_count{module=\"switch\",provider=\"good\",model=\"good-model\"} 1",
        "vx11_trace_spans_sent_total{module=\"switch\"} ",
        "vx11_trace_spans_lost_total{module=\"switch\"} 0",
    };
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        if (!strstr(r.raw.body.data, want[i]))
            print_error("not there: %s\n", want[i]);
        assert_non_null(strstr(r.raw.body.data, want[i]));
    }
    http_free(&r);
}

/* ---- bodies ---- */

static void ask(const struct http_at *at, const char *body, char request[64])
{
    struct http_reply r;
    http(&r, at, "POST", "/v1/chat/completions", body);
    assert_status(&r, 200);
    snprintf(request, 64, "%s", http_header(&r, "X-Request-Id"));
    http_free(&r);
}

static void decision_of(const struct http_at *at, const char *request, struct http_reply *r)
{
    char sql[200], path[100];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM request_body WHERE request_id = '%s'", request);
    eventually(5000, system_count(&sys, sql) == 1);
    snprintf(sql, sizeof sql, "SELECT id FROM decision WHERE request_id = '%s'", request);
    snprintf(path, sizeof path, "/switch/decisions/%s", system_row(&sys, sql));
    http(r, at, "GET", path, NULL);
    assert_status(r, 200);
}

static void bodies(void **state)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    char request[64], reader[128], long_body[1200], filler[801];
    (void)state;
    ask(&at,
        "{\"model\":\"good-model\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"my key is "
        "sk-abcdefghijklmnopqrstuvwx, hello\"}]}",
        request);
    decision_of(&at, request, &r);
    assert_string_equal(http_text(&r, "/decision/request_id"), request);
    assert_non_null(strstr(http_text(&r, "/request"), "my key is [redacted]"));
    assert_null(strstr(r.raw.body.data, "sk-abcdef"));
    assert_non_null(strstr(http_text(&r, "/reply"), "t0 t1"));
    http_free(&r);
    /* Others who may read see the decision, not what was written. */
    system_token(&sys, "reader", "read", reader);
    struct http_at other = at;
    other.token = reader;
    eventually(8000, http_status(&other, "GET", "/switch/queue/status", NULL) == 200);
    decision_of(&other, request, &r);
    assert_true(http_is_null(&r, "/request"));
    assert_true(http_is_null(&r, "/reply"));
    http_free(&r);
    /* Bounded. */
    memset(filler, 'z', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    snprintf(long_body, sizeof long_body,
             "{\"model\":\"good-model\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}", filler);
    ask(&at, long_body, request);
    decision_of(&at, request, &r);
    assert_int_equal(strlen(http_text(&r, "/request")), 400);
    assert_int_equal(http_int(&r, "/request_bytes"), (int64_t)strlen(long_body));
    assert_non_null(strstr(http_text(&r, "/reply"), "\"hello\""));
    http_free(&r);
    assert_int_equal(http_status(&at, "GET", "/switch/decisions/01ARZ3NDEKTSV4RRFFQ69G5FAV", NULL), 404);
}

static void stops_clean(void **state)
{
    struct http_reply r;
    (void)state;
    /* A collector that does not answer keeps nobody: neither requests nor the stop. */
    pthread_mutex_lock(&collector.lock);
    collector.deaf = true;
    pthread_mutex_unlock(&collector.lock);
    for (int i = 0; i < 5; i++) {
        chat(&r, "good-model", TRACE, false);
        assert_status(&r, 200);
        http_free(&r);
    }
    sleep_ms(200);
    int64_t began = clock_mono_ms();
    system_stop(&sys);
    assert_true(clock_mono_ms() - began < 8000);
    assert_string_equal(collector.wrong, "");
    assert_true(collector.keyed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_trace), cmocka_unit_test(failures_and_silence), cmocka_unit_test(series),
        cmocka_unit_test(bodies),    cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
