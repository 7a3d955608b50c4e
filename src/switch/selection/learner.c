/* Learner: the rows in memory. */
#include "switch/selection/learner_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- rows ---- */

static uint32_t hash_of(const char *task, const char *provider, const char *model)
{
    const char *parts[] = {task, provider, model};
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < 3; i++)
        for (const char *s = parts[i];; s++) {
            h = (h ^ (unsigned char)*s) * 16777619u;
            if (!*s)
                break;
        }
    return h;
}

/* The analyzer does not see that the last one takes the place of the one that goes. */
// NOLINTBEGIN(clang-analyzer-unix.Malloc)
static void row_free(struct learner_row *r)
{
    free(r->task);
    free(r->provider);
    free(r->model);
}
// NOLINTEND(clang-analyzer-unix.Malloc)

static void buckets_fill(struct learner *l)
{
    for (size_t i = 0; i < l->bucket_count; i++)
        l->buckets[i] = -1;
    for (size_t i = 0; i < l->count; i++) {
        struct learner_row *r = &l->rows[i];
        int32_t *head = &l->buckets[r->hash & (l->bucket_count - 1)];
        r->next = *head;
        *head = (int32_t)i;
    }
}

static bool rows_grow(struct learner *l)
{
    size_t cap = l->cap ? l->cap * 2 : 64;
    struct learner_row *rows = realloc(l->rows, cap * sizeof *rows);
    if (!rows)
        return false;
    l->rows = rows;
    l->cap = cap;
    int32_t *buckets = realloc(l->buckets, cap * 2 * sizeof *buckets);
    if (!buckets)
        return false;
    l->buckets = buckets;
    l->bucket_count = cap * 2;
    buckets_fill(l);
    return true;
}

struct learner_row *learner_find(const struct learner *l, const char *task, const char *provider,
                                 const char *model)
{
    uint32_t h = hash_of(task, provider, model);
    if (l->bucket_count == 0)
        return NULL;
    for (int32_t i = l->buckets[h & (l->bucket_count - 1)]; i >= 0; i = l->rows[i].next) {
        struct learner_row *r = &l->rows[i];
        if (r->hash == h && strcmp(r->task, task) == 0 && strcmp(r->provider, provider) == 0 &&
            strcmp(r->model, model) == 0)
            return r;
    }
    return NULL;
}

/* Takes out the row not seen for longest, and remembers that the table still has it. */
static void row_evict(struct learner *l)
{
    size_t oldest = 0;
    for (size_t i = 1; i < l->count; i++)
        if (l->rows[i].at < l->rows[oldest].at)
            oldest = i;
    struct learner_row *r = &l->rows[oldest];
    struct learner_gone *gone = realloc(l->gone, (l->gone_count + 1) * sizeof *gone);
    if (gone) {
        l->gone = gone;
        gone[l->gone_count++] = (struct learner_gone){r->task, r->provider, r->model};
    } else {
        row_free(r);
    }
    *r = l->rows[--l->count];
    buckets_fill(l);
}

struct learner_row *learner_row(struct learner *l, const char *task, const char *provider, const char *model)
{
    struct learner_row *r = learner_find(l, task, provider, model);
    if (r)
        return r;
    while (l->count > 0 && l->count >= l->max_rows)
        row_evict(l);
    if (l->count == l->cap && !rows_grow(l))
        return NULL;
    r = &l->rows[l->count];
    *r = (struct learner_row){.task = strdup(task),
                              .provider = strdup(provider),
                              .model = strdup(model),
                              .at = INT64_MIN,
                              .hash = hash_of(task, provider, model)};
    if (!r->task || !r->provider || !r->model) {
        row_free(r);
        return NULL;
    }
    int32_t *head = &l->buckets[r->hash & (l->bucket_count - 1)];
    r->next = *head;
    *head = (int32_t)l->count++;
    return r;
}

void learner_clear(struct learner *l)
{
    for (size_t i = 0; i < l->count; i++)
        row_free(&l->rows[i]);
    l->count = 0;
    if (l->bucket_count > 0)
        buckets_fill(l);
}

/* ---- life ---- */

struct learner *learner_create(int64_t half_life_ms, size_t max_rows)
{
    struct learner *l = calloc(1, sizeof *l);
    if (l)
        learner_configure(l, half_life_ms, max_rows);
    return l;
}

void learner_configure(struct learner *l, int64_t half_life_ms, size_t max_rows)
{
    l->half_life_ms = (double)half_life_ms;
    l->max_rows = max_rows;
}

int64_t learner_half_life(const struct learner *l)
{
    return (int64_t)l->half_life_ms;
}

void learner_destroy(struct learner *l)
{
    if (!l)
        return;
    learner_clear(l);
    for (size_t i = 0; i < l->gone_count; i++) {
        free(l->gone[i].task);
        free(l->gone[i].provider);
        free(l->gone[i].model);
    }
    free(l->gone);
    free(l->rows);
    free(l->buckets);
    free(l);
}

size_t learner_count(const struct learner *l)
{
    return l->count;
}

/* ---- learning ---- */

static double decay(const struct learner *l, int64_t from, int64_t to)
{
    return to <= from ? 1 : exp2(-(double)(to - from) / l->half_life_ms);
}

static void mean_scale(struct mean *m, double factor)
{
    m->weight *= factor;
    m->sum *= factor;
}

static void mean_add(struct mean *m, double value, double weight)
{
    m->weight += weight;
    m->sum += value * weight;
}

/* Brings the row's sums to `at`, and says what something that happened then weighs. One that is told late
 * finds the sums ahead of it: then it is the one that has decayed. */
static double row_advance(const struct learner *l, struct learner_row *r, int64_t at)
{
    struct mean *means[] = {&r->success, &r->first_token, &r->token, &r->total};
    r->dirty = true;
    if (r->at == INT64_MIN)
        r->at = at;
    if (at < r->at)
        return decay(l, at, r->at);
    double factor = decay(l, r->at, at);
    for (size_t i = 0; i < 4; i++)
        mean_scale(means[i], factor);
    r->at = at;
    return 1;
}

static void row_observe(const struct learner *l, struct learner_row *r, const struct observation *o)
{
    double weight = row_advance(l, r, o->at);
    mean_add(&r->success, o->ok, weight);
    r->requests++;
    r->failures += !o->ok;
    if (!o->ok) /* how long it took to fail says nothing about answers */
        return;
    if (o->first_token_ms >= 0)
        mean_add(&r->first_token, o->first_token_ms, weight);
    if (o->total_ms >= 0)
        mean_add(&r->total, o->total_ms, weight);
    if (o->first_token_ms >= 0 && o->total_ms >= o->first_token_ms && o->tokens > 1)
        mean_add(&r->token, (o->total_ms - o->first_token_ms) / (double)(o->tokens - 1), weight);
}

void learner_observe(struct learner *l, const char *task, const char *provider, const char *model,
                     const struct observation *o)
{
    const char *tasks[] = {task, LEARNER_ALL};
    for (size_t i = 0; i < 2; i++) {
        struct learner_row *r = learner_row(l, tasks[i], provider, model);
        if (r)
            row_observe(l, r, o);
    }
}

void learner_rate(struct learner *l, const char *task, const char *provider, const char *model, int64_t at,
                  double rating)
{
    const char *tasks[] = {task, LEARNER_ALL};
    for (size_t i = 0; i < 2; i++) {
        struct learner_row *r = learner_row(l, tasks[i], provider, model);
        if (!r)
            continue;
        double weight = row_advance(l, r, at) * LEARNER_RATING * fabs(rating);
        mean_add(&r->success, rating > 0, weight);
        r->ratings++;
    }
}

/* ---- what is known ---- */

static double mean_of(const struct mean *m)
{
    /* Below this nothing but the rounding of what has decayed is left. */
    return m->weight > 1e-6 ? m->sum / m->weight : -1;
}

static void learned_row(const struct learner *l, const struct learner_row *r, int64_t now,
                        struct learned *out)
{
    double left = decay(l, r->at, now);
    *out = (struct learned){
        .success = mean_of(&r->success),
        .weight = r->success.weight * left,
        .first_token_ms = mean_of(&r->first_token),
        .token_ms = mean_of(&r->token),
        .total_ms = mean_of(&r->total),
        .requests = r->requests,
        .failures = r->failures,
        .ratings = r->ratings,
        .updated_at = r->at,
        .any = true,
    };
}

static double drawn_to(double success, double weight, double prior)
{
    double well = success < 0 ? 0 : success * weight;
    return (well + LEARNER_PRIOR * prior) / (weight + LEARNER_PRIOR);
}

void learner_get(const struct learner *l, const char *task, const char *provider, const char *model,
                 int64_t now, struct learned *out)
{
    const struct learner_row *own = learner_find(l, task, provider, model),
                             *all = learner_find(l, LEARNER_ALL, provider, model);
    struct learned rest = {
        .learned = 0.5, .success = -1, .first_token_ms = -1, .token_ms = -1, .total_ms = -1};
    *out = rest;
    if (all) {
        learned_row(l, all, now, &rest);
        rest.learned = drawn_to(rest.success, rest.weight, 0.5);
        *out = rest;
    }
    if (!own || own == all)
        return;
    learned_row(l, own, now, out);
    out->learned = drawn_to(out->success, out->weight, rest.learned);
    if (out->first_token_ms < 0)
        out->first_token_ms = rest.first_token_ms;
    if (out->token_ms < 0)
        out->token_ms = rest.token_ms;
    if (out->total_ms < 0)
        out->total_ms = rest.total_ms;
}

static int row_order(const void *left, const void *right)
{
    const struct learner_row *a = *(const struct learner_row *const *)left,
                             *b = *(const struct learner_row *const *)right;
    int order = strcmp(a->task, b->task);
    order = order ? order : strcmp(a->provider, b->provider);
    return order ? order : strcmp(a->model, b->model);
}

int learner_each(struct learner *l, int64_t now,
                 int (*fn)(void *ctx, const char *task, const char *provider, const char *model,
                           const struct learned *row),
                 void *ctx)
{
    int rc = 0;
    const struct learner_row **sorted = calloc(l->count + 1, sizeof *sorted);
    if (!sorted)
        return VX11_ENOMEM;
    for (size_t i = 0; i < l->count; i++)
        sorted[i] = &l->rows[i];
    qsort(sorted, l->count, sizeof *sorted, row_order);
    for (size_t i = 0; i < l->count && rc == 0; i++) {
        const struct learner_row *r = sorted[i];
        struct learned row, known;
        learned_row(l, r, now, &row);
        learner_get(l, r->task, r->provider, r->model, now, &known);
        row.learned = known.learned;
        rc = fn(ctx, r->task, r->provider, r->model, &row);
    }
    free(sorted);
    return rc;
}
