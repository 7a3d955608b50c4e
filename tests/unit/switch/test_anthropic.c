/* Anthropic: chat's requests to Anthropic's, its messages and events back, as pairs in tests/data/dialects.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/switch.h"
#include "golden.h"
#include "switch/anthropic.h"

static void test_requests(void **state)
{
    yyjson_doc *doc = golden_open("anthropic_requests");
    size_t i, n, len, out_len;
    yyjson_val *pair;
    (void)state;
    yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, pair)
    {
        struct arena *a = arena_create(0);
        struct error err = {0};
        const char *out, *name = golden_string(pair, "name"), *want = golden_string(pair, "error");
        char *text = yyjson_val_write(yyjson_obj_get(pair, "chat"), 0, &len);
        int rc = anthropic_request(a, text, len, "claude", 0, yyjson_get_bool(yyjson_obj_get(pair, "count")),
                                   &out, &out_len, &err);
        if (want) {
            if (rc != (strcmp(want, "invalid") == 0 ? VX11_EINVALID : VX11_EUNSUPPORTED) || !err.text[0])
                fail_msg("%s: %d %s", name, rc, err.text);
        } else {
            if (rc != 0)
                fail_msg("%s: %s", name, err.text);
            golden_check_text(name, yyjson_obj_get(pair, "request"), out, out_len);
        }
        free(text);
        arena_destroy(a);
    }
    yyjson_doc_free(doc);
}

static void test_limit(void **state)
{
    struct arena *a = arena_create(0);
    const char *out;
    size_t len;
    static const char chat[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}";
    (void)state;
    assert_int_equal(anthropic_request(a, chat, sizeof chat - 1, "m", 77, false, &out, &len, NULL), 0);
    assert_non_null(strstr(out, "\"max_tokens\":77"));
    assert_int_equal(anthropic_request(a, "{", 1, "m", 77, false, &out, &len, NULL), VX11_EINVALID);
    assert_int_equal(anthropic_status(529), 503);
    assert_int_equal(anthropic_status(429), 429);
    arena_destroy(a);
}

static void test_replies(void **state)
{
    yyjson_doc *doc = golden_open("anthropic_replies");
    size_t i, n, len, out_len;
    yyjson_val *pair;
    (void)state;
    yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, pair)
    {
        struct arena *a = arena_create(0);
        struct switch_upstream u;
        struct contract_error bad = {0};
        const char *out, *name = golden_string(pair, "name");
        char *text = yyjson_val_write(yyjson_obj_get(pair, "message"), 0, &len);
        int rc = anthropic_reply(a, text, len, &out, &out_len, NULL);
        if (yyjson_get_bool(yyjson_obj_get(pair, "corrupt"))) {
            assert_int_equal(rc, VX11_ECORRUPT);
        } else {
            assert_int_equal(rc, 0);
            golden_check_text(name, yyjson_obj_get(pair, "chat"), out, out_len);
            if (switch_upstream_parse(a, out, out_len, &u, &bad) != 0)
                fail_msg("%s: %s %s", name, bad.pointer, bad.text);
        }
        free(text);
        arena_destroy(a);
    }
    yyjson_doc_free(doc);
}

struct heard {
    yyjson_mut_doc *doc;
    yyjson_mut_val *chunks;
};

static int hear(void *ctx, const char *data, size_t len)
{
    struct heard *h = ctx;
    yyjson_doc *chunk = yyjson_read(data, len, 0);
    if (chunk) {
        struct arena *a = arena_create(0);
        struct switch_upstream u;
        yyjson_mut_arr_append(h->chunks, yyjson_val_mut_copy(h->doc, yyjson_doc_get_root(chunk)));
        if (yyjson_is_obj(yyjson_doc_get_root(chunk)))
            assert_int_equal(switch_upstream_parse(a, data, len, &u, NULL), 0);
        arena_destroy(a);
    }
    if (strncmp(data, "[DONE]", len) == 0)
        yyjson_mut_arr_add_str(h->doc, h->chunks, "[DONE]");
    yyjson_doc_free(chunk);
    return 0;
}

static void test_streams(void **state)
{
    yyjson_doc *doc = golden_open("anthropic_streams");
    size_t i, n, k, events, len;
    yyjson_val *pair, *event;
    (void)state;
    yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, pair)
    {
        struct heard h = {.doc = yyjson_mut_doc_new(NULL)};
        struct anthropic_stream s;
        int rc = 0;
        h.chunks = yyjson_mut_arr(h.doc);
        yyjson_mut_doc_set_root(h.doc, h.chunks);
        anthropic_stream_init(&s, hear, &h);
        yyjson_arr_foreach(yyjson_obj_get(pair, "events"), k, events, event)
        {
            struct arena *a = arena_create(0);
            char *text = yyjson_val_write(event, 0, &len);
            rc = rc ? rc : anthropic_stream_event(&s, a, text, len);
            free(text);
            arena_destroy(a);
        }
        if (yyjson_get_bool(yyjson_obj_get(pair, "corrupt"))) {
            assert_int_equal(rc, VX11_ECORRUPT);
        } else {
            yyjson_doc *actual = yyjson_mut_doc_imut_copy(h.doc, NULL);
            assert_int_equal(rc, 0);
            golden_check(golden_string(pair, "name"), yyjson_obj_get(pair, "chunks"),
                         yyjson_doc_get_root(actual));
            yyjson_doc_free(actual);
        }
        yyjson_mut_doc_free(h.doc);
    }
    yyjson_doc_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
