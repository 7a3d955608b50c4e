/* Guessing: where a sequence repeats itself, when guessing pays, and the draft model. Prices are told, not
 * timed. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "engine/draft.h"
#include "engine/draft_lookup.h"

/* ---- lookup ---- */

static size_t find(struct lookup *l, const llama_token *tokens, size_t n, size_t *match)
{
    assert_int_equal(lookup_add(l, tokens, n), 0);
    return lookup_find(l, tokens, n, match);
}

static void test_longest_then_newest(void **state)
{
    /*                             0  1  2  3  4   5  6  7  8  9  10 11 12 13 14 15 */
    static const llama_token t[] = {9, 1, 2, 3, 40, 8, 1, 2, 3, 50, 9, 1, 2, 3, 60, 0, 9, 1, 2, 3};
    struct lookup l = {0};
    size_t match;
    (void)state;
    assert_int_equal(find(&l, t, 3, &match), 0);
    assert_int_equal(find(&l, t, 9, &match), 4); /* 1 2 3 stood there once */
    assert_int_equal(match, 3);
    assert_int_equal(find(&l, t, 14, &match), 4); /* 9 1 2 3 is older than 8 1 2 3, but longer */
    assert_int_equal(match, 4);
    assert_int_equal(find(&l, t, COUNT_OF(t), &match), 14); /* of two 9 1 2 3, the newer */
    assert_int_equal(match, 4);
    lookup_reset(&l);
    assert_int_equal(find(&l, t + 5, 4, &match), 0); /* nothing is left of what was */
    lookup_free(&l);
}

static size_t agreement(const llama_token *t, size_t then, size_t now)
{
    size_t n = 0;
    while (n < LOOKUP_MATCH && n <= then && t[then - n] == t[now - n])
        n++;
    return n;
}

/* Against a search of everything: what is found agrees as far as it says, and none of the newest places
 * agrees further. Few different tokens make many places, many make many hashes. */
static void compare_with_search(unsigned alphabet, size_t n)
{
    struct lookup l = {0};
    llama_token *t = calloc(n, sizeof *t);
    uint32_t random = 12345 + alphabet;
    assert_non_null(t);
    for (size_t i = 0; i < n; i++) {
        random = random * 1664525u + 1013904223u;
        t[i] = (llama_token)((random >> 8) % alphabet);
        size_t match, newest = 0, seen = 0;
        const size_t at = find(&l, t, i + 1, &match);
        for (size_t then = i; then > 0 && seen < 4; then--) {
            const size_t agreed = agreement(t, then - 1, i);
            seen += agreed >= LOOKUP_GRAM;
            newest = agreed >= LOOKUP_GRAM && agreed > newest ? agreed : newest;
        }
        assert_true(match >= newest);
        if (at > 0)
            assert_int_equal(agreement(t, at - 1, i), match);
        else
            assert_int_equal(newest, 0);
    }
    lookup_free(&l);
    free(t);
}

static void test_search(void **state)
{
    (void)state;
    compare_with_search(2, 600);
    compare_with_search(4, 2000);
    compare_with_search(50, 3000);
    compare_with_search(100000, 1000);
}

/* ---- when guessing pays ---- */

enum { LINE = 24 }; /* tokens that repeat */

struct sim { /* a machine with a price for each row count, and a sequence per slot */
    struct drafter *drafter;
    double (*price)(int rows);
    llama_token tokens[8][4096];
    size_t n[8];
    llama_token (*next)(size_t at);
    uint64_t drafted, accepted, made, steps;
    double seconds;
};

static llama_token repeating(size_t at)
{
    return (llama_token)(100 + at % LINE);
}

/* Runs of three stand there over and over, each time followed by something else. */
static llama_token misleading(size_t at)
{
    return at % 4 == 3 ? (llama_token)(1000 + at) : (llama_token)(at % 4);
}

static double memory_bound(int rows)
{
    return 1.0 + 0.02 * rows;
}

static double compute_bound(int rows)
{
    return rows;
}

static struct sim *sim_start(const struct model *m, enum draft_mode mode, int most, double (*price)(int),
                             llama_token (*next)(size_t))
{
    struct sim *s = calloc(1, sizeof *s);
    struct error err = {0};
    const struct drafter_options o = {.mode = mode, .most = most};
    assert_non_null(s);
    assert_int_equal(drafter_create(&o, m, &s->drafter, &err), 0);
    assert_non_null(s->drafter);
    s->price = price;
    s->next = next;
    for (size_t i = 0; i < COUNT_OF(s->n); i++) {
        for (s->n[i] = 0; s->n[i] < 64; s->n[i]++)
            s->tokens[i][s->n[i]] = next(s->n[i]);
    }
    return s;
}

static void sim_end(struct sim *s)
{
    drafter_destroy(s->drafter);
    free(s);
}

/* One step of `sequences`: guesses are checked as the engine does. */
static void sim_step(struct sim *s, int sequences)
{
    int drafted = 0, accepted = 0;
    drafter_begin(s->drafter, sequences, false);
    for (int i = 0; i < sequences; i++) {
        llama_token guess[DRAFT_MOST];
        const size_t k = drafter_guess(s->drafter, i, s->tokens[i], s->n[i], DRAFT_MOST, guess);
        size_t right = 0;
        assert_true(k <= DRAFT_MOST);
        while (right < k && guess[right] == s->next(s->n[i] + right))
            right++;
        for (size_t j = 0; j < right + 1; j++, s->n[i]++)
            s->tokens[i][s->n[i]] = s->next(s->n[i]);
        drafted += (int)k;
        accepted += (int)right;
    }
    assert_true(drafted <= DRAFT_STEP_MOST);
    const double seconds = s->price(sequences + drafted);
    drafter_measured(s->drafter, sequences, drafted, accepted, seconds);
    s->drafted += (uint64_t)drafted;
    s->accepted += (uint64_t)accepted;
    s->made += (uint64_t)(sequences + accepted);
    s->seconds += seconds;
    s->steps++;
}

static void sim_run(struct sim *s, int sequences, size_t tokens)
{
    s->drafted = s->accepted = s->made = s->steps = 0;
    s->seconds = 0;
    while (s->n[0] + DRAFT_MOST + 1 < COUNT_OF(s->tokens[0]) && s->n[0] < tokens)
        sim_step(s, sequences);
}

static double speed_up(const struct sim *s, int sequences)
{
    return (double)s->made / s->seconds / (sequences / s->price(sequences));
}

static void test_pays_where_rows_are_cheap(void **state)
{
    struct sim *s = sim_start(*state, DRAFT_AUTO, 0, memory_bound, repeating);
    sim_run(s, 1, 500);
    sim_run(s, 1, 3000);
    assert_true(s->accepted == s->drafted);
    assert_true(speed_up(s, 1) > 5);
    assert_true(drafter_active(s->drafter));
    assert_true(drafter_gain(s->drafter) > 5);
    sim_end(s);
}

/* Every row costs what a token costs: guessing can only lose, however well it guesses. */
static void test_stays_away_where_rows_are_dear(void **state)
{
    struct sim *s = sim_start(*state, DRAFT_AUTO, 0, compute_bound, repeating);
    sim_run(s, 1, 3000);
    assert_true(speed_up(s, 1) > 0.97);
    assert_false(drafter_active(s->drafter));
    sim_end(s);
}

static double one_row_free(int rows)
{
    return rows <= 4 ? 1 : rows / 4.0;
}

/* The same machine, alone and in company. */
static void test_off_in_company(void **state)
{
    struct sim *s = sim_start(*state, DRAFT_AUTO, 0, one_row_free, repeating);
    sim_run(s, 8, 600);
    assert_true(speed_up(s, 8) > 0.97);
    const uint64_t drafted = s->drafted;
    assert_true(drafted * 4 < s->made);
    sim_run(s, 1, 2500);
    assert_true(speed_up(s, 1) > 2);
    sim_end(s);
}

static void test_failing_slot_stops(void **state)
{
    struct sim *s = sim_start(*state, DRAFT_ON, 0, memory_bound, misleading);
    sim_run(s, 1, 1000);
    assert_true(s->drafted < 40);
    sim_end(s);
    s = sim_start(*state, DRAFT_AUTO, 0, memory_bound, misleading);
    sim_run(s, 1, 3000);
    assert_true(speed_up(s, 1) > 0.97);
    sim_end(s);
}

static double drifting;

static double drifting_price(int rows)
{
    return drifting * (1.0 + 0.02 * rows);
}

/* The machine becomes three times slower while guesses run, and again as fast. */
static void test_drift(void **state)
{
    struct sim *s = sim_start(*state, DRAFT_AUTO, 0, drifting_price, repeating);
    drifting = 1;
    sim_run(s, 1, 1000);
    drifting = 3;
    sim_run(s, 1, 2000);
    drifting = 1;
    sim_run(s, 1, 3000);
    assert_true(speed_up(s, 1) > 4);
    sim_end(s);
}

static bool betrayed;

static double betraying_price(int rows)
{
    return betrayed && rows > 1 ? 3.0 * rows : 1.0 + 0.02 * rows;
}

static void test_backs_off(void **state)
{
    struct sim *s = sim_start(*state, DRAFT_AUTO, 0, betraying_price, repeating);
    betrayed = false;
    sim_run(s, 1, 1000);
    assert_true(speed_up(s, 1) > 3);
    betrayed = true;
    sim_run(s, 1, 1500); /* learns it */
    sim_run(s, 1, 3500);
    assert_true(speed_up(s, 1) > 0.9);
    sim_end(s);
}

static void test_most(void **state)
{
    struct sim *s = sim_start(*state, DRAFT_ON, 3, memory_bound, repeating);
    sim_run(s, 1, 2000);
    assert_true(s->drafted > 0 && s->drafted <= 3 * s->steps);
    llama_token guess[DRAFT_MOST];
    drafter_begin(s->drafter, 1, false);
    assert_int_equal(drafter_guess(s->drafter, 0, s->tokens[0], s->n[0], 0, guess), 0);
    drafter_forget(s->drafter, 0);
    drafter_begin(s->drafter, 1, false);
    assert_int_equal(drafter_guess(s->drafter, 0, s->tokens[0], 2, 3, guess), 0);
    sim_end(s);
}

static void test_options(void **state)
{
    struct drafter *d = NULL;
    struct error err = {0};
    assert_int_equal(
        drafter_create(&(struct drafter_options){.mode = DRAFT_ON, .most = 17}, *state, &d, &err),
        VX11_EINVALID);
    assert_int_equal(drafter_create(&(struct drafter_options){.mode = DRAFT_OFF}, *state, &d, &err), 0);
    assert_null(d);
    assert_false(drafter_active(NULL));
    assert_true(drafter_gain(NULL) < 0);
    drafter_destroy(NULL);
}

/* ---- the draft model ---- */

static llama_token greedy_next(struct llama_context *c, int32_t vocabulary)
{
    const float *logits = llama_get_logits_ith(c, -1);
    llama_token best = 0;
    for (llama_token t = 1; t < vocabulary; t++)
        best = logits[t] > logits[best] ? t : best;
    return best;
}

/* The guide guesses for itself: every guess is what it says, whatever is rolled back in between. */
static void test_model_guesses_itself(void **state)
{
    const struct model *m = *state;
    struct drafter *d = NULL;
    struct error err = {0};
    struct tokens t = TOKENS_INIT;
    llama_token guess[DRAFT_MOST];
    size_t guessed = 0;
    const struct drafter_options o = {
        .mode = DRAFT_ON, .model_path = harness_guide(), .most = 4, .threads = 1};
    if (drafter_create(&o, m, &d, &err) != 0)
        fail_msg("%s", err.text);
    harness_chat(m, "What does hermes do?", &t);
    assert_int_equal(llama_decode(m->context, llama_batch_get_one(t.data, (int32_t)t.len)), 0);
    for (int i = 0; i < 24; i++) {
        llama_token next = greedy_next(m->context, m->vocabulary);
        if (llama_vocab_is_eog(m->vocab, next))
            break;
        assert_int_equal(tokens_append(&t, &next, 1), 0);
        drafter_begin(d, 1, false);
        const size_t k = drafter_guess(d, i % 3, t.data, t.len, DRAFT_MOST, guess);
        assert_true(k <= 4);
        assert_int_equal(llama_decode(m->context, llama_batch_get_one(&next, 1)), 0);
        if (k > 0) { /* one of each is checked: the rest is rolled back */
            assert_int_equal(guess[0], greedy_next(m->context, m->vocabulary));
            guessed++;
        }
    }
    assert_true(guessed > 8);
    drafter_destroy(d);
    tokens_free(&t);
    llama_memory_clear(llama_get_memory(m->context), false);
}

static void test_model_vocabulary_differs(void **state)
{
    char path[] = "/tmp/vx11-draft-XXXXXX";
    struct buf file = BUF_INIT;
    struct error err = {0};
    struct drafter *d = NULL;
    static const char spelled[] = "\4\0\0\0\0\0\0\0port"; /* a string of GGUF: its length and its bytes */
    assert_int_equal(fs_read_file(harness_guide(), 1 << 26, &file, &err), 0);
    char *at = memmem(file.data, file.len, spelled, sizeof spelled - 1);
    assert_non_null(at);
    at[sizeof spelled - 2] = 'x';
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, file.data, file.len), (ssize_t)file.len);
    (void)close(fd);
    const struct drafter_options o = {.mode = DRAFT_AUTO, .model_path = path, .threads = 1};
    assert_int_equal(drafter_create(&o, *state, &d, &err), VX11_EINVALID);
    assert_non_null(strstr(err.text, "is spelled differently"));
    assert_null(d);
    (void)unlink(path);
    const struct drafter_options missing = {.mode = DRAFT_AUTO, .model_path = path, .threads = 1};
    assert_int_equal(drafter_create(&missing, *state, &d, &err), VX11_ENOT_FOUND);
    buf_free(&file);
}

static int load(void **state)
{
    *state = harness_model(8, 512, 512);
    return 0;
}

static int unload(void **state)
{
    model_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest_then_newest),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_pays_where_rows_are_cheap),
        cmocka_unit_test(test_stays_away_where_rows_are_dear),
        cmocka_unit_test(test_off_in_company),
        cmocka_unit_test(test_failing_slot_stops),
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_backs_off),
        cmocka_unit_test(test_most),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_model_guesses_itself),
        cmocka_unit_test(test_model_vocabulary_differs),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
