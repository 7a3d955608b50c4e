/* Learner: the table, and learning again from what was accounted for. */
#include "switch/selection/learner_internal.h"

#include <stdlib.h>
#include <string.h>

#include "api/switch.h"
#include "base/log.h"
#include "contract/contract.h"

static const char sql_read[] =
    "SELECT task_type, provider, model, at, weight, success, first_token_weight, first_token_sum, "
    "token_weight, token_sum, total_weight, total_sum, requests, failures, ratings FROM learned "
    "ORDER BY at DESC LIMIT ?1";
static const char sql_write[] =
    "INSERT INTO learned (task_type, provider, model, at, weight, success, first_token_weight, "
    "first_token_sum, token_weight, token_sum, total_weight, total_sum, requests, failures, ratings) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) "
    "ON CONFLICT (task_type, provider, model) DO UPDATE SET at = ?4, weight = ?5, success = ?6, "
    "first_token_weight = ?7, first_token_sum = ?8, token_weight = ?9, token_sum = ?10, "
    "total_weight = ?11, total_sum = ?12, requests = ?13, failures = ?14, ratings = ?15";
static const char sql_forget[] = "DELETE FROM learned WHERE task_type = ?1 AND provider = ?2 AND model = ?3";
static const char sql_decisions[] =
    "SELECT task_type, candidates FROM decision WHERE task_type IS NOT NULL AND candidates IS NOT NULL";
static const char sql_feedback[] = "SELECT task_type, provider, model, at, rating FROM feedback";

static struct mean mean_read(const struct store_row *r, int column)
{
    return (struct mean){row_real(r, column), row_real(r, column + 1)};
}

static int on_row(void *ctx, const struct store_row *r)
{
    struct learner *l = ctx;
    struct learner_row *row = learner_row(l, row_text(r, 0), row_text(r, 1), row_text(r, 2));
    if (!row)
        return VX11_ENOMEM;
    row->at = row_int(r, 3);
    row->success = mean_read(r, 4);
    row->first_token = mean_read(r, 6);
    row->token = mean_read(r, 8);
    row->total = mean_read(r, 10);
    row->requests = row_int(r, 12);
    row->failures = row_int(r, 13);
    row->ratings = row_int(r, 14);
    row->dirty = false;
    return 0;
}

int learner_load(struct learner *l, struct store *s, struct error *err)
{
    struct store_value most = STORE_I(l->max_rows);
    learner_clear(l);
    return store_query(s, sql_read, &most, 1, on_row, l, err);
}

static int row_push(const struct learner_row *r, struct writer *w)
{
    struct store_value v[] = {
        store_text(r->task),
        store_text(r->provider),
        store_text(r->model),
        STORE_I(r->at),
        STORE_D(r->success.weight),
        STORE_D(r->success.sum),
        STORE_D(r->first_token.weight),
        STORE_D(r->first_token.sum),
        STORE_D(r->token.weight),
        STORE_D(r->token.sum),
        STORE_D(r->total.weight),
        STORE_D(r->total.sum),
        STORE_I(r->requests),
        STORE_I(r->failures),
        STORE_I(r->ratings),
    };
    return writer_push(w, sql_write, v, sizeof v / sizeof v[0]);
}

static int gone_push(struct learner_gone *g, struct writer *w)
{
    struct store_value v[] = {store_text(g->task), store_text(g->provider), store_text(g->model)};
    int rc = writer_push(w, sql_forget, v, 3);
    if (rc != 0)
        return rc;
    free(g->task);
    free(g->provider);
    free(g->model);
    return 0;
}

void learner_flush(struct learner *l, struct writer *w)
{
    int rc = 0;
    /* Deletions first: what has gone may have come back since. */
    while (l->gone_count > 0 && (rc = gone_push(&l->gone[l->gone_count - 1], w)) == 0)
        l->gone_count--;
    for (size_t i = 0; i < l->count && rc == 0; i++) {
        if (!l->rows[i].dirty)
            continue;
        rc = row_push(&l->rows[i], w);
        l->rows[i].dirty = rc != 0;
    }
    if (rc != 0)
        log_warn("learner", "what was learned could not be written yet", LOG_S("reason", error_describe(rc)));
}

/* ---- again, from the beginning ---- */

struct rebuild {
    struct learner *l;
    struct arena *a;
};

static void outcome_learn(struct learner *l, const char *task, const struct switch_candidate *c,
                          const struct switch_attempt_outcome *o)
{
    const struct observation seen = {.at = o->at,
                                     .ok = o->ok,
                                     .first_token_ms = o->has_first_token_ms ? o->first_token_ms : -1,
                                     .total_ms = o->has_total_ms ? o->total_ms : -1,
                                     .tokens = o->has_tokens ? o->tokens : -1};
    learner_observe(l, task, c->provider, c->model, &seen);
}

static int on_decision(void *ctx, const struct store_row *r)
{
    struct rebuild *b = ctx;
    struct switch_candidate_list list;
    const char *task = row_text(r, 0), *text = row_text(r, 1);
    arena_reset(b->a);
    if (switch_candidate_list_parse(b->a, text, strlen(text), &list, NULL) != 0)
        return 0; /* written by another version: it tells nothing */
    for (size_t i = 0; i < list.candidates_count; i++) {
        const struct switch_candidate *c = &list.candidates[i];
        for (size_t k = 0; k < c->outcomes_count; k++)
            outcome_learn(b->l, task, c, &c->outcomes[k]);
    }
    return 0;
}

static int on_feedback(void *ctx, const struct store_row *r)
{
    struct rebuild *b = ctx;
    learner_rate(b->l, row_text(r, 0), row_text(r, 1), row_text(r, 2), row_int(r, 3), row_real(r, 4));
    return 0;
}

int learner_rebuild(struct learner *l, struct store *s, struct error *err)
{
    struct rebuild b = {l, arena_create(0)};
    if (!b.a)
        return error_set(err, VX11_ENOMEM, "out of memory");
    learner_clear(l);
    int rc = store_query(s, sql_decisions, NULL, 0, on_decision, &b, err);
    if (rc == 0)
        rc = store_query(s, sql_feedback, NULL, 0, on_feedback, &b, err);
    arena_destroy(b.a);
    return rc;
}
