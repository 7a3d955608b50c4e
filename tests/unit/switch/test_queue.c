/* The queue's rows: order, leases, back-off, dead letters, idempotency, bounds. The clock is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "switch/queue/job.h"

#define T0    1800000000000LL
#define LEASE 1000

static struct error err;

struct fixture {
    char dir[64], path[96];
    struct store *s;
    struct arena *a;
};

#define must(call)                                                                                           \
    do {                                                                                                     \
        int rc_ = (call);                                                                                    \
        if (rc_ < 0)                                                                                         \
            fail_msg("%s: %s", #call, err.text);                                                             \
    } while (0)

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->dir, sizeof f->dir, "/tmp/vx11-queue-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/vx11.db", f->dir);
    must(store_open(&(struct store_options){.path = f->path, .migrate = true}, &f->s, &err));
    f->a = arena_create(0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    store_close(f->s);
    arena_destroy(f->a);
    for (size_t i = 0; i < 3; i++) {
        static const char *const ends[] = {"", "-wal", "-shm"};
        char path[128];
        snprintf(path, sizeof path, "%s%s", f->path, ends[i]);
        unlink(path);
    }
    rmdir(f->dir);
    free(f);
    return 0;
}

static struct job_new new_job(int priority)
{
    return (struct job_new){.source = "operator",
                            .task_type = "chat",
                            .payload = "{\"prompt\":\"x\"}",
                            .principal_id = "local",
                            .principal_name = "local",
                            .principal_scopes = "read",
                            .priority = priority,
                            .max_attempts = 3,
                            .run_timeout_ms = 1000,
                            .max_jobs = 100,
                            .max_bytes = 100000};
}

static const char *put(struct fixture *f, const struct job_new *n, int64_t now)
{
    static char ids[16][ULID_LEN + 1];
    static unsigned at;
    char token[ULID_LEN + 1];
    bool existing;
    char *id = ids[at++ % 16];
    must(job_put(f->s, n, now, id, token, &existing, &err));
    assert_false(existing);
    return id;
}

static bool claim(struct fixture *f, int64_t now, struct job *out)
{
    int rc = job_claim(f->s, JOB_POOL_OWN, NULL, "test", LEASE, now, f->a, out, &err);
    if (rc < 0)
        fail_msg("%s", err.text);
    return rc == 1;
}

static struct job get(struct fixture *f, const char *id)
{
    struct job j;
    must(job_get(f->s, id, f->a, &j, &err));
    return j;
}

static const struct job_failure flaky = {.error = "it broke",
                                         .error_class = "upstream_error",
                                         .error_status = 502,
                                         .retryable = true,
                                         .retry_after_ms = -1,
                                         .base_ms = 100,
                                         .max_ms = 1000};

/* ---- order ---- */

static void by_priority_then_age(void **state)
{
    struct fixture *f = *state;
    struct job_new n[] = {new_job(4), new_job(1), new_job(1), new_job(0), new_job(5)};
    const char *ids[5];
    static const int order[] = {3, 1, 2, 0, 4};
    struct job j;
    for (size_t i = 0; i < 5; i++)
        ids[i] = put(f, &n[i], T0); /* all in one millisecond: the id decides */
    assert_int_equal(job_peek(f->s, T0, f->a, &j, NULL), 1);
    assert_string_equal(j.id, ids[3]);
    for (size_t i = 0; i < 5; i++) {
        assert_true(claim(f, T0, &j));
        assert_string_equal(j.id, ids[order[i]]);
        assert_int_equal(j.state, SWITCH_JOB_STATE_RUNNING);
        assert_int_equal(j.attempts, 1);
        assert_int_equal(j.ran_again, 0);
        assert_string_equal(j.lease_owner, "test");
        assert_int_equal(strlen(j.lease_token), ULID_LEN);
        assert_string_equal(j.payload, "{\"prompt\":\"x\"}");
    }
    assert_false(claim(f, T0, &j));
    assert_int_equal(job_peek(f->s, T0, f->a, &j, NULL), 0);
}

static void not_before_its_time(void **state)
{
    struct fixture *f = *state;
    struct job_new n = new_job(1);
    struct job j;
    int64_t due, lease;
    n.delay_ms = 500;
    put(f, &n, T0);
    assert_false(claim(f, T0 + 499, &j));
    must(job_next_due(f->s, &due, &lease, &err));
    assert_int_equal(due, T0 + 500);
    assert_int_equal(lease, INT64_MAX);
    assert_true(claim(f, T0 + 500, &j));
    must(job_next_due(f->s, &due, &lease, &err));
    assert_int_equal(due, INT64_MAX);
    assert_int_equal(lease, T0 + 500 + LEASE);
}

static void outside_ones_are_left(void **state)
{
    struct fixture *f = *state;
    struct job_new n = new_job(1);
    struct job j;
    n.outside = true;
    n.task_type = "render";
    put(f, &n, T0);
    assert_false(claim(f, T0, &j));
    assert_int_equal(job_claim(f->s, JOB_POOL_OUTSIDE, "other", "w", LEASE, T0, f->a, &j, &err), 0);
    assert_int_equal(job_claim(f->s, JOB_POOL_OUTSIDE, "render", "w", LEASE, T0, f->a, &j, &err), 1);
    n = new_job(1);
    put(f, &n, T0);
    assert_int_equal(job_claim(f->s, JOB_POOL_OUTSIDE, NULL, "w", LEASE, T0, f->a, &j, &err), 0);
    assert_int_equal(job_claim(f->s, JOB_POOL_ANY, NULL, "w", LEASE, T0, f->a, &j, &err), 1);
}

/* ---- leases ---- */

static void born_running_is_nobody_elses(void **state)
{
    struct fixture *f = *state;
    struct job_new n = new_job(1);
    char id[ULID_LEN + 1], token[ULID_LEN + 1];
    bool existing;
    struct job j;
    n.owner = "mine";
    n.lease_ms = LEASE;
    must(job_put(f->s, &n, T0, id, token, &existing, &err));
    assert_int_equal(strlen(token), ULID_LEN);
    assert_false(claim(f, T0, &j));
    must(job_done(f->s, id, token, "{\"ok\":true}", T0 + 5, &err));
    j = get(f, id);
    assert_int_equal(j.state, SWITCH_JOB_STATE_DONE);
    assert_string_equal(j.result, "{\"ok\":true}");
    assert_int_equal(j.finished_at, T0 + 5);
    assert_string_equal(j.lease_token, "");
}

static void a_lease_that_ended_says_so(void **state)
{
    struct fixture *f = *state;
    struct job_new n = new_job(1);
    struct job first, second;
    put(f, &n, T0);
    assert_true(claim(f, T0, &first));
    must(job_expire(f->s, T0 + LEASE - 1, NULL, NULL, &err));
    assert_false(claim(f, T0 + LEASE - 1, &second));
    must(job_renew(f->s, first.id, first.lease_token, LEASE, T0 + 500, &err));
    must(job_expire(f->s, T0 + LEASE, NULL, NULL, &err));
    assert_false(claim(f, T0 + LEASE, &second)); /* renewed */
    must(job_expire(f->s, T0 + 500 + LEASE, NULL, NULL, &err));
    assert_int_equal(get(f, first.id).ran_again, 0); /* not yet */
    assert_true(claim(f, T0 + 500 + LEASE, &second));
    assert_string_equal(second.id, first.id);
    assert_int_equal(second.ran_again, 1);
    assert_int_equal(second.attempts, 2);
    /* The first one's word no longer counts. */
    assert_int_equal(job_done(f->s, first.id, first.lease_token, "{}", T0 + 3000, &err), VX11_ECLOSED);
    assert_int_equal(job_renew(f->s, first.id, first.lease_token, LEASE, T0 + 3000, &err), VX11_ECLOSED);
    enum switch_job_state became;
    assert_int_equal(job_failed(f->s, first.id, first.lease_token, &flaky, T0 + 3000, &became, &err),
                     VX11_ECLOSED);
    must(job_done(f->s, second.id, second.lease_token, "2", T0 + 3000, &err));
    assert_string_equal(get(f, first.id).result, "2");
    assert_int_equal(get(f, first.id).ran_again, 1);
}

static void count_id(void *ctx, const char *id)
{
    (void)id;
    ++*(int *)ctx;
}

static void lost_too_often_is_dead(void **state)
{
    struct fixture *f = *state;
    struct job_new n = new_job(1);
    struct job j;
    int lost = 0;
    int64_t now = T0;
    const char *id = put(f, &n, T0);
    for (int i = 0; i < 3; i++, now += LEASE) {
        assert_true(claim(f, now, &j));
        must(job_expire(f->s, now + LEASE, count_id, &lost, &err));
    }
    assert_int_equal(lost, 3);
    assert_false(claim(f, now, &j));
    j = get(f, id);
    assert_int_equal(j.state, SWITCH_JOB_STATE_DEAD);
    assert_string_equal(j.error_class, "lease_expired");
    assert_int_equal(j.ran_again, 2);
}

static void given_back(void **state)
{
    struct fixture *f = *state;
    struct job_new n = new_job(1);
    struct job j;
    n.max_attempts = 1;
    put(f, &n, T0);
    assert_true(claim(f, T0, &j));
    must(job_give_back(f->s, j.id, j.lease_token, T0, &err));
    assert_int_equal(get(f, j.id).state, SWITCH_JOB_STATE_QUEUED);
    assert_true(claim(f, T0, &j));
    assert_int_equal(j.ran_again, 0); /* it was told, not lost */
}

/* ---- failures ---- */

static void backs_off_then_dies(void **state)
{
    struct fixture *f = *state;
    struct job_new n = new_job(1);
    struct job j;
    enum switch_job_state became;
    int64_t now = T0;
    put(f, &n, T0);
    for (int attempt = 1; attempt <= 3; attempt++) {
        assert_true(claim(f, now, &j));
        must(job_failed(f->s, j.id, j.lease_token, &flaky, now, &became, &err));
        if (attempt == 3)
            break;
        assert_int_equal(became, SWITCH_JOB_STATE_QUEUED);
        struct job again = get(f, j.id);
        int64_t wait = again.not_before - now, most = 100LL << (attempt - 1);
        assert_in_range(wait, most / 2, most);
        assert_string_equal(again.error, "it broke");
        assert_false(claim(f, again.not_before - 1, &j));
        now = again.not_before;
    }
    assert_int_equal(became, SWITCH_JOB_STATE_DEAD);
    j = get(f, j.id);
    assert_int_equal(j.state, SWITCH_JOB_STATE_DEAD);
    assert_int_equal(j.error_status, 502);
    assert_int_equal(j.ran_again, 0);
    /* By hand it begins anew. */
    must(job_retry(f->s, j.id, 100, now, &err));
    assert_true(claim(f, now, &j));
    assert_int_equal(j.attempts, 1);
}

static void what_cannot_be_done_fails_at_once(void **state)
{
    struct fixture *f = *state;
    struct job_new n = new_job(1);
    struct job_failure refused = flaky;
    struct job j;
    enum switch_job_state became;
    refused.retryable = false;
    put(f, &n, T0);
    assert_true(claim(f, T0, &j));
    must(job_failed(f->s, j.id, j.lease_token, &refused, T0, &became, &err));
    assert_int_equal(became, SWITCH_JOB_STATE_FAILED);
    assert_false(claim(f, T0 + 100000, &j));
}

static void retry_after_is_heeded(void **state)
{
    struct fixture *f = *state;
    struct job_new n = new_job(1);
    struct job_failure busy = flaky;
    struct job j;
    enum switch_job_state became;
    busy.retry_after_ms = 7000;
    put(f, &n, T0);
    assert_true(claim(f, T0, &j));
    must(job_failed(f->s, j.id, j.lease_token, &busy, T0, &became, &err));
    assert_int_equal(get(f, j.id).not_before, T0 + 7000);
}

static void back_off_is_bounded(void **state)
{
    (void)state;
    for (int i = 1; i < 100; i++) {
        int64_t wait = job_back_off(i, 1000, 300000);
        assert_in_range(wait, i > 9 ? 150000 : 500, 300000);
    }
    assert_in_range(job_back_off(50, INT64_C(1) << 40, INT64_C(1) << 41), 1, INT64_C(1) << 41);
}

/* ---- idempotency, bounds ---- */

static void one_key_one_job(void **state)
{
    struct fixture *f = *state;
    struct job_new n = new_job(1);
    char id[ULID_LEN + 1], again[ULID_LEN + 1], token[ULID_LEN + 1];
    bool existing;
    n.idempotency_key = "k1";
    n.body_hash = "aa";
    must(job_put(f->s, &n, T0, id, token, &existing, &err));
    must(job_put(f->s, &n, T0 + 1, again, token, &existing, &err));
    assert_true(existing);
    assert_string_equal(again, id);
    n.body_hash = "bb";
    assert_int_equal(job_put(f->s, &n, T0, again, token, &existing, &err), VX11_EEXISTS);
    n.principal_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV"; /* another's key is another key */
    must(job_put(f->s, &n, T0, again, token, &existing, &err));
    assert_false(existing);
}

static void bounded(void **state)
{
    struct fixture *f = *state;
    struct job_new n = new_job(1);
    char id[ULID_LEN + 1], token[ULID_LEN + 1];
    bool existing;
    struct job j;
    n.max_jobs = 2;
    put(f, &n, T0);
    put(f, &n, T0);
    assert_int_equal(job_put(f->s, &n, T0, id, token, &existing, &err), VX11_EFULL);
    assert_true(claim(f, T0, &j));
    assert_int_equal(job_put(f->s, &n, T0, id, token, &existing, &err), VX11_EFULL); /* running ones count */
    must(job_done(f->s, j.id, j.lease_token, "1", T0, &err));
    put(f, &n, T0);
    n.max_jobs = 100;
    n.max_bytes = 30;
    assert_int_equal(job_put(f->s, &n, T0, id, token, &existing, &err), VX11_EFULL);
}

static void cancelled(void **state)
{
    struct fixture *f = *state;
    struct job_new n = new_job(1);
    struct job j;
    const char *id = put(f, &n, T0);
    must(job_cancel(f->s, id, T0, &err));
    assert_false(claim(f, T0, &j));
    assert_int_equal(job_cancel(f->s, id, T0, &err), VX11_EBUSY);
    id = put(f, &n, T0);
    assert_true(claim(f, T0, &j));
    must(job_cancel(f->s, id, T0, &err));
    assert_int_equal(job_done(f->s, id, j.lease_token, "1", T0, &err), VX11_ECLOSED);
    assert_int_equal(get(f, id).state, SWITCH_JOB_STATE_CANCELLED);
    assert_int_equal(job_cancel(f->s, "01ARZ3NDEKTSV4RRFFQ69G5FAV", T0, &err), VX11_ENOT_FOUND);
    must(job_retry(f->s, id, 100, T0, &err));
    assert_int_equal(job_retry(f->s, id, 100, T0, &err), VX11_EBUSY);
}

static int count_job(void *ctx, const struct job *j)
{
    (void)j;
    ++*(int *)ctx;
    return 0;
}

static void counted(void **state)
{
    struct fixture *f = *state;
    struct job_stats st;
    struct job j;
    int n = 0;
    for (int i = 0; i < 6; i++) {
        struct job_new new = new_job(i % 3);
        put(f, &new, T0 + i);
    }
    for (int i = 0; i < 3; i++) {
        assert_true(claim(f, T0 + 10, &j));
        must(job_done(f->s, j.id, j.lease_token, "1", T0 + 20 + i, &err));
    }
    must(job_stats(f->s, &st, &err));
    assert_int_equal(st.by_state[SWITCH_JOB_STATE_QUEUED], 3);
    assert_int_equal(st.by_state[SWITCH_JOB_STATE_DONE], 3);
    assert_int_equal(st.queued[0], 0);
    assert_int_equal(st.queued[1], 1);
    assert_int_equal(st.queued[2], 2);
    assert_int_equal(st.oldest_at, T0 + 2);
    must(job_line(f->s, 2, count_job, &n, &err));
    assert_int_equal(n, 2);
    n = 0;
    must(job_list(f->s, &(struct job_filter){.state = "done", .limit = 10}, count_job, &n, &err));
    assert_int_equal(n, 3);
    /* Retention by age takes finished ones only. */
    uint64_t gone;
    must(store_retain(f->s, T0 + 604800000LL * 2, &gone, &err));
    must(job_stats(f->s, &st, &err));
    assert_int_equal(st.by_state[SWITCH_JOB_STATE_QUEUED], 3);
    assert_int_equal(st.by_state[SWITCH_JOB_STATE_DONE], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(by_priority_then_age),
        TEST(not_before_its_time),
        TEST(outside_ones_are_left),
        TEST(born_running_is_nobody_elses),
        TEST(a_lease_that_ended_says_so),
        TEST(lost_too_often_is_dead),
        TEST(given_back),
        TEST(backs_off_then_dies),
        TEST(what_cannot_be_done_fails_at_once),
        TEST(retry_after_is_heeded),
        TEST(back_off_is_bounded),
        TEST(one_key_one_job),
        TEST(bounded),
        TEST(cancelled),
        TEST(counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
