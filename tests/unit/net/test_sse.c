/* The event stream reader, by the rules and examples of the WHATWG HTML standard, 9.2.6, in every cut. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "net/sse.h"

static int write_down(void *ctx, const struct sse_event *e)
{
    struct buf *out = ctx;
    assert_int_equal(strlen(e->data) <= e->data_len, 1);
    assert_int_equal(e->data[e->data_len], 0);
    buf_printf(out, "[%s|%s|", e->event, e->id);
    buf_append(out, e->data, e->data_len);
    return buf_puts(out, "]");
}

/* In one piece, byte by byte, and cut in two at every place. */
static void expect_events(const char *stream, size_t len, const char *want, size_t pending)
{
    for (size_t cut = 0; cut <= len + 1; cut++) {
        struct sse_parser p;
        struct buf out = BUF_INIT;
        sse_init(&p, 0);
        if (cut <= len) {
            assert_int_equal(sse_feed(&p, stream, cut, write_down, &out), 0);
            assert_int_equal(sse_feed(&p, stream + cut, len - cut, write_down, &out), 0);
        } else {
            for (size_t i = 0; i < len; i++)
                assert_int_equal(sse_feed(&p, stream + i, 1, write_down, &out), 0);
        }
        assert_string_equal(out.data ? out.data : "", want);
        assert_int_equal(sse_pending(&p), pending);
        buf_free(&out);
        sse_free(&p);
    }
}

#define EXPECT(stream, want, pending) expect_events(stream, sizeof(stream) - 1, want, pending)

static void test_examples(void **state)
{
    (void)state;
    EXPECT("data: YHOO\ndata: +2\ndata: 10\n\n", "[message||YHOO\n+2\n10]", 0);
    EXPECT(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
           "[message|1|first event][message||second event][message|| third event]", 0);
    EXPECT("data\n\ndata\ndata\n\ndata:", "[message||][message||\n]", 5);
    EXPECT("data:test\n\ndata: test\n\n", "[message||test][message||test]", 0);
    EXPECT("event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\ndata: x\n\n",
           "[add||73857293][remove||2153][message||x]", 0);
}

static void test_line_ends(void **state)
{
    (void)state;
    EXPECT("data: a\r\ndata: b\rdata: c\n\r\n", "[message||a\nb\nc]", 0);
    EXPECT("data: a\r\rdata: b\r\r", "[message||a][message||b]", 0);
    EXPECT("data: a\r\n\r\ndata: b\r\n\r\n", "[message||a][message||b]", 0);
    EXPECT("data: a\n\n\n\r\n\r\rdata: b\n\n", "[message||a][message||b]", 0);
    EXPECT("\r\n\r\n\n\r", "", 0);
}

static void test_fields(void **state)
{
    (void)state;
    EXPECT("event: only\n\ndata: x\n\n", "[message||x]", 0);
    EXPECT("event: a\nevent: b\nevent\ndata: x\n\n", "[message||x]", 0);
    EXPECT("id: 7\n\ndata: x\n\nid\ndata: y\n\n", "[message|7|x][message||y]", 0);
    EXPECT("id: a\0b\ndata: x\n\n", "[message||x]", 0);
    EXPECT("Data: x\n data: y\ndata : z\nnonsense\n\n", "", 0);
    EXPECT("data:: x:y\n\n", "[message||: x:y]", 0);
    EXPECT(":\n:comment\ndata: x\n:\n\n", "[message||x]", 0);
    EXPECT(": a comment cut sho", "", 0);
    EXPECT("data: unfinished", "", 16);
    EXPECT("data: unfinished\n", "", 11);
    EXPECT("event: ping\n", "", 4);
}

static void test_encoding(void **state)
{
    (void)state;
    EXPECT("\xEF\xBB\xBF"
           "data: x\n\n",
           "[message||x]", 0);
    EXPECT("\xEF\xBB\xBF\xEF\xBB\xBF"
           "data: x\ndata: y\n\n",
           "[message||y]", 0);
    EXPECT("\xEF\xBB"
           "data: x\ndata: y\n\n",
           "[message||y]", 0);
    EXPECT("\xEF\xBB", "", 2);
    EXPECT("data: \xEF\xBB\xBF\n\n", "[message||\xEF\xBB\xBF]", 0);
    EXPECT("data: \xc3\xa9\xff\xe2\x82 \xf0\x9f\x98\n\n",
           "[message||\xc3\xa9\xEF\xBF\xBD\xEF\xBF\xBD \xEF\xBF\xBD]", 0);
}

static int64_t retry_of(const char *stream)
{
    struct sse_parser p;
    struct buf out = BUF_INIT;
    sse_init(&p, 0);
    assert_int_equal(sse_feed(&p, stream, strlen(stream), write_down, &out), 0);
    int64_t ms = p.retry_ms;
    buf_free(&out);
    sse_free(&p);
    return ms;
}

static void test_retry(void **state)
{
    (void)state;
    assert_int_equal(retry_of("data: x\n\n"), -1);
    assert_int_equal(retry_of("retry: 1500\n"), 1500);
    assert_int_equal(retry_of("retry: 1500\nretry: 1x\nretry: -1\nretry:\nretry: 1.5\n"), 1500);
    assert_int_equal(retry_of("retry: 0\n"), 0);
    assert_true(retry_of("retry: 99999999999999999999999\n") == INT64_MAX);
}

static int stop_at_two(void *ctx, const struct sse_event *e)
{
    int *count = ctx;
    (void)e;
    return ++*count == 2 ? 77 : 0;
}

static void test_stop(void **state)
{
    static const char stream[] = "data: 1\n\ndata: 2\n\ndata: 3\n\n";
    struct sse_parser p;
    int count = 0;
    (void)state;
    sse_init(&p, 0);
    assert_int_equal(sse_feed(&p, stream, sizeof stream - 1, stop_at_two, &count), 77);
    assert_int_equal(count, 2);
    sse_free(&p);
}

static void expect_too_large(const char *piece, size_t times)
{
    for (int whole = 0; whole < 2; whole++) {
        struct sse_parser p;
        struct buf out = BUF_INIT, stream = BUF_INIT;
        int rc = 0;
        sse_init(&p, 100);
        for (size_t i = 0; i < times; i++)
            buf_puts(&stream, piece);
        if (whole)
            rc = sse_feed(&p, stream.data, stream.len, write_down, &out);
        for (size_t i = 0; !whole && rc == 0 && i < stream.len; i++)
            rc = sse_feed(&p, stream.data + i, 1, write_down, &out);
        assert_int_equal(rc, VX11_ETOO_LARGE);
        assert_true(p.line.len <= 100 && p.data.len <= 100);
        assert_int_equal(sse_feed(&p, "data: x\n\n", 9, write_down, &out), VX11_ETOO_LARGE);
        buf_free(&out);
        buf_free(&stream);
        sse_free(&p);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    expect_too_large("data: some text without an end", 10);
    expect_too_large("data: 0123456789\n", 10);
    expect_too_large(": a comment ", 10);
    expect_too_large("nonsense", 20);
    EXPECT("data: 0123456789012345678901234567890123456789\n\n",
           "[message||0123456789012345678901234567890123456789]", 0);
}

/* Time grows with the bytes, not with their square, whatever the shape. */
static double seconds_for(const char *piece, size_t bytes)
{
    struct sse_parser p;
    struct buf out = BUF_INIT, stream = BUF_INIT;
    sse_init(&p, (size_t)64 << 20);
    while (stream.len < bytes)
        buf_puts(&stream, piece);
    uint64_t start = clock_mono_ns();
    for (size_t at = 0; at < stream.len; at += 1 << 16)
        assert_int_equal(sse_feed(&p, stream.data + at, stream.len - at < 1 << 16 ? stream.len - at : 1 << 16,
                                  write_down, &out),
                         0);
    double s = (double)(clock_mono_ns() - start) / 1e9;
    buf_free(&out);
    buf_free(&stream);
    sse_free(&p);
    return s;
}

static void test_linear(void **state)
{
    static const char *const pieces[] = {
        "data: x\n\n", "\r", "\n", "data\r", "no line end at all ", ":\n", "data: {\"a\":1}\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        assert_true(seconds_for(pieces[i], 1 << 20) < 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples), cmocka_unit_test(test_line_ends), cmocka_unit_test(test_fields),
        cmocka_unit_test(test_encoding), cmocka_unit_test(test_retry),     cmocka_unit_test(test_stop),
        cmocka_unit_test(test_bounds),   cmocka_unit_test(test_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
