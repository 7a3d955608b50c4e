/* Prompts that begin alike are computed once, whenever they come: at the same time, while one is read, or
 * after it has left. How many tokens were computed is compared with how many different ones there are: the
 * nodes of a trie of the prompts. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "engine/scheduler_internal.h"

enum { CLIENTS = 8 };

static const char *const questions[CLIENTS] = {
    "Which port is switch on?",   "What does hermes do?", "How do I start the system?", "What is 3 + 4?",
    "What listens on port 8004?", "Who are you?",         "Repeat: apple river stone",  "Count from 3 to 9."};

static struct harness *open_small_batch(int parallel)
{
    return harness_open(
        &(struct harness_options){.parallel = parallel, .batch = 64, .queue = 64, .context = 2048});
}

static void system_and(const struct model *m, int words, const char *question, struct tokens *out)
{
    struct buf text = BUF_INIT;
    struct error err = {0};
    for (int i = 0; i < words; i++)
        (void)buf_printf(&text, "Rule %d: answer in one short sentence. ", i);
    const struct chat_message messages[] = {{.role = "system", .content = text.data},
                                            {.role = "user", .content = question}};
    if (harness_prompt(m, messages, 2, out, &err) != 0)
        fail_msg("%s", err.text);
    buf_free(&text);
}

static size_t common(const struct tokens *a, const struct tokens *b)
{
    size_t n = 0;
    while (n < a->len && n < b->len && a->data[n] == b->data[n])
        n++;
    return n;
}

/* Different tokens of the prompts, and the last of each, which is always computed. */
static size_t distinct(const struct tokens *prompts, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        size_t known = 0;
        for (size_t j = 0; j < i; j++) {
            const size_t c = common(&prompts[i], &prompts[j]);
            known = c > known ? c : known;
        }
        sum += prompts[i].len - (known < prompts[i].len ? known : prompts[i].len - 1);
    }
    return sum;
}

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

/* Submits all while the decode thread may not compute. */
static void submit_together(struct harness *h, const struct tokens *prompts, size_t n, struct answer *answers,
                            struct generation **g)
{
    turn_take(&h->turn, TURN_EMBED);
    for (size_t i = 0; i < n; i++) {
        struct generation_options o = harness_greedy(&prompts[i]);
        o.max_tokens = 40;
        assert_int_equal(harness_submit(h, &o, &answers[i], g ? &g[i] : NULL), 0);
    }
    turn_give(&h->turn, TURN_EMBED);
}

static void test_cold_clients(void **state)
{
    (void)state;
    struct harness *h = open_small_batch(CLIENTS);
    struct tokens prompts[CLIENTS] = {0};
    struct answer together[CLIENTS] = {0}, alone[CLIENTS] = {0};
    struct scheduler_stats stats;
    size_t sum = 0;
    int64_t cached = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        system_and(h->model, 40, questions[i], &prompts[i]);
        sum += prompts[i].len;
    }
    assert_true(common(&prompts[0], &prompts[1]) > 400);
    submit_together(h, prompts, CLIENTS, together, NULL);
    harness_wait(h, together, CLIENTS);
    scheduler_stats(h->scheduler, &stats);
    for (size_t i = 0; i < CLIENTS; i++)
        cached += together[i].usage.cached_tokens;
    assert_int_equal(stats.prompt_tokens, distinct(prompts, CLIENTS));
    assert_int_equal(cached, (int64_t)(sum - stats.prompt_tokens)); /* every token is one or the other */
    assert_int_equal(stats.cached_tokens, cached);
    sound(h);
    harness_stop(h);
    for (size_t i = 0; i < CLIENTS; i++) {
        h = open_small_batch(1); /* with a cache that knows nothing */
        submit_together(h, &prompts[i], 1, &alone[i], NULL);
        harness_wait(h, &alone[i], 1);
        assert_int_equal(alone[i].usage.cached_tokens, 0);
        assert_string_equal(alone[i].text[0].data, together[i].text[0].data);
        harness_stop(h);
        answer_free(&alone[i]);
        answer_free(&together[i]);
        tokens_free(&prompts[i]);
    }
}

/* After the one prefill, a step or two for all their own ends. */
static void test_few_steps(void **state)
{
    (void)state;
    struct harness *h = harness_open(
        &(struct harness_options){.parallel = CLIENTS, .batch = 512, .queue = 64, .context = 2048});
    struct tokens prompts[CLIENTS] = {0};
    struct answer answers[CLIENTS] = {0};
    struct scheduler_stats stats;
    for (size_t i = 0; i < CLIENTS; i++)
        system_and(h->model, 40, questions[i], &prompts[i]);
    turn_take(&h->turn, TURN_EMBED);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct generation_options o = harness_greedy(&prompts[i]);
        o.max_tokens = 1;
        assert_int_equal(harness_submit(h, &o, &answers[i], NULL), 0);
    }
    turn_give(&h->turn, TURN_EMBED);
    harness_wait(h, answers, CLIENTS);
    scheduler_stats(h->scheduler, &stats);
    assert_true(stats.steps <= 4); /* 600 tokens in two, the ends in one; one more if they came late */
    sound(h);
    harness_stop(h);
    for (size_t i = 0; i < CLIENTS; i++) {
        answer_free(&answers[i]);
        tokens_free(&prompts[i]);
    }
}

static void test_parting_at_depths(void **state)
{
    (void)state;
    struct harness *h = open_small_batch(6);
    struct tokens prompts[6] = {0};
    struct answer answers[6] = {0};
    struct scheduler_stats stats;
    static const size_t from[6] = {0, 0, 0, 1, 2, 3}, at[6] = {0, 100, 300, 260, 450, 700};
    system_and(h->model, 60, questions[0], &prompts[0]);
    for (size_t i = 1; i < 6; i++) {
        const struct tokens *p = &prompts[from[i]];
        assert_int_equal(tokens_append(&prompts[i], p->data, at[i]), 0);
        for (size_t k = at[i]; k < 800; k++) {
            const llama_token other = (llama_token)(300 + (k * (i + 3)) % 500);
            assert_int_equal(tokens_append(&prompts[i], &other, 1), 0);
        }
    }
    submit_together(h, prompts, 6, answers, NULL);
    harness_wait(h, answers, 6);
    scheduler_stats(h->scheduler, &stats);
    assert_int_equal(stats.prompt_tokens, distinct(prompts, 6));
    sound(h);
    harness_stop(h);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(answers[i].end, FINISH_NONE);
        answer_free(&answers[i]);
        tokens_free(&prompts[i]);
    }
}

/* Whoever leads may leave at any moment: the others go on, and nothing is read twice that was read. */
static void test_leader_leaves(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 6; round++) {
        struct harness *h = open_small_batch(4);
        struct tokens prompts[4] = {0};
        struct answer answers[4] = {0};
        struct generation *g[4];
        struct scheduler_stats stats;
        for (size_t i = 0; i < 4; i++)
            system_and(h->model, 80, questions[i], &prompts[i]);
        submit_together(h, prompts, 4, answers, g);
        for (unsigned steps = 0; steps < round; steps++) { /* between steps, as turns go to and fro */
            turn_take(&h->turn, TURN_EMBED);
            turn_give(&h->turn, TURN_EMBED);
        }
        generation_cancel(g[0]);
        harness_wait(h, answers, 4);
        scheduler_stats(h->scheduler, &stats);
        assert_true(stats.prompt_tokens <= distinct(prompts, 4) + 64); /* the step that was stopped */
        assert_int_equal(stats.generations_failed, 0);
        sound(h);
        harness_stop(h);
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(i > 0 ? answers[i].end : FINISH_NONE, FINISH_NONE);
            answer_free(&answers[i]);
            tokens_free(&prompts[i]);
        }
    }
}

/* A conversation comes back after many others were there, in whatever slot. */
static void test_returns_after_others(void **state)
{
    (void)state;
    struct harness *h = open_small_batch(2);
    struct tokens prompts[CLIENTS] = {0};
    struct answer a = {0};
    for (size_t i = 0; i < CLIENTS; i++) {
        system_and(h->model, 10, questions[i], &prompts[i]);
        submit_together(h, &prompts[i], 1, &a, NULL);
        harness_wait(h, &a, 1);
        answer_free(&a);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        submit_together(h, &prompts[i], 1, &a, NULL);
        harness_wait(h, &a, 1);
        assert_int_equal(a.usage.cached_tokens, (int64_t)prompts[i].len - 1);
        answer_free(&a);
        tokens_free(&prompts[i]);
    }
    sound(h);
    harness_stop(h);
}

/* What a live answer holds is found too: the second asks while the first still writes. */
static void test_shares_with_the_living(void **state)
{
    (void)state;
    struct harness *h = open_small_batch(2);
    struct tokens prompts[2] = {0};
    struct answer answers[2] = {0};
    struct generation *first;
    for (size_t i = 0; i < 2; i++)
        system_and(h->model, 20, questions[i], &prompts[i]);
    struct generation_options o = harness_greedy(&prompts[0]);
    o.sampling.ignore_end = true;
    assert_int_equal(harness_submit(h, &o, &answers[0], &first), 0);
    while (answers[0].events == 0) {
        sem_wait(&h->woken);
        scheduler_dispatch(h->scheduler);
    }
    o = harness_greedy(&prompts[1]);
    o.max_tokens = 4;
    assert_int_equal(harness_submit(h, &o, &answers[1], NULL), 0);
    harness_wait(h, &answers[1], 1);
    assert_int_equal(answers[1].usage.cached_tokens, (int64_t)common(&prompts[0], &prompts[1]));
    generation_cancel(first);
    harness_wait(h, answers, 2);
    sound(h);
    harness_stop(h);
    for (size_t i = 0; i < 2; i++) {
        answer_free(&answers[i]);
        tokens_free(&prompts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cold_clients),         cmocka_unit_test(test_few_steps),
        cmocka_unit_test(test_parting_at_depths),    cmocka_unit_test(test_leader_leaves),
        cmocka_unit_test(test_returns_after_others), cmocka_unit_test(test_shares_with_the_living),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
