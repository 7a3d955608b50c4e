/* An answer's stream, cut anywhere, and the history that fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "operator/chat/fit.h"
#include "operator/chat/stream.h"

static const char text[] =
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"reasoning_content\":\"hm\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"ni\xc3\xb1\"}}]}\r\n\r\n"
    ": ping\n\n"
    "data: "
    "{\"choices\":[{\"delta\":{\"content\":\"o\",\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{"
    "\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\n\n"
    "data: "
    "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"}\"}}]},\"finish_"
    "reason\":\"tool_calls\"}]}\n\n"
    "data: "
    "{\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5,\"prompt_tokens_details\":{"
    "\"cached_tokens\":3}}}\n\n"
    "data: [DONE]\n\n";

static void reads_any_cut(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof text; cut++) {
        struct chat_stream s;
        chat_stream_init(&s, 1000);
        assert_int_equal(chat_stream_feed(&s, text, cut, NULL), 0);
        assert_int_equal(chat_stream_feed(&s, text + cut,
                                          sizeof text - 1 - (cut < sizeof text - 1 ? cut : sizeof text - 1),
                                          NULL),
                         0);
        assert_true(s.done);
        assert_string_equal(s.text.data, "ni\xc3\xb1o");
        assert_string_equal(s.reasoning.data, "hm");
        assert_int_equal(s.call_count, 1);
        assert_string_equal(s.calls[0].arguments.data, "{}");
        assert_string_equal(s.finish_reason, "tool_calls");
        assert_int_equal(s.usage.cached_tokens, 3);
        chat_stream_free(&s);
    }
}

static void refuses(void **state)
{
    static const char garbage[] = "data: noise\n\n",
                      error[] = "data: {\"error\":{\"message\":\"m\",\"code\":\"c\"}}\n\n";
    struct chat_stream s;
    struct error err = {0};
    (void)state;
    chat_stream_init(&s, 1000);
    assert_int_equal(chat_stream_feed(&s, garbage, sizeof garbage - 1, &err), VX11_ECORRUPT);
    chat_stream_free(&s);
    chat_stream_init(&s, 1000);
    assert_int_equal(chat_stream_feed(&s, error, sizeof error - 1, &err), 0);
    assert_true(s.failed && !s.done);
    assert_string_equal(s.error_code, "c");
    chat_stream_free(&s);
    chat_stream_init(&s, 4);
    assert_int_equal(chat_stream_feed(&s, text, sizeof text - 1, &err), VX11_ETOO_LARGE);
    chat_stream_free(&s);
}

static void fits(void **state)
{
    const struct fit_message m[] = {{10, true}, {10, false}, {10, true}, {10, false}};
    (void)state;
    assert_int_equal(fit_drop(m, 4, 40), 0);
    assert_int_equal(fit_drop(m, 4, 39), 2); /* a whole turn */
    assert_int_equal(fit_drop(m, 4, 19), 4);
    assert_int_equal(fit_drop(m, 0, 0), 0);
    assert_int_equal(fit_room(1000, 100, 0), 650);
    assert_int_equal(fit_room(1000, 1000, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_any_cut), cmocka_unit_test(refuses),
                                       cmocka_unit_test(fits)};
    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
