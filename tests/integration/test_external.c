/* Engines that are not VX11's own, in a whole VX11: a command that Hermes starts and ends, an address that
 * somebody else keeps. This program runs itself again as the engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "fake_server.h"
#include "system.h"

#define GUIDE "vx11-guide"

static struct system sys;
static char self[1024];
static int address_port;

static int start(void **state)
{
    char yaml[8192];
    (void)state;
    system_init(&sys);
    address_port = 20000 + (int)(getpid() % 12000);
    (void)snprintf(
        yaml, sizeof yaml,
        "hermes:\n"
        "  max_loaded: 2\n"
        "  engines:\n"
        "    - name: fake\n"
        "      command: [%s, serve, --port, \"{port}\", --model, \"{model}\", --name, theirs]\n"
        "      models: [" GUIDE "]\n"
        "      upstream_model: theirs\n"
        "    - name: own\n"
        "      command: [%s, serve, --port, \"{port}\", --answer-ms, \"900\", --child, %s/child]\n"
        "      models: [of-own]\n"
        "      memory_bytes: 50 MiB\n"
        "    - name: third\n"
        "      command: [%s, serve, --socket, \"{socket}\"]\n"
        "      models: [of-third]\n"
        "    - name: broken\n"
        "      command: [%s, serve, --port, \"{port}\", --want-env, NEVER_SET, --say, \"no licence\"]\n"
        "      models: [of-broken]\n"
        "    - name: away\n"
        "      base_url: http://127.0.0.1:%d\n"
        "      check_interval_ms: 300\n",
        self, self, sys.home, self, self, address_port);
    system_config(&sys, yaml);
    system_up(&sys);
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
    sys.rough = true; /* engines were killed */
    system_stop(&sys);
}

static void chat_with(struct http_reply *r, const char *model)
{
    system_chat(&sys, r, model, false);
}

static pid_t engine_pid(const char *model)
{
    return system_engine_pid(&sys, model);
}

/* Field of one engine in the list. */
static void engine_of(struct http_reply *r, const char *model)
{
    struct http_at at = system_hermes(&sys);
    char path[128];
    (void)snprintf(path, sizeof path, "/hermes/get-engine?engine_id=%s", model);
    http(r, &at, "GET", path, NULL);
}

static void a_command_answers(void **state)
{
    struct http_reply r, seen;
    (void)state;
    chat_with(&r, GUIDE);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/choices/0/message/content"), "fake");
    assert_true(
        str_starts(system_account(&sys, http_header(&r, "X-Request-Id")), "ok|200|local|" GUIDE "|1|3|"));
    http_free(&r);
    engine_of(&r, GUIDE);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/status"), "available");
    assert_string_equal(http_text(&r, "/metadata/kind"), "command");
    assert_string_equal(http_text(&r, "/metadata/upstream_model"), "theirs");
    assert_true(http_int(&r, "/metadata/rss_bytes") > 100000);
    const char *url = http_text(&r, "/endpoint");
    assert_true(str_starts(url, "http://127.0.0.1:"));
    struct http_at there = {.port = atoi(url + strlen("http://127.0.0.1:"))};
    http(&seen, &there, "GET", "/seen", NULL);
    assert_string_equal(http_text(&seen, "/model"), "theirs"); /* asked by its own name */
    assert_true(str_ends(http_text(&seen, "/file"), "vx11-guide.gguf"));
    http_free(&seen);
    http_free(&r);
    eventually(5000, system_count(&sys, "SELECT usage_count FROM model WHERE name = '" GUIDE "'") == 1);
}

static void streams_pass(void **state)
{
    struct http_reply r;
    (void)state;
    system_chat(&sys, &r, GUIDE, true);
    assert_status(&r, 200);
    assert_true(sse_count(r.raw.body.data) >= 3);
    assert_true(sse_done(r.raw.body.data));
    http_free(&r);
}

static void get_engine(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    (void)state;
    engine_of(&r, "nobody");
    assert_error(&r, 404, "engine_not_found");
    http_free(&r);
    engine_of(&r, "of-third");
    assert_error(&r, 503, "engine_not_running");
    http_free(&r);
    http(&r, &at, "POST", "/hermes/get-engine", "{\"engine_id\":\"of-third\",\"start\":true}");
    assert_status(&r, 200);
    assert_true(str_starts(http_text(&r, "/endpoint"), "unix:"));
    http_free(&r);
    engine_of(&r, "of-third");
    assert_status(&r, 200);
    http_free(&r);
    engine_of(&r, "away");
    assert_error(&r, 503, "engine_down");
    http_free(&r);
    http(&r, &at, "GET", "/hermes/external-engines", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/engines/0/state"), "up");
    assert_string_equal(http_text(&r, "/engines/4/state"), "down");
    assert_string_equal(http_text(&r, "/engines/4/kind"), "address");
    http_free(&r);
}

/* Killed, it is started again; what it had started is gone too. */
static void killed_and_again(void **state)
{
    struct http_reply r;
    struct buf text = BUF_INIT;
    (void)state;
    chat_with(&r, "of-own");
    assert_status(&r, 200);
    http_free(&r);
    const pid_t pid = engine_pid("of-own");
    assert_true(pid > 0);
    system_read(&sys, "child", &text);
    const pid_t child = atoi(text.data);
    assert_true(child > 0 && process_lives(child));
    process_kill(pid, SIGKILL);
    eventually(5000, !process_lives(pid) && !process_lives(child));
    chat_with(&r, "of-own");
    assert_status(&r, 200);
    http_free(&r);
    assert_int_not_equal(engine_pid("of-own"), pid);
    buf_free(&text);
}

static void what_fails_is_said(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    (void)state;
    http(&r, &at, "POST", "/hermes/engines/acquire", "{\"model\":\"of-broken\",\"wait_ms\":5000}");
    assert_error(&r, 503, "engine_failed");
    assert_non_null(strstr(http_text(&r, "/error/message"), "no licence"));
    http_free(&r);
    http(&r, &at, "POST", "/hermes/models/of-broken/warm", "{\"timeout_ms\":1000}");
    assert_error(&r, 503, "engine_failed");
    http_free(&r);
    http(&r, &at, "DELETE", "/hermes/models/of-own", NULL);
    assert_error(&r, 409, "model_of_engine");
    http_free(&r);
    assert_true(system_has_text(&sys, "log/external-of-broken.out", "no licence"));
}

/* Two may be loaded, three are asked for, and one takes its time: nobody is cut off. */
static void room_is_made(void **state)
{
    struct http_at at = system_link(&sys);
    struct http_reply r;
    int fds[6];
    static const char *const models[] = {"of-own", GUIDE, "of-third", "of-own", "of-third", GUIDE};
    (void)state;
    for (int i = 0; i < 6; i++)
        fds[i] = http_open(&at, "POST", "/v1/chat/completions", chat_body(models[i], i % 2 == 0));
    for (int i = 0; i < 6; i++) {
        http_read(fds[i], &r);
        assert_status(&r, 200);
        if (i % 2 == 0)
            assert_true(sse_done(r.raw.body.data));
        http_free(&r);
    }
    struct http_at hermes = system_hermes(&sys);
    http(&r, &hermes, "GET", "/hermes/resources", NULL);
    assert_true(http_int(&r, "/engines") <= 2);
    http_free(&r);
}

/* ---- an address ---- */

static pid_t server_start_at(int port)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", port);
    const pid_t pid = fork();
    if (pid == 0) {
        execl(self, self, "serve", "--port", text, "--offers", "far,org/further", (char *)NULL);
        _exit(99);
    }
    return pid;
}

static void server_end(pid_t pid)
{
    process_kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static int status_of_chat(const char *model)
{
    struct http_reply r;
    chat_with(&r, model);
    const int status = r.status;
    http_free(&r);
    return status;
}

static void an_address_answers(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    (void)state;
    assert_int_equal(status_of_chat("far"), 404); /* nobody has told of it */
    pid_t pid = server_start_at(address_port);
    eventually(10000, http_status(&at, "GET", "/hermes/models/far", NULL) == 200);
    eventually(10000, status_of_chat("far") == 200);
    eventually(10000, status_of_chat("org/further") == 200);
    http(&r, &at, "GET", "/hermes/models/far", NULL);
    assert_string_equal(http_text(&r, "/source"), "engine");
    assert_string_equal(http_text(&r, "/path"), "engine:away");
    http_free(&r);
    http(&r, &at, "POST", "/hermes/models/far/warm", "{\"tokens\":3}");
    assert_status(&r, 200);
    assert_int_equal(http_int(&r, "/tokens"), 3);
    http_free(&r);
    server_end(pid);
    http(&r, &at, "POST", "/hermes/engines/acquire", "{\"model\":\"far\",\"wait_ms\":1000}");
    if (r.status == 200) { /* it was well within the last check: the next one tells */
        http_free(&r);
        sleep_ms(900);
        http(&r, &at, "POST", "/hermes/engines/acquire", "{\"model\":\"far\",\"wait_ms\":1000}");
    }
    assert_error(&r, 503, "engine_down");
    http_free(&r);
    http(&r, &at, "GET", "/health", NULL);
    assert_non_null(strstr(r.raw.body.data, "away:"));
    http_free(&r);
    pid = server_start_at(address_port);
    eventually(10000, http_status(&at, "POST", "/hermes/engines/acquire", "{\"model\":\"far\"}") == 200);
    eventually(10000, status_of_chat("far") == 200);
    server_end(pid);
}

/* Hermes is killed: what it had started ends, and its models answer again. */
static void hermes_is_killed(void **state)
{
    (void)state;
    assert_int_equal(status_of_chat(GUIDE), 200);
    const pid_t hermes = system_module_pid(&sys, "hermes"), engine = engine_pid(GUIDE);
    assert_true(engine > 0);
    process_kill(hermes, SIGKILL);
    eventually(8000, !process_lives(engine));
    eventually(20000, system_module_pid(&sys, "hermes") > 0 && system_module_pid(&sys, "hermes") != hermes);
    eventually(20000, status_of_chat(GUIDE) == 200);
    assert_int_not_equal(engine_pid(GUIDE), engine);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_answers),  cmocka_unit_test(streams_pass),
        cmocka_unit_test(get_engine),         cmocka_unit_test(killed_and_again),
        cmocka_unit_test(what_fails_is_said), cmocka_unit_test(room_is_made),
        cmocka_unit_test(an_address_answers), cmocka_unit_test(hermes_is_killed),
        cmocka_unit_test(stops_clean),
    };
    if (fake_server_asked(argc, argv))
        return fake_server_main(argc, argv);
    if (fs_self_exe(self, sizeof self) != 0)
        return 1;
    return cmocka_run_group_tests(tests, start, stop);
}
