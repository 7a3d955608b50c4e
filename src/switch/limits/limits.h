/* Limits: what tokens and providers may use, and what a token may ask for.
 *
 *   admit ──> the principal: requests a minute, at a time, tokens: reserved        ──> 429 budget_exceeded
 *     └─> (each attempt) model_allowed ──> 403     attempt_begin ──> the provider's budgets, the principal's
 * cost: reserved attempt_end   <── given back settle: the reservation goes, what was really used comes in its
 * place, once, with the usage row
 *
 * Counters live here, in memory, and begin as sums of usage_day (0008_limits.sql), which a trigger keeps
 * equal to the rows of usage. What is only reserved is nowhere else: a process that is killed has, when it is
 * back, used exactly what the rows say.
 *
 * Days and months are those of UTC. A minute is the last 60 whole seconds and the one that runs.
 * One thread, the loop's. Times are epoch ms, given by the caller. */
#ifndef VX11_SWITCH_LIMITS_H
#define VX11_SWITCH_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "contract/config.h"
#include "net/auth.h"
#include "store/store.h"
#include "switch/limits/prices.h"

struct limits;
struct limits_account;
struct limits_key;
struct request;

/* ---- life ---- */
/* Reads what was used this month. The store is borrowed. */
int limits_create(struct store *store, const struct config_switch *c, int64_t now, struct limits **out,
                  struct error *err);
/* NULL is fine. Every reservation must be over. */
void limits_destroy(struct limits *l);
/* Takes over another configuration: budgets, currency. Providers besides those of the configuration are told
 * with limits_provider. */
void limits_configure(struct limits *l, const struct config_switch *c);
void limits_provider(struct limits *l, const struct config_provider *p);
/* Every second or so: notices that tokens have changed, and a clock that was set back. */
void limits_tick(struct limits *l, int64_t now);

/* ---- a request ---- */
enum limits_budget {
    LIMITS_REQUESTS_PER_MINUTE,
    LIMITS_CONCURRENT,
    LIMITS_TOKENS_PER_DAY,
    LIMITS_TOKENS_PER_MONTH,
    LIMITS_COST_PER_MONTH,
    LIMITS_BUDGETS
};
extern const char *const limits_budget_names[LIMITS_BUDGETS]; /* "requests_per_minute" … */

/* Why not. */
struct limits_refusal {
    int status;                            /* 429, or 403 where waiting does not help */
    const char *code;                      /* budget_exceeded, price_unknown */
    const char *param;                     /* name of the budget */
    char text[400];                        /* a sentence with the limit, what is used, and until when */
    int64_t limit, used, reserved, wanted; /* tokens, requests, or micro of the currency */
    int64_t reset_at; /* epoch ms when there is room again; 0: nobody knows (requests at a time) */
    int64_t retry_after_ms;
};

/* What a request may use at most. */
struct limits_want {
    int64_t prompt_tokens;     /* estimated */
    int64_t completion_tokens; /* the caller's bound (max_tokens times n); 0: embeddings; -1: none given */
};

/* What is reserved, in the struct of who reserved it; all zero: nothing. */
struct limits_hold {
    struct limits_key *key;         /* of a request: what its token may */
    struct limits_account *account; /* whose budget */
    struct limits_account *payer;   /* of an attempt: who pays */
    int64_t tokens, cost;
    bool open;
    bool told; /* its headers are set */
};

/* First of all, before the cache and the selection. 0, or VX11_EFULL with *why. In both cases *out must be
 * settled in the end, exactly once; until then limits_model_allowed and limits_account_id work on it.
 * VX11_ENOMEM or what the store said with err: then it may not be asked for. */
int limits_admit(struct limits *l, const struct principal *p, const struct limits_want *want, int64_t now,
                 struct limits_hold *out, struct limits_refusal *why, struct error *err);
/* Whose use this is: the value of usage.account. Valid as long as the limits. */
const char *limits_account_id(const struct limits_hold *h);
/* May this principal be answered by that model? requested: the name in the request (NULL: none), whose own
 * mention in the list allows whatever it leads to (aliases, auto). Without a list all may. */
bool limits_model_allowed(const struct limits_hold *h, const char *requested, const char *provider,
                          const char *model);
/* The same without a request, for listings. */
bool limits_principal_allows(struct limits *l, const struct principal *p, const char *provider,
                             const char *model);
bool limits_local_only(const struct limits_hold *h);
const char *limits_mode(const struct limits_hold *h); /* "ECO" …; NULL: none. Valid until settled */

/* Would an attempt fit now? Changes nothing. request may be NULL. */
bool limits_provider_allows(struct limits *l, const struct limits_hold *request, const char *provider,
                            const struct price *price, const struct limits_want *want, int64_t now,
                            struct limits_refusal *why);
/* Before each attempt (each of two that are hedged): reserves the provider's budgets and the principal's
 * cost. 0, or VX11_EFULL with *why: pass the candidate over. */
int limits_attempt_begin(struct limits *l, const struct limits_hold *request, const char *provider,
                         const struct price *price, const struct limits_want *want, int64_t now,
                         struct limits_hold *out, struct limits_refusal *why);
/* However it ended; nothing on an empty one. Before settle. */
void limits_attempt_end(struct limits_hold *attempt);

struct limits_spent {
    int64_t at;                               /* of the usage row */
    const char *provider;                     /* of the usage row; NULL: none */
    int64_t prompt_tokens, completion_tokens; /* as in the usage row; below 0: null there */
    int64_t cost_micro;                       /* the same */
    bool from_cache;                          /* nothing was used */
};
/* The end of every request that was admitted or refused: pass what the usage row says. */
void limits_settle(struct limits *l, struct limits_hold *request, const struct limits_spent *spent,
                   int64_t now);

/* x-ratelimit-* headers for a request that is not refused, on its reply, once. Nothing where no limit is set.
 */
void limits_headers(struct limits_hold *h, int64_t now, struct request *r);
/* On a refused one: the same, Retry-After and error.reset_at. Before request_fail. */
void limits_refusal_headers(struct limits_hold *h, const struct limits_refusal *why, int64_t now,
                            struct request *r);
/* "1s", "6m0s", "250ms", as OpenAI writes times. Returns out. */
char *limits_duration(int64_t ms, char out[32]);

/* ---- what is used, for the page and for tests ---- */
struct limits_line {
    bool provider; /* else a principal */
    const char *id, *name;
    enum limits_budget budget;
    int64_t limit;          /* 0: none */
    int64_t used, reserved; /* concurrent: what runs */
    int64_t reset_at;       /* epoch ms; 0: at once */
};
/* Each account's five budgets; fn's non-zero stops and is returned. */
int limits_report(struct limits *l, int64_t now, int (*fn)(void *ctx, const struct limits_line *line),
                  void *ctx);
const char *limits_currency(const struct limits *l);

#endif
