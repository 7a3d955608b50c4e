/* Headers: what a reply says of the caller's budgets, as OpenAI says it. */
#include "switch/limits/internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "net/server.h"

char *limits_duration(int64_t ms, char out[32])
{
    int64_t s = ms > 0 ? ms / 1000 : 0;
    if (ms < 1000)
        snprintf(out, 32, "%" PRId64 "ms", ms > 0 ? ms : 0);
    else if (s < 60)
        snprintf(out, 32, "%" PRId64 "s", s);
    else if (s < 3600)
        snprintf(out, 32, "%" PRId64 "m%" PRId64 "s", s / 60, s % 60);
    else
        snprintf(out, 32, "%" PRId64 "h%" PRId64 "m%" PRId64 "s", s / 3600, s / 60 % 60, s % 60);
    return out;
}

static void put(struct request *r, const char *name, const char *value)
{
    if (request_reply_header(r, name, value) != 0)
        log_warn("limits", "a header could not be set", LOG_S("name", name));
}

static void put_number(struct request *r, const char *name, int64_t n)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, n > 0 ? n : 0);
    put(r, name, text);
}

/* Of tokens the narrower of day and month. */
static enum limits_budget narrower(const struct limits_account *a)
{
    int64_t day = a->bounds.of[LIMITS_TOKENS_PER_DAY], month = a->bounds.of[LIMITS_TOKENS_PER_MONTH];
    if (day == 0 || month == 0)
        return day ? LIMITS_TOKENS_PER_DAY : LIMITS_TOKENS_PER_MONTH;
    return month - a->month_tokens < day - a->day_tokens ? LIMITS_TOKENS_PER_MONTH : LIMITS_TOKENS_PER_DAY;
}

void limits_headers(struct limits_hold *h, int64_t now, struct request *r)
{
    struct limits_account *a = h->account;
    char text[32];
    if (!a || h->told)
        return;
    h->told = true;
    account_turn(a, now);
    int64_t requests = a->bounds.of[LIMITS_REQUESTS_PER_MINUTE];
    if (requests > 0) {
        put_number(r, "x-ratelimit-limit-requests", requests);
        put_number(r, "x-ratelimit-remaining-requests", requests - window_count(&a->window, now));
        put(r, "x-ratelimit-reset-requests", limits_duration(window_free_at(&a->window, 1, now) - now, text));
    }
    enum limits_budget b = narrower(a);
    bool daily = b == LIMITS_TOKENS_PER_DAY;
    if (a->bounds.of[b] > 0) {
        int64_t used = daily ? a->day_tokens : a->month_tokens;
        put_number(r, "x-ratelimit-limit-tokens", a->bounds.of[b]);
        put_number(r, "x-ratelimit-remaining-tokens", a->bounds.of[b] - used - a->reserved_tokens);
        put(r, "x-ratelimit-reset-tokens",
            limits_duration((daily ? limits_day(now) + DAY_MS : limits_next_month(now)) - now, text));
    }
}

void limits_refusal_headers(struct limits_hold *h, const struct limits_refusal *why, int64_t now,
                            struct request *r)
{
    limits_headers(h, now, r);
    if (why->retry_after_ms > 0)
        request_retry_after(r, why->retry_after_ms);
    request_reset_at(r, why->reset_at);
}
