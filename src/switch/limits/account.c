/* Accounts: who has a budget, and what is used of it, read from usage_day at the start. */
#include "switch/limits/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "store/tokens.h"

const char *const limits_budget_names[LIMITS_BUDGETS] = {
    "requests_per_minute", "concurrent", "tokens_per_day", "tokens_per_month", "cost_per_month"};

static unsigned hash_text(const char *s)
{
    uint32_t h = 2166136261u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 16777619u;
    return h;
}

struct limits_account *account_get(struct limits *l, bool provider, const char *id)
{
    struct limits_account **bucket = &l->accounts[hash_text(id) % ACCOUNT_BUCKETS];
    for (struct limits_account *a = *bucket; a; a = a->next)
        if (a->provider == provider && strcmp(a->id, id) == 0)
            return a;
    struct limits_account *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->provider = provider;
    snprintf(a->id, sizeof a->id, "%s", id);
    snprintf(a->name, sizeof a->name, "%.63s", id);
    a->next = *bucket;
    *bucket = a;
    return a;
}

void account_turn(struct limits_account *a, int64_t now)
{
    int64_t day = limits_day(now);
    if (day <= a->day) /* also when the clock was set back: limits_tick reads the sums again */
        return;
    a->day = day;
    a->day_tokens = 0;
    int64_t month = limits_month(now);
    if (month == a->month)
        return;
    a->month = month;
    a->month_tokens = a->month_cost = 0;
}

/* ---- reading the sums ---- */

struct loading {
    struct limits *l;
    bool provider;
    int64_t now;
};

static int take_sums(void *ctx, const struct store_row *row)
{
    const struct loading *load = ctx;
    const char *id = row_text(row, 0);
    struct limits_account *a = id && id[0] ? account_get(load->l, load->provider, id) : NULL;
    if (!a)
        return id && id[0] ? VX11_ENOMEM : 0;
    a->month_tokens = row_int(row, 1);
    a->day_tokens = row_int(row, 2);
    a->month_cost = row_int(row, 3);
    return 0;
}

static int take_recent(void *ctx, const struct store_row *row)
{
    const struct loading *load = ctx;
    const char *principal = row_text(row, 0), *provider = row_text(row, 1);
    struct limits_account *a = principal ? account_get(load->l, false, principal) : NULL;
    struct limits_account *b = provider && !row_int(row, 3) ? account_get(load->l, true, provider) : NULL;
    if (a)
        window_restore(&a->window, row_int(row, 2), load->now);
    if (b)
        window_restore(&b->window, row_int(row, 2), load->now);
    return 0;
}

static void accounts_zero(struct limits *l, int64_t now)
{
    for (size_t i = 0; i < ACCOUNT_BUCKETS; i++)
        for (struct limits_account *a = l->accounts[i]; a; a = a->next) {
            a->day = limits_day(now);
            a->month = limits_month(now);
            a->day_tokens = a->month_tokens = a->month_cost = 0;
            memset(&a->window, 0, sizeof a->window);
        }
}

#define SUMS                                                                                                 \
    ", sum(prompt_tokens + completion_tokens),"                                                              \
    " sum(CASE WHEN day >= ?2 THEN prompt_tokens + completion_tokens ELSE 0 END), sum(cost_micro)"           \
    " FROM usage_day WHERE day >= ?1 GROUP BY 1"

int limits_load(struct limits *l, int64_t now, struct error *err)
{
    struct store_value since[] = {STORE_I(limits_month(now)), STORE_I(limits_day(now))};
    struct store_value minute = STORE_I(now - WINDOW_SECONDS * INT64_C(1000));
    struct loading principals = {l, false, now}, providers = {l, true, now};
    accounts_zero(l, now);
    int rc = store_query(l->store, "SELECT principal_id" SUMS, since, 2, take_sums, &principals, err);
    if (rc == 0)
        rc = store_query(l->store, "SELECT provider" SUMS, since, 2, take_sums, &providers, err);
    if (rc == 0)
        rc = store_query(l->store,
                         "SELECT coalesce(account, principal_id), provider, at, from_cache FROM usage"
                         " WHERE at > ?1 AND outcome <> 'refused'",
                         &minute, 1, take_recent, &principals, err);
    /* Those made while reading. */
    for (size_t i = 0; i < ACCOUNT_BUCKETS; i++)
        for (struct limits_account *a = l->accounts[i]; a; a = a->next) {
            a->day = limits_day(now);
            a->month = limits_month(now);
        }
    return rc;
}

/* ---- life ---- */

int limits_create(struct store *store, const struct config_switch *c, int64_t now, struct limits **out,
                  struct error *err)
{
    struct limits *l = calloc(1, sizeof *l);
    *out = NULL;
    if (!l)
        return error_set(err, VX11_ENOMEM, "no memory for the budgets");
    l->store = store;
    l->last_now = now;
    int rc = limits_load(l, now, err);
    if (rc == 0)
        rc = store_data_version(store, &l->data_version, err);
    if (rc == 0)
        rc = token_limits_version(store, &l->token_version, err);
    if (rc != 0) {
        limits_destroy(l);
        return rc;
    }
    limits_configure(l, c);
    *out = l;
    return 0;
}

void limits_destroy(struct limits *l)
{
    if (!l)
        return;
    keys_forget(l);
    for (size_t i = 0; i < ACCOUNT_BUCKETS; i++)
        while (l->accounts[i]) {
            struct limits_account *a = l->accounts[i];
            l->accounts[i] = a->next;
            free(a);
        }
    free(l->defaults);
    free(l);
}

static int64_t micro(double amount)
{
    return (int64_t)(amount * 1e6 + 0.5);
}

void limits_provider(struct limits *l, const struct config_provider *p)
{
    struct limits_account *a = account_get(l, true, p->name);
    if (!a) {
        log_error("limits", "no memory for a provider's budget", LOG_S("provider", p->name));
        return;
    }
    a->bounds = (struct limits_bounds){{[LIMITS_REQUESTS_PER_MINUTE] = p->requests_per_minute,
                                        [LIMITS_TOKENS_PER_DAY] = p->tokens_per_day,
                                        [LIMITS_TOKENS_PER_MONTH] = p->tokens_per_month,
                                        [LIMITS_COST_PER_MONTH] = micro(p->cost_per_month)}};
}

static void providers_unbound(struct limits *l)
{
    for (size_t i = 0; i < ACCOUNT_BUCKETS; i++)
        for (struct limits_account *a = l->accounts[i]; a; a = a->next)
            if (a->provider)
                a->bounds = (struct limits_bounds){{0}};
}

void limits_configure(struct limits *l, const struct config_switch *c)
{
    struct limits_default *defaults = calloc(c->budgets_count + 1, sizeof *defaults);
    if (!defaults) {
        log_error("limits", "no memory for the budgets; the earlier ones stay");
        return;
    }
    for (size_t i = 0; i < c->budgets_count; i++) {
        const struct config_budget *b = &c->budgets[i];
        snprintf(defaults[i].principal, sizeof defaults[i].principal, "%s", b->principal);
        defaults[i].bounds = (struct limits_bounds){{b->requests_per_minute, b->concurrent, b->tokens_per_day,
                                                     b->tokens_per_month, micro(b->cost_per_month)}};
    }
    free(l->defaults);
    l->defaults = defaults;
    l->default_count = c->budgets_count;
    l->assumed_answer = c->assumed_answer_tokens;
    snprintf(l->currency, sizeof l->currency, "%s", c->currency);
    providers_unbound(l);
    for (size_t i = 0; i < c->providers_count; i++)
        limits_provider(l, &c->providers[i]);
    keys_forget(l);
}

const char *limits_currency(const struct limits *l)
{
    return l->currency;
}

void limits_tick(struct limits *l, int64_t now)
{
    struct error err = {0};
    if (now >= l->tick_at && now < l->tick_at + 1000)
        return;
    l->tick_at = now;
    /* Set back into another day: its sums are another day's. */
    if (limits_day(now) < limits_day(l->last_now) && limits_load(l, now, &err) != 0)
        log_error("limits", "what was used cannot be read again", LOG_S("reason", err.text));
    l->last_now = now;
    int64_t data = l->data_version, version = l->token_version;
    int rc = store_data_version(l->store, &data, &err);
    if (rc == 0 && data != l->data_version)
        rc = token_limits_version(l->store, &version, &err);
    if (rc != 0) {
        log_error("limits", "the limits of tokens cannot be read again; the earlier ones stay",
                  LOG_S("reason", err.text));
        return;
    }
    l->data_version = data;
    if (version != l->token_version)
        keys_forget(l);
    l->token_version = version;
}
