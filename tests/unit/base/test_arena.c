/* Arena: alignment, growth, the limit, growing in place, and what happens when malloc fails. The source is
 * included, with malloc replaced, so that every allocation can be made to fail in turn. */
#include "test.h"

static int malloc_left = -1; /* allocations that still succeed; -1: all */

static void *test_malloc_or_fail(size_t size)
{
    if (malloc_left == 0)
        return NULL;
    if (malloc_left > 0)
        malloc_left--;
    return malloc(size);
}

#define malloc(size) test_malloc_or_fail(size)
#include "base/arena.c" // NOLINT(bugprone-suspicious-include)
#undef malloc

static void aligned_and_zeroed(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    for (size_t n = 0; n < 200; n++) {
        unsigned char *p = arena_zalloc(a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xAA, n);
    }
    unsigned char *large = arena_alloc(a, 1000000);
    assert_non_null(large);
    memset(large, 1, 1000000);
    arena_reset(a);
    assert_int_equal(arena_used(a), 0);
    assert_non_null(arena_alloc(a, 10));
    assert_int_equal(arena_used(a), 16);
    arena_destroy(a);
    arena_destroy(NULL);
}

static void keeps_contents(void **state)
{
    (void)state;
    enum { N = 3000 };
    static char *kept[N];
    struct arena *a = arena_create(0);
    for (int i = 0; i < N; i++)
        kept[i] = arena_printf(a, "text number %d", i);
    for (int i = 0; i < N; i++) {
        char want[32];
        snprintf(want, sizeof want, "text number %d", i);
        assert_string_equal(kept[i], want);
    }
    assert_string_equal(arena_strndup(a, "abcdef", 3), "abc");
    assert_string_equal(arena_strdup(a, ""), "");
    assert_null(arena_strdup(a, NULL));
    assert_null(arena_strndup(a, NULL, 3));
    arena_destroy(a);
}

static void limit(void **state)
{
    (void)state;
    struct arena *a = arena_create(10000);
    assert_non_null(arena_alloc(a, 9000));
    assert_null(arena_alloc(a, 2000));
    assert_non_null(arena_alloc(a, 900));
    assert_null(arena_alloc(a, 100));
    assert_true(arena_used(a) <= 10000);
    assert_null(arena_array(a, SIZE_MAX / 2, 3));
    assert_null(arena_alloc(a, SIZE_MAX));
    assert_null(arena_alloc(a, SIZE_MAX - 16));
    assert_null(arena_strndup(a, "x", SIZE_MAX));
    arena_reset(a);
    assert_non_null(arena_alloc(a, 9000));
    arena_destroy(a);
}

static void grow(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    char *p = arena_realloc(a, NULL, 0, 10);
    memcpy(p, "012345678", 10);
    assert_ptr_equal(arena_realloc(a, p, 10, 500), p); /* the newest grows where it is */
    assert_string_equal(p, "012345678");
    assert_ptr_equal(arena_realloc(a, p, 500, 20), p); /* and shrinks */
    assert_int_equal(arena_used(a), 32);
    char *q = arena_strdup(a, "in the way");
    char *moved = arena_realloc(a, p, 20, 100);
    assert_ptr_not_equal(moved, p);
    assert_string_equal(moved, "012345678");
    assert_string_equal(q, "in the way");
    char *far = arena_realloc(a, moved, 100, 100000); /* newest, but past its chunk */
    assert_string_equal(far, "012345678");
    assert_ptr_equal(arena_realloc(a, q, 11, 5), q); /* an older one shrinks for nothing */
    assert_null(arena_realloc(a, far, 100000, SIZE_MAX));
    arena_destroy(a);
}

static void out_of_memory(void **state)
{
    (void)state;
    malloc_left = 0;
    assert_null(arena_create(0));
    malloc_left = 1;
    struct arena *a = arena_create(0);
    assert_non_null(a);
    assert_non_null(arena_alloc(a, 4000));
    assert_null(arena_alloc(a, 4000)); /* needs a second chunk */
    assert_null(arena_printf(a, "%5000d", 1));
    assert_null(arena_strndup(a, "x", 1) == NULL ? NULL : arena_zalloc(a, 5000));
    malloc_left = -1;
    assert_non_null(arena_alloc(a, 4000)); /* and goes on once there is memory */
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aligned_and_zeroed),
        cmocka_unit_test(keeps_contents),
        cmocka_unit_test(limit),
        cmocka_unit_test(grow),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
