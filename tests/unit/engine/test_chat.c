/* Chat formats: templates, tools, what answers mean. No model is needed. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "engine/chat_format.h"
#include "engine/gbnf_join.h"

#define WEATHER                                                                                              \
    "{\"type\":\"function\",\"function\":{\"name\":\"weather\",\"description\":\"Tells the weather.\","      \
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},"                   \
    "\"required\":[\"city\"]}}}"
#define CLOCK "{\"type\":\"function\",\"function\":{\"name\":\"clock\"}}"
#define TOOLS "[" WEATHER "," CLOCK "]"

static struct chat_format *format_of(const char *name)
{
    char path[512];
    struct buf text = BUF_INIT;
    struct error err = {0};
    struct chat_format *f = NULL;
    (void)snprintf(path, sizeof path, "%s/tests/data/templates/%s.jinja", getenv("VX11_SRC"), name);
    assert_int_equal(fs_read_file(path, 1 << 20, &text, &err), 0);
    const struct chat_source source = {.text = text.data, .bos = "<s>", .eos = "</s>"};
    if (chat_format_create(&source, &f, &err) != 0)
        fail_msg("%s: %s", name, err.text);
    buf_free(&text);
    return f;
}

static struct chat_prompt *apply(const struct chat_format *f, const struct chat_input *in)
{
    struct chat_prompt *p = NULL;
    struct error err = {0};
    if (chat_format_apply(f, in, &p, &err) != 0)
        fail_msg("%s", err.text);
    return p;
}

/* ---- answers, spelled out ---- */

struct seen {
    struct buf reasoning, content, calls; /* calls: "NAME(ID)ARGUMENTS" of each, a piece after the other */
    long last;
    unsigned deltas;
};

static int on_delta(void *ctx, const struct chat_delta *d)
{
    struct seen *s = ctx;
    s->deltas++;
    if (d->reasoning)
        (void)buf_puts(&s->reasoning, d->reasoning);
    if (d->content)
        (void)buf_puts(&s->content, d->content);
    if (d->call >= 0) {
        assert_true(d->call == s->last || d->call == s->last + 1);
        if (d->call != s->last) {
            assert_non_null(d->call_name);
            (void)buf_printf(&s->calls, "%s%s(%s)", s->last >= 0 ? " " : "", d->call_name, d->call_id);
            assert_string_equal(d->arguments, "");
        }
        s->last = d->call;
        (void)buf_puts(&s->calls, d->arguments ? d->arguments : "");
    }
    return 0;
}

static void seen_free(struct seen *s)
{
    buf_free(&s->reasoning);
    buf_free(&s->content);
    buf_free(&s->calls);
}

/* Reads an answer in pieces of `step` bytes and compares what it says. NULL: "". */
static void reads_in(const struct chat_prompt *p, const char *answer, size_t step, bool whole,
                     const char *reasoning, const char *content, const char *calls)
{
    struct seen s = {.last = -1};
    struct error err = {0};
    struct chat_parser *parser = chat_parser_create(p);
    const size_t len = strlen(answer);
    assert_non_null(parser);
    for (size_t at = 0; at < len; at += step)
        assert_int_equal(chat_parser_feed(parser, answer + at, at + step < len ? step : len - at, false,
                                          false, on_delta, &s, &err),
                         0);
    assert_int_equal(chat_parser_feed(parser, NULL, 0, true, whole, on_delta, &s, &err), 0);
    assert_string_equal(s.reasoning.data ? s.reasoning.data : "", reasoning ? reasoning : "");
    assert_string_equal(s.content.data ? s.content.data : "", content ? content : "");
    assert_string_equal(s.calls.data ? s.calls.data : "", calls ? calls : "");
    chat_parser_destroy(parser);
    seen_free(&s);
}

static void reads(const struct chat_prompt *p, const char *answer, const char *reasoning, const char *content,
                  const char *calls)
{
    reads_in(p, answer, 1, true, reasoning, content, calls);
    reads_in(p, answer, 7, true, reasoning, content, calls);
    reads_in(p, answer, 1 << 20, true, reasoning, content, calls);
}

/* ---- templates ---- */

static const struct chat_message ask[] = {{.role = "system", .content = "Be brief."},
                                          {.role = "user", .content = "Weather?"}};
static const struct chat_call oslo = {"call_123456789", "weather", "{\"city\":\"Oslo\"}"};
static const struct chat_message asked[] = {
    {.role = "system", .content = "Be brief."},
    {.role = "user", .content = "Weather?"},
    {.role = "assistant", .content = "", .calls = &oslo, .call_count = 1},
    {.role = "tool", .content = "sunny", .name = "weather", .call_id = "call_123456789"}};

static void test_plain(void **state)
{
    (void)state;
    struct chat_format *f = format_of("qwen2.5");
    const struct chat_input in = {.messages = ask, .message_count = 2, .thinking = true};
    struct chat_prompt *p = apply(f, &in);
    assert_true(p->plain);
    assert_null(p->grammar);
    assert_null(p->rules);
    assert_string_equal(p->text,
                        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWeather?<|im_end|>\n"
                        "<|im_start|>assistant\n");
    chat_prompt_free(p);
    chat_format_destroy(f);
}

static void test_tools(void **state)
{
    (void)state;
    struct chat_format *f = format_of("qwen2.5");
    assert_true(chat_format_abilities(f).tools);
    struct chat_input in = {
        .messages = asked, .message_count = 4, .thinking = true, .parallel = true, .tools = TOOLS};
    struct chat_prompt *p = apply(f, &in);
    assert_non_null(strstr(p->text, "Tells the weather."));
    assert_non_null(strstr(p->text, "{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}"));
    assert_non_null(strstr(p->text, "<tool_response>\nsunny\n</tool_response>"));
    assert_true(p->grammar && p->grammar_lazy);
    assert_int_equal(p->word_count, 1);
    assert_string_equal(p->words[0], "<tool_call>\n");
    reads(p, "Just text.", NULL, "Just text.", NULL);
    reads(p, "Look:\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>",
          NULL, "Look:\n", "weather(){\"city\": \"Oslo\"}");
    reads(p,
          "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>\n"
          "<tool_call>\n{\"name\": \"clock\", \"arguments\": {}}\n</tool_call>",
          NULL, NULL, "weather(){\"city\": \"Oslo\"} clock(){}");
    reads_in(p, "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Os", 1, false, NULL, NULL,
             "weather(){\"city\": \"Os");
    reads(p, "I see <tool_call> broken", NULL, "I see <tool_call> broken", NULL);
    chat_prompt_free(p);

    in.tool_choice = CHAT_TOOLS_REQUIRED;
    p = apply(f, &in);
    assert_true(p->grammar && !p->grammar_lazy);
    chat_prompt_free(p);
    in.tool_choice = CHAT_TOOLS_NONE;
    p = apply(f, &in);
    assert_null(p->grammar);
    chat_prompt_free(p);
    chat_format_destroy(f);
}

static void test_chosen_tool(void **state)
{
    (void)state;
    struct chat_format *f = format_of("qwen2.5");
    const struct chat_input in = {.messages = ask,
                                  .message_count = 2,
                                  .tool_choice = CHAT_TOOLS_REQUIRED,
                                  .tools = TOOLS,
                                  .tools_exact = "[" CLOCK "]"};
    struct chat_prompt *p = apply(f, &in);
    assert_non_null(strstr(p->text, "Tells the weather."));
    assert_non_null(strstr(p->grammar, "clock"));
    assert_null(strstr(p->grammar, "weather"));
    chat_prompt_free(p);
    chat_format_destroy(f);
}

/* Calls without a mark before them get a grammar that begins with their first key. */
static void test_bare_calls(void **state)
{
    (void)state;
    struct chat_format *f = format_of("bare");
    const struct chat_input in = {.messages = asked, .message_count = 4, .parallel = true, .tools = TOOLS};
    struct chat_prompt *p = apply(f, &in);
    assert_true(p->grammar && p->grammar_lazy);
    assert_int_equal(p->pattern_count, 1);
    assert_non_null(strstr(p->grammar, "city")); /* the schema, not any JSON */
    reads(p, "{\"name\": \"weather\", \"parameters\": {\"city\": \"Oslo\"}}", NULL, NULL,
          "weather(){\"city\": \"Oslo\"}");
    reads(p, "A set is {1, 2}.", NULL, "A set is {1, 2}.", NULL);
    reads(p, "{\"a\": 1}", NULL, "{\"a\": 1}", NULL);
    chat_prompt_free(p);
    chat_format_destroy(f);
}

/* A template without a format for tools, that wants strict turns and no system message. */
static void test_generic(void **state)
{
    (void)state;
    struct chat_format *f = format_of("turns");
    assert_false(chat_format_abilities(f).tools);
    struct chat_input in = {.messages = asked, .message_count = 4, .parallel = true, .tools = TOOLS};
    struct chat_prompt *p = apply(f, &in);
    assert_non_null(strstr(p->text, "<|start|>user\nBe brief.\n\nYou can call tools."));
    assert_non_null(strstr(p->text, "\nWeather?<|end|>"));
    assert_non_null(strstr(
        p->text, "{\"tool_calls\":[{\"name\":\"weather\",\"arguments\":{\"city\":\"Oslo\"}}]}<|end|>"));
    assert_non_null(strstr(p->text, "{\"tool_result\":{\"name\":\"weather\",\"content\":\"sunny\"}}<|end|>"));
    assert_true(p->grammar && p->grammar_lazy);
    reads(p,
          "{\"tool_calls\": [{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}, "
          "{\"name\": \"clock\", \"arguments\": {}}]}",
          NULL, NULL, "weather(){\"city\": \"Oslo\"} clock(){}");
    reads(p, "It is {fine}.", NULL, "It is {fine}.", NULL);
    chat_prompt_free(p);

    in.tools = NULL; /* the history still has calls */
    p = apply(f, &in);
    assert_null(strstr(p->text, "You can call tools"));
    assert_non_null(strstr(p->text, "tool_result"));
    chat_prompt_free(p);
    chat_format_destroy(f);
}

static void test_ids(void **state)
{
    (void)state;
    struct chat_format *f = format_of("mistral-nemo");
    const struct chat_input in = {.messages = asked, .message_count = 4, .parallel = true, .tools = TOOLS};
    struct chat_prompt *p = apply(f, &in); /* ids of nine characters only: ours become such */
    const char *first = strstr(p->text, "\"id\": \""), *second = strstr(p->text, "\"call_id\": \"");
    assert_non_null(first);
    assert_non_null(second);
    assert_memory_equal(first + strlen("\"id\": \""), second + strlen("\"call_id\": \""), 9);
    reads(p,
          "[TOOL_CALLS][{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}, \"id\": \"abcdefghi\"}]",
          NULL, NULL, "weather(abcdefghi){\"city\": \"Oslo\"}");
    chat_prompt_free(p);
    chat_format_destroy(f);
}

static void test_thinking(void **state)
{
    (void)state;
    struct chat_format *f = format_of("qwen3");
    assert_true(chat_format_abilities(f).thinking);
    struct chat_input in = {.messages = ask, .message_count = 2, .thinking = true};
    struct chat_prompt *p = apply(f, &in);
    assert_false(p->plain);
    assert_true(p->thinking);
    assert_string_equal(p->thought_end, "</think>");
    reads(p, "<think>\nHm.\n</think>\n\nYes.", "Hm.", "Yes.", NULL);
    reads(p, "Yes.", NULL, "Yes.", NULL);
    reads_in(p, "<think>\nHm", 1, false, "Hm", NULL, NULL);
    chat_prompt_free(p);

    in.thinking = false;
    p = apply(f, &in);
    assert_false(p->thinking);
    assert_non_null(strstr(p->text, "<think>\n\n</think>\n\n"));
    reads(p, "Yes.", NULL, "Yes.", NULL);
    chat_prompt_free(p);

    in = (struct chat_input){.messages = asked, .message_count = 4, .thinking = true, .tools = TOOLS};
    p = apply(f, &in);
    reads(p, "<think>\nHm.\n</think>\n\n<tool_call>\n{\"name\": \"clock\", \"arguments\": {}}\n</tool_call>",
          "Hm.", NULL, "clock(){}");
    chat_prompt_free(p);
    chat_format_destroy(f);
}

/* An answer with a form of its own after a thought. */
static void test_bound_thinking(void **state)
{
    (void)state;
    struct chat_format *f = format_of("qwen3");
    const struct chat_input in = {.messages = ask, .message_count = 2, .thinking = true, .bound = true};
    struct chat_prompt *p = apply(f, &in);
    struct buf renamed = BUF_INIT;
    assert_false(p->thought_open);
    assert_non_null(p->thought);
    assert_non_null(strstr(p->thought, "root ::="));
    assert_int_equal(gbnf_rename("root ::= a-b \"root\" [a-z]{1,2} <think> # root\n", "x-", &renamed), 0);
    assert_string_equal(renamed.data, "x-root ::= x-a-b \"root\" [a-z]{1,2} <think> # root\n\n");
    buf_free(&renamed);
    chat_prompt_free(p);
    chat_format_destroy(f);
}

static void test_continuation(void **state)
{
    (void)state;
    static const struct chat_message begun[] = {{.role = "user", .content = "Count."},
                                                {.role = "assistant", .content = "One, two"}};
    struct chat_format *f = format_of("qwen2.5");
    const struct chat_input in = {
        .messages = begun, .message_count = 2, .thinking = true, .go_on = CHAT_CONTINUE_CONTENT};
    struct chat_prompt *p = apply(f, &in);
    const char *end = "<|im_start|>assistant\nOne, two";
    assert_true(p->len > strlen(end));
    assert_string_equal(p->text + p->len - strlen(end), end);
    reads(p, ", three", NULL, ", three", NULL);
    chat_prompt_free(p);
    chat_format_destroy(f);
}

static void test_variables(void **state)
{
    (void)state;
    static const char text[] = "{% for m in messages %}{{ m.content }}{% endfor %}[{{ mood }}]";
    const struct chat_source source = {.text = text};
    const struct chat_message message = {.role = "user", .content = "Hi"};
    const struct chat_input in = {
        .messages = &message, .message_count = 1, .variables = "{\"mood\":\"calm\"}"};
    struct chat_format *f = NULL;
    assert_int_equal(chat_format_create(&source, &f, NULL), 0);
    struct chat_prompt *p = apply(f, &in);
    assert_string_equal(p->text, "Hi[calm]");
    chat_prompt_free(p);
    chat_format_destroy(f);
}

/* ---- what is refused ---- */

static void test_bad_templates(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{% for m in messages %}{{ m.content }}",                       /* cut */
        "{{ raise_exception('not today') }}",                           /* refuses everything */
        "{% for m in messages %}{{ m.content | no_such }}{% endfor %}", /* unknown filter */
        "Hello",                                                        /* leaves the messages out */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct chat_source source = {.text = bad[i]};
        struct chat_format *f = NULL;
        struct error err = {0};
        assert_int_equal(chat_format_create(&source, &f, &err), VX11_EUNSUPPORTED);
        assert_non_null(strstr(err.text, "cannot be applied: "));
        assert_null(f);
    }
}

static void test_refused_messages(void **state)
{
    (void)state;
    static const struct chat_call calls[] = {{"a", "weather", "{}"}, {"b", "clock", "{}"}};
    static const struct chat_message two[] = {
        {.role = "user", .content = "x"},
        {.role = "assistant", .content = "", .calls = calls, .call_count = 2}};
    struct chat_format *f = format_of("bare");
    struct error err = {0};
    struct chat_prompt *p = NULL;
    const struct chat_input in = {.messages = two, .message_count = 2};
    assert_int_equal(chat_format_apply(f, &in, &p, &err), VX11_EINVALID);
    assert_non_null(strstr(err.text, "one call at a time"));
    const struct chat_input schema = {.messages = ask,
                                      .message_count = 2,
                                      .tool_choice = CHAT_TOOLS_REQUIRED,
                                      .tools = "[{\"type\":\"function\",\"function\":{\"name\":\"f\","
                                               "\"parameters\":{\"type\":\"nothing\"}}}]"};
    assert_int_equal(chat_format_apply(f, &schema, &p, &err), VX11_EINVALID);
    chat_format_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_tools),
        cmocka_unit_test(test_chosen_tool),
        cmocka_unit_test(test_bare_calls),
        cmocka_unit_test(test_generic),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_thinking),
        cmocka_unit_test(test_continuation),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_bad_templates),
        cmocka_unit_test(test_refused_messages),
        cmocka_unit_test(test_bound_thinking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
