/* WebSocket: handshake, echo, fragments, ping, close, bounds, bad UTF-8, peers that vanish. Frames are made
 * by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/server_internal.h"
#include "raw_client.h"
#include "server_fixture.h"

enum { TEXT = 0x81, BINARY = 0x82, CLOSE = 0x88, PING = 0x89, PONG = 0x8a };

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

/* A masked frame (mask 1, 2, 3, 4). */
static size_t frame(unsigned char *out, int first, const char *data, size_t len)
{
    size_t at = 0;
    out[at++] = (unsigned char)first;
    if (len < 126) {
        out[at++] = (unsigned char)(0x80 | len);
    } else if (len < 65536) {
        out[at++] = 0x80 | 126;
        out[at++] = (unsigned char)(len >> 8);
        out[at++] = (unsigned char)len;
    } else {
        out[at++] = 0x80 | 127;
        for (int i = 7; i >= 0; i--)
            out[at++] = (unsigned char)((uint64_t)len >> (8 * i));
    }
    for (unsigned char i = 1; i <= 4; i++)
        out[at++] = i;
    for (size_t i = 0; i < len; i++)
        out[at++] = (unsigned char)((unsigned char)data[i] ^ (unsigned char)(i % 4 + 1));
    return at;
}

static void send_frame(int fd, int first, const char *data, size_t len)
{
    unsigned char *out = malloc(len + 16);
    assert_non_null(out);
    raw_send(fd, out, frame(out, first, data, len));
    free(out);
}

static bool recv_all(int fd, unsigned char *out, size_t len)
{
    while (len > 0) {
        ssize_t n = recv(fd, out, len, 0);
        if (n <= 0)
            return false;
        out += n;
        len -= (size_t)n;
    }
    return true;
}

/* First byte of the next frame, its payload in out (NUL-terminated); -1: closed. */
static int recv_frame(int fd, char *out, size_t size, size_t *len)
{
    unsigned char head[10];
    if (!recv_all(fd, head, 2))
        return -1;
    assert_int_equal(head[1] & 0x80, 0); /* servers do not mask */
    size_t n = head[1];
    if (n == 126) {
        assert_true(recv_all(fd, head + 2, 2));
        n = (size_t)head[2] << 8 | head[3];
    } else if (n == 127) {
        assert_true(recv_all(fd, head + 2, 8));
        n = 0;
        for (int i = 0; i < 8; i++)
            n = n << 8 | head[2 + i];
    }
    assert_true(n < size);
    if (!recv_all(fd, (unsigned char *)out, n))
        return -1;
    out[n] = '\0';
    *len = n;
    return head[0];
}

static void expect_text(int fd, const char *text)
{
    static char data[100000];
    size_t len;
    assert_int_equal(recv_frame(fd, data, sizeof data, &len), TEXT);
    assert_string_equal(data, text);
}

static void expect_close(int fd, int code)
{
    static char data[1000];
    size_t len;
    assert_int_equal(recv_frame(fd, data, sizeof data, &len), CLOSE);
    assert_true(len >= 2);
    assert_int_equal((unsigned char)data[0] << 8 | (unsigned char)data[1], code);
}

#define HANDSHAKE                                                                                            \
    "GET /t/ws HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"     \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static int ws_connect(void)
{
    struct raw_reply r;
    int fd = raw_tcp(f.port);
    /* One read per byte of the head: nothing of the first frame may be taken. */
    struct buf head = BUF_INIT;
    raw_printf(fd, HANDSHAKE);
    while (!head.data || !strstr(head.data, "\r\n\r\n")) {
        char c;
        assert_int_equal(recv(fd, &c, 1, 0), 1);
        buf_putc(&head, c);
    }
    assert_int_equal(strncmp(head.data, "HTTP/1.1 101 ", 13), 0);
    snprintf(r.head, sizeof r.head, "%s", head.data);
    assert_string_equal(raw_header(&r, "Sec-WebSocket-Accept"),
                        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* RFC 6455, 1.3 */
    buf_free(&head);
    expect_text(fd, "hello");
    return fd;
}

static void test_accept_key(void **state)
{
    char out[29];
    (void)state;
    assert_true(websocket_accept_key("dGhlIHNhbXBsZSBub25jZQ==", out));
    assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_false(websocket_accept_key("dGhlIHNhbXBsZSBub25jZQ=", out));
    assert_false(websocket_accept_key("", out));
    assert_false(websocket_accept_key("!GhlIHNhbXBsZSBub25jZQ==", out));
    assert_false(websocket_accept_key("dGhlIHNhbXBsZSBub25jZWFh", out)); /* 18 bytes */
}

static void test_echo(void **state)
{
    static char big[66000];
    (void)state;
    int before = atomic_load(&f.ws_closed);
    int fd = ws_connect();
    send_frame(fd, TEXT, "héllo", 6);
    expect_text(fd, "héllo");
    send_frame(fd, 0x01, "frag", 4); /* with a ping between the fragments */
    char data[100];
    size_t len;
    send_frame(fd, PING, "p", 1);
    assert_int_equal(recv_frame(fd, data, sizeof data, &len), PONG);
    assert_string_equal(data, "p");
    send_frame(fd, 0x80, "ments", 5);
    expect_text(fd, "fragments");
    memset(big, 'a', sizeof big - 1);
    send_frame(fd, TEXT, big, sizeof big - 1);
    expect_text(fd, big);
    send_frame(fd, CLOSE, "\x03\xe8", 2);
    expect_close(fd, 1000);
    assert_int_equal(recv_frame(fd, data, sizeof data, &len), -1);
    assert_true(fixture_eventually(&f.ws_closed, before + 1));
    assert_int_equal(atomic_load(&f.ws_code), 1000);
    raw_close(fd);
}

static void test_server_closes(void **state)
{
    char data[100];
    size_t len;
    (void)state;
    int before = atomic_load(&f.ws_closed);
    int fd = ws_connect();
    send_frame(fd, TEXT, "close", 5);
    expect_close(fd, 4001);
    send_frame(fd, CLOSE, "\x0f\xa1", 2);
    assert_int_equal(recv_frame(fd, data, sizeof data, &len), -1);
    assert_true(fixture_eventually(&f.ws_closed, before + 1));
    assert_int_equal(atomic_load(&f.ws_code), 4001);
    raw_close(fd);
}

static void test_bounds(void **state)
{
    static char big[80000];
    (void)state;
    int before = atomic_load(&f.ws_closed);
    int fd = ws_connect();
    send_frame(fd, TEXT, big, sizeof big);
    expect_close(fd, 1009);
    raw_close(fd);
    fd = ws_connect();
    send_frame(fd, TEXT, "bad \xff\xfe", 6);
    expect_close(fd, 1007);
    raw_close(fd);
    fd = ws_connect();
    raw_send(fd, "\x81\x02hi", 4); /* not masked */
    expect_close(fd, 1002);
    raw_close(fd);
    fd = ws_connect();
    send_frame(fd, 0x83, "x", 1); /* an opcode that does not exist */
    expect_close(fd, 1002);
    raw_close(fd);
    assert_true(fixture_eventually(&f.ws_closed, before + 4));
}

static void test_peer_vanishes(void **state)
{
    (void)state;
    int before = atomic_load(&f.ws_closed);
    int fd = ws_connect();
    raw_close(fd);
    assert_true(fixture_eventually(&f.ws_closed, before + 1));
    assert_int_equal(atomic_load(&f.ws_code), 1006);
    fd = raw_tcp(f.port); /* before the reply to its handshake was read */
    raw_printf(fd, HANDSHAKE);
    raw_close(fd);
    assert_true(fixture_eventually(&f.ws_closed, before + 2));
}

static void test_slow_reader(void **state)
{
    (void)state;
    int before = atomic_load(&f.ws_closed);
    int fd = ws_connect();
    send_frame(fd, TEXT, "flood", 5); /* and nobody reads */
    assert_true(fixture_eventually(&f.ws_closed, before + 1));
    assert_int_equal(atomic_load(&f.ws_code), 1013);
    raw_close(fd);
}

/* The first frame comes in the same segment as the request. */
static void test_early_frame(void **state)
{
    unsigned char data[1000];
    (void)state;
    int fd = raw_tcp(f.port);
    size_t len = strlen(HANDSHAKE);
    memcpy(data, HANDSHAKE, len); /* NOLINT(bugprone-not-null-terminated-result): bytes for the wire */
    len += frame(data + len, TEXT, "early", 5);
    raw_send(fd, data, len);
    assert_true(raw_wait_for(fd, "\x81\x05hello", NULL));
    assert_true(raw_wait_for(fd,
                             "\x81\x05"
                             "early",
                             NULL));
    raw_close(fd);
}

static void set_impatient(struct fixture *x)
{
    for (struct conn *c = x->server->conns; c; c = c->next) {
        if (c->websocket)
            websocket_set_patience(c->websocket, 200);
    }
}

static void test_ping(void **state)
{
    char data[100];
    size_t len;
    (void)state;
    int before = atomic_load(&f.ws_closed);
    int fd = ws_connect();
    fixture_on_loop(&f, set_impatient);
    assert_int_equal(recv_frame(fd, data, sizeof data, &len), PING);
    send_frame(fd, PONG, "", 0);
    assert_int_equal(recv_frame(fd, data, sizeof data, &len), PING);
    assert_int_equal(recv_frame(fd, data, sizeof data, &len), -1); /* no answer: over */
    assert_true(fixture_eventually(&f.ws_closed, before + 1));
    assert_int_equal(atomic_load(&f.ws_code), 1006);
    raw_close(fd);
}

static void test_not_an_upgrade(void **state)
{
    struct raw_reply r;
    (void)state;
    raw_once(f.port, &r, "GET /t/ws HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_int_equal(r.status, 426);
    assert_string_equal(raw_header(&r, "Upgrade"), "websocket");
    raw_reply_free(&r);
    raw_once(f.port, &r,
             "GET /t/ws HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: "
             "websocket\r\nSec-WebSocket-Version: 8\r\n\r\n");
    assert_int_equal(r.status, 426);
    raw_reply_free(&r);
    raw_once(f.port, &r,
             "GET /t/ws HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: "
             "websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n");
    assert_int_equal(r.status, 400);
    raw_reply_free(&r);
    raw_once(f.port, &r,
             "GET /t/ws HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nConnection: "
             "upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
             "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    assert_int_equal(r.status, 403);
    raw_reply_free(&r);
}

static void test_drain(void **state)
{
    struct fixture x = f, y;
    (void)state;
    fixture_prepare(&y);
    assert_int_equal(fixture_start(&y), 0);
    f.port = y.port; /* ws_connect goes there */
    int fd = ws_connect();
    f.port = x.port;
    y.stopped = true;
    fixture_on_loop(&y, fixture_drain);
    expect_close(fd, 1001);
    raw_close(fd);
    fixture_stop(&y);
    assert_int_equal(atomic_load(&y.ws_closed), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept_key),     cmocka_unit_test(test_echo),
        cmocka_unit_test(test_server_closes),  cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_peer_vanishes),  cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_early_frame),    cmocka_unit_test(test_ping),
        cmocka_unit_test(test_not_an_upgrade), cmocka_unit_test(test_drain),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
