/* Parsing: what is taken, what is refused, and that a refusal points at the right place with the right
 * sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "api/openai.h"
#include "base/str.h"
#include "odd.h"

/* Adds what every Odd must have. */
#define ODD(more) "{\"name\":\"n\",\"maybe\":null" more "}"

static struct odd parsed;
static struct contract_error error;

static int parse_in(struct arena *a, const char *text, size_t len)
{
    memset(&error, 0, sizeof error);
    return contract_parse(&odd_message, a, text, len, NULL, &parsed, &error);
}

struct refusal {
    const char *body;
    int code;
    const char *pointer, *text;
};

static const struct refusal refusals[] = {
    /* syntax */
    {"", VX11_ESYNTAX, "", "is empty"},
    {"   ", VX11_ESYNTAX, "", "is empty"},
    {"{", VX11_ESYNTAX, "", "is not valid JSON"},
    {"{\"name\":}", VX11_ESYNTAX, "", "(line 1, column 9)"},
    {"{\"name\":\"a\",}", VX11_ESYNTAX, "", "is not valid JSON"},
    {"{\"name\":\"a\"} x", VX11_ESYNTAX, "", "is not valid JSON"},
    {"{\"name\":'a'}", VX11_ESYNTAX, "", "is not valid JSON"},
    {"{\"name\":\"\xff\"}", VX11_ESYNTAX, "", "is not valid JSON"},
    {"{\"name\":\"\xc0\x80\"}", VX11_ESYNTAX, "", "is not valid JSON"},
    {"{\"name\":\"\xed\xa0\x80\"}", VX11_ESYNTAX, "", "is not valid JSON"},
    {"{\"name\":\"\\ud800\"}", VX11_ESYNTAX, "", "is not valid JSON"},
    {"{\"name\":\"a\nb\"}", VX11_ESYNTAX, "", "is not valid JSON"},
    {"\xef\xbb\xbf{}", VX11_ESYNTAX, "", "is not valid JSON"},
    {"{\"count\":NaN}", VX11_ESYNTAX, "", "is not valid JSON"},
    {"{\"count\":01}", VX11_ESYNTAX, "", "is not valid JSON"},
    {"{\"ratio\":1e999}", VX11_ESYNTAX, "", "is not valid JSON"},
    {"{/*c*/}", VX11_ESYNTAX, "", "is not valid JSON"},
    /* the whole document */
    {"null", VX11_EINVALID, "", "must be an object, not null"},
    {"[]", VX11_EINVALID, "", "must be an object, not an array"},
    {"\"x\"", VX11_EINVALID, "", "must be an object, not a string"},
    {"{}", VX11_EINVALID, "/name", "is required"},
    /* duplicates, also where nobody looks */
    {"{\"name\":\"a\",\"name\":\"b\"}", VX11_ESYNTAX, "/name", "is there twice"},
    {"{\"name\":\"a\",\"n\\u0061me\":\"b\"}", VX11_ESYNTAX, "/name", "is there twice"},
    {"{\"x\":{\"y\":[0,{\"z\":1,\"z\":2}]}}", VX11_ESYNTAX, "/x/y/1/z", "is there twice"},
    {"{\"x\":{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"k\":1,\"l\":"
     "1,\"m\":1,"
     "\"n\":1,\"o\":1,\"p\":1,\"q\":1,\"c\":2}}",
     VX11_ESYNTAX, "/x/c", "is there twice"},
    /* NUL */
    {"{\"name\":\"a\\u0000b\"}", VX11_EINVALID, "/name", "must not contain the character U+0000"},
    {"{\"x\":[\"\\u0000\"]}", VX11_EINVALID, "/x/0", "must not contain the character U+0000"},
    {"{\"a\\u0000\":1}", VX11_EINVALID, "/a", "must not contain the character U+0000"},
    /* types */
    {ODD(",\"flag\":1"), VX11_EINVALID, "/flag", "must be a boolean, not a number"},
    {ODD(",\"flag\":null"), VX11_EINVALID, "/flag", "must be a boolean, not null"},
    {ODD(",\"count\":\"1\""), VX11_EINVALID, "/count", "must be an integer, not a string"},
    {ODD(",\"count\":1.5"), VX11_EINVALID, "/count", "must be a whole number"},
    {ODD(",\"count\":true"), VX11_EINVALID, "/count", "must be an integer, not a boolean"},
    {ODD(",\"ratio\":\"0\""), VX11_EINVALID, "/ratio", "must be a number, not a string"},
    {ODD(",\"at\":\"now\""), VX11_EINVALID, "/at", "must be an integer, not a string"},
    {ODD(",\"at\":1e20"), VX11_EINVALID, "/at", "must be a whole number"},
    {ODD(",\"at\":18446744073709551615"), VX11_EINVALID, "/at", "must be at most 9223372036854775807"},
    {"{\"name\":5}", VX11_EINVALID, "/name", "must be a string, not a number"},
    {"{\"name\":[\"a\"]}", VX11_EINVALID, "/name", "must be a string, not an array"},
    {"{\"name\":{}}", VX11_EINVALID, "/name", "must be a string, not an object"},
    {ODD(",\"colour\":\"pink\""), VX11_EINVALID, "/colour", "must be one of: red, green, blue"},
    {ODD(",\"colour\":1"), VX11_EINVALID, "/colour", "must be a string, not a number"},
    {ODD(",\"child\":[]"), VX11_EINVALID, "/child", "must be an object, not an array"},
    {ODD(",\"children\":{}"), VX11_EINVALID, "/children", "must be an array, not an object"},
    {ODD(",\"children\":[null]"), VX11_EINVALID, "/children/0", "must be an object, not null"},
    {ODD(",\"free_form\":null"), VX11_EINVALID, "/free_form", "must not be null"},
    {ODD(",\"id\":\"x\""), VX11_EINVALID, "/id", "must be an id"},
    {ODD(",\"id\":\"81ARZ3NDEKTSV4RRFFQ69G5FAV\""), VX11_EINVALID, "/id", "must be an id"},
    /* bounds */
    {ODD(",\"count\":11"), VX11_EINVALID, "/count", "must be at most 10"},
    {ODD(",\"count\":-11"), VX11_EINVALID, "/count", "must be at least -10"},
    {ODD(",\"ratio\":1.0001"), VX11_EINVALID, "/ratio", "must be at most 1"},
    {ODD(",\"ratio\":-0.1"), VX11_EINVALID, "/ratio", "must be at least 0"},
    {"{\"name\":\"\",\"maybe\":null}", VX11_EINVALID, "/name", "must not be empty"},
    {"{\"name\":\"123456789\",\"maybe\":null}", VX11_EINVALID, "/name", "must have at most 8 characters"},
    {"{\"name\":\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"}", VX11_EINVALID,
     "/name", "must have at most 8 characters"},
    {ODD(",\"code\":\"a1\""), VX11_EINVALID, "/code", "must match the pattern [a-z]+[0-9]{2}"},
    {ODD(",\"code\":\"xa12\\n\""), VX11_EINVALID, "/code", "must match the pattern"},
    {ODD(",\"names\":[]"), VX11_EINVALID, "/names", "must have at least 1 element"},
    {ODD(",\"names\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"]"), VX11_EINVALID, "/names",
     "must have at most 5 elements"},
    {ODD(",\"names\":[\"1\",\"12345\"]"), VX11_EINVALID, "/names/1", "must have at most 4 characters"},
    {ODD(",\"colours\":[\"red\",\"x\"]"), VX11_EINVALID, "/colours/1", "must be one of"},
    /* deep places */
    {ODD(",\"children\":[" ODD("") "," ODD(",\"child\":{\"maybe\":null}") "]"), VX11_EINVALID,
     "/children/1/child/name", "is required"},
    {"{\"name\":\"n\"}", VX11_EINVALID, "/maybe", "is required"},
};

static void refuses_with_place_and_sentence(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        const struct refusal *r = &refusals[i];
        int rc = parse_in(a, r->body, strlen(r->body));
        if (rc != r->code || error.code != r->code || strcmp(error.pointer, r->pointer) != 0 ||
            strstr(error.text, r->text) == NULL) {
            fail_msg("%s\n  gave %d \"%s\" \"%s\"\n  not  %d \"%s\" \"%s\"", r->body, rc, error.pointer,
                     error.text, r->code, r->pointer, r->text);
        }
        assert_int_equal(contract_parse(&odd_message, a, r->body, strlen(r->body), NULL, &parsed, NULL),
                         r->code);
        arena_reset(a);
    }
    arena_destroy(a);
}

static void reads_every_type(void **state)
{
    (void)state;
    static const char body[] =
        "{\"flag\":true,\"count\":-3.0,\"big\":-9223372036854775808,\"ratio\":0,\"name\":"
        "\"\\u00e9\\ud83d\\ude00\",\"code\":\"ab12\","
        "\"greeting\":\"\",\"colour\":\"blue\",\"maybe\":\"red\",\"at\":1763822704123,\"id\":"
        "\"01ARZ3NDEKTSV4RRFFQ69G5FAV\","
        "\"free_form\":[1,{\"a\":null}],\"child\":" ODD(",\"count\":1") ",\"children\":[" ODD(
            "") "],\"flags\":[true,false],"
                "\"counts\":[],\"ratios\":[0.5,2],\"names\":[\"a\",\"b\"],\"colours\":[\"red\",\"blue\"],"
                "\"forms\":[1,\"x\"],\"unknown\":{}}";
    struct arena *a = arena_create(0);
    assert_int_equal(parse_in(a, body, sizeof body - 1), 0);
    assert_true(parsed.has_flag && parsed.flag && parsed.has_count && parsed.has_ratio && parsed.has_maybe &&
                parsed.has_at);
    assert_int_equal(parsed.count, -3);
    assert_true(parsed.big == INT64_MIN);
    assert_true(parsed.ratio == 0);
    assert_string_equal(parsed.name, "\xc3\xa9\xf0\x9f\x98\x80");
    assert_string_equal(parsed.code, "ab12");
    assert_string_equal(parsed.greeting, "");
    assert_int_equal(parsed.colour, ODD_BLUE);
    assert_int_equal(parsed.maybe, ODD_RED);
    assert_true(parsed.at == 1763822704123);
    assert_int_equal(yyjson_arr_size(parsed.free_form), 2);
    assert_int_equal(parsed.child->count, 1);
    assert_int_equal(parsed.children_count, 1);
    assert_string_equal(parsed.children[0].name, "n");
    assert_int_equal(parsed.flags_count, 2);
    assert_true(parsed.flags[0] && !parsed.flags[1]);
    assert_int_equal(parsed.counts_count, 0);
    assert_non_null(parsed.counts);
    assert_true(parsed.ratios[1] == 2);
    assert_string_equal(parsed.names[1], "b");
    assert_int_equal(parsed.colours[1], ODD_BLUE);
    assert_int_equal(parsed.forms_count, 2);
    arena_destroy(a);
}

static void fills_defaults_and_leaves_the_rest_absent(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    memset(&parsed, 0xA5, sizeof parsed);
    assert_int_equal(parse_in(a, ODD(""), strlen(ODD(""))), 0);
    assert_false(parsed.has_flag || parsed.has_count || parsed.has_ratio || parsed.has_maybe ||
                 parsed.has_at);
    assert_true(parsed.big == 9007199254740993);
    assert_string_equal(parsed.greeting, "say \"hi\"\n");
    assert_int_equal(parsed.colour, ODD_GREEN);
    assert_int_equal(parsed.counts_count, 3);
    assert_int_equal(parsed.counts[2], 3);
    assert_null(parsed.code);
    assert_null(parsed.id);
    assert_null(parsed.free_form);
    assert_null(parsed.child);
    assert_null(parsed.children);
    assert_int_equal(parsed.children_count, 0);

    struct odd fresh;
    memset(&fresh, 0xA5, sizeof fresh);
    assert_int_equal(contract_init(&odd_message, a, &fresh), 0);
    assert_true(fresh.big == 9007199254740993);
    assert_null(fresh.name);
    assert_int_equal(fresh.counts_count, 3);
    arena_destroy(a);
}

static void null_is_absent_where_it_is_accepted(void **state)
{
    (void)state;
    static const char body[] =
        "{\"messages\":[{\"role\":\"assistant\",\"content\":null}],\"stream\":null,\"n\":null,"
        "\"temperature\":null,\"model\":null}";
    struct arena *a = arena_create(0);
    struct openai_chat_request r;
    assert_int_equal(openai_chat_request_parse(a, body, sizeof body - 1, &r, &error), 0);
    assert_false(r.stream || r.has_temperature);
    assert_int_equal(r.n, 1);
    assert_null(r.model);
    assert_null(r.messages[0].content);
    arena_destroy(a);
}

static void nest(char *out, size_t size, unsigned levels, const char *open, const char *inner,
                 const char *close)
{
    size_t n = 0;
    for (unsigned i = 0; i < levels; i++) {
        n += strlen(strncpy(out + n, open, size - n));
    }
    n += strlen(strncpy(out + n, inner, size - n));
    for (unsigned i = 0; i < levels; i++) {
        n += strlen(strncpy(out + n, close, size - n));
    }
    out[n] = '\0';
}

static void bounds_depth(void **state)
{
    (void)state;
    static char text[400000];
    struct arena *a = arena_create(0);
    yyjson_val *v;
    nest(text, sizeof text, 64, "[", "1", "]");
    assert_int_equal(contract_json_parse(a, text, strlen(text), NULL, &v, &error), 0);
    nest(text, sizeof text, 65, "[", "1", "]");
    assert_int_equal(contract_json_parse(a, text, strlen(text), NULL, &v, &error), VX11_ESYNTAX);
    assert_string_equal(error.text, "is nested deeper than 64 levels");
    assert_true(str_starts(error.pointer, "/0/0/0"));
    assert_null(v);
    nest(text, sizeof text, 100000, "[", "", "]");
    assert_int_equal(contract_json_parse(a, text, strlen(text), NULL, &v, NULL), VX11_ESYNTAX);
    nest(text, sizeof text, 30000, "{\"a\":", "1", "}");
    assert_int_equal(contract_json_parse(a, text, strlen(text), NULL, &v, NULL), VX11_ESYNTAX);
    const struct contract_limits wide = {.max_depth = 100000};
    nest(text, sizeof text, 600, "[", "", "]"); /* no limit is above what our own recursion bears */
    assert_int_equal(contract_json_parse(a, text, strlen(text), &wide, &v, NULL), VX11_ESYNTAX);
    const struct contract_limits narrow = {.max_depth = 3};
    assert_int_equal(contract_json_parse(a, "[[[1]]]", 7, &narrow, &v, NULL), 0);
    assert_int_equal(contract_json_parse(a, "[[[[]]]]", 8, &narrow, &v, NULL), VX11_ESYNTAX);
    assert_int_equal(contract_json_parse(a, "[[[]],[[]],[[]],1]", 18, &narrow, &v, NULL), 0);
    arena_destroy(a);
}

static void bounds_size(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    const struct contract_limits small = {.max_bytes = 10};
    yyjson_val *v;
    assert_int_equal(contract_json_parse(a, "[1,2,3,4]", 9, &small, &v, &error), 0);
    assert_int_equal(contract_json_parse(a, "[1,2,3,4,5]", 11, &small, &v, &error), VX11_ETOO_LARGE);
    assert_string_equal(error.text, "is larger than 10 bytes");
    struct buf many = BUF_INIT;
    buf_puts(&many, "{\"name\":\"n\",\"maybe\":null,\"flags\":[true");
    for (int i = 0; i < 65536; i++) {
        buf_puts(&many, ",true");
    }
    buf_puts(&many, "]}");
    assert_int_equal(parse_in(a, many.data, many.len), VX11_EINVALID);
    assert_string_equal(error.pointer, "/flags");
    assert_string_equal(error.text, "must have at most 65536 elements");
    buf_free(&many);
    arena_destroy(a);
}

/* Objects with many keys are checked for duplicates without n squared steps. */
static void large_objects_are_checked(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct buf text = BUF_INIT;
    yyjson_val *v;
    buf_puts(&text, "{\"k\":0");
    for (int i = 0; i < 200000; i++) {
        buf_printf(&text, ",\"key%d\":%d", i, i);
    }
    size_t before = text.len;
    buf_puts(&text, "}");
    assert_int_equal(contract_json_parse(a, text.data, text.len, NULL, &v, &error), 0);
    text.len = before;
    buf_puts(&text, ",\"k\\u0065y777\":1}");
    assert_int_equal(contract_json_parse(a, text.data, text.len, NULL, &v, &error), VX11_ESYNTAX);
    assert_string_equal(error.pointer, "/key777");
    buf_free(&text);
    arena_destroy(a);
}

static void pointers_are_escaped_and_cut(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    yyjson_val *v;
    static const char text[] = "{\"a/b\":{\"m~n\":[0,{\"\":1,\"\":2}]}}";
    assert_int_equal(contract_json_parse(a, text, sizeof text - 1, NULL, &v, &error), VX11_ESYNTAX);
    assert_string_equal(error.pointer, "/a~1b/m~0n/1/");
    struct buf longer = BUF_INIT;
    buf_puts(&longer, "{\"");
    for (int i = 0; i < 300; i++) {
        buf_puts(&longer, "\xc3\xa9");
    }
    buf_puts(&longer, "\":[{\"x\":1,\"x\":1}]}");
    assert_int_equal(contract_json_parse(a, longer.data, longer.len, NULL, &v, &error), VX11_ESYNTAX);
    assert_true(strlen(error.pointer) < sizeof error.pointer);
    assert_true(utf8_valid(error.pointer, strlen(error.pointer)));
    buf_free(&longer);
    arena_destroy(a);
}

static void strict_refuses_unknown_fields(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    const struct contract_limits strict = {.strict = true};
    static const char near[] = ODD(",\"child\":" ODD(",\"colur\":\"red\"")), far[] = ODD(",\"zzzzzzzz\":1");
    assert_int_equal(contract_parse(&odd_message, a, near, sizeof near - 1, &strict, &parsed, &error),
                     VX11_EINVALID);
    assert_string_equal(error.pointer, "/child/colur");
    assert_string_equal(error.text, "is not known; did you mean colour?");
    assert_int_equal(contract_parse(&odd_message, a, far, sizeof far - 1, &strict, &parsed, &error),
                     VX11_EINVALID);
    assert_string_equal(error.text, "is not known");
    arena_destroy(a);
}

/* Every allocation fails once: an error comes back, never a crash. */
static void survives_without_memory(void **state)
{
    (void)state;
    static const char body[] = ODD(
        ",\"greeting\":\"x\",\"children\":[" ODD(",\"names\":[\"a\"]") "," ODD("") "],\"child\":" ODD(""));
    int ok = 0, failed = 0;
    for (size_t limit = 64; limit < 16384; limit += 64) {
        struct arena *a = arena_create(limit);
        if (a == NULL) {
            failed++;
            continue;
        }
        int rc = parse_in(a, body, sizeof body - 1);
        assert_true(rc == 0 || rc == VX11_ENOMEM);
        ok += rc == 0;
        failed += rc != 0;
        arena_destroy(a);
    }
    assert_true(ok > 0 && failed > 0);
}

static void scopes_have_names(void **state)
{
    (void)state;
    enum contract_scope s;
    for (unsigned i = 0; i < CONTRACT_SCOPE_COUNT; i++) {
        assert_int_equal(contract_scope_parse(contract_scope_name((enum contract_scope)i), &s), 0);
        assert_int_equal(s, i);
    }
    assert_int_equal(contract_scope_parse("root", &s), VX11_ENOT_FOUND);
    assert_string_equal(contract_scope_name((enum contract_scope)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_with_place_and_sentence),
        cmocka_unit_test(reads_every_type),
        cmocka_unit_test(fills_defaults_and_leaves_the_rest_absent),
        cmocka_unit_test(null_is_absent_where_it_is_accepted),
        cmocka_unit_test(bounds_depth),
        cmocka_unit_test(bounds_size),
        cmocka_unit_test(large_objects_are_checked),
        cmocka_unit_test(pointers_are_escaped_and_cut),
        cmocka_unit_test(strict_refuses_unknown_fields),
        cmocka_unit_test(survives_without_memory),
        cmocka_unit_test(scopes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
