/* What a request wants, from its body and headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "contract/config.h"
#include "contract/contract.h"
#include "switch/selection/wish.h"

static struct arena *arena;
static struct config *config;
static struct wish_source from;
static struct wish wish;

static int setup(void **state)
{
    struct error err = {0};
    (void)state;
    arena = arena_create(0);
    memset(&from, 0, sizeof from);
    return config_load_text("t", "", 0, NULL, &config, &err);
}

static int teardown(void **state)
{
    (void)state;
    config_free(config);
    arena_destroy(arena);
    return 0;
}

static void configure(const char *yaml)
{
    struct error err = {0};
    config_free(config);
    if (config_load_text("t", yaml, strlen(yaml), NULL, &config, &err) != 0)
        fail_msg("%s", err.text);
}

static int try_kind(const char *body, enum dispatch_kind kind)
{
    struct error err = {0};
    assert_int_equal(contract_json_parse(arena, body, strlen(body), NULL, &from.root, NULL), 0);
    wish = (struct wish){.kind = kind};
    return wish_read(&wish, &from, config->values->switch_, &err);
}

static int try_read(const char *body)
{
    return try_kind(body, DISPATCH_CHAT);
}

static void read_it(const char *body)
{
    assert_int_equal(try_read(body), 0);
    assert_true(wish.read);
}

#define SAYS(text) "{\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]"

static void the_task(void **state)
{
    (void)state;
    read_it(SAYS("translate this letter into German") "}");
    assert_int_equal(wish.task, TASK_TYPE_TRANSLATION);
    assert_int_equal(wish.task_from, SWITCH_TASK_SOURCE_WORDS);
    assert_true(wish.task_confidence > 0.5 && wish.task_words[0]);
    from.task_header = "code";
    read_it(SAYS("translate this letter into German") "}");
    assert_int_equal(wish.task, TASK_TYPE_CODE);
    assert_int_equal(wish.task_from, SWITCH_TASK_SOURCE_EXPLICIT);
    read_it(SAYS("translate this") ",\"metadata\":{\"task_type\":\"audio-engineer\"}}");
    assert_int_equal(wish.task, TASK_TYPE_AUDIO); /* the body goes before the header */
    from.task_field = "data";
    read_it(SAYS("translate this") ",\"metadata\":{\"task_type\":\"audio\"}}");
    assert_int_equal(wish.task, TASK_TYPE_DATA);
    from.task_field = NULL;
    from.task_header = "no such type";
    read_it(SAYS("translate this letter") "}");
    assert_int_equal(wish.task, TASK_TYPE_TRANSLATION);
    from.task_header = NULL;
    read_it(SAYS("hi") "}");
    assert_int_equal(wish.task, TASK_TYPE_CHAT);
    assert_int_equal(wish.task_from, SWITCH_TASK_SOURCE_NONE);
    /* The last that the user says, not what stands before. */
    read_it(
        "{\"messages\":[{\"role\":\"system\",\"content\":\"You translate into German\"},{\"role\":\"user\","
        "\"content\":\"translate this\"},{\"role\":\"assistant\",\"content\":\"ok\"},{\"role\":\"user\","
        "\"content\":[{\"type\":\"text\",\"text\":\"now write a poem about it\"}]}]}");
    assert_int_equal(wish.task, TASK_TYPE_WRITING);
    assert_int_equal(try_kind("{\"prompt\":\"summarize:\"}", DISPATCH_COMPLETION), 0);
    assert_int_equal(wish.task, TASK_TYPE_SUMMARY);
    from.text = "refactor the parser";
    read_it("{}");
    assert_int_equal(wish.task, TASK_TYPE_CODE);
}

static void what_is_needed(void **state)
{
    (void)state;
    read_it(SAYS("hi") "}");
    assert_false(wish.tools || wish.vision || wish.json_schema || wish.local_only);
    read_it(SAYS("hi") ",\"tools\":[]}");
    assert_false(wish.tools);
    read_it(
        SAYS("hi") ",\"tools\":[{\"type\":\"function\"}],\"response_format\":{\"type\":\"json_schema\"}}");
    assert_true(wish.tools && wish.json_schema);
    read_it(SAYS("hi") ",\"response_format\":{\"type\":\"json_object\"}}");
    assert_false(wish.json_schema);
    /* An image in any message, an earlier one too. */
    read_it("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
            "\"x\"}}]"
            "},{\"role\":\"user\",\"content\":\"translate this\"}]}");
    assert_true(wish.vision);
    assert_int_equal(wish.task, TASK_TYPE_VISION);
    assert_int_equal(wish.task_from, SWITCH_TASK_SOURCE_CONTENT);
    read_it(
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{}}]}]}");
    assert_int_equal(wish.task, TASK_TYPE_AUDIO);
}

static void how_long(void **state)
{
    (void)state;
    read_it(SAYS("one two three four five six seven eight") "}");
    assert_in_range(wish.prompt_tokens, 8, 40);
    assert_int_equal(wish.answer_tokens, WISH_ANSWER_TOKENS);
    read_it(SAYS("hi") ",\"max_tokens\":7}");
    assert_int_equal(wish.answer_tokens, 7);
    read_it(SAYS("hi") ",\"max_tokens\":7,\"max_completion_tokens\":9}");
    assert_int_equal(wish.answer_tokens, 9);
    read_it(SAYS("hi") ",\"max_tokens\":100000}");
    assert_int_equal(wish.answer_tokens, WISH_ANSWER_TOKENS);
    assert_int_equal(try_kind("{\"input\":[\"a\",\"b\"]}", DISPATCH_EMBEDDING), 0);
    assert_int_equal(wish.answer_tokens, 0);
    assert_true(wish.prompt_tokens > 0);
}

static void privacy(void **state)
{
    static const char *const bad[] = {"localonly", "", "LOCAL ONLY", "yes", "local_only ", "secret"};
    (void)state;
    read_it(SAYS("hi") "}");
    assert_int_equal(wish.privacy_from, SWITCH_EXPLANATION_PRIVACY_FROM_DEFAULT);
    read_it(SAYS("hi") ",\"metadata\":{\"privacy\":\"local_only\"}}");
    assert_true(wish.local_only);
    assert_int_equal(wish.privacy_from, SWITCH_EXPLANATION_PRIVACY_FROM_REQUEST);
    from.privacy_header = "LOCAL-ONLY";
    read_it(SAYS("hi") "}");
    assert_true(wish.local_only);
    from.privacy_header = "any"; /* the stricter of the two */
    read_it(SAYS("hi") ",\"metadata\":{\"privacy\":\"local_only\"}}");
    assert_true(wish.local_only);
    read_it(SAYS("hi") ",\"metadata\":{\"privacy\":\"any\"}}");
    assert_false(wish.local_only);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        from.privacy_header = bad[i];
        assert_int_equal(try_read(SAYS("hi") "}"), VX11_EINVALID);
        assert_int_equal(try_read(SAYS("hi") ",\"metadata\":{\"privacy\":\"any\"}}"), VX11_EINVALID);
    }
    from.privacy_header = NULL;
    assert_int_equal(try_read(SAYS("hi") ",\"metadata\":{\"privacy\":true}}"), VX11_EINVALID);
    assert_int_equal(try_read(SAYS("hi") ",\"metadata\":{\"privacy\":null}}"), VX11_EINVALID);
    assert_int_equal(try_read(SAYS("hi") ",\"metadata\":{\"privacy\":{\"local_only\":1}}}"), VX11_EINVALID);
    read_it(SAYS("hi") ",\"metadata\":\"local_only\"}"); /* no object: nothing is said */
    assert_false(wish.local_only);
}

static void privacy_of_the_configuration(void **state)
{
    (void)state;
    configure("switch:\n  privacy: {default: local_only, local_only_tokens: [diary]}\n");
    read_it(SAYS("hi") "}");
    assert_true(wish.local_only);
    from.privacy_header = "any";
    read_it(SAYS("hi") "}");
    assert_false(wish.local_only);
    from.token_name = "diary"; /* cannot be taken back */
    read_it(SAYS("hi") "}");
    assert_true(wish.local_only);
    assert_int_equal(wish.privacy_from, SWITCH_EXPLANATION_PRIVACY_FROM_TOKEN);
    from.token_name = "other";
    struct error err = {0};
    wish = (struct wish){.kind = DISPATCH_CHAT, .local_only = true}; /* as its virtual key says */
    assert_int_equal(wish_read(&wish, &from, config->values->switch_, &err), 0);
    assert_true(wish.local_only);
}

static void the_mode(void **state)
{
    (void)state;
    read_it(SAYS("hi") "}");
    assert_null(wish.mode);
    from.mode_header = "eco";
    read_it(SAYS("hi") "}");
    assert_string_equal(wish.mode, "ECO");
    read_it(SAYS("hi") ",\"metadata\":{\"mode\":\"CRITICAL\"}}");
    assert_string_equal(wish.mode, "CRITICAL");
    read_it(SAYS("hi") ",\"metadata\":{\"mode\":\"cli\"}}");
    assert_string_equal(wish.mode, "ECO");
}

/* Bodies that no contract has checked. */
static void odd_bodies(void **state)
{
    static const char *const odd[] = {
        "{}",
        "[]",
        "null",
        "3",
        "{\"messages\":3}",
        "{\"messages\":[3,null,[],{}]}",
        "{\"messages\":[{\"role\":3,\"content\":{}}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":[3,[],null]}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":3,\"text\":4}]}]}",
        "{\"prompt\":[[1,2],[3]],\"max_tokens\":\"x\",\"tools\":{},\"response_format\":[],\"metadata\":[]}",
        "{\"input\":[[]],\"max_tokens\":-5}"};
    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        read_it(odd[i]);
        assert_int_equal(wish.task, TASK_TYPE_CHAT);
        assert_true(wish.answer_tokens > 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_task),
        TEST(what_is_needed),
        TEST(how_long),
        TEST(privacy),
        TEST(privacy_of_the_configuration),
        TEST(the_mode),
        TEST(odd_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
