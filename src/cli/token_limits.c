/* Token limits: what a token may use and ask for, set when it is made or later, and shown with what was used.
 * Switch notices a change within a second. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/cli.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/cli_internal.h"
#include "cli/token.h"

enum wish {
    WISH_MODELS,
    WISH_RPM,
    WISH_CONCURRENT,
    WISH_DAY,
    WISH_MONTH,
    WISH_COST,
    WISH_LOCAL,
    WISH_MODE,
};

/* ---- options ---- */

static int models_take(const char *text, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    if (strcmp(text, "all") == 0)
        return 0;
    for (const char *at = text; *at;) {
        at += strspn(at, ", ");
        size_t len = strcspn(at, ", ");
        if (len == 0)
            break;
        if (n + len + 2 > size)
            return cli_usage("token", "--models takes at most %zu bytes", size - 1);
        if (n > 0)
            out[n++] = '\n';
        memcpy(out + n, at, len);
        n += len;
        out[n] = '\0';
        at += len;
    }
    return n > 0 ? 0 : cli_usage("token", "--models is a list such as local/*,fast, or all");
}

/* "none" and 0: no limit. */
static int count_take(const char *option, const char *text, int64_t most, int64_t *out)
{
    if (strcmp(text, "none") == 0)
        *out = 0;
    else if (str_to_i64(text, 0, most, out) != 0)
        return cli_usage("token", "%s is a whole number up to %" PRId64 ", or none, not %s", option, most,
                         text);
    return 0;
}

static int cost_take(const char *text, int64_t *out)
{
    double amount = 0;
    if (strcmp(text, "none") != 0 && (str_to_f64(text, &amount) != 0 || amount < 0 || amount > 1e9))
        return cli_usage("token", "--cost-per-month is an amount such as 12.50, or none, not %s", text);
    *out = (int64_t)(amount * 1e6 + 0.5);
    return 0;
}

static int mode_take(const char *text, char out[16])
{
    static const char *const modes[] = {"ECO", "BALANCED", "HIGH-PERF", "CRITICAL"};
    out[0] = '\0';
    if (strcmp(text, "none") == 0)
        return 0;
    for (size_t i = 0; i < COUNT_OF(modes); i++)
        if (strcmp(text, modes[i]) == 0) {
            snprintf(out, 16, "%s", text);
            return 0;
        }
    return cli_usage("token", "--mode is ECO, BALANCED, HIGH-PERF, CRITICAL or none, not %s", text);
}

static int wish_take(enum wish which, const char *option, const char *text, struct token_limits *l)
{
    switch (which) {
    case WISH_MODELS:
        return models_take(text, l->models, sizeof l->models);
    case WISH_RPM:
        return count_take(option, text, 1000000, &l->requests_per_minute);
    case WISH_CONCURRENT:
        return count_take(option, text, 100000, &l->concurrent);
    case WISH_DAY:
        return count_take(option, text, INT64_C(1000000000000), &l->tokens_per_day);
    case WISH_MONTH:
        return count_take(option, text, INT64_C(100000000000000), &l->tokens_per_month);
    case WISH_COST:
        return cost_take(text, &l->cost_micro_per_month);
    default:
        return mode_take(text, l->mode);
    }
}

int token_wish_option(int argc, char **argv, int *i, struct token_wishes *w)
{
    static const struct {
        const char *option;
        enum wish wish;
    } options[] = {{"--models", WISH_MODELS},
                   {"--requests-per-minute", WISH_RPM},
                   {"--concurrent", WISH_CONCURRENT},
                   {"--tokens-per-day", WISH_DAY},
                   {"--tokens-per-month", WISH_MONTH},
                   {"--cost-per-month", WISH_COST},
                   {"--mode", WISH_MODE}};
    const char *value;
    if (strcmp(argv[*i], "--local-only") == 0 || strcmp(argv[*i], "--no-local-only") == 0) {
        w->limits.local_only = argv[*i][2] == 'l';
        w->given |= 1u << WISH_LOCAL;
        return 1;
    }
    if (strcmp(argv[*i], "--unlimited") == 0) {
        w->clear = true;
        return 1;
    }
    for (size_t k = 0; k < COUNT_OF(options); k++) {
        int is = cli_option("token", argc, argv, i, options[k].option, &value);
        if (is == 0)
            continue;
        if (is < 0 || wish_take(options[k].wish, options[k].option, value, &w->limits) != 0)
            return -1;
        w->given |= 1u << options[k].wish;
        return 1;
    }
    return 0;
}

void token_wishes_apply(const struct token_wishes *w, struct token_limits *l)
{
    const struct token_limits *from = &w->limits;
    if (w->clear) {
        struct token_limits none = {.models = ""};
        memcpy(none.account, l->account, sizeof none.account);
        *l = none;
    }
    if (w->given & 1u << WISH_MODELS)
        memcpy(l->models, from->models, sizeof l->models);
    if (w->given & 1u << WISH_RPM)
        l->requests_per_minute = from->requests_per_minute;
    if (w->given & 1u << WISH_CONCURRENT)
        l->concurrent = from->concurrent;
    if (w->given & 1u << WISH_DAY)
        l->tokens_per_day = from->tokens_per_day;
    if (w->given & 1u << WISH_MONTH)
        l->tokens_per_month = from->tokens_per_month;
    if (w->given & 1u << WISH_COST)
        l->cost_micro_per_month = from->cost_micro_per_month;
    if (w->given & 1u << WISH_LOCAL)
        l->local_only = from->local_only;
    if (w->given & 1u << WISH_MODE)
        memcpy(l->mode, from->mode, sizeof l->mode);
}

/* ---- show ---- */

static int take_sums(void *ctx, const struct store_row *row)
{
    struct cli_token_limits *out = ctx;
    out->used_today = row_int(row, 0);
    out->used_this_month = row_int(row, 1);
    out->cost_this_month = (double)row_int(row, 2) / 1e6;
    return 0;
}

static int split_models(struct arena *a, const char *models, struct cli_token_limits *out)
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

static int limits_read(struct tokens *t, const char *name, struct cli_token_limits *out, struct error *err)
{
    struct token_row row;
    struct token_limits l;
    int64_t now = clock_wall_ms(), day = now - now % 86400000;
    char first[32];
    int rc = token_find(t->store, name, false, &row, err);
    if (rc == 0)
        rc = token_limits_get(t->store, row.id, &l, err);
    if (rc != 0)
        return rc;
    clock_format(now, first);
    memcpy(first + 8, "01T00:00:00.000Z", 17); /* the first of this month */
    int64_t month = day;
    rc = clock_parse(first, -1, &month);
    memset(out, 0, sizeof *out);
    out->name = arena_strdup(t->arena, row.name);
    out->id = arena_strdup(t->arena, row.id);
    out->has_requests_per_minute = l.requests_per_minute > 0;
    out->requests_per_minute = l.requests_per_minute;
    out->has_concurrent = l.concurrent > 0;
    out->concurrent = l.concurrent;
    out->has_tokens_per_day = l.tokens_per_day > 0;
    out->tokens_per_day = l.tokens_per_day;
    out->has_tokens_per_month = l.tokens_per_month > 0;
    out->tokens_per_month = l.tokens_per_month;
    out->has_cost_per_month = l.cost_micro_per_month > 0;
    out->cost_per_month = (double)l.cost_micro_per_month / 1e6;
    out->local_only = l.local_only;
    out->mode = l.mode[0] ? arena_strdup(t->arena, l.mode) : NULL;
    out->has_expires_at = row.expires_at > 0;
    out->expires_at = row.expires_at;
    out->currency = t->currency;
    if (rc == 0)
        rc = split_models(t->arena, l.models, out);
    if (rc == 0)
        rc = store_query(t->store,
                         "SELECT sum(CASE WHEN day >= ?3 THEN prompt_tokens + completion_tokens ELSE 0 END),"
                         " sum(prompt_tokens + completion_tokens), sum(cost_micro) FROM usage_day"
                         " WHERE principal_id = ?1 AND day >= ?2",
                         (struct store_value[]){STORE_T(l.account), STORE_I(month), STORE_I(day)}, 3,
                         take_sums, out, err);
    return rc == 0 && !(out->name && out->id) ? VX11_ENOMEM : rc;
}

static void line(const char *name, bool has, int64_t limit, const char *used)
{
    char text[32] = "no limit";
    if (has)
        snprintf(text, sizeof text, "%" PRId64, limit);
    printf("%-22s %-16s %s\n", name, text, used);
}

static void limits_print(const struct cli_token_limits *l)
{
    char day[48], month[48], cost[64], at[32];
    snprintf(day, sizeof day, "%" PRId64 " used today", l->used_today);
    snprintf(month, sizeof month, "%" PRId64 " used this month", l->used_this_month);
    snprintf(cost, sizeof cost, "%.6f %s used this month", l->cost_this_month, l->currency);
    printf("%s (%s)\n", l->name, l->id);
    line("requests per minute", l->has_requests_per_minute, l->requests_per_minute, "");
    line("requests at a time", l->has_concurrent, l->concurrent, "");
    line("tokens per day", l->has_tokens_per_day, l->tokens_per_day, day);
    line("tokens per month", l->has_tokens_per_month, l->tokens_per_month, month);
    if (l->has_cost_per_month)
        printf("%-22s %-16.2f %s\n", "cost per month", l->cost_per_month, cost);
    else
        printf("%-22s %-16s %s\n", "cost per month", "no limit", cost);
    printf("%-22s ", "models");
    for (size_t i = 0; i < l->models_count; i++)
        printf("%s%s", i ? ", " : "", l->models[i]);
    puts(l->models_count ? "" : "all");
    printf("%-22s %s\n", "leaves the machine", l->local_only ? "never" : "may");
    printf("%-22s %s\n", "mode", l->mode ? l->mode : "the one that is set");
    printf("%-22s %s\n", "expires", l->has_expires_at ? clock_format(l->expires_at, at) : "never");
}

/* ---- the command ---- */

static int limits_change(struct tokens *t, const char *name, const struct token_wishes *w,
                         const int64_t *expires_at, struct error *err)
{
    struct token_limits l;
    int rc = token_limits_get(t->store, name, &l, err);
    if (rc != 0)
        return rc;
    token_wishes_apply(w, &l);
    return token_limits_set(t->store, "cli", name, &l, expires_at, clock_wall_ms(), err);
}

static int limits_run(const char *name, const struct token_wishes *w, const int64_t *expires_at, bool json)
{
    struct tokens t;
    struct cli_token_limits out;
    struct error err = {0};
    int code = tokens_open(&t, true), rc = 0;
    if (code == 0 && (w->given || w->clear || expires_at))
        rc = limits_change(&t, name, w, expires_at, &err);
    if (code == 0 && rc == 0)
        rc = limits_read(&t, name, &out, &err);
    if (code == 0 && rc != 0)
        code = cli_fail(tokens_code_of(rc), "%s", err.text[0] ? err.text : error_describe(rc));
    else if (code == 0 && json)
        code = cli_print_json(&cli_token_limits_message, &out);
    else if (code == 0)
        limits_print(&out);
    tokens_close(&t);
    return code;
}

int token_command_limits(int argc, char **argv)
{
    const char *name = NULL, *expires = NULL;
    struct token_wishes w = {.given = 0};
    int64_t lifetime = 0, expires_at = 0;
    bool json = false;
    for (int i = 2; i < argc; i++) {
        int is = token_wish_option(argc, argv, &i, &w);
        if (is == 0)
            is = cli_option("token", argc, argv, &i, "--expires", &expires);
        if (is == 0 && strcmp(argv[i], "--json") == 0) {
            json = true;
            is = 1;
        }
        if (is == 0 && !name && argv[i][0] != '-') {
            name = argv[i];
            is = 1;
        }
        if (is <= 0)
            return is == 0 ? cli_usage("token", "unknown argument %s", argv[i]) : CLI_USAGE;
    }
    if (!name)
        return cli_usage("token", "limits wants the name of a token");
    if (expires && strcmp(expires, "never") != 0) {
        if (str_to_duration_ms(expires, &lifetime) != 0 || lifetime <= 0)
            return cli_usage("token", "--expires is a time from now such as 12h or 30d, or never, not %s",
                             expires);
        expires_at = clock_wall_ms() + lifetime;
    }
    return limits_run(name, &w, expires ? &expires_at : NULL, json);
}
