/* Schemas: what their grammars let through and what not, value by value; random values of each grammar
 * against a checker of its own; and what is refused, by name. */
#include "harness.h"
#include "json_check.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "engine/engine_internal.h"
#include "engine/grammar_internal.h"
#include "engine/schema.h"

#define OBJECT(properties, names)                                                                            \
    "{\"type\":\"object\",\"properties\":{" properties "},\"required\":[" names                              \
    "],\"additionalProperties\":false}"
#define IN_A(schema) OBJECT("\"a\":" schema, "\"a\"")

static bool convert(const char *schema, bool strict, struct buf *out, struct request_fault *fault)
{
    yyjson_doc *doc = yyjson_read(schema, strlen(schema), 0);
    if (!doc)
        fail_msg("not JSON: %s", schema);
    *fault = (struct request_fault){0};
    const bool ok = schema_to_gbnf(yyjson_doc_get_root(doc), strict, "/s", out, fault);
    yyjson_doc_free(doc);
    return ok;
}

static struct grammar *grammar_of(const char *schema, bool strict)
{
    struct buf gbnf = BUF_INIT;
    struct request_fault fault;
    struct gbnf_fault why;
    struct gbnf *rules = NULL;
    if (!convert(schema, strict, &gbnf, &fault))
        fail_msg("%s\nrefused at %s: %s", schema, fault.param, fault.text);
    if (gbnf_compile(gbnf.data, gbnf.len, NULL, &rules, &why) != 0)
        fail_msg("%s\nline %zu: %s\n%s", schema, why.line, why.text, gbnf.data);
    buf_free(&gbnf);
    struct grammar *g = grammar_new(rules, NULL);
    assert_non_null(g);
    return g;
}

static bool follows(struct grammar *g, const char *text)
{
    struct grammar_place place = grammar_start(g);
    return grammar_bytes(g, &place, text, strlen(text)) && grammar_may_end(g, &place);
}

/* ---- what is kept ---- */

static const struct kept {
    const char *schema;
    const char *good[12], *bad[14];
} kept[] = {
    {"{\"type\":\"integer\"}", {"0", "-7", "123"}, {"1.5", "01", "\"1\"", "1e3", "", "+1"}},
    {"{\"type\":\"number\"}", {"0", "-7.25", "1e9"}, {"1e999", "01", ".5", "1.", "NaN"}},
    {"{\"type\":\"boolean\"}", {"true", "false"}, {"True", "1", "null"}},
    {"{\"type\":\"null\"}", {"null"}, {"nil", "0"}},
    {"{\"type\":[\"integer\",\"null\"]}", {"null", "4"}, {"\"4\"", "true"}},
    {"{\"type\":\"integer\",\"minimum\":7,\"maximum\":12}",
     {"7", "8", "9", "10", "11", "12"},
     {"6", "13", "70", "1", "-8", "07", "7.0", "100"}},
    {"{\"type\":\"integer\",\"minimum\":-25,\"maximum\":103}",
     {"-25", "-24", "-3", "0", "99", "100", "103"},
     {"-26", "-30", "104", "110", "1000", "-100", "-0"}},
    {"{\"type\":\"integer\",\"exclusiveMinimum\":-3,\"exclusiveMaximum\":2}",
     {"-2", "-1", "0", "1"},
     {"-3", "2", "3", "-4", "10"}},
    {"{\"type\":\"integer\",\"minimum\":250}",
     {"250", "251", "260", "300", "999", "1000", "123456"},
     {"249", "25", "2", "0", "-250", "-300"}},
    {"{\"type\":\"integer\",\"maximum\":-250}", {"-250", "-251", "-1000"}, {"-249", "250", "0", "-25", "-2"}},
    {"{\"type\":\"integer\",\"minimum\":0.5,\"maximum\":3.5}", {"1", "2", "3"}, {"0", "4", "0.5"}},
    {"{\"type\":\"number\",\"minimum\":0.25,\"maximum\":1.5}",
     {"0.25", "0.250", "0.3", "1", "1.0", "1.49", "1.5", "1.50", "0.9999"},
     {"0.2", "0.249", "0", "1.51", "1.501", "2", "10", "-1", "1e0"}},
    {"{\"type\":\"number\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":1}",
     {"0.5", "0.001", "0.999"},
     {"0", "0.0", "0.000", "1", "1.0", "-0.5"}},
    {"{\"type\":\"number\",\"exclusiveMinimum\":-1.5,\"maximum\":-0.5}",
     {"-0.5", "-1", "-1.49", "-0.51"},
     {"-1.5", "-1.50", "-0.49", "0", "1", "-2"}},
    {"{\"type\":\"integer\",\"minimum\":-9007199254740991,\"maximum\":9007199254740991}",
     {"0", "9007199254740991", "-9007199254740991", "-1"},
     {"9007199254740992", "-9007199254740992", "10000000000000000"}},
    {"{\"type\":\"integer\",\"multipleOf\":7}", {"0", "7", "49", "-14", "7000"}, {"1", "8", "48", "-13"}},
    {"{\"type\":\"integer\",\"multipleOf\":5,\"minimum\":12,\"maximum\":103}",
     {"15", "20", "95", "100"},
     {"12", "10", "13", "103", "105", "5", "0"}},
    {"{\"type\":\"number\",\"multipleOf\":0.01}", {"1", "1.5", "1.25", "0.07", "-3.10"}, {"1.005", "0.001"}},
    {"{\"type\":\"number\",\"multipleOf\":0.25,\"minimum\":0}",
     {"0", "0.25", "1.5", "3.75", "2.0"},
     {"0.1", "0.3", "1.255", "-0.25"}},
    {"{\"type\":\"number\",\"multipleOf\":1}", {"3", "-4"}, {"3.5", "3.0"}},
    {"{\"type\":\"string\"}",
     {"\"\"", "\"a\\n\\u00e9\xC3\xA9\"", "\"\xF0\x9F\x98\x80\""},
     {"\"a", "a", "\"\n\"", "\"\\x\"", "\"\\ud800\"", "\"\xC3\"", "\"\xED\xA0\x80\""}},
    {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
     {"\"ab\"", "\"abc\"", "\"\xC3\xA9\xC3\xA9\"", "\"\\n\\\\\\u0041\""},
     {"\"a\"", "\"abcd\"", "\"\"", "\"\xC3\xA9\""}},
    {"{\"type\":\"string\",\"minLength\":1}", {"\"a\""}, {"\"\""}},
    {"{\"type\":\"string\",\"pattern\":\"^@[a-zA-Z0-9_]+$\"}",
     {"\"@a\"", "\"@Zz_9\""},
     {"\"@\"", "\"a\"", "\"@a-b\""}},
    {"{\"type\":\"string\",\"pattern\":\"b+\"}", {"\"abc\"", "\"b\"", "\"\\\"b\""}, {"\"ac\"", "\"\""}},
    {"{\"type\":\"string\",\"pattern\":\"^(\\\\d{3}-){2}\\\\d{4}$\"}",
     {"\"555-123-4567\""},
     {"\"555-1234567\"", "\"555-123-456\""}},
    {"{\"type\":\"string\",\"pattern\":\"^.\\\"[^a]$\"}",
     {"\"x\\\"b\"", "\"\\\\\\\"\\\\\"", "\"\\\"\\\"\\n\""},
     {"\"x\\\"a\"", "\"x\"b\"", "\"\\n\\\"b\""}},
    {"{\"type\":\"string\",\"pattern\":\"^(?:ab|cd)?e{0,2}$\"}",
     {"\"\"", "\"ab\"", "\"cdee\"", "\"e\""},
     {"\"a\"", "\"eee\"", "\"abcd\""}},
    {"{\"type\":\"string\",\"pattern\":\"^a|b$\"}", {"\"ax\"", "\"xb\""}, {"\"xa\"", "\"bx\""}},
    {"{\"type\":\"string\",\"pattern\":\"^[\\\\w.-]+\\\\s\\u00e9\\\\u00e9$\"}",
     {"\"a.-_ \xC3\xA9\xC3\xA9\""},
     {"\"a \xC3\xA9\"", "\"a! \xC3\xA9\xC3\xA9\""}},
    {"{\"type\":\"string\",\"pattern\":\"^[a-c]{2,3}$\",\"maxLength\":3,\"minLength\":2}",
     {"\"ab\"", "\"abc\""},
     {"\"a\"", "\"abca\""}},
    {"{\"type\":\"string\",\"format\":\"date\"}",
     {"\"2024-01-31\"", "\"1999-02-28\""},
     {"\"2024-02-30\"", "\"2024-13-01\"", "\"2024-04-31\"", "\"2024-1-1\"", "\"2024-00-10\""}},
    {"{\"type\":\"string\",\"format\":\"time\"}",
     {"\"23:59:59Z\"", "\"01:02:03.5+01:00\""},
     {"\"24:00:00Z\"", "\"1:2:3Z\"", "\"10:00:00\""}},
    {"{\"type\":\"string\",\"format\":\"date-time\"}",
     {"\"2024-01-31T10:00:00Z\""},
     {"\"2024-01-31 10:00:00Z\"", "\"2024-01-31\""}},
    {"{\"type\":\"string\",\"format\":\"duration\"}",
     {"\"P3W\"", "\"P1Y2M3D\"", "\"PT5M\"", "\"P1DT1H\""},
     {"\"P\"", "\"PT\"", "\"P1H\"", "\"1D\"", "\"P1YT\""}},
    {"{\"type\":\"string\",\"format\":\"email\"}",
     {"\"a.b@example.org\""},
     {"\"a\"", "\"a@\"", "\"@b.c\"", "\"a@b\"", "\"a..b@c.de\""}},
    {"{\"type\":\"string\",\"format\":\"hostname\"}",
     {"\"example.org\"", "\"a-b\""},
     {"\"-a\"", "\"a-\"", "\"a..b\"", "\"\""}},
    {"{\"type\":\"string\",\"format\":\"ipv4\"}",
     {"\"127.0.0.1\"", "\"255.255.255.255\""},
     {"\"256.0.0.1\"", "\"1.2.3\"", "\"01.2.3.4\""}},
    {"{\"type\":\"string\",\"format\":\"ipv6\"}",
     {"\"::\"", "\"::1\"", "\"fe80::1:2\"", "\"1:2:3:4:5:6:7:8\""},
     {"\":1\"", "\"1::2::3\"", "\"12345::\"", "\"1:2:3\""}},
    {"{\"type\":\"string\",\"format\":\"uuid\"}",
     {"\"123e4567-e89b-12d3-a456-426614174000\""},
     {"\"123e4567\"", "\"123e4567-e89b-12d3-a456-42661417400g\""}},
    {"{\"enum\":[\"a\",\"\\u00e9\\\"\",3,null,{\"x\":[1]}]}",
     {"\"a\"", "\"\xC3\xA9\\\"\"", "3", "null", "{\"x\":[1]}"},
     {"\"b\"", "4", "{}"}},
    {"{\"type\":\"string\",\"enum\":[\"a\",3]}", {"\"a\""}, {"3"}},
    {"{\"const\":\"only\"}", {"\"only\""}, {"\"onl\"", "\"only2\""}},
    {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\",\"maxLength\":1}]}",
     {"12", "\"a\""},
     {"\"ab\"", "true"}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}",
     {"[]", "[1]", "[1,2, 3]"},
     {"[1,]", "[,1]", "[\"a\"]", "1"}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":2,\"maxItems\":3}",
     {"[1,2]", "[1,2,3]"},
     {"[]", "[1]", "[1,2,3,4]"}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"maxItems\":0}", {"[]"}, {"[1]"}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"maxItems\":1}", {"[]", "[1]"}, {"[1,2]"}},
    {OBJECT("\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"}", "\"a\",\"b\""),
     {"{\"a\":1,\"b\":\"x\"}", "{ \"a\": 1, \"b\": \"\" }", "{\n  \"a\":1,\n  \"b\":\"\"\n}"},
     {"{\"a\":1}", "{\"b\":\"\",\"a\":1}", "{\"a\":1,\"b\":\"\",\"c\":1}", "{\"a\":\"1\",\"b\":\"\"}", "{}",
      "{\"a\":1,\"b\":\"\",}"}},
    {OBJECT("", ""), {"{}"}, {"{\"a\":1}", "{"}},
    {OBJECT("\"k\\u00e9\\\"\\n\":{\"type\":\"null\"}", "\"k\\u00e9\\\"\\n\""),
     {"{\"k\xC3\xA9\\\"\\n\":null}"},
     {"{\"k\":null}", "{}"}},
    {OBJECT("\"v\":{\"type\":\"integer\"},\"next\":{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}",
            "\"v\",\"next\""),
     {"{\"v\":1,\"next\":null}", "{\"v\":1,\"next\":{\"v\":2,\"next\":null}}"},
     {"{\"v\":1}", "{\"v\":1,\"next\":{}}", "{\"v\":1,\"next\":{\"v\":\"\",\"next\":null}}"}},
    {"{\"type\":\"object\",\"properties\":{\"t\":{\"$ref\":\"#/$defs/a~1b%20c\"}},\"required\":[\"t\"],"
     "\"additionalProperties\":false,\"$defs\":{\"a/b "
     "c\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/a~1b%20c\"}}}}",
     {"{\"t\":[]}", "{\"t\":[[],[[]]]}"},
     {"{\"t\":[1]}", "{\"t\":{}}"}},
    {"{\"type\":\"object\",\"properties\":{\"x\":{\"$ref\":\"#/$defs/a-b\"},\"y\":{\"$ref\":\"#/$defs/"
     "a_b\"}},"
     "\"required\":[\"x\",\"y\"],\"additionalProperties\":false,\"$defs\":{\"a-b\":{\"type\":\"null\"},\"a_"
     "b\":{\"type\":\"boolean\"}}}",
     {"{\"x\":null,\"y\":true}"},
     {"{\"x\":null,\"y\":null}", "{\"x\":true,\"y\":true}"}},
    /* not in strict mode */
    {"{}", {"1", "{\"a\":[null]}", "\"x\""}, {"{", "a"}},
    {"{\"type\":\"object\"}", {"{}", "{\"a\":{\"b\":[1,\"\"]}}"}, {"[]", "{a:1}"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"},\"c\":{"
     "\"type\":\"null\"}},\"required\":[\"b\"]}",
     {"{\"b\":null}", "{\"a\":null,\"b\":null}", "{\"b\":null,\"c\":null}",
      "{\"a\":null,\"b\":null,\"c\":null}"},
     {"{}", "{\"a\":null}", "{\"c\":null}", "{\"b\":null,}", "{,\"b\":null}"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"}}}",
     {"{}", "{\"a\":null}"},
     {"{\"b\":null}", "{\"a\":1}"}},
    {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}",
     {"{}", "{\"x\":1,\"y\":2}"},
     {"{\"x\":\"1\"}"}},
    {"{\"type\":\"object\",\"properties\":{\"ab\":{\"type\":\"null\"},\"a\":{\"type\":\"null\"}},"
     "\"additionalProperties\":{\"type\":\"integer\"}}",
     {"{}", "{\"ab\":null,\"a\":null,\"b\":1}", "{\"abc\":1}", "{\"\":1}", "{\"a\":null,\"ac\":3}"},
     {"{\"ab\":1}", "{\"a\":1}", "{\"b\":null}", "{\"\\u0061\":1}"}},
    {"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}",
     {"[1,\"a\"]"},
     {"[1]", "[\"a\",1]", "[1,\"a\",2]"}},
    {"{\"allOf\":[{\"type\":\"boolean\"}]}", {"true"}, {"1"}},
    {"{\"minimum\":3,\"maximum\":4}", {"3", "4", "3.5"}, {"2", "5"}},
};

static void test_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        struct grammar *g = grammar_of(kept[i].schema, false);
        yyjson_doc *doc = yyjson_read(kept[i].schema, strlen(kept[i].schema), 0);
        for (size_t k = 0; kept[i].good[k]; k++) {
            if (!follows(g, kept[i].good[k]))
                fail_msg("%s refuses %s", kept[i].schema, kept[i].good[k]);
            const char *why = NULL;
            yyjson_doc *value = yyjson_read(kept[i].good[k], strlen(kept[i].good[k]), 0);
            if (!json_check(yyjson_doc_get_root(doc), yyjson_doc_get_root(doc), yyjson_doc_get_root(value),
                            &why))
                fail_msg("%s: the checker refuses %s: %s", kept[i].schema, kept[i].good[k], why);
            yyjson_doc_free(value);
        }
        for (size_t k = 0; kept[i].bad[k]; k++) {
            if (follows(g, kept[i].bad[k]))
                fail_msg("%s lets %s through", kept[i].schema, kept[i].bad[k]);
        }
        yyjson_doc_free(doc);
        grammar_free(g);
    }
}

/* ---- random walks ---- */

static uint64_t random_next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

/* Goes on by characters that fit, drawn at random, until the text may end; false: it got too long. */
static bool walk(struct grammar *g, uint64_t *seed, struct buf *out)
{
    static const char *const wide[] = {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    struct grammar_place place = grammar_start(g);
    buf_clear(out);
    while (out->len < 600) {
        const char *fit[128];
        char single[128][2];
        size_t n = 0;
        if (grammar_may_end(g, &place) && (grammar_must_end(g, &place) || random_next(seed) % 4 == 0))
            return true;
        for (int c = 1; c < 128 + 3; c++) {
            const int at = c < 128 ? c : 0;
            single[at][0] = (char)at;
            single[at][1] = '\0';
            const char *text = c < 128 ? single[at] : wide[c - 128];
            struct grammar_place next = place;
            if (n < COUNT_OF(fit) && grammar_bytes(g, &next, text, strlen(text)))
                fit[n++] = text;
        }
        if (n == 0)
            return false;
        const char *chosen = fit[random_next(seed) % n];
        /* what closes is drawn more often, or nothing would ever end */
        for (size_t i = 0; i < n; i++) {
            if (strchr("\"]}", fit[i][0]) && random_next(seed) % 3 == 0)
                chosen = fit[i];
        }
        assert_true(grammar_bytes(g, &place, chosen, strlen(chosen)));
        (void)buf_puts(out, chosen);
    }
    return false;
}

static void test_random(void **state)
{
    struct buf text = BUF_INIT;
    uint64_t seed = 7;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        struct grammar *g = grammar_of(kept[i].schema, false);
        yyjson_doc *doc = yyjson_read(kept[i].schema, strlen(kept[i].schema), 0);
        unsigned done = 0;
        for (unsigned round = 0; round < 120; round++) {
            const char *why = NULL;
            if (!walk(g, &seed, &text))
                continue;
            done++;
            yyjson_doc *value = yyjson_read(text.data, text.len, 0);
            if (!value)
                fail_msg("%s gave what is no JSON: %s", kept[i].schema, text.data);
            if (!json_check(yyjson_doc_get_root(doc), yyjson_doc_get_root(doc), yyjson_doc_get_root(value),
                            &why))
                fail_msg("%s gave %s against %s", kept[i].schema, text.data, why);
            yyjson_doc_free(value);
        }
        if (done < 20)
            fail_msg("%s: only %u walks of 120 came to an end", kept[i].schema, done);
        yyjson_doc_free(doc);
        grammar_free(g);
    }
    buf_free(&text);
}

/* ---- what is refused ---- */

static const struct refused {
    bool strict;
    const char *schema, *where, *what;
} refused[] = {
    {true, IN_A("{\"type\":\"object\",\"patternProperties\":{}}"), "/s/properties/a/patternProperties",
     "cannot be enforced"},
    {true, IN_A("{\"oneOf\":[{\"type\":\"null\"}]}"), "/s/properties/a/oneOf", ""},
    {true, IN_A("{\"allOf\":[{\"type\":\"null\"}]}"), "/s/properties/a/allOf", "strict"},
    {true, IN_A("{\"not\":{}}"), "/s/properties/a/not", ""},
    {true, IN_A("{\"if\":{}}"), "/s/properties/a/if", ""},
    {true, IN_A("{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"uniqueItems\":true}"),
     "/s/properties/a/uniqueItems", ""},
    {true, IN_A("{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"contains\":{}}"),
     "/s/properties/a/contains", ""},
    {true, IN_A("{\"type\":\"array\"}"), "/s/properties/a/items", "strict"},
    {true, IN_A("{\"type\":\"array\",\"prefixItems\":[{\"type\":\"null\"}]}"), "/s/properties/a/prefixItems",
     "strict"},
    {true, IN_A("{\"type\":\"array\",\"items\":{\"type\":\"null\",\"x-a\":1}}"), "/s/properties/a/items/x-a",
     ""},
    {true, IN_A("{}"), "/s/properties/a/type", "strict"},
    {true, IN_A("true"), "/s/properties/a", ""},
    {true, "{\"type\":\"object\",\"properties\":{}}", "/s/additionalProperties", "false in strict"},
    {true,
     "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"}},\"required\":[],"
     "\"additionalProperties\":false}",
     "/s/required", "a is missing"},
    {true, "{\"type\":\"array\",\"items\":{\"type\":\"null\"}}", "/s/type", "root"},
    {true, "{\"anyOf\":[{\"type\":\"null\"}]}", "/s/anyOf", "root"},
    {false, "{\"type\":\"object\",\"minProperties\":1}", "/s/minProperties", ""},
    {false, "{\"type\":\"object\",\"propertyNames\":{}}", "/s/propertyNames", ""},
    {false, "{\"type\":\"object\",\"dependentRequired\":{}}", "/s/dependentRequired", ""},
    {false, "{\"type\":\"object\",\"unevaluatedProperties\":false}", "/s/unevaluatedProperties", ""},
    {false, "{\"type\":\"object\",\"required\":[\"b\"]}", "/s/required", "names b"},
    {false, "{\"type\":\"object\",\"properties\":{\"a/b~\":{\"nullable\":true}}}",
     "/s/properties/a~1b~0/nullable", ""},
    {false, "{\"allOf\":[{},{}]}", "/s/allOf", ""},
    {false, "{\"oneOf\":[{},{}]}", "/s/oneOf", ""},
    {false, "{\"type\":\"string\",\"format\":\"uri\"}", "/s/format", ""},
    {false, "{\"type\":\"string\",\"format\":\"email\",\"pattern\":\"a\"}", "/s/format", "together"},
    {false, "{\"type\":\"string\",\"format\":\"email\",\"maxLength\":5}", "/s/maxLength", "longer"},
    {false, "{\"type\":\"string\",\"pattern\":\"a\",\"maxLength\":5}", "/s/maxLength", "longer"},
    {false, "{\"type\":\"string\",\"pattern\":\"^a?$\",\"minLength\":1}", "/s/minLength", "shorter"},
    {false, "{\"type\":\"string\",\"minimum\":1}", "/s/minimum", "type"},
    {false, "{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}", "/s/minLength", ""},
    {false, "{\"type\":\"string\",\"maxLength\":-1}", "/s/maxLength", ""},
    {false, "{\"type\":\"string\",\"maxLength\":100000}", "/s/maxLength", "8192"},
    {false, "{\"type\":\"array\",\"maxItems\":1e9}", "/s/maxItems", ""},
    {false, "{\"type\":\"string\",\"pattern\":\"(?=a)\"}", "/s/pattern", "looking"},
    {false, "{\"type\":\"string\",\"pattern\":\"(?<!a)b\"}", "/s/pattern", "looking"},
    {false, "{\"type\":\"string\",\"pattern\":\"(a)\\\\1\"}", "/s/pattern", "back references"},
    {false, "{\"type\":\"string\",\"pattern\":\"\\\\bword\"}", "/s/pattern", "boundaries"},
    {false, "{\"type\":\"string\",\"pattern\":\"\\\\p{L}\"}", "/s/pattern", "Unicode properties"},
    {false, "{\"type\":\"string\",\"pattern\":\"(a\"}", "/s/pattern", "closed"},
    {false, "{\"type\":\"string\",\"pattern\":\"a)\"}", "/s/pattern", ")"},
    {false, "{\"type\":\"string\",\"pattern\":\"[a\"}", "/s/pattern", "closed"},
    {false, "{\"type\":\"string\",\"pattern\":\"[b-a]\"}", "/s/pattern", "range"},
    {false, "{\"type\":\"string\",\"pattern\":\"*a\"}", "/s/pattern", "repeat"},
    {false, "{\"type\":\"string\",\"pattern\":\"a{99999}\"}", "/s/pattern", "repetitions"},
    {false, "{\"type\":\"string\",\"pattern\":\"a^b\"}", "/s/pattern", "anchor"},
    {false, "{\"type\":\"string\",\"pattern\":5}", "/s/pattern", ""},
    {false, "{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}", "/s/minimum", "above"},
    {false, "{\"type\":\"integer\",\"exclusiveMinimum\":2,\"exclusiveMaximum\":3}", "/s", "no number"},
    {false, "{\"type\":\"integer\",\"multipleOf\":10,\"minimum\":1,\"maximum\":9}", "/s", "no number"},
    {false, "{\"type\":\"integer\",\"multipleOf\":12345}", "/s/multipleOf", "256"},
    {false, "{\"type\":\"integer\",\"multipleOf\":0}", "/s/multipleOf", ""},
    {false, "{\"type\":\"number\",\"minimum\":1e300}", "/s/minimum", "digits"},
    {false, "{\"type\":\"number\",\"minimum\":true}", "/s/minimum", "number"},
    {false, "{\"type\":\"text\"}", "/s/type", ""},
    {false, "{\"type\":[]}", "/s/type", ""},
    {false, "{\"enum\":[]}", "/s/enum", ""},
    {false, "{\"type\":\"string\",\"enum\":[1]}", "/s/enum", ""},
    {false, "{\"type\":\"string\",\"const\":1}", "/s/const", ""},
    {false, "{\"enum\":[1],\"minimum\":1}", "/s/minimum", "enum"},
    {false, "{\"anyOf\":[]}", "/s/anyOf", ""},
    {false, "{\"anyOf\":[{}],\"type\":\"string\"}", "/s/type", "anyOf"},
    {false, "{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"string\",\"format\":\"x\"}]}", "/s/anyOf/1/format",
     ""},
    {false, "{\"$ref\":\"#/nowhere\"}", "/s/$ref", "nowhere"},
    {false, "{\"$ref\":\"other.json\"}", "/s/$ref", "into this schema"},
    {false, "{\"$ref\":\"#anchor\"}", "/s/$ref", "into this schema"},
    {false, "{\"$ref\":\"#\"}", "/s", "itself"},
    {false,
     "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"$ref\":\"#/$defs/a\"}}}",
     "/s", "itself"},
    {false, "{\"$ref\":\"#/$defs/a\",\"type\":\"object\",\"$defs\":{\"a\":{}}}", "/s/type", "$ref"},
    {false, "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"items\":{\"not\":{}}}}}", "/s/$defs/a/items/not",
     ""},
    {false, "{\"properties\":{},\"items\":{}}", "/s/type", "several"},
    {false, "{\"items\":false,\"minItems\":1}", "/s/items", ""},
    {false, "[1]", "/s", ""},
    {false, "{\"$id\":\"x\",\"items\":{\"$id\":\"y\"}}", "/s/items/$id", ""},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct buf out = BUF_INIT;
        struct request_fault fault;
        if (convert(refused[i].schema, refused[i].strict, &out, &fault))
            fail_msg("%s was accepted", refused[i].schema);
        assert_string_equal(fault.code, "invalid_schema");
        if (strcmp(fault.param, refused[i].where) != 0 || !strstr(fault.text, refused[i].what))
            fail_msg("%s: at %s: %s", refused[i].schema, fault.param, fault.text);
        buf_free(&out);
    }
}

/* ---- bounds ---- */

static void expect(const char *schema, bool strict, const char *text)
{
    struct buf out = BUF_INIT;
    struct request_fault fault;
    const bool ok = convert(schema, strict, &out, &fault);
    buf_free(&out);
    if (text ? ok || !strstr(fault.text, text) : !ok)
        fail_msg("%.100s…: %s", schema, ok ? "accepted" : fault.text);
}

static void nested(struct buf *b, unsigned depth, bool objects)
{
    buf_clear(b);
    for (unsigned i = 0; i < depth; i++)
        (void)buf_puts(b, objects ? "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"a\"]"
                                    ",\"properties\":{\"a\":"
                                  : "{\"type\":\"array\",\"items\":");
    (void)buf_puts(b, "{\"type\":\"null\"}");
    for (unsigned i = 0; i < depth; i++)
        (void)buf_puts(b, objects ? "}}" : "}");
}

static void test_bounds(void **state)
{
    struct buf b = BUF_INIT;
    (void)state;
    nested(&b, 10, true);
    expect(b.data, true, NULL);
    nested(&b, 11, true);
    expect(b.data, true, "more than 10 deep");
    nested(&b, 60, false);
    expect(b.data, false, NULL);
    nested(&b, 65, false);
    expect(b.data, false, "more than 64 deep");
    nested(&b, 100000, false);
    expect(b.data, false, "more than 64 deep");

    buf_clear(&b);
    (void)buf_puts(&b, "{\"enum\":[0");
    for (int i = 1; i < 1001; i++)
        (void)buf_printf(&b, ",%d", i);
    (void)buf_puts(&b, "]}");
    expect(b.data, false, "1000 values");

    buf_clear(&b);
    (void)buf_puts(&b, "{\"type\":\"object\",\"properties\":{\"p\":{}");
    for (int i = 0; i < 5000; i++)
        (void)buf_printf(&b, ",\"p%d\":{}", i);
    (void)buf_puts(&b, "}}");
    expect(b.data, false, "5000 properties");

    buf_clear(&b); /* a chain of references takes no stack */
    (void)buf_puts(&b, "{\"$ref\":\"#/$defs/0\",\"$defs\":{");
    for (int i = 0; i < 4000; i++)
        (void)buf_printf(&b, "\"%d\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/%d\"}},", i, i + 1);
    (void)buf_puts(&b, "\"4000\":{\"type\":\"null\"}}}");
    expect(b.data, false, NULL);

    expect("{\"type\":\"string\",\"pattern\":\"^((a{900}){900}){900}$\"}", false,
           NULL); /* rules, not copies */
    expect("{\"type\":\"array\",\"maxItems\":8192,\"items\":{\"type\":\"string\",\"maxLength\":8192}}", false,
           NULL);
    expect("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"multipleOf\":251},\"b\":{"
           "\"type\":"
           "\"integer\",\"multipleOf\":241},\"c\":{\"type\":\"integer\",\"multipleOf\":239},\"d\":{\"type\":"
           "\"integer\","
           "\"multipleOf\":233}}}",
           false, "too large");
    buf_free(&b);
}

static void test_tools(void **state)
{
    static const struct {
        const char *schema, *where;
    } cases[] = {
        {IN_A("{\"type\":\"integer\",\"minimum\":1,\"maximum\":9}"), NULL},
        {IN_A("{\"type\":\"string\",\"pattern\":\"^[a-z]+$\"}"), NULL},
        {IN_A("{\"type\":\"string\",\"pattern\":\"^[a-z]\\\\d$\"}"), "/s/properties/a/pattern"},
        {IN_A("{\"type\":\"string\",\"pattern\":\"^a.b$\"}"), "/s/properties/a/pattern"},
        {IN_A("{\"type\":\"string\",\"format\":\"email\"}"), "/s/properties/a/format"},
        {IN_A("{\"type\":\"number\",\"minimum\":1}"), "/s/properties/a/minimum"},
        {IN_A("{\"type\":\"integer\",\"multipleOf\":2}"), "/s/properties/a/multipleOf"},
        {IN_A("{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}"), "/s/properties/a/anyOf/0/$ref"},
        {IN_A("{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":[\"a\",1]}}"),
         "/s/properties/a/items/enum"},
        {IN_A("{\"type\":\"object\"}"), "/s/properties/a/additionalProperties"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct request_fault fault = {0};
        yyjson_doc *doc = yyjson_read(cases[i].schema, strlen(cases[i].schema), 0);
        const bool ok = schema_check(yyjson_doc_get_root(doc), true, "/s", &fault);
        if (ok != !cases[i].where || (!ok && strcmp(fault.param, cases[i].where) != 0))
            fail_msg("%s: %s %s", cases[i].schema, fault.param, fault.text);
        yyjson_doc_free(doc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),   cmocka_unit_test(test_random), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds), cmocka_unit_test(test_tools),
    };
    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* the checker's expressions are of characters */
    return cmocka_run_group_tests_name("engine/schema", tests, NULL, NULL);
}
