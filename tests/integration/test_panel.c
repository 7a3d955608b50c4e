/* The panels of the page: logs, followed and paged, the database's tables and growth, and who may ask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "system.h"

static struct system sys;

static const char *const routes[] = {"/operator/logs",     "/operator/logs/events",
                                     "/operator/database", "/operator/database/growth",
                                     "/operator/config",   "/operator/tokens"};

static int begin(void **state)
{
    (void)state;
    system_start(&sys, "log:\n  level: debug\noperator:\n  browser:\n    mode: \"off\"\n");
    return 0;
}

static int end(void **state)
{
    (void)state;
    system_remove(&sys);
    return 0;
}

static void test_who_may_ask(void **state)
{
    struct http_at nobody = system_operator(&sys), publisher = system_operator(&sys);
    struct http_reply r;
    char token[128];
    (void)state;
    nobody.token = NULL;
    system_token(&sys, "publisher", "publish", token);
    publisher.token = token;
    eventually(5000, http_status(&publisher, "GET", "/operator/logs", NULL) == 403);
    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        http(&r, &nobody, "GET", routes[i], NULL);
        assert_int_equal(r.status, 401);
        http_free(&r);
        http(&r, &publisher, "GET", routes[i], NULL);
        assert_int_equal(r.status, 403);
        http_free(&r);
    }
}

static void test_pages_of_logs(void **state)
{
    struct http_at at = system_operator(&sys);
    struct http_reply r;
    char path[300], before[160] = "", last[160] = "";
    int64_t newest = INT64_MAX;
    size_t seen = 0;
    (void)state;
    for (int page = 0; page < 200; page++) {
        (void)snprintf(path, sizeof path, "/operator/logs?level=debug&limit=7%s%s",
                       before[0] ? "&before=" : "", before);
        http(&r, &at, "GET", path, NULL);
        assert_status(&r, 200);
        for (int i = 0; i < 7; i++) {
            char pointer[40];
            (void)snprintf(pointer, sizeof pointer, "/records/%d/at", i);
            int64_t when = http_int(&r, pointer);
            if (when < 0)
                break;
            assert_true(when <= newest);
            newest = when;
            seen++;
            (void)snprintf(pointer, sizeof pointer, "/records/%d/id", i);
            assert_string_not_equal(http_text(&r, pointer), last);
            (void)snprintf(last, sizeof last, "%s", http_text(&r, pointer));
            (void)snprintf(pointer, sizeof pointer, "/records/%d/message", i);
            assert_string_not_equal(http_text(&r, pointer), "");
        }
        (void)snprintf(before, sizeof before, "%s", http_text(&r, "/next_before"));
        http_free(&r);
        if (!before[0])
            break;
    }
    assert_string_equal(before, "");
    assert_true(seen > 10);
    http(&r, &at, "GET", "/operator/logs?module=supervisor&q=READY&level=debug", NULL);
    assert_status(&r, 200);
    if (http_int(&r, "/records/0/at") > 0)
        assert_string_equal(http_text(&r, "/records/0/module"), "supervisor");
    http_free(&r);
    http(&r, &at, "GET", "/operator/logs?before=nonsense", NULL);
    assert_error(&r, 422, "invalid_value");
    http_free(&r);
    http(&r, &at, "GET", "/operator/logs?module=../etc", NULL);
    assert_int_equal(r.status, 422);
    http_free(&r);
}

/* A log of our own beside those of the modules. */
static void probe_write(const char *name, const char *text)
{
    char path[200], when[32];
    (void)snprintf(path, sizeof path, "log/%s", name);
    FILE *f = fopen(system_path(&sys, path), "a");
    assert_non_null(f);
    (void)fprintf(
        f, "\ntime=%s level=warn module=probe part=hand msg=\"%s\" request_id=r1 a=\"x \\\"y\\\"\" a=2\n",
        clock_format(clock_wall_ms(), when), text);
    assert_int_equal(fclose(f), 0);
}

static void test_followed_logs(void **state)
{
    struct http_at at = system_operator(&sys);
    struct buf seen = BUF_INIT;
    struct http_reply r;
    char again[300], from[200];
    (void)state;
    probe_write("probe.log", "before all");
    int fd = http_open(&at, "GET", "/operator/logs/events?level=warn&module=probe", NULL);
    assert_true(raw_wait_for(fd, "before all", &seen)); /* of the last seconds */
    probe_write("probe.log", "second word");
    assert_true(raw_wait_for(fd, "second word", &seen));
    (void)snprintf(from, sizeof from, "%s", system_path(&sys, "log/probe.log"));
    assert_int_equal(rename(from, system_path(&sys, "log/probe.log.1")), 0);
    probe_write("probe.log", "third word");
    assert_true(raw_wait_for(fd, "third word", &seen));
    raw_close(fd);
    const char *event = seen.data ? strstr(seen.data, "event: record\n") : NULL;
    assert_non_null(event);
    assert_non_null(strstr(seen.data, "\"fields\":{\"a\":\"x \\\"y\\\"\",\"a_2\":\"2\"}"));
    const char *id = strstr(seen.data, "id: ");
    assert_non_null(id);
    (void)snprintf(again, sizeof again, "Last-Event-ID: %.*s\r\n", (int)strcspn(id + 4, "\r\n"), id + 4);
    buf_free(&seen);
    at.headers = again;
    fd = http_open(&at, "GET", "/operator/logs/events?level=warn&module=probe", NULL);
    assert_true(raw_wait_for(fd, "third word", &seen));
    assert_non_null(strstr(seen.data, "second word"));
    assert_null(strstr(seen.data, "before all"));
    assert_null(strstr(seen.data, "event: gap"));
    buf_free(&seen);
    raw_close(fd);
    at.headers = "Last-Event-ID: 5.77.probe\r\n";
    fd = http_open(&at, "GET", "/operator/logs/events?level=warn&module=probe", NULL);
    assert_true(raw_wait_for(fd, "before all", &seen));
    assert_non_null(strstr(seen.data, "event: gap"));
    buf_free(&seen);
    raw_close(fd);
    at.headers = NULL;
    http(&r, &at, "GET", "/operator/logs?module=probe&q=WORD", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/records/0/message"), "third word");
    assert_string_equal(http_text(&r, "/records/1/message"), "second word");
    assert_string_equal(http_text(&r, "/records/1/request_id"), "r1");
    assert_string_equal(http_text(&r, "/records/1/part"), "hand");
    assert_string_equal(http_text(&r, "/records/2/message"), "");
    assert_true(http_is_null(&r, "/next_before"));
    http_free(&r);
}

static void test_database(void **state)
{
    struct http_at at = system_operator(&sys);
    struct http_reply r;
    (void)state;
    http(&r, &at, "GET", "/operator/database", NULL);
    assert_status(&r, 200);
    assert_true(http_int(&r, "/size_bytes") > 0);
    assert_true(http_int(&r, "/page_bytes") >= 512);
    bool found = false;
    for (int i = 0; i < 200; i++) {
        char pointer[60];
        (void)snprintf(pointer, sizeof pointer, "/tables/%d/name", i);
        if (strcmp(http_text(&r, pointer), "auth_token") != 0)
            continue;
        found = true;
        (void)snprintf(pointer, sizeof pointer, "/tables/%d/rows", i);
        assert_true(http_int(&r, pointer) >= 1);
        (void)snprintf(pointer, sizeof pointer, "/tables/%d/comment", i);
        assert_string_equal(http_text(&r, pointer), "Tokens of programs and people. Only hashes are kept.");
        (void)snprintf(pointer, sizeof pointer, "/tables/%d/columns/1/comment", i);
        assert_string_equal(http_text(&r, pointer), "whom it was made for; shown in logs and accounting");
    }
    assert_true(found);
    http_free(&r);
    eventually(20000, system_count(&sys, "SELECT count(*) FROM database_table_sample") > 10);
    http(&r, &at, "GET", "/operator/database/growth?table=auth_token", NULL);
    assert_status(&r, 200);
    assert_int_equal(http_int(&r, "/step_ms"), 3600000);
    assert_non_null(strstr(r.raw.body.data, "\"rows\":[null"));
    http_free(&r);
    http(&r, &at, "GET", "/operator/database/growth?since=5&until=4", NULL);
    assert_error(&r, 422, "invalid_value");
    http_free(&r);
}

static void test_config(void **state)
{
    struct http_at at = system_operator(&sys);
    struct http_reply r;
    bool found = false;
    (void)state;
    http(&r, &at, "GET", "/operator/config", NULL);
    assert_status(&r, 200);
    for (int i = 0; i < 2000 && !found; i++) {
        char pointer[60];
        (void)snprintf(pointer, sizeof pointer, "/values/%d/key", i);
        if (strcmp(http_text(&r, pointer), "log.level") != 0)
            continue;
        found = true;
        (void)snprintf(pointer, sizeof pointer, "/values/%d/value", i);
        assert_string_equal(http_text(&r, pointer), "debug");
        (void)snprintf(pointer, sizeof pointer, "/values/%d/origin", i);
        assert_string_equal(http_text(&r, pointer), "file");
    }
    assert_true(found);
    http_free(&r);
}

/* Made, shown once, used, rotated, promoted, revoked; the owner's stays. */
static void test_tokens(void **state)
{
    struct http_at at = system_operator(&sys), reader = at, made = at;
    struct http_reply r;
    char token[128], secret[128], next[128], id[32], path[100];
    (void)state;
    system_token(&sys, "reader", "read", token);
    reader.token = token;
    eventually(5000, http_status(&reader, "GET", "/operator/database", NULL) == 200);
    assert_int_equal(http_status(&reader, "GET", "/operator/tokens", NULL), 403);
    assert_int_equal(
        http_status(&reader, "POST", "/operator/tokens", "{\"name\":\"x\",\"scopes\":[\"admin\"]}"), 403);
    http(&r, &at, "POST", "/operator/tokens", "{\"name\":\"robot\",\"scopes\":[\"read\"]}");
    assert_status(&r, 201);
    (void)snprintf(secret, sizeof secret, "%s", http_text(&r, "/secret"));
    (void)snprintf(id, sizeof id, "%s", http_text(&r, "/token/id"));
    http_free(&r);
    assert_true(str_starts(secret, "vx11_"));
    made.token = secret;
    eventually(5000, http_status(&made, "GET", "/operator/config", NULL) == 200);
    assert_int_equal(http_status(&made, "GET", "/operator/tokens", NULL), 403);
    http(&r, &at, "GET", "/operator/tokens", NULL);
    assert_status(&r, 200);
    assert_null(strstr(r.raw.body.data, secret));
    http_free(&r);
    http(&r, &at, "POST", "/operator/tokens", "{\"name\":\"robot\",\"scopes\":[\"read\"]}");
    assert_error(&r, 409, "token_exists");
    http_free(&r);
    (void)snprintf(path, sizeof path, "/operator/tokens/%s/rotate", id);
    http(&r, &at, "POST", path, NULL);
    assert_status(&r, 201);
    (void)snprintf(next, sizeof next, "%s", http_text(&r, "/secret"));
    http_free(&r);
    made.token = next;
    eventually(5000, http_status(&made, "GET", "/operator/config", NULL) == 200);
    (void)snprintf(path, sizeof path, "/operator/tokens/%s/promote", id);
    assert_int_equal(http_status(&at, "POST", path, NULL), 204);
    made.token = secret;
    eventually(5000, http_status(&made, "GET", "/operator/config", NULL) == 401);
    made.token = next;
    int64_t rows =
        system_count(&sys, "SELECT count(*) FROM auth_token WHERE name = 'robot' AND revoked_at IS NULL");
    assert_int_equal(rows, 1);
    (void)snprintf(path, sizeof path, "/operator/tokens/%s",
                   system_row(&sys, "SELECT id FROM auth_token WHERE name = 'robot' AND revoked_at IS NULL"));
    assert_int_equal(http_status(&at, "DELETE", path, NULL), 204);
    eventually(5000, http_status(&made, "GET", "/operator/config", NULL) == 401);
    (void)snprintf(path, sizeof path, "/operator/tokens/%s",
                   system_row(&sys, "SELECT id FROM auth_token WHERE name = 'owner'"));
    http(&r, &at, "DELETE", path, NULL);
    assert_error(&r, 409, "owner_token");
    http_free(&r);
}

static int browse(struct buf *out, const char *a, const char *b, const char *c)
{
    const char *const args[] = {"browse", a, b, c, NULL};
    buf_clear(out);
    return system_run(&sys, out, args);
}

/* `vx11 browse` where there is no browser: what it says, and by which exit code. */
static void test_browse_command(void **state)
{
    struct buf out = BUF_INIT;
    char path[200];
    (void)state;
    assert_int_equal(browse(&out, NULL, NULL, NULL), 64);
    assert_int_equal(browse(&out, "show", NULL, NULL), 64);
    assert_int_equal(browse(&out, "http://example.org/", "--timeout", "7d"), 64);
    assert_int_equal(browse(&out, "http://example.org/", NULL, NULL), 69);
    assert_non_null(strstr(out.data, "operator.browser.mode"));
    assert_int_equal(browse(&out, "list", NULL, NULL), 0);
    assert_non_null(strstr(out.data, "TASK"));
    assert_int_equal(browse(&out, "list", "--json", NULL), 0);
    assert_non_null(strstr(out.data, "\"tasks\""));
    assert_int_equal(browse(&out, "show", "nonsense", NULL), 1);
    assert_int_equal(browse(&out, "cancel", "01ARZ3NDEKTSV4RRFFQ69G5FAV", NULL), 1);
    (void)snprintf(path, sizeof path, "%s", system_path(&sys, "script.yaml"));
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs("# a comment\n- { do: click, target: a }\n- { do: dance }\n", f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(browse(&out, "http://example.org/", "--script", path), 1);
    assert_non_null(strstr(out.data, "script.yaml:3: actions[1].do"));
    buf_free(&out);
}

static void test_stop_with_follower(void **state)
{
    struct http_at at = system_operator(&sys);
    (void)state;
    int fd = http_open(&at, "GET", "/operator/logs/events", NULL);
    sleep_ms(200);
    system_stop(&sys);
    raw_close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_may_ask),    cmocka_unit_test(test_pages_of_logs),
        cmocka_unit_test(test_followed_logs),  cmocka_unit_test(test_database),
        cmocka_unit_test(test_config),         cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_browse_command), cmocka_unit_test(test_stop_with_follower),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
