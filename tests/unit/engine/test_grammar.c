/* Grammars: reading GBNF, following it by characters and by tokens, and answers of the guide model that are
 * held to one. */
#include "harness.h"
#include "json_check.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "engine/constraint.h"
#include "engine/engine_internal.h"
#include "engine/grammar_internal.h"
#include "engine/schema.h"

/* ---- reading ---- */

static const struct {
    const char *gbnf;
    const char *good[8], *bad[8];
} kept[] = {
    {"root ::= \"a\"", {"a"}, {"", "b", "aa"}},
    {"root ::= \"\"", {""}, {"a"}},
    {"root ::= [a-c]+ # a comment\n", {"a", "cba"}, {"", "d"}},
    {"root ::= [^a-c\\n]{2}", {"xy", "\xC3\xA9z"}, {"x", "ax", "x\n", "xyz"}},
    {"root ::= \"x\"{2,4}", {"xx", "xxxx"}, {"x", "xxxxx"}},
    {"root ::= \"x\"{2,} \"y\"?", {"xx", "xxxxxxy"}, {"x", "y", "xxyy"}},
    {"root ::= \"ab\"*", {"", "abab"}, {"a", "aba"}},
    {"root ::= (\"a\" | b)* \"!\"\nb ::= \"b\" \"c\"\n", {"!", "abc!", "bca!"}, {"b!", "a"}},
    {"root ::= a\na ::= \"(\" a \")\" | \"\"", {"", "()", "((()))"}, {"(", "(()", "())"}},
    {"root ::= \"\\x41\\u00e9\\U0001F600\\\"\\\\\\n\"", {"A\xC3\xA9\xF0\x9F\x98\x80\"\\\n"}, {"A"}},
    {"root ::= .", {"a", "\xE2\x82\xAC"}, {"", "ab"}},
    {"root ::= (\"a\"*)* \"b\"", {"b", "aab"}, {"a"}},
    {"root ::= (ws ws)* \"x\"\nws ::= \" \"?", {"x", "   x"}, {" "}},
    {"root ::= \"a\" |\n  \"b\"", {"a", "b"}, {"ab"}},
    {"root ::= (\n\"a\"\n|\n\"b\"\n)", {"a", "b"}, {""}},
    {"root ::= [\\]\\-x]", {"]", "-", "x"}, {"\\"}},
    {"root ::= [a-]", {"a", "-"}, {"b"}},
    {"root ::= \"a\"{0,3000} \"b\"", {"b", "aab"}, {"a"}},
};

static struct grammar *grammar_read(const char *gbnf)
{
    struct gbnf *rules = NULL;
    struct gbnf_fault why;
    if (gbnf_compile(gbnf, strlen(gbnf), NULL, &rules, &why) != 0)
        fail_msg("%s: line %zu, column %zu: %s", gbnf, why.line, why.column, why.text);
    struct grammar *g = grammar_new(rules, NULL);
    assert_non_null(g);
    return g;
}

static bool follows(struct grammar *g, const char *text)
{
    struct grammar_place place = grammar_start(g);
    return grammar_bytes(g, &place, text, strlen(text)) && grammar_may_end(g, &place);
}

static void test_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        struct grammar *g = grammar_read(kept[i].gbnf);
        for (size_t k = 0; kept[i].good[k]; k++) {
            if (!follows(g, kept[i].good[k]))
                fail_msg("%s refuses %s", kept[i].gbnf, kept[i].good[k]);
        }
        for (size_t k = 0; kept[i].bad[k]; k++) {
            if (follows(g, kept[i].bad[k]))
                fail_msg("%s lets %s through", kept[i].gbnf, kept[i].bad[k]);
        }
        grammar_free(g);
    }
}

static const struct {
    const char *gbnf;
    size_t line, column;
    const char *what;
} broken[] = {
    {"", 0, 0, "no rule named root"},
    {"a ::= \"x\"", 0, 0, "no rule named root"},
    {"root ::= ", 1, 10, NULL}, /* as llama.cpp: nothing, which is allowed */
    {"root = \"a\"", 1, 6, "::="},
    {"root ::= \"a", 1, 10, "never closed"},
    {"root ::= [a", 1, 12, "ends inside"},
    {"root ::= []", 1, 10, "empty class"},
    {"root ::= [b-a]", 1, 14, "before it begins"},
    {"root ::= (\"a\"", 1, 10, "never closed"},
    {"root ::= (\"a\" }", 1, 15, ") is missing"},
    {"root ::= \"a\"\nx ::= *", 2, 7, "nothing to repeat"},
    {"root ::= \"\\q\"", 1, 11, "unknown escape"},
    {"root ::= \"\\u00g0\"", 1, 15, "hexadecimal"},
    {"root ::= \"a\"{3,2}", 1, 17, "less than its least"},
    {"root ::= \"a\"{x}", 1, 14, "number is missing"},
    {"root ::= \"a\"{99999999999}", 1, 19, "too many"},
    {"root ::= b\n", 1, 1, "b is used here and defined nowhere"},
    {"root ::= \"a\"\nroot ::= \"b\"", 2, 1, "defined twice"},
    {"root ::= \"a\" $", 1, 14, "does not belong"},
    {"root ::= root \"a\" | \"b\"", 1, 1, "left-recursive"},
    {"root ::= root", 1, 1, "left-recursive"},
    {"root ::= a\na ::= b \"x\"\nb ::= c a\nc ::= d\nd ::= \"\" | \"y\"", 2, 1,
     "left-recursive"}, /* through what may be nothing */
    {"root ::= (root)? \"x\"", 1, 1, "left-recursive"},
    {"root ::= \"\xFF\"", 1, 11, "UTF-8"},
    {"root ::= <[12]>", 1, 10, "tokens cannot be named"},
};

static void test_broken(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        struct gbnf *g = NULL;
        struct gbnf_fault why;
        const int rc = gbnf_compile(broken[i].gbnf, strlen(broken[i].gbnf), NULL, &g, &why);
        if (broken[i].what ? rc == 0 : rc != 0)
            fail_msg("%s: %d %s", broken[i].gbnf, rc, why.text);
        if (broken[i].what && (why.line != broken[i].line || why.column != broken[i].column ||
                               !strstr(why.text, broken[i].what)))
            fail_msg("%s: line %zu, column %zu: %s", broken[i].gbnf, why.line, why.column, why.text);
        gbnf_free(g);
    }
    struct gbnf *g = NULL;
    struct gbnf_fault why;
    assert_int_equal(gbnf_compile("root ::= \"\0\"", 12, NULL, &g, &why), VX11_ESYNTAX);
}

/* Grammars that take llama.cpp's own reader for ever, or out of memory. */
static void test_bounds(void **state)
{
    struct buf b = BUF_INIT;
    struct gbnf *g = NULL;
    struct gbnf_fault why;
    (void)state;
    (void)buf_puts(&b, "root ::= r0\n");
    for (int i = 0; i < 200; i++)
        (void)buf_printf(&b, "r%d ::= r%d | r%d\n", i, i + 1, i + 1);
    (void)buf_puts(&b, "r200 ::= \"y\"\n");
    assert_int_equal(gbnf_compile(b.data, b.len, NULL, &g, &why), 0);
    struct grammar *m = grammar_new(g, NULL);
    assert_non_null(m);
    assert_true(follows(m, "y"));
    grammar_free(m);

    buf_clear(&b); /* 2^200 ways to begin */
    (void)buf_puts(&b, "root ::= r0\n");
    for (int i = 0; i < 200; i++)
        (void)buf_printf(&b, "r%d ::= r%d | r%d \"x\"\n", i, i + 1, i + 1);
    (void)buf_puts(&b, "r200 ::= \"y\"\n");
    assert_int_equal(gbnf_compile(b.data, b.len, NULL, &g, &why), 0);
    assert_null(grammar_new(g, NULL));
    gbnf_free(g);

    buf_clear(&b);
    (void)buf_puts(&b, "root ::= ");
    for (int i = 0; i < 100; i++)
        (void)buf_putc(&b, '(');
    assert_int_equal(gbnf_compile(b.data, b.len, NULL, &g, &why), VX11_ETOO_LARGE);

    buf_clear(&b);
    (void)buf_puts(&b, "root ::= ");
    for (int i = 0; i < 20; i++)
        (void)buf_puts(&b, "[a-z]{200000} ");
    assert_int_equal(gbnf_compile(b.data, b.len, NULL, &g, &why), VX11_ETOO_LARGE);

    /* Ambiguity: 2^n ways after n letters are one error, not all the memory. */
    m = grammar_read("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"d\"");
    struct grammar_place place = grammar_start(m);
    int n = 0;
    while (n < 64 && grammar_bytes(m, &place, "a", 1))
        n++;
    assert_true(n > 8 && n < 20);
    assert_non_null(grammar_overflow(m));
    grammar_free(m);

    /* Depth is bounded too. */
    m = grammar_read("root ::= \"(\" root \")\" | \"x\"");
    place = grammar_start(m);
    for (n = 0; n < (1 << 21) && grammar_bytes(m, &place, "(", 1); n++)
        ;
    assert_true(n > 100000 && n < (1 << 21));
    assert_non_null(grammar_overflow(m));
    grammar_free(m);
    buf_free(&b);
}

/* ---- tokens ---- */

static bool bit(const uint64_t *bits, llama_token t)
{
    return bits[t / 64] >> (t % 64) & 1;
}

/* The set of tokens, by the tree, is what each token by itself says. */
static void test_tokens(void **state)
{
    static const char *const grammars[] = {
        "root ::= [a-z ]+ \".\"", "root ::= \"{\" [^\"]* \"}\"",
        "root ::= \"\xC3\xA9\" | \"\xE2\x82\xAC\" | [\xF0\x9F\x98\x80-\xF0\x9F\x98\x8F]", "root ::= .*",
        "root ::= \"the\" (\" \" [a-z]+)*"};
    struct model *m = harness_model(1, 256, 64);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(grammars); i++) {
        struct grammar *g = NULL;
        assert_int_equal(grammar_take(m->grammars, m, grammars[i], &g, NULL), 0);
        struct grammar_place place = grammar_start(g);
        for (int step = 0; step < 6; step++) {
            const uint64_t *bits = grammar_tokens(g, &place);
            assert_non_null(bits);
            llama_token next = -1;
            for (llama_token t = 0; t < m->vocabulary; t++) {
                struct grammar_place after = place;
                const char *bytes = NULL;
                size_t len = 0;
                const bool text = grammar_piece(g, t, &bytes, &len);
                const bool fits = llama_vocab_is_eog(m->vocab, t)
                                      ? grammar_may_end(g, &place)
                                      : text && grammar_bytes(g, &after, bytes, len);
                assert_int_equal(fits, bit(bits, t));
                if (fits && text && (next < 0 || t % 7 == step))
                    next = t;
            }
            if (next < 0)
                break;
            const char *bytes = NULL;
            size_t len = 0;
            assert_true(grammar_piece(g, next, &bytes, &len) && grammar_token(g, &place, next, bytes, len));
        }
        grammar_release(g);
    }
    model_free(m);
}

/* A token that the grammar names, by number and by text. */
static void test_named_tokens(void **state)
{
    struct model *m = harness_model(1, 256, 64);
    const llama_token end =
        llama_vocab_eot(m->vocab) >= 0 ? llama_vocab_eot(m->vocab) : llama_vocab_eos(m->vocab);
    struct buf name = BUF_INIT, text = BUF_INIT;
    struct grammar *g = NULL;
    struct error err = {0};
    llama_token control = -1;
    (void)state;
    for (llama_token t = 0; t < m->vocabulary && control < 0; t++) {
        if (llama_vocab_is_control(m->vocab, t) && !llama_vocab_is_eog(m->vocab, t))
            control = t;
    }
    assert_true(control >= 0 && end >= 0);
    assert_int_equal(token_append_text(m, control, true, &name), 0);
    (void)buf_printf(&text, "root ::= \"a\" <[%d]> \"b\" !<[%d]> \"c\"", (int)control, (int)control);
    if (grammar_take(m->grammars, m, text.data, &g, &err) != 0)
        fail_msg("%s", err.text);
    struct grammar_place place = grammar_start(g);
    assert_false(bit(grammar_tokens(g, &place), control));
    assert_true(grammar_bytes(g, &place, "a", 1));
    const uint64_t *bits = grammar_tokens(g, &place);
    for (llama_token t = 0; t < m->vocabulary; t++)
        assert_int_equal(bit(bits, t), t == control);
    assert_true(grammar_token(g, &place, control, NULL, 0));
    assert_true(grammar_bytes(g, &place, "b", 1));
    assert_false(bit(grammar_tokens(g, &place), control));
    grammar_release(g);

    buf_clear(&text);
    (void)buf_printf(&text, "root ::= %s \"b\"", name.data);
    assert_int_equal(name.data[0], '<');
    assert_int_equal(grammar_take(m->grammars, m, text.data, &g, &err), 0);
    place = grammar_start(g);
    assert_true(bit(grammar_tokens(g, &place), control));
    grammar_release(g);
    assert_int_equal(grammar_take(m->grammars, m, "root ::= <two words>", &g, &err), VX11_ESYNTAX);
    assert_int_equal(grammar_take(m->grammars, m, "root ::= <[99999999]>", &g, &err), VX11_ESYNTAX);
    buf_free(&name);
    buf_free(&text);
    model_free(m);
}

/* ---- answers ---- */

static void answer_to(struct harness *h, const char *question, const struct sampling_grammar *grammar,
                      double temperature, uint32_t seed, int64_t max_tokens, unsigned choices,
                      struct answer *out)
{
    struct tokens prompt = TOKENS_INIT;
    harness_chat(h->model, question, &prompt);
    struct generation_options o = harness_greedy(&prompt);
    o.sampling.temperature = (float)temperature;
    o.sampling.has_seed = true;
    o.sampling.seed = seed;
    o.sampling.grammar = *grammar;
    o.max_tokens = max_tokens;
    o.choices = choices;
    *out = (struct answer){0};
    assert_int_equal(harness_submit(h, &o, out, NULL), 0);
    harness_wait(h, out, 1);
    tokens_free(&prompt);
}

static int start(void **state)
{
    *state = harness_start(4, 0, 16);
    return 0;
}

static int stop(void **state)
{
    harness_stop(*state);
    return 0;
}

static void test_answer(void **state)
{
    struct answer a;
    struct sampling_grammar g = {.gbnf = "root ::= \"port \" [0-9]{4}"};
    answer_to(*state, "Which port is switch on?", &g, 0, 0, 0, 1, &a);
    if (a.end == FINISH_FAILED)
        fail_msg("%s", a.error.text);
    assert_int_equal(a.text[0].len, 9);
    assert_memory_equal(a.text[0].data, "port 80", 7);
    assert_int_equal(a.finish[0], FINISH_STOP);
    answer_free(&a);
    g.gbnf = "root ::= \"yes\" | \"no\"";
    for (uint32_t seed = 0; seed < 8; seed++) {
        answer_to(*state, "Which port is switch on?", &g, 1.5, seed, 0, 3, &a);
        for (int i = 0; i < 3; i++) {
            assert_true(strcmp(a.text[i].data, "yes") == 0 || strcmp(a.text[i].data, "no") == 0);
            assert_int_equal(a.finish[i], FINISH_STOP);
        }
        answer_free(&a);
    }
    g.gbnf = "root ::= [a-z]+"; /* cut by the limit: what is there fits so far */
    answer_to(*state, "Which port is switch on?", &g, 1, 3, 5, 1, &a);
    for (const char *p = a.text[0].data; *p; p++)
        assert_true(*p >= 'a' && *p <= 'z');
    answer_free(&a);
}

/* What no token goes on with is an error, and so is a grammar that cannot be read; others are not disturbed.
 */
static void test_dead_end(void **state)
{
    struct answer a;
    struct sampling_grammar g = {.gbnf = "root ::= \"a\" dead\ndead ::= none none dead\nnone ::= \"\""};
    answer_to(*state, "Hello", &g, 0, 0, 0, 1, &a);
    assert_int_equal(a.end, FINISH_FAILED);
    assert_non_null(strstr(a.error.text, "continues the grammar"));
    answer_free(&a);
    g.gbnf = "root ::= (";
    answer_to(*state, "Hello", &g, 0, 0, 0, 1, &a);
    assert_int_equal(a.end, FINISH_FAILED);
    assert_non_null(strstr(a.error.text, "line 1, column 10"));
    answer_free(&a);
    g = (struct sampling_grammar){0};
    answer_to(*state, "Which port is switch on?", &g, 0, 0, 0, 1, &a);
    assert_non_null(strstr(a.text[0].data, "8002"));
    answer_free(&a);
}

static void test_begun(void **state)
{
    struct answer a;
    struct sampling_grammar g = {.gbnf = "root ::= \"<|im_start|>assistant\\nport \" [0-9]{4}",
                                 .begun = "<|im_start|>assistant\nport "};
    answer_to(*state, "Which port is switch on?", &g, 0, 0, 0, 1, &a);
    assert_int_equal(a.text[0].len, 4);
    answer_free(&a);
    g.begun = "something else";
    answer_to(*state, "Which port is switch on?", &g, 0, 0, 0, 1, &a);
    assert_int_equal(a.end, FINISH_FAILED);
    answer_free(&a);
}

static void test_lazy(void **state)
{
    static const char *const word[] = {"port"}, *const full[] = {"^[\\s\\S]*(port)$"},
                             *const never[] = {"zzz"};
    struct answer free_answer, a;
    struct sampling_grammar none = {0}, g = {.gbnf = "root ::= \"port\" \" \"? \"#\" [0-9]{2}",
                                             .lazy = true,
                                             .trigger_patterns = word,
                                             .trigger_pattern_count = 1};
    answer_to(*state, "Which port is switch on?", &none, 0, 0, 0, 1, &free_answer);
    const char *at = strstr(free_answer.text[0].data, "port");
    assert_non_null(at);
    const size_t before = (size_t)(at - free_answer.text[0].data);
    for (int i = 0; i < 2; i++) {
        g.trigger_patterns = i == 0 ? word : full;
        answer_to(*state, "Which port is switch on?", &g, 0, 0, 0, 1, &a);
        assert_memory_equal(a.text[0].data, free_answer.text[0].data, before);
        assert_non_null(strchr(a.text[0].data + before, '#'));
        assert_true(a.text[0].len >= before + 7 && a.text[0].len <= before + 8);
        answer_free(&a);
    }
    g.trigger_patterns = never;
    answer_to(*state, "Which port is switch on?", &g, 0, 0, 0, 1, &a);
    assert_string_equal(a.text[0].data, free_answer.text[0].data);
    answer_free(&a);

    g = (struct sampling_grammar){.gbnf = "root ::= \"!\" [0-9]{3}", .after = "port"};
    answer_to(*state, "Which port is switch on?", &g, 0, 0, 0, 1, &a);
    assert_memory_equal(a.text[0].data, free_answer.text[0].data, before + 4);
    assert_int_equal(a.text[0].data[before + 4], '!');
    assert_int_equal(a.text[0].len, before + 8);
    answer_free(&a);

    static const char *const bad[] = {"(["};
    g = (struct sampling_grammar){
        .gbnf = "root ::= \"a\"", .lazy = true, .trigger_patterns = bad, .trigger_pattern_count = 1};
    answer_to(*state, "Which port is switch on?", &g, 0, 0, 0, 1, &a);
    assert_int_equal(a.end, FINISH_FAILED);
    answer_free(&a);
    answer_free(&free_answer);
}

/* Stop strings go before the grammar's end; a stop string that never comes does not matter. */
static void test_stops(void **state)
{
    struct harness *h = *state;
    struct tokens prompt = TOKENS_INIT;
    static const char *const stops[] = {"80", "zzz"};
    struct answer a = {0};
    harness_chat(h->model, "Which port is switch on?", &prompt);
    struct generation_options o = harness_greedy(&prompt);
    o.sampling.grammar.gbnf = "root ::= \"port \" [0-9]{4}";
    o.stops = stops;
    o.stop_count = 2;
    assert_int_equal(harness_submit(h, &o, &a, NULL), 0);
    harness_wait(h, &a, 1);
    assert_string_equal(a.text[0].data, "port ");
    assert_int_equal(a.finish[0], FINISH_STOP);
    answer_free(&a);
    tokens_free(&prompt);
}

/* Log-probabilities stay the model's own: the drawn token need not be the likeliest. */
static void test_logprobs(void **state)
{
    struct harness *h = *state;
    struct tokens prompt = TOKENS_INIT;
    struct answer a = {0};
    harness_chat(h->model, "Which port is switch on?", &prompt);
    struct generation_options o = harness_greedy(&prompt);
    o.sampling.grammar.gbnf = "root ::= \"#\" [0-9]{2}";
    o.logprobs = true;
    o.top_logprobs = 3;
    assert_int_equal(harness_submit(h, &o, &a, NULL), 0);
    harness_wait(h, &a, 1);
    assert_true(a.logprobs >= 2);
    assert_true(a.chosen_logprob < -1);
    answer_free(&a);
    tokens_free(&prompt);
}

/* Every kind of value, by the model, at temperature 1, against the checker. */
static void test_schemas(void **state)
{
    static const char *const schemas[] = {
        "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":12},\"port\":{"
        "\"type\":\"integer\",\"minimum\":1,\"maximum\":65535},"
        "\"on\":{\"type\":\"boolean\"},\"note\":{\"type\":[\"string\",\"null\"],\"maxLength\":8}},"
        "\"required\":[\"name\",\"port\",\"on\",\"note\"],\"additionalProperties\":false}",
        "{\"type\":\"object\",\"properties\":{\"k\xC3\xA9y "
        "\\\"q\\\"\":{\"enum\":[\"\xC3\xA9t\xC3\xA9\",\"\xE2\x82\xAC "
        "5\",\"\xF0\x9F\x98\x80\",7,null]}},\"required\":[\"k\xC3\xA9y "
        "\\\"q\\\"\"],\"additionalProperties\":false}",
        "{\"type\":\"array\",\"items\":{\"type\":\"number\",\"minimum\":-1.5,\"maximum\":2.25},\"minItems\":"
        "2,\"maxItems\":4}",
        "{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"multipleOf\":3,\"exclusiveMaximum\":100},"
        "\"minItems\":1,\"maxItems\":3}",
        "{\"type\":\"string\",\"pattern\":\"^[A-Z]{2}-\\\\d{1,3}(?:x|y)?$\"}",
        "{\"type\":\"string\",\"format\":\"date-time\"}",
        "{\"type\":\"string\",\"format\":\"uuid\"}",
        "{\"type\":\"string\",\"format\":\"ipv4\"}",
        "{\"type\":\"string\",\"format\":\"ipv6\"}",
        "{\"type\":\"string\",\"format\":\"email\"}",
        "{\"type\":\"string\",\"format\":\"duration\"}",
        "{\"type\":\"string\",\"format\":\"hostname\"}",
        "{\"type\":\"string\",\"format\":\"time\"}",
        "{\"anyOf\":[{\"type\":\"integer\",\"minimum\":10,\"maximum\":20},{\"const\":\"none\"}]}",
        "{\"type\":\"object\",\"properties\":{\"v\":{\"enum\":[1,2]},\"sub\":{\"type\":\"array\","
        "\"maxItems\":2,\"items\":{\"$ref\":\"#\"}}},\"required\":[\"v\",\"sub\"],\"additionalProperties\":"
        "false}",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"boolean\"}},"
        "\"required\":[\"b\"],\"additionalProperties\":{\"type\":\"null\"}}",
    };
    unsigned ended = 0, asked = 0;
    for (size_t i = 0; i < COUNT_OF(schemas); i++) {
        struct buf gbnf = BUF_INIT;
        struct request_fault fault = {0};
        yyjson_doc *doc = yyjson_read(schemas[i], strlen(schemas[i]), 0);
        yyjson_val *root = yyjson_doc_get_root(doc);
        if (!schema_to_gbnf(root, false, "/s", &gbnf, &fault))
            fail_msg("%s: %s", fault.param, fault.text);
        for (uint32_t seed = 1; seed <= 3; seed++) {
            const struct sampling_grammar g = {.gbnf = gbnf.data};
            struct answer a;
            answer_to(*state, "Tell me about switch.", &g, 1, seed, 160, 2, &a);
            if (a.end == FINISH_FAILED)
                fail_msg("%s: %s", schemas[i], a.error.text);
            for (int k = 0; k < 2; k++, asked++) {
                const char *why = NULL;
                if (a.finish[k] != FINISH_STOP)
                    continue;
                ended++;
                yyjson_doc *value = yyjson_read(a.text[k].data, a.text[k].len, 0);
                if (!value || !json_check(root, root, yyjson_doc_get_root(value), &why))
                    fail_msg("%s gave %s: %s", schemas[i], a.text[k].data, value ? why : "no JSON");
                yyjson_doc_free(value);
            }
            answer_free(&a);
        }
        buf_free(&gbnf);
        yyjson_doc_free(doc);
    }
    if (ended * 4 < asked * 3)
        fail_msg("only %u of %u answers came to an end", ended, asked);
}

/* A copy of a sampler goes on from where it was made, on its own. */
static void test_clone(void **state)
{
    struct model *m = harness_model(1, 256, 64);
    struct sampling s = SAMPLING_DEFAULT;
    (void)state;
    s.temperature = 0;
    s.grammar.gbnf = "root ::= \"abc\" [0-9]";
    struct sampler *one = sampler_create(m, &s, 0), *two = sampler_clone(one);
    assert_non_null(two);
    assert_false(sampler_finished(one));
    sampler_destroy(one);
    assert_false(sampler_finished(two));
    sampler_destroy(two);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_named_tokens),
        cmocka_unit_test(test_clone),
        cmocka_unit_test_setup_teardown(test_answer, start, stop),
        cmocka_unit_test_setup_teardown(test_dead_end, start, stop),
        cmocka_unit_test_setup_teardown(test_begun, start, stop),
        cmocka_unit_test_setup_teardown(test_lazy, start, stop),
        cmocka_unit_test_setup_teardown(test_stops, start, stop),
        cmocka_unit_test_setup_teardown(test_logprobs, start, stop),
        cmocka_unit_test_setup_teardown(test_schemas, start, stop),
    };
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests_name("engine/grammar", tests, NULL, NULL);
}
