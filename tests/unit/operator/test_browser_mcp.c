/* The MCP client against a server that is scripted here: sessions, event streams, pings, time-outs, loss. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "base/str.h"
#include "operator/browser/mcp.h"

enum mode { AS_JSON, AS_EVENTS, SILENT, LOSES_ONCE, LOSES_ALWAYS, FAILS, OLD_VERSION, LARGE, GARBAGE };

struct fixture {
    uv_loop_t loop;
    struct client *client;
    uv_tcp_t server;
    int port;
    enum mode mode;
    int lost, begun;
    char log[4096]; /* what was asked, a word each */
    struct mcp *mcp;
    bool answered, closed;
    int code; /* of the answer */
    char got[600];
};

struct peer {
    uv_tcp_t tcp;
    uv_write_t write;
    struct fixture *f;
    char in[16384];
    size_t len;
    char *out;
};

static void note(struct fixture *f, const char *word)
{
    const size_t n = strlen(f->log);
    (void)snprintf(f->log + n, sizeof f->log - n, "%s ", word);
}

static void peer_closed(uv_handle_t *h)
{
    struct peer *p = h->data;
    free(p->out);
    free(p);
}

static void peer_end(struct peer *p)
{
    if (!uv_is_closing((uv_handle_t *)&p->tcp))
        uv_close((uv_handle_t *)&p->tcp, peer_closed);
}

static void peer_written(uv_write_t *w, int status)
{
    (void)status;
    peer_end(w->data);
}

static void answer(struct peer *p, int status, const char *headers, const char *body)
{
    if (asprintf(&p->out, "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\nConnection: close\r\n\r\n%s", status,
                 headers, strlen(body), body) < 0)
        abort();
    uv_buf_t buf = uv_buf_init(p->out, (unsigned)strlen(p->out));
    p->write.data = p;
    uv_write(&p->write, (uv_stream_t *)&p->tcp, &buf, 1, peer_written);
}

static void initialize(struct peer *p)
{
    char body[300];
    struct fixture *f = p->f;
    char headers[120];
    (void)snprintf(headers, sizeof headers, "Content-Type: application/json\r\nMcp-Session-Id: s%d\r\n",
                   ++f->begun);
    (void)snprintf(
        body, sizeof body,
        "{\"jsonrpc\":\"2.0\",\"id\":%d,\"result\":{\"protocolVersion\":\"%s\",\"serverInfo\":{\"name\":"
        "\"fake\",\"version\":\"7\"}}}",
        atoi(strstr(p->in, "\"id\":") + 5), f->mode == OLD_VERSION ? "1999-01-01" : "2025-06-18");
    answer(p, 200, headers, body);
}

static void call(struct peer *p)
{
    struct fixture *f = p->f;
    char body[600];
    const int id = atoi(strstr(p->in, "\"id\":") + 5);
    static const char json[] = "Content-Type: application/json\r\n",
                      events[] = "Content-Type: text/event-stream\r\n";
    if (f->mode == SILENT)
        return;
    if (f->mode == LOSES_ALWAYS || (f->mode == LOSES_ONCE && f->lost++ == 0)) {
        answer(p, 404, "", "Session not found");
    } else if (f->mode == FAILS) {
        (void)snprintf(body, sizeof body,
                       "{\"jsonrpc\":\"2.0\",\"id\":%d,\"error\":{\"code\":-32602,\"message\":\"bad\"}}", id);
        answer(p, 200, json, body);
    } else if (f->mode == GARBAGE) {
        answer(p, 200, json, "{\"jsonrpc\":");
    } else if (f->mode == LARGE) {
        char *big = malloc(40001);
        memset(big, ' ', 40000);
        big[40000] = '\0';
        answer(p, 200, json, big);
        free(big);
    } else if (f->mode == AS_EVENTS) {
        (void)snprintf(body, sizeof body,
                       "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}\n\n"
                       "data: {\"jsonrpc\":\"2.0\",\"id\":\"p1\",\"method\":\"ping\"}\n\n"
                       "data: {\"jsonrpc\":\"2.0\",\"id\":%d,\"result\":{\"ok\":\"events\"}}\n\n",
                       id);
        answer(p, 200, events, body);
    } else {
        (void)snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"result\":{\"ok\":\"json\"}}", id);
        answer(p, 200, json, body);
    }
}

static void handle(struct peer *p)
{
    struct fixture *f = p->f;
    if (strncmp(p->in, "GET", 3) == 0) {
        note(f, "GET");
        answer(p, 405, "", "");
    } else if (strncmp(p->in, "DELETE", 6) == 0) {
        note(f, strstr(p->in, "ession-Id: s") ? "DELETE" : "DELETE?");
        answer(p, 200, "", "");
    } else if (strstr(p->in, "\"initialize\"")) {
        note(f, "initialize");
        initialize(p);
    } else if (strstr(p->in, "notifications/initialized")) {
        note(f, strstr(p->in, "Protocol-Version: 2025-06-18") ? "initialized" : "initialized?");
        answer(p, 202, "", "");
    } else if (strstr(p->in, "notifications/cancelled")) {
        note(f, "cancelled");
        answer(p, 202, "", "");
    } else if (strstr(p->in, "\"id\":\"p1\",\"result\":{}")) {
        note(f, "pong");
        answer(p, 202, "", "");
    } else {
        note(f, strstr(p->in, "ession-Id: s") ? "call" : "call?");
        call(p);
    }
}

static void peer_alloc(uv_handle_t *h, size_t n, uv_buf_t *buf)
{
    struct peer *p = h->data;
    (void)n;
    *buf = uv_buf_init(p->in + p->len, (unsigned)(sizeof p->in - 1 - p->len));
}

static void peer_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct peer *p = s->data;
    (void)buf;
    if (n < 0) {
        peer_end(p);
        return;
    }
    p->len += (size_t)n;
    p->in[p->len] = '\0';
    const char *end = strstr(p->in, "\r\n\r\n"), *length = strcasestr(p->in, "Content-Length:");
    if (!end || p->out || (length && length < end && strlen(end + 4) < (size_t)atoi(length + 15)))
        return;
    handle(p);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct peer *p = calloc(1, sizeof *p);
    (void)status;
    p->f = server->data;
    uv_tcp_init(server->loop, &p->tcp);
    p->tcp.data = p;
    assert_int_equal(uv_accept(server, (uv_stream_t *)&p->tcp), 0);
    uv_read_start((uv_stream_t *)&p->tcp, peer_alloc, peer_read);
}

static int setup(void **state)
{
    static struct fixture f;
    struct error err;
    struct sockaddr_in at;
    int len = sizeof at;
    memset(&f, 0, sizeof f);
    *state = &f;
    uv_ip4_addr("127.0.0.1", 0, &at);
    if (uv_loop_init(&f.loop) != 0 || client_create(&f.loop, &f.client, &err) != 0)
        return -1;
    uv_tcp_init(&f.loop, &f.server);
    f.server.data = &f;
    uv_tcp_bind(&f.server, (struct sockaddr *)&at, 0);
    uv_listen((uv_stream_t *)&f.server, 8, on_connection);
    uv_tcp_getsockname(&f.server, (struct sockaddr *)&at, &len);
    f.port = ntohs(at.sin_port);
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/mcp", f.port);
    const struct mcp_options o = {
        .client = f.client, .url = url, .peer = "sidecar/test", .max_message = 32768, .begin_ms = 2000};
    return mcp_create(&o, &f.mcp, &err);
}

static void on_closed(void *ctx)
{
    ((struct fixture *)ctx)->closed = true;
}

static void wait_for(struct fixture *f, const bool *what)
{
    for (int i = 0; i < 1000 && !*what; i++)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_true(*what);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->mcp) {
        mcp_close(f->mcp, on_closed, f);
        wait_for(f, &f->closed);
    }
    uv_close((uv_handle_t *)&f->server, NULL);
    client_close(f->client, NULL, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    return uv_loop_close(&f->loop);
}

static void on_answer(void *ctx, struct arena *a, yyjson_val *result, const struct error *err)
{
    struct fixture *f = ctx;
    const char *ok = result ? yyjson_get_str(yyjson_obj_get(result, "ok")) : NULL;
    (void)a;
    f->answered = true;
    f->code = err ? err->code : 0;
    (void)snprintf(f->got, sizeof f->got, "%s", ok ? ok : err ? err->text : "");
}

static void ask(struct fixture *f, enum mode mode, bool repeat, int64_t ms)
{
    const struct mcp_request q = {.method = "tools/call",
                                  .params = "{}",
                                  .timeout_ms = ms,
                                  .repeat = repeat,
                                  .fn = on_answer,
                                  .ctx = f};
    f->mode = mode;
    f->answered = false;
    assert_int_equal(mcp_ask(f->mcp, &q, NULL), 0);
    wait_for(f, &f->answered);
}

static void settle(struct fixture *f, const char *word)
{
    for (int i = 0; i < 200 && !strstr(f->log, word); i++)
        uv_run(&f->loop, UV_RUN_ONCE);
    if (!strstr(f->log, word))
        fail_msg("%s is not in: %s", word, f->log);
}

static void test_json_and_session(void **state)
{
    struct fixture *f = *state;
    ask(f, AS_JSON, false, 2000);
    assert_int_equal(f->code, 0);
    assert_string_equal(f->got, "json");
    assert_string_equal(mcp_session(f->mcp), "s1");
    assert_string_equal(mcp_server(f->mcp)->name, "fake");
    settle(f, "initialized ");
    settle(f, "GET");
    mcp_close(f->mcp, on_closed, f);
    f->mcp = NULL;
    wait_for(f, &f->closed);
    assert_non_null(strstr(f->log, "DELETE "));
    assert_null(strchr(f->log, '?'));
}

static void test_events_and_ping(void **state)
{
    struct fixture *f = *state;
    ask(f, AS_EVENTS, false, 2000);
    assert_string_equal(f->got, "events");
    settle(f, "pong");
}

static void test_timeout_is_told(void **state)
{
    struct fixture *f = *state;
    ask(f, AS_JSON, false, 2000);
    ask(f, SILENT, false, 100);
    assert_int_equal(f->code, VX11_ETIMEOUT);
    settle(f, "cancelled");
}

static void test_lost_session(void **state)
{
    struct fixture *f = *state;
    ask(f, AS_JSON, false, 2000);
    ask(f, LOSES_ONCE, true, 2000); /* begins anew and asks again */
    assert_int_equal(f->code, 0);
    assert_string_equal(mcp_session(f->mcp), "s2");
    f->lost = 0;
    ask(f, LOSES_ONCE, false, 2000);
    assert_int_equal(f->code, VX11_ECLOSED);
    ask(f, AS_JSON, false, 2000); /* the next one finds a session again */
    assert_int_equal(f->code, 0);
    assert_string_equal(mcp_session(f->mcp), "s3");
    ask(f, LOSES_ALWAYS, true, 2000);
    assert_int_equal(f->code, VX11_ECLOSED);
}

static void test_bad_answers(void **state)
{
    struct fixture *f = *state;
    ask(f, FAILS, false, 2000);
    assert_int_equal(f->code, VX11_EINVALID);
    assert_non_null(strstr(f->got, "bad (-32602)"));
    ask(f, GARBAGE, false, 2000);
    assert_int_equal(f->code, VX11_ESYNTAX);
    ask(f, LARGE, false, 2000);
    assert_int_equal(f->code, VX11_ETOO_LARGE);
}

static void test_version(void **state)
{
    struct fixture *f = *state;
    ask(f, OLD_VERSION, false, 2000);
    assert_int_equal(f->code, VX11_EVERSION);
    ask(f, AS_JSON, false, 2000); /* it is tried again by the next one */
    assert_int_equal(f->code, 0);
}

static void test_drop(void **state)
{
    struct fixture *f = *state;
    struct mcp_call *call = NULL;
    const struct mcp_request q = {
        .method = "tools/call", .params = "{}", .timeout_ms = 5000, .fn = on_answer, .ctx = f};
    ask(f, AS_JSON, false, 2000);
    f->answered = false;
    f->mode = SILENT;
    assert_int_equal(mcp_ask(f->mcp, &q, &call), 0);
    for (int i = 0; i < 20; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    mcp_drop(call);
    settle(f, "cancelled");
    assert_false(f->answered);
    /* one that waits for its session, and a close while it does */
    assert_int_equal(mcp_ask(f->mcp, &q, &call), 0);
}

static void test_no_server(void **state)
{
    struct fixture *f = *state;
    struct mcp *other;
    struct error err;
    const struct mcp_options o = {
        .client = f->client, .url = "http://127.0.0.1:1/mcp", .peer = "sidecar/test"};
    const struct mcp_request q = {.method = "tools/list", .timeout_ms = 2000, .fn = on_answer, .ctx = f};
    assert_int_equal(mcp_create(&o, &other, &err), 0);
    assert_int_equal(mcp_ask(other, &q, NULL), 0);
    wait_for(f, &f->answered);
    assert_int_equal(f->code, VX11_EUNAVAILABLE);
    mcp_close(other, NULL, NULL);
    assert_int_equal(mcp_create(&(struct mcp_options){.client = f->client, .url = "ws://x/"}, &other, &err),
                     VX11_EINVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_json_and_session, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events_and_ping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timeout_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_session, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_server, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
