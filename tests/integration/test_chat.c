/* Chat: real turns through the front door, with a scripted provider: streamed and not, history, failures,
 * stop, a client that leaves, edit and retry, tools, feedback, adjustments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <signal.h>

#include "base/buf.h"
#include "system.h"
#include "upstream.h"

static struct system sys;
static struct upstream *up;

static int start(void **state)
{
    struct buf yaml = BUF_INIT;
    (void)state;
    up = upstream_start();
    assert_non_null(up);
    buf_puts(&yaml, "operator:\n  chat:\n    confirm_timeout_ms: 1500\n    tool_rounds: 2\n"
                    "switch:\n  default_model: echo\n  providers:\n    - {name: local, kind: local}\n");
    upstream_yaml(up, &yaml, "fake", "echo", NULL);
    system_start(&sys, yaml.data);
    sys.rough = true;
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

static void ask(struct http_reply *r, const char *method, const char *path, const char *body)
{
    struct http_at at = system_link(&sys);
    http(r, &at, method, path, body);
}

static void say(struct http_reply *r, const char *session, const char *more, const char *text)
{
    char body[2000];
    if (session)
        snprintf(body, sizeof body, "{\"message\":\"%s\",\"model\":\"fake/echo\",\"session_id\":\"%s\"%s}",
                 text, session, more);
    else
        snprintf(body, sizeof body, "{\"message\":\"%s\",\"model\":\"fake/echo\"%s}", text, more);
    ask(r, "POST", "/operator/chat", body);
}

static void answers(void **state)
{
    struct http_reply r, again;
    struct upstream_seen seen;
    char session[32];
    (void)state;
    upstream_behave(up, "fake", UP_GOOD);
    say(&r, NULL, "", "what is the colour of grass");
    assert_status(&r, 200);
    assert_string_not_equal(http_text(&r, "/response"), "");
    assert_string_equal(http_text(&r, "/message/status"), "ok");
    assert_string_equal(http_text(&r, "/message/provider"), "fake");
    assert_string_equal(http_text(&r, "/message/model"), "echo");
    assert_int_equal(http_int(&r, "/message/usage/prompt_tokens"), 7);
    assert_string_not_equal(http_text(&r, "/message/request_id"), "");
    snprintf(session, sizeof session, "%s", http_text(&r, "/session_id"));
    say(&again, session, "", "and of snow");
    assert_status(&again, 200);
    upstream_seen(up, "fake", &seen);
    assert_non_null(strstr(seen.body, "what is the colour of grass"));
    assert_non_null(strstr(seen.body, "and of snow"));
    assert_non_null(strstr(seen.body, http_text(&r, "/response")));
    assert_non_null(strstr(seen.body, "context_summary"));
    http_free(&r);
    http_free(&again);
}

static void streams(void **state)
{
    struct http_reply r;
    (void)state;
    upstream_behave(up, "fake", UP_GOOD);
    say(&r, NULL, ",\"stream\":true", "hello there");
    assert_status(&r, 200);
    const char *text = r.raw.body.data;
    const char *turn = strstr(text, "event: turn"), *delta = strstr(text, "event: delta"),
               *message = strstr(text, "event: message");
    assert_non_null(turn);
    assert_non_null(delta);
    assert_non_null(message);
    assert_true(turn < delta && delta < message);
    assert_null(strstr(text, "event: error"));
    http_free(&r);
}

/* A failed turn is an error, marked as such, and no part of what comes later. */
static void fails(void **state)
{
    struct http_reply r, all, good;
    struct upstream_seen seen;
    char session[32], path[100];
    (void)state;
    upstream_behave(up, "fake", UP_GOOD);
    say(&good, NULL, "", "first");
    snprintf(session, sizeof session, "%s", http_text(&good, "/session_id"));
    http_free(&good);
    upstream_behave(up, "fake", UP_400);
    say(&r, session, "", "second-one-fails");
    assert_status(&r, 400);
    http_free(&r);
    upstream_behave(up, "fake", UP_HALF_LATE);
    say(&r, session, ",\"stream\":true", "third-one-breaks");
    assert_status(&r, 200);
    assert_non_null(strstr(r.raw.body.data, "event: error"));
    assert_null(strstr(r.raw.body.data, "event: message"));
    http_free(&r);
    snprintf(path, sizeof path, "/operator/sessions/%s", session);
    ask(&all, "GET", path, NULL);
    assert_status(&all, 200);
    assert_string_equal(http_text(&all, "/messages/3/status"), "failed");
    assert_string_equal(http_text(&all, "/messages/5/status"), "failed");
    assert_string_not_equal(http_text(&all, "/messages/5/error/code"), "");
    http_free(&all);
    upstream_behave(up, "fake", UP_GOOD);
    say(&r, session, "", "fourth");
    assert_status(&r, 200);
    http_free(&r);
    upstream_seen(up, "fake", &seen);
    assert_non_null(strstr(seen.body, "fourth"));
    assert_null(strstr(seen.body, "third-one-breaks"));
    assert_null(strstr(seen.body, "second-one-fails"));
}

static void stops(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    char session[32], path[100], body[200];
    (void)state;
    ask(&r, "POST", "/operator/sessions", "{\"model\":\"fake/echo\"}");
    assert_status(&r, 201);
    snprintf(session, sizeof session, "%s", http_text(&r, "/id"));
    http_free(&r);
    upstream_behave(up, "fake", UP_DRIP);
    snprintf(body, sizeof body, "{\"message\":\"go on\",\"session_id\":\"%s\",\"stream\":true}", session);
    int fd = http_open(&at, "POST", "/operator/chat", body);
    sleep_ms(700);
    say(&r, session, "", "me too");
    assert_error(&r, 409, "session_busy");
    http_free(&r);
    snprintf(path, sizeof path, "/operator/sessions/%s/stop", session);
    ask(&r, "POST", path, NULL);
    assert_status(&r, 200);
    http_free(&r);
    http_read(fd, &r);
    assert_non_null(strstr(r.raw.body.data, "event: message"));
    assert_non_null(strstr(r.raw.body.data, "\"status\":\"cancelled\""));
    http_free(&r);
    struct upstream_seen seen;
    eventually(3000, (upstream_seen(up, "fake", &seen), seen.running == 0));
    raw_close(fd);
}

static void leaves(void **state)
{
    struct http_at at = system_link(&sys);
    struct upstream_seen seen;
    (void)state;
    upstream_behave(up, "fake", UP_DRIP);
    int fd = http_open(&at, "POST", "/operator/chat",
                       "{\"message\":\"i-am-leaving\",\"model\":\"fake/echo\",\"stream\":true}");
    sleep_ms(700);
    raw_close(fd);
    eventually(5000, (upstream_seen(up, "fake", &seen), seen.running == 0));
    eventually(5000, system_count(
                         &sys, "SELECT count(*) FROM operator_message AS a JOIN operator_message AS q ON "
                               "q.session_id = a.session_id WHERE q.content = 'i-am-leaving' AND a.status = "
                               "'cancelled' AND length(a.content) > 0") == 1);
}

static void edits_and_retries(void **state)
{
    struct http_reply r, again;
    char session[32], question[32], answer[32], path[160], more[100];
    struct upstream_seen seen;
    (void)state;
    upstream_behave(up, "fake", UP_GOOD);
    say(&r, NULL, "", "wrong-words");
    snprintf(session, sizeof session, "%s", http_text(&r, "/session_id"));
    snprintf(question, sizeof question, "%s", http_text(&r, "/user_message_id"));
    http_free(&r);
    snprintf(more, sizeof more, ",\"replaces\":\"%s\"", question);
    say(&r, session, more, "right-words");
    assert_status(&r, 200);
    snprintf(answer, sizeof answer, "%s", http_text(&r, "/message/id"));
    http_free(&r);
    upstream_seen(up, "fake", &seen);
    assert_null(strstr(seen.body, "wrong-words"));
    snprintf(path, sizeof path, "/operator/sessions/%s/messages/%s/retry", session, answer);
    ask(&again, "POST", path, "{}");
    assert_status(&again, 200);
    assert_string_not_equal(http_text(&again, "/message/id"), answer);
    http_free(&again);
    upstream_seen(up, "fake", &seen);
    assert_non_null(strstr(seen.body, "right-words"));
    assert_int_equal(
        system_count(&sys, "SELECT count(*) FROM operator_message WHERE replaced_by IS NOT NULL"), 3);
}

static void rates(void **state)
{
    struct http_reply r;
    char path[160];
    (void)state;
    upstream_behave(up, "fake", UP_GOOD);
    say(&r, NULL, "", "rate me");
    snprintf(path, sizeof path, "/operator/sessions/%s/messages/%s/feedback", http_text(&r, "/session_id"),
             http_text(&r, "/message/id"));
    http_free(&r);
    sleep_ms(300);
    ask(&r, "PUT", path, "{\"rating\":1,\"note\":\"good\"}");
    assert_status(&r, 200);
    assert_string_equal(http_is_null(&r, "/reason") ? "" : http_text(&r, "/reason"), "");
    http_free(&r);
    assert_int_equal(system_count(&sys, "SELECT learned FROM operator_feedback"), 1);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM feedback"), 1);
    ask(&r, "DELETE", path, NULL);
    assert_status(&r, 204);
    http_free(&r);
}

static void adjusts(void **state)
{
    struct http_reply r;
    (void)state;
    ask(&r, "POST", "/operator/switch/adjustment",
        "{\"after_config\":{\"mode\":\"ECO\"},\"reason\":\"quiet\"}");
    assert_status(&r, 201);
    assert_string_equal(http_text(&r, "/after_config/mode"), "ECO");
    assert_string_equal(http_text(&r, "/before_config/mode"), "BALANCED");
    http_free(&r);
    ask(&r, "POST", "/operator/switch/adjustment",
        "{\"after_config\":{\"mode\":\"LOUD\"},\"reason\":\"no\"}");
    assert_status(&r, 201);
    assert_string_not_equal(http_text(&r, "/error"), "");
    http_free(&r);
    ask(&r, "GET", "/operator/switch/adjustments", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/adjustments/1/reason"), "quiet");
    http_free(&r);
}

static void knows_tools(void **state)
{
    struct http_reply r;
    (void)state;
    ask(&r, "GET", "/operator/tools", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/tools/0/name"), "system_status");
    http_free(&r);
    /* The script calls the same tool in every round, one that is not there: the turn gives up, and says so.
     */
    upstream_behave(up, "fake", UP_TOOLS);
    say(&r, NULL, ",\"tools\":true", "use a tool");
    assert_error(&r, 502, "too_many_tool_rounds");
    http_free(&r);
    assert_true(system_count(&sys, "SELECT count(*) FROM operator_tool_call WHERE status = 'failed'") >= 2);
    upstream_behave(up, "fake", UP_GOOD);
}

/* The guide model itself. */
static void really_answers(void **state)
{
    struct http_reply r;
    (void)state;
    ask(&r, "POST", "/operator/chat",
        "{\"message\":\"How do I list the models?\",\"model\":\"vx11-guide\",\"max_tokens\":40}");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/message/provider"), "local");
    assert_string_not_equal(http_text(&r, "/response"), "");
    http_free(&r);
}

static void switch_dies(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    (void)state;
    upstream_behave(up, "fake", UP_DRIP);
    int fd = http_open(&at, "POST", "/operator/chat",
                       "{\"message\":\"die\",\"model\":\"fake/echo\",\"stream\":true}");
    sleep_ms(700);
    process_kill(system_module_pid(&sys, "switch"), SIGKILL);
    http_read(fd, &r);
    assert_non_null(strstr(r.raw.body.data, "event: error"));
    assert_non_null(strstr(r.raw.body.data, "upstream_broken"));
    http_free(&r);
    raw_close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),        cmocka_unit_test(streams),     cmocka_unit_test(fails),
        cmocka_unit_test(stops),          cmocka_unit_test(leaves),      cmocka_unit_test(edits_and_retries),
        cmocka_unit_test(rates),          cmocka_unit_test(adjusts),     cmocka_unit_test(knows_tools),
        cmocka_unit_test(really_answers), cmocka_unit_test(switch_dies),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("chat", tests, start, stop);
}
