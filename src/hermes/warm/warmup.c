/* Rounds: the models of a list, one after the other, for loading two at once would take longer for both. What
 * came of each is kept, also of models that were tried alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "hermes/warm/warm.h"

#define RESULTS_MOST 256
#define ROUND_MOST   64
#define QUIET        9 /* priority of what nobody waits for */
#define ORDINARY     4

struct round_wait {
    struct round_wait *next;
    void (*fn)(void *ctx); /* NULL: forgotten */
    void *ctx;
};

struct warmup {
    struct hermes *hermes;
    uv_timer_t timer; /* the next model of a round, or the next round */
    struct warm_result *results;
    size_t result_count, result_cap;
    bool begun, running, closing;
    bool changed; /* the list of preloaded models, while a round ran */
    /* the round */
    char *models[ROUND_MOST];
    size_t model_count, at;
    int64_t tokens, timeout_ms;
    bool load_only;
    int priority;
    struct trial *trial;
    struct round_wait *waits;
    int64_t last_at, next_at; /* epoch ms, 0: never */
    int64_t next_mono;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

static const struct config_hermes *settings(const struct warmup *w)
{
    return module_config(w->hermes->module)->values->hermes;
}

/* ---- results ---- */

static struct warm_result *result_find(const struct warmup *w, const char *model)
{
    for (size_t i = 0; i < w->result_count; i++)
        if (strcmp(w->results[i].model, model) == 0)
            return &w->results[i];
    return NULL;
}

/* Room for one more; the one that was tried longest ago and is not preloaded goes. */
static bool result_room(struct warmup *w)
{
    if (w->result_count < w->result_cap)
        return true;
    if (w->result_cap < RESULTS_MOST) {
        const size_t cap = w->result_cap ? w->result_cap * 2 : 8;
        struct warm_result *grown = realloc(w->results, cap * sizeof *grown);
        if (!grown)
            return false;
        w->results = grown;
        w->result_cap = cap;
        return true;
    }
    size_t oldest = 0;
    for (size_t i = 1; i < w->result_count; i++)
        if (w->results[i].at < w->results[oldest].at)
            oldest = i;
    w->results[oldest] = w->results[--w->result_count];
    return true;
}

static struct warm_result *result_of(struct warmup *w, const char *model)
{
    struct warm_result *r = result_find(w, model);
    if (r || !result_room(w))
        return r;
    r = &w->results[w->result_count++];
    warm_result_init(r, model);
    return r;
}

void warmup_note(struct warmup *w, const struct warm_result *found)
{
    struct warm_result *r = result_of(w, found->model);
    if (!r)
        return;
    const int64_t runs = r->runs, failures = r->failures;
    *r = *found;
    r->runs += runs;
    r->failures += failures;
}

/* ---- a round ---- */

static void round_next(struct warmup *w);
static void schedule(struct warmup *w);
static void preload(struct warmup *w);

static void on_timer(uv_timer_t *timer)
{
    struct warmup *w = timer->data;
    struct error err = {0};
    if (w->running) {
        round_next(w);
        return;
    }
    const int64_t left = w->next_mono - clock_mono_ms();
    if (left > 0) {
        uv_timer_start(&w->timer, on_timer, (uint64_t)left, 0);
        return;
    }
    w->priority = QUIET;
    if (warmup_run(w, NULL, 0, 0, 0, NULL, NULL, &err) != 0)
        log_error("warm", "the preloaded models are not tried", LOG_S("reason", err.text));
    if (!w->running)
        schedule(w);
}

/* The next round on schedule, counted from now. */
static void schedule(struct warmup *w)
{
    const struct config_hermes *c = settings(w);
    w->next_at = 0;
    if (w->closing || w->running || !w->begun || c->warmup->every_ms == 0 || c->preload_count == 0) {
        if (!w->running)
            uv_timer_stop(&w->timer);
        return;
    }
    w->next_at = clock_wall_ms() + c->warmup->every_ms;
    w->next_mono = clock_mono_ms() + c->warmup->every_ms;
    uv_timer_start(&w->timer, on_timer, (uint64_t)c->warmup->every_ms, 0);
}

static void round_end(struct warmup *w)
{
    struct round_wait *waits = w->waits;
    w->waits = NULL;
    w->running = false;
    w->last_at = clock_wall_ms();
    while (w->model_count > 0)
        free(w->models[--w->model_count]);
    while (waits) {
        struct round_wait *next = waits->next;
        if (waits->fn)
            waits->fn(waits->ctx);
        free(waits);
        waits = next;
    }
    if (w->changed && !w->running)
        preload(w);
    w->changed = false;
    schedule(w);
}

static void on_tried(void *ctx, const struct warm_result *result)
{
    struct warmup *w = ctx;
    struct warm_result found = *result;
    w->trial = NULL;
    if (w->load_only && found.state == HERMES_WARM_STATE_READY)
        found.state = HERMES_WARM_STATE_PENDING; /* loaded, but it has not generated */
    warmup_note(w, &found);
    if (found.state == HERMES_WARM_STATE_READY)
        log_info("warm", "a model is warm", LOG_S("model", found.model), LOG_I("load_ms", found.load_ms),
                 LOG_D("first_token_ms", found.first_token_ms), LOG_I("tokens", found.tokens));
    uv_timer_start(&w->timer, on_timer, 0, 0);
}

static void round_next(struct warmup *w)
{
    struct error err = {0};
    if (w->trial)
        return;
    if (w->at == w->model_count || w->closing) {
        round_end(w);
        return;
    }
    const char *model = w->models[w->at++];
    struct warm_result *r = result_of(w, model);
    if (r) {
        r->state = HERMES_WARM_STATE_RUNNING;
        r->reason[0] = r->code[0] = '\0';
    }
    const struct trial_options options = {.model = model,
                                          .tokens = w->tokens,
                                          .timeout_ms = w->timeout_ms,
                                          .load_only = w->load_only,
                                          .priority = w->priority};
    if (trial_run(w->hermes, &options, on_tried, w, &w->trial, &err) != 0) {
        struct warm_result failed;
        warm_result_init(&failed, model);
        failed.state = HERMES_WARM_STATE_FAILED;
        failed.at = clock_wall_ms();
        failed.runs = failed.failures = 1;
        (void)snprintf(failed.code, sizeof failed.code, "warm_failed");
        (void)snprintf(failed.reason, sizeof failed.reason, "%.399s", err.text);
        on_tried(w, &failed);
    }
}

static int round_fill(struct warmup *w, const char *const *models, size_t n)
{
    for (size_t i = 0; i < n && w->model_count < ROUND_MOST; i++) {
        bool twice = false;
        for (size_t k = 0; k < w->model_count; k++)
            twice = twice || strcmp(w->models[k], models[i]) == 0;
        if (twice)
            continue;
        w->models[w->model_count] = strdup(models[i]);
        if (!w->models[w->model_count])
            return VX11_ENOMEM;
        w->model_count++;
    }
    return 0;
}

int warmup_run(struct warmup *w, const char *const *models, size_t n, int64_t tokens, int64_t timeout_ms,
               void (*fn)(void *ctx), void *ctx, struct error *err)
{
    const struct config_hermes *c = settings(w);
    if (w->closing)
        return error_set(err, VX11_ECANCELLED, "Hermes is stopping");
    if (w->running)
        return error_set(err, VX11_EBUSY, "models are being tried already");
    struct round_wait *wait = fn ? calloc(1, sizeof *wait) : NULL;
    int rc = fn && !wait ? VX11_ENOMEM
                         : round_fill(w, models ? models : c->preload, models ? n : c->preload_count);
    if (rc != 0) {
        free(wait);
        while (w->model_count > 0)
            free(w->models[--w->model_count]);
        return error_set(err, rc, "out of memory");
    }
    if (wait) {
        *wait = (struct round_wait){.fn = fn, .ctx = ctx};
        w->waits = wait;
        w->priority = ORDINARY;
    }
    w->tokens = tokens > 0 ? tokens : c->warmup->tokens;
    w->timeout_ms = timeout_ms > 0 ? timeout_ms : c->warmup->timeout_ms;
    w->load_only = false;
    w->at = 0;
    w->running = true;
    w->next_at = 0;
    uv_timer_start(&w->timer, on_timer, 0, 0);
    return 0;
}

void warmup_forget(struct warmup *w, void *ctx)
{
    for (struct round_wait *r = w->waits; r; r = r->next)
        if (r->ctx == ctx)
            r->fn = NULL;
}

/* ---- beginning, settings ---- */

static void preload(struct warmup *w)
{
    struct error err = {0};
    const struct config_hermes *c = settings(w);
    if (c->preload_count == 0)
        return;
    w->priority = QUIET;
    if (warmup_run(w, NULL, 0, 0, 0, NULL, NULL, &err) != 0) {
        log_error("warm", "the models cannot be preloaded", LOG_S("reason", err.text));
        return;
    }
    w->load_only = !c->warmup->startup;
}

void warmup_begin(struct warmup *w)
{
    if (w->begun || w->closing)
        return;
    w->begun = true;
    preload(w);
    schedule(w);
}

static bool same_list(const struct config_hermes *a, const struct config_hermes *b)
{
    if (a->preload_count != b->preload_count)
        return false;
    for (size_t i = 0; i < a->preload_count; i++)
        if (strcmp(a->preload[i], b->preload[i]) != 0)
            return false;
    return true;
}

void warmup_configure(struct warmup *w, const struct config *before, const struct config *now)
{
    const struct config_hermes *b = before->values->hermes, *n = now->values->hermes;
    const bool other = !same_list(b, n);
    w->changed = w->running && (w->changed || other);
    if (!w->begun || w->running)
        return; /* the round's end looks at the new list and schedule */
    if (other)
        preload(w);
    else if (b->warmup->every_ms != n->warmup->every_ms)
        schedule(w);
}

int warmup_create(struct hermes *h, struct warmup **out, struct error *err)
{
    struct warmup *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, VX11_ENOMEM, "out of memory");
    w->hermes = h;
    uv_timer_init(module_loop(h->module), &w->timer);
    w->timer.data = w;
    *out = w;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct warmup *w = handle->data;
    void (*closed)(void *ctx) = w->closed;
    void *ctx = w->closed_ctx;
    free(w->results);
    free(w);
    closed(ctx);
}

void warmup_close(struct warmup *w, void (*done)(void *ctx), void *ctx)
{
    w->closing = true;
    w->closed = done;
    w->closed_ctx = ctx;
    if (w->trial)
        trial_cancel(w->trial);
    w->trial = NULL;
    while (w->waits) {
        struct round_wait *next = w->waits->next;
        free(w->waits);
        w->waits = next;
    }
    while (w->model_count > 0)
        free(w->models[--w->model_count]);
    uv_close((uv_handle_t *)&w->timer, on_closed);
}

/* ---- view ---- */

static int by_name(const void *a, const void *b)
{
    const struct hermes_warm_result *x = a, *y = b;
    return strcmp(x->model, y->model);
}

int warmup_view(const struct warmup *w, struct arena *a, struct hermes_warmup_status *out)
{
    const struct config_hermes *c = settings(w);
    const size_t most = w->result_count + c->preload_count + 1;
    *out = (struct hermes_warmup_status){
        .enabled = c->preload_count > 0,
        .running = w->running,
        .preload = c->preload,
        .preload_count = c->preload_count,
        .has_every_ms = c->warmup->every_ms > 0,
        .every_ms = c->warmup->every_ms,
        .has_last_at = w->last_at > 0,
        .last_at = w->last_at,
        .has_next_at = w->next_at > 0,
        .next_at = w->next_at,
        .models = arena_array(a, most, sizeof *out->models),
    };
    if (!out->models)
        return VX11_ENOMEM;
    for (size_t i = 0; i < w->result_count; i++)
        warm_result_view(&w->results[i], &out->models[out->models_count++]);
    for (size_t i = 0; i < c->preload_count; i++)
        if (!result_find(w, c->preload[i]))
            out->models[out->models_count++] =
                (struct hermes_warm_result){.model = c->preload[i], .state = HERMES_WARM_STATE_PENDING};
    qsort(out->models, out->models_count, sizeof *out->models, by_name);
    for (size_t i = 0; i < out->models_count; i++) {
        out->total_ready += out->models[i].state == HERMES_WARM_STATE_READY;
        out->total_failed += out->models[i].state == HERMES_WARM_STATE_FAILED;
    }
    return 0;
}
