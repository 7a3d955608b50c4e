/* Server, bad input: every refusal, its status and its shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "raw_client.h"
#include "server_fixture.h"

#define HOST "Host: localhost\r\n"

static struct fixture f;

static int setup(void **state)
{
    (void)state;
    fixture_prepare(&f);
    f.options.header_timeout_ms = 300;
    return fixture_start(&f);
}

static int teardown(void **state)
{
    (void)state;
    fixture_stop(&f);
    return 0;
}

static void expect(const struct raw_reply *r, int status, const char *code)
{
    char want[80];
    assert_int_equal(r->status, status);
    assert_true(r->complete);
    snprintf(want, sizeof want, "\"code\":\"%s\"", code);
    if (!strstr(r->body.data, want))
        fail_msg("%s is not in %s", want, r->body.data);
    assert_non_null(strstr(r->body.data, "\"error\":{\"message\":\""));
    assert_non_null(strstr(r->body.data, "\"request_id\":\""));
    assert_string_equal(raw_header(r, "Content-Type"), "application/json");
}

static void refused(int status, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void refused(int status, const char *code, const char *fmt, ...)
{
    struct raw_reply r;
    struct buf b = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&b, fmt, args);
    va_end(args);
    int fd = raw_tcp(f.port);
    raw_send(fd, b.data, b.len);
    raw_read(fd, false, &r);
    expect(&r, status, code);
    raw_close(fd);
    buf_free(&b);
    raw_reply_free(&r);
}

static void test_body_declared_too_large(void **state)
{
    static char chunk[1 << 20];
    struct raw_reply r;
    (void)state;
    refused(413, "body_too_large", "POST /t/raw HTTP/1.1\r\n" HOST "Content-Length: 1025\r\n\r\n");
    refused(413, "body_too_large",
            "POST /t/raw HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n\r\n");
    /* 64 MB that are really sent: the client still gets to read the refusal. */
    int fd = raw_tcp(f.port);
    raw_printf(fd, "POST /t/raw HTTP/1.1\r\n" HOST "Content-Length: 67108864\r\n\r\n");
    for (int i = 0; i < 64; i++)
        raw_send(fd, chunk, sizeof chunk);
    raw_read(fd, false, &r);
    expect(&r, 413, "body_too_large");
    raw_reply_free(&r);
    raw_close(fd);
    fd = raw_tcp(f.port);
    raw_printf(fd, "POST /t/raw HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n");
    raw_read(fd, false, &r); /* without a 100 first */
    expect(&r, 413, "body_too_large");
    assert_null(strstr(r.head, "100 Continue"));
    raw_reply_free(&r);
    raw_close(fd);
}

static void test_body_chunked_too_large(void **state)
{
    static char data[65536];
    struct raw_reply r;
    (void)state;
    int fd = raw_tcp(f.port);
    raw_printf(fd, "POST /t/raw HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 200; i++) {
        raw_printf(fd, "10000\r\n");
        raw_send(fd, data, sizeof data);
        raw_printf(fd, "\r\n");
    }
    raw_read(fd, false, &r);
    expect(&r, 413, "body_too_large");
    raw_reply_free(&r);
    raw_close(fd);
    /* Within the bound it is taken. */
    fd = raw_tcp(f.port);
    raw_printf(fd, "POST /t/raw HTTP/1.1\r\n" HOST
                   "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
    raw_read(fd, false, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.data, "hello world");
    raw_reply_free(&r);
    raw_close(fd);
}

static void test_head_too_large(void **state)
{
    static char filler[70000];
    struct raw_reply r;
    (void)state;
    memset(filler, 'x', sizeof filler - 1);
    refused(431, "headers_too_large", "GET /t/control HTTP/1.1\r\n" HOST "X-Filler: %.17000s\r\n\r\n",
            filler);
    refused(414, "target_too_long", "GET /%.9000s HTTP/1.1\r\n" HOST "\r\n", filler);
    int fd = raw_tcp(f.port); /* past what MHD itself holds */
    raw_printf(fd, "GET /t/control HTTP/1.1\r\n" HOST "X-Filler: %s\r\n\r\n", filler);
    raw_read(fd, false, &r);
    assert_int_equal(r.status, 431);
    raw_reply_free(&r);
    raw_close(fd);
    fd = raw_tcp(f.port);
    raw_printf(fd, "GET /%s HTTP/1.1\r\n" HOST "\r\n", filler);
    raw_read(fd, false, &r);
    assert_int_equal(r.status, 414);
    raw_reply_free(&r);
    raw_close(fd);
    raw_once(f.port, &r, "GET /t/control HTTP/1.1\r\n" HOST "X-Filler: %.15000s\r\n\r\n", filler);
    assert_int_equal(r.status, 200);
    raw_reply_free(&r);
}

static void test_unknown(void **state)
{
    struct raw_reply r;
    (void)state;
    refused(401, "missing_token", "GET /nowhere HTTP/1.1\r\n" HOST "\r\n");
    refused(404, "route_not_found", "GET /nowhere HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n\r\n",
            f.token_read);
    refused(404, "route_not_found", "GET /t/control/ HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n\r\n",
            f.token_read);
    refused(400, "invalid_path", "GET /t/%%zz HTTP/1.1\r\n" HOST "\r\n");
    refused(400, "invalid_path", "GET /t/%%00 HTTP/1.1\r\n" HOST "\r\n");
    refused(400, "invalid_path", "GET /t/files/../../etc HTTP/1.1\r\n" HOST "\r\n");
    refused(400, "invalid_path", "GET /t/files/%%2e%%2e/x HTTP/1.1\r\n" HOST "\r\n");
    refused(400, "invalid_path", "GET /t/files/%%ff HTTP/1.1\r\n" HOST "\r\n");
    raw_once(f.port, &r, "DELETE /t/items/x HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n\r\n",
             f.token_read);
    expect(&r, 405, "method_not_allowed");
    assert_string_equal(raw_header(&r, "Allow"), "GET, HEAD");
    raw_reply_free(&r);
    refused(405, "method_not_allowed", "BREW /t/items/x HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n\r\n",
            f.token_read);
    refused(501, "unknown_method", "BREWBREWBREWBREWBREW /t/items/x HTTP/1.1\r\n" HOST "\r\n");
}

static void echo(int status, const char *code, const char *type, const char *body)
{
    refused(
        status, code,
        "POST /t/echo HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n%s%s%sContent-Length: %zu\r\n\r\n%s",
        f.token_chat, type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "", strlen(body), body);
}

static void test_bodies(void **state)
{
    struct raw_reply r;
    (void)state;
    echo(422, "invalid_json", NULL, "{\"text\":");
    echo(422, "invalid_json", NULL, "{\"text\":\"a\"} x");
    echo(422, "invalid_json", NULL, "{\"text\":\"\xff\xfe\"}");
    echo(422, "invalid_value", NULL, "{\"text\":7}");
    echo(422, "invalid_value", NULL, "{\"n\":3}");
    echo(422, "invalid_value", NULL, "");
    echo(422, "invalid_value", NULL, "[]");
    echo(415, "unsupported_media_type", "text/plain", "{\"text\":\"a\"}");
    echo(415, "unsupported_media_type", "application/json; charset=latin1", "{\"text\":\"a\"}");
    echo(415, "unsupported_media_type", "application/x-www-form-urlencoded", "text=a");
    refused(415, "unsupported_encoding",
            "POST /t/raw HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc");
    /* The pointer names the place. */
    raw_once(f.port, &r,
             "POST /t/echo HTTP/1.1\r\n" HOST
             "X-VX11-Token: %s\r\nContent-Length: 22\r\n\r\n{\"text\":\"a\",\"n\": 11.0}",
             f.token_chat);
    assert_int_equal(r.status, 422);
    assert_non_null(strstr(r.body.data, "\"param\":\"/n\""));
    raw_reply_free(&r);
    /* Nested far too deep, and a thousand megabytes worth of nothing in a duplicate. */
    struct buf deep = BUF_INIT;
    buf_puts(&deep, "{\"text\":\"a\",\"any\":");
    for (int i = 0; i < 20000; i++)
        buf_putc(&deep, '[');
    for (int i = 0; i < 20000; i++)
        buf_putc(&deep, ']');
    buf_putc(&deep, '}');
    raw_once(f.port, &r, "POST /t/echo HTTP/1.1\r\n" HOST "X-VX11-Token: %s\r\nContent-Length: %zu\r\n\r\n%s",
             f.token_chat, deep.len, deep.data);
    assert_int_equal(r.status, 422);
    raw_reply_free(&r);
    buf_free(&deep);
}

static void test_framing(void **state)
{
    struct raw_reply r;
    (void)state;
    refused(400, "ambiguous_length",
            "POST /t/raw HTTP/1.1\r\n" HOST
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    refused(400, "repeated_header",
            "POST /t/raw HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc");
    refused(400, "repeated_header", "GET /t/control HTTP/1.1\r\n" HOST "Host: localhost\r\n\r\n");
    refused(501, "unsupported_transfer_encoding",
            "POST /t/raw HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\nabc");
    refused(417, "unknown_expectation",
            "POST /t/raw HTTP/1.1\r\n" HOST "Expect: pigs\r\nContent-Length: 3\r\n\r\nabc");
    refused(400, "invalid_deadline",
            "GET /t/control HTTP/1.1\r\n" HOST "X-Request-Deadline-Ms: soon\r\n\r\n");
    refused(400, "invalid_path", "POST /%%zz HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\nabc");
    raw_once(f.port, &r,
             "GET /t/control HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n"); /* for no body at all */
    assert_int_equal(r.status, 200);
    raw_reply_free(&r);
    int fd = raw_tcp(f.port); /* refused, its body read: the connection goes on */
    raw_printf(fd, "POST /t/act HTTP/1.1\r\n" HOST
                   "Content-Length: 5\r\n\r\nhelloGET /t/control HTTP/1.1\r\n" HOST "\r\n");
    raw_read(fd, false, &r);
    assert_int_equal(r.status, 401);
    raw_reply_free(&r);
    raw_read(fd, false, &r);
    assert_int_equal(r.status, 200);
    raw_reply_free(&r);
    raw_close(fd);
    fd = raw_tcp(f.port);
    raw_printf(fd, "\x16\x03\x01\x02junk\r\n\r\n");
    assert_true(raw_closed(fd));
    raw_close(fd);
}

static void test_slow_senders(void **state)
{
    struct raw_reply r;
    (void)state;
    int silent = raw_tcp(f.port), head = raw_tcp(f.port), body = raw_tcp(f.port), streamed = raw_tcp(f.port);
    raw_printf(head, "GET /t/control HTTP/1.1\r\nHost: loc");
    raw_printf(body, "POST /t/raw HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nonly this");
    raw_printf(streamed, "POST /t/upload HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nonly this");
    assert_true(raw_closed(silent));
    raw_read(head, false, &r);
    assert_int_equal(r.status, 408);
    raw_reply_free(&r);
    raw_read(body, false, &r);
    expect(&r, 408, "request_timeout");
    raw_reply_free(&r);
    assert_true(raw_closed(streamed));
    raw_close(silent);
    raw_close(head);
    raw_close(body);
    raw_close(streamed);
}

static void test_uploads(void **state)
{
    static char data[1 << 20];
    struct raw_reply r;
    (void)state;
    int fd = raw_tcp(f.port);
    raw_printf(fd, "POST /t/upload HTTP/1.1\r\n" HOST "Content-Length: 16777216\r\n\r\n");
    for (int i = 0; i < 16; i++)
        raw_send(fd, data, sizeof data);
    raw_read(fd, false, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.data, "16777216");
    raw_reply_free(&r);
    raw_printf(fd, "POST /t/upload?slow HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        raw_printf(fd, "2000\r\n");
        raw_send(fd, data, 0x2000);
        raw_printf(fd, "\r\n");
    }
    raw_printf(fd, "0\r\n\r\n");
    raw_read(fd, false, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.data, "163840");
    raw_reply_free(&r);
    raw_close(fd);
    /* The handler has had enough in the middle. */
    fd = raw_tcp(f.port);
    raw_printf(fd, "POST /t/upload?enough HTTP/1.1\r\n" HOST "Content-Length: 33554432\r\n\r\n");
    for (int i = 0; i < 32; i++)
        raw_send(fd, data, sizeof data);
    raw_read(fd, false, &r);
    expect(&r, 409, "enough");
    raw_reply_free(&r);
    raw_close(fd);
    fd = raw_tcp(f.port);
    raw_printf(fd, "POST /t/upload?refuse HTTP/1.1\r\n" HOST "Content-Length: 33554432\r\n\r\n");
    for (int i = 0; i < 32; i++)
        raw_send(fd, data, sizeof data);
    raw_read(fd, false, &r);
    expect(&r, 409, "refused");
    raw_reply_free(&r);
    raw_close(fd);
    /* The client leaves in the middle. */
    fd = raw_tcp(f.port);
    int before = atomic_load(&f.cancels);
    raw_printf(fd, "POST /t/upload HTTP/1.1\r\n" HOST "Content-Length: 33554432\r\n\r\nsome");
    usleep(20000);
    raw_close(fd);
    assert_true(fixture_eventually(&f.cancels, before + 1));
}

static void test_too_many_connections(void **state)
{
    struct fixture small;
    struct raw_reply r;
    int held[4];
    (void)state;
    fixture_prepare(&small);
    small.options.max_connections = 4;
    assert_int_equal(fixture_start(&small), 0);
    for (int i = 0; i < 4; i++) {
        held[i] = raw_tcp(small.port);
        raw_printf(held[i], "GET /t/control HTTP/1.1\r\n" HOST "\r\n");
        raw_read(held[i], false, &r);
        assert_int_equal(r.status, 200);
        raw_reply_free(&r);
    }
    raw_once(small.port, &r, "GET /t/control HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.body.data, "too_many_connections"));
    raw_reply_free(&r);
    assert_true(fixture_metric(&small, METRIC_COUNTER, "vx11_http_connections_refused_total", NULL) >= 1);
    raw_close(held[0]);
    for (int i = 0; i < 100; i++) { /* room again, as soon as the server has noticed */
        usleep(2000);
        raw_once(small.port, &r, "GET /t/control HTTP/1.1\r\n" HOST "\r\n");
        int status = r.status;
        raw_reply_free(&r);
        if (status == 200)
            break;
        assert_true(i < 99);
    }
    for (int i = 1; i < 4; i++)
        raw_close(held[i]);
    fixture_stop(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_declared_too_large),
        cmocka_unit_test(test_body_chunked_too_large),
        cmocka_unit_test(test_head_too_large),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_slow_senders),
        cmocka_unit_test(test_uploads),
        cmocka_unit_test(test_too_many_connections),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
