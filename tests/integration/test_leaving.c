/* Clients that leave, read slowly, or come in thousands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sys/socket.h>

#include "base/str.h"
#include "system.h"
#include "upstream.h"

static struct system sys;
static struct upstream *up;

static int start(void **state)
{
    struct buf yaml = BUF_INIT;
    (void)state;
    up = upstream_start();
    buf_puts(&yaml, "switch:\n  strategy: chain\n  providers:\n    - {name: local, kind: local}\n");
    upstream_yaml(up, &yaml, "cloud", "cloud-model", NULL);
    upstream_yaml(up, &yaml, "spare", "cloud-model", NULL);
    system_start(&sys, yaml.data);
    buf_free(&yaml);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    upstream_stop(up);
    return 0;
}

static void stops_clean(void **state)
{
    (void)state;
    system_stop(&sys);
}

static struct upstream_seen seen(const char *name)
{
    struct upstream_seen s;
    upstream_seen(up, name, &s);
    return s;
}

/* The latest decision: "outcome|status|provider|attempts|had a first token". */
static const char *latest(void)
{
    return system_row(&sys, "SELECT outcome, status, provider, attempts, first_token_ms IS NOT NULL FROM "
                            "decision ORDER BY id DESC LIMIT 1");
}

static int64_t in_flight(void)
{
    struct http_at at = system_switch(&sys);
    struct http_reply r;
    http(&r, &at, "GET", "/switch/context", NULL);
    int64_t n = http_int(&r, "/in_flight");
    http_free(&r);
    return n;
}

static void leaves_in_mid_stream(void **state)
{
    struct http_at at = system_link(&sys);
    int before = seen("cloud").left;
    (void)state;
    upstream_behave(up, "cloud", UP_DRIP);
    int fd = http_open(&at, "POST", "/v1/chat/completions", chat_body("cloud-model", true));
    assert_true(raw_wait_for(fd, "t2 ", NULL));
    raw_close(fd);
    eventually(8000, seen("cloud").left == before + 1);
    eventually(8000, str_starts(latest(), "cancelled|499|cloud|1|1"));
    eventually(8000, in_flight() == 0);
}

static void leaves_before_the_first_token(void **state)
{
    struct http_at at = system_link(&sys);
    int before = seen("cloud").left, spare = seen("spare").requests;
    (void)state;
    upstream_behave(up, "cloud", UP_SILENT);
    for (int stream = 0; stream < 2; stream++) {
        int fd = http_open(&at, "POST", "/v1/chat/completions", chat_body("cloud-model", stream));
        eventually(8000, seen("cloud").running == 1);
        raw_close(fd);
        eventually(8000, seen("cloud").left == before + 1 + stream);
        eventually(
            2000,
            system_count(
                &sys,
                "SELECT count(*) FROM decision WHERE outcome = 'cancelled' AND first_token_ms IS NULL") ==
                1 + stream);
    }
    assert_int_equal(seen("spare").requests, spare); /* nobody else was asked for one who has left */
    upstream_behave(up, "cloud", UP_GOOD);
}

/* Half a request and gone; a request and the writing side closed. */
static void leaves_early_or_half(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    (void)state;
    for (int i = 0; i < 20; i++) {
        int fd = http_connect(&at);
        raw_printf(fd,
                   "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
                   "%s\r\nContent-Type: "
                   "application/json\r\nContent-Length: 500\r\n\r\n{\"model\"",
                   sys.token);
        raw_close(fd);
    }
    system_chat(&sys, &r, "cloud-model", false);
    assert_status(&r, 200);
    http_free(&r);
    eventually(8000, in_flight() == 0);
}

/* A slow reader holds the provider back instead of filling memory, and gets it all in the end. */
static void reads_slowly(void **state)
{
    struct http_at at = system_link(&sys);
    struct buf text = BUF_INIT;
    int small = 256 * 1024;
    pid_t link = system_module_pid(&sys, "link"), sw = system_module_pid(&sys, "switch");
    (void)state;
    upstream_behave(up, "cloud", UP_WIDE);
    int64_t before = process_rss_kb(link) + process_rss_kb(sw);
    int fd = http_connect(&at);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    http_send(fd, &at, "POST", "/v1/chat/completions", chat_body("cloud-model", true),
              strlen(chat_body("cloud-model", true)));
    eventually(8000, seen("cloud").running == 1);
    sleep_ms(1000);
    assert_int_equal(seen("cloud").running, 1); /* it could not get rid of its 24 MB */
    int64_t grown = process_rss_kb(link) + process_rss_kb(sw) - before;
    if (grown > 5 * 1024 && !test_sanitized()) {
        print_error("link and switch grew by %lld kB\n", (long long)grown);
        fail();
    }
    struct http_reply r;
    http_read(fd, &r);
    assert_status(&r, 200);
    assert_true(r.raw.complete);
    assert_true(sse_done(r.raw.body.data));
    assert_int_equal(sse_count(r.raw.body.data), 12002);
    assert_true(str_starts(system_account(&sys, http_header(&r, "X-Request-Id")),
                           "ok|200|cloud|cloud-model|1|7|5|3"));
    http_free(&r);
    raw_close(fd);
    buf_free(&text);
    upstream_behave(up, "cloud", UP_GOOD);
}

/* One that never reads and goes: nothing of it stays. */
static void never_reads(void **state)
{
    struct http_at at = system_link(&sys);
    int small = 64 * 1024;
    int before = seen("cloud").left;
    (void)state;
    upstream_behave(up, "cloud", UP_WIDE);
    int fd = http_connect(&at);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    http_send(fd, &at, "POST", "/v1/chat/completions", chat_body("cloud-model", true),
              strlen(chat_body("cloud-model", true)));
    eventually(8000, seen("cloud").running == 1);
    sleep_ms(300);
    raw_close(fd);
    eventually(8000, seen("cloud").left == before + 1);
    eventually(8000, in_flight() == 0);
    upstream_behave(up, "cloud", UP_GOOD);
}

/* ---- the engine ---- */

static int64_t engine_busy(void)
{
    struct http_at at = {.socket = system_path(&sys, "run/engine-vx11-guide.sock")};
    struct http_reply r;
    http(&r, &at, "GET", "/engine/status", NULL);
    int64_t busy = http_int(&r, "/slots_busy");
    http_free(&r);
    return busy;
}

static void the_engine_stops_generating(void **state)
{
    struct http_at at = system_link(&sys);
    (void)state;
    int fd = http_open(&at, "POST", "/v1/completions",
                       "{\"model\":\"vx11-guide\",\"stream\":true,\"prompt\":\"VX11\",\"max_tokens\":400,"
                       "\"logit_bias\":{\"0\":-100}}");
    assert_true(raw_wait_for(fd, "data: {", NULL));
    assert_true(raw_wait_for(fd, "data: {", NULL));
    raw_close(fd);
    eventually(8000, engine_busy() == 0);
    eventually(8000,
               str_starts(latest(), "cancelled|499|local|1|1") || str_starts(latest(), "ok|200|local|1|1"));
}

/* ---- many ---- */

/* So that the file descriptors of both are those of a process in use. */
static void warm(void)
{
    struct http_at at = system_link(&sys);
    for (int i = 0; i < 50; i++)
        http_status(&at, "GET", "/vx11/session", NULL);
}

static void ten_thousand_connections(void **state)
{
    struct http_at at = system_link(&sys);
    pid_t link = system_module_pid(&sys, "link");
    (void)state;
    warm();
    int fds = process_fds(link);
    int64_t rss = process_rss_kb(link);
    for (int i = 0; i < 10000; i++) {
        struct http_reply r;
        http(&r, &at, "GET", i % 3 ? "/vx11/session" : "/health", NULL);
        if (r.status != 200) {
            print_error("connection %d: status %d\n", i, r.status);
            fail();
        }
        http_free(&r);
    }
    eventually(8000, process_fds(link) <= fds);
    int64_t grown = process_rss_kb(link) - rss;
    if (grown > 4096 && !test_sanitized()) { /* a sanitizer keeps what is freed */
        print_error("link grew by %lld kB over 10,000 connections\n", (long long)grown);
        fail();
    }
}

/* Connections that say nothing do not keep others out, and end by themselves. */
static void idle_connections(void **state)
{
    enum { N = 500 };
    static int fds[N];
    struct http_at at = system_link(&sys);
    struct http_reply r;
    (void)state;
    for (int i = 0; i < N; i++)
        fds[i] = http_connect(&at);
    system_chat(&sys, &r, "cloud-model", false);
    assert_status(&r, 200);
    http_free(&r);
    for (int i = 0; i < N; i++)
        raw_close(fds[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_in_mid_stream),
        cmocka_unit_test(leaves_before_the_first_token),
        cmocka_unit_test(leaves_early_or_half),
        cmocka_unit_test(reads_slowly),
        cmocka_unit_test(never_reads),
        cmocka_unit_test(the_engine_stops_generating),
        cmocka_unit_test(ten_thousand_connections),
        cmocka_unit_test(idle_connections),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
