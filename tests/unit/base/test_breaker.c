/* Breaker: its three states, the one probe, late results. */
#include "test.h"

#include "base/breaker.h"
#include "base/clock.h"

static void opens_and_recovers(void **state)
{
    (void)state;
    struct breaker b;
    breaker_init(&b, 3, 1000);
    for (int i = 0; i < 2; i++) {
        assert_true(breaker_allow(&b, 0));
        assert_false(breaker_failure(&b, 0));
    }
    assert_false(breaker_success(&b)); /* closed stays closed, the count begins anew */
    for (int i = 0; i < 2; i++)
        assert_false(breaker_failure(&b, 0));
    assert_int_equal(breaker_retry_after_ms(&b, 0), 0);
    int64_t wall = clock_wall_ms();
    assert_true(breaker_failure(&b, 5000));
    assert_true(b.last_failure_wall >= wall);
    assert_int_equal(breaker_peek(&b, 5000), BREAKER_OPEN);
    assert_false(breaker_allow(&b, 5999));
    assert_int_equal(b.rejected_total, 1);
    assert_in_range(b.open_until, 6000, 6100);
    assert_int_equal(breaker_retry_after_ms(&b, 5500), b.open_until - 5500);

    assert_int_equal(breaker_peek(&b, 6100), BREAKER_HALF_OPEN);
    assert_int_equal(b.state, BREAKER_OPEN); /* peeking changes nothing */
    assert_true(breaker_allow(&b, 6100));
    assert_false(breaker_allow(&b, 6100)); /* one probe only */
    assert_true(breaker_retry_after_ms(&b, 6100) > 0);
    assert_true(breaker_failure(&b, 6200));
    assert_false(breaker_allow(&b, 6300));
    assert_true(breaker_allow(&b, 7300));
    assert_true(breaker_success(&b));
    assert_int_equal(breaker_peek(&b, 7300), BREAKER_CLOSED);
    assert_int_equal(b.failures, 0);
    assert_int_equal(b.opened_total, 2);
    assert_true(breaker_allow(&b, 7300) && breaker_allow(&b, 7300));
}

static void abandoned_probe(void **state)
{
    (void)state;
    struct breaker b;
    breaker_init(&b, 1, 100);
    assert_true(breaker_allow(&b, 0));
    assert_true(breaker_failure(&b, 0));
    assert_true(breaker_allow(&b, 200));
    breaker_abandon(&b);
    assert_int_equal(breaker_peek(&b, 200), BREAKER_HALF_OPEN);
    assert_true(breaker_allow(&b, 200)); /* the slot is free again */
    assert_false(breaker_allow(&b, 200));
}

/* Calls that began before it opened end while it is open: they change nothing. */
static void late_results(void **state)
{
    (void)state;
    struct breaker b;
    breaker_init(&b, 1, 1000);
    assert_true(breaker_allow(&b, 0) && breaker_allow(&b, 0) && breaker_allow(&b, 0));
    assert_true(breaker_failure(&b, 0));
    int64_t until = b.open_until;
    assert_false(breaker_failure(&b, 500));
    assert_int_equal(b.open_until, until);
    assert_false(breaker_success(&b));
    assert_int_equal(breaker_peek(&b, 500), BREAKER_OPEN);
    assert_int_equal(b.opened_total, 1);
}

static void bounds(void **state)
{
    (void)state;
    struct breaker b;
    breaker_init(&b, 0, -5);
    assert_int_equal(b.threshold, 1);
    assert_true(breaker_failure(&b, 10));
    assert_true(breaker_allow(&b, 10)); /* no open time at all */
    breaker_init(&b, 1, INT64_MAX);
    assert_true(breaker_failure(&b, 10));
    assert_true(b.open_until == INT64_MAX);
    assert_false(breaker_allow(&b, INT64_MAX - 1));
    assert_string_equal(breaker_state_name(BREAKER_CLOSED), "closed");
    assert_string_equal(breaker_state_name(BREAKER_OPEN), "open");
    assert_string_equal(breaker_state_name(BREAKER_HALF_OPEN), "half_open");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_and_recovers),
        cmocka_unit_test(abandoned_probe),
        cmocka_unit_test(late_results),
        cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
