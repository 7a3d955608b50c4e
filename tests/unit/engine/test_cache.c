/* The radix tree without a model: what is found, what is evicted, and that every cell is counted once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "engine/cache.h"

static struct cache *make(int32_t cells, int32_t sequences, bool whole)
{
    struct cache *c = NULL;
    const struct cache_options o = {.cells = cells, .sequences = sequences, .whole = whole};
    assert_int_equal(cache_create(&o, &c), 0);
    return c;
}

static void sound(const struct cache *c)
{
    const char *fault = cache_audit(c);
    if (fault)
        fail_msg("%s", fault);
}

/* Tokens from text, one each. */
static int32_t tokens_of(const char *text, llama_token *out)
{
    int32_t n = 0;
    for (; text[n]; n++)
        out[n] = text[n];
    return n;
}

static llama_seq_id begin(struct cache *c, const char *text, int32_t *held)
{
    llama_token t[256];
    const int32_t n = tokens_of(text, t);
    const llama_seq_id id = cache_open(c, t, n, held);
    assert_true(id >= 0);
    cache_push(c, id, n - *held);
    sound(c);
    return id;
}

static void publish(struct cache *c, llama_seq_id id, const char *text)
{
    llama_token t[256];
    assert_int_equal(cache_publish(c, id, t, tokens_of(text, t)), 0);
    sound(c);
}

static void end(struct cache *c, llama_seq_id id, const char *text)
{
    llama_token t[256];
    cache_close(c, id, t, tokens_of(text, t));
    sound(c);
}

static int32_t keep(struct cache *c, const char *text)
{
    int32_t held;
    end(c, begin(c, text, &held), text);
    return held;
}

static int32_t known(const struct cache *c, const char *text)
{
    llama_token t[256];
    int32_t kept;
    return cache_find(c, t, tokens_of(text, t), &kept);
}

static struct cache_stats stats(const struct cache *c)
{
    struct cache_stats s;
    cache_stats(c, &s);
    return s;
}

static void test_shares_at_any_depth(void **state)
{
    (void)state;
    struct cache *c = make(100, 8, false);
    assert_int_equal(keep(c, "system: be kind. user: hello"), 0);
    assert_int_equal(keep(c, "system: be kind. user: help"), 26);
    assert_int_equal(keep(c, "system: be kind. user: bye"), 23);
    assert_int_equal(keep(c, "system: be cruel."), 11);
    assert_int_equal(stats(c).branches, 4);
    assert_int_equal(stats(c).nodes, 7);
    assert_int_equal(stats(c).cells_used, 28 + 1 + 3 + 6);
    assert_int_equal(known(c, "system: be kind. user: hello again"), 28);
    assert_int_equal(known(c, "system"), 6);
    assert_int_equal(known(c, "nothing"), 0);
    cache_destroy(c);
}

/* A conversation that goes on takes its branch over instead of standing beside it. */
static void test_next_turn_takes_over(void **state)
{
    (void)state;
    struct cache *c = make(100, 2, false);
    int32_t held;
    (void)keep(c, "one two");
    const llama_seq_id id = begin(c, "one two three", &held);
    assert_int_equal(held, 7);
    assert_int_equal(stats(c).branches, 0);
    end(c, id, "one two three");
    assert_int_equal(stats(c).branches, 1);
    assert_int_equal(stats(c).cells_used, 13);
    /* What another holds all of needs no id of its own. */
    assert_int_equal(keep(c, "one"), 3);
    assert_int_equal(stats(c).branches, 1);
    assert_int_equal(stats(c).cells_used, 13);
    cache_destroy(c);
}

/* Two that read the same side by side give the double cells back when one of them tells. */
static void test_double_cells_come_back(void **state)
{
    (void)state;
    struct cache *c = make(100, 4, false);
    int32_t held;
    const llama_seq_id a = begin(c, "the same text A", &held), b = begin(c, "the same text B", &held);
    assert_int_equal(held, 0);
    assert_int_equal(stats(c).cells_used, 30);
    publish(c, a, "the same text A");
    publish(c, b, "the same text B");
    assert_int_equal(stats(c).cells_used, 16);
    end(c, a, "the same text A");
    end(c, b, "the same text B");
    assert_int_equal(stats(c).branches, 2);
    cache_destroy(c);
}

static void test_extends(void **state)
{
    (void)state;
    struct cache *c = make(100, 4, false);
    int32_t held;
    llama_token t[256];
    const llama_seq_id a = begin(c, "shared prompt, own end", &held);
    const int32_t n = tokens_of("shared prompt, other", t);
    const llama_seq_id b = cache_open(c, t, n, &held);
    assert_int_equal(held, 0);
    assert_int_equal(cache_extend(c, b, t, n), 0);
    publish(c, a, "shared pro"); /* as far as it was read when the other looked */
    assert_int_equal(cache_extend(c, b, t, n), 10);
    publish(c, a, "shared prompt, own end");
    assert_int_equal(cache_extend(c, b, t, n), 16);
    sound(c);
    assert_int_equal(stats(c).cells_used, 22);
    cache_close(c, a, t, 0); /* what is in the tree stays, whatever becomes of who put it there */
    sound(c);
    assert_int_equal(known(c, "shared prompt, own end"), 22);
    cache_close(c, b, t, 0);
    sound(c);
    cache_destroy(c);
}

static void test_evicts_the_oldest_leaf(void **state)
{
    (void)state;
    struct cache *c = make(40, 8, false);
    (void)keep(c, "common part: aaaaa");
    (void)keep(c, "common part: bbbbb");
    (void)keep(c, "common part: ccccc");
    (void)keep(c, "common part: aaaaa"); /* used again */
    assert_int_equal(stats(c).cells_used, 28);
    assert_true(cache_room(c, 17)); /* 12 are free */
    sound(c);
    assert_int_equal(known(c, "common part: bbbbb"), 13);
    assert_int_equal(known(c, "common part: aaaaa"), 18);
    assert_int_equal(known(c, "common part: ccccc"), 18);
    assert_true(cache_room(c, 22));
    assert_int_equal(known(c, "common part: ccccc"), 13);
    assert_int_equal(stats(c).evicted_tokens, 10);
    assert_true(cache_room(c, 40));
    assert_int_equal(stats(c).cells_used, 0);
    assert_int_equal(stats(c).branches, 0);
    assert_false(cache_room(c, 41));
    sound(c);
    cache_destroy(c);
}

static void test_long_leaf_loses_its_end(void **state)
{
    (void)state;
    char text[201];
    memset(text, 'x', 200);
    text[200] = '\0';
    struct cache *c = make(210, 4, false);
    (void)keep(c, text);
    assert_true(cache_room(c, 20));
    sound(c);
    assert_int_equal(known(c, text), 200 - 64);
    assert_int_equal(stats(c).branches, 1);
    cache_destroy(c);
}

static void test_live_is_never_touched(void **state)
{
    (void)state;
    struct cache *c = make(40, 3, false);
    int32_t held;
    (void)keep(c, "common part: aaaaa");
    const llama_seq_id id = begin(c, "common part: bbbbb", &held);
    assert_int_equal(held, 13);
    assert_int_equal(cache_evictable(c), 5);
    assert_false(cache_room(c, 23));
    assert_true(cache_room(c, 22));
    sound(c);
    assert_int_equal(known(c, "common part: aaaaa"), 13);
    assert_int_equal(cache_length(c, id), 18);
    end(c, id, "common part: bbbbb");
    assert_int_equal(cache_evictable(c), 18);
    cache_destroy(c);
}

static void test_ids_run_out(void **state)
{
    (void)state;
    struct cache *c = make(200, 3, false);
    int32_t held;
    (void)keep(c, "prompt 1");
    (void)keep(c, "prompt 2");
    (void)keep(c, "prompt 3");
    (void)keep(c, "prompt 4");
    assert_int_equal(stats(c).branches, 3);
    assert_int_equal(known(c, "prompt 1"), 7);
    const llama_seq_id a = begin(c, "prompt 5", &held);
    assert_int_equal(held, 7);
    const llama_seq_id b = begin(c, "prompt 6", &held);
    assert_int_equal(held, 7);
    const llama_seq_id d = begin(c, "prompt 7", &held); /* from the last that is kept */
    assert_int_equal(held, 7);
    llama_token t[4] = {0};
    assert_int_equal(cache_open(c, t, 4, &held), VX11_EAGAIN);
    sound(c);
    end(c, b, "prompt 6");
    end(c, a, "prompt 5");
    end(c, d, "prompt 7");
    assert_int_equal(stats(c).branches, 3);
    cache_destroy(c);
}

static void test_one_sequence(void **state)
{
    (void)state;
    struct cache *c = make(100, 1, false);
    assert_int_equal(keep(c, "first turn"), 0);
    assert_int_equal(keep(c, "first turn, second turn"), 10);
    assert_int_equal(keep(c, "first choice"), 6);
    assert_int_equal(stats(c).branches, 1);
    assert_int_equal(keep(c, "other"), 0);
    assert_int_equal(stats(c).cells_used, 5);
    cache_destroy(c);
}

static void test_cut_gives_back(void **state)
{
    (void)state;
    struct cache *c = make(100, 2, false);
    int32_t held;
    (void)keep(c, "abc");
    const llama_seq_id id = begin(c, "abcdefgh", &held);
    assert_int_equal(cache_cut(c, id, 6), 6);
    assert_int_equal(stats(c).cells_used, 6);
    assert_int_equal(cache_cut(c, id, 0), 3); /* the tree's stays */
    assert_int_equal(stats(c).cells_used, 3);
    sound(c);
    cache_close(c, id, NULL, 0);
    sound(c);
    cache_destroy(c);
}

static void test_shift(void **state)
{
    (void)state;
    struct cache *c = make(100, 4, false);
    int32_t held;
    (void)keep(c, "system, user, elsewhere");
    const llama_seq_id a = begin(c, "system, user, answer", &held);
    publish(c, a, "system, user, answer");
    const llama_seq_id b = begin(c, "system, user, answer too", &held);
    assert_int_equal(held, 20);
    assert_int_equal(cache_shift(c, a, 7, 4), VX11_EBUSY); /* b sees these cells */
    sound(c);
    cache_close(c, b, NULL, 0);
    assert_int_equal(cache_shift(c, a, 7, 4), 0);
    sound(c);
    assert_int_equal(cache_length(c, a), 16);
    assert_int_equal(stats(c).cells_used, 16);
    assert_int_equal(known(c, "system, user, elsewhere"), 7); /* the kept one went for it */
    llama_token t[256];
    const int32_t n = tokens_of("system,, answer too", t);
    assert_int_equal(cache_publish(c, a, t, n), VX11_EUNSUPPORTED);
    cache_close(c, a, t, n);
    sound(c);
    assert_int_equal(known(c, "system,, answer"), 7); /* what was computed with more in view is not kept */
    assert_int_equal(stats(c).cells_used, 7);
    cache_destroy(c);
}

static void test_whole(void **state)
{
    (void)state;
    struct cache *c = make(100, 2, true);
    assert_int_equal(keep(c, "one two"), 0);
    assert_int_equal(keep(c, "one two three"), 7);
    assert_int_equal(stats(c).branches, 1);
    assert_int_equal(keep(c, "one"), 0); /* no part of another */
    assert_int_equal(stats(c).branches, 2);
    assert_int_equal(stats(c).cells_used, 16);
    assert_int_equal(keep(c, "more"), 0); /* the oldest goes whole */
    assert_int_equal(stats(c).cells_used, 7);
    cache_clear(c);
    assert_int_equal(stats(c).cells_used, 0);
    sound(c);
    cache_destroy(c);
}

static void test_branches(void **state)
{
    (void)state;
    struct cache *c = make(100, 8, false);
    struct cache_branch b[3];
    llama_token t[256];
    (void)keep(c, "first of all");
    (void)keep(c, "first and last");
    (void)keep(c, "second");
    (void)keep(c, "third");
    (void)keep(c, "first of all");
    assert_int_equal(cache_branches(c, b, 3), 3);
    assert_int_equal(b[0].length, 12);
    assert_int_equal(b[1].length, 5);
    assert_int_equal(b[2].length, 6);
    cache_branch_tokens(c, b[0].id, t);
    for (int32_t i = 0; i < 12; i++)
        assert_int_equal(t[i], "first of all"[i]);
    assert_int_equal(cache_branches(c, b, 0), 0);
    cache_destroy(c);
}

/* ---- against a list of what each sequence holds ---- */

enum { LIVE = 6, LONGEST = 48 };

struct shadow {
    bool open;
    llama_seq_id id;
    llama_token tokens[LONGEST];
    int32_t held, length;
};

static uint32_t draw(uint32_t *random, uint32_t below)
{
    *random = *random * 1664525u + 1013904223u;
    return (*random >> 10) % below;
}

/* Few different tokens, so that prefixes agree often and part anywhere. */
static void shadow_open(struct cache *c, struct shadow *s, uint32_t *random)
{
    const int32_t n = 1 + (int32_t)draw(random, LONGEST - 1);
    for (int32_t i = 0; i < n; i++)
        s->tokens[i] = draw(random, 8) == 0 ? 1 : 0;
    int32_t kept;
    const int32_t found = cache_find(c, s->tokens, n, &kept);
    assert_true(kept <= found && kept <= cache_evictable(c));
    s->id = cache_open(c, s->tokens, n, &s->held);
    assert_true(s->id >= 0);
    assert_true(s->held <= n && s->held <= found); /* less when its last id was needed */
    s->length = s->held;
    s->open = true;
    if (cache_room(c, n - s->length)) {
        cache_push(c, s->id, n - s->length);
        s->length = n;
    }
}

static void shadow_change(struct cache *c, struct shadow *s, uint32_t *random)
{
    const int32_t n = s->length;
    switch (draw(random, 6)) {
    case 0:
        (void)cache_publish(c, s->id, s->tokens, (int32_t)draw(random, (uint32_t)n + 1));
        break;
    case 1:
        s->length = cache_cut(c, s->id, (int32_t)draw(random, (uint32_t)n + 1));
        break;
    case 2:
        if (n < LONGEST && cache_room(c, 1)) {
            s->tokens[s->length++] = (llama_token)draw(random, 2);
            cache_push(c, s->id, 1);
        }
        break;
    case 3:
        if (n > 4 && cache_shift(c, s->id, n / 4, n / 4) == 0) {
            memmove(s->tokens + n / 4, s->tokens + n / 2, (size_t)(n - n / 2) * sizeof *s->tokens);
            s->length -= n / 4;
        }
        break;
    default:
        cache_close(c, s->id, s->tokens, draw(random, 4) ? s->length : 0);
        s->open = false;
    }
}

static void test_random(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 24; seed++) {
        uint32_t random = seed * 7919;
        struct cache *c = make(300, LIVE + (int32_t)seed % 12, seed % 6 == 0);
        struct shadow all[LIVE] = {0};
        for (int round = 0; round < 1500; round++) {
            struct shadow *s = &all[draw(&random, LIVE)];
            if (s->open)
                shadow_change(c, s, &random);
            else
                shadow_open(c, s, &random);
            sound(c);
            assert_true(!s->open || cache_length(c, s->id) == s->length);
            assert_true(cache_free(c) >= 0 && cache_evictable(c) >= 0);
        }
        for (int i = 0; i < LIVE; i++) {
            if (all[i].open)
                cache_close(c, all[i].id, all[i].tokens, all[i].length);
        }
        assert_int_equal(cache_evictable(c), stats(c).cells_used);
        assert_true(cache_room(c, 300));
        assert_int_equal(stats(c).cells_used, 0);
        assert_int_equal(stats(c).nodes, 0);
        assert_int_equal(stats(c).branches, 0);
        sound(c);
        cache_destroy(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares_at_any_depth),
        cmocka_unit_test(test_next_turn_takes_over),
        cmocka_unit_test(test_double_cells_come_back),
        cmocka_unit_test(test_extends),
        cmocka_unit_test(test_evicts_the_oldest_leaf),
        cmocka_unit_test(test_long_leaf_loses_its_end),
        cmocka_unit_test(test_live_is_never_touched),
        cmocka_unit_test(test_ids_run_out),
        cmocka_unit_test(test_one_sequence),
        cmocka_unit_test(test_cut_gives_back),
        cmocka_unit_test(test_shift),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_branches),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
