/* Limits: reserving, giving back, settling. Whoever asks is told yes or why not before anything is sent. */
#include "switch/limits/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

/* ---- one budget ---- */

static bool is_cost(enum limits_budget b)
{
    return b == LIMITS_COST_PER_MONTH;
}

static int64_t budget_used(struct limits_account *a, enum limits_budget b, int64_t now)
{
    switch (b) {
    case LIMITS_REQUESTS_PER_MINUTE:
        return window_count(&a->window, now);
    case LIMITS_CONCURRENT:
        return a->running;
    case LIMITS_TOKENS_PER_DAY:
        return a->day_tokens;
    case LIMITS_TOKENS_PER_MONTH:
        return a->month_tokens;
    default:
        return a->month_cost;
    }
}

static int64_t budget_reserved(const struct limits_account *a, enum limits_budget b)
{
    return b == LIMITS_TOKENS_PER_DAY || b == LIMITS_TOKENS_PER_MONTH ? a->reserved_tokens
           : is_cost(b)                                               ? a->reserved_cost
                                                                      : 0;
}

/* When there will be room; for requests a minute: for one more. */
static int64_t budget_reset(struct limits_account *a, enum limits_budget b, int64_t now)
{
    switch (b) {
    case LIMITS_REQUESTS_PER_MINUTE:
        return window_free_at(&a->window, a->bounds.of[b], now);
    case LIMITS_CONCURRENT:
        return 0;
    case LIMITS_TOKENS_PER_DAY:
        return limits_day(now) + DAY_MS;
    default:
        return limits_next_month(now);
    }
}

/* Room in a budget: INT64_MAX when it has no bound. May be negative: more was used than was reserved. */
static int64_t budget_left(struct limits_account *a, enum limits_budget b, int64_t now)
{
    int64_t limit = a->bounds.of[b];
    return limit > 0 ? limit - budget_used(a, b, now) - budget_reserved(a, b) : INT64_MAX;
}

static const char *amount(const struct limits *l, enum limits_budget b, int64_t n, char out[48])
{
    if (is_cost(b))
        snprintf(out, 48, "%" PRId64 ".%06" PRId64 " %s", n / 1000000, n % 1000000, l->currency);
    else
        snprintf(out, 48, "%" PRId64, n);
    return out;
}

static int refuse(const struct limits *l, struct limits_account *a, enum limits_budget b, int64_t wanted,
                  int64_t now, struct limits_refusal *why)
{
    static const char *const words[LIMITS_BUDGETS] = {"requests in any minute", "requests at a time",
                                                      "tokens a day", "tokens a month", "a month"};
    char limit[48], used[48], more[64] = "", until[32] = "", want[48];
    *why = (struct limits_refusal){.status = 429,
                                   .code = "budget_exceeded",
                                   .param = limits_budget_names[b],
                                   .limit = a->bounds.of[b],
                                   .used = budget_used(a, b, now),
                                   .reserved = budget_reserved(a, b),
                                   .wanted = wanted,
                                   .reset_at = budget_reset(a, b, now)};
    why->retry_after_ms = why->reset_at > now ? why->reset_at - now : 1000;
    if (why->reserved > 0)
        snprintf(more, sizeof more, ", %s reserved by running requests", amount(l, b, why->reserved, want));
    if (why->reset_at > 0)
        clock_format(why->reset_at, until);
    snprintf(why->text, sizeof why->text,
             "%s%.63s has used up its budget: %s %s, %s used%s, and this request may take %s more%s%s",
             a->provider ? "provider " : "", a->name, amount(l, b, why->limit, limit), words[b],
             amount(l, b, why->used, used), more, amount(l, b, wanted, want),
             why->reset_at > 0 ? "; there is room again at " : "", until);
    return VX11_EFULL;
}

/* ---- reserving ---- */

struct sums {
    int64_t least, most; /* what must fit, and what is reserved where it does */
};

static int64_t add_bounded(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* A caller's bound on the answer counts in full. Without one, the answer is taken for an ordinary one where
 * there is room, and for less where there is not: nobody is refused for what they did not ask for. */
static struct sums tokens_wanted(const struct limits *l, const struct limits_want *w)
{
    int64_t prompt = w->prompt_tokens > 0 ? w->prompt_tokens : 0;
    if (w->completion_tokens >= 0)
        return (struct sums){add_bounded(prompt, w->completion_tokens),
                             add_bounded(prompt, w->completion_tokens)};
    return (struct sums){add_bounded(prompt, 1), add_bounded(prompt, l->assumed_answer)};
}

static struct sums cost_wanted(const struct limits *l, const struct limits_want *w, const struct price *p)
{
    int64_t prompt = w->prompt_tokens > 0 ? w->prompt_tokens : 0;
    int64_t least = w->completion_tokens >= 0 ? w->completion_tokens : 1;
    int64_t most = w->completion_tokens >= 0 ? w->completion_tokens : l->assumed_answer;
    return (struct sums){price_cost(p, prompt, least, 0), price_cost(p, prompt, most, 0)};
}

/* Is there one request's room? */
static int requests_fit(const struct limits *l, struct limits_account *a, int64_t now,
                        struct limits_refusal *why)
{
    for (enum limits_budget b = LIMITS_REQUESTS_PER_MINUTE; b <= LIMITS_CONCURRENT; b++)
        if (budget_left(a, b, now) < 1)
            return refuse(l, a, b, 1, now, why);
    return 0;
}

/* How many tokens to reserve. */
static int tokens_fit(const struct limits *l, struct limits_account *a, struct sums s, int64_t now,
                      int64_t *out, struct limits_refusal *why)
{
    *out = s.most;
    for (enum limits_budget b = LIMITS_TOKENS_PER_DAY; b <= LIMITS_TOKENS_PER_MONTH; b++) {
        int64_t left = budget_left(a, b, now);
        if (s.least > left)
            return refuse(l, a, b, s.least, now, why);
        if (*out > left)
            *out = left;
    }
    return 0;
}

static int cost_fit(const struct limits *l, struct limits_account *a, struct sums s, int64_t now,
                    int64_t *out, struct limits_refusal *why)
{
    *out = s.most > 0 ? s.most : 0;
    if (a->bounds.of[LIMITS_COST_PER_MONTH] == 0)
        return 0;
    if (s.least < 0) {
        *why = (struct limits_refusal){.status = 403,
                                       .code = "price_unknown",
                                       .param = limits_budget_names[LIMITS_COST_PER_MONTH],
                                       .limit = a->bounds.of[LIMITS_COST_PER_MONTH]};
        snprintf(
            why->text, sizeof why->text,
            "%s%.63s has a budget of cost, and the model has no price in the configuration: nobody could "
            "say when it is used up",
            a->provider ? "provider " : "", a->name);
        return VX11_EFULL;
    }
    int64_t left = budget_left(a, LIMITS_COST_PER_MONTH, now);
    if (s.least > left || left <= 0)
        return refuse(l, a, LIMITS_COST_PER_MONTH, s.least, now, why);
    if (*out > left)
        *out = left;
    return 0;
}

int limits_admit(struct limits *l, const struct principal *p, const struct limits_want *want, int64_t now,
                 struct limits_hold *out, struct limits_refusal *why, struct error *err)
{
    *out = (struct limits_hold){0};
    *why = (struct limits_refusal){0};
    int rc = key_get(l, p, &out->key, err);
    if (rc != 0)
        return rc;
    struct limits_account *a = out->account = out->key->account;
    account_turn(a, now);
    rc = requests_fit(l, a, now, why);
    if (rc == 0)
        rc = tokens_fit(l, a, tokens_wanted(l, want), now, &out->tokens, why);
    /* What it will cost depends on who answers; that there is anything left does not. */
    if (rc == 0 && budget_left(a, LIMITS_COST_PER_MONTH, now) <= 0)
        rc = refuse(l, a, LIMITS_COST_PER_MONTH, 0, now, why);
    if (rc != 0) {
        out->tokens = 0;
        return rc;
    }
    out->open = true;
    window_add(&a->window, now);
    a->running++;
    a->reserved_tokens += out->tokens;
    return 0;
}

/* What an attempt would reserve, into *out. */
static int attempt_fit(struct limits *l, const struct limits_hold *request, const char *provider,
                       const struct price *price, const struct limits_want *want, int64_t now,
                       struct limits_hold *out, struct limits_refusal *why)
{
    *out = (struct limits_hold){.account = account_get(l, true, provider),
                                .payer = request ? request->account : NULL};
    struct limits_account *a = out->account;
    if (!a) {
        *why = (struct limits_refusal){
            .status = 503, .code = "out_of_memory", .text = "out of memory", .retry_after_ms = 1000};
        return VX11_EFULL;
    }
    struct sums cost = cost_wanted(l, want, price);
    int64_t payers = 0;
    account_turn(a, now);
    int rc = requests_fit(l, a, now, why);
    if (rc == 0)
        rc = tokens_fit(l, a, tokens_wanted(l, want), now, &out->tokens, why);
    if (rc == 0)
        rc = cost_fit(l, a, cost, now, &out->cost, why);
    if (rc == 0 && out->payer) {
        account_turn(out->payer, now);
        rc = cost_fit(l, out->payer, cost, now, &payers, why);
        if (payers < out->cost)
            out->cost = payers; /* one amount for both: what fits either */
    }
    return rc;
}

bool limits_provider_allows(struct limits *l, const struct limits_hold *request, const char *provider,
                            const struct price *price, const struct limits_want *want, int64_t now,
                            struct limits_refusal *why)
{
    struct limits_hold unused;
    return attempt_fit(l, request, provider, price, want, now, &unused, why) == 0;
}

int limits_attempt_begin(struct limits *l, const struct limits_hold *request, const char *provider,
                         const struct price *price, const struct limits_want *want, int64_t now,
                         struct limits_hold *out, struct limits_refusal *why)
{
    int rc = attempt_fit(l, request, provider, price, want, now, out, why);
    if (rc != 0) {
        *out = (struct limits_hold){0};
        return rc;
    }
    out->open = true;
    window_add(&out->account->window, now);
    out->account->running++;
    out->account->reserved_tokens += out->tokens;
    out->account->reserved_cost += out->cost;
    if (out->payer)
        out->payer->reserved_cost += out->cost;
    return 0;
}

static void give_back(struct limits_hold *h)
{
    if (!h->open)
        return;
    h->open = false;
    h->account->running--;
    h->account->reserved_tokens -= h->tokens;
    h->account->reserved_cost -= h->cost;
    if (h->payer)
        h->payer->reserved_cost -= h->cost;
}

void limits_attempt_end(struct limits_hold *attempt)
{
    give_back(attempt);
    *attempt = (struct limits_hold){0};
}

/* ---- settling ---- */

/* As the trigger adds it to usage_day. */
static void account_spend(struct limits_account *a, const struct limits_spent *s, int64_t now)
{
    int64_t tokens =
        (s->prompt_tokens > 0 ? s->prompt_tokens : 0) + (s->completion_tokens > 0 ? s->completion_tokens : 0);
    account_turn(a, now);
    if (limits_month(s->at) != a->month)
        return; /* it began in the last hours of another month, and counts there */
    a->month_tokens += tokens;
    a->month_cost += s->cost_micro > 0 ? s->cost_micro : 0;
    if (limits_day(s->at) == a->day)
        a->day_tokens += tokens;
}

void limits_settle(struct limits *l, struct limits_hold *request, const struct limits_spent *spent,
                   int64_t now)
{
    if (!request->key)
        return;
    struct limits_account *provider =
        spent->provider && spent->provider[0] ? account_get(l, true, spent->provider) : NULL;
    struct limits_spent s = *spent;
    if (s.from_cache) /* the row's cost is counted as it is, which is 0; its tokens are not */
        s.prompt_tokens = s.completion_tokens = 0;
    give_back(request);
    account_spend(request->account, &s, now);
    if (provider)
        account_spend(provider, &s, now);
    key_drop(request->key);
    *request = (struct limits_hold){0};
}

/* ---- what a token may ---- */

const char *limits_account_id(const struct limits_hold *h)
{
    return h->account ? h->account->id : NULL;
}

bool limits_model_allowed(const struct limits_hold *h, const char *requested, const char *provider,
                          const char *model)
{
    return key_allows(h->key, requested, provider, model);
}

bool limits_principal_allows(struct limits *l, const struct principal *p, const char *provider,
                             const char *model)
{
    struct limits_key *k = NULL;
    struct error err = {0};
    if (key_get(l, p, &k, &err) != 0) {
        log_error("limits", "a token's limits cannot be read", LOG_S("reason", err.text));
        return false;
    }
    bool allowed = key_allows(k, provider ? NULL : model, provider, model);
    key_drop(k);
    return allowed;
}

bool limits_local_only(const struct limits_hold *h)
{
    return h->key && h->key->local_only;
}

const char *limits_mode(const struct limits_hold *h)
{
    return h->key && h->key->mode[0] ? h->key->mode : NULL;
}

/* ---- what is used ---- */

int limits_report(struct limits *l, int64_t now, int (*fn)(void *ctx, const struct limits_line *line),
                  void *ctx)
{
    for (size_t i = 0; i < ACCOUNT_BUCKETS; i++)
        for (struct limits_account *a = l->accounts[i]; a; a = a->next) {
            account_turn(a, now);
            for (enum limits_budget b = 0; b < LIMITS_BUDGETS; b++) {
                struct limits_line line = {.provider = a->provider,
                                           .id = a->id,
                                           .name = a->name,
                                           .budget = b,
                                           .limit = a->bounds.of[b],
                                           .used = budget_used(a, b, now),
                                           .reserved = budget_reserved(a, b),
                                           .reset_at = b == LIMITS_REQUESTS_PER_MINUTE
                                                           ? window_free_at(&a->window, 1, now)
                                                           : budget_reset(a, b, now)};
                int rc = fn(ctx, &line);
                if (rc != 0)
                    return rc;
            }
        }
    return 0;
}
