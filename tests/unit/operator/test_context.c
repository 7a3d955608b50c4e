/* Context-7: hints, signatures, topics by whole words, titles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "operator/context/context.h"

#define U OPERATOR_MESSAGE_ROLE_USER
#define A OPERATOR_MESSAGE_ROLE_ASSISTANT

static struct context_message said(int role, const char *text)
{
    return (struct context_message){role, text, strlen(text)};
}

static enum operator_topic topic_of(const char *text)
{
    struct context_message m = said(U, text);
    return context_topic(&m, 1);
}

static void topics_by_words(void **state)
{
    static const struct {
        enum operator_topic topic;
        const char *text;
    } texts[] = {
        {OPERATOR_TOPIC_GENERAL, "this is something"}, /* no "hi" in it */
        {OPERATOR_TOPIC_GENERAL, "which machine is this"},
        {OPERATOR_TOPIC_GENERAL, "cachivache"},
        {OPERATOR_TOPIC_CHAT, "Hi!"},
        {OPERATOR_TOPIC_CHAT, "hola, ¿qué tal?"},
        {OPERATOR_TOPIC_CHAT, "muchas gracias"},
        {OPERATOR_TOPIC_CODE, "hi, please write a function in Python"},
        {OPERATOR_TOPIC_CODE, "Escribe una función en Python"},
        {OPERATOR_TOPIC_AUDIO, "master this track and the vocals"},
        {OPERATOR_TOPIC_AUDIO, "quita el ruido de este audio"},
        {OPERATOR_TOPIC_BROWSER, "open the website and browse it"},
        {OPERATOR_TOPIC_SYSTEM, "restart nginx on the Ubuntu server"},
        {OPERATOR_TOPIC_GENERAL, ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (topic_of(texts[i].text) != texts[i].topic)
            fail_msg("\"%s\": %s", texts[i].text, operator_topic_names[topic_of(texts[i].text)]);
}

static void the_latest_weighs_most(void **state)
{
    (void)state;
    struct context_message m[] = {said(U, "write a function in Python"), said(A, "done"),
                                  said(U, "now denoise this audio file")};
    assert_int_equal(context_topic(m, 3), OPERATOR_TOPIC_AUDIO);
    struct context_message old[] = {said(U, "denoise this audio file"), said(A, "a"), said(A, "b"),
                                    said(U, "c")};
    assert_int_equal(context_topic(old, 4), OPERATOR_TOPIC_GENERAL); /* only the last 3 */
    assert_int_equal(context_topic(NULL, 0), OPERATOR_TOPIC_GENERAL);
}

static void hint_is_bounded(void **state)
{
    struct buf out = BUF_INIT;
    char wide[601];
    (void)state;
    assert_int_equal(context_hint(NULL, 0, &out), 0);
    assert_int_equal(out.len, 0);
    struct context_message two[] = {said(U, "first\n\n  line"), said(A, "yes")};
    assert_int_equal(context_hint(two, 2, &out), 0);
    assert_string_equal(out.data, "user: first line\nassistant: yes");
    for (size_t i = 0; i < 600; i += 2) /* two bytes each */
        memcpy(wide + i, "ñ", 2);
    wide[600] = '\0';
    struct context_message four[] = {said(U, "gone"), said(U, wide), said(A, wide), said(U, wide)};
    buf_clear(&out);
    assert_int_equal(context_hint(four, 4, &out), 0);
    assert_true(utf8_valid(out.data, out.len));
    assert_int_equal(utf8_count(out.data, out.len), 257); /* 256 and the dots */
    assert_true(str_ends(out.data, "…"));
    assert_null(strstr(out.data, "gone"));
    assert_int_equal(utf8_count(out.data, strcspn(out.data, "\n")), 6 + 100);
    buf_free(&out);
}

static void signature_and_compressed(void **state)
{
    struct buf out = BUF_INIT;
    (void)state;
    assert_int_equal(context_signature(NULL, 0, 0, &out), 0);
    assert_string_equal(out.data, "Empty");
    buf_clear(&out);
    struct context_message m[] = {said(U, "one"), said(A, "twenty characters and some more of them")};
    assert_int_equal(context_signature(m, 2, 7, &out), 0);
    assert_string_equal(out.data, "Msgs:7 Last:twenty characters and some mor...");
    buf_clear(&out);
    assert_int_equal(context_compressed(m, 2, &out), 0);
    assert_string_equal(out.data, "one | twenty characters an");
    buf_clear(&out);
    assert_int_equal(context_compressed(NULL, 0, &out), 0);
    assert_string_equal(out.data, "No context");
    buf_free(&out);
}

static void metadata_has_its_names(void **state)
{
    static const char *const keys[] = {"context_summary",    "session_signature", "topic_cluster",
                                       "compressed_context", "last_messages",     "message_count"};
    struct buf out = BUF_INIT;
    struct context_message m[] = {said(U, "1"), said(A, "2"), said(U, "say \"hi\"\n"), said(A, "4"),
                                  said(U, "5")};
    (void)state;
    assert_int_equal(context_metadata(m, 5, 9, &out), 0);
    yyjson_doc *doc = yyjson_read(out.data, out.len, 0);
    assert_non_null(doc);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_int_equal(yyjson_obj_size(root), COUNT_OF(keys));
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        assert_non_null(yyjson_obj_get(root, keys[i]));
    assert_int_equal(yyjson_get_int(yyjson_obj_get(root, "message_count")), 9);
    yyjson_val *last = yyjson_obj_get(root, "last_messages");
    assert_int_equal(yyjson_arr_size(last), 4);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_arr_get(last, 1), "content")), "say \"hi\"\n");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(yyjson_arr_get(last, 1), "role")), "user");
    yyjson_doc_free(doc);
    buf_free(&out);
}

static void titles(void **state)
{
    static const struct {
        const char *text, *title;
    } texts[] = {
        {"Hello there", "Hello there"},
        {"\n\n  ## Plan for *today*\nmore", "Plan for *today*"},
        {"```c\nint main(void);\n```\nWhat is this?", "int main(void);"},
        {"...\n!!!\n", NULL},
        {"", NULL},
        {"¿Qué es esto?", "¿Qué es esto?"},
        {"one two three four five six seven eight nine ten eleven twelve thirteen",
         "one two three four five six seven eight nine ten eleven twel…"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct buf out = BUF_INIT;
        assert_int_equal(context_title(texts[i].text, strlen(texts[i].text), &out), 0);
        if (texts[i].title)
            assert_string_equal(out.data, texts[i].title);
        else
            assert_int_equal(out.len, 0);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_by_words),        cmocka_unit_test(the_latest_weighs_most),
        cmocka_unit_test(hint_is_bounded),        cmocka_unit_test(signature_and_compressed),
        cmocka_unit_test(metadata_has_its_names), cmocka_unit_test(titles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
