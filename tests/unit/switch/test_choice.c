/* The choice among made-up providers: constraints, weights of each mode, what stays on the machine, who
 * rests, and in which order the rest come. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "switch/selection/choice.h"

#define CAN_ALL           (~0u)
#define CAN_TALK          ((1u << OPENAI_CAPABILITY_CHAT) | (1u << OPENAI_CAPABILITY_COMPLETION))
#define CAN_VECTOR        (1u << OPENAI_CAPABILITY_EMBEDDINGS)

#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-9)

static struct arena *arena;
static struct wish wish;
static struct choice_query query;
static struct choice result[16];

static int setup(void **state)
{
    (void)state;
    arena = arena_create(0);
    wish = (struct wish){.kind = DISPATCH_CHAT, .read = true, .prompt_tokens = 100, .answer_tokens = 200};
    query = (struct choice_query){.wish = &wish,
                                  .needs = CAN_TALK,
                                  .mode = SWITCH_MODE_BALANCED,
                                  .host = SWITCH_FLUZO_PROFILE_BALANCED,
                                  .weights = mode_profile(SWITCH_MODE_BALANCED)->weights};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static struct choice_fact fact(const char *provider, enum switch_provider_kind kind, double quality,
                               double first_token_ms, double price)
{
    return (struct choice_fact){.provider = provider,
                                .model = "m",
                                .kind = kind,
                                .stays = kind == SWITCH_PROVIDER_KIND_LOCAL,
                                .can = CAN_ALL,
                                .tools = FACT_UNKNOWN,
                                .vision = FACT_UNKNOWN,
                                .json_schema = FACT_UNKNOWN,
                                .context = -1,
                                .quality = quality,
                                .input_price = price,
                                .output_price = price,
                                .first_token_ms = first_token_ms,
                                .token_ms = 0,
                                .learned = 0.5};
}

#define LOCAL  SWITCH_PROVIDER_KIND_LOCAL
#define REMOTE SWITCH_PROVIDER_KIND_OPENAI

static size_t choose(const struct choice_fact *facts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((struct choice_fact *)facts)[i].order = i;
    return choice_make(arena, &query, facts, n, result);
}

static void mode(enum switch_mode m)
{
    query.mode = m;
    query.weights = mode_profile(m)->weights;
}

static const char *first(void)
{
    return result[0].fact->provider;
}

static void weights_sum_to_one(void **state)
{
    (void)state;
    for (int m = 0; m <= SWITCH_MODE_CRITICAL; m++) {
        const struct score_weights *w = &mode_profile((enum switch_mode)m)->weights;
        assert_near(w->quality + w->latency + w->cost + w->learned, 1);
        assert_true(w->learned > 0);
        if (m > 0) { /* what older callers rely on */
            assert_true(mode_profile((enum switch_mode)m)->timeout_ms >
                        mode_profile((enum switch_mode)(m - 1))->timeout_ms);
            assert_true(mode_profile((enum switch_mode)m)->workers >
                        mode_profile((enum switch_mode)(m - 1))->workers);
        }
    }
}

static void the_formula(void **state)
{
    struct score s;
    const struct score_weights w = {0.4, 0.3, 0.2, 0.1};
    struct score_input in = {.quality = 0.9,
                             .first_token_ms = 500,
                             .token_ms = 10,
                             .input_price = 1,
                             .output_price = 4,
                             .prompt_tokens = 300,
                             .answer_tokens = 100,
                             .learned = 0.8};
    (void)state;
    score_make(&in, &w, &s);
    assert_near(s.latency_ms, 500 + 63 * 10); /* the first 64 tokens */
    assert_near(s.price, (300 * 1 + 100 * 4) / 400.0);
    assert_near(s.total, 0.4 * 0.9 + 0.3 * (1 - 1130 / 5000.0) + 0.2 * (1 - 0.175) + 0.1 * 0.8);
    assert_near(s.adjust, 0);
    assert_false(s.quality_guessed || s.latency_guessed || s.cost_guessed);
    in.load_ms = 10000; /* has to be loaded first */
    score_make(&in, &w, &s);
    assert_near(s.latency, 0);
    in = (struct score_input){-1, -1, -1, 0, -1, -1, 0, 0, 0.5, true, 2, false};
    score_make(&in, &w, &s);
    assert_true(s.quality_guessed && s.latency_guessed && s.cost_guessed);
    assert_near(s.total, 0.5 + SCORE_PREFERRED - 2 * SCORE_UNKNOWN);
    in.unknown = 20;
    score_make(&in, &w, &s);
    assert_near(s.total, 0); /* never below */
}

/* A small quick free one, a middling one, and a very good dear one. */
static void each_mode_likes_another(void **state)
{
    const struct choice_fact facts[] = {fact("small", LOCAL, 0.35, 300, 0),
                                        fact("middle", REMOTE, 0.7, 600, 1.2),
                                        fact("best", REMOTE, 0.98, 1500, 8)};
    (void)state;
    mode(SWITCH_MODE_ECO);
    assert_int_equal(choose(facts, 3), 3);
    assert_string_equal(first(), "small");
    mode(SWITCH_MODE_HIGH_PERF);
    choose(facts, 3);
    assert_string_equal(first(), "middle");
    mode(SWITCH_MODE_CRITICAL);
    choose(facts, 3);
    assert_string_equal(first(), "best");
    query.weights = (struct score_weights){0.1, 0.05, 0.65, 0.2};
    mode(SWITCH_MODE_BALANCED);
    query.weights = (struct score_weights){0.1, 0.05, 0.65, 0.2}; /* cheap */
    choose(facts, 3);
    assert_string_equal(first(), "small");
}

static void load_spends_less(void **state)
{
    (void)state;
    for (int m = 0; m <= SWITCH_MODE_CRITICAL; m++) {
        enum switch_mode set = (enum switch_mode)m;
        assert_int_equal(mode_effective(set, SWITCH_FLUZO_PROFILE_BALANCED), set);
        assert_int_equal(mode_effective(set, SWITCH_FLUZO_PROFILE_PERFORMANCE), set); /* nor more */
        assert_int_equal(mode_effective(set, SWITCH_FLUZO_PROFILE_LOW_POWER),
                         set == SWITCH_MODE_CRITICAL ? set : SWITCH_MODE_ECO);
    }
    const struct choice_fact facts[] = {fact("here", LOCAL, 0.5, 300, 0), fact("there", REMOTE, 0.5, 300, 0)};
    choose(facts, 2);
    assert_string_equal(first(), "here"); /* equal: the order */
    query.host = SWITCH_FLUZO_PROFILE_LOW_POWER;
    choose(facts, 2);
    assert_string_equal(first(), "there");
    assert_true(result[1].score.adjust < 0);
}

static void what_is_local_stays(void **state)
{
    struct choice_fact facts[] = {fact("a", LOCAL, 0.2, 4000, 0), fact("cloud", REMOTE, 1, 100, 0),
                                  fact("tool", SWITCH_PROVIDER_KIND_TOOL, 1, 100, 0),
                                  fact("shub", SWITCH_PROVIDER_KIND_MODULE, 1, 100, 0),
                                  fact("address", LOCAL, 1, 100, 0)};
    (void)state;
    wish.local_only = true;
    facts[1].pinned = true; /* even when it is hinted at */
    facts[4].stays = false; /* an engine somewhere else */
    for (int m = 0; m <= SWITCH_MODE_CRITICAL; m++) {
        mode((enum switch_mode)m);
        assert_int_equal(choose(facts, 5), 1);
        assert_string_equal(first(), "a");
        for (size_t i = 1; i < 5; i++) {
            assert_int_equal(result[i].state, SWITCH_CANDIDATE_STATE_DROPPED);
            assert_non_null(strstr(result[i].reason, "leave the machine"));
        }
    }
    facts[0].not_now = "it rests"; /* everything local fails: then nobody else */
    assert_int_equal(choose(facts, 5), 1);
    assert_string_equal(first(), "a");
    assert_int_equal(result[0].state, SWITCH_CANDIDATE_STATE_NOT_NOW);
    facts[0].stays = false;
    assert_int_equal(choose(facts, 5), 0);
    facts[1].stand_in = true; /* nor the chain's fallback */
    assert_int_equal(choose(facts, 5), 0);
    facts[2].stays = true; /* the configuration vouches for it */
    assert_int_equal(choose(facts, 5), 1);
    assert_string_equal(first(), "tool");
}

static void abilities(void **state)
{
    struct choice_fact facts[] = {fact("no", REMOTE, 1, 100, 0), fact("unknown", REMOTE, 0.8, 100, 0),
                                  fact("yes", REMOTE, 0.75, 100, 0)};
    (void)state;
    facts[0].tools = facts[0].vision = FACT_NO;
    facts[2].tools = facts[2].vision = FACT_YES;
    choose(facts, 3);
    assert_string_equal(first(), "no"); /* nothing is needed of it */
    wish.tools = true;
    assert_int_equal(choose(facts, 3), 2);
    assert_string_equal(first(), "yes"); /* what is known goes before what is not */
    assert_string_equal(result[1].fact->provider, "unknown");
    assert_string_equal(result[2].reason, "it cannot call tools");
    wish.tools = false;
    wish.vision = true;
    assert_int_equal(choose(facts, 3), 2);
    assert_string_equal(result[2].reason, "it takes no images");
    wish.vision = false;
    facts[0].can = CAN_VECTOR;
    assert_int_equal(choose(facts, 3), 2);
    assert_string_equal(result[2].reason, "it only makes embeddings");
    facts[1].can = CAN_TALK;
    wish.kind = DISPATCH_EMBEDDING;
    query.needs = CAN_VECTOR;
    assert_int_equal(choose(facts, 3), 2);
    assert_string_equal(result[2].fact->provider, "unknown");
}

static void context(void **state)
{
    struct choice_fact facts[] = {fact("short", LOCAL, 0.9, 100, 0), fact("long", REMOTE, 0.5, 100, 1)};
    (void)state;
    facts[0].context = 4096;
    facts[1].context = 128000;
    wish.prompt_tokens = 5000;
    assert_int_equal(choose(facts, 2), 1);
    assert_string_equal(first(), "long");
    assert_non_null(strstr(result[1].reason, "4096"));
    query.by_name = true; /* an estimate does not overrule a name */
    assert_int_equal(choose(facts, 2), 2);
    query.by_name = false;
    facts[0].context = -1;
    assert_int_equal(choose(facts, 2), 2);
}

static bool only_cheap(const void *ctx, const char *requested, const char *provider, const char *model)
{
    (void)requested;
    (void)model;
    return strcmp(provider, ctx) == 0;
}

static void the_token_and_the_configuration(void **state)
{
    struct choice_fact facts[] = {fact("best", REMOTE, 1, 100, 0), fact("cheap", REMOTE, 0.1, 100, 0)};
    (void)state;
    wish.allows = only_cheap;
    wish.allows_ctx = "cheap";
    assert_int_equal(choose(facts, 2), 1);
    assert_string_equal(first(), "cheap");
    wish.allows = NULL;
    facts[0].unnamed = true; /* of three hundred that a provider lists */
    choose(facts, 2);
    assert_string_equal(first(), "best");
    query.open = true;
    assert_int_equal(choose(facts, 2), 1);
    assert_string_equal(first(), "cheap");
}

static void who_rests_is_asked_last(void **state)
{
    struct choice_fact facts[] = {fact("best", REMOTE, 1, 100, 0), fact("worse", REMOTE, 0.1, 4000, 9),
                                  fact("spare", REMOTE, 0.5, 100, 0)};
    (void)state;
    facts[0].not_now = "it rests";
    facts[2].stand_in = true;
    assert_int_equal(choose(facts, 3), 3);
    assert_string_equal(result[0].fact->provider, "worse");
    assert_string_equal(result[1].fact->provider, "spare");
    assert_string_equal(result[2].fact->provider, "best");
    assert_string_equal(result[2].reason, "it rests");
}

static void orders(void **state)
{
    struct choice_fact facts[] = {fact("one", REMOTE, 0.1, 4000, 9), fact("two", REMOTE, 0.9, 100, 0),
                                  fact("three", REMOTE, 0.5, 100, 0)};
    (void)state;
    choose(facts, 3);
    assert_string_equal(first(), "two");
    query.order = CHOICE_CHAIN;
    choose(facts, 3);
    assert_string_equal(first(), "one");
    query.order = CHOICE_LISTED;
    choose(facts, 3);
    assert_string_equal(first(), "one");
    facts[2].pinned = true;
    choose(facts, 3);
    assert_string_equal(first(), "three");
    assert_string_equal(result[1].fact->provider, "one");
    query.order = CHOICE_SCORE;
    facts[2].pinned = false;
    facts[0] = facts[1]; /* equal in all: the order decides, always the same */
    facts[0].provider = "zero";
    for (int i = 0; i < 20; i++) {
        choose(facts, 3);
        assert_string_equal(first(), "zero");
    }
}

static void what_was_learned_counts(void **state)
{
    struct choice_fact facts[] = {fact("a", REMOTE, 0.5, 100, 0), fact("b", REMOTE, 0.5, 100, 0)};
    (void)state;
    facts[0].learned = 0.3;
    facts[1].learned = 0.9;
    choose(facts, 2);
    assert_string_equal(first(), "b");
}

/* However quick, cheap and good it once was. */
static void what_fails_is_not_chosen(void **state)
{
    struct choice_fact facts[] = {fact("fails", REMOTE, 1, 1, 0), fact("unknown", REMOTE, -1, -1, -1)};
    (void)state;
    facts[0].learned = 0.02;
    for (int m = 0; m <= SWITCH_MODE_CRITICAL; m++) {
        mode((enum switch_mode)m);
        choose(facts, 2);
        assert_string_equal(first(), "unknown");
    }
    query.weights = (struct score_weights){0.1, 0.65, 0.05, 0.2}; /* fast */
    choose(facts, 2);
    assert_string_equal(first(), "unknown");
}

static void a_cold_model_is_slow(void **state)
{
    struct choice_fact facts[] = {fact("cold", LOCAL, 0.6, 200, 0), fact("loaded", LOCAL, 0.5, 200, 0)};
    (void)state;
    facts[0].load_ms = 4000;
    choose(facts, 2);
    assert_string_equal(first(), "loaded");
    facts[0].load_ms = 0;
    choose(facts, 2);
    assert_string_equal(first(), "cold");
}

static void modes_by_name(void **state)
{
    enum switch_mode m;
    (void)state;
    assert_true(mode_parse("eco", &m));
    assert_int_equal(m, SWITCH_MODE_ECO);
    assert_true(mode_parse("High_Perf", &m));
    assert_int_equal(m, SWITCH_MODE_HIGH_PERF);
    assert_true(mode_parse("HIGH-PERF", &m));
    assert_false(mode_parse("HIGH", &m));
    assert_false(mode_parse("ECOO", &m));
    assert_false(mode_parse("", &m));
    assert_false(mode_parse(NULL, &m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_sum_to_one),
        cmocka_unit_test(the_formula),
        cmocka_unit_test_setup_teardown(each_mode_likes_another, setup, teardown),
        cmocka_unit_test_setup_teardown(load_spends_less, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_local_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(abilities, setup, teardown),
        cmocka_unit_test_setup_teardown(context, setup, teardown),
        cmocka_unit_test_setup_teardown(the_token_and_the_configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(who_rests_is_asked_last, setup, teardown),
        cmocka_unit_test_setup_teardown(orders, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_learned_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(what_fails_is_not_chosen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cold_model_is_slow, setup, teardown),
        cmocka_unit_test(modes_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
