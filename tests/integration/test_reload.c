/* What changes while it runs: the configuration, and who may ask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "system.h"
#include "upstream.h"

static struct system sys;
static struct upstream *up;

/* The configuration with these lines under link and switch, and the providers local, first and second. */
static void configure(const char *link, const char *sw)
{
    struct buf yaml = BUF_INIT;
    buf_printf(&yaml,
               "link:\n  drain_ms: 5000\n%sswitch:\n  strategy: chain\n  breaker_open_ms: 800\n%s  "
               "providers:\n    - {name: local, kind: local}\n",
               link, sw);
    upstream_yaml(up, &yaml, "first", "duo", NULL);
    upstream_yaml(up, &yaml, "second", "duo", NULL);
    system_config(&sys, yaml.data);
    buf_free(&yaml);
}

static int start(void **state)
{
    (void)state;
    up = upstream_start();
    system_init(&sys);
    /* As in the environment of the others, but from the file. */
    configure("", "");
    system_up(&sys);
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

static void reload(struct http_reply *r)
{
    system_control(&sys, r, "/supervisor/reload", "{}");
}

static void reload_fine(void)
{
    struct http_reply r;
    system_control(&sys, &r, "/supervisor/reload", "{}");
    assert_status(&r, 200);
    http_free(&r);
}

static bool chat_is(const char *model, const char *provider)
{
    struct http_reply r;
    system_chat(&sys, &r, model, false);
    const char *who = r.status == 200 ? http_header(&r, "X-VX11-Provider") : NULL;
    bool is = provider ? who && strcmp(who, provider) == 0 : r.status == 404;
    http_free(&r);
    return is;
}

/* ---- configuration ---- */

static void a_provider_changes(void **state)
{
    struct http_reply r;
    (void)state;
    assert_true(chat_is("vx11-guide", "local"));
    assert_true(chat_is("duo", "first"));
    pid_t engine = system_engine_pid(&sys, "vx11-guide");
    assert_true(engine > 0);
    /* Another order, another name. */
    struct buf yaml = BUF_INIT;
    buf_puts(&yaml, "switch:\n  breaker_open_ms: 700\n  providers:\n    - {name: local, kind: local}\n");
    upstream_yaml(up, &yaml, "second", "duo, new-model", NULL);
    upstream_yaml(up, &yaml, "third", "third-model", NULL);
    system_config(&sys, yaml.data);
    buf_free(&yaml);
    reload(&r);
    assert_status(&r, 200);
    assert_non_null(strstr(r.raw.body.data, "switch.providers"));
    assert_non_null(strstr(r.raw.body.data, "switch.breaker_open_ms"));
    assert_int_equal(yyjson_arr_size(yyjson_doc_ptr_get(r.json, "/needs_restart")), 0);
    http_free(&r);
    eventually(8000, chat_is("third-model", "third"));
    assert_true(chat_is("duo", "second"));
    assert_true(chat_is("new-model", "second"));
    assert_true(chat_is("first/duo", NULL)); /* it is gone */
    assert_int_equal(system_engine_pid(&sys, "vx11-guide"), engine);
    assert_string_equal(system_module(&sys, "switch", "restarts"), "0");
    assert_true(chat_is("vx11-guide", "local"));
    assert_int_equal(system_engine_pid(&sys, "vx11-guide"), engine);
}

/* A request that runs while its provider is taken out of the configuration goes on to its end. */
static void running_requests_go_on(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    (void)state;
    upstream_behave(up, "third", UP_DRIP_SHORT);
    int fd = http_open(&at, "POST", "/v1/chat/completions", chat_body("third-model", true));
    struct upstream_seen seen;
    eventually(8000, (upstream_seen(up, "third", &seen), seen.running == 1));
    configure("", "");
    reload_fine();
    eventually(8000, chat_is("duo", "first"));
    http_read(fd, &r);
    assert_status(&r, 200);
    assert_true(sse_done(r.raw.body.data));
    assert_true(str_starts(system_account(&sys, http_header(&r, "X-Request-Id")),
                           "ok|200|third|third-model|1|7|5|3"));
    http_free(&r);
    raw_close(fd);
}

static void the_default_model_follows(void **state)
{
    (void)state;
    configure("", "  default_model: second/duo\n");
    reload_fine();
    eventually(8000, chat_is("", "second"));
    configure("", "  default_model: vx11-guide\n  chain: [first/duo]\n");
    reload_fine();
    eventually(8000, chat_is("", "local"));
    assert_true(chat_is("", "local"));
}

/* The chain's own models take over when the wanted one fails before its first token. */
static void the_chain_is_a_fallback(void **state)
{
    struct http_reply r;
    (void)state;
    configure("", "  chain: [first/duo, \"second/other\"]\n");
    reload_fine();
    upstream_behave(up, "first", UP_500);
    eventually(8000, chat_is("duo", "second"));
    upstream_behave(up, "second", UP_500);
    system_chat(&sys, &r, "duo", true);
    assert_status(&r, 502);
    eventually(8000, strstr(system_row(&sys, "SELECT alternatives FROM decision ORDER BY id DESC LIMIT 1"),
                            "\"model\":\"other\"") != NULL);
    http_free(&r);
    upstream_behave(up, "first", UP_GOOD);
    upstream_behave(up, "second", UP_GOOD);
}

static void a_wrong_file_is_refused(void **state)
{
    struct http_reply r;
    static const char *const wrong[][2] = {
        {"switch:\n  defualt_model: x\n", "default_model"},
        {"switch:\n  breaker_threshold: many\n", "breaker_threshold"},
        {"switch: [\n", "config.yaml"},
        {"supervisor:\n  backoff_min_ms: 1\n", "at least 10"},
        {"switch:\n  chain: [nobody]\n", "nobody"},
        {"switch:\n  providers:\n    - {name: a, kind: openai}\n", "base_url"},
        {"switch:\n  providers:\n    - {name: a, kind: local}\n    - {name: a, kind: local}\n", "a"},
    };
    (void)state;
    configure("", "");
    reload_fine();
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        system_config(&sys, wrong[i][0]);
        reload(&r);
        assert_error(&r, 422, "bad_configuration");
        if (!strstr(http_text(&r, "/error/message"), wrong[i][1])) {
            print_error("%s: %s\n", wrong[i][0], r.raw.body.data);
            fail();
        }
        http_free(&r);
    }
    kill(sys.pid, SIGHUP);
    sleep_ms(300);
    assert_true(chat_is("duo", "first"));
    configure("", "");
}

static void restart_keys_are_named(void **state)
{
    struct http_reply r;
    struct http_at at = system_link(&sys);
    (void)state;
    /* The environment wins over the file for the ports, so another key. */
    configure("  max_body_bytes: 2 MiB\n  allowed_hosts: [other.home]\n", "");
    reload(&r);
    assert_status(&r, 200);
    assert_non_null(strstr(r.raw.body.data, "\"needs_restart\":[\"link.max_body_bytes\"]"));
    assert_non_null(strstr(r.raw.body.data, "link.allowed_hosts"));
    http_free(&r);
    at.headers = "Host: other.home\r\n";
    eventually(8000, http_status(&at, "GET", "/vx11/session", NULL) == 200);
    for (int i = 0; i < 3; i++) { /* nothing changed: nothing happens, and nothing that is in use is freed */
        reload(&r);
        assert_status(&r, 200);
        assert_non_null(strstr(r.raw.body.data, "\"changed\":[],\"needs_restart\":[]"));
        http_free(&r);
        kill(system_module_pid(&sys, "link"), SIGHUP);
    }
    sleep_ms(200);
    assert_int_equal(http_status(&at, "GET", "/vx11/session", NULL), 200);
    configure("", "");
    reload_fine();
    eventually(8000, http_status(&at, "GET", "/vx11/session", NULL) == 421);
}

static void hangup_reloads_all(void **state)
{
    (void)state;
    configure("", "  default_model: second/duo\n");
    kill(sys.pid, SIGHUP);
    eventually(8000, chat_is("", "second"));
}

/* ---- tokens ---- */

static void tokens_come_and_go(void **state)
{
    struct http_at at = system_link(&sys);
    char token[128];
    (void)state;
    system_token(&sys, "guest", "read,chat", token);
    at.token = token;
    int64_t begun = clock_mono_ms();
    eventually(8000, http_status(&at, "GET", "/vx11/session", NULL) == 200);
    assert_true(clock_mono_ms() - begun < 2500); /* about a second */
    struct http_reply r;
    http(&r, &at, "GET", "/vx11/session", NULL);
    assert_string_equal(http_text(&r, "/name"), "guest");
    http_free(&r);
    http(&r, &at, "POST", "/v1/chat/completions", chat_body("duo", false));
    assert_status(&r, 200);
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT principal_name FROM decision WHERE request_id = '%s'",
             http_header(&r, "X-Request-Id"));
    eventually(8000, strcmp(system_row(&sys, sql), "guest") == 0);
    http_free(&r);
    system_token_revoke(&sys, "guest");
    begun = clock_mono_ms();
    eventually(8000, http_status(&at, "GET", "/vx11/session", NULL) == 401);
    assert_true(clock_mono_ms() - begun < 2500);
}

/* By the command, which tells the modules at once or leaves it to their look. */
static void tokens_by_command(void **state)
{
    struct buf out = BUF_INIT;
    struct http_at at = system_link(&sys);
    (void)state;
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"token", "show", NULL}), 0);
    assert_non_null(strstr(out.data, sys.token));
    buf_clear(&out);
    assert_int_equal(system_run(&sys, &out, (const char *const[]){"token", "rotate", NULL}), 0);
    buf_free(&out);
    struct buf file = BUF_INIT;
    char token[128];
    system_read(&sys, "token", &file);
    snprintf(token, sizeof token, "%.*s", (int)strcspn(file.data, "\n"), file.data);
    buf_free(&file);
    assert_string_not_equal(token, sys.token);
    at.token = token;
    eventually(8000, http_status(&at, "GET", "/vx11/session", NULL) == 200);
    snprintf(sys.token, sizeof sys.token, "%s", token);
}

/* A token file that others can read is not taken. */
static void token_file_must_be_private(void **state)
{
    (void)state;
    system_stop(&sys);
    assert_int_equal(chmod(system_path(&sys, "token"), 0644), 0);
    assert_false(system_launch(&sys));
    assert_non_null(strstr(sys.words, "token"));
    assert_non_null(strstr(sys.words, "chmod"));
    assert_int_equal(system_wait_exit(&sys, 5000), 1);
    system_check_gone(&sys);
    assert_int_equal(chmod(system_path(&sys, "token"), 0600), 0);
    system_up(&sys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_provider_changes),
        cmocka_unit_test(running_requests_go_on),
        cmocka_unit_test(the_default_model_follows),
        cmocka_unit_test(the_chain_is_a_fallback),
        cmocka_unit_test(a_wrong_file_is_refused),
        cmocka_unit_test(restart_keys_are_named),
        cmocka_unit_test(hangup_reloads_all),
        cmocka_unit_test(tokens_come_and_go),
        cmocka_unit_test(tokens_by_command),
        cmocka_unit_test(token_file_must_be_private),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
