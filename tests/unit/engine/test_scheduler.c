/* The scheduler with the guide model: what it says alone and in company, and how a generation ends. */
#include "harness.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

static int start(void **state)
{
    *state = harness_start(4, 0, 64);
    return 0;
}

static int stop(void **state)
{
    harness_stop(*state);
    return 0;
}

static void ask(struct harness *h, const char *question, struct answer *a)
{
    struct tokens prompt = TOKENS_INIT;
    harness_chat(h->model, question, &prompt);
    const struct generation_options o = harness_greedy(&prompt);
    assert_int_equal(harness_submit(h, &o, a, NULL), 0);
    harness_wait(h, a, 1);
    tokens_free(&prompt);
}

static void test_answers(void **state)
{
    struct answer a = {0};
    ask(*state, "Which port is switch on?", &a);
    assert_int_equal(a.end, FINISH_NONE);
    assert_int_equal(a.finish[0], FINISH_STOP);
    assert_non_null(strstr(a.text[0].data, "8002"));
    assert_true(a.usage.prompt_tokens > 10);
    assert_true(a.usage.completion_tokens > 3);
    assert_true(a.usage.prompt_ms > 0 && a.usage.decode_ms > 0);
    answer_free(&a);
}

static const char *const questions[] = {"Which port is switch on?",
                                        "What does hermes do?",
                                        "How do I start the system?",
                                        "What is 3 + 4?",
                                        "¿Qué hace madre?",
                                        "Count from 3 to 9.",
                                        "Repeat: apple river stone",
                                        "¿Cómo puedo ver los logs?",
                                        "Who are you?",
                                        "What listens on port 8004?"};

/* Texts, not logits, are compared: a batch of another size sums in another order, which moves a logit in its
 * last bits; the guide's answers are far from a tie. */
static void test_same_in_company(void **state)
{
    struct harness *h = *state;
    struct answer alone[COUNT_OF(questions)] = {0}, together[COUNT_OF(questions)] = {0};
    struct tokens prompts[COUNT_OF(questions)] = {0};
    for (size_t i = 0; i < COUNT_OF(questions); i++)
        ask(h, questions[i], &alone[i]);
    for (size_t i = 0; i < COUNT_OF(questions); i++) {
        harness_chat(h->model, questions[i], &prompts[i]);
        const struct generation_options o = harness_greedy(&prompts[i]);
        assert_int_equal(harness_submit(h, &o, &together[i], NULL), 0);
    }
    harness_wait(h, together, COUNT_OF(questions));
    for (size_t i = 0; i < COUNT_OF(questions); i++) {
        assert_string_equal(alone[i].text[0].data, together[i].text[0].data);
        answer_free(&alone[i]);
        answer_free(&together[i]);
        tokens_free(&prompts[i]);
    }
}

static void test_long_prompt_beside_a_stream(void **state)
{
    struct harness *h = *state;
    struct answer both[2] = {0}, alone = {0};
    struct tokens prompts[2] = {0};
    struct buf words = BUF_INIT;
    ask(h, "How do I start the system?", &alone);
    (void)buf_puts(&words, "Repeat: stone. ");
    for (int i = 0; i < 400; i++)
        (void)buf_puts(&words, "river ");
    harness_chat(h->model, "How do I start the system?", &prompts[0]);
    harness_chat(h->model, words.data, &prompts[1]);
    assert_true(prompts[1].len > 600);
    for (size_t i = 0; i < 2; i++) {
        struct generation_options o = harness_greedy(&prompts[i]);
        o.max_tokens = 100;
        assert_int_equal(harness_submit(h, &o, &both[i], NULL), 0);
    }
    harness_wait(h, both, 2);
    assert_string_equal(both[0].text[0].data, alone.text[0].data);
    assert_int_equal(both[1].end, FINISH_NONE);
    for (size_t i = 0; i < 2; i++) {
        answer_free(&both[i]);
        tokens_free(&prompts[i]);
    }
    answer_free(&alone);
    buf_free(&words);
}

static void test_choices(void **state)
{
    struct harness *h = *state;
    struct answer same = {0};
    struct tokens prompt = TOKENS_INIT;
    harness_chat(h->model, "Write a poem about stones.", &prompt);
    struct generation_options o = harness_greedy(&prompt);
    o.choices = 6; /* more than there are slots */
    assert_int_equal(harness_submit(h, &o, &same, NULL), 0);
    harness_wait(h, &same, 1);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(same.finish[i], FINISH_STOP);
        assert_string_equal(same.text[i].data, same.text[0].data);
    }
    assert_int_equal(same.usage.prompt_tokens, (int)prompt.len);
    answer_free(&same);
    tokens_free(&prompt);
}

/* Three choices drawn with a seed, by an engine that has just started: where cells lie and how batches are
 * made up moves logits in their last bits, so that only equal histories give equal draws for certain. */
static void draw(struct answer *a)
{
    struct harness *h = harness_start(4, 0, 8);
    struct tokens prompt = TOKENS_INIT;
    harness_chat(h->model, "Write a poem about stones.", &prompt);
    struct generation_options o = harness_greedy(&prompt);
    o.choices = 3;
    o.sampling.temperature = 2.0f;
    o.sampling.top_k = 0;
    o.sampling.top_p = 1.0f;
    o.sampling.min_p = 0.0f;
    o.sampling.has_seed = true;
    o.sampling.seed = 7;
    o.max_tokens = 24;
    assert_int_equal(harness_submit(h, &o, a, NULL), 0);
    harness_wait(h, a, 1);
    tokens_free(&prompt);
    harness_stop(h);
}

static void test_seed(void **state)
{
    (void)state;
    struct answer drawn = {0}, again = {0};
    draw(&drawn);
    draw(&again);
    assert_string_not_equal(drawn.text[0].data, drawn.text[1].data);
    assert_string_not_equal(drawn.text[1].data, drawn.text[2].data);
    for (unsigned i = 0; i < 3; i++)
        assert_string_equal(drawn.text[i].data, again.text[i].data);
    answer_free(&drawn);
    answer_free(&again);
}

static void test_stop_string(void **state)
{
    struct harness *h = *state;
    struct answer a = {0};
    struct tokens prompt = TOKENS_INIT;
    static const char *const stops[] = {"nothing like it", "n po"}; /* inside "listens on port" */
    harness_chat(h->model, "Which port is switch on?", &prompt);
    struct generation_options o = harness_greedy(&prompt);
    o.stops = stops;
    o.stop_count = 2;
    assert_int_equal(harness_submit(h, &o, &a, NULL), 0);
    harness_wait(h, &a, 1);
    assert_int_equal(a.finish[0], FINISH_STOP);
    assert_string_equal(a.text[0].data, "switch listens o");
    answer_free(&a);
    tokens_free(&prompt);
}

static void test_length(void **state)
{
    (void)state;
    struct harness *h = harness_start(1, 256, 2);
    struct answer a = {0};
    struct tokens prompt = TOKENS_INIT;
    harness_chat(h->model, "Which port is switch on?", &prompt);
    struct generation_options o = harness_greedy(&prompt);
    o.max_tokens = 2;
    assert_int_equal(harness_submit(h, &o, &a, NULL), 0);
    harness_wait(h, &a, 1);
    assert_int_equal(a.finish[0], FINISH_LENGTH);
    assert_int_equal(a.usage.completion_tokens, 2);
    answer_free(&a);

    /* Until the context ends, and not a token further. */
    o.max_tokens = 0;
    o.sampling.ignore_end = true;
    assert_int_equal(harness_submit(h, &o, &a, NULL), 0);
    harness_wait(h, &a, 1);
    assert_int_equal(a.finish[0], FINISH_LENGTH);
    assert_int_equal(a.usage.prompt_tokens + a.usage.completion_tokens, h->model->context_length);
    answer_free(&a);
    tokens_free(&prompt);
    harness_stop(h);
}

static void test_prompt_too_long(void **state)
{
    struct harness *h = *state;
    struct answer a = {0};
    struct tokens prompt = TOKENS_INIT;
    const llama_token token = 300;
    for (int32_t i = 0; i < h->model->context_length; i++)
        assert_int_equal(tokens_append(&prompt, &token, 1), 0);
    const struct generation_options o = harness_greedy(&prompt);
    assert_int_equal(harness_submit(h, &o, &a, NULL), 0);
    harness_wait(h, &a, 1);
    assert_int_equal(a.end, FINISH_FAILED);
    assert_int_equal(a.error.code, VX11_ETOO_LARGE);
    assert_non_null(strstr(a.error.text, "2048"));
    answer_free(&a);
    tokens_free(&prompt);
}

static void test_logprobs(void **state)
{
    struct harness *h = *state;
    struct answer a = {0};
    struct tokens prompt = TOKENS_INIT;
    harness_chat(h->model, "Which port is switch on?", &prompt);
    struct generation_options o = harness_greedy(&prompt);
    o.logprobs = true;
    o.top_logprobs = 5;
    assert_int_equal(harness_submit(h, &o, &a, NULL), 0);
    harness_wait(h, &a, 1);
    /* One for each token but the end. */
    assert_int_equal(a.logprobs, a.usage.completion_tokens - 1);
    assert_int_equal(a.top, 5);
    assert_true(a.chosen_logprob <= 0 && a.chosen_logprob > -1);
    answer_free(&a);
    tokens_free(&prompt);
}

static void test_cached_tokens(void **state)
{
    struct harness *h = *state;
    struct answer first = {0}, second = {0};
    struct tokens prompt = TOKENS_INIT;
    harness_chat(h->model, "Hi, I'm Marta", &prompt);
    struct generation_options o = harness_greedy(&prompt);
    assert_int_equal(harness_submit(h, &o, &first, NULL), 0);
    harness_wait(h, &first, 1);
    /* The next turn: what was said, the answer, a new question. */
    struct buf turn = BUF_INIT;
    struct error err = {0};
    (void)buf_printf(&turn,
                     "%s<|im_end|>\n<|im_start|>user\nWhat is my name?<|im_end|>\n<|im_start|>assistant\n",
                     first.text[0].data);
    const size_t before = prompt.len;
    assert_int_equal(tokenize(h->model, turn.data, turn.len, false, true, &prompt, &err), 0);
    o = harness_greedy(&prompt);
    assert_int_equal(harness_submit(h, &o, &second, NULL), 0);
    harness_wait(h, &second, 1);
    assert_true(second.usage.cached_tokens >= (int64_t)before);
    assert_true(second.usage.cached_tokens < second.usage.prompt_tokens);
    assert_non_null(strstr(second.text[0].data, "Marta"));
    answer_free(&first);
    answer_free(&second);
    buf_free(&turn);
    tokens_free(&prompt);
}

static void test_cancel(void **state)
{
    struct harness *h = *state;
    struct answer a = {.cancel_after = 3}, b = {0};
    struct tokens prompt = TOKENS_INIT;
    struct scheduler_stats stats;
    harness_chat(h->model, "Which port is switch on?", &prompt);
    struct generation_options o = harness_greedy(&prompt);
    o.sampling.ignore_end = true;
    assert_int_equal(harness_submit(h, &o, &a, NULL), 0);
    harness_wait(h, &a, 1);
    assert_int_equal(a.end, FINISH_CANCELLED);
    assert_true(a.usage.completion_tokens < 200); /* of about 2000 */
    ask(h, "Which port is switch on?", &b);       /* the slot works on */
    assert_non_null(strstr(b.text[0].data, "8002"));
    scheduler_stats(h->scheduler, &stats);
    assert_int_equal(stats.slots_busy, 0);
    assert_int_equal(stats.queued, 0);
    assert_true(stats.generations_cancelled >= 1);
    answer_free(&a);
    answer_free(&b);
    tokens_free(&prompt);
}

static void test_cancel_while_waiting(void **state)
{
    struct harness *h = *state;
    enum { N = 9 };
    struct answer a[N] = {0};
    struct generation *g[N] = {0};
    struct tokens prompt = TOKENS_INIT;
    harness_chat(h->model, "Count from 1 to 9.", &prompt);
    struct generation_options o = harness_greedy(&prompt);
    o.sampling.ignore_end = true;
    for (int i = 0; i < N; i++)
        assert_int_equal(harness_submit(h, &o, &a[i], &g[i]), 0);
    for (int i = 0; i < N; i++)
        generation_cancel(g[i]);
    harness_wait(h, a, N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(a[i].end, FINISH_CANCELLED);
        answer_free(&a[i]);
    }
    tokens_free(&prompt);
}

static void test_queue_full(void **state)
{
    (void)state;
    struct harness *h = harness_start(1, 0, 2);
    enum { N = 12 };
    struct answer a[N] = {0};
    struct generation *g[N] = {0};
    struct tokens prompt = TOKENS_INIT;
    size_t taken = 0;
    harness_chat(h->model, "Count from 1 to 9.", &prompt);
    struct generation_options o = harness_greedy(&prompt);
    o.sampling.ignore_end = true;
    for (int i = 0; i < N; i++) {
        const int rc = harness_submit(h, &o, &a[taken], &g[taken]);
        assert_true(rc == 0 || rc == VX11_EFULL);
        taken += rc == 0;
    }
    assert_in_range(taken, 2, 5);
    assert_true(scheduler_retry_ms(h->scheduler) >= 1000);
    for (size_t i = 0; i < taken; i++)
        generation_cancel(g[i]);
    harness_wait(h, a, taken);
    for (size_t i = 0; i < taken; i++)
        answer_free(&a[i]);
    tokens_free(&prompt);
    harness_stop(h);
}

static void test_stop_while_running(void **state)
{
    (void)state;
    struct harness *h = harness_start(2, 0, 8);
    struct answer a[4] = {0};
    struct tokens prompt = TOKENS_INIT;
    harness_chat(h->model, "Count from 1 to 9.", &prompt);
    struct generation_options o = harness_greedy(&prompt);
    o.sampling.ignore_end = true;
    for (int i = 0; i < 4; i++)
        assert_int_equal(harness_submit(h, &o, &a[i], NULL), 0);
    harness_stop(h);
    for (int i = 0; i < 4; i++) {
        assert_true(a[i].last);
        assert_int_equal(a[i].end, FINISH_CANCELLED);
        answer_free(&a[i]);
    }
    tokens_free(&prompt);
}

/* Many short generations with random cancels: every cell comes back, and the ledger agrees with what the
 * slots may keep. */
static void test_soak(void **state)
{
    struct harness *h = *state;
    enum { ROUNDS = 40, WIDTH = 8 };
    uint32_t random = 12345;
    struct tokens prompts[COUNT_OF(questions)] = {0};
    for (size_t i = 0; i < COUNT_OF(questions); i++)
        harness_chat(h->model, questions[i], &prompts[i]);
    for (int round = 0; round < ROUNDS; round++) {
        struct answer a[WIDTH] = {0};
        for (int i = 0; i < WIDTH; i++) {
            random = random * 1664525u + 1013904223u;
            struct generation_options o = harness_greedy(&prompts[(random >> 16) % COUNT_OF(questions)]);
            o.max_tokens = 1 + (random >> 8) % 12;
            o.choices = 1 + (random >> 24) % 3;
            a[i].cancel_after = (random >> 20) % 5;
            assert_int_equal(harness_submit(h, &o, &a[i], NULL), 0);
        }
        harness_wait(h, a, WIDTH);
        for (int i = 0; i < WIDTH; i++)
            answer_free(&a[i]);
    }
    struct scheduler_stats stats;
    scheduler_stats(h->scheduler, &stats);
    assert_int_equal(stats.slots_busy, 0);
    assert_int_equal(stats.generations_failed, 1); /* test_prompt_too_long's */
    assert_true(stats.cells_used > 0 && stats.cells_used <= 4 * h->model->context_length);
    for (size_t i = 0; i < COUNT_OF(questions); i++)
        tokens_free(&prompts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_same_in_company),
        cmocka_unit_test(test_long_prompt_beside_a_stream),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_stop_string),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_prompt_too_long),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_cached_tokens),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_while_waiting),
        cmocka_unit_test(test_queue_full),
        cmocka_unit_test(test_stop_while_running),
        cmocka_unit_test(test_soak),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
