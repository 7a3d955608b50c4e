/* Server, who may: tokens, scopes, the cookie, Host and Origin, Unix peers, standby, listeners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "raw_client.h"
#include "server_fixture.h"

#define HOST "Host: localhost\r\n"

static struct fixture f;
static struct server_listener listeners[2];

static int setup(void **state)
{
    static const char *const hosts[] = {"vx11.home", NULL};
    static const char *const origins[] = {"https://app.example", NULL};
    (void)state;
    fixture_prepare(&f);
    snprintf(f.dir, sizeof f.dir, "/tmp/vx11-test-XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    snprintf(f.socket_path, sizeof f.socket_path, "%s/run/t.sock", f.dir);
    listeners[0] = (struct server_listener){.host = "127.0.0.1"};
    listeners[1] = (struct server_listener){.path = f.socket_path};
    f.options.listeners = listeners;
    f.options.listener_count = 2;
    f.options.allowed_hosts = hosts;
    f.options.allowed_origins = origins;
    return fixture_start(&f);
}

static int teardown(void **state)
{
    char run[80];
    struct stat st;
    (void)state;
    fixture_stop(&f);
    assert_int_not_equal(lstat(f.socket_path, &st), 0); /* removed */
    snprintf(run, sizeof run, "%s/run", f.dir);
    assert_int_equal(rmdir(run), 0);
    assert_int_equal(rmdir(f.dir), 0);
    return 0;
}

static int status_of(struct raw_reply *r, const char *code)
{
    int status = r->status;
    if (code && !strstr(r->body.data, code))
        fail_msg("%s is not in %s", code, r->body.data);
    raw_reply_free(r);
    return status;
}

static void test_tokens(void **state)
{
    struct raw_reply r;
    (void)state;
    raw_once(f.port, &r, "GET /t/items/x HTTP/1.1\r\n" HOST "\r\n");
    assert_string_equal(raw_header(&r, "WWW-Authenticate"), "Bearer");
    assert_int_equal(status_of(&r, "missing_token"), 401);
    raw_once(f.port, &r, "GET /t/items/x HTTP/1.1\r\n" HOST "Authorization: Bearer vx11_wrong\r\n\r\n");
    assert_int_equal(status_of(&r, "invalid_token"), 401);
    raw_once(f.port, &r, "GET /t/items/x HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n\r\n", f.token_old);
    assert_int_equal(status_of(&r, "invalid_token"), 401);
    raw_once(f.port, &r, "GET /t/items/x HTTP/1.1\r\n" HOST "Authorization: Basic %s\r\n\r\n", f.token_read);
    assert_int_equal(status_of(&r, "invalid_token"), 401);
    raw_once(f.port, &r, "GET /t/items/x HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n\r\n", f.token_chat);
    assert_int_equal(status_of(&r, "scope_missing"), 403);
    raw_once(f.port, &r, "GET /t/items/x HTTP/1.1\r\n" HOST "Authorization: bearer %s\r\n\r\n", f.token_read);
    assert_int_equal(status_of(&r, NULL), 200);
    raw_once(f.port, &r, "POST /t/act HTTP/1.1\r\n" HOST "X-VX11-Token: %s\r\n\r\n", f.token_admin);
    assert_int_equal(status_of(&r, NULL), 204);
    raw_once(f.port, &r,
             "POST /t/act HTTP/1.1\r\n" HOST "x-api-key: %s\r\nanthropic-version: 2023-06-01\r\n\r\n",
             f.token_admin);
    assert_int_equal(status_of(&r, NULL), 204);
    raw_once(f.port, &r, "POST /t/act HTTP/1.1\r\n" HOST "x-api-key: %s\r\n\r\n", f.token_read);
    assert_int_equal(status_of(&r, "\"permission_error\""), 403);
    raw_once(f.port, &r, "POST /t/act HTTP/1.1\r\n" HOST "x-api-key: vx11_wrong\r\n\r\n");
    assert_int_equal(status_of(&r, "{\"type\":\"error\",\"error\":{"), 401);
    raw_once(f.port, &r, "POST /t/act HTTP/1.1\r\n" HOST "x-api-key: %s\r\nX-VX11-Token: %s\r\n\r\n",
             f.token_admin, f.token_read); /* which of them? */
    assert_int_equal(status_of(&r, "repeated_header"), 400);
    raw_once(f.port, &r,
             "GET /t/control HTTP/1.1\r\n" HOST "Authorization: Bearer junk\r\n\r\n"); /* open to all */
    assert_int_equal(status_of(&r, NULL), 200);
    raw_once(f.port, &r, "GET /t/whoami HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n\r\n", f.token_admin);
    assert_int_equal(status_of(&r, "0 01ARZ3NDEKTSV4RRFFQ69G5FAW boss admin"), 200);
}

static void test_cookie(void **state)
{
    struct raw_reply r;
    const char *c = f.session;
    (void)state;
    raw_once(f.port, &r, "GET /t/page HTTP/1.1\r\n" HOST "Cookie: a=b; vx11_session=%s\r\n\r\n", c);
    assert_int_equal(status_of(&r, NULL), 200);
    raw_once(f.port, &r,
             "GET /t/items/x HTTP/1.1\r\n" HOST
             "Cookie: vx11_session=%s\r\nSec-Fetch-Site: same-origin\r\n\r\n",
             c);
    assert_int_equal(status_of(&r, NULL), 200);
    raw_once(f.port, &r,
             "GET /t/items/x HTTP/1.1\r\n" HOST
             "Cookie: vx11_session=%s\r\nSec-Fetch-Site: cross-site\r\n\r\n",
             c);
    assert_int_equal(status_of(&r, "cross_site_request"), 403);
    raw_once(f.port, &r,
             "GET /t/page HTTP/1.1\r\n" HOST "Cookie: vx11_session=%s\r\nSec-Fetch-Site: cross-site\r\n\r\n",
             c);
    assert_int_equal(status_of(&r, NULL), 200); /* a link to the page */
    raw_once(f.port, &r, "POST /t/act HTTP/1.1\r\n" HOST "Cookie: vx11_session=%s\r\n\r\n", c);
    assert_int_equal(status_of(&r, "cross_site_request"), 403);
    raw_once(f.port, &r,
             "POST /t/act HTTP/1.1\r\n" HOST "Cookie: vx11_session=%s\r\nOrigin: http://localhost:%d\r\n\r\n",
             c, f.port);
    assert_int_equal(status_of(&r, NULL), 204);
    raw_once(f.port, &r,
             "POST /t/act HTTP/1.1\r\n" HOST "Cookie: vx11_session=%s\r\nSec-Fetch-Site: same-origin\r\n\r\n",
             c);
    assert_int_equal(status_of(&r, NULL), 204);
    raw_once(f.port, &r,
             "POST /t/act HTTP/1.1\r\n" HOST
             "Cookie: vx11_session=%s\r\nOrigin: http://localhost:%d\r\nSec-Fetch-Site: same-site\r\n\r\n",
             c, f.port);
    assert_int_equal(status_of(&r, "cross_site_request"), 403);
    raw_once(f.port, &r, "GET /t/page HTTP/1.1\r\n" HOST "Cookie: vx11_session=stale\r\n\r\n");
    assert_int_equal(status_of(&r, "invalid_token"), 401);
    raw_once(f.port, &r, "GET /t/control HTTP/1.1\r\n" HOST "Cookie: vx11_session=stale\r\n\r\n");
    assert_int_equal(status_of(&r, NULL), 200);
}

static void test_host_and_origin(void **state)
{
    struct raw_reply r;
    (void)state;
    raw_once(f.port, &r, "GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_int_equal(status_of(&r, "host_not_allowed"), 421);
    raw_once(f.port, &r, "GET /health HTTP/1.1\r\n\r\n");
    assert_int_equal(status_of(&r, "missing_host"), 400);
    raw_once(f.port, &r, "GET /health HTTP/1.1\r\nHost: a b\r\n\r\n");
    assert_int_equal(status_of(&r, "invalid_host"), 400);
    const char *const good[] = {"127.0.0.1", "LOCALHOST:1234", "[::1]:99", "vx11.home"};
    for (size_t i = 0; i < 4; i++) {
        raw_once(f.port, &r, "GET /health HTTP/1.1\r\nHost: %s\r\n\r\n", good[i]);
        assert_int_equal(status_of(&r, NULL), 200);
    }
    const char *const foreign[] = {"http://evil.example", "null", "https://localhost", "http://localhost:1",
                                   "file://"};
    for (size_t i = 0; i < 5; i++) {
        raw_once(f.port, &r, "GET /health HTTP/1.1\r\n" HOST "Origin: %s\r\n\r\n", foreign[i]);
        assert_int_equal(status_of(&r, "origin_not_allowed"), 403);
    }
    raw_once(f.port, &r, "GET /health HTTP/1.1\r\n" HOST "Origin: http://127.0.0.1:%d\r\n\r\n", f.port);
    assert_null(raw_header(&r, "Access-Control-Allow-Origin"));
    assert_int_equal(status_of(&r, NULL), 200);
    raw_once(f.port, &r, "GET /health HTTP/1.1\r\n" HOST "Origin: https://app.example\r\n\r\n");
    assert_string_equal(raw_header(&r, "Access-Control-Allow-Origin"), "https://app.example");
    assert_int_equal(status_of(&r, NULL), 200);
    raw_once(f.port, &r,
             "OPTIONS /t/act HTTP/1.1\r\n" HOST
             "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n\r\n");
    assert_non_null(strstr(raw_header(&r, "Access-Control-Allow-Methods"), "POST"));
    assert_int_equal(status_of(&r, NULL), 204);
    raw_once(f.port, &r,
             "OPTIONS /t/act HTTP/1.1\r\n" HOST
             "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n");
    assert_int_equal(status_of(&r, "origin_not_allowed"), 403);
}

static int unix_get(struct raw_reply *r, const char *path, const char *headers)
{
    int fd = raw_unix(f.socket_path);
    raw_printf(fd, "GET %s HTTP/1.1\r\nHost: anything\r\n%s\r\n", path, headers);
    raw_read(fd, false, r);
    raw_close(fd);
    return r->status;
}

static void test_unix_peer(void **state)
{
    struct raw_reply r;
    struct stat st;
    (void)state;
    assert_int_equal(stat(f.socket_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    unix_get(&r, "/t/whoami", "");
    assert_int_equal(status_of(&r, "2 local local read,chat,act,admin,publish"), 200);
    unix_get(&r, "/t/whoami", "X-VX11-Principal: 01ARZ3NDEKTSV4RRFFQ69G5FAX;Ann%20B;read,chat\r\n");
    assert_int_equal(status_of(&r, "2 01ARZ3NDEKTSV4RRFFQ69G5FAX Ann B read,chat"), 200);
    unix_get(&r, "/t/whoami", "X-VX11-Principal: 01ARZ3NDEKTSV4RRFFQ69G5FAX;x;chat\r\n");
    assert_int_equal(status_of(&r, "scope_missing"), 403);
    unix_get(&r, "/t/whoami", "X-VX11-Principal: nonsense\r\n");
    assert_int_equal(status_of(&r, "invalid_principal"), 400);
    unix_get(&r, "/t/whoami", "Authorization: Bearer wrong\r\n");
    assert_int_equal(status_of(&r, "invalid_token"), 401);
    unix_get(&r, "/metrics", "");
    assert_int_equal(status_of(&r, NULL), 200);
    /* Over TCP the header says nothing. */
    raw_once(f.port, &r,
             "GET /t/whoami HTTP/1.1\r\n" HOST
             "X-VX11-Principal: 01ARZ3NDEKTSV4RRFFQ69G5FAX;x;admin\r\n\r\n");
    assert_int_equal(status_of(&r, "missing_token"), 401);
}

static void standby(struct fixture *x)
{
    server_set_state(x->server, SERVER_STANDBY);
}

static void active(struct fixture *x)
{
    server_set_state(x->server, SERVER_ACTIVE);
}

static void test_standby(void **state)
{
    struct raw_reply r;
    (void)state;
    fixture_on_loop(&f, standby);
    raw_once(f.port, &r, "GET /t/items/x HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n\r\n", f.token_read);
    assert_int_equal(status_of(&r, "module_standby"), 503);
    raw_once(f.port, &r, "GET /t/items/x HTTP/1.1\r\n" HOST "\r\n"); /* strangers are not even told that */
    assert_int_equal(status_of(&r, "missing_token"), 401);
    raw_once(f.port, &r, "GET /t/control HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(status_of(&r, NULL), 200);
    raw_once(f.port, &r, "GET /health HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(status_of(&r, "\"state\":\"standby\""), 200);
    fixture_on_loop(&f, active);
    raw_once(f.port, &r, "GET /t/items/x HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n\r\n", f.token_read);
    assert_int_equal(status_of(&r, NULL), 200);
}

static void start_fails(struct fixture *x, const struct server_listener *l, int code, const char *text)
{
    fixture_prepare(x);
    x->options.listeners = l;
    assert_int_equal(fixture_start(x), code);
    if (!strstr(x->error.text, text))
        fail_msg("%s is not in %s", text, x->error.text);
}

static void test_listeners(void **state)
{
    struct fixture x;
    char path[120];
    (void)state;
    char holder[32];
    snprintf(holder, sizeof holder, "pid %d", (int)getpid());
    start_fails(&x, &(struct server_listener){.host = "127.0.0.1", .port = f.port}, VX11_EBUSY, holder);
    start_fails(&x, &(struct server_listener){.path = f.socket_path}, VX11_EBUSY, "another process");
    start_fails(&x, &(struct server_listener){.host = "127.0.0.1", .path = "x"}, VX11_EINVALID, "either");
    start_fails(&x, &(struct server_listener){.host = "192.0.2.1"}, x.start_result ? VX11_EIO : VX11_EIO,
                "192.0.2.1");
    snprintf(path, sizeof path, "%s/file", f.dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    start_fails(&x, &(struct server_listener){.path = path}, VX11_EEXISTS, "not a socket");
    assert_int_equal(unlink(path), 0);
    /* A socket that nobody holds any more is replaced. */
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/stale", f.dir);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd);
    struct server_listener l = {.path = a.sun_path};
    fixture_prepare(&x);
    x.options.listeners = &l;
    assert_int_equal(fixture_start(&x), 0);
    fixture_stop(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),          cmocka_unit_test(test_cookie),
        cmocka_unit_test(test_host_and_origin), cmocka_unit_test(test_unix_peer),
        cmocka_unit_test(test_standby),         cmocka_unit_test(test_listeners),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
