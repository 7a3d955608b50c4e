/* Budgets: windows and their ends with a clock of the test's own, reserving and settling with many requests
 * at a time, and that what a restart reads is what was counted before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/ulid.h"
#include "store/store.h"
#include "store/tokens.h"
#include "switch/limits/internal.h"

/* 2026-02-28T23:59:30Z: the last minute of a day, and of a month that is short. */
#define T0 INT64_C(1772323170000)

struct fixture {
    char dir[64], path[96];
    struct store *store;
    struct limits *l;
    struct config *config;
    char id[ULID_LEN + 1]; /* of the token "ci" */
    int64_t rows;
};

static struct fixture *fx;

static void check(int rc, const struct error *err)
{
    if (rc != 0)
        fail_msg("%s: %s", error_name(rc), err->text);
}

static void limits_open(int64_t now)
{
    struct error err = {0};
    limits_destroy(fx->l);
    check(limits_create(fx->store, fx->config->values->switch_, now, &fx->l, &err), &err);
}

static void config_open(const char *yaml)
{
    struct error err = {0};
    config_free(fx->config);
    check(config_load_text("test", yaml, strlen(yaml), NULL, &fx->config, &err), &err);
}

static int setup(void **state)
{
    struct error err = {0};
    fx = calloc(1, sizeof *fx);
    strcpy(fx->dir, "/tmp/vx11-limits-XXXXXX");
    if (!fx || !mkdtemp(fx->dir))
        return -1;
    snprintf(fx->path, sizeof fx->path, "%s/vx11.db", fx->dir);
    check(store_open(&(struct store_options){.path = fx->path, .migrate = true}, &fx->store, &err), &err);
    config_open("{}");
    limits_open(T0);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    limits_destroy(fx->l);
    config_free(fx->config);
    store_close(fx->store);
    fs_remove_tree(AT_FDCWD, fx->dir, NULL);
    free(fx);
    return 0;
}

static void token_make(const struct token_limits *limits)
{
    unsigned char hash[TOKEN_HASH_LEN];
    struct error err = {0};
    random_bytes(hash, sizeof hash);
    check(token_create_limited(fx->store, "tests", "ci", "chat", hash, 0, limits, T0, fx->id, &err), &err);
}

static struct principal principal_of(const char *id, const char *name)
{
    struct principal p = {.kind = AUTH_TOKEN};
    snprintf(p.id, sizeof p.id, "%s", id);
    snprintf(p.name, sizeof p.name, "%s", name);
    return p;
}

static int admit(int64_t prompt, int64_t completion, int64_t now, struct limits_hold *h,
                 struct limits_refusal *why)
{
    struct principal p = principal_of(fx->id, "ci");
    struct error err = {0};
    return limits_admit(fx->l, &p, &(struct limits_want){prompt, completion}, now, h, why, &err);
}

/* As account.c does: the row, and the same numbers to the limits. */
static void settle(struct limits_hold *h, const char *provider, int64_t at, int64_t now, int64_t prompt,
                   int64_t completion, int64_t cost)
{
    char decision[ULID_LEN + 1], account[80];
    struct error err = {0};
    ulid_make(decision);
    snprintf(account, sizeof account, "%s", limits_account_id(h));
    check(store_exec(fx->store,
                     "INSERT INTO decision (id, request_id, at, route, reason, attempts, stream, outcome,"
                     " status, total_ms) VALUES (?1, 'r', ?2, 'chat', 'test', 1, 0, 'ok', 200, 1.0)",
                     (struct store_value[]){STORE_T(decision), STORE_I(at)}, 2, NULL, &err),
          &err);
    check(store_exec(fx->store,
                     "INSERT INTO usage (decision_id, at, principal_id, account, provider, model, outcome,"
                     " prompt_tokens, completion_tokens, cost_micro, total_ms)"
                     " VALUES (?1, ?2, 'x', ?3, ?4, 'm', 'ok', ?5, ?6, ?7, 1.0)",
                     (struct store_value[]){STORE_T(decision), STORE_I(at), STORE_T(account),
                                            STORE_T(provider), prompt < 0 ? STORE_N : STORE_I(prompt),
                                            completion < 0 ? STORE_N : STORE_I(completion),
                                            cost < 0 ? STORE_N : STORE_I(cost)},
                     7, NULL, &err),
          &err);
    limits_settle(fx->l, h,
                  &(struct limits_spent){.at = at,
                                         .provider = provider,
                                         .prompt_tokens = prompt,
                                         .completion_tokens = completion,
                                         .cost_micro = cost},
                  now);
}

struct seen {
    const char *id;
    bool provider;
    struct limits_line lines[LIMITS_BUDGETS];
};

static int see(void *ctx, const struct limits_line *line)
{
    struct seen *s = ctx;
    if (line->provider == s->provider && strcmp(line->id, s->id) == 0)
        s->lines[line->budget] = *line;
    return 0;
}

static struct limits_line line_of(bool provider, const char *id, enum limits_budget b, int64_t now)
{
    struct seen s = {.id = id, .provider = provider};
    limits_report(fx->l, now, see, &s);
    return s.lines[b];
}

static int64_t used(enum limits_budget b, int64_t now)
{
    return line_of(false, fx->id, b, now).used;
}

/* ---- windows ---- */

static void test_utc_boundaries(void **state)
{
    (void)state;
    char text[32];
    assert_string_equal(clock_format(limits_day(T0), text), "2026-02-28T00:00:00.000Z");
    assert_string_equal(clock_format(limits_month(T0), text), "2026-02-01T00:00:00.000Z");
    assert_string_equal(clock_format(limits_next_month(T0), text), "2026-03-01T00:00:00.000Z");
    assert_string_equal(clock_format(limits_day(T0 + 30000), text), "2026-03-01T00:00:00.000Z");
    assert_string_equal(clock_format(limits_day(T0 + 29999), text), "2026-02-28T00:00:00.000Z");
    int64_t december;
    assert_int_equal(clock_parse("2027-12-31T23:59:59.999Z", -1, &december), 0);
    assert_string_equal(clock_format(limits_next_month(december), text), "2028-01-01T00:00:00.000Z");
    int64_t leap;
    assert_int_equal(clock_parse("2028-02-29T12:00:00.000Z", -1, &leap), 0);
    assert_string_equal(clock_format(limits_next_month(leap), text), "2028-03-01T00:00:00.000Z");
}

static void test_window(void **state)
{
    (void)state;
    struct limits_window w = {0};
    for (int i = 0; i < 5; i++)
        window_add(&w, T0 + i * 1000);
    assert_int_equal(window_count(&w, T0 + 4000), 5);
    assert_int_equal(window_free_at(&w, 5, T0 + 4000), T0 + 61000);
    assert_int_equal(window_free_at(&w, 1, T0 + 4000), T0 + 65000);
    assert_int_equal(window_free_at(&w, 6, T0 + 4000), T0 + 4000);
    assert_int_equal(window_count(&w, T0 + 60999), 5); /* not less than a minute */
    assert_int_equal(window_count(&w, T0 + 61000), 4);
    assert_int_equal(window_count(&w, T0 + 64999), 1);
    assert_int_equal(window_count(&w, T0 + 65000), 0);
    window_add(&w, T0 + 70000);
    assert_int_equal(window_count(&w, T0 + 60000), 0); /* set back: anew */
    window_add(&w, T0 + 60000);
    assert_int_equal(window_count(&w, T0 + 10 * DAY_MS), 0);
    window_restore(&w, T0 + 10 * DAY_MS - 30000, T0 + 10 * DAY_MS);
    window_restore(&w, T0 + 10 * DAY_MS - 90000, T0 + 10 * DAY_MS);
    assert_int_equal(window_count(&w, T0 + 10 * DAY_MS), 1);
}

/* In no 60 seconds more than the limit, whatever the rhythm. */
static void test_window_never_lets_more_through(void **state)
{
    (void)state;
    enum { LIMIT = 7, TIMES = 4000 };
    static int64_t taken[TIMES];
    struct limits_window w = {0};
    size_t n = 0;
    int64_t now = T0;
    srand(11);
    for (int i = 0; i < TIMES; i++) {
        now += rand() % 9000;
        if (window_count(&w, now) < LIMIT) {
            window_add(&w, now);
            taken[n++] = now;
        } else {
            int64_t free_at = window_free_at(&w, LIMIT, now);
            assert_true(free_at > now && free_at <= now + 61000);
            struct limits_window copy = w;
            assert_true(window_count(&copy, free_at) < LIMIT);
            copy = w;
            assert_int_equal(window_count(&copy, free_at - 1), LIMIT);
        }
    }
    assert_true(n > 500);
    for (size_t i = LIMIT; i < n; i++)
        assert_true(taken[i] - taken[i - LIMIT] >= 60000);
}

/* ---- budgets ---- */

static void test_requests_a_minute(void **state)
{
    (void)state;
    struct limits_hold h[4];
    struct limits_refusal why;
    token_make(&(struct token_limits){.requests_per_minute = 3});
    for (int i = 0; i < 3; i++)
        assert_int_equal(admit(5, 5, T0 + i, &h[i], &why), 0);
    assert_int_equal(admit(5, 5, T0 + 3, &h[3], &why), VX11_EFULL);
    assert_int_equal(why.status, 429);
    assert_string_equal(why.code, "budget_exceeded");
    assert_string_equal(why.param, "requests_per_minute");
    assert_int_equal(why.limit, 3);
    assert_int_equal(why.used, 3);
    assert_int_equal(why.reset_at, T0 + 61000);
    assert_int_equal(why.retry_after_ms, 60997);
    assert_non_null(strstr(why.text, "2026-03-01T00:00:31.000Z"));
    for (int i = 0; i < 3; i++)
        settle(&h[i], "p", T0 + i, T0 + 3, 1, 1, 0);
    limits_settle(fx->l, &h[3], &(struct limits_spent){.at = T0}, T0);
    limits_open(T0 + 4); /* a restart forgets no minute */
    assert_int_equal(used(LIMITS_REQUESTS_PER_MINUTE, T0 + 4), 3);
    assert_int_equal(line_of(true, "p", LIMITS_REQUESTS_PER_MINUTE, T0 + 4).used, 3);
    assert_int_equal(admit(5, 5, T0 + 60999, &h[0], &why), VX11_EFULL);
    limits_settle(fx->l, &h[0], &(struct limits_spent){.at = T0}, T0);
    assert_int_equal(admit(5, 5, T0 + 61000, &h[0], &why), 0);
    settle(&h[0], NULL, T0 + 61000, T0 + 61000, -1, -1, -1);
}

static void test_at_a_time(void **state)
{
    (void)state;
    struct limits_hold h[3];
    struct limits_refusal why;
    token_make(&(struct token_limits){.concurrent = 2});
    assert_int_equal(admit(5, 5, T0, &h[0], &why), 0);
    assert_int_equal(admit(5, 5, T0, &h[1], &why), 0);
    assert_int_equal(admit(5, 5, T0, &h[2], &why), VX11_EFULL);
    assert_string_equal(why.param, "concurrent");
    assert_int_equal(why.reset_at, 0);
    settle(&h[2], NULL, T0, T0, -1, -1, -1);
    assert_int_equal(used(LIMITS_CONCURRENT, T0), 2); /* a refused one gives back nothing */
    settle(&h[0], "p", T0, T0, 1, 1, 0);
    assert_int_equal(admit(5, 5, T0, &h[0], &why), 0);
    settle(&h[0], "p", T0, T0, 1, 1, 0);
    settle(&h[1], "p", T0, T0, 1, 1, 0);
    assert_int_equal(used(LIMITS_CONCURRENT, T0), 0);
}

static void test_tokens_a_day_and_a_month(void **state)
{
    (void)state;
    struct limits_hold h, other;
    struct limits_refusal why;
    token_make(&(struct token_limits){.tokens_per_day = 1000, .tokens_per_month = 1500});
    assert_int_equal(admit(100, 800, T0, &h, &why), 0);
    assert_int_equal(line_of(false, fx->id, LIMITS_TOKENS_PER_DAY, T0).reserved, 900);
    assert_int_equal(admit(100, 1, T0, &other, &why), VX11_EFULL);
    assert_string_equal(why.param, "tokens_per_day");
    assert_int_equal(why.reserved, 900);
    assert_int_equal(why.wanted, 101);
    char text[32];
    assert_string_equal(clock_format(why.reset_at, text), "2026-03-01T00:00:00.000Z");
    settle(&other, NULL, T0, T0, -1, -1, -1);
    /* Who gives no bound is not refused for one: what is left is reserved. */
    assert_int_equal(admit(50, -1, T0, &other, &why), 0);
    assert_int_equal(line_of(false, fx->id, LIMITS_TOKENS_PER_DAY, T0).reserved, 1000);
    settle(&other, "p", T0, T0, 50, 3, -1);
    settle(&h, "p", T0, T0, 90, 10, 7);
    assert_int_equal(used(LIMITS_TOKENS_PER_DAY, T0), 153);
    assert_int_equal(line_of(false, fx->id, LIMITS_TOKENS_PER_DAY, T0).reserved, 0);
    /* The real usage may be more than the estimate: then nothing is left, and not less than nothing. */
    assert_int_equal(admit(100, 700, T0, &h, &why), 0);
    settle(&h, "p", T0, T0, 100, 900, 0);
    assert_int_equal(used(LIMITS_TOKENS_PER_DAY, T0), 1153);
    assert_int_equal(admit(0, 1, T0, &h, &why), VX11_EFULL);
    settle(&h, NULL, T0, T0, -1, -1, -1);
    /* Midnight, and a new month. */
    assert_int_equal(used(LIMITS_TOKENS_PER_DAY, T0 + 30000), 0);
    assert_int_equal(used(LIMITS_TOKENS_PER_MONTH, T0 + 30000), 0);
}

static void test_a_request_over_midnight(void **state)
{
    (void)state;
    struct limits_hold h;
    struct limits_refusal why;
    int64_t before = T0 - DAY_MS, after = before + 60000; /* 27 to 28 February */
    token_make(&(struct token_limits){.tokens_per_day = 1000, .tokens_per_month = 5000});
    limits_open(before);
    assert_int_equal(admit(10, 10, before, &h, &why), 0);
    settle(&h, "p", before, after, 10, 10, 0);
    assert_int_equal(used(LIMITS_TOKENS_PER_DAY, after), 0); /* it counts on the day that it came */
    assert_int_equal(used(LIMITS_TOKENS_PER_MONTH, after), 20);
    limits_open(after);
    assert_int_equal(used(LIMITS_TOKENS_PER_DAY, after), 0);
    assert_int_equal(used(LIMITS_TOKENS_PER_MONTH, after), 20);
    /* Over the month's end too. */
    assert_int_equal(admit(10, 10, T0, &h, &why), 0);
    settle(&h, "p", T0, T0 + 60000, 30, 10, 0);
    assert_int_equal(used(LIMITS_TOKENS_PER_MONTH, T0 + 60000), 0);
}

/* ---- cost, providers ---- */

static const struct price cheap = {.known = true, .input = 1000000, .output = 2000000, .cached = 500000};

static void test_prices(void **state)
{
    (void)state;
    struct config_model_info info = {.model = "m",
                                     .has_input_price = true,
                                     .input_price = 2.5,
                                     .has_output_price = true,
                                     .output_price = 10,
                                     .has_cached_input_price = true,
                                     .cached_input_price = 1.25};
    struct price p = price_of(&info, false);
    assert_int_equal(price_cost(&p, 1000000, 0, 0), 2500000);
    assert_int_equal(price_cost(&p, 1000, 100, 400), 600 * 5 / 2 + 400 * 5 / 4 + 1000);
    assert_int_equal(price_cost(&p, 7, 5, -1), 68); /* 67.5 */
    assert_int_equal(price_cost(&p, 10, 0, 50), 13);
    assert_int_equal(price_cost(&p, -1, 5, 0), -1);
    assert_int_equal(price_cost(&p, 5, -1, 0), -1);
    assert_int_equal(price_cost(&p, 0, 0, 0), 0);
    assert_true(price_cost(&p, INT64_MAX, INT64_MAX, 0) == INT64_MAX);
    info.has_cached_input_price = info.has_output_price = false;
    p = price_of(&info, false);
    assert_int_equal(price_cost(&p, 100, 0, 50), 250);
    assert_int_equal(price_cost(&p, 100, 1, 0), -1);
    struct price local = price_of(NULL, true), unknown = price_of(NULL, false);
    assert_int_equal(price_cost(&local, 100, 100, 0), 0);
    assert_int_equal(price_cost(&unknown, 100, 100, 0), -1);
    struct config_model_info none = {.model = "m"};
    p = price_of(&none, true);
    assert_int_equal(price_cost(&p, 1, 1, 0), 0);
}

static void test_cost_a_month(void **state)
{
    (void)state;
    struct limits_hold h, a, b;
    struct limits_refusal why;
    struct limits_want want = {100, 100};
    struct price unknown = {.known = false}, free_of_charge = {.known = true};
    token_make(&(struct token_limits){.cost_micro_per_month = 500}); /* 300 for each attempt */
    assert_int_equal(admit(100, 100, T0, &h, &why), 0);
    assert_int_equal(limits_attempt_begin(fx->l, &h, "p", &cheap, &want, T0, &a, &why), 0);
    assert_int_equal(line_of(false, fx->id, LIMITS_COST_PER_MONTH, T0).reserved, 300);
    /* A second attempt beside it, as a hedge, has no room, unless it costs nothing. */
    assert_false(limits_provider_allows(fx->l, &h, "q", &cheap, &want, T0, &why));
    assert_int_equal(limits_attempt_begin(fx->l, &h, "q", &cheap, &want, T0, &b, &why), VX11_EFULL);
    assert_string_equal(why.param, "cost_per_month");
    assert_int_equal(why.status, 429);
    assert_non_null(strstr(why.text, "0.000500 USD"));
    limits_attempt_end(&b);
    assert_int_equal(limits_attempt_begin(fx->l, &h, "q", &free_of_charge, &want, T0, &b, &why), 0);
    limits_attempt_end(&b);
    assert_int_equal(limits_attempt_begin(fx->l, &h, "q", &unknown, &want, T0, &b, &why), VX11_EFULL);
    assert_string_equal(why.code, "price_unknown");
    assert_int_equal(why.status, 403);
    limits_attempt_end(&a);
    limits_attempt_end(&a); /* once is enough */
    assert_int_equal(line_of(false, fx->id, LIMITS_COST_PER_MONTH, T0).reserved, 0);
    settle(&h, "p", T0, T0, 100, 250, 600);
    assert_int_equal(used(LIMITS_COST_PER_MONTH, T0), 600);
    assert_int_equal(line_of(true, "p", LIMITS_COST_PER_MONTH, T0).used, 600);
    assert_int_equal(admit(1, 1, T0, &h, &why),
                     VX11_EFULL); /* nothing is left: no need to look for a provider */
    assert_string_equal(why.param, "cost_per_month");
    settle(&h, NULL, T0, T0, -1, -1, -1);
}

static void test_provider_budgets(void **state)
{
    (void)state;
    struct limits_hold h, a, b;
    struct limits_refusal why;
    struct limits_want want = {10, 10};
    config_open("switch:\n  providers:\n    - {name: p, kind: openai, base_url: \"http://127.0.0.1:9/v1\","
                " requests_per_minute: 2, tokens_per_day: 60}\n");
    limits_configure(fx->l, fx->config->values->switch_);
    token_make(NULL);
    assert_int_equal(admit(10, 10, T0, &h, &why), 0);
    assert_true(limits_provider_allows(fx->l, &h, "p", &cheap, &want, T0, &why));
    assert_int_equal(limits_attempt_begin(fx->l, &h, "p", &cheap, &want, T0, &a, &why), 0);
    assert_int_equal(limits_attempt_begin(fx->l, &h, "p", &cheap, &want, T0, &b, &why), 0);
    assert_int_equal(line_of(true, "p", LIMITS_CONCURRENT, T0).used, 2);
    assert_false(limits_provider_allows(fx->l, &h, "p", &cheap, &want, T0, &why));
    assert_string_equal(why.param, "requests_per_minute");
    assert_non_null(strstr(why.text, "provider p"));
    limits_attempt_end(&a);
    limits_attempt_end(&b);
    settle(&h, "p", T0, T0, 30, 15, -1);
    assert_int_equal(admit(10, 10, T0 + 61000 - DAY_MS, &h, &why), 0);
    limits_settle(fx->l, &h, &(struct limits_spent){.at = T0}, T0);
    /* The minute is over, the day is not (one second before midnight). */
    int64_t late = T0 + 29999;
    memset(&account_get(fx->l, true, "p")->window, 0, sizeof(struct limits_window));
    assert_int_equal(admit(10, 10, late, &h, &why), 0);
    assert_int_equal(limits_attempt_begin(fx->l, &h, "p", &cheap, &want, late, &a, &why), VX11_EFULL);
    assert_string_equal(why.param, "tokens_per_day");
    assert_int_equal(why.used, 45);
    assert_int_equal(limits_attempt_begin(fx->l, &h, "q", &cheap, &want, late, &a, &why), 0);
    limits_attempt_end(&a);
    assert_int_equal(limits_attempt_begin(fx->l, &h, "p", &cheap, &want, late + 1, &a, &why), 0);
    limits_attempt_end(&a);
    settle(&h, "q", late, late + 1, 1, 1, 0);
}

/* ---- many at a time, and after a restart ---- */

static void compare(int64_t now, struct limits *before)
{
    for (int provider = 0; provider < 2; provider++)
        for (enum limits_budget b = LIMITS_TOKENS_PER_DAY; b < LIMITS_BUDGETS; b++) {
            const char *id = provider ? "p1" : fx->id;
            struct seen x = {.id = id, .provider = provider}, y = x;
            limits_report(before, now, see, &x);
            limits_report(fx->l, now, see, &y);
            assert_int_equal(x.lines[b].used, y.lines[b].used);
            assert_int_equal(y.lines[b].reserved, 0);
        }
}

static void test_many_at_a_time(void **state)
{
    (void)state;
    enum { MANY = 64, STEPS = 1500 };
    struct limits_hold h[MANY] = {{0}}, a[MANY] = {{0}};
    int64_t at[MANY] = {0}, now = T0 - 40 * INT64_C(1000), most = 0, refused = 0;
    struct limits_refusal why;
    token_make(&(struct token_limits){.tokens_per_day = 20000, .cost_micro_per_month = 60000});
    limits_open(now);
    srand(7);
    for (int step = 0; step < STEPS; step++) {
        int i = rand() % MANY;
        struct limits_want want = {rand() % 200, rand() % 400};
        now += rand() % 40; /* passes midnight */
        if (h[i].key) {
            bool answered = a[i].open;
            limits_attempt_end(&a[i]);
            int64_t p = rand() % 200, c = rand() % 300;
            settle(&h[i], answered ? i % 2 ? "p1" : "p2" : NULL, at[i], now, answered ? p : -1,
                   answered ? c : -1, answered ? price_cost(&cheap, p, c, 0) : -1);
        } else if (admit(want.prompt_tokens, want.completion_tokens, now, &h[i], &why) == 0) {
            at[i] = now;
            if (limits_attempt_begin(fx->l, &h[i], i % 2 ? "p1" : "p2", &cheap, &want, now, &a[i], &why) != 0)
                limits_attempt_end(&a[i]);
        } else {
            refused++;
            settle(&h[i], NULL, now, now, -1, -1, -1);
        }
        struct limits_line day = line_of(false, fx->id, LIMITS_TOKENS_PER_DAY, now);
        most = day.reserved > most ? day.reserved : most;
        assert_true(day.reserved >= 0);
    }
    assert_true(refused > 10);
    assert_true(most > 1000);
    /* Killed here: what ran is gone, what is in the rows is there. */
    struct limits *before = fx->l;
    fx->l = NULL;
    limits_open(now);
    compare(now, before);
    for (int i = 0; i < MANY; i++) {
        limits_attempt_end(&a[i]);
        limits_settle(before, &h[i], &(struct limits_spent){.at = now}, now);
    }
    struct seen s = {.id = fx->id};
    limits_report(before, now, see, &s);
    for (int b = 0; b < LIMITS_BUDGETS; b++)
        assert_int_equal(s.lines[b].reserved, 0);
    assert_int_equal(s.lines[LIMITS_CONCURRENT].used, 0);
    limits_destroy(before);
}

/* ---- virtual keys ---- */

static void test_models(void **state)
{
    (void)state;
    struct limits_hold h;
    struct limits_refusal why;
    token_make(&(struct token_limits){
        .models = "local/*\nfast\ngpt-4o-mini\nother/gpt-*-turbo", .local_only = true, .mode = "ECO"});
    assert_int_equal(admit(1, 1, T0, &h, &why), 0);
    assert_true(limits_model_allowed(&h, "guide", "local", "guide"));
    assert_true(limits_model_allowed(&h, NULL, "local", "guide"));
    assert_true(limits_model_allowed(&h, "fast", "openai", "gpt-5"));
    assert_false(limits_model_allowed(&h, "smart", "openai", "gpt-5"));
    assert_false(limits_model_allowed(&h, "auto", "openai", "gpt-5"));
    assert_true(limits_model_allowed(&h, "auto", "openai", "gpt-4o-mini"));
    assert_true(limits_model_allowed(&h, "x", "other", "gpt-3.5-turbo"));
    assert_false(limits_model_allowed(&h, "x", "openai", "gpt-3.5-turbo"));
    /* A remote model that calls itself so is none of local's. */
    assert_false(limits_model_allowed(&h, "local/evil", "openai", "local/evil"));
    assert_true(limits_local_only(&h));
    assert_string_equal(limits_mode(&h), "ECO");
    struct principal p = principal_of(fx->id, "ci"),
                     page = principal_of("01ARZ3NDEKTSV4RRFFQ69G5FAV", "page");
    assert_true(limits_principal_allows(fx->l, &p, "local", "guide"));
    assert_true(limits_principal_allows(fx->l, &p, NULL, "fast"));
    assert_false(limits_principal_allows(fx->l, &p, NULL, "smart"));
    assert_true(limits_principal_allows(fx->l, &page, "openai", "gpt-5"));
    limits_settle(fx->l, &h, &(struct limits_spent){.at = T0}, T0);
}

/* A change counts from the next second on; a request that runs keeps what it began with. */
static void test_a_change_is_noticed(void **state)
{
    (void)state;
    struct limits_hold h, later;
    struct limits_refusal why;
    struct error err = {0};
    token_make(&(struct token_limits){.models = "a"});
    assert_int_equal(admit(1, 1, T0, &h, &why), 0);
    struct store *other;
    check(store_open(&(struct store_options){.path = fx->path}, &other, &err), &err);
    struct token_limits now = {.models = "b", .tokens_per_day = 5};
    int64_t expires = T0 + DAY_MS;
    check(token_limits_set(other, "tests", "ci", &now, &expires, T0, &err), &err);
    store_close(other);
    limits_tick(fx->l, T0 + 1000);
    assert_true(limits_model_allowed(&h, "a", "p", "a"));
    assert_int_equal(admit(1, 1, T0 + 1000, &later, &why), 0);
    assert_false(limits_model_allowed(&later, "a", "p", "a"));
    assert_true(limits_model_allowed(&later, "b", "p", "b"));
    assert_int_equal(line_of(false, fx->id, LIMITS_TOKENS_PER_DAY, T0).limit, 5);
    limits_settle(fx->l, &h, &(struct limits_spent){.at = T0}, T0);
    limits_settle(fx->l, &later, &(struct limits_spent){.at = T0}, T0);
    struct token_row row;
    check(token_find(fx->store, "ci", false, &row, &err), &err);
    assert_int_equal(row.expires_at, expires);
}

/* A rotated token goes on in the account of the one before, with its limits. */
static void test_rotation_keeps_the_account(void **state)
{
    (void)state;
    struct limits_hold h;
    struct limits_refusal why;
    struct error err = {0};
    unsigned char hash[TOKEN_HASH_LEN];
    char first[ULID_LEN + 1];
    token_make(&(struct token_limits){.tokens_per_day = 100});
    memcpy(first, fx->id, sizeof first);
    assert_int_equal(admit(40, 40, T0, &h, &why), 0);
    settle(&h, "p", T0, T0, 40, 40, 0);
    random_bytes(hash, sizeof hash);
    check(token_rotate(fx->store, "tests", "ci", hash, T0, fx->id, &err), &err);
    assert_int_equal(admit(40, 40, T0, &h, &why), VX11_EFULL);
    assert_int_equal(why.used, 80);
    assert_string_equal(limits_account_id(&h), first);
    settle(&h, NULL, T0, T0, -1, -1, -1);
    check(token_promote(fx->store, "tests", "ci", T0, &err), &err);
    limits_open(T0);
    assert_int_equal(admit(40, 40, T0, &h, &why), VX11_EFULL);
    settle(&h, NULL, T0, T0, -1, -1, -1);
}

static void test_defaults_of_the_configuration(void **state)
{
    (void)state;
    struct limits_hold h;
    struct limits_refusal why;
    struct error err = {0};
    config_open("switch:\n  budgets:\n    - {principal: page, tokens_per_day: 50}\n"
                "    - {principal: \"*\", tokens_per_day: 70, concurrent: 1}\n"
                "    - {principal: local, concurrent: 3}\n");
    limits_configure(fx->l, fx->config->values->switch_);
    token_make(&(struct token_limits){.tokens_per_day = 60});
    assert_int_equal(admit(30, 31, T0, &h, &why), VX11_EFULL); /* its own goes first */
    limits_settle(fx->l, &h, &(struct limits_spent){.at = T0}, T0);
    assert_int_equal(admit(30, 30, T0, &h, &why), 0);
    struct limits_hold second;
    assert_int_equal(admit(0, 0, T0, &second, &why), VX11_EFULL);
    assert_string_equal(why.param, "concurrent");
    limits_settle(fx->l, &second, &(struct limits_spent){.at = T0}, T0);
    limits_settle(fx->l, &h, &(struct limits_spent){.at = T0}, T0);
    /* Two sessions share the page's budget. */
    struct principal one = principal_of("01ARZ3NDEKTSV4RRFFQ69G5FAV", "page"),
                     two = principal_of("01ARZ3NDEKTSV4RRFFQ69G5FAW", "page"),
                     local = principal_of("local", "local");
    assert_int_equal(limits_admit(fx->l, &one, &(struct limits_want){20, 20}, T0, &h, &why, &err), 0);
    assert_int_equal(limits_admit(fx->l, &two, &(struct limits_want){20, 20}, T0, &second, &why, &err),
                     VX11_EFULL);
    assert_string_equal(limits_account_id(&second), "page");
    limits_settle(fx->l, &second, &(struct limits_spent){.at = T0}, T0);
    limits_settle(fx->l, &h, &(struct limits_spent){.at = T0}, T0);
    assert_int_equal(limits_admit(fx->l, &local, &(struct limits_want){2000, 20}, T0, &h, &why, &err), 0);
    assert_string_equal(limits_account_id(&h), "local");
    assert_true(limits_model_allowed(&h, "x", "y", "z"));
    limits_settle(fx->l, &h, &(struct limits_spent){.at = T0}, T0);
}

static void test_durations(void **state)
{
    (void)state;
    char text[32];
    assert_string_equal(limits_duration(250, text), "250ms");
    assert_string_equal(limits_duration(-5, text), "0ms");
    assert_string_equal(limits_duration(1999, text), "1s");
    assert_string_equal(limits_duration(360000, text), "6m0s");
    assert_string_equal(limits_duration(3723000, text), "1h2m3s");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utc_boundaries),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_window_never_lets_more_through),
        TEST(test_requests_a_minute),
        TEST(test_at_a_time),
        TEST(test_tokens_a_day_and_a_month),
        TEST(test_a_request_over_midnight),
        cmocka_unit_test(test_prices),
        TEST(test_cost_a_month),
        TEST(test_provider_budgets),
        TEST(test_many_at_a_time),
        TEST(test_models),
        TEST(test_a_change_is_noticed),
        TEST(test_rotation_keeps_the_account),
        TEST(test_defaults_of_the_configuration),
        cmocka_unit_test(test_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
