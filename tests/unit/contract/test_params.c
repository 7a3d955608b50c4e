/* Path and query parameters: text to fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "odd.h"

static struct odd_params out;
static struct contract_error error;

static int set(struct arena *a, const char *name, const char *value)
{
    return contract_param_set(&odd_params_message, a, name, value, &out, &error);
}

static void converts_by_type(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    assert_int_equal(contract_init(&odd_params_message, a, &out), 0);
    assert_int_equal(out.limit, 50);
    assert_int_equal(set(a, "id", "x y"), 0);
    assert_int_equal(set(a, "page", "0"), 0);
    assert_int_equal(set(a, "limit", "500"), 0);
    assert_int_equal(set(a, "deep", "true"), 0);
    assert_int_equal(set(a, "share", "0.25"), 0);
    assert_int_equal(set(a, "colour", "blue"), 0);
    assert_int_equal(set(a, "tags", "a"), 0);
    assert_int_equal(set(a, "tags", "b"), 0);
    assert_int_equal(set(a, "tags", "c"), 0);
    assert_int_equal(set(a, "filter", "{\"a\":[1]}"), 0);
    assert_int_equal(set(a, "nobody", "knows"), 0);
    for (int i = 0; i < 1000; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        assert_int_equal(set(a, "numbers", text), 0);
    }
    assert_int_equal(contract_params_finish(&odd_params_message, &out, &error), 0);
    assert_string_equal(out.id, "x y");
    assert_true(out.has_page && out.page == 0 && out.limit == 500 && out.has_deep && out.deep);
    assert_true(out.has_share && out.share == 0.25 && out.has_colour && out.colour == ODD_BLUE);
    assert_int_equal(out.tags_count, 3);
    assert_string_equal(out.tags[2], "c");
    assert_int_equal(out.numbers_count, 1000);
    assert_int_equal(out.numbers[999], 999);
    assert_true(yyjson_is_obj(out.filter));
    arena_destroy(a);
}

static void refuses(void **state)
{
    (void)state;
    static const char *const table[][3] = {
        {"id", "12345678901", "must have at most 10 characters"},
        {"id", "\xff", "must be valid UTF-8"},
        {"page", "", "must be a whole number"},
        {"page", "1.5", "must be a whole number"},
        {"page", "99999999999999999999", "must be a whole number"},
        {"page", "0x10", "must be a whole number"},
        {"limit", "0", "must be at least 1"},
        {"limit", "501", "must be at most 500"},
        {"deep", "maybe", "must be true or false"},
        {"share", "nan", "must be a number"},
        {"share", "1e999", "must be a number"},
        {"colour", "pink", "must be one of: red, green, blue"},
        {"tags", "12345", "must have at most 4 characters"},
        {"filter", "{", "is not valid JSON"},
        {"filter", "{\"a\":1,\"a\":2}", "is there twice"},
    };
    struct arena *a = arena_create(0);
    assert_int_equal(contract_init(&odd_params_message, a, &out), 0);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char pointer[32];
        snprintf(pointer, sizeof pointer, "/%s", table[i][0]);
        assert_int_equal(set(a, table[i][0], table[i][1]), VX11_EINVALID);
        assert_string_equal(error.pointer, pointer);
        if (strstr(error.text, table[i][2]) == NULL) {
            fail_msg("%s=%s: %s", table[i][0], table[i][1], error.text);
        }
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(set(a, "tags", "a"), 0);
    }
    assert_int_equal(set(a, "tags", "a"), VX11_EINVALID);
    assert_string_equal(error.text, "must be given at most 3 times");
    arena_destroy(a);
}

static void required_ones_must_come(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    assert_int_equal(contract_init(&odd_params_message, a, &out), 0);
    assert_int_equal(contract_params_finish(&odd_params_message, &out, &error), VX11_EINVALID);
    assert_string_equal(error.pointer, "/id");
    assert_string_equal(error.text, "is required");
    assert_int_equal(set(a, "id", "x"), 0);
    assert_int_equal(contract_params_finish(&odd_params_message, &out, &error), VX11_EINVALID);
    assert_string_equal(error.pointer, "/page");
    assert_int_equal(set(a, "page", "-5"), 0);
    assert_int_equal(contract_params_finish(&odd_params_message, &out, &error), 0);
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converts_by_type),
        cmocka_unit_test(refuses),
        cmocka_unit_test(required_ones_must_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
