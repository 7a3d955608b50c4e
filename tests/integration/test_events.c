/* Events: in, stored, streamed, replayed; and the page's login. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <signal.h>

#include "base/str.h"
#include "store/store.h"
#include "system.h"

static struct system sys;

static int start(void **state)
{
    (void)state;
    system_start(&sys, "link:\n  events_max_rows: 100\n");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    return 0;
}

static void stops_clean(void **state)
{
    (void)state;
    system_stop(&sys);
}

/* ---- in ---- */

#define ALERT(text)                                                                                          \
    "{\"source\":\"test\",\"type\":\"system.alert\",\"payload\":{\"timestamp\":1700000000000,\"alert_id\":"  \
    "\"a1\",\"severity\":\"L4\",\"message\":\"" text "\"}}"

/* Its id, static, four in turn. */
static const char *publish(const char *body)
{
    static char ids[4][32];
    static unsigned turn;
    char *id = ids[turn++ % 4];
    struct http_at at = system_link(&sys);
    struct http_reply r;
    http(&r, &at, "POST", "/events/ingest", body);
    assert_status(&r, 202);
    assert_string_equal(http_text(&r, "/status"), "received");
    snprintf(id, sizeof ids[0], "%s", http_text(&r, "/id"));
    assert_int_equal(strlen(id), 26);
    http_free(&r);
    return id;
}

static const char *alert(const char *word)
{
    char body[400];
    snprintf(body, sizeof body, ALERT("%s"), word);
    return publish(body);
}

static void every_type(void **state)
{
    static const char *const events[] = {
        ALERT("first"),
        "{\"source\":\"t\",\"type\":\"system.correlation.updated\",\"payload\":{\"timestamp\":1,"
        "\"correlation_id\":\"c\","
        "\"related_events\":[\"a\",\"b\"],\"strength\":0.5}}",
        "{\"source\":\"t\",\"type\":\"forensic.snapshot.created\",\"payload\":{\"timestamp\":1,\"snapshot_"
        "id\":\"s\",\"reason\":"
        "\"r\"}}",
        "{\"source\":\"t\",\"type\":\"madre.decision.explained\",\"payload\":{\"timestamp\":1,\"decision_"
        "id\":\"d\",\"summary\":"
        "\"s\",\"confidence\":1}}",
        "{\"source\":\"t\",\"type\":\"switch.tension.updated\",\"payload\":{\"timestamp\":1,\"value\":100,"
        "\"components\":{\"x\":1}}}",
        "{\"source\":\"t\",\"type\":\"shub.action.narrated\",\"payload\":{\"timestamp\":1,\"action\":\"a\","
        "\"reason\":\"r\","
        "\"next_step\":\"n\",\"more\":\"is kept\"}}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        char sql[200];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM event WHERE id = '%s' AND size = length(payload)",
                 publish(events[i]));
        eventually(8000, system_count(&sys, sql) == 1);
    }
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM event WHERE payload LIKE '%is kept%'"), 1);
}

static void broken_schemas(void **state)
{
    static const struct {
        const char *body, *param;
    } cases[] = {
        {"{\"source\":\"t\",\"type\":\"system.alert\",\"payload\":{}}", "/payload/timestamp"},
        {"{\"source\":\"t\",\"type\":\"system.alert\",\"payload\":{\"timestamp\":1,\"alert_id\":\"a\","
         "\"severity\":\"L1\",\"message\":"
         "\"m\"}}",
         "/payload/severity"},
        {"{\"source\":\"t\",\"type\":\"system.alert\",\"payload\":{\"timestamp\":1,\"alert_id\":\"\","
         "\"severity\":\"L3\",\"message\":"
         "\"m\"}}",
         "/payload/alert_id"},
        {"{\"source\":\"t\",\"type\":\"system.alert\",\"payload\":[]}", "/payload"},
        {"{\"source\":\"t\",\"type\":\"system.alert\",\"payload\":\"x\"}", "/payload"},
        {"{\"source\":\"t\",\"type\":\"system.alert\"}", "/payload"},
        {"{\"source\":\"t\",\"type\":\"system.nonsense\",\"payload\":{}}", "/type"},
        {"{\"source\":\"\",\"type\":\"system.alert\",\"payload\":{}}", "/source"},
        {"{\"type\":\"system.alert\",\"payload\":{}}", "/source"},
        {"{\"source\":\"t\",\"type\":\"switch.tension.updated\",\"payload\":{\"timestamp\":1,\"value\":101,"
         "\"components\":{}}}",
         "/payload/value"},
        {"{\"source\":\"t\",\"type\":\"switch.tension.updated\",\"payload\":{\"timestamp\":1,\"value\":1,"
         "\"components\":[]}}",
         "/payload/components"},
        {"{\"source\":\"t\",\"type\":\"system.correlation.updated\",\"payload\":{\"timestamp\":1,"
         "\"correlation_id\":\"c\","
         "\"related_events\":[7],\"strength\":0.5}}",
         "/payload/related_events/0"},
        {"{\"source\":\"t\",\"type\":\"madre.decision.explained\",\"payload\":{\"timestamp\":1,\"decision_"
         "id\":\"d\",\"summary\":"
         "\"s\",\"confidence\":1.5}}",
         "/payload/confidence"},
    };
    struct http_at at = system_link(&sys);
    int64_t before = system_count(&sys, "SELECT count(*) FROM event");
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct http_reply r;
        http(&r, &at, "POST", "/events/ingest", cases[i].body);
        assert_status(&r, 422);
        if (strcmp(http_text(&r, "/error/param"), cases[i].param) != 0) {
            print_error("%s: %s\n", cases[i].body, r.raw.body.data);
            fail();
        }
        http_free(&r);
    }
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM event"), before);
}

static void sizes(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    struct buf body = BUF_INIT;
    (void)state;
    for (size_t size = 1500; size <= 150000; size *= 10) {
        buf_clear(&body);
        buf_puts(&body, "{\"source\":\"t\",\"type\":\"forensic.snapshot.created\",\"payload\":{\"timestamp\":"
                        "1,\"snapshot_id\":\"s\","
                        "\"reason\":\"");
        for (size_t i = 0; i < size; i++)
            buf_putc(&body, 'x');
        buf_puts(&body, "\"}}");
        http(&r, &at, "POST", "/events/ingest", body.data);
        assert_error(&r, 413, size < 65000 ? "event_too_large" : "body_too_large");
        if (size < 65000) /* it says how much would be fine */
            assert_non_null(strstr(http_text(&r, "/error/message"), "1024"));
        http_free(&r);
    }
    buf_free(&body);
}

/* ---- streams ---- */

static int listen_events(const char *query, const char *last)
{
    char path[200], header[100] = "";
    struct http_at at = system_link(&sys);
    snprintf(path, sizeof path, "/events%s", query);
    if (last)
        snprintf(header, sizeof header, "Last-Event-ID: %s\r\n", last);
    at.headers = last ? header : NULL;
    int fd = http_open(&at, "GET", path, NULL);
    assert_true(raw_wait_for(fd, "\r\n\r\n", NULL));
    return fd;
}

static void live(void **state)
{
    (void)state;
    int all = listen_events("", NULL), some = listen_events("?type=switch.tension.updated", NULL);
    char id[80];
    snprintf(id, sizeof id, "id: %s", alert("lively"));
    struct buf seen = BUF_INIT;
    assert_true(raw_wait_for(all, "lively", &seen));
    assert_non_null(strstr(seen.data, id));
    assert_non_null(strstr(seen.data, "event: system.alert"));
    assert_non_null(strstr(seen.data, "\"source\":\"test\""));
    buf_clear(&seen);
    /* Stored without being shown. */
    publish("{\"source\":\"t\",\"broadcast\":false,\"type\":\"switch.tension.updated\",\"payload\":{"
            "\"timestamp\":1,\"value\":1,"
            "\"components\":{}}}");
    publish("{\"source\":\"t\",\"type\":\"switch.tension.updated\",\"payload\":{\"timestamp\":1,\"value\":2,"
            "\"components\":{}}}");
    assert_true(raw_wait_for(some, "\"value\":2", &seen));
    assert_null(strstr(seen.data, "lively"));
    assert_null(strstr(seen.data, "\"value\":1"));
    buf_free(&seen);
    raw_close(all);
    raw_close(some);
}

/* Each of these words once and in order, and nothing else of the kind. */
static void expect_words(int fd, const char *const *words)
{
    struct buf seen = BUF_INIT;
    const char *at;
    size_t n = 0;
    while (words[n])
        n++;
    assert_true(raw_wait_for(fd, words[n - 1], &seen));
    at = seen.data;
    for (size_t i = 0; i < n; i++) {
        at = strstr(at, words[i]);
        if (!at) {
            print_error("%s is not where it should be in %s\n", words[i], seen.data);
            fail();
        }
        at++;
    }
    assert_null(strstr(seen.data, "word-0"));
    buf_free(&seen);
}

static void replay(void **state)
{
    char from[32];
    (void)state;
    alert("word-0");
    snprintf(from, sizeof from, "%s", alert("word-00"));
    alert("word-1");
    alert("word-2");
    alert("word-3");
    int fd = listen_events("", from);
    alert("word-4");
    expect_words(fd, (const char *const[]){"word-1", "word-2", "word-3", "word-4", NULL});
    raw_close(fd);
    char query[80];
    snprintf(query, sizeof query, "?last_event_id=%s", from); /* for those who cannot set a header */
    fd = listen_events(query, NULL);
    expect_words(fd, (const char *const[]){"word-1", "word-2", "word-3", "word-4", NULL});
    raw_close(fd);
    fd = listen_events("?replay=3", NULL);
    expect_words(fd, (const char *const[]){"word-2", "word-3", "word-4", NULL});
    raw_close(fd);
    /* Link starts again: its memory is gone, the log is not. */
    sys.rough = true;
    eventually(5000, system_count(&sys, "SELECT count(*) FROM event WHERE payload LIKE '%word-4%'") == 1);
    pid_t link = system_module_pid(&sys, "link");
    process_kill(link, SIGKILL);
    eventually(10000, !process_lives(link));
    system_wait_healthy(&sys);
    alert("word-5");
    fd = listen_events("?type=system.alert", from);
    alert("word-6");
    expect_words(fd, (const char *const[]){"word-1", "word-2", "word-3", "word-4", "word-5", "word-6", NULL});
    raw_close(fd);
    fd = listen_events("?replay=5&type=system.alert", NULL); /* partly from the table, partly from memory */
    expect_words(fd, (const char *const[]){"word-3", "word-4", "word-5", "word-6", NULL});
    raw_close(fd);
    struct http_at at = system_link(&sys);
    at.headers = "Last-Event-ID: nonsense\r\n";
    assert_int_equal(http_status(&at, "GET", "/events", NULL), 422);
}

/* ---- WebSocket ---- */

static int websocket(const char *token, const char *origin, const char *path)
{
    int fd = raw_tcp(sys.link_port);
    raw_printf(fd, "GET %s HTTP/1.1\r\nHost: localhost\r\n", path);
    if (token)
        raw_printf(fd, "Authorization: Bearer %s\r\n", token);
    if (origin)
        raw_printf(fd, "Origin: %s\r\n", origin);
    raw_printf(fd,
               "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
               "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    return fd;
}

static int websocket_status(const char *token, const char *origin)
{
    struct raw_reply r;
    int fd = websocket(token, origin, "/ws");
    raw_read(fd, false, &r);
    int status = r.status;
    raw_reply_free(&r);
    raw_close(fd);
    return status;
}

static void websockets(void **state)
{
    char own[60], query[100];
    struct buf seen = BUF_INIT;
    (void)state;
    snprintf(own, sizeof own, "http://127.0.0.1:%d", sys.page_port);
    assert_int_equal(websocket_status(NULL, NULL), 401);
    assert_int_equal(websocket_status("vx11_wrong", NULL), 401);
    assert_int_equal(websocket_status(sys.token, "https://evil.example"), 403);
    assert_int_equal(websocket_status(sys.token, own), 101);
    const char *from = alert("ws-0");
    snprintf(query, sizeof query, "/ws?last_event_id=%s", from);
    alert("ws-1");
    int fd = websocket(sys.token, own, query);
    assert_true(raw_wait_for(fd, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", NULL));
    assert_true(raw_wait_for(fd, "\r\n\r\n", NULL));
    alert("ws-2");
    assert_true(raw_wait_for(fd, "ws-2", &seen));
    assert_non_null(memmem(seen.data, seen.len, "ws-1", 4));
    assert_null(memmem(seen.data, seen.len, "ws-0", 4));
    assert_non_null(memmem(seen.data, seen.len, "\"type\":\"system.alert\"", 21));
    /* What the client says is refused: a masked text frame "hi". */
    raw_send(fd, "\x81\x82\0\0\0\0hi", 8);
    buf_clear(&seen);
    raw_wait_for(fd, "\x03\xf0", &seen); /* 1008 */
    assert_non_null(memmem(seen.data, seen.len, "\x03\xf0", 2));
    raw_send(fd, "\x88\x82\0\0\0\0\x03\xf0", 8); /* and says good-bye */
    assert_true(raw_closed(fd));
    raw_close(fd);
    buf_free(&seen);
}

/* Who may not listen any more does not go on listening. */
static void revoked_readers_are_shown_out(void **state)
{
    char token[128];
    struct http_at at = system_link(&sys);
    struct http_reply r;
    (void)state;
    system_token(&sys, "viewer", "read", token);
    at.token = token;
    eventually(8000, http_status(&at, "GET", "/vx11/session", NULL) == 200);
    int sse = http_open(&at, "GET", "/events", NULL), ws = websocket(token, NULL, "/ws");
    int other = listen_events("", NULL);
    assert_true(raw_wait_for(ws, "\r\n\r\n", NULL));
    sleep_ms(100);
    system_token_revoke(&sys, "viewer");
    int64_t begun = clock_mono_ms();
    http_read(sse, &r); /* up to its end */
    assert_status(&r, 200);
    http_free(&r);
    assert_true(raw_wait_for(ws, "\x03\xe9", NULL)); /* 1001 */
    assert_true(clock_mono_ms() - begun < 3000);
    alert("after the revocation"); /* others are not disturbed */
    assert_true(raw_wait_for(other, "after the revocation", NULL));
    raw_close(sse);
    raw_close(ws);
    raw_close(other);
}

/* ---- bound ---- */

static void bounded(void **state)
{
    struct error err = {0};
    struct store *store = NULL;
    uint64_t deleted = 0;
    (void)state;
    for (int i = 0; i < 150; i++)
        alert("one of many");
    eventually(8000,
               system_count(&sys, "SELECT count(*) FROM event WHERE payload LIKE '%one of many%'") == 150);
    /* What the supervisor does every few minutes. */
    struct store_options options = {.path = system_path(&sys, "vx11.db")};
    assert_int_equal(store_open(&options, &store, &err), 0);
    assert_int_equal(store_retain(store, clock_wall_ms(), &deleted, &err), 0);
    store_close(store);
    assert_true(deleted >= 50);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM event"), 100);
}

/* ---- login ---- */

static const char *login_path(void)
{
    static char path[300];
    struct http_reply r;
    system_control(&sys, &r, "/supervisor/login-link", "{}");
    assert_status(&r, 200);
    assert_true(http_int(&r, "/expires_at") > clock_wall_ms());
    const char *at = strstr(http_text(&r, "/url"), "/login?code=");
    assert_non_null(at);
    snprintf(path, sizeof path, "%s", at);
    http_free(&r);
    return path;
}

static void login(void **state)
{
    struct http_at page = {.port = sys.page_port};
    struct http_reply r;
    char cookie[200], headers[500];
    (void)state;
    const char *path = login_path();
    http(&r, &page, "GET", path, NULL);
    assert_status(&r, 200);
    const char *set = http_header(&r, "Set-Cookie");
    assert_non_null(set);
    assert_non_null(strstr(set, "; HttpOnly"));
    assert_non_null(strstr(set, "; SameSite=Strict"));
    assert_non_null(strstr(set, "; Path=/"));
    assert_true(str_starts(set, "vx11_session="));
    snprintf(cookie, sizeof cookie, "Cookie: %.*s\r\n", (int)strcspn(set, ";"), set);
    http_free(&r);
    http(&r, &page, "GET", path, NULL); /* it works once */
    assert_status(&r, 403);
    assert_null(http_header(&r, "Set-Cookie"));
    http_free(&r);
    page.headers = cookie;
    http(&r, &page, "GET", "/vx11/session", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/name"), "page");
    http_free(&r);
    /* A page elsewhere can make the browser send the cookie, but not the Origin that goes with it. */
    const char *body = "{\"model\":\"no-such\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
    assert_int_equal(http_status(&page, "POST", "/v1/chat/completions", body), 403);
    snprintf(headers, sizeof headers, "%sOrigin: https://evil.example\r\n", cookie);
    page.headers = headers;
    assert_int_equal(http_status(&page, "POST", "/v1/chat/completions", body), 403);
    snprintf(headers, sizeof headers, "%sSec-Fetch-Site: cross-site\r\n", cookie);
    assert_int_equal(http_status(&page, "GET", "/vx11/overview", NULL), 403);
    snprintf(headers, sizeof headers, "%sOrigin: http://127.0.0.1:%d\r\n", cookie, sys.page_port);
    assert_int_equal(http_status(&page, "POST", "/v1/chat/completions", body), 404); /* through to Switch */
    http(&r, &page, "POST", "/logout", "{}");
    assert_status(&r, 204);
    assert_non_null(strstr(http_header(&r, "Set-Cookie"), "Max-Age=0"));
    http_free(&r);
    assert_int_equal(http_status(&page, "GET", "/vx11/session", NULL), 401);
    /* A session of the page cannot publish; and a token is no session. */
    struct http_at link = system_link(&sys);
    assert_int_equal(http_status(&link, "POST", "/logout", "{}"), 409);
}

static void wrong_codes(void **state)
{
    struct http_at page = {.port = sys.page_port};
    (void)state;
    assert_int_equal(
        http_status(&page, "GET", "/login?code=vx11_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL), 403);
    assert_int_equal(http_status(&page, "GET", "/login?code=short", NULL), 422);
    assert_int_equal(http_status(&page, "GET", "/login", NULL), 422);
    assert_false(system_has_text(&sys, "log/link.log", "code=vx11_")); /* codes are in no log */
    assert_false(system_has_text(&sys, "log/supervisor.log", "code=vx11_"));
}

static void page_is_served(void **state)
{
    struct http_at page = {.port = sys.page_port};
    struct http_reply r;
    (void)state;
    http(&r, &page, "GET", "/", NULL);
    assert_status(&r, 200);
    assert_true(str_starts(http_header(&r, "Content-Type"), "text/html"));
    assert_non_null(strstr(http_header(&r, "Content-Security-Policy"), "default-src 'none'"));
    assert_string_equal(http_header(&r, "X-Content-Type-Options"), "nosniff");
    http_free(&r);
    assert_int_equal(http_status(&page, "GET", "/assets/none.js", NULL), 404);
    assert_int_equal(http_status(&page, "GET", "/assets/../../token", NULL), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type),
        cmocka_unit_test(broken_schemas),
        cmocka_unit_test(sizes),
        cmocka_unit_test(live),
        cmocka_unit_test(replay),
        cmocka_unit_test(websockets),
        cmocka_unit_test(revoked_readers_are_shown_out),
        cmocka_unit_test(bounded),
        cmocka_unit_test(login),
        cmocka_unit_test(wrong_codes),
        cmocka_unit_test(page_is_served),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
