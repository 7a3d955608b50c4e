/* URLs: parts, refusals, escapes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "net/url.h"

static void expect_url(const char *text, const char *scheme, const char *host, int port, const char *path,
                       const char *query)
{
    struct url u;
    struct error err = {0};
    if (url_parse(text, &u, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    assert_string_equal(u.scheme, scheme);
    assert_string_equal(u.host, host);
    assert_int_equal(u.port, port);
    assert_string_equal(u.path, path);
    assert_string_equal(u.query, query);
}

static void test_parts(void **state)
{
    (void)state;
    expect_url("http://127.0.0.1:8002", "http", "127.0.0.1", 8002, "/", "");
    expect_url("https://API.Example.com/v1/x%2Fy?a=b&c=d", "https", "api.example.com", 443, "/v1/x%2Fy",
               "a=b&c=d");
    expect_url("HTTP://localhost", "http", "localhost", 80, "/", "");
    expect_url("http://[::1]:9/a", "http", "::1", 9, "/a", "");
    expect_url("http://h/a/../b", "http", "h", 80, "/a/../b", "");
    expect_url("http://h?q", "http", "h", 80, "/", "q");
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "h",
        "ftp://h/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http:///a",
        "http:/h",
        "http://h:0/",
        "http://h:99999/",
        "http://h:x/",
        "http://u:secret@h/",
        "http://u@h/",
        "http://h/#f",
        "http://h/a b",
        "http://h/\r\nX: y",
        "//h/a",
        "http://[::1/",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct url u;
        struct error err = {0};
        if (url_parse(bad[i], &u, &err) != VX11_EINVALID)
            fail_msg("\"%s\" was taken: host %s port %d path %s", bad[i], u.host, u.port, u.path);
        assert_true(err.text[0] != 0);
        assert_null(strstr(err.text, "secret"));
    }
}

static void test_too_long(void **state)
{
    char text[12000];
    struct url u;
    (void)state;
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 0;
    memcpy(text, "http://h/", 9);
    assert_int_equal(url_parse(text, &u, NULL), VX11_ETOO_LARGE);
    memcpy(text, "http://h?", 9);
    assert_int_equal(url_parse(text, &u, NULL), VX11_ETOO_LARGE);
    memcpy(text, "http://hh", 9);
    assert_int_equal(url_parse(text, &u, NULL), VX11_ETOO_LARGE);
}

static void test_encode(void **state)
{
    struct buf out = BUF_INIT;
    (void)state;
    assert_int_equal(url_encode(&out, "az-AZ_09.~/ %\xff\0+", 16, false), 0);
    assert_string_equal(out.data, "az-AZ_09.~%2F%20%25%FF%00%2B");
    buf_clear(&out);
    assert_int_equal(url_encode(&out, "a/b c", 5, true), 0);
    assert_string_equal(out.data, "a/b%20c");
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_encode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
