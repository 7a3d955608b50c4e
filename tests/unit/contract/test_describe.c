/* OpenAPI, TypeScript and Markdown of a small hand-made module: complete, well-formed, every reference
 * resolved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "api/openai.h"
#include "base/str.h"
#include "odd.h"

static const struct contract_route routes[] = {
    {.id = "get",
     .method = "GET",
     .path = "/odd/{id}",
     .summary = "Get one.",
     .doc = "More | text.",
     .scope = CONTRACT_SCOPE_READ,
     .flags = CONTRACT_ROUTE_COOKIE,
     .status = 200,
     .content_type = "application/json",
     .params = &odd_params_message,
     .response = &odd_message},
    {.id = "put",
     .method = "PUT",
     .path = "/odd/{id}",
     .summary = "Put one.",
     .doc = "",
     .scope = CONTRACT_SCOPE_ACT,
     .status = 204,
     .content_type = "application/json",
     .params = &odd_params_message,
     .request = &odd_message},
    {.id = "chat",
     .method = "POST",
     .path = "/odd/chat",
     .summary = "Chat.",
     .doc = "",
     .scope = CONTRACT_SCOPE_CHAT,
     .flags = CONTRACT_ROUTE_MAYBE_STREAM,
     .stream = CONTRACT_STREAM_SSE,
     .status = 200,
     .content_type = "application/json",
     .request = &openai_chat_request_message,
     .response = &openai_chat_reply_message},
    {.id = "events",
     .method = "GET",
     .path = "/odd/events",
     .summary = "Events.",
     .doc = "",
     .scope = CONTRACT_SCOPE_OPEN,
     .stream = CONTRACT_STREAM_SSE,
     .status = 200,
     .content_type = "application/json"},
    {.id = "socket",
     .method = "GET",
     .path = "/odd/ws",
     .summary = "Socket.",
     .doc = "",
     .scope = CONTRACT_SCOPE_READ,
     .stream = CONTRACT_STREAM_WS,
     .status = 200,
     .content_type = "application/json"},
    {.id = "upload",
     .method = "POST",
     .path = "/odd/files/{id*}",
     .summary = "Upload.",
     .doc = "",
     .scope = CONTRACT_SCOPE_ADMIN,
     .flags = CONTRACT_ROUTE_STREAM_BODY | CONTRACT_ROUTE_JOB,
     .status = 202,
     .content_type = "text/plain",
     .params = &odd_params_message},
};
static const struct contract_message *const messages[] = {&odd_message, &odd_params_message};
static const struct contract_module module = {.name = "test",
                                              .title = "Test",
                                              .doc = "For tests.",
                                              .port = 1234,
                                              .routes = routes,
                                              .route_count = COUNT_OF(routes),
                                              .messages = messages,
                                              .message_count = 2};

static unsigned references;

/* Every "$ref" anywhere names a schema that is there. */
static void check_references(yyjson_val *schemas, yyjson_val *v)
{
    static const char prefix[] = "#/components/schemas/";
    size_t i, n;
    yyjson_val *key, *item;
    if (yyjson_is_obj(v)) {
        yyjson_obj_foreach(v, i, n, key, item)
        {
            if (yyjson_equals_str(key, "$ref")) {
                assert_true(str_starts(yyjson_get_str(item), prefix));
                assert_non_null(yyjson_obj_get(schemas, yyjson_get_str(item) + sizeof prefix - 1));
                references++;
            }
            check_references(schemas, item);
        }
    }
    yyjson_arr_foreach(v, i, n, item)
    {
        check_references(schemas, item);
    }
}

static yyjson_val *at(yyjson_doc *doc, const char *pointer)
{
    yyjson_val *v = yyjson_doc_ptr_get(doc, pointer);
    if (v == NULL) {
        fail_msg("nothing at %s", pointer);
    }
    return v;
}

static void openapi_is_complete(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    assert_int_equal(contract_openapi(&module, "1.2.3", &out), 0);
    yyjson_doc *doc = yyjson_read(out.data, out.len, 0);
    assert_non_null(doc);
    check_references(at(doc, "/components/schemas"), yyjson_doc_get_root(doc));
    assert_true(references > 20);
    assert_string_equal(yyjson_get_str(at(doc, "/openapi")), "3.1.0");
    assert_string_equal(yyjson_get_str(at(doc, "/info/version")), "1.2.3");
    assert_string_equal(yyjson_get_str(at(doc, "/paths/~1odd~1{id}/get/parameters/0/in")), "path");
    assert_string_equal(yyjson_get_str(at(doc, "/paths/~1odd~1{id}/get/parameters/1/in")), "query");
    assert_int_equal(yyjson_arr_size(at(doc, "/paths/~1odd~1{id}/get/security")), 2);
    at(doc, "/paths/~1odd~1{id}/put/responses/204");
    at(doc, "/paths/~1odd~1{id}/put/requestBody/content/application~1json/schema/$ref");
    at(doc, "/paths/~1odd~1chat/post/responses/200/content/text~1event-stream");
    at(doc, "/paths/~1odd~1chat/post/responses/200/content/application~1json/schema/$ref");
    assert_int_equal(yyjson_arr_size(at(doc, "/paths/~1odd~1events/get/security")), 0);
    at(doc, "/paths/~1odd~1ws/get/responses/101");
    at(doc, "/paths/~1odd~1files~1{id}/post/requestBody/content/application~1octet-stream");
    at(doc, "/paths/~1odd~1files~1{id}/post/responses/default/content/application~1json/schema/$ref");
    assert_string_equal(yyjson_get_str(at(doc, "/components/schemas/TestOdd/properties/code/pattern")),
                        "^([a-z]+[0-9]{2})$");
    assert_string_equal(yyjson_get_str(at(doc, "/components/schemas/TestOdd/properties/code/type/1")),
                        "null");
    assert_string_equal(yyjson_get_str(at(doc, "/components/schemas/TestOdd/properties/colour/default")),
                        "green");
    assert_true(yyjson_is_null(at(doc, "/components/schemas/TestOdd/properties/maybe/enum/3")));
    assert_string_equal(yyjson_get_str(at(doc, "/components/schemas/TestOdd/properties/children/items/$ref")),
                        "#/components/schemas/TestOdd");
    assert_int_equal(yyjson_get_int(at(doc, "/components/schemas/TestOdd/properties/count/minimum")), -10);
    assert_int_equal(yyjson_arr_size(at(doc, "/components/schemas/TestOdd/required")), 2);
    yyjson_doc_free(doc);
    buf_free(&out);
}

static void contains(const struct buf *out, const char *text)
{
    if (strstr(out->data, text) == NULL) {
        fail_msg("lacks: %s", text);
    }
}

static void typescript_has_every_type_and_route(void **state)
{
    (void)state;
    const struct contract_module *const modules[] = {&module};
    struct buf out = BUF_INIT;
    assert_int_equal(contract_typescript(modules, 1, &out), 0);
    contains(&out, "export interface TestOdd {");
    contains(&out, "export interface OpenaiChatRequest {");
    contains(&out, "export interface OpenaiUsage {");
    contains(&out, "  name: string;");
    contains(&out, "  maybe: \"red\" | \"green\" | \"blue\" | null;");
    contains(&out, "  colour?: \"red\" | \"green\" | \"blue\";"); /* has a default, but goes in too */
    contains(&out, "  children?: Array<TestOdd>;");
    contains(&out, "  forms?: Array<Json> | null;");
    contains(&out, "  object: string;"); /* has a default and only comes out */
    contains(&out,
             "\"test.chat\": { method: \"POST\", path: \"/odd/chat\", scope: \"chat\", stream: \"sse\" }");
    contains(&out,
             "\"test.chat\": { params: undefined; request: OpenaiChatRequest; response: OpenaiChatReply; };");
    buf_free(&out);
}

static void markdown_has_every_route_and_message(void **state)
{
    (void)state;
    const struct contract_module *const modules[] = {&module};
    struct buf out = BUF_INIT;
    assert_int_equal(contract_markdown(modules, 1, &out), 0);
    contains(&out, "## Test\n\nFor tests. Port 1234.");
    contains(&out, "### GET /odd/{id}");
    contains(&out, "Scope `read` (the page's login will do).");
    contains(&out, "[TestOdd](#testodd)");
    contains(&out, "or with server-sent events when `stream` is true");
    contains(&out, "becomes a WebSocket");
    contains(&out, "Creates a job; honours `Idempotency-Key`.");
    contains(&out, "### OpenaiChatMessage");
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openapi_is_complete),
        cmocka_unit_test(typescript_has_every_type_and_route),
        cmocka_unit_test(markdown_has_every_route_and_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
