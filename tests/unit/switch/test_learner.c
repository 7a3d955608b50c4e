/* The learner: what decays, what it makes of little, that it survives a restart and can be made again. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "api/switch.h"
#include "base/buf.h"
#include "base/ulid.h"
#include "switch/selection/learner.h"

#define HOUR              3600000
#define START             1790000000000

#define assert_near(a, b) assert_true(fabs((double)(a) - (double)(b)) < 1e-9 * (1 + fabs((double)(b))))

static struct observation seen(int64_t at, bool ok, double first_token_ms, double total_ms, int64_t tokens)
{
    return (struct observation){at, ok, first_token_ms, total_ms, tokens};
}

static void observe(struct learner *l, const char *task, const char *model, struct observation o)
{
    learner_observe(l, task, "p", model, &o);
}

static struct learned get(struct learner *l, const char *task, const char *model, int64_t now)
{
    struct learned out;
    learner_get(l, task, "p", model, now, &out);
    return out;
}

static void nothing_is_neutral(void **state)
{
    struct learner *l = learner_create(HOUR, 100);
    struct learned k = get(l, "chat", "m", START);
    (void)state;
    assert_near(k.learned, 0.5);
    assert_false(k.any);
    assert_true(k.success < 0 && k.first_token_ms < 0 && k.token_ms < 0 && k.total_ms < 0);
    learner_destroy(l);
    learner_destroy(NULL);
}

static void success_and_failure(void **state)
{
    struct learner *l = learner_create(HOUR, 100);
    (void)state;
    for (int i = 0; i < 8; i++)
        observe(l, "chat", "good", seen(START, true, 100, 1100, 11));
    for (int i = 0; i < 8; i++)
        observe(l, "chat", "bad", seen(START, false, -1, 50, -1));
    struct learned good = get(l, "chat", "good", START), bad = get(l, "chat", "bad", START);
    /* over all tasks (8 + 2 * 0.5) / 10 = 0.9, then (8 + 2 * 0.9) / 10 */
    assert_near(good.learned, 0.98);
    assert_near(bad.learned, 0.02);
    assert_near(good.success, 1);
    assert_near(good.first_token_ms, 100);
    assert_near(good.token_ms, 100);
    assert_near(good.total_ms, 1100);
    assert_true(bad.first_token_ms < 0 && bad.total_ms < 0); /* a failure's time says nothing */
    assert_int_equal(bad.failures, 8);
    /* In another task what is known over all of them counts. */
    assert_near(get(l, "code", "good", START).learned, 0.9);
    assert_near(get(l, "code", "good", START).first_token_ms, 100);
    learner_destroy(l);
}

static void it_forgets(void **state)
{
    struct learner *l = learner_create(HOUR, 100);
    (void)state;
    for (int i = 0; i < 4; i++)
        observe(l, "chat", "m", seen(START, false, -1, -1, -1));
    double before = get(l, "chat", "m", START).learned;
    assert_near(get(l, "chat", "m", START).weight, 4);
    assert_near(get(l, "chat", "m", START + HOUR).weight, 2);
    assert_near(get(l, "chat", "m", START + 3 * HOUR).weight, 0.5);
    assert_true(get(l, "chat", "m", START + HOUR).learned > before);
    assert_true(fabs(get(l, "chat", "m", START + 40 * HOUR).learned - 0.5) < 1e-6);
    /* One success now outweighs them. */
    observe(l, "chat", "m", seen(START + 3 * HOUR, true, 10, 20, 2));
    assert_near(get(l, "chat", "m", START + 3 * HOUR).success, 1 / 1.5);
    learner_destroy(l);
}

static void the_order_does_not_matter(void **state)
{
    struct learner *a = learner_create(HOUR, 100), *b = learner_create(HOUR, 100);
    (void)state;
    for (int i = 0; i < 50; i++)
        observe(a, "chat", "m", seen(START + i * HOUR / 10, i % 3 != 0, 100 + i, 200 + 2 * i, 10));
    for (int i = 49; i >= 0; i--)
        observe(b, "chat", "m", seen(START + i * HOUR / 10, i % 3 != 0, 100 + i, 200 + 2 * i, 10));
    struct learned x = get(a, "chat", "m", START + 9 * HOUR), y = get(b, "chat", "m", START + 9 * HOUR);
    assert_near(x.learned, y.learned);
    assert_near(x.weight, y.weight);
    assert_near(x.first_token_ms, y.first_token_ms);
    assert_near(x.token_ms, y.token_ms);
    assert_int_equal(x.updated_at, y.updated_at);
    learner_destroy(a);
    learner_destroy(b);
}

static void people_count(void **state)
{
    struct learner *l = learner_create(HOUR, 100);
    (void)state;
    observe(l, "chat", "m", seen(START, true, 10, 20, 2));
    double before = get(l, "chat", "m", START).learned;
    learner_rate(l, "chat", "p", "m", START, -1);
    assert_true(get(l, "chat", "m", START).learned < before);
    assert_near(get(l, "chat", "m", START).success, 1 / 3.0);
    assert_int_equal(get(l, "chat", "m", START).ratings, 1);
    assert_int_equal(get(l, "chat", "m", START).requests, 1);
    learner_rate(l, "chat", "p", "m", START, 1);
    assert_near(get(l, "chat", "m", START).success, 3 / 5.0);
    learner_destroy(l);
}

static void rows_are_bounded(void **state)
{
    struct learner *l = learner_create(HOUR, 64);
    char name[32];
    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "m%d", i);
        observe(l, "chat", name, seen(START + i, true, 1, 2, 2));
        assert_true(learner_count(l) <= 64);
    }
    assert_int_equal(learner_count(l), 64);
    assert_true(get(l, "chat", "m999", START + 1000).any); /* the newest are there, the oldest are not */
    assert_false(get(l, "chat", "m0", START + 1000).any);
    learner_destroy(l);
}

/* ---- the table ---- */

static char folder[64], path[128];

static int place(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/vx11-learner-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/vx11.db", folder);
    return 0;
}

static int gone(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char name[160];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
    return rmdir(folder);
}

static struct store *store_at(void)
{
    struct store_options o = {.path = path, .migrate = true};
    struct error err = {0};
    struct store *s = NULL;
    if (store_open(&o, &s, &err) != 0)
        fail_msg("%s", err.text);
    return s;
}

static void flush(struct learner *l)
{
    struct writer_options o = {.path = path};
    struct error err = {0};
    struct writer *w = NULL;
    assert_int_equal(writer_start(&o, &w, &err), 0);
    learner_flush(l, w);
    learner_flush(l, w); /* nothing is left to write */
    assert_int_equal(writer_stop(w, 5000), 0);
}

static void same(struct learner *a, struct learner *b, int64_t now)
{
    static const char *const tasks[] = {"chat", "code", "*"}, *const models[] = {"m0", "m1", "m2"};
    assert_int_equal(learner_count(a), learner_count(b));
    for (size_t t = 0; t < 3; t++)
        for (size_t m = 0; m < 3; m++) {
            struct learned x = get(a, tasks[t], models[m], now), y = get(b, tasks[t], models[m], now);
            assert_near(x.learned, y.learned);
            assert_near(x.success, y.success);
            assert_near(x.weight, y.weight);
            assert_near(x.first_token_ms, y.first_token_ms);
            assert_near(x.token_ms, y.token_ms);
            assert_near(x.total_ms, y.total_ms);
            assert_int_equal(x.requests, y.requests);
            assert_int_equal(x.failures, y.failures);
            assert_int_equal(x.ratings, y.ratings);
            assert_int_equal(x.updated_at, y.updated_at);
        }
}

static void it_survives_a_restart(void **state)
{
    struct store *s = store_at();
    struct learner *a = learner_create(HOUR, 100), *b = learner_create(HOUR, 100);
    struct error err = {0};
    char name[8];
    (void)state;
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "m%d", i % 3);
        observe(a, i % 2 ? "chat" : "code", name, seen(START + i * 1000, i % 7 != 0, i, 3 * i, i));
        if (i == 30)
            flush(a);
    }
    flush(a);
    assert_int_equal(learner_load(b, s, &err), 0);
    same(a, b, START + 2 * HOUR);
    learner_destroy(a);
    learner_destroy(b);
    store_close(s);
}

static int on_count(void *ctx, const struct store_row *r)
{
    *(int64_t *)ctx = row_int(r, 0);
    return 0;
}

static void the_table_is_bounded_too(void **state)
{
    struct store *s = store_at();
    struct learner *l = learner_create(HOUR, 20);
    struct error err = {0};
    char name[16];
    int64_t n = -1;
    (void)state;
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "m%d", i);
        observe(l, "chat", name, seen(START + i, true, 1, 2, 2));
        if (i % 10 == 0)
            flush(l);
    }
    flush(l);
    assert_int_equal(store_query(s, "SELECT count(*) FROM learned", NULL, 0, on_count, &n, &err), 0);
    assert_int_equal(n, 20);
    learner_destroy(l);
    store_close(s);
}

/* A decision row as the account writes it: two candidates, the first of which failed. */
static void decide(struct store *s, struct learner *l, int i)
{
    static const char sql[] =
        "INSERT INTO decision (id, request_id, at, route, reason, attempts, stream, outcome, status, "
        "total_ms, task_type, candidates) VALUES (?1, 'r', ?2, 'chat', 'x', 2, 0, 'ok', 200, 1, ?3, ?4)";
    struct switch_attempt_outcome failed = {.ok = false,
                                            .at = START + i * 1000,
                                            .has_total_ms = true,
                                            .total_ms = 7},
                                  good = {.ok = true,
                                          .at = START + i * 1000 + 123,
                                          .has_first_token_ms = true,
                                          .first_token_ms = 10.123456789 + i,
                                          .has_total_ms = true,
                                          .total_ms = 100.1 + i,
                                          .has_tokens = true,
                                          .tokens = 5 + i};
    struct switch_candidate c[] = {
        {.provider = "p", .model = "m0", .reason = "", .outcomes = &failed, .outcomes_count = 1},
        {.provider = "p",
         .model = i % 2 ? "m1" : "m2",
         .reason = "",
         .outcomes = &good,
         .outcomes_count = 1}};
    struct switch_candidate_list list = {.candidates = c, .candidates_count = 2};
    const char *task = i % 3 ? "chat" : "code";
    struct buf text = BUF_INIT;
    struct error err = {0};
    char id[ULID_LEN + 1];
    ulid_make(id);
    assert_int_equal(switch_candidate_list_serialize(&list, &text), 0);
    struct store_value v[] = {store_text(id), STORE_I(START + i * 1000), store_text(task),
                              store_text_len(text.data, text.len)};
    if (store_exec(s, sql, v, 4, NULL, &err) != 0)
        fail_msg("%s", err.text);
    buf_free(&text);
    observe(l, task, "m0", seen(failed.at, false, -1, 7, -1));
    observe(l, task, c[1].model, seen(good.at, true, good.first_token_ms, good.total_ms, good.tokens));
}

static void it_can_be_made_again(void **state)
{
    static const char rate[] =
        "INSERT INTO feedback (id, request_id, at, task_type, provider, model, rating) "
        "VALUES (?1, 'r', ?2, 'chat', 'p', 'm1', -0.5)";
    struct store *s = store_at();
    struct learner *a = learner_create(HOUR, 100), *b = learner_create(HOUR, 100);
    struct error err = {0};
    char id[ULID_LEN + 1];
    (void)state;
    for (int i = 0; i < 40; i++)
        decide(s, a, i);
    ulid_make(id);
    struct store_value v[] = {store_text(id), STORE_I(START + 5000)};
    assert_int_equal(store_exec(s, rate, v, 2, NULL, &err), 0);
    learner_rate(a, "chat", "p", "m1", START + 5000, -0.5);
    observe(b, "chat", "other", seen(START, true, 1, 2, 3)); /* is forgotten */
    if (learner_rebuild(b, s, &err) != 0)
        fail_msg("%s", err.text);
    same(a, b, START + HOUR);
    assert_false(get(b, "chat", "other", START).any);
    learner_destroy(a);
    learner_destroy(b);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_neutral),
        cmocka_unit_test(success_and_failure),
        cmocka_unit_test(it_forgets),
        cmocka_unit_test(the_order_does_not_matter),
        cmocka_unit_test(people_count),
        cmocka_unit_test(rows_are_bounded),
        cmocka_unit_test_setup_teardown(it_survives_a_restart, place, gone),
        cmocka_unit_test_setup_teardown(the_table_is_bounded_too, place, gone),
        cmocka_unit_test_setup_teardown(it_can_be_made_again, place, gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
