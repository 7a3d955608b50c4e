/* What is only kept is moved out of the cells while others need them, and brought back: with the same answer,
 * without reading the prompt again. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "engine/scheduler_internal.h"

enum { KEPT_MOST = 512 };

/* A prompt of some hundred tokens; different ones differ from the first word on. */
static void story(const struct model *m, int which, int words, struct tokens *out)
{
    struct buf text = BUF_INIT;
    (void)buf_printf(&text, "Part %d.", which);
    for (int i = 0; i < words; i++)
        (void)buf_printf(&text, " word %d", i * which);
    harness_chat(m, text.data, out);
    buf_free(&text);
}

static void tell(struct harness *h, const struct tokens *prompt, struct answer *a)
{
    struct generation_options o = harness_greedy(prompt);
    o.max_tokens = 12;
    o.sampling.ignore_end = true;
    *a = (struct answer){0};
    assert_int_equal(harness_submit(h, &o, a, NULL), 0);
    harness_wait(h, a, 1);
    assert_int_equal(a->finish[0], FINISH_LENGTH);
}

static void sound(const struct harness *h, struct scheduler_stats *stats)
{
    scheduler_stats(h->scheduler, stats); /* orders this after what the decode thread did */
    const char *fault = cache_audit(h->scheduler->cache);
    if (fault)
        fail_msg("%s", fault);
    assert_int_equal(stats->cells_used, stats->cells_evictable);
}

static void test_comes_back(void **state)
{
    enum { STORIES = 4 };
    struct harness *h =
        harness_open(&(struct harness_options){.parallel = 2, .batch = 256, .queue = 8, .context = 2048});
    struct tokens prompts[STORIES] = {{0}};
    struct answer first[STORIES], again;
    struct scheduler_stats stats;
    (void)state;
    for (int i = 0; i < STORIES; i++) {
        story(h->model, i + 1, 60, &prompts[i]);
        assert_true(prompts[i].len > 150);
        tell(h, &prompts[i], &first[i]);
        assert_true(first[i].usage.cached_tokens < 64);
    }
    sound(h, &stats);
    assert_true(stats.aside_branches > 0);
    assert_true(stats.aside_bytes > 0);
    assert_true(stats.cells_used <= KEPT_MOST + (int32_t)prompts[STORIES - 1].len + 12);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < STORIES; i++) {
            tell(h, &prompts[i], &again);
            assert_int_equal(again.usage.cached_tokens, prompts[i].len - 1);
            assert_string_equal(again.text[0].data, first[i].text[0].data);
            answer_free(&again);
            sound(h, &stats);
        }
    }
    assert_int_equal(stats.evicted_branches, 0);
    for (int i = 0; i < STORIES; i++) {
        answer_free(&first[i]);
        tokens_free(&prompts[i]);
    }
    harness_stop(h);
}

/* Small ones are not worth the copying: they go, so that they cannot fill the cells either. */
static void test_small_ones_go(void **state)
{
    struct harness *h =
        harness_open(&(struct harness_options){.parallel = 1, .batch = 256, .queue = 8, .context = 2048});
    struct scheduler_stats stats;
    (void)state;
    for (int i = 0; i < 60; i++) {
        char question[32];
        struct tokens prompt = {0};
        struct answer a;
        (void)snprintf(question, sizeof question, "%d?", i);
        harness_chat(h->model, question, &prompt);
        assert_true(prompt.len < 40);
        tell(h, &prompt, &a);
        answer_free(&a);
        tokens_free(&prompt);
        sound(h, &stats);
        assert_true(stats.cells_used <= KEPT_MOST + 64);
    }
    assert_int_equal(stats.aside_branches, 0);
    harness_stop(h);
}

/* A common beginning of what is aside is brought back once and shared. */
static void test_beginning_is_shared(void **state)
{
    struct harness *h =
        harness_open(&(struct harness_options){.parallel = 2, .batch = 256, .queue = 8, .context = 2048});
    struct tokens long_one = {0}, other = {0}, part = {0};
    struct answer a;
    struct scheduler_stats stats;
    (void)state;
    story(h->model, 7, 120, &long_one);
    story(h->model, 8, 200, &other);
    tell(h, &long_one, &a);
    answer_free(&a);
    for (int i = 0; i < 2; i++) { /* the second finds 500 and more kept cells */
        tell(h, &other, &a);
        answer_free(&a);
    }
    sound(h, &stats);
    part.data = malloc(long_one.len * sizeof *part.data);
    assert_non_null(part.data);
    memcpy(part.data, long_one.data, (long_one.len - 40) * sizeof *part.data);
    part.len = long_one.len - 40;
    tell(h, &part, &a);
    assert_int_equal(a.usage.cached_tokens, part.len - 1);
    answer_free(&a);
    sound(h, &stats);
    tokens_free(&part);
    tokens_free(&long_one);
    tokens_free(&other);
    harness_stop(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_back),
        cmocka_unit_test(test_small_ones_go),
        cmocka_unit_test(test_beginning_is_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
