/* Choice: see the header. */
#include "switch/selection/choice.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* ---- constraints ---- */

/* What the wish needs of a model: NULL, or why this one cannot. *unknown: abilities that nobody tells of. */
static const char *unable(const struct choice_query *q, const struct choice_fact *f, unsigned *unknown)
{
    const struct {
        bool wanted;
        signed char has;
        const char *reason;
    } needs[] = {
        {q->wish->tools, f->tools, "it cannot call tools"},
        {q->wish->vision, f->vision, "it takes no images"},
        {q->wish->json_schema, f->json_schema, "it does not keep to a schema"},
    };
    if (!(f->can & q->needs))
        return q->wish->kind == DISPATCH_EMBEDDING ? "it makes no embeddings" : "it only makes embeddings";
    for (size_t i = 0; i < COUNT_OF(needs); i++) {
        if (needs[i].wanted && needs[i].has == FACT_NO)
            return needs[i].reason;
        *unknown += needs[i].wanted && needs[i].has == FACT_UNKNOWN;
    }
    return NULL;
}

static const char *drop_reason(struct arena *a, const struct choice_query *q, const struct choice_fact *f,
                               unsigned *unknown)
{
    const struct wish *w = q->wish;
    if (w->local_only && !f->stays)
        return "the request is local_only, and this would leave the machine";
    if (w->allows && !w->allows(w->allows_ctx, w->model, f->provider, f->model))
        return "the caller's token may not use it";
    if (q->open && f->unnamed)
        return "nobody named it in the configuration, so Switch does not choose it by itself";
    const char *why = unable(q, f, unknown);
    if (why)
        return why;
    /* The estimate may be wrong: a model that was named judges for itself. */
    if (!q->by_name && f->context >= 0 && w->prompt_tokens >= f->context)
        return arena_printf(a, "its context of %lld tokens is too short for about %lld",
                            (long long)f->context, (long long)w->prompt_tokens);
    return NULL;
}

/* ---- score ---- */

static void choice_score(const struct choice_query *q, const struct choice_fact *f, unsigned unknown,
                         struct score *out)
{
    const struct mode_profile *mode = mode_profile(q->mode);
    const struct score_input in = {
        .quality = f->quality,
        .first_token_ms = f->first_token_ms,
        .token_ms = f->token_ms,
        .load_ms = f->load_ms,
        .input_price = f->input_price,
        .output_price = q->wish->kind == DISPATCH_EMBEDDING && f->output_price < 0 ? 0 : f->output_price,
        .prompt_tokens = (double)q->wish->prompt_tokens,
        .answer_tokens = (double)q->wish->answer_tokens,
        .learned = f->learned,
        .preferred = (mode->preferred & 1u << f->kind) != 0,
        .unknown = unknown,
        .strained = f->kind == SWITCH_PROVIDER_KIND_LOCAL && q->host == SWITCH_FLUZO_PROFILE_LOW_POWER,
    };
    score_make(&in, &q->weights, out);
}

/* ---- order ---- */

static int numbers(double a, double b)
{
    return (a > b) - (a < b);
}

struct rank {
    struct choice choice;
    enum choice_order order;
};

static int rank_compare(const void *left, const void *right)
{
    const struct rank *a = left, *b = right;
    const struct choice_fact *f = a->choice.fact, *g = b->choice.fact;
    int by_state = numbers(a->choice.state, b->choice.state);
    int by_stand_in = numbers(f->stand_in, g->stand_in), by_pin = numbers(g->pinned, f->pinned);
    int by_order = numbers((double)f->order, (double)g->order);
    int by_score = numbers(b->choice.score.total, a->choice.score.total);
    if (by_state != 0)
        return by_state;
    if (by_stand_in != 0)
        return by_stand_in;
    if (f->stand_in)
        return by_order;
    if (by_pin != 0)
        return by_pin;
    if (a->order == CHOICE_SCORE && by_score != 0)
        return by_score;
    return by_order != 0 ? by_order : by_score;
}

static const char *place_reason(const struct choice_query *q, const struct choice_fact *f)
{
    if (f->stand_in)
        return f->builtin ? "the built-in guide, since there is nothing better" : "fallback of the chain";
    if (f->pinned)
        return q->wish->first && strcmp(q->wish->first, f->provider) == 0 ? "hinted by the caller"
                                                                          : "the configured default";
    switch (q->order) {
    case CHOICE_CHAIN:
        return "offers the model, in the order of the chain";
    case CHOICE_LISTED:
        return "in the order of the alias";
    case CHOICE_SCORE:
        break;
    }
    return q->by_name ? "offers the model" : "the best score of those that are left";
}

size_t choice_make(struct arena *a, const struct choice_query *q, const struct choice_fact *facts, size_t n,
                   struct choice *out)
{
    struct rank one = {.order = q->order}, *ranks = n > 1 ? arena_array(a, n, sizeof *ranks) : &one;
    size_t usable = 0;
    for (size_t i = 0; ranks && i < n; i++) {
        const struct choice_fact *f = &facts[i];
        unsigned unknown = 0;
        const char *why = drop_reason(a, q, f, &unknown);
        struct choice *c = &ranks[i].choice;
        *c = (struct choice){.fact = f};
        ranks[i].order = q->order;
        c->state = why          ? SWITCH_CANDIDATE_STATE_DROPPED
                   : f->not_now ? SWITCH_CANDIDATE_STATE_NOT_NOW
                                : SWITCH_CANDIDATE_STATE_ELIGIBLE;
        c->reason = why ? why : f->not_now ? f->not_now : place_reason(q, f);
        choice_score(q, f, unknown, &c->score);
        usable += !why;
    }
    if (ranks && n > 1)
        qsort(ranks, n, sizeof *ranks, rank_compare);
    for (size_t i = 0; ranks && i < n; i++)
        out[i] = ranks[i].choice;
    return ranks ? usable : 0;
}
