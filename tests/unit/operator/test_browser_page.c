/* The Playwright MCP server's texts, as its release 0.0.83 writes them, and the calls that actions become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "operator/browser/mcp_wire.h"
#include "operator/browser/page.h"

static int setup(void **state)
{
    *state = arena_create(0);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    arena_destroy(*state);
    return 0;
}

static void test_values(void **state)
{
    struct arena *a = *state;
    struct error err;
    const char *json;
    assert_int_equal(
        page_value("### Result\n{\n  \"t\": \"### Result\\n\"\n}\n### Page\n- x", 100, a, &json, &err), 0);
    assert_string_equal(json, "{\"t\":\"### Result\\n\"}");
    assert_int_equal(page_value("### Result\nundefined", 100, a, &json, &err), 0);
    assert_string_equal(json, "null");
    assert_int_equal(page_value("### Result\n[1,2,3,4,5]", 5, a, &json, &err), VX11_ETOO_LARGE);
    assert_int_equal(page_value("### Page\n", 5, a, &json, &err), VX11_ECORRUPT);
    assert_int_equal(page_value("### Result\n<html>", 50, a, &json, &err), VX11_ECORRUPT);
}

static void test_facts(void **state)
{
    struct page_facts facts;
    struct error err;
    assert_int_equal(
        page_facts("{\"url\":\"http://a/\",\"title\":\"T\",\"status\":404}", *state, &facts, &err), 0);
    assert_string_equal(facts.url, "http://a/");
    assert_int_equal(facts.status, 404);
    assert_int_equal(page_facts("{\"status\":7}", *state, &facts, &err), 0);
    assert_int_equal(facts.status, 0);
    assert_null(facts.url);
    assert_int_equal(page_facts("[]", *state, &facts, &err), VX11_ECORRUPT);
}

static void test_snapshot(void **state)
{
    static const char text[] =
        "### Page\n- Page URL: http://a/\n### Snapshot\n```yaml\n- a [ref=e1]:\n  - b\n```\n### Events\n";
    assert_string_equal(page_snapshot(text, 100, *state), "- a [ref=e1]:\n  - b");
    assert_string_equal(page_snapshot(text, 16, *state), "- a [ref=e1]:\n");
    assert_null(page_snapshot("### Page\n", 100, *state));
}

static void test_errors(void **state)
{
    assert_string_equal(page_error("### Error\nError: browserBackend.callTool: net::ERR_X at http://a/\nCall "
                                   "log:\n\x1b[2m  - y\x1b[22m\n",
                                   *state),
                        "net::ERR_X at http://a/");
    assert_string_equal(page_error("### Error\nError: \x1b[31mred\x1b[0m\nline", *state), "red line");
    assert_string_equal(page_error("", *state), "the browser did not say why");
}

static void test_modal(void **state)
{
    (void)state;
    assert_int_equal(page_modal("### Result\n1"), PAGE_MODAL_NONE);
    assert_int_equal(page_modal("### Page\n- x\n### Modal state\n- [\"alert\" dialog with message \"hi\"]: "
                                "can be handled by browser_handle_dialog"),
                     PAGE_MODAL_ALERT);
    assert_int_equal(page_modal("### Modal state\n- [\"confirm\" dialog with message \"\"]: can be"),
                     PAGE_MODAL_ASK);
    assert_int_equal(page_modal("### Modal state\n- [File chooser]: can be handled by browser_file_upload"),
                     PAGE_MODAL_FILES);
    assert_true(page_blocked(
        "### Error\nError: Tool \"x\" does not handle the modal state.\n### Modal state\n- [\"alert\" d"));
    assert_false(page_blocked("### Error\nError: Tool \"x\" does not handle the modal state."));
}

static void test_lists(void **state)
{
    struct operator_browser_request_log *q;
    const char **e;
    size_t n;
    assert_int_equal(
        page_requests(
            "### Result\n1. [GET] http://a/?b=%5B => [200] OK\n2. [POST] http://b/ => [FAILED] net::ERR_X\n"
            "3. [GET] http://c/\nx. [GET] http://d/ => [200] OK\n4. [] \n5. [GET\n### Page\n6. [GET] "
            "http://e/",
            10, *state, &q, &n),
        0);
    assert_int_equal(n, 3);
    assert_string_equal(q[0].url, "http://a/?b=%5B");
    assert_int_equal(q[0].status, 200);
    assert_string_equal(q[1].method, "POST");
    assert_false(q[1].has_status);
    assert_string_equal(q[2].url, "http://c/");
    assert_int_equal(
        page_requests("### Result\n1. [GET] http://a/ => [200] OK\n2. [GET] http://b/ => [200] OK", 1, *state,
                      &q, &n),
        0);
    assert_int_equal(n, 1);
    assert_int_equal(
        page_errors(
            "### Result\nTotal messages: 3 (Errors: 1, Warnings: 1)\n\n[ERROR] boom @ http://a/:0\n[LOG] x\n",
            10, *state, &e, &n),
        0);
    assert_int_equal(n, 1);
    assert_string_equal(e[0], "boom @ http://a/:0");
}

static void call(struct arena *a, struct operator_browser_action x, const char *tool, const char *args)
{
    struct page_call c;
    struct error err = {0};
    assert_int_equal(page_call(&x, a, &c, &err), 0);
    assert_string_equal(c.tool, tool);
    assert_string_equal(c.args, args);
}

static void test_calls(void **state)
{
    struct arena *a = *state;
    struct page_call c;
    struct error err;
    call(a, (struct operator_browser_action){.do_ = OPERATOR_BROWSER_ACTION_DO_CLICK, .target = "ref=e5"},
         "browser_click", "{ \"target\":\"e5\"}");
    call(a,
         (struct operator_browser_action){
             .do_ = OPERATOR_BROWSER_ACTION_DO_FILL, .target = "#q", .text = "a\"b"},
         "browser_type", "{ \"text\":\"a\\\"b\",\"submit\":false,\"slowly\":false,\"target\":\"#q\"}");
    call(a,
         (struct operator_browser_action){
             .do_ = OPERATOR_BROWSER_ACTION_DO_SELECT, .target = "s", .text = "two"},
         "browser_select_option", "{ \"values\":[\"two\"],\"target\":\"s\"}");
    call(a, (struct operator_browser_action){.do_ = OPERATOR_BROWSER_ACTION_DO_SCREENSHOT, .full_page = true},
         "browser_take_screenshot", "{ \"type\":\"png\",\"scale\":\"css\",\"fullPage\":true}");
    call(a, (struct operator_browser_action){.do_ = OPERATOR_BROWSER_ACTION_DO_BACK}, "browser_navigate_back",
         "{}");
    assert_int_equal(
        page_call(&(struct operator_browser_action){.do_ = OPERATOR_BROWSER_ACTION_DO_CLICK}, a, &c, &err),
        VX11_EINVALID);
    assert_string_equal(err.text, "click needs target");
    assert_int_equal(
        page_call(&(struct operator_browser_action){.do_ = OPERATOR_BROWSER_ACTION_DO_FILL, .target = "x"}, a,
                  &c, &err),
        VX11_EINVALID);
}

static void test_images(void **state)
{
    struct mcp_message m;
    struct mcp_result r;
    struct error err;
    struct arena *a = *state;
    static const char text[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"isError\":false,\"content\":[{"
                               "\"type\":\"text\",\"text\":\"a\"},{\"type\":"
                               "\"image\",\"mimeType\":\"image/"
                               "png\",\"data\":\"iVBORw0KGgo=\"},{\"type\":\"text\",\"text\":\"b\"}]}}";
    assert_int_equal(mcp_message_read(a, text, strlen(text), &m, &err), 0);
    assert_int_equal(mcp_result_read(a, m.result, 100, &r, &err), 0);
    assert_string_equal(r.text, "a\nb");
    assert_int_equal(r.image_len, 8);
    assert_memory_equal(r.image, "\x89PNG\r\n\x1a\n", 8);
    assert_int_equal(mcp_result_read(a, m.result, 5, &r, &err), VX11_ETOO_LARGE);
    assert_null(page_image_format(r.image, r.image_len)); /* too short to be one */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_facts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_snapshot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_modal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_images, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
