/* Bindings, quotas and detection, without a server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "contract/config.h"
#include "fixture.h"
#include "hermes/tools/tools_internal.h"

#define DAY INT64_C(86400000)

struct set {
    struct tools *tools;
    struct writer *writer;
    struct config *config;
    bool done;
    struct error error;
    char changed[200];
    size_t count;
};

static void put_script(struct fixture *f, const char *name, const char *text)
{
    char body[500];
    int n = snprintf(body, sizeof body, "#!/bin/sh\n%s\n", text);
    const char *path = fixture_file(f, name, body, (size_t)n);
    assert_int_equal(chmod(path, 0700), 0);
}

static void open_set(struct fixture *f, struct set *s, const char *tools)
{
    char yaml[2000];
    struct error err = {0};
    int n = snprintf(yaml, sizeof yaml, "hermes:\n  tool_dirs: [%s]\n  tool_sandbox: \"off\"\n  tools:\n%s",
                     fixture_path(f, "tools"), tools);
    const char *path = fixture_file(f, "vx11.yaml", yaml, (size_t)n);
    *s = (struct set){0};
    if (config_load(path, &s->config, &err) != 0)
        fail_msg("%s", err.text);
    const struct writer_options w = {.path = fixture_path(f, "vx11.db")};
    if (writer_start(&w, &s->writer, &err) != 0)
        fail_msg("%s", err.text);
    setenv("HOME", fixture_path(f, "user"), 1);
    const struct tools_options o = {
        .loop = &f->loop, .store = f->store, .writer = s->writer, .home = f->home, .config = s->config};
    assert_int_equal(tools_create(&o, &s->tools, &err), 0);
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static void close_set(struct fixture *f, struct set *s)
{
    bool closed = false;
    tools_close(s->tools, on_closed, &closed);
    if (!closed)
        fixture_run(f, &closed, 5000);
    assert_int_equal(writer_stop(s->writer, 5000), 0);
    config_free(s->config);
}

static void on_found(void *ctx, const struct detected *found, const struct error *err)
{
    struct set *s = ctx;
    s->done = true;
    s->changed[0] = '\0';
    if (!found) {
        s->error = *err;
        return;
    }
    s->count = found->count;
    for (size_t i = 0; i < found->changed_count; i++) {
        size_t n = strlen(s->changed);
        snprintf(s->changed + n, sizeof s->changed - n, "%s ", found->changed[i]);
    }
}

static void detect(struct fixture *f, struct set *s, const char *name, bool apply)
{
    struct error err = {0};
    s->done = false;
    s->error = err;
    assert_int_equal(tools_detect(s->tools, name, apply, on_found, s, &err), 0);
    assert_false(s->done);
    fixture_run(f, &s->done, 20000);
}

static void a_day_is_utc(void **state)
{
    (void)state;
    assert_int_equal(day_of(20000 * DAY), 20000);
    assert_int_equal(day_of(20001 * DAY - 1), 20000);
    assert_int_equal(day_of(20001 * DAY), 20001);
}

static void the_quota_ends_with_the_day(void **state)
{
    struct fixture *f = *state;
    struct set s;
    struct error err = {0};
    put_script(f, "tools/one", "echo one 1.0");
    open_set(f, &s, "    - {name: one, command: one, prompt: stdin, quota_daily: 2}\n");
    detect(f, &s, "one", true);
    struct tool *tool = tools_find(s.tools, "one");
    const int64_t midnight = 20001 * DAY;
    assert_int_equal(quota_take(tool, midnight - 2, &err), 0);
    assert_int_equal(quota_take(tool, midnight - 1, &err), 0);
    assert_int_equal(quota_take(tool, midnight - 1, &err), VX11_EFULL);
    quota_give_back(tool, midnight - 1);
    assert_int_equal(quota_take(tool, midnight - 1, &err), 0);
    assert_int_equal(quota_take(tool, midnight - 1, &err), VX11_EFULL);
    assert_int_equal(quota_take(tool, midnight, &err), 0); /* exactly the next day */
    assert_int_equal(tool->binding.quota_used, 1);
    quota_give_back(tool, midnight + DAY); /* of another day: this one's count stays */
    assert_int_equal(quota_take(tool, midnight, &err), 0);
    assert_int_equal(quota_take(tool, midnight, &err), VX11_EFULL);
    /* As it was, after a restart. */
    assert_int_equal(binding_load(tool, &err), 0);
    assert_int_equal(tool->binding.quota_used, 2);
    assert_int_equal(tool->binding.quota_day, 20001);
    close_set(f, &s);
}

static void detection_can_be_repeated(void **state)
{
    struct fixture *f = *state;
    struct set s;
    struct hermes_tool shown;
    put_script(f, "tools/one", "echo one 1.0");
    put_script(f, "tools/out", "[ \"$1\" = status ] && exit 1; echo 2.0");
    put_script(f, "tools/claude", "echo 9.9");
    open_set(f, &s,
             "    - {name: one, command: one, prompt: stdin}\n"
             "    - {name: out, command: out, prompt: stdin, auth_args: [status]}\n"
             "    - {name: none, command: not-there, prompt: stdin}\n"
             "    - {name: shell, command: sh, prompt: stdin}\n");
    detect(f, &s, NULL, false);
    assert_string_equal(s.changed, "claude one out ");
    assert_null(tools_find(s.tools, "one")->binding.path); /* a plan */
    detect(f, &s, NULL, true);
    assert_string_equal(s.changed, "claude one out ");
    assert_non_null(tools_find(s.tools, "one")->binding.path);
    assert_false(tools_find(s.tools, "none")->binding.row);
    assert_int_equal(tools_find(s.tools, "out")->binding.auth, HERMES_TOOL_AUTH_NEEDS_LOGIN);
    detect(f, &s, NULL, true);
    assert_string_equal(s.changed, "");
    /* A login, and an update. */
    put_script(f, "tools/out", "echo 2.1");
    assert_false(binding_holds(&tools_find(s.tools, "out")->binding));
    detect(f, &s, "out", true);
    assert_string_equal(s.changed, "out ");
    assert_int_equal(s.count, 1);
    assert_int_equal(tool_describe(tools_find(s.tools, "out"), f->arena, &shown), 0);
    assert_string_equal(shown.version, "2.1");
    assert_int_equal(shown.auth, HERMES_TOOL_AUTH_OK);
    assert_false(shown.usable);
    assert_string_equal(shown.reason, "it is not enabled");
    assert_int_equal(unlink(fixture_path(f, "tools/out")), 0);
    detect(f, &s, "out", true);
    assert_null(tools_find(s.tools, "out")->binding.path);
    close_set(f, &s);
}

static void programs_that_others_may_write_are_not_taken(void **state)
{
    struct fixture *f = *state;
    struct set s;
    struct hermes_tool shown;
    put_script(f, "tools/opened", "echo 1");
    assert_int_equal(chmod(fixture_path(f, "tools/opened"), 0777), 0);
    assert_int_equal(symlink("/bin/sh", fixture_path(f, "tools/harmless")), 0);
    open_set(f, &s,
             "    - {name: opened, command: opened, prompt: stdin, enabled: true}\n"
             "    - {name: harmless, command: harmless, prompt: stdin, enabled: true}\n");
    detect(f, &s, NULL, true);
    assert_int_equal(tool_describe(tools_find(s.tools, "opened"), f->arena, &shown), 0);
    assert_false(shown.usable);
    assert_null(shown.path);
    assert_null(tools_find(s.tools, "harmless")->binding.path);
    close_set(f, &s);
}

static void logins_are_seen(void **state)
{
    struct fixture *f = *state;
    struct set s;
    put_script(f, "tools/claude", "echo 1");
    unsetenv("ANTHROPIC_API_KEY");
    open_set(f, &s, "    []\n");
    detect(f, &s, "claude", true);
    assert_int_equal(tools_find(s.tools, "claude")->binding.auth, HERMES_TOOL_AUTH_UNKNOWN);
    (void)fixture_file(f, "user/.claude/.credentials.json", "{}", 2);
    detect(f, &s, "claude", true);
    assert_int_equal(tools_find(s.tools, "claude")->binding.auth, HERMES_TOOL_AUTH_OK);
    close_set(f, &s);
}

static void a_slow_tool_does_not_hold_up_the_end(void **state)
{
    struct fixture *f = *state;
    struct set s;
    struct error err = {0};
    put_script(f, "tools/slow", "exec sleep 30");
    open_set(f, &s, "    - {name: slow, command: slow, prompt: stdin}\n");
    assert_int_equal(tools_detect(s.tools, "slow", true, on_found, &s, &err), 0);
    fixture_run_ms(f, 300);
    assert_false(s.done);
    close_set(f, &s);
    assert_true(s.done);
    assert_int_equal(s.error.code, VX11_ECANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_day_is_utc),
        cmocka_unit_test_setup_teardown(the_quota_ends_with_the_day, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(detection_can_be_repeated, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(programs_that_others_may_write_are_not_taken, fixture_open,
                                        fixture_close),
        cmocka_unit_test_setup_teardown(logins_are_seen, fixture_open, fixture_close),
        cmocka_unit_test_setup_teardown(a_slow_tool_does_not_hold_up_the_end, fixture_open, fixture_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
