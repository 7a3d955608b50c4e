/* The search for the number of threads, on machines made of numbers: what it costs where all cores are the
 * best choice, and how soon it leaves them where they are not. */
#include "harness.h"

#include "engine/threads.h"

/* Seconds of a step with 4, 2 and 1 threads. */
struct machine {
    double with4, with2, with1;
};

static double step_of(const struct machine *m, int threads)
{
    return threads == 4 ? m->with4 : threads == 2 ? m->with2 : m->with1;
}

/* A little noise, the same each time: up to 4 % either way. */
static double noise(unsigned *state)
{
    *state = *state * 1103515245u + 12345u;
    return 0.96 + 0.08 * (double)(*state >> 16 & 0x7fff) / 0x7fff;
}

/* Runs until `until` seconds; returns what the steps took beside what `best` threads would have taken. */
static double overhead(struct threads *t, const struct machine *m, double *now, double until, int best)
{
    unsigned state = 1;
    double took = 0, ideal = 0;
    while (*now < until) {
        const double n = noise(&state), s = step_of(m, atomic_load(&t->count)) * n;
        took += s;
        ideal += step_of(m, best) * n;
        *now += s;
        threads_measured(t, 1, s, (uint64_t)(*now * 1e9));
    }
    return took / ideal - 1;
}

static int start(void **state)
{
    *state = harness_model(1, 256, 64);
    return 0;
}

static int stop(void **state)
{
    model_free(*state);
    return 0;
}

static int alone(void)
{
    return 1;
}

static int crowded(void)
{
    return 3;
}

static void begin(struct threads *t, const struct model *m, bool small)
{
    llama_detach_threadpool(m->context);
    threads_start(t, m->context, 4, false, small);
    t->current = small ? t->choices - 1 : 0; /* whatever the real machine does now */
    atomic_store(&t->count, t->counts[t->current]);
    t->running = alone;
}

static void test_quiet_machine(void **state)
{
    const struct machine quiet = {.with4 = 0.030, .with2 = 0.050, .with1 = 0.095};
    struct threads t;
    double now = 0;
    begin(&t, *state, false);
    assert_int_equal(atomic_load(&t.count), 4);
    const double at_first = overhead(&t, &quiet, &now, 4, 4);
    const double later = overhead(&t, &quiet, &now, 120, 4);
    print_message("%.2f%% in the first 4 s, %.2f%% later\n", at_first * 100, later * 100);
    assert_true(at_first < 0.03 && later < 0.01);
    assert_true(t.current == 0);
    threads_stop(&t);
}

static void test_busy_machine(void **state)
{
    const struct machine busy = {.with4 = 0.200, .with2 = 0.040, .with1 = 0.060};
    const struct machine quiet = {.with4 = 0.030, .with2 = 0.050, .with1 = 0.095};
    struct threads t;
    double now = 0;
    begin(&t, *state, false);
    (void)overhead(&t, &busy, &now, 5, 2);
    assert_int_equal(t.counts[t.current], 2);
    assert_true(overhead(&t, &busy, &now, 60, 2) < 0.02);
    (void)overhead(&t, &quiet, &now, 120, 4); /* the others have gone: all cores again */
    assert_int_equal(t.counts[t.current], 4);
    threads_stop(&t);
}

static void test_small_model(void **state)
{
    const struct machine small = {.with4 = 0.0020, .with2 = 0.0014, .with1 = 0.0013};
    const struct machine large = {.with4 = 0.030, .with2 = 0.050, .with1 = 0.095};
    struct threads t;
    double now = 0;
    begin(&t, *state, true);
    assert_int_equal(atomic_load(&t.count), 1);
    assert_true(overhead(&t, &small, &now, 10, 1) < 0.02);
    threads_stop(&t);
    begin(&t, *state, true); /* a wrong guess is left */
    now = 0;
    (void)overhead(&t, &large, &now, 6, 4);
    assert_int_equal(t.counts[t.current], 4);
    threads_stop(&t);
}

/* Four cores of which two are taken: four threads are not even tried, two are. */
static void test_crowded_machine(void **state)
{
    const struct machine any = {.with4 = 0.001, .with2 = 0.002, .with1 = 0.004};
    struct threads t;
    double now = 0;
    begin(&t, *state, true);
    t.running = crowded;
    assert_int_equal(atomic_load(&t.count), 1);
    (void)overhead(&t, &any, &now, 60, 2);
    assert_int_equal(t.counts[t.current], 2);
    t.running = alone;
    (void)overhead(&t, &any, &now, 180, 4);
    assert_int_equal(t.counts[t.current], 4);
    threads_stop(&t);
}

static void test_stall(void **state)
{
    struct threads t;
    uint64_t now = 1000000000;
    begin(&t, *state, false);
    threads_begin(&t, 1, now);
    assert_false(threads_hang(&t, now + 60000000000ull)); /* nothing is known yet */
    for (int i = 0; i < 8; i++)
        threads_measured(&t, 1, 0.002, now);
    assert_int_equal(t.current, 0);
    t.trial = -1;
    threads_begin(&t, 1, now);
    assert_false(threads_hang(&t, now + 39000000));
    assert_true(threads_hang(&t, now + 41000000));
    threads_begin(&t, 64, now); /* a prompt may take as long as its tokens one by one */
    assert_false(threads_hang(&t, now + 2000000000));
    assert_true(threads_hang(&t, now + 2600000000));
    for (int fewer = 1; fewer <= 2; fewer++) {
        threads_stalled(&t, now);
        assert_int_equal(t.current, fewer);
        assert_int_equal(atomic_load(&t.count), t.counts[fewer]);
        threads_measured(&t, 1, 0.002, now);
    }
    assert_int_equal(t.stalls, 2);
    threads_begin(&t, 1, now); /* one thread waits for nobody */
    assert_false(threads_hang(&t, now + 60000000000ull));
    threads_stop(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quiet_machine),   cmocka_unit_test(test_busy_machine),
        cmocka_unit_test(test_crowded_machine), cmocka_unit_test(test_stall),
        cmocka_unit_test(test_small_model),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
