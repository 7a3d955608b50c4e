/* Server, the plain exchanges: what a well-behaved client sees. */
#include <dirent.h>
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
    return fixture_start(&f);
}

static int teardown(void **state)
{
    (void)state;
    fixture_stop(&f);
    return 0;
}

static void post_echo(int fd, const char *body)
{
    raw_printf(fd,
               "POST /t/echo HTTP/1.1\r\n" HOST
               "Authorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
               f.token_chat, strlen(body), body);
}

static void test_echo(void **state)
{
    struct raw_reply r;
    (void)state;
    int fd = raw_tcp(f.port);
    for (int i = 0; i < 3; i++) { /* the same connection */
        post_echo(fd, "{\"text\":\"héllo\",\"n\":3}");
        raw_read(fd, false, &r);
        assert_int_equal(r.status, 200);
        assert_string_equal(r.body.data, "{\"text\":\"héllo\",\"n\":3}");
        assert_string_equal(raw_header(&r, "Content-Type"), "application/json");
        assert_int_equal(strlen(raw_header(&r, "X-Request-Id")), 26);
        raw_reply_free(&r);
    }
    raw_close(fd);
}

static void test_later(void **state)
{
    struct raw_reply r;
    (void)state;
    int fd = raw_tcp(f.port);
    for (int i = 0; i < 3; i++) {
        raw_printf(fd, "POST /t/later HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
        raw_read(fd, false, &r);
        assert_int_equal(r.status, 200);
        assert_string_equal(r.body.data, "later");
        raw_reply_free(&r);
    }
    raw_close(fd);
}

static void test_pipelined(void **state)
{
    struct raw_reply r;
    (void)state;
    int fd = raw_tcp(f.port);
    raw_printf(fd, "POST /t/later HTTP/1.1\r\n" HOST
                   "Content-Length: 4\r\n\r\nbodyGET /t/control HTTP/1.1\r\n" HOST
                   "\r\nPOST /t/raw HTTP/1.1\r\n" HOST
                   "Content-Length: 3\r\n\r\nabcGET /nowhere HTTP/1.1\r\n" HOST "\r\n");
    const char *bodies[] = {"later", "ok", "abc"};
    for (int i = 0; i < 3; i++) {
        raw_read(fd, false, &r);
        assert_int_equal(r.status, 200);
        assert_string_equal(r.body.data, bodies[i]);
        raw_reply_free(&r);
    }
    raw_read(fd, false, &r);
    assert_int_equal(r.status, 401);
    raw_reply_free(&r);
    raw_close(fd);
}

static void test_head(void **state)
{
    struct raw_reply r;
    (void)state;
    int fd = raw_tcp(f.port);
    raw_printf(fd, "HEAD /t/control HTTP/1.1\r\n" HOST "\r\n");
    raw_read(fd, true, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(raw_header(&r, "Content-Length"), "2");
    raw_reply_free(&r);
    raw_printf(fd, "HEAD /t/stream HTTP/1.1\r\n" HOST "\r\n"); /* headers of a stream, and no byte of it */
    raw_read(fd, true, &r);
    assert_int_equal(r.status, 200);
    raw_reply_free(&r);
    raw_printf(fd, "GET /t/control HTTP/1.1\r\n" HOST "\r\n");
    raw_read(fd, false, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.data, "ok");
    raw_reply_free(&r);
    raw_close(fd);
}

static void test_params(void **state)
{
    struct raw_reply r;
    (void)state;
    raw_once(f.port, &r,
             "GET /t/items/a%%20b%%2Fc?limit=7&other=1&id=evil HTTP/1.1\r\n" HOST "X-VX11-Token: %s\r\n\r\n",
             f.token_read);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.data, "{\"id\":\"a b/c\",\"limit\":7}");
    raw_reply_free(&r);
    raw_once(f.port, &r, "GET /t/items/x?limit=700 HTTP/1.1\r\n" HOST "X-VX11-Token: %s\r\n\r\n",
             f.token_read);
    assert_int_equal(r.status, 422);
    assert_non_null(strstr(r.body.data, "\"param\":\"limit\""));
    raw_reply_free(&r);
    raw_once(f.port, &r, "GET /t/files/a/b%%20c/d HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.data, "/t/files/a/b c/d");
    raw_reply_free(&r);
    raw_once(f.port, &r, "GET http://localhost/t/control HTTP/1.1\r\nHost: evil\r\n\r\n");
    assert_int_equal(r.status, 200);
    raw_reply_free(&r);
}

static void test_request_id_and_trace(void **state)
{
    struct raw_reply r;
    (void)state;
    raw_once(f.port, &r,
             "GET /t/control HTTP/1.1\r\n" HOST "X-Request-Id: my.own-id_1\r\n"
             "traceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01\r\n\r\n");
    assert_string_equal(raw_header(&r, "X-Request-Id"), "my.own-id_1");
    assert_int_equal(strncmp(raw_header(&r, "X-Trace"), "00-0123456789abcdef0123456789abcdef-", 36), 0);
    assert_null(strstr(raw_header(&r, "X-Trace"), "-0123456789abcdef-01"));
    raw_reply_free(&r);
    raw_once(f.port, &r,
             "GET /t/control HTTP/1.1\r\n" HOST "X-Request-Id: no good\r\ntraceparent: 00-junk\r\n\r\n");
    assert_int_equal(strlen(raw_header(&r, "X-Request-Id")), 26);
    assert_int_equal(strlen(raw_header(&r, "X-Trace")), 55);
    raw_reply_free(&r);
}

static void test_builtins(void **state)
{
    struct raw_reply r;
    (void)state;
    raw_once(f.port, &r, "GET /health HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(
        r.body.data, "\"status\":\"ok\",\"module\":\"fixture\",\"version\":\"1.2.3\",\"state\":\"active\""));
    raw_reply_free(&r);
    raw_once(f.port, &r, "GET /metrics HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.status, 401);
    raw_reply_free(&r);
    raw_once(f.port, &r, "GET /metrics HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n\r\n", f.token_read);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body.data,
                           "vx11_http_requests_total{module=\"fixture\",route=\"health\",code=\"200\"} 1\n"));
    assert_non_null(
        strstr(r.body.data,
               "vx11_http_request_seconds_bucket{module=\"fixture\",route=\"health\",le=\"+Inf\"} 1\n"));
    assert_non_null(strstr(r.body.data, "vx11_process_resident_bytes"));
    assert_non_null(strstr(r.body.data, "vx11_loop_lag_seconds_count"));
    raw_reply_free(&r);
    raw_once(f.port, &r, "GET /openapi.json HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n\r\n",
             f.token_read);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body.data, "\"/t/echo\""));
    raw_reply_free(&r);
}

static void test_http10(void **state)
{
    struct raw_reply r;
    (void)state;
    int fd = raw_tcp(f.port);
    raw_printf(fd, "GET /t/stream HTTP/1.0\r\n" HOST "\r\n");
    raw_read(fd, false, &r);
    assert_int_equal(r.status, 200);
    assert_false(r.chunked);
    assert_true(r.closed);
    assert_non_null(strstr(r.body.data, "event: tick\ndata: tick 0\ndata: line\n\n"));
    raw_reply_free(&r);
    raw_close(fd);
}

static void test_expect_continue(void **state)
{
    struct raw_reply r;
    (void)state;
    int fd = raw_tcp(f.port);
    raw_printf(fd, "POST /t/raw HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_true(raw_wait_for(fd, "HTTP/1.1 100 Continue\r\n\r\n", NULL));
    raw_send(fd, "data", 4);
    raw_read(fd, false, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.data, "data");
    raw_reply_free(&r);
    raw_close(fd);
}

static int descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void test_many_connections(void **state)
{
    (void)state;
    int before = descriptors();
    for (int i = 0; i < 10000; i++) {
        struct raw_reply r;
        raw_once(f.port, &r, "POST /t/later?ms=0 HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
        assert_int_equal(r.status, 200);
        raw_reply_free(&r);
    }
    for (int i = 0; i < 400 && fixture_metric(&f, METRIC_GAUGE, "vx11_http_connections", NULL) > 0; i++)
        usleep(10000);
    assert_true(fixture_metric(&f, METRIC_GAUGE, "vx11_http_connections", NULL) == 0);
    assert_true(fixture_metric(&f, METRIC_GAUGE, "vx11_http_requests_in_flight", NULL) == 0);
    assert_true(descriptors() <= before); /* less: of the test before, the server had one open */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_later),
        cmocka_unit_test(test_pipelined),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_params),
        cmocka_unit_test(test_request_id_and_trace),
        cmocka_unit_test(test_builtins),
        cmocka_unit_test(test_http10),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_many_connections),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
