/* Server, time: streams, slow readers, clients that leave, deadlines, draining. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/server_internal.h"
#include "raw_client.h"
#include "server_fixture.h"

#define HOST "Host: localhost\r\n"

static struct fixture f;

static int setup(void **state)
{
    (void)state;
    fixture_prepare(&f);
    f.options.heartbeat_ms = 60;
    f.options.stream_queue = 1 << 20;
    return fixture_start(&f);
}

static int teardown(void **state)
{
    (void)state;
    fixture_stop(&f);
    return 0;
}

static void test_sse(void **state)
{
    struct raw_reply r;
    (void)state;
    int fd = raw_tcp(f.port);
    for (int i = 0; i < 3; i++) { /* the connection is kept after a stream */
        raw_printf(fd, "GET /t/stream?count=3 HTTP/1.1\r\n" HOST "\r\n");
        raw_read(fd, false, &r);
        assert_int_equal(r.status, 200);
        assert_true(r.chunked && r.complete);
        assert_string_equal(raw_header(&r, "Content-Type"), "text/event-stream");
        assert_string_equal(raw_header(&r, "Cache-Control"), "no-cache");
        assert_string_equal(r.body.data, "id: 7\nevent: tick\ndata: tick 2\ndata: line\n\n"
                                         "id: 7\nevent: tick\ndata: tick 1\ndata: line\n\n"
                                         "id: 7\nevent: tick\ndata: tick 0\ndata: line\n\n");
        raw_reply_free(&r);
    }
    raw_printf(fd, "GET /t/burst HTTP/1.1\r\n" HOST "\r\nGET /t/control HTTP/1.1\r\n" HOST "\r\n");
    raw_read(fd, false, &r);
    assert_true(r.complete);
    assert_int_equal(r.body.len, 200003);
    assert_string_equal(r.body.data + 200000, "end");
    raw_reply_free(&r);
    raw_read(fd, false, &r);
    assert_string_equal(r.body.data, "ok");
    raw_reply_free(&r);
    raw_close(fd);
}

static void test_headers_come_at_once(void **state)
{
    (void)state;
    int fd = raw_tcp(f.port);
    int64_t before = clock_mono_ms();
    raw_printf(fd, "GET /t/stream?count=1&period=1000 HTTP/1.1\r\n" HOST "\r\n");
    assert_true(raw_wait_for(fd, "\r\n\r\n", NULL));
    assert_true(clock_mono_ms() - before < 100);
    raw_close(fd);
}

static void test_heartbeat(void **state)
{
    (void)state;
    int fd = raw_tcp(f.port);
    raw_printf(fd, "GET /t/stream?count=1&period=3000 HTTP/1.1\r\n" HOST "\r\n");
    assert_true(raw_wait_for(fd, "3\r\n:\n\n\r\n", NULL));
    assert_true(raw_wait_for(fd, "3\r\n:\n\n\r\n", NULL));
    raw_close(fd);
}

static void test_slow_reader(void **state)
{
    (void)state;
    int fd = raw_tcp(f.port);
    double before = fixture_metric(&f, METRIC_COUNTER, "vx11_http_slow_readers_total", NULL);
    raw_printf(fd, "GET /t/flood HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0;
         i < 500 && fixture_metric(&f, METRIC_COUNTER, "vx11_http_slow_readers_total", NULL) == before; i++)
        usleep(10000);
    assert_true(fixture_metric(&f, METRIC_COUNTER, "vx11_http_slow_readers_total", NULL) == before + 1);
    assert_true(raw_closed(fd));
    raw_close(fd);
}

static void test_backpressure(void **state)
{
    struct raw_reply r;
    (void)state;
    int fd = raw_tcp(f.port);
    raw_printf(fd, "GET /t/relay HTTP/1.1\r\n" HOST "\r\n");
    usleep(100000); /* a reader that takes its time is waited for */
    raw_read(fd, false, &r);
    assert_true(r.complete);
    assert_int_equal(r.body.len, 16 << 20);
    assert_true(atomic_load(&f.drains) > 0);
    raw_reply_free(&r);
    raw_close(fd);
}

static void test_abort(void **state)
{
    struct raw_reply r;
    (void)state;
    int fd = raw_tcp(f.port);
    raw_printf(fd, "GET /t/broken HTTP/1.1\r\n" HOST "\r\n");
    raw_read(fd, false, &r);
    assert_int_equal(r.status, 200);
    assert_false(r.complete);
    assert_true(r.closed);
    raw_reply_free(&r);
    raw_close(fd);
}

static void leave(const char *path, bool half)
{
    int before = atomic_load(&f.reasons[-VX11_ECLOSED]);
    int fd = raw_tcp(f.port);
    raw_printf(fd, "GET %s HTTP/1.1\r\n" HOST "\r\n", path);
    usleep(30000);
    assert_int_equal(atomic_load(&f.reasons[-VX11_ECLOSED]), before);
    if (half)
        shutdown(fd, SHUT_WR);
    else
        raw_close(fd);
    assert_true(fixture_eventually(&f.reasons[-VX11_ECLOSED], before + 1));
    if (half)
        raw_close(fd);
}

static void test_client_leaves(void **state)
{
    (void)state;
    leave("/t/hang", false);
    leave("/t/hang", true);
    leave("/t/stream?count=100000", false);
    leave("/t/stream?count=1&period=100000", false);
    leave("/t/stream?count=100000", true);
    leave("/t/relay", false); /* with its queue full */
    int before = atomic_load(&f.slow_ends);
    int fd = raw_tcp(f.port); /* a handler that is slow to end */
    raw_printf(fd, "GET /t/late?ms=120 HTTP/1.1\r\n" HOST "\r\n");
    usleep(20000);
    raw_close(fd);
    assert_true(fixture_eventually(&f.slow_ends, before + 1));
}

static void test_deadline(void **state)
{
    struct raw_reply r;
    (void)state;
    int ends = atomic_load(&f.slow_ends);
    int fd = raw_tcp(f.port);
    int64_t before = clock_mono_ms();
    raw_printf(fd, "GET /t/late HTTP/1.1\r\n" HOST "\r\nGET /t/control HTTP/1.1\r\n" HOST "\r\n");
    raw_read(fd, false, &r); /* the handler itself ends after 500 ms */
    int64_t took = clock_mono_ms() - before;
    assert_int_equal(r.status, 504);
    assert_non_null(strstr(r.body.data, "deadline_exceeded"));
    assert_true(took >= 140 && took < 450);
    raw_reply_free(&r);
    raw_read(fd, false, &r); /* and the connection is as good as before */
    assert_string_equal(r.body.data, "ok");
    raw_reply_free(&r);
    assert_true(fixture_eventually(&f.slow_ends, ends + 1));
    /* The caller's time, shorter than the route's; this handler ends by itself. */
    int timeouts = atomic_load(&f.reasons[-VX11_ETIMEOUT]);
    raw_printf(fd, "GET /t/hang HTTP/1.1\r\n" HOST "X-Request-Deadline-Ms: 50\r\n\r\n");
    raw_read(fd, false, &r);
    assert_int_equal(r.status, 503);
    assert_non_null(strstr(r.body.data, "\"gone\""));
    assert_int_equal(atomic_load(&f.reasons[-VX11_ETIMEOUT]), timeouts + 1);
    raw_reply_free(&r);
    raw_printf(fd, "GET /t/control HTTP/1.1\r\n" HOST "X-Request-Deadline-Ms: 0\r\n\r\n");
    raw_read(fd, false, &r);
    assert_int_equal(r.status, 504);
    raw_reply_free(&r);
    raw_close(fd);
}

static void start_drain(struct fixture *x)
{
    x->stopped = true;
    fixture_drain(x);
}

static void test_drain(void **state)
{
    struct fixture x;
    struct raw_reply r;
    (void)state;
    fixture_prepare(&x);
    x.drain_ms = 300;
    assert_int_equal(fixture_start(&x), 0);
    int idle = raw_tcp(x.port), busy = raw_tcp(x.port), hung = raw_tcp(x.port), stream = raw_tcp(x.port);
    raw_printf(idle, "GET /t/control HTTP/1.1\r\n" HOST "\r\n");
    raw_read(idle, false, &r);
    raw_reply_free(&r);
    raw_printf(busy, "POST /t/later?ms=100 HTTP/1.1\r\n" HOST "\r\n");
    raw_printf(hung, "GET /t/late?ms=600 HTTP/1.1\r\n" HOST "X-Request-Deadline-Ms: 100000\r\n\r\n");
    raw_printf(stream, "GET /t/stream?count=100000 HTTP/1.1\r\n" HOST "\r\n");
    usleep(30000);
    fixture_on_loop(&x, start_drain);
    assert_true(raw_closed(idle));
    raw_read(busy, false, &r); /* finishes within the limit */
    assert_int_equal(r.status, 200);
    assert_string_equal(raw_header(&r, "Connection"), "close");
    raw_reply_free(&r);
    raw_read(stream, false, &r); /* is told to end */
    assert_int_equal(r.status, 200);
    raw_reply_free(&r);
    raw_close(idle);
    raw_close(busy);
    raw_read(hung, false, &r);
    assert_true(r.status == 503 || r.status == 504);
    raw_reply_free(&r);
    raw_close(hung);
    raw_close(stream);
    fixture_stop(&x);
    assert_true(atomic_load(&x.slow_ends) == 1);
}

static void test_drain_idle(void **state)
{
    struct fixture x;
    (void)state;
    fixture_prepare(&x);
    assert_int_equal(fixture_start(&x), 0);
    int64_t before = clock_mono_ms();
    fixture_stop(&x);
    assert_true(clock_mono_ms() - before < 500);
}

static bool connections_fall_to(double n)
{
    for (int i = 0; i < 400; i++) {
        if (fixture_metric(&f, METRIC_GAUGE, "vx11_http_connections", NULL) <= n)
            return true;
        usleep(10000);
    }
    return false;
}

/* Closed connections must not wait for older ones to go first. */
static void test_connections_go(void **state)
{
    struct raw_reply r;
    int fds[10];
    (void)state;
    int oldest = raw_tcp(f.port);
    raw_printf(oldest, "GET /t/control HTTP/1.1\r\n" HOST "\r\n");
    raw_read(oldest, false, &r);
    raw_reply_free(&r);
    assert_true(connections_fall_to(1));
    for (int i = 0; i < 10; i++) {
        fds[i] = raw_tcp(f.port);
        raw_printf(fds[i], "GET /t/stream?count=100000 HTTP/1.1\r\n" HOST "\r\n");
        assert_true(raw_wait_for(fds[i], "tick", NULL));
    }
    for (int i = 0; i < 10; i++)
        raw_close(fds[i]);
    assert_true(connections_fall_to(1));
    for (int i = 0; i < 10; i++) { /* the end of the connection is the end of the body */
        fds[i] = raw_tcp(f.port);
        raw_printf(fds[i], "GET /t/stream?count=2 HTTP/1.0\r\n" HOST "\r\n");
        raw_read(fds[i], false, &r);
        assert_non_null(strstr(r.body.data, "tick 0"));
        raw_reply_free(&r);
    }
    assert_true(connections_fall_to(1));
    for (int i = 0; i < 10; i++)
        raw_close(fds[i]);
    int fd = raw_tcp(f.port); /* a request and the end in one segment, and the reply is not waited for */
    int one = 1;
    setsockopt(fd, SOL_TCP, TCP_CORK, &one, sizeof one);
    raw_printf(fd, "GET /t/control HTTP/1.1\r\n" HOST "\r\nGET /t/hang HTTP/1.1\r\n" HOST "\r\nGET /par");
    shutdown(fd, SHUT_WR);
    assert_true(connections_fall_to(1));
    raw_close(fd);
    raw_close(oldest);
}

static void an_hour_passes(struct fixture *x)
{
    for (struct conn *c = x->server->conns; c; c = c->next) {
        c->since_ms -= 3600 * 1000;
        c->stream.last_ms -= 3600 * 1000;
    }
}

/* Clients that stop reading, in the middle of a plain reply and at the end of a stream, and one that stops
 * asking. */
static void test_stalled_readers(void **state)
{
    struct raw_reply r;
    (void)state;
    assert_true(connections_fall_to(0));
    int plain = raw_tcp(f.port), stream = raw_tcp(f.port), idle = raw_tcp(f.port);
    raw_printf(plain, "GET /t/big HTTP/1.1\r\n" HOST "\r\n");
    raw_printf(stream, "GET /t/relay HTTP/1.1\r\n" HOST "\r\n");
    raw_printf(idle, "GET /t/control HTTP/1.1\r\n" HOST "\r\n");
    raw_read(idle, false, &r);
    raw_reply_free(&r);
    usleep(100000);
    fixture_on_loop(&f, an_hour_passes); /* the first look only notes how much is unsent */
    usleep(100000);
    fixture_on_loop(&f, an_hour_passes);
    assert_true(raw_closed(idle));
    assert_true(connections_fall_to(0));
    int reading = raw_tcp(f.port);
    raw_printf(reading, "GET /t/big HTTP/1.1\r\n" HOST "\r\n");
    raw_read(reading, false, &r);
    assert_int_equal(r.body.len, 32 << 20);
    raw_reply_free(&r);
    raw_close(plain);
    raw_close(stream);
    raw_close(idle);
    raw_close(reading);
}

static void test_many_streams(void **state)
{
    enum { N = 100 };
    int fds[N];
    (void)state;
    for (int i = 0; i < N; i++) {
        fds[i] = raw_tcp(f.port);
        raw_printf(fds[i], "GET /t/stream?count=20&period=10 HTTP/1.1\r\n" HOST "\r\n");
    }
    for (int i = 0; i < N; i++) {
        struct raw_reply r;
        raw_read(fds[i], false, &r);
        assert_true(r.complete);
        assert_non_null(strstr(r.body.data, "tick 0\n"));
        raw_reply_free(&r);
        raw_close(fds[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sse),
        cmocka_unit_test(test_headers_come_at_once),
        cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_many_streams),
        cmocka_unit_test(test_connections_go),
        cmocka_unit_test(test_stalled_readers),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_idle),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
