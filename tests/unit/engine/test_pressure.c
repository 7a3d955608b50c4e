/* More work than cells or time: what waits, what makes room, what moves on past its context. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "engine/scheduler_internal.h"

static const char *const questions[] = {
    "Which port is switch on?",  "What does hermes do?", "Count from 3 to 9.",
    "Repeat: apple river stone", "Who are you?",         "What listens on port 8004?"};
enum { MANY = COUNT_OF(questions) };

static void sound(const struct harness *h)
{
    struct scheduler_stats stats;
    scheduler_stats(h->scheduler, &stats); /* orders this after what the decode thread did */
    const char *fault = cache_audit(h->scheduler->cache);
    if (fault)
        fail_msg("%s", fault);
    assert_int_equal(stats.slots_busy, 0);
    assert_int_equal(stats.queued, 0);
    assert_int_equal(stats.cells_used, stats.cells_evictable);
}

static struct harness *open_pool(int parallel, int64_t context, int32_t cells)
{
    return harness_open(&(struct harness_options){
        .parallel = parallel, .batch = 64, .queue = 64, .context = context, .cells = cells});
}

static struct generation_options endless(const struct tokens *prompt, int64_t tokens)
{
    struct generation_options o = harness_greedy(prompt);
    o.sampling.ignore_end = true;
    o.max_tokens = tokens;
    return o;
}

static void filler(struct tokens *out, size_t n, uint32_t seed)
{
    for (size_t i = out->len; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        const llama_token token = (llama_token)(300 + (seed >> 16) % 700);
        assert_int_equal(tokens_append(out, &token, 1), 0);
    }
}

/* ---- cells ---- */

static void many_answers(struct harness *h, const struct tokens *prompts, struct answer *answers, bool alone)
{
    if (!alone)
        turn_take(&h->turn, TURN_EMBED);
    for (size_t i = 0; i < MANY; i++) {
        const struct generation_options o = endless(&prompts[i], 180);
        assert_int_equal(harness_submit(h, &o, &answers[i], NULL), 0);
        if (alone)
            harness_wait(h, &answers[i], 1);
    }
    if (!alone)
        turn_give(&h->turn, TURN_EMBED);
    harness_wait(h, answers, MANY);
}

/* Six answers of 180 tokens and their prompts are about 1,200 cells, of which there are 512. */
static void test_small_pool(void **state)
{
    (void)state;
    struct harness *h = open_pool(1, 512, 512);
    struct tokens prompts[MANY] = {0};
    struct answer alone[MANY] = {0}, together[MANY] = {0};
    struct scheduler_stats stats;
    for (size_t i = 0; i < MANY; i++)
        harness_chat(h->model, questions[i], &prompts[i]);
    many_answers(h, prompts, alone, true);
    harness_stop(h);

    h = open_pool(MANY, 512, 512);
    assert_int_equal(h->model->cells, 512);
    many_answers(h, prompts, together, false);
    scheduler_stats(h->scheduler, &stats);
    assert_true(stats.preemptions > 0);
    assert_true(stats.preemptions < 60); /* it makes room, and does not go round in circles */
    assert_int_equal(stats.generations_failed, 0);
    sound(h);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(together[i].finish[0], FINISH_LENGTH);
        assert_int_equal(together[i].usage.completion_tokens, 180);
        assert_int_equal(together[i].usage.prompt_tokens, prompts[i].len);
        assert_string_equal(together[i].text[0].data, alone[i].text[0].data);
        answer_free(&alone[i]);
        answer_free(&together[i]);
        tokens_free(&prompts[i]);
    }
    harness_stop(h);
}

/* Drawn answers keep their sampler over a preemption: its draws go on, they do not begin anew. */
static void test_preempted_choices(void **state)
{
    (void)state;
    struct harness *h = open_pool(4, 256, 256);
    struct tokens prompt = TOKENS_INIT;
    struct answer a = {0};
    struct scheduler_stats stats;
    harness_chat(h->model, "Write a poem about stones.", &prompt);
    struct generation_options o = endless(&prompt, 120);
    o.choices = 4;
    o.sampling.temperature = 1.5f;
    o.sampling.has_seed = true;
    o.sampling.seed = 11;
    o.logprobs = true;
    assert_int_equal(harness_submit(h, &o, &a, NULL), 0);
    harness_wait(h, &a, 1);
    scheduler_stats(h->scheduler, &stats);
    assert_true(stats.preemptions > 0);
    assert_int_equal(a.usage.completion_tokens, 4 * 120);
    assert_int_equal(a.logprobs, 4 * 120);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(a.finish[i], FINISH_LENGTH);
    assert_string_not_equal(a.text[0].data, a.text[1].data);
    sound(h);
    answer_free(&a);
    tokens_free(&prompt);
    harness_stop(h);
}

/* Every cell of the ledger can be had: a prompt that needs all of them is read. */
static void test_every_cell(void **state)
{
    (void)state;
    struct harness *h = open_pool(4, 512, 512);
    for (uint32_t round = 0; round < 3; round++) {
        struct tokens prompts[MANY] = {0};
        struct answer answers[MANY] = {0};
        for (size_t i = 0; i < MANY; i++) {
            filler(&prompts[i], i == 0 ? 511 : 100 + 20 * i, round * 100 + (uint32_t)i);
            const struct generation_options o = endless(&prompts[i], i == 0 ? 1 : 30);
            assert_int_equal(harness_submit(h, &o, &answers[i], NULL), 0);
        }
        harness_wait(h, answers, MANY);
        for (size_t i = 0; i < MANY; i++) {
            assert_int_equal(answers[i].end, FINISH_NONE);
            answer_free(&answers[i]);
            tokens_free(&prompts[i]);
        }
        sound(h);
    }
    harness_stop(h);
}

static void test_cancel_under_pressure(void **state)
{
    (void)state;
    struct harness *h = open_pool(4, 512, 512);
    uint32_t random = 99;
    for (int round = 0; round < 12; round++) {
        enum { WIDTH = 8 };
        struct tokens prompts[WIDTH] = {0};
        struct answer answers[WIDTH] = {0};
        for (int i = 0; i < WIDTH; i++) {
            random = random * 1664525u + 1013904223u;
            filler(&prompts[i], 20 + (random >> 16) % 200, random % 3); /* often alike */
            struct generation_options o = endless(&prompts[i], 1 + (random >> 8) % 200);
            o.choices = 1 + (random >> 24) % 3;
            o.priority = (int)((random >> 20) % 10);
            o.shift = random >> 31;
            answers[i].cancel_after = (random >> 12) % 40;
            assert_int_equal(harness_submit(h, &o, &answers[i], NULL), 0);
        }
        harness_wait(h, answers, WIDTH);
        sound(h);
        for (int i = 0; i < WIDTH; i++) {
            assert_int_not_equal(answers[i].end, FINISH_FAILED);
            answer_free(&answers[i]);
            tokens_free(&prompts[i]);
        }
    }
    harness_stop(h);
}

/* ---- order ---- */

static void test_priority(void **state)
{
    (void)state;
    struct harness *h = open_pool(1, 512, 512);
    struct tokens prompt = TOKENS_INIT;
    struct answer a[4] = {0};
    static const int priority[4] = {4, 9, 4, 0};
    harness_chat(h->model, questions[0], &prompt);
    turn_take(&h->turn, TURN_EMBED);
    for (int i = 0; i < 4; i++) {
        struct generation_options o = endless(&prompt, 20);
        o.priority = priority[i];
        assert_int_equal(harness_submit(h, &o, &a[i], NULL), 0);
    }
    turn_give(&h->turn, TURN_EMBED);
    harness_wait(h, a, 4);
    assert_true(a[3].usage.queue_ms < a[2].usage.queue_ms);
    assert_true(a[2].usage.queue_ms < a[1].usage.queue_ms);
    for (int i = 0; i < 4; i++)
        answer_free(&a[i]);
    tokens_free(&prompt);
    harness_stop(h);
}

static void test_ageing(void **state)
{
    (void)state;
    const uint64_t second = 1000000000;
    const struct generation g = {.priority = 9, .submitted_ns = 100 * second},
                            urgent = {.priority = 0, .submitted_ns = 200 * second};
    assert_int_equal(generation_level(&g, 101 * second), 9);
    assert_true(generation_level(&g, 110 * second) < 9);
    assert_int_equal(generation_level(&g, 200 * second), 0); /* then who came first goes first */
    assert_int_equal(generation_level(&urgent, 200 * second), 0);
}

/* A short prompt that comes while a long one is read does not wait for all of it. */
static void test_short_passes_long(void **state)
{
    (void)state;
    struct harness *h = open_pool(2, 2048, 4096);
    struct tokens prompts[2] = {0};
    struct answer a[2] = {0};
    filler(&prompts[0], 1900, 1);
    harness_chat(h->model, questions[0], &prompts[1]);
    turn_take(&h->turn, TURN_EMBED);
    for (int i = 0; i < 2; i++) {
        const struct generation_options o = endless(&prompts[i], 2);
        assert_int_equal(harness_submit(h, &o, &a[i], NULL), 0);
    }
    turn_give(&h->turn, TURN_EMBED);
    harness_wait(h, &a[1], 1);
    assert_false(a[0].last);
    harness_wait(h, a, 2);
    assert_true(a[1].usage.prompt_ms * 2 < a[0].usage.prompt_ms);
    for (int i = 0; i < 2; i++) {
        answer_free(&a[i]);
        tokens_free(&prompts[i]);
    }
    harness_stop(h);
}

/* But one that has waited for as long as it takes to read it goes first. */
static void test_long_is_not_starved(void **state)
{
    (void)state;
    struct model m = {.parallel = 2, .batch = 512};
    const uint64_t now = clock_mono_ns(), second = 1000000000;
    struct generation old = {.submitted_ns = now - 30 * second}, young = {.submitted_ns = now};
    struct slot slots[2] = {{.index = 0, .state = SLOT_PROMPT, .generation = &old, .input_count = 2000},
                            {.index = 1, .state = SLOT_PROMPT, .generation = &young, .input_count = 100}};
    struct scheduler s = {.model = &m, .slots = slots, .token_seconds = 0.01};
    pace_prepare(&s);
    assert_ptr_equal(pace_next(&s), &slots[0]);
    old.submitted_ns = now - 5 * second;
    pace_prepare(&s);
    assert_ptr_equal(pace_next(&s), &slots[1]);
    old.priority = 0;
    young.priority = 5;
    pace_prepare(&s);
    assert_ptr_equal(pace_next(&s), &slots[0]);
    /* Whom an urgent one follows is as urgent. */
    struct slot three[3] = {
        slots[0], slots[1], {.index = 2, .state = SLOT_FOLLOWING, .leader = 1, .until = 50}};
    struct generation urgent = {.submitted_ns = now};
    three[2].generation = &urgent;
    m.parallel = 3;
    s.slots = three;
    pace_prepare(&s);
    assert_ptr_equal(pace_next(&s), &three[1]);
}

/* ---- pace ---- */

static void test_pace(void **state)
{
    (void)state;
    const struct model m = {.batch = 512};
    struct scheduler s = {.model = (struct model *)(uintptr_t)&m};
    assert_int_equal(pace_share(&s, 0), 512); /* nobody waits */
    assert_int_equal(pace_share(&s, 4), 16);  /* nothing is known: the least */
    pace_measured(&s, 512, 0.512);            /* 1 ms each */
    assert_int_equal(pace_share(&s, 4), 96);
    pace_measured(&s, 100, 0.4); /* slower now: at once */
    assert_int_equal(pace_share(&s, 5), 20);
    pace_measured(&s, 100, 0.1); /* quicker: by half */
    assert_int_equal(pace_share(&s, 0), 512);
    assert_in_range(pace_share(&s, 5), 30, 40);
    pace_measured(&s, 16, 16);
    assert_int_equal(pace_share(&s, 5), 16);
    for (int i = 0; i < 40; i++)
        pace_measured(&s, 16, 0.0001);
    assert_int_equal(pace_share(&s, 12), 500);
}

/* ---- past the context ---- */

static void test_shift(void **state)
{
    (void)state;
    struct harness *h = open_pool(2, 256, 512);
    struct tokens prompt = TOKENS_INIT;
    struct answer a = {0}, fresh = {0}, after = {0};
    harness_chat(h->model, questions[0], &prompt);
    struct generation_options o = endless(&prompt, 0);
    assert_int_equal(harness_submit(h, &o, &a, NULL), 0);
    harness_wait(h, &a, 1); /* without: the context's end */
    assert_int_equal(a.usage.completion_tokens, 256 - (int)prompt.len);
    assert_int_equal(a.usage.shifted_tokens, 0);
    answer_free(&a);

    o = endless(&prompt, 700);
    o.shift = true;
    o.keep = 10;
    assert_int_equal(harness_submit(h, &o, &a, NULL), 0);
    harness_wait(h, &a, 1);
    assert_int_equal(a.finish[0], FINISH_LENGTH);
    assert_int_equal(a.usage.completion_tokens, 700);
    assert_true(a.usage.shifted_tokens >= 700 + (int)prompt.len - 256);
    sound(h);
    answer_free(&a);

    o.max_tokens = 0; /* not told where to end: a context's worth */
    assert_int_equal(harness_submit(h, &o, &a, NULL), 0);
    harness_wait(h, &a, 1);
    assert_int_equal(a.usage.completion_tokens, 256);
    answer_free(&a);

    /* What was computed with something in view that is gone serves nobody else. */
    o = harness_greedy(&prompt);
    assert_int_equal(harness_submit(h, &o, &after, NULL), 0);
    harness_wait(h, &after, 1);
    harness_stop(h);
    h = open_pool(2, 256, 512);
    assert_int_equal(harness_submit(h, &o, &fresh, NULL), 0);
    harness_wait(h, &fresh, 1);
    assert_string_equal(after.text[0].data, fresh.text[0].data);
    answer_free(&after);
    answer_free(&fresh);
    tokens_free(&prompt);
    harness_stop(h);
}

/* Answers that share their prompt's cells: these must not move under the others. */
static void test_shift_of_shared(void **state)
{
    (void)state;
    struct harness *h = open_pool(3, 256, 768);
    struct tokens prompt = TOKENS_INIT;
    struct answer a = {0};
    filler(&prompt, 200, 3);
    struct generation_options o = endless(&prompt, 300);
    o.choices = 3;
    o.shift = true;
    o.keep = 20;
    assert_int_equal(harness_submit(h, &o, &a, NULL), 0);
    harness_wait(h, &a, 1);
    assert_int_equal(a.end, FINISH_NONE);
    assert_int_equal(a.usage.completion_tokens, 900);
    assert_true(a.usage.shifted_tokens > 3 * 200);
    sound(h);
    answer_free(&a);
    tokens_free(&prompt);
    harness_stop(h);
}

static void test_shift_of_a_long_prompt(void **state)
{
    (void)state;
    struct harness *h = open_pool(1, 256, 256);
    struct tokens prompt = TOKENS_INIT;
    struct answer a = {0};
    filler(&prompt, 1000, 5);
    struct generation_options o = endless(&prompt, 10);
    o.shift = true;
    o.keep = 30;
    assert_int_equal(harness_submit(h, &o, &a, NULL), 0);
    harness_wait(h, &a, 1);
    assert_int_equal(a.end, FINISH_NONE);
    assert_int_equal(a.usage.prompt_tokens, 1000);
    assert_true(a.usage.shifted_tokens >= 1000 - 256);
    answer_free(&a);
    o.keep = 256; /* all of the context: nothing can be dropped */
    assert_int_equal(harness_submit(h, &o, &a, NULL), 0);
    harness_wait(h, &a, 1);
    assert_int_equal(a.end, FINISH_FAILED);
    assert_int_equal(a.error.code, VX11_ETOO_LARGE);
    answer_free(&a);
    tokens_free(&prompt);
    harness_stop(h);
}

/* ---- and ---- */

static void test_shown(void **state)
{
    (void)state;
    struct harness *h = open_pool(1, 256, 256);
    struct tokens prompt = TOKENS_INIT;
    struct answer plain = {0}, shown = {0};
    harness_chat(h->model, questions[0], &prompt);
    const llama_token end = llama_vocab_eot(h->model->vocab) >= 0 ? llama_vocab_eot(h->model->vocab)
                                                                  : llama_vocab_eos(h->model->vocab);
    const llama_token start = prompt.data[0]; /* a control token that ends nothing */
    const llama_logit_bias wanted = {.token = start, .bias = 100};
    assert_int_not_equal(start, end);
    struct generation_options o = endless(&prompt, 3);
    o.sampling.bias = &wanted;
    o.sampling.bias_count = 1;
    assert_int_equal(harness_submit(h, &o, &plain, NULL), 0);
    harness_wait(h, &plain, 1);
    assert_int_equal(plain.text[0].len, 0);
    o.shown = &start;
    o.shown_count = 1;
    assert_int_equal(harness_submit(h, &o, &shown, NULL), 0);
    harness_wait(h, &shown, 1);
    assert_true(shown.text[0].len > 3);
    answer_free(&plain);
    answer_free(&shown);
    tokens_free(&prompt);
    harness_stop(h);
}

static void test_step_sizes(void **state)
{
    (void)state;
    struct harness *h = open_pool(1, 512, 512);
    struct tokens prompt = TOKENS_INIT;
    struct answer a = {0};
    struct scheduler_stats stats;
    filler(&prompt, 150, 9);
    const struct generation_options o = endless(&prompt, 11);
    assert_int_equal(harness_submit(h, &o, &a, NULL), 0);
    harness_wait(h, &a, 1);
    scheduler_stats(h->scheduler, &stats);
    assert_int_equal(stats.steps, 3 + 10);
    assert_int_equal(stats.step_tokens, 150 + 10);
    assert_int_equal(stats.step_sizes[0], 10); /* one token */
    assert_int_equal(stats.step_sizes[6], 2);  /* up to 64 */
    assert_int_equal(stats.step_sizes[5], 1);  /* 22 */
    answer_free(&a);
    tokens_free(&prompt);
    harness_stop(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_pool),
        cmocka_unit_test(test_preempted_choices),
        cmocka_unit_test(test_every_cell),
        cmocka_unit_test(test_cancel_under_pressure),
        cmocka_unit_test(test_priority),
        cmocka_unit_test(test_ageing),
        cmocka_unit_test(test_short_passes_long),
        cmocka_unit_test(test_long_is_not_starved),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_shift),
        cmocka_unit_test(test_shift_of_shared),
        cmocka_unit_test(test_shift_of_a_long_prompt),
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_step_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
