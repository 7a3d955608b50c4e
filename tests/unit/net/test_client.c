/* The client against a server that behaves, and one that does not: what goes out, what comes back, and which
 * error says so. */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "base/clock.h"
#include "script_server_calls.h"

static bool echo(struct script_conn *conn, const struct script_request *r)
{
    size_t len = strlen(r->head) + r->body_len;
    return script_printf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
                         len) &&
           script_puts(conn, r->head) && script_send(conn, r->body, r->body_len);
}

static bool misbehave(struct script_conn *conn, const struct script_request *r)
{
    const char *p = r->path;
    if (strcmp(p, "/garbage") == 0)
        return script_puts(conn, "SSH-2.0-OpenSSH_9.2\r\n") && false;
    if (strcmp(p, "/binary") == 0)
        return script_send(conn, "\0\1\2\3\xff\xfe\n\n\n\0\0", 11) && false;
    if (strcmp(p, "/cut") == 0)
        return script_puts(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this") && false;
    if (strcmp(p, "/cut-chunk") == 0)
        return script_puts(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n") &&
               false;
    if (strcmp(p, "/bad-chunk") == 0)
        return script_puts(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n") &&
               false;
    if (strcmp(p, "/bad-length") == 0)
        return script_puts(conn, "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello") && false;
    if (strcmp(p, "/more") == 0)
        return script_puts(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more") && false;
    if (strcmp(p, "/nothing") == 0)
        return false;
    if (strcmp(p, "/half-header") == 0)
        return script_puts(conn, "HTTP/1.1 200 OK\r\nContent-Le") && false;
    if (strcmp(p, "/until-close") == 0)
        return script_puts(conn, "HTTP/1.1 200 OK\r\n\r\nuntil the end") && false;
    if (strcmp(p, "/interim") == 0)
        return script_puts(
            conn,
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 201 Created\r\nContent-Type: a/b\r\n"
            "Content-Length: 2\r\n\r\nok");
    if (strcmp(p, "/trailer") == 0)
        return script_puts(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: "
                                 "X-End\r\n\r\n2\r\nok\r\n0\r\nX-End: 1\r\n"
                                 "\r\n");
    if (strcmp(p, "/redirect") == 0)
        return script_puts(conn, "HTTP/1.1 302 Found\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n");
    if (strcmp(p, "/empty") == 0)
        return script_puts(conn, "HTTP/1.1 204 No Content\r\n\r\n");
    if (strcmp(p, "/many-headers") == 0) {
        if (!script_puts(conn, "HTTP/1.1 200 OK\r\n"))
            return false;
        for (int i = 0; i < 10000; i++)
            if (!script_printf(conn, "X-Header-%d: %080d\r\n", i, i))
                return false;
        return script_puts(conn, "\r\n");
    }
    if (strcmp(p, "/long-header") == 0) {
        if (!script_puts(conn, "HTTP/1.1 200 OK\r\nX-Long: "))
            return false;
        for (int i = 0; i < 4096; i++)
            if (!script_puts(conn, "0123456789012345678901234567890123456789012345678901234567890123456789"))
                return false;
        return script_puts(conn, "\r\n\r\n");
    }
    return echo(conn, r);
}

static void test_what_is_sent(void **state)
{
    struct calls t;
    struct seen s = {0};
    const struct client_header extra[] = {{"X-One", "1"}, {"X-Empty", ""}};
    const struct client_call_options o = {.request_id = "01HZX",
                                          .trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                          .deadline_ms = clock_mono_ms() + 4000,
                                          .headers = extra,
                                          .header_count = 2};
    (void)state;
    calls_open(&t, NULL, echo);
    t.target.token = "secret-token";
    calls_start(&t, &s, "POST", "/v1/chat?x=1", "{\"a\":1}", &o);
    calls_wait(&t, &s.done);
    assert_int_equal(s.code, 0);
    assert_int_equal(s.status, 200);
    assert_string_equal(s.type, "text/plain");
    assert_non_null(strstr(s.body.data, "POST /v1/chat?x=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(s.body.data, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(s.body.data, "\r\nAuthorization: Bearer secret-token\r\n"));
    assert_non_null(strstr(s.body.data, "\r\nX-Request-Id: 01HZX\r\n"));
    assert_non_null(
        strstr(s.body.data, "\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"));
    assert_non_null(strstr(s.body.data, "\r\nX-One: 1\r\nX-Empty:"));
    assert_non_null(strstr(s.body.data, "\r\nUser-Agent: vx11/"));
    assert_null(strstr(s.body.data, "Accept-Encoding"));
    const char *left = strstr(s.body.data, "\r\nX-Request-Deadline-Ms: ");
    assert_non_null(left);
    long ms = strtol(left + 25, NULL, 10);
    assert_in_range(ms, 3000, 3900);
    assert_non_null(strstr(s.body.data, "\r\n\r\n{\"a\":1}"));
    assert_true(s.connect_s >= 0 && s.first_byte_s >= s.connect_s && s.total_s >= s.first_byte_s);
    buf_free(&s.body);
    calls_close(&t);
}

static void expect_sent(struct calls *t, const char *method, const char *path, const char *body,
                        const char *start, const char *has)
{
    struct seen s = {0};
    calls_start(t, &s, method, path, body, NULL);
    calls_wait(t, &s.done);
    assert_int_equal(s.code, 0);
    if (start)
        assert_int_equal(strncmp(s.body.data, start, strlen(start)), 0);
    else
        assert_int_equal(s.body.len, 0);
    if (has)
        assert_non_null(strstr(s.body.data, has));
    if (start && !body)
        assert_null(strstr(s.body.data, "Content-Type"));
    buf_free(&s.body);
}

static bool echo_or_head(struct script_conn *conn, const struct script_request *r)
{
    if (strcmp(r->method, "HEAD") == 0)
        return script_puts(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    return echo(conn, r);
}

/* One handle after the other method: nothing of the last request may remain. */
static void test_methods(void **state)
{
    struct calls t;
    (void)state;
    calls_open(&t, NULL, echo_or_head);
    for (int i = 0; i < 2; i++) {
        expect_sent(&t, "GET", "/a", NULL, "GET /a HTTP/1.1\r\n", NULL);
        expect_sent(&t, "POST", "/a", "body", "POST /a HTTP/1.1\r\n", "\r\nContent-Length: 4\r\n");
        expect_sent(&t, "GET", "/b/../c", NULL, "GET /b/../c HTTP/1.1\r\n", NULL);
        expect_sent(&t, "POST", "/a", NULL, "POST /a HTTP/1.1\r\n", "\r\nContent-Length: 0\r\n");
        expect_sent(&t, "HEAD", "/a", NULL, NULL, NULL);
        expect_sent(&t, "PUT", "/a", "x", "PUT /a HTTP/1.1\r\n", "\r\n\r\nx");
        expect_sent(&t, "DELETE", "/a", NULL, "DELETE /a HTTP/1.1\r\n", NULL);
        expect_sent(&t, "HEAD", "/a", NULL, NULL, NULL);
        expect_sent(&t, "DELETE", "/a", "why", "DELETE /a HTTP/1.1\r\n", "\r\n\r\nwhy");
        expect_sent(&t, "PATCH", "/a", "{}", "PATCH /a HTTP/1.1\r\n", "\r\n\r\n{}");
    }
    assert_int_equal(script_server_connections(t.server), 1);
    calls_close(&t);
}

static void expect_refused(struct calls *t, const struct client_target *target, const char *method,
                           const char *path, const struct client_header *header)
{
    const struct client_call_options o = {.headers = header, .header_count = header ? 1 : 0};
    struct client_call *call = (struct client_call *)t;
    struct error err = {0};
    int rc =
        client_start(t->client, target, method, path, NULL, NULL, 0, &o, &calls_events, NULL, &call, &err);
    assert_int_equal(rc, VX11_EINVALID);
    assert_true(err.text[0] != 0);
    assert_null(strstr(err.text, "secret"));
    assert_null(call);
}

static void test_bad_arguments(void **state)
{
    struct calls t;
    (void)state;
    calls_open(&t, NULL, echo);
    static const char *const bases[] = {"ftp://a",
                                        "http://",
                                        "",
                                        "127.0.0.1:80",
                                        "http:///x",
                                        "file:///etc/passwd",
                                        "http://u:secret@127.0.0.1",
                                        "http://127.0.0.1 HTTP/1.1\r\nX: y"};
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++)
        expect_refused(&t, &(struct client_target){.base_url = bases[i]}, "GET", "/", NULL);
    static const char *const paths[] = {"a", "/a b", "/a\r\nX: y", "/\xc3\xa9", "/a#b", "/\x7f"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        expect_refused(&t, &t.target, "GET", paths[i], NULL);
    expect_refused(&t, &t.target, "get", "/", NULL);
    expect_refused(&t, &t.target, "GET / HTTP/1.1\r\n", "/", NULL);
    expect_refused(&t, &t.target, "", "/", NULL);
    static const struct client_header headers[] = {{"X", "a\r\nY: b"},
                                                   {"X y", "a"},
                                                   {"", "a"},
                                                   {"Content-Length", "5"},
                                                   {"transfer-encoding", "chunked"}};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        expect_refused(&t, &t.target, "GET", "/", &headers[i]);
    struct client_target evil = t.target;
    evil.token = "secret\r\nX: y";
    expect_refused(&t, &evil, "GET", "/", NULL);
    calls_close(&t);
}

static void expect_reply(struct calls *t, const char *path, int code, int status, const char *body,
                         const char *text)
{
    struct seen s;
    assert_int_equal(calls_get(t, &s, path, NULL), code);
    assert_int_equal(s.status, status);
    assert_string_equal(s.body.data ? s.body.data : "", body);
    if (text && strstr(s.text, text) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", path, s.text, text);
    if (code != 0)
        assert_non_null(strstr(s.text, t->target.socket ? "the socket /" : calls_host));
    buf_free(&s.body);
}

static void test_bad_replies(void **state)
{
    struct calls t;
    struct seen s;
    (void)state;
    calls_open(&t, NULL, misbehave);
    expect_reply(&t, "/garbage", VX11_ECORRUPT, 0, "", "did not answer in HTTP");
    expect_reply(&t, "/binary", VX11_ECORRUPT, 0, "", "did not answer in HTTP");
    expect_reply(&t, "/cut", VX11_ECLOSED, 200, "only this", "after 9 bytes");
    expect_reply(&t, "/cut-chunk", VX11_ECLOSED, 200, "hello", "after 5 bytes");
    expect_reply(&t, "/bad-chunk", VX11_ECORRUPT, 200, "", "chunked");
    expect_reply(&t, "/bad-length", VX11_ECORRUPT, 0, "", "did not answer in HTTP");
    expect_reply(&t, "/more", 0, 200, "hello", NULL);
    expect_reply(&t, "/nothing", VX11_ECLOSED, 0, "", "before it answered");
    expect_reply(&t, "/half-header", VX11_ECLOSED, 0, "", NULL);
    expect_reply(&t, "/until-close", 0, 200, "until the end", NULL);
    expect_reply(&t, "/interim", 0, 201, "ok", NULL);
    expect_reply(&t, "/trailer", 0, 200, "ok", NULL);
    expect_reply(&t, "/redirect", 0, 302, "", NULL);
    expect_reply(&t, "/empty", 0, 204, "", NULL);
    assert_int_equal(calls_get(&t, &s, "/many-headers", NULL), VX11_ETOO_LARGE);
    assert_int_equal(calls_get(&t, &s, "/long-header", NULL), VX11_ETOO_LARGE);
    assert_int_equal(calls_get(&t, &s, "/fine", NULL), 0);
    buf_free(&s.body);
    calls_close(&t);
}

static void test_tls_without_tls(void **state)
{
    struct calls t;
    struct seen s;
    char want[64];
    (void)state;
    calls_open(&t, NULL, echo);
    snprintf(want, sizeof want, "TLS with 127.0.0.1:%d failed: ", script_server_port(t.server));
    snprintf(t.base, sizeof t.base, "https://127.0.0.1:%d/v1/", script_server_port(t.server));
    t.target.token = "secret";
    assert_int_equal(calls_get(&t, &s, "/?key=secret", NULL), VX11_EIO);
    assert_int_equal(strncmp(s.text, want, strlen(want)), 0);
    assert_null(strstr(s.text, "secret"));
    calls_close(&t);
}

static void test_no_connection(void **state)
{
    struct calls t;
    struct seen s;
    (void)state;
    calls_open(&t, NULL, echo);
    int port = script_server_port(t.server);
    script_server_stop(t.server);
    t.server = NULL;
    assert_int_equal(calls_get(&t, &s, "/", NULL), VX11_EUNAVAILABLE);
    char want[128];
    snprintf(want, sizeof want, "cannot connect to %s:%d: Connection refused", calls_host, port);
    assert_string_equal(s.text, want);
    assert_true(s.connect_s < 0 && s.first_byte_s < 0 && s.total_s >= 0);

    t.target = (struct client_target){.base_url = "http://localhost", .socket = "/nonexistent/no.sock"};
    assert_int_equal(calls_get(&t, &s, "/", NULL), VX11_EUNAVAILABLE);
    assert_string_equal(s.text,
                        "cannot connect to the socket /nonexistent/no.sock: No such file or directory");

    char longer[300];
    memset(longer, 'x', sizeof longer);
    longer[0] = '/';
    longer[sizeof longer - 1] = 0;
    t.target.socket = longer;
    assert_int_equal(calls_get(&t, &s, "/", NULL), VX11_EUNAVAILABLE);

    t.target = (struct client_target){.base_url = "http://name.invalid"};
    assert_int_equal(calls_get(&t, &s, "/", NULL), VX11_EUNAVAILABLE);
    assert_string_equal(s.text, "cannot find the address of name.invalid");
    calls_close(&t);
}

static void test_unix_socket(void **state)
{
    struct calls t;
    char dir[] = "/tmp/vx11-client-XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s.sock", dir);
    calls_open(&t, path, misbehave);
    for (int i = 0; i < 20; i++)
        expect_sent(&t, "POST", "/a", "body", "POST /a HTTP/1.1\r\nHost: localhost\r\n", "\r\n\r\nbody");
    assert_int_equal(script_server_connections(t.server), 1);
    expect_reply(&t, "/cut", VX11_ECLOSED, 200, "only this", "after 9 bytes");
    calls_close(&t);
    assert_int_equal(rmdir(dir), 0);
}

/* The same handle goes to a socket, to TCP, to another socket. */
static void test_targets_do_not_mix(void **state)
{
    struct calls t;
    struct seen s;
    char dir[] = "/tmp/vx11-client-XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s.sock", dir);
    calls_open(&t, NULL, echo);
    struct script_server *other = script_server_start(path, misbehave);
    const struct client_target tcp = t.target, un = {.base_url = "http://localhost", .socket = path};
    for (int i = 0; i < 4; i++) {
        t.target = i % 2 ? un : tcp;
        assert_int_equal(calls_get(&t, &s, "/interim", NULL), 0);
        assert_int_equal(s.status, i % 2 ? 201 : 200);
        buf_free(&s.body);
    }
    assert_int_equal(script_server_connections(t.server), 1);
    assert_int_equal(script_server_connections(other), 1);
    script_server_stop(other);
    calls_close(&t);
    assert_int_equal(rmdir(dir), 0);
}

static bool close_after_one(struct script_conn *conn, const struct script_request *r)
{
    return echo(conn, r) && false; /* without saying so in a header */
}

static bool silent_second(struct script_conn *conn, const struct script_request *r)
{
    return conn->requests == 0 && echo(conn, r); /* takes the second request, closes without a byte */
}

static void test_stale_connection(void **state)
{
    struct calls t;
    struct seen s;
    (void)state;
    calls_open(&t, NULL, close_after_one);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(calls_get(&t, &s, "/", NULL), 0);
        buf_free(&s.body);
        calls_run_ms(&t, 20);
    }
    assert_int_equal(script_server_connections(t.server), 5);
    calls_close(&t);

    calls_open(&t, NULL, silent_second);
    for (int i = 0; i < 5; i++) {
        s = (struct seen){0};
        calls_start(&t, &s, "POST", "/", "again", NULL);
        calls_wait(&t, &s.done);
        assert_int_equal(s.code, 0);
        assert_non_null(strstr(s.body.data, "\r\n\r\nagain"));
        buf_free(&s.body);
    }
    assert_int_equal(script_server_requests(t.server), 9);
    calls_close(&t);
}

static void test_reuse(void **state)
{
    struct calls t;
    struct seen s, many[64];
    (void)state;
    calls_open(&t, NULL, echo);
    assert_int_equal(calls_get(&t, &s, "/", NULL), 0);
    buf_free(&s.body);
    int fds = calls_count_fds();
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(calls_get(&t, &s, "/again", NULL), 0);
        buf_free(&s.body);
    }
    assert_int_equal(calls_count_fds(), fds);
    assert_int_equal(script_server_connections(t.server), 1);
    for (int round = 0; round < 10; round++) {
        memset(many, 0, sizeof many);
        for (int i = 0; i < 64; i++)
            calls_start(&t, &many[i], "POST", "/many", "{}", NULL);
        for (int i = 0; i < 64; i++) {
            calls_wait(&t, &many[i].done);
            assert_int_equal(many[i].code, 0);
            buf_free(&many[i].body);
        }
    }
    /* Each connection has two ends in this process; a fast answer frees its connection for the next call. */
    assert_int_equal(calls_count_fds(), fds + 2 * (script_server_connections(t.server) - 1));
    assert_in_range(script_server_connections(t.server), 1, 64);
    calls_close(&t);
}

static void start_next(struct seen *s)
{
    int *left = s->user;
    struct calls *t = s->calls;
    buf_free(&s->body);
    if (--*left == 0)
        return;
    *s = (struct seen){.at_done = start_next, .user = left};
    calls_start(t, s, "GET", "/", NULL, NULL);
    s->done = 0;
}

static void test_start_from_done(void **state)
{
    struct calls t;
    int left = 50;
    struct seen s = {.at_done = start_next, .user = &left};
    (void)state;
    calls_open(&t, NULL, echo);
    calls_start(&t, &s, "GET", "/", NULL, NULL);
    while (left > 0)
        uv_run(&t.loop, UV_RUN_ONCE);
    assert_int_equal(script_server_requests(t.server), 50);
    calls_close(&t);
}

/* The loop ends by itself when no call is left, and not before. */
static void test_loop_ends(void **state)
{
    struct calls t;
    struct seen s = {0};
    (void)state;
    calls_open(&t, NULL, echo);
    assert_int_equal(uv_run(&t.loop, UV_RUN_DEFAULT), 0);
    calls_start(&t, &s, "GET", "/", NULL, NULL);
    assert_int_equal(uv_run(&t.loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(s.done, 1);
    buf_free(&s.body);
    calls_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_sent),     cmocka_unit_test(test_methods),
        cmocka_unit_test(test_bad_arguments),    cmocka_unit_test(test_bad_replies),
        cmocka_unit_test(test_tls_without_tls),  cmocka_unit_test(test_no_connection),
        cmocka_unit_test(test_unix_socket),      cmocka_unit_test(test_targets_do_not_mix),
        cmocka_unit_test(test_stale_connection), cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_start_from_done),  cmocka_unit_test(test_loop_ends),
    };
    CALLS_RETURN(tests);
}
