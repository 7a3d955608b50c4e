/* A call's course: time limits, cancelling at each phase, back-pressure, closing with calls in flight. */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "base/clock.h"
#include "script_server_calls.h"

enum { BIG = 8 << 20 };

static bool send_big(struct script_conn *conn, bool chunked)
{
    char piece[4096];
    for (size_t i = 0; i < sizeof piece; i++)
        piece[i] = (char)('a' + i % 23);
    for (int sent = 0; sent < BIG; sent += (int)sizeof piece)
        if ((chunked && !script_printf(conn, "%zx\r\n", sizeof piece)) ||
            !script_send(conn, piece, sizeof piece) || (chunked && !script_puts(conn, "\r\n")))
            return false;
    return !chunked || script_puts(conn, "0\r\n\r\n");
}

static bool serve(struct script_conn *conn, const struct script_request *r)
{
    const char *p = r->path;
    if (strcmp(p, "/silent") == 0)
        return script_wait_close(conn) && false;
    if (strcmp(p, "/drip-headers") == 0) {
        if (!script_puts(conn, "HTTP/1.1 200 OK\r\n"))
            return false;
        while (script_puts(conn, "X-Drip: 1\r\n") && script_sleep(conn, 10))
            continue;
        return false;
    }
    if (strcmp(p, "/stall") == 0)
        return script_puts(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello") &&
               script_wait_close(conn) && false;
    if (strcmp(p, "/drip") == 0) {
        if (!script_puts(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"))
            return false;
        while (script_puts(conn, "data: x\n\n") && script_sleep(conn, 10))
            continue;
        return false;
    }
    if (strcmp(p, "/big") == 0)
        return script_printf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BIG) &&
               send_big(conn, false);
    if (strcmp(p, "/big-chunked") == 0)
        return script_puts(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") &&
               send_big(conn, true);
    return script_puts(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

/* ---- time limits ---- */

static void expect_timeout(struct calls *t, const char *path, const struct client_call_options *o,
                           const char *text)
{
    struct seen s;
    int64_t start = clock_mono_ms();
    assert_int_equal(calls_get(t, &s, path, o), VX11_ETIMEOUT);
    int64_t took = clock_mono_ms() - start;
    assert_true(took >= 99);
    assert_true(took < 2000);
    if (strstr(s.text, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", s.text, text);
    buf_free(&s.body);
    assert_int_equal(calls_get(t, &s, "/ok", NULL), 0);
    buf_free(&s.body);
}

static void test_limits(void **state)
{
    struct calls t;
    struct seen s;
    (void)state;
    calls_open(&t, NULL, serve);
    expect_timeout(&t, "/silent", &(struct client_call_options){.first_byte_timeout_ms = 100},
                   "did not begin to answer within 100 ms (first byte timeout)");
    expect_timeout(&t, "/drip-headers", &(struct client_call_options){.first_byte_timeout_ms = 100},
                   "first byte timeout");
    expect_timeout(&t, "/stall",
                   &(struct client_call_options){.idle_timeout_ms = 100, .first_byte_timeout_ms = 5000},
                   "fell silent in the middle of its answer for 100 ms (idle timeout)");
    expect_timeout(&t, "/silent", &(struct client_call_options){.deadline_ms = clock_mono_ms() + 100},
                   "before the deadline");
    expect_timeout(
        &t, "/drip",
        &(struct client_call_options){.deadline_ms = clock_mono_ms() + 100, .idle_timeout_ms = 5000},
        "before the deadline");
    assert_int_equal(
        calls_get(&t, &s, "/ok", &(struct client_call_options){.deadline_ms = clock_mono_ms() - 1}),
        VX11_ETIMEOUT);
    assert_non_null(strstr(s.text, "had passed"));
    calls_close(&t);
}

/* A listening socket whose queue is full takes no more connections: the kernel drops them, so connecting
 * takes for ever. */
static void test_connect_limit(void **state)
{
    struct calls t;
    struct seen s;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    int full = socket(AF_INET, SOCK_STREAM, 0), fillers[3];
    (void)state;
    assert_int_equal(bind(full, (struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(full, 0), 0);
    assert_int_equal(getsockname(full, (struct sockaddr *)&in, &len), 0);
    for (int i = 0; i < 3; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fillers[i], (struct sockaddr *)&in, sizeof in);
    }
    usleep(20000);
    calls_open(&t, NULL, NULL);
    snprintf(t.base, sizeof t.base, "http://%s:%d", calls_host, ntohs(in.sin_port));
    int64_t start = clock_mono_ms();
    assert_int_equal(calls_get(&t, &s, "/", &(struct client_call_options){.connect_timeout_ms = 150}),
                     VX11_ETIMEOUT);
    assert_in_range(clock_mono_ms() - start, 149, 1500);
    char want[128];
    snprintf(want, sizeof want, "no connection to %s:%d within 150 ms (connect timeout)", calls_host,
             ntohs(in.sin_port));
    assert_string_equal(s.text, want);
    /* Cancelled while connecting. */
    s = (struct seen){0};
    calls_start(&t, &s, "GET", "/", NULL, NULL);
    calls_run_ms(&t, 30);
    client_cancel(s.call);
    calls_wait(&t, &s.done);
    assert_int_equal(s.code, VX11_ECANCELLED);
    calls_close(&t);
    close(full);
    for (int i = 0; i < 3; i++)
        close(fillers[i]);
}

/* Many calls with different limits end in the order of their limits. */
static void test_many_limits(void **state)
{
    enum { N = 60 };
    struct calls t;
    static struct seen s[N];
    int64_t now;
    (void)state;
    calls_open(&t, NULL, serve);
    memset(s, 0, sizeof s);
    now = clock_mono_ms();
    for (int i = 0; i < N; i++) {
        int64_t after = 100 + (i * 37) % N * 5;
        calls_start(&t, &s[i], "GET", "/silent", NULL,
                    &(struct client_call_options){.deadline_ms = now + after});
    }
    for (int i = 0; i < N; i++)
        calls_wait(&t, &s[i].done);
    for (int i = 0; i < N; i++) {
        double after = (100 + (i * 37) % N * 5) / 1000.0;
        assert_int_equal(s[i].code, VX11_ETIMEOUT);
        assert_true(s[i].total_s >= after - 0.05 && s[i].total_s < after + 1);
    }
    calls_close(&t);
}

/* ---- cancelling ---- */

static void cancel_now(struct seen *s)
{
    client_cancel(s->call);
    client_cancel(s->call);
    assert_int_equal(s->done, 0);
}

static void pause_now(struct seen *s)
{
    client_pause(s->call);
}

static void expect_cancelled(struct calls *t, struct seen *s)
{
    calls_wait(t, &s->done);
    assert_int_equal(s->code, VX11_ECANCELLED);
    assert_string_equal(s->text, "cancelled");
    buf_free(&s->body);
}

static void test_cancel(void **state)
{
    struct calls t;
    struct seen s = {0};
    (void)state;
    calls_open(&t, NULL, serve);
    calls_start(&t, &s, "GET", "/ok", NULL, NULL); /* before it is sent */
    cancel_now(&s);
    expect_cancelled(&t, &s);
    assert_int_equal(s.headers, 0);
    assert_int_equal(script_server_connections(t.server), 0);

    s = (struct seen){0};
    calls_start(&t, &s, "GET", "/silent", NULL, NULL); /* waiting */
    calls_run_ms(&t, 50);
    assert_int_equal(script_server_requests(t.server), 1);
    cancel_now(&s);
    expect_cancelled(&t, &s);

    s = (struct seen){.at_headers = cancel_now};
    calls_start(&t, &s, "GET", "/big", NULL, NULL);
    expect_cancelled(&t, &s);
    assert_int_equal(s.pieces, 0);

    s = (struct seen){.at_data = cancel_now};
    calls_start(&t, &s, "GET", "/big", NULL, NULL);
    expect_cancelled(&t, &s);
    assert_int_equal(s.pieces, 1);

    s = (struct seen){.at_data =
                          cancel_now}; /* in the last piece: whoever cancels is told that it was cancelled */
    calls_start(&t, &s, "GET", "/ok", NULL, NULL);
    expect_cancelled(&t, &s);

    s = (struct seen){0};
    calls_start(&t, &s, "GET", "/drip", NULL, NULL); /* streaming */
    calls_run_ms(&t, 60);
    assert_true(s.pieces > 1);
    cancel_now(&s);
    int pieces = s.pieces;
    expect_cancelled(&t, &s);
    assert_int_equal(s.pieces, pieces);

    s = (struct seen){.at_headers = pause_now};
    calls_start(&t, &s, "GET", "/big", NULL, NULL);
    calls_run_ms(&t, 40);
    assert_int_equal(s.headers, 1);
    cancel_now(&s);
    expect_cancelled(&t, &s);
    assert_int_equal(s.pieces, 0);

    s = (struct seen){0};
    assert_int_equal(calls_get(&t, &s, "/ok", NULL), 0);
    buf_free(&s.body);
    calls_close(&t);
}

/* A name that takes long to resolve must not hold the loop when its call is cancelled. */
static void test_cancel_while_resolving(void **state)
{
    struct calls t;
    struct seen s = {0};
    (void)state;
    calls_open(&t, NULL, NULL);
    snprintf(t.base, sizeof t.base, "http://resolves-slowly.invalid");
    calls_start(&t, &s, "GET", "/", NULL, NULL);
    uv_run(&t.loop, UV_RUN_NOWAIT);
    if (!s.done) {
        uint64_t start = clock_mono_ns();
        client_cancel(s.call);
        calls_wait(&t, &s.done);
        assert_true(clock_mono_ns() - start < 100000000u);
        assert_int_equal(s.code, VX11_ECANCELLED);
    }
    calls_close(&t);
}

static void cancel_other(struct seen *s)
{
    struct seen *other = s->user;
    if (other->call != NULL)
        client_cancel(other->call);
}

/* Cancelling one call from another's callbacks. */
static void test_cancel_from_another(void **state)
{
    struct calls t;
    (void)state;
    calls_open(&t, NULL, serve);
    for (int i = 0; i < 3; i++) {
        struct seen victim = {0}, s = {.user = &victim};
        *(i == 0 ? &s.at_headers : i == 1 ? &s.at_data : &s.at_done) = cancel_other;
        calls_start(&t, &victim, "GET", "/drip", NULL, NULL);
        calls_run_ms(&t, 30);
        calls_start(&t, &s, "GET", "/ok", NULL, NULL);
        calls_wait(&t, &s.done);
        assert_int_equal(s.code, 0);
        expect_cancelled(&t, &victim);
        buf_free(&s.body);
    }
    calls_close(&t);
}

/* ---- back-pressure ---- */

static void pause_each_piece(struct seen *s)
{
    client_pause(s->call);
    client_pause(s->call);
    buf_clear(&s->body);
    *(size_t *)s->user += 1;
}

static void expect_paused_stream(const char *path)
{
    struct calls t;
    size_t pauses = 0;
    struct seen s = {.at_data = pause_each_piece, .user = &pauses};
    calls_open(&t, NULL, serve);
    calls_start(&t, &s, "GET", path, NULL, &(struct client_call_options){.idle_timeout_ms = 1500});
    while (s.pieces == 0)
        uv_run(&t.loop, UV_RUN_ONCE);
    calls_run_ms(&t, 1800); /* paused for longer than the idle timeout */
    assert_int_equal(s.done, 0);
    assert_int_equal(s.pieces, 1);
    while (!s.done) {
        int pieces = s.pieces;
        client_resume(s.call);
        client_resume(s.call);
        assert_int_equal(s.pieces, pieces);
        while (!s.done && s.pieces == pieces)
            uv_run(&t.loop, UV_RUN_ONCE);
        uv_run(&t.loop, UV_RUN_NOWAIT);
        if (!s.done)
            assert_int_equal(s.pieces, pieces + 1);
    }
    assert_int_equal(s.code, 0);
    assert_true(s.pieces >= BIG / 16384);
    assert_int_equal(pauses, s.pieces);
    buf_free(&s.body);
    calls_close(&t);
}

static void test_pause(void **state)
{
    (void)state;
    expect_paused_stream("/big");
    expect_paused_stream("/big-chunked");
}

static void pause_and_resume(struct seen *s)
{
    client_pause(s->call);
    client_resume(s->call);
    if (s->pieces % 2)
        client_pause(s->call), client_resume(s->call), client_pause(s->call), client_resume(s->call);
}

static void test_pause_inside(void **state)
{
    struct calls t;
    struct seen s = {.at_data = pause_and_resume, .at_headers = pause_and_resume};
    (void)state;
    calls_open(&t, NULL, serve);
    calls_start(&t, &s, "GET", "/big", NULL, NULL);
    calls_wait(&t, &s.done);
    assert_int_equal(s.code, 0);
    assert_int_equal(s.body.len, BIG);
    for (size_t i = 0; i < BIG; i++)
        if (s.body.data[i] != (char)('a' + i % 4096 % 23))
            fail_msg("byte %zu is wrong", i);
    buf_free(&s.body);

    s = (struct seen){.at_headers = pause_now};
    calls_start(&t, &s, "GET", "/ok", NULL, NULL);
    calls_run_ms(&t, 40);
    assert_int_equal(s.headers, 1);
    assert_int_equal(s.pieces, 0);
    assert_int_equal(s.done, 0);
    client_resume(s.call);
    calls_wait(&t, &s.done);
    assert_int_equal(s.code, 0);
    assert_string_equal(s.body.data, "ok");
    buf_free(&s.body);

    s = (struct seen){0};
    calls_start(&t, &s, "GET", "/ok", NULL, NULL); /* before it is even sent */
    client_pause(s.call);
    calls_run_ms(&t, 40);
    assert_int_equal(s.pieces, 0);
    assert_int_equal(s.done, 0);
    client_resume(s.call);
    calls_wait(&t, &s.done);
    assert_int_equal(s.code, 0);
    assert_string_equal(s.body.data, "ok");
    buf_free(&s.body);

    s = (struct seen){.at_headers = pause_now}; /* paused, and the deadline passes */
    calls_start(&t, &s, "GET", "/ok", NULL,
                &(struct client_call_options){.deadline_ms = clock_mono_ms() + 60});
    calls_wait(&t, &s.done);
    assert_int_equal(s.code, VX11_ETIMEOUT);
    calls_close(&t);
}

static void resume_then_cancel(struct seen *s)
{
    if (s->pieces == 2)
        client_cancel(s->call);
    else
        client_pause(s->call);
}

/* The piece that libcurl held is refused while it is handed over. */
static void test_cancel_in_resume(void **state)
{
    struct calls t;
    struct seen s = {.at_data = resume_then_cancel};
    (void)state;
    calls_open(&t, NULL, serve);
    calls_start(&t, &s, "GET", "/big-chunked", NULL, NULL);
    while (s.pieces == 0)
        uv_run(&t.loop, UV_RUN_ONCE);
    client_resume(s.call);
    expect_cancelled(&t, &s);
    assert_int_equal(s.pieces, 2);
    calls_close(&t);
}

/* ---- closing ---- */

static void test_close_in_flight(void **state)
{
    static const char *const paths[] = {"/silent", "/drip", "/stall", "/ok", "/big"};
    (void)state;
    for (int wait = 0; wait < 3; wait++) {
        struct calls t;
        struct seen s[10];
        memset(s, 0, sizeof s);
        calls_open(&t, NULL, serve);
        for (int i = 0; i < 10; i++)
            calls_start(&t, &s[i], "GET", paths[i % 5], NULL, NULL);
        if (wait == 1)
            uv_run(&t.loop, UV_RUN_NOWAIT);
        else if (wait == 2)
            calls_run_ms(&t, 20);
        calls_close(&t);
        for (int i = 0; i < 10; i++) {
            assert_int_equal(s[i].done, 1);
            assert_true(s[i].code == VX11_ECANCELLED || s[i].code == 0);
            if (i % 5 < 3)
                assert_int_equal(s[i].code, VX11_ECANCELLED);
            buf_free(&s[i].body);
        }
    }
}

static void on_closed(void *ctx)
{
    struct calls *t = ctx;
    t->closed = 1;
}

static void close_client(struct seen *s)
{
    struct calls *t = s->calls;
    struct error err;
    struct client_call *call;
    client_close(t->client, on_closed, t);
    assert_int_equal(
        client_start(t->client, &t->target, "GET", "/", NULL, NULL, 0, NULL, &calls_events, s, &call, &err),
        VX11_ECLOSED);
    client_close(t->client, on_closed, t);
    t->client = NULL;
    assert_int_equal(t->closed, 0);
}

static void test_close_from_callback(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct calls t;
        struct seen s = {0}, other = {0};
        *(i == 0 ? &s.at_headers : i == 1 ? &s.at_data : &s.at_done) = close_client;
        calls_open(&t, NULL, serve);
        calls_start(&t, &other, "GET", "/silent", NULL, NULL);
        calls_start(&t, &s, "GET", "/ok", NULL, NULL);
        calls_wait(&t, &s.done);
        calls_close(&t);
        assert_int_equal(s.code, i == 2 ? 0 : VX11_ECANCELLED);
        assert_int_equal(other.code, VX11_ECANCELLED);
        buf_free(&s.body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_connect_limit),
        cmocka_unit_test(test_many_limits),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_while_resolving),
        cmocka_unit_test(test_cancel_from_another),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_pause_inside),
        cmocka_unit_test(test_cancel_in_resume),
        cmocka_unit_test(test_close_in_flight),
        cmocka_unit_test(test_close_from_callback),
    };
    CALLS_RETURN(tests);
}
