/* Stats: see the header.
 *
 *   request ──> thread: decision rows, newest first ──> span and group ──> sums, histograms ──> loop: reply
 *
 * Times go into histograms whose steps are a tenth wide, so a quantile costs a fixed kilobyte for each row of
 * the reply, however many requests it is of. */
#include "switch/observe/stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "switch/switch_internal.h"

enum { STATS_STEPS = 192, STATS_ROWS = 4096, STATS_LOOK = 300000, STATS_AT_A_TIME = 4, STATS_SLOTS = 8192 };
#define HOUR_MS ((int64_t)3600 * 1000)
#define DAY_MS  (24 * HOUR_MS)

static const char sql_rows[] =
    "SELECT d.at, d.provider, d.model, d.outcome, d.prompt_tokens, d.completion_tokens, d.cost_micro, "
    "d.first_token_ms, d.total_ms, coalesce(u.from_cache, 0) "
    "FROM decision d LEFT JOIN usage u ON u.decision_id = d.id "
    "WHERE d.at >= ?1 AND d.at < ?2 AND (?3 IS NULL OR d.principal_id = ?3) AND (?4 IS NULL OR d.model = ?4) "
    "AND (?5 IS NULL OR d.provider = ?5) ORDER BY d.at DESC";

struct times { /* steps of a tenth, from 0.1 ms */
    uint32_t steps[STATS_STEPS];
    uint64_t count;
};

struct span {
    int64_t at;
    char *provider, *model; /* NULL: of all, or none */
    int64_t requests, failed, refused, cancelled, cache_hits, prompt, completion, cost_micro, unpriced;
    bool has_prompt, has_completion, has_cost;
    double written, writing_ms; /* of answers whose speed is known */
    struct times first, total;
};

struct stats {
    struct switch_ *sw;
    int running;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

struct job {
    uv_work_t work;
    struct stats *s;
    struct request *r;
    enum switch_stats_by by;
    enum switch_stats_group group;
    int64_t since, until;
    char path[4096], principal[27], *model, *provider;
    bool own; /* only the principal's */
    /* made by the thread */
    struct span **spans, **slots; /* slots: by hash of span and group */
    size_t count, looked;
    bool truncated;
    int64_t oldest; /* looked at */
    int rc;
    struct error err;
};

/* ---- histograms ---- */

static void times_add(struct times *t, double ms)
{
    double step = ms > 0.1 ? log(ms / 0.1) / log(1.1) : 0;
    size_t i = step < STATS_STEPS - 1 ? (size_t)step : STATS_STEPS - 1;
    t->steps[i]++;
    t->count++;
}

static double times_quantile(const struct times *t, double q)
{
    double want = q * (double)t->count, seen = 0;
    for (size_t i = 0; i < STATS_STEPS; i++) {
        double in = t->steps[i];
        if (in > 0 && seen + in >= want)
            return 0.1 * pow(1.1, (double)i + (want - seen) / in);
        seen += in;
    }
    return 0;
}

/* ---- the thread ---- */

static size_t slot_of(int64_t at, const char *provider, const char *model)
{
    uint64_t h = 1469598103934665603u ^ (uint64_t)at; /* FNV-1a */
    for (const char *p = provider ? provider : ""; *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211u;
    h = (h ^ 0xff) * 1099511628211u;
    for (const char *p = model ? model : ""; *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211u;
    return (size_t)((h ^ h >> 32) % STATS_SLOTS);
}

static struct span *span_make(struct job *j, int64_t at, const char *provider, const char *model)
{
    struct span *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->at = at;
    s->provider = provider ? strdup(provider) : NULL;
    s->model = model ? strdup(model) : NULL;
    if ((provider && !s->provider) || (model && !s->model)) {
        free(s->provider);
        free(s->model);
        free(s);
        return NULL;
    }
    return j->spans[j->count++] = s;
}

/* NULL: there is no room for another one, or no memory (then j->rc says so). */
static struct span *span_get(struct job *j, int64_t at, const char *provider, const char *model)
{
    size_t i = slot_of(at, provider, model);
    for (; j->slots[i]; i = (i + 1) % STATS_SLOTS) {
        struct span *s = j->slots[i];
        if (s->at == at && str_eq(s->provider ? s->provider : "", provider ? provider : "") &&
            str_eq(s->model ? s->model : "", model ? model : ""))
            return s;
    }
    if (j->count == STATS_ROWS)
        return NULL;
    j->slots[i] = span_make(j, at, provider, model);
    if (!j->slots[i])
        j->rc = VX11_ENOMEM;
    return j->slots[i];
}

static void span_add_tokens(struct span *s, const struct store_row *row)
{
    const bool prompt = !row_is_null(row, 4), completion = !row_is_null(row, 5), cost = !row_is_null(row, 6);
    s->has_prompt |= prompt;
    s->has_completion |= completion;
    s->has_cost |= cost;
    s->prompt += prompt ? row_int(row, 4) : 0;
    s->completion += completion ? row_int(row, 5) : 0;
    s->cost_micro += cost ? row_int(row, 6) : 0;
    s->unpriced += !cost && row_int(row, 4) + row_int(row, 5) > 0;
}

static void span_add(struct span *s, const struct store_row *row)
{
    const char *outcome = row_text(row, 3);
    const bool ok = str_eq(outcome, "ok"), first = !row_is_null(row, 7);
    s->requests++;
    s->failed += str_eq(outcome, "failed");
    s->refused += str_eq(outcome, "refused");
    s->cancelled += str_eq(outcome, "cancelled");
    if (row_int(row, 9)) {
        s->cache_hits++;
        return;
    }
    span_add_tokens(s, row);
    if (first)
        times_add(&s->first, row_real(row, 7));
    if (!ok)
        return;
    times_add(&s->total, row_real(row, 8));
    const double writing = row_real(row, 8) - row_real(row, 7);
    if (first && writing > 0 && row_int(row, 5) > 1) {
        s->written += (double)row_int(row, 5);
        s->writing_ms += writing;
    }
}

static int on_row(void *ctx, const struct store_row *row)
{
    struct job *j = ctx;
    const int64_t length = j->by == SWITCH_STATS_BY_HOUR ? HOUR_MS : DAY_MS, at = row_int(row, 0);
    const bool by_provider = j->group != SWITCH_STATS_GROUP_NONE;
    const bool by_model = j->group == SWITCH_STATS_GROUP_MODEL;
    if (j->looked == STATS_LOOK) {
        j->truncated = true;
        return 1;
    }
    struct span *s = span_get(j, at - at % length, by_provider ? row_text(row, 1) : NULL,
                              by_model ? row_text(row, 2) : NULL);
    if (!s) {
        j->truncated = true;
        return 1;
    }
    j->looked++;
    j->oldest = at;
    span_add(s, row);
    return 0;
}

static int span_order(const void *a, const void *b)
{
    const struct span *x = *(struct span *const *)a, *y = *(struct span *const *)b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->requests > y->requests ? -1 : x->requests < y->requests;
}

static void on_work(uv_work_t *work)
{
    struct job *j = work->data;
    struct store_options options = {.path = j->path, .read_only = true};
    struct store *store = NULL;
    const struct store_value values[] = {STORE_I(j->since), STORE_I(j->until),
                                         store_text(j->own ? j->principal : NULL), store_text(j->model),
                                         store_text(j->provider)};
    j->spans = calloc(STATS_ROWS, sizeof(struct span *));
    j->slots = calloc(STATS_SLOTS, sizeof(struct span *));
    if (!j->spans || !j->slots) {
        j->rc = VX11_ENOMEM;
        return;
    }
    int rc = store_open(&options, &store, &j->err);
    if (rc == 0)
        rc = store_query(store, sql_rows, values, COUNT_OF(values), on_row, j, &j->err);
    if (j->rc == 0 && rc < 0)
        j->rc = rc;
    store_close(store);
    qsort(j->spans, j->count, sizeof(struct span *), span_order);
}

/* ---- reply ---- */

static void row_fill(const struct span *s, struct switch_stats_row *out)
{
    *out = (struct switch_stats_row){
        .at = s->at,
        .provider = s->provider,
        .model = s->model,
        .requests = s->requests,
        .failed = s->failed,
        .refused = s->refused,
        .cancelled = s->cancelled,
        .cache_hits = s->cache_hits,
        .has_prompt_tokens = s->has_prompt,
        .prompt_tokens = s->prompt,
        .has_completion_tokens = s->has_completion,
        .completion_tokens = s->completion,
        .has_cost = s->has_cost,
        .cost = (double)s->cost_micro / 1e6,
        .unpriced = s->unpriced,
        .has_first_token_p50_ms = s->first.count > 0,
        .first_token_p50_ms = times_quantile(&s->first, 0.5),
        .has_first_token_p95_ms = s->first.count > 0,
        .first_token_p95_ms = times_quantile(&s->first, 0.95),
        .has_total_p50_ms = s->total.count > 0,
        .total_p50_ms = times_quantile(&s->total, 0.5),
        .has_total_p95_ms = s->total.count > 0,
        .total_p95_ms = times_quantile(&s->total, 0.95),
        .has_tokens_per_second = s->writing_ms > 0,
        .tokens_per_second = s->writing_ms > 0 ? s->written * 1000 / s->writing_ms : 0,
    };
}

static void job_reply(struct job *j)
{
    struct switch_stats_row *rows = arena_array(request_arena(j->r), j->count + 1, sizeof *rows);
    if (j->rc == 0 && !rows)
        j->rc = VX11_ENOMEM;
    if (j->rc != 0) {
        if (j->err.code == 0)
            (void)error_set(&j->err, j->rc, "the decisions cannot be added up: %s", error_describe(j->rc));
        request_fail_error(j->r, &j->err);
        return;
    }
    for (size_t i = 0; i < j->count; i++)
        row_fill(j->spans[i], &rows[i]);
    const struct switch_stats_reply reply = {
        .by = (int)j->by,
        .group = (int)j->group,
        .since = j->truncated ? j->oldest : j->since,
        .until = j->until,
        .currency = limits_currency(j->s->sw->budgets),
        .truncated = j->truncated,
        .rows = rows,
        .rows_count = j->count,
    };
    request_reply(j->r, 200, &switch_stats_reply_message, &reply);
}

static void job_free(struct job *j)
{
    for (size_t i = 0; i < j->count; i++) {
        free(j->spans[i]->provider);
        free(j->spans[i]->model);
        free(j->spans[i]);
    }
    free(j->spans);
    free(j->slots);
    free(j->model);
    free(j->provider);
    free(j);
}

static void on_worked(uv_work_t *work, int status)
{
    struct job *j = work->data;
    struct stats *s = j->s;
    if (status != 0)
        j->rc = VX11_ECANCELLED;
    job_reply(j);
    job_free(j);
    if (--s->running == 0 && s->stopped)
        s->stopped(s->stopped_ctx);
}

static void job_span(struct job *j, const struct switch_stats_query *q)
{
    const int64_t length = q->by == SWITCH_STATS_BY_HOUR ? HOUR_MS : DAY_MS;
    j->until = q->has_until ? q->until : clock_wall_ms() + 1;
    j->since = q->has_since ? q->since : j->until - (q->by == SWITCH_STATS_BY_HOUR ? DAY_MS : 30 * DAY_MS);
    j->since = j->since < 0 ? 0 : j->since - j->since % length;
}

static struct job *job_make(struct stats *s, struct request *r)
{
    const struct switch_stats_query *q = request_params(r);
    const struct principal *p = request_principal(r);
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->work.data = j;
    j->s = s;
    j->r = r;
    j->by = (enum switch_stats_by)q->by;
    j->group = (enum switch_stats_group)q->group;
    j->own = !principal_allows(p, CONTRACT_SCOPE_ADMIN);
    memcpy(j->principal, p->id, sizeof j->principal);
    j->model = q->model ? strdup(q->model) : NULL;
    j->provider = q->provider ? strdup(q->provider) : NULL;
    job_span(j, q);
    if ((q->model && !j->model) || (q->provider && !j->provider) ||
        module_store_path(module_config(s->sw->m), module_home(s->sw->m), j->path, sizeof j->path) != 0) {
        job_free(j);
        return NULL;
    }
    return j;
}

void stats_report(struct request *r, void *module)
{
    struct switch_ *sw = module;
    struct stats *s = sw->stats;
    if (s->running == STATS_AT_A_TIME) {
        request_retry_after(r, 1000);
        request_fail(r, 429, "stats_busy", NULL, "%d statistics are being added up already", s->running);
        return;
    }
    struct job *j = job_make(s, r);
    if (!j) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    if (uv_queue_work(module_loop(sw->m), &j->work, on_work, on_worked) != 0) {
        job_free(j);
        request_fail(r, 500, "internal", NULL, "no thread could be had");
        return;
    }
    s->running++;
}

/* ---- life ---- */

int stats_start(struct switch_ *sw, struct stats **out, struct error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return error_set(err, VX11_ENOMEM, "out of memory");
    (*out)->sw = sw;
    return 0;
}

void stats_stop(struct stats *s, void (*done)(void *ctx), void *ctx)
{
    if (!s || s->running == 0) {
        done(ctx);
        return;
    }
    s->stopped = done;
    s->stopped_ctx = ctx;
}

void stats_free(struct stats *s)
{
    free(s);
}
