/* What bad input gets at the front door: broken, wrong, hostile and huge bodies, unknown models, callers who
 * may not, and foreign hosts and pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

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
    buf_puts(&yaml, "link:\n  allowed_hosts: [vx11.home]\n  allowed_origins: "
                    "[\"https://app.example\"]\nswitch:\n  providers:\n"
                    "    - {name: local, kind: local}\n");
    upstream_yaml(up, &yaml, "cloud", "cloud-model", NULL);
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

/* Nothing that a test did has hurt the path. */
static void still_answers(void)
{
    struct http_reply r;
    system_chat(&sys, &r, "cloud-model", false);
    assert_status(&r, 200);
    http_free(&r);
}

#define HEAD "\"model\":\"cloud-model\","
#define HI   "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static void bodies(void **state)
{
    static const struct {
        const char *body;
        const char *param; /* NULL: none in particular */
    } cases[] = {
        {"", NULL},
        {"{", NULL},
        {"{\"model\":\"cloud-model\",}", NULL},
        {"nonsense", NULL},
        {"{" HEAD HI "} x", NULL},
        {"[]", NULL},
        {"null", NULL},
        {"\"text\"", NULL},
        {"{" HEAD "\"messages\":\"hi\"}", "/messages"},
        {"{" HEAD "\"messages\":[]}", "/messages"},
        {"{" HEAD "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},3]}", "/messages/1"},
        {"{" HEAD "\"messages\":[{\"role\":\"nobody\",\"content\":\"hi\"}]}", "/messages/0/role"},
        {"{" HEAD "\"messages\":[{\"content\":\"hi\"}]}", "/messages/0/role"},
        {"{\"model\":\"cloud-model\"}", "/messages"},
        {"{" HEAD HI ",\"stream\":\"yes\"}", "/stream"},
        {"{" HEAD HI ",\"temperature\":\"hot\"}", "/temperature"},
        {"{" HEAD HI ",\"temperature\":-1}", "/temperature"},
        {"{" HEAD HI ",\"max_tokens\":1.5}", "/max_tokens"},
        {"{" HEAD HI ",\"max_tokens\":0}", "/max_tokens"},
        {"{" HEAD HI ",\"max_tokens\":99999999999999999999}", "/max_tokens"},
        {"{\"model\":7," HI "}", "/model"},
        {"{" HEAD HI ",\"model\":\"other\"}", NULL}, /* twice the same key */
        {"{" HEAD "\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\"}]}", NULL}, /* no UTF-8 */
        {"{" HEAD "\"messages\":[{\"role\":\"user\",\"content\":\"\\ud800\"}]}", NULL},  /* half a pair */
        {"{" HEAD "\"x\":\"\xc0\xaf\"," HI "}", NULL}, /* overlong, where nobody looks */
    };
    struct http_at at = system_link(&sys);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct http_reply r;
        http(&r, &at, "POST", "/v1/chat/completions", cases[i].body);
        if (r.status != 422 || !http_text(&r, "/error/message")[0] ||
            (cases[i].param && strcmp(http_text(&r, "/error/param"), cases[i].param) != 0)) {
            print_error("%s\n -> %d %s\n", cases[i].body, r.status, r.raw.body.data);
            fail();
        }
        http_free(&r);
    }
    still_answers();
}

/* Unknown fields are passed on as they are. */
static void unknown_fields_pass(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    struct upstream_seen seen;
    (void)state;
    http(&r, &at, "POST", "/v1/chat/completions", "{" HEAD HI ",\"x_mine\":{\"deep\":[1,2.50,\"\\u00e9\"]}}");
    assert_status(&r, 200);
    http_free(&r);
    upstream_seen(up, "cloud", &seen);
    assert_non_null(strstr(seen.body, "\"x_mine\":{\"deep\":[1,2.5"));
}

static char *nested(size_t depth, const char *open, const char *close)
{
    struct buf b = BUF_INIT;
    buf_puts(&b, "{" HEAD HI ",\"x\":");
    for (size_t i = 0; i < depth; i++)
        buf_puts(&b, open);
    buf_puts(&b, "1");
    for (size_t i = 0; i < depth; i++)
        buf_puts(&b, close);
    buf_puts(&b, "}");
    return buf_detach(&b, &(size_t){0});
}

static void deep_nesting(void **state)
{
    struct http_at at = system_link(&sys);
    (void)state;
    for (size_t depth = 1000; depth <= 1000000; depth *= 10) {
        for (int k = 0; k < 2; k++) {
            struct http_reply r;
            char *body = nested(depth, k ? "{\"a\":" : "[", k ? "}" : "]");
            http(&r, &at, "POST", "/v1/chat/completions", body);
            assert_true(r.status == 400 || r.status == 422 || r.status == 413);
            assert_true(http_text(&r, "/error/code")[0]);
            http_free(&r);
            free(body);
        }
    }
    still_answers();
}

/* ---- size ---- */

static void send_much(int fd, size_t total, bool chunked)
{
    static char block[1 << 16];
    memset(block, ' ', sizeof block);
    for (size_t sent = 0; sent < total; sent += sizeof block) {
        if (chunked)
            raw_printf(fd, "%zx\r\n", sizeof block);
        raw_send(fd, block, sizeof block);
        if (chunked)
            raw_printf(fd, "\r\n");
    }
    if (chunked)
        raw_printf(fd, "0\r\n\r\n");
}

/* The connection is answered and ended in order, and Link does not hold the body. */
static void much(void **state)
{
    struct http_at at = system_link(&sys);
    const size_t total = 64u << 20;
    pid_t link = system_module_pid(&sys, "link");
    (void)state;
    still_answers();
    int64_t before = process_rss_kb(link);
    for (int chunked = 0; chunked < 2; chunked++) {
        struct http_reply r;
        int fd = http_connect(&at);
        raw_printf(fd,
                   "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
                   "%s\r\nContent-Type: "
                   "application/json\r\n",
                   sys.token);
        if (chunked)
            raw_printf(fd, "Transfer-Encoding: chunked\r\n\r\n");
        else
            raw_printf(fd, "Content-Length: %zu\r\n\r\n", total);
        send_much(fd, total, chunked);
        http_read(fd, &r);
        assert_error(&r, 413, "body_too_large");
        http_free(&r);
        raw_close(fd);
    }
    int64_t after = process_rss_kb(link);
    /* At most the route's own 16 MiB, once or twice over, while it came in pieces. */
    if (after - before > 48 * 1024) {
        print_error("link grew from %lld to %lld kB\n", (long long)before, (long long)after);
        fail();
    }
    assert_int_equal(system_module_pid(&sys, "link"), link);
    still_answers();
}

/* Just below the limit it goes all the way. */
static void large_but_fine(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    struct buf body = BUF_INIT;
    (void)state;
    buf_puts(&body, "{" HEAD "\"messages\":[{\"role\":\"user\",\"content\":\"");
    size_t begin = body.len;
    assert_int_equal(buf_reserve(&body, 15u << 20), 0);
    memset(body.data + begin, 'a', 15u << 20);
    body.len += 15u << 20;
    body.data[body.len] = '\0';
    buf_puts(&body, "\"}]}");
    http(&r, &at, "POST", "/v1/chat/completions", body.data);
    assert_status(&r, 200);
    http_free(&r);
    buf_free(&body);
}

/* ---- who ---- */

static void expect(struct http_at at, const char *method, const char *path, const char *body, int status,
                   const char *code)
{
    struct http_reply r;
    http(&r, &at, method, path, body);
    if (status < 300)
        assert_status(&r, status);
    else
        assert_error(&r, status, code);
    if (status == 401)
        assert_string_equal(http_header(&r, "WWW-Authenticate"), "Bearer");
    http_free(&r);
}

static void tokens(void **state)
{
    struct http_at at = system_link(&sys);
    char read[128], publish[128];
    (void)state;
    at.token = NULL;
    expect(at, "POST", "/v1/chat/completions", chat_body("cloud-model", false), 401, "missing_token");
    at.token = "vx11_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    expect(at, "POST", "/v1/chat/completions", chat_body("cloud-model", false), 401, "invalid_token");
    at.token = "";
    expect(at, "GET", "/v1/models", NULL, 401, "invalid_token");
    at.token = NULL;
    at.headers = "Authorization: Basic b3duZXI6cGFzcw==\r\n";
    expect(at, "GET", "/v1/models", NULL, 401, "invalid_token");
    system_token(&sys, "reader", "read", read);
    system_token(&sys, "ant", "publish", publish);
    at = system_link(&sys);
    at.token = read;
    eventually(8000, http_status(&at, "GET", "/v1/models", NULL) == 200); /* it looks once a second */
    expect(at, "POST", "/v1/chat/completions", chat_body("cloud-model", false), 403, "scope_missing");
    expect(at, "POST", "/events/ingest", "{}", 403, "scope_missing");
    at.token = publish;
    eventually(8000, http_status(&at, "GET", "/v1/models", NULL) == 403);
    expect(at, "GET", "/v1/models", NULL, 403, "scope_missing");
    /* It is the same behind Link. */
    at = system_switch(&sys);
    at.token = NULL;
    expect(at, "POST", "/v1/chat/completions", chat_body("cloud-model", false), 401, "missing_token");
    at.token = read;
    eventually(8000, http_status(&at, "GET", "/v1/models", NULL) == 200);
    expect(at, "POST", "/v1/chat/completions", chat_body("cloud-model", false), 403, "scope_missing");
    /* A caller over TCP cannot say that it is somebody else. */
    at.token = NULL;
    at.headers = "X-VX11-Principal: local;owner;admin\r\n";
    expect(at, "GET", "/v1/models", NULL, 401, "missing_token");
}

static void hosts(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    char own[80];
    (void)state;
    at.headers = "Host: evil.example\r\n";
    expect(at, "GET", "/v1/models", NULL, 421, "host_not_allowed");
    expect(at, "GET", "/health", NULL, 421, "host_not_allowed");
    at.headers = "Host: localhost.evil.example:8000\r\n";
    expect(at, "GET", "/v1/models", NULL, 421, "host_not_allowed");
    at.headers = "Host: vx11.home\r\n";
    expect(at, "GET", "/v1/models", NULL, 200, NULL);
    at.headers = "Origin: https://evil.example\r\n";
    expect(at, "GET", "/v1/models", NULL, 403, "origin_not_allowed");
    expect(at, "POST", "/v1/chat/completions", chat_body("cloud-model", false), 403, "origin_not_allowed");
    at.headers = "Origin: null\r\n";
    expect(at, "GET", "/v1/models", NULL, 403, "origin_not_allowed");
    snprintf(own, sizeof own, "Origin: http://127.0.0.1:%d\r\n", sys.page_port);
    at.headers = own;
    expect(at, "GET", "/v1/models", NULL, 200, NULL);
    at.headers = "Origin: https://app.example\r\n";
    http(&r, &at, "GET", "/v1/models", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_header(&r, "Access-Control-Allow-Origin"), "https://app.example");
    http_free(&r);
}

/* ---- models ---- */

static void unknown_model(void **state)
{
    struct http_reply r;
    (void)state;
    system_chat(&sys, &r, "vx11-guidd", true);
    assert_error(&r, 404, "model_not_found");
    assert_non_null(strstr(http_text(&r, "/error/message"), "vx11-guide"));
    http_free(&r);
    system_chat(&sys, &r, "cloud/nothing", false);
    assert_error(&r, 404, "model_not_found");
    http_free(&r);
    system_chat(&sys, &r, "../../etc/passwd", false);
    assert_error(&r, 404, "model_not_found");
    http_free(&r);
}

/* The caller's deadline is heeded, whoever sleeps. */
static void deadline(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    (void)state;
    upstream_behave(up, "cloud", UP_SILENT);
    at.headers = "X-Request-Deadline-Ms: 800\r\n";
    int64_t begun = clock_mono_ms();
    http(&r, &at, "POST", "/v1/chat/completions", chat_body("cloud-model", true));
    assert_status(&r, 504);
    assert_true(clock_mono_ms() - begun < 2500);
    assert_true(
        str_starts(system_account(&sys, http_header(&r, "X-Request-Id")), "failed|504|cloud|cloud-model|1|"));
    http_free(&r);
    upstream_behave(up, "cloud", UP_GOOD);
    still_answers();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies),      cmocka_unit_test(unknown_fields_pass), cmocka_unit_test(deep_nesting),
        cmocka_unit_test(much),        cmocka_unit_test(large_but_fine),      cmocka_unit_test(tokens),
        cmocka_unit_test(hosts),       cmocka_unit_test(unknown_model),       cmocka_unit_test(deadline),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
