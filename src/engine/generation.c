/* Generations and their events. Each lives in an arena of its own; it goes from the loop thread to the decode
 * thread with scheduler_submit and comes back with its last event, whose node is part of it, so that an end
 * can always be told. */
#include "engine/scheduler_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static const llama_token *tokens_copy(struct arena *a, const llama_token *tokens, size_t n)
{
    llama_token *copy = arena_array(a, n + 1, sizeof *copy);
    if (copy && n > 0)
        memcpy(copy, tokens, n * sizeof *copy);
    return copy;
}

/* The control tokens that are let out count for the grammar too. */
static int grammar_copy(struct arena *a, const struct generation_options *o, struct sampling_grammar *to)
{
    const struct sampling_grammar *from = &o->sampling.grammar;
    const char **patterns = arena_array(a, from->trigger_pattern_count + 1, sizeof *patterns);
    *to = *from;
    to->gbnf = arena_strdup(a, from->gbnf);
    to->begun = arena_strdup(a, from->begun);
    to->after = arena_strdup(a, from->after);
    to->trigger_tokens = tokens_copy(a, from->trigger_tokens, from->trigger_token_count);
    to->shown = tokens_copy(a, o->shown, o->shown_count);
    to->shown_count = o->shown_count;
    to->trigger_patterns = patterns;
    if (!patterns || !to->trigger_tokens || !to->shown || (from->gbnf && !to->gbnf) ||
        (from->begun && !to->begun) || (from->after && !to->after))
        return VX11_ENOMEM;
    for (size_t i = 0; i < from->trigger_pattern_count; i++) {
        patterns[i] = arena_strdup(a, from->trigger_patterns[i]);
        if (!patterns[i])
            return VX11_ENOMEM;
    }
    return 0;
}

static int generation_copy(struct generation *g, const struct generation_options *o)
{
    struct arena *a = g->arena;
    g->prompt = arena_array(a, o->prompt_count, sizeof *g->prompt);
    g->stops = arena_array(a, o->stop_count + 1, sizeof *g->stops);
    llama_logit_bias *bias = arena_array(a, o->sampling.bias_count + 1, sizeof *bias);
    if (!g->prompt || !g->stops || !bias)
        return VX11_ENOMEM;
    memcpy(g->prompt, o->prompt, o->prompt_count * sizeof *g->prompt);
    llama_token *shown = arena_array(a, o->shown_count + 1, sizeof *shown);
    if (!shown)
        return VX11_ENOMEM;
    if (o->shown_count > 0)
        memcpy(shown, o->shown, o->shown_count * sizeof *shown);
    g->shown = shown;
    for (size_t i = 0; i < o->stop_count; i++) {
        g->stops[i] = arena_strdup(a, o->stops[i]);
        if (!g->stops[i])
            return VX11_ENOMEM;
    }
    if (o->sampling.bias_count > 0)
        memcpy(bias, o->sampling.bias, o->sampling.bias_count * sizeof *bias);
    g->sampling.bias = bias;
    if (grammar_copy(a, o, &g->sampling.grammar) != 0)
        return VX11_ENOMEM;
    g->request_id = arena_strdup(a, o->request_id ? o->request_id : "");
    return g->request_id ? 0 : VX11_ENOMEM;
}

struct generation *generation_create(const struct generation_options *o, generation_fn fn, void *ctx)
{
    struct arena *a = arena_create(0);
    if (!a)
        return NULL;
    struct generation *g = arena_zalloc(a, sizeof *g);
    if (!g) {
        arena_destroy(a);
        return NULL;
    }
    *g = (struct generation){.arena = a,
                             .fn = fn,
                             .ctx = ctx,
                             .prompt_count = o->prompt_count,
                             .choices = o->choices,
                             .max_tokens = o->max_tokens,
                             .sampling = o->sampling,
                             .stop_count = o->stop_count,
                             .stop_given = o->stop_given,
                             .logprobs = o->logprobs,
                             .top_logprobs = o->top_logprobs,
                             .whole = o->whole,
                             .shift = o->shift,
                             .keep = o->keep,
                             .priority = o->priority,
                             .shown_count = o->shown_count};
    g->last = (struct event_node){.generation = g, .embedded = true};
    if (generation_copy(g, o) != 0) {
        arena_destroy(a);
        return NULL;
    }
    return g;
}

void generation_destroy(struct generation *g)
{
    if (g)
        arena_destroy(g->arena);
}

void generation_cancel(struct generation *g)
{
    atomic_store(&g->cancelled, true);
}

/* ---- events, on the decode thread ---- */

static void fresh_push(struct scheduler *s, struct event_node *node)
{
    node->next = NULL;
    *s->fresh_end = node;
    s->fresh_end = &node->next;
}

static int node_fill(struct event_node *node, const char *text, size_t len,
                     const struct token_logprobs *logprobs, size_t n)
{
    if (len > 0) {
        node->text = malloc(len + 1);
        if (!node->text)
            return VX11_ENOMEM;
        memcpy(node->text, text, len);
        node->text[len] = '\0';
        node->event.len = len;
    }
    if (n > 0) {
        node->logprobs = calloc(n, sizeof *node->logprobs);
        if (!node->logprobs)
            return VX11_ENOMEM;
        memcpy(node->logprobs, logprobs, n * sizeof *logprobs);
        node->event.logprob_count = n;
    }
    return 0;
}

static void node_discard(struct event_node *node)
{
    free(node->text);
    free(node->logprobs);
    free(node);
}

void generation_emit(struct scheduler *s, struct generation *g, unsigned choice, const char *text, size_t len,
                     const struct token_logprobs *logprobs, size_t logprob_count, enum finish finish,
                     const char *met)
{
    if (g->error.code != 0)
        return;
    struct event_node *node = calloc(1, sizeof *node);
    if (!node || node_fill(node, text, len, logprobs, logprob_count) != 0) {
        if (node)
            node_discard(node);
        error_set(&g->error, VX11_ENOMEM, "out of memory while answering");
        return;
    }
    node->generation = g;
    node->event.choice = choice;
    node->event.finish = finish;
    for (size_t i = 0; met && i < g->stop_given; i++)
        if (g->stops[i] == met)
            node->event.stop = met;
    fresh_push(s, node);
}

void generation_end(struct scheduler *s, struct generation *g, enum finish finish)
{
    const uint64_t now = clock_mono_ns();
    if (g->first_token_ns)
        g->usage.decode_ms = (double)(now - g->first_token_ns) / 1e6;
    if (g->error.code != 0)
        finish = FINISH_FAILED;
    g->last.event.finish = finish;
    g->last.event.last = true;
    pthread_mutex_lock(&s->lock);
    s->stats.generations++;
    s->stats.generations_cancelled += finish == FINISH_CANCELLED;
    s->stats.generations_failed += finish == FINISH_FAILED;
    if (finish == FINISH_NONE && g->admitted_ns) {
        const double seconds = (double)(now - g->admitted_ns) / 1e9;
        double *mean = &s->stats.generation_seconds;
        *mean = *mean < 0 ? seconds : *mean * 0.9 + seconds * 0.1;
    }
    pthread_mutex_unlock(&s->lock);
    fresh_push(s, &g->last);
}
