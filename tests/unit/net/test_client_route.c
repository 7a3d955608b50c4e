/* Typed calls: paths and queries from structs, answers into structs, and every way an answer can fail to be
 * one. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <cmocka.h>

#include "script_server_calls.h"

/* ---- a small contract, as the generator would write it ---- */

enum color { COLOR_RED, COLOR_DARK_BLUE };
static const char *const color_names[] = {"red", "dark blue"};

struct params {
    const char *name;
    bool has_limit;
    int64_t limit;
    bool has_ratio;
    double ratio;
    bool has_deep;
    bool deep;
    bool has_color;
    int color;
    const char **tags;
    size_t tags_count;
    int64_t *ids;
    size_t ids_count;
};

#define MEMBER(type_name, member, json_type)                                                                 \
    .name = #member, .doc = "", .unit = "", .type = json_type, .offset = offsetof(struct type_name, member)
#define FIELD(type_name, member, json_type) MEMBER(type_name, member, json_type), .has_offset = SIZE_MAX
#define OPTIONAL(member, json_type)                                                                          \
    MEMBER(params, member, json_type), .has_offset = offsetof(struct params, has_##member)
#define LIST(member)                                                                                         \
    FIELD(params, member, CONTRACT_ARRAY), .count_offset = offsetof(struct params, member##_count)

static const struct contract_field string_element = {
    .name = "", .type = CONTRACT_STRING, .has_offset = SIZE_MAX};
static const struct contract_field integer_element = {
    .name = "", .type = CONTRACT_INTEGER, .has_offset = SIZE_MAX};

static const struct contract_field params_fields[] = {
    {FIELD(params, name, CONTRACT_STRING), .flags = CONTRACT_REQUIRED},
    {OPTIONAL(limit, CONTRACT_INTEGER)},
    {OPTIONAL(ratio, CONTRACT_NUMBER)},
    {OPTIONAL(deep, CONTRACT_BOOL)},
    {OPTIONAL(color, CONTRACT_ENUM), .values = color_names, .values_count = 2},
    {LIST(tags), .element = &string_element},
    {LIST(ids), .element = &integer_element},
};
static const struct contract_message params_message = {
    .name = "Params", .doc = "", .size = sizeof(struct params), .fields = params_fields, .field_count = 7};

struct thing {
    const char *name;
    int64_t size;
};
static const struct contract_field thing_fields[] = {
    {FIELD(thing, name, CONTRACT_STRING), .flags = CONTRACT_REQUIRED},
    {FIELD(thing, size, CONTRACT_INTEGER), .flags = CONTRACT_REQUIRED | CONTRACT_HAS_MIN, .min = 0},
};
static const struct contract_message thing_message = {
    .name = "Thing", .doc = "", .size = sizeof(struct thing), .fields = thing_fields, .field_count = 2};

static const struct contract_route get_thing = {.id = "get_thing",
                                                .method = "GET",
                                                .path = "/things/{name}",
                                                .params = &params_message,
                                                .response = &thing_message};
static const struct contract_route get_rest = {
    .id = "get_rest", .method = "GET", .path = "/rest/{name*}", .params = &params_message};
static const struct contract_route put_thing = {.id = "put_thing",
                                                .method = "PUT",
                                                .path = "/put",
                                                .request = &thing_message,
                                                .response = &thing_message};
static const struct contract_route delete_thing = {
    .id = "delete_thing", .method = "DELETE", .path = "/gone", .status = 204, .response = &thing_message};

/* ---- paths ---- */

static void expect_path(const struct contract_route *route, const struct params *p, const char *want)
{
    struct buf out = BUF_INIT;
    struct error err = {0};
    assert_int_equal(client_route_path(route, p, &out, &err), 0);
    assert_string_equal(out.data, want);
    buf_free(&out);
}

static void test_path(void **state)
{
    const char *tags[] = {"x y", "a&b=c", ""};
    int64_t ids[] = {-1, INT64_MAX};
    struct params p = {.name = "a/b c%\xc3\xa9?#",
                       .has_limit = true,
                       .limit = -5,
                       .has_ratio = true,
                       .ratio = 0.1,
                       .has_deep = true,
                       .has_color = true,
                       .color = COLOR_DARK_BLUE,
                       .tags = tags,
                       .tags_count = 3,
                       .ids = ids,
                       .ids_count = 2};
    struct buf out = BUF_INIT;
    struct error err = {0};
    (void)state;
    expect_path(&get_thing, &p,
                "/things/"
                "a%2Fb%20c%25%C3%A9%3F%23?limit=-5&ratio=0.1&deep=false&color=dark%20blue&tags=x%20y&tags=a%"
                "26b%3Dc&tags="
                "&ids=-1&ids=9223372036854775807");
    expect_path(&get_thing, &(struct params){.name = ".."}, "/things/%2E%2E");
    expect_path(&get_thing, &(struct params){.name = "..."}, "/things/...");
    expect_path(&get_rest, &(struct params){.name = "a/../b//c d/."}, "/rest/a/%2E%2E/b//c%20d/%2E");
    expect_path(&get_rest, &(struct params){.name = "org/model:7b"}, "/rest/org/model%3A7b");
    expect_path(&put_thing, NULL, "/put");

    assert_int_equal(client_route_path(&get_thing, &(struct params){0}, &out, &err), VX11_EINVALID);
    assert_string_equal(err.text, "get_thing: the path needs a value for name");
    assert_int_equal(client_route_path(&get_thing, &(struct params){.name = ""}, &out, &err), VX11_EINVALID);
    assert_int_equal(client_route_path(&get_thing, NULL, &out, &err), VX11_EINVALID);
    p.color = 7;
    assert_int_equal(client_route_path(&get_thing, &p, &out, &err), VX11_EINVALID);
    buf_free(&out);
}

/* ---- calls ---- */

struct outcome {
    int done, result, status, code;
    bool parsed;
    struct thing thing;
    char name[64], text[512], error_code[64], body[256];
    int64_t retry_after_ms;
};

static void on_reply(struct client_call *call, void *ctx, const struct client_reply *reply)
{
    struct outcome *o = ctx;
    (void)call;
    assert_int_equal(o->done, 0);
    o->done = 1;
    o->result = reply->result;
    o->status = reply->status;
    o->code = reply->error.code;
    o->parsed = reply->message != NULL;
    if (o->parsed) {
        o->thing = *(const struct thing *)reply->message;
        snprintf(o->name, sizeof o->name, "%s", o->thing.name);
    }
    snprintf(o->text, sizeof o->text, "%s", reply->error.text);
    snprintf(o->error_code, sizeof o->error_code, "%s", reply->error_code);
    snprintf(o->body, sizeof o->body, "%.*s", (int)(reply->body_len < 200 ? reply->body_len : 200),
             reply->body);
    o->retry_after_ms = reply->retry_after_ms;
    assert_non_null(reply->arena);
}

struct answer {
    const char *name;
    const char *status, *headers, *body;
};

static const struct answer answers[] = {
    {"good", "200 OK", "", "{\"name\":\"good\",\"size\":7,\"later\":true}"},
    {"extra-slow", "200 OK", "Retry-After: 3\r\n", "{\"name\":\"good\",\"size\":7}"},
    {"missing", "404 Not Found", "",
     "{\"error\":{\"message\":\"no thing is named "
     "missing\",\"type\":\"not_found\",\"code\":\"thing_not_found\"}}"},
    {"busy", "429 Too Many Requests", "Retry-After: 2\r\n",
     "{\"error\":{\"message\":\"slow down\",\"code\":42}}"},
    {"past", "503 Service Unavailable", "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n",
     "{\"error\":\"gone for now\"}"},
    {"odd", "503 Service Unavailable", "Retry-After: soon\r\n", "{\"message\":\"plain\"}"},
    {"huge-wait", "503 Service Unavailable", "Retry-After: 99999999999999999999\r\n",
     "{\"detail\":\"detail\"}"},
    {"html", "502 Bad Gateway", "Content-Type: text/html\r\n", "<html>Bad Gateway</html>"},
    {"moved", "301 Moved Permanently", "Location: /elsewhere\r\n", "moved"},
    {"text", "200 OK", "", "hello"},
    {"wrong", "200 OK", "", "{\"name\":\"wrong\",\"size\":-1}"},
    {"lacking", "200 OK", "", "{\"name\":\"lacking\"}"},
    {"twice", "200 OK", "", "{\"name\":\"a\",\"name\":\"b\",\"size\":1}"},
    {"nothing", "200 OK", "", ""},
    {"401", "401 Unauthorized", "", "{\"error\":{\"message\":\"a token is needed\"}}"},
    {"403", "403 Forbidden", "", ""},
    {"409", "409 Conflict", "", ""},
    {"400", "400 Bad Request", "", ""},
    {"422", "422 Unprocessable", "", ""},
    {"413", "413 Too Large", "", ""},
    {"501", "501 Not Implemented", "", ""},
    {"504", "504 Gateway Timeout", "", ""},
    {"500", "500 Oops", "", "{\"error\":{\"message\":\"\"}}"},
    {"500b", "500 Oops", "", "[[[[1]]]]"},
    {"500c", "500 Oops", "", "{\"error\":[1,2]}"},
};

static bool serve(struct script_conn *conn, const struct script_request *r)
{
    if (strcmp(r->path, "/gone") == 0)
        return strcmp(r->method, "DELETE") == 0 && script_puts(conn, "HTTP/1.1 204 No Content\r\n\r\n");
    if (strcmp(r->path, "/put") == 0)
        return script_has(r, "Content-Type: application/json") &&
               script_printf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", r->body_len, r->body);
    if (strcmp(r->path, "/things/cut") == 0)
        return script_puts(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"name\":") && false;
    if (strcmp(r->path, "/things/endless") == 0) {
        script_puts(conn, "HTTP/1.1 200 OK\r\n\r\n");
        while (script_puts(conn, "0123456789012345678901234567890123456789"))
            continue;
        return false;
    }
    if (strcmp(r->path, "/things/date") == 0) {
        time_t at = time(NULL) + 30;
        char date[64];
        struct tm tm;
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&at, &tm));
        return script_printf(conn, "HTTP/1.1 429 Slow\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", date);
    }
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (strncmp(r->path, "/things/", 8) == 0 && strcmp(r->path + 8, answers[i].name) == 0)
            return script_printf(conn, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", answers[i].status,
                                 answers[i].headers, strlen(answers[i].body), answers[i].body);
    return false;
}

static struct outcome get(struct calls *t, const char *name, const struct client_call_options *o)
{
    struct outcome out = {0};
    struct params p = {.name = name};
    struct client_call *call = NULL;
    assert_int_equal(client_call_route(t->client, &t->target, &get_thing, &p, NULL, o, on_reply, &out, &call),
                     0);
    assert_non_null(call);
    calls_wait(t, &out.done);
    if (out.code != 0)
        assert_true(out.text[0] != 0 && !out.parsed);
    return out;
}

static void test_good(void **state)
{
    struct calls t;
    struct outcome o;
    (void)state;
    calls_open(&t, NULL, serve);
    o = get(&t, "good", NULL);
    assert_int_equal(o.result, 0);
    assert_int_equal(o.status, 200);
    assert_int_equal(o.code, 0);
    assert_true(o.parsed);
    assert_string_equal(o.name, "good");
    assert_int_equal(o.thing.size, 7);
    assert_int_equal(o.retry_after_ms, -1);
    assert_int_equal(get(&t, "extra-slow", NULL).retry_after_ms, 3000);

    o = (struct outcome){0};
    struct thing sent = {.name = "sent \"so\"", .size = 12};
    assert_int_equal(
        client_call_route(t.client, &t.target, &put_thing, NULL, &sent, NULL, on_reply, &o, NULL), 0);
    calls_wait(&t, &o.done);
    assert_true(o.parsed);
    assert_string_equal(o.name, "sent \"so\"");
    assert_string_equal(o.body, "{\"name\":\"sent \\\"so\\\"\",\"size\":12}");

    o = (struct outcome){0};
    assert_int_equal(
        client_call_route(t.client, &t.target, &delete_thing, NULL, NULL, NULL, on_reply, &o, NULL), 0);
    calls_wait(&t, &o.done);
    assert_int_equal(o.status, 204);
    assert_int_equal(o.code, 0);
    assert_false(o.parsed);

    sent.name = NULL; /* breaks its own contract: nothing is sent */
    assert_int_equal(
        client_call_route(t.client, &t.target, &put_thing, NULL, &sent, NULL, on_reply, &o, NULL),
        VX11_EINVALID);
    assert_int_equal(client_call_route(t.client, &t.target, &get_thing, NULL, NULL, NULL, on_reply, &o, NULL),
                     VX11_EINVALID);
    calls_close(&t);
}

static void test_refusals(void **state)
{
    struct calls t;
    struct outcome o;
    (void)state;
    calls_open(&t, NULL, serve);
    o = get(&t, "missing", NULL);
    assert_int_equal(o.result, 0);
    assert_int_equal(o.status, 404);
    assert_int_equal(o.code, VX11_ENOT_FOUND);
    assert_string_equal(o.text, "no thing is named missing");
    assert_string_equal(o.error_code, "thing_not_found");
    o = get(&t, "busy", NULL);
    assert_int_equal(o.code, VX11_EFULL);
    assert_string_equal(o.error_code, "42");
    assert_int_equal(o.retry_after_ms, 2000);
    o = get(&t, "past", NULL);
    assert_int_equal(o.code, VX11_EUNAVAILABLE);
    assert_string_equal(o.text, "gone for now");
    assert_int_equal(o.retry_after_ms, 0);
    assert_int_equal(get(&t, "odd", NULL).retry_after_ms, -1);
    assert_string_equal(get(&t, "odd", NULL).text, "plain");
    assert_true(get(&t, "huge-wait", NULL).retry_after_ms == INT64_C(365) * 24 * 3600 * 1000);
    assert_in_range(get(&t, "date", NULL).retry_after_ms, 27000, 31000);
    o = get(&t, "html", NULL);
    assert_int_equal(o.code, VX11_EIO);
    assert_non_null(strstr(o.text, calls_host));
    assert_non_null(strstr(o.text, "answered with status 502"));
    assert_string_equal(o.body, "<html>Bad Gateway</html>");
    assert_non_null(strstr(get(&t, "moved", NULL).text, "redirect"));
    static const struct {
        const char *name;
        int code;
    } codes[] = {{"401", VX11_EPERMISSION},  {"403", VX11_EPERMISSION}, {"409", VX11_EEXISTS},
                 {"400", VX11_EINVALID},     {"422", VX11_EINVALID},    {"413", VX11_ETOO_LARGE},
                 {"501", VX11_EUNSUPPORTED}, {"504", VX11_ETIMEOUT},    {"500", VX11_EIO},
                 {"500b", VX11_EIO},         {"500c", VX11_EIO}};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        assert_int_equal(get(&t, codes[i].name, NULL).code, codes[i].code);
    calls_close(&t);
}

static void test_broken_contract(void **state)
{
    struct calls t;
    struct outcome o;
    static const char *const names[] = {"text", "wrong", "lacking", "twice", "nothing"};
    (void)state;
    calls_open(&t, NULL, serve);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        o = get(&t, names[i], NULL);
        assert_int_equal(o.result, 0);
        assert_int_equal(o.status, 200);
        assert_int_equal(o.code, VX11_ECORRUPT);
        assert_non_null(strstr(o.text, "breaks its contract"));
    }
    assert_non_null(strstr(get(&t, "wrong", NULL).text, "get_thing breaks its contract at /size: "));
    calls_close(&t);
}

static void test_transport(void **state)
{
    struct calls t;
    struct outcome o;
    (void)state;
    calls_open(&t, NULL, serve);
    o = get(&t, "cut", NULL);
    assert_int_equal(o.result, VX11_ECLOSED);
    assert_int_equal(o.code, VX11_ECLOSED);
    assert_int_equal(o.status, 200);
    o = get(&t, "endless", &(struct client_call_options){.max_reply = 100000});
    assert_int_equal(o.result, VX11_ETOO_LARGE);
    assert_non_null(strstr(o.text, "the answer to get_thing is larger than"));
    o = get(&t, "good", &(struct client_call_options){.max_reply = 37});
    assert_int_equal(o.code, 0);
    o = get(&t, "good", &(struct client_call_options){.max_reply = 36});
    assert_int_equal(o.result, VX11_ETOO_LARGE);

    struct outcome cancelled = {0};
    struct client_call *call;
    struct params p = {.name = "good"};
    assert_int_equal(
        client_call_route(t.client, &t.target, &get_thing, &p, NULL, NULL, on_reply, &cancelled, &call), 0);
    client_cancel(call);
    calls_wait(&t, &cancelled.done);
    assert_int_equal(cancelled.result, VX11_ECANCELLED);

    script_server_stop(t.server);
    t.server = NULL;
    o = get(&t, "good", NULL);
    assert_int_equal(o.result, VX11_EUNAVAILABLE);
    assert_int_equal(o.status, 0);
    calls_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path),      cmocka_unit_test(test_good),
        cmocka_unit_test(test_refusals),  cmocka_unit_test(test_broken_contract),
        cmocka_unit_test(test_transport),
    };
    CALLS_RETURN(tests);
}
