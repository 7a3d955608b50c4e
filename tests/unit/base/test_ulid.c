/* ULID: order inside a process, from several threads and across fork. */
#include "test.h"

#include <pthread.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/ulid.h"

static void shape(void **state)
{
    (void)state;
    char id[ULID_LEN + 1];
    int64_t before = clock_wall_ms();
    assert_ptr_equal(ulid_make(id), id);
    assert_int_equal(strlen(id), ULID_LEN);
    assert_true(ulid_valid(id));
    assert_true(ulid_time_ms(id) >= before && ulid_time_ms(id) <= clock_wall_ms());
    assert_int_equal(ulid_time_ms("01ARYZ6S41TSV4RRFFQ69G5FAV"),
                     1469918176385); /* from the ULID specification */
    assert_int_equal(ulid_time_ms("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"), 281474976710655);
}

static void refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"",
                                        "01ARYZ6S41TSV4RRFFQ69G5FA",
                                        "01ARYZ6S41TSV4RRFFQ69G5FAVX",
                                        "01aryz6s41tsv4rrffq69g5fav",
                                        "81ARYZ6S41TSV4RRFFQ69G5FAV",
                                        "01ARYZ6S41TSV4RRFFQ69G5FAI",
                                        "01ARYZ6S41TSV4RRFFQ69G5FAU",
                                        "01ARYZ6S41TSV4RRFFQ69G5F V"};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_false(ulid_valid(cases[i]));
        assert_int_equal(ulid_time_ms(cases[i]), -1);
    }
    assert_false(ulid_valid(NULL));
}

static void increases(void **state)
{
    (void)state;
    char a[ULID_LEN + 1], b[ULID_LEN + 1];
    ulid_make(a);
    for (int i = 0; i < 20000; i++) {
        ulid_make(b);
        assert_true(strcmp(a, b) < 0);
        memcpy(a, b, sizeof a);
    }
}

enum { THREADS = 4, EACH = 5000 };
static char made[THREADS][EACH][ULID_LEN + 1];

static void *make_many(void *arg)
{
    char(*out)[ULID_LEN + 1] = arg;
    for (int i = 0; i < EACH; i++)
        ulid_make(out[i]);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void threads(void **state)
{
    (void)state;
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, make_many, made[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    qsort(made, (size_t)THREADS * EACH, ULID_LEN + 1, compare);
    char *flat = made[0][0];
    for (size_t i = 1; i < (size_t)THREADS * EACH; i++)
        assert_true(strcmp(flat + (i - 1) * (ULID_LEN + 1), flat + i * (ULID_LEN + 1)) < 0);
}

/* A child must not continue its parent's sequence: both would make the same ids. */
static void fork_draws_anew(void **state)
{
    (void)state;
    int fds[2];
    char mine[ULID_LEN + 1], childs[ULID_LEN + 1];
    assert_int_equal(pipe(fds), 0);
    ulid_make(mine);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        ulid_make(childs);
        _exit(write(fds[1], childs, sizeof childs) == (ssize_t)sizeof childs ? 0 : 1);
    }
    assert_int_equal(read(fds[0], childs, sizeof childs), sizeof childs);
    waitpid(pid, NULL, 0);
    assert_true(ulid_valid(childs));
    /* The first 10 of 16 random characters: incrementing would leave them as they were. */
    assert_true(strncmp(mine + 10, childs + 10, 10) != 0);
    close(fds[0]);
    close(fds[1]);
}

static void random_differs(void **state)
{
    (void)state;
    unsigned char a[1000] = {0}, b[1000] = {0};
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    assert_true(memcmp(a, b, sizeof a) != 0);
    random_bytes(a, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape),   cmocka_unit_test(refused),         cmocka_unit_test(increases),
        cmocka_unit_test(threads), cmocka_unit_test(fork_draws_anew), cmocka_unit_test(random_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
