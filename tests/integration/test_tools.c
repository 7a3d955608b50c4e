/* Command-line tools as providers: detection that writes nothing, a person's word, runs, and how they end.
 * The tools are scripts of this test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <ctype.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "system.h"

#define NAP "6173" /* seconds that nothing else here sleeps for */

static struct system sys;

static void script(const char *name, const char *text)
{
    char path[200];
    struct buf all = BUF_INIT;
    buf_printf(&all, "#!/bin/sh\n[ \"$1\" = --version ] && { echo \"%s 1.2.3\"; exit 0; }\n%s\n", name, text);
    snprintf(path, sizeof path, "%s/%s", system_path(&sys, "tools"), name);
    assert_int_equal(fs_write_file_atomic(path, all.data, all.len, 0700, NULL), 0);
    buf_free(&all);
}

static void write_tools(void)
{
    script("claude",
           "in=$(cat)\n"
           "ev() { printf "
           "'{\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_delta\",\"delta\":{\"type\":"
           "\"text_delta\",\"text\":\"%s\"}}}\\n' \"$1\"; }\n"
           "echo 'a warning, no JSON'\n"
           "ev 'one '; sleep 0.2; ev 'two '; sleep 0.2; ev \"${#in}\"\n"
           "echo "
           "'{\"type\":\"result\",\"is_error\":false,\"result\":\"x\",\"usage\":{\"input_tokens\":11,"
           "\"output_tokens\":3}}'");
    script("echoes", "for a in \"$@\"; do printf '<%s>' \"$a\"; done");
    script("fails", "echo 'first words' >&2; echo 'it broke' >&2; exit 3");
    script("hangs", "echo begun; sleep " NAP " & sleep " NAP);
    script("silent", "exit 0");
    script("nologin", "[ \"$1\" = status ] && exit 1; echo never");
    script("late", "[ -e \"$HOME/logged-in\" ] || { [ \"$1\" = status ] && exit 1; }; [ \"$1\" = status ] && "
                   "exit 0; echo here");
    script("midway", "echo 'half an answer'; sleep 0.3; echo 'then it broke' >&2; exit 4");
    script("curious",
           "cat \"$VX11_TOKEN_FILE\" 2>/dev/null; env | sort | tr '\\n' ' '; ls /proc | grep -c '^[0-9]'");
}

static void configure(const char *more)
{
    struct buf yaml = BUF_INIT;
    const char *dir = system_path(&sys, "tools");
    buf_printf(
        &yaml,
        "hermes:\n  tool_dirs: [%s]\n  tools:\n"
        "    - {name: echoes, command: echoes, args: [\"-p\", \"{prompt}\", \"{model_args}\"], model_args: "
        "[\"--model={model}\"],\n"
        "       models: [small, large], quota_daily: 14, enabled: true}\n"
        "    - {name: fails, command: %s/fails, prompt: stdin, enabled: true}\n"
        "    - {name: hangs, command: hangs, prompt: stdin, enabled: true, timeout_ms: 1500, "
        "max_concurrency: 1}\n"
        "    - {name: long, command: hangs, prompt: stdin, enabled: true, timeout_ms: 60000}\n"
        "    - {name: silent, command: silent, prompt: stdin, enabled: true}\n"
        "    - {name: nologin, command: nologin, prompt: stdin, auth_args: [status], enabled: true}\n"
        "    - {name: midway, command: midway, prompt: stdin, enabled: true}\n"
        "    - {name: curious, command: curious, prompt: stdin, enabled: true, env: [VX11_PASSED]}\n"
        "    - {name: shell, command: /bin/sh, args: [\"-c\", \"{prompt}\"], enabled: true}\n"
        "    - {name: python, command: /usr/bin/python3, args: [\"-c\", \"{prompt}\"], enabled: true}\n"
        "    - {name: twice, command: echoes, args: [\"{prompt}\", \"{prompt}\"], enabled: true}\n"
        "    - {name: plain, command: echoes, args: [\"{prompt}\"]}\n%s",
        dir, dir, more);
    system_config(&sys, yaml.data);
    buf_free(&yaml);
}

static int start(void **state)
{
    (void)state;
    system_init(&sys);
    assert_int_equal(mkdir(system_path(&sys, "tools"), 0700), 0);
    assert_int_equal(mkdir(system_path(&sys, "user"), 0700), 0);
    system_env(&sys, "HOME=%s", system_path(&sys, "user"));
    system_env(&sys, "PATH=/usr/bin:/bin");
    system_env(&sys, "VX11_PASSED=shown");
    system_env(&sys, "VX11_SECRET_OF_OURS=hidden");
    write_tools();
    configure("");
    system_up(&sys);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    system_remove(&sys);
    return 0;
}

static void ask(struct http_reply *r, const char *method, const char *path, const char *body)
{
    struct http_at at = system_hermes(&sys);
    http(r, &at, method, path, body);
}

static const char *chat_path(const char *tool)
{
    static char path[128];
    snprintf(path, sizeof path, "/hermes/tools/%s/v1/chat/completions", tool);
    return path;
}

static void chat(struct http_reply *r, const char *tool, const char *prompt, const char *more)
{
    struct buf body = BUF_INIT;
    buf_puts(&body, "{\"messages\":[{\"role\":\"user\",\"content\":");
    buf_put_json_string(&body, prompt, strlen(prompt));
    buf_printf(&body, "}]%s}", more);
    ask(r, "POST", chat_path(tool), body.data);
    buf_free(&body);
}

/* How many processes have this in their command line. */
static int processes_with(const char *text)
{
    int n = 0;
    DIR *dir = opendir("/proc");
    const struct dirent *e;
    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        char path[64], line[4096];
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/%.20s/cmdline", e->d_name);
        FILE *f = fopen(path, "re");
        size_t len = f ? fread(line, 1, sizeof line - 1, f) : 0;
        if (f)
            fclose(f);
        line[len] = '\0';
        for (size_t i = 0; i < len; i += strlen(line + i) + 1)
            if (strcmp(line + i, text) == 0) {
                n++;
                break;
            }
    }
    closedir(dir);
    return n;
}

static bool usable(const char *tool)
{
    struct http_reply r;
    char path[100];
    snprintf(path, sizeof path, "/hermes/tools/%s", tool);
    ask(&r, "GET", path, NULL);
    bool is = r.status == 200 && yyjson_is_true(yyjson_doc_ptr_get(r.json, "/usable"));
    http_free(&r);
    return is;
}

static bool has_auth(const char *tool, const char *auth)
{
    struct http_reply r;
    char path[100];
    snprintf(path, sizeof path, "/hermes/tools/%s", tool);
    ask(&r, "GET", path, NULL);
    bool is = strcmp(http_text(&r, "/auth"), auth) == 0;
    http_free(&r);
    return is;
}

/* ---- detection ---- */

static void those_of_the_configuration_are_bound(void **state)
{
    struct http_reply r;
    (void)state;
    eventually(20000, usable("echoes") && usable("long") && usable("midway") && usable("curious"));
    ask(&r, "GET", "/hermes/tools/echoes", NULL);
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/version"), "echoes 1.2.3");
    assert_true(str_ends(http_text(&r, "/path"), "/tools/echoes"));
    assert_int_equal(strlen(http_text(&r, "/sha256")), 64);
    assert_string_equal(http_text(&r, "/argv/1"), "{prompt}");
    assert_int_equal(http_int(&r, "/quota/limit"), 14);
    http_free(&r);
    eventually(20000, has_auth("nologin", "needs_login"));
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM tool WHERE name = 'claude'"),
                     0); /* nobody asked */
}

static void planning_writes_nothing(void **state)
{
    struct http_reply r;
    (void)state;
    sleep_ms(300); /* what still waits to be written */
    int64_t rows = system_count(&sys, "SELECT count(*) FROM tool");
    int64_t version = system_count(&sys, "SELECT version FROM model_registry");
    ask(&r, "POST", "/hermes/tools/detect", "{}");
    assert_status(&r, 200);
    assert_true(yyjson_is_false(yyjson_doc_ptr_get(r.json, "/applied")));
    assert_non_null(strstr(r.raw.body.data, "\"claude 1.2.3\""));
    assert_string_equal(http_text(&r, "/changed/0"), "claude");
    http_free(&r);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM tool"), rows);
    assert_int_equal(system_count(&sys, "SELECT version FROM model_registry"), version);
    assert_int_equal(system_count(&sys, "SELECT count(*) FROM tool WHERE name = 'claude'"), 0);
    assert_false(fs_exists(system_path(&sys, "user/.claude")));
}

static void a_person_allows_it(void **state)
{
    struct http_reply r;
    char reader[128];
    (void)state;
    chat(&r, "claude", "hi", "");
    assert_error(&r, 409, "tool_not_enabled");
    http_free(&r);
    ask(&r, "POST", "/hermes/tools/detect", "{\"apply\":true,\"name\":\"claude\"}");
    assert_status(&r, 200);
    http_free(&r);
    chat(&r, "claude", "hi", "");
    assert_error(&r, 409, "tool_not_enabled"); /* found is not allowed */
    http_free(&r);
    system_token(&sys, "acting", "read,chat,act", reader);
    struct http_at at = system_hermes(&sys);
    at.token = reader;
    eventually(8000, http_status(&at, "POST", "/hermes/tools/claude/enable", NULL) == 403);
    ask(&r, "POST", "/hermes/tools/claude/enable", NULL);
    assert_status(&r, 200);
    assert_true(yyjson_is_true(yyjson_doc_ptr_get(r.json, "/usable")));
    http_free(&r);
    ask(&r, "POST", "/hermes/tools/codex/enable", NULL);
    assert_error(&r, 409, "tool_not_found_here");
    http_free(&r);
    ask(&r, "POST", "/hermes/tools/echoes/disable", NULL);
    assert_error(&r, 409, "configured_otherwise");
    http_free(&r);
    ask(&r, "POST", "/hermes/tools/nothing/enable", NULL);
    assert_error(&r, 404, "tool_not_found");
    http_free(&r);
}

/* ---- answers ---- */

static void a_whole_answer(void **state)
{
    struct http_reply r;
    (void)state;
    chat(&r, "claude", "hello", "");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/choices/0/message/content"), "one two 5");
    assert_string_equal(http_text(&r, "/choices/0/finish_reason"), "stop");
    assert_int_equal(http_int(&r, "/usage/prompt_tokens"), 11);
    assert_int_equal(http_int(&r, "/usage/completion_tokens"), 3);
    http_free(&r);
    chat(&r, "echoes", "hello", "");
    assert_status(&r, 200);
    assert_null(yyjson_doc_ptr_get(r.json, "/usage")); /* it does not tell, so nobody pretends */
    http_free(&r);
}

static void a_streamed_answer(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    struct buf seen = BUF_INIT;
    (void)state;
    int fd = http_open(
        &at, "POST", chat_path("claude"),
        "{\"stream\":true,\"stream_options\":{\"include_usage\":true},\"messages\":[{\"role\":\"user\","
        "\"content\":\"hello\"}]}");
    assert_true(raw_wait_for(fd, "\"one \"", &seen));
    assert_null(strstr(seen.data, "two")); /* as it comes */
    assert_true(raw_wait_for(fd, "[DONE]", &seen));
    raw_close(fd);
    assert_non_null(strstr(seen.data, "\"prompt_tokens\":11"));
    assert_non_null(strstr(seen.data, "\"finish_reason\":\"stop\""));
    buf_free(&seen);
    chat(&r, "echoes", "x", ",\"stream\":true");
    assert_status(&r, 200);
    assert_true(sse_done(r.raw.body.data));
    http_free(&r);
}

static void prompts_stay_one_argument(void **state)
{
    static const char *const hostile[] = {
        "$(touch /tmp/vx11-pwned) `touch /tmp/vx11-pwned`",
        "'; touch /tmp/vx11-pwned; '",
        "\" && touch /tmp/vx11-pwned #",
        "--help\n-rf /",
        "{model_args} {prompt}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(hostile); i++) {
        struct http_reply r;
        char want[200];
        chat(&r, "echoes", hostile[i], ",\"model\":\"large\"");
        assert_status(&r, 200);
        snprintf(want, sizeof want, "<-p><%s><--model=large>", hostile[i]);
        assert_string_equal(http_text(&r, "/choices/0/message/content"), want);
        http_free(&r);
    }
    assert_int_equal(access("/tmp/vx11-pwned", F_OK), -1);
}

static void conversations_are_rendered(void **state)
{
    struct http_reply r;
    (void)state;
    ask(&r, "POST", chat_path("echoes"),
        "{\"messages\":[{\"role\":\"system\",\"content\":\"Be "
        "brief.\"},{\"role\":\"user\",\"content\":\"a\"},"
        "{\"role\":\"assistant\",\"content\":\"b\"},{\"role\":\"user\",\"content\":\"c\"}]}");
    assert_status(&r, 200);
    assert_string_equal(http_text(&r, "/choices/0/message/content"),
                        "<-p><Be brief.\n\nUser: a\n\nAssistant: b\n\nUser: c><--model=small>");
    http_free(&r);
}

static void surroundings_are_clean(void **state)
{
    struct http_reply r;
    (void)state;
    chat(&r, "curious", "x", "");
    assert_status(&r, 200);
    const char *said = http_text(&r, "/choices/0/message/content");
    assert_null(strstr(said, "hidden"));
    assert_non_null(strstr(said, "VX11_PASSED=shown"));
    assert_null(strstr(said, "VX11_HOME"));
    http_free(&r);
}

/* Through the front door: Switch has the tool from the registry. */
static bool answers_through_link(struct http_reply *r, const char *model)
{
    struct http_at at = system_link(&sys);
    char body[200];
    snprintf(body, sizeof body, "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}",
             model);
    http(r, &at, "POST", "/v1/chat/completions", body);
    if (r->status == 200)
        return true;
    http_free(r);
    return false;
}

static void switch_reaches_it(void **state)
{
    struct http_reply r;
    (void)state;
    eventually(20000, answers_through_link(&r, "echoes/large"));
    assert_string_equal(http_text(&r, "/choices/0/message/content"), "<-p><hello><--model=large>");
    http_free(&r);
}

/* ---- refusals and failures ---- */

static void failures_say_why(void **state)
{
    struct http_reply r;
    (void)state;
    chat(&r, "fails", "x", "");
    assert_error(&r, 502, "tool_failed");
    assert_non_null(strstr(r.raw.body.data, "status 3: it broke"));
    http_free(&r);
    chat(&r, "fails", "x", ",\"stream\":true");
    assert_error(&r, 502, "tool_failed"); /* nothing was sent yet, so it has a status */
    http_free(&r);
    chat(&r, "silent", "x", "");
    assert_error(&r, 502, "tool_failed");
    http_free(&r);
    chat(&r, "hangs", "x", "");
    assert_error(&r, 504, "tool_timeout");
    http_free(&r);
    chat(&r, "nologin", "x", "");
    assert_error(&r, 503, "needs_login");
    http_free(&r);
    chat(&r, "no-such-tool", "x", "");
    assert_error(&r, 404, "tool_not_found");
    http_free(&r);
    chat(&r, "echoes", "x", ",\"model\":\"huge\"");
    assert_error(&r, 404, "model_not_found");
    http_free(&r);
    chat(&r, "echoes", "x", ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]");
    assert_error(&r, 422, "unsupported");
    http_free(&r);
    eventually(5000, system_count(&sys, "SELECT count(*) FROM tool_run WHERE outcome = 'timeout'") == 1);
    assert_string_equal(
        system_row(&sys, "SELECT outcome, exit_code FROM tool_run WHERE name = 'fails' LIMIT 1"), "failed|3");
}

static void shells_and_wrong_templates_never_run(void **state)
{
    struct http_reply r;
    (void)state;
    chat(&r, "shell", "touch /tmp/vx11-pwned", "");
    assert_error(&r, 503, "tool_misconfigured");
    http_free(&r);
    chat(&r, "python", "print(1)", "");
    assert_error(&r, 503, "tool_misconfigured");
    http_free(&r);
    chat(&r, "twice", "x", "");
    assert_error(&r, 503, "tool_misconfigured");
    http_free(&r);
    assert_int_equal(access("/tmp/vx11-pwned", F_OK), -1);
}

static void a_stream_that_breaks_says_so(void **state)
{
    struct http_reply r;
    (void)state;
    chat(&r, "midway", "x", ",\"stream\":true");
    assert_status(&r, 200);
    assert_non_null(strstr(r.raw.body.data, "half an answer"));
    assert_string_equal(sse_error(r.raw.body.data), "tool_failed");
    assert_false(sse_done(r.raw.body.data));
    http_free(&r);
    chat(&r, "midway", "x", "");
    assert_error(&r, 502, "tool_failed"); /* half an answer is none */
    http_free(&r);
}

static void who_leaves_ends_it(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct buf seen = BUF_INIT;
    (void)state;
    eventually(5000, processes_with(NAP) == 0);
    int fd = http_open(&at, "POST", chat_path("long"),
                       "{\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}");
    assert_true(raw_wait_for(fd, "begun", &seen));
    eventually(5000, processes_with(NAP) == 2); /* and a grandchild */
    raw_close(fd);
    eventually(10000, processes_with(NAP) == 0);
    buf_free(&seen);
    eventually(5000, system_count(&sys, "SELECT count(*) FROM tool_run WHERE outcome = 'cancelled'") == 1);
}

static void only_so_many_at_a_time(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct http_reply r;
    (void)state;
    int fd =
        http_open(&at, "POST", chat_path("hangs"), "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    eventually(5000, processes_with(NAP) == 2);
    chat(&r, "hangs", "x", "");
    assert_error(&r, 429, "tool_busy");
    assert_non_null(http_header(&r, "Retry-After"));
    http_free(&r);
    http_read(fd, &r);
    assert_error(&r, 504, "tool_timeout");
    http_free(&r);
    raw_close(fd);
}

static void the_day_has_so_many_runs(void **state)
{
    struct http_reply r;
    (void)state;
    for (int i = 0; i < 20; i++) {
        chat(&r, "echoes", "x", "");
        if (r.status != 200)
            break;
        http_free(&r);
    }
    assert_error(&r, 429, "quota_exceeded");
    assert_non_null(http_header(&r, "Retry-After"));
    http_free(&r);
    assert_int_equal(system_count(&sys, "SELECT quota_used FROM tool WHERE name = 'echoes'"), 14);
    ask(&r, "GET", "/hermes/tools/echoes", NULL);
    assert_int_equal(http_int(&r, "/quota/used"), 14);
    http_free(&r);
}

static void an_updated_program_is_looked_at_again(void **state)
{
    struct http_reply r;
    (void)state;
    script("midway", "echo new; # longer than before");
    chat(&r, "midway", "x", "");
    assert_error(&r, 503, "tool_changed");
    http_free(&r);
    eventually(10000, (chat(&r, "midway", "x", ""), r.status) == 200 || (http_free(&r), false));
    assert_string_equal(http_text(&r, "/choices/0/message/content"), "new");
    http_free(&r);
}

static void a_trial_counts(void **state)
{
    struct http_reply r;
    (void)state;
    ask(&r, "POST", "/hermes/tools/midway/test", NULL);
    assert_status(&r, 200);
    assert_true(yyjson_is_true(yyjson_doc_ptr_get(r.json, "/ok")));
    assert_string_equal(http_text(&r, "/content"), "new");
    http_free(&r);
    ask(&r, "POST", "/hermes/tools/fails/test", NULL);
    assert_status(&r, 200);
    assert_true(yyjson_is_false(yyjson_doc_ptr_get(r.json, "/ok")));
    http_free(&r);
}

/* ---- the registry and providers ---- */

static void the_registry_has_one_version(void **state)
{
    struct http_reply r;
    char path[80];
    (void)state;
    ask(&r, "GET", "/hermes/registry", NULL);
    assert_status(&r, 200);
    int64_t version = http_int(&r, "/version");
    assert_true(yyjson_is_true(yyjson_doc_ptr_get(r.json, "/changed")));
    assert_true(yyjson_arr_size(yyjson_doc_ptr_get(r.json, "/models")) >= 1);
    assert_true(yyjson_arr_size(yyjson_doc_ptr_get(r.json, "/tools")) >= 5);
    http_free(&r);
    snprintf(path, sizeof path, "/hermes/registry?since=%lld", (long long)version);
    ask(&r, "GET", path, NULL);
    assert_true(yyjson_is_false(yyjson_doc_ptr_get(r.json, "/changed")));
    assert_true(r.raw.body.len < 200);
    http_free(&r);
    ask(&r, "POST", "/hermes/providers",
        "{\"name\":\"mine\",\"kind\":\"openai\",\"base_url\":\"http://127.0.0.1:9/"
        "v1\",\"key_env\":\"MY_KEY\",\"models\":[\"a\"]}");
    assert_status(&r, 201);
    http_free(&r);
    ask(&r, "GET", path, NULL);
    assert_true(yyjson_is_true(yyjson_doc_ptr_get(r.json, "/changed")));
    assert_string_equal(http_text(&r, "/providers/0/name"), "mine");
    assert_string_equal(http_text(&r, "/providers/0/key_env"), "MY_KEY");
    http_free(&r);
}

static void providers_come_and_go(void **state)
{
    struct http_reply r;
    (void)state;
    ask(&r, "POST", "/hermes/providers",
        "{\"name\":\"mine\",\"kind\":\"openai\",\"base_url\":\"http://127.0.0.1:9/v1\"}");
    assert_error(&r, 409, "provider_exists");
    http_free(&r);
    ask(&r, "POST", "/hermes/providers", "{\"name\":\"local2\",\"kind\":\"local\"}");
    assert_error(&r, 422, "invalid_kind");
    http_free(&r);
    ask(&r, "POST", "/hermes/providers", "{\"name\":\"nowhere\",\"kind\":\"openai\"}");
    assert_error(&r, 422, "invalid_provider");
    http_free(&r);
    ask(&r, "PUT", "/hermes/providers/mine",
        "{\"name\":\"mine\",\"kind\":\"openai\",\"base_url\":\"http://127.0.0.1:10/v1\"}");
    assert_status(&r, 200);
    http_free(&r);
    ask(&r, "PUT", "/hermes/providers/other",
        "{\"name\":\"other\",\"kind\":\"openai\",\"base_url\":\"http://127.0.0.1:10/v1\"}");
    assert_error(&r, 404, "provider_not_found");
    http_free(&r);
    ask(&r, "DELETE", "/hermes/providers/mine", NULL);
    assert_status(&r, 204);
    http_free(&r);
    ask(&r, "DELETE", "/hermes/providers/mine", NULL);
    assert_error(&r, 404, "provider_not_found");
    http_free(&r);
}

static void stops_clean(void **state)
{
    struct http_at at = system_hermes(&sys);
    struct buf seen = BUF_INIT;
    (void)state;
    int fd = http_open(&at, "POST", chat_path("long"),
                       "{\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}");
    assert_true(raw_wait_for(fd, "begun", &seen));
    buf_free(&seen);
    system_stop(&sys);
    raw_close(fd);
    eventually(5000, processes_with(NAP) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_of_the_configuration_are_bound),
        cmocka_unit_test(planning_writes_nothing),
        cmocka_unit_test(a_person_allows_it),
        cmocka_unit_test(a_whole_answer),
        cmocka_unit_test(a_streamed_answer),
        cmocka_unit_test(prompts_stay_one_argument),
        cmocka_unit_test(conversations_are_rendered),
        cmocka_unit_test(surroundings_are_clean),
        cmocka_unit_test(switch_reaches_it),
        cmocka_unit_test(failures_say_why),
        cmocka_unit_test(shells_and_wrong_templates_never_run),
        cmocka_unit_test(a_stream_that_breaks_says_so),
        cmocka_unit_test(who_leaves_ends_it),
        cmocka_unit_test(only_so_many_at_a_time),
        cmocka_unit_test(the_day_has_so_many_runs),
        cmocka_unit_test(an_updated_program_is_looked_at_again),
        cmocka_unit_test(a_trial_counts),
        cmocka_unit_test(the_registry_has_one_version),
        cmocka_unit_test(providers_come_and_go),
        cmocka_unit_test(stops_clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
