/* Tools, histories and contexts that overflow, over HTTP. The guide model knows no tools: it answers as the
 * grammar makes it, which is what these tests look at. */
#include "harness.h"
#include "worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAT     "/v1/chat/completions"
#define QUESTION "{\"role\":\"user\",\"content\":\"Which port is switch on?\"}"
#define TOOL(name)                                                                                           \
    "{\"type\":\"function\",\"function\":{\"name\":\"" name                                                  \
    "\",\"description\":\"Looks it up.\",\"parameters\":"                                                    \
    "{\"type\":\"object\",\"properties\":{\"size\":{\"enum\":[\"small\",\"large\"]},\"deep\":{\"type\":"     \
    "\"boolean\"}},"                                                                                         \
    "\"required\":[\"size\",\"deep\"],\"additionalProperties\":false}}}"
#define TOOLS "\"tools\":[" TOOL("look") "," TOOL("list") "]"
#define ONE   "\"parallel_tool_calls\":false,\"temperature\":0,\"max_tokens\":200"

static int start(void **state)
{
    struct worker *w = calloc(1, sizeof *w);
    worker_start(w, harness_guide(), 2, 8);
    worker_wait_ready(w);
    *state = w;
    return 0;
}

static int stop(void **state)
{
    struct worker *w = *state;
    assert_int_equal(kill(w->pid, SIGTERM), 0);
    assert_int_equal(worker_end(w), 0);
    free(w);
    return 0;
}

/* Arguments of the first call in a reply: a JSON object that follows the schema. */
static void arguments_check(const struct exchange *x)
{
    yyjson_doc *doc = yyjson_read(x->body.data, x->body.len, 0);
    yyjson_val *message = yyjson_ptr_get(yyjson_doc_get_root(doc), "/choices/0/message");
    const char *text = yyjson_get_str(yyjson_ptr_get(message, "/tool_calls/0/function/arguments"));
    assert_non_null(text);
    assert_true(yyjson_is_null(yyjson_obj_get(message, "content")));
    yyjson_doc *inner = yyjson_read(text, strlen(text), 0);
    assert_non_null(inner);
    const char *size = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(inner), "size"));
    assert_true(size && (strcmp(size, "small") == 0 || strcmp(size, "large") == 0));
    assert_true(yyjson_is_bool(yyjson_obj_get(yyjson_doc_get_root(inner), "deep")));
    assert_int_equal(yyjson_obj_size(yyjson_doc_get_root(inner)), 2);
    yyjson_doc_free(inner);
    yyjson_doc_free(doc);
}

static void test_required(void **state)
{
    struct exchange x;
    assert_int_equal(
        worker_ask(*state, CHAT,
                   "{\"messages\":[" QUESTION "]," TOOLS ",\"tool_choice\":\"required\"," ONE "}", &x),
        200);
    exchange_has(&x, "\"finish_reason\":\"tool_calls\"");
    exchange_has(&x, "\"type\":\"function\"");
    exchange_has(&x, "\"id\":\"call_");
    arguments_check(&x);
    exchange_free(&x);
}

static void test_named(void **state)
{
    struct exchange x;
    assert_int_equal(worker_ask(*state, CHAT,
                                "{\"messages\":[" QUESTION "]," TOOLS
                                ",\"tool_choice\":{\"type\":\"function\","
                                "\"function\":{\"name\":\"list\"}}," ONE "}",
                                &x),
                     200);
    exchange_has(&x, "\"name\":\"list\"");
    arguments_check(&x);
    exchange_free(&x);
}

/* The pieces of a stream put together are what the whole reply has. */
static void test_streamed(void **state)
{
    struct exchange x;
    struct buf arguments = BUF_INIT;
    unsigned names = 0, finishes = 0;
    assert_int_equal(
        worker_ask(*state, CHAT,
                   "{\"stream\":true,\"stream_options\":{\"include_usage\":true},\"messages\":[" QUESTION
                   "]," TOOLS ",\"tool_choice\":\"required\"," ONE "}",
                   &x),
        200);
    for (const char *line = strstr(x.body.data, "data: {"); line; line = strstr(line + 1, "data: {")) {
        yyjson_doc *doc = yyjson_read(line + 6, strcspn(line + 6, "\n"), 0);
        yyjson_val *root = yyjson_doc_get_root(doc);
        yyjson_val *call = yyjson_ptr_get(root, "/choices/0/delta/tool_calls/0");
        const char *finish = yyjson_get_str(yyjson_ptr_get(root, "/choices/0/finish_reason"));
        if (call) {
            assert_int_equal(yyjson_get_sint(yyjson_obj_get(call, "index")), 0);
            const char *piece = yyjson_get_str(yyjson_ptr_get(call, "/function/arguments"));
            const bool first = yyjson_obj_get(call, "id") != NULL;
            assert_int_equal(first, names == 0);
            assert_int_equal(first, yyjson_ptr_get(call, "/function/name") != NULL);
            assert_int_equal(first, yyjson_obj_get(call, "type") != NULL);
            assert_non_null(piece);
            if (first)
                assert_string_equal(piece, "");
            names += first;
            (void)buf_puts(&arguments, piece);
        }
        finishes += finish && strcmp(finish, "tool_calls") == 0;
        yyjson_doc_free(doc);
    }
    assert_int_equal(names, 1);
    assert_int_equal(finishes, 1);
    yyjson_doc *inner = yyjson_read(arguments.data, arguments.len, 0);
    assert_non_null(inner);
    yyjson_doc_free(inner);
    exchange_has(&x, "\"usage\":{\"prompt_tokens\":");
    exchange_has(&x, "data: [DONE]");
    buf_free(&arguments);
    exchange_free(&x);
}

static void test_auto_and_none(void **state)
{
    struct exchange x;
    assert_int_equal(worker_ask(*state, CHAT,
                                "{\"messages\":[" QUESTION "]," TOOLS ",\"tool_choice\":\"none\"," ONE "}",
                                &x),
                     200);
    assert_null(strstr(x.body.data, "tool_calls"));
    exchange_free(&x);
    assert_int_equal(worker_ask(*state, CHAT, "{\"messages\":[" QUESTION "]," TOOLS "," ONE ",\"n\":2}", &x),
                     200);
    exchange_has(&x, "\"index\":1");
    exchange_free(&x);
}

/* What a client sends back is answered, also when a call in it was cut; what cannot be is named. */
static void test_round_trip(void **state)
{
    struct exchange x;
    assert_int_equal(worker_ask(*state, CHAT,
                                "{\"messages\":[" QUESTION
                                ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\","
                                "\"type\":\"function\",\"function\":{\"name\":\"look\",\"arguments\":\"{"
                                "\\\"size\\\": \\\"sm\"}}]},"
                                "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"8002\"}]," TOOLS
                                "," ONE "}",
                                &x),
                     200);
    exchange_free(&x);
    assert_int_equal(worker_ask(*state, CHAT,
                                "{\"messages\":[" QUESTION
                                ",{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"8002\"}]}",
                                &x),
                     400);
    exchange_has(&x, "\"param\":\"/messages/1/tool_call_id\"");
    exchange_free(&x);
    assert_int_equal(
        worker_ask(*state, CHAT, "{\"messages\":[" QUESTION "],\"tools\":[{\"type\":\"computer\"}]}", &x),
        400);
    exchange_has(&x, "\"code\":\"unsupported\"");
    exchange_has(&x, "\"param\":\"/tools/0/type\"");
    exchange_free(&x);
}

static void test_prefill(void **state)
{
    struct exchange x;
    assert_int_equal(worker_ask(*state, CHAT,
                                "{\"messages\":[" QUESTION
                                ",{\"role\":\"assistant\",\"content\":\"switch listens\"}],"
                                "\"temperature\":0}",
                                &x),
                     200);
    exchange_has(&x, "\"content\":\" on port 8002.");
    exchange_free(&x);
}

/* ---- answers of a given form ---- */

static void test_formats(void **state)
{
    struct exchange x;
    assert_int_equal(
        worker_ask(*state, CHAT,
                   "{\"messages\":[" QUESTION "],\"temperature\":0,\"max_tokens\":100,\"response_format\":"
                   "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"port\",\"strict\":true,\"schema\":"
                   "{\"type\":\"object\",\"properties\":{\"port\":{\"enum\":[8001,8002]}},\"required\":"
                   "[\"port\"],\"additionalProperties\":false}}}}",
                   &x),
        200);
    exchange_has(&x, "\"content\":\"{\\\"port\\\"");
    exchange_has(&x, "\"finish_reason\":\"stop\"");
    exchange_free(&x);
    /* With tools beside it the answer calls one or is of that form. */
    assert_int_equal(worker_ask(*state, CHAT,
                                "{\"messages\":[" QUESTION "]," TOOLS "," ONE
                                ",\"grammar\":\"root ::= \\\"yes\\\" | \\\"no\\\"\"}",
                                &x),
                     200);
    assert_true(strstr(x.body.data, "\"content\":\"yes\"") || strstr(x.body.data, "\"content\":\"no\"") ||
                strstr(x.body.data, "\"finish_reason\":\"tool_calls\""));
    exchange_free(&x);
    assert_int_equal(
        worker_ask(*state, CHAT, "{\"messages\":[" QUESTION "],\"response_format\":{\"type\":\"xml\"}}", &x),
        400);
    exchange_has(&x, "/response_format/type");
    exchange_free(&x);
}

/* ---- the context ---- */

/* A conversation of so many turns, each of some 60 tokens. */
static void long_chat(struct buf *body, unsigned turns, const char *fields)
{
    (void)buf_puts(body,
                   "{\"messages\":[{\"role\":\"system\",\"content\":\"You answer questions about VX11.\"},");
    for (unsigned i = 0; i < turns; i++)
        (void)buf_printf(
            body,
            "{\"role\":\"user\",\"content\":\"Question %u: what is the switch, what does it do, and "
            "which port is it on?\"},{\"role\":\"assistant\",\"content\":\"Answer %u: the switch chooses "
            "a provider for each request and listens on port 8002.\"},",
            i, i);
    (void)buf_printf(body, QUESTION "],\"temperature\":0,\"max_tokens\":40%s}", fields);
}

static void test_overflow(void **state)
{
    struct exchange x;
    struct buf body = BUF_INIT;
    long_chat(&body, 60, "");
    assert_int_equal(worker_ask(*state, CHAT, body.data, &x), 400);
    exchange_has(&x, "\"code\":\"context_length_exceeded\"");
    exchange_free(&x);
    buf_clear(&body);
    long_chat(&body, 60, ",\"context_overflow\":\"shift\"");
    assert_int_equal(worker_ask(*state, CHAT, body.data, &x), 200);
    const long dropped = exchange_number(&x, "dropped_messages"),
               prompt = exchange_number(&x, "prompt_tokens");
    assert_true(dropped > 0 && dropped < 120 && dropped % 2 == 0);
    assert_true(exchange_number(&x, "dropped_tokens") > 0);
    assert_true(prompt + 40 <= 2048 && prompt > 1800); /* no more went than had to */
    exchange_free(&x);
    /* What fits is left alone, and says nothing. */
    assert_int_equal(
        worker_ask(*state, CHAT,
                   "{\"messages\":[" QUESTION "],\"temperature\":0,\"context_overflow\":\"shift\"}", &x),
        200);
    assert_null(strstr(x.body.data, "context_shift"));
    exchange_free(&x);
    /* A question that is too long by itself. */
    buf_clear(&body);
    (void)buf_puts(&body, "{\"context_overflow\":\"shift\",\"messages\":[{\"role\":\"user\",\"content\":\"");
    for (int i = 0; i < 3000; i++)
        (void)buf_puts(&body, "switch ");
    (void)buf_puts(&body, "\"}]}");
    assert_int_equal(worker_ask(*state, CHAT, body.data, &x), 400);
    exchange_has(&x, "context_length_exceeded");
    exchange_has(&x, "the context is 2048 tokens");
    exchange_free(&x);
    buf_free(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_required),   cmocka_unit_test(test_named),
        cmocka_unit_test(test_streamed),   cmocka_unit_test(test_auto_and_none),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_prefill),
        cmocka_unit_test(test_formats),    cmocka_unit_test(test_overflow),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
