/* The tension's formula, and when it is told. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "switch/observe/tension.h"

static struct tension_load idle(void)
{
    struct tension_load l = {.running = 0, .capacity = 8, .queued = 0, .workers = 4, .attempts = 0};
    l.host = (struct fluzo_signals){.at = 1, .cpu_pct = 3, .memory_pct = 40, .memory_stall_pct = 0};
    return l;
}

static void test_idle(void **state)
{
    double parts[TENSION_PARTS];
    struct tension_load l = idle();
    (void)state;
    assert_int_equal(tension_of(&l, parts), 0);
    assert_true(parts[TENSION_ACTIVE] == 0 && parts[TENSION_QUEUE] == 0 && parts[TENSION_HOST] == 0);
    assert_true(parts[TENSION_ERRORS] < 0); /* nobody was asked */
}

static void test_nothing_known(void **state)
{
    double parts[TENSION_PARTS];
    struct tension_load l = {.running = -1, .queued = -1, .workers = -1, .waiting = -1, .attempts = -1};
    (void)state;
    assert_int_equal(tension_of(&l, parts), -1);
    l.host = (struct fluzo_signals){
        .at = 1, .cpu_pct = (double)NAN, .memory_pct = (double)NAN, .memory_stall_pct = (double)NAN};
    assert_int_equal(tension_of(&l, parts), -1);
    l.host.memory_pct = 85;
    assert_int_equal(tension_of(&l, parts), 25);
    assert_true(parts[TENSION_ACTIVE] < 0);
}

static void test_parts(void **state)
{
    double parts[TENSION_PARTS];
    struct tension_load l = idle();
    (void)state;
    l.running = 1;
    assert_int_equal(tension_of(&l, parts), 12); /* 11.25, and up */
    l = idle();
    l.running = 20;
    assert_int_equal(tension_of(&l, parts), 90);
    l = idle();
    l.queued = 4;
    assert_int_equal(tension_of(&l, parts), 35);
    l.workers = 0;
    assert_int_equal(tension_of(&l, parts), 56);
    l = idle();
    l.waiting = 4;
    assert_int_equal(tension_of(&l, parts), 25);
    l = idle();
    l.attempts = l.failures = 1;
    assert_int_equal(tension_of(&l, parts), 14);
    l.attempts = l.failures = 1000;
    assert_int_equal(tension_of(&l, parts), 70);
    l.failures = 0;
    assert_int_equal(tension_of(&l, parts), 0);
    l = idle();
    l.host.cpu_pct = 75;
    assert_int_equal(tension_of(&l, parts), 25);
    l.host.memory_stall_pct = 20;
    assert_int_equal(tension_of(&l, parts), 50);
    l = idle();
    l.host.cpu_pct = 50.001; /* hardly anything is still something */
    assert_int_equal(tension_of(&l, parts), 1);
}

static void test_together(void **state)
{
    double parts[TENSION_PARTS];
    struct tension_load l = idle();
    (void)state;
    l.running = l.queued = l.waiting = l.attempts = l.failures = 1e9;
    l.host.cpu_pct = 100;
    assert_int_equal(tension_of(&l, parts), 100);
    l = idle();
    l.running = 4;
    const int one = tension_of(&l, parts);
    l.queued = 2;
    const int two = tension_of(&l, parts);
    assert_true(two > one && two < 100);
}

static void test_worth(void **state)
{
    (void)state;
    assert_false(tension_worth(-1, -1, 0));
    assert_true(tension_worth(-1, 0, 0));
    assert_false(tension_worth(0, 0, 1000000));
    assert_true(tension_worth(0, 1, 0));
    assert_true(tension_worth(1, 0, 0));
    assert_false(tension_worth(40, 42, 10000));
    assert_true(tension_worth(40, 43, 10000));
    assert_true(tension_worth(40, 40, 60000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle),     cmocka_unit_test(test_nothing_known), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_together), cmocka_unit_test(test_worth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
