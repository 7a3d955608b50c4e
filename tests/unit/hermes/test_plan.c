/* The planner: tables of situations, and random small ones beside a search of every set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "hermes/pool/plan.h"

#define NONE PLAN_NO_BOUND

/* An engine in one line: its bytes, when it was used, how often, and letters: b busy, k kept, p pinned,
 * l loading, s stopping, 1-9 its group. It is read again from as many bytes. */
struct row {
    int64_t bytes, used, count;
    const char *what;
};

struct situation {
    struct plan_engine engines[PLAN_ENGINES_MAX];
    size_t n;
    struct plan_want want;
    struct plan_rules rules;
};

static struct plan_engine engine(const struct row *r)
{
    struct plan_engine e = {.last_used = r->used, .usage_count = r->count, .reload_bytes = r->bytes};
    e.predicted.in[PLAN_BUDGET] = r->bytes;
    for (const char *c = r->what ? r->what : ""; *c; c++) {
        e.busy |= *c == 'b';
        e.kept |= *c == 'k';
        e.pinned |= *c == 'p';
        e.state = *c == 'l' ? PLAN_LOADING : *c == 's' ? PLAN_STOPPING : e.state;
        e.group = *c >= '1' && *c <= '9' ? *c - '0' : e.group;
    }
    return e;
}

static void set_up(struct situation *s, int64_t budget, int64_t max, int64_t need, const struct row *rows,
                   size_t n)
{
    *s = (struct situation){.n = n, .rules = {.max_loaded = max}};
    for (size_t d = 0; d < PLAN_DIMS; d++)
        s->rules.budget.in[d] = NONE;
    s->rules.budget.in[PLAN_BUDGET] = budget;
    s->want.need.in[PLAN_BUDGET] = s->want.least.in[PLAN_BUDGET] = need;
    for (size_t i = 0; i < n; i++)
        s->engines[i] = engine(&rows[i]);
}

static struct plan plan(const struct situation *s)
{
    struct plan out;
    plan_make(s->engines, s->n, &s->want, &s->rules, &out);
    return out;
}

/* "evict 1 0", "wait 2", "start", "never" */
static const char *told(const struct plan *p)
{
    static const char *const names[] = {"start", "evict", "wait", "never"};
    static char text[200];
    int len = snprintf(text, sizeof text, "%s", names[p->verdict]);
    for (size_t i = 0; i < p->count; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, " %zu", p->engines[i]);
    return text;
}

#define ROWS(...)      (const struct row[]){__VA_ARGS__}, COUNT_OF(((const struct row[]){__VA_ARGS__}))
#define SET(s, ...)    set_up(s, __VA_ARGS__)
#define TOLD(s, want_) assert_string_equal(told(&(struct plan[]){plan(s)}[0]), want_)

static void test_room(void **state)
{
    struct situation s;
    (void)state;
    set_up(&s, 100, 4, 100, NULL, 0);
    TOLD(&s, "start");
    set_up(&s, 100, 4, 101, NULL, 0);
    TOLD(&s, "never");
    SET(&s, 100, 4, 40, ROWS({60, 1, 1, ""}));
    TOLD(&s, "start");
    SET(&s, 100, 4, 41, ROWS({60, 1, 1, ""}));
    TOLD(&s, "evict 0");
    SET(&s, NONE, 4, 41, ROWS({60, 1, 1, ""}));
    TOLD(&s, "start");
}

static void test_number(void **state)
{
    struct situation s;
    (void)state;
    SET(&s, NONE, 2, 1, ROWS({60, 2, 1, ""}, {70, 1, 1, ""}));
    TOLD(&s, "evict 0"); /* fewer bytes to read again */
    assert_true(plan(&s).by_number);
    SET(&s, NONE, 2, 1, ROWS({60, 2, 1, ""}, {60, 1, 1, ""}));
    TOLD(&s, "evict 1");
    SET(&s, NONE, 2, 1, ROWS({60, 2, 1, "p"}, {60, 1, 1, "p"}));
    TOLD(&s, "never");
    assert_true(plan(&s).by_number);
    assert_int_equal(plan(&s).missing, 0);
    SET(&s, NONE, 1, 1, ROWS({60, 2, 1, "1"}));
    s.want.group = 1;
    TOLD(&s, "start"); /* a group counts as one */
    SET(&s, NONE, 1, 1, ROWS({60, 2, 1, "1"}));
    s.want.group = 2;
    TOLD(&s, "evict 0");
}

static void test_cheapest(void **state)
{
    struct situation s;
    (void)state;
    SET(&s, 100, 9, 30, ROWS({50, 1, 9, ""}, {20, 8, 9, ""}, {30, 9, 9, ""}));
    TOLD(&s, "evict 2"); /* 20 is too little, 30 suffices, 50 would be more */
    SET(&s, 100, 9, 50, ROWS({60, 1, 9, ""}, {20, 8, 9, ""}, {20, 9, 9, ""}));
    TOLD(&s, "evict 0");
    SET(&s, 100, 9, 45, ROWS({60, 1, 9, ""}, {20, 9, 9, ""}, {20, 8, 9, ""}));
    TOLD(&s, "evict 0"); /* 40 of two would not do */
    SET(&s, 100, 9, 40, ROWS({60, 1, 9, ""}, {20, 9, 9, ""}, {20, 8, 9, ""}));
    TOLD(&s, "evict 2 1"); /* the older one first */
    SET(&s, 90, 9, 30, ROWS({30, 5, 9, ""}, {30, 4, 9, ""}, {30, 6, 9, ""}));
    TOLD(&s, "evict 1"); /* the oldest */
    SET(&s, 90, 9, 30, ROWS({30, 5, 9, ""}, {30, 5, 3, ""}, {30, 5, 4, ""}));
    TOLD(&s, "evict 1"); /* used least */
    SET(&s, 90, 9, 60, ROWS({30, 5, 9, ""}, {30, 4, 9, ""}, {30, 6, 1, ""}));
    TOLD(&s, "evict 1 0");
}

static void test_not_these(void **state)
{
    struct situation s;
    (void)state;
    SET(&s, 90, 9, 30, ROWS({30, 1, 1, "b"}, {30, 2, 1, "k"}, {30, 3, 1, ""}));
    TOLD(&s, "evict 2");
    SET(&s, 90, 9, 30, ROWS({30, 1, 1, "b"}, {30, 2, 1, "p"}, {30, 3, 1, "k"}));
    TOLD(&s, "wait 0"); /* what is cheapest to wait for */
    SET(&s, 90, 9, 60, ROWS({30, 3, 1, "b"}, {30, 2, 1, "p"}, {30, 1, 1, ""}));
    TOLD(&s, "wait 2 0"); /* one that is idle stays until its going helps */
    SET(&s, 90, 9, 61, ROWS({30, 3, 1, "b"}, {30, 2, 1, "p"}, {30, 1, 1, ""}));
    TOLD(&s, "never");
    assert_int_equal(plan(&s).missing, 1);
    assert_int_equal(plan(&s).most.in[PLAN_BUDGET], 60);
    SET(&s, 90, 9, 30, ROWS({30, 1, 1, "l"}, {60, 2, 1, "p"}));
    TOLD(&s, "wait 0"); /* it can go once it is loaded */
}

static void test_releases(void **state)
{
    struct situation s;
    (void)state;
    SET(&s, 90, 9, 30, ROWS({30, 1, 1, "s"}, {60, 2, 1, ""}));
    TOLD(&s, "wait"); /* its memory is on its way: nothing more goes */
    assert_int_equal(plan(&s).missing, 30);
    SET(&s, 90, 9, 60, ROWS({30, 1, 1, "s"}, {30, 2, 1, ""}, {30, 3, 1, ""}));
    TOLD(&s, "evict 1"); /* that is not enough: one more */
    SET(&s, NONE, 2, 60, ROWS({30, 1, 1, "s"}, {30, 2, 1, "b"}));
    TOLD(&s, "wait"); /* a process that ends counts until it has */
}

static void test_groups(void **state)
{
    struct situation s;
    (void)state;
    SET(&s, 100, 9, 30, ROWS({30, 1, 1, "1"}, {60, 9, 9, ""}));
    s.want.group = 1;
    TOLD(&s, "evict 1"); /* dearer, but not of its group */
    SET(&s, 100, 9, 30, ROWS({30, 1, 1, "1"}, {60, 9, 9, "p"}));
    s.want.group = 1;
    TOLD(&s, "evict 0"); /* nothing else can go */
}

static void test_less_context(void **state)
{
    struct situation s;
    struct plan p;
    (void)state;
    SET(&s, 100, 9, 120, ROWS({60, 1, 1, ""}));
    s.want.least.in[PLAN_BUDGET] = 30;
    p = plan(&s);
    assert_string_equal(told(&p), "start"); /* all of it fits never, the least fits now */
    assert_true(p.reduced);
    assert_int_equal(p.usable.in[PLAN_BUDGET], 40);
    s.want.least.in[PLAN_BUDGET] = 50;
    p = plan(&s);
    assert_string_equal(told(&p), "evict 0");
    s.want.least.in[PLAN_BUDGET] = 101;
    p = plan(&s);
    assert_string_equal(told(&p), "never");
    assert_int_equal(p.missing, 1);
    SET(&s, 100, 9, 80, ROWS({60, 1, 1, "b"}));
    s.want.least.in[PLAN_BUDGET] = 40;
    TOLD(&s, "wait 0");
    s.want.settles = true;
    p = plan(&s);
    assert_string_equal(told(&p), "start");
    assert_true(p.reduced);
}

/* More than was predicted counts; several kinds of memory, each with its bound. */
static void test_measured_and_devices(void **state)
{
    struct situation s;
    (void)state;
    SET(&s, 100, 9, 40, ROWS({50, 1, 1, ""}));
    s.engines[0].measured.in[PLAN_BUDGET] = 70;
    TOLD(&s, "evict 0");
    SET(&s, 1000, 9, 10, ROWS({10, 1, 1, ""}, {10, 2, 1, ""}));
    s.rules.budget.in[PLAN_DEVICE] = 80;
    s.rules.budget.in[PLAN_DEVICE + 1] = 80;
    s.engines[0].predicted.in[PLAN_DEVICE] = 60;
    s.engines[1].predicted.in[PLAN_DEVICE + 1] = 60;
    s.want.need.in[PLAN_DEVICE + 1] = 30;
    TOLD(&s, "evict 1"); /* used later, but on the processor that is short */
    struct plan p = plan(&s);
    assert_int_equal(p.missing, 10);
    assert_int_equal(p.dim, PLAN_DEVICE + 1);
}

static void test_bounds_alone(void **state)
{
    struct situation s;
    (void)state;
    SET(&s, 100, 1, 0, ROWS({60, 5, 1, ""}, {60, 4, 1, ""}));
    s.want.nothing = true;
    TOLD(&s, "evict 1");
    SET(&s, 120, 1, 0, ROWS({60, 5, 1, ""}, {60, 4, 1, ""}));
    s.want.nothing = true;
    TOLD(&s, "start");
    SET(&s, 100, 1, 0, ROWS({60, 5, 1, "p"}, {60, 4, 1, "p"}));
    s.want.nothing = true;
    TOLD(&s, "never"); /* and nothing is done */
}

/* As many as there can be: an answer, soon, that holds. */
static void test_many(void **state)
{
    struct situation s;
    struct row rows[PLAN_ENGINES_MAX];
    (void)state;
    for (int i = 0; i < PLAN_ENGINES_MAX; i++)
        rows[i] = (struct row){1000 + (i * 37) % 101, i, i, ""};
    set_up(&s, 64 * 1100, 64, 30000, rows, PLAN_ENGINES_MAX);
    struct plan p = plan(&s);
    int64_t left = 0;
    assert_int_equal(p.verdict, PLAN_EVICT);
    for (size_t i = 0; i < PLAN_ENGINES_MAX; i++)
        left += rows[i].bytes;
    for (size_t i = 0; i < p.count; i++)
        left -= rows[p.engines[i]].bytes;
    assert_true(left + 30000 <= 64 * 1100);
}

/* ---- beside every set ---- */

static uint64_t seed = 88172645463325252u;

static int64_t below(int64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (int64_t)(seed % (uint64_t)n);
}

static void random_situation(struct situation *s)
{
    *s = (struct situation){.n = (size_t)below(8)};
    for (size_t d = 0; d < PLAN_DIMS; d++)
        s->rules.budget.in[d] = d < 3 && below(3) > 0 ? 20 + below(100) : NONE;
    s->rules.max_loaded = 1 + below(8);
    for (size_t i = 0; i < s->n; i++) {
        struct plan_engine *e = &s->engines[i];
        *e = (struct plan_engine){.state = below(6) ? PLAN_READY : (enum plan_state)below(3),
                                  .busy = below(3) == 0,
                                  .kept = below(6) == 0,
                                  .pinned = below(6) == 0,
                                  .group = below(3) ? 0 : 1 + (int)below(2),
                                  .last_used = below(6),
                                  .usage_count = below(4),
                                  .reload_bytes = below(20)};
        for (size_t d = 0; d < 3; d++) {
            e->predicted.in[d] = below(40);
            e->measured.in[d] = below(40);
        }
    }
    s->want = (struct plan_want){
        .group = below(3) ? 0 : 1 + (int)below(2), .settles = below(4) == 0, .nothing = below(10) == 0};
    for (size_t d = 0; d < 3 && !s->want.nothing; d++) {
        s->want.least.in[d] = below(50);
        s->want.need.in[d] = s->want.least.in[d] + below(40);
    }
}

static bool ref_fits(const struct situation *s, unsigned gone, const struct plan_bytes *target)
{
    bool seen[10] = {false};
    int64_t count = !s->want.nothing;
    seen[s->want.group] = !s->want.nothing;
    for (size_t d = 0; d < PLAN_DIMS; d++) {
        int64_t sum = target->in[d];
        for (size_t i = 0; i < s->n; i++)
            sum += gone >> i & 1 ? 0
                   : s->engines[i].predicted.in[d] > s->engines[i].measured.in[d]
                       ? s->engines[i].predicted.in[d]
                       : s->engines[i].measured.in[d];
        if (s->rules.budget.in[d] != NONE && sum > s->rules.budget.in[d])
            return false;
    }
    for (size_t i = 0; i < s->n; i++) {
        const int group = s->engines[i].group;
        if (gone >> i & 1)
            continue;
        count += group == 0 || !seen[group];
        seen[group] = true;
    }
    return s->want.nothing || count <= s->rules.max_loaded;
}

struct ref_cost {
    int64_t part[5];
};

static struct ref_cost ref_cost_of(const struct situation *s, unsigned set)
{
    struct ref_cost c = {{0, 0, INT64_MIN, 0, 0}};
    for (size_t i = 0; i < s->n; i++) {
        const struct plan_engine *e = &s->engines[i];
        if (!(set >> i & 1))
            continue;
        c.part[0] += s->want.group && e->group == s->want.group;
        c.part[1] += e->reload_bytes;
        c.part[2] = e->last_used > c.part[2] ? e->last_used : c.part[2];
        c.part[3] += e->usage_count;
        c.part[4]++;
    }
    return c;
}

static int ref_compare(const struct ref_cost *a, const struct ref_cost *b)
{
    for (size_t i = 0; i < 5; i++) {
        if (a->part[i] != b->part[i])
            return a->part[i] < b->part[i] ? -1 : 1;
    }
    return 0;
}

static bool ref_cheapest(const struct situation *s, unsigned allowed, unsigned ending,
                         const struct plan_bytes *target, struct ref_cost *best)
{
    bool found = false;
    for (unsigned set = 0; set < 1u << s->n; set++) {
        if ((set & ~allowed) || !ref_fits(s, set | ending, target))
            continue;
        const struct ref_cost c = ref_cost_of(s, set);
        if (!found || ref_compare(&c, best) < 0)
            *best = c;
        found = true;
    }
    return found;
}

static void check(const struct situation *s)
{
    unsigned ending = 0, idle = 0, in_the_end = 0, chosen = 0;
    struct ref_cost best, got;
    const struct plan p = plan(s);
    const struct plan_bytes *target = &s->want.need;
    for (unsigned i = 0; i < s->n; i++) {
        const struct plan_engine *e = &s->engines[i];
        ending |= e->state == PLAN_STOPPING ? 1u << i : 0;
        in_the_end |= e->state != PLAN_STOPPING && !e->pinned ? 1u << i : 0;
        idle |= e->state == PLAN_READY && !e->pinned && !e->busy && !e->kept ? 1u << i : 0;
    }
    for (size_t i = 0; i < p.count; i++) {
        assert_false(chosen >> p.engines[i] & 1);
        chosen |= 1u << p.engines[i];
        if (i > 0)
            assert_true(s->engines[p.engines[i - 1]].last_used <= s->engines[p.engines[i]].last_used);
    }
    got = ref_cost_of(s, chosen);
    if (!ref_fits(s, ending | in_the_end, target))
        target = &s->want.least;
    if (!ref_fits(s, ending | in_the_end, target)) {
        assert_int_equal(p.verdict, PLAN_NEVER);
        assert_true(p.missing > 0 || p.by_number);
    } else if (ref_fits(s, 0, target)) {
        assert_int_equal(p.verdict, PLAN_START);
        assert_int_equal(p.reduced, target == &s->want.least && target != &s->want.need && p.reduced);
    } else if (ref_fits(s, ending, target)) {
        assert_int_equal(p.verdict, PLAN_WAIT);
        assert_int_equal(p.count, 0);
    } else if (ref_cheapest(s, idle, ending, target, &best)) {
        assert_int_equal(p.verdict, PLAN_EVICT);
        assert_int_equal(chosen & ~idle, 0);
        assert_true(ref_fits(s, ending | chosen, target));
        assert_int_equal(ref_compare(&got, &best), 0);
    } else if (s->want.settles && ref_fits(s, 0, &s->want.least)) {
        assert_int_equal(p.verdict, PLAN_START);
        assert_true(p.reduced);
    } else {
        assert_int_equal(p.verdict, PLAN_WAIT);
        assert_true(ref_cheapest(s, in_the_end, ending, target, &best));
        assert_true(ref_fits(s, ending | chosen, target));
        assert_int_equal(ref_compare(&got, &best), 0);
    }
}

static void test_every_set(void **state)
{
    struct situation s;
    (void)state;
    for (int i = 0; i < 40000; i++) {
        random_situation(&s);
        check(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room),         cmocka_unit_test(test_number),
        cmocka_unit_test(test_cheapest),     cmocka_unit_test(test_not_these),
        cmocka_unit_test(test_releases),     cmocka_unit_test(test_groups),
        cmocka_unit_test(test_less_context), cmocka_unit_test(test_measured_and_devices),
        cmocka_unit_test(test_bounds_alone), cmocka_unit_test(test_many),
        cmocka_unit_test(test_every_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
