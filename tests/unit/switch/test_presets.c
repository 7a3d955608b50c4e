/* What is known about public servers, and the estimate of tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "contract/contract.h"
#include "switch/presets.h"
#include "switch/tokens.h"

/* The request as that server gets it; NULL: it cannot do it. */
static char *adapted(enum config_provider_preset preset, const char *body)
{
    struct error err = {0};
    yyjson_doc *in = yyjson_read(body, strlen(body), 0);
    yyjson_mut_doc *doc = yyjson_doc_mut_copy(in, NULL);
    int rc = preset_request(preset_get(preset), doc, yyjson_mut_doc_get_root(doc), &err);
    char *out = rc == 0 ? yyjson_mut_write(doc, 0, NULL) : NULL;
    assert_true(rc == 0 || (rc == VX11_EUNSUPPORTED && err.text[0]));
    yyjson_mut_doc_free(doc);
    yyjson_doc_free(in);
    return out;
}

static void adapts(enum config_provider_preset preset, const char *body, const char *want)
{
    char *out = adapted(preset, body);
    assert_non_null(out);
    assert_string_equal(out, want);
    free(out);
}

static void test_requests(void **state)
{
    (void)state;
    adapts(CONFIG_PROVIDER_PRESET_NONE, "{\"max_tokens\":5,\"keep_alive\":1,\"stream_options\":{}}",
           "{\"max_tokens\":5,\"keep_alive\":1,\"stream_options\":{}}");
    adapts(CONFIG_PROVIDER_PRESET_OPENAI, "{\"max_tokens\":5,\"keep_alive\":1}",
           "{\"max_completion_tokens\":5}");
    adapts(CONFIG_PROVIDER_PRESET_OPENAI, "{\"max_tokens\":5,\"max_completion_tokens\":7}",
           "{\"max_completion_tokens\":7}");
    adapts(CONFIG_PROVIDER_PRESET_MISTRAL,
           "{\"max_completion_tokens\":7,\"stream\":true,\"stream_options\":{\"include_usage\":true}}",
           "{\"stream\":true,\"max_tokens\":7}");
    adapts(CONFIG_PROVIDER_PRESET_MISTRAL,
           "{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_content\":\"b\",\"thinking_"
           "blocks\":[]}]}",
           "{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"}]}");
    adapts(CONFIG_PROVIDER_PRESET_DEEPSEEK,
           "{\"messages\":[{\"role\":\"assistant\",\"reasoning_content\":\"b\",\"thinking_blocks\":[]}]}",
           "{\"messages\":[{\"role\":\"assistant\",\"reasoning_content\":\"b\"}]}");
    adapts(CONFIG_PROVIDER_PRESET_LM_STUDIO, "{\"response_format\":{\"type\":\"json_object\"}}",
           "{\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"object\",\"schema\":{"
           "\"type\":"
           "\"object\"}}}}");
    assert_null(adapted(CONFIG_PROVIDER_PRESET_DEEPSEEK,
                        "{\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{}}}"));
    adapts(CONFIG_PROVIDER_PRESET_OPENAI, "[1]", "[1]"); /* nonsense does no harm */
    adapts(CONFIG_PROVIDER_PRESET_OPENAI, "{\"messages\":[1,{}]}", "{\"messages\":[1,{}]}");
}

static void test_addresses(void **state)
{
    struct config_provider p = {
        .kind = CONFIG_PROVIDER_KIND_OPENAI, .base_url = "", .key_env = "", .key_file = ""};
    (void)state;
    assert_null(preset_base_url(&p));
    assert_null(preset_key_env(&p));
    p.preset = CONFIG_PROVIDER_PRESET_GROQ;
    assert_string_equal(preset_base_url(&p), "https://api.groq.com/openai/v1");
    assert_string_equal(preset_key_env(&p), "GROQ_API_KEY");
    p.base_url = "http://127.0.0.1:1/v1";
    p.key_file = "/key";
    assert_string_equal(preset_base_url(&p), "http://127.0.0.1:1/v1");
    assert_null(preset_key_env(&p));
    p = (struct config_provider){
        .kind = CONFIG_PROVIDER_KIND_ANTHROPIC, .base_url = "", .key_env = "MINE", .key_file = ""};
    assert_string_equal(preset_base_url(&p), "https://api.anthropic.com/v1");
    assert_string_equal(preset_key_env(&p), "MINE");
    for (int i = 0; i <= CONFIG_PROVIDER_PRESET_ANTHROPIC; i++)
        assert_true(i == CONFIG_PROVIDER_PRESET_NONE || preset_get((enum config_provider_preset)i)->base_url);
}

static int64_t text(const char *s)
{
    return tokens_estimate_text(s, strlen(s));
}

static int64_t request(const char *json)
{
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    int64_t n = tokens_estimate_request(yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    return n;
}

static void test_tokens(void **state)
{
    (void)state;
    assert_int_equal(tokens_estimate_text(NULL, 0), 0);
    assert_int_equal(text(""), 0);
    assert_int_equal(text("a"), 1);
    assert_int_equal(text("a b c d"), 4);                  /* a word is one at least */
    assert_int_equal(text("internationalization"), 5);     /* 20 letters */
    assert_int_equal(text("{}();"), 3);                    /* punctuation */
    assert_int_equal(text("\xE4\xBD\xA0\xE5\xA5\xBD"), 2); /* two Chinese characters */
    assert_int_equal(text("\xC3\xA9\xC3\xA9"), 1);         /* two accented letters */
    assert_true(text("\xFF\xFE\x80") > 0);                 /* no text at all */
    assert_int_equal(request("{}"), 0);
    assert_int_equal(request("[]"), 0);
    assert_int_equal(request("{\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"), 4 + 2);
    assert_int_equal(
        request("{\"messages\":[{\"content\":[{\"type\":\"text\",\"text\":\"hello\"},{\"type\":\"image_"
                "url\",\"image_url\":{\"url\":\"data:\"}}]}]}"),
        4 + 2 + 1600);
    assert_int_equal(request("{\"prompt\":[1,2,3]}"), 3);
    assert_int_equal(request("{\"input\":[\"hello\",\"hello\"]}"), 4);
    assert_int_equal(request("{\"input\":[[1,2],[3]]}"), 3);
    assert_true(
        request("{\"messages\":[],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}") > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
