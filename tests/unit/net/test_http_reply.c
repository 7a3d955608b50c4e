#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "net/http_reply.h"

struct seen {
    int headers, status;
    bool keep, ended;
    struct buf body;
    struct error err;
    size_t rest;
};

/* Feeds the text in pieces of `step` bytes. */
static void feed(struct http_reply *r, const char *text, size_t len, size_t step, bool head, struct seen *s)
{
    *s = (struct seen){0};
    http_reply_begin(r, head, 4096);
    for (size_t at = 0; at < len && !s->ended && s->err.code == 0; at += step) {
        const char *data = text + at, *piece;
        size_t n = len - at < step ? len - at : step, piece_len;
        for (enum http_reply_event ev = HTTP_REPLY_BODY;
             ev != HTTP_REPLY_MORE && !s->ended && !s->err.code;) {
            ev = http_reply_next(r, &data, &n, &piece, &piece_len, &s->err);
            if (ev == HTTP_REPLY_BODY)
                buf_append(&s->body, piece, piece_len);
            if (ev == HTTP_REPLY_HEADERS) {
                s->headers++;
                s->status = r->status;
                s->keep = r->keep_alive;
            }
            s->ended = ev == HTTP_REPLY_END;
            assert_true(ev != HTTP_REPLY_MORE || n == 0);
            assert_int_equal(ev == HTTP_REPLY_FAILED, s->err.code != 0);
        }
        s->rest = n;
    }
}

static void test_replies(void **state)
{
    static const struct {
        const char *text, *body;
        int status;
        bool keep, ended, head;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 200, true, true, false},
        {"HTTP/1.1 200\nContent-Length:2\n\nok", "ok", 200, true, true, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", 200, false, true, false},
        {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", "ok", 200, true, true,
         false},
        {"HTTP/1.1 200 OK\r\nconnection: x, close\r\ncontent-length: 0\r\n\r\n", "", 200, false, true, false},
        {"HTTP/1.1 404 Not Found\r\n\r\nuntil the end", "until the end", 404, false, false, false},
        {"HTTP/1.1 204 None\r\n\r\n", "", 204, true, true, false},
        {"HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n", "", 304, true, true, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "", 200, true, true, true},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 "
         "Made\r\nContent-Length: "
         "1\r\n\r\nx",
         "x", 201, true, true, false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nTrailer: "
         "t\r\n\r\n",
         "hello!", 200, true, true, false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: "
         "3\r\n\r\n00A\r\n0123456789\r\n0\r\n\r\n",
         "0123456789", 200, false, true, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "ok", 200, true, true, false},
    };
    struct http_reply r = {0};
    struct seen s;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (size_t step = 1; step <= strlen(cases[i].text); step++) {
            feed(&r, cases[i].text, strlen(cases[i].text), step, cases[i].head, &s);
            if (s.err.code)
                fail_msg("%zu in steps of %zu: %s", i, step, s.err.text);
            if (s.ended != cases[i].ended)
                fail_msg("%zu in steps of %zu", i, step);
            assert_int_equal(s.headers, 1);
            assert_int_equal(s.status, cases[i].status);
            assert_int_equal(s.keep, cases[i].keep);
            assert_int_equal(s.ended, cases[i].ended);
            assert_int_equal(http_reply_closed(&r), !cases[i].ended);
            assert_string_equal(s.body.data ? s.body.data : "", cases[i].body);
            assert_int_equal(r.body_bytes, strlen(cases[i].body));
            buf_free(&s.body);
        }
    }
    http_reply_free(&r);
}

static void test_malformed(void **state)
{
    static const char *const texts[] = {
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 2xx OK\r\n\r\n",
        "HTTP/1.1 20\r\n\r\n",
        "HTTP/1.1 200OK\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n;a\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
    };
    struct http_reply r = {0};
    struct seen s;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        for (size_t step = 1; step <= strlen(texts[i]); step++) {
            feed(&r, texts[i], strlen(texts[i]), step, false, &s);
            if (s.err.code != VX11_ECORRUPT)
                fail_msg("%zu in steps of %zu was taken", i, step);
            buf_free(&s.body);
        }
    }
    feed(&r, "HTTP/1.1 200 OK\r\nA\0B: c\r\n\r\n", 27, 64, false, &s);
    assert_int_equal(s.err.code, VX11_ECORRUPT);
    http_reply_free(&r);
}

static void test_bounds(void **state)
{
    struct http_reply r = {0};
    struct seen s;
    struct buf text = BUF_INIT;
    (void)state;
    buf_puts(&text, "HTTP/1.1 200 OK\r\n");
    while (text.len < 5000)
        buf_puts(&text, "A: b\r\n");
    feed(&r, text.data, text.len, 100, false, &s);
    assert_int_equal(s.err.code, VX11_ETOO_LARGE);
    buf_clear(&text);
    for (int i = 0; i < 300; i++)
        buf_puts(&text, "HTTP/1.1 100 Continue\r\n\r\n");
    feed(&r, text.data, text.len, 100, false, &s);
    assert_int_equal(s.err.code, VX11_ETOO_LARGE);
    buf_clear(&text);
    buf_puts(&text, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
    while (text.len < 40000)
        buf_puts(&text, "T: u\r\n");
    feed(&r, text.data, text.len, 1000, false, &s);
    assert_int_equal(s.err.code, VX11_ECORRUPT);
    buf_free(&text);
    http_reply_free(&r);
}

static void test_headers_and_rest(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nX-Empty:\r\nRetry-After:  7 \t\r\nretry-after: 8\r\n"
                               "Content-Length: 1\r\n\r\nyTHE REST";
    struct http_reply r = {0};
    struct seen s;
    (void)state;
    feed(&r, text, sizeof text - 1, sizeof text, false, &s);
    assert_true(s.ended);
    assert_int_equal(s.rest, strlen("THE REST"));
    assert_string_equal(http_reply_header(&r, "retry-After"), "7");
    assert_string_equal(http_reply_header(&r, "x-empty"), "");
    assert_null(http_reply_header(&r, "Retry"));
    assert_null(http_reply_header(&r, "absent"));
    buf_free(&s.body);
    http_reply_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_headers_and_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
