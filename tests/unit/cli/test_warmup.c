/* The order of rotation, and who is eligible. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/warmup.h"

static void who_is_eligible(void **state)
{
    (void)state;
    assert_int_equal(rotation_state_of(false, 0, 1000, 300), ROTATION_ELIGIBLE); /* never used */
    assert_int_equal(rotation_state_of(true, 1000, 1000, 300), ROTATION_IN_USE);
    assert_int_equal(rotation_state_of(true, 701, 1000, 300), ROTATION_IN_USE);
    assert_int_equal(rotation_state_of(true, 700, 1000, 300), ROTATION_ELIGIBLE);
    assert_int_equal(rotation_state_of(true, 1005, 1000, 300), ROTATION_IN_USE); /* clocks differ a little */
}

static void who_goes_first(void **state)
{
    const struct hermes_model
        never = {.name = "never", .usage_count = 9},
        old = {.name = "old", .has_last_used_at = true, .last_used_at = 1, .usage_count = 9},
        rare = {.name = "rare", .has_last_used_at = true, .last_used_at = 2, .usage_count = 1},
        often = {.name = "often", .has_last_used_at = true, .last_used_at = 2, .usage_count = 2},
        again = {.name = "pften", .has_last_used_at = true, .last_used_at = 2, .usage_count = 2};
    (void)state;
    assert_true(rotation_order(&never, &old) < 0);
    assert_true(rotation_order(&old, &rare) < 0); /* the last use counts before the number of uses */
    assert_true(rotation_order(&rare, &often) < 0);
    assert_true(rotation_order(&often, &rare) > 0);
    assert_true(rotation_order(&often, &again) < 0);
    assert_int_equal(rotation_order(&often, &often), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(who_is_eligible), cmocka_unit_test(who_goes_first)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
