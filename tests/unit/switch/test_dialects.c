/* Dialects: requests, replies and streams of Anthropic's messages and OpenAI's responses against chat's, as
 * pairs in tests/data/dialects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "switch/dialects/messages.h"
#include "switch/dialects/responses.h"

/* A value of a golden file as text in the arena. */
static const char *text_of(struct arena *a, yyjson_val *v, size_t *len)
{
    char *text = yyjson_val_write(v, 0, len);
    char *copy = arena_strndup(a, text, *len);
    free(text);
    return copy;
}

static void upstream_of(struct arena *a, yyjson_val *v, struct switch_upstream *out)
{
    size_t len;
    struct contract_error bad = {0};
    const char *text = text_of(a, v, &len);
    if (switch_upstream_parse(a, text, len, out, &bad) != 0)
        fail_msg("%s %s", bad.pointer, bad.text);
}

/* ---- requests ---- */

static void request_check(yyjson_val *pair, bool ok, const struct dialect_request *out,
                          const struct dialect_fault *fault)
{
    const char *name = golden_string(pair, "name"), *where = golden_string(pair, "fault");
    const char *ignored = golden_string(pair, "ignored");
    if (where) {
        if (ok)
            fail_msg("%s: went through", name);
        assert_string_equal(fault->param, where);
        assert_string_equal(fault->code, golden_string(pair, "code"));
        assert_true(fault->text[0] != '\0');
        return;
    }
    if (!ok)
        fail_msg("%s: %s %s", name, fault->param, fault->text);
    golden_check_text(name, yyjson_obj_get(pair, "chat"), out->body, out->len);
    assert_string_equal(out->ignored ? out->ignored : "", ignored ? ignored : "");
    /* What comes out is what chat takes. */
    struct arena *a = arena_create(0);
    struct openai_chat_request chat;
    struct contract_error bad = {0};
    if (openai_chat_request_parse(a, out->body, out->len, &chat, &bad) != 0)
        fail_msg("%s: %s %s", name, bad.pointer, bad.text);
    arena_destroy(a);
}

static void each_request(const char *file, bool responses)
{
    yyjson_doc *doc = golden_open(file);
    size_t i, n, len;
    yyjson_val *pair;
    yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, pair)
    {
        struct arena *a = arena_create(0);
        struct dialect_request out;
        struct dialect_fault fault = {0};
        struct contract_error bad = {0};
        union {
            struct anthropic_messages_request messages;
            struct responses_request responses;
        } q;
        const char *text = text_of(a, yyjson_obj_get(pair, "request"), &len);
        int rc = responses ? responses_request_parse(a, text, len, &q.responses, &bad)
                           : anthropic_messages_request_parse(a, text, len, &q.messages, &bad);
        if (rc != 0)
            fail_msg("%s: %s %s", golden_string(pair, "name"), bad.pointer, bad.text);
        bool ok = responses ? responses_request(a, &q.responses, &out, &fault)
                            : messages_request(a, &q.messages, &out, &fault);
        request_check(pair, ok, &out, &fault);
        arena_destroy(a);
    }
    yyjson_doc_free(doc);
}

static void test_messages_requests(void **state)
{
    (void)state;
    each_request("messages_requests", false);
}

static void test_responses_requests(void **state)
{
    (void)state;
    each_request("responses_requests", true);
}

/* ---- replies ---- */

static void test_messages_replies(void **state)
{
    yyjson_doc *doc = golden_open("messages_replies");
    size_t i, n;
    yyjson_val *pair;
    (void)state;
    yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, pair)
    {
        struct arena *a = arena_create(0);
        struct switch_upstream u;
        struct buf out = BUF_INIT;
        struct error err = {0};
        upstream_of(a, yyjson_obj_get(pair, "chat"), &u);
        int rc = messages_reply(a, &u, "given", &out, &err);
        if (yyjson_get_bool(yyjson_obj_get(pair, "corrupt")))
            assert_int_equal(rc, VX11_ECORRUPT);
        else
            golden_check_text(golden_string(pair, "name"), yyjson_obj_get(pair, "message"), out.data,
                              out.len);
        buf_free(&out);
        arena_destroy(a);
    }
    yyjson_doc_free(doc);
}

/* ---- streams ---- */

struct heard {
    yyjson_mut_doc *doc;
    yyjson_mut_val *events;
};

static int hear(void *ctx, const char *name, const char *data, size_t len)
{
    struct heard *h = ctx;
    yyjson_doc *event = yyjson_read(data, len, 0);
    assert_non_null(event);
    yyjson_mut_val *pair = yyjson_mut_arr(h->doc);
    yyjson_mut_arr_add_strcpy(h->doc, pair, name);
    yyjson_mut_arr_append(pair, yyjson_val_mut_copy(h->doc, yyjson_doc_get_root(event)));
    yyjson_mut_arr_append(h->events, pair);
    yyjson_doc_free(event);
    return 0;
}

static int run_messages(yyjson_val *chunks, const struct dialect_sink *sink)
{
    struct messages_stream s;
    struct switch_upstream u;
    size_t i, n;
    yyjson_val *chunk;
    int rc = 0;
    messages_stream_init(&s, sink, "given");
    yyjson_arr_foreach(chunks, i, n, chunk)
    {
        struct arena *a = arena_create(0); /* nothing of a chunk is kept */
        upstream_of(a, chunk, &u);
        rc = rc ? rc : messages_stream_chunk(&s, a, &u);
        arena_destroy(a);
    }
    return rc ? rc : messages_stream_end(&s);
}

static int run_responses(yyjson_val *chunks, const struct dialect_sink *sink)
{
    struct arena *own = arena_create(0);
    struct responses_request q;
    struct responses_reply echo;
    struct responses_stream s;
    struct switch_upstream u;
    size_t i, n;
    yyjson_val *chunk;
    int rc = responses_request_parse(own, "{\"input\":\"x\"}", 13, &q, NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(responses_echo(own, &q, &echo), 0);
    responses_stream_init(&s, sink, "given", &echo);
    yyjson_arr_foreach(chunks, i, n, chunk)
    {
        struct arena *a = arena_create(0);
        upstream_of(a, chunk, &u);
        rc = rc ? rc : responses_stream_chunk(&s, a, &u);
        arena_destroy(a);
    }
    rc = rc ? rc : responses_stream_end(&s);
    responses_stream_free(&s);
    arena_destroy(own);
    return rc;
}

static void each_stream(const char *file, int (*run)(yyjson_val *chunks, const struct dialect_sink *sink))
{
    yyjson_doc *doc = golden_open(file);
    size_t i, n;
    yyjson_val *pair;
    yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, pair)
    {
        struct heard h = {.doc = yyjson_mut_doc_new(NULL)};
        h.events = yyjson_mut_arr(h.doc);
        yyjson_mut_doc_set_root(h.doc, h.events);
        struct dialect_sink sink = {hear, &h};
        int rc = run(yyjson_obj_get(pair, "chunks"), &sink);
        if (yyjson_get_bool(yyjson_obj_get(pair, "corrupt"))) {
            assert_int_equal(rc, VX11_ECORRUPT);
        } else {
            yyjson_doc *actual = yyjson_mut_doc_imut_copy(h.doc, NULL);
            assert_int_equal(rc, 0);
            golden_check(golden_string(pair, "name"), yyjson_obj_get(pair, "events"),
                         yyjson_doc_get_root(actual));
            yyjson_doc_free(actual);
        }
        yyjson_mut_doc_free(h.doc);
    }
    yyjson_doc_free(doc);
}

static void test_messages_streams(void **state)
{
    (void)state;
    each_stream("messages_streams", run_messages);
}

static void test_responses_streams(void **state)
{
    (void)state;
    each_stream("responses_streams", run_responses);
}

/* A whole reply makes the response that the same answer makes when it is streamed. */
static void test_responses_reply(void **state)
{
    static const char chat[] =
        "{\"choices\":[{\"message\":{\"content\":\"hey\",\"reasoning_content\":\"hm\",\"tool_calls\":[{"
        "\"id\":\"a\","
        "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"id\":\"b\",\"function\":{\"name\":\"g\","
        "\"arguments\":"
        "\"{}\"}}]},\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}";
    static const char request[] = "{\"input\":\"x\",\"metadata\":{\"k\":\"v\"}}";
    struct arena *a = arena_create(0);
    struct responses_request q;
    struct responses_reply echo, back;
    struct switch_upstream u;
    struct buf out = BUF_INIT;
    (void)state;
    assert_int_equal(responses_request_parse(a, request, sizeof request - 1, &q, NULL), 0);
    assert_int_equal(responses_echo(a, &q, &echo), 0);
    assert_int_equal(switch_upstream_parse(a, chat, sizeof chat - 1, &u, NULL), 0);
    assert_int_equal(responses_reply(a, &u, "m", &echo, &out, NULL), 0);
    assert_int_equal(responses_reply_parse(a, out.data, out.len, &back, NULL), 0);
    assert_int_equal(back.status, RESPONSES_STATUS_INCOMPLETE);
    assert_int_equal(back.incomplete_details->reason, RESPONSES_INCOMPLETE_REASON_MAX_OUTPUT_TOKENS);
    assert_int_equal(back.output_count, 4);
    assert_int_equal(back.output[0].type, RESPONSES_ITEM_TYPE_REASONING);
    assert_string_equal(back.output[1].content[0].text, "hey");
    assert_string_equal(back.output[3].call_id, "b");
    assert_int_equal(back.usage->total_tokens, 3);
    assert_string_equal(yyjson_get_str(yyjson_obj_get(back.metadata, "k")), "v");
    buf_free(&out);
    arena_destroy(a);
}

static void test_responses_fail(void **state)
{
    struct heard h = {.doc = yyjson_mut_doc_new(NULL)};
    struct responses_stream s;
    struct responses_reply echo = {.object = "response"};
    (void)state;
    h.events = yyjson_mut_arr(h.doc);
    struct dialect_sink sink = {hear, &h};
    responses_stream_init(&s, &sink, "m", &echo);
    assert_int_equal(responses_stream_fail(&s, "server_error", "it broke"), 0);
    responses_stream_free(&s);
    yyjson_mut_val *last = yyjson_mut_arr_get_last(h.events);
    assert_true(yyjson_mut_equals_str(yyjson_mut_arr_get_first(last), "response.failed"));
    yyjson_mut_val *response = yyjson_mut_obj_get(yyjson_mut_arr_get_last(last), "response");
    assert_true(yyjson_mut_equals_str(yyjson_mut_obj_get(response, "status"), "failed"));
    assert_true(yyjson_mut_equals_str(yyjson_mut_obj_get(yyjson_mut_obj_get(response, "error"), "message"),
                                      "it broke"));
    yyjson_mut_doc_free(h.doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_requests), cmocka_unit_test(test_messages_replies),
        cmocka_unit_test(test_messages_streams),  cmocka_unit_test(test_responses_requests),
        cmocka_unit_test(test_responses_streams), cmocka_unit_test(test_responses_reply),
        cmocka_unit_test(test_responses_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
