/* What was learned, and what people and other modules add to it. */
#include "switch/selection/routes.h"
#include "switch/selection/selector_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/ulid.h"

static const char sql_decision[] =
    "SELECT task_type, provider, model, principal_id FROM decision WHERE request_id = ?1 AND outcome = 'ok' "
    "AND provider IS NOT NULL ORDER BY at DESC LIMIT 1";
static const char sql_rated[] = "SELECT count(*) FROM feedback WHERE request_id = ?1";
static const char sql_feedback[] =
    "INSERT INTO feedback (id, request_id, at, principal_name, task_type, provider, model, rating, note) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/* ---- GET /switch/learner ---- */

struct rows {
    struct switch_learned_row *list;
    size_t count;
};

static int on_row(void *ctx, const char *task, const char *provider, const char *model,
                  const struct learned *row)
{
    struct rows *rows = ctx;
    rows->list[rows->count++] = (struct switch_learned_row){
        .task_type = task,
        .provider = provider,
        .model = model,
        .learned = row->learned,
        .has_success = row->success >= 0,
        .success = row->success,
        .weight = row->weight,
        .has_first_token_ms = row->first_token_ms >= 0,
        .first_token_ms = row->first_token_ms,
        .has_token_ms = row->token_ms >= 0,
        .token_ms = row->token_ms,
        .has_total_ms = row->total_ms >= 0,
        .total_ms = row->total_ms,
        .requests = row->requests,
        .failures = row->failures,
        .ratings = row->ratings,
        .updated_at = row->updated_at,
    };
    return 0;
}

void learner_show(struct request *r, void *module)
{
    struct switch_ *sw = module;
    struct learner *l = selector_learner(sw->selector);
    struct rows rows = {.list = arena_array(request_arena(r), learner_count(l) + 1, sizeof *rows.list)};
    if (!rows.list || learner_each(l, clock_wall_ms(), on_row, &rows) != 0) {
        request_fail(r, 500, "out_of_memory", NULL, "out of memory");
        return;
    }
    struct switch_learner_reply out = {.status = SWITCH_LEARNER_REPLY_STATUS_OK,
                                       .half_life_ms = learner_half_life(l),
                                       .rows = rows.list,
                                       .rows_count = rows.count};
    request_reply(r, 200, &switch_learner_reply_message, &out);
}

static double learned_now(struct switch_ *sw, const char *task, const char *provider, const char *model)
{
    struct learned l;
    learner_get(selector_learner(sw->selector), task, provider, model, clock_wall_ms(), &l);
    return l.learned;
}

/* ---- POST /switch/hermes/record_result ---- */

/* PROVIDER/MODEL, or a model that one provider offers. */
static const struct provider *engine_find(const struct switch_ *sw, const char *name, const char **model)
{
    const struct provider *found = NULL;
    size_t n = 0;
    *model = name;
    for (size_t i = 0; i < sw->provider_count; i++) {
        const struct provider *p = sw->providers[i];
        size_t len = strlen(p->name);
        if (strncmp(name, p->name, len) == 0 && name[len] == '/' && name[len + 1]) {
            *model = name + len + 1;
            return provider_offers(p, *model) || (!p->models_fixed && p->models_at == 0) ? p : NULL;
        }
        if (p->enabled && provider_offers(p, name)) {
            found = p;
            n++;
        }
    }
    return n == 1 ? found : NULL;
}

void learner_record(struct request *r, void *module)
{
    struct switch_ *sw = module;
    const struct switch_record_result *body = request_body(r);
    const char *model = NULL;
    const struct provider *p = engine_find(sw, body->engine, &model);
    enum task_type task = TASK_TYPE_CHAT;
    if (!p) {
        request_fail(r, 404, "engine_not_found", "engine",
                     "no provider offers %.120s, or several do: name it as PROVIDER/MODEL", body->engine);
        return;
    }
    if (body->task_type && body->task_type[0] && !task_type_parse(body->task_type, &task)) {
        request_fail(r, 422, "invalid_task_type", "task_type", "there is no task type %.64s",
                     body->task_type);
        return;
    }
    const struct observation o = {.at = clock_wall_ms(),
                                  .ok = body->success,
                                  .first_token_ms = -1,
                                  .total_ms = body->latency_ms > 0 ? (double)body->latency_ms : -1,
                                  .tokens = body->has_tokens ? body->tokens : -1};
    learner_observe(selector_learner(sw->selector), task_type_name(task), p->name, model, &o);
    struct switch_record_reply out = {
        .status = SWITCH_RECORD_REPLY_STATUS_OK,
        .engine = arena_printf(request_arena(r), "%s/%s", p->name, model),
        .recorded = true,
        .learned = learned_now(sw, task_type_name(task), p->name, model),
    };
    request_reply(r, 200, &switch_record_reply_message, &out);
}

/* ---- POST /switch/feedback ---- */

struct rated {
    struct arena *a;
    const char *task, *provider, *model, *principal;
    int64_t before;
};

static int on_decision(void *ctx, const struct store_row *row)
{
    struct rated *d = ctx;
    d->task = row_is_null(row, 0) ? "chat" : arena_strdup(d->a, row_text(row, 0));
    d->provider = arena_strdup(d->a, row_text(row, 1));
    d->model = row_is_null(row, 2) ? "" : arena_strdup(d->a, row_text(row, 2));
    d->principal = row_is_null(row, 3) ? NULL : arena_strdup(d->a, row_text(row, 3));
    return 0;
}

static int on_count(void *ctx, const struct store_row *row)
{
    ((struct rated *)ctx)->before = row_int(row, 0);
    return 0;
}

/* What was asked by others is for those who may do everything; so nobody learns of it either. */
static bool may_rate(struct request *r, const struct rated *d)
{
    const struct principal *p = request_principal(r);
    return p &&
           (principal_allows(p, CONTRACT_SCOPE_ADMIN) || (d->principal && strcmp(p->id, d->principal) == 0));
}

void learner_feedback(struct request *r, void *module)
{
    struct switch_ *sw = module;
    const struct switch_feedback_request *body = request_body(r);
    struct store *store = module_store(sw->m);
    struct rated d = {.a = request_arena(r)};
    struct store_value key = store_text(body->request_id);
    struct error err = {0};
    char id[ULID_LEN + 1];
    int rc = store_query(store, sql_decision, &key, 1, on_decision, &d, &err);
    if (rc == 0)
        rc = store_query(store, sql_rated, &key, 1, on_count, &d, &err);
    if (rc != 0) {
        request_fail_error(r, &err);
        return;
    }
    if (!d.provider || !may_rate(r, &d)) {
        request_fail(r, 404, "request_not_found", "request_id",
                     "no answer of yours has the request id %.128s", body->request_id);
        return;
    }
    if (d.before > 0) {
        request_fail(r, 409, "already_rated", "request_id", "that answer was rated before");
        return;
    }
    int64_t now = clock_wall_ms();
    ulid_make(id);
    const struct store_value v[] = {store_text(id),        key,
                                    STORE_I(now),          store_text(request_principal(r)->name),
                                    store_text(d.task),    store_text(d.provider),
                                    store_text(d.model),   STORE_D(body->rating),
                                    store_text(body->note)};
    rc = store_exec(store, sql_feedback, v, COUNT_OF(v), NULL, &err);
    if (rc != 0) {
        request_fail_error(r, &err);
        return;
    }
    learner_rate(selector_learner(sw->selector), d.task, d.provider, d.model, now, body->rating);
    struct switch_feedback_reply out = {.status = SWITCH_FEEDBACK_REPLY_STATUS_OK,
                                        .provider = d.provider,
                                        .model = d.model,
                                        .task_type = d.task,
                                        .learned = learned_now(sw, d.task, d.provider, d.model)};
    request_reply(r, 200, &switch_feedback_reply_message, &out);
}
