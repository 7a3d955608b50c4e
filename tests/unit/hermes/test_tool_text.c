/* What goes into a tool and what comes out: arguments, conversations, outputs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/str.h"
#include "hermes/tools/output.h"
#include "hermes/tools/prompt.h"
#include "hermes/tools/arguments.h"

/* ---- arguments ---- */

static const char *const arg_args[] = {"-s", "{model_args}", "-p", "{prompt}", NULL};
static const char *const model_args[] = {"--model", "{model}", NULL};
static const struct tool_def by_argument = {.name = "one", .args = arg_args, .model_args = model_args};

static void hostile_prompts_stay_one_argument(void **state)
{
    static const char *const prompts[] = {
        "it's \"quoted\" and `ticked`",
        "$(rm -rf /) ${HOME} $HOME",
        "two\nlines\r\n\tand a tab",
        "--help",
        "-",
        "; rm -rf / | cat & echo > x",
        "{prompt} {model} {model_args}",
        "%s %n %d",
        "\\ \\\\ \\\"",
        "\xf0\x9f\x98\x80 \x7f\x01",
        "",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(prompts); i++) {
        struct arena *a = arena_create(0);
        struct error err = {0};
        const char **argv;
        assert_int_equal(tool_args_fill(&by_argument, "/bin/x", NULL, prompts[i], strlen(prompts[i]), "m-1",
                                        a, &argv, &err),
                         0);
        assert_string_equal(argv[0], "/bin/x");
        assert_string_equal(argv[1], "-s");
        assert_string_equal(argv[2], "--model");
        assert_string_equal(argv[3], "m-1");
        assert_string_equal(argv[4], "-p");
        assert_string_equal(argv[5], prompts[i]);
        assert_null(argv[6]);
        arena_destroy(a);
    }
}

static void a_placeholder_may_be_part_of_an_argument(void **state)
{
    static const char *const args[] = {"--prompt={prompt}", NULL};
    static const struct tool_def def = {.name = "x", .args = args};
    struct arena *a = arena_create(0);
    struct error err = {0};
    const char **argv;
    (void)state;
    assert_int_equal(tool_args_check(&def, &err), 0);
    assert_int_equal(tool_args_fill(&def, "/bin/x", NULL, "--flag", 6, NULL, a, &argv, &err), 0);
    assert_string_equal(argv[1], "--prompt=--flag");
    assert_null(argv[2]);
    arena_destroy(a);
}

static void without_a_model_its_arguments_vanish(void **state)
{
    struct arena *a = arena_create(0);
    struct error err = {0};
    const char **argv;
    static const char *const prefix[] = {"copilot", "--", NULL};
    (void)state;
    assert_int_equal(tool_args_fill(&by_argument, "/bin/gh", prefix, "hi", 2, "", a, &argv, &err), 0);
    assert_string_equal(argv[1], "copilot");
    assert_string_equal(argv[2], "--");
    assert_string_equal(argv[3], "-s");
    assert_string_equal(argv[4], "-p");
    assert_string_equal(argv[5], "hi");
    assert_null(argv[6]);
    arena_destroy(a);
}

static void what_cannot_be_is_refused(void **state)
{
    struct arena *a = arena_create(0);
    struct error err = {0};
    const char **argv;
    (void)state;
    char *big = malloc(200000);
    memset(big, 'x', 200000);
    assert_int_equal(tool_args_fill(&by_argument, "/bin/x", NULL, big, 131071, "", a, &argv, &err),
                     VX11_ETOO_LARGE);
    assert_int_equal(tool_args_fill(&by_argument, "/bin/x", NULL, big, 131070, "", a, &argv, &err), 0);
    assert_int_equal(tool_args_fill(&by_argument, "/bin/x", NULL, "a\0b", 3, "", a, &argv, &err),
                     VX11_EINVALID);
    assert_int_equal(tool_args_fill(&by_argument, "/bin/x", NULL, "hi", 2, "--evil", a, &argv, &err),
                     VX11_EINVALID);
    assert_int_equal(tool_args_fill(&by_argument, "/bin/x", NULL, "hi", 2, "a b", a, &argv, &err),
                     VX11_EINVALID);
    assert_int_equal(tool_args_fill(&by_argument, "/bin/x", NULL, "hi", 2, "$(id)", a, &argv, &err),
                     VX11_EINVALID);
    assert_int_equal(tool_args_fill(tool_known("ollama"), "/bin/x", NULL, "hi", 2, "", a, &argv, &err),
                     VX11_EINVALID);
    assert_int_equal(
        tool_args_fill(tool_known("ollama"), "/bin/x", NULL, big, 200000, "m:7b", a, &argv, &err), 0);
    assert_string_equal(argv[2], "m:7b");
    free(big);
    arena_destroy(a);
}

static void templates_have_exactly_one_placeholder(void **state)
{
    static const char *const none[] = {"-p", NULL}, *const twice[] = {"{prompt}", "{prompt}", NULL},
                             *const both[] = {"{prompt} {prompt}", NULL}, *const fine[] = {"{prompt}", NULL};
    struct error err = {0};
    (void)state;
    assert_int_equal(tool_args_check(&(struct tool_def){.name = "x", .args = none}, &err), VX11_EINVALID);
    assert_int_equal(tool_args_check(&(struct tool_def){.name = "x", .args = twice}, &err), VX11_EINVALID);
    assert_int_equal(tool_args_check(&(struct tool_def){.name = "x", .args = both}, &err), VX11_EINVALID);
    assert_int_equal(tool_args_check(&(struct tool_def){.name = "x", .args = fine}, &err), 0);
    assert_int_equal(
        tool_args_check(&(struct tool_def){.name = "x", .args = none, .prompt_by_stdin = true}, &err), 0);
    assert_int_equal(
        tool_args_check(&(struct tool_def){.name = "x", .args = fine, .prompt_by_stdin = true}, &err),
        VX11_EINVALID);
    for (size_t i = 0; i < tools_known_count; i++) {
        if (tool_args_check(&tools_known[i], &err) != 0)
            fail_msg("%s: %s", tools_known[i].name, err.text);
        assert_non_null(tools_known[i].binaries);
        assert_non_null(tools_known[i].version_args);
        assert_true(tools_known[i].output == TOOL_OUTPUT_TEXT || tools_known[i].rules);
    }
}

/* ---- conversations ---- */

static char *rendered(const char *json, int want)
{
    struct arena *a = arena_create(0);
    struct openai_chat_request q;
    struct contract_error bad;
    struct error err = {0};
    struct buf out = BUF_INIT;
    char body[2000];
    int n = snprintf(body, sizeof body, "{\"messages\":%s}", json);
    assert_int_equal(openai_chat_request_parse(a, body, (size_t)n, &q, &bad), 0);
    int rc = prompt_render(q.messages, q.messages_count, &out, &err);
    if (rc != want)
        fail_msg("%d: %s", rc, err.text);
    static char text[2000];
    snprintf(text, sizeof text, "%s", out.data ? out.data : "");
    buf_free(&out);
    arena_destroy(a);
    return text;
}

static void conversations_become_one_text(void **state)
{
    (void)state;
    assert_string_equal(rendered("[{\"role\":\"user\",\"content\":\"hello\"}]", 0), "hello");
    assert_string_equal(rendered("[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{"
                                 "\"type\":\"text\",\"text\":\"b\"}]}]",
                                 0),
                        "ab");
    assert_string_equal(
        rendered("[{\"role\":\"user\",\"content\":\"one\"},{\"role\":\"system\",\"content\":\"Be brief.\"},"
                 "{\"role\":\"assistant\",\"content\":\"two\"},{\"role\":\"assistant\",\"content\":null},"
                 "{\"role\":\"user\",\"content\":\"three\"}]",
                 0),
        "Be brief.\n\nUser: one\n\nAssistant: two\n\nUser: three");
    rendered("[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]",
             VX11_EUNSUPPORTED);
    rendered("[{\"role\":\"user\",\"content\":\"\"}]", VX11_EINVALID);
    rendered("[{\"role\":\"user\",\"content\":7}]", VX11_EINVALID);
}

/* ---- outputs ---- */

static struct buf told;

static void on_text(void *ctx, const char *text, size_t len)
{
    (void)ctx;
    assert_true(utf8_valid(text, len));
    assert_int_equal(buf_append(&told, text, len), 0);
}

/* Read in pieces of every size: the same each time. */
static void reads(const struct tool_def *def, const char *output, const char *want, const char *error,
                  int64_t prompt, int64_t completion)
{
    const size_t len = strlen(output);
    for (size_t piece = 1; piece <= len + 1; piece = piece < 8 ? piece + 1 : piece * 3) {
        struct output_reader r;
        buf_clear(&told);
        buf_puts(&told, "");
        output_begin(&r, def, on_text, NULL);
        for (size_t at = 0; at < len; at += piece)
            assert_int_equal(output_feed(&r, output + at, len - at < piece ? len - at : piece), 0);
        assert_int_equal(output_end(&r), 0);
        assert_string_equal(told.data, want);
        assert_string_equal(r.error, error);
        assert_int_equal(r.prompt_tokens, prompt);
        assert_int_equal(r.completion_tokens, completion);
        output_free(&r);
    }
}

static void text_is_passed_on_clean(void **state)
{
    static const struct tool_def def = {.name = "t", .output = TOOL_OUTPUT_TEXT};
    (void)state;
    reads(&def, "hello\nworld\n\n", "hello\nworld", "", -1, -1);
    reads(&def, "\n  \nlate start ", "late start", "", -1, -1);
    reads(&def, "\x1b[1;32mgreen\x1b[0m \x1b]0;title\x07plain\x1b]8;;x\x1b\\.\r\n", "green plain.", "", -1,
          -1);
    reads(&def, "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "",
          -1, -1);
    reads(&def, "", "", "", -1, -1);
}

static void bytes_that_are_no_text_are_replaced(void **state)
{
    static const struct tool_def def = {.name = "t", .output = TOOL_OUTPUT_TEXT};
    struct output_reader r;
    (void)state;
    buf_clear(&told);
    output_begin(&r, &def, on_text, NULL);
    assert_int_equal(output_feed(&r,
                                 "a\xff\xfe"
                                 "b\0c\xc3",
                                 7),
                     0);
    assert_int_equal(output_end(&r), 0);
    assert_string_equal(told.data, "a\xef\xbf\xbd\xef\xbf\xbd"
                                   "bc\xef\xbf\xbd");
    output_free(&r);
}

static void claude_is_read(void **state)
{
    const struct tool_def *def = tool_known("claude");
    (void)state;
    reads(def,
          "{\"type\":\"system\",\"subtype\":\"init\",\"model\":\"m\"}\n"
          "a warning that is no JSON\n"
          "{\"type\":\"stream_event\",\"event\":{\"type\":\"message_start\"}}\n"
          "{\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_delta\",\"delta\":{\"type\":"
          "\"thinking_delta\",\"thinking\":\"hm\"}}}\n"
          "{\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_"
          "delta\",\"text\":\"Hel\"}}}\n"
          "{\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_"
          "delta\",\"text\":\"lo \\u20ac\"}}}\n"
          "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"Hello "
          "\\u20ac\"}]}}\n"
          "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"Hello "
          "\\u20ac\",\"usage\":{\"input_tokens\":3,"
          "\"cache_read_input_tokens\":40,\"cache_creation_input_tokens\":2,\"output_tokens\":7}}",
          "Hello \xe2\x82\xac", "", 45, 7);
    reads(def, "{\"type\":\"result\",\"is_error\":false,\"result\":\"whole\"}\n", "whole", "", -1, -1);
    reads(def, "{\"type\":\"result\",\"is_error\":true,\"result\":\"Invalid API key\"}\n", "",
          "Invalid API key", -1, -1);
}

static void codex_is_read(void **state)
{
    (void)state;
    reads(tool_known("codex"),
          "{\"type\":\"thread.started\",\"thread_id\":\"x\"}\n{\"type\":\"turn.started\"}\n"
          "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_0\",\"type\":\"reasoning\",\"text\":"
          "\"thinking\"}}\n"
          "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_1\",\"type\":\"agent_message\",\"text\":"
          "\"First.\"}}\n"
          "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_2\",\"type\":\"agent_message\",\"text\":"
          "\"Second.\"}}\n"
          "{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":24,\"cached_input_tokens\":4,\"output_"
          "tokens\":12}}\n",
          "First.\n\nSecond.", "", 24, 12);
    reads(tool_known("codex"), "{\"type\":\"turn.failed\",\"error\":{\"message\":\"no credit\"}}\n", "",
          "no credit", -1, -1);
}

static void gemini_is_read(void **state)
{
    (void)state;
    reads(tool_known("gemini"),
          "{\"type\":\"init\",\"session_id\":\"s\",\"model\":\"g\"}\n{\"type\":\"message\",\"role\":\"user\","
          "\"content\":\"hi\"}\n"
          "{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"Good \",\"delta\":true}\n"
          "{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"day\",\"delta\":true}\n"
          "{\"type\":\"result\",\"status\":\"success\",\"stats\":{\"total_tokens\":9,\"input_tokens\":5,"
          "\"output_tokens\":4}}\n",
          "Good day", "", 5, 4);
}

static void one_object_is_read(void **state)
{
    static const struct tool_rule rules[] = {{.field = TOOL_FIELD_TEXT, .path = "/response"},
                                             {.field = TOOL_FIELD_ERROR, .path = "/error/message"},
                                             {.field = TOOL_FIELD_COMPLETION_TOKENS, .path = "/n"},
                                             {.field = TOOL_FIELD_END}};
    static const struct tool_def def = {.name = "j", .output = TOOL_OUTPUT_JSON, .rules = rules};
    (void)state;
    reads(&def, "{\n \"response\": \"multi\\nline\",\n \"n\": 3 }\n", "multi\nline", "", -1, 3);
    reads(&def, "{\"error\":{\"message\":\"bad\"}}", "", "bad", -1, -1);
    reads(&def, "not json at all", "", "", -1, -1);
    reads(&def, "{\"response\":7,\"n\":-5}", "", "", -1, -1);
    reads(&def, "{\"response\":\"x\",\"n\":1e99}", "x", "", -1, -1);
}

static void long_lines_are_passed_over(void **state)
{
    static const struct tool_rule rules[] = {{.field = TOOL_FIELD_DELTA, .path = "/t"},
                                             {.field = TOOL_FIELD_END}};
    static const struct tool_def def = {.name = "j", .output = TOOL_OUTPUT_JSONL, .rules = rules};
    struct output_reader r;
    (void)state;
    char *big = malloc(OUTPUT_LINE_MAX + 100);
    memset(big, 'x', OUTPUT_LINE_MAX + 99);
    big[OUTPUT_LINE_MAX + 99] = '\n';
    buf_clear(&told);
    output_begin(&r, &def, on_text, NULL);
    assert_int_equal(output_feed(&r, "{\"t\":\"a\"}\n", 10), 0);
    assert_int_equal(output_feed(&r, big, OUTPUT_LINE_MAX + 100), 0);
    assert_int_equal(output_feed(&r, "{\"t\":\"b\"}\n", 10), 0);
    assert_int_equal(output_end(&r), 0);
    assert_string_equal(told.data, "ab");
    assert_int_equal(r.lines_passed_over, 1);
    output_free(&r);
    free(big);
}

static int done(void **state)
{
    (void)state;
    buf_free(&told);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_prompts_stay_one_argument),
        cmocka_unit_test(a_placeholder_may_be_part_of_an_argument),
        cmocka_unit_test(without_a_model_its_arguments_vanish),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(templates_have_exactly_one_placeholder),
        cmocka_unit_test(conversations_become_one_text),
        cmocka_unit_test(text_is_passed_on_clean),
        cmocka_unit_test(bytes_that_are_no_text_are_replaced),
        cmocka_unit_test(claude_is_read),
        cmocka_unit_test(codex_is_read),
        cmocka_unit_test(gemini_is_read),
        cmocka_unit_test(one_object_is_read),
        cmocka_unit_test(long_lines_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}
