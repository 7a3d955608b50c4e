/* Calls: who called whom between two looks, for as many looks as make a minute. */
#include "operator/samples/samples_internal.h"

#include <stdlib.h>
#include <string.h>

static void tick_free(struct tick *t)
{
    free(t->edges);
    memset(t, 0, sizeof *t);
}

void calls_push(struct calls_log *l, int64_t from, int64_t to, struct edge *edges, size_t count)
{
    if (l->count == SAMPLES_TICKS) {
        tick_free(&l->ticks[l->head]);
        l->head = (l->head + 1) % SAMPLES_TICKS;
        l->count--;
    }
    l->ticks[(l->head + l->count++) % SAMPLES_TICKS] =
        (struct tick){.from = from, .to = to, .edges = edges, .count = count};
}

static struct edge *edge_get(struct edge *list, size_t *count, const struct edge *like)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(list[i].from, like->from) == 0 && strcmp(list[i].to, like->to) == 0)
            return &list[i];
    struct edge *e = &list[(*count)++];
    memcpy(e->from, like->from, sizeof e->from);
    memcpy(e->to, like->to, sizeof e->to);
    return e;
}

int calls_sum(const struct calls_log *l, int64_t since, struct edge **edges, size_t *count, int64_t *window)
{
    size_t most = 0, n = 0, first = l->count;
    *edges = NULL;
    *count = 0;
    *window = 0;
    /* The last tick counts however long it is: an interval may be as long as the window. */
    while (first > 0 && (first == l->count || l->ticks[(l->head + first - 1) % SAMPLES_TICKS].from >= since))
        first--;
    for (size_t i = first; i < l->count; i++)
        most += l->ticks[(l->head + i) % SAMPLES_TICKS].count;
    struct edge *sum = calloc(most + 1, sizeof *sum);
    if (!sum)
        return VX11_ENOMEM;
    for (size_t i = first; i < l->count; i++) {
        const struct tick *t = &l->ticks[(l->head + i) % SAMPLES_TICKS];
        *window += t->to - t->from;
        for (size_t k = 0; k < t->count; k++) {
            struct edge *e = edge_get(sum, &n, &t->edges[k]);
            e->ok += t->edges[k].ok;
            e->failed += t->edges[k].failed;
            e->cancelled += t->edges[k].cancelled;
            times_add(&e->times, &t->edges[k].times);
        }
    }
    *edges = sum;
    *count = n;
    return 0;
}

void calls_clear(struct calls_log *l)
{
    for (size_t i = 0; i < l->count; i++)
        tick_free(&l->ticks[(l->head + i) % SAMPLES_TICKS]);
    l->head = l->count = 0;
}
