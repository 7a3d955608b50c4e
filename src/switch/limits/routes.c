/* Routes: every principal's and provider's budgets, a token's limits set anew, and what was used by day,
 * model, provider or principal. */
#include "switch/limits/routes.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "store/tokens.h"
#include "switch/limits/internal.h"
#include "switch/switch_internal.h"

#define HOLDERS_MAX 4096
#define USAGE_MAX   10000

/* ---- budgets ---- */

struct holders {
    struct limits *l;
    struct arena *a;
    int64_t now;
    const struct limits_account *only; /* NULL: all */
    struct switch_budget_holder *list;
    size_t count, cap;
};

static struct switch_budget_holder *holder_next(struct holders *h)
{
    if (h->count == HOLDERS_MAX)
        return NULL;
    if (h->count == h->cap) {
        size_t cap = h->cap ? 2 * h->cap : 16;
        struct switch_budget_holder *list =
            arena_realloc(h->a, h->list, h->cap * sizeof *list, cap * sizeof *list);
        if (!list)
            return NULL;
        h->list = list;
        h->cap = cap;
    }
    struct switch_budget_holder *next = &h->list[h->count];
    memset(next, 0, sizeof *next);
    return next;
}

static double shown(enum limits_budget b, int64_t n)
{
    return b == LIMITS_COST_PER_MONTH ? (double)n / 1e6 : (double)n;
}

static void budget_fill(struct switch_budget *out, const struct limits_line *line)
{
    static const int units[LIMITS_BUDGETS] = {SWITCH_BUDGET_UNIT_REQUESTS, SWITCH_BUDGET_UNIT_REQUESTS,
                                              SWITCH_BUDGET_UNIT_TOKENS, SWITCH_BUDGET_UNIT_TOKENS,
                                              SWITCH_BUDGET_UNIT_CURRENCY};
    int64_t left = line->limit - line->used - line->reserved;
    *out = (struct switch_budget){.budget = (int)line->budget,
                                  .unit = units[line->budget],
                                  .has_limit = line->limit > 0,
                                  .limit = shown(line->budget, line->limit),
                                  .used = shown(line->budget, line->used),
                                  .reserved = shown(line->budget, line->reserved),
                                  .has_remaining = line->limit > 0,
                                  .remaining = shown(line->budget, left > 0 ? left : 0),
                                  .has_reset_at = line->reset_at > 0,
                                  .reset_at = line->reset_at};
}

/* Lines come five by five: the first makes the holder. */
static int on_line(void *ctx, const struct limits_line *line)
{
    struct holders *h = ctx;
    if (h->only && line->id != h->only->id)
        return 0;
    struct switch_budget_holder *holder = line->budget == 0 ? holder_next(h)
                                          : h->count > 0    ? &h->list[h->count - 1]
                                                            : NULL;
    if (!holder)
        return line->budget == 0 && h->count < HOLDERS_MAX ? VX11_ENOMEM : 0;
    if (line->budget == 0) {
        struct switch_budget *budgets = arena_array(h->a, LIMITS_BUDGETS, sizeof *budgets);
        holder->id = arena_strdup(h->a, line->id);
        holder->name = arena_strdup(h->a, line->name);
        if (!budgets || !holder->id || !holder->name)
            return VX11_ENOMEM;
        holder->kind =
            line->provider ? SWITCH_BUDGET_HOLDER_KIND_PROVIDER : SWITCH_BUDGET_HOLDER_KIND_PRINCIPAL;
        holder->budgets = budgets;
        h->count++;
    }
    budget_fill(&holder->budgets[holder->budgets_count++], line);
    return 0;
}

static int split_models(struct arena *a, const char *models, struct switch_budget_holder *out)
{
    char *text = arena_strdup(a, models), *rest = NULL;
    const char **names = arena_array(a, strlen(models) / 2 + 2, sizeof *names);
    if (!text || !names)
        return VX11_ENOMEM;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        names[out->models_count++] = line;
    out->models = names;
    return 0;
}

/* What the database says of a token besides its budgets. */
static int holder_describe(struct holders *h, struct switch_budget_holder *out, const struct token_row *t,
                           const struct token_limits *limits)
{
    out->id = arena_strdup(h->a, t->id);
    out->has_expires_at = t->expires_at > 0;
    out->expires_at = t->expires_at;
    out->local_only = limits->local_only;
    out->mode = limits->mode[0] ? arena_strdup(h->a, limits->mode) : NULL;
    return out->id ? split_models(h->a, limits->models, out) : VX11_ENOMEM;
}

struct token_pick {
    struct holders *h;
    struct store *s;
    struct error *err;
};

/* A token that has not asked for anything since the start has an account from here on. */
static int on_token(void *ctx, const struct token_row *t)
{
    struct token_pick *pick = ctx;
    struct limits_key *k;
    struct principal p = {.kind = AUTH_TOKEN};
    if (t->next) /* shares the current one's account */
        return 0;
    memcpy(p.id, t->id, sizeof t->id);
    memcpy(p.name, t->name, sizeof p.name);
    int rc = key_get(pick->h->l, &p, &k, pick->err);
    if (rc == 0)
        key_drop(k);
    return rc;
}

static int on_token_described(void *ctx, const struct token_row *t)
{
    struct token_pick *pick = ctx;
    struct token_limits limits;
    if (t->next)
        return 0;
    int rc = token_limits_get(pick->s, t->id, &limits, pick->err);
    for (size_t i = 0; rc == 0 && i < pick->h->count; i++) {
        struct switch_budget_holder *holder = &pick->h->list[i];
        if (holder->kind == SWITCH_BUDGET_HOLDER_KIND_PRINCIPAL && strcmp(holder->id, limits.account) == 0)
            return holder_describe(pick->h, holder, t, &limits);
    }
    return rc;
}

static int holders_read(struct switch_ *sw, struct holders *h, struct error *err)
{
    struct token_pick pick = {h, module_store(sw->m), err};
    int rc = token_list(pick.s, false, h->now, on_token, &pick, err);
    if (rc == 0)
        rc = limits_report(h->l, h->now, on_line, h);
    if (rc == 0)
        rc = token_list(pick.s, false, h->now, on_token_described, &pick, err);
    return rc;
}

static void fail(struct request *r, int rc, struct error *err)
{
    if (!err->text[0])
        error_set(err, rc, "%s", error_describe(rc));
    request_fail_error(r, err);
}

/* Whose may be seen: NULL (everyone's) by those who may do everything, by others only their own. */
static int account_seen(struct switch_ *sw, struct request *r, const struct limits_account **out,
                        struct error *err)
{
    const struct principal *p = request_principal(r);
    struct limits_key *k;
    *out = NULL;
    if (principal_allows(p, CONTRACT_SCOPE_ADMIN))
        return 0;
    int rc = key_get(sw->budgets, p, &k, err);
    if (rc == 0) {
        *out = k->account;
        key_drop(k);
    }
    return rc;
}

void budgets_list(struct request *r, void *module)
{
    struct switch_ *sw = module;
    struct error err = {0};
    struct holders h = {.l = sw->budgets, .a = request_arena(r), .now = clock_wall_ms()};
    limits_tick(sw->budgets, h.now);
    int rc = account_seen(sw, r, &h.only, &err);
    if (rc == 0)
        rc = holders_read(sw, &h, &err);
    if (rc != 0) {
        fail(r, rc, &err);
        return;
    }
    struct switch_budget_list reply = {.status = SWITCH_BUDGET_LIST_STATUS_OK,
                                       .currency = limits_currency(sw->budgets),
                                       .holders = h.list,
                                       .holders_count = h.count};
    request_reply(r, 200, &switch_budget_list_message, &reply);
}

/* ---- set ---- */

static int64_t micro(double amount)
{
    return (int64_t)(amount * 1e6 + 0.5);
}

static int limits_from(const struct switch_token_limits *body, struct token_limits *out, struct error *err)
{
    size_t len = 0;
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < body->models_count; i++) {
        int n =
            snprintf(out->models + len, sizeof out->models - len, "%s%s", len ? "\n" : "", body->models[i]);
        if (n < 0 || (size_t)n >= sizeof out->models - len || strchr(body->models[i], '\n'))
            return error_set(err, VX11_EINVALID, "the list of models is longer than %d bytes",
                             TOKEN_MODELS_MAX);
        len += (size_t)n;
    }
    out->requests_per_minute = body->has_requests_per_minute ? body->requests_per_minute : 0;
    out->concurrent = body->has_concurrent ? body->concurrent : 0;
    out->tokens_per_day = body->has_tokens_per_day ? body->tokens_per_day : 0;
    out->tokens_per_month = body->has_tokens_per_month ? body->tokens_per_month : 0;
    out->cost_micro_per_month = body->has_cost_per_month ? micro(body->cost_per_month) : 0;
    out->local_only = body->local_only;
    if (body->has_mode)
        snprintf(out->mode, sizeof out->mode, "%s", switch_token_limits_mode_names[body->mode]);
    return 0;
}

void budgets_set(struct request *r, void *module)
{
    struct switch_ *sw = module;
    const struct switch_token_ref *ref = request_params(r);
    const struct switch_token_limits *body = request_body(r);
    struct token_limits limits;
    struct error err = {0};
    struct limits_key *k = NULL;
    struct holders h = {.l = sw->budgets, .a = request_arena(r), .now = clock_wall_ms()};
    struct token_row t;
    int rc = limits_from(body, &limits, &err);
    if (rc == 0)
        rc = token_limits_set(module_store(sw->m), request_principal(r)->name, ref->token, &limits,
                              body->has_expires_at ? &body->expires_at : NULL, h.now, &err);
    if (rc == 0)
        rc = token_find(module_store(sw->m), ref->token, false, &t, &err);
    if (rc == 0) {
        struct principal p = {.kind = AUTH_TOKEN};
        memcpy(p.id, t.id, sizeof t.id);
        memcpy(p.name, t.name, sizeof p.name);
        keys_forget(sw->budgets);
        rc = key_get(sw->budgets, &p, &k, &err);
    }
    if (rc == 0) {
        h.only = k->account;
        key_drop(k);
        rc = holders_read(sw, &h, &err);
    }
    if (rc == 0 && h.count == 0)
        rc = error_set(&err, VX11_ENOT_FOUND, "there is no valid token %s", ref->token);
    if (rc == 0)
        request_reply(r, 200, &switch_budget_holder_message, &h.list[0]);
    else
        fail(r, rc, &err);
}

/* ---- usage ---- */

struct usage_rows {
    struct arena *a;
    enum switch_usage_by by;
    struct switch_usage_row *list;
    size_t count;
};

static const char *text_of(struct arena *a, const struct store_row *row, int column)
{
    const char *s = row_text(row, column);
    return s && s[0] ? arena_strdup(a, s) : NULL;
}

static int on_usage(void *ctx, const struct store_row *row)
{
    struct usage_rows *u = ctx;
    if (u->count == USAGE_MAX)
        return 0;
    struct switch_usage_row *out = &u->list[u->count++];
    memset(out, 0, sizeof *out);
    if (u->by == SWITCH_USAGE_BY_DAY) {
        out->has_day = true;
        out->day = row_int(row, 0);
    } else if (u->by == SWITCH_USAGE_BY_PRINCIPAL) {
        out->principal_id = text_of(u->a, row, 0);
        out->principal = text_of(u->a, row, 13);
    } else {
        out->provider = text_of(u->a, row, u->by == SWITCH_USAGE_BY_MODEL ? 13 : 0);
        out->model = u->by == SWITCH_USAGE_BY_MODEL ? text_of(u->a, row, 0) : NULL;
    }
    out->requests = row_int(row, 1);
    out->failed = row_int(row, 2);
    out->refused = row_int(row, 3);
    out->cancelled = row_int(row, 4);
    out->cache_hits = row_int(row, 5);
    out->prompt_tokens = row_int(row, 6);
    out->completion_tokens = row_int(row, 7);
    out->cached_tokens = row_int(row, 8);
    out->cost = (double)row_int(row, 9) / 1e6;
    out->unpriced = row_int(row, 10);
    out->estimated = row_int(row, 11);
    return 0;
}

#define SUMS                                                                                                 \
    ", sum(requests), sum(failed), sum(refused), sum(cancelled), sum(cache_hits), sum(prompt_tokens),"       \
    " sum(completion_tokens), sum(cached_tokens), sum(cost_micro), sum(unpriced), sum(estimated), 0, "
#define WHERE " FROM usage_day WHERE day >= ?1 AND day < ?2 AND (?4 IS NULL OR principal_id = ?4)"

void usage_report(struct request *r, void *module)
{
    static const char *const queries[] = {
        [SWITCH_USAGE_BY_DAY] = "SELECT day" SUMS "NULL" WHERE " GROUP BY day ORDER BY day LIMIT ?3",
        [SWITCH_USAGE_BY_MODEL] =
            "SELECT model" SUMS "provider" WHERE " GROUP BY provider, model ORDER BY 2 DESC LIMIT ?3",
        [SWITCH_USAGE_BY_PROVIDER] =
            "SELECT provider" SUMS "NULL" WHERE " GROUP BY provider ORDER BY 2 DESC LIMIT ?3",
        [SWITCH_USAGE_BY_PRINCIPAL] =
            "SELECT principal_id" SUMS
            "coalesce((SELECT name FROM auth_token WHERE id = principal_id), principal_id)" WHERE
            " GROUP BY principal_id ORDER BY 2 DESC LIMIT ?3",
    };
    struct switch_ *sw = module;
    const struct switch_usage_query *q = request_params(r);
    struct error err = {0};
    int64_t now = clock_wall_ms(), until = q->has_until ? q->until : now;
    int64_t since = limits_day(q->has_since ? q->since : limits_month(now));
    struct usage_rows u = {.a = request_arena(r), .by = (enum switch_usage_by)q->by};
    const struct limits_account *only;
    int rc = account_seen(sw, r, &only, &err);
    u.list = arena_array(u.a, (size_t)q->limit + 1, sizeof *u.list);
    if (rc == 0 && !u.list)
        rc = VX11_ENOMEM;
    if (rc == 0)
        rc = store_query(module_store(sw->m), queries[u.by],
                         (struct store_value[]){STORE_I(since), STORE_I(until), STORE_I(q->limit),
                                                store_text(only ? only->id : NULL)},
                         4, on_usage, &u, &err);
    if (rc != 0) {
        fail(r, rc, &err);
        return;
    }
    struct switch_usage_report reply = {.status = SWITCH_USAGE_REPORT_STATUS_OK,
                                        .by = q->by,
                                        .currency = limits_currency(sw->budgets),
                                        .since = since,
                                        .until = until,
                                        .rows = u.list,
                                        .rows_count = u.count};
    request_reply(r, 200, &switch_usage_report_message, &reply);
}
