/* Dispatch: one request, from its candidates to its account.
 *
 *   run ── select ──not found──> list models anew, once ──> select ──> 404
 *             └─> next: the first candidate that may be asked ──> attempt
 *                  ^   failed before its first token                 │
 *                  ├─────────────────────────────────────────────────┤
 *                  │   none left, the failure may pass: again, after a moment
 *                  └── slow to begin, hedging is on: the next one beside it; the first token wins
 */
#include "switch/switch_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "contract/keep_alive.h"
#include "switch/dialect.h"
#include "switch/selection/selector.h"
#include "switch/tokens.h"

/* A list of models older than this is read anew before a model is said not to exist, and Hermes' list before
 * the default model is chosen. */
#define RELIST_AGE_MS 1000
/* Hermes is asked in a fraction of a millisecond, and a model that was just added must answer at once. */
#define RELIST_LOCAL_AGE_MS 20

static bool dispatch_busy(const struct dispatch *d);
static void dispatch_try(struct dispatch *d);
static void dispatch_select(struct dispatch *d);

static const struct config_switch *settings(const struct dispatch *d)
{
    return module_config(d->sw->m)->values->switch_;
}

/* ---- end ---- */

static void attempts_drop(struct dispatch *d)
{
    for (size_t i = 0; i < DISPATCH_LIVE; i++)
        if (d->live[i])
            attempt_end(d->live[i], DISPATCH_SILENT);
}

/* Who still runs at the request's end. */
static void attempts_tell(struct dispatch *d)
{
    static const enum switch_attempt_end ends[] = {[SWITCH_OUTCOME_OK] = SWITCH_ATTEMPT_END_OK,
                                                   [SWITCH_OUTCOME_FAILED] = SWITCH_ATTEMPT_END_FAILED,
                                                   [SWITCH_OUTCOME_CANCELLED] = SWITCH_ATTEMPT_END_CANCELLED,
                                                   [SWITCH_OUTCOME_REFUSED] = SWITCH_ATTEMPT_END_FAILED};
    const struct account *account = &d->account;
    for (size_t i = 0; i < DISPATCH_LIVE; i++) {
        struct attempt *a = d->live[i];
        if (a && d->cancel_reason)
            story_attempt(a, SWITCH_ATTEMPT_END_CANCELLED, a->upstream_status, account->error);
        else if (a)
            story_attempt(a, a == d->winner ? ends[account->outcome] : SWITCH_ATTEMPT_END_DROPPED,
                          a->upstream_status,
                          account->outcome != SWITCH_OUTCOME_OK && account->error[0] ? account->error : NULL);
    }
}

static void account_winner(struct dispatch *d)
{
    const struct attempt *a = d->winner;
    account_candidate(&d->account, a->candidate);
    d->account.prompt_tokens = a->tokens.prompt;
    d->account.completion_tokens = a->tokens.completion;
    d->account.cached_tokens = a->tokens.cached;
    const bool embeds = d->wish.kind == DISPATCH_EMBEDDING && a->tokens.completion < 0; /* writes nothing */
    d->account.cost_micro =
        price_cost(&a->price, a->tokens.prompt, embeds ? 0 : a->tokens.completion, a->tokens.cached);
}

/* What was reserved becomes what the usage row says. */
static void limits_close(struct dispatch *d)
{
    const struct account *a = &d->account;
    const struct limits_spent spent = {
        .at = a->at,
        .provider = a->provider,
        .prompt_tokens = a->prompt_tokens,
        .completion_tokens = a->completion_tokens,
        .cost_micro = a->cost_micro,
        .from_cache = a->from_cache,
    };
    limits_settle(d->sw->budgets, &d->hold, &spent, clock_wall_ms());
}

void dispatch_end(struct dispatch *d, enum dispatch_verdict verdict, enum switch_outcome outcome, int status,
                  const char *error)
{
    struct switch_ *sw = d->sw;
    struct attempt *winner = d->winner;
    if (winner && d->begun && outcome != SWITCH_OUTCOME_OK)
        estimate_cut(winner); /* or leaving just before the end would cost nothing */
    if (winner) {
        account_winner(d);
        if (d->account.first_token_ms >= 0)
            metric_observe(winner->provider->first_token, d->account.first_token_ms / 1000.0);
    }
    d->account.outcome = outcome;
    d->account.status = status;
    if (error)
        snprintf(d->account.error, sizeof d->account.error, "%s", error);
    d->account.payer = limits_account_id(&d->hold);
    if (winner)
        attempt_learn(winner, verdict);
    attempts_tell(d);
    account_write(d);
    if (winner)
        attempt_end(winner, verdict);
    attempts_drop(d);
    limits_close(d);
    cache_gather_free(d->gather);
    if (d->dialect && d->dialect->free)
        d->dialect->free(d);
    if (d->prev)
        d->prev->next = d->next;
    else
        sw->dispatches = d->next;
    if (d->next)
        d->next->prev = d->prev;
    sw->in_flight--;
}

void dispatch_cancelled(struct dispatch *d)
{
    struct request *r = d->r;
    bool late = d->cancel_reason == VX11_ETIMEOUT, stopping = d->cancel_reason == VX11_ECANCELLED;
    bool begun = d->begun;
    int status = late ? 504 : stopping ? 503 : 499;
    const char *text = late       ? "the request's time was up"
                       : stopping ? "switch was stopped"
                                  : "the caller left";
    dispatch_end(d, DISPATCH_SILENT, status == 499 ? SWITCH_OUTCOME_CANCELLED : SWITCH_OUTCOME_FAILED, status,
                 text);
    if (begun)
        request_stream_abort(r);
    else
        request_fail(r, status == 499 ? 504 : status, late ? "deadline_exceeded" : "stopping", NULL, "%s",
                     text);
}

static void dispatch_refuse(struct dispatch *d, int status, const char *code, const char *param,
                            const char *text)
{
    struct request *r = d->r;
    int64_t retry = d->retry_after_ms;
    bool asked = d->account.attempts > 0;
    char copy[400], name[64];
    snprintf(copy, sizeof copy, "%s", text);
    snprintf(name, sizeof name, "%s", code);
    if (d->exhausted.status == status && strcmp(d->exhausted.code, name) == 0) {
        limits_refusal_headers(&d->hold, &d->exhausted, clock_wall_ms(), r);
        param = d->exhausted.param;
        retry = -1; /* said */
    }
    dispatch_end(d, DISPATCH_SILENT, asked ? SWITCH_OUTCOME_FAILED : SWITCH_OUTCOME_REFUSED, status, copy);
    if (retry >= 0 && (status == 429 || status == 503))
        request_retry_after(r, retry);
    request_fail(r, status, name, param, "%s", copy);
}

void dispatch_headers(struct dispatch *d)
{
    const struct attempt *a = d->winner;
    /* A model's name may hold what no header may; then it goes without. */
    request_reply_header(d->r, "X-VX11-Provider", a->provider->name);
    request_reply_header(d->r, "X-VX11-Model", a->candidate->model);
    char decision[512];
    request_reply_header(d->r, "X-VX11-Decision",
                         selection_header(&d->selection, a->candidate, decision, sizeof decision));
    if (a->context_shift)
        request_reply_header(d->r, "X-VX11-Context-Shift", a->context_shift);
}

/* ---- which one next ---- */

static void failure_note(struct dispatch *d, int status, const char *code, const char *text)
{
    d->failed_status = status;
    snprintf(d->failed_code, sizeof d->failed_code, "%s", code);
    snprintf(d->failed_text, sizeof d->failed_text, "%s", text);
}

static void passed_over(struct dispatch *d, const struct candidate *c, int status, const char *code,
                        int64_t retry_after_ms, const char *text)
{
    failure_note(d, status, code, text);
    d->retry_after_ms = retry_after_ms;
    account_tried(&d->account, c, d->failed_text, -1);
}

/* May this candidate be asked now? Takes the breaker's probe when it is half open. Else why not, noted. */
static bool candidate_free(struct dispatch *d, const struct candidate *c)
{
    struct provider *p = c->provider;
    int64_t now = clock_mono_ms();
    char text[300];
    if (p->max_concurrency > 0 && p->in_flight >= p->max_concurrency) {
        snprintf(text, sizeof text, "provider %s already answers %lld requests, its most", p->name,
                 (long long)p->in_flight);
        passed_over(d, c, 429, "provider_busy", 1000, text);
        return false;
    }
    if (p->rest_until > now) {
        snprintf(text, sizeof text, "provider %s has asked to be left alone for %lld s more", p->name,
                 (long long)((p->rest_until - now + 999) / 1000));
        passed_over(d, c, 429, "rate_limited", p->rest_until - now, text);
        return false;
    }
    if (!breaker_allow(&p->breaker, now)) {
        snprintf(text, sizeof text, "provider %s has failed repeatedly and rests", p->name);
        passed_over(d, c, 503, "circuit_open", breaker_retry_after_ms(&p->breaker, now), text);
        return false;
    }
    return true;
}

void dispatch_exhausted(struct dispatch *d, const struct limits_refusal *why)
{
    d->exhausted = *why;
    failure_note(d, why->status, why->code, why->text);
    d->retry_after_ms = why->retry_after_ms;
    if (!dispatch_busy(d))
        dispatch_try(d);
}

static bool dispatch_busy(const struct dispatch *d)
{
    return d->live[0] || d->live[1];
}

/* The next candidate that may be asked; NULL: none is left. */
static const struct candidate *candidate_next(struct dispatch *d)
{
    while (d->at < d->selection.count) {
        const struct candidate *c = &d->selection.list[d->at++];
        if (candidate_free(d, c))
            return c;
    }
    return NULL;
}

/* Waits a while, longer each time and never twice the same, but not past what the provider asked for or the
 * request's time. "Full jitter": between nothing and the whole span, so that those who failed together do not
 * come back together (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). */
static bool retry_later(struct dispatch *d)
{
    const struct config_switch *c = settings(d);
    int64_t span = c->retry_base_ms, now = clock_mono_ms(), left = request_deadline_ms(d->r);
    uint32_t dice;
    if (!d->again || d->retries >= c->retries)
        return false;
    for (int i = 0; i < d->retries && span < c->retry_most_ms; i++)
        span *= 2;
    span = span < c->retry_most_ms ? span : c->retry_most_ms;
    random_bytes(&dice, sizeof dice);
    int64_t wait = span > 0 ? (int64_t)(dice % (uint64_t)span) + 1 : 0;
    int64_t rest = d->again->provider->rest_until - now;
    if (rest > c->retry_most_ms)
        return false;
    wait = wait > rest ? wait : rest + 1;
    if (left != INT64_MAX && now + wait >= left)
        return false;
    d->retries++;
    d->again_at = now + wait;
    return true;
}

static void dispatch_try(struct dispatch *d)
{
    if (d->cancel_reason) {
        if (!dispatch_busy(d))
            dispatch_cancelled(d);
        return;
    }
    const struct candidate *c = candidate_next(d);
    if (c) {
        const int64_t hedge = settings(d)->hedge_ms;
        d->hedge_at = hedge > 0 && d->at < d->selection.count ? clock_mono_ms() + hedge : 0;
        attempt_start(d, c, false);
    } else if (!retry_later(d)) {
        dispatch_refuse(d, d->failed_status, d->failed_code, NULL, d->failed_text);
    }
}

static void dispatch_again(struct dispatch *d)
{
    const struct candidate *c = d->again;
    d->again = NULL;
    d->again_at = 0;
    d->account.retries++;
    if (candidate_free(d, c))
        attempt_start(d, c, false);
    else
        dispatch_refuse(d, d->failed_status, d->failed_code, NULL, d->failed_text);
}

/* A second one beside one that is slow to begin. What is local would only share the same cores. */
static void dispatch_hedge(struct dispatch *d)
{
    d->hedge_at = 0;
    if (d->begun || !dispatch_busy(d) || (d->live[0] && d->live[1]))
        return;
    while (d->at < d->selection.count) {
        const struct candidate *c = &d->selection.list[d->at++];
        if (c->provider->kind == SWITCH_PROVIDER_KIND_LOCAL || !candidate_free(d, c))
            continue;
        log_info("dispatch", "a second provider is asked", LOG_S("provider", c->provider->name));
        attempt_start(d, c, true);
        return;
    }
}

void dispatch_attempt_failed(struct dispatch *d, const struct candidate *c, bool retry, int status,
                             const char *code, const char *text)
{
    failure_note(d, status, code, text);
    if (retry)
        d->again = c;
    if (!dispatch_busy(d))
        dispatch_try(d);
}

void dispatch_wins(struct dispatch *d, struct attempt *a)
{
    d->winner = a;
    d->hedge_at = 0;
    for (size_t i = 0; i < DISPATCH_LIVE; i++) {
        struct attempt *other = d->live[i];
        if (!other || other == a)
            continue;
        account_tried(&d->account, other->candidate, "another one was faster", attempt_elapsed_ms(other));
        story_attempt(other, SWITCH_ATTEMPT_END_DROPPED, other->upstream_status, NULL);
        attempt_end(other, DISPATCH_SILENT);
    }
}

/* ---- selection ---- */

static void on_listed(void *ctx)
{
    struct dispatch *d = ctx;
    if (--d->listings > 0)
        return;
    if (d->cancel_reason)
        dispatch_cancelled(d);
    else
        dispatch_select(d);
}

/* Reads the lists that are not fresh, or only Hermes' for the default model. False: all were. */
static bool dispatch_relist(struct dispatch *d, bool for_default)
{
    d->listings = 1;
    for (size_t i = 0; i < d->sw->provider_count; i++) {
        struct provider *p = d->sw->providers[i];
        bool local = p->kind == SWITCH_PROVIDER_KIND_LOCAL;
        int64_t age = local && !for_default ? RELIST_LOCAL_AGE_MS : RELIST_AGE_MS;
        if (!p->enabled || (for_default && !local) || provider_models_fresh(p, age))
            continue;
        d->listings++;
        provider_list(p, on_listed, d);
    }
    if (d->listings == 1) {
        d->listings = 0;
        return false;
    }
    d->listings--;
    return true;
}

static void dispatch_select(struct dispatch *d)
{
    struct error err = {0};
    bool by_default = selection_is_open(d->sw, &d->wish);
    /* A model that has gone since must not stay the default. */
    if (by_default && !d->local_relisted) {
        d->local_relisted = true;
        if (dispatch_relist(d, true))
            return;
    }
    int rc = selection_make(d->sw, request_arena(d->r), &d->wish, &d->selection, &err);
    if (rc != 0 && !d->relisted) {
        d->relisted = true;
        if (dispatch_relist(d, false))
            return;
    }
    if (rc == 0) {
        dispatch_try(d);
    } else {
        if (d->selection.refusal.status == 503)
            d->retry_after_ms = 1000;
        dispatch_refuse(d, d->selection.refusal.status, d->selection.refusal.code, d->selection.refusal.param,
                        err.text);
    }
}

/* ---- run ---- */

static void on_cancel(struct request *r, void *ctx, int reason)
{
    struct dispatch *d = ctx;
    bool called = false;
    (void)r;
    d->cancel_reason = reason;
    /* Each of these ends in a callback that sees cancel_reason; a listing ends by itself within seconds. */
    for (size_t i = 0; i < DISPATCH_LIVE; i++) {
        struct attempt *a = d->live[i];
        if (!a || !(a->call || a->acquiring))
            continue;
        client_cancel(a->call ? a->call : a->acquiring);
        called = true;
    }
    if (!called && (d->again_at || dispatch_busy(d)))
        dispatch_cancelled(d);
}

static void on_drain(struct request *r, void *ctx)
{
    struct dispatch *d = ctx;
    struct attempt *a = d->winner;
    (void)r;
    if (a && a->paused && a->call) {
        a->paused = false;
        client_resume(a->call);
    }
}

/* Most tokens that the answer may have, as the caller bounds it; -1: not at all. */
static int64_t answer_bound(const struct dispatch *d)
{
    yyjson_val *most = yyjson_obj_get(d->root, "max_completion_tokens"), *n = yyjson_obj_get(d->root, "n");
    if (d->wish.kind == DISPATCH_EMBEDDING)
        return 0;
    if (!yyjson_is_int(most))
        most = yyjson_obj_get(d->root, "max_tokens");
    if (!yyjson_is_int(most))
        return -1;
    int64_t answers = yyjson_is_int(n) ? yyjson_get_sint(n) : 1, out;
    return __builtin_mul_overflow(yyjson_get_sint(most), answers, &out) ? INT64_MAX : out;
}

/* Before anything else: may who asks ask for that much? False: told so, and over. */
static bool dispatch_admit(struct dispatch *d)
{
    struct error err = {0};
    (void)contract_json_parse(request_arena(d->r), d->body, d->body_len, NULL, &d->root, NULL);
    d->want = (struct limits_want){tokens_estimate_request(d->root), answer_bound(d)};
    int rc = limits_admit(d->sw->budgets, request_principal(d->r), &d->want, clock_wall_ms(), &d->hold,
                          &d->exhausted, &err);
    if (rc == VX11_EFULL) {
        dispatch_refuse(d, d->exhausted.status, d->exhausted.code, d->exhausted.param, d->exhausted.text);
        return false;
    }
    if (rc != 0) {
        dispatch_refuse(d, 500, "limits_unknown", NULL, err.text);
        return false;
    }
    limits_headers(&d->hold, clock_wall_ms(), d->r);
    d->wish.local_only |= limits_local_only(&d->hold);
    if (!d->wish.mode)
        d->wish.mode = limits_mode(&d->hold);
    return true;
}

static bool hold_allows(const void *ctx, const char *requested, const char *provider, const char *model)
{
    return limits_model_allowed(ctx, requested, provider, model);
}

/* What it wants besides a model. False: it is not to be understood, told so, and over. */
static bool dispatch_wish(struct dispatch *d)
{
    struct error err = {0};
    if (keep_alive_read(yyjson_obj_get(d->root, "keep_alive"), &d->has_keep_alive, &d->keep_alive_ms, &err) !=
        0) {
        dispatch_refuse(d, 400, "invalid_value", "keep_alive", err.text);
        return false;
    }
    d->wish.prompt_tokens = d->want.prompt_tokens;
    d->wish.allows = hold_allows;
    d->wish.allows_ctx = &d->hold;
    if (wish_of_request(&d->wish, d->r, d->root, d->metadata, settings(d), &err) == 0)
        return true;
    /* A request that was meant to stay here must not leave for a typing error. */
    dispatch_refuse(d, 400, "invalid_privacy", "metadata.privacy", err.text);
    return false;
}

void dispatch_run(struct switch_ *sw, struct request *r, const struct dispatch *wish)
{
    struct dispatch *d = arena_alloc(request_arena(r), sizeof *d);
    if (!d) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    *d = *wish;
    d->sw = sw;
    d->r = r;
    d->retry_after_ms = -1;
    d->failed_status = 503;
    snprintf(d->failed_code, sizeof d->failed_code, "no_provider");
    account_begin(&d->account, r, d->wish.model, d->stream);
    d->next = sw->dispatches;
    if (d->next)
        d->next->prev = d;
    sw->dispatches = d;
    sw->in_flight++;
    request_on_cancel(r, on_cancel, d);
    request_on_drain(r, on_drain, d);
    if (dispatch_admit(d) && dispatch_wish(d) && !cached_answer(d))
        dispatch_select(d);
}

/* True: something was due, and a may have gone. */
static bool attempt_limits(struct attempt *a, int64_t now)
{
    if (a && a->engine_again_at && now >= a->engine_again_at) {
        attempt_engine_retry(a);
        return true;
    }
    if (a && a->call && a->first_token_until && now >= a->first_token_until) {
        a->first_token_until = 0;
        a->own_end = VX11_ETIMEOUT;
        client_cancel(a->call);
        return true;
    }
    return false;
}

void dispatch_limits(struct switch_ *sw)
{
    int64_t now = clock_mono_ms();
    for (struct dispatch *d = sw->dispatches, *next; d; d = next) {
        next = d->next;
        if (d->again_at && now >= d->again_at) {
            dispatch_again(d);
            continue;
        }
        if (d->hedge_at && now >= d->hedge_at)
            dispatch_hedge(d);
        if (!attempt_limits(d->live[0], now)) /* what becomes of it may end the request */
            (void)attempt_limits(d->live[1], now);
    }
}
