/* Patterns: whole strings, wrong expressions, and many threads that meet at the first use of the same ones.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "contract/internal.h"

static bool matches(const char *pattern, const char *s)
{
    bool yes = false;
    assert_int_equal(contract_pattern_match(pattern, s, &yes), 0);
    return yes;
}

static void the_whole_string_counts(void **state)
{
    (void)state;
    assert_true(matches("[a-z]+", "abc"));
    assert_false(matches("[a-z]+", "abc1"));
    assert_false(matches("[a-z]+", "1abc"));
    assert_false(matches("[a-z]+", "abc\n"));
    assert_false(matches("[a-z]+", ""));
    assert_true(matches("a|b", "b"));
    assert_false(matches("a|b", "ab")); /* the alternatives are inside the anchors */
    assert_true(matches("(x)?", ""));
    bool yes;
    assert_int_equal(contract_pattern_match("(", "x", &yes), VX11_EINTERNAL);
}

static const char *const shared[] = {"p0[0-9]", "p1[0-9]", "p2[0-9]", "p3[0-9]",
                                     "p4[0-9]", "p5[0-9]", "p6[0-9]", "p7[0-9]"};

static void *match_all(void *arg)
{
    size_t wrong = 0;
    for (unsigned round = 0; round < 200; round++) {
        for (size_t i = 0; i < 8; i++) {
            char s[] = "p00";
            bool yes = false;
            s[1] = (char)('0' + (int)i);
            wrong += contract_pattern_match(shared[i], s, &yes) != 0 || !yes;
        }
    }
    *(size_t *)arg = wrong;
    return NULL;
}

static void threads_share_them(void **state)
{
    (void)state;
    pthread_t threads[4];
    size_t wrong[4] = {0};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, match_all, &wrong[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(wrong[i], 0);
    }
}

/* More patterns than the table holds still match; they are only not kept. */
static void a_full_table_does_no_harm(void **state)
{
    (void)state;
    static char many[600][8];
    for (size_t i = 0; i < 600; i++) {
        memcpy(many[i], "x[0-9]", 7);
        assert_true(matches(many[i], "x5"));
        assert_false(matches(many[i], "y5"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_string_counts),
        cmocka_unit_test(threads_share_them),
        cmocka_unit_test(a_full_table_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
