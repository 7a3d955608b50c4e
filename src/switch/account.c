/* Account: what a request did, as one decision row and one usage row. Tokens are the provider's own numbers
 * or null. */
#include "switch/switch_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "switch/selection/selector.h"
#include "switch/observe/observe.h"

static const char sql_decision[] =
    "INSERT INTO decision (id, request_id, at, route, principal_id, principal_name, requested_model, "
    "provider, model, reason, alternatives, "
    "attempts, stream, outcome, status, error, prompt_tokens, completion_tokens, first_token_ms, total_ms, "
    "cost_micro, task_type, mode, score, candidates, privacy, fluzo, trace_id, story) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, "
    "?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29)";
static const char sql_usage[] =
    "INSERT INTO usage (decision_id, at, principal_id, provider, model, "
    "outcome, prompt_tokens, completion_tokens, cached_tokens, total_ms, account, "
    "cost_micro, estimated, from_cache) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

void account_begin(struct account *a, struct request *r, const char *requested_model, bool stream)
{
    *a = (struct account){
        .at = clock_wall_ms(),
        .began_ns = clock_mono_ns(),
        .route = request_route(r)->id,
        .requested_model = requested_model,
        .alternatives = BUF_INIT,
        .story = BUF_INIT,
        .stream = stream,
        .outcome = SWITCH_OUTCOME_REFUSED,
        .prompt_tokens = -1,
        .completion_tokens = -1,
        .cached_tokens = -1,
        .first_token_ms = -1,
        .cost_micro = -1,
    };
}

void account_candidate(struct account *a, const struct candidate *c)
{
    a->provider = c->provider->name;
    a->model = c->model;
    a->reason = c->reason;
}

void account_tried(struct account *a, const struct candidate *c, const char *result, double ms)
{
    struct buf *b = &a->alternatives;
    buf_puts(b, b->len ? ",{\"provider\":" : "[{\"provider\":");
    buf_put_json_string(b, c->provider->name, strlen(c->provider->name));
    buf_puts(b, ",\"model\":");
    buf_put_json_string(b, c->model, strlen(c->model));
    buf_puts(b, ",\"result\":");
    buf_put_json_string(b, result, strlen(result));
    if (ms >= 0)
        buf_printf(b, ",\"ms\":%.1f", ms);
    buf_putc(b, '}');
}

double account_elapsed_ms(const struct account *a)
{
    return (double)(clock_mono_ns() - a->began_ns) / 1e6;
}

static struct store_value tokens_or_null(int64_t n)
{
    return n < 0 ? STORE_N : STORE_I(n);
}

void account_write(struct dispatch *d)
{
    struct account *a = &d->account;
    struct request *r = d->r;
    struct store_value chosen[SELECTION_COLUMNS];
    struct buf explained = BUF_INIT;
    char decision[ULID_LEN + 1];
    const struct principal *p = request_principal(r);
    const char *outcome = switch_outcome_names[a->outcome];
    double total = account_elapsed_ms(a);
    ulid_make(decision);
    if (a->alternatives.len)
        buf_putc(&a->alternatives, ']');
    selection_columns(&d->selection, d->winner ? d->winner->candidate : d->last, &explained, chosen);
    bool listed = a->alternatives.len && !a->alternatives.failed;
    if (a->story.len)
        buf_putc(&a->story, ']');
    const char *trace = request_trace(r); /* 00-TRACE-SPAN-FLAGS */
    const struct store_value story = a->story.failed ? STORE_N
                                     : a->story.len  ? store_text_len(a->story.data, a->story.len)
                                                     : store_text("[]");
    struct store_value row[] = {
        store_text(decision),
        store_text(request_id(r)),
        STORE_I(a->at),
        store_text(a->route),
        store_text(p ? p->id : NULL),
        store_text(p ? p->name : NULL),
        store_text(a->requested_model),
        store_text(a->provider),
        store_text(a->model),
        store_text(a->reason ? a->reason : "nobody was asked"),
        store_text(listed ? a->alternatives.data : "[]"),
        STORE_I(a->attempts),
        STORE_I(a->stream),
        store_text(outcome),
        STORE_I(a->status),
        store_text(a->error[0] ? a->error : NULL),
        tokens_or_null(a->prompt_tokens),
        tokens_or_null(a->completion_tokens),
        a->first_token_ms < 0 ? STORE_N : STORE_D(a->first_token_ms),
        STORE_D(total),
        tokens_or_null(a->cost_micro),
        chosen[0],
        chosen[1],
        chosen[2],
        chosen[3],
        chosen[4],
        chosen[5],
        trace && strlen(trace) > 35 ? store_text_len(trace + 3, 32) : STORE_N,
        story,
    };
    struct store_value u[] = {
        store_text(decision),
        STORE_I(a->at),
        store_text(p ? p->id : NULL),
        store_text(a->provider),
        store_text(a->model),
        store_text(outcome),
        tokens_or_null(a->prompt_tokens),
        tokens_or_null(a->completion_tokens),
        tokens_or_null(a->cached_tokens),
        STORE_D(total),
        store_text(a->payer),
        tokens_or_null(a->cost_micro),
        STORE_I(a->estimated),
        STORE_I(a->from_cache),
    };
    const struct writer_row rows[] = {
        {.sql = sql_decision, .values = row, .n = sizeof row / sizeof row[0]},
        {.sql = sql_usage, .values = u, .n = sizeof u / sizeof u[0]},
    };
    int rc = writer_push_group(module_writer(d->sw->m), rows, sizeof rows / sizeof rows[0]);
    if (rc != 0)
        log_error("account", "a request could not be accounted for", LOG_S("request", request_id(r)),
                  LOG_S("reason", error_describe(rc)));
    buf_free(&a->alternatives);
    buf_free(&a->story);
    buf_free(&explained);
    observe_request(d);
}
