/* Explain: how a choice came about, for the decision row, the header and the dry run. */
#include "switch/selection/selector_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

#define ROW_CANDIDATES 16 /* of a decision row */

void selection_outcome(struct selector *s, struct selection *selection, const struct candidate *c, bool ok,
                       double first_token_ms, double total_ms, int64_t tokens)
{
    const struct observation o = {.at = clock_wall_ms(),
                                  .ok = ok,
                                  .first_token_ms = first_token_ms,
                                  .total_ms = total_ms,
                                  .tokens = tokens};
    struct choice_outcomes *told = c->choice ? c->choice->outcomes : NULL;
    learner_observe(s->learner, task_type_name(selection->wish.task), c->provider->name, c->model, &o);
    if (!told || told->count == CHOICE_OUTCOMES)
        return;
    told->list[told->count++] = (struct switch_attempt_outcome){.ok = ok,
                                                                .at = o.at,
                                                                .has_first_token_ms = first_token_ms >= 0,
                                                                .first_token_ms = first_token_ms,
                                                                .has_total_ms = total_ms >= 0,
                                                                .total_ms = total_ms,
                                                                .has_tokens = tokens >= 0,
                                                                .tokens = tokens};
}

/* ---- header ---- */

/* What a header may hold: printable ASCII, and no ";" within a value. */
static void header_clean(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e)
            *s = '?';
}

char *selection_header(const struct selection *selection, const struct candidate *c, char *out, size_t size)
{
    snprintf(out, size, "%.60s/%.120s; mode=%s; task=%s; score=%.3f; reason=%.160s", c->provider->name,
             c->model, switch_mode_names[selection->mode], task_type_name(selection->wish.task),
             c->choice ? c->choice->score.total : 0.0, c->reason);
    header_clean(out);
    return out;
}

int64_t selection_first_token_ms(const struct selection *selection, const struct candidate *c)
{
    int64_t own = c->provider->first_token_timeout_ms;
    bool last = c == &selection->list[selection->count - 1];
    if (!selection->free_choice || last || !c->choice)
        return own;
    int64_t most = mode_profile(selection->mode)->timeout_ms;
    double load = c->choice->fact->load_ms;
    if (load > 0)
        most += 2 * (int64_t)load; /* a load takes what it takes, and its length is a guess */
    return most < own ? most : own;
}

/* ---- candidates ---- */

static int candidate_fill(struct arena *a, const struct choice *c, struct switch_candidate *out)
{
    const struct choice_fact *f = c->fact;
    const char **guessed = arena_array(a, 5, sizeof *guessed);
    size_t n = 0;
    if (!guessed)
        return VX11_ENOMEM;
    if (c->score.quality_guessed || f->quality_by_size)
        guessed[n++] = "quality";
    if (c->score.latency_guessed)
        guessed[n++] = "latency";
    if (f->load_by_size && f->load_ms > 0)
        guessed[n++] = "load";
    if (c->score.cost_guessed)
        guessed[n++] = "cost";
    if (!f->learned_any)
        guessed[n++] = "learned";
    *out = (struct switch_candidate){
        .provider = f->provider,
        .model = f->model,
        .state = (int)c->state,
        .reason = c->reason,
        .score = c->score.total,
        .quality = c->score.quality,
        .latency = c->score.latency,
        .cost = c->score.cost,
        .learned = c->score.learned,
        .adjust = c->score.adjust,
        .latency_ms = c->score.latency_ms,
        .price = c->score.price,
        .guessed = guessed,
        .guessed_count = n,
        .outcomes = c->outcomes ? c->outcomes->list : NULL,
        .outcomes_count = c->outcomes ? c->outcomes->count : 0,
    };
    return 0;
}

static struct switch_candidate *candidates_fill(struct arena *a, const struct selection *s, size_t most,
                                                size_t *count)
{
    size_t n = s->choice_count < most ? s->choice_count : most;
    struct switch_candidate *list = arena_array(a, n + 1, sizeof *list);
    *count = 0;
    for (size_t i = 0; list && i < n; i++)
        if (candidate_fill(a, &s->choices[i], &list[i]) == 0)
            ++*count;
    return list;
}

void selection_columns(const struct selection *s, const struct candidate *c, struct buf *text,
                       struct store_value out[SELECTION_COLUMNS])
{
    struct arena *a = s->wish.read ? arena_create(0) : NULL;
    struct switch_candidate_list list;
    for (size_t i = 0; i < SELECTION_COLUMNS; i++)
        out[i] = STORE_N;
    if (!s->wish.read)
        return;
    out[0] = store_text(task_type_name(s->wish.task));
    out[1] = store_text(switch_mode_names[s->mode]);
    if (c && c->choice)
        out[2] = STORE_D(c->choice->score.total);
    if (a) {
        list.candidates = candidates_fill(a, s, ROW_CANDIDATES, &list.candidates_count);
        if (list.candidates && switch_candidate_list_serialize(&list, text) == 0)
            out[3] = store_text_len(text->data, text->len);
    }
    out[4] = store_text(s->wish.local_only ? "local_only" : "any");
    out[5] = store_text(switch_fluzo_profile_names[s->host]);
    arena_destroy(a);
}

/* ---- all of it ---- */

static size_t needs_fill(const struct wish *w, const char **out)
{
    size_t n = 0;
    if (w->tools)
        out[n++] = "tools";
    if (w->vision)
        out[n++] = "vision";
    if (w->json_schema)
        out[n++] = "json_schema";
    if (w->kind == DISPATCH_EMBEDDING)
        out[n++] = "embeddings";
    return n;
}

int selection_explain(struct arena *a, const struct selection *s, struct switch_explanation *out)
{
    const struct wish *w = &s->wish;
    struct switch_weights *weights = arena_alloc(a, sizeof *weights);
    const char **needs = arena_array(a, 4, sizeof *needs),
               **words = arena_array(a, TASK_GUESS_WORDS, sizeof *words);
    if (!weights || !needs || !words)
        return VX11_ENOMEM;
    *weights = (struct switch_weights){.quality = s->weights.quality,
                                       .latency = s->weights.latency,
                                       .cost = s->weights.cost,
                                       .learned = s->weights.learned};
    *out = (struct switch_explanation){
        .requested = w->model && w->model[0] ? w->model : NULL,
        .chosen_by = (int)s->chosen_by,
        .task_type = task_type_name(w->task),
        .task_from = (int)w->task_from,
        .task_confidence = w->task_confidence,
        .task_words = words,
        .needs = needs,
        .needs_count = needs_fill(w, needs),
        .prompt_tokens = w->prompt_tokens,
        .completion_tokens = w->answer_tokens,
        .local_only = w->local_only,
        .privacy_from = (int)w->privacy_from,
        .mode = (int)s->mode,
        .mode_set = (int)s->mode_set,
        .fluzo = (int)s->host,
        .order = (int)s->order,
        .weights = weights,
    };
    for (size_t i = 0; i < TASK_GUESS_WORDS && w->task_words[i]; i++)
        words[out->task_words_count++] = w->task_words[i];
    out->candidates = candidates_fill(a, s, s->choice_count, &out->candidates_count);
    return out->candidates ? 0 : VX11_ENOMEM;
}
