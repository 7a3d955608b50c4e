/* The cache of replies: which requests are the same, what is kept, how much of it and for how long, and that
 * a stream and a whole reply turn into each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "switch/cache/cache.h"

/* ---- keys ---- */

static int key_in(const char *json, struct cache_ask ask, unsigned char out[CACHE_KEY_LEN])
{
    struct arena *a = arena_create(0);
    struct contract_error bad;
    yyjson_val *root = NULL;
    if (contract_json_parse(a, json, strlen(json), NULL, &root, &bad) != 0)
        fail_msg("%s: %s", json, bad.text);
    ask.body = root;
    int rc = cache_key(&ask, out);
    arena_destroy(a);
    return rc;
}

static int key_of(const char *json, unsigned char out[CACHE_KEY_LEN])
{
    return key_in(json, (struct cache_ask){.kind = CACHE_CHAT, .scope = "", .model = "m"}, out);
}

static void same(const char *a, const char *b, bool expected)
{
    unsigned char x[CACHE_KEY_LEN], y[CACHE_KEY_LEN];
    assert_int_equal(key_of(a, x), 0);
    assert_int_equal(key_of(b, y), 0);
    if ((memcmp(x, y, sizeof x) == 0) != expected)
        fail_msg("%s: %s and %s", expected ? "not the same" : "the same", a, b);
}

#define T "\"temperature\":0,"

static void test_what_is_the_same(void **state)
{
    (void)state;
    same("{" T "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
         "{\"messages\":[{\"content\":\"hi\",\"role\":\"user\"}],\"temperature\":0.0}", true);
    same("{" T "\"messages\":[],\"max_tokens\":10}", "{" T "\"max_tokens\":1e1,\"messages\":[]}", true);
    same("{" T "\"a\":-0.0}", "{" T "\"a\":0}", true);
    same("{" T "\"a\":\"\\u00e9\"}", "{" T "\"a\":\"é\"}", true);
    same("{" T "\"a\":\"\\/\\u0041\"}", "{" T "\"a\":\"/A\"}", true);
    same("{" T "\"a\":0.1}", "{" T "\"a\":1e-1}", true);
    /* says nothing of the answer */
    same("{" T "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"user\":\"u\",\"metadata\":{},"
         "\"model\":\"x\",\"keep_alive\":5}",
         "{" T "\"stream\":false}", true);
    /* holds anyway */
    same("{" T "\"n\":1,\"top_p\":1.0,\"stop\":null,\"tools\":[],\"presence_penalty\":0,\"logprobs\":false,"
         "\"tool_choice\":\"auto\",\"response_format\":{\"type\":\"text\"},\"logit_bias\":{}}",
         "{\"temperature\":0}", true);
}

static void test_what_is_different(void **state)
{
    (void)state;
    same("{" T "\"a\":1}", "{" T "\"a\":2}", false);
    same("{" T "\"a\":1}", "{" T "\"a\":\"1\"}", false);
    same("{" T "\"a\":1}", "{" T "\"a\":true}", false);
    same("{" T "\"a\":[1,2]}", "{" T "\"a\":[2,1]}", false);
    same("{" T "\"a\":[1,2]}", "{" T "\"a\":[12]}", false);
    same("{" T "\"a\":\"é\"}", "{" T "\"a\":\"e\\u0301\"}", false); /* two ways to write it are two prompts */
    same("{" T "\"a\":9007199254740993}", "{" T "\"a\":9007199254740992}", false);
    same("{" T "\"a\":0.1}", "{" T "\"a\":0.10000000000000002}", false);
    same("{" T "\"n\":2}", "{" T "\"n\":1}", false);
    same("{" T "\"seed\":1}", "{" T "\"seed\":2}", false);
    same("{" T "\"tools\":[{}]}", "{\"temperature\":0}", false);
    /* deeper down nothing is left out */
    same("{" T "\"messages\":[{\"user\":\"a\"}]}", "{" T "\"messages\":[{}]}", false);
    same("{" T "\"messages\":[{\"content\":null}]}", "{" T "\"messages\":[{}]}", false);
}

static void test_scope_and_model(void **state)
{
    (void)state;
    static const struct cache_ask asks[] = {
        {.kind = CACHE_CHAT, .scope = "", .model = "m"},
        {.kind = CACHE_COMPLETION, .scope = "", .model = "m"},
        {.kind = CACHE_CHAT, .scope = "a", .model = "m"},
        {.kind = CACHE_CHAT, .scope = "", .model = "n"},
        {.kind = CACHE_CHAT, .scope = "", .model = NULL},
        {.kind = CACHE_CHAT, .scope = "", .model = ""},
        {.kind = CACHE_CHAT, .scope = "", .model = "m", .only = "p"},
        {.kind = CACHE_CHAT, .scope = "", .model = "m", .hint = "p"},
        {.kind = CACHE_CHAT, .scope = "", .model = "m", .mode = "ECO"},
        {.kind = CACHE_CHAT, .scope = "", .model = "m", .local_only = true},
        {.kind = CACHE_CHAT, .scope = "m", .model = ""},
    };
    enum { N = sizeof asks / sizeof asks[0] };
    unsigned char keys[N][CACHE_KEY_LEN];
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(key_in("{\"temperature\":0}", asks[i], keys[i]), 0);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(keys[i], keys[k], CACHE_KEY_LEN);
    }
}

static void test_what_is_not_kept(void **state)
{
    (void)state;
    unsigned char key[CACHE_KEY_LEN];
    assert_int_equal(key_of("{}", key), VX11_EUNSUPPORTED);
    assert_int_equal(key_of("{\"temperature\":null,\"seed\":1}", key), VX11_EUNSUPPORTED);
    assert_int_equal(key_of("{\"temperature\":0.1}", key), VX11_EUNSUPPORTED);
    assert_int_equal(key_of("{\"temperature\":1e-300}", key), VX11_EUNSUPPORTED);
    assert_int_equal(
        key_in("{\"input\":\"a\"}", (struct cache_ask){.kind = CACHE_EMBEDDING, .scope = ""}, key), 0);
}

static void test_cache_control(void **state)
{
    (void)state;
    struct cache_control c;
    cache_control_parse(NULL, &c);
    assert_true(!c.no_cache && !c.no_store && c.max_age_ms == -1);
    cache_control_parse("No-Cache", &c);
    assert_true(c.no_cache && !c.no_store);
    cache_control_parse("max-age=5 , no-store", &c);
    assert_true(!c.no_cache && c.no_store && c.max_age_ms == 5000);
    cache_control_parse(",, max-age=x,no-cachet, max-age=99999999999999999999999", &c);
    assert_true(!c.no_cache && !c.no_store && c.max_age_ms == -1);
}

/* ---- entries ---- */

#define REPLY(text)                                                                                          \
    "{\"id\":\"i\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,"  \
    "\"message\":{\"role\":\"assistant\",\"content\":\"" text "\"},\"finish_reason\":\"stop\"}],"            \
    "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5,\"total_tokens\":12}}"

static struct cache_reply reply_of(const char *body)
{
    return (struct cache_reply){.body = body,
                                .body_len = strlen(body),
                                .provider = "p",
                                .model = "m",
                                .prompt_tokens = 7,
                                .completion_tokens = 5,
                                .cached_tokens = -1};
}

static void key_number(int n, unsigned char key[CACHE_KEY_LEN])
{
    memset(key, 0, CACHE_KEY_LEN);
    memcpy(key + (n % 2 ? 0 : 16), &n, sizeof n); /* half of them share a bucket */
}

static struct cache *open_cache(size_t max_bytes)
{
    return cache_create(&(struct cache_options){
        .enabled = true, .ttl_ms = 1000, .max_bytes = max_bytes, .max_entry_bytes = 10000});
}

static void test_kept_and_found(void **state)
{
    (void)state;
    struct cache *c = open_cache(100000);
    struct cache_reply in = reply_of(REPLY("hello")), out;
    unsigned char key[CACHE_KEY_LEN];
    key_number(1, key);
    assert_false(cache_find(c, key, 0, -1, 50, &out));
    assert_int_equal(cache_keep(c, key, &in, 50), 0);
    assert_true(cache_find(c, key, 0, -1, 150, &out));
    assert_string_equal(out.body, in.body);
    assert_string_equal(out.provider, "p");
    assert_int_equal(out.age_ms, 100);
    assert_int_equal(out.completion_tokens, 5);
    assert_false(cache_find(c, key, 0, 99, 150, &out));
    assert_true(cache_find(c, key, 0, 100, 150, &out));
    assert_true(cache_find(c, key, 77, -1, 150, &out)); /* not local: another registry is nothing to it */
    assert_true(cache_find(c, key, 0, -1, 1050, &out));
    assert_false(cache_find(c, key, 0, -1, 1051, &out));
    struct cache_stats s;
    cache_stats(c, &s);
    assert_int_equal(s.entries, 0);
    assert_int_equal(s.bytes, 0);
    assert_int_equal(s.expired, 1);
    /* A local model's reply is of its registry. */
    in.local = true;
    in.version = 5;
    assert_int_equal(cache_keep(c, key, &in, 0), 0);
    assert_int_equal(cache_keep(c, key, &in, 10), 0); /* in its place */
    cache_stats(c, &s);
    assert_int_equal(s.entries, 1);
    assert_true(cache_find(c, key, 5, -1, 10, &out));
    assert_false(cache_find(c, key, 6, -1, 10, &out));
    assert_false(cache_find(c, key, 5, -1, 10, &out));
    assert_int_equal(cache_keep(c, key, &in, 0), 0);
    cache_clear(c);
    assert_false(cache_find(c, key, 5, -1, 0, &out));
    cache_destroy(c);
    c = cache_create(
        &(struct cache_options){.enabled = false, .max_bytes = 100000, .max_entry_bytes = 10000});
    assert_false(cache_enabled(c));
    assert_int_equal(cache_keep(c, key, &in, 0), VX11_EUNSUPPORTED);
    cache_destroy(c);
}

static void test_only_good_replies(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "no JSON",
        "{}",
        "{\"choices\":[]}",
        "{\"data\":[]}",
        "{\"error\":{\"message\":\"x\"}}",
        "{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":null}]}",
        "{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"content_filter\"}]}",
        "{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[{\"id\":\"1\"}]},\"finish_reason\":"
        "\"stop\"}]}",
        "{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[{\"id\":\"1\"}]},\"finish_reason\":"
        "\"tool_calls\"}]}",
        "{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"},{\"message\":{}}]}",
    };
    static const char *const good[] = {
        REPLY("a"),
        "{\"data\":[{\"embedding\":[1]}]}",
        "{\"choices\":[{\"text\":\"a\",\"finish_reason\":\"length\"}],\"error\":null}",
        "{\"choices\":[{\"message\":{\"content\":\"a\",\"tool_calls\":[]},\"finish_reason\":\"stop\"}]}",
    };
    struct cache *c = open_cache(100000);
    unsigned char key[CACHE_KEY_LEN];
    key_number(1, key);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cache_reply r = reply_of(bad[i]);
        if (cache_keep(c, key, &r, 0) != VX11_EUNSUPPORTED)
            fail_msg("kept: %s", bad[i]);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct cache_reply r = reply_of(good[i]);
        if (cache_keep(c, key, &r, 0) != 0)
            fail_msg("not kept: %s", good[i]);
    }
    struct cache_reply r = reply_of(REPLY("a"));
    r.body_len = 10001;
    assert_int_equal(cache_keep(c, key, &r, 0), VX11_ETOO_LARGE);
    cache_destroy(c);
}

static void test_bound_and_order(void **state)
{
    (void)state;
    enum { BYTES = 20000 };
    struct cache *c = open_cache(BYTES);
    struct cache_reply in = reply_of(REPLY("hello")), out;
    unsigned char key[CACHE_KEY_LEN], first[CACHE_KEY_LEN];
    struct cache_stats s;
    key_number(0, first);
    for (int i = 0; i < 1000; i++) {
        key_number(i, key);
        assert_int_equal(cache_keep(c, key, &in, 0), 0);
        assert_true(cache_find(c, first, 0, -1, 0, &out)); /* what is used stays */
        cache_stats(c, &s);
        assert_true(s.bytes <= BYTES);
    }
    cache_stats(c, &s);
    assert_true(s.entries > 10);
    assert_int_equal(s.kept, 1000);
    assert_int_equal(s.evicted, 1000 - s.entries);
    for (int i = 1; i < 1000; i++) {
        key_number(i, key);
        bool recent = i > 1000 - (int)s.entries;
        assert_int_equal(cache_find(c, key, 0, -1, 0, &out), recent);
    }
    cache_configure(
        c, &(struct cache_options){.enabled = true, .ttl_ms = 1, .max_bytes = 100, .max_entry_bytes = 100});
    cache_stats(c, &s);
    assert_int_equal(s.entries, 0);
    assert_int_equal(cache_keep(c, key, &in, 0), VX11_ETOO_LARGE);
    cache_destroy(c);
}

/* ---- streams ---- */

struct chunks {
    struct cache_gather *g;
    struct buf text; /* all of them, one a line */
    int count;
};

static int on_chunk(void *ctx, const char *data, size_t len)
{
    struct chunks *k = ctx;
    yyjson_doc *doc = yyjson_read(data, len, 0);
    assert_non_null(doc);
    if (k->g)
        cache_gather_chunk(k->g, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    k->count++;
    buf_append(&k->text, data, len);
    return buf_putc(&k->text, '\n');
}

static void feed(struct cache_gather *g, const char *const *list, size_t n)
{
    struct chunks k = {.g = g, .text = BUF_INIT};
    for (size_t i = 0; i < n; i++)
        on_chunk(&k, list[i], strlen(list[i]));
    buf_free(&k.text);
}

#define CHUNK(choices)                                                                                       \
    "{\"id\":\"i\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[" choices \
    "]}"

static void test_gathered(void **state)
{
    (void)state;
    static const char *const stream[] = {
        CHUNK("{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}"),
        CHUNK("{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}"),
        CHUNK("{\"index\":0,\"delta\":{\"content\":\"hel\"}},{\"index\":1,\"delta\":{\"content\":"
              "\"\\\"x\\\"\"}}"),
        CHUNK("{\"index\":0,\"delta\":{\"content\":\"lo é\",\"tool_calls\":null},\"logprobs\":null}"),
        CHUNK("{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"},{\"index\":1,\"delta\":{},\"finish_"
              "reason\":\"length\"}"),
        "{\"id\":\"i\",\"choices\":[],\"usage\":{\"prompt_tokens\":7}}",
    };
    struct cache_gather *g = cache_gather_create(CACHE_CHAT, 1000);
    struct buf whole = BUF_INIT;
    feed(g, stream, sizeof stream / sizeof stream[0]);
    assert_int_equal(cache_gather_whole(g, &whole), 0);
    assert_string_equal(
        whole.data,
        "{\"object\":\"chat.completion\",\"id\":\"i\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":"
        "0,"
        "\"message\":{\"role\":\"assistant\",\"content\":\"hello é\",\"reasoning_content\":\"hm\"},"
        "\"logprobs\":null,\"finish_reason\":\"stop\"},{\"index\":1,\"message\":{\"role\":\"assistant\","
        "\"content\":\"\\\"x\\\"\"},\"logprobs\":null,\"finish_reason\":\"length\"}],"
        "\"usage\":{\"prompt_tokens\":7}}");
    cache_gather_free(g);
    /* Taken apart and put together again it is the same, byte by byte. */
    struct chunks k = {.g = cache_gather_create(CACHE_CHAT, 1000), .text = BUF_INIT};
    assert_int_equal(cache_replay(CACHE_CHAT, whole.data, whole.len, true, on_chunk, &k), 0);
    struct buf again = BUF_INIT;
    assert_int_equal(cache_gather_whole(k.g, &again), 0);
    assert_string_equal(again.data, whole.data);
    assert_int_equal(k.count, 5);
    assert_non_null(strstr(k.text.data, "\"usage\":{\"prompt_tokens\":7}"));
    cache_gather_free(k.g);
    buf_free(&k.text);
    k = (struct chunks){.text = BUF_INIT};
    assert_int_equal(cache_replay(CACHE_CHAT, whole.data, whole.len, false, on_chunk, &k), 0);
    assert_int_equal(k.count, 4);
    assert_null(strstr(k.text.data, "usage"));
    buf_free(&k.text);
    buf_free(&again);
    buf_free(&whole);
    assert_int_equal(cache_replay(CACHE_CHAT, "{}", 2, false, on_chunk, &k), VX11_ECORRUPT);
}

static void test_gathered_text(void **state)
{
    (void)state;
    static const char *const stream[] = {
        "{\"id\":\"i\",\"object\":\"text_completion\",\"choices\":[{\"index\":0,\"text\":\"a\",\"finish_"
        "reason\":null}]}",
        "{\"id\":\"i\",\"choices\":[{\"index\":0,\"text\":\"b\",\"finish_reason\":\"stop\"}]}",
    };
    struct chunks k = {.g = cache_gather_create(CACHE_COMPLETION, 1000), .text = BUF_INIT};
    struct buf whole = BUF_INIT, again = BUF_INIT;
    feed(k.g, stream, 2);
    assert_int_equal(cache_gather_whole(k.g, &whole), 0);
    assert_string_equal(whole.data, "{\"object\":\"text_completion\",\"id\":\"i\",\"choices\":[{\"index\":0,"
                                    "\"text\":\"ab\",\"logprobs\":null,\"finish_reason\":\"stop\"}]}");
    cache_gather_free(k.g);
    k.g = cache_gather_create(CACHE_COMPLETION, 1000);
    assert_int_equal(cache_replay(CACHE_COMPLETION, whole.data, whole.len, true, on_chunk, &k), 0);
    assert_int_equal(cache_gather_whole(k.g, &again), 0);
    assert_string_equal(again.data, whole.data);
    cache_gather_free(k.g);
    buf_free(&k.text);
    buf_free(&whole);
    buf_free(&again);
}

/* What cannot be put together without loss, or has no end, is not kept. */
static void test_not_gathered(void **state)
{
    (void)state;
    static const char *const bad[] = {
        CHUNK("{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0}]},\"finish_reason\":\"stop\"}"),
        CHUNK("{\"index\":0,\"delta\":{\"content\":\"a\"},\"logprobs\":{\"content\":[]},\"finish_reason\":"
              "\"stop\"}"),
        CHUNK("{\"index\":0,\"delta\":{\"content\":\"a\"}}"),
        CHUNK("{\"index\":0,\"delta\":{\"audio\":{\"data\":\"x\"}},\"finish_reason\":\"stop\"}"),
        CHUNK("{\"index\":99,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}"),
        CHUNK("{\"index\":0,\"delta\":{\"content\":{\"a\":1}},\"finish_reason\":\"stop\"}"),
        CHUNK("{\"index\":0,\"delta\":{\"content\":\"0123456789\"},\"finish_reason\":\"stop\"}"),
        CHUNK(""),
        "{\"error\":{\"message\":\"x\"}}",
        "[]",
        "3",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cache_gather *g = cache_gather_create(CACHE_CHAT, 9);
        struct buf out = BUF_INIT;
        feed(g, &bad[i], 1);
        if (cache_gather_whole(g, &out) != VX11_EUNSUPPORTED)
            fail_msg("gathered: %s", bad[i]);
        buf_free(&out);
        cache_gather_free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_the_same),  cmocka_unit_test(test_what_is_different),
        cmocka_unit_test(test_scope_and_model),   cmocka_unit_test(test_what_is_not_kept),
        cmocka_unit_test(test_cache_control),     cmocka_unit_test(test_kept_and_found),
        cmocka_unit_test(test_only_good_replies), cmocka_unit_test(test_bound_and_order),
        cmocka_unit_test(test_gathered),          cmocka_unit_test(test_gathered_text),
        cmocka_unit_test(test_not_gathered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
