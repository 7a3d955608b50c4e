/* Server parse and router: the pure functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/router.h"
#include "net/server_parse.h"

static int unescape(const char *in, bool plus, char *out, size_t size)
{
    size_t len;
    snprintf(out, size, "%s", in);
    int rc = parse_unescape(out, plus, &len);
    if (rc == 0)
        assert_int_equal(len, strlen(out));
    return rc;
}

static void test_unescape(void **state)
{
    char s[100];
    (void)state;
    assert_int_equal(unescape("a%20b+c", false, s, sizeof s), 0);
    assert_string_equal(s, "a b+c");
    assert_int_equal(unescape("a+b%2B", true, s, sizeof s), 0);
    assert_string_equal(s, "a b+");
    assert_int_equal(unescape("%c3%A9", false, s, sizeof s), 0);
    assert_string_equal(s, "é");
    const char *const bad[] = {"%", "%2", "%zz", "%00", "%ff", "%c3", "a%0a", "%7f", "\x01"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(unescape(bad[i], false, s, sizeof s), VX11_ESYNTAX);
    assert_int_equal(unescape("a%0ab", true, s, sizeof s), 0); /* a query's text may have lines */
}

static void test_query(void **state)
{
    char text[] = "&&a=1&b&c=&%64=x%20y+z&=v", *at = text, *name, *value;
    (void)state;
    const char *const want[][2] = {{"a", "1"}, {"b", ""}, {"c", ""}, {"d", "x y z"}, {"", "v"}};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(parse_query_next(&at, &name, &value), 1);
        assert_string_equal(name, want[i][0]);
        assert_string_equal(value, want[i][1]);
    }
    assert_int_equal(parse_query_next(&at, &name, &value), 0);
    char bad[] = "a=%";
    at = bad;
    assert_int_equal(parse_query_next(&at, &name, &value), VX11_ESYNTAX);
    char bare[] = "%61%62"; /* without a value, and shorter once decoded */
    at = bare;
    assert_int_equal(parse_query_next(&at, &name, &value), 1);
    assert_string_equal(name, "ab");
    assert_string_equal(value, "");
}

static void test_cookie(void **state)
{
    char out[8];
    (void)state;
    assert_true(parse_cookie("a=1; s=xyz", "s", out, sizeof out));
    assert_string_equal(out, "xyz");
    assert_true(parse_cookie("s=\"q\" ;b", "s", out, sizeof out));
    assert_string_equal(out, "q");
    assert_false(parse_cookie("ss=1; xs=2", "s", out, sizeof out));
    assert_false(parse_cookie("s=", "s", out, sizeof out));
    assert_false(parse_cookie("s=12345678", "s", out, sizeof out));
    assert_false(parse_cookie("", "s", out, sizeof out));
    assert_false(parse_cookie(";;; ;", "s", out, sizeof out));
}

static void test_trace(void **state)
{
    char id[33];
    const char *good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    char bad[64];
    (void)state;
    assert_true(parse_traceparent(good, id));
    assert_string_equal(id, "0af7651916cd43dd8448eb211c80319c");
    assert_true(parse_traceparent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", id));
    assert_false(parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", id));
    assert_false(parse_traceparent("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", id));
    assert_false(parse_traceparent("00-00000000000000000000000000000000-b7ad6b7169203331-01", id));
    assert_false(parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", id));
    assert_false(parse_traceparent("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", id));
    for (size_t n = 0; n < strlen(good); n++) {
        snprintf(bad, sizeof bad, "%.*s", (int)n, good);
        assert_false(parse_traceparent(bad, id));
    }
}

static void test_hosts(void **state)
{
    char name[32];
    int port;
    bool https;
    (void)state;
    assert_int_equal(parse_host("LocalHost:80", name, sizeof name, &port), 0);
    assert_string_equal(name, "localhost");
    assert_int_equal(port, 80);
    assert_int_equal(parse_host("[::1]", name, sizeof name, &port), 0);
    assert_string_equal(name, "[::1]");
    assert_int_equal(port, -1);
    const char *const bad[] = {"",    ":80",     "a:b",    "a:99999",
                               "a b", "[::1",    "[::1]x", "a@b",
                               "a/b", "a:80:90", "a:",     "a-very-long-name-that-does-not-fit-the-buffer"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(parse_host(bad[i], name, sizeof name, &port), VX11_ESYNTAX);
    assert_int_equal(parse_origin("https://a.example", &https, name, sizeof name, &port), 0);
    assert_true(https && port == 443);
    assert_int_equal(parse_origin("http://a", &https, name, sizeof name, &port), 0);
    assert_true(!https && port == 80);
    assert_int_equal(parse_origin("null", &https, name, sizeof name, &port), VX11_ESYNTAX);
    assert_int_equal(parse_origin("http://a/", &https, name, sizeof name, &port), VX11_ESYNTAX);
    assert_int_equal(parse_origin("http://user@a", &https, name, sizeof name, &port), VX11_ESYNTAX);
}

static void test_small_ones(void **state)
{
    struct principal p;
    (void)state;
    assert_true(parse_request_id("aZ9._-"));
    assert_false(parse_request_id(""));
    assert_false(parse_request_id("a b"));
    assert_false(parse_request_id("0123456789012345678901234567890123456789012345678901234567890123x"));
    assert_int_equal(parse_principal("01ARZ3NDEKTSV4RRFFQ69G5FAV;a%3Bb;read,act", &p), 0);
    assert_string_equal(p.name, "a;b");
    assert_int_equal(parse_principal("local;;chat", &p), 0);
    assert_int_equal(parse_principal("local;n;", &p), 0);
    assert_int_equal(p.scopes, 0);
    const char *const bad[] = {"",
                               ";;",
                               "x;y;read",
                               "01ARZ3NDEKTSV4RRFFQ69G5FAV;a",
                               "01ARZ3NDEKTSV4RRFFQ69G5FAV;a;b;c",
                               "01ARZ3NDEKTSV4RRFFQ69G5FAV;a;root",
                               "01ARZ3NDEKTSV4RRFFQ69G5FAV;%00;read"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(parse_principal(bad[i], &p), VX11_ESYNTAX);
    assert_true(parse_content_type_is_json(NULL));
    assert_true(parse_content_type_is_json("Application/JSON ; charset=\"UTF-8\""));
    assert_true(parse_content_type_is_json("application/json;x=y"));
    assert_false(parse_content_type_is_json("application/jsonx"));
    assert_false(parse_content_type_is_json("application/json; charset=utf-16"));
    assert_false(parse_content_type_is_json("text/plain"));
    assert_string_equal(parse_bearer("bearer  abc"), "abc");
    assert_null(parse_bearer("Bearer"));
    assert_null(parse_bearer("Bearer "));
    assert_null(parse_bearer("Bearer a b"));
    assert_null(parse_bearer("Basic abc"));
    assert_true(parse_header_name("X-A"));
    assert_false(parse_header_name("X A"));
    assert_false(parse_header_name(""));
    assert_true(parse_header_value("é ok"));
    assert_false(parse_header_value("a\r\nb"));
}

#define R(name, verb, where)                                                                                 \
    {                                                                                                        \
        .id = name, .method = verb, .path = where                                                            \
    }
static const struct contract_route table[] = {
    R("root", "GET", "/"),
    R("chat", "POST", "/switch/chat"),
    R("list", "GET", "/m"),
    R("add", "POST", "/m"),
    R("get", "GET", "/m/{name}"),
    R("del", "DELETE", "/m/{id}"),
    R("tags", "GET", "/m/{name}/tags"),
    R("fixed", "GET", "/m/all"),
    R("rest", "GET", "/files/{path*}"),
    R("two", "GET", "/a/{x}/b/{y}"),
    R("word", "GET", "/a/c/b/d/e"),
};
enum { N = sizeof table / sizeof table[0] };

static struct router *make(const struct contract_route *routes, size_t n, int want)
{
    const struct contract_route *pointers[N];
    struct router *r = NULL;
    struct error err;
    for (size_t i = 0; i < n; i++)
        pointers[i] = &routes[i];
    assert_int_equal(router_create(pointers, n, &r, &err), want);
    return r;
}

static int find(const struct router *r, const char *method, const char *path, struct arena *a,
                struct router_match *m)
{
    char text[200], *segments[ROUTER_MAX_SEGMENTS];
    static char kept[200];
    snprintf(text, sizeof text, "%s", path);
    memcpy(kept, text, sizeof kept);
    int n = parse_path(kept, segments, ROUTER_MAX_SEGMENTS);
    return n < 0 ? n : router_find(r, method, segments, (size_t)n, a, m);
}

static void test_router(void **state)
{
    struct arena *a = arena_create(0);
    struct router_match m;
    char text[64];
    (void)state;
    struct router *r = make(table, N, 0);
    static const struct {
        const char *method, *path;
        size_t index;
    } good[] = {{"GET", "/", 0},          {"POST", "/switch/chat", 1}, {"GET", "/m", 2},
                {"POST", "/m", 3},        {"GET", "/m/x", 4},          {"DELETE", "/m/x", 5},
                {"GET", "/m/x/tags", 6},  {"GET", "/m/all", 7},        {"GET", "/m/all/tags", 6},
                {"GET", "/files/a/b", 8}, {"GET", "/a/c/b/d", 9},      {"GET", "/a/c/b/d/e", 10},
                {"HEAD", "/m", 2}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(find(r, good[i].method, good[i].path, a, &m), 0);
        assert_int_equal(m.index, good[i].index);
    }
    assert_int_equal(find(r, "GET", "/a/1/b/2", a, &m), 0);
    assert_int_equal(m.param_count, 2);
    assert_string_equal(m.names[1], "y");
    assert_string_equal(m.values[0], "1");
    assert_string_equal(m.values[1], "2");
    assert_int_equal(find(r, "GET", "/files/a/b%2Fc/", a, &m), 0);
    assert_string_equal(m.values[0], "a/b/c/");
    const char *const absent[] = {"/switch", "/switch/chat/x", "/m/", "/m//tags",
                                  "/files",  "/a/1/b",         "/x",  "//"};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        assert_int_equal(find(r, "GET", absent[i], a, &m), VX11_ENOT_FOUND);
    assert_int_equal(find(r, "PUT", "/m", a, &m), VX11_EUNSUPPORTED);
    assert_string_equal(router_methods_format(m.methods, text, sizeof text), "GET, HEAD, POST");
    assert_int_equal(find(r, "GET", "/a/../b", a, &m), VX11_ESYNTAX);
    assert_int_equal(find(r, "GET", "x", a, &m), VX11_ESYNTAX);
    assert_int_equal(
        find(r, "GET", "/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x", a, &m),
        VX11_ETOO_LARGE);
    router_destroy(r);
    arena_destroy(a);
}

static void test_router_refuses(void **state)
{
    (void)state;
    make((struct contract_route[]){R("a", "GET", "/x/{y}"), R("b", "GET", "/x/{z}")}, 2, VX11_EEXISTS);
    make((struct contract_route[]){R("a", "GET", "x")}, 1, VX11_EINVALID);
    make((struct contract_route[]){R("a", "BREW", "/x")}, 1, VX11_EINVALID);
    make((struct contract_route[]){R("a", "GET", "/{y*}/z")}, 1, VX11_EINVALID);
    make((struct contract_route[]){R("a", "GET", "/{}")}, 1, VX11_EINVALID);
    make((struct contract_route[]){R("a", "GET", "/{x")}, 1, VX11_EINVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unescape), cmocka_unit_test(test_query),
        cmocka_unit_test(test_cookie),   cmocka_unit_test(test_trace),
        cmocka_unit_test(test_hosts),    cmocka_unit_test(test_small_ones),
        cmocka_unit_test(test_router),   cmocka_unit_test(test_router_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
